#include "policy/file.h"
#include "config/yaml.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

enum { WINDOWS_MAX = 8, DAY = 24 * 60 };

struct rule {
    char *group, *factor;
    char **holders;
    uint32_t holders_count;
    uint32_t shift_hours;
    char **hours;
    uint32_t hours_count;
};
struct pin {
    uint32_t *tries, *min_digits, *max_digits; /* NULL: not given */
    uint32_t *pauses;
    uint32_t pauses_count;
};
struct file {
    char *timezone;
    struct pin *pin;
    uint32_t compromised_days;
    bool issued_only;
    struct rule *rules;
    uint32_t rules_count;
};

static const cyaml_schema_value_t text_value = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, 64)};
static const cyaml_schema_value_t team_value = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, POLICY_TEAM_NAME - 1)};
static const cyaml_schema_value_t number_value = {CYAML_VALUE_UINT(CYAML_FLAG_DEFAULT, uint32_t)};
static const cyaml_schema_field_t rule_fields[] = {
    CYAML_FIELD_STRING_PTR("group", CYAML_FLAG_POINTER, struct rule, group, 0, POLICY_NAME_MAX - 1),
    CYAML_FIELD_STRING_PTR("factor", CYAML_FLAG_POINTER, struct rule, factor, 1, 16),
    CYAML_FIELD_SEQUENCE("holders", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct rule, holders,
                         &team_value, 1, POLICY_TEAMS_MAX),
    CYAML_FIELD_UINT("shift-hours", CYAML_FLAG_OPTIONAL, struct rule, shift_hours),
    CYAML_FIELD_SEQUENCE("hours", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct rule, hours,
                         &text_value, 0, WINDOWS_MAX),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t rule_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct rule, rule_fields)};
static const cyaml_schema_field_t pin_fields[] = {
    CYAML_FIELD_UINT_PTR("tries", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct pin, tries),
    CYAML_FIELD_UINT_PTR("min-digits", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct pin,
                         min_digits),
    CYAML_FIELD_UINT_PTR("max-digits", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct pin,
                         max_digits),
    CYAML_FIELD_SEQUENCE("pauses", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct pin, pauses,
                         &number_value, 0, POLICY_PAUSES_MAX),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t file_fields[] = {
    CYAML_FIELD_STRING_PTR("timezone", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file,
                           timezone, 1, POLICY_NAME_MAX - 1),
    CYAML_FIELD_MAPPING_PTR("pin", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file, pin,
                            pin_fields),
    CYAML_FIELD_UINT("compromised-days", CYAML_FLAG_OPTIONAL, struct file, compromised_days),
    CYAML_FIELD_BOOL("issued-only", CYAML_FLAG_OPTIONAL, struct file, issued_only),
    CYAML_FIELD_SEQUENCE("rules", CYAML_FLAG_POINTER, struct file, rules, &rule_value, 1,
                         POLICY_RULES_MAX),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct file, file_fields)};

/* --- what is wrong, and where ------------------------------------------------------------------
 */

struct source {
    const char *path, *text;
    size_t n;
};

/* The line of the nth (from 0) place outside of comments where these words stand, 0: nowhere. A
 * key is sought with its colon. */
static unsigned find_line(const struct source *s, const char *words, size_t nth)
{
    size_t n = strlen(words);
    unsigned line = 1;
    bool is_comment = false;
    for (size_t i = 0; i < s->n; i++) {
        if (s->text[i] == '\n') {
            line++;
            is_comment = false;
        }
        is_comment |= s->text[i] == '#' && (i == 0 || strchr(" \n", s->text[i - 1]) != NULL);
        bool is_start = i == 0 || strchr(" \n,{[\"'", s->text[i - 1]) != NULL;
        if (!is_comment && is_start && s->n - i >= n && memcmp(s->text + i, words, n) == 0 &&
            nth-- == 0)
            return line;
    }
    return 0;
}

