/*
 * The embedded default: a SoftHSM2 token in a directory of ours.
 *
 *   dir/softhsm2.conf   SOFTHSM2_CONF of every later use; renamed into place when all is done
 *   dir/tokens/         SoftHSM's object store
 *   dir/pin, so-pin     mode 0600
 *
 * The token is made through PKCS#11. A run that was cut leaves no softhsm2.conf and is begun again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "custody/token.h"

enum { PATH_CAP = 1024 };

static const char *const modules[] = {
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
};

static enum b_code path_of(char *out, const char *dir, const char *name, struct b_err *err)
{
    int n = snprintf(out, PATH_CAP, "%s/%s", dir, name);
    if (n < 0 || n >= PATH_CAP)
        return b_err_set(err, B_E_CONFIG, 0, "the path %s is too long", dir);
    return B_OK;
}

static enum b_code write_all(int fd, const char *path, const char *text, struct b_err *err)
{
    size_t n = strlen(text);
    size_t done = 0;
    while (done < n) {
        ssize_t w = write(fd, text + done, n - done);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "writing %s: %s", path,
                             strerror(errno));
        done += (size_t)w;
    }
    if (fsync(fd) != 0)
        return b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "writing %s: %s", path, strerror(errno));
    return B_OK;
}

static enum b_code write_file(const char *dir, const char *name, const char *text,
                              struct b_err *err)
{
    char path[PATH_CAP];
    enum b_code r = path_of(path, dir, name, err);
    if (r != B_OK)
        return r;
    if (unlink(path) != 0 && errno != ENOENT)
        return b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "replacing %s: %s", path,
                         strerror(errno));
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "creating %s: %s", path,
                         strerror(errno));
    r = write_all(fd, path, text, err);
    (void)close(fd);
    return r;
}

static enum b_code write_config(const char *dir, struct b_err *err)
{
    char tokens[PATH_CAP];
    enum b_code r = path_of(tokens, dir, "tokens", err);
    if (r != B_OK)
        return r;
    if (strpbrk(tokens, "#\n\r") != NULL || tokens[0] != '/')
        return b_err_set(err, B_E_CONFIG, 0,
                         "SoftHSM needs an absolute path without # or line breaks: %s", dir);
    if (mkdir(tokens, 0700) != 0 && errno != EEXIST)
        return b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "creating %s: %s", tokens,
                         strerror(errno));
    char text[PATH_CAP + 128];
    (void)snprintf(text, sizeof(text),
                   "directories.tokendir = %s\nobjectstore.backend = file\n"
                   "objectstore.umask = 0077\nlog.level = ERROR\nslots.removable = false\n",
                   tokens);
    return write_file(dir, "softhsm2.conf.new", text, err);
}

static const char *find_module(void)
{
    for (size_t i = 0; i < B_COUNT(modules); i++)
        if (access(modules[i], R_OK) == 0)
            return modules[i];
    return NULL;
}

/* The PIN of the user can only be set by the security officer in a session of their own. */
static CK_RV set_user_pin(CK_FUNCTION_LIST *p, CK_SLOT_ID slot, char *pin, char *so_pin)
{
    CK_SESSION_HANDLE session;
    CK_RV rv = p->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session);
    if (rv != CKR_OK)
        return rv;
    rv = p->C_Login(session, CKU_SO, (unsigned char *)so_pin, strlen(so_pin));
    if (rv == CKR_OK) {
        rv = p->C_InitPIN(session, (unsigned char *)pin, strlen(pin));
        (void)p->C_Logout(session);
    }
    (void)p->C_CloseSession(session);
    return rv;
}

static CK_RV make_token(CK_FUNCTION_LIST *p, const char *label, char *pins[2], CK_TOKEN_INFO *ret)
{
    CK_SLOT_ID slots[16];
    CK_ULONG n = B_COUNT(slots);
    CK_RV rv = p->C_GetSlotList(CK_FALSE, slots, &n);
    for (CK_ULONG i = 0; rv == CKR_OK && i < n; i++) {
        rv = p->C_GetTokenInfo(slots[i], ret);
        if (rv != CKR_OK || (ret->flags & CKF_TOKEN_INITIALIZED) != 0)
            continue;
        unsigned char padded[32];
        struct b_wr w = b_wr_from(padded, sizeof(padded)); /* not terminated: PKCS#11 pads */
        b_wr_bytes(&w, label, strlen(label));
        b_wr_fill(&w, ' ', w.cap - w.len);
        rv = p->C_InitToken(slots[i], (unsigned char *)pins[1], strlen(pins[1]), padded);
        if (rv == CKR_OK)
            rv = set_user_pin(p, slots[i], pins[0], pins[1]);
        return rv != CKR_OK ? rv : p->C_GetTokenInfo(slots[i], ret);
    }
    return rv != CKR_OK ? rv : CKR_TOKEN_NOT_PRESENT;
}

