#include "service/proposal.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/sign.h"
#include "service/action.h"
#include "service/policy.h"
#include "service/relay.h"

enum { APPROVALS_MAX = 16 };

static enum b_code note_founding(struct service_change *c, void *ctx, struct b_err *err)
{
    return service_note_roster(c, ctx, err);
}

/* With the roster, the policy that is in force now is anchored too. */
enum b_code service_roster_found(struct service *sv, unsigned quorum, struct b_err *err)
{
    static char text[SERVICE_ROSTER_MAX];
    static char policy[SERVICE_TEXT_MAX];
    uint8_t digest[32];
    bool ignored = false;
    enum b_code r = service_roster_write(sv, quorum, text, err);
    if (r == B_OK)
        r = service_policy_open(sv, NULL, &ignored, err);
    if (r == B_OK)
        r = service_policy_text(sv, policy, err);
    if (r != B_OK)
        return r;
    crypto_sha256(policy, strlen(policy), digest);
    r = vault_roster_found(sv->vault, text, digest, err);
    return r == B_OK ? service_change(sv, note_founding, text, err) : r;
}

/* --- proposing ---------------------------------------------------------------------------------
 */

struct proposing {
    struct store_proposal *p;
    const struct store_person *proposer;
    const char *finess;
    const struct service_proposing *exact;
};

static enum b_code note_proposal(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct proposing *k = ctx;
    struct store_proposal *p = k->p;
    char roster[SERVICE_DIGEST_HEX];
    service_text_digest(k->exact->roster, roster);
    p->created_at = c->now;
    p->expires_at = c->now + SERVICE_PROPOSAL_SECONDS;
    enum b_code r = store_proposal_put(c->store, p, err); /* for its number */
    (void)snprintf(p->text, sizeof(p->text),
                   "tessere-proposal/v1\nestablishment %s\nroster %s\nnumber %lld\naction %s\n"
                   "argument %s\nproposer %s\nexpires %lld\n",
                   k->finess, roster, (long long)p->id, p->action, k->exact->argument,
                   k->proposer->name, (long long)p->expires_at);
    if (r == B_OK)
        r = store_proposal_put(c->store, p, err);
    if (r == B_OK && k->exact->kept[0] != '\0')
        r = service_text_keep(c, k->exact->kept, err);
    if (r != B_OK)
        return r;
    service_vouch_proposal(c, p);
    return service_log(
        c,
        (struct service_entry){
            .kind = "propose",
            .detail = json_pack("{s:I, s:s}", "proposal", (json_int_t)p->id, "text", p->text)},
        err);
}

/* "rotate auth" becomes action rotate, argument "auth 2": a proposal says exactly what will be. */
static enum b_code make_exact(struct service *sv, const char *what, const char *text,
                              struct service_proposing *k, const struct service_action **ret,
                              struct b_err *err)
{
    char all[300];
    const struct service_action *a = service_action_find(what);
    service_action_list(all, sizeof(all));
    if (a == NULL || what[strcspn(what, "\n\r")] != '\0')
        return b_err_set(err, B_E_BAD_INPUT, 0, "%s", all);
    size_t n = strlen(a->name);
    k->operands = what[n] == ' ' ? what + n + 1 : "";
    k->text = text;
    bool needs_operands = a->operands[0] != '\0' && a->operands[0] != '[';
    if ((k->operands[0] == '\0' && needs_operands) ||
        (k->operands[0] != '\0' && a->operands[0] == '\0'))
        return b_err_set(err, B_E_BAD_INPUT, 0, "%s %s", a->name, a->operands);
    if ((text[0] == '\0') != (a->text[0] == '\0'))
        return b_err_set(err, B_E_BAD_INPUT, 0, "with %s comes %s", a->name,
                         a->text[0] != '\0' ? b_err_word(a->text) : b_err_word("no text"));
    if (!b_text_is_name(what) || !b_text_is_lines(text))
        return b_err_set(err, B_E_BAD_INPUT, 0,
                         "what is proposed shows as it is written: no control characters, no marks "
                         "that turn or hide what stands beside them");
    *ret = a;
    return a->prepare(sv, k, err);
}

