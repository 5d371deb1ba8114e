/* SPDX-License-Identifier: Apache-2.0 */
/* The store's recall: an image read whole and verified, before its host is asked whether it has changed. */
#include "mongo_image_document.h"
#include "mongo_schema.h"
#include "mongo_scrub_links.h"

#include <grisaille/image_sums.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    struct gri_image_recall *item;
    const struct gri_mongo_session *session;
    const char *source, *pipeline;
    bool sound;
    enum gri_status status; /* of marking what is damaged */
    struct gri_error *error;
};

static void keep(struct gri_image_recall *item, const struct gri_image *image) {
    item->found = true;
    (void)gri_copy(item->etag, sizeof item->etag, image->source.etag);
    (void)gri_copy(item->last_modified, sizeof item->last_modified, image->source.last_modified);
    free(item->final_url);
    item->final_url = gri_strdup(image->source.final_url ? image->source.final_url : "");
}

static bool is_sound(const struct reading *reading, const bson_t *document, struct gri_image *image,
                     struct gri_image_check *check) {
    char malformed[64];
    gri_mongo_image_read(document, image, malformed, sizeof malformed);
    gri_image_verify(reading->session->mongo->crypto, image, check);
    if (malformed[0]) {
        check->fields_sound = false;
        if (check->stage == GRI_SUM_SOUND) check->stage = GRI_SUM_DOCUMENT;
    }
    return check->stage == GRI_SUM_SOUND;
}

/* What two readings find damaged is, as for the scrub. */
static enum gri_status judge(struct reading *reading, const bson_t *document) {
    struct gri_image image;
    struct gri_image_check check;
    bson_t *again = NULL;
    enum gri_status status = GRI_OK;
    bool sound = is_sound(reading, document, &image, &check);
    if (!sound) {
        gri_image_clear(&image);
        image = (struct gri_image){.width = 0};
        bson_t *filter = BCON_NEW("_id", BCON_UTF8(gri_mongo_text(document, "_id")));
        status = gri_mongo_find_one(reading->session, GRI_MONGO_IMAGES, filter, NULL, &again, reading->error);
        sound = status == GRI_OK && again && is_sound(reading, again, &image, &check);
    }
    if (again && !sound) {
        struct gri_scrub_finding finding = {
            .image = &image, .check = &check, .detail = "found damaged when its host was to be asked whether it has changed"};
        status = gri_mongo_mark_image(reading->session, &finding, reading->error);
    }
    reading->sound = reading->sound && sound;
    if (status == GRI_OK && strcmp(image.id, reading->item->id) == 0) keep(reading->item, &image);
    gri_image_clear(&image);
    bson_destroy(again);
    return status;
}

static bool take(const bson_t *document, void *arg) {
    struct reading *reading = arg;
    if (strcmp(gri_mongo_text(document, "pipeline"), reading->pipeline) != 0) return true;
    if (gri_mongo_truth(document, "removed")) {
        reading->item->removed = true;
        return false;
    }
    if (gri_mongo_has(document, "corrupt")) {
        reading->sound = false;
        return true;
    }
    reading->status = judge(reading, document);
    return reading->status == GRI_OK;
}

static enum gri_status recall_one(const struct gri_mongo_session *session, struct gri_image_recall *item,
                                  struct gri_error *error) {
    char source[GRI_SHA256_HEX], pipeline[GRI_PIPELINE_MAX], output[GRI_NAME_MAX];
    struct reading reading = {
        .item = item, .session = session, .source = source, .pipeline = pipeline, .sound = true, .error = error};
    item->found = item->removed = false;
    if (!session->mongo->crypto || !gri_image_parse_id(item->id, source, pipeline, output)) return GRI_OK;
    enum gri_status status = gri_mongo_find(session, GRI_MONGO_IMAGES, BCON_NEW("sums.source", BCON_UTF8(source)),
                                            BCON_NEW("hint", GRI_INDEX_IMAGES_SOURCE), take, &reading, error);
    if (status == GRI_OK) status = reading.status;
    item->found = item->found && reading.sound && !item->removed;
    return status;
}

enum gri_status gri_mongo_work_recall(struct gri_mongo_session *session, struct gri_op *op) {
    struct gri_store_recall *request = gri_container_of(op, struct gri_store_recall, op);
    enum gri_status status = GRI_OK;
    for (size_t i = 0; status == GRI_OK && i < request->count; i++)
        status = recall_one(session, &request->items[i], &op->error);
    return status;
}
