/* SPDX-License-Identifier: Apache-2.0 */
/* resize: to a width, a height, a box, or by a factor. */
#include "transform_kit.h"

#include <math.h>

enum fit { FIT_INSIDE, FIT_COVER, FIT_STRETCH };

struct resize {
    int width, height;
    int fit;
    bool enlarge;
    int kernel;
    double scale;
    bool shrink_on_load;
};

static const char *const fits[] = {"inside", "cover", "stretch", NULL};
static const char *const kernels[] = {"lanczos3", "cubic", "linear", "nearest", NULL};
static const VipsKernel kernel_of[] = {VIPS_KERNEL_LANCZOS3, VIPS_KERNEL_CUBIC, VIPS_KERNEL_LINEAR, VIPS_KERNEL_NEAREST};

static const struct gri_transform_param params[] = {
    {.name = "width",
     .help = "pixels; 0: whatever the height gives",
     .type = GRI_PARAM_INT,
     .offset = offsetof(struct resize, width),
     .maximum = GRI_KIT_SIDE_MAX},
    {.name = "height",
     .help = "pixels; 0: whatever the width gives",
     .type = GRI_PARAM_INT,
     .offset = offsetof(struct resize, height),
     .maximum = GRI_KIT_SIDE_MAX},
    {.name = "fit",
     .help = "with both sides given: inside keeps the shape within the box, cover fills the box and cuts the middle out, "
             "stretch gives up the shape",
     .type = GRI_PARAM_ENUM,
     .offset = offsetof(struct resize, fit),
     .choices = fits},
    {.name = "enlarge",
     .help = "whether a smaller picture is made larger; false leaves it as it is",
     .type = GRI_PARAM_BOOL,
     .offset = offsetof(struct resize, enlarge)},
    {.name = "kernel",
     .help = "how pixels are weighed",
     .type = GRI_PARAM_ENUM,
     .offset = offsetof(struct resize, kernel),
     .choices = kernels},
    {.name = "scale",
     .help = "a factor for both sides, instead of width and height; 0: those are given",
     .type = GRI_PARAM_DOUBLE,
     .added = true,
     .offset = offsetof(struct resize, scale),
     .maximum = 16},
    {.name = "shrink_on_load",
     .help =
         "true: a JPEG four times as large or more is decoded at a half, a quarter or an eighth first; several times as fast, "
         "and not to the bit the same",
     .type = GRI_PARAM_BOOL,
     .added = true,
     .offset = offsetof(struct resize, shrink_on_load)},
};

static bool check(const void *values, struct gri_transform_error *error) {
    const struct resize *resize = values;
    bool sides = resize->width > 0 || resize->height > 0;
    if (sides && resize->scale > 0) return gri_transform_fail(error, "scale stands for width and height: give one or the other");
    return sides || resize->scale > 0 || gri_transform_fail(error, "width or height must be given, or scale");
}

/* The size to scale to (before cover cuts): whole pixels, of both sides. */
static void target_size(const struct resize *resize, int from_width, int from_height, int *width, int *height) {
    double across = resize->width > 0 ? (double)resize->width / from_width : resize->scale;
    double down = resize->height > 0 ? (double)resize->height / from_height : resize->scale;
    if (across == 0) across = down;
    if (down == 0) down = across;
    if (resize->fit != FIT_STRETCH || resize->width == 0 || resize->height == 0)
        across = down = resize->fit == FIT_COVER ? fmax(across, down) : fmin(across, down);
    if (!resize->enlarge) {
        across = fmin(across, 1);
        down = fmin(down, 1);
    }
    *width = gri_kit_side(from_width, across);
    *height = gri_kit_side(from_height, down);
}

static double shrink(const void *values, int from_width, int from_height) {
    const struct resize *resize = values;
    int width, height;
    target_size(resize, from_width, from_height, &width, &height);
    return resize->shrink_on_load && kernel_of[resize->kernel] != VIPS_KERNEL_NEAREST
               ? gri_kit_shrink(from_width, from_height, width, height)
               : 1;
}

static bool run(const struct gri_transform_call *call, VipsImage *in, VipsImage **out) {
    const struct resize *resize = call->params;
    int width, height;
    target_size(resize, call->width, call->height, &width, &height);
    VipsImage *scaled = NULL;
    int failed = gri_kit_scale(in, width, height, kernel_of[resize->kernel], &scaled);
    if (!failed && resize->fit == FIT_COVER && resize->width > 0 && resize->height > 0) {
        int keep_width = MIN(resize->width, width), keep_height = MIN(resize->height, height);
        failed =
            vips_extract_area(scaled, out, (width - keep_width) / 2, (height - keep_height) / 2, keep_width, keep_height, NULL);
    } else if (!failed) {
        *out = g_object_ref(scaled);
    }
    g_clear_object(&scaled);
    return !failed ||
           gri_transform_fail(call->error, "%d × %d could not become %d × %d", call->width, call->height, width, height);
}

extern const struct gri_transform gri_transform_resize;
const struct gri_transform gri_transform_resize = {
    GRI_TRANSFORM_LAYOUT,
    .name = "resize",
    .summary = "to a width, a height, a box, or by a factor",
    GRI_TRANSFORM_PARAMS(params, struct resize),
    .check = check,
    .run = run,
    .shrink = shrink,
};
