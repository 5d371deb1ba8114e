/* SPDX-License-Identifier: Apache-2.0 */
/* Encodes pictures as JPEG, PNG or WebP and reads them back. */
#include "picture_output.h"

#include "picture_decode.h"
#include "vips_pixels.h"
#include "vips_runtime.h"

#include <string.h>
#include <vips/vips.h>

enum lossless { LOSSLESS_AUTO, LOSSLESS_NEVER };

struct jpeg_output {
    int quality;
    bool progressive;
    int lossless;
    int metadata;
};

struct png_output {
    int compression;
    bool progressive;
    int metadata;
};

struct webp_output {
    int quality;
    bool lossless;
    int effort;
    int metadata;
};

enum metadata { METADATA_STRIP, METADATA_KEEP };

static const char *const metadata_choices[] = {"strip", "keep", NULL};

#define METADATA_ROW(type_name, was_added)                                                                                      \
    {                                                                                                                           \
        .name = "metadata",                                                                                                     \
        .help =                                                                                                                 \
            "keep: EXIF (without the orientation, which is applied), XMP, IPTC and the colour profile, where it is one of the " \
            "output's colours; the source's bytes are then always decoded and encoded",                                         \
        .type = GRI_PARAM_ENUM, .added = was_added, .offset = offsetof(struct type_name, metadata), .standard = METADATA_STRIP, \
        .choices = metadata_choices                                                                                             \
    }

static const char *const lossless_choices[] = {"auto", "never", NULL};

static const struct gri_transform_param jpeg_params[] = {
    {.name = "quality",
     .help = "libjpeg's scale; not used where nothing is encoded again",
     .type = GRI_PARAM_INT,
     .offset = offsetof(struct jpeg_output, quality),
     .standard = 75,
     .minimum = 1,
     .maximum = 100},
    {.name = "progressive",
     .help = "several scans, coarse to fine; slower to write, somewhat smaller; false leaves a JPEG that is not encoded again in "
             "its source's form",
     .type = GRI_PARAM_BOOL,
     .offset = offsetof(struct jpeg_output, progressive)},
    {.name = "lossless",
     .help = "auto: no re-encoding where the source is a JPEG and every step allows it; never: always decode and encode",
     .type = GRI_PARAM_ENUM,
     .offset = offsetof(struct jpeg_output, lossless),
     .standard = LOSSLESS_AUTO,
     .choices = lossless_choices},
    METADATA_ROW(jpeg_output, true),
};

static const struct gri_transform_param png_params[] = {
    {.name = "compression",
     .help = "zlib's level; 0 stores",
     .type = GRI_PARAM_INT,
     .offset = offsetof(struct png_output, compression),
     .standard = 6,
     .maximum = 9},
    {.name = "progressive",
     .help = "interlaced: coarse to fine; larger",
     .type = GRI_PARAM_BOOL,
     .added = true,
     .offset = offsetof(struct png_output, progressive)},
    METADATA_ROW(png_output, true),
};

static const struct gri_transform_param webp_params[] = {
    {.name = "quality",
     .help = "libwebp's scale; of a lossless file: how hard it tries",
     .type = GRI_PARAM_INT,
     .offset = offsetof(struct webp_output, quality),
     .standard = 75,
     .maximum = 100},
    {.name = "lossless",
     .help = "true: every pixel as it is",
     .type = GRI_PARAM_BOOL,
     .offset = offsetof(struct webp_output, lossless)},
    {.name = "effort",
     .help = "processor time for size; 6 is slowest and smallest",
     .type = GRI_PARAM_INT,
     .offset = offsetof(struct webp_output, effort),
     .standard = 4,
     .maximum = 6},
    METADATA_ROW(webp_output, false),
};

/* Whether the profile that the source came with is of the picture's own kind of colours (ICC.1:2010, 7.2.6). */
static bool profile_fits(VipsImage *image) {
    const void *profile = NULL;
    size_t len = 0;
    if (!vips_image_get_typeof(image, VIPS_META_ICC_NAME)) return true;
    if (vips_image_get_blob(image, VIPS_META_ICC_NAME, &profile, &len) || len < 20) return false;
    return memcmp((const char *)profile + 16, vips_image_get_bands(image) == 1 ? "GRAY" : "RGB ", 4) == 0;
}

/* What a saver is to write: `image`, without a profile that is not its own. */
static VipsImage *with_fitting_profile(VipsImage *image) {
    VipsImage *copy = NULL;
    if (vips_copy(image, &copy, NULL)) return NULL;
    if (!profile_fits(copy)) vips_image_remove(copy, VIPS_META_ICC_NAME);
    return copy;
}

