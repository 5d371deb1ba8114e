/* SPDX-License-Identifier: Apache-2.0 */
/* Pushing a catalog: its chunks first, then the catalog itself, so that what is seen is whole. */
#include "mongo_archive.h"
#include "mongo_ledger.h"

#include <grisaille/crash_point.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH_CHUNKS = 8, BATCH_BYTES = 1024 * 1024, EXISTING_PAUSE_MS = 20 };

struct gri_archive_push {
    struct gri_archive *archive;
    char id[GRI_CATALOG_ID_MAX];
    char *name, *pipeline, *rules, *by;
    bson_t *tags;
    bool retry_dead, refresh;
    bson_t *batch[BATCH_CHUNKS]; /* chunks not written yet */
    size_t batch_count, batch_bytes;
    bool written; /* some chunk may be in the database */
};

static void append_tag(const char *key, const struct gri_json *value, void *tags) {
    gri_mongo_append_text(tags, key, gri_json_text(value, ""));
}

enum gri_status gri_mongo_push_begin(struct gri_archive *archive, const struct gri_push_meta *meta,
                                     struct gri_archive_push **push, struct gri_error *error) {
    (void)error;
    bson_oid_t id;
    struct gri_archive_push *made = gri_calloc(1, sizeof *made);
    made->archive = archive;
    bson_oid_init(&id, NULL);
    bson_oid_to_string(&id, made->id);
    made->name = gri_mongo_clean(meta->name ? meta->name : "");
    made->pipeline = gri_strdup(meta->pipeline);
    made->rules = gri_strdup(meta->rules);
    made->by = gri_strdup(meta->by ? meta->by : "");
    made->tags = bson_new();
    if (meta->tags) gri_json_each(meta->tags, append_tag, made->tags);
    made->retry_dead = meta->retry_dead;
    made->refresh = meta->refresh;
    *push = made;
    return GRI_OK;
}

static void free_push(struct gri_archive_push *push) {
    for (size_t i = 0; i < push->batch_count; i++)
        bson_destroy(push->batch[i]);
    free(push->name);
    free(push->pipeline);
    free(push->rules);
    free(push->by);
    bson_destroy(push->tags);
    free(push);
}

static enum gri_status flush(struct gri_archive_push *push, struct gri_error *error) {
    struct gri_mongo_session session;
    struct gri_mongo_bulk bulk;
    if (push->batch_count == 0) return GRI_OK;
    enum gri_status status = gri_mongo_archive_open(push->archive, &session, error);
    if (status != GRI_OK) return status;
    gri_mongo_bulk_begin(&bulk, &session, GRI_MONGO_CHUNKS, false, "push");
    for (size_t i = 0; i < push->batch_count; i++)
        gri_mongo_bulk_insert(&bulk, push->batch[i]);
    push->batch_count = push->batch_bytes = 0;
    push->written = true;
    GRI_CRASH_POINT(push_chunks_before);
    status = gri_mongo_bulk_execute(&bulk, error);
    GRI_CRASH_POINT(push_chunks_after);
    if (status == GRI_OK) status = gri_mongo_bulk_refusal(&bulk, error);
    gri_mongo_bulk_clear(&bulk);
    return gri_mongo_archive_close(&session, status, error);
}

enum gri_status gri_mongo_push_chunk(struct gri_archive_push *push, const struct gri_push_chunk *chunk, struct gri_error *error) {
    char id[GRI_MONGO_CHUNK_ID_MAX];
    GRI_ASSERT(chunk->text.len <= (size_t)GRI_CHUNK_BYTES);
    gri_mongo_chunk_id(id, push->id, chunk->number);
    bson_t *document =
        BCON_NEW("_id", BCON_UTF8(id), "catalog", BCON_UTF8(push->id), "number", BCON_INT64(chunk->number), "first_line",
                 BCON_INT64(chunk->first_line), "lines", BCON_INT64(chunk->lines), "continued", BCON_BOOL(chunk->continued),
                 "bytes", BCON_INT64((int64_t)chunk->text.len), "admitted", BCON_BOOL(false), "announced_id", "");
    bson_append_binary(document, "text", -1, BSON_SUBTYPE_BINARY, chunk->text.data, (uint32_t)chunk->text.len);
    push->batch[push->batch_count++] = document;
    push->batch_bytes += chunk->text.len;
    if (push->batch_count < BATCH_CHUNKS && push->batch_bytes < BATCH_BYTES) return GRI_OK;
    return flush(push, error);
}

