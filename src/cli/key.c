/* tessere key: generations of the master keys. */
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "remote/remote.h"

static const char *state_text(enum store_generation_state st)
{
    static const char *const names[] = {N_("pending"), N_("in use"), N_("retiring"), N_("retired"),
                                        N_("compromised")};
    return _(names[st]);
}

/* What the token says of a generation that the store names. */
static const struct vault_key *in_token(const struct vault_key *keys, size_t count,
                                        const struct store_generation *g)
{
    for (size_t i = 0; i < count; i++) {
        if (keys[i].role == g->role && keys[i].generation == g->generation)
            return &keys[i];
    }
    return NULL;
}

/* How the vault is kept apart, for whoever must show it; in words only when something is missing.
 */
static void list_confinement(struct cli *c, const struct vault_token *t)
{
    if (!t->has_seccomp || t->landlock == 0)
        cli_say(c, CLI_RED, "%s\n",
                _("The vault is not wholly confined: this kernel lacks seccomp or Landlock."));
    if (c->out != NULL)
        (void)json_object_set_new(
            c->out, "vault",
            json_pack("{s:b, s:b, s:b, s:i}", "memory_locked", t->is_memory_locked, "module_apart",
                      t->is_module_apart, "seccomp", t->has_seccomp, "landlock", (int)t->landlock));
}

void cli_say_wraps(const struct cli *c, const struct vault_token *t)
{
    if (strcmp(t->method, VAULT_METHOD_WRAPPED) == 0)
        cli_say(c, CLI_YELLOW, "%s\n",
                _("  This token keeps no AES key: masters lie in it wrapped, and are in "
                  "tessere-token's memory at each use."));
}

/* What is wrong with a key as the token has it, or "". */
static const char *trouble_of(const struct cli *c, const struct store_generation *g,
                              const struct vault_key *k)
{
    bool must_stay = key_stays(&c->config.in_token, g->role, g->generation);
    bool is_used = g->state == STORE_GENERATION_ACTIVE || g->state == STORE_GENERATION_RETIRING;
    if (k == NULL)
        return _("missing from the token");
    if (!k->is_safe)
        return _("not kept safely in the token");
    if (!b_ct_eq(k->kcv, g->kcv, sizeof(g->kcv)))
        return _("another key than it was");
    return must_stay && is_used && !k->derives_inside ? _("its badge keys cannot stay in the token")
                                                      : "";
}

static void list_one(struct cli *c, const struct store_generation *g, const struct vault_key *k)
{
    char kcv[7], at[24];
    bool is_there = k != NULL && k->is_safe && b_ct_eq(k->kcv, g->kcv, sizeof(g->kcv));
    bool stays = is_there && k->derives_inside;
    b_hex(kcv, g->kcv, sizeof(g->kcv));
    cli_time(g->created_at, at, sizeof(at));
    cli_say(c, CLI_PLAIN, "%-6s %3u  %-*s  %s (%s)  %s  ", key_role_name(g->role), g->generation,
            cli_width(state_text(g->state), 12), state_text(g->state), kcv, g->kcv_method, at);
    cli_say(c, CLI_PLAIN, "%s", stays ? _("stays in the token  ") : "");
    bool is_stored = key_stays(&c->config.stored, g->role, g->generation);
    cli_say(c, CLI_PLAIN, "%s", is_stored ? _("wraps stored keys  ") : "");
    cli_say(c, CLI_RED, "%s", trouble_of(c, g, k));
    cli_say(c, CLI_PLAIN, "\n");
    if (c->out != NULL)
        (void)json_array_append_new(
            json_object_get(c->out, "keys"),
            json_pack("{s:s, s:i, s:s, s:s, s:s, s:I, s:b, s:b, s:b}", "role",
                      key_role_name(g->role), "generation", (int)g->generation, "state",
                      store_generation_state_name(g->state), "kcv", kcv, "kcv_method",
                      g->kcv_method, "created_at", (json_int_t)g->created_at, "in_token", is_there,
                      "derives_inside", stays, "stored", is_stored));
}

/* What the server's store says; its token is the server's affair (tessere doctor, there). */
static bool list_far(struct cli *c, const json_t *o)
{
    char at[24];
    const char *state = remote_text(o, "state");
    int st = STORE_GENERATION_PENDING;
    while (st <= STORE_GENERATION_COMPROMISED &&
           strcmp(store_generation_state_name((enum store_generation_state)st), state) != 0)
        st++;
    if (st > STORE_GENERATION_COMPROMISED)
        return false;
    const char *text = state_text((enum store_generation_state)st);
    cli_time(json_integer_value(json_object_get(o, "created_at")), at, sizeof(at));
    cli_say(c, CLI_PLAIN, "%-6s %3lld  %-*s  %s (%s)  %s\n", remote_text(o, "role"),
            (long long)json_integer_value(json_object_get(o, "generation")), cli_width(text, 12),
            text, remote_text(o, "kcv"), remote_text(o, "kcv_method"), at);
    if (c->out != NULL)
        (void)json_array_append_new(json_object_get(c->out, "keys"), json_deep_copy(o));
    return true;
}

