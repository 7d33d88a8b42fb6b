/* Lists of badges that others encoded, what scans find on them, and the figures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "desk.h"
#include "place.h"
#include "service/fleet.h"
#include "service/given.h"
#include "service/journal.h"
#include "service/verify.h"

static struct desk desk;
static struct desk_card card;
static struct store_badge badge;
static struct store_fleet_import done;
static struct service_fleet_figures figures;

static int open_desk(void **state)
{
    static unsigned number;
    char name[16];
    (void)state;
    (void)snprintf(name, sizeof(name), "7501%05u", ++number);
    desk_open(&desk, name);
    return 0;
}

static int close_desk(void **state)
{
    (void)state;
    desk_close(&desk);
    return 0;
}

static enum b_code import_as(const char *text, enum b_csv_encoding encoding)
{
    const struct service_fleet_list list = {
        .name = "/tmp/x/list.csv", .text = text, .n = strlen(text), .encoding = encoding};
    return service_fleet_import(&desk.sv, &list, &done, &desk_err);
}

static enum b_code import(const char *text)
{
    return import_as(text, B_CSV_UTF8);
}

static void expect_refused(const char *text, const char *message)
{
    int64_t before = 0, after = 0;
    MUST(store_foreign_count(desk.sv.store, &before, &desk_err));
    desk_expect(import(text), B_E_BAD_INPUT);
    if (strstr(desk_err.msg, message) == NULL)
        fail_msg("%s instead of %s", desk_err.msg, message);
    MUST(store_foreign_count(desk.sv.store, &after, &desk_err));
    assert_int_equal(before, after);
}

static void expect_whole(void)
{
    struct service_verified found;
    const struct service_verify what = {.finess = desk.sv.establishment.finess};
    MUST(service_verify(desk.sv.store, &what, &found, &desk_err));
}

static void audit(void)
{
    MUST(service_fleet_audit(&desk.sv, &figures, &desk_err));
}

/* The card is put on the reader and scanned; key: one that is given, or NULL. */
static void scan(const struct df_key *key)
{
    static struct profile_state state;
    static struct profile_plan plan;
    struct channel *ch = desk_channel(&card, (struct channel_fault){0});
    const struct service_others others = {.given = key, .given_count = key != NULL ? 1 : 0};
    MUST(service_scan(&desk.sv, ch, &others, &state, &plan, &badge, &desk_err));
    channel_free(&ch);
}

/* --- lists -------------------------------------------------------------------------------------
 */

static void a_list_is_taken_in_whole(void **state)
{
    (void)state;
    static const uint8_t uid[7] = {4, 0xA1, 0, 0, 0, 0, 2};
    struct store_foreign row;
    MUST(import("\xEF\xBB\xBFName; UID ;ref;status;note\r\n"
                "\"Martin; Anne\";04A10000000001;10001;;\r\n"
                "Ren\xC3\xA9;04:a1:00:00:00:00:02; 10002 ;suspended;at the lodge\r\n"));
    assert_int_equal(done.count, 2);
    assert_string_equal(done.name, "list.csv");
    assert_string_equal(desk_last_event(&desk), "fleet-import ok");
    MUST(store_foreign_by_uid(desk.sv.store, uid, &row, &desk_err));
    assert_string_equal(row.ref, "10002");
    assert_string_equal(row.name, "Ren\xC3\xA9");
    assert_string_equal(row.note, "at the lodge");
    assert_int_equal(row.status, STORE_FOREIGN_SUSPENDED);
    assert_int_equal(row.line, 3);
    expect_whole();
}

static void a_latin1_list_is_read_on_demand(void **state)
{
    (void)state;
    static const char text[] = "uid,ref,name\n04A10000000001,10001,Ren\xE9\n";
    expect_refused(text, "/tmp/x/list.csv:2: name: byte 25: not UTF-8");
    MUST(import_as(text, B_CSV_LATIN1));
}