enum b_code service_propose(struct service *sv, const struct store_person *proposer,
                            const char *what, const char *text, struct store_proposal *ret,
                            struct b_err *err)
{
    static _Thread_local char roster[SERVICE_TEXT_MAX];
    static _Thread_local struct service_proposing exact;
    const struct service_action *action = NULL;
    memset(ret, 0, sizeof(*ret));
    memset(&exact, 0, sizeof(exact));
    exact.roster = roster;
    ret->proposer = proposer->id;
    struct proposing k = {ret, proposer, sv->establishment.finess, &exact};
    enum b_code r = service_roster_read(sv, roster, err);
    if (r == B_OK)
        r = make_exact(sv, what, text, &exact, &action, err);
    if (r != B_OK)
        return r;
    b_check(action != NULL);
    (void)snprintf(ret->action, sizeof(ret->action), "%s", action->name);
    return service_change(sv, note_proposal, &k, err);
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
    struct store_approval a = {.proposal = k->p->id, .person = k->person->id};
    char hex[129];
    memcpy(a.signature, k->signature, sizeof(a.signature));
    b_hex(hex, a.signature, sizeof(a.signature));
    enum b_code r = store_proposal_by_id(c->store, k->p->id, k->p, err);
    if (r == B_OK && k->p->state != STORE_PROPOSAL_OPEN)
        r = b_err_set(err, B_E_BADGE_STATE, 0, "the proposal is %s",
                      b_err_word(store_proposal_state_name(k->p->state)));
    if (r == B_OK)
        r = store_approval_add(c->store, &a, err);
    if (r != B_OK)
        return r;
    service_vouch_approval(c, &a);
    return service_log(
        c,
        (struct service_entry){
            .kind = "approve",
            .detail = json_pack("{s:I, s:s}", "proposal", (json_int_t)k->p->id, "signature", hex)},
        err);
}

static enum b_code note_carried(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct service_carrying *k = ctx;
    char hex[129];
    b_hex(hex, k->receipt, 64);
    const struct service_action *a = service_action_find(k->proposal->action);
    b_check(a != NULL);
    k->proposal->state = STORE_PROPOSAL_DONE;
    enum b_code r = store_proposal_put(c->store, k->proposal, err);
    if (r == B_OK)
        r = a->act(c, k, err);
    if (r != B_OK) {
        k->proposal->state = STORE_PROPOSAL_OPEN;
        return r;
    }
    service_vouch_proposal(c, k->proposal);
    return service_log(
        c,
        (struct service_entry){.kind = "carry-out",
                               .detail = json_pack("{s:I, s:s}", "proposal",
                                                   (json_int_t)k->proposal->id, "receipt", hex)},
        err);
}

void service_proposal_argument(const struct store_proposal *p, char *to, size_t cap)
{
    const char *at = strstr(p->text, "\nargument ");
    size_t n = at != NULL ? strcspn(at + 10, "\n") : 0;
    if (n >= cap)
        n = cap - 1;
    memcpy(to, at != NULL ? at + 10 : "", n);
    to[n] = '\0';
}

enum b_code service_proposal_kept(struct store *s, const struct store_proposal *p, char *text,
                                  struct b_err *err)
{
    char argument[SERVICE_ARGUMENT_MAX];
    char hex[SERVICE_DIGEST_HEX];
    const struct service_action *a = service_action_find(p->action);
    service_proposal_argument(p, argument, sizeof(argument));
    text[0] = '\0';
    return a != NULL && service_action_digest(a, argument, hex)
               ? service_text_find(s, hex, text, err)
               : B_OK;
}

