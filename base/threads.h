/* SPDX-License-Identifier: Apache-2.0 */
/* The executor of grisaille/executor.h on threads: N workers behind one bounded queue.
 *
 * `work` runs on one of the threads, then `done` is posted to the loop. Create, submit and destroy on the loop's thread. */
#ifndef GRISAILLE_BASE_THREADS_H
#define GRISAILLE_BASE_THREADS_H

#include <grisaille/executor.h>

/* `name` (cut at 12 bytes, numbered) is what `top -H` shows. At most `queue_limit` tasks wait beside those that run; both
 * counts are at least 1. Every signal but a fault's own is blocked in the threads, so that the main thread gets them. `loop` is
 * borrowed until after destroy. `thread_begin` (or NULL) is called on each thread before its first work, to take rights away from
 * it, say; `thread_end` (or NULL) as it ends, for libraries that keep things by thread. Ends the process where no thread can be
 * started: there is nothing to do without. */
struct gri_executor *gri_threads_create(struct gri_loop *loop, const char *name, size_t threads, size_t queue_limit,
                                        void (*thread_begin)(void), void (*thread_end)(void));
/* Refuses new tasks, runs all that were taken, joins the threads. Their `done`s are posted by then: the loop must turn once
 * more to deliver them. Waits as long as the longest `work`. NULL is fine. */
void gri_threads_destroy(struct gri_executor *executor);
/* Tasks that wait for a thread, now. */
size_t gri_threads_waiting(struct gri_executor *executor);

#endif
