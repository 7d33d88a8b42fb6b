/* tessere badge bulk: badges for the people of a list, on several readers at once. Each reader has
 * a thread and a reading connection to the store of its own. */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/cli.h"
#include "cli/labels.h"
#include "service/bulk.h"

enum { LIST_MAX = 64 * 1024 * 1024, READERS = 16, REMOVED_MS = 400, REST_MS = 1000 };

struct run;

struct reader {
    char name[128];
    struct run *run;
    pthread_t thread;
    bool is_started;
    struct service sv;
    struct service_bulk_card card; /* the last */
};

struct run {
    struct cli *c;
    struct service_bulk *bulk;
    struct cli_labels labels;
    bool has_labels;
    pthread_mutex_t lock; /* of what follows, and of the output */
    bool is_over;
    enum b_code code; /* why it is over */
    struct b_err err;
    struct timespec began; /* with the first card */
    struct reader readers[READERS];
    size_t count;
};

static void end(struct run *run, enum b_code code, const struct b_err *err)
{
    (void)pthread_mutex_lock(&run->lock);
    run->is_over = true;
    if (run->code == B_OK && code != B_OK) {
        run->code = code;
        run->err = *err;
    }
    (void)pthread_mutex_unlock(&run->lock);
}

static bool is_stopped(void *ctx)
{
    struct run *run = ctx;
    struct service_bulk_counts counts = service_bulk_counts(run->bulk);
    (void)pthread_mutex_lock(&run->lock);
    bool is = run->is_over;
    (void)pthread_mutex_unlock(&run->lock);
    return is || cli_is_stopped(NULL) || counts.done == counts.people;
}

/* --- what is said ------------------------------------------------------------------------------
 */

struct rate {
    double a_minute;
    double percent; /* of the work, for card and reader */
};

/* Of one card there is none: the next one is not put on yet. */
static struct rate rate_of(const struct run *run, const struct service_bulk_counts *n)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    double s =
        (double)(now.tv_sec - run->began.tv_sec) + (double)(now.tv_nsec - run->began.tv_nsec) / 1e9;
    return (struct rate){.a_minute = n->encoded > 1 && s > 0 ? 60.0 * (double)n->encoded / s : 0,
                         .percent =
                             n->work_us > 0 ? 100.0 * (double)n->card_us / (double)n->work_us : 0};
}

/* One line of JSON; o is taken. */
static void print_line(const struct cli *c, json_t *o)
{
    if (c->out != NULL && o != NULL)
        (void)(json_dumpf(o, stdout, JSON_COMPACT) == 0 && putchar('\n') && fflush(stdout) == 0);
    json_decref(o);
}

static json_t *json_counts(const char *event, const struct service_bulk_counts *n, struct rate rate)
{
    return json_pack("{s:s, s:I, s:I, s:I, s:f, s:f}", "event", event, "people",
                     (json_int_t)n->people, "done", (json_int_t)n->done, "torn",
                     (json_int_t)n->torn, "a_minute", rate.a_minute, "card_percent", rate.percent);
}

static void say_done(struct reader *me)
{
    struct run *run = me->run;
    const struct store_badge *b = &me->card.badge;
    struct service_bulk_counts n = service_bulk_counts(run->bulk);
    (void)pthread_mutex_lock(&run->lock);
    struct rate rate = rate_of(run, &n);
    cli_say(run->c, CLI_GREEN, _("%s: badge %lld, take it: %s (%s)"), me->name, (long long)b->id,
            b->holder_name, b->holder_ref);
    cli_say(run->c, CLI_PLAIN, _("  %zu of %zu, %.1f a minute, %.1f %% card and reader\n"), n.done,
            n.people, rate.a_minute, rate.percent);
    json_t *o = json_counts("badge", &n, rate);
    (void)json_object_set_new(o, "reader", json_string(me->name));
    (void)json_object_set_new(o, "badge", cli_json_badge(b));
    print_line(run->c, o);
    (void)pthread_mutex_unlock(&run->lock);
}

