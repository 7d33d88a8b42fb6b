/*
 * follow: what waits for a tap on this station, as the server has it (docs/api.md), for the
 * programs on the socket and for hooks; and what people say to it, carried out. Two threads, each
 * with a connection of its own, which cost no tap anything. Nothing is asked while nobody wants to
 * know.
 */
#ifndef TESSERE_AGENT_FOLLOW_H
#define TESSERE_AGENT_FOLLOW_H

#include "agent/local.h"

struct agent_follow;
/* live and l are borrowed, news is copied: told of each challenge that is new, from a thread. */
B_NODISCARD enum b_code agent_follow_start(struct agent_live *live, struct agent_local *l,
                                           const struct agent_news *news, struct agent_follow **ret,
                                           struct b_err *err);
/* Within a second or so. */
void agent_follow_stop(struct agent_follow **f);

#endif
