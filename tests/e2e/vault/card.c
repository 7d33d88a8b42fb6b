/*
 * The whole way on one machine, in processes that are apart: a software card, a client that relays,
 * the real tessere-vault, SoftHSM2. While a badge is enrolled and tapped, and after, the memory of
 * the client and of the vault is searched for the keys that the card then holds, and for their
 * schedules.
 *
 *   this process ── holds the card's keys, reads the memory of the others
 *   card         ── A: APDU in, answer out   P: field off and on   K: the keys it holds
 *   client       ── tells where it is and waits, then goes on
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "desfire/picc.h"
#include "memscan.h"
#include "place.h"

enum {
    KEYS_MAX = PROFILE_KEYS_MAX + 1,
    PATTERNS_MAX = KEYS_MAX * (1 + 512 / MEMSCAN_SIZE),
    MESSAGE_MAX = 1 + DF_CAPDU_MAX,
};
static const uint8_t uid[7] = {0x04, 0x78, 0x2E, 0x21, 0x80, 0x1D, 0x80};

/* --- the card, a process ---------------------------------------------------------------------- */

static void fill(void *ctx, uint8_t *p, size_t n)
{
    (void)ctx;
    crypto_random(p, n);
}

static void put_key(struct b_wr *w, const struct picc_key *k)
{
    static const uint8_t zeros[16];
    if (memcmp(k->bytes, zeros, sizeof(zeros)) != 0)
        b_wr_bytes(w, k->bytes, sizeof(zeros));
}

static void put_keys(const struct df_picc *picc, struct b_wr *w)
{
    put_key(w, &picc->mem.master);
    for (size_t a = 0; a < PICC_APPS; a++)
        for (size_t i = 0; picc->mem.apps[a].is_used && i < picc->mem.apps[a].key_count; i++)
            put_key(w, &picc->mem.keys[picc->mem.apps[a].first_key + i]);
}

static bool serve_card(struct df_picc *picc, int fd)
{
    uint8_t in[MESSAGE_MAX];
    uint8_t out[DF_RAPDU_MAX + KEYS_MAX * 16];
    struct b_wr w = b_wr_from(out, sizeof(out));
    ssize_t n = recv(fd, in, sizeof(in), 0);
    if (n < 1)
        return false;
    if (in[0] == 'A')
        df_picc_step(picc, b_rd_from(in + 1, (size_t)n - 1), &w);
    else if (in[0] == 'P')
        df_picc_power(picc, (struct df_random){.fill = fill});
    else
        put_keys(picc, &w);
    if (w.len == 0)
        b_wr_u8(&w, 0); /* a datagram of nothing would read as the end */
    return send(fd, out, w.len, MSG_NOSIGNAL) == (ssize_t)w.len;
}

B_NORETURN static void card_process(enum df_ev ev, const int fds[2])
{
    static struct df_picc picc;
    struct df_personality who = {.ev = ev, .memory = 8192};
    memcpy(who.uid, uid, sizeof(uid));
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!df_picc_blank(&picc, &who))
        _exit(1);
    df_picc_power(&picc, (struct df_random){.fill = fill});
    for (;;) {
        struct pollfd p[2] = {{.fd = fds[0], .events = POLLIN}, {.fd = fds[1], .events = POLLIN}};
        if (poll(p, 2, -1) < 0)
            _exit(1);
        for (size_t i = 0; i < 2; i++)
            if ((p[i].revents & POLLIN) != 0 && !serve_card(&picc, fds[i]))
                _exit(0);
    }
}

static size_t ask_card(int fd, char what, struct b_rd apdu, uint8_t *out, size_t cap)
{
    uint8_t message[MESSAGE_MAX];
    struct b_wr w = b_wr_from(message, sizeof(message));
    b_wr_u8(&w, (uint8_t)what);
    b_wr_bytes(&w, apdu.p, apdu.left);
    b_check(b_wr_ok(&w) && send(fd, message, w.len, MSG_NOSIGNAL) == (ssize_t)w.len);
    ssize_t n = recv(fd, out, cap, 0);
    b_check(n > 0);
    return (size_t)n;
}

/* --- the client, a process -------------------------------------------------------------------- */

