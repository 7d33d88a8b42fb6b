/* Stations: what one must know of itself, and who is one. */
#include <string.h>

#include "http/http.h"

enum b_code http_station_self(struct http_call *c, struct b_err *err)
{
    struct vault_identity id;
    char pin_key[2 * sizeof(id.pin) + 1];
    enum b_code r = vault_identity(c->service.vault, &id, err);
    if (r != B_OK)
        return r;
    b_hex(pin_key, id.pin, sizeof(id.pin));
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
    json_t *self = json_pack(
        "{s:I, s:s, s:s, s:s, s:i, s:o, s:i, s:s, s:s, s:i}", "id", (json_int_t)c->station.id,
        "name", c->station.name, "group", c->station.group, "aid", aid, "key_no",
        profile_key_no(p, KEY_ROLE_AUTH), "serial_file",
        serial_file >= 0 ? json_integer(serial_file) : json_null(), "serial_length", serial_length,
        "pin_key", pin_key, "language", c->is_french ? "fr" : "en", "debounce_ms", 1500);
    (void)json_object_update(c->out, self);
    json_decref(self);
    return B_OK;
}

enum b_code http_station_leave(struct http_call *c, struct b_err *err)
{
    return service_signon_leave(&c->service, &(struct store_signon_of){.station = c->station.id},
                                "left-station", err);
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

static enum b_code need_ca(const struct http_call *c, struct b_err *err)
{
    return c->server->ca != NULL
               ? B_OK
               : b_err_set(err, B_E_REFUSED, 0, "certificates are made by the hospital's own PKI");
}

static enum b_code answer_code(struct http_call *c, const struct store_station *t, const char *code)
{
    json_t *station = station_json(t);
    c->status = 201;
    c->is_told_once = true; /* the store has the code's digest alone */
    (void)json_object_update(c->out, station);
    json_decref(station);
    (void)json_object_set_new(c->out, "code", json_string(code));
    (void)json_object_set_new(c->out, "code_expires", json_integer(t->code_expires));
    return B_OK;
}

enum b_code http_ca(struct http_call *c, struct b_err *err)
{
    enum b_code r = need_ca(c, err);
    if (r == B_OK)
        (void)json_object_set_new(c->out, "ca", json_string(pki_ca_pem(c->server->ca)));
    return r;
}

enum b_code http_station_add(struct http_call *c, struct b_err *err)
{
    const char *name = NULL;
    const char *group = NULL;
    const char *zone = NULL;
    char code[PKI_CODE_MAX];
    struct store_station t = {.id = 0};
    enum b_code r = need_ca(c, err);
    if (r == B_OK)
        r = http_text(c, "name", sizeof(t.name) - 1, &name, err);
    if (r == B_OK)
        r = http_optional(c, "group", sizeof(t.group) - 1, &group, err);
    if (r == B_OK)
        r = http_optional(c, "zone", sizeof(t.zone) - 1, &zone, err);
    if (r != B_OK)
        return r;
    (void)snprintf(t.name, sizeof(t.name), "%s", name);
    (void)snprintf(t.group, sizeof(t.group), "%s", group);
    (void)snprintf(t.zone, sizeof(t.zone), "%s", zone);
    r = service_station_add(&c->service, c->server->ca, &t, code, err);
    return r == B_OK ? answer_code(c, &t, code) : r;
}

enum b_code http_station_code(struct http_call *c, struct b_err *err)
{
    int64_t id = 0;
    char code[PKI_CODE_MAX];
    struct store_station t;
    enum b_code r = need_ca(c, err);
    if (r == B_OK)
        r = http_id(c, &id, err);
    if (r == B_OK)
        r = service_station_recode(&c->service, c->server->ca, id, &t, code, err);
    return r == B_OK ? answer_code(c, &t, code) : r;
}

enum b_code http_enrolment(struct http_call *c, struct b_err *err)
{
    const char *code = NULL;
    const char *request = NULL;
    static _Thread_local char pem[PKI_PEM_MAX];
    struct store_station t;
    enum b_code r = need_ca(c, err);
    if (r == B_OK)
        r = http_text(c, "code", PKI_CODE_MAX, &code, err);
    if (r == B_OK)
        r = http_text(c, "csr", PKI_PEM_MAX - 1, &request, err);
    if (r == B_OK)
        r = service_station_enrol(&c->service, c->server->ca, code, request, &t, pem, err);
    if (r != B_OK)
        return r;
    c->status = 201;
    (void)json_object_set_new(c->out, "certificate", json_string(pem));
    (void)json_object_set_new(c->out, "ca", json_string(pki_ca_pem(c->server->ca)));
    (void)json_object_set_new(c->out, "station", station_json(&t));
    return B_OK;
}

enum b_code http_station_renewal(struct http_call *c, struct b_err *err)
{
    const char *request = NULL;
    static _Thread_local char pem[PKI_PEM_MAX];
    enum b_code r = need_ca(c, err);
    if (r == B_OK)
        r = http_text(c, "csr", PKI_PEM_MAX - 1, &request, err);
    if (r == B_OK)
        r = service_station_renew(&c->service, c->server->ca, &c->station, request, pem, err);
    if (r != B_OK)
        return r;
    c->status = 201;
    (void)json_object_set_new(c->out, "certificate", json_string(pem));
    return B_OK;
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
