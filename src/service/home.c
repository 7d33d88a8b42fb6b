/* Opening a home; tessere.yaml, through libcyaml with a schema. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/yaml.h"
#include "profile/file.h"
#include "service/home.h"
#include "service/policy.h"

/* The file: everything is a string, absent ones are NULL. */
struct file {
    char *finess, *token, *softhsm_conf, *pin_file, *in_token;
};

static const cyaml_schema_field_t fields[] = {
    CYAML_FIELD_STRING_PTR("finess", CYAML_FLAG_POINTER, struct file, finess, 9, 9),
    CYAML_FIELD_STRING_PTR("token", CYAML_FLAG_POINTER, struct file, token, 1, SERVICE_URI_MAX - 1),
    CYAML_FIELD_STRING_PTR("softhsm-conf", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file,
                           softhsm_conf, 1, SERVICE_PATH_MAX - 1),
    CYAML_FIELD_STRING_PTR("pin-file", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file,
                           pin_file, 1, SERVICE_PATH_MAX - 1),
    CYAML_FIELD_STRING_PTR("in-token", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file,
                           in_token, 1, KEY_STAY_TEXT - 1),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct file, fields)};

enum b_code service_config_read(const char *path, struct service_config *ret, struct b_err *err)
{
    struct config_said said = {.text = ""};
    cyaml_config_t config = config_yaml(&said);
    struct file *f = NULL;
    cyaml_err_t r = cyaml_load_file(path, &config, &schema, (cyaml_data_t **)&f, NULL);
    if (r == CYAML_ERR_FILE_OPEN)
        return b_err_set(err, B_E_NOT_INITIALISED, 0, "%s", path);
    if (r != CYAML_OK)
        return b_err_set(err, B_E_CONFIG, (uint32_t)r, "%s: %s (%s)", path, said.text,
                         cyaml_strerror(r));
    if (f == NULL)
        return b_err_set(err, B_E_CONFIG, 0, "%s: the file is empty", path);
    *ret = (struct service_config){0};
    (void)snprintf(ret->finess, sizeof(ret->finess), "%s", f->finess);
    (void)snprintf(ret->token_uri, sizeof(ret->token_uri), "%s", f->token);
    (void)snprintf(ret->softhsm_conf, sizeof(ret->softhsm_conf), "%s",
                   f->softhsm_conf != NULL ? f->softhsm_conf : "");
    (void)snprintf(ret->pin_file, sizeof(ret->pin_file), "%s",
                   f->pin_file != NULL ? f->pin_file : "");
    bool is_known = key_stay_read(f->in_token != NULL ? f->in_token : "", &ret->in_token);
    (void)cyaml_free(&config, &schema, f, 0);
    if (!is_known)
        return b_err_set(err, B_E_CONFIG, 0,
                         "%s: in-token: takes roles with commas, such as auth or auth:2", path);
    return B_OK;
}

enum b_code service_config_write(const char *path, const struct service_config *config,
                                 struct b_err *err)
{
    struct service_config copy = *config;
    char in_token[KEY_STAY_TEXT];
    key_stay_write(&config->in_token, in_token);
    struct file f = {.finess = copy.finess,
                     .token = copy.token_uri,
                     .softhsm_conf = copy.softhsm_conf[0] != '\0' ? copy.softhsm_conf : NULL,
                     .pin_file = copy.pin_file[0] != '\0' ? copy.pin_file : NULL,
                     .in_token = in_token[0] != '\0' ? in_token : NULL};
    struct config_said said = {.text = ""};
    cyaml_config_t settings = config_yaml(&said);
    settings.flags = CYAML_CFG_STYLE_BLOCK;
    cyaml_err_t r = cyaml_save_file(path, &settings, &schema, &f, 0);
    if (r == CYAML_OK)
        return B_OK;
    return b_err_set(err, B_E_CONFIG, (uint32_t)r, "writing %s: %s", path, cyaml_strerror(r));
}

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
    return B_OK;
}

enum b_code service_read_file(const char *path, char *ret, size_t cap, size_t *ret_n,
                              struct b_err *err)
{
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return b_err_set(err, B_E_BAD_INPUT, (uint32_t)errno, "%s: %s", path, strerror(errno));
    *ret_n = fread(ret, 1, cap, f);
    bool is_good = ferror(f) == 0, is_whole = fgetc(f) == EOF;
    (void)fclose(f);
    if (!is_good || !is_whole)
        return b_err_set(err, B_E_BAD_INPUT, 0,
                         is_good ? "%s: more than %zu bytes" : "%s: unreadable", path, cap);
    return B_OK;
}
