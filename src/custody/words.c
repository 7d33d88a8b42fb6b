#include "custody/words.h"

#include <string.h>

#include "crypto/crypto.h"

enum { BODY = 41, CHECK = 3, SHARE_BYTES = BODY + CHECK, VERSION = 1 };
static_assert(SHARE_BYTES == 2 * CUSTODY_SHARE_WORDS, "two bytes in a word");
static_assert(BODY == 9 + CUSTODY_SHARE_VALUE && CUSTODY_CEREMONY_ID == 6, "the layout above");

static const char consonants[] = "bdfghjklmnprstvz";
static const char vowels[] = "aiou";

/* A letter by its number without an index that depends on it: every letter is looked at. */
static char pick(const char *letters, size_t count, unsigned which)
{
    unsigned found = 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned is = (unsigned)(((i ^ which) - 1u) >> 31); /* 1 where i is which */
        found |= (unsigned char)letters[i] & (0u - is);
    }
    return (char)found;
}

static bool find(const char *letters, size_t count, char letter, unsigned *ret)
{
    unsigned which = 0;
    unsigned is_there = 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned is = ((unsigned)((unsigned char)letters[i] ^ (unsigned char)letter) - 1u) >> 31;
        which |= i & (0u - is);
        is_there |= is;
    }
    *ret = which;
    return is_there != 0;
}

static void check_code(const uint8_t body[static BODY], uint8_t out[static 32])
{
    static const char name[] = "tessere-share/v1";
    crypto_sha256_two(name, sizeof(name) - 1, body, BODY, out);
}

void custody_share_write(const struct custody_share *s, char text[static CUSTODY_SHARE_TEXT])
{
    uint8_t bytes[SHARE_BYTES];
    uint8_t check[32];
    struct b_wr w = b_wr_from(bytes, sizeof(bytes));
    b_wr_u8(&w, (uint8_t)(VERSION << 4 | (s->is_rehearsal ? 1 : 0)));
    b_wr_bytes(&w, s->ceremony, sizeof(s->ceremony));
    b_wr_u8(&w, s->threshold);
    b_wr_u8(&w, s->x);
    b_wr_bytes(&w, s->value, sizeof(s->value));
    check_code(bytes, check);
    b_wr_bytes(&w, check, CHECK);
    for (size_t i = 0; i < CUSTODY_SHARE_WORDS; i++) {
        unsigned v = (unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1];
        char *word = text + 6 * i;
        word[0] = pick(consonants, 16, v >> 12);
        word[1] = pick(vowels, 4, v >> 10 & 3);
        word[2] = pick(consonants, 16, v >> 6 & 15);
        word[3] = pick(vowels, 4, v >> 4 & 3);
        word[4] = pick(consonants, 16, v & 15);
        word[5] = i + 1 < CUSTODY_SHARE_WORDS ? ' ' : '\0';
    }
    b_wipe(bytes, sizeof(bytes));
}

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Takes the next run of letters, in lower case. Returns its length; the word has 5. */
static size_t take_word(struct b_rd *r, char word[static 5])
{
    size_t n = 0;
    while (r->left > 0 && !is_letter(*r->p))
        b_rd_skip(r, 1);
    while (r->left > 0 && is_letter(*r->p)) {
        uint8_t c = b_rd_u8(r);
        if (n < 5)
            word[n] = (char)(c | 0x20);
        n++;
    }
    return n;
}

static bool read_word(const char word[static 5], uint16_t *ret)
{
    unsigned p[5] = {0};
    bool is_good = find(consonants, 16, word[0], &p[0]);
    is_good &= find(vowels, 4, word[1], &p[1]);
    is_good &= find(consonants, 16, word[2], &p[2]);
    is_good &= find(vowels, 4, word[3], &p[3]);
    is_good &= find(consonants, 16, word[4], &p[4]);
    *ret = (uint16_t)(p[0] << 12 | p[1] << 10 | p[2] << 6 | p[3] << 4 | p[4]);
    return is_good;
}

static enum b_code read_words(struct b_rd text, uint8_t bytes[static SHARE_BYTES],
                              struct b_err *err)
{
    char word[5];
    size_t count = 0;
    struct b_wr w = b_wr_from(bytes, SHARE_BYTES);
    enum b_code r = B_OK;
    for (size_t n = take_word(&text, word); r == B_OK && n > 0; n = take_word(&text, word)) {
        uint16_t v = 0;
        count++;
        if (n != 5 || !read_word(word, &v))
            r = b_err_set(err, B_E_SHARE_TYPED, 0, "word %zu is no word of a share", count);
        else if (count > CUSTODY_SHARE_WORDS)
            r = b_err_set(err, B_E_SHARE_TYPED, 0, "more than %d words", CUSTODY_SHARE_WORDS);
        else
            b_wr_be16(&w, v);
    }
    b_wipe(word, sizeof(word));
    if (r == B_OK && count < CUSTODY_SHARE_WORDS)
        r = b_err_set(err, B_E_SHARE_TYPED, 0, "%zu words, and a share has %d", count,
                      CUSTODY_SHARE_WORDS);
    return r;
}

enum b_code custody_share_read(struct b_rd text, struct custody_share *ret, struct b_err *err)
{
    uint8_t bytes[SHARE_BYTES];
    uint8_t check[32];
    enum b_code r = read_words(text, bytes, err);
    if (r == B_OK) {
        check_code(bytes, check);
        if (!b_ct_eq(check, bytes + BODY, CHECK))
            r = b_err_set(err, B_E_SHARE_TYPED, 0, "the check code does not fit the words");
    }
    struct b_rd b = b_rd_from(bytes, BODY);
    uint8_t head = b_rd_u8(&b);
    b_rd_bytes(&b, ret->ceremony, sizeof(ret->ceremony));
    ret->is_rehearsal = (head & 1) != 0;
    ret->threshold = b_rd_u8(&b);
    ret->x = b_rd_u8(&b);
    b_rd_bytes(&b, ret->value, sizeof(ret->value));
    if (r == B_OK &&
        (head >> 4 != VERSION || (head & 0xE) != 0 || ret->threshold == 0 || ret->x == 0))
        r = b_err_set(err, B_E_SHARE_TYPED, 0, "a share of another version of Tessere");
    b_wipe(bytes, sizeof(bytes));
    if (r != B_OK)
        b_wipe(ret, sizeof(*ret));
    return r;
}
