/* Letters are written with the change that they tell of, or not at all; what answers mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "events/events.h"
#include "store/driver.h"

static char dir[] = "/tmp/tessere-outbox-XXXXXX";
static char path[64];
static struct b_err err;
static struct service sv;
static struct store *writing; /* the writer's, which has no thread here */

#define MUST(x) assert_int_equal(x, B_OK)

static int open_all(void **state)
{
    static const struct store_subscription wanted[] = {{"badge.revoked", "one"},
                                                       {"badge.revoked", "two"},
                                                       {"tap.refused", "two"},
                                                       {"session-revoked", "three"}};
    (void)state;
    (void)unlink(path);
    MUST(store_open(path, true, &sv.store, &err));
    MUST(store_open(path, true, &writing, &err));
    MUST(service_writer_open(writing, false, &sv.writer, &err));
    sv.asker = (struct service_asker){.actor = "test", .request = ""};
    MUST(service_outbox_subscribe(&sv, wanted, B_COUNT(wanted), &err));
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    service_writer_close(&sv.writer);
    store_free(&sv.store);
    return 0;
}

static int64_t count(enum store_letter_state st)
{
    int64_t n = 0;
    MUST(store_letter_count(sv.store, st, &n, &err));
    return n;
}

static uint64_t entries(void)
{
    uint64_t n = 0;
    MUST(store_entry_count(sv.store, &n, &err));
    return n;
}

static enum b_code log_kind(struct service_change *c, void *ctx, struct b_err *e)
{
    return service_log(c, (struct service_entry){.kind = ctx, .badge_id = 7}, e);
}

static enum b_code log_and_fail(struct service_change *c, void *ctx, struct b_err *e)
{
    enum b_code r = log_kind(c, ctx, e);
    return r == B_OK ? b_err_set(e, B_E_REFUSED, 0, "no") : r;
}

static enum b_code log_refusal(struct service_change *c, void *ctx, struct b_err *e)
{
    (void)ctx;
    return service_log(c, (struct service_entry){.kind = "tap", .outcome = B_E_PIN_WRONG}, e);
}

static char revoked[] = "revoke";
static char tapped[] = "tap";
static char enrolled[] = "enrol";

/* --- in one transaction ------------------------------------------------------------------------
 */

static void each_subscriber_gets_a_letter_of_what_it_wants(void **state)
{
    (void)state;
    struct store_letter l;
    MUST(service_change(&sv, log_kind, revoked, &err));
    assert_int_equal(count(STORE_LETTER_WAITING), 3);
    MUST(store_letter_by_id(sv.store, 1, &l, &err));
    assert_string_equal(l.subscriber, "one");
    assert_string_equal(l.kind, "badge.revoked");
    assert_int_equal(strlen(l.tag), 16);
    assert_non_null(strstr(l.body, "\"badge\":7"));
    MUST(service_change(&sv, log_kind, enrolled, &err));
    assert_int_equal(count(STORE_LETTER_WAITING), 3);
}

static void granted_and_refused_are_two_events(void **state)
{
    (void)state;
    struct store_letter l;
    MUST(service_change(&sv, log_kind, tapped, &err));
    assert_int_equal(count(STORE_LETTER_WAITING), 0);
    MUST(service_change(&sv, log_refusal, NULL, &err));
    MUST(store_letter_by_id(sv.store, 1, &l, &err));
    assert_string_equal(l.kind, "tap.refused");
    assert_non_null(strstr(l.body, "\"outcome\":\"pin-wrong\""));
}

static void a_change_that_is_undone_leaves_no_letter(void **state)
{
    (void)state;
    uint64_t before = entries();
    assert_int_equal(service_change(&sv, log_and_fail, revoked, &err), B_E_REFUSED);
    assert_int_equal(count(STORE_LETTER_STATES), 0);
    assert_int_equal(entries(), before);
}

