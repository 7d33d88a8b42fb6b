#include "service/bulk.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/relay.h"

enum person_state { WAITS, UNDER_WAY, TORN, DONE };

struct person {
    char ref[STORE_NAME_MAX];
    char name[STORE_TEXT_MAX];
    int64_t not_before, not_after;
    size_t line;
    enum person_state state;
    int64_t badge_id; /* TORN: the one that was begun, and its card */
    uint8_t uid[7];
};

struct service_bulk {
    struct person *people;
    size_t count, cap;
    int64_t batch_id;
    struct person **by_ref;
    size_t next; /* nobody before it waits */
    pthread_mutex_t lock;
    struct service_bulk_counts counts;
    pthread_mutex_t asking; /* one plan at a time is shown */
    bool is_approved, has_plan;
    struct profile_plan plan; /* of a blank card, as it was approved */
};

/* --- the list ----------------------------------------------------------------------------------
 */

enum column { REF, NAME, FROM, UNTIL, COLUMNS };
static const struct service_column columns[COLUMNS] = {[REF] = {"ref", true},
                                                       [NAME] = {"name", true},
                                                       [FROM] = {"from", false},
                                                       [UNTIL] = {"until", false}};

/* An empty field is no limit. */
static const char *read_day(const char *text, size_t n, int later, int64_t *ret)
{
    char day[16];
    if (n == 0)
        return NULL;
    const char *what = service_sheet_text(text, n, true, day, sizeof(day));
    return what == NULL && service_day_at(day, later, ret) ? NULL
                                                           : N_("a day is written YYYY-MM-DD");
}

/* What is wrong with a field; NULL: nothing, and the person has it. */
static const char *take_field(struct person *p, enum column column, const char *field)
{
    const char *text, *what = NULL;
    size_t n;
    service_sheet_trim(field, &text, &n);
    switch (column) {
    case REF:
        return service_sheet_text(text, n, true, p->ref, sizeof(p->ref));
    case NAME:
        return service_sheet_text(text, n, true, p->name, sizeof(p->name));
    case FROM:
        return read_day(text, n, 0, &p->not_before);
    case UNTIL:
        what = read_day(text, n, 1, &p->not_after);
        p->not_after -= p->not_after > 0 ? 1 : 0; /* the last second of that day */
        return what == NULL && p->not_after != 0 && p->not_after < service_now()
                   ? "this day is past"
                   : what;
    case COLUMNS:
        break;
    }
    return NULL;
}

static enum b_code take_person(struct service_bulk *b, const struct service_sheet *s,
                               struct b_err *err)
{
    if (b->count == b->cap) {
        size_t cap = b->cap == 0 ? 64 : 2 * b->cap;
        struct person *more = realloc(b->people, cap * sizeof(*more));
        if (more == NULL)
            return b_err_set(err, B_E_NO_MEMORY, 0, "reading %s", s->name);
        b->people = more;
        b->cap = cap;
    }
    struct person *p = &b->people[b->count];
    *p = (struct person){.line = s->record.line};
    for (size_t i = 0; i < s->count; i++) {
        const char *what = take_field(p, (enum column)s->order[i], s->record.fields[i]);
        if (what != NULL)
            return service_sheet_wrong(s, columns[s->order[i]].name, what, err);
    }
    if (p->not_after != 0 && p->not_after <= p->not_before)
        return service_sheet_wrong(s, columns[UNTIL].name, "a badge ends after it begins", err);
    struct b_err cause;
    const struct service_holder holder = {.ref = p->ref, .name = p->name};
    if (service_check_holder(&holder, &cause) != B_OK)
        return service_sheet_wrong(s, "ref, name", cause.msg, err);
    b->count++; /* who is named wrongly is not there */
    return B_OK;
}

static int compare(const void *a, const void *b)
{
    const struct person *const *one = a, *const *two = b;
    int by_ref = strcmp((*one)->ref, (*two)->ref);
    return by_ref != 0 ? by_ref : ((*one)->line > (*two)->line) - ((*one)->line < (*two)->line);
}

