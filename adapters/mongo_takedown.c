/* SPDX-License-Identifier: Apache-2.0 */
/* Takedown: a tombstone by the source's sum, then the pictures stripped in place, then their URLs marked. The tombstone is first,
 * and the rest is repeated for some minutes: whoever stored the same bytes meanwhile had not seen it. */
#include "mongo_archive.h"
#include "mongo_upkeep.h"

#include <grisaille/crash_point.h>
#include <string.h>

enum { IMAGES_MAX = 1000, TOMBSTONES_MAX = 100 };

static bool take_id(const bson_t *document, void *arg) {
    return gri_mongo_ids_add(arg, gri_mongo_text(document, "_id"));
}

static enum gri_status find_images(const struct gri_mongo_session *session, const char *source, struct gri_mongo_ids *ids,
                                   struct gri_error *error) {
    bson_t *opts = BCON_NEW("projection", "{", "_id", BCON_INT32(1), "}", "limit", BCON_INT32(IMAGES_MAX), "hint", "source");
    return gri_mongo_find(session, GRI_MONGO_IMAGES, BCON_NEW("sums.source", BCON_UTF8(source)), opts, take_id, ids, error);
}

/* Where its catalog was deleted, or it was too old, just before, it is a stub by now, that will go: it is the one that everybody
 * who brings these bytes again is to link, so it stays after all. */
static enum gri_status keep_stub(const struct gri_mongo_session *session, const bson_t *tombstone, struct gri_error *error) {
    const char *image = gri_mongo_text(tombstone, "image");
    if (!*image) return GRI_OK;
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(image), "deleted_at", "{", "$exists", BCON_BOOL(true), "}");
    bson_t *change =
        BCON_NEW("$set", "{", "removed", BCON_BOOL(true), "data", "", "sums.source", BCON_UTF8(gri_mongo_text(tombstone, "_id")),
                 "removal.reason", BCON_UTF8(gri_mongo_text(tombstone, "reason")), "removal.by",
                 BCON_UTF8(gri_mongo_text(tombstone, "by")), "}", "$currentDate", "{", "removal.at", BCON_BOOL(true), "}",
                 "$unset", "{", "deleted_at", "", "}");
    return gri_mongo_update_many(session, GRI_MONGO_IMAGES, filter, change, error);
}

/* The document keeps its _id, job and sums: they are what later pushes meet. */
static enum gri_status strip(const struct gri_mongo_session *session, const struct gri_mongo_ids *ids, const bson_t *tombstone,
                             struct gri_error *error) {
    bson_t *filter = BCON_NEW("removed", "{", "$ne", BCON_BOOL(true), "}");
    gri_mongo_append_texts(filter, "_id", ids->ids[0], sizeof ids->ids[0], ids->count);
    bson_t *change =
        BCON_NEW("$set", "{", "removed", BCON_BOOL(true), "data", "", "removal.reason",
                 BCON_UTF8(gri_mongo_text(tombstone, "reason")), "removal.by", BCON_UTF8(gri_mongo_text(tombstone, "by")), "}",
                 "$currentDate", "{", "removal.at", BCON_BOOL(true), "}", "$unset", "{", "corrupt", "", "phash", "", "}");
    return gri_mongo_update_many(session, GRI_MONGO_IMAGES, filter, change, error);
}

static enum gri_status mark_urls(const struct gri_mongo_session *session, const char *source, const struct gri_mongo_ids *ids,
                                 struct gri_error *error) {
    /* A URL that was fetched anew may have another picture by now: the last one is what it has. */
    bson_t *filter = BCON_NEW("state", "done", "error.reason", "{", "$ne", "removed", "}", "$expr", "{", "$eq", "[", "{",
                              "$substrBytes", "[", "{", "$last", "$images", "}", BCON_INT32(0), BCON_INT32(GRI_SHA256_HEX - 1),
                              "]", "}", BCON_UTF8(source), "]", "}");
    gri_mongo_append_texts(filter, "images", ids->ids[0], sizeof ids->ids[0], ids->count);
    bson_t *change = BCON_NEW("$set", "{", "error", "{", "class", BCON_UTF8(gri_status_name(GRI_PERMANENT)), "reason",
                              BCON_UTF8(gri_reason_name(GRI_R_removed)), "detail", "its picture was taken down", "}", "}",
                              "$currentDate", "{", "changed_at", BCON_BOOL(true), "}");
    return gri_mongo_update_many(session, GRI_MONGO_URLS, filter, change, error);
}

/* All that a tombstone asks for. */
static enum gri_status apply(const struct gri_mongo_session *session, const bson_t *tombstone, int64_t *count,
                             struct gri_error *error) {
    struct gri_mongo_ids ids;
    gri_mongo_ids_init(&ids, IMAGES_MAX);
    enum gri_status status = keep_stub(session, tombstone, error);
    if (status == GRI_OK) status = find_images(session, gri_mongo_text(tombstone, "_id"), &ids, error);
    if (status == GRI_OK && ids.count > 0) status = strip(session, &ids, tombstone, error);
    GRI_CRASH_POINT(take_down_after);
    if (status == GRI_OK && ids.count > 0) status = mark_urls(session, gri_mongo_text(tombstone, "_id"), &ids, error);
    *count = (int64_t)ids.count;
    gri_mongo_ids_clear(&ids);
    return status;
}

