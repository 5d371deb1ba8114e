/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes against published vectors; base64 that refuses whatever is not exactly base64. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "crypto.h"

static const struct gri_crypto *made(void) {
    struct gri_error error;
    const struct gri_crypto *crypto = gri_crypto_create(&error);
    assert_non_null(crypto);
    return crypto;
}

/* FIPS 180-2, appendix B. */
static void sha256_gives_the_published_sums(void **state) {
    (void)state;
    const struct gri_crypto *crypto = made();
    char hex[GRI_SHA256_HEX];
    crypto->sha256_hex(gri_slice_of("abc"), hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    crypto->sha256_hex((struct gri_slice){NULL, 0}, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void a_running_sum_equals_the_whole(void **state) {
    (void)state;
    const struct gri_crypto *crypto = made();
    char hex[GRI_SHA256_HEX];
    struct gri_sha256 *sum = crypto->sha256_begin();
    crypto->sha256_add(sum, gri_slice_of("a"));
    crypto->sha256_add(sum, (struct gri_slice){NULL, 0});
    crypto->sha256_add(sum, gri_slice_of("bc"));
    crypto->sha256_end(sum, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    crypto->sha256_end(crypto->sha256_begin(), NULL);
}

/* RFC 4231, case 2; and a key and a text of no bytes. */
static void hmac_gives_the_published_codes(void **state) {
    (void)state;
    static const struct {
        const char *key, *bytes, *code;
    } rows[] = {{"Jefe", "what do ya want for nothing?", "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM="},
                {"", "", "thNnmggU2ex3L5XXeMNfxf8Wl8STcVZTxscSFEKSxa0="}};
    const struct gri_crypto *crypto = made();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t code[GRI_HMAC_BYTES];
        struct gri_bytes text;
        struct gri_error error;
        gri_bytes_init(&text, 100);
        crypto->hmac_sha256(gri_slice_of(rows[i].key), gri_slice_of(rows[i].bytes), code);
        assert_int_equal(crypto->base64_encode((struct gri_slice){code, sizeof code}, &text, &error), GRI_OK);
        assert_string_equal(gri_bytes_text(&text), rows[i].code);
        gri_bytes_clear(&text);
    }
}

/* RFC 4648, chapter 10. */
static void base64_gives_the_published_texts(void **state) {
    (void)state;
    const struct gri_crypto *crypto = made();
    const char *pairs[][2] = {{"", ""},
                              {"f", "Zg=="},
                              {"fo", "Zm8="},
                              {"foo", "Zm9v"},
                              {"foob", "Zm9vYg=="},
                              {"fooba", "Zm9vYmE="},
                              {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct gri_bytes text, back;
        struct gri_error error;
        gri_bytes_init(&text, 100);
        gri_bytes_init(&back, 100);
        assert_int_equal(crypto->base64_encode(gri_slice_of(pairs[i][0]), &text, &error), GRI_OK);
        assert_string_equal(gri_bytes_text(&text), pairs[i][1]);
        assert_int_equal(crypto->base64_decode(gri_bytes_slice(&text), &back, &error), GRI_OK);
        assert_string_equal(gri_bytes_text(&back), pairs[i][0]);
        gri_bytes_clear(&text);
        gri_bytes_clear(&back);
    }
}

static void base64_round_trips_at_every_size_around_a_block(void **state) {
    (void)state;
    const struct gri_crypto *crypto = made();
    enum { MOST = 48 * 1024 + 4 };
    uint8_t *data = gri_alloc(MOST);
    crypto->random_bytes(data, MOST);
    for (size_t len = MOST - 8; len <= MOST; len++) {
        struct gri_bytes text, back;
        struct gri_error error;
        gri_bytes_init(&text, 0);
        gri_bytes_init(&back, 0);
        gri_bytes_put(&text, "");
        assert_int_equal(crypto->base64_encode((struct gri_slice){data, len}, &text, &error), GRI_OK);
        assert_int_equal(text.len, (len + 2) / 3 * 4);
        assert_int_equal(crypto->base64_decode(gri_bytes_slice(&text), &back, &error), GRI_OK);
        assert_int_equal(back.len, len);
        assert_memory_equal(back.data, data, len);
        gri_bytes_clear(&text);
        gri_bytes_clear(&back);
    }
    free(data);
}

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Bit by bit. */
static void spell(const uint8_t *data, size_t len, char *text) {
    size_t at = 0;
    for (size_t bit = 0; bit < len * 8; bit += 6) {
        unsigned value = 0;
        for (size_t i = bit; i < bit + 6; i++)
            value = value << 1 | (i < len * 8 ? data[i / 8] >> (7 - i % 8) & 1U : 0U);
        text[at++] = ALPHABET[value];
    }
    while (at % 4 != 0)
        text[at++] = '=';
    text[at] = '\0';
}

static void base64_of_any_size_is_what_the_bits_say(void **state) {
    (void)state;
    const struct gri_crypto *crypto = made();
    enum { MOST = 400 };
    uint8_t data[MOST];
    char expected[MOST * 2];
    crypto->random_bytes(data, MOST);
    for (size_t len = 0; len <= MOST; len++) {
        struct gri_bytes text, back;
        struct gri_error error;
        gri_bytes_init(&text, 0);
        gri_bytes_init(&back, 0);
        spell(data, len, expected);
        assert_int_equal(crypto->base64_encode((struct gri_slice){data, len}, &text, &error), GRI_OK);
        assert_string_equal(gri_bytes_text(&text), expected);
        assert_int_equal(crypto->base64_decode(gri_bytes_slice(&text), &back, &error), GRI_OK);
        assert_int_equal(back.len, len);
        assert_memory_equal(gri_bytes_slice(&back).data, data, len);
        gri_bytes_clear(&text);
        gri_bytes_clear(&back);
    }
}

static void any_byte_at_any_place_is_taken_only_if_it_is_of_the_alphabet(void **state) {
    (void)state;
    const struct gri_crypto *crypto = made();
    enum { LENGTH = 160 };
    uint8_t text[LENGTH];
    struct gri_bytes out;
    struct gri_error error;
    gri_bytes_init(&out, 0);
    memset(text, 'A', LENGTH);
    for (size_t place = 0; place < LENGTH - 2; place++) {
        for (int byte = 0; byte < 256; byte++) {
            bool legal = byte != 0 && strchr(ALPHABET, byte) != NULL;
            text[place] = (uint8_t)byte;
            gri_bytes_reset(&out);
            bool taken = crypto->base64_decode((struct gri_slice){text, LENGTH}, &out, &error) == GRI_OK;
            if (taken != legal) fail_msg("byte %d at %zu", byte, place);
            if (!taken) assert_int_equal(out.len, 0);
        }
        text[place] = 'A';
    }
    gri_bytes_clear(&out);
}

static void what_is_not_strict_base64_is_corrupt(void **state) {
    (void)state;
    const struct gri_crypto *crypto = made();
    const char *bad[] = {"Z",    "Zg",   "Zg=",      "Zg===",       "====", "=",    "Zm9v\n", "Zm 9",
                         "Zm9-", "Zm9_", "Zg==Zg==", "Zm9vY\x80==", "Zh==", "Zm9=", "Zg=a"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct gri_bytes out;
        struct gri_error error;
        gri_bytes_init(&out, 100);
        gri_bytes_put(&out, "kept");
        if (crypto->base64_decode(gri_slice_of(bad[i]), &out, &error) == GRI_OK) fail_msg("%s was taken", bad[i]);
        assert_int_equal(error.reason, GRI_R_corrupt);
        assert_string_equal(gri_bytes_text(&out), "kept");
        gri_bytes_clear(&out);
    }
}

static void caps_are_kept(void **state) {
    (void)state;
    const struct gri_crypto *crypto = made();
    struct gri_bytes out;
    struct gri_error error;
    gri_bytes_init(&out, 7);
    assert_int_equal(crypto->base64_encode(gri_slice_of("foob"), &out, &error), GRI_FATAL);
    assert_int_equal(error.reason, GRI_R_no_memory);
    assert_int_equal(out.len, 0);
    gri_bytes_clear(&out);
}

/* b2sum -l 256 of "abc". */
static void a_token_has_its_blake2b_digest(void **state) {
    (void)state;
    const struct gri_crypto *crypto = made();
    char hex[GRI_TOKEN_DIGEST_HEX];
    crypto->token_digest("abc", hex);
    assert_string_equal(hex, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
    assert_true(crypto->digest_equal(hex, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"));
    assert_false(crypto->digest_equal(hex, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52318"));
    assert_false(crypto->digest_equal(hex, ""));
    assert_false(crypto->digest_equal("", ""));
}

static void random_bytes_differ(void **state) {
    (void)state;
    uint8_t a[16] = {0}, b[16] = {0};
    made()->random_bytes(a, sizeof a);
    made()->random_bytes(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_gives_the_published_sums),
        cmocka_unit_test(a_running_sum_equals_the_whole),
        cmocka_unit_test(hmac_gives_the_published_codes),
        cmocka_unit_test(base64_gives_the_published_texts),
        cmocka_unit_test(base64_round_trips_at_every_size_around_a_block),
        cmocka_unit_test(base64_of_any_size_is_what_the_bits_say),
        cmocka_unit_test(any_byte_at_any_place_is_taken_only_if_it_is_of_the_alphabet),
        cmocka_unit_test(what_is_not_strict_base64_is_corrupt),
        cmocka_unit_test(caps_are_kept),
        cmocka_unit_test(a_token_has_its_blake2b_digest),
        cmocka_unit_test(random_bytes_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
