/* The desk: scan, enrol, repair, blank, and the states of a badge. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "service/fleet.h"
#include "service/given.h"
#include "service/party.h"
#include "service/relay.h"

/* Finds the badge of the card that was inspected: by its true UID, else by its serial. */
static enum b_code find_badge(struct service *sv, const struct service_work *w,
                              struct store_badge *ret, struct b_err *err)
{
    enum b_code r = B_E_NOT_FOUND;
    if (w->state.uid_len == 7)
        r = store_badge_by_uid(sv->store, w->state.uid, ret, err);
    if (r == B_E_NOT_FOUND && w->state.serial_len > 0)
        r = store_badge_by_serial(sv->store, w->state.serial, w->state.serial_len, ret, err);
    return r;
}

/* Keys from a file, and those that custodians gave, which the vault alone can open. */
static enum b_code bring_others(const struct service *sv, struct service_work *w,
                                const struct service_others *others, struct b_err *err)
{
    if (others->is_ours_alone)
        return B_OK;
    struct profile_job *job = &w->job;
    struct b_wr wrapped = b_wr_from(w->given, sizeof(w->given));
    enum b_code r = service_given_gather(sv->store, &wrapped, err);
    w->given_len = wrapped.len;
    if (r == B_OK && others->given_count + w->given_len / VAULT_GIVEN > PROFILE_GIVEN_KEYS_MAX)
        r = b_err_set(err, B_E_TOO_LARGE, 0,
                      "%zu keys from a file and %zu that were given: at most %d are tried",
                      others->given_count, w->given_len / VAULT_GIVEN, PROFILE_GIVEN_KEYS_MAX);
    if (r != B_OK)
        return r;
    job->given_count = (uint8_t)others->given_count;
    if (job->given_count > 0)
        memcpy(job->given, others->given, job->given_count * sizeof(job->given[0]));
    if (others->fleet != NULL)
        job->fleet = *others->fleet;
    return B_OK;
}

enum b_code service_scan(struct service *sv, struct channel *ch,
                         const struct service_others *others, struct profile_state *ret_state,
                         struct profile_plan *ret_plan, struct store_badge *ret_badge,
                         struct b_err *err)
{
    struct service_work *w = service_work_new(sv, PROFILE_GOAL_SCAN, ch, err);
    if (w == NULL)
        return err->code;
    w->job.tries_known_keys = true;
    enum b_code r = bring_others(sv, w, others, err);
    if (r == B_OK)
        r = service_relay(sv, ch, w, NULL, NULL, NULL, err);
    if (r == B_OK) {
        *ret_state = w->state;
        *ret_plan = w->plan;
        *ret_badge = (struct store_badge){0};
        r = find_badge(sv, w, ret_badge, err);
        if (r == B_E_NOT_FOUND) {
            *ret_badge = (struct store_badge){0};
            r = service_fleet_find(sv, &w->state, err);
        }
    }
    service_work_free(&w);
    return r;
}

/* --- enrolment
 * -------------------------------------------------------------------------------------------- */

struct enrolment {
    struct service *sv;
    struct service_holder holder;
    struct store_badge badge;
    bool is_repair;
    bool is_carried; /* its holder has the card already */
};

/* A serial that nobody can guess the neighbour of: 12 characters of 32. */
static void make_serial(struct profile_job *job)
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    crypto_random(job->serial, 12);
    for (size_t i = 0; i < 12; i++)
        job->serial[i] = (uint8_t)digits[job->serial[i] % 32];
    job->serial_len = 12;
}

static void describe(struct store_badge *b, const struct service *sv, const struct service_work *w)
{
    const uint8_t *serial = w->state.serial_len > 0 ? w->state.serial : w->job.serial;
    uint8_t n = w->state.serial_len > 0 ? w->state.serial_len : w->job.serial_len;
    bool has_serial = crypto_div_uses_serial(crypto_div_find(sv->profile.diversification));
    if (w->state.uid_len == 7)
        memcpy(b->uid, w->state.uid, sizeof(b->uid));
    b->serial_len = has_serial ? n : 0;
    memcpy(b->serial, serial, b->serial_len);
    b->ev = (uint8_t)w->state.ev;
    (void)snprintf(b->profile_id, sizeof(b->profile_id), "%s", sv->profile.id);
    b->profile_revision = sv->profile.revision;
    static const uint8_t none[sizeof(b->salt)];
    if (b_ct_eq(b->salt, none, sizeof(none)))
        crypto_random(b->salt, sizeof(b->salt));
}

