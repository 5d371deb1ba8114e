/* SPDX-License-Identifier: Apache-2.0 */
/* The loop port on libuv: order and moment of timers and posts, threads, signals, and nothing left behind (under ASan). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "uv_loop.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 4, POSTS = 500 };

struct seen {
    struct gri_loop *loop;
    char order[32];
    int count, wanted;
    bool inside; /* a post is being run */
    bool nested; /* another one ran meanwhile */
    pthread_t thread;
    bool other_thread;
    int64_t at;
    struct gri_timer *timer;
};

static struct gri_loop *new_loop(void) {
    struct gri_loop *loop = NULL;
    struct gri_error error;
    assert_int_equal(gri_uv_loop_create(&loop, &error), GRI_OK);
    return loop;
}

static void stop(void *arg) {
    gri_uv_loop_stop(((struct seen *)arg)->loop);
}
static void see(struct seen *seen, char mark) {
    seen->order[strlen(seen->order)] = mark;
} /* the rest is zeros */
static void see_a(void *arg) {
    see(arg, 'a');
}
static void see_b(void *arg) {
    see(arg, 'b');
}
static void see_c(void *arg) {
    see(arg, 'c');
}
static void never(void *arg) {
    (void)arg;
    fail_msg("a stopped timer fired");
}

static void timers_fire_in_order_of_time(void **state) {
    (void)state;
    struct seen seen = {.loop = new_loop()};
    gri_timer_start(seen.loop, 30, see_c, &seen);
    gri_timer_start(seen.loop, 0, see_a, &seen);
    gri_timer_start(seen.loop, 15, see_b, &seen);
    gri_timer_start(seen.loop, 45, stop, &seen);
    struct gri_timer *timer = gri_timer_start(seen.loop, 5, never, NULL);
    gri_timer_stop(seen.loop, timer);
    gri_timer_stop(seen.loop, NULL);
    assert_string_equal(seen.order, "");
    gri_uv_loop_run(seen.loop);
    assert_string_equal(seen.order, "abc");
    gri_uv_loop_destroy(seen.loop);
}

static void note_time(void *arg) {
    struct seen *seen = arg;
    seen->at = gri_now_ms(seen->loop);
    gri_uv_loop_stop(seen->loop);
}

static void busy_then_start(void *arg) {
    struct seen *seen = arg;
    usleep(60 * 1000); /* a long callback: libuv's idea of the time is now old */
    seen->at = gri_now_ms(seen->loop);
    gri_timer_start(seen->loop, 40, note_time, seen);
}

static void a_timer_started_after_a_long_callback_waits_its_whole_time(void **state) {
    (void)state;
    struct seen seen = {.loop = new_loop()};
    gri_timer_start(seen.loop, 0, busy_then_start, &seen);
    int64_t begin = gri_now_ms(seen.loop);
    gri_uv_loop_run(seen.loop);
    assert_true(seen.at - begin >= 60 + 39);
    gri_uv_loop_destroy(seen.loop);
}

static void stop_other(void *arg) {
    struct seen *seen = arg;
    gri_timer_stop(seen->loop, seen->timer);
    gri_timer_start(seen->loop, 20, stop, seen);
}

static void a_timer_can_stop_one_that_is_due_in_the_same_turn(void **state) {
    (void)state;
    struct seen seen = {.loop = new_loop()};
    gri_timer_start(seen.loop, 1, stop_other, &seen);
    seen.timer = gri_timer_start(seen.loop, 1, never, NULL);
    usleep(5000);
    gri_uv_loop_run(seen.loop);
    gri_uv_loop_destroy(seen.loop);
}

static void see_post(void *arg) {
    struct seen *seen = arg;
    if (seen->inside) seen->nested = true;
    if (!pthread_equal(pthread_self(), seen->thread)) seen->other_thread = true;
    if (++seen->count == seen->wanted) gri_uv_loop_stop(seen->loop);
}

static void post_again(void *arg) {
    struct seen *seen = arg;
    seen->inside = true;
    gri_post(seen->loop, see_post, seen);
    assert_int_equal(seen->count, 0);
    seen->inside = false;
}

static void a_post_from_the_loop_runs_later_and_never_inside_the_call(void **state) {
    (void)state;
    struct seen seen = {.loop = new_loop(), .wanted = 1, .thread = pthread_self()};
    gri_post(seen.loop, post_again, &seen);
    assert_int_equal(seen.count, 0);
    gri_uv_loop_run(seen.loop);
    assert_int_equal(seen.count, 1);
    assert_false(seen.nested);
    gri_uv_loop_destroy(seen.loop);
}

static void *poster(void *arg) {
    struct seen *seen = arg;
    for (int i = 0; i < POSTS; i++)
        gri_post(seen->loop, see_post, seen);
    return NULL;
}

static void posts_of_many_threads_all_run_on_the_loops_thread(void **state) {
    (void)state;
    struct seen seen = {.loop = new_loop(), .wanted = THREADS * POSTS, .thread = pthread_self()};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, poster, &seen), 0);
    gri_uv_loop_run(seen.loop);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(seen.count, THREADS * POSTS);
    assert_false(seen.other_thread);
    gri_uv_loop_destroy(seen.loop);
}

static void what_is_left_at_the_end_is_freed_and_not_run(void **state) {
    (void)state;
    struct seen seen = {.loop = new_loop()};
    gri_timer_start(seen.loop, 100000, never, NULL);
    gri_timer_start(seen.loop, 0, stop, &seen);
    gri_uv_loop_run(seen.loop);
    gri_timer_start(seen.loop, 0, never, NULL);
    gri_uv_loop_destroy(seen.loop);
    gri_uv_loop_destroy(NULL);
}

static void caught(void *arg, int number) {
    struct seen *seen = arg;
    seen->count = number;
    gri_uv_loop_stop(seen->loop);
}

static void a_signal_reaches_the_loops_thread(void **state) {
    (void)state;
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    struct seen seen = {.loop = new_loop()};
    struct gri_error error;
    assert_int_equal(gri_uv_loop_signals(seen.loop, caught, &seen, &error), GRI_OK);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        kill(getpid(), numbers[i]);
        gri_uv_loop_run(seen.loop);
        assert_int_equal(seen.count, numbers[i]);
    }
    gri_uv_loop_destroy(seen.loop);
}

static void clocks_and_randomness_are_plausible(void **state) {
    (void)state;
    struct gri_loop *loop = new_loop();
    int64_t before = gri_now_ms(loop);
    usleep(3000);
    assert_true(gri_now_ms(loop) - before >= 2);
    assert_true(gri_wall_ms(loop) > 1700000000000);
    assert_true(gri_random(loop) != gri_random(loop));
    gri_uv_loop_destroy(loop);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_order_of_time),
        cmocka_unit_test(a_timer_started_after_a_long_callback_waits_its_whole_time),
        cmocka_unit_test(a_timer_can_stop_one_that_is_due_in_the_same_turn),
        cmocka_unit_test(a_post_from_the_loop_runs_later_and_never_inside_the_call),
        cmocka_unit_test(posts_of_many_threads_all_run_on_the_loops_thread),
        cmocka_unit_test(what_is_left_at_the_end_is_freed_and_not_run),
        cmocka_unit_test(a_signal_reaches_the_loops_thread),
        cmocka_unit_test(clocks_and_randomness_are_plausible),
    };
    return cmocka_run_group_tests_name("uv_loop", tests, NULL, NULL);
}
