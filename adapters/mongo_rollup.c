/* SPDX-License-Identifier: Apache-2.0 */
/* Roll-ups: counts by time, host, pipeline, outcome and reason, computed from the ledger and the events. A minute is computed
 * again (the same _id, replaced) until it is closed, and so is the slice of five that it belongs to, their sum: no command looks
 * at more of the ledger than a minute of it. `meta.minutes` and `meta.until` tell how far minutes and slices are closed, and a
 * closed one is never touched again, so that it outlives its events. Closed slices of a whole hour are summed into one of that
 * hour, and hours of a whole day (UTC) into one of that day; `meta.hours` and `meta.days` tell how far. Minutes and slices go
 * once they are in their hour, hours stay for rollups.keep_days (`meta.kept`: from when on they are there). mongo_stats.c reads
 * them. */
#include "mongo_archive.h"
#include "mongo_schema.h"
#include "mongo_upkeep.h"

#include <string.h>

enum {
    MINUTE_MS = 60000,
    SLICE_MS = 300000,
    HOUR_MS = 3600000,
    DAY_MS = 86400000,
    CLOSE_AFTER_MS = 60000, /* writes that began before are done by then */
    SLICES_A_CALL = 24,
    OBJECTIVE_MS = 300000 /* "99 % finished within 300 s" */
};

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

/* What became done or dead in the minute. One that was fetched anew began when that was asked for; where its host had nothing
 * new, or would not say, nothing was stored. */
static bson_t *finished_pipeline(int64_t from_ms) {
    bson_t *took =
        BCON_NEW("$subtract", "[", "$done_at", "{", "$cond", "[", "$renewed", "$renew.at", "$created_at", "]", "}", "]");
    bson_t *made = BCON_NEW("$cond", "[", "{", "$eq", "[", "{", "$cond", "[", "$renewed", "$renew.made", "$made", "]", "}",
                            BCON_BOOL(true), "]", "}", "stored", "duplicate_content", "]");
    bson_t *outcome = BCON_NEW(
        "$switch", "{", "branches", "[", "{", "case", "{", "$eq", "[", "$state", "dead", "]", "}", "then", "dead", "}", //
        "{", "case", "{", "$not", "[", "$renewed", "]", "}", "then", BCON_DOCUMENT(made), "}",                          //
        "{", "case", "{", "$eq", "[", "$renew.outcome", "unchanged", "]", "}", "then", "unchanged", "}",                //
        "{", "case", "{", "$eq", "[", "$renew.outcome", "failed", "]", "}", "then", "refresh_failed", "}", "]",         //
        "default", BCON_DOCUMENT(made), "}");
    bson_t *reason = BCON_NEW("$ifNull", "[", "$error.reason", "{", "$cond", "[", "$renewed", "{", "$ifNull", "[",
                              "$renew.reason", "", "]", "}", "", "]", "}", "]");
    bson_t *pipeline = BCON_NEW(
        "0", "{", "$match", "{", "done_at", "{", "$gte", BCON_DATE_TIME(from_ms), "$lt", BCON_DATE_TIME(from_ms + MINUTE_MS), "}",
        "}", "}",                                                                                                      //
        "1", "{", "$set", "{", "renewed", "{", "$eq", "[", "$renew.done_at", "$done_at", "]", "}", "}", "}",           //
        "2", "{", "$group", "{",                                                                                       //
        "_id", "{", "host", "$host",                                                                                   //
        "pipeline", "{", "$arrayElemAt", "[", "{", "$split", "[", "$pipeline", "@", "]", "}", BCON_INT32(0), "]", "}", //
        "outcome", BCON_DOCUMENT(outcome), "reason", BCON_DOCUMENT(reason), "}",                                       //
        "count", "{", "$sum", BCON_INT64(1), "}",                                                                      //
        "bytes", "{", "$sum", "{", "$cond", "[", "{", "$and", "[", "$renewed", "{", "$in", "[", "$renew.outcome", "[",
        "unchanged", "failed", "]", "]", "}", "]", "}", BCON_INT64(0), "$bytes", "]", "}", "}", "ms", "{", "$sum", "$ms", "}", //
        "total_ms", "{", "$sum", BCON_DOCUMENT(took), "}",                                                                     //
        "within", "{", "$sum", "{", "$cond", "[", "{", "$lte", "[", BCON_DOCUMENT(took), BCON_INT64(OBJECTIVE_MS), "]", "}",
        BCON_INT64(1), BCON_INT64(0), "]", "}", "}", "}", "}");
    bson_destroy(took);
    bson_destroy(made);
    bson_destroy(outcome);
    bson_destroy(reason);
    append_merge(pipeline, "3", from_ms, MINUTE_MS);
    return pipeline;
}

