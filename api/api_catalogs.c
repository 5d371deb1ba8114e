/* SPDX-License-Identifier: Apache-2.0 */
/* Catalogs: the list, one with its counts, its rejected lines, its raw bytes. */
#include <stdlib.h>
#include <string.h>

#include "api_internal.h"

void gri_api_get_catalogs(struct gri_api_call *call) {
    struct gri_filter filter;
    struct gri_json *json;
    struct gri_error error;
    if (!gri_api_filter(call, &filter)) return;
    struct gri_archive *archive = call->api->options.archive;
    if (archive->ops->catalogs(archive, &filter, &json, &error) != GRI_OK)
        gri_api_problem(call->reply, &error, NULL);
    else
        gri_api_reply_json(call->reply, 200, json);
}

void gri_api_get_catalog(struct gri_api_call *call) {
    struct gri_json *json;
    struct gri_error error;
    if (!gri_api_catalog_id(call)) return;
    struct gri_archive *archive = call->api->options.archive;
    if (archive->ops->catalog(archive, call->segment, &json, &error) != GRI_OK)
        gri_api_problem(call->reply, &error, NULL);
    else
        gri_api_reply_json(call->reply, 200, json);
}

void gri_api_get_errors(struct gri_api_call *call) {
    struct gri_filter filter;
    struct gri_json *json;
    struct gri_error error;
    if (!gri_api_catalog_id(call) || !gri_api_filter(call, &filter)) return;
    struct gri_archive *archive = call->api->options.archive;
    if (archive->ops->errors(archive, call->segment, &filter, &json, &error) != GRI_OK)
        gri_api_problem(call->reply, &error, NULL);
    else
        gri_api_reply_json(call->reply, 200, json);
}

/* The raw bytes, a chunk at a time. */
struct raw_stream {
    struct gri_archive *archive;
    char catalog[GRI_CATALOG_ID_MAX];
    int64_t next, chunks;
};

static bool raw_more(void *arg, struct gri_bytes *out, bool *failed) {
    struct raw_stream *stream = arg;
    if (stream->next >= stream->chunks) return false;
    struct gri_push_chunk chunk;
    struct gri_error error;
    *failed = stream->archive->ops->chunk(stream->archive, stream->catalog, stream->next, &chunk, out, &error) != GRI_OK;
    stream->next++;
    return !*failed;
}

void gri_api_get_raw(struct gri_api_call *call) {
    struct gri_json *json;
    struct gri_error error;
    if (!gri_api_catalog_id(call)) return;
    struct gri_archive *archive = call->api->options.archive;
    if (archive->ops->catalog(archive, call->segment, &json, &error) != GRI_OK) {
        gri_api_problem(call->reply, &error, NULL);
        return;
    }
    struct raw_stream *stream = gri_calloc(1, sizeof *stream);
    stream->archive = archive;
    (void)gri_copy(stream->catalog, sizeof stream->catalog, call->segment);
    stream->chunks = gri_json_get_int(json, "chunks", 0);
    gri_json_free(json);
    call->reply->status = 200;
    call->reply->content_type = "text/plain; charset=utf-8";
    gri_api_header(call->reply, "X-Content-Type-Options", "nosniff"); /* a stranger's bytes are never a page */
    call->reply->stream = stream;
    call->reply->more = raw_more;
    call->reply->stream_free = free;
}
