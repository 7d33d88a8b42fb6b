#include "service/party.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "service/control.h"
#include "service/relay.h"

static const char *const role_names[] = {"administrator", "operator", "custodian", "auditor"};

const char *service_role_name(enum store_role role)
{
    for (size_t i = 0; i < B_COUNT(role_names); i++)
        if (1u << i == (unsigned)role)
            return role_names[i];
    return "?";
}

uint8_t service_roles_from(const char *list)
{
    unsigned roles = 0;
    while (*list != '\0') {
        size_t n = strcspn(list, ",");
        unsigned role = 0;
        for (size_t i = 0; i < B_COUNT(role_names); i++)
            if (strlen(role_names[i]) == n && strncmp(role_names[i], list, n) == 0)
                role = 1u << i;
        if (role == 0)
            return 0;
        roles |= role;
        list += n;
        list += *list == ',';
    }
    return (uint8_t)roles;
}

enum b_code service_check_name(const char *what, const char *name, struct b_err *err)
{
    return b_text_is_name(name)
               ? B_OK
               : b_err_set(err, B_E_BAD_INPUT, 0,
                           "%s: a name on one line, without control characters or marks that turn "
                           "or hide what stands beside them",
                           b_err_word(what));
}

enum b_code service_check_named(const char *what, const char *name, struct b_err *err)
{
    return strspn(name, " ") != strlen(name)
               ? service_check_name(what, name, err)
               : b_err_set(err, B_E_BAD_INPUT, 0, "%s is empty", b_err_word(what));
}

/* --- stations ----------------------------------------------------------------------------------
 */

struct station_work {
    struct store_station *station;
    const char *kind;
    const uint8_t *code;        /* digest of the one-time code that must fit, or NULL */
    const uint8_t *fingerprint; /* of its new certificate */
    enum store_party_state to;
    int64_t expires;
};

static enum b_code put_station(struct service_change *c, const struct station_work *k,
                               struct b_err *err)
{
    k->station->changed_at = c->now;
    enum b_code r = store_station_put(c->store, k->station, err);
    return r == B_OK
               ? service_log(c, (struct service_entry){.kind = k->kind, .station = k->station}, err)
               : r;
}

static enum b_code note_station(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct station_work *k = ctx;
    if (k->station->id == 0)
        k->station->created_at = c->now;
    return put_station(c, k, err);
}

static enum b_code give_code(const struct pki_ca *ca, struct store_station *t, char *code,
                             struct b_err *err)
{
    enum b_code r = pki_code_make(pki_ca_pem(ca), code, t->code, err);
    t->code_expires = service_now() + SERVICE_CODE_SECONDS;
    return r;
}

enum b_code service_station_add(struct service *sv, const struct pki_ca *ca,
                                struct store_station *io, char *code, struct b_err *err)
{
    struct station_work k = {.station = io, .kind = "station-add"};
    enum b_code r = service_check_named("the station's name", io->name, err);
    if (r == B_OK)
        r = service_check_name("the station's group", io->group, err);
    if (r == B_OK)
        r = service_check_name("the station's zone", io->zone, err);
    if (r == B_OK)
        r = give_code(ca, io, code, err);
    return r == B_OK ? service_change(sv, note_station, &k, err) : r;
}

/* The rest of the row is as it is now: a revocation that came meanwhile stands. */
static enum b_code note_code(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct station_work *k = ctx;
    struct store_station *t = k->station;
    enum b_code r = store_station_by_id(c->store, t->id, t, err);
    if (r != B_OK)
        return r;
    memcpy(t->code, k->code, sizeof(t->code));
    t->code_expires = k->expires;
    return put_station(c, k, err);
}

enum b_code service_station_recode(struct service *sv, const struct pki_ca *ca, int64_t id,
                                   struct store_station *ret, char *code, struct b_err *err)
{
    struct store_station made = {.id = id};
    struct station_work k = {.station = ret, .kind = "station-code", .code = made.code};
    enum b_code r = give_code(ca, &made, code, err);
    k.expires = made.code_expires;
    ret->id = id;
    return r == B_OK ? service_change(sv, note_code, &k, err) : r;
}

/* The code is looked up again where it is used up: of two that bring it, one gets the station. */
static enum b_code note_enrolled(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct station_work *k = ctx;
    struct store_station *t = k->station;
    enum b_code r = store_station_by_code(c->store, k->code, t, err);
    if (r == B_E_NOT_FOUND || (r == B_OK && t->code_expires <= c->now))
        return b_err_set(err, B_E_CODE_BAD, 0, "it was used, has expired, or is nobody's");
    if (r != B_OK)
        return r;
    memset(t->code, 0, sizeof(t->code));
    memset(t->next, 0, sizeof(t->next));
    memcpy(t->fingerprint, k->fingerprint, sizeof(t->fingerprint));
    t->code_expires = 0;
    t->cert_expires = k->expires;
    if (t->state == STORE_PARTY_ENDED) /* the code was given after that */
        t->state = STORE_PARTY_ACTIVE;
    return put_station(c, k, err);
}

