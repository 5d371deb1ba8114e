/* SPDX-License-Identifier: Apache-2.0 */
/* The codec port (grisaille/codec.h) over libvips and the JPEG port. gri_vips_start first; a thread that called `run` ends
 * with gri_vips_thread_end(). */
#ifndef GRI_PICTURE_CODEC_H
#define GRI_PICTURE_CODEC_H

#include "transform_table.h"

#include <grisaille/codec.h>
#include <grisaille/jpeg_port.h>

struct gri_picture_codec_options {
    const struct gri_transforms *transforms; /* borrowed for the codec's life */
    const struct gri_jpeg_port *jpeg;        /* borrowed; NULL: nothing is done in the compressed domain */
    int64_t max_pixels;                      /* image.max_pixels: width × height × frames */
    int64_t timeout_ms;                      /* image.timeout_ms: of one run */
    bool naive; /* nothing in the compressed domain, nothing shrunk on load, each step computed by itself: for comparison */
};

/* Owned by the caller; destroy it after every plan. */
struct gri_codec *gri_picture_codec_create(const struct gri_picture_codec_options *options);
/* Other limits for the pictures that begin from now on. Any thread. */
void gri_picture_codec_limit(struct gri_codec *codec, int64_t max_pixels, int64_t timeout_ms);
void gri_picture_codec_destroy(struct gri_codec *codec);

#endif
