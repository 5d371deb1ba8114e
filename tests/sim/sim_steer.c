/* SPDX-License-Identifier: Apache-2.0 */
/* What people ask for while all this runs: a catalog is deleted, a picture is taken down, what is old is to go (retention); and
 * the ledger's upkeep, which does the work (adapters/mongo_upkeep.c has the real one), one request to MongoDB a step, so that
 * anything may happen between two of them. Who a history is for, and when, is drawn from a sequence of random numbers of its own:
 * a history without any of it is the one it was before there was any. */
#include <stdlib.h>
#include <string.h>

#include "sim_mongo.h"

enum {
    SETTLE_SLACK_MS = 20000, /* beyond the faults and the longest pause: by then who had an image in hand has linked it */
    TOMBSTONES_SEEN_MS = 2000,
    APPLY_MS = 40
};

/* --- the second sequence ------------------------------------------------------------------------------------------------ */

static int64_t draw(struct sim_world *world, int64_t low, int64_t high) {
    uint64_t kept = world->random;
    world->random = world->steering.random;
    int64_t value = sim_between(world, low, high);
    world->steering.random = world->random;
    world->random = kept;
    return value;
}

void sim_steer_size(struct sim_world *world, bool plain) {
    struct sim_steering *steering = &world->steering;
    *steering = (struct sim_steering){.random = world->seed ^ UINT64_C(0x5DEECE66D1CE4E5B)};
    if (plain) return;
    steering->lingering = draw(world, 1, 2) == 1 ? 3 * world->slots : 0;
    steering->deletions = draw(world, 1, 6) == 1 ? (int)draw(world, 1, 2) : 0;
    steering->takedowns = draw(world, 1, 8) == 1 ? (int)draw(world, 1, 3) : 0;
    steering->keep_images_ms = draw(world, 1, 10) == 1 ? draw(world, 5000, 60000) : 0;
    steering->keep_catalogs_ms = draw(world, 1, 10) == 1 ? draw(world, 5000, 60000) : 0;
    steering->settle_ms = world->chaos_ms + 2 * world->lease_ms + SETTLE_SLACK_MS;
}

bool sim_steer_removes(const struct sim_world *world) {
    return world->steering.deletions > 0 || world->steering.keep_images_ms > 0;
}

/* --- documents ---------------------------------------------------------------------------------------------------------------
 */

static size_t source_len(const char *image) {
    return strcspn(image, ":");
}

static bool same_source(const char *image, const char *other) {
    size_t len = source_len(image);
    return len == source_len(other) && memcmp(image, other, len) == 0;
}

static bool links(const struct sim_url *url, const char *image) {
    for (int i = 0; i < url->image_count; i++)
        if (strcmp(url->images[i], image) == 0) return true;
    return false;
}

static void unlink_image(struct sim_url *url, const char *image) {
    int kept = 0;
    for (int i = 0; i < url->image_count; i++) {
        if (strcmp(url->images[i], image) == 0) continue;
        if (kept != i) memcpy(url->images[kept], url->images[i], sizeof url->images[i]);
        kept++;
    }
    url->image_count = kept;
}

static bool is_linked(const struct sim_mongo *mongo, const char *image) {
    for (size_t i = 0; i < mongo->url_count; i++)
        if (links(&mongo->urls[i], image)) return true;
    return false;
}

static void remove_url(struct sim_mongo *mongo, size_t at) {
    mongo->urls[at] = mongo->urls[--mongo->url_count];
    mongo->url_keys[at] = mongo->url_keys[mongo->url_count];
}

void sim_remove_image(struct sim_mongo *mongo, const struct sim_image *image) {
    size_t at = (size_t)(image - mongo->images);
    mongo->images[at] = mongo->images[--mongo->image_count];
    mongo->image_ids[at] = mongo->image_ids[mongo->image_count];
    mongo->image_jobs[at] = mongo->image_jobs[mongo->image_count];
}

