/*
 * profile: what a badge must hold, and how a card gets there.
 *
 *   profile.h   the model: a badge profile, a card's state, a plan, and their wire forms
 *   run.h       the machine: inspect, plan, apply, and the tap; APDUs in and out, no I/O
 *   file.h      reads a profile from YAML (libcyaml); fleet.h: how others encoded badges
 *
 * Badges are reconciled, not scripted: state = inspect(card); plan = diff(state, profile,
 * generations); apply(plan). It owns nothing, asks for badge keys through an interface, and must
 * never learn where master keys are kept.
 *
 * Two laws order every plan: at every instant the vault can compute every key on the card; and a
 * card never leaves the desk with a key at a lower protection than it came with.
 */
#ifndef TESSERE_PROFILE_PROFILE_H
#define TESSERE_PROFILE_PROFILE_H

#include "crypto/crypto.h"
#include "crypto/role.h"
#include "desfire/request.h"

enum {
    PROFILE_ID_MAX = 32,
    PROFILE_KEYS_MAX = 14,
    PROFILE_FILES_MAX = 16,
    PROFILE_CONTENT_MAX = 128,
    PROFILE_STEPS_MAX = 128,
    PROFILE_APPS_MAX = 32,
    PROFILE_NOTES_MAX = 32,
    PROFILE_GENERATIONS_MAX = 8,
    PROFILE_GIVEN_KEYS_MAX = 16,
    PROFILE_LAYOUTS_MAX = 8
};

enum profile_content_kind {
    PROFILE_CONTENT_NONE,   /* the file is created, nothing is written */
    PROFILE_CONTENT_BYTES,  /* fixed bytes of the profile */
    PROFILE_CONTENT_SERIAL, /* the badge serial, so that a random UID can be diversified */
    PROFILE_CONTENT_HOLDER, /* the holder's reference given at enrolment, zero padded */
};

struct profile_key {
    uint8_t no;
    enum key_role role;
};

struct profile_file {
    uint8_t no;
    struct df_file_settings settings;
    enum profile_content_kind content;
    uint8_t bytes[PROFILE_CONTENT_MAX];
    uint8_t bytes_len;
};

struct profile {
    char id[PROFILE_ID_MAX];
    uint32_t revision;
    bool is_guest; /* another issuer's card: nothing needs a card master key of ours */
    bool wants_random_uid;
    bool disables_format;
    uint8_t card_settings; /* KeySett1 of the card, owned cards only */
    df_aid aid;
    uint8_t app_settings; /* KeySett1 of the application once it is complete */
    bool has_iso;
    uint16_t iso_fid;
    uint8_t df_name[DF_DF_NAME_MAX];
    uint8_t df_name_len;
    uint8_t key_count;
    struct profile_key keys[PROFILE_KEYS_MAX]; /* keys[0].no is 0 and its role is app */
    uint8_t file_count;
    struct profile_file files[PROFILE_FILES_MAX];
    char diversification[PROFILE_ID_MAX]; /* id of a diversification profile */
    uint8_t system[CRYPTO_SYSTEM_MAX];    /* system identifier, from the establishment */
    uint8_t system_len;
};

/* The slot that authenticates taps (role auth), or -1. */
int profile_key_no(const struct profile *p, enum key_role role);
/* Rules that a file's syntax cannot say (one auth key, rights name existing keys, sizes, …). */
B_NODISCARD enum b_code profile_check(const struct profile *p, struct b_err *err);
void profile_encode(const struct profile *p, struct b_wr *w);
B_NODISCARD bool profile_decode(struct b_rd *r, struct profile *ret);

/* --- how others encoded badges -----------------------------------------------------------------
 */

/* An application of theirs, by which their badges are recognised, and how its keys and the card's
 * own are made from those that are given: "" is a key as it is given, shared by all badges; else
 * the id of a diversification profile, and what is given is its master. */
