/* tessere stock: physical cards, accounted for. */
#include "service/stock.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/cli.h"

/* A whole number from 1 of an option; 0 without it. */
static enum b_code read_number(const struct cli *c, enum cli_option option, int64_t *ret,
                               struct b_err *err)
{
    const char *text = c->options[option];
    char *end = NULL;
    *ret = text != NULL ? strtoll(text, &end, 10) : 0;
    if (text != NULL && (*end != '\0' || *ret <= 0 || *ret > 1000000000))
        return b_err_set(err, B_E_USAGE, 0, _("--%s takes a number from 1, not \"%.40s\""),
                         cli_options[option].name, text);
    return B_OK;
}

enum b_code cli_batch(const struct cli *c, int64_t *ret, struct b_err *err)
{
    enum b_code r = read_number(c, CLI_OPT_BATCH, ret, err);
    if (r == B_OK && *ret != 0 && cli_is_far(c))
        r = b_err_set(err, B_E_USAGE, 0, _("--batch works at a reader here only"));
    return r;
}

static enum b_code take_text(const struct cli *c, enum cli_option option, char *ret, size_t cap,
                             struct b_err *err)
{
    const char *text = c->options[option] != NULL ? c->options[option] : "";
    size_t n = strlen(text);
    if (n >= cap)
        return b_err_set(err, B_E_USAGE, 0, _("--%s takes up to %zu bytes"),
                         cli_options[option].name, cap - 1);
    memcpy(ret, text, n + 1);
    return B_OK;
}

enum b_code cli_stock_receive(struct cli *c, struct b_err *err)
{
    struct store_batch b = {.id = 0};
    enum b_code r = read_number(c, CLI_OPT_COUNT, &b.count, err);
    if (r == B_OK)
        r = take_text(c, CLI_OPT_SUPPLIER, b.supplier, sizeof(b.supplier), err);
    if (r == B_OK)
        r = take_text(c, CLI_OPT_NAME, b.name, sizeof(b.name), err);
    if (r == B_OK)
        r = take_text(c, CLI_OPT_TRANSPORT_KEY, b.transport_key, sizeof(b.transport_key), err);
    if (r == B_OK && (b.count == 0 || b.supplier[0] == '\0'))
        r = b_err_set(err, B_E_USAGE, 0, _("stock receive needs --supplier and --count"));
    if (r == B_OK)
        r = cli_open(c, false, err);
    if (r == B_OK)
        r = service_stock_receive(&c->service, &b, err);
    if (r != B_OK)
        return r;
    cli_say(c, CLI_GREEN, _("Batch %lld: %lld cards of %s.\n"), (long long)b.id, (long long)b.count,
            b.supplier);
    if (c->out != NULL)
        (void)json_object_set_new(c->out, "batch", json_integer((json_int_t)b.id));
    return B_OK;
}

/* --- what there is -----------------------------------------------------------------------------
 */

struct listing {
    struct cli *c;
    struct b_err *err;
    enum b_code code;
};

static bool show_batch(void *ctx, const struct store_batch *b)
{
    struct listing *k = ctx;
    struct cli *c = k->c;
    struct store_stock n;
    char at[24];
    k->code = store_stock_count(c->service.store, b, &n, k->err);
    if (k->code != B_OK)
        return false;
    cli_time(b->at, at, sizeof(at));
    if (b->id != 0)
        cli_say(c, CLI_BOLD, _("Batch %lld: %lld cards of %s"), (long long)b->id,
                (long long)b->count, b->supplier);
    else
        cli_say(c, CLI_BOLD, "%s", _("Of no batch"));
    cli_say(c, CLI_PLAIN, b->id != 0 ? " %s %s %s\n" : "\n", b->name, b->transport_key, at);
    cli_say(c, CLI_PLAIN,
            _("  blank %lld, begun %lld, encoded %lld, issued %lld, returned %lld, destroyed %lld, "
              "lost %lld\n"),
            (long long)n.blank, (long long)n.begun, (long long)n.encoded, (long long)n.issued,
            (long long)n.returned, (long long)n.destroyed, (long long)n.lost);
    if (n.blank < 0)
        cli_say(c, CLI_RED, _("  %lld more cards than were received\n"), (long long)-n.blank);
    if (c->out != NULL)
        (void)json_array_append_new(
            json_object_get(c->out, "batches"),
            json_pack("{s:I, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}",
                      "batch", (json_int_t)b->id, "name", b->name, "supplier", b->supplier,
                      "transport_key", b->transport_key, "received", (json_int_t)b->count, "at",
                      (json_int_t)b->at, "blank", (json_int_t)n.blank, "begun", (json_int_t)n.begun,
                      "encoded", (json_int_t)n.encoded, "issued", (json_int_t)n.issued, "returned",
                      (json_int_t)n.returned, "destroyed", (json_int_t)n.destroyed, "lost",
                      (json_int_t)n.lost, "adds_up", (int)(n.blank >= 0)));
    return true;
}

