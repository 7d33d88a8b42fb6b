/* session.yaml, through libcyaml with a schema: what is absent has a default. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/yaml.h"
#include "pam/pam.h"
#include "session/session.h"

enum { TEXT_MAX = 65536, DEBOUNCE_MS = 1500, DEBOUNCE_MOST_MS = 60000 };

struct file {
    uint32_t *debounce_ms;
    bool card_stays;
    char *kiosk, *map, *seat, *socket, *state;
};

#define TEXT(name, field, max)                                                                    \
    CYAML_FIELD_STRING_PTR(name, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file, field, 1, \
                           max)

static const cyaml_schema_field_t fields[] = {
    CYAML_FIELD_UINT_PTR("debounce-ms", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file,
                         debounce_ms),
    CYAML_FIELD_BOOL("card-stays", CYAML_FLAG_OPTIONAL, struct file, card_stays),
    TEXT("kiosk", kiosk, SESSION_USER_MAX),
    TEXT("map", map, SESSION_PATH_MAX - 1),
    TEXT("seat", seat, SESSION_ID_MAX),
    TEXT("socket", socket, SESSION_PATH_MAX - 1),
    TEXT("state", state, SESSION_PATH_MAX - 1),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct file, fields)};

static void take_text(char *to, size_t cap, const char *from)
{
    if (from != NULL)
        (void)snprintf(to, cap, "%s", from);
}

static enum b_code take(const char *path, const struct file *f, struct session_config *c,
                        struct b_err *err)
{
    if (f->debounce_ms != NULL)
        c->debounce_ms = *f->debounce_ms;
    c->card_stays = f->card_stays;
    take_text(c->kiosk, sizeof(c->kiosk), f->kiosk);
    take_text(c->map, sizeof(c->map), f->map);
    take_text(c->seat, sizeof(c->seat), f->seat);
    take_text(c->socket, sizeof(c->socket), f->socket);
    take_text(c->state, sizeof(c->state), f->state);
    if (c->debounce_ms > DEBOUNCE_MOST_MS)
        return b_err_set(err, B_E_CONFIG, 0, "%s: debounce-ms: 0 to %d", path, DEBOUNCE_MOST_MS);
    if (c->map[0] != '/' && strcmp(c->map, "identity") != 0 && strcmp(c->map, "lower") != 0)
        return b_err_set(err, B_E_CONFIG, 0, "%s: map: identity, lower or an absolute path", path);
    if (c->state[0] != '/')
        return b_err_set(err, B_E_CONFIG, 0, "%s: state: an absolute path is needed", path);
    return B_OK;
}

enum b_code session_config_load(const char *path, struct session_config *ret, struct b_err *err)
{
    struct file *f = NULL;
    char *text = NULL;
    *ret = (struct session_config){.debounce_ms = DEBOUNCE_MS,
                                   .map = "identity",
                                   .seat = "seat0",
                                   .socket = "/run/tessere-agent/socket",
                                   .state = "/run/tessere-session"};
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return B_OK;
    enum b_code r = pam_file_read(path, TEXT_MAX, &text, err);
    if (r != B_OK)
        return r;
    r = config_load(path, text, strlen(text), &schema, (cyaml_data_t **)&f, err);
    if (r == B_OK)
        r = take(path, f, ret, err);
    config_free(&schema, f);
    free(text);
    return r;
}
