#include "service/given.h"

#include <string.h>

#include "service/control.h"

const struct service_given_type *service_given_type(const char *name, size_t n)
{
    static const struct service_given_type types[] = {{"des", DF_KEY_2K3DES, 8},
                                                      {"2k3des", DF_KEY_2K3DES, 16},
                                                      {"3k3des", DF_KEY_3K3DES, 24},
                                                      {"aes", DF_KEY_AES, 16}};
    for (size_t i = 0; i < B_COUNT(types); i++)
        if (strlen(types[i].name) == n && strncmp(types[i].name, name, n) == 0)
            return &types[i];
    return NULL;
}

static bool count_used(void *ctx, const struct store_given *k)
{
    *(unsigned *)ctx += k->forgotten_at == 0;
    return true;
}

enum b_code service_given_check(struct store *s, const char *name, struct b_err *err)
{
    static const char signs[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    struct store_given there;
    size_t n = strlen(name);
    unsigned count = 0;
    if (n == 0 || n >= sizeof(there.name) || strspn(name, signs) != n)
        return b_err_set(err, B_E_BAD_INPUT, 0,
                         "\"%.40s\": a key is called by 1 to %d small letters, digits and hyphens",
                         name, STORE_GIVEN_NAME - 1);
    enum b_code r = store_given_get(s, name, &there, err);
    if (r == B_OK)
        return b_err_set(err, B_E_DUPLICATE, 0, "a key of another system is called %s", name);
    if (r == B_E_NOT_FOUND)
        r = store_given_each(s, count_used, &count, err);
    return r == B_OK && count >= PROFILE_GIVEN_KEYS_MAX
               ? b_err_set(err, B_E_TOO_LARGE, 0, "%u keys of other systems are in use: forget one",
                           count)
               : r;
}

enum b_code service_note_given(struct service_change *c, struct store_given *k, struct b_err *err)
{
    k->at = c->now;
    enum b_code r = service_given_check(c->store, k->name, err);
    if (r == B_OK)
        r = store_given_put(c->store, k, err);
    if (r == B_OK)
        service_vouch_given(c, k);
    return r;
}

static bool append(void *ctx, const struct store_given *k)
{
    if (k->forgotten_at == 0)
        b_wr_bytes(ctx, k->wrapped, k->wrapped_len);
    return true;
}

enum b_code service_given_gather(struct store *s, struct b_wr *out, struct b_err *err)
{
    enum b_code r = store_given_each(s, append, out, err);
    return r == B_OK && !b_wr_ok(out) ? b_err_set(err, B_E_STORE_CORRUPT, 0, "too many given keys")
                                      : r;
}

enum b_code service_note_given_forgotten(struct service_change *c, const char *name,
                                         struct b_err *err)
{
    struct store_given k;
    enum b_code r = store_given_get(c->store, name, &k, err);
    if (r != B_OK)
        return r;
    b_wipe(k.wrapped, sizeof(k.wrapped));
    k.wrapped_len = 0;
    k.forgotten_at = c->now;
    r = store_given_put(c->store, &k, err);
    if (r != B_OK)
        return r;
    service_vouch_given(c, &k);
    return service_log(
        c,
        (struct service_entry){.kind = "forget-key", .detail = json_pack("{s:s}", "key", k.name)},
        err);
}

static enum b_code forget_alone(struct service_change *c, void *ctx, struct b_err *err)
{
    const char *const *name = ctx;
    enum b_code r = service_refuse_alone(c->store, "forget-key NAME", err);
    return r == B_OK ? service_note_given_forgotten(c, *name, err) : r;
}

enum b_code service_given_forget(struct service *sv, const char *name, struct b_err *err)
{
    return service_change(sv, forget_alone, (void *)&name, err);
}
