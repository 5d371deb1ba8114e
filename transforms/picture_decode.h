/* SPDX-License-Identifier: Apache-2.0 */
/* From bytes of a known type to upright 8-bit pixels. Any thread; gri_vips_start first. */
#ifndef GRI_PICTURE_DECODE_H
#define GRI_PICTURE_DECODE_H

#include "picture_sniff.h"

#include <vips/vips.h>

struct gri_decode_limits {
    int64_t max_pixels;  /* width × height × frames, asked of the header before any pixel is made */
    int64_t deadline_ms; /* of gri_vips_now_ms() */
};

struct gri_decoded {
    VipsImage *image;  /* in memory; uchar, 1 band (b-w) or 3 (sRGB), upright, alpha on white; g_object_unref it */
    int width, height; /* as the header has them, before the orientation is applied */
};

/* `orientation`: EXIF's, 1 to 8, or 0: what the file itself says. `source` must outlive the call only. Reasons:
 * corrupt_image, too_many_pixels, too_many_frames, decode_timeout. On failure nothing is owned. */
enum gri_status gri_picture_decode(struct gri_slice source, enum gri_picture_type type, int orientation,
                                   const struct gri_decode_limits *limits, struct gri_decoded *decoded,
                                   struct gri_error *error) GRI_MUST_CHECK;

#endif
