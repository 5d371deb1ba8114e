/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 thirty-two characters at a time, where the processor has AVX2: every image's text is written once and read back once,
 * and libcrypto's way costs more than all three sums. What is left over, and other processors, are the caller's. */
#ifndef GRI_CRYPTO_BASE64_H
#define GRI_CRYPTO_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Asked once by whoever calls the others. */
bool gri_base64_is_wide(void);
/* Writes 32 characters for each 24 bytes it takes, and tells how many bytes it took: a multiple of 24; it stops while at
 * least 28 bytes are left to be read. `text` has room for all. */
size_t gri_base64_encode_wide(const uint8_t *bytes, size_t len, uint8_t *text);
/* Takes 32 characters at a time and writes 24 bytes for each; tells how many it took, and stops before the first group with
 * a character that is not of the alphabet (padding included). `bytes` has room for len / 4 * 3 bytes; the last 64 characters
 * are never taken, so that no store goes past them. */
size_t gri_base64_decode_wide(const uint8_t *text, size_t len, uint8_t *bytes);

#endif
