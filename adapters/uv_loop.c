/* SPDX-License-Identifier: Apache-2.0 */
/* The loop port on libuv.
 *
 * Posts wait in a list under a mutex; it grows with what is posted between two turns, which the bounded queues of those who
 * post (executors) limit. Timers are uv_timer_t, one allocation each, freed when libuv has closed them. */
#include "uv_loop.h"

#include <errno.h>
#include <grisaille/bytes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <uv.h>

enum { SIGNALS = 5 };

struct gri_timer {
    uv_timer_t handle;
    void (*fire)(void *arg);
    void *arg;
    struct gri_timer *previous, *next; /* in the loop's list of live timers */
    struct uv_loop_state *state;
};

struct post {
    void (*run)(void *arg);
    void *arg;
    struct post *next;
};

struct uv_loop_state {
    struct gri_loop loop; /* first */
    uv_loop_t uv;
    uv_async_t wake;
    pthread_mutex_t lock; /* guards the posts */
    struct post *posts, **posts_end;
    struct gri_timer *timers;
    uv_signal_t signals[SIGNALS];
    int signal_count;
    void (*caught)(void *arg, int signal);
    void *caught_arg;
};

static struct uv_loop_state *state_of(struct gri_loop *loop) {
    return gri_container_of(loop, struct uv_loop_state, loop);
}

static int64_t loop_now_ms(struct gri_loop *loop) {
    (void)loop;
    return (int64_t)(uv_hrtime() / 1000000);
}

