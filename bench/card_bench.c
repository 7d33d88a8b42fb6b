/*
 * What a tap, an enrolment and a re-key cost: APDUs and bytes in process, against the least that
 * the protocol allows for the profile; and the time of each leg of a tap through pcscd, against an
 * APDU that the reader answers by itself. One JSON object a line; a ratio of 1 is the limit, less
 * is worse.
 *   card_bench PROFILE.yaml    times only inside tests/support/with-pcscd
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "card/vpcd.h"
#include "channel/channel.h"
#include "crypto/crypto.h"
#include "profile/file.h"
#include "profile/run.h"

enum { TAPS = 300, LEGS = 8 };

struct cost {
    unsigned apdus, bytes;
    unsigned least_of[256]; /* bytes of the smallest exchange with this INS */
};

struct desk {
    struct channel *ch;
    struct profile_job job;
    struct profile_run *run;
    struct cost cost;
    double leg_us[LEGS];
};

static struct card card;

static void need(bool is_good, const char *what, const char *why)
{
    if (is_good)
        return;
    (void)fprintf(stderr, "card_bench: %s: %s\n", what, why);
    exit(1);
}

static double now_us(void)
{
    struct timespec t;
    need(clock_gettime(CLOCK_MONOTONIC, &t) == 0, "clock", "failed");
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void fill(void *ctx, uint8_t *p, size_t n)
{
    (void)ctx;
    crypto_random(p, n);
}

static enum b_code badge_key(void *ctx, enum key_role role, uint8_t generation,
                             const char *diversification, const struct crypto_div_facts *facts,
                             struct df_key *ret, struct b_err *err)
{
    uint8_t master[16], input[CRYPTO_DIV_INPUT_MAX];
    struct crypto_key key;
    struct b_wr w = b_wr_from(input, sizeof(input));
    (void)ctx;
    memset(master, (int)(0x10 * (role + 1) + generation), sizeof(master));
    enum b_code r = crypto_div_input(crypto_div_find(diversification), facts, &w, err);
    if (r != B_OK)
        return r;
    crypto_key_init(&key, CRYPTO_AES128, master);
    *ret = (struct df_key){.type = DF_KEY_AES, .version = generation};
    return crypto_an10922(&key, input, w.len, ret->bytes, err);
}

static void count(struct cost *cost, struct b_rd capdu, size_t answer)
{
    size_t n = capdu.left + answer;
    unsigned *least = &cost->least_of[capdu.left > 1 ? capdu.p[1] : 0];
    cost->apdus++;
    cost->bytes += (unsigned)n;
    if (*least == 0 || n < *least)
        *least = (unsigned)n;
}

static void work(struct desk *d, enum profile_goal goal)
{
    uint8_t tx[DF_CAPDU_MAX], rx[DF_RAPDU_MAX];
    struct b_wr out = b_wr_from(tx, sizeof(tx)), in = b_wr_from(rx, sizeof(rx));
    struct b_err err;
    d->cost = (struct cost){0};
    d->job.goal = goal;
    need(channel_reset(d->ch, &err) == B_OK, "reset", err.msg);
    enum profile_want want = profile_run_start(
        d->run, &d->job, (struct profile_keys){.badge_key = badge_key, .ctx = NULL},
        (struct df_random){fill, NULL}, &out);
    while (want != PROFILE_DONE && want != PROFILE_FAILED) {
        struct b_rd rapdu = b_rd_from(NULL, 0);
        if (want == PROFILE_TX) {
            double start = now_us();
            enum b_code r = channel_transmit(d->ch, b_wr_reader(&out), &in, &err);
            need(r == B_OK, "exchange", err.msg);
            if (d->cost.apdus < LEGS)
                d->leg_us[d->cost.apdus] = now_us() - start;
            count(&d->cost, b_wr_reader(&out), in.len);
            rapdu = b_wr_reader(&in);
        }
        want = profile_run_step(d->run, rapdu, &out);
    }
    need(want == PROFILE_DONE, "job", profile_run_error(d->run)->msg);
}

static void set_generation(struct profile_job *j, uint8_t target)
{
    for (size_t i = 0; i < KEY_ROLE_COUNT; i++) {
        struct profile_generations *g = &j->generations[i];
        *g = (struct profile_generations){.target = target, .known_count = target};
        for (uint8_t n = target; n >= 1; n--)
            g->known[target - n] = n;
    }
}

/* How often each kind of exchange must happen at least. AF stands for the second half of an
 * authentication, which has one per start. */
struct least {
    unsigned select, auth, create_app, create_file, change_key, settings, write, file_settings;
};

static struct least least_enrolment(const struct profile *p)
{
    struct least l = {.select = 1, .auth = 2, .create_app = 1, .change_key = p->key_count};
    l.change_key += !p->is_guest;
    l.auth -= p->is_guest;
    l.settings = 1u + (!p->is_guest && p->card_settings != 0x0F);
    l.create_file = p->file_count;
    for (uint8_t i = 0; i < p->file_count; i++) {
        /* written under the rights of the application key, which are then replaced: one exchange
         * less than authenticating with the write key */
        l.write += p->files[i].content != PROFILE_CONTENT_NONE;
        l.file_settings += p->files[i].content != PROFILE_CONTENT_NONE;
    }
    return l;
}

static struct least least_rekey(const struct profile *p)
{
    bool is_self = p->app_settings >> 4 == 0xE;
    struct least l = {.select = 1, .auth = is_self ? p->key_count : 1u, .change_key = p->key_count};
    l.auth += !p->is_guest;
    l.change_key += !p->is_guest;
    return l;
}

static unsigned least_apdus(const struct least *l)
{
    return l->select + 2 * l->auth + l->create_app + l->create_file + l->change_key + l->settings +
           l->write + l->file_settings;
}

/* Sizes as they were sent, counts as they are needed. An authentication: its start and its AF. */
static unsigned least_bytes(const struct least *l, const struct cost *c, enum df_ev ev)
{
    enum { AUTH_ISO = 0x1A, AUTH_D40 = 0x0A };
    unsigned start = c->least_of[ev == DF_EV1 ? 0xAA : 0x71];
    unsigned des = c->least_of[AUTH_D40] ? c->least_of[AUTH_D40] : c->least_of[AUTH_ISO];
    unsigned auth = start ? start : des;
    return l->select * c->least_of[0x5A] + l->auth * (auth + c->least_of[0xAF]) +
           l->create_app * c->least_of[0xCA] + l->create_file * c->least_of[0xCD] +
           l->change_key * c->least_of[0xC4] + l->settings * c->least_of[0x54] +
           l->write * c->least_of[0x3D] + l->file_settings * c->least_of[0x5F];
}

static void print_ratio(const char *name, double value, const char *unit, double limit)
{
    printf("{\"name\": \"%s\", \"value\": %.0f, \"unit\": \"%s\", ", name, value, unit);
    if (limit > 0)
        printf("\"limit\": %.0f, \"peer\": null, \"ratio_to_limit\": %.3f, ", limit, limit / value);
    else
        printf("\"limit\": null, \"peer\": null, \"ratio_to_limit\": null, ");
    printf("\"ratio_to_peer\": null}\n");
}

static void print_cost(const char *what, const struct desk *d, struct least l, enum df_ev ev)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "%s_apdus_%s", what, df_ev_name(ev));
    print_ratio(name, d->cost.apdus, "APDU", least_apdus(&l));
    (void)snprintf(name, sizeof(name), "%s_bytes_%s", what, df_ev_name(ev));
    print_ratio(name, d->cost.bytes, "byte", least_bytes(&l, &d->cost, ev));
}

