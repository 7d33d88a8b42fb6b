/* The end of a session, asked by a relying party (OpenID Connect RP-Initiated Logout 1.0). */
#include <string.h>

#include "crypto/crypto.h"
#include "http/signon.h"
#include "service/signer.h"

/* --- whose session it is -----------------------------------------------------------------------
 */

struct hint {
    char kid[CRYPTO_JWK_ID];
    struct b_rd head, signature; /* what is signed, and by what */
    bool is_ours;
};

static bool try_key(void *ctx, const struct store_signing_key *k)
{
    struct hint *t = ctx;
    if (strcmp(k->kid, t->kid) != 0 || !service_signer_is_published(k, time(NULL)))
        return true;
    t->is_ours =
        crypto_jws_verify(k->alg, b_rd_from(k->public_key, k->public_len), t->head, t->signature);
    return false;
}

static json_t *decode(const char *part, size_t n)
{
    static _Thread_local uint8_t text[VAULT_JWT_MAX];
    struct b_wr w = b_wr_from(text, sizeof(text));
    json_error_t ignored;
    return b_unbase64url(&w, part, n)
               ? json_loadb((const char *)text, w.len, JSON_REJECT_DUPLICATES, &ignored)
               : NULL;
}

static const char *text_of(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));
    return text != NULL ? text : "";
}

/* The key says by which algorithm it signs; what the token says of that does not matter. */
json_t *signon_hint(struct signon_call *c, const char *token)
{
    uint8_t bytes[CRYPTO_JWS_SIGNATURE_MAX];
    struct b_wr signature = b_wr_from(bytes, sizeof(bytes));
    struct hint t = {.is_ours = false};
    struct b_err ignored;
    const char *body = strchr(token, '.');
    const char *end = body != NULL ? strchr(body + 1, '.') : NULL;
    if (end == NULL || !b_unbase64url(&signature, end + 1, strlen(end + 1)))
        return NULL;
    json_t *head = decode(token, (size_t)(body - token));
    (void)snprintf(t.kid, sizeof(t.kid), "%s", text_of(head, "kid"));
    bool is_id_token = strcmp(text_of(head, "typ"), "JWT") == 0;
    json_decref(head);
    t.head = b_rd_from(token, (size_t)(end - token));
    t.signature = b_wr_reader(&signature);
    if (!is_id_token || store_signing_key_each(c->service.store, try_key, &t, &ignored) != B_OK ||
        !t.is_ours)
        return NULL;
    json_t *claims = decode(body + 1, (size_t)(end - body - 1));
    if (strcmp(text_of(claims, "iss"), c->config->issuer) == 0)
        return claims;
    json_decref(claims);
    return NULL;
}

/* --- pages -------------------------------------------------------------------------------------
 */

static void csrf_of(const char *cookie, char ret[static SIGNON_CSRF])
{
    uint8_t digest[32];
    crypto_sha256_two("logout", 6, cookie, strlen(cookie), digest);
    b_hex(ret, digest, sizeof(digest));
}

static void say_done(struct signon_call *c)
{
    signon_trouble(c, 200, WORD_LOGGED_OUT, WORD_LOGGED_OUT_TEXT, "");
}

static void ask(struct signon_call *c, const char *cookie)
{
    char csrf[SIGNON_CSRF];
    csrf_of(cookie, csrf);
    struct html *h = html_begin(c->is_french, WORD_LOGOUT, NULL, "");
    html_put(h, "<p>");
    html_say(h, WORD_LOGOUT_ASK);
    html_put(h, "</p>");
    html_form(h, "/signon/logout", "logout-form");
    html_hidden(h, "csrf", csrf);
    html_button(h, WORD_LOGOUT_YES, "main");
    signon_page_answer(c, 200, h, "");
}

/* All that this person has open on that station, here and at every relying party. */
static void end(struct signon_call *c, const struct store_signon *v)
{
    struct b_err ignored;
    const struct store_signon_of of = {.station = v->station, .holder_ref = v->holder_ref};
    (void)!service_signon_leave(&c->service, &of, "logout", &ignored);
    signon_set_cookie(c, "session", "", 0);
}

/* Back to the relying party, where it said so before; else a page of ours. */
static void leave(struct signon_call *c, const struct oidc_form *f,
                  const struct oidc_client *client)
{
    char url[OIDC_URI_MAX + 3 * OIDC_STATE_MAX + 16];
    const char *uri = oidc_form_text(f, "post_logout_redirect_uri");
    const char *state = oidc_form_text(f, "state");
    if (client == NULL || !oidc_is_logout_of(client, uri)) {
        say_done(c);
        return;
    }
    struct b_wr w = b_wr_from(url, sizeof(url) - 1);
    b_wr_bytes(&w, uri, strlen(uri));
    if (state[0] != '\0') {
        b_wr_u8(&w, strchr(uri, '?') != NULL ? '&' : '?');
        b_wr_bytes(&w, "state=", 6);
        oidc_put_encoded(&w, state);
    }
    url[w.len] = '\0';
    if (b_wr_ok(&w))
        signon_redirect(c, url);
    else
        say_done(c);
}

void signon_logout(struct signon_call *c)
{
    static _Thread_local struct store_signon v;
    char cookie[SIGNON_COOKIE_MAX];
    struct b_err ignored;
    const struct oidc_form *f = strcmp(c->request->method, "POST") == 0 ? &c->form : &c->query;
    json_t *claims = signon_hint(c, oidc_form_text(f, "id_token_hint"));
    const struct oidc_client *client = oidc_client_find(c->clients, text_of(claims, "aud"));
    const char *named = oidc_form_get(f, "client_id");
    bool is_for_us = client != NULL && (named == NULL || strcmp(named, client->id) == 0);
    signon_cookie(c, "session", cookie, sizeof(cookie));
    if (is_for_us) {
        if (store_signon_by_sid(c->service.store, text_of(claims, "sid"), &v, &ignored) == B_OK &&
            v.ended_at == 0)
            end(c, &v);
        leave(c, f, client);
    } else if (cookie[0] != '\0' &&
               service_signon_find(c->service.store, cookie, time(NULL), &v, &ignored) == B_OK) {
        ask(c, cookie); /* anybody can link here */
    } else {
        say_done(c);
    }
    json_decref(claims);
}

void signon_logout_now(struct signon_call *c)
{
    static _Thread_local struct store_signon v;
    char cookie[SIGNON_COOKIE_MAX];
    char csrf[SIGNON_CSRF];
    const char *given = oidc_form_text(&c->form, "csrf");
    struct b_err ignored;
    signon_cookie(c, "session", cookie, sizeof(cookie));
    csrf_of(cookie, csrf);
    if (strlen(given) != SIGNON_CSRF - 1 || !b_ct_eq(given, csrf, SIGNON_CSRF - 1)) {
        signon_trouble(c, 403, WORD_FORGED, WORD_FORGED_TEXT, "");
        return;
    }
    if (service_signon_find(c->service.store, cookie, time(NULL), &v, &ignored) == B_OK)
        end(c, &v);
    say_done(c);
}
