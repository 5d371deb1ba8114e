/* SPDX-License-Identifier: Apache-2.0 */
/* Draining: zero redeliveries. */
#include "drain.h"
#include "hosts.h"
#include "plans.h"
#include "robots.h"
#include "worker_state.h"

/* A failure to leave is no harm: a consumer without pending entries is swept away later. */
static void left(struct gri_op *op) {
    struct gri_stream_leave *request = gri_container_of(op, struct gri_stream_leave, op);
    struct gri_drain *drain = gri_container_of(request, struct gri_drain, leave);
    struct gri_worker *worker = gri_container_of(drain, struct gri_worker, drain);
    drain->finished = true;
    gri_log(worker->o.log, GRI_INFO, "drained", GRI_NUM("left_group", op->status == GRI_OK && request->removed));
    drain->done(drain->arg);
}

static bool all_quiet(const struct gri_worker *worker) {
    return gri_worker_busy(worker) == 0 && gri_reader_idle(worker) && !worker->heartbeat.out && gri_hosts_idle(worker->hosts) &&
           gri_plans_idle(worker->plans) && gri_robots_idle(worker->robots) && gri_lane_idle(&worker->check) &&
           gri_lane_idle(&worker->lookup) && gri_lane_idle(&worker->heal) && gri_lane_idle(&worker->insert) &&
           gri_lane_idle(&worker->finish) && gri_lane_idle(&worker->ack);
}

void gri_drain_turn(struct gri_worker *worker) {
    struct gri_drain *drain = &worker->drain;
    if (!drain->draining || drain->leaving || !all_quiet(worker)) return;
    drain->leaving = true;
    drain->leave = (struct gri_stream_leave){.op.done = left, .stream = GRI_STREAM_JOBS};
    worker->o.stream->ops->leave(worker->o.stream, &drain->leave);
}

void gri_drain_start(struct gri_worker *worker, void (*done)(void *arg), void *arg) {
    GRI_ASSERT(!worker->drain.draining && done != NULL);
    worker->drain = (struct gri_drain){.draining = true, .done = done, .arg = arg};
    gri_log(worker->o.log, GRI_INFO, "drain_started", GRI_NUM("in_hand", gri_worker_busy(worker)));
    gri_reader_cancel(worker);
    gri_worker_kick(worker);
}
