/* The agent's socket, its other half: what waits for a tap on this station is told to whoever wants
 * to know, and what they say to it goes to the server (follow.c) and comes back. */
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-login.h>
#include <time.h>
#include <unistd.h>

#include "agent/state.h"
#include "base/text.h"

enum { LIST_MAX = 16, TEXT_MAX = 256, CHOSEN_SECONDS = 120, CHOSEN_SECONDS_MAX = 600 };

static const char *text_of(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));
    return text != NULL ? text : "";
}

static int64_t expiry_of(const json_t *item)
{
    return json_integer_value(json_object_get(item, "expires_at"));
}

/* --- the list ----------------------------------------------------------------------------------
 */

static bool is_shown_as_written(const char *text)
{
    return text[0] == '\0' || (strlen(text) < TEXT_MAX && b_text_is_name(text));
}

/* What can be shown and has room, and of that the fields that are ours to tell. */
static json_t *keep(const json_t *items, bool is_offered)
{
    json_t *kept = json_array();
    for (size_t i = 0; i < json_array_size(items) && json_array_size(kept) < LIST_MAX / 2; i++) {
        const json_t *o = json_array_get(items, i);
        const char *name = text_of(o, "challenge");
        if (name[0] == '\0' || strlen(name) > AGENT_CHALLENGE_MAX || !is_shown_as_written(name) ||
            !is_shown_as_written(text_of(o, "party")) || !is_shown_as_written(text_of(o, "text")))
            continue;
        (void)json_array_append_new(
            kept, json_pack("{s:s, s:s, s:s, s:b, s:b, s:b, s:I}", "challenge", name, "party",
                            text_of(o, "party"), "text", text_of(o, "text"), "needs_pin",
                            json_is_true(json_object_get(o, "needs_pin")), "is_chosen",
                            json_is_true(json_object_get(o, "is_chosen")), "is_offered",
                            (int)is_offered, "expires_at", (json_int_t)expiry_of(o)));
    }
    return kept;
}

static const json_t *find_item(const json_t *items, const char *name)
{
    for (size_t i = 0; i < json_array_size(items); i++)
        if (strcmp(text_of(json_array_get(items, i), "challenge"), name) == 0)
            return json_array_get(items, i);
    return NULL;
}

static void say_list(struct agent_local *l, struct client *c)
{
    json_t *items = json_array();
    const json_t *const both[] = {l->list, l->offered};
    for (size_t k = 0; l->is_list_known && k < B_COUNT(both); k++)
        for (size_t i = 0; i < json_array_size(both[k]); i++) {
            json_t *o = json_array_get(both[k], i);
            bool is_twice = k == 1 && find_item(l->list, text_of(o, "challenge")) != NULL;
            if (expiry_of(o) > (int64_t)time(NULL) && !is_twice)
                (void)json_array_append(items, o);
        }
    local_say(c, json_pack("{s:s, s:b, s:o}", "answer", "challenges", "server",
                           (int)l->is_list_known, "items", items));
}

static void say_list_to_all(struct agent_local *l)
{
    for (size_t i = 0; i < CLIENTS; i++)
        if (l->clients[i].fd >= 0 && !l->clients[i].is_dead && l->clients[i].is_subscribed)
            say_list(l, &l->clients[i]);
}

void local_subscribe(struct agent_local *l, struct client *c)
{
    c->is_subscribed = true;
    say_list(l, c);
    (void)pthread_cond_broadcast(&l->changed);
}

static void replace(json_t **io, json_t *by)
{
    json_decref(*io);
    *io = by;
}

/* Those of the list that were not in the former one. */
static json_t *find_news(const json_t *former, json_t *list)
{
    json_t *news = json_array();
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *o = json_array_get(list, i);
        if (find_item(former, text_of(o, "challenge")) == NULL)
            (void)json_array_append(news, o);
    }
    return news;
}

