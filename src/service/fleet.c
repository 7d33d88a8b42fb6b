#include "service/fleet.h"

#include <stdio.h>
#include <string.h>

#include "crypto/crypto.h"
#include "service/relay.h"

/* --- a list ------------------------------------------------------------------------------------
 */

enum column { UID, REF, NAME, STATUS, NOTE, COLUMNS };
static const struct service_column columns[COLUMNS] = {[UID] = {"uid", true},
                                                       [REF] = {"ref", true},
                                                       [NAME] = {"name", true},
                                                       [STATUS] = {"status", false},
                                                       [NOTE] = {"note", false}};

struct intake {
    const struct service_fleet_list *list;
    struct service_sheet sheet;
    struct store_fleet_import import;
    struct store_foreign row;
};

/* Seven bytes in hexadecimal, perhaps with signs between them. */
static const char *read_uid(const char *text, size_t n, uint8_t uid[static 7])
{
    enum { MAKER = 0x04 }; /* NXP, in the first byte (ISO/IEC 7816-6): nobody else makes DESFire */
    char digits[15];
    struct b_wr to = b_wr_from(digits, sizeof(digits) - 1), bytes = b_wr_from(uid, 7);
    for (size_t i = 0; i < n; i++)
        if (text[i] != ':' && text[i] != '-' && text[i] != ' ')
            b_wr_u8(&to, (uint8_t)text[i]);
    digits[to.len] = '\0';
    if (!b_wr_ok(&to) || !b_unhex(&bytes, digits) || bytes.len != 7)
        return N_("a UID is 7 bytes in hexadecimal");
    if (uid[0] != MAKER && uid[6] == MAKER)
        return N_("its bytes are in reverse order: a UID begins with 04");
    return uid[0] == MAKER ? NULL : N_("no DESFire has it: a UID begins with 04");
}

static const char *read_status(const char *text, size_t n, enum store_foreign_status *ret)
{
    *ret = STORE_FOREIGN_ACTIVE;
    for (size_t i = 0; n > 0 && i < STORE_FOREIGN_STATUS_COUNT; i++) {
        const char *name = store_foreign_status_name((enum store_foreign_status)i);
        if (strlen(name) != n || strncmp(name, text, n) != 0)
            continue;
        *ret = (enum store_foreign_status)i;
        return NULL;
    }
    return n == 0 ? NULL : N_("active, suspended or revoked");
}

/* What is wrong with a field; NULL: nothing, and the row has it. */
static const char *take_field(struct store_foreign *row, enum column column, const char *field)
{
    const char *text;
    size_t n;
    service_sheet_trim(field, &text, &n);
    switch (column) {
    case UID:
        return read_uid(text, n, row->uid);
    case REF:
        return service_sheet_text(text, n, true, row->ref, sizeof(row->ref));
    case NAME:
        return service_sheet_text(text, n, true, row->name, sizeof(row->name));
    case STATUS:
        return read_status(text, n, &row->status);
    case NOTE:
        return service_sheet_text(text, n, false, row->note, sizeof(row->note));
    case COLUMNS:
        break;
    }
    return NULL;
}

/* Whose the UID of a row is already. */
static enum b_code name_other(struct service_change *c, const struct intake *k, struct b_err *err)
{
    struct store_foreign other;
    struct store_fleet_import list;
    char what[200];
    enum b_code r = store_foreign_by_uid(c->store, k->row.uid, &other, err);
    if (r == B_OK)
        r = store_fleet_import_by_id(c->store, other.import, &list, err);
    if (r != B_OK)
        return r;
    if (list.id == k->import.id)
        (void)snprintf(what, sizeof(what), b_err_word("line %lld has the same badge"),
                       (long long)other.line);
    else
        (void)snprintf(what, sizeof(what),
                       b_err_word("line %lld of %s, taken in before, has the same badge"),
                       (long long)other.line, list.name);
    return service_sheet_wrong(&k->sheet, columns[UID].name, what, err);
}

