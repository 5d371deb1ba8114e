/* SPDX-License-Identifier: Apache-2.0 */
/* The loops over entropy-coded data, in two forms that give the same: portable, and x86-64 with BMI2, chosen at run time.
 * Each gives NULL, or what is wrong with the data (static). `data` is un-stuffed and padded (jpeg_gray_bits.h). */
#ifndef GRI_JPEG_GRAY_SCANS_H
#define GRI_JPEG_GRAY_SCANS_H

#include "jpeg_gray_huffman.h"

#include <grisaille/bytes.h>

enum { GRI_MCU_BLOCKS_MAX = 10, GRI_DC_MIN = -1024, GRI_DC_MAX = 1023 };

/* A progressive scan of some AC coefficients of luma: blocks in raster order. */
struct gri_gray_band {
    const struct gri_huffman *table;
    int first, last;
    size_t blocks;
    uint64_t *masks; /* which coefficients are non-zero, in zigzag order; a first scan may have NULL */
};

/* One block of an MCU. */
struct gri_gray_slot {
    const struct gri_huffman *dc, *ac;
    bool luma;
    size_t offset; /* luma: of the block, from the MCU's first */
};

/* How a scan that brings DC is laid out. Luma's blocks go to an array of `stride` × rows, padding blocks included. */
struct gri_gray_layout {
    struct gri_gray_slot slots[GRI_MCU_BLOCKS_MAX];
    size_t slot_count;
    size_t mcus_across, mcus_down;
    size_t across, down; /* luma blocks of an MCU */
    size_t stride;       /* mcus_across × across */
    unsigned low;        /* Al */
};

/* A luma block of a sequential scan: its AC codes are bits `at` to `at + length`. */
struct gri_gray_block {
    uint32_t at;
    uint16_t length;
    int16_t dc;
};

struct gri_gray_loops {
    const char *(*band_first)(const struct gri_gray_band *band, struct gri_slice data);
    const char *(*band_refine)(const struct gri_gray_band *band, struct gri_slice data);
    const char *(*dc_first)(const struct gri_gray_layout *layout, struct gri_slice data, int16_t *dc);
    const char *(*sequential)(const struct gri_gray_layout *layout, struct gri_slice data, struct gri_gray_block *blocks);
};

/* The fastest form this processor has, or the portable one. */
const struct gri_gray_loops *gri_gray_loops(bool portable);

/* jpeg_gray_band.c, jpeg_gray_interleaved.c: the forms that jpeg_gray_loops.c chooses from. */
#define GRI_GRAY_FORMS(form)                                                                                        \
    const char *gri_gray_band_first_##form(const struct gri_gray_band *band, struct gri_slice data);                \
    const char *gri_gray_band_refine_##form(const struct gri_gray_band *band, struct gri_slice data);               \
    const char *gri_gray_dc_first_##form(const struct gri_gray_layout *layout, struct gri_slice data, int16_t *dc); \
    const char *gri_gray_sequential_##form(const struct gri_gray_layout *layout, struct gri_slice data,             \
                                           struct gri_gray_block *blocks);

GRI_GRAY_FORMS(portable)
#ifdef __x86_64__
GRI_GRAY_FORMS(bmi2)
#define GRI_TARGET_BMI2 __attribute__((target("bmi,bmi2,popcnt")))
#endif

#endif
