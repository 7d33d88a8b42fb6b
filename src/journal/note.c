#include "journal/note.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "crypto/sign.h"

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
    *ret = (struct journal_signer){.algorithm = key[0]};
    memcpy(ret->name, text, (size_t)(plus - text));
    memcpy(ret->key, key + 1, sizeof(ret->key));
    return strpbrk(ret->name, " \n") == NULL && journal_signer_print(ret, again, sizeof(again)) &&
           strcmp(again, text) == 0;
}

/* --- lines -------------------------------------------------------------------------------------
 */

/* Takes the next line, without its end, off the text; false when there is no whole line left. */
static bool next_line(const char **text, size_t *left, const char **line, size_t *n)
{
    const char *end = *left > 0 ? memchr(*text, '\n', *left) : NULL;
    if (end == NULL)
        return false;
    *line = *text;
    *n = (size_t)(end - *text);
    *left -= *n + 1;
    *text = end + 1;
    return true;
}

/* A size as the format wants it: digits, no leading zero. */
static bool parse_size(const char *line, size_t n, uint64_t *ret)
{
    *ret = 0;
    if (n == 0 || n > 19 || (line[0] == '0' && n > 1))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (line[i] < '0' || line[i] > '9')
            return false;
        *ret = *ret * 10 + (uint64_t)(line[i] - '0');
    }
    return true;
}

bool journal_checkpoint_print(const struct journal_checkpoint *c, char *out, size_t cap)
{
    char root[48];
    return b_base64(root, sizeof(root), c->root, sizeof(c->root)) &&
           snprintf(out, cap, "%s\n%" PRIu64 "\n%s\n", c->origin, c->size, root) < (int)cap;
}

bool journal_checkpoint_parse(const char *note, size_t n, struct journal_checkpoint *ret)
{
    const char *line = NULL;
    size_t length = 0;
    *ret = (struct journal_checkpoint){.size = 0};
    if (n > JOURNAL_NOTE_MAX || !next_line(&note, &n, &line, &length) || length == 0 ||
        length >= sizeof(ret->origin) || memchr(line, '\0', length) != NULL)
        return false;
    memcpy(ret->origin, line, length);
    if (!next_line(&note, &n, &line, &length) || !parse_size(line, length, &ret->size) ||
        !next_line(&note, &n, &line, &length))
        return false;
    struct b_wr w = b_wr_from(ret->root, sizeof(ret->root));
    return length == 44 && b_unbase64(&w, line, length) && w.len == sizeof(ret->root);
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
static bool parse_line(const char *line, size_t n, char *name, struct b_wr *bytes)
{
    size_t dash_len = sizeof(dash) - 1;
    if (n <= dash_len || memcmp(line, dash, dash_len) != 0)
        return false;
    line += dash_len;
    n -= dash_len;
    const char *space = memchr(line, ' ', n);
    size_t name_len = space != NULL ? (size_t)(space - line) : 0;
    if (name_len == 0 || name_len >= JOURNAL_NAME_MAX || memchr(line, '\0', n) != NULL)
        return false;
    memcpy(name, line, name_len);
    name[name_len] = '\0';
    return b_unbase64(bytes, space + 1, n - name_len - 1) && bytes->len > 4;
}

bool journal_note_verify(const char *note, size_t n, const struct journal_signer *signer,
                         uint64_t *ret_time)
{
    size_t body = n <= JOURNAL_NOTE_MAX ? journal_note_body(note, n) : 0;
    uint8_t id[4];
    bool is_signed = false;
    if (body == 0)
        return false;
    journal_key_id(signer, id);
    const char *text = note + body + 1;
    const char *line = NULL;
    size_t left = n - body - 1;
    size_t length = 0;
    while (next_line(&text, &left, &line, &length)) {
        uint8_t bytes[128];
        char name[JOURNAL_NAME_MAX];
        struct b_wr w = b_wr_from(bytes, sizeof(bytes));
        if (!parse_line(line, length, name, &w))
            return false;
        if (strcmp(name, signer->name) != 0 || !b_ct_eq(bytes, id, sizeof(id)))
            continue;
        if (!verify(signer, note, body, b_rd_from(bytes + 4, w.len - 4), ret_time))
            return false;
        is_signed = true;
    }
    return is_signed && left == 0;
}
