/*
 * YAML against a schema. Every error says the line: config finds what is not as the schema has it;
 * for what a schema cannot know (a value that does not convert, a broken rule) the line is looked
 * up by the field's path. Private to this folder.
 */
#ifndef TESSERE_PROFILE_SCHEMA_H
#define TESSERE_PROFILE_SCHEMA_H

#include <cyaml/cyaml.h>

#include "base/base.h"

enum { PATH_MAX_LEN = 96 };

#define NEEDED CYAML_FLAG_DEFAULT
#define MAY CYAML_FLAG_OPTIONAL
#define TEXT(key, flags, type, member, max) \
    CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | (flags), type, member, 1, max)
#define WORD(key, flags, type, member, words) \
    CYAML_FIELD_ENUM(key, CYAML_FLAG_STRICT | (flags), type, member, words, CYAML_ARRAY_LEN(words))
#define WORDS(key, flags, type, member, words) \
    CYAML_FIELD_FLAGS(key, CYAML_FLAG_STRICT | (flags), type, member, words, CYAML_ARRAY_LEN(words))

struct profile_schema {
    const char *name, *text; /* the file's name for messages, and its bytes */
    size_t n;
    enum b_code code; /* of what is wrong in it */
    struct b_err *err;
};

/* Fills the structs of a schema; ended by profile_schema_free. */
B_NODISCARD enum b_code profile_schema_load(struct profile_schema *from,
                                            const struct cyaml_schema_value *schema, void **ret);
void profile_schema_free(const struct cyaml_schema_value *schema, void *data);
/* The line of "application/files/1/rights/read", or of as much of it as the file has. */
size_t profile_schema_line(const struct profile_schema *from, const char *path);
/* "name:line: application.files[2].rights.read: what is wrong". */
enum b_code profile_schema_wrong(const struct profile_schema *from, const char *path,
                                 const char *what);

#endif
