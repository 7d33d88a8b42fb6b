/* Notes and checkpoints against published ones: the examples of golang.org/x/mod/sumdb/note and of
 * C2SP tlog-checkpoint; and what others' programs refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/sign.h"
#include "journal/journal.h"

/* x/mod/sumdb/note, example_test.go. The private key there is 01 and this seed, in base64. */
#define BODY                                                     \
    "If you think cryptography is the answer to your problem,\n" \
    "then you don't know what your problem is.\n"
#define PETER_LINE      \
    "— PeterNeumann " \
    "x08go/ZJkuBS9UG/"  \
    "SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
#define ENOCH_LINE                                 \
    "— EnochRoot "                               \
    "rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/" \
    "5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
static const char peter_key[] =
    "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
static const char enoch_key[] = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
static const char peter_private[] = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";

/* C2SP tlog-checkpoint. */
static const char checkpoint[] =
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/"
    "Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";

static struct journal_signer peter, enoch;

static int parse_keys(void **state)
{
    (void)state;
    return journal_signer_parse(peter_key, &peter) && journal_signer_parse(enoch_key, &enoch) ? 0
                                                                                              : -1;
}

static bool opens(const char *note, const struct journal_signer *signer)
{
    return journal_note_verify(note, strlen(note), signer, NULL);
}

static void the_published_keys_are_read_and_written(void **state)
{
    (void)state;
    char text[JOURNAL_NAME_MAX + 64];
    assert_string_equal(peter.name, "PeterNeumann");
    assert_true(journal_signer_print(&peter, text, sizeof(text)));
    assert_string_equal(text, peter_key);
    assert_true(journal_signer_print(&enoch, text, sizeof(text)));
    assert_string_equal(text, enoch_key);
}

static void a_key_that_is_none_is_refused(void **state)
{
    (void)state;
    /* The last two are x/mod's: a wrong length and an unknown algorithm, with the right hash. */
    static const char *const bad[] = {
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a3",
        "PeterNeumann+c74f20a3+",
        "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TX",
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    };
    struct journal_signer got;
    for (size_t i = 0; i < B_COUNT(bad); i++)
        assert_false(journal_signer_parse(bad[i], &got));
}

static void the_published_note_is_signed_as_published(void **state)
{
    (void)state;
    char note[1024] = BODY;
    uint8_t bytes[33], key[32], signature[64];
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    assert_true(b_unbase64(&w, peter_private, strlen(peter_private)));
    crypto_ed25519_public(bytes + 1, key);
    assert_memory_equal(key, peter.key, 32);
    crypto_ed25519_sign(bytes + 1, BODY, strlen(BODY), signature);
    assert_true(journal_note_add(note, sizeof(note), &peter, signature, 64));
    assert_string_equal(note, BODY "\n" PETER_LINE);
    assert_int_equal(journal_note_body(note, strlen(note)), strlen(BODY));

    /* x/mod's EnochRoot is made from 32 zeros. */
    const uint8_t zeros[32] = {0};
    crypto_ed25519_sign(zeros, BODY, strlen(BODY), signature);
    assert_true(journal_note_add(note, sizeof(note), &enoch, signature, 64));
    assert_string_equal(note, BODY "\n" PETER_LINE ENOCH_LINE);
}

static void a_note_opens_for_each_of_its_signers(void **state)
{
    (void)state;
    assert_true(opens(BODY "\n" PETER_LINE, &peter));
    assert_false(opens(BODY "\n" PETER_LINE, &enoch));
    assert_true(opens(BODY "\n" PETER_LINE ENOCH_LINE, &peter));
    assert_true(opens(BODY "\n" PETER_LINE ENOCH_LINE, &enoch));
    assert_true(opens(BODY "\n" ENOCH_LINE PETER_LINE, &peter));
}

static void a_note_with_any_byte_changed_does_not_open(void **state)
{
    (void)state;
    static char note[] = BODY "\n" PETER_LINE;
    for (size_t i = 0; i + 1 < sizeof(note); i++) {
        char was = note[i];
        for (int bit = 0; bit < 8; bit++) {
            note[i] = (char)(was ^ 1 << bit);
            assert_false(journal_note_verify(note, sizeof(note) - 1, &peter, NULL));
        }
        note[i] = was;
    }
    for (size_t n = 0; n + 1 < sizeof(note); n++)
        assert_false(journal_note_verify(note, n, &peter, NULL));
    assert_true(journal_note_verify(note, sizeof(note) - 1, &peter, NULL));
}

