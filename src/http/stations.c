/* Stations: what one must know of itself, and who is one. */
#include <string.h>

#include "http/http.h"

enum b_code http_station_self(struct http_call *c, struct b_err *err)
{
    (void)err;
    const struct profile *p = &c->service.profile;
    char aid[7];
    int serial_file = -1;
    int serial_length = 0;
    (void)snprintf(aid, sizeof(aid), "%06X", p->aid & 0xFFFFFFu);
    for (uint8_t i = 0; i < p->file_count; i++) {
        if (p->files[i].content == PROFILE_CONTENT_SERIAL) {
            serial_file = p->files[i].no;
            serial_length = CRYPTO_SERIAL_MAX;
        }
    }
    json_t *self =
        json_pack("{s:I, s:s, s:s, s:s, s:i, s:o, s:i, s:s, s:i}", "id", (json_int_t)c->station.id,
                  "name", c->station.name, "group", c->station.group, "aid", aid, "key_no",
                  profile_key_no(p, KEY_ROLE_AUTH), "serial_file",
                  serial_file >= 0 ? json_integer(serial_file) : json_null(), "serial_length",
                  serial_length, "language", c->is_french ? "fr" : "en", "debounce_ms", 1500);
    (void)json_object_update(c->out, self);
    json_decref(self);
    return B_OK;
}

static json_t *station_json(const struct store_station *t)
{
    static const uint8_t none[32];
    bool is_enrolled = !b_ct_eq(t->fingerprint, none, sizeof(none));
    return json_pack("{s:I, s:s, s:s, s:s, s:s, s:b, s:I, s:I, s:I}", "id", (json_int_t)t->id,
                     "name", t->name, "group", t->group, "zone", t->zone, "state",
                     store_party_state_name(t->state), "enrolled", (int)is_enrolled,
                     "certificate_expires", (json_int_t)t->cert_expires, "created_at",
                     (json_int_t)t->created_at, "changed_at", (json_int_t)t->changed_at);
}

static bool add_station(void *ctx, const struct store_station *t)
{
    return http_page_add(ctx, t->id, station_json(t));
}

enum b_code http_station_list(struct http_call *c, struct b_err *err)
{
    struct http_page p;
    enum b_code r = http_page(c, &p, err);
    if (r != B_OK)
        return r;
    r = store_station_each(c->service.store, p.after, add_station, &p, err);
    http_page_end(c, &p);
    return r;
}

static enum b_code change(struct http_call *c, enum store_party_state to, const char *kind,
                          struct b_err *err)
{
    int64_t id = 0;
    struct store_station t;
    enum b_code r = http_id(c, &id, err);
    if (r == B_OK)
        r = service_station_state(&c->service, id, to, kind, &t, err);
    if (r != B_OK)
        return r;
    json_t *station = station_json(&t);
    (void)json_object_update(c->out, station);
    json_decref(station);
    return B_OK;
}

enum b_code http_station_suspend(struct http_call *c, struct b_err *err)
{
    return change(c, STORE_PARTY_SUSPENDED, "station-suspend", err);
}

enum b_code http_station_reinstate(struct http_call *c, struct b_err *err)
{
    return change(c, STORE_PARTY_ACTIVE, "station-reinstate", err);
}

enum b_code http_station_revoke(struct http_call *c, struct b_err *err)
{
    return change(c, STORE_PARTY_ENDED, "station-revoke", err);
}
