/*
 * Master keys in the token: their names, what they may do, their KCV.
 *
 *   label   tessere:<establishment>:<role>:<generation, three digits>
 *   id      the same as bytes: establishment || role || generation; 01 after it for one that a
 *           ceremony brought in, and that therefore was not made in this token
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "custody/token.h"

enum { LABEL_MAX = CUSTODY_LABEL_MAX, ID_MAX = CUSTODY_ID_MAX };

/* What a safe master says of itself. An attribute that a token does not know reads as false, so
 * that one which must be true is then missing. */
static const struct {
    CK_ATTRIBUTE_TYPE type;
    CK_BBOOL wanted;
    bool is_of_origin; /* says where it was made: another answer from one that was brought in */
} safety[] = {
    {CKA_SENSITIVE, CK_TRUE, false},    {CKA_ALWAYS_SENSITIVE, CK_TRUE, true},
    {CKA_EXTRACTABLE, CK_FALSE, false}, {CKA_NEVER_EXTRACTABLE, CK_TRUE, true},
    {CKA_LOCAL, CK_TRUE, true},         {CKA_PRIVATE, CK_TRUE, false},
    {CKA_MODIFIABLE, CK_FALSE, false},  {CKA_WRAP, CK_FALSE, false},
    {CKA_UNWRAP, CK_FALSE, false},      {CKA_DECRYPT, CK_FALSE, false},
    {CKA_VERIFY, CK_FALSE, false},
};

void custody_label(const struct custody *c, enum key_role role, uint8_t generation, char *out)
{
    (void)snprintf(out, LABEL_MAX, "tessere:%s:%s:%03u", c->establishment, key_role_name(role),
                   generation);
}

/* Reads role and generation out of a label of ours; false for other keys. */
static bool parse_label(const struct custody *c, const char *label, enum key_role *ret_role,
                        uint8_t *ret_generation)
{
    for (int role = 0; role < KEY_ROLE_ALL; role++) {
        char prefix[LABEL_MAX];
        (void)snprintf(prefix, sizeof(prefix), "tessere:%s:%s:", c->establishment,
                       key_role_name((enum key_role)role));
        size_t n = strlen(prefix);
        if (strncmp(label, prefix, n) != 0 || strlen(label) != n + 3)
            continue;
        unsigned value = 0;
        for (size_t i = n; i < n + 3; i++) {
            if (label[i] < '0' || label[i] > '9')
                return false;
            value = value * 10 + (unsigned)(label[i] - '0');
        }
        if (value == 0 || value > KEY_GENERATION_MAX)
            return false;
        *ret_role = (enum key_role)role;
        *ret_generation = (uint8_t)value;
        return true;
    }
    return false;
}

/* --- attributes ------------------------------------------------------------------------------- */

CK_BBOOL custody_flag(struct custody *c, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
    CK_BBOOL value = CK_FALSE;
    CK_ATTRIBUTE a = {type, &value, sizeof(value)};
    CK_RV rv = c->module->C_GetAttributeValue(c->session, object, &a, 1);
    return rv == CKR_OK && a.ulValueLen == sizeof(value) ? value : CK_FALSE;
}

/* A master does one thing: sign by CMAC, or encrypt blocks. One that derives inside encrypts too:
 * the chain up to its last block. */
static bool is_safe(struct custody *c, CK_OBJECT_HANDLE key, const struct custody_key *of)
{
    if (custody_keeps_wrapped(c))
        return c->pair.is_safe && custody_flag(c, key, CKA_PRIVATE) == CK_TRUE;
    for (size_t i = 0; i < B_COUNT(safety); i++)
        if (!(of->is_brought && safety[i].is_of_origin) &&
            custody_flag(c, key, safety[i].type) != safety[i].wanted)
            return false;
    bool signs = custody_flag(c, key, CKA_SIGN) == CK_TRUE;
    bool encrypts = custody_flag(c, key, CKA_ENCRYPT) == CK_TRUE;
    bool should_sign = !of->derives_inside && c->token.method == CUSTODY_CMAC;
    return signs == should_sign && encrypts != should_sign;
}

