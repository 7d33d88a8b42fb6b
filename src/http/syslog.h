/*
 * The journal as a SIEM sees it: one RFC 5424 line for each entry that is committed, but for
 * checkpoints. Numbers and codes only, nothing personal. It follows the journal and never holds it
 * up: a message that cannot go at once is dropped and counted.
 */
#ifndef TESSERE_HTTP_SYSLOG_H
#define TESSERE_HTTP_SYSLOG_H

#include "store/log.h"

enum { HTTP_SYSLOG_MAX = 1024 };

struct http_syslog_event {
    char kind[33], outcome[64], actor[64], request[64];
    int64_t at, badge, station; /* badge, station: 0: none */
};
/* An entry's body; false when it is none. */
B_NODISCARD bool http_syslog_read(const char *body, size_t n, struct http_syslog_event *ret);
/* RFC 5424 §6, without a trailing newline. Its length; 0: does not fit. host: any text. */
B_NODISCARD size_t http_syslog_print(const struct http_syslog_event *e, const char *host,
                                     unsigned pid, char *out, size_t cap);

struct http_syslog;
/* where: a local datagram socket's path (/dev/log), or udp:HOST:PORT (an IPv6 address in []).
 * B_E_CONFIG; B_E_SYSTEM when HOST is not found. Nobody needs to listen yet. Follows from entry
 * `next` on. */
B_NODISCARD enum b_code http_syslog_open(const char *where, uint64_t next, struct http_syslog **ret,
                                         struct b_err *err);
void http_syslog_free(struct http_syslog **l);
/* Sends what was committed since the last time; for one thread. Some at a time: true when there may
 * be more. */
bool http_syslog_follow(struct http_syslog *l, struct store *s);
struct http_syslog_counts {
    uint64_t sent, dropped;
};
/* From any thread; zeros without a syslog. */
struct http_syslog_counts http_syslog_counted(const struct http_syslog *l);

#endif
