/* SPDX-License-Identifier: Apache-2.0 */
/* The codec over real pictures: what comes out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "picture_hash.h"
#include "picture_kit.h"
#include "vips_runtime.h"

#include <stdlib.h>
#include <string.h>

/* No pixel is decoded for it: it comes from luma's DC coefficients, with the first scan's precision. */
static void the_hash_of_a_picture_taken_out_is_that_of_its_pixels(void **state) {
    (void)state;
    static const struct jpeg_recipe recipes[] = {{641, 479, 3, 2, 2, .progressive = true, .orientation = 1},
                                                 {1280, 720, 3, 2, 1, .progressive = true, .orientation = 1},
                                                 {150, 150, 3, 2, 2, .progressive = true, .orientation = 1},
                                                 {200, 300, 3, 2, 2, .orientation = 1},
                                                 {97, 411, 3, 1, 1, .orientation = 1}};
    for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++) {
        char decoded[GRI_PHASH_HEX];
        struct gri_bytes source = picture_kit_jpeg_of(recipes[i]);
        struct gri_picture picture = picture_kit_run_ok(GRAY, gri_bytes_slice(&source));
        assert_true(picture.lossless);
        assert_int_equal(strlen(picture.phash), GRI_PHASH_HEX - 1);
        gri_picture_hash(gri_bytes_slice(&picture.output), decoded);
        int apart = __builtin_popcountll(strtoull(picture.phash, NULL, 16) ^ strtoull(decoded, NULL, 16));
        if (apart > 6) fail_msg("recipe %zu: %s and %s, %d bits apart", i, picture.phash, decoded, apart);
        gri_picture_clear(&picture);
        gri_bytes_clear(&source);
    }
}

static void jpeg_to_gray_keeps_luma_and_says_lossless(void **state) {
    (void)state;
    struct gri_bytes source = picture_kit_jpeg_of((struct jpeg_recipe){641, 479, 3, 2, 2, .progressive = true, .orientation = 1});
    struct gri_picture picture = picture_kit_run_ok(GRAY, gri_bytes_slice(&source));
    assert_true(picture.lossless);
    assert_string_equal(picture.content_type, "image/jpeg");
    assert_string_equal(picture.source_type, "image/jpeg");
    assert_int_equal(picture.width, 641);
    assert_int_equal(picture.source_height, 479);
    assert_string_equal(picture.note, "");
    int width = 0, height = 0;
    uint8_t *expected = read_luma(gri_bytes_slice(&source), &width, &height);
    uint8_t *got = read_luma(gri_bytes_slice(&picture.output), &width, &height);
    assert_memory_equal(expected, got, (size_t)width * (size_t)height);
    free(expected);
    free(got);
    gri_picture_clear(&picture);
    gri_bytes_clear(&source);
}

static void lossless_never_decodes_and_encodes(void **state) {
    (void)state;
    struct gri_bytes source = picture_kit_jpeg_of((struct jpeg_recipe){65, 40, 3, 2, 2, .restart = 0});
    struct gri_picture picture = picture_kit_run_ok(GRAY_NEVER, gri_bytes_slice(&source));
    assert_false(picture.lossless);
    g_object_unref(picture_kit_open_output(&picture));
    gri_picture_clear(&picture);
    gri_bytes_clear(&source);
}

/* Where the source's top left corner comes to lie, for each orientation (CIPA DC-008, 4.6.4). */
static void exif_orientation_is_applied(void **state) {
    (void)state;
    static const char corner[] = {0, 'a', 'b', 'd', 'c', 'a', 'b', 'd', 'c'}; /* a b / c d: where pixel (0, 0) goes */
    for (int orientation = 1; orientation <= 8; orientation++)
        for (int never = 0; never < 2; never++) {
            struct gri_bytes source = picture_kit_jpeg_of((struct jpeg_recipe){48, 32, 3, 1, 1, .orientation = orientation});
            int width = 0, height = 0;
            uint8_t *luma = read_luma(gri_bytes_slice(&source), &width, &height);
            struct gri_picture picture = picture_kit_run_ok(never ? GRAY_NEVER : GRAY, gri_bytes_slice(&source));
            assert_int_equal(picture.lossless, orientation == 1 && !never);
            assert_int_equal(picture.width, orientation < 5 ? 48 : 32);
            assert_int_equal(picture.height, orientation < 5 ? 32 : 48);
            assert_int_equal(picture.source_width, 48);
            assert_int_equal(picture.source_height, 32);
            VipsImage *image = picture_kit_open_output(&picture);
            int right = corner[orientation] == 'b' || corner[orientation] == 'd', low = corner[orientation] >= 'c';
            int got = picture_kit_gray_at(image, right ? picture.width - 1 : 0, low ? picture.height - 1 : 0);
            assert_in_range(got + 40, luma[0] + 20, luma[0] + 60); /* encoded again: near */
            g_object_unref(image);
            free(luma);
            gri_picture_clear(&picture);
            gri_bytes_clear(&source);
        }
}

