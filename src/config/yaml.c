#include "config/yaml.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "config/mistake.h"

enum { FILE_MAX = 65536 };

static const cyaml_config_t settings = {.mem_fn = cyaml_mem, .flags = CYAML_CFG_STYLE_BLOCK};

enum b_code config_load(const char *path, const char *text, size_t n,
                        const struct cyaml_schema_value *schema, cyaml_data_t **ret,
                        struct b_err *err)
{
    struct config_mistake m;
    cyaml_data_t *data = NULL;
    if (config_find_mistake(text, n, schema, true, &m)) {
        const char *colon = m.field[0] != '\0' ? b_err_word(": ") : "";
        return m.line > 0
                   ? b_err_set(err, B_E_CONFIG, 0, "%s: line %zu, column %zu: %s%s%s", path, m.line,
                               m.column, m.field, colon, m.what)
                   : b_err_set(err, B_E_CONFIG, 0, "%s: %s%s%s", path, m.field, colon, m.what);
    }
    cyaml_err_t why = cyaml_load_data((const uint8_t *)text, n, &settings, schema, &data, NULL);
    if (why != CYAML_OK)
        return b_err_set(err, why == CYAML_ERR_OOM ? B_E_NO_MEMORY : B_E_CONFIG, (uint32_t)why,
                         "%s: %s", path, cyaml_strerror(why));
    if (data == NULL)
        return b_err_set(err, B_E_CONFIG, 0, "%s: the file is empty", path);
    *ret = data;
    return B_OK;
}

enum b_code config_load_file(const char *path, const struct cyaml_schema_value *schema,
                             cyaml_data_t **ret, struct b_err *err)
{
    char *text = NULL;
    size_t n = 0;
    struct b_err cause;
    if (b_file_read(path, FILE_MAX, &text, &n, &cause) != B_OK)
        return b_err_set(err, B_E_CONFIG, cause.aux, "%s", cause.msg);
    enum b_code r = config_load(path, text, n, schema, ret, err);
    free(text);
    return r;
}

void config_free(const struct cyaml_schema_value *schema, cyaml_data_t *data)
{
    (void)cyaml_free(&settings, schema, data, 0);
}

enum b_code config_save(const char *path, const struct cyaml_schema_value *schema,
                        const cyaml_data_t *data, unsigned mode, struct b_err *err)
{
    char *text = NULL;
    size_t n = 0;
    cyaml_err_t why = cyaml_save_data(&text, &n, &settings, schema, data, 0);
    enum b_code r = why == CYAML_OK ? b_file_replace(path, text, n, mode, err)
                                    : b_err_set(err, B_E_CONFIG, (uint32_t)why, "writing %s: %s",
                                                path, cyaml_strerror(why));
    free(text);
    return r;
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
