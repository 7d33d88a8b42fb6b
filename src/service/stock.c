#include "service/stock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "service/party.h"
#include "service/relay.h"

enum b_code service_note_batch(struct service_change *c, struct store_batch *b, struct b_err *err)
{
    b->at = c->now;
    enum b_code r = store_batch_add(c->store, b, err);
    if (r != B_OK)
        return r;
    service_vouch_batch(c, b);
    return service_log(
        c,
        (struct service_entry){.kind = "stock-receive",
                               .detail = json_pack("{s:I, s:I}", "batch", (json_int_t)b->id,
                                                   "cards", (json_int_t)b->count)},
        err);
}

/* The journal and the backups are no place for a key, not even one that will be replaced. */
static bool is_a_key(const char *text)
{
    enum { SHORTEST = 16 }; /* digits: a DES key */
    return strlen(text) >= SHORTEST && text[strspn(text, "0123456789abcdefABCDEF")] == '\0';
}

enum b_code service_stock_check(const struct store_batch *batch, struct b_err *err)
{
    enum b_code r = service_check_name("the supplier", batch->supplier, err);
    if (r == B_OK && batch->name[0] != '\0')
        r = service_check_name("the batch", batch->name, err);
    if (r == B_OK && batch->transport_key[0] != '\0')
        r = service_check_name("the transport key's name", batch->transport_key, err);
    if (r == B_OK && batch->count <= 0)
        r = b_err_set(err, B_E_BAD_INPUT, 0, "a batch has at least one card");
    if (r == B_OK && is_a_key(batch->transport_key))
        r = b_err_set(err, B_E_BAD_INPUT, 0,
                      "this looks like the transport key itself: give its name or check value");
    return r;
}

static enum b_code note_batch(struct service_change *c, void *ctx, struct b_err *err)
{
    return service_note_batch(c, ctx, err);
}

enum b_code service_stock_receive(struct service *sv, struct store_batch *batch, struct b_err *err)
{
    enum b_code r = service_stock_check(batch, err);
    if (r == B_OK)
        r = service_stock_refuse_batch(sv, batch, err);
    return r == B_OK ? service_change(sv, note_batch, batch, err) : r;
}

/* Only what the holder can use is handed over. */
static enum b_code hand_over(struct store_badge *b, struct b_err *err)
{
    if (b->state != STORE_BADGE_ACTIVE)
        return b_err_set(err, B_E_BADGE_STATE, 0, "badge %lld is %s", (long long)b->id,
                         b_err_word(store_badge_state_name(b->state)));
    if (!b->is_in_office)
        return b_err_set(err, B_E_BADGE_STATE, 0, "badge %lld was handed over already",
                         (long long)b->id);
    b->is_in_office = false;
    return B_OK;
}

static void take_out(const struct store_card_event *e, struct store_badge *b)
{
    bool is_returned = e->kind == STORE_CARD_RETURNED;
    b->is_in_office |= is_returned;
    if (is_returned && b->state != STORE_BADGE_ACTIVE)
        return;
    b->state = is_returned ? STORE_BADGE_SUSPENDED : STORE_BADGE_REVOKED;
    (void)snprintf(b->reason, sizeof(b->reason), "%s", e->reason);
}

/* One that was lost may be found. */
static enum b_code put_badge(struct service_change *c, struct store_card_event *e,
                             struct store_badge *b, struct b_err *err)
{
    int last = -1;
    enum b_code r = store_badge_by_id(c->store, e->badge_id, b, err);
    if (r == B_OK)
        r = store_card_event_last(c->store, e->badge_id, &last, err);
    if (r == B_OK && last == STORE_CARD_DESTROYED)
        r = b_err_set(err, B_E_BADGE_STATE, 0, "badge %lld is destroyed", (long long)b->id);
    if (r == B_OK && e->kind == STORE_CARD_ISSUED)
        r = hand_over(b, err);
    if (r != B_OK)
        return r;
    if (e->kind != STORE_CARD_ISSUED)
        take_out(e, b);
    e->batch_id = b->batch_id;
    e->count = 1;
    b->changed_at = c->now;
    return store_badge_put(c->store, b, err);
}

static enum b_code check_left(struct service_change *c, const struct store_card_event *e,
                              struct b_err *err)
{
    struct store_batch batch;
    struct store_stock stock;
    enum b_code r = store_batch_by_id(c->store, e->batch_id, &batch, err);
    if (r == B_OK)
        r = store_stock_count(c->store, &batch, &stock, err);
    if (r == B_OK && (e->count <= 0 || e->count > stock.blank))
        r = b_err_set(err, B_E_BAD_INPUT, 0, "batch %lld has %lld blank cards, not %lld",
                      (long long)batch.id, (long long)stock.blank, (long long)e->count);
    return r;
}

