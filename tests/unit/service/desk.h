/* A desk for tests: an establishment on a real vault with SoftHSM2, and a card in this process. */
#ifndef TESSERE_TESTS_DESK_H
#define TESSERE_TESTS_DESK_H

#include "desfire/picc.h"
#include "service/station.h"

struct desk {
    struct service sv;
    char db[160];
};
struct desk_card {
    struct df_picc picc;
    struct channel_card seen; /* what a reader would show */
};

/* A place with a token and, in it, generation 1 of every role. */
int desk_make_place(void **state);
int desk_drop_place(void **state);

/* Opens an establishment of its own on that token. */
void desk_open(struct desk *d, const char *name);
/* Its writer has a thread from now on, as a server's has. */
void desk_give_thread(struct desk *d);
/* One whose badge keys of these roles are stored, diversified as named. */
void desk_open_storing(struct desk *d, const char *name, const char *stored,
                       const char *diversification);
/* The same desk again, in another process say. */
void desk_reopen(struct desk *d, const char *name, const char *stored, const char *diversification);
void desk_close(struct desk *d);
/* A generation that is there is compromised from now on. */
void desk_compromise(struct desk *d, enum key_role role, uint8_t generation);

void desk_card_new(struct desk_card *c, enum df_ev ev, uint8_t last_uid_byte);
/* The card on the reader; power is off and on in between. fault.at 0: none. */
struct channel *desk_channel(struct desk_card *c, struct channel_fault fault);
bool desk_card_is_blank(const struct desk_card *c);

extern struct b_err desk_err;
/* Fails the test unless r is expected, with the error's message. */
void desk_expect(enum b_code r, enum b_code expected);
#define MUST(call) desk_expect((call), B_OK)

/* Operations with a card put on the reader and taken away again. */
enum b_code desk_enrol(struct desk *d, struct desk_card *c, struct store_badge *ret);
enum b_code desk_tap(struct desk *d, struct desk_card *c, struct store_badge *ret);
enum b_code desk_repair(struct desk *d, struct desk_card *c, struct store_badge *ret);
enum b_code desk_blank(struct desk *d, struct desk_card *c, struct store_badge *ret);

/* A tap on a station, in the two messages of docs/api.md. m: what the first says besides the card.
 * name: of the tap, for its PIN. */
enum b_code desk_station_tap(struct desk *d, struct desk_card *c, struct service_taps *taps,
                             const struct store_station *station, struct service_tap_first m,
                             char name[static SERVICE_TAP_NAME], struct service_verdict *ret);

/* The kind and outcome of the last event: "tap badge-revoked". */
const char *desk_last_event(struct desk *d);

#endif
