/* A station's identity: where it lies, and that it is renewed once, whole, whoever asks. The server
 * is here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/agent.h"
#include "pki/pki.h"

enum { READERS = 4, DAY = 86400 };

static char dir[] = "/tmp/tessere-enrol-XXXXXX";
static struct b_err err;
static struct pki_ca *ca;
static char added[PKI_PEM_MAX]; /* to the CA by somebody in between, or "" */
static atomic_int issued;
static int64_t age_days; /* of what is issued */
static struct {
    char cert[1024], key[1024];
} told; /* of the last connection */

static const char *path_of(const char *name)
{
    static char paths[2][256]; /* two are in use at once */
    static unsigned turn;
    char *path = paths[turn++ % 2];
    (void)snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
    return path;
}

/* --- in place of src/remote/remote.c ------------------------------------------------------------
 */

enum b_code remote_open(const struct remote_config *config, struct remote **ret, struct b_err *e)
{
    (void)e;
    *ret = NULL;
    (void)snprintf(told.cert, sizeof(told.cert), "%s", config->cert != NULL ? config->cert : "");
    (void)snprintf(told.key, sizeof(told.key), "%s", config->key != NULL ? config->key : "");
    return B_OK;
}

/* A certificate for a request. Others have time to come in between. */
enum b_code remote_call(struct remote *r, const char *method, const char *path, const json_t *body,
                        json_t **ret, struct b_err *e)
{
    char pem[PKI_PEM_MAX / 4];
    (void)r;
    (void)method;
    if (strcmp(path, "/v1/ca") == 0) {
        *ret = json_pack("{s:s+}", "ca", pki_ca_pem(ca), added);
        return B_OK;
    }
    const struct pki_wanted wanted = {.kind = PKI_STATION,
                                      .name = "ward-1",
                                      .now = (int64_t)time(NULL) - age_days * DAY,
                                      .seconds = INT64_C(90) * DAY};
    enum b_code code = pki_issue(ca, &wanted, json_string_value(json_object_get(body, "csr")), pem,
                                 sizeof(pem), e);
    (void)usleep(20000);
    atomic_fetch_add(&issued, 1);
    *ret = code == B_OK ? json_pack("{s:s}", "certificate", pem) : NULL;
    return code;
}

void remote_free(struct remote **r)
{
    *r = NULL;
}

const char *remote_sentence(const struct remote *r)
{
    (void)r;
    return "";
}

const char *remote_text(const json_t *o, const char *name)
{
    (void)o;
    (void)name;
    return "";
}

unsigned remote_pause_ms(unsigned n)
{
    return n;
}

/* --- what is asserted --------------------------------------------------------------------------
 */

/* By what a connection is told, key and certificate belong together. */
static bool fits(const struct agent_home *home)
{
    struct remote *r = NULL;
    assert_int_equal(agent_connect(home, &r, &err), B_OK);
    FILE *c = fopen(told.cert, "re");
    FILE *k = fopen(told.key, "re");
    X509 *cert = c != NULL ? PEM_read_X509(c, NULL, NULL, NULL) : NULL;
    EVP_PKEY *key = k != NULL ? PEM_read_PrivateKey(k, NULL, NULL, NULL) : NULL;
    bool is = cert != NULL && key != NULL && X509_check_private_key(cert, key) == 1;
    X509_free(cert);
    EVP_PKEY_free(key);
    if (c != NULL)
        (void)fclose(c);
    if (k != NULL)
        (void)fclose(k);
    return is;
}

static void enrol(struct agent_home *home, int64_t days)
{
    char code[PKI_CODE_MAX];
    uint8_t digest[32];
    static struct agent_config config;
    (void)unlink(path_of("station.json"));
    age_days = days;
    assert_int_equal(pki_code_make(pki_ca_pem(ca), code, digest, &err), B_OK);
    assert_int_equal(agent_enrol(dir, "https://kms.example", code, &err), B_OK);
    (void)snprintf(config.state, sizeof(config.state), "%s", dir);
    assert_int_equal(agent_home_open(&config, home, &err), B_OK);
    age_days = 0;
    atomic_store(&issued, 0);
}

static void *renew(void *arg)
{
    struct b_err e;
    bool is_new = false;
    return agent_renew(arg, NULL, &is_new, &e) == B_OK && is_new ? arg : NULL;
}

