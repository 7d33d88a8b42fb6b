/*
 * service: the rules that join vault, store and channel: enrol, tap, suspend, revoke, rotate.
 *
 *   change.h   the one writer: a change and the journal entry that tells it, in one transaction
 *
 * A struct service is one establishment, opened. Operations take an open channel and report their
 * progress through callbacks, so that the command line now and the server later share them. It
 * relays APDUs between channel and vault and must never see a key, but one that is wrapped.
 */
#ifndef TESSERE_SERVICE_SERVICE_H
#define TESSERE_SERVICE_SERVICE_H

#include "channel/channel.h"
#include "policy/policy.h"
#include "profile/profile.h"
#include "service/change.h"
#include "store/store.h"
#include "vault/vault.h"

struct service_bells;
struct service_policies;
struct service_signon_rules;

enum {
    /* who may approve what others propose */
    SERVICE_APPROVERS = STORE_ROLE_ADMINISTRATOR | STORE_ROLE_CUSTODIAN,
    /* room for a policy, a roster or a certificate, with its NUL */
    SERVICE_TEXT_MAX = 16384,
};

/* What becomes of who leaves, as the hospital's directory says it; zero is the default. */
enum service_leaver { SERVICE_LEAVER_SUSPEND, SERVICE_LEAVER_REVOKE };
struct service_directory_rules {
    enum service_leaver leaver;
    int64_t grace_s; /* with revoke: suspended so long before */
    /* More leavers than so many in a hundred, and than `least`, within ten minutes wait. 0, 0: 5 in
     * a hundred, and 10 */
    unsigned guard_percent, guard_least;
    bool holds_all; /* every leaver waits: a list has too many of them */
};

/* An establishment as one caller sees it: cheap to copy, for another thread or another caller. */
struct service {
    struct store *store; /* to read, by this thread alone; every change goes through the writer */
    struct service_writer *writer;
    struct vault *vault;
    /* For work on cards, where badge keys of some roles stay in the token of `vault`: who encodes
     * must put the key on the card. NULL: `vault` does it. */
    struct vault *desk_vault;
    struct service_asker asker; /* who is told in the journal */
    struct store_establishment establishment;
    struct service_policies *policies; /* of taps at stations; NULL: the default (policy.h) */
    const struct service_signon_rules *signon; /* NULL: the default (signon.h) */
    struct service_bells *bells;               /* of those who wait for taps; NULL: nobody does */
    bool stock_needs_two;                      /* what gains or loses cards is approved by others */
    struct service_directory_rules directory;
    struct profile profile; /* the establishment's badge profile, system identifier filled in */
};

/* Asked or told while a card is worked on; each may be NULL. */
struct service_watch {
    bool (*approve)(void *ctx, const struct profile_state *state, const struct profile_plan *plan);
    void (*progress)(void *ctx, const struct profile_plan *plan, size_t step, bool is_done);
    void *ctx;
};

struct service_legs { /* microseconds of a tap, leg by leg */
    uint32_t card_us[4];
    uint32_t vault_us[4];
    uint8_t count;
    uint32_t decide_us; /* store: badge, policy, durable event */
    uint32_t total_us;
};

struct service_holder {
    const char *ref;
    const char *name;
    int64_t not_before, not_after; /* of the badge; 0: without limit */
    bool is_temporary;
    int64_t batch_id; /* that the card is of; 0: not said */
};

/* Runs fn in the writer's transaction, in this caller's name. */
static inline enum b_code service_change(struct service *sv, service_change_fn *fn, void *ctx,
                                         struct b_err *err)
{
    return service_writer_run(sv->writer, sv->asker, fn, ctx, err);
}

/* Keys of others to try, and how others encoded badges; borrowed, each may be NULL. */
struct service_others {
    const struct df_key *given;
    size_t given_count; /* at most PROFILE_GIVEN_KEYS_MAX count */
    const struct profile_fleet *fleet;
};

/* Inspects and judges; ret_badge->id is 0 when the badge is not known. */
B_NODISCARD enum b_code service_scan(struct service *sv, struct channel *ch,
                                     const struct service_others *others,
                                     struct profile_state *ret_state, struct profile_plan *ret_plan,
                                     struct store_badge *ret_badge, struct b_err *err);
