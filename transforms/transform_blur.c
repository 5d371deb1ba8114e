/* SPDX-License-Identifier: Apache-2.0 */
/* blur: Gaussian. */
#include "transform_kit.h"

struct blur {
    double sigma;
};

static const struct gri_transform_param params[] = {
    {.name = "sigma",
     .help = "pixels: the standard deviation of the Gaussian",
     .type = GRI_PARAM_DOUBLE,
     .offset = offsetof(struct blur, sigma),
     .standard = 2,
     .minimum = 0.3,
     .maximum = 100},
};

static bool apply(const void *values, VipsImage *in, VipsImage **out, struct gri_transform_error *error) {
    const struct blur *blur = values;
    int failed = vips_gaussblur(in, out, blur->sigma, "min_ampl", 0.02, NULL);
    return !failed || gri_transform_fail(error, "it could not be blurred");
}

extern const struct gri_transform gri_transform_blur;
const struct gri_transform gri_transform_blur = {
    GRI_TRANSFORM_LAYOUT, .name = "blur", .summary = "Gaussian blur", GRI_TRANSFORM_PARAMS(params, struct blur), .apply = apply,
};
