/*
 * TZif (RFC 8536 §3). All numbers have their most significant byte first.
 *
 *   offset  size  meaning
 *   0       4     "TZif"
 *   4       1     version: "2", "3" or "4"
 *   5       15    reserved
 *   20      24    six counts: isut, isstd, leap, time, type, char
 *   44      …     data block with times of 4 bytes: skipped
 *   then header and data block again, with times of 8 bytes:
 *           8 n   times of change
 *           n     types from then on
 *           6 m   types: offset in seconds (4), is summer (1), where its name is (1)
 *           …     names, leap seconds, isstd, isut
 *   then    …     line feed, the rule for what comes after as a POSIX TZ text, line feed
 */
#include "policy/zone.h"

#include <string.h>

enum { TYPES_MAX = 256, DAY = 86400, OFFSET_MAX = 26 * 3600 };
static const int64_t oldest = 1577836800; /* 2020-01-01 */

bool policy_zone_is_name(const char *name)
{
    size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/");
    if (n == 0 || n >= POLICY_ZONE_NAME || name[n] != '\0')
        return false;
    for (size_t i = 0; i < n; i++)
        if (name[i] == '/' && (i == 0 || name[i - 1] == '/' || i + 1 == n))
            return false;
    return true;
}

/* --- the rule for what comes after -------------------------------------------------------------
 */

static bool take(struct b_rd *r, char c)
{
    if (r->left == 0 || *r->p != (uint8_t)c)
        return false;
    b_rd_skip(r, 1);
    return true;
}

static bool take_number(struct b_rd *r, unsigned max, unsigned *ret)
{
    size_t digits = 0;
    *ret = 0;
    while (r->left > 0 && *r->p >= '0' && *r->p <= '9' && digits < 4) {
        *ret = *ret * 10 + (unsigned)(b_rd_u8(r) - '0');
        digits++;
    }
    return digits > 0 && *ret <= max;
}

/* [+-]hh[:mm[:ss]] */
static bool take_time(struct b_rd *r, int32_t *ret)
{
    unsigned h = 0;
    unsigned m = 0;
    unsigned s = 0;
    bool is_negative = take(r, '-');
    if (!is_negative)
        (void)take(r, '+');
    if (!take_number(r, 167, &h) ||
        (take(r, ':') && (!take_number(r, 59, &m) || (take(r, ':') && !take_number(r, 59, &s)))))
        return false;
    *ret = (int32_t)(h * 3600 + m * 60 + s);
    if (is_negative)
        *ret = -*ret;
    return true;
}

/* "CET" or "<+03>" */
static bool take_name(struct b_rd *r)
{
    size_t n = 0;
    bool is_quoted = take(r, '<');
    while (r->left > 0) {
        char c = (char)*r->p;
        bool is_letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        bool is_sign = (c >= '0' && c <= '9') || c == '+' || c == '-';
        if (!is_letter && !(is_quoted && is_sign))
            break;
        b_rd_skip(r, 1);
        n++;
    }
    return n >= 3 && (!is_quoted || take(r, '>'));
}

static bool take_day(struct b_rd *r, struct policy_zone_day *ret)
{
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    *ret = (struct policy_zone_day){.form = 'n', .seconds = 2 * 3600};
    if (take(r, 'M')) {
        ret->form = 'M';
        if (!take_number(r, 12, &a) || !take(r, '.') || !take_number(r, 5, &b) || !take(r, '.') ||
            !take_number(r, 6, &c) || a == 0 || b == 0)
            return false;
        ret->month = (uint8_t)a;
        ret->week = (uint8_t)b;
    } else {
        if (take(r, 'J'))
            ret->form = 'J';
        if (!take_number(r, 365, &c) || (ret->form == 'J' && c == 0))
            return false;
    }
    ret->day = (uint16_t)c;
    return !take(r, '/') || take_time(r, &ret->seconds);
}

static bool parse_rule(struct b_rd r, struct policy_zone *z)
{
    int32_t west = 0;
    if (r.left == 0)
        return true; /* nothing is known of later: the last step stays */
    if (!take_name(&r) || !take_time(&r, &west) || west > OFFSET_MAX || west < -OFFSET_MAX)
        return false;
    z->has_rule = true;
    z->standard = -west;
    if (r.left == 0)
        return true;
    z->has_summer = true;
    west -= 3600;
    if (!take_name(&r) || (r.left > 0 && *r.p != ',' && !take_time(&r, &west)) ||
        west > OFFSET_MAX || west < -OFFSET_MAX)
        return false;
    z->summer = -west;
    return take(&r, ',') && take_day(&r, &z->to_summer) && take(&r, ',') &&
           take_day(&r, &z->to_standard) && r.left == 0;
}

/* --- the steps ---------------------------------------------------------------------------------
 */

struct counts {
    uint32_t isut, isstd, leap, time, type, chars;
};

static bool take_header(struct b_rd *r, struct counts *c)
{
    const uint8_t *magic = b_rd_direct(r, 4);
    uint8_t version = b_rd_u8(r);
    b_rd_skip(r, 15);
    c->isut = b_rd_be32(r);
    c->isstd = b_rd_be32(r);
    c->leap = b_rd_be32(r);
    c->time = b_rd_be32(r);
    c->type = b_rd_be32(r);
    c->chars = b_rd_be32(r);
    return magic != NULL && memcmp(magic, "TZif", 4) == 0 && version >= '2' && b_rd_ok(r) &&
           c->time <= 65536 && c->type <= TYPES_MAX && c->chars <= 65536 && c->leap <= 65536 &&
           c->isut <= TYPES_MAX && c->isstd <= TYPES_MAX;
}

