/* tessere journal witness: on another machine, remembers what the journal was and cosigns what
 * grew from it. What it keeps lies in a directory of its own:
 *
 *   witness.key   its Ed25519 key, 0600:  PRIVATE+KEY+name+hash+base64
 *   witness.pub   the key that verifies its cosignatures: name+hash+key
 *   checkpoint    the newest that it cosigned; before anybody is shown a cosignature it is on disk
 *   conflict      a checkpoint that contradicts the one above, both signed: evidence
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/secret.h"
#include "cli/cli.h"
#include "crypto/sign.h"
#include "journal/witness.h"
#include "remote/remote.h"

enum { EVERY_S = 10, KEY_TEXT_MAX = JOURNAL_NAME_MAX + 96 };

struct watch {
    struct cli *c;
    char dir[CLI_PATH_MAX];
    char name[JOURNAL_NAME_MAX];
    uint8_t *seed; /* secret memory */
    struct journal_witness state;
    struct remote *server;
    struct b_err told; /* the trouble that was told last */
};

static enum b_code keep(const struct watch *w, const char *name, const char *text, mode_t mode,
                        struct b_err *err)
{
    char path[CLI_PATH_MAX];
    enum b_code r = service_home_path(w->dir, name, path, sizeof(path), err);
    return r == B_OK ? b_file_replace(path, text, strlen(text), mode, err) : r;
}

/* The text of a file in the directory; *ret_is_there. cap counts the NUL. */
static enum b_code recall(const struct watch *w, const char *name, char *ret, size_t cap,
                          bool *ret_is_there, struct b_err *err)
{
    char path[CLI_PATH_MAX];
    size_t n = 0;
    enum b_code r = service_home_path(w->dir, name, path, sizeof(path), err);
    if (r == B_OK)
        r = service_read_file(path, ret, cap - 1, &n, err);
    *ret_is_there = r == B_OK;
    ret[r == B_OK ? n : 0] = '\0';
    return r != B_OK && err->aux == ENOENT ? B_OK : r;
}

/* --- its key -----------------------------------------------------------------------------------
 */

/* The form in which Go's note package keeps a private key; the number is the algorithm. */
static const char secret_prefix[] = "PRIVATE+KEY+";

static struct journal_signer signer_of(const struct watch *w)
{
    struct journal_signer s = {.algorithm = JOURNAL_ALGORITHM_COSIGNATURE};
    memcpy(s.name, w->name, sizeof(s.name));
    crypto_ed25519_public(w->seed, s.key);
    return s;
}

