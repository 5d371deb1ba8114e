/* SPDX-License-Identifier: Apache-2.0 */
/* The marker walk: frame header, scan script, end of image. */
#include "jpeg_survey.h"

#include <string.h>

enum { COMPONENTS_MAX = 4, COEFFICIENTS = 64, UNSEEN = -1 };
enum {
    SOF0 = 0xC0,
    SOF15 = 0xCF,
    DHT = 0xC4,
    JPG = 0xC8,
    DAC = 0xCC,
    RST0 = 0xD0,
    RST7 = 0xD7,
    SOI = 0xD8,
    EOI = 0xD9,
    SOS = 0xDA,
    TEM = 0x01
};

struct walk {
    struct gri_slice source;
    size_t at;
    struct gri_jpeg_survey *survey;
    uint8_t ids[COMPONENTS_MAX];
    int8_t planes[COMPONENTS_MAX][COEFFICIENTS]; /* lowest bit plane seen of each coefficient */
    struct gri_error *error;
};

static enum gri_status corrupt(struct walk *walk, const char *what) {
    return gri_fail(walk->error, GRI_R_corrupt_image, "JPEG: %s (byte %zu of %zu)", what, walk->at, walk->source.len);
}

/* The body of the segment at `at` (its length field there); moves behind it. */
static enum gri_status take_segment(struct walk *walk, struct gri_slice *body) {
    size_t left = walk->source.len - walk->at;
    const uint8_t *data = walk->source.data + walk->at;
    size_t len = left >= 2 ? (size_t)data[0] << 8 | data[1] : 0;
    if (len < 2 || len > left) return corrupt(walk, "a segment does not fit");
    *body = (struct gri_slice){data + 2, len - 2};
    walk->at += len;
    return GRI_OK;
}

static enum gri_status read_frame(struct walk *walk, int marker, struct gri_slice body) {
    struct gri_jpeg_survey *survey = walk->survey;
    int kind = marker - SOF0; /* 0 baseline, 1 extended, 2 progressive, 9 and 10 the same with arithmetic coding */
    if (kind != 0 && kind != 1 && kind != 2 && kind != 9 && kind != 10)
        return gri_fail(walk->error, GRI_R_unsupported_format, "a lossless or hierarchical JPEG (SOF%d)", kind);
    if (survey->components) return corrupt(walk, "a second frame header");
    if (body.len < 6 || body.data[5] == 0 || body.len != 6 + 3 * (size_t)body.data[5])
        return corrupt(walk, "a malformed frame header");
    if (body.data[0] != 8) return gri_fail(walk->error, GRI_R_unsupported_format, "a JPEG of %d bits a sample", body.data[0]);
    if (body.data[5] > COMPONENTS_MAX)
        return gri_fail(walk->error, GRI_R_unsupported_format, "a JPEG of %d components", body.data[5]);
    survey->height = body.data[1] << 8 | body.data[2];
    survey->width = body.data[3] << 8 | body.data[4];
    if (survey->height == 0 || survey->width == 0) return corrupt(walk, "a width or height of 0");
    survey->components = body.data[5];
    survey->progressive = kind == 2 || kind == 10;
    for (int i = 0; i < survey->components; i++)
        walk->ids[i] = body.data[6 + 3 * i];
    return GRI_OK;
}

/* Notes which coefficients of a component a scan brings, down to which bit. */
static enum gri_status note_planes(struct walk *walk, int component, int first, int last, int high, int low) {
    for (int k = first; k <= last; k++) {
        int8_t *plane = &walk->planes[component][k];
        bool initial = high == 0;
        if (initial ? *plane != UNSEEN : *plane != high) return corrupt(walk, "the scans do not follow on each other");
        *plane = (int8_t)low;
    }
    return GRI_OK;
}

