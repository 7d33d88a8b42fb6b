#include "fleet.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "foreign.h"
#include "service/home.h"
#include "service/party.h"
#include "store/driver.h"

void fleet_need(bool is_good, const char *what, const char *why)
{
    if (is_good)
        return;
    (void)fprintf(stderr, "fleet: %s: %s\n", what, why);
    exit(1);
}

static struct b_err err;
#define MUST(call) fleet_need((call) == B_OK, #call, err.msg)

static void run(const char *const argv[])
{
    int status = -1;
    pid_t pid = fork();
    fleet_need(pid >= 0, "fork", strerror(errno));
    if (pid == 0) {
        union {
            const char *const *in;
            char *const *out;
        } args = {.in = argv};
        int null = open("/dev/null", O_WRONLY);
        (void)dup2(null, STDOUT_FILENO);
        (void)execv(argv[0], args.out);
        _exit(127);
    }
    fleet_need(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0,
               argv[0], "it failed");
}

/* --- cards -------------------------------------------------------------------------------------
 */

static void fill(void *ctx, uint8_t *p, size_t n)
{
    (void)ctx;
    crypto_random(p, n);
}

static bool apdu(void *ctx, struct b_rd capdu, struct b_wr *rapdu)
{
    df_picc_step(&((struct fleet_card *)ctx)->picc, capdu, rapdu);
    return true;
}

static void power(void *ctx)
{
    df_picc_power(&((struct fleet_card *)ctx)->picc, (struct df_random){.fill = fill});
}

struct channel *fleet_channel(struct fleet *f, size_t card)
{
    static const struct channel_card_ops ops = {.apdu = apdu, .power = power};
    struct channel *ch = NULL;
    struct fleet_card *c = &f->cards[card];
    power(c);
    MUST(channel_card_new(&ops, c, &c->seen, &ch));
    return ch;
}

static void make_card(struct fleet *f, size_t i, enum df_ev ev)
{
    struct df_personality who = {.ev = ev,
                                 .memory = 8192,
                                 .uid = {4, 0x11, 0x22, 0x33, 0x44, (uint8_t)(i >> 8), (uint8_t)i}};
    struct fleet_card *c = &f->cards[i];
    *c = (struct fleet_card){.seen = {.uid_len = 7, .reader = "in process"}};
    memcpy(c->seen.uid, who.uid, sizeof(who.uid));
    fleet_need(df_picc_blank(&c->picc, &who), "card", "no card of this kind");
}

static void enrol(struct fleet *f, struct service *sv, size_t i)
{
    struct store_badge badge;
    char ref[32];
    (void)snprintf(ref, sizeof(ref), "fleet-%zu", i);
    make_card(f, i, DF_EV2);
    struct channel *ch = fleet_channel(f, i);
    const struct service_holder holder = {.ref = ref, .name = "Fleet"};
    MUST(service_enrol(sv, ch, holder, NULL, &badge, &err));
    channel_free(&ch);
}

/* --- stations ----------------------------------------------------------------------------------
 */

static enum b_code put_station(struct service_change *c, void *ctx, struct b_err *e)
{
    struct store_station *t = ctx;
    t->created_at = t->changed_at = c->now;
    enum b_code r = store_station_put(c->store, t, e);
    return r == B_OK
               ? service_log(c, (struct service_entry){.kind = "station-add", .station = t}, e)
               : r;
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t n = strlen(text);
    fleet_need(fd >= 0 && write(fd, text, n) == (ssize_t)n && close(fd) == 0, path,
               strerror(errno));
}

/* All stations share one key: what is measured is the server, not the making of keys. */
static void add_station(struct fleet *f, struct service *sv, const struct pki_ca *ca,
                        const char *request, size_t i)
{
    static char pem[PKI_PEM_MAX];
    struct pki_cert cert;
    struct store_station t = {.group = "fleet"};
    struct agent_home *h = &f->stations[i];
    const struct pki_wanted w = {
        .kind = PKI_STATION, .name = "fleet", .now = time(NULL), .seconds = 86400};
    (void)snprintf(t.name, sizeof(t.name), "fleet-%zu", i);
    MUST(pki_issue(ca, &w, request, pem, sizeof(pem), &err));
    MUST(pki_cert_read(pem, &cert, &err));
    memcpy(t.fingerprint, cert.fingerprint, sizeof(t.fingerprint));
    MUST(service_change(sv, put_station, &t, &err));
    (void)snprintf(h->cert, sizeof(h->cert), "%s/fleet/%zu.pem", f->home, i);
    (void)snprintf(h->key, sizeof(h->key), "%s/fleet/key", f->home);
    (void)snprintf(h->ca, sizeof(h->ca), "%s/pki/ca.pem", f->home);
    write_file(h->cert, pem);
}

