/*
 * A PKCS#11 module that misbehaves on request: SoftHSM2 behind a copy of its function list in
 * which some entries are ours. What to do is read at each call from the file $SOFTHSM2_CONF.fault
 * (words apart by spaces); "…-once" faults remove the file when they strike. C_Login is counted in
 * $SOFTHSM2_CONF.logins, a byte per call; keys derived and objects destroyed, in .derived and
 * .destroyed.
 *
 *   no-cmac no-cbc       the token lacks the mechanism
 *   no-inside            ... CKM_AES_ECB_ENCRYPT_DATA
 *   no-wrap              ... CKM_AES_KEY_WRAP
 *   no-aes               as tpm2-pkcs11: no AES key can be made, brought in or derived; its OAEP is
 * by SHA-256, and becomes SoftHSM2's, by SHA-1 device-error         C_SignInit fails;
 * device-error-once drop-in-use-once     the session is closed while a derived key is in use
 *   no-destroy           an object cannot be destroyed
 *   leaks                derived keys can be read
 *   drop-session-once    the session is closed under its user
 *   no-data              the token keeps no data objects
 *   vanish               no token present; what was open fails as removed
 *   finalized-once       the module forgot that it was initialised
 *   hang crash           C_GetSessionInfo never answers; it ends the process
 *   pin-locked final-try count-low      flags of the token
 *   login-locked         C_Login says that the PIN is locked
 *   no-pin-once          ... that the token has none
 *   extractable          keys say that they can be extracted
 *   says-local           imported keys say that they were made in the token
 */
#include <p11-kit/pkcs11.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static CK_FUNCTION_LIST *real;
static CK_FUNCTION_LIST patched;

static void beside_config(char *out, size_t cap, const char *suffix)
{
    const char *config = getenv("SOFTHSM2_CONF");
    (void)snprintf(out, cap, "%s%s", config != NULL ? config : "/nonexistent", suffix);
}

static bool asked(const char *word)
{
    char path[1100];
    char text[256] = " ";
    beside_config(path, sizeof(path), ".fault");
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return false;
    size_t n = fread(text + 1, 1, sizeof(text) - 3, f);
    (void)fclose(f);
    text[n + 1] = ' ';
    char wanted[64];
    (void)snprintf(wanted, sizeof(wanted), " %s ", word);
    if (strstr(text, wanted) == NULL)
        return false;
    /* of threads that all read it, one strikes */
    return strstr(word, "-once") == NULL || unlink(path) == 0;
}

static CK_RV get_slot_list(CK_BBOOL present, CK_SLOT_ID *slots, CK_ULONG *n)
{
    if (asked("vanish")) {
        *n = 0;
        return CKR_OK;
    }
    return real->C_GetSlotList(present, slots, n);
}

static CK_RV get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    if (asked("vanish"))
        return CKR_TOKEN_NOT_PRESENT;
    CK_RV rv = real->C_GetTokenInfo(slot, info);
    if (rv != CKR_OK)
        return rv;
    if (asked("pin-locked"))
        info->flags |= CKF_USER_PIN_LOCKED;
    if (asked("final-try"))
        info->flags |= CKF_USER_PIN_FINAL_TRY;
    if (asked("count-low"))
        info->flags |= CKF_USER_PIN_COUNT_LOW;
    return CKR_OK;
}

static CK_RV get_mechanism_info(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
    if ((type == CKM_AES_CMAC && asked("no-cmac")) || (type == CKM_AES_CBC && asked("no-cbc")) ||
        (type == CKM_AES_ECB_ENCRYPT_DATA && asked("no-inside")) ||
        (type == CKM_AES_KEY_WRAP && (asked("no-wrap") || asked("no-aes"))))
        return CKR_MECHANISM_INVALID;
    return real->C_GetMechanismInfo(slot, type, info);
}

static CK_RV get_session_info(CK_SESSION_HANDLE session, CK_SESSION_INFO *info)
{
    if (asked("vanish"))
        return CKR_DEVICE_REMOVED;
    while (asked("hang"))
        (void)usleep(1000000);
    if (asked("crash"))
        abort();
    return real->C_GetSessionInfo(session, info);
}

/* A byte more in the file that counts. */
static void count(const char *suffix)
{
    char path[1100];
    beside_config(path, sizeof(path), suffix);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    if (write(fd, "+", 1) != 1)
        abort();
    (void)close(fd);
}

static CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, unsigned char *pin, CK_ULONG n)
{
    count(".logins");
    if (asked("login-locked"))
        return CKR_PIN_LOCKED;
    if (asked("no-pin-once"))
        return CKR_USER_PIN_NOT_INITIALIZED;
    return real->C_Login(session, user, pin, n);
}

static CK_RV sign_init(CK_SESSION_HANDLE session, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
    if (asked("vanish"))
        return CKR_DEVICE_REMOVED;
    if (asked("device-error") || asked("device-error-once"))
        return CKR_DEVICE_ERROR;
    if (asked("drop-session-once"))
        (void)real->C_CloseSession(session);
    if (asked("finalized-once")) {
        (void)real->C_Finalize(NULL);
        (void)real->C_Initialize(NULL);
    }
    return real->C_SignInit(session, m, key);
}

