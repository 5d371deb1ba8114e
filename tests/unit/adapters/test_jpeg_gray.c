/* SPDX-License-Identifier: Apache-2.0 */
/* Gray without decoding gives libjpeg's luma coefficients, of every kind of file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jpeg_gray.h"
#include "jpeg_judge.h"
#include "picture_maker.h"

#include <stdlib.h>
#include <string.h>

static const struct gri_jpeg_limits roomy = {
    .max_pixels = 50000000, .max_output_bytes = 8 << 20, .timeout_ms = 60000, .max_scans = 100};

static const int samplings[][2] = {{1, 1}, {2, 1}, {1, 2}, {2, 2}, {4, 1}};

struct answer {
    enum gri_status status;
    struct gri_bytes out;
    struct gri_jpeg_info info;
    bool handled;
    struct gri_error error;
};

static struct answer take(struct gri_slice source, unsigned form, const struct gri_jpeg_limits *limits) {
    struct answer answer = {0};
    gri_bytes_init(&answer.out, 0);
    answer.status = gri_jpeg_gray_take(source, form, limits, &answer.out, &answer.info, &answer.handled, &answer.error);
    return answer;
}

static struct gri_bytes jpeg_of(const struct jpeg_recipe *recipe) {
    struct gri_bytes source;
    gri_bytes_init(&source, 0);
    make_jpeg(recipe, &source);
    return source;
}

/* Both forms, validated or not: the same bytes, and libjpeg reads the same coefficients in them as in the source. */
static void check_exact(const struct jpeg_recipe *recipe) {
    struct gri_bytes source = jpeg_of(recipe);
    struct gri_jpeg_limits structure = roomy;
    structure.verify = GRI_JPEG_VERIFY_STRUCTURE;
    struct answer fast = take(gri_bytes_slice(&source), 0, &roomy),
                  portable = take(gri_bytes_slice(&source), GRI_JPEG_GRAY_PORTABLE, &roomy),
                  unread = take(gri_bytes_slice(&source), 0, &structure);
    if (fast.status != GRI_OK || !fast.handled)
        fail_msg("%d × %d, %d %d, progressive %d, script %d, separate %d: %s", recipe->width, recipe->height, recipe->across,
                 recipe->down, recipe->progressive, recipe->script, recipe->separate_scans, fast.error.detail);
    assert_int_equal(portable.status, GRI_OK);
    assert_int_equal(unread.status, GRI_OK);
    assert_int_equal(fast.out.len, portable.out.len);
    assert_memory_equal(fast.out.data, portable.out.data, fast.out.len);
    assert_int_equal(fast.out.len, unread.out.len);
    assert_memory_equal(fast.out.data, unread.out.data, fast.out.len);
    assert_int_equal(fast.info.width, recipe->width);
    assert_int_equal(fast.info.height, recipe->height);
    struct judgement before, after;
    judge_jpeg(gri_bytes_slice(&source), &before);
    judge_jpeg(gri_bytes_slice(&fast.out), &after);
    assert_true(before.luma_sound);
    assert_true(after.luma_sound);
    assert_true(judgements_agree(&before, &after));
    judgement_clear(&before);
    judgement_clear(&after);
    gri_bytes_clear(&fast.out);
    gri_bytes_clear(&portable.out);
    gri_bytes_clear(&unread.out);
    gri_bytes_clear(&source);
}

static void luma_coefficients_are_exact_for_every_kind_of_file(void **state) {
    (void)state;
    static const int sizes[][2] = {{1, 1}, {7, 13}, {8, 8}, {16, 16}, {17, 33}, {65, 9}, {161, 119}, {1500, 3}, {3, 700}};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (size_t f = 0; f < sizeof samplings / sizeof samplings[0]; f++)
            for (int kind = 0; kind < 3 + SCRIPT_COUNT; kind++)
                for (int quality = 0; quality < 3; quality++) {
                    struct jpeg_recipe recipe = {.width = sizes[s][0], .height = sizes[s][1], .components = 3};
                    recipe.across = samplings[f][0];
                    recipe.down = samplings[f][1];
                    recipe.optimised = kind == 1;
                    recipe.separate_scans = kind == 2;
                    recipe.progressive = kind >= 3;
                    recipe.script = kind >= 3 ? (enum jpeg_script)(kind - 3) : SCRIPT_STANDARD;
                    recipe.quality = quality == 0 ? 30 : quality == 1 ? 85 : 100;
                    recipe.orientation = kind == 1;
                    check_exact(&recipe);
                }
}

