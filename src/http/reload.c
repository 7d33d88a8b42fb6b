#include "http/reload.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "http/signon.h"
#include "pki/pki.h"
#include "service/home.h"
#include "service/others.h"
#include "service/policy.h"

enum b_code http_reload_policy(struct http_server *s, struct b_err *err)
{
    bool is_refused = false;
    enum b_code r = service_home_policy(s->home, &s->service, &is_refused, err);
    if (is_refused)
        (void)fprintf(
            stderr,
            "tessered: %s/policy.yaml is not the policy that was approved, which stays in "
            "force\n  have it approved: tessere proposal make policy --file "
            "%s/policy.yaml, or write the approved one there: tessere policy show\n",
            s->home, s->home);
    return r;
}

/* A file of server.yaml: relative ones lie in the home. */
static enum b_code path_of(const struct http_server *s, const char *name, char *ret, size_t cap,
                           struct b_err *err)
{
    if (name[0] != '/')
        return service_home_path(s->home, name, ret, cap, err);
    (void)snprintf(ret, cap, "%s", name);
    return B_OK;
}

void http_tell_issuer(const struct http_server *s)
{
    static char pem[16384];
    char path[SERVICE_PATH_MAX];
    char host[OIDC_ISSUER_MAX];
    size_t n = 0;
    bool is_for = true;
    struct b_err ignored;
    if (!http_has_signon(&s->config))
        return;
    (void)http_issuer_split(s->config.signon.issuer, host);
    enum b_code r = path_of(s, s->config.signon.certificate, path, sizeof(path), &ignored);
    if (r == B_OK)
        r = service_read_file(path, pem, sizeof(pem) - 1, &n, &ignored);
    pem[r == B_OK ? n : 0] = '\0';
    if (r == B_OK && pki_cert_is_for(pem, host, &is_for, &ignored) == B_OK && !is_for)
        (void)fprintf(
            stderr,
            "tessered: %s does not name %s, the issuer's host: browsers will not open it\n"
            "  take one that does: certificate and key of sign-on, in server.yaml\n",
            path, host);
}

static struct df_key given[PROFILE_GIVEN_KEYS_MAX];
static struct profile_fleet described;

/* What the files that c names say, until it is kept. */
static enum b_code read_others(const struct http_server *s, const struct http_config *c,
                               struct service_others *ret, struct b_err *err)
{
    char path[SERVICE_PATH_MAX];
    *ret = (struct service_others){.given = given, .is_ours_alone = c->adopts};
    if (c->fleet[0] == '\0')
        return B_OK;
    enum b_code r = path_of(s, c->fleet, path, sizeof(path), err);
    if (r == B_OK)
        r = service_others_fleet(path, &described, err);
    bool has_keys = c->fleet_keys[0] != '\0'; /* besides those that custodians gave */
    if (r == B_OK && has_keys)
        r = path_of(s, c->fleet_keys, path, sizeof(path), err);
    if (r == B_OK && has_keys)
        r = service_others_keys(path, given, &ret->given_count, err);
    ret->is_ours_alone = false; /* a takeover does that as well */
    if (r == B_OK)
        ret->fleet = &described;
    else
        b_wipe(given, sizeof(given));
    return r;
}

static enum b_code keep_others(struct http_server *s, const struct service_others *others,
                               struct b_err *err)
{
    bool takes_over = others->fleet != NULL || others->is_ours_alone;
    return service_desk_others(s->desk, takes_over ? others : NULL, err);
}

enum b_code http_reload_others(struct http_server *s, struct b_err *err)
{
    struct service_others others;
    enum b_code r = read_others(s, &s->config, &others, err);
    if (r == B_OK)
        r = keep_others(s, &others, err);
    b_wipe(given, sizeof(given));
    return r;
}

/* --- events ------------------------------------------------------------------------------------
 */

static struct events_config told;

/* What the file that c names says, until it is kept. */
static enum b_code read_events(const struct http_server *s, const struct http_config *c,
                               struct b_err *err)
{
    char path[SERVICE_PATH_MAX];
    enum b_code r = B_OK;
    bool has_file = c->events[0] != '\0';
    told = (struct events_config){.count = 0};
    if (has_file)
        r = path_of(s, c->events, path, sizeof(path), err);
    if (has_file && r == B_OK)
        r = events_config_read(s->home, path, &told, err);
    if (has_file && r == B_OK)
        r = events_config_check(&told, http_has_signon(c), path, err);
    if (r == B_OK && c->signon.ca[0] != '\0') /* relying parties are told without that file too */
        r = path_of(s, c->signon.ca, told.ca, sizeof(told.ca), err);
    if (r != B_OK)
        b_wipe(&told, sizeof(told));
    return r;
}

static enum b_code start_deliveries(struct http_server *s, struct b_err *err)
{
    char path[SERVICE_PATH_MAX];
    struct store *stores[EVENTS_LANES] = {NULL};
    enum b_code r = service_home_path(s->home, "store.db", path, sizeof(path), err);
    for (size_t i = 0; r == B_OK && i < EVENTS_LANES; i++)
        r = store_open(path, false, &stores[i], err);
    if (r == B_OK)
        return events_deliverer_start(&s->service, stores, s->signer, &told, &s->events, err);
    for (size_t i = 0; i < EVENTS_LANES; i++)
        store_free(&stores[i]);
    return r;
}

