/* SPDX-License-Identifier: Apache-2.0 */
/* The loader of plugins: what it takes, and what it refuses. The folder of the built plugins is the first argument. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec_kit.h"
#include "picture_maker.h"
#include "transform_plugins.h"
#include "vips_runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vips/vips.h>

static const char *built;

struct folder {
    char path[64];
    struct codec_kit kit;
};

static void open_folder(struct folder *folder) {
    gri_copy(folder->path, sizeof folder->path, "/tmp/gri-plugins-XXXXXX");
    assert_non_null(mkdtemp(folder->path));
    codec_kit_open(&folder->kit, 1000000, 60000);
}

/* Removes the files (flat) and the folder. */
static void close_folder(struct folder *folder) {
    GDir *list = g_dir_open(folder->path, 0, NULL);
    for (const char *name = g_dir_read_name(list); name; name = g_dir_read_name(list)) {
        char *path = g_build_filename(folder->path, name, NULL);
        unlink(path);
        g_free(path);
    }
    g_dir_close(list);
    rmdir(folder->path);
    codec_kit_close(&folder->kit);
}

static void put(const struct folder *folder, const char *plugin, const char *as, mode_t mode) {
    char *from = g_strdup_printf("%s/lib%s.so", built, plugin), *to = g_build_filename(folder->path, as, NULL), *content = NULL;
    gsize len = 0;
    assert_true(g_file_get_contents(from, &content, &len, NULL));
    assert_true(g_file_set_contents(to, content, (gssize)len, NULL));
    assert_int_equal(chmod(to, mode), 0);
    g_free(content);
    g_free(from);
    g_free(to);
}

static void expect_refusal(struct folder *folder, const char *part) {
    struct gri_error error = {0};
    assert_int_not_equal(gri_transforms_load_folder(folder->kit.transforms, folder->path, &error), GRI_OK);
    assert_int_equal(error.reason, GRI_R_config);
    if (!strstr(error.detail, part)) fail_msg("\"%s\" lacks \"%s\"", error.detail, part);
}

/* The folder is taken, what does not fit is left out, and told. */
static void expect_left_out(struct folder *folder, const char *part) {
    struct gri_error error = {0};
    if (gri_transforms_load_folder(folder->kit.transforms, folder->path, &error) != GRI_OK) fail_msg("%s", error.detail);
    const struct gri_json *refused = gri_transforms_refused(folder->kit.transforms);
    assert_int_equal(gri_json_count(refused), 1);
    const char *detail = gri_json_text(gri_json_at(refused, 0), "");
    if (!strstr(detail, part)) fail_msg("\"%s\" lacks \"%s\"", detail, part);
}

static void no_folder_is_no_plugin(void **state) {
    (void)state;
    struct gri_transforms *transforms = gri_transforms_create();
    struct gri_error error;
    size_t count = gri_transforms_count(transforms);
    assert_int_equal(gri_transforms_load_folder(transforms, NULL, &error), GRI_OK);
    assert_int_equal(gri_transforms_load_folder(transforms, "", &error), GRI_OK);
    assert_int_equal(gri_transforms_count(transforms), count);
    assert_int_not_equal(gri_transforms_load_folder(transforms, "plugins", &error), GRI_OK);
    assert_int_not_equal(gri_transforms_load_folder(transforms, "/nowhere/at/all", &error), GRI_OK);
    gri_transforms_destroy(transforms);
}

