/* SPDX-License-Identifier: Apache-2.0 */
/* Port: the event loop's clock, timers, randomness, and the way back onto its thread.
 *
 * adapters/uv_loop implements it on libuv; tests/sim implements it on virtual time. Scheduler and worker know time only
 * through this. Threads: everything on the loop's thread, except `post`, which any thread may call. */
#ifndef GRISAILLE_LOOP_H
#define GRISAILLE_LOOP_H

#include <grisaille/status.h>

struct gri_timer; /* the implementation's */
struct gri_loop;

struct gri_loop_ops {
    int64_t (*now_ms)(struct gri_loop *loop);  /* monotonic; durations come from this alone */
    int64_t (*wall_ms)(struct gri_loop *loop); /* Unix time; only ever written down, never compared */
    uint64_t (*random)(struct gri_loop *loop); /* uniform 64 bits; seeded in the simulation */
    /* Calls fire(arg) once, after_ms from now (0: next turn), on the loop thread. The handle is dead once fire is called. */
    struct gri_timer *(*timer_start)(struct gri_loop *loop, int64_t after_ms, void (*fire)(void *arg), void *arg);
    void (*timer_stop)(struct gri_loop *loop, struct gri_timer *timer);     /* NULL is fine; never after it fired */
    void (*post)(struct gri_loop *loop, void (*run)(void *arg), void *arg); /* any thread: run(arg) on the loop thread */
};

/* First member of every implementation. */
struct gri_loop {
    const struct gri_loop_ops *ops;
};

static inline int64_t gri_now_ms(struct gri_loop *loop) {
    return loop->ops->now_ms(loop);
}
static inline int64_t gri_wall_ms(struct gri_loop *loop) {
    return loop->ops->wall_ms(loop);
}
static inline uint64_t gri_random(struct gri_loop *loop) {
    return loop->ops->random(loop);
}
static inline struct gri_timer *gri_timer_start(struct gri_loop *loop, int64_t after_ms, void (*fire)(void *arg), void *arg) {
    return loop->ops->timer_start(loop, after_ms, fire, arg);
}
static inline void gri_timer_stop(struct gri_loop *loop, struct gri_timer *timer) {
    loop->ops->timer_stop(loop, timer);
}
static inline void gri_post(struct gri_loop *loop, void (*run)(void *arg), void *arg) {
    loop->ops->post(loop, run, arg);
}

/* First member of every request to a port. The caller owns the request; it may not touch or free it between submit and
 * `done`. `done` is called exactly once, on the loop's thread, never from inside the submit call, and always in bounded
 * time: an adapter gives every request a deadline. With status != GRI_OK no output but `error` means anything, and for a
 * write the outcome is unknown unless the port says otherwise. */
struct gri_op {
    void (*done)(struct gri_op *op);
    enum gri_status status;
    struct gri_error error;
};

#endif
