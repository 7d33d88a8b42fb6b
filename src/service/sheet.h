/* A list from people's programs: CSV whose first line names its columns, in any order. */
#ifndef TESSERE_SERVICE_SHEET_H
#define TESSERE_SERVICE_SHEET_H

#include "base/csv.h"

struct service_column {
    const char *name;
    bool is_needed;
};

/* What is wrong in a list, as far as it is told: the first ones, each as a message has it. */
enum { SERVICE_MISTAKES_MAX = 20 };
struct service_mistakes {
    size_t count; /* all of them; more than are told */
    char told[SERVICE_MISTAKES_MAX][sizeof(((struct b_err *)NULL)->msg)];
};

/* Of a caller who keeps name and columns; what it holds of a record may name a person. */
struct service_sheet {
    const char *name; /* of the file, for messages */
    const struct service_column *columns;
    size_t column_count; /* at most B_CSV_FIELDS_MAX */
    struct b_csv csv;
    struct b_csv_record record;
    size_t order[B_CSV_FIELDS_MAX]; /* which column each field of a record is of */
    size_t count;                   /* of a record's fields */
    struct service_mistakes mistakes;
};

/* Reads the first line; text is the caller's for as long as the sheet is read. name, columns and
 * column_count are given. B_E_BAD_INPUT: "name:line: column: what is wrong". */
B_NODISCARD enum b_code service_sheet_open(struct service_sheet *s, const void *text, size_t n,
                                           enum b_csv_encoding encoding, struct b_err *err);
/* The next record, with as many fields as the first line has. B_E_NOT_FOUND (no message): there is
 * none. B_E_BAD_INPUT. */
B_NODISCARD enum b_code service_sheet_next(struct service_sheet *s, struct b_err *err);
/* Whether the reading goes on: B_E_BAD_INPUT of a record is kept, and is B_OK. */
B_NODISCARD enum b_code service_sheet_keep(struct service_sheet *s, enum b_code r,
                                           const struct b_err *err);
/* When all was read: B_E_BAD_INPUT where something is wrong, which is what is wrong or, of more,
 * how many they are and the first. ret, which may be NULL, has what is told of them. */
B_NODISCARD enum b_code service_sheet_end(const struct service_sheet *s,
                                          struct service_mistakes *ret, struct b_err *err);
/* B_E_BAD_INPUT about a column of the record at hand. */
B_NODISCARD enum b_code service_sheet_wrong(const struct service_sheet *s, const char *column,
                                            const char *what, struct b_err *err);

/* A field without the spaces at both ends: *ret points into text. */
void service_sheet_trim(const char *text, const char **ret, size_t *ret_n);
/* Copies a trimmed field, with a NUL; what is wrong with it, or NULL. */
const char *service_sheet_text(const char *text, size_t n, bool is_needed, char *ret, size_t cap);

#endif
