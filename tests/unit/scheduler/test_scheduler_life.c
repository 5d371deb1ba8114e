/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and its limits, taking over from others, outages of the stream, drain, liveness. */
#include "scheduler_bench.h"

#include <string.h>

static void push_urls(struct bench *b, int from, int count) {
    char url[64];
    for (int i = from; i < from + count; i++) {
        (void)gri_format(url, sizeof url, "https://a.test/%d", i);
        (void)fake_stream_push_url(&b->stream, url, "", 0);
    }
}

static size_t unread(const struct bench *b) {
    size_t count = 0;
    for (size_t i = 0; i < b->stream.entry_count; i++)
        count += !b->stream.entries[i].delivered;
    return count;
}

static void full_window_stops_reading(void **state) {
    struct bench *b = *state;
    b->options.window = 100;
    b->options.batch = 20;
    push_urls(b, 0, 400);
    bench_start(b);
    bench_run(b, 20000);
    assert_int_equal(b->stream.inflight_count, 80); /* four fifths for new work */
    assert_true(unread(b) >= 280);
    fake_stream_finish_jobs(&b->stream);
    for (size_t i = 0; i < b->ledger.url_count; i++)
        b->ledger.urls[i].state = GRI_URL_DONE;
    bench_run(b, 1000);
    assert_int_equal(b->stream.inflight_count, 80);
    assert_true(unread(b) <= 250);
}

static void chunk_waits_for_room_with_its_heartbeat(void **state) {
    struct bench *b = *state;
    b->options.window = 10;
    bench_add_lines(fake_ledger_add_catalog(&b->ledger, "c1"), "https://a.test", 0, 12);
    bench_start(b);
    bench_run(b, 10000);
    assert_int_equal(b->stream.inflight_count, 8);
    assert_int_equal(fake_trace_count(&b->trace, "chunk_done"), 0);
    assert_true(fake_trace_count(&b->trace, "heartbeat 1") >= 1);
    fake_stream_finish_jobs(&b->stream);
    bench_run(b, 1000);
    assert_int_equal(b->stream.dispatched, 12);
    assert_int_equal(fake_trace_count(&b->trace, "chunk_done"), 1);
}

static void what_did_not_fit_in_a_lease_is_left_to_the_sweeper(void **state) {
    struct bench *b = *state;
    b->options.window = 10;
    bench_add_lines(fake_ledger_add_catalog(&b->ledger, "c1"), "https://a.test", 0, 12);
    bench_start(b);
    bench_run(b, 34000);
    assert_int_equal(fake_trace_count(&b->trace, "chunk_done"), 1);
    bench_run(b, 15000);
    assert_int_equal(b->stream.inflight_count, 10); /* repairs may use the last fifth */
    fake_stream_finish_jobs(&b->stream);
    for (size_t i = 0; i < 10; i++)
        b->ledger.urls[i].state = GRI_URL_DONE;
    bench_run(b, 15000);
    assert_int_equal(b->stream.dispatched, 12);
}

static void entries_of_the_dead_are_taken_over_after_a_lease(void **state) {
    struct bench *b = *state;
    (void)fake_stream_push_url(&b->stream, "https://a.test/1", "", 1);
    bench_start(b);
    bench_run(b, 29000);
    assert_int_equal(fake_trace_count(&b->trace, "reclaim"), 0);
    bench_run(b, 8000);
    assert_true(fake_trace_count(&b->trace, "reclaim") >= 1);
    assert_int_equal(fake_trace_count(&b->trace, "events 1 reclaimed"), 1);
    assert_int_equal(b->ledger.url_count, 1);
    assert_int_equal(b->stream.entry_count, 0);
}