static enum b_code issue(const struct pki_ca *ca, const char *name, const char *request, char *pem,
                         struct pki_cert *cert, struct b_err *err)
{
    const struct pki_wanted w = {.kind = PKI_STATION,
                                 .name = name,
                                 .now = service_now(),
                                 .seconds = SERVICE_STATION_DAYS * INT64_C(86400)};
    enum b_code r = pki_issue(ca, &w, request, pem, PKI_PEM_MAX, err);
    return r == B_OK ? pki_cert_read(pem, cert, err) : r;
}

enum b_code service_station_enrol(struct service *sv, const struct pki_ca *ca, const char *code,
                                  const char *request, struct store_station *ret, char *pem,
                                  struct b_err *err)
{
    uint8_t digest[32];
    uint8_t pin[PKI_CODE_PIN];
    struct pki_cert cert;
    struct station_work k = {
        .station = ret, .kind = "station-enrol", .code = digest, .fingerprint = cert.fingerprint};
    enum b_code r = pki_code_parse(code, digest, pin, err);
    if (r == B_OK)
        r = store_station_by_code(sv->store, digest, ret, err);
    if (r == B_E_NOT_FOUND)
        r = b_err_set(err, B_E_CODE_BAD, 0, "it was used, has expired, or is nobody's");
    if (r == B_OK)
        r = issue(ca, ret->name, request, pem, &cert, err);
    if (r != B_OK)
        return r;
    k.expires = cert.not_after;
    return service_change(sv, note_enrolled, &k, err);
}

static enum b_code note_renewed(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct station_work *k = ctx;
    struct store_station *t = k->station;
    enum b_code r = store_station_by_id(c->store, t->id, t, err);
    if (r != B_OK)
        return r;
    memcpy(t->next, k->fingerprint, sizeof(t->next));
    return put_station(c, k, err);
}

enum b_code service_station_renew(struct service *sv, const struct pki_ca *ca,
                                  const struct store_station *station, const char *request,
                                  char *pem, struct b_err *err)
{
    struct pki_cert cert;
    struct store_station t = *station;
    struct station_work k = {
        .station = &t, .kind = "station-renew", .fingerprint = cert.fingerprint};
    enum b_code r = issue(ca, t.name, request, pem, &cert, err);
    return r == B_OK ? service_change(sv, note_renewed, &k, err) : r;
}

static enum b_code note_adopted(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct station_work *k = ctx;
    struct store_station *t = k->station;
    enum b_code r = store_station_by_id(c->store, t->id, t, err);
    if (r != B_OK || !b_ct_eq(t->next, k->fingerprint, sizeof(t->next)))
        return r; /* another of its connections was first */
    memcpy(t->fingerprint, t->next, sizeof(t->fingerprint));
    memset(t->next, 0, sizeof(t->next));
    t->cert_expires = k->expires;
    return put_station(c, k, err);
}

enum b_code service_station_adopt(struct service *sv, struct store_station *station,
                                  const uint8_t fingerprint[static 32], struct b_err *err)
{
    /* What was issued lasts as long as from its issue, which was before now. */
    struct station_work k = {.station = station,
                             .kind = "station-adopt",
                             .fingerprint = fingerprint,
                             .expires = service_now() + SERVICE_STATION_DAYS * INT64_C(86400)};
    return service_change(sv, note_adopted, &k, err);
}

static bool may_become(enum store_party_state from, enum store_party_state to)
{
    return to == STORE_PARTY_ENDED    ? from != STORE_PARTY_ENDED
           : to == STORE_PARTY_ACTIVE ? from == STORE_PARTY_SUSPENDED
                                      : from == STORE_PARTY_ACTIVE;
}

static enum b_code note_station_state(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct station_work *k = ctx;
    struct store_station *t = k->station;
    enum b_code r = store_station_by_id(c->store, t->id, t, err);
    if (r != B_OK)
        return r;
    if (!may_become(t->state, k->to))
        return b_err_set(err, B_E_BADGE_STATE, 0, "station %s is %s", t->name,
                         b_err_word(store_party_state_name(t->state)));
    t->state = k->to;
    if (k->to != STORE_PARTY_ACTIVE) { /* what was handed out before opens nothing any more */
        memset(t->code, 0, sizeof(t->code));
        memset(t->next, 0, sizeof(t->next));
        t->code_expires = 0;
    }
    return put_station(c, k, err);
}

enum b_code service_station_state(struct service *sv, int64_t id, enum store_party_state to,
                                  const char *kind, struct store_station *ret, struct b_err *err)
{
    struct station_work k = {.station = ret, .kind = kind, .to = to};
    ret->id = id;
    return service_change(sv, note_station_state, &k, err);
}

/* --- people ------------------------------------------------------------------------------------
 */

static enum b_code put_person(struct service_change *c, struct store_person *p, const char *kind,
                              struct b_err *err)
{
    p->changed_at = c->now;
    enum b_code r = store_person_put(c->store, p, err);
    return r == B_OK ? service_log(c, (struct service_entry){.kind = kind, .person = p}, err) : r;
}

