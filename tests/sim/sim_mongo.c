/* SPDX-License-Identifier: Apache-2.0 */
/* A model of the ledger and of the image store. An unordered bulk may take effect in part when its answer is lost; everything
 * that was done stays (majority). */
#include "sim_mongo.h"

#include <stdlib.h>
#include <string.h>

struct sim_mongo *sim_mongo_create(void) {
    return gri_calloc(1, sizeof(struct sim_mongo));
}

void sim_mongo_destroy(struct sim_mongo *mongo) {
    free(mongo);
}

struct sim_url *sim_find_url(struct sim_mongo *mongo, const char *key) {
    for (size_t i = 0; i < mongo->url_count; i++)
        if (strcmp(mongo->urls[i].key, key) == 0) return &mongo->urls[i];
    return NULL;
}

struct sim_image *sim_find_image(struct sim_mongo *mongo, const char *id) {
    for (size_t i = 0; i < mongo->image_count; i++)
        if (strcmp(mongo->images[i].id, id) == 0) return &mongo->images[i];
    return NULL;
}

struct sim_image *sim_find_image_of(struct sim_mongo *mongo, const char *job, const char *pipeline) {
    for (size_t i = 0; i < mongo->image_count; i++)
        if (strcmp(mongo->images[i].job, job) == 0 && strcmp(mongo->images[i].pipeline, pipeline) == 0) return &mongo->images[i];
    return NULL;
}

void sim_mongo_push(struct sim_world *world, const struct sim_catalog *catalog) {
    struct sim_mongo *mongo = world->mongo;
    const uint8_t *at = catalog->text.data, *end = at + catalog->text.len;
    (void)gri_copy(mongo->catalogs[mongo->catalog_count++].id, GRI_CATALOG_ID_MAX, catalog->id);
    int64_t number = 0, line = 1;
    while (at < end) {
        struct sim_chunk *chunk = &mongo->chunks[mongo->chunk_count++];
        *chunk = (struct sim_chunk){.number = number++, .first_line = line, .text = {at, 0}};
        (void)gri_copy(chunk->catalog, sizeof chunk->catalog, catalog->id);
        while (at < end && chunk->lines < SIM_CHUNK_LINES) {
            const uint8_t *stop = memchr(at, '\n', (size_t)(end - at));
            at = stop ? stop + 1 : end;
            chunk->lines++;
            line++;
        }
        chunk->text.len = (size_t)(at - chunk->text.data);
    }
}

bool sim_mongo_is_drained(const struct sim_mongo *mongo) {
    for (int i = 0; i < mongo->catalog_count; i++)
        if (!mongo->catalogs[i].finished) return false;
    for (size_t i = 0; i < mongo->url_count; i++)
        if (mongo->urls[i].state != GRI_URL_DONE && mongo->urls[i].state != GRI_URL_DEAD) return false;
    return true;
}

/* For bulks that are cut: is this one done? */
static bool done_of_part(struct sim_process *process, bool part) {
    return !part || sim_one_in(process->world, 2);
}

#define REQUEST(type, op) gri_container_of(op, struct gri_ledger_##type, op)

static int64_t do_lease(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_ledger_lease *lease = REQUEST(lease, op);
    struct sim_mongo *mongo = process->world->mongo;
    int i = 0;
    (void)part;
    while (i < mongo->lease_count && strcmp(mongo->leases[i].name, lease->name) != 0)
        i++;
    if (i == mongo->lease_count) {
        mongo->lease_count++;
        (void)gri_copy(mongo->leases[i].name, sizeof mongo->leases[i].name, lease->name);
    }
    bool own = strcmp(mongo->leases[i].holder, lease->holder) == 0;
    lease->held = lease->ttl_ms > 0 && (own || mongo->leases[i].until_ms <= process->world->now_ms);
    if (lease->held) {
        (void)gri_copy(mongo->leases[i].holder, sizeof mongo->leases[i].holder, lease->holder);
        mongo->leases[i].until_ms = process->world->now_ms + lease->ttl_ms;
    } else if (own) {
        mongo->leases[i].until_ms = 0;
    }
    return 0;
}

static bool is_open(const struct sim_url *url) {
    return url->state == GRI_URL_QUEUED || url->state == GRI_URL_WAITING;
}

