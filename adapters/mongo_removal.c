/* SPDX-License-Identifier: Apache-2.0 */
/* Deleted catalogs: what only they brought in goes, and once more when whoever had lines of them in hand has written them down.
 * The images of a batch of URLs are condemned (`removals`), then the URLs are removed, then each condemned image that no URL
 * links is stripped to its _id. A worker that found it just before may still link it; so its stub stays for some minutes, and a
 * URL that links a stub is fetched again. */
#include "mongo_ledger.h"
#include "mongo_upkeep.h"

#include <stdlib.h>
#include <string.h>

enum { URLS_A_CALL = 500, IMAGES_A_CALL = 500, LINKS_EACH = 4 };

/* --- images ----------------------------------------------------------------------------------------------------------------- */

void gri_mongo_ids_init(struct gri_mongo_ids *ids, size_t cap) {
    *ids = (struct gri_mongo_ids){.ids = gri_calloc(cap, GRI_IMAGE_ID_MAX), .cap = cap};
}

void gri_mongo_ids_clear(struct gri_mongo_ids *ids) {
    free(ids->ids);
    *ids = (struct gri_mongo_ids){.ids = NULL};
}

bool gri_mongo_ids_add(struct gri_mongo_ids *ids, const char *id) {
    if (ids->count == ids->cap) return false;
    if (gri_copy(ids->ids[ids->count], GRI_IMAGE_ID_MAX, id)) ids->count++;
    return true;
}

static bson_t *ids_filter(const char *field, const struct gri_mongo_ids *ids) {
    bson_t *filter = bson_new();
    gri_mongo_append_texts(filter, field, ids->ids[0], sizeof ids->ids[0], ids->count);
    return filter;
}

enum gri_status gri_mongo_strip_images(const struct gri_mongo_session *session, const struct gri_mongo_ids *ids,
                                       struct gri_error *error) {
    if (ids->count == 0) return GRI_OK;
    bson_t *filter = ids_filter("_id", ids);
    BCON_APPEND(filter, "removed", "{", "$ne", BCON_BOOL(true), "}", "deleted_at", "{", "$exists", BCON_BOOL(false), "}");
    /* Its job is no job's any more: the unique key must not stand in the way of the next one. */
    bson_t *change = BCON_NEW("0", "{", "$replaceWith", "{", "_id", "$_id", "job", "{", "$concat", "[", "deleted:", "$_id", "]",
                              "}", "pipeline", "", "output", "", "deleted_at", "$$NOW", "}", "}");
    enum gri_status status = gri_mongo_update_many(session, GRI_MONGO_IMAGES, filter, change, error);
    return status == GRI_OK ? gri_mongo_delete(session, GRI_MONGO_PHASHES, ids_filter("_id", ids), NULL, error) : status;
}

static bool take_id(const bson_t *document, void *arg) {
    return gri_mongo_ids_add(arg, gri_mongo_text(document, "_id"));
}

static bool take_links(const bson_t *document, void *arg) {
    bson_iter_t at, items;
    if (!bson_iter_init_find(&at, document, "images") || !BSON_ITER_HOLDS_ARRAY(&at) || !bson_iter_recurse(&at, &items))
        return true;
    while (bson_iter_next(&items)) {
        if (BSON_ITER_HOLDS_UTF8(&items)) (void)gri_mongo_ids_add(arg, bson_iter_utf8(&items, NULL));
    }
    return true;
}

static int compare_ids(const void *a, const void *b) {
    return strcmp(a, b);
}

/* Takes from `ids` those that stand in `others`. */
static void leave_out(struct gri_mongo_ids *ids, struct gri_mongo_ids *others) {
    size_t kept = 0;
    if (others->count) qsort(others->ids, others->count, sizeof *others->ids, compare_ids);
    for (size_t i = 0; i < ids->count; i++) {
        bool there = others->count && bsearch(ids->ids[i], others->ids, others->count, sizeof *others->ids, compare_ids);
        if (!there) memmove(ids->ids[kept++], ids->ids[i], sizeof *ids->ids);
    }
    ids->count = kept;
}

