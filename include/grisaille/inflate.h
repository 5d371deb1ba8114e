/* SPDX-License-Identifier: Apache-2.0 */
/* Port: streaming gunzip with a bound on what comes out. adapters/gzip implements it on zlib (gzip wrapper, concatenated
 * members). Threads: one user at a time per inflate. */
#ifndef GRISAILLE_INFLATE_H
#define GRISAILLE_INFLATE_H

#include <grisaille/bytes.h>

struct gri_inflate;

/* Takes plain bytes as they come; anything but GRI_OK stops the feed with that error. */
typedef enum gri_status gri_inflate_sink(void *arg, struct gri_slice plain, struct gri_error *error);

struct gri_inflate_ops {
    struct gri_inflate *(*begin)(int64_t max_bytes); /* of plain bytes, in all members together */
    /* Damaged input: reason bad_request; over max_bytes: reason body_too_large; or the sink's error. */
    enum gri_status (*feed)(struct gri_inflate *inflate, struct gri_slice gzip, gri_inflate_sink *sink, void *arg,
                            struct gri_error *error);
    /* Frees it. Input that stopped inside a member: reason bad_request. */
    enum gri_status (*end)(struct gri_inflate *inflate, struct gri_error *error);
    void (*abort)(struct gri_inflate *inflate); /* frees it; NULL is fine */
};

#endif
