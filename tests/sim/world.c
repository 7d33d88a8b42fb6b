/* What there is: chips, masters, store and server; dying and starting again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/home.h"
#include "sim.h"
#include "vault/lane.h"
#include "vault/stored.h"

struct sim sim;

static struct vaultd vaultd;
static struct vault *vault;
static char path[64];
static struct b_err err;

/* --- the token ---------------------------------------------------------------------------------
 */

static enum b_code absent(struct b_err *e)
{
    return b_err_set(e, B_E_TOKEN_ABSENT, 0, "simulated");
}

static enum b_code token_info(void *ctx, const struct vaultd_config *config,
                              struct custody_token *ret, struct b_err *e)
{
    (void)ctx;
    (void)config;
    *ret = (struct custody_token){.label = "simulated", .method = CUSTODY_CMAC};
    return sim_before(SIM_TOKEN) ? B_OK : absent(e);
}

static struct custody_key key_of(enum key_role role, uint8_t generation)
{
    struct custody_key k = {.role = role, .generation = generation, .is_safe = true};
    memcpy(k.kcv.method, "CMAC-0", 7);
    return k;
}

static enum b_code token_generate(void *ctx, const struct vaultd_config *config, enum key_role role,
                                  uint8_t generation, struct custody_key *ret, struct b_err *e)
{
    (void)ctx;
    (void)config;
    if (!sim_before(SIM_TOKEN))
        return absent(e);
    if (sim.has_key[role][generation])
        return b_err_set(e, B_E_KEY_EXISTS, 0, "simulated");
    sim.has_key[role][generation] = true;
    *ret = key_of(role, generation);
    return sim_after(SIM_TOKEN) ? B_OK : absent(e);
}

static enum b_code token_list(void *ctx, const struct vaultd_config *config,
                              struct custody_key *keys, size_t cap, size_t *ret_count,
                              struct b_err *e)
{
    (void)ctx;
    (void)config;
    size_t n = 0;
    if (!sim_before(SIM_TOKEN))
        return absent(e);
    for (enum key_role role = 0; role < KEY_ROLE_ALL; role++)
        for (unsigned g = 1; g <= KEY_GENERATION_MAX && n < cap; g++)
            if (sim.has_key[role][g])
                keys[n++] = key_of(role, (uint8_t)g);
    *ret_count = n;
    return B_OK;
}

static enum b_code token_derive(void *ctx, const struct vaultd_config *config,
                                const struct custody_key *which, struct b_rd input, uint8_t *out,
                                struct b_err *e)
{
    (void)ctx;
    (void)config;
    if (!sim_before(SIM_TOKEN))
        return absent(e);
    if (!sim.has_key[which->role][which->generation])
        return b_err_set(e, B_E_KEY_MISSING, 0, "simulated");
    return desk_derive(which->role, which->generation, input, out, e);
}

static enum b_code token_anchor_get(void *ctx, const struct vaultd_config *config, const char *name,
                                    struct b_wr *out, struct b_err *e)
{
    (void)ctx;
    (void)config;
    (void)out;
    return sim_before(SIM_TOKEN) ? b_err_set(e, B_E_NOT_FOUND, 0, "%s", name) : absent(e);
}

/* --- the vault ---------------------------------------------------------------------------------
 */

static void fill(void *ctx, uint8_t *p, size_t n)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)sim_draw(256);
}

static uint64_t now_us(void)
{
    return (uint64_t)sim.now_us;
}

static void start_vault(void)
{
    static const struct vaultd_keyring keyring = {.token = token_info,
                                                  .generate = token_generate,
                                                  .list = token_list,
                                                  .derive = token_derive,
                                                  .anchor_get = token_anchor_get};
    vaultd_init(&vaultd, keyring, (struct df_random){.fill = fill}, now_us);
    vaultd.own.phase = VAULT_PHASE_READY;
    (void)snprintf(vaultd.own.config.establishment, sizeof(vaultd.own.config.establishment),
                   "750712184");
    vaultd.own.config.stored = sim.stored;
    atomic_store(&vault->is_gone, false);
}

bool sim_handle(struct b_rd request, struct b_wr *answer)
{
    return vaultd_handle(&vaultd, request, answer);
}

static void make_vault(void)
{
    vault = calloc(1, sizeof(*vault) + sizeof(vault->lanes[0]));
    b_check(vault != NULL && pthread_mutex_init(&vault->lock, NULL) == 0 &&
            pthread_cond_init(&vault->freed, NULL) == 0);
    vault->lanes[0] = (struct lane){.vault = vault, .fd = SIM_VAULT_FD};
    vault->free = &vault->lanes[0];
    vault->process = (struct vault_process){.pid = -1, .count = 1, .status = -1};
    start_vault();
}

