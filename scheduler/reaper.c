/* SPDX-License-Identifier: Apache-2.0 */
/* The reaper: now and then, where the sweeper's lease is held, chunks without a catalog are looked for, a page at a time. */
#include "scheduler_core.h"

enum { REAP_LIMIT = 200, REAP_PAGE_PAUSE_MS = 1000 };

static void reap(void *reaper);

void gri_reaper_init(struct gri_reaper *reaper, struct gri_scheduler *scheduler) {
    *reaper = (struct gri_reaper){.scheduler = scheduler};
    gri_pacer_init(&reaper->timer, scheduler, reaper);
}

static void reaped(struct gri_op *op) {
    struct gri_reaper *reaper = gri_container_of(op, struct gri_reaper, request.op);
    struct gri_scheduler *s = reaper->scheduler;
    bool ok = gri_scheduler_landed(s, op);
    if (ok && reaper->request.reaped > 0)
        gri_log(s->log, GRI_WARN, "pushes_abandoned", GRI_NUM("catalogs", reaper->request.reaped),
                GRI_TEXT("detail", "their pushers never came to an end; the chunks were removed"));
    if (s->draining) return;
    if (!ok) {
        gri_pacer_retry(&reaper->timer, reap, "reap_failed", &op->error);
        return;
    }
    gri_pacer_reset(&reaper->timer);
    gri_pacer_after(&reaper->timer, reap, reaper->request.cursor[0] ? REAP_PAGE_PAUSE_MS : s->options.reap_ms);
}

static void reap(void *arg) {
    struct gri_reaper *reaper = arg;
    struct gri_scheduler *s = reaper->scheduler;
    if (!gri_lease_is_held(&s->sweeper.lease)) {
        gri_pacer_after(&reaper->timer, reap, s->options.reap_ms);
        return;
    }
    reaper->request.op = (struct gri_op){0};
    reaper->request.min_age_ms = s->options.abandon_ms;
    reaper->request.limit = REAP_LIMIT;
    gri_scheduler_submit(s, &reaper->request.op, reaped);
    s->options.ledger->ops->reap(s->options.ledger, &reaper->request);
}

void gri_reaper_start(struct gri_reaper *reaper) {
    gri_pacer_after(&reaper->timer, reap, reaper->scheduler->options.reap_ms);
}

void gri_reaper_stop(struct gri_reaper *reaper) {
    gri_pacer_stop(&reaper->timer);
}
