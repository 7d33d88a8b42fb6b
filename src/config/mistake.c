#include "config/mistake.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

#include "base/base.h"
#include "base/text.h"

enum { SHOWN = 40, NAMES = 192 };

/* A document that is walked along a schema until something is wrong. */
struct walk {
    yaml_document_t *doc;
    struct config_mistake *m;
};

static bool check(struct walk *w, const yaml_node_t *node, const cyaml_schema_value_t *schema);

/* --- words -------------------------------------------------------------------------------------
 */

static void place(struct config_mistake *m, yaml_mark_t at)
{
    m->line = at.line + 1;
    m->column = at.column + 1;
}

/* False, so that `return wrong(...)` ends a walk. */
B_PRINTF(3, 4)
static bool wrong(struct walk *w, const yaml_node_t *at, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(w->m->what, sizeof(w->m->what), b_err_word(fmt), args);
    va_end(args);
    place(w->m, at->start_mark);
    return false;
}

/* Bytes of the file as one short line. */
static const char *show(const yaml_node_t *scalar, char out[static SHOWN + 4])
{
    size_t n = scalar->data.scalar.length < SHOWN ? scalar->data.scalar.length : SHOWN;
    memcpy(out, scalar->data.scalar.value, n);
    out[n] = '\0';
    n = b_text_fit(out, n);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)out[i] < ' ' || out[i] == 0x7F)
            out[i] = '?';
    (void)snprintf(out + n, 4, "%s", scalar->data.scalar.length > SHOWN ? "…" : "");
    return out;
}

static const char *kind(const yaml_node_t *node)
{
    if (node->type == YAML_SEQUENCE_NODE)
        return b_err_word("a list");
    if (node->type == YAML_MAPPING_NODE)
        return b_err_word("fields");
    return node->data.scalar.length > 0 ? b_err_word("a text") : b_err_word("nothing");
}

/* Names with commas, as many as have room; "…" stands for the others. */
struct names {
    char text[NAMES + 8]; /* and a NUL */
    size_t used;
    bool is_cut;
};

static void add_bytes(struct names *n, const char *bytes)
{
    size_t len = strlen(bytes);
    memcpy(n->text + n->used, bytes, len);
    n->used += len;
}

static void add(struct names *n, const char *name)
{
    if (n->is_cut)
        return;
    n->is_cut = n->used + strlen(", ") + strlen(name) > NAMES;
    if (n->used > 0)
        add_bytes(n, ", ");
    add_bytes(n, n->is_cut ? "…" : name);
}

/* --- values ------------------------------------------------------------------------------------
 */

static bool check_text(struct walk *w, const yaml_node_t *node, const cyaml_schema_value_t *s)
{
    size_t n = node->data.scalar.length;
    if (n >= s->string.min && n <= s->string.max)
        return true;
    if (n == 0)
        return wrong(w, node, "it is empty");
    if (s->string.min == s->string.max)
        return wrong(w, node, "%u bytes are wanted, not %zu", s->string.max, n);
    if (n > s->string.max)
        return wrong(w, node, "at most %u bytes are allowed, not %zu", s->string.max, n);
    return wrong(w, node, "at least %u bytes are wanted, not %zu", s->string.min, n);
}

/* As libcyaml reads numbers, in any base of C; its range is that of the field. */
static bool check_number(struct walk *w, const yaml_node_t *node, const cyaml_schema_value_t *s)
{
    const char *text = (const char *)node->data.scalar.value;
    bool is_signed = s->type == CYAML_INT;
    unsigned bits = 8 * s->data_size - (is_signed ? 1 : 0);
    uint64_t most = bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
    bool is_negative = text[0] == '-';
    char *end = NULL;
    char shown[SHOWN + 4];
    errno = 0;
    uint64_t v = strtoull(text + (is_negative ? 1 : 0), &end, 0);
    char first = text[is_negative ? 1 : 0];
    bool is_number = first >= '0' && first <= '9' && *end == '\0';
    uint64_t limit = is_negative ? (is_signed ? most + 1 : 0) : most;
    if (is_number && errno == 0 && v <= limit)
        return true;
    return wrong(w, node, "a whole number from %s%" PRIu64 " to %" PRIu64 " is wanted, not %s",
                 is_signed ? "-" : "", is_signed ? most + 1 : 0, most,
                 node->data.scalar.length > 0 ? show(node, shown) : b_err_word("nothing"));
}

static bool check_truth(struct walk *w, const yaml_node_t *node)
{
    static const char *const words[] = {"true", "yes", "false", "no"};
    char shown[SHOWN + 4];
    for (size_t i = 0; i < B_COUNT(words); i++)
        if (strcasecmp((const char *)node->data.scalar.value, words[i]) == 0)
            return true;
    return wrong(w, node, "true or false is wanted, not %s",
                 node->data.scalar.length > 0 ? show(node, shown) : b_err_word("nothing"));
}

