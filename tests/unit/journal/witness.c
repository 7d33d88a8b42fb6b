/* The witness: follows a journal that grows, and refuses, with the reason, each other thing that a
 * journal can show it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/sign.h"
#include "log.h"

static struct log one, forked;
static struct journal_witness w;
static struct journal_growth g;
static struct b_err err;

enum { SIZE = 100, FORK_AT = 40 };

static int build(void **state)
{
    (void)state;
    log_build(&one, SIZE, SIZE, ' ');
    log_build(&forked, SIZE, FORK_AT, '!');
    return 0;
}

/* A witness that has seen the first `size` entries. */
static void seen(uint64_t size)
{
    journal_witness_init(&w, &one.signer);
    if (size == 0)
        return;
    log_grow(&one, 0, size, &g);
    assert_int_equal(journal_witness_step(&w, &g, &err), B_OK);
    assert_int_equal(w.last.size, size);
}

/* Refused with this reason, and nothing was forgotten. */
static void refused(enum b_code why)
{
    struct journal_checkpoint before = w.last;
    assert_int_equal(journal_witness_step(&w, &g, &err), why);
    assert_int_equal(err.code, why);
    assert_memory_equal(&before, &w.last, sizeof(before));
}

static void a_journal_is_followed_from_a_size_to_any_larger(void **state)
{
    (void)state;
    for (uint64_t old = 0; old <= SIZE; old += 3) {
        for (uint64_t size = old; size <= SIZE; size += 4) {
            seen(old);
            log_grow(&one, old, size, &g);
            assert_int_equal(journal_witness_step(&w, &g, &err), B_OK);
            assert_int_equal(w.last.size, size);
            assert_memory_equal(w.last.root, one.roots[size], JOURNAL_HASH);
        }
    }
}

static void a_fork_is_refused_at_any_size(void **state)
{
    (void)state;
    for (uint64_t old = FORK_AT + 1; old <= SIZE; old += 7) {
        seen(old);
        for (uint64_t size = FORK_AT + 1; size <= SIZE; size += 2) {
            log_grow(&forked, size < old ? 0 : old, size, &g);
            refused(size < old    ? B_E_JOURNAL_ROLLBACK
                    : size == old ? B_E_JOURNAL_FORK
                                  : B_E_JOURNAL_PROOF);
        }
    }
}

static void a_fork_before_it_was_seen_is_no_fork(void **state)
{
    (void)state;
    seen(FORK_AT);
    log_grow(&forked, FORK_AT, SIZE, &g);
    assert_int_equal(journal_witness_step(&w, &g, &err), B_OK);
    log_grow(&one, SIZE, SIZE, &g);
    refused(B_E_JOURNAL_FORK);
}

static void a_shorter_journal_is_a_rollback(void **state)
{
    (void)state;
    seen(SIZE);
    for (uint64_t size = 0; size < SIZE; size++) {
        log_grow(&one, 0, size, &g);
        refused(B_E_JOURNAL_ROLLBACK);
    }
}

static void a_proof_that_does_not_start_at_what_was_seen_is_refused(void **state)
{
    (void)state;
    seen(50);
    for (uint64_t old = 0; old <= 60; old++) {
        log_grow(&one, old, 60, &g);
        if (old == 50)
            continue;
        refused(B_E_JOURNAL_PROOF);
        assert_non_null(strstr(err.msg, "50 were seen")); /* where to start from */
    }
    seen(0);
    log_grow(&one, 50, 60, &g);
    refused(B_E_JOURNAL_PROOF);
    log_grow(&one, 50, 60, &g);
    g.old = 0; /* hashes that prove nothing */
    refused(B_E_JOURNAL_PROOF);
}

static void a_proof_that_was_changed_is_refused(void **state)
{
    (void)state;
    seen(37);
    log_grow(&one, 37, 90, &g);
    size_t count = g.proof.count;
    for (size_t i = 0; i < count; i++) {
        g.proof.hashes[i][i] ^= 1;
        refused(B_E_JOURNAL_PROOF);
        g.proof.hashes[i][i] ^= 1;
        g.proof.count = i;
        refused(B_E_JOURNAL_PROOF);
        g.proof.count = count;
    }
    g.proof.count++;
    refused(B_E_JOURNAL_PROOF);
    g.proof.count--;
    assert_int_equal(journal_witness_step(&w, &g, &err), B_OK);
}

static void a_checkpoint_that_the_journal_did_not_sign_is_refused(void **state)
{
    (void)state;
    seen(50);
    log_grow(&one, 50, 60, &g);
    size_t n = strlen(g.note);
    for (size_t i = 0; i < n; i++) {
        g.note[i] ^= 1;
        refused(B_E_JOURNAL_SIGNATURE);
        g.note[i] ^= 1;
    }
    g.note[0] = '\0';
    refused(B_E_JOURNAL_SIGNATURE);
    one.seed[0] ^= 1;
    log_grow(&one, 50, 60, &g);
    one.seed[0] ^= 1;
    refused(B_E_JOURNAL_SIGNATURE);
}

