/* SPDX-License-Identifier: Apache-2.0 */
/* Fakes of stream, ledger, store and fetcher: little models of Redis, MongoDB and the web. */
#include "worker_fake_ports.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void trace(struct world *world, const char *name, size_t count) {
    size_t used = strlen(world->trace);
    gri_format(world->trace + used, sizeof world->trace - used, "%s %zu;", name, count);
}

static void op_end(void *arg) {
    struct gri_op *op = arg;
    op->done(op);
}

static void answer_after(struct world *world, struct gri_op *op, int64_t ms) {
    gri_timer_start(&world->loop, ms, op_end, op);
}

static void ok(struct world *world, struct gri_op *op) {
    op->status = GRI_OK;
    answer_after(world, op, 1);
}

static void away(struct world *world, struct gri_op *op, enum gri_reason reason) {
    op->status = gri_fail(&op->error, reason, "away");
    op->error.unknown = true;
    answer_after(world, op, 1);
}

/* --- stream --------------------------------------------------------------------------------------------------------------- */

#define STREAM(s) gri_container_of(s, struct world, stream)

static void stream_open(struct gri_stream *stream) {
    (void)stream;
}

static size_t hand_out(struct world *world, bool again, size_t max, struct gri_job_entry **out) {
    struct gri_job_entry *jobs = gri_calloc(max + 1, sizeof *jobs);
    size_t count = 0;
    for (size_t i = 0; i < world->entry_count && count < max && !world->nothing_more; i++) {
        struct fake_entry *entry = &world->entries[i];
        if (entry->acked || entry->read != again) continue;
        if (again && entry->deliveries < 2) continue;
        entry->read = true;
        jobs[count].deliveries = entry->deliveries;
        gri_copy(jobs[count].id, sizeof jobs[count].id, entry->id);
        gri_copy(jobs[count].job.key, sizeof jobs[count].job.key, entry->key);
        gri_copy(jobs[count].job.pipeline, sizeof jobs[count].job.pipeline, entry->pipeline);
        jobs[count].job.run = entry->run;
        jobs[count].job.url = gri_strdup(entry->url);
        count++;
    }
    if (count == 0) {
        free(jobs);
        jobs = NULL;
    }
    *out = jobs;
    return count;
}

static void read_end(struct world *world) {
    struct gri_stream_read *read = world->read;
    world->read = NULL;
    gri_timer_stop(&world->loop, world->read_timer);
    world->read_timer = NULL;
    ok(world, &read->op);
}

static void read_blocked_long_enough(void *arg) {
    struct world *world = arg;
    world->read_timer = NULL;
    read_end(world);
}

void fake_stream_feed(struct world *world) {
    if (world->read == NULL) return;
    world->read->count = hand_out(world, false, world->read->max, &world->read->jobs);
    if (world->read->count > 0) read_end(world);
}

static void stream_read(struct gri_stream *stream, struct gri_stream_read *request) {
    struct world *world = STREAM(stream);
    GRI_ASSERT(world->read == NULL);
    world->read_asked++;
    if (world->reads_failing > 0) {
        world->reads_failing--;
        away(world, &request->op, GRI_R_stream);
        return;
    }
    world->read = request;
    world->read_timer = gri_timer_start(&world->loop, request->block_ms, read_blocked_long_enough, world);
    trace(world, "read", request->max);
    fake_stream_feed(world);
}

static void stream_cancel_read(struct gri_stream *stream, struct gri_stream_read *request) {
    if (STREAM(stream)->read == request) read_end(STREAM(stream));
}

static void stream_reclaim(struct gri_stream *stream, struct gri_stream_reclaim *request) {
    struct world *world = STREAM(stream);
    request->count = hand_out(world, true, request->max, &request->jobs);
    trace(world, "reclaim", request->count);
    ok(world, &request->op);
}

static struct fake_entry *entry_by_id(struct world *world, const char *id) {
    for (size_t i = 0; i < world->entry_count; i++)
        if (strcmp(world->entries[i].id, id) == 0) return &world->entries[i];
    GRI_ASSERT(!"an id that was never given");
    return NULL;
}

static void stream_heartbeat(struct gri_stream *stream, struct gri_stream_heartbeat *request) {
    struct world *world = STREAM(stream);
    world->heartbeats++;
    world->heartbeat_ids = request->count;
    for (size_t i = 0; i < request->count; i++) {
        const struct fake_entry *entry = entry_by_id(world, request->ids[i]);
        request->fences[i] = entry->fenced || entry->acked ? GRI_FENCED : GRI_OWNED;
    }
    trace(world, "heartbeat", request->count);
    ok(world, &request->op);
}

