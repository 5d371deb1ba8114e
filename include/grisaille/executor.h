/* SPDX-License-Identifier: Apache-2.0 */
/* Port: threads that do blocking or heavy work and report on the loop's thread.
 *
 * base/threads implements it with a bounded queue and N threads; tests/sim runs the work inline and delivers `done` after
 * simulated time. The submitter owns the task and may not touch it until `done`. */
#ifndef GRISAILLE_EXECUTOR_H
#define GRISAILLE_EXECUTOR_H

#include <grisaille/loop.h>

struct gri_task {
    void (*work)(struct gri_task *task); /* on some thread of the executor; may block */
    void (*done)(struct gri_task *task); /* on the loop's thread, later */
    struct gri_task *next;               /* the executor's */
    struct gri_executor *executor;       /* the executor's */
};

struct gri_executor {
    /* False when the bounded queue is full: nothing was taken, try again after some `done`. */
    bool (*submit)(struct gri_executor *executor, struct gri_task *task);
};

static inline bool gri_submit(struct gri_executor *executor, struct gri_task *task) {
    return executor->submit(executor, task);
}

#endif