static int64_t signed_be64(struct b_rd *r)
{
    uint64_t high = b_rd_be32(r);
    return (int64_t)(high << 32 | b_rd_be32(r));
}

/* The offset of a type; false when there is no such type. */
static bool offset_of(struct b_rd types, size_t type, int32_t *ret)
{
    b_rd_skip(&types, 6 * type);
    *ret = (int32_t)b_rd_be32(&types);
    return b_rd_ok(&types) && *ret <= OFFSET_MAX && *ret >= -OFFSET_MAX;
}

static bool add_step(struct policy_zone *z, int64_t at, int32_t offset)
{
    if (at < oldest) {
        z->steps[0].offset = offset; /* what holds when the years that count begin */
        return true;
    }
    if (z->step_count == POLICY_ZONE_STEPS)
        return false;
    z->steps[z->step_count].at = at;
    z->steps[z->step_count++].offset = offset;
    return true;
}

static bool parse_steps(struct b_rd *r, const struct counts *c, struct policy_zone *z)
{
    struct b_rd times = b_rd_take(r, (size_t)c->time * 8);
    struct b_rd which = b_rd_take(r, c->time);
    struct b_rd types = b_rd_take(r, (size_t)c->type * 6);
    int64_t before = INT64_MIN;
    int32_t offset = 0;
    if (!b_rd_ok(r) || !offset_of(types, 0, &offset))
        return false;
    z->step_count = 1;
    z->steps[0].at = INT64_MIN;
    z->steps[0].offset = offset;
    for (uint32_t i = 0; i < c->time; i++) {
        int64_t at = signed_be64(&times);
        if (!offset_of(types, b_rd_u8(&which), &offset) || at < before || !add_step(z, at, offset))
            return false;
        before = at;
    }
    return true;
}

bool policy_zone_parse(struct b_rd r, struct policy_zone *ret)
{
    struct counts c;
    memset(ret, 0, sizeof(*ret));
    if (!take_header(&r, &c))
        return false;
    b_rd_skip(&r, (size_t)c.time * 5 + (size_t)c.type * 6 + c.chars + (size_t)c.leap * 8 + c.isstd +
                      c.isut);
    if (!take_header(&r, &c) || c.leap != 0 || !parse_steps(&r, &c, ret))
        return false;
    b_rd_skip(&r, (size_t)c.chars + c.isstd + c.isut);
    if (!b_rd_ok(&r) || r.left < 2 || b_rd_u8(&r) != '\n' || r.p[r.left - 1] != '\n')
        return false;
    return parse_rule(b_rd_from(r.p, r.left - 1), ret);
}

/* --- what the clock says -----------------------------------------------------------------------
 */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days from 1970-01-01 to the first of January of a year of the Gregorian calendar. */
static int64_t first_of(int64_t year)
{
    int64_t y = year - 1;
    return 365 * (year - 1970) + floor_div(y, 4) - floor_div(y, 100) + floor_div(y, 400) - 477;
}

static int64_t year_of(int64_t days)
{
    int64_t year = 1970 + floor_div(days, 366);
    while (first_of(year + 1) <= days)
        year++;
    return year;
}

/* The day on which the clocks change, from 1970-01-01. */
static int64_t day_of(const struct policy_zone_day *d, int64_t year)
{
    static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t first = first_of(year);
    if (d->form == 'n')
        return first + d->day;
    if (d->form == 'J')
        return first + d->day - 1 + (is_leap(year) && d->day >= 60);
    unsigned length = 0;
    for (unsigned m = 1; m <= d->month; m++) {
        first += length;
        length = lengths[m - 1] + (m == 2 && is_leap(year) ? 1u : 0u);
    }
    /* 1970-01-01 was a Thursday; here Sunday is 0 */
    unsigned weekday = (unsigned)((first % 7 + 11) % 7);
    unsigned at = (d->day + 7u - weekday) % 7 + 7u * (d->week - 1u);
    return first + (at < length ? at : at - 7);
}

static int32_t by_rule(const struct policy_zone *z, int64_t now)
{
    if (!z->has_summer)
        return z->standard;
    int64_t year = year_of(floor_div(now + z->standard, DAY));
    int64_t begin = day_of(&z->to_summer, year) * DAY + z->to_summer.seconds - z->standard;
    int64_t end = day_of(&z->to_standard, year) * DAY + z->to_standard.seconds - z->summer;
    bool is_summer = begin < end ? now >= begin && now < end : now >= begin || now < end;
    return is_summer ? z->summer : z->standard;
}

/* A clock that is wrong by thousands of years gets an answer too, without the search for its year.
 */
int32_t policy_zone_offset(const struct policy_zone *z, int64_t now)
{
    const int64_t latest = 253402300800; /* the year 10000 */
    size_t i = z->step_count;
    while (i > 0 && z->steps[i - 1].at > now)
        i--;
    if (i == z->step_count && z->has_rule && now >= oldest)
        return now < latest ? by_rule(z, now) : z->standard;
    return i > 0 ? z->steps[i - 1].offset : 0;
}

uint16_t policy_zone_minute(const struct policy_zone *z, int64_t now)
{
    enum { WEEK = 7 * 24 * 60, THURSDAY = 3 * 24 * 60 };
    int64_t minute = floor_div(now, 60) + policy_zone_offset(z, now) / 60 + THURSDAY;
    return (uint16_t)(minute - floor_div(minute, WEEK) * WEEK);
}