static void stream_ack(struct gri_stream *stream, struct gri_stream_ack *request) {
    struct world *world = STREAM(stream);
    trace(world, "ack", request->count);
    if (world->acks_failing > 0) {
        world->acks_failing--;
        away(world, &request->op, GRI_R_stream);
        return;
    }
    world->last_ack_size = request->count;
    for (size_t i = 0; i < request->count; i++) {
        struct fake_entry *entry = entry_by_id(world, request->ids[i]);
        GRI_ASSERT(strcmp(entry->key, request->keys[i]) == 0);
        GRI_ASSERT(!entry->acked); /* never twice */
        request->fences[i] = entry->fenced ? GRI_FENCED : GRI_OWNED;
        if (entry->fenced) continue;
        entry->acked = true;
        world->acked++;
    }
    ok(world, &request->op);
}

static void stream_gate(struct gri_stream *stream, struct gri_stream_gate *request) {
    struct world *world = STREAM(stream);
    trace(world, "gate", request->take);
    if (world->gates_failing > 0) {
        world->gates_failing--;
        away(world, &request->op, GRI_R_stream);
        return;
    }
    request->blocked_ms = world->gate_blocked_ms;
    for (size_t i = 0; i < request->take; i++) {
        double now = (double)world->now, turn = world->gate_next > now ? world->gate_next : now;
        request->wait_ms[i] = turn - now > (double)request->horizon_ms ? -1 : (int64_t)(turn - now);
        if (request->wait_ms[i] >= 0) world->gate_next = turn + world->gate_step_ms;
    }
    ok(world, &request->op);
}

static void stream_block(struct gri_stream *stream, struct gri_stream_block *request) {
    struct world *world = STREAM(stream);
    world->told_block_ms = request->ms;
    trace(world, "block", (size_t)request->ms);
    ok(world, &request->op);
}

static void stream_leave(struct gri_stream *stream, struct gri_stream_leave *request) {
    STREAM(stream)->left = request->removed = true;
    ok(STREAM(stream), &request->op);
}

static const struct gri_stream_ops stream_ops = {.open = stream_open,
                                                 .read = stream_read,
                                                 .cancel_read = stream_cancel_read,
                                                 .reclaim = stream_reclaim,
                                                 .heartbeat = stream_heartbeat,
                                                 .ack = stream_ack,
                                                 .gate = stream_gate,
                                                 .block = stream_block,
                                                 .leave = stream_leave};

/* --- ledger --------------------------------------------------------------------------------------------------------------- */

#define LEDGER(l) gri_container_of(l, struct world, ledger)

static struct fake_record *record_by_key(struct world *world, const char *key) {
    for (size_t i = 0; i < world->record_count; i++)
        if (strcmp(world->records[i].key, key) == 0) return &world->records[i];
    return NULL;
}

static void ledger_check(struct gri_ledger *ledger, struct gri_ledger_check *request) {
    struct world *world = LEDGER(ledger);
    trace(world, "check", request->count);
    if (world->ledger_away) {
        away(world, &request->op, GRI_R_store);
        return;
    }
    for (size_t i = 0; i < request->count; i++) {
        const struct fake_record *record = record_by_key(world, request->keys[i]);
        request->records[i] = record != NULL ? record->record : (struct gri_url_record){.state = GRI_URL_ABSENT};
    }
    ok(world, &request->op);
}

static bool image_is_there(const struct world *world, const char *id) {
    for (size_t i = 0; i < world->image_count; i++)
        if (strcmp(world->images[i].id, id) == 0) return true;
    return false;
}

static void finish_one(struct world *world, struct gri_finish *item) {
    struct fake_record *record = record_by_key(world, item->key);
    struct gri_url_record *r = &record->record;
    if (item->kind == GRI_FINISH_DONE) {
        GRI_ASSERT(image_is_there(world, item->image)); /* no link without its image */
        item->applied = r->state != GRI_URL_DONE && strcmp(r->pipeline, item->pipeline) == 0;
        if (item->applied) r->state = GRI_URL_DONE;
    } else {
        item->applied = r->state == GRI_URL_QUEUED && r->run == item->run;
        if (item->applied) r->state = item->kind == GRI_FINISH_WAIT ? GRI_URL_WAITING : GRI_URL_DEAD;
        if (item->applied && item->charge) r->attempts++;
    }
    if (item->applied) record->finish = *item;
}

static void came_due(void *arg) {
    struct fake_record *record = arg;
    world_again(record->world, (size_t)(record - record->world->records));
}

static void dispatch_later(struct world *world, const struct gri_finish *item) {
    struct fake_record *record = record_by_key(world, item->key);
    record->world = world;
    gri_timer_start(&world->loop, item->delay_ms, came_due, record);
}