/* Tries that failed in the minute and were not the last. */
static bson_t *attempts_pipeline(int64_t from_ms) {
    bson_t *pipeline =
        BCON_NEW("0", "{", "$match", "{", "event", "attempt_failed", "time", "{", "$gte", BCON_DATE_TIME(from_ms), "$lt",
                 BCON_DATE_TIME(from_ms + MINUTE_MS), "}", "}", "}", //
                 "1", "{", "$group", "{", "_id", "{", "host", "$host", "pipeline", "{", "$ifNull", "[", "{", "$arrayElemAt", "[",
                 "{", "$split", "[", "$key", ":", "]", "}", BCON_INT32(1), "]", "}", "", "]", "}", "outcome", "retry", "reason",
                 "{", "$ifNull", "[", "$reason", "", "]", "}", "}", "count", "{", "$sum", BCON_INT64(1), "}", "bytes", "{",
                 "$sum", BCON_INT64(0), "}", "ms", "{", "$sum", "$ms", "}", "}", "}");
    append_merge(pipeline, "2", from_ms, MINUTE_MS);
    return pipeline;
}

static enum gri_status make_minute(const struct gri_mongo_session *session, int64_t from_ms, struct gri_error *error) {
    enum gri_status status = gri_mongo_aggregate(session, GRI_MONGO_URLS, finished_pipeline(from_ms),
                                                 BCON_NEW("hint", GRI_INDEX_URLS_DONE), nothing, NULL, error);
    if (status != GRI_OK) return status;
    return gri_mongo_aggregate(session, GRI_MONGO_EVENTS, attempts_pipeline(from_ms), BCON_NEW("hint", GRI_INDEX_EVENTS_EVENT),
                               nothing, NULL, error);
}

/* All parts of [from_ms, from_ms + span_ms), summed. */
static enum gri_status make_sum(const struct gri_mongo_session *session, int64_t from_ms, int32_t part_ms, int32_t span_ms,
                                struct gri_error *error) {
    bson_t *pipeline =
        BCON_NEW("0", "{", "$match", "{", "span", BCON_INT32(part_ms), "at", "{", "$gte", BCON_DATE_TIME(from_ms), "$lt",
                 BCON_DATE_TIME(from_ms + span_ms), "}", "}", "}", //
                 "1", "{", "$group", "{", "_id", "{", "host", "$host", "pipeline", "$pipeline", "outcome", "$outcome", "reason",
                 "$reason", "}", "count", "{", "$sum", "$count", "}", "bytes", "{", "$sum", "$bytes", "}", "ms", "{", "$sum",
                 "$ms", "}", "total_ms", "{", "$sum", "$total_ms", "}", "within", "{", "$sum", "$within", "}", "}", "}");
    append_merge(pipeline, "2", from_ms, span_ms);
    return gri_mongo_aggregate(session, GRI_MONGO_ROLLUPS, pipeline, BCON_NEW("hint", GRI_INDEX_ROLLUPS_SPAN), nothing, NULL,
                               error);
}

