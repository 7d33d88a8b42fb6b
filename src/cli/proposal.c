/* Dual control: the roster here, proposals and approvals on the server. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/cli.h"
#include "pki/pki.h"
#include "remote/remote.h"
#include "service/proposal.h"

enum b_code cli_roster_found(struct cli *c, struct b_err *err)
{
    unsigned quorum = 2;
    const char *given = c->options[CLI_OPT_QUORUM];
    char *end = NULL;
    if (given != NULL) {
        quorum = (unsigned)strtoul(given, &end, 10);
        if (*end != '\0' || quorum < 2 || quorum > 16)
            return b_err_set(err, B_E_USAGE, 0, _("--quorum takes a number from 2 on"));
    }
    bool ignored = false;
    enum b_code r = cli_open(c, true, err);
    if (r == B_OK)
        r = service_home_policy(c->home, &c->service, &ignored, err);
    if (r == B_OK)
        r = service_roster_found(&c->service, quorum, err);
    if (r == B_OK)
        cli_say(c, CLI_GREEN,
                _("From now on master keys are made, and policy and approvers changed, by "
                  "proposals that %u approve.\n"),
                quorum);
    return r;
}

/* Said before anything is sent: what is missing here is no fault of the network's. */
static enum b_code check_file(const char *option, const char *path, struct b_err *err)
{
    return access(path, R_OK) == 0 ? B_OK
                                   : b_err_set(err, B_E_KEY_FILE, (uint32_t)errno, "%s: %s: %s",
                                               option, path, strerror(errno));
}

enum b_code cli_connect(const struct cli *c, struct remote **ret, struct b_err *err)
{
    char cert[CLI_PATH_MAX];
    char key[CLI_PATH_MAX];
    const char *who =
        cli_has(c, CLI_OPT_IDENTITY) ? c->options[CLI_OPT_IDENTITY] : getenv("TESSERE_IDENTITY");
    const char *ca = cli_has(c, CLI_OPT_CA) ? c->options[CLI_OPT_CA] : getenv("TESSERE_CA");
    if (!cli_has(c, CLI_OPT_SERVER) || who == NULL || ca == NULL)
        return b_err_set(err, B_E_USAGE, 0, _("--server, --identity and --ca are needed"));
    (void)snprintf(cert, sizeof(cert), "%.500s.pem", who);
    (void)snprintf(key, sizeof(key), "%.500s.key", who);
    const struct remote_config config = {
        .url = c->options[CLI_OPT_SERVER], .ca = ca, .cert = cert, .key = key, .timeout_ms = 30000};
    enum b_code r = check_file("--identity", cert, err);
    if (r == B_OK)
        r = check_file("--identity", key, err);
    if (r == B_OK)
        r = check_file("--ca", ca, err);
    return r == B_OK ? remote_open(&config, ret, err) : r;
}

static void answer(struct cli *c, json_t *o)
{
    if (c->out != NULL)
        (void)json_object_update(c->out, o);
    cli_say(c, CLI_PLAIN, _("Proposal %lld is %s.\n"),
            (long long)json_integer_value(json_object_get(o, "id")), remote_text(o, "state"));
}

enum b_code cli_proposal_make(struct cli *c, struct b_err *err)
{
    struct remote *r = NULL;
    json_t *o = NULL;
    static char text[SERVICE_TEXT_MAX];
    size_t n = 0;
    enum b_code code = cli_connect(c, &r, err);
    if (code == B_OK && cli_has(c, CLI_OPT_FILE))
        code = service_read_file(c->options[CLI_OPT_FILE], text, sizeof(text) - 1, &n, err);
    text[code == B_OK ? n : 0] = '\0';
    json_t *body = json_pack("{s:s, s:s}", "what", c->operand, "text", text);
    if (code == B_OK && (body == NULL || strlen(text) != n))
        code = b_err_set(err, B_E_BAD_INPUT, 0, "%s", c->options[CLI_OPT_FILE]);
    if (code == B_OK)
        code = remote_call(r, "POST", "/v1/proposals", body, &o, err);
    if (code == B_OK) {
        cli_say(c, CLI_PLAIN, "%s", remote_text(o, "text"));
        answer(c, o);
    }
    json_decref(body);
    json_decref(o);
    remote_free(&r);
    return code;
}

