/* SPDX-License-Identifier: Apache-2.0 */
/* Pipelines from the configuration: defaults, versions, messages; and the table of transforms. The path of
 * docs/transforms.md is the first argument. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <glib.h>

#include "codec_kit.h"
#include "pipeline_plan.h"
#include "transform_params.h"

#include <stdlib.h>
#include <string.h>

static struct gri_transforms *transforms;
static const char *page_path;

static int make_table(void **state) {
    (void)state;
    transforms = gri_transforms_create();
    return 0;
}

static int free_table(void **state) {
    (void)state;
    gri_transforms_destroy(transforms);
    return 0;
}

static enum gri_status load(const char *json, struct gri_pipelines *pipelines, struct gri_error *error) {
    struct gri_json *config = NULL;
    if (json) assert_int_equal(gri_json_parse(gri_slice_of(json), &config, error), GRI_OK);
    enum gri_status status = gri_pipelines_load(transforms, &codec_kit_crypto, config, pipelines, error);
    gri_json_free(config);
    return status;
}

static struct gri_pipelines load_ok(const char *json) {
    struct gri_pipelines pipelines;
    struct gri_error error = {0};
    if (load(json, &pipelines, &error) != GRI_OK) fail_msg("%s: %s", json, error.detail);
    return pipelines;
}

static void expect_refusal(const char *json, const char *part) {
    struct gri_pipelines pipelines;
    struct gri_error error = {0};
    assert_int_not_equal(load(json, &pipelines, &error), GRI_OK);
    assert_int_equal(error.reason, GRI_R_config);
    assert_null(pipelines.items);
    if (!strstr(error.detail, part)) fail_msg("%s: \"%s\" lacks \"%s\"", json, error.detail, part);
}

static void gray_is_there_without_configuration(void **state) {
    (void)state;
    struct gri_pipelines pipelines = load_ok(NULL);
    assert_int_equal(pipelines.count, 1);
    const struct gri_pipeline *gray = gri_pipelines_find(&pipelines, "");
    assert_non_null(gray);
    assert_ptr_equal(gray, gri_pipelines_find(&pipelines, "gray"));
    assert_null(gri_pipelines_find(&pipelines, "thumb"));
    assert_string_equal(
        gray->definition,
        "{\"name\":\"gray\",\"output\":{\"format\":\"jpeg\",\"lossless\":\"auto\",\"progressive\":false,\"quality\":75},"
        "\"steps\":[{\"grayscale\":{\"method\":\"luma\",\"verify\":\"full\"}}]}");
    /* sha256 of the body without the name; a change of it would orphan what is stored */
    assert_string_equal(gray->version, "gray@3246944e02d0");
    gri_pipelines_clear(&pipelines);
}

static void spelled_out_defaults_make_the_same_version(void **state) {
    (void)state;
    const char *same[] = {
        "{\"gray\":{\"steps\":[\"grayscale\"]}}",
        "{\"gray\":{\"steps\":[{\"grayscale\":null}],\"output\":{}}}",
        "{\"gray\":{\"output\":{\"quality\":75,\"format\":\"jpeg\",\"lossless\":\"auto\"},\"steps\":[{\"grayscale\":{\"method\":"
        "\"luma\"}}]}}",
    };
    struct gri_pipelines shipped = load_ok(NULL);
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        struct gri_pipelines pipelines = load_ok(same[i]);
        assert_int_equal(pipelines.count, 1);
        assert_string_equal(pipelines.items[0].version, shipped.items[0].version);
        gri_pipelines_clear(&pipelines);
    }
    struct gri_pipelines other = load_ok("{\"gray\":{\"steps\":[\"grayscale\"],\"output\":{\"quality\":76}}}");
    assert_string_not_equal(other.items[0].version, shipped.items[0].version);
    gri_pipelines_clear(&other);
    gri_pipelines_clear(&shipped);
}

