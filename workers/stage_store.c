/* SPDX-License-Identifier: Apache-2.0 */
/* OWN, SET, LOOKUP and INSERT: the images that are there, and those that are to be. */
#include "pipeline.h"
#include "worker_state.h"
#include <grisaille/crash_point.h>
#include <grisaille/image_sums.h>
#include <stdlib.h>

enum { BUSY_MS = 15000 }; /* until what another is about to store or delete is over, in most cases */

/* --- OWN, SET and LOOKUP --------------------------------------------------------------------------------------------------- */

struct lookup_flight {
    struct gri_flight flight;
    struct gri_store_lookup request;
};

static void lookup_answered(struct gri_op *op) {
    struct gri_store_lookup *request = gri_container_of(op, struct gri_store_lookup, op);
    gri_flight_answered(&gri_container_of(request, struct lookup_flight, request)->flight, op);
}

/* How many look-ups the slot takes: by job at OWN, where its outputs are not known yet, else one for each output. */
static size_t lookups_of(const struct gri_slot *slot) {
    return slot->stage == GRI_STAGE_OWN ? 1 : slot->outputs;
}

static void lookup_submit(struct gri_flight *flight) {
    struct lookup_flight *lookup = gri_container_of(flight, struct lookup_flight, flight);
    struct gri_store *store = flight->lane->worker->o.store;
    size_t count = 0;
    for (size_t i = 0; i < flight->count; i++)
        count += lookups_of(flight->slots[i]);
    lookup->request = (struct gri_store_lookup){
        .op.done = lookup_answered, .items = gri_calloc(count, sizeof(struct gri_image_lookup)), .count = count};
    struct gri_image_lookup *item = lookup->request.items;
    for (size_t i = 0; i < flight->count; i++) {
        struct gri_slot *slot = flight->slots[i];
        for (size_t k = 0; k < lookups_of(slot); k++, item++) {
            if (slot->stage != GRI_STAGE_OWN) gri_copy(item->id, sizeof item->id, gri_slot_image(slot, k)->id);
            gri_image_job(slot->entry.job.key, slot->record.renewal, item->job);
            gri_copy(item->pipeline, sizeof item->pipeline, slot->entry.job.pipeline);
        }
    }
    store->ops->lookup(store, &lookup->request);
}

/* What was found of a slot's outputs, together. */
struct found {
    bool any, all, removed, heal, own;
};

static struct found sum_up(const struct gri_image_lookup *items, size_t count) {
    struct found found = {.all = true};
    for (size_t i = 0; i < count; i++) {
        GRI_ASSERT(!items[i].found || items[i].found_id[0] != '\0');
        found.any = found.any || items[i].found;
        found.all = found.all && items[i].found;
        found.removed = found.removed || (items[i].found && items[i].removed);
        found.heal = found.heal || (items[i].found && items[i].heal);
        found.own = found.own || (items[i].found && items[i].own);
    }
    return found;
}

static void link_found(struct gri_slot *slot, const struct gri_image_lookup *items, size_t count, bool own, bool removed) {
    bool first = true;
    GRI_CRASH_POINT(link_before);
    for (size_t i = 0; i < count; i++) {
        if (!items[i].found) continue; /* the rest of what was taken down is taken down as well */
        if (first)
            gri_finish_link(slot, items[i].found_id, own, removed);
        else
            gri_finish_link_too(slot, items[i].found_id);
        first = false;
    }
    gri_pipeline_advance(slot, GRI_OUTCOME_LINK);
}

/* One of several outputs; whether the others are there is asked when the pipeline, and so their names, are known. */
static void note_set(struct gri_slot *slot, const char *id) {
    char pipeline[GRI_PIPELINE_MAX], output[GRI_NAME_MAX];
    slot->own_set = gri_image_parse_id(id, slot->image.sums.source, pipeline, output) && output[0] != '\0';
}

/* Did an earlier delivery store what this one failed at? Else it ends as it was about to. */
static void look_back(struct gri_slot *slot, const struct gri_image_lookup *items, size_t count, const struct found *found) {
    bool set = slot->stage == GRI_STAGE_OWN && slot->own_set;
    if (set && slot->plan != NULL)
        gri_pipeline_advance(slot, GRI_OUTCOME_SET);
    else if (!set && (found->removed || found->all))
        link_found(slot, items, count, true, found->removed);
    else
        gri_pipeline_advance(slot, GRI_OUTCOME_FAILED);
}

