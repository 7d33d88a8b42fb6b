/*
 * Badges that others encoded, as lists of the establishment name them before they are Tessere's:
 * where each row came from, and what a scan found on the card. Part of store.h.
 */
#ifndef TESSERE_STORE_FLEET_H
#define TESSERE_STORE_FLEET_H

#include "store/people.h"

/* A list that was taken in. */
struct store_fleet_import {
    int64_t id;
    char name[128]; /* of its file */
    int64_t count;  /* of its rows */
    int64_t at;
    uint8_t salt[16]; /* of the digest of all its rows; another one when a person is erased */
};
/* Inserts (id 0) or updates; sets id. */
B_NODISCARD enum b_code store_fleet_import_put(struct store *s, struct store_fleet_import *i,
                                               struct b_err *err);
B_NODISCARD enum b_code store_fleet_import_by_id(struct store *s, int64_t id,
                                                 struct store_fleet_import *ret, struct b_err *err);
B_NODISCARD enum b_code store_fleet_import_each(struct store *s,
                                                bool (*fn)(void *ctx,
                                                           const struct store_fleet_import *i),
                                                void *ctx, struct b_err *err);

enum store_foreign_status {
    STORE_FOREIGN_ACTIVE,
    STORE_FOREIGN_SUSPENDED,
    STORE_FOREIGN_REVOKED,
    STORE_FOREIGN_STATUS_COUNT
};
const char *store_foreign_status_name(enum store_foreign_status st); /* "active", ... */
struct store_foreign {
    int64_t id;
    int64_t import;
    int64_t line; /* of the list, from 1 */
    uint8_t uid[7];
    char ref[STORE_NAME_MAX]; /* of the holder */
    char name[128];
    enum store_foreign_status status;
    char note[128];
};
/* Adds a row; sets id. B_E_DUPLICATE when its UID is there already. */
B_NODISCARD enum b_code store_foreign_add(struct store *s, struct store_foreign *f,
                                          struct b_err *err);
B_NODISCARD enum b_code store_foreign_by_uid(struct store *s, const uint8_t uid[static 7],
                                             struct store_foreign *ret, struct b_err *err);
/* The rows of a list, in order of id. */
B_NODISCARD enum b_code store_foreign_each(struct store *s, int64_t import,
                                           bool (*fn)(void *ctx, const struct store_foreign *f),
                                           void *ctx, struct b_err *err);
/* Removes a list with its rows. */
B_NODISCARD enum b_code store_fleet_import_forget(struct store *s, int64_t id, struct b_err *err);
B_NODISCARD enum b_code store_foreign_count(struct store *s, int64_t *ret, struct b_err *err);
/* Puts `gone` in the place of a person, in one list. */
B_NODISCARD enum b_code store_foreign_erase(struct store *s, int64_t import, const char *ref,
                                            const char *gone, struct b_err *err);
/* A list that names a person. B_E_NOT_FOUND without a message. */
B_NODISCARD enum b_code store_foreign_import_of(struct store *s, const char *ref, int64_t *ret,
                                                struct b_err *err);

/* The weakest key that was found on a card; the order is from good to bad. */
enum store_found {
    STORE_FOUND_UNKNOWN,     /* none of the keys tried opens it */
    STORE_FOUND_OURS,        /* diversified, of this establishment */
    STORE_FOUND_DIVERSIFIED, /* by others: a key of this badge alone */
    STORE_FOUND_SHARED,
    STORE_FOUND_PUBLISHED,
    STORE_FOUND_FACTORY,
    STORE_FOUND_COUNT
};
const char *store_found_name(enum store_found f); /* "unknown", "ours", "shared", ... */
struct store_finding {
    int64_t id;
    uint8_t uid[7]; /* it outlives the list that named the badge */
    enum store_found found;
    uint8_t ev; /* enum df_ev as a number */
    int64_t at;
};
/* Inserts (id 0) or updates; sets id. */
B_NODISCARD enum b_code store_finding_put(struct store *s, struct store_finding *f,
                                          struct b_err *err);
/* B_E_NOT_FOUND without a message. */
B_NODISCARD enum b_code store_finding_by_uid(struct store *s, const uint8_t uid[static 7],
                                             struct store_finding *ret, struct b_err *err);
B_NODISCARD enum b_code store_finding_each(struct store *s,
                                           bool (*fn)(void *ctx, const struct store_finding *f),
                                           void *ctx, struct b_err *err);

/* Badges of the lists, without those that are revoked there. */
struct store_fleet_counts {
    uint64_t listed;
    uint64_t revoked;                  /* in the lists; not counted elsewhere */
    uint64_t taken_over;               /* a badge of the store has the UID, whatever its state */
    uint64_t unseen;                   /* of the others: not scanned so far */
    uint64_t found[STORE_FOUND_COUNT]; /* ... and what was found on those that were */
};
B_NODISCARD enum b_code store_fleet_count(struct store *s, struct store_fleet_counts *ret,
                                          struct b_err *err);

#endif
