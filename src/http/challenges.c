/* What waits for a tap on a station, for the program that shows it there: docs/api.md. */
#include <stdlib.h>
#include <string.h>

#include "http/http.h"

enum { CHANGES_MS = 20000 };

bool http_challenge_add(void *ctx, const struct store_challenge *c)
{
    return json_array_append_new(
               ctx, json_pack("{s:s, s:s, s:s, s:b, s:b, s:I}", "challenge", c->name, "party",
                              c->party, "text", c->text, "needs_pin", c->needs_pin, "is_chosen",
                              c->chosen_at != 0, "expires_at", (json_int_t)c->expires_at)) == 0;
}

enum b_code http_challenge_list(struct http_call *c, struct b_err *err)
{
    struct service_ring ring;
    char bell[SERVICE_STATION_BELL];
    json_t *items = json_array();
    service_station_bell(c->station.id, bell);
    service_await(c->service.bells, bell, 0, 0, &ring);
    (void)json_object_set_new(c->out, "number", json_integer((json_int_t)ring.number));
    (void)json_object_set_new(c->out, "items", items);
    return store_challenge_each(c->service.store, c->station.id, "", time(NULL), http_challenge_add,
                                items, err);
}

enum b_code http_challenge_changes(struct http_call *c, struct b_err *err)
{
    struct service_ring ring;
    char bell[SERVICE_STATION_BELL];
    const char *text = c->query(c->query_ctx, "after");
    char *end = NULL;
    uint64_t after = text != NULL ? strtoull(text, &end, 10) : 0;
    if (text == NULL || *end != '\0' || end == text)
        return b_err_set(err, B_E_BAD_INPUT, 0, "after: the number of the list is needed");
    http_return_reader(c);
    service_station_bell(c->station.id, bell);
    service_await(c->service.bells, bell, after, CHANGES_MS, &ring);
    (void)json_object_set_new(c->out, "number", json_integer((json_int_t)ring.number));
    return B_OK;
}

enum b_code http_challenge_choose(struct http_call *c, struct b_err *err)
{
    return service_challenge_choose(&c->service, c->params[0], c->station.id, err);
}

/* A challenge is the station's to refuse only where it waits. */
enum b_code http_challenge_refuse(struct http_call *c, struct b_err *err)
{
    struct store_challenge k;
    enum b_code r = store_challenge_by_name(c->service.store, c->params[0], &k, err);
    if (r == B_OK && k.station != c->station.id)
        r = b_err_set(err, B_E_CHALLENGE_OTHER, 0, "of %s", k.party);
    return r == B_OK ? service_challenge_end(&c->service, k.name, err) : r;
}
