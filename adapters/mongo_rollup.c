/* SPDX-License-Identifier: Apache-2.0 */
/* Roll-ups: counts by time, host, pipeline, outcome and reason, computed from the ledger and the events. A slice of five minutes
 * is computed again (the same _id, replaced) until it is closed; `meta.until` tells how far all are closed, and a closed one is
 * never touched again, so that it outlives its events. Closed slices of a whole hour are summed into one of that hour;
 * `meta.hours` tells how far, and what is read are hours before it and slices behind it, so that nothing is counted twice. */
#include "mongo_archive.h"
#include "mongo_schema.h"
#include "mongo_upkeep.h"

#include <string.h>

enum {
    SLICE_MS = 300000,
    HOUR_MS = 3600000,
    CLOSE_AFTER_MS = 60000, /* writes that began in the slice are done by then */
    SLICES_A_CALL = 24,
    OBJECTIVE_MS = 300000, /* "99 % finished within 300 s" */
    ROWS_MAX = 20000
};

/* --- making them ------------------------------------------------------------------------------------------------------------ */

static bool nothing(const bson_t *document, void *arg) {
    (void)document, (void)arg;
    return true;
}

static void append_merge(bson_t *pipeline, const char *position, int64_t slice_ms, int32_t span_ms) {
    bson_t *set = BCON_NEW("$set", "{", "at", BCON_DATE_TIME(slice_ms), "host", "$_id.host", "pipeline", "$_id.pipeline",
                           "outcome", "$_id.outcome", "reason", "$_id.reason", "span", BCON_INT32(span_ms), "}");
    bson_t *id =
        BCON_NEW("$set", "{", "_id", "{", "at", BCON_DATE_TIME(slice_ms), "host", "$_id.host", "pipeline", "$_id.pipeline",
                 "outcome", "$_id.outcome", "reason", "$_id.reason", "span", BCON_INT32(span_ms), "}", "}");
    bson_t *merge =
        BCON_NEW("$merge", "{", "into", "rollups", "on", "_id", "whenMatched", "replace", "whenNotMatched", "insert", "}");
    char name[3] = {position[0], '\0', '\0'};
    BSON_APPEND_DOCUMENT(pipeline, name, set);
    name[0]++;
    BSON_APPEND_DOCUMENT(pipeline, name, id);
    name[0]++;
    BSON_APPEND_DOCUMENT(pipeline, name, merge);
    bson_destroy(set);
    bson_destroy(id);
    bson_destroy(merge);
}

/* What became done or dead in the slice. */
static bson_t *finished_pipeline(int64_t from_ms, int64_t to_ms) {
    bson_t *pipeline = BCON_NEW(
        "0", "{", "$match", "{", "done_at", "{", "$gte", BCON_DATE_TIME(from_ms), "$lt", BCON_DATE_TIME(to_ms), "}", "}", "}", //
        "1", "{", "$group", "{",                                                                                               //
        "_id", "{", "host", "$host",                                                                                           //
        "pipeline", "{", "$arrayElemAt", "[", "{", "$split", "[", "$pipeline", "@", "]", "}", BCON_INT32(0), "]", "}",         //
        "outcome", "{", "$cond", "[", "{", "$eq", "[", "$state", "dead", "]", "}", "dead",                                     //
        "{", "$cond", "[", "{", "$eq", "[", "$made", BCON_BOOL(true), "]", "}", "stored", "duplicate_content", "]", "}", "]", "}",
        "reason", "{", "$ifNull", "[", "$error.reason", "", "]", "}", "}",                        //
        "count", "{", "$sum", BCON_INT64(1), "}",                                                 //
        "bytes", "{", "$sum", "$bytes", "}", "ms", "{", "$sum", "$ms", "}",                       //
        "total_ms", "{", "$sum", "{", "$subtract", "[", "$done_at", "$created_at", "]", "}", "}", //
        "within", "{", "$sum", "{", "$cond", "[", "{", "$lte", "[", "{", "$subtract", "[", "$done_at", "$created_at", "]", "}",
        BCON_INT64(OBJECTIVE_MS), "]", "}", BCON_INT64(1), BCON_INT64(0), "]", "}", "}", "}", "}");
    append_merge(pipeline, "2", from_ms, SLICE_MS);
    return pipeline;
}

