/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's requests: what the ledger says of a job, and what has become of it. */
#include "mongo_ledger.h"
#include "mongo_renewal.h"
#include "mongo_upkeep.h"

#include <grisaille/crash_point.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* --- check ----------------------------------------------------------------------------------------------------------- */

struct check {
    struct gri_ledger_check *request;
    bson_t *paused; /* hosts */
};

static bool take_record(const bson_t *document, void *arg) {
    const struct check *check = arg;
    const struct gri_ledger_check *request = check->request;
    const char *key = gri_mongo_text(document, "_id");
    for (size_t i = 0; i < request->count; i++) {
        if (strcmp(request->keys[i], key) != 0) continue;
        struct gri_url_record *record = &request->records[i];
        record->state = gri_mongo_url_state(gri_mongo_text(document, "state"));
        record->run = gri_mongo_number(document, "run", 0);
        record->attempts = (int)gri_mongo_number(document, "attempts", 0);
        (void)gri_copy(record->pipeline, sizeof record->pipeline, gri_mongo_text(document, "pipeline"));
        (void)gri_copy(record->catalog, sizeof record->catalog, gri_mongo_text(document, "first.catalog"));
        const char *reason = gri_mongo_text(document, "error.reason");
        record->reason = reason[0] ? gri_reason_from_name(reason) : GRI_R_none;
        record->limited_ms = gri_mongo_number(document, "limited_ms", 0);
        record->age_ms = gri_mongo_number(document, "age_ms", 0);
        record->renewal = gri_mongo_number(document, "renewal", 0);
        record->renewing = strcmp(gri_mongo_text(document, "renew.outcome"), "pending") == 0;
        (void)gri_copy(record->renew_from, sizeof record->renew_from, gri_mongo_text(document, "renew.from"));
        record->host_paused = gri_mongo_host_is_paused(check->paused, gri_mongo_text(document, "host"));
    }
    return true;
}

enum gri_status gri_mongo_work_check(struct gri_mongo_session *session, struct gri_op *op) {
    struct gri_ledger_check *request = gri_container_of(op, struct gri_ledger_check, op);
    memset(request->records, 0, request->count * sizeof *request->records);
    if (request->count == 0) return GRI_OK;
    bson_t *filter = bson_new();
    gri_mongo_append_texts(filter, "_id", request->keys[0], sizeof request->keys[0], request->count);
    bson_t *pipeline =
        BCON_NEW("0", "{", "$match", BCON_DOCUMENT(filter), "}", "1", "{", "$project", "{", "state", BCON_INT32(1), "run",
                 BCON_INT32(1), "attempts", BCON_INT32(1), "pipeline", BCON_INT32(1), "host", BCON_INT32(1), "first.catalog",
                 BCON_INT32(1), "error.reason", BCON_INT32(1), "limited_ms", "{", "$subtract", "[", "$$NOW", "$limited_at", "]",
                 "}", "age_ms", "{", "$subtract", "[", "$$NOW", "{", "$cond", "[", "{", "$eq", "[", "$renew.outcome", "pending",
                 "]", "}", "$renew.at", "$created_at", "]", "}", "]", "}", "renewal", BCON_INT32(1), "renew.outcome",
                 BCON_INT32(1), "renew.from", BCON_INT32(1), "}", "}");
    bson_destroy(filter);
    struct check check = {.request = request, .paused = gri_mongo_paused_hosts(session)};
    enum gri_status status = gri_mongo_aggregate(session, GRI_MONGO_URLS, pipeline, NULL, take_record, &check, &op->error);
    bson_destroy(check.paused);
    return status;
}

/* --- finish ---------------------------------------------------------------------------------------------------------- */

static void append_literal(bson_t *to, const char *key, const char *text) {
    bson_t literal;
    bson_append_document_begin(to, key, -1, &literal);
    gri_mongo_append_text(&literal, "$literal", text);
    bson_append_document_end(to, &literal);
}

