#include "fake_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_keyring.h"
#include "service/home.h"
#include "vault/identity.h"
#include "vault/lane.h"
#include "vault/vaultd.h"

static struct http_server server;
static struct vaultd vaultd;
static struct fake_keyring keyring;
static struct b_err err;
static char path[64];

static uint64_t now_us(void)
{
    return http_now_ms() * 1000;
}

static void fill(void *ctx, uint8_t *p, size_t n)
{
    (void)ctx;
    memset(p, 0x5A, n);
}

/* The vault ends whoever breaks its protocol: whatever the server is sent, it must not. */
static void *serve_vault(void *fd)
{
    static uint8_t request[VAULT_MESSAGE_MAX];
    static uint8_t answer[VAULT_MESSAGE_MAX];
    for (ssize_t n; (n = recv(*(int *)fd, request, sizeof(request), 0)) > 0;) {
        struct b_wr w = b_wr_from(answer, sizeof(answer));
        b_check(vaultd_handle(&vaultd, b_rd_from(request, (size_t)n), &w));
        b_check(send(*(int *)fd, w.p, w.len, MSG_NOSIGNAL) == (ssize_t)w.len);
    }
    return NULL;
}

static struct vault *connect_vault(void)
{
    static int fds[2];
    pthread_t thread;
    struct vault *v = calloc(1, sizeof(*v) + sizeof(v->lanes[0]));
    b_check(v != NULL && b_secret_init(4 << 20, false, NULL) == B_OK);
    vaultd_init(&vaultd, fake_keyring(&keyring), (struct df_random){.fill = fill}, now_us);
    vaultd.own.phase = VAULT_PHASE_READY;
    (void)snprintf(vaultd.own.config.establishment, sizeof(vaultd.own.config.establishment),
                   "750712184");
    b_check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0 &&
            pthread_mutex_init(&v->lock, NULL) == 0 && pthread_cond_init(&v->freed, NULL) == 0 &&
            pthread_create(&thread, NULL, serve_vault, &fds[1]) == 0 &&
            pthread_detach(thread) == 0);
    v->lanes[0] = (struct lane){.vault = v, .fd = fds[0]};
    v->free = &v->lanes[0];
    v->process = (struct vault_process){.pid = -1, .count = 1};
    return v;
}

static void drop_store(void)
{
    char command[96];
    (void)snprintf(command, sizeof(command), "rm -f %s*", path);
    (void)!system(command); // NOLINT(cert-env33-c)
}

static void set_profile(struct profile *p)
{
    *p = (struct profile){.id = "fake",
                          .revision = 1,
                          .card_settings = 0x09,
                          .aid = 0xF51234,
                          .app_settings = 0xEB,
                          .key_count = 4,
                          .diversification = "uid-aid-system",
                          .system = "HOPITAL",
                          .system_len = 7};
    for (uint8_t i = 0; i < p->key_count; i++)
        p->keys[i] = (struct profile_key){.no = i, .role = (enum key_role)(KEY_ROLE_APP + i)};
    b_check(profile_check(p, &err) == B_OK);
}

static enum b_code add_parties(struct service_change *c, void *ctx, struct b_err *e)
{
    (void)ctx;
    struct store_station station = {.name = "ward-1", .group = "ward", .state = STORE_PARTY_ACTIVE};
    struct store_person person = {
        .name = "alice", .roles = HTTP_PEOPLE, .state = STORE_PARTY_ACTIVE};
    struct store_badge badge = {.uid = {4, 1, 2, 3, 4, 5, 6}, .state = STORE_BADGE_ACTIVE};
    struct store_holder holder = {.state = STORE_PARTY_ACTIVE};
    struct store_token token = {.name = "directory",
                                .rights = STORE_RIGHT_READ | STORE_RIGHT_WRITE};
    crypto_sha256(FAKE_TOKEN, strlen(FAKE_TOKEN), token.digest);
    memset(station.fingerprint, FAKE_STATION, sizeof(station.fingerprint));
    memset(person.fingerprint, FAKE_PERSON, sizeof(person.fingerprint));
    station.cert_expires = person.cert_expires = INT64_MAX;
    (void)snprintf(badge.holder_ref, sizeof(badge.holder_ref), "10001234567");
    (void)snprintf(badge.holder_name, sizeof(badge.holder_name), "Anne Martin");
    (void)snprintf(holder.ref, sizeof(holder.ref), "10001234567");
    enum b_code r = store_station_put(c->store, &station, e);
    if (r == B_OK)
        r = store_person_put(c->store, &person, e);
    if (r == B_OK)
        r = store_holder_put(c->store, &holder, e);
    if (r == B_OK)
        r = store_token_put(c->store, &token, e);
    return r == B_OK ? store_badge_put(c->store, &badge, e) : r;
}

static void make(void)
{
    struct service *sv = &server.service;
    struct store_generation g;
    bool has_memory = access("/dev/shm", W_OK) == 0; /* thousands of commits a second */
    (void)snprintf(path, sizeof(path), "%s/tessere-fuzz-%d.db", has_memory ? "/dev/shm" : "/tmp",
                   (int)getpid());
    drop_store();
    b_check(atexit(drop_store) == 0);
    b_check(service_home_open_store(path, true, false, sv, &err) == B_OK);
    sv->vault = connect_vault();
    sv->asker = (struct service_asker){.actor = "server", .request = ""};
    (void)snprintf(sv->establishment.finess, sizeof(sv->establishment.finess), "750712184");
    set_profile(&sv->profile);
    for (size_t role = 0; role < KEY_ROLE_COUNT; role++)
        b_check(service_rotate(sv, (enum key_role)role, &g, &err) == B_OK);
    b_check(service_change(sv, add_parties, NULL, &err) == B_OK);
    /* What only secret memory points to, where the leak checker does not look. */
    static const struct crypto_es256 *assertion;
    const struct vaultd_identity *id = NULL;
    b_check(vaultd_identity(&vaultd, &id, &err) == B_OK);
    assertion = id->assertion;
    b_check(assertion != NULL);
    for (size_t i = 0; i < HTTP_READERS; i++)
        b_check(store_open(path, false, &server.readers[i], &err) == B_OK);
    b_check(pthread_mutex_init(&server.readers_lock, NULL) == 0 &&
            pthread_cond_init(&server.reader_freed, NULL) == 0);
    server.config.requests_per_second = UINT32_MAX;
    server.taps = service_taps_new();
    b_check(server.taps != NULL);
}

struct http_server *fake_server(void)
{
    if (server.taps == NULL)
        make();
    service_desk_free(&server.desk);
    server.desk = service_desk_new(path);
    b_check(server.desk != NULL);
    return &server;
}

struct http_peer *fake_peer(enum fake_caller who)
{
    static struct http_peer peers[FAKE_CALLER_COUNT];
    struct http_peer *p = &peers[who];
    *p = (struct http_peer){.fd = -1, .has_certificate = who != FAKE_NOBODY, .is_checked = true};
    memset(p->fingerprint, (int)who, sizeof(p->fingerprint));
    return p;
}