enum b_code service_note_card_event(struct service_change *c, struct store_card_event *e,
                                    struct b_err *err)
{
    static const char *const kinds[] = {"stock-return", "stock-destroy", "stock-lose",
                                        "stock-issue"};
    struct store_badge badge;
    bool is_badge = e->badge_id != 0;
    b_text_tame(e->reason);
    e->at = c->now;
    enum b_code r = is_badge ? put_badge(c, e, &badge, err) : check_left(c, e, err);
    if (r == B_OK)
        r = store_card_event_add(c->store, e, err);
    if (r != B_OK)
        return r;
    service_vouch_card_event(c, e);
    return service_log(
        c,
        (struct service_entry){.kind = kinds[e->kind],
                               .detail = json_pack("{s:I, s:I}", "batch", (json_int_t)e->batch_id,
                                                   "cards", (json_int_t)e->count),
                               .badge = is_badge ? &badge : NULL,
                               .personal = is_badge ? service_personal(&badge) : NULL,
                               .subject = is_badge ? badge.holder_ref : NULL},
        err);
}

static enum b_code note_event(struct service_change *c, void *ctx, struct b_err *err)
{
    return service_note_card_event(c, ctx, err);
}

enum b_code service_stock_event(struct service *sv, struct store_card_event *event,
                                struct b_err *err)
{
    enum b_code r = service_stock_refuse_event(sv, event, err);
    if (r != B_OK)
        return r;
    return service_change(sv, note_event, event, err);
}

enum b_code service_stock_issue(struct service *sv, int64_t badge_id, struct b_err *err)
{
    struct store_card_event e = {.kind = STORE_CARD_ISSUED, .badge_id = badge_id};
    return service_change(sv, note_event, &e, err);
}

/* --- a list of badges that are handed over -----------------------------------------------------
 */

/* As the list for the printer has them; what is not needed is there to be read by people. */
enum column { BADGE, UID, SERIAL, REF, NAME, AT, COLUMNS };
static const struct service_column columns[COLUMNS] = {
    [BADGE] = {"badge", true}, [UID] = {"uid", false},   [SERIAL] = {"serial", false},
    [REF] = {"ref", false},    [NAME] = {"name", false}, [AT] = {"at", false}};

struct handing {
    const struct service_issue_list *list;
    struct service_sheet *sheet;
    struct service_issued done;
};

/* A field of the record at hand, without the spaces around; "" where the list has no such column.
 */
static const char *field_of(const struct service_sheet *s, enum column column, size_t *ret_n)
{
    const char *text = "";
    *ret_n = 0;
    for (size_t i = 0; i < s->count; i++)
        if (s->order[i] == (size_t)column)
            service_sheet_trim(s->record.fields[i], &text, ret_n);
    return text;
}

static enum b_code issue_record(struct service_change *c, struct handing *k, struct b_err *err)
{
    const struct service_sheet *s = k->sheet;
    enum { DIGITS = 15 };
    struct store_card_event e = {.kind = STORE_CARD_ISSUED};
    struct store_badge b;
    struct b_err cause;
    size_t n = 0, ref_n = 0;
    const char *id = field_of(s, BADGE, &n);
    const char *ref = field_of(s, REF, &ref_n);
    if (n == 0 || n > DIGITS || strspn(id, "0123456789") != n)
        return service_sheet_wrong(s, columns[BADGE].name, "a badge is named by its number", err);
    e.badge_id = strtoll(id, NULL, 10);
    enum b_code r = store_badge_by_id(c->store, e.badge_id, &b, &cause);
    if (r == B_OK && ref_n > 0 &&
        (strlen(b.holder_ref) != ref_n || memcmp(b.holder_ref, ref, ref_n) != 0))
        return service_sheet_wrong(s, columns[REF].name, "this badge is another person's", err);
    if (r == B_OK && !b.is_in_office) {
        k->done.already++;
        return B_OK;
    }
    if (r == B_OK)
        r = service_note_card_event(c, &e, &cause);
    k->done.count += r == B_OK;
    if (r == B_E_NOT_FOUND || r == B_E_BADGE_STATE)
        return service_sheet_wrong(s, columns[BADGE].name, cause.msg, err);
    if (r != B_OK)
        *err = cause;
    return r;
}

static enum b_code note_list(struct service_change *c, void *ctx, struct b_err *err)
{
    struct handing *k = ctx;
    enum b_code r = service_sheet_open(k->sheet, k->list->text, k->list->n, k->list->encoding, err);
    while (r == B_OK) {
        if ((r = service_sheet_next(k->sheet, err)) == B_OK)
            r = issue_record(c, k, err);
        r = service_sheet_keep(k->sheet, r, err);
    }
    if (r == B_E_NOT_FOUND)
        r = service_sheet_end(k->sheet, k->list->mistakes, err);
    return r == B_OK && k->done.count + k->done.already == 0
               ? b_err_set(err, B_E_BAD_INPUT, 0, "%s: no badge is in it", k->list->name)
               : r;
}

enum b_code service_stock_issue_list(struct service *sv, const struct service_issue_list *list,
                                     struct service_issued *ret, struct b_err *err)
{
    struct service_sheet *s = calloc(1, sizeof(*s));
    struct handing k = {.list = list, .sheet = s};
    if (s == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "reading %s", list->name);
    *s = (struct service_sheet){.name = list->name, .columns = columns, .column_count = COLUMNS};
    enum b_code r = service_change(sv, note_list, &k, err);
    *ret = k.done;
    b_wipe(s, sizeof(*s));
    free(s);
    return r;
}
