/* directory.yaml: what becomes of who leaves, and the LDAP directory that is read. */
#ifndef TESSERE_SERVICE_DIRECTORY_CONFIG_H
#define TESSERE_SERVICE_DIRECTORY_CONFIG_H

#include "ldap/people.h"
#include "service/service.h"

struct service_directory_config {
    struct service_directory_rules rules;
    bool has_ldap;
    struct ldap_source ldap;
    unsigned least; /* fewer people than so many are not a directory's answer; 1 */
};
/* Defaults where there is no file. B_E_CONFIG names file and line. */
B_NODISCARD enum b_code service_directory_config_read(const char *home,
                                                      struct service_directory_config *ret,
                                                      struct b_err *err);

#endif
