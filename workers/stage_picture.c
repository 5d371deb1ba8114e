/* SPDX-License-Identifier: Apache-2.0 */
/* VERIFY and TRANSFORM: what runs on CPU threads. The work functions touch nothing but their slot, which is theirs until
 * `done`, and the shared, immutable codec, plan and crypto. */
#include "pipeline.h"
#include "plans.h"
#include "worker_state.h"
#include <grisaille/clock.h>
#include <grisaille/image_sums.h>
#include <stdlib.h>
#include <string.h>

/* For metrics alone, on a thread that may not ask the loop; no decision rests on it. */
static double seconds_now(void) {
    return (double)gri_clock_ns() / 1e9;
}

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

struct gri_image *gri_slot_image(struct gri_slot *slot, size_t index) {
    return index == 0 ? &slot->image : &slot->others[index - 1];
}

void gri_slot_images_clear(struct gri_slot *slot) {
    gri_image_clear(&slot->image);
    for (size_t i = 1; i < slot->outputs; i++)
        gri_image_clear(&slot->others[i - 1]);
    free(slot->others);
    slot->others = NULL;
    slot->outputs = 0;
}

void gri_picture_identify(struct gri_slot *slot) {
    const char *names[GRI_OUTPUTS_MAX];
    size_t count = gri_plan_outputs(slot, names);
    GRI_ASSERT(slot->outputs == 0 || slot->outputs == count);
    if (slot->outputs == 0 && count > 1) slot->others = gri_calloc(count - 1, sizeof *slot->others);
    slot->outputs = count;
    for (size_t i = 0; i < count; i++) {
        struct gri_image *image = gri_slot_image(slot, i);
        gri_image_job(slot->entry.job.key, slot->record.renewal, image->job);
        gri_copy(image->pipeline, sizeof image->pipeline, slot->entry.job.pipeline);
        gri_copy(image->output, sizeof image->output, names[i]);
        image->fetched_at_ms = slot->image.fetched_at_ms;
        if (i > 0) gri_copy(image->sums.source, sizeof image->sums.source, slot->image.sums.source);
        gri_image_set_id(image);
    }
}

static void verify_done(struct gri_task *task) {
    struct gri_slot *slot = slot_of(task);
    gri_picture_submit_waiting(slot->worker);
    gri_picture_identify(slot);
    gri_pipeline_advance(slot, GRI_OUTCOME_NEXT);
}

void gri_verify_enter(struct gri_slot *slot) {
    start(slot, verify_work, verify_done);
}

/* --- TRANSFORM -------------------------------------------------------------------------------------------------------- */

/* What is known of the source and of what ran. */
static void describe(struct gri_slot *slot, const struct gri_picture *picture, struct gri_image *image) {
    struct gri_source *source = &image->source;
    bool mine = picture->next == NULL && slot->fetch.final_url != NULL; /* the last one takes what the fetch has */
    source->url = gri_strdup(slot->entry.job.url);
    source->final_url =
        mine ? slot->fetch.final_url : gri_strdup(slot->fetch.final_url != NULL ? slot->fetch.final_url : slot->entry.job.url);
    if (mine) slot->fetch.final_url = NULL;
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
    gri_bytes_init(&made->output, 0); /* it is the caller's now, as are those behind it */
    made->next = NULL;
    return GRI_OK;
}

/* A child may answer anything. */
static enum gri_status describe_all(struct gri_slot *slot, const struct gri_picture *first) {
    const struct gri_picture *picture = first;
    slot->decodes = first->decodes;
    for (size_t i = 0; i < slot->outputs; i++, picture = picture->next) {
        struct gri_image *image = gri_slot_image(slot, i);
        if (picture == NULL || strcmp(picture->name, image->output) != 0)
            return gri_fail(&slot->error, GRI_R_transform, "the pictures that were made are not the pipeline's outputs");
        describe(slot, picture, image);
    }
    return GRI_OK;
}

/* Each picture goes as soon as its text is there. */
static enum gri_status encode_all(struct gri_slot *slot, struct gri_picture *first) {
    enum gri_status status = GRI_OK;
    struct gri_picture *picture = first;
    for (size_t i = 0; status == GRI_OK && i < slot->outputs; i++, picture = picture->next) {
        status = gri_image_encode(slot->worker->o.crypto, gri_slot_image(slot, i), &picture->output, &slot->error);
        gri_bytes_clear(&picture->output);
    }
    return status;
}

static void transform_work(struct gri_task *task) {
    struct gri_slot *slot = slot_of(task);
    struct gri_picture picture = {0};
    atomic_store(&slot->running, true);
    double began = seconds_now();
    slot->cpu_status = make_picture(slot, &picture);
    double transformed = seconds_now();
    slot->transform_seconds = transformed - began;
    if (slot->cpu_status == GRI_OK) {
        slot->cpu_status = describe_all(slot, &picture);
        gri_bytes_clear(&slot->fetch.body);
        if (slot->cpu_status == GRI_OK) slot->cpu_status = encode_all(slot, &picture);
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