/* Which of the images some URL links: a bounded reading, for one may be linked by thousands. */
static enum gri_status linked_among(const struct gri_mongo_session *session, const struct gri_mongo_ids *ids,
                                    struct gri_mongo_ids *linked, struct gri_error *error) {
    enum gri_status status = GRI_OK;
    for (size_t i = 0; status == GRI_OK && i < ids->count; i++) {
        bson_t *found = NULL;
        bson_t *opts = BCON_NEW("projection", "{", "_id", BCON_INT32(0), "images", BCON_INT32(1), "}", "hint", "images");
        status = gri_mongo_find_one(session, GRI_MONGO_URLS, BCON_NEW("images", BCON_UTF8(ids->ids[i])), opts, &found, error);
        if (found) (void)gri_mongo_ids_add(linked, ids->ids[i]);
        bson_destroy(found);
    }
    return status;
}

/* A URL that links a stub had found the image just before it was stripped: it is fetched again. */
static enum gri_status fetch_again(const struct gri_mongo_session *session, const struct gri_mongo_ids *ids,
                                   struct gri_error *error) {
    bson_t *pull = ids_filter("images", ids), *change;
    change = BCON_NEW("$pull", BCON_DOCUMENT(pull), "$set", "{", "state", "waiting", "attempts", BCON_INT32(0), "}", "$unset",
                      "{", "made", "", "done_at", "", "expired", "", "}", "$currentDate", "{", "next_at", BCON_BOOL(true),
                      "changed_at", BCON_BOOL(true), "}");
    bson_destroy(pull);
    bson_t *filter = ids_filter("images", ids);
    BSON_APPEND_UTF8(filter, "state", "done");
    return gri_mongo_update_many(session, GRI_MONGO_URLS, filter, change, error);
}

static enum gri_status remove_stubs(const struct gri_mongo_session *session, bool *more, struct gri_error *error) {
    struct gri_mongo_ids ids;
    int64_t now_ms = 0;
    gri_mongo_ids_init(&ids, IMAGES_A_CALL);
    enum gri_status status = gri_mongo_now(session, &now_ms, error);
    bson_t *filter =
        BCON_NEW("deleted_at", "{", "$gte", BCON_DATE_TIME(1), "$lt", BCON_DATE_TIME(now_ms - GRI_MONGO_SETTLE_MS), "}");
    bson_t *opts = BCON_NEW("projection", "{", "_id", BCON_INT32(1), "}", "limit", BCON_INT32(IMAGES_A_CALL), "hint", "deleted");
    if (status == GRI_OK) {
        status = gri_mongo_find(session, GRI_MONGO_IMAGES, filter, opts, take_id, &ids, error);
    } else {
        bson_destroy(filter);
        bson_destroy(opts);
    }
    if (status == GRI_OK && ids.count > 0) {
        status = fetch_again(session, &ids, error);
        filter = ids_filter("_id", &ids);
        BCON_APPEND(filter, "deleted_at", "{", "$exists", BCON_BOOL(true), "}");
        if (status == GRI_OK) {
            status = gri_mongo_delete(session, GRI_MONGO_IMAGES, filter, NULL, error);
        } else {
            bson_destroy(filter);
        }
        *more = *more || ids.count == IMAGES_A_CALL;
    }
    gri_mongo_ids_clear(&ids);
    return status;
}

enum gri_status gri_mongo_remove_images(const struct gri_mongo_session *session, bool *more, struct gri_error *error) {
    struct gri_mongo_ids condemned, alone, linked;
    gri_mongo_ids_init(&condemned, IMAGES_A_CALL);
    gri_mongo_ids_init(&linked, IMAGES_A_CALL);
    int64_t now_ms = 0;
    enum gri_status status = gri_mongo_now(session, &now_ms, error);
    if (status == GRI_OK)
        status = gri_mongo_find(session, GRI_MONGO_REMOVALS, bson_new(), BCON_NEW("limit", BCON_INT32(IMAGES_A_CALL)), take_id,
                                &condemned, error);
    if (status == GRI_OK && condemned.count > 0) {
        gri_mongo_ids_init(&alone, IMAGES_A_CALL);
        memcpy(alone.ids, condemned.ids, condemned.count * sizeof *condemned.ids);
        alone.count = condemned.count;
        status = linked_among(session, &condemned, &linked, error);
        leave_out(&alone, &linked);
        if (status == GRI_OK) status = gri_mongo_strip_images(session, &alone, error);
        /* One that was condemned again meanwhile, by another scheduler, has lost a link since: it is looked at again. */
        bson_t *filter = ids_filter("_id", &condemned);
        BCON_APPEND(filter, "at", "{", "$lte", BCON_DATE_TIME(now_ms), "}");
        if (status == GRI_OK) {
            status = gri_mongo_delete(session, GRI_MONGO_REMOVALS, filter, NULL, error);
        } else {
            bson_destroy(filter);
        }
        *more = *more || condemned.count == IMAGES_A_CALL;
        gri_mongo_ids_clear(&alone);
    }
    gri_mongo_ids_clear(&condemned);
    gri_mongo_ids_clear(&linked);
    return status == GRI_OK ? remove_stubs(session, more, error) : status;
}