static void gray_files_are_copied(void **state) {
    (void)state;
    for (int kind = 0; kind < 2 + SCRIPT_COUNT; kind++) {
        struct jpeg_recipe recipe = {.width = 131, .height = 67, .components = 1, .orientation = 1};
        recipe.optimised = kind == 1;
        recipe.progressive = kind >= 2;
        recipe.script = kind >= 2 ? (enum jpeg_script)(kind - 2) : SCRIPT_STANDARD;
        check_exact(&recipe);
        struct gri_bytes source = jpeg_of(&recipe);
        struct answer answer = take(gri_bytes_slice(&source), 0, &roomy);
        assert_null(memmem(answer.out.data, answer.out.len, "Exif", 4));
        gri_bytes_clear(&answer.out);
        gri_bytes_clear(&source);
    }
    check_exact(&(struct jpeg_recipe){.width = 90, .height = 70, .components = 1, .across = 2, .down = 2});
}

static void a_large_picture_is_exact(void **state) {
    (void)state;
    for (int progressive = 0; progressive < 2; progressive++)
        check_exact(&(struct jpeg_recipe){
            .width = 1283, .height = 725, .components = 3, .across = 2, .down = 2, .progressive = progressive});
}

/* Intervals of one MCU, of some that do not fill a row, and of more than there are. */
static void restart_intervals_are_taken(void **state) {
    (void)state;
    static const int sizes[][2] = {{7, 13}, {65, 33}, {161, 49}}, intervals[] = {1, 3, 10, 30000};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (size_t f = 0; f < sizeof samplings / sizeof samplings[0]; f++)
            for (int kind = 0; kind < 3 + SCRIPT_COUNT; kind++)
                for (size_t i = 0; i < sizeof intervals / sizeof *intervals; i++) {
                    struct jpeg_recipe recipe = {.width = sizes[s][0], .height = sizes[s][1], .components = kind == 1 ? 1 : 3};
                    recipe.across = samplings[f][0];
                    recipe.down = samplings[f][1];
                    recipe.separate_scans = kind == 2;
                    recipe.progressive = kind >= 3;
                    recipe.script = kind >= 3 ? (enum jpeg_script)(kind - 3) : SCRIPT_STANDARD;
                    recipe.restart = intervals[i];
                    check_exact(&recipe);
                }
}

static void remove_huffman_tables(struct gri_bytes *file) {
    uint8_t *at;
    while ((at = memmem(file->data, file->len, "\xFF\xC4", 2))) {
        size_t len = 2 + ((size_t)at[2] << 8 | at[3]);
        file->len -= len;
        memmove(at, at + len, file->len - (size_t)(at - file->data));
    }
}

/* What is left to libjpeg comes out of the port all the same. */
static void unusual_files_go_another_way(void **state) {
    (void)state;
    struct jpeg_recipe recipes[] = {{.width = 50, .height = 40, .components = 3, .across = 2, .down = 2},
                                    {.width = 20, .height = 20, .components = 4},
                                    {.width = 20, .height = 20, .components = 3, .rgb = true},
                                    {.width = 20, .height = 20, .components = 3, .arithmetic = true}};
    for (size_t i = 0; i < sizeof recipes / sizeof recipes[0]; i++) {
        struct gri_bytes source = jpeg_of(&recipes[i]);
        if (i == 0) remove_huffman_tables(&source);
        struct answer own = take(gri_bytes_slice(&source), 0, &roomy), port = {0};
        assert_int_equal(own.status, GRI_OK);
        assert_false(own.handled);
        assert_int_equal(own.out.len, 0);
        gri_bytes_init(&port.out, 0);
        port.status = gri_jpeg_gray_port()->gray(gri_bytes_slice(&source), false, &roomy, &port.out, &port.info, &port.handled,
                                                 &port.error);
        assert_int_equal(port.status, GRI_OK);
        assert_int_equal(port.handled, i == 0);
        if (port.handled) {
            struct judgement before, after;
            judge_jpeg(gri_bytes_slice(&source), &before);
            judge_jpeg(gri_bytes_slice(&port.out), &after);
            assert_true(judgements_agree(&before, &after));
            judgement_clear(&before);
            judgement_clear(&after);
        }
        gri_bytes_clear(&own.out);
        gri_bytes_clear(&port.out);
        gri_bytes_clear(&source);
    }
}

