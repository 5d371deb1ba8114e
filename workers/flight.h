/* SPDX-License-Identifier: Apache-2.0 */
/* A lane carries slots to a server in micro-batches; a flight is one batch on its way. A flight that is not answered OK
 * (outcome unknown) is flown again, with backoff, until it is: every request that goes this way is idempotent, and nothing
 * behind it happens before. Slots that were lost meanwhile are let go before it flies again. */
#ifndef GRISAILLE_FLIGHT_H
#define GRISAILLE_FLIGHT_H

#include "batch.h"
#include "slot.h"

enum { GRI_FLIGHTS = 2 }; /* of a lane at once: while they are out the next batch fills, and few full ones cost less than many */

struct gri_flight;

struct gri_flight_kind {
    const char *op;                            /* what the log calls it */
    bool mongo;                                /* to ledger or store: while it is away no jobs are read */
    size_t size;                               /* of the stage's structure; its first member is struct gri_flight */
    void (*submit)(struct gri_flight *flight); /* fills the request from `slots` and hands it to the port */
    void (*settle)(struct gri_flight *flight); /* answered OK: sends every slot on */
    void (*clear)(struct gri_flight *flight);  /* frees what submit allocated; called before it flies again, too */
};

struct gri_lane {
    struct gri_worker *worker;
    const struct gri_flight_kind *kind;
    struct gri_batch batch;
    struct gri_flight *flights; /* all that are out */
};

struct gri_flight {
    struct gri_lane *lane;
    struct gri_flight *next;
    struct gri_slot **slots;
    size_t count;
    int tries; /* times it failed */
    struct gri_timer *backoff;
};

void gri_lane_init(struct gri_lane *lane, struct gri_worker *worker, const struct gri_flight_kind *kind);
/* Frees all, flights that are out included (see gri_worker_destroy). */
void gri_lane_clear(struct gri_lane *lane);
/* The lane owns the slot until settle sends it on. */
void gri_lane_add(struct gri_lane *lane, struct gri_slot *slot);
bool gri_lane_idle(const struct gri_lane *lane);
/* Lets go of lost slots and submits the rest; lands where none is left. */
void gri_flight_fly(struct gri_flight *flight);
/* The op's `done` ends here. */
void gri_flight_answered(struct gri_flight *flight, struct gri_op *op);

#endif
