/*
 * The messages between the client and the vault, as bytes. One datagram is one message:
 *
 *   request   id:y, then the fields of its row in msg.def
 *   answer    00, then the fields; or 01, code:s aux:u message:s
 *
 * Each field is written and read through the row's own list, so that a codec which forgets or
 * swaps one is a broken invariant at once. Error codes travel by their stable names.
 */
#ifndef TESSERE_VAULT_WIRE_H
#define TESSERE_VAULT_WIRE_H

#include "base/base.h"

enum {
    VAULT_PROTOCOL = 10,
    VAULT_WORKERS_MAX = 16,
    VAULT_MESSAGE_MAX = 16384,
    VAULT_STRING_MAX = 1024,
    VAULT_FD = 3,      /* the socket, in the vault */
    VAULT_PIN_FD = 4,  /* the PIN's pipe, when configure says that there is one */
    VAULT_LANE_FD = 5, /* sockets of the second worker and those after it */
    VAULT_TOKEN_FD = VAULT_LANE_FD + VAULT_WORKERS_MAX, /* the lanes to tessere-token */
    VAULT_EXIT_PROTOCOL = 65, /* exit status of a vault whose peer broke the protocol */
    VAULT_EXIT_TOKEN = 66,    /* ... whose tessere-token has ended; also an error's aux */
};

/* What a service gives a vault that it starts (vault/starter.h). */
#define VAULT_ENV_TOKEN "TESSERE_TOKEN"
#define VAULT_ENV_ESTABLISHMENT "TESSERE_ESTABLISHMENT"
#define VAULT_ENV_PIN_FILE "TESSERE_PIN_FILE"

enum vault_msg {
#define VAULT_MSG(id, NAME, ...) VAULT_MSG_##NAME = (id),
#include "vault/msg.def"
#undef VAULT_MSG
};
enum vault_phase { VAULT_PHASE_NEW, VAULT_PHASE_READY };

struct vault_msg_row {
    uint8_t id;
    const char *name;
    const char *request;
    const char *answer;
    enum vault_phase phase;
    bool is_once;
    const char *text;
};
/* NULL for an id that is not in the table. */
const struct vault_msg_row *vault_msg_row(uint8_t id);
/* The i-th row, NULL past the end. */
const struct vault_msg_row *vault_msg_at(size_t i);

/* A writer and a reader that know which fields must come. */
struct wire_out {
    const char *fields; /* those still to be written */
    struct b_wr *w;
};
struct wire_in {
    const char *fields;
    struct b_rd r;
};

struct wire_out wire_out_from(const char *fields, struct b_wr *w);
void wire_put_u8(struct wire_out *o, uint8_t v);
void wire_put_u32(struct wire_out *o, uint32_t v);
void wire_put_string(struct wire_out *o, const char *s); /* NULL is written as empty */
void wire_put_bytes(struct wire_out *o, const void *p, size_t n);
/* Opens a bytes field that the caller writes through o->w, until wire_close_bytes(mark). */
size_t wire_open_bytes(struct wire_out *o);
void wire_close_bytes(struct wire_out *o, size_t mark);
/* All fields were written, and there was room. */
B_NODISCARD bool wire_out_end(const struct wire_out *o);

struct wire_in wire_in_from(const char *fields, struct b_rd r);
uint8_t wire_get_u8(struct wire_in *in);
bool wire_get_bool(struct wire_in *in); /* other than 0 and 1 is bad */
uint32_t wire_get_u32(struct wire_in *in);
/* Copies with a NUL; bad when it does not fit or has a NUL inside. */
void wire_get_string(struct wire_in *in, char *out, size_t cap);
struct b_rd wire_get_bytes(struct wire_in *in);
/* All fields were read, were good, and nothing is left. */
B_NODISCARD bool wire_in_end(const struct wire_in *in);

void wire_put_error(struct b_wr *w, const struct b_err *e);
/* False when the bytes are not an error. */
B_NODISCARD bool wire_get_error(struct b_rd r, struct b_err *ret);

#endif
