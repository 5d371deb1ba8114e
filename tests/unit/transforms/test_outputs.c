/* SPDX-License-Identifier: Apache-2.0 */
/* Pipelines with several named outputs: their configuration, and what one run makes of a source. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "picture_kit.h"
#include "pipeline_definition.h"
#include "plan_explain.h"

#include <stdlib.h>
#include <string.h>

#define O_GRAY "\"gray\":{\"steps\":[\"grayscale\"]}"
#define O_PLAIN "\"plain\":{\"steps\":[{\"grayscale\":{\"method\":\"luminance\"}}],\"output\":{\"format\":\"png\"}}"
#define O_THUMB "\"thumb\":{\"steps\":[{\"thumbnail\":{\"width\":32}},\"grayscale\"],\"output\":{\"format\":\"png\"}}"

/* --- configuration ----------------------------------------------------------------------------------------------------- */

static enum gri_status load(const char *pipeline, struct gri_pipelines *pipelines, struct gri_error *error) {
    char text[4096];
    struct gri_json *config = NULL;
    assert_true(gri_format(text, sizeof text, "{\"shop\":%s}", pipeline));
    assert_int_equal(gri_json_parse(gri_slice_of(text), &config, error), GRI_OK);
    enum gri_status status = gri_pipelines_load(picture_kit.transforms, &codec_kit_crypto, config, pipelines, error);
    gri_json_free(config);
    return status;
}

static void expect_refusal(const char *pipeline, const char *part) {
    struct gri_pipelines pipelines;
    struct gri_error error = {0};
    assert_int_not_equal(load(pipeline, &pipelines, &error), GRI_OK);
    assert_int_equal(error.reason, GRI_R_config);
    if (!strstr(error.detail, part)) fail_msg("%s: \"%s\" lacks \"%s\"", pipeline, error.detail, part);
}

static void a_version(const char *pipeline, char version[GRI_PIPELINE_MAX]) {
    struct gri_pipelines pipelines;
    struct gri_error error = {0};
    if (load(pipeline, &pipelines, &error) != GRI_OK) fail_msg("%s: %s", pipeline, error.detail);
    (void)gri_copy(version, GRI_PIPELINE_MAX, gri_pipelines_find(&pipelines, "shop")->version);
    gri_pipelines_clear(&pipelines);
}

static void the_order_of_outputs_makes_no_version(void **state) {
    (void)state;
    char one[GRI_PIPELINE_MAX], other[GRI_PIPELINE_MAX];
    a_version("{\"outputs\":{" O_GRAY "," O_THUMB "}}", one);
    a_version("{\"steps\":[],\"outputs\":{" O_THUMB "," O_GRAY "}}", other);
    assert_string_equal(one, other);
    a_version("{\"outputs\":{" O_GRAY "," O_PLAIN "}}", other);
    assert_string_not_equal(one, other);
}

static void a_definition_compiles_to_itself(void **state) {
    (void)state;
    struct gri_pipelines pipelines;
    struct gri_error error;
    struct gri_plan *plan = NULL;
    const char *names[GRI_OUTPUTS_MAX];
    assert_int_equal(
        load("{\"steps\":[{\"require\":{\"min_width\":2}}],\"outputs\":{" O_THUMB "," O_GRAY "}}", &pipelines, &error), GRI_OK);
    struct gri_slice definition = gri_slice_of(gri_pipelines_find(&pipelines, "shop")->definition);
    assert_int_equal(picture_kit.codec->ops->compile(picture_kit.codec, definition, &plan, &error), GRI_OK);
    assert_int_equal(picture_kit.codec->ops->outputs(picture_kit.codec, plan, names), 2);
    assert_string_equal(names[0], "gray");
    assert_string_equal(names[1], "thumb");
    struct gri_json *body = gri_plan_body(plan);
    struct gri_bytes text;
    gri_json_set_str(body, "name", "shop");
    gri_bytes_init(&text, 0);
    assert_int_equal(gri_json_write(body, true, &text, &error), GRI_OK);
    assert_memory_equal(gri_bytes_text(&text), definition.data, definition.len);
    gri_bytes_clear(&text);
    gri_json_free(body);
    picture_kit.codec->ops->plan_free(picture_kit.codec, plan);
    gri_pipelines_clear(&pipelines);
}

