/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's life: creation, clockwork, drain, end. */
#include "worker.h"
#include "hosts.h"
#include "pipeline.h"
#include "plans.h"
#include "robots.h"
#include "worker_state.h"
#include <stdlib.h>

enum { TICK_MS = 250 };

static int64_t or_default(int64_t value, int64_t otherwise) {
    return value > 0 ? value : otherwise;
}

static void fill_defaults(struct gri_worker_options *o) {
    o->slots = (size_t)or_default((int64_t)o->slots, 64);
    o->batch = (size_t)or_default((int64_t)o->batch, 32);
    o->batch_ms = or_default(o->batch_ms, 5);
    o->lease_ms = or_default(o->lease_ms, 30000);
    o->heartbeat_ms = or_default(o->heartbeat_ms, 5000);
    o->reclaim_ms = or_default(o->reclaim_ms, 5000);
    o->read_block_ms = or_default(o->read_block_ms, 2000);
    o->robots.keep_ms = or_default(o->robots.keep_ms, 3600000);
    o->job_timeout_ms = or_default(o->job_timeout_ms, 90000);
    o->host_concurrency = (int)or_default(o->host_concurrency, 8);
    o->retry.max_attempts = (int)or_default(o->retry.max_attempts, 8);
    o->retry.base_ms = or_default(o->retry.base_ms, 5000);
    o->retry.max_ms = or_default(o->retry.max_ms, 3600000);
    o->retry.max_after_ms = or_default(o->retry.max_after_ms, 3600000);
    o->retry.max_age_ms = or_default(o->retry.max_age_ms, 86400000);
}

struct gri_worker *gri_worker_create(const struct gri_worker_options *options) {
    struct gri_worker *worker = gri_calloc(1, sizeof *worker);
    worker->o = *options;
    fill_defaults(&worker->o);
    gri_copy(worker->name, sizeof worker->name, options->name);
    gri_format(worker->made_by, sizeof worker->made_by, "%s; %s", options->version, options->codec->ops->version(options->codec));
    worker->o.name = worker->name;
    worker->o.version = worker->made_by;
    worker->o.slots += worker->o.lingering;
    worker->slots = gri_calloc(worker->o.slots, sizeof *worker->slots);
    for (size_t i = 0; i < worker->o.slots; i++) {
        worker->slots[i].worker = worker;
        gri_slot_list_push(&worker->free, &worker->slots[i]);
    }
    gri_lane_init(&worker->check, worker, &gri_check_flight);
    gri_lane_init(&worker->lookup, worker, &gri_lookup_flight);
    gri_lane_init(&worker->recall, worker, &gri_recall_flight);
    gri_lane_init(&worker->heal, worker, &gri_heal_flight);
    gri_lane_init(&worker->insert, worker, &gri_insert_flight);
    gri_lane_init(&worker->finish, worker, &gri_finish_flight);
    gri_lane_init(&worker->ack, worker, &gri_ack_flight);
    worker->hosts = gri_hosts_create(worker);
    worker->plans = gri_plans_create(worker);
    worker->robots = gri_robots_create(worker);
    gri_heartbeat_init(worker);
    gri_worker_metrics_init(&worker->metrics, worker->o.metrics);
    worker->last_tick_ms = gri_now_ms(worker->o.loop);
    return worker;
}

void gri_worker_reload(struct gri_worker *worker, const struct gri_worker_options *options) {
    struct gri_worker_options filled = *options;
    fill_defaults(&filled);
    worker->o.retry = filled.retry;
    worker->o.job_timeout_ms = filled.job_timeout_ms;
    worker->o.host_concurrency = filled.host_concurrency;
    worker->o.robots = filled.robots;
    gri_robots_reload(worker->robots);
}

