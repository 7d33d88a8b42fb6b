/* The server's side of the establishment: its CA and configuration, people and stations. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cli/cli.h"
#include "remote/remote.h"
#include "service/party.h"

/* --- server setup ------------------------------------------------------------------------------
 */

static enum b_code write_text(const char *path, const char *text, struct b_err *err)
{
    FILE *f = fopen(path, "wxe");
    bool is_done = f != NULL && fputs(text, f) >= 0;
    int cause = errno;
    if (f != NULL)
        is_done &= fclose(f) == 0;
    return is_done ? B_OK
                   : b_err_set(err, B_E_CONFIG, (uint32_t)cause, "writing %s: %s", path,
                               strerror(cause));
}

/* A new key and a certificate for it. */
static enum b_code make_pair(const struct pki_ca *ca, const struct pki_wanted *w,
                             const char *key_path, const char *cert_path, char *pem,
                             struct b_err *err)
{
    static char request[PKI_PEM_MAX];
    struct pki_key *key = NULL;
    enum b_code r = pki_key_generate(&key, err);
    if (r == B_OK)
        r = pki_request_make(key, w->name, request, sizeof(request), err);
    if (r == B_OK)
        r = pki_issue(ca, w, request, pem, PKI_PEM_MAX, err);
    if (r == B_OK)
        r = pki_key_write(key, key_path, err);
    if (r == B_OK)
        r = write_text(cert_path, pem, err);
    pki_key_free(&key);
    return r;
}

static enum b_code open_ca(const struct cli *c, struct pki_ca **ret, struct b_err *err)
{
    char cert[CLI_PATH_MAX];
    char key[CLI_PATH_MAX];
    enum b_code r = cli_path(c, "pki/ca.pem", cert, sizeof(cert), err);
    if (r == B_OK)
        r = cli_path(c, "pki/ca.key", key, sizeof(key), err);
    return r == B_OK ? pki_ca_open(cert, key, ret, err) : r;
}

/* "DNS:kms.example" of a list: the certificate's common name. */
static void first_host(const char *hosts, char *name, size_t cap)
{
    const char *colon = strchr(hosts, ':');
    const char *from = colon != NULL ? colon + 1 : hosts;
    size_t n = strcspn(from, ",");
    if (n >= cap)
        n = cap - 1;
    memcpy(name, from, n);
    name[n] = '\0';
}

static enum b_code write_config(const struct cli *c, const char *path, struct b_err *err)
{
    static char text[2048];
    const char *address = c->options[CLI_OPT_ADDRESS];
    const char *port = c->options[CLI_OPT_PORT];
    (void)snprintf(text, sizeof(text),
                   "# tessered: see tessered(8)\n"
                   "address: %.64s\nport: %.8s\ncertificate: pki/server.pem\nkey: pki/server.key\n"
                   "trust: pki/ca.pem\nca-certificate: pki/ca.pem\nca-key: pki/ca.key\n",
                   address != NULL ? address : "0.0.0.0", port != NULL ? port : "8443");
    return write_text(path, text, err);
}

enum b_code cli_server_setup(struct cli *c, struct b_err *err)
{
    enum { CA_CERT, CA_KEY, CERT, KEY, CONFIG, PATHS };
    static const char *const names[PATHS] = {"pki/ca.pem", "pki/ca.key", "pki/server.pem",
                                             "pki/server.key", "server.yaml"};
    static char pem[PKI_PEM_MAX];
    char paths[PATHS][CLI_PATH_MAX];
    char dir[CLI_PATH_MAX];
    char name[PKI_NAME_MAX];
    struct pki_ca *ca = NULL;
    const char *hosts = c->options[CLI_OPT_HOSTS];
    if (hosts == NULL)
        return b_err_set(
            err, B_E_USAGE, 0,
            _("--hosts is needed: the names and addresses by which stations reach the server"));
    enum b_code r = cli_open(c, false, err);
    for (size_t i = 0; r == B_OK && i < PATHS; i++)
        r = cli_path(c, names[i], paths[i], sizeof(paths[i]), err);
    if (r == B_OK)
        r = cli_path(c, "pki", dir, sizeof(dir), err);
    if (r == B_OK && mkdir(dir, 0700) != 0 && errno != EEXIST)
        r = b_err_set(err, B_E_CONFIG, (uint32_t)errno, "%s: %s", dir, strerror(errno));
    (void)snprintf(name, sizeof(name), "Tessere %s", c->config.finess);
    if (r == B_OK)
        r = pki_ca_create(name, paths[CA_CERT], paths[CA_KEY], err);
    if (r == B_OK)
        r = open_ca(c, &ca, err);
    first_host(hosts, name, sizeof(name));
    const struct pki_wanted w = {.kind = PKI_SERVER,
                                 .name = name,
                                 .hosts = hosts,
                                 .now = (int64_t)time(NULL),
                                 .seconds = SERVICE_PERSON_DAYS * INT64_C(86400)};
    if (r == B_OK)
        r = make_pair(ca, &w, paths[KEY], paths[CERT], pem, err);
    if (r == B_OK)
        r = write_config(c, paths[CONFIG], err);
    pki_ca_free(&ca);
    if (r != B_OK)
        return r;
    cli_say(c, CLI_PLAIN, _("  CA           %s\n  server       %s\n  configured   %s\n"),
            paths[CA_CERT], paths[CERT], paths[CONFIG]);
    cli_say(c, CLI_GREEN,
            _("The server is set up. Register an administrator: tessere person add\n"));
    return B_OK;
}