static enum b_code put_row(struct service_change *c, struct intake *k, struct b_err *err)
{
    struct store_badge badge;
    char what[64];
    enum b_code r = store_badge_by_uid(c->store, k->row.uid, &badge, err);
    if (r == B_OK) {
        (void)snprintf(what, sizeof(what), b_err_word("it is badge %lld of this establishment"),
                       (long long)badge.id);
        return service_sheet_wrong(&k->sheet, columns[UID].name, what, err);
    }
    if (r == B_E_NOT_FOUND)
        r = store_foreign_add(c->store, &k->row, err);
    return r == B_E_DUPLICATE ? name_other(c, k, err) : r;
}

static enum b_code take_row(struct service_change *c, struct intake *k, struct b_err *err)
{
    const struct service_sheet *s = &k->sheet;
    k->row = (struct store_foreign){.import = k->import.id, .line = (int64_t)s->record.line};
    for (size_t i = 0; i < s->count; i++) {
        const char *what = take_field(&k->row, (enum column)s->order[i], s->record.fields[i]);
        if (what != NULL)
            return service_sheet_wrong(s, columns[s->order[i]].name, what, err);
    }
    struct b_err cause;
    const struct service_holder holder = {.ref = k->row.ref, .name = k->row.name};
    if (service_check_holder(&holder, &cause) != B_OK)
        return service_sheet_wrong(s, "ref, name", cause.msg, err);
    k->import.count++;
    return put_row(c, k, err);
}

/* The last part of the file's name, as far as it is text. */
static void name_list(struct store_fleet_import *i, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    struct b_wr w = b_wr_from(i->name, sizeof(i->name) - 1);
    for (struct b_rd in = b_rd_from(name, strlen(name)); in.left > 0;) {
        const uint8_t *from = in.p;
        if (b_rd_utf8(&in) < ' ')
            break;
        b_wr_bytes(&w, from, (size_t)(in.p - from));
    }
    i->name[w.len] = '\0';
}

static enum b_code take_list(struct service_change *c, void *ctx, struct b_err *err)
{
    struct intake *k = ctx;
    k->import = (struct store_fleet_import){.at = c->now};
    name_list(&k->import, k->list->name);
    crypto_random(k->import.salt, sizeof(k->import.salt));
    const struct service_fleet_list *l = k->list;
    enum b_code r = service_sheet_open(&k->sheet, l->text, l->n, l->encoding, err);
    if (r == B_OK)
        r = store_fleet_import_put(c->store, &k->import, err);
    while (r == B_OK) {
        if ((r = service_sheet_next(&k->sheet, err)) == B_OK)
            r = take_row(c, k, err);
        r = service_sheet_keep(&k->sheet, r, err);
    }
    if (r == B_E_NOT_FOUND)
        r = service_sheet_end(&k->sheet, l->mistakes, err);
    if (r != B_OK)
        return r;
    if (k->import.count == 0)
        return b_err_set(err, B_E_BAD_INPUT, 0, "%s: no badge is in it", k->list->name);
    r = store_fleet_import_put(c->store, &k->import, err);
    if (r == B_OK)
        r = service_vouch_fleet_import(c, &k->import, err);
    if (r != B_OK)
        return r;
    return service_log(
        c,
        (struct service_entry){.kind = "fleet-import",
                               .detail = json_pack("{s:s, s:I, s:I}", "file", k->import.name,
                                                   "list", (json_int_t)k->import.id, "badges",
                                                   (json_int_t)k->import.count)},
        err);
}

enum b_code service_fleet_import(struct service *sv, const struct service_fleet_list *list,
                                 struct store_fleet_import *ret, struct b_err *err)
{
    static _Thread_local struct intake k;
    k.list = list;
    k.sheet.name = list->name;
    k.sheet.columns = columns;
    k.sheet.column_count = COLUMNS;
    enum b_code r = service_change(sv, take_list, &k, err);
    if (r == B_OK)
        *ret = k.import;
    b_wipe(&k, sizeof(k)); /* the last row names a person */
    return r;
}

struct forgetting {
    int64_t id;
    struct store_fleet_import *list;
};