static void make_job(struct profile_job *job, enum profile_goal goal)
{
    static const enum key_role roles[] = {KEY_ROLE_APP, KEY_ROLE_AUTH, KEY_ROLE_READ,
                                          KEY_ROLE_WRITE};
    memset(job, 0, sizeof(*job));
    struct profile *p = &job->profile;
    job->goal = goal;
    memcpy(job->uid, uid, sizeof(uid));
    job->uid_len = sizeof(uid);
    for (size_t r = 0; r < KEY_ROLE_COUNT; r++)
        job->generations[r] =
            (struct profile_generations){.target = 1, .known = {1}, .known_count = 1};
    (void)snprintf(p->id, sizeof(p->id), "test");
    (void)snprintf(p->diversification, sizeof(p->diversification), "uid-aid-system");
    p->revision = 1;
    p->aid = 0xF51234;
    p->card_settings = 0x0F;
    p->app_settings = 0x1B;
    p->system_len = 9;
    memcpy(p->system, "750712184", 9);
    for (size_t i = 0; i < B_COUNT(roles); i++)
        p->keys[p->key_count++] = (struct profile_key){.no = (uint8_t)i, .role = roles[i]};
}

struct client {
    struct vault *vault;
    int card;
    int control; /* -1: nobody waits for this client's places */
};

/* Tells where this client is and waits until the memory was searched. */
static void pause_at(const struct client *c, char where)
{
    uint8_t message[5] = {(uint8_t)where};
    uint8_t go;
    struct b_wr w = b_wr_from(message + 1, 4);
    b_wr_le32(&w, (uint32_t)vault_pid(c->vault));
    if (c->control >= 0 && (send(c->control, message, sizeof(message), MSG_NOSIGNAL) != 5 ||
                            recv(c->control, &go, 1, 0) != 1))
        _exit(1); /* the search was given up */
}

/* Runs a job to its end; places: M after each step that took effect, m after each APDU of a tap. */
static enum b_code run_job(const struct client *c, enum profile_goal goal, struct b_err *err)
{
    static struct profile_job job;
    static struct vault_event event;
    uint8_t rapdu[DF_RAPDU_MAX];
    uint32_t s = 0;
    make_job(&job, goal);
    (void)ask_card(c->card, 'P', b_rd_from(NULL, 0), rapdu, sizeof(rapdu));
    enum b_code r = vault_session_open(c->vault, &job, b_rd_from(NULL, 0), &s, &event, err);
    while (r == B_OK && event.want != PROFILE_DONE) {
        size_t n = 0;
        if (event.want == PROFILE_TX)
            n = ask_card(c->card, 'A', b_rd_from(event.apdu, event.apdu_len), rapdu, sizeof(rapdu));
        if (event.want == PROFILE_EFFECT)
            pause_at(c, 'M');
        else if (goal == PROFILE_GOAL_TAP && event.want == PROFILE_TX)
            pause_at(c, 'm');
        r = vault_session_step(c->vault, s, b_rd_from(rapdu, n), &event, err);
    }
    return r;
}

/* A tap that its peer gives up once the vault has derived the badge key. */
static enum b_code give_up(const struct client *c, struct b_err *err)
{
    static struct profile_job job;
    static struct vault_event event;
    uint8_t rapdu[DF_RAPDU_MAX];
    uint32_t s = 0;
    make_job(&job, PROFILE_GOAL_TAP);
    (void)ask_card(c->card, 'P', b_rd_from(NULL, 0), rapdu, sizeof(rapdu));
    enum b_code r = vault_session_open(c->vault, &job, b_rd_from(NULL, 0), &s, &event, err);
    for (int i = 0; i < 2 && r == B_OK; i++) {
        size_t n =
            ask_card(c->card, 'A', b_rd_from(event.apdu, event.apdu_len), rapdu, sizeof(rapdu));
        r = vault_session_step(c->vault, s, b_rd_from(rapdu, n), &event, err);
    }
    pause_at(c, 'm');
    vault_session_close(c->vault, s);
    return r;
}

static void generate_masters(struct vault *v)
{
    for (int role = 0; role < KEY_ROLE_COUNT; role++) {
        struct vault_key key;
        struct b_err err = {0};
        if (vault_key_generate(v, (enum key_role)role, 1, &key, &err) != B_OK) {
            (void)fprintf(stderr, "# %s\n", err.msg);
            _exit(1);
        }
    }
}