static void mistakes_are_told_with_output_and_step(void **state) {
    (void)state;
    expect_refusal("{\"outputs\":{}}", "pipeline shop: outputs is a map of 1 to 8");
    expect_refusal("{\"outputs\":[\"gray\"]}", "pipeline shop: outputs is a map of 1 to 8");
    expect_refusal("{\"output\":{},\"outputs\":{" O_GRAY "}}", "pipeline shop: it has output and outputs");
    expect_refusal("{\"outputs\":{\"Big\":{\"steps\":[\"grayscale\"]}}}", "pipeline shop, output Big: a name is of the form");
    expect_refusal("{\"outputs\":{\"a/b\":{\"steps\":[\"grayscale\"]}}}", "pipeline shop, output a/b: a name is of the form");
    expect_refusal("{\"outputs\":{\"a\":{}}}", "pipeline shop, output a: steps must be a list of 1 to 16");
    expect_refusal("{\"outputs\":{\"a\":7}}", "pipeline shop, output a is a map");
    expect_refusal("{\"outputs\":{\"a\":{\"step\":[]}}}", "pipeline shop, output a: there is no key step; it has: steps, output");
    expect_refusal("{\"outputs\":{" O_GRAY ",\"a\":{\"steps\":[\"grayscale\",\"posterise\"]}}}",
                   "pipeline shop, output a, step 2: there is no transform posterise");
    expect_refusal("{\"steps\":[\"invert\"],\"outputs\":{\"a\":{\"steps\":[{\"resize\":{}}]}}}",
                   "pipeline shop, output a, step 1 (resize): width or height");
    expect_refusal("{\"outputs\":{\"a\":{\"steps\":[\"invert\"],\"output\":{\"format\":\"bmp\"}}}}",
                   "pipeline shop, output a, output: there is no format bmp");
    expect_refusal("{\"steps\":[\"posterise\"],\"outputs\":{" O_GRAY "}}",
                   "pipeline shop, step 1: there is no transform posterise");
    char nine[2048] = "{\"outputs\":{", deep[2048] = "{\"steps\":[\"invert\"";
    for (int i = 0; i < 9; i++)
        assert_true(gri_format(nine + strlen(nine), 100, "%s\"o%d\":{\"steps\":[\"invert\"]}", i ? "," : "", i));
    assert_true(gri_copy(nine + strlen(nine), 3, "}}"));
    expect_refusal(nine, "pipeline shop: outputs is a map of 1 to 8");
    for (int i = 0; i < 15; i++)
        assert_true(gri_copy(deep + strlen(deep), 100, ",\"invert\""));
    assert_true(gri_copy(deep + strlen(deep), 100, "],\"outputs\":{" O_GRAY "}}"));
    expect_refusal(deep, "pipeline shop, output gray: with the 16 steps that all outputs share it has 17, over 16");
}

/* --- runs -------------------------------------------------------------------------------------------------------------- */

static struct gri_picture *next_of(struct gri_picture *picture, const char *name) {
    struct gri_picture *found = gri_picture_find(picture, name);
    if (!found) fail_msg("there is no output %s", name);
    return found;
}

/* The very bytes that the pipeline makes which has this output alone. */
static void expect_as_alone(struct gri_picture *picture, const char *name, const char *alone, struct gri_slice source) {
    const struct gri_picture *one = next_of(picture, name);
    struct gri_picture single = picture_kit_run_ok(alone, source);
    assert_true(gri_slice_equal(gri_bytes_slice(&one->output), gri_bytes_slice(&single.output)));
    assert_int_equal(one->width, single.width);
    assert_int_equal(one->height, single.height);
    assert_int_equal(one->source_width, single.source_width);
    assert_int_equal(one->lossless, single.lossless);
    assert_string_equal(one->content_type, single.content_type);
    assert_string_equal(one->source_type, single.source_type);
    assert_string_equal(one->phash, single.phash);
    assert_string_equal(one->note, single.note);
    gri_picture_clear(&single);
}

