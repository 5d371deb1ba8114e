/* SPDX-License-Identifier: Apache-2.0 */
/* watermark: a text or a picture laid over a corner. It is loaded or rendered once, when the pipeline is compiled: threads that
 * run pictures open no files. */
#include "transform_kit.h"

#include <string.h>

enum { FILE_SIZE = 512, TEXT_SIZE = 256, FONT_SIZE = 64, SUM_SIZE = 65, MARK_BYTES_MAX = 8 * 1024 * 1024, MARK_SIDE_MAX = 4096 };

struct watermark {
    char text[TEXT_SIZE], image[FILE_SIZE], sha256[SUM_SIZE], font[FONT_SIZE], color[GRI_KIT_COLOR_SIZE];
    int at;
    int size, margin, opacity;
};

/* The mark in memory: what shows, and how much. */
struct mark {
    VipsImage *colour, *alpha; /* 3 bands; 1 band */
};

static const char *const sans[] = {"sans bold", NULL}, *const white[] = {"#ffffff", NULL};

static const struct gri_transform_param params[] = {
    {.name = "text",
     .help = "what to write; give this or image",
     .type = GRI_PARAM_TEXT,
     .offset = offsetof(struct watermark, text),
     .maximum = TEXT_SIZE},
    {.name = "image",
     .help = "an absolute path of a PNG, JPEG or WebP to lay over, with its transparency",
     .type = GRI_PARAM_TEXT,
     .offset = offsetof(struct watermark, image),
     .maximum = FILE_SIZE},
    {.name = "sha256",
     .help = "of image's file, in hex: another file is refused, so that a pipeline's version says what it lays over; empty: any",
     .type = GRI_PARAM_TEXT,
     .offset = offsetof(struct watermark, sha256),
     .maximum = SUM_SIZE},
    {.name = "font",
     .help = "of text, as Pango names fonts",
     .type = GRI_PARAM_TEXT,
     .offset = offsetof(struct watermark, font),
     .maximum = FONT_SIZE,
     .choices = sans},
    {.name = "color",
     .help = "of text",
     .type = GRI_PARAM_TEXT,
     .offset = offsetof(struct watermark, color),
     .maximum = GRI_KIT_COLOR_SIZE,
     .choices = white},
    {.name = "at",
     .help = "where it lies",
     .type = GRI_PARAM_ENUM,
     .offset = offsetof(struct watermark, at),
     .standard = GRI_KIT_BOTTOM_RIGHT,
     .choices = gri_kit_places},
    {.name = "size",
     .help = "percent of the picture's width",
     .type = GRI_PARAM_INT,
     .offset = offsetof(struct watermark, size),
     .standard = 25,
     .minimum = 1,
     .maximum = 100},
    {.name = "margin",
     .help = "percent of the picture's width that stays free at the edges",
     .type = GRI_PARAM_INT,
     .offset = offsetof(struct watermark, margin),
     .standard = 2,
     .maximum = 40},
    {.name = "opacity",
     .help = "percent",
     .type = GRI_PARAM_INT,
     .offset = offsetof(struct watermark, opacity),
     .standard = 60,
     .minimum = 1,
     .maximum = 100},
};

static bool check(const void *values, struct gri_transform_error *error) {
    const struct watermark *watermark = values;
    bool text = watermark->text[0] != 0, image = watermark->image[0] != 0;
    if (text == image) return gri_transform_fail(error, "give text or image, one of them");
    if (image && watermark->image[0] != '/') return gri_transform_fail(error, "image is an absolute path");
    if (watermark->sha256[0] && (!image || strspn(watermark->sha256, "0123456789abcdef") != SUM_SIZE - 1))
        return gri_transform_fail(error, "sha256 is 64 hex digits, of image");
    return gri_kit_check_color("color", watermark->color, error);
}

static VipsImage *load(const void *data, size_t len) {
    VipsImage *image = NULL;
    void *bytes = (void *)(uintptr_t)data; /* libvips reads it only, its parameter lacks const */
    if (len > 8 && memcmp(data, "\x89PNG", 4) == 0)
        return vips_pngload_buffer(bytes, len, &image, "access", VIPS_ACCESS_SEQUENTIAL, NULL) ? NULL : image;
    if (len > 8 && memcmp(data, "RIFF", 4) == 0)
        return vips_webpload_buffer(bytes, len, &image, "access", VIPS_ACCESS_SEQUENTIAL, NULL) ? NULL : image;
    return vips_jpegload_buffer(bytes, len, &image, "access", VIPS_ACCESS_SEQUENTIAL, NULL) ? NULL : image;
}

