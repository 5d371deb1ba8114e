/* SPDX-License-Identifier: Apache-2.0 */
/* The store port: looks images up by covered indexes, inserts them in bulk, and tells one duplicate from the other. */
#include "mongo_image_document.h"
#include "mongo_image_sets.h"
#include "mongo_phash.h"
#include "mongo_schema.h"

#include <grisaille/crash_point.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    DOCUMENT_MAX = 16 * 1024 * 1024, /* what the server takes */
    READ_BACK_PAUSE_MS = 20
};

/* --- look-ups -------------------------------------------------------------------------------------------------------- */

struct lookup {
    struct gri_image_lookup *items;
    size_t count;
};

static bool found_by_id(const bson_t *document, void *arg) {
    struct lookup *lookup = arg;
    const char *id = gri_mongo_text(document, "_id");
    for (size_t i = 0; i < lookup->count; i++) {
        struct gri_image_lookup *item = &lookup->items[i];
        if (strcmp(item->id, id) != 0) continue;
        item->found = true;
        item->removed = gri_mongo_truth(document, "removed");
        item->own = strcmp(gri_mongo_text(document, "job"), item->job) == 0;
        (void)gri_copy(item->found_id, sizeof item->found_id, id);
    }
    return true;
}

static bool found_by_job(const bson_t *document, void *arg) {
    struct lookup *lookup = arg;
    const char *job = gri_mongo_text(document, "job"), *pipeline = gri_mongo_text(document, "pipeline");
    for (size_t i = 0; i < lookup->count; i++) {
        struct gri_image_lookup *item = &lookup->items[i];
        if (item->id[0] || strcmp(item->job, job) != 0 || strcmp(item->pipeline, pipeline) != 0) continue;
        item->found = true;
        item->removed = gri_mongo_truth(document, "removed");
        item->own = true;
        (void)gri_copy(item->found_id, sizeof item->found_id, gri_mongo_text(document, "_id"));
    }
    return true;
}

/* {sums.source: {$in: […]}, _id: {$in: […]}}: an _id begins with its source sum, and the index on that sum holds all that
 * is asked, so that no picture is read. */
static bson_t *id_filter(const struct lookup *lookup, size_t *count, bool covered) {
    bson_t *filter = bson_new();
    bson_t ids = BSON_INITIALIZER, sums = BSON_INITIALIZER;
    *count = 0;
    for (size_t i = 0; i < lookup->count; i++) {
        const char *id = lookup->items[i].id;
        char buffer[16];
        const char *position;
        if (!id[0]) continue;
        bson_uint32_to_string((uint32_t)(*count)++, &position, buffer, sizeof buffer);
        BSON_APPEND_UTF8(&ids, position, id);
        bson_append_utf8(&sums, position, -1, id, (int)strcspn(id, ":"));
    }
    if (covered) BCON_APPEND(filter, "sums.source", "{", "$in", BCON_ARRAY(&sums), "}");
    BCON_APPEND(filter, "_id", "{", "$in", BCON_ARRAY(&ids), "}");
    bson_destroy(&ids);
    bson_destroy(&sums);
    return filter;
}

static enum gri_status lookup_ids(const struct gri_mongo_session *session, struct lookup *lookup, struct gri_error *error) {
    size_t count;
    bson_t *filter = id_filter(lookup, &count, true);
    if (count == 0) {
        bson_destroy(filter);
        return GRI_OK;
    }
    bson_t *opts = BCON_NEW("projection", "{", "_id", BCON_INT32(1), "job", BCON_INT32(1), "removed", BCON_INT32(1), "}", "hint",
                            GRI_INDEX_IMAGES_SOURCE);
    enum gri_status status = gri_mongo_find(session, GRI_MONGO_IMAGES, filter, opts, found_by_id, lookup, error);
    return status == GRI_OK ? gri_mongo_look_for_marks(session, lookup->items, lookup->count, error) : status;
}