static void ticked(void *arg) {
    struct gri_worker *worker = arg;
    worker->tick = gri_timer_start(worker->o.loop, TICK_MS, ticked, worker);
    worker->last_tick_ms = gri_now_ms(worker->o.loop);
    gri_heartbeat_check_deadlines(worker);
    gri_lingering_tick(worker);
    gri_hosts_tick(worker->hosts);
    gri_picture_submit_waiting(worker); /* the executor may be another's, too, and full for a while */
    gri_worker_metrics_slots(&worker->metrics, worker->slots, worker->o.slots, worker->o.lingering);
    gri_reader_turn(worker);
    gri_drain_turn(worker);
}

static void kicked(void *arg) {
    struct gri_worker *worker = arg;
    worker->kick = NULL;
    gri_isolate_turn(worker);
    gri_reader_turn(worker);
    gri_drain_turn(worker);
}

void gri_worker_kick(struct gri_worker *worker) {
    if (worker->kick == NULL) worker->kick = gri_timer_start(worker->o.loop, 0, kicked, worker);
}

static void stream_changed(void *arg, enum gri_stream_state state) {
    gri_reader_stream_changed(arg, state);
}

void gri_worker_start(struct gri_worker *worker) {
    struct gri_stream *stream = worker->o.stream;
    GRI_ASSERT(worker->tick == NULL);
    worker->tick = gri_timer_start(worker->o.loop, TICK_MS, ticked, worker);
    gri_heartbeat_start(worker);
    stream->changed = stream_changed;
    stream->changed_arg = worker;
    stream->ops->open(stream);
}

void gri_worker_drain(struct gri_worker *worker, void (*done)(void *arg), void *arg) {
    gri_drain_start(worker, done, arg);
}

static void nobody_listens(void *arg, enum gri_stream_state state) {
    (void)arg;
    (void)state;
}

void gri_worker_destroy(struct gri_worker *worker) {
    if (worker == NULL) return;
    struct gri_loop *loop = worker->o.loop;
    if (worker->o.stream->changed_arg == worker) worker->o.stream->changed = nobody_listens; /* it may outlive us */
    gri_timer_stop(loop, worker->tick);
    gri_timer_stop(loop, worker->kick);
    gri_reader_clear(worker);
    gri_heartbeat_clear(worker);
    gri_lane_clear(&worker->check);
    gri_lane_clear(&worker->lookup);
    gri_lane_clear(&worker->recall);
    gri_lane_clear(&worker->heal);
    gri_lane_clear(&worker->insert);
    gri_lane_clear(&worker->finish);
    gri_lane_clear(&worker->ack);
    for (size_t i = 0; i < worker->o.slots; i++)
        gri_slot_clear(&worker->slots[i]);
    gri_plans_destroy(worker->plans);
    gri_hosts_destroy(worker->hosts);
    gri_robots_destroy(worker->robots);
    free(worker->slots);
    free(worker);
}

void gri_worker_mongo_away(struct gri_worker *worker) {
    if (worker->away++ == 0) gri_log(worker->o.log, GRI_WARN, "reading_paused", GRI_NUM("in_hand", gri_worker_busy(worker)));
}

void gri_worker_mongo_back(struct gri_worker *worker) {
    GRI_ASSERT(worker->away > 0);
    if (--worker->away > 0) return;
    gri_log(worker->o.log, GRI_INFO, "reading_resumed", GRI_NUM("in_hand", gri_worker_busy(worker)));
    gri_worker_kick(worker);
}

void gri_worker_fatal(struct gri_worker *worker, const struct gri_error *error) {
    if (worker->stopped) return;
    worker->stopped = true;
    gri_log_error(worker->o.log, GRI_ERROR, "worker_fatal", error);
    gri_reader_cancel(worker);
    if (worker->o.fatal != NULL) worker->o.fatal(worker->o.hooks, error);
}

int64_t gri_worker_last_tick_ms(const struct gri_worker *worker) {
    return worker->last_tick_ms;
}

size_t gri_worker_busy(const struct gri_worker *worker) {
    return worker->o.slots - worker->free.count;
}

bool gri_worker_ready(const struct gri_worker *worker) {
    return worker->up && worker->away == 0 && !worker->stopped;
}
