/* SPDX-License-Identifier: Apache-2.0 */
/* The frames between a worker and the child that runs one suspicious job (grisaille/isolator.h). */
#include <grisaille/isolator.h>

#include <stdlib.h>
#include <string.h>

static const char MAGIC[4] = {'G', 'R', 'I', '1'};

void gri_isolated_init(struct gri_isolated *request, const char *url, struct gri_slice definition) {
    void (*done)(struct gri_op * op) = request->op.done;
    *request = (struct gri_isolated){.op.done = done, .url = url, .definition = definition};
    gri_fetch_init(&request->fetch, url);
}

void gri_isolated_clear(struct gri_isolated *request) {
    if (!request) return;
    gri_fetch_clear(&request->fetch);
    gri_picture_clear(&request->picture);
}

/* --- writing --------------------------------------------------------------------------------------------------------- */

static void put_u64(struct gri_bytes *out, uint64_t value) {
    uint8_t raw[8];
    for (size_t i = 0; i < sizeof raw; i++)
        raw[i] = (uint8_t)(value >> (8 * i));
    gri_bytes_put_slice(out, (struct gri_slice){raw, sizeof raw});
}

static void put_bytes(struct gri_bytes *out, struct gri_slice bytes) {
    put_u64(out, bytes.len);
    gri_bytes_put_slice(out, bytes);
}

static void put_text(struct gri_bytes *out, const char *text) {
    put_bytes(out, gri_slice_of(text ? text : ""));
}

static void put_real(struct gri_bytes *out, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_u64(out, bits);
}

/* Room for the header; its length comes with frame_end. */
static size_t frame_begin(struct gri_bytes *out, enum gri_frame_kind kind) {
    size_t at = out->len;
    uint8_t raw[4] = {(uint8_t)kind, 0, 0, 0};
    gri_bytes_put_slice(out, (struct gri_slice){(const uint8_t *)MAGIC, sizeof MAGIC});
    gri_bytes_put_slice(out, (struct gri_slice){raw, sizeof raw});
    put_u64(out, 0);
    return at;
}

static enum gri_status frame_end(struct gri_bytes *out, size_t at, struct gri_error *error) {
    if (gri_bytes_failed(out)) return gri_fail(error, GRI_R_no_memory, "a frame over %zu bytes", out->max);
    uint64_t len = out->len - at - GRI_FRAME_HEADER;
    for (size_t i = 0; i < 8; i++)
        out->data[at + 8 + i] = (uint8_t)(len >> (8 * i));
    return GRI_OK;
}

enum gri_status gri_frame_write_request(const char *url, struct gri_slice definition, struct gri_slice settings,
                                        struct gri_bytes *out, struct gri_error *error) {
    size_t at = frame_begin(out, GRI_FRAME_REQUEST);
    put_text(out, url);
    put_bytes(out, definition);
    put_bytes(out, settings);
    return frame_end(out, at, error);
}

void gri_frame_write_started(struct gri_bytes *out) {
    (void)frame_begin(out, GRI_FRAME_STARTED);
}

static void put_error(struct gri_bytes *out, enum gri_status status, const struct gri_error *error) {
    put_u64(out, (uint64_t)status);
    put_u64(out, status == GRI_OK ? 0 : (uint64_t)error->reason);
    put_text(out, status == GRI_OK ? "" : error->detail);
}

static void put_fetch(struct gri_bytes *out, const struct gri_fetch *fetch) {
    put_error(out, fetch->op.status, &fetch->op.error);
    put_u64(out, (uint64_t)fetch->http_status);
    put_u64(out, fetch->final_url ? 1 : 0);
    put_text(out, fetch->final_url);
    put_text(out, fetch->content_type);
    put_text(out, fetch->etag);
    put_text(out, fetch->last_modified);
    put_text(out, fetch->provider_id);
    put_u64(out, (uint64_t)fetch->retry_after_ms);
    put_u64(out, fetch->throttled ? 1 : 0);
    put_u64(out, (uint64_t)fetch->redirects);
    put_real(out, fetch->dns_seconds);
    put_real(out, fetch->total_seconds);
    put_bytes(out, gri_bytes_slice(&fetch->body));
}

static void put_picture(struct gri_bytes *out, const struct gri_picture *picture) {
    put_text(out, picture->name);
    put_bytes(out, gri_bytes_slice(&picture->output));
    put_text(out, picture->content_type);
    put_u64(out, (uint64_t)picture->width);
    put_u64(out, (uint64_t)picture->height);
    put_text(out, picture->source_type);
    put_u64(out, (uint64_t)picture->source_width);
    put_u64(out, (uint64_t)picture->source_height);
    put_u64(out, picture->lossless ? 1 : 0);
    put_text(out, picture->note);
    put_text(out, picture->facts);
    put_text(out, picture->phash);
    put_u64(out, (uint64_t)picture->decodes);
}

