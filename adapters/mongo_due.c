/* SPDX-License-Identifier: Apache-2.0 */
/* The dispatcher's and the sweeper's requests: what is due, what has been queued for long. */
#include "mongo_ledger.h"
#include "mongo_schema.h"

#include <grisaille/crash_point.h>
#include <stdlib.h>
#include <string.h>

/* Growing list of jobs; `limit` bounds it. */
struct due_list {
    struct gri_due *items;
    size_t count, limit;
};

static struct gri_due *add_due(struct due_list *list, const bson_t *document) {
    if (!list->items) list->items = gri_calloc(list->limit, sizeof *list->items);
    GRI_ASSERT(list->count < list->limit);
    struct gri_due *due = &list->items[list->count++];
    (void)gri_copy(due->job.key, sizeof due->job.key, gri_mongo_text(document, "_id"));
    (void)gri_copy(due->job.pipeline, sizeof due->job.pipeline, gri_mongo_text(document, "pipeline"));
    (void)gri_copy(due->host, sizeof due->host, gri_mongo_text(document, "host"));
    due->job.url = gri_strdup(gri_mongo_text(document, "url"));
    due->job.run = gri_mongo_number(document, "run", 0);
    return due;
}

/* --- due ------------------------------------------------------------------------------------------------------------- */

struct due_read {
    struct due_list list;
    int64_t next_ms;
};

static bool take_due(const bson_t *document, void *arg) {
    struct due_read *read = arg;
    int64_t in_ms = gri_mongo_number(document, "in_ms", 0);
    if (in_ms > 0 || read->list.count == read->list.limit) {
        read->next_ms = in_ms > 0 ? in_ms : 0;
        return false;
    }
    add_due(&read->list, document)->job.run++;
    return true;
}

static bson_t *waiting_filter(const struct gri_mongo_session *session, const struct gri_ledger_due *request) {
    bson_t *filter = gri_mongo_state_filter(GRI_URL_WAITING), *paused = gri_mongo_paused_hosts(session);
    bson_t condition, hosts;
    if (request->skip_count == 0 && bson_empty(paused)) {
        bson_destroy(paused);
        return filter;
    }
    BSON_APPEND_DOCUMENT_BEGIN(filter, "host", &condition);
    BSON_APPEND_ARRAY_BEGIN(&condition, "$nin", &hosts);
    for (size_t i = 0; i < request->skip_count; i++) {
        char buffer[16];
        const char *position;
        bson_uint32_to_string((uint32_t)i, &position, buffer, sizeof buffer);
        gri_mongo_append_text(&hosts, position, request->skip_hosts[i]);
    }
    gri_mongo_append_paused(&hosts, paused, (uint32_t)request->skip_count);
    bson_append_array_end(&condition, &hosts);
    bson_append_document_end(filter, &condition);
    bson_destroy(paused);
    return filter;
}

/* The first `limit` + 1 by next_at, with the time until then by the server's clock: those due stand first, the one after
 * them tells when to come again. So no time of this machine is ever compared. */
static enum gri_status read_due(const struct gri_mongo_session *session, const struct gri_ledger_due *request,
                                struct due_read *read, struct gri_error *error) {
    bson_t *filter = waiting_filter(session, request);
    bson_t *pipeline = BCON_NEW("0", "{", "$match", BCON_DOCUMENT(filter), "}",                   //
                                "1", "{", "$sort", "{", "next_at", BCON_INT32(1), "}", "}",       //
                                "2", "{", "$limit", BCON_INT64((int64_t)request->limit + 1), "}", //
                                "3", "{", "$project", "{", "url", BCON_INT32(1), "host", BCON_INT32(1), "pipeline", BCON_INT32(1),
                                "run", BCON_INT32(1), "in_ms", "{", "$subtract", "[", "$next_at", "$$NOW", "]", "}", "}", "}");
    bson_destroy(filter);
    return gri_mongo_aggregate(session, GRI_MONGO_URLS, pipeline, BCON_NEW("hint", GRI_INDEX_URLS_WAITING), take_due, read,
                               error);
}

static enum gri_status requeue(const struct gri_mongo_session *session, const struct due_list *list, struct gri_error *error) {
    struct gri_mongo_bulk bulk;
    gri_mongo_bulk_begin(&bulk, session, GRI_MONGO_URLS, false, "due");
    for (size_t i = 0; i < list->count; i++) {
        const struct gri_job *job = &list->items[i].job;
        bson_t *filter = BCON_NEW("_id", BCON_UTF8(job->key), "state", "waiting", "run", BCON_INT64(job->run - 1));
        bson_t *change =
            BCON_NEW("$set", "{", "state", "queued", "run", BCON_INT64(job->run), "}", "$currentDate", "{", "queued_at",
                     BCON_BOOL(true), "changed_at", BCON_BOOL(true), "}", "$unset", "{", "next_at", "", "}");
        gri_mongo_bulk_update(&bulk, filter, change, false);
    }
    GRI_CRASH_POINT_IF(list->count > 0, due_before);
    enum gri_status status = gri_mongo_bulk_execute(&bulk, error);
    GRI_CRASH_POINT_IF(list->count > 0, due_after);
    if (status == GRI_OK) status = gri_mongo_bulk_refusal(&bulk, error);
    gri_mongo_bulk_clear(&bulk);
    return status;
}