/* Its minutes from *minutes_ms on, which closed ones move on, and their sum. */
static enum gri_status make_slice(const struct gri_mongo_session *session, int64_t from_ms, int64_t now_ms, int64_t *minutes_ms,
                                  struct gri_error *error) {
    enum gri_status status = GRI_OK;
    int64_t end_ms = from_ms + SLICE_MS < now_ms ? from_ms + SLICE_MS : now_ms;
    for (int64_t at_ms = *minutes_ms > from_ms ? *minutes_ms : from_ms; at_ms < end_ms && status == GRI_OK; at_ms += MINUTE_MS) {
        status = make_minute(session, at_ms, error);
        if (status == GRI_OK && now_ms >= at_ms + MINUTE_MS + CLOSE_AFTER_MS) *minutes_ms = at_ms + MINUTE_MS;
    }
    return status == GRI_OK ? make_sum(session, from_ms, MINUTE_MS, SLICE_MS, error) : status;
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

static enum gri_status save(const struct gri_mongo_session *session, const char *name, int64_t until_ms,
                            struct gri_error *error) {
    return gri_mongo_update_one(session, GRI_MONGO_META, BCON_NEW("_id", "rollup"),
                                BCON_NEW("$max", "{", name, BCON_DATE_TIME(until_ms), "}"), true, NULL, NULL, error);
}

/* The first part at or behind *done_ms tells the next span; where that lies wholly before until_ms, it is summed, and *done_ms is
 * its end. */
static enum gri_status fold(const struct gri_mongo_session *session, int32_t part_ms, int32_t span_ms, const char *name,
                            int64_t until_ms, int64_t *done_ms, bool *folded, struct gri_error *error) {
    bson_t *found = NULL;
    bson_t *filter =
        BCON_NEW("span", BCON_INT32(part_ms), "at", "{", "$gte", BCON_DATE_TIME(*done_ms), "$lt", BCON_DATE_TIME(until_ms), "}");
    bson_t *opts = BCON_NEW("sort", "{", "span", BCON_INT32(1), "at", BCON_INT32(1), "}", "hint", GRI_INDEX_ROLLUPS_SPAN,
                            "projection", "{", "at", BCON_INT32(1), "}");
    enum gri_status status = gri_mongo_find_one(session, GRI_MONGO_ROLLUPS, filter, opts, &found, error);
    int64_t at_ms = found ? gri_mongo_number(found, "at", until_ms) : until_ms, from_ms = at_ms - at_ms % span_ms;
    bson_destroy(found);
    *folded = status == GRI_OK && from_ms + span_ms <= until_ms;
    if (!*folded) return status;
    *done_ms = from_ms + span_ms;
    status = make_sum(session, from_ms, part_ms, span_ms, error);
    return status == GRI_OK ? save(session, name, *done_ms, error) : status; /* then, and only then, it is noted */
}

static enum gri_status drop_parts(const struct gri_mongo_session *session, int32_t part_ms, int64_t before_ms,
                                  struct gri_error *error) {
    bson_t *filter = BCON_NEW("span", BCON_INT32(part_ms), "at", "{", "$lt", BCON_DATE_TIME(before_ms), "}");
    return gri_mongo_delete(session, GRI_MONGO_ROLLUPS, filter, NULL, error);
}

/* Hours that are older than rollups.keep_days and summed into their day. Who reads is told before they go. */
static enum gri_status drop_hours(const struct gri_mongo_session *session, int64_t keep_days, int64_t now_ms, int64_t days_ms,
                                  int64_t kept_ms, struct gri_error *error) {
    int64_t before_ms = now_ms - keep_days * DAY_MS;
    before_ms -= before_ms % DAY_MS;
    if (before_ms > days_ms) before_ms = days_ms;
    if (keep_days == 0 || before_ms <= kept_ms) return GRI_OK;
    enum gri_status status = save(session, "kept", before_ms, error);
    return status == GRI_OK ? drop_parts(session, HOUR_MS, before_ms, error) : status;
}

/* What is closed becomes hours, hours become days; a bounded number a call. */
static enum gri_status fold_all(const struct gri_mongo_session *session, const bson_t *meta, int64_t until_ms, int64_t now_ms,
                                int64_t keep_days, bool *more, struct gri_error *error) {
    int64_t hours_ms = meta ? gri_mongo_number(meta, "hours", 0) : 0, days_ms = meta ? gri_mongo_number(meta, "days", 0) : 0;
    int64_t kept_ms = meta ? gri_mongo_number(meta, "kept", 0) : 0;
    bool folded;
    enum gri_status status = fold(session, SLICE_MS, HOUR_MS, "hours", until_ms, &hours_ms, &folded, error);
    if (status == GRI_OK) status = drop_parts(session, MINUTE_MS, hours_ms, error);
    if (status == GRI_OK) status = drop_parts(session, SLICE_MS, hours_ms, error);
    if (status == GRI_OK) status = fold(session, HOUR_MS, DAY_MS, "days", hours_ms, &days_ms, &folded, error);
    if (status == GRI_OK && folded) *more = true;
    return status == GRI_OK ? drop_hours(session, keep_days, now_ms, days_ms, kept_ms, error) : status;
}

enum gri_status gri_mongo_roll_up(const struct gri_mongo_session *session, int64_t keep_days, bool *more,
                                  struct gri_error *error) {
    bson_t *meta = NULL;
    int64_t now_ms = 0, until_ms, at_ms;
    enum gri_status status = gri_mongo_now(session, &now_ms, error);
    if (status == GRI_OK) status = gri_mongo_find_one(session, GRI_MONGO_META, BCON_NEW("_id", "rollup"), NULL, &meta, error);
    if (status != GRI_OK) return status;
    until_ms = meta ? gri_mongo_number(meta, "until", 0) : 0;
    int64_t minutes_ms = meta ? gri_mongo_number(meta, "minutes", 0) : 0;
    int64_t began_ms = until_ms, minutes_before_ms = minutes_ms, slices = 0;
    bool open = false;
    while (status == GRI_OK && !open && slices++ < SLICES_A_CALL) {
        status = next_finished(session, until_ms, now_ms, &at_ms, error);
        if (status != GRI_OK) break;
        until_ms = at_ms - at_ms % SLICE_MS;
        open = now_ms < until_ms + SLICE_MS + CLOSE_AFTER_MS;
        status = make_slice(session, until_ms, now_ms, &minutes_ms, error);
        if (!open) until_ms += SLICE_MS;
    }
    /* The slice before the present one may be open too. */
    if (status == GRI_OK && open && now_ms >= until_ms + SLICE_MS)
        status = make_slice(session, until_ms + SLICE_MS, now_ms, &minutes_ms, error);
    if (!open) *more = true;
    if (status == GRI_OK && minutes_ms > minutes_before_ms) status = save(session, "minutes", minutes_ms, error);
    if (status == GRI_OK && until_ms > began_ms) status = save(session, "until", until_ms, error);
    if (status == GRI_OK) status = fold_all(session, meta, until_ms, now_ms, keep_days, more, error);
    bson_destroy(meta);
    return status;
}