B_NORETURN static void client_process(int card, int control)
{
    struct vault_config config = place_config();
    struct client c = {.card = card, .control = control};
    struct b_err err = {0};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (vault_spawn(&config, &c.vault, &err) == B_OK) {
        generate_masters(c.vault);
        enum b_code r = run_job(&c, PROFILE_GOAL_REACH, &err);
        if (r == B_OK) {
            pause_at(&c, 'E');
            r = run_job(&c, PROFILE_GOAL_TAP, &err);
        }
        if (r == B_OK) {
            pause_at(&c, 'T');
            r = give_up(&c, &err);
        }
        if (r == B_OK) {
            pause_at(&c, 'C');
            vault_free(&c.vault);
            _exit(0);
        }
    }
    (void)fprintf(stderr, "# %s\n", err.msg);
    _exit(1);
}

/* --- the search ------------------------------------------------------------------------------- */

static uint8_t patterns[PATTERNS_MAX][MEMSCAN_SIZE];

/* Keys and every round key of their schedules, in the layout of this machine's engine. */
static size_t take_patterns(int card)
{
    static const uint8_t zeros[MEMSCAN_SIZE];
    uint8_t keys[KEYS_MAX * 16];
    size_t n = ask_card(card, 'K', b_rd_from(NULL, 0), keys, sizeof(keys)) / 16;
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        struct crypto_key k;
        crypto_key_init(&k, CRYPTO_AES128, keys + i * 16);
        memcpy(patterns[count++], keys + i * 16, 16);
        for (size_t j = 0; j < sizeof(k.schedule) / MEMSCAN_SIZE; j++)
            if (memcmp(k.schedule + j * MEMSCAN_SIZE, zeros, MEMSCAN_SIZE) != 0)
                memcpy(patterns[count++], k.schedule + j * MEMSCAN_SIZE, MEMSCAN_SIZE);
        crypto_key_drop(&k);
    }
    return count;
}

static int search(int pid, size_t count, const char *who, bool may_hold)
{
    struct memscan_hit hit = {0};
    int hits = memscan(pid, (const uint8_t(*)[MEMSCAN_SIZE])patterns, count, &hit);
    assert_true(hits >= 0);
    if (hits > 0 && !may_hold)
        fail_msg("%s: %d hits, the first of pattern %zu in %s", who, hits, hit.pattern, hit.where);
    return hits;
}

struct search_sum {
    int during_enrolment, during_tap; /* hits in the vault: the search does find keys */
    int pin;                          /* hits of the PIN in the token's process */
    uint32_t places;                  /* a bit for each letter */
};

/* The PIN is where the module is, and nowhere else. */
static int search_pin(int client, int vault, int token)
{
    FILE *f = fopen(place_pin, "re");
    assert_non_null(f);
    assert_int_equal(fread(patterns[0], 1, MEMSCAN_SIZE, f), MEMSCAN_SIZE);
    (void)fclose(f);
    (void)search(client, 1, "the PIN in the client", false);
    (void)search(vault, 1, "the PIN in the vault", false);
    return search(token, 1, "", true);
}

static void search_at(char where, int client, int vault, int card, struct search_sum *sum)
{
    size_t count = take_patterns(card);
    (void)search(client, count, "the client", false);
    if (where == 'M')
        sum->during_enrolment += search(vault, count, "", true);
    if (where == 'm')
        sum->during_tap += search(vault, count, "", true);
    /* Masters are there by the nature of SoftHSM; keys of badges that it derived are not. */
    int token = place_token_pid(vault);
    assert_true(token > 0);
    (void)search(token, count, "the token's process", false);
    if (where == 'E')
        (void)search(vault, count, "the vault after an enrolment", false);
    if (where == 'T')
        (void)search(vault, count, "the vault after a tap", false);
    if (where == 'C')
        (void)search(vault, count, "the vault after a session that was closed", false);
    if (where == 'T')
        sum->pin += search_pin(client, vault, token);
    sum->places |= UINT32_C(1) << (where & 31);
}