enum b_code cli_key_list(struct cli *c, struct b_err *err)
{
    static struct store_generation gs[STORE_GENERATIONS_MAX];
    static struct vault_key keys[STORE_GENERATIONS_MAX];
    struct vault_token token;
    size_t count = 0, key_count = 0;
    if (c->out != NULL)
        (void)json_object_set_new(c->out, "keys", json_array());
    if (cli_is_far(c))
        return cli_far_each(c, "/v1/keys", list_far, err);
    c->keeps_in_token = true;
    enum b_code r = cli_open(c, true, err);
    if (r == B_OK)
        r = store_generation_list(c->service.store, gs, B_COUNT(gs), &count, err);
    if (r == B_OK)
        r = vault_key_list(c->service.vault, keys, B_COUNT(keys), &key_count, err);
    if (r == B_OK)
        r = vault_token(c->service.vault, &token, err);
    if (r != B_OK)
        return r;
    cli_say(c, CLI_BOLD, _("Token \"%s\" (%s %s), keys derived by %s\n"), token.label,
            token.manufacturer, token.model, token.method);
    cli_say_wraps(c, &token);
    list_confinement(c, &token);
    for (size_t i = 0; i < count; i++)
        list_one(c, &gs[i], in_token(keys, key_count, &gs[i]));
    return B_OK;
}

enum b_code cli_key_rotate(struct cli *c, struct b_err *err)
{
    enum key_role role = key_role_from(c->operand);
    struct store_generation g;
    if (role == KEY_ROLE_COUNT)
        return b_err_set(err, B_E_USAGE, 0,
                         _("no role \"%.40s\": they are picc, app, auth, read, write"), c->operand);
    c->keeps_in_token = true; /* so that the new one is made for it */
    enum b_code r = cli_open(c, true, err);
    if (r == B_OK && isatty(STDIN_FILENO) &&
        !cli_ask(c, _("Make a new generation, to which every badge must be brought? [y/N] ")))
        r = b_err_set(err, B_E_CANCELLED, 0, "the rotation was not approved");
    if (r == B_OK)
        r = service_rotate(&c->service, role, &g, err);
    if (r != B_OK)
        return r;
    char kcv[7];
    b_hex(kcv, g.kcv, sizeof(g.kcv));
    cli_say(c, CLI_GREEN, _("Key %s: generation %u is in use, check value %s (%s).\n"),
            key_role_name(role), g.generation, kcv, g.kcv_method);
    cli_say(c, CLI_PLAIN,
            _("Badges follow at their taps (tessere campaign list) or at the desk (tessere badge "
              "repair).\n"));
    if (c->out != NULL) {
        (void)json_object_set_new(c->out, "role", json_string(key_role_name(role)));
        (void)json_object_set_new(c->out, "generation", json_integer(g.generation));
        (void)json_object_set_new(c->out, "kcv", json_string(kcv));
    }
    return B_OK;
}

enum b_code cli_key_retire(struct cli *c, struct b_err *err)
{
    char which[64], argument[SERVICE_ARGUMENT_MAX];
    uint64_t count = 0;
    bool writes_off = cli_has(c, CLI_OPT_WRITE_OFF);
    (void)snprintf(which, sizeof(which), "%.30s %.30s", c->operand, c->second);
    enum b_code r = cli_open(c, true, err);
    if (r == B_OK)
        r = service_prepare_retiring(&c->service, which, writes_off, argument, &count, err);
    if (r != B_OK)
        return r;
    if (count > 0)
        cli_say(c, CLI_RED,
                ngettext("%llu badge that has it is written off: taps refuse it.\n",
                         "%llu badges that have it are written off: taps refuse them.\n", count),
                (unsigned long long)count);
    if (isatty(STDIN_FILENO) && !cli_ask(c, _("End this generation for good? [y/N] ")))
        return b_err_set(err, B_E_CANCELLED, 0, "%s", which);
    r = service_retire(&c->service, argument, err);
    if (r != B_OK)
        return r;
    cli_say(c, CLI_GREEN, _("Key %s is retired.\n"), which);
    if (c->out != NULL)
        (void)json_object_update_new(
            c->out, json_pack("{s:s, s:I}", "retired", which, "written_off", (json_int_t)count));
    return B_OK;
}