/* One behind the other, after their number. */
static void put_pictures(struct gri_bytes *out, const struct gri_picture *first) {
    uint64_t count = 0;
    for (const struct gri_picture *picture = first; picture; picture = picture->next)
        count++;
    put_u64(out, count);
    for (const struct gri_picture *picture = first; picture; picture = picture->next)
        put_picture(out, picture);
}

enum gri_status gri_frame_write_result(const struct gri_isolated *request, struct gri_bytes *out, struct gri_error *error) {
    size_t at = frame_begin(out, GRI_FRAME_RESULT);
    put_u64(out, (uint64_t)request->end);
    put_error(out, request->op.status, &request->op.error);
    put_fetch(out, &request->fetch);
    put_pictures(out, &request->picture);
    return frame_end(out, at, error);
}

/* --- reading --------------------------------------------------------------------------------------------------------- */

struct reader {
    const uint8_t *at;
    size_t left;
    bool failed; /* sticky */
};

static uint64_t take_u64(struct reader *reader) {
    uint64_t value = 0;
    if (reader->left < 8) reader->failed = true;
    if (reader->failed) return 0;
    for (size_t i = 0; i < 8; i++)
        value |= (uint64_t)reader->at[i] << (8 * i);
    reader->at += 8;
    reader->left -= 8;
    return value;
}

/* A number within 0 … max. */
static int take_int(struct reader *reader, int max) {
    uint64_t value = take_u64(reader);
    if (value > (uint64_t)max) reader->failed = true;
    return reader->failed ? 0 : (int)value;
}

/* Seconds: finite, not negative. */
static double take_seconds(struct reader *reader) {
    uint64_t bits = take_u64(reader);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value >= 0 && value < 1e9 ? value : 0;
}

static struct gri_slice take_slice(struct reader *reader) {
    uint64_t len = take_u64(reader);
    if (len > reader->left) reader->failed = true;
    if (reader->failed) return (struct gri_slice){0};
    struct gri_slice slice = {reader->at, (size_t)len};
    reader->at += len;
    reader->left -= (size_t)len;
    return slice;
}

static void take_text(struct reader *reader, char *out, size_t size) {
    struct gri_slice slice = take_slice(reader);
    if (slice.len >= size || (slice.len && memchr(slice.data, 0, slice.len))) reader->failed = true;
    if (reader->failed || slice.len == 0) {
        out[0] = '\0';
        return;
    }
    memcpy(out, slice.data, slice.len);
    out[slice.len] = '\0';
}

static char *take_string(struct reader *reader, size_t max) {
    struct gri_slice slice = take_slice(reader);
    if (slice.len > max || (slice.len && memchr(slice.data, 0, slice.len))) reader->failed = true;
    return reader->failed ? NULL : gri_strndup(slice.len ? (const char *)slice.data : "", slice.len);
}

static void take_bytes(struct reader *reader, struct gri_bytes *out) {
    struct gri_slice slice = take_slice(reader);
    struct gri_error error;
    if (!reader->failed && slice.len > 0 && gri_bytes_append(out, slice.data, slice.len, &error) != GRI_OK) reader->failed = true;
}

static bool finished(const struct reader *reader) {
    return !reader->failed && reader->left == 0;
}

bool gri_frame_header(struct gri_slice bytes, enum gri_frame_kind *kind, uint64_t *len, bool *broken) {
    *broken = bytes.len >= sizeof MAGIC && memcmp(bytes.data, MAGIC, sizeof MAGIC) != 0;
    if (*broken || bytes.len < GRI_FRAME_HEADER) return false;
    unsigned number =
        bytes.data[4] | (unsigned)bytes.data[5] << 8 | (unsigned)bytes.data[6] << 16 | (unsigned)bytes.data[7] << 24;
    *broken = number < GRI_FRAME_REQUEST || number > GRI_FRAME_RESULT;
    if (*broken) return false;
    struct reader reader = {bytes.data + 8, 8, false};
    *kind = (enum gri_frame_kind)number;
    *len = take_u64(&reader);
    return true;
}

