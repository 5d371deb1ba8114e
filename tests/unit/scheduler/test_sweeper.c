/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatcher and sweeper: what is due or lost comes back into the window, and nothing else. */
#include "scheduler_bench.h"

#include <string.h>

/* One URL that is queued in the ledger and inflight. */
static void start_with_one_job(struct bench *b) {
    (void)fake_stream_push_url(&b->stream, "https://a.test/1", "", 0);
    bench_start(b);
    bench_run(b, 100);
    assert_int_equal(b->stream.dispatched, 1);
}

static void due_job_is_dispatched_with_its_new_run(void **state) {
    struct bench *b = *state;
    start_with_one_job(b);
    fake_stream_finish_jobs(&b->stream);
    b->ledger.urls[0].state = GRI_URL_WAITING;
    b->ledger.urls[0].next_at = b->loop.now + 10000;
    bench_run(b, 9000);
    assert_int_equal(b->stream.dispatched, 1);
    bench_run(b, 4000);
    assert_int_equal(b->stream.dispatched, 2);
    assert_int_equal(b->ledger.urls[0].run, 2);
}

static void queued_job_that_is_not_inflight_is_swept_after_a_minute(void **state) {
    struct bench *b = *state;
    start_with_one_job(b);
    fake_stream_finish_jobs(&b->stream);
    bench_run(b, 50000);
    assert_int_equal(b->stream.dispatched, 1);
    bench_run(b, 25000);
    assert_int_equal(b->stream.dispatched, 2);
    assert_int_equal(fake_trace_count(&b->trace, "events 1 repaired"), 1);
    bench_run(b, 60000);
    assert_int_equal(b->stream.dispatched, 2);
}

static void sweeper_looks_twice(void **state) {
    struct bench *b = *state;
    start_with_one_job(b);
    fake_stream_finish_jobs(&b->stream);
    for (int i = 0; i < 100000 && fake_trace_count(&b->trace, "inspect") == 0; i++)
        bench_run(b, 1);
    b->ledger.urls[0].state = GRI_URL_DONE; /* a worker was quicker, between the two looks */
    bench_run(b, 60000);
    assert_int_equal(fake_trace_count(&b->trace, "check 1"), 1);
    assert_int_equal(b->stream.dispatched, 1);
}

static void new_epoch_sweeps_at_once(void **state) {
    struct bench *b = *state;
    start_with_one_job(b);
    fake_stream_flush(&b->stream);
    bench_run(b, 200);
    assert_true(fake_trace_count(&b->trace, "stale 0") >= 1);
    assert_int_equal(b->stream.dispatched, 2);
}

static void inflight_job_whose_entry_is_lost_is_found_after_ten_minutes(void **state) {
    struct bench *b = *state;
    start_with_one_job(b);
    b->stream.inflight[0].lost = true;
    bench_run(b, 500000);
    assert_int_equal(b->stream.dispatched, 1);
    assert_int_equal(fake_trace_count(&b->trace, "inspect 1 deep"), 0);
    bench_run(b, 150000);
    assert_int_equal(b->stream.dispatched, 2);
}

static void sweeper_walks_all_pages(void **state) {
    struct bench *b = *state;
    b->options.batch = 10;
    char url[64];
    for (int i = 0; i < 95; i++) {
        (void)gri_format(url, sizeof url, "https://a.test/%d", i);
        (void)fake_stream_push_url(&b->stream, url, "", 0);
    }
    bench_start(b);
    bench_run(b, 1000);
    assert_int_equal(b->stream.dispatched, 95);
    fake_stream_flush(&b->stream);
    bench_run(b, 1000);
    assert_int_equal(b->stream.dispatched, 190);
}

static void sweeper_stops_at_a_full_window_and_goes_on_when_there_is_room(void **state) {
    struct bench *b = *state;
    b->options.batch = 10;
    b->options.window = 40;
    char url[64];
    for (int i = 0; i < 30; i++) {
        (void)gri_format(url, sizeof url, "https://a.test/%d", i);
        (void)fake_stream_push_url(&b->stream, url, "", 0);
    }
    bench_start(b);
    bench_run(b, 1000);
    assert_int_equal(b->stream.inflight_count, 30);
    fake_stream_flush(&b->stream);
    for (int i = 0; i < 25; i++)
        (void)gri_format(b->stream.inflight[b->stream.inflight_count++].key, GRI_KEY_MAX, "other %d", i);
    bench_run(b, 900);
    assert_true(b->stream.inflight_count <= 40 && b->stream.dispatched > 30 && b->stream.dispatched < 60);
    for (size_t i = 0; i < b->stream.inflight_count;) { /* the others' work ends */
        if (strncmp(b->stream.inflight[i].key, "other", 5) != 0)
            i++;
        else
            b->stream.inflight[i] = b->stream.inflight[--b->stream.inflight_count];
    }
    bench_run(b, 5000);
    assert_int_equal(b->stream.inflight_count, 30);
    assert_int_equal(b->stream.dispatched, 60);
}

static void nothing_lost_costs_one_query_a_sweep(void **state) {
    struct bench *b = *state;
    bench_start(b);
    bench_run(b, 100000);
    size_t sweeps = fake_trace_count(&b->trace, "stale");
    assert_true(sweeps >= 9 && sweeps <= 12);
    assert_int_equal(fake_trace_count(&b->trace, "inspect"), 0);
}

static void failed_sweep_is_made_up_for(void **state) {
    struct bench *b = *state;
    start_with_one_job(b);
    b->ledger.fault = (struct fake_fault){.op = "check", .times = 2, .status = GRI_RETRY};
    fake_stream_flush(&b->stream);
    bench_run(b, 2000);
    assert_int_equal(b->stream.dispatched, 2);
}

static void consumers_of_the_dead_are_retired_from_both_groups_by_who_sweeps(void **state) {
    struct bench *b = *state;
    b->stream.dead_consumers[GRI_STREAM_URLS] = 3;
    b->stream.dead_consumers[GRI_STREAM_JOBS] = 2;
    b->ledger.lease_taken = true;
    bench_start(b);
    bench_run(b, 400000);
    assert_int_equal(fake_trace_count(&b->trace, "retire"), 0); /* another one sweeps */
    b->ledger.lease_taken = false;
    bench_run(b, 320000);
    assert_int_equal(fake_trace_count(&b->trace, "retire 0 300000"), 1); /* ten leases of 30 s */
    assert_int_equal(fake_trace_count(&b->trace, "retire 1 300000"), 1);
    assert_int_equal(b->stream.dead_consumers[GRI_STREAM_URLS] + b->stream.dead_consumers[GRI_STREAM_JOBS], 0);
    b->stream.fault = (struct fake_fault){.op = "retire", .times = 2, .status = GRI_RETRY};
    bench_run(b, 310000);
    assert_int_equal(fake_trace_count(&b->trace, "retire"), 6); /* one failed twice; both came again */
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        T(due_job_is_dispatched_with_its_new_run),
        T(queued_job_that_is_not_inflight_is_swept_after_a_minute),
        T(sweeper_looks_twice),
        T(new_epoch_sweeps_at_once),
        T(inflight_job_whose_entry_is_lost_is_found_after_ten_minutes),
        T(sweeper_walks_all_pages),
        T(sweeper_stops_at_a_full_window_and_goes_on_when_there_is_room),
        T(nothing_lost_costs_one_query_a_sweep),
        T(failed_sweep_is_made_up_for),
        T(consumers_of_the_dead_are_retired_from_both_groups_by_who_sweeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