static int64_t open_of(const struct sim_mongo *mongo, const char *catalog) {
    int64_t open = 0;
    for (size_t i = 0; i < mongo->url_count; i++)
        open += is_open(&mongo->urls[i]) && strcmp(mongo->urls[i].catalog, catalog) == 0;
    return open;
}

static int64_t do_feed(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_ledger_feed *feed = REQUEST(feed, op);
    struct sim_mongo *mongo = process->world->mongo;
    (void)part;
    feed->catalogs = gri_calloc(SIM_CATALOGS_MAX, sizeof *feed->catalogs);
    feed->count = 0;
    for (int c = 0; c < mongo->catalog_count && feed->count < feed->catalog_limit; c++) {
        if (mongo->catalogs[c].finished) continue;
        struct gri_feed_catalog *catalog = &feed->catalogs[feed->count++];
        (void)gri_copy(catalog->id, sizeof catalog->id, mongo->catalogs[c].id);
        catalog->state = GRI_CATALOG_RUNNING;
        catalog->open = open_of(mongo, catalog->id);
        if (catalog->open > feed->open_limit) catalog->open = feed->open_limit;
        for (size_t i = 0; i < mongo->url_count && catalog->queued < feed->queued_limit; i++)
            catalog->queued += mongo->urls[i].state == GRI_URL_QUEUED && strcmp(mongo->urls[i].catalog, catalog->id) == 0;
        catalog->next = gri_calloc(feed->chunk_limit + 1, sizeof *catalog->next);
        for (size_t i = 0; i < mongo->chunk_count; i++) {
            const struct sim_chunk *chunk = &mongo->chunks[i];
            if (strcmp(chunk->catalog, catalog->id) != 0) continue;
            catalog->chunks++;
            if (chunk->admitted || catalog->next_count == feed->chunk_limit) continue;
            struct gri_feed_chunk *next = &catalog->next[catalog->next_count++];
            next->number = chunk->number;
            (void)gri_copy(next->announced_id, sizeof next->announced_id, chunk->announced_id);
        }
    }
    return 0;
}

static struct sim_chunk *find_chunk(struct sim_mongo *mongo, const char *catalog, int64_t number) {
    for (size_t i = 0; i < mongo->chunk_count; i++)
        if (mongo->chunks[i].number == number && strcmp(mongo->chunks[i].catalog, catalog) == 0) return &mongo->chunks[i];
    return NULL;
}

static int64_t do_announced(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_ledger_announced *announced = REQUEST(announced, op);
    for (size_t i = 0; i < announced->count; i++) {
        struct sim_chunk *chunk = find_chunk(process->world->mongo, announced->catalog, announced->chunks[i]);
        if (chunk && !chunk->admitted && done_of_part(process, part))
            (void)gri_copy(chunk->announced_id, sizeof chunk->announced_id, announced->ids[i]);
    }
    return 0;
}

static int64_t do_settle(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_ledger_settle *settle = REQUEST(settle, op);
    struct sim_mongo *mongo = process->world->mongo;
    (void)part;
    settle->finished = open_of(mongo, settle->catalog) == 0;
    for (size_t i = 0; i < mongo->chunk_count; i++)
        if (strcmp(mongo->chunks[i].catalog, settle->catalog) == 0 && !mongo->chunks[i].admitted) settle->finished = false;
    for (int c = 0; settle->finished && c < mongo->catalog_count; c++)
        if (strcmp(mongo->catalogs[c].id, settle->catalog) == 0) mongo->catalogs[c].finished = true;
    return 0;
}

static int64_t do_chunk(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_ledger_chunk *request = REQUEST(chunk, op);
    const struct sim_chunk *chunk = find_chunk(process->world->mongo, request->catalog, request->number);
    (void)part;
    request->found = chunk != NULL;
    if (!chunk) return 0;
    request->admitted = chunk->admitted;
    request->state = GRI_CATALOG_RUNNING;
    (void)gri_copy(request->pipeline, sizeof request->pipeline, "gray@000000000001");
    (void)gri_copy(request->rules, sizeof request->rules, process->world->rules_id);
    request->retry_dead = false;
    request->first_line = chunk->first_line;
    request->lines = chunk->lines;
    request->continued = false;
    gri_bytes_reset(&request->text);
    op->status = gri_bytes_append(&request->text, chunk->text.data, chunk->text.len, &op->error);
    return 0;
}