/* The signatures of those who may still approve; more than a roster has do not count. */
static enum b_code gather(struct service *sv, const struct store_proposal *p, const char *roster,
                          uint8_t (*signatures)[64], size_t *ret_count, struct b_err *err)
{
    struct store_approval as[APPROVALS_MAX];
    struct store_person person;
    size_t count = 0;
    *ret_count = 0;
    enum b_code r = store_approval_list(sv->store, p->id, as, B_COUNT(as), &count, err);
    for (size_t i = 0; r == B_OK && i < count; i++) {
        r = store_person_by_id(sv->store, as[i].person, &person, err);
        if (r == B_OK && person.state == STORE_PARTY_ACTIVE && service_roster_has(roster, &person))
            memcpy(signatures[(*ret_count)++], as[i].signature, 64);
    }
    return r;
}

/* One proposal is carried out at a time, and none is rejected meanwhile: what the vault did cannot
 * be taken back. Approvals and rejections come through one server. */
static pthread_mutex_t carrying = PTHREAD_MUTEX_INITIALIZER;

/* The vault judges the signatures; what it makes or witnesses is then written down. */
static enum b_code carry_out_alone(struct service *sv, struct store_proposal *p, struct b_err *err)
{
    static _Thread_local char roster[SERVICE_TEXT_MAX];
    static _Thread_local char kept[SERVICE_TEXT_MAX];
    uint8_t signatures[APPROVALS_MAX][64];
    uint8_t receipt[64];
    char argument[SERVICE_ARGUMENT_MAX];
    size_t count = 0;
    struct vault_key key;
    struct service_carrying k = {.proposal = p,
                                 .argument = argument,
                                 .kept = kept,
                                 .key = &key,
                                 .receipt = receipt,
                                 .profile = &sv->profile};
    service_proposal_argument(p, argument, sizeof(argument));
    enum b_code r = store_proposal_by_id(sv->store, p->id, p, err);
    if (r != B_OK || p->state == STORE_PROPOSAL_DONE)
        return r; /* another last approval came first */
    if (p->state != STORE_PROPOSAL_OPEN)
        return b_err_set(err, B_E_BADGE_STATE, 0, "the proposal is %s",
                         b_err_word(store_proposal_state_name(p->state)));
    r = service_roster_read(sv, roster, err);
    if (r == B_OK)
        r = gather(sv, p, roster, signatures, &count, err);
    if (r == B_OK)
        r = service_proposal_kept(sv->store, p, kept, err);
    if (r != B_OK || count < service_roster_quorum(roster))
        return r; /* not enough yet: the next approval asks again */
    const struct vault_carry carry = {
        .roster = roster, .proposal = p->text, .approvals = b_rd_from(signatures, count * 64)};
    r = vault_carry_out(sv->vault, &carry, receipt, &key, err);
    if (r == B_OK)
        r = service_change(sv, note_carried, &k, err);
    if (r == B_OK && strcmp(p->action, "policy") == 0)
        r = service_policy_use(sv, kept, err);
    return r;
}

static enum b_code carry_out(struct service *sv, struct store_proposal *p, struct b_err *err)
{
    (void)pthread_mutex_lock(&carrying);
    enum b_code r = carry_out_alone(sv, p, err);
    (void)pthread_mutex_unlock(&carrying);
    return r;
}

static bool is_for(const struct store_proposal *p, const char *roster)
{
    char hex[SERVICE_DIGEST_HEX];
    const char *at = strstr(p->text, "\nroster ");
    service_text_digest(roster, hex);
    return at != NULL && strncmp(at + 8, hex, sizeof(hex) - 1) == 0;
}