static struct df_personality personality(enum df_ev ev)
{
    return (struct df_personality){.ev = ev, .memory = 8192, .uid = {4, 1, 2, 3, 4, 5, 6}};
}

static void set_job(struct desk *d, const struct profile *profile)
{
    memcpy(d->job.uid, personality(DF_EV2).uid, 7);
    d->job.profile = *profile;
    d->job.uid_len = 7;
    memcpy(d->job.holder, "10001234567", 11);
    d->job.holder_len = 11;
    set_generation(&d->job, 1);
}

static void in_process(const struct profile *profile, enum df_ev ev)
{
    static const struct channel_card_ops ops = {card_apdu, card_power};
    static struct desk d;
    struct df_personality who = personality(ev);
    struct channel_card seen = {.uid_len = 7};
    struct b_err err;
    d = (struct desk){.run = calloc(1, profile_run_size())};
    need(d.run != NULL, "memory", "none");
    need(card_new(&who, NULL, &card, &err) == B_OK, "card", err.msg);
    need(channel_card_new(&ops, &card, &seen, &d.ch) == B_OK, "channel", "failed");
    set_job(&d, profile);
    work(&d, PROFILE_GOAL_REACH);
    print_cost("enrol", &d, least_enrolment(profile), ev);
    d.job.ev_hint = ev;
    work(&d, PROFILE_GOAL_TAP);
    print_cost("tap", &d, (struct least){.select = 1, .auth = 1}, ev);
    set_generation(&d.job, 2);
    work(&d, PROFILE_GOAL_REACH);
    print_cost("rekey", &d, least_rekey(profile), ev);
    channel_free(&d.ch);
    card_close(&card);
    profile_run_drop(d.run);
    free(d.run);
}