/* Signed notes MUST be UTF-8 without control characters, and a line that is no signature makes the
 * note malformed: x/mod refuses these also. */
static void a_malformed_note_does_not_open(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "\n",
        "\n\n",
        BODY,
        BODY "\n",
        PETER_LINE,
        "\n" PETER_LINE,
        BODY PETER_LINE,
        BODY "\n" PETER_LINE "\n",
        BODY "\n" PETER_LINE "x",
        BODY "\n" PETER_LINE "x\n",
        BODY "\n" PETER_LINE "— x\n",
        BODY "\n" PETER_LINE "— x AAAA\n",
        BODY "\n" PETER_LINE "— x AAAAAAA\n",
        BODY "\n" PETER_LINE "— x AAAA!AA=\n",
        BODY "\n" PETER_LINE "—  AAAAAAA=\n",
        BODY "\n" PETER_LINE "- x AAAAAAA=\n",
        BODY "\n" PETER_LINE "— \x01 AAAAAAA=\n",
        BODY "\n" PETER_LINE "— \xFF AAAAAAA=\n",
        BODY "\n" PETER_LINE "— \xED\xA0\x80 AAAAAAA=\n",
        BODY "\n" PETER_LINE "— \xC0\x80 AAAAAAA=\n",
        BODY "\n" PETER_LINE "— \xC1\xA1 AAAAAAA=\n",
        BODY "\n" PETER_LINE "— \xE0\x81\xA1 AAAAAAA=\n",
        BODY "\n" PETER_LINE "— \xF0\x80\x81\xA1 AAAAAAA=\n",
        BODY "\n" PETER_LINE "— \xF4\x90\x80\x80 AAAAAAA=\n",
        BODY "\n" PETER_LINE "— \xE2\x80\n",
    };
    for (size_t i = 0; i < B_COUNT(bad); i++)
        assert_false(opens(bad[i], &peter));
    assert_true(opens(BODY "\n" PETER_LINE "— x AAAAAAA=\n", &peter));
    assert_true(
        opens(BODY "\n" PETER_LINE "— \xC3\xA9\xE2\x82\xAC\xF0\x9F\x94\x91 AAAAAAA=\n", &peter));
}

/* Unknown keys are ignored, also with a long signature, also when they share the name or the key
 * id, not both; a known key's wrong signature spoils the note (C2SP signed-note). */
static void only_a_known_keys_signatures_count(void **state)
{
    (void)state;
    static char note[JOURNAL_NOTE_MAX + 1];
    static char long_one[2000];
    static uint8_t zeros[1400];
    assert_true(b_base64(long_one, sizeof(long_one), zeros, sizeof(zeros)));
    struct b_wr w = b_wr_from(note, sizeof(note));
    static const char *const parts[] = {BODY "\n— witness.example ", long_one, "\n" PETER_LINE};
    for (size_t i = 0; i < B_COUNT(parts); i++)
        b_wr_bytes(&w, parts[i], strlen(parts[i]));
    b_wr_u8(&w, 0);
    assert_true(b_wr_ok(&w) && opens(note, &peter));
    assert_true(opens(BODY "\n— PeterNeumann AAAAAAA=\n" PETER_LINE, &peter));
    assert_true(opens(BODY "\n— Other x08gowAA\n" PETER_LINE, &peter));
    assert_false(opens(BODY "\n— PeterNeumann x08gowAA\n" PETER_LINE, &peter));
    assert_false(opens(BODY "\n" PETER_LINE "— PeterNeumann x08gowAA\n", &peter));
}

static void sixteen_signatures_are_accepted(void **state)
{
    (void)state;
    static char note[JOURNAL_NOTE_MAX + 1];
    (void)strcpy(note, BODY "\n" PETER_LINE);
    for (int i = 1; i < 16; i++)
        (void)strcat(note, "— witness.example.com/some-name-of-a-witness "
                           "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyi"
                           "n1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n");
    assert_true(opens(note, &peter));
}

static void the_published_checkpoint_is_read_and_written(void **state)
{
    (void)state;
    struct journal_checkpoint c;
    char body[256];
    assert_true(journal_checkpoint_parse(checkpoint, strlen(checkpoint), &c));
    assert_string_equal(c.origin, "example.com/behind-the-sofa");
    assert_int_equal(c.size, 20852163);
    assert_true(journal_checkpoint_print(&c, body, sizeof(body)));
    assert_int_equal(strlen(body), journal_note_body(checkpoint, strlen(checkpoint)));
    assert_memory_equal(checkpoint, body, strlen(body));
}

