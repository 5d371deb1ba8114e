/* SPDX-License-Identifier: Apache-2.0 */
/* Fenced heartbeats for every job in hand, and the deadline past which a job has none. */
#ifndef GRISAILLE_HEARTBEAT_H
#define GRISAILLE_HEARTBEAT_H

#include "slot.h"

struct gri_heartbeat {
    struct gri_timer *timer;
    struct gri_stream_heartbeat request;
    bool out, again;               /* one request at a time; another is wanted at once */
    char (*ids)[GRI_ENTRY_ID_MAX]; /* arrays of o.slots */
    enum gri_fence *fences;
    size_t *indexes;       /* the slot of each id, … */
    uint64_t *generations; /* … and which job it held then */
};

void gri_heartbeat_init(struct gri_worker *worker);
void gri_heartbeat_clear(struct gri_worker *worker);
/* Begins the rhythm. */
void gri_heartbeat_start(struct gri_worker *worker);
/* One now (after a reconnect, before anything else). */
void gri_heartbeat_beat(struct gri_worker *worker);
/* Drops jobs past their deadline; reports a CPU thread that does not come back. */
void gri_heartbeat_check_deadlines(struct gri_worker *worker);

#endif
