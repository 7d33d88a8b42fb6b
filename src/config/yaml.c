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
