/* SPDX-License-Identifier: Apache-2.0 */
/* grayscale: colour to one band of gray. */
#include "transform_kit.h"

enum method { METHOD_LUMA, METHOD_LUMINANCE };
enum verify { VERIFY_FULL, VERIFY_STRUCTURE };

struct grayscale {
    int method;
    int verify;
};

static const char *const methods[] = {"luma", "luminance", NULL};
static const char *const verifies[] = {"full", "structure", NULL};

static const struct gri_transform_param params[] = {
    {.name = "method",
     .help = "luma: ITU-R BT.601 Y', the gray of a JPEG and of Pillow's \"L\"; luminance: linear-light, as libvips' b-w",
     .type = GRI_PARAM_ENUM,
     .offset = offsetof(struct grayscale, method),
     .standard = METHOD_LUMA,
     .choices = methods},
    {.name = "verify",
     .help = "of a JPEG whose luma is taken as it is; full: luma's data is validated to the last code; structure: markers, "
             "lengths and scans only",
     .type = GRI_PARAM_ENUM,
     .offset = offsetof(struct grayscale, verify),
     .standard = VERIFY_FULL,
     .choices = verifies},
};

static bool apply(const void *values, VipsImage *in, VipsImage **out, struct gri_transform_error *error) {
    const struct grayscale *grayscale = values;
    int failed = 0;
    if (grayscale->method == METHOD_LUMA || vips_image_get_bands(in) == 1)
        failed = gri_kit_luma(in, out);
    else
        failed = vips_colourspace(in, out, VIPS_INTERPRETATION_B_W, NULL);
    return !failed || gri_transform_fail(error, "the conversion to gray failed");
}

static bool linear(const void *values) {
    return ((const struct grayscale *)values)->method == METHOD_LUMA;
}

static enum gri_compressed_form compressed_form(const void *values) {
    const struct grayscale *grayscale = values;
    if (grayscale->method != METHOD_LUMA) return GRI_COMPRESSED_NONE;
    return grayscale->verify == VERIFY_FULL ? GRI_COMPRESSED_JPEG_LUMA : GRI_COMPRESSED_JPEG_LUMA_UNREAD;
}

extern const struct gri_transform gri_transform_grayscale;
const struct gri_transform gri_transform_grayscale = {
    GRI_TRANSFORM_LAYOUT,
    .name = "grayscale",
    .summary = "colour to one band of gray",
    GRI_TRANSFORM_PARAMS(params, struct grayscale),
    .apply = apply,
    .compressed_form = compressed_form,
    .linear = linear,
};
