/* SPDX-License-Identifier: Apache-2.0 */
/* Flights: batches of slots on their way to a server, repeated until it answers. */
#include "flight.h"
#include "pipeline.h"
#include "worker_state.h"
#include <stdlib.h>

enum { BACKOFF_BASE_MS = 100, BACKOFF_MAX_MS = 5000 };

static void launch(void *arg, void *const *items, size_t count) {
    struct gri_lane *lane = arg;
    struct gri_flight *flight = gri_calloc(1, lane->kind->size);
    flight->lane = lane;
    flight->slots = gri_calloc(count, sizeof(struct gri_slot *));
    for (size_t i = 0; i < count; i++)
        flight->slots[i] = items[i];
    flight->count = count;
    flight->next = lane->flights;
    lane->flights = flight;
    gri_flight_fly(flight);
}

void gri_lane_init(struct gri_lane *lane, struct gri_worker *worker, const struct gri_flight_kind *kind) {
    *lane = (struct gri_lane){.worker = worker, .kind = kind};
    gri_batch_init(&lane->batch, &(struct gri_batch_options){.loop = worker->o.loop,
                                                             .limit = worker->o.batch,
                                                             .wait_ms = worker->o.batch_ms,
                                                             .capacity = worker->o.slots,
                                                             .flying_max = GRI_FLIGHTS,
                                                             .flush = launch,
                                                             .arg = lane});
}

static void flight_free(struct gri_flight *flight) {
    struct gri_lane *lane = flight->lane;
    for (struct gri_flight **at = &lane->flights; *at != NULL; at = &(*at)->next) {
        if (*at != flight) continue;
        *at = flight->next;
        break;
    }
    lane->kind->clear(flight);
    if (flight->backoff != NULL) gri_timer_stop(lane->worker->o.loop, flight->backoff);
    free(flight->slots);
    free(flight);
}

void gri_lane_clear(struct gri_lane *lane) {
    while (lane->flights != NULL)
        flight_free(lane->flights);
    gri_batch_clear(&lane->batch);
}

void gri_lane_add(struct gri_lane *lane, struct gri_slot *slot) {
    gri_batch_add(&lane->batch, slot);
}

bool gri_lane_idle(const struct gri_lane *lane) {
    return lane->flights == NULL && lane->batch.count == 0;
}

static void land(struct gri_flight *flight) {
    struct gri_lane *lane = flight->lane;
    if (flight->tries > 0 && lane->kind->mongo) gri_worker_mongo_back(lane->worker);
    flight_free(flight);
    gri_batch_landed(&lane->batch);
}

void gri_flight_fly(struct gri_flight *flight) {
    size_t kept = 0;
    for (size_t i = 0; i < flight->count; i++) {
        if (flight->slots[i]->lost)
            gri_slot_release(flight->slots[i]);
        else
            flight->slots[kept++] = flight->slots[i];
    }
    flight->count = kept;
    if (kept == 0)
        land(flight);
    else
        flight->lane->kind->submit(flight);
}

static void backoff_over(void *arg) {
    struct gri_flight *flight = arg;
    flight->backoff = NULL;
    flight->lane->kind->clear(flight);
    gri_flight_fly(flight);
}

static void fly_again(struct gri_flight *flight, const struct gri_error *error) {
    struct gri_worker *worker = flight->lane->worker;
    const struct gri_flight_kind *kind = flight->lane->kind;
    gri_log(worker->o.log, flight->tries == 0 ? GRI_WARN : GRI_DEBUG, "request_failed", GRI_TEXT("op", kind->op),
            GRI_TEXT("reason", gri_reason_name(error->reason)), GRI_TEXT("detail", error->detail), GRI_NUM("jobs", flight->count),
            GRI_NUM("tries", flight->tries + 1));
    if (error->status == GRI_FATAL) gri_worker_fatal(worker, error);
    if (flight->tries == 0 && kind->mongo) gri_worker_mongo_away(worker);
    int64_t wait = gri_retry_backoff(BACKOFF_BASE_MS, BACKOFF_MAX_MS, flight->tries, gri_random(worker->o.loop));
    if (flight->tries < 30) flight->tries++;
    flight->backoff = gri_timer_start(worker->o.loop, wait, backoff_over, flight);
}

void gri_flight_answered(struct gri_flight *flight, struct gri_op *op) {
    if (op->status != GRI_OK) {
        fly_again(flight, &op->error);
        return;
    }
    flight->lane->kind->settle(flight);
    land(flight);
}
