/* Taking a fleet over that others encoded: the badges that lists of the establishment name, what is
 * found on them when they are seen, and how far one is. */
#ifndef TESSERE_SERVICE_FLEET_H
#define TESSERE_SERVICE_FLEET_H

#include "service/service.h"
#include "service/sheet.h"

struct service_work; /* service/relay.h */

/* A list of badges and holders, in CSV with a first line that names its columns: uid, ref, name;
 * status (active, suspended, revoked) and note may be there. */
struct service_fleet_list {
    const char *name; /* for messages, and for the journal its last part */
    const void *text;
    size_t n;
    enum b_csv_encoding encoding;
    struct service_mistakes *mistakes; /* NULL, or where what is wrong in the list is told */
};
/* Takes all of the list in or nothing. B_E_BAD_INPUT: "name:line: column: what is wrong". */
B_NODISCARD enum b_code service_fleet_import(struct service *sv,
                                             const struct service_fleet_list *list,
                                             struct store_fleet_import *ret, struct b_err *err);

/* Removes a list, so that a better one can be taken in. What was found on its badges stays, and so
 * do badges that were taken over. B_E_NOT_FOUND. */
B_NODISCARD enum b_code service_fleet_forget(struct service *sv, int64_t id,
                                             struct store_fleet_import *ret, struct b_err *err);

/* Writes down what a scan found on a card, when a list names it and it is no badge yet. */
B_NODISCARD enum b_code service_fleet_find(struct service *sv, const struct profile_state *state,
                                           struct b_err *err);

/* Whether a tap may take the badge with this UID over: a list names it as active, its holder is
 * active or not known yet, and it is no badge of ours, or one whose takeover for that holder was
 * torn. B_E_NOT_FOUND when it may not. */
B_NODISCARD enum b_code service_fleet_wanted(struct service *sv, const uint8_t uid[static 7],
                                             struct b_err *err);

/* A takeover that was torn goes on with the badge that it was begun on. On that one no key is the
 * old one again that the card itself confirmed as changed: a copy of it as it was before has;
 * B_E_BADGE_MADE_UP. B_OK too where none was begun. */
B_NODISCARD enum b_code service_fleet_goes_on(struct service *sv, const struct service_work *w,
                                              struct b_err *err);
/* Of a takeover that was torn, keys count too whose generation ended meanwhile: a card that has one
 * beside a key of theirs would be opened by no work on it. For where somebody looks at the card. */
B_NODISCARD enum b_code service_fleet_begun(const struct service *sv, const uint8_t uid[static 7],
                                            struct profile_job *job, struct b_err *err);
/* Whether a key that is none of ours, the factory's or another's, becomes one of ours. */
bool service_fleet_replaces_keys(const struct profile_plan *plan);
/* Whether a key of theirs was proved, or no key of ours. One of ours besides factory keys, such as
 * one that another system has to read badges, makes no badge of ours. */
bool service_fleet_is_theirs(const struct profile_state *s);

/* The same of a card by what it shows: B_OK too for one that hides its UID, whose own is judged as
 * above once it has told it; not where the profile makes keys of the UID. */
B_NODISCARD enum b_code service_fleet_shown(struct service *sv, const struct channel_card *shown,
                                            struct b_err *err);

/* The UID of the card that a takeover is for: the one that it shows, or what it tells to a key of
 * theirs, or ours, before the work on it begins. B_E_RANDOM_UID where the profile makes keys of it,
 * B_E_CARD_FOREIGN where no key tells it. */
B_NODISCARD enum b_code service_fleet_uid(struct service *sv, struct channel *ch,
                                          struct service_work *w, uint8_t ret[static 7],
                                          struct b_err *err);

/* Badges in use: those of the store that are not revoked or blank, and those of the lists. */
struct service_fleet_figures {
    uint64_t conform;
    uint64_t behind;     /* an older generation of a key, or an older profile */
    uint64_t unfinished; /* an enrolment began and did not end */
    uint64_t forbidden;  /* a factory key, or one of a generation that is compromised */
    struct store_fleet_counts lists;
};
B_NODISCARD enum b_code service_fleet_audit(struct service *sv, struct service_fleet_figures *ret,
                                            struct b_err *err);
/* Known to have a key that must not be: ours, and those of the lists with a factory, published or
 * shared key. */
uint64_t service_fleet_forbidden(const struct service_fleet_figures *f);
/* All badges in use, each counted once. */
uint64_t service_fleet_total(const struct service_fleet_figures *f);

#endif
