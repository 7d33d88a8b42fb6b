#include "fixture.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char dir[64];
char uri[600];   /* the token through the misbehaving module */
char plain[600]; /* the token through SoftHSM2 itself */

void path_of(char *out, size_t cap, const char *suffix)
{
    (void)snprintf(out, cap, "%s/%s", dir, suffix);
}

void fault(const char *words)
{
    char path[128];
    path_of(path, sizeof(path), "softhsm2.conf.fault");
    (void)unlink(path);
    if (words == NULL)
        return;
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(words, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

long file_size(const char *name)
{
    char path[128];
    struct stat st;
    path_of(path, sizeof(path), name);
    return stat(path, &st) == 0 ? (long)st.st_size : 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
    (void)st;
    (void)flag;
    (void)at;
    return remove(path);
}

int make_token(void **state)
{
    (void)state;
    struct b_err err = {0};
    assert_int_equal(b_secret_init(256 << 10, false, NULL), B_OK);
    (void)snprintf(dir, sizeof(dir), "/tmp/tessere-custody-XXXXXX");
    assert_non_null(mkdtemp(dir));
    if (custody_softhsm_create(dir, "Badges of here", PIN, "so-pin-1", plain, sizeof(plain),
                               &err) != B_OK)
        fail_msg("%s", err.msg);
    const char *query = strstr(plain, "?module-path=");
    const char *mock = getenv("TESSERE_MOCK_PKCS11");
    assert_non_null(query);
    assert_non_null(mock);
    struct b_wr w = b_wr_from(uri, sizeof(uri));
    b_wr_bytes(&w, plain, (size_t)(query - plain) + strlen("?module-path="));
    for (const char *c = mock; *c != '\0'; c++) /* RFC 7512 §2.3: a space is not itself in a URI */
        b_wr_bytes(&w, *c == ' ' ? "%20" : c, *c == ' ' ? 3 : 1);
    b_wr_u8(&w, 0);
    assert_true(b_wr_ok(&w));
    return 0;
}

int drop_token(void **state)
{
    (void)state;
    assert_int_equal(b_secret_in_use(), 0);
    return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

enum b_code open_as(const char *which, const char *pin, struct custody **ret, struct b_err *err)
{
    struct custody_config config = {.uri = which, .establishment = "750712184", .pin = pin};
    return custody_open(&config, ret, err);
}

struct custody *open_good(void)
{
    struct custody *c = NULL;
    struct b_err err = {0};
    if (open_as(uri, PIN, &c, &err) != B_OK)
        fail_msg("%s", err.msg);
    return c;
}

void generate(struct custody *c, enum key_role role, uint8_t generation)
{
    struct custody_key key;
    struct b_err err = {0};
    if (custody_generate(c, role, generation, &key, &err) != B_OK)
        fail_msg("%s", err.msg);
    assert_true(key.is_safe);
}

enum b_code derive(struct custody *c, uint8_t generation, uint8_t *out, struct b_err *err)
{
    static const uint8_t input[17] = "0123456789abcdefg";
    uint8_t *secret = b_secret_alloc(16);
    enum b_code r = custody_derive(c, KEY_ROLE_AUTH, generation, input, sizeof(input), secret, err);
    memcpy(out, secret, 16);
    b_secret_free(secret);
    return r;
}

void unhex(uint8_t *out, size_t n, const char *hex)
{
    struct b_wr w = b_wr_from(out, n);
    assert_true(b_unhex(&w, hex));
    assert_int_equal(w.len, n);
}