/* Change after change, until the disk takes no more: entries and letters always agree. */
static void a_full_disk_takes_change_and_letter_or_neither(void **state)
{
    (void)state;
    uint64_t before = entries();
    enum b_code r = B_OK;
    MUST(driver_exec(writing->driver, "PRAGMA max_page_count = 60", &err));
    for (int i = 0; i < 2000 && r == B_OK; i++)
        r = service_change(&sv, log_kind, revoked, &err);
    assert_int_equal(r, B_E_STORE_FULL);
    assert_true(entries() > before);
    assert_int_equal(count(STORE_LETTER_WAITING), 3 * (entries() - before));
    MUST(driver_exec(writing->driver, "PRAGMA max_page_count = 100000", &err));
    MUST(service_change(&sv, log_kind, revoked, &err));
    assert_int_equal(count(STORE_LETTER_WAITING), 3 * (entries() - before));
}

/* --- order -------------------------------------------------------------------------------------
 */

struct heads {
    int64_t ids[8];
    size_t count;
};

static bool add_head(void *ctx, const struct store_letter *l)
{
    struct heads *h = ctx;
    h->ids[h->count++] = l->id;
    return true;
}

static struct heads heads(void)
{
    struct heads h = {.count = 0};
    MUST(store_letter_heads(sv.store, add_head, &h, &err));
    return h;
}

static void the_oldest_of_each_subscriber_is_next(void **state)
{
    (void)state;
    struct store_letter l;
    for (int i = 0; i < 3; i++)
        MUST(service_change(&sv, log_kind, revoked, &err));
    struct heads h = heads();
    assert_int_equal(h.count, 3);
    for (size_t i = 0; i < h.count; i++)
        assert_int_equal(h.ids[i], i + 1);
    MUST(store_letter_by_id(sv.store, 2, &l, &err));
    l.state = STORE_LETTER_DEAD;
    MUST(service_outbox_told(&sv, &l, &err));
    h = heads();
    assert_int_equal(h.count, 3);
    assert_int_equal(h.ids[0] + h.ids[1] + h.ids[2], 1 + 3 + 5);
    MUST(service_outbox_retry(&sv, 2, &err));
    h = heads();
    assert_int_equal(h.ids[0] + h.ids[1] + h.ids[2], 1 + 2 + 3);
}

static void what_a_person_decided_meanwhile_stands(void **state)
{
    (void)state;
    struct store_letter l;
    MUST(service_change(&sv, log_kind, revoked, &err));
    MUST(store_letter_by_id(sv.store, 1, &l, &err));
    MUST(service_outbox_drop(&sv, 1, &err));
    l.state = STORE_LETTER_DELIVERED;
    MUST(service_outbox_told(&sv, &l, &err));
    assert_int_equal(store_letter_by_id(sv.store, 1, &l, &err), B_E_NOT_FOUND);
    assert_int_equal(service_outbox_drop(&sv, 1, &err), B_E_NOT_FOUND);
    assert_int_equal(service_outbox_retry(&sv, 1, &err), B_E_NOT_FOUND);
}

static void letters_of_who_left_are_kept_dead(void **state)
{
    (void)state;
    static const struct store_subscription left[] = {{"badge.revoked", "two"}};
    struct store_letter l;
    MUST(service_change(&sv, log_kind, revoked, &err));
    MUST(service_outbox_subscribe(&sv, left, 1, &err));
    assert_int_equal(count(STORE_LETTER_WAITING), 1);
    assert_int_equal(count(STORE_LETTER_DEAD), 2);
    MUST(store_letter_by_id(sv.store, 1, &l, &err));
    assert_string_equal(l.error, "the subscriber was removed");
    uint64_t before = entries();
    MUST(service_outbox_subscribe(&sv, left, 1, &err));
    assert_int_equal(entries(), before); /* nothing changed, nothing told */
}

