/* A keyring without a token: one master, 00 11 .. FF, for tests and fuzzing of the dispatcher. */
#ifndef TESSERE_TESTS_FAKE_KEYRING_H
#define TESSERE_TESTS_FAKE_KEYRING_H

#include "vault/vaultd.h"

/* fails: B_OK, or what every call answers. */
struct fake_keyring {
    enum b_code fails;
    bool has_made;      /* every generation of auth is there, and made already */
    const uint8_t *kcv; /* of every key that is listed; NULL: zeros */
    bool gives_zero;    /* derives the zero key */
    unsigned brought;   /* masters that were put in it */
    unsigned inside;    /* how often a key was used in the token */
    struct {
        char name[CUSTODY_ANCHOR_NAME_MAX + 1]; /* "": free */
        uint8_t bytes[CUSTODY_ANCHOR_MAX];
        size_t n;
    } anchors[6];
};
struct vaultd_keyring fake_keyring(struct fake_keyring *f);

#endif