/* Reduced to its _id: its job is no job's any more. What was taken down, or is to be, stays. */
static void strip_to_stub(struct sim_world *world, const char *id) {
    struct sim_mongo *mongo = world->mongo;
    struct sim_image *image = sim_find_image(mongo, id);
    if (!image || image->removed || image->deleted_ms) return;
    image->deleted_ms = world->now_ms;
    image->damaged = false;
    (void)gri_format(image->job, sizeof image->job, "deleted:%.40s", image->id);
    mongo->image_jobs[image - mongo->images] = sim_shorten(image->job);
}

/* One that was buried long ago is known to every worker; of a young one some may not have heard yet. */
const struct sim_tombstone *sim_find_tombstone(struct sim_world *world, const char *image) {
    struct sim_mongo *mongo = world->mongo;
    for (int i = 0; i < mongo->tombstone_count; i++) {
        const struct sim_tombstone *tombstone = &mongo->tombstones[i];
        if (!same_source(tombstone->image, image)) continue;
        return world->now_ms - tombstone->at_ms >= TOMBSTONES_SEEN_MS || draw(world, 0, 1) ? tombstone : NULL;
    }
    return NULL;
}

/* --- what people ask for ------------------------------------------------------------------------------------------------------
 */

static void delete_catalog(void *arg) {
    struct sim_world *world = arg;
    int catalog = (int)draw(world, 0, SIM_CATALOGS_MAX - 1);
    struct sim_catalog_state *state = &world->mongo->catalogs[catalog];
    if (!state->pushed || state->doomed) return;
    state->doomed = true;
    state->finished = false; /* it comes back into the feeder's sight */
    world->steering.struck_deletions++;
}

static void strip_taken_down(struct sim_world *world, const struct sim_tombstone *tombstone) {
    struct sim_mongo *mongo = world->mongo;
    struct sim_image *own = sim_find_image(mongo, tombstone->image);
    if (own && own->deleted_ms) { /* it was deleted as well: what was taken down stays, for those who will link it */
        own->deleted_ms = 0;
        own->removed = true;
    }
    for (size_t i = 0; i < mongo->image_count; i++) {
        struct sim_image *image = &mongo->images[i];
        if (image->deleted_ms || !same_source(image->id, tombstone->image)) continue;
        image->removed = true;
        image->damaged = false;
    }
}

static void mark_taken_down(struct sim_world *world, const struct sim_tombstone *tombstone) {
    for (size_t i = 0; i < world->mongo->url_count; i++) {
        struct sim_url *url = &world->mongo->urls[i];
        if (url->state == GRI_URL_DONE && url->image_count > 0 &&
            same_source(url->images[url->image_count - 1], tombstone->image))
            url->taken_down = true;
    }
}

static void finish_takedown(void *arg) {
    struct sim_world *world = arg;
    mark_taken_down(world, &world->mongo->tombstones[world->mongo->tombstone_count - 1]);
}

/* The tombstone is first. Who asked may die before the rest, or in the midst of it. */
static void take_down(void *arg) {
    struct sim_world *world = arg;
    struct sim_mongo *mongo = world->mongo;
    if (mongo->image_count == 0 || mongo->tombstone_count == SIM_TOMBSTONES_MAX) return;
    const struct sim_image *image = &mongo->images[draw(world, 0, (int64_t)mongo->image_count - 1)];
    if (image->removed || image->deleted_ms) return;
    struct sim_tombstone *tombstone = &mongo->tombstones[mongo->tombstone_count++];
    *tombstone = (struct sim_tombstone){.at_ms = world->now_ms, .settle_ms = world->now_ms + world->steering.settle_ms};
    (void)gri_copy(tombstone->image, sizeof tombstone->image, image->id);
    world->steering.struck_takedowns++;
    if (draw(world, 0, 2) == 0) return;
    strip_taken_down(world, tombstone);
    if (draw(world, 0, 2) > 0) (void)sim_at(world, NULL, draw(world, 1, APPLY_MS), finish_takedown, world);
}

void sim_steer_start(struct sim_world *world) {
    for (int i = 0; i < world->steering.deletions; i++)
        (void)sim_at(world, NULL, draw(world, 100, world->chaos_ms), delete_catalog, world);
    for (int i = 0; i < world->steering.takedowns; i++)
        (void)sim_at(world, NULL, draw(world, 100, world->chaos_ms), take_down, world);
}

