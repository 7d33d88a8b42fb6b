#include "base/bytes.h"

#include <string.h>

struct b_rd b_rd_from(const void *p, size_t n)
{
    return (struct b_rd){.p = p, .left = n};
}

const uint8_t *b_rd_direct(struct b_rd *r, size_t n)
{
    if (r->bad || n > r->left) {
        r->bad = true;
        r->left = 0;
        return NULL;
    }
    const uint8_t *p = r->p;
    if (n > 0)
        r->p += n;
    r->left -= n;
    return p;
}

static uint64_t read_le(struct b_rd *r, size_t n)
{
    const uint8_t *p = b_rd_direct(r, n);
    uint64_t v = 0;
    for (size_t i = n; p != NULL && i > 0; i--)
        v = v << 8 | p[i - 1];
    return v;
}

uint8_t b_rd_u8(struct b_rd *r)
{
    return (uint8_t)read_le(r, 1);
}

uint16_t b_rd_le16(struct b_rd *r)
{
    return (uint16_t)read_le(r, 2);
}

uint32_t b_rd_le24(struct b_rd *r)
{
    return (uint32_t)read_le(r, 3);
}

uint32_t b_rd_le32(struct b_rd *r)
{
    return (uint32_t)read_le(r, 4);
}

uint64_t b_rd_le64(struct b_rd *r)
{
    return read_le(r, 8);
}

uint16_t b_rd_be16(struct b_rd *r)
{
    uint16_t v = b_rd_le16(r);
    return (uint16_t)(v << 8 | v >> 8);
}

uint32_t b_rd_be32(struct b_rd *r)
{
    return __builtin_bswap32(b_rd_le32(r));
}

void b_rd_bytes(struct b_rd *r, void *dst, size_t n)
{
    const uint8_t *p = b_rd_direct(r, n);
    if (n == 0)
        return;
    if (p != NULL)
        memcpy(dst, p, n);
    else
        memset(dst, 0, n);
}

struct b_rd b_rd_take(struct b_rd *r, size_t n)
{
    const uint8_t *p = b_rd_direct(r, n);
    return (struct b_rd){.p = p, .left = r->bad ? 0 : n, .bad = r->bad};
}

struct b_rd b_rd_rest(struct b_rd *r)
{
    return b_rd_take(r, r->left);
}

void b_rd_skip(struct b_rd *r, size_t n)
{
    (void)b_rd_direct(r, n);
}

uint32_t b_rd_utf8(struct b_rd *r)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    uint8_t c = b_rd_u8(r);
    size_t more = c < 0x80 ? 0 : (c & 0xE0) == 0xC0 ? 1 : (c & 0xF0) == 0xE0 ? 2 : 3;
    uint32_t v = more == 0 ? c : c & (0x3Fu >> more);
    r->bad |= c >= 0xF8 || (c & 0xC0) == 0x80;
    for (size_t i = 0; i < more && !r->bad; i++) {
        uint8_t next = b_rd_u8(r);
        r->bad |= (next & 0xC0) != 0x80;
        v = v << 6 | (next & 0x3F);
    }
    bool is_surrogate = v >= 0xD800 && v < 0xE000;
    r->bad |= v < least[more] || v > 0x10FFFF || is_surrogate;
    return r->bad ? 0 : v;
}

bool b_rd_ok(const struct b_rd *r)
{
    return !r->bad;
}

bool b_rd_end(const struct b_rd *r)
{
    return !r->bad && r->left == 0;
}

struct b_wr b_wr_from(void *p, size_t cap)
{
    return (struct b_wr){.p = p, .cap = cap};
}

uint8_t *b_wr_reserve(struct b_wr *w, size_t n)
{
    if (w->bad || n > w->cap - w->len) {
        w->bad = true;
        return NULL;
    }
    uint8_t *p = w->p + w->len;
    w->len += n;
    return p;
}

