/* The two messages of a tap: docs/api.md. */
#include <string.h>

#include "http/http.h"

static enum b_code read_first(const struct http_call *c, struct service_tap_first *m,
                              struct b_err *err)
{
    const char *method = NULL;
    const char *challenge = NULL;
    const char *reader = NULL;
    int64_t generation = 0;
    struct b_wr uid = b_wr_from(m->uid, sizeof(m->uid));
    struct b_wr serial = b_wr_from(m->serial, sizeof(m->serial));
    struct b_wr cryptogram = b_wr_from(m->cryptogram, sizeof(m->cryptogram));
    enum b_code r = http_text(c, "method", 8, &method, err);
    if (r == B_OK)
        r = http_hex(c, "uid", &uid, err);
    if (r == B_OK)
        r = http_hex(c, "serial", &serial, err);
    if (r == B_OK)
        r = http_hex(c, "cryptogram", &cryptogram, err);
    if (r == B_OK)
        r = http_optional(c, "challenge", SERVICE_CHALLENGE_MAX, &challenge, err);
    if (r == B_OK)
        r = http_optional(c, "reader", STORE_READER_NAME - 1, &reader, err);
    if (r == B_OK)
        r = http_optional_number(c, "generation", 1, KEY_GENERATION_MAX, &generation, err);
    if (r != B_OK)
        return r;
    if (strcmp(method, "ev2") != 0 && strcmp(method, "aes") != 0)
        return b_err_set(err, B_E_BAD_INPUT, 0, "field method: ev2 or aes");
    if (cryptogram.len != sizeof(m->cryptogram))
        return b_err_set(err, B_E_BAD_INPUT, 0, "field cryptogram: 16 bytes");
    if ((uid.len == 0) == (serial.len == 0) || (uid.len != 0 && uid.len != sizeof(m->uid)))
        return b_err_set(err, B_E_BAD_INPUT, 0, "a uid of 7 bytes, or a serial");
    m->how = method[0] == 'a' ? DF_AUTH_AES : DF_AUTH_EV2_FIRST;
    m->uid_len = (uint8_t)uid.len;
    m->serial_len = (uint8_t)serial.len;
    m->generation = (uint8_t)generation;
    memcpy(m->challenge, challenge, strlen(challenge) + 1);
    memcpy(m->reader, reader, strlen(reader) + 1);
    return B_OK;
}

enum b_code http_tap_open(struct http_call *c, struct b_err *err)
{
    struct service_tap_first m = {.generation = 0};
    char name[SERVICE_TAP_NAME];
    uint8_t frame[32];
    char hex[65];
    char order[SERVICE_DESK_NAME];
    struct b_err none;
    enum b_code r = read_first(c, &m, err);
    if (r == B_OK && service_desk_waiting(c->server->desk, c->station.id, order, &none) == B_OK)
        r = b_err_set(err, B_E_ORDER_WAITS, 0, "station %s", c->station.name);
    if (r == B_OK)
        r = service_tap_first(&c->service, c->server->taps, &c->station, &m, name, frame, err);
    if (r != B_OK)
        return r;
    b_hex(hex, frame, sizeof(frame));
    c->status = 201;
    (void)json_object_set_new(c->out, "tap", json_string(name));
    (void)json_object_set_new(c->out, "frame", json_string(hex));
    return B_OK;
}

static void answer_sentence(struct http_call *c, enum b_code code, const char *name)
{
    char sentence[160];
    policy_sentence(code, c->is_french, name, sentence, sizeof(sentence));
    (void)json_object_set_new(c->out, "sentence", json_string(sentence));
}

/* The badge is good, a PIN is wanted: not a refusal. */
static enum b_code answer_need(struct http_call *c, const struct service_verdict *v)
{
    (void)json_object_set_new(c->out, "outcome", json_string("pin"));
    (void)json_object_set_new(c->out, "tap", json_string(c->params[0]));
    (void)json_object_set_new(c->out, "tries_left", json_integer(v->tries_left));
    if (service_is_pin_elsewhere(v))
        (void)json_object_set_new(c->out, "asked", json_string("browser"));
    answer_sentence(c, B_E_PIN_REQUIRED, "");
    return B_OK;
}

