/* SPDX-License-Identifier: Apache-2.0 */
/* The JPEG port takes luma out exactly, and refuses what is damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jpeg_exif.h"
#include "jpeg_lossless.h"
#include "picture_maker.h"

#include <stdlib.h>
#include <string.h>

static const struct gri_jpeg_limits roomy = {
    .max_pixels = 50000000, .max_output_bytes = 8 << 20, .timeout_ms = 60000, .max_scans = 100};

struct answer {
    enum gri_status status;
    struct gri_bytes out;
    struct gri_jpeg_info info;
    bool handled;
    struct gri_error error;
};

static struct answer ask(struct gri_slice source, bool progressive, const struct gri_jpeg_limits *limits) {
    struct answer answer = {0};
    gri_bytes_init(&answer.out, 0);
    answer.status =
        gri_jpeg_lossless_port()->gray(source, progressive, limits, &answer.out, &answer.info, &answer.handled, &answer.error);
    return answer;
}

/* The output decodes to the same luma as the source, pixel by pixel. */
static void check_exact(const struct jpeg_recipe *recipe, bool progressive) {
    struct gri_bytes source;
    gri_bytes_init(&source, 0);
    make_jpeg(recipe, &source);
    struct answer answer = ask(gri_bytes_slice(&source), progressive, &roomy);
    assert_int_equal(answer.status, GRI_OK);
    assert_true(answer.handled);
    assert_int_equal(answer.info.width, recipe->width);
    assert_int_equal(answer.info.height, recipe->height);
    int width = 0, height = 0, out_width = 0, out_height = 0;
    uint8_t *expected = read_luma(gri_bytes_slice(&source), &width, &height);
    uint8_t *got = read_luma(gri_bytes_slice(&answer.out), &out_width, &out_height);
    assert_non_null(expected);
    assert_non_null(got);
    assert_int_equal(width, out_width);
    assert_int_equal(height, out_height);
    assert_memory_equal(expected, got, (size_t)width * (size_t)height);
    free(expected);
    free(got);
    gri_bytes_clear(&source);
    gri_bytes_clear(&answer.out);
}

static void luma_is_exact_for_every_kind_of_file(void **state) {
    (void)state;
    static const int sizes[][2] = {{1, 1}, {7, 13}, {8, 8}, {16, 16}, {17, 33}, {641, 479}};
    static const int samplings[][2] = {{1, 1}, {2, 1}, {1, 2}, {2, 2}, {4, 1}};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (size_t f = 0; f < sizeof samplings / sizeof samplings[0]; f++)
            for (int kind = 0; kind < 5; kind++) {
                struct jpeg_recipe recipe = {.width = sizes[s][0],
                                             .height = sizes[s][1],
                                             .components = 3,
                                             .across = samplings[f][0],
                                             .down = samplings[f][1],
                                             .progressive = kind == 1,
                                             .optimised = kind == 2,
                                             .restart = kind == 3 ? 3 : 0,
                                             .separate_scans = kind == 4,
                                             .orientation = kind == 2};
                check_exact(&recipe, kind == 3);
            }
}

static void a_gray_file_stays_what_it_is_without_metadata(void **state) {
    (void)state;
    struct jpeg_recipe recipe = {.width = 65, .height = 31, .components = 1, .orientation = 1};
    check_exact(&recipe, false);
    recipe.progressive = true;
    check_exact(&recipe, true);
    struct gri_bytes source;
    gri_bytes_init(&source, 0);
    make_jpeg(&recipe, &source);
    struct answer answer = ask(gri_bytes_slice(&source), false, &roomy);
    assert_null(memmem(answer.out.data, answer.out.len, "Exif", 4));
    gri_bytes_clear(&answer.out);
    gri_bytes_clear(&source);
}

