/* SPDX-License-Identifier: Apache-2.0 */
/* The formats that pipelines write: their parameters, their encoders, and the reading back of what was written. */
#ifndef GRI_PICTURE_OUTPUT_H
#define GRI_PICTURE_OUTPUT_H

#include "picture_sniff.h"
#include "transform_params.h"

/* A row of the table of formats. */
struct gri_output_format {
    const char *name, *summary;
    enum gri_picture_type type;
    struct gri_param_table table;
    /* Encodes into memory that g_free() frees; non-zero on failure, with libvips' message set. */
    int (*encode)(const void *params, struct _VipsImage *image, void **data, size_t *len);
    /* jpeg only: whether a compressed-domain form may stand in for encoding. */
    bool (*allows_compressed)(const void *params, bool *progressive);
    bool always_colour; /* the format has no gray pictures */
};

/* By name, or NULL. */
const struct gri_output_format *gri_output_find(const char *name);
size_t gri_output_count(void);
const struct gri_output_format *gri_output_at(size_t index);

/* Encodes, then decodes what came out and compares size and bands. Reasons: transform, output_too_large (over `max` bytes),
 * decode_timeout. Appended to `out`; on failure `out` is as it was. */
enum gri_status gri_output_encode(const struct gri_output_format *format, const void *params, struct _VipsImage *image,
                                  int64_t deadline_ms, size_t max, struct gri_bytes *out, struct gri_error *error) GRI_MUST_CHECK;

#endif
