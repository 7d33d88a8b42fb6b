/*
 * custody: master keys in a PKCS#11 token, by role and generation.
 *
 * A token is named by an RFC 7512 URI and loaded through p11-kit. Masters are AES-128, generated
 * in the token, sensitive, not extractable, usable only for what deriving needs. Deriving computes
 * AN10922 as AES-CMAC in the token (CKM_AES_CMAC), or by CBC or ECB where a token lacks it. Badge
 * keys of roles that are set in-token do not leave it: they are objects there for the length of one
 * piece of work (inside.c). A token that keeps no AES key keeps masters wrapped under an RSA key of
 * its own, and opens them for each use (wrapped.c). The only folder that includes pkcs11.h; linked
 * into the vault alone. It must never learn what a card is.
 *
 * A struct custody is one session, used by one thread at a time; a process may have several on one
 * token. The application's login is theirs together.
 */
#ifndef TESSERE_CUSTODY_CUSTODY_H
#define TESSERE_CUSTODY_CUSTODY_H

#include "base/base.h"
#include "crypto/crypto.h"
#include "crypto/role.h"

struct custody;

/* CUSTODY_OAEP: the token keeps no AES key; a master is in this process's secret memory at use. */
enum custody_method { CUSTODY_CMAC, CUSTODY_CBC, CUSTODY_ECB, CUSTODY_OAEP };
const char *custody_method_name(enum custody_method m); /* "CKM_AES_CMAC" */

enum { CUSTODY_PIN_MAX = 128, CUSTODY_ESTABLISHMENT_MAX = 16, CUSTODY_KEYS_MAX = 256 };

struct custody_config {
    const char *uri; /* pkcs11:token=…;… , with module-path when p11-kit does not know it */
    const char *establishment; /* FINESS number: part of every label */
    const char *pin;           /* secret memory of the caller */
    bool may_use_last_try;     /* else CKF_USER_PIN_FINAL_TRY refuses to log in */
    struct key_stay in_token;  /* whose badge keys stay in the token */
};

struct custody_kcv {
    char method[16]; /* "CMAC-0" : first 3 bytes of AES-CMAC over 16 zero bytes */
    uint8_t value[3];
};

struct custody_key {
    enum key_role role;
    uint8_t generation;
    struct custody_kcv kcv;
    bool is_safe;        /* sensitive, never extractable, made in the token, right mechanisms */
    bool derives_inside; /* made so that its badge keys can be used without leaving the token */
    bool is_brought;     /* not made in this token: a ceremony brought it there */
    bool is_passing;     /* asked for, not said of a key: for this session, and to be wrapped */
};

struct custody_token {
    char label[33];
    char manufacturer[33];
    char model[17];
    char serial[17];
    enum custody_method method;
    bool is_connected;
};

/* Loads the module, finds the token, logs in. Errors name token and remedy: B_E_TOKEN_*. */
B_NODISCARD enum b_code custody_open(const struct custody_config *config, struct custody **ret,
                                     struct b_err *err);
void custody_free(struct custody **c);
B_NODISCARD enum b_code custody_token(struct custody *c, struct custody_token *ret,
                                      struct b_err *err);

/* B_E_KEY_EXISTS when the role has this generation already. */
B_NODISCARD enum b_code custody_generate(struct custody *c, enum key_role role, uint8_t generation,
                                         struct custody_key *ret, struct b_err *err);
B_NODISCARD enum b_code custody_list(struct custody *c, struct custody_key *keys, size_t cap,
                                     size_t *ret_count, struct b_err *err);
/* AN10922 AES-128 (constant 01, input 1..31 bytes). out: 16 bytes of secret memory. Takes the
 * token up again once if its session was lost. B_E_KEY_MISSING, B_E_TOKEN_*; B_E_KEY_STAYS for a
 * role that is set in-token. */
B_NODISCARD enum b_code custody_derive(struct custody *c, enum key_role role, uint8_t generation,
                                       const uint8_t *input, size_t n, uint8_t *out,
                                       struct b_err *err);