enum b_code cli_stock_list(struct cli *c, struct b_err *err)
{
    struct listing k = {.c = c, .err = err};
    const struct store_batch none = {.id = 0};
    enum b_code r = cli_open(c, false, err);
    if (r == B_OK && c->out != NULL)
        (void)json_object_set_new(c->out, "batches", json_array());
    if (r == B_OK)
        r = store_batch_each(c->service.store, show_batch, &k, err);
    if (r == B_OK && k.code == B_OK)
        (void)show_batch(&k, &none);
    return r == B_OK ? k.code : r;
}

/* --- what became of cards ----------------------------------------------------------------------
 */

static enum b_code put_event(struct cli *c, struct store_card_event *e, struct b_err *err)
{
    enum b_code r = take_text(c, CLI_OPT_REASON, e->reason, sizeof(e->reason), err);
    if (r == B_OK)
        r = cli_open(c, false, err);
    if (r == B_OK)
        r = service_stock_event(&c->service, e, err);
    if (r == B_OK && c->out != NULL)
        (void)json_object_update_new(
            c->out, json_pack("{s:I, s:I, s:I}", "batch", (json_int_t)e->batch_id, "badge",
                              (json_int_t)e->badge_id, "cards", (json_int_t)e->count));
    return r;
}

static enum b_code take_out(struct cli *c, enum store_card_event_kind kind, struct b_err *err)
{
    struct store_card_event e = {.kind = kind};
    enum b_code r = read_number(c, CLI_OPT_BADGE, &e.badge_id, err);
    if (r == B_OK)
        r = read_number(c, CLI_OPT_BATCH, &e.batch_id, err);
    if (r == B_OK)
        r = read_number(c, CLI_OPT_COUNT, &e.count, err);
    bool is_badge = e.badge_id != 0 && e.batch_id == 0 && e.count == 0;
    bool is_blank = e.badge_id == 0 && e.batch_id != 0 && e.count != 0;
    if (r == B_OK && ((!is_badge && !is_blank) || !cli_has(c, CLI_OPT_REASON)))
        r = b_err_set(err, B_E_USAGE, 0,
                      _("it takes --reason, and --badge, or --batch and --count"));
    if (r == B_OK)
        r = put_event(c, &e, err);
    if (r == B_OK)
        cli_say(c, CLI_PLAIN,
                kind == STORE_CARD_LOST ? _("%lld lost: %s\n") : _("%lld destroyed: %s\n"),
                (long long)e.count, e.reason);
    return r;
}

enum b_code cli_stock_destroy(struct cli *c, struct b_err *err)
{
    return take_out(c, STORE_CARD_DESTROYED, err);
}

enum b_code cli_stock_lose(struct cli *c, struct b_err *err)
{
    return take_out(c, STORE_CARD_LOST, err);
}

enum b_code cli_badge_return(struct cli *c, struct b_err *err)
{
    struct store_card_event e = {.kind = STORE_CARD_RETURNED};
    enum b_code r = cli_operand_badge(c, &e.badge_id, err);
    if (r == B_OK)
        r = put_event(c, &e, err);
    if (r == B_OK)
        cli_say(c, CLI_PLAIN,
                _("Badge %lld is back: it is not taken any more. Blank its card, or destroy it.\n"),
                (long long)e.badge_id);
    return r;
}

/* --- handing over ------------------------------------------------------------------------------
 */

static enum b_code issue_one(struct cli *c, struct b_err *err)
{
    struct store_badge b;
    int64_t id = 0;
    enum b_code r = cli_operand_badge(c, &id, err);
    if (r == B_OK)
        r = cli_open(c, false, err);
    if (r == B_OK)
        r = service_stock_issue(&c->service, id, err);
    if (r == B_OK)
        r = store_badge_by_id(c->service.store, id, &b, err);
    if (r != B_OK)
        return r;
    cli_say(c, CLI_GREEN, _("Badge %lld is handed over to %s.\n"), (long long)id, b.holder_name);
    return B_OK;
}

static enum b_code issue_list(struct cli *c, size_t *ret_count, struct b_err *err)
{
    enum { LIST_MAX = 8 << 20 };
    struct service_issue_list list = {.name = c->operand};
    char *text = NULL;
    enum b_code r = cli_encoding(c, &list.encoding, err);
    if (r == B_OK)
        r = b_file_read(list.name, LIST_MAX, &text, &list.n, err);
    list.text = text;
    if (r == B_OK)
        r = cli_open(c, false, err);
    if (r == B_OK)
        r = service_stock_issue_list(&c->service, &list, ret_count, err);
    if (text != NULL)
        b_wipe(text, list.n);
    free(text);
    if (r == B_OK)
        cli_say(c, CLI_GREEN, _("%zu badges are handed over.\n"), *ret_count);
    return r;
}

/* A number names a badge; anything else is a list's file. */
enum b_code cli_badge_issue(struct cli *c, struct b_err *err)
{
    size_t count = 1;
    bool is_number = c->operand[strspn(c->operand, "0123456789")] == '\0';
    enum b_code r = is_number ? issue_one(c, err) : issue_list(c, &count, err);
    if (r == B_OK && c->out != NULL)
        (void)json_object_set_new(c->out, "issued", json_integer((json_int_t)count));
    return r;
}
