#include "vault/quorum.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "vault/ceremony.h"
#include "vault/identity.h"

struct roster {
    unsigned quorum;
    size_t count;
    uint8_t points[VAULTD_APPROVERS_MAX][CRYPTO_P256_POINT];
};

struct proposal {
    uint8_t roster[32];
    char action[32], argument[VAULTD_LINE_MAX];
    int64_t expires;
};

/* --- texts -------------------------------------------------------------------------------------
 */

/* Takes a line "name value" off the text; value is "" for a line without one. */
static bool take_line(struct b_rd *r, const char *name, char *value, size_t cap)
{
    char line[2 * VAULTD_LINE_MAX];
    const uint8_t *end = r->left > 0 ? memchr(r->p, '\n', r->left) : NULL;
    size_t n = end != NULL ? (size_t)(end - r->p) : sizeof(line);
    if (n >= sizeof(line))
        return false;
    b_rd_bytes(r, line, n);
    line[n] = '\0';
    b_rd_skip(r, 1);
    size_t length = strlen(name);
    if (strlen(line) != n || strncmp(line, name, length) != 0)
        return false;
    const char *rest = line + length;
    if (*rest == ' ')
        rest++;
    else if (*rest != '\0')
        return false;
    if (strlen(rest) >= cap)
        return false;
    memcpy(value, rest, strlen(rest) + 1);
    return true;
}