/* Why a card that the store knows cannot be enrolled; B_OK when it can. */
static enum b_code judge_known(const struct store_badge *b, struct b_err *err)
{
    if (b->state == STORE_BADGE_ENROLLING || b->state == STORE_BADGE_BLANKED)
        return B_OK;
    if (b->state == STORE_BADGE_REVOKED)
        return b_err_set(err, B_E_BADGE_REVOKED, 0,
                         "badge %lld of %s is revoked for good: its card is not enrolled again",
                         (long long)b->id, b->holder_name);
    return b_err_set(err, B_E_DUPLICATE, 0, "this badge is enrolled for %s (%s), as number %lld",
                     b->holder_name, b->holder_ref, (long long)b->id);
}

/* The holder that a badge is for: known, and then renamed if need be, or new. */
static enum b_code put_holder(struct service_change *c, struct store_badge *b, bool is_listed,
                              struct store_holder *ret, struct b_err *err)
{
    enum b_code r = store_holder_by_ref(c->store, b->holder_ref, ret, err);
    if (r == B_E_NOT_FOUND) {
        *ret = (struct store_holder){.id = 0};
        (void)snprintf(ret->ref, sizeof(ret->ref), "%s", b->holder_ref);
        crypto_random(ret->salt, sizeof(ret->salt));
    } else if (r != B_OK) {
        return r;
    }
    if (is_listed && ret->name[0] != '\0') /* a list of others may be old */
        memcpy(b->holder_name, ret->name, sizeof(b->holder_name));
    (void)snprintf(ret->name, sizeof(ret->name), "%s", b->holder_name);
    return store_holder_put(c->store, ret, err);
}

struct beginning {
    struct store_badge *badge;
    struct service_work *work;
};

static enum b_code judge_listed(const struct store_foreign *row, struct b_err *err)
{
    enum b_code why =
        row->status == STORE_FOREIGN_REVOKED ? B_E_BADGE_REVOKED : B_E_BADGE_SUSPENDED;
    return row->status == STORE_FOREIGN_ACTIVE
               ? B_OK
               : b_err_set(err, why, 0, "its list says so of the badge of %s", row->name);
}

/* Its list may have been taken back, or say otherwise, since the plan was read. */
static enum b_code look_again(struct service_change *c, const uint8_t uid[static 7],
                              struct b_err *err)
{
    struct store_foreign row;
    enum b_code r = store_foreign_by_uid(c->store, uid, &row, err);
    if (r == B_E_NOT_FOUND)
        return b_err_set(err, B_E_BADGE_UNKNOWN, 0, "no list names this badge any more");
    return r == B_OK ? judge_listed(&row, err) : r;
}

static enum b_code note_enrolling(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct beginning *k = ctx;
    struct store_badge *b = k->badge;
    struct store_badge now; /* it may have been revoked while the plan was read */
    struct store_holder holder;
    enum b_code r = b->id != 0 ? store_badge_by_id(c->store, b->id, &now, err) : B_OK;
    if (r == B_OK && b->id != 0)
        r = judge_known(&now, err);
    if (r == B_OK && k->work->job.goal == PROFILE_GOAL_TAKEOVER)
        r = look_again(c, b->uid, err);
    struct store_batch batch;
    if (r == B_OK && b->batch_id != 0)
        r = store_batch_by_id(c->store, b->batch_id, &batch, err);
    if (r == B_OK)
        r = put_holder(c, b, k->work->job.goal == PROFILE_GOAL_TAKEOVER, &holder, err);
    if (r == B_OK)
        r = store_badge_put(c->store, b, err);
    if (r == B_OK)
        r = service_log(c,
                        (struct service_entry){.kind = "enrol-begin",
                                               .badge = b,
                                               .holder = &holder,
                                               .personal = service_personal(b),
                                               .subject = b->holder_ref},
                        err);
    return r == B_OK ? service_note_first(c, k->work, err) : r;
}

