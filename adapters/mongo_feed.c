/* SPDX-License-Identifier: Apache-2.0 */
/* The feeder's requests: leases, unfinished catalogs with their next chunks, announcements, the end of a catalog. */
#include "mongo_counts.h"
#include "mongo_ledger.h"
#include "mongo_schema.h"

#include <grisaille/crash_point.h>
#include <stdlib.h>
#include <string.h>

/* --- leases -------------------------------------------------------------------------------------------------------- */

static enum gri_status give_back(const struct gri_mongo_session *session, const struct gri_ledger_lease *request,
                                 struct gri_error *error) {
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(request->name), "holder", BCON_UTF8(request->holder));
    bson_t *change = BCON_NEW("$set", "{", "holder", "", "}", "$currentDate", "{", "until", BCON_BOOL(true), "}");
    return gri_mongo_update_one(session, GRI_MONGO_LEASES, filter, change, false, NULL, NULL, error);
}

/* [{$replaceWith: {$cond: [free, expired or ours, {_id, holder, until: now + ttl}, as it was]}}] */
static bson_t *lease_change(const struct gri_ledger_lease *request) {
    return BCON_NEW("0", "{", "$replaceWith", "{", "$cond", "[",                                                      //
                    "{", "$or", "[",                                                                                  //
                    "{", "$eq", "[", "{", "$type", "$until", "}", "missing", "]", "}",                                //
                    "{", "$lte", "[", "$until", "$$NOW", "]", "}",                                                    //
                    "{", "$eq", "[", "$holder", "{", "$literal", BCON_UTF8(request->holder), "}", "]", "}", "]", "}", //
                    "{", "_id", "{", "$literal", BCON_UTF8(request->name), "}",                                       //
                    "holder", "{", "$literal", BCON_UTF8(request->holder), "}",                                       //
                    "until", "{", "$add", "[", "$$NOW", BCON_INT64(request->ttl_ms), "]", "}", "}",                   //
                    "$$ROOT", "]", "}", "}");
}

enum gri_status gri_mongo_work_lease(struct gri_mongo_session *session, struct gri_op *op) {
    struct gri_ledger_lease *request = gri_container_of(op, struct gri_ledger_lease, op);
    request->held = false;
    if (request->ttl_ms == 0) return give_back(session, request, &op->error);
    mongoc_collection_t *leases = gri_mongo_open(session, GRI_MONGO_LEASES);
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(request->name));
    bson_t *change = lease_change(request);
    mongoc_find_and_modify_opts_t *opts = mongoc_find_and_modify_opts_new();
    mongoc_find_and_modify_opts_set_update(opts, change);
    mongoc_find_and_modify_opts_set_flags(opts, MONGOC_FIND_AND_MODIFY_UPSERT | MONGOC_FIND_AND_MODIFY_RETURN_NEW);
    bson_error_t cause = {0};
    bson_t reply;
    GRI_CRASH_POINT(lease_before);
    bool ok = mongoc_collection_find_and_modify_with_opts(leases, filter, opts, &reply, &cause);
    GRI_CRASH_POINT(lease_after);
    request->held = ok && strcmp(gri_mongo_text(&reply, "value.holder"), request->holder) == 0;
    bson_destroy(&reply);
    mongoc_find_and_modify_opts_destroy(opts);
    bson_destroy(change);
    bson_destroy(filter);
    mongoc_collection_destroy(leases);
    /* Two that made the very first lease at once: the other has it. */
    if (!ok && cause.code == GRI_MONGO_DUPLICATE) return GRI_OK;
    return ok ? GRI_OK : gri_mongo_fail(&op->error, &cause, "lease");
}

/* --- unfinished catalogs --------------------------------------------------------------------------------------------- */

static bool add_catalog(const bson_t *document, void *arg) {
    struct gri_ledger_feed *request = arg;
    if (request->count == request->catalog_limit) return false;
    struct gri_feed_catalog *catalog = &request->catalogs[request->count];
    *catalog = (struct gri_feed_catalog){.state = gri_mongo_catalog_state(gri_mongo_text(document, "state")),
                                         .chunks = gri_mongo_number(document, "chunks", 0),
                                         .refreshes = gri_mongo_number(document, "refresh", 0) > 0};
    if (gri_copy(catalog->id, sizeof catalog->id, gri_mongo_text(document, "_id"))) request->count++;
    return true;
}

struct next_chunks {
    struct gri_feed_catalog *catalog;
    size_t limit;
};

static bool add_chunk(const bson_t *document, void *arg) {
    struct next_chunks *next = arg;
    if (next->catalog->next_count == next->limit) return false;
    struct gri_feed_chunk *chunk = &next->catalog->next[next->catalog->next_count++];
    chunk->number = gri_mongo_number(document, "number", 0);
    (void)gri_copy(chunk->announced_id, sizeof chunk->announced_id, gri_mongo_text(document, "announced_id"));
    return true;
}

