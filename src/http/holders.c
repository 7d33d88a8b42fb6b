/* Holders: their states and PINs. */
#include <string.h>

#include "http/http.h"
#include "service/policy.h"

static json_t *holder_json(const struct store_holder *h)
{
    return json_pack("{s:I, s:s, s:s, s:s, s:b, s:b, s:i}", "id", (json_int_t)h->id, "ref", h->ref,
                     "name", h->name, "state", store_party_state_name(h->state), "has_pin",
                     (int)(h->pin_len > 0), "pin_locked", (int)h->is_pin_locked, "pin_tries",
                     (int)h->pin_tries);
}

static bool add_holder(void *ctx, const struct store_holder *h)
{
    return http_page_add(ctx, h->id, holder_json(h));
}

enum b_code http_holder_list(struct http_call *c, struct b_err *err)
{
    struct http_page p;
    enum b_code r = http_page(c, &p, err);
    if (r != B_OK)
        return r;
    r = store_holder_each(c->service.store, p.after, c->query(c->query_ctx, "holder"), add_holder,
                          &p, err);
    http_page_end(c, &p);
    return r;
}

static enum b_code answer(struct http_call *c, const struct store_holder *h)
{
    json_t *o = holder_json(h);
    (void)json_object_update(c->out, o);
    json_decref(o);
    return B_OK;
}

static enum b_code change(struct http_call *c, enum store_party_state to, const char *kind,
                          struct b_err *err)
{
    struct store_holder h;
    enum b_code r = service_holder_state(&c->service, c->params[0], to, kind, &h, err);
    return r == B_OK ? answer(c, &h) : r;
}

enum b_code http_holder_suspend(struct http_call *c, struct b_err *err)
{
    return change(c, STORE_PARTY_SUSPENDED, "holder-suspend", err);
}

enum b_code http_holder_reinstate(struct http_call *c, struct b_err *err)
{
    return change(c, STORE_PARTY_ACTIVE, "holder-reinstate", err);
}

enum b_code http_holder_leave(struct http_call *c, struct b_err *err)
{
    return change(c, STORE_PARTY_ENDED, "holder-leave", err);
}

enum b_code http_holder_pin(struct http_call *c, struct b_err *err)
{
    struct store_holder h;
    uint8_t box[256];
    struct b_wr w = b_wr_from(box, sizeof(box));
    enum b_code r = http_hex(c, "box", &w, err);
    if (r == B_OK)
        r = service_pin_set(&c->service, c->params[0], b_wr_reader(&w), err);
    if (r == B_OK)
        r = store_holder_by_ref(c->service.store, c->params[0], &h, err);
    return r == B_OK ? answer(c, &h) : r;
}

enum b_code http_holder_unlock(struct http_call *c, struct b_err *err)
{
    struct store_holder h;
    enum b_code r = service_pin_unlock(&c->service, c->params[0], err);
    if (r == B_OK)
        r = store_holder_by_ref(c->service.store, c->params[0], &h, err);
    return r == B_OK ? answer(c, &h) : r;
}

enum b_code http_pin_key(struct http_call *c, struct b_err *err)
{
    struct vault_identity id;
    const struct policy *policy = service_policy(&c->service);
    char hex[2 * sizeof(id.pin) + 1];
    enum b_code r = vault_identity(c->service.vault, &id, err);
    if (r != B_OK)
        return r;
    b_hex(hex, id.pin, sizeof(id.pin));
    (void)json_object_set_new(c->out, "pin_key", json_string(hex));
    (void)json_object_set_new(c->out, "min_digits", json_integer(policy->pin_min));
    (void)json_object_set_new(c->out, "max_digits", json_integer(policy->pin_max));
    return B_OK;
}
