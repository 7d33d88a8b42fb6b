#include "http/reload.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "service/home.h"
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
    char path[SERVICE_PATH_MAX];
    enum b_code r = service_home_path(s->home, "server.yaml", path, sizeof(path), err);
    if (r == B_OK)
        r = http_config_read(path, &next, err);
    if (r == B_OK)
        r = try_policy(s, err);
    if (r != B_OK)
        return r;
    keep_fixed(&s->config, &next, note, cap);
    r = http_server_renew(s, &next, err);
    if (r == B_OK && (r = http_reload_policy(s, err)) != B_OK)
        r = b_err_wrap(err, "all but the policy was taken up"); /* the token is away */
    return r;
}
