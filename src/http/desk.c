/* The encoding desk: docs/api.md, "The desk". */
#include "service/desk.h"

#include <stdlib.h>
#include <string.h>

#include "http/http.h"
#include "service/fleet.h"
#include "service/json.h"

enum { LOOK_MS = 20000 }; /* less than clients wait for an answer */

static struct service_desk_caller caller(const struct http_call *c)
{
    return (struct service_desk_caller){.person = c->person.id, .station = c->station.id};
}

static json_t *frames_json(const struct service_desk_frames *f)
{
    json_t *list = json_array();
    char hex[2 * DF_CAPDU_MAX + 1];
    for (uint8_t i = 0; i < f->count; i++) {
        b_hex(hex, f->bytes[i], f->len[i]);
        (void)json_array_append_new(list, json_string(hex));
    }
    return list;
}

static void answer_event(struct http_call *c, const struct service_desk_event *e)
{
    json_t *o = c->out;
    (void)json_object_set_new(o, "order", json_string(c->params[0]));
    (void)json_object_set_new(o, "what", json_string(service_what_name(e->what)));
    (void)json_object_set_new(o, "state", json_string(service_desk_state_name(e->state)));
    (void)json_object_set_new(o, "step", json_integer(e->step));
    (void)json_object_set_new(o, "steps_done", json_integer(e->steps_done));
    if (e->state == SERVICE_DESK_FRAMES_OUT) {
        (void)json_object_set_new(o, "frames", frames_json(&e->frames));
        (void)json_object_set_new(o, "reset", json_boolean(e->frames.resets));
    }
    bool is_over = e->state == SERVICE_DESK_DONE;
    if (is_over && c->station.id != 0)
        (void)json_object_set_new(o, "sentence",
                                  json_string(c->is_french ? "C'est fait. Reprenez la carte."
                                                           : "It is done. Take the card."));
    if (e->state == SERVICE_DESK_PLAN || (is_over && e->what == SERVICE_SCAN)) {
        (void)json_object_set_new(o, "card",
                                  service_json_state(&c->service.profile, &e->done.state));
        (void)json_object_set_new(o, "plan", service_json_plan(&e->done.plan));
    }
    if (is_over)
        (void)json_object_set_new(
            o, "badge", e->done.badge.id != 0 ? service_json_badge(&e->done.badge) : json_null());
}

/* What comes after step `after`. The wait may be long: nobody else waits for this call's reader. */
static enum b_code answer_next(struct http_call *c, uint32_t after, int wait_ms, struct b_err *err)
{
    struct service_desk_event *e = malloc(sizeof(*e));
    if (e == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "answering");
    http_return_reader(c);
    enum b_code r =
        service_desk_look(c->server->desk, caller(c), c->params[0], after, wait_ms, e, err);
    if (r == B_OK)
        answer_event(c, e);
    free(e);
    return r;
}

static enum b_code read_step(const struct http_call *c, uint32_t *ret, struct b_err *err)
{
    int64_t step = 0;
    enum b_code r = http_number(c, "step", 0, UINT32_MAX, &step, err);
    *ret = (uint32_t)step;
    return r;
}

static enum b_code read_card(const struct http_call *c, struct channel_card *ret, struct b_err *err)
{
    struct b_wr uid = b_wr_from(ret->uid, sizeof(ret->uid));
    enum b_code r = http_hex(c, "uid", &uid, err);
    ret->uid_len = (uint8_t)uid.len;
    if (r == B_OK && uid.len != 0 && uid.len != 4 && uid.len != 7 && uid.len != 10)
        r = b_err_set(err, B_E_BAD_INPUT, 0, "field uid: 4, 7 or 10 bytes, or none");
    return r;
}

