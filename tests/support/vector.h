/* Published numbers: finding the files of tests/vectors and reading their hex. Failing is a failed
 * test. */
#ifndef TESSERE_TESTS_VECTOR_H
#define TESSERE_TESTS_VECTOR_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* The file's whole content; caller decrefs. */
json_t *vector_load(const char *file);
/* Path of a file in tests/vectors, in memory that the next call overwrites. */
const char *vector_path(const char *file);
/* Bytes of the hex string in v[name]; 0 when it is absent or null. */
size_t vector_hex(const json_t *v, const char *name, uint8_t *out, size_t cap);
const char *vector_text(const json_t *v, const char *name);

#endif
