/* SPDX-License-Identifier: Apache-2.0 */
/* sepia: the matrix of the W3C's filter effects. */
#include "transform_kit.h"

struct sepia {
    int strength;
};

static const struct gri_transform_param params[] = {
    {.name = "strength",
     .help = "percent; 0 leaves the picture",
     .type = GRI_PARAM_INT,
     .offset = offsetof(struct sepia, strength),
     .standard = 100,
     .maximum = 100},
};

static bool apply(const void *values, VipsImage *in, VipsImage **out, struct gri_transform_error *error) {
    const struct sepia *sepia = values;
    double rest = 1 - sepia->strength / 100.0;
    VipsImage *matrix = vips_image_new_matrixv(3, 3, 0.393 + 0.607 * rest, 0.769 - 0.769 * rest, 0.189 - 0.189 * rest,
                                               0.349 - 0.349 * rest, 0.686 + 0.314 * rest, 0.168 - 0.168 * rest,
                                               0.272 - 0.272 * rest, 0.534 - 0.534 * rest, 0.131 + 0.869 * rest);
    VipsImage *colour = NULL, *mixed = NULL, *rounded = NULL;
    int failed = !matrix ||
                 (vips_image_get_bands(in) == 3 ? vips_copy(in, &colour, NULL)
                                                : vips_colourspace(in, &colour, VIPS_INTERPRETATION_sRGB, NULL)) ||
                 vips_recomb(colour, &mixed, matrix, NULL) || vips_rint(mixed, &rounded, NULL) ||
                 vips_cast_uchar(rounded, out, NULL);
    g_clear_object(&rounded);
    g_clear_object(&mixed);
    g_clear_object(&colour);
    g_clear_object(&matrix);
    return !failed || gri_transform_fail(error, "it could not be toned");
}

extern const struct gri_transform gri_transform_sepia;
const struct gri_transform gri_transform_sepia = {
    GRI_TRANSFORM_LAYOUT,
    .name = "sepia",
    .summary = "the brown of old photographs, by the matrix of the W3C's filter effects",
    GRI_TRANSFORM_PARAMS(params, struct sepia),
    .apply = apply,
};
