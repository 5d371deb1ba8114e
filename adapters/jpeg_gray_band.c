/* SPDX-License-Identifier: Apache-2.0 */
/* Progressive scans of luma's AC coefficients (T.81, annex G): validated to the last code, without a coefficient's value.
 *
 * A first scan needs the steps along the band, a refinement only which coefficients are non-zero: 64 bits a block. There a
 * symbol's run of r zeros ends at `d`, the (r + 1)th zero coefficient, and takes one correction bit for each non-zero
 * coefficient before it.
 *
 * Each symbol waits for the one before it, and a processor has nothing else to do meanwhile. So two scans are read in lock-step,
 * a symbol of each in turn; and as no processor foresees where a block ends, its end is no branch. */
#include "jpeg_gray_scans.h"

enum { LEAD = 16 /* blocks that a refinement may run ahead of the one that needs what it finds */ };

static const char undefined_code[] = "an undefined Huffman code", past_band[] = "a run past the band",
                  wrong_length[] = "a scan's data is longer or shorter than its blocks",
                  past_scan[] = "a run of empty blocks past the scan", ends_early[] = "a scan's data ends early";

/* How many blocks a run has; its bits are taken. */
GRI_INLINE size_t take_run(struct gri_bits *bits, uint32_t entry) {
    unsigned length = gri_huffman_step(entry), more = entry >> 16;
    gri_bits_drop(bits, length);
    size_t run = (size_t)1 << more | (size_t)(bits->window >> 1 >> (63 - more));
    gri_bits_drop(bits, more);
    return run;
}

/* --- first scans ------------------------------------------------------------------------------------------------------ */

/* One first scan under way. */
struct opening {
    struct gri_bits bits;
    const struct gri_huffman *table;
    uint64_t *at, *end; /* mask of the block it is in; of none, past the last */
    unsigned first, last, k;
};

GRI_INLINE struct opening open_band(const struct gri_gray_band *band) {
    return (struct opening){.bits = gri_bits_open(band->data.data, band->data.len),
                            .table = band->table,
                            .at = band->masks,
                            .end = band->masks + band->blocks,
                            .first = (unsigned)band->first,
                            .last = (unsigned)band->last,
                            .k = (unsigned)band->first};
}

GRI_INLINE const char *open_symbol(struct opening *scan) {
    gri_bits_refill(&scan->bits);
    uint32_t entry = gri_huffman_entry(scan->table, scan->bits.window);
    if (__builtin_expect(!(entry & GRI_ENTRY_DROP), 0)) {
        if (!entry) return undefined_code;
        size_t run = take_run(&scan->bits, entry);
        if (run > (size_t)(scan->end - scan->at)) return past_scan;
        scan->at += run;
        scan->k = scan->first;
        return NULL;
    }
    gri_bits_drop(&scan->bits, entry & GRI_ENTRY_DROP);
    unsigned k = scan->k + gri_huffman_step(entry);
    *scan->at |= (uint64_t)(entry / GRI_ENTRY_VALUE) << ((k - 1) & 63);
    if (__builtin_expect(k > scan->last + 1 && k < GRI_HUFFMAN_END, 0)) return past_band;
    scan->at += k > scan->last;
    scan->k = k > scan->last ? scan->first : k;
    return NULL;
}

GRI_INLINE const char *open_rest(struct opening *scan) {
    while (scan->at < scan->end) {
        const char *wrong = open_symbol(scan);
        if (__builtin_expect(wrong != NULL, 0)) return wrong;
    }
    return gri_bits_at_end(&scan->bits) ? NULL : wrong_length;
}

GRI_INLINE const char *open_one_or_two(const struct gri_gray_band *one, const struct gri_gray_band *other) {
    struct opening a = open_band(one);
    if (!other) return open_rest(&a);
    struct opening b = open_band(other);
    while (a.at < a.end && b.at < b.end) {
        const char *wrong = open_symbol(&a);
        if (__builtin_expect(wrong != NULL, 0)) return wrong;
        wrong = open_symbol(&b);
        if (__builtin_expect(wrong != NULL, 0)) return wrong;
    }
    const char *wrong = open_rest(&a);
    return wrong ? wrong : open_rest(&b);
}

/* --- refinements ------------------------------------------------------------------------------------------------------ */

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
    uint64_t band;        /* the coefficients it refines */
    uint64_t *at, *end;   /* mask of the block it is in; of none, past the last */
    uint64_t ones, zeros; /* the block's coefficients that are still to pass */
};

GRI_INLINE struct refinement refinement_of(const struct gri_gray_band *band) {
    return (struct refinement){.bits = gri_bits_open(band->data.data, band->data.len),
                               .table = band->table,
                               .band = (~(uint64_t)0 >> (63 - (unsigned)band->last)) & ~(((uint64_t)1 << band->first) - 1),
                               .at = band->masks,
                               .end = band->masks + band->blocks};
}

/* Moves on by some blocks. There is a mask, of no block, behind the last. */
GRI_INLINE void enter_block(struct refinement *scan, size_t on) {
    scan->at += on;
    scan->ones = *scan->at & scan->band;
    scan->zeros = ~*scan->at & scan->band;
}

/* Passes a run of zeros that ends at `d`, and the correction bits on its way. */
GRI_INLINE const char *pass_zeros(struct refinement *scan, uint64_t d, unsigned length, bool bmi2) {
    uint64_t passed = d ^ (d - 1); /* all, when d is 0: the end of the block */
    unsigned drop = length + count_ones(scan->ones & passed, bmi2);
    uint64_t ones = scan->ones & ~passed, zeros = scan->zeros & ~passed, next = scan->at[1];
    uint64_t over = -(uint64_t)((ones | zeros) == 0); /* all ones: what follows is of the next block */
    scan->at += over & 1;
    scan->ones = ones | (scan->band & over & next);
    scan->zeros = zeros | (scan->band & over & ~next);
    if (__builtin_expect(drop > GRI_BITS_MIN, 0)) return gri_bits_skip(&scan->bits, drop) ? NULL : ends_early;
    gri_bits_drop(&scan->bits, drop);
    return NULL;
}

