/*
 * Taking a token up: module, slot, PIN, session; and taking it up again when it was lost.
 *
 * Modules loaded by module-path are used alone. Without it, the modules that p11-kit is configured
 * with are initialised one after the other until one has the token, and those that do not have it
 * are given back: a vault must not keep a smart-card module that grabs readers.
 */
#include "custody/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SLOTS_MAX = 64 };

static const struct {
    CK_RV rv;
    enum b_code code;
    bool is_lost;
} answers[] = {
    {CKR_PIN_INCORRECT, B_E_TOKEN_PIN_WRONG, false},
    {CKR_PIN_INVALID, B_E_TOKEN_PIN_WRONG, false},
    {CKR_PIN_LEN_RANGE, B_E_TOKEN_PIN_WRONG, false},
    {CKR_PIN_EXPIRED, B_E_TOKEN_PIN_WRONG, false},
    {CKR_PIN_LOCKED, B_E_TOKEN_LOCKED, false},
    {CKR_USER_PIN_NOT_INITIALIZED, B_E_TOKEN_PIN_WRONG, false},
    {CKR_MECHANISM_INVALID, B_E_TOKEN_MECHANISM, false},
    {CKR_MECHANISM_PARAM_INVALID, B_E_TOKEN_MECHANISM, false},
    {CKR_KEY_FUNCTION_NOT_PERMITTED, B_E_KEY_UNSAFE, false},
    {CKR_HOST_MEMORY, B_E_NO_MEMORY, false},
    {CKR_TOKEN_NOT_PRESENT, B_E_TOKEN_ABSENT, true},
    {CKR_TOKEN_NOT_RECOGNIZED, B_E_TOKEN_ABSENT, true},
    {CKR_SLOT_ID_INVALID, B_E_TOKEN_ABSENT, true},
    {CKR_DEVICE_REMOVED, B_E_TOKEN_ABSENT, true},
    {CKR_DEVICE_ERROR, B_E_TOKEN_FAILED, true},
    {CKR_GENERAL_ERROR, B_E_TOKEN_FAILED, true},
    {CKR_FUNCTION_FAILED, B_E_TOKEN_FAILED, true},
    {CKR_SESSION_HANDLE_INVALID, B_E_TOKEN_FAILED, true},
    {CKR_SESSION_CLOSED, B_E_TOKEN_FAILED, true},
    {CKR_USER_NOT_LOGGED_IN, B_E_TOKEN_FAILED, true},
    {CKR_OBJECT_HANDLE_INVALID, B_E_TOKEN_FAILED, true},
    {CKR_KEY_HANDLE_INVALID, B_E_TOKEN_FAILED, true},
    {CKR_CRYPTOKI_NOT_INITIALIZED, B_E_TOKEN_FAILED, true},
};

bool custody_rv_is_lost(CK_RV rv)
{
    for (size_t i = 0; i < B_COUNT(answers); i++)
        if (answers[i].rv == rv)
            return answers[i].is_lost;
    return false;
}

static void name_of(const struct custody *c, char *out, size_t cap)
{
    if (c->token.label[0] != '\0') {
        (void)snprintf(out, cap, "token \"%s\"", c->token.label);
        return;
    }
    char *uri = NULL;
    if (p11_kit_uri_format(c->uri, P11_KIT_URI_FOR_TOKEN, &uri) == P11_KIT_URI_OK)
        (void)snprintf(out, cap, "token %s", uri);
    else
        (void)snprintf(out, cap, "token");
    free(uri);
}

enum b_code custody_fail(struct custody *c, CK_RV rv, const char *what, struct b_err *err)
{
    c->last_rv = rv;
    enum b_code code = B_E_TOKEN_FAILED;
    for (size_t i = 0; i < B_COUNT(answers); i++)
        if (answers[i].rv == rv)
            code = answers[i].code;
    char name[160];
    name_of(c, name, sizeof(name));
    return b_err_set(err, code, (uint32_t)rv, "%s: %s: %s (CKR 0x%lx)", name, what,
                     p11_kit_strerror(rv), rv);
}