static enum b_code read_order(const struct http_call *c, struct service_order *ret,
                              struct b_err *err)
{
    const char *what = NULL;
    const char *ref = "";
    const char *name = "";
    enum b_code r = http_text(c, "what", 16, &what, err);
    if (r == B_OK && !service_what_find(what, &ret->what))
        r = b_err_set(err, B_E_BAD_INPUT, 0, "field what: scan, enrol, repair or blank");
    if (r == B_OK && ret->what == SERVICE_ENROL) {
        r = http_text(c, "ref", sizeof(ret->ref) - 1, &ref, err);
        if (r == B_OK)
            r = http_text(c, "name", sizeof(ret->name) - 1, &name, err);
        if (r == B_OK)
            r = http_optional_number(c, "not_before", 0, INT64_MAX, &ret->not_before, err);
        if (r == B_OK)
            r = http_optional_number(c, "not_after", 0, INT64_MAX, &ret->not_after, err);
        if (r == B_OK)
            r = http_optional_number(c, "batch", 1, INT64_MAX, &ret->batch_id, err);
        ret->is_temporary = json_is_true(json_object_get(c->body, "temporary"));
    }
    if (r != B_OK)
        return r;
    memcpy(ret->ref, ref, strlen(ref) + 1);
    memcpy(ret->name, name, strlen(name) + 1);
    return B_OK;
}

static enum b_code check_station(struct http_call *c, int64_t id, struct b_err *err)
{
    struct store_station station;
    enum b_code r = store_station_by_id(c->service.store, id, &station, err);
    if (r == B_OK && station.state != STORE_PARTY_ACTIVE)
        r = b_err_set(err, B_E_BAD_INPUT, 0, "field station: station %lld is %s", (long long)id,
                      store_party_state_name(station.state));
    return r;
}

enum b_code http_desk_order(struct http_call *c, struct b_err *err)
{
    struct service_order order = {.what = SERVICE_SCAN};
    struct channel_card card = {.uid_len = 0};
    char name[SERVICE_DESK_NAME];
    int64_t station = 0;
    enum b_code r = read_order(c, &order, err);
    if (r == B_OK)
        r = http_optional_number(c, "station", 1, INT64_MAX, &station, err);
    if (r == B_OK)
        r = station != 0 ? check_station(c, station, err) : read_card(c, &card, err);
    if (r == B_OK)
        r = service_desk_open(c->server->desk, &c->service, c->person.id, &order, station,
                              station == 0 ? &card : NULL, name, err);
    if (r != B_OK)
        return r;
    c->status = 201;
    static_assert(sizeof(name) <= HTTP_PARAM_MAX, "an order's name is a part of a path");
    memcpy(c->params[0], name, sizeof(name));
    return answer_next(c, 0, station == 0 ? LOOK_MS : 0, err);
}

/* A station shows the card that lies on its reader: is it for an order? */
enum b_code http_desk_present(struct http_call *c, struct b_err *err)
{
    struct channel_card card = {.uid_len = 0};
    enum b_code r = read_card(c, &card, err);
    if (r == B_OK)
        r = service_desk_waiting(c->server->desk, c->station.id, c->params[0], err);
    if (r == B_OK)
        r = service_desk_present(c->server->desk, caller(c), c->params[0], &card, err);
    return r == B_OK ? answer_next(c, 0, LOOK_MS, err) : r;
}

/* An order that was begun on a card that lies there. */
static enum b_code answer_opened(struct http_call *c, const char *name, struct b_err *err)
{
    c->status = 201;
    memcpy(c->params[0], name, SERVICE_DESK_NAME);
    return answer_next(c, 0, LOOK_MS, err);
}

/* The badge that was let in just now still lies on the reader. */
enum b_code http_tap_rekey(struct http_call *c, struct b_err *err)
{
    struct channel_card card = {.uid_len = 0};
    struct service_order order = {.what = SERVICE_REKEY, .station_id = c->station.id};
    char name[SERVICE_DESK_NAME];
    enum b_code r = read_card(c, &card, err);
    if (r == B_OK)
        r = service_tap_rekey(c->server->taps, &c->station, c->params[0], &order.badge_id, err);
    if (r == B_OK)
        r = service_desk_open(c->server->desk, &c->service, 0, &order, c->station.id, &card, name,
                              err);
    return r == B_OK ? answer_opened(c, name, err) : r;
}