/* For duplicates: a damaged sums.source hides a document from the covered index, and nobody may wait for it for ever. */
static enum gri_status lookup_hidden(const struct gri_mongo_session *session, struct lookup *lookup, struct gri_error *error) {
    size_t count;
    bson_t *filter = id_filter(lookup, &count, false);
    if (count == 0) {
        bson_destroy(filter);
        return GRI_OK;
    }
    bson_t *opts = BCON_NEW("projection", "{", "_id", BCON_INT32(1), "job", BCON_INT32(1), "removed", BCON_INT32(1), "}");
    return gri_mongo_find(session, GRI_MONGO_IMAGES, filter, opts, found_by_id, lookup, error);
}

/* The unique index tells absence without a document; what is there is fetched for its _id, which happens on redelivery. */
static enum gri_status lookup_jobs(const struct gri_mongo_session *session, struct lookup *lookup, struct gri_error *error) {
    bson_t jobs = BSON_INITIALIZER;
    size_t count = 0;
    for (size_t i = 0; i < lookup->count; i++) {
        char buffer[16];
        const char *position;
        if (lookup->items[i].id[0]) continue;
        bson_uint32_to_string((uint32_t)count++, &position, buffer, sizeof buffer);
        BSON_APPEND_UTF8(&jobs, position, lookup->items[i].job);
    }
    bson_t *filter = BCON_NEW("job", "{", "$in", BCON_ARRAY(&jobs), "}");
    bson_destroy(&jobs);
    if (count == 0) {
        bson_destroy(filter);
        return GRI_OK;
    }
    bson_t *opts = BCON_NEW("projection", "{", "_id", BCON_INT32(1), "job", BCON_INT32(1), "pipeline", BCON_INT32(1), "removed",
                            BCON_INT32(1), "}", "hint", GRI_INDEX_IMAGES_JOB);
    return gri_mongo_find(session, GRI_MONGO_IMAGES, filter, opts, found_by_job, lookup, error);
}

static bool found_tombstone(const bson_t *document, void *arg) {
    struct lookup *lookup = arg;
    const char *source = gri_mongo_text(document, "_id");
    size_t len = strlen(source);
    for (size_t i = 0; i < lookup->count; i++) {
        struct gri_image_lookup *item = &lookup->items[i];
        if (item->found || strncmp(item->id, source, len) != 0 || item->id[len] != ':') continue;
        item->found = item->removed = true;
        (void)gri_copy(item->found_id, sizeof item->found_id, gri_mongo_text(document, "image"));
    }
    return true;
}

/* Asked now and then, for nearly always there are none, and a takedown is repeated for longer than this is believed. A reading
 * that fails leaves the last answer. */
static bool may_be_taken_down(const struct gri_mongo_session *session) {
    enum { READ_AGAIN_MS = 2000 };
    struct gri_mongo *mongo = session->mongo;
    int64_t now_ms = bson_get_monotonic_time() / 1000;
    pthread_mutex_lock(&mongo->hosts_lock);
    bool due = mongo->tombstones_read_ms == 0 || now_ms - mongo->tombstones_read_ms >= READ_AGAIN_MS;
    if (due) mongo->tombstones_read_ms = now_ms;
    pthread_mutex_unlock(&mongo->hosts_lock);
    bson_t *found = NULL;
    struct gri_error ignored;
    bool read = due && gri_mongo_find_one(session, GRI_MONGO_TOMBSTONES, bson_new(), NULL, &found, &ignored) == GRI_OK;
    pthread_mutex_lock(&mongo->hosts_lock);
    if (read) mongo->tombstones = found != NULL;
    bool any = mongo->tombstones;
    pthread_mutex_unlock(&mongo->hosts_lock);
    bson_destroy(found);
    return any;
}

