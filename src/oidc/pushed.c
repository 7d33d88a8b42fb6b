#include "oidc/pushed.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"

struct entry {
    char uri[OIDC_PUSHED_URI];
    char client[OIDC_ID_MAX];
    char *text; /* as a query has it; NULL: the place is free */
    bool is_public, is_taken;
    uint8_t browser[OIDC_PUSHED_BROWSER], from[OIDC_PUSHED_FROM];
    int64_t until;
};
struct oidc_pushed {
    pthread_mutex_t lock;
    struct entry entries[OIDC_PUSHED_ALL];
};

struct oidc_pushed *oidc_pushed_new(void)
{
    struct oidc_pushed *p = calloc(1, sizeof(*p));
    if (p != NULL)
        b_check(pthread_mutex_init(&p->lock, NULL) == 0);
    return p;
}

static void clear(struct entry *e)
{
    free(e->text);
    *e = (struct entry){.text = NULL};
}

void oidc_pushed_free(struct oidc_pushed **pp)
{
    struct oidc_pushed *p = *pp;
    *pp = NULL;
    if (p == NULL)
        return;
    for (size_t i = 0; i < OIDC_PUSHED_ALL; i++)
        clear(&p->entries[i]);
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
}

static bool is_public(const struct oidc_client *c)
{
    return !c->has_secret && c->key_len == 0;
}

/* A free place for one more of this client, or NULL; what is over is cleared on the way. */
static struct entry *find_place(struct oidc_pushed *p, const struct oidc_client *client,
                                const uint8_t from[static OIDC_PUSHED_FROM], int64_t now)
{
    struct entry *ret = NULL;
    size_t count = 0;
    size_t public_count = 0;
    size_t from_count = 0;
    for (size_t i = 0; i < OIDC_PUSHED_ALL; i++) {
        struct entry *e = &p->entries[i];
        if (e->text != NULL && e->until <= now)
            clear(e);
        if (e->text == NULL)
            ret = e;
        else
            count += strcmp(e->client, client->id) == 0;
        public_count += e->is_public;
        from_count += e->is_public && memcmp(e->from, from, sizeof(e->from)) == 0;
    }
    bool is_full = is_public(client) &&
                   (public_count >= OIDC_PUSHED_PUBLIC || from_count >= OIDC_PUSHED_OF_ADDRESS);
    return is_full || count >= OIDC_PUSHED_OF_CLIENT ? NULL : ret;
}

enum b_code oidc_pushed_add(struct oidc_pushed *p, const struct oidc_client *client,
                            const uint8_t from[static OIDC_PUSHED_FROM], const struct oidc_form *f,
                            int64_t now, char ret[static OIDC_PUSHED_URI], struct b_err *err)
{
    static _Thread_local char text[OIDC_FORM_MAX + 1];
    uint8_t name[32];
    char hex[2 * sizeof(name) + 1];
    struct b_wr w = b_wr_from(text, OIDC_FORM_MAX);
    oidc_form_put(&w, f);
    text[w.len] = '\0';
    if (!b_wr_ok(&w))
        return b_err_set(err, B_E_TOO_LARGE, 0, "a request of more than %d bytes", OIDC_FORM_MAX);
    char *kept = strdup(text);
    if (kept == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "keeping a request");
    crypto_random(name, sizeof(name));
    b_hex(hex, name, sizeof(name));
    (void)pthread_mutex_lock(&p->lock);
    struct entry *e = find_place(p, client, from, now);
    if (e != NULL) {
        (void)snprintf(e->uri, sizeof(e->uri), OIDC_PUSHED_PREFIX "%s", hex);
        memcpy(ret, e->uri, sizeof(e->uri));
        (void)snprintf(e->client, sizeof(e->client), "%s", client->id);
        e->is_public = is_public(client);
        memcpy(e->from, from, sizeof(e->from));
        e->text = kept;
        e->until = now + OIDC_PUSHED_SECONDS;
    }
    (void)pthread_mutex_unlock(&p->lock);
    if (e != NULL)
        return B_OK;
    free(kept);
    return b_err_set(err, B_E_TOO_OFTEN, 0, "requests of %s that no browser came for", client->id);
}

static struct entry *find(struct oidc_pushed *p, const char *uri)
{
    for (size_t i = 0; i < OIDC_PUSHED_ALL; i++)
        if (p->entries[i].text != NULL && strcmp(p->entries[i].uri, uri) == 0)
            return &p->entries[i];
    return NULL;
}

bool oidc_pushed_take(struct oidc_pushed *p, const char *uri, const char *client,
                      const uint8_t browser[static OIDC_PUSHED_BROWSER], int64_t now,
                      struct oidc_form *ret)
{
    struct b_err ignored;
    (void)pthread_mutex_lock(&p->lock);
    struct entry *e = find(p, uri);
    bool is = e != NULL && e->until > now && strcmp(e->client, client) == 0 &&
              (!e->is_taken || b_ct_eq(e->browser, browser, sizeof(e->browser)));
    if (is && !e->is_taken) {
        e->is_taken = true;
        e->until = now + OIDC_PUSHED_TAKEN_SECONDS;
        memcpy(e->browser, browser, sizeof(e->browser));
    }
    is = is && oidc_form_parse(b_rd_from(e->text, strlen(e->text)), ret, &ignored) == B_OK;
    (void)pthread_mutex_unlock(&p->lock);
    return is;
}

void oidc_pushed_end(struct oidc_pushed *p, const char *uri)
{
    (void)pthread_mutex_lock(&p->lock);
    struct entry *e = find(p, uri);
    if (e != NULL)
        clear(e);
    (void)pthread_mutex_unlock(&p->lock);
}