static void ledger_finish(struct gri_ledger *ledger, struct gri_ledger_finish *request) {
    struct world *world = LEDGER(ledger);
    trace(world, "finish", request->count);
    if (world->ledger_away) {
        away(world, &request->op, GRI_R_store);
        return;
    }
    for (size_t i = 0; i < request->count; i++)
        finish_one(world, &request->items[i]);
    for (size_t i = 0; i < request->count && world->dispatches; i++)
        if (request->items[i].applied && request->items[i].kind == GRI_FINISH_WAIT) dispatch_later(world, &request->items[i]);
    world->events += (int)request->event_count;
    if (request->event_count > 0)
        gri_copy(world->last_event, sizeof world->last_event, request->events[request->event_count - 1].event);
    if (world->finishes_unknown > 0) {
        world->finishes_unknown--;
        away(world, &request->op, GRI_R_store);
        return;
    }
    ok(world, &request->op);
}

static void ledger_definition(struct gri_ledger *ledger, struct gri_ledger_definition *request) {
    struct world *world = LEDGER(ledger);
    trace(world, "definition", 1);
    if (world->definitions_failing > 0) {
        world->definitions_failing--;
        away(world, &request->op, GRI_R_store);
    } else if (world->definition_missing) {
        request->op.status = gri_fail(&request->op.error, GRI_R_no_pipeline, "%s", request->id);
        answer_after(world, &request->op, 1);
    } else {
        gri_bytes_put(&request->body, "{}");
        ok(world, &request->op);
    }
}

static void ledger_events(struct gri_ledger *ledger, struct gri_ledger_events *request) {
    struct world *world = LEDGER(ledger);
    world->events += (int)request->count;
    gri_copy(world->last_event, sizeof world->last_event, request->events[0].event);
    ok(world, &request->op);
}

static const struct gri_ledger_ops ledger_ops = {
    .check = ledger_check, .finish = ledger_finish, .definition = ledger_definition, .events = ledger_events};

/* --- store ---------------------------------------------------------------------------------------------------------------- */

#define STORE(s) gri_container_of(s, struct world, store)

static const struct fake_image *find_image(const struct world *world, const char *id, const char *job) {
    for (size_t i = 0; i < world->image_count; i++)
        if (id[0] != '\0' ? strcmp(world->images[i].id, id) == 0 : strcmp(world->images[i].job, job) == 0)
            return &world->images[i];
    return NULL;
}

static void store_lookup(struct gri_store *store, struct gri_store_lookup *request) {
    struct world *world = STORE(store);
    trace(world, "lookup", request->count);
    if (world->ledger_away) {
        away(world, &request->op, GRI_R_store);
        return;
    }
    for (size_t i = 0; i < request->count; i++) {
        struct gri_image_lookup *item = &request->items[i];
        const struct fake_image *image = find_image(world, item->id, item->job);
        if (image == NULL) continue;
        item->found = true;
        item->removed = image->removed;
        item->heal = image->heal;
        item->heal_inserted_at_ms = 777;
        gri_copy(item->heal_job, sizeof item->heal_job, image->job);
        item->own = strcmp(image->job, item->job) == 0;
        gri_copy(item->found_id, sizeof item->found_id, image->id);
    }
    ok(world, &request->op);
}

static void insert_one(struct world *world, struct gri_image_insert *item) {
    const struct gri_image *image = item->image;
    world->last_image = *image;
    gri_copy(world->last_data, sizeof world->last_data, gri_bytes_text(&image->data));
    gri_copy(world->last_url, sizeof world->last_url, image->source.url);
    if (world->insert_forced) {
        item->result = world->force_insert;
        item->error = world->insert_error;
        return;
    }
    const struct fake_image *same = find_image(world, image->id, "");
    const struct fake_image *own = find_image(world, "", image->job);
    if (same != NULL) {
        item->result = GRI_SAME_CONTENT;
        item->own = strcmp(same->job, image->job) == 0;
        gri_copy(item->found_id, sizeof item->found_id, same->id);
    } else if (own != NULL && strncmp(own->id, image->id, GRI_SHA256_HEX - 1) != 0) {
        item->result = GRI_SAME_JOB;
        gri_copy(item->found_id, sizeof item->found_id, own->id);
        if (image->output[0] != '\0')
            gri_format(item->found_id, sizeof item->found_id, "%.64s:%s/%s", own->id, image->pipeline, image->output);
    } else {
        item->result = GRI_INSERTED;
        gri_copy(item->found_id, sizeof item->found_id, image->id);
        world_add_image(world, image->id, image->job, false);
    }
}

