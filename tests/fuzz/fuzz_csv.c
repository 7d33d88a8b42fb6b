/* A list in CSV: each record is text, or the bytes are refused with words. It ends. */
#include <string.h>

#include "base/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct b_csv_record record;
    for (int encoding = B_CSV_UTF8; encoding <= B_CSV_LATIN1; encoding++) {
        struct b_err err = {0};
        struct b_csv csv;
        enum b_code r = B_OK;
        size_t line = 0;
        b_csv_open(&csv, data, size, (enum b_csv_encoding)encoding);
        while ((r = b_csv_next(&csv, &record, &err)) == B_OK) {
            b_check(record.count > 0 && record.count <= B_CSV_FIELDS_MAX && record.line > line);
            line = record.line;
            for (size_t i = 0; i < record.count; i++) {
                struct b_rd text = b_rd_from(record.fields[i], strlen(record.fields[i]));
                while (text.left > 0)
                    b_check(b_rd_utf8(&text) >= ' ');
            }
        }
        b_check(r == B_E_NOT_FOUND || (r == B_E_BAD_INPUT && err.msg[0] != '\0'));
    }
    return 0;
}
