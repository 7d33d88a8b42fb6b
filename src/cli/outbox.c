/* tessere outbox: what other systems are to be told, and what could not be delivered. */
#include <stdlib.h>

#include "cli/cli.h"
#include "service/outbox.h"

static const char *state_text(enum store_letter_state st)
{
    static const char *const texts[] = {N_("waiting"), N_("delivered"), N_("dead")};
    return _(texts[st]);
}

struct listing {
    const struct cli *cli;
    size_t shown;
};

/* What was delivered is of no interest any more, but to a program. */
static bool list_one(void *ctx, const struct store_letter *l)
{
    struct listing *k = ctx;
    const struct cli *c = k->cli;
    char at[24];
    char next[24];
    const char *state = state_text(l->state);
    cli_time(l->at, at, sizeof(at));
    cli_time(l->next_at, next, sizeof(next));
    k->shown += l->state != STORE_LETTER_DELIVERED;
    if (l->state != STORE_LETTER_DELIVERED)
        cli_say(c, l->state == STORE_LETTER_DEAD ? CLI_RED : CLI_PLAIN,
                "%6lld  %-*s  %-16s  %-18s  %s  %3u  %s  %s\n", (long long)l->id,
                cli_width(state, 10), state, l->subscriber, l->kind, at, l->attempts, next,
                l->error);
    if (c->out != NULL)
        (void)json_array_append_new(
            json_object_get(c->out, "letters"),
            json_pack("{s:I, s:s, s:s, s:s, s:s, s:i, s:I, s:I, s:s}", "id", (json_int_t)l->id,
                      "subscriber", l->subscriber, "event", l->kind, "tag", l->tag, "state",
                      store_letter_state_name(l->state), "attempts", (int)l->attempts, "at",
                      (json_int_t)l->at, "next_at", (json_int_t)l->next_at, "error", l->error));
    return !cli_is_stopped(NULL);
}

enum b_code cli_outbox_list(struct cli *c, struct b_err *err)
{
    if (c->out != NULL)
        (void)json_object_set_new(c->out, "letters", json_array());
    struct listing k = {.cli = c};
    enum b_code r = cli_open(c, false, err);
    if (r == B_OK)
        r = store_letter_each(c->service.store, STORE_LETTER_STATES, list_one, &k, err);
    if (r == B_OK && k.shown == 0)
        cli_say(c, CLI_PLAIN, _("Nothing waits, and nothing was given up.\n"));
    return r;
}

static enum b_code open_letter(struct cli *c, int64_t *ret, struct b_err *err)
{
    char *end = NULL;
    *ret = strtoll(c->operand, &end, 10);
    if (*end != '\0' || end == c->operand || *ret <= 0)
        return b_err_set(err, B_E_USAGE, 0, _("a letter has a number, not %.40s"), c->operand);
    return cli_open(c, false, err);
}

enum b_code cli_outbox_retry(struct cli *c, struct b_err *err)
{
    int64_t id = 0;
    enum b_code r = open_letter(c, &id, err);
    if (r == B_OK)
        r = service_outbox_retry(&c->service, id, err);
    if (r == B_OK)
        cli_say(c, CLI_GREEN, _("Letter %lld goes again.\n"), (long long)id);
    return r;
}

enum b_code cli_outbox_drop(struct cli *c, struct b_err *err)
{
    int64_t id = 0;
    enum b_code r = open_letter(c, &id, err);
    if (r == B_OK && !cli_ask(c, _("Its subscriber will never be told. Remove it? [y/N] ")))
        r = b_err_set(err, B_E_CANCELLED, 0, "letter %lld", (long long)id);
    if (r == B_OK)
        r = service_outbox_drop(&c->service, id, err);
    if (r == B_OK)
        cli_say(c, CLI_GREEN, _("Letter %lld was removed.\n"), (long long)id);
    return r;
}
