/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a worker that is asked to stop: nothing new, everything in hand to its ack, then out of the group. */
#ifndef GRISAILLE_DRAIN_H
#define GRISAILLE_DRAIN_H

#include "slot.h"

struct gri_drain {
    bool draining, leaving, finished;
    void (*done)(void *arg);
    void *arg;
    struct gri_stream_leave leave;
};

void gri_drain_start(struct gri_worker *worker, void (*done)(void *arg), void *arg);
/* Is everything finished? Then leave. */
void gri_drain_turn(struct gri_worker *worker);

#endif
