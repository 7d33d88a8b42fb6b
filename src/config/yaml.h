/*
 * config: what the readers of YAML configuration share. A reader has a libcyaml schema and a file;
 * a mistake is told in one sentence, with its place and what may stand there (mistake.h).
 */
#ifndef TESSERE_CONFIG_YAML_H
#define TESSERE_CONFIG_YAML_H

#include <cyaml/cyaml.h>

#include "base/err.h"

/* Fills the structs of a schema; *ret is to be ended by config_free. B_E_CONFIG: "PATH: line 2,
 * column 7: port: a whole number from 0 to 65535 is wanted, not many"; *ret is as it was. */
B_NODISCARD enum b_code config_load(const char *path, const char *text, size_t n,
                                    const struct cyaml_schema_value *schema, cyaml_data_t **ret,
                                    struct b_err *err);
/* The same of a file, which must be there and have at most 64 KiB. B_E_CONFIG. */
B_NODISCARD enum b_code config_load_file(const char *path, const struct cyaml_schema_value *schema,
                                         cyaml_data_t **ret, struct b_err *err);
/* NULL is allowed. */
void config_free(const struct cyaml_schema_value *schema, cyaml_data_t *data);
/* Puts a file in the place of whatever path holds, as b_file_replace does. */
B_NODISCARD enum b_code config_save(const char *path, const struct cyaml_schema_value *schema,
                                    const cyaml_data_t *data, unsigned mode, struct b_err *err);
/* The line, from 1, that first names this field in a file's text, for what only its reader can see
 * to be wrong; 0 when none does. */
unsigned config_line_of(const char *text, size_t n, const char *field);

#endif
