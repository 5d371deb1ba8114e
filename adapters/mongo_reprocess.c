/* SPDX-License-Identifier: Apache-2.0 */
/* Bringing URLs that an older version of a pipeline made to its present one. What a person asks for is one document a pipeline;
 * the work is done by whoever holds the sweeper's lease, a bounded piece at a time: so many are under way at once, and no more
 * are begun before some have ended. Which ones are left is seen from the ledger, so nothing is lost or done twice by a crash. */
#include "mongo_archive.h"
#include "mongo_ledger.h"
#include "mongo_renewal.h"
#include "mongo_schema.h"
#include "mongo_upkeep.h"

#include <grisaille/crash_point.h>
#include <stdlib.h>
#include <string.h>

enum {
    UNDER_WAY = 20000, /* at once: they wait in front of later retries */
    BATCH = 500,
    BATCHES_A_CALL = 8,
    RUNS_MAX = 16,
    VERSIONS_MAX = 50,
    COUNT_MAX = 100000
};

/* "reprocess:<pipeline's name>", which no catalog's id is. */
static void asker_of(const char *name, char asker[GRI_NAME_MAX + 16]) {
    GRI_ASSERT(gri_format(asker, GRI_NAME_MAX + 16, "reprocess:%s", name));
}

/* Done, by another version of the same pipeline; what was taken down or has expired is not wanted. */
static bson_t *older_filter(const char *pipeline, const struct gri_filter *filter) {
    char name[GRI_NAME_MAX], from[GRI_NAME_MAX + 1], to[GRI_NAME_MAX + 1];
    gri_pipeline_name(pipeline, name);
    GRI_ASSERT(gri_format(from, sizeof from, "%s@", name) && gri_format(to, sizeof to, "%sA", name)); /* 'A' follows '@' */
    bson_t *query =
        BCON_NEW("state", "done", "pipeline", "{", "$gte", BCON_UTF8(from), "$lt", BCON_UTF8(to), "$ne", BCON_UTF8(pipeline), "}",
                 "error.reason", "{", "$ne", "removed", "}", "expired", "{", "$ne", BCON_BOOL(true), "}");
    if (filter->host) gri_mongo_append_text(query, "host", filter->host);
    if (filter->catalog) gri_mongo_append_text(query, "first.catalog", filter->catalog);
    if (filter->since_ms || filter->until_ms) {
        bson_t range = BSON_INITIALIZER;
        BSON_APPEND_DATE_TIME(&range, "$gte", filter->since_ms);
        if (filter->until_ms) BSON_APPEND_DATE_TIME(&range, "$lt", filter->until_ms);
        BSON_APPEND_DOCUMENT(query, "done_at", &range);
        bson_destroy(&range);
    }
    return query;
}

static const char *index_of(const struct gri_filter *filter) {
    return filter->catalog ? GRI_INDEX_URLS_STATE : GRI_INDEX_URLS_MADE;
}

/* --- what there is to do ---------------------------------------------------------------------------------------------- */

/* The next older version behind `after`, by a hop in the index; "" at the end. */
static enum gri_status next_version(const struct gri_mongo_session *session, const char *pipeline, const char *after,
                                    char version[GRI_PIPELINE_MAX], struct gri_error *error) {
    struct gri_filter any = {.limit = 1};
    bson_t *query = older_filter(pipeline, &any), *found = NULL;
    bson_t *opts = BCON_NEW("projection", "{", "_id", BCON_INT32(0), "pipeline", BCON_INT32(1), "}", "sort", "{", "pipeline",
                            BCON_INT32(1), "done_at", BCON_INT32(1), "_id", BCON_INT32(1), "}", "hint", GRI_INDEX_URLS_MADE);
    bson_t *beyond = BCON_NEW("$and", "[", BCON_DOCUMENT(query), "{", "pipeline", "{", "$gt", BCON_UTF8(after), "}", "}", "]",
                              "state", "done");
    bson_destroy(query);
    version[0] = '\0';
    enum gri_status status = gri_mongo_find_one(session, GRI_MONGO_URLS, beyond, opts, &found, error);
    if (found) (void)gri_copy(version, GRI_PIPELINE_MAX, gri_mongo_text(found, "pipeline"));
    bson_destroy(found);
    return status;
}

static enum gri_status count_version(const struct gri_mongo_session *session, const char *pipeline,
                                     const struct gri_filter *filter, const char *version, int64_t *count,
                                     struct gri_error *error) {
    bson_t *query = older_filter(pipeline, filter);
    bson_t *exact = BCON_NEW("$and", "[", BCON_DOCUMENT(query), "]", "state", "done", "pipeline", BCON_UTF8(version));
    bson_destroy(query);
    return gri_mongo_count(session, GRI_MONGO_URLS, exact, index_of(filter), COUNT_MAX, count, error);
}

