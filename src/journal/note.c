#include "journal/note.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "crypto/sign.h"
#include "journal/line.h"

static const char dash[] = "\xE2\x80\x94 "; /* an em dash and a space open a signature line */

/* --- keys --------------------------------------------------------------------------------------
 */

void journal_key_id(const struct journal_signer *signer, uint8_t id[static 4])
{
    uint8_t bytes[JOURNAL_NAME_MAX + 2 + 32];
    uint8_t digest[32];
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    b_wr_bytes(&w, signer->name, strnlen(signer->name, sizeof(signer->name)));
    b_wr_u8(&w, '\n');
    b_wr_u8(&w, signer->algorithm);
    b_wr_bytes(&w, signer->key, sizeof(signer->key));
    crypto_sha256(bytes, w.len, digest);
    memcpy(id, digest, 4);
}

bool journal_signer_print(const struct journal_signer *signer, char *out, size_t cap)
{
    uint8_t id[4];
    uint8_t key[33] = {signer->algorithm};
    char text[48];
    journal_key_id(signer, id);
    memcpy(key + 1, signer->key, sizeof(signer->key));
    return b_base64(text, sizeof(text), key, sizeof(key)) &&
           snprintf(out, cap, "%s+%02x%02x%02x%02x+%s", signer->name, id[0], id[1], id[2], id[3],
                    text) < (int)cap;
}

bool journal_signer_parse(const char *text, struct journal_signer *ret)
{
    char again[JOURNAL_NAME_MAX + 64];
    uint8_t key[33];
    struct b_wr w = b_wr_from(key, sizeof(key));
    const char *plus = strchr(text, '+');
    if (plus == NULL || plus == text || (size_t)(plus - text) >= sizeof(ret->name) ||
        strnlen(plus, 11) < 11 || plus[9] != '+' || strlen(plus + 10) != 44 ||
        !b_unbase64(&w, plus + 10, 44) || w.len != sizeof(key))
        return false;
    if (key[0] != JOURNAL_ALGORITHM_ED25519 && key[0] != JOURNAL_ALGORITHM_COSIGNATURE)
        return false;
    *ret = (struct journal_signer){.algorithm = key[0]};
    memcpy(ret->name, text, (size_t)(plus - text));
    memcpy(ret->key, key + 1, sizeof(ret->key));
    return strpbrk(ret->name, " \n") == NULL && journal_signer_print(ret, again, sizeof(again)) &&
           strcmp(again, text) == 0;
}

/* --- checkpoints -------------------------------------------------------------------------------
 */

bool journal_checkpoint_print(const struct journal_checkpoint *c, char *out, size_t cap)
{
    char root[48];
    return b_base64(root, sizeof(root), c->root, sizeof(c->root)) &&
           snprintf(out, cap, "%s\n%" PRIu64 "\n%s\n", c->origin, c->size, root) < (int)cap;
}

bool journal_checkpoint_parse(const char *note, size_t n, struct journal_checkpoint *ret)
{
    struct b_rd line;
    size_t body = n <= JOURNAL_NOTE_MAX ? journal_note_body(note, n) : 0;
    struct b_rd text = b_rd_from(note, body != 0 ? body : n);
    *ret = (struct journal_checkpoint){.size = 0};
    if (n > JOURNAL_NOTE_MAX || !journal_is_text(b_rd_from(note, n)) ||
        !journal_line(&text, &line) || line.left == 0 || line.left >= sizeof(ret->origin))
        return false;
    b_rd_bytes(&line, ret->origin, line.left);
    if (!journal_line(&text, &line) || !journal_line_number(line, &ret->size) ||
        !journal_line(&text, &line) || !journal_line_hash(line, ret->root))
        return false;
    while (journal_line(&text, &line))
        if (line.left == 0)
            return false; /* an extension line is never empty */
    return text.left == 0;
}

/* --- signatures --------------------------------------------------------------------------------
 */

size_t journal_note_body(const char *note, size_t n)
{
    /* The last empty line parts body and signatures; a body may not hold one in a checkpoint, but a
     * note may. */
    for (size_t i = n; i >= 2; i--)
        if (note[i - 1] == '\n' && note[i - 2] == '\n')
            return i - 1;
    return 0;
}