/* --- people ------------------------------------------------------------------------------------
 */

static enum b_code new_certificate(struct cli *c, char *pem, struct b_err *err)
{
    char key[CLI_PATH_MAX];
    char cert[CLI_PATH_MAX];
    struct pki_ca *ca = NULL;
    const char *out = c->options[CLI_OPT_OUT];
    const struct pki_wanted w = {.kind = PKI_PERSON,
                                 .name = c->operand,
                                 .now = (int64_t)time(NULL),
                                 .seconds = SERVICE_PERSON_DAYS * INT64_C(86400)};
    (void)snprintf(key, sizeof(key), "%.500s.key", out);
    (void)snprintf(cert, sizeof(cert), "%.500s.pem", out);
    enum b_code r = service_check_named("the person's name", c->operand, err);
    if (r == B_OK)
        r = open_ca(c, &ca, err);
    if (r == B_OK)
        r = make_pair(ca, &w, key, cert, pem, err);
    pki_ca_free(&ca);
    return r;
}

enum b_code cli_person_add(struct cli *c, struct b_err *err)
{
    static char pem[PKI_PEM_MAX];
    struct store_person p;
    size_t n = 0;
    const char *list = c->options[CLI_OPT_ROLES];
    const char *given = c->options[CLI_OPT_CERTIFICATE];
    uint8_t roles = list != NULL ? service_roles_from(list) : 0;
    if (roles == 0)
        return b_err_set(err, B_E_USAGE, 0,
                         _("--roles takes administrator, operator, custodian, auditor"));
    if ((given == NULL) == (c->options[CLI_OPT_OUT] == NULL))
        return b_err_set(err, B_E_USAGE, 0,
                         _("give --certificate FILE, or --out PATH for a new one"));
    enum b_code r = cli_open(c, false, err);
    if (r == B_OK)
        r = service_person_may_add(&c->service, roles, err);
    if (r == B_OK && given != NULL)
        r = service_read_file(given, pem, sizeof(pem) - 1, &n, err);
    else if (r == B_OK)
        r = new_certificate(c, pem, err);
    if (r == B_OK)
        r = service_person_add(&c->service, c->operand, roles, pem, &p, err);
    if (r != B_OK)
        return r;
    cli_say(c, CLI_GREEN, _("Person %lld: %s.\n"), (long long)p.id, p.name);
    if (c->out != NULL)
        (void)json_object_update_new(
            c->out, json_pack("{s:I, s:s}", "id", (json_int_t)p.id, "name", p.name));
    return B_OK;
}

/* It gives no right: who has it is known once a quorum has approved that. */
enum b_code cli_person_certificate(struct cli *c, struct b_err *err)
{
    static char pem[PKI_PEM_MAX];
    if (c->options[CLI_OPT_OUT] == NULL)
        return b_err_set(err, B_E_USAGE, 0, _("--out PATH is needed"));
    enum b_code r = cli_open(c, false, err);
    if (r == B_OK)
        r = new_certificate(c, pem, err);
    if (r == B_OK)
        cli_say(c, CLI_PLAIN,
                _("Propose it: tessere proposal make \"person-add ROLES %s\" --file %s.pem\n"),
                c->operand, c->options[CLI_OPT_OUT]);
    return r;
}

