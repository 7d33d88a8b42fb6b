/*
 * kill -9 of the server or of the vault at random moments under load, and, where the user may mount
 * a disk of its own, that disk full. Every tap that was answered must be in the journal, every
 * change that was acknowledged in the store, and the journal must verify. Prints the counts.
 *   kill TESSERE TESSERED [ROUNDS]
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "fleet.h"

enum { STATIONS = 6, ROUNDS = 16 };

static struct fleet fleet;
static atomic_bool is_over;

struct client {
    size_t at;
    unsigned answered, refused, lost, full; /* taps */
    pthread_t thread;
};

static void pause_ms(unsigned ms)
{
    (void)usleep(ms * 1000);
}

static const struct agent_pin no_pin = {.ask = NULL};

/* Taps without end; what fails because the server is away is tried again. */
static void *tap(void *arg)
{
    static _Thread_local struct agent_outcome outcome;
    struct client *c = arg;
    struct agent_self self = {.key_no = 0};
    struct remote *r = NULL;
    struct b_err err;
    bool is_known = false;
    fleet_need(agent_connect(&fleet.stations[c->at], &r, &err) == B_OK, "connecting", err.msg);
    while (!atomic_load(&is_over)) {
        if (!is_known) {
            is_known = agent_self(r, &self, &err) == B_OK;
            if (!is_known)
                pause_ms(20);
            continue;
        }
        struct channel *ch = fleet_channel(&fleet, c->at);
        enum b_code code =
            agent_tap(r, &self, ch, (struct agent_wish){.challenge = "", .reader = ""}, &no_pin,
                      &outcome, &err);
        channel_free(&ch);
        c->answered += code == B_OK;
        c->lost += code == B_E_SERVER_GONE;
        c->refused += code != B_OK && code != B_E_SERVER_GONE;
        c->full += code == B_E_STORE_FULL;
        if (code != B_OK)
            pause_ms(5);
    }
    remote_free(&r);
    return NULL;
}

struct changes {
    char names[4096][24]; /* of stations whose making was acknowledged */
    size_t count, lost;
    pthread_t thread;
};

static void *change(void *arg)
{
    struct changes *c = arg;
    struct remote *r = NULL;
    struct b_err err;
    fleet_need(agent_connect(&fleet.admin, &r, &err) == B_OK, "connecting", err.msg);
    for (unsigned n = 0; !atomic_load(&is_over) && c->count < B_COUNT(c->names); n++) {
        char name[24];
        (void)snprintf(name, sizeof(name), "kill-%u", n);
        json_t *body = json_pack("{s:s}", "name", name);
        if (remote_call(r, "POST", "/v1/stations", body, NULL, &err) == B_OK)
            memcpy(c->names[c->count++], name, sizeof(name));
        else
            c->lost++;
        json_decref(body);
        pause_ms(3);
    }
    remote_free(&r);
    return NULL;
}

/* --- afterwards --------------------------------------------------------------------------------
 */

struct found {
    unsigned taps[STATIONS];
    struct store *store;
};

static bool count_tap(void *ctx, const struct store_entry *e)
{
    struct found *f = ctx;
    json_t *body = json_loadb(e->body, e->body_len, 0, NULL);
    const char *kind = json_string_value(json_object_get(body, "kind"));
    const char *outcome = json_string_value(json_object_get(body, "outcome"));
    if (kind != NULL && strcmp(kind, "tap") == 0 && outcome != NULL && strcmp(outcome, "ok") == 0 &&
        e->badge_id >= 1 && e->badge_id <= STATIONS)
        f->taps[e->badge_id - 1]++;
    json_decref(body);
    return true;
}

struct search {
    const char *name;
    bool is_there;
};

static bool find_name(void *ctx, const struct store_station *t)
{
    struct search *s = ctx;
    s->is_there |= strcmp(t->name, s->name) == 0;
    return !s->is_there;
}

static int verify(const char *tessere)
{
    char command[1024];
    (void)snprintf(command, sizeof(command), "'%s' --home '%s' journal verify >&2", tessere,
                   fleet.home);
    return system(command); // NOLINT(cert-env33-c)
}

static void say(unsigned n, bool is_good, const char *what)
{
    (void)printf("%sok %u - %s\n", is_good ? "" : "not ", n, what);
}

struct troubles {
    unsigned kills, fills;
    bool has_disk; /* of its own, which can be filled */
};

