/* SPDX-License-Identifier: Apache-2.0 */
/* Who made an image, who links it, and adoption of those that nobody links. */
#include "mongo_scrub_links.h"

#include "mongo_archive.h"
#include "mongo_ledger.h"

#include <grisaille/crash_point.h>
#include <string.h>

static bson_t *record_fields(void) {
    return BCON_NEW("projection", "{", "url", BCON_INT32(1), "state", BCON_INT32(1), "pipeline", BCON_INT32(1), "made",
                    BCON_INT32(1), "}");
}

enum gri_status gri_mongo_scrub_maker(struct gri_archive *archive, const char *id, const char *job, char key[GRI_KEY_MAX],
                                      char **url, struct gri_error *error) {
    struct gri_mongo_session session;
    bson_t *found = NULL;
    char made_by[GRI_KEY_MAX];
    gri_image_job_key(job, made_by);
    key[0] = '\0';
    *url = NULL;
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    /* The image's own word first, where a record agrees with it; then whoever says to have made it. */
    status = gri_mongo_find_one(&session, GRI_MONGO_URLS, BCON_NEW("_id", BCON_UTF8(made_by), "images", BCON_UTF8(id)),
                                record_fields(), &found, error);
    if (status == GRI_OK && !found)
        status = gri_mongo_find_one(&session, GRI_MONGO_URLS, BCON_NEW("images", BCON_UTF8(id), "made", BCON_BOOL(true)),
                                    record_fields(), &found, error);
    if (status == GRI_OK && !found)
        status =
            gri_mongo_find_one(&session, GRI_MONGO_URLS, BCON_NEW("_id", BCON_UTF8(made_by)), record_fields(), &found, error);
    if (found && gri_copy(key, GRI_KEY_MAX, gri_mongo_text(found, "_id"))) *url = gri_strdup(gri_mongo_text(found, "url"));
    bson_destroy(found);
    return gri_mongo_archive_close(&session, status, error);
}

static bool take_mate(const bson_t *document, void *arg) {
    bson_t *ids = arg;
    char buffer[16];
    const char *position;
    bson_uint32_to_string(bson_count_keys(ids), &position, buffer, sizeof buffer);
    BSON_APPEND_UTF8(ids, position, gri_mongo_text(document, "_id"));
    return true;
}

/* The image's _id, and those of the other outputs of its source: a URL links all of them or none. */
static enum gri_status list_set(const struct gri_mongo_session *session, const struct gri_image *image, bson_t *ids,
                                struct gri_error *error) {
    char first[GRI_IMAGE_ID_MAX], behind[GRI_IMAGE_ID_MAX];
    bson_init(ids);
    if (!image->output[0]) {
        BSON_APPEND_UTF8(ids, "0", image->id);
        return GRI_OK;
    }
    (void)gri_format(first, sizeof first, "%s:%s/", image->sums.source, image->pipeline);
    (void)gri_format(behind, sizeof behind, "%s:%s0", image->sums.source, image->pipeline); /* '0' is next to '/' */
    bson_t *filter = BCON_NEW("sums.source", BCON_UTF8(image->sums.source), "_id", "{", "$gte", BCON_UTF8(first), "$lt",
                              BCON_UTF8(behind), "}");
    bson_t *opts = BCON_NEW("projection", "{", "_id", BCON_INT32(1), "}", "limit", BCON_INT32(GRI_OUTPUTS_MAX), "hint", "source");
    return gri_mongo_find(session, GRI_MONGO_IMAGES, filter, opts, take_mate, ids, error);
}

static enum gri_status adopt(const struct gri_mongo_session *session, const struct gri_image *image, const char *key, bool done,
                             struct gri_error *error) {
    bson_t ids;
    enum gri_status status = list_set(session, image, &ids, error);
    if (status != GRI_OK) {
        bson_destroy(&ids);
        return status;
    }
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(key));
    bson_t *change = BCON_NEW("$addToSet", "{", "images", "{", "$each", BCON_ARRAY(&ids), "}", "}", "$currentDate", "{",
                              "changed_at", BCON_BOOL(true), "}");
    bson_destroy(&ids);
    bson_t set;
    if (done) {
        BSON_APPEND_UTF8(filter, "state", "done");
    } else {
        BCON_APPEND(filter, "state", "dead", "pipeline", BCON_UTF8(image->pipeline));
        BCON_APPEND(change, "$unset", "{", "error", "", "next_at", "", "}");
    }
    BSON_APPEND_DOCUMENT_BEGIN(change, "$set", &set);
    BSON_APPEND_UTF8(&set, "state", "done");
    BSON_APPEND_BOOL(&set, "made", true);
    bson_append_document_end(change, &set);
    return gri_mongo_update_one(session, GRI_MONGO_URLS, filter, change, false, NULL, NULL, error);
}

/* The record of the job that the image names. */
static enum gri_status settle(const struct gri_mongo_session *session, const struct gri_image *image, enum gri_scrub_link *out,
                              struct gri_error *error) {
    bson_t *record = NULL;
    char key[GRI_KEY_MAX];
    gri_image_job_key(image->job, key);
    enum gri_status status =
        gri_mongo_find_one(session, GRI_MONGO_URLS, BCON_NEW("_id", BCON_UTF8(key)), record_fields(), &record, error);
    if (status != GRI_OK) return status;
    enum gri_url_state state = record ? gri_mongo_url_state(gri_mongo_text(record, "state")) : GRI_URL_ABSENT;
    bool same = record && strcmp(gri_mongo_text(record, "pipeline"), image->pipeline) == 0;
    bson_destroy(record);
    *out = GRI_LINK_ORPHAN;
    if (state == GRI_URL_QUEUED || state == GRI_URL_WAITING) {
        *out = GRI_LINK_PENDING;
    } else if (state == GRI_URL_DONE || (state == GRI_URL_DEAD && same)) {
        GRI_CRASH_POINT(scrub_adopt_before);
        status = adopt(session, image, key, state == GRI_URL_DONE, error);
        GRI_CRASH_POINT(scrub_adopt_after);
        *out = GRI_LINK_ADOPTED;
    }
    return status;
}

enum gri_status gri_mongo_scrub_link(struct gri_archive *archive, const struct gri_image *image, enum gri_scrub_link *out,
                                     struct gri_error *error) {
    struct gri_mongo_session session;
    bson_t *found = NULL;
    *out = GRI_LINKED;
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    bson_t *opts = BCON_NEW("projection", "{", "_id", BCON_INT32(1), "}");
    status = gri_mongo_find_one(&session, GRI_MONGO_URLS, BCON_NEW("images", BCON_UTF8(image->id)), opts, &found, error);
    bool linked = found != NULL;
    bson_destroy(found);
    if (status == GRI_OK && !linked) status = settle(&session, image, out, error);
    if (status == GRI_OK && (*out == GRI_LINK_ADOPTED || *out == GRI_LINK_ORPHAN)) {
        bool adopted = *out == GRI_LINK_ADOPTED;
        struct gri_event event = {.level = adopted ? GRI_WARN : GRI_ERROR,
                                  .event = adopted ? "image_adopted" : "image_orphan",
                                  .key = image->job,
                                  .url = image->source.url,
                                  .detail = image->id};
        struct gri_error ignored;
        (void)!gri_mongo_write_events(&session, &event, 1, &ignored);
    }
    return gri_mongo_archive_close(&session, status, error);
}
