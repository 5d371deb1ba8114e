/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures by id, cut to a size and encoded by libvips as picsum does. */
#include "origin.h"

#include <string.h>
#include <vips/vips.h>

enum { SCENES = 64, FRAMES = 4 };

/* Ids that picsum never had or has taken away. */
static const unsigned short missing_ids[] = {
    86,  97,  105, 138, 148, 150, 205, 207, 224, 226, 245, 246, 262, 285, 286, 298, 303, 332, 333, 346, 359, 394,
    414, 422, 438, 462, 463, 470, 489, 540, 561, 578, 587, 589, 592, 595, 597, 601, 624, 632, 636, 644, 647, 673,
    697, 706, 707, 708, 709, 710, 711, 712, 713, 714, 720, 725, 734, 745, 746, 747, 748, 749, 750, 751, 752, 753,
    754, 759, 761, 762, 763, 771, 792, 801, 812, 843, 850, 854, 895, 897, 899, 917, 920, 934, 956, 963, 968};

bool origin_id_exists(unsigned id) {
    if (id >= ORIGIN_IDS) return false;
    for (size_t i = 0; i < G_N_ELEMENTS(missing_ids); i++)
        if (missing_ids[i] == id) return false;
    return true;
}

unsigned origin_id_draw(uint64_t number) {
    unsigned id = 0;
    do {
        number = origin_mix(number);
        id = (unsigned)(number % ORIGIN_IDS);
    } while (!origin_id_exists(id));
    return id;
}

void origin_id_size(unsigned id, unsigned *width, unsigned *height) {
    static const unsigned short sizes[][2] = {{1800, 1200}, {1600, 1200}, {1200, 1200}, {900, 1200}, {1920, 1280}, {1280, 853}};
    size_t i = id == 1 ? 0 : origin_mix(id + 77u) % G_N_ELEMENTS(sizes);
    *width = sizes[i][0];
    *height = sizes[i][1];
}

/* Scenes are kept at three resolutions; all of them fit in the cache. */
static const struct resolution {
    unsigned width, height, serves; /* pictures with no side over that */
} resolutions[] = {{192, 144, 96}, {384, 288, 256}, {768, 576, ORIGIN_SIZE_MAX}};

static const struct resolution *resolution_for(unsigned width, unsigned height) {
    const struct resolution *resolution = resolutions;
    while (MAX(width, height) > resolution->serves && resolution + 1 < resolutions + G_N_ELEMENTS(resolutions))
        resolution++;
    return resolution;
}

/* One thread renders, the others that want the same scene wait for it. */
static GBytes *base_of(struct origin *origin, unsigned scene, const struct resolution *resolution) {
    char key[48];
    g_snprintf(key, sizeof key, "%u/%u", scene, resolution->width);
    GBytes *base = origin_cache_get(origin->bases, key);
    if (base) return base;
    pthread_mutex_t *lock = &origin->rendering[scene % ORIGIN_RENDERING];
    pthread_mutex_lock(lock);
    base = origin_cache_get(origin->bases, key);
    if (!base) {
        size_t size = (size_t)resolution->width * resolution->height * 3;
        unsigned char *rgb = g_malloc(size);
        origin_scene_render(scene, resolution->width, resolution->height, rgb);
        base = g_bytes_new_take(rgb, size);
        origin_cache_put(origin->bases, key, base);
    }
    pthread_mutex_unlock(lock);
    return base;
}

/* How an id sees its scene: closer or not, from the left or right, in another light, mirrored. So every id has a picture
 * of its own and none costs more than a look-up. */
struct view {
    double zoom, across, down;
    bool mirrored;
    unsigned char light[3][256];
};

static void choose_view(unsigned id, struct view *view) {
    uint64_t state = origin_mix(0x76696577u + (uint64_t)id);
    view->zoom = 1.0 + (double)(state & 0xffff) / 131072.0;
    view->across = (double)(state >> 16 & 0xffff) / 65536.0;
    view->down = (double)(state >> 32 & 0xffff) / 65536.0;
    view->mirrored = state >> 48 & 1;
    for (unsigned band = 0; band < 3; band++) {
        state = origin_mix(state);
        unsigned gain = 205 + (unsigned)(state % 90), lift = (unsigned)(state >> 32) % 14;
        for (unsigned value = 0; value < 256; value++)
            view->light[band][value] = (unsigned char)MIN(255u, value * gain / 256 + lift);
    }
}

/* What of the source one row or column of the output is made of: two taps where it grows, a box where it shrinks. */
struct span {
    unsigned first, count;
    unsigned weight; /* of the second tap, in 256ths */
    bool smooth;
};

