/*
 * ldap: reads the people of an LDAP directory or Active Directory, page by page (RFC 2696), through
 * libldap. It only reads; it must never learn what a badge is.
 */
#ifndef TESSERE_LDAP_PEOPLE_H
#define TESSERE_LDAP_PEOPLE_H

#include "base/base.h"

enum { LDAP_TEXT = 256, LDAP_FILTER = 1024, LDAP_GROUPS_MAX = 1500, LDAP_PAGE = 500 };

/* What of a person is read: the name of the attribute in the directory; "" is not asked for. */
enum ldap_field {
    LDAP_USER_NAME,
    LDAP_EXTERNAL_ID,
    LDAP_STAFF_NUMBER,
    LDAP_DISPLAY_NAME,
    LDAP_GIVEN_NAME,
    LDAP_FAMILY_NAME,
    LDAP_NATIONAL_ID,
    LDAP_DEPARTMENT,
    LDAP_GROUPS,
    LDAP_CONTROL, /* userAccountControl: bit 2 set is disabled */
    LDAP_EXPIRES, /* accountExpires: disabled from then on */
    LDAP_FIELDS
};

struct ldap_source {
    char url[LDAP_TEXT]; /* ldaps://, ldap:// (StartTLS, unless this machine), ldapi:// */
    char base[LDAP_TEXT], filter[LDAP_FILTER];
    char bind_dn[LDAP_TEXT];       /* "": as who asks, which only ldapi:// knows */
    char password_file[LDAP_TEXT]; /* its first line */
    char ca[LDAP_TEXT];            /* "": the machine's */
    char fields[LDAP_FIELDS][64];
    uint32_t page, timeout_s;
};

/* One person, or one group; text lives as long as the call. Values are UTF-8 as they came, cut to
 * LDAP_TEXT; a binary objectGUID is written as Microsoft writes it. */
struct ldap_person {
    char dn[LDAP_FILTER];
    char text[LDAP_FIELDS][LDAP_TEXT]; /* "" when there is none; not LDAP_GROUPS */
    const char *groups[LDAP_GROUPS_MAX];
    size_t group_count;
    bool is_disabled;    /* or expired */
    const char *missing; /* an attribute that decides and was not given, or not whole; or NULL */
};
/* fn for each of them; it returns false to stop, which is no error. */
typedef bool ldap_person_fn(void *ctx, const struct ldap_person *p);

/* A directory that was asked who we are; the source must outlive it. B_E_DIRECTORY_GONE,
 * B_E_DIRECTORY_CERT, B_E_CONFIG when the source cannot be used. To be closed in any case. */
struct ldap_dir;
B_NODISCARD enum b_code ldap_dir_open(const struct ldap_source *source, struct ldap_dir **ret,
                                      struct b_err *err);
void ldap_dir_close(struct ldap_dir *dir);
/* B_E_DIRECTORY_GONE when not all people were read. */
B_NODISCARD enum b_code ldap_people(struct ldap_dir *dir, ldap_person_fn *fn, void *ctx,
                                    struct b_err *err);
/* The entry of this distinguished name, with its identifier and its own groups. fn is not called
 * where there is none that we may see, or another directory has it. */
B_NODISCARD enum b_code ldap_group(struct ldap_dir *dir, const char *dn, ldap_person_fn *fn,
                                   void *ctx, struct b_err *err);
/* Whether a text is one address of a directory, and no list of them. */
bool ldap_is_one(const char *url);
/* Whether the way to it may do without TLS: a local socket, or this machine. */
bool ldap_is_local(const char *url);
/* Whether an accountExpires is over at this time. False: it is no number. */
B_NODISCARD bool ldap_expired(const char *text, int64_t now, bool *ret);
/* A binary objectGUID: for tests. */
void ldap_guid(const uint8_t guid[static 16], char ret[static 37]);
/* The value of the first part of a distinguished name ("cn=Nurses,…": "Nurses"). False: none. */
B_NODISCARD bool ldap_first_of(const char *dn, char *ret, size_t cap);

#endif
