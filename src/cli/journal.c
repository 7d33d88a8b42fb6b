/* tessere journal: verify, prove, export, erase, checkpoint. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "remote/remote.h"
#include "service/journal.h"
#include "service/verify.h"

/* The key whose signatures count: the one given, else the vault's own. */
static enum b_code find_signer(struct cli *c, struct journal_signer *ret, struct b_err *err)
{
    const char *key = c->options[CLI_OPT_KEY];
    if (key == NULL)
        return service_journal_signer(&c->service, ret, err);
    return journal_signer_parse(key, ret)
               ? B_OK
               : b_err_set(err, B_E_USAGE, 0, _("--key takes name+hash+key, as it was published"));
}

/* A checkpoint that was kept elsewhere; else the one beside the store, if there is one. */
static enum b_code read_earlier(const struct cli *c, char *note, size_t cap, const char **ret,
                                struct b_err *err)
{
    char path[CLI_PATH_MAX];
    size_t n = 0;
    const char *given = c->options[CLI_OPT_CHECKPOINT];
    enum b_code r = cli_path(c, "checkpoint", path, sizeof(path), err);
    if (r == B_OK)
        r = service_read_file(given != NULL ? given : path, note, cap - 1, &n, err);
    if (r != B_OK && given == NULL && err->aux == ENOENT)
        return B_OK; /* none was signed yet */
    note[n] = '\0';
    *ret = note;
    return r;
}

enum b_code cli_journal_verify(struct cli *c, struct b_err *err)
{
    static char note[JOURNAL_NOTE_MAX + 1];
    struct journal_signer signer;
    struct service_verified found;
    char published[JOURNAL_NAME_MAX + 64];
    char root[2 * JOURNAL_HASH + 1];
    enum b_code r = cli_open(c, !cli_has(c, CLI_OPT_KEY), err);
    struct service_verify what = {.signer = &signer, .finess = c->config.finess};
    if (r == B_OK)
        r = find_signer(c, &signer, err);
    if (r == B_OK)
        r = read_earlier(c, note, sizeof(note), &what.earlier, err);
    if (r == B_OK)
        r = store_hold(c->service.store, err); /* the server writes on */
    if (r == B_OK) {
        r = service_verify(c->service.store, &what, &found, err);
        store_rollback(c->service.store);
    }
    if (r != B_OK)
        return r;
    b_hex(root, found.root, sizeof(found.root));
    b_check(journal_signer_print(&signer, published, sizeof(published)));
    cli_say(c, CLI_GREEN, _("The journal is whole: %llu entries, %llu checkpoints.\n"),
            (unsigned long long)found.entries, (unsigned long long)found.checkpoints);
    cli_say(c, CLI_PLAIN, _("  %llu records are what the journal says of them\n"),
            (unsigned long long)found.records);
    cli_say(c, CLI_PLAIN, _("  root  %s\n  key   %s\n"), root, published);
    if (c->out != NULL)
        (void)json_object_update_new(
            c->out, json_pack("{s:I, s:I, s:I, s:I, s:s, s:s}", "entries",
                              (json_int_t)found.entries, "checkpoints",
                              (json_int_t)found.checkpoints, "records", (json_int_t)found.records,
                              "erased", (json_int_t)found.erased, "root", root, "key", published));
    return B_OK;
}

static enum b_code checkpoint_here(struct cli *c, char note[static JOURNAL_NOTE_MAX],
                                   struct b_err *err)
{
    uint64_t size = 0;
    enum b_code r = cli_open(c, true, err);
    if (r == B_OK)
        r = service_journal_checkpoint(&c->service, c->home, err);
    return r == B_OK ? store_checkpoint_get(c->service.store, UINT64_MAX, &size, note,
                                            JOURNAL_NOTE_MAX, err)
                     : r;
}

/* The server has it signed every second in which something was added. */
static enum b_code checkpoint_far(const struct cli *c, char note[static JOURNAL_NOTE_MAX],
                                  struct b_err *err)
{
    json_t *o = NULL;
    enum b_code r = cli_far(c, "GET", "/v1/journal/checkpoint", NULL, &o, err);
    (void)snprintf(note, JOURNAL_NOTE_MAX, "%s", remote_text(o, "checkpoint"));
    json_decref(o);
    return r;
}

enum b_code cli_journal_checkpoint(struct cli *c, struct b_err *err)
{
    static char note[JOURNAL_NOTE_MAX];
    enum b_code r = cli_is_far(c) ? checkpoint_far(c, note, err) : checkpoint_here(c, note, err);
    if (r != B_OK)
        return r;
    cli_say(c, CLI_PLAIN, "%s", note);
    if (c->out != NULL)
        (void)json_object_set_new(c->out, "checkpoint", json_string(note));
    return B_OK;
}