static enum b_code keep_events(struct http_server *s, struct b_err *err)
{
    static struct store_subscription all[EVENTS_SUBSCRIPTIONS_MAX];
    enum b_code r =
        service_outbox_subscribe(&s->service, all, events_subscriptions(&told, all), err);
    if (r == B_OK && s->events != NULL)
        events_deliverer_set(s->events, &told);
    else if (r == B_OK)
        r = start_deliveries(s, err);
    b_wipe(&told, sizeof(told));
    return r;
}

enum b_code http_reload_events(struct http_server *s, struct b_err *err)
{
    enum b_code r = read_events(s, &s->config, err);
    return r == B_OK ? keep_events(s, err) : r;
}

/* Of sign-on, clients and certificates follow a reload. */
static bool is_signon_changed(const struct http_signon_config *now,
                              const struct http_signon_config *next)
{
    return strcmp(now->issuer, next->issuer) != 0 || strcmp(now->address, next->address) != 0 ||
           now->port != next->port || now->session_hours != next->session_hours ||
           now->keeps_on_second_tap != next->keeps_on_second_tap;
}

static void keep_signon(const struct http_signon_config *now, struct http_signon_config *next)
{
    if (now->issuer[0] == '\0' || next->issuer[0] == '\0') {
        *next = *now;
        return;
    }
    memcpy(next->issuer, now->issuer, sizeof(next->issuer));
    memcpy(next->address, now->address, sizeof(next->address));
    next->port = now->port;
    next->session_hours = now->session_hours;
    next->keeps_on_second_tap = now->keeps_on_second_tap;
}

/* What the running server cannot change is taken back, and named. */
static void keep_fixed(const struct http_config *now, struct http_config *next, char *note,
                       size_t cap)
{
    const struct {
        const char *name;
        bool is_changed;
    } fixed[] = {{"address", strcmp(now->address, next->address) != 0},
                 {"port", now->port != next->port},
                 {"ca-certificate", strcmp(now->ca_certificate, next->ca_certificate) != 0},
                 {"ca-key", strcmp(now->ca_key, next->ca_key) != 0},
                 {"syslog", strcmp(now->syslog, next->syslog) != 0},
                 {"sign-on", is_signon_changed(&now->signon, &next->signon)},
                 {"vault-workers", now->vault_workers != next->vault_workers}};
    struct b_wr w = b_wr_from(note, cap - 1);
    for (size_t i = 0; i < B_COUNT(fixed); i++) {
        if (!fixed[i].is_changed)
            continue;
        b_wr_bytes(&w, ", ", w.len > 0 ? 2 : 0);
        b_wr_bytes(&w, fixed[i].name, strlen(fixed[i].name));
    }
    note[w.len] = '\0';
    memcpy(next->address, now->address, sizeof(next->address));
    next->port = now->port;
    memcpy(next->ca_certificate, now->ca_certificate, sizeof(next->ca_certificate));
    memcpy(next->ca_key, now->ca_key, sizeof(next->ca_key));
    memcpy(next->syslog, now->syslog, sizeof(next->syslog));
    next->vault_workers = now->vault_workers;
    keep_signon(&now->signon, &next->signon);
}

/* Whether the file, if there is one, could be in force at all. */
static enum b_code try_policy(const struct http_server *s, struct b_err *err)
{
    static char text[SERVICE_TEXT_MAX];
    char path[SERVICE_PATH_MAX];
    size_t n = 0;
    enum b_code r = service_home_path(s->home, "policy.yaml", path, sizeof(path), err);
    if (r != B_OK || access(path, F_OK) != 0)
        return r;
    r = service_read_file(path, text, sizeof(text) - 1, &n, err);
    text[r == B_OK ? n : 0] = '\0';
    return r == B_OK ? service_policy_check(text, err) : r;
}

enum b_code http_reload(struct http_server *s, char *note, size_t cap, struct b_err *err)
{
    static struct http_config next;
    struct service_others others;
    struct http_book *book = NULL;
    char path[SERVICE_PATH_MAX];
    enum b_code r = service_home_path(s->home, "server.yaml", path, sizeof(path), err);
    if (r == B_OK)
        r = http_config_read(path, &next, err);
    if (r == B_OK)
        r = try_policy(s, err);
    if (r == B_OK)
        r = read_events(s, &next, err);
    if (r == B_OK)
        r = read_others(s, &next, &others, err);
    if (r != B_OK) {
        b_wipe(&told, sizeof(told));
        return r;
    }
    keep_fixed(&s->config, &next, note, cap);
    r = http_book_read(s, &next, &book, err);
    if (r == B_OK)
        r = http_server_renew(s, &next, err);
    if (r == B_OK)
        http_book_set(s, book);
    else
        http_book_free(&book);
    if (r == B_OK)
        r = keep_others(s, &others, err);
    b_wipe(given, sizeof(given));
    if (r == B_OK)
        r = keep_events(s, err);
    b_wipe(&told, sizeof(told));
    if (r == B_OK && (r = http_reload_policy(s, err)) != B_OK)
        r = b_err_wrap(err, "all but the policy was taken up"); /* the token is away */
    return r;
}