/* error: {class, reason, detail, at} as an expression. */
static void append_error(bson_t *set, const struct gri_error *error) {
    bson_t inner;
    BSON_APPEND_DOCUMENT_BEGIN(set, "error", &inner);
    BSON_APPEND_UTF8(&inner, "class", gri_status_name(error->status));
    BSON_APPEND_UTF8(&inner, "reason", gri_reason_name(error->reason));
    append_literal(&inner, "detail", error->detail);
    BSON_APPEND_UTF8(&inner, "at", "$$NOW");
    bson_append_document_end(set, &inner);
}

static void append_wait(bson_t *set, const struct gri_finish *item) {
    bson_t *next = BCON_NEW("$add", "[", "$$NOW", BCON_INT64(item->delay_ms > 0 ? item->delay_ms : 0), "]");
    BSON_APPEND_DOCUMENT(set, "next_at", next);
    bson_destroy(next);
    if (item->limited) {
        bson_t *since = BCON_NEW("$ifNull", "[", "$limited_at", "$$NOW", "]");
        BSON_APPEND_DOCUMENT(set, "limited_at", since);
        bson_destroy(since);
    }
    /* A deferral by our own budget has no error to tell. */
    if (item->error.status != GRI_OK) append_error(set, &item->error);
}

static void append_attempt(bson_t *set) {
    bson_t *value = BCON_NEW("$add", "[", "$attempts", BCON_INT32(1), "]");
    BSON_APPEND_DOCUMENT(set, "attempts", value);
    bson_destroy(value);
}

/* Waiting and dead: [{$set: …}], a pipeline, for next_at and the rest are computed from the server's $$NOW. */
static bson_t *failure_change(const struct gri_finish *item, int64_t writer) {
    bool wait = item->kind == GRI_FINISH_WAIT;
    bson_t *change = bson_new();
    bson_t stage, set;
    BSON_APPEND_DOCUMENT_BEGIN(change, "0", &stage);
    BSON_APPEND_DOCUMENT_BEGIN(&stage, "$set", &set);
    BSON_APPEND_UTF8(&set, "state", gri_url_state_name(wait ? GRI_URL_WAITING : GRI_URL_DEAD));
    BSON_APPEND_UTF8(&set, "changed_at", "$$NOW");
    BSON_APPEND_INT64(&set, "writer", writer);
    if (wait) {
        append_wait(&set, item);
    } else {
        append_error(&set, &item->error);
        BSON_APPEND_UTF8(&set, "done_at", "$$NOW");
    }
    if (item->charge) append_attempt(&set);
    bson_append_document_end(&stage, &set);
    bson_append_document_end(change, &stage);
    return change;
}

/* Every image that the item links. */
static bson_t *links_of(const struct gri_finish *item) {
    bson_t *images = BCON_NEW("0", BCON_UTF8(item->image));
    for (size_t i = 0; i < item->other_count; i++) {
        char buffer[16];
        const char *position;
        bson_uint32_to_string((uint32_t)i + 1, &position, buffer, sizeof buffer);
        BSON_APPEND_UTF8(images, position, item->others[i]);
    }
    return images;
}

static void append_links(bson_t *change, const struct gri_finish *item) {
    if (item->other_count == 0) {
        BCON_APPEND(change, "$addToSet", "{", "images", BCON_UTF8(item->image), "}");
        return;
    }
    bson_t *images = links_of(item);
    BCON_APPEND(change, "$addToSet", "{", "images", "{", "$each", BCON_ARRAY(images), "}", "}");
    bson_destroy(images);
}

