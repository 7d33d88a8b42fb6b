/*
 * A ceremony in the vault: the backup key, under which every master's backup is wrapped, and its
 * shares. The key is made here or put together here out of shares, lies in secret memory while the
 * ceremony lasts, and leaves in shares alone: sealed for a custodian's certificate, or in words.
 *
 *   kek of a master   SHA-256(backup key || "tessere-backup/v1" || 00 || establishment || 00 ||
 *                     ceremony || role || generation)
 *   check             SHA-256(backup key || "tessere-backup-check/v1" || ceremony), 8 bytes
 *
 * Which ceremony is in force the token knows, once its minutes were signed (ceremony_anchor.c); no
 * other is taken up. So a backup opens for its own establishment, ceremony, role and generation
 * alone. One ceremony is under way at a time. Once there is a roster of approvers, which one may
 * begin is what carry_out of a proposal "ceremony" said: "init", "share", "restore", "rotate auth
 * 4", "import auth 4", "export auth 4", "give library".
 */
#ifndef TESSERE_VAULT_CEREMONY_H
#define TESSERE_VAULT_CEREMONY_H

#include "vault/vaultd.h"

enum { VAULTD_CHECK = 8 };

/* Allows one ceremony: the argument of a proposal that a quorum approved. */
enum b_code vaultd_ceremony_permit(struct vaultd *d, const char *argument,
                                   const struct vaultd_once *once, struct b_err *err);
void vaultd_ceremony_drop(struct vaultd *d);

/* The handlers of msg.def, in the table of vaultd.c. */
#define CEREMONY_HANDLER(name)                                                            \
    enum b_code handle_##name(struct vaultd *d, struct wire_in *in, struct wire_out *out, \
                              struct b_err *err)
CEREMONY_HANDLER(ceremony_begin);
CEREMONY_HANDLER(ceremony_resume);
CEREMONY_HANDLER(ceremony_seal);
CEREMONY_HANDLER(ceremony_words);
CEREMONY_HANDLER(ceremony_give);
CEREMONY_HANDLER(ceremony_make);
CEREMONY_HANDLER(ceremony_bring);
CEREMONY_HANDLER(ceremony_renew);
CEREMONY_HANDLER(ceremony_rewrap);
CEREMONY_HANDLER(minutes_sign);
CEREMONY_HANDLER(ceremony_close);
/* ceremony_import.c */
CEREMONY_HANDLER(import_part);
CEREMONY_HANDLER(import_key);
CEREMONY_HANDLER(export_key);
CEREMONY_HANDLER(give_key);

#endif
