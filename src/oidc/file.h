/* The relying parties' file, named in server.yaml: tessere-signon(5). */
#ifndef TESSERE_OIDC_FILE_H
#define TESSERE_OIDC_FILE_H

#include "oidc/client.h"

/* Parses text of the file `path`, which stands in errors; secrets in files of their own lie beside
 * it. B_E_CONFIG names file, client and field. */
B_NODISCARD enum b_code oidc_clients_parse(const char *path, const char *text, size_t n,
                                           struct oidc_clients *ret, struct b_err *err);
B_NODISCARD enum b_code oidc_clients_read(const char *path, struct oidc_clients *ret,
                                          struct b_err *err);
/* Whether the file can be used, and the files of secrets that it names are closed to others.
 * B_E_CONFIG, B_E_KEY_FILE. */
B_NODISCARD enum b_code oidc_clients_check(const char *path, struct b_err *err);

#endif
