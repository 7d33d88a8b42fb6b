/*
 * hooks: programs of the station that run after each tap: tessere-agent(1), HOOKS. They run one
 * after the other in a thread of their own, so that no reader waits for them, with an environment
 * that has the outcome and nothing of the agent's, the assertion on their standard input, and a
 * time after which they are killed. What somebody else could have written is not run.
 */
#ifndef TESSERE_AGENT_HOOKS_H
#define TESSERE_AGENT_HOOKS_H

#include "agent/agent.h"

struct agent_hooks;
/* say: gets a line about a hook that is refused, fails or is killed; from the hooks' thread. */
B_NODISCARD enum b_code agent_hooks_new(const struct agent_hooks_config *c,
                                        void (*say)(const char *line), struct agent_hooks **ret,
                                        struct b_err *err);
void agent_hooks_set(struct agent_hooks *h, const struct agent_hooks_config *c);
/* Never waits: when too many outcomes are before it, this one is dropped and said so. */
void agent_hooks_run(struct agent_hooks *h, const char *station, const char *reader,
                     const struct agent_outcome *o);
/* The same of what waits for a tap here, which no person is named in. */
void agent_hooks_challenge(struct agent_hooks *h, const char *station, const char *challenge,
                           const char *party, const char *text);
/* Outcomes that wait still have their hooks run, for ten seconds at most. */
void agent_hooks_free(struct agent_hooks **h);

/* Whether a file or directory may be trusted to run: a regular file that can be executed, or a
 * directory, of root's or the agent's user, that nobody else may write. NULL: it may; else why not.
 */
struct stat;
const char *agent_hook_fault(const struct stat *s, bool is_directory);
/* Letters, digits, '-' and '_', as run-parts(8) has it: not what editors and packages leave. */
bool agent_hook_is_name(const char *name);

#endif
