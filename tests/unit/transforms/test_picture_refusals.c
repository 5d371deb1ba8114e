/* SPDX-License-Identifier: Apache-2.0 */
/* The codec over hostile, damaged and foreign bytes: what is refused, and why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jpeg_survey.h"
#include "picture_kit.h"
#include "picture_sniff.h"

#include <stdlib.h>
#include <string.h>

static void every_container_cut_anywhere_is_refused(void **state) {
    (void)state;
    static const struct {
        enum container container;
        const char *definition;
    } cases[] = {{AS_PNG, GRAY}, {AS_WEBP, GRAY}, {AS_GIF, GRAY}, {AS_JPEG, GRAY}, {AS_JPEG, GRAY_NEVER}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        VipsImage *noise = NULL, *bytes = NULL, *colour = NULL;
        assert_int_equal(vips_gaussnoise(&noise, 60, 44, "mean", 128.0, "sigma", 40.0, "seed", 3, NULL), 0);
        assert_int_equal(vips_cast_uchar(noise, &bytes, NULL), 0);
        assert_int_equal(vips_bandjoin2(bytes, bytes, &colour, NULL), 0);
        VipsImage *three = NULL, *named = NULL;
        assert_int_equal(vips_bandjoin2(colour, bytes, &three, NULL), 0);
        assert_int_equal(vips_copy(three, &named, "interpretation", VIPS_INTERPRETATION_sRGB, NULL), 0);
        g_object_unref(noise);
        g_object_unref(bytes);
        g_object_unref(colour);
        g_object_unref(three);
        struct gri_slice source = picture_kit_encode(named, cases[i].container);
        /* The last two bytes of a GIF come after its last pixel, and many files lack them: libvips asks for neither. */
        size_t tail = cases[i].container == AS_GIF ? 2 : 0;
        for (size_t len = 12; len < source.len - tail; len += 1 + source.len / 61) {
            uint8_t *cut = malloc(len);
            memcpy(cut, source.data, len);
            struct gri_picture picture;
            struct gri_error error = {0};
            enum gri_status status =
                picture_kit_run_with(picture_kit.codec, cases[i].definition, (struct gri_slice){cut, len}, &picture, &error);
            if (status != GRI_PERMANENT || error.reason != GRI_R_corrupt_image)
                fail_msg("case %zu cut at %zu of %zu: %s %s", i, len, source.len, gri_reason_name(error.reason), error.detail);
            free(cut);
        }
        picture_kit_drop(source);
    }
}

static void flipped_bytes_never_crash(void **state) {
    (void)state;
    double pixel[] = {200, 100, 50, 90};
    uint32_t seed = 4;
    for (int round = 0; round < 400; round++) {
        enum container container = (enum container)(round % 4);
        struct gri_slice source = picture_kit_encode(
            picture_kit_flat(21, 17, pixel, container == AS_JPEG ? 3 : 4, VIPS_FORMAT_UCHAR, VIPS_INTERPRETATION_sRGB),
            container);
        uint8_t *damaged = malloc(source.len);
        memcpy(damaged, source.data, source.len);
        seed = seed * 1664525U + 1013904223U;
        damaged[(seed >> 8) % source.len] ^= (uint8_t)(1U << (seed >> 5 & 7));
        struct gri_picture picture;
        struct gri_error error = {0};
        enum gri_status status = picture_kit_run_with(picture_kit.codec, round & 4 ? GRAY : GRAY_NEVER,
                                                      (struct gri_slice){damaged, source.len}, &picture, &error);
        assert_true(status == GRI_OK || status == GRI_PERMANENT);
        if (status == GRI_OK) gri_picture_clear(&picture);
        free(damaged);
        picture_kit_drop(source);
    }
}

static void animations_are_refused(void **state) {
    (void)state;
    double pixel[] = {200, 100, 50};
    static const uint8_t control[20] = {0, 0, 0, 8, 'a', 'c', 'T', 'L', 0, 0, 0, 2, 0, 0, 0, 0, 0xF3, 0x8D, 0x93, 0x70};
    struct gri_slice png =
        picture_kit_encode(picture_kit_flat(10, 10, pixel, 3, VIPS_FORMAT_UCHAR, VIPS_INTERPRETATION_sRGB), AS_PNG);
    uint8_t *animated = malloc(png.len + sizeof control);
    memcpy(animated, png.data, 33); /* signature and IHDR */
    memcpy(animated + 33, control, sizeof control);
    memcpy(animated + 33 + sizeof control, png.data + 33, png.len - 33);
    picture_kit_expect_reason(GRAY, (struct gri_slice){animated, png.len + sizeof control}, GRI_R_too_many_frames);
    free(animated);
    picture_kit_drop(png);
    for (enum container container = AS_WEBP; container <= AS_GIF; container++) {
        VipsImage *tall = picture_kit_flat(10, 20, pixel, 3, VIPS_FORMAT_UCHAR, VIPS_INTERPRETATION_sRGB), *split = NULL;
        assert_int_equal(vips_insert(tall, tall, &split, 0, 0, NULL), 0);
        g_object_unref(tall);
        VipsImage *drawn = vips_image_copy_memory(split);
        g_object_unref(split);
        *VIPS_IMAGE_ADDR(drawn, 3, 15) = 9; /* frames that are equal are merged */
        vips_image_set_int(drawn, VIPS_META_PAGE_HEIGHT, 10);
        struct gri_slice source = picture_kit_encode(drawn, container);
        picture_kit_expect_reason(GRAY, source, GRI_R_too_many_frames);
        picture_kit_drop(source);
    }
}

