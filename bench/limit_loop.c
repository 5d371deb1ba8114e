/* SPDX-License-Identifier: Apache-2.0 */
/* The limit: one thread that does only what must be done to each image, with the product's own codec and sums, and nothing of
 * what makes it a product (no queue, ledger, second look, deadline, metric, event loop).
 *
 * limit_loop HTTP_PORT MONGO_PORT DATABASE [structure] <PATHS: receives each path from the origin, validates it and takes its
 * gray out, makes three sums and base64, builds the document, and sends 64 of them as one bulk (majority, journal). One line of
 * JSON: images, and CPU seconds of the thread by step. */
#include "crypto.h"
#include "jpeg_gray.h"
#include "wire.h"

#include <bson/bson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BULK = 64, STEPS = 6, PATH_MAX_BYTES = 400 };

enum step { RECEIVE, GRAY, SUMS, BASE64, BUILD, SEND };

struct limit {
    const struct gri_crypto *crypto;
    struct gri_jpeg_limits limits;
    int http_port, http, mongo;
    const char *database;
    struct gri_bytes received, gray, text;
    struct gri_jpeg_info info;
    uint8_t *bulk; /* documents, one behind the other */
    size_t bulk_size, pending, images;
    bson_writer_t *writer;
    double steps[STEPS], last;
};

static double cpu_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void step_over(struct limit *limit, enum step step) {
    double now = cpu_seconds();
    limit->steps[step] += now - limit->last;
    limit->last = now;
}

static void build(struct limit *limit, const char *path, size_t source_len, const char sums[3][GRI_SHA256_HEX]) {
    bson_t *document, inner;
    char id[128];
    if (!bson_writer_begin(limit->writer, &document) || !gri_format(id, sizeof id, "%s:gray@limit", sums[0]))
        wire_die("the bulk is too large");
    BSON_APPEND_UTF8(document, "_id", id);
    BSON_APPEND_UTF8(document, "content_type", "image/jpeg");
    BSON_APPEND_INT32(document, "width", limit->info.width);
    BSON_APPEND_INT32(document, "height", limit->info.height);
    BSON_APPEND_INT64(document, "bytes", (int64_t)limit->gray.len);
    BSON_APPEND_DOCUMENT_BEGIN(document, "source", &inner);
    BSON_APPEND_UTF8(&inner, "url", path);
    BSON_APPEND_INT64(&inner, "bytes", (int64_t)source_len);
    bson_append_document_end(document, &inner);
    BSON_APPEND_DOCUMENT_BEGIN(document, "sums", &inner);
    BSON_APPEND_UTF8(&inner, "source", sums[0]);
    BSON_APPEND_UTF8(&inner, "output", sums[1]);
    BSON_APPEND_UTF8(&inner, "base64", sums[2]);
    bson_append_document_end(document, &inner);
    if (!bson_append_utf8(document, "data", 4, gri_bytes_text(&limit->text), (int)limit->text.len))
        wire_die("a document is too large");
    bson_writer_end(limit->writer);
}

static void begin_bulk(struct limit *limit) {
    limit->writer = bson_writer_new(&limit->bulk, &limit->bulk_size, 0, bson_realloc_ctx, NULL);
    limit->pending = 0;
}

static void send_bulk(struct limit *limit) {
    struct gri_slice documents = {limit->bulk, bson_writer_get_length(limit->writer)};
    if (limit->pending > 0) wire_insert(limit->mongo, limit->database, "limit", documents, limit->pending);
    bson_writer_destroy(limit->writer);
    begin_bulk(limit);
}

static void one(struct limit *limit, const char *path) {
    char sums[3][GRI_SHA256_HEX];
    struct gri_error error;
    bool handled = false;
    struct gri_slice source = wire_get(limit->http, limit->http_port, path, &limit->received);
    step_over(limit, RECEIVE);
    gri_bytes_reset(&limit->gray);
    if (gri_jpeg_gray_take(source, 0, &limit->limits, &limit->gray, &limit->info, &handled, &error) != GRI_OK || !handled)
        wire_die("a picture is not of the kind this loop can do");
    step_over(limit, GRAY);
    limit->crypto->sha256_hex(source, sums[0]);
    limit->crypto->sha256_hex(gri_bytes_slice(&limit->gray), sums[1]);
    step_over(limit, SUMS);
    gri_bytes_reset(&limit->text);
    if (limit->crypto->base64_encode(gri_bytes_slice(&limit->gray), &limit->text, &error) != GRI_OK) wire_die(error.detail);
    step_over(limit, BASE64);
    limit->crypto->sha256_hex(gri_bytes_slice(&limit->text), sums[2]);
    step_over(limit, SUMS);
    build(limit, path, source.len, (const char(*)[GRI_SHA256_HEX])sums);
    step_over(limit, BUILD);
    limit->images++;
    if (++limit->pending == BULK) send_bulk(limit);
    step_over(limit, SEND);
}

static void print(const struct limit *limit, double total) {
    static const char *const names[STEPS] = {"receive", "gray", "sums", "base64", "build", "send"};
    printf("{\"images\": %zu, \"cpu_seconds\": %.6f", limit->images, total);
    for (int i = 0; i < STEPS; i++)
        printf(", \"%s\": %.6f", names[i], limit->steps[i]);
    printf("}\n");
}

int main(int argc, char **argv) {
    struct gri_error error;
    char path[PATH_MAX_BYTES];
    if (argc < 4 || argc > 5) wire_die("limit_loop HTTP_PORT MONGO_PORT DATABASE [structure] <PATHS");
    struct limit limit = {.crypto = gri_crypto_create(&error), .database = argv[3], .http_port = (int)strtol(argv[1], NULL, 10)};
    if (!limit.crypto) wire_die(error.detail);
    limit.limits =
        (struct gri_jpeg_limits){.max_pixels = 50000000, .max_output_bytes = 32 << 20, .timeout_ms = 60000, .max_scans = 100};
    limit.limits.verify = argc == 5 ? GRI_JPEG_VERIFY_STRUCTURE : GRI_JPEG_VERIFY_FULL;
    limit.http = wire_connect(limit.http_port);
    limit.mongo = wire_connect((int)strtol(argv[2], NULL, 10));
    gri_bytes_init(&limit.received, 0);
    gri_bytes_init(&limit.gray, 0);
    gri_bytes_init(&limit.text, 0);
    begin_bulk(&limit);
    double start = limit.last = cpu_seconds();
    while (fgets(path, sizeof path, stdin)) {
        path[strcspn(path, "\n")] = '\0';
        one(&limit, path);
    }
    send_bulk(&limit);
    step_over(&limit, SEND);
    print(&limit, cpu_seconds() - start);
    bson_writer_destroy(limit.writer);
    free(limit.bulk);
    gri_bytes_clear(&limit.received);
    gri_bytes_clear(&limit.gray);
    gri_bytes_clear(&limit.text);
    return 0;
}
