/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler's composition: its life, the stream's state, reading with back-pressure, draining. */
#include "scheduler_core.h"

#include <stdlib.h>

enum { TICK_MS = 1000, DRAIN_TICK_MS = 50, READY_MS = 30000, BATCH_MAX = 5000, SLOTS_MAX = 64, OUTSTANDING_MAX = 1000 };

static void read_more(struct gri_scheduler *s);

void gri_scheduler_options_init(struct gri_scheduler_options *options) {
    *options = (struct gri_scheduler_options){.window = 100000,
                                              .batch = 500,
                                              .chunk_slots = 4,
                                              .feeder_outstanding = 32,
                                              .lease_ms = 30000,
                                              .heartbeat_ms = 5000,
                                              .sweep_ms = 10000,
                                              .stale_ms = 60000,
                                              .lost_ms = 600000,
                                              .reap_ms = 600000,
                                              .abandon_ms = 86400000,
                                              .upkeep_ms = 10000};
}

/* --- requests ------------------------------------------------------------------------------------------------------------------
 */

void gri_scheduler_submit(struct gri_scheduler *s, struct gri_op *op, void (*done)(struct gri_op *op)) {
    op->done = done;
    op->status = GRI_OK;
    s->out++;
}

bool gri_scheduler_landed(struct gri_scheduler *s, const struct gri_op *op) {
    GRI_ASSERT(s->out > 0);
    s->out--;
    return op->status == GRI_OK;
}

void gri_scheduler_poke(struct gri_scheduler *s) {
    gri_admission_pump(s);
    read_more(s);
    if (s->window.wanted && s->up && !s->draining) gri_gauges_hurry(&s->gauges);
}

/* --- reading -------------------------------------------------------------------------------------------------------------------
 */

static void read_again(void *arg) {
    gri_scheduler_poke(arg);
}

/* A chunk is a thousand times a bare URL: as soon as one comes, only as many are read as there are slots, so that the other
 * schedulers get theirs. */
static void size_next_read(struct gri_scheduler *s) {
    bool chunks = false;
    for (size_t i = 0; i < s->read.count; i++)
        chunks = chunks || s->read.urls[i].catalog[0];
    if (chunks)
        s->read_size = s->options.chunk_slots;
    else if (s->read.count == s->read.max)
        s->read_size *= 2;
    if (s->read_size > s->options.batch) s->read_size = s->options.batch;
}

static void read_landed(struct gri_op *op) {
    struct gri_scheduler *s = gri_container_of(op, struct gri_scheduler, read.op);
    s->reading = false;
    if (!gri_scheduler_landed(s, op)) {
        s->read.urls = NULL;
        if (!s->draining) gri_pacer_retry(&s->read_retry, read_again, "read_failed", &op->error);
        return;
    }
    gri_pacer_reset(&s->read_retry);
    size_next_read(s);
    gri_hand_take(&s->hand, s->read.urls, s->read.count);
    s->read.urls = NULL;
    gri_scheduler_poke(s);
}

/* Only what can be begun soon is read: what waits here is kept from the other schedulers. */
static void read_more(struct gri_scheduler *s) {
    if (s->reading || s->draining || !s->up || s->read_retry.timer) return;
    if (s->hand.chunks.count >= s->options.chunk_slots || s->hand.bare.count >= s->options.batch) return;
    if (!gri_window_has_room(&s->window)) return;
    size_t room = gri_hand_room(&s->hand), max = s->read_size < room ? s->read_size : room;
    if (max == 0) return;
    s->read = (struct gri_stream_read){.stream = GRI_STREAM_URLS, .max = max, .block_ms = GRI_READ_BLOCK_MS};
    s->reading = true;
    gri_scheduler_submit(s, &s->read.op, read_landed);
    s->options.stream->ops->read(s->options.stream, &s->read);
}

/* --- the connection ------------------------------------------------------------------------------------------------------------
 */

