/* SPDX-License-Identifier: Apache-2.0 */
/* The loops over entropy-coded data, in two forms that give the same: portable, and x86-64 with BMI2, chosen at run time.
 * Each gives NULL, or what is wrong with the data (static), which is un-stuffed and padded (jpeg_gray_bits.h). */
#ifndef GRI_JPEG_GRAY_SCANS_H
#define GRI_JPEG_GRAY_SCANS_H

#include "jpeg_gray_huffman.h"

#include <grisaille/bytes.h>

enum { GRI_MCU_BLOCKS_MAX = 10, GRI_DC_MIN = -1024, GRI_DC_MAX = 1023 };

/* A progressive scan of some AC coefficients of luma: blocks in raster order. */
struct gri_gray_band {
    const struct gri_huffman *table;
    int first, last;
    size_t blocks;         /* not 0 */
    uint64_t *masks;       /* which coefficients of each are non-zero, in zigzag order; one more behind the last */
    struct gri_slice data; /* un-stuffed and padded */
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

/* The entropy-coded data between two restart markers, or all of a scan's. */
struct gri_gray_interval {
    struct gri_slice data; /* un-stuffed and, with the intervals after it, padded */
    size_t offset;         /* of it, in the scan's un-stuffed bytes */
    size_t first, count;   /* MCUs */
};

/* MCUs of an interval that lie side by side. */
struct gri_gray_stretch {
    size_t count, done; /* MCUs of it, and with those before; count 0: there are no more */
    size_t offset;      /* of the first luma block */
};

/* The one after `done` MCUs of the interval. */
GRI_INLINE struct gri_gray_stretch gri_gray_stretch(const struct gri_gray_layout *layout,
                                                    const struct gri_gray_interval *interval, size_t done) {
    size_t mcu = interval->first + done, y = mcu / layout->mcus_across, x = mcu % layout->mcus_across;
    size_t row = layout->mcus_across - x, left = interval->count - done, count = row < left ? row : left;
    return (struct gri_gray_stretch){count, done + count, y * layout->down * layout->stride + x * layout->across};
}

/* A luma block of a sequential scan: its AC codes are bits `at` to `at + length`. */
struct gri_gray_block {
    uint32_t at;
    uint16_t length;
    int16_t dc;
};

struct gri_gray_loops {
    /* One scan, or two at once, the second of which may need what the first finds. `other` may be NULL. */
    const char *(*band_first)(const struct gri_gray_band *one, const struct gri_gray_band *other);
    const char *(*band_refine)(const struct gri_gray_band *one, const struct gri_gray_band *other);
    const char *(*dc_first)(const struct gri_gray_layout *layout, const struct gri_gray_interval *interval, int16_t *dc);
    const char *(*sequential)(const struct gri_gray_layout *layout, const struct gri_gray_interval *interval,
                              struct gri_gray_block *blocks);
};

/* The fastest form this processor has, or the portable one. */
const struct gri_gray_loops *gri_gray_loops(bool portable);

/* jpeg_gray_band.c, jpeg_gray_interleaved.c: the forms that jpeg_gray_loops.c chooses from. */
#define GRI_GRAY_FORMS(form)                                                                                               \
    const char *gri_gray_band_first_##form(const struct gri_gray_band *one, const struct gri_gray_band *other);            \
    const char *gri_gray_band_refine_##form(const struct gri_gray_band *one, const struct gri_gray_band *other);           \
    const char *gri_gray_dc_first_##form(const struct gri_gray_layout *layout, const struct gri_gray_interval *interval,   \
                                         int16_t *dc);                                                                     \
    const char *gri_gray_sequential_##form(const struct gri_gray_layout *layout, const struct gri_gray_interval *interval, \
                                           struct gri_gray_block *blocks);

GRI_GRAY_FORMS(portable)
#ifdef __x86_64__
GRI_GRAY_FORMS(bmi2)
#define GRI_TARGET_BMI2 __attribute__((target("bmi,bmi2,popcnt")))
#endif

#endif
