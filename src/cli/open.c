/* Opening what a command needs: the establishment, its vault, the card. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "cli/cli.h"

enum b_code cli_path(const struct cli *c, const char *name, char *ret, size_t cap,
                     struct b_err *err)
{
    return service_home_path(c->home, name, ret, cap, err);
}

/* Asks on the terminal, without echo, and gives the vault the end of a pipe: the PIN stays in this
 * process for as long as the typing. -1 when there is no terminal. */
static int ask_pin(void)
{
    int fds[2], tty = open("/dev/tty", O_RDWR | O_CLOEXEC);
    struct termios shown, hidden;
    char pin[130];
    if (tty < 0)
        return -1;
    if (tcgetattr(tty, &shown) != 0 || pipe2(fds, O_CLOEXEC) != 0) {
        (void)close(tty);
        return -1;
    }
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    (void)dprintf(tty, "%s", _("PIN of the token: "));
    (void)tcsetattr(tty, TCSAFLUSH, &hidden);
    ssize_t n = read(tty, pin, sizeof(pin));
    (void)tcsetattr(tty, TCSAFLUSH, &shown);
    (void)dprintf(tty, "\n");
    (void)close(tty);
    while (n > 0 && (pin[n - 1] == '\n' || pin[n - 1] == '\r'))
        n--;
    bool is_sent = n > 0 && write(fds[1], pin, (size_t)n) == n;
    b_wipe(pin, sizeof(pin));
    (void)close(fds[1]);
    if (is_sent)
        return fds[0];
    (void)close(fds[0]);
    return -1;
}

enum b_code cli_open_vault(struct cli *c, struct b_err *err)
{
    const struct service_config *conf = &c->config;
    const char *pin_file = conf->pin_file[0] != '\0' ? conf->pin_file : NULL;
    struct vault_config config = {
        .service = conf->vault[0] != '\0' ? conf->vault : NULL,
        .token_uri = conf->token_uri,
        .softhsm_conf = conf->softhsm_conf[0] != '\0' ? conf->softhsm_conf : NULL,
        .establishment = conf->finess,
        .pin_file = cli_has(c, CLI_OPT_PIN_FILE) ? c->options[CLI_OPT_PIN_FILE] : pin_file,
        .pin_fd = -1,
        .may_use_last_try = cli_has(c, CLI_OPT_LAST_TRY),
        .signs_journal = true};
    config.workers = c->threads;
    config.stored = conf->stored;
    if (c->keeps_in_token)
        config.in_token = conf->in_token;
    if (cli_has(c, CLI_OPT_ASK_PIN)) {
        config.pin_file = NULL;
        config.pin_fd = ask_pin();
        if (config.pin_fd < 0)
            return b_err_set(err, B_E_TOKEN_PIN_SOURCE, 0, "no PIN was typed at a terminal");
    }
    enum b_code r = vault_spawn(&config, &c->service.vault, err);
    if (config.pin_fd >= 0)
        (void)close(config.pin_fd);
    return r;
}

enum b_code cli_open_store(struct cli *c, const char *path, bool may_create, struct b_err *err)
{
    c->service.asker = (struct service_asker){.actor = "desk", .request = ""};
    return service_home_open_store(path, may_create, c->threads > 0, &c->service, err);
}

enum b_code cli_open(struct cli *c, bool with_vault, struct b_err *err)
{
    char path[CLI_PATH_MAX];
    enum b_code r = cli_path(c, "tessere.yaml", path, sizeof(path), err);
    if (r == B_OK)
        r = service_config_read(path, &c->config, err);
    if (r == B_OK)
        r = cli_path(c, "store.db", path, sizeof(path), err);
    if (r == B_OK)
        r = cli_open_store(c, path, false, err);
    if (r == B_OK)
        r = service_home_load(c->home, &c->service, err);
    c->service.stock_needs_two = c->config.stock_needs_two;
    if (r == B_OK && with_vault)
        r = cli_open_vault(c, err);
    return r;
}

