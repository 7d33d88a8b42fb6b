/* The rules as a record: what may stand in them, and their canonical form. */
#include <stdio.h>
#include <string.h>

#include "crypto/crypto.h"
#include "policy/policy.h"

void policy_default(struct policy *ret)
{
    static const uint32_t waits[] = {0, 0, 5, 30, 300};
    memset(ret, 0, sizeof(*ret));
    (void)snprintf(ret->head.timezone, sizeof(ret->head.timezone), "Europe/Paris");
    ret->head.debounce_ms = 1500;
    ret->head.pin_digits = 6;
    ret->head.wait_count = B_COUNT(waits);
    memcpy(ret->head.waits, waits, sizeof(waits));
    ret->head.lock_after = 10;
    ret->by_default =
        (struct policy_rule){.factor = POLICY_FACTOR_PIN_SHIFT, .shift_hours = 12, .group = ""};
}

/* --- what may stand in them ------------------------------------------------------------------- */

/* Letters of names: they are in URLs, logs and TZ, which a name with ':' or '..' could turn into a
 * path. */
static bool is_name(const char *text, const char *others)
{
    size_t n = strnlen(text, POLICY_NAME_MAX);
    bool is_sound = n > 0 && n < POLICY_NAME_MAX && text[0] != '/' && strstr(text, "..") == NULL;
    for (size_t i = 0; is_sound && i < n; i++) {
        char c = text[i];
        is_sound = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                   strchr(others, c) != NULL;
    }
    return is_sound;
}

static bool is_group_name(const char *text)
{
    size_t n = strnlen(text, POLICY_NAME_MAX);
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F)
            return false;
    }
    return n > 0 && n < POLICY_NAME_MAX;
}

static bool is_window(const struct policy_window *w)
{
    return w->days != 0 && w->days < 0x80 && w->from < POLICY_DAY && w->to <= POLICY_DAY &&
           w->from != w->to;
}

static enum b_code check_rule(const struct policy_rule *r, const char *path, struct b_err *err)
{
    bool is_shift = r->factor == POLICY_FACTOR_PIN_SHIFT;
    if ((size_t)r->factor >= POLICY_FACTOR_COUNT)
        return b_err_set(err, B_E_CONFIG, 0, "%s/second-factor: none, pin-always or pin-shift",
                         path);
    if (is_shift ? r->shift_hours < 1 || r->shift_hours > POLICY_SHIFT_HOURS_MAX
                 : r->shift_hours != 0)
        return b_err_set(err, B_E_CONFIG, 0,
                         "%s/shift-hours: 1 to %d, with second-factor pin-shift and only then",
                         path, POLICY_SHIFT_HOURS_MAX);
    if (r->window_count > POLICY_WINDOWS_MAX)
        return b_err_set(err, B_E_CONFIG, 0, "%s/hours: at most %d", path, POLICY_WINDOWS_MAX);
    for (size_t i = 0; i < r->window_count; i++) {
        if (!is_window(&r->windows[i]))
            return b_err_set(err, B_E_CONFIG, 0,
                             "%s/hours/%zu: days and hours, as in \"mon-fri 07:00-20:00\"", path,
                             i);
    }
    if ((size_t)r->outside >= POLICY_OUTSIDE_COUNT)
        return b_err_set(err, B_E_CONFIG, 0, "%s/outside-hours: refuse or pin", path);
    if (r->grace_minutes > POLICY_GRACE_MINUTES_MAX)
        return b_err_set(err, B_E_CONFIG, 0, "%s/grace-minutes: 0 to %d", path,
                         POLICY_GRACE_MINUTES_MAX);
    return B_OK;
}

static enum b_code check_pin(const struct policy *p, struct b_err *err)
{
    if (p->head.pin_digits < POLICY_PIN_DIGITS_MIN || p->head.pin_digits > POLICY_PIN_DIGITS_MAX)
        return b_err_set(err, B_E_CONFIG, 0, "pin/digits: %d to %d", POLICY_PIN_DIGITS_MIN,
                         POLICY_PIN_DIGITS_MAX);
    if (p->head.wait_count < 1 || p->head.wait_count > POLICY_WAITS_MAX)
        return b_err_set(err, B_E_CONFIG, 0, "pin/waits: 1 to %d numbers", POLICY_WAITS_MAX);
    for (size_t i = 0; i < p->head.wait_count; i++) {
        if (p->head.waits[i] > POLICY_WAIT_MAX ||
            (i > 0 && p->head.waits[i] < p->head.waits[i - 1]))
            return b_err_set(err, B_E_CONFIG, 0,
                             "pin/waits/%zu: seconds, %d at most, never less than the one before",
                             i, POLICY_WAIT_MAX);
    }
    if (p->head.lock_after < 1 || p->head.lock_after > POLICY_LOCK_AFTER_MAX)
        return b_err_set(err, B_E_CONFIG, 0, "pin/lock-after: 1 to %d", POLICY_LOCK_AFTER_MAX);
    return B_OK;
}

