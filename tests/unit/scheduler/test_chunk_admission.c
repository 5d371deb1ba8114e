/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a chunk: the order of its steps, what is skipped, refused, revived, and how it outlives failures. */
#include "scheduler_bench.h"

#include <string.h>

static void chunk_is_accounted_for_before_it_is_done_and_done_before_its_ack(void **state) {
    struct bench *b = *state;
    fake_ledger_add_chunk(fake_ledger_add_catalog(&b->ledger, "c1"), "https://a.test/1\n\nnonsense\nhttps://a.test/2\n");
    b->ledger.lease_taken = true; /* no feeder: the entry is ours alone */
    (void)fake_stream_push_chunk(&b->stream, "c1", 0, 0);
    bench_start(b);
    bench_run(b, 100);
    assert_true(bench_before(b, "chunk c1 0", "accounted c1"));
    assert_true(bench_before(b, "accounted c1", "admit 2 c1"));
    assert_true(bench_before(b, "admit 2 c1", "dispatch 2"));
    assert_true(bench_before(b, "dispatch 2", "chunk_done c1 0"));
    assert_true(bench_before(b, "reject 1", "chunk_done c1 0"));
    assert_true(bench_before(b, "chunk_done c1 0", "ack 1 1-0"));
    assert_int_equal(b->ledger.errors[0].line, 3);
    assert_int_equal(b->ledger.errors[0].reason, GRI_R_no_scheme);
    assert_int_equal(fake_ledger_url(&b->ledger, "https://a.test/2")->line, 4);
    assert_int_equal(b->stream.entry_count, 0);
    assert_int_equal(b->stream.dispatched, 2);
}

static void equal_lines_are_accepted_once(void **state) {
    struct bench *b = *state;
    fake_ledger_add_chunk(fake_ledger_add_catalog(&b->ledger, "c1"), "https://a.test/1\nHTTPS://A.TEST/1\nhttps://a.test/1#x\n");
    (void)fake_stream_push_chunk(&b->stream, "c1", 0, 0);
    bench_start(b);
    bench_run(b, 100);
    assert_int_equal(b->ledger.url_count, 1);
    assert_int_equal(b->ledger.urls[0].line, 1);
    assert_int_equal(b->ledger.largest_admit, 1);
}

static void redelivered_chunk_skips_lines_with_a_record(void **state) {
    struct bench *b = *state;
    b->options.batch = 4;
    bench_add_lines(fake_ledger_add_catalog(&b->ledger, "c1"), "https://a.test", 0, 12);
    b->ledger.lease_taken = true;
    (void)fake_stream_push_chunk(&b->stream, "c1", 0, 0);
    b->stream.fault = (struct fake_fault){.op = "dispatch", .times = 1000, .status = GRI_RETRY};
    bench_start(b);
    bench_run(b, 100);
    assert_int_equal(b->ledger.url_count, 4);
    /* it dies there; another takes the entry over */
    gri_scheduler_destroy(b->scheduler);
    fake_loop_clear(&b->loop);
    b->stream.read = NULL;
    b->stream.read_timer = NULL;
    b->stream.fault.times = 0;
    fake_stream_entry(&b->stream, "1-0")->mine = false;
    size_t before = b->trace.count;
    bench_start(b);
    bench_run(b, 40000);
    assert_int_equal(b->ledger.url_count, 12);
    size_t sent = 0;
    for (size_t i = before; i < b->trace.count; i++)
        if (strncmp(b->trace.lines[i], "admit 4", 7) == 0) sent += 4;
    assert_int_equal(sent, 8);
    assert_true(fake_ledger_catalog(&b->ledger, "c1")->chunks[0].admitted);
    assert_int_equal(b->stream.entry_count, 0);
}

static void chunk_unknown_or_admitted_is_acked_untouched(void **state) {
    struct bench *b = *state;
    struct fake_catalog *c = fake_ledger_add_catalog(&b->ledger, "c1");
    fake_ledger_add_chunk(c, "https://a.test/1\n");
    c->chunks[0].admitted = true;
    (void)fake_stream_push_chunk(&b->stream, "c1", 0, 0);
    (void)fake_stream_push_chunk(&b->stream, "nobody", 3, 0);
    bench_start(b);
    bench_run(b, 100);
    assert_int_equal(b->stream.entry_count, 0);
    assert_int_equal(fake_trace_count(&b->trace, "admit"), 0);
    assert_int_equal(fake_trace_count(&b->trace, "chunk_done"), 0);
}