bool journal_note_add(char *out, size_t cap, const struct journal_signer *signer,
                      const uint8_t *signature, size_t n)
{
    uint8_t bytes[4 + 72];
    char text[112];
    size_t used = strnlen(out, cap);
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    uint8_t id[4];
    journal_key_id(signer, id);
    b_wr_bytes(&w, id, sizeof(id));
    b_wr_bytes(&w, signature, n);
    bool has_any = journal_note_body(out, used) != 0;
    if (used >= cap || !b_wr_ok(&w) || !b_base64(text, sizeof(text), bytes, w.len))
        return false;
    struct b_wr line = b_wr_from(out + used, cap - used);
    if (!has_any)
        b_wr_u8(&line, '\n');
    b_wr_bytes(&line, dash, sizeof(dash) - 1);
    b_wr_bytes(&line, signer->name, strnlen(signer->name, sizeof(signer->name)));
    b_wr_u8(&line, ' ');
    b_wr_bytes(&line, text, strlen(text));
    b_wr_bytes(&line, "\n", 2);
    return b_wr_ok(&line);
}

size_t journal_cosigned(uint64_t time, const char *body, size_t n, char *out, size_t cap)
{
    struct b_wr w = b_wr_from(out, cap);
    char head[64];
    int length = snprintf(head, sizeof(head), "cosignature/v1\ntime %" PRIu64 "\n", time);
    b_wr_bytes(&w, head, (size_t)length);
    b_wr_bytes(&w, body, n);
    return b_wr_ok(&w) ? w.len : 0;
}

static bool verify(const struct journal_signer *signer, const char *body, size_t n,
                   struct b_rd signature, uint64_t *ret_time)
{
    static _Thread_local char message[JOURNAL_NOTE_MAX + 64];
    if (signer->algorithm == JOURNAL_ALGORITHM_ED25519)
        return signature.left == 64 && crypto_ed25519_verify(signer->key, body, n, signature.p);
    if (signer->algorithm != JOURNAL_ALGORITHM_COSIGNATURE || signature.left != 72)
        return false;
    uint64_t time = (uint64_t)b_rd_be32(&signature) << 32;
    time |= b_rd_be32(&signature);
    size_t length = journal_cosigned(time, body, n, message, sizeof(message));
    if (length == 0 || !crypto_ed25519_verify(signer->key, message, length, signature.p))
        return false;
    if (ret_time != NULL)
        *ret_time = time;
    return true;
}

/* A signature line: dash, name, base64 of a key id and a signature. False when it is none. */
static bool parse_line(struct b_rd line, char *name, struct b_wr *bytes)
{
    if (!journal_line_word(&line, dash))
        return false;
    const uint8_t *space = line.left > 0 ? memchr(line.p, ' ', line.left) : NULL;
    size_t n = space != NULL ? (size_t)(space - line.p) : 0;
    if (n == 0 || n >= JOURNAL_NAME_MAX)
        return false;
    b_rd_bytes(&line, name, n);
    name[n] = '\0';
    b_rd_skip(&line, 1);
    return b_unbase64(bytes, (const char *)line.p, line.left) && bytes->len > 4;
}

bool journal_note_verify(const char *note, size_t n, const struct journal_signer *signer,
                         uint64_t *ret_time)
{
    static _Thread_local uint8_t bytes[JOURNAL_NOTE_MAX]; /* others' signatures may be long */
    size_t body = n <= JOURNAL_NOTE_MAX ? journal_note_body(note, n) : 0;
    uint8_t id[4];
    bool is_signed = false;
    if (body == 0 || !journal_is_text(b_rd_from(note, n)))
        return false;
    journal_key_id(signer, id);
    struct b_rd text = b_rd_from(note, n);
    struct b_rd line;
    b_rd_skip(&text, body + 1);
    while (journal_line(&text, &line)) {
        char name[JOURNAL_NAME_MAX];
        struct b_wr w = b_wr_from(bytes, sizeof(bytes));
        if (!parse_line(line, name, &w))
            return false;
        if (strcmp(name, signer->name) != 0 || !b_ct_eq(bytes, id, sizeof(id)))
            continue;
        if (!verify(signer, note, body, b_rd_from(bytes + 4, w.len - 4), ret_time))
            return false;
        is_signed = true;
    }
    return is_signed && text.left == 0;
}
