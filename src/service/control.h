/*
 * What dual control rests on: texts that are kept under their digests, the roster of approvers, and
 * the question whether a quorum is needed. Which roster and which policy are in force is known by
 * the token (vault_anchors); the store only holds their texts. Private to src/service.
 *
 *   setting text:<digest>   a roster, a policy, a certificate that was proposed
 *   setting roster, policy  the digest of the one in force
 */
#ifndef TESSERE_SERVICE_CONTROL_H
#define TESSERE_SERVICE_CONTROL_H

#include "service/service.h"

enum { SERVICE_DIGEST_HEX = 65, SERVICE_ROSTER_MAX = 4096 };

/* SHA-256 of a text, in hexadecimal. */
void service_text_digest(const char *text, char hex[static SERVICE_DIGEST_HEX]);
/* In a change. B_E_TOO_LARGE over SERVICE_TEXT_MAX bytes. */
B_NODISCARD enum b_code service_text_keep(struct service_change *c, const char *text,
                                          struct b_err *err);
/* The text of this digest, SERVICE_TEXT_MAX of room. B_E_STORE_CORRUPT when it is not there, or is
 * another: somebody put the store back, or edited it. */
B_NODISCARD enum b_code service_text_find(struct store *s, const char *hex, char *text,
                                          struct b_err *err);
/* A small setting as text, "" when there is none. */
B_NODISCARD enum b_code service_setting_text(struct store *s, const char *name, char *text,
                                             size_t cap, struct b_err *err);

/* Every active administrator and custodian, as a roster. */
B_NODISCARD enum b_code service_roster_write(struct service *sv, unsigned quorum, char *text,
                                             struct b_err *err);
/* The roster in force, by the token; SERVICE_TEXT_MAX of room. B_E_QUORUM when none was founded. */
B_NODISCARD enum b_code service_roster_read(struct service *sv, char *text, struct b_err *err);
unsigned service_roster_quorum(const char *text);
bool service_roster_has(const char *text, const struct store_person *p);
/* In a change: this is the roster now. */
B_NODISCARD enum b_code service_note_roster(struct service_change *c, const char *text,
                                            struct b_err *err);

/* B_E_QUORUM once a roster is founded: `what` is then proposed, not done. In a change or out of it.
 */
B_NODISCARD enum b_code service_refuse_alone(struct store *s, const char *what, struct b_err *err);

#endif