/* SoftHSM2 2.6.1 forgets the length of a key that it unwraps; ceremonies bring in 16 bytes. */
static bool is_aes128(struct custody *c, CK_OBJECT_HANDLE key, bool is_brought)
{
    CK_KEY_TYPE type = 0;
    CK_ULONG size = 0;
    CK_ATTRIBUTE a[] = {{CKA_KEY_TYPE, &type, sizeof(type)}, {CKA_VALUE_LEN, &size, sizeof(size)}};
    return c->module->C_GetAttributeValue(c->session, key, a, B_COUNT(a)) == CKR_OK &&
           type == CKK_AES && (size == 16 || (is_brought && size == 0));
}

static size_t write_id(const struct custody *c, const struct custody_key *of, uint8_t *id)
{
    struct b_wr w = b_wr_from(id, ID_MAX);
    b_wr_bytes(&w, c->establishment, strlen(c->establishment));
    b_wr_u8(&w, (uint8_t)of->role);
    b_wr_u8(&w, of->generation);
    if (of->is_brought)
        b_wr_u8(&w, 1);
    return w.len;
}

/* Not made here, and put here by a ceremony rather than by somebody's tool. */
static bool was_brought(struct custody *c, CK_OBJECT_HANDLE key, const struct custody_key *of)
{
    uint8_t wanted[ID_MAX];
    uint8_t id[ID_MAX];
    const struct custody_key brought = {
        .role = of->role, .generation = of->generation, .is_brought = true};
    CK_ATTRIBUTE a = {CKA_ID, id, sizeof(id)};
    size_t n = write_id(c, &brought, wanted);
    return custody_flag(c, key, CKA_LOCAL) == CK_FALSE &&
           c->module->C_GetAttributeValue(c->session, key, &a, 1) == CKR_OK && a.ulValueLen == n &&
           b_ct_eq(id, wanted, n);
}

static bool read_label(struct custody *c, CK_OBJECT_HANDLE key, char *label)
{
    CK_ATTRIBUTE a = {CKA_LABEL, label, LABEL_MAX - 1};
    if (c->module->C_GetAttributeValue(c->session, key, &a, 1) != CKR_OK ||
        a.ulValueLen >= LABEL_MAX)
        return false;
    label[a.ulValueLen] = '\0';
    return strlen(label) == a.ulValueLen;
}

/* --- KCV -------------------------------------------------------------------------------------- */

bool custody_is_known_weak(const uint8_t kcv[static 3])
{
    static const char *const keys[] = {
#define CUSTODY_WEAK(name, hex) hex,
#include "custody/weak.def"
#undef CUSTODY_WEAK
    };
    for (size_t i = 0; i < B_COUNT(keys); i++) {
        uint8_t bytes[16], one[CRYPTO_KCV];
        struct b_wr w = b_wr_from(bytes, sizeof(bytes));
        b_check(b_unhex(&w, keys[i]) && w.len == sizeof(bytes));
        struct crypto_key key;
        crypto_key_init(&key, CRYPTO_AES128, bytes);
        crypto_kcv(&key, one);
        crypto_key_drop(&key);
        if (b_ct_eq(one, kcv, sizeof(one)))
            return true;
    }
    return false;
}

/* CMAC-0 by every method: the value is the same, so that tokens can be compared. */
enum b_code custody_take_kcv(struct custody *c, struct custody_entry *e, struct b_err *err)
{
    static const uint8_t zeros[16];
    uint8_t *mac = b_secret_alloc(16);
    if (mac == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "computing a KCV");
    enum b_code r = custody_cmac(c, e, zeros, sizeof(zeros), mac, err);
    if (r == B_OK) {
        (void)snprintf(e->key.kcv.method, sizeof(e->key.kcv.method), "CMAC-0");
        memcpy(e->key.kcv.value, mac, 3);
        if (custody_is_known_weak(e->key.kcv.value))
            e->key.is_safe = false;
    }
    b_secret_free(mac);
    b_secret_free(e->subkeys); /* of 256 keys few are used: those that derive make them again */
    e->subkeys = NULL;
    return r;
}

