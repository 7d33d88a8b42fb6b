/* Physical cards: docs/api.md, "Stock". */
#include "service/stock.h"

#include <string.h>

#include "http/http.h"
#include "service/json.h"

/* --- figures -----------------------------------------------------------------------------------
 */

static enum b_code count(struct store *s, const struct store_batch *b, json_t **ret,
                         struct b_err *err)
{
    struct store_stock n;
    enum b_code r = store_stock_count(s, b, &n, err);
    if (r == B_OK)
        *ret = service_json_batch(b, &n);
    return r;
}

enum b_code http_stock_show(struct http_call *c, struct b_err *err)
{
    const struct store_batch none = {.id = 0};
    json_t *o = NULL;
    enum b_code r = count(c->service.store, &none, &o, err);
    if (r == B_OK)
        (void)json_object_set_new(c->out, "of_no_batch", o);
    return r;
}

struct listing {
    struct http_page page;
    struct store *store;
    struct b_err *err;
    enum b_code code;
};

static bool add_batch(void *ctx, const struct store_batch *b)
{
    struct listing *k = ctx;
    json_t *o = NULL;
    if (b->id <= k->page.after)
        return true;
    k->code = count(k->store, b, &o, k->err);
    return k->code == B_OK && http_page_add(&k->page, b->id, o);
}

enum b_code http_batch_list(struct http_call *c, struct b_err *err)
{
    struct listing k = {.store = c->service.store, .err = err};
    enum b_code r = http_page(c, &k.page, err);
    if (r != B_OK)
        return r;
    r = store_batch_each(c->service.store, add_batch, &k, err);
    http_page_end(c, &k.page);
    return r == B_OK ? k.code : r;
}

static enum b_code answer_batch(struct http_call *c, int64_t id, struct b_err *err)
{
    struct store_batch b;
    json_t *o = NULL;
    enum b_code r = store_batch_by_id(c->service.store, id, &b, err);
    if (r == B_OK)
        r = count(c->service.store, &b, &o, err);
    if (r != B_OK)
        return r;
    (void)json_object_update(c->out, o);
    json_decref(o);
    return B_OK;
}

enum b_code http_batch_show(struct http_call *c, struct b_err *err)
{
    int64_t id = 0;
    enum b_code r = http_id(c, &id, err);
    return r == B_OK ? answer_batch(c, id, err) : r;
}

/* --- changes -----------------------------------------------------------------------------------
 */

enum { CARDS_MAX = 1000000000 };

static enum b_code take_text(const struct http_call *c, const char *name, char *ret, size_t cap,
                             struct b_err *err)
{
    const char *text = NULL;
    enum b_code r = http_optional(c, name, cap - 1, &text, err);
    if (r == B_OK)
        memcpy(ret, text, strlen(text) + 1);
    return r;
}

enum b_code http_batch_receive(struct http_call *c, struct b_err *err)
{
    struct store_batch b = {.id = 0};
    enum b_code r = http_number(c, "count", 1, CARDS_MAX, &b.count, err);
    if (r == B_OK)
        r = take_text(c, "supplier", b.supplier, sizeof(b.supplier), err);
    if (r == B_OK)
        r = take_text(c, "name", b.name, sizeof(b.name), err);
    if (r == B_OK)
        r = take_text(c, "transport_key", b.transport_key, sizeof(b.transport_key), err);
    if (r == B_OK)
        r = service_stock_receive(&c->service, &b, err);
    if (r != B_OK)
        return r;
    c->status = 201;
    return answer_batch(c, b.id, err);
}

/* A badge, or so many blank cards of a batch. */
static enum b_code take_out(struct http_call *c, enum store_card_event_kind kind, struct b_err *err)
{
    struct store_card_event e = {.kind = kind};
    enum b_code r = http_optional_number(c, "badge", 1, INT64_MAX, &e.badge_id, err);
    if (r == B_OK)
        r = http_optional_number(c, "batch", 1, INT64_MAX, &e.batch_id, err);
    if (r == B_OK)
        r = http_optional_number(c, "count", 1, CARDS_MAX, &e.count, err);
    if (r == B_OK)
        r = take_text(c, "reason", e.reason, sizeof(e.reason), err);
    bool is_badge = e.badge_id != 0 && e.batch_id == 0 && e.count == 0;
    bool is_blank = e.badge_id == 0 && e.batch_id != 0 && e.count != 0;
    if (r == B_OK && ((!is_badge && !is_blank) || e.reason[0] == '\0'))
        r = b_err_set(err, B_E_BAD_INPUT, 0, "reason, and badge, or batch and count are needed");
    if (r == B_OK)
        r = service_stock_event(&c->service, &e, err);
    if (r == B_OK)
        (void)json_object_update_new(
            c->out, json_pack("{s:I, s:I, s:I}", "batch", (json_int_t)e.batch_id, "badge",
                              (json_int_t)e.badge_id, "cards", (json_int_t)e.count));
    return r;
}

enum b_code http_stock_destroy(struct http_call *c, struct b_err *err)
{
    return take_out(c, STORE_CARD_DESTROYED, err);
}

enum b_code http_stock_lose(struct http_call *c, struct b_err *err)
{
    return take_out(c, STORE_CARD_LOST, err);
}

enum b_code http_stock_issue(struct http_call *c, struct b_err *err)
{
    const char *name = NULL, *text = NULL;
    struct service_issued done;
    enum b_code r = http_optional(c, "name", STORE_TEXT_MAX - 1, &name, err);
    if (r == B_OK)
        r = http_text(c, "list", HTTP_BODY_MAX, &text, err);
    if (r != B_OK)
        return r;
    const struct service_issue_list list = {
        .name = name[0] != '\0' ? name : "list", .text = text, .n = strlen(text)};
    r = service_stock_issue_list(&c->service, &list, &done, err);
    if (r == B_OK)
        (void)json_object_update_new(c->out,
                                     json_pack("{s:I, s:I}", "issued", (json_int_t)done.count,
                                               "already", (json_int_t)done.already));
    return r;
}
