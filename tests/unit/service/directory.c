/* What becomes of people as the directory says it. A store and a writer, no vault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/crypto.h"
#include "service/directory.h"
#include "service/journal.h"
#include "service/verify.h"

static struct service sv;
static struct b_err err;
static char path[64];

#define MUST(call) assert_int_equal((call), B_OK)

static int open_store(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof(path), "/tmp/tessere-directory-%d.db", (int)getpid());
    sv = (struct service){.asker = {.actor = "scim:1", .request = ""}};
    struct store *writes = NULL;
    MUST(store_open(path, true, &sv.store, &err));
    MUST(store_open(path, false, &writes, &err));
    MUST(service_writer_open(writes, false, &sv.writer, &err));
    return 0;
}

static int close_store(void **state)
{
    (void)state;
    char name[96];
    static const char *const ends[] = {"", "-wal", "-shm"};
    service_writer_close(&sv.writer);
    store_free(&sv.store);
    for (size_t i = 0; i < B_COUNT(ends); i++) {
        (void)snprintf(name, sizeof(name), "%s%s", path, ends[i]);
        (void)unlink(name);
    }
    return 0;
}

/* body is written with ' for " */
static enum b_code change(enum service_verb verb, enum scim_type type, int64_t *id,
                          const char *body)
{
    char copy[1024] = "";
    for (size_t i = 0; body != NULL && i <= strlen(body); i++)
        copy[i] = body[i] == '\'' ? '"' : body[i];
    json_t *o = json_loads(copy, 0, NULL);
    struct service_resource k = {
        .type = type, .verb = verb, .id = *id, .body = o, .source = "scim:1", .base = ""};
    enum b_code r = service_resource_change(&sv, &k, &err);
    *id = k.id;
    json_decref(k.out);
    json_decref(o);
    return r;
}

static enum b_code set_active(int64_t id, bool is_active)
{
    return change(SERVICE_PATCH, SCIM_TYPE_USER, &id,
                  is_active ? "{'schemas':['urn:ietf:params:scim:api:messages:2.0:PatchOp'],"
                              "'Operations':[{'op':'replace','path':'active','value':true}]}"
                            : "{'schemas':['urn:ietf:params:scim:api:messages:2.0:PatchOp'],"
                              "'Operations':[{'op':'replace','path':'active','value':false}]}");
}

static int64_t join(const char *name)
{
    char body[256];
    int64_t id = 0;
    (void)snprintf(body, sizeof(body), "{'userName':'%s','displayName':'Mme %s'}", name, name);
    MUST(change(SERVICE_CREATE, SCIM_TYPE_USER, &id, body));
    return id;
}

static const struct store_user *user(int64_t id)
{
    static struct store_user u;
    MUST(store_user_by_id(sv.store, id, &u, &err));
    return &u;
}

static enum b_code put_badge(struct service_change *c, void *ctx, struct b_err *e)
{
    struct store_badge b = {.state = STORE_BADGE_ACTIVE, .created_at = c->now};
    const char *ref = ctx;
    crypto_random(b.uid, sizeof(b.uid));
    crypto_random(b.salt, sizeof(b.salt));
    (void)snprintf(b.holder_ref, sizeof(b.holder_ref), "%s", ref);
    enum b_code r = store_badge_put(c->store, &b, e);
    return r == B_OK ? service_log(c, (struct service_entry){.kind = "enrol", .badge = &b}, e) : r;
}

static bool count_states(void *ctx, const struct store_badge *b)
{
    ((unsigned *)ctx)[b->state]++;
    return true;
}

static unsigned badges(const char *ref, enum store_badge_state st)
{
    unsigned counts[STORE_BADGE_BLANKED + 1] = {0};
    MUST(store_badge_of(sv.store, ref, count_states, counts, &err));
    return counts[st];
}

static void journal_is_whole(void)
{
    const struct service_verify what = {.finess = "750712184"};
    struct service_verified found;
    if (service_verify(sv.store, &what, &found, &err) != B_OK)
        fail_msg("%s", err.msg);
}

