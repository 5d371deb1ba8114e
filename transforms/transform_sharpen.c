/* SPDX-License-Identifier: Apache-2.0 */
/* sharpen: an unsharp mask. */
#include "transform_kit.h"

struct sharpen {
    double sigma, amount;
    int threshold;
};

static const struct gri_transform_param params[] = {
    {.name = "sigma",
     .help = "pixels: how wide the edges are that become sharper",
     .type = GRI_PARAM_DOUBLE,
     .offset = offsetof(struct sharpen, sigma),
     .standard = 1,
     .minimum = 0.3,
     .maximum = 50},
    {.name = "amount",
     .help = "percent of the difference to the blurred picture that is added",
     .type = GRI_PARAM_DOUBLE,
     .offset = offsetof(struct sharpen, amount),
     .standard = 100,
     .minimum = 0,
     .maximum = 1000},
    {.name = "threshold",
     .help = "differences up to this many levels are left alone: noise stays as it is",
     .type = GRI_PARAM_INT,
     .offset = offsetof(struct sharpen, threshold),
     .standard = 2,
     .maximum = 255},
};

/* in + amount × (in − blurred), where that differs by more than the threshold. */
static bool apply(const void *values, VipsImage *in, VipsImage **out, struct gri_transform_error *error) {
    const struct sharpen *sharpen = values;
    VipsImage *blurred = NULL, *mask = NULL, *size = NULL, *over = NULL, *scaled = NULL, *sum = NULL, *bytes = NULL;
    int failed = vips_gaussblur(in, &blurred, sharpen->sigma, "min_ampl", 0.02, NULL) ||
                 vips_subtract(in, blurred, &mask, NULL) || vips_abs(mask, &size, NULL) ||
                 vips_more_const1(size, &over, sharpen->threshold, NULL) ||
                 vips_linear1(mask, &scaled, sharpen->amount / 100, 0, NULL) || vips_add(in, scaled, &sum, NULL) ||
                 vips_cast_uchar(sum, &bytes, NULL) || vips_ifthenelse(over, bytes, in, out, NULL);
    VipsImage *all[] = {blurred, mask, size, over, scaled, sum, bytes};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        g_clear_object(&all[i]);
    return !failed || gri_transform_fail(error, "it could not be sharpened");
}

extern const struct gri_transform gri_transform_sharpen;
const struct gri_transform gri_transform_sharpen = {
    GRI_TRANSFORM_LAYOUT, .name = "sharpen", .summary = "an unsharp mask", GRI_TRANSFORM_PARAMS(params, struct sharpen),
    .apply = apply,
};