static enum b_code format_uri(const char *module, const CK_TOKEN_INFO *info, char *ret_uri,
                              size_t cap, struct b_err *err)
{
    P11KitUri *uri = p11_kit_uri_new();
    char *text = NULL;
    if (uri == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "naming the token");
    CK_TOKEN_INFO *token = p11_kit_uri_get_token_info(uri);
    memcpy(token->label, info->label, sizeof(token->label));
    memcpy(token->serialNumber, info->serialNumber, sizeof(token->serialNumber));
    p11_kit_uri_set_module_path(uri, module);
    int ok = p11_kit_uri_format(uri, P11_KIT_URI_FOR_ANY, &text);
    size_t n = ok == P11_KIT_URI_OK ? strlen(text) : cap;
    enum b_code r = B_OK;
    if (n < cap)
        memcpy(ret_uri, text, n + 1);
    else
        r = b_err_set(err, B_E_INTERNAL, 0, "naming the token");
    free(text);
    p11_kit_uri_free(uri);
    return r;
}

/* Loads SoftHSM with the configuration of dir, makes the token, lets SoftHSM go. */
static enum b_code create_in(const char *dir, const char *label, char *pins[2], char *ret_uri,
                             size_t cap, struct b_err *err)
{
    char config[PATH_CAP];
    enum b_code r = path_of(config, dir, "softhsm2.conf.new", err);
    const char *path = find_module();
    if (r != B_OK)
        return r;
    if (path == NULL)
        return b_err_set(err, B_E_TOKEN_MODULE, 0, "SoftHSM2 is not installed (libsofthsm2)");
    if (setenv("SOFTHSM2_CONF", config, 1) != 0)
        return b_err_set(err, B_E_NO_MEMORY, 0, "naming SoftHSM's configuration");
    CK_FUNCTION_LIST *p = p11_kit_module_load(path, P11_KIT_MODULE_CRITICAL);
    if (p == NULL)
        return b_err_set(err, B_E_TOKEN_MODULE, 0, "loading %s: %s", path, p11_kit_message());
    CK_TOKEN_INFO info;
    CK_RV rv = p11_kit_module_initialize(p);
    if (rv == CKR_OK) {
        rv = make_token(p, label, pins, &info);
        (void)p11_kit_module_finalize(p);
    }
    if (rv != CKR_OK)
        r = b_err_set(err, B_E_TOKEN_FAILED, (uint32_t)rv, "making a SoftHSM2 token in %s: %s", dir,
                      p11_kit_strerror(rv));
    else
        r = format_uri(path, &info, ret_uri, cap, err);
    p11_kit_module_release(p);
    return r;
}

static enum b_code put_in_place(const char *dir, struct b_err *err)
{
    char from[PATH_CAP];
    char to[PATH_CAP];
    enum b_code r = path_of(from, dir, "softhsm2.conf.new", err);
    if (r == B_OK)
        r = path_of(to, dir, "softhsm2.conf", err);
    if (r != B_OK)
        return r;
    if (rename(from, to) != 0)
        return b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "creating %s: %s", to, strerror(errno));
    if (setenv("SOFTHSM2_CONF", to, 1) != 0)
        return b_err_set(err, B_E_NO_MEMORY, 0, "naming SoftHSM's configuration");
    return B_OK;
}

enum b_code custody_softhsm_create(const char *dir, const char *label, const char *pin,
                                   const char *so_pin, char *ret_uri, size_t cap, struct b_err *err)
{
    char path[PATH_CAP];
    enum b_code r = path_of(path, dir, "softhsm2.conf", err);
    if (r != B_OK)
        return r;
    if (access(path, F_OK) == 0)
        return b_err_set(err, B_E_DUPLICATE, 0, "there is a token in %s already", dir);
    if (strlen(label) == 0 || strlen(label) > 32)
        return b_err_set(err, B_E_CONFIG, 0, "a token's label has 1 to 32 signs");
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "creating %s: %s", dir, strerror(errno));
    p11_kit_be_quiet();
    char *pins[2] = {b_secret_alloc(strlen(pin) + 1), b_secret_alloc(strlen(so_pin) + 1)};
    if (pins[0] == NULL || pins[1] == NULL) {
        r = b_err_set(err, B_E_NO_MEMORY, 0, "keeping the PINs");
    } else {
        memcpy(pins[0], pin, strlen(pin));
        memcpy(pins[1], so_pin, strlen(so_pin));
        r = write_config(dir, err);
    }
    if (r == B_OK)
        r = write_file(dir, "pin", pin, err);
    if (r == B_OK)
        r = write_file(dir, "so-pin", so_pin, err);
    if (r == B_OK)
        r = create_in(dir, label, pins, ret_uri, cap, err);
    if (r == B_OK)
        r = put_in_place(dir, err);
    b_secret_free(pins[0]);
    b_secret_free(pins[1]);
    return r;
}