static enum gri_status read_scan(struct walk *walk, struct gri_slice body) {
    struct gri_jpeg_survey *survey = walk->survey;
    size_t count = body.len > 0 ? body.data[0] : 0;
    if (!survey->components || count == 0 || count > COMPONENTS_MAX || body.len != 4 + 2 * count)
        return corrupt(walk, "a malformed scan header");
    if (++survey->scans > GRI_JPEG_SCANS_MAX) return corrupt(walk, "more scans than any encoder writes");
    const uint8_t *end = body.data + 1 + 2 * count;
    int first = survey->progressive ? end[0] : 0, last = survey->progressive ? end[1] : COEFFICIENTS - 1;
    int high = survey->progressive ? end[2] >> 4 : 0, low = survey->progressive ? end[2] & 15 : 0;
    if (first > last || last >= COEFFICIENTS || low > 13 || (high && low != high - 1) ||
        (first == 0 && last > 0 && survey->progressive))
        return corrupt(walk, "a malformed scan header");
    for (size_t i = 0; i < count; i++) {
        int component = 0;
        while (component < survey->components && walk->ids[component] != body.data[1 + 2 * i])
            component++;
        if (component == survey->components) return corrupt(walk, "a scan of no component");
        if (note_planes(walk, component, first, last, high, low) != GRI_OK) return walk->error->status;
    }
    return GRI_OK;
}

/* Moves to the 0xFF of the marker that ends the entropy-coded data. */
static enum gri_status skip_entropy(struct walk *walk) {
    while (walk->at < walk->source.len) {
        const uint8_t *found = memchr(walk->source.data + walk->at, 0xFF, walk->source.len - walk->at);
        if (!found) break;
        walk->at = (size_t)(found - walk->source.data);
        size_t next = walk->at + 1;
        if (next >= walk->source.len) break;
        uint8_t code = walk->source.data[next];
        if (code != 0 && code != 0xFF && !(code >= RST0 && code <= RST7)) return GRI_OK;
        walk->at += code == 0xFF ? 1 : 2;
    }
    walk->at = walk->source.len;
    return corrupt(walk, "the data ends before the end-of-image marker");
}

/* The next marker's code, past fill bytes. Bytes between segments are what libjpeg warns of. */
static enum gri_status next_marker(struct walk *walk, int *marker) {
    const struct gri_slice *source = &walk->source;
    if (walk->at < source->len && source->data[walk->at] != 0xFF) return corrupt(walk, "bytes that belong to no segment");
    while (walk->at < source->len && source->data[walk->at] == 0xFF)
        walk->at++;
    if (walk->at >= source->len) return corrupt(walk, "the data ends before the end-of-image marker");
    *marker = source->data[walk->at++];
    return GRI_OK;
}

static enum gri_status check_planes(struct walk *walk, bool luma_only) {
    int components = luma_only && walk->survey->components > 0 ? 1 : walk->survey->components;
    if (components == 0) return corrupt(walk, "no frame header");
    for (int i = 0; i < components; i++)
        for (int k = 0; k < COEFFICIENTS; k++)
            if (walk->planes[i][k] != 0) return corrupt(walk, "scans are missing");
    return GRI_OK;
}

static enum gri_status read_segment(struct walk *walk, int marker) {
    if (marker == TEM || (marker >= RST0 && marker <= SOI) || marker == 0) return corrupt(walk, "a marker out of place");
    struct gri_slice body = {0};
    if (take_segment(walk, &body) != GRI_OK) return walk->error->status;
    if (marker == SOS) return read_scan(walk, body) == GRI_OK ? skip_entropy(walk) : walk->error->status;
    bool frame = marker >= SOF0 && marker <= SOF15 && marker != DHT && marker != JPG && marker != DAC;
    return frame ? read_frame(walk, marker, body) : GRI_OK;
}

enum gri_status gri_jpeg_survey(struct gri_slice source, bool luma_only, struct gri_jpeg_survey *survey,
                                struct gri_error *error) {
    struct walk walk = {.source = source, .at = 2, .survey = survey, .error = error};
    *survey = (struct gri_jpeg_survey){0};
    memset(walk.planes, UNSEEN, sizeof walk.planes);
    if (source.len < 4 || source.data[0] != 0xFF || source.data[1] != SOI) return corrupt(&walk, "no start-of-image marker");
    for (;;) {
        int marker = 0;
        if (next_marker(&walk, &marker) != GRI_OK) return error->status;
        if (marker == EOI) break;
        if (read_segment(&walk, marker) != GRI_OK) return error->status;
    }
    survey->trailing_bytes = (int64_t)(source.len - walk.at);
    return check_planes(&walk, luma_only);
}
