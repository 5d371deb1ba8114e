/* SPDX-License-Identifier: Apache-2.0 */
/* thumbnail: small pictures fast; what resize with shrink_on_load does, with the settings that thumbnails want. */
#include "transform_kit.h"

#include <math.h>

enum crop { CROP_NONE, CROP_CENTRE, CROP_ATTENTION };

struct thumbnail {
    int width, height;
    int crop;
};

static const char *const crops[] = {"none", "centre", "attention", NULL};

static const struct gri_transform_param params[] = {
    {.name = "width",
     .help = "pixels, at most",
     .type = GRI_PARAM_INT,
     .offset = offsetof(struct thumbnail, width),
     .standard = 256,
     .minimum = 1,
     .maximum = 4096},
    {.name = "height",
     .help = "pixels, at most; 0: as width",
     .type = GRI_PARAM_INT,
     .offset = offsetof(struct thumbnail, height),
     .maximum = 4096},
    {.name = "crop",
     .help =
         "none keeps the shape within the box; centre and attention fill the box and cut off what is over at the edges, or what "
         "catches the eye least",
     .type = GRI_PARAM_ENUM,
     .offset = offsetof(struct thumbnail, crop),
     .choices = crops},
};

/* Never larger than the picture is. */
static void target_size(const struct thumbnail *thumbnail, int from_width, int from_height, int *width, int *height) {
    double across = (double)thumbnail->width / from_width;
    double down = (double)(thumbnail->height > 0 ? thumbnail->height : thumbnail->width) / from_height;
    double scale = fmin(1, thumbnail->crop == CROP_NONE ? fmin(across, down) : fmax(across, down));
    *width = gri_kit_side(from_width, scale);
    *height = gri_kit_side(from_height, scale);
}

static double shrink(const void *values, int from_width, int from_height) {
    int width, height;
    target_size(values, from_width, from_height, &width, &height);
    return gri_kit_shrink(from_width, from_height, width, height);
}

static int cut(const struct gri_transform_call *call, VipsImage *scaled, VipsImage **out) {
    const struct thumbnail *thumbnail = call->params;
    int width = MIN(vips_image_get_width(scaled), thumbnail->width);
    int height = MIN(vips_image_get_height(scaled), thumbnail->height > 0 ? thumbnail->height : thumbnail->width);
    VipsImage *pixels = NULL;
    if (thumbnail->crop == CROP_CENTRE)
        return vips_extract_area(scaled, out, (vips_image_get_width(scaled) - width) / 2,
                                 (vips_image_get_height(scaled) - height) / 2, width, height, NULL);
    int failed = !call->compute(call->host, scaled, &pixels) ||
                 vips_smartcrop(pixels, out, width, height, "interesting", VIPS_INTERESTING_ATTENTION, NULL);
    g_clear_object(&pixels);
    return failed;
}

static bool run(const struct gri_transform_call *call, VipsImage *in, VipsImage **out) {
    const struct thumbnail *thumbnail = call->params;
    int width, height;
    VipsImage *scaled = NULL;
    target_size(thumbnail, call->width, call->height, &width, &height);
    int failed = gri_kit_scale(in, width, height, VIPS_KERNEL_LANCZOS3, &scaled);
    if (!failed && thumbnail->crop != CROP_NONE)
        failed = cut(call, scaled, out);
    else if (!failed)
        *out = g_object_ref(scaled);
    g_clear_object(&scaled);
    return !failed || gri_transform_fail(call->error, "no thumbnail could be made of %d × %d", call->width, call->height);
}

extern const struct gri_transform gri_transform_thumbnail;
const struct gri_transform gri_transform_thumbnail = {
    GRI_TRANSFORM_LAYOUT,
    .name = "thumbnail",
    .summary = "a small picture, decoded small where it can be; never larger than the source",
    GRI_TRANSFORM_PARAMS(params, struct thumbnail),
    .run = run,
    .shrink = shrink,
};
