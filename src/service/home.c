/* Opening a home. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "profile/file.h"
#include "service/directory_config.h"
#include "service/home.h"
#include "service/policy.h"

enum b_code service_home_path(const char *home, const char *name, char *ret, size_t cap,
                              struct b_err *err)
{
    struct b_wr w = b_wr_from(ret, cap);
    b_wr_bytes(&w, home, strlen(home));
    b_wr_u8(&w, '/');
    b_wr_bytes(&w, name, strlen(name) + 1);
    return b_wr_ok(&w) ? B_OK : b_err_set(err, B_E_USAGE, 0, "the path is too long: %.80s", home);
}

enum b_code service_home_open_store(const char *path, bool may_create, bool is_threaded,
                                    struct service *sv, struct b_err *err)
{
    struct store *writes = NULL;
    enum b_code r = store_open(path, may_create, &sv->store, err);
    if (r == B_OK)
        r = store_open(path, false, &writes, err);
    if (r == B_OK && is_threaded)
        store_leave_tidying(writes);
    return r == B_OK ? service_writer_open(writes, is_threaded, &sv->writer, err) : r;
}

enum b_code service_home_policy(const char *home, struct service *sv, bool *ret_is_refused,
                                struct b_err *err)
{
    static char text[SERVICE_TEXT_MAX];
    char path[SERVICE_PATH_MAX];
    size_t n = 0;
    enum b_code r = service_home_path(home, "policy.yaml", path, sizeof(path), err);
    if (r != B_OK)
        return r;
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return service_policy_open(sv, NULL, ret_is_refused, err);
    r = service_read_file(path, text, sizeof(text) - 1, &n, err);
    if (r == B_OK && memchr(text, '\0', n) != NULL)
        r = b_err_set(err, B_E_CONFIG, 0, "%s: not a text", path);
    text[r == B_OK ? n : 0] = '\0';
    return r == B_OK ? service_policy_open(sv, text, ret_is_refused, err) : r;
}

enum b_code service_home_load(const char *home, struct service *sv, struct b_err *err)
{
    static char text[65536];
    char path[SERVICE_PATH_MAX];
    size_t n = 0;
    struct profile *p = &sv->profile;
    const struct store_establishment *e = &sv->establishment;
    enum b_code r = store_establishment_get(sv->store, &sv->establishment, err);
    if (r == B_OK)
        r = service_home_path(home, "profile.yaml", path, sizeof(path), err);
    if (r == B_OK)
        r = service_read_file(path, text, sizeof(text), &n, err);
    if (r == B_OK)
        r = profile_file_read(path, text, n, p, err);
    if (r != B_OK)
        return r;
    memcpy(p->system, e->system, sizeof(p->system));
    p->system_len = e->system_len;
    static struct service_directory_config directory;
    r = service_directory_config_read(home, &directory, err);
    sv->directory = directory.rules;
    return r;
}

enum b_code service_read_file(const char *path, char *ret, size_t cap, size_t *ret_n,
                              struct b_err *err)
{
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return b_err_set(err, B_E_BAD_INPUT, (uint32_t)errno, "%s: %s", path, strerror(errno));
    *ret_n = fread(ret, 1, cap, f);
    int cause = errno;
    bool is_good = ferror(f) == 0, is_whole = fgetc(f) == EOF;
    (void)fclose(f);
    if (!is_good)
        return b_err_set(err, B_E_BAD_INPUT, (uint32_t)cause, "%s: %s", path, strerror(cause));
    return is_whole ? B_OK : b_err_set(err, B_E_BAD_INPUT, 0, "%s: more than %zu bytes", path, cap);
}