static void remove_chunks(const struct gri_mongo_session *session, const char *catalog) {
    struct gri_error error;
    GRI_CRASH_POINT(push_remove_before);
    if (gri_mongo_remove_chunks(session, catalog, &error) != GRI_OK) {
        /* No matter: what is left has no catalog, so nobody admits it, and the reaper takes it. */
    }
    GRI_CRASH_POINT(push_remove_after);
}

/* [{$replaceWith: {$cond: [new, {…, created_at: now}, as it was]}}] */
static bson_t *catalog_change(const struct gri_archive_push *push, const struct gri_push_totals *totals) {
    bson_t *fields =
        BCON_NEW("_id", BCON_UTF8(push->id), "state", "running", "unfinished", BCON_BOOL(true), "sha256",
                 BCON_UTF8(totals->sha256), "bytes", BCON_INT64(totals->bytes), "lines", BCON_INT64(totals->lines), "blank",
                 BCON_INT64(totals->blank), "chunks", BCON_INT64(totals->chunks), "retry_dead", BCON_BOOL(push->retry_dead));
    BSON_APPEND_UTF8(fields, "name", push->name);
    gri_mongo_append_text(fields, "pipeline", push->pipeline);
    gri_mongo_append_text(fields, "rules", push->rules);
    gri_mongo_append_text(fields, "by", push->by);
    if (push->refresh) BSON_APPEND_INT64(fields, "refresh", 1);
    if (!bson_empty(push->tags)) BSON_APPEND_DOCUMENT(fields, "tags", push->tags);
    bson_t *change = BCON_NEW("0", "{", "$replaceWith", "{", "$cond", "[",                            //
                              "{", "$eq", "[", "{", "$type", "$state", "}", "missing", "]", "}",      //
                              "{", "$mergeObjects", "[", "{", "$literal", BCON_DOCUMENT(fields), "}", //
                              "{", "created_at", "$$NOW", "}", "]", "}",                              //
                              "$$ROOT", "]", "}", "}");
    bson_destroy(fields);
    return change;
}

/* Its chunks are to be admitted again, also the lines that were never tried because it was cancelled. */
static enum gri_status admit_again(const struct gri_mongo_session *session, const char *catalog, struct gri_error *error) {
    bson_t *change =
        BCON_NEW("$set", "{", "admitted", BCON_BOOL(false), "announced_id", "", "}", "$unset", "{", "admitted_at", "", "}");
    GRI_CRASH_POINT(retry_chunks_before);
    enum gri_status status =
        gri_mongo_update_many(session, GRI_MONGO_CHUNKS, BCON_NEW("catalog", BCON_UTF8(catalog)), change, error);
    GRI_CRASH_POINT(retry_chunks_after);
    bson_t *untried = gri_mongo_line_range(catalog, 0, 999999999999);
    BSON_APPEND_UTF8(untried, "reason", gri_reason_name(GRI_R_cancelled));
    if (status == GRI_OK) {
        status = gri_mongo_delete(session, GRI_MONGO_LINE_ERRORS, untried, NULL, error);
    } else {
        bson_destroy(untried);
    }
    return status;
}

/* It runs again; last, when all that there is to do can be seen by who settles. */
static enum gri_status run_again(const struct gri_mongo_session *session, const char *catalog, bool retry_dead,
                                 struct gri_error *error) {
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(catalog), "$or", "[", "{", "state", "{", "$in", "[", "running", "finished", "]",
                              "}", "}", "{", "state", "cancelled", "unfinished", BCON_NULL, "}", "]");
    bson_t *set = BCON_NEW("state", "running", "unfinished", BCON_BOOL(true));
    if (retry_dead) BSON_APPEND_BOOL(set, "retry_dead", true);
    bson_t *change = BCON_NEW("$set", BCON_DOCUMENT(set), "$unset", "{", "finished_at", "", "}");
    bson_destroy(set);
    enum gri_status status = gri_mongo_update_one(session, GRI_MONGO_CATALOGS, filter, change, false, NULL, NULL, error);
    GRI_CRASH_POINT(retry_catalog_after);
    return status;
}

