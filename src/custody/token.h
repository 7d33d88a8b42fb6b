/* Private to src/custody: what token.c, key.c and derive.c share. */
#ifndef TESSERE_CUSTODY_TOKEN_H
#define TESSERE_CUSTODY_TOKEN_H

#include <p11-kit/p11-kit.h>
#include <p11-kit/uri.h>

#include "custody/custody.h"

struct custody_entry {
    struct custody_key key;
    CK_OBJECT_HANDLE handle;
    uint8_t *subkeys; /* K1 || K2 (NIST SP 800-38B §6.1) in secret memory; NULL until CBC or ECB
                         need them */
};

/* The RSA pair of a token by CUSTODY_OAEP: handles of this session, 0 before there is one. */
struct custody_pair {
    CK_OBJECT_HANDLE private, public;
    bool is_safe;
};

struct custody {
    struct custody *next; /* share.c's list of all in this process */
    P11KitUri *uri;
    char establishment[CUSTODY_ESTABLISHMENT_MAX + 1];
    char *pin; /* secret memory, or NULL: the token has its own keypad or asks for none */
    bool may_use_last_try;
    struct key_stay in_token;

    CK_FUNCTION_LIST **modules; /* NULL when loaded by module-path */
    CK_FUNCTION_LIST *module;   /* loaded; initialised when is_initialised */
    bool is_initialised;
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE session;
    bool is_connected;
    bool needs_reinit;      /* the module must look for its tokens anew, whoever else uses it */
    bool seems_gone;        /* ... unless another session on it still answers */
    uint32_t session_count; /* which session this is: handles of those before mean nothing */
    struct custody_token token;
    bool keeps_badges; /* this session's token was seen to keep a derived key to itself */
    CK_RV last_rv;     /* of the last failed call: tells a lost session from a refusal */

    struct custody_entry entries[CUSTODY_KEYS_MAX];
    size_t entry_count;
    struct custody_pair pair;
};

/* Turns a failed call into an error that names the token and what was being done. */
enum b_code custody_fail(struct custody *c, CK_RV rv, const char *what, struct b_err *err);
/* True when taking the token up again may help after this answer. */
bool custody_rv_is_lost(CK_RV rv);

/* What custody_run runs: a piece of work that may be done again from its start. */
typedef enum b_code custody_work(struct custody *c, void *arg, struct b_err *err);
/* Connects if needed, works, and once more after taking the token up again if it was lost. */
B_NODISCARD enum b_code custody_run(struct custody *c, custody_work *work, void *arg,
                                    struct b_err *err);

void custody_disconnect(struct custody *c);
void custody_finalize(struct custody *c);

/* share.c. The gate that all sessions of the process work behind. */
void custody_enter(void);
void custody_enter_alone(void);
void custody_leave(void);
void custody_register(struct custody *c);
/* These with the gate held alone. */
void custody_unregister(struct custody *c);
/* Another session on the same module still answers. */
bool custody_others_answer(const struct custody *c);
/* Ends all sessions on c's module, so that initialising it is heard by it. */
void custody_give_back_module(struct custody *c);
/* Offers the PIN, once in this process when the token refuses it. */
B_NODISCARD enum b_code custody_login(struct custody *c, struct b_err *err);

/* Reads all keys of the establishment, their attributes and KCVs, into entries. */
B_NODISCARD enum b_code custody_scan(struct custody *c, struct b_err *err);
void custody_forget(struct custody *c);
/* The entry, after a new scan when it is not known yet; NULL and B_E_KEY_MISSING. */
struct custody_entry *custody_find(struct custody *c, enum key_role role, uint8_t generation,
                                   struct b_err *err);

/* The entry as it was last read, or NULL. */
struct custody_entry *custody_known(struct custody *c, enum key_role role, uint8_t generation);
/* All objects of a search, however many: a token may have thousands of keys of other programs. The
 * caller frees found, which is NULL unless CKR_OK. CKR_HOST_MEMORY: more than 65536. */
struct custody_objects {
    CK_OBJECT_HANDLE *found;
    CK_ULONG n;
};
CK_RV custody_objects(struct custody *c, CK_ATTRIBUTE *wanted, CK_ULONG count,
                      struct custody_objects *ret);
/* Whether a check value is that of a key of weak.def. */
bool custody_is_known_weak(const uint8_t kcv[static 3]);
/* Fills e->key.kcv; a known weak one is not safe. */
B_NODISCARD enum b_code custody_take_kcv(struct custody *c, struct custody_entry *e,
                                         struct b_err *err);

