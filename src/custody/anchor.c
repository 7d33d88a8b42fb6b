/*
 * Anchors: a few bytes that must not go back when a disk or a server does, as data objects in the
 * token.
 *
 *   label   tessere/<establishment>/anchor/<name>
 *   value   counter (8 bytes, big-endian) || the bytes
 *
 * A new one is written and read back before the old one is destroyed. Where a crash leaves two, the
 * higher counter is the newer one.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "custody/token.h"

enum { COUNTER = 8, LABEL_MAX = 96, FOUND_MAX = 16 };
static char application[] = "tessere";

/* Two threads that put the same anchor would take the same counter. */
static pthread_mutex_t put_lock = PTHREAD_MUTEX_INITIALIZER;

struct anchor_work {
    char label[LABEL_MAX];
    const uint8_t *in; /* what to put, or NULL */
    uint8_t *out;
    size_t cap;
    size_t n;
};

struct anchor {
    CK_OBJECT_HANDLE handle; /* 0: none */
    uint64_t counter;
    uint8_t bytes[CUSTODY_ANCHOR_MAX];
    size_t n;
};

static bool read_one(struct custody *c, CK_OBJECT_HANDLE object, struct anchor *ret)
{
    uint8_t value[COUNTER + CUSTODY_ANCHOR_MAX];
    CK_ATTRIBUTE a = {CKA_VALUE, value, sizeof(value)};
    CK_RV rv = c->module->C_GetAttributeValue(c->session, object, &a, 1);
    if (rv != CKR_OK) {
        c->last_rv = rv;
        return false;
    }
    struct b_rd r = b_rd_from(value, a.ulValueLen <= sizeof(value) ? a.ulValueLen : 0);
    ret->handle = object;
    ret->counter = (uint64_t)b_rd_be32(&r) << 32;
    ret->counter |= b_rd_be32(&r);
    ret->n = r.left;
    b_rd_bytes(&r, ret->bytes, ret->n);
    return b_rd_end(&r);
}

/* All objects of this label, and the newest of those that can be read. */
static enum b_code find(struct custody *c, struct anchor_work *w, CK_OBJECT_HANDLE *found,
                        CK_ULONG *ret_n, struct anchor *newest, struct b_err *err)
{
    CK_OBJECT_CLASS class = CKO_DATA;
    CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &class, sizeof(class)},
                             {CKA_APPLICATION, application, sizeof(application) - 1},
                             {CKA_LABEL, w->label, strlen(w->label)}};
    *newest = (struct anchor){0};
    CK_RV rv = c->module->C_FindObjectsInit(c->session, wanted, B_COUNT(wanted));
    if (rv == CKR_OK) {
        rv = c->module->C_FindObjects(c->session, found, FOUND_MAX, ret_n);
        (void)c->module->C_FindObjectsFinal(c->session);
    }
    if (rv != CKR_OK)
        return custody_fail(c, rv, "looking for an anchor", err);
    for (CK_ULONG i = 0; i < *ret_n; i++) {
        struct anchor a = {0};
        if (!read_one(c, found[i], &a))
            /* Unread, it might be the newest one: an older one in its place would be a step back */
            return custody_fail(c, c->last_rv != CKR_OK ? c->last_rv : CKR_DATA_INVALID,
                                "reading an anchor", err);
        if (newest->handle == 0 || a.counter > newest->counter)
            *newest = a;
    }
    return B_OK;
}

static enum b_code get(struct custody *c, void *arg, struct b_err *err)
{
    struct anchor_work *w = arg;
    CK_OBJECT_HANDLE found[FOUND_MAX];
    CK_ULONG n = 0;
    struct anchor a;
    enum b_code r = find(c, w, found, &n, &a, err);
    if (r != B_OK)
        return r;
    if (a.handle == 0)
        return b_err_set(err, B_E_NOT_FOUND, 0, "token \"%s\" has no %s", c->token.label, w->label);
    if (a.n > w->cap)
        return b_err_set(err, B_E_INTERNAL, 0, "an anchor of %zu bytes, room for %zu", a.n, w->cap);
    memcpy(w->out, a.bytes, a.n);
    w->n = a.n;
    return B_OK;
}