static void trailing_bytes_are_noted(void **state) {
    (void)state;
    struct gri_bytes source = picture_kit_jpeg_of((struct jpeg_recipe){20, 20, 3, 1, 1, .restart = 0});
    struct gri_error error;
    assert_int_equal(gri_bytes_append(&source, "0123456789", 10, &error), GRI_OK);
    struct gri_picture picture = picture_kit_run_ok(GRAY, gri_bytes_slice(&source));
    assert_string_equal(picture.note, "10 bytes after the end of the image");
    gri_picture_clear(&picture);
    gri_bytes_clear(&source);
}

/* Pillow's integers for each colour, exactly. */
static void luma_of_pixels_is_pillows(void **state) {
    (void)state;
    uint8_t *pixels = malloc(64 * 64 * 3);
    for (int i = 0; i < 64 * 64; i++) {
        pixels[3 * i] = (uint8_t)(i * 37);
        pixels[3 * i + 1] = (uint8_t)(i * 11 + i / 256);
        pixels[3 * i + 2] = (uint8_t)(i * 101 + i / 64);
    }
    VipsImage *raw = vips_image_new_from_memory(pixels, 64 * 64 * 3, 64, 64, 3, VIPS_FORMAT_UCHAR);
    VipsImage *named = NULL;
    assert_int_equal(vips_copy(raw, &named, "interpretation", VIPS_INTERPRETATION_sRGB, NULL), 0);
    g_object_unref(raw);
    struct gri_slice source = picture_kit_encode(named, AS_PNG);
    struct gri_picture picture = picture_kit_run_ok(GRAY_PNG, source);
    assert_string_equal(picture.content_type, "image/png");
    assert_false(picture.lossless);
    VipsImage *image = picture_kit_open_output(&picture);
    for (int i = 0; i < 64 * 64; i++) {
        uint32_t luma = (19595U * pixels[3 * i] + 38470U * pixels[3 * i + 1] + 7471U * pixels[3 * i + 2] + 0x8000U) >> 16;
        assert_int_equal(picture_kit_gray_at(image, i % 64, i / 64), luma);
    }
    g_object_unref(image);
    gri_picture_clear(&picture);
    picture_kit_drop(source);
    free(pixels);
}

struct colour_case {
    double pixel[4];
    int bands;
    VipsBandFormat format;
    VipsInterpretation interpretation;
    enum container container;
    int gray;
};

