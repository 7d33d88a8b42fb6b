/*
 * The store edited behind the journal's back: every column of every row changed, every row removed,
 * neighbours swapped, the end cut off, an older store put back. Each must be found. Prints how many
 * were tried.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/crypto.h"
#include "crypto/sign.h"
#include "service/directory.h"
#include "service/fleet.h"
#include "service/journal.h"
#include "service/verify.h"
#include "store/driver.h"

static char dir[64] = "/dev/shm/tessere-tamper-XXXXXX";
static char path[72], copy[72], older[72];
static struct b_err err;
static struct journal_signer signer = {.name = "tessere/750712184",
                                       .algorithm = JOURNAL_ALGORITHM_ED25519};
static const uint8_t seed[32] = {7};
static char last_note[JOURNAL_NOTE_MAX];

#define MUST(call) assert_int_equal((call), B_OK)

/* --- a journal with something of everything ----------------------------------------------------
 */

static enum b_code add_key(struct service_change *c, void *ctx, struct b_err *e)
{
    struct store_generation g;
    const struct vault_key key = {
        .role = *(enum key_role *)ctx, .generation = 1, .kcv_method = "CMAC-0", .kcv = {1, 2, 3}};
    return service_note_key(c, &key, &g, e);
}

static enum b_code add_badge(struct service_change *c, void *ctx, struct b_err *e)
{
    int n = *(int *)ctx;
    struct store_badge b = {.uid = {4, (uint8_t)n, 3, 4, 5, 6, 7},
                            .state = STORE_BADGE_ACTIVE,
                            .ev = 2,
                            .generation = {1, 1, 1, 1, 1},
                            .created_at = c->now,
                            .salt = {(uint8_t)n}};
    struct store_holder h = {.salt = {1, (uint8_t)n}};
    (void)snprintf(b.holder_ref, sizeof(b.holder_ref), "100%02d", n);
    (void)snprintf(b.holder_name, sizeof(b.holder_name), "Holder %d", n);
    (void)snprintf(b.profile_id, sizeof(b.profile_id), "hospital");
    (void)snprintf(h.ref, sizeof(h.ref), "%s", b.holder_ref);
    (void)snprintf(h.name, sizeof(h.name), "%s", b.holder_name);
    MUST(store_badge_put(c->store, &b, e));
    MUST(store_holder_put(c->store, &h, e));
    return service_log(c,
                       (struct service_entry){.kind = "enrol",
                                              .badge = &b,
                                              .holder = &h,
                                              .personal = json_pack("{s:s}", "holder", h.ref),
                                              .subject = h.ref},
                       e);
}

static enum b_code add_tap(struct service_change *c, void *ctx, struct b_err *e)
{
    struct store_badge b;
    MUST(store_badge_by_id(c->store, *(int *)ctx, &b, e));
    b.tapped_at = c->now;
    b.tapped_station = 1;
    MUST(store_badge_put(c->store, &b, e));
    return service_log(c, (struct service_entry){.kind = "tap", .badge = &b, .station_id = 1}, e);
}

static enum b_code add_parties(struct service_change *c, void *ctx, struct b_err *e)
{
    (void)ctx;
    struct store_station t = {
        .name = "pc1", .group = "ward", .zone = "z", .fingerprint = {9}, .next = {8}, .code = {7}};
    struct store_person p = {.name = "alice", .roles = 1, .fingerprint = {5}, .key = {4}};
    MUST(store_station_put(c->store, &t, e));
    MUST(store_person_put(c->store, &p, e));
    MUST(service_log(c, (struct service_entry){.kind = "station", .station = &t}, e));
    return service_log(c, (struct service_entry){.kind = "person", .person = &p}, e);
}

static enum b_code add_establishment(struct service_change *c, void *ctx, struct b_err *e)
{
    (void)ctx;
    const struct store_establishment h = {.finess = "750712184",
                                          .name = "Hospital",
                                          .system = "750712184",
                                          .system_len = 9,
                                          .profile_id = "hospital"};
    MUST(store_establishment_put(c->store, &h, e));
    service_vouch_establishment(c, &h);
    return B_OK; /* an entry of its own is added */
}

