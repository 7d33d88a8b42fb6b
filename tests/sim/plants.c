/*
 * Faults planted in the product, one at a time, by the linker: the simulator must find each of them
 * or it proves nothing. A build of its own; no planted fault is in any other program.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "profile/run_int.h"
#include "service/relay.h"
#include "sim.h"

enum plant {
    NONE,
    FORGETS_GENERATION, /* of role auth, in the badge's row */
    FORGETS_EFFECT,     /* of a step on the card, now and then */
    SHARES_KEYS,        /* the UID does not go into the key */
    GRANTS_ALL,         /* whatever the policy says */
    LOSES_HASH,         /* of the journal's tree, now and then */
    LOSES_ENTRY,        /* of the journal, now and then */
    SEES_ACTIVE,        /* any badge that is read by its number */
    ROTATES_NOWHERE,    /* a new generation is never in use */
    PLANS_BACKWARDS,    /* the last step first */
    CHANGES_BY_KEY_0,   /* whatever the application's settings say */
    WRITES_STALE_STATE, /* a suspension is not written */
    FORGETS_KEY,        /* that was drawn, now and then */
    FORGETS_LIST,       /* once a takeover has begun, that its badge still has a key of others */
    TAKES_VERSION,      /* of a key of others for the generation of one of ours */
    LETS_COPIES,        /* go on with a takeover that was torn */
    PLANTS,
};
static const char *const names[PLANTS] = {
    [FORGETS_GENERATION] = "a badge's generation is not written",
    [FORGETS_EFFECT] = "a step's effect is not written now and then",
    [SHARES_KEYS] = "two badges get one key",
    [GRANTS_ALL] = "the policy grants everything",
    [LOSES_HASH] = "a hash of the journal is lost now and then",
    [LOSES_ENTRY] = "an entry of the journal is lost now and then",
    [SEES_ACTIVE] = "a badge that is read by its number looks active",
    [ROTATES_NOWHERE] = "a rotation's key is never in use",
    [PLANS_BACKWARDS] = "a plan is carried out backwards",
    [CHANGES_BY_KEY_0] = "keys are changed by key 0, whatever the settings say",
    [WRITES_STALE_STATE] = "a suspension is acknowledged and not written",
    [FORGETS_KEY] = "a key that was drawn is not kept now and then",
    [FORGETS_LIST] = "a torn takeover forgets that the badge still has a key of others",
    [TAKES_VERSION] = "a key of others counts as ours by its version",
    [LETS_COPIES] = "a copy of a badge goes on with its takeover",
};
static enum plant planted;

#define REAL(type, name, ...)        \
    type __real_##name(__VA_ARGS__); \
    type __wrap_##name(__VA_ARGS__); \
    type __wrap_##name(__VA_ARGS__)

REAL(enum b_code, store_badge_put, struct store *s, struct store_badge *b, struct b_err *err)
{
    if (planted == FORGETS_GENERATION)
        b->generation[KEY_ROLE_AUTH] = 1;
    if (planted == WRITES_STALE_STATE && b->state == STORE_BADGE_SUSPENDED)
        b->state = STORE_BADGE_ACTIVE;
    return __real_store_badge_put(s, b, err);
}

REAL(enum b_code, store_intent_effective, struct store *s, int64_t id, struct b_err *err)
{
    bool is_lost = planted == FORGETS_EFFECT && sim_draw(3) == 0;
    return is_lost ? B_OK : __real_store_intent_effective(s, id, err);
}

/* With the journal told nothing, so that the key alone is missed. */
REAL(void, service_vouch_stored, struct service_change *c, const struct store_stored *k)
{
    if (k->id != 0)
        __real_service_vouch_stored(c, k);
}

REAL(enum b_code, store_stored_add, struct store *s, struct store_stored *k, struct b_err *err)
{
    bool is_lost = planted == FORGETS_KEY && sim_draw(20) == 0;
    return is_lost ? B_OK : __real_store_stored_add(s, k, err);
}

REAL(enum b_code, crypto_div_input, const struct crypto_div_profile *p,
     const struct crypto_div_facts *facts, struct b_wr *out, struct b_err *err)
{
    struct crypto_div_facts f = *facts;
    if (planted == SHARES_KEYS) {
        memset(f.uid, 4, sizeof(f.uid));
        memset(f.serial, '1', sizeof(f.serial));
    }
    return __real_crypto_div_input(p, &f, out, err);
}

REAL(void, policy_decide, const struct policy *p, const struct policy_facts *f,
     struct policy_decision *ret)
{
    __real_policy_decide(p, f, ret);
    if (planted == GRANTS_ALL)
        *ret = (struct policy_decision){.verdict = POLICY_GRANT};
}

REAL(enum b_code, store_hash_add, struct store *s, uint64_t id, const uint8_t hash[static 32],
     struct b_err *err)
{
    uint8_t other[32] = {0};
    bool is_lost = planted == LOSES_HASH && sim_draw(500) == 0;
    return __real_store_hash_add(s, id, is_lost ? other : hash, err);
}

