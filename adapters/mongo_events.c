/* SPDX-License-Identifier: Apache-2.0 */
/* Events, and the counts behind the ledger's gauges. */
#include "mongo_ledger.h"
#include "mongo_schema.h"

#include <stdlib.h>
#include <string.h>

enum { GAUGE_LIMIT = 100000 };

/* Adds the event under a new _id. An upsert, and not an insert, for the sake of `time`: it is the server's clock then, so that
 * a machine whose own clock is wrong does not write events that are shown at another hour, or expire at once. */
static void add_event(struct gri_mongo_bulk *bulk, const bson_oid_t *id, bson_t *fields) {
    bson_t *change = BCON_NEW("$set", BCON_DOCUMENT(fields), "$currentDate", "{", "time", BCON_BOOL(true), "}");
    gri_mongo_bulk_update(bulk, BCON_NEW("_id", BCON_OID(id)), change, true);
    bson_destroy(fields);
}

static void append_set(bson_t *document, const char *key, const char *text) {
    if (text && text[0]) gri_mongo_append_text(document, key, text);
}

static bson_t *event_fields(const struct gri_event *event) {
    bson_t *document = bson_new();
    BSON_APPEND_UTF8(document, "level", gri_level_name(event->level));
    append_set(document, "event", event->event);
    append_set(document, "catalog", event->catalog);
    append_set(document, "key", event->key);
    append_set(document, "url", event->url);
    append_set(document, "host", event->host);
    if (event->reason != GRI_R_none) append_set(document, "reason", gri_reason_name(event->reason));
    append_set(document, "detail", event->detail);
    append_set(document, "worker", event->worker);
    if (event->attempt > 0) BSON_APPEND_INT32(document, "attempt", event->attempt);
    if (event->ms > 0) BSON_APPEND_INT64(document, "ms", event->ms);
    if (event->body.len > 0) BSON_APPEND_INT64(document, "body_bytes", event->body_bytes);
    return document;
}

/* Bodies stand in a collection of their own, under the event's _id, so that a search over events does not read them. */
static enum gri_status write_bodies(const struct gri_mongo_session *session, const struct gri_event *events,
                                    const bson_oid_t *ids, size_t count, struct gri_error *error) {
    struct gri_mongo_bulk bulk;
    gri_mongo_bulk_begin(&bulk, session, GRI_MONGO_BODIES, true, "event bodies");
    for (size_t i = 0; i < count; i++) {
        struct gri_slice body = events[i].body;
        if (body.len == 0) continue;
        if (body.len > GRI_BODY_KEEP) body.len = GRI_BODY_KEEP;
        bson_t *fields = BCON_NEW("bytes", BCON_INT64(events[i].body_bytes));
        bson_append_binary(fields, "body", -1, BSON_SUBTYPE_BINARY, body.data, (uint32_t)body.len);
        add_event(&bulk, &ids[i], fields);
    }
    enum gri_status status = gri_mongo_bulk_execute(&bulk, error);
    if (status == GRI_OK) status = gri_mongo_bulk_refusal(&bulk, error);
    gri_mongo_bulk_clear(&bulk);
    return status;
}

enum gri_status gri_mongo_write_events(const struct gri_mongo_session *session, const struct gri_event *events, size_t count,
                                       struct gri_error *error) {
    struct gri_mongo_bulk bulk;
    if (count == 0) return GRI_OK;
    gri_mongo_bulk_begin(&bulk, session, GRI_MONGO_EVENTS, true, "events");
    bson_oid_t *ids = gri_calloc(count, sizeof *ids);
    for (size_t i = 0; i < count; i++) {
        bson_oid_init(&ids[i], NULL);
        add_event(&bulk, &ids[i], event_fields(&events[i]));
    }
    enum gri_status status = gri_mongo_bulk_execute(&bulk, error);
    if (status == GRI_OK) status = gri_mongo_bulk_refusal(&bulk, error);
    gri_mongo_bulk_clear(&bulk);
    if (status == GRI_OK) status = write_bodies(session, events, ids, count, error);
    free(ids);
    return status;
}

enum gri_status gri_mongo_work_events(struct gri_mongo_session *session, struct gri_op *op) {
    struct gri_ledger_events *request = gri_container_of(op, struct gri_ledger_events, op);
    return gri_mongo_write_events(session, request->events, request->count, &op->error);
}

enum gri_status gri_mongo_work_gauges(struct gri_mongo_session *session, struct gri_op *op) {
    struct gri_ledger_gauges *request = gri_container_of(op, struct gri_ledger_gauges, op);
    enum gri_status status = gri_mongo_count(session, GRI_MONGO_URLS, gri_mongo_state_filter(GRI_URL_WAITING),
                                             GRI_INDEX_URLS_WAITING, GAUGE_LIMIT, &request->waiting, &op->error);
    if (status == GRI_OK) {
        status = gri_mongo_count(session, GRI_MONGO_URLS, gri_mongo_state_filter(GRI_URL_QUEUED), GRI_INDEX_URLS_QUEUED,
                                 GAUGE_LIMIT, &request->queued, &op->error);
    }
    if (status == GRI_OK) {
        status = gri_mongo_count(session, GRI_MONGO_CATALOGS,
                                 BCON_NEW("unfinished", BCON_BOOL(true), "created_at", "{", "$gte", BCON_DATE_TIME(0), "}"),
                                 GRI_INDEX_CATALOGS_UNFINISHED, GAUGE_LIMIT, &request->catalogs, &op->error);
    }
    return status;
}
