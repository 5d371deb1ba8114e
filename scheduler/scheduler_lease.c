/* SPDX-License-Identifier: Apache-2.0 */
/* One lease in the ledger, asked for and renewed every few seconds. Held only as long as our own clock says it must be ours. */
#include "scheduler_core.h"

void gri_lease_init(struct gri_lease *lease, struct gri_scheduler *scheduler, const char *name) {
    *lease = (struct gri_lease){.scheduler = scheduler, .held_until_ms = -1};
    lease->request.name = name;
    lease->request.holder = scheduler->options.name;
    gri_pacer_init(&lease->timer, scheduler, lease);
}

bool gri_lease_is_held(const struct gri_lease *lease) {
    return !lease->given_back && gri_now_ms(lease->scheduler->loop) < lease->held_until_ms;
}

static void ask(void *arg);

/* Never longer than a process may be silent before its entries are taken over; renewed when a third of it has gone. */
static int64_t ttl_ms(const struct gri_scheduler *scheduler) {
    int64_t lease_ms = scheduler->options.lease_ms;
    return lease_ms < GRI_LEASE_TTL_MS ? lease_ms : GRI_LEASE_TTL_MS;
}

static void asked(struct gri_op *op) {
    struct gri_lease *lease = gri_container_of(op, struct gri_lease, request.op);
    struct gri_scheduler *s = lease->scheduler;
    bool ok = gri_scheduler_landed(s, op);
    lease->out = false;
    if (lease->request.ttl_ms == 0) return;
    bool was_held = gri_lease_is_held(lease);
    /* counted from the sending: the server's clock started later, so ours ends first */
    if (ok) lease->held_until_ms = lease->request.held ? lease->sent_ms + lease->request.ttl_ms : -1;
    if (lease->given_back) {
        if (!ok || lease->request.held) ask(lease);
        return;
    }
    if (gri_lease_is_held(lease) != was_held)
        gri_log(s->log, GRI_INFO, was_held ? "lease_lost" : "lease_taken", GRI_TEXT("lease", lease->request.name));
    if (ok) {
        gri_pacer_reset(&lease->timer);
        gri_pacer_after(&lease->timer, ask, ttl_ms(s) / 3);
    } else {
        gri_pacer_retry(&lease->timer, ask, "lease_failed", &op->error);
    }
}

static void ask(void *arg) {
    struct gri_lease *lease = arg;
    lease->out = true;
    lease->sent_ms = gri_now_ms(lease->scheduler->loop);
    lease->request.ttl_ms = lease->given_back ? 0 : ttl_ms(lease->scheduler);
    lease->request.held = false;
    gri_scheduler_submit(lease->scheduler, &lease->request.op, asked);
    lease->scheduler->options.ledger->ops->lease(lease->scheduler->options.ledger, &lease->request);
}

void gri_lease_start(struct gri_lease *lease) {
    ask(lease);
}

void gri_lease_release(struct gri_lease *lease) {
    if (lease->given_back) return;
    bool held = gri_lease_is_held(lease);
    gri_pacer_stop(&lease->timer);
    lease->given_back = true;
    if (held && !lease->out) ask(lease); /* one that is out is given back when it lands */
}

void gri_lease_stop(struct gri_lease *lease) {
    gri_pacer_stop(&lease->timer);
}