/* key.c. What a master is asked to be: made in the token, or unwrapped or put into it. */
enum { CUSTODY_LABEL_MAX = 64, CUSTODY_ID_MAX = CUSTODY_ESTABLISHMENT_MAX + 3 };
enum custody_how { CUSTODY_MADE, CUSTODY_GIVEN };
struct custody_template {
    CK_ATTRIBUTE attributes[20];
    CK_ULONG count;
    char label[CUSTODY_LABEL_MAX];
    uint8_t id[CUSTODY_ID_MAX];
    CK_MECHANISM_TYPE only[2];
};
void custody_master(const struct custody *c, const struct custody_key *of, enum custody_how how,
                    bool strict, struct custody_template *t);
/* The template asks for what this token does not know. */
bool custody_rv_is_template(CK_RV rv);
/* The name of a master. out: CUSTODY_LABEL_MAX bytes. */
void custody_label(const struct custody *c, enum key_role role, uint8_t generation, char *out);
/* An attribute, false when the token does not know it. */
CK_BBOOL custody_flag(struct custody *c, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);

/* backup.c. 16 random bytes for a master that is made beside the token. secret: 32 bytes of secret
 * memory, of which the first half is the answer. */
B_NODISCARD enum b_code custody_fresh(struct custody *c, uint8_t *secret, struct b_err *err);

/* wrapped.c. The token makes AES keys, whatever its list of mechanisms says. */
bool custody_makes_keys(struct custody *c);
/* ... or it keeps masters wrapped: CUSTODY_OAEP. What follows is for such a token. */
bool custody_keeps_wrapped(const struct custody *c);
/* Fills c->pair; a token without one is well. */
B_NODISCARD enum b_code custody_wrapped_pair(struct custody *c, struct b_err *err);
/* All wrapped masters, as objects. */
CK_RV custody_wrapped_find(struct custody *c, struct custody_objects *ret);
/* Wraps 16 bytes under the pair, which the first makes, and keeps them. B_E_KEY_UNSAFE. */
B_NODISCARD enum b_code custody_wrapped_put(struct custody *c, const struct custody_key *of,
                                            const uint8_t *master, struct b_err *err);
/* AES-CMAC of m; or AN10922 of M = 01 || input. out: 16 bytes. B_E_KEY_UNSAFE for one that does not
 * open, or is another than its name says. */
B_NODISCARD enum b_code custody_wrapped_mac(struct custody *c, const struct custody_entry *e,
                                            const struct b_rd *m, bool is_an10922, uint8_t *out,
                                            struct b_err *err);

/* AES-CMAC of 1..32 bytes by the token's method. out: 16 bytes. */
B_NODISCARD enum b_code custody_cmac(struct custody *c, struct custody_entry *e, const uint8_t *in,
                                     size_t n, uint8_t *out, struct b_err *err);
/* AN10922 of M = 01 || input. */
B_NODISCARD enum b_code custody_an10922(struct custody *c, struct custody_entry *e,
                                        const uint8_t *m, size_t n, uint8_t *out,
                                        struct b_err *err);
/* What is encrypted to give that key: the last block of the chain, ready for the master. out: 16
 * bytes of secret memory. For masters that derive inside. */
B_NODISCARD enum b_code custody_last_block(struct custody *c, struct custody_entry *e,
                                           const uint8_t *m, size_t n, uint8_t *out,
                                           struct b_err *err);
/* The entry when it may be used at all: B_E_KEY_MISSING, B_E_KEY_UNSAFE. */
struct custody_entry *custody_find_safe(struct custody *c, enum key_role role, uint8_t generation,
                                        struct b_err *err);
/* M = 01 || input (AN10922 section 2.2), 2..32 bytes. B_E_KEY_LENGTH, B_E_BAD_INPUT. */
enum { CUSTODY_M_MAX = 32 };
B_NODISCARD enum b_code custody_message(const struct custody_which *which, struct b_wr *m,
                                        struct b_err *err);
CK_MECHANISM_TYPE custody_mechanism(enum custody_method m);

/* inside.c. B_E_KEY_NOT_INSIDE with the mechanism's name when the token lacks one that it takes. */
B_NODISCARD enum b_code custody_check_inside(struct custody *c, struct b_err *err);

#endif
