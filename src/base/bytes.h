/*
 * Bounded cursors. A reader or a writer that is asked for more than it has goes bad and stays bad
 * (sticky failure): reads give zeros, writes do nothing, and one question at the end, b_rd_end or
 * b_wr_ok, tells whether everything before it was sound.
 */
#ifndef TESSERE_BASE_BYTES_H
#define TESSERE_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

/* Reads from memory that somebody else owns. */
struct b_rd {
    const uint8_t *p;
    size_t left;
    bool bad;
};

/* Writes into memory that somebody else owns: p[0..len) is written, cap is the room. */
struct b_wr {
    uint8_t *p;
    size_t len;
    size_t cap;
    bool bad;
};

struct b_rd b_rd_from(const void *p, size_t n);
uint8_t b_rd_u8(struct b_rd *r);
uint16_t b_rd_le16(struct b_rd *r);
uint32_t b_rd_le24(struct b_rd *r);
uint32_t b_rd_le32(struct b_rd *r);
uint64_t b_rd_le64(struct b_rd *r);
uint16_t b_rd_be16(struct b_rd *r);
uint32_t b_rd_be32(struct b_rd *r);
/* Copies n bytes to dst; on failure dst is zeroed. */
void b_rd_bytes(struct b_rd *r, void *dst, size_t n);
/* Lends n bytes of the source, or NULL. Valid as long as the source. */
const uint8_t *b_rd_direct(struct b_rd *r, size_t n);
/* A cursor over the next n bytes, which r skips; bad if there are fewer. */
struct b_rd b_rd_take(struct b_rd *r, size_t n);
/* A cursor over all that is left, which r skips. */
struct b_rd b_rd_rest(struct b_rd *r);
void b_rd_skip(struct b_rd *r, size_t n);
/* The next character of UTF-8 (RFC 3629), as its code point; 0 for U+0000 and, bad, for what is no
 * character. */
uint32_t b_rd_utf8(struct b_rd *r);
/* True when no read failed; b_rd_end asks also that nothing is left. */
B_NODISCARD bool b_rd_ok(const struct b_rd *r);
B_NODISCARD bool b_rd_end(const struct b_rd *r);

struct b_wr b_wr_from(void *p, size_t cap);
void b_wr_u8(struct b_wr *w, uint8_t v);
void b_wr_le16(struct b_wr *w, uint16_t v);
void b_wr_le24(struct b_wr *w, uint32_t v);
void b_wr_le32(struct b_wr *w, uint32_t v);
void b_wr_le64(struct b_wr *w, uint64_t v);
void b_wr_be16(struct b_wr *w, uint16_t v);
void b_wr_be32(struct b_wr *w, uint32_t v);
void b_wr_bytes(struct b_wr *w, const void *src, size_t n);
void b_wr_fill(struct b_wr *w, uint8_t v, size_t n);
/* Room for n bytes that the caller writes at once, or NULL. Valid until the next call on w. */
uint8_t *b_wr_reserve(struct b_wr *w, size_t n);
/* What was written so far, as a reader. Valid as long as the memory behind w. */
struct b_rd b_wr_reader(const struct b_wr *w);
B_NODISCARD bool b_wr_ok(const struct b_wr *w);

/* Equal, in a time that depends on n alone. For MACs, tags, PINs: never memcmp. */
B_NODISCARD bool b_ct_eq(const void *a, const void *b, size_t n);
/* Overwrites n bytes in a way the compiler may not remove. */
void b_wipe(void *p, size_t n);

/* Upper-case hex of n bytes and a NUL into out, which has room for 2*n+1. Not for keys. */
void b_hex(char *out, const void *p, size_t n);
/* Bytes of a hex string (spaces allowed between bytes); false on another character, an odd count,
 * or more than cap bytes. */
B_NODISCARD bool b_unhex(struct b_wr *w, const char *hex);

/* RFC 4648. Base64 (padded) and base64url (without padding) as text with a NUL; cap counts it.
 * False when it does not fit. */
B_NODISCARD bool b_base64(char *out, size_t cap, const void *p, size_t n);
B_NODISCARD bool b_base64url(char *out, size_t cap, const void *p, size_t n);
/* Exactly n characters of padded base64; false on anything that b_base64 does not write. */
B_NODISCARD bool b_unbase64(struct b_wr *w, const char *text, size_t n);
/* The same of what b_base64url writes. */
B_NODISCARD bool b_unbase64url(struct b_wr *w, const char *text, size_t n);

#endif
