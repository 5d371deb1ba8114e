/* SPDX-License-Identifier: Apache-2.0 */
/* The perceptual hash. */
#include "picture_hash.h"

#include "picture_sniff.h"
#include "vips_runtime.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <vips/vips.h>

enum { SIDE = 32, BITS = 64, DIAGONALS = 12 };

static const double FLAT = 2.0; /* the strongest frequency of a picture of one level, noise of its coding included */

/* 32 x 32 gray pixels, upright. */
static bool shrink(struct gri_slice picture, double pixels[SIDE * SIDE]) {
    VipsImage *small = NULL, *gray = NULL, *flat = NULL, *bytes = NULL;
    void *data = NULL;
    size_t len = 0;
    enum gri_picture_type type;
    struct gri_error error;
    if (gri_picture_sniff(picture, &type, &error) != GRI_OK) return false;
    bool made = vips_thumbnail_buffer((void *)(uintptr_t)picture.data, picture.len, &small, SIDE, "height", SIDE, "size",
                                      VIPS_SIZE_FORCE, NULL) == 0 &&
                vips_colourspace(small, &gray, VIPS_INTERPRETATION_B_W, NULL) == 0 &&
                vips_extract_band(gray, &flat, 0, NULL) == 0 && vips_cast(flat, &bytes, VIPS_FORMAT_UCHAR, NULL) == 0;
    if (made) data = vips_image_write_to_memory(bytes, &len);
    made = data && len == SIDE * SIDE;
    for (size_t i = 0; made && i < len; i++)
        pixels[i] = ((const uint8_t *)data)[i];
    g_free(data);
    g_clear_object(&bytes);
    g_clear_object(&flat);
    g_clear_object(&gray);
    g_clear_object(&small);
    if (!made) vips_error_clear();
    return made;
}

/* Of every (u, v) with u + v < DIAGONALS, in the order of u + v, without the mean: the first BITS. */
static void transform(const double pixels[SIDE * SIDE], double out[BITS]) {
    double cosines[SIDE][DIAGONALS], rows[SIDE][DIAGONALS] = {0};
    for (int u = 0; u < DIAGONALS; u++) { /* of odd multiples of an angle, each from the two before it */
        double twice = 2 * cos(u * M_PI / SIDE), before = cos(u * M_PI / (2.0 * SIDE)) * (u == 0 ? M_SQRT1_2 : 1);
        cosines[0][u] = before;
        for (int x = 1; x < SIDE; x++) {
            cosines[x][u] = twice * cosines[x - 1][u] - before;
            before = cosines[x - 1][u];
        }
    }
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            for (int u = 0; u < DIAGONALS; u++) /* innermost, as these are added side by side */
                rows[y][u] += pixels[y * SIDE + x] * cosines[x][u];
    size_t count = 0;
    for (int sum = 1; sum < DIAGONALS && count < BITS; sum++)
        for (int u = 0; u <= sum && count < BITS; u++) {
            double value = 0;
            for (int y = 0; y < SIDE; y++)
                value += rows[y][u] * cosines[y][sum - u];
            out[count++] = value * 2 / SIDE;
        }
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void hash_pixels(const double pixels[SIDE * SIDE], char hash[GRI_PHASH_HEX]) {
    double frequencies[BITS], sorted[BITS], strongest = 0;
    uint64_t bits = 0;
    transform(pixels, frequencies);
    memcpy(sorted, frequencies, sizeof sorted);
    qsort(sorted, BITS, sizeof *sorted, compare);
    double median = (sorted[BITS / 2 - 1] + sorted[BITS / 2]) / 2;
    for (int i = 0; i < BITS; i++) {
        strongest = fabs(frequencies[i]) > strongest ? fabs(frequencies[i]) : strongest;
        bits |= (uint64_t)(frequencies[i] > median) << i;
    }
    if (strongest > FLAT) (void)gri_format(hash, GRI_PHASH_HEX, "%016" PRIx64, bits);
}

void gri_picture_hash(struct gri_slice picture, char hash[GRI_PHASH_HEX]) {
    double pixels[SIDE * SIDE];
    hash[0] = '\0';
    if (shrink(picture, pixels)) hash_pixels(pixels, hash);
}

void gri_picture_hash_small(const uint8_t *small, char hash[GRI_PHASH_HEX]) {
    double pixels[SIDE * SIDE];
    hash[0] = '\0';
    for (size_t i = 0; i < SIDE * SIDE; i++)
        pixels[i] = small[i];
    hash_pixels(pixels, hash);
}
