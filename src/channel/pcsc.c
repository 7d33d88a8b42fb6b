/* Readers of pcscd. The only file that includes winscard.h. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <winscard.h>

#include "channel/channel_int.h"

enum {
    READERS_MAX = 16,
    POLL_MS = 200,
    SETTLE_MS = 1000, /* a failed exchange is a removal when the reader sees one within this time */
};

struct pcsc {
    SCARDCONTEXT context;
    SCARDHANDLE card;
    DWORD protocol;
    bool is_connected;
};

/* The error behind a PC/SC return value, said for what was being done. */
static enum b_code fail(LONG rv, const char *what, struct b_err *err)
{
    static const struct {
        LONG rv;
        enum b_code code;
    } map[] = {
        {SCARD_E_NO_SERVICE, B_E_PCSC_DOWN},
        {SCARD_E_SERVICE_STOPPED, B_E_PCSC_DOWN},
        {SCARD_E_SERVER_TOO_BUSY, B_E_PCSC_DOWN},
        {SCARD_F_COMM_ERROR, B_E_PCSC_DOWN},
        {SCARD_E_NO_READERS_AVAILABLE, B_E_NO_READER},
        {SCARD_E_READER_UNAVAILABLE, B_E_NO_READER},
        {SCARD_E_UNKNOWN_READER, B_E_NO_READER},
        {SCARD_E_NO_SMARTCARD, B_E_CARD_REMOVED},
        {SCARD_W_REMOVED_CARD, B_E_CARD_REMOVED},
        {SCARD_W_RESET_CARD, B_E_CARD_REMOVED},
        {SCARD_W_UNPOWERED_CARD, B_E_CARD_REMOVED},
        {SCARD_W_UNRESPONSIVE_CARD, B_E_CARD_REMOVED},
    };
    for (size_t i = 0; i < B_COUNT(map); i++) {
        if (map[i].rv == rv)
            return b_err_set(err, map[i].code, (uint32_t)rv, "%s", b_err_word(what));
    }
    return b_err_set(err, B_E_CHANNEL, (uint32_t)rv, "%s: %s", b_err_word(what),
                     pcsc_stringify_error(rv));
}

/* A card that leaves in the middle is a failed transaction to a contactless reader, whose own
 * polling sees the removal a moment later. */
static bool has_left(const struct channel *ch)
{
    const struct pcsc *p = ch->self;
    SCARD_READERSTATE state = {.szReader = ch->card.reader};
    for (int waited = 0; waited <= SETTLE_MS; waited += POLL_MS) {
        LONG rv = SCardGetStatusChange(p->context, waited == 0 ? 0 : POLL_MS, &state, 1);
        if (rv != SCARD_S_SUCCESS && rv != SCARD_E_TIMEOUT)
            return false;
        if ((state.dwEventState & SCARD_STATE_EMPTY) != 0)
            return true;
        state.dwCurrentState = state.dwEventState;
    }
    return false;
}

static enum b_code transmit(struct channel *ch, struct b_rd capdu, struct b_wr *rapdu,
                            struct b_err *err)
{
    struct pcsc *p = ch->self;
    const SCARD_IO_REQUEST *pci = p->protocol == SCARD_PROTOCOL_T0 ? SCARD_PCI_T0 : SCARD_PCI_T1;
    DWORD n = (DWORD)rapdu->cap;
    LONG rv = SCardTransmit(p->card, pci, capdu.p, (DWORD)capdu.left, NULL, rapdu->p, &n);
    if (rv != SCARD_S_SUCCESS) {
        enum b_code r = fail(rv, "the exchange with the card", err);
        if (r == B_E_CHANNEL && has_left(ch))
            r = b_err_set(err, B_E_CARD_REMOVED, (uint32_t)rv, "the exchange with the card");
        return r;
    }
    /* Some drivers tell the loss of the card by an answer without status words. */
    if (n < 2)
        return b_err_set(err, B_E_CARD_REMOVED, 0, "the exchange with the card");
    rapdu->len = (size_t)n;
    return B_OK;
}

static enum b_code reset(struct channel *ch, struct b_err *err)
{
    struct pcsc *p = ch->self;
    LONG rv = SCardReconnect(p->card, SCARD_SHARE_EXCLUSIVE, SCARD_PROTOCOL_T0 | SCARD_PROTOCOL_T1,
                             SCARD_UNPOWER_CARD, &p->protocol);
    return rv == SCARD_S_SUCCESS ? B_OK : fail(rv, "powering the card again", err);
}

static void close_pcsc(struct channel *ch)
{
    struct pcsc *p = ch->self;
    if (p->is_connected)
        (void)SCardDisconnect(p->card, SCARD_RESET_CARD);
    (void)SCardReleaseContext(p->context);
}

