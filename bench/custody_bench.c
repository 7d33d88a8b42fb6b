/*
 * Derivations through a token against the token's own rate of CKM_AES_CMAC: the module's bare
 * function list, a session and a key handle kept, C_SignInit and C_Sign alone. Both are measured
 * in turns in one run, medians of rounds. One JSON object a line.
 */
#include <dlfcn.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "custody/token.h"

enum { ROUNDS = 41, OPS = 400, INPUT = 20 };

static char dir[] = "/tmp/tessere-bench-XXXXXX";

static void need(bool is_good, const char *what, const struct b_err *err)
{
    if (is_good)
        return;
    (void)fprintf(stderr, "custody_bench: %s: %s\n", what, err != NULL ? err->msg : "failed");
    exit(1);
}

static double seconds(void)
{
    struct timespec t;
    need(clock_gettime(CLOCK_MONOTONIC, &t) == 0, "clock", NULL);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The module's own entries, without p11-kit between. */
static CK_FUNCTION_LIST *bare_module(const char *path)
{
    CK_C_GetFunctionList get = NULL;
    CK_FUNCTION_LIST *list = NULL;
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    need(module != NULL, path, NULL);
    *(void **)&get = dlsym(module, "C_GetFunctionList");
    need(get != NULL && get(&list) == CKR_OK, path, NULL);
    return list;
}

static double bare_rate(CK_FUNCTION_LIST *p, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
    CK_MECHANISM m = {CKM_AES_CMAC, NULL, 0};
    uint8_t in[INPUT + 1] = {1};
    uint8_t out[16];
    double start = seconds();
    for (int i = 0; i < OPS; i++) {
        CK_ULONG n = sizeof(out);
        in[1] = (uint8_t)i;
        need(p->C_SignInit(session, &m, key) == CKR_OK &&
                 p->C_Sign(session, in, sizeof(in), out, &n) == CKR_OK,
             "C_Sign", NULL);
    }
    return OPS / (seconds() - start);
}

static double our_rate(struct custody *c, uint8_t *out)
{
    uint8_t in[INPUT] = {0};
    struct b_err err = {0};
    double start = seconds();
    for (int i = 0; i < OPS; i++) {
        in[0] = (uint8_t)i;
        need(custody_derive(c, KEY_ROLE_AUTH, 1, in, sizeof(in), out, &err) == B_OK, "derive",
             &err);
    }
    return OPS / (seconds() - start);
}

static int compare(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(double *v)
{
    qsort(v, ROUNDS, sizeof(*v), compare);
    return v[ROUNDS / 2];
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
    (void)st;
    (void)flag;
    (void)at;
    return remove(path);
}

static void measure(struct custody *c, const char *module)
{
    CK_FUNCTION_LIST *p = bare_module(module);
    CK_SESSION_HANDLE session;
    static double ours[ROUNDS];
    static double bare[ROUNDS];
    uint8_t *out = b_secret_alloc(16);
    /* The application is logged in already; handles of token objects hold in all its sessions. */
    need(p->C_OpenSession(c->slot, CKF_SERIAL_SESSION, NULL, NULL, &session) == CKR_OK,
         "opening a bare session", NULL);
    for (int i = 0; i < ROUNDS; i++) {
        bare[i] = bare_rate(p, session, c->entries[0].handle);
        ours[i] = our_rate(c, out);
    }
    b_secret_free(out);
    double limit = median(bare);
    double value = median(ours);
    (void)printf(
        "{\"name\": \"derive_token\", \"value\": %.0f, \"unit\": \"1/s\", \"limit\": %.0f, "
        "\"peer\": null, \"ratio_to_limit\": %.3f, \"ratio_to_peer\": null}\n",
        value, limit, value / limit);
    (void)p->C_CloseSession(session);
}

int main(void)
{
    struct b_err err = {0};
    char uri[1024];
    need(b_secret_init(64 << 10, false, &err) == B_OK, "memory", &err);
    need(mkdtemp(dir) != NULL, "mkdtemp", NULL);
    need(custody_softhsm_create(dir, "bench", "bench-pin", "bench-so-pin", uri, sizeof(uri),
                                &err) == B_OK,
         "making a token", &err);
    struct custody_config config = {.uri = uri, .establishment = "bench", .pin = "bench-pin"};
    struct custody *c = NULL;
    struct custody_key key;
    need(custody_open(&config, &c, &err) == B_OK, "opening the token", &err);
    need(custody_generate(c, KEY_ROLE_AUTH, 1, &key, &err) == B_OK, "generating a key", &err);
    measure(c, p11_kit_uri_get_module_path(c->uri));
    custody_free(&c);
    return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : 1;
}
