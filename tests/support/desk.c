#include "desk.h"

#include <stdlib.h>
#include <string.h>

#include "foreign.h"

/* xorshift: the same bytes at every run of a test. */
static void fill(void *ctx, uint8_t *p, size_t n)
{
    struct desk *d = ctx;
    for (size_t i = 0; i < n; i++) {
        d->seed ^= d->seed << 13;
        d->seed ^= d->seed >> 17;
        d->seed ^= d->seed << 5;
        p[i] = (uint8_t)d->seed;
    }
}

enum b_code desk_derive(enum key_role role, uint8_t generation, struct b_rd input,
                        uint8_t out[static 16], struct b_err *err)
{
    uint8_t master[16];
    struct crypto_key key;
    memset(master, (int)(0x10 * (role + 1) + generation), sizeof(master));
    master[0] = (uint8_t)role; /* no two masters are the same */
    crypto_key_init(&key, CRYPTO_AES128, master);
    enum b_code r = crypto_an10922(&key, input.p, input.left, out, err);
    crypto_key_drop(&key);
    return r;
}

/* d: NULL for a key that is derived. */
static enum b_code give_key(struct desk *d, const struct desk_stored *which, bool may_draw,
                            const char *diversification, const struct crypto_div_facts *facts,
                            struct df_key *ret, struct b_err *err)
{
    uint8_t input[CRYPTO_DIV_INPUT_MAX];
    struct b_wr w = b_wr_from(input, sizeof(input));
    enum b_code r = crypto_div_input(crypto_div_find(diversification), facts, &w, err);
    if (r != B_OK)
        return r;
    *ret = (struct df_key){.type = DF_KEY_AES, .version = which->generation};
    if (d != NULL && key_stays(&d->stored, which->role, which->generation))
        return desk_stored_key(d, which, may_draw, ret, err);
    return desk_derive(which->role, which->generation, b_wr_reader(&w), ret->bytes, err);
}

static enum b_code badge_key(void *ctx, enum key_role role, uint8_t generation,
                             const char *diversification, const struct crypto_div_facts *facts,
                             struct df_key *ret, struct b_err *err)
{
    struct desk_stored which = desk_name_stored(role, generation, diversification, facts);
    return give_key(ctx, &which, false, diversification, facts, ret, err);
}

static enum b_code new_key(void *ctx, enum key_role role, uint8_t generation,
                           const char *diversification, const struct crypto_div_facts *facts,
                           struct df_key *ret, struct b_err *err)
{
    struct desk_stored which = desk_name_stored(role, generation, diversification, facts);
    return give_key(ctx, &which, true, diversification, facts, ret, err);
}

void desk_profile(struct profile *p, bool is_guest, const char *diversification)
{
    bool has_serial = strcmp(diversification, "serial") == 0;
    *p = (struct profile){.id = "test",
                          .revision = 1,
                          .is_guest = is_guest,
                          .wants_random_uid = has_serial && !is_guest,
                          .disables_format = has_serial && !is_guest,
                          .card_settings = 0x09,
                          .aid = 0xF51234,
                          .app_settings = 0xEB,
                          .key_count = 4,
                          .file_count = has_serial ? 2 : 1,
                          .system = "HOPITAL",
                          .system_len = 7};
    for (uint8_t i = 0; i < p->key_count; i++)
        p->keys[i] = (struct profile_key){.no = i, .role = (enum key_role)(KEY_ROLE_APP + i)};
    (void)strcpy(p->diversification, diversification);
    p->files[0] = (struct profile_file){
        .no = 1,
        .content = PROFILE_CONTENT_HOLDER,
        .settings = {.type = DF_FILE_STANDARD,
                     .option = DF_COMM_FULL,
                     .comm = DF_COMM_FULL,
                     .rights = {2, 3, DF_RIGHT_NEVER, 0},
                     .size = 96}, /* more than a frame: its writing is chained */
    };
    p->files[1] = (struct profile_file){
        .no = 2,
        .content = PROFILE_CONTENT_SERIAL,
        .settings = {.type = DF_FILE_STANDARD,
                     .rights = {DF_RIGHT_FREE, 3, DF_RIGHT_NEVER, 0},
                     .size = CRYPTO_SERIAL_MAX},
    };
}

void desk_generation(struct desk *d, uint8_t target)
{
    for (size_t i = 0; i < KEY_ROLE_COUNT; i++) {
        struct profile_generations *g = &d->job.generations[i];
        g->target = target;
        g->known_count = target;
        for (uint8_t n = 0; n < target; n++)
            g->known[n] = (uint8_t)(target - n);
    }
}

