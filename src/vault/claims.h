/*
 * The members of a JSON object as they stand there, for a vault that must know what it signs and
 * changes nothing of it. Read is only what json_dumps writes with JSON_COMPACT: no space between,
 * no escape in a name, by number only characters that JSON must escape. Whatever two readers could
 * take for two things is refused.
 */
#ifndef TESSERE_VAULT_CLAIMS_H
#define TESSERE_VAULT_CLAIMS_H

#include "base/base.h"

enum { VAULTD_MEMBERS_MAX = 32, VAULTD_DEPTH_MAX = 8 };

struct vaultd_member {
    struct b_rd name; /* without its quotes */
    struct b_rd value;
};
struct vaultd_members {
    size_t count;
    struct vaultd_member items[VAULTD_MEMBERS_MAX];
    struct b_rd body; /* what lies between the braces */
};

/* Borrows text. False: no such object, a name that comes twice, too many members or too deep. */
B_NODISCARD bool vaultd_members(struct b_rd text, struct vaultd_members *ret);
/* NULL: it has none of this name. */
const struct b_rd *vaultd_member(const struct vaultd_members *m, const char *name);
/* Whether it is there, and stands there so. */
B_NODISCARD bool vaultd_member_is(const struct vaultd_members *m, const char *name,
                                  const char *value);
/* A number without sign, fraction or exponent, below 10^15. */
B_NODISCARD bool vaultd_member_integer(const struct vaultd_members *m, const char *name,
                                       int64_t *ret);

#endif
