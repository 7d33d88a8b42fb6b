/* tessere holder: whoever badges are for. A PIN is typed by its holder, and sealed for the vault
 * before it leaves. */
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cli/cli.h"
#include "crypto/hpke.h"
#include "remote/remote.h"
#include "service/station.h"

enum { PIN_TEXT = 16, BOX = PIN_TEXT + CRYPTO_HPKE_OVERHEAD };

/* From the terminal without echo, or a line of the standard input where there is none. */
static bool read_pin(const char *question, char pin[static PIN_TEXT])
{
    struct termios shown;
    char line[32] = "";
    bool is_hidden = isatty(STDIN_FILENO) != 0 && tcgetattr(STDIN_FILENO, &shown) == 0;
    if (is_hidden) {
        struct termios hidden = shown;
        hidden.c_lflag &= ~(tcflag_t)ECHO;
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
        (void)fprintf(stderr, "%s", question);
    }
    ssize_t n = read(STDIN_FILENO, line, sizeof(line) - 1);
    if (is_hidden) {
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
        (void)fputc('\n', stderr);
    }
    size_t length = n > 0 ? strcspn(line, "\r\n") : 0;
    if (length <= 12)
        memcpy(pin, line, length);
    b_wipe(line, sizeof(line));
    return length >= 4 && length <= 12;
}

/* Typed twice at a terminal: what nobody sees may be mistyped. limits: the server's answer, which
 * says what the policy asks. */
static bool ask(const json_t *limits, char pin[static PIN_TEXT])
{
    char again[PIN_TEXT] = {0};
    char question[80];
    json_int_t min = json_integer_value(json_object_get(limits, "min_digits"));
    json_int_t max = json_integer_value(json_object_get(limits, "max_digits"));
    (void)snprintf(question, sizeof(question), _("New PIN, %lld to %lld digits: "), (long long)min,
                   (long long)max);
    bool is_good = read_pin(question, pin);
    if (is_good && isatty(STDIN_FILENO) != 0)
        is_good = read_pin(_("The same again: "), again) && b_ct_eq(pin, again, PIN_TEXT);
    b_wipe(again, sizeof(again));
    return is_good;
}

static enum b_code seal(const struct cli *c, struct remote *r, char hex[static 2 * BOX + 1],
                        struct b_err *err)
{
    uint8_t point[65];
    uint8_t box[BOX];
    char pin[PIN_TEXT] = {0};
    json_t *o = NULL;
    struct b_wr w = b_wr_from(point, sizeof(point));
    const struct crypto_hpke context = {b_rd_from("tessere-pin-set/v1", 18),
                                        b_rd_from(c->operand, strlen(c->operand))};
    enum b_code code = remote_call(r, "GET", "/v1/pin-key", NULL, &o, err);
    if (code != B_OK)
        return code;
    const char *text = json_string_value(json_object_get(o, "pin_key"));
    if (text == NULL || !b_unhex(&w, text) || w.len != sizeof(point))
        code = b_err_set(err, B_E_SERVER_GONE, 0, "the server's answer has no key for PINs");
    if (code == B_OK && !ask(o, pin))
        code = b_err_set(err, B_E_PIN_FORMAT, 0,
                         _("that of %s has %lld to %lld digits, the same both times"), c->operand,
                         (long long)json_integer_value(json_object_get(o, "min_digits")),
                         (long long)json_integer_value(json_object_get(o, "max_digits")));
    if (code == B_OK && !crypto_hpke_seal(point, &context, b_rd_from(pin, sizeof(pin)), box))
        code = b_err_set(err, B_E_INTERNAL, 0, "sealing a PIN");
    b_wipe(pin, sizeof(pin));
    json_decref(o);
    if (code == B_OK)
        b_hex(hex, box, sizeof(box));
    return code;
}

enum b_code cli_holder_pin(struct cli *c, struct b_err *err)
{
    char hex[2 * BOX + 1];
    char ref[3 * STORE_NAME_MAX];
    char path[sizeof(ref) + 64];
    struct remote *r = NULL;
    enum b_code code = cli_far_escape(c->operand, ref, sizeof(ref), err);
    (void)snprintf(path, sizeof(path), "/v1/holders/%s/pin", ref);
    if (code == B_OK)
        code = cli_connect(c, &r, err);
    if (code == B_OK)
        code = seal(c, r, hex, err);
    json_t *body = code == B_OK ? json_pack("{s:s}", "box", hex) : NULL;
    if (code == B_OK)
        code = remote_call(r, "POST", path, body, NULL, err);
    json_decref(body);
    remote_free(&r);
    if (code == B_OK)
        cli_say(c, CLI_GREEN, _("The PIN of %s is set.\n"), c->operand);
    return code;
}

/* --- states ------------------------------------------------------------------------------------
 */

struct line {
    const char *ref, *name, *state;
    bool has_pin, is_pin_locked;
};