static void the_oldest_go_when_too_many_wait(void **state)
{
    (void)state;
    int64_t lost = 0;
    for (int i = 0; i < 5; i++)
        MUST(service_change(&sv, log_kind, revoked, &err));
    MUST(store_begin(writing, &err));
    MUST(store_letter_trim(writing, "one", 2, &lost, &err));
    assert_int_equal(lost, 3);
    MUST(store_letter_trim(writing, "one", 2, &lost, &err));
    assert_int_equal(lost, 0);
    MUST(store_commit(writing, &err));
    assert_int_equal(heads().ids[2], 10); /* of "one", whose letters were 1, 4, 7, 10, 13 */
    assert_int_equal(count(STORE_LETTER_WAITING), 12);
    MUST(service_outbox_forget(&sv, &err));
    assert_int_equal(count(STORE_LETTER_WAITING), 12);
}

/* --- forms and answers -------------------------------------------------------------------------
 */

static void names_of_events_fit_and_say_one_form(void **state)
{
    (void)state;
    const struct service_event *e = NULL;
    for (size_t i = 0; (e = service_event_at(i)) != NULL; i++) {
        assert_true(strlen(e->name) < STORE_EVENT_MAX);
        assert_int_equal(service_event_named(e->name)->form, e->form);
        assert_string_not_equal(e->name, SERVICE_LETTER_LOGOUT);
    }
}

static void a_letter_goes_in_no_other_form_than_its_own(void **state)
{
    (void)state;
    static struct events_config c = {.issuer = "https://kms.example", .count = 1};
    static char body[EVENTS_BODY_MAX];
    static struct remote_post post;
    struct events_subscriber *s = &c.subscribers[0];
    const struct events_signer none = {.sign = NULL};
    const struct events_form f = {
        .config = &c, .subscriber = s, .signer = &none, .staff_id = "", .now = 1000};
    struct store_letter l = {.id = 5,
                             .tag = "0123456789ABCDEF",
                             .kind = "badge.revoked",
                             .body = "{\"at\":0,\"badge\":7,\"outcome\":\"ok\"}"};
    s->form = SERVICE_EVENT_WEBHOOK;
    s->secret_count = 2;
    s->secrets[0].n = s->secrets[1].n = 32;
    MUST(events_form(&f, &l, body, &post, &err));
    assert_string_equal(body, "{\"data\":{\"badge\":7,\"outcome\":\"ok\"},\"timestamp\":"
                              "\"1970-01-01T00:00:00Z\",\"type\":\"badge.revoked\"}");
    assert_string_equal(post.headers[1], "webhook-id: msg_5_0123456789ABCDEF");
    assert_string_equal(post.headers[2], "webhook-timestamp: 1000");
    assert_int_equal(strlen(post.headers[3]), strlen("webhook-signature:") + 2 * (4 + 44));
    s->form = SERVICE_EVENT_CAEP;
    assert_int_equal(events_form(&f, &l, body, &post, &err), B_E_CONFIG);
    (void)snprintf(l.kind, sizeof(l.kind), "session-revoked");
    assert_int_equal(events_form(&f, &l, body, &post, &err), B_E_SYSTEM); /* nothing signs */
    (void)snprintf(l.kind, sizeof(l.kind), "of.another.version");
    assert_int_equal(events_form(&f, &l, body, &post, &err), B_E_CONFIG);
    (void)snprintf(l.kind, sizeof(l.kind), "session-revoked");
    (void)snprintf(l.body, sizeof(l.body), "{");
    assert_int_equal(events_form(&f, &l, body, &post, &err), B_E_CONFIG);
}

