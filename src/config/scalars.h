/* The words of a file of YAML by their fields, for who wants them whatever its schema is. */
#ifndef TESSERE_CONFIG_SCALARS_H
#define TESSERE_CONFIG_SCALARS_H

#include <stddef.h>

/* Calls fn for each scalar with the field that it stands in, also as one of a list; up to a mistake
 * in the text, which whoever reads the file itself tells. */
void config_each_scalar(const char *text, size_t n,
                        void (*fn)(void *ctx, const char *field, const char *value), void *ctx);

#endif