static void copy_padded(char *out, size_t cap, const unsigned char *padded, size_t n)
{
    size_t len = p11_kit_space_strlen(padded, n);
    struct b_wr w = b_wr_from(out, cap - 1);
    b_wr_bytes(&w, padded, len < cap ? len : cap - 1);
    out[w.len] = '\0';
}

/* --- modules ---------------------------------------------------------------------------------- */

static enum b_code load_modules(struct custody *c, struct b_err *err)
{
    const char *path = p11_kit_uri_get_module_path(c->uri);
    if (path != NULL) {
        c->module = p11_kit_module_load(path, P11_KIT_MODULE_CRITICAL);
        if (c->module == NULL)
            return b_err_set(err, B_E_TOKEN_MODULE, 0, "loading the PKCS#11 module %s: %s", path,
                             p11_kit_message() != NULL ? p11_kit_message() : "not found");
        return B_OK;
    }
    c->modules = p11_kit_modules_load(NULL, 0);
    if (c->modules == NULL || c->modules[0] == NULL)
        return b_err_set(err, B_E_TOKEN_MODULE, 0,
                         "p11-kit knows no PKCS#11 module, and the token's URI has no module-path");
    return B_OK;
}

void custody_finalize(struct custody *c)
{
    if (c->is_initialised)
        (void)p11_kit_module_finalize(c->module);
    c->is_initialised = false;
}

/* Slots whose token the URI names. More than one is an error: keys would be made in either. */
static enum b_code find_slot(struct custody *c, struct b_err *err)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG n = SLOTS_MAX;
    CK_RV rv = c->module->C_GetSlotList(CK_TRUE, slots, &n);
    if (rv != CKR_OK)
        return custody_fail(c, rv, "listing slots", err);
    size_t matches = 0;
    for (CK_ULONG i = 0; i < n; i++) {
        CK_SLOT_INFO slot;
        CK_TOKEN_INFO token;
        CK_SLOT_ID wanted = p11_kit_uri_get_slot_id(c->uri);
        if ((wanted != (CK_SLOT_ID)-1 && wanted != slots[i]) ||
            c->module->C_GetSlotInfo(slots[i], &slot) != CKR_OK ||
            !p11_kit_uri_match_slot_info(c->uri, &slot) ||
            c->module->C_GetTokenInfo(slots[i], &token) != CKR_OK ||
            (token.flags & CKF_TOKEN_INITIALIZED) == 0 ||
            !p11_kit_uri_match_token_info(c->uri, &token))
            continue;
        c->slot = slots[i];
        matches++;
    }
    if (matches == 1)
        return B_OK;
    char name[160];
    name_of(c, name, sizeof(name));
    c->last_rv = CKR_TOKEN_NOT_PRESENT;
    if (matches == 0)
        return b_err_set(err, B_E_TOKEN_ABSENT, 0, "%s is in none of the %lu slots", name, n);
    return b_err_set(err, B_E_CONFIG, 0, "%s: %zu tokens answer to this URI; add serial=", name,
                     matches);
}

static enum b_code initialise_module(struct custody *c, struct b_err *err)
{
    CK_RV rv = p11_kit_module_initialize(c->module);
    if (rv != CKR_OK) {
        c->last_rv = rv;
        return b_err_set(err, B_E_TOKEN_MODULE, (uint32_t)rv,
                         "initialising the PKCS#11 module: %s (CKR 0x%lx)", p11_kit_strerror(rv),
                         rv);
    }
    c->is_initialised = true;
    CK_INFO info;
    rv = c->module->C_GetInfo(&info);
    if (rv != CKR_OK)
        return custody_fail(c, rv, "asking the module who it is", err);
    if (!p11_kit_uri_match_module_info(c->uri, &info))
        return b_err_set(err, B_E_TOKEN_ABSENT, 0, "the module is not the one that the URI names");
    return find_slot(c, err);
}

