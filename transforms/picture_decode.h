/* SPDX-License-Identifier: Apache-2.0 */
/* From bytes of a known type to upright 8-bit pixels. Any thread; gri_vips_start first. */
#ifndef GRI_PICTURE_DECODE_H
#define GRI_PICTURE_DECODE_H

#include "picture_sniff.h"

#include <vips/vips.h>

struct gri_decode_limits {
    int64_t max_pixels;  /* width × height × frames, asked of the header before any pixel is made */
    int64_t deadline_ms; /* of gri_clock_ms() */
    /* How many times smaller, in each direction, an upright picture of this size may come (a JPEG: by 2, 4 or 8). NULL: 1. */
    double (*shrink)(void *arg, int width, int height);
    void *shrink_arg;
};

struct gri_decoded {
    VipsImage *image;            /* in memory; uchar, 1 band (b-w) or 3 (sRGB), upright, alpha on white; g_object_unref it */
    int width, height;           /* as the header has them, before the orientation is applied */
    int true_width, true_height; /* upright; `image` is smaller where it was shrunk */
};

/* `orientation`: EXIF's, 1 to 8, or 0: what the file itself says. `source` must outlive the call only. Reasons:
 * corrupt_image, too_many_pixels, too_many_frames, decode_timeout. On failure nothing is owned. */
enum gri_status gri_picture_decode(struct gri_slice source, enum gri_picture_type type, int orientation,
                                   const struct gri_decode_limits *limits, struct gri_decoded *decoded,
                                   struct gri_error *error) GRI_MUST_CHECK;

/* The power of two that a JPEG is shrunk by on load, of what a step wants: 1, 2, 4 or 8. */
int gri_picture_shrink(double wanted);

/* Reads the header alone and asks the limits of it: its size as it stands there, and upright. */
enum gri_status gri_picture_measure(struct gri_slice source, enum gri_picture_type type, int orientation,
                                    const struct gri_decode_limits *limits, int *width, int *height, int *true_width,
                                    int *true_height, struct gri_error *error) GRI_MUST_CHECK;

#endif
