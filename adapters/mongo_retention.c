/* SPDX-License-Identifier: Apache-2.0 */
/* Retention: images and finished catalogs that are older than somebody wants to keep them. A URL whose picture has expired stays
 * in the ledger, marked, so that receipts still add up; who asks for it again has it fetched again (mongo_admit.c). */
#include "mongo_upkeep.h"

#include <string.h>

enum { IMAGES_A_CALL = 500, CATALOGS_A_CALL = 20 };

#define DAY_MS INT64_C(86400000)

static bool take_id(const bson_t *document, void *arg) {
    return gri_mongo_ids_add(arg, gri_mongo_text(document, "_id"));
}

/* Outputs of one run stand together in the list, for they came in at one time: those at its end go with their mates, next time.
 */
static void leave_open_set(struct gri_mongo_ids *ids) {
    const char *last = ids->ids[ids->count - 1], *slash = strchr(last, '/');
    size_t kept = ids->count;
    while (slash && kept > 0 && strncmp(ids->ids[kept - 1], last, (size_t)(slash - last) + 1) == 0)
        kept--;
    if (kept > 0) ids->count = kept;
}

/* A URL that was fetched anew may have a younger picture: then it is not expired. */
static bson_t *expiry(const struct gri_mongo_ids *ids) {
    bson_t texts = BSON_INITIALIZER;
    gri_mongo_append_texts(&texts, "i", ids->ids[0], sizeof ids->ids[0], ids->count); /* {i: {$in: […]}} */
    bson_iter_t at, in;
    bson_t list;
    uint32_t len = 0;
    const uint8_t *data = NULL;
    bool found = bson_iter_init(&at, &texts) && bson_iter_find_descendant(&at, "i.$in", &in);
    GRI_ASSERT(found);
    bson_iter_array(&in, &len, &data);
    found = bson_init_static(&list, data, len);
    GRI_ASSERT(found);
    bson_t *change =
        BCON_NEW("0", "{", "$set", "{", "changed_at", "$$NOW", "images", "{", "$filter", "{", "input", "$images", "cond", "{",
                 "$not", "[", "{", "$in", "[", "$$this", BCON_ARRAY(&list), "]", "}", "]", "}", "}", "}", "}", "}", //
                 "1", "{", "$set", "{", "expired", "{", "$cond", "[", "{", "$eq", "[", "{", "$size", "$images", "}",
                 BCON_INT32(0), "]", "}", BCON_BOOL(true), "$$REMOVE", "]", "}", "}", "}");
    bson_destroy(&texts);
    return change;
}

enum gri_status gri_mongo_expire_images(const struct gri_mongo_session *session, int64_t days, bool *more,
                                        struct gri_error *error) {
    struct gri_mongo_ids ids;
    int64_t now_ms = 0;
    if (days <= 0) return GRI_OK;
    enum gri_status status = gri_mongo_now(session, &now_ms, error);
    if (status != GRI_OK) return status;
    gri_mongo_ids_init(&ids, IMAGES_A_CALL);
    /* Tombstones stay for ever. */
    bson_t *filter = BCON_NEW("inserted_at", "{", "$gt", BCON_DATE_TIME(0), "$lt", BCON_DATE_TIME(now_ms - days * DAY_MS), "}",
                              "removed", "{", "$ne", BCON_BOOL(true), "}");
    bson_t *opts = BCON_NEW("projection", "{", "_id", BCON_INT32(1), "}", "sort", "{", "inserted_at", BCON_INT32(1), "_id",
                            BCON_INT32(1), "}", "limit", BCON_INT32(IMAGES_A_CALL), "hint", "inserted");
    status = gri_mongo_find(session, GRI_MONGO_IMAGES, filter, opts, take_id, &ids, error);
    bool full = ids.count == IMAGES_A_CALL;
    if (full) leave_open_set(&ids);
    if (status == GRI_OK && ids.count > 0) {
        filter = BCON_NEW("state", "done");
        gri_mongo_append_texts(filter, "images", ids.ids[0], sizeof ids.ids[0], ids.count);
        status = gri_mongo_update_many(session, GRI_MONGO_URLS, filter, expiry(&ids), error);
        if (status == GRI_OK) status = gri_mongo_strip_images(session, &ids, error);
        *more = *more || full;
    }
    gri_mongo_ids_clear(&ids);
    return status;
}

/* Only the records of the push; what it brought in stays. */
enum gri_status gri_mongo_expire_catalogs(const struct gri_mongo_session *session, int64_t days, bool *more,
                                          struct gri_error *error) {
    struct gri_mongo_ids ids;
    int64_t now_ms = 0;
    if (days <= 0) return GRI_OK;
    enum gri_status status = gri_mongo_now(session, &now_ms, error);
    if (status != GRI_OK) return status;
    gri_mongo_ids_init(&ids, CATALOGS_A_CALL);
    bson_t *filter =
        BCON_NEW("created_at", "{", "$gt", BCON_DATE_TIME(0), "$lt", BCON_DATE_TIME(now_ms - days * DAY_MS), "}", "finished_at",
                 "{", "$lt", BCON_DATE_TIME(now_ms - days * DAY_MS), "}", "unfinished", BCON_NULL, "doomed", BCON_NULL);
    bson_t *opts =
        BCON_NEW("projection", "{", "_id", BCON_INT32(1), "}", "limit", BCON_INT32(CATALOGS_A_CALL), "hint", "created");
    status = gri_mongo_find(session, GRI_MONGO_CATALOGS, filter, opts, take_id, &ids, error);
    if (status == GRI_OK && ids.count > 0) {
        filter = BCON_NEW("unfinished", BCON_NULL);
        gri_mongo_append_texts(filter, "_id", ids.ids[0], sizeof ids.ids[0], ids.count);
        bson_t *change =
            BCON_NEW("$set", "{", "state", "deleting", "doomed", BCON_BOOL(true), "records_only", BCON_BOOL(true), "}");
        status = gri_mongo_update_many(session, GRI_MONGO_CATALOGS, filter, change, error);
        *more = true;
    }
    gri_mongo_ids_clear(&ids);
    return status;
}