static void what_is_wrong_is_named_by_line_and_column(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"", "list.csv:1: the file is empty"},
        {"uid,ref,name\n", "no badge is in it"},
        {"uid,name\n", ":1: ref: this column is missing"},
        {"uid,ref,name,uid\n", ":1: uid: this column is there twice"},
        {"uid,ref,name,phone\n", ":1: columns: they are uid, ref, name, status and note"},
        {"uid,ref,name\n04A1,1,A\n", ":2: uid: a UID is 7 bytes"},
        {"uid,ref,name\n04A1000000000100,1,A\n", ":2: uid: a UID is 7 bytes"},
        {"uid,ref,name\n010000000000A104,1,A\n", ":2: uid: a UID is 7 bytes"},
        {"uid,ref,name\n0100000000A104,1,A\n", ":2: uid: its bytes are in reverse order"},
        {"uid,ref,name\n05A10000000001,1,A\n", ":2: uid: no DESFire has it"},
        {"uid,ref,name\n04A10000000001,,A\n", ":2: ref: it is empty"},
        {"uid,ref,name\n04A10000000001,1, \n", ":2: name: it is empty"},
        {"uid,ref,name\n04A10000000001,1,A \xE2\x80\xAE"
         "eiraM\n",
         ":2: ref, name: the holder's name"},
        {"uid,ref,name\n04A10000000001,1\n", ":2: fields: fewer than the first line has"},
        {"uid,ref,name\n04A10000000001,1,A,B\n", ":2: fields: more than the first line has"},
        {"uid,ref,name,status\n04A10000000001,1,A,lost\n", ":2: status: active, suspended or"},
        {"uid,ref,name\n04A10000000001,1,\"A\n",
         ":2: name: byte 18: the quote that opens here is not closed"},
    };
    for (size_t i = 0; i < B_COUNT(rows); i++)
        expect_refused(rows[i].text, rows[i].message);
    char text[200];
    (void)snprintf(text, sizeof(text), "uid,ref,name\n04A10000000001,%0*d,A\n", 64, 0);
    expect_refused(text, ":2: ref: more than 63 bytes");
    (void)snprintf(text, sizeof(text), "uid,ref,name\n04A10000000001,1,%0*d\n", 128, 0);
    expect_refused(text, ":2: name: more than 127 bytes");
    expect_whole();
}

/* Also after a line that is no CSV; and a badge that is there twice is found among them. */
static void the_first_mistakes_are_named_and_all_are_counted(void **state)
{
    (void)state;
    static struct service_mistakes m;
    static char text[2048] = "uid,ref,name\n04A10000000001,1,A\n04A10000000002,2,\"B\" b\n"
                             "04A10000000003,3,\xE9\n04A10000000001,4,D\n";
    for (unsigned i = 0; i < SERVICE_MISTAKES_MAX; i++)
        strcat(text, "04A1,5,E\n");
    const struct service_fleet_list list = {
        .name = "list.csv", .text = text, .n = strlen(text), .mistakes = &m};
    desk_expect(service_fleet_import(&desk.sv, &list, &done, &desk_err), B_E_BAD_INPUT);
    assert_int_equal(m.count, SERVICE_MISTAKES_MAX + 3);
    assert_string_equal(m.told[0], "list.csv:3: name: byte 21: text after the closing quote");
    assert_non_null(strstr(m.told[1], "list.csv:4: name: byte 18: not UTF-8"));
    assert_string_equal(m.told[2], "list.csv:5: uid: line 2 has the same badge");
    assert_string_equal(m.told[SERVICE_MISTAKES_MAX - 1],
                        "list.csv:22: uid: a UID is 7 bytes in hexadecimal");
    assert_non_null(strstr(desk_err.msg, "23 mistakes, the first: list.csv:3: name"));
    expect_whole();
}

static void the_same_badge_twice_is_named_with_both_lines(void **state)
{
    (void)state;
    expect_refused("uid,ref,name\n04A10000000001,1,A\n04A10000000002,2,B\n04a10000000001,3,C\n",
                   ":4: uid: line 2 has the same badge");
    MUST(import("uid,ref,name\n04A10000000001,1,A\n"));
    expect_refused("uid,ref,name\n04A10000000002,2,B\n04A10000000001,1,A\n",
                   ":3: uid: line 2 of list.csv, taken in before, has the same badge");
    desk_card_new(&card, DF_EV2, 0x66);
    MUST(desk_enrol(&desk, &card, &badge));
    expect_refused("uid,ref,name\n04112233445566,2,B\n", ":2: uid: it is badge 1 of this");
    expect_whole();
}

