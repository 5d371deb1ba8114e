/* SPDX-License-Identifier: Apache-2.0 */
/* CPU work on real threads: built with the thread sanitizer, this shows that a slot has one owner at a time. */
#include "threads.h"
#include "worker_test.h"
#include <unistd.h>

static void jobs_on_real_threads_all_end(void **state) {
    (void)state;
    enum { JOBS = 200 };
    struct world *world = world_create(16);
    struct gri_executor *threads =
        gri_threads_create(&world->loop, "cpu", 3, 4, NULL, NULL); /* a short queue: it is full now and then */
    world_use_threads(world, threads);
    for (int i = 0; i < JOBS; i++) {
        char url[64];
        gri_format(url, sizeof url, "https://h%d.test/%d", i % 5, i);
        world_put(world, url);
    }
    for (int i = 0; i < 30000 && world->acked < JOBS; i++) {
        world_run(world, 1);
        usleep(100); /* the threads live in real time */
    }
    assert_int_equal(world->acked, JOBS);
    assert_int_equal(world->runs, JOBS);
    assert_int_equal(world->image_count, JOBS);
    gri_threads_destroy(threads);
    world_run(world, 1);
    world_destroy(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(jobs_on_real_threads_all_end)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
