/* SPDX-License-Identifier: Apache-2.0 */
/* OWN, LOOKUP and INSERT: the images that are there, and the one that is to be. */
#include "pipeline.h"
#include "worker_state.h"
#include <grisaille/crash_point.h>
#include <grisaille/image_sums.h>
#include <stdlib.h>

/* --- OWN and LOOKUP --------------------------------------------------------------------------------------------------- */

struct lookup_flight {
    struct gri_flight flight;
    struct gri_store_lookup request;
};

static void lookup_answered(struct gri_op *op) {
    struct gri_store_lookup *request = gri_container_of(op, struct gri_store_lookup, op);
    gri_flight_answered(&gri_container_of(request, struct lookup_flight, request)->flight, op);
}

static void lookup_submit(struct gri_flight *flight) {
    struct lookup_flight *lookup = gri_container_of(flight, struct lookup_flight, flight);
    struct gri_store *store = flight->lane->worker->o.store;
    lookup->request = (struct gri_store_lookup){
        .op.done = lookup_answered, .items = gri_calloc(flight->count, sizeof(struct gri_image_lookup)), .count = flight->count};
    for (size_t i = 0; i < flight->count; i++) {
        const struct gri_slot *slot = flight->slots[i];
        struct gri_image_lookup *item = &lookup->request.items[i];
        if (slot->stage == GRI_STAGE_LOOKUP) gri_copy(item->id, sizeof item->id, slot->image.id);
        gri_copy(item->job, sizeof item->job, slot->entry.job.key);
        gri_copy(item->pipeline, sizeof item->pipeline, slot->entry.job.pipeline);
    }
    store->ops->lookup(store, &lookup->request);
}

static void lookup_settle(struct gri_flight *flight) {
    struct lookup_flight *lookup = gri_container_of(flight, struct lookup_flight, flight);
    for (size_t i = 0; i < flight->count; i++) {
        struct gri_slot *slot = flight->slots[i];
        const struct gri_image_lookup *item = &lookup->request.items[i];
        bool own = item->own || slot->stage == GRI_STAGE_OWN;
        GRI_ASSERT(!item->found || item->found_id[0] != '\0');
        if (slot->stage == GRI_STAGE_LOOKUP && item->heal && !item->removed) {
            gri_heal_begin(slot, item); /* whoever holds the bytes makes the picture anew */
            continue;
        }
        GRI_CRASH_POINT_IF(item->found, link_before);
        if (item->found) gri_finish_link(slot, item->found_id, own, item->removed);
        bool done = slot->record.state == GRI_URL_DONE; /* it only came to look for an image of its own */
        gri_pipeline_advance(slot, item->found ? GRI_OUTCOME_LINK : done ? GRI_OUTCOME_STALE : GRI_OUTCOME_NEXT);
    }
}

static void lookup_clear(struct gri_flight *flight) {
    struct lookup_flight *lookup = gri_container_of(flight, struct lookup_flight, flight);
    free(lookup->request.items);
    lookup->request.items = NULL;
}

const struct gri_flight_kind gri_lookup_flight = {"lookup",      true,          sizeof(struct lookup_flight),
                                                  lookup_submit, lookup_settle, lookup_clear};

void gri_own_enter(struct gri_slot *slot) {
    gri_lane_add(&slot->worker->lookup, slot);
}

void gri_lookup_enter(struct gri_slot *slot) {
    gri_lane_add(&slot->worker->lookup, slot);
}

/* --- INSERT ----------------------------------------------------------------------------------------------------------- */

struct insert_flight {
    struct gri_flight flight;
    struct gri_store_insert request;
};

static void insert_answered(struct gri_op *op) {
    struct gri_store_insert *request = gri_container_of(op, struct gri_store_insert, op);
    gri_flight_answered(&gri_container_of(request, struct insert_flight, request)->flight, op);
}

static void insert_submit(struct gri_flight *flight) {
    struct insert_flight *insert = gri_container_of(flight, struct insert_flight, flight);
    struct gri_store *store = flight->lane->worker->o.store;
    insert->request = (struct gri_store_insert){
        .op.done = insert_answered, .items = gri_calloc(flight->count, sizeof(struct gri_image_insert)), .count = flight->count};
    for (size_t i = 0; i < flight->count; i++)
        insert->request.items[i].image = &flight->slots[i]->image;
    store->ops->insert(store, &insert->request);
}

static void insert_failed(struct gri_slot *slot, const struct gri_error *error) {
    slot->error = *error;
    if (slot->error.status == GRI_OK) gri_fail(&slot->error, GRI_R_store, "the server refused the document");
    slot->attempt = (struct gri_attempt){.retry_after_ms = -1};
    gri_pipeline_advance(slot, GRI_OUTCOME_FAILED);
}

static void insert_settle(struct gri_flight *flight) {
    struct insert_flight *insert = gri_container_of(flight, struct insert_flight, flight);
    for (size_t i = 0; i < flight->count; i++) {
        struct gri_slot *slot = flight->slots[i];
        const struct gri_image_insert *item = &insert->request.items[i];
        if (item->result == GRI_NOT_INSERTED) {
            insert_failed(slot, &item->error);
            continue;
        }
        /* SAME_JOB: an earlier delivery of this job stored other bytes (a random source); that one is ours. */
        GRI_ASSERT(item->result != GRI_SAME_JOB || item->found_id[0] != '\0');
        bool made = item->result != GRI_SAME_CONTENT || item->own;
        gri_finish_link(slot, item->found_id[0] != '\0' ? item->found_id : slot->image.id, made, false);
        gri_pipeline_advance(slot, GRI_OUTCOME_LINK);
    }
}

static void insert_clear(struct gri_flight *flight) {
    struct insert_flight *insert = gri_container_of(flight, struct insert_flight, flight);
    free(insert->request.items);
    insert->request.items = NULL;
}

const struct gri_flight_kind gri_insert_flight = {"insert",      true,          sizeof(struct insert_flight),
                                                  insert_submit, insert_settle, insert_clear};

/* The document's last fields; its sum covers them all, so it comes last. */
void gri_insert_enter(struct gri_slot *slot) {
    struct gri_worker *worker = slot->worker;
    struct gri_image *image = &slot->image;
    image->inserted_at_ms = gri_wall_ms(worker->o.loop);
    gri_copy(image->made_by, sizeof image->made_by, worker->made_by);
    gri_image_seal(worker->o.crypto, image);
    gri_lane_add(&worker->insert, slot);
}
