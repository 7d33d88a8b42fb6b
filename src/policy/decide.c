/* The decision: one function per row of the table in policy.h, called in its order. */
#include <string.h>

#include "policy/policy.h"

enum { HOUR = 3600 };

/* Times come from records and clocks that may be wrong: sums stop at the ends. */
static int64_t later(int64_t t, int64_t seconds)
{
    int64_t sum;
    return __builtin_add_overflow(t, seconds, &sum) ? INT64_MAX : sum;
}

uint16_t policy_minute_of_week(int wday, int hour, int minute)
{
    if (wday < 0 || wday > 6 || hour < 0 || hour > 23 || minute < 0 || minute > 59)
        return POLICY_WEEK;
    return (uint16_t)((wday + 6) % 7 * POLICY_DAY + hour * 60 + minute);
}

/* --- states ----------------------------------------------------------------------------------- */

static enum b_code judge_station(enum policy_station s)
{
    static const enum b_code reasons[POLICY_STATION_COUNT] = {
        [POLICY_STATION_UNKNOWN] = B_E_REFUSED,
        [POLICY_STATION_ENROLLING] = B_E_CERTIFICATE_UNKNOWN,
        [POLICY_STATION_ACTIVE] = B_OK,
        [POLICY_STATION_SUSPENDED] = B_E_STATION_SUSPENDED,
        [POLICY_STATION_REVOKED] = B_E_STATION_REVOKED,
    };
    return (size_t)s < B_COUNT(reasons) ? reasons[s] : B_E_REFUSED;
}

static enum b_code judge_badge(enum policy_badge b)
{
    static const enum b_code reasons[POLICY_BADGE_COUNT] = {
        [POLICY_BADGE_UNKNOWN] = B_E_BADGE_UNKNOWN,
        [POLICY_BADGE_ENROLLING] = B_E_BADGE_NOT_ENROLLED,
        [POLICY_BADGE_ACTIVE] = B_OK,
        [POLICY_BADGE_SUSPENDED] = B_E_BADGE_SUSPENDED,
        [POLICY_BADGE_REVOKED] = B_E_BADGE_REVOKED,
        [POLICY_BADGE_BLANKED] = B_E_BADGE_UNKNOWN,
    };
    return (size_t)b < B_COUNT(reasons) ? reasons[b] : B_E_REFUSED;
}

static enum b_code judge_generation(enum policy_generation g)
{
    if ((size_t)g >= POLICY_GENERATION_COUNT)
        return B_E_REFUSED;
    bool is_in_use = g == POLICY_GENERATION_ACTIVE || g == POLICY_GENERATION_RETIRING;
    return is_in_use ? B_OK : B_E_GENERATION_RETIRED;
}

static enum b_code judge_dates(const struct policy_facts *f)
{
    if (f->not_before != 0 && f->now < f->not_before)
        return B_E_BADGE_NOT_YET_VALID;
    if (f->not_after != 0 ? f->now >= f->not_after : f->is_temporary)
        return B_E_BADGE_EXPIRED;
    return B_OK;
}

static enum b_code judge_holder(enum policy_holder h)
{
    static const enum b_code reasons[POLICY_HOLDER_COUNT] = {
        [POLICY_HOLDER_UNKNOWN] = B_E_REFUSED,
        [POLICY_HOLDER_ACTIVE] = B_OK,
        [POLICY_HOLDER_SUSPENDED] = B_E_HOLDER_SUSPENDED,
        [POLICY_HOLDER_LEFT] = B_E_HOLDER_LEFT,
    };
    return (size_t)h < B_COUNT(reasons) ? reasons[h] : B_E_REFUSED;
}

static enum b_code judge_states(const struct policy_facts *f)
{
    enum b_code r = judge_station(f->station);
    if (r == B_OK)
        r = judge_badge(f->badge);
    if (r == B_OK)
        r = judge_generation(f->generation);
    if (r == B_OK)
        r = judge_dates(f);
    return r != B_OK ? r : judge_holder(f->holder);
}

/* --- hours ------------------------------------------------------------------------------------ */

static const struct policy_rule *rule_of(const struct policy *p, const char *group)
{
    for (size_t i = 0; group != NULL && i < p->head.group_count && i < POLICY_GROUPS_MAX; i++) {
        if (strcmp(p->groups[i].group, group) == 0)
            return &p->groups[i];
    }
    return &p->by_default;
}

/* Minutes since each beginning, counted around the week: that covers midnight and Sunday night. */
static bool is_within(const struct policy_window *w, uint16_t grace, unsigned minute)
{
    unsigned from = w->from, to = w->to;
    if (to <= from)
        to += POLICY_DAY;
    for (unsigned day = 0; day < 7; day++) {
        unsigned start = day * POLICY_DAY + from;
        if ((w->days >> day & 1) != 0 &&
            (minute + POLICY_WEEK - start) % POLICY_WEEK < to - from + grace)
            return true;
    }
    return false;
}

static bool is_open(const struct policy_rule *r, uint16_t minute)
{
    if (r->window_count == 0)
        return true;
    for (size_t i = 0; minute < POLICY_WEEK && i < r->window_count && i < POLICY_WINDOWS_MAX; i++) {
        if (is_within(&r->windows[i], r->grace_minutes, minute))
            return true;
    }
    return false;
}