static void a_plugin_works_as_a_step(void **state) {
    (void)state;
    struct folder folder;
    open_folder(&folder);
    put(&folder, "plugin_good", "negate.so", 0644);
    put(&folder, "plugin_good", "README.txt", 0644); /* other names are left alone */
    struct gri_error error = {0};
    if (gri_transforms_load_folder(folder.kit.transforms, folder.path, &error) != GRI_OK) fail_msg("%s", error.detail);
    size_t last = gri_transforms_count(folder.kit.transforms) - 1;
    assert_string_equal(gri_transforms_at(folder.kit.transforms, last)->name, "negate");
    assert_non_null(strstr(gri_transforms_origin(folder.kit.transforms, last), "/negate.so"));

    struct gri_bytes source;
    gri_bytes_init(&source, 0);
    make_jpeg(&(struct jpeg_recipe){.width = 16, .height = 16, .components = 1, .across = 1, .down = 1}, &source);
    int width = 0, height = 0;
    uint8_t *luma = read_luma(gri_bytes_slice(&source), &width, &height);
    struct gri_codec *codec = folder.kit.codec;
    struct gri_plan *plan = NULL;
    struct gri_picture picture;
    assert_int_equal(codec->ops->compile(codec,
                                         gri_slice_of("{\"name\":\"n\",\"steps\":[\"negate\"],\"output\":{\"format\":\"png\"}}"),
                                         &plan, &error),
                     GRI_OK);
    assert_int_equal(codec->ops->run(codec, plan, gri_bytes_slice(&source), &picture, &error), GRI_OK);
    VipsImage *image = NULL;
    assert_int_equal(vips_pngload_buffer(picture.output.data, picture.output.len, &image, NULL), 0);
    size_t len = 0;
    uint8_t *pixels = vips_image_write_to_memory(image, &len);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(pixels[i], 255 - luma[i]);
    g_free(pixels);
    g_object_unref(image);
    gri_picture_clear(&picture);
    codec->ops->plan_free(codec, plan);

    /* what it says when it fails reaches the error */
    assert_int_equal(
        codec->ops->compile(codec, gri_slice_of("{\"name\":\"n\",\"steps\":[{\"negate\":{\"strength\":50}}]}"), &plan, &error),
        GRI_OK);
    assert_int_equal(codec->ops->run(codec, plan, gri_bytes_slice(&source), &picture, &error), GRI_PERMANENT);
    assert_int_equal(error.reason, GRI_R_transform);
    assert_non_null(strstr(error.detail, "negate: half a negative is gray"));
    codec->ops->plan_free(codec, plan);
    free(luma);
    gri_bytes_clear(&source);
    close_folder(&folder);
}

static void unfit_objects_are_left_out_with_the_reason(void **state) {
    (void)state;
    static const struct {
        const char *plugin, *part;
    } cases[] = {{"plugin_wrong_abi", "ABI 99, this is ABI 1"},
                 {"plugin_no_symbol", "no symbol gri_transform_plugin"},
                 {"plugin_taken", "the name grayscale is taken (built-in)"},
                 {"plugin_bad_name", "a transform's name is of the form"},
                 {"plugin_short", "struct gri_transform has 8 bytes"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct folder folder;
        open_folder(&folder);
        size_t count = gri_transforms_count(folder.kit.transforms);
        put(&folder, cases[i].plugin, "x.so", 0644);
        expect_left_out(&folder, cases[i].part);
        assert_int_equal(gri_transforms_count(folder.kit.transforms), count);
        close_folder(&folder);
    }
}

static void the_second_of_a_name_is_left_out(void **state) {
    (void)state;
    struct folder folder;
    open_folder(&folder);
    put(&folder, "plugin_good", "a.so", 0644);
    put(&folder, "plugin_good", "b.so", 0644);
    expect_left_out(&folder, "b.so: the name negate is taken (");
    close_folder(&folder);
}

static void text_called_so_is_left_out(void **state) {
    (void)state;
    struct folder folder;
    open_folder(&folder);
    char *path = g_build_filename(folder.path, "text.so", NULL);
    assert_true(g_file_set_contents(path, "hello", 5, NULL));
    assert_int_equal(chmod(path, 0644), 0);
    g_free(path);
    expect_left_out(&folder, "does not load");
    close_folder(&folder);
}

static void what_others_may_write_is_refused(void **state) {
    (void)state;
    struct folder folder;
    open_folder(&folder);
    put(&folder, "plugin_good", "a.so", 0664);
    expect_refusal(&folder, "a.so: may be written by others");
    put(&folder, "plugin_good", "a.so", 0644);
    assert_int_equal(chmod(folder.path, 0777), 0);
    expect_refusal(&folder, "may be written by others");
    assert_int_equal(chmod(folder.path, 0700), 0);
    char *link = g_build_filename(folder.path, "link.so", NULL);
    assert_int_equal(symlink("/bin/sh", link), 0);
    g_free(link);
    expect_refusal(&folder, "link.so: is no regular file");
    close_folder(&folder);
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    built = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_folder_is_no_plugin),
        cmocka_unit_test(a_plugin_works_as_a_step),
        cmocka_unit_test(unfit_objects_are_left_out_with_the_reason),
        cmocka_unit_test(the_second_of_a_name_is_left_out),
        cmocka_unit_test(text_called_so_is_left_out),
        cmocka_unit_test(what_others_may_write_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
