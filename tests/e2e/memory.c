/*
 * The memory of the server under load, searched: no key of a badge, no master key, no PIN of a
 * person, no PIN of the token. Something that is there is searched for too, so that the search is
 * known to find. memory TESSERE TESSERED SOFTHSM_VALUES
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/hpke.h"
#include "fleet.h"
#include "memscan.h"

enum { CARDS = 4, PATTERNS = 256, SCANS = 12 };

static const char digits[] = "805274196352";
static struct fleet fleet;
static atomic_bool is_over;
static atomic_uint granted;
static uint8_t patterns[PATTERNS][MEMSCAN_SIZE];
static size_t pattern_count;

static bool type_pin(void *ctx, const char *sentence, char pin[static 16])
{
    (void)ctx;
    (void)sentence;
    memcpy(pin, digits, sizeof(digits));
    return true;
}

static void *tap(void *arg)
{
    static _Thread_local struct agent_outcome outcome;
    size_t at = (size_t)(uintptr_t)arg;
    struct agent_self self = {.key_no = 0};
    const struct agent_pin pin = {.ask = type_pin};
    struct remote *r = NULL;
    struct b_err err;
    fleet_need(agent_connect(&fleet.stations[at], &r, &err) == B_OK &&
                   agent_self(r, &self, &err) == B_OK,
               "connecting", err.msg);
    while (!atomic_load(&is_over)) {
        struct channel *ch = fleet_channel(&fleet, at);
        if (agent_tap(r, &self, ch, (struct agent_wish){.challenge = "", .reader = ""}, &pin,
                      &outcome, &err) == B_OK)
            atomic_fetch_add(&granted, 1);
        channel_free(&ch);
    }
    remote_free(&r);
    return NULL;
}

static void set_pins(void)
{
    struct remote *r = NULL;
    struct b_err err;
    json_t *o = NULL;
    uint8_t point[65];
    struct b_wr w = b_wr_from(point, sizeof(point));
    fleet_need(agent_connect(&fleet.admin, &r, &err) == B_OK &&
                   remote_call(r, "GET", "/v1/pin-key", NULL, &o, &err) == B_OK,
               "the key for PINs", err.msg);
    fleet_need(b_unhex(&w, json_string_value(json_object_get(o, "pin_key"))), "the key", "none");
    for (size_t i = 0; i < CARDS; i++) {
        char ref[32];
        char path[64];
        char text[16] = {0};
        uint8_t box[16 + CRYPTO_HPKE_OVERHEAD];
        char hex[2 * sizeof(box) + 1];
        (void)snprintf(ref, sizeof(ref), "fleet-%zu", i);
        (void)snprintf(path, sizeof(path), "/v1/holders/%s/pin", ref);
        const struct crypto_hpke c = {b_rd_from("tessere-pin-set/v1", 18),
                                      b_rd_from(ref, strlen(ref))};
        memcpy(text, digits, sizeof(digits));
        fleet_need(crypto_hpke_seal(point, &c, b_rd_from(text, sizeof(text)), box), "seal", "no");
        b_hex(hex, box, sizeof(box));
        json_t *body = json_pack("{s:s}", "box", hex);
        fleet_need(remote_call(r, "POST", path, body, NULL, &err) == B_OK, path, err.msg);
        json_decref(body);
    }
    json_decref(o);
    remote_free(&r);
}

static void add_pattern(const void *p)
{
    fleet_need(pattern_count < PATTERNS, "patterns", "too many");
    memcpy(patterns[pattern_count++], p, MEMSCAN_SIZE);
}

static void read_start(const char *name, size_t skip, char *ret)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", fleet.home, name);
    FILE *f = fopen(path, "re");
    fleet_need(f != NULL && fseek(f, (long)skip, SEEK_SET) == 0 &&
                   fread(ret, 1, MEMSCAN_SIZE, f) == MEMSCAN_SIZE,
               path, "cannot be read");
    (void)fclose(f);
}

/* Masters, as the token's files hold them under its PIN. */
static void add_masters(const char *softhsm_values)
{
    char line[1200];
    size_t before = pattern_count;
    (void)snprintf(line, sizeof(line), "'%s' '%s/token/tokens' '%s/token/pin'", softhsm_values,
                   fleet.home, fleet.home);
    FILE *f = popen(line, "r"); // NOLINT(cert-env33-c)
    fleet_need(f != NULL, softhsm_values, "cannot be run");
    while (fgets(line, sizeof(line), f) != NULL) {
        uint8_t key[MEMSCAN_SIZE];
        struct b_wr w = b_wr_from(key, sizeof(key));
        line[strcspn(line, "\n")] = '\0';
        fleet_need(b_unhex(&w, line) && w.len == sizeof(key), softhsm_values, "not a key");
        add_pattern(key);
    }
    fleet_need(pclose(f) == 0 && pattern_count - before >= KEY_ROLE_COUNT, softhsm_values,
               "not all masters");
}

