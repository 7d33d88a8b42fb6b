/*
 * config: what the readers of YAML configuration share. A reader has a libcyaml schema and a file;
 * what libcyaml says of a mistake, with field and line, is kept for the error.
 */
#ifndef TESSERE_CONFIG_YAML_H
#define TESSERE_CONFIG_YAML_H

#include <cyaml/cyaml.h>
#include <stdbool.h>

enum { CONFIG_SAID = 200 };

/* What libcyaml said of mistakes; start from zero. */
struct config_said {
    char text[CONFIG_SAID];
};
/* Settings for cyaml_load_*: errors are gathered in said, which must outlive them. */
cyaml_config_t config_yaml(struct config_said *said);
/* The line, from 1, that first names this field in a file's text, for what only its reader can see
 * to be wrong; 0 when none does. */
unsigned config_line_of(const char *text, size_t n, const char *field);

/* What libcyaml says of a key that it does not know names the line before: puts the right one
 * first.
 */
void config_place(struct config_said *said, const char *text, size_t n);

#endif