static void say_failed(struct reader *me, const struct b_err *err)
{
    struct run *run = me->run;
    const struct service_bulk_card *card = &me->card;
    (void)pthread_mutex_lock(&run->lock);
    cli_say(run->c, CLI_RED, _("%s: %s: %s\n"), me->name, _(b_code_text(err->code)), err->msg);
    if (card->is_torn)
        cli_say(run->c, CLI_YELLOW, _("%s: this card is begun for %s: put it back\n"), me->name,
                card->name);
    print_line(run->c, json_pack("{s:s, s:s, s:s, s:s, s:s, s:b}", "event", "refused", "reader",
                                 me->name, "code", b_code_name(err->code), "context", err->msg,
                                 "name", card->name, "torn", (int)card->is_torn));
    (void)pthread_mutex_unlock(&run->lock);
}

/* --- a reader ----------------------------------------------------------------------------------
 */

static bool approve(void *ctx, const struct profile_state *state, const struct profile_plan *plan)
{
    struct run *run = ctx;
    (void)state;
    (void)pthread_mutex_lock(&run->lock);
    cli_say_plan(run->c, plan);
    bool is_good = cli_ask(run->c, _("Write this to the card of everybody? [y/N] "));
    (void)pthread_mutex_unlock(&run->lock);
    return is_good;
}

static enum b_code add_label(struct run *run, const struct store_badge *b, struct b_err *err)
{
    (void)pthread_mutex_lock(&run->lock);
    enum b_code r = run->has_labels ? cli_labels_add(&run->labels, b, err) : B_OK;
    (void)pthread_mutex_unlock(&run->lock);
    return r;
}

static void encode(struct reader *me, struct channel *ch)
{
    struct run *run = me->run;
    struct b_err err;
    const struct service_watch watch = {.approve = approve, .ctx = run};
    (void)pthread_mutex_lock(&run->lock);
    if (run->began.tv_sec == 0)
        (void)clock_gettime(CLOCK_MONOTONIC, &run->began);
    (void)pthread_mutex_unlock(&run->lock);
    enum b_code r = service_bulk_encode(run->bulk, &me->sv, ch, &watch, &me->card, &err);
    if (r == B_OK) {
        r = add_label(run, &me->card.badge, &err);
        say_done(me);
        if (r != B_OK)
            end(run, r, &err);
    } else if (r == B_E_CANCELLED) {
        end(run, r, &err);
    } else {
        say_failed(me, &err);
    }
}

static void wait_removed(struct run *run, struct channel *ch)
{
    struct b_err ignored;
    enum b_code r = B_E_CANCELLED;
    while (r == B_E_CANCELLED && !is_stopped(run))
        r = channel_pcsc_wait_removed(ch, REMOVED_MS, &ignored);
}

static void *serve(void *arg)
{
    struct reader *me = arg;
    struct run *run = me->run;
    const struct channel_pcsc_wanted wanted = {
        .reader = me->name, .wait_ms = -1, .is_stopped = is_stopped, .ctx = run};
    while (!is_stopped(run)) {
        struct channel *ch = NULL;
        struct b_err err;
        enum b_code r = channel_pcsc_open(&wanted, &ch, &err);
        if (r == B_OK) {
            encode(me, ch);
            wait_removed(run, ch);
        } else if (r != B_E_CANCELLED) {
            me->card.is_torn = false;
            say_failed(me, &err);
            (void)usleep(REST_MS * 1000);
        }
        channel_free(&ch);
    }
    return NULL;
}

/* --- the run -----------------------------------------------------------------------------------
 */

