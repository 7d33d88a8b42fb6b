#include "agent/message.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/*
 * packet = object [ LF digits ]
 *   {"do":"status"}
 *   {"do":"tap", "seconds":1..300, "subject":text, "reader":text, "challenge":text}
 *   {"do":"pin"} LF 1 to 12 digits
 *   {"do":"cancel"}
 *   {"do":"keys"}
 *   {"do":"browser"}
 *   {"do":"pair"}
 *   {"do":"challenges"}
 *   {"do":"choose", "challenge":name}
 *   {"do":"refuse", "challenge":name}
 *   {"do":"leave"}
 */
static const char *const asks[] = {
    [AGENT_STATUS] = "status",   [AGENT_TAP] = "tap",       [AGENT_PIN] = "pin",
    [AGENT_CANCEL] = "cancel",   [AGENT_KEYS] = "keys",     [AGENT_CHALLENGES] = "challenges",
    [AGENT_CHOOSE] = "choose",   [AGENT_REFUSE] = "refuse", [AGENT_LEAVE] = "leave",
    [AGENT_BROWSER] = "browser", [AGENT_PAIR] = "pair"};

static enum b_code take_text(const char *name, const json_t *value, char *to, size_t cap,
                             struct b_err *err)
{
    const char *text = json_string_value(value);
    if (text == NULL || text[0] == '\0' || strlen(text) >= cap || !b_text_is_name(text))
        return b_err_set(err, B_E_BAD_INPUT, 0, "field %s: a text of 1 to %zu bytes", name,
                         cap - 1);
    memcpy(to, text, strlen(text) + 1);
    return B_OK;
}

static enum b_code take_seconds(const json_t *value, unsigned *to, struct b_err *err)
{
    json_int_t n = json_integer_value(value); /* 0 when it is none */
    if (n < 1 || n > AGENT_ASK_SECONDS_MAX)
        return b_err_set(err, B_E_BAD_INPUT, 0, "field seconds: 1 to %d", AGENT_ASK_SECONDS_MAX);
    *to = (unsigned)n;
    return B_OK;
}

/* It becomes part of a path. */
static enum b_code take_name(const json_t *value, struct agent_message *m, struct b_err *err)
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    enum b_code r = take_text("challenge", value, m->challenge, sizeof(m->challenge), err);
    if (r == B_OK && strspn(m->challenge, good) != strlen(m->challenge))
        r = b_err_set(err, B_E_BAD_INPUT, 0, "field challenge: letters and digits alone");
    return r;
}

static enum b_code take_field(const char *name, const json_t *value, struct agent_message *m,
                              struct b_err *err)
{
    if (strcmp(name, "do") == 0)
        return B_OK;
    if (m->ask == AGENT_TAP && strcmp(name, "seconds") == 0)
        return take_seconds(value, &m->seconds, err);
    if (m->ask == AGENT_TAP && strcmp(name, "subject") == 0)
        return take_text(name, value, m->subject, sizeof(m->subject), err);
    if (m->ask == AGENT_TAP && strcmp(name, "reader") == 0)
        return take_text(name, value, m->reader, sizeof(m->reader), err);
    if (m->ask == AGENT_TAP && strcmp(name, "challenge") == 0)
        return take_text(name, value, m->challenge, sizeof(m->challenge), err);
    if ((m->ask == AGENT_CHOOSE || m->ask == AGENT_REFUSE) && strcmp(name, "challenge") == 0)
        return take_name(value, m, err);
    return b_err_set(err, B_E_BAD_INPUT, 0, "field %.32s: not known in %s",
                     b_text_is_name(name) ? name : "?", asks[m->ask]);
}

static enum b_code take_object(const json_t *o, struct agent_message *m, struct b_err *err)
{
    const char *word = json_string_value(json_object_get(o, "do"));
    const char *name = NULL;
    json_t *value = NULL;
    size_t i = 0;
    while (word != NULL && i < B_COUNT(asks) && strcmp(asks[i], word) != 0)
        i++;
    if (word == NULL || i == B_COUNT(asks))
        return b_err_set(err, B_E_BAD_INPUT, 0, "field do: not known");
    m->ask = (enum agent_ask)i;
    enum b_code r = B_OK;
    /* the iteration lends the object without const; nothing is changed */
    json_object_foreach((json_t *)(uintptr_t)o, name, value)
    {
        if (r == B_OK)
            r = take_field(name, value, m, err);
    }
    return r;
}

static enum b_code take_pin(struct b_rd digits, struct agent_message *m, struct b_err *err)
{
    if (digits.left < 1 || digits.left > AGENT_PIN_MAX)
        return b_err_set(err, B_E_PIN_FORMAT, 0, "1 to %d digits after a newline", AGENT_PIN_MAX);
    for (size_t i = 0; i < digits.left; i++)
        if (digits.p[i] < '0' || digits.p[i] > '9')
            return b_err_set(err, B_E_PIN_FORMAT, 0, "digits alone");
    m->pin = digits;
    return B_OK;
}

enum b_code agent_message_parse(struct b_rd packet, struct agent_message *ret, struct b_err *err)
{
    *ret = (struct agent_message){.seconds = AGENT_ASK_SECONDS};
    if (packet.left > AGENT_MESSAGE_MAX)
        return b_err_set(err, B_E_TOO_LARGE, 0, "at most %d bytes", AGENT_MESSAGE_MAX);
    const uint8_t *end = packet.left > 0 ? memchr(packet.p, '\n', packet.left) : NULL;
    size_t n = end != NULL ? (size_t)(end - packet.p) : packet.left;
    struct b_rd object = b_rd_take(&packet, n);
    json_error_t why;
    json_t *o = n > 0 ? json_loadb((const char *)object.p, n, JSON_REJECT_DUPLICATES, &why) : NULL;
    enum b_code r = json_is_object(o) ? take_object(o, ret, err)
                                      : b_err_set(err, B_E_BAD_INPUT, 0, "a JSON object is needed");
    json_decref(o);
    bool is_named = ret->challenge[0] != '\0';
    if (r == B_OK && (ret->ask == AGENT_CHOOSE || ret->ask == AGENT_REFUSE) && !is_named)
        r = b_err_set(err, B_E_BAD_INPUT, 0, "field challenge: its name is needed");
    if (r != B_OK)
        return r;
    if (end != NULL)
        b_rd_skip(&packet, 1);
    if (ret->ask == AGENT_PIN)
        return take_pin(packet, ret, err);
    return end == NULL ? B_OK
                       : b_err_set(err, B_E_BAD_INPUT, 0, "nothing may follow %s", asks[ret->ask]);
}
