/* SPDX-License-Identifier: Apache-2.0 */
/* What the planner makes of a chain is what the chain is, step by step: random chains, planned and naive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec_kit.h"
#include "picture_sample.h"
#include "plan_explain.h"
#include "vips_runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vips/vips.h>

enum { CHAINS = 60, STEPS_MAX = 5, WIDTH = 640, HEIGHT = 480 };

/* `calm`: small differences of the input stay small. `shrinks`: decoding may make fewer pixels for it. */
static const struct choice {
    const char *step;
    bool calm, shrinks;
} choices[] = {
    {"\"grayscale\"", true, false},
    {"{\"grayscale\":{\"method\":\"luminance\"}}", true, false},
    {"{\"resize\":{\"width\":100,\"height\":100}}", true, false},
    {"{\"resize\":{\"width\":60,\"height\":90,\"fit\":\"cover\",\"shrink_on_load\":true}}", true, true},
    {"{\"resize\":{\"scale\":0.1,\"shrink_on_load\":true}}", true, true},
    {"{\"resize\":{\"width\":150,\"shrink_on_load\":true,\"kernel\":\"cubic\"}}", true, true},
    {"{\"thumbnail\":{\"width\":48}}", true, true},
    {"{\"thumbnail\":{\"width\":64,\"height\":40,\"crop\":\"centre\"}}", true, true},
    {"{\"crop\":{\"width\":300,\"height\":200}}", true, false},
    {"{\"crop\":{\"width\":30,\"height\":30,\"at\":\"attention\"}}", false, false},
    {"{\"pad\":{\"width\":700,\"height\":500,\"color\":\"#102030\"}}", true, false},
    {"\"rotate\"", true, false},
    {"{\"rotate\":{\"angle\":10}}", true, false},
    {"\"flip\"", true, false},
    {"{\"blur\":{\"sigma\":1.5}}", true, false},
    {"\"sharpen\"", false, false},
    {"{\"adjust\":{\"gamma\":0.8}}", true, false},
    {"\"threshold\"", false, false},
    {"\"equalise\"", false, false},
    {"\"invert\"", true, false},
    {"\"sepia\"", true, false},
    {"\"tint\"", true, false},
    {"{\"watermark\":{\"text\":\"gray\"}}", true, false},
    {"{\"require\":{\"min_width\":1}}", true, false},
    {"\"analyse\"", true, false},
};

static struct codec_kit kit;
static struct gri_codec *naive;
static struct gri_bytes sample;

static int open_all(void **state) {
    (void)state;
    struct gri_error error;
    codec_kit_open(&kit, 50000000, 60000);
    struct gri_picture_codec_options options = {
        .transforms = kit.transforms, .max_pixels = 50000000, .timeout_ms = 60000, .naive = true};
    naive = gri_picture_codec_create(&options);
    gri_bytes_init(&sample, 1 << 24);
    return gri_picture_sample(WIDTH, HEIGHT, &sample, &error) == GRI_OK ? 0 : 1;
}

static int close_all(void **state) {
    (void)state;
    gri_bytes_clear(&sample);
    gri_picture_codec_destroy(naive);
    codec_kit_close(&kit);
    return 0;
}

static VipsImage *run(struct gri_codec *codec, const char *definition, bool *lossless) {
    struct gri_plan *plan = NULL;
    struct gri_picture picture;
    struct gri_error error = {0};
    VipsImage *image = NULL, *pixels;
    if (codec->ops->compile(codec, gri_slice_of(definition), &plan, &error) != GRI_OK ||
        codec->ops->run(codec, plan, gri_bytes_slice(&sample), &picture, &error) != GRI_OK)
        fail_msg("%s: %s", definition, error.detail);
    bool png = strcmp(picture.content_type, "image/png") == 0;
    assert_int_equal(png ? vips_pngload_buffer(picture.output.data, picture.output.len, &image, NULL)
                         : vips_jpegload_buffer(picture.output.data, picture.output.len, &image, NULL),
                     0);
    pixels = vips_image_copy_memory(image);
    g_object_unref(image);
    *lossless = picture.lossless;
    gri_picture_clear(&picture);
    codec->ops->plan_free(codec, plan);
    return pixels;
}

