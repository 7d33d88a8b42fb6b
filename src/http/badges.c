/* Badges and keys. */
#include <stdio.h>
#include <string.h>

#include "desfire/desfire.h"
#include "http/http.h"
#include "service/json.h"
#include "service/stock.h"

static bool add_badge(void *ctx, const struct store_badge *b)
{
    return http_page_add(ctx, b->id, service_json_badge(b));
}

enum b_code http_badge_list(struct http_call *c, struct b_err *err)
{
    struct http_page p;
    enum b_code r = http_page(c, &p, err);
    if (r != B_OK)
        return r;
    r = store_badge_each(c->service.store, p.after, c->query(c->query_ctx, "holder"), add_badge, &p,
                         err);
    http_page_end(c, &p);
    return r;
}

static bool add_history(void *ctx, const struct store_entry *e)
{
    json_t *body = json_loadb(e->body, e->body_len, 0, NULL);
    if (body != NULL)
        (void)json_object_set_new(body, "entry", json_integer((json_int_t)e->index));
    return json_array_append_new(ctx, body) == 0;
}

enum b_code http_badge_show(struct http_call *c, struct b_err *err)
{
    enum { HISTORY = 50 };
    int64_t id = 0;
    struct store_badge b;
    enum b_code r = http_id(c, &id, err);
    if (r == B_OK)
        r = store_badge_by_id(c->service.store, id, &b, err);
    if (r != B_OK)
        return r;
    json_t *history = json_array();
    json_t *badge = service_json_badge(&b);
    (void)json_object_update(c->out, badge);
    json_decref(badge);
    (void)json_object_set_new(c->out, "history", history);
    const struct store_entry_range range = {.badge_id = id, .count = HISTORY, .is_newest = true};
    return store_entry_each(c->service.store, &range, add_history, history, err);
}

static enum b_code change(struct http_call *c,
                          enum b_code (*fn)(struct service *, int64_t, const char *,
                                            struct b_err *),
                          struct b_err *err)
{
    int64_t id = 0;
    const char *reason = NULL;
    struct store_badge b;
    enum b_code r = http_id(c, &id, err);
    if (r == B_OK)
        r = http_optional(c, "reason", STORE_TEXT_MAX - 1, &reason, err);
    if (r == B_OK)
        r = fn(&c->service, id, reason, err);
    if (r == B_OK)
        r = store_badge_by_id(c->service.store, id, &b, err);
    if (r != B_OK)
        return r;
    json_t *badge = service_json_badge(&b);
    (void)json_object_update(c->out, badge);
    json_decref(badge);
    return B_OK;
}

enum b_code http_badge_suspend(struct http_call *c, struct b_err *err)
{
    return change(c, service_suspend, err);
}

enum b_code http_badge_revoke(struct http_call *c, struct b_err *err)
{
    return change(c, service_revoke, err);
}

static enum b_code reinstate(struct service *sv, int64_t id, const char *reason, struct b_err *err)
{
    (void)reason;
    return service_reinstate(sv, id, err);
}

enum b_code http_badge_reinstate(struct http_call *c, struct b_err *err)
{
    return change(c, reinstate, err);
}

static enum b_code issue(struct service *sv, int64_t id, const char *reason, struct b_err *err)
{
    (void)reason;
    return service_stock_issue(sv, id, err);
}

enum b_code http_badge_issue(struct http_call *c, struct b_err *err)
{
    return change(c, issue, err);
}

static enum b_code bring_back(struct service *sv, int64_t id, const char *reason, struct b_err *err)
{
    struct store_card_event e = {.kind = STORE_CARD_RETURNED, .badge_id = id};
    (void)snprintf(e.reason, sizeof(e.reason), "%s", reason);
    return service_stock_event(sv, &e, err);
}

enum b_code http_badge_return(struct http_call *c, struct b_err *err)
{
    return change(c, bring_back, err);
}

enum b_code http_badge_validity(struct http_call *c, struct b_err *err)
{
    int64_t id = 0;
    int64_t from = 0;
    int64_t to = 0;
    struct store_badge b;
    enum b_code r = http_id(c, &id, err);
    if (r == B_OK)
        r = http_optional_number(c, "not_before", 0, INT64_MAX, &from, err);
    if (r == B_OK)
        r = http_optional_number(c, "not_after", 0, INT64_MAX, &to, err);
    if (r == B_OK)
        r = service_validity(&c->service, id, from, to,
                             json_is_true(json_object_get(c->body, "temporary")), err);
    if (r == B_OK)
        r = store_badge_by_id(c->service.store, id, &b, err);
    if (r != B_OK)
        return r;
    json_t *badge = service_json_badge(&b);
    (void)json_object_update(c->out, badge);
    json_decref(badge);
    return B_OK;
}

enum b_code http_key_list(struct http_call *c, struct b_err *err)
{
    static _Thread_local struct store_generation gs[STORE_GENERATIONS_MAX];
    size_t count = 0;
    enum b_code r = store_generation_list(c->service.store, gs, B_COUNT(gs), &count, err);
    json_t *items = json_array();
    for (size_t i = 0; r == B_OK && i < count; i++) {
        char kcv[7];
        b_hex(kcv, gs[i].kcv, sizeof(gs[i].kcv));
        (void)json_array_append_new(
            items, json_pack("{s:s, s:i, s:s, s:s, s:s, s:I}", "role", key_role_name(gs[i].role),
                             "generation", (int)gs[i].generation, "state",
                             store_generation_state_name(gs[i].state), "kcv", kcv, "kcv_method",
                             gs[i].kcv_method, "created_at", (json_int_t)gs[i].created_at));
    }
    (void)json_object_set_new(c->out, "items", items);
    return r;
}
