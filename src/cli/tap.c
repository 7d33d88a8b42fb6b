/* tessere tap: who is it, and how long each leg took. */
#include <stdlib.h>

#include "cli/cli.h"

static void say_legs(const struct cli *c, const struct profile_tap *tap,
                     const struct service_legs *l)
{
    cli_say(c, CLI_PLAIN, _("  %u exchanges, %.1f ms: "), tap->apdus, l->total_us / 1000.0);
    for (uint8_t i = 0; i < l->count; i++)
        cli_say(c, CLI_PLAIN, _("card %.1f + vault %.1f, "), l->card_us[i] / 1000.0,
                l->vault_us[i] / 1000.0);
    cli_say(c, CLI_PLAIN, _("decision %.1f ms\n"), l->decide_us / 1000.0);
}

static void answer_json(struct cli *c, enum b_code outcome, const struct store_badge *b,
                        const struct profile_tap *tap, const struct service_legs *l)
{
    json_t *legs = json_array();
    for (uint8_t i = 0; i < l->count; i++)
        (void)json_array_append_new(legs, json_pack("{s:i, s:i}", "card_us", (int)l->card_us[i],
                                                    "vault_us", (int)l->vault_us[i]));
    json_t *one = json_pack("{s:s, s:o, s:i, s:i, s:i, s:i, s:o}", "outcome", b_code_name(outcome),
                            "badge", b->id != 0 ? cli_json_badge(b) : json_null(), "generation",
                            (int)tap->generation, "exchanges", (int)tap->apdus, "total_us",
                            (int)l->total_us, "decide_us", (int)l->decide_us, "legs", legs);
    if (json_object_get(c->out, "taps") == NULL)
        (void)json_object_set_new(c->out, "taps", json_array());
    (void)json_array_append_new(json_object_get(c->out, "taps"), one);
}

/* The same card is not a second tap. */
static enum b_code wait_removed(struct channel *ch, struct b_err *err)
{
    enum { SLICE_MS = 400 };
    enum b_code r = B_E_CANCELLED;
    while (r == B_E_CANCELLED && !cli_is_stopped(NULL))
        r = channel_pcsc_wait_removed(ch, SLICE_MS, err);
    return r == B_E_NO_READER || r == B_E_CARD_REMOVED ? B_OK : r;
}

/* A badge that is refused, foreign or lifted too early: the next one may be good. What concerns the
 * token, the store or the reader concerns them all. */
static bool may_go_on(enum b_code r)
{
    int status = b_code_exit(r);
    return r == B_E_CARD_REMOVED || r == B_E_CHANNEL ||
           (r != B_E_CANCELLED &&
            (status == b_code_exit(B_E_REFUSED) || status == b_code_exit(B_E_CARD_AUTH)));
}

static enum b_code one_tap(struct cli *c, bool is_last, struct b_err *err)
{
    struct channel *ch = NULL;
    struct store_badge b;
    struct profile_tap tap;
    struct service_legs legs;
    enum b_code r = cli_open_card(c, -1, &ch, err);
    if (r != B_OK)
        return r;
    r = service_tap(&c->service, ch, &b, &tap, &legs, err);
    if (c->out != NULL && r == B_OK)
        answer_json(c, r, &b, &tap, &legs);
    if (r == B_OK) {
        cli_say(c, CLI_GREEN, _("Welcome, %s (%s).\n"), b.holder_name, b.holder_ref);
        cli_say(c, CLI_PLAIN, _("  badge %lld, key generation %u, %s\n"), (long long)b.id,
                tap.generation,
                tap.how == DF_AUTH_AES ? "AuthenticateAES" : "AuthenticateEV2First");
        say_legs(c, &tap, &legs);
    } else if (!is_last && may_go_on(r)) {
        cli_print_error(c, err);
    }
    struct b_err ignored;
    enum b_code left = is_last ? B_OK : wait_removed(ch, &ignored);
    channel_free(&ch);
    if (left != B_OK) {
        *err = ignored;
        return left;
    }
    return r;
}

/* Without --count one tap, whose refusal is the exit status; with it, refusals are told and the
 * next badge is waited for. */
enum b_code cli_tap(struct cli *c, struct b_err *err)
{
    long count = 1;
    if (cli_has(c, CLI_OPT_COUNT)) {
        char *end = NULL;
        count = strtol(c->options[CLI_OPT_COUNT], &end, 10);
        if (*end != '\0' || count < 0)
            return b_err_set(err, B_E_USAGE, 0, _("--count takes a number, not \"%.40s\""),
                             c->options[CLI_OPT_COUNT]);
    }
    c->keeps_in_token = true;
    enum b_code r = cli_open(c, true, err);
    for (long i = 0; r == B_OK && (count == 0 || i < count); i++) {
        bool is_last = count != 0 && i + 1 == count;
        r = one_tap(c, is_last, err);
        if (r != B_OK && !is_last && may_go_on(r))
            r = B_OK;
    }
    return r;
}
