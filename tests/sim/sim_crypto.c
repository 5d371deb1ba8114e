/* SPDX-License-Identifier: Apache-2.0 */
/* Sums for the simulation: the real ones cost a fifth of its time, and nothing here depends on more than that equal bytes have
 * equal sums and others have others. */
#include <stdlib.h>
#include <string.h>

#include "crypto.h"
#include "sim.h"

enum { WORDS = 4 };

struct gri_sha256 {
    uint64_t words[WORDS];
};

static const uint64_t start[WORDS] = {UINT64_C(0x9E3779B97F4A7C15), UINT64_C(0xBF58476D1CE4E5B9), UINT64_C(0x94D049BB133111EB),
                                      UINT64_C(0x2545F4914F6CDD1D)};

/* Eight bytes at a time; a sum in parts is only ever taken of the same parts. */
static void add(uint64_t words[WORDS], struct gri_slice bytes) {
    uint64_t a = words[0] + bytes.len, b = words[1];
    for (size_t i = 0; i < bytes.len; i += 8) {
        uint64_t eight = 0;
        memcpy(&eight, bytes.data + i, bytes.len - i < 8 ? bytes.len - i : 8);
        a = (a ^ eight) * UINT64_C(0x9E3779B97F4A7C15);
        a ^= a >> 32;
        b = (b + eight) * UINT64_C(0xBF58476D1CE4E5B9);
        b ^= b >> 29;
    }
    words[0] = a;
    words[1] = b;
}

static void put(const uint64_t words[WORDS], char out[GRI_SHA256_HEX]) {
    static const char digits[] = "0123456789abcdef";
    uint64_t last = words[0] ^ words[1] << 1;
    for (int w = 0; w < WORDS; w++) {
        last = (last ^ words[w] ^ words[w & 1]) * start[w];
        last ^= last >> 31;
        for (int i = 0; i < 16; i++)
            *out++ = digits[last >> (4 * i) & 15];
    }
    *out = '\0';
}

static void sum_hex(struct gri_slice bytes, char out[GRI_SHA256_HEX]) {
    uint64_t words[WORDS];
    memcpy(words, start, sizeof words);
    add(words, bytes);
    put(words, out);
}

static struct gri_sha256 *sum_begin(void) {
    struct gri_sha256 *sum = gri_calloc(1, sizeof *sum);
    memcpy(sum->words, start, sizeof sum->words);
    return sum;
}

static void sum_add(struct gri_sha256 *sum, struct gri_slice bytes) {
    add(sum->words, bytes);
}

static void sum_end(struct gri_sha256 *sum, char out[GRI_SHA256_HEX]) {
    if (sum && out) put(sum->words, out);
    free(sum);
}

void sim_crypto_init(struct gri_crypto *crypto) {
    struct gri_error error;
    const struct gri_crypto *real = gri_crypto_create(&error);
    GRI_ASSERT(real);
    *crypto = *real;
    crypto->sha256_hex = sum_hex;
    crypto->sha256_begin = sum_begin;
    crypto->sha256_add = sum_add;
    crypto->sha256_end = sum_end;
}
