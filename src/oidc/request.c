#include "oidc/request.h"

#include <string.h>

#include "crypto/crypto.h"
#include "oidc/claims.h"

enum { MAX_AGE = 14 * 24 * 3600 };

static bool copy(char *to, size_t cap, const char *from)
{
    size_t n = strlen(from);
    if (n >= cap)
        return false;
    memcpy(to, from, n + 1);
    return true;
}

static bool refuse(struct oidc_refusal *why, const char *error, const char *text)
{
    why->error = error;
    why->text = text;
    return false;
}

bool oidc_has_word(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = list; at != NULL; at = strchr(at, ' ')) {
        at += *at == ' ';
        if (strncmp(at, word, n) == 0 && (at[n] == ' ' || at[n] == '\0'))
            return true;
    }
    return false;
}

/* --- the parts ---------------------------------------------------------------------------------
 */

/* Until both are known to be right, nobody may be sent anywhere. */
static bool read_client(const struct oidc_clients *all, const struct oidc_form *f,
                        struct oidc_request *q, struct oidc_refusal *why)
{
    const char *uri = oidc_form_get(f, "redirect_uri");
    q->client = oidc_client_find(all, oidc_form_text(f, "client_id"));
    if (q->client == NULL)
        return refuse(why, "invalid_request",
                      "client_id: none that the clients' file had when it was last taken up");
    if (uri == NULL || !oidc_is_redirect_of(q->client, uri) ||
        !copy(q->redirect_uri, sizeof(q->redirect_uri), uri))
        return refuse(why, "invalid_request", "redirect_uri: not one of this client's");
    why->may_redirect = true;
    if (!copy(q->state, sizeof(q->state), oidc_form_text(f, "state")))
        return refuse(why, "invalid_request", "state: too long");
    return true;
}

/* What is not offered is refused, and never passed over. */
static bool read_flow(const struct oidc_form *f, struct oidc_refusal *why)
{
    static const struct {
        const char *name, *error;
    } foreign[] = {{"request", "request_not_supported"},
                   {"request_uri", "request_uri_not_supported"},
                   {"registration", "registration_not_supported"}};
    for (size_t i = 0; i < B_COUNT(foreign); i++)
        if (oidc_form_get(f, foreign[i].name) != NULL)
            return refuse(why, foreign[i].error, "not taken here");
    if (oidc_form_get(f, "response_type") == NULL)
        return refuse(why, "invalid_request", "response_type: missing");
    if (strcmp(oidc_form_text(f, "response_type"), "code") != 0)
        return refuse(why, "unsupported_response_type", "response_type: code alone");
    if (oidc_form_get(f, "response_mode") != NULL &&
        strcmp(oidc_form_text(f, "response_mode"), "query") != 0)
        return refuse(why, "invalid_request", "response_mode: query alone");
    if (!oidc_has_word(oidc_form_text(f, "scope"), "openid"))
        return refuse(why, "invalid_scope", "scope: openid is needed");
    return true;
}

static bool is_challenge(const char *text)
{
    uint8_t digest[32];
    struct b_wr w = b_wr_from(digest, sizeof(digest));
    return b_unbase64url(&w, text, strlen(text)) && w.len == sizeof(digest);
}

static bool read_pkce(const struct oidc_form *f, struct oidc_request *q, struct oidc_refusal *why)
{
    const char *challenge = oidc_form_get(f, "code_challenge");
    const char *method = oidc_form_get(f, "code_challenge_method");
    if (challenge == NULL && method == NULL)
        return q->client->needs_no_pkce ||
               refuse(why, "invalid_request", "code_challenge: PKCE is needed");
    if (method == NULL || strcmp(method, "S256") != 0) /* without it, it would be plain */
        return refuse(why, "invalid_request", "code_challenge_method: S256 alone");
    if (challenge == NULL || !is_challenge(challenge) ||
        !copy(q->challenge, sizeof(q->challenge), challenge))
        return refuse(why, "invalid_request", "code_challenge: 43 characters of base64url");
    return true;
}

static bool read_prompt(const struct oidc_form *f, struct oidc_request *q, struct oidc_refusal *why)
{
    const char *prompt = oidc_form_text(f, "prompt");
    q->may_not_ask = oidc_has_word(prompt, "none");
    q->must_ask = oidc_has_word(prompt, "login") || oidc_has_word(prompt, "select_account");
    if (q->may_not_ask && strcmp(prompt, "none") != 0)
        return refuse(why, "invalid_request", "prompt: none stands alone");
    return true;
}

