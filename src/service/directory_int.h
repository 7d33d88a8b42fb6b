/* What people and groups of the directory share. Private to src/service/directory_*.c. */
#ifndef TESSERE_SERVICE_DIRECTORY_INT_H
#define TESSERE_SERVICE_DIRECTORY_INT_H

#include "service/directory.h"

/* Text of a document at the top of a schema; "" when there is none. Borrowed. */
const char *service_doc_text(const json_t *doc, enum scim_schema_no schema, const char *name);
/* Copies text that shows as it is written and has room. B_E_SCIM_VALUE. */
B_NODISCARD enum b_code service_doc_take(char *to, size_t cap, const char *what, const char *text,
                                         struct b_err *err);
/* *doc, as it is now, becomes what the body makes of it. */
B_NODISCARD enum b_code service_doc_change(const struct service_resource *io, json_t **doc,
                                           struct b_err *err);
/* B_E_SCIM_VERSION when doc is not the version that is asked for. */
B_NODISCARD enum b_code service_doc_check(const struct service_resource *io, const json_t *doc,
                                          struct b_err *err);

#endif
