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

/* A row of blocks, brought to SIDE columns, counts for every row of cells by how much they overlap. */
static void add_row(const double *columns, size_t y, double cell, double sums[SIDE * SIDE]) {
    for (size_t j = (size_t)((double)y / cell); j < SIDE && (double)j * cell < (double)(y + 1); j++) {
        double from = (double)j * cell > (double)y ? (double)j * cell : (double)y;
        double to = (double)(j + 1) * cell < (double)(y + 1) ? (double)(j + 1) * cell : (double)(y + 1);
        for (size_t i = 0; to > from && i < SIDE; i++)
            sums[j * SIDE + i] += columns[i] * (to - from);
    }
}

void gri_gray_shrink(struct gri_gray_file *file, const int16_t *dc, size_t element, size_t stride, unsigned low) {
    struct gri_jpeg_info *info = file->info;
    double wide = (double)info->width / BLOCK / SIDE, high = (double)info->height / BLOCK / SIDE, sums[SIDE * SIDE] = {0};
    double scale = (double)file->quant[file->components[0].quant][0] * (1 << low) / BLOCK, columns[SIDE];
    double *row = malloc((file->blocks_across + 1) * sizeof *row);
    if (!row) return;             /* whoever wants it decodes */
    row[file->blocks_across] = 0; /* where rounding reaches past the end */
    for (size_t y = 0; y < file->blocks_down; y++) {
        const int16_t *from = dc + y * stride * element;
        for (size_t x = 0; x < file->blocks_across; x++)
            row[x] = from[x * element];
        for (size_t i = 0; i < SIDE; i++)
            columns[i] = mean_between(row, (double)i * wide, (double)(i + 1) * wide);
        add_row(columns, y, high, sums);
    }
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
        double level = GRAY + sums[i] / high * scale + 0.5;
        info->small[i] = (uint8_t)(level < 0 ? 0 : level > 255 ? 255 : level);
    }
    info->small_known = true;
    free(row);
}
