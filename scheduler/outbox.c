/* SPDX-License-Identifier: Apache-2.0 */
/* Hands jobs to the dispatch script, waits for room where the window is full, and tells what did not fit. */
#include "scheduler_core.h"

#include <grisaille/crash_point.h>
#include <stdlib.h>

void gri_outbox_init(struct gri_outbox *outbox, struct gri_scheduler *scheduler, size_t cap, bool repair) {
    *outbox = (struct gri_outbox){.scheduler = scheduler, .cap = cap, .repair = repair};
    outbox->jobs = gri_calloc(cap, sizeof *outbox->jobs);
    outbox->results = gri_calloc(cap, sizeof *outbox->results);
    gri_pacer_init(&outbox->retry, scheduler, outbox);
}

void gri_outbox_clear(struct gri_outbox *outbox) {
    gri_pacer_stop(&outbox->retry);
    free(outbox->jobs);
    free(outbox->results);
    outbox->jobs = NULL;
    outbox->results = NULL;
}

void gri_outbox_add(struct gri_outbox *outbox, const struct gri_job *job, int64_t run) {
    GRI_ASSERT(outbox->count < outbox->cap);
    outbox->jobs[outbox->count] = *job;
    outbox->jobs[outbox->count].run = run;
    outbox->count++;
}

void gri_outbox_reset(struct gri_outbox *outbox) {
    outbox->count = 0;
}

static void finish(struct gri_outbox *outbox) {
    gri_pacer_reset(&outbox->retry);
    if (outbox->count > 0 && outbox->sweep_rest) gri_sweeper_want(&outbox->scheduler->sweeper, GRI_OVERFLOW_AGE_MS);
    outbox->done(outbox->arg);
}

static bool may_wait(const struct gri_outbox *outbox) {
    return !outbox->scheduler->draining && gri_now_ms(outbox->scheduler->loop) < outbox->hold_until_ms;
}

/* Keeps what the window had no room for. */
static void keep_rest(struct gri_outbox *outbox) {
    size_t kept = 0;
    for (size_t i = 0; i < outbox->count; i++) {
        if (outbox->results[i] == GRI_WINDOW_FULL)
            outbox->jobs[kept++] = outbox->jobs[i];
        else if (outbox->results[i] == GRI_DISPATCHED)
            outbox->dispatched++;
    }
    outbox->count = kept;
}

static void send(void *arg);

static void sent(struct gri_op *op) {
    struct gri_outbox *outbox = gri_container_of(op, struct gri_outbox, request.op);
    struct gri_scheduler *s = outbox->scheduler;
    if (!gri_scheduler_landed(s, op)) {
        /* repairs are found again by the next sweep or poll; what an entry waits for is tried until the stream is back */
        if (outbox->repair && s->draining)
            finish(outbox);
        else
            gri_pacer_retry(&outbox->retry, send, "dispatch_failed", &op->error);
        return;
    }
    GRI_CRASH_POINT_IF(!outbox->repair, dispatch_after);
    GRI_CRASH_POINT_IF(outbox->repair && outbox->sweep_rest, redispatch_after);
    GRI_CRASH_POINT_IF(outbox->repair && !outbox->sweep_rest, sweep_after);
    gri_pacer_reset(&outbox->retry);
    s->window.inflight = outbox->request.inflight;
    size_t before = outbox->dispatched;
    keep_rest(outbox);
    gri_window_count(&s->window, outbox->repair, outbox->dispatched - before);
    if (outbox->count > 0 && may_wait(outbox))
        gri_pacer_after(&outbox->retry, send, GRI_ROOM_POLL_MS);
    else
        finish(outbox);
}

static void send(void *arg) {
    struct gri_outbox *outbox = arg;
    struct gri_scheduler *s = outbox->scheduler;
    GRI_CRASH_POINT_IF(!outbox->repair, dispatch_before);
    GRI_CRASH_POINT_IF(outbox->repair && outbox->sweep_rest, redispatch_before);
    GRI_CRASH_POINT_IF(outbox->repair && !outbox->sweep_rest, sweep_before);
    outbox->request = (struct gri_stream_dispatch){
        .jobs = outbox->jobs,
        .count = outbox->count,
        .results = outbox->results,
        .limit = outbox->repair ? gri_window_repair_limit(&s->window) : gri_window_fresh_limit(&s->window),
    };
    gri_scheduler_submit(s, &outbox->request.op, sent);
    s->options.stream->ops->dispatch(s->options.stream, &outbox->request);
}

void gri_outbox_send(struct gri_outbox *outbox, int64_t hold_ms, void (*done)(void *arg), void *arg) {
    outbox->done = done;
    outbox->arg = arg;
    outbox->dispatched = 0;
    outbox->sweep_rest = hold_ms > 0;
    outbox->hold_until_ms = gri_now_ms(outbox->scheduler->loop) + hold_ms;
    if (outbox->count == 0)
        done(arg);
    else
        send(outbox);
}
