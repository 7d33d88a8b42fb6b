/*
 * The tap policy in force. Until a roster of approvers is founded it is the file policy.yaml of
 * whoever runs the server; from then on the one whose digest a quorum approved, by the token's
 * word, with its text in the store: a file that differs counts for nothing. Every change is in the
 * journal, and every tap names the policy that decided it.
 */
#ifndef TESSERE_SERVICE_POLICY_H
#define TESSERE_SERVICE_POLICY_H

#include "service/service.h"

/* What all threads decide by. */
struct service_policies;
struct service_policies *service_policies_new(void);
void service_policies_free(struct service_policies **p);

/* The rules in force; what one call decides by stays as long as the service. */
const struct policy *service_policy(const struct service *sv);

/* Finds the policy in force and takes it into use. file: the text of policy.yaml, or NULL where
 * there is none. *ret_is_refused: the file is not the policy that was approved. Needs the vault. */
B_NODISCARD enum b_code service_policy_open(struct service *sv, const char *file,
                                            bool *ret_is_refused, struct b_err *err);
/* The same when the store names another than the one in use: another process, or another server,
 * has changed it. To be called now and then. */
B_NODISCARD enum b_code service_policy_follow(struct service *sv, struct b_err *err);
/* The text in force, SERVICE_TEXT_MAX of room; "" before there is one. */
B_NODISCARD enum b_code service_policy_text(struct service *sv, char *text, struct b_err *err);
/* B_E_CONFIG when it is no policy. */
B_NODISCARD enum b_code service_policy_check(const char *text, struct b_err *err);
/* The groups that this policy names and the directory does not have: their names, in ret, which is
 * a list of them. */
B_NODISCARD enum b_code service_policy_missing(struct service *sv, const char *text, json_t *ret,
                                               struct b_err *err);
/* In a change: this is the policy now. by: "init", "file", "token", "proposal". */
B_NODISCARD enum b_code service_note_policy(struct service_change *c, const char *text,
                                            const char *by, struct b_err *err);
/* After the change. */
B_NODISCARD enum b_code service_policy_use(struct service *sv, const char *text, struct b_err *err);

#endif
