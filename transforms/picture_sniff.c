/* SPDX-License-Identifier: Apache-2.0 */
/* Tells JPEG, PNG, WebP and GIF from other images and from everything else. */
#include "picture_sniff.h"

#include <string.h>
#include <strings.h>

/* A signature: `len` bytes at `at`. */
struct signature {
    const char *name;
    size_t at, len;
    const char *bytes;
};

#define SIGNATURE(name, at, bytes) \
    { name, at, sizeof(bytes) - 1, bytes }

static const struct signature others[] = {
    SIGNATURE("TIFF", 0, "II*\0"),
    SIGNATURE("TIFF", 0, "MM\0*"),
    SIGNATURE("BigTIFF", 0, "II+\0"),
    SIGNATURE("BigTIFF", 0, "MM\0+"),
    SIGNATURE("AVIF", 4, "ftypavif"),
    SIGNATURE("AVIF", 4, "ftypavis"),
    SIGNATURE("HEIF", 4, "ftyphei"),
    SIGNATURE("HEIF", 4, "ftyphev"),
    SIGNATURE("HEIF", 4, "ftypmif1"),
    SIGNATURE("HEIF", 4, "ftypmsf1"),
    SIGNATURE("JPEG XL", 0, "\xFF\x0A"),
    SIGNATURE("JPEG XL", 4, "JXL \r\n\x87\n"),
    SIGNATURE("JPEG 2000", 4, "jP  \r\n\x87\n"),
    SIGNATURE("JPEG 2000", 0, "\xFF\x4F\xFF\x51"),
    SIGNATURE("JPEG-LS or another JPEG", 0, "\xFF\xD8\xFF\xF7"),
    SIGNATURE("Windows icon", 0, "\0\0\1\0"),
    SIGNATURE("Windows cursor", 0, "\0\0\2\0"),
    SIGNATURE("Photoshop", 0, "8BPS"),
    SIGNATURE("DirectDraw surface", 0, "DDS "),
    SIGNATURE("OpenEXR", 0, "\x76\x2F\x31\x01"),
    SIGNATURE("Radiance HDR", 0, "#?RADIANCE"),
    SIGNATURE("MNG", 0, "\x8AMNG\r\n\x1A\n"),
    SIGNATURE("JNG", 0, "\x8BJNG\r\n\x1A\n"),
    SIGNATURE("QOI", 0, "qoif"),
    SIGNATURE("GIMP", 0, "gimp xcf"),
    SIGNATURE("FITS", 0, "SIMPLE  ="),
};

static bool has(struct gri_slice source, size_t at, const char *bytes, size_t len) {
    return source.len >= at + len && memcmp(source.data + at, bytes, len) == 0;
}

/* BMP: two letters would match any text, so its header's size is asked too. */
static bool is_bmp(struct gri_slice source) {
    return source.len >= 26 && has(source, 0, "BM", 2) && source.data[14] >= 12 && source.data[14] <= 124 &&
           source.data[15] == 0 && source.data[16] == 0 && source.data[17] == 0;
}

static bool is_pnm(struct gri_slice source) {
    return source.len >= 3 && source.data[0] == 'P' && source.data[1] >= '1' && source.data[1] <= '7' &&
           (source.data[2] == '\n' || source.data[2] == ' ' || source.data[2] == '\t' || source.data[2] == '\r');
}

/* The source without byte-order mark and leading white space, its first KiB. */
static struct gri_slice text_start(struct gri_slice source) {
    size_t at = has(source, 0, "\xEF\xBB\xBF", 3) ? 3 : 0;
    while (at < source.len && at < 4096 && memchr(" \t\r\n", source.data[at], 4))
        at++;
    size_t len = source.len - at;
    return (struct gri_slice){source.data + at, len < 1024 ? len : 1024};
}

static bool contains_fold(struct gri_slice text, const char *word) {
    size_t len = strlen(word);
    for (size_t i = 0; i + len <= text.len; i++)
        if (strncasecmp((const char *)text.data + i, word, len) == 0) return true;
    return false;
}