REAL(enum b_code, service_log, struct service_change *c, struct service_entry e, struct b_err *err)
{
    if (planted != LOSES_ENTRY || sim_draw(200) != 0)
        return __real_service_log(c, e, err);
    json_decref(e.detail);
    json_decref(e.personal);
    c->vouched_count = 0;
    return B_OK;
}

REAL(enum b_code, store_badge_by_id, struct store *s, int64_t id, struct store_badge *ret,
     struct b_err *err)
{
    enum b_code r = __real_store_badge_by_id(s, id, ret, err);
    if (planted == SEES_ACTIVE && r == B_OK && ret->state == STORE_BADGE_REVOKED)
        ret->state = STORE_BADGE_ACTIVE;
    return r;
}

REAL(enum b_code, store_generation_put, struct store *s, const struct store_generation *g,
     struct b_err *err)
{
    struct store_generation other = *g;
    if (planted == ROTATES_NOWHERE && g->generation > 1 && g->state == STORE_GENERATION_ACTIVE)
        other.state = STORE_GENERATION_PENDING;
    return __real_store_generation_put(s, &other, err);
}

REAL(void, plan_make, struct profile_run *run)
{
    __real_plan_make(run);
    struct profile_plan *p = &run->plan;
    for (uint8_t i = 0; planted == PLANS_BACKWARDS && i < p->step_count / 2; i++) {
        struct profile_step step = p->steps[i];
        p->steps[i] = p->steps[p->step_count - 1 - i];
        p->steps[p->step_count - 1 - i] = step;
    }
}

REAL(uint8_t, run_changing_key, const struct profile_run *run, uint8_t no)
{
    return planted == CHANGES_BY_KEY_0 ? 0 : __real_run_changing_key(run, no);
}

REAL(enum b_code, store_foreign_by_uid, struct store *s, const uint8_t uid[static 7],
     struct store_foreign *ret, struct b_err *err)
{
    struct store_badge b;
    struct b_err ignored;
    bool is_begun = planted == FORGETS_LIST && store_badge_by_uid(s, uid, &b, &ignored) == B_OK &&
                    b.state == STORE_BADGE_ENROLLING;
    return is_begun ? B_E_NOT_FOUND : __real_store_foreign_by_uid(s, uid, ret, err);
}

REAL(enum profile_want, run_find_key, struct profile_run *run, df_aid aid, uint8_t no,
     struct profile_slot *slot, uint8_t *ret_given)
{
    enum profile_want want = __real_run_find_key(run, aid, no, slot, ret_given);
    if (planted == TAKES_VERSION && want == PROFILE_DONE && slot->kind == PROFILE_KEY_GIVEN &&
        run_knows(run, run_role(run, aid, no), slot->version)) {
        slot->kind = PROFILE_KEY_DIVERSIFIED;
        slot->generation = slot->version;
    }
    return want;
}

REAL(enum b_code, service_confirmed_key, const struct service *sv, const uint8_t uid[static 7],
     uint32_t aid, uint8_t no, uint8_t *ret, struct b_err *err)
{
    enum b_code r = __real_service_confirmed_key(sv, uid, aid, no, ret, err);
    if (planted == LETS_COPIES && r == B_OK)
        *ret = KEY_GENERATION_FACTORY;
    return r;
}

/* In a process of its own: what a planted fault breaks stays there. */
static bool is_found(enum plant plant, unsigned long operations)
{
    int status = 0;
    (void)fflush(stdout);
    pid_t child = fork();
    b_check(child >= 0);
    if (child == 0) {
        planted = plant;
        (void)alarm(120);                         /* ends by it: not found */
        (void)dup2(STDERR_FILENO, STDOUT_FILENO); /* its own lines are not the test's */
        _exit(sim_draw_runs(operations, 1) == EXIT_SUCCESS ? 0 : 3);
    }
    b_check(waitpid(child, &status, 0) == child);
    /* A check of the product's own that ends the process finds it too. */
    return WIFEXITED(status) ? WEXITSTATUS(status) == 3 : WTERMSIG(status) != SIGALRM;
}

int main(int argc, char **argv)
{
    unsigned long operations = argc > 1 ? strtoul(argv[1], NULL, 10) : 20000;
    bool is_good = true;
    (void)printf("1..%d\n", PLANTS);
    for (enum plant p = NONE; p < PLANTS; p++) {
        bool is_right = is_found(p, p == NONE ? operations / 10 : operations) == (p != NONE);
        (void)printf("%sok %d - %s%s\n", is_right ? "" : "not ", (int)p + 1,
                     p == NONE ? "without a planted fault nothing is found" : "found: ",
                     p == NONE ? "" : names[p]);
        is_good &= is_right;
    }
    return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}
