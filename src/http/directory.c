/* The directory as administrators see it: what waits, orphans, verified identities. */
#include "http/http.h"

enum b_code http_directory_state(struct http_call *c, struct b_err *err)
{
    struct store_user_counts k;
    enum b_code r =
        store_user_count(c->service.store, (int64_t)time(NULL) - SERVICE_GUARD_SECONDS, &k, err);
    if (r != B_OK)
        return r;
    (void)json_object_set_new(c->out, "staff", json_integer(k.staff));
    (void)json_object_set_new(c->out, "leaving", json_integer(k.leaving));
    (void)json_object_set_new(c->out, "held", json_integer(k.held));
    return B_OK;
}

static enum b_code release(struct http_call *c, bool is_refused, struct b_err *err)
{
    int64_t count = 0;
    enum b_code r = service_directory_release(&c->service, is_refused, &count, err);
    (void)json_object_set_new(c->out, "count", json_integer(count));
    return r;
}

enum b_code http_directory_release(struct http_call *c, struct b_err *err)
{
    return release(c, false, err);
}

enum b_code http_directory_refuse(struct http_call *c, struct b_err *err)
{
    return release(c, true, err);
}

static void add_orphan(void *ctx, const struct service_orphan *o)
{
    (void)json_array_append_new(ctx, json_pack("{s:s, s:I, s:s, s:s, s:s, s:I}", "kind",
                                               service_orphan_name(o->kind), "badge",
                                               (json_int_t)o->badge, "ref", o->ref, "name", o->name,
                                               "state", o->state, "at", (json_int_t)o->at));
}

enum b_code http_directory_orphans(struct http_call *c, struct b_err *err)
{
    json_t *items = json_array();
    enum b_code r = service_orphans(c->service.store, (int64_t)time(NULL), add_orphan, items, err);
    (void)json_object_set_new(c->out, "items", items);
    return r;
}

enum b_code http_holder_verify(struct http_call *c, struct b_err *err)
{
    struct store_user u;
    enum b_code r = service_directory_verify(&c->service, c->params[0], &u, err);
    if (r != B_OK)
        return r;
    (void)json_object_set_new(c->out, "ref", json_string(c->params[0]));
    (void)json_object_set_new(c->out, "verified_at", json_integer(u.verified_at));
    return B_OK;
}
