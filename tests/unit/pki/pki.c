/* Certificates: judged by the openssl program; what is weak, broken or not ours is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/sign.h"
#include "pki/pki.h"

static char dir[] = "/tmp/tessere-pki-XXXXXX";
static char request[PKI_PEM_MAX], pem[PKI_PEM_MAX];
static struct pki_ca *ca;
static struct b_err err;

static const char *at(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
    return path;
}

static int shell(const char *format, const char *a, const char *b)
{
    char command[512];
    int n = snprintf(command, sizeof(command), "cd '%s' && ", dir);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(command + n, sizeof(command) - (size_t)n, format, a, b);
#pragma GCC diagnostic pop
    return system(command); // NOLINT(cert-env33-c): a test's own folder
}

static void write_text(const char *name, const char *text)
{
    FILE *f = fopen(at(name), "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void read_text(const char *name, char *to, size_t cap)
{
    FILE *f = fopen(at(name), "re");
    assert_non_null(f);
    to[fread(to, 1, cap - 1, f)] = '\0';
    (void)fclose(f);
}

static int make_ca(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(pki_ca_create("Test CA", at("ca.pem"), at("ca.key"), &err), B_OK);
    assert_int_equal(pki_ca_open(at("ca.pem"), at("ca.key"), &ca, &err), B_OK);
    return 0;
}

static int drop_ca(void **state)
{
    (void)state;
    pki_ca_free(&ca);
    return shell("rm -rf '%s'%s", dir, "");
}

static enum b_code issue(enum pki_kind kind, const char *csr)
{
    const struct pki_wanted w = {.kind = kind,
                                 .name = "given by the issuer",
                                 .hosts = kind == PKI_SERVER ? "DNS:kms.example,IP:10.0.0.1" : NULL,
                                 .now = time(NULL),
                                 .seconds = 86400};
    return pki_issue(ca, &w, csr, pem, sizeof(pem), &err);
}

static struct pki_key *make_request(void)
{
    struct pki_key *key = NULL;
    assert_int_equal(pki_key_generate(&key, &err), B_OK);
    assert_int_equal(pki_request_make(key, "asked for", request, sizeof(request), &err), B_OK);
    return key;
}

static void openssl_accepts_each_kind_for_its_purpose_and_no_other(void **state)
{
    (void)state;
    static const struct {
        enum pki_kind kind;
        const char *good, *bad;
    } kinds[] = {{PKI_SERVER, "sslserver", "sslclient"},
                 {PKI_STATION, "sslclient", "sslserver"},
                 {PKI_PERSON, "sslclient", "sslserver"}};
    for (size_t i = 0; i < B_COUNT(kinds); i++) {
        struct pki_key *key = make_request();
        struct pki_cert cert;
        assert_int_equal(issue(kinds[i].kind, request), B_OK);
        write_text("c.pem", pem);
        assert_int_equal(shell("openssl verify -x509_strict -CAfile ca.pem -purpose %s c.pem "
                               ">/dev/null 2>&1%s",
                               kinds[i].good, ""),
                         0);
        assert_int_not_equal(
            shell("openssl verify -CAfile ca.pem -purpose %s c.pem >/dev/null 2>&1%s", kinds[i].bad,
                  ""),
            0);
        assert_int_equal(pki_cert_read(pem, &cert, &err), B_OK);
        assert_string_equal(cert.name, "given by the issuer");
        assert_true(cert.is_p256);
        assert_true(cert.not_after > cert.not_before);
        pki_key_free(&key);
    }
}

static void a_certificate_is_for_the_hosts_that_it_names(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        bool is_named;
    } hosts[] = {{"kms.example", true},       {"KMS.example", true}, {"10.0.0.1", true},
                 {"badge.example", false},    {"10.0.0.2", false},   {"", false},
                 {"kms.example.evil", false}, {"example", false}};
    struct pki_key *key = make_request();
    bool is_named = false;
    assert_int_equal(issue(PKI_SERVER, request), B_OK);
    for (size_t i = 0; i < B_COUNT(hosts); i++) {
        assert_int_equal(pki_cert_is_for(pem, hosts[i].host, &is_named, &err), B_OK);
        assert_int_equal(is_named, hosts[i].is_named);
    }
    assert_int_equal(pki_cert_is_for("", "kms.example", &is_named, &err), B_E_CERT_BAD);
    pki_key_free(&key);
}

static void a_changed_request_is_refused(void **state)
{
    (void)state;
    struct pki_key *key = make_request();
    for (size_t i = 60; i < 200; i += 7) {
        char was = request[i];
        if (was == '\n')
            continue;
        request[i] = was == 'A' ? 'B' : 'A';
        if (request[i] != was)
            assert_int_not_equal(issue(PKI_STATION, request), B_OK);
        request[i] = was;
    }
    assert_int_equal(issue(PKI_STATION, request), B_OK);
    assert_int_equal(issue(PKI_STATION, ""), B_E_CERT_BAD);
    assert_int_equal(issue(PKI_STATION, "-----BEGIN CERTIFICATE REQUEST-----\n"), B_E_CERT_BAD);
    pki_key_free(&key);
}

static void weak_or_strange_keys_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *make;
        bool is_good;
    } keys[] = {{"rsa -pkeyopt rsa_keygen_bits:2048", false},
                {"rsa -pkeyopt rsa_keygen_bits:3072", true},
                {"ec -pkeyopt ec_paramgen_curve:secp256k1", false},
                {"ec -pkeyopt ec_paramgen_curve:P-384", true},
                {"ed25519", false}};
    for (size_t i = 0; i < B_COUNT(keys); i++) {
        assert_int_equal(shell("openssl req -new -newkey %s -nodes -keyout k.key -subj /CN=x -out "
                               "r.csr 2>/dev/null%s",
                               keys[i].make, ""),
                         0);
        read_text("r.csr", request, sizeof(request));
        assert_int_equal(issue(PKI_PERSON, request) == B_OK, keys[i].is_good);
    }
}

static void a_request_that_asks_to_be_a_ca_becomes_none(void **state)
{
    (void)state;
    assert_int_equal(shell("openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
                           "-keyout k.key -subj /CN=x -addext basicConstraints=critical,CA:TRUE "
                           "-out r.csr 2>/dev/null%s%s",
                           "", ""),
                     0);
    read_text("r.csr", request, sizeof(request));
    assert_int_equal(issue(PKI_STATION, request), B_OK);
    write_text("c.pem", pem);
    assert_int_equal(shell("openssl x509 -in c.pem -noout -text | grep -q 'CA:FALSE'%s%s", "", ""),
                     0);
    assert_int_not_equal(
        shell("openssl x509 -in c.pem -noout -text | grep -q 'CA:TRUE'%s%s", "", ""), 0);
}

static void a_key_file_is_private_and_not_overwritten(void **state)
{
    (void)state;
    struct stat st;
    struct pki_key *key = make_request();
    struct pki_key *again = NULL;
    uint8_t signature[64];
    struct pki_cert cert;
    assert_int_equal(pki_key_write(key, at("p.key"), &err), B_OK);
    assert_int_equal(stat(at("p.key"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(pki_key_write(key, at("p.key"), &err), B_E_KEY_FILE);
    assert_int_equal(pki_key_read(at("p.key"), &again, &err), B_OK);
    assert_int_equal(pki_sign(again, "text", 4, signature, &err), B_OK);
    assert_int_equal(issue(PKI_PERSON, request), B_OK);
    assert_int_equal(pki_cert_read(pem, &cert, &err), B_OK);
    assert_true(crypto_es256_verify(cert.point, "text", 4, signature));
    assert_false(crypto_es256_verify(cert.point, "Text", 4, signature));
    pki_key_free(&again);
    assert_int_equal(chmod(at("p.key"), 0640), 0);
    assert_int_equal(pki_key_read(at("p.key"), &again, &err), B_E_KEY_FILE);
    assert_int_equal(pki_key_read(at("none.key"), &again, &err), B_E_KEY_FILE);
    assert_int_equal(pki_key_read(at("ca.pem"), &again, &err), B_E_KEY_FILE);
    pki_key_free(&key);
}

static void a_one_time_code_is_read_as_people_write_it(void **state)
{
    (void)state;
    char text[PKI_CODE_MAX], written[PKI_CODE_MAX];
    uint8_t digest[32], got[32], pin[PKI_CODE_PIN];
    struct pki_cert cert;
    assert_int_equal(pki_cert_read(pki_ca_pem(ca), &cert, &err), B_OK);
    for (int round = 0; round < 50; round++) {
        assert_int_equal(pki_code_make(pki_ca_pem(ca), text, digest, &err), B_OK);
        size_t n = 0;
        for (const char *c = text; *c != '\0'; c++) {
            char v = *c;
            if (v == '-' && round % 2 == 0)
                continue;
            v = v == '0' ? 'o' : v == '1' ? 'l' : v;
            if (round % 3 == 0 && v >= 'A' && v <= 'Z')
                v = (char)(v - 'A' + 'a');
            written[n++] = v;
        }
        written[n] = '\0';
        assert_int_equal(pki_code_parse(written, got, pin, &err), B_OK);
        assert_memory_equal(got, digest, sizeof(digest));
        assert_memory_equal(pin, cert.fingerprint, sizeof(pin));
    }
}

static void every_single_wrong_sign_of_a_code_is_noticed(void **state)
{
    (void)state;
    static const char signs[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    char text[PKI_CODE_MAX];
    uint8_t digest[32], pin[PKI_CODE_PIN];
    unsigned missed = 0;
    unsigned tried = 0;
    assert_int_equal(pki_code_make(pki_ca_pem(ca), text, digest, &err), B_OK);
    for (size_t i = 0; text[i] != '\0'; i++) {
        char was = text[i];
        for (size_t k = 0; was != '-' && k < 32; k++) {
            if (signs[k] == was)
                continue;
            text[i] = signs[k];
            tried++;
            missed += pki_code_parse(text, digest, pin, &err) == B_OK;
        }
        text[i] = was;
    }
    assert_true(tried == 33 * 31);
    assert_true(missed <= 33); /* 0 and Z differ by 31: the check's modulus */
    assert_int_equal(pki_code_parse("", digest, pin, &err), B_E_CODE_BAD);
    assert_int_equal(pki_code_parse("AAAA-!", digest, pin, &err), B_E_CODE_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openssl_accepts_each_kind_for_its_purpose_and_no_other),
        cmocka_unit_test(a_certificate_is_for_the_hosts_that_it_names),
        cmocka_unit_test(a_changed_request_is_refused),
        cmocka_unit_test(weak_or_strange_keys_are_refused),
        cmocka_unit_test(a_request_that_asks_to_be_a_ca_becomes_none),
        cmocka_unit_test(a_key_file_is_private_and_not_overwritten),
        cmocka_unit_test(a_one_time_code_is_read_as_people_write_it),
        cmocka_unit_test(every_single_wrong_sign_of_a_code_is_noticed),
    };
    return cmocka_run_group_tests(tests, make_ca, drop_ca);
}