/* {"pipeline", "count", "versions": [{"pipeline", "count"}]} */
static enum gri_status survey(const struct gri_mongo_session *session, const char *pipeline, const struct gri_filter *filter,
                              struct gri_json *out, struct gri_error *error) {
    char version[GRI_PIPELINE_MAX] = "", next[GRI_PIPELINE_MAX];
    struct gri_json *versions = gri_json_array();
    int64_t all = 0;
    enum gri_status status = GRI_OK;
    for (int i = 0; i < VERSIONS_MAX; i++) {
        int64_t count = 0;
        status = next_version(session, pipeline, version, next, error);
        if (status != GRI_OK || !next[0]) break;
        (void)gri_copy(version, sizeof version, next);
        status = count_version(session, pipeline, filter, version, &count, error);
        if (status != GRI_OK) break;
        if (count == 0) continue;
        struct gri_json *row = gri_json_object();
        gri_json_set_str(row, "pipeline", version);
        gri_json_set_int(row, "count", count);
        gri_json_append(versions, row);
        all += count;
    }
    gri_json_set_str(out, "pipeline", pipeline);
    gri_json_set_int(out, "count", all);
    gri_json_set(out, "versions", versions);
    return status;
}

/* --- the run: one document a pipeline ----------------------------------------------------------------------------------- */

static enum gri_status read_run(const struct gri_mongo_session *session, const char *name, bson_t **found,
                                struct gri_error *error) {
    return gri_mongo_find_one(session, GRI_MONGO_REPROCESSES, BCON_NEW("_id", BCON_UTF8(name)), NULL, found, error);
}

static enum gri_status run_json(const struct gri_mongo_session *session, const bson_t *run, struct gri_json **out,
                                struct gri_error *error) {
    static const char *const FIELDS[] = {"pipeline", "number", "state", "by", "created_at", "finished_at", "filter", NULL};
    struct gri_mongo_renewed counts;
    char asker[GRI_NAME_MAX + 16];
    enum gri_status status = GRI_OK;
    asker_of(gri_mongo_text(run, "_id"), asker);
    gri_mongo_renewed_read(run, "counts", &counts);
    if (gri_mongo_truth(run, "unfinished"))
        status = gri_mongo_renewals_count(session, asker, gri_mongo_number(run, "number", 0), &counts, error);
    if (status != GRI_OK) return status;
    *out = gri_mongo_json_pick(run, FIELDS);
    gri_json_set(*out, "counts", gri_mongo_renewed_json(&counts));
    return GRI_OK;
}

enum gri_status gri_mongo_get_reprocess(struct gri_archive *archive, const char *pipeline, const struct gri_filter *filter,
                                        struct gri_json **out, struct gri_error *error) {
    struct gri_mongo_session session;
    char name[GRI_NAME_MAX];
    bson_t *run = NULL;
    gri_pipeline_name(pipeline, name);
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    struct gri_json *json = gri_json_object(), *latest = NULL;
    status = survey(&session, pipeline, filter, json, error);
    if (status == GRI_OK) status = read_run(&session, name, &run, error);
    if (status == GRI_OK && run) status = run_json(&session, run, &latest, error);
    gri_json_set(json, "run", latest ? latest : gri_json_null());
    bson_destroy(run);
    if (status == GRI_OK) {
        *out = json;
    } else {
        gri_json_free(json);
    }
    return gri_mongo_archive_close(&session, status, error);
}

static bson_t *filter_document(const struct gri_filter *filter) {
    bson_t *document = bson_new();
    if (filter->host) gri_mongo_append_text(document, "host", filter->host);
    if (filter->catalog) gri_mongo_append_text(document, "catalog", filter->catalog);
    if (filter->since_ms) BSON_APPEND_DATE_TIME(document, "since", filter->since_ms);
    if (filter->until_ms) BSON_APPEND_DATE_TIME(document, "until", filter->until_ms);
    return document;
}

