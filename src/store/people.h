/*
 * The parties of an establishment besides its badges: holders, stations, people who administer,
 * and what they propose to each other. Part of store.h.
 */
#ifndef TESSERE_STORE_PEOPLE_H
#define TESSERE_STORE_PEOPLE_H

#include "base/base.h"

struct store;

enum {
    STORE_NAME_MAX = 64,
    STORE_PIN_RECORD_MAX = 128,
    STORE_POINT = 65, /* an uncompressed P-256 point */
    STORE_PROPOSAL_MAX = 2048,
};

/* --- holders -----------------------------------------------------------------------------------
 */

enum store_party_state { STORE_PARTY_ACTIVE, STORE_PARTY_SUSPENDED, STORE_PARTY_ENDED };
/* "active", "suspended", "ended": of holders (who left), stations and people (revoked). */
const char *store_party_state_name(enum store_party_state st);

struct store_holder {
    int64_t id;
    char ref[STORE_NAME_MAX]; /* RPPS or local staff id; unique */
    char name[128];
    enum store_party_state state;
    uint8_t pin[STORE_PIN_RECORD_MAX]; /* the vault's record; empty: no PIN */
    size_t pin_len;
    uint32_t pin_tries; /* wrong ones since the last right one */
    int64_t pin_failed_at;
    bool is_pin_locked;
    int64_t full_at; /* last badge and PIN together; 0: never */
    char full_zone[STORE_NAME_MAX];
    uint8_t salt[16]; /* of the digest in the journal; goes when the person is erased */
};
B_NODISCARD enum b_code store_holder_put(struct store *s, struct store_holder *h,
                                         struct b_err *err);
B_NODISCARD enum b_code store_holder_by_ref(struct store *s, const char *ref,
                                            struct store_holder *ret, struct b_err *err);
/* B_E_NOT_FOUND. */
B_NODISCARD enum b_code store_holder_by_id(struct store *s, int64_t id, struct store_holder *ret,
                                           struct b_err *err);
/* In order of id, after `after_id`; part: of a name or reference, or NULL. */
B_NODISCARD enum b_code store_holder_each(struct store *s, int64_t after_id, const char *part,
                                          bool (*fn)(void *ctx, const struct store_holder *h),
                                          void *ctx, struct b_err *err);

/* --- stations ----------------------------------------------------------------------------------
 */

struct store_station {
    int64_t id;
    char name[STORE_NAME_MAX];  /* unique */
    char group[STORE_NAME_MAX]; /* of the policy */
    char zone[STORE_NAME_MAX];  /* where a PIN once typed counts */
    enum store_party_state state;
    uint8_t fingerprint[32]; /* SHA-256 of its certificate; zeros: not enrolled yet */
    uint8_t next[32];        /* of a renewed one that was not used yet; zeros: none */
    uint8_t code[32];        /* SHA-256 of the one-time code; zeros: none */
    int64_t code_expires, cert_expires;
    int64_t created_at, changed_at;
};
B_NODISCARD enum b_code store_station_put(struct store *s, struct store_station *st,
                                          struct b_err *err);
B_NODISCARD enum b_code store_station_by_id(struct store *s, int64_t id, struct store_station *ret,
                                            struct b_err *err);
B_NODISCARD enum b_code store_station_by_name(struct store *s, const char *name,
                                              struct store_station *ret, struct b_err *err);
/* By its certificate or the renewed one. */
B_NODISCARD enum b_code store_station_by_fingerprint(struct store *s,
                                                     const uint8_t fingerprint[static 32],
                                                     struct store_station *ret, struct b_err *err);
B_NODISCARD enum b_code store_station_by_code(struct store *s, const uint8_t code[static 32],
                                              struct store_station *ret, struct b_err *err);
B_NODISCARD enum b_code store_station_each(struct store *s, int64_t after_id,
                                           bool (*fn)(void *ctx, const struct store_station *st),
                                           void *ctx, struct b_err *err);

/* --- people ------------------------------------------------------------------------------------
 */

enum store_role { /* bits: a person may have several */
                  STORE_ROLE_ADMINISTRATOR = 1,
                  STORE_ROLE_OPERATOR = 2,
                  STORE_ROLE_CUSTODIAN = 4,
                  STORE_ROLE_AUDITOR = 8,
};
struct store_person {
    int64_t id;
    char name[STORE_NAME_MAX]; /* unique */
    uint8_t roles;
    enum store_party_state state;
    uint8_t fingerprint[32];
    uint8_t key[STORE_POINT]; /* of the certificate: approvals are verified with it */
    int64_t cert_expires;
    int64_t created_at, changed_at;
};
B_NODISCARD enum b_code store_person_put(struct store *s, struct store_person *p,
                                         struct b_err *err);
B_NODISCARD enum b_code store_person_by_id(struct store *s, int64_t id, struct store_person *ret,
                                           struct b_err *err);
B_NODISCARD enum b_code store_person_by_fingerprint(struct store *s,
                                                    const uint8_t fingerprint[static 32],
                                                    struct store_person *ret, struct b_err *err);
B_NODISCARD enum b_code store_person_each(struct store *s, int64_t after_id,
                                          bool (*fn)(void *ctx, const struct store_person *p),
                                          void *ctx, struct b_err *err);

/* --- proposals ---------------------------------------------------------------------------------
 */

enum store_proposal_state {
    STORE_PROPOSAL_OPEN,
    STORE_PROPOSAL_DONE,
    STORE_PROPOSAL_REJECTED,
    STORE_PROPOSAL_EXPIRED,
};
const char *store_proposal_state_name(enum store_proposal_state st);
struct store_proposal {
    int64_t id;
    char action[32];
    char text[STORE_PROPOSAL_MAX]; /* exactly what is signed */
    int64_t proposer;              /* a person */
    enum store_proposal_state state;
    int64_t created_at, expires_at;
};
struct store_approval {
    int64_t id, proposal;
    int64_t person;
    uint8_t signature[64]; /* ECDSA P-256 SHA-256, r || s */
};
B_NODISCARD enum b_code store_proposal_put(struct store *s, struct store_proposal *p,
                                           struct b_err *err);
B_NODISCARD enum b_code store_proposal_by_id(struct store *s, int64_t id,
                                             struct store_proposal *ret, struct b_err *err);
B_NODISCARD enum b_code store_proposal_each(struct store *s, int64_t after_id,
                                            bool (*fn)(void *ctx, const struct store_proposal *p),
                                            void *ctx, struct b_err *err);
B_NODISCARD enum b_code store_approval_add(struct store *s, struct store_approval *a,
                                           struct b_err *err);
/* All of them, of every proposal. */
B_NODISCARD enum b_code store_approval_each(struct store *s,
                                            bool (*fn)(void *ctx, const struct store_approval *a),
                                            void *ctx, struct b_err *err);
B_NODISCARD enum b_code store_approval_list(struct store *s, int64_t proposal,
                                            struct store_approval *as, size_t cap,
                                            size_t *ret_count, struct b_err *err);

#endif
