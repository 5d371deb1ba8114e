/* SPDX-License-Identifier: Apache-2.0 */
/* Wires transforms, libvips and the JPEG port as cli/ does. */
#include "codec_kit.h"

#include "jpeg_gray.h"
#include "vips_runtime.h"

#include <glib.h>

static void sha256_hex(struct gri_slice bytes, char out[GRI_SHA256_HEX]) {
    char *sum = g_compute_checksum_for_data(G_CHECKSUM_SHA256, bytes.data, bytes.len);
    gri_copy(out, GRI_SHA256_HEX, sum);
    g_free(sum);
}

const struct gri_crypto codec_kit_crypto = {.sha256_hex = sha256_hex};

void codec_kit_open(struct codec_kit *kit, int64_t max_pixels, int64_t timeout_ms) {
    static bool started;
    struct gri_error error;
    GRI_ASSERT(started || gri_vips_start("test", &error) == GRI_OK);
    started = true;
    kit->transforms = gri_transforms_create();
    struct gri_picture_codec_options options = {
        .transforms = kit->transforms, .jpeg = gri_jpeg_gray_port(), .max_pixels = max_pixels, .timeout_ms = timeout_ms};
    kit->codec = gri_picture_codec_create(&options);
}

void codec_kit_close(struct codec_kit *kit) {
    gri_picture_codec_destroy(kit->codec);
    gri_transforms_destroy(kit->transforms);
}
