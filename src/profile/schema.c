#include "profile/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "config/mistake.h"

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
    size_t line = 1;
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
                     profile_schema_line(from, path), field, b_err_word(what));
}

enum b_code profile_schema_load(struct profile_schema *from,
                                const struct cyaml_schema_value *schema, void **ret)
{
    struct config_mistake m;
    cyaml_data_t *data = NULL;
    const cyaml_config_t config = {
        .mem_fn = cyaml_mem, .log_level = CYAML_LOG_ERROR, .flags = CYAML_CFG_NO_ALIAS};
    if (config_find_mistake(from->text, from->n, schema, false, &m))
        return b_err_set(from->err, from->code, 0, "%s:%zu: %s%s%s", from->name,
                         m.line > 0 ? m.line : 1, m.field,
                         m.field[0] != '\0' ? b_err_word(": ") : "", m.what);
    cyaml_err_t why =
        cyaml_load_data((const uint8_t *)from->text, from->n, &config, schema, &data, NULL);
    if (why == CYAML_ERR_OOM)
        return b_err_set(from->err, B_E_NO_MEMORY, 0, "reading %s", from->name);
    if (why != CYAML_OK)
        return b_err_set(from->err, from->code, (uint32_t)why, "%s:1: %s", from->name,
                         cyaml_strerror(why));
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