struct profile_layout {
    char id[PROFILE_ID_MAX];
    df_aid aid;
    enum df_key_type type;
    uint8_t key_count; /* 0: not known */
    uint8_t proof_key; /* the slot that proves that the badge is one of theirs */
    /* The slot whose key is as it is given, in all badges, and to which a card tells its own UID
     * that shows a random one. */
    bool has_uid_key;
    uint8_t uid_key;
    char diversification[PROFILE_ID_MAX];
    char card_diversification[PROFILE_ID_MAX];
    uint8_t system[CRYPTO_SYSTEM_MAX]; /* their system identifier */
    uint8_t system_len;
    bool deletes; /* a takeover deletes their application when ours stands */
};
struct profile_fleet {
    uint8_t count;
    struct profile_layout layouts[PROFILE_LAYOUTS_MAX]; /* of an application each */
};

/* --- what is on a card ------------------------------------------------------------------------ */

enum profile_key_kind {
    PROFILE_KEY_UNKNOWN,     /* none of the keys tried opens it */
    PROFILE_KEY_FACTORY,     /* all zero */
    PROFILE_KEY_KNOWN,       /* on the list of published default keys */
    PROFILE_KEY_GIVEN,       /* one of the keys that were given: shared with other badges */
    PROFILE_KEY_DERIVED,     /* made of one of them for this badge, as a layout says */
    PROFILE_KEY_DIVERSIFIED, /* ours, of `generation` */
    PROFILE_KEY_NOT_TRIED,
};

struct profile_slot {
    enum profile_key_kind kind;
    enum df_key_type type;
    uint8_t version;    /* as GetKeyVersion says */
    uint8_t generation; /* when diversified */
    bool is_proven;     /* authenticated with it, not only told by its version byte */
};

struct profile_file_state {
    uint8_t no;
    bool is_content_right; /* read, and what the profile wants to be written */
    struct df_file_settings settings;
};

struct profile_state {
    enum df_ev ev;
    struct df_version version;
    uint8_t uid[7];  /* true UID when known */
    uint8_t uid_len; /* 0 when random and not yet read */
    bool is_random_uid;
    bool is_genuine_tried, is_genuine; /* originality signature */
    char product[16];                  /* product line whose key verifies the signature */
    uint32_t free_bytes;
    bool lists_apps; /* the directory could be read */
    uint8_t app_count;
    df_aid apps[PROFILE_APPS_MAX]; /* all applications, ours too */
    struct profile_slot card_key;
    uint8_t card_settings;
    bool has_card_settings;
    bool has_app; /* our application is there */
    bool has_app_settings;
    struct df_key_settings app_settings;
    uint8_t slot_count;
    struct profile_slot slots[PROFILE_KEYS_MAX];
    uint8_t layout;          /* of the fleet, from 1, whose application is there; 0: none */
    struct profile_slot old; /* its key that proves */
    bool lists_files;
    uint8_t file_count;
    struct profile_file_state files[PROFILE_FILES_MAX];
    uint8_t serial[CRYPTO_SERIAL_MAX]; /* read from the serial file when the profile has one */
    uint8_t serial_len;
};
void profile_state_encode(const struct profile_state *s, struct b_wr *w);
B_NODISCARD bool profile_state_decode(struct b_rd *r, struct profile_state *ret);

/* What is missing to conform; a stable name and a severity per note, in note.def:
 * PROFILE_NOTE_FACTORY_KEY, PROFILE_NOTE_SHARED_KEY, PROFILE_NOTE_OLD_GENERATION, … */
enum profile_severity { PROFILE_INFO, PROFILE_WARN, PROFILE_FORBIDDEN };
enum profile_note_id {
#define PROFILE_NOTE(name, severity, text) PROFILE_NOTE_##name,
#include "profile/note.def"
#undef PROFILE_NOTE
    PROFILE_NOTE_COUNT
};
struct profile_note {
    enum profile_note_id id;
    uint8_t key_no; /* or file number; 0xFF: the card */
};
const char *profile_note_name(enum profile_note_id id);
const char *profile_note_text(enum profile_note_id id);
enum profile_severity profile_note_severity(enum profile_note_id id);

