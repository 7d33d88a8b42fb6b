/* A directory with a SoftHSM2 token made by a real vault, for tests that spawn vaults. */
#ifndef TESSERE_TESTS_PLACE_H
#define TESSERE_TESTS_PLACE_H

#include "vault/vault.h"

extern char place_dir[64];
extern char place_conf[128];  /* softhsm2.conf */
extern char place_pin[128];   /* the PIN's file */
extern char place_uri[1024];  /* the token, straight */
extern char place_mock[1024]; /* the token behind the module that misbehaves */

/* cmocka set-up and tear-down of one such place. */
int place_make(void **state);
int place_drop(void **state);

/* The configuration of a vault on that token; change what the test is about. */
struct vault_config place_config(void);
struct vault *place_spawn(const struct vault_config *config);
/* What the misbehaving module must do, see tests/support/mock_pkcs11.c; NULL: behave. */
void place_fault(const char *words);
/* How often the misbehaving module counted "logins" (C_Login), "derived" keys, "destroyed" objects.
 */
long place_count(const char *what);
/* The tessere-token of a vault, or -1. */
int place_token_pid(int vault);
/* A child of this process that runs the program of this name, or -1. */
int place_child(int of, const char *named);

#endif