static struct span *spans_of(unsigned out, double scale, double offset, unsigned limit) {
    struct span *spans = g_new0(struct span, out);
    for (unsigned i = 0; i < out; i++) {
        double from = offset + (double)i / scale, to = offset + (double)(i + 1) / scale;
        if (to - from >= 1.0) {
            unsigned first = (unsigned)CLAMP(from, 0.0, (double)(limit - 1));
            unsigned last = (unsigned)CLAMP(to, (double)first + 1.0, (double)limit);
            spans[i] = (struct span){first, MAX(1u, last - first), 0, false};
        } else {
            double centre = CLAMP((from + to) / 2 - 0.5, 0.0, (double)(limit - 1));
            unsigned first = (unsigned)centre;
            unsigned next = first + 1 < limit ? 2 : 1;
            spans[i] = (struct span){first, next, (unsigned)((centre - first) * 256.0), next == 2};
        }
    }
    return spans;
}

/* Two by two taps. */
static unsigned blend_four(const unsigned char *at, unsigned stride, unsigned wx, unsigned wy) {
    unsigned top = at[0] * (256 - wx) + at[3] * wx, low = at[stride] * (256 - wx) + at[stride + 3] * wx;
    return (top * (256 - wy) + low * wy + 32768) >> 16;
}

static unsigned blend_box(const unsigned char *at, unsigned stride, const struct span *h, const struct span *v) {
    uint64_t sum = 0, total = 0;
    for (unsigned y = 0; y < v->count; y++) {
        unsigned wy = !v->smooth ? 256 : y ? v->weight : 256 - v->weight;
        for (unsigned x = 0; x < h->count; x++) {
            unsigned wx = !h->smooth ? 256 : x ? h->weight : 256 - h->weight;
            sum += (uint64_t)at[(size_t)y * stride + (size_t)x * 3] * wx * wy;
            total += (uint64_t)wx * wy;
        }
    }
    return (unsigned)((sum + total / 2) / total);
}

/* Covers width × height with the picture, as picsum's thumbnail does. Owned, 3 bytes a pixel. */
static unsigned char *cut(struct origin *origin, const struct origin_picture *picture) {
    unsigned width = picture->width, height = picture->height;
    const struct resolution *resolution = resolution_for(width, height);
    unsigned base_width = resolution->width, base_height = resolution->height;
    struct view view;
    choose_view(picture->id, &view);
    GBytes *base = base_of(origin, picture->id % SCENES, resolution);
    const unsigned char *pixels = g_bytes_get_data(base, NULL);
    double scale = MAX((double)width / base_width, (double)height / base_height) * view.zoom;
    struct span *across = spans_of(width, scale, (base_width - width / scale) * view.across, base_width);
    struct span *down = spans_of(height, scale, (base_height - height / scale) * view.down, base_height);
    unsigned char *rgb = g_malloc_n((size_t)width * height, 3);
    unsigned char *out = rgb;
    for (unsigned y = 0; y < height; y++)
        for (unsigned x = 0; x < width; x++, out += 3) {
            const struct span *h = &across[view.mirrored ? width - 1 - x : x], *v = &down[y];
            const unsigned char *at = pixels + ((size_t)v->first * base_width + h->first) * 3;
            for (unsigned band = 0; band < 3; band++) {
                unsigned value = h->smooth && v->smooth ? blend_four(at + band, base_width * 3, h->weight, v->weight)
                                                        : blend_box(at + band, base_width * 3, h, v);
                out[band] = view.light[band][value & 0xff];
            }
        }
    g_free(across);
    g_free(down);
    g_bytes_unref(base);
    return rgb;
}

/* Replaces *image by what an operation made of it; false where the operation failed. */
static bool become(VipsImage **image, int failed, VipsImage **made) {
    if (failed) return false;
    g_object_unref(*image);
    *image = *made;
    *made = NULL;
    return true;
}

static bool shape_colours(VipsImage **image, const struct origin_picture *picture) {
    VipsImage *made = NULL;
    if (picture->blur && !become(image, vips_gaussblur(*image, &made, (double)picture->blur, NULL), &made)) return false;
    if (picture->gray && !become(image, vips_colourspace(*image, &made, VIPS_INTERPRETATION_B_W, NULL), &made)) return false;
    return true;
}

/* Alpha falls from the left to the right. */
static bool add_alpha(VipsImage **image) {
    VipsImage *ramp = NULL, *alpha = NULL, *made = NULL;
    int width = vips_image_get_width(*image), height = vips_image_get_height(*image);
    int failed = vips_grey(&ramp, width, height, "uchar", TRUE, NULL) || vips_invert(ramp, &alpha, NULL) ||
                 vips_bandjoin2(*image, alpha, &made, NULL);
    g_clear_object(&ramp);
    g_clear_object(&alpha);
    return become(image, failed, &made);
}

/* 16 bits a sample, of the same brightness. */
static bool widen(VipsImage **image) {
    VipsImage *made = NULL;
    return become(image, vips_linear1(*image, &made, 257.0, 0.0, NULL), &made) &&
           become(image, vips_cast(*image, &made, VIPS_FORMAT_USHORT, NULL), &made) &&
           become(image, vips_copy(*image, &made, "interpretation", VIPS_INTERPRETATION_RGB16, NULL), &made);
}

static bool separate_inks(VipsImage **image) {
    VipsImage *made = NULL;
    return become(image, vips_invert(*image, &made, NULL), &made) &&
           become(image, vips_bandjoin_const1(*image, &made, 20.0, NULL), &made) &&
           become(image, vips_copy(*image, &made, "interpretation", VIPS_INTERPRETATION_CMYK, NULL), &made);
}