static const struct channel_ops kind = {transmit, reset, close_pcsc};

/* --- readers and their cards
 * --------------------------------------------------------------------------- */

static enum b_code list(SCARDCONTEXT context, struct channel_reader *readers, size_t cap,
                        size_t *ret_count, struct b_err *err)
{
    char names[READERS_MAX * 128];
    DWORD n = sizeof(names);
    *ret_count = 0;
    LONG rv = SCardListReaders(context, NULL, names, &n);
    if (rv == SCARD_E_NO_READERS_AVAILABLE)
        return B_OK;
    if (rv != SCARD_S_SUCCESS)
        return fail(rv, "listing the readers", err);
    for (const char *name = names; *name != '\0' && *ret_count < cap; name += strlen(name) + 1) {
        struct channel_reader *r = &readers[(*ret_count)++];
        SCARD_READERSTATE state = {.szReader = name, .dwCurrentState = SCARD_STATE_UNAWARE};
        *r = (struct channel_reader){0};
        (void)snprintf(r->name, sizeof(r->name), "%.*s", (int)sizeof(r->name) - 1, name);
        if (SCardGetStatusChange(context, 0, &state, 1) != SCARD_S_SUCCESS)
            continue;
        r->has_card = (state.dwEventState & SCARD_STATE_PRESENT) != 0;
        r->atr_len = (uint8_t)(state.cbAtr < sizeof(r->atr) ? state.cbAtr : sizeof(r->atr));
        memcpy(r->atr, state.rgbAtr, r->atr_len);
    }
    return B_OK;
}

static enum b_code establish(SCARDCONTEXT *context, struct b_err *err)
{
    LONG rv = SCardEstablishContext(SCARD_SCOPE_SYSTEM, NULL, NULL, context);
    return rv == SCARD_S_SUCCESS ? B_OK : fail(rv, "speaking to the PC/SC service", err);
}

enum b_code channel_pcsc_list(struct channel_reader *readers, size_t cap, size_t *ret_count,
                              struct b_err *err)
{
    SCARDCONTEXT context;
    enum b_code r = establish(&context, err);
    if (r != B_OK)
        return r;
    r = list(context, readers, cap, ret_count, err);
    (void)SCardReleaseContext(context);
    return r;
}

/* The reader that has the one card; B_E_NO_READER, B_E_NO_CARD, B_E_TWO_CARDS. */
static enum b_code choose(SCARDCONTEXT context, const char *wanted, char *ret_name, size_t cap,
                          struct b_err *err)
{
    struct channel_reader readers[READERS_MAX];
    size_t count = 0, matching = 0, cards = 0;
    enum b_code r = list(context, readers, READERS_MAX, &count, err);
    for (size_t i = 0; r == B_OK && i < count; i++) {
        if (wanted != NULL && strstr(readers[i].name, wanted) == NULL)
            continue;
        matching++;
        if (!readers[i].has_card)
            continue;
        cards++;
        (void)snprintf(ret_name, cap, "%.*s", (int)sizeof(readers[i].name) - 1, readers[i].name);
    }
    if (r != B_OK)
        return r;
    if (matching == 0 && wanted != NULL)
        return b_err_set(err, B_E_NO_READER, 0, "no reader's name contains \"%s\"", wanted);
    if (matching == 0)
        return b_err_set(err, B_E_NO_READER, 0, "no reader is connected");
    if (cards == 0)
        return b_err_set(err, B_E_NO_CARD, 0, "no card on %zu reader(s)", matching);
    if (cards > 1)
        return b_err_set(err, B_E_TWO_CARDS, 0, "%zu cards on the readers", cards);
    return B_OK;
}

/* UID by the reader's own GET DATA (PC/SC part 3 §3.2.2.1.3): not an exchange with the card. */
static void read_uid(struct channel *ch)
{
    static const uint8_t get_uid[] = {0xFF, 0xCA, 0x00, 0x00, 0x00};
    uint8_t room[64];
    struct b_wr w = b_wr_from(room, sizeof(room));
    if (transmit(ch, b_rd_from(get_uid, sizeof(get_uid)), &w, NULL) != B_OK || w.len < 2)
        return;
    size_t n = w.len - 2;
    if (room[n] != 0x90 || room[n + 1] != 0x00 || n > sizeof(ch->card.uid))
        return;
    ch->card.uid_len = (uint8_t)n;
    memcpy(ch->card.uid, room, n);
}

