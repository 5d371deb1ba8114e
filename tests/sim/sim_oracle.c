/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle: what must hold once everything is healed and drained. */
#include <string.h>

#include "sim_mongo.h"

static bool links(const struct sim_url *url, const char *image) {
    for (int i = 0; i < url->image_count; i++)
        if (strcmp(url->images[i], image) == 0) return true;
    return false;
}

static bool was_stopped(const struct sim_world *world, int catalog) {
    return world->mongo->catalogs[catalog].cancelled || world->mongo->catalogs[catalog].doomed;
}

static void check_url(struct sim_world *world, const struct sim_url *url) {
    enum sim_fate fate = sim_origin_fate(world, url->url);
    bool cancelled = url->state == GRI_URL_DEAD && url->reason == GRI_R_cancelled;
    if (url->state != GRI_URL_DONE && url->state != GRI_URL_DEAD) sim_violation(world, "%s is neither done nor dead", url->url);
    if (fate == SIM_DEAD && url->state == GRI_URL_DONE) sim_violation(world, "%s is done, which it can't be", url->url);
    if (fate == SIM_DONE && url->state == GRI_URL_DEAD && !cancelled)
        sim_violation(world, "%s is dead (%s) without reason", url->url, gri_reason_name(url->reason));
    if (cancelled && (url->catalog < 0 || url->shared || !was_stopped(world, url->catalog)))
        sim_violation(world, "%s is cancelled, and somebody still wants it", url->url);
    if (strstr(url->url, "/shut/") && !cancelled && url->reason != GRI_R_rate_limited)
        sim_violation(world, "%s is dead for another reason than its host's: %s", url->url, gri_reason_name(url->reason));
    bool poison = url->state == GRI_URL_DEAD && url->reason == GRI_R_poison;
    if (poison != (strstr(url->url, "/poison/") != NULL) && !cancelled)
        sim_violation(world, poison ? "%s is innocent, and dead as poison" : "%s is poison, and nobody says so", url->url);
    if (url->state == GRI_URL_DONE && url->image_count == 0 && !url->expired)
        sim_violation(world, "%s is done without an image", url->url);
    for (int i = 0; i < url->image_count; i++)
        if (!sim_find_image(world->mongo, url->images[i]))
            sim_violation(world, "%s links the image %s, which is not stored", url->url, url->images[i]);
    if (url->made && !sim_steer_removes(world) && !sim_find_image_of(world->mongo, url->key, url->pipeline))
        sim_violation(world, "%s says that it made an image; none is its own", url->url);
}

/* Every image's job is done and links it; `made` is right; no job made two; no two have the same id. */
static void check_images(struct sim_world *world) {
    struct sim_mongo *mongo = world->mongo;
    for (size_t i = 0; i < mongo->image_count; i++) {
        const struct sim_image *image = &mongo->images[i];
        const struct sim_url *url = sim_find_url(mongo, image->job);
        bool cancelled = url && url->state == GRI_URL_DEAD && url->reason == GRI_R_cancelled;
        if (cancelled) continue; /* it was cancelled between insert and link; the scrub adopts it */
        if (sim_steer_removes(world) && (!url || image->removed)) continue; /* sim_steer_check */
        if (!url || url->state != GRI_URL_DONE)
            sim_violation(world, "the job of image %s is not done", image->id);
        else if (!links(url, image->id))
            sim_violation(world, "image %s is linked by nobody: its job is %s", image->id, url->url);
        else if (!url->made)
            sim_violation(world, "%s made an image and does not say so", url->url);
        if (sim_find_image(mongo, image->id) != image) sim_violation(world, "image %s is stored twice", image->id);
        if (sim_find_image_of(mongo, image->job, image->pipeline) != image)
            sim_violation(world, "job %s made two images", image->job);
    }
}

/* Every line is accounted for: blank, an error of its own, or its URL is in the ledger (of equal lines exactly one is first). */
static void check_lines(struct sim_world *world, const struct sim_catalog *catalog) {
    struct sim_mongo *mongo = world->mongo;
    int index = sim_catalog_index(catalog->id);
    bool cancelled = was_stopped(world, index);
    if (mongo->catalogs[index].gone) return;
    for (int64_t line = 1; line <= catalog->lines; line++) {
        int n = catalog->urls[line - 1];
        bool error = sim_has_line_error(mongo, index, line);
        if (n == SIM_LINE_BAD && !error) sim_violation(world, "line %lld has no error", (long long)line);
        if (n != SIM_LINE_BAD && error && !cancelled)
            sim_violation(world, "line %lld has an error without reason", (long long)line);
        if (n < 0) continue;
        const struct sim_url *url = sim_find_url(mongo, sim_key(world, n));
        if (!url && !error) sim_violation(world, "lost: line %lld, %s", (long long)line, sim_url(world, n));
        if (url && !cancelled && url->state == GRI_URL_DEAD && url->reason == GRI_R_cancelled)
            sim_violation(world, "line %lld, %s, went with another's cancellation", (long long)line, url->url);
    }
}

static void check_first_lines(struct sim_world *world) {
    const struct sim_mongo *mongo = world->mongo;
    bool first[SIM_CATALOGS_MAX][SIM_LINES_MAX + 1] = {{false}};
    for (size_t i = 0; i < mongo->url_count; i++) {
        const struct sim_url *url = &mongo->urls[i];
        if (sim_find_url(world->mongo, url->key) != url) sim_violation(world, "two records of %s", url->url);
        if (url->catalog < 0) continue;
        GRI_ASSERT(url->line >= 1 && url->line <= SIM_LINES_MAX);
        if (first[url->catalog][url->line]) sim_violation(world, "two URLs say line %lld is first", (long long)url->line);
        first[url->catalog][url->line] = true;
    }
}

void sim_oracle(struct sim_world *world) {
    char left[200];
    for (size_t i = 0; i < world->mongo->url_count; i++)
        check_url(world, &world->mongo->urls[i]);
    check_images(world);
    check_first_lines(world);
    sim_steer_check(world);
    for (int c = 0; c < world->catalog_count; c++)
        check_lines(world, &world->catalogs[c]);
    for (int i = 0; i < world->bare_count; i++)
        if (world->bare[i] >= 0 && !sim_find_url(world->mongo, sim_key(world, world->bare[i])))
            sim_violation(world, "lost: the bare URL %s", sim_url(world, world->bare[i]));
    if (*sim_redis_leftovers(world->redis, left)) sim_violation(world, "left in Redis: %s", left);
}
