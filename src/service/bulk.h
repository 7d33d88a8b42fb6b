/*
 * Bulk encoding: badges for the people of a list, on several readers at once.
 *
 * Each card that is put on a reader is for the next person who has none. What was done is in the
 * store alone: a list is gone on with by reading it again. A card that was torn stays its person's.
 * The plan of the first blank card is approved for all; another plan is refused.
 */
#ifndef TESSERE_SERVICE_BULK_H
#define TESSERE_SERVICE_BULK_H

#include "service/service.h"
#include "service/sheet.h"

struct service_bulk;

/* CSV with a first line that names its columns: ref and name; from and until, the first and the
 * last day of the badge (YYYY-MM-DD), may be there. */
struct service_bulk_list {
    const char *name; /* for messages */
    const void *text; /* borrowed while it is read */
    size_t n;
    enum b_csv_encoding encoding;
    int64_t batch_id;                  /* that the blank cards are of; 0: not said */
    struct service_mistakes *mistakes; /* NULL, or where what is wrong in the list is told */
};
/* B_E_BAD_INPUT: "name:line: column: what is wrong". */
B_NODISCARD enum b_code service_bulk_new(const struct service_bulk_list *list,
                                         struct service_bulk **ret, struct b_err *err);
void service_bulk_free(struct service_bulk **b);

/* Who of the list has a badge already, and whose was begun. Calls fn for each badge in use. */
B_NODISCARD enum b_code service_bulk_resume(struct service_bulk *b, struct store *s,
                                            void (*fn)(void *ctx, const struct store_badge *badge),
                                            void *ctx, struct b_err *err);

/* What became of a card. */
struct service_bulk_card {
    struct store_badge badge;  /* B_OK */
    char name[STORE_TEXT_MAX]; /* of the person it is for; "": nobody waits */
    bool is_torn;              /* the card was begun, and stays theirs */
};
/* Encodes the card for its person; from any thread, each with a service of its own. watch: asked
 * once, for all cards. B_E_CANCELLED: it said no; B_E_CARD_BLOCKED: the plan of this card is not
 * the one that was approved; B_E_NOT_FOUND: nobody waits for a card. */
B_NODISCARD enum b_code service_bulk_encode(struct service_bulk *b, struct service *sv,
                                            struct channel *ch, const struct service_watch *watch,
                                            struct service_bulk_card *ret, struct b_err *err);

struct service_bulk_counts {
    size_t people, done, torn;
    uint64_t encoded;          /* by this run */
    uint64_t work_us, card_us; /* of those: from the card's coming on, and for card and reader */
};
struct service_bulk_counts service_bulk_counts(struct service_bulk *b);
/* The next whose begun card is awaited, after *at (0 at first); false: no more. */
bool service_bulk_torn(struct service_bulk *b, size_t *at, char name[static STORE_TEXT_MAX],
                       int64_t *ret_badge_id);

#endif
