/* SPDX-License-Identifier: Apache-2.0 */
/* Image documents to and from BSON. */
#include "mongo_image_document.h"

#include "mongo_archive.h"

#include <stdlib.h>
#include <string.h>

/* --- out ------------------------------------------------------------------------------------------------------------- */

/* The very bytes, as text or as binary: sums.document is computed over them. */
static void append_exact(bson_t *document, const char *key, const char *text) {
    gri_mongo_append_any(document, key, gri_slice_of(text));
}

static void append_source(bson_t *document, const struct gri_source *source) {
    bson_t inner;
    BSON_APPEND_DOCUMENT_BEGIN(document, "source", &inner);
    append_exact(&inner, "url", source->url ? source->url : "");
    append_exact(&inner, "final_url", source->final_url ? source->final_url : "");
    append_exact(&inner, "host", source->host);
    append_exact(&inner, "content_type", source->content_type);
    BSON_APPEND_INT32(&inner, "width", source->width);
    BSON_APPEND_INT32(&inner, "height", source->height);
    BSON_APPEND_INT64(&inner, "bytes", source->bytes);
    append_exact(&inner, "etag", source->etag);
    append_exact(&inner, "last_modified", source->last_modified);
    append_exact(&inner, "provider_id", source->provider_id);
    bson_append_document_end(document, &inner);
}

static void append_sums(bson_t *document, const struct gri_sums *sums) {
    bson_t inner;
    BSON_APPEND_DOCUMENT_BEGIN(document, "sums", &inner);
    BSON_APPEND_UTF8(&inner, "source", sums->source);
    BSON_APPEND_UTF8(&inner, "output", sums->output);
    BSON_APPEND_UTF8(&inner, "base64", sums->base64);
    BSON_APPEND_UTF8(&inner, "document", sums->document);
    bson_append_document_end(document, &inner);
}

/* As a document, to be asked by; numbers are doubles or int64, and give the same JSON again when they are read. */
static void append_facts(bson_t *document, const char *facts) {
    bson_t inner;
    if (!facts[0]) return;
    GRI_ASSERT(bson_init_from_json(&inner, facts, -1, NULL));
    BSON_APPEND_DOCUMENT(document, "facts", &inner);
    bson_destroy(&inner);
}

bson_t *gri_mongo_image_document(const struct gri_image *image) {
    bson_t *document = bson_sized_new(image->data.len + 4096);
    BSON_APPEND_UTF8(document, "_id", image->id);
    BSON_APPEND_UTF8(document, "job", image->job);
    BSON_APPEND_UTF8(document, "pipeline", image->pipeline);
    BSON_APPEND_UTF8(document, "output", image->output);
    BSON_APPEND_UTF8(document, "content_type", image->content_type);
    BSON_APPEND_INT32(document, "width", image->width);
    BSON_APPEND_INT32(document, "height", image->height);
    BSON_APPEND_INT64(document, "bytes", image->bytes);
    append_source(document, &image->source);
    append_sums(document, &image->sums);
    append_exact(document, "made_by", image->made_by);
    append_exact(document, "note", image->note);
    append_facts(document, image->facts);
    if (image->phash[0]) BSON_APPEND_UTF8(document, "phash", image->phash);
    BSON_APPEND_DATE_TIME(document, "fetched_at", image->fetched_at_ms);
    BSON_APPEND_DATE_TIME(document, "inserted_at", image->inserted_at_ms);
    /* Last, so that a reader of the rest need not step over it. */
    bson_append_utf8(document, "data", -1, gri_bytes_text(&image->data), (int)image->data.len);
    return document;
}

/* --- in -------------------------------------------------------------------------------------------------------------- */

struct reader {
    const bson_t *document;
    char *malformed;
    size_t size;
};

static void malformed(struct reader *reader, const char *path) {
    if (!reader->malformed[0]) (void)gri_copy(reader->malformed, reader->size, path);
}

static bool find(const struct reader *reader, const char *path, bson_iter_t *at) {
    bson_iter_t top;
    return bson_iter_init(&top, reader->document) && bson_iter_find_descendant(&top, path, at);
}

/* Its bytes; a NUL inside is not ours. */
static struct gri_slice slice_at(struct reader *reader, const char *path) {
    bson_iter_t at;
    struct gri_slice slice = gri_mongo_bytes(reader->document, path);
    bool text = find(reader, path, &at) && (BSON_ITER_HOLDS_UTF8(&at) || BSON_ITER_HOLDS_BINARY(&at));
    if (!text || (slice.len && memchr(slice.data, 0, slice.len))) malformed(reader, path);
    return slice;
}

