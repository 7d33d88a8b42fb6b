/*
 * tessere drill restore: the newest backup is put back in a directory that is thrown away, its
 * masters into a token that is thrown away, and a software badge is encoded and tapped by them. The
 * establishment goes on meanwhile; only the result is written into its journal.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "card/card.h"
#include "cli/backup.h"
#include "cli/ceremony.h"
#include "cli/scratch.h"
#include "service/drill.h"
#include "service/relay.h"

enum { SECRETS = 16384, DAY = 86400 };

struct drill {
    struct cli *c;
    struct cli there; /* the establishment as it was restored */
    struct ceremony k;
    struct service_copy_config conf;
    struct backup_wanted wanted;
    struct service_manifest m;
    struct service_drill result;
    char path[CLI_PATH_MAX + SERVICE_COPY_NAME]; /* of the copy */
    struct cli_scratch place;                    /* of the establishment as it was restored */
    struct cli_scratch token;                    /* of the masters, where it lies in memory */
};

static uint64_t now_ms(void)
{
    struct timespec t;
    b_check(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* --- the backup --------------------------------------------------------------------------------
 */

static enum b_code find_newest(struct drill *d, struct b_err *err)
{
    static struct service_copies all;
    struct cli *c = d->c;
    enum b_code r = service_copy_config_read(c->home, &d->conf, err);
    if (r == B_OK || r == B_E_NOT_FOUND)
        r = service_copies_list(d->conf.dir, c->config.finess, &all, err);
    if (r == B_OK && all.count == 0)
        r = b_err_set(err, B_E_BACKUP_DUE, 0, _("no backup in %s"), d->conf.dir);
    if (r != B_OK)
        return r;
    memcpy(d->result.copy, all.names[all.count - 1], sizeof(d->result.copy));
    (void)snprintf(d->path, sizeof(d->path), "%.500s/%s.backup", d->conf.dir, d->result.copy);
    d->wanted.is.finess = c->config.finess;
    d->wanted.is.signer = &d->wanted.signer;
    return service_journal_signer(&c->service, &d->wanted.signer, err);
}

/* How much would be lost, if what was not copied were gone now. */
static enum b_code measure_loss(struct drill *d, struct b_err *err)
{
    uint64_t entries = 0;
    int64_t age = service_now() - d->m.at;
    enum b_code r = store_entry_count(d->c->service.store, &entries, err);
    d->result.rpo_s = age > 0 ? (uint64_t)age : 0;
    d->result.rpo_entries = entries > d->m.entries ? entries - d->m.entries : 0;
    return r;
}

static enum b_code restore(struct drill *d, struct b_err *err)
{
    struct b_rd key;
    char place[CLI_PATH_MAX];
    enum b_code r = service_copy_check(d->path, &d->wanted.is, &d->m, err);
    if (r == B_OK)
        r = measure_loss(d, err);
    if (r == B_OK)
        r = b_file_map(d->c->options[CLI_OPT_CUSTODIAN], &key, err);
    if (r != B_OK)
        return r;
    r = cli_path(d->c, "drill.part", place, sizeof(place), err);
    if (r == B_OK)
        r = cli_scratch_open(place, 0, &d->place, err); /* one drill at a time in a home */
    if (r == B_E_NOT_FOUND)
        r = b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "%s: %s", place, strerror(errno));
    memcpy(d->there.home, d->place.dir, sizeof(d->there.home));
    if (r == B_OK)
        r = service_copy_open(d->path, key, &d->wanted.is, &d->m, d->there.home, err);
    r = cli_backup_key_used(d->c, r, err);
    b_file_unmap(&key);
    if (r == B_OK)
        r = cli_open(&d->there, false, err);
    if (r == B_OK)
        cli_say(d->c, CLI_PLAIN, _("  %s: restored, %llu entries of its journal verified\n"),
                d->result.copy, (unsigned long long)d->m.entries);
    return r;
}

/* --- the masters -------------------------------------------------------------------------------
 */

/* In memory where there is such a place, so that no disk ever has the real masters in a token of
 * files; else in the directory that is thrown away. */
static enum b_code make_token(struct drill *d, struct b_err *err)
{
    static struct cli at;
    char memory[CLI_PATH_MAX];
    at = d->there;
    for (enum cli_option o = CLI_OPT_PIN_FILE; o <= CLI_OPT_LAST_TRY; o++)
        d->there.options[o] = NULL; /* of the establishment's token */
    cli_scratch_memory("drill", d->c->config.finess, memory);
    enum b_code r = cli_scratch_open(memory, 0, &d->token, err);
    if (r == B_OK)
        memcpy(at.home, d->token.dir, sizeof(at.home));
    else if (r != B_E_NOT_FOUND)
        return r; /* whoever put it there would have the masters on a disk */
    r = cli_make_token(&at, "token", err);
    d->there.config = at.config;
    return r == B_OK ? cli_open_vault(&d->there, err) : r;
}

static enum b_code bring_masters(struct drill *d, struct b_err *err)
{
    struct journal_signer signer;
    enum b_code r = make_token(d, err);
    d->k.c = &d->there;
    d->k.vault = d->there.service.vault;
    if (r == B_OK)
        r = ceremony_find(&d->k, err);
    if (r == B_OK)
        r = service_ceremony_compare(d->there.service.store, &d->k.backup, err);
    if (r == B_OK)
        r = ceremony_take_in(&d->k, err);
    for (size_t i = 0; r == B_OK && i < d->k.backup.count; i++) {
        struct vault_key key;
        r = vault_ceremony_bring(d->k.vault, &d->k.backup.keys[i], true, &key, err);
        d->result.masters++;
    }
    if (r == B_OK)
        r = cli_check_keys(&d->there, err);
    if (r == B_OK)
        r = service_journal_signer(&d->there.service, &signer, err);
    if (r == B_OK && memcmp(signer.key, d->wanted.signer.key, sizeof(signer.key)) != 0)
        r = b_err_set(err, B_E_KCV_DIFFERS, 0, "%s",
                      _("the masters that came back give another key of the journal"));
    if (r == B_OK)
        cli_say(d->c, CLI_PLAIN, _("  %u master keys came back, each with its check value\n"),
                d->result.masters);
    return r;
}

/* --- the badge ---------------------------------------------------------------------------------
 */

static bool approve(void *ctx, const struct profile_state *state, const struct profile_plan *plan)
{
    (void)ctx;
    (void)state;
    (void)plan;
    return true;
}

static enum b_code tap(struct drill *d, struct b_err *err)
{
    static struct card card;
    static const struct channel_card_ops ops = {.apdu = card_apdu, .power = card_power};
    const struct service_watch watch = {.approve = approve};
    const struct service_holder holder = {.ref = "drill", .name = "drill"};
    struct df_personality who = {.ev = DF_EV2, .memory = 8192, .uid = {4}};
    struct channel_card seen = {.uid_len = sizeof(who.uid), .reader = "drill"};
    struct channel *ch = NULL;
    struct store_badge badge;
    struct profile_tap told;
    struct service_legs legs;
    crypto_random(who.uid + 1, sizeof(who.uid) - 1);
    memcpy(seen.uid, who.uid, sizeof(who.uid));
    enum b_code r = card_new(&who, NULL, &card, err);
    if (r != B_OK)
        return r;
    card_power(&card);
    r = channel_card_new(&ops, &card, &seen, &ch);
    if (r == B_OK)
        r = service_enrol(&d->there.service, ch, holder, &watch, &badge, err);
    if (r == B_OK)
        r = channel_reset(ch, err);
    if (r == B_OK)
        r = service_tap(&d->there.service, ch, &badge, &told, &legs, err);
    channel_free(&ch);
    card_close(&card);
    d->result.has_tapped = r == B_OK;
    if (r == B_OK)
        cli_say(d->c, CLI_PLAIN, "%s\n", _("  a software badge was encoded, tapped and granted"));
    return r;
}

/* After the time is taken: it proves the masters, and is no part of coming back. */
static enum b_code sample(struct drill *d, struct b_err *err)
{
    enum b_code r = service_drill_sample(&d->c->service, &d->there.service, &d->result.sample, err);
    if (r == B_OK && d->result.sample > 0)
        cli_say(d->c, CLI_PLAIN,
                ngettext("  %u badge drawn: the masters that came back make its key\n",
                         "  %u badges drawn: the masters that came back make their keys\n",
                         d->result.sample),
                d->result.sample);
    return r;
}

/* --- the evidence ------------------------------------------------------------------------------
 */

static enum b_code tell(struct drill *d, struct b_err *err)
{
    const struct service_drill *k = &d->result;
    struct cli *c = d->c;
    uint64_t entry = 0;
    /* What cannot be signed is found before it counts: of a forked journal, or without the token.
     */
    enum b_code r = service_journal_checkpoint(&c->service, c->home, err);
    if (r == B_OK)
        r = service_drill_note(&c->service, k, &entry, err);
    if (r == B_OK)
        r = service_journal_checkpoint(&c->service, c->home, err);
    if (r != B_OK)
        return r;
    double rto = (double)k->rto_ms / 1000;
    cli_say(c, CLI_GREEN,
            _("Drill: RTO %.1f seconds; RPO %llu seconds and %llu entries of the journal. Entry "
              "%llu.\n"),
            rto, (unsigned long long)k->rpo_s, (unsigned long long)k->rpo_entries,
            (unsigned long long)entry);
    if (!k->has_tapped)
        cli_say(c, CLI_YELLOW, "%s\n",
                _("Without the masters: no badge was tried, and the RTO is that of the data."));
    if (k->is_partial)
        cli_say(c, CLI_YELLOW, "%s\n", _("The next drill stays due: these masters have shares."));
    if (c->out != NULL)
        (void)json_object_update_new(
            c->out,
            json_pack("{s:s, s:f, s:I, s:I, s:i, s:b, s:i, s:I}", "backup", k->copy, "rto_seconds",
                      rto, "rpo_seconds", (json_int_t)k->rpo_s, "rpo_entries",
                      (json_int_t)k->rpo_entries, "masters", (int)k->masters, "tap", k->has_tapped,
                      "sample", (int)k->sample, "entry", (json_int_t)entry));
    return B_OK;
}

/* No drill is held well that leaves masters behind. */
static enum b_code throw_away(struct drill *d, enum b_code r, struct b_err *err)
{
    if (d->k.vault != NULL)
        vault_ceremony_close(d->k.vault);
    cli_close(&d->there);
    bool is_gone = cli_scratch_close(&d->token);
    bool is_all_gone = cli_scratch_close(&d->place) && is_gone;
    return r == B_OK && !is_all_gone
               ? b_err_set(err, B_E_LEFT_BEHIND, 0, "%s", is_gone ? d->place.path : d->token.path)
               : r;
}

/* A line that is cut ends a drill as Ctrl-C does, which throws the masters away. */
static void end_with_terminal(void)
{
    struct sigaction as;
    if (sigaction(SIGTERM, NULL, &as) == 0)
        (void)sigaction(SIGHUP, &as, NULL);
}

enum b_code cli_drill_restore(struct cli *c, struct b_err *err)
{
    static struct drill d;
    uint64_t start = now_ms();
    if (!cli_has(c, CLI_OPT_CUSTODIAN))
        return b_err_set(
            err, B_E_USAGE, 0, "%s",
            _("--custodian FILE is needed: the private key of one for whom the backup is sealed"));
    enum b_code r = b_secret_init(SECRETS, false, err);
    if (r == B_OK)
        r = cli_open(c, true, err);
    if (r == B_OK)
        r = cli_make_home_absolute(c, err);
    if (r != B_OK)
        return r;
    d.c = c;
    d.there = *c;
    d.there.service = (struct service){.store = NULL};
    d.there.home[0] = '\0';
    d.place.lock = d.token.lock = -1;
    end_with_terminal();
    r = find_newest(&d, err);
    if (r == B_OK)
        r = restore(&d, err);
    if (r == B_OK && cli_is_stopped(NULL))
        r = b_err_set(err, B_E_CANCELLED, 0, "interrupted");
    bool has_masters = d.m.has_masters && !cli_has(c, CLI_OPT_WITHOUT_MASTERS);
    d.result.is_partial = d.m.has_masters && !has_masters;
    if (r == B_OK && has_masters)
        r = bring_masters(&d, err);
    if (r == B_OK && has_masters)
        r = tap(&d, err);
    d.result.rto_ms = now_ms() - start;
    if (r == B_OK && has_masters)
        r = sample(&d, err);
    r = throw_away(&d, r, err);
    return r == B_OK ? tell(&d, err) : r;
}

/* --- the calendar ------------------------------------------------------------------------------
 */

static bool list_one(void *ctx, const struct service_drill *k)
{
    struct cli *c = ctx;
    char at[32];
    cli_time(k->at, at, sizeof(at));
    cli_say(c, CLI_PLAIN, _("%s  RTO %.1f s  RPO %llu s, %llu entries  %s  %s\n"), at,
            (double)k->rto_ms / 1000, (unsigned long long)k->rpo_s,
            (unsigned long long)k->rpo_entries, k->copy,
            k->has_tapped ? _("with masters and a tap") : _("without masters"));
    if (c->out != NULL)
        (void)json_array_append_new(
            json_object_get(c->out, "drills"),
            json_pack("{s:I, s:s, s:f, s:I, s:I, s:i, s:b, s:i}", "at", (json_int_t)k->at, "backup",
                      k->copy, "rto_seconds", (double)k->rto_ms / 1000, "rpo_seconds",
                      (json_int_t)k->rpo_s, "rpo_entries", (json_int_t)k->rpo_entries, "masters",
                      (int)k->masters, "tap", k->has_tapped, "sample", (int)k->sample));
    return true;
}

enum b_code cli_drill_list(struct cli *c, struct b_err *err)
{
    static struct service_copy_config conf;
    char due[32];
    int64_t last = 0;
    if (c->out != NULL)
        (void)json_object_set_new(c->out, "drills", json_array());
    enum b_code r = cli_open(c, false, err);
    if (r == B_OK)
        r = service_copy_config_read(c->home, &conf, err);
    if (r == B_OK || r == B_E_NOT_FOUND)
        r = service_drill_each(c->service.store, list_one, c, err);
    if (r == B_OK)
        r = service_drill_last(c->service.store, &last, err);
    if (r != B_OK)
        return r;
    int64_t at = last != 0 ? last + (int64_t)conf.drill_days * DAY : service_now();
    cli_time(at, due, sizeof(due));
    cli_say(c, at <= service_now() ? CLI_RED : CLI_BOLD, _("The next drill is due on %.10s.\n"),
            due);
    if (c->out != NULL)
        (void)json_object_set_new(c->out, "due", json_integer((json_int_t)at));
    return B_OK;
}
