/* SPDX-License-Identifier: Apache-2.0 */
/* Dead letters: listed by partial indexes that hold the dead alone, given another life, or marked as seen. */
#include "mongo_archive.h"
#include "mongo_ledger.h"
#include "mongo_schema.h"

#include <grisaille/crash_point.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 500, COUNT_MAX = 100000 };

/* The index that answers the filter with the least reading. */
static const char *index_of(const struct gri_filter *filter) {
    return filter->url       ? "url"
           : filter->catalog ? "dead_catalog"
           : filter->host    ? "dead_host"
           : filter->reason  ? "dead_reason"
                             : "dead_time";
}

static bson_t *dead_filter(const struct gri_filter *filter, const struct gri_mongo_place *place) {
    struct gri_filter range = *filter;
    bson_t *query = BCON_NEW("state", "dead", "dropped", BCON_NULL);
    if (filter->url) BSON_APPEND_UTF8(query, "url", filter->url);
    if (filter->catalog) BSON_APPEND_UTF8(query, "first.catalog", filter->catalog);
    if (filter->host) BSON_APPEND_UTF8(query, "host", filter->host);
    if (filter->reason) BSON_APPEND_UTF8(query, "error.reason", filter->reason);
    /* Some bound on the date makes the planner walk the index in order. */
    if (!range.since_ms) range.since_ms = 1;
    gri_mongo_append_place(query, "changed_at", place, &range, false);
    return query;
}

/* --- the list --------------------------------------------------------------------------------------------------------------- */

struct dead_list {
    struct gri_json *items;
    int64_t limit, count;
    struct gri_mongo_place last;
    bool more;
};

static bool add_dead(const bson_t *document, void *arg) {
    static const char *const FIELDS[] = {"_id>key", "url",     "host",       "pipeline",   "attempts", "first",
                                         "error",   "history", "created_at", "changed_at", "shared",   NULL};
    struct dead_list *list = arg;
    if (list->count == list->limit) {
        list->more = true;
        return false;
    }
    list->count++;
    list->last.ms = gri_mongo_number(document, "changed_at", 0);
    (void)gri_copy(list->last.id, sizeof list->last.id, gri_mongo_text(document, "_id"));
    struct gri_json *row = gri_mongo_json_pick(document, FIELDS);
    if (!gri_mongo_has(document, "history")) gri_json_set(row, "history", gri_json_array());
    gri_json_set_bool(row, "shared", gri_mongo_truth(document, "shared"));
    gri_json_append(list->items, row);
    return true;
}

enum gri_status gri_mongo_list_dead(struct gri_archive *archive, const struct gri_filter *filter, struct gri_json **out,
                                    struct gri_error *error) {
    struct gri_mongo_session session;
    struct gri_mongo_place place;
    struct dead_list list = {.limit = gri_mongo_limit(filter)};
    bool given = false;
    char cursor[GRI_IMAGE_ID_MAX + 32] = "";
    enum gri_status status = gri_mongo_place_parse(filter->cursor, &place, &given, error);
    if (status == GRI_OK) status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    list.items = gri_json_array();
    bson_t *opts = BCON_NEW("sort", "{", "changed_at", BCON_INT32(-1), "_id", BCON_INT32(-1), "}", "limit",
                            BCON_INT64(list.limit + 1), "hint", BCON_UTF8(index_of(filter)));
    status = gri_mongo_find(&session, GRI_MONGO_URLS, dead_filter(filter, given ? &place : NULL), opts, add_dead, &list, error);
    if (list.more) gri_mongo_place_print(&list.last, cursor, sizeof cursor);
    if (status == GRI_OK) {
        *out = gri_mongo_json_page("dead", list.items, cursor);
    } else {
        gri_json_free(list.items);
    }
    return gri_mongo_archive_close(&session, status, error);
}

enum gri_status gri_mongo_count_dead(struct gri_archive *archive, const struct gri_filter *filter, int64_t *count,
                                     struct gri_error *error) {
    struct gri_mongo_session session;
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    status = gri_mongo_count(&session, GRI_MONGO_URLS, dead_filter(filter, NULL), index_of(filter), COUNT_MAX, count, error);
    return gri_mongo_archive_close(&session, status, error);
}

/* --- another life ----------------------------------------------------------------------------------------------------------- */

struct batch {
    char (*keys)[GRI_KEY_MAX];
    char (*catalogs)[GRI_CATALOG_ID_MAX];
    size_t count;
};

