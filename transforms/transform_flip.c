/* SPDX-License-Identifier: Apache-2.0 */
/* flip: a mirror image. */
#include "transform_kit.h"

enum direction { HORIZONTAL, VERTICAL, BOTH };

struct flip {
    int direction;
};

static const char *const directions[] = {"horizontal", "vertical", "both", NULL};

static const struct gri_transform_param params[] = {
    {.name = "direction",
     .help = "horizontal: left becomes right; vertical: top becomes bottom",
     .type = GRI_PARAM_ENUM,
     .offset = offsetof(struct flip, direction),
     .choices = directions},
};

static bool apply(const void *values, VipsImage *in, VipsImage **out, struct gri_transform_error *error) {
    const struct flip *flip = values;
    int failed =
        flip->direction == BOTH
            ? vips_rot180(in, out, NULL)
            : vips_flip(in, out, flip->direction == HORIZONTAL ? VIPS_DIRECTION_HORIZONTAL : VIPS_DIRECTION_VERTICAL, NULL);
    return !failed || gri_transform_fail(error, "it could not be mirrored");
}

extern const struct gri_transform gri_transform_flip;
const struct gri_transform gri_transform_flip = {
    GRI_TRANSFORM_LAYOUT, .name = "flip", .summary = "a mirror image", GRI_TRANSFORM_PARAMS(params, struct flip), .apply = apply,
};
