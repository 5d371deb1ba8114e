/* SPDX-License-Identifier: Apache-2.0 */
/* invert: light becomes dark. */
#include "transform_kit.h"

static bool apply(const void *values, VipsImage *in, VipsImage **out, struct gri_transform_error *error) {
    (void)values;
    return vips_invert(in, out, NULL) == 0 || gri_transform_fail(error, "it could not be inverted");
}

static bool linear(const void *values) {
    (void)values;
    return true;
}

extern const struct gri_transform gri_transform_invert;
const struct gri_transform gri_transform_invert = {
    GRI_TRANSFORM_LAYOUT, .name = "invert", .summary = "a negative: light becomes dark", .apply = apply, .linear = linear,
};
