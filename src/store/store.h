/*
 * store: establishments, keys' generations, holders, badges, intents, events: in SQLite here, in
 * PostgreSQL later.
 *
 *   store.h    the records and what can be asked of them; callers see no SQL
 *   people.h   holders, stations, people, proposals
 *   fleet.h    badges that others encoded, from lists
 *   given.h    keys of other systems, wrapped
 *   stock.h    batches of physical cards
 *   outbox.h   what other systems are to be told
 *   oidc.h     browsers, and what relying parties were given
 *   signer.h   keys that sign tokens, wrapped
 *   stored.h   badge keys that are drawn, wrapped by the vault
 *   directory.h people and groups of the hospital's directory, and its tokens
 *   log.h      the journal's rows, settings, kept answers
 *   driver.h   what a database must offer (prepare, bind, step, transactions); sqlite.c is one
 *   migrations numbered, applied in order, each in one transaction
 *
 * The database is a cache of the badges' state as far as keys are concerned, but for those of roles
 * that are stored, which nothing else has; it holds no key in clear. It
 * must never learn what an APDU is. Every change that a caller sees as done is durable
 * (synchronous FULL).
 */
#ifndef TESSERE_STORE_STORE_H
#define TESSERE_STORE_STORE_H

#include "base/base.h"
#include "crypto/role.h"
#include "store/campaign.h"
#include "store/directory.h"
#include "store/fleet.h"
#include "store/given.h"
#include "store/log.h"
#include "store/oidc.h"
#include "store/outbox.h"
#include "store/people.h"
#include "store/signer.h"
#include "store/signon.h"
#include "store/stock.h"
#include "store/stored.h"
#include "store/tapcode.h"

struct store;

enum { STORE_TEXT_MAX = 128 };

/* Opens (creates, with may_create) and migrates. B_E_STORE_*. */
B_NODISCARD enum b_code store_open(const char *path, bool may_create, struct store **ret,
                                   struct b_err *err);
void store_free(struct store **s);
/* A commit of this connection does not stop to tidy up any more: somebody else calls store_tidy,
 * every second or so. */
void store_leave_tidying(struct store *s);
/* Brings what was committed from the log into the database file, as far as no reader is in the way;
 * nobody waits for it. */
void store_tidy(struct store *s);
int store_schema_version(const struct store *s);
/* The store as it is at this moment, in a file that is not there yet; outside a transaction. Nobody
 * waits for it. */
B_NODISCARD enum b_code store_copy(struct store *s, const char *path, struct b_err *err);

/* Transactions: begin takes the write lock. Nesting is a b_check. */
B_NODISCARD enum b_code store_begin(struct store *s, struct b_err *err);
/* Likewise, and what others write meanwhile is not seen; nobody waits for it. Ended by a rollback.
 */
B_NODISCARD enum b_code store_hold(struct store *s, struct b_err *err);
B_NODISCARD enum b_code store_commit(struct store *s, struct b_err *err);
void store_rollback(struct store *s);
/* A part of the transaction that can be undone alone: back undoes to the last save; each save is
 * ended by one keep (after a back too). No nesting. */
B_NODISCARD enum b_code store_save(struct store *s, struct b_err *err);
B_NODISCARD enum b_code store_back(struct store *s, struct b_err *err);
B_NODISCARD enum b_code store_keep(struct store *s, struct b_err *err);

/* --- establishment -----------------------------------------------------------------------------
 */
struct store_establishment {
    char finess[16];
    char name[STORE_TEXT_MAX];
    uint8_t system[16];
    uint8_t system_len;
    char profile_id[32];
};
B_NODISCARD enum b_code store_establishment_put(struct store *s,
                                                const struct store_establishment *e,
                                                struct b_err *err);
B_NODISCARD enum b_code store_establishment_get(struct store *s, struct store_establishment *ret,
                                                struct b_err *err);

/* --- generations of master keys ----------------------------------------------------------------
 */
enum store_generation_state {
    STORE_GENERATION_PENDING,
    STORE_GENERATION_ACTIVE,
    STORE_GENERATION_RETIRING,
    STORE_GENERATION_RETIRED,
    STORE_GENERATION_COMPROMISED,
};
/* Of all roles together: a rotation of each of them every three months for ten years. */
enum { STORE_GENERATIONS_MAX = 256 };
const char *store_generation_state_name(enum store_generation_state st);
struct store_generation {
    enum key_role role;
    uint8_t generation;
    enum store_generation_state state;
    char kcv_method[16];
    uint8_t kcv[3];
    int64_t created_at;     /* seconds since 1970, UTC */
    int64_t compromised_at; /* when it was declared so; 0: it was not */
};
B_NODISCARD enum b_code store_generation_put(struct store *s, const struct store_generation *g,
                                             struct b_err *err);
