/* What a key is for. Each role has its own master keys, so that they can live in separate tokens.
 */
#ifndef TESSERE_CRYPTO_ROLE_H
#define TESSERE_CRYPTO_ROLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum key_role {
    KEY_ROLE_PICC, /* the card's own master key */
    KEY_ROLE_APP,  /* key 0 of the establishment's application */
    KEY_ROLE_AUTH, /* proves the badge at a tap */
    KEY_ROLE_READ,
    KEY_ROLE_WRITE,
    KEY_ROLE_COUNT,                 /* of the roles that a key on a card may have */
    KEY_ROLE_SEAL = KEY_ROLE_COUNT, /* on no card: the vault's own secrets are derived from it */
    KEY_ROLE_ALL,
};

/* "picc", "app", "auth", "read", "write", "seal". */
const char *key_role_name(enum key_role role);
/* A card's role; KEY_ROLE_COUNT when the name is none of them. */
enum key_role key_role_from(const char *name);

/* Generations: 1..255, the version byte on the card; 0 is a factory key. */
enum { KEY_GENERATION_FACTORY = 0, KEY_GENERATION_MAX = 255 };

/* Roles whose badge keys stay in the token, or in the store, each from a generation on; 0: none of
 * that role. As a text, roles with commas: "auth", all its generations; "auth:3,read", those of
 * auth from 3 on. */
struct key_stay {
    uint8_t from[KEY_ROLE_COUNT];
};
enum { KEY_STAY_TEXT = 64 }; /* the longest text and a NUL fit */
bool key_stays(const struct key_stay *k, enum key_role role, uint8_t generation);
/* False when the text is none; an empty one says that nothing stays. */
bool key_stay_read(const char *text, struct key_stay *ret);
void key_stay_write(const struct key_stay *k, char out[static KEY_STAY_TEXT]);
/* A role that both name, which cannot be; KEY_ROLE_COUNT when there is none. */
enum key_role key_stay_both(const struct key_stay *a, const struct key_stay *b);

#endif