static void settle_lookup(struct gri_slot *slot, const struct gri_image_lookup *items, size_t count) {
    struct found found = sum_up(items, count);
    bool mine = slot->stage != GRI_STAGE_LOOKUP;      /* OWN, SET: an earlier delivery's */
    bool only = slot->record.state != GRI_URL_QUEUED; /* it came to look for an image of its own, no more */
    if (slot->stage == GRI_STAGE_OWN && found.any) note_set(slot, items[0].found_id);
    if (slot->looked_back) {
        look_back(slot, items, count, &found);
    } else if (slot->fetch.not_modified && !found.removed && (!found.all || found.heal)) {
        gri_pipeline_advance(slot, GRI_OUTCOME_AGAIN); /* its host still has it, and it is not here any more: the bytes, then */
    } else if (slot->stage == GRI_STAGE_OWN && slot->own_set) {
        gri_pipeline_advance(slot, GRI_OUTCOME_NEXT);
    } else if (found.removed || (found.all && (mine || !found.heal))) {
        link_found(slot, items, count, found.own || mine, found.removed);
    } else if (mine && only) {
        gri_pipeline_advance(slot, GRI_OUTCOME_STALE);
    } else { /* whoever holds the bytes makes a damaged picture anew, and what is missing of several */
        for (size_t i = 0; !mine && i < count; i++)
            if (items[i].found && items[i].heal) gri_heal_note(slot, i, &items[i]);
        gri_pipeline_advance(slot, GRI_OUTCOME_NEXT);
    }
}

static void lookup_settle(struct gri_flight *flight) {
    struct lookup_flight *lookup = gri_container_of(flight, struct lookup_flight, flight);
    const struct gri_image_lookup *items = lookup->request.items;
    for (size_t i = 0; i < flight->count; i++) {
        size_t count = lookups_of(flight->slots[i]);
        settle_lookup(flight->slots[i], items, count); /* the slot is another stage's now */
        items += count;
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

/* The images of the earlier delivery: their source's sum was found, their names are the pipeline's. */
void gri_set_enter(struct gri_slot *slot) {
    gri_picture_identify(slot);
    slot->own_set = false;
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
    size_t count = 0;
    for (size_t i = 0; i < flight->count; i++)
        count += flight->slots[i]->outputs;
    insert->request = (struct gri_store_insert){
        .op.done = insert_answered, .items = gri_calloc(count, sizeof(struct gri_image_insert)), .count = count};
    struct gri_image_insert *item = insert->request.items;
    for (size_t i = 0; i < flight->count; i++)
        for (size_t k = 0; k < flight->slots[i]->outputs; k++, item++) {
            item->image = gri_slot_image(flight->slots[i], k);
            item->joined = k > 0;
        }
    store->ops->insert(store, &insert->request);
}

static void insert_failed(struct gri_slot *slot, const struct gri_error *error) {
    slot->error = *error;
    if (slot->error.status == GRI_OK) gri_fail(&slot->error, GRI_R_store, "the server refused the document");
    slot->attempt = (struct gri_attempt){.retry_after_ms = -1};
    if (slot->outputs > 1 && slot->error.status == GRI_RETRY) { /* another holds some of them: nothing to charge this URL with */
        slot->attempt.deferred = true;
        slot->attempt.defer_ms = BUSY_MS;
    }
    gri_pipeline_advance(slot, GRI_OUTCOME_FAILED);
}

static void settle_insert(struct gri_slot *slot, const struct gri_image_insert *items, size_t count) {
    bool made = false;
    for (size_t i = 0; i < count; i++) {
        if (items[i].result == GRI_NOT_INSERTED) {
            insert_failed(slot, &items[i].error);
            return;
        }
        /* SAME_JOB: an earlier delivery of this job stored other bytes (a random source); that one is ours. */
        GRI_ASSERT(items[i].result != GRI_SAME_JOB || items[i].found_id[0] != '\0');
        made = made || items[i].result != GRI_SAME_CONTENT || items[i].own;
    }
    for (size_t i = 0; i < count; i++) {
        const char *id = items[i].found_id[0] != '\0' ? items[i].found_id : gri_slot_image(slot, i)->id;
        if (i == 0)
            gri_finish_link(slot, id, made, false);
        else
            gri_finish_link_too(slot, id);
    }
    gri_pipeline_advance(slot, GRI_OUTCOME_LINK);
}

static void insert_settle(struct gri_flight *flight) {
    struct insert_flight *insert = gri_container_of(flight, struct insert_flight, flight);
    const struct gri_image_insert *items = insert->request.items;
    for (size_t i = 0; i < flight->count; i++) {
        size_t count = flight->slots[i]->outputs;
        settle_insert(flight->slots[i], items, count); /* the slot is another stage's now */
        items += count;
    }
}

static void insert_clear(struct gri_flight *flight) {
    struct insert_flight *insert = gri_container_of(flight, struct insert_flight, flight);
    free(insert->request.items);
    insert->request.items = NULL;
}

const struct gri_flight_kind gri_insert_flight = {"insert",      true,          sizeof(struct insert_flight),
                                                  insert_submit, insert_settle, insert_clear};

/* The documents' last fields; their sums cover them all, so they come last. Outputs of one run came in at one time. */
void gri_insert_enter(struct gri_slot *slot) {
    struct gri_worker *worker = slot->worker;
    int64_t now_ms = gri_wall_ms(worker->o.loop);
    for (size_t i = 0; i < slot->outputs; i++) {
        struct gri_image *image = gri_slot_image(slot, i);
        if (slot->heal >> i & 1)
            gri_image_job(slot->entry.job.key, slot->record.renewal, image->job); /* if it was deleted meanwhile */
        image->inserted_at_ms = now_ms;
        gri_copy(image->made_by, sizeof image->made_by, worker->made_by);
        gri_image_seal(worker->o.crypto, image);
    }
    gri_lane_add(&worker->insert, slot);
}