static void kinds_without_a_luma_component_are_left_to_the_decoder(void **state) {
    (void)state;
    const struct jpeg_recipe recipes[] = {{.width = 20, .height = 20, .components = 4},
                                          {.width = 20, .height = 20, .components = 3, .rgb = true},
                                          {.width = 20, .height = 20, .components = 3, .arithmetic = true}};
    for (size_t i = 0; i < sizeof recipes / sizeof recipes[0]; i++) {
        struct gri_bytes source;
        gri_bytes_init(&source, 0);
        make_jpeg(&recipes[i], &source);
        struct answer answer = ask(gri_bytes_slice(&source), false, &roomy);
        assert_int_equal(answer.status, GRI_OK);
        assert_false(answer.handled);
        assert_int_equal(answer.out.len, 0);
        gri_bytes_clear(&answer.out);
        gri_bytes_clear(&source);
    }
}

static void a_file_cut_anywhere_is_corrupt(void **state) {
    (void)state;
    for (int progressive = 0; progressive < 2; progressive++) {
        struct jpeg_recipe recipe = {
            .width = 97, .height = 61, .components = 3, .across = 2, .down = 2, .progressive = progressive};
        struct gri_bytes source;
        gri_bytes_init(&source, 0);
        make_jpeg(&recipe, &source);
        for (size_t len = 0; len < source.len; len += len < 700 ? 13 : 7) {
            uint8_t *cut = malloc(len + 1); /* a block of its own, so that the sanitizer sees a read past its end */
            memcpy(cut, source.data, len);
            struct answer answer = ask((struct gri_slice){cut, len}, false, &roomy);
            assert_int_equal(answer.status, GRI_PERMANENT);
            assert_int_equal(answer.error.reason, GRI_R_corrupt_image);
            assert_int_equal(answer.out.len, 0);
            gri_bytes_clear(&answer.out);
            free(cut);
        }
        gri_bytes_clear(&source);
    }
}

static void a_file_whose_last_scans_never_came_is_corrupt(void **state) {
    (void)state;
    for (int scans = 1; scans < 10; scans++) {
        struct jpeg_recipe recipe = {
            .width = 97, .height = 61, .components = 3, .across = 2, .down = 2, .progressive = true, .stop_scans = scans};
        struct gri_bytes source;
        gri_bytes_init(&source, 0);
        make_jpeg(&recipe, &source);
        struct answer answer = ask(gri_bytes_slice(&source), false, &roomy);
        assert_int_equal(answer.status, GRI_PERMANENT);
        assert_int_equal(answer.error.reason, GRI_R_corrupt_image);
        gri_bytes_clear(&answer.out);
        gri_bytes_clear(&source);
    }
}

/* Damage is refused, or harmless: whatever is accepted decodes, and to the same luma as libjpeg reads in the source. */
static void flipped_bytes_never_crash_and_never_give_other_luma(void **state) {
    (void)state;
    uint32_t seed = 20261121;
    for (int round = 0; round < 600; round++) {
        struct jpeg_recipe recipe = {.width = 50,
                                     .height = 37,
                                     .components = 3,
                                     .across = 1 + (round & 1),
                                     .down = 1 + (round >> 1 & 1),
                                     .progressive = round & 4,
                                     .restart = round & 8 ? 2 : 0,
                                     .orientation = round & 16 ? 6 : 0};
        struct gri_bytes source;
        gri_bytes_init(&source, 0);
        make_jpeg(&recipe, &source);
        for (int flips = 1 + round % 3; flips > 0; flips--) {
            seed = seed * 1664525U + 1013904223U;
            source.data[(seed >> 8) % source.len] ^= (uint8_t)(1U << (seed >> 5 & 7));
        }
        struct answer answer = ask(gri_bytes_slice(&source), false, &roomy);
        if (answer.status == GRI_OK && answer.handled) {
            int width = 0, height = 0, out_width = 0, out_height = 0;
            uint8_t *expected = read_luma(gri_bytes_slice(&source), &width, &height);
            uint8_t *got = read_luma(gri_bytes_slice(&answer.out), &out_width, &out_height);
            assert_non_null(got);
            if (expected) {
                assert_int_equal(width, out_width);
                assert_int_equal(height, out_height);
                assert_memory_equal(expected, got, (size_t)width * (size_t)height);
            }
            free(expected);
            free(got);
        } else {
            assert_int_equal(answer.out.len, 0);
        }
        gri_bytes_clear(&answer.out);
        gri_bytes_clear(&source);
    }
}

