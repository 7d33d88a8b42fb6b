/*
 * OpenMetrics 1.0 text. No label names a person, a badge or a station: what is counted here is kept
 * for long and seen by many.
 */
#include <stdlib.h>
#include <string.h>

#include "http/http.h"
#include "http/syslog.h"

struct metric {
    const char *name, *type, *help;
    double value;
};

static void put(struct b_wr *w, const struct metric *m)
{
    char text[512];
    bool is_counter = strcmp(m->type, "counter") == 0;
    int n = snprintf(text, sizeof(text), "# TYPE %s %s\n# HELP %s %s\n%s%s %.17g\n", m->name,
                     m->type, m->name, m->help, m->name, is_counter ? "_total" : "", m->value);
    b_wr_bytes(w, text, (size_t)n);
}

enum b_code http_metrics(struct http_call *c, struct b_err *err)
{
    enum { ROOM = 8192 };
    const struct http_server *s = c->server;
    const struct service_counts k = service_writer_counts(s->service.writer);
    const struct events_counts told = events_counted(s->events);
    int64_t letters[STORE_LETTER_STATES] = {0};
    for (int i = 0; i < STORE_LETTER_STATES; i++) {
        enum b_code r =
            store_letter_count(c->service.store, (enum store_letter_state)i, &letters[i], err);
        if (r != B_OK)
            return r;
    }
    const struct http_syslog_counts siem = http_syslog_counted(s->syslog);
    struct store_user_counts people;
    enum b_code r = store_user_count(c->service.store, 0, &people, err);
    if (r != B_OK)
        return r;
    const struct metric metrics[] = {
        {"tessere_requests", "counter", "requests answered",
         (double)atomic_load(&s->counts.requests)},
        {"tessere_problems", "counter", "requests answered with a problem",
         (double)atomic_load(&s->counts.problems)},
        {"tessere_taps_in_flight", "gauge", "taps between their two messages",
         (double)service_taps_count(s->taps)},
        {"tessere_changes", "counter", "changes that became durable", (double)k.changes},
        {"tessere_changes_failed", "counter", "changes that were undone", (double)k.failed},
        {"tessere_commits", "counter", "transactions; changes share them", (double)k.commits},
        {"tessere_commit_seconds", "gauge", "time of the last transaction", k.commit_us / 1e6},
        {"tessere_journal_entries", "gauge", "entries in the journal", (double)k.size},
        {"tessere_syslog_sent", "counter", "entries told to the SIEM", (double)siem.sent},
        {"tessere_syslog_dropped", "counter", "entries that could not be told to the SIEM",
         (double)siem.dropped},
        {"tessere_letters_delivered", "counter", "letters that subscribers took",
         (double)told.delivered},
        {"tessere_letters_failed", "counter", "attempts to deliver a letter that failed",
         (double)told.failed},
        {"tessere_letters_waiting", "gauge", "letters that wait for their subscribers",
         (double)letters[STORE_LETTER_WAITING]},
        {"tessere_letters_dead", "gauge", "letters that were given up: see tessere outbox list",
         (double)letters[STORE_LETTER_DEAD]},
        {"tessere_directory_held", "gauge", "people who wait to be stopped: too many at once",
         (double)people.held},
        {"tessere_vault_up", "gauge", "1 while the vault runs",
         vault_is_gone(s->service.vault) ? 0 : 1},
    };
    char *room = malloc(ROOM);
    if (room == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "answering");
    struct b_wr w = b_wr_from(room, ROOM);
    for (size_t i = 0; i < B_COUNT(metrics); i++)
        put(&w, &metrics[i]);
    b_wr_bytes(&w, "# EOF\n", sizeof("# EOF\n"));
    b_check(b_wr_ok(&w));
    c->text = room;
    c->type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    return B_OK;
}
