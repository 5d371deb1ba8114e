/* SPDX-License-Identifier: Apache-2.0 */
/* tint: gray tones in one colour. */
#include "transform_kit.h"

struct tint {
    char color[GRI_KIT_COLOR_SIZE], black[GRI_KIT_COLOR_SIZE], white[GRI_KIT_COLOR_SIZE];
};

static const char *const middle[] = {"#704214", NULL}, *const dark[] = {"#000000", NULL}, *const light[] = {"#ffffff", NULL};

static const struct gri_transform_param params[] = {
    {.name = "color",
     .help = "of middle gray",
     .type = GRI_PARAM_TEXT,
     .offset = offsetof(struct tint, color),
     .maximum = GRI_KIT_COLOR_SIZE,
     .choices = middle},
    {.name = "black",
     .help = "of black",
     .type = GRI_PARAM_TEXT,
     .offset = offsetof(struct tint, black),
     .maximum = GRI_KIT_COLOR_SIZE,
     .choices = dark},
    {.name = "white",
     .help = "of white",
     .type = GRI_PARAM_TEXT,
     .offset = offsetof(struct tint, white),
     .maximum = GRI_KIT_COLOR_SIZE,
     .choices = light},
};

static bool check(const void *values, struct gri_transform_error *error) {
    const struct tint *tint = values;
    return gri_kit_check_color("color", tint->color, error) && gri_kit_check_color("black", tint->black, error) &&
           gri_kit_check_color("white", tint->white, error);
}

static uint8_t between(uint8_t from, uint8_t to, int part, int whole) {
    return (uint8_t)(from + ((to - from) * part * 2 + (to < from ? -whole : whole)) / (2 * whole));
}

static bool apply(const void *values, VipsImage *in, VipsImage **out, struct gri_transform_error *error) {
    const struct tint *tint = values;
    uint8_t ends[3][3], tables[3][256];
    VipsImage *gray = NULL;
    bool ok = gri_kit_color(tint->black, ends[0]) && gri_kit_color(tint->color, ends[1]) && gri_kit_color(tint->white, ends[2]);
    for (int band = 0; ok && band < 3; band++)
        for (int tone = 0; tone < 256; tone++)
            tables[band][tone] = tone < 128 ? between(ends[0][band], ends[1][band], tone, 127)
                                            : between(ends[1][band], ends[2][band], tone - 127, 128);
    ok = ok && gri_kit_luma(in, &gray) == 0 && gri_kit_map(gray, tables, 3, out) == 0;
    g_clear_object(&gray);
    return ok || gri_transform_fail(error, "it could not be tinted");
}

extern const struct gri_transform gri_transform_tint;
const struct gri_transform gri_transform_tint = {
    GRI_TRANSFORM_LAYOUT,
    .name = "tint",
    .summary = "gray tones in one colour: black, color and white by luma",
    GRI_TRANSFORM_PARAMS(params, struct tint),
    .check = check,
    .apply = apply,
};
