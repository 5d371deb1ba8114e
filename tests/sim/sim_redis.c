/* SPDX-License-Identifier: Apache-2.0 */
/* A model of the dispatch window: two streams with one group each, inflight, epoch, host gates. What a script does in Redis is
 * one step here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

struct entry {
    int64_t id;
    struct gri_job job; /* jobs */
    char *url;          /* urls */
    char catalog[GRI_CATALOG_ID_MAX];
    int64_t chunk;
    /* pending: */
    bool delivered;
    int owner; /* process index */
    int64_t deliveries, delivered_ms;
};

struct list {
    struct entry *entries; /* rising by id */
    size_t count, cap;
    int64_t next_id, last_delivered;
};

struct inflight {
    char key[GRI_KEY_MAX];
    int64_t id;
};

struct blocked {
    char host[GRI_HOST_MAX];
    int64_t until_ms;
};

struct state {
    struct list lists[2];
    struct inflight *inflight;
    size_t inflight_count, inflight_cap;
    struct blocked blocked[8];
    size_t blocked_count;
    char epoch[24];
};

struct sim_redis {
    struct state now, kept;
    bool has_kept;
    int64_t epochs;
};

static void entry_clear(struct entry *entry) {
    free(entry->url);
    gri_job_clear(&entry->job);
}

static void state_clear(struct state *state) {
    for (int s = 0; s < 2; s++) {
        for (size_t i = 0; i < state->lists[s].count; i++)
            entry_clear(&state->lists[s].entries[i]);
        free(state->lists[s].entries);
    }
    free(state->inflight);
    *state = (struct state){.epoch = ""};
}

static void state_copy(struct state *to, const struct state *from) {
    *to = *from;
    for (int s = 0; s < 2; s++) {
        to->lists[s].entries = gri_calloc(from->lists[s].cap + 1, sizeof(struct entry));
        for (size_t i = 0; i < from->lists[s].count; i++) {
            struct entry *entry = &to->lists[s].entries[i];
            *entry = from->lists[s].entries[i];
            entry->url = entry->url ? gri_strdup(entry->url) : NULL;
            gri_job_copy(&entry->job, &from->lists[s].entries[i].job);
        }
    }
    to->inflight = gri_calloc(from->inflight_cap + 1, sizeof *to->inflight);
    if (from->inflight_count) memcpy(to->inflight, from->inflight, from->inflight_count * sizeof *to->inflight);
}

struct sim_redis *sim_redis_create(void) {
    struct sim_redis *redis = gri_calloc(1, sizeof *redis);
    redis->now.lists[0].next_id = redis->now.lists[1].next_id = 1;
    return redis;
}

void sim_redis_destroy(struct sim_redis *redis) {
    state_clear(&redis->now);
    state_clear(&redis->kept);
    free(redis);
}

static struct state *state_of(struct sim_process *process) {
    return &process->world->redis->now;
}

static struct entry *add_entry(struct list *list) {
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 64;
        list->entries = realloc(list->entries, (list->cap + 1) * sizeof *list->entries);
        GRI_ASSERT(list->entries);
    }
    struct entry *entry = &list->entries[list->count++];
    *entry = (struct entry){.id = list->next_id++, .owner = -1};
    return entry;
}