static void write_le(struct b_wr *w, uint64_t v, size_t n)
{
    uint8_t *p = b_wr_reserve(w, n);
    for (size_t i = 0; p != NULL && i < n; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

void b_wr_u8(struct b_wr *w, uint8_t v)
{
    write_le(w, v, 1);
}

void b_wr_le16(struct b_wr *w, uint16_t v)
{
    write_le(w, v, 2);
}

void b_wr_le24(struct b_wr *w, uint32_t v)
{
    write_le(w, v, 3);
}

void b_wr_le32(struct b_wr *w, uint32_t v)
{
    write_le(w, v, 4);
}

void b_wr_le64(struct b_wr *w, uint64_t v)
{
    write_le(w, v, 8);
}

void b_wr_be16(struct b_wr *w, uint16_t v)
{
    write_le(w, __builtin_bswap16(v), 2);
}

void b_wr_be32(struct b_wr *w, uint32_t v)
{
    write_le(w, __builtin_bswap32(v), 4);
}

void b_wr_bytes(struct b_wr *w, const void *src, size_t n)
{
    uint8_t *p = b_wr_reserve(w, n);
    if (p != NULL && n > 0)
        memcpy(p, src, n);
}

void b_wr_fill(struct b_wr *w, uint8_t v, size_t n)
{
    uint8_t *p = b_wr_reserve(w, n);
    if (p != NULL && n > 0)
        memset(p, v, n);
}

struct b_rd b_wr_reader(const struct b_wr *w)
{
    return (struct b_rd){.p = w->p, .left = w->bad ? 0 : w->len, .bad = w->bad};
}

bool b_wr_ok(const struct b_wr *w)
{
    return !w->bad;
}

bool b_ct_eq(const void *a, const void *b, size_t n)
{
    const uint8_t *x = a;
    const uint8_t *y = b;
    uint64_t diff = 0;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t u, v;
        memcpy(&u, x + i, sizeof(u));
        memcpy(&v, y + i, sizeof(v));
        diff |= u ^ v;
    }
    for (; i < n; i++)
        diff |= (uint64_t)(x[i] ^ y[i]);
    return diff == 0;
}

void b_wipe(void *p, size_t n)
{
    if (n > 0)
        explicit_bzero(p, n);
}

void b_hex(char *out, const void *p, size_t n)
{
    static const char digits[] = "0123456789ABCDEF";
    const uint8_t *b = p;
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[b[i] >> 4];
        out[2 * i + 1] = digits[b[i] & 15];
    }
    out[2 * n] = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool b_unhex(struct b_wr *w, const char *hex)
{
    while (*hex != '\0') {
        if (*hex == ' ') {
            hex++;
            continue;
        }
        int high = hex_digit(hex[0]);
        int low = high < 0 ? -1 : hex_digit(hex[1]);
        if (low < 0)
            return false;
        b_wr_u8(w, (uint8_t)(high << 4 | low));
        hex += 2;
    }
    return b_wr_ok(w);
}

/* --- base64 ------------------------------------------------------------------------------------
 */

static bool encode64(char *out, size_t cap, struct b_rd r, const char *last_two, bool is_padded)
{
    static const char most[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    struct b_wr w = b_wr_from(out, cap);
    while (r.left > 0) {
        size_t n = r.left < 3 ? r.left : 3;
        uint32_t v = 0;
        for (size_t i = 0; i < 3; i++)
            v = v << 8 | (i < n ? b_rd_u8(&r) : 0u);
        for (size_t i = 0; i < 4; i++) {
            uint32_t six = v >> (18 - 6 * i) & 63;
            if (i <= n)
                b_wr_u8(&w, (uint8_t)(six < 62 ? most[six] : last_two[six - 62]));
            else if (is_padded)
                b_wr_u8(&w, '=');
        }
    }
    b_wr_u8(&w, 0);
    return b_wr_ok(&w);
}

bool b_base64(char *out, size_t cap, const void *p, size_t n)
{
    return encode64(out, cap, b_rd_from(p, n), "+/", true);
}

bool b_base64url(char *out, size_t cap, const void *p, size_t n)
{
    return encode64(out, cap, b_rd_from(p, n), "-_", false);
}

static uint32_t value64(char c, const char *tail)
{
    if (c >= 'A' && c <= 'Z')
        return (uint32_t)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (uint32_t)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0') + 52;
    return c == tail[0] ? 62 : c == tail[1] ? 63 : 64;
}

/* n: without padding. Bits that nobody would read back are zero. */
static bool decode64(struct b_wr *w, const char *text, size_t n, const char *tail)
{
    if (n % 4 == 1)
        return false;
    for (size_t at = 0; at < n; at += 4) {
        size_t count = n - at < 4 ? n - at : 4;
        uint32_t v = 0;
        for (size_t i = 0; i < 4; i++) {
            uint32_t six = i < count ? value64(text[at + i], tail) : 0;
            if (six > 63)
                return false;
            v = v << 6 | six;
        }
        if ((v & (0xFFFFFFu >> 8 * (count - 1))) != 0)
            return false;
        for (size_t i = 0; i + 1 < count; i++)
            b_wr_u8(w, (uint8_t)(v >> (16 - 8 * i)));
    }
    return b_wr_ok(w);
}

bool b_unbase64(struct b_wr *w, const char *text, size_t n)
{
    size_t pads = 0;
    if (n % 4 != 0)
        return false;
    while (pads < 2 && n > 0 && text[n - 1 - pads] == '=')
        pads++;
    return decode64(w, text, n - pads, "+/");
}

bool b_unbase64url(struct b_wr *w, const char *text, size_t n)
{
    return decode64(w, text, n, "-_");
}