/* --- backups (backup.c) -------------------------------------------------------------------------
 *
 * A master that is to be restorable is made for the session alone, wrapped (RFC 3394) under a key
 * that the caller has, and forgotten: it is in no token yet. Bringing it takes it from its backup,
 * at a ceremony's end as at a restoration, so that what is used is what was backed up. A token with
 * CKM_AES_KEY_WRAP does all this inside; for another one the master passes through this process's
 * secret memory.
 */
enum { CUSTODY_KEK = 32, CUSTODY_WRAPPED = 24 };
struct custody_backup {
    enum key_role role;
    uint8_t generation;
    const uint8_t *kek; /* CUSTODY_KEK bytes, for this master alone */
};
struct custody_made {
    uint8_t wrapped[CUSTODY_WRAPPED];
    struct custody_kcv kcv;
    bool is_inside; /* it was in no memory but the token's */
};
B_NODISCARD enum b_code custody_make(struct custody *c, const struct custody_backup *b,
                                     struct custody_made *ret, struct b_err *err);
/* Opens the backup and compares the KCV; only then, and when keeps, the master is put in the token,
 * not extractable. One that is there already with this KCV is well. B_E_BACKUP_BROKEN,
 * B_E_KCV_DIFFERS, B_E_KEY_UNSAFE. */
B_NODISCARD enum b_code custody_bring(struct custody *c, const struct custody_backup *b,
                                      const uint8_t wrapped[static CUSTODY_WRAPPED],
                                      const uint8_t kcv[static 3], bool keeps,
                                      struct custody_key *ret, struct b_err *err);
/* The backup under another key. */
B_NODISCARD enum b_code custody_rewrap(struct custody *c, const struct custody_backup *b,
                                       const uint8_t *to, uint8_t wrapped[static CUSTODY_WRAPPED],
                                       struct b_err *err);

/* --- badge keys that stay in the token (inside.c) -----------------------------------------------
 */

struct custody_which {
    enum key_role role;
    uint8_t generation;
    struct b_rd input; /* diversification, as for custody_derive */
};
struct custody_badge; /* such a key, while the work on it lasts */
/* It may be run a second time from its start, when the token was lost and taken up again. */
typedef enum b_code custody_badge_work(struct custody_badge *badge, void *arg, struct b_err *err);
/* Derives the badge key as an object that is sensitive, cannot be extracted, and belongs to this
 * session; works; destroys it. B_E_KEY_NOT_INSIDE, naming what the token or the master lacks. */
B_NODISCARD enum b_code custody_use_badge(struct custody *c, const struct custody_which *which,
                                          custody_badge_work *work, void *arg, struct b_err *err);
/* CBC with the badge key over 16 or 32 bytes, in the token; iv is left as it was. Fits struct
 * df_prove_cipher. False: custody_badge_error tells. */
bool custody_badge_cbc(void *badge, bool is_encrypt, uint8_t *iv, const uint8_t *in, uint8_t *out,
                       size_t n);
/* B_OK, or why the last custody_badge_cbc failed. */
enum b_code custody_badge_error(const struct custody_badge *badge, struct b_err *err);

/* Anchors: up to CUSTODY_ANCHOR_MAX bytes under a name, in the token, so that a server that was
 * taken over or restored cannot take them back. Replaced whole: a crash leaves the old or the new
 * one. Not secrets. B_E_NOT_FOUND; B_E_TOKEN_MECHANISM when the token keeps no data objects. */
enum { CUSTODY_ANCHOR_MAX = 256, CUSTODY_ANCHOR_NAME_MAX = 32 };
B_NODISCARD enum b_code custody_anchor_get(struct custody *c, const char *name, uint8_t *out,
                                           size_t cap, size_t *ret_n, struct b_err *err);
B_NODISCARD enum b_code custody_anchor_put(struct custody *c, const char *name,
                                           const uint8_t *bytes, size_t n, struct b_err *err);

/* Makes the embedded default: a SoftHSM2 token under dir (tokens, softhsm2.conf, pin files of
 * mode 0600), label `label`. Returns its URI. Used by the vault on behalf of `tessere init`. */
B_NODISCARD enum b_code custody_softhsm_create(const char *dir, const char *label, const char *pin,
                                               const char *so_pin, char *ret_uri, size_t cap,
                                               struct b_err *err);

#endif
