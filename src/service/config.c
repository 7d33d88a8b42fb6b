/* tessere.yaml, through libcyaml with a schema. */
#include "service/config.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "config/yaml.h"

/* The file: everything is a string, absent ones are NULL. */
struct file {
    char *finess, *token, *softhsm_conf, *pin_file, *vault, *in_token, *stored;
    bool *stock_two_people;
};

static const cyaml_schema_field_t fields[] = {
    CYAML_FIELD_STRING_PTR("finess", CYAML_FLAG_POINTER, struct file, finess, 9, 9),
    CYAML_FIELD_STRING_PTR("token", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file, token, 1,
                           SERVICE_URI_MAX - 1),
    CYAML_FIELD_STRING_PTR("softhsm-conf", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file,
                           softhsm_conf, 1, SERVICE_PATH_MAX - 1),
    CYAML_FIELD_STRING_PTR("pin-file", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file,
                           pin_file, 1, SERVICE_PATH_MAX - 1),
    CYAML_FIELD_STRING_PTR("vault", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file, vault, 1,
                           SERVICE_SOCKET_MAX - 1),
    CYAML_FIELD_STRING_PTR("in-token", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file,
                           in_token, 1, KEY_STAY_TEXT - 1),
    CYAML_FIELD_BOOL_PTR("stock-two-people", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file,
                         stock_two_people),
    CYAML_FIELD_STRING_PTR("stored", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file, stored,
                           1, KEY_STAY_TEXT - 1),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct file, fields)};

static void take(char *to, size_t cap, const char *from)
{
    (void)snprintf(to, cap, "%s", from != NULL ? from : "");
}

/* The token is named here, or it is the affair of whoever serves vaults. */
static enum b_code check(const char *path, const struct service_config *c, struct b_err *err)
{
    bool has_token = c->token_uri[0] != '\0';
    enum key_role both = key_stay_both(&c->in_token, &c->stored);
    if (both != KEY_ROLE_COUNT)
        return b_err_set(
            err, B_E_CONFIG, 0,
            "%s: in-token: and stored: both name %s: a key that is drawn is in no token", path,
            key_role_name(both));
    if (c->vault[0] == '\0')
        return has_token ? B_OK
                         : b_err_set(err, B_E_CONFIG, 0, "%s: token: or vault: is needed", path);
    if (has_token || c->softhsm_conf[0] != '\0' || c->pin_file[0] != '\0')
        return b_err_set(err, B_E_CONFIG, 0,
                         "%s: vault: takes the place of token:, softhsm-conf: and pin-file:", path);
    return B_OK;
}

/* NULL, as absent, when it is empty. */
static char *or_absent(char *text)
{
    return text[0] != '\0' ? text : NULL;
}

enum b_code service_config_read(const char *path, struct service_config *ret, struct b_err *err)
{
    struct file *f = NULL;
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return b_err_set(err, B_E_NOT_INITIALISED, 0, "%s", path);
    enum b_code r = config_load_file(path, &schema, (cyaml_data_t **)&f, err);
    if (r != B_OK)
        return r;
    *ret = (struct service_config){0};
    take(ret->finess, sizeof(ret->finess), f->finess);
    take(ret->token_uri, sizeof(ret->token_uri), f->token);
    take(ret->softhsm_conf, sizeof(ret->softhsm_conf), f->softhsm_conf);
    take(ret->pin_file, sizeof(ret->pin_file), f->pin_file);
    take(ret->vault, sizeof(ret->vault), f->vault);
    ret->stock_needs_two = f->stock_two_people != NULL && *f->stock_two_people;
    bool is_known = key_stay_read(f->in_token != NULL ? f->in_token : "", &ret->in_token);
    bool is_stored_known = key_stay_read(f->stored != NULL ? f->stored : "", &ret->stored);
    config_free(&schema, f);
    if (!is_known || !is_stored_known)
        return b_err_set(err, B_E_CONFIG, 0,
                         "%s: %s: takes roles with commas, such as auth or auth:2", path,
                         is_known ? "stored" : "in-token");
    return check(path, ret, err);
}

enum b_code service_config_write(const char *path, const struct service_config *config,
                                 struct b_err *err)
{
    struct service_config copy = *config;
    char in_token[KEY_STAY_TEXT];
    char stored[KEY_STAY_TEXT];
    key_stay_write(&config->in_token, in_token);
    key_stay_write(&config->stored, stored);
    struct file f = {.finess = copy.finess,
                     .token = or_absent(copy.token_uri),
                     .softhsm_conf = or_absent(copy.softhsm_conf),
                     .pin_file = or_absent(copy.pin_file),
                     .vault = or_absent(copy.vault),
                     .in_token = or_absent(in_token),
                     .stock_two_people = copy.stock_needs_two ? &copy.stock_needs_two : NULL,
                     .stored = or_absent(stored)};
    return config_save(path, &schema, &f, 0644, err);
}
