/*
 * The tracer: one exchange, printed as an expert would write it. Stateful, because an answer only
 * has meaning after its command and chained frames belong together; it never sees a key, so
 * cryptograms are shown by length. Data of files and challenges are masked unless show_data.
 */
#ifndef TESSERE_DESFIRE_TRACE_H
#define TESSERE_DESFIRE_TRACE_H

#include "desfire/desfire.h"

struct df_trace {
    enum df_cmd cmd;
    bool is_open; /* between a command and its last answer */
    bool show_data;
    uint8_t auth;       /* enum df_auth of the running session, as seen from outside */
    uint8_t auth_begun; /* enum df_auth of the authentication under way */
    const char *fields; /* where the layout of the answer goes on in the next frame */
};

void df_trace_init(struct df_trace *t, bool show_data);
/* "> GetKeyVersion key=1", "< 9100 OK version=00 mac=[8 bytes]": one line (no newline,
 * NUL-terminated, cut at cap, which is at least 1) for a C-APDU or an R-APDU. */
void df_trace_command(struct df_trace *t, struct b_rd capdu, char *line, size_t cap);
void df_trace_answer(struct df_trace *t, struct b_rd rapdu, char *line, size_t cap);

#endif
