/* What lasts of a card and its badge; and going back to where a work began. */
#include <stdlib.h>
#include <string.h>

#include "service/relay.h"
#include "sim.h"
#include "store/driver.h"

static struct b_err err;

/* --- going back --------------------------------------------------------------------------------
 */

/* On one connection that is inside a transaction, what the product begins and commits is a part of
 * that. A commit that is cut is cut by effects.c in any case. */
enum b_code __real_driver_exec(struct driver *d, const char *sql, struct b_err *e);
enum b_code __wrap_driver_exec(struct driver *d, const char *sql, struct b_err *e);
enum b_code __wrap_driver_exec(struct driver *d, const char *sql, struct b_err *e)
{
    static const char *const parts[][2] = {
        {"BEGIN IMMEDIATE", "SAVEPOINT change"},
        {"COMMIT", "RELEASE change"},
        {"ROLLBACK", "ROLLBACK TO change; RELEASE change"},
    };
    for (size_t i = 0; sim.is_joined && i < B_COUNT(parts); i++)
        if (strcmp(sql, parts[i][0]) == 0)
            return __real_driver_exec(d, parts[i][1], e);
    return __real_driver_exec(d, sql, e);
}

static struct {
    size_t card;
    struct desk desk;
    struct sim_card cards[SIM_CARDS];
    uint64_t random, acts;
    int64_t now_us;
    unsigned chips;
} kept;

static void exec(const char *sql)
{
    b_check(__real_driver_exec(sim.sv->store->driver, sql, &err) == B_OK);
}

void sim_lend(struct store *reader)
{
    for (size_t i = 0; i < HTTP_READERS; i++)
        sim.server.readers[i] = reader;
}

static void join_store(void)
{
    struct service *sv = sim.sv;
    service_writer_close(&sv->writer);
    b_check(service_writer_open(sv->store, false, &sv->writer, &err) == B_OK);
    store_free(&sim.server.readers[0]);
    sim_lend(sv->store);
    sim.is_joined = true;
}

void sim_keep(size_t card)
{
    if (!sim.is_joined)
        join_store();
    kept.card = card;
    kept.desk = *sim.cards[card].desk;
    memcpy(kept.cards, sim.cards, sizeof(kept.cards));
    kept.random = sim.random;
    kept.acts = sim.acts;
    kept.now_us = sim.now_us;
    kept.chips = sim.chips;
    exec("BEGIN IMMEDIATE");
}

/* The writer finds its edge anew: whatever was undone, it has another size. */
void sim_go_back(void)
{
    exec("ROLLBACK; BEGIN IMMEDIATE");
    *kept.cards[kept.card].desk = kept.desk;
    memcpy(sim.cards, kept.cards, sizeof(kept.cards));
    sim.random = kept.random;
    sim.acts = kept.acts;
    sim.now_us = kept.now_us;
    sim.chips = kept.chips;
    sim_restart_all();
}

/* --- what lasts --------------------------------------------------------------------------------
 */

/* Random bytes are the same for what becomes of a card as long as store and card agree on them. */
enum sameness { NOTHING, SAME, OTHER };
enum { SERIAL_FILE = 2 };

static uint8_t compare(const uint8_t *on_card, size_t n, const void *in_store, size_t m)
{
    static const uint8_t zeros[256];
    size_t both = m < n ? m : n;
    b_check(n <= sizeof(zeros));
    if (memcmp(on_card, zeros, n) == 0)
        return NOTHING;
    return memcmp(on_card, in_store, both) == 0 && memcmp(on_card + both, zeros, n - both) == 0
               ? SAME
               : OTHER;
}

/* Keys of the badge's own are what their version says: the judge has just computed each of them, or
 * opened it from the store. */
