/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the roll-ups (mongo_rollup.c). Each moment is read from one span alone, so that nothing is counted twice: from days
 * where the answer has no finer step and they are made, from hours and slices elsewhere. */
#include "mongo_archive.h"
#include "mongo_schema.h"

#include <string.h>

enum { SLICE_MS = 300000, HOUR_MS = 3600000, DAY_MS = 86400000, ROWS_MAX = 20000, PARTS_MAX = 4 };

#define FAR_MS INT64_C(253402300799999) /* the end of the year 9999: as far as drivers read dates */

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

/* What of the time from…to is read from one span. */
struct part {
    int32_t span_ms;
    int64_t from_ms, to_ms;
};

static int64_t later(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int64_t sooner(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* hours_ms, days_ms: how far there are hours, days; kept_ms: from when on the hours are still there. */
static size_t divide(const struct gri_stats_query *query, int64_t hours_ms, int64_t days_ms, int64_t kept_ms,
                     struct part parts[PARTS_MAX]) {
    int64_t since = query->since_ms, until = query->until_ms ? query->until_ms : FAR_MS;
    bool fine = query->step && (strcmp(query->step, "minute") == 0 || strcmp(query->step, "hour") == 0);
    /* Days that lie wholly within the time asked for; of finer steps only those whose hours are gone. */
    int64_t from = (since + DAY_MS - 1) / DAY_MS * DAY_MS, to = sooner(until - until % DAY_MS, days_ms);
    if (fine) to = sooner(to, kept_ms);
    if (to < from) to = from;
    const struct part all[PARTS_MAX] = {{HOUR_MS, since, sooner(sooner(from, hours_ms), until)},
                                        {DAY_MS, from, to},
                                        {HOUR_MS, to, sooner(hours_ms, until)},
                                        {SLICE_MS, later(since, hours_ms), until}};
    size_t count = 0;
    for (size_t i = 0; i < PARTS_MAX; i++)
        if (all[i].from_ms < all[i].to_ms) parts[count++] = all[i];
    return count;
}

static void append_part(bson_t *any, size_t position, const struct part *part, const struct gri_stats_query *query) {
    char name[2] = {(char)('0' + position), '\0'};
    bson_t condition;
    BSON_APPEND_DOCUMENT_BEGIN(any, name, &condition);
    BCON_APPEND(&condition, "span", BCON_INT32(part->span_ms), "at", "{", "$gte", BCON_DATE_TIME(part->from_ms), "$lt",
                BCON_DATE_TIME(part->to_ms), "}");
    if (query->host) BSON_APPEND_UTF8(&condition, "host", query->host);
    if (query->pipeline) BSON_APPEND_UTF8(&condition, "pipeline", query->pipeline);
    bson_append_document_end(any, &condition);
}

static enum gri_status read_match(const struct gri_mongo_session *session, const struct gri_stats_query *query, bson_t *match,
                                  struct gri_error *error) {
    struct part parts[PARTS_MAX];
    bson_t *meta = NULL, any;
    enum gri_status status = gri_mongo_find_one(session, GRI_MONGO_META, BCON_NEW("_id", "rollup"), NULL, &meta, error);
    if (status != GRI_OK) return status;
    int64_t hours_ms = meta ? gri_mongo_number(meta, "hours", 0) : 0, days_ms = meta ? gri_mongo_number(meta, "days", 0) : 0;
    size_t count = divide(query, hours_ms, days_ms, meta ? gri_mongo_number(meta, "kept", 0) : 0, parts);
    bson_destroy(meta);
    if (count == 0) parts[count++] = (struct part){SLICE_MS, 0, 0}; /* an empty time */
    BSON_APPEND_ARRAY_BEGIN(match, "$or", &any);
    for (size_t i = 0; i < count; i++)
        append_part(&any, i, &parts[i], query);
    bson_append_array_end(match, &any);
    return GRI_OK;
}

enum gri_status gri_mongo_get_stats(struct gri_archive *archive, const struct gri_stats_query *query, struct gri_json **out,
                                    struct gri_error *error) {
    struct gri_mongo_session session;
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    bson_t match = BSON_INITIALIZER, id = BSON_INITIALIZER;
    struct gri_json *rows = gri_json_array();
    status = read_match(&session, query, &match, error);
    if (status != GRI_OK) goto out;
    append_group(&id, query);
    bson_t *pipeline =
        BCON_NEW("0", "{", "$match", BCON_DOCUMENT(&match), "}", "1", "{", "$group", "{", "_id", BCON_DOCUMENT(&id), "count", "{",
                 "$sum", "$count", "}", "bytes", "{", "$sum", "$bytes", "}", "ms", "{", "$sum", "$ms", "}", "total_ms", "{",
                 "$sum", "$total_ms", "}", "within", "{", "$sum", "$within", "}", "}", "}", "2", "{", "$sort", "{", "_id",
                 BCON_INT32(1), "}", "}", "3", "{", "$limit", BCON_INT32(ROWS_MAX), "}");
    status = gri_mongo_aggregate(&session, GRI_MONGO_ROLLUPS, pipeline, BCON_NEW("hint", GRI_INDEX_ROLLUPS_SPAN), add_row, rows,
                                 error);
    if (status == GRI_OK) {
        *out = rows;
        rows = NULL;
    }
out:
    gri_json_free(rows);
    bson_destroy(&match);
    bson_destroy(&id);
    return gri_mongo_archive_close(&session, status, error);
}