/* A card lies on the reader that a tap had no use for: is it one that others encoded? */
enum b_code http_station_takeover(struct http_call *c, struct b_err *err)
{
    const struct service_order order = {.what = SERVICE_TAKEOVER, .station_id = c->station.id};
    struct channel_card card = {.uid_len = 0};
    char name[SERVICE_DESK_NAME];
    enum b_code r = read_card(c, &card, err);
    if (r == B_OK)
        r = service_fleet_shown(&c->service, &card, err);
    if (r == B_OK)
        r = service_desk_open(c->server->desk, &c->service, 0, &order, c->station.id, &card, name,
                              err);
    if (r != B_OK)
        return r;
    (void)json_object_set_new(c->out, "sentence",
                              json_string(c->is_french ? "Laissez votre badge sur le lecteur."
                                                       : "Leave your badge on the reader."));
    return answer_opened(c, name, err);
}

enum b_code http_desk_look(struct http_call *c, struct b_err *err)
{
    const char *text = c->query(c->query_ctx, "after");
    char *end = NULL;
    unsigned long after = text != NULL ? strtoul(text, &end, 10) : 0;
    if (text != NULL && (*end != '\0' || end == text || after > UINT32_MAX))
        return b_err_set(err, B_E_BAD_INPUT, 0, "after=%.20s: a step's number is needed", text);
    return answer_next(c, (uint32_t)after, LOOK_MS, err);
}

static enum b_code read_answers(const struct http_call *c, struct service_desk_answers *ret,
                                struct b_err *err)
{
    const json_t *list = json_object_get(c->body, "answers");
    ret->is_gone = json_is_true(json_object_get(c->body, "gone"));
    if (!json_is_array(list) || json_array_size(list) > SERVICE_DESK_FRAMES)
        return b_err_set(err, B_E_BAD_INPUT, 0, "field answers: a list of up to %d answers",
                         SERVICE_DESK_FRAMES);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *hex = json_string_value(json_array_get(list, i));
        struct b_wr w = b_wr_from(ret->bytes[i], sizeof(ret->bytes[i]));
        if (hex == NULL || !b_unhex(&w, hex) || w.len < 2)
            return b_err_set(err, B_E_BAD_INPUT, 0,
                             "field answers: the card's answers with their status words, in "
                             "hexadecimal");
        ret->len[i] = (uint16_t)w.len;
        ret->count++;
    }
    return B_OK;
}

enum b_code http_desk_answers(struct http_call *c, struct b_err *err)
{
    struct service_desk_answers answers = {.count = 0};
    uint32_t step = 0;
    enum b_code r = read_step(c, &step, err);
    if (r == B_OK)
        r = read_answers(c, &answers, err);
    if (r == B_OK)
        r = service_desk_answer(c->server->desk, caller(c), c->params[0], step, &answers, err);
    return r == B_OK ? answer_next(c, step, LOOK_MS, err) : r;
}

enum b_code http_desk_approve(struct http_call *c, struct b_err *err)
{
    uint8_t digest[32];
    struct b_wr w = b_wr_from(digest, sizeof(digest));
    uint32_t step = 0;
    enum b_code r = read_step(c, &step, err);
    if (r == B_OK)
        r = http_hex(c, "digest", &w, err);
    if (r == B_OK && w.len != sizeof(digest))
        r = b_err_set(err, B_E_BAD_INPUT, 0, "field digest: 32 bytes");
    if (r == B_OK)
        r = service_desk_approve(c->server->desk, caller(c), c->params[0], digest, err);
    return r == B_OK ? answer_next(c, step, LOOK_MS, err) : r;
}

enum b_code http_desk_cancel(struct http_call *c, struct b_err *err)
{
    return service_desk_cancel(c->server->desk, caller(c), c->params[0], err);
}