/* --- tests -------------------------------------------------------------------------------------
 */

static void enrolment_leaves_one_file_that_nobody_else_reads(void **state)
{
    (void)state;
    static struct agent_home home;
    struct stat st;
    enrol(&home, 0);
    assert_true(fits(&home));
    assert_string_equal(told.cert, told.key);
    assert_int_equal(stat(told.cert, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_not_equal(access(path_of("station.key"), F_OK), 0);
}

/* The code vouches for one CA. Whoever is in between may say more. */
static void a_ca_that_somebody_in_between_added_is_not_trusted(void **state)
{
    (void)state;
    static struct agent_home home;
    static char pem[PKI_PEM_MAX];
    struct pki_ca *theirs = NULL;
    assert_int_equal(pki_ca_create("CA", path_of("b.pem"), path_of("b.key"), &err), B_OK);
    assert_int_equal(pki_ca_open(path_of("b.pem"), path_of("b.key"), &theirs, &err), B_OK);
    (void)snprintf(added, sizeof(added), "%s", pki_ca_pem(theirs));
    enrol(&home, 0);
    added[0] = '\0';
    FILE *f = fopen(home.ca, "re");
    assert_non_null(f);
    pem[fread(pem, 1, sizeof(pem) - 1, f)] = '\0';
    assert_int_equal(fclose(f), 0);
    assert_string_equal(pem, pki_ca_pem(ca));
    pki_ca_free(&theirs);
}

static void a_young_certificate_stays(void **state)
{
    (void)state;
    static struct agent_home home;
    enrol(&home, 59);
    assert_null(renew(&home));
    assert_int_equal(atomic_load(&issued), 0);
}

static void many_readers_renew_once(void **state)
{
    (void)state;
    static struct agent_home home;
    pthread_t readers[READERS];
    unsigned renewed = 0;
    enrol(&home, 61);
    for (size_t i = 0; i < READERS; i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, renew, &home), 0);
        (void)usleep(3000);
    }
    for (size_t i = 0; i < READERS; i++) {
        void *is_new = NULL;
        assert_int_equal(pthread_join(readers[i], &is_new), 0);
        renewed += is_new != NULL;
    }
    assert_true(fits(&home));
    assert_int_equal(renewed, 1);
    assert_int_equal(atomic_load(&issued), 1);
}

/* As earlier versions enrolled: the key in a file of its own. */
static void two_files_are_read_and_become_one(void **state)
{
    (void)state;
    static struct agent_home home;
    static char pem[PKI_PEM_MAX];
    enrol(&home, 61);
    FILE *f = fopen(path_of("station.pem"), "r+e");
    assert_non_null(f);
    size_t n = fread(pem, 1, sizeof(pem) - 1, f);
    pem[n] = '\0';
    char *key = strstr(pem, "-----BEGIN PRIVATE KEY");
    assert_non_null(key);
    assert_int_equal(ftruncate(fileno(f), key - pem), 0);
    assert_int_equal(fclose(f), 0);
    f = fopen(path_of("station.key"), "we");
    assert_non_null(f);
    assert_true(fputs(key, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_true(fits(&home));
    assert_string_equal(told.key, path_of("station.key"));
    assert_non_null(renew(&home));
    assert_true(fits(&home));
    assert_string_equal(told.cert, told.key);
    assert_int_not_equal(access(path_of("station.key"), F_OK), 0);
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(dir) != NULL &&
                   pki_ca_create("CA", path_of("a.pem"), path_of("a.key"), &err) == B_OK &&
                   pki_ca_open(path_of("a.pem"), path_of("a.key"), &ca, &err) == B_OK
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const names[] = {"a.pem",  "a.key",       "b.pem",       "b.key",
                                        "ca.pem", "station.pem", "station.key", "station.json"};
    for (size_t i = 0; i < B_COUNT(names); i++)
        (void)unlink(path_of(names[i]));
    pki_ca_free(&ca);
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(enrolment_leaves_one_file_that_nobody_else_reads),
        cmocka_unit_test(a_ca_that_somebody_in_between_added_is_not_trusted),
        cmocka_unit_test(a_young_certificate_stays),
        cmocka_unit_test(many_readers_renew_once),
        cmocka_unit_test(two_files_are_read_and_become_one),
    };
    return cmocka_run_group_tests_name("agent enrol", tests, set_up, tear_down);
}
