/* SPDX-License-Identifier: Apache-2.0 */
/* RECALL: a URL that is done is fetched anew; what is there of its picture tells what to ask its host for. Only what is whole is
 * worth such a question: where it is damaged or gone, the bytes are fetched whatever the host says. */
#include "pipeline.h"
#include "worker_state.h"
#include <stdlib.h>
#include <string.h>

struct recall_flight {
    struct gri_flight flight;
    struct gri_store_recall request;
};

static void answered(struct gri_op *op) {
    struct gri_store_recall *request = gri_container_of(op, struct gri_store_recall, op);
    gri_flight_answered(&gri_container_of(request, struct recall_flight, request)->flight, op);
}

static void submit(struct gri_flight *flight) {
    struct recall_flight *recall = gri_container_of(flight, struct recall_flight, flight);
    struct gri_store *store = flight->lane->worker->o.store;
    recall->request = (struct gri_store_recall){
        .op.done = answered, .items = gri_calloc(flight->count, sizeof(struct gri_image_recall)), .count = flight->count};
    for (size_t i = 0; i < flight->count; i++)
        recall->request.items[i].id = flight->slots[i]->record.renew_from;
    store->ops->recall(store, &recall->request);
}

static void settle(struct gri_flight *flight) {
    struct recall_flight *recall = gri_container_of(flight, struct recall_flight, flight);
    for (size_t i = 0; i < flight->count; i++) {
        struct gri_slot *slot = flight->slots[i];
        struct gri_image_recall *item = &recall->request.items[i];
        if (item->removed) { /* it is not fetched again */
            gri_finish_link(slot, slot->record.renew_from, false, true);
            gri_pipeline_advance(slot, GRI_OUTCOME_LINK);
            continue;
        }
        if (item->found) {
            slot->recalled = gri_alloc(sizeof *slot->recalled);
            *slot->recalled = *item;
            item->final_url = NULL; /* the slot's now */
        }
        gri_pipeline_advance(slot, GRI_OUTCOME_NEXT);
    }
}

static void clear(struct gri_flight *flight) {
    struct recall_flight *recall = gri_container_of(flight, struct recall_flight, flight);
    for (size_t i = 0; recall->request.items != NULL && i < recall->request.count; i++)
        free(recall->request.items[i].final_url);
    free(recall->request.items);
    recall->request.items = NULL;
}

const struct gri_flight_kind gri_recall_flight = {"recall", true, sizeof(struct recall_flight), submit, settle, clear};

/* Another version of the pipeline needs the bytes in any case. */
bool gri_recall_is_needed(const struct gri_slot *slot) {
    const char *from = slot->record.renew_from, *colon = strchr(from, ':');
    size_t len = strlen(slot->entry.job.pipeline);
    return slot->record.renewing && colon != NULL && strncmp(colon + 1, slot->entry.job.pipeline, len) == 0 &&
           (colon[1 + len] == '\0' || colon[1 + len] == '/');
}

void gri_recall_enter(struct gri_slot *slot) {
    gri_lane_add(&slot->worker->recall, slot);
}

void gri_recall_clear(struct gri_slot *slot) {
    if (slot->recalled == NULL) return;
    free(slot->recalled->final_url);
    free(slot->recalled);
    slot->recalled = NULL;
}

void gri_recall_take(struct gri_slot *slot) {
    char *sum = slot->image.sums.source;
    gri_copy(sum, sizeof slot->image.sums.source, "");
    memcpy(sum, slot->record.renew_from, GRI_SHA256_HEX - 1);
    sum[GRI_SHA256_HEX - 1] = '\0';
    gri_picture_identify(slot);
}