static enum gri_status fill_catalog(const struct gri_mongo_session *session, const struct gri_ledger_feed *request,
                                    struct gri_feed_catalog *catalog, struct gri_error *error) {
    struct next_chunks next = {.catalog = catalog, .limit = request->chunk_limit};
    catalog->next = gri_calloc(request->chunk_limit, sizeof *catalog->next);
    bson_t *filter = BCON_NEW("catalog", BCON_UTF8(catalog->id), "admitted", BCON_BOOL(false));
    bson_t *opts = BCON_NEW("projection", "{", "_id", BCON_INT32(0), "number", BCON_INT32(1), "announced_id", BCON_INT32(1), "}",
                            "sort", "{", "number", BCON_INT32(1), "}", "limit", BCON_INT64((int64_t)request->chunk_limit), "hint",
                            GRI_INDEX_CHUNKS_PENDING);
    enum gri_status status = gri_mongo_find(session, GRI_MONGO_CHUNKS, filter, opts, add_chunk, &next, error);
    if (status == GRI_OK && request->queued_limit > 0)
        status = gri_mongo_urls_queued(session, catalog->id, request->queued_limit, &catalog->queued, error);
    if (status != GRI_OK || request->open_limit <= 0) return status;
    status = gri_mongo_urls_open(session, catalog->id, request->open_limit, &catalog->open, error);
    /* What it wants anew of others' URLs is its share of the window as well. */
    int64_t renewed = 0;
    if (status == GRI_OK && catalog->refreshes)
        status = gri_mongo_renewals_open(session, catalog->id, request->open_limit, &renewed, error);
    if (renewed > catalog->open) catalog->open = renewed;
    return status;
}

enum gri_status gri_mongo_work_feed(struct gri_mongo_session *session, struct gri_op *op) {
    struct gri_ledger_feed *request = gri_container_of(op, struct gri_ledger_feed, op);
    GRI_ASSERT(request->catalog_limit > 0 && request->chunk_limit > 0);
    request->catalogs = gri_calloc(request->catalog_limit, sizeof *request->catalogs);
    request->count = 0;
    bson_t *opts = BCON_NEW("sort", "{", "created_at", BCON_INT32(1), "_id", BCON_INT32(1), "}", "limit",
                            BCON_INT64((int64_t)request->catalog_limit), "hint", GRI_INDEX_CATALOGS_UNFINISHED, "projection", "{",
                            "state", BCON_INT32(1), "chunks", BCON_INT32(1), "refresh", BCON_INT32(1), "}");
    enum gri_status status = gri_mongo_find(session, GRI_MONGO_CATALOGS, BCON_NEW("unfinished", BCON_BOOL(true)), opts,
                                            add_catalog, request, &op->error);
    for (size_t i = 0; status == GRI_OK && i < request->count; i++) {
        status = fill_catalog(session, request, &request->catalogs[i], &op->error);
    }
    if (status != GRI_OK) {
        gri_feed_catalogs_free(request->catalogs, request->count);
        request->catalogs = NULL;
        request->count = 0;
    }
    return status;
}

enum gri_status gri_mongo_work_announced(struct gri_mongo_session *session, struct gri_op *op) {
    struct gri_ledger_announced *request = gri_container_of(op, struct gri_ledger_announced, op);
    struct gri_mongo_bulk bulk;
    gri_mongo_bulk_begin(&bulk, session, GRI_MONGO_CHUNKS, false, "announced");
    for (size_t i = 0; i < request->count; i++) {
        char id[GRI_MONGO_CHUNK_ID_MAX];
        gri_mongo_chunk_id(id, request->catalog, request->chunks[i]);
        gri_mongo_bulk_update(&bulk, BCON_NEW("_id", BCON_UTF8(id), "admitted", BCON_BOOL(false)),
                              BCON_NEW("$set", "{", "announced_id", BCON_UTF8(request->ids[i]), "}"), false);
    }
    GRI_CRASH_POINT(announced_before);
    enum gri_status status = gri_mongo_bulk_execute(&bulk, &op->error);
    GRI_CRASH_POINT(announced_after);
    if (status == GRI_OK) status = gri_mongo_bulk_refusal(&bulk, &op->error);
    gri_mongo_bulk_clear(&bulk);
    return status;
}

/* --- the end of a catalog -------------------------------------------------------------------------------------------- */

