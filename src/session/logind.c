/* org.freedesktop.login1(5) and, for a greeter, org.freedesktop.DisplayManager, on the system bus.
 */
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "session/session.h"

#define LOGIN "org.freedesktop.login1"
#define LOGIN_PATH "/org/freedesktop/login1"
#define MANAGER LOGIN ".Manager"
#define SESSION LOGIN ".Session"

enum { CALL_MS = 3000 }; /* a hook's time is short */

struct session_bus {
    sd_bus *bus;
};

static enum b_code failed(struct b_err *err, const char *what, const sd_bus_error *why, int r)
{
    return b_err_set(err, B_E_SYSTEM, (uint32_t)-r, "%s: %s", what,
                     why->message != NULL ? why->message : strerror(-r));
}

enum b_code session_bus_open(struct session_bus **ret, struct b_err *err)
{
    struct session_bus *b = calloc(1, sizeof(*b));
    int r = b != NULL ? sd_bus_open_system(&b->bus) : -1;
    if (r < 0) {
        free(b);
        return b_err_set(err, B_E_SYSTEM, (uint32_t)-r, "the system bus: %s", strerror(-r));
    }
    (void)sd_bus_set_method_call_timeout(b->bus, (uint64_t)CALL_MS * 1000);
    *ret = b;
    return B_OK;
}

void session_bus_free(struct session_bus **b)
{
    if (*b != NULL)
        sd_bus_flush_close_unref((*b)->bus);
    free(*b);
    *b = NULL;
}

/* --- looking -----------------------------------------------------------------------------------
 */

/* One session of the seat, put where it belongs. One that went meanwhile is none. */
static void take(struct session_bus *b, const char *id, const char *user, const char *path,
                 struct session_facts *io, char *greeter)
{
    char *class = NULL;
    char *state = NULL;
    int is_active = 0;
    int is_locked = 0;
    bool is_read =
        sd_bus_get_property_string(b->bus, LOGIN, path, SESSION, "Class", NULL, &class) >= 0 &&
        sd_bus_get_property_string(b->bus, LOGIN, path, SESSION, "State", NULL, &state) >= 0 &&
        sd_bus_get_property_trivial(b->bus, LOGIN, path, SESSION, "Active", NULL, 'b',
                                    &is_active) >= 0 &&
        sd_bus_get_property_trivial(b->bus, LOGIN, path, SESSION, "LockedHint", NULL, 'b',
                                    &is_locked) >= 0;
    bool is_users = is_read && strcmp(class, "user") == 0 && strcmp(state, "closing") != 0;
    struct session_one *to = NULL;
    if (is_read && strcmp(class, "greeter") == 0) {
        io->is_greeter_active = io->is_greeter_active || is_active != 0;
        (void)snprintf(greeter, SESSION_ID_MAX + 1, "%s", id);
    } else if (is_users && is_active != 0) {
        to = &io->active;
    } else if (is_users && io->user[0] != '\0' && strcmp(user, io->user) == 0) {
        to = &io->own;
    }
    if (to != NULL) {
        (void)snprintf(to->id, sizeof(to->id), "%s", id);
        (void)snprintf(to->user, sizeof(to->user), "%s", user);
        to->is_locked = is_locked != 0;
    }
    free(class);
    free(state);
}

enum b_code session_look(struct session_bus *b, const struct session_config *c,
                         struct session_facts *io, char ret_greeter[static SESSION_ID_MAX + 1],
                         struct b_err *err)
{
    sd_bus_error why = SD_BUS_ERROR_NULL;
    sd_bus_message *answer = NULL;
    const char *id, *user, *seat, *path;
    uint32_t uid = 0;
    ret_greeter[0] = '\0';
    int r =
        sd_bus_call_method(b->bus, LOGIN, LOGIN_PATH, MANAGER, "ListSessions", &why, &answer, "");
    if (r >= 0)
        r = sd_bus_message_enter_container(answer, 'a', "(susso)");
    while (r >= 0 &&
           (r = sd_bus_message_read(answer, "(susso)", &id, &uid, &user, &seat, &path)) > 0)
        if (strcmp(seat, c->seat) == 0)
            take(b, id, user, path, io, ret_greeter);
    enum b_code code = r >= 0 ? B_OK : failed(err, "listing the sessions", &why, r);
    sd_bus_error_free(&why);
    (void)sd_bus_message_unref(answer);
    return code;
}

/* --- acting ------------------------------------------------------------------------------------
 */

static enum b_code call(struct session_bus *b, const char *method, const char *id,
                        struct b_err *err)
{
    sd_bus_error why = SD_BUS_ERROR_NULL;
    int r = sd_bus_call_method(b->bus, LOGIN, LOGIN_PATH, MANAGER, method, &why, NULL, "s", id);
    enum b_code code = r >= 0 ? B_OK : failed(err, method, &why, r);
    sd_bus_error_free(&why);
    return code;
}

/* A greeter that runs already comes to the front; else the display manager makes one. */
static enum b_code show_greeter(struct session_bus *b, const char *greeter, struct b_err *err)
{
    sd_bus_error why = SD_BUS_ERROR_NULL;
    if (greeter[0] != '\0')
        return call(b, "ActivateSession", greeter, err);
    int r = sd_bus_call_method(
        b->bus, "org.freedesktop.DisplayManager", "/org/freedesktop/DisplayManager/Seat0",
        "org.freedesktop.DisplayManager.Seat", "SwitchToGreeter", &why, NULL, "");
    enum b_code code = r >= 0 ? B_OK : failed(err, "showing the greeter", &why, r);
    sd_bus_error_free(&why);
    return code;
}

/* Who leaves is locked before anybody else comes to the front. */
static enum b_code leave(struct session_bus *b, const struct session_facts *f, struct b_err *err)
{
    bool is_open = f->active.id[0] != '\0' && !f->active.is_locked;
    return is_open ? call(b, "LockSession", f->active.id, err) : B_OK;
}

enum b_code session_do(struct session_bus *b, const struct session_facts *f, const char *greeter,
                       enum session_act act, struct b_err *err)
{
    enum b_code r = B_OK;
    switch (act) {
    case SESSION_NOTHING:
        return B_OK;
    case SESSION_LOCK:
    case SESSION_KIOSK_END:
        return call(b, "LockSession", f->active.id, err);
    case SESSION_UNLOCK:
    case SESSION_KIOSK_BEGIN:
        return call(b, "UnlockSession", f->active.id, err);
    case SESSION_SWITCH:
        r = leave(b, f, err);
        if (r == B_OK)
            r = call(b, "ActivateSession", f->own.id, err);
        return r == B_OK ? call(b, "UnlockSession", f->own.id, err) : r;
    case SESSION_GREETER:
        r = leave(b, f, err);
        return r == B_OK ? show_greeter(b, greeter, err) : r;
    }
    return r;
}
