/* SPDX-License-Identifier: Apache-2.0 */
/* GATE: the job waits for its turn at its host (hosts.c). */
#include "hosts.h"
#include "pipeline.h"
#include "worker_state.h"

void gri_gate_enter(struct gri_slot *slot) {
    gri_hosts_enter(slot->worker->hosts, slot);
}

bool gri_gate_eject(struct gri_slot *slot) {
    gri_hosts_remove(slot);
    return true;
}

void gri_gate_go(struct gri_slot *slot) {
    gri_pipeline_advance(slot, GRI_OUTCOME_NEXT);
}

void gri_gate_defer(struct gri_slot *slot, int64_t defer_ms, bool throttled, const char *why) {
    gri_fail(&slot->error, GRI_R_rate_limited, "%s: %s", slot->host, why);
    slot->attempt = (struct gri_attempt){.retry_after_ms = -1, .deferred = true, .throttled = throttled, .defer_ms = defer_ms};
    gri_pipeline_advance(slot, GRI_OUTCOME_FAILED);
}