/* --- tests -------------------------------------------------------------------------------------
 */

static void a_leaver_is_suspended_and_comes_back(void **state)
{
    (void)state;
    int64_t id = join("anne");
    MUST(service_change(&sv, put_badge, (char[]){"anne"}, &err));
    assert_int_equal(user(id)->state, STORE_PARTY_ACTIVE);
    MUST(set_active(id, false));
    assert_int_equal(user(id)->state, STORE_PARTY_SUSPENDED);
    MUST(set_active(id, false));
    MUST(set_active(id, true));
    assert_int_equal(user(id)->state, STORE_PARTY_ACTIVE);
    assert_int_equal(badges("anne", STORE_BADGE_ACTIVE), 1);
    journal_is_whole();
}

static void who_was_suspended_here_stays_so(void **state)
{
    (void)state;
    struct store_holder h;
    int64_t id = join("anne");
    MUST(service_holder_state(&sv, "anne", STORE_PARTY_SUSPENDED, "holder-suspend", &h, &err));
    MUST(set_active(id, true));
    assert_int_equal(user(id)->state, STORE_PARTY_SUSPENDED);
    MUST(set_active(id, false));
    MUST(set_active(id, true));
    assert_int_equal(user(id)->state, STORE_PARTY_SUSPENDED);
}

static enum b_code turn(const char *ref, enum store_party_state to)
{
    static const char *const kinds[] = {"holder-reinstate", "holder-suspend", "holder-leave"};
    struct store_holder h;
    return service_holder_state(&sv, ref, to, kinds[to], &h, &err);
}

static void who_has_left_is_not_suspended_and_does_not_come_back_that_way(void **state)
{
    (void)state;
    int64_t id = join("anne");
    MUST(turn("anne", STORE_PARTY_ENDED));
    assert_int_equal(turn("anne", STORE_PARTY_SUSPENDED), B_E_BADGE_STATE);
    assert_int_equal(turn("anne", STORE_PARTY_ACTIVE), B_E_BADGE_STATE);
    assert_int_equal(turn("anne", STORE_PARTY_ENDED), B_E_BADGE_STATE);
    assert_int_equal(user(id)->state, STORE_PARTY_ENDED);
    journal_is_whole();
}

static void whom_the_directory_says_has_left_only_the_directory_brings_back(void **state)
{
    (void)state;
    int64_t id = join("anne");
    MUST(set_active(id, false));
    assert_int_equal(turn("anne", STORE_PARTY_SUSPENDED), B_E_BADGE_STATE);
    assert_int_equal(turn("anne", STORE_PARTY_ACTIVE), B_E_BADGE_STATE);
    assert_int_equal(user(id)->state, STORE_PARTY_SUSPENDED);
    MUST(set_active(id, true));
    MUST(turn("anne", STORE_PARTY_SUSPENDED)); /* here first, and then she leaves */
    MUST(set_active(id, false));
    assert_int_equal(turn("anne", STORE_PARTY_ACTIVE), B_E_BADGE_STATE);
    MUST(set_active(id, true));
    MUST(turn("anne", STORE_PARTY_ACTIVE)); /* what was suspended here ends here */
    assert_int_equal(user(id)->state, STORE_PARTY_ACTIVE);
    journal_is_whole();
}

static void who_is_held_may_be_suspended_and_reinstated_here(void **state)
{
    (void)state;
    int64_t id = join("anne");
    sv.directory = (struct service_directory_rules){.holds_all = true};
    MUST(set_active(id, false));
    assert_int_equal(user(id)->state, STORE_PARTY_ACTIVE);
    MUST(turn("anne", STORE_PARTY_SUSPENDED));
    MUST(turn("anne", STORE_PARTY_ACTIVE));
    assert_int_equal(user(id)->state, STORE_PARTY_ACTIVE);
}

