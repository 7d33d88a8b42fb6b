/*
 * The members of a copy as one stream and back: tar (pax), zstd. Private to the copies. What comes
 * out of an archive is written only where the manifest has it: same name, size and digest.
 */
#ifndef TESSERE_SERVICE_BUNDLE_H
#define TESSERE_SERVICE_BUNDLE_H

#include "service/backup.h"

/* Takes the stream, piece by piece; false ends it. */
typedef bool bundle_sink(void *ctx, const void *p, size_t n);

/* Writes m->members from below home, `store` in the place of store.db, and fills in their sizes
 * and digests. */
B_NODISCARD enum b_code bundle_write(struct service_manifest *m, const char *home,
                                     const char *store, bundle_sink *sink, void *ctx,
                                     struct b_err *err);
/* Reads the stream of fd into dir. B_E_BACKUP_ALTERED names the member. */
B_NODISCARD enum b_code bundle_read(int fd, const struct service_manifest *m, const char *dir,
                                    struct b_err *err);

#endif
