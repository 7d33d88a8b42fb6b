#include "service/change.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "service/relay.h"

enum { BATCH_MAX = 512 };

struct item {
    service_change_fn *fn;
    void *ctx;
    struct service_asker asker;
    struct b_err err;
    enum b_code code;
    sem_t done; /* posted without the writer's lock: who is woken need not wait again */
    struct item *next;
};

struct service_writer {
    struct store *store;
    struct journal_edge edge; /* of the journal as it is on the disk */
    bool is_threaded;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t waiting;
    struct item *first, **last;
    bool is_closing;
    struct service_counts counts;
};

/* --- the journal's edge ------------------------------------------------------------------------
 */

static enum b_code read_hash(void *ctx, uint64_t id, uint8_t out[static JOURNAL_HASH],
                             struct b_err *err)
{
    return store_hash_get(ctx, id, out, err);
}

/* Another process may have written: the edge is taken from the store again when it has grown. */
static enum b_code refresh(struct service_writer *w, struct b_err *err)
{
    uint64_t size = 0;
    enum b_code r = store_entry_count(w->store, &size, err);
    if (r != B_OK || size == w->edge.size)
        return r;
    return journal_edge_load(&w->edge, size, (struct journal_reader){read_hash, w->store}, err);
}

/* --- a transaction -----------------------------------------------------------------------------
 */

static void run_one(struct service_writer *w, struct item *i)
{
    static struct journal_edge before; /* only one thread writes */
    struct service_change c = {.store = w->store,
                               .actor = i->asker.actor,
                               .request = i->asker.request,
                               .now = (int64_t)time(NULL),
                               .edge = &w->edge};
    before = w->edge;
    i->code = store_save(w->store, &i->err);
    if (i->code != B_OK)
        return;
    struct service_once *once = i->asker.once;
    if (once != NULL && !once->is_kept) {
        i->code = store_reply_put(w->store, &once->reply, &i->err);
        if (i->code == B_OK)
            service_vouch_reply(&c, &once->reply);
    }
    if (i->code == B_OK)
        i->code = i->fn(&c, i->ctx, &i->err);
    if (i->code == B_OK && c.vouched_count > 0) /* rows that no entry has told of yet */
        i->code = service_log(&c, (struct service_entry){.kind = "records"}, &i->err);
    struct b_err second;
    if (i->code != B_OK) {
        w->edge = before;
        if (store_back(w->store, &second) != B_OK)
            i->err = second;
    }
    if (store_keep(w->store, &second) != B_OK && i->code == B_OK) {
        i->err = second;
        i->code = second.code;
        w->edge = before;
    }
    if (once != NULL)
        once->is_kept |= i->code == B_OK;
}

/* All items in one transaction; when it cannot be made durable, none of them happened. */
static void run_batch(struct service_writer *w, struct item *first)
{
    static struct journal_edge before;
    struct b_err err = {0};
    uint32_t start = service_now_us();
    before = w->edge;
    enum b_code r = store_begin(w->store, &err);
    if (r == B_OK) {
        r = refresh(w, &err);
        before = w->edge;
        for (struct item *i = first; r == B_OK && i != NULL; i = i->next)
            run_one(w, i);
        if (r == B_OK)
            r = store_commit(w->store, &err);
        else
            store_rollback(w->store);
    }
    if (r != B_OK) {
        w->edge = before;
        for (struct item *i = first; i != NULL; i = i->next) {
            if (i->code == B_OK) {
                i->code = r;
                i->err = err;
            }
        }
    }
    (void)pthread_mutex_lock(&w->lock);
    w->counts.commits++;
    w->counts.commit_us = service_now_us() - start;
    w->counts.size = w->edge.size;
    for (struct item *i = first; i != NULL; i = i->next) {
        w->counts.changes += i->code == B_OK;
        w->counts.failed += i->code != B_OK;
    }
    (void)pthread_mutex_unlock(&w->lock);
}

/* --- the queue ---------------------------------------------------------------------------------
 */

