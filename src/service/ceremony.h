/*
 * What a ceremony leaves behind: the backup file, an entry in the journal, and minutes. All of it
 * may be seen by anybody: masters are in it wrapped, shares are not in it.
 *
 *   HOME/ceremony/<ceremony>/backup.json     wrapped masters, how many shares, who holds them
 *                            share-N.cms     sealed for their custodians
 *                            minutes-<kind>-<time>.json .sig .fr.html .en.html
 *
 * The order is what makes a cut harmless: shares are written before masters are made, the backup
 * before a master is put in the token, the token has all of them before the store names one.
 */
#ifndef TESSERE_SERVICE_CEREMONY_H
#define TESSERE_SERVICE_CEREMONY_H

#include "service/service.h"

enum {
    SERVICE_BACKUP_KEYS_MAX = 128,
    SERVICE_BACKUP_TEXT_MAX = 65536,
    SERVICE_CEREMONY_HEX = 2 * VAULT_CEREMONY_ID + 1,
    SERVICE_MINUTES_MAX = 15360,
    SERVICE_CONFIRMERS = 2, /* who heard the check values and confirmed them */
};

struct service_custodian {
    char name[STORE_NAME_MAX];
    bool is_sealed; /* for a certificate; else on paper, in words */
};

struct service_backup {
    struct vault_ceremony ceremony; /* shares: as many as there are custodians */
    char finess[16];
    int64_t at;
    struct service_custodian custodians[VAULT_SHARES_MAX];
    size_t count;
    struct vault_backup keys[SERVICE_BACKUP_KEYS_MAX];
};
/* As text of SERVICE_BACKUP_TEXT_MAX. */
B_NODISCARD enum b_code service_backup_write(const struct service_backup *b, char *text,
                                             struct b_err *err);
/* B_E_BAD_INPUT names what is wrong. */
B_NODISCARD enum b_code service_backup_read(const char *text, size_t n, struct service_backup *ret,
                                            struct b_err *err);

/* What was done, to be told. */
struct service_ceremony {
    /* "init", "share", "rotate", "restore", "import", "export", "give", "destroy" */
    const char *kind;
    const struct vault_backup *key; /* of a rotation, an import or an export; or NULL */
    struct store_given *given;      /* the key of another system that was given; or NULL */
    const struct service_backup *backup;
    const char *confirmers[SERVICE_CONFIRMERS];
    char digest[65]; /* SHA-256 of backup.json */
    int64_t at;
    uint64_t entry; /* in the journal; out */
};
/* Compares a backup with what the store says of the same masters: B_E_KCV_DIFFERS. */
B_NODISCARD enum b_code service_ceremony_compare(struct store *s, const struct service_backup *b,
                                                 struct b_err *err);
/* One change: the masters that the store does not name yet become their roles' generations, and
 * the journal tells of the ceremony. For a rehearsal the journal alone. */
B_NODISCARD enum b_code service_ceremony_note(struct service *sv, struct service_ceremony *k,
                                              struct b_err *err);
/* Says in a record which key it was about, if one. */
void service_ceremony_key(const struct service_ceremony *k, json_t *to);
/* Once a roster is founded: carries the quorum's proposal "ceremony WHAT" out in this process's
 * vault, which then lets one such ceremony begin. B_E_QUORUM. */
B_NODISCARD enum b_code service_ceremony_allow(struct service *sv, const char *what,
                                               struct b_err *err);
/* A fresh token has no roster: the one that the store names is founded in it again. */
B_NODISCARD enum b_code service_ceremony_roster(struct service *sv, struct b_err *err);

/* minutes.c. The minutes, signed by the journal's key, below dir. Needs a checkpoint that covers
 * the entry. */
B_NODISCARD enum b_code service_minutes(struct service *sv, const struct service_ceremony *k,
                                        const char *dir, struct b_err *err);
/* A page for people out of minutes; language: "fr" or "en". Free it. NULL when they are none. */
char *service_minutes_page(const char *json, size_t n, const char *language);

#endif