/* Initialises modules until one has the token. */
static enum b_code find_module(struct custody *c, struct b_err *err)
{
    if (c->modules == NULL)
        return initialise_module(c, err);
    const char *wanted = p11_kit_uri_get_module_name(c->uri);
    enum b_code r = b_err_set(err, B_E_TOKEN_ABSENT, 0, "no module that p11-kit knows is named %s",
                              wanted != NULL ? wanted : "so");
    for (size_t i = 0; c->modules[i] != NULL && r != B_OK; i++) {
        char *name = p11_kit_module_get_name(c->modules[i]);
        bool is_wanted = wanted == NULL || (name != NULL && strcmp(name, wanted) == 0);
        free(name);
        if (!is_wanted)
            continue;
        c->module = c->modules[i];
        r = initialise_module(c, err);
        if (r != B_OK)
            custody_finalize(c);
    }
    return r;
}

/* --- token and session ------------------------------------------------------------------------ */

static bool has_mechanism(struct custody *c, enum custody_method m)
{
    CK_MECHANISM_INFO info;
    static const CK_FLAGS uses[] = {CKF_SIGN, CKF_ENCRYPT, CKF_ENCRYPT, CKF_ENCRYPT | CKF_DECRYPT};
    return c->module->C_GetMechanismInfo(c->slot, custody_mechanism(m), &info) == CKR_OK &&
           (info.flags & uses[m]) == uses[m];
}

static enum b_code describe_token(struct custody *c, const CK_TOKEN_INFO *info, struct b_err *err)
{
    copy_padded(c->token.label, sizeof(c->token.label), info->label, sizeof(info->label));
    copy_padded(c->token.manufacturer, sizeof(c->token.manufacturer), info->manufacturerID,
                sizeof(info->manufacturerID));
    copy_padded(c->token.model, sizeof(c->token.model), info->model, sizeof(info->model));
    copy_padded(c->token.serial, sizeof(c->token.serial), info->serialNumber,
                sizeof(info->serialNumber));
    bool keeps_aes = custody_makes_keys(c);
    int last = keeps_aes ? CUSTODY_ECB : CUSTODY_OAEP;
    for (int m = keeps_aes ? CUSTODY_CMAC : CUSTODY_OAEP; m <= last; m++) {
        if (has_mechanism(c, (enum custody_method)m)) {
            c->token.method = (enum custody_method)m;
            return B_OK;
        }
    }
    return custody_fail(c, CKR_MECHANISM_INVALID,
                        keeps_aes ? "looking for AES-CMAC, AES-CBC or AES-ECB"
                                  : "it makes no AES key (C_GenerateKey); looking for RSA-OAEP",
                        err);
}

static enum b_code login(struct custody *c, const CK_TOKEN_INFO *info, struct b_err *err)
{
    if ((info->flags & CKF_LOGIN_REQUIRED) == 0)
        return B_OK;
    bool has_keypad = (info->flags & CKF_PROTECTED_AUTHENTICATION_PATH) != 0;
    if (c->pin == NULL && !has_keypad && (info->flags & CKF_USER_PIN_LOCKED) == 0)
        return b_err_set(err, B_E_TOKEN_PIN_SOURCE, 0, "token \"%s\" asks for a PIN; none is given",
                         c->token.label);
    return custody_login(c, err);
}

static enum b_code open_session(struct custody *c, struct b_err *err)
{
    CK_TOKEN_INFO info;
    CK_RV rv = c->module->C_GetTokenInfo(c->slot, &info);
    if (rv != CKR_OK)
        return custody_fail(c, rv, "asking the token who it is", err);
    enum b_code r = describe_token(c, &info, err);
    if (r != B_OK)
        return r;
    /* Read-write only when a key is made: a token may be write-protected after the ceremony. */
    CK_FLAGS flags = CKF_SERIAL_SESSION;
    if ((info.flags & CKF_WRITE_PROTECTED) == 0)
        flags |= CKF_RW_SESSION;
    rv = c->module->C_OpenSession(c->slot, flags, NULL, NULL, &c->session);
    if (rv != CKR_OK)
        return custody_fail(c, rv, "opening a session", err);
    r = login(c, &info, err);
    if (r == B_OK)
        r = custody_scan(c, err);
    if (r != B_OK) {
        (void)c->module->C_CloseSession(c->session);
        custody_forget(c);
        return r;
    }
    c->is_connected = true;
    c->keeps_badges = false;
    c->session_count++;
    c->token.is_connected = true;
    return B_OK;
}

