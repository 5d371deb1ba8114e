/* SPDX-License-Identifier: Apache-2.0 */
/* FETCH: the source's bytes. */
#include "hosts.h"
#include "pipeline.h"
#include "robots.h"
#include "worker_state.h"
#include <grisaille/crash_point.h>
#include <stdlib.h>
#include <string.h>

enum { LEADS_MAX = 8 };

bool gri_fetch_settle(struct gri_slot *slot) {
    struct gri_worker *worker = slot->worker;
    struct gri_fetch *fetch = &slot->fetch;
    bool ok = fetch->op.status == GRI_OK;
    GRI_CRASH_POINT_IF(ok, fetched);
    gri_worker_metrics_fetched(&worker->metrics, fetch, gri_hosts_label(slot));
    slot->attempt = (struct gri_attempt){.retry_after_ms = ok ? -1 : fetch->retry_after_ms};
    if (!ok && fetch->op.status == GRI_RETRY && fetch->throttled) {
        slot->attempt.throttled = true;
        slot->attempt.defer_ms = gri_hosts_throttled(slot, fetch->retry_after_ms);
    }
    gri_hosts_leave(slot, ok);
    if (ok) {
        slot->image.fetched_at_ms = gri_wall_ms(worker->o.loop);
        return true;
    }
    slot->error = fetch->op.error;
    slot->error.status = fetch->op.status;
    gri_slot_keep_rejected(slot);
    gri_slot_fetch_clear(slot);
    return false;
}

static bool may_follow(struct gri_fetch *fetch, const char *url) {
    return gri_robots_may_follow(gri_container_of(fetch, struct gri_slot, fetch), url);
}

/* The transfer ended where the host leads to a place that has to be asked first. */
static void led(struct gri_slot *slot) {
    gri_hosts_leave(slot, true);
    if (slot->leads++ < LEADS_MAX) {
        gri_pipeline_advance(slot, GRI_OUTCOME_LED);
        return;
    }
    slot->attempt = (struct gri_attempt){.retry_after_ms = -1};
    (void)gri_fail(&slot->error, GRI_R_redirect_limit, "its host leads to another place at each of %d tries, now to %s",
                   slot->leads, slot->lead);
    gri_slot_fetch_clear(slot);
    gri_pipeline_advance(slot, GRI_OUTCOME_FAILED);
}

static void fetched(struct gri_op *op) {
    struct gri_fetch *fetch = gri_container_of(op, struct gri_fetch, op);
    struct gri_slot *slot = gri_container_of(fetch, struct gri_slot, fetch);
    if (slot->lead != NULL && fetch->op.error.reason == GRI_R_redirect_refused) {
        led(slot);
        return;
    }
    if (!gri_fetch_settle(slot)) {
        gri_pipeline_advance(slot, GRI_OUTCOME_FAILED);
        return;
    }
    /* A tag or a date means something at its own address alone. */
    bool elsewhere =
        fetch->not_modified && (fetch->final_url == NULL || strcmp(fetch->final_url, slot->recalled->final_url) != 0);
    if (fetch->not_modified && !elsewhere) gri_recall_take(slot);
    gri_pipeline_advance(slot, elsewhere ? GRI_OUTCOME_AGAIN : GRI_OUTCOME_NEXT);
}

void gri_fetch_enter(struct gri_slot *slot) {
    struct gri_fetcher *fetcher = slot->worker->o.fetcher;
    gri_fetch_init(&slot->fetch, slot->entry.job.url);
    slot->fetch_open = true;
    slot->fetch.op.done = fetched;
    if (slot->recalled != NULL) {
        slot->fetch.known_etag = slot->recalled->etag;
        slot->fetch.known_modified = slot->recalled->last_modified;
    }
    free(slot->lead);
    slot->lead = NULL;
    if (slot->worker->o.robots.obey) slot->fetch.may_follow = may_follow;
    fetcher->ops->fetch(fetcher, &slot->fetch);
}

bool gri_fetch_eject(struct gri_slot *slot) {
    struct gri_fetcher *fetcher = slot->worker->o.fetcher;
    fetcher->ops->cancel(fetcher, &slot->fetch);
    return false;
}
