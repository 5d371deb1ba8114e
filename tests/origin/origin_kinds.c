/* SPDX-License-Identifier: Apache-2.0 */
/* /kind/<name>/W/H/ID: the same pictures in every format that a catalog may bring, and some that are hard to read.
 * png webp gif jpeg jpeg-gray jpeg-sequential jpeg-cmyk png-alpha png16 gif-animated exif-rotated half-jpeg;
 * /kind/same/<anything>: one and the same JPEG; /kind/svg: a kind that is not supported. */
#include "origin.h"

#include <stdlib.h>
#include <string.h>

struct kind {
    const char *name;
    enum origin_format format;
    bool gray, half;
};

static const struct kind kinds[] = {
    {"jpeg", ORIGIN_JPEG, false, false},
    {"jpeg-gray", ORIGIN_JPEG, true, false},
    {"jpeg-sequential", ORIGIN_JPEG_SEQUENTIAL, false, false},
    {"jpeg-cmyk", ORIGIN_JPEG_CMYK, false, false},
    {"exif-rotated", ORIGIN_JPEG_ROTATED, false, false},
    {"half-jpeg", ORIGIN_JPEG_SEQUENTIAL, false, true},
    {"half-progressive", ORIGIN_JPEG, false, true},
    {"webp", ORIGIN_WEBP, false, false},
    {"png", ORIGIN_PNG, false, false},
    {"png-gray", ORIGIN_PNG, true, false},
    {"png-alpha", ORIGIN_PNG_ALPHA, false, false},
    {"png16", ORIGIN_PNG16, false, false},
    {"gif", ORIGIN_GIF, false, false},
    {"gif-animated", ORIGIN_GIF_ANIMATED, false, false},
};

static const char svg[] =
    "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"64\" height=\"48\">"
    "<rect width=\"64\" height=\"48\" fill=\"#369\"/><circle cx=\"32\" cy=\"24\" r=\"16\" fill=\"#fc3\"/></svg>\n";

static bool parse_number(const char *text, unsigned most, unsigned *out) {
    char *end = NULL;
    unsigned long number = strtoul(text, &end, 10);
    *out = (unsigned)number;
    return *text >= '0' && *text <= '9' && *end == 0 && number <= most;
}

static enum MHD_Result serve_kind(struct origin_request *request, const struct kind *kind, char **parts, guint count) {
    struct origin_picture picture = {.format = kind->format, .gray = kind->gray};
    bool right = count == 4 && parse_number(parts[1], ORIGIN_SIZE_MAX, &picture.width) &&
                 parse_number(parts[2], ORIGIN_SIZE_MAX, &picture.height) && parse_number(parts[3], 1u << 30, &picture.id) &&
                 picture.width && picture.height;
    if (!right) return origin_send_error(request, 404, "page not found");
    GBytes *bytes = origin_picture_encode(request->origin, &picture);
    if (bytes && kind->half) {
        GBytes *half = g_bytes_new_from_bytes(bytes, 0, g_bytes_get_size(bytes) / 2);
        g_bytes_unref(bytes);
        bytes = half;
    }
    return origin_send_bytes(request, 200, origin_format_type(kind->format), bytes);
}

enum MHD_Result origin_kind_serve(struct origin_request *request) {
    char **parts = g_strsplit(request->path + strlen("/kind/"), "/", 6);
    guint count = g_strv_length(parts);
    enum MHD_Result result = MHD_NO;
    const struct kind *kind = NULL;
    for (size_t i = 0; i < G_N_ELEMENTS(kinds) && count > 0; i++)
        if (!strcmp(kinds[i].name, parts[0])) kind = &kinds[i];
    if (kind) {
        result = serve_kind(request, kind, parts, count);
    } else if (count > 0 && !strcmp(parts[0], "same")) {
        struct origin_picture picture = {.id = 7, .width = 64, .height = 48};
        result = origin_send_bytes(request, 200, "image/jpeg", origin_picture_encode(request->origin, &picture));
    } else if (count > 0 && !strcmp(parts[0], "svg")) {
        result = origin_send_text(request, 200, "image/svg+xml", svg);
    } else {
        result = origin_send_error(request, 404, "page not found");
    }
    g_strfreev(parts);
    return result;
}