/* Done, the most frequent of all writes: plain operators, which cost the server less than a pipeline. */
static bson_t *done_change(const struct gri_finish *item, int64_t writer) {
    bson_t *change = BCON_NEW("$currentDate", "{", "changed_at", BCON_BOOL(true), "done_at", BCON_BOOL(true), "}");
    bson_t set, unset;
    append_links(change, item);
    BSON_APPEND_DOCUMENT_BEGIN(change, "$set", &set);
    BSON_APPEND_UTF8(&set, "state", gri_url_state_name(GRI_URL_DONE));
    BSON_APPEND_INT64(&set, "writer", writer);
    BSON_APPEND_INT64(&set, "bytes", item->bytes);
    BSON_APPEND_INT64(&set, "ms", item->ms);
    if (item->made) BSON_APPEND_BOOL(&set, "made", true);
    if (item->removed) {
        BSON_APPEND_UTF8(&set, "error.class", gri_status_name(GRI_PERMANENT));
        BSON_APPEND_UTF8(&set, "error.reason", gri_reason_name(GRI_R_removed));
        BSON_APPEND_UTF8(&set, "error.detail", "linked to an image that was taken down");
    }
    bson_append_document_end(change, &set);
    BSON_APPEND_DOCUMENT_BEGIN(change, "$unset", &unset);
    if (!item->removed) BSON_APPEND_UTF8(&unset, "error", "");
    BSON_APPEND_UTF8(&unset, "next_at", "");
    BSON_APPEND_UTF8(&unset, "expired", "");
    bson_append_document_end(change, &unset);
    return change;
}

/* The end of a renewal, an update pipeline for the images' order: what the host has now stands last. */
static bson_t *renewed_change(const struct gri_finish *item, int64_t writer) {
    bson_t set = BSON_INITIALIZER;
    bool failed = item->renewed == GRI_RENEWED_FAILED;
    const char *removed = item->removed ? gri_reason_name(GRI_R_removed) : NULL;
    BSON_APPEND_UTF8(&set, "state", gri_url_state_name(GRI_URL_DONE));
    BSON_APPEND_UTF8(&set, "changed_at", "$$NOW");
    BSON_APPEND_UTF8(&set, "done_at", "$$NOW");
    BSON_APPEND_INT64(&set, "writer", writer);
    gri_mongo_renewal_end(&set, item->renewed, failed ? gri_reason_name(item->error.reason) : removed,
                          failed ? item->error.detail : NULL);
    if (!failed) {
        bson_t *links = links_of(item);
        bson_t *images = BCON_NEW("$concatArrays", "[", "{", "$filter", "{", "input", "{", "$ifNull", "[", "$images", "[", "]",
                                  "]", "}", "cond", "{", "$not", "[", "{", "$in", "[", "$$this", BCON_ARRAY(links), "]", "}", "]",
                                  "}", "}", "}", BCON_ARRAY(links), "]");
        BSON_APPEND_DOCUMENT(&set, "images", images);
        bson_destroy(images);
        bson_destroy(links);
        BSON_APPEND_INT64(&set, "ms", item->ms);
        if (item->bytes > 0) BSON_APPEND_INT64(&set, "bytes", item->bytes);
        if (item->made) BSON_APPEND_BOOL(&set, "renew.made", true); /* `made` tells of the first life, as its receipt does */
    }
    if (item->removed)
        BCON_APPEND(&set, "error.class", BCON_UTF8(gri_status_name(GRI_PERMANENT)), "error.reason", BCON_UTF8(removed),
                    "error.detail", "its picture was taken down");
    bson_t *change = BCON_NEW("0", "{", "$set", BCON_DOCUMENT(&set), "}", "1", "{", "$unset", "[", "next_at", "limited_at",
                              BCON_UTF8(item->removed ? "dropped" : "error"), "]", "}");
    bson_destroy(&set);
    return change;
}

/* `writer` marks this very bulk: where not all matched, it tells which did. */
static bson_t *finish_change(const struct gri_finish *item, int64_t writer) {
    if (item->renewed != GRI_RENEWED_NONE) return renewed_change(item, writer);
    return item->kind == GRI_FINISH_DONE ? done_change(item, writer) : failure_change(item, writer);
}

