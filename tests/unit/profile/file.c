/* Profiles from YAML: what is read, and where each mistake is said to stand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile/file.h"

/* Lines are counted in the tests below: keep it as it is. */
static const char good[] = "id: test\n"                                                 /* 1 */
                           "revision: 7\n"                                              /* 2 */
                           "card:\n"                                                    /* 3 */
                           "  ownership: owned\n"                                       /* 4 */
                           "  settings: [master-key-changeable, settings-changeable]\n" /* 5 */
                           "application:\n"                                             /* 6 */
                           "  aid: \"F51234\"\n"                                        /* 7 */
                           "  iso-fid: \"E110\"\n"                                      /* 8 */
                           "  df-name: \"A0 00 00 01\"\n"                               /* 9 */
                           "  change-key: itself\n"                                     /* 10 */
                           "  keys:\n"                                                  /* 11 */
                           "    - {no: 0, role: app}\n"                                 /* 12 */
                           "    - {no: 1, role: auth}\n"                                /* 13 */
                           "    - {no: 2, role: read}\n"                                /* 14 */
                           "  files:\n"                                                 /* 15 */
                           "    - no: 1\n"                                              /* 16 */
                           "      type: standard\n"                                     /* 17 */
                           "      size: 4\n"                                            /* 18 */
                           "      communication: full\n"                                /* 19 */
                           "      rights: {read: read, write: 0, read-write: never,\n"  /* 20 */
                           "        change: app}\n"                                     /* 21 */
                           "      content: \"hex: 01 02\"\n"                            /* 22 */
                           "    - no: 3\n"                                              /* 23 */
                           "      type: cyclic\n"                                       /* 24 */
                           "      record-size: 8\n"                                     /* 25 */
                           "      records: 4\n"                                         /* 26 */
                           "      communication: mac\n"                                 /* 27 */
                           "      rights: {read: free, write: 2, read-write: never, change: 0}\n"
                           "diversification: uid-aid-system\n";

static void a_whole_profile_is_read(void **state)
{
    (void)state;
    static struct profile p;
    struct b_err err = {0};
    if (profile_file_read("good.yaml", good, strlen(good), &p, &err) != B_OK)
        fail_msg("%s", err.msg);
    assert_string_equal(p.id, "test");
    assert_int_equal(p.revision, 7);
    assert_false(p.is_guest);
    assert_int_equal(p.card_settings, 0x09);
    assert_int_equal(p.aid, 0xF51234);
    assert_int_equal(p.app_settings, 0xEB);
    assert_int_equal(p.iso_fid, 0xE110);
    assert_int_equal(p.df_name_len, 4);
    assert_memory_equal(p.df_name, "\xA0\x00\x00\x01", 4);
    assert_int_equal(p.key_count, 3);
    assert_int_equal(profile_key_no(&p, KEY_ROLE_READ), 2);
    assert_int_equal(p.file_count, 2);
    const struct df_file_settings *s = &p.files[0].settings;
    assert_int_equal(s->size, 4);
    assert_int_equal(s->comm, DF_COMM_FULL);
    assert_int_equal(df_rights_pack(s->rights), 0x20F0);
    assert_int_equal(p.files[0].bytes_len, 2);
    assert_int_equal(p.files[1].settings.record_max, 4);
    assert_int_equal(p.files[1].settings.rights.read, DF_RIGHT_FREE);
    assert_string_equal(p.diversification, "uid-aid-system");
    assert_int_equal(p.system_len, 0);
}

