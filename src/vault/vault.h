/*
 * vault: the only process that opens the token or ever has a badge key in memory.
 *
 *   vault.h    the client's side: spawn tessere-vault, talk to it (linked into tessere)
 *   msg.def    the messages: id, name, arguments, answer, phase in which it is allowed
 *   vaultd.h   the process: permits, sessions, confinement
 *
 * The protocol has no message that returns a key: bytes from the card in, bytes for the card out,
 * and a verdict. The vault trusts its peer to relay, and nothing more.
 */
#ifndef TESSERE_VAULT_VAULT_H
#define TESSERE_VAULT_VAULT_H

#include "base/base.h"
#include "profile/profile.h"
#include "profile/run.h"

struct vault;

struct vault_config {
    const char *program; /* path of tessere-vault; NULL: beside this program, then libexec */
    /* The socket of a service that starts vaults (vault/starter.h) and has token and PIN, so that
     * neither is named here; NULL: the vault is our child. */
    const char *service;
    const char *token_uri;
    const char *softhsm_conf; /* SOFTHSM2_CONF for the embedded token, or NULL */
    const char *establishment;
    const char *pin_file; /* the vault reads it itself; or NULL: credential token-pin */
    int pin_fd;           /* a descriptor to read the PIN from (a prompt's pipe), or -1 */
    bool may_use_last_try;
    bool is_strict;   /* B_E_UNCONFINED where the kernel lacks seccomp or Landlock */
    unsigned workers; /* 0: one; more let as many threads talk to the vault at once */
    /* Whose badge keys stay in the token: taps are computed there, and whatever would bring a key
     * out is answered B_E_KEY_STAYS. Masters of these generations are made for it. */
    struct key_stay in_token;
    struct key_stay stored; /* whose badge keys are drawn, and kept wrapped in the store */
    /* How many keys of role auth that badges have proved are kept in locked memory, so that these
     * badges tap on while the token is away; 0: none. At most 100,000. */
    uint32_t auth_cache;
    bool signs_journal; /* one vault of an establishment does, and not the desk's beside it */
};

/* Spawns the process on socketpairs, or has a service do so, and configures it; the token is opened
 * at the first need. Calls may come from any thread: each takes a free worker, or waits for one. */
B_NODISCARD enum b_code vault_spawn(const struct vault_config *config, struct vault **ret,
                                    struct b_err *err);
void vault_free(struct vault **v);
int vault_pid(const struct vault *v); /* -1: a service's child */
/* The process has ended: every call fails with B_E_VAULT_GONE until it is started again. */
bool vault_is_gone(const struct vault *v);
/* Notices that it has ended, before a call does. */
void vault_look(struct vault *v);
/* Starts it again as it was started (not with a PIN from a pipe). Sessions and taps are lost. */
B_NODISCARD enum b_code vault_restart(struct vault *v, struct b_err *err);

/* Its tessere-token has ended, and it lives on for the badges that it remembers. */
bool vault_has_lost_token(const struct vault *v);
/* Starts another beside it, and lets that one take its place once its token answers. Sessions and
 * taps are lost then. Until then, and on failure, all is as it was. */
B_NODISCARD enum b_code vault_renew(struct vault *v, struct b_err *err);

struct vault_key {
    enum key_role role;
    uint8_t generation;
    char kcv_method[16];
    uint8_t kcv[3];
    bool is_safe;
    bool derives_inside; /* its badge keys can be used without leaving the token */
};
/* A token that keeps no AES key: masters are opened from it, into tessere-token, for each use. */
#define VAULT_METHOD_WRAPPED "CKM_RSA_PKCS_OAEP"
struct vault_token {
    char label[33];
    char manufacturer[33];
    char model[17];
    char serial[17];
    char method[24];       /* "CKM_AES_CMAC"; VAULT_METHOD_WRAPPED */
    bool is_memory_locked; /* the vault's secret memory */
    bool is_module_apart;  /* the PKCS#11 module runs in tessere-token */
    bool has_seccomp;      /* the vault can make only the system calls that it needs */
    uint8_t landlock;      /* it can open no file: the version of Landlock, 0 without */
};
B_NODISCARD enum b_code vault_token(struct vault *v, struct vault_token *ret, struct b_err *err);
B_NODISCARD enum b_code vault_key_generate(struct vault *v, enum key_role role, uint8_t generation,
                                           struct vault_key *ret, struct b_err *err);