/* Says file and line, what must be there, and so what to do. */
static enum b_code wrong(const struct source *s, unsigned line, const char *what, struct b_err *err)
{
    return line != 0
               ? b_err_set(err, B_E_CONFIG, 0, "%s, line %u: %s", s->path, line, b_err_word(what))
               : b_err_set(err, B_E_CONFIG, 0, "%s: %s", s->path, b_err_word(what));
}

/* --- hours -------------------------------------------------------------------------------------
 */

static int find_day(const char *text)
{
    static const char *const days[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
    for (int i = 0; i < (int)B_COUNT(days); i++)
        if (strncmp(days[i], text, 3) == 0)
            return i;
    return -1;
}

/* "mon", "mon-fri", "mon,wed,fri", "sat-mon": bits of the days; NULL when it is none of these, else
 * what follows. */
static const char *parse_days(const char *text, unsigned *ret)
{
    *ret = 0;
    do {
        int from = find_day(text);
        if (from < 0)
            return NULL;
        text += 3;
        int to = from;
        if (*text == '-') {
            to = find_day(text + 1);
            if (to < 0)
                return NULL;
            text += 4;
        }
        for (int day = from;; day = (day + 1) % 7) {
            *ret |= 1u << day;
            if (day == to)
                break;
        }
    } while (*text == ',' && *++text != '\0');
    return *text == ' ' ? text + 1 : NULL;
}

/* "mon-fri 07:00-20:00"; 24:00 ends a day, and an end before its start lies on the next day. */
static bool parse_window(const char *text, struct policy_rule *r)
{
    unsigned days = 0;
    unsigned h1 = 0, m1 = 0, h2 = 0, m2 = 0;
    int end = 0;
    const char *times = parse_days(text, &days);
    if (times == NULL || times[0] < '0' || times[0] > '9' ||
        sscanf(times, // NOLINT(cert-err34-c): two digits at most, and their range is checked
               "%2u:%2u-%2u:%2u%n", &h1, &m1, &h2, &m2, &end) != 4 ||
        times[end] != '\0' || h1 > 23 || m1 > 59 || m2 > 59 || h2 > 24 || (h2 == 24 && m2 > 0))
        return false;
    for (unsigned day = 0; day < 7; day++) {
        if ((days & 1u << day) == 0)
            continue;
        unsigned from = day * DAY + h1 * 60 + m1;
        unsigned to = day * DAY + h2 * 60 + m2;
        if (to <= from)
            to += DAY;
        b_check(r->hours_count < POLICY_HOURS_MAX);
        r->hours[r->hours_count++] = (struct policy_hours){
            .from = (uint16_t)from, .to = (uint16_t)(to % POLICY_WEEK_MINUTES)};
    }
    return true;
}

static enum b_code take_hours(const struct source *s, const struct rule *from,
                              struct policy_rule *r, struct b_err *err)
{
    char what[192];
    for (uint32_t i = 0; i < from->hours_count; i++) {
        if (parse_window(from->hours[i], r))
            continue;
        (void)snprintf(
            what, sizeof(what),
            b_err_word("hours: days and times such as \"mon-fri 07:00-20:00\" or \"mon,wed "
                       "22:00-06:00\", not \"%s\""),
            from->hours[i]);
        return wrong(s, from->hours[i][0] != '\0' ? find_line(s, from->hours[i], 0) : 0, what, err);
    }
    return B_OK;
}

/* --- groups of the directory -------------------------------------------------------------------
 */

/* The bit of a group, among those that the policy names so far; names are compared as the directory
 * compares them. 0: there is no room for another. */
static uint32_t bit_of(struct policy *p, const char *team)
{
    size_t i = 0;
    while (i < p->team_count && strcasecmp(p->teams[i], team) != 0)
        i++;
    if (i == POLICY_TEAMS_MAX)
        return 0;
    if (i == p->team_count)
        (void)snprintf(p->teams[p->team_count++], POLICY_TEAM_NAME, "%s", team);
    return 1u << i;
}

static enum b_code take_holders(const struct source *s, const struct rule *from, struct policy *p,
                                struct policy_rule *r, struct b_err *err)
{
    unsigned line = find_line(s, "group:", p->rule_count);
    char what[64];
    for (uint32_t i = 0; i < from->holders_count; i++) {
        if (!b_text_is_name(from->holders[i]))
            return wrong(s, line,
                         "holders: without control characters or marks that turn or hide what "
                         "stands beside them",
                         err);
        uint32_t bit = bit_of(p, from->holders[i]);
        if (bit == 0) {
            (void)snprintf(what, sizeof(what), "holders: at most %d groups in a policy",
                           POLICY_TEAMS_MAX);
            return wrong(s, line, what, err);
        }
        r->holders |= bit;
    }
    return B_OK;
}

/* Whether the rules so far leave somebody to this one. */
static bool is_reached(const struct policy *p, const struct policy_rule *r)
{
    uint32_t taken = 0;
    for (size_t i = 0; i < p->rule_count; i++) {
        if (strcmp(p->rules[i].group, r->group) != 0)
            continue;
        if (p->rules[i].holders == 0)
            return false;
        taken |= p->rules[i].holders;
    }
    return r->holders == 0 || (r->holders & ~taken) != 0;
}

/* --- rules, PINs, time zone --------------------------------------------------------------------
 */

static enum b_code take_rule(const struct source *s, const struct rule *from, struct policy *p,
                             struct b_err *err)
{
    static const char *const factors[] = {"badge", "pin-always", "pin-shift"};
    struct policy_rule *r = &p->rules[p->rule_count];
    size_t factor = 0;
    char what[192];
    while (factor < B_COUNT(factors) && strcmp(factors[factor], from->factor) != 0)
        factor++;
    if (!b_text_is_name(from->group))
        return wrong(s, find_line(s, "group:", p->rule_count),
                     "group: without control characters or marks that turn or hide what stands "
                     "beside them",
                     err);
    if (factor == B_COUNT(factors)) {
        (void)snprintf(what, sizeof(what),
                       b_err_word("factor: badge, pin-always or pin-shift, not %s"), from->factor);
        return wrong(s, find_line(s, "factor:", p->rule_count), what, err);
    }
    if (factor == POLICY_PIN_SHIFT && (from->shift_hours < 1 || from->shift_hours > 24)) {
        (void)snprintf(what, sizeof(what), b_err_word("group \"%s\": give shift-hours: 1 to 24"),
                       from->group);
        return wrong(s, find_line(s, "factor:", p->rule_count), what, err);
    }
    *r = (struct policy_rule){.factor = (enum policy_factor)factor,
                              .shift_hours = from->shift_hours};
    (void)snprintf(r->group, sizeof(r->group), "%s", from->group);
    enum b_code code = take_holders(s, from, p, r, err);
    if (code == B_OK && !is_reached(p, r)) {
        (void)snprintf(what, sizeof(what),
                       "two rules for group \"%s\" are for the same people: leave one, or put the "
                       "one with fewer holders first",
                       from->group);
        code = wrong(s, find_line(s, "group:", p->rule_count), what, err);
    }
    p->rule_count++;
    return code == B_OK ? take_hours(s, from, r, err) : code;
}

static enum b_code take_pin(const struct source *s, const struct pin *from, struct policy *p,
                            struct b_err *err)
{
    if (from == NULL)
        return B_OK;
    if (from->tries != NULL && (*from->tries < 1 || *from->tries > 20))
        return wrong(s, find_line(s, "tries:", 0),
                     "pin: tries: 1 to 20; leave it out for 5. No number means without end", err);
    uint32_t least = from->min_digits != NULL ? *from->min_digits : POLICY_PIN_MIN;
    uint32_t most = from->max_digits != NULL ? *from->max_digits : POLICY_PIN_MAX;
    if (least < POLICY_PIN_MIN || most > POLICY_PIN_MAX || least > most)
        return wrong(s, find_line(s, from->min_digits != NULL ? "min-digits:" : "max-digits:", 0),
                     "pin: min-digits and max-digits: 4 to 12, the first not above the second",
                     err);
    p->pin_min = (uint8_t)least;
    p->pin_max = (uint8_t)most;
    p->pin_tries = from->tries != NULL ? *from->tries : p->pin_tries;
    if (from->pauses == NULL)
        return B_OK;
    p->pause_count = (uint8_t)from->pauses_count;
    for (uint32_t i = 0; i < from->pauses_count; i++) {
        if (from->pauses[i] > 86400)
            return wrong(s, find_line(s, "pauses:", 0), "pin: pauses: at most 86400 seconds", err);
        p->pause_seconds[i] = from->pauses[i];
    }
    return B_OK;
}

/* The system's time zones (package tzdata). */
static enum b_code read_zone(const char *name, struct policy_zone *ret)
{
    static _Thread_local uint8_t bytes[65536];
    char path[32 + POLICY_ZONE_NAME];
    if (!policy_zone_is_name(name))
        return B_E_BAD_INPUT;
    (void)snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", name);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return B_E_NOT_FOUND;
    size_t n = fread(bytes, 1, sizeof(bytes), f);
    (void)fclose(f);
    if (!policy_zone_parse(b_rd_from(bytes, n), ret))
        return B_E_BAD_INPUT;
    (void)snprintf(ret->name, sizeof(ret->name), "%s", name);
    return B_OK;
}

static enum b_code take_zone(const struct source *s, const char *name, struct policy *p,
                             struct b_err *err)
{
    char what[192];
    bool has_hours = false;
    for (size_t i = 0; i < p->rule_count; i++)
        has_hours |= p->rules[i].hours_count > 0;
    if (name == NULL)
        return has_hours
                   ? wrong(s, find_line(s, "hours:", 0),
                           "where a rule has hours, say of which clock: timezone: Europe/Paris",
                           err)
                   : B_OK;
    if (read_zone(name, &p->zone) == B_OK)
        return B_OK;
    (void)snprintf(what, sizeof(what),
                   b_err_word("timezone: a name of the IANA's time zones, such as Europe/Paris or "
                              "Indian/Reunion, which this system knows (package tzdata), not %s"),
                   name);
    return wrong(s, find_line(s, "timezone:", 0), what, err);
}

enum b_code policy_file_read(const char *path, const char *text, size_t n, struct policy *ret,
                             struct b_err *err)
{
    const struct source s = {path, text, n};
    struct file *f = NULL;
    enum b_code code = config_load(path, text, n, &schema, (cyaml_data_t **)&f, err);
    if (code != B_OK)
        return code;
    policy_default(ret);
    ret->rule_count = 0;
    bool has_default = false;
    code = take_pin(&s, f->pin, ret, err);
    for (uint32_t i = 0; code == B_OK && i < f->rules_count; i++) {
        has_default |= f->rules[i].group[0] == '\0';
        code = take_rule(&s, &f->rules[i], ret, err);
    }
    if (code == B_OK && !has_default)
        code = b_err_set(err, B_E_CONFIG, 0,
                         "%s: one rule must have the group \"\": it holds for all others", path);
    ret->is_issued_only = f->issued_only;
    ret->compromised_days = f->compromised_days;
    if (code == B_OK && ret->compromised_days > 365)
        code = wrong(&s, find_line(&s, "compromised-days:", 0),
                     "compromised-days: 0 to 365; 0 refuses such badges at once", err);
    if (code == B_OK)
        code = take_zone(&s, f->timezone, ret, err);
    config_free(&schema, f);
    return code;
}