static void open_service(const struct fleet *f, const char *tessere, struct service *sv)
{
    char program[512];
    static struct service_config conf;
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/tessere.yaml", f->home);
    MUST(service_config_read(path, &conf, &err));
    (void)snprintf(path, sizeof(path), "%s/store.db", f->home);
    MUST(service_home_open_store(path, false, false, sv, &err));
    MUST(service_home_load(f->home, sv, &err));
    /* in the tree that built it */
    struct b_wr w = b_wr_from(program, sizeof(program));
    const char *slash = strrchr(tessere, '/');
    b_wr_bytes(&w, tessere, slash != NULL ? (size_t)(slash - tessere) : 0);
    b_wr_bytes(&w, "/../vault/tessere-vault", sizeof("/../vault/tessere-vault"));
    fleet_need(b_wr_ok(&w), tessere, "too long a path");
    const struct vault_config config = {.program = access(program, X_OK) == 0 ? program : NULL,
                                        .token_uri = conf.token_uri,
                                        .softhsm_conf = conf.softhsm_conf,
                                        .establishment = conf.finess,
                                        .pin_file = conf.pin_file,
                                        .pin_fd = -1,
                                        .signs_journal = true};
    MUST(vault_spawn(&config, &sv->vault, &err));
    sv->asker = (struct service_asker){.actor = "fleet", .request = ""};
}

static void close_service(struct service *sv)
{
    service_writer_close(&sv->writer);
    vault_free(&sv->vault);
    store_free(&sv->store);
}

void fleet_make(struct fleet *f, const char *dir, const char *tessere, size_t cards,
                size_t stations)
{
    static struct service sv;
    static char request[PKI_PEM_MAX];
    char port[8];
    char path[512];
    char second[512];
    struct pki_key *key = NULL;
    struct pki_ca *ca = NULL;
    uint16_t random = 0;
    crypto_random(&random, sizeof(random));
    *f = (struct fleet){
        .server_pid = -1, .server_log = -1, .card_count = cards, .station_count = stations};
    (void)snprintf(f->home, sizeof(f->home), "%s/home", dir);
    (void)snprintf(port, sizeof(port), "%u", 20000u + random % 12000u);
    (void)snprintf(f->url, sizeof(f->url), "https://localhost:%s", port);
    (void)snprintf(path, sizeof(path), "%s/admin", dir);
    run((const char *const[]){tessere, "--home", f->home, "init", "--finess", "750712184", NULL});
    run((const char *const[]){tessere, "--home", f->home, "server", "setup", "--hosts",
                              "DNS:localhost", "--address", "127.0.0.1", "--port", port, NULL});
    run((const char *const[]){tessere, "--home", f->home, "person", "add", "admin", "--roles",
                              "administrator,operator,auditor", "--out", path, NULL});
    (void)snprintf(f->admin.cert, sizeof(f->admin.cert), "%s/admin.pem", dir);
    (void)snprintf(f->admin.key, sizeof(f->admin.key), "%s/admin.key", dir);
    (void)snprintf(f->admin.ca, sizeof(f->admin.ca), "%s/pki/ca.pem", f->home);
    (void)snprintf(f->admin.url, sizeof(f->admin.url), "%s", f->url);
    (void)snprintf(path, sizeof(path), "%s/server.yaml", f->home);
    FILE *config = fopen(path, "ae");
    fleet_need(config != NULL, path, strerror(errno));
    (void)fputs("connections-per-address: 4000\nrequests-per-second: 1000000\n", config);
    (void)fclose(config);
    f->cards = calloc(cards, sizeof(*f->cards));
    f->stations = calloc(stations, sizeof(*f->stations));
    fleet_need(f->cards != NULL && f->stations != NULL, "memory", "none");
    open_service(f, tessere, &sv);
    for (size_t i = 0; i < cards; i++)
        enrol(f, &sv, i);
    (void)snprintf(path, sizeof(path), "%s/fleet", f->home);
    fleet_need(mkdir(path, 0700) == 0, path, strerror(errno));
    (void)snprintf(path, sizeof(path), "%s/fleet/key", f->home);
    MUST(pki_key_generate(&key, &err));
    MUST(pki_key_write(key, path, &err));
    MUST(pki_request_make(key, "fleet", request, sizeof(request), &err));
    (void)snprintf(path, sizeof(path), "%s/pki/ca.pem", f->home);
    (void)snprintf(second, sizeof(second), "%s/pki/ca.key", f->home);
    MUST(pki_ca_open(path, second, &ca, &err));
    for (size_t i = 0; i < stations; i++) {
        add_station(f, &sv, ca, request, i);
        (void)snprintf(f->stations[i].url, sizeof(f->stations[i].url), "%s", f->url);
    }
    pki_ca_free(&ca);
    pki_key_free(&key);
    close_service(&sv);
}

