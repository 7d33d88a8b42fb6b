/* The same fields as a form's, where they come as an object in JSON (the REST callouts). */
#ifndef TESSERE_OIDC_BODY_H
#define TESSERE_OIDC_BODY_H

#include "oidc/form.h"

/* A flat object of at most OIDC_FORM_MAX bytes; texts become fields, flags and numbers are passed
 * over. B_E_BAD_INPUT, B_E_TOO_LARGE; *ret has no field then. */
B_NODISCARD enum b_code oidc_body_parse(struct b_rd text, struct oidc_form *ret, struct b_err *err);

#endif