/* The same as one under way is that one; another takes its place, and what was begun for it is called off. */
static bson_t *start_change(const char *pipeline, const struct gri_filter *filter, const char *by) {
    bson_t *wanted = filter_document(filter);
    bson_t *fields = BCON_NEW("pipeline", BCON_UTF8(pipeline), "state", "running", "unfinished", BCON_BOOL(true), "calling_off",
                              BCON_BOOL(true), "filter", BCON_DOCUMENT(wanted));
    gri_mongo_append_text(fields, "by", by);
    bson_t *change =
        BCON_NEW("0", "{", "$replaceWith", "{", "$cond", "[", "{", "$and", "[", "{", "$eq", "[", "$state", "running", "]", "}",
                 "{", "$eq", "[", "$pipeline", BCON_UTF8(pipeline), "]", "}", "{", "$eq", "[", "$filter", "{", "$literal",
                 BCON_DOCUMENT(wanted), "}", "]", "}", "]", "}", "$$ROOT", "{", "$mergeObjects", "[", "{", "_id", "$_id", "}",
                 "{", "$literal", BCON_DOCUMENT(fields), "}", "{", "created_at", "$$NOW", "number", "{", "$add", "[", "{",
                 "$ifNull", "[", "$number", BCON_INT64(0), "]", "}", BCON_INT64(1), "]", "}", "}", "]", "}", "]", "}", "}");
    bson_destroy(wanted);
    bson_destroy(fields);
    return change;
}

enum gri_status gri_mongo_start_reprocess(struct gri_archive *archive, const char *pipeline, const struct gri_filter *filter,
                                          const char *by, struct gri_error *error) {
    struct gri_mongo_session session;
    char name[GRI_NAME_MAX];
    gri_pipeline_name(pipeline, name);
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    GRI_CRASH_POINT(reprocess_start_before);
    status = gri_mongo_update_one(&session, GRI_MONGO_REPROCESSES, BCON_NEW("_id", BCON_UTF8(name)),
                                  start_change(pipeline, filter, by), true, NULL, NULL, error);
    GRI_CRASH_POINT(reprocess_start_after);
    return gri_mongo_archive_close(&session, status, error);
}

enum gri_status gri_mongo_cancel_reprocess(struct gri_archive *archive, const char *name, struct gri_error *error) {
    struct gri_mongo_session session;
    bson_t *run = NULL;
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    status = gri_mongo_update_one(
        &session, GRI_MONGO_REPROCESSES, BCON_NEW("_id", BCON_UTF8(name), "unfinished", BCON_BOOL(true)),
        BCON_NEW("$set", "{", "state", "cancelled", "calling_off", BCON_BOOL(true), "}"), false, NULL, NULL, error);
    if (status == GRI_OK) status = read_run(&session, name, &run, error);
    if (status == GRI_OK && !run) status = gri_fail(error, GRI_R_not_found, "no reprocess of '%.60s' was ever begun", name);
    bson_destroy(run);
    return gri_mongo_archive_close(&session, status, error);
}

/* --- the work ----------------------------------------------------------------------------------------------------------- */

struct batch {
    char (*keys)[GRI_KEY_MAX];
    size_t count;
};

static bool take_key(const bson_t *document, void *arg) {
    struct batch *batch = arg;
    if (batch->count == BATCH) return false;
    (void)gri_copy(batch->keys[batch->count++], GRI_KEY_MAX, gri_mongo_text(document, "_id"));
    return true;
}

static struct gri_filter filter_of(const bson_t *run) {
    const char *host = gri_mongo_text(run, "filter.host"), *catalog = gri_mongo_text(run, "filter.catalog");
    return (struct gri_filter){.host = host[0] ? host : NULL,
                               .catalog = catalog[0] ? catalog : NULL,
                               .since_ms = gri_mongo_number(run, "filter.since", 0),
                               .until_ms = gri_mongo_number(run, "filter.until", 0)};
}

/* Those of a batch that this run has not tried yet. */
static enum gri_status renew_batch(const struct gri_mongo_session *session, const bson_t *run, const char *asker,
                                   struct batch *batch, struct gri_error *error) {
    struct gri_filter filter = filter_of(run);
    const char *pipeline = gri_mongo_text(run, "pipeline");
    struct gri_mongo_renewal renewal = {.asker = asker, .round = gri_mongo_number(run, "number", 0), .pipeline = pipeline};
    bson_t *query = older_filter(pipeline, &filter);
    BCON_APPEND(query, "$or", "[", "{", "renew.for", "{", "$ne", BCON_UTF8(asker), "}", "}", "{", "renew.round", "{", "$lt",
                BCON_INT64(renewal.round), "}", "}", "]");
    bson_t *opts =
        BCON_NEW("projection", "{", "_id", BCON_INT32(1), "}", "limit", BCON_INT32(BATCH), "hint", BCON_UTF8(index_of(&filter)));
    batch->count = 0;
    enum gri_status status = gri_mongo_find(session, GRI_MONGO_URLS, query, opts, take_key, batch, error);
    if (status != GRI_OK || batch->count == 0) return status;
    query = BCON_NEW("state", "done", "pipeline", "{", "$ne", BCON_UTF8(pipeline), "}");
    gri_mongo_append_texts(query, "_id", batch->keys[0], sizeof batch->keys[0], batch->count);
    GRI_CRASH_POINT(reprocess_batch_before);
    status = gri_mongo_update_many(session, GRI_MONGO_URLS, query, gri_mongo_renewal_change(&renewal), error);
    GRI_CRASH_POINT(reprocess_batch_after);
    return status;
}