/* --- scan ------------------------------------------------------------------------------------- */

void custody_forget(struct custody *c)
{
    for (size_t i = 0; i < c->entry_count; i++)
        b_secret_free(c->entries[i].subkeys);
    c->entry_count = 0;
}

struct custody_entry *custody_known(struct custody *c, enum key_role role, uint8_t generation)
{
    for (size_t i = 0; i < c->entry_count; i++)
        if (c->entries[i].key.role == role && c->entries[i].key.generation == generation)
            return &c->entries[i];
    return NULL;
}

static enum b_code take_object(struct custody *c, CK_OBJECT_HANDLE object, struct b_err *err)
{
    char label[LABEL_MAX];
    struct custody_entry e = {.handle = object};
    if (!read_label(c, object, label) || !parse_label(c, label, &e.key.role, &e.key.generation))
        return B_OK;
    e.key.is_brought = custody_keeps_wrapped(c) || was_brought(c, object, &e.key);
    if (!custody_keeps_wrapped(c) && !is_aes128(c, object, e.key.is_brought))
        return B_OK;
    struct custody_entry *twin = custody_known(c, e.key.role, e.key.generation);
    if (twin != NULL) { /* two keys of one name: nobody can say which one badges have */
        twin->key.is_safe = false;
        return B_OK;
    }
    if (c->entry_count == CUSTODY_KEYS_MAX)
        return b_err_set(err, B_E_TOKEN_FAILED, 0, "token \"%s\" holds more than %d of our keys",
                         c->token.label, CUSTODY_KEYS_MAX);
    struct custody_entry *slot = &c->entries[c->entry_count];
    *slot = e;
    slot->key.derives_inside = custody_flag(c, object, CKA_DERIVE) == CK_TRUE;
    slot->key.is_safe = is_safe(c, object, &slot->key);
    c->entry_count++;
    c->last_rv = CKR_OK;
    enum b_code r = custody_take_kcv(c, slot, err);
    if (r == B_OK || custody_rv_is_lost(c->last_rv))
        return r;
    /* A key that the token will not use is listed, without a value, as not safe. */
    slot->key.is_safe = false;
    (void)snprintf(slot->key.kcv.method, sizeof(slot->key.kcv.method), "none");
    return B_OK;
}

CK_RV custody_objects(struct custody *c, CK_ATTRIBUTE *wanted, CK_ULONG count,
                      struct custody_objects *ret)
{
    enum { STEP = 64, MOST = 65536 };
    CK_ULONG got = 1;
    *ret = (struct custody_objects){.n = 0};
    CK_RV rv = c->module->C_FindObjectsInit(c->session, wanted, count);
    if (rv != CKR_OK)
        return rv;
    while (rv == CKR_OK && got > 0) {
        CK_OBJECT_HANDLE *more =
            ret->n < MOST ? reallocarray(ret->found, ret->n + STEP, sizeof(*more)) : NULL;
        if (more == NULL) {
            rv = CKR_HOST_MEMORY;
            break;
        }
        ret->found = more;
        rv = c->module->C_FindObjects(c->session, more + ret->n, STEP, &got);
        ret->n += rv == CKR_OK ? got : 0;
    }
    (void)c->module->C_FindObjectsFinal(c->session);
    if (rv != CKR_OK) {
        free(ret->found);
        *ret = (struct custody_objects){.n = 0};
    }
    return rv;
}

static CK_RV find_keys(struct custody *c, struct custody_objects *ret)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &class, sizeof(class)},
                             {CKA_KEY_TYPE, &type, sizeof(type)}};
    return custody_objects(c, wanted, B_COUNT(wanted), ret);
}

enum b_code custody_scan(struct custody *c, struct b_err *err)
{
    custody_forget(c);
    struct custody_objects all;
    enum b_code r = custody_keeps_wrapped(c) ? custody_wrapped_pair(c, err) : B_OK;
    if (r != B_OK)
        return r;
    CK_RV rv = custody_keeps_wrapped(c) ? custody_wrapped_find(c, &all) : find_keys(c, &all);
    if (rv != CKR_OK)
        return custody_fail(c, rv, "listing keys", err);
    for (CK_ULONG i = 0; i < all.n && r == B_OK; i++)
        r = take_object(c, all.found[i], err);
    free(all.found);
    return r;
}