/* Whether a reader is one of --readers: parts of names, with commas. */
static bool is_wanted(const struct cli *c, const char *name)
{
    const char *list = c->options[CLI_OPT_READERS];
    char part[128];
    if (list == NULL || strcmp(list, "all") == 0)
        return true;
    for (size_t n = 0; *list != '\0'; list += n + (list[n] == ',')) {
        n = strcspn(list, ",");
        size_t fits = n < sizeof(part) ? n : sizeof(part) - 1;
        memcpy(part, list, fits);
        part[fits] = '\0';
        if (n > 0 && strstr(name, part) != NULL)
            return true;
    }
    return false;
}

static enum b_code find_readers(struct run *run, struct b_err *err)
{
    static struct channel_reader found[READERS];
    size_t count = 0;
    enum b_code r = channel_pcsc_list(found, READERS, &count, err);
    for (size_t i = 0; r == B_OK && i < count; i++) {
        if (!is_wanted(run->c, found[i].name))
            continue;
        struct reader *k = &run->readers[run->count++];
        memcpy(k->name, found[i].name, sizeof(k->name));
        k->run = run;
    }
    if (r == B_OK && run->count == 0)
        r = b_err_set(err, B_E_NO_READER, 0, _("no reader is one of --readers"));
    return r;
}

/* Two runs of one list would give its people two badges. */
static enum b_code lock_list(const char *path, int *ret_fd, struct b_err *err)
{
    *ret_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*ret_fd >= 0 && flock(*ret_fd, LOCK_EX | LOCK_NB) != 0)
        return b_err_set(err, B_E_BAD_INPUT, 0, _("%s: another run of this list is under way"),
                         path);
    return B_OK; /* a file that cannot be opened is told by who reads it */
}

static enum b_code read_list(struct run *run, struct b_err *err)
{
    static struct service_mistakes mistakes;
    struct service_bulk_list list = {.name = run->c->operand, .mistakes = &mistakes};
    char *text = NULL;
    enum b_code r = cli_encoding(run->c, &list.encoding, err);
    if (r == B_OK)
        r = cli_batch(run->c, &list.batch_id, err);
    if (r == B_OK)
        r = b_file_read(list.name, LIST_MAX, &text, &list.n, err);
    list.text = text;
    if (r == B_OK)
        r = service_bulk_new(&list, &run->bulk, err);
    cli_say_mistakes(run->c, &mistakes);
    if (text != NULL)
        b_wipe(text, list.n);
    free(text);
    return r;
}

/* A badge that was made when the run was cut before its line was written. */
static void take_done(void *ctx, const struct store_badge *b)
{
    struct run *run = ctx;
    struct b_err err;
    if (!run->has_labels || cli_labels_has(&run->labels, b->id))
        return;
    enum b_code r = cli_labels_add(&run->labels, b, &err);
    if (r != B_OK)
        end(run, r, &err);
}

static enum b_code resume(struct run *run, struct b_err *err)
{
    const char *out = run->c->options[CLI_OPT_OUT];
    enum b_code r = out != NULL ? cli_labels_open(out, &run->labels, err) : B_OK;
    run->has_labels = out != NULL;
    if (r == B_OK)
        r = service_bulk_resume(run->bulk, run->c->service.store, take_done, run, err);
    if (r == B_OK && (r = run->code) != B_OK)
        *err = run->err;
    return r;
}

static enum b_code start(struct run *run, struct reader *me, struct b_err *err)
{
    char path[CLI_PATH_MAX];
    me->sv = run->c->service;
    me->sv.store = NULL;
    enum b_code r = cli_path(run->c, "store.db", path, sizeof(path), err);
    if (r == B_OK)
        r = store_open(path, false, &me->sv.store, err);
    if (r != B_OK)
        return r;
    me->is_started = pthread_create(&me->thread, NULL, serve, me) == 0;
    return me->is_started ? B_OK : b_err_set(err, B_E_SYSTEM, 0, "starting a reader's thread");
}

static void say_start(const struct run *run)
{
    struct service_bulk_counts n = service_bulk_counts(run->bulk);
    cli_say(run->c, CLI_BOLD, _("%zu people, %zu with a badge; put blank cards on:\n"), n.people,
            n.done);
    for (size_t i = 0; i < run->count; i++)
        cli_say(run->c, CLI_PLAIN, "  %s\n", run->readers[i].name);
}

