/* The headers of an answer. */
#include <stdlib.h>
#include <string.h>

#include "http/http.h"

void http_answer_header(struct http_answer *a, const char *name, const char *value)
{
    char *copy = strdup(value);
    b_check(copy != NULL && a->header_count < HTTP_HEADERS_MAX);
    a->headers[a->header_count++] = (struct http_header){name, copy};
}

void http_answer_free_headers(struct http_answer *a)
{
    for (size_t i = 0; i < a->header_count; i++) {
        b_wipe(a->headers[i].value, strlen(a->headers[i].value)); /* cookies */
        free(a->headers[i].value);
    }
    a->header_count = 0;
}

enum b_code http_check_origin(const struct http_request *r, struct b_err *err)
{
    const char *origin = r->header != NULL ? r->header(r->query_ctx, "Origin") : NULL;
    const char *site = r->header != NULL ? r->header(r->query_ctx, "Sec-Fetch-Site") : NULL;
    bool is_page = origin != NULL || (site != NULL && strcmp(site, "none") != 0);
    return !is_page || strcmp(r->method, "GET") == 0
               ? B_OK
               : b_err_set(err, B_E_NOT_PERMITTED, 0, "a page may not ask for this");
}
