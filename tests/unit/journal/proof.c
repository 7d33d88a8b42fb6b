/* Proofs as text: the example of C2SP tlog-proof, what is written is read and holds, and what is
 * not in the form is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/sign.h"
#include "log.h"

static struct log one;
static struct journal_inclusion inclusion, again;
static struct journal_growth growth, growth_again;
static char text[JOURNAL_PROOF_TEXT_MAX], text_again[JOURNAL_PROOF_TEXT_MAX];

/* C2SP tlog-proof, with the checkpoint of C2SP tlog-checkpoint in place of its shortened one; the
 * example's extra data there is cut so that it is whole base64. */
#define CHECKPOINT                                                                              \
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"   \
    "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/" \
    "Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
#define HASHES                                       \
    "gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\n" \
    "B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=\n" \
    "EKNzoDWG8LGC0Yp9o+sv3qllpMP9uHQ9B20KNL+Q1zs=\n"
static const char published[] = "c2sp.org/tlog-proof@v1\n"
                                "extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6\n"
                                "index 73894\n" HASHES "\n" CHECKPOINT;

static void the_published_form_is_read_and_written(void **state)
{
    (void)state;
    static const uint8_t first[4] = {0x81, 0x22, 0xB2, 0x5E};
    assert_true(journal_inclusion_parse(published, strlen(published), &inclusion));
    assert_int_equal(inclusion.index, 73894);
    assert_int_equal(inclusion.proof.count, 3);
    assert_memory_equal(inclusion.proof.hashes[0], first, 4);
    assert_int_equal(inclusion.extra_len, 30);
    assert_memory_equal(inclusion.extra, "age-v1.2.1-darwin-arm64.tar.gz", 30);
    assert_string_equal(inclusion.note, CHECKPOINT);
    assert_true(journal_inclusion_print(&inclusion, text, sizeof(text)));
    assert_string_equal(text, published);
}

/* C2SP tlog-witness, "old" line and consistency proof. */
static void the_published_submission_is_read_and_written(void **state)
{
    (void)state;
    static const char submission[] = "old 20852014\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n"
                                     "jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n"
                                     "5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n"
                                     "/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n\n" CHECKPOINT;
    assert_true(journal_growth_parse(submission, strlen(submission), &growth));
    assert_int_equal(growth.old, 20852014);
    assert_int_equal(growth.proof.count, 4);
    assert_string_equal(growth.note, CHECKPOINT);
    assert_true(journal_growth_print(&growth, text, sizeof(text)));
    assert_string_equal(text, submission);
}

static void what_is_not_in_the_form_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "c2sp.org/tlog-proof@v1",
        "c2sp.org/tlog-proof@v1\n",
        "c2sp.org/tlog-proof@v2\nindex 1\n\n" CHECKPOINT,
        "c2sp.org/tlog-proof@v1 \nindex 1\n\n" CHECKPOINT,
        "c2sp.org/tlog-proof@v1\nindex\n\n" CHECKPOINT,
        "c2sp.org/tlog-proof@v1\nindex \n\n" CHECKPOINT,
        "c2sp.org/tlog-proof@v1\nindex 01\n\n" CHECKPOINT,
        "c2sp.org/tlog-proof@v1\nindex 1x\n\n" CHECKPOINT,
        "c2sp.org/tlog-proof@v1\nindex 20852163\n\n" CHECKPOINT, /* the tree has no such entry */
        "c2sp.org/tlog-proof@v1\nextra \nindex 1\n\n" CHECKPOINT,
        "c2sp.org/tlog-proof@v1\nextra AAAAA\nindex 1\n\n" CHECKPOINT,
        "c2sp.org/tlog-proof@v1\nextra AAAA\nextra AAAA\nindex 1\n\n" CHECKPOINT,
        "c2sp.org/tlog-proof@v1\nindex 1\nextra AAAA\n\n" CHECKPOINT,
        "c2sp.org/tlog-proof@v1\nindex 1\n" HASHES CHECKPOINT,
        "c2sp.org/tlog-proof@v1\nindex 1\nAAAA\n\n" CHECKPOINT,
        "c2sp.org/tlog-proof@v1\nindex 1\n" HASHES "\n",
        "c2sp.org/tlog-proof@v1\nindex 1\n" HASHES "\n\n" CHECKPOINT,
        "c2sp.org/tlog-proof@v1\nindex 1\n" HASHES "\n"
        "o\n5\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n", /* not signed */
    };
    for (size_t i = 0; i < B_COUNT(bad); i++)
        assert_false(journal_inclusion_parse(bad[i], strlen(bad[i]), &inclusion));
    static const char *const bad_growth[] = {
        "",
        "old 1\n",
        "old 1\n\n",
        "old\n\n" CHECKPOINT,
        "old 01\n\n" CHECKPOINT,
        "Old 1\n\n" CHECKPOINT,
        "old 20852164\n\n" CHECKPOINT,
        "old 0\n" HASHES "\n" CHECKPOINT, /* from nothing there is nothing to prove */
        "old 1\n" HASHES CHECKPOINT,
    };
    for (size_t i = 0; i < B_COUNT(bad_growth); i++)
        assert_false(journal_growth_parse(bad_growth[i], strlen(bad_growth[i]), &growth));
}