static uint32_t crc32_of(const uint8_t *data, size_t len) {
    uint32_t crc = 0xFFFFFFFFU;
    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320U : 0);
    }
    return ~crc;
}

static void a_gif_of_ten_thousand_frames_is_no_still_picture(void **state) {
    static const uint8_t head[] = {'G', 'I', 'F', '8', '9', 'a', 1, 0, 1, 0, 0, 0, 0},
                         frame[] = {0x21, 0xF9, 4,    0, 1, 0, 0,   0,   0x2C, 0, 0, 0,    0, 1, 0,
                                    1,    0,    0x80, 0, 0, 0, 255, 255, 255,  2, 2, 0x4C, 1, 0};
    enum { FRAMES = 10000 };
    (void)state;
    uint8_t *gif = malloc(sizeof head + FRAMES * sizeof frame + 1);
    memcpy(gif, head, sizeof head);
    for (size_t i = 0; i < FRAMES; i++)
        memcpy(gif + sizeof head + i * sizeof frame, frame, sizeof frame);
    gif[sizeof head + FRAMES * sizeof frame] = 0x3B;
    picture_kit_expect_reason(GRAY, (struct gri_slice){gif, sizeof head + FRAMES * sizeof frame + 1}, GRI_R_too_many_frames);
    /* one frame and a trailer: a still picture; cut anywhere, nothing worse than damage */
    gif[sizeof head + sizeof frame] = 0x3B;
    for (size_t len = 6; len <= sizeof head + sizeof frame; len++) {
        uint8_t *exact = malloc(len);
        memcpy(exact, gif, len);
        assert_false(gri_picture_gif_moves((struct gri_slice){exact, len}));
        free(exact);
    }
    free(gif);
}

static void huge_headers_are_refused_before_a_pixel(void **state) {
    (void)state;
    double pixel[] = {1, 2, 3};
    struct gri_slice png =
        picture_kit_encode(picture_kit_flat(8, 8, pixel, 3, VIPS_FORMAT_UCHAR, VIPS_INTERPRETATION_sRGB), AS_PNG);
    uint8_t *huge = malloc(png.len);
    memcpy(huge, png.data, png.len);
    memcpy(huge + 16, "\0\1\x86\xA0\0\1\x86\xA0", 8); /* 100 000 × 100 000 */
    uint32_t crc = crc32_of(huge + 12, 17);
    for (int i = 0; i < 4; i++)
        huge[29 + i] = (uint8_t)(crc >> (24 - 8 * i));
    picture_kit_expect_reason(GRAY, (struct gri_slice){huge, png.len}, GRI_R_too_many_pixels);
    free(huge);
    picture_kit_drop(png);
    for (int never = 0; never < 2; never++) {
        struct gri_bytes jpeg = picture_kit_jpeg_of((struct jpeg_recipe){8, 8, 3, 1, 1, .restart = 0});
        uint8_t *frame = memmem(jpeg.data, jpeg.len, "\xFF\xC0", 2);
        assert_non_null(frame);
        memcpy(frame + 5, "\xFA\xFA\xFA\xFA", 4); /* 64250 × 64250 */
        picture_kit_expect_reason(never ? GRAY_NEVER : GRAY, gri_bytes_slice(&jpeg), GRI_R_too_many_pixels);
        gri_bytes_clear(&jpeg);
    }
}