static void cancelled_catalog_turns_the_rest_into_errors(void **state) {
    struct bench *b = *state;
    struct fake_catalog *c = fake_ledger_add_catalog(&b->ledger, "c1");
    fake_ledger_add_chunk(c, "https://a.test/1\n\nhttps://a.test/2\n");
    c->state = GRI_CATALOG_CANCELLED;
    bench_start(b);
    bench_run(b, 5000);
    assert_int_equal(b->ledger.url_count, 0);
    assert_int_equal(b->ledger.error_count, 2);
    assert_int_equal(b->ledger.errors[1].reason, GRI_R_cancelled);
    assert_int_equal(b->ledger.errors[1].line, 3);
    assert_true(c->chunks[0].admitted);
}

static void retry_dead_revives_with_its_new_run(void **state) {
    struct bench *b = *state;
    struct fake_catalog *c = fake_ledger_add_catalog(&b->ledger, "c1");
    fake_ledger_add_chunk(c, "https://a.test/1\n");
    (void)fake_stream_push_chunk(&b->stream, "c1", 0, 0);
    bench_start(b);
    bench_run(b, 100);
    fake_stream_finish_jobs(&b->stream);
    b->ledger.urls[0].state = GRI_URL_DEAD;
    c->chunks[0].admitted = false;
    c->retry_dead = true;
    (void)fake_stream_push_chunk(&b->stream, "c1", 0, 0);
    bench_run(b, 100);
    assert_int_equal(b->ledger.urls[0].state, GRI_URL_QUEUED);
    assert_int_equal(b->ledger.urls[0].run, 2);
    assert_int_equal(b->stream.dispatched, 2);
}

static void ledger_outage_keeps_the_entry_and_its_heartbeat(void **state) {
    struct bench *b = *state;
    fake_ledger_add_chunk(fake_ledger_add_catalog(&b->ledger, "c1"), "https://a.test/1\n");
    b->ledger.down = true;
    (void)fake_stream_push_chunk(&b->stream, "c1", 0, 0);
    bench_start(b);
    bench_run(b, 60000);
    assert_int_equal(fake_trace_count(&b->trace, "ack"), 0);
    assert_true(fake_trace_count(&b->trace, "heartbeat 1") >= 10);
    size_t tries = fake_trace_count(&b->trace, "chunk c1 0");
    assert_true(tries >= 8 && tries <= 40); /* it backs off */
    assert_int_equal(fake_stream_entry(&b->stream, "1-0")->entry.deliveries, 1);
    b->ledger.down = false;
    bench_run(b, 6000);
    assert_int_equal(b->stream.entry_count, 0);
    assert_int_equal(b->stream.dispatched, 1);
}

static void admission_of_unknown_outcome_is_found_by_the_sweeper_soon(void **state) {
    struct bench *b = *state;
    fake_ledger_add_chunk(fake_ledger_add_catalog(&b->ledger, "c1"), "https://a.test/1\n");
    b->ledger.fault = (struct fake_fault){.op = "admit", .times = 1, .status = GRI_RETRY, .applied = true};
    bench_start(b);
    bench_run(b, 3000);
    assert_true(fake_ledger_catalog(&b->ledger, "c1")->chunks[0].admitted);
    assert_int_equal(b->stream.dispatched, 0);
    bench_run(b, 8000);
    assert_int_equal(b->stream.dispatched, 1);
}

static void fenced_entry_is_dropped(void **state) {
    struct bench *b = *state;
    b->ledger.lease_taken = true;
    fake_ledger_add_chunk(fake_ledger_add_catalog(&b->ledger, "c1"), "https://a.test/1\n");
    b->ledger.fault = (struct fake_fault){.op = "admit", .times = 6, .status = GRI_RETRY};
    (void)fake_stream_push_chunk(&b->stream, "c1", 0, 0);
    bench_start(b);
    bench_run(b, 1000);
    fake_stream_entry(&b->stream, "1-0")->mine = false;
    bench_run(b, 20000);
    assert_true(fake_trace_count(&b->trace, "admit") <= 7);
    assert_int_equal(b->ledger.url_count, 0);
    assert_int_equal(fake_trace_count(&b->trace, "chunk_done"), 0);
    assert_int_equal(fake_trace_count(&b->trace, "ack"), 0);
    assert_int_equal(fake_trace_count(&b->trace, "heartbeat 1"), 1);
}

