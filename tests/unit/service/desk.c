#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "desk.h"
#include "place.h"

struct b_err desk_err;

void desk_expect(enum b_code r, enum b_code expected)
{
    if (r != expected)
        fail_msg("%s instead of %s: %s", b_code_name(r), b_code_name(expected), desk_err.msg);
}

/* --- the establishment -------------------------------------------------------------------------
 */

int desk_make_place(void **state)
{
    return place_make(state);
}

int desk_drop_place(void **state)
{
    return place_drop(state);
}

static void set_profile(struct profile *p, const char *diversification)
{
    bool has_serial = strcmp(diversification, "serial") == 0;
    *p = (struct profile){.id = "test",
                          .revision = 1,
                          .card_settings = 0x09,
                          .wants_random_uid = has_serial,
                          .aid = 0xF51234,
                          .app_settings = 0xEB,
                          .key_count = 4,
                          .system = "HOPITAL",
                          .system_len = 7,
                          .file_count = has_serial ? 2 : 1};
    (void)snprintf(p->diversification, sizeof(p->diversification), "%s", diversification);
    for (uint8_t i = 0; i < p->key_count; i++)
        p->keys[i] = (struct profile_key){.no = i, .role = (enum key_role)(KEY_ROLE_APP + i)};
    p->files[0] = (struct profile_file){
        .no = 1,
        .content = PROFILE_CONTENT_HOLDER,
        .settings = {.type = DF_FILE_STANDARD,
                     .option = DF_COMM_FULL,
                     .comm = DF_COMM_FULL,
                     .rights = {2, 3, DF_RIGHT_NEVER, 0},
                     .size = 32},
    };
    p->files[1] = (struct profile_file){
        .no = 2,
        .content = PROFILE_CONTENT_SERIAL,
        .settings = {.type = DF_FILE_STANDARD,
                     .rights = {DF_RIGHT_FREE, 3, DF_RIGHT_NEVER, 0},
                     .size = CRYPTO_SERIAL_MAX},
    };
    MUST(profile_check(p, &desk_err));
}

void desk_reopen(struct desk *d, const char *name, const char *stored, const char *diversification)
{
    *d = (struct desk){0};
    (void)snprintf(d->db, sizeof(d->db), "%s/%s.db", place_dir, name);
    struct store *writes = NULL;
    MUST(store_open(d->db, true, &d->sv.store, &desk_err));
    MUST(store_open(d->db, false, &writes, &desk_err));
    MUST(service_writer_open(writes, false, &d->sv.writer, &desk_err));
    d->sv.asker = (struct service_asker){.actor = "desk", .request = ""};
    (void)snprintf(d->sv.establishment.finess, sizeof(d->sv.establishment.finess), "%s", name);
    set_profile(&d->sv.profile, diversification);
    struct vault_config config = place_config();
    config.establishment = d->sv.establishment.finess;
    assert_true(key_stay_read(stored, &config.stored));
    d->sv.vault = place_spawn(&config);
}

void desk_open_storing(struct desk *d, const char *name, const char *stored,
                       const char *diversification)
{
    desk_reopen(d, name, stored, diversification);
    for (size_t role = 0; role < KEY_ROLE_COUNT; role++) {
        struct store_generation g;
        MUST(service_rotate(&d->sv, (enum key_role)role, &g, &desk_err));
        assert_int_equal(g.generation, 1);
    }
}

void desk_give_thread(struct desk *d)
{
    struct store *writes = NULL;
    service_writer_close(&d->sv.writer);
    MUST(store_open(d->db, false, &writes, &desk_err));
    MUST(service_writer_open(writes, true, &d->sv.writer, &desk_err));
}

void desk_open(struct desk *d, const char *name)
{
    desk_open_storing(d, name, "", "uid-aid-system");
}

void desk_close(struct desk *d)
{
    service_writer_close(&d->sv.writer);
    store_free(&d->sv.store);
    vault_free(&d->sv.vault);
}

struct compromised {
    enum key_role role;
    uint8_t generation;
};

static enum b_code note_compromised(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct compromised *k = ctx;
    struct store_generation gs[16];
    size_t count = 0;
    MUST(store_generation_list(c->store, gs, B_COUNT(gs), &count, err));
    for (size_t i = 0; i < count; i++) {
        if (gs[i].role != k->role || gs[i].generation != k->generation)
            continue;
        gs[i].state = STORE_GENERATION_COMPROMISED;
        MUST(store_generation_put(c->store, &gs[i], err));
        return service_log(
            c, (struct service_entry){.kind = "key-compromised", .generation = &gs[i]}, err);
    }
    return B_E_INTERNAL;
}

void desk_compromise(struct desk *d, enum key_role role, uint8_t generation)
{
    struct compromised k = {role, generation};
    MUST(service_change(&d->sv, note_compromised, &k, &desk_err));
}

/* --- the card ----------------------------------------------------------------------------------
 */

static void fill(void *ctx, uint8_t *p, size_t n)
{
    (void)ctx;
    crypto_random(p, n);
}

static bool apdu(void *ctx, struct b_rd capdu, struct b_wr *rapdu)
{
    df_picc_step(&((struct desk_card *)ctx)->picc, capdu, rapdu);
    return true;
}

