/*
 * vaultd: the key process without its process: permits, sessions, answers. Bytes of one request in,
 * bytes of one answer out, so that tests and fuzzers drive it in their own process with a token of
 * their own.
 *
 *   vaultd.c   the table of permits and the handlers of msg.def
 *   session.c  card sessions: a machine each, in secret memory
 *   identity.c the vault's own keys; assertion.c and checkpoint.c sign with them
 *   signer.c   keys that sign tokens for relying parties; claims.c reads what they are to say
 *   taps.c     taps: a small record each, thousands at once
 *   stored.c   badge keys that are drawn and not derived, wrapped for the peer to keep
 *   given.c    keys of other systems, wrapped for the peer to keep
 *   ceremony.c the backup key, its shares, and masters made and restored under it
 *   anchor.c   what the token remembers: digests, and which proposals have acted
 *   cache.c    keys of badges that tapped before, where that is configured
 *   keyring.c  the token for real: custody, opened at the first need, and where its PIN comes from;
 *              runs in tessere-token (vault/token.h)
 *   harden.c   what the process gives up before it hears its peer
 *   confine.c  what it gives up once it is configured
 */
#ifndef TESSERE_VAULT_VAULTD_H
#define TESSERE_VAULT_VAULTD_H

#include <pthread.h>

#include "custody/custody.h"
#include "desfire/prove.h"
#include "vault/cache.h"
#include "vault/event.h"

enum { VAULTD_SESSIONS_MAX = 64, VAULTD_TAPS_MAX = 4096, VAULTD_PATH_MAX = VAULT_STRING_MAX };

/* What configure says. */
struct vaultd_config {
    char token_uri[VAULT_STRING_MAX];
    char establishment[CUSTODY_ESTABLISHMENT_MAX + 1];
    char pin_file[VAULTD_PATH_MAX];
    bool has_pin_fd;
    bool may_use_last_try;
    bool is_strict; /* end where the process cannot be confined as it must */
    uint8_t workers;
    struct key_stay in_token; /* whose badge keys stay in the token */
    struct key_stay stored;   /* whose badge keys are drawn, and kept by the peer */
    uint32_t auth_cache;      /* how many keys of role auth are kept; 0: none */
    bool signs_journal;
};

/* How far the process is confined. */
struct vaultd_confinement {
    bool is_module_apart; /* the token's module runs in another process */
    bool has_seccomp;
    uint8_t landlock; /* the version of its interface, or 0 */
};

/* An authentication by a badge key that stays in the token: which key, and what is kept between the
 * two halves (desfire/prove.h). */
struct vaultd_inside {
    struct custody_which which;
    enum df_auth how;
    struct df_prove *prove; /* secret memory */
};

/* What is brought, and whether the token keeps it. */
struct vaultd_bring {
    const uint8_t *wrapped, *kcv; /* CUSTODY_WRAPPED and 3 bytes */
    bool keeps;
};

/* The master keys, behind an interface. Each opens the token when that is still to be done. */
struct vaultd_keyring {
    void *ctx;
    enum b_code (*token)(void *ctx, const struct vaultd_config *config, struct custody_token *ret,
                         struct b_err *err);
    enum b_code (*generate)(void *ctx, const struct vaultd_config *config, enum key_role role,
                            uint8_t generation, struct custody_key *ret, struct b_err *err);
    enum b_code (*list)(void *ctx, const struct vaultd_config *config, struct custody_key *keys,
                        size_t cap, size_t *ret_count, struct b_err *err);
    /* out: 16 bytes of secret memory. */
    enum b_code (*derive)(void *ctx, const struct vaultd_config *config,
                          const struct custody_key *which, struct b_rd input, uint8_t *out,
                          struct b_err *err);
    /* The reader's halves of an authentication, for roles that are set in-token. The random number
     * is made beside the token. B_E_CARD_AUTH when the card's answer does not prove the key. */
    enum b_code (*prove)(void *ctx, const struct vaultd_config *config,
                         const struct vaultd_inside *inside, const uint8_t *challenge,
                         uint8_t *frame, struct b_err *err);
    enum b_code (*check)(void *ctx, const struct vaultd_config *config,
                         const struct vaultd_inside *inside, struct b_rd answer, struct b_err *err);
    /* out: room for CUSTODY_ANCHOR_MAX bytes. */
    enum b_code (*anchor_get)(void *ctx, const struct vaultd_config *config, const char *name,
                              struct b_wr *out, struct b_err *err);
    enum b_code (*anchor_put)(void *ctx, const struct vaultd_config *config, const char *name,
                              struct b_rd bytes, struct b_err *err);
    enum b_code (*create)(void *ctx, const char *dir, const char *label, char *ret_uri, size_t cap,
                          struct b_err *err);
    /* Masters with a backup, as custody_make, custody_bring and custody_rewrap. */
    enum b_code (*make)(void *ctx, const struct vaultd_config *config,
                        const struct custody_backup *b, struct custody_made *ret,
                        struct b_err *err);
    enum b_code (*bring)(void *ctx, const struct vaultd_config *config,
                         const struct custody_backup *b, const struct vaultd_bring *bring,
                         struct custody_key *ret, struct b_err *err);
    enum b_code (*rewrap)(void *ctx, const struct vaultd_config *config,
                          const struct custody_backup *b, const uint8_t *to, uint8_t *wrapped,
                          struct b_err *err);
};

