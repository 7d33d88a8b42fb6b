/* tessere-agent confirm: what waits for a tap on this station, asked at a terminal. */
#ifndef TESSERE_AGENT_CONFIRM_H
#define TESSERE_AGENT_CONFIRM_H

#include "agent/agent.h"

/* Until the person ends it. language: fr, en, or NULL: the terminal's. The agent of this station,
 * which runs already, must have its socket where the configuration says. B_E_AGENT_GONE. */
B_NODISCARD enum b_code agent_confirm(const struct agent_config *c, const char *language,
                                      struct b_err *err);

#endif
