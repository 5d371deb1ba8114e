/* SPDX-License-Identifier: Apache-2.0 */
/* VERIFY and TRANSFORM: what runs on CPU threads. The work functions touch nothing but their slot, which is theirs until
 * `done`, and the shared, immutable codec, plan and crypto. */
#include "pipeline.h"
#include "plans.h"
#include "worker_state.h"
#include <grisaille/clock.h>
#include <grisaille/image_sums.h>
#include <string.h>

/* For metrics alone, on a thread that may not ask the loop; no decision rests on it. */
static double seconds_now(void) { return (double)gri_clock_ns() / 1e9; }

/* --- handing out ------------------------------------------------------------------------------------------------------ */

/* In order; what the full queue does not take waits for the next task to end (or the next tick). */
void gri_picture_submit_waiting(struct gri_worker *worker) {
    while (worker->cpu_waiting.head != NULL && gri_submit(worker->o.cpu, &worker->cpu_waiting.head->task))
        (void)gri_slot_list_pop(&worker->cpu_waiting);
}

static void start(struct gri_slot *slot, void (*work)(struct gri_task *), void (*done)(struct gri_task *)) {
    slot->task = (struct gri_task){.work = work, .done = done};
    atomic_store(&slot->running, false);
    gri_slot_list_push(&slot->worker->cpu_waiting, slot);
    gri_picture_submit_waiting(slot->worker);
}

bool gri_picture_eject(struct gri_slot *slot) {
    return gri_slot_list_remove(&slot->worker->cpu_waiting, slot);
}

static struct gri_slot *slot_of(struct gri_task *task) {
    return gri_container_of(task, struct gri_slot, task);
}

/* --- VERIFY ----------------------------------------------------------------------------------------------------------- */

static void verify_work(struct gri_task *task) {
    struct gri_slot *slot = slot_of(task);
    atomic_store(&slot->running, true);
    slot->worker->o.crypto->sha256_hex(gri_bytes_slice(&slot->fetch.body), slot->image.sums.source);
    atomic_store(&slot->running, false);
}

static void verify_done(struct gri_task *task) {
    struct gri_slot *slot = slot_of(task);
    struct gri_image *image = &slot->image;
    gri_picture_submit_waiting(slot->worker);
    gri_copy(image->job, sizeof image->job, slot->entry.job.key);
    gri_copy(image->pipeline, sizeof image->pipeline, slot->entry.job.pipeline);
    gri_image_set_id(image);
    gri_pipeline_advance(slot, GRI_OUTCOME_NEXT);
}

void gri_verify_enter(struct gri_slot *slot) {
    start(slot, verify_work, verify_done);
}

/* --- TRANSFORM -------------------------------------------------------------------------------------------------------- */

/* What is known of the source and of what ran. */
static void describe(struct gri_slot *slot, const struct gri_picture *picture) {
    struct gri_image *image = &slot->image;
    struct gri_source *source = &image->source;
    source->url = gri_strdup(slot->entry.job.url);
    source->final_url = slot->fetch.final_url != NULL ? slot->fetch.final_url : gri_strdup(slot->entry.job.url);
    slot->fetch.final_url = NULL;
    gri_copy(source->host, sizeof source->host, slot->host);
    gri_copy(source->content_type, sizeof source->content_type, picture->source_type);
    gri_copy(source->etag, sizeof source->etag, slot->fetch.etag);
    gri_copy(source->last_modified, sizeof source->last_modified, slot->fetch.last_modified);
    gri_copy(source->provider_id, sizeof source->provider_id, slot->fetch.provider_id);
    source->width = picture->source_width;
    source->height = picture->source_height;
    source->bytes = (int64_t)slot->fetch.body.len;
    gri_copy(image->content_type, sizeof image->content_type, picture->content_type);
    image->width = picture->width;
    image->height = picture->height;
    gri_copy(image->note, sizeof image->note, picture->note);
    gri_copy(image->facts, sizeof image->facts, picture->facts);
    gri_copy(image->phash, sizeof image->phash, picture->phash);
}

/* What a child has made is taken as it is; else the codec runs here. */
static enum gri_status make_picture(struct gri_slot *slot, struct gri_picture *picture) {
    struct gri_codec *codec = slot->worker->o.codec;
    struct gri_picture *made = gri_isolated_picture(slot);
    if (made == NULL) return codec->ops->run(codec, gri_plan_of(slot), gri_bytes_slice(&slot->fetch.body), picture, &slot->error);
    *picture = *made;
    gri_bytes_init(&made->output, 0); /* it is the caller's now */
    return GRI_OK;
}

static void transform_work(struct gri_task *task) {
    struct gri_slot *slot = slot_of(task);
    struct gri_worker *worker = slot->worker;
    struct gri_picture picture = {0};
    atomic_store(&slot->running, true);
    double began = seconds_now();
    slot->cpu_status = make_picture(slot, &picture);
    double transformed = seconds_now();
    slot->transform_seconds = transformed - began;
    if (slot->cpu_status == GRI_OK) {
        describe(slot, &picture);
        gri_bytes_clear(&slot->fetch.body);
        slot->cpu_status = gri_image_encode(worker->o.crypto, &slot->image, &picture.output, &slot->error);
        gri_picture_clear(&picture);
        slot->encode_seconds = seconds_now() - transformed;
    }
    atomic_store(&slot->running, false);
}

static void transform_done(struct gri_task *task) {
    struct gri_slot *slot = slot_of(task);
    gri_picture_submit_waiting(slot->worker);
    if (slot->cpu_status != GRI_OK) gri_slot_keep_rejected(slot);
    gri_slot_fetch_clear(slot);
    gri_isolation_clear(slot);
    gri_worker_metrics_pictured(&slot->worker->metrics, slot);
    if (slot->cpu_status == GRI_OK) {
        gri_pipeline_advance(slot, GRI_OUTCOME_NEXT);
        return;
    }
    slot->error.status = slot->cpu_status;
    slot->attempt = (struct gri_attempt){.retry_after_ms = -1};
    gri_pipeline_advance(slot, GRI_OUTCOME_FAILED);
}

void gri_transform_enter(struct gri_slot *slot) {
    start(slot, transform_work, transform_done);
}
