/* A request to the API, as far as HTTP has parsed it: "WHO METHOD PATH[?QUERY]\nBODY", WHO being
 * 0, 1 or 2. Whatever it is, there is an answer in JSON, and the vault is not sent nonsense. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_server.h"

static char head[256], method[16], url[200], query_text[200], value[200];

static const char *query(void *ctx, const char *name)
{
    (void)ctx;
    size_t n = strlen(name);
    for (const char *at = query_text; *at != '\0'; at += strcspn(at, "&"), at += *at == '&') {
        if (strncmp(at, name, n) != 0 || at[n] != '=')
            continue;
        memset(value, 0, sizeof(value));
        return memcpy(value, at + n + 1, strcspn(at + n + 1, "&"));
    }
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
    size_t n = end != NULL ? (size_t)(end - data) : 0;
    unsigned who = 0;
    if (n == 0 || n >= sizeof(head) || size - n - 1 > HTTP_BODY_MAX)
        return 0;
    memcpy(head, data, n);
    head[n] = query_text[0] = '\0';
    if (sscanf(head, "%1u %15s %199[^?]?%199s", &who, method, url, query_text) < 3)
        return 0;
    struct http_request r = {
        method, url, "application/json", "fr", NULL, query, NULL, NULL, 0, false, NULL, NULL};
    struct http_answer answer = {.status = 0};
    bool is_too_long = data[size - 1] == 0; /* the server gives no body then */
    r.body = is_too_long ? NULL : (const char *)data + n + 1;
    r.body_len = is_too_long ? 0 : size - n - 1;
    r.idempotency = who >= FAKE_CALLER_COUNT ? "key" : NULL;
    http_carry_out(fake_server(), fake_peer(who % FAKE_CALLER_COUNT), &r, &answer);
    b_check(answer.status >= 200 && answer.text != NULL);
    http_answer_free_headers(&answer);
    free(answer.text);
    return 0;
}
