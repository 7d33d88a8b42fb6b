/*
 * Parameters as browsers and relying parties send them: application/x-www-form-urlencoded, in a
 * query or a body. A name that comes twice makes the whole unusable (RFC 6749 §3.1), and so does
 * what no browser writes: a NUL, a broken escape, text that is not UTF-8.
 */
#ifndef TESSERE_OIDC_FORM_H
#define TESSERE_OIDC_FORM_H

#include "base/base.h"

enum { OIDC_FORM_MAX = 8192, OIDC_FIELDS_MAX = 32 };

struct oidc_field {
    const char *name, *value; /* in text */
};
struct oidc_form {
    size_t count;
    struct oidc_field fields[OIDC_FIELDS_MAX];
    char text[OIDC_FORM_MAX + 2];
};
/* B_E_BAD_INPUT says why. */
B_NODISCARD enum b_code oidc_form_parse(struct b_rd text, struct oidc_form *ret, struct b_err *err);
/* NULL: it is not there, or empty, which is the same (RFC 6749 §3.1). */
const char *oidc_form_get(const struct oidc_form *f, const char *name);
/* "" instead. */
const char *oidc_form_text(const struct oidc_form *f, const char *name);

/* Writes a value so that it can stand in a query. */
void oidc_put_encoded(struct b_wr *w, const char *value);
/* Writes all fields as they would be sent. */
void oidc_form_put(struct b_wr *w, const struct oidc_form *f);
/* Takes the field away, when it is there. */
void oidc_form_drop(struct oidc_form *f, const char *name);
/* Decodes one value in place (RFC 6749 §2.3.1 asks it of names and secrets). False: it is none. */
B_NODISCARD bool oidc_decode(char *text);

#endif
