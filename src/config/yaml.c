#include "config/yaml.h"

#include <stdio.h>
#include <string.h>

/* The last things that libcyaml says name field and line. */
__attribute__((format(printf, 3, 0))) static void take(cyaml_log_t level, void *ctx,
                                                       const char *fmt, va_list args)
{
    struct config_said *said = ctx;
    size_t used = strlen(said->text);
    if (level < CYAML_LOG_ERROR || used + 2 >= sizeof(said->text))
        return;
    (void)vsnprintf(said->text + used, sizeof(said->text) - used, fmt, args);
    char *end = strchr(said->text, '\n'); /* none where it was cut */
    if (end != NULL)
        *end = ' ';
}

cyaml_config_t config_yaml(struct config_said *said)
{
    return (cyaml_config_t){
        .log_fn = take, .log_ctx = said, .log_level = CYAML_LOG_ERROR, .mem_fn = cyaml_mem};
}

static bool names(const char *p, const char *end, const char *field, size_t len)
{
    while (p < end && strchr(" \t{,-\"'", *p) != NULL)
        p++;
    if ((size_t)(end - p) <= len || memcmp(p, field, len) != 0)
        return false;
    return p[len] == ':' || p[len] == '"' || p[len] == '\'';
}

unsigned config_line_of(const char *text, size_t n, const char *field)
{
    size_t len = strlen(field);
    unsigned line = 1;
    bool is_comment = false;
    for (size_t i = 0; i < n; i++) {
        bool starts = i == 0 || text[i - 1] == '\n' || text[i - 1] == '{' || text[i - 1] == ',';
        if (text[i] == '\n') {
            line++;
            is_comment = false;
        }
        is_comment |= text[i] == '#';
        if (starts && !is_comment && text[i] != '\n' && names(text + i, text + n, field, len))
            return line;
    }
    return 0;
}

void config_place(struct config_said *said, const char *text, size_t n)
{
    static const char sign[] = "Unexpected key: ";
    char old[CONFIG_SAID];
    char key[64];
    const char *at = strstr(said->text, sign);
    if (at == NULL)
        return;
    at += strlen(sign);
    size_t len = strcspn(at, " ");
    len = len < sizeof(key) ? len : sizeof(key) - 1;
    memcpy(key, at, len);
    key[len] = '\0';
    memcpy(old, said->text, sizeof(old));
    (void)snprintf(said->text, sizeof(said->text), "line %u: %.160s", config_line_of(text, n, key),
                   old);
}
