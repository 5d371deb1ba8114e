/* SPDX-License-Identifier: Apache-2.0 */
/* The bounded queue and the executor: nothing is lost, nothing is taken past the bound, `done` comes on the loop's thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <grisaille/bytes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "queue.h"
#include "threads.h"

static void sleep_ms(long ms) {
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void a_queue_is_first_in_first_out_and_bounded(void **state) {
    (void)state;
    int items[4];
    void *item = NULL;
    struct gri_queue *queue = gri_queue_create(3);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 3; i++)
            assert_true(gri_queue_push(queue, &items[i]));
        assert_false(gri_queue_push(queue, &items[3]));
        assert_int_equal(gri_queue_length(queue), 3);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(gri_queue_pop(queue, 0, &item), GRI_POP_ITEM);
            assert_ptr_equal(item, &items[i]);
        }
        assert_true(gri_queue_push(queue, &items[3]));
        assert_int_equal(gri_queue_pop(queue, 0, &item), GRI_POP_ITEM);
    }
    gri_queue_destroy(queue);
}

static void an_empty_queue_waits_as_long_as_told(void **state) {
    (void)state;
    void *item = NULL;
    struct gri_queue *queue = gri_queue_create(1);
    int64_t before = now_ms();
    assert_int_equal(gri_queue_pop(queue, 30, &item), GRI_POP_TIMEOUT);
    assert_true(now_ms() - before >= 29);
    gri_queue_destroy(queue);
}

static void *close_later(void *queue) {
    sleep_ms(20);
    gri_queue_close(queue);
    return NULL;
}

static void close_wakes_waiters_and_keeps_what_is_in(void **state) {
    (void)state;
    int one;
    void *item = NULL;
    pthread_t thread;
    struct gri_queue *queue = gri_queue_create(2);
    assert_int_equal(pthread_create(&thread, NULL, close_later, queue), 0);
    assert_int_equal(gri_queue_pop(queue, 10000, &item), GRI_POP_CLOSED);
    pthread_join(thread, NULL);
    assert_false(gri_queue_push(queue, &one));
    gri_queue_destroy(queue);
    queue = gri_queue_create(2);
    assert_true(gri_queue_push(queue, &one));
    gri_queue_close(queue);
    assert_int_equal(gri_queue_pop(queue, 0, &item), GRI_POP_ITEM);
    assert_int_equal(gri_queue_pop(queue, 0, &item), GRI_POP_CLOSED);
    gri_queue_destroy(queue);
}

/* A loop that only knows `post`. */
struct posted {
    void (*run)(void *arg);
    void *arg;
};
struct small_loop {
    struct gri_loop loop;
    pthread_mutex_t lock;
    struct posted posted[256];
    size_t count;
};

static void post(struct gri_loop *loop, void (*run)(void *arg), void *arg) {
    struct small_loop *self = gri_container_of(loop, struct small_loop, loop);
    pthread_mutex_lock(&self->lock);
    self->posted[self->count++] = (struct posted){run, arg};
    pthread_mutex_unlock(&self->lock);
}

static size_t turn(struct small_loop *self) {
    struct posted now[256];
    pthread_mutex_lock(&self->lock);
    size_t count = self->count;
    memcpy(now, self->posted, count * sizeof *now);
    self->count = 0;
    pthread_mutex_unlock(&self->lock);
    for (size_t i = 0; i < count; i++) {
        now[i].run(now[i].arg);
    }
    return count;
}

struct job {
    struct gri_task task;
    atomic_int worked, done;
    atomic_bool *gate;
    pthread_t work_thread, done_thread;
};

static void work(struct gri_task *task) {
    struct job *job = gri_container_of(task, struct job, task);
    while (job->gate && !atomic_load(job->gate))
        sleep_ms(1);
    job->work_thread = pthread_self();
    atomic_fetch_add(&job->worked, 1);
}

static void done(struct gri_task *task) {
    struct job *job = gri_container_of(task, struct job, task);
    job->done_thread = pthread_self();
    atomic_fetch_add(&job->done, 1);
}

static const struct gri_loop_ops LOOP_OPS = {.post = post};

static void work_runs_elsewhere_and_done_on_the_loop(void **state) {
    (void)state;
    struct small_loop loop = {.loop = {.ops = &LOOP_OPS}, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct job jobs[100] = {0};
    struct gri_executor *executor = gri_threads_create(&loop.loop, "a-long-name-of-threads", 3, 100, NULL, NULL);
    for (int i = 0; i < 100; i++) {
        jobs[i].task.work = work;
        jobs[i].task.done = done;
        assert_true(gri_submit(executor, &jobs[i].task));
    }
    size_t delivered = 0;
    for (int64_t until = now_ms() + 10000; delivered < 100 && now_ms() < until; sleep_ms(1))
        delivered += turn(&loop);
    assert_int_equal(delivered, 100);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(atomic_load(&jobs[i].worked), 1);
        assert_int_equal(atomic_load(&jobs[i].done), 1);
        assert_true(pthread_equal(jobs[i].done_thread, pthread_self()));
        assert_false(pthread_equal(jobs[i].work_thread, pthread_self()));
    }
    gri_threads_destroy(executor);
}

static void a_full_executor_takes_nothing_and_destroy_drains(void **state) {
    (void)state;
    struct small_loop loop = {.loop = {.ops = &LOOP_OPS}, .lock = PTHREAD_MUTEX_INITIALIZER};
    atomic_bool gate = false;
    struct job jobs[10] = {0};
    int taken = 0;
    struct gri_executor *executor = gri_threads_create(&loop.loop, "t", 1, 2, NULL, NULL);
    for (int64_t until = now_ms() + 5000; now_ms() < until && taken < 3; sleep_ms(1)) {
        jobs[taken] = (struct job){.task = {.work = work, .done = done}, .gate = &gate};
        if (gri_submit(executor, &jobs[taken].task)) taken++;
    }
    assert_int_equal(taken, 3);
    jobs[3] = (struct job){.task = {.work = work, .done = done}, .gate = &gate};
    assert_false(gri_submit(executor, &jobs[3].task));
    assert_int_equal(gri_threads_waiting(executor), 2);
    atomic_store(&gate, true);
    gri_threads_destroy(executor);
    assert_int_equal(turn(&loop), 3);
    assert_int_equal(atomic_load(&jobs[3].worked), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(atomic_load(&jobs[i].done), 1);
    gri_threads_destroy(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_queue_is_first_in_first_out_and_bounded),
        cmocka_unit_test(an_empty_queue_waits_as_long_as_told),
        cmocka_unit_test(close_wakes_waiters_and_keeps_what_is_in),
        cmocka_unit_test(work_runs_elsewhere_and_done_on_the_loop),
        cmocka_unit_test(a_full_executor_takes_nothing_and_destroy_drains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
