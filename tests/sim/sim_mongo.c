/* SPDX-License-Identifier: Apache-2.0 */
/* A model of the ledger. An unordered bulk may take effect in part when its answer is lost; everything that was done stays
 * (majority). */
#include "sim_mongo.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct sim_mongo *sim_mongo_create(void) {
    return gri_calloc(1, sizeof(struct sim_mongo));
}

void sim_mongo_reset(struct sim_mongo *mongo) {
    memset(mongo, 0, offsetof(struct sim_mongo, urls));
}

void sim_mongo_destroy(struct sim_mongo *mongo) {
    free(mongo);
}

int sim_catalog_index(const char *id) {
    return id[GRI_CATALOG_ID_MAX - 2] - '1';
}

sim_short_key sim_shorten(const char *key) {
    sim_short_key value;
    memcpy(&value, key, sizeof value);
    return value;
}

struct sim_url *sim_find_url(struct sim_mongo *mongo, const char *key) {
    sim_short_key wanted = sim_shorten(key);
    for (size_t i = 0; i < mongo->url_count; i++)
        if (mongo->url_keys[i] == wanted && strcmp(mongo->urls[i].key, key) == 0) return &mongo->urls[i];
    return NULL;
}

struct sim_chunk *sim_find_chunk(struct sim_mongo *mongo, int catalog, int64_t number) {
    for (size_t i = 0; i < mongo->chunk_count; i++)
        if (mongo->chunks[i].number == number && mongo->chunks[i].catalog == catalog) return &mongo->chunks[i];
    return NULL;
}

bool sim_has_line_error(const struct sim_mongo *mongo, int catalog, int64_t line) {
    for (size_t i = 0; i < mongo->error_count; i++)
        if (mongo->errors[i].line == line && mongo->errors[i].catalog == catalog) return true;
    return false;
}

void sim_mongo_push(struct sim_world *world, const struct sim_catalog *catalog) {
    struct sim_mongo *mongo = world->mongo;
    const uint8_t *at = catalog->text.data, *end = at + catalog->text.len;
    int index = sim_catalog_index(catalog->id);
    int64_t number = 0, line = 1;
    while (at < end) {
        GRI_ASSERT(mongo->chunk_count < SIM_ROWS_MAX);
        struct sim_chunk *chunk = &mongo->chunks[mongo->chunk_count++];
        *chunk = (struct sim_chunk){.catalog = index, .number = number++, .first_line = line, .text = {at, 0}};
        while (at < end && chunk->lines < catalog->chunk_lines) {
            const uint8_t *stop = memchr(at, '\n', (size_t)(end - at));
            at = stop ? stop + 1 : end;
            chunk->lines++;
            line++;
        }
        chunk->text.len = (size_t)(at - chunk->text.data);
    }
    mongo->catalogs[index].pushed = true;
    mongo->catalogs[index].retry_dead = catalog->retry_dead;
}

static bool is_open(const struct sim_url *url) {
    return url->state == GRI_URL_QUEUED || url->state == GRI_URL_WAITING;
}

/* What is pending of it and wanted by nobody else. */
static void give_up(struct sim_world *world, int catalog) {
    struct sim_mongo *mongo = world->mongo;
    for (size_t i = 0; i < mongo->url_count; i++) {
        struct sim_url *url = &mongo->urls[i];
        if (url->catalog != catalog || url->shared || !is_open(url)) continue;
        url->state = GRI_URL_DEAD;
        url->reason = GRI_R_cancelled;
    }
}

void sim_mongo_cancel(struct sim_world *world, int catalog) {
    struct sim_catalog_state *state = &world->mongo->catalogs[catalog];
    if (!state->pushed || state->finished || state->doomed) return;
    state->cancelled = true;
    give_up(world, catalog);
}

void sim_mongo_lose_leases(struct sim_world *world) {
    for (int i = 0; i < world->mongo->lease_count; i++)
        world->mongo->leases[i].until_ms = 0;
}

