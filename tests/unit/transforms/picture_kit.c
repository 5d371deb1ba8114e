/* SPDX-License-Identifier: Apache-2.0 */
/* The steps that the codec's tests share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "picture_kit.h"
#include "vips_runtime.h"

#include <stdlib.h>
#include <string.h>

struct codec_kit picture_kit;

int picture_kit_open(void **state) {
    (void)state;
    codec_kit_open(&picture_kit, 50000000, 60000);
    return 0;
}

int picture_kit_close(void **state) {
    (void)state;
    codec_kit_close(&picture_kit);
    gri_vips_stop();
    return 0;
}

enum gri_status picture_kit_run_with(struct gri_codec *codec, const char *definition, struct gri_slice source,
                                     struct gri_picture *picture, struct gri_error *error) {
    struct gri_plan *plan = NULL;
    assert_int_equal(codec->ops->compile(codec, gri_slice_of(definition), &plan, error), GRI_OK);
    enum gri_status status = codec->ops->run(codec, plan, source, picture, error);
    codec->ops->plan_free(codec, plan);
    return status;
}

struct gri_picture picture_kit_run_ok(const char *definition, struct gri_slice source) {
    struct gri_picture picture;
    struct gri_error error = {0};
    if (picture_kit_run_with(picture_kit.codec, definition, source, &picture, &error) != GRI_OK)
        fail_msg("%s: %s", gri_reason_name(error.reason), error.detail);
    return picture;
}

void picture_kit_expect_reason(const char *definition, struct gri_slice source, enum gri_reason reason) {
    struct gri_picture picture;
    struct gri_error error = {0};
    assert_int_equal(picture_kit_run_with(picture_kit.codec, definition, source, &picture, &error), GRI_PERMANENT);
    if (error.reason != reason)
        fail_msg("expected %s, got %s: %s", gri_reason_name(reason), gri_reason_name(error.reason), error.detail);
    assert_true(strlen(error.detail) > 0);
}

VipsImage *picture_kit_open_output(const struct gri_picture *picture) {
    VipsImage *lazy = NULL;
    int failed = strcmp(picture->content_type, "image/png") == 0
                     ? vips_pngload_buffer(picture->output.data, picture->output.len, &lazy, NULL)
                     : vips_jpegload_buffer(picture->output.data, picture->output.len, &lazy, NULL);
    assert_int_equal(failed, 0);
    VipsImage *image = vips_image_copy_memory(lazy);
    g_object_unref(lazy);
    assert_non_null(image);
    assert_int_equal(vips_image_get_bands(image), 1);
    assert_int_equal(vips_image_get_width(image), picture->width);
    assert_int_equal(vips_image_get_height(image), picture->height);
    return image;
}

int picture_kit_gray_at(VipsImage *image, int x, int y) {
    return *VIPS_IMAGE_ADDR(image, x, y);
}

VipsImage *picture_kit_flat(int width, int height, const double *pixel, int bands, VipsBandFormat format,
                            VipsInterpretation interpretation) {
    VipsImage *black = NULL, *filled = NULL, *cast = NULL, *named = NULL;
    double *ones = calloc((size_t)bands, sizeof *ones);
    for (int i = 0; i < bands; i++)
        ones[i] = 1;
    assert_int_equal(vips_black(&black, width, height, "bands", bands, NULL), 0);
    assert_int_equal(vips_linear(black, &filled, ones, pixel, bands, NULL), 0);
    assert_int_equal(vips_cast(filled, &cast, format, NULL), 0);
    assert_int_equal(vips_copy(cast, &named, "interpretation", interpretation, NULL), 0);
    free(ones);
    g_object_unref(black);
    g_object_unref(filled);
    g_object_unref(cast);
    return named;
}

struct gri_slice picture_kit_encode(VipsImage *image, enum container container) {
    void *data = NULL;
    size_t len = 0;
    int failed = 1;
    if (container == AS_PNG)
        failed = vips_pngsave_buffer(image, &data, &len, NULL);
    else if (container == AS_WEBP)
        failed = vips_webpsave_buffer(image, &data, &len, "lossless", TRUE, NULL);
    else if (container == AS_GIF)
        failed = vips_gifsave_buffer(image, &data, &len, NULL);
    else
        failed = vips_jpegsave_buffer(image, &data, &len, NULL);
    assert_int_equal(failed, 0);
    g_object_unref(image);
    return (struct gri_slice){data, len};
}

void picture_kit_drop(struct gri_slice bytes) {
    g_free((void *)(uintptr_t)bytes.data);
}

struct gri_bytes picture_kit_jpeg_of(struct jpeg_recipe recipe) {
    struct gri_bytes bytes;
    gri_bytes_init(&bytes, 0);
    make_jpeg(&recipe, &bytes);
    return bytes;
}
