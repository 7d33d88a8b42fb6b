#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/crypto.h"
#include "events/events.h"

#define CAEP "https://schemas.openid.net/secevent/caep/event-type/"
#define LOGOUT "http://schemas.openid.net/event/backchannel-logout"

enum { TIMEOUT_MS = 15000, LOGOUT_SECONDS = 120, NAME_MAX_LEN = 48 };

/* What the letter is called outside, the same at every attempt. */
static void name_letter(const struct store_letter *l, char out[static NAME_MAX_LEN])
{
    (void)snprintf(out, NAME_MAX_LEN, "msg_%lld_%s", (long long)l->id, l->tag);
}

static enum b_code put_text(char *body, json_t *o, struct b_err *err)
{
    char *text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(o);
    if (text == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "writing a letter");
    int n = snprintf(body, EVENTS_BODY_MAX, "%s", text);
    free(text);
    return n < EVENTS_BODY_MAX
               ? B_OK
               : b_err_set(err, B_E_CONFIG, 0, "a letter of %d bytes is too long", n);
}

static const char *text_of(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));
    return text != NULL ? text : "";
}

/* --- Standard Webhooks 1.0 ---------------------------------------------------------------------
 */

static enum b_code put_webhook(const struct events_form *f, const struct store_letter *l,
                               const json_t *told, char *body, struct b_err *err)
{
    char at[32] = "";
    struct tm tm = {.tm_year = 70};
    time_t t = (time_t)json_integer_value(json_object_get(told, "at"));
    (void)gmtime_r(&t, &tm);
    (void)strftime(at, sizeof(at), "%Y-%m-%dT%H:%M:%SZ", &tm);
    json_t *data = json_deep_copy(told);
    (void)json_object_del(data, "at");
    if (f->staff_id[0] != '\0')
        (void)json_object_set_new(data, "staff_id", json_string(f->staff_id));
    return put_text(
        body, json_pack("{s:s, s:s, s:o}", "type", l->kind, "timestamp", at, "data", data), err);
}

/* One signature for each secret, the newer first: while it is changed, either will do. */
static enum b_code sign_webhook(const struct events_form *f, const char *name, const char *body,
                                struct remote_post *ret, struct b_err *err)
{
    char *signed_text = NULL;
    uint8_t mac[32];
    char encoded[48];
    char *to = ret->headers[3];
    int n = asprintf(&signed_text, "%s.%lld.%s", name, (long long)f->now, body);
    if (n < 0)
        return b_err_set(err, B_E_NO_MEMORY, 0, "signing a letter");
    struct b_wr w = b_wr_from(to, sizeof(ret->headers[3]) - 1);
    b_wr_bytes(&w, "webhook-signature:", sizeof("webhook-signature:") - 1);
    for (size_t i = 0; i < f->subscriber->secret_count; i++) {
        const struct events_secret *s = &f->subscriber->secrets[i];
        crypto_hmac_sha256(s->bytes, s->n, signed_text, (size_t)n, mac);
        b_check(b_base64(encoded, sizeof(encoded), mac, sizeof(mac)));
        b_wr_bytes(&w, " v1,", 4);
        b_wr_bytes(&w, encoded, strlen(encoded));
    }
    b_check(b_wr_ok(&w));
    to[w.len] = '\0';
    free(signed_text);
    return B_OK;
}

static enum b_code form_webhook(const struct events_form *f, const struct store_letter *l,
                                const json_t *told, char *body, struct remote_post *ret,
                                struct b_err *err)
{
    char name[NAME_MAX_LEN];
    enum b_code r = put_webhook(f, l, told, body, err);
    if (r != B_OK)
        return r;
    name_letter(l, name);
    (void)snprintf(ret->headers[0], sizeof(ret->headers[0]), "Content-Type: application/json");
    (void)snprintf(ret->headers[1], sizeof(ret->headers[1]), "webhook-id: %s", name);
    (void)snprintf(ret->headers[2], sizeof(ret->headers[2]), "webhook-timestamp: %lld",
                   (long long)f->now);
    return sign_webhook(f, name, body, ret, err);
}

/* --- tokens ------------------------------------------------------------------------------------
 */

/* Signs claims, which it takes over, into jwt. */
static enum b_code sign_token(const struct events_form *f, enum events_token kind, json_t *claims,
                              char *jwt, size_t max, struct b_err *err)
{
    char *text = json_dumps(claims, JSON_COMPACT | JSON_SORT_KEYS);
    enum b_code r = B_OK;
    json_decref(claims);
    if (text == NULL)
        r = b_err_set(err, B_E_NO_MEMORY, 0, "signing a token");
    else if (f->signer->sign == NULL)
        r = b_err_set(err, B_E_SYSTEM, 0, "nothing signs tokens here");
    else
        r = f->signer->sign(f->signer->ctx, kind, text, jwt, max, err);
    free(text);
    return r;
}

