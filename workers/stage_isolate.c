/* SPDX-License-Identifier: Apache-2.0 */
/* TURN and ISOLATE: a job that may be what ended its workers runs in a process of its own, one such job at a time.
 *
 * The verdict `poison` needs two children, one after the other, that died by their own signal or limit. A child that was killed
 * from outside proves nothing: the job waits for another try and is isolated again then. */
#include "hosts.h"
#include "pipeline.h"
#include "plans.h"
#include "worker_state.h"
#include <grisaille/crash_point.h>
#include <stdlib.h>

enum { TRUSTED_DELIVERIES = 3, DEATHS_MAX = 2 };

struct gri_isolation {
    struct gri_isolated request;
    struct gri_slot *slot;
};

bool gri_is_isolated(const struct gri_slot *slot) {
    if (slot->worker->o.isolator == NULL) return false;
    /* Its last child was killed, perhaps for want of memory: it must not take a worker with it instead. */
    return slot->entry.deliveries > TRUSTED_DELIVERIES || slot->record.reason == GRI_R_no_memory;
}

/* --- TURN ------------------------------------------------------------------------------------------------------------- */

void gri_turn_enter(struct gri_slot *slot) {
    gri_slot_list_push(&slot->worker->turn_waiting, slot);
    gri_worker_kick(slot->worker);
}

bool gri_turn_eject(struct gri_slot *slot) {
    return gri_slot_list_remove(&slot->worker->turn_waiting, slot);
}

void gri_isolate_turn(struct gri_worker *worker) {
    /* A drain is short: who has not begun goes back to the stream, and another worker has it when its lease is over. */
    while (worker->drain.draining && worker->turn_waiting.head != NULL)
        gri_pipeline_lose(worker->turn_waiting.head, "draining");
    if (worker->turn != NULL) return;
    worker->turn = gri_slot_list_pop(&worker->turn_waiting);
    if (worker->turn != NULL) gri_pipeline_advance(worker->turn, GRI_OUTCOME_NEXT);
}

void gri_isolate_let_go(struct gri_slot *slot) {
    if (slot->worker->turn != slot) return;
    slot->worker->turn = NULL;
    gri_worker_kick(slot->worker);
}

/* --- ISOLATE ---------------------------------------------------------------------------------------------------------- */

void gri_isolation_clear(struct gri_slot *slot) {
    if (slot->isolation == NULL) return;
    gri_isolated_clear(&slot->isolation->request);
    free(slot->isolation);
    slot->isolation = NULL;
}

struct gri_picture *gri_isolated_picture(struct gri_slot *slot) {
    return slot->isolation != NULL ? &slot->isolation->request.picture : NULL;
}

static void start(struct gri_slot *slot);

/* The child reported: its fetch is the slot's, and where it made a picture, that stays for TRANSFORM. */
static bool settle_answer(struct gri_slot *slot) {
    struct gri_isolated *request = &slot->isolation->request;
    slot->fetch = request->fetch;
    slot->fetch_open = true;
    gri_fetch_init(&request->fetch, request->url); /* what it owned is the slot's now */
    if (!gri_fetch_settle(slot)) return false;
    if (request->op.status == GRI_OK) return true;
    slot->cpu_status = request->op.status;
    slot->error = request->op.error;
    slot->error.status = request->op.status;
    gri_slot_fetch_clear(slot);
    gri_worker_metrics_pictured(&slot->worker->metrics, slot);
    return false;
}

static void isolated(struct gri_op *op) {
    struct gri_isolated *request = gri_container_of(op, struct gri_isolated, op);
    struct gri_slot *slot = gri_container_of(request, struct gri_isolation, request)->slot;
    bool ok = false;
    GRI_CRASH_POINT(isolate_after);
    gri_worker_metrics_isolated(&slot->worker->metrics, request->end);
    if (request->end == GRI_ISOLATED_DIED && !slot->lost && ++slot->deaths < DEATHS_MAX) {
        gri_log(slot->worker->o.log, GRI_WARN, "isolated_died", GRI_TEXT("job", slot->entry.job.key),
                GRI_TEXT("url", slot->entry.job.url), GRI_TEXT("detail", op->error.detail));
        gri_isolation_clear(slot);
        start(slot);
        return;
    }
    if (request->end == GRI_ISOLATED_ANSWERED) {
        ok = settle_answer(slot);
    } else {
        slot->attempt = (struct gri_attempt){.retry_after_ms = -1};
        slot->error = op->error;
        slot->error.status = op->status;
        gri_hosts_leave(slot, false);
    }
    if (ok) {
        gri_isolate_let_go(slot);
    } else {
        gri_isolation_clear(slot); /* it may be held for its host, and keeps its turn then */
    }
    gri_pipeline_advance(slot, ok ? GRI_OUTCOME_NEXT : GRI_OUTCOME_FAILED);
}

static void start(struct gri_slot *slot) {
    struct gri_isolator *isolator = slot->worker->o.isolator;
    slot->isolation = gri_calloc(1, sizeof *slot->isolation);
    slot->isolation->slot = slot;
    gri_isolated_init(&slot->isolation->request, slot->entry.job.url, gri_plan_definition(slot));
    slot->isolation->request.op.done = isolated;
    GRI_CRASH_POINT(isolate_before);
    isolator->ops->run(isolator, &slot->isolation->request);
}

void gri_isolate_enter(struct gri_slot *slot) {
    start(slot);
}

bool gri_isolate_eject(struct gri_slot *slot) {
    struct gri_isolator *isolator = slot->worker->o.isolator;
    isolator->ops->cancel(isolator, &slot->isolation->request);
    return false;
}
