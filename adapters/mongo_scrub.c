/* SPDX-License-Identifier: Apache-2.0 */
/* The scrub's side of the archive port: walking the images, marks, quarantine, replacement (grisaille/scrub.h). */
#include "mongo_archive.h"
#include "mongo_image_document.h"
#include "mongo_ledger.h"
#include "mongo_scrub_links.h"

#include <grisaille/crash_point.h>
#include <string.h>

/* --- position and totals --------------------------------------------------------------------------------------------- */

static enum gri_status load(struct gri_archive *archive, const char *walk, struct gri_scrub_progress *out,
                            struct gri_error *error) {
    struct gri_mongo_session session;
    bson_t *position = NULL, *totals = NULL;
    *out = (struct gri_scrub_progress){.last_success_ms = 0};
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    status = gri_mongo_find_one(&session, GRI_MONGO_SCRUB, BCON_NEW("_id", BCON_UTF8(walk)), NULL, &position, error);
    if (status == GRI_OK) status = gri_mongo_find_one(&session, GRI_MONGO_SCRUB, BCON_NEW("_id", "totals"), NULL, &totals, error);
    if (position) (void)gri_copy(out->position, sizeof out->position, gri_mongo_text(position, "position"));
    if (totals) out->last_success_ms = gri_mongo_number(totals, "last_success_at", 0);
    for (int i = 0; totals && i < GRI_SCRUB_RESULTS; i++) {
        char path[64];
        (void)gri_format(path, sizeof path, "documents.%s", gri_scrub_result_name((enum gri_scrub_result)i));
        out->totals[i] = gri_mongo_number(totals, path, 0);
    }
    bson_destroy(position);
    bson_destroy(totals);
    return gri_mongo_archive_close(&session, status, error);
}

static bson_t *totals_change(const int64_t add[GRI_SCRUB_RESULTS], bool finished) {
    bson_t *change = bson_new();
    bson_t inc;
    BSON_APPEND_DOCUMENT_BEGIN(change, "$inc", &inc);
    for (int i = 0; i < GRI_SCRUB_RESULTS; i++) {
        char path[64];
        (void)gri_format(path, sizeof path, "documents.%s", gri_scrub_result_name((enum gri_scrub_result)i));
        BSON_APPEND_INT64(&inc, path, add[i]);
    }
    bson_append_document_end(change, &inc);
    bson_t dates;
    BSON_APPEND_DOCUMENT_BEGIN(change, "$currentDate", &dates);
    BSON_APPEND_BOOL(&dates, "changed_at", true);
    if (finished) BSON_APPEND_BOOL(&dates, "last_success_at", true);
    bson_append_document_end(change, &dates);
    return change;
}

static enum gri_status save(struct gri_archive *archive, const char *walk, const char *position, bool finished,
                            const int64_t add[GRI_SCRUB_RESULTS], struct gri_error *error) {
    struct gri_mongo_session session;
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    GRI_CRASH_POINT(scrub_save_before);
    status = gri_mongo_update_one(&session, GRI_MONGO_SCRUB, BCON_NEW("_id", "totals"), totals_change(add, finished), true, NULL,
                                  NULL, error);
    bson_t *change = BCON_NEW("$set", "{", "position", BCON_UTF8(finished ? "" : position), "}", "$currentDate", "{", "at",
                              BCON_BOOL(true), "}");
    if (status != GRI_OK) {
        bson_destroy(change);
        return gri_mongo_archive_close(&session, status, error);
    }
    GRI_CRASH_POINT(scrub_save_after);
    status = gri_mongo_update_one(&session, GRI_MONGO_SCRUB, BCON_NEW("_id", BCON_UTF8(walk)), change, true, NULL, NULL, error);
    return gri_mongo_archive_close(&session, status, error);
}

/* --- the walk -------------------------------------------------------------------------------------------------------- */

struct page {
    char (*ids)[GRI_IMAGE_ID_MAX];
    size_t max, count;
};

static bool take_id(const bson_t *document, void *arg) {
    struct page *page = arg;
    if (page->count < page->max) (void)gri_copy(page->ids[page->count++], GRI_IMAGE_ID_MAX, gri_mongo_text(document, "_id"));
    return true;
}

static enum gri_status ids(struct gri_archive *archive, const char *after, char (*out)[GRI_IMAGE_ID_MAX], size_t max,
                           size_t *count, struct gri_error *error) {
    struct gri_mongo_session session;
    struct page page = {.ids = out, .max = max};
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    bson_t *opts = BCON_NEW("projection", "{", "_id", BCON_INT32(1), "}", "sort", "{", "_id", BCON_INT32(1), "}", "limit",
                            BCON_INT64((int64_t)max), "hint", "_id_");
    bson_t *filter = BCON_NEW("_id", "{", "$gt", BCON_UTF8(after), "}");
    status = gri_mongo_find(&session, GRI_MONGO_IMAGES, filter, opts, take_id, &page, error);
    *count = page.count;
    return gri_mongo_archive_close(&session, status, error);
}

static enum gri_status read_one(struct gri_archive *archive, const char *id, struct gri_scrub_document *out,
                                struct gri_error *error) {
    struct gri_mongo_session session;
    bson_t *found = NULL;
    *out = (struct gri_scrub_document){.found = false};
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    status = gri_mongo_find_one(&session, GRI_MONGO_IMAGES, BCON_NEW("_id", BCON_UTF8(id)), NULL, &found, error);
    if (found && !gri_mongo_has(found, "deleted_at")) {
        out->found = true;
        out->removed = gri_mongo_truth(found, "removed");
        out->marked = gri_mongo_has(found, "corrupt");
        gri_mongo_image_read(found, &out->image, out->malformed, sizeof out->malformed);
    }
    bson_destroy(found);
    return gri_mongo_archive_close(&session, status, error);
}