static enum b_code add_steps(struct service_change *c, void *ctx, struct b_err *e)
{
    (void)ctx;
    for (int n = 0; n < 3; n++) {
        struct store_intent i = {.uid = {4, 1, 3, 4, 5, 6, 7},
                                 .plan_digest = {1},
                                 .step = (uint32_t)n,
                                 .action = "change-key",
                                 .aid = 0xF51234,
                                 .to_generation = 1,
                                 .at = c->now};
        MUST(store_intent_add(c->store, &i, e));
        service_vouch_intent(c, &i);
        if (n < 2)
            MUST(service_log(c, (struct service_entry){.kind = "step-begin"}, e));
        if (n == 1) {
            MUST(store_intent_effective(c->store, i.id, e));
            i.is_effective = true;
            service_vouch_intent(c, &i);
        }
    }
    return B_OK;
}

static enum b_code add_campaign(struct service_change *c, void *ctx, struct b_err *e)
{
    (void)ctx;
    struct store_campaign k = {.role = KEY_ROLE_AUTH,
                               .generation = 2,
                               .pause_percent = 20,
                               .window = 5,
                               .window_count = 3,
                               .done = 1,
                               .failed = 2,
                               .why = "x",
                               .started_at = c->now,
                               .changed_at = c->now};
    struct store_rekey v = {.badge_id = 3,
                            .roles = 4,
                            .outcome = "card-auth",
                            .tries = 1,
                            .station_id = 1,
                            .at = c->now};
    struct store_generation g = {.role = KEY_ROLE_AUTH,
                                 .generation = 1,
                                 .state = STORE_GENERATION_COMPROMISED,
                                 .kcv_method = "CMAC-0",
                                 .kcv = {1, 2, 3},
                                 .created_at = c->now,
                                 .compromised_at = c->now};
    MUST(store_campaign_put(c->store, &k, e));
    MUST(store_rekey_put(c->store, &v, e));
    MUST(store_generation_put(c->store, &g, e));
    service_vouch_campaign(c, &k);
    service_vouch_rekey(c, &v);
    return service_log(c, (struct service_entry){.kind = "key-state", .generation = &g}, e);
}

/* Keys of other systems, a stored key; a batch, a badge of it, and blank cards of it that were
 * destroyed. */
static enum b_code add_stock(struct service_change *c, void *ctx, struct b_err *e)
{
    (void)ctx;
    struct store_batch k = {
        .name = "A1", .supplier = "Printer", .transport_key = "T1", .count = 50, .at = c->now};
    struct store_card_event v = {
        .kind = STORE_CARD_DESTROYED, .batch_id = 1, .count = 2, .reason = "bent", .at = c->now};
    struct store_stored stored = {.badge = {'u', 4, 1, 2, 3, 4, 5, 6},
                                  .badge_len = 8,
                                  .role = KEY_ROLE_AUTH,
                                  .generation = 1,
                                  .wrapped = {1, 2, 3},
                                  .at = c->now};
    struct store_given given = {.name = "library",
                                .type = "aes",
                                .kcv_method = "CMAC-0",
                                .kcv = {1, 2, 3},
                                .wrapped = {4, 5, 6},
                                .wrapped_len = 57,
                                .by = "Alice, Bert",
                                .at = c->now};
    struct store_badge b;
    MUST(store_given_put(c->store, &given, e));
    service_vouch_given(c, &given);
    given = (struct store_given){
        .name = "canteen", .type = "des", .kcv = {7, 8, 9}, .at = 1, .forgotten_at = 2};
    MUST(store_given_put(c->store, &given, e));
    service_vouch_given(c, &given);
    MUST(store_stored_add(c->store, &stored, e));
    service_vouch_stored(c, &stored);
    MUST(store_batch_add(c->store, &k, e));
    MUST(store_card_event_add(c->store, &v, e));
    MUST(store_badge_by_id(c->store, 2, &b, e));
    b.batch_id = k.id;
    MUST(store_badge_put(c->store, &b, e));
    service_vouch_batch(c, &k);
    service_vouch_card_event(c, &v);
    return service_log(c, (struct service_entry){.kind = "stock-receive", .badge = &b}, e);
}