static void print_holder(struct cli *c, const struct line *h)
{
    cli_say(c, CLI_PLAIN, "%-20s  %-10s  %-14s  %s\n", h->ref, h->state,
            h->is_pin_locked ? _("PIN locked")
            : h->has_pin     ? _("has a PIN")
                             : "",
            h->name);
    if (c->out != NULL)
        (void)json_array_append_new(
            json_object_get(c->out, "holders"),
            json_pack("{s:s, s:s, s:s, s:b, s:b}", "ref", h->ref, "name", h->name, "state",
                      h->state, "has_pin", (int)h->has_pin, "pin_locked", (int)h->is_pin_locked));
}

static struct line line_of(const struct store_holder *h)
{
    return (struct line){.ref = h->ref,
                         .name = h->name,
                         .state = store_party_state_name(h->state),
                         .has_pin = h->pin_len > 0,
                         .is_pin_locked = h->is_pin_locked};
}

static struct line line_far(const json_t *o)
{
    return (struct line){.ref = remote_text(o, "ref"),
                         .name = remote_text(o, "name"),
                         .state = remote_text(o, "state"),
                         .has_pin = json_is_true(json_object_get(o, "has_pin")),
                         .is_pin_locked = json_is_true(json_object_get(o, "pin_locked"))};
}

static bool list_here(void *ctx, const struct store_holder *h)
{
    const struct line l = line_of(h);
    print_holder(ctx, &l);
    return !cli_is_stopped(NULL);
}

static bool list_far(struct cli *c, const json_t *o)
{
    const struct line l = line_far(o);
    print_holder(c, &l);
    return l.ref[0] != '\0';
}

enum b_code cli_holder_list(struct cli *c, struct b_err *err)
{
    char part[3 * STORE_TEXT_MAX] = "";
    char path[sizeof(part) + 32];
    const char *holder = c->options[CLI_OPT_HOLDER];
    if (c->out != NULL)
        (void)json_object_set_new(c->out, "holders", json_array());
    enum b_code r = holder != NULL ? cli_far_escape(holder, part, sizeof(part), err) : B_OK;
    (void)snprintf(path, sizeof(path), "/v1/holders%s%s", holder != NULL ? "?holder=" : "", part);
    if (r == B_OK && cli_is_far(c))
        return cli_far_each(c, path, list_far, err);
    if (r == B_OK)
        r = cli_open(c, false, err);
    return r == B_OK ? store_holder_each(c->service.store, 0, holder, list_here, c, err) : r;
}

struct turn {
    const char *verb, *kind; /* kind NULL: the lock of the PIN ends */
    enum store_party_state to;
};

static enum b_code turn_here(struct cli *c, const struct turn *t, struct store_holder *ret,
                             struct b_err *err)
{
    enum b_code r = cli_open(c, false, err);
    if (r == B_OK && t->kind != NULL)
        return service_holder_state(&c->service, c->operand, t->to, t->kind, ret, err);
    if (r == B_OK)
        r = service_pin_unlock(&c->service, c->operand, err);
    return r == B_OK ? store_holder_by_ref(c->service.store, c->operand, ret, err) : r;
}

static enum b_code turn_holder(struct cli *c, const struct turn *t, struct b_err *err)
{
    static struct store_holder h;
    char ref[3 * STORE_NAME_MAX];
    char path[sizeof(ref) + 64];
    json_t *o = NULL;
    enum b_code r = cli_far_escape(c->operand, ref, sizeof(ref), err);
    (void)snprintf(path, sizeof(path), "/v1/holders/%s/%s", ref, t->verb);
    if (r == B_OK)
        r = cli_is_far(c) ? cli_far(c, "POST", path, json_object(), &o, err)
                          : turn_here(c, t, &h, err);
    if (r == B_OK) {
        const struct line l = cli_is_far(c) ? line_far(o) : line_of(&h);
        if (c->out != NULL)
            (void)json_object_set_new(c->out, "holders", json_array());
        print_holder(c, &l);
    }
    json_decref(o);
    return r;
}

enum b_code cli_holder_suspend(struct cli *c, struct b_err *err)
{
    static const struct turn stop = {"suspend", "holder-suspend", STORE_PARTY_SUSPENDED};
    return turn_holder(c, &stop, err);
}

enum b_code cli_holder_reinstate(struct cli *c, struct b_err *err)
{
    static const struct turn on = {"reinstate", "holder-reinstate", STORE_PARTY_ACTIVE};
    return turn_holder(c, &on, err);
}

enum b_code cli_holder_leave(struct cli *c, struct b_err *err)
{
    static const struct turn end = {"leave", "holder-leave", STORE_PARTY_ENDED};
    return turn_holder(c, &end, err);
}

enum b_code cli_holder_unlock(struct cli *c, struct b_err *err)
{
    static const struct turn unlock = {"pin/unlock", NULL, STORE_PARTY_ACTIVE};
    return turn_holder(c, &unlock, err);
}
