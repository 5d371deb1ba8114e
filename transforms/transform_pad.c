/* SPDX-License-Identifier: Apache-2.0 */
/* pad: a larger ground to lie on. */
#include "transform_kit.h"

struct pad {
    int width, height;
    int at;
    char color[GRI_KIT_COLOR_SIZE];
};

static const char *const white[] = {"#ffffff", NULL};

static const struct gri_transform_param params[] = {
    {.name = "width",
     .help = "pixels, at least; a wider picture keeps its width",
     .type = GRI_PARAM_INT,
     .offset = offsetof(struct pad, width),
     .maximum = GRI_KIT_SIDE_MAX},
    {.name = "height",
     .help = "pixels, at least; a higher picture keeps its height",
     .type = GRI_PARAM_INT,
     .offset = offsetof(struct pad, height),
     .maximum = GRI_KIT_SIDE_MAX},
    {.name = "at",
     .help = "where the picture lies",
     .type = GRI_PARAM_ENUM,
     .offset = offsetof(struct pad, at),
     .standard = GRI_KIT_CENTRE,
     .choices = gri_kit_places},
    {.name = "color",
     .help = "of the ground; one that is no gray makes a gray picture sRGB",
     .type = GRI_PARAM_TEXT,
     .offset = offsetof(struct pad, color),
     .maximum = GRI_KIT_COLOR_SIZE,
     .choices = white},
};

static bool check(const void *values, struct gri_transform_error *error) {
    const struct pad *pad = values;
    if (pad->width == 0 && pad->height == 0) return gri_transform_fail(error, "width or height must be given");
    return gri_kit_check_color("color", pad->color, error);
}

static bool run(const struct gri_transform_call *call, VipsImage *in, VipsImage **out) {
    const struct pad *pad = call->params;
    int width = MAX(pad->width, call->width), height = MAX(pad->height, call->height), left, top;
    uint8_t rgb[3];
    VipsImage *ground = NULL;
    VipsArrayDouble *ink = NULL;
    gri_kit_place(pad->at, width - call->width, height - call->height, &left, &top);
    int failed = !gri_kit_color(pad->color, rgb) || gri_kit_ground(in, rgb, &ground, &ink) ||
                 vips_embed(ground, out, left, top, width, height, "extend", VIPS_EXTEND_BACKGROUND, "background", ink, NULL);
    if (ink) vips_area_unref(VIPS_AREA(ink));
    g_clear_object(&ground);
    return !failed || gri_transform_fail(call->error, "it could not be padded to %d × %d", width, height);
}

extern const struct gri_transform gri_transform_pad;
const struct gri_transform gri_transform_pad = {
    GRI_TRANSFORM_LAYOUT, .name = "pad", .summary = "a larger ground to lie on", GRI_TRANSFORM_PARAMS(params, struct pad),
    .check = check,       .run = run,
};