struct custody_entry *custody_find(struct custody *c, enum key_role role, uint8_t generation,
                                   struct b_err *err)
{
    struct custody_entry *e = custody_known(c, role, generation);
    if (e != NULL)
        return e;
    size_t before = c->entry_count;
    if (custody_scan(c, err) != B_OK) /* another process may have made it meanwhile */
        return NULL;
    if (before > 0 && c->entry_count == 0) { /* its store went away under an open session */
        c->needs_reinit = true;
        (void)custody_fail(c, CKR_TOKEN_NOT_PRESENT, "looking for its keys, all gone", err);
        return NULL;
    }
    e = custody_known(c, role, generation);
    if (e == NULL)
        (void)b_err_set(err, B_E_KEY_MISSING, 0,
                        "token \"%s\" has no master key %s of generation %u", c->token.label,
                        key_role_name(role), generation);
    return e;
}

/* --- generate and list ------------------------------------------------------------------------ */

struct generate_work {
    enum key_role role;
    uint8_t generation;
    struct custody_key *ret;
};

static void add(struct custody_template *t, CK_ATTRIBUTE_TYPE type, const void *value, size_t n)
{
    union { /* PKCS#11 wants it writable, and does not write */
        const void *in;
        void *out;
    } p = {.in = value};
    b_check(t->count < B_COUNT(t->attributes));
    t->attributes[t->count++] = (CK_ATTRIBUTE){type, p.out, n};
}

/* What the key may do follows its role: sign or encrypt as the token derives; or, in-token, encrypt
 * and derive. strict: also what newer tokens know: only these mechanisms, and no copies. That it
 * cannot be changed is said last: SoftHSM2 2.6.1 follows the template in its order. */
void custody_master(const struct custody *c, const struct custody_key *of, enum custody_how how,
                    bool strict, struct custody_template *t)
{
    static const CK_BBOOL yes = CK_TRUE;
    static const CK_BBOOL no = CK_FALSE;
    static const CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    static const CK_KEY_TYPE type = CKK_AES;
    static const CK_ULONG size = 16;
    bool stays = key_stays(&c->in_token, of->role, of->generation);
    bool signs = !stays && c->token.method == CUSTODY_CMAC;
    t->count = 0;
    if (how == CUSTODY_MADE)
        add(t, CKA_VALUE_LEN, &size, sizeof(size));
    add(t, CKA_CLASS, &class, sizeof(class));
    add(t, CKA_KEY_TYPE, &type, sizeof(type));
    add(t, CKA_TOKEN, of->is_passing ? &no : &yes, 1);
    add(t, CKA_PRIVATE, &yes, 1);
    add(t, CKA_SENSITIVE, &yes, 1);
    add(t, CKA_EXTRACTABLE, of->is_passing ? &yes : &no, 1);
    add(t, CKA_SIGN, signs ? &yes : &no, 1);
    add(t, CKA_VERIFY, &no, 1);
    add(t, CKA_ENCRYPT, signs ? &no : &yes, 1);
    add(t, CKA_DECRYPT, &no, 1);
    add(t, CKA_WRAP, &no, 1);
    add(t, CKA_UNWRAP, &no, 1);
    add(t, CKA_DERIVE, stays ? &yes : &no, 1);
    if (!of->is_passing) {
        custody_label(c, of->role, of->generation, t->label);
        add(t, CKA_LABEL, t->label, strlen(t->label));
        add(t, CKA_ID, t->id, write_id(c, of, t->id));
    }
    t->only[0] = stays ? CKM_AES_ECB : custody_mechanism(c->token.method);
    t->only[1] = CKM_AES_ECB_ENCRYPT_DATA;
    if (strict && !of->is_passing) {
        add(t, CKA_ALLOWED_MECHANISMS, t->only, stays ? sizeof(t->only) : sizeof(t->only[0]));
        add(t, CKA_COPYABLE, &no, 1);
    }
    add(t, CKA_MODIFIABLE, &no, 1);
}

