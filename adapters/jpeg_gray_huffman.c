/* SPDX-License-Identifier: Apache-2.0 */
/* Makes Huffman tables ready for decoding. */
#include "jpeg_gray_huffman.h"

enum { DC_SIZE_MAX = 11, AC_SIZE_MAX = 10, END_OF_RUNS = 15 }; /* of 8-bit samples: T.81 F.1.2 */

const struct gri_huffman_spec gri_huffman_standard_dc = {
    .lengths = {0, 1, 5, 1, 1, 1, 1, 1, 1}, .values = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, .count = 12};

static uint32_t dc_entry(unsigned symbol, unsigned length, unsigned size_max) {
    return symbol > size_max ? 0 : symbol << 8 | (length + symbol);
}

/* Size 0: 16 zeros, the end of the block, or (progressive) of a run of blocks. */
static uint32_t ac_entry(unsigned symbol, unsigned length, enum gri_huffman_use use, unsigned low) {
    unsigned run = symbol >> 4, size = symbol & 15;
    bool refine = use == GRI_HUFFMAN_AC_REFINE;
    if (size != 0) {
        if (refine) return size != 1 ? 0 : 1U << (16 + run) | (length + 1);
        return size + low > AC_SIZE_MAX ? 0 : GRI_ENTRY_VALUE | (run + 1) << 8 | (length + size);
    }
    if (run == END_OF_RUNS) return refine ? GRI_ENTRY_ZEROS | length << 8 : 16 << 8 | length;
    if (run == 0) return refine ? length : (uint32_t)GRI_HUFFMAN_END << 8 | length;
    return use == GRI_HUFFMAN_AC ? 0 : run << 16 | length << 8;
}

static uint32_t entry_of(unsigned symbol, unsigned length, enum gri_huffman_use use, unsigned low) {
    if (use == GRI_HUFFMAN_DC_LUMA) return dc_entry(symbol, length, DC_SIZE_MAX - low);
    if (use == GRI_HUFFMAN_DC_OTHER) return dc_entry(symbol, length, 15);
    return ac_entry(symbol, length, use, low);
}

bool gri_huffman_build(struct gri_huffman *table, const struct gri_huffman_spec *spec, enum gri_huffman_use use, unsigned low) {
    bool dc = use == GRI_HUFFMAN_DC_LUMA || use == GRI_HUFFMAN_DC_OTHER;
    uint32_t code = 0;
    unsigned index = 0, filled = 0;
    for (unsigned length = 1; length <= 16; length++) {
        table->offsets[length] = (int32_t)index - (int32_t)code;
        for (unsigned i = 0; i < spec->lengths[length - 1]; i++, index++, code++) {
            if (index >= spec->count || code + 1 >= 1U << length || (dc && spec->values[index] > 15)) return false;
            uint32_t entry = entry_of(spec->values[index], length, use, low);
            table->entries[index] = entry;
            if (length > GRI_HUFFMAN_LOOKUP) continue;
            for (unsigned slots = 1U << (GRI_HUFFMAN_LOOKUP - length); slots > 0; slots--)
                table->lookup[filled++] = entry;
        }
        table->limits[length] = code << (16 - length);
        code <<= 1;
    }
    memset(table->lookup + filled, 0, sizeof table->lookup - filled * sizeof table->lookup[0]);
    return index == spec->count;
}

/* A short code lands here only when its entry is 0: the shortest length whose limit is past the prefix is its own. */
uint32_t gri_huffman_find(const struct gri_huffman *table, uint64_t window) {
    uint32_t prefix = (uint32_t)(window >> 48);
    for (unsigned length = 1; length <= 16; length++)
        if (prefix < table->limits[length]) return table->entries[(int32_t)(prefix >> (16 - length)) + table->offsets[length]];
    return 0;
}
