/* SPDX-License-Identifier: Apache-2.0 */
/* The life of the simulated Redis: connections, restarts that forget, and hands that delete. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_redis.h"

void sim_entry_clear(struct sim_entry *entry) {
    free(entry->url);
    gri_job_clear(&entry->job);
}

static void state_clear(struct sim_redis_state *state) {
    for (int s = 0; s < 2; s++) {
        for (size_t i = 0; i < state->lists[s].count; i++)
            sim_entry_clear(&state->lists[s].entries[i]);
        free(state->lists[s].entries);
    }
    free(state->inflight);
    *state = (struct sim_redis_state){.epoch = ""};
}

static void state_copy(struct sim_redis_state *to, const struct sim_redis_state *from) {
    *to = *from;
    for (int s = 0; s < 2; s++) {
        to->lists[s].entries = gri_calloc(from->lists[s].cap + 1, sizeof(struct sim_entry));
        for (size_t i = 0; i < from->lists[s].count; i++) {
            struct sim_entry *entry = &to->lists[s].entries[i];
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

/* --- connection --- */

void sim_redis_connected(void *arg) {
    struct sim_process *process = arg;
    struct sim_redis *redis = process->world->redis;
    if (!process->stream_open || process->stream_up) return;
    if (process->world->redis_down) return; /* told again when it is back */
    bool made = redis->now.epoch[0] == '\0';
    if (made) (void)gri_format(redis->now.epoch, sizeof redis->now.epoch, "%lld", (long long)++redis->epochs);
    bool other = process->known_epoch[0] && strcmp(process->known_epoch, redis->now.epoch) != 0;
    (void)gri_copy(process->known_epoch, sizeof process->known_epoch, redis->now.epoch);
    process->stream_up = true;
    if (process->told_up) process->stream.changed(process->stream.changed_arg, GRI_STREAM_DOWN);
    process->told_up = true;
    process->stream.changed(process->stream.changed_arg, made || other ? GRI_STREAM_EPOCH : GRI_STREAM_UP);
}

static void disconnected(void *arg) {
    struct sim_process *process = arg;
    if (!process->stream_open || !process->told_up || process->stream_up) return;
    process->told_up = false;
    process->stream.changed(process->stream.changed_arg, GRI_STREAM_DOWN);
}

/* Breaks the process's connection; it comes back by itself. */
void sim_redis_reconnect(struct sim_process *process) {
    if (!process->alive || !process->stream_open) return;
    bool was_up = process->stream_up;
    process->stream_up = false;
    sim_break_redis(process);
    if (was_up) (void)sim_at(process->world, process, sim_between(process->world, 0, 20), disconnected, process);
    (void)sim_at(process->world, process, sim_between(process->world, 100, 600), sim_redis_connected, process);
}

void sim_redis_set_down(struct sim_world *world, bool down) {
    world->redis_down = down;
    for (int i = 0; i < world->process_count; i++)
        sim_redis_reconnect(&world->processes[i]);
}

void sim_redis_flush(struct sim_world *world) {
    state_clear(&world->redis->now);
    world->redis->now.lists[0].next_id = world->redis->now.lists[1].next_id = 1;
    /* Ids go on by the clock in a real Redis: an old id never names a new entry. */
    for (int s = 0; s < 2; s++)
        world->redis->now.lists[s].next_id = world->now_ms * 1000 + 1;
    for (int i = 0; i < world->process_count; i++)
        sim_redis_reconnect(&world->processes[i]);
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
    for (int i = 0; i < world->process_count; i++) {
        world->processes[i].stranded = true;
        sim_redis_reconnect(&world->processes[i]);
    }
}

void sim_redis_add_url(struct sim_world *world, const char *url) {
    sim_entry_add(world, &world->redis->now.lists[GRI_STREAM_URLS])->url = gri_strdup(url);
}

void sim_redis_print(const struct sim_redis *redis, int64_t now_ms) {
    for (int s = 0; s < 2; s++) {
        const struct sim_list *list = &redis->now.lists[s];
        printf("  %s: last delivered %lld, next %lld\n", s ? "jobs" : "urls", (long long)list->last_delivered,
               (long long)list->next_id);
        for (size_t i = 0; i < list->count; i++) {
            const struct sim_entry *entry = &list->entries[i];
            printf("    %lld %s: %s, consumer %lld, %lld deliveries, idle %lld ms\n", (long long)entry->id,
                   s            ? entry->job.url
                   : entry->url ? entry->url
                                : "chunk",
                   entry->delivered ? "pending" : "new", (long long)entry->owner, (long long)entry->deliveries,
                   (long long)(now_ms - entry->delivered_ms));
        }
    }
}

const char *sim_redis_leftovers(const struct sim_redis *redis, char out[200]) {
    const struct sim_redis_state *now = &redis->now;
    out[0] = '\0';
    if (now->lists[0].count || now->lists[1].count || now->inflight_count)
        (void)gri_format(out, 200, "%zu entries in urls, %zu in jobs, %zu inflight", now->lists[0].count, now->lists[1].count,
                         now->inflight_count);
    return out;
}

int64_t sim_redis_pending_of(const struct sim_process *process) {
    const struct sim_list *list = &process->world->redis->now.lists[process->is_worker ? GRI_STREAM_JOBS : GRI_STREAM_URLS];
    int64_t pending = 0;
    for (size_t i = 0; i < list->count; i++)
        pending += list->entries[i].delivered && list->entries[i].owner == process->owner;
    return pending;
}

/* --- deletions by hand --- */

/* XDEL: where it was delivered, the pending list still knows it. */
static void delete_entry(struct sim_list *list, struct sim_entry *entry) {
    if (entry->delivered)
        entry->gone = true;
    else
        sim_entry_remove(list, entry);
}

static void delete_jobs_key(struct sim_redis_state *state) {
    struct sim_list *list = &state->lists[GRI_STREAM_JOBS];
    while (list->count > 0)
        sim_entry_remove(list, &list->entries[list->count - 1]);
    list->no_group = true;
}

void sim_redis_tamper(struct sim_world *world) {
    struct sim_redis_state *state = &world->redis->now;
    struct sim_list *jobs = &state->lists[GRI_STREAM_JOBS], *urls = &state->lists[GRI_STREAM_URLS];
    size_t some;
    switch (sim_random(world) % 6) {
    case 0: /* XDEL of a job */
        if (jobs->count) delete_entry(jobs, &jobs->entries[sim_random(world) % jobs->count]);
        break;
    case 1: /* XTRIM */
        some = jobs->count ? (size_t)(sim_random(world) % jobs->count) : 0;
        for (size_t i = some; i-- > 0;)
            delete_entry(jobs, &jobs->entries[i]);
        break;
    case 2: /* HDEL */
        if (state->inflight_count)
            state->inflight[sim_random(world) % state->inflight_count] = state->inflight[state->inflight_count - 1],
                                                state->inflight_count--;
        break;
    case 3: /* DEL inflight */
        state->inflight_count = 0;
        break;
    case 4: /* XDEL of an announcement */
        some = urls->count ? (size_t)(sim_random(world) % urls->count) : 0;
        if (some < urls->count && !urls->entries[some].url) delete_entry(urls, &urls->entries[some]);
        break;
    default: /* DEL of the stream, and its group with it */
        delete_jobs_key(state);
        break;
    }
}