void fleet_make_foreign(struct fleet *f, const char *tessere, size_t cards)
{
    enum { AID = 0xF585C1 };
    static const struct df_key key = {
        .type = DF_KEY_AES, .bytes = {0xA0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};
    const struct df_key keys[FOREIGN_KEYS] = {key, key, key};
    char path[512];
    char uid[15];
    free(f->cards);
    f->card_count = cards;
    f->cards = calloc(cards, sizeof(*f->cards));
    fleet_need(f->cards != NULL, "memory", "none");
    (void)snprintf(path, sizeof(path), "%s/fleet/old.yaml", f->home);
    write_file(
        path,
        "layouts:\n  - {id: old, application: \"F585C1\", crypto: aes, keys: 3, proof-key: 1, "
        "diversification: shared, old-application: delete}\n");
    (void)snprintf(path, sizeof(path), "%s/fleet/old.keys", f->home);
    write_file(path, "A00102030405060708090A0B0C0D0E0F\n");
    (void)snprintf(path, sizeof(path), "%s/server.yaml", f->home);
    FILE *config = fopen(path, "ae");
    fleet_need(config != NULL, path, strerror(errno));
    (void)fputs("takeover: {fleet: fleet/old.yaml, keys-file: fleet/old.keys}\n", config);
    (void)fclose(config);
    (void)snprintf(path, sizeof(path), "%s/fleet/list.csv", f->home);
    FILE *list = fopen(path, "we");
    fleet_need(list != NULL, path, strerror(errno));
    (void)fputs("uid,ref,name\n", list);
    for (size_t i = 0; i < cards; i++) {
        make_card(f, i, (enum df_ev)((int)DF_EV1 + (int)(i % 3)));
        foreign_application(&f->cards[i].picc, (struct df_random){.fill = fill}, AID, keys);
        foreign_card_key(&f->cards[i].picc, &key);
        b_hex(uid, f->cards[i].seen.uid, 7);
        (void)fprintf(list, "%s,old-%zu,Holder %zu\n", uid, i, i);
    }
    (void)fclose(list);
    run((const char *const[]){tessere, "--home", f->home, "fleet", "import", path, NULL});
}

void fleet_fill(const struct fleet *f, size_t badges)
{
    char path[512];
    char sql[1024];
    struct driver *d = NULL;
    (void)snprintf(path, sizeof(path), "%s/store.db", f->home);
    MUST(driver_open(path, false, &d, &err));
    (void)snprintf(
        sql, sizeof(sql),
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %zu)"
        " INSERT OR IGNORE INTO badge (uid, state, holder_ref, holder_name, profile_id, "
        "profile_revision, ev,"
        " generations, reason, created_at, changed_at, tapped_at, salt) SELECT"
        " CAST(printf('%%07d', i) AS BLOB), 1, 'full-' || i, 'Holder number ' || i, 'hospital', 1,"
        " 2, x'0101010101', '', 0, 0, 0, x'00' FROM n",
        badges);
    MUST(driver_exec(d, sql, &err));
    driver_close(&d);
}

/* --- the server --------------------------------------------------------------------------------
 */

void fleet_start(struct fleet *f, const char *tessered)
{
    enum { WAIT_MS = 20000 };
    int ends[2];
    char line[512] = "";
    size_t used = 0;
    fleet_need(pipe2(ends, O_CLOEXEC) == 0, "pipe", strerror(errno));
    f->server_pid = fork();
    fleet_need(f->server_pid >= 0, "fork", strerror(errno));
    if (f->server_pid == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        (void)execl(tessered, "tessered", "--home", f->home, (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    struct pollfd wait = {.fd = ends[0], .events = POLLIN};
    while (strstr(line, "ready") == NULL) {
        ssize_t n =
            poll(&wait, 1, WAIT_MS) == 1 ? read(ends[0], line + used, sizeof(line) - 1 - used) : 0;
        fleet_need(n > 0, "tessered did not start", line);
        used += (size_t)n;
        line[used] = '\0';
    }
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    f->server_log = ends[0];
}

void fleet_stop(struct fleet *f, bool kills)
{
    if (f->server_pid < 0)
        return;
    (void)kill(f->server_pid, kills ? SIGKILL : SIGTERM);
    (void)waitpid(f->server_pid, NULL, 0);
    (void)close(f->server_log);
    f->server_pid = f->server_log = -1;
}

int fleet_child(int of, const char *wanted)
{
    DIR *dir = opendir("/proc");
    int found = -1;
    const struct dirent *e = NULL;
    while (dir != NULL && found < 0 && (e = readdir(dir)) != NULL) {
        char path[300];
        char line[256] = "";
        int pid = atoi(e->d_name);
        int parent = 0;
        char name[64];
        if (pid <= 0)
            continue;
        (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        FILE *stat = fopen(path, "re");
        if (stat == NULL)
            continue;
        if (fgets(line, sizeof(line), stat) != NULL &&
            sscanf(line, "%*d (%63[^)]) %*c %d", name, &parent) == 2 && parent == of &&
            strcmp(name, wanted) == 0)
            found = pid;
        (void)fclose(stat);
    }
    if (dir != NULL)
        (void)closedir(dir);
    return found;
}

int fleet_vault_pid(const struct fleet *f)
{
    return fleet_child(f->server_pid, "tessere-vault");
}

void fleet_free(struct fleet *f)
{
    fleet_stop(f, false);
    free(f->cards);
    free(f->stations);
    f->cards = NULL;
    f->stations = NULL;
}