static void answers_are_judged_by_what_was_sent(void **state)
{
    (void)state;
    static const struct {
        const char *kind;
        long status;
        const char *body, *why;
        enum events_verdict verdict;
    } cases[] = {
        {"badge.revoked", 200, "", "", EVENTS_TAKEN},
        {"badge.revoked", 204, "", "", EVENTS_TAKEN},
        {"badge.revoked", 302, "", "status 302: no redirect is followed", EVENTS_AGAIN},
        {"badge.revoked", 400, "{\"err\":\"invalid_request\"}", "status 400", EVENTS_AGAIN},
        {"badge.revoked", 410, "", "status 410", EVENTS_REFUSED},
        {"badge.revoked", 500, "", "status 500", EVENTS_AGAIN},
        {"session-revoked", 202, "", "", EVENTS_TAKEN},
        {"session-revoked", 400, "{\"err\":\"invalid_issuer\"}", "status 400: invalid_issuer",
         EVENTS_REFUSED},
        {"session-revoked", 400, "{\"err\":\"access_denied\"}", "status 400: access_denied",
         EVENTS_AGAIN},
        {"session-revoked", 400, "<html>", "status 400: without a reason", EVENTS_AGAIN},
        {"session-revoked", 400, "{\"err\":\"\\u001b[31mred\"}", "status 400: without a reason",
         EVENTS_AGAIN},
        {"session-revoked", 410, "", "status 410", EVENTS_AGAIN},
        {"logout", 200, "", "", EVENTS_TAKEN},
        {"logout", 400, "{\"err\":\"invalid_request\"}", "status 400", EVENTS_AGAIN},
    };
    for (size_t i = 0; i < B_COUNT(cases); i++) {
        static struct remote_posted a;
        char why[STORE_LETTER_ERROR];
        a = (struct remote_posted){.status = cases[i].status};
        (void)snprintf(a.body, sizeof(a.body), "%s", cases[i].body);
        assert_int_equal(events_judge(cases[i].kind, &a, why, sizeof(why)), cases[i].verdict);
        assert_string_equal(why, cases[i].why);
    }
}

static void pauses_grow_and_have_an_end(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 100; n++) {
        unsigned most = n < 12 ? 1u << n : 3600;
        unsigned pause = events_pause_s(n);
        assert_true(pause <= most && pause >= most / 2 && pause > 0);
    }
}

static void addresses_are_of_the_web_and_safe(void **state)
{
    (void)state;
    static const char *const good[] = {"https://kms.example/x?y=1", "https://10.0.0.1:8443/",
                                       "http://127.0.0.1:8000/", "http://localhost/",
                                       "http://[::1]:1/"};
    static const char *const bad[] = {"http://example.org/",      "http://127.0.0.1.example.org/",
                                      "ftp://localhost/",         "file:///etc/passwd",
                                      "https://a@example.org/",   "https://a:b@example.org/",
                                      "https://example.org/#x",   "example.org",
                                      "http://169.254.169.254/x", ""};
    for (size_t i = 0; i < B_COUNT(good); i++)
        MUST(remote_post_may(good[i], &err));
    for (size_t i = 0; i < B_COUNT(bad); i++)
        assert_int_equal(remote_post_may(bad[i], &err), B_E_CONFIG);
}

int main(void)
{
    if (mkdtemp(dir) == NULL)
        return 1;
    (void)snprintf(path, sizeof(path), "%s/store.db", dir);
#define ON_STORE(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)
    const struct CMUnitTest tests[] = {
        ON_STORE(each_subscriber_gets_a_letter_of_what_it_wants),
        ON_STORE(granted_and_refused_are_two_events),
        ON_STORE(a_change_that_is_undone_leaves_no_letter),
        ON_STORE(a_full_disk_takes_change_and_letter_or_neither),
        ON_STORE(the_oldest_of_each_subscriber_is_next),
        ON_STORE(what_a_person_decided_meanwhile_stands),
        ON_STORE(letters_of_who_left_are_kept_dead),
        ON_STORE(the_oldest_go_when_too_many_wait),
        cmocka_unit_test(names_of_events_fit_and_say_one_form),
        cmocka_unit_test(a_letter_goes_in_no_other_form_than_its_own),
        cmocka_unit_test(answers_are_judged_by_what_was_sent),
        cmocka_unit_test(pauses_grow_and_have_an_end),
        cmocka_unit_test(addresses_are_of_the_web_and_safe),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(path);
    (void)rmdir(dir);
    return failed;
}