/* The badge's record is durable, as enrolling, before the first byte changes the card. */
static enum b_code begin_enrolment(void *ctx, struct service_work *w, bool is_approved,
                                   struct b_err *err)
{
    struct enrolment *e = ctx;
    enum b_code r = find_badge(e->sv, w, &e->badge, err);
    if (r == B_OK)
        r = judge_known(&e->badge, err);
    else if (r == B_E_NOT_FOUND) {
        e->badge = (struct store_badge){.created_at = service_now()};
        r = B_OK;
    }
    if (r != B_OK)
        return r;
    if (!is_approved)
        return B_OK;
    describe(&e->badge, e->sv, w);
    if (e->badge.state != STORE_BADGE_ENROLLING) /* else it began earlier, and was torn */
        e->badge.changed_at = service_now();
    e->badge.state = STORE_BADGE_ENROLLING;
    e->badge.tapped_at = 0; /* what was said of the holder before is not said of this one */
    e->badge.tapped_station = 0;
    e->badge.reason[0] = '\0';
    (void)snprintf(e->badge.holder_ref, sizeof(e->badge.holder_ref), "%s", e->holder.ref);
    (void)snprintf(e->badge.holder_name, sizeof(e->badge.holder_name), "%s", e->holder.name);
    e->badge.not_before = e->holder.not_before;
    e->badge.not_after = e->holder.not_after;
    e->badge.is_temporary = e->holder.is_temporary;
    e->badge.is_in_office = !e->is_carried;
    if (e->holder.batch_id != 0)
        e->badge.batch_id = e->holder.batch_id;
    struct beginning k = {&e->badge, w};
    return service_change(e->sv, note_enrolling, &k, err);
}

struct ending {
    const struct service *sv;
    struct store_badge *badge;
    const struct service_work *work;
    const char *kind;
};

/* Work on a card undoes no decision about its badge that was taken meanwhile. */
static enum store_badge_state next_state(const struct ending *e, enum store_badge_state now)
{
    if (e->work->job.goal == PROFILE_GOAL_BLANK)
        return now == STORE_BADGE_REVOKED ? STORE_BADGE_REVOKED : STORE_BADGE_BLANKED;
    return now == STORE_BADGE_ENROLLING ? STORE_BADGE_ACTIVE : now;
}

static enum b_code note_ending(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct ending *e = ctx;
    struct store_badge *b = e->badge;
    bool is_blank = e->work->job.goal == PROFILE_GOAL_BLANK;
    enum b_code r = store_badge_by_id(c->store, b->id, b, err);
    if (r != B_OK)
        return r;
    if (!is_blank)
        describe(b, e->sv, e->work);
    b->state = next_state(e, b->state);
    b->is_in_office |= is_blank;
    b->changed_at = c->now;
    for (size_t i = 0; i < KEY_ROLE_COUNT; i++)
        b->generation[i] = is_blank ? KEY_GENERATION_FACTORY : e->work->job.generations[i].target;
    r = store_badge_put(c->store, b, err);
    if (r == B_OK)
        r = service_note_last(c, e->work, err);
    if (r == B_OK)
        r = service_settle_intents(c, b->uid, err);
    if (r != B_OK)
        return r;
    return service_log(
        c,
        (struct service_entry){.kind = e->kind,
                               .badge = b,
                               .detail = json_pack("{s:i}", "steps", (int)e->work->plan.step_count),
                               .personal = service_personal(b),
                               .subject = b->holder_ref},
        err);
}

/* The card is as the profile says: so does the store, with the line of history, or not at all. */
static enum b_code end_work(struct service *sv, struct service_work *w, struct store_badge *b,
                            const char *kind, struct b_err *err)
{
    struct ending e = {sv, b, w, kind};
    return service_change(sv, note_ending, &e, err);
}

enum b_code service_check_holder(const struct service_holder *h, struct b_err *err)
{
    enum b_code r = service_check_name("the holder's reference", h->ref, err);
    if (r == B_OK)
        r = service_check_name("the holder's name", h->name, err);
    return r == B_OK && h->not_after != 0 && h->not_after < service_now()
               ? b_err_set(err, B_E_BAD_INPUT, 0, "the last day, which is past")
               : r;
}

