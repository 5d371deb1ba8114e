/* SPDX-License-Identifier: Apache-2.0 */
/* crop: a part of the picture, by place or by what it shows. */
#include "transform_kit.h"

enum { AT_BOX = GRI_KIT_PLACES, AT_ATTENTION, AT_ENTROPY };

struct crop {
    int width, height, left, top;
    int at;
};

static const char *const places[] = {"top_left", "top",          "top_right", "left",      "centre",  "right", "bottom_left",
                                     "bottom",   "bottom_right", "box",       "attention", "entropy", NULL};

static const struct gri_transform_param params[] = {
    {.name = "width",
     .help = "pixels to keep; 0: all of them",
     .type = GRI_PARAM_INT,
     .offset = offsetof(struct crop, width),
     .maximum = GRI_KIT_SIDE_MAX},
    {.name = "height",
     .help = "pixels to keep; 0: all of them",
     .type = GRI_PARAM_INT,
     .offset = offsetof(struct crop, height),
     .maximum = GRI_KIT_SIDE_MAX},
    {.name = "at",
     .help = "which part: a place, the box that begins at left and top, what catches the eye, or where most detail is",
     .type = GRI_PARAM_ENUM,
     .offset = offsetof(struct crop, at),
     .standard = GRI_KIT_CENTRE,
     .choices = places},
    {.name = "left",
     .help = "pixels before the box",
     .type = GRI_PARAM_INT,
     .offset = offsetof(struct crop, left),
     .maximum = GRI_KIT_SIDE_MAX},
    {.name = "top",
     .help = "pixels above the box",
     .type = GRI_PARAM_INT,
     .offset = offsetof(struct crop, top),
     .maximum = GRI_KIT_SIDE_MAX},
};

static bool check(const void *values, struct gri_transform_error *error) {
    const struct crop *crop = values;
    if (crop->width == 0 && crop->height == 0) return gri_transform_fail(error, "width or height must be given");
    return crop->at == AT_BOX || (crop->left == 0 && crop->top == 0) || gri_transform_fail(error, "left and top go with at: box");
}

static int by_content(const struct gri_transform_call *call, VipsImage *in, int width, int height, VipsImage **out) {
    const struct crop *crop = call->params;
    VipsImage *pixels = NULL;
    int failed = !call->compute(call->host, in, &pixels) ||
                 vips_smartcrop(pixels, out, width, height, "interesting",
                                crop->at == AT_ENTROPY ? VIPS_INTERESTING_ENTROPY : VIPS_INTERESTING_ATTENTION, NULL);
    g_clear_object(&pixels);
    return failed;
}

/* What is outside the picture can't be kept: the part is cut to what there is. */
static bool run(const struct gri_transform_call *call, VipsImage *in, VipsImage **out) {
    const struct crop *crop = call->params;
    int room_across = call->width, room_down = call->height, left = 0, top = 0;
    if (crop->at == AT_BOX) {
        left = crop->left;
        top = crop->top;
        if (left >= room_across || top >= room_down)
            return gri_transform_fail(call->error, "the box begins at %d, %d, outside the picture of %d × %d", left, top,
                                      call->width, call->height);
        room_across -= left;
        room_down -= top;
    }
    int width = crop->width > 0 ? MIN(crop->width, room_across) : room_across;
    int height = crop->height > 0 ? MIN(crop->height, room_down) : room_down;
    if (crop->at < GRI_KIT_PLACES) gri_kit_place(crop->at, room_across - width, room_down - height, &left, &top);
    int failed =
        crop->at > AT_BOX ? by_content(call, in, width, height, out) : vips_extract_area(in, out, left, top, width, height, NULL);
    return !failed || gri_transform_fail(call->error, "%d × %d could not be cut out", width, height);
}

extern const struct gri_transform gri_transform_crop;
const struct gri_transform gri_transform_crop = {
    GRI_TRANSFORM_LAYOUT,
    .name = "crop",
    .summary = "a part of the picture, by place or by what it shows",
    GRI_TRANSFORM_PARAMS(params, struct crop),
    .check = check,
    .run = run,
};
