#include "service/outbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_PING " ping"

static const struct service_event events[] = {
#define EVENT(name, form, kind, is_granted, change, text) \
    {name, SERVICE_EVENT_##form, kind, is_granted, change, text},
#include "service/events.def"
#undef EVENT
};

const struct service_event *service_event_at(size_t i)
{
    return i < B_COUNT(events) ? &events[i] : NULL;
}

const struct service_event *service_event_named(const char *name)
{
    for (size_t i = 0; i < B_COUNT(events); i++)
        if (strcmp(events[i].name, name) == 0)
            return &events[i];
    return NULL;
}

/* --- letters of an entry -----------------------------------------------------------------------
 */

/* Writing while the subscriptions are read would keep the reading open: they are gathered first. */
struct told {
    char (*names)[STORE_SUBSCRIBER_MAX];
    size_t count, cap;
    bool is_full;
};

static bool gather(void *ctx, const struct store_subscription *v)
{
    struct told *t = ctx;
    if (t->count == t->cap) {
        size_t cap = t->cap * 2 + 4;
        void *grown = realloc(t->names, cap * sizeof(t->names[0]));
        t->is_full = grown == NULL;
        if (t->is_full)
            return false;
        t->names = grown;
        t->cap = cap;
    }
    (void)snprintf(t->names[t->count++], sizeof(t->names[0]), "%s", v->subscriber);
    return true;
}

static enum b_code write_letter(struct service_change *c, struct store_letter *l, json_t *body,
                                struct b_err *err)
{
    char *text = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
    enum b_code r = B_OK;
    if (text == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "writing a letter");
    if (snprintf(l->body, sizeof(l->body), "%s", text) >= (int)sizeof(l->body))
        r = b_err_set(err, B_E_BAD_INPUT, 0, "a letter of %zu bytes", strlen(text));
    free(text);
    l->at = c->now;
    return r == B_OK ? store_letter_add(c->store, l, err) : r;
}

/* Numbers only: a staff id is looked up when the letter goes, so that none waits here to be erased.
 */
static enum b_code describe(struct service_change *c, const struct service_entry *e, uint64_t index,
                            json_t **ret, struct b_err *err)
{
    struct store_holder holder = {.id = e->holder != NULL ? e->holder->id : 0};
    enum b_code r = B_OK;
    if (e->holder == NULL && e->badge != NULL)
        r = store_holder_by_ref(c->store, e->badge->holder_ref, &holder, err);
    if (r != B_OK && r != B_E_NOT_FOUND)
        return r;
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {{"badge", e->badge != NULL ? e->badge->id : e->badge_id},
                   {"holder", r == B_OK ? holder.id : 0},
                   {"station", e->station != NULL ? e->station->id : e->station_id}};
    json_t *o = json_pack("{s:I, s:I, s:s}", "at", (json_int_t)c->now, "entry", (json_int_t)index,
                          "outcome", b_code_name(e->outcome));
    for (size_t i = 0; i < B_COUNT(numbers); i++)
        if (numbers[i].value != 0)
            (void)json_object_set_new(o, numbers[i].name, json_integer(numbers[i].value));
    *ret = o;
    return B_OK;
}

static enum b_code write_all(struct service_change *c, const struct service_event *event,
                             const struct told *t, json_t *body, struct b_err *err)
{
    enum b_code r = B_OK;
    if (event->change[0] != '\0')
        (void)json_object_set_new(body, "change", json_string(event->change));
    for (size_t i = 0; r == B_OK && i < t->count; i++) {
        struct store_letter l = {.state = STORE_LETTER_WAITING};
        (void)snprintf(l.subscriber, sizeof(l.subscriber), "%s", t->names[i]);
        (void)snprintf(l.kind, sizeof(l.kind), "%s", event->name);
        r = write_letter(c, &l, body, err);
    }
    return r;
}

static enum b_code note_event(struct service_change *c, const struct service_entry *e,
                              uint64_t index, const struct service_event *event, struct b_err *err)
{
    struct told t = {.names = NULL};
    json_t *body = NULL;
    enum b_code r = store_subscription_each(c->store, event->name, gather, &t, err);
    if (r == B_OK && t.is_full)
        r = b_err_set(err, B_E_NO_MEMORY, 0, "writing letters");
    if (r == B_OK && t.count > 0)
        r = describe(c, e, index, &body, err);
    if (r == B_OK && t.count > 0)
        r = write_all(c, event, &t, body, err);
    json_decref(body);
    free(t.names);
    return r;
}

enum b_code service_outbox_note(struct service_change *c, const struct service_entry *e,
                                uint64_t index, struct b_err *err)
{
    enum b_code r = B_OK;
    for (size_t i = 0; r == B_OK && i < B_COUNT(events); i++)
        if (strcmp(events[i].kind, e->kind) == 0 && events[i].is_granted == (e->outcome == B_OK))
            r = note_event(c, e, index, &events[i], err);
    return r;
}

/* Steals body. queue: what keeps one kind of letters from waiting behind another. It fits whatever
 * the client is called: a name that did not would keep sessions from their end. */
static enum b_code write_to_client(struct service_change *c, const char *kind, const char *client,
                                   const char *queue, json_t *body, struct b_err *err)
{
    struct store_letter letter = {.state = STORE_LETTER_WAITING};
    static_assert(sizeof(letter.subscriber) >=
                      sizeof(SERVICE_LETTER_CLIENT) + STORE_NAME_MAX + sizeof(QUEUE_PING),
                  "a client's name fits");
    (void)snprintf(letter.kind, sizeof(letter.kind), "%s", kind);
    (void)snprintf(letter.subscriber, sizeof(letter.subscriber), SERVICE_LETTER_CLIENT "%s%s",
                   client, queue);
    enum b_code r = write_letter(c, &letter, body, err);
    json_decref(body);
    return r;
}

enum b_code service_outbox_logout(struct service_change *c, const struct service_logout *l,
                                  struct b_err *err)
{
    return write_to_client(c, SERVICE_LETTER_LOGOUT, l->client, "",
                           json_pack("{s:s, s:s, s:s, s:s, s:s}", "issuer", l->issuer, "client",
                                     l->client, "url", l->url, "sid", l->sid, "sub", l->sub),
                           err);
}

enum b_code service_outbox_ping(struct service_change *c, const struct service_ping *p,
                                struct b_err *err)
{
    return write_to_client(
        c, SERVICE_LETTER_PING, p->client, QUEUE_PING,
        json_pack("{s:s, s:s, s:s}", "url", p->url, "token", p->token, "auth_req_id", p->challenge),
        err);
}

/* --- who is told -------------------------------------------------------------------------------
 */

struct subscribing {
    const struct store_subscription *all;
    size_t count, seen;
    bool differs;
};

static bool compare(void *ctx, const struct store_subscription *v)
{
    struct subscribing *k = ctx;
    bool is_there = false;
    for (size_t i = 0; i < k->count; i++)
        is_there |= strcmp(k->all[i].event, v->event) == 0 &&
                    strcmp(k->all[i].subscriber, v->subscriber) == 0;
    k->seen++;
    k->differs |= !is_there;
    return true;
}

static enum b_code note_subscriptions(struct service_change *c, void *ctx, struct b_err *err)
{
    struct subscribing *k = ctx;
    int64_t ended = 0;
    json_t *told = json_object();
    enum b_code r = store_subscription_clear(c->store, err);
    for (size_t i = 0; r == B_OK && i < k->count; i++) {
        const struct store_subscription *v = &k->all[i];
        if (json_object_get(told, v->subscriber) == NULL)
            (void)json_object_set_new(told, v->subscriber, json_array());
        (void)json_array_append_new(json_object_get(told, v->subscriber), json_string(v->event));
        r = store_subscription_add(c->store, v, err);
    }
    if (r == B_OK)
        r = store_letter_end(c->store, SERVICE_LETTER_CLIENT, "the subscriber was removed", &ended,
                             err);
    if (r != B_OK) {
        json_decref(told);
        return r;
    }
    return service_log(c,
                       (struct service_entry){.kind = "subscribers",
                                              .detail = json_pack("{s:o, s:I}", "events", told,
                                                                  "ended", (json_int_t)ended)},
                       err);
}

enum b_code service_outbox_subscribe(struct service *sv, const struct store_subscription *all,
                                     size_t count, struct b_err *err)
{
    struct subscribing k = {.all = all, .count = count};
    enum b_code r = store_subscription_each(sv->store, NULL, compare, &k, err);
    if (r != B_OK || (!k.differs && k.seen == count))
        return r;
    return service_change(sv, note_subscriptions, &k, err);
}

/* --- what became of a letter -------------------------------------------------------------------
 */

static enum b_code log_letter(struct service_change *c, const struct store_letter *l,
                              const char *kind, struct b_err *err)
{
    json_t *detail =
        json_pack("{s:I, s:s, s:s, s:i, s:s}", "letter", (json_int_t)l->id, "subscriber",
                  l->subscriber, "event", l->kind, "attempts", (int)l->attempts, "error", l->error);
    return service_log(c, (struct service_entry){.kind = kind, .detail = detail}, err);
}

static enum b_code note_told(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct store_letter *l = ctx;
    struct store_letter now;
    enum b_code r = store_letter_by_id(c->store, l->id, &now, err);
    if (r == B_E_NOT_FOUND || (r == B_OK && now.state != STORE_LETTER_WAITING))
        return B_OK; /* it was dropped or ended meanwhile, and that stands */
    if (r == B_OK)
        r = store_letter_put(c->store, l, err);
    return r == B_OK && l->state == STORE_LETTER_DEAD ? log_letter(c, l, "letter-dead", err) : r;
}

enum b_code service_outbox_told(struct service *sv, const struct store_letter *l, struct b_err *err)
{
    struct store_letter told = *l;
    return service_change(sv, note_told, &told, err);
}

static enum b_code note_retry(struct service_change *c, void *ctx, struct b_err *err)
{
    struct store_letter l;
    enum b_code r = store_letter_by_id(c->store, *(const int64_t *)ctx, &l, err);
    if (r == B_OK && l.state == STORE_LETTER_DELIVERED)
        r = b_err_set(err, B_E_LETTER_DELIVERED, 0, "letter %lld of the outbox", (long long)l.id);
    if (r != B_OK)
        return r;
    l.state = STORE_LETTER_WAITING;
    l.attempts = 0;
    l.next_at = 0;
    r = store_letter_put(c->store, &l, err);
    return r == B_OK ? log_letter(c, &l, "letter-retry", err) : r;
}

enum b_code service_outbox_retry(struct service *sv, int64_t id, struct b_err *err)
{
    return service_change(sv, note_retry, &id, err);
}

static enum b_code note_drop(struct service_change *c, void *ctx, struct b_err *err)
{
    struct store_letter l;
    enum b_code r = store_letter_by_id(c->store, *(const int64_t *)ctx, &l, err);
    if (r == B_OK)
        r = store_letter_remove(c->store, l.id, err);
    return r == B_OK ? log_letter(c, &l, "letter-drop", err) : r;
}

enum b_code service_outbox_drop(struct service *sv, int64_t id, struct b_err *err)
{
    return service_change(sv, note_drop, &id, err);
}

static bool gather_head(void *ctx, const struct store_letter *l)
{
    struct store_subscription v = {.event = ""};
    memcpy(v.subscriber, l->subscriber, sizeof(v.subscriber));
    return gather(ctx, &v);
}

static enum b_code trim(struct service_change *c, const char *subscriber, struct b_err *err)
{
    enum { WAITING_MAX = 100000 };
    int64_t lost = 0;
    enum b_code r = store_letter_trim(c->store, subscriber, WAITING_MAX, &lost, err);
    if (r != B_OK || lost == 0)
        return r;
    return service_log(
        c,
        (struct service_entry){
            .kind = "letters-lost",
            .detail = json_pack("{s:s, s:I}", "subscriber", subscriber, "count", (json_int_t)lost)},
        err);
}

static enum b_code trim_all(struct service_change *c, struct b_err *err)
{
    struct told t = {.names = NULL};
    enum b_code r = store_letter_heads(c->store, gather_head, &t, err);
    for (size_t i = 0; r == B_OK && i < t.count; i++)
        r = trim(c, t.names[i], err);
    free(t.names);
    return r;
}

static enum b_code note_forget(struct service_change *c, void *ctx, struct b_err *err)
{
    enum { DAY = 86400, DELIVERED_DAYS = 7, DEAD_DAYS = 90 };
    (void)ctx;
    enum b_code r = store_letter_forget(c->store, STORE_LETTER_DELIVERED,
                                        c->now - (int64_t)DELIVERED_DAYS * DAY, err);
    if (r == B_OK)
        r = store_letter_forget(c->store, STORE_LETTER_DEAD, c->now - (int64_t)DEAD_DAYS * DAY,
                                err);
    return r == B_OK ? trim_all(c, err) : r;
}

enum b_code service_outbox_forget(struct service *sv, struct b_err *err)
{
    return service_change(sv, note_forget, NULL, err);
}