enum b_code service_enrol(struct service *sv, struct channel *ch, struct service_holder holder,
                          const struct service_watch *watch, struct store_badge *ret_badge,
                          struct b_err *err)
{
    enum b_code r = service_check_holder(&holder, err);
    if (r != B_OK)
        return r;
    struct service_work *w = service_work_new(sv, PROFILE_GOAL_REACH, ch, err);
    if (w == NULL)
        return err->code;
    struct enrolment e = {.sv = sv, .holder = holder};
    size_t n = strlen(holder.ref);
    w->job.holder_len = (uint8_t)(n < PROFILE_CONTENT_MAX ? n : PROFILE_CONTENT_MAX);
    memcpy(w->job.holder, holder.ref, w->job.holder_len);
    make_serial(&w->job);
    r = service_relay(sv, ch, w, watch, begin_enrolment, &e, err);
    if (r == B_OK)
        r = end_work(sv, w, &e.badge, "enrol", err);
    if (r == B_OK)
        *ret_badge = e.badge;
    service_work_free(&w);
    return r;
}

/* --- takeover
 * --------------------------------------------------------------------------------------------- */

struct takeover {
    struct enrolment enrolment;
    struct store_foreign row;
    bool is_ours_alone;
    bool is_adoption; /* the badge was one of ours, and the store has lost it */
};

/* All keys are ours, or one of theirs is, or the store knows that a takeover of it was begun. */
static enum b_code check_ours(const struct takeover *t, const struct service_work *w,
                              struct b_err *err)
{
    bool is_proven = !t->is_ours_alone && service_fleet_is_theirs(&w->state);
    return t->enrolment.badge.id == 0 && !is_proven && service_fleet_replaces_keys(&w->plan)
               ? b_err_set(err, B_E_BADGE_MADE_UP, 0, "a key of it is the factory's")
               : B_OK;
}

/* What was found on the card is written down before anybody is asked. */
static enum b_code begin_takeover(void *ctx, struct service_work *w, bool is_approved,
                                  struct b_err *err)
{
    struct takeover *t = ctx;
    bool is_listed =
        w->state.uid_len == 7 && memcmp(w->state.uid, t->row.uid, sizeof(t->row.uid)) == 0;
    if (!is_listed)
        return b_err_set(err, B_E_CARD_CHANGED, 0, "the card is not the one that the list names");
    enum b_code r = is_approved ? B_OK : service_fleet_find(t->enrolment.sv, &w->state, err);
    if (r == B_OK && !is_approved)
        r = service_fleet_goes_on(t->enrolment.sv, w, err);
    if (r == B_OK)
        r = begin_enrolment(&t->enrolment, w, is_approved, err);
    if (r == B_OK && !is_approved)
        r = check_ours(t, w, err);
    if (!is_approved)
        t->is_adoption = t->enrolment.badge.id == 0 && !service_fleet_replaces_keys(&w->plan);
    return r;
}

/* The row of the list for the badge on the reader, whose holder it names. */
static enum b_code find_listed(struct service *sv, const uint8_t uid[static 7],
                               struct store_foreign *ret, struct b_err *err)
{
    enum b_code r = store_foreign_by_uid(sv->store, uid, ret, err);
    if (r == B_E_NOT_FOUND)
        return b_err_set(err, B_E_BADGE_UNKNOWN, 0,
                         "no list names this badge: take its list in by `tessere fleet import`");
    return r == B_OK ? judge_listed(ret, err) : r;
}

enum b_code service_takeover(struct service *sv, struct channel *ch,
                             const struct service_others *others, const struct service_watch *watch,
                             struct store_badge *ret_badge, struct b_err *err)
{
    struct service_work *w = service_work_new(sv, PROFILE_GOAL_TAKEOVER, ch, err);
    if (w == NULL)
        return err->code;
    struct takeover t = {.enrolment = {.sv = sv, .is_carried = true},
                         .is_ours_alone = others->is_ours_alone};
    uint8_t uid[7];
    enum b_code r = bring_others(sv, w, others, err);
    if (r == B_OK)
        r = service_fleet_uid(sv, ch, w, uid, err);
    if (r == B_OK && w->job.uid_len != 7 && watch != NULL && watch->admit != NULL)
        r = watch->admit(watch->ctx, uid, err);
    if (r == B_OK)
        r = find_listed(sv, uid, &t.row, err);
    if (r == B_OK) {
        t.enrolment.holder = (struct service_holder){.ref = t.row.ref, .name = t.row.name};
        w->job.holder_len = (uint8_t)strlen(t.row.ref);
        memcpy(w->job.holder, t.row.ref, w->job.holder_len);
        make_serial(&w->job);
    }
    if (r == B_OK && (watch == NULL || watch->approve != NULL)) /* somebody looks at the card */
        r = service_fleet_begun(sv, uid, &w->job, err);
    if (r == B_OK)
        r = service_relay(sv, ch, w, watch, begin_takeover, &t, err);
    if (r == B_OK)
        r = end_work(sv, w, &t.enrolment.badge, t.is_adoption ? "adoption" : "takeover", err);
    if (r == B_OK)
        *ret_badge = t.enrolment.badge;
    service_work_free(&w);
    return r;
}