/* --- through pcscd ---------------------------------------------------------------------------- */

static pid_t put_card(uint16_t port)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    struct vpcd_place place = {.host = "127.0.0.1", .port = port, .wait_ms = 5000};
    struct df_personality who = personality(DF_EV2);
    struct b_err err;
    int fd = -1;
    if (card_new(&who, NULL, &card, &err) != B_OK || vpcd_connect(&place, &fd, &err) != B_OK)
        _exit(1);
    _exit(vpcd_serve(fd, &card, &err) == B_OK ? 0 : 1);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, size_t n)
{
    qsort(v, n, sizeof(*v), by_value);
    return v[n / 2];
}

/* An APDU that never reaches the card's protocol: what pcscd and the reader cost. */
static double bare_us(struct channel *ch)
{
    static const uint8_t get_uid[] = {0xFF, 0xCA, 0x00, 0x00, 0x00};
    static double us[TAPS];
    uint8_t rx[DF_RAPDU_MAX];
    struct b_err err;
    for (size_t i = 0; i < TAPS; i++) {
        struct b_wr in = b_wr_from(rx, sizeof(rx));
        double start = now_us();
        enum b_code r = channel_transmit(ch, b_rd_from(get_uid, sizeof(get_uid)), &in, &err);
        us[i] = now_us() - start;
        need(r == B_OK, "exchange", err.msg);
    }
    return median(us, TAPS);
}

static void through_pcscd(const struct profile *profile, uint16_t port)
{
    static const char *const names[] = {"tap_leg_select", "tap_leg_auth_first",
                                        "tap_leg_auth_second"};
    static double us[3][TAPS];
    static struct desk d;
    struct b_err err;
    pid_t pid = put_card(port);
    struct channel_pcsc_wanted wanted = {.wait_ms = 10000};
    d = (struct desk){.run = calloc(1, profile_run_size())};
    need(pid > 0 && d.run != NULL, "card", "not started");
    need(channel_pcsc_open(&wanted, &d.ch, &err) == B_OK, "reader", err.msg);
    set_job(&d, profile);
    work(&d, PROFILE_GOAL_REACH);
    d.job.ev_hint = DF_EV2;
    for (size_t i = 0; i < TAPS; i++) {
        work(&d, PROFILE_GOAL_TAP);
        need(d.cost.apdus == 3, "tap", "more than three APDUs");
        for (size_t leg = 0; leg < 3; leg++)
            us[leg][i] = d.leg_us[leg];
    }
    double bare = bare_us(d.ch);
    for (size_t leg = 0; leg < 3; leg++)
        print_ratio(names[leg], median(us[leg], TAPS), "us", bare);
    channel_free(&d.ch);
    (void)kill(pid, SIGTERM);
    (void)waitpid(pid, NULL, 0);
    free(d.run);
}

static void read_profile(const char *path, struct profile *ret)
{
    static char text[65536];
    struct b_err err;
    FILE *f = fopen(path, "r");
    need(f != NULL, path, "cannot be opened");
    size_t n = fread(text, 1, sizeof(text), f);
    (void)fclose(f);
    need(profile_file_read(path, text, n, ret, &err) == B_OK, path, err.msg);
    memcpy(ret->system, "BENCH", 5);
    ret->system_len = 5;
}

int main(int argc, char **argv)
{
    static struct profile profile;
    const char *port = getenv("TESSERE_CARD_PORT");
    need(argc == 2, "usage", "card_bench PROFILE.yaml");
    read_profile(argv[1], &profile);
    for (int ev = DF_EV1; ev <= DF_EV3; ev++)
        in_process(&profile, (enum df_ev)ev);
    (void)fflush(stdout);
    if (port != NULL)
        through_pcscd(&profile, (uint16_t)atoi(port)); /* lint: allow */
    return 0;
}
