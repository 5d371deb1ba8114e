/* SPDX-License-Identifier: Apache-2.0 */
/* resize: to a width, a height, or a box. */
#include <grisaille/transform.h>
#include <vips/vips.h>

#include <math.h>

enum fit { FIT_INSIDE, FIT_COVER, FIT_STRETCH };

struct resize {
    int width, height;
    int fit;
    bool enlarge;
    int kernel;
};

static const char *const fits[] = {"inside", "cover", "stretch", NULL};
static const char *const kernels[] = {"lanczos3", "cubic", "linear", "nearest", NULL};
static const VipsKernel kernel_of[] = {VIPS_KERNEL_LANCZOS3, VIPS_KERNEL_CUBIC, VIPS_KERNEL_LINEAR, VIPS_KERNEL_NEAREST};

#define RESIZE_SIDE_MAX 16384

static const struct gri_transform_param params[] = {
    {.name = "width",
     .help = "pixels; 0: whatever the height gives",
     .type = GRI_PARAM_INT,
     .offset = offsetof(struct resize, width),
     .maximum = RESIZE_SIDE_MAX},
    {.name = "height",
     .help = "pixels; 0: whatever the width gives",
     .type = GRI_PARAM_INT,
     .offset = offsetof(struct resize, height),
     .maximum = RESIZE_SIDE_MAX},
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
};

static bool check(const void *values, struct gri_transform_error *error) {
    const struct resize *resize = values;
    if (resize->width > 0 || resize->height > 0) return true;
    g_strlcpy(error->text, "width or height must be given", sizeof error->text);
    return false;
}

/* A side of `from` pixels scaled; at least one pixel, at most what the parameters allow. */
static int scaled_side(int from, double scale) {
    double side = floor(from * scale + 0.5);
    return side < 1 ? 1 : side > RESIZE_SIDE_MAX ? RESIZE_SIDE_MAX : (int)side;
}

/* The size to scale to (before cover cuts): whole pixels, of both sides. */
static void target_size(const struct resize *resize, int from_width, int from_height, int *width, int *height) {
    double across = resize->width > 0 ? (double)resize->width / from_width : 0;
    double down = resize->height > 0 ? (double)resize->height / from_height : 0;
    if (across == 0) across = down;
    if (down == 0) down = across;
    if (resize->fit != FIT_STRETCH || resize->width == 0 || resize->height == 0)
        across = down = resize->fit == FIT_COVER ? fmax(across, down) : fmin(across, down);
    if (!resize->enlarge) {
        across = fmin(across, 1);
        down = fmin(down, 1);
    }
    *width = scaled_side(from_width, across);
    *height = scaled_side(from_height, down);
}

static bool apply(const void *values, VipsImage *in, VipsImage **out, struct gri_transform_error *error) {
    const struct resize *resize = values;
    int from_width = vips_image_get_width(in), from_height = vips_image_get_height(in), width = 0, height = 0;
    target_size(resize, from_width, from_height, &width, &height);
    VipsImage *scaled = NULL;
    int failed = 0;
    if (width == from_width && height == from_height)
        failed = vips_copy(in, &scaled, NULL);
    else
        failed = vips_resize(in, &scaled, (double)width / from_width, "vscale", (double)height / from_height, "kernel",
                             kernel_of[resize->kernel], NULL);
    if (!failed && resize->fit == FIT_COVER && resize->width > 0 && resize->height > 0) {
        int keep_width = MIN(resize->width, vips_image_get_width(scaled));
        int keep_height = MIN(resize->height, vips_image_get_height(scaled));
        failed = vips_extract_area(scaled, out, (vips_image_get_width(scaled) - keep_width) / 2,
                                   (vips_image_get_height(scaled) - keep_height) / 2, keep_width, keep_height, NULL);
    } else if (!failed) {
        *out = g_object_ref(scaled);
    }
    g_clear_object(&scaled);
    if (failed)
        g_snprintf(error->text, sizeof error->text, "%d × %d could not become %d × %d", from_width, from_height, width, height);
    return !failed;
}

extern const struct gri_transform gri_transform_resize;
const struct gri_transform gri_transform_resize = {
    .abi_version = GRI_TRANSFORM_ABI,
    .struct_size = sizeof(struct gri_transform),
    .param_struct_size = sizeof(struct gri_transform_param),
    .name = "resize",
    .summary = "to a width, a height, or a box",
    .params = params,
    .param_count = sizeof params / sizeof params[0],
    .params_size = sizeof(struct resize),
    .check = check,
    .apply = apply,
};