/* A source that was taken down is taken down for every pipeline: linking the one that was there counts. */
static enum gri_status lookup_tombstones(const struct gri_mongo_session *session, struct lookup *lookup,
                                         struct gri_error *error) {
    bson_t sums = BSON_INITIALIZER;
    uint32_t count = 0;
    for (size_t i = 0; i < lookup->count; i++) {
        char buffer[16];
        const char *position, *id = lookup->items[i].id;
        if (!id[0] || lookup->items[i].found) continue;
        bson_uint32_to_string(count++, &position, buffer, sizeof buffer);
        bson_append_utf8(&sums, position, -1, id, (int)strcspn(id, ":"));
    }
    bson_t *filter = BCON_NEW("_id", "{", "$in", BCON_ARRAY(&sums), "}");
    bson_destroy(&sums);
    if (count == 0 || !may_be_taken_down(session)) {
        bson_destroy(filter);
        return GRI_OK;
    }
    return gri_mongo_find(session, GRI_MONGO_TOMBSTONES, filter, NULL, found_tombstone, lookup, error);
}

enum gri_status gri_mongo_look_up(const struct gri_mongo_session *session, struct gri_image_lookup *items, size_t count,
                                  struct gri_error *error) {
    struct lookup lookup = {.items = items, .count = count};
    for (size_t i = 0; i < count; i++) {
        items[i].found = items[i].removed = items[i].own = items[i].heal = false;
        items[i].found_id[0] = '\0';
    }
    enum gri_status status = lookup_ids(session, &lookup, error);
    if (status == GRI_OK) status = lookup_tombstones(session, &lookup, error);
    return status == GRI_OK ? lookup_jobs(session, &lookup, error) : status;
}

enum gri_status gri_mongo_look_up_hidden(const struct gri_mongo_session *session, struct gri_image_lookup *items, size_t count,
                                         struct gri_error *error) {
    struct lookup hidden = {.items = items, .count = count};
    return lookup_hidden(session, &hidden, error);
}

static enum gri_status work_lookup(struct gri_mongo_session *session, struct gri_op *op) {
    struct gri_store_lookup *request = gri_container_of(op, struct gri_store_lookup, op);
    return gri_mongo_look_up(session, request->items, request->count, &op->error);
}

/* --- inserts --------------------------------------------------------------------------------------------------------- */

/* One insert under way. */
struct insertion {
    struct gri_store_insert *request;
    size_t *sent;      /* of each bulk position, the item's index */
    size_t duplicates; /* items that met a duplicate key: result SAME_CONTENT until read back */
    size_t refused;
};

static void note_refusal(size_t index, int64_t code, const char *message, void *arg) {
    struct insertion *insertion = arg;
    struct gri_image_insert *item = &insertion->request->items[insertion->sent[index]];
    insertion->refused++;
    if (code == GRI_MONGO_DUPLICATE) {
        item->result = GRI_SAME_CONTENT;
        item->found_id[0] = '\0';
        insertion->duplicates++;
        return;
    }
    item->result = GRI_NOT_INSERTED;
    item->found_id[0] = '\0';
    (void)!gri_mongo_fail_code(&item->error, code, message, "insert");
}

static bool too_large(struct gri_image_insert *item) {
    if (item->image->data.len <= (size_t)GRI_BASE64_MAX) return false;
    item->result = GRI_NOT_INSERTED;
    item->found_id[0] = '\0';
    (void)!gri_fail(&item->error, GRI_R_output_too_large, "the base64 text has %zu bytes, a document holds %d",
                    item->image->data.len, (int)GRI_BASE64_MAX);
    return true;
}