enum gri_status gri_mongo_condemn_images(const struct gri_mongo_session *session, const struct gri_mongo_ids *ids,
                                         struct gri_error *error) {
    struct gri_mongo_bulk bulk;
    gri_mongo_bulk_begin(&bulk, session, GRI_MONGO_REMOVALS, false, "condemn");
    for (size_t i = 0; i < ids->count; i++)
        gri_mongo_bulk_update(&bulk, BCON_NEW("_id", BCON_UTF8(ids->ids[i])),
                              BCON_NEW("$currentDate", "{", "at", BCON_BOOL(true), "}"), true);
    enum gri_status status = gri_mongo_bulk_execute(&bulk, error);
    if (status == GRI_OK) status = gri_mongo_bulk_refusal(&bulk, error);
    gri_mongo_bulk_clear(&bulk);
    return status;
}

/* --- catalogs --------------------------------------------------------------------------------------------------------------- */

struct url_batch {
    struct gri_mongo_ids images;
    char (*keys)[GRI_KEY_MAX];
    size_t count;
};

static bool take_url(const bson_t *document, void *arg) {
    struct url_batch *batch = arg;
    bson_iter_t at, items;
    size_t links = 0;
    if (bson_iter_init_find(&at, document, "images") && BSON_ITER_HOLDS_ARRAY(&at) && bson_iter_recurse(&at, &items))
        while (bson_iter_next(&items))
            links++;
    if (batch->count == URLS_A_CALL || (batch->count > 0 && links > batch->images.cap - batch->images.count)) return false;
    if (links > batch->images.cap) { /* fetched anew for years */
        gri_mongo_ids_clear(&batch->images);
        gri_mongo_ids_init(&batch->images, links);
    }
    (void)gri_copy(batch->keys[batch->count++], GRI_KEY_MAX, gri_mongo_text(document, "_id"));
    return take_links(document, &batch->images);
}

/* {images: …}: it links nothing but these. */
static void append_no_other(bson_t *filter, const struct gri_mongo_ids *ids) {
    bson_t images, none, other, list;
    BSON_APPEND_DOCUMENT_BEGIN(filter, "images", &images);
    BSON_APPEND_DOCUMENT_BEGIN(&images, "$not", &none);
    BSON_APPEND_DOCUMENT_BEGIN(&none, "$elemMatch", &other);
    BSON_APPEND_ARRAY_BEGIN(&other, "$nin", &list);
    for (size_t i = 0; i < ids->count; i++) {
        char buffer[16];
        const char *position;
        bson_uint32_to_string((uint32_t)i, &position, buffer, sizeof buffer);
        BSON_APPEND_UTF8(&list, position, ids->ids[i]);
    }
    bson_append_array_end(&other, &list);
    bson_append_document_end(&none, &other);
    bson_append_document_end(&images, &none);
    bson_append_document_end(filter, &images);
}

/* A URL that became another's wish meanwhile is `shared` and stays, or, where another scheduler's upkeep has removed it before,
 * that catalog's own: both are told by one document. One that a job in hand has just given an image goes the next time, when that
 * is condemned. */
static enum gri_status remove_urls(const struct gri_mongo_session *session, const char *catalog, size_t *removed,
                                   struct gri_error *error) {
    struct url_batch batch = {.keys = gri_calloc(URLS_A_CALL, GRI_KEY_MAX)};
    gri_mongo_ids_init(&batch.images, (size_t)URLS_A_CALL * LINKS_EACH);
    bson_t *filter = BCON_NEW("first.catalog", BCON_UTF8(catalog), "shared", "{", "$ne", BCON_BOOL(true), "}");
    bson_t *opts = BCON_NEW("projection", "{", "images", BCON_INT32(1), "}", "limit", BCON_INT32(URLS_A_CALL));
    enum gri_status status = gri_mongo_find(session, GRI_MONGO_URLS, filter, opts, take_url, &batch, error);
    if (status == GRI_OK && batch.images.count > 0) status = gri_mongo_condemn_images(session, &batch.images, error);
    if (status == GRI_OK && batch.count > 0) {
        filter = BCON_NEW("first.catalog", BCON_UTF8(catalog), "shared", "{", "$ne", BCON_BOOL(true), "}");
        append_no_other(filter, &batch.images);
        gri_mongo_append_texts(filter, "_id", batch.keys[0], sizeof batch.keys[0], batch.count);
        status = gri_mongo_delete(session, GRI_MONGO_URLS, filter, NULL, error);
    }
    *removed = batch.count;
    gri_mongo_ids_clear(&batch.images);
    free(batch.keys);
    return status;
}

