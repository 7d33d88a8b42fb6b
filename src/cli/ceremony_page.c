/* A share as a page to print: its words, numbered, and a QR code of them. The file is the share,
 * and lies where --sheets says: on a memory file system or a stick, never beside the home. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/ceremony.h"
#include "cli/qr.h"

enum { PAGE_MAX = 24576 };

static void put(struct b_wr *w, const char *text)
{
    b_wr_bytes(w, text, strlen(text));
}

static void put_escaped(struct b_wr *w, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '&')
            put(w, "&amp;");
        else if (*text == '<')
            put(w, "&lt;");
        else
            b_wr_bytes(w, text, 1);
    }
}

static void put_line(struct b_wr *w, const char *name, const char *value)
{
    put(w, "<tr><th>");
    put(w, name);
    put(w, "<td>");
    put_escaped(w, value);
    put(w, "\n");
}

static void put_words(struct b_wr *w, const char *words)
{
    put(w, "<ol>\n");
    while (*words != '\0') {
        size_t n = strcspn(words, " ");
        put(w, "<li>");
        b_wr_bytes(w, words, n);
        put(w, "\n");
        words += n + strspn(words + n, " ");
    }
    put(w, "</ol>\n");
}

static enum b_code write_page(struct ceremony *k, uint8_t share, const char *words, struct b_wr *w,
                              struct b_err *err)
{
    char id[SERVICE_CEREMONY_HEX];
    char figures[64];
    b_hex(id, k->backup.ceremony.id, sizeof(k->backup.ceremony.id));
    put(w, "<!doctype html>\n<meta charset=\"utf-8\">\n<title>");
    put(w, _("Share of a backup of master keys"));
    put(w, "</title>\n<style>body{font-family:sans-serif;max-width:45em;margin:2em auto}"
           "th{text-align:left;padding-right:1em}ol{columns:2;font:1.4em monospace}"
           ".r{border:3px solid;padding:.5em;font-weight:bold}</style>\n<h1>");
    put(w, _("Share of a backup of master keys"));
    put(w, "</h1>\n");
    if (k->backup.ceremony.is_rehearsal) {
        put(w, "<p class=\"r\">");
        put(w, _("REHEARSAL: these keys are used by nothing."));
    }
    put(w, "<table>\n");
    (void)snprintf(figures, sizeof(figures), _("%u of %u; %u open the backup"), share,
                   k->backup.ceremony.shares, k->backup.ceremony.threshold);
    put_line(w, _("Share"), figures);
    put_line(w, _("Custodian"), k->backup.custodians[share - 1].name);
    put_line(w, _("Establishment"), k->backup.finess);
    put_line(w, _("Ceremony"), id);
    put(w, "</table>\n");
    put_words(w, words);
    bool is_drawn = cli_qr_svg(words, w);
    put(w, "<p>");
    put(w, _("For its custodian alone. Typed, or read by a QR reader that types: the two are the "
             "same."));
    put(w, "\n");
    return is_drawn && b_wr_ok(w) ? B_OK
                                  : b_err_set(err, B_E_INTERNAL, 0, "a page of share %u", share);
}

/* Beside the home a share would be in its backups. */
static enum b_code check_place(struct ceremony *k, const char *dir, struct b_err *err)
{
    size_t n = strlen(k->c->home);
    char *real = realpath(dir, NULL);
    enum b_code r = B_OK;
    if (real == NULL)
        r = b_err_set(err, B_E_USAGE, 0, _("--sheets %s: no such directory"), dir);
    else if (strncmp(real, k->c->home, n) == 0 && (real[n] == '\0' || real[n] == '/'))
        r = b_err_set(err, B_E_USAGE, 0, _("--sheets %s: shares do not lie in the home"), dir);
    free(real);
    return r;
}

enum b_code ceremony_page(struct ceremony *k, uint8_t share, const char *words, struct b_err *err)
{
    char path[CLI_PATH_MAX + 32];
    const char *dir = k->c->options[CLI_OPT_SHEETS];
    uint8_t *page = b_secret_alloc(PAGE_MAX);
    struct b_wr w = b_wr_from(page, page != NULL ? PAGE_MAX : 0);
    enum b_code r = page != NULL ? check_place(k, dir, err)
                                 : b_err_set(err, B_E_NO_MEMORY, 0, "a page of a share");
    if (r == B_OK)
        r = write_page(k, share, words, &w, err);
    (void)snprintf(path, sizeof(path), "%s/share-%u.html", dir, share);
    if (r == B_OK)
        r = b_file_replace(path, page, w.len, 0600, err);
    if (r == B_OK)
        cli_say(
            k->c, CLI_YELLOW,
            _("  share %u of %s is a page: %s. Print it, hand it over, and destroy the file.\n"),
            share, k->backup.custodians[share - 1].name, path);
    b_secret_free(page);
    return r;
}