static void each_output_is_what_its_chain_alone_makes(void **state) {
    (void)state;
    struct gri_error error;
    struct gri_bytes source = picture_kit_jpeg_of((struct jpeg_recipe){640, 480, 3, 2, 2, .orientation = 1});
    assert_int_equal(gri_bytes_append(&source, "0123456789", 10, &error), GRI_OK);
    struct gri_slice slice = gri_bytes_slice(&source);
    struct gri_picture picture =
        picture_kit_run_ok("{\"name\":\"s\",\"steps\":[],\"outputs\":{" O_THUMB "," O_PLAIN "," O_GRAY "}}", slice);
    assert_string_equal(picture.name, "gray");
    assert_int_equal(picture.decodes, 1);
    assert_true(picture.lossless);
    expect_as_alone(&picture, "gray", "{\"name\":\"a\",\"steps\":[\"grayscale\"],\"output\":{}}", slice);
    expect_as_alone(&picture, "plain",
                    "{\"name\":\"a\",\"steps\":[{\"grayscale\":{\"method\":\"luminance\"}}],\"output\":{\"format\":\"png\"}}",
                    slice);
    assert_int_equal(next_of(&picture, "thumb")->width, 32); /* not shrunk on load here, for another wants all pixels */
    assert_null(next_of(&picture, "thumb")->next);
    gri_picture_clear(&picture);
    gri_bytes_clear(&source);
}