static enum b_code check_groups(const struct policy *p, struct b_err *err)
{
    if (p->head.group_count > POLICY_GROUPS_MAX)
        return b_err_set(err, B_E_CONFIG, 0, "groups: at most %d", POLICY_GROUPS_MAX);
    enum b_code r = B_OK;
    for (size_t i = 0; r == B_OK && i < p->head.group_count; i++) {
        char path[24];
        (void)snprintf(path, sizeof(path), "groups/%zu", i);
        if (!is_group_name(p->groups[i].group))
            return b_err_set(err, B_E_CONFIG, 0, "%s/name: a name of at most %d bytes", path,
                             POLICY_NAME_MAX - 1);
        for (size_t k = 0; k < i; k++) {
            if (strcmp(p->groups[i].group, p->groups[k].group) == 0)
                return b_err_set(err, B_E_CONFIG, 0, "%s/name: this group has a rule already",
                                 path);
        }
        r = check_rule(&p->groups[i], path, err);
    }
    return r;
}

enum b_code policy_check(const struct policy *p, struct b_err *err)
{
    if (!is_name(p->head.timezone, "/_+-"))
        return b_err_set(err, B_E_CONFIG, 0, "timezone: the name of one, as in \"Europe/Paris\"");
    if ((size_t)p->head.language >= POLICY_LANGUAGE_COUNT)
        return b_err_set(err, B_E_CONFIG, 0, "language: fr or en");
    if (p->head.debounce_ms > POLICY_DEBOUNCE_MS_MAX)
        return b_err_set(err, B_E_CONFIG, 0, "debounce-ms: 0 to %d", POLICY_DEBOUNCE_MS_MAX);
    enum b_code r = check_pin(p, err);
    if (r == B_OK && p->by_default.group[0] != '\0')
        r = b_err_set(err, B_E_CONFIG, 0, "default/name: the default is of no group");
    if (r == B_OK)
        r = check_rule(&p->by_default, "default", err);
    return r != B_OK ? r : check_groups(p, err);
}

/* --- the canonical form -----------------------------------------------------------------------
 *
 * "tessere-policy/1" as text, then the fields in the order below, numbers and texts as in
 * base/walk.h. Lists are a count and that many entries.
 */

static void walk_rule(struct b_walk *k, struct policy_rule *r)
{
    b_walk_text(k, r->group, sizeof(r->group));
    B_WALK(k, r->factor, POLICY_FACTOR_COUNT - 1);
    B_WALK(k, r->shift_hours, POLICY_SHIFT_HOURS_MAX);
    B_WALK(k, r->window_count, POLICY_WINDOWS_MAX);
    for (size_t i = 0; i < r->window_count; i++) {
        B_WALK(k, r->windows[i].days, 0x7F);
        B_WALK(k, r->windows[i].from, POLICY_DAY - 1);
        B_WALK(k, r->windows[i].to, POLICY_DAY);
    }
    B_WALK(k, r->outside, POLICY_OUTSIDE_COUNT - 1);
    B_WALK(k, r->grace_minutes, POLICY_GRACE_MINUTES_MAX);
}

/* All before the rules, with their number. */
static void walk_head(struct b_walk *k, struct policy_head *h)
{
    char form[20] = "tessere-policy/1";
    b_walk_text(k, form, sizeof(form));
    k->is_bad = k->is_bad || strcmp(form, "tessere-policy/1") != 0;
    b_walk_text(k, h->timezone, sizeof(h->timezone));
    B_WALK(k, h->language, POLICY_LANGUAGE_COUNT - 1);
    B_WALK(k, h->debounce_ms, POLICY_DEBOUNCE_MS_MAX);
    B_WALK(k, h->pin_digits, POLICY_PIN_DIGITS_MAX);
    B_WALK(k, h->wait_count, POLICY_WAITS_MAX);
    for (size_t i = 0; i < h->wait_count; i++)
        B_WALK(k, h->waits[i], POLICY_WAIT_MAX);
    B_WALK(k, h->lock_after, POLICY_LOCK_AFTER_MAX);
    B_WALK(k, h->group_count, POLICY_GROUPS_MAX);
}

/* The walk serves both directions and so wants to write: it is given copies. */
static void encode_head(const struct policy *p, struct b_wr *w)
{
    struct policy_head copy = p->head;
    struct b_walk k = {.w = w};
    walk_head(&k, &copy);
}

static void encode_rule(const struct policy_rule *r, struct b_wr *w)
{
    struct policy_rule copy = *r;
    struct b_walk k = {.w = w};
    walk_rule(&k, &copy);
}

void policy_encode(const struct policy *p, struct b_wr *w)
{
    encode_head(p, w);
    encode_rule(&p->by_default, w);
    for (size_t i = 0; i < p->head.group_count; i++)
        encode_rule(&p->groups[i], w);
}

bool policy_decode(struct b_rd *r, struct policy *ret)
{
    struct b_walk k = {.r = r};
    struct b_err why;
    memset(ret, 0, sizeof(*ret));
    walk_head(&k, &ret->head);
    walk_rule(&k, &ret->by_default);
    for (size_t i = 0; i < ret->head.group_count; i++)
        walk_rule(&k, &ret->groups[i]);
    return b_walk_ok(&k) && policy_check(ret, &why) == B_OK;
}

void policy_digest(const struct policy *p, uint8_t ret[static POLICY_DIGEST])
{
    uint8_t bytes[512];
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    encode_head(p, &w);
    b_check(b_wr_ok(&w));
    crypto_sha256(bytes, w.len, ret);
    for (size_t i = 0; i <= p->head.group_count; i++) {
        w = b_wr_from(bytes, sizeof(bytes));
        encode_rule(i == 0 ? &p->by_default : &p->groups[i - 1], &w);
        b_check(b_wr_ok(&w));
        crypto_sha256_two(ret, POLICY_DIGEST, bytes, w.len, ret);
    }
}