/* Tries that failed in the slice and were not the last. */
static bson_t *attempts_pipeline(int64_t from_ms, int64_t to_ms) {
    bson_t *pipeline =
        BCON_NEW("0", "{", "$match", "{", "event", "attempt_failed", "time", "{", "$gte", BCON_DATE_TIME(from_ms), "$lt",
                 BCON_DATE_TIME(to_ms), "}", "}", "}", //
                 "1", "{", "$group", "{", "_id", "{", "host", "$host", "pipeline", "{", "$ifNull", "[", "{", "$arrayElemAt", "[",
                 "{", "$split", "[", "$key", ":", "]", "}", BCON_INT32(1), "]", "}", "", "]", "}", "outcome", "retry", "reason",
                 "{", "$ifNull", "[", "$reason", "", "]", "}", "}", "count", "{", "$sum", BCON_INT64(1), "}", "bytes", "{",
                 "$sum", BCON_INT64(0), "}", "ms", "{", "$sum", "$ms", "}", "}", "}");
    append_merge(pipeline, "2", from_ms, SLICE_MS);
    return pipeline;
}

static enum gri_status make_slice(const struct gri_mongo_session *session, int64_t from_ms, struct gri_error *error) {
    enum gri_status status = gri_mongo_aggregate(session, GRI_MONGO_URLS, finished_pipeline(from_ms, from_ms + SLICE_MS),
                                                 BCON_NEW("hint", GRI_INDEX_URLS_DONE), nothing, NULL, error);
    if (status != GRI_OK) return status;
    return gri_mongo_aggregate(session, GRI_MONGO_EVENTS, attempts_pipeline(from_ms, from_ms + SLICE_MS),
                               BCON_NEW("hint", GRI_INDEX_EVENTS_EVENT), nothing, NULL, error);
}

/* The first time at or behind from_ms at which anything was finished; now_ms where there is none. */
static enum gri_status next_finished(const struct gri_mongo_session *session, int64_t from_ms, int64_t now_ms, int64_t *at_ms,
                                     struct gri_error *error) {
    bson_t *found = NULL;
    bson_t *opts = BCON_NEW("projection", "{", "_id", BCON_INT32(0), "done_at", BCON_INT32(1), "}", "sort", "{", "done_at",
                            BCON_INT32(1), "}", "hint", GRI_INDEX_URLS_DONE);
    bson_t *filter = BCON_NEW("done_at", "{", "$gte", BCON_DATE_TIME(from_ms), "}");
    enum gri_status status = gri_mongo_find_one(session, GRI_MONGO_URLS, filter, opts, &found, error);
    *at_ms = found ? gri_mongo_number(found, "done_at", now_ms) : now_ms;
    bson_destroy(found);
    if (status != GRI_OK) return status;
    opts = BCON_NEW("projection", "{", "_id", BCON_INT32(0), "time", BCON_INT32(1), "}", "sort", "{", "event", BCON_INT32(1),
                    "time", BCON_INT32(1), "_id", BCON_INT32(1), "}", "hint", GRI_INDEX_EVENTS_EVENT);
    filter = BCON_NEW("event", "attempt_failed", "time", "{", "$gte", BCON_DATE_TIME(from_ms), "}");
    status = gri_mongo_find_one(session, GRI_MONGO_EVENTS, filter, opts, &found, error);
    int64_t event_ms = found ? gri_mongo_number(found, "time", now_ms) : now_ms;
    if (event_ms < *at_ms) *at_ms = event_ms;
    bson_destroy(found);
    return status;
}

static enum gri_status save_until(const struct gri_mongo_session *session, int64_t until_ms, struct gri_error *error) {
    return gri_mongo_update_one(session, GRI_MONGO_META, BCON_NEW("_id", "rollup"),
                                BCON_NEW("$max", "{", "until", BCON_DATE_TIME(until_ms), "}"), true, NULL, NULL, error);
}