struct desk *desk_new(enum df_ev ev, bool is_guest, const char *diversification)
{
    struct desk *d = calloc(1, sizeof(*d));
    const struct df_personality who = {
        .ev = ev, .memory = 8192, .uid = {0x04, 0x12, 0x34, 0x56, 0x78, 0x9A, 0xBC}};
    b_check(d != NULL && df_picc_blank(&d->picc, &who));
    d->run = calloc(1, profile_run_size());
    b_check(d->run != NULL);
    d->seed = 0x2545F491;
    desk_profile(&d->job.profile, is_guest, diversification);
    b_check(profile_check(&d->job.profile, &d->err) == B_OK);
    d->job.serial_len = 8;
    memcpy(d->job.serial, "B-000001", 8);
    d->job.holder_len = 11;
    memcpy(d->job.holder, "10001234567", 11);
    desk_generation(d, 1);
    return d;
}

void desk_drop(struct desk *d)
{
    free(d->run);
    free(d);
}

/* One answer, as the noise wants it: {skip, change, bytes of the change}. */
static void disturb(struct desk *d, struct b_wr *in)
{
    if (d->noise.left == 0)
        return;
    if (d->skip > 0) {
        d->skip--;
        return;
    }
    uint8_t how = b_rd_u8(&d->noise), arg = b_rd_u8(&d->noise);
    if ((how & 3) == 0 && in->len > 0) {
        in->p[arg % in->len] ^= (uint8_t)(how | 1);
    } else if ((how & 3) == 1) {
        in->len = arg % (in->len + 1);
    } else if ((how & 3) == 2) {
        in->len = 0;
        b_wr_u8(in, 0x91);
        b_wr_u8(in, arg);
    } else {
        in->len = 0;
        size_t n = arg % 64 < d->noise.left ? arg % 64 : d->noise.left;
        b_wr_bytes(in, b_rd_direct(&d->noise, n), n);
        b_wr_be16(in, how & 4 ? 0x91AF : 0x9100);
    }
    d->skip = b_rd_u8(&d->noise) % 64;
}

/* One APDU through the field; false when it was cut there. */
static bool transmit(struct desk *d, struct b_wr *out, struct b_wr *in)
{
    bool is_here = d->cut != DESK_NO_CUT && d->apdus == d->cut_at;
    d->apdus++;
    d->is_cut = is_here;
    if (is_here && d->cut == DESK_CUT_BEFORE)
        return false;
    df_picc_step(&d->picc, b_wr_reader(out), in);
    disturb(d, in);
    d->bytes += (unsigned)(out->len + in->len);
    return !is_here;
}

enum profile_want desk_work(struct desk *d, enum profile_goal goal)
{
    uint8_t tx[DF_CAPDU_MAX], rx[DF_RAPDU_MAX];
    struct b_wr out = b_wr_from(tx, sizeof(tx));
    struct b_wr in = b_wr_from(rx, sizeof(rx));
    struct df_random random = {fill, d};
    struct profile_keys keys = {.badge_key = badge_key, .new_key = new_key, .ctx = d};
    df_picc_power(&d->picc, random);
    d->job.goal = goal;
    d->job.uid_len = (uint8_t)df_picc_shown_uid(&d->picc, d->job.uid);
    d->apdus = d->bytes = d->intents = d->effects = 0;
    d->is_cut = false;
    desk_take_back(d);
    enum profile_want want = profile_run_start(d->run, &d->job, keys, random, &out);
    while (want != PROFILE_DONE && want != PROFILE_FAILED) {
        struct b_rd rapdu = b_rd_from(NULL, 0);
        if (want == PROFILE_TX) {
            if (!transmit(d, &out, &in)) {
                profile_run_drop(d->run);
                return PROFILE_FAILED;
            }
            rapdu = b_wr_reader(&in);
        }
        if (want == PROFILE_AWAIT)
            desk_hand(d);
        d->intents += want == PROFILE_INTENT;
        d->effects += want == PROFILE_EFFECT;
        want = profile_run_step(d->run, rapdu, &out);
    }
    d->err = *profile_run_error(d->run);
    return want;
}

const struct picc_app *desk_app(const struct desk *d)
{
    return foreign_find(&d->picc, d->job.profile.aid);
}

const struct picc_app *desk_old_app(const struct desk *d)
{
    return foreign_find(&d->picc, DESK_OLD_AID);
}

/* --- a card of others --------------------------------------------------------------------------
 */

/* Their key of a level, as their software would have made it. */
static struct df_key foreign_key(const struct desk *d, const struct desk_fleet *f, df_aid aid,
                                 uint8_t no)
{
    struct crypto_div_facts facts = {.uid_len = 7, .key_no = no};
    uint8_t input[CRYPTO_DIV_INPUT_MAX];
    struct b_wr w = b_wr_from(input, sizeof(input));
    struct df_key made = f->key;
    struct crypto_key master;
    struct b_err err;
    if (f->diversification[0] == '\0')
        return made;
    memcpy(facts.uid, d->picc.mem.personality.uid, 7);
    for (int i = 0; i < 3; i++)
        facts.aid[i] = (uint8_t)(aid >> 8 * i);
    b_check(crypto_div_input(crypto_div_find(f->diversification), &facts, &w, &err) == B_OK);
    crypto_key_init(&master, f->key.type == DF_KEY_AES ? CRYPTO_AES128 : CRYPTO_TDEA2,
                    f->key.bytes);
    b_check(crypto_an10922(&master, input, w.len, made.bytes, &err) == B_OK);
    crypto_key_drop(&master);
    return made;
}