/* B_E_BAD_INPUT when reference or name do not show as they are written, or the last day is past. */
B_NODISCARD enum b_code service_check_holder(const struct service_holder *h, struct b_err *err);
/* Encodes the badge for its holder. B_E_CANCELLED when watch->approve says no. */
B_NODISCARD enum b_code service_enrol(struct service *sv, struct channel *ch,
                                      struct service_holder holder,
                                      const struct service_watch *watch,
                                      struct store_badge *ret_badge, struct b_err *err);
/* Makes a badge that others encoded one of ours: a list of service_fleet_import names its holder,
 * and a key of theirs proves that it is one of their badges. */
B_NODISCARD enum b_code service_takeover(struct service *sv, struct channel *ch,
                                         const struct service_others *others,
                                         const struct service_watch *watch,
                                         struct store_badge *ret_badge, struct b_err *err);
/* Brings a known badge to what the profile and the active generations say. */
B_NODISCARD enum b_code service_repair(struct service *sv, struct channel *ch,
                                       const struct service_watch *watch,
                                       struct store_badge *ret_badge, struct b_err *err);
B_NODISCARD enum b_code service_blank(struct service *sv, struct channel *ch,
                                      const struct service_watch *watch,
                                      struct store_badge *ret_badge, struct b_err *err);
/* Authenticates; the outcome, good or bad, is durable before it returns. On a refusal the badge
 * is still filled in when it is known. */
B_NODISCARD enum b_code service_tap(struct service *sv, struct channel *ch,
                                    struct store_badge *ret_badge, struct profile_tap *ret_tap,
                                    struct service_legs *ret_legs, struct b_err *err);
B_NODISCARD enum b_code service_suspend(struct service *sv, int64_t badge_id, const char *reason,
                                        struct b_err *err);
B_NODISCARD enum b_code service_reinstate(struct service *sv, int64_t badge_id, struct b_err *err);
B_NODISCARD enum b_code service_revoke(struct service *sv, int64_t badge_id, const char *reason,
                                       struct b_err *err);
/* First and last moment of a badge, 0: without limit; temporary ones expire alone. */
B_NODISCARD enum b_code service_validity(struct service *sv, int64_t badge_id, int64_t not_before,
                                         int64_t not_after, bool is_temporary, struct b_err *err);
/* The first second of a day of this machine's time (YYYY-MM-DD), so many days later. */
B_NODISCARD bool service_day_at(const char *text, int later, int64_t *ret);
/* Suspends, reinstates or ends a person with all badges. */
B_NODISCARD enum b_code service_holder_state(struct service *sv, const char *ref,
                                             enum store_party_state to, const char *kind,
                                             struct store_holder *ret, struct b_err *err);
/* Writes a new master key down as its role's active generation; in a change. */
B_NODISCARD enum b_code service_note_key(struct service_change *c, const struct vault_key *key,
                                         struct store_generation *ret, struct b_err *err);
/* The same where it takes the place of the active one, which becomes retiring. */
B_NODISCARD enum b_code service_note_rotation(struct service_change *c, const struct vault_key *key,
                                              struct store_generation *ret, struct b_err *err);
/* The number of a role's next generation. B_E_KEY_EXISTS when none is left, B_E_GENERATION_NEEDED
 * when so many are in use that badges of the oldest would not be known any more. */
B_NODISCARD enum b_code service_next_generation(struct store *s, enum key_role role, uint8_t *ret,
                                                struct b_err *err);
enum { SERVICE_ARGUMENT_MAX = 256 }; /* of a proposal */
/* Ends a former generation where no roster decides. The first says what will be, exactly, of "auth
 * 1": ret is a proposal's argument, with the badges that are written off if writes_off; the second
 * does that, and nothing when they are others by then. B_E_QUORUM: it is to be proposed;
 * B_E_GENERATION_NEEDED. */
B_NODISCARD enum b_code service_prepare_retiring(struct service *sv, const char *which,
                                                 bool writes_off,
                                                 char ret[static SERVICE_ARGUMENT_MAX],
                                                 uint64_t *ret_count, struct b_err *err);
B_NODISCARD enum b_code service_retire(struct service *sv, const char *argument, struct b_err *err);
/* A new active generation of a role; the former becomes retiring. */
B_NODISCARD enum b_code service_rotate(struct service *sv, enum key_role role,
                                       struct store_generation *ret, struct b_err *err);

#endif
