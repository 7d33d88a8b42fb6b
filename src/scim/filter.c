/* Filters of RFC 7644 §3.4.2.2: read by descent into a small tree, then tried on documents. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "scim/scim.h"

enum operation {
    OP_EQ,
    OP_NE,
    OP_CO,
    OP_SW,
    OP_EW,
    OP_GT,
    OP_GE,
    OP_LT,
    OP_LE,
    OP_PR,
    OP_AND,
    OP_OR,
    OP_NOT,
    OP_VALUES, /* attribute[filter] */
};
static const char *const words[] = {"eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "pr"};

struct node {
    enum operation op;
    int left, right; /* of AND and OR; NOT and VALUES have left */
    struct scim_path path;
    json_t *value;
};

struct scim_filter {
    struct node nodes[SCIM_NODES_MAX];
    int count, root;
};

struct reader {
    struct scim_filter *f;
    enum scim_type type;
    const struct scim_attribute *inside;
    const char *start, *at, *end;
    int depth;
    struct b_err *err;
};

static int wrong(const struct reader *k, const char *what)
{
    (void)b_err_set(k->err, B_E_SCIM_FILTER, 0, "at character %zu: %s",
                    (size_t)(k->at - k->start) + 1, what);
    return -1;
}

/* --- reading -----------------------------------------------------------------------------------
 */

static int read_or(struct reader *k);

static void skip(struct reader *k)
{
    while (k->at < k->end && *k->at == ' ')
        k->at++;
}

/* A word that stands alone, in any case of letters. */
static bool take_word(struct reader *k, const char *word)
{
    size_t n = strlen(word);
    skip(k);
    if ((size_t)(k->end - k->at) < n || strncasecmp(k->at, word, n) != 0)
        return false;
    const char *next = k->at + n;
    if (next < k->end && *next != ' ' && *next != '(' && *next != ')' && *next != ']')
        return false;
    k->at = next;
    return true;
}

static bool take_char(struct reader *k, char ch)
{
    skip(k);
    if (k->at == k->end || *k->at != ch)
        return false;
    k->at++;
    return true;
}

static int add(struct reader *k, struct node n)
{
    if (k->f->count == SCIM_NODES_MAX) {
        json_decref(n.value);
        return wrong(k, "too many conditions");
    }
    k->f->nodes[k->f->count] = n;
    return k->f->count++;
}

/* A path within the attribute whose values are looked at: its sub-attributes alone. */
static bool read_path(const struct reader *k, const char *text, size_t n, struct scim_path *ret)
{
    if (k->inside == NULL)
        return scim_path_read(k->type, text, n, ret);
    struct scim_path plain;
    *ret = (struct scim_path){.schema = k->inside->schema};
    if (!scim_path_read(k->type, text, n, &plain) || memchr(text, '.', n) != NULL)
        return false;
    ret->attribute = scim_attribute_find(k->inside->schema, k->inside->name, text, n);
    return true;
}

static const struct scim_attribute *leaf(const struct scim_path *p)
{
    return p->sub != NULL ? p->sub : p->has_unknown_sub ? NULL : p->attribute;
}

/* A string or a literal of JSON: where it ends is seen before it is parsed. */
static json_t *take_value(struct reader *k)
{
    skip(k);
    const char *start = k->at;
    const char *at = start;
    if (at < k->end && *at == '"') {
        for (at++; at < k->end && *at != '"'; at++)
            at += *at == '\\' && at + 1 < k->end;
        at += at < k->end;
    } else {
        while (at < k->end && *at != ' ' && *at != ')' && *at != ']')
            at++;
    }
    json_t *v = json_loadb(start, (size_t)(at - start), JSON_DECODE_ANY, NULL);
    if (v != NULL && (json_is_object(v) || json_is_array(v))) {
        json_decref(v);
        return NULL;
    }
    k->at = v != NULL ? at : k->at;
    return v;
}

/* Order is for what has one, parts for what is text (§3.4.2.2). */
static bool is_supported(const struct node *n)
{
    const struct scim_attribute *a = leaf(&n->path);
    bool is_ordering = n->op >= OP_GT && n->op <= OP_LE;
    bool is_part = n->op == OP_CO || n->op == OP_SW || n->op == OP_EW;
    if (is_part && !json_is_string(n->value))
        return false;
    if (is_ordering && !json_is_string(n->value) && !json_is_number(n->value))
        return false;
    return a == NULL || a->kind != SCIM_KIND_BOOLEAN || (!is_ordering && !is_part);
}

static int read_comparison(struct reader *k, const struct scim_path *path)
{
    struct node n = {.path = *path};
    size_t i = 0;
    while (i < B_COUNT(words) && !take_word(k, words[i]))
        i++;
    if (i == B_COUNT(words))
        return wrong(k, "eq, ne, co, sw, ew, gt, ge, lt, le or pr");
    n.op = (enum operation)i;
    if (n.op == OP_PR)
        return add(k, n);
    n.value = take_value(k);
    if (n.value == NULL)
        return wrong(k, "text in double quotes, a number, true, false or null");
    if (!is_supported(&n)) {
        json_decref(n.value);
        return wrong(k, "this attribute cannot be compared in this way");
    }
    return add(k, n);
}

static int read_values(struct reader *k, const struct scim_path *path)
{
    if (k->inside != NULL || path->sub != NULL || path->has_unknown_sub)
        return wrong(k, "no filter can stand inside another's attribute");
    static const struct scim_attribute none = {.parent = "", .name = ""};
    k->inside = path->attribute != NULL ? path->attribute : &none;
    int inner = read_or(k);
    k->inside = NULL;
    if (inner < 0)
        return -1;
    if (!take_char(k, ']'))
        return wrong(k, "a ] is missing");
    return add(k, (struct node){.op = OP_VALUES, .left = inner, .path = *path});
}

static int read_group(struct reader *k, bool is_not)
{
    int inner = read_or(k);
    if (inner < 0)
        return -1;
    if (!take_char(k, ')'))
        return wrong(k, "a ) is missing");
    return is_not ? add(k, (struct node){.op = OP_NOT, .left = inner}) : inner;
}

static int read_one(struct reader *k)
{
    const char *before = k->at;
    if (take_word(k, "not") && take_char(k, '('))
        return read_group(k, true);
    k->at = before;
    if (take_char(k, '('))
        return read_group(k, false);
    struct scim_path path;
    skip(k);
    const char *start = k->at;
    const char *at = start;
    while (at < k->end && strchr(" []()\"", *at) == NULL)
        at++;
    if (at == start || !read_path(k, start, (size_t)(at - start), &path) || path.is_schema)
        return wrong(k, "the name of an attribute");
    k->at = at;
    if (k->at < k->end && *k->at == '[') {
        k->at++;
        return read_values(k, &path);
    }
    return read_comparison(k, &path);
}

static int read_and(struct reader *k)
{
    int left = read_one(k);
    while (left >= 0 && take_word(k, "and")) {
        int right = read_one(k);
        if (right < 0)
            return -1;
        left = add(k, (struct node){.op = OP_AND, .left = left, .right = right});
    }
    return left;
}

static int read_or(struct reader *k)
{
    if (++k->depth > SCIM_DEPTH_MAX)
        return wrong(k, "too deep");
    int left = read_and(k);
    while (left >= 0 && take_word(k, "or")) {
        int right = read_and(k);
        if (right < 0)
            return -1;
        left = add(k, (struct node){.op = OP_OR, .left = left, .right = right});
    }
    k->depth--;
    return left;
}

enum b_code scim_filter_read(enum scim_type type, const struct scim_attribute *inside,
                             const char *text, size_t n, struct scim_filter **ret,
                             struct b_err *err)
{
    if (n > SCIM_FILTER_MAX)
        return b_err_set(err, B_E_SCIM_FILTER, 0, "it has more than %d bytes", SCIM_FILTER_MAX);
    struct scim_filter *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "reading a filter");
    struct reader k = {.f = f,
                       .type = type,
                       .inside = inside,
                       .start = text,
                       .at = text,
                       .end = text + n,
                       .err = err};
    f->root = read_or(&k);
    skip(&k);
    if (f->root >= 0 && k.at != k.end)
        f->root = wrong(&k, "and, or, or the end");
    if (f->root < 0) {
        scim_filter_free(&f);
        return err->code;
    }
    *ret = f;
    return B_OK;
}

