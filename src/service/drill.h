/* Drills: the newest copy was restored in isolation; what came of it, and how long it took, is an
 * entry of the journal. */
#ifndef TESSERE_SERVICE_DRILL_H
#define TESSERE_SERVICE_DRILL_H

#include "service/backup.h"

struct service_drill {
    char copy[SERVICE_COPY_NAME];
    int64_t at;
    uint64_t rto_ms;      /* from the command to the badge that was granted */
    uint64_t rpo_s;       /* how old the copy was */
    uint64_t rpo_entries; /* of the journal that it lacked */
    unsigned masters; /* that came back from the shares, each with its check value; 0: not tried */
    bool has_tapped;  /* a badge was encoded and granted by them */
    unsigned sample;  /* badges for which they make the key that the establishment's token makes */
    bool is_partial;  /* the copy has masters, which were left out: the next drill stays due */
};
/* Draws some badges of the restored establishment and compares the check value of the key by which
 * each taps with what the live one's vault makes of it. *ret: how many could be compared; none
 * where those keys stay in the token. B_E_KCV_DIFFERS names the first badge that differs. */
B_NODISCARD enum b_code service_drill_sample(struct service *live, struct service *restored,
                                             unsigned *ret, struct b_err *err);
B_NODISCARD enum b_code service_drill_note(struct service *sv, const struct service_drill *d,
                                           uint64_t *ret_entry, struct b_err *err);
/* All that were held, oldest first. fn returns false to end. */
typedef bool service_drill_fn(void *ctx, const struct service_drill *d);
B_NODISCARD enum b_code service_drill_each(struct store *s, service_drill_fn *fn, void *ctx,
                                           struct b_err *err);
/* When the last one that left nothing out was held; 0: never. */
B_NODISCARD enum b_code service_drill_last(struct store *s, int64_t *ret, struct b_err *err);

#endif
