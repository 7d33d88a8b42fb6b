/* Tokens that other systems are sent (src/events), signed by the vault: each relying party's by the
 * algorithm of its ID tokens. */
#include <string.h>

#include "http/signon.h"
#include "service/signer.h"

static enum b_code sign(void *ctx, enum events_token kind, const char *claims, char *jwt,
                        size_t max, struct b_err *err)
{
    struct http_server *s = ctx;
    static _Thread_local struct service sv;
    json_t *o = json_loads(claims, JSON_REJECT_DUPLICATES, NULL);
    const char *client = json_string_value(json_object_get(o, "aud"));
    char alg[8] = "RS256";
    (void)json_object_del(o, "iat"); /* the vault says it itself */
    http_book_alg(s, client != NULL ? client : "", alg, sizeof(alg));
    sv = s->service;
    sv.store = http_borrow_reader(s, NULL, HTTP_READERS);
    enum b_code r =
        sv.store == NULL || o == NULL
            ? b_err_set(err, B_E_VAULT_BUSY, 0, "signing a token for %.60s",
                        client != NULL ? client : "nobody")
            : service_sign(&sv,
                           kind == EVENTS_TOKEN_LOGOUT ? VAULT_LOGOUT_TOKEN : VAULT_EVENT_TOKEN,
                           alg, "", o, jwt, max, err);
    http_give_reader_back(s, &sv.store);
    json_decref(o);
    return r;
}

struct events_signer http_token_signer(struct http_server *s)
{
    return (struct events_signer){.sign = sign, .ctx = s};
}
