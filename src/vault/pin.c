#include "vault/pin.h"

#include <argon2.h>
#include <string.h>

#include "vault/wire.h"

enum {
    VERSION = 2,
    VERSION_UNBOUND = 1,
    SALT = 16,
    TAG = 32,
    /* OWASP's least for Argon2id: 19 MiB, two passes, one lane: about 30 ms here. A PIN has few
     * digits; what keeps it is the pepper and the lock after a few tries, not this. */
    MEMORY_KIB = 19456,
    PASSES = 2,
    MEMORY_MOST_KIB = 65536,
    PASSES_MOST = 8,
};

struct cost {
    uint32_t memory, passes;
    uint8_t lanes;
};

/* Digits, then zeros; how many digits, or 0. */
static size_t count_digits(const uint8_t *pin)
{
    size_t n = 0;
    while (n < VAULTD_PIN_TEXT && pin[n] >= '0' && pin[n] <= '9')
        n++;
    for (size_t i = n; i < VAULTD_PIN_TEXT; i++)
        if (pin[i] != 0)
            return 0;
    return n >= VAULTD_PIN_MIN && n <= VAULTD_PIN_MAX ? n : 0;
}

enum b_code vaultd_pin_fits(const uint8_t *pin, uint8_t min, uint8_t max, struct b_err *err)
{
    size_t n = count_digits(pin);
    return n != 0 && n >= min && n <= max
               ? B_OK
               : b_err_set(err, B_E_PIN_FORMAT, 0, "%u to %u digits", min, max);
}

static enum b_code hash(const uint8_t *pin, const struct vaultd_pin_of *of, const uint8_t *salt,
                        struct cost cost, uint8_t tag[static TAG], struct b_err *err)
{
    size_t n = count_digits(pin);
    if (n == 0)
        return b_err_set(err, B_E_PIN_FORMAT, 0, "%d to %d digits", VAULTD_PIN_MIN, VAULTD_PIN_MAX);
    /* The library takes pointers that it does not write through unless it is told to wipe. */
    union {
        const uint8_t *in;
        const char *text;
        uint8_t *out;
    } password = {.in = pin}, salted = {.in = salt}, secret = {.in = of->pepper},
      holder = {.text = of->ref};
    argon2_context c = {.out = tag,
                        .outlen = TAG,
                        .pwd = password.out,
                        .pwdlen = (uint32_t)n,
                        .salt = salted.out,
                        .saltlen = SALT,
                        .secret = secret.out,
                        .secretlen = 32,
                        .ad = holder.out,
                        .adlen = (uint32_t)strlen(of->ref),
                        .t_cost = cost.passes,
                        .m_cost = cost.memory,
                        .lanes = cost.lanes,
                        .threads = 1,
                        .version = ARGON2_VERSION_13,
                        .flags = ARGON2_DEFAULT_FLAGS};
    int r = argon2_ctx(&c, Argon2_id);
    return r == ARGON2_OK
               ? B_OK
               : b_err_set(err, r == ARGON2_MEMORY_ALLOCATION_ERROR ? B_E_NO_MEMORY : B_E_INTERNAL,
                           (uint32_t)r, "hashing a PIN");
}

enum b_code vaultd_pin_hash(const uint8_t *pin, const struct vaultd_pin_of *of,
                            const uint8_t salt[static SALT], uint8_t *record, struct b_err *err)
{
    const struct cost cost = {MEMORY_KIB, PASSES, 1};
    struct b_wr w = b_wr_from(record, VAULTD_PIN_RECORD);
    b_wr_u8(&w, VERSION);
    b_wr_le32(&w, cost.memory);
    b_wr_le32(&w, cost.passes);
    b_wr_u8(&w, cost.lanes);
    b_wr_bytes(&w, salt, SALT);
    uint8_t *tag = b_wr_reserve(&w, TAG);
    b_check(tag != NULL && w.len == VAULTD_PIN_RECORD);
    return hash(pin, of, salt, cost, tag, err);
}

enum b_code vaultd_pin_check(const uint8_t *pin, const struct vaultd_pin_of *of, struct b_rd record,
                             struct b_err *err)
{
    uint8_t version = b_rd_u8(&record);
    if (version == VERSION_UNBOUND)
        return b_err_set(err, B_E_PIN_MISSING, 0,
                         "the PIN of %s was set by an earlier version, and holds no more", of->ref);
    struct cost cost = {.memory = b_rd_le32(&record)};
    cost.passes = b_rd_le32(&record);
    cost.lanes = b_rd_u8(&record);
    const uint8_t *salt = b_rd_direct(&record, SALT);
    const uint8_t *wanted = b_rd_direct(&record, TAG);
    uint8_t tag[TAG];
    if (!b_rd_end(&record) || version != VERSION || cost.lanes != 1 || cost.passes < 1 ||
        cost.passes > PASSES_MOST || cost.memory < 8 || cost.memory > MEMORY_MOST_KIB)
        return b_err_set(err, B_E_BAD_INPUT, 0, "a PIN record that this vault did not write");
    enum b_code r = hash(pin, of, salt, cost, tag, err);
    if (r == B_OK && !b_ct_eq(tag, wanted, TAG))
        r = b_err_set(err, B_E_PIN_WRONG, 0, "the PIN is another");
    b_wipe(tag, sizeof(tag));
    return r;
}

/* --- how many may be wrong ---------------------------------------------------------------------
 */

static const uint64_t each_us = 1000 * 1000;

/* Not all of them: whoever can start the vault again and again would have as many each time. */
uint64_t vaultd_wrong_pins_at_start(uint64_t now_us)
{
    return now_us + (VAULTD_WRONG_PINS - VAULT_WORKERS_MAX) * each_us;
}

bool vaultd_wrong_pin(uint64_t *until_us, uint64_t now_us)
{
    uint64_t until = (*until_us > now_us ? *until_us : now_us) + each_us;
    if (until - now_us > VAULTD_WRONG_PINS * each_us)
        return false;
    *until_us = until;
    return true;
}

void vaultd_right_pin(uint64_t *until_us)
{
    *until_us -= each_us;
}