/* Made on this thread. libvips' own ways start threads that are used again by others, and this one has more rights than threads
 * that run pictures are to have. */
static VipsImage *made_here(VipsImage *image) {
    VipsRect all = {0, 0, vips_image_get_width(image), vips_image_get_height(image)};
    size_t line = VIPS_IMAGE_SIZEOF_LINE(image);
    uint8_t *pixels = g_malloc(line * (size_t)all.height);
    VipsRegion *region = vips_region_new(image);
    VipsImage *made = NULL;
    if (vips_region_prepare(region, &all) == 0) {
        for (int y = 0; y < all.height; y++)
            memcpy(pixels + line * (size_t)y, VIPS_REGION_ADDR(region, 0, y), line);
        made = vips_image_new_from_memory_copy(pixels, line * (size_t)all.height, all.width, all.height,
                                               vips_image_get_bands(image), VIPS_FORMAT_UCHAR);
    }
    g_object_unref(region);
    g_free(pixels);
    return made;
}

/* To sRGB in 8 bits, with its alpha apart; pixels in memory. */
static bool split(VipsImage *image, struct mark *mark) {
    VipsImage *lazy = NULL, *srgb = NULL, *colour = NULL, *alpha = NULL;
    int failed = vips_colourspace(image, &lazy, VIPS_INTERPRETATION_sRGB, NULL) ||
                 vips_image_get_format(lazy) != VIPS_FORMAT_UCHAR || vips_image_get_bands(lazy) < 3 ||
                 !(srgb = made_here(lazy)) || vips_extract_band(srgb, &colour, 0, "n", 3, NULL);
    bool clear = srgb && vips_image_get_bands(srgb) == 4;
    if (!failed && clear)
        failed = vips_extract_band(srgb, &alpha, 3, NULL);
    else if (!failed)
        failed = vips_black(&alpha, vips_image_get_width(srgb), vips_image_get_height(srgb), NULL);
    if (!failed && !clear) {
        VipsImage *solid = NULL;
        failed = vips_invert(alpha, &solid, NULL);
        g_object_unref(alpha);
        alpha = solid;
    }
    if (!failed) {
        mark->colour = made_here(colour);
        mark->alpha = made_here(alpha);
    }
    g_clear_object(&alpha);
    g_clear_object(&colour);
    g_clear_object(&srgb);
    g_clear_object(&lazy);
    return mark->colour && mark->alpha;
}

static bool load_image(const struct watermark *watermark, struct mark *mark, struct gri_transform_error *error) {
    gchar *data = NULL;
    gsize len = 0;
    GError *why = NULL;
    if (!g_file_get_contents(watermark->image, &data, &len, &why)) {
        gri_transform_fail(error, "image: %s", why->message);
        g_error_free(why);
        return false;
    }
    char *sum = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)data, len);
    bool same = !watermark->sha256[0] || strcmp(sum, watermark->sha256) == 0, ok = false;
    VipsImage *image = same && len <= MARK_BYTES_MAX ? load(data, len) : NULL;
    bool fits = image && vips_image_get_width(image) <= MARK_SIDE_MAX && vips_image_get_height(image) <= MARK_SIDE_MAX;
    if (!same)
        gri_transform_fail(error, "image %s has the SHA-256 %s, not the one that is configured", watermark->image, sum);
    else if (!fits || !(ok = split(image, mark)))
        gri_transform_fail(error, "image %s is no PNG, JPEG or WebP of at most 8 MiB and %d × %d", watermark->image,
                           MARK_SIDE_MAX, MARK_SIDE_MAX);
    g_clear_object(&image);
    g_free(sum);
    g_free(data);
    return ok;
}

