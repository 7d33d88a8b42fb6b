#include "service/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char roster_setting[] = "roster";

/* --- texts -------------------------------------------------------------------------------------
 */

void service_text_digest(const char *text, char hex[static SERVICE_DIGEST_HEX])
{
    uint8_t digest[32];
    crypto_sha256(text, strlen(text), digest);
    b_hex(hex, digest, sizeof(digest));
}

static void name_text(const char *hex, char name[static 80])
{
    (void)snprintf(name, 80, "text:%.64s", hex);
}

enum b_code service_text_keep(struct service_change *c, const char *text, struct b_err *err)
{
    char hex[SERVICE_DIGEST_HEX];
    char name[80];
    if (strlen(text) >= SERVICE_TEXT_MAX)
        return b_err_set(err, B_E_TOO_LARGE, 0, "a text holds less than %d bytes",
                         SERVICE_TEXT_MAX);
    service_text_digest(text, hex);
    name_text(hex, name);
    return service_setting_put(c, name, text, strlen(text), err);
}

enum b_code service_text_find(struct store *s, const char *hex, char *text, struct b_err *err)
{
    char name[80];
    char found[SERVICE_DIGEST_HEX];
    name_text(hex, name);
    enum b_code r = service_setting_text(s, name, text, SERVICE_TEXT_MAX, err);
    if (r != B_OK)
        return r;
    service_text_digest(text, found);
    return strcmp(found, hex) == 0
               ? B_OK
               : b_err_set(err, B_E_STORE_CORRUPT, 0,
                           "the text with the digest %.16s... is not in it: it was put back, or "
                           "edited",
                           hex);
}

enum b_code service_setting_text(struct store *s, const char *name, char *text, size_t cap,
                                 struct b_err *err)
{
    size_t n = 0;
    enum b_code r = store_setting_get(s, name, text, cap - 1, &n, err);
    text[r == B_OK ? n : 0] = '\0';
    return r == B_E_NOT_FOUND ? B_OK : r;
}

/* --- the roster --------------------------------------------------------------------------------
 */

struct roster_text {
    struct b_wr w;
    unsigned count;
};

static bool add_approver(void *ctx, const struct store_person *p)
{
    struct roster_text *t = ctx;
    char point[2 * STORE_POINT + 1];
    if (p->state != STORE_PARTY_ACTIVE || (p->roles & SERVICE_APPROVERS) == 0)
        return true;
    b_hex(point, p->key, sizeof(p->key));
    b_wr_bytes(&t->w, "approver ", 9);
    for (const char *c = p->name; *c != '\0'; c++) /* the name ends at its space */
        b_wr_u8(&t->w, *c == ' ' || *c == '\n' ? (uint8_t)'_' : (uint8_t)*c);
    b_wr_u8(&t->w, ' ');
    b_wr_bytes(&t->w, point, strlen(point));
    b_wr_u8(&t->w, '\n');
    t->count++;
    return true;
}

enum b_code service_roster_write(struct service *sv, unsigned quorum, char *text, struct b_err *err)
{
    char head[128];
    struct roster_text t = {.w = b_wr_from(text, SERVICE_ROSTER_MAX)};
    int n = snprintf(head, sizeof(head), "tessere-roster/v1\nestablishment %s\nquorum %u\n",
                     sv->establishment.finess, quorum);
    b_wr_bytes(&t.w, head, (size_t)n);
    enum b_code r = store_person_each(sv->store, 0, add_approver, &t, err);
    b_wr_u8(&t.w, 0);
    if (r == B_OK && (t.count < quorum || quorum < 2 || !b_wr_ok(&t.w)))
        r = b_err_set(
            err, B_E_QUORUM, 0,
            "%u administrators and custodians are registered; a quorum of %u needs as many, "
            "and at least 2",
            t.count, quorum);
    return r;
}

enum b_code service_roster_read(struct service *sv, char *text, struct b_err *err)
{
    char hex[SERVICE_DIGEST_HEX];
    struct vault_anchors a;
    enum b_code r = vault_anchors(sv->vault, &a, err);
    if (r == B_OK && !a.has_roster)
        r = b_err_set(err, B_E_QUORUM, 0, "there is no roster of approvers: tessere roster found");
    if (r != B_OK)
        return r;
    b_hex(hex, a.roster, sizeof(a.roster));
    return service_text_find(sv->store, hex, text, err);
}

unsigned service_roster_quorum(const char *text)
{
    const char *at = strstr(text, "\nquorum ");
    return at != NULL ? (unsigned)strtoul(at + 8, NULL, 10) : 2;
}

bool service_roster_has(const char *text, const struct store_person *p)
{
    char line[2 * STORE_POINT + 3] = " ";
    b_hex(line + 1, p->key, sizeof(p->key));
    (void)memcpy(line + 1 + 2 * STORE_POINT, "\n", 2);
    return strstr(text, line) != NULL;
}

enum b_code service_note_roster(struct service_change *c, const char *text, struct b_err *err)
{
    char hex[SERVICE_DIGEST_HEX];
    service_text_digest(text, hex);
    enum b_code r = service_text_keep(c, text, err);
    if (r == B_OK)
        r = service_setting_put(c, roster_setting, hex, strlen(hex), err);
    if (r != B_OK)
        return r;
    return service_log(
        c,
        (struct service_entry){.kind = "roster",
                               .detail = json_pack("{s:s, s:s}", "digest", hex, "text", text)},
        err);
}

enum b_code service_refuse_alone(struct store *s, const char *what, struct b_err *err)
{
    char hex[SERVICE_DIGEST_HEX];
    enum b_code r = service_setting_text(s, roster_setting, hex, sizeof(hex), err);
    if (r != B_OK || hex[0] == '\0')
        return r;
    return b_err_set(err, B_E_QUORUM, 0, "propose it: tessere proposal make \"%s\"", what);
}

/* --- answers kept for repeated requests --------------------------------------------------------
 */

static enum b_code note_forgotten(struct service_change *c, void *ctx, struct b_err *err)
{
    int64_t up_to = 0;
    enum b_code r = store_reply_forget(c->store, *(const int64_t *)ctx, &up_to, err);
    if (r != B_OK || up_to == 0)
        return r;
    return service_log(
        c,
        (struct service_entry){.kind = "forget-answers",
                               .detail = json_pack("{s:I}", "up_to", (json_int_t)up_to)},
        err);
}

enum b_code service_forget_answers(struct service *sv, int64_t before, struct b_err *err)
{
    return service_change(sv, note_forgotten, &before, err);
}
