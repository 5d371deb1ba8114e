/* SPDX-License-Identifier: Apache-2.0 */
/* Ids that an export has written, as hashes of eight bytes: a catalog's list names an image once for each URL that links it. They
 * may be kept in a file, so that an export that was cut off knows them. Threads: one owner. */
#ifndef GRI_EXPORT_SEEN_H
#define GRI_EXPORT_SEEN_H

#include <grisaille/status.h>

#include <stddef.h>
#include <stdint.h>

struct gri_export_seen {
    uint64_t *slots; /* open addressing; 0: free */
    size_t count, cap;
    uint64_t *fresh; /* those not in the file yet */
    size_t fresh_count, fresh_cap;
    int fd; /* -1: no file */
};

/* Zero-initialises; `path` NULL: without a file. Else the first `count` of it are known from the start, what stands behind them
 * goes. Reason conflict: it is shorter. */
enum gri_status gri_export_seen_open(struct gri_export_seen *seen, const char *path, int64_t count,
                                     struct gri_error *error) GRI_MUST_CHECK;
/* False: it is there already. */
bool gri_export_seen_add(struct gri_export_seen *seen, const char *id);
/* Makes all of them durable; nothing without a file. */
enum gri_status gri_export_seen_save(struct gri_export_seen *seen, struct gri_error *error) GRI_MUST_CHECK;
void gri_export_seen_clear(struct gri_export_seen *seen);

#endif
