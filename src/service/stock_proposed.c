/* What gains or loses cards, as actions that a quorum approves (action.def): one line of text each,
 * which a person can type and the journal keeps. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/action.h"
#include "service/stock.h"

/* --- the line ----------------------------------------------------------------------------------
 *
 *   stock-receive COUNT; SUPPLIER; NAME; TRANSPORT-KEY     the last two may be absent or empty
 *   stock-destroy badge ID; REASON
 *   stock-destroy batch ID COUNT; REASON                   stock-lose likewise
 */

enum { PARTS_MAX = 4, PART = 160, LINE = 300 };

/* The part of n bytes without the spaces around. */
static bool take_part(const char *text, size_t n, char ret[static PART])
{
    for (; n > 0 && *text == ' '; n--)
        text++;
    while (n > 0 && text[n - 1] == ' ')
        n--;
    if (n >= PART)
        return false;
    memcpy(ret, text, n);
    ret[n] = '\0';
    return true;
}

/* The parts of a line, the last of `most` with all that follows; how many, 0: one is too long. */
static size_t split(const char *line, char (*parts)[PART], size_t most)
{
    for (size_t count = 0; count < most;) {
        bool is_last = count + 1 == most;
        size_t n = is_last ? strlen(line) : strcspn(line, ";");
        if (!take_part(line, n, parts[count++]))
            return 0;
        if (line[n] == '\0')
            return count;
        line += n + 1;
    }
    return 0;
}

/* " 12" at *text, which moves on; 0: no number from 1 is there. */
static int64_t take_number(const char **text)
{
    char *end = NULL;
    long long v = strtoll(*text, &end, 10);
    bool is_good = end != *text && (*end == ' ' || *end == '\0') && v > 0 && v <= 1000000000;
    *text = end;
    return is_good ? v : 0;
}

static bool copy(char *to, size_t cap, const char *from)
{
    size_t n = strlen(from);
    if (n >= cap)
        return false;
    memcpy(to, from, n + 1);
    return true;
}

static bool read_batch(const char *line, struct store_batch *ret)
{
    char parts[PARTS_MAX][PART] = {"", "", "", ""};
    *ret = (struct store_batch){.id = 0};
    if (split(line, parts, PARTS_MAX) < 2)
        return false;
    const char *count = parts[0];
    ret->count = take_number(&count);
    return ret->count > 0 && *count == '\0' &&
           copy(ret->supplier, sizeof(ret->supplier), parts[1]) &&
           copy(ret->name, sizeof(ret->name), parts[2]) &&
           copy(ret->transport_key, sizeof(ret->transport_key), parts[3]);
}

static bool read_event(const char *line, struct store_card_event *ret)
{
    char parts[PARTS_MAX][PART] = {"", "", "", ""};
    if (split(line, parts, 2) != 2 || strlen(parts[0]) < 7)
        return false;
    const char *number = parts[0] + 5; /* after "badge" or "batch" */
    bool is_badge = strncmp(parts[0], "badge ", 6) == 0;
    bool is_batch = strncmp(parts[0], "batch ", 6) == 0;
    *(is_badge ? &ret->badge_id : &ret->batch_id) = take_number(&number);
    ret->count = is_batch ? take_number(&number) : 0;
    bool has_numbers = is_badge ? ret->badge_id > 0 : ret->batch_id > 0 && ret->count > 0;
    return (is_badge || is_batch) && has_numbers && *number == '\0' && parts[1][0] != '\0' &&
           copy(ret->reason, sizeof(ret->reason), parts[1]);
}

static void write_batch(const struct store_batch *b, char ret[static LINE])
{
    (void)snprintf(ret, LINE, "%lld; %s; %s; %s", (long long)b->count, b->supplier, b->name,
                   b->transport_key);
}

static void write_event(const struct store_card_event *e, char ret[static LINE])
{
    if (e->badge_id != 0)
        (void)snprintf(ret, LINE, "badge %lld; %s", (long long)e->badge_id, e->reason);
    else
        (void)snprintf(ret, LINE, "batch %lld %lld; %s", (long long)e->batch_id,
                       (long long)e->count, e->reason);
}

/* --- refused to one alone ----------------------------------------------------------------------
 */