static enum b_code forget_list(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct forgetting *k = ctx;
    enum b_code r = store_fleet_import_by_id(c->store, k->id, k->list, err);
    if (r == B_OK)
        r = store_fleet_import_forget(c->store, k->id, err);
    if (r != B_OK)
        return r;
    return service_log(
        c,
        (struct service_entry){.kind = "fleet-forget",
                               .detail = json_pack("{s:I}", "list", (json_int_t)k->id)},
        err);
}

enum b_code service_fleet_forget(struct service *sv, int64_t id, struct store_fleet_import *ret,
                                 struct b_err *err)
{
    struct forgetting k = {id, ret};
    return service_change(sv, forget_list, &k, err);
}

/* --- what is found -----------------------------------------------------------------------------
 */

static enum store_found found_of(enum profile_key_kind kind)
{
    switch (kind) {
    case PROFILE_KEY_FACTORY:
        return STORE_FOUND_FACTORY;
    case PROFILE_KEY_KNOWN:
        return STORE_FOUND_PUBLISHED;
    case PROFILE_KEY_GIVEN:
        return STORE_FOUND_SHARED;
    case PROFILE_KEY_DERIVED:
        return STORE_FOUND_DIVERSIFIED;
    case PROFILE_KEY_DIVERSIFIED:
        return STORE_FOUND_OURS;
    case PROFILE_KEY_UNKNOWN:
    case PROFILE_KEY_NOT_TRIED:
        break;
    }
    return STORE_FOUND_UNKNOWN;
}

/* The weakest of the keys that were proved. */
static enum store_found weakest(const struct profile_state *s)
{
    enum store_found worst =
        found_of(s->card_key.is_proven ? s->card_key.kind : PROFILE_KEY_NOT_TRIED);
    if (s->layout > 0 && s->old.is_proven && found_of(s->old.kind) > worst)
        worst = found_of(s->old.kind);
    for (uint8_t i = 0; s->has_app && i < s->slot_count; i++) {
        enum store_found found = found_of(s->slots[i].kind);
        if (s->slots[i].is_proven && found > worst)
            worst = found;
    }
    return worst;
}

/* A scan with fewer or other keys says nothing against what an earlier one opened. */
static enum b_code note_finding(struct service_change *c, void *ctx, struct b_err *err)
{
    struct store_finding *f = ctx;
    struct store_finding before;
    enum b_code r = store_finding_by_uid(c->store, f->uid, &before, err);
    if (r != B_OK && r != B_E_NOT_FOUND)
        return r;
    f->id = r == B_OK ? before.id : 0;
    if (r == B_OK && f->found < before.found)
        f->found = before.found;
    f->at = c->now;
    r = store_finding_put(c->store, f, err);
    if (r != B_OK)
        return r;
    service_vouch_finding(c, f);
    return service_log(
        c,
        (struct service_entry){.kind = "finding",
                               .detail = json_pack("{s:s}", "found", store_found_name(f->found))},
        err);
}

enum b_code service_fleet_find(struct service *sv, const struct profile_state *state,
                               struct b_err *err)
{
    struct store_foreign row;
    if (state->uid_len != 7)
        return B_OK;
    enum b_code r = store_foreign_by_uid(sv->store, state->uid, &row, err);
    if (r != B_OK)
        return r == B_E_NOT_FOUND ? B_OK : r;
    struct store_finding f = {.found = weakest(state), .ev = (uint8_t)state->ev};
    memcpy(f.uid, row.uid, sizeof(f.uid));
    return service_change(sv, note_finding, &f, err);
}

