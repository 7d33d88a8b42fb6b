/* Stations and people: how they come in, their certificates, their states. */
#ifndef TESSERE_SERVICE_PARTY_H
#define TESSERE_SERVICE_PARTY_H

#include "pki/pki.h"
#include "service/service.h"

enum {
    SERVICE_CODE_SECONDS = 24 * 3600,
    SERVICE_STATION_DAYS = 90, /* of a station's certificate: it renews by itself */
    SERVICE_PERSON_DAYS = 730,
};

/* B_E_BAD_INPUT, which says what it is, unless the text shows as it is written, on one line. */
B_NODISCARD enum b_code service_check_name(const char *what, const char *name, struct b_err *err);
/* The same of what something is known by: not empty, nor blanks alone. */
B_NODISCARD enum b_code service_check_named(const char *what, const char *name, struct b_err *err);

/* A new station, or a new one-time code for one (by its number). code: PKI_CODE_MAX of room. */
B_NODISCARD enum b_code service_station_add(struct service *sv, const struct pki_ca *ca,
                                            struct store_station *io, char *code,
                                            struct b_err *err);
B_NODISCARD enum b_code service_station_recode(struct service *sv, const struct pki_ca *ca,
                                               int64_t id, struct store_station *ret, char *code,
                                               struct b_err *err);
/* The code becomes a certificate (PEM, PKI_PEM_MAX of room), once. B_E_CODE_BAD when nobody has it.
 */
B_NODISCARD enum b_code service_station_enrol(struct service *sv, const struct pki_ca *ca,
                                              const char *code, const char *request,
                                              struct store_station *ret, char *pem,
                                              struct b_err *err);
/* A certificate for a station that has one; the former ends with the first use of the new one. */
B_NODISCARD enum b_code service_station_renew(struct service *sv, const struct pki_ca *ca,
                                              const struct store_station *station,
                                              const char *request, char *pem, struct b_err *err);
/* The station has used its renewed certificate. */
B_NODISCARD enum b_code service_station_adopt(struct service *sv, struct store_station *station,
                                              const uint8_t fingerprint[static 32],
                                              struct b_err *err);
/* Suspends (an active one), reinstates (a suspended one), ends a station. */
B_NODISCARD enum b_code service_station_state(struct service *sv, int64_t id,
                                              enum store_party_state to, const char *kind,
                                              struct store_station *ret, struct b_err *err);

/* A person with the certificate that they bring. Who may approve (SERVICE_APPROVERS) comes, goes
 * and is suspended by a quorum alone, once a roster is founded: B_E_QUORUM. */
B_NODISCARD enum b_code service_person_add(struct service *sv, const char *name, uint8_t roles,
                                           const char *cert_pem, struct store_person *ret,
                                           struct b_err *err);
B_NODISCARD enum b_code service_person_state(struct service *sv, int64_t id,
                                             enum store_party_state to, const char *kind,
                                             struct store_person *ret, struct b_err *err);
/* Whether somebody with these roles could be added, before a certificate is made for them. */
B_NODISCARD enum b_code service_person_may_add(struct service *sv, uint8_t roles,
                                               struct b_err *err);
/* The parts of these, for proposals that a quorum approved; the note functions in a change. */
B_NODISCARD enum b_code service_person_read(const char *name, uint8_t roles, const char *cert_pem,
                                            struct store_person *ret, struct b_err *err);
B_NODISCARD enum b_code service_person_find(struct store *s, const char *name,
                                            struct store_person *ret, struct b_err *err);
B_NODISCARD enum b_code service_note_person(struct service_change *c, struct store_person *io,
                                            const char *kind, struct b_err *err);
B_NODISCARD enum b_code service_note_person_state(struct service_change *c, struct store_person *io,
                                                  enum store_party_state to, const char *kind,
                                                  struct b_err *err);
/* "administrator", … and back: bits of a comma separated list, 0 when one is none. */
const char *service_role_name(enum store_role role);
uint8_t service_roles_from(const char *list);

#endif