/* --- upkeep: a step is one request to MongoDB ----------------------------------------------------------------------------------
 */

/* Returns whether the piece goes on with the step after it; else its rest is left out. */
typedef bool step(struct sim_world *world, struct sim_upkeep *upkeep);

static bool add_id(struct sim_upkeep *upkeep, const char *id) {
    if (upkeep->id_count == SIM_UPKEEP_IMAGES) return false;
    (void)gri_copy(upkeep->ids[upkeep->id_count++], GRI_IMAGE_ID_MAX, id);
    return true;
}

static bool has_id(const struct sim_upkeep *upkeep, const char *id) {
    for (size_t i = 0; i < upkeep->id_count; i++)
        if (strcmp(upkeep->ids[i], id) == 0) return true;
    return false;
}

static bool strip_again(struct sim_world *world, struct sim_upkeep *upkeep) {
    struct sim_mongo *mongo = world->mongo;
    upkeep->now_ms = world->now_ms;
    upkeep->tombstones = mongo->tombstone_count;
    for (int i = 0; i < mongo->tombstone_count; i++)
        if (mongo->tombstones[i].settle_ms) strip_taken_down(world, &mongo->tombstones[i]);
    return mongo->tombstone_count > 0;
}

static bool mark_again(struct sim_world *world, struct sim_upkeep *upkeep) {
    for (int i = 0; i < upkeep->tombstones; i++)
        if (world->mongo->tombstones[i].settle_ms) mark_taken_down(world, &world->mongo->tombstones[i]);
    return true;
}

static bool settle_takedowns(struct sim_world *world, struct sim_upkeep *upkeep) {
    for (int i = 0; i < upkeep->tombstones; i++)
        if (world->mongo->tombstones[i].settle_ms <= upkeep->now_ms) world->mongo->tombstones[i].settle_ms = 0;
    return true;
}

static bool is_of_catalog(const struct sim_url *url, int catalog) {
    return url->catalog == catalog && !url->shared;
}

static void remove_records(struct sim_world *world, int catalog) {
    struct sim_mongo *mongo = world->mongo;
    struct sim_catalog_state *state = &mongo->catalogs[catalog];
    size_t kept = 0;
    for (size_t i = 0; i < mongo->chunk_count; i++)
        if (mongo->chunks[i].catalog != catalog) mongo->chunks[kept++] = mongo->chunks[i];
    mongo->chunk_count = kept;
    kept = 0;
    for (size_t i = 0; i < mongo->error_count; i++)
        if (mongo->errors[i].catalog != catalog) mongo->errors[kept++] = mongo->errors[i];
    mongo->error_count = kept;
    state->look_again_ms = state->gone ? 0 : world->now_ms + world->steering.settle_ms;
    state->gone = true;
}

static bool is_doomed(const struct sim_world *world, int catalog) {
    const struct sim_catalog_state *state = &world->mongo->catalogs[catalog];
    if (state->gone) return state->look_again_ms && state->look_again_ms < world->now_ms;
    return state->doomed && state->finished;
}

static bool find_doomed(struct sim_world *world, struct sim_upkeep *upkeep) {
    struct sim_mongo *mongo = world->mongo;
    int c = 0;
    while (c < SIM_CATALOGS_MAX && !is_doomed(world, c))
        c++;
    if (c == SIM_CATALOGS_MAX) return false;
    upkeep->more = true;
    upkeep->catalog = c;
    upkeep->id_count = upkeep->key_count = 0;
    for (size_t i = 0; !mongo->catalogs[c].records_only && i < mongo->url_count && upkeep->key_count < SIM_UPKEEP_URLS; i++) {
        const struct sim_url *url = &mongo->urls[i];
        if (!is_of_catalog(url, c)) continue;
        (void)gri_copy(upkeep->keys[upkeep->key_count++], GRI_KEY_MAX, url->key);
        for (int k = 0; k < url->image_count; k++)
            (void)add_id(upkeep, url->images[k]);
    }
    if (upkeep->key_count == 0) remove_records(world, c);
    return upkeep->key_count > 0;
}

