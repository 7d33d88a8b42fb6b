/* A note, checkpoint or key from anywhere: what is read is written again as it was; nothing opens
 * for a key whose signature is not in the seeds. */
#include <string.h>

#include "journal/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char enoch[] = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
    static char out[JOURNAL_NOTE_MAX + 1];
    static char again[sizeof(out)];
    const char *text = (const char *)data;
    struct journal_checkpoint c;
    struct journal_signer signer;
    size_t body = journal_note_body(text, size);
    b_check(body < size || size == 0);
    if (journal_checkpoint_parse(text, size, &c)) {
        b_check(journal_checkpoint_print(&c, out, sizeof(out)));
        b_check(strlen(out) <= size && memcmp(out, text, strlen(out)) == 0);
    }
    b_check(journal_signer_parse(enoch, &signer));
    b_check(!journal_note_verify(text, size, &signer, NULL));
    if (size >= sizeof(out))
        return 0;
    memcpy(out, text, size);
    out[size] = '\0';
    if (journal_signer_parse(out, &signer))
        b_check(journal_signer_print(&signer, again, sizeof(again)) && strcmp(again, out) == 0);
    return 0;
}
