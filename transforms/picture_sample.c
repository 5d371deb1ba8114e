/* SPDX-License-Identifier: Apache-2.0 */
/* Draws the sample: a sky, a sun, hills and a chequered field. */
#include "picture_sample.h"

#include "vips_runtime.h"

#include <math.h>
#include <stdlib.h>
#include <vips/vips.h>

static void draw_pixel(double x, double y, uint8_t rgb[3]) {
    double hill = 0.62 + 0.08 * sin(x * 7) + 0.03 * sin(x * 23), distance = hypot((x - 0.72) * 1.33, y - 0.28);
    double grain = 6 * sin(x * 811) * sin(y * 677);
    double sky[] = {90 + 120 * y, 150 + 70 * y, 235 - 30 * y}, field[] = {70 + 60 * x, 120 - 40 * (y - hill), 50.0};
    bool dark = ((int)(x * 24) + (int)(y * 18)) % 2 == 0;
    for (int band = 0; band < 3; band++) {
        double value = y > hill          ? field[band] * (dark ? 0.75 : 1) + grain
                       : distance < 0.12 ? (double[]){250, 225, 90}[band]
                                         : sky[band];
        rgb[band] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
    }
}

enum gri_status gri_picture_sample(int width, int height, struct gri_bytes *out, struct gri_error *error) {
    size_t size = (size_t)width * (size_t)height * 3, len = 0;
    uint8_t *pixels = gri_calloc(size, 1);
    void *data = NULL;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            draw_pixel((x + 0.5) / width, (y + 0.5) / height, pixels + ((size_t)y * (size_t)width + (size_t)x) * 3);
    VipsImage *raw = vips_image_new_from_memory(pixels, size, width, height, 3, VIPS_FORMAT_UCHAR), *image = NULL;
    enum gri_status status = GRI_OK;
    if (!raw || vips_copy(raw, &image, "interpretation", VIPS_INTERPRETATION_sRGB, NULL) ||
        vips_jpegsave_buffer(image, &data, &len, "Q", 90, "strip", TRUE, NULL)) {
        char text[200];
        gri_vips_message(text, sizeof text);
        status = gri_fail(error, GRI_R_internal, "the sample picture: %s", text);
    } else {
        status = gri_bytes_append(out, data, len, error);
    }
    g_free(data);
    g_clear_object(&image);
    g_clear_object(&raw);
    free(pixels);
    return status;
}