static void power(void *ctx)
{
    df_picc_power(&((struct desk_card *)ctx)->picc, (struct df_random){.fill = fill});
}

void desk_card_new(struct desk_card *c, enum df_ev ev, uint8_t last_uid_byte)
{
    struct df_personality who = {
        .ev = ev, .memory = 8192, .uid = {4, 0x11, 0x22, 0x33, 0x44, 0x55, last_uid_byte}};
    *c = (struct desk_card){.seen = {.uid_len = 7, .reader = "in process"}};
    memcpy(c->seen.uid, who.uid, sizeof(who.uid));
    assert_true(df_picc_blank(&c->picc, &who));
}

struct channel *desk_channel(struct desk_card *c, struct channel_fault fault)
{
    static const struct channel_card_ops ops = {.apdu = apdu, .power = power};
    struct channel *ch = NULL;
    power(c);
    MUST(channel_card_new(&ops, c, &c->seen, &ch));
    if (fault.at > 0)
        MUST(channel_fault_new(ch, fault, &ch));
    return ch;
}

bool desk_card_is_blank(const struct desk_card *c)
{
    static const uint8_t zeros[16];
    for (size_t i = 0; i < PICC_APPS; i++)
        if (c->picc.mem.apps[i].is_used)
            return false;
    return memcmp(c->picc.mem.master.bytes, zeros, sizeof(zeros)) == 0;
}

/* --- operations --------------------------------------------------------------------------------
 */

enum b_code desk_enrol(struct desk *d, struct desk_card *c, struct store_badge *ret)
{
    struct channel *ch = desk_channel(c, (struct channel_fault){0});
    struct service_holder holder = {.ref = "10001234567", .name = "Anne Martin"};
    enum b_code r = service_enrol(&d->sv, ch, holder, NULL, ret, &desk_err);
    channel_free(&ch);
    return r;
}

enum b_code desk_tap(struct desk *d, struct desk_card *c, struct store_badge *ret)
{
    struct channel *ch = desk_channel(c, (struct channel_fault){0});
    struct profile_tap tap;
    struct service_legs legs;
    enum b_code r = service_tap(&d->sv, ch, ret, &tap, &legs, &desk_err);
    channel_free(&ch);
    return r;
}

enum b_code desk_repair(struct desk *d, struct desk_card *c, struct store_badge *ret)
{
    struct channel *ch = desk_channel(c, (struct channel_fault){0});
    enum b_code r = service_repair(&d->sv, ch, NULL, ret, &desk_err);
    channel_free(&ch);
    return r;
}

enum b_code desk_blank(struct desk *d, struct desk_card *c, struct store_badge *ret)
{
    struct channel *ch = desk_channel(c, (struct channel_fault){0});
    enum b_code r = service_blank(&d->sv, ch, NULL, ret, &desk_err);
    channel_free(&ch);
    return r;
}

static char last[96];
static bool see(void *ctx, const struct store_entry *e)
{
    (void)ctx;
    json_t *body = json_loadb(e->body, e->body_len, 0, NULL);
    (void)snprintf(last, sizeof(last), "%s %s", json_string_value(json_object_get(body, "kind")),
                   json_string_value(json_object_get(body, "outcome")));
    json_decref(body);
    return true;
}

/* What the card says to a frame, with its status word. */
static struct b_rd say(struct channel *ch, const uint8_t *frame, size_t n, uint8_t room[300])
{
    struct b_wr w = b_wr_from(room, 300);
    MUST(channel_transmit(ch, b_rd_from(frame, n), &w, &desk_err));
    return b_wr_reader(&w);
}

enum b_code desk_station_tap(struct desk *d, struct desk_card *c, struct service_taps *taps,
                             const struct store_station *station, struct service_tap_first m,
                             char name[static SERVICE_TAP_NAME], struct service_verdict *ret)
{
    static const uint8_t select[] = {0x90, 0x5A, 0, 0, 3, 0x34, 0x12, 0xF5, 0};
    static const uint8_t first[] = {0x90, 0x71, 0, 0, 2, 1, 0, 0};
    uint8_t room[300];
    uint8_t next[38] = {0x90, 0xAF, 0, 0, 0x20};
    struct channel *ch = desk_channel(c, (struct channel_fault){0});
    (void)say(ch, select, sizeof(select), room);
    struct b_rd challenge = say(ch, first, sizeof(first), room);
    m.how = DF_AUTH_EV2_FIRST;
    m.uid_len = sizeof(m.uid);
    memcpy(m.uid, c->seen.uid, sizeof(m.uid));
    memcpy(m.cryptogram, challenge.p, sizeof(m.cryptogram));
    MUST(service_tap_first(&d->sv, taps, station, &m, name, next + 5, &desk_err));
    struct b_rd answer = say(ch, next, sizeof(next), room);
    const struct service_tap_second s = {.status = answer.p[answer.left - 1],
                                         .answer = b_rd_from(answer.p, answer.left - 2)};
    enum b_code r = service_tap_second(&d->sv, taps, station, name, &s, ret, &desk_err);
    channel_free(&ch);
    return r;
}

const char *desk_last_event(struct desk *d)
{
    last[0] = '\0';
    const struct store_entry_range range = {.count = 1, .is_newest = true};
    MUST(store_entry_each(d->sv.store, &range, see, NULL, &desk_err));
    return last;
}
