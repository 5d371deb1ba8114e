/* SPDX-License-Identifier: Apache-2.0 */
/* grayscale: colour to one band of gray. */
#include <grisaille/transform.h>
#include <vips/vips.h>

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

/* (19595 R + 38470 G + 7471 B + 2^15) >> 16, Pillow's own integers (Convert.c, L24): weighted sums stay below 2^24, so
 * single precision holds every step exactly, and the final cast cuts as the shift does. */
static int luma(VipsImage *in, VipsImage **out) {
    VipsImage *matrix = vips_image_new_matrixv(3, 1, 19595.0, 38470.0, 7471.0);
    VipsImage *sum = NULL, *scaled = NULL, *bytes = NULL;
    int failed = !matrix || vips_recomb(in, &sum, matrix, NULL) || vips_linear1(sum, &scaled, 1.0 / 65536, 0.5, NULL) ||
                 vips_cast_uchar(scaled, &bytes, NULL) || vips_copy(bytes, out, "interpretation", VIPS_INTERPRETATION_B_W, NULL);
    g_clear_object(&bytes);
    g_clear_object(&scaled);
    g_clear_object(&sum);
    g_clear_object(&matrix);
    return failed;
}

static bool apply(const void *values, VipsImage *in, VipsImage **out, struct gri_transform_error *error) {
    const struct grayscale *grayscale = values;
    int failed = 0;
    if (vips_image_get_bands(in) == 1)
        failed = vips_copy(in, out, NULL); /* gray already */
    else if (grayscale->method == METHOD_LUMA)
        failed = luma(in, out);
    else
        failed = vips_colourspace(in, out, VIPS_INTERPRETATION_B_W, NULL);
    if (failed) g_strlcpy(error->text, "the conversion to gray failed", sizeof error->text);
    return !failed;
}

static enum gri_compressed_form compressed_form(const void *values) {
    const struct grayscale *grayscale = values;
    if (grayscale->method != METHOD_LUMA) return GRI_COMPRESSED_NONE;
    return grayscale->verify == VERIFY_FULL ? GRI_COMPRESSED_JPEG_LUMA : GRI_COMPRESSED_JPEG_LUMA_UNREAD;
}

extern const struct gri_transform gri_transform_grayscale;
const struct gri_transform gri_transform_grayscale = {
    .abi_version = GRI_TRANSFORM_ABI,
    .struct_size = sizeof(struct gri_transform),
    .param_struct_size = sizeof(struct gri_transform_param),
    .name = "grayscale",
    .summary = "colour to one band of gray",
    .params = params,
    .param_count = sizeof params / sizeof params[0],
    .params_size = sizeof(struct grayscale),
    .apply = apply,
    .compressed_form = compressed_form,
};
