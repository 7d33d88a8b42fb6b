/* What people are told of a mistake in a file that they wrote: one sentence with its place, what is
 * wrong and what may stand there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "http/http.h"
#include "policy/file.h"
#include "profile/file.h"

struct mistake {
    const char *text, *says;
};

static void expect(const char *text, enum b_code r, const struct b_err *err, const char *says)
{
    if (r == B_OK || strstr(err->msg, says) == NULL)
        fail_msg("%s: code %d, said \"%s\", not \"%s\"", text, (int)r, err->msg, says);
    if (strstr(err->msg, "Backtrace") != NULL || strstr(err->msg, "Load:") != NULL ||
        strchr(err->msg, '\n') != NULL)
        fail_msg("not one sentence: %s", err->msg);
}

/* --- server.yaml -------------------------------------------------------------------------------
 */

#define SERVER "certificate: c.pem\nkey: k.pem\ntrust: t.pem\n"

static const struct mistake of_server[] = {
    {SERVER "prot: 1\n", ": line 4, column 1: prot: there is no such field; known: address, port, "
                         "certificate, key, trust, ca-certificate, "},
    {SERVER "sign-on: {issuer: x, clients: y, \"a\\tb\": 1}\n",
     "line 4, column 34: sign-on.a?b: there is no such field; known: issuer, clients, address"},
    {SERVER "port: many\n",
     "line 4, column 7: port: a whole number from 0 to 65535 is wanted, not many"},
    {SERVER "port: 65536\n", "column 7: port: a whole number from 0 to 65535 is wanted, not 65536"},
    {SERVER "port: -1\n", "port: a whole number from 0 to 65535 is wanted, not -1"},
    {SERVER "port: \"-\"\n", "port: a whole number from 0 to 65535 is wanted, not -"},
    {SERVER "port: 1 2\n", "port: a whole number from 0 to 65535 is wanted, not 1 2"},
    {SERVER "port:\n", "port: a whole number from 0 to 65535 is wanted, not nothing"},
    {SERVER "connections: 99999999999999999999\n", "from 0 to 4294967295 is wanted, not 9999999"},
    {SERVER "log-requests: off\n", "log-requests: true or false is wanted, not off"},
    {SERVER "log-requests: [true]\n", "log-requests: one value is wanted, not a list"},
    {SERVER "port: {a: 1}\n", "port: one value is wanted, not fields"},
    {SERVER "takeover: fleet.yaml\n",
     "line 4, column 11: takeover: fields are wanted (name: value), not a text"},
    {SERVER "takeover:\n- fleet\n", "line 5, column 1: takeover: fields are wanted (name: value), "
                                    "not a list"},
    {SERVER "takeover:\n", "takeover: fields are wanted (name: value), not nothing"},
    {SERVER "takeover: {keys-file: f}\n", "line 4, column 11: takeover: it lacks the field fleet"},
    {"key: k.pem\ntrust: t.pem\n", "server.yaml: it lacks the field certificate"},
    {SERVER "key: again\n", "line 4, column 1: key: it is there twice, first in line 2"},
    {SERVER "address: ''\n", "line 4, column 10: address: it is empty"},
    {"- " SERVER, ": line "},
    {"certificate: c.pem\n\tkey: k.pem\n",
     "line 2, column 1: not YAML: a tab is here; lines are indented by spaces"},
    {"certificate: 'h\xC3\xB4pital'\n  \tkey: k.pem\n",
     "line 2, column 3: not YAML: a tab is here"},
    {SERVER "address: \"\\q\"\n", "line 4, column 11: not YAML: while parsing a quoted scalar, "
                                  "found unknown escape character"},
    {SERVER "address: 'x\n", "not YAML: while scanning a quoted scalar, found unexpected end"},
    {SERVER "address: h\xF4pital\n", "line 4, column 12: not UTF-8 text: invalid trailing"},
    {SERVER "# \x01\n", "line 4, column 3: not UTF-8 text: control characters are not allowed"},
    {SERVER "[a]: b\n", "line 4, column 1: the name of a field is wanted, not a list"},
    {"hello\n", "line 1, column 1: fields are wanted (name: value), not a text"},
    {"", "server.yaml: the file is empty"},
    {"# nothing yet\n", "server.yaml: the file is empty"},
    {SERVER "stall-seconds: 301\n", "line 4: stall-seconds: at most 300"},
};

