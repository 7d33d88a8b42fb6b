/*
 * Copies of a whole establishment: made while it works, sealed for the custodians, verified, put
 * back. (A ceremony's backup, of master keys alone, is ceremony.h's; a copy holds those too.)
 *
 *   DIR/tessere-<FINESS>-<time>Z.backup     tar, zstd, CMS: src/service/bundle.h
 *                               .manifest   what is in it, in clear: struct service_manifest
 *                               .proof      that the journal has the manifest's digest (C2SP
 *                                           tlog-proof): so the journal's key signs the manifest
 *
 * The token and its PIN are never in a copy: its masters come back from a ceremony's shares.
 */
#ifndef TESSERE_SERVICE_BACKUP_H
#define TESSERE_SERVICE_BACKUP_H

#include "service/service.h"

enum {
    SERVICE_MEMBERS_MAX = 1024,
    SERVICE_MEMBER_NAME = 128,
    SERVICE_RECIPIENTS_MAX = 16,
    SERVICE_RECIPIENTS_TEXT = 4096,
    SERVICE_COPY_NAME = 48, /* "tessere-750712184-20261128T110343Z" and its NUL */
    SERVICE_COPY_PATH = 768,
    SERVICE_MANIFEST_MAX = 262144,
};

/* --- the manifest (manifest.c) -----------------------------------------------------------------
 */

struct service_member {
    char name[SERVICE_MEMBER_NAME]; /* "store.db", "pki/ca.pem" */
    uint64_t size;
    uint8_t sha256[32];
};
struct service_sealed_for {
    char name[STORE_NAME_MAX];
    uint8_t fingerprint[32]; /* SHA-256 of the certificate's DER form */
};
struct service_manifest {
    char finess[16];
    int64_t at; /* of the snapshot */
    uint64_t size;
    uint8_t sha256[32]; /* of the .backup */
    /* The whole copy that this one adds to, and the digest of its .backup; "": this one is whole.
     */
    char base[SERVICE_COPY_NAME];
    uint8_t base_sha256[32];
    int schema;
    bool has_masters; /* a ceremony's backup is among the members */
    uint64_t entries; /* of the journal, with its root */
    uint8_t root[32];
    char checkpoint[JOURNAL_NOTE_MAX]; /* the newest signed one, or "" */
    size_t recipient_count;
    struct service_sealed_for recipients[SERVICE_RECIPIENTS_MAX];
    size_t count;
    struct service_member members[SERVICE_MEMBERS_MAX];
};
/* As text of SERVICE_MANIFEST_MAX, with a NUL. */
B_NODISCARD enum b_code service_manifest_write(const struct service_manifest *m, char *text,
                                               struct b_err *err);
/* B_E_BACKUP_ALTERED names what is wrong. */
B_NODISCARD enum b_code service_manifest_read(const char *text, size_t n,
                                              struct service_manifest *ret, struct b_err *err);
/* "tessere-<FINESS>-<time>Z". */
void service_manifest_name(const struct service_manifest *m, char ret[static SERVICE_COPY_NAME]);
/* Whether a member may be called so: a path downwards, of parts that are names. */
bool service_member_is_name(const char *name);

/* --- making one (backup.c) ---------------------------------------------------------------------
 */

struct service_recipient {
    char name[STORE_NAME_MAX];
    char certificate[SERVICE_COPY_PATH]; /* a file, PEM */
};
struct service_copy {
    const char *home, *dir; /* dir: where copies are kept */
    const struct service_recipient *recipients;
    size_t recipient_count;
    char (*files)[SERVICE_MEMBER_NAME]; /* more files of the home, that these name */
    size_t file_count;
    unsigned
        full_days;  /* so long copies hold of the store what changed since a whole one; 0: all */
    bool is_signed; /* out: the journal's key vouches for it */
};
/* Makes one. What is left of one that was cut is removed. Without the token it is made all the
 * same, and nobody vouches for it: then *err says why. B_E_STORE_LOCKED: another is being made. */
B_NODISCARD enum b_code service_copy_make(struct service *sv, struct service_copy *c,
                                          struct service_manifest *ret, struct b_err *err);

