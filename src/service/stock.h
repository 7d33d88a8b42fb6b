/* Physical cards: received in batches, encoded, returned, destroyed, lost; every one accounted for.
 */
#ifndef TESSERE_SERVICE_STOCK_H
#define TESSERE_SERVICE_STOCK_H

#include "service/service.h"
#include "service/sheet.h"

/* Where stock-two-people: is set, what gains or loses cards is proposed instead, and approved by
 * another person: then service_stock_receive, and service_stock_event of what is destroyed or lost,
 * give B_E_QUORUM with the proposal's text, or because no roster was founded. */

/* B_E_BAD_INPUT: a text that does not show as it is written, no card, or a key in place of a key's
 * name. */
B_NODISCARD enum b_code service_stock_check(const struct store_batch *batch, struct b_err *err);
/* Writes a batch down; sets id and at. B_E_BAD_INPUT as above. */
B_NODISCARD enum b_code service_stock_receive(struct service *sv, struct store_batch *batch,
                                              struct b_err *err);
/* A badge is handed over to its holder: it is issued from then on. B_E_BADGE_STATE: it is not
 * active, or was handed over. */
B_NODISCARD enum b_code service_stock_issue(struct service *sv, int64_t badge_id,
                                            struct b_err *err);
struct service_issue_list {
    const char *name; /* of the file, for messages */
    const void *text; /* CSV as `badge bulk --out` writes it; only its column badge is needed */
    size_t n;
    enum b_csv_encoding encoding;
    struct service_mistakes *mistakes; /* NULL, or where what is wrong in the list is told */
};
struct service_issued {
    size_t count;
    size_t already; /* had been handed over: a list grows with each run */
};
/* The same for all badges of a list, or for none: B_E_BAD_INPUT names line and column. ref, where
 * it is given, must be that of the badge's holder. */
B_NODISCARD enum b_code service_stock_issue_list(struct service *sv,
                                                 const struct service_issue_list *list,
                                                 struct service_issued *ret, struct b_err *err);
/* What became of a badge, which is no longer taken from then on, or of blank cards of a batch:
 * kind, reason, and badge_id or batch_id with count are given. A badge that returned is suspended;
 * one that was destroyed or lost is revoked. B_E_BADGE_STATE: it is destroyed already;
 * B_E_BAD_INPUT: fewer cards are left. */
B_NODISCARD enum b_code service_stock_event(struct service *sv, struct store_card_event *event,
                                            struct b_err *err);

/* The same within a change, and asking for no second person. */
B_NODISCARD enum b_code service_note_batch(struct service_change *c, struct store_batch *batch,
                                           struct b_err *err);
B_NODISCARD enum b_code service_note_card_event(struct service_change *c,
                                                struct store_card_event *event, struct b_err *err);
/* B_E_QUORUM where it needs a second person (stock_proposed.c). */
B_NODISCARD enum b_code service_stock_refuse_batch(struct service *sv, const struct store_batch *b,
                                                   struct b_err *err);
B_NODISCARD enum b_code service_stock_refuse_event(struct service *sv,
                                                   const struct store_card_event *e,
                                                   struct b_err *err);

#endif
