#include "service/oidc.h"

#include <stdio.h>
#include <string.h>

#include "crypto/crypto.h"

static void draw(char ret[static SERVICE_SECRET])
{
    uint8_t bytes[(SERVICE_SECRET - 1) / 2];
    crypto_random(bytes, sizeof(bytes));
    b_hex(ret, bytes, sizeof(bytes));
}

static void digest_of(const char *text, uint8_t out[static 32])
{
    crypto_sha256(text, strlen(text), out);
}

bool service_oidc_answers(const struct store_signon *v, const struct oidc_request *q, int64_t now)
{
    return !q->must_ask && (v->has_pin || !q->needs_pin) &&
           (q->max_age < 0 || now - v->tapped_at <= q->max_age) &&
           (q->holder_ref[0] == '\0' || strcmp(q->holder_ref, v->holder_ref) == 0);
}

/* --- codes -------------------------------------------------------------------------------------
 */

struct giving {
    struct store_grant grant;
    struct store_told told;
};

static enum b_code note_given(struct service_change *c, void *ctx, struct b_err *err)
{
    struct giving *k = ctx;
    struct store_grant *g = &k->grant;
    static _Thread_local struct store_signon v;
    enum b_code r = store_signon_by_id(c->store, g->signon, &v, err);
    if (r == B_OK && (v.ended_at != 0 || v.expires_at <= c->now))
        r = b_err_set(err, B_E_CHALLENGE_OVER, 0, "the session has ended");
    if (r != B_OK)
        return r;
    g->expires_at = g->token_expires = c->now + SERVICE_GRANT_SECONDS;
    r = store_grant_put(c->store, g, err);
    if (r == B_OK)
        r = store_signon_join(c->store, v.id, g->client, err);
    return r == B_OK ? store_signon_tell(c->store, v.id, &k->told, err) : r;
}

enum b_code service_oidc_give(struct service *sv, const struct oidc_request *q, const char *issuer,
                              int64_t signon, char *ret_code, struct b_err *err)
{
    struct giving k = {.grant = {.is_profile = q->is_profile, .signon = signon}};
    struct store_grant *g = &k.grant;
    static_assert(sizeof(g->client) == OIDC_ID_MAX && sizeof(g->redirect_uri) == OIDC_URI_MAX &&
                      sizeof(g->nonce) == OIDC_NONCE_MAX &&
                      sizeof(g->challenge) == OIDC_CHALLENGE && sizeof(k.told.url) == OIDC_URI_MAX,
                  "the store keeps what was asked");
    memcpy(g->client, q->client->id, sizeof(g->client));
    memcpy(g->redirect_uri, q->redirect_uri, sizeof(g->redirect_uri));
    memcpy(g->nonce, q->nonce, sizeof(g->nonce));
    memcpy(g->challenge, q->challenge, sizeof(g->challenge));
    memcpy(k.told.party, q->client->id, sizeof(k.told.party));
    memcpy(k.told.url, q->client->backchannel_uri, sizeof(k.told.url));
    (void)snprintf(k.told.issuer, sizeof(k.told.issuer), "%s", issuer);
    draw(ret_code);
    digest_of(ret_code, g->code);
    return service_change(sv, note_given, &k, err);
}

/* --- assertions of clients ---------------------------------------------------------------------
 */

struct taking {
    const char *client;
    const struct oidc_once *once;
    bool is_again;
};

static enum b_code note_once(struct service_change *c, void *ctx, struct b_err *err)
{
    struct taking *k = ctx;
    enum b_code r = store_once(c->store, k->once->digest, k->once->until, err);
    k->is_again = r == B_E_DUPLICATE;
    if (!k->is_again)
        return r;
    return service_log(c,
                       (struct service_entry){.kind = "code",
                                              .outcome = B_E_CODE_USED,
                                              .detail = json_pack("{s:s, s:s}", "party", k->client,
                                                                  "why", "assertion")},
                       err);
}

enum b_code service_oidc_once(struct service *sv, const char *client, const struct oidc_once *once,
                              struct b_err *err)
{
    struct taking k = {.client = client, .once = once};
    enum b_code r = service_change(sv, note_once, &k, err);
    if (r == B_OK && k.is_again)
        r = b_err_set(err, B_E_DUPLICATE, 0, "an assertion of %s", client);
    return r;
}

/* --- trading -----------------------------------------------------------------------------------
 */

struct trade {
    const struct service_redeem *asked;
    struct store_grant *grant;
    struct store_signon *signon;
    uint8_t token[32];
    enum b_code code; /* why not */
    const char *why;
};

static void refuse(struct trade *k, enum b_code code, const char *why)
{
    k->code = code;
    k->why = why;
}

/* PKCE that was begun is gone through with, and a verifier for none is a downgrade (RFC 9700
 * §2.1.1). */
static bool is_proven(const struct store_grant *g, const char *verifier)
{
    return g->challenge[0] != '\0' ? oidc_is_verifier(verifier, g->challenge) : verifier[0] == '\0';
}

