/*
 * One-time codes. 10 random bytes, then 10 bytes of the CA's fingerprint: 32 signs of Crockford's
 * base32, and a check sign: their values' weighted sum modulo 31, so that one wrong sign or two
 * that changed places are noticed before anything is sent.
 */
#include <string.h>

#include "crypto/crypto.h"
#include "pki/pki.h"

enum { RANDOM = 10, PIN = PKI_CODE_PIN, SIGNS = (RANDOM + PIN) * 8 / 5 };

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static unsigned check_of(const uint8_t values[static SIGNS])
{
    unsigned sum = 0;
    for (unsigned i = 0; i < SIGNS; i++)
        sum += (i % 30 + 1) * values[i];
    return sum % 31;
}

enum b_code pki_code_make(const char *ca_pem, char *text, uint8_t digest[static 32],
                          struct b_err *err)
{
    struct pki_cert ca;
    uint8_t bytes[RANDOM + PIN];
    uint8_t values[SIGNS];
    enum b_code r = pki_cert_read(ca_pem, &ca, err);
    if (r != B_OK)
        return r;
    crypto_random(bytes, RANDOM);
    memcpy(bytes + RANDOM, ca.fingerprint, PIN);
    crypto_sha256(bytes, RANDOM, digest);
    for (size_t i = 0; i < SIGNS; i++) {
        size_t bit = i * 5;
        unsigned pair = (unsigned)bytes[bit / 8] << 8;
        if (bit / 8 + 1 < sizeof(bytes))
            pair |= bytes[bit / 8 + 1];
        values[i] = pair >> (11 - bit % 8) & 31;
    }
    char *at = text;
    for (size_t i = 0; i < SIGNS; i++) {
        if (i > 0 && i % 4 == 0)
            *at++ = '-';
        *at++ = alphabet[values[i]];
    }
    *at++ = '-';
    *at++ = alphabet[check_of(values)];
    *at = '\0';
    b_wipe(bytes, sizeof(bytes));
    return B_OK;
}

static unsigned value_of(char c)
{
    if (c >= 'a' && c <= 'z')
        c = (char)(c - 'a' + 'A');
    if (c == 'O')
        c = '0';
    if (c == 'I' || c == 'L')
        c = '1';
    const char *at = c != '\0' ? strchr(alphabet, c) : NULL;
    return at != NULL ? (unsigned)(at - alphabet) : 32;
}

enum b_code pki_code_parse(const char *text, uint8_t digest[static 32],
                           uint8_t ca[static PKI_CODE_PIN], struct b_err *err)
{
    uint8_t values[SIGNS + 1];
    uint8_t bytes[RANDOM + PIN] = {0};
    size_t n = 0;
    for (; *text != '\0'; text++) {
        if (*text == '-' || *text == ' ')
            continue;
        unsigned v = value_of(*text);
        if (v > 31 || n == sizeof(values))
            return b_err_set(err, B_E_CODE_BAD, 0, "%s",
                             v > 31 ? b_err_word("a sign that no code has")
                                    : b_err_word("too many signs"));
        values[n++] = (uint8_t)v;
    }
    if (n != sizeof(values) || check_of(values) != values[SIGNS])
        return b_err_set(err, B_E_CODE_BAD, 0, "%s",
                         n != sizeof(values) ? b_err_word("signs are missing")
                                             : b_err_word("a sign is wrong"));
    for (size_t i = 0; i < SIGNS; i++) {
        for (size_t b = 0; b < 5; b++) {
            size_t bit = i * 5 + b;
            if ((values[i] >> (4 - b) & 1) != 0)
                bytes[bit / 8] = (uint8_t)(bytes[bit / 8] | 0x80u >> bit % 8);
        }
    }
    crypto_sha256(bytes, RANDOM, digest);
    memcpy(ca, bytes + RANDOM, PIN);
    b_wipe(bytes, sizeof(bytes));
    return B_OK;
}