static enum b_code add_signing_key(struct service_change *c, void *ctx, struct b_err *e)
{
    (void)ctx;
    static struct store_signing_key k = {.kid = "thumbprint",
                                         .alg = CRYPTO_JWS_ES256,
                                         .state = STORE_SIGNER_ACTIVE,
                                         .public_key = {1, 2},
                                         .public_len = 2,
                                         .wrapped = {3, 4, 5},
                                         .wrapped_len = 3,
                                         .created_at = 7,
                                         .activated_at = 8,
                                         .retired_at = 9};
    MUST(store_signing_key_put(c->store, &k, e));
    service_vouch_signing_key(c, &k);
    return service_log(c, (struct service_entry){.kind = "signer-make"}, e);
}

static enum b_code add_answer(struct service_change *c, void *ctx, struct b_err *e)
{
    static struct store_reply r;
    r = (struct store_reply){
        .caller = "person:1", .request = {3}, .at = c->now, .salt = {8}, .status = 0};
    (void)snprintf(r.key, sizeof(r.key), "key-%d", *(int *)ctx);
    if (*(int *)ctx == 1)
        r.at -= 86400; /* to be forgotten */
    MUST(store_reply_put(c->store, &r, e));
    r.status = 201;
    (void)snprintf(r.body, sizeof(r.body), "{\"id\":%d}", *(int *)ctx);
    MUST(store_reply_put(c->store, &r, e));
    service_vouch_reply(c, &r);
    return service_log(c, (struct service_entry){.kind = "answer"}, e);
}

/* One that was carried out, with its receipt, and one that was rejected. */
static enum b_code add_proposals(struct service_change *c, void *ctx, struct b_err *e)
{
    (void)ctx;
    for (int n = 1; n <= 2; n++) {
        static struct store_proposal p;
        struct store_approval a = {.proposal = n, .person = 1, .signature = {6}};
        char message[128];
        char hex[129];
        uint8_t receipt[64];
        p = (struct store_proposal){
            .action = "export", .proposer = 1, .created_at = c->now, .expires_at = c->now + 1};
        (void)snprintf(p.text, sizeof(p.text), "proposal %d\n", n);
        MUST(store_proposal_put(c->store, &p, e));
        p.state = n == 1 ? STORE_PROPOSAL_DONE : STORE_PROPOSAL_REJECTED;
        MUST(store_proposal_put(c->store, &p, e));
        service_vouch_proposal(c, &p);
        MUST(store_approval_add(c->store, &a, e));
        service_vouch_approval(c, &a);
        MUST(service_log(c, (struct service_entry){.kind = "approve"}, e));
        int length = snprintf(message, sizeof(message), "tessere-receipt/v1\nproposal %d\n", n);
        crypto_ed25519_sign(seed, message, (size_t)length, receipt);
        b_hex(hex, receipt, sizeof(receipt));
        json_t *detail = json_pack("{s:i, s:s}", "proposal", n, "receipt", hex);
        if (n == 1)
            MUST(service_log(c, (struct service_entry){.kind = "carry-out", .detail = detail}, e));
        else
            json_decref(detail);
    }
    return B_OK;
}

static enum b_code add_settings(struct service_change *c, void *ctx, struct b_err *e)
{
    (void)ctx;
    MUST(service_setting_put(c, "policy", "old", 3, e));
    MUST(service_log(c, (struct service_entry){.kind = "policy"}, e));
    MUST(service_setting_put(c, "policy", "digest", 6, e));
    return service_setting_put(c, "text:digest", "rules: ...", 10, e);
}