static enum gri_status insert_all(const struct gri_mongo_session *session, struct insertion *insertion) {
    struct gri_store_insert *request = insertion->request;
    struct gri_mongo_bulk bulk;
    gri_mongo_bulk_begin(&bulk, session, GRI_MONGO_IMAGES, false, "insert");
    for (size_t i = 0; i < request->count; i++) {
        struct gri_image_insert *item = &request->items[i];
        if (gri_mongo_is_joined(request, i)) continue; /* mongo_image_sets.c */
        item->own = false;
        if (too_large(item)) continue;
        item->result = GRI_INSERTED;
        (void)gri_copy(item->found_id, sizeof item->found_id, item->image->id);
        insertion->sent[bulk.count] = i;
        bson_t *document = gri_mongo_image_document(item->image);
        GRI_ASSERT(document->len <= DOCUMENT_MAX); /* 15 MiB of text, and fields that are all bounded */
        gri_mongo_bulk_insert(&bulk, document);
    }
    gri_mongo_write_phashes(session, request);
    GRI_CRASH_POINT(insert_before);
    enum gri_status status = gri_mongo_bulk_execute(&bulk, &request->op.error);
    GRI_CRASH_POINT(insert_after);
    if (status == GRI_OK) {
        gri_mongo_bulk_refused(&bulk, note_refusal, insertion);
        /* Each document was either inserted or refused, or the reply is not one to build on. */
        size_t inserted = (size_t)gri_mongo_number(&bulk.reply, "nInserted", 0);
        if (inserted + insertion->refused != bulk.count) {
            status = gri_fail(&request->op.error, GRI_R_store, "insert: the server accounted for %zu of %zu documents",
                              inserted + insertion->refused, bulk.count);
            request->op.error.unknown = true;
        }
    }
    gri_mongo_bulk_clear(&bulk);
    return status;
}

/* Two questions for each duplicate: what does this job have already (that one must be linked), and who has these bytes? */
static size_t settle_duplicates(struct gri_store_insert *request, const struct gri_image_lookup *lookups) {
    size_t open = 0, at = 0;
    for (size_t i = 0; i < request->count; i++) {
        struct gri_image_insert *item = &request->items[i];
        if (item->result != GRI_SAME_CONTENT) continue;
        const struct gri_image_lookup *by_id = &lookups[at++], *by_job = &lookups[at++];
        if (by_job->found && strcmp(by_job->found_id, item->image->id) != 0) {
            item->result = GRI_SAME_JOB;
            item->own = true;
            (void)gri_copy(item->found_id, sizeof item->found_id, by_job->found_id);
        } else if (by_id->found) {
            item->own = by_id->own;
            (void)gri_copy(item->found_id, sizeof item->found_id, by_id->found_id);
        } else {
            open++;
        }
    }
    return open;
}

static enum gri_status read_back(const struct gri_mongo_session *session, struct insertion *insertion) {
    struct gri_store_insert *request = insertion->request;
    struct gri_image_lookup *lookups = gri_calloc(insertion->duplicates * 2, sizeof *lookups);
    size_t count = 0, open = 0;
    int64_t deadline = bson_get_monotonic_time() + session->mongo->timeout_ms * 1000;
    for (size_t i = 0; i < request->count; i++) {
        const struct gri_image *image = request->items[i].image;
        if (request->items[i].result != GRI_SAME_CONTENT) continue;
        for (int by_job = 0; by_job < 2; by_job++, count++) {
            if (!by_job) (void)gri_copy(lookups[count].id, sizeof lookups[count].id, image->id);
            (void)gri_copy(lookups[count].job, sizeof lookups[count].job, image->job);
            (void)gri_copy(lookups[count].pipeline, sizeof lookups[count].pipeline, image->pipeline);
        }
    }
    GRI_ASSERT(count == insertion->duplicates * 2);
    enum gri_status status = gri_mongo_look_up(session, lookups, count, &request->op.error);
    /* The winner's insert may not have reached a majority yet: wait for it, for a link may only point to what stays. */
    while (status == GRI_OK && (open = settle_duplicates(request, lookups)) > 0 && bson_get_monotonic_time() < deadline) {
        struct timespec pause = {.tv_nsec = READ_BACK_PAUSE_MS * 1000000L};
        nanosleep(&pause, NULL);
        for (size_t i = 0; i < request->count; i++) {
            if (request->items[i].result == GRI_SAME_JOB) request->items[i].result = GRI_SAME_CONTENT;
        }
        status = gri_mongo_look_up(session, lookups, count, &request->op.error);
        if (status == GRI_OK) status = gri_mongo_look_up_hidden(session, lookups, count, &request->op.error);
    }
    free(lookups);
    GRI_CRASH_POINT(duplicate_known);
    if (status == GRI_OK && open > 0) {
        status = gri_fail(&request->op.error, GRI_R_store, "insert: %zu duplicates did not reach a majority", open);
        request->op.error.unknown = true;
    }
    return status;
}