static void depth_alpha_and_cmyk_become_eight_bit_gray(void **state) {
    (void)state;
    static const struct colour_case cases[] = {
        {{200, 100, 50}, 3, VIPS_FORMAT_UCHAR, VIPS_INTERPRETATION_sRGB, AS_WEBP, 124},
        {{200, 100, 50}, 3, VIPS_FORMAT_UCHAR, VIPS_INTERPRETATION_sRGB, AS_GIF, 124},
        {{200 * 257, 100 * 257, 50 * 257}, 3, VIPS_FORMAT_USHORT, VIPS_INTERPRETATION_RGB16, AS_PNG, 124},
        {{77 * 257}, 1, VIPS_FORMAT_USHORT, VIPS_INTERPRETATION_GREY16, AS_PNG, 77},
        {{77}, 1, VIPS_FORMAT_UCHAR, VIPS_INTERPRETATION_B_W, AS_PNG, 77},
        {{0, 0, 0, 0}, 4, VIPS_FORMAT_UCHAR, VIPS_INTERPRETATION_sRGB, AS_PNG, 255},
        {{0, 0, 0, 0}, 4, VIPS_FORMAT_UCHAR, VIPS_INTERPRETATION_sRGB, AS_WEBP, 255},
        {{0, 0, 0, 102}, 4, VIPS_FORMAT_UCHAR, VIPS_INTERPRETATION_sRGB, AS_PNG, 153},
        {{0, 0, 0, 102 * 257}, 4, VIPS_FORMAT_USHORT, VIPS_INTERPRETATION_RGB16, AS_PNG, 153},
        {{0, 102}, 2, VIPS_FORMAT_UCHAR, VIPS_INTERPRETATION_B_W, AS_PNG, 153},
        {{0, 102 * 257}, 2, VIPS_FORMAT_USHORT, VIPS_INTERPRETATION_GREY16, AS_PNG, 153},
        {{0, 0, 0, 0}, 4, VIPS_FORMAT_UCHAR, VIPS_INTERPRETATION_CMYK, AS_JPEG, 254},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct colour_case *c = &cases[i];
        struct gri_slice source =
            picture_kit_encode(picture_kit_flat(9, 5, c->pixel, c->bands, c->format, c->interpretation), c->container);
        struct gri_picture picture = picture_kit_run_ok(GRAY_PNG, source);
        VipsImage *image = picture_kit_open_output(&picture);
        if (abs(picture_kit_gray_at(image, 4, 2) - c->gray) > 1)
            fail_msg("case %zu: %d, expected %d", i, picture_kit_gray_at(image, 4, 2), c->gray);
        g_object_unref(image);
        gri_picture_clear(&picture);
        picture_kit_drop(source);
    }
}

static void luminance_is_libvips_b_w(void **state) {
    (void)state;
    double pixel[] = {200, 100, 50};
    VipsImage *image = picture_kit_flat(4, 4, pixel, 3, VIPS_FORMAT_UCHAR, VIPS_INTERPRETATION_sRGB), *expected = NULL;
    assert_int_equal(vips_colourspace(image, &expected, VIPS_INTERPRETATION_B_W, NULL), 0);
    VipsImage *computed = vips_image_copy_memory(expected);
    int gray = picture_kit_gray_at(computed, 0, 0);
    g_object_unref(computed);
    g_object_unref(expected);
    struct gri_slice source = picture_kit_encode(image, AS_PNG);
    struct gri_picture picture = picture_kit_run_ok(LUMINANCE_PNG, source);
    VipsImage *output = picture_kit_open_output(&picture);
    assert_int_equal(picture_kit_gray_at(output, 0, 0), gray);
    assert_int_not_equal(gray, 124);
    g_object_unref(output);
    gri_picture_clear(&picture);
    picture_kit_drop(source);
}

static void cmyk_rgb_and_arithmetic_jpegs_are_decoded(void **state) {
    (void)state;
    const struct jpeg_recipe recipes[] = {{24, 24, .components = 4},
                                          {24, 24, .components = 3, .rgb = true},
                                          {24, 24, .components = 3, .across = 1, .down = 1, .arithmetic = true}};
    for (size_t i = 0; i < sizeof recipes / sizeof recipes[0]; i++) {
        struct gri_bytes source = picture_kit_jpeg_of(recipes[i]);
        struct gri_picture picture = picture_kit_run_ok(GRAY, gri_bytes_slice(&source));
        assert_false(picture.lossless);
        g_object_unref(picture_kit_open_output(&picture));
        gri_picture_clear(&picture);
        gri_bytes_clear(&source);
    }
}