/* Frames one above the other, every second one inverted, so that no encoder joins them. */
static bool animate(VipsImage **image) {
    VipsImage *inverted = NULL, *made = NULL;
    int height = vips_image_get_height(*image);
    if (vips_invert(*image, &inverted, NULL)) return false;
    VipsImage *frames[FRAMES] = {*image, inverted, *image, inverted};
    int failed = vips_arrayjoin(frames, &made, FRAMES, "across", 1, NULL);
    g_object_unref(inverted);
    if (!become(image, failed, &made) || !become(image, vips_copy(*image, &made, NULL), &made)) return false;
    vips_image_set_int(*image, "page-height", height);
    return true;
}

static bool shape_samples(VipsImage **image, enum origin_format format) {
    switch (format) {
    case ORIGIN_PNG_ALPHA:
        return add_alpha(image);
    case ORIGIN_PNG16:
        return widen(image);
    case ORIGIN_JPEG_CMYK:
        return separate_inks(image);
    case ORIGIN_GIF_ANIMATED:
        return animate(image);
    default:
        return true;
    }
}

static void set_metadata(VipsImage *image, const struct origin_picture *picture) {
    if (picture->with_exif) {
        char comment[64];
        g_snprintf(comment, sizeof comment, "Picsum ID: %u", picture->id);
        vips_image_set_string(image, "exif-ifd2-UserComment", comment);
    }
    if (picture->format == ORIGIN_JPEG_ROTATED) vips_image_set_int(image, VIPS_META_ORIENTATION, 6);
}

static int save(VipsImage *image, const struct origin_picture *picture, void **data, size_t *size) {
    gboolean strip = !picture->with_exif && picture->format != ORIGIN_JPEG_ROTATED;
    switch (picture->format) {
    case ORIGIN_WEBP:
        return vips_webpsave_buffer(image, data, size, "Q", 75, "strip", strip, NULL);
    case ORIGIN_PNG:
    case ORIGIN_PNG_ALPHA:
    case ORIGIN_PNG16:
        return vips_pngsave_buffer(image, data, size, "strip", strip, NULL);
    case ORIGIN_GIF:
    case ORIGIN_GIF_ANIMATED:
        return vips_gifsave_buffer(image, data, size, NULL);
    default:
        return vips_jpegsave_buffer(image, data, size, "Q", 75, "interlace", (gboolean)(picture->format == ORIGIN_JPEG),
                                    "optimize_coding", TRUE, "strip", strip, NULL);
    }
}

/* libvips writes a JFIF marker where it writes no EXIF; picsum's files have none. */
static GBytes *without_jfif(void *data, size_t size) {
    unsigned char *bytes = data;
    if (size > 6 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff && bytes[3] == 0xe0) {
        size_t length = 2 + ((size_t)bytes[4] << 8 | bytes[5]);
        memmove(bytes + 2, bytes + 2 + length, size - 2 - length);
        size -= length;
    }
    return g_bytes_new_with_free_func(bytes, size, g_free, bytes);
}

static GBytes *encode(struct origin *origin, const struct origin_picture *picture) {
    unsigned char *rgb = cut(origin, picture);
    void *data = NULL;
    size_t size = 0;
    VipsImage *image = vips_image_new_from_memory(rgb, (size_t)picture->width * picture->height * 3, (int)picture->width,
                                                  (int)picture->height, 3, VIPS_FORMAT_UCHAR);
    VipsImage *made = NULL;
    bool done = image && become(&image, vips_copy(image, &made, "interpretation", VIPS_INTERPRETATION_sRGB, NULL), &made) &&
                shape_colours(&image, picture) && shape_samples(&image, picture->format);
    if (done) {
        set_metadata(image, picture);
        done = save(image, picture, &data, &size) == 0;
    }
    if (!done) {
        g_printerr("grisaille-origin: picture %u: %s\n", picture->id, vips_error_buffer());
        vips_error_clear();
    }
    g_clear_object(&image);
    g_free(rgb);
    return done ? without_jfif(data, size) : NULL;
}

GBytes *origin_picture_encode(struct origin *origin, const struct origin_picture *picture) {
    char key[96];
    g_snprintf(key, sizeof key, "%u/%ux%u/%d/%d/%u/%d", picture->id, picture->width, picture->height, (int)picture->format,
               picture->gray, picture->blur, picture->with_exif);
    GBytes *result = origin_cache_get(origin->results, key);
    if (result) return result;
    result = encode(origin, picture);
    if (result) origin_cache_put(origin->results, key, result);
    return result;
}

const char *origin_format_type(enum origin_format format) {
    switch (format) {
    case ORIGIN_WEBP:
        return "image/webp";
    case ORIGIN_PNG:
    case ORIGIN_PNG_ALPHA:
    case ORIGIN_PNG16:
        return "image/png";
    case ORIGIN_GIF:
    case ORIGIN_GIF_ANIMATED:
        return "image/gif";
    default:
        return "image/jpeg";
    }
}