void agent_local_list(struct agent_local *l, const json_t *items, const struct agent_news *news)
{
    char station[sizeof(l->station)];
    json_t *added = NULL;
    json_t *list = items != NULL ? keep(items, false) : NULL;
    (void)pthread_mutex_lock(&l->lock);
    bool is_same =
        l->is_list_known == (list != NULL) && (list == NULL || json_equal(list, l->list));
    l->is_list_known = list != NULL;
    if (list != NULL) {
        added = find_news(l->list, list);
        replace(&l->list, list);
    }
    if (!is_same)
        say_list_to_all(l);
    memcpy(station, l->station, sizeof(station));
    (void)pthread_mutex_unlock(&l->lock);
    for (size_t i = 0; news->tell != NULL && i < json_array_size(added); i++)
        news->tell(news->ctx, station, json_array_get(added, i));
    json_decref(added);
}

void agent_local_offered(void *ctx, const json_t *challenges)
{
    struct agent_local *l = ctx;
    json_t *kept = keep(challenges, true);
    (void)pthread_mutex_lock(&l->lock);
    bool is_same = kept == NULL || json_equal(kept, l->offered);
    if (kept != NULL)
        replace(&l->offered, kept);
    if (!is_same)
        say_list_to_all(l);
    (void)pthread_mutex_unlock(&l->lock);
}

/* --- waiting for the socket, by follow.c's threads ---------------------------------------------
 */

static struct timespec in_ms(unsigned ms)
{
    struct timespec t;
    int64_t until = local_now_ms() + ms;
    t.tv_sec = until / 1000;
    t.tv_nsec = until % 1000 * 1000000;
    return t;
}

static bool is_watched(const struct agent_local *l)
{
    for (size_t i = 0; i < CLIENTS; i++)
        if (l->clients[i].fd >= 0 && !l->clients[i].is_dead && l->clients[i].is_subscribed)
            return true;
    return false;
}

bool agent_local_is_watched(struct agent_local *l, unsigned ms)
{
    const struct timespec until = in_ms(ms);
    int r = 0;
    (void)pthread_mutex_lock(&l->lock);
    while (!is_watched(l) && r == 0)
        r = pthread_cond_timedwait(&l->changed, &l->lock, &until);
    bool is = is_watched(l);
    (void)pthread_mutex_unlock(&l->lock);
    return is;
}

/* --- deeds -------------------------------------------------------------------------------------
 */

/* Ending the browsers' sessions of whoever sits there is for them, and for who looks after this. */
static bool may_leave(uid_t uid)
{
    return uid == 0 || uid == geteuid() || sd_uid_get_seats(uid, 1, NULL) > 0;
}

void local_want_deed(struct agent_local *l, struct client *c, const struct agent_message *m)
{
    if (m->ask == AGENT_LEAVE && !may_leave(c->uid)) {
        local_say_error(c, B_E_NOT_PERMITTED, b_code_text(B_E_NOT_PERMITTED));
    } else if (c->deed != 0) {
        local_say_error(c, B_E_TOO_OFTEN, "one after the other");
    } else if (m->ask == AGENT_CHOOSE && c->wait != 0 && c->chosen[0] == '\0') {
        local_say_error(c, B_E_READER_TAKEN, "this connection waits for a tap already");
    } else {
        c->deed = ++l->waits;
        c->deed_wanted = *m;
        c->is_deed_begun = false;
        (void)pthread_cond_broadcast(&l->changed);
    }
}

static struct client *next_deed(struct agent_local *l)
{
    struct client *found = NULL;
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *c = &l->clients[i];
        if (c->fd >= 0 && !c->is_dead && c->deed != 0 && !c->is_deed_begun &&
            (found == NULL || c->deed < found->deed))
            found = c;
    }
    return found;
}

bool agent_local_deed(struct agent_local *l, unsigned ms, struct agent_deed *ret)
{
    const struct timespec until = in_ms(ms);
    struct client *c = NULL;
    int r = 0;
    (void)pthread_mutex_lock(&l->lock);
    while ((c = next_deed(l)) == NULL && r == 0)
        r = pthread_cond_timedwait(&l->changed, &l->lock, &until);
    if (c != NULL) {
        c->is_deed_begun = true;
        *ret = (struct agent_deed){.number = c->deed, .ask = c->deed_wanted.ask};
        memcpy(ret->challenge, c->deed_wanted.challenge, sizeof(ret->challenge));
    }
    (void)pthread_mutex_unlock(&l->lock);
    return c != NULL;
}