static void pixels_are_decoded_once_or_not_at_all(void **state) {
    (void)state;
    static const struct {
        const char *outputs;
        int orientation, decodes;
    } cases[] = {
        {O_GRAY, 1, 0},
        {O_GRAY ",\"again\":{\"steps\":[\"grayscale\"],\"output\":{\"progressive\":true}}", 1, 0},
        {O_GRAY "," O_THUMB, 1, 1},
        {O_PLAIN "," O_THUMB, 1, 1},
        {O_GRAY "," O_PLAIN "," O_THUMB, 6, 1},
        {O_GRAY ",\"again\":{\"steps\":[\"grayscale\"],\"output\":{\"progressive\":true}}", 6, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char definition[2048];
        struct gri_bytes source =
            picture_kit_jpeg_of((struct jpeg_recipe){320, 200, 3, 2, 2, .orientation = cases[i].orientation});
        assert_true(gri_format(definition, sizeof definition, "{\"name\":\"s\",\"outputs\":{%s}}", cases[i].outputs));
        struct gri_picture picture = picture_kit_run_ok(definition, gri_bytes_slice(&source));
        if (picture.decodes != cases[i].decodes) fail_msg("%s: decoded %d times", definition, picture.decodes);
        for (const struct gri_picture *one = &picture; one; one = one->next)
            if (strcmp(one->name, "thumb") != 0) assert_int_equal(one->width, cases[i].orientation < 5 ? 320 : 200);
        gri_picture_clear(&picture);
        gri_bytes_clear(&source);
    }
}

/* Two that may be shrunk on load are, as far as the larger allows, and come out as they do alone. */
static void shrink_on_load_is_for_all_or_none(void **state) {
    (void)state;
    struct gri_bytes source = picture_kit_jpeg_of((struct jpeg_recipe){2048, 2048, 3, 2, 2, .orientation = 1});
    struct gri_slice slice = gri_bytes_slice(&source);
    const char *both =
        "{\"name\":\"s\",\"outputs\":{\"large\":{\"steps\":[{\"thumbnail\":{\"width\":256}}],\"output\":{\"format\":"
        "\"png\"}},\"small\":{\"steps\":[{\"thumbnail\":{\"width\":60}}]}}}";
    struct gri_picture picture = picture_kit_run_ok(both, slice);
    assert_int_equal(picture.decodes, 1);
    assert_int_equal(next_of(&picture, "small")->width, 60);
    expect_as_alone(&picture, "large",
                    "{\"name\":\"a\",\"steps\":[{\"thumbnail\":{\"width\":256}}],\"output\":{\"format\":\"png\"}}", slice);
    gri_picture_clear(&picture);
    gri_bytes_clear(&source);
}

static void shared_steps_run_once_and_tell_all(void **state) {
    (void)state;
    struct gri_bytes source = picture_kit_jpeg_of((struct jpeg_recipe){200, 100, 3, 2, 2, .orientation = 1});
    struct gri_slice slice = gri_bytes_slice(&source);
    struct gri_picture picture =
        picture_kit_run_ok("{\"name\":\"s\",\"steps\":[\"analyse\",{\"crop\":{\"width\":50,\"height\":40}}],\"outputs\":{" O_PLAIN
                           ",\"small\":{\"steps\":[\"invert\",{\"resize\":{\"width\":20}}]},\"bare\":{}}}",
                           slice);
    assert_int_equal(picture.decodes, 1);
    assert_int_equal(next_of(&picture, "bare")->width, 50);
    assert_int_equal(next_of(&picture, "small")->height, 16);
    assert_string_not_equal(picture.facts, "");
    for (const struct gri_picture *one = picture.next; one; one = one->next)
        assert_string_equal(one->facts, picture.facts);
    expect_as_alone(&picture, "plain",
                    "{\"name\":\"a\",\"steps\":[\"analyse\",{\"crop\":{\"width\":50,\"height\":40}},{\"grayscale\":{\"method\":"
                    "\"luminance\"}}],\"output\":{\"format\":\"png\"}}",
                    slice);
    gri_picture_clear(&picture);
    gri_bytes_clear(&source);
}

static void one_that_fails_fails_all_by_name(void **state) {
    (void)state;
    static const char *const picky[] = {
        "{\"name\":\"s\",\"outputs\":{" O_GRAY ",\"large\":{\"steps\":[{\"require\":{\"min_width\":5000}},\"invert\"]}}}",
        "{\"name\":\"s\",\"outputs\":{" O_PLAIN ",\"large\":{\"steps\":[{\"require\":{\"min_width\":5000}},\"grayscale\"]}}}"};
    struct gri_bytes source = picture_kit_jpeg_of((struct jpeg_recipe){200, 100, 3, 2, 2, .orientation = 1});
    for (size_t i = 0; i < 2; i++) {
        struct gri_picture picture;
        struct gri_error error = {0};
        assert_int_equal(picture_kit_run_with(picture_kit.codec, picky[i], gri_bytes_slice(&source), &picture, &error),
                         GRI_PERMANENT);
        assert_int_equal(error.reason, GRI_R_too_small);
        if (!strstr(error.detail, "output large: ")) fail_msg("%s", error.detail);
    }
    gri_bytes_clear(&source);
    picture_kit_expect_reason("{\"name\":\"s\",\"outputs\":{" O_GRAY "}}", gri_slice_of("no picture"), GRI_R_not_image);
}

static void the_explanation_tells_each_output(void **state) {
    (void)state;
    struct gri_json *body = NULL;
    struct gri_plan *plan = NULL;
    struct gri_bytes text;
    struct gri_error error;
    const char *json = "{\"outputs\":{" O_GRAY "," O_THUMB "," O_PLAIN "}}";
    assert_int_equal(gri_json_parse(gri_slice_of(json), &body, &error), GRI_OK);
    assert_int_equal(gri_plan_create(picture_kit.transforms, "shop", body, &plan, &error), GRI_OK);
    struct gri_json *stages = gri_plan_explain(plan, GRI_PICTURE_JPEG, 0, 0);
    gri_bytes_init(&text, 65536);
    assert_int_equal(gri_json_write(stages, true, &text, &error), GRI_OK);
    static const char *const parts[] = {"\"what\":\"once, for plain and thumb; at full size",
                                        "\"output\":\"gray\",\"stage\":\"copy\"", "\"output\":\"thumb\",\"stage\":\"thumbnail\"",
                                        "\"output\":\"plain\",\"stage\":\"encode\""};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(gri_bytes_text(&text), parts[i])) fail_msg("%s lacks %s", gri_bytes_text(&text), parts[i]);
    gri_bytes_clear(&text);
    gri_json_free(stages);
    gri_plan_destroy(plan);
    gri_json_free(body);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order_of_outputs_makes_no_version),  cmocka_unit_test(a_definition_compiles_to_itself),
        cmocka_unit_test(mistakes_are_told_with_output_and_step), cmocka_unit_test(each_output_is_what_its_chain_alone_makes),
        cmocka_unit_test(pixels_are_decoded_once_or_not_at_all),  cmocka_unit_test(shrink_on_load_is_for_all_or_none),
        cmocka_unit_test(shared_steps_run_once_and_tell_all),     cmocka_unit_test(one_that_fails_fails_all_by_name),
        cmocka_unit_test(the_explanation_tells_each_output),
    };
    return cmocka_run_group_tests(tests, picture_kit_open, picture_kit_close);
}