/* --- the plan --------------------------------------------------------------------------------- */

/* Kinds of steps, in step.def with their texts: PROFILE_STEP_CHANGE_CARD_KEY, … */
enum profile_step_kind {
#define PROFILE_STEP(name, text) PROFILE_STEP_##name,
#include "profile/step.def"
#undef PROFILE_STEP
    PROFILE_STEP_KIND_COUNT
};

struct profile_step {
    enum profile_step_kind kind;
    df_aid aid;              /* 0: card level */
    uint8_t no;              /* key or file number */
    enum key_role role;      /* key steps */
    uint8_t from_generation; /* 0: factory */
    uint8_t to_generation;
};

struct profile_plan {
    uint8_t digest[32]; /* SHA-256 of profile, goal, state and steps: what a person approves */
    uint8_t step_count;
    struct profile_step steps[PROFILE_STEPS_MAX];
    uint8_t note_count;
    struct profile_note notes[PROFILE_NOTES_MAX];
    bool is_blocked; /* the state does not allow the goal: see blocker */
    struct b_err blocker;
};
const char *profile_step_text(enum profile_step_kind kind);
const char *profile_step_name(enum profile_step_kind kind); /* "change-card-key" */
/* One English line: "change key 1 (auth) of application F51234 from factory to generation 1". */
void profile_step_print(const struct profile_step *s, char *line, size_t cap);
void profile_plan_encode(const struct profile_plan *p, struct b_wr *w);
B_NODISCARD bool profile_plan_decode(struct b_rd *r, struct profile_plan *ret);

/* --- a piece of work on one card -----------------------------------------------------------------
 */

enum profile_goal {
    PROFILE_GOAL_SCAN,     /* inspect and judge, change nothing */
    PROFILE_GOAL_REACH,    /* enrol, repair, re-key: make the card what the profile says */
    PROFILE_GOAL_BLANK,    /* return to blank: ours is removed, the card's key back to factory */
    PROFILE_GOAL_TAP,      /* authenticate the auth key, with the fewest exchanges */
    PROFILE_GOAL_REKEY,    /* after a tap: bring the keys of some roles to their target */
    PROFILE_GOAL_TAKEOVER, /* as REACH, on a badge of others that a key of theirs opens */
    PROFILE_GOAL_UID,      /* the UID of a card that may hide it: as a scan, and ends with it */
};

struct profile_generations {
    uint8_t target;                         /* the active one */
    uint8_t known[PROFILE_GENERATIONS_MAX]; /* every usable one, target included */
    uint8_t known_count;
};

struct profile_job {
    enum profile_goal goal;
    struct profile profile;
    struct profile_generations generations[KEY_ROLE_COUNT];
    uint8_t uid[10];                   /* as the reader shows it */
    uint8_t uid_len;                   /* 0: the reader does not tell */
    uint8_t serial[CRYPTO_SERIAL_MAX]; /* this badge's serial (serial profiles), or empty */
    uint8_t serial_len;
    uint8_t holder[PROFILE_CONTENT_MAX];
    uint8_t holder_len;
    uint8_t rekey_roles;   /* re-key: bits 1 << role */
    enum df_ev ev_hint;    /* tap, re-key: what the store remembers; 0: try EV2 first */
    uint8_t auth_hint;     /* tap: generation the store remembers; 0: the target */
    bool tries_known_keys; /* scan: also try the list of published default keys */
    uint8_t given_count;   /* scan, takeover, UID: keys that some party gave */
    struct df_key given[PROFILE_GIVEN_KEYS_MAX];
    struct profile_fleet fleet; /* scan, takeover, UID: how others encoded the badge */
};
void profile_job_encode(const struct profile_job *j, struct b_wr *w);
B_NODISCARD bool profile_job_decode(struct b_rd *r, struct profile_job *ret);

#endif
