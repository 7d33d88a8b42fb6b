#include "vault/claims.h"

#include <string.h>

/* RFC 8259. Each function takes one thing off the reader, and makes it bad when that is not there.
 */

static bool take(struct b_rd *r, char c)
{
    if (r->bad || r->left == 0 || *r->p != (uint8_t)c)
        return false;
    b_rd_skip(r, 1);
    return true;
}

static void need(struct b_rd *r, char c)
{
    if (!take(r, c))
        r->bad = true;
}

/* By number only U+0001 to U+00FF: others stand as they are, and surrogates are no characters. */
static void take_escape(struct b_rd *r)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    uint8_t c = b_rd_u8(r);
    if (c == 0 || strchr("\"\\/bfnrtu", c) == NULL)
        r->bad = true;
    if (c != 'u')
        return;
    need(r, '0');
    need(r, '0');
    uint8_t high = b_rd_u8(r);
    uint8_t low = b_rd_u8(r);
    if (high == 0 || low == 0 || strchr(digits, high) == NULL || strchr(digits, low) == NULL ||
        (high == '0' && low == '0'))
        r->bad = true;
}

static void take_string(struct b_rd *r)
{
    need(r, '"');
    while (!r->bad && !take(r, '"')) {
        uint32_t c = b_rd_utf8(r);
        if (c < 0x20)
            r->bad = true;
        if (c == '\\')
            take_escape(r);
    }
}

static void take_digits(struct b_rd *r)
{
    size_t count = 0;
    for (; !r->bad && r->left > 0 && *r->p >= '0' && *r->p <= '9'; count++)
        b_rd_skip(r, 1);
    if (count == 0)
        r->bad = true;
}

static void take_number(struct b_rd *r)
{
    (void)take(r, '-');
    if (!take(r, '0'))
        take_digits(r);
    if (take(r, '.'))
        take_digits(r);
    if (take(r, 'e') || take(r, 'E')) {
        if (!take(r, '+'))
            (void)take(r, '-');
        take_digits(r);
    }
}

static void take_word(struct b_rd *r, const char *word)
{
    while (*word != '\0')
        need(r, *word++);
}

static void take_value(struct b_rd *r, unsigned depth);

static void take_list(struct b_rd *r, char open, char close, unsigned depth)
{
    need(r, open);
    if (depth >= VAULTD_DEPTH_MAX)
        r->bad = true;
    if (take(r, close))
        return;
    do {
        if (open == '{') {
            take_string(r);
            need(r, ':');
        }
        take_value(r, depth + 1);
    } while (take(r, ','));
    need(r, close);
}

static void take_value(struct b_rd *r, unsigned depth)
{
    switch (!r->bad && r->left > 0 ? *r->p : 0) {
    case '{':
        take_list(r, '{', '}', depth);
        break;
    case '[':
        take_list(r, '[', ']', depth);
        break;
    case '"':
        take_string(r);
        break;
    case 't':
        take_word(r, "true");
        break;
    case 'f':
        take_word(r, "false");
        break;
    case 'n':
        take_word(r, "null");
        break;
    default:
        take_number(r);
    }
}

/* What was taken since. */
static struct b_rd since(const uint8_t *start, const struct b_rd *r)
{
    return b_rd_from(start, r->bad ? 0 : (size_t)(r->p - start));
}

static const struct b_rd *find(const struct vaultd_members *m, const void *name, size_t n)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->items[i].name.left == n && b_ct_eq(m->items[i].name.p, name, n))
            return &m->items[i].value;
    return NULL;
}

/* A name that is written with an escape could be another's. */
static bool take_member(struct b_rd *r, struct vaultd_members *m)
{
    const uint8_t *start = r->p;
    if (m->count == VAULTD_MEMBERS_MAX)
        return false;
    struct vaultd_member *item = &m->items[m->count];
    take_string(r);
    struct b_rd quoted = since(start, r);
    if (quoted.left < 3 || memchr(quoted.p, '\\', quoted.left) != NULL)
        return false;
    item->name = b_rd_from(quoted.p + 1, quoted.left - 2);
    need(r, ':');
    start = r->p;
    take_value(r, 1);
    item->value = since(start, r);
    if (r->bad || find(m, item->name.p, item->name.left) != NULL)
        return false;
    m->count++;
    return true;
}

bool vaultd_members(struct b_rd text, struct vaultd_members *ret)
{
    struct b_rd r = text;
    ret->count = 0;
    if (text.left < 2 || !take(&r, '{') || text.p[text.left - 1] != '}')
        return false;
    ret->body = b_rd_from(text.p + 1, text.left - 2);
    if (ret->body.left == 0)
        return true;
    do {
        if (!take_member(&r, ret))
            return false;
    } while (take(&r, ','));
    need(&r, '}');
    return b_rd_end(&r);
}

const struct b_rd *vaultd_member(const struct vaultd_members *m, const char *name)
{
    return find(m, name, strlen(name));
}

bool vaultd_member_is(const struct vaultd_members *m, const char *name, const char *value)
{
    const struct b_rd *v = vaultd_member(m, name);
    return v != NULL && v->left == strlen(value) && b_ct_eq(v->p, value, v->left);
}

bool vaultd_member_integer(const struct vaultd_members *m, const char *name, int64_t *ret)
{
    enum { DIGITS_MAX = 15 };
    const struct b_rd *v = vaultd_member(m, name);
    int64_t n = 0;
    if (v == NULL || v->left > DIGITS_MAX)
        return false;
    for (size_t i = 0; i < v->left; i++) {
        if (v->p[i] < '0' || v->p[i] > '9')
            return false;
        n = n * 10 + (v->p[i] - '0');
    }
    *ret = n;
    return true;
}