void desk_make_foreign(struct desk *d, const struct desk_fleet *f)
{
    struct picc_memory *m = &d->picc.mem;
    struct df_key keys[FOREIGN_KEYS];
    bool has_uid_key = f->hides_uid && f->diversification[0] != '\0';
    for (uint8_t i = 0; i < FOREIGN_KEYS; i++)
        keys[i] =
            has_uid_key && i == FOREIGN_UID_KEY ? f->uid_key : foreign_key(d, f, DESK_OLD_AID, i);
    foreign_application(&d->picc, (struct df_random){fill, d}, DESK_OLD_AID, keys);
    if (!f->is_card_factory) {
        struct df_key key = foreign_key(d, f, 0, 0);
        foreign_card_key(&d->picc, &key);
        d->before = m->master;
    }
    m->settings = f->is_closed ? 0x09 : m->settings;
    m->config |= f->hides_uid ? 0x02 : 0;
    struct profile_layout *l = &d->job.fleet.layouts[0];
    *l = (struct profile_layout){.id = "old",
                                 .aid = DESK_OLD_AID,
                                 .type = f->key.type,
                                 .proof_key = FOREIGN_PROOF_KEY,
                                 .has_uid_key = has_uid_key || f->diversification[0] == '\0',
                                 .uid_key = has_uid_key ? FOREIGN_UID_KEY : FOREIGN_PROOF_KEY,
                                 .deletes = f->deletes};
    (void)strcpy(l->diversification, f->diversification);
    (void)strcpy(l->card_diversification, f->diversification);
    d->job.fleet.count = 1;
    d->job.given_count = has_uid_key ? 2 : 1;
    d->job.given[0] = f->key;
    d->job.given[1] = f->uid_key;
}

/* --- what is on the card -----------------------------------------------------------------------
 */

static struct crypto_div_facts facts_of(const struct desk *d)
{
    const struct picc_memory *m = &d->picc.mem;
    const struct profile *p = &d->job.profile;
    const struct picc_app *a = desk_app(d);
    struct crypto_div_facts facts = {.uid_len = 7, .system_len = p->system_len};
    memcpy(facts.uid, m->personality.uid, 7);
    memcpy(facts.system, p->system, sizeof(facts.system));
    for (size_t i = 0; a != NULL && i < PICC_FILES; i++) {
        const struct picc_file *f = &a->files[i];
        if (!f->is_used || f->no != 2)
            continue;
        facts.serial_len = CRYPTO_SERIAL_MAX;
        memcpy(facts.serial, m->data + f->data_at, CRYPTO_SERIAL_MAX);
        while (facts.serial_len > 0 && facts.serial[facts.serial_len - 1] == 0)
            facts.serial_len--;
    }
    return facts;
}

static bool is_computable(const struct desk *d, enum key_role role, struct crypto_div_facts facts,
                          const struct picc_key *key)
{
    static const uint8_t zeros[DF_KEY_BYTES_MAX];
    struct df_key ours;
    struct b_err err;
    if (memcmp(key, &d->before, sizeof(*key)) == 0)
        return true;
    if (key->version == 0)
        return memcmp(key->bytes, zeros, sizeof(zeros)) == 0;
    struct desk_stored which =
        desk_name_stored(role, key->version, d->job.profile.diversification, &facts);
    if (key_stays(&d->stored, role, key->version) && d->kept != NULL)
        return d->kept(&which, ours.bytes) && memcmp(ours.bytes, key->bytes, 16) == 0;
    if (key_stays(&d->stored, role, key->version)) {
        const struct desk_stored *kept = desk_find_stored(d, &which);
        return kept != NULL && memcmp(kept->key, key->bytes, 16) == 0;
    }
    return give_key(NULL, &which, false, d->job.profile.diversification, &facts, &ours, &err) ==
               B_OK &&
           memcmp(ours.bytes, key->bytes, 16) == 0;
}

const char *desk_lost_key(const struct desk *d)
{
    const struct profile *p = &d->job.profile;
    const struct picc_app *a = desk_app(d);
    struct crypto_div_facts facts = facts_of(d);
    if (!is_computable(d, KEY_ROLE_PICC, facts, &d->picc.mem.master))
        return "the card's key";
    facts.aid[0] = (uint8_t)p->aid;
    facts.aid[1] = (uint8_t)(p->aid >> 8);
    facts.aid[2] = (uint8_t)(p->aid >> 16);
    for (uint8_t i = 0; a != NULL && i < a->key_count; i++) {
        facts.key_no = i;
        if (!is_computable(d, p->keys[i].role, facts, &d->picc.mem.keys[a->first_key + i]))
            return key_role_name(p->keys[i].role);
    }
    return NULL;
}
