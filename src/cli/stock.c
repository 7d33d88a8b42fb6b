/* tessere stock: physical cards, accounted for. */
#include "service/stock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/cli.h"
#include "remote/remote.h"
#include "service/json.h"

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
    return read_number(c, CLI_OPT_BATCH, ret, err);
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

/* A call about one change; *ret: its answer. */
static enum b_code post(const struct cli *c, const char *path, json_t *body, json_t **ret,
                        struct b_err *err)
{
    if (body == NULL)
        return b_err_set(err, B_E_USAGE, 0, _("a text is not UTF-8"));
    return cli_far(c, "POST", path, body, ret, err);
}

static enum b_code receive_far(const struct cli *c, struct store_batch *b, struct b_err *err)
{
    json_t *o = NULL;
    enum b_code r =
        post(c, "/v1/stock/batches",
             json_pack("{s:I, s:s, s:s, s:s}", "count", (json_int_t)b->count, "supplier",
                       b->supplier, "name", b->name, "transport_key", b->transport_key),
             &o, err);
    b->id = json_integer_value(json_object_get(o, "batch"));
    json_decref(o);
    return r;
}

static enum b_code receive_here(struct cli *c, struct store_batch *b, struct b_err *err)
{
    enum b_code r = cli_open(c, false, err);
    return r == B_OK ? service_stock_receive(&c->service, b, err) : r;
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
        r = cli_is_far(c) ? receive_far(c, &b, err) : receive_here(c, &b, err);
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

static long long number(const json_t *o, const char *name)
{
    return (long long)json_integer_value(json_object_get(o, name));
}

/* Batch 0: cards of none. */
static bool show_batch(struct cli *c, const json_t *o)
{
    char at[24];
    cli_time((int64_t)number(o, "at"), at, sizeof(at));
    if (number(o, "batch") != 0) {
        cli_say(c, CLI_BOLD, _("Batch %lld: %lld cards of %s"), number(o, "batch"),
                number(o, "received"), remote_text(o, "supplier"));
        cli_say(c, CLI_PLAIN, " %s %s %s\n", remote_text(o, "name"),
                remote_text(o, "transport_key"), at);
    } else {
        cli_say(c, CLI_BOLD, "%s\n", _("Of no batch"));
    }
    cli_say(c, CLI_PLAIN,
            _("  blank %lld, begun %lld, encoded %lld, issued %lld, returned %lld, destroyed %lld, "
              "lost %lld\n"),
            number(o, "blank"), number(o, "begun"), number(o, "encoded"), number(o, "issued"),
            number(o, "returned"), number(o, "destroyed"), number(o, "lost"));
    if (number(o, "blank") < 0)
        cli_say(c, CLI_RED, _("  %lld more cards than were received\n"), -number(o, "blank"));
    if (c->out != NULL)
        (void)json_array_append_new(json_object_get(c->out, "batches"), json_deep_copy(o));
    return json_is_object(o);
}

struct listing {
    struct cli *c;
    struct b_err *err;
    enum b_code code;
};

static bool show_stored(void *ctx, const struct store_batch *b)
{
    struct listing *k = ctx;
    struct store_stock n;
    k->code = store_stock_count(k->c->service.store, b, &n, k->err);
    if (k->code != B_OK)
        return false;
    json_t *o = service_json_batch(b, &n);
    (void)show_batch(k->c, o);
    json_decref(o);
    return true;
}

static enum b_code list_here(struct cli *c, struct b_err *err)
{
    struct listing k = {.c = c, .err = err};
    const struct store_batch none = {.id = 0};
    enum b_code r = cli_open(c, false, err);
    if (r == B_OK)
        r = store_batch_each(c->service.store, show_stored, &k, err);
    if (r == B_OK && k.code == B_OK)
        (void)show_stored(&k, &none);
    return r == B_OK ? k.code : r;
}

static enum b_code list_far(struct cli *c, struct b_err *err)
{
    json_t *o = NULL;
    enum b_code r = cli_far_each(c, "/v1/stock/batches", show_batch, err);
    if (r == B_OK)
        r = cli_far(c, "GET", "/v1/stock", NULL, &o, err);
    if (r == B_OK)
        (void)show_batch(c, json_object_get(o, "of_no_batch"));
    json_decref(o);
    return r;
}

enum b_code cli_stock_list(struct cli *c, struct b_err *err)
{
    if (c->out != NULL)
        (void)json_object_set_new(c->out, "batches", json_array());
    return cli_is_far(c) ? list_far(c, err) : list_here(c, err);
}

/* --- what became of cards ----------------------------------------------------------------------
 */

static enum b_code event_here(struct cli *c, struct store_card_event *e, struct b_err *err)
{
    enum b_code r = cli_open(c, false, err);
    return r == B_OK ? service_stock_event(&c->service, e, err) : r;
}

static enum b_code event_far(const struct cli *c, struct store_card_event *e, struct b_err *err)
{
    char path[64] = "/v1/stock/destroy";
    json_t *o = NULL;
    json_t *body = json_pack("{s:s}", "reason", e->reason);
    if (e->kind == STORE_CARD_RETURNED) {
        (void)snprintf(path, sizeof(path), "/v1/badges/%lld/return", (long long)e->badge_id);
    } else if (body != NULL) {
        (void)snprintf(path, sizeof(path), "/v1/stock/%s",
                       e->kind == STORE_CARD_LOST ? "lose" : "destroy");
        if (e->badge_id != 0)
            (void)json_object_set_new(body, "badge", json_integer((json_int_t)e->badge_id));
        else
            (void)json_object_update_new(body,
                                         json_pack("{s:I, s:I}", "batch", (json_int_t)e->batch_id,
                                                   "count", (json_int_t)e->count));
    }
    enum b_code r = post(c, path, body, &o, err);
    e->batch_id = number(o, "batch");
    e->count = e->badge_id != 0 ? 1 : e->count;
    json_decref(o);
    return r;
}

static enum b_code put_event(struct cli *c, struct store_card_event *e, struct b_err *err)
{
    enum b_code r = take_text(c, CLI_OPT_REASON, e->reason, sizeof(e->reason), err);
    if (r == B_OK)
        r = cli_is_far(c) ? event_far(c, e, err) : event_here(c, e, err);
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

static enum b_code issue_far(const struct cli *c, int64_t id, struct store_badge *ret,
                             struct b_err *err)
{
    char path[64];
    json_t *o = NULL;
    (void)snprintf(path, sizeof(path), "/v1/badges/%lld/issue", (long long)id);
    enum b_code r = post(c, path, json_object(), &o, err);
    if (r == B_OK && !service_json_badge_read(o, ret))
        r = b_err_set(err, B_E_SERVER_GONE, 0,
                      "the server's answer is no badge: are both of one version?");
    json_decref(o);
    return r;
}

static enum b_code issue_here(struct cli *c, int64_t id, struct store_badge *ret, struct b_err *err)
{
    enum b_code r = cli_open(c, false, err);
    if (r == B_OK)
        r = service_stock_issue(&c->service, id, err);
    return r == B_OK ? store_badge_by_id(c->service.store, id, ret, err) : r;
}

static enum b_code issue_one(struct cli *c, struct b_err *err)
{
    struct store_badge b;
    int64_t id = 0;
    enum b_code r = cli_operand_badge(c, &id, err);
    if (r == B_OK)
        r = cli_is_far(c) ? issue_far(c, id, &b, err) : issue_here(c, id, &b, err);
    if (r != B_OK)
        return r;
    cli_say(c, CLI_GREEN, _("Badge %lld is handed over to %s.\n"), (long long)id, b.holder_name);
    return B_OK;
}

/* The server takes UTF-8 alone, as all of its texts. */
static enum b_code list_to_server(const struct cli *c, const struct service_issue_list *list,
                                  struct service_issued *ret, struct b_err *err)
{
    json_t *o = NULL;
    if (list->encoding != B_CSV_UTF8)
        return b_err_set(err, B_E_USAGE, 0, _("with --server a list is UTF-8"));
    enum b_code r =
        post(c, "/v1/stock/issue",
             json_pack("{s:s%, s:s}", "list", list->text, list->n, "name", list->name), &o, err);
    *ret = (struct service_issued){(size_t)number(o, "issued"), (size_t)number(o, "already")};
    json_decref(o);
    return r;
}

static enum b_code issue_list(struct cli *c, struct service_issued *ret, struct b_err *err)
{
    enum { LIST_MAX = 8 << 20 };
    static struct service_mistakes mistakes;
    struct service_issue_list list = {.name = c->operand, .mistakes = &mistakes};
    char *text = NULL;
    enum b_code r = cli_encoding(c, &list.encoding, err);
    if (r == B_OK)
        r = b_file_read(list.name, LIST_MAX, &text, &list.n, err);
    list.text = text;
    if (r == B_OK && !cli_is_far(c))
        r = cli_open(c, false, err);
    if (r == B_OK)
        r = cli_is_far(c) ? list_to_server(c, &list, ret, err)
                          : service_stock_issue_list(&c->service, &list, ret, err);
    cli_say_mistakes(c, &mistakes);
    if (text != NULL)
        b_wipe(text, list.n);
    free(text);
    if (r == B_OK)
        cli_say(
            c, CLI_GREEN,
            ngettext("%zu badge is handed over.\n", "%zu badges are handed over.\n", ret->count),
            ret->count);
    if (r == B_OK && ret->already > 0)
        cli_say(c, CLI_PLAIN,
                ngettext("%zu of the list was handed over before.\n",
                         "%zu of the list were handed over before.\n", ret->already),
                ret->already);
    return r;
}

/* A number names a badge; anything else is a list's file. */
enum b_code cli_badge_issue(struct cli *c, struct b_err *err)
{
    struct service_issued done = {.count = 1};
    bool is_number = c->operand[strspn(c->operand, "0123456789")] == '\0';
    enum b_code r = is_number ? issue_one(c, err) : issue_list(c, &done, err);
    if (r == B_OK && c->out != NULL)
        (void)json_object_update_new(c->out,
                                     json_pack("{s:I, s:I}", "issued", (json_int_t)done.count,
                                               "already", (json_int_t)done.already));
    return r;
}