void cli_close(struct cli *c)
{
    vault_free(&c->service.vault);
    service_writer_close(&c->service.writer);
    store_free(&c->service.store);
    if (c->record != NULL)
        (void)fclose(c->record);
    c->record = NULL;
    b_wipe(c->others, sizeof(c->others));
}

/* --- card
 * ------------------------------------------------------------------------------------------------
 */

static void print_exchange(void *ctx, bool is_answer, struct b_rd apdu)
{
    struct cli *c = ctx;
    char line[512];
    if (is_answer)
        df_trace_answer(&c->trace, apdu, line, sizeof(line));
    else
        df_trace_command(&c->trace, apdu, line, sizeof(line));
    (void)fprintf(stderr, "%s\n", line);
}

/* Who recorded the encoding of a blank card, whose first key everybody knows, could compute its new
 * keys: what carries a key is withheld, but for the key's number. */
static size_t open_bytes(struct b_rd capdu)
{
    static const struct {
        uint8_t ins, open;
    } keys[] = {{0xC4, 6}, {0xC6, 7}, {0xCE, 11}, {0x5C, 6}};
    for (size_t i = 0; capdu.left > 5 && i < B_COUNT(keys); i++)
        if (capdu.p[1] == keys[i].ins)
            return keys[i].open;
    return capdu.left;
}

static enum b_code wrap(struct cli *c, struct channel **ch, struct b_err *err)
{
    const char *to = c->options[CLI_OPT_RECORD];
    enum b_code r = B_OK;
    if (cli_has(c, CLI_OPT_TRACE)) {
        df_trace_init(&c->trace, false);
        r = channel_trace_new(*ch, print_exchange, c, ch);
    }
    if (r == B_OK && to != NULL) {
        if (c->record == NULL) /* a card that is put back goes on in the same file */
            c->record = fopen(to, "we");
        if (c->record == NULL)
            return b_err_set(err, B_E_BAD_INPUT, (uint32_t)errno, "%s: %s", to, strerror(errno));
        r = channel_record_masked_new(*ch, c->record, open_bytes, ch);
    }
    if (r != B_OK) {
        *ch = NULL; /* a wrapper that fails has freed it */
        return b_err_set(err, r, 0, "preparing the exchange with the card");
    }
    return B_OK;
}

enum b_code cli_open_card(struct cli *c, int default_wait_ms, struct channel **ret,
                          struct b_err *err)
{
    struct channel_pcsc_wanted wanted = {.reader = c->options[CLI_OPT_READER],
                                         .uid = c->awaited_len > 0 ? c->awaited : NULL,
                                         .uid_len = c->awaited_len,
                                         .is_stopped = cli_is_stopped};
    int wait_ms = default_wait_ms;
    if (cli_has(c, CLI_OPT_WAIT)) {
        char *end = NULL;
        long s = strtol(c->options[CLI_OPT_WAIT], &end, 10);
        if (*end != '\0' || end == c->options[CLI_OPT_WAIT] || s < -1 || s > 86400)
            return b_err_set(err, B_E_USAGE, 0, _("--wait takes -1 to 86400 seconds, not %.40s"),
                             c->options[CLI_OPT_WAIT]);
        wait_ms = s < 0 ? -1 : (int)s * 1000;
    }
    struct channel *ch = NULL;
    enum b_code r = channel_pcsc_open(&wanted, &ch, err);
    if (r != B_OK && r != B_E_PCSC_DOWN && wait_ms != 0) {
        if (c->awaited_len == 0)
            cli_say(c, CLI_PLAIN, "%s\n",
                    r == B_E_TWO_CARDS ? _("Leave one badge on the reader.")
                                       : _("Put the badge on the reader."));
        wanted.wait_ms = wait_ms;
        r = channel_pcsc_open(&wanted, &ch, err);
    }
    if (r == B_OK)
        r = wrap(c, &ch, err);
    if (r == B_OK)
        *ret = ch;
    else
        channel_free(&ch);
    return r;
}
