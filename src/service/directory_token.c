/*
 * Bearer tokens: 32 random bytes behind a word by which people and programs that look for leaked
 * secrets know one. So many random bytes need no slow hash: SHA-256 of the text is what is kept.
 */
#include <stdio.h>
#include <string.h>

#include "crypto/crypto.h"
#include "service/directory.h"
#include "service/party.h"
#include "service/relay.h"

static const char prefix[] = "tessere-";
enum { RANDOM = 32 };

static const struct {
    const char *name;
    uint8_t right;
} rights[] = {{"scim:read", STORE_RIGHT_READ}, {"scim:write", STORE_RIGHT_WRITE}};

uint8_t service_rights_from(const char *list)
{
    unsigned ret = 0;
    while (*list != '\0') {
        size_t n = strcspn(list, ",");
        unsigned right = 0;
        for (size_t i = 0; i < B_COUNT(rights); i++)
            if (strlen(rights[i].name) == n && strncmp(rights[i].name, list, n) == 0)
                right = rights[i].right;
        if (right == 0)
            return 0;
        ret |= right;
        list += n;
        list += *list == ',';
    }
    return (uint8_t)ret;
}

const char *service_rights_text(uint8_t r)
{
    static const char *const texts[] = {"", "scim:read", "scim:write", "scim:read,scim:write"};
    return texts[r & (STORE_RIGHT_READ | STORE_RIGHT_WRITE)];
}

static enum b_code put(struct service_change *c, struct store_token *t, const char *kind,
                       struct b_err *err)
{
    enum b_code r = store_token_put(c->store, t, err);
    if (r != B_OK)
        return r;
    service_vouch_token(c, t);
    return service_log(
        c,
        (struct service_entry){.kind = kind,
                               .detail =
                                   json_pack("{s:I, s:s, s:s}", "token", (json_int_t)t->id, "name",
                                             t->name, "rights", service_rights_text(t->rights))},
        err);
}

static enum b_code note_added(struct service_change *c, void *ctx, struct b_err *err)
{
    struct store_token *t = ctx;
    t->created_at = c->now;
    return put(c, t, "token-add", err);
}

enum b_code service_token_add(struct service *sv, const char *name, uint8_t rights_of,
                              int64_t expires, struct store_token *ret,
                              char text[static SERVICE_TOKEN_TEXT], struct b_err *err)
{
    uint8_t random[RANDOM];
    char encoded[48];
    enum b_code r = service_check_named("the token's name", name, err);
    if (r == B_OK && strlen(name) >= sizeof(ret->name))
        r = b_err_set(err, B_E_BAD_INPUT, 0, "the token's name is too long");
    if (r != B_OK)
        return r;
    crypto_random(random, sizeof(random));
    b_check(b_base64(encoded, sizeof(encoded), random, sizeof(random)));
    encoded[strcspn(encoded, "=")] = '\0';
    for (char *at = encoded; *at != '\0'; at++) /* base64url: it goes into headers and forms */
        if (*at == '+')
            *at = '-';
        else if (*at == '/')
            *at = '_';
    (void)snprintf(text, SERVICE_TOKEN_TEXT, "%s%s", prefix, encoded);
    *ret = (struct store_token){.rights = rights_of, .expires_at = expires};
    (void)snprintf(ret->name, sizeof(ret->name), "%s", name);
    crypto_sha256(text, strlen(text), ret->digest);
    b_wipe(random, sizeof(random));
    b_wipe(encoded, sizeof(encoded));
    return service_change(sv, note_added, ret, err);
}

struct revocation {
    const char *name;
    struct store_token *ret;
};

static enum b_code note_revoked(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct revocation *k = ctx;
    enum b_code r = store_token_by_name(c->store, k->name, k->ret, err);
    if (r == B_E_NOT_FOUND)
        return b_err_set(err, r, 0, "no token %.60s", k->name);
    if (r == B_OK && k->ret->revoked_at != 0)
        return b_err_set(err, B_E_BADGE_STATE, 0, "token %s is revoked", k->name);
    k->ret->revoked_at = c->now;
    return r == B_OK ? put(c, k->ret, "token-revoke", err) : r;
}

enum b_code service_token_revoke(struct service *sv, const char *name, struct store_token *ret,
                                 struct b_err *err)
{
    struct revocation k = {name, ret};
    return service_change(sv, note_revoked, &k, err);
}

enum b_code service_token_find(struct store *s, const char *text, struct store_token *ret,
                               struct b_err *err)
{
    uint8_t digest[32];
    if (strncmp(text, prefix, strlen(prefix)) != 0 || strlen(text) >= SERVICE_TOKEN_TEXT)
        return b_err_set(err, B_E_TOKEN_UNKNOWN, 0, "it is not one of ours");
    crypto_sha256(text, strlen(text), digest);
    enum b_code r = store_token_by_digest(s, digest, ret, err);
    if (r == B_E_NOT_FOUND)
        return b_err_set(err, B_E_TOKEN_UNKNOWN, 0, "nobody has it");
    if (r == B_OK && ret->revoked_at != 0)
        r = b_err_set(err, B_E_TOKEN_UNKNOWN, 0, "token %s was revoked", ret->name);
    else if (r == B_OK && ret->expires_at != 0 && ret->expires_at <= service_now())
        r = b_err_set(err, B_E_TOKEN_UNKNOWN, 0, "token %s has expired", ret->name);
    return r;
}

struct refusal {
    const struct store_token *token;
    const char *what;
};

static enum b_code note_refused(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct refusal *k = ctx;
    return service_log(
        c,
        (struct service_entry){
            .kind = "token-refused",
            .outcome = B_E_NOT_PERMITTED,
            .detail = json_pack("{s:I, s:s}", "token", (json_int_t)k->token->id, "call", k->what)},
        err);
}

enum b_code service_token_refused(struct service *sv, const struct store_token *t, const char *what,
                                  struct b_err *err)
{
    struct refusal k = {t, what};
    return service_change(sv, note_refused, &k, err);
}