B_NODISCARD enum b_code vault_key_list(struct vault *v, struct vault_key *keys, size_t cap,
                                       size_t *ret_count, struct b_err *err);
/* Makes the embedded SoftHSM2 token in dir; writes its URI. The vault makes PINs itself and keeps
 * them in files of mode 0600 under dir. */
B_NODISCARD enum b_code vault_softhsm_create(struct vault *v, const char *dir, const char *label,
                                             char *ret_uri, size_t cap, struct b_err *err);

/* A badge key of a role that is stored: random, and wrapped for this badge, role and generation
 * (src/vault/stored.h). It is the peer's to keep. */
enum { VAULT_STORED_KEY = 24, VAULT_STORED_BADGE = 1 + CRYPTO_SERIAL_MAX };
struct vault_stored {
    enum key_role role;
    uint8_t generation;
    uint8_t badge[VAULT_STORED_BADGE]; /* 'u' and the UID, or 's' and the serial */
    uint8_t badge_len;
    bool is_new; /* wrapped is to be durable before the session goes on; else it is asked for */
    uint8_t wrapped[VAULT_STORED_KEY];
};

/* A key of another system, which custodians gave in a ceremony: it opens badges that others
 * encoded. Wrapped (src/vault/given.h), it is the peer's to keep. */
enum { VAULT_GIVEN = 57, VAULT_GIVEN_NAME = 25 };
struct vault_given {
    enum df_key_type type; /* DES: 2K3DES with equal halves */
    char kcv_method[16];   /* "CMAC-0", or "ECB-0" of DES */
    uint8_t kcv[3];
    uint8_t wrapped[VAULT_GIVEN];
};

/* What the vault says in answer to each step of a card session. */
struct vault_event {
    /* TX, INSPECTED, PLANNED, INTENT, EFFECT, AWAIT, DONE; failure is an error */
    enum profile_want want;
    uint8_t apdu[DF_CAPDU_MAX];
    size_t apdu_len;            /* TX */
    struct profile_state state; /* INSPECTED */
    struct profile_plan plan;   /* PLANNED */
    size_t step;                /* INTENT, EFFECT: index into the plan */
    struct profile_tap tap;     /* DONE of a tap */
    struct vault_stored stored; /* AWAIT: a stored key is asked for, or to be kept */
    uint32_t vault_us;          /* time spent in the vault for this step, token included */
};

/* Opens a session for a job and gives its first event. Sessions are numbered by the vault. given:
 * wrapped keys of other systems, one after the other, that a scan or a takeover tries besides those
 * of the job. */
B_NODISCARD enum b_code vault_session_open(struct vault *v, const struct profile_job *job,
                                           struct b_rd given, uint32_t *ret_session,
                                           struct vault_event *event, struct b_err *err);
/* rapdu: the card's answer after TX; the wrapped key after AWAIT that asks for one, where there is
 * one; empty otherwise. On failure the session is closed. */
B_NODISCARD enum b_code vault_session_step(struct vault *v, uint32_t session, struct b_rd rapdu,
                                           struct vault_event *event, struct b_err *err);
void vault_session_close(struct vault *v, uint32_t session);

/* --- taps that a station began (src/vault/taps.c) ----------------------------------------------
 */

enum { VAULT_TAP_PLACE = 5, VAULT_TAP_NAME = VAULT_TAP_PLACE + 28 };
struct vault_tap {
    char place[VAULT_TAP_PLACE]; /* how its name begins: at most 4 signs, of the caller's choice */
    enum df_auth how;            /* DF_AUTH_EV2_FIRST or DF_AUTH_AES */
    uint8_t generation;
    bool is_guess; /* the card has not told it: it does, when it is asked by a key it has not */
    const struct profile *profile; /* application, key and diversification */
    uint8_t uid[7];
    uint8_t uid_len;
    uint8_t serial[CRYPTO_SERIAL_MAX];
    uint8_t serial_len;
    uint8_t challenge[16];
    uint8_t stored[VAULT_STORED_KEY]; /* of a generation that is stored */
    uint8_t stored_len;               /* 0: none */
};
/* Whose stored keys a badge's are, by the profile: what vault_stored.badge would be. */
struct crypto_div_profile;
size_t vault_stored_badge(const struct crypto_div_profile *rule,
                          const struct crypto_div_facts *facts,
                          uint8_t badge[static VAULT_STORED_BADGE]);
