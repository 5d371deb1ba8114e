/* SPDX-License-Identifier: Apache-2.0 */
/* A model of the image store, with its two unique indexes. */
#include "sim_mongo.h"

#include <string.h>

struct sim_image *sim_find_image(struct sim_mongo *mongo, const char *id) {
    sim_short_key wanted = sim_shorten(id);
    for (size_t i = 0; i < mongo->image_count; i++)
        if (mongo->image_ids[i] == wanted && strcmp(mongo->images[i].id, id) == 0) return &mongo->images[i];
    return NULL;
}

struct sim_image *sim_find_image_of(struct sim_mongo *mongo, const char *job, const char *pipeline) {
    sim_short_key wanted = sim_shorten(job);
    for (size_t i = 0; i < mongo->image_count; i++)
        if (mongo->image_jobs[i] == wanted && strcmp(mongo->images[i].job, job) == 0 &&
            strcmp(mongo->images[i].pipeline, pipeline) == 0)
            return &mongo->images[i];
    return NULL;
}

static int64_t do_lookup(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_store_lookup *lookup = gri_container_of(op, struct gri_store_lookup, op);
    struct sim_mongo *mongo = process->world->mongo;
    (void)part;
    for (size_t i = 0; i < lookup->count; i++) {
        struct gri_image_lookup *item = &lookup->items[i];
        const struct sim_image *image =
            item->id[0] ? sim_find_image(mongo, item->id) : sim_find_image_of(mongo, item->job, item->pipeline);
        if (image && image->deleted_ms) image = NULL; /* a stub is none */
        const struct sim_tombstone *tombstone = image || !item->id[0] ? NULL : sim_find_tombstone(process->world, item->id);
        item->found = image || tombstone;
        item->removed = image ? image->removed : tombstone != NULL;
        item->heal = item->id[0] && image && image->damaged;
        if (item->heal) (void)gri_copy(item->heal_job, sizeof item->heal_job, image->job);
        item->own = image && strcmp(image->job, item->job) == 0;
        if (item->found) (void)gri_copy(item->found_id, sizeof item->found_id, image ? image->id : tombstone->image);
    }
    return 0;
}

static int64_t do_insert(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_store_insert *insert = gri_container_of(op, struct gri_store_insert, op);
    struct sim_mongo *mongo = process->world->mongo;
    for (size_t i = 0; i < insert->count; i++) {
        struct gri_image_insert *item = &insert->items[i];
        const struct sim_image *same = sim_find_image(mongo, item->image->id);
        const struct sim_image *of_job = sim_find_image_of(mongo, item->image->job, item->image->pipeline);
        if (same && same->deleted_ms && !of_job) { /* the stub is in the way of these bytes */
            sim_remove_image(mongo, same);
            same = NULL;
        }
        if (!same && !of_job && !sim_done_of_part(process, part)) continue;
        item->result = same ? GRI_SAME_CONTENT : of_job ? GRI_SAME_JOB : GRI_INSERTED;
        item->own = same && strcmp(same->job, item->image->job) == 0;
        (void)gri_copy(item->found_id, sizeof item->found_id, !same && of_job ? of_job->id : item->image->id);
        if (same || of_job) continue;
        GRI_ASSERT(mongo->image_count < SIM_ROWS_MAX);
        mongo->image_ids[mongo->image_count] = sim_shorten(item->image->id);
        mongo->image_jobs[mongo->image_count] = sim_shorten(item->image->job);
        struct sim_image *image = &mongo->images[mongo->image_count++];
        *image = (struct sim_image){.inserted_ms = process->world->now_ms};
        (void)gri_copy(image->id, sizeof image->id, item->image->id);
        (void)gri_copy(image->job, sizeof image->job, item->image->job);
        (void)gri_copy(image->pipeline, sizeof image->pipeline, item->image->pipeline);
    }
    return 0;
}

/* A picture takes the place of a damaged one alone, and stays the image of who made that. */
static int64_t do_heal(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_store_heal *heal = gri_container_of(op, struct gri_store_heal, op);
    struct sim_world *world = process->world;
    for (size_t i = 0; i < heal->count; i++) {
        struct sim_image *image = sim_find_image(world->mongo, heal->images[i]->id);
        if (!image && !sim_steer_removes(world))
            sim_violation(world, "an image is healed that is not stored: %s", heal->images[i]->id);
        if (!image || !image->damaged || !sim_done_of_part(process, part)) continue;
        if (strcmp(image->job, heal->images[i]->job) != 0)
            sim_violation(world, "image %s is another job's once it is healed", image->id);
        image->damaged = false;
        world->healed_images++;
    }
    return 0;
}

void sim_mongo_damage(struct sim_world *world) {
    struct sim_mongo *mongo = world->mongo;
    if (mongo->image_count == 0) return;
    struct sim_image *image = &mongo->images[sim_random(world) % mongo->image_count];
    image->damaged = !image->removed && !image->deleted_ms;
}

static void submit_lookup(struct gri_store *store, struct gri_store_lookup *request) {
    sim_submit(gri_container_of(store, struct sim_process, store), SIM_MONGO, &request->op, do_lookup);
}

static void submit_insert(struct gri_store *store, struct gri_store_insert *request) {
    sim_submit(gri_container_of(store, struct sim_process, store), SIM_MONGO, &request->op, do_insert);
}

static void submit_heal(struct gri_store *store, struct gri_store_heal *request) {
    sim_submit(gri_container_of(store, struct sim_process, store), SIM_MONGO, &request->op, do_heal);
}

void sim_store_ops(struct sim_process *process) {
    static const struct gri_store_ops ops = {.lookup = submit_lookup, .insert = submit_insert, .heal = submit_heal};
    process->store.ops = &ops;
}
