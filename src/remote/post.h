/*
 * post: bodies posted to other people's servers, several at once, on one thread. Certificates are
 * verified against the system's CAs or a file, TLS is 1.2 or newer, redirects are an answer like
 * any other, proxies of the environment are not asked, an answer is read so far and no further.
 */
#ifndef TESSERE_REMOTE_POST_H
#define TESSERE_REMOTE_POST_H

#include "base/base.h"

enum {
    REMOTE_POST_HEADERS = 6,
    REMOTE_POST_ANSWER = 16384, /* a longer one is a failure */
    REMOTE_POST_SAID = 160,
};

struct remote_post {
    const char *url; /* remote_post_may */
    const char *ca;  /* PEM file; "": the system's */
    const char *body;
    char headers[REMOTE_POST_HEADERS][1200]; /* "Name: value"; empty ones are left out */
    long timeout_ms;
    size_t tag; /* the caller's */
};

struct remote_posted {
    size_t tag;
    long status;                  /* 0: no answer, and error says why */
    char error[REMOTE_POST_SAID]; /* "" when there was an answer */
    char body[REMOTE_POST_ANSWER + 1];
};

/* https, or http to a loopback address; no user, password or fragment in it. B_E_CONFIG. */
B_NODISCARD enum b_code remote_post_may(const char *url, struct b_err *err);

struct remote_posts;
/* NULL: no memory. */
struct remote_posts *remote_posts_new(void);
/* Those under way are cut. */
void remote_posts_free(struct remote_posts **p);
/* Begins one; everything in it is copied. B_E_CONFIG, B_E_SYSTEM. */
B_NODISCARD enum b_code remote_posts_add(struct remote_posts *p, const struct remote_post *post,
                                         struct b_err *err);
/* Lets them go on, for at most so long; sooner when something happens, or remote_posts_wake. */
void remote_posts_wait(struct remote_posts *p, int ms);
/* From any thread. */
void remote_posts_wake(struct remote_posts *p);
/* One that has ended, into ret, as long as there is one. */
B_NODISCARD bool remote_posts_take(struct remote_posts *p, struct remote_posted *ret);

#endif
