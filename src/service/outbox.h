/*
 * outbox: what other systems are told of the journal's entries. events.def says which entries are
 * events, and what they are called outside. The letters are written in the transaction of the
 * change that they tell of; src/events delivers them.
 */
#ifndef TESSERE_SERVICE_OUTBOX_H
#define TESSERE_SERVICE_OUTBOX_H

#include "service/service.h"

/* The kind of a letter that ends a session at a relying party (OpenID Connect Back-Channel Logout):
 * it goes where its body says, to nobody who subscribed. */
#define SERVICE_LETTER_LOGOUT "logout"
/* The kind of one that says that a tap may be asked for (CIBA, ping). Both go where their body
 * says, to nobody who subscribed: a client, as whose subscriber they stand under a name with this
 * before it. */
#define SERVICE_LETTER_PING "ping"
#define SERVICE_LETTER_CLIENT "client "

enum service_event_form { SERVICE_EVENT_WEBHOOK, SERVICE_EVENT_CAEP };
struct service_event {
    const char *name;
    enum service_event_form form;
    const char *kind;
    bool is_granted;
    const char *change, *text;
};
/* The i-th row of events.def, NULL past the end. */
const struct service_event *service_event_at(size_t i);
/* The first row of that name, or NULL. */
const struct service_event *service_event_named(const char *name);

/* Letters for those who subscribed to what an entry tells; the entry was just written under this
 * number. */
B_NODISCARD enum b_code service_outbox_note(struct service_change *c, const struct service_entry *e,
                                            uint64_t index, struct b_err *err);

/* Who is told what, from now on; when it differs from what was so far, the journal tells it.
 * Letters that wait for who is not there any more become dead. */
B_NODISCARD enum b_code service_outbox_subscribe(struct service *sv,
                                                 const struct store_subscription *all, size_t count,
                                                 struct b_err *err);

/* A logout for one client of the OpenID provider, in a change. Texts are copied; sid or sub may be
 * "". B_E_BAD_INPUT when they are too long together. */
struct service_logout {
    const char *issuer, *client, *url, *sid, *sub;
};
B_NODISCARD enum b_code service_outbox_logout(struct service_change *c,
                                              const struct service_logout *l, struct b_err *err);

/* The same of a challenge: whoever asked for it learns that it may ask what came of it. */
struct service_ping {
    const char *client, *url, *token, *challenge;
};
B_NODISCARD enum b_code service_outbox_ping(struct service_change *c, const struct service_ping *p,
                                            struct b_err *err);

/* What became of an attempt: state, attempts, next_at and error of the letter are kept. One that is
 * dead is told in the journal. */
B_NODISCARD enum b_code service_outbox_told(struct service *sv, const struct store_letter *l,
                                            struct b_err *err);
/* A letter that waits or is dead is tried again at once, as if for the first time.
 * B_E_LETTER_DELIVERED. */
B_NODISCARD enum b_code service_outbox_retry(struct service *sv, int64_t id, struct b_err *err);
/* A letter that nobody needs any more is removed; the journal tells it. */
B_NODISCARD enum b_code service_outbox_drop(struct service *sv, int64_t id, struct b_err *err);
/* Removes letters that were delivered a week ago, those that are dead for three months, and the
 * oldest of a subscriber for whom more than 100,000 wait: a system that is away for long must not
 * fill the disk. Of those the journal tells how many. */
B_NODISCARD enum b_code service_outbox_forget(struct service *sv, struct b_err *err);

#endif
