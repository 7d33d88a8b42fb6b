#include "oidc/client.h"

#include <string.h>
#include <strings.h>

#include "crypto/crypto.h"

const struct oidc_client *oidc_client_find(const struct oidc_clients *all, const char *id)
{
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->items[i].id, id) == 0)
            return &all->items[i];
    return NULL;
}

bool oidc_clients_push(const struct oidc_clients *all)
{
    bool has_any = false;
    for (size_t i = 0; i < all->count; i++) {
        const struct oidc_client *c = &all->items[i];
        if (c->redirect_count > 0 && !c->must_push)
            return false;
        has_any |= c->redirect_count > 0;
    }
    return has_any;
}

const char *oidc_client_name(const struct oidc_client *c, bool is_french)
{
    return is_french || c->name_en[0] == '\0' ? c->name_fr : c->name_en;
}

/* --- addresses ---------------------------------------------------------------------------------
 */

static const char *const loopback[] = {"http://127.0.0.1", "http://[::1]"};

/* The length of the part that names a loopback address, 0: it does not. */
static size_t loopback_part(const char *uri)
{
    for (size_t i = 0; i < B_COUNT(loopback); i++) {
        size_t n = strlen(loopback[i]);
        if (strncmp(uri, loopback[i], n) == 0 && (uri[n] == ':' || uri[n] == '/'))
            return n;
    }
    return 0;
}

/* What follows the port of a loopback address. */
static const char *after_port(const char *uri, size_t host)
{
    const char *at = uri + host;
    size_t digits = *at == ':' ? strspn(at + 1, "0123456789") : 0;
    if (*at == ':')
        at += digits >= 1 && digits <= 5 ? 1 + digits : strlen(at);
    return at;
}

bool oidc_is_redirect_of(const struct oidc_client *c, const char *uri)
{
    size_t host = c->is_loopback ? loopback_part(uri) : 0;
    for (size_t i = 0; i < c->redirect_count; i++) {
        const char *ours = c->redirect_uris[i];
        if (strcmp(ours, uri) == 0)
            return true;
        if (host != 0 && loopback_part(ours) == host && strncmp(ours, uri, host) == 0 &&
            strcmp(after_port(ours, host), after_port(uri, host)) == 0 &&
            after_port(uri, host)[0] == '/')
            return true;
    }
    return false;
}

bool oidc_is_logout_of(const struct oidc_client *c, const char *uri)
{
    for (size_t i = 0; i < c->logout_count; i++)
        if (strcmp(c->logout_uris[i], uri) == 0)
            return true;
    return false;
}

bool oidc_is_uri(const char *uri, bool is_loopback)
{
    static const char https[] = "https://";
    size_t host = is_loopback ? loopback_part(uri) : 0;
    if (host == 0 && strncmp(uri, https, sizeof(https) - 1) != 0)
        return false;
    const char *authority = uri + (host != 0 ? 7 : sizeof(https) - 1);
    size_t n = strcspn(authority, "/?");
    if (n == 0 || memchr(authority, '@', n) != NULL || authority[0] == ':')
        return false;
    for (const char *c = uri; *c != '\0'; c++)
        if (*c <= ' ' || *c > '~' || strchr("#\\\"<>^`{|}", *c) != NULL)
            return false;
    return strstr(uri, "/../") == NULL && strstr(uri, "/./") == NULL;
}

void oidc_origin(const char *uri, char *ret, size_t cap)
{
    const char *at = strstr(uri, "://");
    size_t n = at != NULL ? (size_t)(at - uri) + 3 : 0;
    n += strcspn(uri + n, "/?");
    if (n >= cap)
        n = 0;
    memcpy(ret, uri, n);
    ret[n] = '\0';
}

/* --- who asks ----------------------------------------------------------------------------------
 */

enum { CREDENTIAL_MAX = 512 };

/* "Basic " and base64 of id:secret, each encoded as in a form; in text's memory. */
static bool read_basic(const char *authorization, char text[static CREDENTIAL_MAX], char **id,
                       char **secret)
{
    static const char scheme[] = "Basic ";
    struct b_wr w = b_wr_from(text, CREDENTIAL_MAX - 1);
    size_t n = sizeof(scheme) - 1;
    if (strncasecmp(authorization, scheme, n) != 0)
        return false;
    if (!b_unbase64(&w, authorization + n, strlen(authorization + n)) ||
        memchr(text, '\0', w.len) != NULL)
        return false;
    text[w.len] = '\0';
    *id = text;
    *secret = strchr(text, ':');
    if (*secret == NULL)
        return false;
    *(*secret)++ = '\0';
    return oidc_decode(*id) && oidc_decode(*secret);
}

static const struct oidc_client *judge(const struct oidc_client *c, const char *secret,
                                       const char **why)
{
    uint8_t digest[32];
    *why = "the client is not known, or did not prove that it is one";
    if (c == NULL || c->key_len > 0)
        return NULL;
    if (!c->has_secret)
        return secret == NULL ? c : NULL;
    if (secret == NULL)
        return NULL;
    crypto_sha256(secret, strlen(secret), digest);
    return b_ct_eq(digest, c->secret, sizeof(digest)) ? c : NULL;
}

const struct oidc_client *oidc_client_authenticate(const struct oidc_clients *all,
                                                   const struct oidc_proof *p,
                                                   struct oidc_once *once, const char **why)
{
    char text[CREDENTIAL_MAX];
    char *id = NULL;
    char *secret = NULL;
    const char *named = oidc_form_get(p->form, "client_id");
    const char *posted = oidc_form_get(p->form, "client_secret");
    bool is_asserted = oidc_form_get(p->form, "client_assertion") != NULL;
    const struct oidc_client *ret = NULL;
    *once = (struct oidc_once){.until = 0};
    *why = "one way to prove who the client is, and no other";
    if ((p->authorization != NULL) + (posted != NULL) + is_asserted > 1)
        return NULL;
    if (is_asserted)
        return oidc_client_asserted(all, p, once, why);
    if (p->authorization == NULL && named != NULL)
        ret = judge(oidc_client_find(all, named), posted, why);
    else if (p->authorization != NULL && read_basic(p->authorization, text, &id, &secret) &&
             (named == NULL || strcmp(named, id) == 0))
        ret = judge(oidc_client_find(all, id), secret, why);
    b_wipe(text, sizeof(text));
    return ret;
}