void sim_condemn(struct sim_world *world, const char *image) {
    struct sim_mongo *mongo = world->mongo;
    for (size_t i = 0; i < mongo->removal_count; i++)
        if (strcmp(mongo->removals[i].image, image) == 0) {
            mongo->removals[i].at_ms = world->now_ms;
            return;
        }
    GRI_ASSERT(mongo->removal_count < SIM_ROWS_MAX);
    (void)gri_copy(mongo->removals[mongo->removal_count].image, GRI_IMAGE_ID_MAX, image);
    mongo->removals[mongo->removal_count++].at_ms = world->now_ms;
}

static bool condemn(struct sim_world *world, struct sim_upkeep *upkeep) {
    for (size_t i = 0; i < upkeep->id_count; i++)
        sim_condemn(world, upkeep->ids[i]);
    return true;
}

static bool links_other(const struct sim_url *url, const struct sim_upkeep *upkeep) {
    for (int i = 0; i < url->image_count; i++)
        if (!has_id(upkeep, url->images[i])) return true;
    return false;
}

static bool remove_urls(struct sim_world *world, struct sim_upkeep *upkeep) {
    struct sim_mongo *mongo = world->mongo;
    for (size_t i = 0; i < upkeep->key_count; i++) {
        const struct sim_url *url = sim_find_url(mongo, upkeep->keys[i]);
        if (url && is_of_catalog(url, upkeep->catalog) && !links_other(url, upkeep))
            remove_url(mongo, (size_t)(url - mongo->urls));
    }
    return true;
}

static bool find_condemned(struct sim_world *world, struct sim_upkeep *upkeep) {
    const struct sim_mongo *mongo = world->mongo;
    upkeep->id_count = 0;
    upkeep->now_ms = world->now_ms;
    for (size_t i = 0; i < mongo->removal_count && add_id(upkeep, mongo->removals[i].image); i++) {}
    upkeep->more = upkeep->more || upkeep->id_count == SIM_UPKEEP_IMAGES;
    return upkeep->id_count > 0;
}

static bool look_for_links(struct sim_world *world, struct sim_upkeep *upkeep) {
    for (size_t i = 0; i < upkeep->id_count; i++)
        upkeep->alone[i] = !is_linked(world->mongo, upkeep->ids[i]);
    return true;
}

static bool strip_condemned(struct sim_world *world, struct sim_upkeep *upkeep) {
    for (size_t i = 0; i < upkeep->id_count; i++)
        if (upkeep->alone[i]) strip_to_stub(world, upkeep->ids[i]);
    return true;
}

/* One that was condemned again meanwhile is looked at again. */
static bool clear_condemned(struct sim_world *world, struct sim_upkeep *upkeep) {
    struct sim_mongo *mongo = world->mongo;
    size_t kept = 0;
    for (size_t i = 0; i < mongo->removal_count; i++)
        if (!has_id(upkeep, mongo->removals[i].image) || mongo->removals[i].at_ms > upkeep->now_ms)
            mongo->removals[kept++] = mongo->removals[i];
    mongo->removal_count = kept;
    return true;
}

static bool find_stubs(struct sim_world *world, struct sim_upkeep *upkeep) {
    const struct sim_mongo *mongo = world->mongo;
    upkeep->id_count = 0;
    for (size_t i = 0; i < mongo->image_count; i++) {
        const struct sim_image *image = &mongo->images[i];
        if (image->deleted_ms && image->deleted_ms < world->now_ms - world->steering.settle_ms && !add_id(upkeep, image->id))
            break;
    }
    return upkeep->id_count > 0;
}

/* A URL that links a stub had found the image just before. */
static bool fetch_again(struct sim_world *world, struct sim_upkeep *upkeep) {
    struct sim_mongo *mongo = world->mongo;
    for (size_t i = 0; i < mongo->url_count; i++) {
        struct sim_url *url = &mongo->urls[i];
        bool found = false;
        for (size_t k = 0; url->state == GRI_URL_DONE && k < upkeep->id_count; k++) {
            found = found || links(url, upkeep->ids[k]);
            unlink_image(url, upkeep->ids[k]);
        }
        if (!found) continue;
        url->state = GRI_URL_WAITING;
        url->attempts = 0;
        url->made = url->expired = false;
        url->next_at_ms = world->now_ms;
        world->steering.fetched_again++;
    }
    return true;
}

