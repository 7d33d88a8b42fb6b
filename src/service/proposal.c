#include "service/proposal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/sign.h"
#include "service/journal.h"
#include "service/party.h"
#include "service/relay.h"

static const char roster_setting[] = "roster";

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
    if (p->state != STORE_PARTY_ACTIVE ||
        (p->roles & (STORE_ROLE_ADMINISTRATOR | STORE_ROLE_CUSTODIAN)) == 0)
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

static enum b_code write_roster(struct service *sv, unsigned quorum, char *text, size_t cap,
                                struct b_err *err)
{
    char head[128];
    struct roster_text t = {.w = b_wr_from(text, cap)};
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

static enum b_code read_roster(struct service *sv, const char *name, char *text, size_t cap,
                               struct b_err *err)
{
    size_t n = 0;
    enum b_code r = store_setting_get(sv->store, name, text, cap - 1, &n, err);
    if (r == B_E_NOT_FOUND)
        return b_err_set(err, B_E_QUORUM, 0,
                         "there is no roster of approvers: tessere roster found");
    text[n < cap ? n : 0] = '\0';
    return r;
}

static void digest_hex(const char *text, char hex[static 65])
{
    uint8_t digest[32];
    crypto_sha256(text, strlen(text), digest);
    b_hex(hex, digest, sizeof(digest));
}

struct setting {
    const char *name, *text;
};

static enum b_code keep_roster(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct setting *s = ctx;
    char hex[65];
    digest_hex(s->text, hex);
    enum b_code r = store_setting_put(c->store, s->name, s->text, strlen(s->text), err);
    if (r != B_OK)
        return r;
    return service_log(
        c,
        (struct service_entry){.kind = "roster",
                               .detail = json_pack("{s:s, s:s}", "digest", hex, "text", s->text)},
        err);
}

enum b_code service_roster_found(struct service *sv, unsigned quorum, struct b_err *err)
{
    static char text[SERVICE_ROSTER_MAX];
    struct setting s = {roster_setting, text};
    enum b_code r = write_roster(sv, quorum, text, sizeof(text), err);
    if (r == B_OK)
        r = vault_roster_found(sv->vault, text, err);
    return r == B_OK ? service_change(sv, keep_roster, &s, err) : r;
}

/* --- proposing ---------------------------------------------------------------------------------
 */

static enum b_code next_generation(struct service *sv, enum key_role role, unsigned *ret,
                                   struct b_err *err)
{
    struct store_generation gs[64];
    size_t count = 0;
    enum b_code r = store_generation_list(sv->store, gs, B_COUNT(gs), &count, err);
    *ret = 1;
    for (size_t i = 0; r == B_OK && i < count; i++)
        if (gs[i].role == role && gs[i].generation >= *ret)
            *ret = gs[i].generation + 1u;
    return r;
}

struct proposing {
    struct store_proposal *p;
    const char *proposer, *argument, *finess, *roster;
    struct setting next_roster; /* of action roster */
};

static enum b_code note_proposal(struct service_change *c, void *ctx, struct b_err *err)
{
    struct proposing *k = ctx;
    struct store_proposal *p = k->p;
    char digest[65];
    digest_hex(k->roster, digest);
    p->created_at = c->now;
    p->expires_at = c->now + SERVICE_PROPOSAL_SECONDS;
    enum b_code r = store_proposal_put(c->store, p, err); /* for its number */
    (void)snprintf(p->text, sizeof(p->text),
                   "tessere-proposal/v1\nestablishment %s\nroster %s\nnumber %lld\naction %s\n"
                   "argument %s\nproposer %s\nexpires %lld\n",
                   k->finess, digest, (long long)p->id, p->action, k->argument, k->proposer,
                   (long long)p->expires_at);
    if (r == B_OK)
        r = store_proposal_put(c->store, p, err);
    if (r == B_OK && k->next_roster.text != NULL)
        r = store_setting_put(c->store, k->next_roster.name, k->next_roster.text,
                              strlen(k->next_roster.text), err);
    if (r != B_OK)
        return r;
    return service_log(
        c,
        (struct service_entry){
            .kind = "propose",
            .detail = json_pack("{s:I, s:s}", "proposal", (json_int_t)p->id, "text", p->text)},
        err);
}

/* "rotate auth" becomes action rotate, argument "auth 2": a proposal says exactly what will be. */
static enum b_code make_exact(struct service *sv, const char *what, struct proposing *k,
                              char *argument, size_t cap, char *next_roster, struct b_err *err)
{
    static const char *const actions[] = {"rotate", "retire", "compromise", "erase", "roster"};
    static char setting[80];
    size_t n = strcspn(what, " ");
    bool is_known = false;
    for (size_t i = 0; i < B_COUNT(actions); i++)
        is_known |= strlen(actions[i]) == n && strncmp(actions[i], what, n) == 0;
    if (!is_known || n >= sizeof(k->p->action) || strchr(what, '\n') != NULL)
        return b_err_set(err, B_E_BAD_INPUT, 0,
                         "rotate ROLE, retire ROLE GENERATION, compromise ROLE GENERATION, erase "
                         "REF, or roster");
    memcpy(k->p->action, what, n);
    (void)snprintf(argument, cap, "%.200s", what[n] == ' ' ? what + n + 1 : "");
    if (strcmp(k->p->action, "rotate") == 0) {
        unsigned generation = 0;
        enum key_role role = key_role_from(argument);
        if (role == KEY_ROLE_COUNT)
            return b_err_set(err, B_E_BAD_INPUT, 0, "no such role: %.20s", argument);
        enum b_code r = next_generation(sv, role, &generation, err);
        (void)snprintf(argument, cap, "%s %u", key_role_name(role), generation);
        return r;
    }
    if (strcmp(k->p->action, "roster") != 0)
        return argument[0] != '\0' ? B_OK : b_err_set(err, B_E_BAD_INPUT, 0, "%.40s what?", what);
    unsigned quorum = 2;
    (void)sscanf(k->roster, "tessere-roster/v1\nestablishment %*s\nquorum %u", &quorum);
    enum b_code r = write_roster(sv, quorum, next_roster, SERVICE_ROSTER_MAX, err);
    digest_hex(next_roster, argument);
    (void)snprintf(setting, sizeof(setting), "roster:%.64s", argument);
    k->next_roster = (struct setting){setting, next_roster};
    return r;
}

enum b_code service_propose(struct service *sv, const struct store_person *proposer,
                            const char *what, struct store_proposal *ret, struct b_err *err)
{
    static _Thread_local char roster[SERVICE_ROSTER_MAX];
    static _Thread_local char next_roster[SERVICE_ROSTER_MAX];
    char argument[256];
    memset(ret, 0, sizeof(*ret));
    ret->proposer = proposer->id;
    struct proposing k = {.p = ret,
                          .proposer = proposer->name,
                          .argument = argument,
                          .finess = sv->establishment.finess,
                          .roster = roster};
    enum b_code r = read_roster(sv, roster_setting, roster, sizeof(roster), err);
    if (r == B_OK)
        r = make_exact(sv, what, &k, argument, sizeof(argument), next_roster, err);
    return r == B_OK ? service_change(sv, note_proposal, &k, err) : r;
}

/* --- approving ---------------------------------------------------------------------------------
 */

struct approving {
    struct store_proposal *p;
    const struct store_person *person;
    const uint8_t *signature;
};

static enum b_code note_approval(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct approving *k = ctx;
    struct store_approval a = {.person = k->person->id};
    char hex[129];
    memcpy(a.signature, k->signature, sizeof(a.signature));
    b_hex(hex, a.signature, sizeof(a.signature));
    enum b_code r = store_proposal_by_id(c->store, k->p->id, k->p, err);
    if (r == B_OK && k->p->state != STORE_PROPOSAL_OPEN)
        r = b_err_set(err, B_E_BADGE_STATE, 0, "the proposal is %s",
                      store_proposal_state_name(k->p->state));
    if (r == B_OK)
        r = store_approval_add(c->store, k->p->id, &a, err);
    if (r != B_OK)
        return r;
    return service_log(
        c,
        (struct service_entry){
            .kind = "approve",
            .detail = json_pack("{s:I, s:s}", "proposal", (json_int_t)k->p->id, "signature", hex)},
        err);
}

struct carrying {
    struct store_proposal *p;
    const struct vault_key *key;
    const uint8_t *receipt;
    char argument[256];
    const char *next_roster;
};

/* "auth 4", of a proposal that was approved. */
static enum b_code change_generation(struct service_change *c, const char *argument,
                                     enum store_generation_state to, struct b_err *err)
{
    struct store_generation gs[64];
    size_t count = 0;
    char role[16] = "";
    unsigned generation = 0;
    enum b_code r = store_generation_list(c->store, gs, B_COUNT(gs), &count, err);
    bool is_read = sscanf(argument, "%15s %u", role, &generation) == 2;
    for (size_t i = 0; r == B_OK && is_read && i < count; i++) {
        if (strcmp(key_role_name(gs[i].role), role) != 0 || gs[i].generation != generation)
            continue;
        gs[i].state = to;
        r = store_generation_put(c->store, &gs[i], err);
        return r == B_OK
                   ? service_log(
                         c, (struct service_entry){.kind = "key-state", .generation = &gs[i]}, err)
                   : r;
    }
    return r == B_OK ? b_err_set(err, B_E_NOT_FOUND, 0, "no generation %.40s", argument) : r;
}

static enum b_code act(struct service_change *c, const struct carrying *k, struct b_err *err)
{
    struct store_generation g;
    const char *action = k->p->action;
    if (strcmp(action, "rotate") == 0)
        return service_note_rotation(c, k->key, &g, err);
    if (strcmp(action, "retire") == 0)
        return change_generation(c, k->argument, STORE_GENERATION_RETIRED, err);
    if (strcmp(action, "compromise") == 0)
        return change_generation(c, k->argument, STORE_GENERATION_COMPROMISED, err);
    if (strcmp(action, "roster") == 0) {
        struct setting s = {roster_setting, k->next_roster};
        return keep_roster(c, &s, err);
    }
    return B_OK; /* erase: its own change follows */
}

static enum b_code note_carried(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct carrying *k = ctx;
    char hex[129];
    b_hex(hex, k->receipt, 64);
    k->p->state = STORE_PROPOSAL_DONE;
    enum b_code r = store_proposal_put(c->store, k->p, err);
    if (r == B_OK)
        r = act(c, k, err);
    if (r != B_OK)
        return r;
    return service_log(
        c,
        (struct service_entry){
            .kind = "carry-out",
            .detail = json_pack("{s:I, s:s}", "proposal", (json_int_t)k->p->id, "receipt", hex)},
        err);
}

static void argument_of(const char *text, char *to, size_t cap)
{
    const char *at = strstr(text, "\nargument ");
    size_t n = at != NULL ? strcspn(at + 10, "\n") : 0;
    if (n >= cap)
        n = cap - 1;
    memcpy(to, at != NULL ? at + 10 : "", n);
    to[n] = '\0';
}

/* The vault judges the signatures; what it makes or witnesses is then written down. */
static enum b_code carry_out(struct service *sv, struct store_proposal *p, struct b_err *err)
{
    static _Thread_local char roster[SERVICE_ROSTER_MAX];
    static _Thread_local char next[SERVICE_ROSTER_MAX];
    struct store_approval as[16];
    uint8_t signatures[16][64];
    uint8_t receipt[64];
    char setting[300];
    size_t count = 0;
    struct vault_key key;
    struct carrying k = {.p = p, .key = &key, .receipt = receipt, .next_roster = next};
    argument_of(p->text, k.argument, sizeof(k.argument));
    enum b_code r = read_roster(sv, roster_setting, roster, sizeof(roster), err);
    if (r == B_OK)
        r = store_approval_list(sv->store, p->id, as, B_COUNT(as), &count, err);
    if (r == B_OK && strcmp(p->action, "roster") == 0) {
        (void)snprintf(setting, sizeof(setting), "roster:%s", k.argument);
        r = read_roster(sv, setting, next, sizeof(next), err);
    }
    if (r != B_OK)
        return r;
    for (size_t i = 0; i < count; i++)
        memcpy(signatures[i], as[i].signature, 64);
    const struct vault_carry carry = {
        .roster = roster, .proposal = p->text, .approvals = b_rd_from(signatures, count * 64)};
    r = vault_carry_out(sv->vault, &carry, receipt, &key, err);
    if (r == B_E_QUORUM && count > 0 && strcmp(roster, "") != 0)
        return B_OK; /* not enough yet: the next approval asks again */
    if (r == B_OK)
        r = service_change(sv, note_carried, &k, err);
    uint64_t erased = 0;
    if (r == B_OK && strcmp(p->action, "erase") == 0)
        r = service_journal_erase(sv, k.argument, &erased, err);
    return r;
}

enum b_code service_approve(struct service *sv, const struct store_person *person, int64_t id,
                            const uint8_t signature[static 64], struct store_proposal *ret,
                            struct b_err *err)
{
    struct approving k = {.p = ret, .person = person, .signature = signature};
    enum b_code r = store_proposal_by_id(sv->store, id, ret, err);
    if (r != B_OK)
        return r;
    if (!crypto_es256_verify(person->key, ret->text, strlen(ret->text), signature))
        return b_err_set(err, B_E_APPROVAL_BAD, 0,
                         "it does not verify with the key of your certificate");
    if (ret->expires_at <= service_now())
        return b_err_set(err, B_E_PROPOSAL_EXPIRED, 0, "proposal %lld", (long long)id);
    r = service_change(sv, note_approval, &k, err);
    return r == B_OK ? carry_out(sv, ret, err) : r;
}

static enum b_code note_rejection(struct service_change *c, void *ctx, struct b_err *err)
{
    struct store_proposal *p = ctx;
    enum b_code r = store_proposal_by_id(c->store, p->id, p, err);
    if (r == B_OK && p->state != STORE_PROPOSAL_OPEN)
        r = b_err_set(err, B_E_BADGE_STATE, 0, "the proposal is %s",
                      store_proposal_state_name(p->state));
    p->state = STORE_PROPOSAL_REJECTED;
    if (r == B_OK)
        r = store_proposal_put(c->store, p, err);
    if (r != B_OK)
        return r;
    return service_log(
        c,
        (struct service_entry){.kind = "reject",
                               .detail = json_pack("{s:I}", "proposal", (json_int_t)p->id)},
        err);
}

enum b_code service_reject(struct service *sv, int64_t id, struct store_proposal *ret,
                           struct b_err *err)
{
    memset(ret, 0, sizeof(*ret));
    ret->id = id;
    return service_change(sv, note_rejection, ret, err);
}