static void other_pipelines_stand_beside_gray(void **state) {
    (void)state;
    struct gri_pipelines pipelines =
        load_ok("{\"thumb\":{\"steps\":[{\"resize\":{\"width\":64}},\"grayscale\"],\"output\":{\"format\":\"png\"}}}");
    assert_int_equal(pipelines.count, 2);
    assert_string_equal(pipelines.items[0].name, "gray");
    const struct gri_pipeline *thumb = gri_pipelines_find(&pipelines, "thumb");
    assert_non_null(strstr(thumb->definition, "\"fit\":\"inside\""));
    assert_non_null(strstr(thumb->definition, "\"enlarge\":false"));
    assert_memory_equal(thumb->version, "thumb@", 6);
    assert_int_equal(strlen(thumb->version), 6 + GRI_VERSION_HEX);
    gri_pipelines_clear(&pipelines);
}

static void a_definition_compiles_to_itself(void **state) {
    (void)state;
    struct gri_pipelines pipelines =
        load_ok("{\"a\":{\"steps\":[{\"resize\":{\"width\":64,\"height\":3}}],\"output\":{\"format\":\"png\"}}}");
    struct gri_json *definition = NULL;
    struct gri_error error;
    struct gri_plan *plan = NULL;
    struct gri_bytes text;
    const struct gri_pipeline *a = gri_pipelines_find(&pipelines, "a");
    assert_int_equal(gri_json_parse(gri_slice_of(a->definition), &definition, &error), GRI_OK);
    assert_int_equal(gri_plan_create(transforms, "a", definition, &plan, &error), GRI_OK);
    struct gri_json *body = gri_plan_body(plan);
    gri_json_set_str(body, "name", "a");
    gri_bytes_init(&text, 0);
    assert_int_equal(gri_json_write(body, true, &text, &error), GRI_OK);
    assert_string_equal(gri_bytes_text(&text), a->definition);
    gri_bytes_clear(&text);
    gri_json_free(body);
    gri_plan_destroy(plan);
    gri_json_free(definition);
    gri_pipelines_clear(&pipelines);
}

static void mistakes_are_told_with_step_and_parameter(void **state) {
    (void)state;
    expect_refusal("[]", "pipelines is a map");
    expect_refusal("{\"Gray\":{\"steps\":[\"grayscale\"]}}", "Gray");
    expect_refusal("{\"g\":[]}", "pipeline g is a map");
    expect_refusal("{\"g\":{}}", "steps must be a list");
    expect_refusal("{\"g\":{\"steps\":[]}}", "steps must be a list");
    expect_refusal("{\"g\":{\"steps\":[\"grayscale\"],\"outcome\":{}}}", "no key outcome; it has: steps, output or outputs");
    expect_refusal("{\"g\":{\"steps\":[\"grayscale\",\"posterise\"]}}", "pipeline g, step 2: there is no transform posterise");
    expect_refusal("{\"g\":{\"steps\":[{\"grayscale\":{},\"resize\":{}}]}}", "pipeline g, step 1: a step is one transform");
    expect_refusal("{\"g\":{\"steps\":[7]}}", "a step is one transform");
    expect_refusal("{\"g\":{\"steps\":[{\"grayscale\":[]}]}}", "step 1 (grayscale): parameters are written as a map");
    expect_refusal("{\"g\":{\"steps\":[{\"grayscale\":{\"mode\":1}}]}}",
                   "step 1 (grayscale): there is no parameter mode; it has: method, verify");
    expect_refusal("{\"g\":{\"steps\":[{\"grayscale\":{\"method\":\"lightness\"}}]}}", "method must be one of: luma, luminance");
    expect_refusal("{\"g\":{\"steps\":[{\"resize\":{}}]}}", "step 1 (resize): width or height must be given");
    expect_refusal("{\"g\":{\"steps\":[{\"resize\":{\"width\":-1}}]}}", "width is -1; it must be from 0 to 16384");
    expect_refusal("{\"g\":{\"steps\":[{\"resize\":{\"width\":1.5}}]}}", "width must be a whole number");
    expect_refusal("{\"g\":{\"steps\":[{\"resize\":{\"width\":\"9\"}}]}}", "width must be a whole number");
    expect_refusal("{\"g\":{\"steps\":[{\"resize\":{\"width\":9,\"enlarge\":1}}]}}", "enlarge must be true or false");
    expect_refusal("{\"g\":{\"steps\":[\"grayscale\"],\"output\":{\"format\":\"bmp\"}}}", "no format bmp");
    expect_refusal("{\"g\":{\"steps\":[\"grayscale\"],\"output\":{\"format\":\"png\",\"quality\":3}}}",
                   "output (png): there is no parameter quality");
    expect_refusal("{\"g\":{\"steps\":[\"grayscale\"],\"output\":{\"quality\":101}}}", "quality is 101");
    expect_refusal("{\"g\":{\"steps\":[\"grayscale\"],\"output\":\"jpeg\"}}", "output is a map");
}