static enum gri_status refuse(struct gri_slice source, struct gri_error *error) {
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (has(source, others[i].at, others[i].bytes, others[i].len))
            return gri_fail(error, GRI_R_unsupported_format, "%s; only JPEG, PNG, WebP and GIF are read", others[i].name);
    if (is_bmp(source) || is_pnm(source))
        return gri_fail(error, GRI_R_unsupported_format, "%s; only JPEG, PNG, WebP and GIF are read",
                        is_bmp(source) ? "BMP" : "PNM");
    struct gri_slice text = text_start(source);
    if (text.len > 0 && text.data[0] == '<') {
        if (contains_fold(text, "<svg") && !contains_fold(text, "<html"))
            return gri_fail(error, GRI_R_unsupported_format, "SVG; only JPEG, PNG, WebP and GIF are read");
        return gri_fail(error, GRI_R_not_image, "HTML or XML of %zu bytes, not an image", source.len);
    }
    uint8_t first[4] = {0};
    memcpy(first, source.data, source.len < 4 ? source.len : 4);
    return gri_fail(error, GRI_R_not_image, "%zu bytes that begin with %02x %02x %02x %02x: no image signature", source.len,
                    first[0], first[1], first[2], first[3]);
}

enum gri_status gri_picture_sniff(struct gri_slice source, enum gri_picture_type *type, struct gri_error *error) {
    if (source.len == 0) return gri_fail(error, GRI_R_empty, "the source has no bytes");
    if (has(source, 0, "\xFF\xD8\xFF", 3) && !has(source, 3, "\xF7", 1))
        *type = GRI_PICTURE_JPEG;
    else if (has(source, 0, "\x89PNG\r\n\x1A\n", 8))
        *type = GRI_PICTURE_PNG;
    else if (has(source, 0, "RIFF", 4) && has(source, 8, "WEBP", 4))
        *type = GRI_PICTURE_WEBP;
    else if (has(source, 0, "GIF87a", 6) || has(source, 0, "GIF89a", 6))
        *type = GRI_PICTURE_GIF;
    else
        return refuse(source, error);
    return GRI_OK;
}

const char *gri_picture_mime(enum gri_picture_type type) {
    switch (type) {
    case GRI_PICTURE_JPEG:
        return "image/jpeg";
    case GRI_PICTURE_PNG:
        return "image/png";
    case GRI_PICTURE_WEBP:
        return "image/webp";
    case GRI_PICTURE_GIF:
        return "image/gif";
    }
    return "";
}

static uint32_t read_u32(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | (uint32_t)at[3];
}

enum gri_status gri_picture_png_survey(struct gri_slice source, struct gri_png_survey *survey, struct gri_error *error) {
    *survey = (struct gri_png_survey){.frames = 1};
    size_t at = 8; /* chunks: length, type, data, CRC */
    while (at < source.len && source.len - at >= 12) {
        uint32_t len = read_u32(source.data + at);
        const uint8_t *type = source.data + at + 4;
        if (len > source.len - at - 12) break;
        if (memcmp(type, "acTL", 4) == 0 && len >= 8) survey->frames = read_u32(source.data + at + 8);
        at += (size_t)len + 12;
        if (memcmp(type, "IEND", 4) == 0) {
            survey->trailing_bytes = (int64_t)(source.len - at);
            return GRI_OK;
        }
    }
    return gri_fail(error, GRI_R_corrupt_image, "PNG: the data ends before its IEND chunk (byte %zu of %zu)", at, source.len);
}

/* Behind the data sub-blocks (a length, so many bytes; 0 ends them) at `at`. */
static size_t behind_blocks(struct gri_slice source, size_t at) {
    while (at < source.len && source.data[at] != 0)
        at += (size_t)source.data[at] + 1;
    return at + 1;
}

/* GIF89a specification, sections 18 to 27. */
bool gri_picture_gif_moves(struct gri_slice source) {
    enum { HEADER = 13, DESCRIPTOR = 10, TABLE = 0x80, EXTENSION = 0x21, IMAGE = 0x2C };
    if (source.len < HEADER) return false;
    size_t at = HEADER + (source.data[10] & TABLE ? (size_t)3 << ((source.data[10] & 7) + 1) : 0);
    for (int frames = 0; at < source.len;) {
        if (source.data[at] == EXTENSION) {
            at = behind_blocks(source, at + 2);
        } else if (source.data[at] == IMAGE && source.len - at > DESCRIPTOR) {
            if (++frames > 1) return true;
            uint8_t flags = source.data[at + 9];
            at += DESCRIPTOR + (flags & TABLE ? (size_t)3 << ((flags & 7) + 1) : 0);
            at = behind_blocks(source, at + 1); /* the code size stands before them */
        } else {
            return false; /* the trailer, or damage, which the decoder tells */
        }
    }
    return false;
}
