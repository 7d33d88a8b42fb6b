/*
 * Keys of other systems that custodians gave in a ceremony (docs/takeover.md): what a scan and a
 * takeover try besides the keys of a file. The vault wraps and opens them (src/vault/given.h); here
 * are their wrapped forms, in the store.
 */
#ifndef TESSERE_SERVICE_GIVEN_H
#define TESSERE_SERVICE_GIVEN_H

#include "service/service.h"

/* "aes", "3k3des", "2k3des", "des": so many bytes; DES is 2K3DES with equal halves. */
struct service_given_type {
    const char *name;
    enum df_key_type type;
    size_t n;
};
/* name: n characters. NULL: no such type. */
const struct service_given_type *service_given_type(const char *name, size_t n);

/* Whether one may be given under this name: B_E_BAD_INPUT, B_E_DUPLICATE, B_E_TOO_LARGE. */
B_NODISCARD enum b_code service_given_check(struct store *s, const char *name, struct b_err *err);
/* In a change: it is in use from now on. Sets id and time. */
B_NODISCARD enum b_code service_note_given(struct service_change *c, struct store_given *k,
                                           struct b_err *err);
/* Appends all that are in use, wrapped, for vault_session_open. */
B_NODISCARD enum b_code service_given_gather(struct store *s, struct b_wr *out, struct b_err *err);

/* The fleet is done: its wrapped form is erased, and what is known of it stays. B_E_QUORUM once a
 * roster is founded: then "forget-key NAME" is proposed. */
B_NODISCARD enum b_code service_given_forget(struct service *sv, const char *name,
                                             struct b_err *err);
/* The same in a change, once it may be. */
B_NODISCARD enum b_code service_note_given_forgotten(struct service_change *c, const char *name,
                                                     struct b_err *err);

#endif
