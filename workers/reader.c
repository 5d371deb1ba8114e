/* SPDX-License-Identifier: Apache-2.0 */
/* The reader: free slots are the only demand, so the stream is the only queue. */
#include "reader.h"
#include "pipeline.h"
#include "worker_state.h"
#include <stdlib.h>
#include <string.h>

enum { FAILED_WAIT_MS = 500 };

/* --- events of reclaims ------------------------------------------------------------------------------------------------ */

struct gri_reader_events {
    struct gri_worker *worker;
    struct gri_ledger_events request;
    struct gri_event *events;
    struct gri_job *jobs; /* what the events borrow */
};

static void events_free(struct gri_reader_events *events) {
    if (events == NULL) return;
    for (size_t i = 0; i < events->request.count; i++)
        gri_job_clear(&events->jobs[i]);
    free(events->jobs);
    free(events->events);
    free(events);
}

/* Whether they were written or not: the log has them too. */
static void events_written(struct gri_op *op) {
    struct gri_ledger_events *request = gri_container_of(op, struct gri_ledger_events, op);
    struct gri_reader_events *events = gri_container_of(request, struct gri_reader_events, request);
    struct gri_worker *worker = events->worker;
    worker->reader.events = NULL;
    events_free(events);
    gri_worker_kick(worker);
}

static void tell_reclaimed(struct gri_worker *worker, const struct gri_job_entry *entries, size_t count) {
    for (size_t i = 0; i < count; i++)
        gri_log(worker->o.log, GRI_WARN, "reclaimed", GRI_TEXT("job", entries[i].job.key), GRI_TEXT("url", entries[i].job.url),
                GRI_NUM("deliveries", entries[i].deliveries));
    if (count == 0 || worker->reader.events != NULL) return;
    struct gri_reader_events *events = gri_calloc(1, sizeof *events);
    events->worker = worker;
    events->events = gri_calloc(count, sizeof *events->events);
    events->jobs = gri_calloc(count, sizeof *events->jobs);
    for (size_t i = 0; i < count; i++) {
        gri_job_copy(&events->jobs[i], &entries[i].job);
        events->events[i] = (struct gri_event){.level = GRI_WARN,
                                               .event = "reclaimed",
                                               .key = events->jobs[i].key,
                                               .url = events->jobs[i].url,
                                               .worker = worker->name,
                                               .detail = "a worker fell silent with this job in hand",
                                               .attempt = (int)entries[i].deliveries};
    }
    events->request = (struct gri_ledger_events){.op.done = events_written, .events = events->events, .count = count};
    worker->reader.events = events;
    worker->o.ledger->ops->events(worker->o.ledger, &events->request);
}

/* --- jobs ---------------------------------------------------------------------------------------------------------------- */

/* Our own entry, reclaimed by ourselves (a heartbeat that did not get through): the job is in hand already. */
static bool in_hand(const struct gri_worker *worker, const char *id) {
    for (size_t i = 0; i < worker->o.slots; i++)
        if (worker->slots[i].stage != GRI_STAGE_FREE && strcmp(worker->slots[i].entry.id, id) == 0) return true;
    return false;
}

static void take(struct gri_worker *worker, struct gri_job_entry *entries, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (worker->stopped || worker->free.count == 0 || in_hand(worker, entries[i].id)) continue;
        if (entries[i].job.url == NULL) entries[i].job.url = gri_strdup(""); /* not ours: no such record, so it is acked */
        gri_pipeline_begin(worker, &entries[i]);
    }
    gri_job_entries_free(entries, count);
}

static void fail_softly(struct gri_worker *worker, const struct gri_op *op) {
    worker->reader.not_before_ms = gri_now_ms(worker->o.loop) + FAILED_WAIT_MS;
    gri_log_error(worker->o.log, GRI_DEBUG, "read_failed", &op->error);
}

static void read_done(struct gri_op *op) {
    struct gri_stream_read *request = gri_container_of(op, struct gri_stream_read, op);
    struct gri_reader *reader = gri_container_of(request, struct gri_reader, read);
    struct gri_worker *worker = gri_container_of(reader, struct gri_worker, reader);
    reader->read_out = false;
    if (op->status == GRI_OK)
        take(worker, request->jobs, request->count);
    else
        fail_softly(worker, op);
    gri_worker_kick(worker);
}

