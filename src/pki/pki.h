/*
 * pki: the certificates of people, stations and the server.
 *
 *   pki.h     keys, requests, the built-in CA, what a certificate says
 *   code.c    a station's one-time code
 *
 * Identity in Tessere is the fingerprint of a certificate that the store knows; the CA makes
 * certificates and gives no right. P-256 throughout; a hospital's own PKI may bring others. It must
 * never learn what a badge is.
 */
#ifndef TESSERE_PKI_PKI_H
#define TESSERE_PKI_PKI_H

#include "base/base.h"

enum {
    PKI_PEM_MAX = 8192,
    PKI_NAME_MAX = 64,
    PKI_POINT = 65,
    PKI_CODE_MAX = 96, /* a one-time code as text */
    PKI_CODE_PIN = 10, /* bytes of the CA's fingerprint in it */
};

/* --- keys --------------------------------------------------------------------------------------
 */

struct pki_key;
B_NODISCARD enum b_code pki_key_generate(struct pki_key **ret, struct b_err *err);
/* A PEM file that nobody else may read; B_E_KEY_FILE. */
B_NODISCARD enum b_code pki_key_read(const char *path, struct pki_key **ret, struct b_err *err);
/* Mode 0600, whole or not at all; never over another file. */
B_NODISCARD enum b_code pki_key_write(const struct pki_key *key, const char *path,
                                      struct b_err *err);
/* The key as PEM text, not enciphered: to be wiped. B_E_KEY_FILE when cap is too small. */
B_NODISCARD enum b_code pki_key_pem(const struct pki_key *key, char *pem, size_t cap,
                                    struct b_err *err);
void pki_key_free(struct pki_key **key);
/* ECDSA with SHA-256, r || s. */
B_NODISCARD enum b_code pki_sign(const struct pki_key *key, const void *message, size_t n,
                                 uint8_t signature[static 64], struct b_err *err);

/* --- requests ----------------------------------------------------------------------------------
 */

/* A PKCS#10 request in PEM, signed by the key. */
B_NODISCARD enum b_code pki_request_make(const struct pki_key *key, const char *name, char *pem,
                                         size_t cap, struct b_err *err);

/* --- certificates ------------------------------------------------------------------------------
 */

enum pki_kind { PKI_SERVER, PKI_STATION, PKI_PERSON };

struct pki_cert {
    uint8_t fingerprint[32]; /* SHA-256 of its DER form */
    char name[PKI_NAME_MAX]; /* common name */
    int64_t not_before, not_after;
    bool is_p256;
    uint8_t point[PKI_POINT]; /* of its key, when it is P-256 */
};
/* The first certificate of a PEM text. B_E_CERT_BAD. */
B_NODISCARD enum b_code pki_cert_read(const char *pem, struct pki_cert *ret, struct b_err *err);
/* That certificate and nothing else that the text holds, written anew, for a file in which all is
 * believed. B_E_CERT_BAD. */
B_NODISCARD enum b_code pki_cert_alone(const char *pem, char *ret, size_t cap, struct b_err *err);
/* Whether it is for this host, a name or an address. B_E_CERT_BAD. */
B_NODISCARD enum b_code pki_cert_is_for(const char *pem, const char *host, bool *ret,
                                        struct b_err *err);

struct pki_ca;
/* A new CA: key and certificate, written to two files. */
B_NODISCARD enum b_code pki_ca_create(const char *name, const char *cert_path, const char *key_path,
                                      struct b_err *err);
B_NODISCARD enum b_code pki_ca_open(const char *cert_path, const char *key_path,
                                    struct pki_ca **ret, struct b_err *err);
void pki_ca_free(struct pki_ca **ca);
const char *pki_ca_pem(const struct pki_ca *ca);

struct pki_wanted {
    enum pki_kind kind;
    const char *name;  /* decided by the issuer, whatever the request says */
    const char *hosts; /* server: "DNS:kms.example,IP:10.0.0.1"; else NULL */
    int64_t now, seconds;
};
/* Checks the request (its own signature, its kind of key) and issues a certificate for its key. */
B_NODISCARD enum b_code pki_issue(const struct pki_ca *ca, const struct pki_wanted *wanted,
                                  const char *request_pem, char *pem, size_t cap,
                                  struct b_err *err);

/* --- one-time codes (code.c) --------------------------------------------------------------------
 */

/* A code as an administrator reads it out: 80 random bits and 80 bits of the SHA-256 of the CA's
 * certificate, in Crockford's base32, in groups of four with a check sign. The station finds the CA
 * by it, the server finds the station. */
B_NODISCARD enum b_code pki_code_make(const char *ca_pem, char *text, uint8_t digest[static 32],
                                      struct b_err *err);
/* Either case, O and 0, I, L and 1 alike, with or without dashes. digest: SHA-256 of the random
 * part; ca: the first bytes of the CA's fingerprint. B_E_CODE_BAD. */
B_NODISCARD enum b_code pki_code_parse(const char *text, uint8_t digest[static 32],
                                       uint8_t ca[static PKI_CODE_PIN], struct b_err *err);

#endif