void scim_filter_free(struct scim_filter **pf)
{
    struct scim_filter *f = *pf;
    *pf = NULL;
    if (f == NULL)
        return;
    for (int i = 0; i < f->count; i++)
        json_decref(f->nodes[i].value);
    free(f);
}

const char *scim_filter_wants(const struct scim_filter *f, const struct scim_attribute *a)
{
    int todo[SCIM_NODES_MAX];
    int count = 0;
    todo[count++] = f->root;
    while (count > 0) {
        const struct node *n = &f->nodes[todo[--count]];
        if (n->op == OP_AND) {
            todo[count++] = n->left;
            todo[count++] = n->right;
        } else if (n->op == OP_EQ && leaf(&n->path) == a && json_is_string(n->value) &&
                   strlen(json_string_value(n->value)) == json_string_length(n->value)) {
            return json_string_value(n->value);
        }
    }
    return NULL;
}

/* --- comparing ---------------------------------------------------------------------------------
 */

/* -1: there are none. */
static int64_t two_digits(const char *text)
{
    for (size_t i = 0; i < 2; i++)
        if (text[i] < '0' || text[i] > '9')
            return -1;
    return (text[0] - '0') * 10 + (text[1] - '0');
}

bool scim_time_read(const char *text, int64_t *ret)
{
    struct tm tm = {.tm_isdst = 0};
    const char *at = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    int64_t ms = 0;
    if (at == NULL)
        return false;
    if (*at == '.')
        at++;
    for (int64_t part = 100; *at >= '0' && *at <= '9'; at++, part /= 10)
        ms += (*at - '0') * part;
    int64_t offset = 0;
    if (*at == '+' || *at == '-') {
        int64_t hours = two_digits(at + 1);
        int64_t minutes = hours >= 0 && at[3] == ':' ? two_digits(at + 4) : -1;
        if (minutes < 0)
            return false;
        offset = (*at == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
        at += strlen("+00:00");
    } else {
        at += *at == 'Z';
    }
    *ret = ((int64_t)timegm(&tm) - offset) * 1000 + ms;
    return *at == '\0';
}

static int order(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static bool holds(enum operation op, int order)
{
    switch (op) {
    case OP_EQ:
        return order == 0;
    case OP_GT:
        return order > 0;
    case OP_GE:
        return order >= 0;
    case OP_LT:
        return order < 0;
    case OP_LE:
        return order <= 0;
    case OP_NE:
    case OP_CO:
    case OP_SW:
    case OP_EW:
    case OP_PR:
    case OP_AND:
    case OP_OR:
    case OP_NOT:
    case OP_VALUES:
    default:
        return false;
    }
}

static bool text_fits(enum operation op, const char *have, const char *want, bool is_exact)
{
    size_t h = strlen(have);
    size_t w = strlen(want);
    if (op == OP_CO)
        return is_exact ? strstr(have, want) != NULL : strcasestr(have, want) != NULL;
    if (op == OP_SW || op == OP_EW) {
        const char *at = op == OP_SW ? have : have + (h >= w ? h - w : 0);
        return h >= w && (is_exact ? strncmp(at, want, w) : strncasecmp(at, want, w)) == 0;
    }
    return holds(op, is_exact ? strcmp(have, want) : strcasecmp(have, want));
}

static bool value_fits(const struct node *n, const struct scim_attribute *a, const json_t *have)
{
    const json_t *want = n->value;
    if (json_is_object(have)) { /* a complex value is compared by what it is known by */
        have = json_object_get(have, "value");
        a = scim_attribute_find(a->schema, a->name, "value", strlen("value"));
    }
    if (have == NULL || a == NULL)
        return false;
    if (json_is_boolean(have)) {
        const char *word = json_string_value(want);
        bool wanted = json_is_true(want) || (word != NULL && strcasecmp(word, "true") == 0);
        bool is_one =
            json_is_boolean(want) || (word != NULL && (wanted || strcasecmp(word, "false") == 0));
        return n->op == OP_EQ && is_one && json_is_true(have) == wanted;
    }
    if (!json_is_string(have) || !json_is_string(want) ||
        strlen(json_string_value(want)) != json_string_length(want))
        return false;
    int64_t left = 0;
    int64_t right = 0;
    if (a->kind == SCIM_KIND_DATETIME && n->op != OP_CO && n->op != OP_SW && n->op != OP_EW)
        return scim_time_read(json_string_value(have), &left) &&
               scim_time_read(json_string_value(want), &right) && holds(n->op, order(left, right));
    return text_fits(n->op, json_string_value(have), json_string_value(want),
                     (a->flags & SCIM_EXACT) != 0);
}

/* Whether some value at the path is as the comparison says. */
static bool some_fits(const struct node *n, const json_t *at, const struct scim_attribute *a,
                      const struct scim_attribute *sub)
{
    if (json_is_array(at)) {
        size_t i = 0;
        json_t *one = NULL;
        json_array_foreach(at, i, one)
        {
            if (some_fits(n, one, a, sub))
                return true;
        }
        return false;
    }
    if (sub != NULL)
        return some_fits(n, json_object_get(at, sub->name), sub, NULL);
    if (n->op == OP_PR)
        return at != NULL && !json_is_null(at) &&
               !(json_is_string(at) && json_string_length(at) == 0) &&
               !(json_is_object(at) && json_object_size(at) == 0);
    return at != NULL && value_fits(n, a, at);
}

static const json_t *value_at(const struct scim_path *p, const json_t *doc)
{
    if (p->attribute == NULL || p->has_unknown_sub)
        return NULL;
    const struct scim_schema *s = scim_schema(p->schema);
    bool is_top = p->attribute->parent[0] == '\0';
    const json_t *place = s->is_extension && is_top ? json_object_get(doc, s->urn) : doc;
    return json_object_get(place, p->attribute->name);
}

static bool fits(const struct scim_filter *f, int i, const json_t *doc);

static bool values_fit(const struct scim_filter *f, const struct node *n, const json_t *doc)
{
    const json_t *at = value_at(&n->path, doc);
    size_t i = 0;
    json_t *one = NULL;
    if (json_is_object(at))
        return fits(f, n->left, at);
    json_array_foreach(at, i, one)
    {
        if (fits(f, n->left, one))
            return true;
    }
    return false;
}

static bool compares(const struct node *n, const json_t *doc)
{
    const json_t *at = value_at(&n->path, doc);
    struct node present = *n;
    struct node equal = *n;
    present.op = OP_PR;
    equal.op = OP_EQ;
    bool is_there = some_fits(&present, at, n->path.attribute, n->path.sub);
    if (json_is_null(n->value)) /* null: there is none */
        return n->op == OP_EQ ? !is_there : n->op == OP_NE && is_there;
    if (n->op == OP_NE)
        return !some_fits(&equal, at, n->path.attribute, n->path.sub);
    return some_fits(n, at, n->path.attribute, n->path.sub);
}

static bool fits(const struct scim_filter *f, int i, const json_t *doc)
{
    const struct node *n = &f->nodes[i];
    if (n->op == OP_AND)
        return fits(f, n->left, doc) && fits(f, n->right, doc);
    if (n->op == OP_OR)
        return fits(f, n->left, doc) || fits(f, n->right, doc);
    if (n->op == OP_NOT)
        return !fits(f, n->left, doc);
    return n->op == OP_VALUES ? values_fit(f, n, doc) : compares(n, doc);
}

bool scim_filter_fits(const struct scim_filter *f, const json_t *doc)
{
    return fits(f, f->root, doc);
}
