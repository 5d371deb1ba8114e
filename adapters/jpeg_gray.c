/* SPDX-License-Identifier: Apache-2.0 */
/* Walks a JPEG's markers once and writes its luma as a gray JPEG. */
#include "jpeg_gray.h"

#include "jpeg_gray_file.h"
#include "jpeg_lossless.h"

#include <grisaille/clock.h>
#include <stdlib.h>
#include <string.h>

enum { SOURCE_MAX = 256 * 1024 * 1024 /* bit positions fit 32 bits */ };

enum gri_status gri_gray_corrupt(struct gri_gray_file *file, const char *what) {
    return gri_fail(file->error, GRI_R_corrupt_image, "JPEG: %s (byte %zu of %zu)", what, file->at, file->source.len);
}

enum gri_status gri_gray_unusual(struct gri_gray_file *file) {
    file->unusual = true;
    return gri_fail(file->error, GRI_R_unsupported_format, "JPEG: not of a kind that is taken without decoding");
}

/* The next marker's code, past fill bytes. */
static enum gri_status next_marker(struct gri_gray_file *file, int *marker) {
    const struct gri_slice *source = &file->source;
    if (file->at < source->len && source->data[file->at] != 0xFF)
        return gri_gray_corrupt(file, "bytes that belong to no segment");
    while (file->at < source->len && source->data[file->at] == 0xFF)
        file->at++;
    if (file->at >= source->len) return gri_gray_corrupt(file, "the data ends before the end-of-image marker");
    *marker = source->data[file->at++];
    return GRI_OK;
}

/* The body of the segment whose length field is next; moves behind it. */
static enum gri_status take_segment(struct gri_gray_file *file, struct gri_slice *body) {
    size_t left = file->source.len - file->at;
    const uint8_t *data = file->source.data + file->at;
    size_t len = left >= 2 ? (size_t)data[0] << 8 | data[1] : 0;
    if (len < 2 || len > left) return gri_gray_corrupt(file, "a segment does not fit");
    *body = (struct gri_slice){data + 2, len - 2};
    file->at += len;
    return GRI_OK;
}

/* The code of a restart marker that begins at `at`, after fill bytes; NULL: it is another marker, or none. */
static const uint8_t *restart_at(const uint8_t *at, const uint8_t *end) {
    while (at < end && *at == 0xFF)
        at++;
    return at < end && *at >= GRI_JPEG_RST0 && *at <= GRI_JPEG_RST7 ? at : NULL;
}

/* Notes a restart marker, before which are `len` un-stuffed bytes. Of `most` intervals the scan has; 0: it is not luma's, and
 * nobody reads it. */
static enum gri_status note_restart(struct gri_gray_file *file, struct gri_gray_scan *scan, uint8_t code, size_t len,
                                    size_t most) {
    if (!file->restart) return gri_gray_corrupt(file, "a restart marker without a restart interval");
    if (most == 0) return GRI_OK;
    if (scan->intervals == most || (code & 7) != ((scan->intervals - 1) & 7))
        return gri_gray_corrupt(file, "a restart marker out of order");
    file->ends[scan->intervals++ - 1] = (uint32_t)len;
    return GRI_OK;
}

/* Moves to the marker that ends the entropy-coded data: the first 0xFF that neither zero nor restart marker follows. With
 * `clean`, what was passed is un-stuffed into it. */
static enum gri_status read_entropy(struct gri_gray_file *file, uint8_t *clean, size_t most, struct gri_gray_scan *scan) {
    const uint8_t *start = file->source.data + file->at, *from = start, *end = file->source.data + file->source.len;
    uint8_t *to = clean;
    scan->intervals = 1;
    for (;;) {
        const uint8_t *found = memchr(from, 0xFF, (size_t)(end - from));
        if (!found || end - found < 2) {
            file->at = file->source.len;
            return gri_gray_corrupt(file, "the data ends before the end-of-image marker");
        }
        bool stuffed = found[1] == 0;
        size_t len = (size_t)(found - from) + stuffed;
        if (clean) {
            memcpy(to, from, len);
            to += len;
        }
        from = found + 2;
        if (stuffed) continue;
        file->at = (size_t)(found - file->source.data);
        const uint8_t *restart = restart_at(found, end);
        if (!restart) {
            scan->data = (struct gri_slice){start, (size_t)(found - start)};
            scan->clean = (struct gri_slice){clean, (size_t)(to - clean)};
            if (clean) memset(to, 0xFF, JPEG_GRAY_PAD);
            return GRI_OK;
        }
        if (note_restart(file, scan, *restart, clean ? (size_t)(to - clean) : 0, most) != GRI_OK) return file->error->status;
        from = restart + 1;
    }
}

/* Room for what is read of luma; *most: the intervals the scan has. */
static enum gri_status prepare(struct gri_gray_file *file, const struct gri_gray_scan *scan, bool decoded, size_t *most) {
    *most = file->restart ? (gri_gray_scan_mcus(file, scan) + file->restart - 1) / file->restart : 1;
    /* Scans that wait for a mate lie behind each other, each with its pad. */
    if (decoded && !file->clean) file->clean = malloc(file->source.len + ((size_t)file->limits->max_scans + 2) * JPEG_GRAY_PAD);
    if (file->restart && !file->ends) file->ends = malloc(file->blocks_across * file->blocks_down * sizeof *file->ends);
    if ((decoded && !file->clean) || (file->restart && !file->ends))
        return gri_fail_as(file->error, GRI_RETRY, GRI_R_no_memory, "JPEG: no memory for %zu bytes", file->source.len);
    return GRI_OK;
}

