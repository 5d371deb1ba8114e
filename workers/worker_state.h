/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's whole state, for the files of this folder. */
#ifndef GRISAILLE_WORKER_STATE_H
#define GRISAILLE_WORKER_STATE_H

#include "drain.h"
#include "flight.h"
#include "heartbeat.h"
#include "lingering.h"
#include "reader.h"
#include "worker_metrics.h"

struct gri_worker {
    struct gri_worker_options o; /* defaults filled in */
    char name[GRI_WORKER_MAX];
    char made_by[160];
    struct gri_slot *slots; /* o.slots of them: those asked for and the lingering */
    struct gri_slot_list free;

    struct gri_lane check, lookup, recall, heal, insert, finish, ack;
    struct gri_hosts *hosts;
    struct gri_plans *plans;
    struct gri_robots *robots;
    struct gri_slot_list cpu_waiting; /* VERIFY or TRANSFORM, while the executor's queue is full */

    struct gri_slot_list turn_waiting; /* TURN */
    struct gri_slot *turn;             /* the one job that runs isolated, or NULL */

    struct gri_reader reader;
    struct gri_lingering lingering;
    struct gri_heartbeat heartbeat;
    struct gri_drain drain;
    struct gri_worker_metrics metrics;

    bool up;     /* the stream is connected */
    size_t away; /* requests to MongoDB that are being repeated */
    bool stopped, hung;
    struct gri_timer *tick, *kick;
    int64_t last_tick_ms;
};

/* A request to MongoDB began, or ceased, to be repeated. While there is one, no jobs are read. */
void gri_worker_mongo_away(struct gri_worker *worker);
void gri_worker_mongo_back(struct gri_worker *worker);
/* This process can't work: tells the owner once; nothing more is read. */
void gri_worker_fatal(struct gri_worker *worker, const struct gri_error *error);
/* Something changed that reader or drain may wait for: they look in the next turn. */
void gri_worker_kick(struct gri_worker *worker);

#endif