static bool read_max_age(const struct oidc_form *f, struct oidc_request *q,
                         struct oidc_refusal *why)
{
    const char *text = oidc_form_get(f, "max_age");
    q->max_age = -1;
    if (text == NULL)
        return true;
    if (strspn(text, "0123456789") != strlen(text) || strlen(text) > 9)
        return refuse(why, "invalid_request", "max_age: a number of seconds");
    q->max_age = 0;
    for (; *text != '\0'; text++)
        q->max_age = q->max_age * 10 + (*text - '0');
    if (q->max_age > MAX_AGE)
        q->max_age = MAX_AGE;
    return true;
}

/* Voluntary values are an order of wishes (OpenID Connect Core §5.5.1.1): a PIN is asked for when
 * the first that is known wants one, or when it is the only thing that will do. */
static bool wants_pin(const char *values)
{
    static const char *const pin = OIDC_ACR_PIN;
    static const char *const badge = OIDC_ACR_BADGE;
    for (const char *at = values; *at != '\0'; at += at[0] == ' ') {
        size_t n = strcspn(at, " ");
        if (n == strlen(pin) && strncmp(at, pin, n) == 0)
            return true;
        if (n == strlen(badge) && strncmp(at, badge, n) == 0)
            return false;
        at += n;
    }
    return false;
}

bool oidc_request_read(const struct oidc_clients *all, const struct oidc_form *f,
                       struct oidc_request *ret, struct oidc_refusal *why)
{
    memset(ret, 0, sizeof(*ret));
    memset(why, 0, sizeof(*why));
    if (!read_client(all, f, ret, why) || !read_flow(f, why) || !read_pkce(f, ret, why) ||
        !read_prompt(f, ret, why) || !read_max_age(f, ret, why))
        return false;
    if (!copy(ret->nonce, sizeof(ret->nonce), oidc_form_text(f, "nonce")))
        return refuse(why, "invalid_request", "nonce: too long");
    if (!copy(ret->holder_ref, sizeof(ret->holder_ref), oidc_form_text(f, "login_hint")))
        return refuse(why, "invalid_request", "login_hint: a staff reference");
    bool is_essential = false;
    if (!oidc_claims_read(oidc_form_text(f, "claims"), &is_essential, ret->holder_ref))
        return refuse(why, "invalid_request",
                      "claims: no such object, an acr that is not known, or not one person");
    ret->is_profile = oidc_has_word(oidc_form_text(f, "scope"), "profile");
    ret->needs_pin =
        ret->client->needs_pin || is_essential || wants_pin(oidc_form_text(f, "acr_values"));
    return true;
}

/* --- the answer --------------------------------------------------------------------------------
 */

static void put(struct b_wr *w, const char *text)
{
    b_wr_bytes(w, text, strlen(text));
}

static void put_field(struct b_wr *w, char *before, const char *name, const char *value)
{
    if (value == NULL || value[0] == '\0')
        return;
    b_wr_u8(w, (uint8_t)*before);
    *before = '&';
    put(w, name);
    b_wr_u8(w, '=');
    oidc_put_encoded(w, value);
}

bool oidc_answer_uri(const struct oidc_request *q, const char *issuer, const struct oidc_answer *a,
                     char *ret, size_t cap)
{
    struct b_wr w = b_wr_from(ret, cap - 1);
    char before = strchr(q->redirect_uri, '?') != NULL ? '&' : '?';
    put(&w, q->redirect_uri);
    put_field(&w, &before, "code", a->code);
    put_field(&w, &before, "error", a->error);
    put_field(&w, &before, "error_description", a->text);
    put_field(&w, &before, "state", q->state);
    put_field(&w, &before, "iss", issuer);
    ret[w.len] = '\0';
    return b_wr_ok(&w);
}

bool oidc_is_verifier(const char *verifier, const char *challenge)
{
    static const char allowed[] =
        "-._~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    uint8_t digest[32];
    char text[OIDC_CHALLENGE];
    size_t n = strlen(verifier);
    if (n < 43 || n > 128 || strspn(verifier, allowed) != n)
        return false;
    crypto_sha256(verifier, n, digest);
    return b_base64url(text, sizeof(text), digest, sizeof(digest)) &&
           strlen(challenge) == strlen(text) && b_ct_eq(text, challenge, strlen(text));
}

/* "fr-CA,fr;q=0.9,en;q=0.5" or "en fr": by their order; weights that contradict it are rare. */
bool oidc_is_french(const char *languages)
{
    for (const char *at = languages; at != NULL && *at != '\0'; at = strpbrk(at, " ,")) {
        at += strspn(at, " ,");
        if (strncmp(at, "fr", 2) == 0)
            return true;
        if (strncmp(at, "en", 2) == 0)
            return false;
        if (*at == '\0')
            break;
    }
    return true;
}
