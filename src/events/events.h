/*
 * events: other systems are told what happened to badges, people and stations. The letters are in
 * the store (service/outbox.h); here they get their form and are delivered. docs/events.md.
 *
 *   config.c   events.yaml: who is told what, where, and by which secret
 *   form.c     a letter as a webhook, a security event or a logout token
 *   deliver.c  two threads, which post the oldest letter of each subscriber: one those that the
 *              token signs, so that a slow token holds up no other
 */
#ifndef TESSERE_EVENTS_EVENTS_H
#define TESSERE_EVENTS_EVENTS_H

#include "remote/post.h"
#include "service/outbox.h"

enum {
    EVENTS_SUBSCRIBERS_MAX = 16,
    EVENTS_WANTED_MAX = 24,
    EVENTS_URL_MAX = 512,
    EVENTS_SECRETS_MAX = 2, /* the newer one, and the one that it replaces */
    EVENTS_SECRET_MAX = 64,
    EVENTS_TOKEN_MAX = 1024,
    EVENTS_JWT_MAX = 4096,
};

/* --- configuration (config.c) ------------------------------------------------------------------
 */

struct events_secret {
    uint8_t bytes[EVENTS_SECRET_MAX];
    size_t n;
};
struct events_subscriber {
    char name[32];
    char url[EVENTS_URL_MAX];
    enum service_event_form form;
    char ca[EVENTS_URL_MAX]; /* PEM file, or "": the system's */
    bool tells_staff_id;
    const struct service_event *wanted[EVENTS_WANTED_MAX];
    size_t wanted_count;
    struct events_secret secrets[EVENTS_SECRETS_MAX]; /* webhook */
    size_t secret_count;
    char audience[EVENTS_URL_MAX]; /* caep */
    char token[EVENTS_TOKEN_MAX];  /* caep: sent as Bearer, or "" */
};
struct events_config {
    char issuer[EVENTS_URL_MAX];
    char ca[EVENTS_URL_MAX]; /* of relying parties that are told of logouts, or "" */
    unsigned attempts;       /* until a letter is dead; 0: as many as usual */
    struct events_subscriber subscribers[EVENTS_SUBSCRIBERS_MAX];
    size_t count;
};
/* The file and the files that it names; relative ones lie in dir. B_E_CONFIG names file and field,
 * B_E_KEY_FILE a secret that others may read. Holds secrets: the caller wipes it, on an error too.
 */
B_NODISCARD enum b_code events_config_read(const char *dir, const char *path,
                                           struct events_config *ret, struct b_err *err);
/* Where nobody signs (no sign-on), nobody can be told by security events: B_E_CONFIG names path and
 * subscriber. */
B_NODISCARD enum b_code events_config_check(const struct events_config *c, bool has_signer,
                                            const char *path, struct b_err *err);
/* The same from a text that was read already; path is for messages. */
B_NODISCARD enum b_code events_config_parse(const char *dir, const char *path, const char *text,
                                            size_t n, struct events_config *ret, struct b_err *err);
/* The subscriber of that name, or NULL. */
const struct events_subscriber *events_subscriber_named(const struct events_config *c,
                                                        const char *name);

/* --- signatures --------------------------------------------------------------------------------
 */

enum events_token {
    EVENTS_TOKEN_SET,    /* typ secevent+jwt, RFC 8417 */
    EVENTS_TOKEN_LOGOUT, /* typ logout+jwt, OpenID Connect Back-Channel Logout 1.0 */
};
/* Signs claims (JSON) as a JWT of max bytes at most, its NUL included. Who signs chooses key and
 * algorithm. */
struct events_signer {
    enum b_code (*sign)(void *ctx, enum events_token kind, const char *claims, char *jwt,
                        size_t max, struct b_err *err);
    void *ctx;
};

/* --- forms (form.c) ----------------------------------------------------------------------------
 */

/* What a letter needs besides itself. */
struct events_form {
    const struct events_config *config;
    const struct events_subscriber *subscriber; /* NULL: a logout */
    const struct events_signer *signer;
    const char *staff_id; /* of the letter's holder; "": not known, or not to be told */
    int64_t now;
};
/* The post of a letter. body has room for the text, to which ret->body points; url too is the
 * config's or in body. B_E_CONFIG: this letter can never go so. */
enum { EVENTS_BODY_MAX = EVENTS_JWT_MAX + EVENTS_URL_MAX + 256 };
B_NODISCARD enum b_code events_form(const struct events_form *f, const struct store_letter *l,
                                    char body[static EVENTS_BODY_MAX], struct remote_post *ret,
                                    struct b_err *err);

/* The number of the holder whom a letter is about; 0: none. */
int64_t events_holder_of(const struct store_letter *l);

/* What an answer says of its letter. */
enum events_verdict { EVENTS_TAKEN, EVENTS_AGAIN, EVENTS_REFUSED };
/* why: what was wrong, for a person; "" when it was taken. */
enum events_verdict events_judge(const char *kind, const struct remote_posted *answer, char *why,
                                 size_t cap);

/* --- delivery (deliver.c) ----------------------------------------------------------------------
 */

/* How long a letter waits after n failed attempts: from one second on twice as long each time, an
 * hour at most; less than that, by chance. */
unsigned events_pause_s(unsigned n);

struct events_deliverer;
/* Starts it: sv and c are copied, and stores, by which its threads read, are taken over, also on
 * failure. signer.sign NULL: none signs, and security events wait. */
enum { EVENTS_LANES = 2 };
B_NODISCARD enum b_code events_deliverer_start(const struct service *sv,
                                               struct store *stores[static EVENTS_LANES],
                                               struct events_signer signer,
                                               const struct events_config *c,
                                               struct events_deliverer **ret, struct b_err *err);
/* Another configuration from now on, and other connections; it is copied. */
void events_deliverer_set(struct events_deliverer *d, const struct events_config *c);
/* Ends it; what is under way is cut, and goes again at the next start. */
void events_deliverer_stop(struct events_deliverer **d);

struct events_counts {
    uint64_t delivered, failed, dead; /* since the start; failed: attempts */
};
/* From any thread; zeros without one. */
struct events_counts events_counted(const struct events_deliverer *d);

/* Who subscribes to what, for service_outbox_subscribe; how many. */
enum { EVENTS_SUBSCRIPTIONS_MAX = EVENTS_SUBSCRIBERS_MAX * EVENTS_WANTED_MAX };
size_t events_subscriptions(const struct events_config *c,
                            struct store_subscription all[static EVENTS_SUBSCRIPTIONS_MAX]);

#endif
