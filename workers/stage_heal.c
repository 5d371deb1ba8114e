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
    const struct gri_image **images; /* of all slots, those that are damaged */
};

static void answered(struct gri_op *op) {
    struct gri_store_heal *request = gri_container_of(op, struct gri_store_heal, op);
    gri_flight_answered(&gri_container_of(request, struct heal_flight, request)->flight, op);
}

static void submit(struct gri_flight *flight) {
    struct heal_flight *heal = gri_container_of(flight, struct heal_flight, flight);
    struct gri_store *store = flight->lane->worker->o.store;
    size_t count = 0;
    heal->images = gri_calloc(flight->count * GRI_OUTPUTS_MAX, sizeof *heal->images);
    for (size_t i = 0; i < flight->count; i++) {
        for (size_t k = 0; k < flight->slots[i]->outputs; k++)
            if (flight->slots[i]->heal >> k & 1) heal->images[count++] = gri_slot_image(flight->slots[i], k);
    }
    heal->request = (struct gri_store_heal){.op.done = answered, .images = heal->images, .count = count};
    store->ops->heal(store, &heal->request);
}

static void settle(struct gri_flight *flight) {
    for (size_t i = 0; i < flight->count; i++) {
        struct gri_slot *slot = flight->slots[i];
        for (size_t k = 0; k < slot->outputs; k++) {
            if (!(slot->heal >> k & 1)) continue;
            gri_worker_metrics_healed(&slot->worker->metrics);
            gri_log(slot->worker->o.log, GRI_WARN, "image_healed", GRI_TEXT("image", gri_slot_image(slot, k)->id),
                    GRI_TEXT("job", slot->entry.job.key));
        }
        /* Of several outputs others may be missing: INSERT tells. */
        if (slot->outputs == 1) gri_finish_link(slot, slot->image.id, slot->own, false);
        gri_pipeline_advance(slot, slot->outputs == 1 ? GRI_OUTCOME_LINK : GRI_OUTCOME_NEXT);
    }
}

static void clear(struct gri_flight *flight) {
    struct heal_flight *heal = gri_container_of(flight, struct heal_flight, flight);
    free(heal->images);
    heal->images = NULL;
}

const struct gri_flight_kind gri_heal_flight = {"heal", true, sizeof(struct heal_flight), submit, settle, clear};

void gri_heal_note(struct gri_slot *slot, size_t output, const struct gri_image_lookup *found) {
    struct gri_image *image = gri_slot_image(slot, output);
    slot->heal |= 1u << output;
    if (found->own) slot->own |= 1u << output;
    gri_copy(image->job, sizeof image->job, found->heal_job);
    image->inserted_at_ms = found->heal_inserted_at_ms;
}

void gri_heal_enter(struct gri_slot *slot) {
    struct gri_worker *worker = slot->worker;
    for (size_t i = 0; i < slot->outputs; i++) {
        struct gri_image *image = gri_slot_image(slot, i);
        if (!(slot->heal >> i & 1)) continue;
        gri_copy(image->made_by, sizeof image->made_by, worker->made_by);
        gri_image_seal(worker->o.crypto, image);
    }
    gri_lane_add(&worker->heal, slot);
}
