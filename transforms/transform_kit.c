/* SPDX-License-Identifier: Apache-2.0 */
/* The shared leaves of built-in transforms. */
#include "transform_kit.h"

#include <math.h>
#include <string.h>

const char *const gri_kit_places[] = {"top_left", "top",         "top_right", "left",         "centre",
                                      "right",    "bottom_left", "bottom",    "bottom_right", NULL};

bool gri_kit_color(const char *text, uint8_t rgb[3]) {
    if (text[0] != '#' || strlen(text) != 7) return false;
    for (int i = 0; i < 3; i++) {
        int high = g_ascii_xdigit_value(text[1 + 2 * i]), low = g_ascii_xdigit_value(text[2 + 2 * i]);
        if (high < 0 || low < 0) return false;
        rgb[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

bool gri_kit_check_color(const char *name, const char *text, struct gri_transform_error *error) {
    uint8_t rgb[3];
    return gri_kit_color(text, rgb) || gri_transform_fail(error, "%s is \"%s\"; a colour is written \"#rrggbb\"", name, text);
}

int gri_kit_ground(VipsImage *in, const uint8_t rgb[3], VipsImage **out, VipsArrayDouble **ink) {
    bool gray = rgb[0] == rgb[1] && rgb[1] == rgb[2];
    if (vips_image_get_bands(in) == 1 && gray) {
        *ink = vips_array_double_newv(1, (double)rgb[0]);
        return vips_copy(in, out, NULL);
    }
    *ink = vips_array_double_newv(3, (double)rgb[0], (double)rgb[1], (double)rgb[2]);
    return vips_image_get_bands(in) == 3 ? vips_copy(in, out, NULL) : vips_colourspace(in, out, VIPS_INTERPRETATION_sRGB, NULL);
}

void gri_kit_place(int place, int room_across, int room_down, int *left, int *top) {
    *left = room_across * (place % 3) / 2;
    *top = room_down * (place / 3) / 2;
}

int gri_kit_map(VipsImage *in, const uint8_t (*tables)[256], int bands, VipsImage **out) {
    uint8_t table[256 * 3];
    for (int tone = 0; tone < 256; tone++)
        for (int band = 0; band < bands; band++)
            table[tone * bands + band] = tables[band][tone];
    VipsImage *lut = vips_image_new_from_memory_copy(table, (size_t)256 * (size_t)bands, 256, 1, bands, VIPS_FORMAT_UCHAR);
    VipsImage *mapped = NULL;
    int failed = !lut || vips_maplut(in, &mapped, lut, NULL);
    if (!failed)
        failed = vips_copy(mapped, out, "interpretation",
                           vips_image_get_bands(mapped) == 1 ? VIPS_INTERPRETATION_B_W : VIPS_INTERPRETATION_sRGB, NULL);
    g_clear_object(&mapped);
    g_clear_object(&lut);
    return failed;
}

int gri_kit_side(int from, double scale) {
    double side = floor(from * scale + 0.5);
    return side < 1 ? 1 : side > GRI_KIT_SIDE_MAX ? GRI_KIT_SIDE_MAX : (int)side;
}

int gri_kit_scale(VipsImage *in, int width, int height, VipsKernel kernel, VipsImage **out) {
    int from_width = vips_image_get_width(in), from_height = vips_image_get_height(in);
    if (width == from_width && height == from_height) return vips_copy(in, out, NULL);
    VipsImage *scaled = NULL;
    int failed =
        vips_resize(in, &scaled, (double)width / from_width, "vscale", (double)height / from_height, "kernel", kernel, NULL);
    /* vips_resize rounds by itself: a picture that was shrunk on load may miss the size by one */
    if (!failed && (vips_image_get_width(scaled) != width || vips_image_get_height(scaled) != height))
        failed = vips_embed(scaled, out, 0, 0, width, height, "extend", VIPS_EXTEND_COPY, NULL);
    else if (!failed)
        *out = g_object_ref(scaled);
    g_clear_object(&scaled);
    return failed;
}

double gri_kit_shrink(int from_width, int from_height, int to_width, int to_height) {
    return fmin((double)from_width / to_width, (double)from_height / to_height) / 2;
}

/* (19595 R + 38470 G + 7471 B + 2^15) >> 16, Pillow's own integers (Convert.c, L24): weighted sums stay below 2^24, so
 * single precision holds every step exactly, and the final cast cuts as the shift does. */
int gri_kit_luma(VipsImage *in, VipsImage **out) {
    if (vips_image_get_bands(in) == 1) return vips_copy(in, out, NULL);
    VipsImage *matrix = vips_image_new_matrixv(3, 1, 19595.0, 38470.0, 7471.0);
    VipsImage *sum = NULL, *scaled = NULL, *bytes = NULL;
    int failed = !matrix || vips_recomb(in, &sum, matrix, NULL) || vips_linear1(sum, &scaled, 1.0 / 65536, 0.5, NULL) ||
                 vips_cast_uchar(scaled, &bytes, NULL) || vips_copy(bytes, out, "interpretation", VIPS_INTERPRETATION_B_W, NULL);
    g_clear_object(&bytes);
    g_clear_object(&scaled);
    g_clear_object(&sum);
    g_clear_object(&matrix);
    return failed;
}