static enum gri_status bury(const struct gri_mongo_session *session, const char *source, const char *image, const char *why,
                            const char *by, struct gri_error *error) {
    bson_t *set = bson_new();
    gri_mongo_append_text(set, "reason", why);
    gri_mongo_append_text(set, "by", by);
    BSON_APPEND_UTF8(set, "image", image);
    /* [{$set: …}], for the date is computed; the texts are no expressions. */
    bson_t literal = BSON_INITIALIZER;
    BSON_APPEND_DOCUMENT(&literal, "$literal", set);
    bson_t *change = BCON_NEW("0", "{", "$replaceWith", "{", "$mergeObjects", "[", BCON_DOCUMENT(&literal), "{", "_id",
                              BCON_UTF8(source), "at", "$$NOW", "settle_at", "{", "$add", "[", "$$NOW",
                              BCON_INT64(GRI_MONGO_SETTLE_MS), "]", "}", "}", "]", "}", "}");
    bson_destroy(&literal);
    bson_destroy(set);
    return gri_mongo_update_one(session, GRI_MONGO_TOMBSTONES, BCON_NEW("_id", BCON_UTF8(source)), change, true, NULL, NULL,
                                error);
}

static enum gri_status take_down(const struct gri_mongo_session *session, const char *source, const char *why, const char *by,
                                 int64_t *count, struct gri_error *error) {
    struct gri_mongo_ids ids;
    bson_t *tombstone = NULL;
    gri_mongo_ids_init(&ids, IMAGES_MAX);
    enum gri_status status = find_images(session, source, &ids, error);
    if (status == GRI_OK && ids.count == 0)
        status = gri_fail(error, GRI_R_not_found, "no image was made of the source %s", source);
    GRI_CRASH_POINT(take_down_before);
    if (status == GRI_OK) status = bury(session, source, ids.ids[0], why, by, error);
    GRI_CRASH_POINT(take_down_tombstone);
    if (status == GRI_OK)
        status = gri_mongo_find_one(session, GRI_MONGO_TOMBSTONES, BCON_NEW("_id", BCON_UTF8(source)), NULL, &tombstone, error);
    if (status == GRI_OK && tombstone) status = apply(session, tombstone, count, error);
    bson_destroy(tombstone);
    gri_mongo_ids_clear(&ids);
    return status;
}

enum gri_status gri_mongo_take_down(struct gri_archive *archive, const char *source_sha256, const char *why, const char *by,
                                    int64_t *count, struct gri_error *error) {
    struct gri_mongo_session session;
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    status = take_down(&session, source_sha256, why, by, count, error);
    return gri_mongo_archive_close(&session, status, error);
}

/* --- again ------------------------------------------------------------------------------------------------------------------ */

struct tombstones {
    bson_t *documents[TOMBSTONES_MAX];
    size_t count;
};

static bool keep_tombstone(const bson_t *document, void *arg) {
    struct tombstones *list = arg;
    if (list->count == TOMBSTONES_MAX) return false;
    list->documents[list->count++] = bson_copy(document);
    return true;
}

enum gri_status gri_mongo_repeat_takedowns(const struct gri_mongo_session *session, struct gri_error *error) {
    struct tombstones list = {.count = 0};
    int64_t now_ms = 0, count;
    bson_t *opts =
        BCON_NEW("sort", "{", "settle_at", BCON_INT32(1), "}", "limit", BCON_INT32(TOMBSTONES_MAX), "hint", "unsettled");
    enum gri_status status =
        gri_mongo_find(session, GRI_MONGO_TOMBSTONES, BCON_NEW("settle_at", "{", "$gte", BCON_DATE_TIME(0), "}"), opts,
                       keep_tombstone, &list, error);
    if (status == GRI_OK && list.count > 0) status = gri_mongo_now(session, &now_ms, error);
    for (size_t i = 0; status == GRI_OK && i < list.count; i++) {
        status = apply(session, list.documents[i], &count, error);
        if (status != GRI_OK || gri_mongo_number(list.documents[i], "settle_at", now_ms) > now_ms) continue;
        status = gri_mongo_update_one(session, GRI_MONGO_TOMBSTONES,
                                      BCON_NEW("_id", BCON_UTF8(gri_mongo_text(list.documents[i], "_id"))),
                                      BCON_NEW("$unset", "{", "settle_at", "", "}"), false, NULL, NULL, error);
    }
    for (size_t i = 0; i < list.count; i++)
        bson_destroy(list.documents[i]);
    return status;
}