/* The hour's slices, all closed, summed; then, and only then, it is noted; then they go. */
static enum gri_status make_hour(const struct gri_mongo_session *session, int64_t hour_ms, struct gri_error *error) {
    bson_t *pipeline =
        BCON_NEW("0", "{", "$match", "{", "at", "{", "$gte", BCON_DATE_TIME(hour_ms), "$lt", BCON_DATE_TIME(hour_ms + HOUR_MS),
                 "}", "span", BCON_INT32(SLICE_MS), "}", "}", //
                 "1", "{", "$group", "{", "_id", "{", "host", "$host", "pipeline", "$pipeline", "outcome", "$outcome", "reason",
                 "$reason", "}", "count", "{", "$sum", "$count", "}", "bytes", "{", "$sum", "$bytes", "}", "ms", "{", "$sum",
                 "$ms", "}", "total_ms", "{", "$sum", "$total_ms", "}", "within", "{", "$sum", "$within", "}", "}", "}");
    append_merge(pipeline, "2", hour_ms, HOUR_MS);
    enum gri_status status =
        gri_mongo_aggregate(session, GRI_MONGO_ROLLUPS, pipeline, BCON_NEW("hint", "at"), nothing, NULL, error);
    if (status != GRI_OK) return status;
    return gri_mongo_update_one(session, GRI_MONGO_META, BCON_NEW("_id", "rollup"),
                                BCON_NEW("$max", "{", "hours", BCON_DATE_TIME(hour_ms + HOUR_MS), "}"), true, NULL, NULL, error);
}

/* Hours that lie wholly before until_ms, and the slices of those that are done. */
static enum gri_status fold_hours(const struct gri_mongo_session *session, int64_t hours_ms, int64_t until_ms,
                                  struct gri_error *error) {
    bson_t *found = NULL;
    bson_t *filter =
        BCON_NEW("at", "{", "$gte", BCON_DATE_TIME(hours_ms), "$lt", BCON_DATE_TIME(until_ms), "}", "span", BCON_INT32(SLICE_MS));
    bson_t *opts = BCON_NEW("sort", "{", "at", BCON_INT32(1), "}", "hint", "at", "projection", "{", "at", BCON_INT32(1), "}");
    enum gri_status status = gri_mongo_find_one(session, GRI_MONGO_ROLLUPS, filter, opts, &found, error);
    int64_t at_ms = found ? gri_mongo_number(found, "at", until_ms) : until_ms, hour_ms = at_ms - at_ms % HOUR_MS;
    bson_destroy(found);
    if (status == GRI_OK && hour_ms + HOUR_MS <= until_ms) {
        status = make_hour(session, hour_ms, error);
        hours_ms = hour_ms + HOUR_MS;
    }
    if (status != GRI_OK) return status;
    filter = BCON_NEW("at", "{", "$lt", BCON_DATE_TIME(hours_ms), "}", "span", BCON_INT32(SLICE_MS));
    return gri_mongo_delete(session, GRI_MONGO_ROLLUPS, filter, NULL, error);
}

enum gri_status gri_mongo_roll_up(const struct gri_mongo_session *session, bool *more, struct gri_error *error) {
    bson_t *meta = NULL;
    int64_t now_ms = 0, until_ms, at_ms;
    enum gri_status status = gri_mongo_now(session, &now_ms, error);
    if (status == GRI_OK) status = gri_mongo_find_one(session, GRI_MONGO_META, BCON_NEW("_id", "rollup"), NULL, &meta, error);
    if (status != GRI_OK) return status;
    until_ms = meta ? gri_mongo_number(meta, "until", 0) : 0;
    int64_t hours_ms = meta ? gri_mongo_number(meta, "hours", 0) : 0;
    bson_destroy(meta);
    int64_t began_ms = until_ms, slices = 0;
    bool open = false;
    while (status == GRI_OK && !open && slices++ < SLICES_A_CALL) {
        status = next_finished(session, until_ms, now_ms, &at_ms, error);
        if (status != GRI_OK) break;
        until_ms = at_ms - at_ms % SLICE_MS;
        open = now_ms < until_ms + SLICE_MS + CLOSE_AFTER_MS;
        status = make_slice(session, until_ms, error);
        if (!open) until_ms += SLICE_MS;
    }
    /* The slice before the present one may be open too. */
    if (status == GRI_OK && open && now_ms >= until_ms + SLICE_MS) status = make_slice(session, until_ms + SLICE_MS, error);
    if (!open) *more = true;
    if (status == GRI_OK && until_ms > began_ms) status = save_until(session, until_ms, error);
    return status == GRI_OK ? fold_hours(session, hours_ms, until_ms, error) : status;
}

/* --- reading them ----------------------------------------------------------------------------------------------------------- */