static int64_t loop_wall_ms(struct gri_loop *loop) {
    (void)loop;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static uint64_t loop_random(struct gri_loop *loop) {
    (void)loop;
    uint64_t value = 0;
    ssize_t got;
    do {
        got = getrandom(&value, sizeof value, 0);
    } while (got < 0 && errno == EINTR);
    GRI_ASSERT(got == (ssize_t)sizeof value); /* 8 bytes are never cut short by the kernel */
    return value;
}

static void timer_closed(uv_handle_t *handle) {
    free(handle->data);
}

static void timer_end(struct gri_timer *timer) {
    if (timer->previous)
        timer->previous->next = timer->next;
    else
        timer->state->timers = timer->next;
    if (timer->next) timer->next->previous = timer->previous;
    uv_close((uv_handle_t *)&timer->handle, timer_closed);
}

static void timer_fired(uv_timer_t *handle) {
    struct gri_timer *timer = handle->data;
    void (*fire)(void *arg) = timer->fire;
    void *arg = timer->arg;
    timer_end(timer);
    fire(arg);
}

static struct gri_timer *loop_timer_start(struct gri_loop *loop, int64_t after_ms, void (*fire)(void *arg), void *arg) {
    struct uv_loop_state *state = state_of(loop);
    struct gri_timer *timer = gri_calloc(1, sizeof *timer);
    timer->fire = fire;
    timer->arg = arg;
    timer->state = state;
    timer->next = state->timers;
    if (timer->next) timer->next->previous = timer;
    state->timers = timer;
    GRI_ASSERT(uv_timer_init(&state->uv, &timer->handle) == 0);
    timer->handle.data = timer;
    uv_update_time(&state->uv); /* a long callback must not shorten the delay: libuv counts from the turn's beginning */
    GRI_ASSERT(uv_timer_start(&timer->handle, timer_fired, after_ms < 0 ? 0 : (uint64_t)after_ms, 0) == 0);
    return timer;
}

static void loop_timer_stop(struct gri_loop *loop, struct gri_timer *timer) {
    (void)loop;
    if (timer) timer_end(timer);
}

static void loop_post(struct gri_loop *loop, void (*run)(void *arg), void *arg) {
    struct uv_loop_state *state = state_of(loop);
    struct post *post = gri_calloc(1, sizeof *post);
    post->run = run;
    post->arg = arg;
    pthread_mutex_lock(&state->lock);
    *state->posts_end = post;
    state->posts_end = &post->next;
    pthread_mutex_unlock(&state->lock);
    uv_async_send(&state->wake);
}

/* Runs what was posted before this turn; what the posts themselves post wakes the next one. */
static void woken(uv_async_t *handle) {
    struct uv_loop_state *state = handle->data;
    pthread_mutex_lock(&state->lock);
    struct post *post = state->posts;
    state->posts = NULL;
    state->posts_end = &state->posts;
    pthread_mutex_unlock(&state->lock);
    while (post) {
        struct post *next = post->next;
        post->run(post->arg);
        free(post);
        post = next;
    }
}

static const struct gri_loop_ops loop_ops = {
    .now_ms = loop_now_ms,
    .wall_ms = loop_wall_ms,
    .random = loop_random,
    .timer_start = loop_timer_start,
    .timer_stop = loop_timer_stop,
    .post = loop_post,
};

enum gri_status gri_uv_loop_create(struct gri_loop **out, struct gri_error *error) {
    struct uv_loop_state *state = gri_calloc(1, sizeof *state);
    *out = NULL;
    int code = uv_loop_init(&state->uv);
    if (code) {
        free(state);
        return gri_fail(error, GRI_R_io, "no event loop: %s", uv_strerror(code));
    }
    code = uv_async_init(&state->uv, &state->wake, woken);
    if (code) {
        uv_loop_close(&state->uv);
        free(state);
        return gri_fail(error, GRI_R_io, "no event loop: %s", uv_strerror(code));
    }
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
    pthread_mutex_init(&state->lock, NULL);
    state->loop.ops = &loop_ops;
    state->wake.data = state;
    state->posts_end = &state->posts;
    *out = &state->loop;
    return GRI_OK;
}

void gri_uv_loop_destroy(struct gri_loop *loop) {
    if (!loop) return;
    struct uv_loop_state *state = state_of(loop);
    while (state->timers)
        timer_end(state->timers);
    for (int i = 0; i < state->signal_count; i++)
        uv_close((uv_handle_t *)&state->signals[i], NULL);
    uv_close((uv_handle_t *)&state->wake, NULL);
    while (uv_run(&state->uv, UV_RUN_DEFAULT) != 0) {}
    GRI_ASSERT(uv_loop_close(&state->uv) == 0);
    while (state->posts) {
        struct post *next = state->posts->next;
        free(state->posts);
        state->posts = next;
    }
    pthread_mutex_destroy(&state->lock);
    free(state);
}

struct uv_loop_s *gri_uv_loop_handle(struct gri_loop *loop) {
    return &state_of(loop)->uv;
}

void gri_uv_loop_run(struct gri_loop *loop) {
    uv_run(&state_of(loop)->uv, UV_RUN_DEFAULT);
}

void gri_uv_loop_stop(struct gri_loop *loop) {
    uv_stop(&state_of(loop)->uv);
}

static const int numbers[SIGNALS] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};

static void signal_set(sigset_t *set) {
    sigemptyset(set);
    for (int i = 0; i < SIGNALS; i++)
        sigaddset(set, numbers[i]);
}

void gri_uv_signals_hold(void) {
    sigset_t held;
    signal_set(&held);
    (void)pthread_sigmask(SIG_BLOCK, &held, NULL);
}

static void signal_caught(uv_signal_t *handle, int number) {
    struct uv_loop_state *state = handle->data;
    state->caught(state->caught_arg, number);
}

enum gri_status gri_uv_loop_signals(struct gri_loop *loop, void (*caught)(void *arg, int signal), void *arg,
                                    struct gri_error *error) {
    struct uv_loop_state *state = state_of(loop);
    sigset_t held;
    signal_set(&held);
    GRI_ASSERT(state->signal_count == 0);
    state->caught = caught;
    state->caught_arg = arg;
    for (int i = 0; i < SIGNALS; i++) {
        int code = uv_signal_init(&state->uv, &state->signals[i]);
        if (code == 0) {
            state->signals[i].data = state;
            state->signal_count = i + 1;
            code = uv_signal_start(&state->signals[i], signal_caught, numbers[i]);
        }
        if (code) return gri_fail(error, GRI_R_io, "signal %d can't be watched: %s", numbers[i], uv_strerror(code));
    }
    (void)pthread_sigmask(SIG_UNBLOCK, &held, NULL);
    return GRI_OK;
}