/* Passes one symbol and its correction bits. A run of blocks is left to the caller: *run is its entry, else 0. */
GRI_INLINE const char *refine_symbol(struct refinement *scan, uint32_t *run, bool bmi2) {
    gri_bits_refill(&scan->bits);
    uint32_t entry = gri_huffman_entry(scan->table, scan->bits.window);
    unsigned length = entry & GRI_ENTRY_DROP;
    *run = 0;
    if (__builtin_expect(!length, 0)) {
        if (!entry) return undefined_code;
        *run = entry & GRI_ENTRY_ZEROS ? 0 : entry;
        if (*run) return NULL;
        uint64_t d = deposit(1U << 15, scan->zeros, bmi2);
        return d ? pass_zeros(scan, d, gri_huffman_step(entry), bmi2) : past_band;
    }
    uint64_t bit = entry >> 16, d = deposit(bit, scan->zeros, bmi2);
    if (__builtin_expect(bit > d, 0)) return past_band; /* DC takes the first bit: one that is found is higher than 1 << run */
    *scan->at |= d;
    return pass_zeros(scan, d, length, bmi2);
}

/* Passes a run of blocks: the correction bits of the rest of this one and of whole ones. */
GRI_INLINE const char *pass_run(struct refinement *scan, size_t run, bool bmi2) {
    size_t corrections = count_ones(scan->ones, bmi2);
    for (size_t i = 1; i < run; i++)
        corrections += count_ones(scan->at[i] & scan->band, bmi2);
    enter_block(scan, run);
    return gri_bits_skip(&scan->bits, corrections) ? NULL : ends_early;
}

GRI_INLINE const char *refine_alone(struct refinement *scan, bool bmi2) {
    uint32_t entry;
    const char *wrong = refine_symbol(scan, &entry, bmi2);
    if (__builtin_expect(entry == 0, 1)) return wrong;
    size_t run = take_run(&scan->bits, entry);
    return run > (size_t)(scan->end - scan->at) ? past_scan : pass_run(scan, run, bmi2);
}

/* Until it is past `target`, or at its end. */
GRI_INLINE const char *refine_past(struct refinement *scan, const uint64_t *target, bool bmi2) {
    const char *wrong = NULL;
    while (!wrong && scan->at <= target && scan->at < scan->end)
        wrong = refine_alone(scan, bmi2);
    return wrong;
}

/* Behind `leader`, whose masks it needs up to the block that it enters. */
GRI_INLINE const char *refine_behind(struct refinement *scan, struct refinement *leader, bool bmi2) {
    uint32_t entry;
    const char *wrong = refine_symbol(scan, &entry, bmi2);
    if (__builtin_expect(entry == 0, 1)) return wrong;
    size_t run = take_run(&scan->bits, entry);
    if (run > (size_t)(scan->end - scan->at)) return past_scan;
    wrong = refine_past(leader, scan->at + run, bmi2);
    return wrong ? wrong : pass_run(scan, run, bmi2);
}

/* How far a leader of this scan goes ahead. */
GRI_INLINE const uint64_t *lead_of(const struct refinement *scan) {
    return scan->end - scan->at > LEAD ? scan->at + LEAD : scan->end;
}

GRI_INLINE const char *refine_rest(struct refinement *scan, bool bmi2) {
    const char *wrong = refine_past(scan, scan->end, bmi2);
    if (wrong) return wrong;
    return gri_bits_at_end(&scan->bits) ? NULL : wrong_length;
}

GRI_INLINE const char *refine_one(const struct gri_gray_band *one, bool bmi2) {
    struct refinement a = refinement_of(one);
    enter_block(&a, 0);
    return refine_rest(&a, bmi2);
}

GRI_INLINE const char *refine_two(const struct gri_gray_band *one, const struct gri_gray_band *other, bool bmi2) {
    struct refinement a = refinement_of(one), b = refinement_of(other);
    enter_block(&a, 0);
    const char *wrong = refine_past(&a, lead_of(&b), bmi2);
    enter_block(&b, 0);
    while (!wrong && a.at < a.end) {
        if (__builtin_expect(a.at <= b.at + 1, 0)) {
            wrong = refine_past(&a, lead_of(&b), bmi2);
            continue;
        }
        wrong = refine_alone(&a, bmi2);
        if (__builtin_expect(wrong != NULL, 0)) break;
        wrong = refine_behind(&b, &a, bmi2);
    }
    if (!wrong) wrong = refine_rest(&a, bmi2);
    return wrong ? wrong : refine_rest(&b, bmi2);
}

/* --- the two forms ---------------------------------------------------------------------------------------------------- */

const char *gri_gray_band_first_portable(const struct gri_gray_band *one, const struct gri_gray_band *other) {
    return open_one_or_two(one, other);
}

const char *gri_gray_band_refine_portable(const struct gri_gray_band *one, const struct gri_gray_band *other) {
    return other ? refine_two(one, other, false) : refine_one(one, false);
}

#ifdef __x86_64__
GRI_TARGET_BMI2 const char *gri_gray_band_first_bmi2(const struct gri_gray_band *one, const struct gri_gray_band *other) {
    return open_one_or_two(one, other);
}

GRI_TARGET_BMI2 const char *gri_gray_band_refine_bmi2(const struct gri_gray_band *one, const struct gri_gray_band *other) {
    return other ? refine_two(one, other, true) : refine_one(one, true);
}
#endif
