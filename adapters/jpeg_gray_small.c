/* SPDX-License-Identifier: Apache-2.0 */
/* A very small picture from luma's DC coefficients: each is the mean of its block, so that nothing need be decoded for it. */
#include "jpeg_gray_file.h"

#include <stdlib.h>
#include <string.h>

enum { SIDE = GRI_JPEG_SMALL, BLOCK = 8, GRAY = 128 };

/* The mean of a step function over an interval, which is not empty and ends within the values. */
static double mean_between(const double *values, double from, double to) {
    size_t first = (size_t)from, last = (size_t)to;
    if (first == last) return values[first];
    double sum = values[first] * ((double)(first + 1) - from);
    for (size_t i = first + 1; i < last; i++)
        sum += values[i];
    if (to > (double)last) sum += values[last] * (to - (double)last);
    return sum / (to - from);
}

/* Adds the rows of blocks that a row of cells overlaps, each as much as it does. */
static void add_rows(struct gri_gray_file *file, const int16_t *dc, size_t element, size_t stride, double from, double to,
                     double *sums) {
    for (size_t y = (size_t)from; y < file->blocks_down && (double)y < to; y++) {
        double top = (double)y > from ? (double)y : from, bottom = (double)(y + 1) < to ? (double)(y + 1) : to;
        const int16_t *row = dc + y * stride * element;
        for (size_t x = 0; x < file->blocks_across; x++)
            sums[x] += row[x * element] * (bottom - top);
    }
}

void gri_gray_shrink(struct gri_gray_file *file, const int16_t *dc, size_t element, size_t stride, unsigned low) {
    struct gri_jpeg_info *info = file->info;
    double wide = (double)info->width / BLOCK / SIDE, high = (double)info->height / BLOCK / SIDE;
    double scale = (double)file->quant[file->components[0].quant][0] * (1 << low) / BLOCK;
    double *sums = malloc((file->blocks_across + 1) * sizeof *sums); /* one more, where rounding reaches past the end */
    if (!sums) return;                                               /* whoever wants it decodes */
    for (size_t j = 0; j < SIDE; j++) {
        memset(sums, 0, (file->blocks_across + 1) * sizeof *sums);
        add_rows(file, dc, element, stride, (double)j * high, (double)(j + 1) * high, sums);
        for (size_t i = 0; i < SIDE; i++) {
            double level = GRAY + mean_between(sums, (double)i * wide, (double)(i + 1) * wide) / high * scale + 0.5;
            info->small[j * SIDE + i] = (uint8_t)(level < 0 ? 0 : level > 255 ? 255 : level);
        }
    }
    info->small_known = true;
    free(sums);
}
