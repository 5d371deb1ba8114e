/* SPDX-License-Identifier: Apache-2.0 */
/* Lingering jobs: those in hand that wait for a host which does not answer promptly. They hold a record, a connection and the
 * beginning of a body at most, so they take none of the worker's slots, and keep no other job out: a worker must not wait with
 * hosts that somebody made slow. They have a bound of their own (o.lingering). Where that is reached, or nearly, the jobs of such
 * hosts are put off, uncharged, each to a later turn (hosts.c). Threads: the loop's. */
#ifndef GRISAILLE_LINGERING_H
#define GRISAILLE_LINGERING_H

#include "slot.h"

struct gri_lingering {
    size_t count;         /* jobs that linger */
    double average_ms;    /* how long they did, lately */
    int64_t next_turn_ms; /* the turn given to the last that found no place */
};

/* How much of the places may be taken when another job asks for one, in quarters. Queues do not fill them, and hosts that are
 * known to be slow leave some to those of which nothing is known. */
enum gri_lingering_share { GRI_LINGERING_DEMAND = 1, GRI_LINGERING_QUEUE = 2, GRI_LINGERING_SLOW = 3, GRI_LINGERING_UNKNOWN = 4 };

/* The slot's job lingers from now on, until it has a body to work on, or to its end where it fails. False: there is no place. */
bool gri_lingering_begin(struct gri_slot *slot, enum gri_lingering_share share);
void gri_lingering_end(struct gri_slot *slot);
/* Over a quarter of the places are taken. */
bool gri_lingering_is_crowded(const struct gri_worker *worker);
/* In how many ms a job that found no place may come again, min_ms at least: each later than the one before. */
int64_t gri_lingering_turn(struct gri_worker *worker, int64_t min_ms);
/* A job in this stage waits for its host. */
bool gri_lingering_is_wait(enum gri_stage stage);
/* Four times a second: who has waited long lingers; who has got much of a body needs a slot again. */
void gri_lingering_tick(struct gri_worker *worker);

#endif