/* --- looking at one, putting it back (restore.c) ------------------------------------------------
 */

struct service_copy_wanted {
    const char *finess;                  /* NULL: any establishment's */
    const struct journal_signer *signer; /* who vouches for it; NULL: it is taken at its word */
    const char *checkpoint; /* a note kept elsewhere, which it must not be older than; or NULL */
};
/* The files of a copy, by any one of the three: whole, as they were made, of this establishment,
 * vouched for. B_E_BACKUP_*, B_E_JOURNAL_SIGNATURE, B_E_JOURNAL_PROOF. */
B_NODISCARD enum b_code service_copy_check(const char *path, const struct service_copy_wanted *w,
                                           struct service_manifest *ret, struct b_err *err);
/* Opens a copy that was checked with a custodian's private key (PEM) into a directory that is
 * there and empty, brings its store to this program's schema, and verifies the journal in it.
 * B_E_BACKUP_SEALED, B_E_BACKUP_ALTERED, B_E_STORE_NEWER, B_E_JOURNAL_*. */
B_NODISCARD enum b_code service_copy_open(const char *path, struct b_rd key,
                                          const struct service_copy_wanted *w,
                                          const struct service_manifest *m, const char *dir,
                                          struct b_err *err);
/* The same into a home that is not there yet, or empty; it is there whole or not at all. */
B_NODISCARD enum b_code service_copy_restore(const char *path, struct b_rd key,
                                             const struct service_copy_wanted *w,
                                             const struct service_manifest *m, const char *home,
                                             struct b_err *err);

/* --- many (copies.c) ---------------------------------------------------------------------------
 */

enum { SERVICE_COPIES_MAX = 1024 };
struct service_copies {
    size_t count;
    char names[SERVICE_COPIES_MAX][SERVICE_COPY_NAME]; /* oldest first */
};
/* Those of an establishment in a directory, by their manifests. B_E_BAD_INPUT. */
B_NODISCARD enum b_code service_copies_list(const char *dir, const char *finess,
                                            struct service_copies *ret, struct b_err *err);
/* When it was made, by its name; 0: this is no name of a copy. */
int64_t service_copy_time(const char *name);
/* Copies one to a second directory, its manifest last; before it the one that it adds to, unless
 * that is there. */
B_NODISCARD enum b_code service_copy_duplicate(const char *dir, const char *name, const char *to,
                                               struct b_err *err);
/* How many are not of a time that is still to come, as a clock that was wrong gave it. */
size_t service_copies_until(const struct service_copies *all, int64_t now);
/* Removes all but the newest `keep` and the newest of each of the last twelve months, and those
 * that these add to; none at all unless the newest is whole. Those of the future stay, and do not
 * count. */
B_NODISCARD enum b_code service_copies_thin(const char *dir, const char *finess, unsigned keep,
                                            int64_t now, size_t *ret_removed, struct b_err *err);

/* --- what an establishment has decided (backup_config.c, of the library that reads YAML) --------
 */

struct service_copy_config {                  /* HOME/backup.yaml */
    char recipients[SERVICE_RECIPIENTS_TEXT]; /* NAME=/path/of/certificate.pem,... */
    char dir[SERVICE_COPY_PATH];
    bool is_elsewhere;              /* dir is another than HOME/backup, and named in the file */
    char second[SERVICE_COPY_PATH]; /* "": no second site */
    unsigned keep, full_days, backup_hours, drill_days;
};
/* Without a file: B_E_NOT_FOUND, and *ret is what goes without saying, with copies in HOME/backup.
 * B_E_CONFIG. */
B_NODISCARD enum b_code service_copy_config_read(const char *home, struct service_copy_config *ret,
                                                 struct b_err *err);
B_NODISCARD enum b_code service_copy_config_write(const char *home,
                                                  struct service_copy_config *config,
                                                  struct b_err *err);
/* Into SERVICE_RECIPIENTS_MAX of room. B_E_USAGE. */
B_NODISCARD enum b_code service_recipients_read(const char *list, struct service_recipient *ret,
                                                size_t *ret_count, struct b_err *err);

/* Removes a directory with all that is in it; one that is not there is well. */
void service_remove_tree(const char *path);

#endif
