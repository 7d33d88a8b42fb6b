#include "profile/schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

static bool is_named(const yaml_node_t *node, const char *name, size_t n)
{
    return node != NULL && node->type == YAML_SCALAR_NODE && node->data.scalar.length == n &&
           memcmp(node->data.scalar.value, name, n) == 0;
}

/* What stands under one piece of a path: a key of a mapping (then *ret_line is the key's), or a
 * number in a sequence. NULL when there is none. */
static yaml_node_t *child(yaml_document_t *doc, const yaml_node_t *node, const char *piece,
                          size_t n, size_t *ret_line)
{
    if (node->type == YAML_MAPPING_NODE) {
        const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
        for (; pair < node->data.mapping.pairs.top; pair++) {
            const yaml_node_t *key = yaml_document_get_node(doc, pair->key);
            if (!is_named(key, piece, n))
                continue;
            *ret_line = key->start_mark.line + 1;
            return yaml_document_get_node(doc, pair->value);
        }
    } else if (node->type == YAML_SEQUENCE_NODE) {
        size_t count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
        size_t i = (size_t)strtoul(piece, NULL, 10);
        yaml_node_t *found =
            i < count ? yaml_document_get_node(doc, node->data.sequence.items.start[i]) : NULL;
        if (found != NULL)
            *ret_line = found->start_mark.line + 1;
        return found;
    }
    return NULL;
}

/* The line of "application/files/1/rights/read", or of as much of it as the file has. */
size_t profile_schema_line(const struct profile_schema *from, const char *path)
{
    yaml_parser_t parser;
    yaml_document_t doc;
    size_t line = from->stopped_at > 0 ? from->stopped_at : 1;
    if (!yaml_parser_initialize(&parser))
        return line;
    yaml_parser_set_input_string(&parser, (const unsigned char *)from->text, from->n);
    if (yaml_parser_load(&parser, &doc)) {
        const yaml_node_t *node = yaml_document_get_root_node(&doc);
        while (node != NULL && *path != '\0') {
            size_t n = strcspn(path, "/");
            node = child(&doc, node, path, n, &line);
            path += n;
            path += *path == '/';
        }
        yaml_document_delete(&doc);
    }
    yaml_parser_delete(&parser);
    return line;
}

/* "application/files/1/no" for people: application.files[2].no, counted from 1. */
static void spell(const char *path, char out[static PATH_MAX_LEN])
{
    struct b_wr w = b_wr_from(out, PATH_MAX_LEN - 1);
    while (*path != '\0') {
        size_t n = strcspn(path, "/");
        char number[24];
        bool is_index = *path >= '0' && *path <= '9';
        int m = snprintf(number, sizeof(number), "[%lu]", strtoul(path, NULL, 10) + 1);
        if (!is_index && w.len > 0)
            b_wr_u8(&w, '.');
        b_wr_bytes(&w, is_index ? number : path, is_index ? (size_t)m : n);
        path += n;
        path += *path == '/';
    }
    out[w.len] = '\0';
}

enum b_code profile_schema_wrong(const struct profile_schema *from, const char *path,
                                 const char *what)
{
    char field[PATH_MAX_LEN];
    spell(path, field);
    return b_err_set(from->err, from->code, 0, "%s:%zu: %s: %s", from->name,
                     profile_schema_line(from, path), field, what);
}

/* --- what libcyaml says ----------------------------------------------------------------------- */

/* Its log of one failure: what is wrong, then where, from the inside out. */
struct report {
    char what[160];
    char path[PATH_MAX_LEN];
    size_t line;
    bool is_in_field; /* the innermost place names a field */
};

/* Puts a piece before what is there, as far as there is room. */
static void prepend(char *path, const char *piece, size_t n)
{
    char old[PATH_MAX_LEN];
    size_t old_len = strlen(path);
    struct b_wr w = b_wr_from(path, PATH_MAX_LEN - 1);
    memcpy(old, path, old_len);
    b_wr_bytes(&w, piece, n);
    if (old_len > 0)
        b_wr_u8(&w, '/');
    b_wr_bytes(&w, old, old_len);
    path[w.len] = '\0';
}

static void take_place(struct report *r, const char *line)
{
    const char *name = strchr(line, '\'');
    const char *at = strstr(line, "(line: ");
    if (r->line == 0) {
        r->line = at != NULL ? strtoul(at + strlen("(line: "), NULL, 10) : 1;
        r->is_in_field = name != NULL;
    }
    if (name == NULL || strcspn(name + 1, "'") > 32)
        return;
    if (strstr(line, "sequence entry") == NULL) {
        prepend(r->path, name + 1, strcspn(name + 1, "'"));
        return;
    }
    /* It names the entry after it has counted it: from 1. */
    char index[24];
    unsigned long n = strtoul(name + 1, NULL, 10);
    (void)snprintf(index, sizeof(index), "%lu", n > 0 ? n - 1 : 0);
    prepend(r->path, index, strlen(index));
}