static bool judge(const char *tessere, const struct client *clients, const struct changes *changes,
                  struct troubles t)
{
    char path[512];
    struct b_err err;
    static struct found found;
    unsigned answered = 0;
    unsigned journalled = 0;
    unsigned lost = 0;
    unsigned full = 0;
    bool is_each = true;
    (void)snprintf(path, sizeof(path), "%s/store.db", fleet.home);
    fleet_need(store_open(path, false, &found.store, &err) == B_OK, path, err.msg);
    const struct store_entry_range all = {.count = INT64_MAX};
    fleet_need(store_entry_each(found.store, &all, count_tap, &found, &err) == B_OK, path, err.msg);
    for (size_t i = 0; i < STATIONS; i++) {
        answered += clients[i].answered;
        full += clients[i].full;
        journalled += found.taps[i];
        is_each &= found.taps[i] >= clients[i].answered;
    }
    for (size_t i = 0; i < changes->count; i++) {
        struct search s = {.name = changes->names[i]};
        (void)!store_station_each(found.store, 0, find_name, &s, &err);
        lost += !s.is_there;
    }
    store_free(&found.store);
    (void)printf("# %u kills, the disk full %u times; %u taps answered, %u granted in the journal, "
                 "%u refused for want of room; %zu changes acknowledged, %u of them lost\n",
                 t.kills, t.fills, answered, journalled, full, changes->count, lost);
    bool is_whole = verify(tessere) == 0;
    say(1, is_each && answered > 0, "every answered tap is in the journal");
    say(2, lost == 0 && changes->count > 0, "no acknowledged change is lost");
    say(3, is_whole, "the journal verifies");
    if (t.has_disk)
        say(4, full > 0, "a full disk refuses taps by its name");
    (void)printf("1..%d\n", t.has_disk ? 4 : 3);
    return is_each && answered > 0 && lost == 0 && changes->count > 0 && is_whole &&
           (!t.has_disk || full > 0);
}

/* --- troubles ----------------------------------------------------------------------------------
 */

/* A disk for dir alone, that nobody else sees. */
static bool make_disk(const char *dir)
{
    if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return false;
    return mount("tessere-test", dir, "tmpfs", 0, "size=256m") == 0;
}

static void fill_disk(const char *dir)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/filler", dir);
    int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    off_t size = 0;
    fleet_need(fd >= 0, path, "cannot be made");
    for (off_t step = 64 << 20; step >= 4096; step /= 2)
        while (posix_fallocate(fd, size, step) == 0)
            size += step;
    pause_ms(2500); /* the log beside the store has room of its own at first */
    (void)close(fd);
    fleet_need(unlink(path) == 0, path, "cannot be removed");
}

static void make_trouble(const char *tessered, const char *dir, unsigned round, struct troubles *t)
{
    enum { KINDS = 4 };
    int vault = fleet_vault_pid(&fleet);
    if (round % KINDS == KINDS - 1 && t->has_disk) {
        fill_disk(dir);
        t->fills++;
        return;
    }
    t->kills++;
    if (round % KINDS == KINDS - 2 && vault > 0) {
        (void)kill(vault, SIGKILL);
        pause_ms(700); /* the server starts it again */
    } else {
        fleet_stop(&fleet, true);
        fleet_start(&fleet, tessered);
    }
}

int main(int argc, char **argv)
{
    char dir[] = "/var/tmp/tessere-kill-XXXXXX";
    char command[128];
    static struct client clients[STATIONS];
    static struct changes changes;
    struct troubles troubles = {.kills = 0};
    fleet_need(argc >= 3 && mkdtemp(dir) != NULL, "usage", "kill TESSERE TESSERED [ROUNDS]");
    unsigned rounds = argc > 3 ? (unsigned)atoi(argv[3]) : ROUNDS;
    (void)signal(SIGPIPE, SIG_IGN);
    troubles.has_disk = make_disk(dir);
    fleet_make(&fleet, dir, argv[1], STATIONS, STATIONS);
    fleet_start(&fleet, argv[2]);
    for (size_t i = 0; i < STATIONS; i++) {
        clients[i].at = i;
        fleet_need(pthread_create(&clients[i].thread, NULL, tap, &clients[i]) == 0, "threads",
                   "none");
    }
    fleet_need(pthread_create(&changes.thread, NULL, change, &changes) == 0, "threads", "none");
    for (unsigned i = 0; i < rounds; i++) {
        uint32_t chance = 0;
        crypto_random(&chance, sizeof(chance));
        pause_ms(150 + chance % 400);
        make_trouble(argv[2], dir, i, &troubles);
    }
    pause_ms(500);
    atomic_store(&is_over, true);
    for (size_t i = 0; i < STATIONS; i++)
        (void)pthread_join(clients[i].thread, NULL);
    (void)pthread_join(changes.thread, NULL);
    fleet_stop(&fleet, false);
    bool is_good = judge(argv[1], clients, &changes, troubles);
    fleet_free(&fleet);
    if (troubles.has_disk)
        (void)umount(dir);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    (void)!system(command); // NOLINT(cert-env33-c)
    return is_good ? 0 : 1;
}
