/*
 * CSV (RFC 4180) as people's programs write it, one record at a time, from memory: fields in quotes
 * may hold separators, ends of lines and doubled quotes; a line ends with LF or CRLF; empty lines
 * are passed over. The separator, a comma or a semicolon, is the one that the first line uses.
 * What comes out is UTF-8 without control characters.
 */
#ifndef TESSERE_BASE_CSV_H
#define TESSERE_BASE_CSV_H

#include "base/bytes.h"
#include "base/err.h"

enum { B_CSV_FIELDS_MAX = 32, B_CSV_RECORD_MAX = 4096 };

enum b_csv_encoding { B_CSV_UTF8, B_CSV_LATIN1 /* and Windows-1252 */ };

struct b_csv {
    struct b_rd in;
    const uint8_t *line_start; /* of the line that the reader is in */
    size_t line;               /* its number, from 1 */
    char separator;
    enum b_csv_encoding encoding;
};

struct b_csv_record {
    size_t line;  /* where it begins; after an error, where that is */
    size_t count; /* of its fields; after an error, those before the one in which it is */
    const char *fields[B_CSV_FIELDS_MAX]; /* in text */
    char text[B_CSV_RECORD_MAX];          /* the fields, each with its NUL */
};

/* Reads from n bytes that the caller keeps for as long. A byte order mark is passed over. */
void b_csv_open(struct b_csv *c, const void *p, size_t n, enum b_csv_encoding encoding);
/* The next record. B_E_NOT_FOUND (no message): there is none. B_E_BAD_INPUT: what is wrong, from
 * the byte on in the line ("byte 7: ..."); ret says in which line and field. */
B_NODISCARD enum b_code b_csv_next(struct b_csv *c, struct b_csv_record *ret, struct b_err *err);

/* After B_E_BAD_INPUT: goes on with the line after the one in which that is. */
void b_csv_skip_line(struct b_csv *c);

/* Writes text as one field, in quotes with those inside doubled. What a spreadsheet would take for
 * a formula gets the ' that makes it text, which b_csv_next takes off. Whether it fits is w's. */
void b_csv_put(struct b_wr *w, const char *text);

#endif