/* Everybody is named once. */
static enum b_code index_people(struct service_bulk *b, struct service_sheet *s, struct b_err *err)
{
    if (b->count == 0)
        return b_err_set(err, B_E_BAD_INPUT, 0, "%s: nobody is in it", s->name);
    b->by_ref = calloc(b->count, sizeof(struct person *));
    if (b->by_ref == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "reading %s", s->name);
    for (size_t i = 0; i < b->count; i++)
        b->by_ref[i] = &b->people[i];
    qsort(b->by_ref, b->count, sizeof(struct person *), compare);
    enum b_code r = B_OK;
    for (size_t i = 1; r == B_OK && i < b->count; i++) {
        const struct person *p = b->by_ref[i], *before = b->by_ref[i - 1];
        if (strcmp(p->ref, before->ref) == 0)
            r = b_err_set(err, B_E_BAD_INPUT, (uint32_t)p->line,
                          "%s:%zu: ref: line %zu has the same person", s->name, p->line,
                          before->line);
        r = service_sheet_keep(s, r, err);
    }
    b->counts.people = b->count;
    return r;
}

static enum b_code read_people(struct service_bulk *b, const struct service_bulk_list *list,
                               struct service_sheet *s, struct b_err *err)
{
    enum b_code r = service_sheet_open(s, list->text, list->n, list->encoding, err);
    while (r == B_OK) {
        if ((r = service_sheet_next(s, err)) == B_OK)
            r = take_person(b, s, err);
        r = service_sheet_keep(s, r, err);
    }
    if (r == B_E_NOT_FOUND)
        r = s->mistakes.count > 0 && b->count == 0 ? B_OK : index_people(b, s, err);
    return r == B_OK ? service_sheet_end(s, list->mistakes, err) : r;
}

enum b_code service_bulk_new(const struct service_bulk_list *list, struct service_bulk **ret,
                             struct b_err *err)
{
    struct service_bulk *b = calloc(1, sizeof(*b));
    struct service_sheet *s = calloc(1, sizeof(*s));
    enum b_code r = B_E_NO_MEMORY;
    if (b == NULL || s == NULL) {
        free(b);
        free(s);
        return b_err_set(err, r, 0, "reading %s", list->name);
    }
    b_check(pthread_mutex_init(&b->lock, NULL) == 0 && pthread_mutex_init(&b->asking, NULL) == 0);
    b->batch_id = list->batch_id;
    s->name = list->name;
    s->columns = columns;
    s->column_count = COLUMNS;
    r = read_people(b, list, s, err);
    b_wipe(s, sizeof(*s));
    free(s);
    if (r == B_OK)
        *ret = b;
    else
        service_bulk_free(&b);
    return r;
}

void service_bulk_free(struct service_bulk **pb)
{
    struct service_bulk *b = *pb;
    *pb = NULL;
    if (b == NULL)
        return;
    if (b->people != NULL)
        b_wipe(b->people, b->cap * sizeof(*b->people));
    free(b->people);
    free(b->by_ref);
    (void)pthread_mutex_destroy(&b->lock);
    (void)pthread_mutex_destroy(&b->asking);
    free(b);
}

/* --- what was done before ----------------------------------------------------------------------
 */