enum gri_status gri_mongo_work_due(struct gri_mongo_session *session, struct gri_op *op) {
    struct gri_ledger_due *request = gri_container_of(op, struct gri_ledger_due, op);
    GRI_ASSERT(request->limit > 0);
    struct due_read read = {.list = {.limit = request->limit}, .next_ms = -1};
    enum gri_status status = read_due(session, request, &read, &op->error);
    /* Where another dispatcher was first, nothing matches, and the same run is dispatched twice: harmless. */
    if (status == GRI_OK) status = requeue(session, &read.list, &op->error);
    request->due = NULL;
    request->count = 0;
    request->next_ms = read.next_ms;
    if (status != GRI_OK) {
        gri_due_free(read.list.items, read.list.count);
        return status;
    }
    request->due = read.list.items;
    request->count = read.list.count;
    return GRI_OK;
}

/* --- stale ----------------------------------------------------------------------------------------------------------- */

struct stale_read {
    struct due_list list;
    int64_t min_age_ms;
    int64_t last_ms; /* queued_at of the last one taken */
    bool younger;    /* the rest is younger than asked for */
};

static bool take_stale(const bson_t *document, void *arg) {
    struct stale_read *read = arg;
    int64_t age_ms = gri_mongo_number(document, "age_ms", 0);
    if (age_ms < read->min_age_ms) {
        read->younger = true;
        return false;
    }
    add_due(&read->list, document)->queued_ms = age_ms;
    read->last_ms = gri_mongo_number(document, "queued_at", 0);
    return true;
}

/* Pages by (queued_at, _id); `after` is "<queued_at ms>;<key>". */
static bson_t *queued_filter(const char *after) {
    const char *key = strchr(after, ';');
    if (!key) return gri_mongo_state_filter(GRI_URL_QUEUED);
    int64_t at = strtoll(after, NULL, 10);
    return BCON_NEW("state", "queued", "$or", "[",                              //
                    "{", "queued_at", "{", "$gt", BCON_DATE_TIME(at), "}", "}", //
                    "{", "queued_at", BCON_DATE_TIME(at), "_id", "{", "$gt", BCON_UTF8(key + 1), "}", "}", "]",
                    /* The planner makes bounds of this, not of the alternatives. */
                    "queued_at", "{", "$gte", BCON_DATE_TIME(at), "}");
}

enum gri_status gri_mongo_work_stale(struct gri_mongo_session *session, struct gri_op *op) {
    struct gri_ledger_stale *request = gri_container_of(op, struct gri_ledger_stale, op);
    GRI_ASSERT(request->limit > 0);
    struct stale_read read = {.list = {.limit = request->limit}, .min_age_ms = request->min_age_ms};
    bson_t *filter = queued_filter(request->after ? request->after : "");
    bson_t *pipeline = BCON_NEW("0", "{", "$match", BCON_DOCUMENT(filter), "}",                                     //
                                "1", "{", "$sort", "{", "queued_at", BCON_INT32(1), "_id", BCON_INT32(1), "}", "}", //
                                "2", "{", "$limit", BCON_INT64((int64_t)request->limit), "}",                       //
                                "3", "{", "$project", "{", "url", BCON_INT32(1), "host", BCON_INT32(1), "pipeline", BCON_INT32(1),
                                "run", BCON_INT32(1), "queued_at", BCON_INT32(1), "age_ms", "{", "$subtract", "[", "$$NOW",
                                "$queued_at", "]", "}", "}", "}");
    bson_destroy(filter);
    request->due = NULL;
    request->count = 0;
    request->cursor[0] = '\0';
    enum gri_status status = gri_mongo_aggregate(session, GRI_MONGO_URLS, pipeline, BCON_NEW("hint", GRI_INDEX_URLS_QUEUED),
                                                 take_stale, &read, &op->error);
    if (status != GRI_OK) {
        gri_due_free(read.list.items, read.list.count);
        return status;
    }
    request->due = read.list.items;
    request->count = read.list.count;
    if (request->count == request->limit && !read.younger) {
        (void)gri_format(request->cursor, sizeof request->cursor, "%lld;%s", (long long)read.last_ms,
                         request->due[request->count - 1].job.key);
    }
    return GRI_OK;
}
