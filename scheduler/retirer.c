/* SPDX-License-Identifier: Apache-2.0 */
/* The retirer: where the sweeper's lease is held, consumers of processes that died are taken out of both groups, now and then.
 *
 * A process that dies leaves its consumer behind, and every start makes another one. One that lives and is taken out all the
 * same (it had nothing in hand and read nothing) loses nothing: its next read makes it anew. */
#include "scheduler_core.h"

static void retire(void *retirer);

void gri_retirer_init(struct gri_retirer *retirer, struct gri_scheduler *scheduler) {
    *retirer = (struct gri_retirer){.scheduler = scheduler};
    gri_pacer_init(&retirer->timer, scheduler, retirer);
}

static int64_t pause(const struct gri_retirer *retirer) {
    return GRI_RETIRE_LEASES * retirer->scheduler->options.lease_ms;
}

static void retired(struct gri_op *op) {
    struct gri_retirer *retirer = gri_container_of(op, struct gri_retirer, request.op);
    struct gri_scheduler *s = retirer->scheduler;
    bool ok = gri_scheduler_landed(s, op);
    if (ok && retirer->request.removed > 0) {
        gri_counter_add(s->gauges.retired, (int64_t)retirer->request.removed);
        gri_log(s->log, GRI_INFO, "consumers_retired", GRI_NUM("count", retirer->request.removed),
                GRI_TEXT("stream", retirer->stream == GRI_STREAM_URLS ? "urls" : "jobs"));
    }
    if (s->draining) return;
    if (!ok) {
        gri_pacer_retry(&retirer->timer, retire, "retire_failed", &op->error);
        return;
    }
    gri_pacer_reset(&retirer->timer);
    bool first = retirer->stream == GRI_STREAM_URLS;
    retirer->stream = first ? GRI_STREAM_JOBS : GRI_STREAM_URLS;
    gri_pacer_after(&retirer->timer, retire, first ? 0 : pause(retirer));
}

static void retire(void *arg) {
    struct gri_retirer *retirer = arg;
    struct gri_scheduler *s = retirer->scheduler;
    if (!s->up || !gri_lease_is_held(&s->sweeper.lease)) {
        gri_pacer_after(&retirer->timer, retire, pause(retirer));
        return;
    }
    retirer->request = (struct gri_stream_retire){.stream = retirer->stream, .min_idle_ms = pause(retirer)};
    gri_scheduler_submit(s, &retirer->request.op, retired);
    s->options.stream->ops->retire(s->options.stream, &retirer->request);
}

void gri_retirer_start(struct gri_retirer *retirer) {
    gri_pacer_after(&retirer->timer, retire, pause(retirer));
}

void gri_retirer_stop(struct gri_retirer *retirer) {
    gri_pacer_stop(&retirer->timer);
}