#define ROOT "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
static void a_checkpoint_that_is_none_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "o",
        "o\n",
        "o\n1\n",
        "\n1\n" ROOT,
        "o\n\n" ROOT,
        "o\n01\n" ROOT,
        "o\n-1\n" ROOT,
        "o\n+1\n" ROOT,
        "o\n 1\n" ROOT,
        "o\n1 \n" ROOT,
        "o\n1x\n" ROOT,
        "o\n9223372036854775808\n" ROOT,
        "o\n18446744073709551616\n" ROOT,
        "o\n100000000000000000000\n" ROOT,
        "o\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=",
        "o\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2J=\n",
        "o\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I\n",
        "o\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jx\n",
        "o\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2IA\n",
        "o\n1\n" ROOT "extension",
        "o\r\n1\n" ROOT,
        "o\n1\n" ROOT "\nextension\n\n— x AAAAAAA=\n",
    };
    struct journal_checkpoint c;
    for (size_t i = 0; i < B_COUNT(bad); i++)
        assert_false(journal_checkpoint_parse(bad[i], strlen(bad[i]), &c));
    static const char *const good[] = {
        "o\n0\n" ROOT,
        "o\n9223372036854775807\n" ROOT,
        "name of a log\n1\n" ROOT "extension\n",
        "o\n1\n" ROOT "extension\nanother\n\n— x AAAAAAA=\n",
    };
    for (size_t i = 0; i < B_COUNT(good); i++)
        assert_true(journal_checkpoint_parse(good[i], strlen(good[i]), &c));
}

static void a_cosignature_tells_its_time(void **state)
{
    (void)state;
    static char note[1024];
    uint64_t at = 0;
    uint8_t seed[32] = {7};
    struct journal_signer witness = {.name = "witness.example/w1",
                                     .algorithm = JOURNAL_ALGORITHM_COSIGNATURE};
    crypto_ed25519_public(seed, witness.key);
    (void)strcpy(note, checkpoint);
    assert_true(journal_witness_cosign(witness.name, seed, 1679315147, note, sizeof(note)));
    assert_memory_equal(note, checkpoint, strlen(checkpoint));
    assert_true(journal_note_verify(note, strlen(note), &witness, &at));
    assert_int_equal(at, 1679315147);
    /* The text of what is signed is C2SP tlog-cosignature's example. */
    char message[256];
    size_t body = journal_note_body(note, strlen(note));
    size_t n = journal_cosigned(at, note, body, message, sizeof(message));
    static const char want[] = "cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n"
                               "20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    assert_int_equal(n, strlen(want));
    assert_memory_equal(message, want, n);
    /* The same key as a plain signer has another key id: its signatures do not pass for each
     * other. */
    witness.algorithm = JOURNAL_ALGORITHM_ED25519;
    assert_false(opens(note, &witness));
}

static void what_does_not_fit_is_not_written(void **state)
{
    (void)state;
    char note[256];
    uint8_t signature[64] = {0};
    const size_t whole = strlen(BODY "\n" PETER_LINE);
    for (size_t cap = strlen(BODY) + 1; cap < sizeof(note); cap++) {
        (void)strcpy(note, BODY);
        assert_int_equal(journal_note_add(note, cap, &peter, signature, 64), cap > whole);
    }
    struct journal_checkpoint c = {.origin = "origin"};
    for (size_t cap = 0; cap < 64; cap++)
        assert_int_equal(journal_checkpoint_print(&c, note, cap), cap > strlen("origin\n0\n") + 45);
    for (size_t cap = 0; cap < 100; cap++)
        assert_int_equal(journal_signer_print(&peter, note, cap), cap > strlen(peter_key));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_keys_are_read_and_written),
        cmocka_unit_test(a_key_that_is_none_is_refused),
        cmocka_unit_test(the_published_note_is_signed_as_published),
        cmocka_unit_test(a_note_opens_for_each_of_its_signers),
        cmocka_unit_test(a_note_with_any_byte_changed_does_not_open),
        cmocka_unit_test(a_malformed_note_does_not_open),
        cmocka_unit_test(only_a_known_keys_signatures_count),
        cmocka_unit_test(sixteen_signatures_are_accepted),
        cmocka_unit_test(the_published_checkpoint_is_read_and_written),
        cmocka_unit_test(a_checkpoint_that_is_none_is_refused),
        cmocka_unit_test(a_cosignature_tells_its_time),
        cmocka_unit_test(what_does_not_fit_is_not_written),
    };
    return cmocka_run_group_tests(tests, parse_keys, NULL);
}
