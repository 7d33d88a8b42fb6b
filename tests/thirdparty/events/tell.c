/*
 * Tells security events and a logout, signed here as the vault would: a badge is revoked, its
 * holder leaves, a session of an OpenID client ends. Waits until nothing waits any more, and says
 * what became of each letter.
 *   tell DIR EVENTS.YAML PUBLIC-KEY.PEM
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/sign.h"
#include "events/events.h"

static struct b_err err;

static void need(bool is_good, const char *what)
{
    if (!is_good) {
        (void)fprintf(stderr, "%s: %s\n", what, err.msg);
        exit(1);
    }
}

/* --- a signer ----------------------------------------------------------------------------------
 */

static void write_public(const struct crypto_es256 *key, const char *path)
{
    static const uint8_t head[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48,
                                   0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48,
                                   0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};
    uint8_t der[sizeof(head) + CRYPTO_P256_POINT];
    char text[160];
    memcpy(der, head, sizeof(head));
    crypto_es256_public(key, der + sizeof(head));
    FILE *f = fopen(path, "we");
    need(f != NULL && b_base64(text, sizeof(text), der, sizeof(der)), path);
    (void)fprintf(f, "-----BEGIN PUBLIC KEY-----\n%.64s\n%s\n-----END PUBLIC KEY-----\n", text,
                  text + 64);
    (void)fclose(f);
}

static enum b_code sign(void *ctx, enum events_token kind, const char *claims, char *jwt,
                        size_t max, struct b_err *ret)
{
    const char *typ = kind == EVENTS_TOKEN_SET ? "secevent+jwt" : "logout+jwt";
    uint8_t signature[CRYPTO_SIGNATURE];
    char head[64];
    char part[2048];
    int n = snprintf(head, sizeof(head), "{\"alg\":\"ES256\",\"typ\":\"%s\"}", typ);
    need(b_base64url(part, sizeof(part), head, (size_t)n), "head");
    size_t at = (size_t)snprintf(jwt, max, "%s.", part);
    need(b_base64url(part, sizeof(part), claims, strlen(claims)), "claims");
    at += (size_t)snprintf(jwt + at, max - at, "%s", part);
    need(crypto_es256_sign(ctx, jwt, at, signature) &&
             b_base64url(part, sizeof(part), signature, sizeof(signature)),
         "signature");
    return snprintf(jwt + at, max - at, ".%s", part) < (int)(max - at)
               ? B_OK
               : b_err_set(ret, B_E_INTERNAL, 0, "too long");
}

/* --- what happens ------------------------------------------------------------------------------
 */

static enum b_code happen(struct service_change *c, void *ctx, struct b_err *ret)
{
    struct store_holder h = {.ref = "10001234567", .name = "Anne Martin"};
    struct store_badge b = {.uid = {4, 1, 2, 3, 4, 5, 6},
                            .state = STORE_BADGE_REVOKED,
                            .holder_ref = "10001234567",
                            .holder_name = "Anne Martin"};
    const struct service_logout l = {.issuer = "https://kms.example",
                                     .client = "https://receiver.example",
                                     .url = ctx,
                                     .sid = "s1",
                                     .sub = "holder:1"};
    enum b_code r = store_holder_put(c->store, &h, ret);
    if (r == B_OK)
        r = store_badge_put(c->store, &b, ret);
    if (r == B_OK)
        r = service_log(c, (struct service_entry){.kind = "revoke", .badge = &b}, ret);
    if (r == B_OK)
        r = service_log(c, (struct service_entry){.kind = "holder-leave", .holder = &h}, ret);
    return r == B_OK ? service_outbox_logout(c, &l, ret) : r;
}

static bool show(void *ctx, const struct store_letter *l)
{
    (void)ctx;
    (void)printf("%lld %s %s %u %s\n", (long long)l->id, l->kind, store_letter_state_name(l->state),
                 l->attempts, l->error);
    return true;
}

static struct store *open_store(const char *dir)
{
    char path[512];
    struct store *s = NULL;
    (void)snprintf(path, sizeof(path), "%s/store.db", dir);
    need(store_open(path, true, &s, &err) == B_OK, path);
    return s;
}

int main(int argc, char **argv)
{
    static struct events_config config;
    static struct store_subscription all[EVENTS_SUBSCRIPTIONS_MAX];
    static const uint8_t scalar[CRYPTO_P256_SCALAR] = {7, 7, 7};
    struct crypto_es256 *key = crypto_es256_new(scalar);
    struct service sv = {.asker = {.actor = "test", .request = ""}};
    struct events_deliverer *d = NULL;
    int64_t waiting = 1;
    need(argc == 4 && key != NULL, "tell DIR EVENTS.YAML PUBLIC-KEY.PEM");
    write_public(key, argv[3]);
    sv.store = open_store(argv[1]);
    need(service_writer_open(open_store(argv[1]), true, &sv.writer, &err) == B_OK, "writer");
    need(events_config_read(argv[1], argv[2], &config, &err) == B_OK, "configuration");
    size_t count = events_subscriptions(&config, all);
    need(service_outbox_subscribe(&sv, all, count, &err) == B_OK, "subscriptions");
    need(service_change(&sv, happen, config.subscribers[0].url, &err) == B_OK, "change");
    struct store *stores[EVENTS_LANES] = {open_store(argv[1]), open_store(argv[1])};
    need(events_deliverer_start(&sv, stores, (struct events_signer){sign, key}, &config, &d,
                                &err) == B_OK,
         "deliverer");
    for (int i = 0; i < 300 && waiting > 0; i++) {
        (void)usleep(100 * 1000);
        need(store_letter_count(sv.store, STORE_LETTER_WAITING, &waiting, &err) == B_OK, "count");
    }
    need(store_letter_each(sv.store, STORE_LETTER_STATES, show, NULL, &err) == B_OK, "letters");
    events_deliverer_stop(&d);
    service_writer_close(&sv.writer);
    store_free(&sv.store);
    crypto_es256_free(&key);
    b_wipe(&config, sizeof(config));
    return 0;
}
