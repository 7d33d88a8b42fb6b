#include "service/stock.h"

#include <stdio.h>
#include <string.h>

#include "service/party.h"
#include "service/relay.h"

static enum b_code note_batch(struct service_change *c, void *ctx, struct b_err *err)
{
    struct store_batch *b = ctx;
    b->at = c->now;
    enum b_code r = store_batch_add(c->store, b, err);
    if (r != B_OK)
        return r;
    service_vouch_batch(c, b);
    return service_log(
        c,
        (struct service_entry){.kind = "stock-receive",
                               .detail = json_pack("{s:I, s:I}", "batch", (json_int_t)b->id,
                                                   "cards", (json_int_t)b->count)},
        err);
}

/* The journal and the backups are no place for a key, not even one that will be replaced. */
static bool is_a_key(const char *text)
{
    enum { SHORTEST = 16 }; /* digits: a DES key */
    return strlen(text) >= SHORTEST && text[strspn(text, "0123456789abcdefABCDEF")] == '\0';
}

enum b_code service_stock_receive(struct service *sv, struct store_batch *batch, struct b_err *err)
{
    enum b_code r = service_check_name("the supplier", batch->supplier, err);
    if (r == B_OK && batch->name[0] != '\0')
        r = service_check_name("the batch", batch->name, err);
    if (r == B_OK && batch->transport_key[0] != '\0')
        r = service_check_name("the transport key's name", batch->transport_key, err);
    if (r == B_OK && batch->count <= 0)
        r = b_err_set(err, B_E_BAD_INPUT, 0, "a batch has at least one card");
    if (r == B_OK && is_a_key(batch->transport_key))
        r = b_err_set(err, B_E_BAD_INPUT, 0,
                      "this looks like the transport key itself: give its name or check value");
    return r == B_OK ? service_change(sv, note_batch, batch, err) : r;
}

/* The badge is where its last event says. */
struct last_event {
    int64_t badge_id;
    int kind; /* -1: none */
};

static bool take_event(void *ctx, const struct store_card_event *e)
{
    struct last_event *k = ctx;
    if (e->badge_id == k->badge_id)
        k->kind = (int)e->kind;
    return true;
}

/* One that was lost may be found. */
static enum b_code put_badge(struct service_change *c, struct store_card_event *e,
                             struct store_badge *b, struct b_err *err)
{
    struct last_event last = {e->badge_id, -1};
    enum b_code r = store_badge_by_id(c->store, e->badge_id, b, err);
    if (r == B_OK)
        r = store_card_event_each(c->store, take_event, &last, err);
    if (r == B_OK && last.kind == STORE_CARD_DESTROYED)
        r = b_err_set(err, B_E_BADGE_STATE, 0, "badge %lld is destroyed", (long long)b->id);
    if (r != B_OK)
        return r;
    e->batch_id = b->batch_id;
    e->count = 1;
    if (e->kind == STORE_CARD_RETURNED && b->state != STORE_BADGE_ACTIVE)
        return B_OK;
    b->state = e->kind == STORE_CARD_RETURNED ? STORE_BADGE_SUSPENDED : STORE_BADGE_REVOKED;
    b->changed_at = c->now;
    (void)snprintf(b->reason, sizeof(b->reason), "%s", e->reason);
    return store_badge_put(c->store, b, err);
}

static enum b_code check_left(struct service_change *c, const struct store_card_event *e,
                              struct b_err *err)
{
    struct store_batch batch;
    struct store_stock stock;
    enum b_code r = store_batch_by_id(c->store, e->batch_id, &batch, err);
    if (r == B_OK)
        r = store_stock_count(c->store, &batch, &stock, err);
    if (r == B_OK && (e->count <= 0 || e->count > stock.blank))
        r = b_err_set(err, B_E_BAD_INPUT, 0, "batch %lld has %lld blank cards, not %lld",
                      (long long)batch.id, (long long)stock.blank, (long long)e->count);
    return r;
}

static enum b_code note_event(struct service_change *c, void *ctx, struct b_err *err)
{
    static const char *const kinds[] = {"stock-return", "stock-destroy", "stock-lose"};
    struct store_card_event *e = ctx;
    struct store_badge badge;
    bool is_badge = e->badge_id != 0;
    e->at = c->now;
    enum b_code r = is_badge ? put_badge(c, e, &badge, err) : check_left(c, e, err);
    if (r == B_OK)
        r = store_card_event_add(c->store, e, err);
    if (r != B_OK)
        return r;
    service_vouch_card_event(c, e);
    return service_log(
        c,
        (struct service_entry){.kind = kinds[e->kind],
                               .detail = json_pack("{s:I, s:I}", "batch", (json_int_t)e->batch_id,
                                                   "cards", (json_int_t)e->count),
                               .badge = is_badge ? &badge : NULL,
                               .personal = is_badge ? service_personal(&badge) : NULL,
                               .subject = is_badge ? badge.holder_ref : NULL},
        err);
}

enum b_code service_stock_event(struct service *sv, struct store_card_event *event,
                                struct b_err *err)
{
    return service_change(sv, note_event, event, err);
}