static gpointer work(gpointer arg) {
    const struct gri_bytes *sources = arg;
    size_t wrong = 0;
    for (int i = 0; i < 12; i++) {
        struct gri_picture picture;
        struct gri_error error = {0};
        struct gri_plan *plan = NULL;
        if (picture_kit.codec->ops->compile(picture_kit.codec, gri_slice_of(i & 1 ? GRAY : GRAY_NEVER), &plan, &error) != GRI_OK)
            return GSIZE_TO_POINTER(1000);
        bool good =
            picture_kit.codec->ops->run(picture_kit.codec, plan, gri_bytes_slice(&sources[i % 2]), &picture, &error) == GRI_OK;
        picture_kit.codec->ops->plan_free(picture_kit.codec, plan);
        if (good) gri_picture_clear(&picture);
        if (good != (i % 2 == 0) || (!good && error.reason != GRI_R_corrupt_image)) wrong++;
    }
    gri_vips_thread_end();
    return GSIZE_TO_POINTER(wrong);
}

static void threads_do_not_disturb_each_other(void **state) {
    (void)state;
    struct gri_bytes sources[2] = {picture_kit_jpeg_of((struct jpeg_recipe){120, 90, 3, 2, 2, .restart = 0}),
                                   picture_kit_jpeg_of((struct jpeg_recipe){120, 90, 3, 2, 2, .restart = 0})};
    sources[1].len /= 2;
    GThread *threads[4];
    for (size_t i = 0; i < 4; i++)
        threads[i] = g_thread_new("codec", work, sources);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(GPOINTER_TO_SIZE(g_thread_join(threads[i])), 0);
    gri_bytes_clear(&sources[0]);
    gri_bytes_clear(&sources[1]);
}

static void resize_fits_covers_and_never_enlarges_unasked(void **state) {
    (void)state;
    static const struct {
        const char *params;
        int width, height;
    } cases[] = {
        {"{\"width\":50}", 50, 25},
        {"{\"height\":10}", 20, 10},
        {"{\"width\":50,\"height\":50}", 50, 25},
        {"{\"width\":50,\"height\":50,\"fit\":\"cover\"}", 50, 50},
        {"{\"width\":50,\"height\":50,\"fit\":\"stretch\"}", 50, 50},
        {"{\"width\":400}", 100, 50},
        {"{\"width\":400,\"enlarge\":true}", 400, 200},
        {"{\"width\":80,\"height\":400,\"fit\":\"cover\"}", 80, 50},
        {"{\"width\":1,\"kernel\":\"nearest\"}", 1, 1},
    };
    struct gri_bytes source = picture_kit_jpeg_of((struct jpeg_recipe){100, 50, 3, 2, 2, .restart = 0});
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char definition[300];
        assert_true(gri_format(definition, sizeof definition, "{\"name\":\"t\",\"steps\":[{\"resize\":%s},\"grayscale\"]}",
                               cases[i].params));
        struct gri_picture picture = picture_kit_run_ok(definition, gri_bytes_slice(&source));
        if (picture.width != cases[i].width || picture.height != cases[i].height)
            fail_msg("%s: %d × %d", cases[i].params, picture.width, picture.height);
        assert_int_equal(picture.source_width, 100);
        g_object_unref(picture_kit_open_output(&picture));
        gri_picture_clear(&picture);
    }
    gri_bytes_clear(&source);
}

static void version_names_both_libraries(void **state) {
    (void)state;
    const char *version = picture_kit.codec->ops->version(picture_kit.codec);
    assert_non_null(strstr(version, "libvips 8."));
    assert_non_null(strstr(version, "; libjpeg-turbo "));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jpeg_to_gray_keeps_luma_and_says_lossless),
        cmocka_unit_test(the_hash_of_a_picture_taken_out_is_that_of_its_pixels),
        cmocka_unit_test(lossless_never_decodes_and_encodes),
        cmocka_unit_test(exif_orientation_is_applied),
        cmocka_unit_test(trailing_bytes_are_noted),
        cmocka_unit_test(luma_of_pixels_is_pillows),
        cmocka_unit_test(depth_alpha_and_cmyk_become_eight_bit_gray),
        cmocka_unit_test(luminance_is_libvips_b_w),
        cmocka_unit_test(cmyk_rgb_and_arithmetic_jpegs_are_decoded),
        cmocka_unit_test(threads_do_not_disturb_each_other),
        cmocka_unit_test(resize_fits_covers_and_never_enlarges_unasked),
        cmocka_unit_test(version_names_both_libraries),
    };
    return cmocka_run_group_tests(tests, picture_kit_open, picture_kit_close);
}
