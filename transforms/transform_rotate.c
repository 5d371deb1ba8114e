/* SPDX-License-Identifier: Apache-2.0 */
/* rotate: by any angle; quarter turns are exact. */
#include "transform_kit.h"

#include <math.h>

struct rotate {
    double angle;
    char background[GRI_KIT_COLOR_SIZE];
};

static const char *const white[] = {"#ffffff", NULL};

static const struct gri_transform_param params[] = {
    {.name = "angle",
     .help = "degrees, clockwise; a quarter turn loses nothing",
     .type = GRI_PARAM_DOUBLE,
     .offset = offsetof(struct rotate, angle),
     .standard = 90,
     .minimum = -360,
     .maximum = 360},
    {.name = "background",
     .help = "the colour of the corners that other angles leave",
     .type = GRI_PARAM_TEXT,
     .offset = offsetof(struct rotate, background),
     .maximum = GRI_KIT_COLOR_SIZE,
     .choices = white},
};

static bool check(const void *values, struct gri_transform_error *error) {
    return gri_kit_check_color("background", ((const struct rotate *)values)->background, error);
}

static int any_angle(const struct rotate *rotate, VipsImage *in, VipsImage **out) {
    uint8_t rgb[3];
    VipsImage *ground = NULL, *turned = NULL;
    VipsArrayDouble *ink = NULL;
    int failed = !gri_kit_color(rotate->background, rgb) || gri_kit_ground(in, rgb, &ground, &ink) ||
                 vips_rotate(ground, &turned, rotate->angle, "background", ink, NULL) || vips_cast_uchar(turned, out, NULL);
    if (ink) vips_area_unref(VIPS_AREA(ink));
    g_clear_object(&turned);
    g_clear_object(&ground);
    return failed;
}

/* Turning reads the picture in another order than it is decoded: pixels before it are made once, not row by row again. */
static bool run(const struct gri_transform_call *call, VipsImage *in, VipsImage **out) {
    const struct rotate *rotate = call->params;
    double quarters = rotate->angle / 90;
    VipsImage *pixels = NULL;
    int failed = !call->compute(call->host, in, &pixels);
    if (!failed && quarters == floor(quarters))
        failed = vips_rot(pixels, out, (VipsAngle)(((int)quarters % 4 + 4) % 4), NULL);
    else if (!failed)
        failed = any_angle(rotate, pixels, out);
    g_clear_object(&pixels);
    return !failed || gri_transform_fail(call->error, "it could not be turned by %g°", rotate->angle);
}

extern const struct gri_transform gri_transform_rotate;
const struct gri_transform gri_transform_rotate = {
    GRI_TRANSFORM_LAYOUT,
    .name = "rotate",
    .summary = "clockwise by an angle (every picture is upright, as its EXIF says, before the first step)",
    GRI_TRANSFORM_PARAMS(params, struct rotate),
    .check = check,
    .run = run,
};
