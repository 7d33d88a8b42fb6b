/*
 * A custodian's own smart card, or other PKCS#11 token, that opens what crypto_cms_seal sealed for
 * its certificate. Through OpenSSL's engine pkcs11 (Debian: libengine-pkcs11-openssl), which loads
 * the card's module into this process: let it be one that ends with the card
 * (src/cli/ceremony_card.c).
 */
#ifndef TESSERE_CRYPTO_CARD_H
#define TESSERE_CRYPTO_CARD_H

#include "base/base.h"

struct crypto_card;

/* uri: RFC 7512, of the private key, with ?module-path= when p11-kit does not know the module. The
 * PIN is offered once. B_E_CARD_KEY. */
B_NODISCARD enum b_code crypto_card_open(const char *uri, const char *pin, struct crypto_card **ret,
                                         struct b_err *err);
/* Opens an envelope (DER) by RSA or ECDH, on the card. False: it is not for this key. A wrong key
 * may give noise: what was sealed must say by itself whether it is whole. */
B_NODISCARD bool crypto_card_read(struct crypto_card *c, struct b_rd sealed, struct b_wr *out);
void crypto_card_free(struct crypto_card **c);

#endif