static bool take(const bson_t *document, void *arg) {
    struct batch *batch = arg;
    if (batch->count == BATCH) return false;
    (void)gri_copy(batch->keys[batch->count], GRI_KEY_MAX, gri_mongo_text(document, "_id"));
    (void)gri_copy(batch->catalogs[batch->count++], GRI_CATALOG_ID_MAX, gri_mongo_text(document, "first.catalog"));
    return true;
}

/* [{$set: {history: the last ten failures, state: waiting, …}}, {$unset: the failure}] */
static bson_t *life_change(const char *by) {
    return BCON_NEW("0", "{", "$set", "{", //
                    "history", "{", "$slice", "[", "{", "$concatArrays", "[", "{", "$ifNull", "[", "$history", "[", "]", "]", "}",
                    "[", "{", "reason", "$error.reason", "detail", "$error.detail", "at", "$changed_at", "attempts", "$attempts",
                    "retried_at", "$$NOW", "by", "{", "$literal", BCON_UTF8(by), "}", "}", "]", "]", "}", BCON_INT32(-10), "]",
                    "}", "state", "waiting", "attempts", BCON_INT32(0), "next_at", "$$NOW", "changed_at", "$$NOW", "}", "}", //
                    "1", "{", "$unset", "[", "error", "limited_at", "done_at", "dropped", "]", "}");
}

static bson_t *drop_change(const char *by) {
    return BCON_NEW("0", "{", "$set", "{", "dropped", "{", "by", "{", "$literal", BCON_UTF8(by), "}", "at", "$$NOW", "}", "}",
                    "}");
}

/* A finished catalog whose URL lives again is unfinished again; last, when who settles it can see that. */
static enum gri_status reopen(const struct gri_mongo_session *session, const struct batch *batch, struct gri_error *error) {
    bson_t *filter = BCON_NEW("state", "finished");
    gri_mongo_append_texts(filter, "_id", batch->catalogs[0], sizeof batch->catalogs[0], batch->count);
    bson_t *change =
        BCON_NEW("$set", "{", "state", "running", "unfinished", BCON_BOOL(true), "}", "$unset", "{", "finished_at", "", "}");
    return gri_mongo_update_many(session, GRI_MONGO_CATALOGS, filter, change, error);
}

/* A batch; what died anew meanwhile is younger than `until` and stays. */
static enum gri_status act(const struct gri_mongo_session *session, const struct gri_filter *filter, size_t most, bool drop,
                           const char *by, struct batch *batch, struct gri_error *error) {
    bson_t *opts = BCON_NEW("projection", "{", "first.catalog", BCON_INT32(1), "}", "limit", BCON_INT64((int64_t)most), "hint",
                            BCON_UTF8(index_of(filter)));
    batch->count = 0;
    enum gri_status status = gri_mongo_find(session, GRI_MONGO_URLS, dead_filter(filter, NULL), opts, take, batch, error);
    if (status != GRI_OK || batch->count == 0) return status;
    bson_t *query = BCON_NEW("state", "dead");
    gri_mongo_append_texts(query, "_id", batch->keys[0], sizeof batch->keys[0], batch->count);
    GRI_CRASH_POINT_IF(!drop, dead_retry_before);
    status = gri_mongo_update_many(session, GRI_MONGO_URLS, query, drop ? drop_change(by) : life_change(by), error);
    GRI_CRASH_POINT_IF(!drop, dead_retry_after);
    if (status == GRI_OK && !drop) status = reopen(session, batch, error);
    return status;
}

enum gri_status gri_mongo_act_on_dead(struct gri_archive *archive, const struct gri_filter *filter, bool drop, const char *by,
                                      int64_t *count, struct gri_error *error) {
    struct gri_mongo_session session;
    struct gri_filter rest = *filter;
    int64_t now_ms = 0;
    *count = 0;
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    struct batch batch = {.keys = gri_calloc(BATCH, GRI_KEY_MAX), .catalogs = gri_calloc(BATCH, GRI_CATALOG_ID_MAX), .count = 1};
    status = gri_mongo_now(&session, &now_ms, error);
    if (!rest.until_ms || rest.until_ms > now_ms) rest.until_ms = now_ms;
    while (status == GRI_OK && batch.count > 0 && (filter->limit == 0 || *count < filter->limit)) {
        size_t most = filter->limit && filter->limit - *count < BATCH ? (size_t)(filter->limit - *count) : BATCH;
        status = act(&session, &rest, most, drop, by, &batch, error);
        if (status == GRI_OK) *count += (int64_t)batch.count;
    }
    free(batch.keys);
    free(batch.catalogs);
    return gri_mongo_archive_close(&session, status, error);
}