static void after_an_outage_heartbeats_go_first_and_nothing_is_reclaimed_for_a_lease(void **state) {
    struct bench *b = *state;
    b->ledger.fault = (struct fake_fault){.op = "admit", .times = 1000, .status = GRI_RETRY};
    push_urls(b, 0, 1);
    bench_start(b);
    bench_run(b, 40000);
    fake_stream_set_down(&b->stream, true);
    bench_run(b, 50000);
    (void)fake_stream_push_url(&b->stream, "https://a.test/other", "", 1);
    size_t mark = b->trace.count;
    fake_stream_set_down(&b->stream, false);
    bench_run(b, 28000);
    assert_true(strncmp(b->trace.lines[mark], "heartbeat 1", 11) == 0);
    for (size_t i = mark; i < b->trace.count; i++)
        assert_string_not_equal(b->trace.lines[i], "reclaim");
    b->ledger.fault.times = 0;
    bench_run(b, 20000);
    assert_int_equal(b->ledger.url_count, 2);
    assert_int_equal(b->stream.entry_count, 0);
}

/* Two at once would share one request: the answers of the second would be read as those of the first, and fence what is ours. */
static void reconnect_just_before_a_heartbeat_sends_one_not_two(void **state) {
    struct bench *b = *state;
    b->ledger.fault = (struct fake_fault){.op = "admit", .times = 1000, .status = GRI_RETRY};
    push_urls(b, 0, 1);
    bench_start(b);
    bench_run(b, b->options.heartbeat_ms - 100);
    b->stream.slow_ms = 300;
    size_t before = fake_trace_count(&b->trace, "heartbeat 1");
    fake_stream_set_down(&b->stream, true);
    fake_stream_set_down(&b->stream, false);
    bench_run(b, 250);
    assert_int_equal(fake_trace_count(&b->trace, "heartbeat 1"), before + 1);
    bench_run(b, 2 * b->options.heartbeat_ms);
    assert_true(fake_trace_count(&b->trace, "heartbeat 1") >= before + 2); /* and the rhythm goes on */
}

static void own_entry_that_comes_again_is_not_begun_twice(void **state) {
    struct bench *b = *state;
    bench_add_lines(fake_ledger_add_catalog(&b->ledger, "c1"), "https://a.test", 0, 2);
    b->ledger.lease_taken = true;
    b->ledger.fault = (struct fake_fault){.op = "admit", .times = 1000000, .status = GRI_RETRY};
    (void)fake_stream_push_chunk(&b->stream, "c1", 0, 0);
    bench_start(b);
    b->stream.fault = (struct fake_fault){.op = "heartbeat", .times = 1000000, .status = GRI_RETRY};
    bench_run(b, 60000);
    assert_true(fake_stream_entry(&b->stream, "1-0")->entry.deliveries >= 2); /* we reclaimed it from ourselves */
    assert_int_equal(fake_trace_count(&b->trace, "chunk c1"), 1);
}

static void stream_outage_in_the_middle_loses_nothing(void **state) {
    struct bench *b = *state;
    struct fake_catalog *c = fake_ledger_add_catalog(&b->ledger, "c1");
    for (int i = 0; i < 10; i++)
        bench_add_lines(c, "https://a.test", 100 * i, 100);
    bench_start(b);
    bench_run(b, 4);
    fake_stream_set_down(&b->stream, true);
    bench_run(b, 20000);
    fake_stream_set_down(&b->stream, false);
    bench_run(b, 10000);
    assert_int_equal(b->ledger.url_count, 1000);
    assert_int_equal(b->stream.inflight_count, 1000);
    assert_int_equal(b->stream.entry_count, 0);
}

static void everything_in_redis_may_vanish(void **state) {
    struct bench *b = *state;
    struct fake_catalog *c = fake_ledger_add_catalog(&b->ledger, "c1");
    for (int i = 0; i < 10; i++)
        bench_add_lines(c, "https://a.test", 1000 * i, 1000);
    bench_start(b);
    for (int i = 0; i < 6; i++) {
        bench_run(b, 7);
        fake_stream_flush(&b->stream);
    }
    bench_run(b, 20000);
    assert_int_equal(b->ledger.url_count, 10000);
    assert_int_equal(b->stream.inflight_count, 10000);
    assert_int_equal(b->stream.entry_count, 0);
    for (size_t i = 0; i < c->chunk_count; i++)
        assert_true(c->chunks[i].admitted);
}