/* One list that stays as it is, and one in which a person is erased; a card of each was seen. */
static void add_lists(struct service *sv)
{
    static const char *const texts[] = {
        "uid,ref,name,status,note\n04A1000000000A,20001,Anne,active,blue\n"
        "04A1000000000B,20002,Bruno,revoked,\n",
        "uid,ref,name\n04A2000000000A,10004,Denis\n04A2000000000B,20003,Chloe\n"};
    for (size_t i = 0; i < B_COUNT(texts); i++) {
        struct service_fleet_list list = {
            .name = "list.csv", .text = texts[i], .n = strlen(texts[i])};
        static struct profile_state seen;
        seen = (struct profile_state){.ev = DF_EV1,
                                      .uid = {4, (uint8_t)(0xA1 + i), 0, 0, 0, 0, 0x0A},
                                      .uid_len = 7,
                                      .card_key = {.kind = PROFILE_KEY_FACTORY, .is_proven = true}};
        struct store_fleet_import done;
        MUST(service_fleet_import(sv, &list, &done, &err));
        MUST(service_fleet_find(sv, &seen, &err));
    }
    static const char forgotten[] = "uid,ref,name\n04A3000000000A,30001,Eva\n";
    const struct service_fleet_list list = {
        .name = "forgotten.csv", .text = forgotten, .n = strlen(forgotten)};
    struct store_fleet_import gone;
    MUST(service_fleet_import(sv, &list, &gone, &err));
    MUST(service_fleet_forget(sv, gone.id, &gone, &err));
}

struct note {
    uint64_t size;
    char text[JOURNAL_NOTE_MAX];
};

static enum b_code keep(struct service_change *c, void *ctx, struct b_err *e)
{
    const struct note *n = ctx;
    return service_note_checkpoint(c, n->size, n->text, e);
}

static enum b_code get_edge(struct service_change *c, void *ctx, struct b_err *e)
{
    (void)e;
    *(struct journal_edge *)ctx = *c->edge;
    return B_OK;
}

static void checkpoint(struct service *sv)
{
    static struct journal_edge edge;
    static struct note n;
    struct journal_checkpoint c = {.origin = "tessere/750712184"};
    uint8_t signature[64];
    MUST(service_change(sv, get_edge, &edge, &err));
    n.size = c.size = edge.size;
    journal_edge_root(&edge, c.root);
    assert_true(journal_checkpoint_print(&c, n.text, sizeof(n.text)));
    crypto_ed25519_sign(seed, n.text, strlen(n.text), signature);
    assert_true(journal_note_add(n.text, sizeof(n.text), &signer, signature, 64));
    MUST(service_change(sv, keep, &n, &err));
    MUST(service_change(sv, keep, &n, &err)); /* two signed at once: told of once */
    (void)snprintf(last_note, sizeof(last_note), "%s", n.text);
}