/* The URLs that this catalog brought in and that died get another life (the dispatcher takes what waits); its chunks are
 * admitted again, for the lines whose URL is another's. */
static enum gri_status retry_dead(const struct gri_mongo_session *session, const char *catalog, struct gri_error *error) {
    enum gri_status status = admit_again(session, catalog, error);
    if (status != GRI_OK) return status;
    bson_t *filter = BCON_NEW("first.catalog", BCON_UTF8(catalog), "state", "dead", "error.reason", "{", "$ne", "removed", "}");
    bson_t *change = BCON_NEW("$set", "{", "state", "waiting", "attempts", BCON_INT32(0), "}", "$currentDate", "{", "next_at",
                              BCON_BOOL(true), "changed_at", BCON_BOOL(true), "}", "$unset", "{", "error", "", "limited_at", "",
                              "done_at", "", "dropped", "", "}");
    status = gri_mongo_update_many(session, GRI_MONGO_URLS, filter, change, error);
    GRI_CRASH_POINT(retry_urls_after);
    return status == GRI_OK ? run_again(session, catalog, true, error) : status;
}

/* Its number first: a chunk that is admitted from now on is admitted for this very time. */
static enum gri_status refresh(const struct gri_mongo_session *session, const char *catalog, struct gri_error *error) {
    bson_t *change = BCON_NEW("0", "{", "$set", "{", "refresh", "{", "$add", "[", "{", "$max", "[", "$refresh", BCON_INT64(1),
                              "]", "}", BCON_INT64(1), "]", "}", "}", "}");
    GRI_CRASH_POINT(refresh_number_before);
    enum gri_status status =
        gri_mongo_update_one(session, GRI_MONGO_CATALOGS, BCON_NEW("_id", BCON_UTF8(catalog)), change, false, NULL, NULL, error);
    GRI_CRASH_POINT(refresh_number_after);
    if (status == GRI_OK) status = admit_again(session, catalog, error);
    return status == GRI_OK ? run_again(session, catalog, false, error) : status;
}

/* The catalog that has this content already. Its insert may not have reached a majority yet: waited for. */
static enum gri_status find_existing(const struct gri_mongo_session *session, const struct gri_archive_push *push,
                                     const struct gri_push_totals *totals, bson_t **found, struct gri_error *error) {
    int64_t deadline = bson_get_monotonic_time() + session->mongo->timeout_ms * 1000;
    for (;;) {
        bson_t *filter =
            BCON_NEW("sha256", BCON_UTF8(totals->sha256), "name", BCON_UTF8(push->name), "pipeline", BCON_UTF8(push->pipeline));
        enum gri_status status = gri_mongo_find_one(session, GRI_MONGO_CATALOGS, filter, NULL, found, error);
        if (status != GRI_OK || *found) return status;
        if (bson_get_monotonic_time() > deadline)
            return gri_fail(error, GRI_R_unavailable, "the same catalog is being pushed by another");
        struct timespec pause = {.tv_nsec = EXISTING_PAUSE_MS * 1000000L};
        nanosleep(&pause, NULL);
    }
}

/* Pushed with tags that it does not have, the same content was judged by other rules: not what is asked for. */
static enum gri_status check_tags(const struct gri_archive_push *push, const bson_t *found, struct gri_error *error) {
    bson_iter_t at, field, given;
    bool same = bson_empty(push->tags);
    if (!same && bson_iter_init_find(&at, found, "tags") && bson_iter_recurse(&at, &field)) {
        uint32_t count = 0;
        same = true;
        for (; bson_iter_next(&field); count++)
            same = same && bson_iter_init_find(&given, push->tags, bson_iter_key(&field)) &&
                   strcmp(bson_iter_utf8(&given, NULL), bson_iter_utf8(&field, NULL)) == 0;
        same = same && count == bson_count_keys(push->tags);
    }
    if (same) return GRI_OK;
    return gri_fail(error, GRI_R_conflict,
                    "the same bytes were pushed before with other tags, as catalog %s; push them under another name",
                    gri_mongo_text(found, "_id"));
}

