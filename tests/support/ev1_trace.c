#include "support/ev1_trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Hex bytes from text up to the first character that is neither a hex digit nor a space. */
static size_t hex_until(const char *text, uint8_t *out, size_t cap)
{
    char part[600];
    size_t n = strspn(text, "0123456789ABCDEF ");
    assert_true(n < sizeof(part));
    memcpy(part, text, n);
    part[n] = '\0';
    struct b_wr w = b_wr_from(out, cap);
    assert_true(b_unhex(&w, part));
    return w.len;
}

static bool starts(const char *line, const char *with, const char **ret_rest)
{
    size_t n = strlen(with);
    if (strncmp(line, with, n) != 0)
        return false;
    *ret_rest = line + n;
    return true;
}

/* "00 .. 00 (DES)": a key and its kind. DES is printed as two equal halves. */
static struct df_key key_from(const char *text)
{
    struct df_key key = {.type = DF_KEY_2K3DES};
    if (strstr(text, "(AES)") != NULL)
        key.type = DF_KEY_AES;
    else if (strstr(text, "(3K3DES)") != NULL)
        key.type = DF_KEY_3K3DES;
    assert_int_equal(hex_until(text, key.bytes, sizeof(key.bytes)), df_key_size(key.type));
    return key;
}

/* The bytes between < and >, without the reader chip's own header. */
static size_t frame_from(const char *line, const char *header, uint8_t *out)
{
    uint8_t all[EV1_TRACE_FRAME_MAX + 3];
    const char *open = strchr(line, '<');
    assert_non_null(open);
    size_t n = hex_until(open + 1, all, sizeof(all));
    uint8_t want[3];
    size_t head = hex_until(header, want, sizeof(want));
    assert_true(n > head && memcmp(all, want, head) == 0);
    memcpy(out, all + head, n - head);
    return n - head;
}

static void read_title(struct ev1_operation *op, const char *text)
{
    (void)snprintf(op->title, sizeof(op->title), "%s", text);
    const char *number = strstr(text, "(KeyNo= ");
    if (number != NULL)
        op->key_no = (uint8_t)strtoul(number + 8, NULL, 10);
    const char *key = strstr(text, "Key= ");
    if (key != NULL)
        op->key = key_from(key + 5);
}

static void read_line(struct ev1_operation *op, const char *line)
{
    const char *rest = NULL;
    uint8_t scratch[64];
    struct ev1_exchange *x = &op->exchanges[op->count];
    if (starts(line, "Sending:", &rest)) {
        assert_true(op->count < EV1_TRACE_EXCHANGES_MAX);
        x->tx_len = frame_from(rest, "D4 40 01", x->tx);
    } else if (starts(line, "Response:", &rest)) {
        x->rx_len = frame_from(rest, "D5 41 00", x->rx);
        op->count++;
    } else if (starts(line, "* RndA: ", &rest)) {
        op->random_len = hex_until(rest, op->a, sizeof(op->a));
    } else if (starts(line, "* RndB: ", &rest)) {
        (void)hex_until(rest, op->b, sizeof(op->b));
    } else if (starts(line, "* SessKey: ", &rest)) {
        op->session_key_len = hex_until(rest, op->session_key, sizeof(op->session_key));
    } else if (starts(line, "* New Key: ", &rest)) {
        op->new_key = key_from(rest);
    } else if (starts(line, "* Cur Key: ", &rest)) {
        op->old_key = key_from(rest);
        op->has_old_key = true;
    } else if (starts(line, "* Cryptogram: ", &rest)) {
        /* An AES key's version is printed nowhere else. */
        (void)hex_until(rest, scratch, sizeof(scratch));
        if (op->new_key.type == DF_KEY_AES)
            op->new_key.version = scratch[16];
    }
}

bool ev1_trace_next(FILE *f, struct ev1_operation *ret)
{
    char line[1000];
    const char *rest = NULL;
    *ret = (struct ev1_operation){0};
    for (;;) {
        long at = ftell(f);
        if (fgets(line, sizeof(line), f) == NULL)
            break;
        line[strcspn(line, "\r\n")] = '\0';
        if (starts(line, "*** ", &rest)) {
            if (ret->title[0] != '\0') {
                assert_int_equal(fseek(f, at, SEEK_SET), 0);
                break;
            }
            read_title(ret, rest);
        } else if (ret->title[0] != '\0') {
            read_line(ret, line);
        }
    }
    return ret->title[0] != '\0';
}

void ev1_trace_capdu(const struct ev1_exchange *x, struct b_wr *out)
{
    out->len = 0;
    b_wr_u8(out, 0x90);
    b_wr_u8(out, x->tx[0]);
    b_wr_be16(out, 0);
    if (x->tx_len > 1) {
        b_wr_u8(out, (uint8_t)(x->tx_len - 1));
        b_wr_bytes(out, x->tx + 1, x->tx_len - 1);
    }
    b_wr_u8(out, 0);
}

void ev1_trace_rapdu(const struct ev1_exchange *x, struct b_wr *out)
{
    out->len = 0;
    b_wr_bytes(out, x->rx + 1, x->rx_len - 1);
    b_wr_u8(out, 0x91);
    b_wr_u8(out, x->rx[0]);
}