enum gri_status gri_frame_read_request(struct gri_slice payload, char **url, struct gri_bytes *definition,
                                       struct gri_bytes *settings, struct gri_error *error) {
    struct reader reader = {payload.data, payload.len, false};
    *url = take_string(&reader, GRI_URL_MAX);
    take_bytes(&reader, definition);
    take_bytes(&reader, settings);
    if (finished(&reader)) return GRI_OK;
    free(*url);
    *url = NULL;
    return gri_fail(error, GRI_R_bad_request, "the request frame is malformed");
}

static void take_error(struct reader *reader, struct gri_op *op) {
    op->status = (enum gri_status)take_int(reader, GRI_FATAL);
    op->error = (struct gri_error){.status = op->status, .reason = (enum gri_reason)take_int(reader, GRI_REASON_COUNT - 1)};
    take_text(reader, op->error.detail, sizeof op->error.detail);
}

static void take_fetch(struct reader *reader, struct gri_fetch *fetch) {
    take_error(reader, &fetch->op);
    fetch->http_status = take_int(reader, 999);
    bool has_final = take_int(reader, 1) == 1;
    char *final = take_string(reader, (size_t)GRI_FINAL_URL_MAX);
    if (has_final && !reader->failed) {
        fetch->final_url = final;
    } else {
        free(final);
    }
    take_text(reader, fetch->content_type, sizeof fetch->content_type);
    take_text(reader, fetch->etag, sizeof fetch->etag);
    take_text(reader, fetch->last_modified, sizeof fetch->last_modified);
    take_text(reader, fetch->provider_id, sizeof fetch->provider_id);
    fetch->retry_after_ms = (int64_t)take_u64(reader);
    if (fetch->retry_after_ms < -1) reader->failed = true;
    fetch->throttled = take_int(reader, 1) == 1;
    fetch->redirects = take_int(reader, 1000);
    fetch->dns_seconds = take_seconds(reader);
    fetch->total_seconds = take_seconds(reader);
    take_bytes(reader, &fetch->body);
}

static void take_picture(struct reader *reader, struct gri_picture *picture) {
    take_text(reader, picture->name, sizeof picture->name);
    gri_bytes_init(&picture->output, reader->left + 1);
    take_bytes(reader, &picture->output);
    take_text(reader, picture->content_type, sizeof picture->content_type);
    picture->width = take_int(reader, INT32_MAX);
    picture->height = take_int(reader, INT32_MAX);
    take_text(reader, picture->source_type, sizeof picture->source_type);
    picture->source_width = take_int(reader, INT32_MAX);
    picture->source_height = take_int(reader, INT32_MAX);
    picture->lossless = take_int(reader, 1) == 1;
    take_text(reader, picture->note, sizeof picture->note);
    take_text(reader, picture->facts, sizeof picture->facts);
    take_text(reader, picture->phash, sizeof picture->phash);
    picture->decodes = take_int(reader, 1000);
}

static void take_pictures(struct reader *reader, struct gri_picture *first) {
    int count = take_int(reader, GRI_OUTPUTS_MAX);
    struct gri_picture *picture = first;
    if (count < 1) reader->failed = true;
    for (int i = 0; i < count && !reader->failed; i++) {
        if (i > 0) picture = picture->next = gri_calloc(1, sizeof *picture);
        take_picture(reader, picture);
    }
}

/* A success has a fetch that succeeded, a source and its pictures; a failure has a class and a reason. */
static bool makes_sense(const struct gri_isolated *request) {
    const struct gri_fetch *fetch = &request->fetch;
    if (request->op.status == GRI_OK) {
        for (const struct gri_picture *picture = &request->picture; picture; picture = picture->next)
            if (picture->output.len == 0) return false;
        return request->end == GRI_ISOLATED_ANSWERED && fetch->op.status == GRI_OK && fetch->body.len > 0;
    }
    return request->end != GRI_ISOLATED_DIED && request->op.error.reason != GRI_R_none &&
           (fetch->op.status == GRI_OK || fetch->op.error.reason != GRI_R_none);
}

enum gri_status gri_frame_read_result(struct gri_slice payload, struct gri_isolated *request, struct gri_error *error) {
    struct reader reader = {payload.data, payload.len, false};
    request->fetch.body.max = payload.len + 1;
    request->end = (enum gri_isolated_end)take_int(&reader, GRI_ISOLATED_KILLED);
    take_error(&reader, &request->op);
    take_fetch(&reader, &request->fetch);
    take_pictures(&reader, &request->picture);
    if (finished(&reader) && makes_sense(request)) return GRI_OK;
    gri_isolated_clear(request);
    gri_isolated_init(request, request->url, request->definition);
    return gri_fail(error, GRI_R_bad_request, "the result frame is malformed");
}
