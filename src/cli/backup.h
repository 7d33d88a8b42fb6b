/* Copies at the command line: what `backup` and `drill` share. Private to backup.c and drill.c. */
#ifndef TESSERE_CLI_BACKUP_H
#define TESSERE_CLI_BACKUP_H

#include "cli/cli.h"
#include "service/backup.h"
#include "service/journal.h"

struct backup_wanted {
    struct service_copy_wanted is;
    struct journal_signer signer;
    char note[JOURNAL_NOTE_MAX + 1];
};
/* What --finess, --key, --checkpoint and --older say. */
B_NODISCARD enum b_code cli_backup_wanted(const struct cli *c, struct backup_wanted *w,
                                          struct b_err *err);
/* The code r of what was done with --custodian; an error of that key names its file. */
B_NODISCARD enum b_code cli_backup_key_used(const struct cli *c, enum b_code r, struct b_err *err);
/* The files that server.yaml, directory.yaml and the files of subscribers and of relying parties
 * name: those in the home, by their names in it, and those that a backup leaves out. */
struct backup_files {
    char names[SERVICE_MEMBERS_MAX][SERVICE_MEMBER_NAME];
    bool names_more[SERVICE_MEMBERS_MAX];
    size_t count;
};
struct backup_named {
    struct backup_files inside, outside;
};
/* Of a home that was made absolute. */
void cli_backup_named(const struct cli *c, struct backup_named *ret);
/* What was found of a copy that is well. */
void cli_backup_say(const struct cli *c, const struct backup_wanted *w,
                    const struct service_manifest *m, bool is_opened);

#endif