static CK_RV derive_key(CK_SESSION_HANDLE session, CK_MECHANISM *m, CK_OBJECT_HANDLE base,
                        CK_ATTRIBUTE *a, CK_ULONG n, CK_OBJECT_HANDLE *key)
{
    if (asked("vanish"))
        return CKR_DEVICE_REMOVED;
    if (asked("no-inside"))
        return CKR_MECHANISM_INVALID;
    if (asked("no-aes"))
        return CKR_FUNCTION_NOT_SUPPORTED;
    CK_RV rv = real->C_DeriveKey(session, m, base, a, n, key);
    if (rv == CKR_OK)
        count(".derived");
    return rv;
}

/* What SoftHSM2 knows in place of the caller's OAEP. */
static CK_MECHANISM *known(CK_MECHANISM *m)
{
    static CK_RSA_PKCS_OAEP_PARAMS params = {CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 0};
    static CK_MECHANISM oaep = {CKM_RSA_PKCS_OAEP, &params, sizeof(params)};
    return m->mechanism == CKM_RSA_PKCS_OAEP ? &oaep : m;
}

static CK_RV generate_key(CK_SESSION_HANDLE session, CK_MECHANISM *m, CK_ATTRIBUTE *a, CK_ULONG n,
                          CK_OBJECT_HANDLE *key)
{
    return asked("no-aes") ? CKR_FUNCTION_NOT_SUPPORTED
                           : real->C_GenerateKey(session, m, a, n, key);
}

static CK_RV decrypt_init(CK_SESSION_HANDLE session, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
    if (asked("vanish") || asked("device-error") || asked("device-error-once"))
        return CKR_DEVICE_ERROR;
    return real->C_DecryptInit(session, known(m), key);
}

static CK_RV generate_random(CK_SESSION_HANDLE session, unsigned char *out, CK_ULONG n)
{
    return asked("device-error") ? CKR_DEVICE_ERROR : real->C_GenerateRandom(session, out, n);
}

static CK_RV encrypt_init(CK_SESSION_HANDLE session, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
    if (asked("vanish"))
        return CKR_DEVICE_REMOVED;
    if (m->mechanism == CKM_AES_CBC && asked("drop-in-use-once"))
        (void)real->C_CloseSession(session);
    return real->C_EncryptInit(session, known(m), key);
}

static CK_RV destroy_object(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object)
{
    if (asked("no-destroy"))
        return CKR_ACTION_PROHIBITED;
    count(".destroyed");
    return real->C_DestroyObject(session, object);
}

static void pretend(CK_ATTRIBUTE *a, CK_ULONG n, CK_ATTRIBUTE_TYPE type, CK_BBOOL value)
{
    for (CK_ULONG i = 0; i < n; i++)
        if (a[i].type == type && a[i].pValue != NULL && a[i].ulValueLen == sizeof(value))
            memcpy(a[i].pValue, &value, sizeof(value));
}

static CK_RV get_attribute_value(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, CK_ATTRIBUTE *a,
                                 CK_ULONG n)
{
    CK_RV rv = real->C_GetAttributeValue(session, key, a, n);
    if (rv == CKR_ATTRIBUTE_SENSITIVE && asked("leaks"))
        return CKR_OK;
    if (rv == CKR_OK && asked("extractable"))
        pretend(a, n, CKA_EXTRACTABLE, CK_TRUE);
    if (rv == CKR_OK && asked("says-local")) {
        pretend(a, n, CKA_LOCAL, CK_TRUE);
        pretend(a, n, CKA_ALWAYS_SENSITIVE, CK_TRUE);
        pretend(a, n, CKA_NEVER_EXTRACTABLE, CK_TRUE);
    }
    return rv;
}

static CK_RV create_object(CK_SESSION_HANDLE session, CK_ATTRIBUTE *a, CK_ULONG n,
                           CK_OBJECT_HANDLE *object)
{
    for (CK_ULONG i = 0; i < n; i++) {
        CK_OBJECT_CLASS class = a[i].type == CKA_CLASS ? *(CK_OBJECT_CLASS *)a[i].pValue : CKO_DATA;
        if (a[i].type == CKA_CLASS && asked(class == CKO_DATA ? "no-data" : "no-aes"))
            return CKR_ATTRIBUTE_VALUE_INVALID;
    }
    return real->C_CreateObject(session, a, n, object);
}

EXPORT CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list);

EXPORT CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list)
{
    if (real == NULL) {
        void *module = dlopen("/usr/lib/softhsm/libsofthsm2.so", RTLD_NOW | RTLD_LOCAL);
        if (module == NULL)
            return CKR_GENERAL_ERROR;
        CK_C_GetFunctionList get = NULL;
        *(void **)&get = dlsym(module, "C_GetFunctionList");
        if (get == NULL || get(&real) != CKR_OK)
            return CKR_GENERAL_ERROR;
    }
    patched = *real;
    patched.C_GetFunctionList = C_GetFunctionList;
    patched.C_GetSlotList = get_slot_list;
    patched.C_GetTokenInfo = get_token_info;
    patched.C_GetMechanismInfo = get_mechanism_info;
    patched.C_GetSessionInfo = get_session_info;
    patched.C_Login = login;
    patched.C_SignInit = sign_init;
    patched.C_DeriveKey = derive_key;
    patched.C_EncryptInit = encrypt_init;
    patched.C_DecryptInit = decrypt_init;
    patched.C_GenerateKey = generate_key;
    patched.C_GenerateRandom = generate_random;
    patched.C_DestroyObject = destroy_object;
    patched.C_GetAttributeValue = get_attribute_value;
    patched.C_CreateObject = create_object;
    *list = &patched;
    return CKR_OK;
}