static enum gri_status renew_some(const struct gri_mongo_session *session, const bson_t *run, const char *asker, int64_t *open,
                                  bool *more, struct gri_error *error) {
    struct batch batch = {.keys = gri_calloc(BATCH, GRI_KEY_MAX), .count = BATCH};
    enum gri_status status = GRI_OK;
    for (int i = 0; status == GRI_OK && i < BATCHES_A_CALL && batch.count > 0 && *open < UNDER_WAY; i++) {
        status = renew_batch(session, run, asker, &batch, error);
        *open += (int64_t)batch.count;
    }
    *more = *more || (batch.count > 0 && *open < UNDER_WAY);
    free(batch.keys);
    return status;
}

/* The document as it was read, by its number: another run may have taken its place. */
static bson_t *same_run(const bson_t *run) {
    return BCON_NEW("_id", BCON_UTF8(gri_mongo_text(run, "_id")), "number", BCON_INT64(gri_mongo_number(run, "number", 0)),
                    "state", BCON_UTF8(gri_mongo_text(run, "state")));
}

static enum gri_status end_run(const struct gri_mongo_session *session, const bson_t *run, const char *asker,
                               struct gri_error *error) {
    struct gri_mongo_renewed counts;
    bool cancelled = strcmp(gri_mongo_text(run, "state"), "cancelled") == 0;
    enum gri_status status = gri_mongo_renewals_count(session, asker, gri_mongo_number(run, "number", 0), &counts, error);
    if (status != GRI_OK || counts.pending > 0) return status;
    bson_t *set = BCON_NEW("state", BCON_UTF8(cancelled ? "cancelled" : "finished"));
    gri_mongo_renewed_append(set, "counts", &counts);
    bson_t *change = BCON_NEW("$set", BCON_DOCUMENT(set), "$unset", "{", "unfinished", "", "}", "$currentDate", "{",
                              "finished_at", BCON_BOOL(true), "}");
    bson_destroy(set);
    GRI_CRASH_POINT(reprocess_end_before);
    status = gri_mongo_update_one(session, GRI_MONGO_REPROCESSES, same_run(run), change, false, NULL, NULL, error);
    GRI_CRASH_POINT(reprocess_end_after);
    return status;
}

static enum gri_status go_on(const struct gri_mongo_session *session, const bson_t *run, bool *more, struct gri_error *error) {
    char asker[GRI_NAME_MAX + 16];
    int64_t open = 0;
    enum gri_status status = GRI_OK;
    asker_of(gri_mongo_text(run, "_id"), asker);
    if (gri_mongo_truth(run, "calling_off")) {
        status = gri_mongo_renewals_cancel(session, asker, error);
        if (status != GRI_OK) return status;
        status = gri_mongo_update_one(session, GRI_MONGO_REPROCESSES, same_run(run),
                                      BCON_NEW("$unset", "{", "calling_off", "", "}"), false, NULL, NULL, error);
    }
    if (status == GRI_OK) status = gri_mongo_renewals_open(session, asker, UNDER_WAY, &open, error);
    if (status == GRI_OK && strcmp(gri_mongo_text(run, "state"), "running") == 0)
        status = renew_some(session, run, asker, &open, more, error);
    return status == GRI_OK && open == 0 ? end_run(session, run, asker, error) : status;
}

struct runs {
    bson_t *documents[RUNS_MAX];
    size_t count;
};

static bool keep_run(const bson_t *document, void *arg) {
    struct runs *runs = arg;
    if (runs->count == RUNS_MAX) return false;
    runs->documents[runs->count++] = bson_copy(document);
    return true;
}

enum gri_status gri_mongo_reprocess(const struct gri_mongo_session *session, bool *more, struct gri_error *error) {
    struct runs runs = {.count = 0};
    enum gri_status status = gri_mongo_find(session, GRI_MONGO_REPROCESSES, BCON_NEW("unfinished", BCON_BOOL(true)),
                                            BCON_NEW("hint", "unfinished"), keep_run, &runs, error);
    for (size_t i = 0; i < runs.count; i++) {
        if (status == GRI_OK) status = go_on(session, runs.documents[i], more, error);
        bson_destroy(runs.documents[i]);
    }
    return status;
}
