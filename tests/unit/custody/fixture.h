/* A SoftHSM2 token of the test's own, straight and through the module that misbehaves. */
#ifndef TESSERE_TESTS_CUSTODY_TOKEN_FIXTURE_H
#define TESSERE_TESTS_CUSTODY_TOKEN_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "custody/token.h"

#define PIN "correct-pin"

extern char dir[64];
extern char uri[600];   /* the token through the misbehaving module */
extern char plain[600]; /* the token through SoftHSM2 itself */

void path_of(char *out, size_t cap, const char *suffix);
/* Tells the misbehaving module what to do; NULL: to behave. */
void fault(const char *words);
long file_size(const char *name);
int make_token(void **state);
int drop_token(void **state);
enum b_code open_as(const char *which, const char *pin, struct custody **ret, struct b_err *err);
struct custody *open_good(void);
void generate(struct custody *c, enum key_role role, uint8_t generation);
enum b_code derive(struct custody *c, uint8_t generation, uint8_t *out, struct b_err *err);
void unhex(uint8_t *out, size_t n, const char *hex);

#endif
