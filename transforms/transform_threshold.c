/* SPDX-License-Identifier: Apache-2.0 */
/* threshold: black and white by luma. */
#include "transform_kit.h"

struct threshold {
    int level;
};

static const struct gri_transform_param params[] = {
    {.name = "level",
     .help = "luma from here on is white",
     .type = GRI_PARAM_INT,
     .offset = offsetof(struct threshold, level),
     .standard = 128,
     .maximum = 255},
};

static bool apply(const void *values, VipsImage *in, VipsImage **out, struct gri_transform_error *error) {
    const struct threshold *threshold = values;
    VipsImage *gray = NULL;
    int failed = gri_kit_luma(in, &gray) || vips_moreeq_const1(gray, out, threshold->level, NULL);
    g_clear_object(&gray);
    return !failed || gri_transform_fail(error, "it could not be made black and white");
}

extern const struct gri_transform gri_transform_threshold;
const struct gri_transform gri_transform_threshold = {
    GRI_TRANSFORM_LAYOUT,
    .name = "threshold",
    .summary = "black and white, by luma",
    GRI_TRANSFORM_PARAMS(params, struct threshold),
    .apply = apply,
};
