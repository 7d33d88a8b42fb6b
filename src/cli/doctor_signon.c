/* What tessere doctor looks at in server.yaml, its sign-on and its events. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "events/events.h"
#include "http/config.h"
#include "oidc/file.h"
#include "pki/pki.h"
#include "store/signer.h"

static enum b_code read_config(const struct cli *c, struct http_config *ret, struct b_err *err)
{
    char path[CLI_PATH_MAX];
    enum b_code r = cli_path(c, "server.yaml", path, sizeof(path), err);
    return r == B_OK ? http_config_read(path, ret, err) : r;
}

/* A file that server.yaml names; relative ones lie in the home. */
static enum b_code place(const struct cli *c, const char *name, char *ret, size_t cap,
                         struct b_err *err)
{
    if (name[0] != '/')
        return cli_path(c, name, ret, cap, err);
    (void)snprintf(ret, cap, "%s", name);
    return B_OK;
}

bool cli_has_signon(const struct cli *c)
{
    static struct http_config conf;
    struct b_err ignored;
    return read_config(c, &conf, &ignored) == B_OK && http_has_signon(&conf);
}

bool cli_has_events(const struct cli *c)
{
    static struct http_config conf;
    struct b_err ignored;
    return read_config(c, &conf, &ignored) == B_OK && conf.events[0] != '\0';
}

enum b_code cli_check_server(struct cli *c, struct b_err *err)
{
    static struct http_config conf;
    return read_config(c, &conf, err);
}

enum b_code cli_check_parties(struct cli *c, struct b_err *err)
{
    static struct http_config conf;
    char path[CLI_PATH_MAX];
    enum b_code r = read_config(c, &conf, err);
    if (r == B_OK)
        r = place(c, conf.signon.clients, path, sizeof(path), err);
    return r == B_OK ? oidc_clients_check(path, err) : r;
}

enum b_code cli_check_events(struct cli *c, struct b_err *err)
{
    static struct http_config conf;
    static struct events_config told;
    char path[CLI_PATH_MAX];
    enum b_code r = read_config(c, &conf, err);
    if (r == B_OK)
        r = place(c, conf.events, path, sizeof(path), err);
    if (r == B_OK)
        r = events_config_read(c->home, path, &told, err);
    if (r == B_OK)
        r = events_config_check(&told, http_has_signon(&conf), path, err);
    b_wipe(&told, sizeof(told));
    return r;
}

enum b_code cli_check_issuer(struct cli *c, struct b_err *err)
{
    static struct http_config conf;
    static char pem[CLI_PEM_MAX];
    char path[CLI_PATH_MAX];
    char host[OIDC_ISSUER_MAX];
    bool is_for = false;
    enum b_code r = read_config(c, &conf, err);
    if (r == B_OK)
        r = place(c, conf.signon.certificate, path, sizeof(path), err);
    if (r == B_OK)
        r = cli_check_dates(path, pem, err);
    if (r != B_OK)
        return r;
    (void)http_issuer_split(conf.signon.issuer, host);
    r = pki_cert_is_for(pem, host, &is_for, err);
    if (r == B_OK && !is_for)
        r = b_err_set(err, B_E_CERT_BAD, 0, _("%s does not name %s, the issuer's host"), path,
                      host);
    return r;
}

enum b_code cli_check_port(struct cli *c, struct b_err *err)
{
    static struct http_config conf;
    enum b_code r = read_config(c, &conf, err);
    if (r == B_OK && conf.signon.port == conf.port &&
        strcmp(conf.signon.address, conf.address) == 0)
        r = b_err_set(err, B_E_CONFIG, 0, _("server.yaml: port %u is the API's and sign-on's"),
                      (unsigned)conf.port);
    return r;
}

/* A firewall's rule, or a capability, may make it right: nobody here can know. */
enum b_code cli_check_address(struct cli *c, struct b_err *err)
{
    enum { RESERVED = 1024 };
    static struct http_config conf;
    char host[OIDC_ISSUER_MAX];
    enum b_code r = read_config(c, &conf, err);
    if (r != B_OK)
        return r;
    unsigned told = http_issuer_split(conf.signon.issuer, host);
    if (told != conf.signon.port)
        return b_err_set(
            err, B_E_CONFIG, 0,
            _("browsers go to port %u, the server listens on %u: something must lead there"), told,
            (unsigned)conf.signon.port);
    return told >= RESERVED
               ? B_OK
               : b_err_set(err, B_E_CONFIG, 0,
                           _("port %u is below 1024: tessered needs CAP_NET_BIND_SERVICE"), told);
}

enum b_code cli_check_signers(struct cli *c, struct b_err *err)
{
    static struct store_signing_key key;
    static const enum crypto_jws algs[] = {CRYPTO_JWS_RS256, CRYPTO_JWS_ES256};
    for (size_t i = 0; i < B_COUNT(algs); i++) {
        enum b_code r =
            store_signing_key_of(c->service.store, algs[i], STORE_SIGNER_ACTIVE, &key, err);
        if (r == B_E_NOT_FOUND)
            return b_err_set(err, B_E_SIGNER_KEY, 0,
                             _("none signs %s; tessered makes it at its first start"),
                             crypto_jws_name(algs[i]));
        if (r != B_OK)
            return r;
    }
    return B_OK;
}