struct person_line {
    int64_t id;
    const char *name, *state;
    uint8_t roles;
};

static void print_person(struct cli *c, const struct person_line *p)
{
    char roles[80];
    struct b_wr w = b_wr_from(roles, sizeof(roles) - 1);
    for (unsigned role = 1; role <= STORE_ROLE_AUDITOR; role <<= 1) {
        const char *name = service_role_name((enum store_role)role);
        if ((p->roles & role) == 0)
            continue;
        if (w.len > 0)
            b_wr_u8(&w, ',');
        b_wr_bytes(&w, name, strlen(name));
    }
    roles[w.len] = '\0';
    cli_say(c, CLI_PLAIN, "%5lld  %-24s  %-10s %s\n", (long long)p->id, p->name, p->state, roles);
    if (c->out != NULL)
        (void)json_array_append_new(json_object_get(c->out, "people"),
                                    json_pack("{s:I, s:s, s:s, s:s}", "id", (json_int_t)p->id,
                                              "name", p->name, "state", p->state, "roles", roles));
}

static bool show_person(void *ctx, const struct store_person *p)
{
    print_person(ctx, &(struct person_line){.id = p->id,
                                            .name = p->name,
                                            .state = store_party_state_name(p->state),
                                            .roles = p->roles});
    return true;
}

static bool show_person_far(struct cli *c, const json_t *o)
{
    struct person_line p = {.id = json_integer_value(json_object_get(o, "id")),
                            .name = remote_text(o, "name"),
                            .state = remote_text(o, "state")};
    const json_t *role = NULL;
    size_t i = 0;
    json_array_foreach(json_object_get(o, "roles"), i, role) p.roles |=
        json_is_string(role) ? service_roles_from(json_string_value(role)) : 0;
    print_person(c, &p);
    return p.id > 0;
}

enum b_code cli_person_list(struct cli *c, struct b_err *err)
{
    if (c->out != NULL)
        (void)json_object_set_new(c->out, "people", json_array());
    if (cli_is_far(c))
        return cli_far_each(c, "/v1/people", show_person_far, err);
    enum b_code r = cli_open(c, false, err);
    return r == B_OK ? store_person_each(c->service.store, 0, show_person, c, err) : r;
}

/* --- stations ----------------------------------------------------------------------------------
 */

static enum b_code add_here(struct cli *c, struct store_station *t, char code[static PKI_CODE_MAX],
                            struct b_err *err)
{
    struct pki_ca *ca = NULL;
    enum b_code r = cli_open(c, false, err);
    if (r == B_OK)
        r = open_ca(c, &ca, err);
    if (r == B_OK)
        r = service_station_add(&c->service, ca, t, code, err);
    pki_ca_free(&ca);
    return r;
}

static enum b_code add_far(const struct cli *c, struct store_station *t,
                           char code[static PKI_CODE_MAX], struct b_err *err)
{
    json_t *o = NULL;
    json_t *body =
        json_pack("{s:s, s:s, s:s}", "name", t->name, "group", t->group, "zone", t->zone);
    if (body == NULL)
        return b_err_set(err, B_E_USAGE, 0, "%s: UTF-8", t->name);
    enum b_code r = cli_far(c, "POST", "/v1/stations", body, &o, err);
    t->id = json_integer_value(json_object_get(o, "id"));
    (void)snprintf(code, PKI_CODE_MAX, "%s", remote_text(o, "code"));
    json_decref(o);
    return r;
}

enum b_code cli_station_add(struct cli *c, struct b_err *err)
{
    char code[PKI_CODE_MAX];
    struct store_station t = {.id = 0};
    const char *group = c->options[CLI_OPT_GROUP];
    const char *zone = c->options[CLI_OPT_ZONE];
    (void)snprintf(t.name, sizeof(t.name), "%s", c->operand);
    (void)snprintf(t.group, sizeof(t.group), "%s", group != NULL ? group : "");
    (void)snprintf(t.zone, sizeof(t.zone), "%s", zone != NULL ? zone : "");
    enum b_code r = cli_is_far(c) ? add_far(c, &t, code, err) : add_here(c, &t, code, err);
    if (r != B_OK)
        return r;
    cli_say(c, CLI_GREEN, _("Station %lld: %s.\n"), (long long)t.id, t.name);
    cli_say(c, CLI_PLAIN,
            _("  one-time code  %s\n"
              "  on the station: tessere-agent enrol --server https://SERVER:PORT --code CODE\n"),
            code);
    if (c->out != NULL)
        (void)json_object_update_new(c->out, json_pack("{s:I, s:s, s:s}", "id", (json_int_t)t.id,
                                                       "name", t.name, "code", code));
    return B_OK;
}