static void plain_card(const struct sim_card *c, const struct store_badge *b, struct picc_memory *m)
{
    const struct picc_app *a = desk_app(c->desk);
    if (sim_level(c, &m->master) == SIM_OWN)
        memset(m->master.bytes, 0xEE, sizeof(m->master.bytes));
    for (uint8_t i = 0; a != NULL && i < a->key_count; i++)
        if (sim_level(c, &m->keys[a->first_key + i]) == SIM_OWN)
            memset(m->keys[a->first_key + i].bytes, 0xEE, sizeof(m->master.bytes));
    for (size_t i = 0; a != NULL && i < PICC_FILES; i++) {
        const struct picc_file *f = &a->files[i];
        bool is_serial = f->no == SERIAL_FILE;
        if (!f->is_used)
            continue;
        const void *in_store = is_serial ? (const void *)b->serial : b->holder_ref;
        size_t n = is_serial ? b->serial_len : strlen(b->holder_ref);
        uint8_t how = compare(m->data + f->data_at, f->data_len, in_store, n);
        memset(m->data + f->data_at, how, f->data_len);
    }
}

static void put_badge(struct b_wr *w, const struct store_badge *b, bool is_there)
{
    static const uint8_t none[16];
    b_wr_u8(w, is_there);
    if (!is_there)
        return;
    b_wr_u8(w, (uint8_t)b->state);
    b_wr_u8(w, b->serial_len);
    b_wr_u8(w, memcmp(b->uid, none, sizeof(b->uid)) != 0);
    b_wr_u8(w, b->ev);
    b_wr_bytes(w, b->generation, sizeof(b->generation));
    b_wr_bytes(w, b->reason, strlen(b->reason) + 1);
    b_wr_bytes(w, b->profile_id, strlen(b->profile_id) + 1);
    b_wr_be32(w, b->profile_revision);
    b_wr_u8(w, b->tapped_at != 0);
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, 32);
}

/* The open steps, each once: how often one was begun is not asked. */
static void put_open(struct b_wr *w, const uint8_t uid[static 7])
{
    enum { MOST = 200 };
    static struct store_intent open[MOST];
    static uint8_t digests[MOST][32];
    size_t n = 0;
    b_check(store_intent_open(sim.sv->store, uid, open, MOST, &n, &err) == B_OK && n < MOST);
    for (size_t i = 0; i < n; i++) {
        uint8_t text[96];
        struct b_wr step = b_wr_from(text, sizeof(text));
        b_wr_bytes(&step, open[i].action, strlen(open[i].action) + 1);
        b_wr_be32(&step, open[i].aid);
        b_wr_u8(&step, open[i].no);
        b_wr_u8(&step, open[i].from_generation);
        b_wr_u8(&step, open[i].to_generation);
        crypto_sha256(text, step.len, digests[i]);
    }
    qsort(digests, n, sizeof(digests[0]), by_bytes);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || memcmp(digests[i], digests[i - 1], sizeof(digests[i])) != 0)
            b_wr_bytes(w, digests[i], sizeof(digests[i]));
}

/* Which keys of ours a takeover that goes on finds confirmed. */
static void put_confirmed(struct b_wr *w, const struct store_badge *b)
{
    const struct profile *p = &sim.sv->profile;
    uint8_t generation = 0;
    for (uint8_t n = 0; b->state == STORE_BADGE_ENROLLING && n <= p->key_count; n++) {
        uint8_t no = (uint8_t)(n > 0 ? n - 1 : 0);
        b_check(service_confirmed_key(sim.sv, b->uid, n > 0 ? p->aid : 0, no, &generation, &err) ==
                B_OK);
        b_wr_u8(w, generation);
    }
}

/* Of the badge as the store has it; or of the serial that its card has. */
static bool is_of_badge(const struct store_badge *b, const uint8_t *uid,
                        const struct store_stored *k)
{
    bool is_uid = k->badge[0] == 'u';
    size_t n = is_uid ? 7 : b->serial_len;
    return k->badge_len == 1 + n && memcmp(k->badge + 1, is_uid ? uid : b->serial, n) == 0;
}

static bool is_of_file(const struct sim_card *c, const struct store_stored *k)
{
    const struct picc_app *a = desk_app(c->desk);
    for (size_t i = 0; a != NULL && k->badge[0] == 's' && i < PICC_FILES; i++) {
        const struct picc_file *f = &a->files[i];
        if (f->is_used && f->no == SERIAL_FILE)
            return compare(c->desk->picc.mem.data + f->data_at, f->data_len, k->badge + 1,
                           k->badge_len - 1U) == SAME;
    }
    return false;
}

