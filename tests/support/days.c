#include "days.h"

#include <stdlib.h>

enum { TEAR_PERCENT = 5 };

static const struct agent_pin no_pin = {.ask = NULL};

static uint32_t draw(struct days_station *s)
{
    s->chance = s->chance * 1664525u + 1013904223u;
    return s->chance >> 8;
}

/* What a card does that lies on a reader of tessere-agent. */
static enum b_code lie_there(struct remote *r, const struct agent_self *self, struct channel *ch,
                             struct b_err *err)
{
    static _Thread_local struct agent_outcome outcome;
    enum b_code code = agent_tap(r, self, ch, (struct agent_wish){.challenge = "", .reader = ""},
                                 &no_pin, &outcome, err);
    if (agent_takeover(r, ch, NULL, &outcome))
        code = agent_tap(r, self, ch, (struct agent_wish){.challenge = "", .reader = ""}, &no_pin,
                         &outcome, err);
    if (code == B_OK)
        agent_rekey(r, ch, &outcome);
    return outcome.code;
}

static bool is_to_be_put_back(enum b_code code)
{
    return code == B_E_CARD_REMOVED || code == B_E_VAULT_BUSY || code == B_E_STORE_LOCKED;
}

/* One visit: the badge is tapped until its holder is let in, and lies there for the rest. */
static void visit(struct days_station *s, struct remote *r, const struct agent_self *self,
                  size_t card)
{
    enum { TRIES = 8 };
    struct b_err err = {0};
    enum b_code code = B_E_CARD_REMOVED;
    for (int i = 0; i < TRIES && is_to_be_put_back(code); i++) {
        struct channel *ch = NULL;
        bool is_torn = i == 0 && draw(s) % 100 < TEAR_PERCENT;
        struct channel_fault fault = {.at = is_torn ? 1 + draw(s) % s->of->tear_apdus : 0,
                                      .after_effect = draw(s) % 2 == 1};
        fleet_need(channel_fault_new(fleet_channel(s->of->fleet, card), fault, &ch) == B_OK,
                   "a channel", "none");
        code = lie_there(r, self, ch, &err);
        s->taps++;
        s->torn += is_torn && channel_fault_count(ch) >= fault.at;
        channel_free(&ch);
    }
    s->refused += code != B_OK;
    if (code != B_OK && s->refused <= 3)
        (void)printf("# badge %zu: %s: %s\n", card + 1, b_code_name(code), err.msg);
}

static void *serve(void *arg)
{
    struct days_station *s = arg;
    const struct fleet *f = s->of->fleet;
    struct agent_self self = {.key_no = 0};
    struct remote *r = NULL;
    struct b_err err;
    fleet_need(agent_connect(&f->stations[s->at], &r, &err) == B_OK &&
                   agent_self(r, &self, &err) == B_OK,
               "connecting", err.msg);
    for (size_t card = s->at; card < f->card_count; card += f->station_count)
        visit(s, r, &self, card);
    remote_free(&r);
    return NULL;
}

void days_pass(struct days *d)
{
    size_t count = d->fleet->station_count;
    fleet_need(count <= DAYS_STATIONS_MAX, "stations", "too many");
    for (size_t i = 0; i < count; i++) {
        struct days_station *s = &d->stations[i];
        if (d->passed == 0)
            *s = (struct days_station){.of = d, .at = i, .chance = (uint32_t)(i + 1) * 2654435761u};
        fleet_need(pthread_create(&s->thread, NULL, serve, s) == 0, "threads", "none");
    }
    for (size_t i = 0; i < count; i++)
        (void)pthread_join(d->stations[i].thread, NULL);
    d->passed++;
}

void days_sum(const struct days *d, unsigned *ret_taps, unsigned *ret_torn, unsigned *ret_refused)
{
    *ret_taps = *ret_torn = *ret_refused = 0;
    for (size_t i = 0; i < d->fleet->station_count; i++) {
        *ret_taps += d->stations[i].taps;
        *ret_torn += d->stations[i].torn;
        *ret_refused += d->stations[i].refused;
    }
}

int days_run(const struct days *d, const char *command)
{
    char line[1024];
    (void)snprintf(line, sizeof(line), "'%s' --home '%s' %s >&2 </dev/null", d->tessere,
                   d->fleet->home, command);
    return system(line); // NOLINT(cert-env33-c)
}

struct store *days_store(const struct days *d)
{
    char path[512];
    struct store *s = NULL;
    struct b_err err;
    (void)snprintf(path, sizeof(path), "%s/store.db", d->fleet->home);
    fleet_need(store_open(path, false, &s, &err) == B_OK, path, err.msg);
    return s;
}

static bool count_open(void *ctx, const struct store_intent *i)
{
    *(unsigned *)ctx += !i->is_effective;
    return true;
}

unsigned days_open_steps(struct store *s)
{
    unsigned open = 0;
    struct b_err err;
    fleet_need(store_intent_each(s, count_open, &open, &err) == B_OK, "the store", err.msg);
    return open;
}

void days_say(unsigned n, bool is_good, const char *what, bool *io)
{
    (void)printf("%sok %u - %s\n", is_good ? "" : "not ", n, what);
    *io = *io && is_good;
}