/* B_E_TOO_LARGE when there are more than cap: none is left out in silence. */
B_NODISCARD enum b_code store_generation_list(struct store *s, struct store_generation *gs,
                                              size_t cap, size_t *ret_count, struct b_err *err);

/* B_E_NOT_FOUND without a message. */
B_NODISCARD enum b_code store_generation_get(struct store *s, enum key_role role,
                                             uint8_t generation, struct store_generation *ret,
                                             struct b_err *err);

/* --- badges and holders ------------------------------------------------------------------------
 */
enum store_badge_state {
    STORE_BADGE_ENROLLING, /* an enrolment began and did not end */
    STORE_BADGE_ACTIVE,
    STORE_BADGE_SUSPENDED,
    STORE_BADGE_REVOKED,
    STORE_BADGE_BLANKED,
};
const char *store_badge_state_name(enum store_badge_state st);
struct store_badge {
    int64_t id;
    uint8_t uid[7];
    uint8_t serial[16];
    uint8_t serial_len;
    enum store_badge_state state;
    char holder_ref[64]; /* RPPS or local staff id */
    char holder_name[STORE_TEXT_MAX];
    char profile_id[32];
    uint32_t profile_revision;
    uint8_t ev;                         /* enum df_ev as a number */
    uint8_t generation[KEY_ROLE_COUNT]; /* last known on the card; the card is the truth */
    char reason[STORE_TEXT_MAX];        /* of the last suspension or revocation */
    int64_t created_at, changed_at, tapped_at;
    int64_t tapped_station;        /* where that was; 0: at a desk, or never */
    int64_t not_before, not_after; /* 0: without limit */
    bool is_temporary;
    int64_t batch_id;  /* that its card is of; 0: not known */
    bool is_in_office; /* not handed over to its holder (yet, or again); false: issued */
    uint8_t salt[16];  /* of the digest in the journal; goes when the person is erased */
};
/* Inserts (id 0) or updates; sets id. B_E_DUPLICATE when another badge has the UID or serial. */
B_NODISCARD enum b_code store_badge_put(struct store *s, struct store_badge *b, struct b_err *err);
B_NODISCARD enum b_code store_badge_by_uid(struct store *s, const uint8_t uid[static 7],
                                           struct store_badge *ret, struct b_err *err);
B_NODISCARD enum b_code store_badge_by_serial(struct store *s, const uint8_t *serial, size_t n,
                                              struct store_badge *ret, struct b_err *err);
B_NODISCARD enum b_code store_badge_by_id(struct store *s, int64_t id, struct store_badge *ret,
                                          struct b_err *err);
/* Calls fn for each badge in order of id, after `after_id`; fn returns false to stop. holder: part
 * of a name or reference, or NULL. */
B_NODISCARD enum b_code store_badge_each(struct store *s, int64_t after_id, const char *holder,
                                         bool (*fn)(void *ctx, const struct store_badge *b),
                                         void *ctx, struct b_err *err);

/* Exactly this holder's, in order of id. */
B_NODISCARD enum b_code store_badge_of(struct store *s, const char *holder_ref,
                                       bool (*fn)(void *ctx, const struct store_badge *b),
                                       void *ctx, struct b_err *err);

/* --- intents -----------------------------------------------------------------------------------
 */
/* What is about to be done to a card, durable before the first byte is sent. */
struct store_intent {
    int64_t id;
    uint8_t uid[7];
    uint8_t plan_digest[32];
    uint32_t step;
    char action[64]; /* the step's stable name */
    uint32_t aid;
    uint8_t no;
    uint8_t from_generation, to_generation;
    int64_t at;
    bool is_effective; /* the card confirmed it */
};
B_NODISCARD enum b_code store_intent_add(struct store *s, struct store_intent *i,
                                         struct b_err *err);
B_NODISCARD enum b_code store_intent_effective(struct store *s, int64_t id, struct b_err *err);
/* The open (not effective) intents of a badge, oldest first. */
B_NODISCARD enum b_code store_intent_open(struct store *s, const uint8_t uid[static 7],
                                          struct store_intent *is, size_t cap, size_t *ret_count,
                                          struct b_err *err);
/* Calls fn for each intent of a badge that took effect, newest first; fn returns false to stop. */
B_NODISCARD enum b_code store_intent_each_done(struct store *s, const uint8_t uid[static 7],
                                               bool (*fn)(void *ctx, const struct store_intent *i),
                                               void *ctx, struct b_err *err);
B_NODISCARD enum b_code store_intent_by_id(struct store *s, int64_t id, struct store_intent *ret,
                                           struct b_err *err);
B_NODISCARD enum b_code store_intent_each(struct store *s,
                                          bool (*fn)(void *ctx, const struct store_intent *i),
                                          void *ctx, struct b_err *err);

#endif
