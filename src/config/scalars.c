#include "config/scalars.h"

#include <stdbool.h>
#include <stdio.h>
#include <yaml.h>

enum { FIELD_MAX = 64 };

void config_each_scalar(const char *text, size_t n,
                        void (*fn)(void *ctx, const char *field, const char *value), void *ctx)
{
    yaml_parser_t parser;
    yaml_token_t token;
    char field[FIELD_MAX] = "";
    bool is_field = false;
    bool is_over = false;
    if (!yaml_parser_initialize(&parser))
        return;
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    while (!is_over && yaml_parser_scan(&parser, &token)) {
        const char *value = (const char *)token.data.scalar.value;
        is_over = token.type == YAML_STREAM_END_TOKEN || token.type == YAML_NO_TOKEN;
        if (token.type == YAML_SCALAR_TOKEN && is_field)
            (void)snprintf(field, sizeof(field), "%s", value);
        else if (token.type == YAML_SCALAR_TOKEN)
            fn(ctx, field, value);
        is_field = token.type == YAML_KEY_TOKEN;
        yaml_token_delete(&token);
    }
    yaml_parser_delete(&parser);
}