static void many_lines_are_one_entry_of_the_journal(void **state)
{
    (void)state;
    enum { LINES = 20000, ROOM = 64 };
    uint64_t before = 0, after = 0;
    char *text = malloc((size_t)LINES * ROOM);
    assert_non_null(text);
    size_t n = (size_t)snprintf(text, ROOM, "uid,ref,name\n");
    for (unsigned i = 0; i < LINES; i++)
        n += (size_t)snprintf(text + n, ROOM, "04%012X,%u,Holder %u\n", i * 2654435761u, i, i);
    MUST(store_entry_count(desk.sv.store, &before, &desk_err));
    MUST(import(text));
    MUST(store_entry_count(desk.sv.store, &after, &desk_err));
    assert_int_equal(done.count, LINES);
    assert_int_equal(after, before + 1);
    expect_whole();
    free(text);
}

static void a_person_who_is_in_a_list_alone_can_be_erased(void **state)
{
    (void)state;
    static const uint8_t uid[7] = {4, 0xA1, 0, 0, 0, 0, 1};
    struct store_foreign row;
    uint64_t erased = 0;
    MUST(import("uid,ref,name,note\n04A10000000001,10001,Anne,x\n04A10000000002,10002,B,\n"));
    desk_expect(service_journal_erase(&desk.sv, "10003", &erased, &desk_err), B_E_NOT_FOUND);
    MUST(service_journal_erase(&desk.sv, "10001", &erased, &desk_err));
    MUST(store_foreign_by_uid(desk.sv.store, uid, &row, &desk_err));
    assert_memory_equal(row.ref, "erased-", 7);
    assert_string_equal(row.name, "");
    assert_string_equal(row.note, "");
    expect_whole();
}

static bool count_badge(void *ctx, const struct store_badge *b)
{
    (void)b;
    ++*(size_t *)ctx;
    return true;
}

static enum b_code note_ended(struct service_change *c, void *ctx, struct b_err *err)
{
    struct store_badge b = {
        .state = STORE_BADGE_REVOKED, .uid = {4, 0xA1, *(uint8_t *)ctx}, .ev = DF_EV2};
    (void)snprintf(b.holder_ref, sizeof(b.holder_ref), "10001");
    enum b_code r = store_badge_put(c->store, &b, err);
    return r == B_OK ? service_log(c, (struct service_entry){.kind = "revoke", .badge = &b}, err)
                     : r;
}

static void who_is_in_many_lists_and_had_many_badges_can_be_erased(void **state)
{
    (void)state;
    uint64_t erased = 0;
    size_t left = 0;
    int64_t list = 0;
    for (uint8_t i = 1; i <= 20; i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "uid,ref,name\n04A100000000%02X,10001,Anne\n", i);
        MUST(import(text));
        MUST(service_change(&desk.sv, note_ended, &i, &desk_err));
    }
    MUST(service_journal_erase(&desk.sv, "10001", &erased, &desk_err));
    MUST(store_badge_of(desk.sv.store, "10001", count_badge, &left, &desk_err));
    assert_int_equal(left, 0);
    desk_expect(store_foreign_import_of(desk.sv.store, "10001", &list, &desk_err), B_E_NOT_FOUND);
    expect_whole();
}

static void a_wrong_list_can_be_taken_back(void **state)
{
    (void)state;
    MUST(import("uid,ref,name\n04112233445501,1,A\n04112233445502,2,B\n"));
    desk_card_new(&card, DF_EV1, 1);
    scan(NULL);
    desk_expect(service_fleet_forget(&desk.sv, 2, &done, &desk_err), B_E_NOT_FOUND);
    MUST(service_fleet_forget(&desk.sv, 1, &done, &desk_err));
    assert_int_equal(done.count, 2);
    audit();
    assert_int_equal(service_fleet_total(&figures), 0);
    expect_whole();
    MUST(import("uid,ref,name\n04112233445501,1,Anne\n"));
    audit();
    assert_int_equal(figures.lists.found[STORE_FOUND_FACTORY], 1); /* it is still known */
    expect_whole();
}

/* --- what is found -----------------------------------------------------------------------------
 */