static bool has_card(const struct sim_card *c, const struct store_stored *k)
{
    struct desk_stored name = {
        .role = k->role, .generation = k->generation, .who_len = (uint8_t)(k->badge_len - 1)};
    const struct picc_key *on_card = NULL;
    enum key_role role = KEY_ROLE_PICC;
    uint8_t key[16];
    memcpy(name.who, k->badge + 1, name.who_len);
    if (!c->desk->kept(&name, key))
        return false;
    for (size_t n = 0; (on_card = sim_key_at(c, n, &role)) != NULL; n++)
        if (role == k->role && on_card->version == k->generation &&
            memcmp(on_card->bytes, key, sizeof(key)) == 0)
            return true;
    return false;
}

struct drawn {
    const struct sim_card *card;
    const struct store_badge *badge;
    uint8_t has[KEY_ROLE_COUNT][KEY_GENERATION_MAX + 1];
};

static bool note_drawn(void *ctx, const struct store_stored *k)
{
    struct drawn *d = ctx;
    bool is_badge = is_of_badge(d->badge, d->card->desk->picc.mem.personality.uid, k);
    bool is_file = is_of_file(d->card, k);
    if (is_badge || is_file)
        d->has[k->role][k->generation] |=
            (uint8_t)(is_badge | is_file << 1 | has_card(d->card, k) << 2);
    return true;
}

/* Keys of the badge's own that were drawn: kept, and the one on the card or not. */
static void put_drawn(struct b_wr *w, const struct sim_card *c, const struct store_badge *b)
{
    static struct drawn d;
    d = (struct drawn){.card = c, .badge = b};
    b_check(store_stored_each(sim.sv->store, note_drawn, &d, &err) == B_OK);
    b_wr_bytes(w, d.has, sizeof(d.has));
}

static void put_campaigns(struct b_wr *w, int64_t badge)
{
    struct store_campaign cs[KEY_ROLE_COUNT];
    struct store_rekey last = {.tries = 0};
    size_t n = 0;
    b_check(store_campaign_open(sim.sv->store, cs, &n, &err) == B_OK);
    for (size_t i = 0; i < n; i++) {
        b_wr_u8(w, (uint8_t)cs[i].role);
        b_wr_u8(w, (uint8_t)cs[i].state);
        b_wr_le64(w, cs[i].window);
        b_wr_be32(w, cs[i].window_count);
    }
    (void)!store_rekey_get(sim.sv->store, badge, &last, &err);
    b_wr_u8(w, last.roles);
    b_wr_be32(w, last.tries);
    b_wr_bytes(w, last.outcome, strlen(last.outcome) + 1);
}

static void put_acknowledged(struct b_wr *w, const struct sim_card *c)
{
    b_wr_u8(w, c->badge != 0);
    b_wr_u8(w, (uint8_t)(c->is_encoded | c->is_lost << 1 | c->is_stopped << 2 | c->is_unsure << 3 |
                         c->may_be_blank << 4 | c->is_listed << 5));
    b_wr_bytes(w, c->best, sizeof(c->best));
}

void sim_digest(size_t i, bool has_died, uint8_t ret[static 32])
{
    static struct picc_memory card;
    static uint8_t text[8192];
    const struct sim_card *c = &sim.cards[i];
    const uint8_t *uid = c->desk->picc.mem.personality.uid;
    struct b_wr w = b_wr_from(text, sizeof(text));
    struct store_badge b = {.id = 0};
    struct store_finding f = {.found = STORE_FOUND_UNKNOWN};
    enum b_code r = store_badge_by_uid(sim.sv->store, uid, &b, &err);
    if (r != B_OK && c->badge != 0)
        r = store_badge_by_id(sim.sv->store, c->badge, &b, &err);
    card = c->desk->picc.mem;
    plain_card(c, &b, &card);
    put_badge(&w, &b, r == B_OK);
    put_drawn(&w, c, &b);
    put_open(&w, uid);
    put_confirmed(&w, &b);
    put_campaigns(&w, b.id);
    b_wr_u8(&w, store_finding_by_uid(sim.sv->store, uid, &f, &err) == B_OK);
    b_wr_u8(&w, (uint8_t)f.found);
    put_acknowledged(&w, c);
    b_wr_u8(&w, has_died);
    b_check(b_wr_ok(&w));
    crypto_sha256_two(text, w.len, &card, sizeof(card), ret);
}