struct station_line {
    int64_t id;
    const char *name, *state, *group;
    bool is_enrolled;
};

static void print_station(struct cli *c, const struct station_line *t)
{
    const char *how = t->is_enrolled ? _("enrolled") : _("waits for its code");
    cli_say(c, CLI_PLAIN, "%5lld  %-24s  %-10s %-16s %s\n", (long long)t->id, t->name, t->state,
            t->group, how);
    if (c->out != NULL)
        (void)json_array_append_new(json_object_get(c->out, "stations"),
                                    json_pack("{s:I, s:s, s:s, s:s, s:b}", "id", (json_int_t)t->id,
                                              "name", t->name, "state", t->state, "group", t->group,
                                              "enrolled", (int)t->is_enrolled));
}

static bool show_station(void *ctx, const struct store_station *t)
{
    static const uint8_t none[32];
    print_station(
        ctx, &(struct station_line){.id = t->id,
                                    .name = t->name,
                                    .state = store_party_state_name(t->state),
                                    .group = t->group,
                                    .is_enrolled = !b_ct_eq(t->fingerprint, none, sizeof(none))});
    return true;
}

static bool show_station_far(struct cli *c, const json_t *o)
{
    const struct station_line t = {.id = json_integer_value(json_object_get(o, "id")),
                                   .name = remote_text(o, "name"),
                                   .state = remote_text(o, "state"),
                                   .group = remote_text(o, "group"),
                                   .is_enrolled = json_is_true(json_object_get(o, "enrolled"))};
    print_station(c, &t);
    return t.id > 0;
}

enum b_code cli_station_list(struct cli *c, struct b_err *err)
{
    if (c->out != NULL)
        (void)json_object_set_new(c->out, "stations", json_array());
    if (cli_is_far(c))
        return cli_far_each(c, "/v1/stations", show_station_far, err);
    enum b_code r = cli_open(c, false, err);
    return r == B_OK ? store_station_each(c->service.store, 0, show_station, c, err) : r;
}

struct turn {
    const char *verb, *kind;
    enum store_party_state to;
};

static enum b_code turn_station(struct cli *c, const struct turn *t, struct b_err *err)
{
    char *end = NULL;
    char path[64];
    char state[32] = "";
    struct store_station station;
    json_t *o = NULL;
    long long id = strtoll(c->operand, &end, 10);
    if (*end != '\0' || id <= 0)
        return b_err_set(err, B_E_USAGE, 0, _("a station is named by its number, not \"%.40s\""),
                         c->operand);
    (void)snprintf(path, sizeof(path), "/v1/stations/%lld/%s", id, t->verb);
    enum b_code r =
        cli_is_far(c) ? cli_far(c, "POST", path, json_object(), &o, err) : cli_open(c, false, err);
    if (r == B_OK && !cli_is_far(c))
        r = service_station_state(&c->service, id, t->to, t->kind, &station, err);
    if (r == B_OK)
        (void)snprintf(state, sizeof(state), "%s",
                       cli_is_far(c) ? remote_text(o, "state")
                                     : store_party_state_name(station.state));
    json_decref(o);
    if (r == B_OK)
        cli_say(c, CLI_PLAIN, _("Station %lld: %s.\n"), id, state);
    if (r == B_OK && c->out != NULL)
        (void)json_object_update_new(c->out,
                                     json_pack("{s:I, s:s}", "id", (json_int_t)id, "state", state));
    return r;
}

enum b_code cli_station_revoke(struct cli *c, struct b_err *err)
{
    static const struct turn end = {"revoke", "station-revoke", STORE_PARTY_ENDED};
    return turn_station(c, &end, err);
}

enum b_code cli_station_suspend(struct cli *c, struct b_err *err)
{
    static const struct turn stop = {"suspend", "station-suspend", STORE_PARTY_SUSPENDED};
    return turn_station(c, &stop, err);
}

enum b_code cli_station_reinstate(struct cli *c, struct b_err *err)
{
    static const struct turn on = {"reinstate", "station-reinstate", STORE_PARTY_ACTIVE};
    return turn_station(c, &on, err);
}
