/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes, base64 and randomness (crypto.h). */
#include "crypto.h"
#include "crypto_base64.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { DIGEST = 32, HEX_DIGITS = 2 * DIGEST, BLOCK = 48 * 1024 /* bytes of text or plain: a multiple of 3 and of 4 */ };

struct gri_sha256 {
    EVP_MD_CTX *context;
};

static void put_hex(const unsigned char digest[DIGEST], char out[HEX_DIGITS + 1]) {
    sodium_bin2hex(out, HEX_DIGITS + 1, digest, DIGEST);
}

static void sha256_hex(struct gri_slice bytes, char out[GRI_SHA256_HEX]) {
    unsigned char digest[DIGEST];
    unsigned len = 0;
    GRI_ASSERT(EVP_Digest(bytes.len ? bytes.data : (const uint8_t *)"", bytes.len, digest, &len, EVP_sha256(), NULL) == 1);
    put_hex(digest, out);
}

static struct gri_sha256 *sha256_begin(void) {
    struct gri_sha256 *sum = gri_calloc(1, sizeof *sum);
    sum->context = EVP_MD_CTX_new();
    GRI_ASSERT(sum->context && EVP_DigestInit_ex(sum->context, EVP_sha256(), NULL) == 1);
    return sum;
}

static void sha256_add(struct gri_sha256 *sum, struct gri_slice bytes) {
    if (bytes.len) GRI_ASSERT(EVP_DigestUpdate(sum->context, bytes.data, bytes.len) == 1);
}

static void sha256_end(struct gri_sha256 *sum, char out[GRI_SHA256_HEX]) {
    unsigned char digest[DIGEST];
    unsigned len = 0;
    if (!sum) return;
    GRI_ASSERT(EVP_DigestFinal_ex(sum->context, digest, &len) == 1 && len == DIGEST);
    if (out) put_hex(digest, out);
    EVP_MD_CTX_free(sum->context);
    free(sum);
}

static void hmac_sha256(struct gri_slice key, struct gri_slice bytes, uint8_t out[GRI_HMAC_BYTES]) {
    unsigned len = 0;
    GRI_ASSERT(HMAC(EVP_sha256(), key.len ? key.data : (const uint8_t *)"", (int)key.len, bytes.data, bytes.len, out, &len) &&
               len == GRI_HMAC_BYTES);
}

static enum gri_status base64_encode(struct gri_slice bytes, struct gri_bytes *out, struct gri_error *error) {
    if (bytes.len > SIZE_MAX / 4 * 3 - 3) return gri_fail(error, GRI_R_no_memory, "%zu bytes are too many for base64", bytes.len);
    size_t len = (bytes.len + 2) / 3 * 4;
    enum gri_status status = gri_bytes_reserve(out, len, error);
    if (status != GRI_OK) return status;
    size_t wide = gri_base64_is_wide() ? gri_base64_encode_wide(bytes.data, bytes.len, out->data + out->len) : 0;
    out->len += wide / 3 * 4;
    /* In blocks, as EVP_EncodeBlock counts in int; it writes a NUL behind each, for which there is room. */
    for (size_t at = wide; at < bytes.len;) {
        size_t n = bytes.len - at < BLOCK ? bytes.len - at : BLOCK;
        out->len += (size_t)EVP_EncodeBlock(out->data + out->len, bytes.data + at, (int)n);
        at += n;
    }
    return GRI_OK;
}

static bool is_base64(uint8_t c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

/* The place of the first character that strict base64 has not there; text.len if all is well. */
static size_t first_bad(struct gri_slice text, size_t *padding) {
    size_t end = text.len;
    *padding = 0;
    while (*padding < 2 && end > 0 && text.data[end - 1] == '=') {
        end--;
        ++*padding;
    }
    for (size_t i = 0; i < end; i++) {
        if (!is_base64(text.data[i])) return i;
    }
    return text.len;
}

/* Bits that padding cuts off must be zero: else two texts would mean the same bytes. */
static bool spare_bits(struct gri_slice text, size_t padding) {
    static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (padding == 0) return false;
    const char *last = strchr(ALPHABET, text.data[text.len - 1 - padding]);
    GRI_ASSERT(last);
    return ((last - ALPHABET) & (padding == 1 ? 3 : 15)) != 0;
}

/* Appends what the text stands for, which may begin after `done` characters that are decoded already. */
static enum gri_status decode_rest(struct gri_slice whole, size_t done, struct gri_bytes *out, struct gri_error *error) {
    struct gri_slice text = {whole.data + done, whole.len - done};
    size_t padding = 0, bad = first_bad(text, &padding);
    if (bad < text.len) return gri_fail(error, GRI_R_corrupt, "byte %zu of %zu is no base64 character", done + bad, whole.len);
    if (text.len % 4 != 0) return gri_fail(error, GRI_R_corrupt, "base64 text of %zu bytes is cut or has no padding", whole.len);
    if (spare_bits(text, padding)) return gri_fail(error, GRI_R_corrupt, "base64 text ends with bits that stand for nothing");
    for (size_t at = 0; at < text.len;) {
        size_t n = text.len - at < BLOCK ? text.len - at : BLOCK;
        int got = EVP_DecodeBlock(out->data + out->len, text.data + at, (int)n);
        GRI_ASSERT(got >= 0);
        out->len += (size_t)got;
        at += n;
    }
    out->len -= padding;
    return GRI_OK;
}

static enum gri_status base64_decode(struct gri_slice text, struct gri_bytes *out, struct gri_error *error) {
    size_t before = out->len, wide = 0;
    /* EVP_DecodeBlock writes whole triples. */
    enum gri_status status = gri_bytes_reserve(out, text.len / 4 * 3, error);
    if (status != GRI_OK) return status;
    if (gri_base64_is_wide()) wide = gri_base64_decode_wide(text.data, text.len, out->data + out->len);
    out->len += wide / 4 * 3;
    status = decode_rest(text, wide, out, error);
    if (status != GRI_OK) out->len = before;
    if (out->data) out->data[out->len] = '\0';
    return status;
}

static void token_digest(const char *token, char out[GRI_TOKEN_DIGEST_HEX]) {
    unsigned char digest[DIGEST];
    GRI_ASSERT(crypto_generichash(digest, sizeof digest, (const unsigned char *)token, strlen(token), NULL, 0) == 0);
    put_hex(digest, out);
}

static bool digest_equal(const char *a, const char *b) {
    return strnlen(a, HEX_DIGITS + 1) == HEX_DIGITS && strnlen(b, HEX_DIGITS + 1) == HEX_DIGITS &&
           sodium_memcmp(a, b, HEX_DIGITS) == 0;
}

static void random_bytes(void *out, size_t len) {
    randombytes_buf(out, len);
}

const struct gri_crypto *gri_crypto_create(struct gri_error *error) {
    static const struct gri_crypto CRYPTO = {
        .sha256_hex = sha256_hex,
        .sha256_begin = sha256_begin,
        .sha256_add = sha256_add,
        .sha256_end = sha256_end,
        .hmac_sha256 = hmac_sha256,
        .base64_encode = base64_encode,
        .base64_decode = base64_decode,
        .token_digest = token_digest,
        .digest_equal = digest_equal,
        .random_bytes = random_bytes,
    };
    EVP_MD *sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    bool has_sha256 = sha256 != NULL;
    EVP_MD_free(sha256);
    if (!has_sha256 || sodium_init() < 0) {
        (void)gri_fail(error, GRI_R_internal, "%s does not start", has_sha256 ? "libsodium" : "libcrypto's SHA-256");
        return NULL;
    }
    return &CRYPTO;
}