bool sim_mongo_is_drained(const struct sim_mongo *mongo) {
    for (int i = 0; i < SIM_CATALOGS_MAX; i++)
        if (mongo->catalogs[i].pushed && !mongo->catalogs[i].finished && !mongo->catalogs[i].gone) return false;
    for (size_t i = 0; i < mongo->url_count; i++)
        if (is_open(&mongo->urls[i])) return false;
    return true;
}

bool sim_done_of_part(struct sim_process *process, bool part) {
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

static int64_t open_of(const struct sim_mongo *mongo, int catalog, bool queued_only) {
    int64_t open = 0;
    for (size_t i = 0; i < mongo->url_count; i++)
        open += mongo->urls[i].catalog == catalog &&
                (queued_only ? mongo->urls[i].state == GRI_URL_QUEUED : is_open(&mongo->urls[i]));
    return open;
}

static int64_t at_most(int64_t value, int64_t limit) {
    return value < limit ? value : limit;
}

static enum gri_catalog_state state_of(const struct sim_mongo *mongo, int catalog) {
    if (mongo->catalogs[catalog].doomed) return GRI_CATALOG_DELETING;
    return mongo->catalogs[catalog].cancelled ? GRI_CATALOG_CANCELLED : GRI_CATALOG_RUNNING;
}

static void feed_catalog(const struct sim_world *world, const struct gri_ledger_feed *feed, int c,
                         struct gri_feed_catalog *catalog) {
    const struct sim_mongo *mongo = world->mongo;
    (void)gri_copy(catalog->id, sizeof catalog->id, world->base->catalog_ids[c]);
    catalog->state = state_of(mongo, c);
    catalog->open = at_most(open_of(mongo, c, false), feed->open_limit);
    catalog->queued = at_most(open_of(mongo, c, true), feed->queued_limit);
    catalog->next = gri_calloc(feed->chunk_limit + 1, sizeof *catalog->next);
    for (size_t i = 0; i < mongo->chunk_count; i++) {
        const struct sim_chunk *chunk = &mongo->chunks[i];
        if (chunk->catalog != c) continue;
        catalog->chunks++;
        if (chunk->admitted || catalog->next_count == feed->chunk_limit) continue;
        struct gri_feed_chunk *next = &catalog->next[catalog->next_count++];
        next->number = chunk->number;
        (void)gri_copy(next->announced_id, sizeof next->announced_id, chunk->announced_id);
    }
}

static int64_t do_feed(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_ledger_feed *feed = REQUEST(feed, op);
    const struct sim_mongo *mongo = process->world->mongo;
    (void)part;
    feed->catalogs = gri_calloc(SIM_CATALOGS_MAX, sizeof *feed->catalogs);
    feed->count = 0;
    for (int c = 0; c < SIM_CATALOGS_MAX && feed->count < feed->catalog_limit; c++)
        if (mongo->catalogs[c].pushed && !mongo->catalogs[c].finished && !mongo->catalogs[c].gone)
            feed_catalog(process->world, feed, c, &feed->catalogs[feed->count++]);
    return 0;
}

static int64_t do_announced(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_ledger_announced *announced = REQUEST(announced, op);
    for (size_t i = 0; i < announced->count; i++) {
        struct sim_chunk *chunk =
            sim_find_chunk(process->world->mongo, sim_catalog_index(announced->catalog), announced->chunks[i]);
        if (chunk && !chunk->admitted && sim_done_of_part(process, part))
            (void)gri_copy(chunk->announced_id, sizeof chunk->announced_id, announced->ids[i]);
    }
    return 0;
}

static int64_t do_settle(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_ledger_settle *settle = REQUEST(settle, op);
    struct sim_mongo *mongo = process->world->mongo;
    int catalog = sim_catalog_index(settle->catalog);
    (void)part;
    if (state_of(mongo, catalog) != GRI_CATALOG_RUNNING && !mongo->catalogs[catalog].finished) give_up(process->world, catalog);
    settle->finished = open_of(mongo, catalog, false) == 0;
    for (size_t i = 0; i < mongo->chunk_count; i++)
        if (mongo->chunks[i].catalog == catalog && !mongo->chunks[i].admitted) settle->finished = false;
    if (settle->finished && !mongo->catalogs[catalog].finished) {
        mongo->catalogs[catalog].finished = true;
        mongo->catalogs[catalog].finished_ms = process->world->now_ms;
    }
    return 0;
}

static int64_t do_chunk(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_ledger_chunk *request = REQUEST(chunk, op);
    struct sim_mongo *mongo = process->world->mongo;
    int catalog = sim_catalog_index(request->catalog);
    const struct sim_chunk *chunk = sim_find_chunk(mongo, catalog, request->number);
    (void)part;
    request->found = chunk != NULL;
    if (!chunk) return 0;
    request->admitted = chunk->admitted;
    request->state = state_of(mongo, catalog);
    (void)gri_copy(request->pipeline, sizeof request->pipeline, "gray@000000000001");
    (void)gri_copy(request->rules, sizeof request->rules, "rules@000000000001");
    request->retry_dead = mongo->catalogs[catalog].retry_dead;
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
        gri_bytes_put_slice(&definition->body, gri_bytes_slice(&process->world->base->rules_body));
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
    const struct sim_mongo *mongo = process->world->mongo;
    int catalog = sim_catalog_index(accounted->catalog);
    (void)part;
    accounted->lines = gri_calloc(mongo->url_count + mongo->error_count + 1, sizeof *accounted->lines);
    accounted->count = 0;
    for (size_t i = 0; i < mongo->url_count; i++) {
        const struct sim_url *url = &mongo->urls[i];
        if (url->catalog == catalog && url->line >= accounted->first && url->line <= accounted->last)
            accounted->lines[accounted->count++] = url->line;
    }
    for (size_t i = 0; i < mongo->error_count; i++) {
        const struct sim_line_error *error = &mongo->errors[i];
        if (error->catalog == catalog && error->line >= accounted->first && error->line <= accounted->last)
            accounted->lines[accounted->count++] = error->line;
    }
    qsort(accounted->lines, accounted->count, sizeof *accounted->lines, compare_lines);
    return 0;
}

static void admit_new(struct sim_world *world, const struct gri_admit *asked, int catalog) {
    struct sim_mongo *mongo = world->mongo;
    GRI_ASSERT(mongo->url_count < SIM_ROWS_MAX);
    mongo->url_keys[mongo->url_count] = sim_shorten(asked->job.key);
    struct sim_url *url = &mongo->urls[mongo->url_count++];
    *url = (struct sim_url){.state = GRI_URL_QUEUED,
                            .run = 1,
                            .queued_at_ms = world->now_ms,
                            .created_at_ms = world->now_ms,
                            .catalog = catalog,
                            .line = asked->line};
    (void)gri_copy(url->key, sizeof url->key, asked->job.key);
    (void)gri_copy(url->url, sizeof url->url, asked->job.url);
    (void)gri_copy(url->host, sizeof url->host, asked->host);
    (void)gri_copy(url->pipeline, sizeof url->pipeline, asked->job.pipeline);
}

static enum gri_admitted meet_known(struct sim_world *world, struct sim_url *url, int catalog, bool revive_dead) {
    if (url->catalog != catalog) url->shared = true;
    bool dead = url->state == GRI_URL_DEAD && (revive_dead || url->reason == GRI_R_cancelled);
    if (!dead && (url->state != GRI_URL_DONE || !url->expired)) return GRI_KNOWN;
    url->expired = false;
    url->state = GRI_URL_QUEUED;
    url->run++;
    url->attempts = 0;
    url->queued_at_ms = world->now_ms;
    return GRI_REVIVED;
}

static int64_t do_admit(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_ledger_admit *admit = REQUEST(admit, op);
    struct sim_world *world = process->world;
    int catalog = admit->catalog ? sim_catalog_index(admit->catalog) : -1;
    for (size_t i = 0; i < admit->count; i++) {
        const struct gri_admit *asked = &admit->urls[i];
        admit->results[i] = GRI_KNOWN;
        if (!sim_done_of_part(process, part)) continue;
        struct sim_url *known = sim_find_url(world->mongo, asked->job.key);
        if (!known) admit_new(world, asked, catalog);
        admit->results[i] = known ? meet_known(world, known, catalog, admit->revive_dead) : GRI_ADMITTED;
        admit->runs[i] = known ? known->run : 1;
    }
    return 0;
}

static int64_t do_reject(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_ledger_reject *reject = REQUEST(reject, op);
    struct sim_mongo *mongo = process->world->mongo;
    int catalog = sim_catalog_index(reject->catalog);
    for (size_t i = 0; i < reject->count; i++) {
        if (sim_has_line_error(mongo, catalog, reject->errors[i].line) || !sim_done_of_part(process, part)) continue;
        GRI_ASSERT(mongo->error_count < SIM_ROWS_MAX);
        mongo->errors[mongo->error_count++] =
            (struct sim_line_error){.catalog = catalog, .line = reject->errors[i].line, .reason = reject->errors[i].reason};
    }
    return 0;
}

static int64_t do_chunk_done(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_ledger_chunk_done *done = REQUEST(chunk_done, op);
    struct sim_chunk *chunk = sim_find_chunk(process->world->mongo, sim_catalog_index(done->catalog), done->number);
    (void)part;
    if (!chunk) return 0;
    sim_watch_chunk_done(process->world, chunk);
    chunk->admitted = true;
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
    due->due = gri_calloc((due->limit < mongo->url_count ? due->limit : mongo->url_count) + 1, sizeof *due->due);
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
        if (!sim_done_of_part(process, part)) continue;
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
    stale->due = gri_calloc((stale->limit < mongo->url_count ? stale->limit : mongo->url_count) + 1, sizeof *stale->due);
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
        if (url->catalog >= 0)
            (void)gri_copy(check->records[i].catalog, sizeof check->records[i].catalog,
                           process->world->base->catalog_ids[url->catalog]);
    }
    return 0;
}