static void each_mistake_in_server_yaml_is_told_with_its_place(void **state)
{
    (void)state;
    static struct http_config config;
    char dir[] = "/tmp/tessere-mistake-XXXXXX";
    char path[64];
    struct b_err err = {0};
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/server.yaml", dir);
    for (size_t i = 0; i < B_COUNT(of_server); i++) {
        const struct mistake *m = &of_server[i];
        assert_int_equal(b_file_replace(path, m->text, strlen(m->text), 0600, &err), B_OK);
        expect(m->text, http_config_read(path, &config, &err), &err, m->says);
    }
    static const char good[] = SERVER "log-requests: Yes\nport: 0x20FB\ntakeover: {fleet: &a f, "
                                      "keys-file: *a}\n";
    assert_int_equal(b_file_replace(path, good, strlen(good), 0600, &err), B_OK);
    assert_int_equal(http_config_read(path, &config, &err), B_OK);
    assert_true(config.logs_requests && config.port == 8443);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

/* --- policy.yaml -------------------------------------------------------------------------------
 */

static const struct mistake of_policy[] = {
    {"rule: []\n", "p.yaml: line 1, column 1: rule: there is no such field; known: timezone, pin, "
                   "compromised-days, issued-only, rules"},
    {"rules: {group: ''}\n", "p.yaml: line 1, column 8: rules: a list is wanted, not fields"},
    {"rules: badge\n", "p.yaml: line 1, column 8: rules: a list is wanted, not a text"},
    {"rules: []\n", "p.yaml: line 1, column 8: rules: at least 1 is wanted in this list, not 0"},
    {"rules:\n- group: ''\n  factor: badge\n- factor: badge\n",
     "p.yaml: line 4, column 3: rules[2]: it lacks the field group"},
    {"rules:\n- group: ''\n  factor: badge\n  factor: badge\n",
     "p.yaml: line 4, column 3: rules[1].factor: it is there twice, first in line 3"},
    {"rules:\n- {group: '', factor: badge-and-a-long-pin}\n",
     "p.yaml: line 2, column 23: rules[1].factor: at most 16 bytes are allowed, not 20"},
    {"rules:\n- {group: '', factor: badge, shift-hours: eight}\n",
     "rules[1].shift-hours: a whole number from 0 to 4294967295 is wanted, not eight"},
    {"rules:\n- {group: '', factor: badge, hours: [a, b, c, d, e, f, g, h, i]}\n",
     "p.yaml: line 2, column 37: rules[1].hours: at most 8 entries are allowed, not 9"},
    {"pin: {pauses: [1, x]}\n", "p.yaml: line 1, column 19: pin.pauses[2]: a whole number from"},
    {"pin: [\n", "p.yaml: line 2, column 1: not YAML: while parsing a flow node, did not find"},
    {"issued-only: sometimes\n", "issued-only: true or false is wanted, not sometimes"},
    {"timezone: \xFF\n", "p.yaml: line 1, column 11: not UTF-8 text: invalid leading UTF-8 octet"},
    {"rules:\n\t- group: ''\n", "p.yaml: line 2, column 1: not YAML: a tab is here"},
    {"an-unheard-of-field-whose-name-goes-on-and-on-and-on: 1\n",
     "an-unheard-of-field-whose-name-goes-on-a…: there is no such field"},
};

static void each_mistake_in_policy_yaml_is_told_with_its_place(void **state)
{
    (void)state;
    static struct policy p;
    for (size_t i = 0; i < B_COUNT(of_policy); i++) {
        const struct mistake *m = &of_policy[i];
        struct b_err err = {0};
        expect(m->text, policy_file_read("p.yaml", m->text, strlen(m->text), &p, &err), &err,
               m->says);
    }
}

/* --- a profile ---------------------------------------------------------------------------------
 */

/* Each puts `text` in the place of `from` in the profile that is shipped. */
static const struct {
    const char *from, *text, *says;
} of_profile[] = {
    {"revision: 1", "revison: 1", "h.yaml:4: revison: there is no such field; known: id, revision"},
    {"revision: 1", "revision: first", "h.yaml:4: revision: a whole number from 0 to"},
    {"revision: 1\n", "", "h.yaml:1: it lacks the field revision"},
    {"revision: 1", "id: other", "h.yaml:4: id: it is there twice, first in line 3"},
    {"ownership: owned", "ownership: ours",
     "h.yaml:6: card.ownership: not an allowed value: ours; allowed: "},
    {"[master-key", "[mister-key",
     "h.yaml:8: card.settings[1]: not an allowed value: mister-key-changeable; allowed: "},
    {"settings: [master-key-changeable, settings-changeable]", "settings: all",
     "h.yaml:8: card.settings: a list is wanted, not a text"},
    {"id: hospital", "id: [hospital]", "h.yaml:3: id: one value is wanted, not a list"},
    {"id: hospital", "id: \xC3(", "h.yaml:3: not UTF-8 text: invalid trailing UTF-8 octet"},
    {"  ownership", "\townership", "h.yaml:6: not YAML: a tab is here"},
    {"id: hospital", "id: *other", "h.yaml:3: not YAML: found undefined alias"},
};

static void each_mistake_in_a_profile_is_told_with_its_place(void **state)
{
    (void)state;
    static struct profile p;
    char *good = NULL;
    size_t n = 0;
    struct b_err err = {0};
    assert_int_equal(b_file_read(getenv("TESSERE_PROFILE"), 65536, &good, &n, &err), B_OK);
    for (size_t i = 0; i < B_COUNT(of_profile); i++) {
        const char *from = of_profile[i].from;
        const char *at = strstr(good, from);
        char *text = NULL;
        assert_non_null(at);
        int len = asprintf(&text, "%.*s%s%s", (int)(at - good), good, of_profile[i].text,
                           at + strlen(from));
        assert_true(len > 0);
        expect(of_profile[i].text, profile_file_read("h.yaml", text, (size_t)len, &p, &err), &err,
               of_profile[i].says);
        free(text);
    }
    free(good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_mistake_in_server_yaml_is_told_with_its_place),
        cmocka_unit_test(each_mistake_in_policy_yaml_is_told_with_its_place),
        cmocka_unit_test(each_mistake_in_a_profile_is_told_with_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