static void refused_line_becomes_poison_and_its_mates_live(void **state) {
    struct bench *b = *state;
    fake_ledger_add_chunk(fake_ledger_add_catalog(&b->ledger, "c1"), "https://a.test/1\nhttps://a.test/bad\nhttps://a.test/3\n");
    b->ledger.poison = "/bad";
    (void)fake_stream_push_chunk(&b->stream, "c1", 0, 0);
    bench_start(b);
    bench_run(b, 100);
    assert_int_equal(b->ledger.url_count, 2);
    assert_int_equal(b->ledger.error_count, 1);
    assert_int_equal(b->ledger.errors[0].line, 2);
    assert_int_equal(b->ledger.errors[0].reason, GRI_R_poison);
    assert_int_equal(b->stream.dispatched, 2);
    assert_true(fake_ledger_catalog(&b->ledger, "c1")->chunks[0].admitted);
}

static void entry_delivered_six_times_goes_line_by_line(void **state) {
    struct bench *b = *state;
    b->ledger.lease_taken = true;
    bench_add_lines(fake_ledger_add_catalog(&b->ledger, "c1"), "https://a.test", 0, 5);
    (void)fake_stream_push_chunk(&b->stream, "c1", 0, GRI_DELIVERIES_ALONE - 1);
    bench_start(b);
    bench_run(b, 40000);
    assert_int_equal(fake_trace_count(&b->trace, "admit 1 c1"), 5);
    assert_int_equal(b->ledger.largest_admit, 1);
    assert_int_equal(b->stream.entry_count, 0);
}

static void line_that_kills_its_process_ends_as_poison(void **state) {
    struct bench *b = *state;
    b->ledger.lease_taken = true;
    bench_add_lines(fake_ledger_add_catalog(&b->ledger, "c1"), "https://a.test", 1, 3);
    (void)fake_stream_push_chunk(&b->stream, "c1", 0, GRI_DELIVERIES_POISON - 1);
    bench_start(b);
    bench_run(b, 40000);
    assert_int_equal(b->ledger.error_count, 1);
    assert_int_equal(b->ledger.errors[0].line, 1);
    assert_int_equal(b->ledger.errors[0].reason, GRI_R_poison);
    assert_true(bench_before(b, "reject 1", "admit 1"));
    assert_int_equal(b->ledger.url_count, 2);
}

static void rules_that_never_compile_refuse_the_lines(void **state) {
    struct bench *b = *state;
    fake_ledger_add_chunk(fake_ledger_add_catalog(&b->ledger, "c1"), "https://a.test/1\n");
    b->ledger.rules = "{\"allow_ports\":[],\"rules\":7}";
    (void)fake_stream_push_chunk(&b->stream, "c1", 0, 0);
    bench_start(b);
    bench_run(b, 100);
    assert_int_equal(b->ledger.error_count, 1);
    assert_int_equal(b->stream.entry_count, 0);
}

static void volatile_lines_are_each_their_own_fetch(void **state) {
    struct bench *b = *state;
    fake_ledger_add_chunk(fake_ledger_add_catalog(&b->ledger, "c1"), "https://a.test/1\nhttps://a.test/1\n");
    b->ledger.rules = "{\"allow_ports\":[],\"rules\":[{\"name\":\"v\",\"volatile\":true}]}";
    (void)fake_stream_push_chunk(&b->stream, "c1", 0, 0);
    bench_start(b);
    bench_run(b, 100);
    assert_int_equal(b->ledger.url_count, 2);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        T(chunk_is_accounted_for_before_it_is_done_and_done_before_its_ack),
        T(equal_lines_are_accepted_once),
        T(redelivered_chunk_skips_lines_with_a_record),
        T(chunk_unknown_or_admitted_is_acked_untouched),
        T(cancelled_catalog_turns_the_rest_into_errors),
        T(retry_dead_revives_with_its_new_run),
        T(ledger_outage_keeps_the_entry_and_its_heartbeat),
        T(admission_of_unknown_outcome_is_found_by_the_sweeper_soon),
        T(fenced_entry_is_dropped),
        T(refused_line_becomes_poison_and_its_mates_live),
        T(entry_delivered_six_times_goes_line_by_line),
        T(line_that_kills_its_process_ends_as_poison),
        T(rules_that_never_compile_refuse_the_lines),
        T(volatile_lines_are_each_their_own_fetch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
