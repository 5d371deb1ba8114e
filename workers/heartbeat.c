/* SPDX-License-Identifier: Apache-2.0 */
/* Heartbeats, fences and deadlines. */
#include "heartbeat.h"
#include "pipeline.h"
#include "worker_state.h"
#include <stdlib.h>

void gri_heartbeat_init(struct gri_worker *worker) {
    struct gri_heartbeat *beat = &worker->heartbeat;
    beat->ids = gri_calloc(worker->o.slots, sizeof *beat->ids);
    beat->fences = gri_calloc(worker->o.slots, sizeof *beat->fences);
    beat->indexes = gri_calloc(worker->o.slots, sizeof *beat->indexes);
    beat->generations = gri_calloc(worker->o.slots, sizeof *beat->generations);
}

void gri_heartbeat_clear(struct gri_worker *worker) {
    struct gri_heartbeat *beat = &worker->heartbeat;
    if (beat->timer != NULL) gri_timer_stop(worker->o.loop, beat->timer);
    free(beat->ids);
    free(beat->fences);
    free(beat->indexes);
    free(beat->generations);
}

static void fenced(struct gri_worker *worker, size_t index, uint64_t generation) {
    struct gri_slot *slot = &worker->slots[index];
    if (slot->generation != generation || slot->stage == GRI_STAGE_FREE || slot->lost) return;
    if (slot->stage == GRI_STAGE_ACK) return; /* our own ack may have come first; its answer tells */
    /* Its image may be stored by now, and nobody else links it: whoever has the entry may have looked before it was there, and
     * have given the URL up. The ledger write behind it does no harm (it is matched), and the ack is fenced. */
    if (slot->stage == GRI_STAGE_INSERT || slot->stage == GRI_STAGE_FINISH) return;
    gri_counter_add(worker->metrics.fenced, 1);
    gri_pipeline_lose(slot, "fenced");
}

static void beaten(struct gri_op *op) {
    struct gri_stream_heartbeat *request = gri_container_of(op, struct gri_stream_heartbeat, op);
    struct gri_heartbeat *beat = gri_container_of(request, struct gri_heartbeat, request);
    struct gri_worker *worker = gri_container_of(beat, struct gri_worker, heartbeat);
    beat->out = false;
    for (size_t i = 0; op->status == GRI_OK && i < request->count; i++)
        if (beat->fences[i] == GRI_FENCED) fenced(worker, beat->indexes[i], beat->generations[i]);
    if (beat->again) gri_heartbeat_beat(worker);
    gri_worker_kick(worker);
}

void gri_heartbeat_beat(struct gri_worker *worker) {
    struct gri_heartbeat *beat = &worker->heartbeat;
    size_t count = 0;
    beat->again = beat->out;
    if (beat->out || !worker->up) return;
    for (size_t i = 0; i < worker->o.slots; i++) {
        const struct gri_slot *slot = &worker->slots[i];
        if (slot->stage == GRI_STAGE_FREE || slot->lost) continue;
        gri_copy(beat->ids[count], sizeof beat->ids[count], slot->entry.id);
        beat->indexes[count] = i;
        beat->generations[count] = slot->generation;
        count++;
    }
    if (count == 0) return;
    beat->request = (struct gri_stream_heartbeat){.op.done = beaten,
                                                  .stream = GRI_STREAM_JOBS,
                                                  .ids = (const char(*)[GRI_ENTRY_ID_MAX])beat->ids,
                                                  .count = count,
                                                  .fences = beat->fences};
    beat->out = true;
    worker->o.stream->ops->heartbeat(worker->o.stream, &beat->request);
}

static void rhythm(void *arg) {
    struct gri_worker *worker = arg;
    worker->heartbeat.timer = gri_timer_start(worker->o.loop, worker->o.heartbeat_ms, rhythm, worker);
    if (!worker->heartbeat.out) gri_heartbeat_beat(worker);
}

void gri_heartbeat_start(struct gri_worker *worker) {
    worker->heartbeat.timer = gri_timer_start(worker->o.loop, worker->o.heartbeat_ms, rhythm, worker);
}

/* The grace of one more heartbeat: by then a thread that is only late has come back. */
static void check_hung(struct gri_worker *worker, const struct gri_slot *slot) {
    if (worker->hung || !atomic_load(&slot->running)) return;
    if (gri_pipeline_worked_ms(slot) < worker->o.job_timeout_ms + worker->o.heartbeat_ms) return;
    worker->hung = true;
    gri_log(worker->o.log, GRI_ERROR, "thread_hung", GRI_TEXT("job", slot->entry.job.key), GRI_TEXT("url", slot->entry.job.url),
            GRI_NUM("ms", gri_pipeline_worked_ms(slot)));
    if (worker->o.hung != NULL) worker->o.hung(worker->o.hooks, slot->entry.job.key);
}

void gri_heartbeat_check_deadlines(struct gri_worker *worker) {
    for (size_t i = 0; i < worker->o.slots; i++) {
        struct gri_slot *slot = &worker->slots[i];
        if (!gri_pipeline_stage(slot->stage)->timed || gri_pipeline_worked_ms(slot) < worker->o.job_timeout_ms) continue;
        if (slot->lost) {
            check_hung(worker, slot);
        } else {
            gri_pipeline_lose(slot, "past its deadline");
        }
    }
}
