/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: base64 both ways. Any bytes come back; any text that decodes is what those bytes encode to.
 *
 * Parser: adapters/crypto_base64.c */
#include "fuzz_kit.h"

#include "crypto.h"

static void there_and_back(const struct gri_crypto *crypto, struct gri_slice bytes) {
    struct gri_bytes text, back;
    struct gri_error error;
    gri_bytes_init(&text, 0);
    gri_bytes_init(&back, 0);
    FUZZ_CHECK(crypto->base64_encode(bytes, &text, &error) == GRI_OK && text.len == (bytes.len + 2) / 3 * 4);
    FUZZ_CHECK(crypto->base64_decode(gri_bytes_slice(&text), &back, &error) == GRI_OK);
    FUZZ_CHECK(gri_slice_equal(gri_bytes_slice(&back), bytes));
    gri_bytes_clear(&text);
    gri_bytes_clear(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct gri_bytes plain, text;
    struct gri_error error;
    struct gri_slice input = {data, size};
    const struct gri_crypto *crypto = gri_crypto_create(&error);
    there_and_back(crypto, input);
    gri_bytes_init(&plain, 0);
    gri_bytes_init(&text, 0);
    enum gri_status status = crypto->base64_decode(input, &plain, &error);
    fuzz_check_error(status, &error);
    if (status == GRI_OK) {
        FUZZ_CHECK(crypto->base64_encode(gri_bytes_slice(&plain), &text, &error) == GRI_OK);
        FUZZ_CHECK(gri_slice_equal(gri_bytes_slice(&text), input));
    }
    gri_bytes_clear(&plain);
    gri_bytes_clear(&text);
    return 0;
}
