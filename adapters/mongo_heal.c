/* SPDX-License-Identifier: Apache-2.0 */
/* Marks of damage as the store port sees them, and complete images in the place of damaged ones. */
#include "mongo_image_document.h"
#include "mongo_schema.h"

#include <grisaille/crash_point.h>
#include <string.h>

struct marks {
    struct gri_image_lookup *items;
    size_t count;
};

/* Only where the picture alone is damaged: the job and the time of a document that is wrong elsewhere can't be trusted. */
static bool take_mark(const bson_t *document, void *arg) {
    struct marks *marks = arg;
    const char *id = gri_mongo_text(document, "_id");
    if (!gri_mongo_truth(document, "corrupt.picture_only")) return true;
    for (size_t i = 0; i < marks->count; i++) {
        struct gri_image_lookup *item = &marks->items[i];
        if (!item->found || strcmp(item->id, id) != 0) continue;
        item->heal = gri_copy(item->heal_job, sizeof item->heal_job, gri_mongo_text(document, "job"));
        item->heal_inserted_at_ms = gri_mongo_number(document, "inserted_at", 0);
    }
    return true;
}

/* Asked of an index that holds the marked ones alone. */
enum gri_status gri_mongo_look_for_marks(const struct gri_mongo_session *session, struct gri_image_lookup *items, size_t count,
                                         struct gri_error *error) {
    struct marks marks = {items, count};
    bson_t ids = BSON_INITIALIZER;
    uint32_t found = 0;
    for (size_t i = 0; i < count; i++) {
        char buffer[16];
        const char *position;
        if (!items[i].found || !items[i].id[0]) continue;
        bson_uint32_to_string(found++, &position, buffer, sizeof buffer);
        BSON_APPEND_UTF8(&ids, position, items[i].id);
    }
    if (found == 0) {
        bson_destroy(&ids);
        return GRI_OK;
    }
    bson_t *filter = BCON_NEW("_id", "{", "$in", BCON_ARRAY(&ids), "}", "corrupt.at", "{", "$exists", BCON_BOOL(true), "}");
    bson_t *opts = BCON_NEW("projection", "{", "job", BCON_INT32(1), "inserted_at", BCON_INT32(1), "corrupt", BCON_INT32(1), "}",
                            "hint", GRI_INDEX_IMAGES_CORRUPT);
    bson_destroy(&ids);
    return gri_mongo_find(session, GRI_MONGO_IMAGES, filter, opts, take_mark, &marks, error);
}

bson_t *gri_mongo_heal_change(const struct gri_image *image) {
    bson_t *document = gri_mongo_image_document(image);
    bson_t set = BSON_INITIALIZER;
    bson_copy_to_excluding_noinit(document, &set, "_id", NULL);
    bson_t *change = BCON_NEW("$set", BCON_DOCUMENT(&set), "$unset", "{", "corrupt", "", "}");
    bson_destroy(&set);
    bson_destroy(document);
    return change;
}

enum gri_status gri_mongo_work_heal(struct gri_mongo_session *session, struct gri_op *op) {
    struct gri_store_heal *request = gri_container_of(op, struct gri_store_heal, op);
    struct gri_mongo_bulk bulk;
    gri_mongo_bulk_begin(&bulk, session, GRI_MONGO_IMAGES, false, "heal");
    for (size_t i = 0; i < request->count; i++) {
        bson_t *filter = BCON_NEW("_id", BCON_UTF8(request->images[i]->id), "corrupt.picture_only", BCON_BOOL(true), "removed",
                                  "{", "$ne", BCON_BOOL(true), "}");
        gri_mongo_bulk_update(&bulk, filter, gri_mongo_heal_change(request->images[i]), false);
    }
    GRI_CRASH_POINT(heal_before);
    enum gri_status status = gri_mongo_bulk_execute(&bulk, &op->error);
    GRI_CRASH_POINT(heal_after);
    if (status == GRI_OK) status = gri_mongo_bulk_refusal(&bulk, &op->error);
    gri_mongo_bulk_clear(&bulk);
    return status;
}