/* The right key under the right name, and the origin of another journal. */
static void a_checkpoint_of_another_journal_is_refused(void **state)
{
    (void)state;
    struct journal_checkpoint c = {.origin = "tessere/990000001", .size = 60};
    uint8_t signature[64];
    seen(50);
    log_grow(&one, 50, 60, &g);
    memcpy(c.root, one.roots[60], sizeof(c.root));
    assert_true(journal_checkpoint_print(&c, g.note, sizeof(g.note)));
    crypto_ed25519_sign(one.seed, g.note, strlen(g.note), signature);
    assert_true(journal_note_add(g.note, sizeof(g.note), &one.signer, signature, 64));
    assert_true(journal_note_verify(g.note, strlen(g.note), &one.signer, NULL));
    refused(B_E_JOURNAL_SIGNATURE);
}

static void an_empty_journal_has_one_root_only(void **state)
{
    (void)state;
    seen(0);
    log_grow(&one, 0, 0, &g);
    assert_int_equal(journal_witness_step(&w, &g, &err), B_OK);
    memcpy(one.roots[0], one.roots[1], JOURNAL_HASH);
    log_grow(&one, 0, 0, &g);
    refused(B_E_JOURNAL_FORK);
    assert_int_equal(build(NULL), 0);
}

static void a_witness_goes_on_from_the_note_that_it_kept(void **state)
{
    (void)state;
    static char kept[JOURNAL_NOTE_MAX + 1];
    seen(50);
    (void)strcpy(kept, g.note);
    journal_witness_init(&w, &one.signer);
    assert_int_equal(journal_witness_load(&w, kept, strlen(kept), &err), B_OK);
    assert_int_equal(w.last.size, 50);
    log_grow(&forked, 0, 60, &g);
    refused(B_E_JOURNAL_PROOF);
    log_grow(&one, 50, 60, &g);
    assert_int_equal(journal_witness_step(&w, &g, &err), B_OK);
    kept[20] ^= 1;
    assert_int_equal(journal_witness_load(&w, kept, strlen(kept), &err), B_E_JOURNAL_SIGNATURE);
    assert_int_equal(w.last.size, 60);
}

/* The log's signature stays, the witness's comes after it, and both open the note. */
static void a_cosigned_checkpoint_opens_for_both(void **state)
{
    (void)state;
    const uint8_t seed[32] = {9};
    uint64_t at = 0;
    struct journal_signer witness = {.name = "temoin/ght-sud",
                                     .algorithm = JOURNAL_ALGORITHM_COSIGNATURE};
    crypto_ed25519_public(seed, witness.key);
    seen(50);
    assert_true(journal_witness_cosign(witness.name, seed, 1795464000, g.note, sizeof(g.note)));
    assert_true(journal_note_verify(g.note, strlen(g.note), &one.signer, NULL));
    assert_true(journal_note_verify(g.note, strlen(g.note), &witness, &at));
    assert_int_equal(at, 1795464000);
    /* A cosigned checkpoint is as good as a plain one. */
    journal_witness_init(&w, &one.signer);
    assert_int_equal(journal_witness_step(&w, &g, &err), B_OK);
    /* Another time is another statement. */
    char *line = strstr(g.note, "temoin/ght-sud ");
    assert_non_null(line);
    line[15 + 9] ^= 1;
    assert_false(journal_note_verify(g.note, strlen(g.note), &witness, NULL));
    char small[64] = "no note";
    assert_false(journal_witness_cosign(witness.name, seed, 1, small, sizeof(small)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_journal_is_followed_from_a_size_to_any_larger),
        cmocka_unit_test(a_fork_is_refused_at_any_size),
        cmocka_unit_test(a_fork_before_it_was_seen_is_no_fork),
        cmocka_unit_test(a_shorter_journal_is_a_rollback),
        cmocka_unit_test(a_proof_that_does_not_start_at_what_was_seen_is_refused),
        cmocka_unit_test(a_proof_that_was_changed_is_refused),
        cmocka_unit_test(a_checkpoint_that_the_journal_did_not_sign_is_refused),
        cmocka_unit_test(a_checkpoint_of_another_journal_is_refused),
        cmocka_unit_test(an_empty_journal_has_one_root_only),
        cmocka_unit_test(a_witness_goes_on_from_the_note_that_it_kept),
        cmocka_unit_test(a_cosigned_checkpoint_opens_for_both),
    };
    return cmocka_run_group_tests(tests, build, NULL);
}