/* --- repair, re-key, blank
 * ------------------------------------------------------------------------------------ */

static enum b_code begin_repair(void *ctx, struct service_work *w, bool is_approved,
                                struct b_err *err)
{
    (void)is_approved;
    struct enrolment *e = ctx;
    enum b_code r = find_badge(e->sv, w, &e->badge, err);
    if (r == B_E_NOT_FOUND)
        return b_err_set(err, B_E_BADGE_UNKNOWN, 0, "this card is not a badge of the store");
    if (r == B_OK && (e->badge.state == STORE_BADGE_REVOKED) && e->is_repair)
        return b_err_set(err, B_E_BADGE_REVOKED, 0,
                         "badge %lld of %s is revoked: it is not brought "
                         "up to date, only returned to blank",
                         (long long)e->badge.id, e->badge.holder_name);
    if (r == B_OK && e->badge.state == STORE_BADGE_BLANKED && e->is_repair)
        return b_err_set(err, B_E_BADGE_UNKNOWN, 0,
                         "badge %lld of %s was returned to blank: its card has no holder",
                         (long long)e->badge.id, e->badge.holder_name);
    /* A badge that was encoded has its own keys: repairing a blank card that shows its UID would
     * make another badge of it, for whoever brought that card. */
    if (r == B_OK && e->badge.state != STORE_BADGE_ENROLLING && e->is_repair &&
        service_fleet_replaces_keys(&w->plan))
        return b_err_set(err, B_E_BADGE_MADE_UP, 0, "badge %lld of %s", (long long)e->badge.id,
                         e->badge.holder_name);
    return r;
}

/* What the store knows of the card gives the content of files torn before writing. */
static bool recall(struct service *sv, struct service_work *w, const uint8_t *uid, uint8_t n)
{
    struct store_badge known;
    struct b_err ignored;
    if (n != sizeof(known.uid) || store_badge_by_uid(sv->store, uid, &known, &ignored) != B_OK)
        return false;
    w->job.holder_len = (uint8_t)strlen(known.holder_ref);
    memcpy(w->job.holder, known.holder_ref, w->job.holder_len);
    w->job.serial_len = known.serial_len;
    memcpy(w->job.serial, known.serial, known.serial_len);
    return known.serial_len > 0;
}

enum b_code service_repair(struct service *sv, struct channel *ch,
                           const struct service_watch *watch, struct store_badge *ret_badge,
                           struct b_err *err)
{
    struct service_work *w = service_work_new(sv, PROFILE_GOAL_REACH, ch, err);
    if (w == NULL)
        return err->code;
    struct enrolment e = {.sv = sv, .is_repair = true};
    (void)recall(sv, w, w->job.uid, w->job.uid_len);
    enum b_code r = service_relay(sv, ch, w, watch, begin_repair, &e, err);
    /* A card that shows a random UID tells its own only when it is asked with its key. */
    if (r == B_E_CARD_BLOCKED && w->job.serial_len == 0 &&
        recall(sv, w, w->state.uid, w->state.uid_len))
        r = service_relay(sv, ch, w, watch, begin_repair, &e, err);
    if (r == B_OK)
        r = end_work(sv, w, &e.badge, "repair", err);
    if (r == B_OK)
        *ret_badge = e.badge;
    service_work_free(&w);
    return r;
}

enum b_code service_blank(struct service *sv, struct channel *ch, const struct service_watch *watch,
                          struct store_badge *ret_badge, struct b_err *err)
{
    struct service_work *w = service_work_new(sv, PROFILE_GOAL_BLANK, ch, err);
    if (w == NULL)
        return err->code;
    struct enrolment e = {.sv = sv};
    enum b_code r = service_relay(sv, ch, w, watch, begin_repair, &e, err);
    if (r == B_OK)
        r = end_work(sv, w, &e.badge, "blank", err);
    if (r == B_OK)
        *ret_badge = e.badge;
    service_work_free(&w);
    return r;
}