enum b_code cli_journal_accept(struct cli *c, struct b_err *err)
{
    enum b_code r = cli_open(c, true, err);
    if (r == B_OK && !cli_ask(c, _("Was this database restored on purpose? What it lacks is lost. "
                                   "[y/N] ")))
        r = b_err_set(err, B_E_CANCELLED, 0, "accepting the journal");
    if (r == B_OK)
        r = service_journal_accept(&c->service, c->home, err);
    if (r == B_OK)
        cli_say(c, CLI_GREEN, _("The journal goes on from here, and says so.\n"));
    return r;
}

enum b_code cli_journal_key(struct cli *c, struct b_err *err)
{
    struct journal_signer signer;
    char published[JOURNAL_NAME_MAX + 64];
    enum b_code r = cli_open(c, true, err);
    if (r == B_OK)
        r = service_journal_signer(&c->service, &signer, err);
    if (r != B_OK)
        return r;
    b_check(journal_signer_print(&signer, published, sizeof(published)));
    cli_say(c, CLI_PLAIN, "%s\n", published);
    if (c->out != NULL)
        (void)json_object_set_new(c->out, "key", json_string(published));
    return B_OK;
}

static json_t *hashes_of(const struct journal_proof *proof)
{
    json_t *hashes = json_array();
    for (size_t i = 0; i < proof->count; i++) {
        char text[48];
        b_check(b_base64(text, sizeof(text), proof->hashes[i], JOURNAL_HASH));
        (void)json_array_append_new(hashes, json_string(text));
    }
    return hashes;
}

/* C2SP tlog-proof, with the entry itself as its extra data. */
enum b_code cli_journal_prove(struct cli *c, struct b_err *err)
{
    static struct journal_inclusion p;
    static char text[JOURNAL_PROOF_TEXT_MAX];
    char *end = NULL;
    uint64_t size = 0;
    uint64_t index = strtoull(c->operand, &end, 10);
    if (*end != '\0')
        return b_err_set(err, B_E_USAGE, 0, _("an entry is named by its number, not \"%.40s\""),
                         c->operand);
    enum b_code r = cli_open(c, false, err);
    if (r == B_OK)
        r = service_journal_prove(&c->service, index, &size, &p, err);
    if (r != B_OK)
        return r;
    if (!journal_inclusion_print(&p, text, sizeof(text)))
        return b_err_set(err, B_E_INTERNAL, 0, "a proof that does not fit");
    cli_say(c, CLI_PLAIN, "%s", text);
    if (c->out != NULL)
        (void)json_object_update_new(
            c->out, json_pack("{s:I, s:I, s:s%, s:o, s:s, s:s}", "index", (json_int_t)p.index,
                              "size", (json_int_t)size, "entry", (const char *)p.extra, p.extra_len,
                              "proof", hashes_of(&p.proof), "checkpoint", p.note, "text", text));
    return B_OK;
}

enum b_code cli_journal_export(struct cli *c, struct b_err *err)
{
    uint64_t size = 0;
    enum b_code r = cli_open(c, true, err);
    if (r == B_OK)
        r = service_journal_checkpoint(&c->service, c->home, err);
    if (r == B_OK)
        r = service_journal_export(&c->service, c->operand, &size, err);
    if (r != B_OK)
        return r;
    cli_say(c, CLI_PLAIN, _("%llu entries are in %s.\n"), (unsigned long long)size, c->operand);
    if (c->out != NULL)
        (void)json_object_set_new(c->out, "entries", json_integer((json_int_t)size));
    return B_OK;
}

enum b_code cli_journal_erase(struct cli *c, struct b_err *err)
{
    uint64_t count = 0;
    enum b_code r = cli_open(c, false, err);
    if (r == B_OK && !cli_ask(c, _("Forget this person for good?")))
        r = b_err_set(err, B_E_CANCELLED, 0, "erasing %s", c->operand);
    if (r == B_OK)
        r = service_journal_erase(&c->service, c->operand, &count, err);
    if (r != B_OK)
        return r;
    cli_say(c, CLI_PLAIN, _("Erased: %llu entries lost their personal data; every proof holds.\n"),
            (unsigned long long)count);
    if (c->out != NULL)
        (void)json_object_set_new(c->out, "entries", json_integer((json_int_t)count));
    return B_OK;
}
