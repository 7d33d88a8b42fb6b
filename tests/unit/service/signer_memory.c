/* Keys that sign tokens, searched for in the process that has tokens signed: this one. A child
 * opens the wrapped keys as the token's files let it, and looks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "crypto/wrap.h"
#include "desk.h"
#include "memscan.h"
#include "place.h"
#include "service/signer.h"

static struct desk desk;

static int open_desk(void **state)
{
    struct vault_key seal;
    int r = desk_make_place(state);
    desk_open(&desk, "750000001");
    MUST(vault_key_generate(desk.sv.vault, KEY_ROLE_SEAL, 1, &seal, &desk_err));
    return r;
}

static int close_desk(void **state)
{
    desk_close(&desk);
    return desk_drop_place(state);
}

enum { PATTERNS = 8 };
static uint8_t patterns[PATTERNS][MEMSCAN_SIZE]; /* a child's */

/* As src/vault/identity.h says that it is derived. */
static bool unwrap(const uint8_t master[static 16], const struct store_signing_key *k, uint8_t *out)
{
    static const char label[] = "tessere/signer/aes256-gcm";
    enum { N = sizeof(label) - 1, HEAD = 2 + CRYPTO_JWK_ID - 1 };
    uint8_t halves[32], kek[32], input[N + 1];
    struct crypto_key key;
    crypto_key_init(&key, CRYPTO_AES128, master);
    memcpy(input, label, N);
    for (uint8_t i = 0; i < 2; i++) {
        input[N] = (uint8_t)(i + 1);
        if (crypto_an10922(&key, input, sizeof(input), halves + 16 * (size_t)i, NULL) != B_OK)
            return false;
    }
    input[N] = 0;
    crypto_sha256_two(halves, sizeof(halves), input, sizeof(input), kek);
    return crypto_unseal(kek, b_rd_from(k->wrapped, HEAD),
                         b_rd_from(k->wrapped + HEAD, k->wrapped_len - HEAD), out);
}

/* d, p and q of an RSA key, or the scalar; 0: no master opens it. */
static size_t collect(const struct store_signing_key *k, size_t count)
{
    static uint8_t key[CRYPTO_JWS_PRIVATE_MAX];
    char line[1200];
    (void)snprintf(line, sizeof(line), "'%s' '%s/tokens' '%s'", getenv("TESSERE_SOFTHSM_VALUES"),
                   place_dir, place_pin);
    FILE *f = popen(line, "r"); // NOLINT(cert-env33-c)
    bool is_open = false;
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        uint8_t master[16];
        struct b_wr w = b_wr_from(master, sizeof(master));
        line[strcspn(line, "\n")] = '\0';
        is_open = is_open || (b_unhex(&w, line) && w.len == 16 && unwrap(master, k, key));
    }
    if (f != NULL)
        (void)pclose(f);
    size_t wanted = k->alg == CRYPTO_JWS_RS256 ? 3 : 1;
    static const size_t at[] = {384, 768, 960};
    for (size_t i = 0; is_open && i < wanted; i++)
        memcpy(patterns[count + i], key + (wanted == 1 ? 0 : at[i]), MEMSCAN_SIZE);
    return is_open ? wanted : 0;
}

static int search(const struct store_signing_key *rsa, const struct store_signing_key *ec,
                  const uint8_t control[1][MEMSCAN_SIZE])
{
    struct memscan_hit hit = {.where = ""};
    size_t count = collect(rsa, 0);
    count += collect(ec, count);
    if (count != 4)
        return 3;
    int is_there = memscan(getppid(), control, 1, &hit);
    if (is_there < 0)
        return 2;
    return is_there > 0 &&
                   memscan(getppid(), (const uint8_t(*)[MEMSCAN_SIZE])patterns, count, &hit) == 0
               ? 0
               : 1;
}

static void sign(const char *alg)
{
    static char jwt[VAULT_JWT_MAX];
    json_t *claims = json_pack("{s:s, s:s, s:{}}", "iss", "https://id", "jti", "7", "events");
    MUST(service_sign(&desk.sv, VAULT_EVENT_TOKEN, alg, "", claims, jwt, sizeof(jwt), &desk_err));
    json_decref(claims);
}

static void no_private_key_was_in_the_process_that_had_tokens_signed(void **state)
{
    (void)state;
    static struct store_signing_key rsa, ec;
    int status = 0;
    MUST(service_signer_begin(&desk.sv, &desk_err));
    for (int i = 0; i < 20; i++)
        sign(i % 2 == 0 ? "RS256" : "ES256");
    MUST(store_signing_key_of(desk.sv.store, CRYPTO_JWS_RS256, STORE_SIGNER_ACTIVE, &rsa,
                              &desk_err));
    MUST(
        store_signing_key_of(desk.sv.store, CRYPTO_JWS_ES256, STORE_SIGNER_ACTIVE, &ec, &desk_err));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(search(&rsa, &ec, (const uint8_t(*)[MEMSCAN_SIZE])(rsa.wrapped + 100)));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 2)
        skip(); /* reading the memory of another process needs root here */
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_private_key_was_in_the_process_that_had_tokens_signed),
    };
    return cmocka_run_group_tests_name("signer memory", tests, open_desk, close_desk);
}