static struct entry *find_entry(struct list *list, int64_t id) {
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (list->entries[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < list->count && list->entries[low].id == id ? &list->entries[low] : NULL;
}

static void remove_entry(struct list *list, struct entry *entry) {
    size_t i = (size_t)(entry - list->entries);
    entry_clear(entry);
    memmove(entry, entry + 1, (list->count - i - 1) * sizeof *entry);
    list->count--;
}

static struct inflight *find_inflight(struct state *state, const char *key) {
    for (size_t i = 0; i < state->inflight_count; i++)
        if (strcmp(state->inflight[i].key, key) == 0) return &state->inflight[i];
    return NULL;
}

static void drop_inflight(struct state *state, struct inflight *at) {
    *at = state->inflight[--state->inflight_count];
}

static int64_t id_of(const char *text) {
    return strtoll(text, NULL, 10);
}

static void put_id(char out[GRI_ENTRY_ID_MAX], int64_t id) {
    (void)gri_format(out, GRI_ENTRY_ID_MAX, "%lld-0", (long long)id);
}

static void out_url(const struct entry *entry, struct gri_url_entry *out) {
    *out = (struct gri_url_entry){.deliveries = entry->deliveries, .chunk = entry->chunk};
    put_id(out->id, entry->id);
    (void)gri_copy(out->catalog, sizeof out->catalog, entry->catalog);
    if (entry->url) {
        out->url = gri_strdup(entry->url);
        out->url_len = strlen(entry->url);
    }
}

static void out_job(const struct entry *entry, struct gri_job_entry *out) {
    *out = (struct gri_job_entry){.deliveries = entry->deliveries};
    put_id(out->id, entry->id);
    gri_job_copy(&out->job, &entry->job);
}

/* Hands entry i of the result arrays to the reader. */
static void hand_out(enum gri_stream_name name, const struct entry *entry, struct gri_url_entry *urls, struct gri_job_entry *jobs,
                     size_t i) {
    if (name == GRI_STREAM_URLS)
        out_url(entry, &urls[i]);
    else
        out_job(entry, &jobs[i]);
}

static void make_arrays(enum gri_stream_name name, size_t max, struct gri_url_entry **urls, struct gri_job_entry **jobs) {
    *urls = name == GRI_STREAM_URLS ? gri_calloc(max, sizeof **urls) : NULL;
    *jobs = name == GRI_STREAM_JOBS ? gri_calloc(max, sizeof **jobs) : NULL;
}

static int64_t do_read(struct sim_process *process, struct gri_op *op, bool part) {
    (void)part;
    struct gri_stream_read *read = gri_container_of(op, struct gri_stream_read, op);
    struct list *list = &state_of(process)->lists[read->stream];
    bool any = list->count > 0 && list->entries[list->count - 1].id > list->last_delivered;
    if (!any && read->block_ms > 0 && !sim_is_hurried(process, op)) {
        int64_t wait = read->block_ms < 40 ? read->block_ms : 40;
        read->block_ms -= wait;
        return wait;
    }
    make_arrays(read->stream, read->max, &read->urls, &read->jobs);
    read->count = 0;
    for (size_t i = 0; i < list->count && read->count < read->max; i++) {
        struct entry *entry = &list->entries[i];
        if (entry->id <= list->last_delivered) continue;
        list->last_delivered = entry->id;
        entry->delivered = true;
        entry->owner = process->index;
        entry->deliveries = 1;
        entry->delivered_ms = process->world->now_ms;
        hand_out(read->stream, entry, read->urls, read->jobs, read->count++);
    }
    return 0;
}

static int64_t do_reclaim(struct sim_process *process, struct gri_op *op, bool part) {
    (void)part;
    struct gri_stream_reclaim *reclaim = gri_container_of(op, struct gri_stream_reclaim, op);
    struct list *list = &state_of(process)->lists[reclaim->stream];
    make_arrays(reclaim->stream, reclaim->max, &reclaim->urls, &reclaim->jobs);
    reclaim->count = reclaim->missing = 0;
    for (size_t i = 0; i < list->count && reclaim->count < reclaim->max; i++) {
        struct entry *entry = &list->entries[i];
        if (!entry->delivered || process->world->now_ms - entry->delivered_ms < reclaim->min_idle_ms) continue;
        entry->owner = process->index;
        entry->deliveries++;
        entry->delivered_ms = process->world->now_ms;
        hand_out(reclaim->stream, entry, reclaim->urls, reclaim->jobs, reclaim->count++);
    }
    return 0;
}

static int64_t do_heartbeat(struct sim_process *process, struct gri_op *op, bool part) {
    (void)part;
    struct gri_stream_heartbeat *beat = gri_container_of(op, struct gri_stream_heartbeat, op);
    struct list *list = &state_of(process)->lists[beat->stream];
    for (size_t i = 0; i < beat->count; i++) {
        struct entry *entry = find_entry(list, id_of(beat->ids[i]));
        bool own = entry && entry->delivered && entry->owner == process->index;
        beat->fences[i] = own ? GRI_OWNED : GRI_FENCED;
        if (own) entry->delivered_ms = process->world->now_ms;
    }
    return 0;
}

static int64_t do_ack(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_stream_ack *ack = gri_container_of(op, struct gri_stream_ack, op);
    struct state *state = state_of(process);
    struct list *list = &state->lists[ack->stream];
    (void)part; /* a script is whole */
    for (size_t i = 0; i < ack->count; i++) {
        struct entry *entry = find_entry(list, id_of(ack->ids[i]));
        bool own = entry && entry->delivered && entry->owner == process->index;
        ack->fences[i] = own ? GRI_OWNED : GRI_FENCED;
        if (!own) continue;
        struct inflight *inflight = ack->keys ? find_inflight(state, ack->keys[i]) : NULL;
        if (inflight && inflight->id == entry->id) drop_inflight(state, inflight);
        remove_entry(list, entry);
    }
    return 0;
}

static int64_t do_announce(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_stream_announce *announce = gri_container_of(op, struct gri_stream_announce, op);
    (void)part;
    for (size_t i = 0; i < announce->count; i++) {
        struct entry *entry = add_entry(&state_of(process)->lists[GRI_STREAM_URLS]);
        (void)gri_copy(entry->catalog, sizeof entry->catalog, announce->catalog);
        entry->chunk = announce->chunks[i];
        put_id(announce->ids[i], entry->id);
    }
    return 0;
}

static int64_t do_present(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_stream_present *present = gri_container_of(op, struct gri_stream_present, op);
    (void)part;
    for (size_t i = 0; i < present->count; i++)
        present->present[i] = find_entry(&state_of(process)->lists[GRI_STREAM_URLS], id_of(present->ids[i])) != NULL;
    return 0;
}

static int64_t do_dispatch(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_stream_dispatch *dispatch = gri_container_of(op, struct gri_stream_dispatch, op);
    struct state *state = state_of(process);
    (void)part;
    for (size_t i = 0; i < dispatch->count; i++) {
        const struct gri_job *job = &dispatch->jobs[i];
        if (find_inflight(state, job->key)) {
            dispatch->results[i] = GRI_ALREADY_INFLIGHT;
        } else if ((int64_t)state->inflight_count >= dispatch->limit) {
            dispatch->results[i] = GRI_WINDOW_FULL;
        } else {
            struct entry *entry = add_entry(&state->lists[GRI_STREAM_JOBS]);
            gri_job_copy(&entry->job, job);
            if (state->inflight_count == state->inflight_cap) {
                state->inflight_cap = state->inflight_cap ? state->inflight_cap * 2 : 64;
                state->inflight = realloc(state->inflight, (state->inflight_cap + 1) * sizeof *state->inflight);
                GRI_ASSERT(state->inflight);
            }
            struct inflight *inflight = &state->inflight[state->inflight_count++];
            (void)gri_copy(inflight->key, sizeof inflight->key, job->key);
            inflight->id = entry->id;
            dispatch->results[i] = GRI_DISPATCHED;
        }
    }
    dispatch->inflight = (int64_t)state->inflight_count;
    return 0;
}

static int64_t do_inspect(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_stream_inspect *inspect = gri_container_of(op, struct gri_stream_inspect, op);
    struct state *state = state_of(process);
    struct list *list = &state->lists[GRI_STREAM_JOBS];
    (void)part;
    for (size_t i = 0; i < inspect->count; i++) {
        struct inflight *inflight = find_inflight(state, inspect->keys[i]);
        inspect->results[i] = inflight ? GRI_INFLIGHT : GRI_NOT_INFLIGHT;
        if (!inflight || !inspect->deep) continue;
        struct entry *entry = find_entry(list, inflight->id);
        if (entry && (entry->delivered || entry->id > list->last_delivered)) continue;
        if (entry) remove_entry(list, entry);
        drop_inflight(state, inflight);
        inspect->results[i] = GRI_INFLIGHT_LOST;
    }
    return 0;
}

static struct blocked *find_blocked(struct state *state, const char *host) {
    for (size_t i = 0; i < state->blocked_count; i++)
        if (strcmp(state->blocked[i].host, host) == 0) return &state->blocked[i];
    return NULL;
}

static int64_t do_gate(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_stream_gate *gate = gri_container_of(op, struct gri_stream_gate, op);
    struct blocked *blocked = find_blocked(state_of(process), gate->host);
    int64_t left = blocked ? blocked->until_ms - process->world->now_ms : 0;
    (void)part;
    gate->blocked_ms = left > 0 ? left : 0;
    for (size_t i = 0; i < gate->take; i++)
        gate->wait_ms[i] = gate->blocked_ms > 0 ? -1 : 0;
    return 0;
}

static int64_t do_block(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_stream_block *block = gri_container_of(op, struct gri_stream_block, op);
    struct state *state = state_of(process);
    struct blocked *blocked = find_blocked(state, block->host);
    (void)part;
    if (!blocked) {
        GRI_ASSERT(state->blocked_count < 8);
        blocked = &state->blocked[state->blocked_count++];
        *blocked = (struct blocked){.until_ms = 0};
        (void)gri_copy(blocked->host, sizeof blocked->host, block->host);
    }
    int64_t until = process->world->now_ms + block->ms;
    if (until > blocked->until_ms) blocked->until_ms = until;
    return 0;
}

static void depth(const struct sim_process *process, const struct list *list, struct gri_stream_depth *out) {
    *out = (struct gri_stream_depth){.length = (int64_t)list->count};
    for (size_t i = 0; i < list->count; i++) {
        const struct entry *entry = &list->entries[i];
        int64_t idle = process->world->now_ms - entry->delivered_ms;
        out->pending += entry->delivered;
        out->lag += !entry->delivered;
        if (entry->delivered && idle > out->oldest_pending_ms) out->oldest_pending_ms = idle;
    }
}

static int64_t do_stats(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_stream_stats *stats = gri_container_of(op, struct gri_stream_stats, op);
    struct state *state = state_of(process);
    (void)part;
    depth(process, &state->lists[0], &stats->urls);
    depth(process, &state->lists[1], &stats->jobs);
    stats->inflight = (int64_t)state->inflight_count;
    stats->memory_bytes = 0;
    return 0;
}

static int64_t do_leave(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_stream_leave *leave = gri_container_of(op, struct gri_stream_leave, op);
    struct list *list = &state_of(process)->lists[leave->stream];
    (void)part;
    leave->removed = true;
    for (size_t i = 0; i < list->count; i++)
        if (list->entries[i].delivered && list->entries[i].owner == process->index) leave->removed = false;
    return 0;
}

/* --- connection --- */

static void connected(void *arg) {
    struct sim_process *process = arg;
    struct sim_redis *redis = process->world->redis;
    if (!process->stream_open || process->stream_up) return;
    if (process->world->redis_down) return; /* told again when it is back */
    bool made = redis->now.epoch[0] == '\0';
    if (made) (void)gri_format(redis->now.epoch, sizeof redis->now.epoch, "%lld", (long long)++redis->epochs);
    bool other = process->known_epoch[0] && strcmp(process->known_epoch, redis->now.epoch) != 0;
    (void)gri_copy(process->known_epoch, sizeof process->known_epoch, redis->now.epoch);
    process->stream_up = true;
    process->stream.changed(process->stream.changed_arg, made || other ? GRI_STREAM_EPOCH : GRI_STREAM_UP);
}

static void disconnected(void *arg) {
    struct sim_process *process = arg;
    if (process->stream_open) process->stream.changed(process->stream.changed_arg, GRI_STREAM_DOWN);
}

/* Breaks the process's connection; it comes back by itself. */
static void reconnect(struct sim_process *process) {
    if (!process->alive || !process->stream_open) return;
    bool was_up = process->stream_up;
    process->stream_up = false;
    if (was_up) (void)sim_at(process->world, process, sim_between(process->world, 0, 20), disconnected, NULL, process);
    (void)sim_at(process->world, process, sim_between(process->world, 100, 600), connected, NULL, process);
}

void sim_redis_set_down(struct sim_world *world, bool down) {
    world->redis_down = down;
    for (int i = 0; i < world->process_count; i++)
        reconnect(&world->processes[i]);
}

void sim_redis_flush(struct sim_world *world) {
    state_clear(&world->redis->now);
    world->redis->now.lists[0].next_id = world->redis->now.lists[1].next_id = 1;
    /* Ids go on by the clock in a real Redis: an old id never names a new entry. */
    for (int s = 0; s < 2; s++)
        world->redis->now.lists[s].next_id = world->now_ms * 1000 + 1;
    world->flushes++;
    for (int i = 0; i < world->process_count; i++)
        reconnect(&world->processes[i]);
}

void sim_redis_snapshot(struct sim_world *world) {
    state_clear(&world->redis->kept);
    state_copy(&world->redis->kept, &world->redis->now);
    world->redis->has_kept = true;
}

void sim_redis_rollback(struct sim_world *world) {
    if (!world->redis->has_kept) return;
    state_clear(&world->redis->now);
    state_copy(&world->redis->now, &world->redis->kept);
    for (int s = 0; s < 2; s++)
        world->redis->now.lists[s].next_id = world->now_ms * 1000 + 1;
    world->rollbacks++;
    for (int i = 0; i < world->process_count; i++)
        reconnect(&world->processes[i]);
}

void sim_redis_add_url(struct sim_world *world, const char *url) {
    add_entry(&world->redis->now.lists[GRI_STREAM_URLS])->url = gri_strdup(url);
}

int64_t sim_redis_inflight(const struct sim_redis *redis) {
    return (int64_t)redis->now.inflight_count;
}

void sim_redis_print(const struct sim_redis *redis, int64_t now_ms) {
    for (int s = 0; s < 2; s++) {
        const struct list *list = &redis->now.lists[s];
        printf("  %s: last delivered %lld, next %lld\n", s ? "jobs" : "urls", (long long)list->last_delivered, (long long)list->next_id);
        for (size_t i = 0; i < list->count; i++) {
            const struct entry *entry = &list->entries[i];
            printf("    %lld %s: %s, consumer %d, %lld deliveries, idle %lld ms\n", (long long)entry->id, s ? entry->job.url : entry->url ? entry->url : "chunk",
                   entry->delivered ? "pending" : "new", entry->owner, (long long)entry->deliveries, (long long)(now_ms - entry->delivered_ms));
        }
    }
}

const char *sim_redis_leftovers(const struct sim_redis *redis, char out[200]) {
    const struct state *now = &redis->now;
    out[0] = '\0';
    if (now->lists[0].count || now->lists[1].count || now->inflight_count)
        (void)gri_format(out, 200, "%zu entries in urls, %zu in jobs, %zu inflight", now->lists[0].count, now->lists[1].count,
                         now->inflight_count);
    return out;
}

/* --- the port --- */

static struct sim_process *of_stream(struct gri_stream *stream) {
    return gri_container_of(stream, struct sim_process, stream);
}

static void open_stream(struct gri_stream *stream) {
    struct sim_process *process = of_stream(stream);
    process->stream_open = true;
    (void)sim_at(process->world, process, 5, connected, NULL, process);
}

static void close_stream(struct gri_stream *stream) {
    of_stream(stream)->stream_open = false;
}

static void cancel_read(struct gri_stream *stream, struct gri_stream_read *request) {
    sim_hurry(of_stream(stream), &request->op);
}

#define SIM_OPERATION(name)                                                                   \
    static void submit_##name(struct gri_stream *stream, struct gri_stream_##name *request) { \
        sim_submit(of_stream(stream), SIM_REDIS, &request->op, do_##name);                    \
    }
SIM_OPERATION(read)
SIM_OPERATION(reclaim)
SIM_OPERATION(heartbeat)
SIM_OPERATION(ack)
SIM_OPERATION(announce)
SIM_OPERATION(present)
SIM_OPERATION(dispatch)
SIM_OPERATION(inspect)
SIM_OPERATION(gate)
SIM_OPERATION(block)
SIM_OPERATION(stats)
SIM_OPERATION(leave)

void sim_redis_ops(struct sim_process *process) {
    static const struct gri_stream_ops ops = {.open = open_stream,
                                              .read = submit_read,
                                              .cancel_read = cancel_read,
                                              .reclaim = submit_reclaim,
                                              .heartbeat = submit_heartbeat,
                                              .ack = submit_ack,
                                              .announce = submit_announce,
                                              .present = submit_present,
                                              .dispatch = submit_dispatch,
                                              .inspect = submit_inspect,
                                              .gate = submit_gate,
                                              .block = submit_block,
                                              .stats = submit_stats,
                                              .leave = submit_leave,
                                              .close = close_stream};
    process->stream.ops = &ops;
}
