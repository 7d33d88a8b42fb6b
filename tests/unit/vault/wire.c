/* The codec of the vault's messages, and the page that documents them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vault/wire.h"

#define FIELDS "a:y b:u c:s d:b"

static size_t write_all(uint8_t *bytes, size_t cap)
{
    struct b_wr w = b_wr_from(bytes, cap);
    struct wire_out o = wire_out_from(FIELDS, &w);
    wire_put_u8(&o, 0x7F);
    wire_put_u32(&o, 0x01020304);
    wire_put_string(&o, "badge");
    wire_put_bytes(&o, "\x00\x01", 2);
    return wire_out_end(&o) ? w.len : 0;
}

static bool read_all(const uint8_t *bytes, size_t n)
{
    char text[6];
    struct wire_in in = wire_in_from(FIELDS, b_rd_from(bytes, n));
    uint8_t a = wire_get_u8(&in);
    uint32_t b = wire_get_u32(&in);
    wire_get_string(&in, text, sizeof(text));
    struct b_rd d = wire_get_bytes(&in);
    return wire_in_end(&in) && a == 0x7F && b == 0x01020304 && strcmp(text, "badge") == 0 &&
           d.left == 2 && d.p[1] == 1;
}

static void fields_come_back(void **state)
{
    (void)state;
    uint8_t bytes[64];
    size_t n = write_all(bytes, sizeof(bytes));
    assert_int_equal(n, 1 + 4 + 7 + 4);
    assert_true(read_all(bytes, n));
}

static void every_cut_and_every_extra_byte_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[64] = {0};
    size_t n = write_all(bytes, sizeof(bytes));
    for (size_t cut = 0; cut < n; cut++)
        assert_false(read_all(bytes, cut));
    assert_false(read_all(bytes, n + 1));
}

static void a_message_without_room_is_not_half_written(void **state)
{
    (void)state;
    uint8_t bytes[16];
    for (size_t cap = 0; cap < 16; cap++)
        assert_int_equal(write_all(bytes, cap), 0);
    assert_int_equal(write_all(bytes, 16), 16);
}

static void a_string_with_a_nul_or_too_long_is_refused(void **state)
{
    (void)state;
    char text[4];
    static const uint8_t nul[] = {2, 0, 'a', 0};
    static const uint8_t four[] = {4, 0, 'a', 'b', 'c', 'd'};
    static const uint8_t three[] = {3, 0, 'a', 'b', 'c'};
    struct wire_in in = wire_in_from("s:s", b_rd_from(nul, sizeof(nul)));
    wire_get_string(&in, text, sizeof(text));
    assert_false(wire_in_end(&in));
    in = wire_in_from("s:s", b_rd_from(four, sizeof(four)));
    wire_get_string(&in, text, sizeof(text));
    assert_false(wire_in_end(&in));
    in = wire_in_from("s:s", b_rd_from(three, sizeof(three)));
    wire_get_string(&in, text, sizeof(text));
    assert_true(wire_in_end(&in));
    assert_string_equal(text, "abc");
}

static void every_error_code_comes_back_by_its_name(void **state)
{
    (void)state;
    for (int code = B_OK + 1; code < B_CODE_COUNT; code++) {
        uint8_t bytes[512];
        struct b_wr w = b_wr_from(bytes, sizeof(bytes));
        struct b_err e = {.code = (enum b_code)code, .aux = 0x30, .msg = "doing this"};
        struct b_err got;
        wire_put_error(&w, &e);
        assert_true(wire_get_error(b_wr_reader(&w), &got));
        assert_int_equal(got.code, code);
        assert_int_equal(got.aux, 0x30);
        assert_string_equal(got.msg, "doing this");
    }
}

static void an_unknown_error_name_is_refused(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {2, 0, 'o', 'k', 0, 0, 0, 0, 0, 0};
    struct b_err got;
    assert_false(wire_get_error(b_rd_from(bytes, sizeof(bytes)), &got));
}

static void ids_and_names_are_unique_and_fit_the_permits(void **state)
{
    (void)state;
    for (size_t i = 0; vault_msg_at(i) != NULL; i++) {
        assert_in_range(vault_msg_at(i)->id, 1, 63);
        assert_ptr_equal(vault_msg_row(vault_msg_at(i)->id), vault_msg_at(i));
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(vault_msg_at(i)->name, vault_msg_at(j)->name);
    }
    assert_null(vault_msg_row(0));
    assert_null(vault_msg_row(255));
}

/* docs/vault-protocol.md holds one line per row, made of the row's own words, and no other. */
static void the_protocol_page_says_what_the_table_says(void **state)
{
    (void)state;
    static char page[32768];
    FILE *f = fopen(getenv("TESSERE_VAULT_DOC"), "re");
    assert_non_null(f);
    size_t n = fread(page, 1, sizeof(page) - 1, f);
    assert_int_equal(fclose(f), 0);
    page[n] = '\0';
    size_t rows = 0;
    for (; vault_msg_at(rows) != NULL; rows++) {
        const struct vault_msg_row *m = vault_msg_at(rows);
        char line[512];
        (void)snprintf(
            line, sizeof(line), "\n| %u | `%s` | %s | %s | %s | %s | %s |\n", m->id, m->name,
            m->request[0] != '\0' ? m->request : "-", m->answer[0] != '\0' ? m->answer : "-",
            m->phase == VAULT_PHASE_NEW ? "new" : "ready", m->is_once ? "once" : "-", m->text);
        if (strstr(page, line) == NULL)
            fail_msg("docs/vault-protocol.md lacks the line %s", line);
    }
    size_t lines = 0;
    for (const char *at = page; (at = strstr(at, "\n| ")) != NULL; at++)
        lines++;
    assert_int_equal(lines, rows + 1); /* and the heading */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_come_back),
        cmocka_unit_test(every_cut_and_every_extra_byte_is_refused),
        cmocka_unit_test(a_message_without_room_is_not_half_written),
        cmocka_unit_test(a_string_with_a_nul_or_too_long_is_refused),
        cmocka_unit_test(every_error_code_comes_back_by_its_name),
        cmocka_unit_test(an_unknown_error_name_is_refused),
        cmocka_unit_test(ids_and_names_are_unique_and_fit_the_permits),
        cmocka_unit_test(the_protocol_page_says_what_the_table_says),
    };
    return cmocka_run_group_tests_name("vault wire", tests, NULL, NULL);
}