enum b_code service_approve(struct service *sv, const struct store_person *person, int64_t id,
                            const uint8_t signature[static 64], struct store_proposal *ret,
                            struct b_err *err)
{
    static _Thread_local char roster[SERVICE_TEXT_MAX];
    struct approving k = {.p = ret, .person = person, .signature = signature};
    struct b_err twice = {.code = B_OK};
    enum b_code r = store_proposal_by_id(sv->store, id, ret, err);
    if (r != B_OK)
        return r;
    if (!crypto_es256_verify(person->key, ret->text, strlen(ret->text), signature))
        return b_err_set(err, B_E_APPROVAL_BAD, 0,
                         "it does not verify with the key of your certificate");
    if (ret->expires_at <= service_now())
        return b_err_set(err, B_E_PROPOSAL_EXPIRED, 0, "proposal %lld", (long long)id);
    r = service_roster_read(sv, roster, err);
    if (r == B_OK && !is_for(ret, roster))
        r = b_err_set(err, B_E_APPROVAL_BAD, 0,
                      "proposal %lld was made for another roster than the one in force: propose it "
                      "again",
                      (long long)id);
    if (r == B_OK && !service_roster_has(roster, person))
        r = b_err_set(err, B_E_NOT_PERMITTED, 0,
                      "%s is not in the roster of approvers: propose \"roster\" first",
                      person->name);
    if (r == B_OK)
        r = service_change(sv, note_approval, &k, err);
    if (r == B_E_DUPLICATE) { /* what the quorum wants may have failed: then it is tried again */
        twice = *err;
        r = B_OK;
    }
    if (r == B_OK)
        r = carry_out(sv, ret, err);
    if (r == B_OK && twice.code != B_OK && ret->state == STORE_PROPOSAL_OPEN) {
        *err = twice;
        r = twice.code;
    }
    return r;
}

static enum b_code note_rejection(struct service_change *c, void *ctx, struct b_err *err)
{
    struct store_proposal *p = ctx;
    enum b_code r = store_proposal_by_id(c->store, p->id, p, err);
    if (r == B_OK && p->state != STORE_PROPOSAL_OPEN)
        r = b_err_set(err, B_E_BADGE_STATE, 0, "the proposal is %s",
                      b_err_word(store_proposal_state_name(p->state)));
    p->state = STORE_PROPOSAL_REJECTED;
    if (r == B_OK)
        r = store_proposal_put(c->store, p, err);
    if (r != B_OK)
        return r;
    service_vouch_proposal(c, p);
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
    (void)pthread_mutex_lock(&carrying);
    enum b_code r = service_change(sv, note_rejection, ret, err);
    (void)pthread_mutex_unlock(&carrying);
    return r;
}

/* The receipt is in the journal already: this vault is told, and nothing is written down again. */
enum b_code service_proposal_again(struct service *sv, const struct store_proposal *p,
                                   struct b_err *err)
{
    static _Thread_local char roster[SERVICE_TEXT_MAX];
    uint8_t signatures[APPROVALS_MAX][64];
    uint8_t receipt[64];
    size_t count = 0;
    struct vault_key key;
    enum b_code r = service_roster_read(sv, roster, err);
    if (r == B_OK)
        r = gather(sv, p, roster, signatures, &count, err);
    if (r != B_OK)
        return r;
    const struct vault_carry carry = {
        .roster = roster, .proposal = p->text, .approvals = b_rd_from(signatures, count * 64)};
    return vault_carry_out(sv->vault, &carry, receipt, &key, err);
}

/* --- what was allowed --------------------------------------------------------------------------
 */

struct allowance {
    const char *action, *argument; /* argument NULL: any */
    int64_t now;
    struct store_proposal *ret;
};

static bool look(void *ctx, const struct store_proposal *p)
{
    struct allowance *k = ctx;
    char argument[SERVICE_ARGUMENT_MAX];
    service_proposal_argument(p, argument, sizeof(argument));
    if (p->state == STORE_PROPOSAL_DONE && p->expires_at > k->now &&
        strcmp(p->action, k->action) == 0 &&
        (k->argument == NULL || strcmp(argument, k->argument) == 0))
        *k->ret = *p; /* the newest */
    return true;
}

enum b_code service_allowed(struct service *sv, const char *action, const char *argument,
                            struct store_proposal *ret, struct b_err *err)
{
    struct allowance k = {action, argument, service_now(), ret};
    ret->id = 0;
    enum b_code r = service_refuse_alone(sv->store, action, err);
    if (r != B_E_QUORUM)
        return r;
    struct b_err alone = *err;
    r = store_proposal_each(sv->store, 0, look, &k, err);
    if (r == B_OK && ret->id == 0) {
        *err = alone;
        r = alone.code;
    }
    return r;
}
