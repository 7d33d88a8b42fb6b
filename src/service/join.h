/*
 * Which station a browser is at. No program of the station listens for it: the two are joined here,
 * at the server. The station asks for something that is good once and for a minute or two, and a
 * browser gives it back for a cookie:
 *
 *   handle  in an address that the station's agent opens in the person's browser, or that a
 *           redirect over the station's certificate brings
 *   code    shown on the station and typed into a page, where nothing can be opened
 *
 * A cookie says where a browser is, and nothing of who sits there. It ends with a shift, and with
 * the station. Only digests are kept.
 */
#ifndef TESSERE_SERVICE_JOIN_H
#define TESSERE_SERVICE_JOIN_H

#include "service/signon.h"

enum {
    SERVICE_HANDLE_SECONDS = 60,
    SERVICE_PAIR_SECONDS = 120,
    SERVICE_JOIN_SECONDS = 12 * 3600,
    SERVICE_PAIR_CODE = 9, /* 8 characters and a NUL */
};

/* 40 bits by chance, in letters and digits that nobody mistakes. */
void service_code_draw(char ret[static SERVICE_PAIR_CODE]);
/* As it was drawn, from how it was typed. False: no code is so long. */
B_NODISCARD bool service_code_tidy(const char *text, char ret[static SERVICE_PAIR_CODE]);

/* ret: SERVICE_SECRET characters; of a code SERVICE_PAIR_CODE, and the station's last one ends. */
B_NODISCARD enum b_code service_join_offer(struct service *sv, int64_t station,
                                           enum store_browser_kind kind, char *ret,
                                           struct b_err *err);
/* Gives the cookie (SERVICE_SECRET characters) for a handle or a code, once. Small letters of a
 * code, and what people type between its halves, do not matter. B_E_JOIN. */
B_NODISCARD enum b_code service_join_take(struct service *sv, enum store_browser_kind kind,
                                          const char *text, char *ret_cookie,
                                          struct store_station *ret, struct b_err *err);
/* The station of a browser's cookie. B_E_NOT_FOUND (no message). */
B_NODISCARD enum b_code service_join_station(struct store *s, const char *cookie, int64_t now,
                                             struct store_station *ret, struct b_err *err);

#endif