static bool parse_number(const char *text, int64_t *ret)
{
    char *end = NULL;
    *ret = strtoll(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0';
}

/* Somebody who stands in it twice would be a quorum of their own. */
static bool has_twice(const struct roster *r)
{
    for (size_t i = 0; i < r->count; i++)
        for (size_t j = 0; j < i; j++)
            if (b_ct_eq(r->points[i], r->points[j], CRYPTO_P256_POINT))
                return true;
    return false;
}

static bool parse_roster(const struct vaultd *d, struct b_rd r, struct roster *ret)
{
    char value[2 * VAULTD_LINE_MAX];
    int64_t quorum = 0;
    *ret = (struct roster){.count = 0};
    if (!take_line(&r, "tessere-roster/v1", value, 1) ||
        !take_line(&r, "establishment", value, sizeof(value)) ||
        strcmp(value, vaultd_config(d)->establishment) != 0 ||
        !take_line(&r, "quorum", value, sizeof(value)) || !parse_number(value, &quorum))
        return false;
    while (r.left > 0) {
        if (ret->count == VAULTD_APPROVERS_MAX || !take_line(&r, "approver", value, sizeof(value)))
            return false;
        const char *hex = strchr(value, ' ');
        struct b_wr w = b_wr_from(ret->points[ret->count++], CRYPTO_P256_POINT);
        if (hex == NULL || !b_unhex(&w, hex + 1) || w.len != CRYPTO_P256_POINT)
            return false;
    }
    ret->quorum = (unsigned)quorum;
    return quorum >= 2 && (size_t)quorum <= ret->count && !has_twice(ret);
}

static bool parse_proposal(const struct vaultd *d, struct b_rd r, struct proposal *ret)
{
    char value[VAULTD_LINE_MAX];
    int64_t number = 0;
    struct b_wr w = b_wr_from(ret->roster, sizeof(ret->roster));
    return take_line(&r, "tessere-proposal/v1", value, 1) &&
           take_line(&r, "establishment", value, sizeof(value)) &&
           strcmp(value, vaultd_config(d)->establishment) == 0 &&
           take_line(&r, "roster", value, sizeof(value)) && b_unhex(&w, value) && w.len == 32 &&
           take_line(&r, "number", value, sizeof(value)) && parse_number(value, &number) &&
           take_line(&r, "action", ret->action, sizeof(ret->action)) &&
           take_line(&r, "argument", ret->argument, sizeof(ret->argument)) &&
           take_line(&r, "proposer", value, sizeof(value)) &&
           take_line(&r, "expires", value, sizeof(value)) && parse_number(value, &ret->expires) &&
           r.left == 0;
}

/* --- the anchor --------------------------------------------------------------------------------
 */

static const char roster_anchor[] = "roster";
static const char policy_anchor[] = "policy";

static enum b_code read_anchor(struct vaultd *d, const char *name, uint8_t digest[static 32],
                               bool *ret_is_there, struct b_err *err)
{
    uint8_t bytes[CUSTODY_ANCHOR_MAX];
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    enum b_code r = vaultd_anchor_get(d, name, &w, ret_is_there, err);
    if (r != B_OK || !*ret_is_there)
        return r;
    if (w.len != 32)
        return b_err_set(err, B_E_TOKEN_FAILED, 0, "the token's anchor of the %s is broken", name);
    memcpy(digest, bytes, 32);
    return B_OK;
}

static enum b_code write_anchor(struct vaultd *d, const char *name, const uint8_t digest[static 32],
                                struct b_err *err)
{
    return vaultd_anchor_put(d, name, b_rd_from(digest, 32), err);
}

enum b_code vaultd_has_roster(struct vaultd *d, bool *ret, struct b_err *err)
{
    uint8_t digest[32];
    return read_anchor(d, roster_anchor, digest, ret, err);
}

enum b_code vaultd_anchors(struct vaultd *d, struct wire_out *answer, struct b_err *err)
{
    const char *const names[] = {roster_anchor, policy_anchor};
    for (size_t i = 0; i < B_COUNT(names); i++) {
        uint8_t digest[32];
        bool is_there = false;
        enum b_code r = read_anchor(d, names[i], digest, &is_there, err);
        if (r != B_OK)
            return r;
        wire_put_bytes(answer, digest, is_there ? sizeof(digest) : 0);
    }
    return B_OK;
}

/* The policy first: with the roster, dual control stands. */
enum b_code vaultd_found_roster(struct vaultd *d, struct b_rd roster, struct b_rd policy,
                                struct b_err *err)
{
    struct roster parsed;
    uint8_t digest[32];
    bool is_there = false;
    enum b_code r = read_anchor(d, roster_anchor, digest, &is_there, err);
    if (r != B_OK)
        return r;
    if (is_there)
        return b_err_set(err, B_E_QUORUM, 0,
                         "this establishment has a roster: it is changed by a proposal");
    if (!parse_roster(d, roster, &parsed) || policy.left != sizeof(digest))
        return b_err_set(err, B_E_BAD_INPUT, 0,
                         "the roster: a quorum of at least 2, and as many approvers, each with a "
                         "key of their own");
    b_rd_bytes(&policy, digest, sizeof(digest));
    r = write_anchor(d, policy_anchor, digest, err);
    crypto_sha256(roster.p, roster.left, digest);
    return r == B_OK ? write_anchor(d, roster_anchor, digest, err) : r;
}

/* --- carrying out ------------------------------------------------------------------------------
 */

/* Distinct approvers of the roster whose signatures verify; any other signature is refused. */
static enum b_code count_approvals(const struct roster *roster, const struct vaultd_carry *c,
                                   struct b_err *err)
{
    bool has_approved[VAULTD_APPROVERS_MAX] = {false};
    unsigned count = 0;
    struct b_rd r = c->approvals;
    while (r.left > 0) {
        size_t at = 0;
        const uint8_t *signature = b_rd_direct(&r, CRYPTO_SIGNATURE);
        while (signature != NULL && at < roster->count &&
               (has_approved[at] || !crypto_es256_verify(roster->points[at], c->proposal.p,
                                                         c->proposal.left, signature)))
            at++;
        if (signature == NULL || at == roster->count)
            return b_err_set(
                err, B_E_APPROVAL_BAD, 0,
                "a signature that is no approver's, or one of somebody who has approved");
        has_approved[at] = true;
        count++;
    }
    if (count < roster->quorum)
        return b_err_set(err, B_E_QUORUM, 0, "%u of %u", count, roster->quorum);
    return B_OK;
}

/* "auth 4" */
static bool parse_key(const char *argument, enum key_role *ret_role, uint8_t *ret_generation)
{
    char name[16] = "";
    size_t n = strcspn(argument, " ");
    int64_t generation = 0;
    if (n < sizeof(name))
        memcpy(name, argument, n);
    *ret_role = key_role_from(name);
    if (*ret_role == KEY_ROLE_COUNT || argument[n] != ' ' ||
        !parse_number(argument + n + 1, &generation) || generation < 1 ||
        generation > KEY_GENERATION_MAX)
        return false;
    *ret_generation = (uint8_t)generation;
    return true;
}

/* A key that the token has already, made by a rotation that was cut before it was written down. */
static enum b_code take_made(struct vaultd *d, enum key_role role, uint8_t generation,
                             struct custody_key *ret, struct b_err *err)
{
    static _Thread_local struct custody_key keys[CUSTODY_KEYS_MAX];
    size_t n = 0;
    enum b_code r = d->keyring.list(d->keyring.ctx, vaultd_config(d), keys, B_COUNT(keys), &n, err);
    for (size_t i = 0; r == B_OK && i < n; i++) {
        if (keys[i].role != role || keys[i].generation != generation)
            continue;
        *ret = keys[i];
        return keys[i].is_safe ? B_OK
                               : b_err_set(err, B_E_KEY_UNSAFE, 0, "key %s %u of the token",
                                           key_role_name(role), generation);
    }
    return r == B_OK
               ? b_err_set(err, B_E_KEY_MISSING, 0, "key %s %u", key_role_name(role), generation)
               : r;
}

static enum b_code rotate(struct vaultd *d, const char *argument, struct custody_key *ret,
                          struct b_err *err)
{
    enum key_role role;
    uint8_t generation = 0;
    if (!parse_key(argument, &role, &generation))
        return b_err_set(err, B_E_BAD_INPUT, 0, "rotate: a role and a generation, not \"%.40s\"",
                         argument);
    enum b_code r =
        d->keyring.generate(d->keyring.ctx, vaultd_config(d), role, generation, ret, err);
    return r == B_E_KEY_EXISTS ? take_made(d, role, generation, ret, err) : r;
}

/* A generation that is retired or compromised: none of its keys is kept here any more. */
static void forget(struct vaultd *d, const struct proposal *p)
{
    enum key_role role;
    uint8_t generation = 0;
    char key[16] = ""; /* "auth 3": what is written off may follow */
    size_t n = strcspn(p->argument, " ");
    n += p->argument[n] == ' ' ? 1 + strcspn(p->argument + n + 1, " ") : 0;
    if (n < sizeof(key))
        memcpy(key, p->argument, n);
    bool ends = strcmp(p->action, "retire") == 0 || strcmp(p->action, "compromise") == 0;
    if (ends && parse_key(key, &role, &generation) && role == KEY_ROLE_AUTH)
        vaultd_cache_forget(d->shared->cache, generation);
}

/* What is in force from now on, by its digest. */
static enum b_code replace(struct vaultd *d, const char *name, const char *argument,
                           struct b_err *err)
{
    uint8_t digest[32];
    struct b_wr w = b_wr_from(digest, sizeof(digest));
    if (!b_unhex(&w, argument) || w.len != sizeof(digest))
        return b_err_set(err, B_E_BAD_INPUT, 0, "%s: the digest of the new one", name);
    return write_anchor(d, name, digest, err);
}

/* "1204 <root>". Once: accepted again, it would be a second history from there. */
static enum b_code accept_journal(struct vaultd *d, const char *argument,
                                  const struct vaultd_once *once, int64_t now, struct b_err *err)
{
    char number[24] = "";
    uint8_t root[32];
    struct b_wr w = b_wr_from(root, sizeof(root));
    int64_t size = 0;
    size_t n = strcspn(argument, " ");
    if (n < sizeof(number))
        memcpy(number, argument, n);
    if (argument[n] != ' ' || !parse_number(number, &size) || size < 0 ||
        !b_unhex(&w, argument + n + 1) || w.len != sizeof(root))
        return b_err_set(err, B_E_BAD_INPUT, 0, "accept: a size and a root, not \"%.80s\"",
                         argument);
    enum b_code r = vaultd_act_once(d, once, now, err);
    return r == B_OK ? vaultd_journal_accept(d, (uint64_t)size, root, err) : r;
}

static void put_receipt(const struct vaultd_identity *id, struct b_rd proposal,
                        struct wire_out *answer)
{
    static const char head[] = "tessere-receipt/v1\n";
    static _Thread_local uint8_t message[4096];
    uint8_t signature[64];
    struct b_wr w = b_wr_from(message, sizeof(message));
    b_wr_bytes(&w, head, sizeof(head) - 1);
    b_wr_bytes(&w, proposal.p, proposal.left);
    crypto_ed25519_sign(id->journal, message, w.len, signature);
    wire_put_bytes(answer, signature, b_wr_ok(&w) ? sizeof(signature) : 0);
}

enum b_code vaultd_carry_out(struct vaultd *d, const struct vaultd_carry *carry,
                             struct wire_out *answer, struct b_err *err)
{
    static _Thread_local struct roster roster;
    struct proposal p = {.expires = 0};
    const struct vaultd_identity *id = NULL;
    struct custody_key key = {.generation = 0};
    uint8_t anchor[32];
    uint8_t digest[32];
    bool has_roster = false;
    enum b_code r = vaultd_identity(d, &id, err);
    if (r == B_OK)
        r = read_anchor(d, roster_anchor, anchor, &has_roster, err);
    if (r != B_OK)
        return r;
    crypto_sha256(carry->roster.p, carry->roster.left, digest);
    if (!has_roster || !b_ct_eq(digest, anchor, sizeof(anchor)) ||
        !parse_roster(d, carry->roster, &roster))
        return b_err_set(err, B_E_QUORUM, 0, "the roster is not the one that the token knows");
    if (!parse_proposal(d, carry->proposal, &p) || !b_ct_eq(p.roster, anchor, sizeof(anchor)))
        return b_err_set(err, B_E_APPROVAL_BAD, 0, "the proposal is not for this roster");
    if (p.expires <= carry->now)
        return b_err_set(err, B_E_PROPOSAL_EXPIRED, 0, "at %lld", (long long)p.expires);
    r = count_approvals(&roster, carry, err);
    const struct vaultd_once once = vaultd_once_of(carry->proposal, p.expires);
    bool is_rotation = strcmp(p.action, "rotate") == 0;
    if (r == B_OK && is_rotation)
        r = rotate(d, p.argument, &key, err);
    else if (r == B_OK &&
             (strcmp(p.action, roster_anchor) == 0 || strcmp(p.action, policy_anchor) == 0))
        r = replace(d, p.action, p.argument, err);
    else if (r == B_OK && strcmp(p.action, "accept") == 0)
        r = accept_journal(d, p.argument, &once, carry->now, err);
    else if (r == B_OK && strcmp(p.action, "ceremony") == 0)
        r = vaultd_ceremony_permit(d, p.argument, &once, err);
    if (r != B_OK)
        return r;
    forget(d, &p);
    put_receipt(id, carry->proposal, answer);
    size_t mark = wire_open_bytes(answer);
    if (is_rotation)
        vaultd_put_key(&key, answer->w);
    wire_close_bytes(answer, mark);
    return B_OK;
}