static void judge(const struct service_change *c, struct trade *k)
{
    const struct store_grant *g = k->grant;
    if (strcmp(g->client, k->asked->client->id) != 0)
        refuse(k, B_E_CODE, "client");
    else if (g->used_at != 0)
        refuse(k, B_E_CODE_USED, "used");
    else if (g->ended_at != 0 || g->expires_at <= c->now)
        refuse(k, B_E_CODE, "late");
    else if (strcmp(g->redirect_uri, k->asked->redirect_uri) != 0)
        refuse(k, B_E_CODE, "redirect-uri");
    else if (!is_proven(g, k->asked->verifier))
        refuse(k, B_E_CODE, "verifier");
    else if (k->signon->ended_at != 0 || k->signon->expires_at <= c->now)
        refuse(k, B_E_CODE, "session");
}

/* Told once of a code and a client: whoever repeats it would have the journal grow for good. */
static enum b_code note_refused(struct service_change *c, struct trade *k, struct b_err *err)
{
    struct store_grant *g = k->grant;
    const char *client = k->asked->client->id;
    uint8_t told[32];
    crypto_sha256_two(g->code, sizeof(g->code), client, strlen(client), told);
    enum b_code r = store_once(c->store, told, c->now + SERVICE_ACCESS_SECONDS, err);
    if (r == B_E_DUPLICATE)
        return B_OK;
    if (r == B_OK && strcmp(g->client, client) == 0 && g->ended_at == 0) {
        g->ended_at = c->now;
        r = store_grant_put(c->store, g, err);
    }
    json_t *detail = json_pack("{s:s, s:s}", "party", k->asked->client->id, "why", k->why);
    return r == B_OK ? service_log(c,
                                   (struct service_entry){.kind = "code",
                                                          .outcome = k->code,
                                                          .detail = detail,
                                                          .badge_id = k->signon->badge_id,
                                                          .station_id = k->signon->station},
                                   err)
                     : r;
}

static enum b_code note_traded(struct service_change *c, void *ctx, struct b_err *err)
{
    struct trade *k = ctx;
    uint8_t digest[32];
    digest_of(k->asked->code, digest);
    enum b_code r = store_grant_by_code(c->store, digest, k->grant, err);
    if (r == B_E_NOT_FOUND)
        return b_err_set(err, B_E_CODE, 0, "no such code");
    if (r == B_OK)
        r = store_signon_by_id(c->store, k->grant->signon, k->signon, err);
    if (r != B_OK)
        return r;
    judge(c, k);
    if (k->code != B_OK)
        return note_refused(c, k, err);
    k->grant->used_at = c->now;
    k->grant->token_expires = c->now + SERVICE_ACCESS_SECONDS;
    memcpy(k->grant->token, k->token, sizeof(k->token));
    return store_grant_put(c->store, k->grant, err);
}

enum b_code service_oidc_redeem(struct service *sv, const struct service_redeem *asked,
                                struct store_grant *ret, struct store_signon *ret_signon,
                                char *token, struct b_err *err)
{
    struct trade k = {.asked = asked, .grant = ret, .signon = ret_signon};
    draw(token);
    digest_of(token, k.token);
    enum b_code r = service_change(sv, note_traded, &k, err);
    if (r == B_OK && k.code != B_OK)
        r = b_err_set(err, k.code, 0, "%s, for %s", k.why, asked->client->id);
    return r;
}

static enum b_code note_granted(struct service_change *c, void *ctx, struct b_err *err)
{
    struct store_grant *g = ctx;
    g->used_at = c->now;
    g->token_expires = c->now + SERVICE_ACCESS_SECONDS;
    return store_grant_put(c->store, g, err);
}

enum b_code service_oidc_ciba(struct service *sv, const struct oidc_client *client,
                              const char *challenge, struct store_grant *ret,
                              struct store_signon *ret_signon, char *token, struct b_err *err)
{
    static _Thread_local struct service_answer answer;
    static _Thread_local struct service_beginning begins; /* no browser has its cookie */
    begins.seconds = SERVICE_ACCESS_SECONDS;
    enum b_code r = service_challenge_take(sv, challenge, client->id, NULL, &answer, &begins, err);
    if (r != B_OK)
        return r;
    *ret_signon = begins.signon;
    *ret =
        (struct store_grant){.is_profile = answer.challenge.is_profile, .signon = ret_signon->id};
    memcpy(ret->client, client->id, sizeof(ret->client));
    draw(token); /* it has no code: one that nobody knows */
    digest_of(token, ret->code);
    draw(token);
    digest_of(token, ret->token);
    return service_change(sv, note_granted, ret, err);
}

enum b_code service_oidc_whose(struct store *s, const char *token, int64_t now,
                               struct store_grant *ret, struct store_signon *ret_signon,
                               struct b_err *err)
{
    uint8_t digest[32];
    digest_of(token, digest);
    enum b_code r = store_grant_by_token(s, digest, ret, err);
    if (r == B_OK)
        r = store_signon_by_id(s, ret->signon, ret_signon, err);
    if (r == B_OK && (ret->ended_at != 0 || ret->token_expires <= now ||
                      ret_signon->ended_at != 0 || ret_signon->expires_at <= now))
        r = B_E_NOT_FOUND;
    return r == B_E_NOT_FOUND ? b_err_set(err, r, 0, "no access token that counts") : r;
}