static enum gri_status read_scan(struct gri_gray_file *file, struct gri_slice body) {
    struct gri_gray_scan scan;
    if (gri_gray_read_scan_header(file, body, &scan) != GRI_OK) return file->error->status;
    if (gri_clock_ms() > file->deadline_ms)
        return gri_fail(file->error, GRI_R_decode_timeout, "JPEG: not read within %lld ms", (long long)file->limits->timeout_ms);
    bool luma = false;
    for (int i = 0; i < scan.count; i++)
        luma = luma || scan.parts[i].component == 0;
    if (!luma) return read_entropy(file, NULL, 0, &scan);
    bool decoded = file->limits->verify == GRI_JPEG_VERIFY_FULL || scan.count > 1 || scan.last == 0;
    size_t most;
    if (prepare(file, &scan, decoded, &most) != GRI_OK) return file->error->status;
    if (read_entropy(file, decoded ? file->clean + file->clean_used : NULL, most, &scan) != GRI_OK) return file->error->status;
    if (scan.intervals < most) return gri_gray_corrupt(file, "restart markers are missing");
    return gri_gray_take_scan(file, &scan);
}

static enum gri_status walk(struct gri_gray_file *file) {
    const struct gri_slice *source = &file->source;
    if (source->len > SOURCE_MAX) return gri_gray_unusual(file);
    if (source->len < 4 || source->data[0] != 0xFF || source->data[1] != GRI_JPEG_SOI)
        return gri_gray_corrupt(file, "no start-of-image marker");
    file->at = 2;
    for (;;) {
        int marker = 0;
        struct gri_slice body = {0};
        if (next_marker(file, &marker) != GRI_OK) return file->error->status;
        if (marker == GRI_JPEG_EOI) break;
        if (marker <= GRI_JPEG_TEM || (marker >= GRI_JPEG_RST0 && marker <= GRI_JPEG_SOI))
            return gri_gray_corrupt(file, "a marker out of place");
        if (take_segment(file, &body) != GRI_OK) return file->error->status;
        enum gri_status status = marker == GRI_JPEG_SOS ? read_scan(file, body) : gri_gray_read_segment(file, marker, body);
        if (status != GRI_OK) return status;
    }
    file->info->trailing_bytes = (int64_t)(source->len - file->at);
    if (gri_gray_finish_bands(file) != GRI_OK) return file->error->status;
    if (gri_gray_check_complete(file) != GRI_OK) return file->error->status;
    return gri_gray_write_raw(file, (struct gri_slice){(const uint8_t *)"\xFF\xD9", 2});
}

enum gri_status gri_jpeg_gray_take(struct gri_slice source, unsigned form, const struct gri_jpeg_limits *limits,
                                   struct gri_bytes *out, struct gri_jpeg_info *info, bool *handled, struct gri_error *error) {
    struct gri_gray_file *file = gri_calloc(1, sizeof *file);
    *info = (struct gri_jpeg_info){.orientation = 1};
    *handled = false;
    file->source = source;
    file->limits = limits;
    file->loops = gri_gray_loops(form & GRI_JPEG_GRAY_PORTABLE);
    file->progressive_only = form & GRI_JPEG_GRAY_PROGRESSIVE;
    file->info = info;
    file->error = error;
    file->deadline_ms = gri_clock_ms() + limits->timeout_ms;
    file->out = out;
    file->start = out->len;
    enum gri_status status = walk(file);
    if (file->unusual && gri_gray_finish_bands(file) != GRI_OK) file->unusual = false; /* damage counts for more */
    *handled = status == GRI_OK;
    if (status != GRI_OK) {
        out->len = file->start;
        if (out->data) out->data[out->len] = 0;
        if (file->unusual) status = GRI_OK;
    }
    free(file->clean);
    free(file->masks);
    free(file->ends);
    free(file->tables);
    free(file);
    return status;
}

/* A progressive source is what its scans are; a sequential one is made progressive by libjpeg. */
static enum gri_status jpeg_gray(struct gri_slice source, bool progressive, const struct gri_jpeg_limits *limits,
                                 struct gri_bytes *out, struct gri_jpeg_info *info, bool *handled, struct gri_error *error) {
    enum gri_status status =
        gri_jpeg_gray_take(source, progressive ? GRI_JPEG_GRAY_PROGRESSIVE : 0, limits, out, info, handled, error);
    if (status != GRI_OK || *handled) return status;
    return gri_jpeg_lossless_port()->gray(source, progressive, limits, out, info, handled, error);
}

static const char *jpeg_version(void) {
    return gri_jpeg_lossless_port()->version();
}

const struct gri_jpeg_port *gri_jpeg_gray_port(void) {
    static const struct gri_jpeg_port port = {.gray = jpeg_gray, .version = jpeg_version};
    return &port;
}
