/* SPDX-License-Identifier: Apache-2.0 */
/* A model of the dispatch window: two streams with one group each, inflight, epoch, host gates. What a script does in Redis is
 * one step here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_redis.h"

enum { STATS_SAMPLE = 32 }; /* inflight marks that the script of stats looks at */

static struct sim_redis_state *state_of(struct sim_process *process) {
    return &process->world->redis->now;
}

struct sim_entry *sim_entry_add(struct sim_world *world, struct sim_list *list) {
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 64;
        list->entries = realloc(list->entries, (list->cap + 1) * sizeof *list->entries);
        GRI_ASSERT(list->entries);
    }
    struct sim_entry *entry = &list->entries[list->count++];
    *entry = (struct sim_entry){.id = list->next_id++, .owner = -1};
    sim_wake_readers(world, list == &world->redis->now.lists[GRI_STREAM_JOBS]);
    return entry;
}

static struct sim_entry *find_entry(struct sim_list *list, int64_t id) {
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

void sim_entry_remove(struct sim_list *list, struct sim_entry *entry) {
    size_t i = (size_t)(entry - list->entries);
    sim_entry_clear(entry);
    memmove(entry, entry + 1, (list->count - i - 1) * sizeof *entry);
    list->count--;
}

static struct sim_inflight *find_inflight(struct sim_redis_state *state, const char *key) {
    sim_short_key wanted = sim_shorten(key);
    for (size_t i = 0; i < state->inflight_count; i++)
        if (state->inflight[i].short_key == wanted && strcmp(state->inflight[i].key, key) == 0) return &state->inflight[i];
    return NULL;
}

static void drop_inflight(struct sim_redis_state *state, struct sim_inflight *at) {
    *at = state->inflight[--state->inflight_count];
}

static int64_t id_of(const char *text) {
    return strtoll(text, NULL, 10);
}

static void put_id(char out[GRI_ENTRY_ID_MAX], int64_t id) {
    char digits[24];
    size_t count = 0;
    for (; id > 0; id /= 10)
        digits[count++] = (char)('0' + id % 10);
    while (count > 0)
        *out++ = digits[--count];
    memcpy(out, "-0", 3);
}

static void out_url(const struct sim_entry *entry, struct gri_url_entry *out) {
    *out = (struct gri_url_entry){.deliveries = entry->deliveries, .chunk = entry->chunk};
    put_id(out->id, entry->id);
    (void)gri_copy(out->catalog, sizeof out->catalog, entry->catalog);
    if (entry->url) {
        out->url = gri_strdup(entry->url);
        out->url_len = strlen(entry->url);
    }
}

static void out_job(const struct sim_entry *entry, struct gri_job_entry *out) {
    *out = (struct gri_job_entry){.deliveries = entry->deliveries};
    put_id(out->id, entry->id);
    gri_job_copy(&out->job, &entry->job);
}

/* Hands entry i of the result arrays to the reader. */
static void hand_out(enum gri_stream_name name, const struct sim_entry *entry, struct gri_url_entry *urls,
                     struct gri_job_entry *jobs, size_t i) {
    if (name == GRI_STREAM_URLS)
        out_url(entry, &urls[i]);
    else
        out_job(entry, &jobs[i]);
}

static void make_arrays(enum gri_stream_name name, size_t max, struct gri_url_entry **urls, struct gri_job_entry **jobs) {
    *urls = name == GRI_STREAM_URLS ? gri_calloc(max, sizeof **urls) : NULL;
    *jobs = name == GRI_STREAM_JOBS ? gri_calloc(max, sizeof **jobs) : NULL;
}

/* The group is gone: the adapter makes it again and answers retry. */
static bool group_was_gone(struct sim_list *list, struct gri_op *op) {
    if (!list->no_group) return false;
    list->no_group = false;
    list->last_delivered = 0;
    op->status = gri_fail(&op->error, GRI_R_stream, "NOGROUP");
    return true;
}

static size_t first_after(const struct sim_list *list, int64_t id) {
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (list->entries[middle].id <= id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int64_t do_read(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_stream_read *read = gri_container_of(op, struct gri_stream_read, op);
    struct sim_list *list = &state_of(process)->lists[read->stream];
    (void)part;
    sim_watch_read(process, read->stream, read->max);
    if (group_was_gone(list, op)) return 0;
    size_t i = first_after(list, list->last_delivered);
    if (i == list->count && read->block_ms > 0 && !sim_is_hurried(process, op)) {
        int64_t wait = read->block_ms; /* it is woken where something comes */
        read->block_ms = 0;
        return wait;
    }
    make_arrays(read->stream, read->max, &read->urls, &read->jobs);
    for (read->count = 0; i < list->count && read->count < read->max; i++) {
        struct sim_entry *entry = &list->entries[i];
        list->last_delivered = entry->id;
        entry->delivered = true;
        entry->owner = process->owner;
        entry->deliveries = 1;
        entry->delivered_ms = process->world->now_ms;
        hand_out(read->stream, entry, read->urls, read->jobs, read->count++);
    }
    return 0;
}

static int64_t do_reclaim(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_stream_reclaim *reclaim = gri_container_of(op, struct gri_stream_reclaim, op);
    struct sim_list *list = &state_of(process)->lists[reclaim->stream];
    (void)part;
    sim_watch_read(process, reclaim->stream, reclaim->max);
    if (group_was_gone(list, op)) return 0;
    make_arrays(reclaim->stream, reclaim->max, &reclaim->urls, &reclaim->jobs);
    reclaim->count = reclaim->missing = 0;
    for (size_t i = 0; i < list->count && reclaim->count < reclaim->max; i++) {
        struct sim_entry *entry = &list->entries[i];
        if (!entry->delivered || process->world->now_ms - entry->delivered_ms < reclaim->min_idle_ms) continue;
        if (entry->gone) {
            sim_entry_remove(list, entry);
            reclaim->missing++;
            i--;
            continue;
        }
        entry->owner = process->owner;
        entry->deliveries++;
        entry->delivered_ms = process->world->now_ms;
        hand_out(reclaim->stream, entry, reclaim->urls, reclaim->jobs, reclaim->count++);
    }
    return 0;
}

static int64_t do_heartbeat(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_stream_heartbeat *beat = gri_container_of(op, struct gri_stream_heartbeat, op);
    struct sim_list *list = &state_of(process)->lists[beat->stream];
    (void)part;
    for (size_t i = 0; i < beat->count; i++) {
        struct sim_entry *entry = find_entry(list, id_of(beat->ids[i]));
        bool own = entry && entry->delivered && entry->owner == process->owner;
        beat->fences[i] = own && !entry->gone ? GRI_OWNED : GRI_FENCED;
        if (own && entry->gone)
            sim_entry_remove(list, entry); /* XCLAIM finds no body */
        else if (own)
            entry->delivered_ms = process->world->now_ms;
    }
    return 0;
}

static void watch_ack(struct sim_world *world, const struct sim_entry *entry, enum gri_stream_name stream) {
    if (stream == GRI_STREAM_JOBS)
        sim_watch_job_ack(world, &entry->job);
    else if (entry->url)
        sim_watch_bare_ack(world, entry->url);
    else
        sim_watch_chunk_ack(world, entry->catalog, entry->chunk);
}

static int64_t do_ack(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_stream_ack *ack = gri_container_of(op, struct gri_stream_ack, op);
    struct sim_redis_state *state = state_of(process);
    struct sim_list *list = &state->lists[ack->stream];
    (void)part; /* a script is whole */
    for (size_t i = 0; i < ack->count; i++) {
        struct sim_entry *entry = find_entry(list, id_of(ack->ids[i]));
        bool own = entry && entry->delivered && entry->owner == process->owner;
        ack->fences[i] = own ? GRI_OWNED : GRI_FENCED;
        if (!own) continue;
        watch_ack(process->world, entry, ack->stream);
        struct sim_inflight *inflight = ack->keys ? find_inflight(state, ack->keys[i]) : NULL;
        if (inflight && inflight->id == entry->id) drop_inflight(state, inflight);
        sim_entry_remove(list, entry);
    }
    return 0;
}

static int64_t do_announce(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_stream_announce *announce = gri_container_of(op, struct gri_stream_announce, op);
    (void)part;
    for (size_t i = 0; i < announce->count; i++) {
        struct sim_entry *entry = sim_entry_add(process->world, &state_of(process)->lists[GRI_STREAM_URLS]);
        (void)gri_copy(entry->catalog, sizeof entry->catalog, announce->catalog);
        entry->chunk = announce->chunks[i];
        put_id(announce->ids[i], entry->id);
    }
    return 0;
}

static int64_t do_present(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_stream_present *present = gri_container_of(op, struct gri_stream_present, op);
    (void)part;
    for (size_t i = 0; i < present->count; i++) {
        const struct sim_entry *entry = find_entry(&state_of(process)->lists[GRI_STREAM_URLS], id_of(present->ids[i]));
        present->present[i] = entry && !entry->gone;
    }
    return 0;
}

static int64_t do_dispatch(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_stream_dispatch *dispatch = gri_container_of(op, struct gri_stream_dispatch, op);
    struct sim_redis_state *state = state_of(process);
    (void)part;
    for (size_t i = 0; i < dispatch->count; i++) {
        const struct gri_job *job = &dispatch->jobs[i];
        if (find_inflight(state, job->key)) {
            dispatch->results[i] = GRI_ALREADY_INFLIGHT;
        } else if ((int64_t)state->inflight_count >= dispatch->limit) {
            dispatch->results[i] = GRI_WINDOW_FULL;
        } else {
            struct sim_entry *entry = sim_entry_add(process->world, &state->lists[GRI_STREAM_JOBS]);
            gri_job_copy(&entry->job, job);
            if (state->inflight_count == state->inflight_cap) {
                state->inflight_cap = state->inflight_cap ? state->inflight_cap * 2 : 64;
                state->inflight = realloc(state->inflight, (state->inflight_cap + 1) * sizeof *state->inflight);
                GRI_ASSERT(state->inflight);
            }
            struct sim_inflight *inflight = &state->inflight[state->inflight_count++];
            (void)gri_copy(inflight->key, sizeof inflight->key, job->key);
            inflight->short_key = sim_shorten(job->key);
            inflight->id = entry->id;
            dispatch->results[i] = GRI_DISPATCHED;
        }
    }
    dispatch->inflight = (int64_t)state->inflight_count;
    sim_watch_dispatch(process->world, dispatch->limit, dispatch->inflight);
    return 0;
}

static int64_t do_inspect(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_stream_inspect *inspect = gri_container_of(op, struct gri_stream_inspect, op);
    struct sim_redis_state *state = state_of(process);
    struct sim_list *list = &state->lists[GRI_STREAM_JOBS];
    (void)part;
    if (inspect->deep && group_was_gone(list, op)) return 0;
    for (size_t i = 0; i < inspect->count; i++) {
        struct sim_inflight *inflight = find_inflight(state, inspect->keys[i]);
        inspect->results[i] = inflight ? GRI_INFLIGHT : GRI_NOT_INFLIGHT;
        if (!inflight || !inspect->deep) continue;
        struct sim_entry *entry = find_entry(list, inflight->id);
        if (entry && !entry->gone && (entry->delivered || entry->id > list->last_delivered)) continue;
        if (entry && !entry->gone) sim_entry_remove(list, entry);
        drop_inflight(state, inflight);
        inspect->results[i] = GRI_INFLIGHT_LOST;
    }
    return 0;
}

static struct sim_gate *gate_of(struct sim_redis_state *state, const char *host) {
    for (size_t i = 0; i < state->gate_count; i++)
        if (strcmp(state->gates[i].host, host) == 0) return &state->gates[i];
    GRI_ASSERT(state->gate_count < 8);
    struct sim_gate *gate = &state->gates[state->gate_count++];
    *gate = (struct sim_gate){.until_ms = 0};
    (void)gri_copy(gate->host, sizeof gate->host, host);
    return gate;
}

static int64_t do_gate(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_stream_gate *request = gri_container_of(op, struct gri_stream_gate, op);
    struct sim_gate *gate = gate_of(state_of(process), request->host);
    double now = (double)process->world->now_ms;
    int64_t left = gate->until_ms - process->world->now_ms;
    (void)part;
    request->blocked_ms = left > 0 ? left : 0;
    if (gate->next_ms < now) gate->next_ms = now;
    for (size_t i = 0; i < request->take; i++) {
        bool late = gate->next_ms - now > (double)request->horizon_ms;
        bool budget = request->per_second > 0;
        request->wait_ms[i] = left > 0 || (budget && late) ? -1 : budget ? (int64_t)(gate->next_ms - now + 0.999) : 0;
        if (budget && request->wait_ms[i] >= 0) gate->next_ms += 1000 / request->per_second;
    }
    return 0;
}

static int64_t do_block(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_stream_block *block = gri_container_of(op, struct gri_stream_block, op);
    struct sim_gate *gate = gate_of(state_of(process), block->host);
    int64_t until = process->world->now_ms + block->ms;
    (void)part;
    if (until > gate->until_ms) gate->until_ms = until;
    return 0;
}

static void depth(const struct sim_process *process, const struct sim_list *list, struct gri_stream_depth *out) {
    *out = (struct gri_stream_depth){.length = (int64_t)list->count};
    for (size_t i = 0; i < list->count; i++) {
        const struct sim_entry *entry = &list->entries[i];
        int64_t idle = process->world->now_ms - entry->delivered_ms;
        out->length -= entry->gone;
        out->pending += entry->delivered;
        out->lag += !entry->delivered;
        if (entry->delivered && idle > out->oldest_pending_ms) out->oldest_pending_ms = idle;
    }
}

static int64_t do_stats(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_stream_stats *stats = gri_container_of(op, struct gri_stream_stats, op);
    struct sim_redis_state *state = state_of(process);
    (void)part;
    depth(process, &state->lists[0], &stats->urls);
    depth(process, &state->lists[1], &stats->jobs);
    for (int i = 0; i < STATS_SAMPLE && state->inflight_count > 0; i++) {
        struct sim_inflight *mark = &state->inflight[sim_random(process->world) % state->inflight_count];
        const struct sim_entry *entry = find_entry(&state->lists[GRI_STREAM_JOBS], mark->id);
        if (!entry || entry->gone) drop_inflight(state, mark);
    }
    stats->inflight = (int64_t)state->inflight_count;
    stats->memory_bytes = 0;
    return 0;
}

static int64_t do_leave(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_stream_leave *leave = gri_container_of(op, struct gri_stream_leave, op);
    struct sim_list *list = &state_of(process)->lists[leave->stream];
    (void)part;
    leave->removed = true;
    for (size_t i = 0; i < list->count; i++)
        if (list->entries[i].delivered && list->entries[i].owner == process->owner) leave->removed = false;
    return 0;
}

/* Simulated consumers have no record beside their entries: there is nothing to remove. */
static int64_t do_retire(struct sim_process *process, struct gri_op *op, bool part) {
    (void)process;
    (void)part;
    gri_container_of(op, struct gri_stream_retire, op)->removed = 0;
    return 0;
}

/* --- the port --- */

static struct sim_process *of_stream(struct gri_stream *stream) {
    return gri_container_of(stream, struct sim_process, stream);
}

static void open_stream(struct gri_stream *stream) {
    struct sim_process *process = of_stream(stream);
    process->stream_open = true;
    (void)sim_at(process->world, process, 5, sim_redis_connected, process);
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
SIM_OPERATION(retire)

static void submit_read(struct gri_stream *stream, struct gri_stream_read *request) {
    sim_watch_ask(of_stream(stream), request->stream, request->max);
    sim_submit(of_stream(stream), SIM_REDIS, &request->op, do_read);
}

static void submit_reclaim(struct gri_stream *stream, struct gri_stream_reclaim *request) {
    sim_watch_ask(of_stream(stream), request->stream, request->max);
    sim_submit(of_stream(stream), SIM_REDIS, &request->op, do_reclaim);
}

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
                                              .retire = submit_retire,
                                              .close = close_stream};
    process->stream.ops = &ops;
}

void sim_redis_discard(struct gri_op *op, sim_execute *execute) {
    if (execute == do_read) {
        struct gri_stream_read *read = gri_container_of(op, struct gri_stream_read, op);
        gri_url_entries_free(read->urls, read->count);
        gri_job_entries_free(read->jobs, read->count);
        read->urls = NULL;
        read->jobs = NULL;
        read->count = 0;
    } else if (execute == do_reclaim) {
        struct gri_stream_reclaim *reclaim = gri_container_of(op, struct gri_stream_reclaim, op);
        gri_url_entries_free(reclaim->urls, reclaim->count);
        gri_job_entries_free(reclaim->jobs, reclaim->count);
        reclaim->urls = NULL;
        reclaim->jobs = NULL;
        reclaim->count = 0;
    }
}