static struct person *find_person(const struct service_bulk *b, const char *ref)
{
    struct person wanted = {.line = 0};
    size_t low = 0, high = b->count;
    (void)snprintf(wanted.ref, sizeof(wanted.ref), "%s", ref);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(b->by_ref[middle]->ref, wanted.ref);
        if (order == 0)
            return b->by_ref[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

struct resuming {
    struct service_bulk *bulk;
    void (*fn)(void *ctx, const struct store_badge *badge);
    void *ctx;
};

/* With the lock. */
static void set_torn(struct service_bulk *b, struct person *p, const struct store_badge *badge)
{
    p->state = TORN;
    p->badge_id = badge->id;
    memcpy(p->uid, badge->uid, sizeof(p->uid));
    b->counts.torn++;
}

static bool take_badge(void *ctx, const struct store_badge *badge)
{
    struct resuming *k = ctx;
    struct service_bulk *b = k->bulk;
    struct person *p = find_person(b, badge->holder_ref);
    bool is_used = badge->state == STORE_BADGE_ACTIVE || badge->state == STORE_BADGE_SUSPENDED;
    if (p == NULL)
        return true;
    if (badge->state == STORE_BADGE_ENROLLING && p->state == WAITS) {
        set_torn(b, p, badge);
    } else if (is_used) {
        b->counts.torn -= p->state == TORN;
        b->counts.done += p->state != DONE;
        p->state = DONE;
        k->fn(k->ctx, badge);
    }
    return true;
}

enum b_code service_bulk_resume(struct service_bulk *b, struct store *s,
                                void (*fn)(void *ctx, const struct store_badge *badge), void *ctx,
                                struct b_err *err)
{
    struct resuming k = {b, fn, ctx};
    return store_badge_each(s, 0, NULL, take_badge, &k, err);
}

/* --- a card ------------------------------------------------------------------------------------
 */

struct attempt {
    struct service_bulk *bulk;
    const struct service_watch *watch;
    bool goes_on; /* the card was begun for its person */
    bool is_other_plan;
    uint64_t asked_us; /* a person's time, not ours */
};

static bool has_steps_of(const struct profile_plan *a, const struct profile_plan *b)
{
    if (a->step_count != b->step_count)
        return false;
    for (size_t i = 0; i < a->step_count; i++) {
        const struct profile_step *x = &a->steps[i], *y = &b->steps[i];
        if (x->kind != y->kind || x->aid != y->aid || x->no != y->no || x->role != y->role ||
            x->from_generation != y->from_generation || x->to_generation != y->to_generation)
            return false;
    }
    return true;
}

/* The card's own key matters where the profile takes the card over. */
static bool is_blank(const struct profile_state *state)
{
    return !state->has_app && (state->card_key.kind == PROFILE_KEY_FACTORY ||
                               state->card_key.kind == PROFILE_KEY_NOT_TRIED);
}

static bool ask(struct attempt *a, const struct profile_state *state,
                const struct profile_plan *plan)
{
    uint32_t start = service_now_us();
    bool is_good = a->watch->approve(a->watch->ctx, state, plan);
    a->asked_us += service_now_us() - start;
    a->bulk->is_approved |= is_good;
    return is_good;
}

/* One answer for all cards: what is left of a card that was begun is a part of the same plan. */
static bool approve(void *ctx, const struct profile_state *state, const struct profile_plan *plan)
{
    struct attempt *a = ctx;
    struct service_bulk *b = a->bulk;
    bool is_good = false;
    uint32_t start = service_now_us();
    (void)pthread_mutex_lock(&b->asking);
    a->asked_us += service_now_us() - start;
    if (a->goes_on) {
        is_good = b->is_approved || ask(a, state, plan);
    } else if (b->has_plan) {
        is_good = has_steps_of(&b->plan, plan);
        a->is_other_plan = !is_good;
    } else if (is_blank(state)) {
        is_good = b->has_plan = ask(a, state, plan);
        b->plan = *plan;
    } else {
        a->is_other_plan = true;
    }
    (void)pthread_mutex_unlock(&b->asking);
    return is_good;
}

/* The one whose card was begun and is back, or the next. NULL: nobody waits. */
static struct person *take(struct service_bulk *b, const struct channel_card *card, bool *ret_torn)
{
    struct person *found = NULL;
    (void)pthread_mutex_lock(&b->lock);
    bool has_uid = card->uid_len == sizeof(found->uid) && b->counts.torn > 0;
    for (size_t i = 0; has_uid && found == NULL && i < b->count; i++)
        if (b->people[i].state == TORN && memcmp(b->people[i].uid, card->uid, card->uid_len) == 0)
            found = &b->people[i];
    *ret_torn = found != NULL;
    while (found == NULL && b->next < b->count) {
        if (b->people[b->next].state == WAITS)
            found = &b->people[b->next];
        else
            b->next++;
    }
    if (found != NULL)
        found->state = UNDER_WAY;
    b->counts.torn -= *ret_torn;
    (void)pthread_mutex_unlock(&b->lock);
    return found;
}

/* After a failure: whether the card was begun for the person is in the store. */
static void give_back(struct service_bulk *b, struct person *p, struct store *s,
                      const struct channel_card *card, struct service_bulk_card *ret)
{
    struct store_badge badge;
    struct b_err ignored;
    ret->is_torn = card->uid_len == sizeof(badge.uid) &&
                   store_badge_by_uid(s, card->uid, &badge, &ignored) == B_OK &&
                   badge.state == STORE_BADGE_ENROLLING && strcmp(badge.holder_ref, p->ref) == 0;
    (void)pthread_mutex_lock(&b->lock);
    p->state = WAITS;
    if (ret->is_torn)
        set_torn(b, p, &badge);
    else if ((size_t)(p - b->people) < b->next)
        b->next = (size_t)(p - b->people);
    (void)pthread_mutex_unlock(&b->lock);
}

static void count_done(struct service_bulk *b, struct person *p, uint64_t work_us, uint64_t card_us)
{
    (void)pthread_mutex_lock(&b->lock);
    p->state = DONE;
    b->counts.done++;
    b->counts.encoded++;
    b->counts.work_us += work_us;
    b->counts.card_us += card_us;
    (void)pthread_mutex_unlock(&b->lock);
}

enum b_code service_bulk_encode(struct service_bulk *b, struct service *sv, struct channel *ch,
                                const struct service_watch *watch, struct service_bulk_card *ret,
                                struct b_err *err)
{
    struct attempt a = {.bulk = b, .watch = watch};
    const struct service_watch mine = {.approve = approve, .ctx = &a};
    uint32_t start = service_now_us();
    *ret = (struct service_bulk_card){.is_torn = false};
    struct person *p = take(b, channel_card(ch), &a.goes_on);
    if (p == NULL)
        return b_err_set(err, B_E_NOT_FOUND, 0, "nobody of the list waits for a card");
    memcpy(ret->name, p->name, sizeof(ret->name));
    const struct service_holder holder = {.ref = p->ref,
                                          .name = p->name,
                                          .not_before = p->not_before,
                                          .not_after = p->not_after,
                                          .batch_id = b->batch_id};
    enum b_code r = a.goes_on ? service_repair(sv, ch, &mine, &ret->badge, err)
                              : service_enrol(sv, ch, holder, &mine, &ret->badge, err);
    if (r == B_OK)
        count_done(b, p, service_now_us() - start - a.asked_us, channel_spent_us(ch));
    else
        give_back(b, p, sv->store, channel_card(ch), ret);
    if (r == B_E_CANCELLED && a.is_other_plan)
        r = b_err_set(err, B_E_CARD_BLOCKED, 0, "the card is not blank, as the plan wants it");
    return r;
}

struct service_bulk_counts service_bulk_counts(struct service_bulk *b)
{
    (void)pthread_mutex_lock(&b->lock);
    struct service_bulk_counts counts = b->counts;
    (void)pthread_mutex_unlock(&b->lock);
    return counts;
}

bool service_bulk_torn(struct service_bulk *b, size_t *at, char name[static STORE_TEXT_MAX],
                       int64_t *ret_badge_id)
{
    bool is_found = false;
    (void)pthread_mutex_lock(&b->lock);
    while (!is_found && *at < b->count) {
        const struct person *p = &b->people[(*at)++];
        is_found = p->state == TORN;
        if (!is_found)
            continue;
        memcpy(name, p->name, STORE_TEXT_MAX);
        *ret_badge_id = p->badge_id;
    }
    (void)pthread_mutex_unlock(&b->lock);
    return is_found;
}