static bool render_text(const struct watermark *watermark, struct mark *mark, struct gri_transform_error *error) {
    uint8_t rgb[3];
    char *escaped = g_markup_escape_text(watermark->text, -1), *font = g_strdup_printf("%s 48", watermark->font);
    VipsImage *shape = NULL, *ground = NULL, *inked = NULL;
    bool ok = gri_kit_color(watermark->color, rgb) && vips_text(&shape, escaped, "font", font, "dpi", 72, NULL) == 0 &&
              vips_black(&ground, vips_image_get_width(shape), vips_image_get_height(shape), "bands", 3, NULL) == 0;
    double one[] = {1, 1, 1}, ink[] = {rgb[0], rgb[1], rgb[2]};
    ok = ok && vips_linear(ground, &inked, one, ink, 3, "uchar", TRUE, NULL) == 0;
    if (ok) {
        mark->colour = made_here(inked);
        mark->alpha = made_here(shape);
    }
    g_clear_object(&inked);
    g_clear_object(&ground);
    g_clear_object(&shape);
    g_free(font);
    g_free(escaped);
    return (mark->colour && mark->alpha) || gri_transform_fail(error, "the text could not be rendered; is a font installed?");
}

static void release(void *state) {
    struct mark *mark = state;
    if (!mark) return;
    g_clear_object(&mark->colour);
    g_clear_object(&mark->alpha);
    g_free(mark);
}

static bool prepare(const void *values, void **state, struct gri_transform_error *error) {
    const struct watermark *watermark = values;
    struct mark *mark = g_new0(struct mark, 1);
    bool ok = watermark->text[0] ? render_text(watermark, mark, error) : load_image(watermark, mark, error);
    if (ok)
        *state = mark;
    else
        release(mark);
    return ok;
}

/* The mark's part scaled and laid into an empty picture of the picture's size. */
static int lay(VipsImage *part, int width, int height, const VipsRect *ground, VipsImage **out) {
    VipsImage *scaled = NULL;
    int failed = gri_kit_scale(part, width, height, VIPS_KERNEL_LINEAR, &scaled) ||
                 vips_embed(scaled, out, ground->left, ground->top, ground->width, ground->height, NULL);
    g_clear_object(&scaled);
    return failed;
}

static int overlay(const struct watermark *watermark, const struct mark *mark, VipsImage *in, VipsImage **out) {
    int full = vips_image_get_width(in), margin = full * watermark->margin / 100;
    int room_across = MAX(1, full - 2 * margin), room_down = MAX(1, vips_image_get_height(in) - 2 * margin);
    double scale =
        MIN((double)full * watermark->size / 100 / vips_image_get_width(mark->alpha),
            MIN((double)room_across / vips_image_get_width(mark->alpha), (double)room_down / vips_image_get_height(mark->alpha)));
    int width = MIN(gri_kit_side(vips_image_get_width(mark->alpha), scale), full);
    int height = MIN(gri_kit_side(vips_image_get_height(mark->alpha), scale), vips_image_get_height(in));
    VipsRect ground = {0, 0, full, vips_image_get_height(in)};
    gri_kit_place(watermark->at, MAX(0, room_across - width), MAX(0, room_down - height), &ground.left, &ground.top);
    ground.left = MIN(ground.left + margin, full - width);
    ground.top = MIN(ground.top + margin, ground.height - height);
    VipsImage *faint = NULL, *alpha = NULL, *toned = NULL, *colour = NULL;
    int failed = vips_linear1(mark->alpha, &faint, watermark->opacity / 100.0, 0, "uchar", TRUE, NULL) ||
                 lay(faint, width, height, &ground, &alpha) ||
                 (vips_image_get_bands(in) == 1 ? gri_kit_luma(mark->colour, &toned) : vips_copy(mark->colour, &toned, NULL)) ||
                 lay(toned, width, height, &ground, &colour) || vips_ifthenelse(alpha, colour, in, out, "blend", TRUE, NULL);
    g_clear_object(&colour);
    g_clear_object(&toned);
    g_clear_object(&alpha);
    g_clear_object(&faint);
    return failed;
}

static bool run(const struct gri_transform_call *call, VipsImage *in, VipsImage **out) {
    return overlay(call->params, call->state, in, out) == 0 || gri_transform_fail(call->error, "the mark could not be laid over");
}

extern const struct gri_transform gri_transform_watermark;
const struct gri_transform gri_transform_watermark = {
    GRI_TRANSFORM_LAYOUT,
    .name = "watermark",
    .summary = "a text or a picture laid over; a gray picture stays gray",
    GRI_TRANSFORM_PARAMS(params, struct watermark),
    .check = check,
    .run = run,
    .prepare = prepare,
    .release = release,
};