static void who_is_deleted_comes_back_without_badges(void **state)
{
    (void)state;
    int64_t id = join("anne");
    int64_t team = 0;
    char body[128];
    MUST(service_change(&sv, put_badge, (char[]){"anne"}, &err));
    (void)snprintf(body, sizeof(body), "{'displayName':'N','members':[{'value':'u%lld'}]}",
                   (long long)id);
    MUST(change(SERVICE_CREATE, SCIM_TYPE_GROUP, &team, body));
    MUST(change(SERVICE_DELETE, SCIM_TYPE_USER, &id, NULL));
    assert_int_equal(user(id)->state, STORE_PARTY_ENDED);
    assert_int_equal(badges("anne", STORE_BADGE_REVOKED), 1);
    assert_int_equal(set_active(id, true), B_E_NOT_FOUND);
    assert_int_equal(change(SERVICE_DELETE, SCIM_TYPE_USER, &id, NULL), B_E_NOT_FOUND);
    assert_int_equal(join("anne"), id);
    assert_int_equal(user(id)->state, STORE_PARTY_ACTIVE);
    assert_int_equal(badges("anne", STORE_BADGE_REVOKED), 1);
    assert_int_equal(badges("anne", STORE_BADGE_ACTIVE), 0);
    MUST(change(SERVICE_DELETE, SCIM_TYPE_GROUP, &team, NULL));
    journal_is_whole();
}

static bool is_member(const char *team, int64_t id)
{
    bool is_in = true;
    MUST(store_member_has(sv.store, team, id, &is_in, &err));
    return is_in;
}

static void who_is_in_a_group_is_told_by_its_name_in_any_case(void **state)
{
    (void)state;
    int64_t anne = join("anne");
    int64_t bert = join("bert");
    int64_t team = 0;
    int64_t other = 0;
    char body[128];
    (void)snprintf(body, sizeof(body), "{'displayName':'Nurses','members':[{'value':'u%lld'}]}",
                   (long long)anne);
    assert_false(is_member("Nurses", anne));
    MUST(change(SERVICE_CREATE, SCIM_TYPE_GROUP, &team, body));
    MUST(change(SERVICE_CREATE, SCIM_TYPE_GROUP, &other, "{'displayName':'Interns'}"));
    assert_true(is_member("Nurses", anne) && is_member("nURSES", anne));
    assert_false(is_member("Nurses", bert) || is_member("Nurse", anne) || is_member("", anne));
    assert_false(is_member("Interns", anne) || is_member("Nurses", 0));
    MUST(change(SERVICE_DELETE, SCIM_TYPE_USER, &anne, NULL));
    assert_false(is_member("Nurses", anne));
}

static void a_badge_of_before_is_the_persons_and_its_end_too(void **state)
{
    (void)state;
    struct store_holder h = {.state = STORE_PARTY_ACTIVE};
    int64_t id = 0;
    (void)snprintf(h.ref, sizeof(h.ref), "E7");
    MUST(store_holder_put(sv.store, &h, &err));
    MUST(service_change(&sv, put_badge, (char[]){"E7"}, &err));
    MUST(service_holder_state(&sv, "E7", STORE_PARTY_ENDED, "holder-leave", &h, &err));
    MUST(change(SERVICE_CREATE, SCIM_TYPE_USER, &id,
                "{'userName':'anne','urn:ietf:params:scim:schemas:extension:enterprise:2.0:User':"
                "{'employeeNumber':'E7'}}"));
    assert_int_equal(id, h.id);
    assert_int_equal(user(id)->state, STORE_PARTY_ACTIVE);
    assert_int_equal(badges("E7", STORE_BADGE_REVOKED), 1); /* not given back by the way */
}

