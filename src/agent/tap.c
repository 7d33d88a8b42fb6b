/*
 * A tap in two messages. Selecting the application and asking for the card's challenge needs no
 * key, so the station does both before it says a word; the first message brings the challenge.
 */
#include <string.h>

#include "agent/agent.h"
#include "crypto/hpke.h"

enum { FRAME = 32, CHALLENGE = 16 };

static enum b_code missing(const char *what, struct b_err *err)
{
    return b_err_set(err, B_E_SERVER_GONE, 0, "the server's answer has no %s", what);
}

enum b_code agent_self(struct remote *r, struct agent_self *ret, struct b_err *err)
{
    json_t *o = NULL;
    uint8_t aid[3];
    struct b_wr w = b_wr_from(aid, sizeof(aid));
    struct b_wr pin = b_wr_from(ret->pin_key, sizeof(ret->pin_key));
    enum b_code code = remote_call(r, "GET", "/v1/station", NULL, &o, err);
    if (code != B_OK)
        return code;
    const json_t *serial = json_object_get(o, "serial_file");
    const char *texts[] = {"name", "group", "language", "aid", "pin_key"};
    const char *values[B_COUNT(texts)];
    for (size_t i = 0; i < B_COUNT(texts); i++) {
        values[i] = json_string_value(json_object_get(o, texts[i]));
        if (values[i] == NULL && code == B_OK)
            code = missing(texts[i], err);
    }
    if (code == B_OK && (!b_unhex(&w, values[3]) || w.len != 3 || !b_unhex(&pin, values[4])))
        code = missing("application that can be read", err);
    if (code == B_OK) {
        (void)snprintf(ret->name, sizeof(ret->name), "%s", values[0]);
        (void)snprintf(ret->group, sizeof(ret->group), "%s", values[1]);
        (void)snprintf(ret->language, sizeof(ret->language), "%s", values[2]);
        ret->aid = (df_aid)aid[0] << 16 | (df_aid)aid[1] << 8 | aid[2];
        ret->key_no = (uint8_t)(json_integer_value(json_object_get(o, "key_no")) & 15);
        ret->serial_file = json_is_integer(serial) ? (int)(json_integer_value(serial) & 31) : -1;
        ret->serial_length =
            (uint8_t)(json_integer_value(json_object_get(o, "serial_length")) & 31);
        ret->debounce_ms = (int)(json_integer_value(json_object_get(o, "debounce_ms")) & 0xFFFF);
    }
    json_decref(o);
    return code;
}

/* --- frames ------------------------------------------------------------------------------------
 */

/* One native command, wrapped (ISO/IEC 7816-4); gives the card's status byte and its data. */
static enum b_code ask(struct channel *ch, uint8_t ins, struct b_rd data, struct b_wr *answer,
                       uint8_t *ret_status, struct b_err *err)
{
    uint8_t bytes[64];
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    b_wr_u8(&w, 0x90);
    b_wr_u8(&w, ins);
    b_wr_be16(&w, 0);
    if (data.left > 0) {
        b_wr_u8(&w, (uint8_t)data.left);
        b_wr_bytes(&w, data.p, data.left);
    }
    b_wr_u8(&w, 0);
    b_check(b_wr_ok(&w));
    answer->len = 0;
    enum b_code r = channel_transmit(ch, b_wr_reader(&w), answer, err);
    if (r != B_OK)
        return r;
    if (answer->len < 2 || answer->p[answer->len - 2] != 0x91)
        return b_err_set(err, B_E_NOT_DESFIRE, 0, "the card does not answer as a DESFire does");
    *ret_status = answer->p[answer->len - 1];
    answer->len -= 2;
    return B_OK;
}

static enum b_code ask_ok(struct channel *ch, uint8_t ins, struct b_rd data, struct b_wr *answer,
                          struct b_err *err)
{
    uint8_t status = 0;
    enum b_code r = ask(ch, ins, data, answer, &status, err);
    if (r == B_OK && status == DF_SW_APPLICATION_NOT_FOUND)
        return b_err_set(err, B_E_CARD_FOREIGN, status, "our application is not on this card");
    if (r == B_OK && status != DF_SW_OK)
        return b_err_set(err, B_E_CARD_REFUSED, status, "command %02X: %s", ins,
                         df_sw_name(status));
    return r;
}

