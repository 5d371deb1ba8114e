/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 with AVX2 (crypto_base64.h), after W. Muła and D. Lemire, "Faster Base64 Encoding and Decoding Using AVX2
 * Instructions" (2018): bits are spread by multiplication, characters found by small tables in registers. */
#include "crypto_base64.h"

#if defined(__x86_64__)

#include <immintrin.h>

enum { BYTES = 24, CHARACTERS = 32, READ_AHEAD = 28, DECODE_MARGIN = 64 };

#define WIDE __attribute__((target("avx2")))

bool gri_base64_is_wide(void) {
    return __builtin_cpu_supports("avx2");
}

/* 12 bytes in the low part of each lane → 16 values of 6 bits. */
WIDE static inline __m256i spread(__m256i in) {
    in = _mm256_shuffle_epi8(in, _mm256_setr_epi8(1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10, 1, 0, 2, 1, 4, 3, 5, 4, 7, 6,
                                                  8, 7, 10, 9, 11, 10));
    __m256i high = _mm256_mulhi_epu16(_mm256_and_si256(in, _mm256_set1_epi32(0x0fc0fc00)), _mm256_set1_epi32(0x04000040));
    __m256i low = _mm256_mullo_epi16(_mm256_and_si256(in, _mm256_set1_epi32(0x003f03f0)), _mm256_set1_epi32(0x01000010));
    return _mm256_or_si256(high, low);
}

/* 6 bits → their character: by ranges, each of which lies at one distance from its characters. */
WIDE static inline __m256i to_characters(__m256i values) {
    const __m256i distances =
        _mm256_setr_epi8('a' - 26, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52,
                         '0' - 52, '+' - 62, '/' - 63, 'A', 0, 0, 'a' - 26, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52,
                         '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '+' - 62, '/' - 63, 'A', 0, 0);
    __m256i range = _mm256_subs_epu8(values, _mm256_set1_epi8(51));
    __m256i is_upper = _mm256_cmpgt_epi8(_mm256_set1_epi8(26), values);
    range = _mm256_or_si256(range, _mm256_and_si256(is_upper, _mm256_set1_epi8(13)));
    return _mm256_add_epi8(values, _mm256_shuffle_epi8(distances, range));
}

WIDE size_t gri_base64_encode_wide(const uint8_t *bytes, size_t len, uint8_t *text) {
    size_t at = 0;
    for (; len - at >= READ_AHEAD; at += BYTES, text += CHARACTERS) {
        __m128i low = _mm_loadu_si128((const __m128i *)(const void *)(bytes + at));
        __m128i high = _mm_loadu_si128((const __m128i *)(const void *)(bytes + at + BYTES / 2));
        __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
        _mm256_storeu_si256((__m256i *)(void *)text, to_characters(spread(both)));
    }
    return at;
}

/* Characters → 6 bits; false where one is not of the alphabet. Each half of a byte picks a row of bits; a character is of the
 * alphabet where the two rows share none. */
WIDE static inline bool to_values(__m256i *characters) {
    const __m256i by_low =
        _mm256_setr_epi8(0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x13, 0x1a, 0x1b, 0x1b, 0x1b, 0x1a, 0x15,
                         0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x13, 0x1a, 0x1b, 0x1b, 0x1b, 0x1a);
    const __m256i by_high =
        _mm256_setr_epi8(0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10,
                         0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10);
    const __m256i distances = _mm256_setr_epi8(0, 16, 19, 4, -65, -65, -71, -71, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 19, 4, -65, -65,
                                               -71, -71, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m256i half = _mm256_set1_epi8(0x2f); /* '/', too: bit 7 stays out of the shuffle's index */
    __m256i high = _mm256_and_si256(_mm256_srli_epi32(*characters, 4), half), low = _mm256_and_si256(*characters, half);
    __m256i rows = _mm256_and_si256(_mm256_shuffle_epi8(by_low, low), _mm256_shuffle_epi8(by_high, high));
    __m256i is_slash = _mm256_cmpeq_epi8(*characters, half);
    __m256i distance = _mm256_shuffle_epi8(distances, _mm256_add_epi8(is_slash, high));
    *characters = _mm256_add_epi8(*characters, distance);
    return _mm256_testz_si256(rows, rows) != 0;
}

/* 32 values of 6 bits → 24 bytes at the front. */
WIDE static inline __m256i pack(__m256i values) {
    __m256i pairs = _mm256_maddubs_epi16(values, _mm256_set1_epi32(0x01400140));
    __m256i triples = _mm256_madd_epi16(pairs, _mm256_set1_epi32(0x00011000));
    triples = _mm256_shuffle_epi8(triples, _mm256_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1, 2, 1, 0, 6, 5,
                                                            4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1));
    return _mm256_permutevar8x32_epi32(triples, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, -1, -1));
}

WIDE size_t gri_base64_decode_wide(const uint8_t *text, size_t len, uint8_t *bytes) {
    size_t at = 0;
    for (; len - at > DECODE_MARGIN; at += CHARACTERS, bytes += BYTES) {
        __m256i group = _mm256_loadu_si256((const __m256i *)(const void *)(text + at));
        if (!to_values(&group)) break;
        _mm256_storeu_si256((__m256i *)(void *)bytes, pack(group));
    }
    return at;
}

#else

bool gri_base64_is_wide(void) {
    return false;
}

size_t gri_base64_encode_wide(const uint8_t *bytes, size_t len, uint8_t *text) {
    (void)bytes;
    (void)len;
    (void)text;
    return 0;
}

size_t gri_base64_decode_wide(const uint8_t *text, size_t len, uint8_t *bytes) {
    (void)text;
    (void)len;
    (void)bytes;
    return 0;
}

#endif