struct vaultd_session {
    uint32_t id; /* 0: free */
    bool is_busy;
    struct vaultd *worker;    /* in it, while it is busy */
    struct vaultd_hand *hand; /* the stored keys that it was handed */
    struct profile_job *job;
    struct profile_run *run; /* both in secret memory */
};

/* A state of the journal; size 0: none. */
struct vaultd_tree {
    uint64_t size;
    uint8_t root[32];
};

/* A proposal that acts once. */
struct vaultd_once {
    uint8_t digest[32];
    uint32_t expires; /* seconds since 1970 */
};

/* What all workers of a vault share. */
struct vaultd_shared {
    pthread_mutex_t lock;
    struct vaultd_config config;
    bool is_given; /* token, establishment and PIN are: configure may not name them */
    struct vaultd_confinement confinement;
    enum vault_phase phase;
    uint64_t seen; /* one bit per message id that may come once and came */
    uint32_t next_session;
    struct vaultd_session sessions[VAULTD_SESSIONS_MAX];
    struct vaultd_taps *taps;   /* secret memory; NULL until the first tap */
    struct vaultd_cache *cache; /* NULL: off */
    uint64_t wrong_pins_us;     /* vaultd_wrong_pin */
    pthread_mutex_t identity_lock;
    struct vaultd_identity *identity; /* secret memory; NULL until the first need */
    pthread_mutex_t ceremony_lock;
    struct vaultd_ceremony *ceremony; /* secret memory; NULL: none is under way */
    struct vaultd_permit {
        char text[64]; /* which ceremony a quorum approved, until it begins; "": none */
        struct vaultd_once once;
    } permit;
    struct vaultd_signed {
        struct vaultd_tree last;   /* that was signed, or anchored by a vault before this one */
        struct vaultd_tree anchor; /* in the token, as it was read last */
        uint64_t anchored_us;      /* when this vault put it there */
        bool is_recalled, has_anchored, has_no_anchors;
        bool is_others; /* the anchor: another vault put it there since */
    } last_signed;
};

/* One worker: a thread with a lane of its own to the peer and a session of its own with the token.
 */
struct vaultd {
    struct vaultd_shared own;
    struct vaultd_shared *shared; /* &own in the first worker */
    struct vaultd_keyring keyring;
    struct df_random random;
    uint64_t (*now_us)(void);
    uint64_t started_us; /* of the request under way */
};

void vaultd_init(struct vaultd *d, struct vaultd_keyring keyring, struct df_random random,
                 uint64_t (*now_us)(void));
/* Before configure, for a vault that a service started (vault/starter.h): whose token, and where
 * its PIN is (empty: the credential). Configure may then name neither, and no token is made. */
void vaultd_give(struct vaultd *d, const char *token_uri, const char *establishment,
                 const char *pin_file);
/* Makes *d a further worker of the vault of which `first` was initialised. */
void vaultd_join(struct vaultd *d, struct vaultd *first, struct vaultd_keyring keyring);
/* Wipes all sessions, once no other worker runs. */
void vaultd_drop(struct vaultd *d);
/* Answers one request. False: the peer broke the protocol, and the process must end. */
B_NODISCARD bool vaultd_handle(struct vaultd *d, struct b_rd request, struct b_wr *answer);
static inline const struct vaultd_config *vaultd_config(const struct vaultd *d)
{
    return &d->shared->config;
}

void vaultd_put_key(const struct custody_key *key, struct b_wr *w);

/* anchor.c. What the token remembers under a name: at most CUSTODY_ANCHOR_MAX bytes, so much room
 * in out. *ret_is_there false: nothing, or it keeps nothing. */
