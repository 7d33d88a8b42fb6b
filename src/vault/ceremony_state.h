/* What a ceremony in the vault is made of. Private to ceremony.c, ceremony_import.c and
 * ceremony_anchor.c. */
#ifndef TESSERE_VAULT_CEREMONY_STATE_H
#define TESSERE_VAULT_CEREMONY_STATE_H

#include "crypto/keyblock.h"
#include "crypto/shamir.h"
#include "crypto/wrap.h"
#include "custody/words.h"
#include "vault/ceremony.h"

enum { CEREMONY_PART_KCV = 3, CEREMONY_PART_SEEN = 2 * CEREMONY_PART_KCV, CEREMONY_PARTS_MAX = 8 };

struct backup_key {
    uint8_t id[CUSTODY_CEREMONY_ID];
    uint8_t threshold, count;
    bool is_whole; /* made here, or put together */
    uint8_t key[CUSTODY_KEK];
    uint8_t coefficients[(CRYPTO_SHARES_MAX - 1) * CUSTODY_KEK]; /* of one that was made here */
    bool has_coefficients;
};

struct vaultd_ceremony {
    struct backup_key now;
    struct backup_key former; /* of a renewal; threshold 0: none */
    bool is_rehearsal, has_minutes;
    uint8_t check[VAULTD_CHECK];
    uint8_t given_count;
    uint8_t xs[CRYPTO_SHARES_MAX];
    uint8_t given[CRYPTO_SHARES_MAX][CUSTODY_SHARE_VALUE];
    char permit[sizeof(((struct vaultd_permit *)NULL)->text)]; /* "": no roster limits it */
    struct custody_share share;                                /* room for one that passes */
    char text[CUSTODY_SHARE_TEXT + 1];
    uint8_t kek[2 * CUSTODY_KEK];
    uint8_t parts[CRYPTO_KEYBLOCK_KEY]; /* XOR of the components of a key from elsewhere */
    size_t part_n, part_count;
    uint8_t part_seen[CEREMONY_PARTS_MAX][CEREMONY_PART_SEEN];
    /* Whose key each share was sealed for, or that it was told in words; zeros: not given yet. */
    uint8_t gone_to[CRYPTO_SHARES_MAX][CRYPTO_CMS_KEY];
    struct crypto_keyblock block;
    struct df_key other; /* of another system */
};

enum b_code ceremony_broken(struct b_err *err);
/* What tells a backup key without giving it away. */
void ceremony_check(const struct backup_key *k, uint8_t out[static VAULTD_CHECK]);
/* The key over one master's backup. */
void ceremony_kek(const struct vaultd *d, const struct backup_key *k,
                  const struct custody_backup *of, uint8_t out[static CUSTODY_KEK]);
bool ceremony_permits(const struct vaultd_ceremony *c, const char *verbs,
                      const struct custody_backup *of);
enum b_code ceremony_not_permitted(struct b_err *err);
/* The ceremony under way; whole: and its backup key is there. */
enum b_code ceremony_current(struct vaultd *d, bool whole, struct vaultd_ceremony **ret,
                             struct b_err *err);
/* No other role or generation of the token has a key of this check value, by CMAC:
 * B_E_KEY_REPEATED names the one that has. Of other keys one in 16 million has it too. */
enum b_code ceremony_alone(struct vaultd *d, const struct custody_backup *of,
                           const uint8_t kcv[static 3], struct b_err *err);
/* ceremony_anchor.c. Whether the token knows this ceremony: B_E_CEREMONY_OTHER when it knows
 * another; *ret_has false when it knows none yet. */
enum b_code ceremony_known(struct vaultd *d, const struct backup_key *k,
                           const uint8_t check[static VAULTD_CHECK], bool *ret_has,
                           struct b_err *err);
/* One is being made to take the place of another: both are known. */
enum b_code ceremony_succeed(struct vaultd *d, const struct backup_key *former,
                             const struct backup_key *now, struct b_err *err);
/* It is the one in force from now on. */
enum b_code ceremony_enforce(struct vaultd *d, const struct backup_key *now, struct b_err *err);
/* Reads a role and a generation; false when they are none. */
bool ceremony_master(struct wire_in *in, struct custody_backup *ret);

#endif