static void link_image(struct sim_url *url, const char *image, bool made) {
    url->expired = false;
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
        if (item->applied) url->taken_down = item->removed;
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
        if (!url && !process->world->steering.deletions)
            sim_violation(process->world, "a record is gone: %s", finish->items[i].key);
        if (!sim_done_of_part(process, part)) continue;
        if (!url) { /* deleted meanwhile: what it made goes as well */
            finish->items[i].applied = false;
            if (finish->items[i].made) sim_condemn(process->world, finish->items[i].image);
            continue;
        }
        sim_watch_finish(process->world, url, &finish->items[i]);
        finish_one(url, &finish->items[i], process->world->now_ms);
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

/* Every catalog here is written whole. */
static int64_t do_reap(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_ledger_reap *reap = REQUEST(reap, op);
    (void)process, (void)part;
    reap->reaped = 0;
    reap->cursor[0] = '\0';
    return 0;
}

static int64_t do_upkeep(struct sim_process *process, struct gri_op *op, bool part) {
    (void)part;
    return sim_upkeep_step(process, REQUEST(upkeep, op));
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
SIM_OPERATION(reap)

static void submit_upkeep(struct gri_ledger *ledger, struct gri_ledger_upkeep *request) {
    struct sim_process *process = gri_container_of(ledger, struct sim_process, ledger);
    sim_upkeep_begin(process, request);
    sim_submit(process, SIM_MONGO, &request->op, do_upkeep);
}

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
                                              .gauges = submit_gauges,
                                              .reap = submit_reap,
                                              .upkeep = submit_upkeep};
    process->ledger.ops = &ops;
}

void sim_ledger_discard(struct gri_op *op, sim_execute *execute) {
    if (execute == do_feed) {
        struct gri_ledger_feed *feed = REQUEST(feed, op);
        gri_feed_catalogs_free(feed->catalogs, feed->count);
        feed->catalogs = NULL;
        feed->count = 0;
    } else if (execute == do_accounted) {
        free(REQUEST(accounted, op)->lines);
        REQUEST(accounted, op)->lines = NULL;
    } else if (execute == do_due) {
        gri_due_free(REQUEST(due, op)->due, REQUEST(due, op)->count);
        REQUEST(due, op)->due = NULL;
        REQUEST(due, op)->count = 0;
    } else if (execute == do_stale) {
        gri_due_free(REQUEST(stale, op)->due, REQUEST(stale, op)->count);
        REQUEST(stale, op)->due = NULL;
        REQUEST(stale, op)->count = 0;
    }
}