static bool remove_stubs(struct sim_world *world, struct sim_upkeep *upkeep) {
    for (size_t i = 0; i < upkeep->id_count; i++) {
        const struct sim_image *image = sim_find_image(world->mongo, upkeep->ids[i]);
        if (image && image->deleted_ms) sim_remove_image(world->mongo, image);
    }
    return true;
}

static bool is_expired(const struct sim_world *world, const struct sim_image *image) {
    return !image->removed && !image->deleted_ms && image->inserted_ms < world->now_ms - world->steering.keep_images_ms;
}

static bool find_old_images(struct sim_world *world, struct sim_upkeep *upkeep) {
    const struct sim_mongo *mongo = world->mongo;
    upkeep->id_count = 0;
    for (size_t i = 0; upkeep->keep_images && i < mongo->image_count; i++)
        if (is_expired(world, &mongo->images[i]) && !add_id(upkeep, mongo->images[i].id)) break;
    upkeep->more = upkeep->more || upkeep->id_count == SIM_UPKEEP_IMAGES;
    return upkeep->id_count > 0;
}

static bool mark_expired(struct sim_world *world, struct sim_upkeep *upkeep) {
    struct sim_mongo *mongo = world->mongo;
    for (size_t i = 0; i < mongo->url_count; i++) {
        struct sim_url *url = &mongo->urls[i];
        int before = url->image_count;
        for (size_t k = 0; url->state == GRI_URL_DONE && k < upkeep->id_count; k++)
            unlink_image(url, upkeep->ids[k]);
        if (url->image_count < before) url->expired = url->image_count == 0;
    }
    return true;
}

static bool strip_expired(struct sim_world *world, struct sim_upkeep *upkeep) {
    for (size_t i = 0; i < upkeep->id_count; i++)
        strip_to_stub(world, upkeep->ids[i]);
    world->steering.expired += (int64_t)upkeep->id_count;
    return true;
}

static bool is_old_catalog(const struct sim_world *world, int catalog) {
    const struct sim_catalog_state *state = &world->mongo->catalogs[catalog];
    return world->steering.keep_catalogs_ms && state->finished && !state->doomed && !state->gone &&
           state->finished_ms < world->now_ms - world->steering.keep_catalogs_ms;
}

static bool expire_catalogs(struct sim_world *world, struct sim_upkeep *upkeep) {
    for (int c = 0; upkeep->keep_catalogs && c < SIM_CATALOGS_MAX; c++) {
        struct sim_catalog_state *state = &world->mongo->catalogs[c];
        if (!is_old_catalog(world, c)) continue;
        state->doomed = state->records_only = upkeep->more = true;
    }
    return true;
}

/* The steps in turn; `rest`: how many to pass over where the first of a piece finds nothing. */
static const struct {
    step *run;
    int rest;
} steps[] = {{strip_again, 2},   {mark_again, 0},     {settle_takedowns, 0}, {find_doomed, 2},     {condemn, 0},
             {remove_urls, 0},   {find_condemned, 3}, {look_for_links, 0},   {strip_condemned, 0}, {clear_condemned, 0},
             {find_stubs, 2},    {fetch_again, 0},    {remove_stubs, 0},     {find_old_images, 2}, {mark_expired, 0},
             {strip_expired, 0}, {expire_catalogs, 0}};

void sim_upkeep_begin(struct sim_process *process, const struct gri_ledger_upkeep *request) {
    struct sim_upkeep *upkeep = &process->world->mongo->upkeeps[process->index];
    upkeep->step = 0;
    upkeep->more = false;
    upkeep->keep_images = request->images_keep_days > 0;
    upkeep->keep_catalogs = request->catalogs_keep_days > 0;
}

