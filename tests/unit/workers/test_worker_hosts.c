/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts: concurrency, fairness between them, the fleet's blocks and budgets. */
#include "worker_test.h"

static void put_many(struct world *world, const char *host, int count) {
    for (int i = 0; i < count; i++) {
        char url[128];
        gri_format(url, sizeof url, "https://%s/%zu", host, world->entry_count);
        world_put(world, url);
    }
}

static void a_host_gets_no_more_fetches_at_once_than_allowed(void **state) {
    (void)state;
    struct world *world = world_create(32);
    world->host_concurrency = 3;
    world->fetch_ms = 50;
    put_many(world, "a.test", 30);
    assert_true(world_settle(world, 10000));
    assert_int_equal(world->fetching_most, 3);
    assert_int_equal(world->fetches, 30);
    world_destroy(world);
}

static void one_hosts_queue_does_not_hold_up_another(void **state) {
    (void)state;
    struct world *world = world_create(32);
    world->host_concurrency = 1;
    world->fetch_ms = 200;
    put_many(world, "a.test", 20);
    size_t other = world_put(world, "https://b.test/x");
    world_run(world, 300);
    assert_true(world_record(world, other)->record.state == GRI_URL_DONE);
    assert_true(world->fetches < 5);
    world_destroy(world);
}

static void a_slow_hosts_jobs_give_their_slots_back(void **state) {
    (void)state;
    struct world *world = world_create(8);
    world->host_concurrency = 1;
    world->fetch_ms = 4000;
    put_many(world, "slow.test", 20);
    world_run(world, 6000); /* by now it is known to be slow, and the slots have turned over */
    size_t other = world_put(world, "https://b.test/x");
    world_run(world, 6000);
    assert_int_equal(world_record(world, other)->record.state, GRI_URL_DONE);
    int put_off = 0;
    int64_t last = 0;
    for (size_t i = 0; i < 20; i++) {
        const struct fake_record *record = world_record(world, i);
        if (record->record.state != GRI_URL_WAITING) continue;
        put_off++;
        assert_false(record->finish.charge || record->finish.limited);
        assert_true(record->finish.delay_ms >= 5000);
        if (record->finish.delay_ms > last) last = record->finish.delay_ms;
    }
    assert_true(put_off >= 10);
    assert_true(last > 30000); /* each has its own, later turn */
    assert_int_equal(world->fetching_most, 2);
    world_destroy(world);
}

static void a_host_that_the_fleet_leaves_alone_is_not_asked(void **state) {
    (void)state;
    struct world *world = world_create(8);
    world->gate_blocked_ms = 20000;
    size_t job = world_put(world, "https://a.test/1");
    assert_true(world_settle(world, 1000));
    assert_int_equal(world->fetches, 0);
    assert_true(world_record(world, job)->finish.limited);
    assert_in_range(world_record(world, job)->finish.delay_ms, 19900, 22000);
    world_destroy(world);
}

static void the_gates_answer_is_remembered_for_a_moment(void **state) {
    (void)state;
    struct world *world = world_create(8);
    put_many(world, "a.test", 5);
    assert_true(world_settle(world, 1000));
    put_many(world, "a.test", 5);
    assert_true(world_settle(world, 1000));
    assert_int_equal(world_count(world, "gate"), 1);
    world_run(world, 2000);
    put_many(world, "a.test", 1);
    assert_true(world_settle(world, 1000));
    assert_int_equal(world_count(world, "gate"), 2);
    world_destroy(world);
}

static void a_gate_that_does_not_answer_is_asked_again(void **state) {
    (void)state;
    struct world *world = world_create(8);
    world->gates_failing = 3;
    size_t job = world_put(world, "https://a.test/1");
    world_run(world, 1000);
    assert_int_equal(world->fetches, 0); /* nobody is bothered on a guess */
    assert_true(world_settle(world, 3000));
    assert_int_equal(world_record(world, job)->record.state, GRI_URL_DONE);
    world_destroy(world);
}

static void a_budget_spreads_fetches_over_time(void **state) {
    (void)state;
    struct world *world = world_create(16);
    world->per_second = 10;
    world->gate_step_ms = 100;
    put_many(world, "a.test", 10);
    world_run(world, 460);
    assert_in_range(world->fetches, 4, 6);
    assert_true(world_settle(world, 2000));
    assert_int_equal(world->fetches, 10);
    world_destroy(world);
}

static void what_is_far_over_the_budget_waits_uncharged(void **state) {
    (void)state;
    struct world *world = world_create(32);
    world->per_second = 1;
    world->gate_step_ms = 1000;
    put_many(world, "a.test", 20);
    assert_true(world_settle(world, 12000));
    int done = 0, waiting = 0;
    for (size_t i = 0; i < 20; i++) {
        const struct fake_record *record = world_record(world, i);
        done += record->record.state == GRI_URL_DONE;
        if (record->record.state != GRI_URL_WAITING) continue;
        waiting++;
        assert_false(record->finish.charge || record->finish.limited);
    }
    assert_int_equal(done + waiting, 20);
    assert_in_range(done, 5, 8);
    world_destroy(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_host_gets_no_more_fetches_at_once_than_allowed),
                                       cmocka_unit_test(one_hosts_queue_does_not_hold_up_another),
                                       cmocka_unit_test(a_slow_hosts_jobs_give_their_slots_back),
                                       cmocka_unit_test(a_host_that_the_fleet_leaves_alone_is_not_asked),
                                       cmocka_unit_test(the_gates_answer_is_remembered_for_a_moment),
                                       cmocka_unit_test(a_gate_that_does_not_answer_is_asked_again),
                                       cmocka_unit_test(a_budget_spreads_fetches_over_time),
                                       cmocka_unit_test(what_is_far_over_the_budget_waits_uncharged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