static enum gri_status answer_existing(const struct gri_mongo_session *session, const struct gri_archive_push *push,
                                       const struct gri_push_totals *totals, char id[GRI_CATALOG_ID_MAX],
                                       struct gri_error *error) {
    bson_t *found = NULL;
    enum gri_status status = find_existing(session, push, totals, &found, error);
    if (status != GRI_OK) return status;
    const char *state = gri_mongo_text(found, "state");
    (void)gri_copy(id, GRI_CATALOG_ID_MAX, gri_mongo_text(found, "_id"));
    bool cancelled = strcmp(state, "cancelled") == 0 && !gri_mongo_truth(found, "unfinished");
    bool may_run = cancelled || strcmp(state, "running") == 0 || strcmp(state, "finished") == 0;
    status = check_tags(push, found, error);
    if (status == GRI_OK && push->refresh && may_run) status = refresh(session, id, error);
    if (status == GRI_OK && push->retry_dead && may_run) status = retry_dead(session, id, error);
    bson_destroy(found);
    return status;
}

/* *duplicate: the content is there already. A failure of unknown outcome keeps the chunks: the catalog may be in. */
static enum gri_status insert_catalog(const struct gri_mongo_session *session, const struct gri_archive_push *push,
                                      const struct gri_push_totals *totals, bool *duplicate, struct gri_error *error) {
    mongoc_collection_t *catalogs = gri_mongo_open(session, GRI_MONGO_CATALOGS);
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(push->id));
    bson_t *change = catalog_change(push, totals);
    bson_t *opts = BCON_NEW("upsert", BCON_BOOL(true));
    bson_error_t cause = {0};
    bson_t reply;
    enum gri_status status = GRI_OK;
    GRI_CRASH_POINT(push_catalog_before);
    bool ok = mongoc_collection_update_one(catalogs, filter, change, opts, &reply, &cause);
    GRI_CRASH_POINT(push_catalog_after);
    *duplicate = !ok && cause.domain == MONGOC_ERROR_SERVER && cause.code == GRI_MONGO_DUPLICATE;
    if (!ok && !*duplicate) {
        status = gri_mongo_fail(error, &cause, "push");
    } else if (ok && !gri_mongo_has(&reply, "upsertedId")) {
        status = gri_fail(error, GRI_R_conflict, "the push took so long that its beginning was given up; push again");
    }
    bson_destroy(&reply);
    bson_destroy(opts);
    bson_destroy(change);
    bson_destroy(filter);
    mongoc_collection_destroy(catalogs);
    return status;
}

enum gri_status gri_mongo_push_commit(struct gri_archive_push *push, const struct gri_push_totals *totals,
                                      char id[GRI_CATALOG_ID_MAX], bool *existed, struct gri_error *error) {
    struct gri_mongo_session session;
    bool duplicate = false;
    *existed = false;
    enum gri_status status = flush(push, error);
    if (status != GRI_OK) {
        gri_mongo_push_abort(push);
        return status;
    }
    status = gri_mongo_archive_open(push->archive, &session, error);
    if (status != GRI_OK) {
        free_push(push);
        return status;
    }
    status = insert_catalog(&session, push, totals, &duplicate, error);
    if (duplicate || status == GRI_PERMANENT) remove_chunks(&session, push->id);
    if (status == GRI_OK && duplicate) {
        *existed = true;
        status = answer_existing(&session, push, totals, id, error);
    } else if (status == GRI_OK) {
        (void)gri_copy(id, GRI_CATALOG_ID_MAX, push->id);
    }
    status = gri_mongo_archive_close(&session, status, error);
    free_push(push);
    return status;
}

void gri_mongo_push_abort(struct gri_archive_push *push) {
    struct gri_mongo_session session;
    struct gri_error ignored;
    if (!push) return;
    if (push->written && gri_mongo_archive_open(push->archive, &session, &ignored) == GRI_OK) {
        remove_chunks(&session, push->id);
        (void)gri_mongo_archive_close(&session, GRI_OK, &ignored);
    }
    free_push(push);
}