/* --- the server --------------------------------------------------------------------------------
 */

static enum b_code add_station(struct service_change *c, void *ctx, struct b_err *e)
{
    struct store_station station = {.name = "ward-1", .group = "ward", .cert_expires = INT64_MAX};
    (void)ctx;
    memset(station.fingerprint, 0x51, sizeof(station.fingerprint));
    enum b_code r = store_station_put(c->store, &station, e);
    return r == B_OK
               ? service_log(c, (struct service_entry){.kind = "station", .station = &station}, e)
               : r;
}

static void make_server(const struct sim_kind *kind)
{
    struct service *sv = sim.sv = &sim.server.service;
    struct store_generation g;
    b_check(service_home_open_store(path, true, false, sv, &err) == B_OK);
    sv->vault = vault;
    sv->asker = (struct service_asker){.actor = "desk", .request = ""};
    (void)snprintf(sv->establishment.finess, sizeof(sv->establishment.finess), "750712184");
    desk_profile(&sv->profile, kind->is_guest, kind->diversification);
    for (enum key_role role = 0; role < KEY_ROLE_COUNT; role++)
        b_check(service_rotate(sv, role, &g, &err) == B_OK);
    b_check(service_change(sv, add_station, NULL, &err) == B_OK);
    struct store *reader = NULL;
    b_check(store_open(path, false, &reader, &err) == B_OK);
    sim_lend(reader);
    b_check(pthread_mutex_init(&sim.server.readers_lock, NULL) == 0 &&
            pthread_cond_init(&sim.server.reader_freed, NULL) == 0);
    sim.server.requests_per_second = UINT32_MAX;
    sim.server.taps = service_taps_new();
    sim.server.desk = service_desk_new(path);
    b_check(sim.server.taps != NULL && sim.server.desk != NULL);
}

static enum b_code judge_derives(void *ctx, const struct vaultd_config *config,
                                 const struct custody_key *which, struct b_rd input, uint8_t *out,
                                 struct b_err *e)
{
    (void)ctx;
    (void)config;
    return desk_derive(which->role, which->generation, input, out, e);
}

/* What the store has of a stored key, opened by the masters as they are, past all that may fail. */
static bool kept(const struct desk_stored *name, uint8_t key[static 16])
{
    static struct vaultd judge = {.keyring = {.derive = judge_derives}};
    bool has_uid = crypto_div_uses_uid(crypto_div_find(sim.sv->profile.diversification));
    struct store_stored row = {.role = name->role,
                               .generation = name->generation,
                               .badge = {has_uid ? 'u' : 's'},
                               .badge_len = (uint8_t)(1 + name->who_len)};
    memcpy(row.badge + 1, name->who, name->who_len);
    if (store_stored_get(sim.sv->store, &row, &err) != B_OK)
        return false;
    struct vault_stored k = {
        .role = row.role, .generation = row.generation, .badge_len = row.badge_len};
    memcpy(k.badge, row.badge, sizeof(k.badge));
    memcpy(k.wrapped, row.wrapped, sizeof(k.wrapped));
    judge.shared = &judge.own;
    return vaultd_stored_open(&judge, &k, key, &err) == B_OK;
}

void sim_new_card(size_t i, enum df_ev ev)
{
    struct sim_card *c = &sim.cards[i];
    struct desk *d = c->desk;
    *c = (struct sim_card){.desk = d};
    if (d == NULL)
        c->desk = d = desk_new(ev, sim.sv->profile.is_guest, sim.sv->profile.diversification);
    d->stored = sim.stored;
    d->kept = kept;
    struct df_personality who = {.ev = ev, .memory = 8192, .uid = {0x04, (uint8_t)(i + 1)}};
    unsigned number = ++sim.chips;
    who.uid[3] = (uint8_t)(number >> 16);
    who.uid[4] = (uint8_t)(number >> 8);
    who.uid[5] = (uint8_t)number;
    b_check(df_picc_blank(&d->picc, &who));
    memset(&d->before, 0, sizeof(d->before)); /* nobody's but the factory's */
}

static void drop_store(void)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    char name[80];
    for (size_t i = 0; i < B_COUNT(ends); i++) {
        (void)snprintf(name, sizeof(name), "%s%s", path, ends[i]);
        (void)unlink(name);
    }
}