static void revocation_waits_for_the_end_of_grace(void **state)
{
    (void)state;
    int64_t id = join("anne");
    MUST(service_change(&sv, put_badge, (char[]){"anne"}, &err));
    sv.directory =
        (struct service_directory_rules){.leaver = SERVICE_LEAVER_REVOKE, .grace_s = 3600};
    MUST(set_active(id, false));
    assert_int_equal(user(id)->state, STORE_PARTY_SUSPENDED);
    MUST(service_directory_tick(&sv, &err));
    assert_int_equal(badges("anne", STORE_BADGE_ACTIVE), 1);
    MUST(set_active(id, true));
    assert_int_equal(user(id)->state, STORE_PARTY_ACTIVE);
    assert_int_equal(user(id)->ends_at, 0);
    sv.directory.grace_s = -1; /* over already */
    MUST(set_active(id, false));
    assert_int_equal(badges("anne", STORE_BADGE_ACTIVE), 1);
    MUST(service_directory_tick(&sv, &err));
    assert_int_equal(user(id)->state, STORE_PARTY_ENDED);
    assert_int_equal(badges("anne", STORE_BADGE_REVOKED), 1);
    MUST(service_directory_tick(&sv, &err));
    journal_is_whole();
}

static void without_grace_it_does_not_wait(void **state)
{
    (void)state;
    int64_t id = join("anne");
    MUST(service_change(&sv, put_badge, (char[]){"anne"}, &err));
    sv.directory.leaver = SERVICE_LEAVER_REVOKE;
    MUST(set_active(id, false));
    assert_int_equal(user(id)->state, STORE_PARTY_ENDED);
    assert_int_equal(badges("anne", STORE_BADGE_REVOKED), 1);
}

static void too_many_leavers_are_held_until_somebody_speaks(void **state)
{
    (void)state;
    enum { STAFF = 100, LEAVERS = 20, LEAST = 10 };
    int64_t ids[STAFF];
    int64_t count = 0;
    struct store_user_counts k;
    for (int i = 0; i < STAFF; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "p%d", i);
        ids[i] = join(name);
    }
    for (int i = 0; i < LEAVERS; i++)
        MUST(set_active(ids[i], false));
    for (int i = 0; i < LEAVERS; i++) {
        assert_int_equal(user(ids[i])->state,
                         i < LEAST ? STORE_PARTY_SUSPENDED : STORE_PARTY_ACTIVE);
        assert_int_equal(user(ids[i])->is_held, i >= LEAST);
    }
    MUST(store_user_count(sv.store, 0, &k, &err));
    assert_int_equal(k.held, LEAVERS - LEAST);
    MUST(change(SERVICE_DELETE, SCIM_TYPE_USER, &ids[19], NULL)); /* held stays held */
    assert_int_equal(user(ids[19])->state, STORE_PARTY_ACTIVE);
    MUST(set_active(ids[18], true));
    assert_false(user(ids[18])->is_held);
    MUST(service_directory_release(&sv, false, &count, &err));
    assert_int_equal(count, LEAVERS - LEAST - 1);
    assert_int_equal(user(ids[19])->state, STORE_PARTY_ENDED);
    assert_int_equal(user(ids[17])->state, STORE_PARTY_SUSPENDED);
    assert_int_equal(user(ids[18])->state, STORE_PARTY_ACTIVE);
    MUST(set_active(ids[50], false));
    MUST(service_directory_release(&sv, true, &count, &err));
    assert_int_equal(count, 1);
    assert_int_equal(user(ids[50])->wish, STORE_WISH_ACTIVE);
    journal_is_whole();
}

static void who_comes_as_disabled_is_no_leaver(void **state)
{
    (void)state;
    for (int i = 0; i < 40; i++) {
        int64_t id = 0;
        char body[64];
        (void)snprintf(body, sizeof(body), "{'userName':'p%d','active':false}", i);
        MUST(change(SERVICE_CREATE, SCIM_TYPE_USER, &id, body));
        assert_int_equal(user(id)->state, STORE_PARTY_SUSPENDED);
        assert_false(user(id)->is_held);
        MUST(set_active(id, true));
        assert_int_equal(user(id)->state, STORE_PARTY_ACTIVE);
    }
    journal_is_whole();
}