/* frame: the 32 bytes for the card. name: NULL, or VAULT_TAP_NAME of room for what a PIN of this
 * tap is sealed for: the place and 28 hexadecimal digits that the vault drew, so that no name comes
 * twice. The vault drops a tap that is not proved in 10 seconds. */
B_NODISCARD enum b_code vault_tap_open(struct vault *v, const struct vault_tap *tap,
                                       uint32_t *ret_tap, char *name, uint8_t frame[static 32],
                                       struct b_err *err);
/* The check value (CMAC-0) of the key that such a tap would be by: two vaults that give the same
 * one have the same masters for this badge. how, is_guess, challenge and place are not used.
 * B_E_REFUSED for a key that stays in the token. */
B_NODISCARD enum b_code vault_tap_check(struct vault *v, const struct vault_tap *tap,
                                        uint8_t ret[static CRYPTO_KCV], struct b_err *err);
/* What an assertion is to say besides what the vault knows. Empty texts are left out. subject: the
 * holder's reference. */
enum { VAULT_REF_MAX = 64 };
struct vault_claims {
    char issuer[128], audience[128], subject[VAULT_REF_MAX], station[64], challenge[129];
    uint32_t badge;
    uint32_t seconds; /* until it expires */
};
enum { VAULT_ASSERTION_MAX = 2048 };
void vault_claims_encode(const struct vault_claims *c, struct b_wr *w);
B_NODISCARD bool vault_claims_decode(struct b_rd *r, struct vault_claims *ret);
/* claims: NULL, or an assertion is wanted (VAULT_ASSERTION_MAX of room); keeps: the tap goes on
 * with its PIN. B_E_CARD_AUTH when the card's answer does not prove the key, and then it has ended.
 */
struct vault_proof {
    uint32_t tap;
    struct b_rd proof;
    bool keeps;
    const struct vault_claims *claims;
};
B_NODISCARD enum b_code vault_tap_prove(struct vault *v, const struct vault_proof *p,
                                        char *assertion, struct b_err *err);
/* A PIN that was sealed for the vault (HPKE): to be set (info "tessere-pin-set/v1", aad the
 * holder's reference), or for one tap (info "tessere-pin/v1", aad the tap's name). */
struct vault_pin {
    struct b_rd box;
    struct b_rd record; /* of a tap's: what vault_pin_set gave for the holder of the claims */
    const char *ref;    /* of one to be set: whose; less than VAULT_REF_MAX bytes */
    uint8_t min, max;   /* of one to be set: digits; the vault itself takes 4 to 12 */
};
enum { VAULT_PIN_RECORD_MAX = 128 };
/* B_E_PIN_FORMAT; B_E_BAD_INPUT for what was not sealed so. */
B_NODISCARD enum b_code vault_pin_set(struct vault *v, const struct vault_pin *pin, uint8_t *record,
                                      size_t *ret_n, struct b_err *err);
/* B_E_PIN_WRONG leaves the tap as it is, for another try, four times; B_E_PIN_FORMAT and
 * B_E_PIN_THROTTLED (too many were wrong at this vault: not looked at) do always; all else ends it.
 * B_E_PIN_MISSING: the record was made by an earlier version, and a new PIN must be set. */
B_NODISCARD enum b_code vault_tap_pin(struct vault *v, uint32_t tap, const struct vault_pin *pin,
                                      const struct vault_claims *claims, char *assertion,
                                      struct b_err *err);
void vault_tap_close(struct vault *v, uint32_t tap);

/* --- the vault's own keys ----------------------------------------------------------------------
 */

struct vault_identity { /* public halves */
    char key_id[16];
    uint8_t assertion[65], journal[32], pin[65];
};
B_NODISCARD enum b_code vault_identity(struct vault *v, struct vault_identity *ret,
                                       struct b_err *err);
/* Keys that sign tokens for relying parties: made by the vault, kept by its peer, who cannot open
 * them. alg: "RS256" (it takes a second) or "ES256". */