static void text_at(struct reader *reader, const char *path, char *out, size_t size) {
    struct gri_slice slice = slice_at(reader, path);
    char *text = gri_strndup(slice.len ? (const char *)slice.data : "", slice.len);
    if (!gri_copy(out, size, text)) malformed(reader, path);
    free(text);
}

static char *string_at(struct reader *reader, const char *path) {
    struct gri_slice slice = slice_at(reader, path);
    return gri_strndup(slice.len ? (const char *)slice.data : "", slice.len);
}

static int64_t number_at(struct reader *reader, const char *path, bool date) {
    bson_iter_t at;
    if (!find(reader, path, &at) ||
        !(date ? BSON_ITER_HOLDS_DATE_TIME(&at) : (BSON_ITER_HOLDS_INT32(&at) || BSON_ITER_HOLDS_INT64(&at)))) {
        malformed(reader, path);
        return 0;
    }
    return date ? bson_iter_date_time(&at) : bson_iter_as_int64(&at);
}

static int int_at(struct reader *reader, const char *path) {
    int64_t value = number_at(reader, path, false);
    if (value >= INT32_MIN && value <= INT32_MAX) return (int)value;
    malformed(reader, path);
    return 0;
}

static void read_source(struct reader *reader, struct gri_source *source) {
    source->url = string_at(reader, "source.url");
    source->final_url = string_at(reader, "source.final_url");
    text_at(reader, "source.host", source->host, sizeof source->host);
    text_at(reader, "source.content_type", source->content_type, sizeof source->content_type);
    source->width = int_at(reader, "source.width");
    source->height = int_at(reader, "source.height");
    source->bytes = number_at(reader, "source.bytes", false);
    text_at(reader, "source.etag", source->etag, sizeof source->etag);
    text_at(reader, "source.last_modified", source->last_modified, sizeof source->last_modified);
    text_at(reader, "source.provider_id", source->provider_id, sizeof source->provider_id);
}

static void read_facts(struct reader *reader, char *out, size_t size) {
    bson_iter_t at;
    struct gri_bytes text;
    struct gri_error error;
    if (!find(reader, "facts", &at)) return;
    struct gri_json *facts = gri_mongo_json_value(&at);
    gri_bytes_init(&text, size);
    if (!BSON_ITER_HOLDS_DOCUMENT(&at) || gri_json_write(facts, true, &text, &error) != GRI_OK ||
        !gri_copy(out, size, gri_bytes_text(&text)))
        malformed(reader, "facts");
    gri_bytes_clear(&text);
    gri_json_free(facts);
}

void gri_mongo_image_read(const bson_t *document, struct gri_image *image, char *malformed_field, size_t size) {
    struct reader reader = {document, malformed_field, size};
    struct gri_error error;
    *image = (struct gri_image){.width = 0};
    malformed_field[0] = '\0';
    text_at(&reader, "_id", image->id, sizeof image->id);
    text_at(&reader, "job", image->job, sizeof image->job);
    text_at(&reader, "pipeline", image->pipeline, sizeof image->pipeline);
    text_at(&reader, "output", image->output, sizeof image->output);
    text_at(&reader, "content_type", image->content_type, sizeof image->content_type);
    image->width = int_at(&reader, "width");
    image->height = int_at(&reader, "height");
    image->bytes = number_at(&reader, "bytes", false);
    read_source(&reader, &image->source);
    text_at(&reader, "sums.source", image->sums.source, sizeof image->sums.source);
    text_at(&reader, "sums.output", image->sums.output, sizeof image->sums.output);
    text_at(&reader, "sums.base64", image->sums.base64, sizeof image->sums.base64);
    text_at(&reader, "sums.document", image->sums.document, sizeof image->sums.document);
    text_at(&reader, "made_by", image->made_by, sizeof image->made_by);
    text_at(&reader, "note", image->note, sizeof image->note);
    read_facts(&reader, image->facts, sizeof image->facts);
    (void)gri_copy(image->phash, sizeof image->phash, gri_mongo_text(document, "phash"));
    image->fetched_at_ms = number_at(&reader, "fetched_at", true);
    image->inserted_at_ms = number_at(&reader, "inserted_at", true);
    struct gri_slice data = slice_at(&reader, "data");
    gri_bytes_init(&image->data, data.len + 64);
    if (data.len && gri_bytes_append(&image->data, data.data, data.len, &error) != GRI_OK) malformed(&reader, "data");
}