void sim_make(uint64_t seed, const struct sim_kind *kind)
{
    bool has_memory = access("/dev/shm", W_OK) == 0; /* thousands of commits a second */
    sim = (struct sim){.random = seed, .now_us = INT64_C(1800000000000000), .fleet = kind->fleet};
    (void)sim_draw(2);
    sim.has_key[KEY_ROLE_SEAL][1] = true;
    b_check(key_stay_read(kind->stored, &sim.stored));
    (void)snprintf(path, sizeof(path), "%s/tessere-sim-%d.db", has_memory ? "/dev/shm" : "/tmp",
                   (int)getpid());
    drop_store();
    b_check(b_secret_init(8 << 20, false, &err) == B_OK);
    make_vault();
    make_server(kind);
    for (size_t i = 0; i < SIM_CARDS; i++)
        sim_new_card(i, (enum df_ev)(DF_EV1 + i % 3));
}

void sim_drop(void)
{
    if (!sim.is_joined)
        store_free(&sim.server.readers[0]);
    for (size_t i = 0; i < SIM_CARDS; i++)
        desk_drop(sim.cards[i].desk);
    service_taps_free(&sim.server.taps);
    service_desk_free(&sim.server.desk);
    service_writer_close(&sim.sv->writer);
    if (!sim.is_joined) /* else it was the writer's */
        store_free(&sim.sv->store);
    vaultd_drop(&vaultd);
    free(vault);
    drop_store();
}

/* The store's file is what lasts; the writer finds its edge anew by itself. */
void sim_restart(void)
{
    if (sim.is_dead || vault_is_gone(vault)) {
        vaultd_drop(&vaultd);
        start_vault();
    }
    if (!sim.is_dead)
        return;
    if (sim.taps != sim.taps_before) { /* else they are as new */
        service_taps_free(&sim.server.taps);
        sim.server.taps = service_taps_new();
        b_check(sim.server.taps != NULL);
        sim.taps_before = sim.taps;
    }
    sim.deaths++;
    sim.is_dead = false;
}

void sim_restart_all(void)
{
    sim.is_dead = true;
    sim_restart();
    sim.deaths--;
}

/* --- the field ---------------------------------------------------------------------------------
 */

/* A frame that is torn leaves the card as it was, or as the whole frame leaves it. */
static void tear_bytes(const struct df_picc *before, const struct df_picc *after, struct b_rd capdu)
{
    static struct df_picc torn;
    uint8_t rx[DF_RAPDU_MAX];
    uint64_t random = sim.random;
    for (size_t n = 0; n < capdu.left; n++) {
        struct b_wr ignored = b_wr_from(rx, sizeof(rx));
        torn = *before;
        df_picc_step(&torn, b_rd_from(capdu.p, n), &ignored);
        bool is_start = memcmp(&torn.mem, &before->mem, sizeof(torn.mem)) == 0;
        bool is_end = memcmp(&torn.mem, &after->mem, sizeof(torn.mem)) == 0;
        sim.bytes_none += is_start;
        sim.bytes_all += is_end && !is_start;
        if (!is_start && !is_end)
            sim_fail("%zu bytes of a frame of %zu do what neither none nor all of them do", n,
                     capdu.left);
    }
    sim.random = random;
}

static bool on_apdu(void *ctx, struct b_rd capdu, struct b_wr *rapdu)
{
    struct sim_card *c = ctx;
    if (!sim_before(SIM_FIELD))
        return false;
    static struct df_picc before;
    sim.now_us += 4000;
    if (sim.tears_bytes)
        before = c->desk->picc;
    df_picc_step(&c->desk->picc, capdu, rapdu);
    sim.lasting += df_picc_is_dirty(&c->desk->picc);
    df_picc_clean(&c->desk->picc);
    if (sim.tears_bytes)
        tear_bytes(&before, &c->desk->picc, capdu);
    return sim_after(SIM_FIELD);
}

static void on_power(void *ctx)
{
    struct sim_card *c = ctx;
    df_picc_power(&c->desk->picc, (struct df_random){.fill = fill});
}

struct channel *sim_channel(size_t card)
{
    static const struct channel_card_ops ops = {on_apdu, on_power};
    struct sim_card *c = &sim.cards[card];
    struct channel_card seen = {.uid_len = 0};
    struct channel *ch = NULL;
    on_power(c);
    seen.uid_len = (uint8_t)df_picc_shown_uid(&c->desk->picc, seen.uid);
    b_check(channel_card_new(&ops, c, &seen, &ch) == B_OK);
    return ch;
}