static struct client *find_deed(struct agent_local *l, uint64_t deed)
{
    for (size_t i = 0; i < CLIENTS; i++)
        if (l->clients[i].fd >= 0 && !l->clients[i].is_dead && l->clients[i].deed == deed)
            return &l->clients[i];
    return NULL;
}

/* The next tap is for what was chosen; a PIN for it is asked of whoever chose. */
static unsigned wait_for_chosen(struct agent_local *l, struct client *c, const char *name)
{
    const json_t *item = find_item(l->list, name);
    if (item == NULL)
        item = find_item(l->offered, name);
    int64_t seconds = item != NULL ? expiry_of(item) - (int64_t)time(NULL) : CHOSEN_SECONDS;
    seconds = seconds < 1 ? 1 : seconds;
    seconds = seconds > CHOSEN_SECONDS_MAX ? CHOSEN_SECONDS_MAX : seconds;
    (void)snprintf(c->chosen, sizeof(c->chosen), "%s", name);
    c->until_ms = local_now_ms() + seconds * 1000;
    if (c->wait == 0) {
        c->wanted = (struct agent_message){.ask = AGENT_CHOOSE};
        c->wait = ++l->waits;
    }
    return (unsigned)seconds;
}

static void say_done(struct agent_local *l, struct client *c, const struct agent_deed *d)
{
    static const char *const words[] = {
        [AGENT_CHOOSE] = "chosen", [AGENT_REFUSE] = "refused", [AGENT_LEAVE] = "left"};
    json_t *answer = json_pack("{s:s}", "answer", words[d->ask]);
    if (d->ask != AGENT_LEAVE)
        (void)json_object_set_new(answer, "challenge", json_string(d->challenge));
    /* a tap that is waited for meanwhile is for another program's sake */
    if (d->ask == AGENT_CHOOSE && (c->wait == 0 || c->chosen[0] != '\0'))
        (void)json_object_set_new(answer, "seconds",
                                  json_integer(wait_for_chosen(l, c, d->challenge)));
    local_say(c, answer);
    if (d->ask == AGENT_REFUSE && strcmp(c->chosen, d->challenge) == 0)
        local_end_wait(l, c);
}

void agent_local_done(struct agent_local *l, const struct agent_deed *d, enum b_code code,
                      const char *sentence)
{
    (void)pthread_mutex_lock(&l->lock);
    struct client *c = find_deed(l, d->number);
    if (c != NULL) {
        c->deed = 0;
        c->heard_ms = local_now_ms();
        if (code == B_OK)
            say_done(l, c, d);
        else
            local_say_error(c, code, sentence[0] != '\0' ? sentence : b_code_text(code));
    }
    (void)pthread_mutex_unlock(&l->lock);
}

/* --- the tap that was chosen for ---------------------------------------------------------------
 */

static void say_chosen(struct agent_local *l, struct client *c, const char *reader,
                       const struct agent_outcome *o)
{
    bool is_it = o->code == B_OK && strcmp(o->answers, c->chosen) == 0;
    local_say(c, json_pack("{s:s, s:s, s:s, s:s, s:s, s:b}", "answer", "outcome", "outcome",
                           b_code_name(o->code), "reader", reader, "sentence", o->sentence,
                           "challenge", c->chosen, "answers", (int)is_it));
    c->heard_ms = local_now_ms();
    c->is_taken_up = false;
    if (is_it)
        local_end_wait(l, c);
}

void local_tell_chosen(struct agent_local *l, struct client *taker, const char *reader,
                       const struct agent_outcome *o)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *c = &l->clients[i];
        bool is_its = c->fd >= 0 && !c->is_dead && c->wait != 0 && c->chosen[0] != '\0' &&
                      (c == taker || (o->answers[0] != '\0' && strcmp(o->answers, c->chosen) == 0));
        if (is_its)
            say_chosen(l, c, reader, o);
    }
}