enum {
    VAULT_SIGNER_ID = 44,
    VAULT_SIGNER_PUBLIC_MAX = 512,
    VAULT_SIGNER_WRAPPED_MAX = 2048,
    VAULT_CLAIMS_MAX = 6144,
    VAULT_JWT_MAX = 10240,
    VAULT_TOKEN_SECONDS_MAX = 14 * 3600, /* that a token lives */
    VAULT_TAP_SECONDS_MAX = 14 * 3600,   /* for which ID tokens follow a tap */
};
struct vault_signer {
    char id[VAULT_SIGNER_ID]; /* RFC 7638 thumbprint */
    uint8_t public_key[VAULT_SIGNER_PUBLIC_MAX], wrapped[VAULT_SIGNER_WRAPPED_MAX];
    size_t public_len, wrapped_len; /* public: SubjectPublicKeyInfo, DER */
};
B_NODISCARD enum b_code vault_signer_make(struct vault *v, const char *alg,
                                          struct vault_signer *ret, struct b_err *err);
enum vault_token_kind { VAULT_ID_TOKEN, VAULT_LOGOUT_TOKEN, VAULT_EVENT_TOKEN, VAULT_TOKEN_KINDS };
/* claims: one JSON object, compact. The vault adds iat, and to an ID token sub, amr, acr and
 * auth_time of the assertion; src/vault/signer.c has what each kind needs and refuses. */
struct vault_sign {
    enum vault_token_kind kind;
    struct b_rd wrapped;
    const char *assertion; /* "" but for an ID token */
    const char *claims;
};
/* jwt: VAULT_JWT_MAX of room. B_E_BAD_INPUT, B_E_REFUSED (claims), B_E_ASSERTION, B_E_SIGNER_KEY.
 */
B_NODISCARD enum b_code vault_signer_sign(struct vault *v, const struct vault_sign *s, char *jwt,
                                          struct b_err *err);
/* Dual control (src/vault/quorum.h has the texts). The first roster is founded, and with it the tap
 * policy in force, by its digest; after that master keys are made, and roster and policy changed,
 * by carrying out a proposal with its approvals: signatures of 64 bytes each. key: of a rotation;
 * generation 0 otherwise. B_E_QUORUM, B_E_APPROVAL_BAD, B_E_PROPOSAL_EXPIRED, B_E_PROPOSAL_DONE. */
B_NODISCARD enum b_code vault_roster_found(struct vault *v, const char *roster,
                                           const uint8_t policy[static 32], struct b_err *err);
/* Which are in force, by the token: SHA-256 over their texts. */
struct vault_anchors {
    bool has_roster, has_policy;
    uint8_t roster[32], policy[32];
};
B_NODISCARD enum b_code vault_anchors(struct vault *v, struct vault_anchors *ret,
                                      struct b_err *err);
struct vault_carry {
    const char *roster, *proposal;
    struct b_rd approvals;
};
B_NODISCARD enum b_code vault_carry_out(struct vault *v, const struct vault_carry *carry,
                                        uint8_t receipt[static 64], struct vault_key *key,
                                        struct b_err *err);
/* A state of the journal to be signed. proof: from the last that was signed, and other from what
 * another vault anchored, as vault_journal_seen tells them; hashes of 32 bytes. B_E_JOURNAL_FORK,
 * B_E_JOURNAL_ROLLBACK; B_E_VAULT_BUSY when another vault has signed since it told: ask again. */
struct vault_tree {
    const char *origin;
    uint64_t size;
    const uint8_t *root;
    struct b_rd proof, other;
};
B_NODISCARD enum b_code vault_checkpoint(struct vault *v, const struct vault_tree *tree,
                                         uint8_t signature[static 64], struct b_err *err);
/* Sizes of the checkpoint that this vault signed last, or that one before it anchored in the token,
 * and of one that another vault has anchored since; 0: none. */
struct vault_seen {
    uint64_t size, other;
};
B_NODISCARD enum b_code vault_journal_seen(struct vault *v, struct vault_seen *ret,
                                           struct b_err *err);
/* The vault goes on from this state, whatever was signed before: after a restoration that was
 * decided. B_E_QUORUM once there is a roster. */
B_NODISCARD enum b_code vault_journal_accept(struct vault *v, uint64_t size,
                                             const uint8_t root[static 32], struct b_err *err);

/* --- ceremonies (src/vault/ceremony.h) ----------------------------------------------------------
 *
 * The vault holds the backup key while one is under way; the peer keeps what may be seen: wrapped
 * masters, sealed shares, check values.
 */