/* --- states
 * -------------------------------------------------------------------------------------------------------
 */

struct state_change {
    int64_t id;
    enum store_badge_state to;
    const char *kind;
    const char *reason;
};

enum b_code service_note_badge_state(struct service_change *c, int64_t id,
                                     enum store_badge_state to, const char *kind,
                                     const char *reason, struct b_err *err)
{
    struct store_badge b;
    enum b_code r = store_badge_by_id(c->store, id, &b, err);
    if (r != B_OK)
        return r;
    bool is_allowed = to == STORE_BADGE_REVOKED  ? b.state != STORE_BADGE_REVOKED
                      : to == STORE_BADGE_ACTIVE ? b.state == STORE_BADGE_SUSPENDED
                                                 : b.state == STORE_BADGE_ACTIVE;
    if (!is_allowed)
        return b_err_set(err, B_E_BADGE_STATE, 0, "badge %lld is %s", (long long)id,
                         b_err_word(store_badge_state_name(b.state)));
    b.state = to;
    b.changed_at = c->now;
    (void)snprintf(b.reason, sizeof(b.reason), "%s", reason);
    b_text_tame(b.reason); /* a badge is stopped whatever is said of it */
    r = store_badge_put(c->store, &b, err);
    if (r != B_OK)
        return r;
    return service_log(
        c,
        (struct service_entry){
            .kind = kind, .badge = &b, .personal = service_personal(&b), .subject = b.holder_ref},
        err);
}

static enum b_code note_state(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct state_change *k = ctx;
    return service_note_badge_state(c, k->id, k->to, k->kind, k->reason, err);
}

static enum b_code change_state(struct service *sv, int64_t id, enum store_badge_state to,
                                const char *kind, const char *reason, struct b_err *err)
{
    struct state_change k = {id, to, kind, reason};
    return service_change(sv, note_state, &k, err);
}

enum b_code service_suspend(struct service *sv, int64_t badge_id, const char *reason,
                            struct b_err *err)
{
    return change_state(sv, badge_id, STORE_BADGE_SUSPENDED, "suspend", reason, err);
}

enum b_code service_reinstate(struct service *sv, int64_t badge_id, struct b_err *err)
{
    return change_state(sv, badge_id, STORE_BADGE_ACTIVE, "reinstate", "", err);
}

enum b_code service_revoke(struct service *sv, int64_t badge_id, const char *reason,
                           struct b_err *err)
{
    return change_state(sv, badge_id, STORE_BADGE_REVOKED, "revoke", reason, err);
}

bool service_day_at(const char *text, int later, int64_t *ret)
{
    struct tm tm = {.tm_isdst = -1};
    const char *end = strptime(text, "%Y-%m-%d", &tm);
    if (end == NULL || *end != '\0')
        return false;
    tm.tm_mday += later;
    tm.tm_isdst = -1;
    *ret = (int64_t)mktime(&tm);
    return *ret > 0;
}

struct validity {
    int64_t id, not_before, not_after;
    bool is_temporary;
};

static enum b_code note_validity(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct validity *k = ctx;
    struct store_badge b;
    enum b_code r = store_badge_by_id(c->store, k->id, &b, err);
    if (r != B_OK)
        return r;
    b.not_before = k->not_before;
    b.not_after = k->not_after;
    b.is_temporary = k->is_temporary;
    b.changed_at = c->now;
    r = store_badge_put(c->store, &b, err);
    return r == B_OK ? service_log(c, (struct service_entry){.kind = "validity", .badge = &b}, err)
                     : r;
}

enum b_code service_validity(struct service *sv, int64_t badge_id, int64_t not_before,
                             int64_t not_after, bool is_temporary, struct b_err *err)
{
    struct validity k = {badge_id, not_before, not_after, is_temporary};
    if (not_after != 0 && not_after <= not_before)
        return b_err_set(err, B_E_BAD_INPUT, 0, "a badge ends after it begins");
    if (is_temporary && not_after == 0)
        return b_err_set(err, B_E_BAD_INPUT, 0, "a temporary badge has an end");
    return service_change(sv, note_validity, &k, err);
}
