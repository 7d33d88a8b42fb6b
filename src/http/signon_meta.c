/* What anybody may know: discovery, keys; and how pages look and work. */
#include <string.h>

#include "http/assets.h"
#include "http/signon.h"
#include "service/signer.h"

void signon_discovery(struct signon_call *c)
{
    http_answer_header(c->answer, "Access-Control-Allow-Origin", "*");
    signon_json(c, 200, oidc_discovery(c->config->issuer, oidc_clients_push(c->clients)));
}

void signon_keys(struct signon_call *c)
{
    json_t *keys = NULL;
    struct b_err err;
    http_answer_header(c->answer, "Access-Control-Allow-Origin", "*");
    if (service_signer_jwks(c->service.store, time(NULL), &keys, &err) == B_OK)
        signon_json(c, 200, keys);
    else
        signon_refused(c, &err);
}

void signon_style(struct signon_call *c)
{
    signon_answer(c, 200, "text/css; charset=utf-8", strdup(asset_style_css));
}

void signon_script(struct signon_call *c)
{
    signon_answer(c, 200, "text/javascript; charset=utf-8", strdup(asset_script_js));
}