struct tap {
    const struct agent_self *self;
    struct channel *ch;
    struct b_wr answer; /* the card's last */
    struct agent_wish wish;
    const struct agent_pin *pin;
    const char *method;
    uint8_t uid[7], serial[16];
    uint8_t uid_len, serial_len;
    uint8_t generation;
};

/* The true UID from GetVersion, for a reader that does not tell it. */
static enum b_code read_uid(struct tap *t, struct b_err *err)
{
    enum { UID_AT = 0, LAST_FRAME = 14 };
    uint8_t status = DF_SW_ADDITIONAL_FRAME;
    enum b_code r = ask(t->ch, 0x60, b_rd_from(NULL, 0), &t->answer, &status, err);
    for (int i = 0; r == B_OK && status == DF_SW_ADDITIONAL_FRAME && i < 2; i++)
        r = ask(t->ch, 0xAF, b_rd_from(NULL, 0), &t->answer, &status, err);
    if (r == B_OK && (status != DF_SW_OK || t->answer.len < LAST_FRAME))
        r = b_err_set(err, B_E_NOT_DESFIRE, status, "the card does not tell its version");
    if (r == B_OK) {
        memcpy(t->uid, t->answer.p + UID_AT, sizeof(t->uid));
        t->uid_len = sizeof(t->uid);
    }
    return r;
}

static enum b_code identify(struct tap *t, struct b_err *err)
{
    const struct channel_card *card = channel_card(t->ch);
    uint8_t aid[3];
    struct b_wr w = b_wr_from(aid, sizeof(aid));
    b_wr_le24(&w, t->self->aid);
    enum b_code r = B_OK;
    if (t->self->serial_file < 0 && card->uid_len == sizeof(t->uid)) {
        memcpy(t->uid, card->uid, sizeof(t->uid));
        t->uid_len = sizeof(t->uid);
    } else if (t->self->serial_file < 0) {
        r = read_uid(t, err);
    }
    if (r == B_OK)
        r = ask_ok(t->ch, 0x5A, b_wr_reader(&w), &t->answer, err);
    if (r != B_OK || t->self->serial_file < 0)
        return r;
    const uint8_t read[7] = {(uint8_t)t->self->serial_file, 0, 0, 0, t->self->serial_length, 0, 0};
    r = ask_ok(t->ch, 0xBD, b_rd_from(read, sizeof(read)), &t->answer, err);
    if (r != B_OK)
        return r;
    size_t n = t->answer.len < sizeof(t->serial) ? t->answer.len : sizeof(t->serial);
    while (n > 0 && t->answer.p[n - 1] == 0)
        n--; /* it is kept zero padded */
    memcpy(t->serial, t->answer.p, n);
    t->serial_len = (uint8_t)n;
    return n > 0 ? B_OK : b_err_set(err, B_E_CARD_FOREIGN, 0, "the badge has no serial");
}

/* The card's challenge: AuthenticateEV2First, or AuthenticateAES on a card that does not know it.
 */
static enum b_code begin(struct tap *t, struct b_err *err)
{
    const uint8_t first[2] = {t->self->key_no, 0};
    uint8_t status = 0;
    t->method = "ev2";
    enum b_code r = ask(t->ch, 0x71, b_rd_from(first, sizeof(first)), &t->answer, &status, err);
    if (r == B_OK && (status == DF_SW_ILLEGAL_COMMAND || status == 0x0B)) {
        t->method = "aes";
        r = ask(t->ch, 0xAA, b_rd_from(first, 1), &t->answer, &status, err);
    }
    if (r == B_OK && (status != DF_SW_ADDITIONAL_FRAME || t->answer.len != CHALLENGE))
        r = b_err_set(err, B_E_CARD_REFUSED, status, "authentication: %s", df_sw_name(status));
    return r;
}

/* --- messages ----------------------------------------------------------------------------------
 */