enum b_code service_fleet_goes_on(struct service *sv, const struct service_work *w,
                                  struct b_err *err)
{
    struct store_badge b;
    bool is_undone = false;
    enum b_code r = store_badge_by_uid(sv->store, w->state.uid, &b, err);
    if (r != B_OK || b.state != STORE_BADGE_ENROLLING)
        return r == B_E_NOT_FOUND ? B_OK : r;
    for (size_t i = 0; r == B_OK && !is_undone && i < w->plan.step_count; i++) {
        const struct profile_step *s = &w->plan.steps[i];
        bool is_key = s->kind == PROFILE_STEP_CHANGE_KEY || s->kind == PROFILE_STEP_CHANGE_CARD_KEY;
        uint8_t confirmed = 0;
        if (!is_key || s->from_generation != KEY_GENERATION_FACTORY)
            continue;
        r = service_confirmed_key(sv, b.uid, s->aid, s->no, &confirmed, err);
        is_undone = confirmed != KEY_GENERATION_FACTORY;
    }
    return r == B_OK && is_undone ? b_err_set(err, B_E_BADGE_MADE_UP, 0, "badge %lld of %s",
                                              (long long)b.id, b.holder_name)
                                  : r;
}

enum b_code service_fleet_begun(const struct service *sv, const uint8_t uid[static 7],
                                struct profile_job *job, struct b_err *err)
{
    struct store_badge b;
    enum b_code r = store_badge_by_uid(sv->store, uid, &b, err);
    if (r != B_OK || b.state != STORE_BADGE_ENROLLING)
        return r == B_E_NOT_FOUND ? B_OK : r;
    memset(job->generations, 0, sizeof(job->generations));
    return service_generations(sv, true, job, err);
}

bool service_fleet_replaces_keys(const struct profile_plan *plan)
{
    for (size_t i = 0; i < plan->step_count; i++) {
        const struct profile_step *s = &plan->steps[i];
        bool is_key = s->kind == PROFILE_STEP_CHANGE_KEY || s->kind == PROFILE_STEP_CHANGE_CARD_KEY;
        if (is_key && s->from_generation == KEY_GENERATION_FACTORY)
            return true;
    }
    return false;
}

bool service_fleet_is_theirs(const struct profile_state *s)
{
    bool has_ours = false;
    const struct profile_slot *slots[PROFILE_KEYS_MAX + 2] = {&s->card_key, &s->old};
    size_t count = 2;
    for (uint8_t i = 0; s->has_app && i < s->slot_count; i++)
        slots[count++] = &s->slots[i];
    for (size_t i = 0; i < count; i++) {
        enum profile_key_kind kind = slots[i]->is_proven ? slots[i]->kind : PROFILE_KEY_NOT_TRIED;
        if (kind == PROFILE_KEY_GIVEN || kind == PROFILE_KEY_DERIVED)
            return true;
        has_ours |= kind == PROFILE_KEY_DIVERSIFIED;
    }
    return !has_ours;
}

/* --- at a tap -----------------------------------------------------------------------------------
 */

static enum b_code not_wanted(struct b_err *err)
{
    return b_err_set(err, B_E_NOT_FOUND, 0, "nothing is to be taken over");
}

