/* What a key is for. Each role has its own master keys, so that they can live in separate tokens.
 */
#ifndef TESSERE_CRYPTO_ROLE_H
#define TESSERE_CRYPTO_ROLE_H

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

#endif
