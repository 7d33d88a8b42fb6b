#include "cli/qr.h"

#include <qrencode.h>
#include <stdio.h>
#include <string.h>

enum { QUIET = 4 }; /* light modules around the code (ISO/IEC 18004 §6.3.8) */

static void put(struct b_wr *w, const char *text)
{
    b_wr_bytes(w, text, strlen(text));
}

/* The modules, with the text's traces in them; what libqrencode needed on the way is freed by it,
 * and not wiped. */
static QRcode *encode(const char *text)
{
    return QRcode_encodeString(text, 0, QR_ECLEVEL_M, QR_MODE_8, 0);
}

static void drop(QRcode *code)
{
    b_wipe(code->data, (size_t)code->width * (size_t)code->width);
    QRcode_free(code);
}

/* Outside of the code it is light. */
static bool is_dark(const QRcode *code, int x, int y)
{
    return x >= 0 && y >= 0 && x < code->width && y < code->width &&
           (code->data[y * code->width + x] & 1) != 0;
}

bool cli_qr_terminal(const char *text, struct b_wr *w)
{
    static const char *const cells[] = {" ", "▀", "▄", "█"};
    QRcode *code = encode(text);
    if (code == NULL)
        return false;
    for (int y = -QUIET; y < code->width + QUIET; y += 2) {
        put(w, "\033[30;107m");
        for (int x = -QUIET; x < code->width + QUIET; x++)
            put(w, cells[(is_dark(code, x, y) ? 1 : 0) + (is_dark(code, x, y + 1) ? 2 : 0)]);
        put(w, "\033[0m\n");
    }
    drop(code);
    return b_wr_ok(w);
}

/* Dark modules side by side are one rectangle. */
static void put_row(struct b_wr *w, const QRcode *code, int y)
{
    char rectangle[64];
    int n = 0;
    for (int x = 0; x < code->width; x += n + 1) {
        n = 0;
        while (is_dark(code, x + n, y))
            n++;
        if (n == 0)
            continue;
        (void)snprintf(rectangle, sizeof(rectangle), "M%d %dh%dv1h-%dz", x + QUIET, y + QUIET, n,
                       n);
        put(w, rectangle);
    }
    b_wipe(rectangle, sizeof(rectangle));
}

bool cli_qr_svg(const char *text, struct b_wr *w)
{
    char head[160];
    QRcode *code = encode(text);
    if (code == NULL)
        return false;
    int side = code->width + 2 * QUIET;
    (void)snprintf(head, sizeof(head),
                   "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"240\" height=\"240\" "
                   "viewBox=\"0 0 %d %d\" shape-rendering=\"crispEdges\">",
                   side, side);
    put(w, head);
    put(w, "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/><path d=\"");
    for (int y = 0; y < code->width; y++)
        put_row(w, code, y);
    put(w, "\"/></svg>\n");
    drop(code);
    return b_wr_ok(w);
}