static enum b_code first_message(struct tap *t, struct remote *r, char *name, size_t cap,
                                 uint8_t frame[static FRAME], struct b_err *err)
{
    char hex[2 * 16 + 1];
    json_t *answer = NULL;
    json_t *m = json_pack("{s:s}", "method", t->method);
    b_hex(hex, t->answer.p, CHALLENGE);
    (void)json_object_set_new(m, "cryptogram", json_string(hex));
    if (t->serial_len > 0) {
        b_hex(hex, t->serial, t->serial_len);
        (void)json_object_set_new(m, "serial", json_string(hex));
    } else {
        b_hex(hex, t->uid, t->uid_len);
        (void)json_object_set_new(m, "uid", json_string(hex));
    }
    if (t->generation != 0)
        (void)json_object_set_new(m, "generation", json_integer(t->generation));
    if (t->wish.challenge[0] != '\0')
        (void)json_object_set_new(m, "challenge", json_string(t->wish.challenge));
    if (t->wish.reader[0] != '\0')
        (void)json_object_set_new(m, "reader", json_string(t->wish.reader));
    enum b_code code = remote_call(r, "POST", "/v1/taps", m, &answer, err);
    json_decref(m);
    if (code != B_OK)
        return code;
    const char *tap = json_string_value(json_object_get(answer, "tap"));
    const char *text = json_string_value(json_object_get(answer, "frame"));
    struct b_wr w = b_wr_from(frame, FRAME);
    if (tap == NULL || strlen(tap) >= cap || strspn(tap, "0123456789ABCDEF") != strlen(tap) ||
        text == NULL || !b_unhex(&w, text) || w.len != FRAME)
        code = missing("frame for the card", err);
    else
        (void)snprintf(name, cap, "%s", tap);
    json_decref(answer);
    return code;
}

static void take_text(char *to, size_t cap, const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));
    (void)snprintf(to, cap, "%s", text != NULL ? text : "");
}

static void take_outcome(const json_t *answer, const struct agent_wish *wish,
                         struct agent_outcome *ret)
{
    const json_t *holder = json_object_get(answer, "holder");
    if (wish->offer != NULL && strcmp(remote_text(answer, "outcome"), "granted") == 0)
        wish->offer(wish->ctx, json_object_get(answer, "challenges"));
    const json_t *answers = json_object_get(answer, "answers");
    ret->is_answer = json_array_size(answers) > 0;
    const char *only =
        json_array_size(answers) == 1 ? json_string_value(json_array_get(answers, 0)) : NULL;
    (void)snprintf(ret->answers, sizeof(ret->answers), "%s", only != NULL ? only : "");
    take_text(ret->holder_ref, sizeof(ret->holder_ref), holder, "ref");
    take_text(ret->holder_name, sizeof(ret->holder_name), holder, "name");
    take_text(ret->sentence, sizeof(ret->sentence), answer, "sentence");
    take_text(ret->assertion, sizeof(ret->assertion), answer, "assertion");
    ret->badge = json_integer_value(json_object_get(answer, "badge"));
    if (json_is_true(json_object_get(answer, "rekey")))
        take_text(ret->rekey, sizeof(ret->rekey), answer, "tap");
}

/* Third messages: the PIN, sealed for the vault; typed again when it was wrong. */
static enum b_code pin_messages(const struct tap *t, struct remote *r, const char *name,
                                struct agent_outcome *ret, struct b_err *err)
{
    enum { TEXT = 16, BOX = TEXT + CRYPTO_HPKE_OVERHEAD, SECRETS = 4096 };
    const struct crypto_hpke context = {b_rd_from("tessere-pin/v1", 14),
                                        b_rd_from(name, strlen(name))};
    char path[128];
    char hex[2 * BOX + 1];
    enum b_code code = B_E_PIN_WRONG;
    (void)snprintf(path, sizeof(path), "/v1/taps/%s/pin", name);
    if (b_secret_init(SECRETS, false, err) != B_OK) /* unless it is there already */
        return err->code;
    while (code == B_E_PIN_WRONG || code == B_E_PIN_FORMAT) {
        char *text = b_secret_alloc(TEXT);
        uint8_t box[BOX];
        json_t *answer = NULL;
        bool is_given =
            text != NULL && t->pin->ask != NULL && t->pin->ask(t->pin->ctx, ret->sentence, text);
        bool is_sealed =
            is_given && crypto_hpke_seal(t->self->pin_key, &context, b_rd_from(text, TEXT), box);
        b_secret_free(text);
        if (!is_sealed)
            return b_err_set(err, B_E_PIN_REQUIRED, 0, "no PIN was given");
        b_hex(hex, box, sizeof(box));
        json_t *m = json_pack("{s:s}", "box", hex);
        code = remote_call(r, "POST", path, m, &answer, err);
        json_decref(m);
        (void)snprintf(ret->sentence, sizeof(ret->sentence), "%s", remote_sentence(r));
        if (code == B_OK)
            take_outcome(answer, &t->wish, ret);
        json_decref(answer);
    }
    return code;
}

