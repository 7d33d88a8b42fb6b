#include "profile/esup.h"

#include <libxml/parser.h>
#include <stdio.h>
#include <string.h>

/* Where it is read from, and what was found so far. */
struct reading {
    const char *name;
    struct profile_esup *found;
    struct b_err *err;
};

static enum b_code wrong(const struct reading *k, const xmlNode *at, const char *what)
{
    return b_err_set(k->err, B_E_BAD_INPUT, 0, "%s:%ld: %s", k->name,
                     at != NULL ? xmlGetLineNo(at) : 1L, b_err_word(what));
}

/* --- beans -------------------------------------------------------------------------------------
 */

static bool is_named(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

/* The text of an attribute, whatever its namespace; "" when it is not there. It lives as long as
 * the document: without entities an attribute is one piece of text. */
static const char *attribute(const xmlNode *node, const char *name)
{
    for (const xmlAttr *a = node->properties; a != NULL; a = a->next) {
        if (strcmp((const char *)a->name, name) == 0 && a->children != NULL &&
            a->children->next == NULL && a->children->type == XML_TEXT_NODE)
            return (const char *)a->children->content;
    }
    return "";
}

/* A bean of a class of theirs, by the last part of its name: packages have moved. */
static bool is_bean(const xmlNode *node, const char *class)
{
    const char *name = is_named(node, "bean") ? attribute(node, "class") : "";
    const char *dot = strrchr(name, '.');
    return strcmp(dot != NULL ? dot + 1 : name, class) == 0;
}

/* <property name="..." value="..."/>, or <value> in it. */
static const char *property_value(const xmlNode *property)
{
    const char *text = attribute(property, "value");
    for (const xmlNode *c = property->children; text[0] == '\0' && c != NULL; c = c->next)
        if (is_named(c, "value") && c->children != NULL && c->children->type == XML_TEXT_NODE)
            text = (const char *)c->children->content;
    return text;
}

/* A property of a bean, in either of the ways in which Spring takes it. */
static const char *property(const xmlNode *bean, const char *name)
{
    const char *text = attribute(bean, name);
    for (const xmlNode *c = bean->children; text[0] == '\0' && c != NULL; c = c->next)
        if (is_named(c, "property") && strcmp(attribute(c, "name"), name) == 0)
            text = property_value(c);
    return text;
}

/* The next node of the tree below `top`, in the order of the file. */
static xmlNode *next_node(const xmlNode *top, xmlNode *at)
{
    if (at->children != NULL && at->type == XML_ELEMENT_NODE)
        return at->children;
    while (at != top && at->next == NULL)
        at = at->parent;
    return at == top ? NULL : at->next;
}

/* --- what they say -----------------------------------------------------------------------------
 */

/* One byte in hexadecimal. */
static bool read_byte(const char *text, uint8_t *ret)
{
    struct b_wr w = b_wr_from(ret, 1);
    return b_unhex(&w, text) && w.len == 1;
}

static bool read_aid(const char *text, df_aid *ret)
{
    uint8_t aid[3];
    struct b_wr w = b_wr_from(aid, sizeof(aid));
    if (!b_unhex(&w, text) || w.len != sizeof(aid))
        return false;
    *ret = (df_aid)aid[0] << 16 | (df_aid)aid[1] << 8 | aid[2];
    return true;
}

/* 8 bytes are DES, 24 3K3DES; 16 are AES where it is said, else 2K3DES. */
static bool read_key(const char *text, bool is_aes, struct df_key *ret)
{
    *ret = (struct df_key){.type = is_aes ? DF_KEY_AES : DF_KEY_2K3DES};
    struct b_wr w = b_wr_from(ret->bytes, sizeof(ret->bytes));
    if (!b_unhex(&w, text) || (w.len != 16 && (is_aes || (w.len != 8 && w.len != 24))))
        return false;
    if (w.len == 24)
        ret->type = DF_KEY_3K3DES;
    if (w.len == 8)
        memcpy(ret->bytes + 8, ret->bytes, 8);
    return true;
}

static enum b_code keep_key(const struct reading *k, const xmlNode *at, struct profile_esup_key key)
{
    static const uint8_t zeros[DF_KEY_BYTES_MAX];
    struct profile_esup *f = k->found;
    bool proves = key.aid != 0 && key.is_needed;
    if (!proves && b_ct_eq(key.key.bytes, zeros, sizeof(zeros)))
        return B_OK; /* the factory's is tried unasked; it proves a badge only where it is named */
    for (uint8_t i = 0; i < f->key_count; i++) {
        if (f->keys[i].key.type != key.key.type ||
            !b_ct_eq(f->keys[i].key.bytes, key.key.bytes, sizeof(zeros)))
            continue;
        f->keys[i].is_needed |= key.is_needed;
        return B_OK;
    }
    if (f->key_count == PROFILE_ESUP_KEYS_MAX)
        return wrong(k, at, "more than 64 keys");
    f->keys[f->key_count++] = key;
    return B_OK;
}

/* The card's own key, before and after their encoding. */
static enum b_code take_tag(const struct reading *k, const xmlNode *bean)
{
    static const char *const names[][2] = {{"keyFinish", "keyTypeFinish"},
                                           {"keyStart", "keyTypeStart"}};
    enum b_code r = B_OK;
    for (size_t i = 0; r == B_OK && i < B_COUNT(names); i++) {
        struct profile_esup_key key = {.is_needed = true};
        const char *text = property(bean, names[i][0]);
        bool is_aes = strcmp(property(bean, names[i][1]), "AES") == 0;
        if (text[0] == '\0')
            continue;
        r = read_key(text, is_aes, &key.key) ? keep_key(k, bean, key)
                                             : wrong(k, bean, "the card's key is no key");
        b_wipe(&key, sizeof(key));
    }
    return r;
}

static struct profile_layout *find_layout(const struct profile_esup *f, df_aid aid)
{
    for (uint8_t i = 0; i < f->fleet.count; i++)
        if (f->fleet.layouts[i].aid == aid)
            return (struct profile_layout *)(uintptr_t)&f->fleet.layouts[i];
    return NULL;
}

static enum b_code take_keys(const struct reading *k, const xmlNode *app, df_aid aid, bool is_aes,
                             bool *ret_is_made)
{
    enum b_code r = B_OK;
    for (xmlNode *at = app->children; r == B_OK && at != NULL; at = next_node(app, at)) {
        struct profile_esup_key key = {.aid = aid, .is_needed = aid == 0};
        if (!is_bean(at, "DesfireKey"))
            continue;
        if (property(at, "desfireKeyService-ref")[0] != '\0' ||
            property(at, "desfireKeyService")[0] != '\0')
            *ret_is_made = true;
        else if (!read_byte(property(at, "keyNo"), &key.no) ||
                 !read_key(property(at, "key"), is_aes, &key.key))
            r = wrong(k, at, "a key's keyNo or key is not there, or not in hexadecimal");
        else {
            const struct profile_layout *l = find_layout(k->found, aid);
            key.is_needed |= l != NULL && l->proof_key == key.no;
            r = keep_key(k, at, key);
        }
        b_wipe(&key, sizeof(key));
    }
    return r;
}

static enum b_code add_layout(const struct reading *k, const xmlNode *bean, df_aid aid, uint8_t nok)
{
    struct profile_fleet *f = &k->found->fleet;
    struct profile_layout l = {.aid = aid, .key_count = nok & 0x0F};
    l.type = (nok & 0x80) != 0 ? DF_KEY_AES : (nok & 0x40) != 0 ? DF_KEY_3K3DES : DF_KEY_2K3DES;
    (void)snprintf(l.id, sizeof(l.id), "esup-%06X", aid & 0xFFFFFF);
    const struct profile_layout *before = find_layout(k->found, aid);
    if (before != NULL && (before->type != l.type || before->key_count != l.key_count))
        return wrong(k, bean, "this application is described twice, with different keys (nok)");
    if (before != NULL)
        return B_OK;
    if (f->count == PROFILE_LAYOUTS_MAX)
        return wrong(k, bean, "more than 8 applications");
    f->layouts[f->count++] = l;
    return B_OK;
}

static enum b_code take_application(const struct reading *k, const xmlNode *bean)
{
    struct profile_esup *f = k->found;
    df_aid aid = 0;
    uint8_t nok = 0;
    bool is_made = false;
    if (!read_aid(property(bean, "desfireAppId"), &aid))
        return wrong(k, bean, "desfireAppId is not three bytes in hexadecimal");
    if (!read_byte(property(bean, "nok"), &nok) || (nok & 0x0F) == 0)
        return wrong(k, bean, "nok is not the type and number of keys in hexadecimal");
    enum b_code r = take_keys(k, bean, aid, (nok & 0x80) != 0, &is_made);
    if (r == B_OK && is_made && f->left_count < B_COUNT(f->left))
        f->left[f->left_count++] = aid;
    return r == B_OK && !is_made && aid != 0 ? add_layout(k, bean, aid, nok) : r;
}

/* What a reader of theirs uses: that key proves a badge. */
static enum b_code take_reader(const struct reading *k, const xmlNode *bean)
{
    struct profile_esup_key key = {.is_needed = true};
    const char *text = property(bean, "desfireKey");
    if (text[0] == '\0' || property(bean, "desfireAppId")[0] == '\0')
        return B_OK;
    bool is_good = read_aid(property(bean, "desfireAppId"), &key.aid) &&
                   read_byte(property(bean, "desfireKeyNumber"), &key.no) &&
                   read_key(text, true, &key.key);
    enum b_code r = is_good
                        ? keep_key(k, bean, key)
                        : wrong(k, bean, "desfireAppId, desfireKeyNumber or desfireKey is none");
    struct profile_layout *l = find_layout(k->found, key.aid);
    if (r == B_OK && l != NULL && key.no < l->key_count)
        l->proof_key = key.no;
    b_wipe(&key, sizeof(key));
    return r;
}

/* --- the file ----------------------------------------------------------------------------------
 */

/* Applications first: what reads them comes before or after them in the file. */
static enum b_code take_all(const struct reading *k, xmlNode *root)
{
    static const struct {
        const char *class;
        enum b_code (*take)(const struct reading *k, const xmlNode *bean);
    } classes[] = {{"DesfireTag", take_tag},
                   {"DesfireApplication", take_application},
                   {"DesfireReadConfig", take_reader},
                   {"DesfireAuthConfig", take_reader}};
    enum b_code r = B_OK;
    for (size_t i = 0; i < B_COUNT(classes); i++)
        for (xmlNode *at = root; r == B_OK && at != NULL; at = next_node(root, at))
            if (is_bean(at, classes[i].class))
                r = classes[i].take(k, at);
    if (r == B_OK && k->found->fleet.count + k->found->left_count == 0)
        r = wrong(k, root, "no DesfireApplication is in it");
    return r;
}

/* Which key proves a badge is known at the end: the applications' keys are gone through again. */
static enum b_code need_proofs(const struct reading *k, xmlNode *root)
{
    enum b_code r = B_OK;
    df_aid aid = 0;
    uint8_t nok = 0;
    bool ignored = false;
    for (xmlNode *at = root; r == B_OK && at != NULL; at = next_node(root, at))
        if (is_bean(at, "DesfireApplication") && read_aid(property(at, "desfireAppId"), &aid) &&
            read_byte(property(at, "nok"), &nok))
            r = take_keys(k, at, aid, (nok & 0x80) != 0, &ignored);
    return r;
}

/* libxml2 would print it. */
static void say_nothing(void *ctx, xmlErrorPtr error)
{
    (void)ctx;
    (void)error;
}

enum b_code profile_esup_read(const char *name, const char *text, size_t n,
                              struct profile_esup *ret, struct b_err *err)
{
    const struct reading k = {.name = name, .found = ret, .err = err};
    memset(ret, 0, sizeof(*ret));
    xmlSetStructuredErrorFunc(NULL, say_nothing);
    xmlDoc *doc = n <= INT32_MAX ? xmlReadMemory(text, (int)n, NULL, NULL, XML_PARSE_NONET) : NULL;
    const xmlError *why = xmlGetLastError();
    enum b_code r = B_OK;
    if (doc == NULL)
        r = b_err_set(err, B_E_BAD_INPUT, 0, "%s:%d: not XML", name, why != NULL ? why->line : 1);
    else if (doc->intSubset != NULL)
        r = b_err_set(err, B_E_BAD_INPUT, 0, "%s: a document type is not read", name);
    else
        r = take_all(&k, xmlDocGetRootElement(doc));
    if (r == B_OK)
        r = need_proofs(&k, xmlDocGetRootElement(doc));
    xmlFreeDoc(doc);
    return r;
}
