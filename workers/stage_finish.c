/* SPDX-License-Identifier: Apache-2.0 */
/* FINISH and ACK: first the ledger's record, then, and only then, the entry. */
#include "pipeline.h"
#include "worker_state.h"
#include <stdlib.h>
#include <string.h>

static void finish_begin(struct gri_slot *slot, enum gri_finish_kind kind) {
    slot->finish = (struct gri_finish){.kind = kind, .run = slot->entry.job.run, .renewal = slot->record.renewal};
    gri_copy(slot->finish.key, sizeof slot->finish.key, slot->entry.job.key);
    gri_copy(slot->finish.pipeline, sizeof slot->finish.pipeline, slot->entry.job.pipeline);
    slot->finish.bytes = slot->image.source.bytes > 0 ? slot->image.source.bytes
                         : slot->fetch_open           ? (int64_t)slot->fetch.body.len
                                                      : 0;
    slot->finish.ms = gri_pipeline_worked_ms(slot);
}

/* What of the source became known: the _id of an image begins with its sum. */
static enum gri_renewed renewed_by(const struct gri_slot *slot, const char *image, bool removed) {
    if (!slot->record.renewing) return GRI_RENEWED_NONE;
    if (removed) return GRI_RENEWED_REMOVED;
    return strncmp(image, slot->record.renew_from, GRI_SHA256_HEX - 1) == 0 ? GRI_RENEWED_UNCHANGED : GRI_RENEWED_CHANGED;
}

void gri_finish_link(struct gri_slot *slot, const char *image, bool made, bool removed) {
    finish_begin(slot, GRI_FINISH_DONE);
    gri_copy(slot->finish.image, sizeof slot->finish.image, image);
    slot->finish.made = made;
    slot->finish.removed = removed;
    slot->finish.renewed = renewed_by(slot, image, removed);
    slot->failed = false;
}

void gri_finish_link_too(struct gri_slot *slot, const char *image) {
    struct gri_finish *finish = &slot->finish;
    GRI_ASSERT(finish->other_count < GRI_OUTPUTS_MAX - 1);
    if (strcmp(finish->image, image) == 0) return; /* a tombstone stands for all of them */
    gri_copy(finish->others[finish->other_count++], sizeof *finish->others, image);
}

void gri_finish_verdict(struct gri_slot *slot, const struct gri_verdict *verdict) {
    bool dead = verdict->kind == GRI_VERDICT_DEAD;
    finish_begin(slot, dead ? GRI_FINISH_DEAD : GRI_FINISH_WAIT);
    slot->finish.error = verdict->error;
    bool kept = dead && slot->record.renewing; /* the URL stays what it was: the picture that it has is still there */
    if (kept) slot->finish.renewed = GRI_RENEWED_FAILED;
    slot->finish.delay_ms = verdict->delay_ms;
    slot->finish.charge = verdict->charge;
    slot->finish.limited = verdict->limited;
    slot->failed = dead || !slot->attempt.deferred; /* what was not tried did not fail */
    gri_log(slot->worker->o.log,
            dead           ? GRI_WARN
            : slot->failed ? GRI_INFO
                           : GRI_DEBUG,
            kept              ? "refresh_failed"
            : dead            ? "dead_letter"
            : verdict->charge ? "attempt_failed"
                              : "job_deferred",
            GRI_TEXT("job", slot->entry.job.key), GRI_TEXT("url", slot->entry.job.url),
            GRI_TEXT("reason", gri_reason_name(verdict->error.reason)), GRI_TEXT("detail", verdict->error.detail),
            GRI_NUM("attempt", slot->record.attempts + 1), GRI_NUM("delay_ms", verdict->delay_ms),
            GRI_NUM("ms", gri_pipeline_worked_ms(slot)));
}

/* --- FINISH ----------------------------------------------------------------------------------------------------------- */

struct finish_flight {
    struct gri_flight flight;
    struct gri_ledger_finish request;
    struct gri_event *events;
};

static void finish_answered(struct gri_op *op) {
    struct gri_ledger_finish *request = gri_container_of(op, struct gri_ledger_finish, op);
    gri_flight_answered(&gri_container_of(request, struct finish_flight, request)->flight, op);
}

static struct gri_event event_of(const struct gri_slot *slot) {
    bool kept = slot->finish.renewed == GRI_RENEWED_FAILED, dead = slot->finish.kind == GRI_FINISH_DEAD && !kept;
    return (struct gri_event){.level = dead ? GRI_ERROR : GRI_WARN,
                              .event = kept   ? "refresh_failed"
                                       : dead ? "dead_letter"
                                              : "attempt_failed",
                              .catalog = slot->record.catalog,
                              .key = slot->entry.job.key,
                              .url = slot->entry.job.url,
                              .host = slot->host,
                              .worker = slot->worker->name,
                              .detail = slot->finish.error.detail,
                              .reason = slot->finish.error.reason,
                              .attempt = slot->record.attempts + 1,
                              .ms = slot->worked_ms,
                              .body = gri_bytes_slice(&slot->rejected),
                              .body_bytes = slot->rejected.len > 0 ? slot->rejected_bytes : 0};
}

/* The host has another picture now. */
static struct gri_event change_of(const struct gri_slot *slot) {
    return (struct gri_event){.level = GRI_INFO,
                              .event = "source_changed",
                              .catalog = slot->record.catalog,
                              .key = slot->entry.job.key,
                              .url = slot->entry.job.url,
                              .host = slot->host,
                              .worker = slot->worker->name,
                              .detail = slot->finish.image,
                              .ms = slot->worked_ms};
}