static bson_t *finish_filter(const struct gri_finish *item) {
    if (item->kind == GRI_FINISH_DONE) {
        /* What another life of the URL has come to is not this one's. A record's first life has no number. */
        bson_t *filter =
            BCON_NEW("_id", BCON_UTF8(item->key), "state", "{", "$ne", "done", "}", "pipeline", BCON_UTF8(item->pipeline));
        if (item->renewal > 0) {
            BSON_APPEND_INT64(filter, "renewal", item->renewal);
        } else {
            BSON_APPEND_NULL(filter, "renewal");
        }
        return filter;
    }
    return BCON_NEW("_id", BCON_UTF8(item->key), "state", "queued", "run", BCON_INT64(item->run));
}

/* --- where fewer matched than were sent ------------------------------------------------------------------------------ */

struct second_look {
    struct gri_ledger_finish *request;
    int64_t writer;
    bool *repair; /* one an item: its image is to be added */
    bool *seen;   /* one an item: its record is there */
};

static bool links(const bson_t *document, const char *image) {
    bson_iter_t at, items;
    if (!bson_iter_init_find(&at, document, "images") || !BSON_ITER_HOLDS_ARRAY(&at) || !bson_iter_recurse(&at, &items))
        return false;
    while (bson_iter_next(&items)) {
        if (BSON_ITER_HOLDS_UTF8(&items) && strcmp(bson_iter_utf8(&items, NULL), image) == 0) return true;
    }
    return false;
}

static bool links_all(const bson_t *document, const struct gri_finish *item) {
    bool all = links(document, item->image);
    for (size_t i = 0; i < item->other_count; i++)
        all = all && links(document, item->others[i]);
    return all;
}

static bool look_again(const bson_t *document, void *arg) {
    struct second_look *look = arg;
    const char *key = gri_mongo_text(document, "_id");
    bool ours = gri_mongo_number(document, "writer", 0) == look->writer;
    bool made = gri_mongo_truth(document, "made");
    for (size_t i = 0; i < look->request->count; i++) {
        struct gri_finish *item = &look->request->items[i];
        if (strcmp(item->key, key) != 0) continue;
        item->applied = ours;
        look->seen[i] = true;
        /* The image's `job` is this URL's key: it must be linked, whoever finished the job. */
        if (item->kind == GRI_FINISH_DONE && item->made)
            look->repair[i] = (!made && item->renewal == 0) || !links_all(document, item);
    }
    return true;
}

static enum gri_status repair_links(const struct gri_mongo_session *session, const struct second_look *look) {
    struct gri_mongo_bulk bulk;
    gri_mongo_bulk_begin(&bulk, session, GRI_MONGO_URLS, false, "repair");
    for (size_t i = 0; i < look->request->count; i++) {
        if (!look->repair[i]) continue;
        const struct gri_finish *item = &look->request->items[i];
        bson_t *change = BCON_NEW("$currentDate", "{", "changed_at", BCON_BOOL(true), "}", "$unset", "{", "expired", "", "}");
        if (item->renewal == 0) BCON_APPEND(change, "$set", "{", "made", BCON_BOOL(true), "}");
        append_links(change, item);
        gri_mongo_bulk_update(&bulk, BCON_NEW("_id", BCON_UTF8(item->key)), change, false);
    }
    struct gri_error *error = &look->request->op.error;
    GRI_CRASH_POINT_IF(bulk.count > 0, repair_before);
    enum gri_status status = gri_mongo_bulk_execute(&bulk, error);
    GRI_CRASH_POINT_IF(bulk.count > 0, repair_after);
    if (status == GRI_OK) status = gri_mongo_bulk_refusal(&bulk, error);
    gri_mongo_bulk_clear(&bulk);
    return status;
}

