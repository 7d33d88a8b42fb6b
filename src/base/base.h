/*
 * base: what every other folder stands on.
 *
 *   bytes.h   bounded cursors, the only way bytes from outside are touched; hex; constant time
 *   err.h     error codes with a class, a context, an exit status and a remedy
 *   walk.h    encoder and decoder of a structure in one
 *   text.h    text that people give
 *   about.h   what a program says of itself
 *   secret.h  memory for keys: locked, kept out of dumps, wiped
 *
 * It owns nothing that outlives a call except the secret arena, uses libc alone, and must never
 * learn what a card, a key role or a database is.
 */
#ifndef TESSERE_BASE_BASE_H
#define TESSERE_BASE_BASE_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/secret.h"
#include "base/walk.h"

#endif
