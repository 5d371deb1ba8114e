/* SPDX-License-Identifier: Apache-2.0 */
/* Upkeep: where the sweeper's lease is held, roll-ups, retention, deletions and takedowns go on, a bounded piece at a time.
 * Where nothing is left to do but to look, that takes no more than a fifth of the time: a busy MongoDB is left to those who work.
 */
#include "scheduler_core.h"

enum { UPKEEP_MORE_MS = 100, UPKEEP_REST = 4 /* times as long as it took */ };

static void keep_up(void *upkeep);

void gri_upkeep_init(struct gri_upkeep *upkeep, struct gri_scheduler *scheduler) {
    *upkeep = (struct gri_upkeep){.scheduler = scheduler};
    gri_pacer_init(&upkeep->timer, scheduler, upkeep);
}

static void kept_up(struct gri_op *op) {
    struct gri_upkeep *upkeep = gri_container_of(op, struct gri_upkeep, request.op);
    struct gri_scheduler *s = upkeep->scheduler;
    bool ok = gri_scheduler_landed(s, op);
    if (s->draining) return;
    if (!ok) {
        gri_pacer_retry(&upkeep->timer, keep_up, "upkeep_failed", &op->error);
        return;
    }
    gri_pacer_reset(&upkeep->timer);
    int64_t rest_ms = UPKEEP_REST * (gri_now_ms(s->loop) - upkeep->began_ms);
    if (rest_ms < s->options.upkeep_ms) rest_ms = s->options.upkeep_ms;
    gri_pacer_after(&upkeep->timer, keep_up, upkeep->request.more ? UPKEEP_MORE_MS : rest_ms);
}

static void keep_up(void *arg) {
    struct gri_upkeep *upkeep = arg;
    struct gri_scheduler *s = upkeep->scheduler;
    if (!gri_lease_is_held(&s->sweeper.lease)) {
        gri_pacer_after(&upkeep->timer, keep_up, s->options.upkeep_ms);
        return;
    }
    upkeep->request = (struct gri_ledger_upkeep){.images_keep_days = s->options.images_keep_days,
                                                 .rollups_keep_days = s->options.rollups_keep_days,
                                                 .catalogs_keep_days = s->options.catalogs_keep_days};
    upkeep->began_ms = gri_now_ms(s->loop);
    gri_scheduler_submit(s, &upkeep->request.op, kept_up);
    s->options.ledger->ops->upkeep(s->options.ledger, &upkeep->request);
}

void gri_upkeep_start(struct gri_upkeep *upkeep) {
    gri_pacer_after(&upkeep->timer, keep_up, upkeep->scheduler->options.upkeep_ms);
}

void gri_upkeep_stop(struct gri_upkeep *upkeep) {
    gri_pacer_stop(&upkeep->timer);
}