static void no_more_hashes_are_read_than_a_proof_can_have(void **state)
{
    (void)state;
    for (size_t n = JOURNAL_PROOF_MAX; n <= JOURNAL_PROOF_MAX + 1; n++) {
        (void)strcpy(text, "c2sp.org/tlog-proof@v1\nindex 1\n");
        for (size_t i = 0; i < n; i++)
            (void)strcat(text, "gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\n");
        (void)strcat(text, "\n" CHECKPOINT);
        assert_int_equal(journal_inclusion_parse(text, strlen(text), &inclusion),
                         n == JOURNAL_PROOF_MAX);
    }
}

static void every_inclusion_proof_holds_after_it_was_text(void **state)
{
    (void)state;
    for (uint64_t size = 1; size <= 130; size++) {
        log_sign(&one, size, inclusion.note);
        for (uint64_t i = size > 3 ? size - 3 : 0; i < size; i++) {
            char entry[32], other[32];
            size_t n = log_entry(i, ' ', entry);
            size_t m = log_entry(i + 1, ' ', other);
            inclusion.index = i;
            inclusion.extra_len = n;
            memcpy(inclusion.extra, entry, n);
            assert_int_equal(
                journal_prove_inclusion(i, size, log_reader(&one), &inclusion.proof, NULL), B_OK);
            assert_true(journal_inclusion_print(&inclusion, text, sizeof(text)));
            assert_true(journal_inclusion_parse(text, strlen(text), &again));
            assert_int_equal(
                journal_inclusion_verify(&again, &one.signer, again.extra, again.extra_len, NULL),
                B_OK);
            assert_int_equal(journal_inclusion_verify(&again, &one.signer, other, m, NULL),
                             B_E_JOURNAL_PROOF);
        }
    }
}

static void every_consistency_proof_is_the_same_after_it_was_text(void **state)
{
    (void)state;
    for (uint64_t size = 1; size <= 130; size += 3) {
        for (uint64_t old = 0; old <= size; old++) {
            log_grow(&one, old, size, &growth);
            assert_true(journal_growth_print(&growth, text, sizeof(text)));
            assert_true(journal_growth_parse(text, strlen(text), &growth_again));
            assert_true(journal_growth_print(&growth_again, text_again, sizeof(text_again)));
            assert_string_equal(text, text_again);
            if (old > 0)
                assert_true(journal_check_consistency(&growth_again.proof, old, size,
                                                      one.roots[old], one.roots[size]));
        }
    }
}

