/* A server without a network: its routes over a store of its own, and the vault's own dispatcher on
 * a master that everybody knows. For fuzzing. */
#ifndef TESSERE_TESTS_FAKE_SERVER_H
#define TESSERE_TESTS_FAKE_SERVER_H

#include "http/http.h"

#define FAKE_TOKEN "tessere-0123456789" /* of a directory with every right */

/* Who calls: without a certificate, a station, a person with every role. */
enum fake_caller { FAKE_NOBODY, FAKE_STATION, FAKE_PERSON, FAKE_CALLER_COUNT };

/* Made at the first use; what is called changes it. Orders of the desk are ended first. */
struct http_server *fake_server(void);
struct http_peer *fake_peer(enum fake_caller who);

#endif