void custody_disconnect(struct custody *c)
{
    if (c->is_connected)
        (void)c->module->C_CloseSession(c->session);
    custody_forget(c);
    c->is_connected = false;
    c->token.is_connected = false;
}

static bool may_reinit(enum b_code r)
{
    return r == B_E_TOKEN_ABSENT || r == B_E_TOKEN_FAILED;
}

/* The module from its start, and a session on it. */
static enum b_code start(struct custody *c, struct b_err *err)
{
    enum b_code r = B_OK;
    if (c->module == NULL && c->modules == NULL)
        r = load_modules(c, err);
    if (r == B_OK)
        r = find_module(c, err);
    if (r == B_OK)
        r = open_session(c, err);
    if (r != B_OK)
        custody_finalize(c);
    return r;
}

/* A session on the module as it stands. Leaves needs_reinit where that does not help, since some
 * modules (SoftHSM) look for tokens only when they are initialised. */
static enum b_code join(struct custody *c, struct b_err *err)
{
    c->seems_gone = false;
    if (!c->is_initialised)
        return start(c, err);
    if (c->needs_reinit)
        return b_err_set(err, B_E_TOKEN_ABSENT, 0, "token \"%s\" has lost its keys",
                         c->token.label);
    enum b_code r = find_slot(c, err);
    if (r == B_OK)
        r = open_session(c, err);
    c->seems_gone = may_reinit(r);
    return r;
}

/* With the gate held alone. A module that serves others well is left as it is. */
static enum b_code renew(struct custody *c, struct b_err *err)
{
    if (c->is_connected)
        return B_OK;
    if (c->is_initialised && !c->needs_reinit && custody_others_answer(c))
        return err->code;
    if (c->is_initialised)
        custody_give_back_module(c);
    c->needs_reinit = false;
    c->seems_gone = false;
    return start(c, err);
}

/* is_lost: the token was lost at work, and taking it up again may help. */
static enum b_code attempt(struct custody *c, custody_work *work, void *arg, bool *is_lost,
                           struct b_err *err)
{
    custody_enter();
    enum b_code r = c->is_connected ? B_OK : join(c, err);
    if (r != B_OK && (c->needs_reinit || c->seems_gone)) {
        custody_leave();
        custody_enter_alone();
        r = renew(c, err);
    }
    c->last_rv = CKR_OK;
    if (r == B_OK)
        r = work(c, arg, err);
    *is_lost = r != B_OK && c->is_connected && custody_rv_is_lost(c->last_rv);
    if (*is_lost)
        custody_disconnect(c);
    custody_leave();
    return r;
}

enum b_code custody_run(struct custody *c, custody_work *work, void *arg, struct b_err *err)
{
    struct b_err own = {0};
    bool is_lost = false;
    if (err == NULL)
        err = &own; /* what join found is kept where renew does nothing */
    enum b_code r = attempt(c, work, arg, &is_lost, err);
    return is_lost ? attempt(c, work, arg, &is_lost, err) : r;
}

/* --- open and free ---------------------------------------------------------------------------- */

static enum b_code parse_uri(struct custody *c, const char *text, struct b_err *err)
{
    c->uri = p11_kit_uri_new();
    if (c->uri == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "reading the token's URI");
    int r = p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, c->uri);
    if (r != P11_KIT_URI_OK)
        return b_err_set(err, B_E_CONFIG, 0, "the token's URI \"%s\" cannot be read: %s", text,
                         p11_kit_uri_message(r));
    if (p11_kit_uri_any_unrecognized(c->uri))
        return b_err_set(err, B_E_CONFIG, 0, "the token's URI \"%s\" has a field that is not known",
                         text);
    if (p11_kit_uri_get_pin_value(c->uri) != NULL || p11_kit_uri_get_pin_source(c->uri) != NULL)
        return b_err_set(err, B_E_TOKEN_PIN_SOURCE, 0,
                         "the token's URI carries pin-value or pin-source, which is not used: "
                         "remove it");
    return B_OK;
}

