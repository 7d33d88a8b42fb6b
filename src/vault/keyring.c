/*
 * The token for real. Opened at the first need, so that a vault starts when its token is away. The
 * PIN is read once and kept: a pipe gives it once, and recovery needs it. One that the token
 * refused is never offered again by this process.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vault/vaultd.h"

struct keyring {
    struct custody *custody;
    char *pin;            /* secret memory */
    struct b_err refused; /* why the PIN is not offered again */
};

/* --- the PIN ---------------------------------------------------------------------------------- */

/* Reads one line of at most CUSTODY_PIN_MAX signs into secret memory. */
static enum b_code read_pin(int fd, const char *from, char **ret, struct b_err *err)
{
    char *pin = b_secret_alloc(CUSTODY_PIN_MAX + 2);
    if (pin == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "reading the PIN");
    size_t n = 0;
    ssize_t got = 1;
    while (n < CUSTODY_PIN_MAX + 1 && got > 0) {
        got = read(fd, pin + n, CUSTODY_PIN_MAX + 1 - n);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got > 0)
            n += (size_t)got;
    }
    int cause = got < 0 ? errno : 0;
    pin[strcspn(pin, "\r\n")] = '\0';
    if (cause == 0 && n <= CUSTODY_PIN_MAX + 1 && pin[0] != '\0' &&
        strlen(pin) <= CUSTODY_PIN_MAX) {
        *ret = pin;
        return B_OK;
    }
    b_secret_free(pin);
    return b_err_set(err, B_E_TOKEN_PIN_SOURCE, (uint32_t)cause, "reading the PIN from %s: %s",
                     from, cause != 0 ? strerror(cause) : "it must be one line of 1 to 128 signs");
}