static void stream_changed(void *arg, enum gri_stream_state state) {
    struct gri_scheduler *s = arg;
    static const char *const names[] = {"stream_down", "stream_up", "stream_epoch"};
    gri_log(s->log, state == GRI_STREAM_UP ? GRI_INFO : GRI_WARN, names[state], GRI_NUM("in_hand", s->hand.count));
    s->up = state != GRI_STREAM_DOWN;
    if (!s->up) return;
    gri_hand_connected(&s->hand);
    gri_gauges_connected(&s->gauges);
    if (state == GRI_STREAM_EPOCH) {
        s->window.inflight = 0; /* what it was is lost; the script answers what it is */
        gri_sweeper_want(&s->sweeper, 0);
    }
    gri_pacer_stop(&s->read_retry);
    gri_pacer_reset(&s->read_retry);
    gri_scheduler_poke(s);
}

/* --- drain ---------------------------------------------------------------------------------------------------------------------
 */

static void stop_timers(struct gri_scheduler *s) {
    gri_timer_stop(s->loop, s->ticker);
    s->ticker = NULL;
    gri_pacer_stop(&s->hand.heartbeat_timer);
    gri_pacer_stop(&s->hand.reclaim_timer);
    gri_pacer_stop(&s->read_retry);
    gri_gauges_stop(&s->gauges);
    gri_reaper_stop(&s->reaper);
    gri_retirer_stop(&s->retirer);
    gri_upkeep_stop(&s->upkeep);
    gri_journal_stop(&s->journal);
}

static void leave_landed(struct gri_op *op) {
    struct gri_scheduler *s = gri_container_of(op, struct gri_scheduler, leave.op);
    bool ok = gri_scheduler_landed(s, op);
    gri_log(s->log, GRI_INFO, "drain_finished", GRI_NUM("left_group", ok && s->leave.removed));
    stop_timers(s);
    s->drained(s->drained_arg); /* the last thing: it may destroy the scheduler */
}

static bool is_quiet(const struct gri_scheduler *s) {
    return s->out == 0 && s->hand.count == 0 && gri_admission_is_idle(&s->admission) && !s->feeder.busy && !s->dispatcher.busy &&
           !s->sweeper.busy;
}

static void end_drain(struct gri_scheduler *s) {
    if (s->leaving || !is_quiet(s)) return;
    s->leaving = true;
    s->leave = (struct gri_stream_leave){.stream = GRI_STREAM_URLS};
    gri_scheduler_submit(s, &s->leave.op, leave_landed);
    s->options.stream->ops->leave(s->options.stream, &s->leave);
}

static void tick(void *arg) {
    struct gri_scheduler *s = arg;
    s->tick_ms = gri_now_ms(s->loop);
    s->ticker = gri_timer_start(s->loop, s->draining ? DRAIN_TICK_MS : TICK_MS, tick, s);
    gri_scheduler_poke(s);
    if (s->draining) end_drain(s);
}

void gri_scheduler_drain(struct gri_scheduler *s, void (*drained)(void *arg), void *arg) {
    if (s->draining) return;
    s->draining = true;
    s->drained = drained;
    s->drained_arg = arg;
    gri_log(s->log, GRI_INFO, "drain_started", GRI_NUM("in_hand", s->hand.count));
    if (s->reading) s->options.stream->ops->cancel_read(s->options.stream, &s->read);
    gri_pacer_stop(&s->read_retry);
    gri_gauges_stop(&s->gauges);
    gri_reaper_stop(&s->reaper);
    gri_retirer_stop(&s->retirer);
    gri_upkeep_stop(&s->upkeep);
    gri_feeder_drain(&s->feeder);
    gri_dispatcher_drain(&s->dispatcher);
    gri_sweeper_drain(&s->sweeper);
    gri_timer_stop(s->loop, s->ticker);
    s->ticker = gri_timer_start(s->loop, 0, tick, s);
}

/* --- life ----------------------------------------------------------------------------------------------------------------------
 */

static void check_options(const struct gri_scheduler_options *o) {
    GRI_ASSERT(o->name && o->loop && o->stream && o->ledger && o->crypto && o->pin_pipeline);
    GRI_ASSERT(o->window > 0 && o->batch > 0 && o->batch <= BATCH_MAX);
    GRI_ASSERT(o->chunk_slots > 0 && o->chunk_slots <= SLOTS_MAX);
    GRI_ASSERT(o->feeder_outstanding > 0 && o->feeder_outstanding <= OUTSTANDING_MAX);
    GRI_ASSERT(o->heartbeat_ms > 0 && o->lease_ms > o->heartbeat_ms && o->sweep_ms > 0 && o->stale_ms > 0 && o->lost_ms > 0);
    GRI_ASSERT(o->reap_ms > 0 && o->abandon_ms > 0 && o->upkeep_ms > 0);
}