/* What waits for this person on no station yet: that they are told of it must not cost the tap. */
static void answer_challenges(struct http_call *c, const struct service_verdict *v)
{
    struct b_err ignored;
    json_t *items = json_array();
    (void)!store_challenge_of_holder(c->service.store, v->badge.holder_ref, time(NULL),
                                     http_challenge_add, items, &ignored);
    if (json_array_size(items) > 0)
        (void)json_object_set(c->out, "challenges", items);
    json_decref(items);
}

/* What the tap was for: with several, the person has still to choose. */
static void answer_wanted(struct http_call *c, const struct service_verdict *v)
{
    json_t *names = json_array();
    for (size_t i = 0; i < v->wanted.count; i++)
        (void)json_array_append_new(names, json_string(v->wanted.names[i]));
    if (json_array_size(names) > 0)
        (void)json_object_set(c->out, "answers", names);
    json_decref(names);
}

static void answer_verdict(struct http_call *c, const struct service_verdict *v)
{
    (void)json_object_set_new(c->out, "outcome", json_string("granted"));
    (void)json_object_set_new(c->out, "badge", json_integer(v->badge.id));
    (void)json_object_set_new(
        c->out, "holder",
        json_pack("{s:s, s:s}", "ref", v->badge.holder_ref, "name", v->badge.holder_name));
    (void)json_object_set_new(c->out, "generation", json_integer(v->generation));
    answer_sentence(c, B_OK, v->badge.holder_name);
    answer_challenges(c, v);
    answer_wanted(c, v);
    if (v->is_rekeyed) {
        (void)json_object_set_new(c->out, "tap", json_string(c->params[0]));
        (void)json_object_set_new(c->out, "rekey", json_true());
    }
    if (v->assertion[0] != '\0')
        (void)json_object_set_new(c->out, "assertion", json_string(v->assertion));
}

enum b_code http_tap_prove(struct http_call *c, struct b_err *err)
{
    static _Thread_local struct service_verdict verdict;
    uint8_t answer[32];
    uint8_t status[2];
    struct b_wr bytes = b_wr_from(answer, sizeof(answer));
    struct b_wr word = b_wr_from(status, sizeof(status));
    enum b_code r = http_hex(c, "answer", &bytes, err);
    if (r == B_OK)
        r = http_hex(c, "status", &word, err);
    if (r == B_OK && (word.len != 2 || status[0] != 0x91))
        r = b_err_set(err, B_E_BAD_INPUT, 0, "field status: the card's status word, 91xx");
    if (r != B_OK)
        return r;
    const struct service_tap_second m = {.status = status[1], .answer = b_wr_reader(&bytes)};
    r = service_tap_second(&c->service, c->server->taps, &c->station, c->params[0], &m, &verdict,
                           err);
    if (r == B_OK)
        answer_verdict(c, &verdict);
    return r == B_E_PIN_REQUIRED ? answer_need(c, &verdict) : r;
}

enum b_code http_tap_pin(struct http_call *c, struct b_err *err)
{
    static _Thread_local struct service_verdict verdict;
    uint8_t box[256];
    struct b_wr w = b_wr_from(box, sizeof(box));
    enum b_code r = http_hex(c, "box", &w, err);
    if (r == B_OK)
        r = service_tap_pin(&c->service, c->server->taps, &c->station, c->params[0],
                            b_wr_reader(&w), &verdict, err);
    if (r == B_OK)
        answer_verdict(c, &verdict);
    if (r == B_E_PIN_THROTTLED)
        (void)json_object_set_new(c->out, "retry_at", json_integer(verdict.retry_at));
    return r;
}