/* Stubs of deleted images stand in the way of these bytes: they go, and all is inserted again (what is in already is a duplicate
 * of its own job, which is told as such). */
enum gri_status gri_mongo_clear_stubs(const struct gri_mongo_session *session, const struct gri_image_insert *items, size_t count,
                                      int64_t *cleared, struct gri_error *error) {
    bson_t ids = BSON_INITIALIZER;
    for (size_t i = 0; i < count; i++) {
        char buffer[16];
        const char *position;
        bson_uint32_to_string((uint32_t)i, &position, buffer, sizeof buffer);
        BSON_APPEND_UTF8(&ids, position, items[i].image->id);
    }
    bson_t *filter = BCON_NEW("_id", "{", "$in", BCON_ARRAY(&ids), "}", "deleted_at", "{", "$exists", BCON_BOOL(true), "}");
    bson_destroy(&ids);
    return gri_mongo_delete(session, GRI_MONGO_IMAGES, filter, cleared, error);
}

static enum gri_status work_insert(struct gri_mongo_session *session, struct gri_op *op) {
    struct gri_store_insert *request = gri_container_of(op, struct gri_store_insert, op);
    for (size_t i = 0; i < request->count; i++)
        request->items[i].result = GRI_NOT_INSERTED; /* joined ones come last, and are passed over until then */
    struct insertion insertion = {.request = request, .sent = gri_calloc(request->count ? request->count : 1, sizeof(size_t))};
    enum gri_status status = insert_all(session, &insertion);
    if (status == GRI_OK && insertion.duplicates > 0) {
        int64_t cleared = 0;
        status = gri_mongo_clear_stubs(session, request->items, request->count, &cleared, &op->error);
        insertion.duplicates = insertion.refused = cleared > 0 ? 0 : insertion.duplicates;
        if (status == GRI_OK && cleared > 0) status = insert_all(session, &insertion);
    }
    if (status == GRI_OK && insertion.duplicates > 0) status = read_back(session, &insertion);
    if (status == GRI_OK) status = gri_mongo_insert_sets(session, request, &op->error);
    free(insertion.sent);
    return status;
}

/* --- the port -------------------------------------------------------------------------------------------------------- */

static void lookup(struct gri_store *store, struct gri_store_lookup *request) {
    gri_mongo_submit(gri_container_of(store, struct gri_mongo, store), "lookup", work_lookup, &request->op);
}

static void insert(struct gri_store *store, struct gri_store_insert *request) {
    gri_mongo_submit(gri_container_of(store, struct gri_mongo, store), "insert", work_insert, &request->op);
}

static void heal(struct gri_store *store, struct gri_store_heal *request) {
    gri_mongo_submit(gri_container_of(store, struct gri_mongo, store), "heal", gri_mongo_work_heal, &request->op);
}

static void recall(struct gri_store *store, struct gri_store_recall *request) {
    gri_mongo_submit(gri_container_of(store, struct gri_mongo, store), "recall", gri_mongo_work_recall, &request->op);
}

const struct gri_store_ops gri_mongo_store_ops = {.lookup = lookup, .insert = insert, .heal = heal, .recall = recall};