static void limits_are_kept(void **state) {
    (void)state;
    struct jpeg_recipe recipe = {.width = 400, .height = 300, .components = 3, .across = 2, .down = 2, .progressive = true};
    struct gri_bytes source;
    gri_bytes_init(&source, 0);
    make_jpeg(&recipe, &source);
    struct gri_jpeg_limits pixels = roomy, bytes = roomy, time = roomy, scans = roomy;
    pixels.max_pixels = 400 * 300 - 1;
    bytes.max_output_bytes = 1000;
    time.timeout_ms = -1;
    scans.max_scans = 9;
    const struct {
        const struct gri_jpeg_limits *limits;
        enum gri_reason reason;
    } cases[] = {{&pixels, GRI_R_too_many_pixels},
                 {&bytes, GRI_R_output_too_large},
                 {&time, GRI_R_decode_timeout},
                 {&scans, GRI_R_corrupt_image}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct answer answer = ask(gri_bytes_slice(&source), false, cases[i].limits);
        assert_int_equal(answer.status, GRI_PERMANENT);
        assert_int_equal(answer.error.reason, cases[i].reason);
        gri_bytes_clear(&answer.out);
    }
    gri_bytes_clear(&source);
}

static void output_is_appended_and_trailing_bytes_are_counted(void **state) {
    (void)state;
    struct jpeg_recipe recipe = {.width = 30, .height = 20, .components = 3, .orientation = 6};
    struct gri_bytes source;
    struct gri_error error;
    gri_bytes_init(&source, 0);
    make_jpeg(&recipe, &source);
    assert_int_equal(gri_bytes_append(&source, "twelve bytes", 12, &error), GRI_OK);
    struct answer answer = {0};
    gri_bytes_init(&answer.out, 0);
    assert_int_equal(gri_bytes_append(&answer.out, "before", 6, &error), GRI_OK);
    answer.status = gri_jpeg_lossless_port()->gray(gri_bytes_slice(&source), false, &roomy, &answer.out, &answer.info,
                                                   &answer.handled, &answer.error);
    assert_int_equal(answer.status, GRI_OK);
    assert_memory_equal(answer.out.data, "before\xFF\xD8", 8);
    assert_int_equal(answer.out.data[answer.out.len], 0);
    assert_int_equal(answer.info.trailing_bytes, 12);
    assert_int_equal(answer.info.orientation, 6);
    gri_bytes_clear(&answer.out);
    gri_bytes_clear(&source);
}

static void exif_that_lies_about_its_size_is_no_orientation(void **state) {
    (void)state;
    uint8_t exif[] = {'E', 'x', 'i', 'f', 0, 0, 'I', 'I', '*', 0, 8, 0, 0, 0, 1, 0, 0x12, 0x01, 3, 0, 1, 0, 0, 0, 8, 0, 0, 0};
    assert_int_equal(gri_jpeg_exif_orientation((struct gri_slice){exif, sizeof exif}), 8);
    for (size_t len = 0; len < sizeof exif; len++) {
        uint8_t *copy = malloc(len + 1);
        memcpy(copy, exif, len);
        assert_int_equal(gri_jpeg_exif_orientation((struct gri_slice){copy, len}), 1);
        free(copy);
    }
    exif[24] = 9; /* no such orientation */
    assert_int_equal(gri_jpeg_exif_orientation((struct gri_slice){exif, sizeof exif}), 1);
    memset(exif + 10, 0xFF, 4); /* a directory at 4 GiB */
    assert_int_equal(gri_jpeg_exif_orientation((struct gri_slice){exif, sizeof exif}), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(luma_is_exact_for_every_kind_of_file),
        cmocka_unit_test(a_gray_file_stays_what_it_is_without_metadata),
        cmocka_unit_test(kinds_without_a_luma_component_are_left_to_the_decoder),
        cmocka_unit_test(a_file_cut_anywhere_is_corrupt),
        cmocka_unit_test(a_file_whose_last_scans_never_came_is_corrupt),
        cmocka_unit_test(flipped_bytes_never_crash_and_never_give_other_luma),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(output_is_appended_and_trailing_bytes_are_counted),
        cmocka_unit_test(exif_that_lies_about_its_size_is_no_orientation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
