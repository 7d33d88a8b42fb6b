/* A proof from anywhere: what is read is written again byte for byte; it holds for nobody's key,
 * and a witness that is shown it forgets nothing. */
#include <string.h>

#include "journal/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char enoch[] = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
    struct journal_signer nobody;
    static struct journal_inclusion p;
    static struct journal_growth g;
    static char out[JOURNAL_PROOF_TEXT_MAX];
    const char *text = (const char *)data;
    struct journal_checkpoint c;
    b_check(journal_signer_parse(enoch, &nobody));
    (void)strcpy(nobody.name, "example.com/behind-the-sofa"); /* the seeds' origin */
    if (journal_inclusion_parse(text, size, &p)) {
        b_check(journal_inclusion_print(&p, out, sizeof(out)));
        b_check(strlen(out) == size && memcmp(out, data, size) == 0);
        b_check(journal_inclusion_verify(&p, &nobody, p.extra, p.extra_len, NULL) != B_OK);
        b_check(journal_checkpoint_parse(p.note, strlen(p.note), &c));
        b_check(!journal_check_inclusion(&p.proof, p.index, c.size, c.root, c.root) || c.size == 1);
    }
    if (journal_growth_parse(text, size, &g)) {
        static struct journal_witness w;
        b_check(journal_growth_print(&g, out, sizeof(out)));
        b_check(strlen(out) == size && memcmp(out, data, size) == 0);
        journal_witness_init(&w, &nobody);
        b_check(journal_witness_step(&w, &g, NULL) == B_E_JOURNAL_SIGNATURE && w.last.size == 0);
        b_check(journal_checkpoint_parse(g.note, strlen(g.note), &c));
        b_check(!journal_check_consistency(&g.proof, g.old, c.size, c.root, c.root) ||
                g.old == c.size);
    }
    return 0;
}