static void collect(const char *softhsm_values)
{
    static const uint8_t zeros[16];
    char token_pin[MEMSCAN_SIZE];
    char typed[MEMSCAN_SIZE] = {0};
    for (size_t i = 0; i < CARDS; i++)
        for (size_t k = 0; k < B_COUNT(fleet.cards[i].picc.mem.keys); k++)
            if (!b_ct_eq(fleet.cards[i].picc.mem.keys[k].bytes, zeros, sizeof(zeros)))
                add_pattern(fleet.cards[i].picc.mem.keys[k].bytes);
    read_start("token/pin", 0, token_pin);
    add_pattern(token_pin);
    memcpy(typed, digits, sizeof(digits));
    add_pattern(typed);
    add_masters(softhsm_values);
}

int main(int argc, char **argv)
{
    char dir[] = "/var/tmp/tessere-memory-XXXXXX";
    char command[128];
    char path[512];
    uint8_t control[1][MEMSCAN_SIZE];
    struct memscan_hit hit = {.where = ""};
    uint64_t bytes = 0;
    pthread_t threads[CARDS];
    int found = 0;
    fleet_need(argc == 4 && mkdtemp(dir) != NULL, "usage",
               "memory TESSERE TESSERED SOFTHSM_VALUES");
    (void)signal(SIGPIPE, SIG_IGN);
    fleet_make(&fleet, dir, argv[1], CARDS, CARDS);
    (void)snprintf(path, sizeof(path), "%s/policy.yaml", fleet.home);
    FILE *policy = fopen(path, "we");
    fleet_need(policy != NULL, path, "cannot be written");
    (void)fputs("rules:\n  - {group: \"\", factor: pin-always}\n", policy);
    (void)fclose(policy);
    fleet_start(&fleet, argv[2]);
    set_pins();
    collect(argv[3]);
    read_start("pki/ca.pem", 40, (char *)control[0]); /* the server keeps its CA as text */
    for (size_t i = 0; i < CARDS; i++)
        fleet_need(pthread_create(&threads[i], NULL, tap, (void *)(uintptr_t)i) == 0, "threads",
                   "none");
    int is_there = 0;
    for (int i = 0; i < SCANS && found == 0; i++) {
        (void)usleep(200 * 1000);
        is_there = memscan(fleet.server_pid, (const uint8_t(*)[MEMSCAN_SIZE])control, 1, &hit);
        found = is_there < 0 ? 0
                             : memscan(fleet.server_pid, (const uint8_t(*)[MEMSCAN_SIZE])patterns,
                                       pattern_count, &hit);
        bytes += hit.bytes;
    }
    atomic_store(&is_over, true);
    for (size_t i = 0; i < CARDS; i++)
        (void)pthread_join(threads[i], NULL);
    unsigned taps = atomic_load(&granted);
    (void)printf("# %zu keys and PINs searched %d times in %llu bytes in all, during %u taps with "
                 "PIN\n",
                 pattern_count, SCANS, (unsigned long long)bytes, taps);
    if (is_there < 0) {
        (void)printf(
            "ok 1 - left out: reading the memory of an undumpable process needs root\n1..1\n");
    } else {
        (void)printf("%sok 1 - the search finds what is there\n", is_there > 0 ? "" : "not ");
        (void)printf("%sok 2 - the server's memory holds no key and no PIN %s\n",
                     found == 0 ? "" : "not ", found == 0 ? "" : hit.where);
        (void)printf("%sok 3 - taps were granted meanwhile\n1..3\n", taps > 0 ? "" : "not ");
    }
    fleet_free(&fleet);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    (void)!system(command); // NOLINT(cert-env33-c)
    return is_there < 0 || (is_there > 0 && found == 0 && taps > 0) ? 0 : 1;
}
