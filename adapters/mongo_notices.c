/* SPDX-License-Identifier: Apache-2.0 */
/* Notices of finished catalogs: the member `notice` of the catalog (docs/data-model.md). mongo_feed.c makes it due. */
#include "mongo_archive.h"
#include "mongo_schema.h"

#include <grisaille/notices.h>

static const char *const STATES[] = {[GRI_NOTICE_SENT] = "sent", [GRI_NOTICE_AGAIN] = "due", [GRI_NOTICE_GIVEN_UP] = "given_up"};

/* Claims it; *claimed is owned, NULL where none is due. */
static enum gri_status claim(const struct gri_mongo_session *session, int64_t now_ms, int64_t claim_ms, bson_t **claimed,
                             struct gri_error *error) {
    bson_error_t cause = {0};
    bson_t reply;
    bson_iter_t at;
    const uint8_t *data = NULL;
    uint32_t len = 0;
    mongoc_collection_t *catalogs = gri_mongo_open(session, GRI_MONGO_CATALOGS);
    bson_t *filter =
        BCON_NEW("notice.state", "due", "notice.next_at", "{", "$lte", BCON_DATE_TIME(now_ms), "}", "state", "finished");
    bson_t *change = BCON_NEW("$set", "{", "notice.next_at", BCON_DATE_TIME(now_ms + claim_ms), "}", "$inc", "{",
                              "notice.attempts", BCON_INT64(1), "}");
    bson_t *sort = BCON_NEW("notice.next_at", BCON_INT32(1));
    bson_t *hint = BCON_NEW("hint", GRI_INDEX_CATALOGS_NOTICES);
    mongoc_find_and_modify_opts_t *opts = mongoc_find_and_modify_opts_new();
    mongoc_find_and_modify_opts_set_update(opts, change);
    mongoc_find_and_modify_opts_set_sort(opts, sort);
    mongoc_find_and_modify_opts_append(opts, hint);
    mongoc_find_and_modify_opts_set_flags(opts, MONGOC_FIND_AND_MODIFY_RETURN_NEW);
    bool ok = mongoc_collection_find_and_modify_with_opts(catalogs, filter, opts, &reply, &cause);
    if (ok && bson_iter_init_find(&at, &reply, "value") && BSON_ITER_HOLDS_DOCUMENT(&at)) {
        bson_iter_document(&at, &len, &data);
        *claimed = bson_new_from_data(data, len);
    }
    bson_destroy(&reply);
    mongoc_find_and_modify_opts_destroy(opts);
    bson_destroy(hint);
    bson_destroy(sort);
    bson_destroy(change);
    bson_destroy(filter);
    mongoc_collection_destroy(catalogs);
    return ok ? GRI_OK : gri_mongo_fail(error, &cause, "take a notice");
}

enum gri_status gri_mongo_take_notice(struct gri_archive *archive, int64_t claim_ms, struct gri_notice *notice, bool *found,
                                      struct gri_error *error) {
    struct gri_mongo_session session;
    bson_t *claimed = NULL;
    int64_t now_ms = 0;
    *found = false;
    *notice = (struct gri_notice){.number = 0};
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    status = gri_mongo_now(&session, &now_ms, error);
    if (status == GRI_OK) status = claim(&session, now_ms, claim_ms, &claimed, error);
    if (status == GRI_OK && claimed) {
        (void)gri_copy(notice->catalog, sizeof notice->catalog, gri_mongo_text(claimed, "_id"));
        notice->number = gri_mongo_number(claimed, "notice.number", 1);
        notice->attempts = gri_mongo_number(claimed, "notice.attempts", 1);
        notice->age_ms = now_ms - gri_mongo_number(claimed, "finished_at", now_ms);
        status = gri_mongo_catalog_json(&session, claimed, &notice->body, error);
        *found = status == GRI_OK;
    }
    bson_destroy(claimed);
    return gri_mongo_archive_close(&session, status, error);
}

enum gri_status gri_mongo_settle_notice(struct gri_archive *archive, const struct gri_notice *notice, enum gri_notice_end end,
                                        int64_t again_ms, const char *detail, struct gri_error *error) {
    struct gri_mongo_session session;
    int64_t now_ms = 0;
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    status = gri_mongo_now(&session, &now_ms, error);
    if (status != GRI_OK) return gri_mongo_archive_close(&session, status, error);
    bson_t *filter =
        BCON_NEW("_id", BCON_UTF8(notice->catalog), "notice.state", "due", "notice.number", BCON_INT64(notice->number));
    if (end != GRI_NOTICE_SENT) BSON_APPEND_INT64(filter, "notice.attempts", notice->attempts);
    bson_t *set = BCON_NEW("notice.state", BCON_UTF8(STATES[end]), "notice.at", BCON_DATE_TIME(now_ms), "notice.next_at",
                           BCON_DATE_TIME(now_ms + (end == GRI_NOTICE_AGAIN ? again_ms : 0)));
    gri_mongo_append_text(set, "notice.detail", detail);
    bson_t *change = BCON_NEW("$set", BCON_DOCUMENT(set));
    bson_destroy(set);
    status = gri_mongo_update_one(&session, GRI_MONGO_CATALOGS, filter, change, false, NULL, NULL, error);
    return gri_mongo_archive_close(&session, status, error);
}
