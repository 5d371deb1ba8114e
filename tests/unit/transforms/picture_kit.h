/* SPDX-License-Identifier: Apache-2.0 */
/* What the codec's tests share: a codec, pictures of every kind, and runs with the answer checked. */
#ifndef GRI_PICTURE_KIT_H
#define GRI_PICTURE_KIT_H

#include "codec_kit.h"
#include "picture_maker.h"

#include <vips/vips.h>

#define GRAY "{\"name\":\"gray\",\"steps\":[{\"grayscale\":{\"method\":\"luma\"}}],\"output\":{\"format\":\"jpeg\"}}"
#define GRAY_NEVER "{\"name\":\"gray\",\"steps\":[{\"grayscale\":{}}],\"output\":{\"format\":\"jpeg\",\"lossless\":\"never\"}}"
#define GRAY_PNG "{\"name\":\"gray\",\"steps\":[\"grayscale\"],\"output\":{\"format\":\"png\"}}"
#define LUMINANCE_PNG "{\"name\":\"g\",\"steps\":[{\"grayscale\":{\"method\":\"luminance\"}}],\"output\":{\"format\":\"png\"}}"

enum container { AS_PNG, AS_WEBP, AS_GIF, AS_JPEG };

extern struct codec_kit picture_kit; /* 50 megapixels, one minute */

int picture_kit_open(void **state);
int picture_kit_close(void **state);
enum gri_status picture_kit_run_with(struct gri_codec *codec, const char *definition, struct gri_slice source,
                                     struct gri_picture *picture, struct gri_error *error);
struct gri_picture picture_kit_run_ok(const char *definition, struct gri_slice source);
void picture_kit_expect_reason(const char *definition, struct gri_slice source, enum gri_reason reason);
/* The output's pixels; one band; g_object_unref it. */
VipsImage *picture_kit_open_output(const struct gri_picture *picture);
int picture_kit_gray_at(VipsImage *image, int x, int y);
/* A picture of the given bands, every pixel the same; g_object_unref it. */
VipsImage *picture_kit_flat(int width, int height, const double *pixel, int bands, VipsBandFormat format,
                            VipsInterpretation interpretation);
/* Encodes and drops the image; the bytes are g_free'd by the caller. */
struct gri_slice picture_kit_encode(VipsImage *image, enum container container);
void picture_kit_drop(struct gri_slice bytes);
struct gri_bytes picture_kit_jpeg_of(struct jpeg_recipe recipe);

#endif
