/*
 * What the hospital's directory says: its people, who are holders here, their groups, and the
 * bearer tokens by which directories speak to us. Part of store.h.
 */
#ifndef TESSERE_STORE_DIRECTORY_H
#define TESSERE_STORE_DIRECTORY_H

#include "store/people.h"

enum { STORE_WORD_MAX = 128 };

/* --- people ------------------------------------------------------------------------------------
 */

enum store_wish { STORE_WISH_ACTIVE, STORE_WISH_DISABLED, STORE_WISH_DELETED };

struct store_user {
    int64_t id;                     /* the holder's */
    char user_name[STORE_WORD_MAX]; /* unique among those who are not deleted, in any case */
    char external_id[STORE_WORD_MAX];
    char formatted[STORE_WORD_MAX], given[STORE_NAME_MAX], family[STORE_NAME_MAX];
    char department[STORE_WORD_MAX];
    char national[16];    /* RPPS; "" when not known */
    int64_t verified_at;  /* when it was compared with papers; 0: never */
    enum store_wish wish; /* what the directory asked last */
    int64_t wished_at;
    bool is_held;    /* what it asked waits for an administrator */
    bool is_stopped; /* the holder's suspension is the directory's: it ends it too */
    int64_t ends_at; /* suspended, and from then on left for good; 0: not by itself */
    char source[32]; /* who brought this person last: "ldap", "scim:3" */
    int64_t created_at, changed_at;
    uint8_t salt[16]; /* of the digest in the journal; goes when the person is erased */
    /* The holder's own, which are read along and not written: */
    char ref[STORE_NAME_MAX];
    char name[128];
    enum store_party_state state;
};
/* Inserts or updates the row of holder id. B_E_DUPLICATE when another has the userName. */
B_NODISCARD enum b_code store_user_put(struct store *s, const struct store_user *u,
                                       struct b_err *err);
/* Also of those who are deleted. */
B_NODISCARD enum b_code store_user_by_id(struct store *s, int64_t id, struct store_user *ret,
                                         struct b_err *err);
/* Of those who are not deleted. B_E_NOT_FOUND without a message. */
B_NODISCARD enum b_code store_user_by_name(struct store *s, const char *user_name,
                                           struct store_user *ret, struct b_err *err);
typedef bool store_user_fn(void *ctx, const struct store_user *u);
enum store_user_which {
    STORE_USER_ALL, /* those who are deleted too */
    STORE_USER_PRESENT,
    STORE_USER_HELD,
    STORE_USER_ENDING, /* who have left for good by `before` */
};
/* In order of id; fn returns false to stop. */
B_NODISCARD enum b_code store_user_each(struct store *s, enum store_user_which which,
                                        int64_t before, store_user_fn *fn, void *ctx,
                                        struct b_err *err);
/* Those with exactly this identifier of the directory, or this national one, who are present. */
B_NODISCARD enum b_code store_user_by_external(struct store *s, const char *external_id,
                                               store_user_fn *fn, void *ctx, struct b_err *err);
B_NODISCARD enum b_code store_user_by_national(struct store *s, const char *national,
                                               store_user_fn *fn, void *ctx, struct b_err *err);
struct store_user_counts {
    int64_t staff;   /* who are active, or were at `since` */
    int64_t leaving; /* who were asked to be stopped since then */
    int64_t held;
};
B_NODISCARD enum b_code store_user_count(struct store *s, int64_t since,
                                         struct store_user_counts *ret, struct b_err *err);

/* --- groups ------------------------------------------------------------------------------------
 */

struct store_team {
    int64_t id;
    char name[STORE_WORD_MAX]; /* unique, in any case */
    char external_id[STORE_WORD_MAX];
    int64_t created_at, changed_at;
};
struct store_member {
    int64_t id; /* of the user, or of the team */
    char name[STORE_WORD_MAX];
};
B_NODISCARD enum b_code store_team_put(struct store *s, struct store_team *t, struct b_err *err);
B_NODISCARD enum b_code store_team_by_id(struct store *s, int64_t id, struct store_team *ret,
                                         struct b_err *err);
/* B_E_NOT_FOUND without a message. */
B_NODISCARD enum b_code store_team_by_name(struct store *s, const char *name,
                                           struct store_team *ret, struct b_err *err);
B_NODISCARD enum b_code store_team_each(struct store *s,
                                        bool (*fn)(void *ctx, const struct store_team *t),
                                        void *ctx, struct b_err *err);
/* With its members. */
B_NODISCARD enum b_code store_team_delete(struct store *s, int64_t id, struct b_err *err);
/* Nothing changes when it is so already. */
B_NODISCARD enum b_code store_member_set(struct store *s, int64_t team, int64_t user, bool is_in,
                                         struct b_err *err);
typedef bool store_member_fn(void *ctx, const struct store_member *m);
/* Whether a person is in the team of this name; false where there is none. */
B_NODISCARD enum b_code store_member_has(struct store *s, const char *team, int64_t user, bool *ret,
                                         struct b_err *err);
/* The people of a team; the teams of a person: in order of id. */
B_NODISCARD enum b_code store_member_each(struct store *s, int64_t team, store_member_fn *fn,
                                          void *ctx, struct b_err *err);
B_NODISCARD enum b_code store_membership_each(struct store *s, int64_t user, store_member_fn *fn,
                                              void *ctx, struct b_err *err);

/* --- tokens ------------------------------------------------------------------------------------
 */

enum store_right { STORE_RIGHT_READ = 1, STORE_RIGHT_WRITE = 2 }; /* bits */
struct store_token {
    int64_t id;
    char name[STORE_NAME_MAX]; /* unique */
    uint8_t rights;
    uint8_t digest[32];             /* SHA-256 of the token */
    int64_t created_at, expires_at; /* 0: does not */
    int64_t revoked_at;
};
B_NODISCARD enum b_code store_token_put(struct store *s, struct store_token *t, struct b_err *err);
/* B_E_NOT_FOUND without a message. */
B_NODISCARD enum b_code store_token_by_digest(struct store *s, const uint8_t digest[static 32],
                                              struct store_token *ret, struct b_err *err);
B_NODISCARD enum b_code store_token_by_name(struct store *s, const char *name,
                                            struct store_token *ret, struct b_err *err);
B_NODISCARD enum b_code store_token_each(struct store *s,
                                         bool (*fn)(void *ctx, const struct store_token *t),
                                         void *ctx, struct b_err *err);

#endif