/* One change of the good profile, and what must be said of it. */
static const struct mistake {
    const char *from, *to;
    enum b_code code;
    const char *says;
} mistakes[] = {
    {"revision: 7", "revision: x", B_E_PROFILE_SYNTAX, "bad.yaml:2: revision: "},
    {"revision: 7\n", "", B_E_PROFILE_SYNTAX, "lacks the field revision"},
    {"revision: 7", "id: again", B_E_PROFILE_SYNTAX, "bad.yaml:2: id: it is there twice"},
    {"revision: 7", "revizion: 7", B_E_PROFILE_SYNTAX, "bad.yaml:2: revizion: there is no such"},
    {"ownership: owned", "ownership: mine", B_E_PROFILE_SYNTAX, "bad.yaml:4: card.ownership: not"},
    {"[master", "[mister", B_E_PROFILE_SYNTAX, "bad.yaml:5: card.settings"},
    {"\"F51234\"", "\"F5123\"", B_E_PROFILE_SYNTAX, "bad.yaml:7: application.aid: three bytes"},
    {"\"E110\"", "E1", B_E_PROFILE_SYNTAX, "bad.yaml:8: application.iso-fid: two bytes"},
    {"A0 00", "A0 0", B_E_PROFILE_SYNTAX, "bad.yaml:9: application.df-name: "},
    {"itself", "never", B_E_PROFILE_SYNTAX, "bad.yaml:10: application.change-key: "},
    {"role: auth", "role: boss", B_E_PROFILE_SYNTAX, "bad.yaml:13: application.keys[2].role: not"},
    {"role: auth", "role: 2", B_E_PROFILE_SYNTAX, "bad.yaml:13: application.keys[2].role: not"},
    {"{no: 1, role: auth}", "{no: 1}", B_E_PROFILE_SYNTAX, "bad.yaml:13: application.keys[2]: it"},
    {"{no: 1,", "{nr: 1,", B_E_PROFILE_SYNTAX, "bad.yaml:13: application.keys[2].nr: there is no"},
    {"{no: 1, role: auth}", "7", B_E_PROFILE_SYNTAX, "bad.yaml:13: application.keys[2]: "},
    {"      size: 4", "      sise: 4", B_E_PROFILE_SYNTAX,
     "bad.yaml:18: application.files[1].sise"},
    {"write: 0", "write: 77", B_E_PROFILE_SYNTAX, "bad.yaml:20: application.files[1].rights.write"},
    {"change: app}", "change: boss}", B_E_PROFILE_SYNTAX, "bad.yaml:21: application.files[1].righ"},
    {"hex: 01", "hex: 0x", B_E_PROFILE_SYNTAX, "bad.yaml:22: application.files[1].content: none"},
    {"id: test", "id: \"te", B_E_PROFILE_SYNTAX, "not YAML"},
    {"id: test", "id: &a test", B_OK, ""},
    {"uid-aid-system", "*a", B_E_PROFILE_SYNTAX, "bad.yaml:29: "},
    /* rules */
    {"uid-aid-system", "uid-and-more", B_E_PROFILE_RULE, "bad.yaml:29: diversification: "},
    {"\"F51234\"", "\"000000\"", B_E_PROFILE_RULE, "bad.yaml:7: application.aid: "},
    {"{no: 1, role: auth}", "{no: 1, role: write}", B_E_PROFILE_RULE,
     "bad.yaml:11: application.keys: "},
    {"write: 0", "write: 9", B_E_PROFILE_RULE, "bad.yaml:16: application.files, file 1: "},
    {"no: 3", "no: 1", B_E_PROFILE_RULE, "application.files: two files"},
    {"size: 4", "size: 1", B_E_PROFILE_RULE, "bad.yaml:16: application.files, file 1: "},
    {"records: 4", "records: 1", B_E_PROFILE_RULE,
     "bad.yaml:23: application.files, file 3: records"},
    {"write: 0,", "write: never,", B_E_PROFILE_RULE,
     "bad.yaml:16: application.files, file 1: it has"},
    {"  df-name: \"A0 00 00 01\"", "", B_OK, ""},
    {"  iso-fid: \"E110\"\n", "", B_E_PROFILE_RULE, "application.df-name: "},
    {"settings-changeable]", "free-creation]", B_E_PROFILE_RULE, "bad.yaml:5: card.settings: "},
    {"change-key: itself", "settings: [free-listing]", B_E_PROFILE_RULE,
     "bad.yaml:10: application.settings: "},
    {"change-key: itself", "change-key: 7", B_E_PROFILE_RULE,
     "bad.yaml:10: application.change-key"},
    {"ownership: owned", "ownership: owned\n  random-uid: true", B_E_PROFILE_RULE,
     "bad.yaml:5: card.random-uid: "},
};

static char *change(const struct mistake *m)
{
    char *text = NULL;
    const char *at = strstr(good, m->from);
    assert_non_null(at);
    assert_true(asprintf(&text, "%.*s%s%s", (int)(at - good), good, m->to, at + strlen(m->from)) >
                0);
    return text;
}

static void each_mistake_is_said_with_its_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        const struct mistake *m = &mistakes[i];
        char *text = change(m);
        static struct profile p;
        struct b_err err = {0};
        enum b_code r = profile_file_read("bad.yaml", text, strlen(text), &p, &err);
        if (r != m->code || (r != B_OK && strstr(err.msg, m->says) == NULL))
            fail_msg("%s -> %s: code %d, \"%s\" instead of \"%s\"", m->from, m->to, (int)r, err.msg,
                     m->says);
        free(text);
    }
}

static void an_empty_file_is_no_profile(void **state)
{
    (void)state;
    static struct profile p;
    struct b_err err = {0};
    assert_int_equal(profile_file_read("e.yaml", "", 0, &p, &err), B_E_PROFILE_SYNTAX);
    assert_string_equal(err.msg, "e.yaml:1: the file is empty");
    assert_int_equal(profile_file_read("e.yaml", "# x\n", 4, &p, &err), B_E_PROFILE_SYNTAX);
}

static void the_profiles_we_ship_are_good(void **state)
{
    (void)state;
    static const char *const names[] = {"hospital.yaml", "hospital-random-uid.yaml", "guest.yaml"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        static char text[8192];
        char path[1024];
        static struct profile p;
        struct b_err err = {0};
        (void)snprintf(path, sizeof(path), "%s/%s", getenv("TESSERE_PROFILES"), names[i]);
        FILE *f = fopen(path, "r");
        assert_non_null(f);
        size_t n = fread(text, 1, sizeof(text), f);
        (void)fclose(f);
        if (profile_file_read(names[i], text, n, &p, &err) != B_OK)
            fail_msg("%s", err.msg);
        assert_int_equal(strncmp(names[i], p.id, strlen(p.id)), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_profile_is_read),
        cmocka_unit_test(each_mistake_is_said_with_its_line),
        cmocka_unit_test(an_empty_file_is_no_profile),
        cmocka_unit_test(the_profiles_we_ship_are_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
