/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of bare URLs: batches, pipelines, bad ones, poison. */
#include "scheduler_bench.h"

#include <string.h>

static void thousands_are_admitted_in_batches(void **state) {
    struct bench *b = *state;
    char url[64];
    for (int i = 0; i < 3000; i++) {
        (void)gri_format(url, sizeof url, "https://a.test/%d", i);
        (void)fake_stream_push_url(&b->stream, url, "", 0);
    }
    bench_start(b);
    bench_run(b, 1000);
    assert_int_equal(b->ledger.url_count, 3000);
    assert_int_equal(b->stream.dispatched, 3000);
    assert_int_equal(b->stream.entry_count, 0);
    assert_int_equal(b->ledger.largest_admit, 500);
    assert_true(fake_trace_count(&b->trace, "admit") < 20);
    assert_true(bench_before(b, "admit", "dispatch"));
    assert_true(bench_before(b, "dispatch", "ack"));
}

static void same_url_twice_is_one_job_and_both_are_acked(void **state) {
    struct bench *b = *state;
    (void)fake_stream_push_url(&b->stream, "https://a.test/1", "", 0);
    (void)fake_stream_push_url(&b->stream, "https://A.test:443/1", "gray", 0);
    (void)fake_stream_push_url(&b->stream, "https://a.test/1", "sepia", 0);
    bench_start(b);
    bench_run(b, 100);
    assert_int_equal(b->ledger.url_count, 2); /* another pipeline is other work */
    assert_int_equal(b->stream.entry_count, 0);
    assert_string_equal(b->ledger.urls[0].catalog, "");
    assert_int_equal(b->ledger.urls[0].line, 0);
}

static void bad_ones_leave_an_event_before_their_ack(void **state) {
    struct bench *b = *state;
    (void)fake_stream_push_url(&b->stream, "https://a.test/1", "", 0);
    (void)fake_stream_push_url(&b->stream, "ftp://a.test/1", "", 0);
    (void)fake_stream_push_url(&b->stream, "", "", 0);
    (void)fake_stream_push_url(&b->stream, "https://a.test/2", "unheard-of", 0);
    bench_start(b);
    bench_run(b, 100);
    assert_int_equal(b->ledger.url_count, 1);
    assert_int_equal(b->ledger.event_count, 3);
    assert_int_equal(b->ledger.last_event, GRI_R_no_pipeline);
    assert_true(bench_before(b, "events 3 line_rejected", "ack 4"));
    assert_int_equal(b->stream.entry_count, 0);
}

static void refused_url_is_quarantined_before_its_ack(void **state) {
    struct bench *b = *state;
    (void)fake_stream_push_url(&b->stream, "https://a.test/1", "", 0);
    (void)fake_stream_push_url(&b->stream, "https://a.test/bad", "", 0);
    b->ledger.poison = "/bad";
    bench_start(b);
    bench_run(b, 100);
    assert_string_equal(b->ledger.quarantined, "2-0");
    assert_true(bench_before(b, "quarantine 2-0", "ack 2"));
    assert_int_equal(b->ledger.url_count, 1);
    assert_int_equal(b->stream.entry_count, 0);
}

static void url_delivered_often_is_handled_alone_then_given_up(void **state) {
    struct bench *b = *state;
    (void)fake_stream_push_url(&b->stream, "https://a.test/1", "", 1);
    (void)fake_stream_push_url(&b->stream, "https://a.test/2", "", GRI_DELIVERIES_ALONE - 1);
    (void)fake_stream_push_url(&b->stream, "https://a.test/3", "", 1);
    (void)fake_stream_push_url(&b->stream, "https://a.test/4", "", GRI_DELIVERIES_POISON - 1);
    bench_start(b);
    bench_run(b, 40000);
    assert_int_equal(b->ledger.url_count, 3);
    assert_int_equal(b->ledger.largest_admit, 1);
    assert_string_equal(b->ledger.quarantined, "4-0");
    assert_int_equal(b->stream.entry_count, 0);
}

static void other_rules_hold_from_their_reload_on(void **state) {
    struct bench *b = *state;
    struct gri_error error;
    bench_start(b);
    struct gri_scheduler_options options = b->options;
    options.rules = gri_slice_of("{\"rules\":7}");
    assert_int_not_equal(gri_scheduler_reload(b->scheduler, &options, &error), GRI_OK);
    (void)fake_stream_push_url(&b->stream, "https://a.test/1", "", 0);
    bench_run(b, 100);
    assert_int_equal(b->ledger.url_count, 1);
    options.rules = gri_slice_of("{\"allow_ports\":[],\"rules\":[{\"name\":\"none\",\"reject\":true}]}");
    assert_int_equal(gri_scheduler_reload(b->scheduler, &options, &error), GRI_OK);
    (void)fake_stream_push_url(&b->stream, "https://a.test/2", "", 0);
    bench_run(b, 100);
    assert_int_equal(b->ledger.url_count, 1);
    assert_int_equal(b->ledger.last_event, GRI_R_rejected_by_rule);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        T(thousands_are_admitted_in_batches),
        T(same_url_twice_is_one_job_and_both_are_acked),
        T(bad_ones_leave_an_event_before_their_ack),
        T(refused_url_is_quarantined_before_its_ack),
        T(url_delivered_often_is_handled_alone_then_given_up),
        T(other_rules_hold_from_their_reload_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
