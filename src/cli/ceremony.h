/* A ceremony at the command line: what its acts share. Private to ceremony.c and ceremony_acts.c.
 */
#ifndef TESSERE_CLI_CEREMONY_H
#define TESSERE_CLI_CEREMONY_H

#include "cli/cli.h"
#include "service/ceremony.h"

enum { CEREMONY_BLOCK_MAX = 1024 };

struct ceremony {
    struct cli *c;
    struct vault *vault; /* that holds the masters: the establishment's, or a rehearsal's own */
    struct service_backup backup;
    struct service_ceremony told;
    char certificates[VAULT_SHARES_MAX][CLI_PATH_MAX]; /* of custodians; "": words on paper */
    char dir[CLI_PATH_MAX];
    char scratch[CLI_PATH_MAX];         /* the token of a rehearsal; "": none */
    char text[SERVICE_BACKUP_TEXT_MAX]; /* of backup.json */
    char confirmers[SERVICE_CONFIRMERS][STORE_NAME_MAX];
    int lock;       /* of all ceremonies of the home; -1: none */
    bool is_new;    /* dir was made by this ceremony, and goes with it when nothing came of it */
    bool is_in_use; /* from the first master that the token keeps: there is no way back */
};

/* Reads --custodians and --quorum, and sees that the certificates are there. */
B_NODISCARD enum b_code ceremony_custodians(struct ceremony *k, struct b_err *err);
/* Makes the ceremony's directory, and gives every custodian their share: a sealed file, or words
 * that are shown to them alone. */
B_NODISCARD enum b_code ceremony_hand_out(struct ceremony *k, struct b_err *err);
/* The backup of --backup, or the newest here; the custodians give their shares. */
B_NODISCARD enum b_code ceremony_find(struct ceremony *k, struct b_err *err);
/* When the backup is made: now, but later than any other of its kind here, so that it is the newest
 * whatever the clock says (two in one second, or a clock set back). */
B_NODISCARD enum b_code ceremony_stamp(struct ceremony *k, struct b_err *err);
B_NODISCARD enum b_code ceremony_take_in(struct ceremony *k, struct b_err *err);
/* ceremony_page.c. Writes a share into the directory of --sheets. words: secret memory. */
B_NODISCARD enum b_code ceremony_page(struct ceremony *k, uint8_t share, const char *words,
                                      struct b_err *err);
/* ceremony_card.c. Asks for a PIN, and gives the sealed share of this number, which the key of
 * --card opens. B_E_CARD_KEY. */
B_NODISCARD enum b_code ceremony_card(struct ceremony *k, unsigned share, unsigned *given,
                                      struct b_err *err);
/* A rotation, an import and an export are about one key, the others about all of the backup. */
bool ceremony_is_about(const struct ceremony *k, const struct vault_backup *key);
/* Reads --confirmed-by, so that what is wrong with it ends a ceremony before it begins. */
B_NODISCARD enum b_code ceremony_confirmers(struct ceremony *k, struct b_err *err);
/* Whom the check values were read to: asked at the terminal, or --confirmed-by. */
B_NODISCARD enum b_code ceremony_confirm(struct ceremony *k, struct b_err *err);
/* HOME/ceremony/<id>. */
B_NODISCARD enum b_code ceremony_place(struct ceremony *k, struct b_err *err);
/* Removes shares and backup of k->dir; the minutes stay. */
B_NODISCARD enum b_code ceremony_remove(const struct ceremony *k, struct b_err *err);
/* A line of the standard input into secret memory, without echo. False at its end. */
bool ceremony_line(char *line, size_t cap, size_t *ret_n);

/* ceremony_import.c. Components with their check values, until an empty line; n: the length of
 * each, 0: any that a key of AES or TDEA has. */
B_NODISCARD enum b_code ceremony_take_parts(struct ceremony *k, size_t n, struct b_err *err);
/* --kcv. */
B_NODISCARD enum b_code ceremony_kcv(const struct cli *c, uint8_t kcv[static 3], struct b_err *err);
/* The key block of --block, CEREMONY_BLOCK_MAX of room; empty without the option. */
B_NODISCARD enum b_code ceremony_block(const struct cli *c, char *text, size_t *ret_n,
                                       struct b_err *err);

/* ceremony_acts.c. The beginning, with those who confirm, and the end that all acts have; close
 * gives r back. */
B_NODISCARD enum b_code ceremony_open(struct ceremony *k, struct cli *c, struct b_err *err);
enum b_code ceremony_close(struct ceremony *k, enum b_code r);
/* Everything is tried before anything is kept: in the backup's file, then in the token, then in the
 * store, which names no master that the one before does not have. */
B_NODISCARD enum b_code ceremony_finish(struct ceremony *k, const char *kind, struct b_err *err);
/* Every key of the backup is tried, and with keeps put into the token. */
B_NODISCARD enum b_code ceremony_bring_all(struct ceremony *k, bool keeps, struct b_err *err);
/* The entry of the journal, the minutes, and what the person is told. */
B_NODISCARD enum b_code ceremony_tell(struct ceremony *k, struct b_err *err);
/* The next generation of a role, by the store. */
B_NODISCARD enum b_code ceremony_next(struct ceremony *k, enum key_role role, unsigned *ret,
                                      struct b_err *err);
/* The token of a rehearsal, k->scratch. */
void ceremony_remove_token(const struct ceremony *k);

#endif