static void store_insert(struct gri_store *store, struct gri_store_insert *request) {
    struct world *world = STORE(store);
    trace(world, "insert", request->count);
    world->last_insert_size = request->count;
    if (world->ledger_away) {
        away(world, &request->op, GRI_R_store);
        return;
    }
    for (size_t i = 0; i < request->count; i++)
        insert_one(world, &request->items[i]);
    if (world->inserts_unknown > 0) {
        world->inserts_unknown--;
        away(world, &request->op, GRI_R_store);
        return;
    }
    ok(world, &request->op);
}

static void store_heal(struct gri_store *store, struct gri_store_heal *request) {
    struct world *world = STORE(store);
    trace(world, "heal", request->count);
    if (request->count > 0) world->last_image = *request->images[0];
    ok(world, &request->op);
}

/* As if each image had come from https://a.test/1. */
static void store_recall(struct gri_store *store, struct gri_store_recall *request) {
    struct world *world = STORE(store);
    trace(world, "recall", request->count);
    for (size_t i = 0; i < request->count; i++) {
        struct gri_image_recall *item = &request->items[i];
        const struct fake_image *image = find_image(world, item->id, "");
        item->removed = image != NULL && image->removed;
        item->found = image != NULL && !image->removed && !image->heal;
        if (!item->found) continue;
        gri_copy(item->etag, sizeof item->etag, "\"tag\"");
        item->final_url = gri_strdup("https://a.test/1");
    }
    ok(world, &request->op);
}

static const struct gri_store_ops store_ops = {
    .lookup = store_lookup, .insert = store_insert, .heal = store_heal, .recall = store_recall};

/* --- fetcher -------------------------------------------------------------------------------------------------------------- */

#define FETCHER(f) gri_container_of(f, struct world, fetcher)

struct fetch_end {
    struct world *world;
    struct gri_fetch *fetch;
};

static bool is_slow(const struct world *world, const struct gri_fetch *fetch) {
    return world->slow_ms > 0 && strncmp(fetch->url, "https://slow", 12) == 0;
}

static void fetch_ends(void *arg) {
    struct fetch_end *end = arg;
    struct world *world = end->world;
    struct gri_fetch *fetch = end->fetch;
    free(end);
    world->fetching--;
    if (is_slow(world, fetch)) {
        fetch->op.status = gri_fail(&fetch->op.error, GRI_R_too_slow, "too slow");
    } else if (world->answer != NULL) {
        world->answer(world, fetch);
    } else {
        fetch->op.status = GRI_OK;
        fetch->http_status = 200;
        fetch->total_seconds = 0.01;
        fetch->final_url = gri_strdup("https://final.test/x");
        gri_bytes_put(&fetch->body, fetch->url);
    }
    fetch->op.done(&fetch->op);
}

static void fetcher_fetch(struct gri_fetcher *fetcher, struct gri_fetch *request) {
    struct world *world = FETCHER(fetcher);
    world->fetches++;
    world->fetching++;
    if (world->fetching > world->fetching_most) world->fetching_most = world->fetching;
    size_t used = strlen(world->trace);
    gri_format(world->trace + used, sizeof world->trace - used, "fetch %s;", request->url);
    if (world->hold_fetches) {
        for (size_t i = 0; i < FAKE_MAX; i++) {
            if (world->held[i] != NULL) continue;
            world->held[i] = request;
            return;
        }
    }
    struct fetch_end *end = gri_calloc(1, sizeof *end);
    *end = (struct fetch_end){world, request};
    gri_timer_start(&world->loop, is_slow(world, request) ? world->slow_ms : world->fetch_ms, fetch_ends, end);
}

static void fetcher_cancel(struct gri_fetcher *fetcher, struct gri_fetch *request) {
    struct world *world = FETCHER(fetcher);
    world->cancelled++;
    for (size_t i = 0; i < FAKE_MAX; i++) {
        if (world->held[i] != request) continue;
        world->held[i] = NULL;
        world->fetching--;
        request->op.status = gri_fail(&request->op.error, GRI_R_timeout, "cancelled");
        answer_after(world, &request->op, 1);
    }
}

static const struct gri_fetcher_ops fetcher_ops = {fetcher_fetch, fetcher_cancel};

/* -------------------------------------------------------------------------------------------------------------------------- */

void fake_ports_init(struct world *world) {
    world->stream.ops = &stream_ops;
    world->ledger.ops = &ledger_ops;
    world->store.ops = &store_ops;
    world->fetcher.ops = &fetcher_ops;
}

void fake_ports_abandon(struct world *world) {
    world->dispatches = false;
    world->nothing_more = true;
    for (int i = 0; i < 6000 && world->fetching > 0 && !world->hold_fetches; i++)
        world_run(world, 10); /* let fetches end, so that the fakes' memory is freed */
}