static enum b_code make_key(struct watch *w, char *text, struct b_err *err)
{
    uint8_t id[4];
    uint8_t tagged[33] = {JOURNAL_ALGORITHM_COSIGNATURE};
    char hex[9];
    char base64[48];
    char published[JOURNAL_NAME_MAX + 64];
    const char *name = w->c->options[CLI_OPT_NAME];
    if (name == NULL || name[0] == '\0' || strlen(name) >= sizeof(w->name) ||
        strpbrk(name, " +\t\r\n") != NULL)
        return b_err_set(err, B_E_USAGE, 0,
                         _("a new witness needs --name: without spaces and plus signs, such as "
                           "witness.hospital.example"));
    memcpy(w->name, name, strlen(name) + 1);
    crypto_random(w->seed, CRYPTO_ED25519_KEY);
    memcpy(tagged + 1, w->seed, CRYPTO_ED25519_KEY);
    struct journal_signer me = signer_of(w);
    journal_key_id(&me, id);
    for (int i = 0; i < 4; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", id[i]);
    b_check(b_base64(base64, sizeof(base64), tagged, sizeof(tagged)) &&
            journal_signer_print(&me, published, sizeof(published)));
    (void)snprintf(text, KEY_TEXT_MAX, "%s%s+%s+%s\n", secret_prefix, w->name, hex, base64);
    b_wipe(tagged, sizeof(tagged));
    b_wipe(base64, sizeof(base64));
    char line[sizeof(published) + 1];
    (void)snprintf(line, sizeof(line), "%s\n", published);
    enum b_code r = keep(w, "witness.pub", line, 0644, err);
    return r == B_OK ? keep(w, "witness.key", text, 0600, err) : r;
}

static bool read_key(struct watch *w, char *text)
{
    uint8_t tagged[33];
    uint8_t id[4];
    uint8_t told[4];
    size_t prefix = sizeof(secret_prefix) - 1;
    struct b_wr bytes = b_wr_from(tagged, sizeof(tagged));
    struct b_wr hash = b_wr_from(told, sizeof(told));
    text[strcspn(text, "\n")] = '\0';
    char *name = strncmp(text, secret_prefix, prefix) == 0 ? text + prefix : NULL;
    char *hex = name != NULL ? strchr(name, '+') : NULL;
    char *base64 = hex != NULL ? strchr(hex + 1, '+') : NULL;
    if (base64 == NULL)
        return false;
    *hex = *base64 = '\0';
    bool is_good = strlen(name) < sizeof(w->name) &&
                   b_unbase64(&bytes, base64 + 1, strlen(base64 + 1)) &&
                   bytes.len == sizeof(tagged) && tagged[0] == JOURNAL_ALGORITHM_COSIGNATURE &&
                   b_unhex(&hash, hex + 1) && hash.len == sizeof(told);
    if (is_good) {
        memcpy(w->name, name, strlen(name) + 1);
        memcpy(w->seed, tagged + 1, CRYPTO_ED25519_KEY);
        struct journal_signer me = signer_of(w);
        journal_key_id(&me, id);
        is_good = memcmp(id, told, sizeof(id)) == 0;
    }
    b_wipe(tagged, sizeof(tagged));
    return is_good;
}

static enum b_code load_key(struct watch *w, struct b_err *err)
{
    bool is_there = false;
    char *text = b_secret_alloc(KEY_TEXT_MAX);
    enum b_code r = recall(w, "witness.key", text, KEY_TEXT_MAX, &is_there, err);
    if (r == B_OK && !is_there)
        r = make_key(w, text, err);
    else if (r == B_OK && !read_key(w, text))
        r = b_err_set(err, B_E_BAD_INPUT, 0, _("%s/witness.key: not the key of a witness"), w->dir);
    b_secret_free(text);
    return r;
}

/* --- watching ----------------------------------------------------------------------------------
 */

static enum b_code open_watch(struct watch *w, struct b_err *err)
{
    static char note[JOURNAL_NOTE_MAX + 1];
    struct journal_signer log;
    bool is_there = false;
    const char *key = w->c->options[CLI_OPT_KEY];
    if (key == NULL || !journal_signer_parse(key, &log))
        return b_err_set(
            err, B_E_USAGE, 0,
            _("--key is needed: the journal's key, as `tessere journal key` shows it"));
    (void)snprintf(w->dir, sizeof(w->dir), "%s", w->c->operand);
    if (mkdir(w->dir, 0700) != 0 && errno != EEXIST)
        return b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "%s: %s", w->dir, strerror(errno));
    enum b_code r = b_secret_init(16384, false, err);
    if (r == B_OK && (w->seed = b_secret_alloc(CRYPTO_ED25519_KEY)) == NULL)
        r = b_err_set(err, B_E_NO_MEMORY, 0, "a witness's key");
    if (r == B_OK)
        r = load_key(w, err);
    journal_witness_init(&w->state, &log);
    if (r == B_OK)
        r = recall(w, "checkpoint", note, sizeof(note), &is_there, err);
    if (r == B_OK && is_there)
        r = journal_witness_load(&w->state, note, strlen(note), err);
    return r == B_OK ? cli_connect(w->c, &w->server, err) : r;
}

static enum b_code misread(struct b_err *err)
{
    return b_err_set(err, B_E_SERVER_GONE, 0, "the server's answer is not about a journal");
}

static enum b_code ask_checkpoint(struct watch *w, struct journal_growth *g, struct b_err *err)
{
    json_t *o = NULL;
    enum b_code r = remote_call(w->server, "GET", "/v1/journal/checkpoint", NULL, &o, err);
    const char *note = remote_text(o, "checkpoint");
    if (r == B_OK && (note[0] == '\0' || strlen(note) >= sizeof(g->note)))
        r = misread(err);
    if (r == B_OK)
        memcpy(g->note, note, strlen(note) + 1);
    if (r == B_E_NOT_FOUND && g->old > 0)
        r = b_err_set(err, B_E_JOURNAL_ROLLBACK, 0,
                      "%s had %llu entries, and has no checkpoint any more", w->state.log.name,
                      (unsigned long long)g->old);
    json_decref(o);
    return r;
}

/* The proof that leads from what was seen to the checkpoint that is shown. */
static enum b_code ask_proof(struct watch *w, struct journal_growth *g, uint64_t size,
                             struct b_err *err)
{
    char path[128];
    json_t *o = NULL;
    (void)snprintf(path, sizeof(path), "/v1/journal/consistency?old=%llu&size=%llu",
                   (unsigned long long)g->old, (unsigned long long)size);
    enum b_code r = remote_call(w->server, "GET", path, NULL, &o, err);
    if (r == B_E_NOT_FOUND || r == B_E_BAD_INPUT)
        r = b_err_set(err, B_E_JOURNAL_PROOF, 0,
                      "the server has no proof from %llu entries to the %llu that it shows",
                      (unsigned long long)g->old, (unsigned long long)size);
    const json_t *hashes = json_object_get(o, "proof");
    if (r == B_OK && (!json_is_array(hashes) || json_array_size(hashes) > JOURNAL_PROOF_MAX))
        r = misread(err);
    g->proof.count = 0;
    for (size_t i = 0; r == B_OK && i < json_array_size(hashes); i++) {
        const char *text = json_string_value(json_array_get(hashes, i));
        struct b_wr hash = b_wr_from(g->proof.hashes[i], JOURNAL_HASH);
        if (text == NULL || !b_unbase64(&hash, text, strlen(text)) || hash.len != JOURNAL_HASH)
            r = misread(err);
        g->proof.count++;
    }
    json_decref(o);
    return r;
}

