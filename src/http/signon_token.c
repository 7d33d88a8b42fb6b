/* Codes for tokens (OpenID Connect Core §3.1.3), and whose they are (§5.3). */
#include <string.h>
#include <strings.h>

#include "http/signon.h"
#include "service/signer.h"

static enum b_code sign(struct signon_call *c, const struct oidc_client *client,
                        const struct store_grant *g, const struct store_signon *v,
                        const char *access, char *jwt, struct b_err *err)
{
    const struct oidc_token t = {.issuer = c->config->issuer,
                                 .client = client->id,
                                 .nonce = g->nonce,
                                 .sid = v->sid,
                                 .access_token = access,
                                 .expires_at = time(NULL) + SERVICE_ID_TOKEN_SECONDS};
    json_t *claims = oidc_id_claims(&t);
    enum b_code r = service_sign(&c->service, VAULT_ID_TOKEN, client->alg, v->token, claims, jwt,
                                 VAULT_JWT_MAX, err);
    json_decref(claims);
    return r;
}

/* By a code; false: it is none, and that is answered. */
static bool redeem(struct signon_call *c, const struct oidc_client *client, struct store_grant *g,
                   struct store_signon *v, char *access)
{
    struct b_err err = {.code = B_OK};
    const struct service_redeem asked = {.client = client,
                                         .code = oidc_form_text(&c->form, "code"),
                                         .redirect_uri = oidc_form_text(&c->form, "redirect_uri"),
                                         .verifier = oidc_form_text(&c->form, "code_verifier")};
    enum b_code r = service_oidc_redeem(&c->service, &asked, g, v, access, &err);
    if (r == B_E_CODE || r == B_E_CODE_USED)
        signon_error(c, 400, "invalid_grant", b_code_text(r));
    else if (r != B_OK)
        signon_error(c, http_status_of(r) >= 500 ? 503 : 400, "temporarily_unavailable",
                     b_code_text(r));
    return r == B_OK;
}

typedef bool redeemer(struct signon_call *c, const struct oidc_client *client,
                      struct store_grant *g, struct store_signon *v, char *access);

static void trade(struct signon_call *c, const struct oidc_client *client, redeemer *redeems)
{
    static _Thread_local struct store_grant g;
    static _Thread_local struct store_signon v;
    static _Thread_local char jwt[VAULT_JWT_MAX];
    char access[SERVICE_SECRET];
    struct b_err err = {.code = B_OK};
    if (!redeems(c, client, &g, &v, access))
        return;
    enum b_code r = sign(c, client, &g, &v, access, jwt, &err);
    if (r != B_OK)
        signon_error(c, http_status_of(r) >= 500 ? 503 : 400,
                     http_status_of(r) >= 500 ? "temporarily_unavailable" : "invalid_grant",
                     b_code_text(r));
    else
        signon_json(c, 200,
                    json_pack("{s:s, s:s, s:i, s:s, s:s}", "access_token", access, "token_type",
                              "Bearer", "expires_in", SERVICE_ACCESS_SECONDS, "scope",
                              g.is_profile ? "openid profile" : "openid", "id_token", jwt));
    b_wipe(access, sizeof(access));
    b_wipe(jwt, sizeof(jwt));
}

const struct oidc_client *signon_authenticate(struct signon_call *c, const char **why)
{
    struct oidc_once once;
    struct b_err err;
    const struct oidc_proof proof = {.authorization =
                                         c->request->header(c->request->query_ctx, "Authorization"),
                                     .form = &c->form,
                                     .issuer = c->config->issuer,
                                     .now = time(NULL)};
    const struct oidc_client *client = oidc_client_authenticate(c->clients, &proof, &once, why);
    if (client != NULL && once.until != 0 &&
        service_oidc_once(&c->service, client->id, &once, &err) != B_OK) {
        client = NULL;
        *why = "a client assertion that was used already";
    }
    return client;
}

void signon_token(struct signon_call *c)
{
    const char *grant = oidc_form_text(&c->form, "grant_type");
    if (c->query.count != 0) {
        signon_error(c, 400, "invalid_request", "parameters belong into the body");
        return;
    }
    const char *why = NULL;
    const struct oidc_client *client = signon_authenticate(c, &why);
    if (client == NULL)
        signon_error(c, 401, "invalid_client", why);
    else if (strcmp(grant, "authorization_code") == 0)
        trade(c, client, redeem);
    else if (strcmp(grant, OIDC_GRANT_CIBA) == 0 && client->has_ciba)
        trade(c, client, signon_ciba_redeem);
    else
        signon_error(c, 400, "unsupported_grant_type", "authorization_code, or CIBA for who may");
}

/* --- userinfo ----------------------------------------------------------------------------------
 */

static void refuse_token(struct signon_call *c)
{
    http_answer_header(c->answer, "WWW-Authenticate", "Bearer error=\"invalid_token\"");
    signon_json(c, 401, json_pack("{s:s}", "error", "invalid_token"));
}

/* RFC 6750: in the header, else in a form's field; never in an address. */
static const char *bearer(const struct signon_call *c)
{
    static const char scheme[] = "Bearer ";
    const char *h = c->request->header(c->request->query_ctx, "Authorization");
    if (h == NULL)
        return oidc_form_text(&c->form, "access_token");
    return strncasecmp(h, scheme, sizeof(scheme) - 1) == 0 ? h + sizeof(scheme) - 1 : "";
}

/* The one place that says what is told of a person besides the reference. */
static void describe(struct signon_call *c, const struct store_grant *g, struct oidc_person *p,
                     struct store_holder *h, struct store_user *u)
{
    struct b_err ignored;
    if (!g->is_profile || store_holder_by_ref(c->service.store, p->ref, h, &ignored) != B_OK)
        return;
    p->name = h->name;
    if (store_user_by_id(c->service.store, h->id, u, &ignored) == B_OK)
        p->rpps = u->national;
}

void signon_userinfo(struct signon_call *c)
{
    static _Thread_local struct store_grant g;
    static _Thread_local struct store_signon v;
    static _Thread_local struct store_user u;
    struct store_holder h;
    struct b_err err;
    if (service_oidc_whose(c->service.store, bearer(c), time(NULL), &g, &v, &err) != B_OK) {
        refuse_token(c);
        return;
    }
    struct oidc_person p = {.ref = v.holder_ref,
                            .name = "",
                            .rpps = "",
                            .sid = v.sid,
                            .has_pin = v.has_pin,
                            .tapped_at = v.tapped_at};
    describe(c, &g, &p, &h, &u);
    signon_json(c, 200, oidc_person_claims(&p));
}
