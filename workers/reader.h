/* SPDX-License-Identifier: Apache-2.0 */
/* Takes jobs from the stream: as many as there are free slots, no more. New ones, and every few seconds those that a silent
 * worker holds. */
#ifndef GRISAILLE_READER_H
#define GRISAILLE_READER_H

#include "slot.h"

struct gri_reader_events; /* events of reclaims on their way */

struct gri_reader {
    struct gri_stream_read read;
    struct gri_stream_reclaim reclaim;
    bool read_out, reclaim_out;
    int64_t reclaim_at_ms, not_before_ms; /* next reclaim; next request after a failure */
    struct gri_timer *timer;
    struct gri_reader_events *events; /* at most one request of them */
};

void gri_reader_clear(struct gri_worker *worker);
/* The stream's state changed. */
void gri_reader_stream_changed(struct gri_worker *worker, enum gri_stream_state state);
/* Asks for jobs if there is room, a server to ask, and nothing that forbids it. */
void gri_reader_turn(struct gri_worker *worker);
/* Ends a blocked read soon. */
void gri_reader_cancel(struct gri_worker *worker);
bool gri_reader_idle(const struct gri_worker *worker);

#endif
