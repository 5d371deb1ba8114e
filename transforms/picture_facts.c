/* SPDX-License-Identifier: Apache-2.0 */
/* Measures pictures with libvips' histograms and statistics. */
#include "picture_facts.h"

#include <math.h>

enum { BOXES = 16, BOX_SIDE = 256 / BOXES };
static const size_t box_count = (size_t)BOXES * BOXES * BOXES;

int gri_tones_of(VipsImage *pixels, struct gri_tones *tones) {
    VipsImage *gray = NULL, *found = NULL;
    size_t len = 0;
    uint32_t *histogram = NULL;
    int failed = gri_kit_luma(pixels, &gray) || vips_hist_find(gray, &found, NULL) ||
                 (histogram = vips_image_write_to_memory(found, &len)) == NULL || len != 256 * sizeof(uint32_t);
    double total = 0, sum = 0, squares = 0, entropy = 0;
    for (int tone = 0; !failed && tone < 256; tone++) {
        total += histogram[tone];
        sum += (double)histogram[tone] * tone;
        squares += (double)histogram[tone] * tone * tone;
    }
    for (int tone = 0; !failed && tone < 256; tone++) {
        double share = histogram[tone] / total;
        if (share > 0) entropy -= share * log2(share);
    }
    if (!failed)
        *tones = (struct gri_tones){sum / total, sqrt(fmax(0, squares / total - sum / total * (sum / total))), fmax(0, entropy)};
    g_free(histogram);
    g_clear_object(&found);
    g_clear_object(&gray);
    return failed;
}

int gri_sharpness_of(VipsImage *pixels, double *sharpness) {
    VipsImage *gray = NULL, *edges = NULL;
    VipsImage *laplacian = vips_image_new_matrixv(3, 3, 0.0, 1.0, 0.0, 1.0, -4.0, 1.0, 0.0, 1.0, 0.0);
    double deviation = 0;
    int failed =
        !laplacian || gri_kit_luma(pixels, &gray) || vips_conv(gray, &edges, laplacian, "precision", VIPS_PRECISION_FLOAT, NULL);
    bool one = vips_image_get_width(pixels) * (int64_t)vips_image_get_height(pixels) == 1; /* vips divides by n − 1 */
    if (!failed && !one) failed = vips_deviate(edges, &deviation, NULL);
    *sharpness = deviation * deviation;
    g_clear_object(&edges);
    g_clear_object(&gray);
    g_clear_object(&laplacian);
    return failed;
}

int gri_dominant_of(VipsImage *pixels, char color[GRI_KIT_COLOR_SIZE]) {
    VipsImage *rgb = NULL, *found = NULL;
    size_t len = 0, best = 0;
    uint32_t *boxes = NULL;
    int failed = (vips_image_get_bands(pixels) == 3 ? vips_copy(pixels, &rgb, NULL)
                                                    : vips_colourspace(pixels, &rgb, VIPS_INTERPRETATION_sRGB, NULL)) ||
                 vips_hist_find_ndim(rgb, &found, "bins", BOXES, NULL) ||
                 (boxes = vips_image_write_to_memory(found, &len)) == NULL || len != sizeof(uint32_t) * box_count;
    for (size_t i = 1; !failed && i < box_count; i++)
        if (boxes[i] > boxes[best]) best = i;
    /* x is the first band, y the second, the bands of the histogram the third */
    unsigned red = (unsigned)(best / BOXES % BOXES), green = (unsigned)(best / BOXES / BOXES), blue = (unsigned)(best % BOXES);
    g_snprintf(color, GRI_KIT_COLOR_SIZE, "#%02x%02x%02x", red * BOX_SIDE + BOX_SIDE / 2, green * BOX_SIDE + BOX_SIDE / 2,
               blue * BOX_SIDE + BOX_SIDE / 2);
    g_free(boxes);
    g_clear_object(&found);
    g_clear_object(&rgb);
    return failed;
}