static int encode_jpeg(const void *params, VipsImage *image, void **data, size_t *len) {
    const struct jpeg_output *jpeg = params;
    return vips_jpegsave_buffer(image, data, len, "Q", jpeg->quality, "interlace", (gboolean)jpeg->progressive, "optimize_coding",
                                TRUE, "strip", (gboolean)(jpeg->metadata == METADATA_STRIP), NULL);
}

static bool jpeg_allows_compressed(const void *params, bool *progressive) {
    const struct jpeg_output *jpeg = params;
    *progressive = jpeg->progressive;
    return jpeg->lossless == LOSSLESS_AUTO && jpeg->metadata == METADATA_STRIP;
}

static int encode_png(const void *params, VipsImage *image, void **data, size_t *len) {
    const struct png_output *png = params;
    return vips_pngsave_buffer(image, data, len, "compression", png->compression, "interlace", (gboolean)png->progressive,
                               "strip", (gboolean)(png->metadata == METADATA_STRIP), NULL);
}

static int encode_webp(const void *params, VipsImage *image, void **data, size_t *len) {
    const struct webp_output *webp = params;
    return vips_webpsave_buffer(image, data, len, "Q", webp->quality, "lossless", (gboolean)webp->lossless, "effort",
                                webp->effort, "strip", (gboolean)(webp->metadata == METADATA_STRIP), NULL);
}

static const struct gri_output_format formats[] = {
    {.name = "jpeg",
     .summary = "8-bit JPEG, optimised Huffman tables, no metadata",
     .type = GRI_PICTURE_JPEG,
     .table = {jpeg_params, sizeof jpeg_params / sizeof jpeg_params[0], sizeof(struct jpeg_output)},
     .encode = encode_jpeg,
     .allows_compressed = jpeg_allows_compressed},
    {.name = "png",
     .summary = "8-bit PNG, no metadata",
     .type = GRI_PICTURE_PNG,
     .table = {png_params, sizeof png_params / sizeof png_params[0], sizeof(struct png_output)},
     .encode = encode_png},
    {.name = "webp",
     .summary = "8-bit WebP, always sRGB; gray pictures read back as three equal bands",
     .type = GRI_PICTURE_WEBP,
     .table = {webp_params, sizeof webp_params / sizeof webp_params[0], sizeof(struct webp_output)},
     .encode = encode_webp,
     .always_colour = true},
};

const struct gri_output_format *gri_output_find(const char *name) {
    for (size_t i = 0; i < gri_output_count(); i++)
        if (strcmp(formats[i].name, name) == 0) return &formats[i];
    return NULL;
}

size_t gri_output_count(void) {
    return sizeof formats / sizeof formats[0];
}

const struct gri_output_format *gri_output_at(size_t index) {
    GRI_ASSERT(index < gri_output_count());
    return &formats[index];
}

/* What was written must be a picture of the same size and bands, to the last pixel. */
static enum gri_status read_back(const struct gri_output_format *format, struct gri_slice written, VipsImage *image,
                                 int64_t deadline_ms, struct gri_error *error) {
    struct gri_decode_limits limits = {.max_pixels = INT64_MAX, .deadline_ms = deadline_ms};
    struct gri_decoded decoded = {0};
    if (gri_picture_decode(written, format->type, 1, &limits, &decoded, error) != GRI_OK) {
        if (error->reason == GRI_R_decode_timeout) return error->status;
        char detail[200];
        gri_copy(detail, sizeof detail, error->detail);
        return gri_fail(error, GRI_R_transform, "output %s can't be read back: %s", format->name, detail);
    }
    bool same = vips_image_get_width(decoded.image) == vips_image_get_width(image) &&
                vips_image_get_height(decoded.image) == vips_image_get_height(image) &&
                vips_image_get_bands(decoded.image) == (format->always_colour ? 3 : vips_image_get_bands(image));
    g_object_unref(decoded.image);
    return same ? GRI_OK
                : gri_fail(error, GRI_R_transform, "output %s reads back with another size or other bands", format->name);
}

enum gri_status gri_output_encode(const struct gri_output_format *format, const void *params, VipsImage *image,
                                  int64_t deadline_ms, size_t max, struct gri_bytes *out, struct gri_error *error) {
    void *data = NULL;
    size_t len = 0;
    enum gri_status status = GRI_OK;
    VipsImage *written = with_fitting_profile(image);
    int failed = !written || format->encode(params, written, &data, &len);
    g_clear_object(&written);
    if (failed) {
        char text[200];
        gri_vips_message(text, sizeof text);
        status = gri_fail(error, GRI_R_transform, "output %s: %s", format->name, text);
    } else if (len > max) {
        status =
            gri_fail(error, GRI_R_output_too_large, "the %s has %zu bytes, at most %zu can be stored", format->name, len, max);
    } else {
        status = read_back(format, (struct gri_slice){data, len}, image, deadline_ms, error);
    }
    if (status == GRI_OK) status = gri_bytes_append(out, data, len, error);
    g_free(data);
    return status;
}