bool custody_rv_is_template(CK_RV rv)
{
    return rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_VALUE_INVALID ||
           rv == CKR_TEMPLATE_INCONSISTENT;
}

static CK_RV make_key(struct custody *c, const struct generate_work *g, bool strict)
{
    const struct custody_key of = {.role = g->role, .generation = g->generation};
    struct custody_template t;
    CK_MECHANISM make = {CKM_AES_KEY_GEN, NULL, 0};
    CK_OBJECT_HANDLE key;
    custody_master(c, &of, CUSTODY_MADE, strict, &t);
    return c->module->C_GenerateKey(c->session, &make, t.attributes, t.count, &key);
}

static enum b_code make_inside(struct custody *c, const struct generate_work *g, struct b_err *err)
{
    CK_RV rv = make_key(c, g, true);
    if (custody_rv_is_template(rv))
        rv = make_key(c, g, false);
    return rv == CKR_OK ? B_OK : custody_fail(c, rv, "generating a master key", err);
}

static enum b_code make_wrapped(struct custody *c, const struct generate_work *g, struct b_err *err)
{
    const struct custody_key of = {.role = g->role, .generation = g->generation};
    uint8_t *secret = b_secret_alloc(32);
    if (secret == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "generating a master key");
    enum b_code r = custody_fresh(c, secret, err);
    if (r == B_OK)
        r = custody_wrapped_put(c, &of, secret, err);
    b_secret_free(secret);
    return r;
}

static enum b_code generate_key(struct custody *c, void *arg, struct b_err *err)
{
    const struct generate_work *g = arg;
    enum b_code r = custody_scan(c, err);
    if (r != B_OK)
        return r;
    if (custody_known(c, g->role, g->generation) != NULL)
        return b_err_set(err, B_E_KEY_EXISTS, 0,
                         "token \"%s\" has a master key %s of generation %u already",
                         c->token.label, key_role_name(g->role), g->generation);
    if (key_stays(&c->in_token, g->role, g->generation))
        r = custody_check_inside(c, err);
    if (r != B_OK)
        return r;
    r = custody_keeps_wrapped(c) ? make_wrapped(c, g, err) : make_inside(c, g, err);
    if (r == B_OK)
        r = custody_scan(c, err);
    if (r != B_OK)
        return r;
    const struct custody_entry *e = custody_known(c, g->role, g->generation);
    if (e == NULL)
        return custody_fail(c, CKR_FUNCTION_FAILED, "finding the key just generated", err);
    if (!e->key.is_safe)
        return b_err_set(err, B_E_KEY_UNSAFE, 0,
                         "token \"%s\" made master key %s %u, but does not keep it as asked",
                         c->token.label, key_role_name(g->role), g->generation);
    *g->ret = e->key;
    return B_OK;
}

enum b_code custody_generate(struct custody *c, enum key_role role, uint8_t generation,
                             struct custody_key *ret, struct b_err *err)
{
    if ((unsigned)role >= KEY_ROLE_ALL || generation == KEY_GENERATION_FACTORY)
        return b_err_set(err, B_E_BAD_INPUT, 0,
                         "a master key has a role and a generation of 1..255");
    struct generate_work g = {role, generation, ret};
    return custody_run(c, generate_key, &g, err);
}

static enum b_code list_keys(struct custody *c, void *arg, struct b_err *err)
{
    (void)arg;
    return custody_scan(c, err);
}

enum b_code custody_list(struct custody *c, struct custody_key *keys, size_t cap, size_t *ret_count,
                         struct b_err *err)
{
    enum b_code r = custody_run(c, list_keys, NULL, err);
    if (r != B_OK)
        return r;
    if (c->entry_count > cap)
        return b_err_set(err, B_E_INTERNAL, 0, "%zu master keys, room for %zu", c->entry_count,
                         cap);
    for (size_t i = 0; i < c->entry_count; i++)
        keys[i] = c->entries[i].key;
    *ret_count = c->entry_count;
    return B_OK;
}