static CK_RV create(struct custody *c, struct anchor_work *w, uint64_t counter)
{
    uint8_t value[COUNTER + CUSTODY_ANCHOR_MAX];
    struct b_wr v = b_wr_from(value, sizeof(value));
    b_wr_be32(&v, (uint32_t)(counter >> 32));
    b_wr_be32(&v, (uint32_t)counter);
    b_wr_bytes(&v, w->in, w->n);
    CK_BBOOL yes = CK_TRUE;
    CK_OBJECT_CLASS class = CKO_DATA;
    CK_ATTRIBUTE t[] = {
        {CKA_CLASS, &class, sizeof(class)},
        {CKA_TOKEN, &yes, sizeof(yes)},
        {CKA_PRIVATE, &yes, sizeof(yes)},
        {CKA_APPLICATION, application, sizeof(application) - 1},
        {CKA_LABEL, w->label, strlen(w->label)},
        {CKA_VALUE, value, v.len},
    };
    CK_OBJECT_HANDLE object;
    return c->module->C_CreateObject(c->session, t, B_COUNT(t), &object);
}

static bool has_no_data_objects(CK_RV rv)
{
    return rv == CKR_ATTRIBUTE_VALUE_INVALID || rv == CKR_ATTRIBUTE_TYPE_INVALID ||
           rv == CKR_TEMPLATE_INCONSISTENT || rv == CKR_FUNCTION_NOT_SUPPORTED;
}

static enum b_code put(struct custody *c, void *arg, struct b_err *err)
{
    struct anchor_work *w = arg;
    CK_OBJECT_HANDLE found[FOUND_MAX];
    CK_ULONG n = 0;
    struct anchor a;
    enum b_code r = find(c, w, found, &n, &a, err);
    if (r != B_OK)
        return r;
    uint64_t counter = a.counter + 1;
    CK_RV rv = create(c, w, counter);
    if (has_no_data_objects(rv))
        return b_err_set(err, B_E_TOKEN_MECHANISM, (uint32_t)rv,
                         "token \"%s\" keeps no data objects (CKO_DATA)", c->token.label);
    if (rv != CKR_OK)
        return custody_fail(c, rv, "writing an anchor", err);
    r = find(c, w, found, &n, &a, err);
    if (r == B_OK && (a.counter != counter || a.n != w->n || !b_ct_eq(a.bytes, w->in, w->n)))
        r = custody_fail(c, CKR_DATA_INVALID, "reading back an anchor", err);
    /* What cannot be destroyed is older, and is tried again the next time. */
    for (CK_ULONG i = 0; r == B_OK && i < n; i++)
        if (found[i] != a.handle)
            (void)c->module->C_DestroyObject(c->session, found[i]);
    return r;
}

static enum b_code label_of(const struct custody *c, const char *name, struct anchor_work *w,
                            struct b_err *err)
{
    size_t n = strlen(name);
    if (n == 0 || n > CUSTODY_ANCHOR_NAME_MAX)
        return b_err_set(err, B_E_BAD_INPUT, 0, "an anchor's name has 1 to %d signs",
                         CUSTODY_ANCHOR_NAME_MAX);
    (void)snprintf(w->label, sizeof(w->label), "tessere/%s/anchor/%s", c->establishment, name);
    return B_OK;
}

enum b_code custody_anchor_get(struct custody *c, const char *name, uint8_t *out, size_t cap,
                               size_t *ret_n, struct b_err *err)
{
    struct anchor_work w = {.out = out, .cap = cap};
    enum b_code r = label_of(c, name, &w, err);
    if (r == B_OK)
        r = custody_run(c, get, &w, err);
    if (r == B_OK)
        *ret_n = w.n;
    return r;
}

enum b_code custody_anchor_put(struct custody *c, const char *name, const uint8_t *bytes, size_t n,
                               struct b_err *err)
{
    struct anchor_work w = {.in = bytes, .n = n};
    enum b_code r = label_of(c, name, &w, err);
    if (r == B_OK && (n == 0 || n > CUSTODY_ANCHOR_MAX))
        r = b_err_set(err, B_E_BAD_INPUT, 0, "an anchor of %zu bytes; 1..%d fit", n,
                      CUSTODY_ANCHOR_MAX);
    if (r != B_OK)
        return r;
    (void)pthread_mutex_lock(&put_lock);
    r = custody_run(c, put, &w, err);
    (void)pthread_mutex_unlock(&put_lock);
    return r;
}
