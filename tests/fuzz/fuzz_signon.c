/* A request to the listener of browsers: "METHOD PATH[?QUERY]\nCOOKIE\nAUTHORIZATION\nBODY".
 * Whatever it is, there is an answer, no page has text of the request as markup, and nobody is sent
 * elsewhere than to a relying party. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_server.h"
#include "http/signon.h"

static char line[3][6000];

static const char *header(void *ctx, const char *name)
{
    (void)ctx;
    static const struct {
        const char *name, *value;
    } same[] = {{"Origin", "https://op.example"}, {"Sec-Fetch-Site", "same-origin"}};
    for (size_t i = 0; i < B_COUNT(same); i++)
        if (strcmp(same[i].name, name) == 0)
            return same[i].value;
    if (strcmp(name, "Cookie") == 0)
        return line[1];
    return strcmp(name, "Authorization") == 0 && line[2][0] != '\0' ? line[2] : NULL;
}

static void set_up(struct http_server *s)
{
    static const char text[] =
        "clients:\n"
        "- {id: ehr, name: {fr: \"D<&>'\"}, redirect-uris: ['https://rp.example/cb'],\n"
        "   post-logout-redirect-uris: ['https://rp.example/bye'], public: true}\n";
    static struct http_config config = {
        .signon = {.issuer = "https://op.example", .station_url = "https://kms.example"}};
    static struct http_book *book;
    struct b_err err;
    char path[] = "/tmp/tessere-fuzz-XXXXXX";
    if (book != NULL)
        return;
    int fd = mkstemp(path);
    b_check(fd >= 0 && write(fd, text, sizeof(text) - 1) == sizeof(text) - 1);
    (void)snprintf(config.signon.clients, sizeof(config.signon.clients), "%s", path);
    b_check(http_book_read(s, &config, &book, &err) == B_OK);
    http_book_set(s, book);
    s->codes = http_rate_new();
    s->pushed = oidc_pushed_new();
    b_check(s->codes != NULL && s->pushed != NULL);
    (void)close(fd);
    (void)unlink(path);
}

static void look(const struct http_answer *a)
{
    b_check(a->status >= 200 && a->text != NULL && strstr(a->text, "<evil") == NULL);
    for (size_t i = 0; i < a->header_count; i++) {
        const struct http_header *h = &a->headers[i];
        b_check(strpbrk(h->value, "\r\n") == NULL);
        if (strcmp(h->name, "Location") == 0)
            b_check(h->value[0] == '/' ? h->value[1] != '/'
                                       : strncmp(h->value, "https://rp.example/", 19) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_server *s = fake_server();
    struct http_answer answer;
    char method[8];
    static char url[6000];
    set_up(s);
    for (size_t i = 0; i < B_COUNT(line); i++) {
        const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
        size_t n = end != NULL ? (size_t)(end - data) : 0;
        if (end == NULL || n >= sizeof(line[i]) || memchr(data, '\0', n) != NULL)
            return 0;
        memcpy(line[i], data, n);
        line[i][n] = '\0';
        data += n + 1;
        size -= n + 1;
    }
    if (size > HTTP_BODY_MAX || sscanf(line[0], "%7s %5999s", method, url) != 2)
        return 0;
    char *query = strchr(url, '?');
    if (query != NULL)
        *query++ = '\0';
    const struct http_request r = {.method = method,
                                   .url = url,
                                   .content_type = "application/x-www-form-urlencoded",
                                   .language = "fr",
                                   .body = (const char *)data,
                                   .body_len = size,
                                   .header = header,
                                   .query_text = query != NULL ? query : ""};
    http_carry_out_page(s, fake_peer(0), &r, &answer);
    look(&answer);
    http_answer_free_headers(&answer);
    free(answer.text);
    return 0;
}