/* The next batch, in order; NULL at the end. */
static struct item *take_batch(struct service_writer *w)
{
    (void)pthread_mutex_lock(&w->lock);
    while (w->first == NULL && !w->is_closing)
        (void)pthread_cond_wait(&w->waiting, &w->lock);
    struct item *batch = w->first;
    struct item *tail = batch;
    for (int n = 1; n < BATCH_MAX && tail != NULL && tail->next != NULL; n++)
        tail = tail->next;
    if (tail != NULL) {
        w->first = tail->next;
        tail->next = NULL;
    }
    if (w->first == NULL)
        w->last = &w->first;
    (void)pthread_mutex_unlock(&w->lock);
    return batch;
}

static void *write_all(void *arg)
{
    struct service_writer *w = arg;
    for (struct item *batch; (batch = take_batch(w)) != NULL;) {
        run_batch(w, batch);
        for (struct item *i = batch, *next; i != NULL; i = next) {
            next = i->next; /* its owner's stack may be gone once it is told */
            b_check(sem_post(&i->done) == 0);
        }
    }
    return NULL;
}

enum b_code service_writer_open(struct store *store, bool is_threaded, struct service_writer **ret,
                                struct b_err *err)
{
    struct service_writer *w = calloc(1, sizeof(*w));
    if (w == NULL) {
        store_free(&store);
        return b_err_set(err, B_E_NO_MEMORY, 0, "starting the writer");
    }
    w->store = store;
    w->last = &w->first;
    b_check(pthread_mutex_init(&w->lock, NULL) == 0 && pthread_cond_init(&w->waiting, NULL) == 0);
    enum b_code r = refresh(w, err);
    w->counts.size = w->edge.size;
    if (r == B_OK && is_threaded) {
        w->is_threaded = pthread_create(&w->thread, NULL, write_all, w) == 0;
        if (!w->is_threaded)
            r = b_err_set(err, B_E_SYSTEM, 0, "starting the writer's thread");
    }
    if (r != B_OK)
        service_writer_close(&w);
    else
        *ret = w;
    return r;
}

void service_writer_close(struct service_writer **pw)
{
    struct service_writer *w = *pw;
    *pw = NULL;
    if (w == NULL)
        return;
    if (w->is_threaded) {
        (void)pthread_mutex_lock(&w->lock);
        w->is_closing = true;
        (void)pthread_cond_signal(&w->waiting);
        (void)pthread_mutex_unlock(&w->lock);
        (void)pthread_join(w->thread, NULL);
    }
    store_free(&w->store);
    free(w);
}

struct service_counts service_writer_counts(struct service_writer *w)
{
    (void)pthread_mutex_lock(&w->lock);
    struct service_counts c = w->counts;
    (void)pthread_mutex_unlock(&w->lock);
    return c;
}

/* --- callers -----------------------------------------------------------------------------------
 */

static void submit(struct service_writer *w, struct item *i)
{
    if (!w->is_threaded) {
        run_batch(w, i);
        return;
    }
    b_check(sem_init(&i->done, 0, 0) == 0);
    (void)pthread_mutex_lock(&w->lock);
    *w->last = i;
    w->last = &i->next;
    (void)pthread_mutex_unlock(&w->lock);
    (void)pthread_cond_signal(&w->waiting);
}

static enum b_code await(const struct service_writer *w, struct item *i, struct b_err *err)
{
    if (w->is_threaded) {
        while (sem_wait(&i->done) != 0)
            b_check(errno == EINTR);
        (void)sem_destroy(&i->done);
    }
    if (i->code != B_OK && err != NULL)
        *err = i->err;
    return i->code;
}

enum b_code service_writer_run(struct service_writer *w, struct service_asker asker,
                               service_change_fn *fn, void *ctx, struct b_err *err)
{
    struct item i = {.fn = fn, .ctx = ctx, .asker = asker};
    submit(w, &i);
    return await(w, &i, err);
}

struct service_started {
    struct service_writer *writer;
    struct item item;
};

struct service_started *service_writer_start(struct service_writer *w, struct service_asker asker,
                                             service_change_fn *fn, void *ctx)
{
    struct service_started *s = w->is_threaded ? calloc(1, sizeof(*s)) : NULL;
    if (s == NULL)
        return NULL;
    s->writer = w;
    s->item = (struct item){.fn = fn, .ctx = ctx, .asker = asker};
    submit(w, &s->item);
    return s;
}

enum b_code service_writer_finish(struct service_started **ps, struct b_err *err)
{
    struct service_started *s = *ps;
    *ps = NULL;
    enum b_code r = await(s->writer, &s->item, err);
    free(s);
    return r;
}