static enum b_code connect_card(struct channel *ch, const char *reader, struct b_err *err)
{
    struct pcsc *p = ch->self;
    LONG rv = SCardConnect(p->context, reader, SCARD_SHARE_EXCLUSIVE,
                           SCARD_PROTOCOL_T0 | SCARD_PROTOCOL_T1, &p->card, &p->protocol);
    if (rv == SCARD_E_SHARING_VIOLATION)
        return b_err_set(err, B_E_CHANNEL, (uint32_t)rv, "another program uses the card on \"%s\"",
                         reader);
    if (rv != SCARD_S_SUCCESS)
        return fail(rv, "connecting to the card", err);
    p->is_connected = true;
    (void)snprintf(ch->card.reader, sizeof(ch->card.reader), "%.*s",
                   (int)sizeof(ch->card.reader) - 1, reader);
    char name[128];
    DWORD name_len = sizeof(name), state = 0, protocol = 0, atr_len = sizeof(ch->card.atr);
    if (SCardStatus(p->card, name, &name_len, &state, &protocol, ch->card.atr, &atr_len) ==
        SCARD_S_SUCCESS)
        ch->card.atr_len = (uint8_t)atr_len;
    read_uid(ch);
    return B_OK;
}

static void disconnect(struct channel *ch)
{
    struct pcsc *p = ch->self;
    if (p->is_connected)
        (void)SCardDisconnect(p->card, SCARD_LEAVE_CARD);
    p->is_connected = false;
}

static void sleep_ms(int ms)
{
    struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};
    (void)nanosleep(&t, NULL);
}

static bool is_awaited(const struct channel_pcsc_wanted *w, const struct channel *ch)
{
    return w->uid == NULL ||
           (ch->card.uid_len == w->uid_len && memcmp(ch->card.uid, w->uid, w->uid_len) == 0);
}

/* One look: B_OK when the wanted card is connected. */
static enum b_code look(const struct channel_pcsc_wanted *wanted, struct channel *ch,
                        struct b_err *err)
{
    struct pcsc *p = ch->self;
    char name[128] = "";
    enum b_code r = choose(p->context, wanted->reader, name, sizeof(name), err);
    if (r == B_OK)
        r = connect_card(ch, name, err);
    if (r == B_OK && !is_awaited(wanted, ch)) {
        disconnect(ch);
        r = b_err_set(err, B_E_CARD_CHANGED, 0, "another card is on \"%s\"", name);
    }
    return r;
}

enum b_code channel_pcsc_open(const struct channel_pcsc_wanted *wanted, struct channel **ret,
                              struct b_err *err)
{
    SCARDCONTEXT context;
    struct channel *ch = NULL;
    enum b_code r = establish(&context, err);
    if (r != B_OK)
        return r;
    r = channel_make(&kind, sizeof(struct pcsc), NULL, &ch);
    if (r != B_OK) {
        (void)SCardReleaseContext(context);
        return b_err_set(err, r, 0, "opening a reader");
    }
    ((struct pcsc *)ch->self)->context = context;
    int left_ms = wanted->wait_ms;
    for (;;) {
        r = look(wanted, ch, err);
        bool may_come = r == B_E_NO_CARD || r == B_E_CARD_REMOVED || r == B_E_CARD_CHANGED ||
                        r == B_E_NO_READER || r == B_E_TWO_CARDS;
        if (!may_come || left_ms == 0)
            break;
        if (wanted->is_stopped != NULL && wanted->is_stopped(wanted->ctx)) {
            r = b_err_set(err, B_E_CANCELLED, 0, "waiting for a card was stopped");
            break;
        }
        int nap = left_ms > 0 && left_ms < POLL_MS ? left_ms : POLL_MS;
        sleep_ms(nap);
        left_ms -= left_ms > 0 ? nap : 0;
    }
    if (r == B_OK)
        *ret = ch;
    else
        channel_free(&ch);
    return r;
}

enum b_code channel_pcsc_wait_removed(struct channel *ch, int wait_ms, struct b_err *err)
{
    while (ch->inner != NULL)
        ch = ch->inner;
    b_check(ch->ops == &kind);
    struct pcsc *p = ch->self;
    disconnect(ch);
    for (int left_ms = wait_ms;;) {
        SCARD_READERSTATE state = {.szReader = ch->card.reader};
        LONG rv = SCardGetStatusChange(p->context, 0, &state, 1);
        if (rv != SCARD_S_SUCCESS && rv != SCARD_E_TIMEOUT)
            return fail(rv, "waiting for the card to leave", err);
        if ((state.dwEventState & SCARD_STATE_PRESENT) == 0)
            return B_OK;
        if (left_ms == 0)
            return b_err_set(err, B_E_CANCELLED, 0, "the card is still on \"%s\"", ch->card.reader);
        int nap = left_ms > 0 && left_ms < POLL_MS ? left_ms : POLL_MS;
        sleep_ms(nap);
        left_ms -= left_ms > 0 ? nap : 0;
    }
}