static void a_scan_of_a_listed_card_is_written_down(void **state)
{
    (void)state;
    MUST(import("uid,ref,name,status\n04112233445501,1,A,\n04112233445502,2,B,\n"
                "04112233445503,3,C,revoked\n04112233445504,4,D,\n"));
    audit();
    assert_int_equal(figures.lists.listed, 3);
    assert_int_equal(figures.lists.revoked, 1);
    assert_int_equal(figures.lists.unseen, 3);
    desk_card_new(&card, DF_EV1, 1);
    scan(NULL);
    assert_string_equal(desk_last_event(&desk), "finding ok");
    audit();
    assert_int_equal(figures.lists.unseen, 2);
    assert_int_equal(figures.lists.found[STORE_FOUND_FACTORY], 1);
    assert_int_equal(service_fleet_forbidden(&figures), 1);
    expect_whole();
}

static void a_card_that_no_list_names_leaves_no_trace(void **state)
{
    (void)state;
    uint64_t before = 0, after = 0;
    desk_card_new(&card, DF_EV2, 9);
    MUST(store_entry_count(desk.sv.store, &before, &desk_err));
    scan(NULL);
    MUST(store_entry_count(desk.sv.store, &after, &desk_err));
    assert_int_equal(after, before);
}

/* The card's key is changed behind our back, as another system would have set it. */
static void set_card_key(const struct df_key *key)
{
    struct picc_key *master = &card.picc.mem.master;
    memset(master, 0, sizeof(*master));
    memcpy(master->bytes, key->bytes, sizeof(master->bytes));
    master->version = key->version;
    card.picc.mem.key_type = key->type;
}

static void a_shared_key_is_found_and_not_forgotten(void **state)
{
    (void)state;
    static const struct df_key shared = {.type = DF_KEY_AES, .bytes = {1, 2, 3}, .version = 7};
    MUST(import("uid,ref,name\n04112233445501,1,A\n"));
    desk_card_new(&card, DF_EV2, 1);
    set_card_key(&shared);
    scan(NULL);
    audit();
    assert_int_equal(figures.lists.found[STORE_FOUND_UNKNOWN], 1);
    assert_int_equal(service_fleet_forbidden(&figures), 0);
    scan(&shared);
    scan(NULL);
    audit();
    assert_int_equal(figures.lists.found[STORE_FOUND_UNKNOWN], 0);
    assert_int_equal(figures.lists.found[STORE_FOUND_SHARED], 1);
    assert_int_equal(service_fleet_forbidden(&figures), 1);
    expect_whole();
}

static void the_weakest_key_that_was_found_stays(void **state)
{
    (void)state;
    static const struct df_key shared = {.type = DF_KEY_AES, .bytes = {1, 2, 3}, .version = 7};
    MUST(import("uid,ref,name\n04112233445501,1,A\n"));
    desk_card_new(&card, DF_EV2, 1);
    scan(NULL);
    set_card_key(&shared);
    scan(&shared);
    audit();
    assert_int_equal(figures.lists.found[STORE_FOUND_FACTORY], 1);
    assert_int_equal(figures.lists.found[STORE_FOUND_SHARED], 0);
    expect_whole();
}

/* --- takeover ----------------------------------------------------------------------------------
 */

static const struct df_key old_key = {.type = DF_KEY_AES, .bytes = {1, 2, 3}, .version = 7};

static enum b_code take_over(const struct df_key *key)
{
    struct channel *ch = desk_channel(&card, (struct channel_fault){0});
    const struct service_others others = {.given = key, .given_count = key != NULL ? 1 : 0};
    enum b_code r = service_takeover(&desk.sv, ch, &others, NULL, &badge, &desk_err);
    channel_free(&ch);
    return r;
}

static void a_listed_badge_becomes_its_holders(void **state)
{
    (void)state;
    struct store_badge tapped;
    MUST(import("uid,ref,name\n04112233445501,10001,Anne\n"));
    desk_card_new(&card, DF_EV1, 1);
    set_card_key(&old_key);
    desk_expect(take_over(NULL), B_E_CARD_FOREIGN);
    MUST(take_over(&old_key));
    assert_string_equal(desk_last_event(&desk), "takeover ok");
    assert_int_equal(badge.state, STORE_BADGE_ACTIVE);
    assert_string_equal(badge.holder_ref, "10001");
    assert_string_equal(badge.holder_name, "Anne");
    MUST(desk_tap(&desk, &card, &tapped));
    assert_int_equal(tapped.id, badge.id);
    audit();
    assert_int_equal(figures.lists.taken_over, 1);
    assert_int_equal(figures.conform, 1);
    desk_expect(take_over(&old_key), B_E_DUPLICATE);
    expect_whole();
}

