/* What can be proposed: the rows of action.def. Private to src/service. */
#ifndef TESSERE_SERVICE_ACTION_H
#define TESSERE_SERVICE_ACTION_H

#include "service/control.h"

struct service_proposing {
    const char *operands, *text;         /* as they were given; "" */
    const char *roster;                  /* in force */
    char argument[SERVICE_ARGUMENT_MAX]; /* what will be, exactly, on one line */
    char kept[SERVICE_TEXT_MAX];         /* a text whose digest the argument begins with, or "" */
};
struct service_carrying {
    struct store_proposal *proposal;
    const char *argument;
    const char *kept; /* the text of its digest, or "" */
    const struct vault_key *key;
    const uint8_t *receipt;
    const struct profile *profile; /* of the badges */
};

struct service_action {
    const char *name, *operands, *text;
    enum b_code (*prepare)(struct service *sv, struct service_proposing *k, struct b_err *err);
    enum b_code (*act)(struct service_change *c, const struct service_carrying *k,
                       struct b_err *err);
};
/* What gains or loses cards (stock_proposed.c): rows of action.def. */
B_NODISCARD enum b_code service_prepare_receive(struct service *sv, struct service_proposing *k,
                                                struct b_err *err);
B_NODISCARD enum b_code service_act_receive(struct service_change *c,
                                            const struct service_carrying *k, struct b_err *err);
B_NODISCARD enum b_code service_prepare_out(struct service *sv, struct service_proposing *k,
                                            struct b_err *err);
B_NODISCARD enum b_code service_act_destroy(struct service_change *c,
                                            const struct service_carrying *k, struct b_err *err);
B_NODISCARD enum b_code service_act_lose(struct service_change *c, const struct service_carrying *k,
                                         struct b_err *err);

/* The row whose name is the first word of `what`, or NULL. */
const struct service_action *service_action_find(const char *what);
/* All of them, for a person who typed none. */
void service_action_list(char *text, size_t cap);
/* The digest with which the argument of a proposal begins, or false: no text belongs to it. */
B_NODISCARD bool service_action_digest(const struct service_action *a, const char *argument,
                                       char hex[static SERVICE_DIGEST_HEX]);

#endif
