/* The reader's side of the desk: the server's frames to the card, the card's answers back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel/channel.h"
#include "remote/remote.h"

enum { FRAME_MAX = 261, ANSWER_MAX = 258 };

/* Sends one frame; *ret_goes_on: the card has more to say (91AF). */
static enum b_code send_one(struct channel *ch, const json_t *frame, json_t *answers,
                            bool *ret_goes_on, struct b_err *err)
{
    uint8_t bytes[FRAME_MAX];
    uint8_t room[ANSWER_MAX];
    char hex[2 * ANSWER_MAX + 1];
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    struct b_wr rapdu = b_wr_from(room, sizeof(room));
    const char *text = json_string_value(frame);
    if (text == NULL || !b_unhex(&w, text))
        return b_err_set(err, B_E_SERVER_GONE, 0, "the server's answer has no frame for the card");
    enum b_code r = channel_transmit(ch, b_wr_reader(&w), &rapdu, err);
    if (r != B_OK)
        return r;
    b_hex(hex, rapdu.p, rapdu.len);
    (void)json_array_append_new(answers, json_string(hex));
    *ret_goes_on =
        rapdu.len >= 2 && rapdu.p[rapdu.len - 2] == 0x91 && rapdu.p[rapdu.len - 1] == 0xAF;
    return B_OK;
}

static enum b_code send_all(struct channel *ch, const json_t *event, json_t *answers,
                            struct b_err *err)
{
    const json_t *frames = json_object_get(event, "frames");
    bool goes_on = true;
    enum b_code r = B_OK;
    if (json_is_true(json_object_get(event, "reset")))
        r = channel_reset(ch, err);
    for (size_t i = 0; r == B_OK && goes_on && i < json_array_size(frames); i++)
        r = send_one(ch, json_array_get(frames, i), answers, &goes_on, err);
    return r;
}

/* A message whose answer was lost is sent again: the server knows it by its step. */
static enum b_code say(struct remote *r, const char *method, const char *path, const json_t *body,
                       json_t **ret, struct b_err *err)
{
    enum { TRIES = 3 };
    enum b_code code = B_OK;
    for (int i = 0; i < TRIES; i++) {
        code = remote_call(r, method, path, body, ret, err);
        if (code != B_E_SERVER_GONE)
            break;
    }
    return code;
}

enum b_code remote_desk_step(struct remote *r, struct channel *ch, const json_t *event,
                             json_t **ret, struct b_err *err)
{
    char path[128];
    const char *order = json_string_value(json_object_get(event, "order"));
    const char *state = json_string_value(json_object_get(event, "state"));
    json_int_t step = json_integer_value(json_object_get(event, "step"));
    if (order == NULL || state == NULL || strlen(order) > 64)
        return b_err_set(err, B_E_SERVER_GONE, 0, "the server's answer is not of an order");
    if (ch == NULL || strcmp(state, "frames") != 0) {
        (void)snprintf(path, sizeof(path), "/v1/desk/%s?after=%lld", order, (long long)step);
        return say(r, "GET", path, NULL, ret, err);
    }
    struct b_err torn;
    json_t *answers = json_array();
    enum b_code sent = send_all(ch, event, answers, &torn);
    json_t *body =
        json_pack("{s:I, s:o, s:b}", "step", step, "answers", answers, "gone", sent != B_OK);
    (void)snprintf(path, sizeof(path), "/v1/desk/%s/answers", order);
    enum b_code code = say(r, "POST", path, body, ret, err);
    json_decref(body);
    if (sent != B_OK) { /* what the reader said tells more than what the server made of it */
        if (code == B_OK)
            json_decref(*ret);
        *ret = NULL;
        *err = torn;
        return sent;
    }
    return code;
}

enum b_code remote_desk_approve(struct remote *r, const json_t *event, json_t **ret,
                                struct b_err *err)
{
    char path[128];
    const json_t *plan = json_object_get(event, "plan");
    json_t *body = json_pack("{s:O, s:O}", "step", json_object_get(event, "step"), "digest",
                             json_object_get(plan, "digest"));
    (void)snprintf(path, sizeof(path), "/v1/desk/%.64s/approve",
                   json_string_value(json_object_get(event, "order")));
    enum b_code code =
        body != NULL ? say(r, "POST", path, body, ret, err)
                     : b_err_set(err, B_E_SERVER_GONE, 0, "the server's answer is not a plan");
    json_decref(body);
    return code;
}

void remote_desk_cancel(struct remote *r, const json_t *event)
{
    char path[128];
    struct b_err ignored; /* what nobody answers ends by itself */
    const char *order = json_string_value(json_object_get(event, "order"));
    (void)snprintf(path, sizeof(path), "/v1/desk/%.64s/cancel", order != NULL ? order : "");
    (void)!remote_call(r, "POST", path, NULL, NULL, &ignored);
}
