/* What is wrong in a text of YAML, for whoever wrote it: looked for by the schema that it should
 * have had. */
#ifndef TESSERE_CONFIG_MISTAKE_H
#define TESSERE_CONFIG_MISTAKE_H

#include <cyaml/cyaml.h>
#include <stdbool.h>

#include "base/attr.h"

enum { CONFIG_FIELD = 96, CONFIG_WRONG = 232 };

struct config_mistake {
    size_t line, column;      /* from 1; 0: of the file as a whole */
    char field[CONFIG_FIELD]; /* "application.files[2].rights.read"; "": the file itself */
    char what[CONFIG_WRONG];  /* what is wrong, and what may stand there; of values, texts that
                                 are too long are not repeated */
};
/* Whether there is a mistake, and then the first. What libcyaml takes without a word is one too: a
 * truth value other than true, yes, false and no. Without may_alias a YAML alias is one. */
B_NODISCARD bool config_find_mistake(const char *text, size_t n,
                                     const struct cyaml_schema_value *schema, bool may_alias,
                                     struct config_mistake *ret);

#endif