B_NODISCARD enum b_code vaultd_anchor_get(struct vaultd *d, const char *name, struct b_wr *out,
                                          bool *ret_is_there, struct b_err *err);
B_NODISCARD enum b_code vaultd_anchor_put(struct vaultd *d, const char *name, struct b_rd bytes,
                                          struct b_err *err);
struct vaultd_once vaultd_once_of(struct b_rd proposal, int64_t expires);
/* Before a proposal acts: the token remembers it until it expires. B_E_PROPOSAL_DONE when it does
 * already. */
B_NODISCARD enum b_code vaultd_act_once(struct vaultd *d, const struct vaultd_once *once,
                                        int64_t now, struct b_err *err);

/* session.c. The answer's fields of session_open and session_step. */
enum b_code vaultd_session_open(struct vaultd *d, struct b_rd job, struct b_rd given,
                                struct wire_out *answer, struct b_err *err);
enum b_code vaultd_session_step(struct vaultd *d, uint32_t id, struct b_rd rapdu,
                                struct wire_out *answer, struct b_err *err);
void vaultd_session_close(struct vaultd *d, uint32_t id);

/* taps.c. A tap is named by its place and a count, so that a late message meets no other's. */
struct vaultd_tap_facts {
    enum df_auth how;
    uint8_t generation;
    const struct crypto_div_profile *diversification;
    struct crypto_div_facts facts;
    struct b_rd challenge;
    struct b_rd stored;          /* the wrapped key, where the generation is stored */
    bool is_guess;               /* the card has not told the generation */
    char place[VAULT_TAP_PLACE]; /* how the tap's name begins */
    bool is_misread;             /* a field of the message did not fit */
};
enum b_code vaultd_tap_open(struct vaultd *d, const struct vaultd_tap_facts *facts,
                            struct wire_out *answer, struct b_err *err);
/* The check value of the key that such a tap would be by. challenge and place are not used. */
enum b_code vaultd_tap_check(struct vaultd *d, const struct vaultd_tap_facts *facts,
                             struct wire_out *answer, struct b_err *err);
/* claims: NULL, or what to assert. keeps: the tap goes on with its PIN. */
struct vaultd_proof {
    struct b_rd bytes;
    bool keeps;
    const struct vault_claims *claims;
};
enum b_code vaultd_tap_prove(struct vaultd *d, uint32_t id, const struct vaultd_proof *proof,
                             struct wire_out *answer, struct b_err *err);
/* What was sealed for this vault: for a tap of its own, to be compared with a record, or for a
 * holder, to become one. */
struct vaultd_pin {
    struct b_rd box, record;
    const char *ref;  /* of one to be set */
    uint8_t min, max; /* digits of a new one, by the peer's policy */
};
enum b_code vaultd_pin_set(struct vaultd *d, const struct vaultd_pin *pin, struct wire_out *answer,
                           struct b_err *err);
/* A wrong PIN leaves the tap as it is, four times. How many a holder may type is the peer's policy;
 * how many are heard at all, the vault's own. */
enum b_code vaultd_tap_pin(struct vaultd *d, uint32_t id, const struct vaultd_pin *pin,
                           const struct vault_claims *claims, struct wire_out *answer,
                           struct b_err *err);
void vaultd_tap_close(struct vaultd *d, uint32_t id);
void vaultd_taps_drop(struct vaultd *d);

/* keyring.c. One keyring for each worker. */
struct vaultd_keyring vaultd_keyring_token(void);
void vaultd_keyring_close(struct vaultd_keyring *k);

/* harden.c. Before the first secret: no core, no ptrace, few descriptors, no new privileges. */
B_NODISCARD enum b_code vaultd_harden(struct b_err *err);
/* The secret arena: as many sessions as the limit on locked memory allows. */
B_NODISCARD enum b_code vaultd_lock_memory(struct b_err *err);
/* confine.c. After configure. First no file, and no more of the network; then, once all threads
 * run, no call but those of seccomp.def. Where the kernel cannot, and it is not strict, that is
 * noted. */
B_NODISCARD enum b_code vaultd_confine_files(struct vaultd_confinement *c, bool is_strict,
                                             struct b_err *err);
B_NODISCARD enum b_code vaultd_confine_calls(struct vaultd_confinement *c, bool is_strict,
                                             struct b_err *err);
/* confine.c. For tessere-token, before its module is loaded: without the calls of
 * seccomp_module.def. Where the kernel has no seccomp, nothing. */
B_NODISCARD enum b_code vaultd_confine_module(struct b_err *err);
/* Overwrites what calls that have returned left on the stack. */
void vaultd_scrub_stack(void);

#endif