enum b_code service_person_read(const char *name, uint8_t roles, const char *cert_pem,
                                struct store_person *ret, struct b_err *err)
{
    struct pki_cert cert;
    enum b_code r = service_check_named("the person's name", name, err);
    if (r == B_OK)
        r = pki_cert_read(cert_pem, &cert, err);
    if (r == B_OK && !cert.is_p256)
        r = b_err_set(err, B_E_CERT_BAD, 0,
                      "a person's key must be P-256: approvals are signed by it");
    if (r != B_OK)
        return r;
    *ret = (struct store_person){.roles = roles, .cert_expires = cert.not_after};
    (void)snprintf(ret->name, sizeof(ret->name), "%s", name);
    memcpy(ret->fingerprint, cert.fingerprint, sizeof(ret->fingerprint));
    memcpy(ret->key, cert.point, sizeof(ret->key));
    return B_OK;
}

enum b_code service_note_person(struct service_change *c, struct store_person *io, const char *kind,
                                struct b_err *err)
{
    io->created_at = c->now;
    return put_person(c, io, kind, err);
}

enum b_code service_note_person_state(struct service_change *c, struct store_person *io,
                                      enum store_party_state to, const char *kind,
                                      struct b_err *err)
{
    if (!may_become(io->state, to))
        return b_err_set(err, B_E_BADGE_STATE, 0, "%s is %s", io->name,
                         b_err_word(store_party_state_name(io->state)));
    io->state = to;
    return put_person(c, io, kind, err);
}

struct search {
    const char *name;
    struct store_person *ret;
    bool is_found;
};

static bool compare_name(void *ctx, const struct store_person *p)
{
    struct search *k = ctx;
    k->is_found = strcmp(p->name, k->name) == 0;
    if (k->is_found)
        *k->ret = *p;
    return !k->is_found;
}

enum b_code service_person_find(struct store *s, const char *name, struct store_person *ret,
                                struct b_err *err)
{
    struct search k = {.name = name, .ret = ret};
    *ret = (struct store_person){.id = 0};
    enum b_code r = store_person_each(s, 0, compare_name, &k, err);
    return r == B_OK && !k.is_found
               ? b_err_set(err, B_E_NOT_FOUND, 0, "nobody is registered as %.64s", name)
               : r;
}

/* --- people, by one person alone: nobody who may approve ---------------------------------------
 */

static bool count_administrators(void *ctx, const struct store_person *p)
{
    *(unsigned *)ctx +=
        p->state == STORE_PARTY_ACTIVE && (p->roles & STORE_ROLE_ADMINISTRATOR) != 0;
    return true;
}

/* Two administrators can found the roster; from there on nobody joins or leaves the approvers by
 * one person's word. */
static enum b_code refuse_approver(struct service_change *c, const struct store_person *p,
                                   const char *what, struct b_err *err)
{
    unsigned administrators = 0;
    if ((p->roles & SERVICE_APPROVERS) == 0)
        return B_OK;
    enum b_code r = service_refuse_alone(c->store, what, err);
    if (r != B_OK || p->id != 0 || (p->roles & STORE_ROLE_ADMINISTRATOR) == 0)
        return r;
    r = store_person_each(c->store, 0, count_administrators, &administrators, err);
    return r == B_OK && administrators >= 2
               ? b_err_set(err, B_E_QUORUM, 0,
                           "two administrators are registered: have them found the roster "
                           "(tessere roster found), then propose the next")
               : r;
}

static enum b_code note_person_alone(struct service_change *c, void *ctx, struct b_err *err)
{
    struct store_person *p = ctx;
    enum b_code r = refuse_approver(c, p, "person-add ROLES NAME", err);
    return r == B_OK ? service_note_person(c, p, "person-add", err) : r;
}

enum b_code service_person_add(struct service *sv, const char *name, uint8_t roles,
                               const char *cert_pem, struct store_person *ret, struct b_err *err)
{
    enum b_code r = service_person_read(name, roles, cert_pem, ret, err);
    return r == B_OK ? service_change(sv, note_person_alone, ret, err) : r;
}

enum b_code service_person_may_add(struct service *sv, uint8_t roles, struct b_err *err)
{
    const struct store_person p = {.roles = roles};
    struct service_change c = {.store = sv->store};
    return refuse_approver(&c, &p, "person-add ROLES NAME", err);
}

struct person_work {
    struct store_person *person;
    const char *kind;
    enum store_party_state to;
};

static enum b_code note_person_state_alone(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct person_work *k = ctx;
    struct store_person *p = k->person;
    char what[160];
    enum b_code r = store_person_by_id(c->store, p->id, p, err);
    (void)snprintf(what, sizeof(what), "%s %s", k->kind, p->name);
    if (r == B_OK)
        r = refuse_approver(c, p, what, err);
    return r == B_OK ? service_note_person_state(c, p, k->to, k->kind, err) : r;
}

enum b_code service_person_state(struct service *sv, int64_t id, enum store_party_state to,
                                 const char *kind, struct store_person *ret, struct b_err *err)
{
    struct person_work k = {.person = ret, .kind = kind, .to = to};
    ret->id = id;
    return service_change(sv, note_person_state_alone, &k, err);
}