static bool add_row(const bson_t *document, void *arg) {
    static const char *const FIELDS[] = {"count", "bytes", "ms", "total_ms", "within", NULL};
    bson_iter_t at, key;
    struct gri_json *row = gri_json_object(), *sums = gri_mongo_json_pick(document, FIELDS);
    if (bson_iter_init_find(&at, document, "_id") && BSON_ITER_HOLDS_DOCUMENT(&at) && bson_iter_recurse(&at, &key)) {
        while (bson_iter_next(&key))
            gri_json_set(row, bson_iter_key(&key), gri_mongo_json_value(&key));
    }
    for (const char *const *name = FIELDS; *name; name++)
        gri_json_set(row, *name, gri_json_copy(gri_json_get(sums, *name)));
    gri_json_free(sums);
    gri_json_append(arg, row);
    return true;
}

static void append_group(bson_t *id, const struct gri_stats_query *query) {
    if (query->step) {
        bson_t *time = BCON_NEW("$dateTrunc", "{", "date", "$at", "unit", BCON_UTF8(query->step), "}");
        BSON_APPEND_DOCUMENT(id, "at", time);
        bson_destroy(time);
    }
    if (query->by_host) BSON_APPEND_UTF8(id, "host", "$host");
    if (query->by_pipeline) BSON_APPEND_UTF8(id, "pipeline", "$pipeline");
    if (query->by_reason) BSON_APPEND_UTF8(id, "reason", "$reason");
    if (query->by_outcome) BSON_APPEND_UTF8(id, "outcome", "$outcome"); /* last: the rows of one key stand together */
}

enum gri_status gri_mongo_get_stats(struct gri_archive *archive, const struct gri_stats_query *query, struct gri_json **out,
                                    struct gri_error *error) {
    struct gri_mongo_session session;
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    bson_t match = BSON_INITIALIZER, id = BSON_INITIALIZER, range = BSON_INITIALIZER;
    bson_t *meta = NULL;
    int64_t hours_ms = 0;
    status = gri_mongo_find_one(&session, GRI_MONGO_META, BCON_NEW("_id", "rollup"), NULL, &meta, error);
    if (meta) hours_ms = gri_mongo_number(meta, "hours", 0);
    bson_destroy(meta);
    if (status != GRI_OK) return gri_mongo_archive_close(&session, status, error);
    BCON_APPEND(&match, "$or", "[", "{", "span", BCON_INT32(HOUR_MS), "at", "{", "$lt", BCON_DATE_TIME(hours_ms), "}", "}", "{",
                "span", BCON_INT32(SLICE_MS), "at", "{", "$gte", BCON_DATE_TIME(hours_ms), "}", "}", "]");
    BSON_APPEND_DATE_TIME(&range, "$gte", query->since_ms);
    if (query->until_ms) BSON_APPEND_DATE_TIME(&range, "$lt", query->until_ms);
    BSON_APPEND_DOCUMENT(&match, "at", &range);
    if (query->host) BSON_APPEND_UTF8(&match, "host", query->host);
    if (query->pipeline) BSON_APPEND_UTF8(&match, "pipeline", query->pipeline);
    append_group(&id, query);
    bson_t *pipeline =
        BCON_NEW("0", "{", "$match", BCON_DOCUMENT(&match), "}", "1", "{", "$group", "{", "_id", BCON_DOCUMENT(&id), "count", "{",
                 "$sum", "$count", "}", "bytes", "{", "$sum", "$bytes", "}", "ms", "{", "$sum", "$ms", "}", "total_ms", "{",
                 "$sum", "$total_ms", "}", "within", "{", "$sum", "$within", "}", "}", "}", "2", "{", "$sort", "{", "_id",
                 BCON_INT32(1), "}", "}", "3", "{", "$limit", BCON_INT32(ROWS_MAX), "}");
    struct gri_json *rows = gri_json_array();
    status = gri_mongo_aggregate(&session, GRI_MONGO_ROLLUPS, pipeline, BCON_NEW("hint", "at"), add_row, rows, error);
    bson_destroy(&match);
    bson_destroy(&id);
    bson_destroy(&range);
    if (status == GRI_OK) {
        *out = rows;
    } else {
        gri_json_free(rows);
    }
    return gri_mongo_archive_close(&session, status, error);
}
