/* SPDX-License-Identifier: Apache-2.0 */
/* Huffman tables as a DHT segment has them, and made ready for decoding (T.81, annex C and F.2.2.3). */
#ifndef GRI_JPEG_GRAY_HUFFMAN_H
#define GRI_JPEG_GRAY_HUFFMAN_H

#include "jpeg_gray_bits.h"

enum { GRI_HUFFMAN_LOOKUP = 10 }; /* codes up to that many bits are found in one step */

struct gri_huffman_spec {
    uint8_t lengths[16]; /* number of codes of 1, 2 … 16 bits */
    uint8_t values[256];
    unsigned count; /* of values; 0: not defined */
};

/* What a table is for. `low` is the scan's Al. */
enum gri_huffman_use {
    GRI_HUFFMAN_DC_LUMA,   /* sizes that can't be are undefined */
    GRI_HUFFMAN_DC_OTHER,  /* to be skipped */
    GRI_HUFFMAN_AC,        /* sequential */
    GRI_HUFFMAN_AC_FIRST,  /* progressive, first scan of a band */
    GRI_HUFFMAN_AC_REFINE, /* progressive, further scans */
};

/* An entry is what a code means:
 *   bits 0–7   bits to drop: the code and what follows it. 0: no ordinary code
 *   bits 8–15  DC: the size. AC, but refinement: the step along the band; GRI_HUFFMAN_END ends the block
 *   bits 16–31 AC refinement: 1 << the run of zeros before a coefficient that becomes non-zero, 0 ends the block
 *   bit 16     AC, but refinement: a coefficient is non-zero
 * With bits 0–7 zero, progressive: bits 8–15 are the code's length, and it is
 *   a run of empty blocks   bits 16–23: the number of bits that follow
 *   GRI_ENTRY_ZEROS         refinement: 16 zeros
 * 0 is undefined, or a code of over GRI_HUFFMAN_LOOKUP bits. */
enum { GRI_ENTRY_DROP = 255, GRI_ENTRY_VALUE = 1 << 16, GRI_ENTRY_ZEROS = 1 << 24, GRI_HUFFMAN_END = 128 };

struct gri_huffman {
    uint32_t lookup[1 << GRI_HUFFMAN_LOOKUP];
    uint32_t limits[17]; /* first 16-bit prefix past the codes of that length */
    int32_t offsets[17]; /* index of a code's entry, less the code */
    uint32_t entries[256];
};

/* The annex K.3.1 table for luma's DC: all sizes there can be. */
extern const struct gri_huffman_spec gri_huffman_standard_dc;

/* False: not a code (too many of a length, the all-ones code in use), or a DC table with symbols over 15. */
bool gri_huffman_build(struct gri_huffman *table, const struct gri_huffman_spec *spec, enum gri_huffman_use use, unsigned low);

/* The entry for a code of over GRI_HUFFMAN_LOOKUP bits at the top of `window`; 0: there is no such code. */
__attribute__((noinline)) uint32_t gri_huffman_find(const struct gri_huffman *table, uint64_t window);

/* What bits 8–15 of an entry are. */
GRI_INLINE unsigned gri_huffman_step(uint32_t entry) {
    return entry >> 8 & 0xFF;
}

/* The entry for the code at the top of `window`. */
GRI_INLINE uint32_t gri_huffman_entry(const struct gri_huffman *table, uint64_t window) {
    uint32_t entry = table->lookup[window >> (64 - GRI_HUFFMAN_LOOKUP)];
    if (__builtin_expect(!(entry & GRI_ENTRY_DROP), 0) && entry == 0) entry = gri_huffman_find(table, window);
    return entry;
}

#endif