enum b_code service_fleet_wanted(struct service *sv, const uint8_t uid[static 7], struct b_err *err)
{
    struct store_foreign row;
    struct store_badge badge;
    struct store_holder holder;
    enum b_code r = store_foreign_by_uid(sv->store, uid, &row, err);
    if (r == B_E_NOT_FOUND || (r == B_OK && row.status != STORE_FOREIGN_ACTIVE))
        return not_wanted(err);
    if (r == B_OK)
        r = store_badge_by_uid(sv->store, uid, &badge, err);
    if (r == B_OK &&
        (badge.state != STORE_BADGE_ENROLLING || strcmp(badge.holder_ref, row.ref) != 0))
        return not_wanted(err);
    if (r == B_OK || r == B_E_NOT_FOUND)
        r = store_holder_by_ref(sv->store, row.ref, &holder, err);
    if (r == B_OK && holder.state != STORE_PARTY_ACTIVE)
        return not_wanted(err);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

/* A tap of ours on a card that hides its UID goes by the serial. */
static bool taps_hidden(const struct service *sv)
{
    return !crypto_div_uses_uid(crypto_div_find(sv->profile.diversification));
}

enum b_code service_fleet_shown(struct service *sv, const struct channel_card *shown,
                                struct b_err *err)
{
    if (shown->uid_len == 7)
        return service_fleet_wanted(sv, shown->uid, err);
    return taps_hidden(sv) ? B_OK : not_wanted(err);
}

/* --- a card that hides its UID ------------------------------------------------------------------
 */

enum b_code service_fleet_uid(struct service *sv, struct channel *ch, struct service_work *w,
                              uint8_t ret[static 7], struct b_err *err)
{
    if (w->job.uid_len == 7) {
        memcpy(ret, w->job.uid, 7);
        return B_OK;
    }
    if (!taps_hidden(sv))
        return b_err_set(err, B_E_RANDOM_UID, 0, "and the profile %s makes keys of the UID",
                         sv->profile.id);
    enum profile_goal goal = w->job.goal;
    w->job.goal = PROFILE_GOAL_UID;
    enum b_code r = service_relay(sv, ch, w, NULL, NULL, NULL, err);
    w->job.goal = goal;
    if (r == B_OK)
        memcpy(ret, w->state.uid, 7);
    return r;
}

/* --- figures -----------------------------------------------------------------------------------
 */

struct audit {
    const struct profile *profile;
    uint8_t active[KEY_ROLE_ALL];
    bool is_compromised[KEY_ROLE_ALL][KEY_GENERATION_MAX + 1];
    struct service_fleet_figures *figures;
};

/* Whether the profile puts a key of this role on a card. */
static bool has_role(const struct profile *p, enum key_role role)
{
    return role == KEY_ROLE_PICC ? !p->is_guest : profile_key_no(p, role) >= 0;
}

static bool count_badge(void *ctx, const struct store_badge *b)
{
    const struct audit *a = ctx;
    bool is_weak = false;
    bool is_behind =
        strcmp(b->profile_id, a->profile->id) != 0 || b->profile_revision != a->profile->revision;
    for (size_t i = 0; i < KEY_ROLE_COUNT; i++) {
        uint8_t generation = b->generation[i];
        if (!has_role(a->profile, (enum key_role)i))
            continue;
        is_weak |= generation == KEY_GENERATION_FACTORY || a->is_compromised[i][generation];
        is_behind |= generation != a->active[i];
    }
    if (b->state == STORE_BADGE_REVOKED || b->state == STORE_BADGE_BLANKED)
        return true;
    if (b->state == STORE_BADGE_ENROLLING)
        a->figures->unfinished++;
    else if (is_weak)
        a->figures->forbidden++;
    else if (is_behind)
        a->figures->behind++;
    else
        a->figures->conform++;
    return true;
}

enum b_code service_fleet_audit(struct service *sv, struct service_fleet_figures *ret,
                                struct b_err *err)
{
    static _Thread_local struct store_generation gs[256];
    struct audit a = {.profile = &sv->profile, .figures = ret};
    size_t count = 0;
    *ret = (struct service_fleet_figures){.conform = 0};
    enum b_code r = store_generation_list(sv->store, gs, B_COUNT(gs), &count, err);
    for (size_t i = 0; r == B_OK && i < count; i++) {
        if (gs[i].state == STORE_GENERATION_ACTIVE)
            a.active[gs[i].role] = gs[i].generation;
        a.is_compromised[gs[i].role][gs[i].generation] =
            gs[i].state == STORE_GENERATION_COMPROMISED;
    }
    if (r == B_OK)
        r = store_badge_each(sv->store, 0, NULL, count_badge, &a, err);
    return r == B_OK ? store_fleet_count(sv->store, &ret->lists, err) : r;
}

uint64_t service_fleet_forbidden(const struct service_fleet_figures *f)
{
    return f->forbidden + f->lists.found[STORE_FOUND_SHARED] +
           f->lists.found[STORE_FOUND_PUBLISHED] + f->lists.found[STORE_FOUND_FACTORY];
}

uint64_t service_fleet_total(const struct service_fleet_figures *f)
{
    return f->conform + f->behind + f->unfinished + f->forbidden + f->lists.listed -
           f->lists.taken_over;
}