/* Of a deleted catalog, but itself. *done: nothing more was there. */
static enum gri_status remove_parts(const struct gri_mongo_session *session, const bson_t *found, bool *done,
                                    struct gri_error *error) {
    const char *catalog = gri_mongo_text(found, "_id");
    enum gri_status status = GRI_OK;
    size_t removed = 0;
    if (!gri_mongo_truth(found, "records_only")) status = remove_urls(session, catalog, &removed, error);
    *done = status == GRI_OK && removed == 0;
    if (!*done) return status;
    status = gri_mongo_delete(session, GRI_MONGO_LINE_ERRORS, gri_mongo_line_range(catalog, 0, 999999999999), NULL, error);
    if (status == GRI_OK) status = gri_mongo_remove_chunks(session, catalog, error);
    return status;
}

/* Notes first that it has to be looked at again. */
static enum gri_status remove_catalog(const struct gri_mongo_session *session, const bson_t *found, struct gri_error *error) {
    const char *catalog = gri_mongo_text(found, "_id");
    bson_t *change = BCON_NEW("$currentDate", "{", "at", BCON_BOOL(true), "}", "$set", "{", "records_only",
                              BCON_BOOL(gri_mongo_truth(found, "records_only")), "}");
    enum gri_status status =
        gri_mongo_update_one(session, GRI_MONGO_DELETIONS, BCON_NEW("_id", BCON_UTF8(catalog)), change, true, NULL, NULL, error);
    if (status != GRI_OK) return status;
    return gri_mongo_delete(session, GRI_MONGO_CATALOGS, BCON_NEW("_id", BCON_UTF8(catalog)), NULL, error);
}

/* A scheduler that was slow, or slept, may have brought in lines after the deletion; by now nobody has any in hand. */
static enum gri_status look_again(const struct gri_mongo_session *session, bool *more, struct gri_error *error) {
    bson_t *found = NULL;
    int64_t now_ms = 0;
    bool done = false;
    bson_t *opts = BCON_NEW("sort", "{", "at", BCON_INT32(1), "}", "hint", "at");
    enum gri_status status = gri_mongo_find_one(session, GRI_MONGO_DELETIONS, bson_new(), opts, &found, error);
    if (status != GRI_OK || !found) return status;
    status = gri_mongo_now(session, &now_ms, error);
    if (status == GRI_OK && gri_mongo_number(found, "at", 0) < now_ms - GRI_MONGO_SETTLE_MS) {
        *more = true;
        status = remove_parts(session, found, &done, error);
        if (done && status == GRI_OK)
            status = gri_mongo_delete(session, GRI_MONGO_DELETIONS, BCON_NEW("_id", BCON_UTF8(gri_mongo_text(found, "_id"))),
                                      NULL, error);
    }
    bson_destroy(found);
    return status;
}

enum gri_status gri_mongo_remove_catalogs(const struct gri_mongo_session *session, bool *more, struct gri_error *error) {
    bson_t *found = NULL;
    bool done = false;
    bson_t *filter = BCON_NEW("doomed", BCON_BOOL(true), "unfinished", BCON_NULL);
    bson_t *opts = BCON_NEW("projection", "{", "records_only", BCON_INT32(1), "}", "hint", "doomed");
    enum gri_status status = gri_mongo_find_one(session, GRI_MONGO_CATALOGS, filter, opts, &found, error);
    if (status != GRI_OK) return status;
    if (!found) return look_again(session, more, error);
    status = remove_parts(session, found, &done, error);
    if (done && status == GRI_OK) status = remove_catalog(session, found, error);
    *more = true;
    bson_destroy(found);
    return status;
}