static bool check_word(struct walk *w, const yaml_node_t *node, const cyaml_schema_value_t *s)
{
    struct names known = {.text = ""};
    char shown[SHOWN + 4];
    for (uint32_t i = 0; i < s->enumeration.count; i++) {
        if (strcmp((const char *)node->data.scalar.value, s->enumeration.strings[i].str) == 0)
            return true;
        add(&known, s->enumeration.strings[i].str);
    }
    return wrong(w, node, "not an allowed value: %s; allowed: %s", show(node, shown), known.text);
}

static bool check_scalar(struct walk *w, const yaml_node_t *node, const cyaml_schema_value_t *s)
{
    if (s->type == CYAML_STRING)
        return check_text(w, node, s);
    if (s->type == CYAML_BOOL)
        return check_truth(w, node);
    if (s->type == CYAML_UINT || s->type == CYAML_INT)
        return check_number(w, node, s);
    return s->type != CYAML_ENUM || check_word(w, node, s);
}

/* --- what has parts ----------------------------------------------------------------------------
 */

/* Goes on at a part of what m->field names. What is wrong keeps its whole name. */
static bool descend(struct walk *w, const char *piece, const yaml_node_t *node,
                    const cyaml_schema_value_t *s)
{
    char *field = w->m->field;
    size_t used = strlen(field);
    (void)snprintf(field + used, CONFIG_FIELD - used, "%s%s",
                   used > 0 && piece[0] != '[' ? "." : "", piece);
    if (!check(w, node, s))
        return false;
    field[used] = '\0';
    return true;
}

/* Each entry of a list; of words that are flags, `s` has the words. */
static bool check_list(struct walk *w, const yaml_node_t *node, const cyaml_schema_value_t *s)
{
    const yaml_node_item_t *items = node->data.sequence.items.start;
    size_t count = (size_t)(node->data.sequence.items.top - items);
    bool is_flags = s->type == CYAML_FLAGS;
    cyaml_schema_value_t word = *s;
    word.type = CYAML_ENUM;
    if (!is_flags && count > s->sequence.max)
        return wrong(w, node, "at most %u entries are allowed, not %zu", s->sequence.max, count);
    if (!is_flags && count < s->sequence.min)
        return wrong(w, node, "at least %u is wanted in this list, not %zu", s->sequence.min,
                     count);
    for (size_t i = 0; i < count; i++) {
        char piece[24];
        (void)snprintf(piece, sizeof(piece), "[%zu]", i + 1);
        if (!descend(w, piece, yaml_document_get_node(w->doc, items[i]),
                     is_flags ? &word : s->sequence.entry))
            return false;
    }
    return true;
}

static const cyaml_schema_field_t *find_field(const cyaml_schema_value_t *s, const yaml_node_t *key)
{
    for (const cyaml_schema_field_t *f = s->mapping.fields; f->key != NULL; f++)
        if (strlen(f->key) == key->data.scalar.length &&
            memcmp(f->key, key->data.scalar.value, key->data.scalar.length) == 0)
            return f;
    return NULL;
}

static const yaml_node_t *key_of(struct walk *w, const yaml_node_t *mapping, const char *name)
{
    const yaml_node_pair_t *end = mapping->data.mapping.pairs.top;
    for (const yaml_node_pair_t *p = mapping->data.mapping.pairs.start; p < end; p++) {
        const yaml_node_t *key = yaml_document_get_node(w->doc, p->key);
        if (key->type == YAML_SCALAR_NODE && key->data.scalar.length == strlen(name) &&
            memcmp(key->data.scalar.value, name, strlen(name)) == 0)
            return key;
    }
    return NULL;
}

static bool no_such_field(struct walk *w, const yaml_node_t *key, const cyaml_schema_value_t *s)
{
    struct names known = {.text = ""};
    char shown[SHOWN + 4];
    size_t used = strlen(w->m->field);
    (void)snprintf(w->m->field + used, CONFIG_FIELD - used, "%s%s", used > 0 ? "." : "",
                   show(key, shown));
    for (const cyaml_schema_field_t *f = s->mapping.fields; f->key != NULL; f++)
        add(&known, f->key);
    return wrong(w, key, "there is no such field; known: %s", known.text);
}

static bool check_pair(struct walk *w, const yaml_node_t *mapping, const yaml_node_pair_t *pair,
                       const cyaml_schema_value_t *s)
{
    const yaml_node_t *key = yaml_document_get_node(w->doc, pair->key);
    if (key->type != YAML_SCALAR_NODE)
        return wrong(w, key, "the name of a field is wanted, not %s", kind(key));
    const cyaml_schema_field_t *f = find_field(s, key);
    if (f == NULL)
        return no_such_field(w, key, s);
    const yaml_node_t *first = key_of(w, mapping, f->key);
    if (first == key)
        return descend(w, f->key, yaml_document_get_node(w->doc, pair->value), &f->value);
    size_t used = strlen(w->m->field);
    (void)snprintf(w->m->field + used, CONFIG_FIELD - used, "%s%s", used > 0 ? "." : "", f->key);
    return wrong(w, key, "it is there twice, first in line %zu", first->start_mark.line + 1);
}