/* A PIN that others on the machine can read or change is not one. */
static enum b_code check_file(int fd, const char *path, struct b_err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return b_err_set(err, B_E_TOKEN_PIN_SOURCE, (uint32_t)errno, "reading the PIN from %s: %s",
                         path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return b_err_set(err, B_E_TOKEN_PIN_SOURCE, 0, "the PIN file %s is not a plain file", path);
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return b_err_set(err, B_E_TOKEN_PIN_OWNER, 0, "the PIN file %s belongs to another user",
                         path);
    if ((st.st_mode & 077) != 0)
        return b_err_set(err, B_E_TOKEN_PIN_SOURCE, 0,
                         "the PIN file %s can be read by others: chmod 600 it", path);
    return B_OK;
}

static enum b_code read_pin_file(const char *path, char **ret, struct b_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return b_err_set(err, B_E_TOKEN_PIN_SOURCE, (uint32_t)errno, "opening the PIN file %s: %s",
                         path, strerror(errno));
    enum b_code r = check_file(fd, path, err);
    if (r == B_OK)
        r = read_pin(fd, path, ret, err);
    (void)close(fd);
    return r;
}

/* The descriptor of a prompt, a file, or the service manager's credential token-pin. */
static enum b_code take_pin(struct keyring *k, const struct vaultd_config *config,
                            struct b_err *err)
{
    if (k->pin != NULL)
        return B_OK;
    if (config->has_pin_fd) {
        enum b_code r = read_pin(VAULT_PIN_FD, "the prompt", &k->pin, err);
        (void)close(VAULT_PIN_FD);
        return r;
    }
    if (config->pin_file[0] != '\0')
        return read_pin_file(config->pin_file, &k->pin, err);
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    char path[VAULTD_PATH_MAX];
    if (dir == NULL)
        return B_OK; /* the token may have a keypad, or ask for none; custody tells */
    if (snprintf(path, sizeof(path), "%s/token-pin", dir) >= (int)sizeof(path))
        return b_err_set(err, B_E_TOKEN_PIN_SOURCE, 0, "CREDENTIALS_DIRECTORY is too long");
    return read_pin_file(path, &k->pin, err);
}

/* --- the token -------------------------------------------------------------------------------- */

static enum b_code ready(struct keyring *k, const struct vaultd_config *config, struct b_err *err)
{
    if (k->custody != NULL)
        return B_OK;
    if (k->refused.code != B_OK) {
        *err = k->refused;
        return err->code;
    }
    if (config->token_uri[0] == '\0')
        return b_err_set(err, B_E_CONFIG, 0, "no token is configured");
    enum b_code r = take_pin(k, config, err);
    if (r != B_OK)
        return r;
    struct custody_config c = {.uri = config->token_uri,
                               .establishment = config->establishment,
                               .pin = k->pin,
                               .may_use_last_try = config->may_use_last_try,
                               .in_token = config->in_token};
    r = custody_open(&c, &k->custody, err);
    if (r == B_E_TOKEN_PIN_WRONG || r == B_E_TOKEN_LOCKED)
        k->refused = *err;
    return r;
}

static enum b_code keyring_token(void *ctx, const struct vaultd_config *config,
                                 struct custody_token *ret, struct b_err *err)
{
    struct keyring *k = ctx;
    enum b_code r = ready(k, config, err);
    return r == B_OK ? custody_token(k->custody, ret, err) : r;
}

static enum b_code keyring_generate(void *ctx, const struct vaultd_config *config,
                                    enum key_role role, uint8_t generation, struct custody_key *ret,
                                    struct b_err *err)
{
    struct keyring *k = ctx;
    enum b_code r = ready(k, config, err);
    return r == B_OK ? custody_generate(k->custody, role, generation, ret, err) : r;
}

static enum b_code keyring_list(void *ctx, const struct vaultd_config *config,
                                struct custody_key *keys, size_t cap, size_t *ret_count,
                                struct b_err *err)
{
    struct keyring *k = ctx;
    enum b_code r = ready(k, config, err);
    return r == B_OK ? custody_list(k->custody, keys, cap, ret_count, err) : r;
}

static enum b_code keyring_derive(void *ctx, const struct vaultd_config *config,
                                  const struct custody_key *which, struct b_rd input, uint8_t *out,
                                  struct b_err *err)
{
    struct keyring *k = ctx;
    enum b_code r = ready(k, config, err);
    if (r != B_OK)
        return r;
    return custody_derive(k->custody, which->role, which->generation, input.p, input.left, out,
                          err);
}

/* --- badge keys that stay in the token ---------------------------------------------------------
 */

struct proof {
    const struct vaultd_inside *inside;
    const uint8_t *a, *challenge;
    uint8_t *frame;
    struct b_rd answer;
};

static enum b_code make_frame(struct custody_badge *badge, void *arg, struct b_err *err)
{
    const struct proof *p = arg;
    const struct df_prove_cipher cipher = {custody_badge_cbc, badge};
    bool is_made =
        df_prove_token(p->inside->prove, p->inside->how, &cipher, p->challenge, p->a, p->frame);
    return is_made ? B_OK : custody_badge_error(badge, err);
}

static enum b_code check_answer(struct custody_badge *badge, void *arg, struct b_err *err)
{
    const struct proof *p = arg;
    const struct df_prove_cipher cipher = {custody_badge_cbc, badge};
    if (df_prove_check(p->inside->prove, &cipher, p->answer.p))
        return B_OK;
    enum b_code r = custody_badge_error(badge, err);
    return r != B_OK ? r : b_err_set(err, B_E_CARD_AUTH, 0, "the card's proof is wrong");
}

static enum b_code keyring_prove(void *ctx, const struct vaultd_config *config,
                                 const struct vaultd_inside *inside, const uint8_t *challenge,
                                 uint8_t *frame, struct b_err *err)
{
    struct keyring *k = ctx;
    uint8_t a[DF_PROVE_BLOCK];
    struct proof p = {.inside = inside, .a = a, .challenge = challenge, .frame = frame};
    enum b_code r = ready(k, config, err);
    crypto_random(a, sizeof(a));
    if (r == B_OK)
        r = custody_use_badge(k->custody, &inside->which, make_frame, &p, err);
    b_wipe(a, sizeof(a));
    return r;
}

static enum b_code keyring_check(void *ctx, const struct vaultd_config *config,
                                 const struct vaultd_inside *inside, struct b_rd answer,
                                 struct b_err *err)
{
    struct keyring *k = ctx;
    struct proof p = {.inside = inside, .answer = answer};
    enum b_code r = ready(k, config, err);
    return r == B_OK ? custody_use_badge(k->custody, &inside->which, check_answer, &p, err) : r;
}

static enum b_code keyring_anchor_get(void *ctx, const struct vaultd_config *config,
                                      const char *name, struct b_wr *out, struct b_err *err)
{
    struct keyring *k = ctx;
    uint8_t bytes[CUSTODY_ANCHOR_MAX];
    size_t n = 0;
    enum b_code r = ready(k, config, err);
    if (r == B_OK)
        r = custody_anchor_get(k->custody, name, bytes, sizeof(bytes), &n, err);
    if (r == B_OK)
        b_wr_bytes(out, bytes, n);
    return r;
}

static enum b_code keyring_anchor_put(void *ctx, const struct vaultd_config *config,
                                      const char *name, struct b_rd bytes, struct b_err *err)
{
    struct keyring *k = ctx;
    enum b_code r = ready(k, config, err);
    return r == B_OK ? custody_anchor_put(k->custody, name, bytes.p, bytes.left, err) : r;
}

static enum b_code keyring_make(void *ctx, const struct vaultd_config *config,
                                const struct custody_backup *b, struct custody_made *ret,
                                struct b_err *err)
{
    struct keyring *k = ctx;
    enum b_code r = ready(k, config, err);
    return r == B_OK ? custody_make(k->custody, b, ret, err) : r;
}

static enum b_code keyring_bring(void *ctx, const struct vaultd_config *config,
                                 const struct custody_backup *b, const struct vaultd_bring *bring,
                                 struct custody_key *ret, struct b_err *err)
{
    struct keyring *k = ctx;
    enum b_code r = ready(k, config, err);
    return r == B_OK
               ? custody_bring(k->custody, b, bring->wrapped, bring->kcv, bring->keeps, ret, err)
               : r;
}

static enum b_code keyring_rewrap(void *ctx, const struct vaultd_config *config,
                                  const struct custody_backup *b, const uint8_t *to,
                                  uint8_t *wrapped, struct b_err *err)
{
    struct keyring *k = ctx;
    enum b_code r = ready(k, config, err);
    return r == B_OK ? custody_rewrap(k->custody, b, to, wrapped, err) : r;
}

/* 32 letters and digits without look-alikes: 160 bits, and can be read over a telephone. */
static void random_pin(char pin[static 33])
{
    static const char alphabet[] = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    static_assert(sizeof(alphabet) == 33, "five bits a sign");
    crypto_random(pin, 32);
    for (size_t i = 0; i < 32; i++)
        pin[i] = alphabet[(uint8_t)pin[i] & 31];
    pin[32] = '\0';
}

static enum b_code keyring_create(void *ctx, const char *dir, const char *label, char *ret_uri,
                                  size_t cap, struct b_err *err)
{
    struct keyring *k = ctx;
    if (k->custody != NULL)
        return b_err_set(err, B_E_REFUSED, 0, "another token is in use by this vault");
    char *pin = b_secret_alloc(33);
    char *so_pin = b_secret_alloc(33);
    enum b_code r = B_OK;
    if (pin == NULL || so_pin == NULL) {
        r = b_err_set(err, B_E_NO_MEMORY, 0, "making PINs");
    } else {
        random_pin(pin);
        random_pin(so_pin);
        r = custody_softhsm_create(dir, label, pin, so_pin, ret_uri, cap, err);
    }
    b_secret_free(pin);
    b_secret_free(so_pin);
    return r;
}

struct vaultd_keyring vaultd_keyring_token(void)
{
    static struct keyring each[VAULT_WORKERS_MAX];
    static size_t used; /* the first thread hands them out, before the others run */
    b_check(used < B_COUNT(each));
    return (struct vaultd_keyring){.ctx = &each[used++],
                                   .token = keyring_token,
                                   .generate = keyring_generate,
                                   .list = keyring_list,
                                   .derive = keyring_derive,
                                   .prove = keyring_prove,
                                   .check = keyring_check,
                                   .anchor_get = keyring_anchor_get,
                                   .anchor_put = keyring_anchor_put,
                                   .create = keyring_create,
                                   .make = keyring_make,
                                   .bring = keyring_bring,
                                   .rewrap = keyring_rewrap};
}

void vaultd_keyring_close(struct vaultd_keyring *k)
{
    struct keyring *one = k->ctx;
    custody_free(&one->custody);
    b_secret_free(one->pin);
    one->pin = NULL;
}
