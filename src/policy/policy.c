#include "policy/policy.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

void policy_default(struct policy *ret)
{
    *ret = (struct policy){.rule_count = 1,
                           .pin_min = POLICY_PIN_MIN,
                           .pin_max = POLICY_PIN_MAX,
                           .pin_tries = 5,
                           .pause_count = 4,
                           .pause_seconds = {0, 0, 5, 30}};
}

/* Whose rules hold at stations of this group: its own, if it has any, or the common ones. */
static const char *group_of_rules(const struct policy *p, const char *group)
{
    for (size_t i = 0; i < p->rule_count; i++)
        if (strcmp(p->rules[i].group, group) == 0)
            return group;
    return "";
}

uint32_t policy_asks(const struct policy *p, const char *group)
{
    const char *whose = group_of_rules(p, group);
    uint32_t teams = 0;
    for (size_t i = 0; i < p->rule_count; i++)
        if (strcmp(p->rules[i].group, whose) == 0)
            teams |= p->rules[i].holders;
    return teams;
}

/* The first rule there that is for this holder; NULL: none is. */
static const struct policy_rule *find_rule(const struct policy *p, const struct policy_facts *f)
{
    const char *whose = group_of_rules(p, f->group);
    for (size_t i = 0; i < p->rule_count; i++) {
        const struct policy_rule *r = &p->rules[i];
        bool is_for_holder = r->holders == 0 || (r->holders & f->teams) != 0;
        if (is_for_holder && strcmp(r->group, whose) == 0)
            return r;
    }
    return NULL;
}

static bool is_open(const struct policy_rule *r, uint16_t minute)
{
    for (size_t i = 0; minute < POLICY_WEEK_MINUTES && i < r->hours_count; i++) {
        const struct policy_hours *h = &r->hours[i];
        bool goes_over = h->to <= h->from;
        if (goes_over ? minute >= h->from || minute < h->to : minute >= h->from && minute < h->to)
            return true;
    }
    return r->hours_count == 0;
}

/* A PIN typed before counts for the shift: in its zone, from its own time on, never longer. */
static bool is_in_shift(const struct policy_rule *r, const struct policy_facts *f)
{
    int64_t age = f->now - f->full_at;
    return f->full_at != 0 && age >= 0 && age < (int64_t)r->shift_hours * 3600 &&
           strcmp(f->full_zone, f->zone) == 0;
}

int64_t policy_next_try(const struct policy *p, uint32_t tries, int64_t failed_at, int64_t now)
{
    if (tries == 0 || p->pause_count == 0)
        return now;
    size_t i = tries - 1 < p->pause_count ? tries - 1 : p->pause_count - 1u;
    int64_t pause = p->pause_seconds[i];
    return failed_at > now + pause ? now : failed_at + pause;
}

static enum b_code judge_badge(const struct policy *p, const struct policy_facts *f)
{
    if (f->badge == POLICY_UNKNOWN)
        return B_E_BADGE_UNKNOWN;
    if (f->is_enrolling)
        return B_E_BADGE_NOT_ENROLLED;
    if (f->badge == POLICY_SUSPENDED)
        return B_E_BADGE_SUSPENDED;
    if (f->badge != POLICY_ACTIVE)
        return B_E_BADGE_REVOKED;
    if (f->is_in_office && p->is_issued_only)
        return B_E_NOT_ISSUED;
    if (f->not_before != 0 && f->now < f->not_before)
        return B_E_BADGE_NOT_YET_VALID;
    if (f->not_after != 0 && f->now >= f->not_after)
        return B_E_BADGE_EXPIRED;
    return B_OK;
}

static enum b_code judge_key(const struct policy *p, const struct policy_facts *f)
{
    if (f->compromised_at != 0)
        return policy_takes_compromised(p, f->compromised_at, f->now) ? B_OK
                                                                      : B_E_GENERATION_COMPROMISED;
    return f->is_generation_over ? B_E_GENERATION_RETIRED : B_OK;
}

static enum b_code judge_parties(const struct policy *p, const struct policy_facts *f)
{
    if (f->station == POLICY_SUSPENDED)
        return B_E_STATION_SUSPENDED;
    if (f->station != POLICY_ACTIVE)
        return B_E_STATION_REVOKED;
    enum b_code r = judge_badge(p, f);
    if (r == B_OK)
        r = judge_key(p, f);
    if (r != B_OK)
        return r;
    if (f->holder == POLICY_SUSPENDED)
        return B_E_HOLDER_SUSPENDED;
    return f->holder == POLICY_ACTIVE ? B_OK : B_E_HOLDER_LEFT;
}

static enum b_code judge_pin(const struct policy *p, const struct policy_facts *f,
                             int64_t *ret_retry_at)
{
    if (!f->has_pin)
        return B_E_PIN_MISSING;
    if (f->is_pin_locked || policy_locks(p, f->pin_tries))
        return B_E_PIN_LOCKED;
    int64_t next = policy_next_try(p, f->pin_tries, f->pin_failed_at, f->now);
    if (next <= f->now)
        return B_E_PIN_REQUIRED;
    *ret_retry_at = next;
    return B_E_PIN_THROTTLED;
}

void policy_decide(const struct policy *p, const struct policy_facts *f,
                   struct policy_decision *ret)
{
    const struct policy_rule *rule = find_rule(p, f);
    *ret = (struct policy_decision){.verdict = POLICY_REFUSE, .reason = judge_parties(p, f)};
    if (ret->reason != B_OK)
        return;
    if (rule == NULL || !is_open(rule, f->minute)) {
        ret->reason = rule == NULL ? B_E_NOT_ADMITTED : B_E_OUTSIDE_HOURS;
        return;
    }
    bool needs_pin = f->is_pin_asked || f->compromised_at != 0 ||
                     rule->factor == POLICY_PIN_ALWAYS ||
                     (rule->factor == POLICY_PIN_SHIFT && !is_in_shift(rule, f));
    if (rule->factor != POLICY_BADGE && f->is_pin_locked)
        needs_pin = true; /* a shift does not outlive the lock */
    if (!needs_pin) {
        ret->verdict = POLICY_GRANT;
        return;
    }
    ret->reason = judge_pin(p, f, &ret->retry_at);
    if (ret->reason != B_E_PIN_REQUIRED)
        return;
    ret->verdict = f->has_given_pin ? POLICY_GRANT : POLICY_NEED_PIN;
    if (f->has_given_pin)
        ret->reason = B_OK;
}

/* --- sentences ---------------------------------------------------------------------------------
 */

void policy_sentence(enum b_code code, bool is_french, const char *name, char *ret, size_t cap)
{
    char said[81] = "";
    memcpy(said, name, b_text_fit(name, sizeof(said) - 1));
    static const struct {
        enum b_code code;
        const char *french, *english;
    } sentences[] = {
#define SENTENCE(code, french, english) {code, french, english},
#include "policy/sentence.def"
#undef SENTENCE
    };
    const char *found = is_french
                            ? "Cela n'a pas marché. Réessayez ou appelez le bureau des badges."
                            : "That did not work. Try again or call the badge office.";
    for (size_t i = 0; i < B_COUNT(sentences); i++)
        if (sentences[i].code == code)
            found = is_french ? sentences[i].french : sentences[i].english;
    if (code == B_OK && name[0] != '\0')
        (void)snprintf(ret, cap, "%s, %s.", is_french ? "Bonjour" : "Hello", said);
    else
        (void)snprintf(ret, cap, "%s", found);
}
