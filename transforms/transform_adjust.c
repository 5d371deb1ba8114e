/* SPDX-License-Identifier: Apache-2.0 */
/* adjust: brightness, contrast and gamma, by one table of tones. */
#include "transform_kit.h"

#include <math.h>

struct adjust {
    double brightness, contrast, gamma;
};

static const struct gri_transform_param params[] = {
    {.name = "brightness",
     .help = "a factor; 0 is black, 1 leaves it",
     .type = GRI_PARAM_DOUBLE,
     .offset = offsetof(struct adjust, brightness),
     .standard = 1,
     .maximum = 10},
    {.name = "contrast",
     .help = "a factor of the distance from middle gray, 127.5; 0 is gray, 1 leaves it",
     .type = GRI_PARAM_DOUBLE,
     .offset = offsetof(struct adjust, contrast),
     .standard = 1,
     .maximum = 10},
    {.name = "gamma",
     .help = "the exponent 1/gamma of tones between 0 and 1: over 1 lightens shadows, 1 leaves it",
     .type = GRI_PARAM_DOUBLE,
     .offset = offsetof(struct adjust, gamma),
     .standard = 1,
     .minimum = 0.1,
     .maximum = 10},
};

/* In this order: brightness, contrast, gamma; cut to the range of tones once, before gamma. */
static uint8_t adjusted(const struct adjust *adjust, int tone) {
    double value = (tone * adjust->brightness - 127.5) * adjust->contrast + 127.5;
    value = value < 0 ? 0 : value > 255 ? 255 : value;
    return (uint8_t)floor(pow(value / 255, 1 / adjust->gamma) * 255 + 0.5);
}

static bool apply(const void *values, VipsImage *in, VipsImage **out, struct gri_transform_error *error) {
    uint8_t table[1][256];
    for (int tone = 0; tone < 256; tone++)
        table[0][tone] = adjusted(values, tone);
    return gri_kit_map(in, table, 1, out) == 0 || gri_transform_fail(error, "the tones could not be changed");
}

extern const struct gri_transform gri_transform_adjust;
const struct gri_transform gri_transform_adjust = {
    GRI_TRANSFORM_LAYOUT,
    .name = "adjust",
    .summary = "brightness, contrast and gamma, in this order",
    GRI_TRANSFORM_PARAMS(params, struct adjust),
    .apply = apply,
};