/* Nothing of this must outlive a power cut: in memory where the system has a place for that. */
static void copy_file(const char *from, const char *to)
{
    static char bytes[4 << 20];
    char beside[80];
    for (const char *const *end = (const char *const[]){"-wal", "-shm", NULL}; *end != NULL;
         end++) {
        (void)snprintf(beside, sizeof(beside), "%s%s", to, *end);
        (void)unlink(beside);
    }
    FILE *f = fopen(from, "r");
    assert_non_null(f);
    size_t n = fread(bytes, 1, sizeof(bytes), f);
    assert_true(n > 0 && n < sizeof(bytes));
    assert_int_equal(fclose(f), 0);
    f = fopen(to, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void open_service(struct service *sv)
{
    struct store *writes = NULL;
    *sv = (struct service){.asker = {.actor = "desk", .request = ""}};
    MUST(store_open(path, true, &sv->store, &err));
    MUST(store_open(path, false, &writes, &err));
    MUST(service_writer_open(writes, false, &sv->writer, &err));
}

/* Two people, one of whom left, a group of both, and a token. */
static void add_directory(struct service *sv)
{
    static const char *const bodies[] = {
        "{\"userName\":\"anne\",\"externalId\":\"x1\",\"displayName\":\"A\"}",
        "{\"userName\":\"bert\",\"name\":{\"givenName\":\"B\",\"familyName\":\"T\"},"
        "\"active\":false}",
    };
    struct store_token t;
    char text[SERVICE_TOKEN_TEXT];
    json_t *members = json_array();
    for (size_t i = 0; i < B_COUNT(bodies); i++) {
        json_t *body = json_loads(bodies[i], 0, NULL);
        struct service_resource k = {
            .type = SCIM_TYPE_USER, .body = body, .source = "ldap", .base = ""};
        MUST(service_resource_change(sv, &k, &err));
        (void)json_array_append_new(members,
                                    json_pack("{s:O}", "value", json_object_get(k.out, "id")));
        json_decref(k.out);
        json_decref(body);
    }
    json_t *body = json_pack("{s:s, s:o}", "displayName", "Nurses", "members", members);
    struct service_resource k = {.type = SCIM_TYPE_GROUP, .body = body, .base = ""};
    MUST(service_resource_change(sv, &k, &err));
    json_decref(k.out);
    json_decref(body);
    MUST(service_token_add(sv, "idm", STORE_RIGHT_READ, 0, &t, text, &err));
}

static void close_service(struct service *sv)
{
    service_writer_close(&sv->writer);
    store_free(&sv->store);
}

static int build(void **state)
{
    (void)state;
    struct service sv;
    uint64_t erased = 0;
    if (mkdtemp(dir) == NULL) {
        (void)snprintf(dir, sizeof(dir), "/tmp/tessere-tamper-XXXXXX");
        assert_non_null(mkdtemp(dir));
    }
    (void)snprintf(path, sizeof(path), "%s/a.db", dir);
    (void)snprintf(copy, sizeof(copy), "%s/b.db", dir);
    (void)snprintf(older, sizeof(older), "%s/c.db", dir);
    crypto_ed25519_public(seed, signer.key);
    open_service(&sv);
    for (int role = 0; role < 3; role++)
        MUST(service_change(&sv, add_key, &role, &err));
    for (int i = 1; i <= 4; i++)
        MUST(service_change(&sv, add_badge, &i, &err));
    MUST(service_change(&sv, add_parties, NULL, &err));
    MUST(service_change(&sv, add_establishment, NULL, &err));
    MUST(service_change(&sv, add_settings, NULL, &err));
    checkpoint(&sv);
    close_service(&sv);
    copy_file(path, older);
    open_service(&sv);
    for (int i = 0; i < 6; i++)
        MUST(service_change(&sv, add_tap, &(int){i % 3 + 1}, &err));
    MUST(service_change(&sv, add_steps, NULL, &err));
    MUST(service_change(&sv, add_campaign, NULL, &err));
    for (int i = 1; i <= 3; i++)
        MUST(service_change(&sv, add_answer, &i, &err));
    MUST(service_forget_answers(&sv, time(NULL) - 3600, &err));
    MUST(service_change(&sv, add_proposals, NULL, &err));
    add_lists(&sv);
    MUST(service_change(&sv, add_stock, NULL, &err));
    MUST(service_change(&sv, add_signing_key, NULL, &err));
    add_directory(&sv);
    MUST(service_suspend(&sv, 2, "lost", &err));
    MUST(service_revoke(&sv, 4, "broken", &err));
    MUST(service_journal_erase(&sv, "10004", &erased, &err));
    assert_true(erased >= 2);
    checkpoint(&sv);
    close_service(&sv);
    return 0;
}

/* --- edits -------------------------------------------------------------------------------------
 */

static unsigned tried, refused, missed;

static enum b_code verify(const char *file)
{
    struct store *s = NULL;
    struct service_verified found;
    const struct service_verify what = {
        .signer = &signer, .earlier = last_note, .finess = "750712184"};
    enum b_code r = store_open(file, false, &s, &err);
    if (r == B_OK)
        r = service_verify(s, &what, &found, &err);
    store_free(&s);
    return r;
}

/* Carries an edit out on a copy, and sees whether it is found. */
static void edit(const char *sql)
{
    struct driver *d = NULL;
    copy_file(path, copy);
    MUST(driver_open(copy, false, &d, &err));
    enum b_code r = driver_exec(d, sql, &err);
    driver_close(&d);
    if (r != B_OK) {
        refused++; /* the database itself does not allow it */
        return;
    }
    tried++;
    if (verify(copy) == B_OK) {
        missed++;
        print_message("# not found: %s\n", sql);
    }
}

static const char *const tables[] = {
    "entry",         "hash",    "personal",      "checkpoint", "badge",       "holder",
    "station",       "person",  "generation",    "intent",     "reply",       "proposal",
    "approval",      "setting", "establishment", "campaign",   "rekey",       "fleet_import",
    "foreign_badge", "finding", "batch",         "card_event", "signing_key", "stored_key",
    "staff",         "team",    "member",        "scim_token", "given_key"};

/* Which version the tables have; the history of before there was a journal; logins, which are over
 * in a day, and of which the vault signs only what it has seen itself; what others are to be told
 * of entries that stand there (docs/journal.md). */
struct list {
    char items[512][64];
    size_t count;
};

static void ask(struct list *l, const char *sql)
{
    struct driver *d = NULL;
    struct statement *st = NULL;
    MUST(driver_open(path, false, &d, &err));
    MUST(driver_prepare(d, sql, &st, &err));
    for (l->count = 0; l->count < B_COUNT(l->items) && driver_step(st, &err) == B_OK; l->count++)
        driver_text(st, 0, l->items[l->count], sizeof(l->items[0]));
    driver_finish(&st);
    driver_close(&d);
}

static void the_untouched_store_verifies(void **state)
{
    (void)state;
    enum b_code r = verify(path);
    if (r != B_OK)
        print_message("# %s\n", err.msg);
    assert_int_equal(r, B_OK);
}

/* Which version the tables have; the history of before there was a journal; what others are to be
 * told of entries that stand there (docs/journal.md); what lives for minutes or a shift and is
 * forgotten then (store/signon.h, store/oidc.h). */
static const char *const apart[] = {"schema",    "event",      "letter", "subscription",
                                    "challenge", "assertion",  "signon", "signon_party",
                                    "browser",   "code_grant", "once",   "tap_code"};

static void no_table_is_left_out(void **state)
{
    (void)state;
    static struct list all;
    ask(&all, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'");
    for (size_t i = 0; i < all.count; i++) {
        bool is_tried = false;
        for (size_t t = 0; t < B_COUNT(apart); t++)
            is_tried |= strcmp(all.items[i], apart[t]) == 0;
        for (size_t t = 0; t < B_COUNT(tables); t++)
            is_tried |= strcmp(all.items[i], tables[t]) == 0;
        if (!is_tried)
            fail_msg("%s", all.items[i]);
    }
}

static void every_edit_and_removal_is_found(void **state)
{
    (void)state;
    static struct list rows, columns;
    char sql[512];
    for (size_t t = 0; t < B_COUNT(tables); t++) {
        (void)snprintf(sql, sizeof(sql), "SELECT rowid FROM %s", tables[t]);
        ask(&rows, sql);
        (void)snprintf(sql, sizeof(sql), "SELECT name FROM pragma_table_info('%s')", tables[t]);
        ask(&columns, sql);
        assert_true(rows.count > 0 && columns.count > 0);
        for (size_t r = 0; r < rows.count; r++) {
            (void)snprintf(sql, sizeof(sql), "DELETE FROM %s WHERE rowid = %s", tables[t],
                           rows.items[r]);
            edit(sql);
            for (size_t c = 0; c < columns.count; c++) {
                const char *name = columns.items[c];
                (void)snprintf(
                    sql, sizeof(sql),
                    "UPDATE %s SET %s = CASE typeof(%s) WHEN 'integer' THEN %s + 1"
                    " WHEN 'text' THEN %s || 'x' WHEN 'blob' THEN CAST(%s || 'x' AS BLOB)"
                    " ELSE x'01' END WHERE rowid = %s",
                    tables[t], name, name, name, name, name, rows.items[r]);
                edit(sql);
            }
        }
    }
    /* rows of the attacker's own */
    edit("INSERT INTO setting (name, value) VALUES ('roster', x'00')");
    edit("INSERT INTO reply (caller, key, request, status, at, body, salt) SELECT caller, 'k', "
         "request, status, at, body, salt FROM reply LIMIT 1");
    edit("INSERT INTO intent SELECT 99, uid, plan, step, action, aid, no, from_generation, "
         "to_generation, at, is_effective FROM intent LIMIT 1");
    edit("INSERT INTO proposal SELECT 99, action, text, proposer, state, created_at, expires_at "
         "FROM proposal LIMIT 1");
    edit("INSERT INTO approval (proposal, person, signature) VALUES (1, 2, x'00')");
    for (int list = 1; list <= 3; list++) {
        (void)snprintf(
            sql, sizeof(sql),
            "INSERT INTO foreign_badge (import, line, uid, ref, name, status, note) VALUES"
            " (%d, 9, x'04010101010101', '1', 'Mallory', 0, '')",
            list);
        edit(sql);
    }
    edit("INSERT INTO given_key SELECT 99, 'mine', type, kcv_method, kcv, wrapped, given_by, at, "
         "forgotten_at FROM given_key LIMIT 1");
    edit("INSERT INTO finding (uid, found, ev, at) VALUES (x'04010101010101', 0, 1, 1)");
    edit("INSERT INTO fleet_import (name, count, at, salt) VALUES ('mine', 0, 1, x'00')");
    edit("INSERT INTO fleet_import VALUES (3, 'forgotten', 0, 1, x'00')");
    edit("UPDATE foreign_badge SET import = 3 - import"); /* whole lists change places */
    edit("UPDATE foreign_badge SET id = 10 - id WHERE import = 1");
    print_message("# %u edits tried, %u more refused by the database, %u not found\n", tried,
                  refused, missed);
    assert_true(tried > 500);
    assert_int_equal(missed, 0);
}

static void every_swap_of_neighbours_is_found(void **state)
{
    (void)state;
    static struct list rows;
    char sql[512];
    tried = missed = 0;
    ask(&rows, "SELECT id FROM entry WHERE id > 0");
    for (size_t r = 0; r < rows.count; r++) {
        const char *id = rows.items[r];
        (void)snprintf(sql, sizeof(sql),
                       "UPDATE entry SET id = -1 WHERE id = %s; UPDATE entry SET id = %s WHERE"
                       " id = %s - 1; UPDATE entry SET id = %s - 1 WHERE id = -1;",
                       id, id, id, id);
        edit(sql);
        (void)snprintf(sql, sizeof(sql),
                       "UPDATE hash SET id = -1 WHERE id = %s; UPDATE hash SET id = %s WHERE"
                       " id = %s - 1; UPDATE hash SET id = %s - 1 WHERE id = -1;",
                       id, id, id, id);
        edit(sql);
    }
    print_message("# %u swaps tried, %u not found\n", tried, missed);
    assert_int_equal(missed, 0);
}

static void every_cut_of_the_end_is_found(void **state)
{
    (void)state;
    static struct list rows;
    char sql[512];
    tried = missed = 0;
    ask(&rows, "SELECT id FROM entry");
    for (size_t r = 0; r < rows.count; r++) {
        uint64_t size = strtoull(rows.items[r], NULL, 10);
        /* whoever cuts knows the format: hashes and checkpoints go too */
        (void)snprintf(sql, sizeof(sql),
                       "DELETE FROM entry WHERE id >= %llu; DELETE FROM hash WHERE id >= %llu;"
                       " DELETE FROM checkpoint WHERE size > %llu;"
                       " DELETE FROM personal WHERE entry >= %llu;",
                       (unsigned long long)size, (unsigned long long)journal_hash_count(size),
                       (unsigned long long)size, (unsigned long long)size);
        edit(sql);
    }
    print_message("# %u truncations tried, %u not found\n", tried, missed);
    assert_int_equal(missed, 0);
}

static void an_older_store_in_its_place_is_found(void **state)
{
    (void)state;
    assert_int_equal(verify(older), B_E_JOURNAL_ROLLBACK);
}

static void a_rewritten_history_with_a_tree_of_its_own_is_found(void **state)
{
    (void)state;
    /* An attacker who appends to the older store what they like, and keeps every hash right. */
    struct service sv;
    copy_file(path, copy);
    copy_file(older, path);
    open_service(&sv);
    for (int i = 0; i < 60; i++)
        MUST(service_change(&sv, add_tap, &(int){1}, &err));
    close_service(&sv);
    assert_int_equal(verify(path), B_E_JOURNAL_FORK);
    copy_file(copy, path);
}

static int remove_all(void **state)
{
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command); // NOLINT(cert-env33-c)
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_untouched_store_verifies),
        cmocka_unit_test(no_table_is_left_out),
        cmocka_unit_test(every_edit_and_removal_is_found),
        cmocka_unit_test(every_swap_of_neighbours_is_found),
        cmocka_unit_test(every_cut_of_the_end_is_found),
        cmocka_unit_test(an_older_store_in_its_place_is_found),
        cmocka_unit_test(a_rewritten_history_with_a_tree_of_its_own_is_found),
    };
    return cmocka_run_group_tests(tests, build, remove_all);
}