static void say_end(struct run *run)
{
    char name[STORE_TEXT_MAX];
    int64_t badge_id = 0;
    struct service_bulk_counts n = service_bulk_counts(run->bulk);
    struct rate rate = rate_of(run, &n);
    cli_say(run->c, n.done == n.people ? CLI_GREEN : CLI_YELLOW,
            _("%zu of %zu have a badge; %llu now, %.1f a minute, %.1f %% card and reader.\n"),
            n.done, n.people, (unsigned long long)n.encoded, rate.a_minute, rate.percent);
    for (size_t at = 0; service_bulk_torn(run->bulk, &at, name, &badge_id);)
        cli_say(run->c, CLI_YELLOW,
                _("  badge %lld of %s is not finished: put its card back, or revoke it for another "
                  "card\n"),
                (long long)badge_id, name);
    print_line(run->c, json_counts("end", &n, rate));
}

/* The token is opened before the first card waits for it. */
static enum b_code wake_token(struct run *run, struct b_err *err)
{
    struct vault_token ignored;
    return vault_token(run->c->service.vault, &ignored, err);
}

static enum b_code work(struct run *run, struct b_err *err)
{
    enum b_code r = wake_token(run, err);
    if (r == B_OK)
        say_start(run);
    for (size_t i = 0; r == B_OK && i < run->count; i++)
        r = start(run, &run->readers[i], err);
    if (r != B_OK)
        end(run, r, err);
    while (!is_stopped(run)) {
        store_tidy(run->c->service.store);
        (void)usleep(REST_MS * 1000 / 5);
    }
    for (size_t i = 0; i < run->count; i++) {
        if (run->readers[i].is_started)
            (void)pthread_join(run->readers[i].thread, NULL);
        store_free(&run->readers[i].sv.store);
    }
    say_end(run);
    if (run->code != B_OK)
        *err = run->err;
    return run->code;
}

static enum b_code check_use(const struct cli *c, struct b_err *err)
{
    static const enum cli_option one_reader[] = {CLI_OPT_READER, CLI_OPT_TRACE, CLI_OPT_RECORD,
                                                 CLI_OPT_ASK_PIN};
    for (size_t i = 0; i < B_COUNT(one_reader); i++)
        if (cli_has(c, one_reader[i]))
            return b_err_set(err, B_E_USAGE, 0, _("tessere %s takes no --%s"), "badge bulk",
                             cli_options[one_reader[i]].name);
    return B_OK;
}

/* One that nobody received is told before the first card, not by every card. */
static enum b_code check_batch(const struct cli *c, struct b_err *err)
{
    struct store_batch batch;
    int64_t id = 0;
    enum b_code r = cli_batch(c, &id, err);
    return r == B_OK && id != 0 ? store_batch_by_id(c->service.store, id, &batch, err) : r;
}

enum b_code cli_badge_bulk(struct cli *c, struct b_err *err)
{
    static struct run run = {.labels = {.fd = -1}};
    int locked = -1;
    run.c = c;
    b_check(pthread_mutex_init(&run.lock, NULL) == 0);
    enum b_code r = check_use(c, err);
    if (r == B_OK)
        r = lock_list(c->operand, &locked, err);
    if (r == B_OK)
        r = read_list(&run, err);
    if (r == B_OK)
        r = find_readers(&run, err);
    c->threads = (unsigned)run.count;
    if (r == B_OK)
        r = cli_open(c, true, err);
    if (r == B_OK)
        r = check_batch(c, err);
    if (r == B_OK)
        r = resume(&run, err);
    if (r == B_OK)
        r = work(&run, err);
    cli_labels_close(&run.labels);
    service_bulk_free(&run.bulk);
    if (locked >= 0)
        (void)close(locked);
    return r;
}
