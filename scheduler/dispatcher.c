/* SPDX-License-Identifier: Apache-2.0 */
/* The dispatcher: hands out again what waits and is due, as much as there is room for. Every scheduler runs one. */
#include "scheduler_core.h"

enum { PAUSE_LEAST_MS = 200, PAUSE_MOST_MS = 2000 };

static void poll_due(void *dispatcher);

void gri_dispatcher_init(struct gri_dispatcher *dispatcher, struct gri_scheduler *scheduler) {
    *dispatcher = (struct gri_dispatcher){.scheduler = scheduler};
    gri_outbox_init(&dispatcher->outbox, scheduler, scheduler->options.batch, true);
    gri_pacer_init(&dispatcher->timer, scheduler, dispatcher);
}

void gri_dispatcher_clear(struct gri_dispatcher *dispatcher) {
    gri_pacer_stop(&dispatcher->timer);
    gri_outbox_clear(&dispatcher->outbox);
    gri_due_free(dispatcher->request.due, dispatcher->request.count);
}

static void pause_for(struct gri_dispatcher *dispatcher, int64_t ms) {
    dispatcher->busy = false;
    if (!dispatcher->scheduler->draining) gri_pacer_after(&dispatcher->timer, poll_due, ms);
}

/* At once when there may be more, else when the next is due, within bounds: others may add earlier ones. */
static void dispatched(void *arg) {
    struct gri_dispatcher *dispatcher = arg;
    struct gri_ledger_due *request = &dispatcher->request;
    int64_t pause = request->next_ms < 0 || request->next_ms > PAUSE_MOST_MS ? PAUSE_MOST_MS : request->next_ms;
    if (pause < PAUSE_LEAST_MS) pause = PAUSE_LEAST_MS;
    bool full = dispatcher->outbox.count > 0;
    if (request->count == request->limit && !full) pause = 0;
    gri_outbox_reset(&dispatcher->outbox);
    gri_due_free(request->due, request->count);
    request->due = NULL;
    request->count = 0;
    pause_for(dispatcher, pause);
}

static void due_landed(struct gri_op *op) {
    struct gri_dispatcher *dispatcher = gri_container_of(op, struct gri_dispatcher, request.op);
    struct gri_scheduler *s = dispatcher->scheduler;
    if (!gri_scheduler_landed(s, op)) {
        dispatcher->request.due = NULL;
        dispatcher->request.count = 0;
        dispatcher->busy = false;
        /* the outcome is unknown: some may be queued now and nobody dispatches them */
        gri_sweeper_want(&s->sweeper, GRI_OVERFLOW_AGE_MS);
        if (!s->draining) gri_pacer_retry(&dispatcher->timer, poll_due, "due_failed", &op->error);
        return;
    }
    gri_pacer_reset(&dispatcher->timer);
    GRI_ASSERT(dispatcher->request.count <= dispatcher->outbox.cap);
    for (size_t i = 0; i < dispatcher->request.count; i++)
        gri_outbox_add(&dispatcher->outbox, &dispatcher->request.due[i].job, dispatcher->request.due[i].job.run);
    gri_outbox_send(&dispatcher->outbox, s->options.lease_ms, dispatched, dispatcher);
}

static void poll_due(void *arg) {
    struct gri_dispatcher *dispatcher = arg;
    struct gri_scheduler *s = dispatcher->scheduler;
    int64_t room = gri_window_repair_room(&s->window);
    if (s->draining) return;
    if (room == 0) s->window.wanted = true;
    if (!s->up || room == 0) {
        pause_for(dispatcher, PAUSE_LEAST_MS);
        return;
    }
    size_t limit = (size_t)room < s->options.batch ? (size_t)room : s->options.batch;
    dispatcher->busy = true;
    dispatcher->request = (struct gri_ledger_due){.limit = limit};
    gri_scheduler_submit(s, &dispatcher->request.op, due_landed);
    s->options.ledger->ops->due(s->options.ledger, &dispatcher->request);
}

void gri_dispatcher_start(struct gri_dispatcher *dispatcher) {
    pause_for(dispatcher, PAUSE_LEAST_MS);
}

void gri_dispatcher_drain(struct gri_dispatcher *dispatcher) {
    gri_pacer_stop(&dispatcher->timer);
}
