/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing bits of entropy-coded data.
 *
 * A reader works on un-stuffed bytes that are followed by JPEG_GRAY_PAD bytes of 0xFF. No Huffman table has an all-ones code
 * (tables that use it are refused), so a reader that ran off the end finds an undefined code within one symbol (79 bits at
 * most): it needs no test at each byte, only gri_bits_at_end() when the scan is done, and a test before each skip that no
 * symbol bounds. */
#ifndef GRI_JPEG_GRAY_BITS_H
#define GRI_JPEG_GRAY_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define GRI_INLINE static inline __attribute__((always_inline))

enum { JPEG_GRAY_PAD = 64, GRI_BITS_MIN = 56 }; /* bits there are at least after a refill */

struct gri_bits {
    uint64_t window;     /* the next bits, from the top */
    unsigned count;      /* how many of them are valid: below 64 */
    const uint8_t *next; /* the first byte that is not wholly in the window */
    const uint8_t *base;
    size_t total; /* bits */
};

GRI_INLINE uint64_t gri_load_be64(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return __builtin_bswap64(value);
}

GRI_INLINE void gri_store_be64(uint8_t *at, uint64_t value) {
    value = __builtin_bswap64(value);
    memcpy(at, &value, sizeof value);
}

/* `data` is followed by JPEG_GRAY_PAD bytes. */
GRI_INLINE struct gri_bits gri_bits_open(const uint8_t *data, size_t len) {
    return (struct gri_bits){.next = data, .base = data, .total = len * 8};
}

/* Bits over the valid ones are ORed in twice, with the same value. */
GRI_INLINE void gri_bits_refill(struct gri_bits *bits) {
    bits->window |= gri_load_be64(bits->next) >> bits->count;
    bits->next += (63 - bits->count) >> 3;
    bits->count |= GRI_BITS_MIN;
}

/* `count` is at most the valid ones, and below 64. */
GRI_INLINE void gri_bits_drop(struct gri_bits *bits, unsigned count) {
    bits->window <<= count;
    bits->count -= count;
}

GRI_INLINE size_t gri_bits_tell(const struct gri_bits *bits) {
    return (size_t)(bits->next - bits->base) * 8 - bits->count;
}

/* Moves on by any number of bits. False, and nothing is moved, when the data has fewer. */
GRI_INLINE bool gri_bits_skip(struct gri_bits *bits, size_t count) {
    size_t at = gri_bits_tell(bits) + count;
    if (at > bits->total) return false;
    bits->next = bits->base + at / 8;
    bits->window = 0;
    bits->count = 0;
    gri_bits_refill(bits);
    gri_bits_drop(bits, at % 8);
    return true;
}

/* The data was used to its last byte, and not a bit further. */
GRI_INLINE bool gri_bits_at_end(const struct gri_bits *bits) {
    size_t at = gri_bits_tell(bits);
    return at <= bits->total && bits->total - at < 8;
}

/* A writer stores 8 bytes at a time: its room is what it will hold and 8 more. */
struct gri_bit_writer {
    uint8_t *next;
    uint64_t window;
    unsigned count; /* below 8 between calls */
};

/* The low `count` bits of `value`, which has no others; at most 56. */
GRI_INLINE void gri_bits_put(struct gri_bit_writer *writer, uint64_t value, unsigned count) {
    unsigned all = writer->count + count;
    writer->window |= value << 1 << (63 - all);
    gri_store_be64(writer->next, writer->window);
    writer->next += all >> 3;
    writer->window <<= all & ~7U;
    writer->count = all & 7;
}

/* Fills the last byte with ones, as T.81 F.1.2.3 says. */
GRI_INLINE void gri_bits_finish(struct gri_bit_writer *writer) {
    unsigned rest = (8 - writer->count) & 7;
    gri_bits_put(writer, (1U << rest) - 1, rest);
}

#endif
