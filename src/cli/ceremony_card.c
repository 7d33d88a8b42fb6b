/*
 * A share that is opened by its custodian's card. The PIN is typed into a process that lives as
 * long as that card is asked, and the card's module is loaded there alone: it has no descriptor of
 * the vault, and the secret memory of this one is wiped in it (MADV_WIPEONFORK). By a pipe come why
 * it failed, or the words.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/ceremony.h"
#include "crypto/card.h"

enum { PIN_MAX = 64 };

/* --- the process of the card -------------------------------------------------------------------
 */

static void write_all(int fd, const void *bytes, size_t n)
{
    struct b_rd left = b_rd_from(bytes, n);
    while (left.left > 0) {
        ssize_t done = write(fd, left.p, left.left);
        if (done <= 0)
            _exit(1);
        b_rd_skip(&left, (size_t)done);
    }
}

/* That share and no other is shown to the card: one that is asked to open what is another's may
 * take offence (libtpms 0.9.2 stops working). */
static enum b_code open_share(const struct ceremony *k, struct crypto_card *card, unsigned share,
                              struct b_wr *text, struct b_err *err)
{
    static char sealed[VAULT_SEALED_MAX];
    const char *dir = cli_has(k->c, CLI_OPT_BACKUP) ? k->c->options[CLI_OPT_BACKUP] : k->dir;
    char path[CLI_PATH_MAX + 32];
    size_t n = 0;
    (void)snprintf(path, sizeof(path), "%s/share-%u.cms", dir, share);
    enum b_code r = service_read_file(path, sealed, sizeof(sealed), &n, err);
    if (r == B_OK && !crypto_card_read(card, b_rd_from(sealed, n), text))
        r = b_err_set(err, B_E_CARD_KEY, 0, "%s: it is sealed for another key", path);
    return r;
}

/* A module's words are not for the user's terminal. */
static void silence(void)
{
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nowhere < 0 || dup2(nowhere, STDIN_FILENO) < 0 || dup2(nowhere, STDOUT_FILENO) < 0 ||
        dup2(nowhere, STDERR_FILENO) < 0)
        _exit(1);
}

static _Noreturn void be_card(const struct ceremony *k, unsigned share, int fd)
{
    struct b_err err = {0};
    struct crypto_card *card = NULL;
    char pin[PIN_MAX + 1] = "";
    static uint8_t bytes[VAULT_SEALED_MAX];
    struct b_wr text = b_wr_from(bytes, sizeof(bytes));
    size_t n = 0;
    (void)ceremony_line(pin, PIN_MAX, &n);
    pin[n] = '\0';
    silence();
    enum b_code r = crypto_card_open(k->c->options[CLI_OPT_CARD], pin, &card, &err);
    b_wipe(pin, sizeof(pin));
    if (r == B_OK)
        r = open_share(k, card, share, &text, &err);
    crypto_card_free(&card);
    write_all(fd, &err, sizeof(err));
    if (r == B_OK)
        write_all(fd, bytes, text.len);
    b_wipe(bytes, sizeof(bytes));
    _exit(0);
}

/* --- this process ------------------------------------------------------------------------------
 */

static size_t read_all(int fd, void *out, size_t cap)
{
    size_t n = 0;
    ssize_t got = 0;
    while (n < cap && (got = read(fd, (char *)out + n, cap - n)) != 0)
        if (got > 0)
            n += (size_t)got;
        else if (errno != EINTR)
            break;
    return n;
}

static enum b_code take_answer(struct ceremony *k, int fd, unsigned *given, struct b_err *err)
{
    struct b_err told = {0};
    char *text = b_secret_alloc(VAULT_WORDS_MAX);
    if (text == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "a share");
    bool is_told = read_all(fd, &told, sizeof(told)) == sizeof(told);
    size_t n = is_told ? read_all(fd, text, VAULT_WORDS_MAX) : 0;
    told.msg[sizeof(told.msg) - 1] = '\0';
    enum b_code r = B_OK;
    if (!is_told)
        r = b_err_set(err, B_E_CARD_KEY, 0, "%s", _("the card's PKCS#11 module ended its process"));
    else if (told.code != B_OK)
        r = b_err_set(err, B_E_CARD_KEY, told.aux, "%s",
                      told.msg); /* no code of a module's choice */
    else
        r = vault_ceremony_give(k->vault, b_rd_from(text, n), given, err);
    b_secret_free(text);
    return r;
}

enum b_code ceremony_card(struct ceremony *k, unsigned share, unsigned *given, struct b_err *err)
{
    int ends[2];
    cli_say(k->c, CLI_BOLD, "%s", _("PIN of the card: "));
    (void)fflush(stdout);
    if (pipe(ends) != 0)
        return b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "a pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0) {
        if (dup2(ends[1], STDERR_FILENO + 1) < 0 || close_range(STDERR_FILENO + 2, ~0U, 0) != 0)
            _exit(1);
        be_card(k, share, STDERR_FILENO + 1);
    }
    (void)close(ends[1]);
    enum b_code r = pid > 0 ? take_answer(k, ends[0], given, err)
                            : b_err_set(err, B_E_SYSTEM, (uint32_t)errno,
                                        "a process for the card: %s", strerror(errno));
    (void)close(ends[0]);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return r;
}