static enum b_code take_config(struct custody *c, const struct custody_config *config,
                               struct b_err *err)
{
    size_t n = strlen(config->establishment);
    if (n == 0 || n > CUSTODY_ESTABLISHMENT_MAX || strchr(config->establishment, ':') != NULL)
        return b_err_set(err, B_E_CONFIG, 0, "the establishment's number must have 1 to %d signs",
                         CUSTODY_ESTABLISHMENT_MAX);
    memcpy(c->establishment, config->establishment, n + 1);
    c->may_use_last_try = config->may_use_last_try;
    c->in_token = config->in_token;
    if (config->pin != NULL) {
        size_t pin_len = strlen(config->pin);
        if (pin_len == 0 || pin_len > CUSTODY_PIN_MAX)
            return b_err_set(err, B_E_TOKEN_PIN_SOURCE, 0, "the PIN must have 1 to %d signs",
                             CUSTODY_PIN_MAX);
        c->pin = b_secret_alloc(pin_len + 1);
        if (c->pin == NULL)
            return b_err_set(err, B_E_NO_MEMORY, 0, "keeping the PIN");
        memcpy(c->pin, config->pin, pin_len + 1);
    }
    return parse_uri(c, config->uri, err);
}

static enum b_code no_work(struct custody *c, void *arg, struct b_err *err)
{
    (void)c;
    (void)arg;
    (void)err;
    return B_OK;
}

/* SoftHSM truncates a token's file before it writes it anew, at each login of any process: whoever
 * looks for tokens at that moment finds none, and whoever logs in one without a PIN. So a token
 * that was never seen is looked for again.
 */
static bool is_passing(enum b_code r, const struct b_err *err)
{
    return may_reinit(r) || (r == B_E_TOKEN_PIN_WRONG && err->aux == CKR_USER_PIN_NOT_INITIALIZED);
}

static enum b_code first_contact(struct custody *c, struct b_err *err)
{
    enum { TRIES = 4, PAUSE_MS = 40 };
    struct b_err own = {0};
    if (err == NULL)
        err = &own;
    enum b_code r = custody_run(c, no_work, NULL, err);
    for (int i = 1; i < TRIES && is_passing(r, err); i++) {
        (void)nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
        r = custody_run(c, no_work, NULL, err);
    }
    return r;
}

enum b_code custody_open(const struct custody_config *config, struct custody **ret,
                         struct b_err *err)
{
    p11_kit_be_quiet();
    struct custody *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "opening the token");
    custody_register(c);
    enum b_code r = take_config(c, config, err);
    if (r == B_OK)
        r = first_contact(c, err);
    if (r != B_OK) {
        custody_free(&c);
        return r;
    }
    *ret = c;
    return B_OK;
}

void custody_free(struct custody **pc)
{
    struct custody *c = *pc;
    *pc = NULL;
    if (c == NULL)
        return;
    custody_enter_alone();
    custody_unregister(c);
    custody_disconnect(c); /* no C_Logout: it would log the others out */
    custody_finalize(c);
    if (c->modules != NULL)
        p11_kit_modules_release(c->modules);
    else if (c->module != NULL)
        p11_kit_module_release(c->module);
    custody_leave();
    p11_kit_uri_free(c->uri);
    b_secret_free(c->pin);
    free(c);
}

/* Asks the token, so that one that vanished is seen. */
static enum b_code ask_session(struct custody *c, void *arg, struct b_err *err)
{
    (void)arg;
    CK_SESSION_INFO info;
    CK_RV rv = c->module->C_GetSessionInfo(c->session, &info);
    return rv == CKR_OK ? B_OK : custody_fail(c, rv, "asking for the session's state", err);
}

enum b_code custody_token(struct custody *c, struct custody_token *ret, struct b_err *err)
{
    enum b_code r = custody_run(c, ask_session, NULL, err);
    if (r == B_OK)
        *ret = c->token;
    return r;
}
