/*
 * server.yaml: what tessered is told. Read by the server, and by the doctor who looks after it.
 */
#ifndef TESSERE_HTTP_CONFIG_H
#define TESSERE_HTTP_CONFIG_H

#include "oidc/client.h"

enum { HTTP_PATH_MAX = 512 };

/* Sign-on by browsers: docs/sign-on.md. */
struct http_signon_config {
    char issuer[OIDC_ISSUER_MAX]; /* https://host[:port]; "": there is none */
    char address[64];
    uint16_t port;
    char certificate[HTTP_PATH_MAX], key[HTTP_PATH_MAX], clients[HTTP_PATH_MAX];
    char ca[HTTP_PATH_MAX]; /* of relying parties that are told of logouts and taps, or "" */
    char station_url[OIDC_ISSUER_MAX]; /* of the API, for browsers with a machine's certificate */
    unsigned session_hours;
    bool keeps_on_second_tap;
};
struct http_config {
    struct http_signon_config signon;
    char address[64];
    uint16_t port;
    char certificate[HTTP_PATH_MAX]; /* PEM files; relative ones lie in the home */
    char key[HTTP_PATH_MAX];
    char trust[HTTP_PATH_MAX];                                 /* CAs of stations and people */
    char ca_certificate[HTTP_PATH_MAX], ca_key[HTTP_PATH_MAX]; /* the built-in CA, or empty */
    char syslog[HTTP_PATH_MAX]; /* where a SIEM listens (syslog.h), or empty */
    /* how others encoded badges that taps take over, and a file of their keys; each may be empty */
    char fleet[HTTP_PATH_MAX], fleet_keys[HTTP_PATH_MAX];
    bool adopts;                /* taps take in badges of ours whose records the store has lost */
    char events[HTTP_PATH_MAX]; /* who is told what happens (events/events.h), or empty */
    unsigned vault_workers;
    unsigned auth_key_cache; /* keys of badges that the vault remembers; 0: none */
    unsigned connections;
    unsigned connections_per_address;
    unsigned requests_per_second; /* of one certificate, or of one address without */
    unsigned stall_seconds;
    bool logs_requests;
};
/* Defaults, then what the file says. B_E_CONFIG names file, line and field. */
B_NODISCARD enum b_code http_config_read(const char *path, struct http_config *ret,
                                         struct b_err *err);
/* The host of an issuer, and the port that it tells. */
unsigned http_issuer_split(const char *issuer, char host[static OIDC_ISSUER_MAX]);
static inline bool http_has_signon(const struct http_config *c)
{
    return c->signon.issuer[0] != '\0';
}

#endif
