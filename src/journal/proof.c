#include "journal/proof.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "journal/line.h"

static const char first_line[] = "c2sp.org/tlog-proof@v1";

/* --- printing ----------------------------------------------------------------------------------
 */

static void put_text(struct b_wr *w, const char *text)
{
    b_wr_bytes(w, text, strlen(text));
}

/* Base64 in pieces that need no padding, but for the last. */
static void put_base64(struct b_wr *w, const uint8_t *p, size_t n)
{
    enum { PIECE = 48 };
    struct b_rd r = b_rd_from(p, n);
    while (r.left > 0) {
        char text[PIECE / 3 * 4 + 1];
        struct b_rd piece = b_rd_take(&r, r.left < PIECE ? r.left : PIECE);
        b_check(b_base64(text, sizeof(text), piece.p, piece.left));
        put_text(w, text);
    }
    b_wr_u8(w, '\n');
}

static void put_number(struct b_wr *w, const char *word, uint64_t v)
{
    char line[40];
    (void)snprintf(line, sizeof(line), "%s %" PRIu64 "\n", word, v);
    put_text(w, line);
}

/* Hashes, the empty line, the checkpoint, and the NUL. */
static bool put_rest(struct b_wr *w, const struct journal_proof *proof, const char *note)
{
    for (size_t i = 0; i < proof->count; i++)
        put_base64(w, proof->hashes[i], JOURNAL_HASH);
    b_wr_u8(w, '\n');
    put_text(w, note);
    b_wr_u8(w, 0);
    return b_wr_ok(w);
}

bool journal_inclusion_print(const struct journal_inclusion *p, char *out, size_t cap)
{
    struct b_wr w = b_wr_from(out, cap);
    put_text(&w, first_line);
    b_wr_u8(&w, '\n');
    if (p->extra_len > 0) {
        put_text(&w, "extra ");
        put_base64(&w, p->extra, p->extra_len);
    }
    put_number(&w, "index", p->index);
    return put_rest(&w, &p->proof, p->note);
}

bool journal_growth_print(const struct journal_growth *g, char *out, size_t cap)
{
    struct b_wr w = b_wr_from(out, cap);
    put_number(&w, "old", g->old);
    return put_rest(&w, &g->proof, g->note);
}

/* --- parsing -----------------------------------------------------------------------------------
 */

static bool take_number(struct b_rd *text, const char *word, uint64_t *ret)
{
    struct b_rd line;
    return journal_line(text, &line) && journal_line_word(&line, word) &&
           journal_line_number(line, ret);
}

static bool take_extra(struct b_rd *text, struct journal_inclusion *ret)
{
    struct b_rd line;
    struct b_rd after = *text;
    ret->extra_len = 0;
    if (!journal_line(&after, &line) || !journal_line_word(&line, "extra "))
        return true; /* there is none */
    struct b_wr w = b_wr_from(ret->extra, sizeof(ret->extra));
    if (line.left == 0 || !b_unbase64(&w, (const char *)line.p, line.left))
        return false;
    ret->extra_len = w.len;
    *text = after;
    return true;
}

/* Hashes up to the empty line, and the checkpoint, whose size is given. */
static bool take_rest(struct b_rd *text, struct journal_proof *proof, char *note, uint64_t *ret)
{
    struct journal_checkpoint c;
    struct b_rd line;
    proof->count = 0;
    for (;;) {
        if (!journal_line(text, &line))
            return false;
        if (line.left == 0)
            break;
        if (proof->count == JOURNAL_PROOF_MAX ||
            !journal_line_hash(line, proof->hashes[proof->count++]))
            return false;
    }
    size_t n = text->left;
    if (n > JOURNAL_NOTE_MAX)
        return false;
    b_rd_bytes(text, note, n);
    note[n] = '\0';
    if (journal_note_body(note, n) == 0 || !journal_checkpoint_parse(note, n, &c))
        return false;
    *ret = c.size;
    return true;
}

bool journal_inclusion_parse(const char *text, size_t n, struct journal_inclusion *ret)
{
    struct b_rd r = b_rd_from(text, n);
    struct b_rd line;
    uint64_t size = 0;
    return journal_line(&r, &line) && journal_line_word(&line, first_line) && line.left == 0 &&
           take_extra(&r, ret) && take_number(&r, "index ", &ret->index) &&
           take_rest(&r, &ret->proof, ret->note, &size) && ret->index < size;
}

bool journal_growth_parse(const char *text, size_t n, struct journal_growth *ret)
{
    struct b_rd r = b_rd_from(text, n);
    uint64_t size = 0;
    return take_number(&r, "old ", &ret->old) && take_rest(&r, &ret->proof, ret->note, &size) &&
           ret->old <= size && (ret->old != 0 || ret->proof.count == 0);
}

/* --- verifying ---------------------------------------------------------------------------------
 */

enum b_code journal_inclusion_verify(const struct journal_inclusion *p,
                                     const struct journal_signer *log, const void *entry, size_t n,
                                     struct b_err *err)
{
    struct journal_checkpoint c;
    uint8_t leaf[JOURNAL_HASH];
    size_t length = strlen(p->note);
    if (!journal_checkpoint_parse(p->note, length, &c) || strcmp(c.origin, log->name) != 0 ||
        !journal_note_verify(p->note, length, log, NULL))
        return b_err_set(err, B_E_JOURNAL_SIGNATURE, 0, "the checkpoint is not one of %s",
                         log->name);
    journal_leaf_hash(entry, n, leaf);
    if (!journal_check_inclusion(&p->proof, p->index, c.size, leaf, c.root))
        return b_err_set(err, B_E_JOURNAL_PROOF, 0,
                         "this is not entry %" PRIu64 " of the journal with %" PRIu64, p->index,
                         c.size);
    return B_OK;
}