static void make_pair(int pair[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
}

static pid_t fork_or_fail(void)
{
    (void)fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    return pid;
}

static void search_on(enum df_ev ev)
{
    int relay[2], keys[2], control[2];
    make_pair(relay);
    make_pair(keys);
    pid_t card = fork_or_fail();
    if (card == 0)
        card_process(ev, (const int[]){relay[1], keys[1]});
    make_pair(control); /* after the card was forked: its end must be the client's end */
    pid_t client = fork_or_fail();
    if (client == 0) {
        (void)close(control[0]);
        (void)close(keys[0]);
        client_process(relay[0], control[1]);
    }
    (void)close(control[1]);
    struct search_sum sum = {0};
    uint8_t message[5];
    while (recv(control[0], message, sizeof(message), 0) == 5) {
        struct b_rd r = b_rd_from(message + 1, 4);
        search_at((char)message[0], client, (int)b_rd_le32(&r), keys[0], &sum);
        assert_int_equal(send(control[0], "g", 1, MSG_NOSIGNAL), 1);
    }
    int status = 0;
    assert_int_equal(waitpid(client, &status, 0), client);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    for (const char *must = "METC"; *must != '\0'; must++)
        assert_true((sum.places & UINT32_C(1) << (*must & 31)) != 0);
    assert_true(sum.during_enrolment > 0);
    assert_true(sum.during_tap > 0);
    assert_true(sum.pin > 0);
    (void)kill(card, SIGKILL);
    (void)waitpid(card, NULL, 0);
    for (size_t i = 0; i < 2; i++) {
        (void)close(relay[i]);
        (void)close(keys[i]);
    }
    (void)close(control[0]);
}

static void no_key_is_left_after_enrolment_and_tap_on_ev1(void **state)
{
    (void)state;
    search_on(DF_EV1);
}

static void no_key_is_left_after_enrolment_and_tap_on_ev2(void **state)
{
    (void)state;
    search_on(DF_EV2);
}

static void no_key_is_left_after_enrolment_and_tap_on_ev3(void **state)
{
    (void)state;
    search_on(DF_EV3);
}

/* The vault is killed after each exchange of an enrolment in turn; a new one finishes the badge. */
static void a_vault_killed_at_any_exchange_is_a_clean_error_and_another_one_finishes(void **state)
{
    (void)state;
    struct vault_config config = place_config();
    struct vault *first = place_spawn(&config);
    generate_masters(first);
    vault_free(&first);
    int relay[2], unused[2];
    make_pair(relay);
    make_pair(unused);
    pid_t card = fork_or_fail();
    if (card == 0)
        card_process(DF_EV2, (const int[]){relay[1], unused[1]});
    static struct profile_job job;
    static struct vault_event event;
    uint8_t rapdu[DF_RAPDU_MAX];
    struct b_err err = {0};
    for (int dies_at = 1; dies_at < 12; dies_at++) {
        uint32_t s = 0;
        int exchanges = 0;
        struct vault *v = place_spawn(&config);
        make_job(&job, PROFILE_GOAL_REACH);
        (void)ask_card(relay[0], 'P', b_rd_from(NULL, 0), rapdu, sizeof(rapdu));
        enum b_code r = vault_session_open(v, &job, b_rd_from(NULL, 0), &s, &event, &err);
        while (r == B_OK && event.want != PROFILE_DONE) {
            size_t n = 0;
            if (event.want == PROFILE_TX) {
                n = ask_card(relay[0], 'A', b_rd_from(event.apdu, event.apdu_len), rapdu,
                             sizeof(rapdu));
                if (++exchanges == dies_at)
                    assert_int_equal(kill(vault_pid(v), SIGKILL), 0);
            }
            r = vault_session_step(v, s, b_rd_from(rapdu, n), &event, &err);
        }
        assert_int_equal(r, B_E_VAULT_GONE);
        vault_free(&v);
    }
    struct client c = {.vault = place_spawn(&config), .card = relay[0], .control = -1};
    if (run_job(&c, PROFILE_GOAL_REACH, &err) != B_OK ||
        run_job(&c, PROFILE_GOAL_TAP, &err) != B_OK)
        fail_msg("%s", err.msg);
    vault_free(&c.vault);
    (void)kill(card, SIGKILL);
    (void)waitpid(card, NULL, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, place_make, place_drop)

int main(void)
{
    const struct CMUnitTest all[] = {
        T(a_vault_killed_at_any_exchange_is_a_clean_error_and_another_one_finishes),
        T(no_key_is_left_after_enrolment_and_tap_on_ev1),
        T(no_key_is_left_after_enrolment_and_tap_on_ev2),
        T(no_key_is_left_after_enrolment_and_tap_on_ev3),
    };
    const struct CMUnitTest first[] = {all[0]};
    if (geteuid() == 0)
        return cmocka_run_group_tests_name("vault with a card", all, NULL, NULL);
    print_message("# the vault is not dumpable: its memory is searched only by root\n");
    return cmocka_run_group_tests_name("vault with a card", first, NULL, NULL);
}