static void finish_submit(struct gri_flight *flight) {
    struct finish_flight *finish = gri_container_of(flight, struct finish_flight, flight);
    struct gri_ledger *ledger = flight->lane->worker->o.ledger;
    finish->request = (struct gri_ledger_finish){
        .op.done = finish_answered, .items = gri_calloc(flight->count, sizeof(struct gri_finish)), .count = flight->count};
    finish->events = gri_calloc(flight->count, sizeof(struct gri_event));
    for (size_t i = 0; i < flight->count; i++) {
        const struct gri_slot *slot = flight->slots[i];
        finish->request.items[i] = slot->finish;
        if (slot->failed) finish->events[finish->request.event_count++] = event_of(slot);
        if (slot->finish.renewed == GRI_RENEWED_CHANGED) finish->events[finish->request.event_count++] = change_of(slot);
    }
    finish->request.events = finish->events;
    ledger->ops->finish(ledger, &finish->request);
}

static void finish_settle(struct gri_flight *flight) {
    struct finish_flight *finish = gri_container_of(flight, struct finish_flight, flight);
    for (size_t i = 0; i < flight->count; i++) {
        struct gri_slot *slot = flight->slots[i];
        /* Where it was repeated, an unknown earlier write may have been the one that applied. */
        if (finish->request.items[i].applied || flight->tries > 0)
            gri_worker_metrics_finished(&slot->worker->metrics, slot, gri_now_ms(slot->worker->o.loop));
        if (slot->finish.kind == GRI_FINISH_DONE) {
            gri_log(slot->worker->o.log, GRI_DEBUG, "job_done", GRI_TEXT("job", slot->finish.key),
                    GRI_TEXT("url", slot->entry.job.url), GRI_TEXT("image", slot->finish.image),
                    GRI_NUM("ms", gri_pipeline_worked_ms(slot)));
        }
        gri_pipeline_advance(slot, GRI_OUTCOME_NEXT);
    }
}

static void finish_clear(struct gri_flight *flight) {
    struct finish_flight *finish = gri_container_of(flight, struct finish_flight, flight);
    free(finish->request.items);
    free(finish->events);
    finish->request.items = NULL;
    finish->events = NULL;
}

const struct gri_flight_kind gri_finish_flight = {"finish",      true,          sizeof(struct finish_flight),
                                                  finish_submit, finish_settle, finish_clear};

/* Source and image are not needed any more; the record says all. */
void gri_finish_enter(struct gri_slot *slot) {
    gri_slot_fetch_clear(slot);
    gri_isolation_clear(slot);
    gri_isolate_let_go(slot);
    gri_slot_images_clear(slot);
    gri_lane_add(&slot->worker->finish, slot);
}

/* --- ACK -------------------------------------------------------------------------------------------------------------- */

struct ack_flight {
    struct gri_flight flight;
    struct gri_stream_ack request;
    char (*ids)[GRI_ENTRY_ID_MAX];
    char (*keys)[GRI_KEY_MAX];
};

static void ack_answered(struct gri_op *op) {
    struct gri_stream_ack *request = gri_container_of(op, struct gri_stream_ack, op);
    gri_flight_answered(&gri_container_of(request, struct ack_flight, request)->flight, op);
}

static void ack_submit(struct gri_flight *flight) {
    struct ack_flight *ack = gri_container_of(flight, struct ack_flight, flight);
    struct gri_stream *stream = flight->lane->worker->o.stream;
    ack->ids = gri_calloc(flight->count, sizeof *ack->ids);
    ack->keys = gri_calloc(flight->count, sizeof *ack->keys);
    for (size_t i = 0; i < flight->count; i++) {
        gri_copy(ack->ids[i], sizeof ack->ids[i], flight->slots[i]->entry.id);
        gri_copy(ack->keys[i], sizeof ack->keys[i], flight->slots[i]->entry.job.key);
    }
    ack->request = (struct gri_stream_ack){.op.done = ack_answered,
                                           .stream = GRI_STREAM_JOBS,
                                           .ids = (const char(*)[GRI_ENTRY_ID_MAX])ack->ids,
                                           .keys = (const char(*)[GRI_KEY_MAX])ack->keys,
                                           .count = flight->count,
                                           .fences = gri_calloc(flight->count, sizeof(enum gri_fence))};
    stream->ops->ack(stream, &ack->request);
}

static void ack_settle(struct gri_flight *flight) {
    struct ack_flight *ack = gri_container_of(flight, struct ack_flight, flight);
    for (size_t i = 0; i < flight->count; i++) {
        struct gri_slot *slot = flight->slots[i];
        if (ack->request.fences[i] == GRI_FENCED) gri_counter_add(slot->worker->metrics.fenced, 1);
        gri_pipeline_advance(slot, GRI_OUTCOME_NEXT);
    }
}

static void ack_clear(struct gri_flight *flight) {
    struct ack_flight *ack = gri_container_of(flight, struct ack_flight, flight);
    free(ack->ids);
    free(ack->keys);
    free(ack->request.fences);
    ack->ids = NULL;
    ack->keys = NULL;
    ack->request.fences = NULL;
}

const struct gri_flight_kind gri_ack_flight = {"ack", false, sizeof(struct ack_flight), ack_submit, ack_settle, ack_clear};

void gri_ack_enter(struct gri_slot *slot) {
    gri_lane_add(&slot->worker->ack, slot);
}
