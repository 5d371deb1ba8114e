/* SPDX-License-Identifier: Apache-2.0 */
/* Scans that bring DC, interleaved or not: the first DC scan of a progressive file, and sequential scans. */
#include "jpeg_gray_scans.h"

static const char undefined_code[] = "an undefined Huffman code", dc_range[] = "a DC coefficient out of range",
                  wrong_length[] = "a scan's data is longer or shorter than its blocks", past_block[] = "a run past the block";

/* The difference whose code is at the top of `window`; `entry` is its entry. T.81 F.2.2.1, without a branch. */
GRI_INLINE int dc_difference(uint64_t window, uint32_t entry) {
    unsigned size = gri_huffman_step(entry);
    uint32_t bits = (uint32_t)(window >> (64 - (entry & GRI_ENTRY_DROP))) & ((1U << size) - 1);
    int negative = bits < (1U << size) >> 1;
    return (int)bits - (int)(((1U << size) - 1) & -(unsigned)negative);
}

GRI_INLINE const char *dc_first(const struct gri_gray_layout *layout, const struct gri_gray_interval *interval, int16_t *dc) {
    struct gri_bits bits = gri_bits_open(interval->data.data, interval->data.len);
    int value = 0, low = -(-GRI_DC_MIN >> layout->low), high = GRI_DC_MAX >> layout->low;
    for (struct gri_gray_stretch at = gri_gray_stretch(layout, interval, 0); at.count > 0;
         at = gri_gray_stretch(layout, interval, at.done)) {
        int16_t *mcu = dc + at.offset;
        bool out = false;
        for (size_t n = at.count; n > 0; n--, mcu += layout->across)
            for (size_t i = 0; i < layout->slot_count; i++) {
                const struct gri_gray_slot *slot = &layout->slots[i];
                gri_bits_refill(&bits);
                uint32_t entry = gri_huffman_entry(slot->dc, bits.window);
                if (__builtin_expect(!entry, 0)) return undefined_code;
                if (slot->luma) {
                    value += dc_difference(bits.window, entry);
                    out |= value < low || value > high;
                    mcu[slot->offset] = (int16_t)value;
                }
                gri_bits_drop(&bits, entry & GRI_ENTRY_DROP);
            }
        if (out) return dc_range;
    }
    return gri_bits_at_end(&bits) ? NULL : wrong_length;
}

/* The codes of one block's AC coefficients. */
GRI_INLINE const char *pass_block(struct gri_bits *bits, const struct gri_huffman *table) {
    unsigned k = 1;
    do {
        gri_bits_refill(bits);
        uint32_t entry = gri_huffman_entry(table, bits->window);
        if (__builtin_expect(!entry, 0)) return undefined_code;
        gri_bits_drop(bits, entry & GRI_ENTRY_DROP);
        k += gri_huffman_step(entry);
    } while (k < 64);
    return k > 64 && k < GRI_HUFFMAN_END ? past_block : NULL;
}

GRI_INLINE const char *sequential_mcu(const struct gri_gray_layout *layout, struct gri_bits *bits, size_t offset, int *value,
                                      bool *out, struct gri_gray_block *mcu) {
    for (size_t i = 0; i < layout->slot_count; i++) {
        const struct gri_gray_slot *slot = &layout->slots[i];
        gri_bits_refill(bits);
        uint32_t entry = gri_huffman_entry(slot->dc, bits->window);
        if (__builtin_expect(!entry, 0)) return undefined_code;
        int difference = dc_difference(bits->window, entry);
        gri_bits_drop(bits, entry & GRI_ENTRY_DROP);
        size_t at = gri_bits_tell(bits);
        const char *wrong = pass_block(bits, slot->ac);
        if (__builtin_expect(wrong != NULL, 0)) return wrong;
        if (!slot->luma) continue;
        *value += difference;
        *out |= *value < GRI_DC_MIN || *value > GRI_DC_MAX;
        mcu[slot->offset] =
            (struct gri_gray_block){(uint32_t)(offset + at), (uint16_t)(gri_bits_tell(bits) - at), (int16_t)*value};
    }
    return NULL;
}

GRI_INLINE const char *sequential(const struct gri_gray_layout *layout, const struct gri_gray_interval *interval,
                                  struct gri_gray_block *blocks) {
    struct gri_bits bits = gri_bits_open(interval->data.data, interval->data.len);
    int value = 0;
    for (struct gri_gray_stretch at = gri_gray_stretch(layout, interval, 0); at.count > 0;
         at = gri_gray_stretch(layout, interval, at.done)) {
        struct gri_gray_block *mcu = blocks + at.offset;
        bool out = false;
        for (size_t n = at.count; n > 0; n--, mcu += layout->across) {
            const char *wrong = sequential_mcu(layout, &bits, interval->offset * 8, &value, &out, mcu);
            if (__builtin_expect(wrong != NULL, 0)) return wrong;
        }
        if (out) return dc_range;
    }
    return gri_bits_at_end(&bits) ? NULL : wrong_length;
}

const char *gri_gray_dc_first_portable(const struct gri_gray_layout *layout, const struct gri_gray_interval *interval,
                                       int16_t *dc) {
    return dc_first(layout, interval, dc);
}

const char *gri_gray_sequential_portable(const struct gri_gray_layout *layout, const struct gri_gray_interval *interval,
                                         struct gri_gray_block *blocks) {
    return sequential(layout, interval, blocks);
}

#ifdef __x86_64__
GRI_TARGET_BMI2 const char *gri_gray_dc_first_bmi2(const struct gri_gray_layout *layout, const struct gri_gray_interval *interval,
                                                   int16_t *dc) {
    return dc_first(layout, interval, dc);
}

GRI_TARGET_BMI2 const char *gri_gray_sequential_bmi2(const struct gri_gray_layout *layout,
                                                     const struct gri_gray_interval *interval, struct gri_gray_block *blocks) {
    return sequential(layout, interval, blocks);
}
#endif