enum gri_status gri_scheduler_reload(struct gri_scheduler *s, const struct gri_scheduler_options *options,
                                     struct gri_error *error) {
    struct gri_ruleset *compiled = NULL;
    check_options(options);
    enum gri_status status = gri_ruleset_compile(options->rules, &compiled, error);
    if (status != GRI_OK) return status;
    gri_ruleset_free(s->admission.bare_rules);
    s->admission.bare_rules = compiled;
    s->options.window = s->window.limit = options->window;
    s->options.sweep_ms = options->sweep_ms;
    s->options.stale_ms = options->stale_ms;
    s->options.lost_ms = options->lost_ms;
    s->options.reap_ms = options->reap_ms;
    s->options.abandon_ms = options->abandon_ms;
    s->options.upkeep_ms = options->upkeep_ms;
    s->options.images_keep_days = options->images_keep_days;
    s->options.rollups_keep_days = options->rollups_keep_days;
    s->options.catalogs_keep_days = options->catalogs_keep_days;
    if (s->started) gri_scheduler_poke(s);
    return GRI_OK;
}

enum gri_status gri_scheduler_create(const struct gri_scheduler_options *options, struct gri_scheduler **out,
                                     struct gri_error *error) {
    check_options(options);
    struct gri_ruleset *rules = NULL;
    enum gri_status status = gri_ruleset_compile(options->rules, &rules, error);
    if (status != GRI_OK) return status;
    struct gri_scheduler *s = gri_calloc(1, sizeof *s);
    s->options = *options;
    s->options.name = gri_strdup(options->name);
    s->options.rules = (struct gri_slice){0};
    s->loop = options->loop;
    s->log = options->log;
    s->window.limit = options->window;
    s->read_size = options->chunk_slots < options->batch ? options->chunk_slots : options->batch;
    s->ledger_ok_ms = -1;
    s->tick_ms = gri_now_ms(s->loop);
    gri_pacer_init(&s->read_retry, s, s);
    gri_gauges_init(&s->gauges, s);
    gri_reaper_init(&s->reaper, s);
    gri_retirer_init(&s->retirer, s);
    gri_upkeep_init(&s->upkeep, s);
    gri_journal_init(&s->journal, s);
    gri_hand_init(&s->hand, s);
    gri_admission_init(&s->admission, s);
    s->admission.bare_rules = rules;
    gri_feeder_init(&s->feeder, s);
    gri_dispatcher_init(&s->dispatcher, s);
    gri_sweeper_init(&s->sweeper, s);
    options->stream->changed = stream_changed;
    options->stream->changed_arg = s;
    *out = s;
    return GRI_OK;
}

void gri_scheduler_start(struct gri_scheduler *s) {
    GRI_ASSERT(!s->started);
    s->started = true;
    s->ticker = gri_timer_start(s->loop, TICK_MS, tick, s);
    gri_hand_start(&s->hand);
    gri_gauges_start(&s->gauges);
    gri_reaper_start(&s->reaper);
    gri_retirer_start(&s->retirer);
    gri_upkeep_start(&s->upkeep);
    gri_feeder_start(&s->feeder);
    gri_dispatcher_start(&s->dispatcher);
    gri_sweeper_start(&s->sweeper);
    s->options.stream->ops->open(s->options.stream);
}

void gri_scheduler_destroy(struct gri_scheduler *s) {
    if (!s) return;
    s->options.stream->changed = NULL;
    s->options.stream->changed_arg = NULL;
    stop_timers(s);
    if (s->read.urls) gri_url_entries_free(s->read.urls, s->read.count);
    gri_sweeper_clear(&s->sweeper);
    gri_dispatcher_clear(&s->dispatcher);
    gri_feeder_clear(&s->feeder);
    gri_admission_clear(&s->admission);
    gri_hand_clear(&s->hand);
    free((void *)(uintptr_t)s->options.name);
    free(s);
}

int64_t gri_scheduler_tick_ms(const struct gri_scheduler *s) {
    return s->tick_ms;
}

bool gri_scheduler_is_ready(const struct gri_scheduler *s) {
    return s->up && s->ledger_ok_ms >= 0 && gri_now_ms(s->loop) - s->ledger_ok_ms < READY_MS;
}
