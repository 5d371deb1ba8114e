/* SPDX-License-Identifier: Apache-2.0 */
/* The processes' lives: start, SIGKILL, SIGTERM with its grace period, and start again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scheduler.h"
#include "sim.h"
#include "worker.h"

enum { GRACE_MS = 60000 };

static const char *pin_pipeline(void *arg, const char *name) {
    (void)arg;
    return !name || !*name || strcmp(name, "gray") == 0 ? "gray@000000000001" : NULL;
}

static void start_scheduler(struct sim_process *process) {
    struct sim_world *world = process->world;
    struct gri_scheduler_options options;
    struct gri_error error;
    gri_scheduler_options_init(&options);
    options.name = process->name;
    options.loop = &process->loop;
    options.stream = &process->stream;
    options.ledger = &process->ledger;
    options.crypto = &world->base->crypto;
    options.pin_pipeline = pin_pipeline;
    options.rules = gri_bytes_slice(&world->base->rules_body);
    options.window = world->window;
    options.batch = world->scheduler_batch;
    options.chunk_slots = world->chunk_slots;
    options.feeder_outstanding = world->outstanding;
    options.lease_ms = world->lease_ms;
    options.heartbeat_ms = world->lease_ms / 6;
    options.stale_ms = 2 * world->lease_ms;
    options.lost_ms = 20 * world->lease_ms;
    options.images_keep_days = world->steering.keep_images_ms > 0; /* sim_steer.c says how long a day is */
    options.catalogs_keep_days = world->steering.keep_catalogs_ms > 0;
    GRI_ASSERT(gri_scheduler_create(&options, &process->scheduler, &error) == GRI_OK);
    gri_scheduler_start(process->scheduler);
}

static void never_fatal(void *hooks, const struct gri_error *error) {
    (void)hooks;
    fprintf(stderr, "a worker says it can't work: %s\n", error->detail);
    abort();
}

static void limit(void *hooks, const char *host, int *concurrency, double *per_second, char name[GRI_NAME_MAX]) {
    const struct sim_process *process = hooks;
    (void)name;
    *concurrency = SIM_HOST_CONCURRENCY;
    if (strcmp(host, "good.example") == 0) *per_second = (double)process->world->per_second;
}

static void start_worker(struct sim_process *process) {
    struct sim_world *world = process->world;
    struct gri_worker_options options = {.name = process->name,
                                         .version = "simulated",
                                         .loop = &process->loop,
                                         .stream = &process->stream,
                                         .ledger = &process->ledger,
                                         .store = &process->store,
                                         .fetcher = &process->fetcher,
                                         .codec = &process->codec,
                                         .isolator = &process->isolator,
                                         .crypto = &world->base->crypto,
                                         .cpu = &process->cpu,
                                         .slots = world->slots,
                                         .lingering = world->steering.lingering,
                                         .batch = world->worker_batch,
                                         .batch_ms = 5,
                                         .lease_ms = world->lease_ms,
                                         .heartbeat_ms = world->lease_ms / 6,
                                         .job_timeout_ms = 3 * world->lease_ms,
                                         .retry = {.base_ms = 1000, .max_ms = 20000, .max_attempts = 12},
                                         .hooks = process,
                                         .limit = limit,
                                         .fatal = never_fatal};
    if (world->flavour & SIM_SHUT) options.retry.max_age_ms = 20000;
    process->worker = gri_worker_create(&options);
    gri_worker_start(process->worker);
}

void sim_process_start(struct sim_process *process) {
    process->life++;
    process->alive = true;
    process->owner = ++process->world->owners;
    process->stranded = process->doomed = false;
    process->paused_ms = 0;
    process->stream = (struct gri_stream){0};
    (void)gri_format(process->name, sizeof process->name, "%s-%d-%llu", process->is_worker ? "worker" : "scheduler",
                     process->index, (unsigned long long)process->life);
    sim_process_loop_init(process);
    sim_redis_ops(process);
    sim_ledger_ops(process);
    sim_store_ops(process);
    sim_origin_ops(process);
    sim_isolator_ops(process);
    if (process->is_worker)
        start_worker(process);
    else
        start_scheduler(process);
}

static void end(struct sim_process *process) {
    sim_process_cut_off(process);
    if (process->scheduler) gri_scheduler_destroy(process->scheduler);
    gri_worker_destroy(process->worker);
    process->scheduler = NULL;
    process->worker = NULL;
}

void sim_process_destroy(struct sim_process *process) {
    if (process->alive) end(process);
}

static void start_again(void *arg) {
    struct sim_process *process = arg;
    if (!process->alive) sim_process_start(process);
}

static void end_and_start_again(struct sim_process *process) {
    end(process);
    (void)sim_at(process->world, NULL, sim_between(process->world, 200, 8000), start_again, process);
}

void sim_process_kill(struct sim_process *process) {
    if (process->alive) end_and_start_again(process);
}

/* --- SIGTERM --- */

static void leave(void *arg) {
    sim_watch_drained(arg);
    end_and_start_again(arg);
}

/* Not from inside the state machine's own call. */
static void drained(void *arg) {
    struct sim_process *process = arg;
    (void)sim_at(process->world, process, 0, leave, process);
}

static void grace_over(void *arg) {
    struct sim_process *process = arg;
    if (process->world->healed)
        sim_violation(process->world, "%s did not drain within its grace period", process->name);
    else
        sim_process_kill(process);
}

void sim_process_drain(struct sim_process *process) {
    if (!process->alive || process->draining) return;
    process->draining = true;
    process->drain_at_ms = process->world->now_ms;
    (void)sim_at(process->world, process, 2 * GRACE_MS, grace_over, process);
    if (process->is_worker)
        gri_worker_drain(process->worker, drained, process);
    else
        gri_scheduler_drain(process->scheduler, drained, process);
}