static bool check_fields(struct walk *w, const yaml_node_t *node, const cyaml_schema_value_t *s)
{
    const yaml_node_pair_t *end = node->data.mapping.pairs.top;
    for (const yaml_node_pair_t *p = node->data.mapping.pairs.start; p < end; p++)
        if (!check_pair(w, node, p, s))
            return false;
    for (const cyaml_schema_field_t *f = s->mapping.fields; f->key != NULL; f++)
        if ((f->value.flags & CYAML_FLAG_OPTIONAL) == 0 && key_of(w, node, f->key) == NULL) {
            (void)wrong(w, node, "it lacks the field %s", f->key);
            if (w->m->field[0] == '\0')
                w->m->line = 0;
            return false;
        }
    return true;
}

static bool check(struct walk *w, const yaml_node_t *node, const cyaml_schema_value_t *schema)
{
    if (schema->type == CYAML_MAPPING)
        return node->type == YAML_MAPPING_NODE
                   ? check_fields(w, node, schema)
                   : wrong(w, node, "fields are wanted (name: value), not %s", kind(node));
    if (schema->type == CYAML_SEQUENCE || schema->type == CYAML_FLAGS)
        return node->type == YAML_SEQUENCE_NODE
                   ? check_list(w, node, schema)
                   : wrong(w, node, "a list is wanted, not %s", kind(node));
    return node->type == YAML_SCALAR_NODE
               ? check_scalar(w, node, schema)
               : wrong(w, node, "one value is wanted, not %s", kind(node));
}

/* --- what is no YAML ---------------------------------------------------------------------------
 */

/* Where the bytes at `offset` are; columns count bytes there. */
static void place_at(struct config_mistake *m, const char *text, size_t offset)
{
    m->line = m->column = 1;
    for (size_t i = 0; i < offset; i++) {
        m->column = text[i] == '\n' ? 1 : m->column + 1;
        m->line += text[i] == '\n';
    }
}

/* The column of a tab that indents this line (from 0), 0: none does. */
static size_t find_tab(const char *text, size_t n, size_t line)
{
    size_t at = 0;
    for (; at < n && line > 0; at++)
        line -= text[at] == '\n';
    size_t indent = at;
    while (indent < n && text[indent] == ' ')
        indent++;
    return indent < n && text[indent] == '\t' ? indent - at + 1 : 0;
}

static void not_yaml(const yaml_parser_t *p, const char *text, size_t n, struct config_mistake *m)
{
    const char *problem = p->problem != NULL ? p->problem : b_err_word("it cannot be read");
    if (p->error == YAML_READER_ERROR) {
        place_at(m, text, p->problem_offset < n ? p->problem_offset : n);
        (void)snprintf(m->what, sizeof(m->what), b_err_word("not UTF-8 text: %s"), problem);
        return;
    }
    place(m, p->problem_mark);
    size_t tab = find_tab(text, n, p->problem_mark.line);
    m->column = tab > 0 ? tab : m->column;
    if (tab > 0)
        (void)snprintf(m->what, sizeof(m->what), "%s",
                       b_err_word("not YAML: a tab is here; lines are indented by spaces"));
    else
        (void)snprintf(m->what, sizeof(m->what), b_err_word("not YAML: %s%s%s"),
                       p->context != NULL ? p->context : "", p->context != NULL ? ", " : "",
                       problem);
}

/* A document that was composed has its aliases resolved: the events tell. */
static bool has_alias(const char *text, size_t n, struct config_mistake *m)
{
    yaml_parser_t parser;
    yaml_event_t event;
    bool is_over = false;
    bool is_found = false;
    if (!yaml_parser_initialize(&parser))
        return false;
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    while (!is_over && !is_found && yaml_parser_parse(&parser, &event)) {
        is_over = event.type == YAML_STREAM_END_EVENT;
        is_found = event.type == YAML_ALIAS_EVENT;
        if (is_found)
            place(m, event.start_mark);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    if (is_found)
        (void)snprintf(m->what, sizeof(m->what), "%s", b_err_word("aliases are not used here"));
    return is_found;
}

bool config_find_mistake(const char *text, size_t n, const struct cyaml_schema_value *schema,
                         bool may_alias, struct config_mistake *ret)
{
    yaml_parser_t parser;
    yaml_document_t doc;
    *ret = (struct config_mistake){.line = 0};
    if (!yaml_parser_initialize(&parser))
        return false; /* no memory: whoever reads next says so */
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    bool is_right = yaml_parser_load(&parser, &doc);
    if (!is_right)
        not_yaml(&parser, text, n, ret);
    yaml_parser_delete(&parser);
    if (!is_right)
        return true;
    const yaml_node_t *root = yaml_document_get_root_node(&doc);
    struct walk w = {&doc, ret};
    is_right = root == NULL || check(&w, root, schema);
    yaml_document_delete(&doc);
    return !is_right || (!may_alias && has_alias(text, n, ret));
}