/* A list of others may be old. */
static void a_known_holder_keeps_their_name(void **state)
{
    (void)state;
    struct store_holder holder;
    desk_card_new(&card, DF_EV2, 0x66);
    MUST(desk_enrol(&desk, &card, &badge));
    MUST(import("uid,ref,name\n04112233445501,10001234567,Anne Durand\n"));
    desk_card_new(&card, DF_EV2, 1);
    set_card_key(&old_key);
    MUST(take_over(&old_key));
    assert_string_equal(badge.holder_name, "Anne Martin");
    MUST(store_holder_by_ref(desk.sv.store, "10001234567", &holder, &desk_err));
    assert_string_equal(holder.name, "Anne Martin");
    expect_whole();
}

static void what_was_found_is_known_before_anybody_approves(void **state)
{
    (void)state;
    MUST(import("uid,ref,name\n04112233445501,10001,Anne\n"));
    desk_card_new(&card, DF_EV2, 1);
    set_card_key(&old_key);
    MUST(take_over(&old_key));
    struct store_finding f;
    MUST(store_finding_by_uid(desk.sv.store, badge.uid, &f, &desk_err));
    assert_int_equal(f.found, STORE_FOUND_SHARED);
    assert_int_equal(f.ev, DF_EV2);
}

static void a_badge_that_no_list_gives_a_holder_is_not_taken_over(void **state)
{
    (void)state;
    MUST(import("uid,ref,name,status\n04112233445502,2,B,revoked\n04112233445503,3,C,suspended\n"));
    static const enum b_code codes[] = {B_E_BADGE_UNKNOWN, B_E_BADGE_REVOKED, B_E_BADGE_SUSPENDED};
    for (size_t i = 0; i < B_COUNT(codes); i++) {
        desk_card_new(&card, DF_EV2, (uint8_t)(i + 1));
        set_card_key(&old_key);
        desk_expect(take_over(&old_key), codes[i]);
        assert_memory_equal(card.picc.mem.master.bytes, old_key.bytes, 16);
    }
}

/* The reader shows the UID of a badge that a list names; the card itself has another one. */
static void a_card_that_lies_of_its_uid_is_not_taken_over(void **state)
{
    (void)state;
    MUST(import("uid,ref,name\n04112233445501,10001,Anne\n"));
    desk_card_new(&card, DF_EV2, 2);
    set_card_key(&old_key);
    card.seen.uid[6] = 1;
    desk_expect(take_over(&old_key), B_E_CARD_CHANGED);
}

/* --- figures -----------------------------------------------------------------------------------
 */

/* The card leaves the field at the APDU, which it has acted on. */
static enum b_code tear_at(unsigned apdu)
{
    struct channel *ch =
        desk_channel(&card, (struct channel_fault){.at = apdu, .after_effect = true});
    const struct service_others others = {.given = &old_key, .given_count = 1};
    enum b_code r = service_takeover(&desk.sv, ch, &others, NULL, &badge, &desk_err);
    channel_free(&ch);
    return r;
}

static void a_torn_takeover_goes_on_with_its_badge_and_with_no_copy_of_it(void **state)
{
    enum { BADGES = 200 };
    (void)state;
    static struct desk_card copy, begun;
    static char list[BADGES * 32] = "uid,ref,name\n";
    uint8_t uid[7] = {4, 0x11, 0x22, 0x33, 0x44, 0x55};
    unsigned refused = 0;
    for (unsigned i = 1; i < BADGES; i++)
        (void)snprintf(list + strlen(list), 32, "041122334455%02X,%u,A\n", i, i);
    MUST(import(list));
    for (uint8_t at = 1;; at = (uint8_t)(at + 5)) {
        assert_true(at < BADGES);
        uid[6] = at;
        desk_card_new(&card, DF_EV2, at);
        set_card_key(&old_key);
        copy = card;
        MUST(service_fleet_wanted(&desk.sv, uid, &desk_err));
        if (tear_at(at) == B_OK)
            break;
        MUST(service_fleet_wanted(&desk.sv, uid, &desk_err));
        bool is_ours =
            memcmp(&card.picc.mem.master, &copy.picc.mem.master, sizeof(copy.picc.mem.master)) != 0;
        begun = card;
        card = copy;
        enum b_code r = take_over(&old_key);
        bool is_refused = r == B_E_BADGE_MADE_UP;
        assert_true(r == B_OK || (is_refused && is_ours));
        refused += is_refused;
        card = begun;
        if (is_refused)
            MUST(take_over(&old_key));
        desk_expect(service_fleet_wanted(&desk.sv, uid, &desk_err), B_E_NOT_FOUND);
    }
    assert_true(refused > 0);
    expect_whole();
}