static void a_proof_with_any_bit_changed_does_not_hold(void **state)
{
    (void)state;
    char entry[32];
    struct b_err err;
    size_t n = log_entry(77, ' ', entry);
    inclusion.index = 77;
    inclusion.extra_len = 0;
    log_sign(&one, 100, inclusion.note);
    assert_int_equal(journal_prove_inclusion(77, 100, log_reader(&one), &inclusion.proof, NULL),
                     B_OK);
    assert_true(journal_inclusion_print(&inclusion, text, sizeof(text)));
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++) {
        for (int bit = 0; bit < 8; bit++) {
            text[i] = (char)(text[i] ^ 1 << bit);
            assert_false(journal_inclusion_parse(text, length, &again) &&
                         journal_inclusion_verify(&again, &one.signer, entry, n, &err) == B_OK);
            text[i] = (char)(text[i] ^ 1 << bit);
        }
    }
    assert_true(journal_inclusion_parse(text, length, &again));
    assert_int_equal(journal_inclusion_verify(&again, &one.signer, entry, n, &err), B_OK);
    for (size_t cut = 0; cut < length; cut++)
        assert_false(journal_inclusion_parse(text, cut, &again) &&
                     journal_inclusion_verify(&again, &one.signer, entry, n, &err) == B_OK);
}

/* A key may sign checkpoints of one journal only. */
static void a_checkpoint_of_another_journal_proves_nothing(void **state)
{
    (void)state;
    char entry[32];
    struct b_err err;
    struct journal_signer other = one.signer;
    size_t n = log_entry(0, ' ', entry);
    inclusion.index = 0;
    inclusion.proof.count = 0;
    log_sign(&one, 1, inclusion.note);
    assert_int_equal(journal_inclusion_verify(&inclusion, &other, entry, n, &err), B_OK);
    (void)strcpy(other.name, "tessere/990000001");
    assert_int_equal(journal_inclusion_verify(&inclusion, &other, entry, n, &err),
                     B_E_JOURNAL_SIGNATURE);
    /* The right name and key under a checkpoint with another origin. */
    struct journal_checkpoint c = {.origin = "tessere/990000001", .size = 1};
    uint8_t signature[64];
    memcpy(c.root, one.roots[1], sizeof(c.root));
    assert_true(journal_checkpoint_print(&c, inclusion.note, sizeof(inclusion.note)));
    crypto_ed25519_sign(one.seed, inclusion.note, strlen(inclusion.note), signature);
    assert_true(
        journal_note_add(inclusion.note, sizeof(inclusion.note), &one.signer, signature, 64));
    assert_int_equal(journal_inclusion_verify(&inclusion, &one.signer, entry, n, &err),
                     B_E_JOURNAL_SIGNATURE);
    log_sign(&one, 1, inclusion.note);
    other = one.signer;
    other.key[0] ^= 1;
    assert_int_equal(journal_inclusion_verify(&inclusion, &other, entry, n, &err),
                     B_E_JOURNAL_SIGNATURE);
}

static void what_does_not_fit_is_not_written(void **state)
{
    (void)state;
    assert_true(journal_inclusion_parse(published, strlen(published), &inclusion));
    for (size_t cap = 0; cap <= strlen(published); cap++)
        assert_false(journal_inclusion_print(&inclusion, text, cap));
    assert_true(journal_inclusion_print(&inclusion, text, strlen(published) + 1));
    /* And the largest of all fits where it must. */
    inclusion.index = INT64_MAX - 1;
    inclusion.extra_len = JOURNAL_EXTRA_MAX;
    inclusion.proof.count = JOURNAL_PROOF_MAX;
    memset(inclusion.note, 'x', JOURNAL_NOTE_MAX);
    inclusion.note[JOURNAL_NOTE_MAX] = '\0';
    assert_true(journal_inclusion_print(&inclusion, text, sizeof(text)));
}

static int build(void **state)
{
    (void)state;
    log_build(&one, 130, 130, ' ');
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_form_is_read_and_written),
        cmocka_unit_test(the_published_submission_is_read_and_written),
        cmocka_unit_test(what_is_not_in_the_form_is_refused),
        cmocka_unit_test(no_more_hashes_are_read_than_a_proof_can_have),
        cmocka_unit_test(every_inclusion_proof_holds_after_it_was_text),
        cmocka_unit_test(every_consistency_proof_is_the_same_after_it_was_text),
        cmocka_unit_test(a_proof_with_any_bit_changed_does_not_hold),
        cmocka_unit_test(a_checkpoint_of_another_journal_proves_nothing),
        cmocka_unit_test(what_does_not_fit_is_not_written),
    };
    return cmocka_run_group_tests(tests, build, NULL);
}