/* Whom it is about: the sub that assertions have where the staff id may be told, else a number that
 * says nothing elsewhere (RFC 9493). */
static json_t *subject(const struct events_form *f, const json_t *told)
{
    char id[32];
    json_int_t holder = json_integer_value(json_object_get(told, "holder"));
    (void)snprintf(id, sizeof(id), holder != 0 ? "holder:%lld" : "badge:%lld",
                   holder != 0 ? (long long)holder
                               : (long long)json_integer_value(json_object_get(told, "badge")));
    return json_pack("{s:s, s:s, s:s}", "format", "iss_sub", "iss", f->config->issuer, "sub",
                     f->staff_id[0] != '\0' ? f->staff_id : id);
}

/* CAEP 1.0 §3.1, §3.2: one event a token. Claims are the same at every attempt. */
static json_t *security_event(const struct events_form *f, const struct store_letter *l,
                              const json_t *told)
{
    char name[NAME_MAX_LEN];
    char type[sizeof(CAEP) + STORE_EVENT_MAX];
    const char *change = text_of(told, "change");
    json_t *at = json_object_get(told, "at");
    json_t *event = json_pack("{s:O}", "event_timestamp", at);
    if (change[0] != '\0') {
        (void)json_object_set_new(event, "credential_type", json_string("badge"));
        (void)json_object_set_new(event, "change_type", json_string(change));
    }
    name_letter(l, name);
    (void)snprintf(type, sizeof(type), CAEP "%s", l->kind);
    return json_pack("{s:s, s:s, s:O, s:s, s:o, s:{s:o}}", "iss", f->config->issuer, "aud",
                     f->subscriber->audience, "iat", at, "jti", name, "sub_id", subject(f, told),
                     "events", type, event);
}

/* RFC 8935 §2.1. */
static enum b_code form_set(const struct events_form *f, const struct store_letter *l,
                            const json_t *told, char *body, struct remote_post *ret,
                            struct b_err *err)
{
    (void)snprintf(ret->headers[0], sizeof(ret->headers[0]),
                   "Content-Type: application/secevent+jwt");
    (void)snprintf(ret->headers[1], sizeof(ret->headers[1]), "Accept: application/json");
    if (f->subscriber->token[0] != '\0')
        (void)snprintf(ret->headers[2], sizeof(ret->headers[2]), "Authorization: Bearer %s",
                       f->subscriber->token);
    return sign_token(f, EVENTS_TOKEN_SET, security_event(f, l, told), body, EVENTS_JWT_MAX, err);
}

/* OpenID Connect Back-Channel Logout 1.0 §2.4: fresh at every attempt, as it soon expires. */
static json_t *logout_claims(const struct events_form *f, const json_t *told)
{
    uint8_t drawn[16];
    char jti[2 * sizeof(drawn) + 1];
    crypto_random(drawn, sizeof(drawn));
    b_hex(jti, drawn, sizeof(drawn));
    json_t *o = json_pack("{s:s, s:s, s:I, s:I, s:s, s:{s:{}}}", "iss", text_of(told, "issuer"),
                          "aud", text_of(told, "client"), "iat", (json_int_t)f->now, "exp",
                          (json_int_t)f->now + LOGOUT_SECONDS, "jti", jti, "events", LOGOUT);
    static const char *const names[] = {"sid", "sub"};
    for (size_t i = 0; i < B_COUNT(names); i++)
        if (text_of(told, names[i])[0] != '\0')
            (void)json_object_set_new(o, names[i], json_string(text_of(told, names[i])));
    return o;
}

/* To where the letter says: its address goes to the end of body. */
static enum b_code address(const struct events_form *f, const json_t *told, char *body,
                           struct remote_post *ret, struct b_err *err)
{
    char *url = body + (EVENTS_BODY_MAX - EVENTS_URL_MAX);
    if (snprintf(url, EVENTS_URL_MAX, "%s", text_of(told, "url")) >= EVENTS_URL_MAX)
        return b_err_set(err, B_E_CONFIG, 0, "the address of a client is too long");
    ret->url = url;
    ret->ca = f->config->ca;
    return B_OK;
}

static enum b_code form_logout(const struct events_form *f, const json_t *told, char *body,
                               struct remote_post *ret, struct b_err *err)
{
    static const char field[] = "logout_token=";
    const size_t skip = sizeof(field) - 1;
    memcpy(body, field, skip);
    (void)snprintf(ret->headers[0], sizeof(ret->headers[0]),
                   "Content-Type: application/x-www-form-urlencoded");
    return sign_token(f, EVENTS_TOKEN_LOGOUT, logout_claims(f, told), body + skip, EVENTS_JWT_MAX,
                      err);
}

