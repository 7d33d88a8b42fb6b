/* Between the files of the machine. */
#ifndef TESSERE_PROFILE_RUN_INT_H
#define TESSERE_PROFILE_RUN_INT_H

#include "desfire/pcd.h"
#include "profile/run.h"

/* Where the inspection is; the order is the order of the questions. */
enum inspect_at {
    INSPECT_START,
    INSPECT_VERSION,
    INSPECT_SIGNATURE,
    INSPECT_SERIAL_SELECT,
    INSPECT_SERIAL_READ,
    INSPECT_HIDDEN,
    INSPECT_HIDDEN_VERSION,
    INSPECT_HIDDEN_KEY,
    INSPECT_HIDDEN_UID,
    INSPECT_CARD_AGAIN,
    INSPECT_CARD_SETTINGS,
    INSPECT_CARD_VERSION,
    INSPECT_CARD_KEY,
    INSPECT_CARD_SETTINGS_AGAIN,
    INSPECT_UID,
    INSPECT_APPS,
    INSPECT_FREE,
    INSPECT_OLD,
    INSPECT_OLD_SETTINGS,
    INSPECT_OLD_KEY,
    INSPECT_APP,
    INSPECT_APP_SETTINGS,
    INSPECT_APP_VERSION,
    INSPECT_APP_KEY,
    INSPECT_APP_UID,
    INSPECT_APP_SETTINGS_AGAIN,
    INSPECT_SLOT_VERSION,
    INSPECT_FILE_IDS,
    INSPECT_FILE_SETTINGS,
    INSPECT_CONTENT,
    INSPECT_OTHER_KEYS,
    INSPECT_END,
};

enum apply_at { APPLY_CONTEXT, APPLY_SEND, APPLY_SENT, APPLY_VERIFY, APPLY_END };

enum tap_at { TAP_START, TAP_UID, TAP_SELECTED, TAP_SERIAL, TAP_PROVE, TAP_PROOF, TAP_VERSION };

enum rekey_at { REKEY_SELECT, REKEY_VERSION, REKEY_KEY };

enum run_phase { RUN_INSPECT, RUN_REPORT, RUN_PLANNED, RUN_APPLY, RUN_TAP, RUN_REKEY, RUN_OVER };

struct profile_run {
    const struct profile_job *job;
    struct profile_keys keys;
    const struct crypto_div_profile *diversification;
    struct df_pcd pcd;
    struct df_request request;
    struct df_key key, old_key;
    uint8_t answer[1024];
    uint8_t content[PROFILE_CONTENT_MAX]; /* lent to a write */
    enum run_phase phase;
    bool is_waiting; /* an APDU is out */
    bool is_asked;   /* the request of this place was made: its outcome is in is_good */
    bool is_good;
    uint8_t apdus;
    int at;
    uint8_t index; /* slot or file under inspection; candidate under trial */
    uint8_t candidate;
    bool is_selecting; /* between two trials */
    struct profile_slot trial;
    uint8_t trial_given; /* which given or known key the trial uses; see run_given */
    uint8_t given_of_card, given_of_old, given_of_slot[PROFILE_KEYS_MAX];
    uint8_t hidden_layout; /* from 0, whose key is tried on a card that hides its UID */
    struct profile_slot hidden;
    uint8_t given_of_hidden;
    struct profile_state state;
    struct profile_plan plan;
    size_t step;
    struct profile_tap tap;
    bool has_told;              /* the card was asked for its generation at a tap */
    bool was_tried;             /* ... because it refused the one that was tried */
    struct profile_proof proof; /* of a tap whose key stays where it is */
    struct df_prover prover;
    struct b_err error;
};

/* run.c */
/* Fails the run with the reader's side error, said in context. */
enum profile_want run_fail_card(struct profile_run *run, const char *what);
enum profile_want run_fail(struct profile_run *run, enum b_code code, const char *what);
/* Select and authenticate until `aid` is selected and, with key_no >= 0, that key's session runs:
 * PROFILE_TX when a request was made, PROFILE_DONE when it stands; PROFILE_AWAIT, and then the
 * caller is come back to as it is. */
enum profile_want run_context(struct profile_run *run, df_aid aid, int key_no);
/* The present key of a slot (aid 0: the card's) into run->key. B_E_KEY_TOO_WEAK never: a factory
 * key is a key here. */
enum b_code run_slot_key(struct profile_run *run, df_aid aid, uint8_t no,
                         const struct profile_slot *slot, uint8_t given, struct df_key *ret);
/* The key that a step is to write. */
enum b_code run_new_key(struct profile_run *run, const struct profile_step *s, struct df_key *ret);
/* A key was not had: the run waits for its source of keys, and then asks again, or fails. */
enum profile_want run_no_key(struct profile_run *run, enum b_code code, const char *what);
/* What a key slot of this card is diversified by. */
void run_facts(const struct profile_run *run, df_aid aid, uint8_t no, struct crypto_div_facts *ret);
enum key_role run_role(const struct profile_run *run, df_aid aid, uint8_t no);
/* The layout whose application is on the card, or NULL. */
const struct profile_layout *run_layout(const struct profile_run *run);
/* How a trial names a key that is made of given ones: the n-th given key as it is, and then, for
 * each layout in turn, what that layout's diversification makes of each. */
static inline uint8_t run_given_count(const struct profile_job *j)
{
    return (uint8_t)(j->given_count * (1 + j->fleet.count));
}
/* The layout by which it is made; NULL: it is as it was given. */
static inline const struct profile_layout *run_maker(const struct profile_job *j, uint8_t given)
{
    return given < j->given_count ? NULL : &j->fleet.layouts[given / j->given_count - 1];
}
enum df_auth run_auth(const struct profile_run *run, df_aid aid, enum df_key_type type);
/* Which key changes key `no` of our application, by its settings (KeySett1 b7..4); 0xF: none. */
uint8_t run_changing_key(const struct profile_run *run, uint8_t no);
bool run_knows(const struct profile_run *run, enum key_role role, uint8_t generation);
/* The file of the profile with this number, or NULL. */
const struct profile_file *run_file(const struct profile_run *run, uint8_t no);
/* The file that holds the badge's serial, or NULL. */
const struct profile_file *run_serial_file(const struct profile_run *run);
/* What the profile wants in a file; n bytes, zero padded to the file's size. */
size_t run_content(const struct profile_run *run, const struct profile_file *f, uint8_t *out);

/* try.c: one slot's trials from first to last: PROFILE_TX while they last, PROFILE_DONE at their
 * end, with what was found. */
enum profile_want run_find_key(struct profile_run *run, df_aid aid, uint8_t no,
                               struct profile_slot *slot, uint8_t *ret_given);

enum profile_want inspect_next(struct profile_run *run);
enum profile_want apply_next(struct profile_run *run);
enum profile_want tap_next(struct profile_run *run);
void rekey_start(struct profile_run *run);
enum profile_want rekey_next(struct profile_run *run);
void plan_make(struct profile_run *run);

#endif