int64_t sim_upkeep_step(struct sim_process *process, struct gri_ledger_upkeep *request) {
    struct sim_world *world = process->world;
    struct sim_upkeep *upkeep = &world->mongo->upkeeps[process->index];
    struct sim_steering *steering = &world->steering;
    request->more = upkeep->more;
    if (!sim_steer_removes(world) && !steering->takedowns && !steering->keep_catalogs_ms) return 0;
    for (;;) { /* what finds nothing takes no time */
        if (upkeep->step >= (int)(sizeof steps / sizeof *steps)) {
            request->more = upkeep->more;
            return 0;
        }
        int at = upkeep->step++;
        if (steps[at].run(world, upkeep)) return draw(world, 1, 20) == 1 ? draw(world, 1, 400) : draw(world, 1, 6);
        upkeep->step += steps[at].rest;
    }
}

/* --- the end
 * -------------------------------------------------------------------------------------------------------------------- */

bool sim_steer_is_settled(const struct sim_world *world) {
    const struct sim_mongo *mongo = world->mongo;
    for (int c = 0; c < SIM_CATALOGS_MAX; c++)
        if ((mongo->catalogs[c].doomed && !mongo->catalogs[c].gone) || mongo->catalogs[c].look_again_ms ||
            is_old_catalog(world, c))
            return false;
    for (int i = 0; i < mongo->tombstone_count; i++)
        if (mongo->tombstones[i].settle_ms) return false;
    for (size_t i = 0; i < mongo->image_count; i++)
        if (mongo->images[i].deleted_ms || (world->steering.keep_images_ms && is_expired(world, &mongo->images[i]))) return false;
    return mongo->removal_count == 0;
}

static void check_catalog_gone(struct sim_world *world, int c) {
    const struct sim_mongo *mongo = world->mongo;
    for (size_t i = 0; i < mongo->chunk_count; i++)
        if (mongo->chunks[i].catalog == c) sim_violation(world, "a chunk of deleted catalog %d is left", c);
    for (size_t i = 0; i < mongo->error_count; i++)
        if (mongo->errors[i].catalog == c) sim_violation(world, "an error of deleted catalog %d is left", c);
    for (size_t i = 0; !mongo->catalogs[c].records_only && i < mongo->url_count; i++)
        if (is_of_catalog(&mongo->urls[i], c)) sim_violation(world, "%s of deleted catalog %d is left", mongo->urls[i].url, c);
}

static void check_taken_down(struct sim_world *world, const struct sim_tombstone *tombstone) {
    const struct sim_mongo *mongo = world->mongo;
    for (size_t i = 0; i < mongo->image_count; i++)
        if (same_source(mongo->images[i].id, tombstone->image) && !mongo->images[i].removed)
            sim_violation(world, "%s was taken down, and is there", mongo->images[i].id);
    for (size_t i = 0; i < mongo->url_count; i++) {
        const struct sim_url *url = &mongo->urls[i];
        bool last = url->image_count > 0 && same_source(url->images[url->image_count - 1], tombstone->image);
        if (last && !url->taken_down) sim_violation(world, "%s does not say that its picture was taken down", url->url);
    }
}

/* What was stored by who then slept or died, while its record was deleted, and its entry lost to Redis: the scrub tells of it. */
static bool may_leave_orphans(const struct sim_world *world) {
    return sim_has_fault(world, SIM_PAUSE) || sim_has_fault(world, SIM_FLUSH) || sim_has_fault(world, SIM_ROLLBACK) ||
           sim_has_fault(world, SIM_TAMPER);
}

void sim_steer_check(struct sim_world *world) {
    const struct sim_mongo *mongo = world->mongo;
    for (int c = 0; c < SIM_CATALOGS_MAX; c++)
        if (mongo->catalogs[c].gone) check_catalog_gone(world, c);
    for (int i = 0; i < mongo->tombstone_count; i++)
        check_taken_down(world, &mongo->tombstones[i]);
    for (size_t i = 0; i < mongo->url_count; i++)
        if (mongo->urls[i].expired && mongo->urls[i].image_count > 0)
            sim_violation(world, "%s has a picture, and says that it expired", mongo->urls[i].url);
    for (size_t i = 0; !may_leave_orphans(world) && i < mongo->image_count; i++)
        if (!mongo->images[i].removed && !is_linked(mongo, mongo->images[i].id) &&
            !sim_find_url(world->mongo, mongo->images[i].job))
            sim_violation(world, "image %s is left behind by a deletion", mongo->images[i].id);
}