static void __attribute__((format(printf, 3, 0)))
take_log(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
    struct report *r = ctx;
    char line[256];
    (void)level;
    (void)vsnprintf(line, sizeof(line), fmt, args);
    line[strcspn(line, "\n")] = '\0';
    const char *text = strncmp(line, "Load: ", 6) == 0 ? line + 6 : line;
    if (strncmp(text, "  in ", 5) == 0)
        take_place(r, text);
    else if (strcmp(text, "Backtrace:") != 0 && r->what[0] == '\0')
        (void)snprintf(r->what, sizeof(r->what), "%.150s", text);
}

/* Its words for the commonest mistakes, in ours, and where they really are: at the field it names,
 * at a key beside it, or in the mapping around it. */
enum place { HERE, BESIDE, AROUND };
static const struct {
    const char *theirs, *ours;
    enum place place;
    bool names_it; /* their word after it belongs to the message */
} phrases[] = {
    {"Unexpected key: ", "there is no such field", BESIDE, false},
    {"Missing required mapping field: ", "it lacks the field ", AROUND, true},
    {"Mapping field already seen: ", "it is there twice", HERE, false},
    {"Invalid INT value: ", "not an allowed value: ", HERE, true},
    {"Invalid UINT value: ", "not an allowed value: ", HERE, true},
    {"Invalid uint64_t value: ", "not a number: ", HERE, true},
    {"Invalid int64_t value: ", "not a number: ", HERE, true},
    {"Invalid ENUM value: ", "not an allowed value: ", HERE, true},
    {"Invalid FLAGS value: ", "not an allowed value: ", HERE, true},
    {"Unknown flag: ", "not an allowed value: ", HERE, true},
};

/* The rest of what libcyaml or libyaml may say, at the line they say. */
static enum b_code not_it(const struct profile_schema *from, const struct report *r)
{
    yaml_parser_t parser;
    yaml_document_t doc;
    if (!yaml_parser_initialize(&parser))
        return b_err_set(from->err, B_E_NO_MEMORY, 0, "reading %s", from->name);
    yaml_parser_set_input_string(&parser, (const unsigned char *)from->text, from->n);
    bool is_yaml = yaml_parser_load(&parser, &doc);
    const char *problem = parser.problem != NULL ? parser.problem : "unreadable";
    if (is_yaml)
        yaml_document_delete(&doc);
    else
        (void)b_err_set(from->err, from->code, 0, "%s:%zu: not YAML: %s", from->name,
                        parser.problem_mark.line + 1, problem);
    yaml_parser_delete(&parser);
    if (!is_yaml)
        return from->code;
    return profile_schema_wrong(from, r->path, r->what[0] != '\0' ? r->what : from->expected);
}

static enum b_code refused(const struct profile_schema *from, struct report *r, cyaml_err_t why)
{
    char path[PATH_MAX_LEN], what[160];
    if (why == CYAML_ERR_OOM)
        return b_err_set(from->err, B_E_NO_MEMORY, 0, "reading %s", from->name);
    if (why == CYAML_ERR_ALIAS)
        return profile_schema_wrong(from, r->path, "aliases are not used here");
    for (size_t i = 0; i < B_COUNT(phrases); i++) {
        size_t n = strlen(phrases[i].theirs);
        if (strncmp(r->what, phrases[i].theirs, n) != 0)
            continue;
        char *last = strrchr(r->path, '/');
        if (phrases[i].place == AROUND && r->is_in_field)
            *(last != NULL ? last : r->path) = '\0';
        (void)snprintf(path, sizeof(path), "%.60s", r->path);
        if (phrases[i].place == BESIDE)
            (void)snprintf(path, sizeof(path), "%.60s%s%.32s", r->path,
                           r->path[0] != '\0' ? "/" : "", r->what + n);
        (void)snprintf(what, sizeof(what), "%s%.90s", phrases[i].ours,
                       phrases[i].names_it ? r->what + n : "");
        return profile_schema_wrong(from, path, what);
    }
    return not_it(from, r);
}

enum b_code profile_schema_load(struct profile_schema *from,
                                const struct cyaml_schema_value *schema, void **ret)
{
    struct report report = {0};
    cyaml_data_t *data = NULL;
    const cyaml_config_t config = {.log_fn = take_log,
                                   .log_ctx = &report,
                                   .mem_fn = cyaml_mem,
                                   .log_level = CYAML_LOG_ERROR,
                                   .flags = CYAML_CFG_NO_ALIAS};
    cyaml_err_t why =
        cyaml_load_data((const uint8_t *)from->text, from->n, &config, schema, &data, NULL);
    from->stopped_at = report.line;
    if (why != CYAML_OK)
        return refused(from, &report, why);
    if (data == NULL)
        return b_err_set(from->err, from->code, 0, "%s:1: the file is empty", from->name);
    *ret = data;
    return B_OK;
}

void profile_schema_free(const struct cyaml_schema_value *schema, void *data)
{
    const cyaml_config_t config = {.mem_fn = cyaml_mem, .log_level = CYAML_LOG_ERROR};
    (void)cyaml_free(&config, schema, data, 0);
}