static void reclaim_done(struct gri_op *op) {
    struct gri_stream_reclaim *request = gri_container_of(op, struct gri_stream_reclaim, op);
    struct gri_reader *reader = gri_container_of(request, struct gri_reader, reclaim);
    struct gri_worker *worker = gri_container_of(reader, struct gri_worker, reader);
    reader->reclaim_out = false;
    if (op->status == GRI_OK) {
        gri_counter_add(worker->metrics.reclaims, (int64_t)request->count);
        gri_counter_add(worker->metrics.missing, (int64_t)request->missing);
        if (request->missing > 0) gri_log(worker->o.log, GRI_ERROR, "entries_missing", GRI_NUM("count", request->missing));
        tell_reclaimed(worker, request->jobs, request->count);
        take(worker, request->jobs, request->count);
        /* More may be idle than there was room for: a dead worker's backlog should not wait for a turn every few seconds. */
        if (request->count == request->max) reader->reclaim_at_ms = 0;
    } else {
        fail_softly(worker, op);
    }
    gri_worker_kick(worker);
}

/* Jobs to ask for: those that linger are not counted. */
static size_t room(const struct gri_worker *worker) {
    size_t slots = worker->o.slots - worker->o.lingering, busy = gri_worker_busy(worker) - worker->lingering.count;
    return busy < slots ? slots - busy : 0;
}

static void ask_new(struct gri_worker *worker) {
    struct gri_reader *reader = &worker->reader;
    reader->read = (struct gri_stream_read){
        .op.done = read_done, .stream = GRI_STREAM_JOBS, .max = room(worker), .block_ms = worker->o.read_block_ms};
    reader->read_out = true;
    worker->o.stream->ops->read(worker->o.stream, &reader->read);
}

static void ask_idle(struct gri_worker *worker, int64_t now) {
    struct gri_reader *reader = &worker->reader;
    int64_t spread = (int64_t)(gri_random(worker->o.loop) % ((uint64_t)worker->o.reclaim_ms / 4 + 1));
    reader->reclaim_at_ms = now + worker->o.reclaim_ms + spread; /* workers that started together drift apart */
    reader->reclaim = (struct gri_stream_reclaim){
        .op.done = reclaim_done, .stream = GRI_STREAM_JOBS, .min_idle_ms = worker->o.lease_ms, .max = room(worker)};
    reader->reclaim_out = true;
    worker->o.stream->ops->reclaim(worker->o.stream, &reader->reclaim);
}

static void waited(void *arg) {
    struct gri_worker *worker = arg;
    worker->reader.timer = NULL;
    gri_reader_turn(worker);
}

/* One request at a time: both are asked for all the room there is. */
void gri_reader_turn(struct gri_worker *worker) {
    struct gri_reader *reader = &worker->reader;
    int64_t now = gri_now_ms(worker->o.loop);
    if (!worker->up || worker->stopped || worker->drain.draining || worker->away > 0) return;
    if (reader->read_out || reader->reclaim_out || room(worker) == 0) return;
    if (reader->not_before_ms > now) {
        if (reader->timer == NULL) reader->timer = gri_timer_start(worker->o.loop, reader->not_before_ms - now, waited, worker);
        return;
    }
    if (now >= reader->reclaim_at_ms && !worker->heartbeat.out)
        ask_idle(worker, now);
    else
        ask_new(worker);
}

void gri_reader_stream_changed(struct gri_worker *worker, enum gri_stream_state state) {
    struct gri_reader *reader = &worker->reader;
    worker->up = state != GRI_STREAM_DOWN;
    gri_log(worker->o.log, state == GRI_STREAM_UP ? GRI_INFO : GRI_WARN,
            state == GRI_STREAM_DOWN ? "stream_down"
            : state == GRI_STREAM_UP ? "stream_up"
                                     : "stream_lost_data",
            GRI_NUM("in_hand", gri_worker_busy(worker)));
    if (!worker->up) return;
    reader->not_before_ms = 0;
    /* The others were cut off too: what looks idle is theirs still, if they come back within a lease. */
    reader->reclaim_at_ms = gri_now_ms(worker->o.loop) + worker->o.lease_ms;
    gri_heartbeat_beat(worker);
    gri_worker_kick(worker);
}

void gri_reader_cancel(struct gri_worker *worker) {
    if (worker->reader.read_out) worker->o.stream->ops->cancel_read(worker->o.stream, &worker->reader.read);
}

bool gri_reader_idle(const struct gri_worker *worker) {
    return !worker->reader.read_out && !worker->reader.reclaim_out && worker->reader.events == NULL;
}

void gri_reader_clear(struct gri_worker *worker) {
    if (worker->reader.timer != NULL) gri_timer_stop(worker->o.loop, worker->reader.timer);
    events_free(worker->reader.events);
}
