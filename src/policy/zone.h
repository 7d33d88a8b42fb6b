/*
 * Time zones: working hours are those of the clock on the wall, wherever the server thinks it is. A
 * zone is read from the system's TZif data (RFC 8536) once, and then is a pure function. Years
 * before 2020 are left out: nobody taps there.
 */
#ifndef TESSERE_POLICY_ZONE_H
#define TESSERE_POLICY_ZONE_H

#include "base/base.h"

enum { POLICY_ZONE_STEPS = 320, POLICY_ZONE_NAME = 64 };

/* When clocks change, by the rule at the end of the data (POSIX TZ): the day of a year, and seconds
 * of that day, before midnight or after it. */
struct policy_zone_day {
    char form; /* 'M': month, week, day; 'J': day 1..365 without 29 February; 'n': day 0..365 */
    uint16_t day;
    uint8_t month, week;
    int32_t seconds;
};

struct policy_zone {
    char name[POLICY_ZONE_NAME]; /* "" is UTC */
    uint16_t step_count;
    struct {
        int64_t at; /* from then on */
        int32_t offset;
    } steps[POLICY_ZONE_STEPS];
    bool has_rule; /* after the last step */
    bool has_summer;
    int32_t standard, summer; /* seconds east of Greenwich */
    struct policy_zone_day to_summer, to_standard;
};

/* An IANA name such as Europe/Paris, as far as it can be told from the name: no path out of the
 * data's folder. */
B_NODISCARD bool policy_zone_is_name(const char *name);
/* False when it is no TZif data of version 2 or later, has leap seconds, or too many steps. */
B_NODISCARD bool policy_zone_parse(struct b_rd tzif, struct policy_zone *ret);
/* Seconds east of Greenwich at that time. */
int32_t policy_zone_offset(const struct policy_zone *z, int64_t now);
/* Minute of the week there, from Monday 00:00. */
uint16_t policy_zone_minute(const struct policy_zone *z, int64_t now);

#endif
