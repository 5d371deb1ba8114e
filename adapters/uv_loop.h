/* SPDX-License-Identifier: Apache-2.0 */
/* The loop port (grisaille/loop.h) on libuv: clock, timers, randomness, posts from other threads, signals.
 *
 * One loop a process, run by one thread. Everything but `gri_post` belongs to that thread. Other adapters of libuv are
 * handed the uv_loop_t; they close their handles before gri_uv_loop_destroy. */
#ifndef GRISAILLE_UV_LOOP_H
#define GRISAILLE_UV_LOOP_H

#include <grisaille/loop.h>

struct uv_loop_s; /* libuv's uv_loop_t: whoever only hands it on needs no uv.h */

/* A loop of its own. SIGPIPE is ignored in the whole process from here on: a peer that closes its socket must not end us.
 * Returned owned, freed by gri_uv_loop_destroy. Fails with class fatal (descriptors, memory). */
enum gri_status gri_uv_loop_create(struct gri_loop **out, struct gri_error *error) GRI_MUST_CHECK;

/* Stops what timers are left, closes the loop and frees it. Other adapters were destroyed before; their closing handles are
 * waited for here. Posts that have not run are dropped, so threads that post are joined first. NULL is fine. */
void gri_uv_loop_destroy(struct gri_loop *loop);

/* The uv_loop_t inside; borrowed until destroy. */
struct uv_loop_s *gri_uv_loop_handle(struct gri_loop *loop);

/* Runs until gri_uv_loop_stop; then may run again. */
void gri_uv_loop_run(struct gri_loop *loop);
/* Ends the run at the end of this turn. On the loop's thread; from another one, post a function that calls it. */
void gri_uv_loop_stop(struct gri_loop *loop);

/* Blocks these signals in this thread and in those that it starts, until gri_uv_loop_signals lets them through: one that comes
 * while the process is still being made must not end it. */
void gri_uv_signals_hold(void);

/* The signals that gri_uv_loop_signals hears wait for it from now on: a process that is told to end while it starts ends as it
 * would later. Before other threads are started. */
void gri_uv_signals_hold(void);
/* From now on SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2 call caught(arg, signal) on the loop's thread. At most once a loop. */
enum gri_status gri_uv_loop_signals(struct gri_loop *loop, void (*caught)(void *arg, int signal), void *arg,
                                    struct gri_error *error) GRI_MUST_CHECK;

#endif