/* What a copy is known by is what its badge has confirmed, by whatever clock and of whatever
 * generation. */
static void a_copy_is_refused_after_a_rotation_and_with_the_clock_set_back(void **state)
{
    enum { AFTER_CARD_KEY = 26 }; /* APDUs */
    (void)state;
    static const uint8_t uid[7] = {4, 0x11, 0x22, 0x33, 0x44, 0x55, 1};
    static struct desk_card copy, begun;
    struct store_generation g;
    struct store_badge b;
    MUST(import("uid,ref,name\n04112233445501,1,A\n"));
    desk_card_new(&card, DF_EV2, 1);
    set_card_key(&old_key);
    copy = card;
    assert_int_not_equal(tear_at(AFTER_CARD_KEY), B_OK);
    begun = card;
    for (enum key_role role = 0; role < KEY_ROLE_COUNT; role++)
        MUST(service_rotate(&desk.sv, role, &g, &desk_err));
    card = copy;
    desk_expect(take_over(&old_key), B_E_BADGE_MADE_UP);
    MUST(store_badge_by_uid(desk.sv.store, uid, &b, &desk_err));
    b.changed_at += 3600;
    MUST(store_badge_put(desk.sv.store, &b, &desk_err));
    card = copy;
    desk_expect(take_over(&old_key), B_E_BADGE_MADE_UP);
    card = begun;
    MUST(take_over(&old_key));
}

static void a_tap_takes_over_who_is_on_a_list_and_once(void **state)
{
    (void)state;
    static const uint8_t listed[7] = {4, 0x11, 0x22, 0x33, 0x44, 0x55, 1};
    static const uint8_t suspended[7] = {4, 0x11, 0x22, 0x33, 0x44, 0x55, 2};
    static const uint8_t unknown[7] = {4, 0x11, 0x22, 0x33, 0x44, 0x55, 3};
    struct store_holder holder;
    MUST(import("uid,ref,name,status\n04112233445501,1,A,\n04112233445502,2,B,suspended\n"));
    MUST(service_fleet_wanted(&desk.sv, listed, &desk_err));
    desk_expect(service_fleet_wanted(&desk.sv, suspended, &desk_err), B_E_NOT_FOUND);
    desk_expect(service_fleet_wanted(&desk.sv, unknown, &desk_err), B_E_NOT_FOUND);
    desk_card_new(&card, DF_EV3, 1);
    set_card_key(&old_key);
    MUST(take_over(&old_key));
    desk_expect(service_fleet_wanted(&desk.sv, listed, &desk_err), B_E_NOT_FOUND);
    MUST(import("uid,ref,name\n04112233445504,1,A\n"));
    static const uint8_t second[7] = {4, 0x11, 0x22, 0x33, 0x44, 0x55, 4};
    MUST(service_fleet_wanted(&desk.sv, second, &desk_err));
    MUST(service_holder_state(&desk.sv, "1", STORE_PARTY_SUSPENDED, "holder-suspend", &holder,
                              &desk_err));
    desk_expect(service_fleet_wanted(&desk.sv, second, &desk_err), B_E_NOT_FOUND);
}

static void figures_follow_the_badges(void **state)
{
    (void)state;
    struct store_generation g;
    MUST(import("uid,ref,name\n04112233445501,1,A\n04112233445502,2,B\n"));
    desk_card_new(&card, DF_EV2, 1);
    MUST(desk_enrol(&desk, &card, &badge));
    audit();
    assert_int_equal(figures.conform, 1);
    assert_int_equal(figures.lists.taken_over, 1);
    assert_int_equal(figures.lists.unseen, 1);
    assert_int_equal(service_fleet_total(&figures), 2);
    MUST(service_rotate(&desk.sv, KEY_ROLE_AUTH, &g, &desk_err));
    audit();
    assert_int_equal(figures.behind, 1);
    assert_int_equal(figures.conform, 0);
    MUST(desk_repair(&desk, &card, &badge));
    audit();
    assert_int_equal(figures.conform, 1);
    desk.sv.profile.revision++;
    audit();
    assert_int_equal(figures.behind, 1);
    desk.sv.profile.revision--;
    MUST(service_revoke(&desk.sv, badge.id, "lost", &desk_err));
    audit();
    assert_int_equal(service_fleet_total(&figures), 1);
}

