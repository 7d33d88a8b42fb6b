/* What a tap does to the sessions of a seat. */
#include <string.h>

#include "session/session.h"

static bool is(const char *a, const char *b)
{
    return a[0] != '\0' && strcmp(a, b) == 0;
}

static enum session_act decide_lifted(const struct session_config *c, const struct session_facts *f)
{
    if (!c->card_stays || f->active.id[0] == '\0' || f->active.is_locked)
        return SESSION_NOTHING;
    if (is(c->kiosk, f->active.user))
        return is(f->identity, f->subject) ? SESSION_KIOSK_END : SESSION_NOTHING;
    return is(f->user, f->active.user) ? SESSION_LOCK : SESSION_NOTHING;
}

/* All share one account: the screen is locked between two persons, and whose turn it is is told. */
static enum session_act decide_kiosk(const struct session_config *c, const struct session_facts *f)
{
    if (f->active.is_locked || !is(f->identity, f->subject))
        return SESSION_KIOSK_BEGIN;
    return c->card_stays ? SESSION_NOTHING : SESSION_KIOSK_END;
}

/* The greeter asks PAM by itself, and so does a lock; a program of an open session that waits
 * (sudo) has the tap to itself. What is left is somebody else before a locked session. */
enum session_act session_decide(const struct session_config *c, const struct session_facts *f)
{
    bool has_front = f->active.id[0] != '\0';
    bool is_theirs = has_front && is(f->user, f->active.user);
    if (f->is_lifted)
        return decide_lifted(c, f);
    if (is(f->last, f->subject) && f->ago_ms >= 0 && f->ago_ms < (int64_t)c->debounce_ms)
        return SESSION_NOTHING;
    if (f->is_waited_for && (!f->active.is_locked || is_theirs))
        return SESSION_NOTHING;
    if (has_front && is(c->kiosk, f->active.user))
        return decide_kiosk(c, f);
    if (f->user[0] == '\0')
        return SESSION_NOTHING;
    if (is_theirs && f->active.is_locked)
        return SESSION_UNLOCK;
    if (is_theirs)
        return c->card_stays ? SESSION_NOTHING : SESSION_LOCK;
    if (f->own.id[0] != '\0')
        return SESSION_SWITCH;
    return has_front && !f->is_greeter_active ? SESSION_GREETER : SESSION_NOTHING;
}

bool session_leaves(const struct session_config *c, const struct session_facts *f,
                    enum session_act act)
{
    bool has_front = f->active.id[0] != '\0';
    if (act == SESSION_LOCK || act == SESSION_KIOSK_END)
        return true;
    return f->is_lifted && c->card_stays && (!has_front || is(f->user, f->active.user));
}
