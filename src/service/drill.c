#include "service/drill.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    json_t *detail =
        json_pack("{s:s, s:I, s:I, s:I, s:i, s:b}", "backup", d->copy, "rto_ms",
                  (json_int_t)d->rto_ms, "rpo_s", (json_int_t)d->rpo_s, "rpo_entries",
                  (json_int_t)d->rpo_entries, "masters", (int)d->masters, "tap", d->has_tapped);
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
                              .has_tapped = json_is_true(json_object_get(detail, "tap"))};
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
