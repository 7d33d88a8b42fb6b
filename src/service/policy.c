#include "service/policy.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "policy/file.h"
#include "service/control.h"

static const char policy_setting[] = "policy";
static const char file_name[] = "policy.yaml";
static const char first_text[] =
    "# The badge alone, everywhere and always: see tessere-policy(5).\n"
    "rules:\n  - {group: \"\", factor: badge}\n";

struct in_force {
    struct policy rules;
    struct in_force *before;
};

/* Policies change a few times a year: those of before are kept, for calls that decide by them. */
struct service_policies {
    _Atomic(struct in_force *) now;
};

struct service_policies *service_policies_new(void)
{
    return calloc(1, sizeof(struct service_policies));
}

void service_policies_free(struct service_policies **p)
{
    struct in_force *f = *p != NULL ? atomic_load(&(*p)->now) : NULL;
    while (f != NULL) {
        struct in_force *before = f->before;
        free(f);
        f = before;
    }
    free(*p);
    *p = NULL;
}

/* --- what is in force --------------------------------------------------------------------------
 */

static struct policy default_policy;

static void make_default(void)
{
    policy_default(&default_policy);
}

static const struct in_force *now_of(const struct service *sv)
{
    return sv->policies != NULL ? atomic_load(&sv->policies->now) : NULL;
}

const struct policy *service_policy(const struct service *sv)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const struct in_force *f = now_of(sv);
    if (f != NULL)
        return &f->rules;
    (void)pthread_once(&once, make_default);
    return &default_policy;
}

enum b_code service_policy_use(struct service *sv, const char *text, struct b_err *err)
{
    struct in_force *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "taking a policy into use");
    enum b_code r = policy_file_read(file_name, text, strlen(text), &f->rules, err);
    if (r != B_OK || sv->policies == NULL) {
        free(f);
        return r;
    }
    service_text_digest(text, f->rules.digest);
    f->before = atomic_load(&sv->policies->now);
    while (!atomic_compare_exchange_weak(&sv->policies->now, &f->before, f))
        continue;
    return B_OK;
}

enum b_code service_policy_check(const char *text, struct b_err *err)
{
    struct service nobody = {.policies = NULL};
    if (strlen(text) >= SERVICE_TEXT_MAX)
        return b_err_set(err, B_E_TOO_LARGE, 0, "a policy holds less than %d bytes",
                         SERVICE_TEXT_MAX);
    return service_policy_use(&nobody, text, err);
}

enum b_code service_policy_missing(struct service *sv, const char *text, json_t *ret,
                                   struct b_err *err)
{
    static _Thread_local struct policy p;
    struct store_team ignored;
    enum b_code r = policy_file_read(file_name, text, strlen(text), &p, err);
    for (size_t i = 0; r == B_OK && i < p.team_count; i++) {
        r = store_team_by_name(sv->store, p.teams[i], &ignored, err);
        if (r == B_E_NOT_FOUND && json_array_append_new(ret, json_string(p.teams[i])) == 0)
            r = B_OK;
    }
    return r == B_E_NOT_FOUND ? b_err_set(err, B_E_NO_MEMORY, 0, "groups of a policy") : r;
}

/* --- finding it --------------------------------------------------------------------------------
 */

enum b_code service_note_policy(struct service_change *c, const char *text, const char *by,
                                struct b_err *err)
{
    char hex[SERVICE_DIGEST_HEX];
    service_text_digest(text, hex);
    enum b_code r = service_text_keep(c, text, err);
    if (r == B_OK)
        r = service_setting_put(c, policy_setting, hex, strlen(hex), err);
    if (r != B_OK)
        return r;
    return service_log(
        c,
        (struct service_entry){.kind = "policy",
                               .detail = json_pack("{s:s, s:s}", "digest", hex, "by", by)},
        err);
}

struct adoption {
    const char *text, *by;
};

static enum b_code note_adoption(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct adoption *a = ctx;
    return service_note_policy(c, a->text, a->by, err);
}

static enum b_code adopt(struct service *sv, const char *text, const char *by, struct b_err *err)
{
    struct adoption a = {text, by};
    enum b_code r = service_policy_check(text, err);
    return r == B_OK ? service_change(sv, note_adoption, &a, err) : r;
}

/* The token says which one. A change that it knows and the store does not was cut between the two:
 * its text is there since it was proposed. */
static enum b_code find_approved(struct service *sv, const struct vault_anchors *a,
                                 const char *noted, char *text, struct b_err *err)
{
    char hex[SERVICE_DIGEST_HEX];
    b_hex(hex, a->policy, sizeof(a->policy));
    enum b_code r = service_text_find(sv->store, hex, text, err);
    if (r != B_OK)
        return b_err_wrap(err, "the tap policy that was approved");
    return strcmp(noted, hex) != 0 ? adopt(sv, text, "token", err) : B_OK;
}

enum b_code service_policy_text(struct service *sv, char *text, struct b_err *err)
{
    char noted[SERVICE_DIGEST_HEX];
    enum b_code r = service_setting_text(sv->store, policy_setting, noted, sizeof(noted), err);
    text[0] = '\0';
    return r == B_OK && noted[0] != '\0' ? service_text_find(sv->store, noted, text, err) : r;
}

enum b_code service_policy_open(struct service *sv, const char *file, bool *ret_is_refused,
                                struct b_err *err)
{
    static _Thread_local char text[SERVICE_TEXT_MAX];
    char noted[SERVICE_DIGEST_HEX];
    struct vault_anchors a;
    *ret_is_refused = false;
    enum b_code r = vault_anchors(sv->vault, &a, err);
    if (r == B_OK)
        r = service_setting_text(sv->store, policy_setting, noted, sizeof(noted), err);
    if (r != B_OK)
        return r;
    if (a.has_policy) {
        r = find_approved(sv, &a, noted, text, err);
        *ret_is_refused = r == B_OK && file != NULL && strcmp(file, text) != 0;
        return r == B_OK ? service_policy_use(sv, text, err) : r;
    }
    r = service_policy_text(sv, text, err);
    const char *chosen = text;
    const char *by = NULL;
    if (file != NULL && (noted[0] == '\0' || strcmp(file, text) != 0)) {
        chosen = file;
        by = "file";
    } else if (noted[0] == '\0') {
        chosen = first_text;
        by = "init";
    }
    if (r == B_OK && by != NULL)
        r = adopt(sv, chosen, by, err);
    return r == B_OK ? service_policy_use(sv, chosen, err) : r;
}

enum b_code service_policy_follow(struct service *sv, struct b_err *err)
{
    char noted[SERVICE_DIGEST_HEX];
    bool ignored = false;
    enum b_code r = service_setting_text(sv->store, policy_setting, noted, sizeof(noted), err);
    if (r != B_OK || strcmp(noted, service_policy(sv)->digest) == 0)
        return r;
    return service_policy_open(sv, NULL, &ignored, err);
}