static void a_token_is_known_until_it_ends(void **state)
{
    (void)state;
    struct store_token t;
    char text[SERVICE_TOKEN_TEXT];
    char old[SERVICE_TOKEN_TEXT];
    MUST(service_token_add(&sv, "idm", STORE_RIGHT_READ, 0, &t, text, &err));
    assert_int_equal(service_token_add(&sv, "idm", STORE_RIGHT_READ, 0, &t, old, &err),
                     B_E_DUPLICATE);
    MUST(service_token_find(sv.store, text, &t, &err));
    assert_int_equal(t.rights, STORE_RIGHT_READ);
    text[20] ^= 1;
    assert_int_equal(service_token_find(sv.store, text, &t, &err), B_E_TOKEN_UNKNOWN);
    text[20] ^= 1;
    MUST(service_token_revoke(&sv, "idm", &t, &err));
    assert_int_equal(service_token_find(sv.store, text, &t, &err), B_E_TOKEN_UNKNOWN);
    assert_int_equal(service_token_revoke(&sv, "idm", &t, &err), B_E_BADGE_STATE);
    MUST(service_token_add(&sv, "old", STORE_RIGHT_READ, 1, &t, old, &err));
    assert_int_equal(service_token_find(sv.store, old, &t, &err), B_E_TOKEN_UNKNOWN);
    assert_int_equal(service_rights_from("scim:read,scim:write"), 3);
    assert_int_equal(service_rights_from("scim:read,"), 1);
    assert_int_equal(service_rights_from("scim:admin"), 0);
    journal_is_whole();
}

static void what_was_changed_behind_the_journal_is_found(void **state)
{
    (void)state;
    struct store_user u;
    int64_t id = join("anne");
    int64_t team = 0;
    journal_is_whole();
    u = *user(id);
    u.verified_at = 1;
    MUST(store_user_put(sv.store, &u, &err));
    const struct service_verify what = {.finess = "750712184"};
    struct service_verified found;
    assert_int_equal(service_verify(sv.store, &what, &found, &err), B_E_JOURNAL_BROKEN);
    u.verified_at = 0;
    MUST(store_user_put(sv.store, &u, &err));
    journal_is_whole();
    MUST(change(SERVICE_CREATE, SCIM_TYPE_GROUP, &team, "{'displayName':'N'}"));
    MUST(store_member_set(sv.store, team, id, true, &err));
    assert_int_equal(service_verify(sv.store, &what, &found, &err), B_E_JOURNAL_BROKEN);
}

static void who_is_erased_leaves_nothing(void **state)
{
    (void)state;
    uint64_t count = 0;
    int64_t id = join("anne");
    MUST(service_journal_erase(&sv, "anne", &count, &err));
    struct store_user u = *user(id);
    assert_null(strstr(u.user_name, "anne"));
    assert_string_equal(u.name, "");
    assert_int_equal(u.wish, STORE_WISH_DELETED);
    journal_is_whole();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_store, close_store)
    const struct CMUnitTest tests[] = {
        TEST(a_leaver_is_suspended_and_comes_back),
        TEST(who_was_suspended_here_stays_so),
        TEST(who_has_left_is_not_suspended_and_does_not_come_back_that_way),
        TEST(whom_the_directory_says_has_left_only_the_directory_brings_back),
        TEST(who_is_held_may_be_suspended_and_reinstated_here),
        TEST(who_is_in_a_group_is_told_by_its_name_in_any_case),
        TEST(who_is_deleted_comes_back_without_badges),
        TEST(a_badge_of_before_is_the_persons_and_its_end_too),
        TEST(revocation_waits_for_the_end_of_grace),
        TEST(without_grace_it_does_not_wait),
        TEST(too_many_leavers_are_held_until_somebody_speaks),
        TEST(who_comes_as_disabled_is_no_leaver),
        TEST(a_token_is_known_until_it_ends),
        TEST(what_was_changed_behind_the_journal_is_found),
        TEST(who_is_erased_leaves_nothing),
    };
    return cmocka_run_group_tests_name("directory", tests, NULL, NULL);
}
