/* Campaigns: docs/api.md, "Campaigns". */
#include <string.h>

#include "http/http.h"
#include "service/campaign.h"
#include "service/json.h"

static enum b_code find(struct http_call *c, struct store_campaign *ret, struct b_err *err)
{
    int64_t id = 0;
    enum b_code r = http_id(c, &id, err);
    return r == B_OK ? store_campaign_by_id(c->service.store, id, ret, err) : r;
}

static enum b_code answer(struct http_call *c, const struct store_campaign *k)
{
    json_t *o = service_json_campaign(k);
    (void)json_object_update(c->out, o);
    json_decref(o);
    return B_OK;
}

struct page {
    struct http_page p;
    const struct store_campaign *campaign;
};

static bool add_campaign(void *ctx, const struct store_campaign *k)
{
    struct http_page *p = ctx;
    return k->id <= p->after || http_page_add(p, k->id, service_json_campaign(k));
}

enum b_code http_campaign_list(struct http_call *c, struct b_err *err)
{
    struct http_page p;
    enum b_code r = http_page(c, &p, err);
    if (r != B_OK)
        return r;
    r = store_campaign_each(c->service.store, add_campaign, &p, err);
    http_page_end(c, &p);
    return r;
}

enum b_code http_campaign_show(struct http_call *c, struct b_err *err)
{
    struct store_campaign k;
    json_t *o = NULL;
    enum b_code r = find(c, &k, err);
    if (r == B_OK)
        r = service_campaign_figures(c->service.store, &k, &o, err);
    if (r == B_OK)
        (void)json_object_update(c->out, o);
    json_decref(o);
    return r;
}

static bool add_badge(void *ctx, const struct store_badge *b)
{
    struct page *p = ctx;
    return !service_campaign_lacks(p->campaign, b) ||
           http_page_add(&p->p, b->id, service_json_badge(b));
}

enum b_code http_campaign_badges(struct http_call *c, struct b_err *err)
{
    struct store_campaign k;
    struct page p = {.campaign = &k};
    enum b_code r = find(c, &k, err);
    if (r == B_OK)
        r = http_page(c, &p.p, err);
    if (r != B_OK)
        return r;
    r = store_badge_each(c->service.store, p.p.after, NULL, add_badge, &p, err);
    http_page_end(c, &p.p);
    return r;
}

enum b_code http_campaign_start(struct http_call *c, struct b_err *err)
{
    const char *name = NULL;
    struct store_campaign k;
    enum b_code r = http_text(c, "role", 16, &name, err);
    enum key_role role = r == B_OK ? key_role_from(name) : KEY_ROLE_COUNT;
    if (r == B_OK && role == KEY_ROLE_COUNT)
        r = b_err_set(err, B_E_BAD_INPUT, 0, "field role: picc, app, auth, read or write");
    if (r == B_OK)
        r = service_campaign_start(&c->service, role, &k, err);
    c->status = 201;
    return r == B_OK ? answer(c, &k) : r;
}

enum b_code http_campaign_pause(struct http_call *c, struct b_err *err)
{
    const char *why = NULL;
    struct store_campaign k;
    enum b_code r = find(c, &k, err);
    if (r == B_OK)
        r = http_optional(c, "why", sizeof(k.why) - 1, &why, err);
    if (r == B_OK)
        r = service_campaign_pause(&c->service, k.id, why, &k, err);
    return r == B_OK ? answer(c, &k) : r;
}

enum b_code http_campaign_resume(struct http_call *c, struct b_err *err)
{
    struct store_campaign k;
    enum b_code r = find(c, &k, err);
    if (r == B_OK)
        r = service_campaign_resume(&c->service, k.id, &k, err);
    return r == B_OK ? answer(c, &k) : r;
}

enum b_code http_campaign_end(struct http_call *c, struct b_err *err)
{
    struct store_campaign k;
    enum b_code r = find(c, &k, err);
    if (r == B_OK)
        r = service_campaign_end(&c->service, k.id, &k, err);
    return r == B_OK ? answer(c, &k) : r;
}

/* What is not given stays as it is. */
enum b_code http_campaign_limit(struct http_call *c, struct b_err *err)
{
    struct store_campaign k = {.id = 0};
    enum b_code r = find(c, &k, err);
    int64_t pace = k.pace;
    int64_t percent = k.pause_percent;
    if (r == B_OK && json_object_get(c->body, "pace") != NULL)
        r = http_number(c, "pace", 0, SERVICE_CAMPAIGN_PACE_MAX, &pace, err);
    if (r == B_OK && json_object_get(c->body, "pause_percent") != NULL)
        r = http_number(c, "pause_percent", 0, 100, &percent, err);
    if (r == B_OK)
        r = service_campaign_limit(&c->service, k.id, (uint32_t)pace, (uint32_t)percent, &k, err);
    return r == B_OK ? answer(c, &k) : r;
}
