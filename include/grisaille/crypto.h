/* SPDX-License-Identifier: Apache-2.0 */
/* Port: hashes, base64, randomness. Synchronous, any thread. adapters/crypto implements it (libcrypto for the bulk,
 * libsodium for tokens); tests/unit/fakes has a small one. */
#ifndef GRISAILLE_CRYPTO_H
#define GRISAILLE_CRYPTO_H

#include <grisaille/bytes.h>

enum { GRI_SHA256_HEX = 65, GRI_TOKEN_DIGEST_HEX = 65, GRI_HMAC_BYTES = 32 };

struct gri_sha256; /* a running sum */

struct gri_crypto {
    /* SHA-256 of the bytes as 64 lower-case hex digits and NUL. */
    void (*sha256_hex)(struct gri_slice bytes, char out[GRI_SHA256_HEX]);
    struct gri_sha256 *(*sha256_begin)(void);
    void (*sha256_add)(struct gri_sha256 *sum, struct gri_slice bytes);
    void (*sha256_end)(struct gri_sha256 *sum, char out[GRI_SHA256_HEX]); /* frees it; out may be NULL */
    /* HMAC-SHA-256 (RFC 2104). */
    void (*hmac_sha256)(struct gri_slice key, struct gri_slice bytes, uint8_t out[GRI_HMAC_BYTES]);
    /* Standard base64 with padding, no line breaks, appended to out. */
    enum gri_status (*base64_encode)(struct gri_slice bytes, struct gri_bytes *out, struct gri_error *error);
    /* Strict: any other character, or missing padding, is reason corrupt. Appended to out. */
    enum gri_status (*base64_decode)(struct gri_slice text, struct gri_bytes *out, struct gri_error *error);
    /* Keyless BLAKE2b-256 of a token's text, 64 hex digits. */
    void (*token_digest)(const char *token, char out[GRI_TOKEN_DIGEST_HEX]);
    /* Constant-time comparison of two 64-digit texts. */
    bool (*digest_equal)(const char *a, const char *b);
    void (*random_bytes)(void *out, size_t len);
};

#endif
