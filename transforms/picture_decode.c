/* SPDX-License-Identifier: Apache-2.0 */
/* Loads a picture with libvips: header first, then limits, then pixels, then one plain form for the transforms. */
#include "picture_decode.h"

#include "vips_pixels.h"
#include "vips_runtime.h"

/* Nothing but these four loaders, called by name: libvips never guesses. PNG's stops at errors, not at warnings: those are
 * of colour profiles and text chunks, while damage of pixels (a wrong CRC, an early end) is an error. */
static VipsImage *open_picture(struct gri_slice source, enum gri_picture_type type, int shrink) {
    VipsImage *image = NULL;
    void *data = (void *)(uintptr_t)source.data; /* libvips reads it only, its parameter lacks const */
    int failed = 1;
    switch (type) {
    case GRI_PICTURE_JPEG:
        failed = vips_jpegload_buffer(data, source.len, &image, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on", VIPS_FAIL_ON_WARNING,
                                      "shrink", shrink, NULL);
        break;
    case GRI_PICTURE_PNG:
        failed =
            vips_pngload_buffer(data, source.len, &image, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on", VIPS_FAIL_ON_ERROR, NULL);
        break;
    case GRI_PICTURE_WEBP:
        failed = vips_webpload_buffer(data, source.len, &image, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on", VIPS_FAIL_ON_WARNING,
                                      NULL);
        break;
    case GRI_PICTURE_GIF:
        failed = vips_gifload_buffer(data, source.len, &image, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on", VIPS_FAIL_ON_WARNING,
                                     NULL);
        break;
    }
    if (failed) g_clear_object(&image);
    return image;
}

static enum gri_status fail_corrupt(const char *what, struct gri_error *error) {
    char text[200];
    gri_vips_message(text, sizeof text);
    return gri_fail(error, GRI_R_corrupt_image, "%s: %s", what, text);
}

static enum gri_status check_limits(VipsImage *image, const struct gri_decode_limits *limits, struct gri_error *error) {
    int64_t width = vips_image_get_width(image), height = vips_image_get_height(image);
    int64_t frames = vips_image_get_n_pages(image);
    if (frames > 1)
        return gri_fail(error, GRI_R_too_many_frames, "%lld frames; only still pictures are taken", (long long)frames);
    if (width * height > limits->max_pixels)
        return gri_fail(error, GRI_R_too_many_pixels, "%lld × %lld is over image.max_pixels, %lld", (long long)width,
                        (long long)height, (long long)limits->max_pixels);
    return GRI_OK;
}

/* Replaces *image by `next` when `failed` is 0; frees the old one. */
static int step(VipsImage **image, VipsImage *next, int failed) {
    if (failed) return failed;
    g_object_unref(*image);
    *image = next;
    return 0;
}

/* The alpha band laid on white, at the depth that the file has. */
static int flatten(VipsImage **image) {
    if (!vips_image_hasalpha(*image)) return 0;
    bool deep = vips_image_get_format(*image) == VIPS_FORMAT_USHORT;
    double white = deep ? 65535 : 255;
    VipsImage *next = NULL;
    VipsArrayDouble *background = vips_array_double_newv(1, white);
    int failed = vips_flatten(*image, &next, "background", background, "max_alpha", white, NULL);
    vips_area_unref(VIPS_AREA(background));
    return step(image, next, failed);
}

/* To 8 bits and b-w or sRGB. Profiles are not applied, as no gray decoder of JPEGs does; CMYK has to be. */
static int plain_colour(VipsImage **image) {
    VipsImage *next = NULL;
    VipsInterpretation to = vips_image_get_bands(*image) < 3 ? VIPS_INTERPRETATION_B_W : VIPS_INTERPRETATION_sRGB;
    if (vips_image_get_interpretation(*image) == to) return 0;
    int failed = vips_colourspace(*image, &next, to, NULL);
    return step(image, next, failed);
}

/* The eight orientations are turns and mirrors of pixels; vips_autorot() reads them from the metadata. */
static int upright(VipsImage **image, int orientation) {
    VipsImage *next = NULL;
    int failed = 0;
    if (orientation > 0) { /* metadata may be set on a copy only: others may hold the image */
        failed = vips_copy(*image, &next, NULL);
        if (step(image, next, failed)) return 1;
        vips_image_set_int(*image, VIPS_META_ORIENTATION, orientation);
    }
    if (vips_image_get_orientation(*image) == 1) return 0;
    next = NULL;
    failed = vips_autorot(*image, &next, NULL);
    return step(image, next, failed);
}

static enum gri_status make_plain(VipsImage **image, int orientation, struct gri_error *error) {
    if (flatten(image) || plain_colour(image) || upright(image, orientation)) return fail_corrupt("decoding", error);
    int bands = vips_image_get_bands(*image);
    if (vips_image_get_format(*image) != VIPS_FORMAT_UCHAR || (bands != 1 && bands != 3))
        return gri_fail(error, GRI_R_unsupported_format, "an image of %d bands in format %d", bands,
                        (int)vips_image_get_format(*image));
    return GRI_OK;
}

static void upright_size(VipsImage *image, int orientation, int *width, int *height) {
    bool across = (orientation > 0 ? orientation : vips_image_get_orientation(image)) >= 5;
    *width = across ? vips_image_get_height(image) : vips_image_get_width(image);
    *height = across ? vips_image_get_width(image) : vips_image_get_height(image);
}

int gri_picture_shrink(double wanted) {
    return wanted >= 8 ? 8 : wanted >= 4 ? 4 : wanted >= 2 ? 2 : 1;
}

/* Only libjpeg shrinks while it decodes, by powers of two. */
static int choose_shrink(enum gri_picture_type type, const struct gri_decode_limits *limits, int width, int height) {
    if (!limits->shrink || type != GRI_PICTURE_JPEG) return 1;
    return gri_picture_shrink(limits->shrink(limits->shrink_arg, width, height));
}

enum gri_status gri_picture_measure(struct gri_slice source, enum gri_picture_type type, int orientation,
                                    const struct gri_decode_limits *limits, int *width, int *height, int *true_width,
                                    int *true_height, struct gri_error *error) {
    VipsImage *lazy = open_picture(source, type, 1);
    if (!lazy) return fail_corrupt("the header", error);
    enum gri_status status = check_limits(lazy, limits, error);
    *width = vips_image_get_width(lazy);
    *height = vips_image_get_height(lazy);
    upright_size(lazy, orientation, true_width, true_height);
    g_object_unref(lazy);
    return status;
}

enum gri_status gri_picture_decode(struct gri_slice source, enum gri_picture_type type, int orientation,
                                   const struct gri_decode_limits *limits, struct gri_decoded *decoded, struct gri_error *error) {
    VipsImage *lazy = NULL, *image = NULL;
    lazy = open_picture(source, type, 1);
    if (!lazy) return fail_corrupt("the header", error);
    enum gri_status status = check_limits(lazy, limits, error);
    if (status != GRI_OK) goto out;
    decoded->width = vips_image_get_width(lazy);
    decoded->height = vips_image_get_height(lazy);
    upright_size(lazy, orientation, &decoded->true_width, &decoded->true_height);
    int shrink = choose_shrink(type, limits, decoded->true_width, decoded->true_height);
    if (shrink > 1) {
        g_object_unref(lazy);
        lazy = open_picture(source, type, shrink);
        if (!lazy) return fail_corrupt("the header", error);
    }
    status = gri_vips_compute(lazy, limits->deadline_ms, GRI_R_corrupt_image, "decoding", &image, error);
    if (status == GRI_OK) status = make_plain(&image, orientation, error);
    if (status == GRI_OK)
        status = gri_vips_compute(image, limits->deadline_ms, GRI_R_corrupt_image, "decoding", &decoded->image, error);
out:
    g_clear_object(&image);
    g_clear_object(&lazy);
    return status;
}
