/* SPDX-License-Identifier: Apache-2.0 */
/* Progressive scans of luma's AC coefficients (T.81, annex G): validated to the last code, without a coefficient's value.
 *
 * A first scan needs the steps along the band, a refinement only which coefficients are non-zero: 64 bits a block. There a
 * symbol's run of r zeros ends at `d`, the (r + 1)th zero coefficient, and takes one correction bit for each non-zero
 * coefficient before it. */
#include "jpeg_gray_scans.h"

static const char undefined_code[] = "an undefined Huffman code", past_band[] = "a run past the band",
                  wrong_length[] = "a scan's data is longer or shorter than its blocks",
                  past_scan[] = "a run of empty blocks past the scan", ends_early[] = "a scan's data ends early";

/* How many blocks a run has; its bits are taken. `entry` has GRI_ENTRY_RUN. */
GRI_INLINE size_t take_run(struct gri_bits *bits, uint32_t entry) {
    unsigned length = entry >> 8 & 0xFF, more = entry >> 16;
    gri_bits_drop(bits, length);
    size_t run = (size_t)1 << more | (size_t)(bits->window >> 1 >> (63 - more));
    gri_bits_drop(bits, more);
    return run;
}

GRI_INLINE const char *band_first(const struct gri_gray_band *band, struct gri_slice data, bool keep) {
    struct gri_bits bits = gri_bits_open(data.data, data.len);
    const unsigned first = (unsigned)band->first, last = (unsigned)band->last;
    for (size_t block = 0; block < band->blocks; block++) {
        unsigned k = first;
        uint64_t mask = 0;
        do {
            gri_bits_refill(&bits);
            uint32_t entry = gri_huffman_entry(band->table, bits.window);
            if (__builtin_expect(!(entry & GRI_ENTRY_DROP), 0)) {
                if (!entry) return undefined_code;
                size_t more = take_run(&bits, entry) - 1;
                if (more >= band->blocks - block) return past_scan;
                if (keep) band->masks[block] |= mask;
                mask = 0;
                block += more;
                k = GRI_HUFFMAN_END;
                break;
            }
            gri_bits_drop(&bits, entry & GRI_ENTRY_DROP);
            k += entry >> 8;
            if (keep) mask |= (uint64_t)(entry / GRI_ENTRY_VALUE & 1) << ((k - 1) & 63);
        } while (k <= last);
        if (__builtin_expect(k > last + 1 && k < GRI_HUFFMAN_END, 0)) return past_band;
        if (keep) band->masks[block] |= mask;
    }
    return gri_bits_at_end(&bits) ? NULL : wrong_length;
}

/* The bit of the (run + 1)th zero; `bit` is 1 << run. 0: there are not so many, or `bit` is 0. */
GRI_INLINE uint64_t deposit(uint64_t bit, uint64_t zeros, bool bmi2) {
#ifdef __x86_64__
    if (bmi2) {
        uint64_t found;
        __asm__("pdep %2, %1, %0" : "=r"(found) : "r"(bit), "r"(zeros));
        return found;
    }
#endif
    (void)bmi2;
    while (bit > 1) {
        zeros &= zeros - 1;
        bit >>= 1;
    }
    return bit ? zeros & -zeros : 0;
}

GRI_INLINE unsigned count_ones(uint64_t mask, bool bmi2) {
    if (bmi2) return (unsigned)__builtin_popcountll(mask);
    mask -= mask >> 1 & 0x5555555555555555U;
    mask = (mask & 0x3333333333333333U) + (mask >> 2 & 0x3333333333333333U);
    return (unsigned)(((mask + (mask >> 4)) & 0x0F0F0F0F0F0F0F0FU) * 0x0101010101010101U >> 56);
}

/* One refinement scan under way. */
struct refinement {
    struct gri_bits bits;
    const struct gri_huffman *table;
    uint64_t band; /* the coefficients it refines */
    size_t blocks;
    uint64_t *masks;
};

GRI_INLINE struct refinement refinement_of(const struct gri_gray_band *band, struct gri_slice data) {
    uint64_t mask = (~(uint64_t)0 >> (63 - (unsigned)band->last)) & ~(((uint64_t)1 << band->first) - 1);
    return (struct refinement){gri_bits_open(data.data, data.len), band->table, mask, band->blocks, band->masks};
}

/* Passes the correction bits of a run of blocks: the rest of the one at `*block`, and whole ones. Moves to the last of them. */
GRI_INLINE const char *pass_run(struct refinement *scan, uint32_t entry, uint64_t rest, size_t *block, bool bmi2) {
    if (!entry) return undefined_code;
    size_t more = take_run(&scan->bits, entry) - 1;
    if (more >= scan->blocks - *block) return past_scan;
    size_t corrections = count_ones(rest, bmi2);
    for (; more > 0; more--)
        corrections += count_ones(scan->masks[++*block] & scan->band, bmi2);
    return gri_bits_skip(&scan->bits, corrections) ? NULL : ends_early;
}

/* Passes a block, or a run of them that begins in it. */
GRI_INLINE const char *refine_block(struct refinement *scan, size_t *block, bool bmi2) {
    uint64_t mask = scan->masks[*block], ones = mask & scan->band, zeros = ~mask & scan->band, added = 0, past = 0;
    uint64_t *to = &scan->masks[*block];
    do {
        gri_bits_refill(&scan->bits);
        uint32_t entry = gri_huffman_entry(scan->table, scan->bits.window);
        if (__builtin_expect(!(entry & GRI_ENTRY_DROP), 0)) {
            *to = mask | added;
            return past ? past_band : pass_run(scan, entry, ones, block, bmi2);
        }
        uint64_t bit = entry >> 16, d = deposit(bit, zeros, bmi2);
        uint64_t passed = d ^ (d - 1); /* all, when d is 0: the end of the block */
        unsigned drop = (entry & GRI_ENTRY_DROP) + count_ones(ones & passed, bmi2);
        past |= d ? 0 : bit;
        added |= d & -(uint64_t)(entry / GRI_ENTRY_VALUE & 1);
        ones &= ~passed;
        zeros &= ~passed;
        if (__builtin_expect(drop > GRI_BITS_MIN, 0)) {
            if (!gri_bits_skip(&scan->bits, drop)) return ends_early;
        } else {
            gri_bits_drop(&scan->bits, drop);
        }
    } while (ones | zeros);
    *to = mask | added;
    return past ? past_band : NULL;
}

GRI_INLINE const char *band_refine(const struct gri_gray_band *band, struct gri_slice data, bool bmi2) {
    struct refinement scan = refinement_of(band, data);
    for (size_t block = 0; block < scan.blocks; block++) {
        const char *wrong = refine_block(&scan, &block, bmi2);
        if (__builtin_expect(wrong != NULL, 0)) return wrong;
    }
    return gri_bits_at_end(&scan.bits) ? NULL : wrong_length;
}

const char *gri_gray_band_first_portable(const struct gri_gray_band *band, struct gri_slice data) {
    return band->masks ? band_first(band, data, true) : band_first(band, data, false);
}

const char *gri_gray_band_refine_portable(const struct gri_gray_band *band, struct gri_slice data) {
    return band_refine(band, data, false);
}

#ifdef __x86_64__
GRI_TARGET_BMI2 const char *gri_gray_band_first_bmi2(const struct gri_gray_band *band, struct gri_slice data) {
    return band->masks ? band_first(band, data, true) : band_first(band, data, false);
}

GRI_TARGET_BMI2 const char *gri_gray_band_refine_bmi2(const struct gri_gray_band *band, struct gri_slice data) {
    return band_refine(band, data, true);
}
#endif