/* The catalog was deleted while the job was in hand, and its record with it: what it stored would be nobody's for ever. */
static enum gri_status condemn_orphans(const struct gri_mongo_session *session, const struct second_look *look) {
    enum gri_status status = GRI_OK;
    for (size_t i = 0; status == GRI_OK && i < look->request->count; i++) {
        const struct gri_finish *item = &look->request->items[i];
        struct gri_mongo_ids ids;
        if (look->seen[i] || item->kind != GRI_FINISH_DONE || !item->made) continue;
        gri_mongo_ids_init(&ids, 1 + item->other_count);
        (void)gri_mongo_ids_add(&ids, item->image);
        for (size_t k = 0; k < item->other_count; k++)
            (void)gri_mongo_ids_add(&ids, item->others[k]);
        status = gri_mongo_condemn_images(session, &ids, &look->request->op.error);
        gri_mongo_ids_clear(&ids);
    }
    return status;
}

static enum gri_status read_again(const struct gri_mongo_session *session, struct gri_ledger_finish *request, int64_t writer) {
    struct second_look look = {.request = request,
                               .writer = writer,
                               .repair = gri_calloc(request->count, sizeof(bool)),
                               .seen = gri_calloc(request->count, sizeof(bool))};
    bson_t *filter = bson_new();
    gri_mongo_append_texts(filter, "_id", request->items[0].key, sizeof request->items[0], request->count);
    bson_t *opts = BCON_NEW("projection", "{", "writer", BCON_INT32(1), "images", BCON_INT32(1), "made", BCON_INT32(1), "}");
    enum gri_status status = gri_mongo_find(session, GRI_MONGO_URLS, filter, opts, look_again, &look, &request->op.error);
    if (status == GRI_OK) status = repair_links(session, &look);
    if (status == GRI_OK) status = condemn_orphans(session, &look);
    free(look.repair);
    free(look.seen);
    return status;
}

static int64_t new_writer(void) {
    int64_t writer = 0;
    /* getrandom of 8 bytes never fails once the system is up; a zero would only make `applied` less sure. */
    if (getrandom(&writer, sizeof writer, 0) != (ssize_t)sizeof writer) writer = bson_get_monotonic_time();
    return writer;
}

/* For crash points: is there a result (or a failure) among them? */
static bool holds(const struct gri_ledger_finish *request, bool done) {
    for (size_t i = 0; i < request->count; i++)
        if ((request->items[i].kind == GRI_FINISH_DONE) == done) return true;
    return false;
}

static enum gri_status write_items(const struct gri_mongo_session *session, struct gri_ledger_finish *request) {
    struct gri_mongo_bulk bulk;
    int64_t writer = new_writer();
    if (request->count == 0) return GRI_OK;
    gri_mongo_bulk_begin(&bulk, session, GRI_MONGO_URLS, false, "finish");
    for (size_t i = 0; i < request->count; i++) {
        request->items[i].applied = true;
        gri_mongo_bulk_update(&bulk, finish_filter(&request->items[i]), finish_change(&request->items[i], writer), false);
    }
    GRI_CRASH_POINT_IF(holds(request, true), finish_before);
    GRI_CRASH_POINT_IF(holds(request, false), failure_before);
    enum gri_status status = gri_mongo_bulk_execute(&bulk, &request->op.error);
    GRI_CRASH_POINT_IF(holds(request, true), finish_after);
    GRI_CRASH_POINT_IF(holds(request, false), failure_after);
    if (status == GRI_OK) status = gri_mongo_bulk_refusal(&bulk, &request->op.error);
    bool all = status == GRI_OK && gri_mongo_number(&bulk.reply, "nMatched", 0) == (int64_t)request->count;
    gri_mongo_bulk_clear(&bulk);
    if (status != GRI_OK || all) return status;
    for (size_t i = 0; i < request->count; i++)
        request->items[i].applied = false;
    return read_again(session, request, writer);
}

enum gri_status gri_mongo_work_finish(struct gri_mongo_session *session, struct gri_op *op) {
    struct gri_ledger_finish *request = gri_container_of(op, struct gri_ledger_finish, op);
    enum gri_status status = write_items(session, request);
    struct gri_error ignored;
    /* Events of what was not written would be told again with the next try. */
    if (status == GRI_OK) (void)!gri_mongo_write_events(session, request->events, request->event_count, &ignored);
    return status;
}
