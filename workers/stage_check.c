/* SPDX-License-Identifier: Apache-2.0 */
/* CHECK: does the ledger still want this run of this job? Only `queued` with this very run goes on. */
#include "hosts.h"
#include "pipeline.h"
#include "worker_state.h"
#include <stdlib.h>
#include <string.h>

enum { HOST_PAUSED_MS = 1000 }; /* it waits in the ledger, where paused hosts are passed over */

struct check_flight {
    struct gri_flight flight;
    struct gri_ledger_check request;
    char (*keys)[GRI_KEY_MAX];
};

static void answered(struct gri_op *op) {
    struct gri_ledger_check *request = gri_container_of(op, struct gri_ledger_check, op);
    gri_flight_answered(&gri_container_of(request, struct check_flight, request)->flight, op);
}

static void submit(struct gri_flight *flight) {
    struct check_flight *check = gri_container_of(flight, struct check_flight, flight);
    struct gri_ledger *ledger = flight->lane->worker->o.ledger;
    check->keys = gri_calloc(flight->count, sizeof *check->keys);
    for (size_t i = 0; i < flight->count; i++)
        gri_copy(check->keys[i], sizeof check->keys[i], flight->slots[i]->entry.job.key);
    check->request = (struct gri_ledger_check){.op.done = answered,
                                               .keys = (const char(*)[GRI_KEY_MAX])check->keys,
                                               .count = flight->count,
                                               .records = gri_calloc(flight->count, sizeof(struct gri_url_record))};
    ledger->ops->check(ledger, &check->request);
}

static bool is_pinned(const struct gri_slot *slot) {
    return strcmp(slot->record.pipeline, slot->entry.job.pipeline) == 0;
}

static bool is_wanted(const struct gri_slot *slot) {
    return slot->record.state == GRI_URL_QUEUED && slot->record.run == slot->entry.job.run && is_pinned(slot);
}

/* Done by another, cancelled, or its record deleted, while an earlier delivery of this entry had its image stored and died before
 * it was linked: OWN looks, and goes no further where there is none. Of a deleted record the ledger has the image removed. */
static bool may_have_an_orphan(const struct gri_slot *slot) {
    enum gri_url_state state = slot->record.state;
    bool ended = (state == GRI_URL_DONE || state == GRI_URL_DEAD) && is_pinned(slot);
    return (ended || state == GRI_URL_ABSENT) && slot->entry.deliveries > 1;
}

static void settle(struct gri_flight *flight) {
    struct check_flight *check = gri_container_of(flight, struct check_flight, flight);
    for (size_t i = 0; i < flight->count; i++) {
        struct gri_slot *slot = flight->slots[i];
        slot->record = check->request.records[i];
        slot->checked_ms = gri_now_ms(slot->worker->o.loop);
        if (is_wanted(slot) && slot->record.host_paused) {
            gri_gate_defer(slot, HOST_PAUSED_MS, false, "an operator has paused this host");
            continue;
        }
        gri_pipeline_advance(slot, is_wanted(slot) || may_have_an_orphan(slot) ? GRI_OUTCOME_NEXT : GRI_OUTCOME_STALE);
    }
}

static void clear(struct gri_flight *flight) {
    struct check_flight *check = gri_container_of(flight, struct check_flight, flight);
    free(check->keys);
    free(check->request.records);
    check->keys = NULL;
    check->request.records = NULL;
}

const struct gri_flight_kind gri_check_flight = {"check", true, sizeof(struct check_flight), submit, settle, clear};

void gri_check_enter(struct gri_slot *slot) {
    gri_lane_add(&slot->worker->check, slot);
}