static void a_progressive_output_is_kept_or_made(void **state) {
    (void)state;
    for (int progressive = 0; progressive < 2; progressive++) {
        struct jpeg_recipe recipe = {
            .width = 60, .height = 50, .components = 3, .across = 2, .down = 2, .progressive = progressive};
        struct gri_bytes source = jpeg_of(&recipe);
        struct answer answer = {0};
        gri_bytes_init(&answer.out, 0);
        answer.status = gri_jpeg_gray_port()->gray(gri_bytes_slice(&source), true, &roomy, &answer.out, &answer.info,
                                                   &answer.handled, &answer.error);
        assert_true(answer.status == GRI_OK && answer.handled);
        assert_non_null(memmem(answer.out.data, answer.out.len, "\xFF\xC2", 2));
        gri_bytes_clear(&answer.out);
        gri_bytes_clear(&source);
    }
}

static void limits_are_kept(void **state) {
    (void)state;
    struct jpeg_recipe recipe = {.width = 400, .height = 300, .components = 3, .across = 2, .down = 2, .progressive = true};
    struct gri_bytes source = jpeg_of(&recipe);
    struct gri_jpeg_limits pixels = roomy, time = roomy, scans = roomy;
    pixels.max_pixels = 400 * 300 - 1;
    time.timeout_ms = -1;
    scans.max_scans = 9;
    const struct {
        const struct gri_jpeg_limits *limits;
        enum gri_reason reason;
    } cases[] = {{&pixels, GRI_R_too_many_pixels}, {&time, GRI_R_decode_timeout}, {&scans, GRI_R_corrupt_image}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct answer answer = take(gri_bytes_slice(&source), 0, cases[i].limits);
        assert_int_equal(answer.status, GRI_PERMANENT);
        assert_int_equal(answer.error.reason, cases[i].reason);
        assert_int_equal(answer.out.len, 0);
        gri_bytes_clear(&answer.out);
    }
    struct answer whole = take(gri_bytes_slice(&source), 0, &roomy);
    for (size_t max = 0; max < whole.out.len; max += max < 1000 ? 37 : 511) {
        struct gri_jpeg_limits bytes = roomy;
        bytes.max_output_bytes = max;
        struct answer answer = take(gri_bytes_slice(&source), 0, &bytes);
        assert_int_equal(answer.error.reason, GRI_R_output_too_large);
        assert_int_equal(answer.out.len, 0);
        gri_bytes_clear(&answer.out);
    }
    gri_bytes_clear(&whole.out);
    gri_bytes_clear(&source);
}

static void output_is_appended_and_trailing_bytes_are_counted(void **state) {
    (void)state;
    struct jpeg_recipe recipe = {.width = 30, .height = 20, .components = 3, .orientation = 6};
    struct gri_bytes source = jpeg_of(&recipe);
    struct gri_error error;
    assert_int_equal(gri_bytes_append(&source, "twelve bytes", 12, &error), GRI_OK);
    struct answer answer = {0};
    gri_bytes_init(&answer.out, 0);
    assert_int_equal(gri_bytes_append(&answer.out, "before", 6, &error), GRI_OK);
    answer.status =
        gri_jpeg_gray_take(gri_bytes_slice(&source), 0, &roomy, &answer.out, &answer.info, &answer.handled, &answer.error);
    assert_int_equal(answer.status, GRI_OK);
    assert_memory_equal(answer.out.data, "before\xFF\xD8", 8);
    assert_int_equal(answer.out.data[answer.out.len], 0);
    assert_int_equal(answer.info.trailing_bytes, 12);
    assert_int_equal(answer.info.orientation, 6);
    gri_bytes_clear(&answer.out);
    gri_bytes_clear(&source);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(luma_coefficients_are_exact_for_every_kind_of_file),
        cmocka_unit_test(gray_files_are_copied),
        cmocka_unit_test(a_large_picture_is_exact),
        cmocka_unit_test(restart_intervals_are_taken),
        cmocka_unit_test(unusual_files_go_another_way),
        cmocka_unit_test(a_progressive_output_is_kept_or_made),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(output_is_appended_and_trailing_bytes_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
