/* SPDX-License-Identifier: Apache-2.0 */
/* HEAL: the picture that was found damaged is replaced by the one just made from the very same source. The document keeps
 * the job that made it and the time it came in. */
#include "pipeline.h"
#include "worker_state.h"
#include <grisaille/image_sums.h>
#include <stdlib.h>

struct heal_flight {
    struct gri_flight flight;
    struct gri_store_heal request;
    const struct gri_image **images;
};

static void answered(struct gri_op *op) {
    struct gri_store_heal *request = gri_container_of(op, struct gri_store_heal, op);
    gri_flight_answered(&gri_container_of(request, struct heal_flight, request)->flight, op);
}

static void submit(struct gri_flight *flight) {
    struct heal_flight *heal = gri_container_of(flight, struct heal_flight, flight);
    struct gri_store *store = flight->lane->worker->o.store;
    heal->images = gri_calloc(flight->count, sizeof *heal->images);
    for (size_t i = 0; i < flight->count; i++)
        heal->images[i] = &flight->slots[i]->image;
    heal->request = (struct gri_store_heal){.op.done = answered, .images = heal->images, .count = flight->count};
    store->ops->heal(store, &heal->request);
}

static void settle(struct gri_flight *flight) {
    for (size_t i = 0; i < flight->count; i++) {
        struct gri_slot *slot = flight->slots[i];
        gri_worker_metrics_healed(&slot->worker->metrics);
        gri_log(slot->worker->o.log, GRI_WARN, "image_healed", GRI_TEXT("image", slot->image.id),
                GRI_TEXT("job", slot->entry.job.key));
        gri_finish_link(slot, slot->image.id, slot->own, false);
        gri_pipeline_advance(slot, GRI_OUTCOME_LINK);
    }
}

static void clear(struct gri_flight *flight) {
    struct heal_flight *heal = gri_container_of(flight, struct heal_flight, flight);
    free(heal->images);
    heal->images = NULL;
}

const struct gri_flight_kind gri_heal_flight = {"heal", true, sizeof(struct heal_flight), submit, settle, clear};

void gri_heal_begin(struct gri_slot *slot, const struct gri_image_lookup *found) {
    slot->heal = true;
    slot->own = found->own;
    gri_copy(slot->image.job, sizeof slot->image.job, found->heal_job);
    slot->image.inserted_at_ms = found->heal_inserted_at_ms;
    gri_pipeline_advance(slot, GRI_OUTCOME_NEXT);
}

void gri_heal_enter(struct gri_slot *slot) {
    struct gri_worker *worker = slot->worker;
    gri_copy(slot->image.made_by, sizeof slot->image.made_by, worker->made_by);
    gri_image_seal(worker->o.crypto, &slot->image);
    gri_lane_add(&worker->heal, slot);
}