/* --- marks ----------------------------------------------------------------------------------------------------------- */

/* _id: image, stage and computed sum, so that the same finding is kept once. */
static enum gri_status keep_copy(const struct gri_mongo_session *session, const struct gri_scrub_finding *finding, int64_t now_ms,
                                 struct gri_error *error) {
    const struct gri_image_check *check = finding->check;
    char key[GRI_IMAGE_ID_MAX + 160];
    bson_t *found = NULL;
    (void)gri_format(key, sizeof key, "image:%s:%s:%s", finding->image->id, gri_image_sum_name(check->stage), check->computed);
    enum gri_status status =
        gri_mongo_find_one(session, GRI_MONGO_IMAGES, BCON_NEW("_id", BCON_UTF8(finding->image->id)), NULL, &found, error);
    if (status != GRI_OK || !found) return status;
    bson_t *set =
        BCON_NEW("kind", "image", "image", BCON_UTF8(finding->image->id), "stage", BCON_UTF8(gri_image_sum_name(check->stage)),
                 "recorded", BCON_UTF8(check->recorded), "computed", BCON_UTF8(check->computed), "at", BCON_DATE_TIME(now_ms));
    gri_mongo_append_text(set, "detail", finding->detail);
    if (finding->by && *finding->by) gri_mongo_append_text(set, "by", finding->by);
    BSON_APPEND_DOCUMENT(set, "document", found);
    bson_t *change = BCON_NEW("$setOnInsert", BCON_DOCUMENT(set));
    bson_destroy(set);
    bson_destroy(found);
    return gri_mongo_update_one(session, GRI_MONGO_QUARANTINE, BCON_NEW("_id", BCON_UTF8(key)), change, true, NULL, NULL, error);
}

static void tell(const struct gri_mongo_session *session, const struct gri_image *image, enum gri_level level, const char *name,
                 enum gri_reason reason, const char *by, const char *detail) {
    struct gri_event event = {.level = level,
                              .event = name,
                              .key = image->job,
                              .url = image->source.url,
                              .host = image->source.host,
                              .worker = by,
                              .detail = detail,
                              .reason = reason};
    struct gri_error ignored; /* the mark and the totals say it too */
    (void)!gri_mongo_write_events(session, &event, 1, &ignored);
}

enum gri_status gri_mongo_mark_image(const struct gri_mongo_session *session, const struct gri_scrub_finding *finding,
                                     struct gri_error *error) {
    const struct gri_image_check *check = finding->check;
    int64_t now_ms = 0;
    enum gri_status status = gri_mongo_now(session, &now_ms, error);
    GRI_CRASH_POINT(scrub_keep_before);
    if (status == GRI_OK) status = keep_copy(session, finding, now_ms, error);
    GRI_CRASH_POINT(scrub_keep_after);
    if (status == GRI_OK) {
        bson_t *change = BCON_NEW("$set", "{", "corrupt", "{", "stage", BCON_UTF8(gri_image_sum_name(check->stage)), "found",
                                  BCON_UTF8(check->computed), "at", BCON_DATE_TIME(now_ms), "picture_only",
                                  BCON_BOOL(check->fields_sound), "}", "}");
        bson_t *filter = BCON_NEW("_id", BCON_UTF8(finding->image->id), "removed", "{", "$ne", BCON_BOOL(true), "}");
        status = gri_mongo_update_one(session, GRI_MONGO_IMAGES, filter, change, false, NULL, NULL, error);
        GRI_CRASH_POINT(scrub_mark_after);
    }
    if (status == GRI_OK) tell(session, finding->image, GRI_ERROR, "image_corrupt", GRI_R_corrupt, finding->by, finding->detail);
    return status;
}

static enum gri_status mark(struct gri_archive *archive, const struct gri_scrub_finding *finding, struct gri_error *error) {
    struct gri_mongo_session session;
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    status = gri_mongo_mark_image(&session, finding, error);
    return gri_mongo_archive_close(&session, status, error);
}

static enum gri_status unmark(struct gri_archive *archive, const char *id, struct gri_error *error) {
    struct gri_mongo_session session;
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    GRI_CRASH_POINT(scrub_unmark_before);
    status = gri_mongo_update_one(&session, GRI_MONGO_IMAGES, BCON_NEW("_id", BCON_UTF8(id)),
                                  BCON_NEW("$unset", "{", "corrupt", "", "}"), false, NULL, NULL, error);
    GRI_CRASH_POINT(scrub_unmark_after);
    return gri_mongo_archive_close(&session, status, error);
}

static enum gri_status replace(struct gri_archive *archive, const struct gri_image *image, const char *by, bool *replaced,
                               struct gri_error *error) {
    struct gri_mongo_session session;
    int64_t matched = 0;
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(image->id), "corrupt", "{", "$exists", BCON_BOOL(true), "}", "removed", "{", "$ne",
                              BCON_BOOL(true), "}");
    GRI_CRASH_POINT(scrub_replace_before);
    status = gri_mongo_update_one(&session, GRI_MONGO_IMAGES, filter, gri_mongo_heal_change(image), false, &matched, NULL, error);
    GRI_CRASH_POINT(scrub_replace_after);
    *replaced = status == GRI_OK && matched == 1;
    if (*replaced) tell(&session, image, GRI_WARN, "image_healed", GRI_R_none, by, image->id);
    return gri_mongo_archive_close(&session, status, error);
}

const struct gri_scrub_ops gri_mongo_scrub_ops = {
    .load = load,
    .save = save,
    .ids = ids,
    .read = read_one,
    .mark = mark,
    .unmark = unmark,
    .replace = replace,
    .maker = gri_mongo_scrub_maker,
    .link = gri_mongo_scrub_link,
};