static enum b_code second_message(const struct tap *t, struct remote *r, const char *name,
                                  uint8_t status, struct agent_outcome *ret, bool *ret_is_elsewhere,
                                  struct b_err *err)
{
    char path[128];
    char hex[2 * FRAME + 1] = "";
    char word[5];
    json_t *answer = NULL;
    size_t n = status == DF_SW_OK && t->answer.len <= FRAME ? t->answer.len : 0;
    b_hex(hex, t->answer.p, n);
    b_hex(word, (const uint8_t[]){0x91, status}, 2);
    (void)snprintf(path, sizeof(path), "/v1/taps/%s", name);
    json_t *m = json_pack("{s:s, s:s}", "answer", hex, "status", word);
    enum b_code code = remote_call(r, "POST", path, m, &answer, err);
    json_decref(m);
    if (code != B_OK)
        return code;
    take_outcome(answer, &t->wish, ret);
    bool needs_pin = strcmp(remote_text(answer, "outcome"), "pin") == 0;
    *ret_is_elsewhere = strcmp(remote_text(answer, "asked"), "browser") == 0;
    json_decref(answer);
    return needs_pin ? b_err_set(err, B_E_PIN_REQUIRED, 0, "tap %s", name) : B_OK;
}

/* One authentication. *ret_status: what the card said to the frame. */
static enum b_code authenticate(struct tap *t, struct remote *r, struct agent_outcome *ret,
                                uint8_t *ret_status, struct b_err *err)
{
    char name[64];
    uint8_t frame[FRAME];
    bool is_elsewhere = false; /* the PIN is typed into the login that the tap is for */
    enum b_code code = begin(t, err);
    if (code == B_OK)
        code = first_message(t, r, name, sizeof(name), frame, err);
    if (code == B_OK)
        code = ask(t->ch, 0xAF, b_rd_from(frame, sizeof(frame)), &t->answer, ret_status, err);
    if (code == B_OK)
        code = second_message(t, r, name, *ret_status, ret, &is_elsewhere, err);
    return code == B_E_PIN_REQUIRED && !is_elsewhere ? pin_messages(t, r, name, ret, err) : code;
}

enum b_code agent_tap(struct remote *r, const struct agent_self *self, struct channel *ch,
                      struct agent_wish wish, const struct agent_pin *pin,
                      struct agent_outcome *ret, struct b_err *err)
{
    uint8_t room[DF_RAPDU_MAX];
    uint8_t status = DF_SW_OK;
    struct tap t = {
        .self = self, .ch = ch, .wish = wish, .pin = pin, .answer = b_wr_from(room, sizeof(room))};
    *ret = (struct agent_outcome){.badge = 0};
    enum b_code code = identify(&t, err);
    if (code == B_OK)
        code = authenticate(&t, r, ret, &status, err);
    /* Another generation than the server thought: the card is asked, and it begins again once. */
    bool has_left = false;
    if (code == B_E_CARD_AUTH && status == DF_SW_AUTHENTICATION_ERROR) {
        struct b_err asked;
        uint8_t key_no = self->key_no;
        enum b_code told = ask_ok(ch, 0x64, b_rd_from(&key_no, 1), &t.answer, &asked);
        has_left = told == B_E_CARD_REMOVED || told == B_E_CHANNEL;
        if (has_left) { /* nobody is refused: the badge was lifted too soon */
            *err = asked;
            code = told;
        } else if (told == B_OK && t.answer.len == 1 && t.answer.p[0] != 0) {
            t.generation = t.answer.p[0];
            code = authenticate(&t, r, ret, &status, err);
        }
    }
    ret->code = code;
    const char *said = has_left ? "" : remote_sentence(r);
    if (code != B_OK)
        (void)snprintf(ret->sentence, sizeof(ret->sentence), "%s",
                       said[0] != '\0' ? said : b_code_text(code));
    return code;
}
