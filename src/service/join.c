#include "service/join.h"

#include <string.h>

#include "crypto/crypto.h"

/* No vowels that make words, nothing that looks like something else: 32 of them. */
static const char letters[] = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ";

void service_code_draw(char ret[static SERVICE_PAIR_CODE])
{
    uint8_t bytes[SERVICE_PAIR_CODE - 1];
    static_assert(sizeof(letters) == 33, "five bits a character");
    crypto_random(bytes, sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        ret[i] = letters[bytes[i] & 31];
    ret[sizeof(bytes)] = '\0';
}

static void draw_secret(char ret[static SERVICE_SECRET])
{
    uint8_t bytes[(SERVICE_SECRET - 1) / 2];
    crypto_random(bytes, sizeof(bytes));
    b_hex(ret, bytes, sizeof(bytes));
}

static void digest_of(const char *text, uint8_t out[static 32])
{
    crypto_sha256(text, strlen(text), out);
}

static char capital(char c)
{
    static const char small[] = "abcdefghijklmnopqrstuvwxyz";
    static const char large[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const char *at = c != '\0' ? strchr(small, c) : NULL;
    if (at == NULL)
        return c;
    return large[at - small];
}

bool service_code_tidy(const char *text, char ret[static SERVICE_PAIR_CODE])
{
    size_t n = 0;
    for (; *text != '\0'; text++) {
        char c = capital(*text);
        if (c == ' ' || c == '-')
            continue;
        if (n == SERVICE_PAIR_CODE - 1)
            return false;
        ret[n++] = c;
    }
    ret[n] = '\0';
    return true;
}

/* --- offers ------------------------------------------------------------------------------------
 */

static enum b_code note_offer(struct service_change *c, void *ctx, struct b_err *err)
{
    struct store_browser *b = ctx;
    enum b_code r = B_OK;
    b->created_at = c->now;
    b->expires_at =
        c->now + (b->kind == STORE_BROWSER_CODE ? SERVICE_PAIR_SECONDS : SERVICE_HANDLE_SECONDS);
    if (b->kind == STORE_BROWSER_CODE)
        r = store_browser_drop_of(c->store, b->station, b->kind, err);
    return r == B_OK ? store_browser_add(c->store, b, err) : r;
}

enum b_code service_join_offer(struct service *sv, int64_t station, enum store_browser_kind kind,
                               char *ret, struct b_err *err)
{
    struct store_browser b = {.kind = kind, .station = station};
    if (kind == STORE_BROWSER_CODE)
        service_code_draw(ret);
    else
        draw_secret(ret);
    digest_of(ret, b.digest);
    return service_change(sv, note_offer, &b, err);
}

/* --- taking ------------------------------------------------------------------------------------
 */

struct taking {
    enum store_browser_kind kind;
    const char *text;
    struct store_browser cookie;
    struct store_station *station;
    bool is_refused;
};

/* A wrong code is told while there is one to be guessed; otherwise strangers would write as much as
 * they like into a journal that keeps all. An address that is none costs nobody a row. */
static enum b_code note_refused(struct service_change *c, const struct taking *k, struct b_err *err)
{
    bool can_be_guessed = false;
    enum b_code r = k->kind == STORE_BROWSER_CODE
                        ? store_browser_has(c->store, k->kind, c->now, &can_be_guessed, err)
                        : B_OK;
    if (r != B_OK || !can_be_guessed)
        return r;
    return service_log(c,
                       (struct service_entry){.kind = "browser-join",
                                              .outcome = B_E_JOIN,
                                              .detail = json_pack("{s:s}", "by", "code")},
                       err);
}

static enum b_code note_taken(struct service_change *c, void *ctx, struct b_err *err)
{
    struct taking *k = ctx;
    struct store_browser b;
    uint8_t digest[32];
    digest_of(k->text, digest);
    enum b_code r = store_browser_find(c->store, k->kind, digest, c->now, &b, err);
    k->is_refused = r == B_E_NOT_FOUND;
    if (k->is_refused)
        return note_refused(c, k, err);
    if (r == B_OK)
        r = store_browser_drop(c->store, b.id, err);
    if (r == B_OK)
        r = store_station_by_id(c->store, b.station, k->station, err);
    k->cookie.kind = STORE_BROWSER_COOKIE;
    k->cookie.station = b.station;
    k->cookie.created_at = c->now;
    k->cookie.expires_at = c->now + SERVICE_JOIN_SECONDS;
    if (r == B_OK)
        r = store_browser_add(c->store, &k->cookie, err);
    if (r != B_OK)
        return r;
    return service_log(
        c,
        (struct service_entry){
            .kind = "browser-join",
            .detail = json_pack("{s:s}", "by", k->kind == STORE_BROWSER_CODE ? "code" : "handle"),
            .station_id = b.station},
        err);
}

enum b_code service_join_take(struct service *sv, enum store_browser_kind kind, const char *text,
                              char *ret_cookie, struct store_station *ret, struct b_err *err)
{
    char code[SERVICE_PAIR_CODE];
    struct taking k = {.kind = kind, .text = text, .station = ret};
    if (kind == STORE_BROWSER_CODE) {
        if (!service_code_tidy(text, code))
            return b_err_set(err, B_E_JOIN, 0, "a code has %d characters", SERVICE_PAIR_CODE - 1);
        k.text = code;
    }
    draw_secret(ret_cookie);
    digest_of(ret_cookie, k.cookie.digest);
    enum b_code r = service_change(sv, note_taken, &k, err);
    return r == B_OK && k.is_refused ? b_err_set(err, B_E_JOIN, 0, "used, wrong, or too old") : r;
}

enum b_code service_join_station(struct store *s, const char *cookie, int64_t now,
                                 struct store_station *ret, struct b_err *err)
{
    struct store_browser b;
    uint8_t digest[32];
    digest_of(cookie, digest);
    enum b_code r = store_browser_find(s, STORE_BROWSER_COOKIE, digest, now, &b, err);
    return r == B_OK ? store_station_by_id(s, b.station, ret, err) : r;
}
