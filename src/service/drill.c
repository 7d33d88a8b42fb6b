#include "service/drill.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "service/relay.h"

static const char setting[] =
    "drill"; /* when the last whole one was held: the journal need not be read */

struct noted {
    const struct service_drill *d;
    uint64_t entry;
};

static enum b_code note(struct service_change *c, void *ctx, struct b_err *err)
{
    struct noted *n = ctx;
    const struct service_drill *d = n->d;
    char at[24];
    (void)snprintf(at, sizeof(at), "%" PRId64, c->now);
    enum b_code r = d->is_partial ? B_OK : service_setting_put(c, setting, at, strlen(at), err);
    if (r != B_OK)
        return r;
    json_t *detail = json_pack("{s:s, s:I, s:I, s:I, s:i, s:b, s:i}", "backup", d->copy, "rto_ms",
                               (json_int_t)d->rto_ms, "rpo_s", (json_int_t)d->rpo_s, "rpo_entries",
                               (json_int_t)d->rpo_entries, "masters", (int)d->masters, "tap",
                               d->has_tapped, "sample", (int)d->sample);
    r = service_log(c, (struct service_entry){.kind = "drill", .detail = detail}, err);
    n->entry = c->edge->size - 1;
    return r;
}

enum b_code service_drill_note(struct service *sv, const struct service_drill *d,
                               uint64_t *ret_entry, struct b_err *err)
{
    struct noted n = {.d = d};
    enum b_code r = service_change(sv, note, &n, err);
    *ret_entry = n.entry;
    return r;
}

/* --- the keys of some badges --------------------------------------------------------------------
 */

enum { SAMPLE = 32 };

struct drawing {
    const struct service *sv;
    struct profile_generations known; /* generations that badges may still have */
    uint32_t seen;
    struct store_badge drawn[SAMPLE];
};

/* Each badge that counts has the same chance, in one pass. */
static bool draw(void *ctx, const struct store_badge *b)
{
    struct drawing *k = ctx;
    const struct profile_generations *g = &k->known;
    bool counts = (b->state == STORE_BADGE_ACTIVE || b->state == STORE_BADGE_SUSPENDED) &&
                  strcmp(b->profile_id, k->sv->profile.id) == 0 &&
                  memchr(g->known, b->generation[KEY_ROLE_AUTH], g->known_count) != NULL;
    if (!counts)
        return true;
    uint64_t random = 0;
    crypto_random(&random, sizeof(random));
    uint64_t at = k->seen < SAMPLE ? k->seen : random % (k->seen + 1);
    if (at < SAMPLE)
        k->drawn[at] = *b;
    k->seen++;
    return true;
}

static enum b_code check_value(struct service *sv, const struct store_badge *b,
                               uint8_t ret[static CRYPTO_KCV], struct b_err *err)
{
    struct vault_tap t = {.generation = b->generation[KEY_ROLE_AUTH],
                          .profile = &sv->profile,
                          .uid_len = sizeof(b->uid),
                          .serial_len = b->serial_len};
    memcpy(t.uid, b->uid, sizeof(b->uid));
    memcpy(t.serial, b->serial, b->serial_len);
    enum b_code r = service_stored_for_tap(sv, &t, err);
    return r == B_OK ? vault_tap_check(sv->vault, &t, ret, err) : r;
}

static enum b_code compare(struct service *live, struct service *restored,
                           const struct store_badge *b, struct b_err *err)
{
    uint8_t theirs[CRYPTO_KCV], ours[CRYPTO_KCV];
    enum b_code r = check_value(live, b, theirs, err);
    if (r == B_OK)
        r = check_value(restored, b, ours, err);
    if (r == B_OK && memcmp(theirs, ours, sizeof(ours)) != 0)
        r = b_err_set(err, B_E_KCV_DIFFERS, 0,
                      "badge %lld has another key than the masters that came back make",
                      (long long)b->id);
    return r;
}

enum b_code service_drill_sample(struct service *live, struct service *restored, unsigned *ret,
                                 struct b_err *err)
{
    struct drawing *k = calloc(1, sizeof(*k));
    *ret = 0;
    if (k == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "drawing badges");
    k->sv = live;
    enum b_code r = service_generations_of(live, KEY_ROLE_AUTH, &k->known, err);
    if (r == B_OK)
        r = store_badge_each(restored->store, 0, NULL, draw, k, err);
    uint32_t count = k->seen < SAMPLE ? k->seen : SAMPLE;
    for (uint32_t i = 0; r == B_OK && i < count; i++) {
        r = compare(live, restored, &k->drawn[i], err);
        *ret += r == B_OK ? 1 : 0;
    }
    free(k);
    return r == B_E_REFUSED ? B_OK : r;
}

/* --- those that were held -----------------------------------------------------------------------
 */

struct each {
    service_drill_fn *fn;
    void *ctx;
};

static uint64_t number(const json_t *o, const char *name)
{
    json_int_t v = json_integer_value(json_object_get(o, name));
    return v > 0 ? (uint64_t)v : 0;
}

/* Entries are canonical JSON: most are seen not to be drills without being parsed. */
static bool take(void *ctx, const struct store_entry *e)
{
    static const char sign[] = "\"kind\":\"drill\"";
    const struct each *k = ctx;
    if (memmem(e->body, e->body_len, sign, sizeof(sign) - 1) == NULL)
        return true;
    json_t *o = json_loadb(e->body, e->body_len, 0, NULL);
    const json_t *detail = json_object_get(o, "detail");
    const char *copy = json_string_value(json_object_get(detail, "backup"));
    struct service_drill d = {.at = (int64_t)number(o, "at"),
                              .rto_ms = number(detail, "rto_ms"),
                              .rpo_s = number(detail, "rpo_s"),
                              .rpo_entries = number(detail, "rpo_entries"),
                              .masters = (unsigned)number(detail, "masters"),
                              .has_tapped = json_is_true(json_object_get(detail, "tap")),
                              .sample = (unsigned)number(detail, "sample")};
    (void)snprintf(d.copy, sizeof(d.copy), "%s", copy != NULL ? copy : "");
    const char *kind = json_string_value(json_object_get(o, "kind"));
    bool goes_on = kind == NULL || strcmp(kind, "drill") != 0 || k->fn(k->ctx, &d);
    json_decref(o);
    return goes_on;
}

enum b_code service_drill_each(struct store *s, service_drill_fn *fn, void *ctx, struct b_err *err)
{
    const struct store_entry_range all = {.count = INT64_MAX};
    struct each k = {fn, ctx};
    return store_entry_each(s, &all, take, &k, err);
}

enum b_code service_drill_last(struct store *s, int64_t *ret, struct b_err *err)
{
    char at[24] = "";
    size_t n = 0;
    enum b_code r = store_setting_get(s, setting, at, sizeof(at) - 1, &n, err);
    *ret = r == B_OK ? strtoll(at, NULL, 10) : 0;
    return r == B_E_NOT_FOUND ? B_OK : r;
}