static int64_t do_definition(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_ledger_definition *definition = REQUEST(definition, op);
    (void)part;
    gri_bytes_reset(&definition->body);
    if (definition->kind == GRI_DEF_RULES)
        gri_bytes_put_slice(&definition->body, gri_bytes_slice(&process->world->rules_body));
    else
        gri_bytes_put(&definition->body, "{}");
    return 0;
}

static int compare_lines(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t do_accounted(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_ledger_accounted *accounted = REQUEST(accounted, op);
    struct sim_mongo *mongo = process->world->mongo;
    (void)part;
    accounted->lines = gri_calloc(mongo->url_count + mongo->error_count + 1, sizeof *accounted->lines);
    accounted->count = 0;
    for (size_t i = 0; i < mongo->url_count; i++)
        if (strcmp(mongo->urls[i].catalog, accounted->catalog) == 0 && mongo->urls[i].line >= accounted->first &&
            mongo->urls[i].line <= accounted->last)
            accounted->lines[accounted->count++] = mongo->urls[i].line;
    for (size_t i = 0; i < mongo->error_count; i++)
        if (strcmp(mongo->errors[i].catalog, accounted->catalog) == 0 && mongo->errors[i].line >= accounted->first &&
            mongo->errors[i].line <= accounted->last)
            accounted->lines[accounted->count++] = mongo->errors[i].line;
    qsort(accounted->lines, accounted->count, sizeof *accounted->lines, compare_lines);
    return 0;
}

static int64_t do_admit(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_ledger_admit *admit = REQUEST(admit, op);
    struct sim_mongo *mongo = process->world->mongo;
    for (size_t i = 0; i < admit->count; i++) {
        const struct gri_admit *asked = &admit->urls[i];
        admit->results[i] = GRI_KNOWN;
        if (sim_find_url(mongo, asked->job.key)) continue;
        if (!done_of_part(process, part)) continue;
        GRI_ASSERT(mongo->url_count < SIM_URLS_MAX);
        struct sim_url *url = &mongo->urls[mongo->url_count++];
        *url = (struct sim_url){.state = GRI_URL_QUEUED,
                                .run = 1,
                                .queued_at_ms = process->world->now_ms,
                                .created_at_ms = process->world->now_ms,
                                .line = asked->line};
        (void)gri_copy(url->key, sizeof url->key, asked->job.key);
        (void)gri_copy(url->url, sizeof url->url, asked->job.url);
        (void)gri_copy(url->host, sizeof url->host, asked->host);
        (void)gri_copy(url->pipeline, sizeof url->pipeline, asked->job.pipeline);
        if (admit->catalog) (void)gri_copy(url->catalog, sizeof url->catalog, admit->catalog);
        admit->results[i] = GRI_ADMITTED;
        admit->runs[i] = 1;
    }
    return 0;
}

static int64_t do_reject(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_ledger_reject *reject = REQUEST(reject, op);
    struct sim_mongo *mongo = process->world->mongo;
    for (size_t i = 0; i < reject->count; i++) {
        bool known = false;
        for (size_t k = 0; k < mongo->error_count; k++)
            known = known ||
                    (mongo->errors[k].line == reject->errors[i].line && strcmp(mongo->errors[k].catalog, reject->catalog) == 0);
        if (known || !done_of_part(process, part)) continue;
        GRI_ASSERT(mongo->error_count < SIM_URLS_MAX);
        struct sim_line_error *error = &mongo->errors[mongo->error_count++];
        *error = (struct sim_line_error){.line = reject->errors[i].line, .reason = reject->errors[i].reason};
        (void)gri_copy(error->catalog, sizeof error->catalog, reject->catalog);
    }
    return 0;
}

static int64_t do_chunk_done(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_ledger_chunk_done *done = REQUEST(chunk_done, op);
    struct sim_chunk *chunk = find_chunk(process->world->mongo, done->catalog, done->number);
    (void)part;
    if (chunk) chunk->admitted = true;
    return 0;
}

static int64_t do_quarantine(struct sim_process *process, struct gri_op *op, bool part) {
    (void)process, (void)op, (void)part;
    return 0;
}

static void put_due(struct gri_due *due, const struct sim_url *url, int64_t now) {
    *due = (struct gri_due){.queued_ms = now - url->queued_at_ms};
    (void)gri_copy(due->job.key, sizeof due->job.key, url->key);
    (void)gri_copy(due->job.pipeline, sizeof due->job.pipeline, url->pipeline);
    (void)gri_copy(due->host, sizeof due->host, url->host);
    due->job.run = url->run;
    due->job.url = gri_strdup(url->url);
}

static int64_t do_due(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_ledger_due *due = REQUEST(due, op);
    struct sim_mongo *mongo = process->world->mongo;
    int64_t now = process->world->now_ms;
    due->due = gri_calloc(due->limit + 1, sizeof *due->due);
    due->count = 0;
    due->next_ms = -1;
    for (size_t i = 0; i < mongo->url_count; i++) {
        struct sim_url *url = &mongo->urls[i];
        if (url->state != GRI_URL_WAITING) continue;
        int64_t left = url->next_at_ms - now;
        if (left > 0 || due->count == due->limit) {
            if (due->next_ms < 0 || left < due->next_ms) due->next_ms = left > 0 ? left : 0;
            continue;
        }
        if (!done_of_part(process, part)) continue;
        url->state = GRI_URL_QUEUED;
        url->run++;
        url->queued_at_ms = now;
        put_due(&due->due[due->count++], url, now);
    }
    return 0;
}

static int64_t do_stale(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_ledger_stale *stale = REQUEST(stale, op);
    struct sim_mongo *mongo = process->world->mongo;
    int64_t now = process->world->now_ms;
    size_t i = stale->after && *stale->after ? (size_t)strtoul(stale->after, NULL, 10) : 0;
    (void)part;
    stale->due = gri_calloc(stale->limit + 1, sizeof *stale->due);
    stale->count = 0;
    for (; i < mongo->url_count && stale->count < stale->limit; i++) {
        const struct sim_url *url = &mongo->urls[i];
        if (url->state == GRI_URL_QUEUED && now - url->queued_at_ms >= stale->min_age_ms)
            put_due(&stale->due[stale->count++], url, now);
    }
    stale->cursor[0] = '\0';
    if (i < mongo->url_count) (void)gri_format(stale->cursor, sizeof stale->cursor, "%zu", i);
    return 0;
}

static int64_t do_check(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_ledger_check *check = REQUEST(check, op);
    int64_t now = process->world->now_ms;
    (void)part;
    for (size_t i = 0; i < check->count; i++) {
        const struct sim_url *url = sim_find_url(process->world->mongo, check->keys[i]);
        check->records[i] = (struct gri_url_record){.state = GRI_URL_ABSENT};
        if (!url) continue;
        check->records[i] = (struct gri_url_record){
            .state = url->state, .run = url->run, .attempts = (int)url->attempts, .age_ms = now - url->created_at_ms};
        check->records[i].limited_ms = url->limited_at_ms ? now - url->limited_at_ms : 0;
        (void)gri_copy(check->records[i].pipeline, sizeof check->records[i].pipeline, url->pipeline);
        (void)gri_copy(check->records[i].catalog, sizeof check->records[i].catalog, url->catalog);
    }
    return 0;
}

static void link_image(struct sim_url *url, const char *image, bool made) {
    for (int i = 0; i < url->image_count; i++)
        if (strcmp(url->images[i], image) == 0) {
            url->made = url->made || made;
            return;
        }
    GRI_ASSERT(url->image_count < SIM_IMAGES_PER_URL);
    (void)gri_copy(url->images[url->image_count++], GRI_IMAGE_ID_MAX, image);
    url->made = url->made || made;
}

static void finish_one(struct sim_url *url, struct gri_finish *item, int64_t now) {
    bool current = url->state == GRI_URL_QUEUED && url->run == item->run;
    item->applied = false;
    if (item->kind == GRI_FINISH_DONE && strcmp(url->pipeline, item->pipeline) == 0) {
        item->applied = url->state != GRI_URL_DONE;
        if (item->applied || item->made) link_image(url, item->image, item->made);
        url->state = GRI_URL_DONE;
    } else if (item->kind == GRI_FINISH_WAIT && current) {
        item->applied = true;
        url->state = GRI_URL_WAITING;
        url->next_at_ms = now + item->delay_ms;
        url->attempts += item->charge;
        if (item->limited && !url->limited_at_ms) url->limited_at_ms = now;
        url->reason = item->error.reason;
    } else if (item->kind == GRI_FINISH_DEAD && current) {
        item->applied = true;
        url->state = GRI_URL_DEAD;
        url->reason = item->error.reason;
    }
}

static int64_t do_finish(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_ledger_finish *finish = REQUEST(finish, op);
    for (size_t i = 0; i < finish->count; i++) {
        struct sim_url *url = sim_find_url(process->world->mongo, finish->items[i].key);
        GRI_ASSERT(url);
        if (done_of_part(process, part)) finish_one(url, &finish->items[i], process->world->now_ms);
    }
    return 0;
}

static int64_t do_events(struct sim_process *process, struct gri_op *op, bool part) {
    (void)process, (void)op, (void)part;
    return 0;
}

static int64_t do_gauges(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_ledger_gauges *gauges = REQUEST(gauges, op);
    (void)process, (void)part;
    gauges->waiting = gauges->queued = gauges->catalogs = 0;
    return 0;
}

#define SIM_OPERATION(name)                                                                                   \
    static void submit_##name(struct gri_ledger *ledger, struct gri_ledger_##name *request) {                 \
        sim_submit(gri_container_of(ledger, struct sim_process, ledger), SIM_MONGO, &request->op, do_##name); \
    }
SIM_OPERATION(lease)
SIM_OPERATION(feed)
SIM_OPERATION(announced)
SIM_OPERATION(settle)
SIM_OPERATION(chunk)
SIM_OPERATION(definition)
SIM_OPERATION(accounted)
SIM_OPERATION(admit)
SIM_OPERATION(reject)
SIM_OPERATION(chunk_done)
SIM_OPERATION(quarantine)
SIM_OPERATION(due)
SIM_OPERATION(stale)
SIM_OPERATION(check)
SIM_OPERATION(finish)
SIM_OPERATION(events)
SIM_OPERATION(gauges)

void sim_ledger_ops(struct sim_process *process) {
    static const struct gri_ledger_ops ops = {.lease = submit_lease,
                                              .feed = submit_feed,
                                              .announced = submit_announced,
                                              .settle = submit_settle,
                                              .chunk = submit_chunk,
                                              .definition = submit_definition,
                                              .accounted = submit_accounted,
                                              .admit = submit_admit,
                                              .reject = submit_reject,
                                              .chunk_done = submit_chunk_done,
                                              .quarantine = submit_quarantine,
                                              .due = submit_due,
                                              .stale = submit_stale,
                                              .check = submit_check,
                                              .finish = submit_finish,
                                              .events = submit_events,
                                              .gauges = submit_gauges};
    process->ledger.ops = &ops;
}

/* --- images --- */

static int64_t do_lookup(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_store_lookup *lookup = gri_container_of(op, struct gri_store_lookup, op);
    struct sim_mongo *mongo = process->world->mongo;
    (void)part;
    for (size_t i = 0; i < lookup->count; i++) {
        struct gri_image_lookup *item = &lookup->items[i];
        const struct sim_image *image =
            item->id[0] ? sim_find_image(mongo, item->id) : sim_find_image_of(mongo, item->job, item->pipeline);
        item->found = image != NULL;
        item->removed = false;
        item->own = image && strcmp(image->job, item->job) == 0;
        if (image) (void)gri_copy(item->found_id, sizeof item->found_id, image->id);
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
        if (!same && !of_job && !done_of_part(process, part)) continue;
        item->result = same ? GRI_SAME_CONTENT : of_job ? GRI_SAME_JOB : GRI_INSERTED;
        item->own = same && strcmp(same->job, item->image->job) == 0;
        (void)gri_copy(item->found_id, sizeof item->found_id, !same && of_job ? of_job->id : item->image->id);
        if (same || of_job) continue;
        GRI_ASSERT(mongo->image_count < SIM_URLS_MAX);
        struct sim_image *image = &mongo->images[mongo->image_count++];
        (void)gri_copy(image->id, sizeof image->id, item->image->id);
        (void)gri_copy(image->job, sizeof image->job, item->image->job);
        (void)gri_copy(image->pipeline, sizeof image->pipeline, item->image->pipeline);
    }
    return 0;
}

static void submit_lookup(struct gri_store *store, struct gri_store_lookup *request) {
    sim_submit(gri_container_of(store, struct sim_process, store), SIM_MONGO, &request->op, do_lookup);
}

static void submit_insert(struct gri_store *store, struct gri_store_insert *request) {
    sim_submit(gri_container_of(store, struct sim_process, store), SIM_MONGO, &request->op, do_insert);
}

void sim_store_ops(struct sim_process *process) {
    static const struct gri_store_ops ops = {.lookup = submit_lookup, .insert = submit_insert};
    process->store.ops = &ops;
}