/* One look. B_OK: what the server shows is what was seen, or grew from it and is cosigned. */
static enum b_code look(struct watch *w, bool *ret_is_new, struct b_err *err)
{
    static struct journal_growth g;
    struct journal_checkpoint shown;
    *ret_is_new = false;
    g = (struct journal_growth){.old = w->state.last.size};
    enum b_code r = ask_checkpoint(w, &g, err);
    if (r != B_OK)
        return r;
    bool is_one = journal_checkpoint_parse(g.note, strlen(g.note), &shown);
    if (is_one && g.old > 0 && shown.size > g.old)
        r = ask_proof(w, &g, shown.size, err);
    uint64_t before = g.old;
    if (r == B_OK)
        r = journal_witness_step(&w->state, &g, err);
    if (r == B_E_JOURNAL_SIGNATURE || r == B_E_JOURNAL_ROLLBACK || r == B_E_JOURNAL_FORK ||
        r == B_E_JOURNAL_PROOF) {
        struct b_err ignored; /* the alarm matters more */
        (void)!keep(w, "conflict", g.note, 0644, &ignored);
    }
    if (r != B_OK || w->state.last.size == before)
        return r;
    *ret_is_new = true;
    if (!journal_witness_cosign(w->name, w->seed, (uint64_t)time(NULL), g.note, sizeof(g.note)))
        return b_err_set(err, B_E_INTERNAL, 0, "a cosignature that does not fit");
    return keep(w, "checkpoint", g.note, 0644, err);
}

/* What the journal itself is guilty of; the rest is a network's trouble and passes. */
static bool is_alarm(enum b_code r)
{
    return b_code_exit(r) == b_code_exit(B_E_JOURNAL_FORK);
}

static void tell(struct watch *w, enum b_code r, const struct b_err *err)
{
    if (r != B_OK && r != w->told.code)
        cli_say(w->c, CLI_YELLOW, _("%s: %s\n"), _(b_code_text(r)), err->msg);
    else if (r == B_OK && w->told.code != B_OK)
        cli_say(w->c, CLI_PLAIN, _("The server answers again.\n"));
    w->told.code = r;
}

static void say_state(const struct watch *w)
{
    char root[2 * JOURNAL_HASH + 1];
    b_hex(root, w->state.last.root, JOURNAL_HASH);
    cli_say(w->c, CLI_PLAIN, _("Cosigned: %llu entries, root %.16s...\n"),
            (unsigned long long)w->state.last.size, root);
    (void)fflush(stdout);
}

static enum b_code watch(struct watch *w, struct b_err *err)
{
    bool is_once = cli_has(w->c, CLI_OPT_ONCE);
    enum b_code r = B_OK;
    for (unsigned failures = 0; !cli_is_stopped(NULL);) {
        bool is_new = false;
        r = look(w, &is_new, err);
        if (r == B_OK && (is_new || is_once))
            say_state(w);
        if (is_once || is_alarm(r))
            return r;
        tell(w, r, err);
        failures = r == B_OK ? 0 : failures + 1;
        unsigned pause_ms = r == B_OK ? EVERY_S * 1000 : remote_pause_ms(failures);
        for (unsigned waited = 0; waited < pause_ms && !cli_is_stopped(NULL); waited += 200)
            (void)usleep(200 * 1000);
    }
    return r;
}

enum b_code cli_journal_witness(struct cli *c, struct b_err *err)
{
    static struct watch w;
    w.c = c;
    enum b_code r = open_watch(&w, err);
    if (r == B_OK)
        r = watch(&w, err);
    if (is_alarm(r)) /* for whoever is on duty, whatever becomes of this terminal */
        syslog(LOG_AUTH | LOG_ALERT, "tessere witness: %s: %s", b_code_name(r), err->msg);
    if (c->out != NULL)
        (void)json_object_update_new(
            c->out,
            json_pack("{s:I, s:s}", "entries", (json_int_t)w.state.last.size, "witness", w.name));
    remote_free(&w.server);
    b_secret_free(w.seed);
    return r;
}
