/* SPDX-License-Identifier: Apache-2.0 */
/* The micro-batcher: by number, by time, bounded flights. */
#include "batch.h"
#include "worker_test.h"

struct seen {
    struct world *world;
    struct gri_batch batch;
    size_t flushes, sizes[32];
    uintptr_t last;
};

static void flushed(void *arg, void *const *items, size_t count) {
    struct seen *seen = arg;
    seen->sizes[seen->flushes++] = count;
    seen->last = (uintptr_t)items[count - 1];
}

static void begin(struct seen *seen, size_t flying_max) {
    *seen = (struct seen){.world = world_create(0)};
    gri_batch_init(&seen->batch, &(struct gri_batch_options){.loop = &seen->world->loop,
                                                             .limit = 3,
                                                             .wait_ms = 5,
                                                             .capacity = 16,
                                                             .flying_max = flying_max,
                                                             .flush = flushed,
                                                             .arg = seen});
}

static void end(struct seen *seen) {
    gri_batch_clear(&seen->batch);
    world_destroy(seen->world);
}

static void add(struct seen *seen, uintptr_t item) {
    gri_batch_add(&seen->batch, (void *)item);
}

static void a_full_batch_goes_at_once(void **state) {
    (void)state;
    struct seen seen;
    begin(&seen, 4);
    add(&seen, 1);
    add(&seen, 2);
    assert_int_equal(seen.flushes, 0);
    add(&seen, 3);
    assert_int_equal(seen.flushes, 1);
    assert_int_equal(seen.sizes[0], 3);
    world_run(seen.world, 50);
    assert_int_equal(seen.flushes, 1);
    end(&seen);
}

static void a_small_batch_goes_when_its_time_is_up(void **state) {
    (void)state;
    struct seen seen;
    begin(&seen, 4);
    add(&seen, 1);
    world_run(seen.world, 4);
    add(&seen, 2);
    assert_int_equal(seen.flushes, 0);
    world_run(seen.world, 1); /* since the first */
    assert_int_equal(seen.flushes, 1);
    assert_int_equal(seen.sizes[0], 2);
    end(&seen);
}

static void a_small_batch_waits_for_the_one_before_it(void **state) {
    (void)state;
    struct seen seen;
    begin(&seen, 4);
    add(&seen, 1);
    world_run(seen.world, 5);
    assert_int_equal(seen.flushes, 1);
    add(&seen, 2);
    world_run(seen.world, 20);
    add(&seen, 3);
    assert_int_equal(seen.flushes, 1); /* its time is up, but the first is out */
    gri_batch_landed(&seen.batch);
    assert_int_equal(seen.flushes, 2);
    assert_int_equal(seen.sizes[1], 2);
    add(&seen, 4);
    add(&seen, 5);
    add(&seen, 6);
    assert_int_equal(seen.flushes, 3); /* a full one waits for nothing */
    end(&seen);
}

static void a_batch_without_an_answer_keeps_none_back(void **state) {
    (void)state;
    struct seen seen;
    begin(&seen, 4);
    add(&seen, 1);
    world_run(seen.world, 5);
    add(&seen, 2);
    world_run(seen.world, 54);
    assert_int_equal(seen.flushes, 1);
    world_run(seen.world, 1);
    assert_int_equal(seen.flushes, 2);
    end(&seen);
}

static void no_more_flights_than_allowed_and_order_is_kept(void **state) {
    (void)state;
    struct seen seen;
    begin(&seen, 1);
    for (uintptr_t i = 1; i <= 10; i++)
        add(&seen, i);
    world_run(seen.world, 50);
    assert_int_equal(seen.flushes, 1);
    assert_int_equal(seen.last, 3);
    gri_batch_landed(&seen.batch);
    assert_int_equal(seen.last, 6);
    gri_batch_landed(&seen.batch);
    gri_batch_landed(&seen.batch);
    assert_int_equal(seen.flushes, 4);
    assert_int_equal(seen.sizes[3], 1);
    assert_int_equal(seen.last, 10);
    end(&seen);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_batch_goes_at_once), cmocka_unit_test(a_small_batch_goes_when_its_time_is_up),
        cmocka_unit_test(a_small_batch_waits_for_the_one_before_it), cmocka_unit_test(a_batch_without_an_answer_keeps_none_back),
        cmocka_unit_test(no_more_flights_than_allowed_and_order_is_kept)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