static void a_badge_with_a_compromised_key_is_forbidden(void **state)
{
    (void)state;
    desk_card_new(&card, DF_EV2, 1);
    MUST(desk_enrol(&desk, &card, &badge));
    desk_compromise(&desk, KEY_ROLE_READ, 1);
    audit();
    assert_int_equal(figures.forbidden, 1);
    assert_int_equal(service_fleet_forbidden(&figures), 1);
}

/* --- badges of ours whose records are lost ------------------------------------------------------
 */

static enum b_code adopt(void)
{
    struct channel *ch = desk_channel(&card, (struct channel_fault){0});
    const struct service_others others = {.is_ours_alone = true};
    enum b_code r = service_takeover(&desk.sv, ch, &others, NULL, &badge, &desk_err);
    channel_free(&ch);
    return r;
}

/* The card is enrolled; the store then knows no badge of its UID, and a list names it. */
static void lose(enum df_ev ev)
{
    desk_card_new(&card, ev, 1);
    MUST(desk_enrol(&desk, &card, &badge));
    badge.uid[1] = 0xEE;
    MUST(store_badge_put(desk.sv.store, &badge, &desk_err));
    MUST(import("uid,ref,name\n04112233445501,10001,Anne\n"));
}

static void a_badge_of_ours_is_adopted_by_its_keys(void **state)
{
    (void)state;
    lose(DF_EV2);
    MUST(adopt());
    assert_string_equal(desk_last_event(&desk), "adoption ok");
}

/* Who learned the keys of a generation can make a card of any UID with them. */
static void a_key_of_a_generation_that_ended_adopts_nothing(void **state)
{
    (void)state;
    struct store_generation g;
    lose(DF_EV2);
    const struct picc_app *app = &card.picc.mem.apps[0];
    for (uint8_t i = 0; i < KEY_ROLE_COUNT; i++)
        MUST(service_rotate(&desk.sv, (enum key_role)i, &g, &desk_err));
    desk_compromise(&desk, KEY_ROLE_READ, 1);
    memset(&card.picc.mem.master, 0, sizeof(card.picc.mem.master));
    card.picc.mem.key_type = DF_KEY_2K3DES;
    for (uint8_t i = 0; i < 4; i++)
        if (i != KEY_ROLE_READ - KEY_ROLE_APP)
            card.picc.mem.keys[app->first_key + i] = (struct picc_key){.version = 0};
    desk_expect(adopt(), B_E_CARD_FOREIGN);
}

/* Nor does one key alone, which another system that reads badges may have: all are to be ours. */
static void a_card_with_factory_keys_besides_is_not_adopted(void **state)
{
    (void)state;
    lose(DF_EV2);
    memset(&card.picc.mem.master, 0, sizeof(card.picc.mem.master));
    card.picc.mem.key_type = DF_KEY_2K3DES;
    desk_expect(adopt(), B_E_BADGE_MADE_UP);
    desk_expect(take_over(&old_key), B_E_BADGE_MADE_UP); /* no key of theirs is on it either */
}

/* --- keys that custodians gave -----------------------------------------------------------------
 */

static enum b_code note_given(struct service_change *c, void *ctx, struct b_err *err)
{
    struct store_given k = {
        .type = "aes", .kcv_method = "CMAC-0", .kcv = {1}, .wrapped = {2}, .wrapped_len = 57};
    (void)snprintf(k.name, sizeof(k.name), "%s", (const char *)ctx);
    enum b_code r = service_note_given(c, &k, err);
    return r == B_OK ? service_log(c, (struct service_entry){.kind = "ceremony"}, err) : r;
}

static enum b_code give(const char *name)
{
    char copy[STORE_GIVEN_NAME];
    (void)snprintf(copy, sizeof(copy), "%s", name);
    return service_change(&desk.sv, note_given, copy, &desk_err);
}

