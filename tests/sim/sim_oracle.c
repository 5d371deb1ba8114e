/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle: what must hold once everything is healed and drained. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job_key.h"
#include "lines.h"
#include "rules.h"
#include "sim_mongo.h"

static int violation(const struct sim_world *world, const char *format, ...) GRI_PRINTF(2, 3);

static int violation(const struct sim_world *world, const char *format, ...) {
    va_list args;
    printf("seed %llu: ", (unsigned long long)world->seed);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    return 1;
}

static bool links(const struct sim_url *url, const char *image) {
    for (int i = 0; i < url->image_count; i++)
        if (strcmp(url->images[i], image) == 0) return true;
    return false;
}

static int check_url(const struct sim_world *world, const struct sim_url *url) {
    int bad = 0;
    enum sim_fate fate = sim_origin_fate(url->url);
    if (url->state != GRI_URL_DONE && url->state != GRI_URL_DEAD)
        bad += violation(world, "%s is neither done nor dead", url->url);
    if (fate == SIM_DEAD && url->state == GRI_URL_DONE) bad += violation(world, "%s is done, which it can't be", url->url);
    if (fate == SIM_DONE && url->state == GRI_URL_DEAD)
        bad += violation(world, "%s is dead (%s) without reason", url->url, gri_reason_name(url->reason));
    if (url->state == GRI_URL_DONE && url->image_count == 0) bad += violation(world, "%s is done without an image", url->url);
    for (int i = 0; i < url->image_count; i++)
        if (!sim_find_image(world->mongo, url->images[i]))
            bad += violation(world, "%s links the image %s, which is not stored", url->url, url->images[i]);
    return bad;
}

/* Every image's job is done and links it; `made` is right; no job made two; no two have the same id. */
static int check_images(const struct sim_world *world) {
    struct sim_mongo *mongo = world->mongo;
    int bad = 0;
    for (size_t i = 0; i < mongo->image_count; i++) {
        const struct sim_image *image = &mongo->images[i];
        const struct sim_url *url = sim_find_url(mongo, image->job);
        if (!url || url->state != GRI_URL_DONE)
            bad += violation(world, "the job of image %s is not done", image->id);
        else if (!links(url, image->id))
            bad += violation(world, "image %s is linked by nobody: its job is %s", image->id, url->url);
        else if (!url->made)
            bad += violation(world, "%s made an image and does not say so", url->url);
        for (size_t k = 0; k < i; k++) {
            if (strcmp(mongo->images[k].id, image->id) == 0) bad += violation(world, "image %s is stored twice", image->id);
            if (strcmp(mongo->images[k].job, image->job) == 0) bad += violation(world, "job %s made two images", image->job);
        }
    }
    for (size_t i = 0; i < mongo->url_count; i++)
        if (mongo->urls[i].made && !sim_find_image_of(mongo, mongo->urls[i].key, mongo->urls[i].pipeline))
            bad += violation(world, "%s says that it made an image; none is its own", mongo->urls[i].url);
    return bad;
}

static bool has_error(const struct sim_mongo *mongo, const char *catalog, int64_t line) {
    for (size_t i = 0; i < mongo->error_count; i++)
        if (mongo->errors[i].line == line && strcmp(mongo->errors[i].catalog, catalog) == 0) return true;
    return false;
}

/* Every line is accounted for: blank, an error of its own, or its URL is in the ledger (of equal lines exactly one is first). */
static int check_lines(const struct sim_world *world, const struct sim_catalog *catalog, const struct gri_ruleset *rules) {
    struct gri_lines lines;
    struct gri_slice line;
    struct gri_verdict verdict;
    int64_t number;
    int bad = 0;
    gri_lines_init(&lines, gri_bytes_slice(&catalog->text), 1, false);
    while (gri_lines_next(&lines, &number, &line)) {
        char key[GRI_KEY_MAX];
        gri_ruleset_judge(rules, line, &verdict);
        bool error = has_error(world->mongo, catalog->id, number);
        if (verdict.kind == GRI_LINE_BAD && !error)
            bad += violation(world, "line %lld has no error: %.*s", (long long)number, (int)line.len, (const char *)line.data);
        if (verdict.kind != GRI_LINE_BAD && error)
            bad += violation(world, "line %lld has an error without reason", (long long)number);
        if (verdict.kind != GRI_LINE_URL) continue;
        gri_job_key(world->crypto, verdict.url, NULL, "gray", key);
        if (!sim_find_url(world->mongo, key)) bad += violation(world, "lost: line %lld, %s", (long long)number, verdict.url);
    }
    for (size_t i = 0; i < world->mongo->url_count; i++) {
        const struct sim_url *a = &world->mongo->urls[i];
        for (size_t k = 0; k < i; k++) {
            const struct sim_url *b = &world->mongo->urls[k];
            if (strcmp(a->key, b->key) == 0) bad += violation(world, "two records of %s", a->url);
            if (a->line && a->line == b->line && strcmp(a->catalog, b->catalog) == 0)
                bad += violation(world, "two URLs say line %lld is first", (long long)a->line);
        }
    }
    return bad;
}

int sim_oracle(struct sim_world *world) {
    char left[200];
    struct gri_ruleset *rules;
    struct gri_error error;
    int bad = 0;
    GRI_ASSERT(gri_ruleset_compile(gri_bytes_slice(&world->rules_body), &rules, &error) == GRI_OK);
    for (size_t i = 0; i < world->mongo->url_count; i++)
        bad += check_url(world, &world->mongo->urls[i]);
    bad += check_images(world);
    for (int c = 0; c < world->catalog_count; c++)
        bad += check_lines(world, &world->catalogs[c], rules);
    if (*sim_redis_leftovers(world->redis, left)) bad += violation(world, "left in Redis: %s", left);
    gri_ruleset_free(rules);
    return bad;
}
