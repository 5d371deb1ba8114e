/* SPDX-License-Identifier: Apache-2.0 */
/* A codec with everything it needs, for tests. */
#ifndef GRI_CODEC_KIT_H
#define GRI_CODEC_KIT_H

#include "picture_codec.h"
#include "pipeline_definition.h"

struct codec_kit {
    struct gri_transforms *transforms;
    struct gri_codec *codec;
};

/* Starts libvips at the first call. `max_pixels` and `timeout_ms` as in the options. */
void codec_kit_open(struct codec_kit *kit, int64_t max_pixels, int64_t timeout_ms);
void codec_kit_close(struct codec_kit *kit);

/* Only sha256_hex. */
extern const struct gri_crypto codec_kit_crypto;

#endif