/* OpenID CIBA Core 1.0 §10.2. */
static enum b_code form_ping(const json_t *told, char *body, struct remote_post *ret,
                             struct b_err *err)
{
    int n =
        snprintf(body, EVENTS_JWT_MAX, "{\"auth_req_id\":\"%s\"}", text_of(told, "auth_req_id"));
    int h = snprintf(ret->headers[1], sizeof(ret->headers[1]), "Authorization: Bearer %s",
                     text_of(told, "token"));
    (void)snprintf(ret->headers[0], sizeof(ret->headers[0]), "Content-Type: application/json");
    return n < EVENTS_JWT_MAX && h < (int)sizeof(ret->headers[1])
               ? B_OK
               : b_err_set(err, B_E_CONFIG, 0, "a ping that does not fit");
}

static enum b_code form_for_client(const struct events_form *f, const struct store_letter *l,
                                   const json_t *told, char *body, struct remote_post *ret,
                                   struct b_err *err)
{
    enum b_code r = address(f, told, body, ret, err);
    if (r != B_OK)
        return r;
    return strcmp(l->kind, SERVICE_LETTER_PING) == 0 ? form_ping(told, body, ret, err)
                                                     : form_logout(f, told, body, ret, err);
}

enum b_code events_form(const struct events_form *f, const struct store_letter *l,
                        char body[static EVENTS_BODY_MAX], struct remote_post *ret,
                        struct b_err *err)
{
    const struct events_subscriber *s = f->subscriber;
    const struct service_event *event = service_event_named(l->kind);
    if (s != NULL && (event == NULL || event->form != s->form))
        return b_err_set(err, B_E_CONFIG, 0, "the subscriber does not take this kind any more");
    json_t *told = json_loads(l->body, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(told)) {
        json_decref(told);
        return b_err_set(err, B_E_CONFIG, 0, "letter %lld is no JSON", (long long)l->id);
    }
    *ret = (struct remote_post){.body = body, .timeout_ms = TIMEOUT_MS};
    (void)snprintf(ret->headers[4], sizeof(ret->headers[4]), "User-Agent: tessere");
    (void)snprintf(ret->headers[5], sizeof(ret->headers[5]), "Expect:");
    if (s != NULL) {
        ret->url = s->url;
        ret->ca = s->ca;
    }
    enum b_code r = s == NULL                       ? form_for_client(f, l, told, body, ret, err)
                    : s->form == SERVICE_EVENT_CAEP ? form_set(f, l, told, body, ret, err)
                                                    : form_webhook(f, l, told, body, ret, err);
    json_decref(told);
    return r;
}

int64_t events_holder_of(const struct store_letter *l)
{
    json_t *told = json_loads(l->body, JSON_REJECT_DUPLICATES, NULL);
    int64_t id = json_integer_value(json_object_get(told, "holder"));
    json_decref(told);
    return id;
}

/* --- answers -----------------------------------------------------------------------------------
 */

/* RFC 8935 §2.4: what the receiver says is wrong. Where its configuration or ours may be mended
 * meanwhile, the token goes again. */
static enum events_verdict judge_set(const struct remote_posted *a, char *why, size_t cap)
{
    static const char *const hopeless[] = {"invalid_request", "invalid_issuer", "invalid_audience"};
    json_t *o = json_loads(a->body, 0, NULL);
    char code[32];
    (void)snprintf(code, sizeof(code), "%s", text_of(o, "err"));
    json_decref(o);
    code[strspn(code, "abcdefghijklmnopqrstuvwxyz_")] = '\0';
    (void)snprintf(why, cap, "status 400: %s", code[0] != '\0' ? code : "without a reason");
    for (size_t i = 0; i < B_COUNT(hopeless); i++)
        if (strcmp(code, hopeless[i]) == 0)
            return EVENTS_REFUSED;
    return EVENTS_AGAIN;
}

enum events_verdict events_judge(const char *kind, const struct remote_posted *answer, char *why,
                                 size_t cap)
{
    const struct service_event *event = service_event_named(kind);
    bool is_set = event != NULL && event->form == SERVICE_EVENT_CAEP;
    long status = answer->status;
    (void)snprintf(why, cap, "%s", answer->error);
    if (status == 0)
        return EVENTS_AGAIN;
    if (status >= 200 && status <= 299)
        return EVENTS_TAKEN;
    if (is_set && status == 400)
        return judge_set(answer, why, cap);
    (void)snprintf(why, cap,
                   status >= 300 && status <= 399 ? "status %ld: no redirect is followed"
                                                  : "status %ld",
                   status);
    /* 410: the receiver says that it wants none any more (Standard Webhooks) */
    return status == 410 && event != NULL && !is_set ? EVENTS_REFUSED : EVENTS_AGAIN;
}