enum b_code cli_proposal_list(struct cli *c, struct b_err *err)
{
    struct remote *r = NULL;
    json_t *o = NULL;
    size_t i = 0;
    const json_t *item = NULL;
    enum b_code code = cli_connect(c, &r, err);
    if (code == B_OK)
        code = remote_call(r, "GET", "/v1/proposals?limit=200", NULL, &o, err);
    json_array_foreach(json_object_get(o, "items"), i, item)
        cli_say(c, CLI_PLAIN, "%5lld  %-9s %s\n",
                (long long)json_integer_value(json_object_get(item, "id")),
                remote_text(item, "state"), remote_text(item, "action"));
    if (code == B_OK && c->out != NULL)
        (void)json_object_update(c->out, o);
    json_decref(o);
    remote_free(&r);
    return code;
}

/* Shows a proposal, and the policy, roster or certificate that it names by its digest. The digest
 * is taken here, and nothing is shown that looks otherwise than it counts: a server that shows
 * another text is found out. */
static enum b_code show_whole(struct cli *c, const json_t *o, struct b_err *err)
{
    const char *text = remote_text(o, "attached");
    if (!b_text_is_lines(remote_text(o, "text")) || !b_text_is_lines(text))
        return b_err_set(err, B_E_APPROVAL_BAD, 0,
                         _("its text shows otherwise than it is written: propose it again"));
    cli_say(c, CLI_PLAIN, "%s", remote_text(o, "text"));
    const char *argument = strstr(remote_text(o, "text"), "\nargument ");
    uint8_t digest[32];
    char hex[65];
    size_t n = argument != NULL ? strspn(argument + 10, "0123456789ABCDEF") : 0;
    crypto_sha256(text, strlen(text), digest);
    b_hex(hex, digest, sizeof(digest));
    if (n == sizeof(hex) - 1 && strncmp(argument + 10, hex, n) != 0)
        return b_err_set(err, B_E_APPROVAL_BAD, 0,
                         _("the server does not show the text that the proposal is about"));
    if (text[0] != '\0')
        cli_say(c, CLI_PLAIN, "----\n%s----\n", text);
    return B_OK;
}

/* What is signed is the text that the person has read, not one that the server sends afterwards. */
enum b_code cli_proposal_reject(struct cli *c, struct b_err *err)
{
    char path[128];
    json_t *o = NULL;
    (void)snprintf(path, sizeof(path), "/v1/proposals/%.40s/reject", c->operand);
    enum b_code r = cli_far(c, "POST", path, json_object(), &o, err);
    if (r == B_OK)
        answer(c, o);
    json_decref(o);
    return r;
}

enum b_code cli_proposal_approve(struct cli *c, struct b_err *err)
{
    char path[128];
    char key_path[CLI_PATH_MAX];
    uint8_t signature[64];
    char hex[129];
    struct remote *r = NULL;
    struct pki_key *key = NULL;
    json_t *o = NULL;
    json_t *done = NULL;
    (void)snprintf(path, sizeof(path), "/v1/proposals/%.40s", c->operand);
    enum b_code code = cli_connect(c, &r, err);
    if (code == B_OK)
        code = remote_call(r, "GET", path, NULL, &o, err);
    if (code == B_OK) {
        code = show_whole(c, o, err);
        if (code == B_OK && !cli_ask(c, _("Approve exactly this?")))
            code = b_err_set(err, B_E_CANCELLED, 0, "%s", path);
    }
    (void)snprintf(key_path, sizeof(key_path), "%.500s.key",
                   code == B_OK ? c->options[CLI_OPT_IDENTITY] : "");
    if (code == B_OK)
        code = pki_key_read(key_path, &key, err);
    if (code == B_OK)
        code =
            pki_sign(key, remote_text(o, "text"), strlen(remote_text(o, "text")), signature, err);
    b_hex(hex, signature, sizeof(signature));
    (void)snprintf(path, sizeof(path), "/v1/proposals/%.40s/approve", c->operand);
    json_t *body = json_pack("{s:s}", "signature", hex);
    if (code == B_OK)
        code = remote_call(r, "POST", path, body, &done, err);
    if (code == B_OK)
        answer(c, done);
    json_decref(body);
    json_decref(o);
    json_decref(done);
    pki_key_free(&key);
    remote_free(&r);
    return code;
}
