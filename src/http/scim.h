/* What the handlers of SCIM share. Private to src/http/scim*.c. */
#ifndef TESSERE_HTTP_SCIM_H
#define TESSERE_HTTP_SCIM_H

#include "http/http.h"

enum { HTTP_SCIM_PAGE = 200, HTTP_SCIM_OPERATIONS = 100, HTTP_SCIM_BASE = 160 };

/* Before /Users: as the peer calls this server. Returns ret. */
const char *http_scim_base(const struct http_call *c, char ret[static HTTP_SCIM_BASE]);

#endif
