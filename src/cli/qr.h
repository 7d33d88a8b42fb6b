/* A QR code (ISO/IEC 18004) of a text that is a secret, by libqrencode: error correction M, letters
 * as capitals. What is written goes into memory of the caller, who wipes it; false when it does not
 * fit. */
#ifndef TESSERE_CLI_QR_H
#define TESSERE_CLI_QR_H

#include "base/base.h"

/* Two rows of the code in one of the terminal, black on white by colours of its own. */
B_NODISCARD bool cli_qr_terminal(const char *text, struct b_wr *w);
/* An <svg> element, to stand in a page. */
B_NODISCARD bool cli_qr_svg(const char *text, struct b_wr *w);

#endif
