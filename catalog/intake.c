/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks of a pushed catalog. */
#include "intake.h"

#include <stdlib.h>
#include <string.h>

#include "lines.h"

struct gri_intake {
    const struct gri_crypto *crypto;
    struct gri_sha256 *sum; /* NULL once finished */
    int64_t max_bytes;
    gri_intake_sink *sink;
    void *arg;
    struct gri_error failed; /* status GRI_OK while all is well */
    struct gri_push_totals totals;
    size_t len;     /* bytes in text */
    int64_t ended;  /* lines that begin and end in text */
    size_t newline; /* bytes of text up to and with its last '\n'; 0: none */
    bool continued; /* text begins inside a line of the chunk before */
    uint8_t text[GRI_CHUNK_BYTES];
};

struct gri_intake *gri_intake_create(const struct gri_crypto *crypto, int64_t max_bytes, gri_intake_sink *sink, void *arg) {
    struct gri_intake *intake = gri_calloc(1, sizeof(*intake));
    *intake = (struct gri_intake){.crypto = crypto, .max_bytes = max_bytes, .sink = sink, .arg = arg};
    intake->sum = crypto->sha256_begin();
    return intake;
}

void gri_intake_destroy(struct gri_intake *intake) {
    if (!intake) return;
    if (intake->sum) intake->crypto->sha256_end(intake->sum, NULL);
    free(intake);
}

/* Hands out the first `len` bytes and keeps the rest as the start of the next chunk. */
static enum gri_status emit(struct gri_intake *intake, size_t len) {
    struct gri_push_chunk chunk = {.number = intake->totals.chunks,
                                   .first_line = intake->totals.lines + 1,
                                   .continued = intake->continued,
                                   .text = {intake->text, len}};
    struct gri_lines lines;
    struct gri_slice line;
    int64_t number = 0;
    gri_lines_init(&lines, chunk.text, chunk.first_line, chunk.continued);
    while (gri_lines_next(&lines, &number, &line)) {
        chunk.lines++;
        if (gri_line_is_blank(line)) intake->totals.blank++;
    }
    enum gri_status status = intake->sink(intake->arg, &chunk, &intake->failed);
    if (status != GRI_OK) return status;
    intake->totals.chunks++;
    intake->totals.lines += chunk.lines;
    intake->continued = intake->text[len - 1] != '\n';
    memmove(intake->text, intake->text + len, intake->len - len);
    intake->len -= len;
    intake->newline = 0;
    intake->ended = 0;
    return GRI_OK;
}

/* Takes bytes up to the end of a line, or all there are, or all there is room for; returns how many. */
static size_t take(struct gri_intake *intake, struct gri_slice bytes) {
    size_t room = GRI_CHUNK_BYTES - intake->len;
    size_t count = bytes.len < room ? bytes.len : room;
    const uint8_t *end = memchr(bytes.data, '\n', count);
    if (end) count = (size_t)(end - bytes.data) + 1;
    memcpy(intake->text + intake->len, bytes.data, count);
    intake->len += count;
    if (end) {
        bool foreign = intake->continued && intake->newline == 0;
        intake->newline = intake->len;
        if (!foreign) intake->ended++;
    }
    return count;
}

enum gri_status gri_intake_feed(struct gri_intake *intake, struct gri_slice bytes, struct gri_error *error) {
    GRI_ASSERT(intake->sum);
    if (intake->failed.status == GRI_OK && intake->max_bytes > 0 && (int64_t)bytes.len > intake->max_bytes - intake->totals.bytes)
        gri_fail(&intake->failed, GRI_R_body_too_large, "the catalog is over %lld bytes", (long long)intake->max_bytes);
    if (intake->failed.status == GRI_OK && bytes.len) {
        intake->crypto->sha256_add(intake->sum, bytes);
        intake->totals.bytes += (int64_t)bytes.len;
    }
    while (intake->failed.status == GRI_OK && bytes.len) {
        size_t used = take(intake, bytes);
        bytes = (struct gri_slice){bytes.data + used, bytes.len - used};
        if (intake->ended == GRI_CHUNK_LINES) {
            intake->failed.status = emit(intake, intake->len);
        } else if (intake->len == GRI_CHUNK_BYTES) {
            intake->failed.status = emit(intake, intake->newline ? intake->newline : intake->len);
        }
    }
    if (intake->failed.status != GRI_OK) *error = intake->failed;
    return intake->failed.status;
}

enum gri_status gri_intake_finish(struct gri_intake *intake, struct gri_push_totals *totals, struct gri_error *error) {
    GRI_ASSERT(intake->sum);
    if (intake->failed.status == GRI_OK && intake->len) intake->failed.status = emit(intake, intake->len);
    if (intake->failed.status != GRI_OK) {
        *error = intake->failed;
        return intake->failed.status;
    }
    intake->crypto->sha256_end(intake->sum, intake->totals.sha256);
    intake->sum = NULL;
    *totals = intake->totals;
    return GRI_OK;
}
