/*
 * The hospital's directory: its people become holders, its groups are kept, and who leaves opens
 * nothing any more. SCIM (src/http/scim.c) and the pull from LDAP (src/cli/directory.c) both end
 * here, so that both have the same rules.
 *
 *   directory.c        what becomes of a person: joins, stops, comes back, leaves, is held
 *   directory_doc.c    people and groups as SCIM documents
 *   directory_user.c   a person from one; one change of one
 *   directory_team.c   the same of a group
 *   directory_read.c   lists and filters
 *   directory_token.c  bearer tokens
 *   directory_orphans.c  badges without people, people gone with badges, what was not verified
 *
 * A change is one transaction: once it is acknowledged, every tap of who was stopped is refused.
 */
#ifndef TESSERE_SERVICE_DIRECTORY_H
#define TESSERE_SERVICE_DIRECTORY_H

#include <jansson.h>

#include "scim/scim.h"
#include "service/service.h"

enum {
    SERVICE_TAG_MAX = 24,        /* W/"16 digits" with its NUL */
    SERVICE_GUARD_SECONDS = 600, /* in which leavers are counted */
    SERVICE_VERIFY_SECONDS =
        63115200, /* two years: how long a national identifier stays verified */
};

/* --- changes -----------------------------------------------------------------------------------
 */

enum service_verb { SERVICE_CREATE, SERVICE_REPLACE, SERVICE_PATCH, SERVICE_DELETE };

struct service_resource {
    enum scim_type type;
    enum service_verb verb;
    int64_t id;           /* not for CREATE, which sets it */
    const json_t *body;   /* not for DELETE; borrowed */
    const char *if_match; /* the version that it must have, or NULL */
    const char *source;   /* for a person's row: who says so */
    const char *base;     /* before /Users and /Groups, for addresses */
    json_t *out;          /* after it, the resource: the caller's; NULL after DELETE */
};
/* B_E_SCIM_*, B_E_DUPLICATE, B_E_NOT_FOUND. */
B_NODISCARD enum b_code service_resource_change(struct service *sv, struct service_resource *io,
                                                struct b_err *err);
/* The same inside a change. */
B_NODISCARD enum b_code service_note_user(struct service_change *c,
                                          const struct service_directory_rules *rules,
                                          struct service_resource *io, struct b_err *err);
B_NODISCARD enum b_code service_note_team(struct service_change *c, struct service_resource *io,
                                          struct b_err *err);
/* Whether a header (If-Match, If-None-Match: a list of tags, or *) names this version. */
bool service_tag_is_in(const char *header, const char *tag);

/* What the directory asked of a person, done or held; writes u and its entry. h: as it is now. */
B_NODISCARD enum b_code service_note_wish(struct service_change *c,
                                          const struct service_directory_rules *rules,
                                          struct store_user *u, struct store_holder *h,
                                          enum store_wish wish, struct b_err *err);
/* Writes a person's row, vouched for by an entry of this kind. */
B_NODISCARD enum b_code service_put_user(struct service_change *c, struct store_user *u,
                                         const struct store_holder *h, const char *kind,
                                         struct b_err *err);
/* Everything that opens ends: badges are revoked, the holder has left. */
B_NODISCARD enum b_code service_end_holder(struct service_change *c, struct store_holder *h,
                                           struct b_err *err);
/* The person is in no group any more. */
B_NODISCARD enum b_code service_leave_teams(struct service_change *c, int64_t user,
                                            struct b_err *err);
/* Whether so many more leavers at once are too many for now. */
B_NODISCARD enum b_code service_too_many_leave(struct store *s,
                                               const struct service_directory_rules *rules,
                                               int64_t now, int64_t more, bool *ret,
                                               struct b_err *err);
/* What is held is done (or, with is_refused, forgotten: they stay). *ret: how many. */
B_NODISCARD enum b_code service_directory_release(struct service *sv, bool is_refused, int64_t *ret,
                                                  struct b_err *err);
/* Ends those whose grace is over; to be called now and then. */
B_NODISCARD enum b_code service_directory_tick(struct service *sv, struct b_err *err);
/* Somebody compared the national identifier with the person's papers. */
B_NODISCARD enum b_code service_directory_verify(struct service *sv, const char *ref,
                                                 struct store_user *ret, struct b_err *err);

/* --- reading -----------------------------------------------------------------------------------
 */

/* A resource as a document. B_E_NOT_FOUND. *ret is the caller's. */
B_NODISCARD enum b_code service_user_json(struct store *s, const struct store_user *u,
                                          const char *base, json_t **ret, struct b_err *err);
B_NODISCARD enum b_code service_team_json(struct store *s, const struct store_team *t,
                                          const char *base, json_t **ret, struct b_err *err);
B_NODISCARD enum b_code service_resource_get(struct store *s, enum scim_type type, int64_t id,
                                             const char *base, json_t **ret, struct b_err *err);
/* "u12", "g3": 0 when it is none. */
int64_t service_resource_id(enum scim_type type, const char *text);

struct service_listing {
    enum scim_type type;
    const char *filter; /* NULL: all */
    const char *attributes, *excluded;
    const char *base;
    int64_t start, count; /* from 1 */
    int64_t total;        /* after it: how many fit */
    json_t *items;        /* after it: the page; the caller's */
};
B_NODISCARD enum b_code service_resource_list(struct store *s, struct service_listing *io,
                                              struct b_err *err);

/* --- tokens ------------------------------------------------------------------------------------
 */

enum { SERVICE_TOKEN_TEXT = 56 };
/* A new token; its text is told once. expires: 0: does not. */
B_NODISCARD enum b_code service_token_add(struct service *sv, const char *name, uint8_t rights,
                                          int64_t expires, struct store_token *ret,
                                          char text[static SERVICE_TOKEN_TEXT], struct b_err *err);
B_NODISCARD enum b_code service_token_revoke(struct service *sv, const char *name,
                                             struct store_token *ret, struct b_err *err);
/* Whose token this is. B_E_TOKEN_UNKNOWN: nobody's, revoked or expired. */
B_NODISCARD enum b_code service_token_find(struct store *s, const char *text,
                                           struct store_token *ret, struct b_err *err);
/* It was used for what it has no right to: written in the journal. */
B_NODISCARD enum b_code service_token_refused(struct service *sv, const struct store_token *t,
                                              const char *what, struct b_err *err);
/* "scim:read,scim:write" and back; 0 when one is none. */
uint8_t service_rights_from(const char *list);
const char *service_rights_text(uint8_t rights);

/* --- orphans -----------------------------------------------------------------------------------
 */

enum service_orphan_kind {
    SERVICE_ORPHAN_BADGE,    /* a badge in use whose holder the directory does not know */
    SERVICE_ORPHAN_PERSON,   /* somebody who has left has a badge that was not revoked */
    SERVICE_ORPHAN_IDENTITY, /* a national identifier that was not verified for two years */
    SERVICE_ORPHAN_KINDS
};
const char *service_orphan_name(enum service_orphan_kind kind);
struct service_orphan {
    enum service_orphan_kind kind;
    int64_t badge; /* 0: none */
    const char *ref, *name;
    const char *state; /* of the badge, or of the holder */
    int64_t at;        /* badge made; person left; last verified, 0: never */
};
B_NODISCARD enum b_code service_orphans(struct store *s, int64_t now,
                                        void (*fn)(void *ctx, const struct service_orphan *o),
                                        void *ctx, struct b_err *err);

#endif