/* --- the PIN ---------------------------------------------------------------------------------- */

/* A PIN of this shift, in this zone. One in the future is of a clock that was wrong: it counts for
 * nothing. seen_at keeps a clock that goes back from giving the shift its hours again. */
static bool is_in_shift(const struct policy_rule *r, const struct policy_facts *f)
{
    int64_t now = f->seen_at > f->now ? f->seen_at : f->now;
    if (f->full_at <= 0 || f->full_at > f->now || f->zone == NULL || f->full_zone == NULL)
        return false;
    return strcmp(f->zone, f->full_zone) == 0 &&
           now < later(f->full_at, (int64_t)r->shift_hours * HOUR);
}

/* A factor that is not in the enum asks for a PIN. */
static bool needs_pin(const struct policy_rule *r, const struct policy_facts *f)
{
    if (r->factor == POLICY_FACTOR_PIN_SHIFT)
        return !is_in_shift(r, f);
    return r->factor != POLICY_FACTOR_NONE;
}

static int64_t wait_after(const struct policy *p, uint32_t tries)
{
    if (tries == 0 || p->head.wait_count == 0 || p->head.wait_count > POLICY_WAITS_MAX)
        return 0;
    return p->head.waits[tries <= p->head.wait_count ? tries - 1 : p->head.wait_count - 1u];
}

/* When the pause ends; 0: there is none. A wrong PIN further in the future than the pause is long
 * is of a clock that was wrong: believing it could shut the holder out for years. The tries still
 * count, so that the lock comes none the later. */
static int64_t pause_end(const struct policy *p, const struct policy_facts *f)
{
    int64_t wait = wait_after(p, f->pin_tries);
    if (wait == 0 || f->pin_failed_at > later(f->now, wait))
        return 0;
    int64_t end = later(f->pin_failed_at, wait);
    return end > f->now ? end : 0;
}

void policy_pin_after(const struct policy *p, uint32_t tries, int64_t now,
                      struct policy_pin_record *ret)
{
    uint32_t count = tries < UINT32_MAX ? tries + 1 : tries;
    *ret = (struct policy_pin_record){.tries = count,
                                      .failed_at = now,
                                      .retry_at = later(now, wait_after(p, count)),
                                      .is_locked = count >= p->head.lock_after};
}

enum b_code policy_pin_check_format(const struct policy *p, const char *pin, size_t n,
                                    struct b_err *err)
{
    bool is_sound =
        n >= p->head.pin_digits && n >= POLICY_PIN_DIGITS_MIN && n <= POLICY_PIN_DIGITS_MAX;
    for (size_t i = 0; is_sound && i < n; i++)
        is_sound = pin[i] >= '0' && pin[i] <= '9';
    if (is_sound)
        return B_OK;
    return b_err_set(err, B_E_PIN_FORMAT, 0, "a PIN here is %u to %d digits", p->head.pin_digits,
                     POLICY_PIN_DIGITS_MAX);
}

/* Row 7. */
static void decide_pin(const struct policy *p, const struct policy_facts *f,
                       struct policy_decision *ret)
{
    if (!f->has_pin) {
        ret->reason = B_E_PIN_MISSING;
        return;
    }
    if (f->is_pin_locked || f->pin_tries >= p->head.lock_after) {
        ret->reason = B_E_PIN_LOCKED;
        return;
    }
    ret->retry_at = pause_end(p, f);
    if (ret->retry_at != 0) {
        ret->reason = B_E_PIN_THROTTLED;
    } else if (f->pin == POLICY_PIN_NOT_GIVEN) {
        *ret = (struct policy_decision){.verdict = POLICY_NEED_PIN, .reason = B_E_PIN_REQUIRED};
    } else if (f->pin == POLICY_PIN_RIGHT) {
        *ret = (struct policy_decision){
            .verdict = POLICY_GRANT, .reason = B_OK, .counts_as_full = true};
    } else if (f->pin == POLICY_PIN_WRONG) {
        struct policy_pin_record after;
        policy_pin_after(p, f->pin_tries, f->now, &after);
        ret->reason = after.is_locked ? B_E_PIN_LOCKED : B_E_PIN_WRONG;
        ret->retry_at = after.is_locked ? 0 : after.retry_at;
    }
}

void policy_decide(const struct policy *p, const struct policy_facts *f,
                   struct policy_decision *ret)
{
    const struct policy_rule *rule = rule_of(p, f->group);
    *ret = (struct policy_decision){.verdict = POLICY_REFUSE, .reason = B_E_REFUSED};
    enum b_code r = judge_states(f);
    bool is_outside = !is_open(rule, f->minute_of_week);
    if (r == B_OK && is_outside && rule->outside != POLICY_OUTSIDE_PIN)
        r = B_E_OUTSIDE_HOURS;
    if (r != B_OK) {
        ret->reason = r;
        return;
    }
    if (is_outside || f->is_pin_asked || f->pin != POLICY_PIN_NOT_GIVEN || needs_pin(rule, f))
        decide_pin(p, f, ret);
    else
        *ret = (struct policy_decision){.verdict = POLICY_GRANT, .reason = B_OK};
}
