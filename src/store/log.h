/*
 * The journal's rows: entries in the order of the tree, hashes in storage order, personal data
 * beside the tree, signed checkpoints; and small settings. What they mean is src/journal's and
 * src/service's affair. Part of store.h.
 */
#ifndef TESSERE_STORE_LOG_H
#define TESSERE_STORE_LOG_H

#include "base/base.h"

struct store;

enum { STORE_ENTRY_MAX = 8192, STORE_NOTE_MAX = 4096 };

/* An entry's body is the leaf of the tree, byte for byte. It lives as long as the call that gave
 * it. */
struct store_entry {
    uint64_t index;
    int64_t badge_id; /* 0: none; only to find a badge's history */
    const char *body;
    size_t body_len;
    const char *personal; /* NULL: none, or erased */
    const uint8_t *salt;  /* 16 bytes when there is personal data */
    const char *subject;  /* the holder whom it is about, or "" */
};
B_NODISCARD enum b_code store_entry_add(struct store *s, const struct store_entry *e,
                                        struct b_err *err);
B_NODISCARD enum b_code store_hash_add(struct store *s, uint64_t id, const uint8_t hash[static 32],
                                       struct b_err *err);
B_NODISCARD enum b_code store_hash_get(struct store *s, uint64_t id, uint8_t hash[static 32],
                                       struct b_err *err);
/* How many entries there are: one more than the last index. */
B_NODISCARD enum b_code store_entry_count(struct store *s, uint64_t *ret, struct b_err *err);
B_NODISCARD enum b_code store_hash_count(struct store *s, uint64_t *ret, struct b_err *err);
/* From `from` in order, at most `count`; badge_id 0: all. fn returns false to stop. */
struct store_entry_range {
    uint64_t from;
    uint64_t count;
    int64_t badge_id;
    bool is_newest; /* the newest `count`, oldest of them first; from is ignored */
};
B_NODISCARD enum b_code store_entry_each(struct store *s, const struct store_entry_range *range,
                                         bool (*fn)(void *ctx, const struct store_entry *e),
                                         void *ctx, struct b_err *err);
/* The newest entry about a badge, up to `index`, that commits to personal data, whether that is
 * still there or was erased; none: fn is not called. */
B_NODISCARD enum b_code store_entry_personal(struct store *s, int64_t badge_id, uint64_t index,
                                             bool (*fn)(void *ctx, const struct store_entry *e),
                                             void *ctx, struct b_err *err);
/* Forgets the personal data about a subject; gives how many entries lost theirs. */
B_NODISCARD enum b_code store_personal_erase(struct store *s, const char *subject,
                                             uint64_t *ret_count, struct b_err *err);

B_NODISCARD enum b_code store_checkpoint_put(struct store *s, uint64_t size, const char *note,
                                             struct b_err *err);
/* The newest of at most `at_most` entries; B_E_NOT_FOUND without a message when there is none. */
B_NODISCARD enum b_code store_checkpoint_get(struct store *s, uint64_t at_most, uint64_t *ret_size,
                                             char *note, size_t cap, struct b_err *err);

/* Small values by name: digests, public keys. B_E_NOT_FOUND without a message. */
B_NODISCARD enum b_code store_setting_put(struct store *s, const char *name, const void *p,
                                          size_t n, struct b_err *err);
B_NODISCARD enum b_code store_setting_get(struct store *s, const char *name, void *p, size_t cap,
                                          size_t *ret_n, struct b_err *err);
struct store_setting {
    int64_t id;
    char name[96];
    const void *value; /* lives as long as the call that gave it */
    size_t n;
};
B_NODISCARD enum b_code store_setting_each(struct store *s,
                                           bool (*fn)(void *ctx, const struct store_setting *v),
                                           void *ctx, struct b_err *err);
B_NODISCARD enum b_code store_setting_id(struct store *s, const char *name, int64_t *ret,
                                         struct b_err *err);

/* Answers kept for a repeated Idempotency-Key: who, key, digest of the request, status, body. */
struct store_reply {
    int64_t id;
    char caller[80];
    char key[65];
    uint8_t request[32];
    int status;
    int64_t at;
    uint8_t salt[16]; /* of its digest in the journal: the body may name a person */
    char body[STORE_ENTRY_MAX];
};
B_NODISCARD enum b_code store_reply_get(struct store *s, struct store_reply *io, struct b_err *err);
/* status 0: a new one, under way (B_E_DUPLICATE), which gets its number; else the answer of one
 * that is there. */
B_NODISCARD enum b_code store_reply_put(struct store *s, struct store_reply *reply,
                                        struct b_err *err);
B_NODISCARD enum b_code store_reply_each(struct store *s,
                                         bool (*fn)(void *ctx, const struct store_reply *reply),
                                         void *ctx, struct b_err *err);
/* The next one after io->id whose body has this text. B_E_NOT_FOUND without a message. */
B_NODISCARD enum b_code store_reply_find(struct store *s, const char *text, struct store_reply *io,
                                         struct b_err *err);
/* Its row stays, with this request and salt, and without what was answered: status 0. */
B_NODISCARD enum b_code store_reply_erase(struct store *s, const struct store_reply *reply,
                                          struct b_err *err);
/* Forgets those up to the newest that is older; gives its number, 0 when there was none. */
B_NODISCARD enum b_code store_reply_forget(struct store *s, int64_t before, int64_t *ret_up_to,
                                           struct b_err *err);

#endif