enum {
    VAULT_CEREMONY_ID = 6,
    VAULT_BACKUP_CHECK = 8,
    VAULT_WRAPPED = 24,
    VAULT_WORDS_MAX = 160,
    VAULT_SEALED_MAX = 8192,
    VAULT_SHARES_MAX = 16,
};
struct vault_ceremony {
    uint8_t id[VAULT_CEREMONY_ID];
    uint8_t check[VAULT_BACKUP_CHECK];
    uint8_t threshold, shares;
    bool is_rehearsal;
};
/* A master's backup. */
struct vault_backup {
    enum key_role role;
    uint8_t generation;
    uint8_t wrapped[VAULT_WRAPPED];
    char kcv_method[16];
    uint8_t kcv[3];
    bool is_inside; /* made in no memory but the token's */
};
/* threshold, shares and is_rehearsal in; id and check out. B_E_QUORUM. */
B_NODISCARD enum b_code vault_ceremony_begin(struct vault *v, struct vault_ceremony *c,
                                             struct b_err *err);
/* B_E_CEREMONY_OTHER when the token knows another one as in force. */
B_NODISCARD enum b_code vault_ceremony_resume(struct vault *v, const struct vault_ceremony *c,
                                              struct b_err *err);
/* Another backup key in the place of the one under way. */
B_NODISCARD enum b_code vault_ceremony_renew(struct vault *v, struct vault_ceremony *c,
                                             struct b_err *err);
/* out: VAULT_SEALED_MAX of room. */
B_NODISCARD enum b_code vault_ceremony_seal(struct vault *v, uint8_t share, struct b_rd certificate,
                                            uint8_t *out, size_t *ret_n, struct b_err *err);
/* words: VAULT_WORDS_MAX of the caller's secret memory. */
B_NODISCARD enum b_code vault_ceremony_words(struct vault *v, uint8_t share, char *words,
                                             struct b_err *err);
/* B_E_SHARE_TYPED, B_E_SHARE_FOREIGN, B_E_SHARE_REPEATED leave those given as they are;
 * B_E_SHARE_WRONG forgets them. */
B_NODISCARD enum b_code vault_ceremony_give(struct vault *v, struct b_rd words, unsigned *ret_given,
                                            struct b_err *err);
B_NODISCARD enum b_code vault_ceremony_make(struct vault *v, struct vault_backup *b,
                                            struct b_err *err);
/* keeps: the token has the key afterwards; without, the backup is only tried. Where "share" was
 * approved, nothing is kept. */
B_NODISCARD enum b_code vault_ceremony_bring(struct vault *v, const struct vault_backup *b,
                                             bool keeps, struct vault_key *ret, struct b_err *err);
B_NODISCARD enum b_code vault_ceremony_rewrap(struct vault *v, struct vault_backup *b,
                                              struct b_err *err);
B_NODISCARD enum b_code vault_minutes_sign(struct vault *v, const char *minutes,
                                           uint8_t signature[static 64], struct b_err *err);
/* A component of a key from elsewhere (8, 16, 24 or 32 bytes, secret memory), its check value. */
B_NODISCARD enum b_code vault_import_part(struct vault *v, struct b_rd part,
                                          const uint8_t kcv[static 3], struct b_err *err);
/* What the components are: the master (block empty), or the key over the key block that holds it.
 * b: role, generation and the check value that it must have in; the backup out. */
B_NODISCARD enum b_code vault_import_key(struct vault *v, struct b_rd block, struct vault_backup *b,
                                         struct b_err *err);
/* The master of a backup as a key block under the components. block: VAULT_STRING_MAX of room. */
B_NODISCARD enum b_code vault_export_key(struct vault *v, const struct vault_backup *b, char *block,
                                         size_t cap, struct b_err *err);
/* What the components are, or the key over the key block that holds it, is of another system, where
 * it has this name. k: the type in, and the check value that it must have unless there is none to
 * compare with; its own check value out, with the wrapped key. B_E_KCV_DIFFERS, B_E_KEY_LENGTH. */
B_NODISCARD enum b_code vault_give_key(struct vault *v, const char *name, struct b_rd block,
                                       bool has_kcv, struct vault_given *k, struct b_err *err);
void vault_ceremony_close(struct vault *v);

#endif