static size_t gathered(void)
{
    uint8_t room[PROFILE_GIVEN_KEYS_MAX * VAULT_GIVEN];
    struct b_wr w = b_wr_from(room, sizeof(room));
    MUST(service_given_gather(desk.sv.store, &w, &desk_err));
    return w.len / VAULT_GIVEN;
}

static void given_keys_have_names_and_can_be_forgotten(void **state)
{
    (void)state;
    static const char *const none[] = {"", "Library", "a b", "a_b", "a-name-of-more-than-24-signs"};
    for (size_t i = 0; i < B_COUNT(none); i++)
        desk_expect(service_given_check(desk.sv.store, none[i], &desk_err), B_E_BAD_INPUT);
    MUST(give("library"));
    desk_expect(give("library"), B_E_DUPLICATE);
    assert_int_equal(gathered(), 1);
    desk_expect(service_given_forget(&desk.sv, "canteen", &desk_err), B_E_NOT_FOUND);
    MUST(service_given_forget(&desk.sv, "library", &desk_err));
    assert_string_equal(desk_last_event(&desk), "forget-key ok");
    desk_expect(service_given_forget(&desk.sv, "library", &desk_err), B_E_NOT_FOUND);
    assert_int_equal(gathered(), 0);
    MUST(give("library"));
    assert_int_equal(gathered(), 1);
    expect_whole();
}

static void no_more_keys_are_given_than_are_tried(void **state)
{
    (void)state;
    char name[16];
    for (int i = 0; i < PROFILE_GIVEN_KEYS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "key-%d", i);
        MUST(give(name));
    }
    desk_expect(give("another"), B_E_TOO_LARGE);
    MUST(service_given_forget(&desk.sv, "key-3", &desk_err));
    MUST(give("another"));
    assert_int_equal(gathered(), PROFILE_GIVEN_KEYS_MAX);
}

#define AT_DESK(f) cmocka_unit_test_setup_teardown(f, open_desk, close_desk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        AT_DESK(a_list_is_taken_in_whole),
        AT_DESK(a_latin1_list_is_read_on_demand),
        AT_DESK(what_is_wrong_is_named_by_line_and_column),
        AT_DESK(the_first_mistakes_are_named_and_all_are_counted),
        AT_DESK(the_same_badge_twice_is_named_with_both_lines),
        AT_DESK(many_lines_are_one_entry_of_the_journal),
        AT_DESK(a_person_who_is_in_a_list_alone_can_be_erased),
        AT_DESK(who_is_in_many_lists_and_had_many_badges_can_be_erased),
        AT_DESK(a_wrong_list_can_be_taken_back),
        AT_DESK(a_scan_of_a_listed_card_is_written_down),
        AT_DESK(a_card_that_no_list_names_leaves_no_trace),
        AT_DESK(a_shared_key_is_found_and_not_forgotten),
        AT_DESK(the_weakest_key_that_was_found_stays),
        AT_DESK(a_known_holder_keeps_their_name),
        AT_DESK(a_listed_badge_becomes_its_holders),
        AT_DESK(what_was_found_is_known_before_anybody_approves),
        AT_DESK(a_badge_that_no_list_gives_a_holder_is_not_taken_over),
        AT_DESK(a_card_that_lies_of_its_uid_is_not_taken_over),
        AT_DESK(a_torn_takeover_goes_on_with_its_badge_and_with_no_copy_of_it),
        AT_DESK(a_copy_is_refused_after_a_rotation_and_with_the_clock_set_back),
        AT_DESK(a_tap_takes_over_who_is_on_a_list_and_once),
        AT_DESK(figures_follow_the_badges),
        AT_DESK(a_badge_with_a_compromised_key_is_forbidden),
        AT_DESK(a_badge_of_ours_is_adopted_by_its_keys),
        AT_DESK(a_key_of_a_generation_that_ended_adopts_nothing),
        AT_DESK(a_card_with_factory_keys_besides_is_not_adopted),
        AT_DESK(given_keys_have_names_and_can_be_forgotten),
        AT_DESK(no_more_keys_are_given_than_are_tried),
    };
    return cmocka_run_group_tests_name("fleet", tests, desk_make_place, desk_drop_place);
}