static void drain_finishes_what_is_in_hand_and_reads_no_more(void **state) {
    struct bench *b = *state;
    bench_add_lines(fake_ledger_add_catalog(&b->ledger, "c1"), "https://a.test", 0, 1500);
    bench_start(b);
    while (fake_trace_count(&b->trace, "admit") == 0)
        bench_run(b, 1);
    bench_drain(b);
    push_urls(b, 0, 3);
    bench_run(b, 1000);
    assert_int_equal(b->drained, 1);
    assert_true(fake_ledger_catalog(&b->ledger, "c1")->chunks[0].admitted);
    size_t ours = 0;
    for (size_t i = 0; i < b->stream.entry_count; i++)
        ours += b->stream.entries[i].mine;
    assert_int_equal(ours, 0); /* zero redeliveries */
    assert_true(bench_before(b, "ack", "leave"));
    assert_int_equal(fake_trace_count(&b->trace, "lease feeder 0"), 1);
    assert_int_equal(fake_trace_count(&b->trace, "lease sweeper 0"), 1);
    size_t mark = b->trace.count;
    bench_run(b, 60000);
    assert_int_equal(b->trace.count, mark); /* it is quiet */
}

static void drain_does_not_wait_for_a_full_window(void **state) {
    struct bench *b = *state;
    b->options.window = 10;
    bench_add_lines(fake_ledger_add_catalog(&b->ledger, "c1"), "https://a.test", 0, 100);
    bench_start(b);
    bench_run(b, 2000);
    assert_int_equal(fake_trace_count(&b->trace, "chunk_done"), 0);
    bench_drain(b);
    bench_run(b, 1000);
    assert_int_equal(b->drained, 1);
    assert_true(fake_ledger_catalog(&b->ledger, "c1")->chunks[0].admitted);
    assert_int_equal(b->ledger.url_count, 100);
}

static void drain_while_servers_are_away_ends_once_they_are_back(void **state) {
    struct bench *b = *state;
    push_urls(b, 0, 5);
    b->ledger.down = true;
    bench_start(b);
    bench_run(b, 1000);
    fake_stream_set_down(&b->stream, true);
    bench_drain(b);
    bench_run(b, 20000);
    assert_int_equal(b->drained, 0);
    b->ledger.down = false;
    fake_stream_set_down(&b->stream, false);
    bench_run(b, 12000);
    assert_int_equal(b->drained, 1);
    assert_int_equal(b->stream.dispatched, 5);
}

static void tick_tells_that_the_loop_lives(void **state) {
    struct bench *b = *state;
    bench_start(b);
    bench_run(b, 10000);
    assert_true(b->loop.now - gri_scheduler_tick_ms(b->scheduler) <= 1000);
    assert_true(gri_scheduler_is_ready(b->scheduler));
    b->ledger.down = true;
    bench_run(b, 40000);
    assert_false(gri_scheduler_is_ready(b->scheduler));
    assert_true(b->loop.now - gri_scheduler_tick_ms(b->scheduler) <= 1000);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        T(full_window_stops_reading),
        T(chunk_waits_for_room_with_its_heartbeat),
        T(what_did_not_fit_in_a_lease_is_left_to_the_sweeper),
        T(entries_of_the_dead_are_taken_over_after_a_lease),
        T(after_an_outage_heartbeats_go_first_and_nothing_is_reclaimed_for_a_lease),
        T(reconnect_just_before_a_heartbeat_sends_one_not_two),
        T(own_entry_that_comes_again_is_not_begun_twice),
        T(stream_outage_in_the_middle_loses_nothing),
        T(everything_in_redis_may_vanish),
        T(drain_finishes_what_is_in_hand_and_reads_no_more),
        T(drain_does_not_wait_for_a_full_window),
        T(drain_while_servers_are_away_ends_once_they_are_back),
        T(tick_tells_that_the_loop_lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
