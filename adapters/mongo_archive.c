/* SPDX-License-Identifier: Apache-2.0 */
/* The archive port: its table of operations, the connection, immutable definitions. */
#include "mongo_archive.h"

#include "mongo_ledger.h"
#include "mongo_schema.h"

enum gri_status gri_mongo_archive_open(struct gri_archive *archive, struct gri_mongo_session *session, struct gri_error *error) {
    struct gri_mongo *mongo = gri_container_of(archive, struct gri_mongo, archive);
    enum gri_status status = gri_mongo_session_open(mongo, session, error);
    if (status != GRI_OK) error->reason = GRI_R_unavailable;
    return status;
}

enum gri_status gri_mongo_archive_close(struct gri_mongo_session *session, enum gri_status status, struct gri_error *error) {
    gri_mongo_session_close(session);
    if (status == GRI_RETRY && error->reason == GRI_R_store) error->reason = GRI_R_unavailable;
    return status;
}

static enum gri_status prepare(struct gri_archive *archive, struct gri_error *error) {
    enum gri_status status = gri_mongo_prepare(archive, error);
    if (status == GRI_RETRY && error->reason == GRI_R_store) error->reason = GRI_R_unavailable;
    return status;
}

static enum gri_status ping(struct gri_archive *archive, struct gri_error *error) {
    struct gri_mongo_session session;
    int64_t now_ms;
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    return gri_mongo_archive_close(&session, gri_mongo_now(&session, &now_ms, error), error);
}

static enum gri_status put_definition(struct gri_archive *archive, enum gri_definition_kind kind, const char *id,
                                      struct gri_slice body, struct gri_error *error) {
    struct gri_mongo_session session;
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    /* An id is a hash of its body: the first one stays. */
    bson_t *set = bson_new();
    gri_mongo_append_any(set, "body", body);
    bson_t *change = BCON_NEW("$setOnInsert", BCON_DOCUMENT(set));
    bson_destroy(set);
    status = gri_mongo_update_one(&session, gri_mongo_definitions(kind), BCON_NEW("_id", BCON_UTF8(id)), change, true, NULL, NULL,
                                  error);
    return gri_mongo_archive_close(&session, status, error);
}

static enum gri_status definition(struct gri_archive *archive, enum gri_definition_kind kind, const char *id,
                                  struct gri_bytes *body, struct gri_error *error) {
    struct gri_mongo_session session;
    bson_t *found = NULL;
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    status = gri_mongo_find_one(&session, gri_mongo_definitions(kind), BCON_NEW("_id", BCON_UTF8(id)), NULL, &found, error);
    if (status == GRI_OK && !found) status = gri_fail(error, GRI_R_not_found, "no such definition: %s", id);
    if (status == GRI_OK) {
        struct gri_slice text = gri_mongo_bytes(found, "body");
        status = gri_bytes_append(body, text.data, text.len, error);
    }
    bson_destroy(found);
    return gri_mongo_archive_close(&session, status, error);
}

static const struct gri_steering_ops steering_ops = {
    .follow = gri_mongo_follow_events,
    .event_body = gri_mongo_get_event_body,
    .tell = gri_mongo_tell,
    .stats = gri_mongo_get_stats,
    .dead = gri_mongo_list_dead,
    .dead_act = gri_mongo_act_on_dead,
    .dead_count = gri_mongo_count_dead,
    .catalog = gri_mongo_steer_catalog,
    .host = gri_mongo_steer_host,
    .hosts = gri_mongo_list_hosts,
    .take_down = gri_mongo_take_down,
    .reprocess = gri_mongo_get_reprocess,
    .reprocess_start = gri_mongo_start_reprocess,
    .reprocess_cancel = gri_mongo_cancel_reprocess,
    .similar = gri_mongo_find_similar,
};

static const struct gri_notice_ops notice_ops = {.take = gri_mongo_take_notice, .settle = gri_mongo_settle_notice};

const struct gri_archive_ops gri_mongo_archive_ops = {
    .prepare = prepare,
    .ping = ping,
    .put_definition = put_definition,
    .definition = definition,
    .push_begin = gri_mongo_push_begin,
    .push_chunk = gri_mongo_push_chunk,
    .push_commit = gri_mongo_push_commit,
    .push_abort = gri_mongo_push_abort,
    .catalogs = gri_mongo_list_catalogs,
    .catalog = gri_mongo_get_catalog,
    .chunk = gri_mongo_get_chunk,
    .chunk_of_line = gri_mongo_find_line,
    .errors = gri_mongo_list_errors,
    .urls = gri_mongo_get_urls,
    .url_records = gri_mongo_get_url_records,
    .images_by_hash = gri_mongo_get_images_by_hash,
    .image = gri_mongo_get_image,
    .images = gri_mongo_list_images,
    .events = gri_mongo_list_events,
    .totals = gri_mongo_get_totals,
    .presence = gri_mongo_put_presence,
    .services = gri_mongo_list_services,
    .scrub = &gri_mongo_scrub_ops,
    .steering = &steering_ops,
    .notices = &notice_ops,
};
