/*
 * The members of a copy as one stream and back: tar (pax), zstd. Private to the copies. What comes
 * out of an archive is written only where the manifest has it: same name, size and digest.
 */
#ifndef TESSERE_SERVICE_BUNDLE_H
#define TESSERE_SERVICE_BUNDLE_H

#include "service/backup.h"

/* Takes the stream, piece by piece; false ends it. */
typedef bool bundle_sink(void *ctx, const void *p, size_t n);

#define BUNDLE_STORE "store.db"
#define BUNDLE_DELTA "store.db.pages" /* in its place, where a copy adds to another */

struct bundle_from {
    const char *home;
    const char *store; /* in the place of its store.db */
    const char *delta; /* what goes into the stream instead, where the manifest has a base */
};
/* Writes m->members, and fills in their sizes and digests. */
B_NODISCARD enum b_code bundle_write(struct service_manifest *m, const struct bundle_from *from,
                                     bundle_sink *sink, void *ctx, struct b_err *err);
/* Reads the stream of fd into dir: all of it, where BUNDLE_DELTA is believed later, or the member
 * `only`. B_E_BACKUP_ALTERED names the member. */
B_NODISCARD enum b_code bundle_read(int fd, const struct service_manifest *m, const char *only,
                                    const char *dir, struct b_err *err);
/* A file of dir is what the manifest says of the member. */
B_NODISCARD enum b_code bundle_check(const struct service_manifest *m, const char *name,
                                     const char *dir, struct b_err *err);

#endif
