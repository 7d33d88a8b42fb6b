/*
 * One writer. A change is a function that runs in the writer's transaction, together with the
 * journal entries that tell it; it is durable when service_change returns. Changes that wait at the
 * same moment share a transaction (group commit), each with a savepoint of its own: one that fails
 * is undone alone. Without a thread (one desk) a change is its own transaction.
 */
#ifndef TESSERE_SERVICE_CHANGE_H
#define TESSERE_SERVICE_CHANGE_H

#include <jansson.h>

#include "journal/journal.h"
#include "store/store.h"

struct service_writer;

/* What happened, for the journal: docs/journal.md has the form of an entry. Records that are given
 * are committed to by a salted digest of what they hold now. */
struct service_entry {
    const char *kind;    /* a name of event.def */
    enum b_code outcome; /* B_OK or the reason of a refusal */
    json_t *detail;      /* stolen; nothing personal in it; may be NULL */
    json_t *personal;    /* stolen; kept beside the tree, can be erased; may be NULL */
    const char *subject; /* whom the personal data is about (a holder's reference), or NULL */
    int64_t badge_id;    /* when badge is not given; 0: none */
    int64_t station_id;
    const struct store_badge *badge;
    const struct store_holder *holder;
    const struct store_station *station;
    const struct store_person *person;
    const struct store_generation *generation;
};

/* A row that the next entry of a change vouches for: its digest as it is now. */
struct service_vouched {
    const char *what; /* "setting", … */
    int64_t id;
    uint8_t digest[32];
};
enum { SERVICE_VOUCHED_MAX = 8 };

/* Passed to a change: the writer's store, and who asks. */
struct service_change {
    struct store *store;
    struct service_vouched vouched[SERVICE_VOUCHED_MAX];
    size_t vouched_count;
    const char *actor;   /* "desk", "person:3", "station:7", "server" */
    const char *request; /* the request's id, or "" */
    int64_t now;
    struct journal_edge *edge;
};
typedef enum b_code service_change_fn(struct service_change *c, void *ctx, struct b_err *err);

/* threaded: group commit by a thread that owns the store; else the caller's thread uses it. Takes
 * the store over, also on failure. */
B_NODISCARD enum b_code service_writer_open(struct store *store, bool is_threaded,
                                            struct service_writer **ret, struct b_err *err);
/* Waits for changes under way. */
void service_writer_close(struct service_writer **w);

struct service_counts {
    uint64_t commits, changes, failed, size; /* size: entries in the journal */
    uint32_t commit_us;                      /* of the last commit */
};
struct service_counts service_writer_counts(struct service_writer *w);

/* Kept in the transaction of a call's first change: a request that is repeated with this key is
 * known to have been carried out, whatever became of its answer. */
struct service_once {
    struct store_reply reply; /* status 0 */
    bool is_kept;
};

struct service_asker {
    const char *actor;
    const char *request;
    struct service_once *once; /* NULL: the request may be repeated */
};
B_NODISCARD enum b_code service_writer_run(struct service_writer *w, struct service_asker asker,
                                           service_change_fn *fn, void *ctx, struct b_err *err);

/* A change that is under way while its caller does something else. */
struct service_started;
/* ctx and what asker names are the writer's until service_writer_finish, which must be called.
 * NULL: the writer has no thread, or there is no memory; nothing was begun. */
struct service_started *service_writer_start(struct service_writer *w, struct service_asker asker,
                                             service_change_fn *fn, void *ctx);
/* Waits until it is durable. Sets *s to NULL. */
B_NODISCARD enum b_code service_writer_finish(struct service_started **s, struct b_err *err);

/* Appends an entry; only inside a change. It vouches for what it names and for all rows that wait.
 */
B_NODISCARD enum b_code service_log(struct service_change *c, struct service_entry e,
                                    struct b_err *err);
/* Forgets the answers kept for requests before then, and says in the journal up to which. */
struct service;
B_NODISCARD enum b_code service_forget_answers(struct service *sv, int64_t before,
                                               struct b_err *err);
