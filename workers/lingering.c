/* SPDX-License-Identifier: Apache-2.0 */
/* Lingering jobs: which they are, and how many. */
#include "lingering.h"
#include "pipeline.h"
#include "worker_state.h"

enum {
    LINGERS_MS = 500,
    BODY_MAX = 64 * 1024 /* of a job that lingers */
};

bool gri_lingering_begin(struct gri_slot *slot, enum gri_lingering_share share) {
    struct gri_worker *worker = slot->worker;
    if (slot->lingers) return true;
    if (worker->lingering.count >= worker->o.lingering * (size_t)share / GRI_LINGERING_UNKNOWN) return false;
    slot->lingers = true;
    slot->lingers_since_ms = gri_now_ms(worker->o.loop);
    worker->lingering.count++;
    return true;
}

void gri_lingering_end(struct gri_slot *slot) {
    struct gri_lingering *lingering = &slot->worker->lingering;
    if (!slot->lingers) return;
    double took = (double)(gri_now_ms(slot->worker->o.loop) - slot->lingers_since_ms);
    lingering->average_ms = lingering->average_ms <= 0 ? took : 0.9 * lingering->average_ms + 0.1 * took;
    slot->lingers = false;
    lingering->count--;
}

bool gri_lingering_is_crowded(const struct gri_worker *worker) {
    return worker->lingering.count > worker->o.lingering / 4;
}

int64_t gri_lingering_turn(struct gri_worker *worker, int64_t min_ms) {
    struct gri_lingering *lingering = &worker->lingering;
    int64_t now = gri_now_ms(worker->o.loop), soonest = now + min_ms;
    double places = (double)(worker->o.lingering * GRI_LINGERING_SLOW / GRI_LINGERING_UNKNOWN) + 1;
    if (lingering->next_turn_ms < soonest) lingering->next_turn_ms = soonest;
    lingering->next_turn_ms += (int64_t)(lingering->average_ms / places) + 1;
    return lingering->next_turn_ms - now;
}

bool gri_lingering_is_wait(enum gri_stage stage) {
    return stage == GRI_STAGE_ROBOTS || stage == GRI_STAGE_TURN || stage == GRI_STAGE_GATE || stage == GRI_STAGE_FETCH;
}

void gri_lingering_tick(struct gri_worker *worker) {
    int64_t now = gri_now_ms(worker->o.loop);
    for (size_t i = 0; i < worker->o.slots; i++) {
        struct gri_slot *slot = &worker->slots[i];
        bool fetching = slot->stage == GRI_STAGE_FETCH;
        if (!gri_lingering_is_wait(slot->stage)) continue;
        if (fetching && slot->fetch.body.len > BODY_MAX)
            gri_lingering_end(slot);
        else if (now - slot->stage_since_ms >= LINGERS_MS)
            (void)gri_lingering_begin(slot, fetching ? GRI_LINGERING_SLOW : GRI_LINGERING_DEMAND);
    }
}
