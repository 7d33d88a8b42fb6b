/* tessere holder pin: the holder types it, and it is sealed for the vault before it leaves. */
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cli/cli.h"
#include "crypto/hpke.h"
#include "remote/remote.h"

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
        (void)fprintf(stderr, "%s", question);
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
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
    const struct crypto_hpke context = {b_rd_from("tessere-pin/v1", 14),
                                        b_rd_from(c->operand, strlen(c->operand))};
    enum b_code code = remote_call(r, "GET", "/v1/pin-key", NULL, &o, err);
    if (code != B_OK)
        return code;
    const char *text = json_string_value(json_object_get(o, "pin_key"));
    if (text == NULL || !b_unhex(&w, text) || w.len != sizeof(point))
        code = b_err_set(err, B_E_SERVER_GONE, 0, "the server's answer has no key for PINs");
    if (code == B_OK && !ask(o, pin))
        code = b_err_set(err, B_E_PIN_FORMAT, 0, "%s", c->operand);
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
    char path[160];
    struct remote *r = NULL;
    if (strpbrk(c->operand, "/?#% ") != NULL)
        return b_err_set(err, B_E_USAGE, 0, "%.40s", c->operand);
    (void)snprintf(path, sizeof(path), "/v1/holders/%.64s/pin", c->operand);
    enum b_code code = cli_connect(c, &r, err);
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
