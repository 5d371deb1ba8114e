/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold at every step, not only at the end: each is looked at when the servers are about to be changed. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sim_mongo.h"
#include "worker_state.h"

enum { PRINTED_MAX = 12, PAUSE_HARMLESS_MS = 20000 };

void sim_violation(struct sim_world *world, const char *format, ...) {
    va_list args;
    world->violations++;
    if (world->quiet || world->violations > PRINTED_MAX) return;
    printf("seed %llu, %lld ms: ", (unsigned long long)world->seed, (long long)world->now_ms);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

/* A link is written only to an image that is there; a failure changes only the run that it speaks of. */
void sim_watch_finish(struct sim_world *world, const struct sim_url *before, const struct gri_finish *item) {
    if (item->kind != GRI_FINISH_DONE) {
        if (item->run > before->run && !world->steering.struck_deletions) /* a URL that comes in again begins with run 1 */
            sim_violation(world, "%s: a write of run %lld, which never was", before->url, (long long)item->run);
        return;
    }
    const struct sim_image *image = sim_find_image(world->mongo, item->image);
    if (!image)
        sim_violation(world, "%s is linked to an image that is not stored: %s", before->url, item->image);
    else if (!sim_steer_removes(world) && item->made != (strcmp(image->job, before->key) == 0))
        sim_violation(world, "%s says wrongly whether it made its image", before->url);
}

/* All lines of a chunk are in before it is marked. */
void sim_watch_chunk_done(struct sim_world *world, const struct sim_chunk *chunk) {
    const struct sim_catalog *catalog = &world->catalogs[chunk->catalog];
    if (chunk->admitted) return; /* marked again: its lines may have been deleted since */
    for (int64_t i = chunk->first_line; i < chunk->first_line + chunk->lines; i++) {
        int n = catalog->urls[i - 1];
        bool error = sim_has_line_error(world->mongo, chunk->catalog, i);
        bool in = n == SIM_LINE_BLANK || error || (n >= 0 && sim_find_url(world->mongo, sim_key(world, n)));
        if (!in) sim_violation(world, "a chunk is marked admitted; its line %lld is not in", (long long)i);
    }
}

void sim_watch_chunk_ack(struct sim_world *world, const char *catalog, int64_t number) {
    const struct sim_chunk *chunk = sim_find_chunk(world->mongo, sim_catalog_index(catalog), number);
    if (chunk && !chunk->admitted) sim_violation(world, "chunk %lld is acked before it is admitted", (long long)number);
}

void sim_watch_bare_ack(struct sim_world *world, const char *url) {
    for (size_t i = 0; i < world->mongo->url_count; i++)
        if (strcmp(world->mongo->urls[i].url, url) == 0) return;
    if (strncmp(url, "https://", 8) == 0) sim_violation(world, "%s is acked before it is in the ledger", url);
}

/* The ledger comes first: what is acked has another state, or another run, there. */
void sim_watch_job_ack(struct sim_world *world, const struct gri_job *job) {
    const struct sim_url *url = sim_find_url(world->mongo, job->key);
    /* A URL that was deleted and comes in again begins with run 1, perhaps while an entry of its first life is there: the
     * sweeper's. */
    if (url && url->state == GRI_URL_QUEUED && url->run == job->run && !world->steering.struck_deletions)
        sim_violation(world, "%s is acked, and the ledger still waits for it (run %lld)", job->url, (long long)job->run);
}

/* Jobs that wait for their host, or failed there, and hold nothing but a record and the beginning of a body: only they may take
 * no slot. */
static bool may_linger(const struct gri_slot *slot) {
    enum gri_stage stage = slot->stage;
    bool waits = stage == GRI_STAGE_ROBOTS || stage == GRI_STAGE_TURN || stage == GRI_STAGE_GATE || stage == GRI_STAGE_FETCH;
    bool ends = stage == GRI_STAGE_FINISH || stage == GRI_STAGE_ACK;
    return waits || slot->looked_back || (ends && slot->finish.kind != GRI_FINISH_DONE);
}

static size_t waiting_for_hosts(const struct sim_process *process) {
    const struct gri_worker *worker = process->worker;
    size_t waiting = 0;
    for (size_t i = 0; process->world->steering.lingering && i < worker->o.slots; i++)
        waiting += may_linger(&worker->slots[i]);
    return waiting;
}

void sim_watch_ask(struct sim_process *process, enum gri_stream_name stream, size_t max) {
    if (stream == GRI_STREAM_URLS) return;
    struct sim_steering *steering = &process->world->steering;
    size_t slots = process->world->slots, busy = gri_worker_busy(process->worker), waiting = waiting_for_hosts(process);
    if (busy + max > slots + steering->lingering || busy - waiting + max > slots)
        sim_violation(process->world, "%s with %zu jobs in hand, %zu of them waiting for hosts, asks for %zu more", process->name,
                      busy, waiting, max);
    steering->lingered += busy + max > slots;
}

void sim_watch_read(struct sim_process *process, enum gri_stream_name stream, size_t max) {
    if (stream == GRI_STREAM_URLS) return;
    size_t busy = gri_worker_busy(process->worker);
    if (busy + max > process->world->slots + process->world->steering.lingering)
        sim_violation(process->world, "%s with %zu jobs in hand reads %zu more", process->name, busy, max);
    if (process->draining && process->world->now_ms - process->drain_at_ms > 5000)
        sim_violation(process->world, "%s drains and reads", process->name);
}

void sim_watch_dispatch(struct sim_world *world, int64_t limit, int64_t inflight) {
    if (limit > world->window) sim_violation(world, "a dispatch asks for a window of %lld", (long long)limit);
    if (inflight > world->window) sim_violation(world, "%lld jobs are inflight", (long long)inflight);
}

/* Nothing waits for a process that left: zero redeliveries. Unless an answer, or its state in Redis, was lost, or it slept so
 * long that it had to give jobs up. */
void sim_watch_drained(struct sim_process *process) {
    if (process->stranded || process->paused_ms > PAUSE_HARMLESS_MS || process->paused_ms > process->world->lease_ms) return;
    int64_t pending = sim_redis_pending_of(process);
    if (pending > 0) sim_violation(process->world, "%s has drained and leaves %lld entries", process->name, (long long)pending);
}
