/*
 * A store as what has changed in it since a whole copy: pages with their numbers. SQLite leaves a
 * page where it is, so a night changes few of them. What a delta gives is believed by the digest of
 * the store that comes out. Private to the copies.
 *
 *   HOME/backup.pages   name and digest of the newest whole copy (the base), and of each page in it
 *   delta               page number (4 bytes, big endian) and page, as often as there are changed
 * ones
 */
#ifndef TESSERE_SERVICE_PAGES_H
#define TESSERE_SERVICE_PAGES_H

#include "service/backup.h"

enum { PAGES_SIZE = 4096 };

struct pages_base {
    char name[SERVICE_COPY_NAME];
    uint8_t sha256[32]; /* of its .backup */
};
/* Remembers the pages of a snapshot as those of a base. */
B_NODISCARD enum b_code pages_keep(const char *home, const char *store,
                                   const struct pages_base *base, struct b_err *err);
/* Which base is remembered; false: none. */
bool pages_base(const char *home, struct pages_base *ret);
/* Writes what has changed in a snapshot since the base. B_E_NOT_FOUND: a whole copy is needed. */
B_NODISCARD enum b_code pages_diff(const char *home, const char *store, const char *delta,
                                   struct b_err *err);
/* Brings the base's store to what it was, of `size` bytes. B_E_BACKUP_ALTERED. */
B_NODISCARD enum b_code pages_apply(const char *store, const char *delta, uint64_t size,
                                    struct b_err *err);

#endif
