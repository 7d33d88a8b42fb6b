/* tessere ceremony give: a key of another system, which opens badges that it encoded. */
#include <string.h>

#include "cli/ceremony.h"
#include "service/given.h"

static enum b_code read_type(const struct cli *c, const struct service_given_type **ret,
                             struct b_err *err)
{
    const char *text = c->options[CLI_OPT_TYPE];
    *ret = text != NULL ? service_given_type(text, strlen(text)) : NULL;
    return *ret != NULL
               ? B_OK
               : b_err_set(err, B_E_USAGE, 0, "%s", _("--type takes aes, 3k3des, 2k3des or des"));
}

/* Opens, has the act allowed, takes the shares. A rehearsal's token is a fresh one: its masters
 * come from the shares as well. */
static enum b_code begin(struct ceremony *k, struct cli *c, struct b_err *err)
{
    char what[64];
    bool is_rehearsal = cli_has(c, CLI_OPT_REHEARSAL);
    enum b_code r = ceremony_open(k, c, err);
    if (r == B_OK)
        r = service_given_check(c->service.store, c->operand, err);
    if (r == B_OK)
        r = ceremony_find(k, err);
    (void)snprintf(what, sizeof(what), "give %.40s", c->operand);
    if (r == B_OK && !is_rehearsal)
        r = service_ceremony_allow(&c->service, what, err);
    if (r == B_OK)
        r = ceremony_take_in(k, err);
    return r == B_OK && is_rehearsal ? ceremony_bring_all(k, true, err) : r;
}

static void describe(struct store_given *to, const char *name, const char *type,
                     const struct vault_given *key)
{
    static_assert(sizeof(to->name) == VAULT_GIVEN_NAME && sizeof(to->wrapped) == VAULT_GIVEN &&
                      sizeof(to->kcv_method) == sizeof(key->kcv_method),
                  "the store keeps what the vault gives");
    *to = (struct store_given){.wrapped_len = sizeof(key->wrapped)};
    (void)snprintf(to->name, sizeof(to->name), "%s", name);
    (void)snprintf(to->type, sizeof(to->type), "%s", type);
    memcpy(to->kcv_method, key->kcv_method, sizeof(to->kcv_method));
    memcpy(to->kcv, key->kcv, sizeof(to->kcv));
    memcpy(to->wrapped, key->wrapped, sizeof(to->wrapped));
}

/* Confirmed by two, it comes into the store with the entry of the journal that tells of it. */
static enum b_code keep(struct ceremony *k, struct store_given *given, struct b_err *err)
{
    uint8_t digest[32];
    k->told.kind = "give";
    k->told.given = given;
    enum b_code r = ceremony_confirm(k, err);
    crypto_sha256(k->text, strlen(k->text), digest);
    b_hex(k->told.digest, digest, sizeof(digest));
    (void)snprintf(given->by, sizeof(given->by), "%s, %s", k->confirmers[0], k->confirmers[1]);
    if (r == B_OK)
        r = cli_make_dir(k->dir, err);
    return r == B_OK ? ceremony_tell(k, err) : r;
}

enum b_code cli_ceremony_give(struct cli *c, struct b_err *err)
{
    static struct ceremony k;
    static struct store_given given;
    char text[CEREMONY_BLOCK_MAX];
    size_t n = 0;
    struct vault_given key = {.kcv = {0}};
    const struct service_given_type *type = NULL;
    bool has_kcv = cli_has(c, CLI_OPT_KCV);
    bool has_block = cli_has(c, CLI_OPT_BLOCK);
    enum b_code r = read_type(c, &type, err);
    if (r == B_OK && has_kcv)
        r = ceremony_kcv(c, key.kcv, err);
    if (r == B_OK)
        r = ceremony_block(c, text, &n, err);
    if (r != B_OK)
        return r;
    r = begin(&k, c, err);
    if (r == B_OK) /* of a key over a key block the length is its own */
        r = ceremony_take_parts(&k, has_block ? 0 : type->n, err);
    key.type = type->type;
    if (r == B_OK)
        r = vault_give_key(k.vault, c->operand, b_rd_from(text, n), has_kcv, &key, err);
    if (r == B_OK) {
        describe(&given, c->operand, type->name, &key);
        r = keep(&k, &given, err);
    }
    return ceremony_close(&k, r);
}
