#include "policy/file.h"
#include "config/yaml.h"

#include <stdio.h>
#include <string.h>

struct rule {
    char *group, *factor;
    uint32_t shift_hours;
    char **hours;
    uint32_t hours_count;
};
struct pin {
    uint32_t tries;
    uint32_t *pauses;
    uint32_t pauses_count;
};
struct file {
    struct pin *pin;
    struct rule *rules;
    uint32_t rules_count;
};

static const cyaml_schema_value_t text_value = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, 64)};
static const cyaml_schema_value_t number_value = {CYAML_VALUE_UINT(CYAML_FLAG_DEFAULT, uint32_t)};
static const cyaml_schema_field_t rule_fields[] = {
    CYAML_FIELD_STRING_PTR("group", CYAML_FLAG_POINTER, struct rule, group, 0, POLICY_NAME_MAX - 1),
    CYAML_FIELD_STRING_PTR("factor", CYAML_FLAG_POINTER, struct rule, factor, 1, 16),
    CYAML_FIELD_UINT("shift-hours", CYAML_FLAG_OPTIONAL, struct rule, shift_hours),
    CYAML_FIELD_SEQUENCE("hours", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct rule, hours,
                         &text_value, 0, POLICY_HOURS_MAX),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t rule_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct rule, rule_fields)};
static const cyaml_schema_field_t pin_fields[] = {
    CYAML_FIELD_UINT("tries", CYAML_FLAG_OPTIONAL, struct pin, tries),
    CYAML_FIELD_SEQUENCE("pauses", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct pin, pauses,
                         &number_value, 0, POLICY_PAUSES_MAX),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t file_fields[] = {
    CYAML_FIELD_MAPPING_PTR("pin", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file, pin,
                            pin_fields),
    CYAML_FIELD_SEQUENCE("rules", CYAML_FLAG_POINTER, struct file, rules, &rule_value, 1,
                         POLICY_RULES_MAX),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct file, file_fields)};

/* "mon 07:00-20:00"; 24:00 ends a day, and an end before its start lies on the next day. */
static bool parse_hours(const char *text, struct policy_hours *ret)
{
    static const char *const days[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
    enum { DAY = 24 * 60 };
    char day[4];
    unsigned h1 = 0, m1 = 0, h2 = 0, m2 = 0;
    int end = 0;
    if (sscanf(text, "%3s %2u:%2u-%2u:%2u%n", day, &h1, &m1, &h2, &m2, &end) != 5 ||
        text[end] != '\0' || h1 > 23 || m1 > 59 || m2 > 59 || h2 > 24 || (h2 == 24 && m2 > 0))
        return false;
    for (unsigned i = 0; i < B_COUNT(days); i++) {
        if (strcmp(days[i], day) != 0)
            continue;
        unsigned from = i * DAY + h1 * 60 + m1;
        unsigned to = i * DAY + h2 * 60 + m2;
        if (to <= from)
            to += DAY;
        ret->from = (uint16_t)from;
        ret->to = (uint16_t)(to % POLICY_WEEK_MINUTES);
        return true;
    }
    return false;
}

static enum b_code take_rule(const char *path, const struct rule *from, struct policy *p,
                             struct b_err *err)
{
    static const char *const factors[] = {"badge", "pin-always", "pin-shift"};
    struct policy_rule *r = &p->rules[p->rule_count];
    size_t factor = 0;
    while (factor < B_COUNT(factors) && strcmp(factors[factor], from->factor) != 0)
        factor++;
    for (size_t i = 0; i < p->rule_count; i++)
        if (strcmp(p->rules[i].group, from->group) == 0)
            return b_err_set(err, B_E_CONFIG, 0, "%s: two rules for group \"%s\"", path,
                             from->group);
    if (factor == B_COUNT(factors))
        return b_err_set(err, B_E_CONFIG, 0, "%s: factor: badge, pin-always or pin-shift, not %s",
                         path, from->factor);
    if (factor == POLICY_PIN_SHIFT && (from->shift_hours < 1 || from->shift_hours > 24))
        return b_err_set(err, B_E_CONFIG, 0, "%s: group \"%s\": shift-hours: 1 to 24", path,
                         from->group);
    *r = (struct policy_rule){.factor = (enum policy_factor)factor,
                              .shift_hours = from->shift_hours,
                              .hours_count = (uint8_t)from->hours_count};
    (void)snprintf(r->group, sizeof(r->group), "%s", from->group);
    for (uint32_t i = 0; i < from->hours_count; i++)
        if (!parse_hours(from->hours[i], &r->hours[i]))
            return b_err_set(err, B_E_CONFIG, 0, "%s: hours: \"mon 07:00-20:00\", not \"%s\"", path,
                             from->hours[i]);
    p->rule_count++;
    return B_OK;
}

static enum b_code take_pin(const char *path, const struct pin *from, struct policy *p,
                            struct b_err *err)
{
    if (from == NULL)
        return B_OK;
    if (from->tries != 0)
        p->pin_tries = from->tries;
    if (p->pin_tries > 20)
        return b_err_set(err, B_E_CONFIG, 0, "%s: pin: tries: 1 to 20", path);
    if (from->pauses == NULL)
        return B_OK;
    p->pause_count = (uint8_t)from->pauses_count;
    for (uint32_t i = 0; i < from->pauses_count; i++) {
        if (from->pauses[i] > 86400)
            return b_err_set(err, B_E_CONFIG, 0, "%s: pin: pauses: at most 86400 seconds", path);
        p->pause_seconds[i] = from->pauses[i];
    }
    return B_OK;
}

enum b_code policy_file_read(const char *path, const char *text, size_t n, struct policy *ret,
                             struct b_err *err)
{
    struct config_said said = {.text = ""};
    cyaml_config_t config = config_yaml(&said);
    struct file *f = NULL;
    cyaml_err_t r =
        cyaml_load_data((const uint8_t *)text, n, &config, &schema, (cyaml_data_t **)&f, NULL);
    if (r != CYAML_OK)
        return b_err_set(err, B_E_CONFIG, (uint32_t)r, "%s: %s(%s)", path, said.text,
                         cyaml_strerror(r));
    if (f == NULL)
        return b_err_set(err, B_E_CONFIG, 0, "%s: the file is empty", path);
    policy_default(ret);
    ret->rule_count = 0;
    bool has_default = false;
    enum b_code code = take_pin(path, f->pin, ret, err);
    for (uint32_t i = 0; code == B_OK && i < f->rules_count; i++) {
        has_default |= f->rules[i].group[0] == '\0';
        code = take_rule(path, &f->rules[i], ret, err);
    }
    if (code == B_OK && !has_default)
        code = b_err_set(err, B_E_CONFIG, 0,
                         "%s: one rule must have the group \"\": it holds for all others", path);
    (void)cyaml_free(&config, &schema, f, 0);
    return code;
}