/* Mean difference in levels; sizes and bands must be the same. */
static double compare(const char *definition, bool *lossless) {
    bool ignored;
    VipsImage *planned = run(kit.codec, definition, lossless), *plain = run(naive, definition, &ignored);
    if (planned->Xsize != plain->Xsize || planned->Ysize != plain->Ysize || planned->Bands != plain->Bands)
        fail_msg("%s: planned %d × %d × %d, naive %d × %d × %d", definition, planned->Xsize, planned->Ysize, planned->Bands,
                 plain->Xsize, plain->Ysize, plain->Bands);
    size_t count = VIPS_IMAGE_SIZEOF_IMAGE(plain);
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += abs(VIPS_IMAGE_ADDR(planned, 0, 0)[i] - VIPS_IMAGE_ADDR(plain, 0, 0)[i]);
    g_object_unref(planned);
    g_object_unref(plain);
    return sum / (double)count;
}

static unsigned next_random(uint64_t *seed) {
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(*seed >> 40);
}

static void planned_chains_are_naive_chains(void **state) {
    (void)state;
    int shrunk = 0;
    for (uint64_t chain = 0; chain < CHAINS; chain++) {
        uint64_t seed = chain * 7919 + 1;
        char definition[2048] = "{\"name\":\"p\",\"output\":{\"format\":\"png\",\"compression\":0},\"steps\":[";
        bool calm = true, shrinks = false, lossless;
        unsigned count = 1 + next_random(&seed) % STEPS_MAX;
        for (unsigned i = 0; i < count; i++) {
            const struct choice *choice = &choices[next_random(&seed) % (sizeof choices / sizeof choices[0])];
            size_t len = strlen(definition);
            assert_true(gri_format(definition + len, sizeof definition - len, "%s%s", i ? "," : "", choice->step));
            calm = calm && choice->calm;
            shrinks = shrinks || choice->shrinks;
        }
        assert_true(gri_copy(definition + strlen(definition), 3, "]}"));
        double apart = compare(definition, &lossless);
        if (!shrinks && apart > 0) fail_msg("%s: %.3f levels apart, and nothing may be", definition, apart);
        if (shrinks && calm && apart > 3) fail_msg("%s: %.2f levels apart", definition, apart);
        shrunk += shrinks && apart > 0;
    }
    assert_true(shrunk > 5); /* shrink-on-load took place */
}

static void luma_alone_is_copied_and_is_what_decoding_gives(void **state) {
    (void)state;
    bool lossless;
    const char *definition =
        "{\"name\":\"p\",\"steps\":[{\"require\":{\"min_width\":2}},\"grayscale\"],\"output\":{\"quality\":100}}";
    double apart = compare(definition, &lossless);
    assert_true(lossless);
    if (apart > 1) fail_msg("%.2f levels apart", apart);
}

static void the_explanation_tells_what_is_done(void **state) {
    (void)state;
    static const struct {
        const char *body;
        int width;
        const char *first, *part;
    } cases[] = {
        {"{\"steps\":[\"grayscale\"]}", 0, "copy", "not decoded"},
        {"{\"steps\":[\"invert\",{\"thumbnail\":{\"width\":64}}]}", 0, "check", "where thumbnail allows it"},
        {"{\"steps\":[\"invert\",{\"thumbnail\":{\"width\":64}}]}", 1024, "check", "at 1/8 of its size"},
        {"{\"steps\":[\"blur\",{\"thumbnail\":{\"width\":64}}]}", 1024, "check", "at full size"},
        {"{\"steps\":[{\"resize\":{\"width\":64}}]}", 1024, "check", "at 1/1 of its size"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gri_json *body = NULL;
        struct gri_plan *plan = NULL;
        struct gri_bytes text;
        struct gri_error error;
        assert_int_equal(gri_json_parse(gri_slice_of(cases[i].body), &body, &error), GRI_OK);
        assert_int_equal(gri_plan_create(kit.transforms, "t", body, &plan, &error), GRI_OK);
        struct gri_json *stages = gri_plan_explain(plan, GRI_PICTURE_JPEG, cases[i].width, cases[i].width);
        assert_string_equal(gri_json_str(gri_json_at(stages, 0), "stage", ""), cases[i].first);
        gri_bytes_init(&text, 65536);
        assert_int_equal(gri_json_write(stages, false, &text, &error), GRI_OK);
        if (!strstr(gri_bytes_text(&text), cases[i].part)) fail_msg("%s lacks \"%s\"", gri_bytes_text(&text), cases[i].part);
        gri_bytes_clear(&text);
        gri_json_free(stages);
        gri_plan_destroy(plan);
        gri_json_free(body);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(planned_chains_are_naive_chains),
        cmocka_unit_test(luma_alone_is_copied_and_is_what_decoding_gives),
        cmocka_unit_test(the_explanation_tells_what_is_done),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