static enum b_code refuse(struct service *sv, const char *action, const char *line,
                          struct b_err *err)
{
    char what[LINE + 32];
    (void)snprintf(what, sizeof(what), "%s %s", action, line);
    enum b_code r = service_refuse_alone(sv->store, what, err);
    return r != B_OK ? r
                     : b_err_set(err, B_E_QUORUM, 0,
                                 "stock-two-people: is set in tessere.yaml, and there is no roster "
                                 "of approvers: tessere roster found");
}

enum b_code service_stock_refuse_batch(struct service *sv, const struct store_batch *b,
                                       struct b_err *err)
{
    char line[LINE];
    if (!sv->stock_needs_two)
        return B_OK;
    write_batch(b, line);
    return refuse(sv, "stock-receive", line, err);
}

enum b_code service_stock_refuse_event(struct service *sv, const struct store_card_event *e,
                                       struct b_err *err)
{
    char line[LINE];
    bool is_out = e->kind == STORE_CARD_DESTROYED || e->kind == STORE_CARD_LOST;
    if (!sv->stock_needs_two || !is_out)
        return B_OK;
    write_event(e, line);
    return refuse(sv, e->kind == STORE_CARD_LOST ? "stock-lose" : "stock-destroy", line, err);
}

/* --- the actions -------------------------------------------------------------------------------
 */

static enum b_code take_line(const char *line, struct service_proposing *k, struct b_err *err)
{
    size_t n = strlen(line);
    if (n >= sizeof(k->argument))
        return b_err_set(err, B_E_TOO_LARGE, 0, "a proposal says it in less than %d bytes",
                         SERVICE_ARGUMENT_MAX);
    memcpy(k->argument, line, n + 1);
    return B_OK;
}

enum b_code service_prepare_receive(struct service *sv, struct service_proposing *k,
                                    struct b_err *err)
{
    struct store_batch b;
    char line[LINE];
    (void)sv;
    if (!read_batch(k->operands, &b))
        return b_err_set(err, B_E_BAD_INPUT, 0,
                         "stock-receive COUNT; SUPPLIER; NAME; TRANSPORT-KEY, not \"%.120s\"",
                         k->operands);
    write_batch(&b, line);
    enum b_code r = service_stock_check(&b, err);
    return r == B_OK ? take_line(line, k, err) : r;
}

enum b_code service_act_receive(struct service_change *c, const struct service_carrying *k,
                                struct b_err *err)
{
    struct store_batch b;
    if (!read_batch(k->argument, &b))
        return b_err_set(err, B_E_BAD_INPUT, 0, "not a batch: %.120s", k->argument);
    return service_note_batch(c, &b, err);
}

enum b_code service_prepare_out(struct service *sv, struct service_proposing *k, struct b_err *err)
{
    struct store_card_event e = {.kind = STORE_CARD_DESTROYED};
    struct store_badge badge;
    struct store_batch batch;
    char line[LINE];
    if (!read_event(k->operands, &e))
        return b_err_set(err, B_E_BAD_INPUT, 0,
                         "badge ID; REASON or batch ID COUNT; REASON, not \"%.120s\"", k->operands);
    write_event(&e, line);
    enum b_code r = e.badge_id != 0 ? store_badge_by_id(sv->store, e.badge_id, &badge, err)
                                    : store_batch_by_id(sv->store, e.batch_id, &batch, err);
    return r == B_OK ? take_line(line, k, err) : r;
}

static enum b_code act_out(struct service_change *c, const struct service_carrying *k,
                           enum store_card_event_kind kind, struct b_err *err)
{
    struct store_card_event e = {.kind = kind};
    if (!read_event(k->argument, &e))
        return b_err_set(err, B_E_BAD_INPUT, 0, "not cards: %.120s", k->argument);
    return service_note_card_event(c, &e, err);
}

enum b_code service_act_destroy(struct service_change *c, const struct service_carrying *k,
                                struct b_err *err)
{
    return act_out(c, k, STORE_CARD_DESTROYED, err);
}

enum b_code service_act_lose(struct service_change *c, const struct service_carrying *k,
                             struct b_err *err)
{
    return act_out(c, k, STORE_CARD_LOST, err);
}