static void what_is_no_picture_we_take_has_its_own_reason(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        enum gri_reason reason;
    } cases[] = {
        {"", 0, GRI_R_empty},
        {"x", 1, GRI_R_not_image},
        {"<!DOCTYPE html><html><svg></svg></html>", 39, GRI_R_not_image},
        {"\xEF\xBB\xBF \n<html>", 11, GRI_R_not_image},
        {"Not found", 9, GRI_R_not_image},
        {"BMW is a car, and this text is long", 35, GRI_R_not_image},
        {"{\"error\":\"Invalid size\"}", 24, GRI_R_not_image},
        {"%PDF-1.4", 8, GRI_R_not_image},
        {"<?xml version=\"1.0\"?>\n<!DOCTYPE svg [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><svg>&x;</svg>", 94,
         GRI_R_unsupported_format},
        {"<svg xmlns='http://www.w3.org/2000/svg'/>", 41, GRI_R_unsupported_format},
        {"II*\0\x08\0\0\0", 8, GRI_R_unsupported_format},
        {"MM\0*\0\0\0\x08", 8, GRI_R_unsupported_format},
        {"\0\0\0\x1C"
         "ftypavif\0\0\0\0",
         16, GRI_R_unsupported_format},
        {"\0\0\0\x1C"
         "ftypheic\0\0\0\0",
         16, GRI_R_unsupported_format},
        {"\0\0\0\x1C"
         "ftypisom\0\0\0\0",
         16, GRI_R_not_image},
        {"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\2\0\0\0\2\0\0\0", 26, GRI_R_unsupported_format},
        {"P6\n2 2\n255\n", 11, GRI_R_unsupported_format},
        {"\xFF\xD8\xFF", 3, GRI_R_corrupt_image},
        {"\x89PNG\r\n\x1A\n", 8, GRI_R_corrupt_image},
        {"RIFF\0\0\0\0WEBP", 12, GRI_R_corrupt_image},
        {"GIF89a", 6, GRI_R_corrupt_image},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        picture_kit_expect_reason(GRAY, (struct gri_slice){(const uint8_t *)cases[i].bytes, cases[i].len}, cases[i].reason);
}

static void jpegs_of_other_depths_and_kinds_are_unsupported(void **state) {
    (void)state;
    struct gri_bytes deep = picture_kit_jpeg_of((struct jpeg_recipe){8, 8, 3, 1, 1, .restart = 0}),
                     lossless = picture_kit_jpeg_of((struct jpeg_recipe){8, 8, 3, 1, 1, .restart = 0});
    uint8_t *frame = memmem(deep.data, deep.len, "\xFF\xC0", 2);
    frame[4] = 12;
    frame[1] = 0xC1;
    picture_kit_expect_reason(GRAY, gri_bytes_slice(&deep), GRI_R_unsupported_format);
    frame = memmem(lossless.data, lossless.len, "\xFF\xC0", 2);
    frame[1] = 0xC3;
    picture_kit_expect_reason(GRAY, gri_bytes_slice(&lossless), GRI_R_unsupported_format);
    gri_bytes_clear(&deep);
    gri_bytes_clear(&lossless);
}

static void missing_scans_are_corrupt_on_both_ways(void **state) {
    (void)state;
    for (int scans = 1; scans < 10; scans++) {
        struct gri_bytes source =
            picture_kit_jpeg_of((struct jpeg_recipe){40, 40, 3, 2, 2, .progressive = true, .stop_scans = scans});
        picture_kit_expect_reason(GRAY, gri_bytes_slice(&source), GRI_R_corrupt_image);
        picture_kit_expect_reason(GRAY_NEVER, gri_bytes_slice(&source), GRI_R_corrupt_image);
        gri_bytes_clear(&source);
    }
}

/* Sound, scan by scan, and a hundred times the work of its pixels. */
static void a_jpeg_of_very_many_scans_is_refused(void **state) {
    (void)state;
    struct gri_bytes source = picture_kit_jpeg_of((struct jpeg_recipe){16, 16, 1, 1, 1, .many_scans = true});
    int width = 0, height = 0;
    uint8_t *luma = read_luma(gri_bytes_slice(&source), &width, &height);
    assert_non_null(luma);
    free(luma);
    picture_kit_expect_reason(GRAY, gri_bytes_slice(&source), GRI_R_corrupt_image);
    picture_kit_expect_reason(GRAY_NEVER, gri_bytes_slice(&source), GRI_R_corrupt_image);
    gri_bytes_clear(&source);
}

/* Every chunk is whole, its sum is right, and half of the compressed pixels are not there. */
static void a_png_with_half_of_its_pixels_is_corrupt(void **state) {
    (void)state;
    double pixel[] = {200, 100, 50};
    VipsImage *image = picture_kit_flat(300, 300, pixel, 3, VIPS_FORMAT_UCHAR, VIPS_INTERPRETATION_sRGB);
    struct gri_slice png = picture_kit_encode(image, AS_PNG);
    uint8_t *data = malloc(png.len);
    memcpy(data, png.data, png.len);
    uint8_t *idat = memmem(data, png.len, "IDAT", 4);
    assert_non_null(idat);
    uint32_t len = ((uint32_t)idat[-4] << 24 | (uint32_t)idat[-3] << 16 | (uint32_t)idat[-2] << 8 | (uint32_t)idat[-1]) / 2;
    for (int i = 0; i < 4; i++)
        idat[i - 4] = (uint8_t)(len >> (24 - 8 * i));
    uint32_t crc = crc32_of(idat, len + 4);
    for (int i = 0; i < 4; i++)
        idat[4 + len + (uint32_t)i] = (uint8_t)(crc >> (24 - 8 * i));
    memcpy(idat + 8 + len, png.data + png.len - 12, 12); /* IEND */
    size_t end = (size_t)(idat - data) + 8 + len + 12;
    picture_kit_expect_reason(GRAY, (struct gri_slice){data, end}, GRI_R_corrupt_image);
    free(data);
    picture_kit_drop(png);
}

