/* Dual control over HTTP. */
#include <string.h>

#include "http/http.h"
#include "service/proposal.h"

static json_t *proposal_json(const struct store_proposal *p)
{
    return json_pack("{s:I, s:s, s:s, s:I, s:s, s:I, s:I}", "id", (json_int_t)p->id, "action",
                     p->action, "text", p->text, "proposer", (json_int_t)p->proposer, "state",
                     store_proposal_state_name(p->state), "created_at", (json_int_t)p->created_at,
                     "expires_at", (json_int_t)p->expires_at);
}

static bool add_proposal(void *ctx, const struct store_proposal *p)
{
    return http_page_add(ctx, p->id, proposal_json(p));
}

enum b_code http_proposal_list(struct http_call *c, struct b_err *err)
{
    struct http_page p;
    enum b_code r = http_page(c, &p, err);
    if (r != B_OK)
        return r;
    r = store_proposal_each(c->service.store, p.after, add_proposal, &p, err);
    http_page_end(c, &p);
    return r;
}

static enum b_code answer(struct http_call *c, const struct store_proposal *p)
{
    json_t *o = proposal_json(p);
    (void)json_object_update(c->out, o);
    json_decref(o);
    return B_OK;
}

/* With the text that belongs to it: who approves must be able to read it. */
enum b_code http_proposal_show(struct http_call *c, struct b_err *err)
{
    int64_t id = 0;
    static _Thread_local struct store_proposal p;
    static _Thread_local char text[SERVICE_TEXT_MAX];
    enum b_code r = http_id(c, &id, err);
    if (r == B_OK)
        r = store_proposal_by_id(c->service.store, id, &p, err);
    if (r == B_OK)
        r = service_proposal_kept(c->service.store, &p, text, err);
    if (r == B_OK && text[0] != '\0')
        (void)json_object_set_new(c->out, "attached", json_string(text));
    return r == B_OK ? answer(c, &p) : r;
}

enum b_code http_proposal_make(struct http_call *c, struct b_err *err)
{
    const char *what = NULL;
    const char *text = NULL;
    static _Thread_local struct store_proposal p;
    enum b_code r = http_text(c, "what", 200, &what, err);
    if (r == B_OK)
        r = http_optional(c, "text", SERVICE_TEXT_MAX - 1, &text, err);
    if (r == B_OK)
        r = service_propose(&c->service, &c->person, what, text, &p, err);
    c->status = 201;
    return r == B_OK ? answer(c, &p) : r;
}

enum b_code http_proposal_approve(struct http_call *c, struct b_err *err)
{
    int64_t id = 0;
    uint8_t signature[64];
    static _Thread_local struct store_proposal p;
    struct b_wr w = b_wr_from(signature, sizeof(signature));
    enum b_code r = http_id(c, &id, err);
    if (r == B_OK)
        r = http_hex(c, "signature", &w, err);
    if (r == B_OK && w.len != sizeof(signature))
        r = b_err_set(err, B_E_BAD_INPUT, 0, "field signature: r and s, 64 bytes");
    if (r == B_OK)
        r = service_approve(&c->service, &c->person, id, signature, &p, err);
    return r == B_OK ? answer(c, &p) : r;
}

enum b_code http_proposal_reject(struct http_call *c, struct b_err *err)
{
    int64_t id = 0;
    static _Thread_local struct store_proposal p;
    enum b_code r = http_id(c, &id, err);
    if (r == B_OK)
        r = service_reject(&c->service, id, &p, err);
    return r == B_OK ? answer(c, &p) : r;
}