/* Rows that were written: the next entry vouches for them; where the change writes none, one is
 * added. At most SERVICE_VOUCHED_MAX wait at once. */
void service_vouch_intent(struct service_change *c, const struct store_intent *i);
void service_vouch_campaign(struct service_change *c, const struct store_campaign *k);
void service_vouch_rekey(struct service_change *c, const struct store_rekey *k);
void service_vouch_reply(struct service_change *c, const struct store_reply *r);
void service_vouch_proposal(struct service_change *c, const struct store_proposal *p);
void service_vouch_approval(struct service_change *c, const struct store_approval *a);
void service_vouch_establishment(struct service_change *c, const struct store_establishment *e);
/* All rows of a list at once, as they are now in the store. */
B_NODISCARD enum b_code service_vouch_fleet_import(struct service_change *c,
                                                   const struct store_fleet_import *i,
                                                   struct b_err *err);
void service_vouch_batch(struct service_change *c, const struct store_batch *b);
void service_vouch_card_event(struct service_change *c, const struct store_card_event *e);
void service_vouch_signing_key(struct service_change *c, const struct store_signing_key *k);
void service_vouch_stored(struct service_change *c, const struct store_stored *k);
void service_vouch_given(struct service_change *c, const struct store_given *k);
void service_vouch_finding(struct service_change *c, const struct store_finding *f);
void service_vouch_user(struct service_change *c, const struct store_user *u);
void service_vouch_token(struct service_change *c, const struct store_token *t);
B_NODISCARD enum b_code service_vouch_team(struct service_change *c, const struct store_team *t,
                                           struct b_err *err);
/* Writes a setting, and has it vouched for: the only way to write one. */
B_NODISCARD enum b_code service_setting_put(struct service_change *c, const char *name,
                                            const void *p, size_t n, struct b_err *err);

/* What the journal keeps of a record: SHA-256(salt || all fields in canonical form). */
void service_digest_badge(const struct store_badge *b, uint8_t out[static 32]);
void service_digest_holder(const struct store_holder *h, uint8_t out[static 32]);
void service_digest_station(const struct store_station *t, uint8_t out[static 32]);
void service_digest_person(const struct store_person *p, uint8_t out[static 32]);
void service_digest_generation(const struct store_generation *g, uint8_t out[static 32]);
void service_digest_intent(const struct store_intent *i, uint8_t out[static 32]);
void service_digest_campaign(const struct store_campaign *c, uint8_t out[static 32]);
void service_digest_rekey(const struct store_rekey *v, uint8_t out[static 32]);
void service_digest_reply(const struct store_reply *r, uint8_t out[static 32]);
void service_digest_proposal(const struct store_proposal *p, uint8_t out[static 32]);
void service_digest_approval(const struct store_approval *a, uint8_t out[static 32]);
void service_digest_setting(const struct store_setting *v, uint8_t out[static 32]);
void service_digest_batch(const struct store_batch *b, uint8_t out[static 32]);
void service_digest_card_event(const struct store_card_event *e, uint8_t out[static 32]);
void service_digest_signing_key(const struct store_signing_key *k, uint8_t out[static 32]);
void service_digest_stored(const struct store_stored *k, uint8_t out[static 32]);
void service_digest_given(const struct store_given *k, uint8_t out[static 32]);
void service_digest_finding(const struct store_finding *f, uint8_t out[static 32]);
/* Of a list with all its rows: SHA-256 of the list, then of what came before and the next row. */
B_NODISCARD enum b_code service_digest_fleet_import(struct store *s,
                                                    const struct store_fleet_import *i,
                                                    uint8_t out[static 32], struct b_err *err);
void service_digest_user(const struct store_user *u, uint8_t out[static 32]);
void service_digest_token(const struct store_token *t, uint8_t out[static 32]);
/* Of a group with its members. */
B_NODISCARD enum b_code service_digest_team(struct store *s, const struct store_team *t,
                                            uint8_t out[static 32], struct b_err *err);
void service_digest_establishment(const struct store_establishment *e, uint8_t out[static 32]);

#endif