static enum gri_status finish_catalog(const struct gri_mongo_session *session, const bson_t *catalog,
                                      struct gri_ledger_settle *request) {
    struct gri_mongo_counts counts;
    int64_t matched = 0;
    const char *state = gri_mongo_text(catalog, "state");
    /* Steered catalogs keep the mark of it. */
    bool plain = strcmp(state, "running") == 0 || strcmp(state, "paused") == 0;
    enum gri_status status = gri_mongo_counts_make(session, catalog, &counts, &request->op.error);
    if (status != GRI_OK || counts.pending > 0 || counts.refreshed.pending > 0 || counts.duplicate < 0) return status;
    bson_t *set = BCON_NEW("state", BCON_UTF8(plain ? "finished" : state));
    gri_mongo_counts_append(set, &counts);
    bson_t *dates = BCON_NEW("finished_at", BCON_BOOL(true));
    bool notify = plain && session->mongo->notify;
    if (notify) {
        BCON_APPEND(set, "notice.state", "due", "notice.attempts", BCON_INT64(0), "notice.detail", "");
        BSON_APPEND_BOOL(dates, "notice.next_at", true);
    }
    bson_t *change =
        BCON_NEW("$set", BCON_DOCUMENT(set), "$unset", "{", "unfinished", "", "}", "$currentDate", BCON_DOCUMENT(dates));
    if (notify) BCON_APPEND(change, "$inc", "{", "notice.number", BCON_INT64(1), "}");
    bson_destroy(dates);
    bson_destroy(set);
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(request->catalog), "unfinished", BCON_BOOL(true), "state", BCON_UTF8(state));
    GRI_CRASH_POINT(settle_before);
    status = gri_mongo_update_one(session, GRI_MONGO_CATALOGS, filter, change, false, &matched, NULL, &request->op.error);
    GRI_CRASH_POINT(settle_after);
    request->finished = status == GRI_OK && matched > 0;
    return status;
}

/* Nobody wants the pending work of a stopped catalog any more, but what another asked for too, or wants fetched anew. A job that
 * a worker has in hand may still come to a good end: that counts. */
static enum gri_status drop_pending(const struct gri_mongo_session *session, const char *catalog, struct gri_error *error) {
    bson_t *filter = BCON_NEW("first.catalog", BCON_UTF8(catalog), "state", "{", "$in", "[", "queued", "waiting", "]", "}",
                              "shared", "{", "$ne", BCON_BOOL(true), "}", "renew.outcome", "{", "$ne", "pending", "}");
    bson_t *change =
        BCON_NEW("0", "{", "$set", "{", "state", "dead", "changed_at", "$$NOW", "done_at", "$$NOW", "error", "{", "class",
                 BCON_UTF8(gri_status_name(GRI_PERMANENT)), "reason", BCON_UTF8(gri_reason_name(GRI_R_cancelled)), "detail",
                 "its catalog was cancelled", "at", "$$NOW", "}", "}", "}", "1", "{", "$unset", "[", "next_at", "]", "}");
    GRI_CRASH_POINT(cancel_before);
    enum gri_status status = gri_mongo_update_many(session, GRI_MONGO_URLS, filter, change, error);
    GRI_CRASH_POINT(cancel_after);
    return status;
}

enum gri_status gri_mongo_work_settle(struct gri_mongo_session *session, struct gri_op *op) {
    struct gri_ledger_settle *request = gri_container_of(op, struct gri_ledger_settle, op);
    bson_t *catalog = NULL;
    bool pending = true;
    int64_t open = 1;
    request->finished = false;
    enum gri_status status =
        gri_mongo_find_one(session, GRI_MONGO_CATALOGS, BCON_NEW("_id", BCON_UTF8(request->catalog)), NULL, &catalog, &op->error);
    if (status != GRI_OK || !catalog) goto out;
    if (!gri_mongo_truth(catalog, "unfinished")) {
        request->finished = true;
        goto out;
    }
    const char *state = gri_mongo_text(catalog, "state");
    if (strcmp(state, "cancelled") == 0 || strcmp(state, "deleting") == 0) {
        status = gri_mongo_renewals_cancel(session, request->catalog, &op->error);
        if (status == GRI_OK) status = drop_pending(session, request->catalog, &op->error);
        if (status != GRI_OK) goto out;
    }
    /* Chunks first: with all of them admitted, every URL of the catalog is in the ledger when the next read looks. */
    status = gri_mongo_chunks_pending(session, request->catalog, &pending, &op->error);
    if (status != GRI_OK || pending) goto out;
    status = gri_mongo_urls_open(session, request->catalog, 1, &open, &op->error);
    if (status == GRI_OK && open == 0 && gri_mongo_number(catalog, "refresh", 0) > 0)
        status = gri_mongo_renewals_open(session, request->catalog, 1, &open, &op->error);
    if (status != GRI_OK || open > 0) goto out;
    status = finish_catalog(session, catalog, request);
out:
    bson_destroy(catalog);
    return status;
}
