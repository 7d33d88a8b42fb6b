/* A policy's text: read, or refused with words that name the file. What was read decides within its
 * bounds at every minute of the week. */
#include <string.h>

#include "policy/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct policy p;
    struct b_err err = {0};
    if (policy_file_read("f", (const char *)data, size, &p, &err) != B_OK) {
        b_check(err.code != B_OK && err.msg[0] != '\0');
        return 0;
    }
    b_check(p.rule_count > 0 && p.rule_count <= POLICY_RULES_MAX && p.pin_tries > 0);
    b_check(p.team_count <= POLICY_TEAMS_MAX);
    for (size_t i = 0; i < p.rule_count; i++) {
        struct policy_facts f = {.now = 1764000000, .has_pin = true};
        struct policy_decision none;
        memcpy(f.group, p.rules[i].group, sizeof(f.group));
        policy_decide(&p, &f, &none);
        f.teams = p.rules[i].holders; /* the rule is for them, or one before it */
        b_check((f.teams & ~policy_asks(&p, f.group)) == 0);
        b_check(none.reason != B_E_NOT_ADMITTED || f.teams != 0);
        for (unsigned m = 0; m < POLICY_WEEK_MINUTES; m += 59) {
            struct policy_decision d;
            f.minute = (uint16_t)m;
            policy_decide(&p, &f, &d);
            b_check(policy_zone_minute(&p.zone, (int64_t)m * 123456789) < POLICY_WEEK_MINUTES);
            b_check(d.verdict == POLICY_GRANT || d.reason != B_OK);
            b_check(d.reason != B_E_NOT_ADMITTED);
        }
    }
    return 0;
}