static void only_luma_to_jpeg_is_done_in_the_compressed_domain(void **state) {
    (void)state;
    static const struct {
        const char *body;
        bool luma, unread;
    } cases[] = {
        {"{\"steps\":[\"grayscale\"]}", true, false},
        {"{\"steps\":[\"grayscale\"],\"output\":{\"lossless\":\"never\"}}", false, false},
        {"{\"steps\":[\"grayscale\"],\"output\":{\"format\":\"png\"}}", false, false},
        {"{\"steps\":[{\"grayscale\":{\"verify\":\"structure\"}}]}", true, true},
        {"{\"steps\":[{\"grayscale\":{\"method\":\"luminance\"}}]}", false, false},
        {"{\"steps\":[\"grayscale\",{\"resize\":{\"width\":8}}]}", false, false},
        {"{\"steps\":[{\"resize\":{\"width\":8}}]}", false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gri_json *body = NULL;
        struct gri_plan *plan = NULL;
        struct gri_error error;
        assert_int_equal(gri_json_parse(gri_slice_of(cases[i].body), &body, &error), GRI_OK);
        assert_int_equal(gri_plan_create(transforms, "t", body, &plan, &error), GRI_OK);
        assert_int_equal(plan->jpeg_luma, cases[i].luma);
        assert_int_equal(plan->luma_unread, cases[i].unread);
        gri_plan_destroy(plan);
        gri_json_free(body);
    }
}

/* A worker meets definitions that another version stored: the job ends, the worker doesn't. */
static void the_codec_refuses_a_definition_it_can_not_run_for_good(void **state) {
    (void)state;
    struct gri_picture_codec_options options = {.transforms = transforms, .max_pixels = 1000, .timeout_ms = 1000};
    struct gri_codec *codec = gri_picture_codec_create(&options);
    const char *bad[] = {"", "{", "[]", "{\"name\":\"x\",\"steps\":[\"posterise\"]}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct gri_plan *plan = NULL;
        struct gri_error error = {0};
        assert_int_equal(codec->ops->compile(codec, gri_slice_of(bad[i]), &plan, &error), GRI_PERMANENT);
        assert_int_equal(error.status, GRI_PERMANENT);
        assert_null(plan);
    }
    gri_picture_codec_destroy(codec);
}

static void the_table_describes_itself(void **state) {
    (void)state;
    struct gri_json *rows = gri_transforms_describe(transforms);
    assert_int_equal(gri_json_count(rows), gri_transforms_count(transforms));
    const struct gri_json *gray = gri_json_at(rows, 0);
    assert_string_equal(gri_json_str(gray, "name", ""), "grayscale");
    assert_string_equal(gri_json_str(gray, "origin", ""), "built-in");
    assert_true(gri_json_get_bool(gray, "compressed", false));
    const struct gri_json *method = gri_json_at(gri_json_get(gray, "parameters"), 0);
    assert_string_equal(gri_json_str(method, "type", ""), "enum");
    assert_string_equal(gri_json_str(method, "default", ""), "luma");
    assert_int_equal(gri_json_count(gri_json_get(method, "choices")), 2);
    gri_json_free(rows);
}

/* Appends the beginning of a parameter's row in the documentation. */
static void put_row(const char *owner, const struct gri_json *parameter, struct gri_bytes *row) {
    const struct gri_json *standard = gri_json_get(parameter, "default");
    gri_bytes_reset(row);
    gri_bytes_printf(row, "| `%s` | `%s` | %s | ", owner, gri_json_str(parameter, "name", ""),
                     gri_json_str(parameter, "type", ""));
    if (gri_json_kind(standard) == GRI_JSON_STRING)
        gri_bytes_printf(row, "%s | ", gri_json_text(standard, ""));
    else if (gri_json_kind(standard) == GRI_JSON_BOOL)
        gri_bytes_printf(row, "%s | ", gri_json_get_bool(parameter, "default", false) ? "true" : "false");
    else
        gri_bytes_printf(row, "%g | ", gri_json_double(standard, 0));
    if (gri_json_get(parameter, "minimum"))
        gri_bytes_printf(row, "%g to %g |", gri_json_double(gri_json_get(parameter, "minimum"), 0),
                         gri_json_double(gri_json_get(parameter, "maximum"), 0));
    const struct gri_json *choices = gri_json_get(parameter, "choices");
    for (size_t i = 0; i < gri_json_count(choices); i++)
        gri_bytes_printf(row, "%s%s", i ? ", " : "", gri_json_text(gri_json_at(choices, i), ""));
}

static void check_rows(const char *page, const char *owner, const struct gri_json *parameters) {
    struct gri_bytes row;
    gri_bytes_init(&row, 0);
    for (size_t i = 0; i < gri_json_count(parameters); i++) {
        put_row(owner, gri_json_at(parameters, i), &row);
        if (!strstr(page, gri_bytes_text(&row))) fail_msg("docs/transforms.md lacks \"%s\"", gri_bytes_text(&row));
    }
    gri_bytes_clear(&row);
}

static void the_page_has_every_row_of_the_output_formats(void **state) {
    (void)state;
    char *page = NULL;
    assert_true(g_file_get_contents(page_path, &page, NULL, NULL));
    for (size_t i = 0; i < gri_output_count(); i++) {
        struct gri_json *parameters = gri_params_describe(gri_output_at(i)->table);
        check_rows(page, gri_output_at(i)->name, parameters);
        gri_json_free(parameters);
    }
    g_free(page);
}

static bool no_apply(const void *params, struct _VipsImage *in, struct _VipsImage **out, struct gri_transform_error *error) {
    (void)params;
    (void)in;
    (void)out;
    (void)error;
    return false;
}

static struct gri_transform sample(const struct gri_transform_param *params, size_t count, size_t size) {
    return (struct gri_transform){.abi_version = GRI_TRANSFORM_ABI,
                                  .struct_size = sizeof(struct gri_transform),
                                  .param_struct_size = sizeof(struct gri_transform_param),
                                  .name = "sample",
                                  .summary = "s",
                                  .params = params,
                                  .param_count = count,
                                  .params_size = size,
                                  .apply = no_apply};
}

static void unsound_tables_are_refused(void **state) {
    (void)state;
    static const char *const none[] = {NULL};
    static const char *const two[] = {"a", "b", NULL};
    const struct {
        struct gri_transform_param rows[2];
        size_t count, size;
        const char *part;
    } cases[] = {
        {{{.name = "Bad", .help = "", .type = GRI_PARAM_INT}}, 1, 8, "no sound name"},
        {{{.name = "a", .type = GRI_PARAM_INT}}, 1, 8, "no help"},
        {{{.name = "a", .help = "", .type = 9}}, 1, 8, "unknown type"},
        {{{.name = "a", .help = "", .type = GRI_PARAM_DOUBLE, .offset = 8}}, 1, 12, "outside"},
        {{{.name = "a", .help = "", .type = GRI_PARAM_INT, .offset = 2}}, 1, 12, "outside"},
        {{{.name = "a", .help = "", .type = GRI_PARAM_INT, .offset = SIZE_MAX - 3}}, 1, 12, "outside"},
        {{{.name = "a", .help = "", .type = GRI_PARAM_INT, .standard = 5, .maximum = 4}}, 1, 8, "default is outside"},
        {{{.name = "a", .help = "", .type = GRI_PARAM_INT, .standard = 0.5, .maximum = 4}}, 1, 8, "not a whole number"},
        {{{.name = "a", .help = "", .type = GRI_PARAM_INT, .maximum = 1e12}}, 1, 8, "range"},
        {{{.name = "a", .help = "", .type = GRI_PARAM_BOOL, .standard = 2}}, 1, 8, "0 or 1"},
        {{{.name = "a", .help = "", .type = GRI_PARAM_ENUM, .choices = none}}, 1, 8, "choices"},
        {{{.name = "a", .help = "", .type = GRI_PARAM_ENUM, .choices = two, .standard = 2}}, 1, 8, "default is outside"},
        {{{.name = "a", .help = "", .type = GRI_PARAM_INT}, {.name = "a", .help = "", .type = GRI_PARAM_INT}},
         2,
         8,
         "two parameters"},
        {{{0}}, 33, 8, "at most"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gri_transform transform = sample(cases[i].rows, cases[i].count, cases[i].size);
        struct gri_error error = {0};
        assert_int_not_equal(gri_transforms_add(transforms, &transform, "here", &error), GRI_OK);
        assert_int_equal(error.reason, GRI_R_config);
        if (!strstr(error.detail, cases[i].part)) fail_msg("case %zu: %s", i, error.detail);
    }
    assert_null(gri_transforms_find(transforms, "sample"));
}

struct real_params {
    double gamma;
    int count;
    bool on;
};

static void expect_canonical(struct gri_param_table table, const char *written, const char *expected) {
    struct gri_json *values = NULL;
    struct gri_error error;
    struct real_params params;
    struct gri_bytes text;
    assert_int_equal(gri_json_parse(gri_slice_of(written), &values, &error), GRI_OK);
    assert_int_equal(gri_params_parse(table, "t", values, &params, &error), GRI_OK);
    struct gri_json *back = gri_params_to_json(table, &params);
    gri_bytes_init(&text, 0);
    assert_int_equal(gri_json_write(back, true, &text, &error), GRI_OK);
    assert_string_equal(gri_bytes_text(&text), expected);
    gri_bytes_clear(&text);
    gri_json_free(back);
    gri_json_free(values);
}

static void doubles_have_one_canonical_form(void **state) {
    (void)state;
    static const struct gri_transform_param rows[] = {
        {.name = "gamma",
         .help = "",
         .type = GRI_PARAM_DOUBLE,
         .offset = offsetof(struct real_params, gamma),
         .standard = 1,
         .maximum = 9},
        {.name = "on", .help = "", .type = GRI_PARAM_BOOL, .offset = offsetof(struct real_params, on), .standard = 1}};
    struct gri_param_table table = {rows, 2, sizeof(struct real_params)};
    const char *inputs[] = {"{\"gamma\":2}", "{\"gamma\":2.0}", "{\"gamma\":2.5,\"on\":false}"};
    const char *expected[] = {"{\"gamma\":2,\"on\":true}", "{\"gamma\":2,\"on\":true}", "{\"gamma\":2.5,\"on\":false}"};
    for (size_t i = 0; i < 3; i++)
        expect_canonical(table, inputs[i], expected[i]);
}

/* A parameter that joined a table later changes no definition that does not use it. */
static void an_added_parameter_is_written_where_it_is_not_at_its_default(void **state) {
    (void)state;
    static const struct gri_transform_param rows[] = {
        {.name = "gamma", .help = "", .type = GRI_PARAM_DOUBLE, .offset = offsetof(struct real_params, gamma), .maximum = 9},
        {.name = "count",
         .help = "",
         .type = GRI_PARAM_INT,
         .added = true,
         .offset = offsetof(struct real_params, count),
         .standard = 3,
         .maximum = 9},
        {.name = "on", .help = "", .type = GRI_PARAM_BOOL, .added = true, .offset = offsetof(struct real_params, on)}};
    const char *before = "{\"gamma\":1}";
    const char *inputs[] = {before, "{\"count\":3,\"gamma\":1,\"on\":false}", "{\"count\":0,\"gamma\":1}",
                            "{\"gamma\":1,\"on\":true}"};
    const char *expected[] = {before, before, inputs[2], inputs[3]};
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++)
        expect_canonical((struct gri_param_table){rows, 3, sizeof(struct real_params)}, inputs[i], expected[i]);
    expect_canonical((struct gri_param_table){rows, 1, sizeof(struct real_params)}, before, before);
}

struct text_params {
    char color[8], label[4];
};

static void texts_are_bounded_and_canonical(void **state) {
    (void)state;
    static const char *const red[] = {"#ff0000", NULL};
    static const struct gri_transform_param rows[] = {{.name = "color",
                                                       .help = "",
                                                       .type = GRI_PARAM_TEXT,
                                                       .offset = offsetof(struct text_params, color),
                                                       .maximum = 8,
                                                       .choices = red},
                                                      {.name = "label",
                                                       .help = "",
                                                       .type = GRI_PARAM_TEXT,
                                                       .added = true,
                                                       .offset = offsetof(struct text_params, label),
                                                       .maximum = 4}};
    struct gri_param_table table = {rows, 2, sizeof(struct text_params)};
    static const struct {
        const char *written, *part;
    } bad[] = {{"{\"label\":\"four\"}", "has 4 bytes; at most 3"},
               {"{\"label\":7}", "must be a text"},
               {"{\"label\":\"a\\nb\"}", "control character"}};
    struct text_params params;
    struct gri_error error;
    struct gri_json *values = NULL;
    assert_int_equal(gri_params_check_table(table, "t", &error), GRI_OK);
    assert_int_equal(gri_params_parse(table, "t", NULL, &params, &error), GRI_OK);
    assert_string_equal(params.color, "#ff0000");
    assert_string_equal(params.label, "");
    assert_int_equal(gri_json_parse(gri_slice_of("{\"label\":\"abc\"}"), &values, &error), GRI_OK);
    assert_int_equal(gri_params_parse(table, "t", values, &params, &error), GRI_OK);
    gri_json_free(values);
    struct gri_json *back = gri_params_to_json(table, &params);
    assert_string_equal(gri_json_str(back, "label", ""), "abc");
    assert_string_equal(gri_json_str(back, "color", ""), "#ff0000");
    gri_json_free(back);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(gri_json_parse(gri_slice_of(bad[i].written), &values, &error), GRI_OK);
        assert_int_not_equal(gri_params_parse(table, "t", values, &params, &error), GRI_OK);
        assert_non_null(strstr(error.detail, bad[i].part));
        gri_json_free(values);
    }
    table.size = 4; /* the second lies outside */
    assert_int_not_equal(gri_params_check_table(table, "t", &error), GRI_OK);
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    page_path = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gray_is_there_without_configuration),
        cmocka_unit_test(spelled_out_defaults_make_the_same_version),
        cmocka_unit_test(other_pipelines_stand_beside_gray),
        cmocka_unit_test(a_definition_compiles_to_itself),
        cmocka_unit_test(mistakes_are_told_with_step_and_parameter),
        cmocka_unit_test(only_luma_to_jpeg_is_done_in_the_compressed_domain),
        cmocka_unit_test(the_codec_refuses_a_definition_it_can_not_run_for_good),
        cmocka_unit_test(the_table_describes_itself),
        cmocka_unit_test(the_page_has_every_row_of_the_output_formats),
        cmocka_unit_test(unsound_tables_are_refused),
        cmocka_unit_test(doubles_have_one_canonical_form),
        cmocka_unit_test(texts_are_bounded_and_canonical),
        cmocka_unit_test(an_added_parameter_is_written_where_it_is_not_at_its_default),
    };
    return cmocka_run_group_tests(tests, make_table, free_table);
}