static void the_time_limit_ends_a_decode(void **state) {
    (void)state;
    struct codec_kit hasty;
    codec_kit_open(&hasty, 50000000, -1);
    struct gri_bytes source = picture_kit_jpeg_of((struct jpeg_recipe){200, 200, 3, 1, 1, .restart = 0});
    const char *definitions[] = {GRAY, GRAY_NEVER};
    for (size_t i = 0; i < 2; i++) {
        struct gri_picture picture;
        struct gri_error error = {0};
        assert_int_equal(picture_kit_run_with(hasty.codec, definitions[i], gri_bytes_slice(&source), &picture, &error),
                         GRI_PERMANENT);
        assert_int_equal(error.reason, GRI_R_decode_timeout);
    }
    gri_bytes_clear(&source);
    codec_kit_close(&hasty);
}

/* A limit that passes in the midst of the pixels, through libvips' own signal. */
static void the_time_limit_ends_a_long_decode_midway(void **state) {
    (void)state;
    struct codec_kit hasty;
    codec_kit_open(&hasty, 50000000, 30);
    double pixel[] = {1, 2, 3};
    struct gri_slice source =
        picture_kit_encode(picture_kit_flat(6000, 6000, pixel, 3, VIPS_FORMAT_UCHAR, VIPS_INTERPRETATION_sRGB), AS_PNG);
    struct gri_picture picture;
    struct gri_error error = {0};
    gint64 start = g_get_monotonic_time();
    assert_int_equal(picture_kit_run_with(hasty.codec, GRAY, source, &picture, &error), GRI_PERMANENT);
    assert_int_equal(error.reason, GRI_R_decode_timeout);
    assert_true(g_get_monotonic_time() - start < 5000000);
    picture_kit_drop(source);
    codec_kit_close(&hasty);
}

static void a_pipeline_can_not_make_more_pixels_than_allowed(void **state) {
    (void)state;
    struct gri_bytes source = picture_kit_jpeg_of((struct jpeg_recipe){100, 100, 1, 1, 1, .restart = 0});
    picture_kit_expect_reason("{\"name\":\"t\",\"steps\":[{\"resize\":{\"width\":16000,\"enlarge\":true}}]}",
                              gri_bytes_slice(&source), GRI_R_too_many_pixels);
    gri_bytes_clear(&source);
}

static void every_cut_of_the_marker_walk_is_safe(void **state) {
    (void)state;
    struct gri_bytes source =
        picture_kit_jpeg_of((struct jpeg_recipe){33, 21, 3, 2, 1, .progressive = true, .restart = 2, .orientation = 3});
    for (size_t len = 0; len <= source.len; len++) {
        uint8_t *cut = malloc(len + 1);
        memcpy(cut, source.data, len);
        struct gri_jpeg_survey survey;
        struct gri_error error;
        assert_int_equal(gri_jpeg_survey((struct gri_slice){cut, len}, false, &survey, &error),
                         len == source.len ? GRI_OK : GRI_PERMANENT);
        free(cut);
    }
    gri_bytes_clear(&source);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_container_cut_anywhere_is_refused),
        cmocka_unit_test(flipped_bytes_never_crash),
        cmocka_unit_test(animations_are_refused),
        cmocka_unit_test(a_gif_of_ten_thousand_frames_is_no_still_picture),
        cmocka_unit_test(huge_headers_are_refused_before_a_pixel),
        cmocka_unit_test(what_is_no_picture_we_take_has_its_own_reason),
        cmocka_unit_test(jpegs_of_other_depths_and_kinds_are_unsupported),
        cmocka_unit_test(missing_scans_are_corrupt_on_both_ways),
        cmocka_unit_test(a_jpeg_of_very_many_scans_is_refused),
        cmocka_unit_test(a_png_with_half_of_its_pixels_is_corrupt),
        cmocka_unit_test(the_time_limit_ends_a_decode),
        cmocka_unit_test(the_time_limit_ends_a_long_decode_midway),
        cmocka_unit_test(a_pipeline_can_not_make_more_pixels_than_allowed),
        cmocka_unit_test(every_cut_of_the_marker_walk_is_safe),
    };
    return cmocka_run_group_tests(tests, picture_kit_open, picture_kit_close);
}
