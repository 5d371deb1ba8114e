/* SPDX-License-Identifier: Apache-2.0 */
/* The feeder: turns between catalogs, shares of the window, announcing again, pause, settling, its lease. */
#include "scheduler_bench.h"

#include <string.h>

/* Nothing is read, so that only the feeder moves. */
static void start_feeder_alone(struct bench *b) {
    b->stream.fault = (struct fake_fault){.op = "read", .times = 1000000, .status = GRI_RETRY};
    bench_start(b);
}

static size_t announced_of(struct bench *b, const char *catalog) {
    size_t count = 0;
    for (size_t i = 0; i < b->stream.entry_count; i++)
        count += strcmp(b->stream.entries[i].entry.catalog, catalog) == 0;
    return count;
}

static void small_catalog_does_not_wait_behind_a_large_one(void **state) {
    struct bench *b = *state;
    b->options.feeder_outstanding = 8;
    b->options.window = 400000; /* a tenth of it leaves room for more chunks than that */
    struct fake_catalog *large = fake_ledger_add_catalog(&b->ledger, "large");
    for (int i = 0; i < 40; i++)
        bench_add_lines(large, "https://a.test", 2 * i, 2);
    start_feeder_alone(b);
    bench_run(b, 600);
    assert_int_equal(announced_of(b, "large"), 8); /* alone it has them all */
    bench_add_lines(fake_ledger_add_catalog(&b->ledger, "small"), "https://b.test", 0, 2);
    bench_run(b, 2000);
    assert_int_equal(announced_of(b, "small"), 0); /* the bound is the bound */
    for (int i = 0; i < 2; i++) {
        large->chunks[i].admitted = true;
        fake_stream_remove(&b->stream, large->chunks[i].announced_id);
    }
    bench_run(b, 600);
    assert_int_equal(announced_of(b, "small"), 1);
    assert_int_equal(announced_of(b, "large"), 7);
}

static void catalogs_are_served_in_turn(void **state) {
    struct bench *b = *state;
    b->options.feeder_outstanding = 10;
    for (int i = 0; i < 3; i++) {
        char id[8];
        (void)gri_format(id, sizeof id, "c%d", i);
        struct fake_catalog *c = fake_ledger_add_catalog(&b->ledger, id);
        for (int j = 0; j < 20; j++)
            bench_add_lines(c, "https://a.test", j, 1);
    }
    start_feeder_alone(b);
    bench_run(b, 600);
    assert_int_equal(announced_of(b, "c0"), 4);
    assert_int_equal(announced_of(b, "c1"), 3);
    assert_int_equal(announced_of(b, "c2"), 3);
    /* c0 was served last: the next free place is c1's */
    fake_ledger_catalog(&b->ledger, "c2")->chunks[0].admitted = true;
    fake_stream_remove(&b->stream, fake_ledger_catalog(&b->ledger, "c2")->chunks[0].announced_id);
    bench_run(b, 600);
    assert_int_equal(announced_of(b, "c1"), 4);
    assert_int_equal(announced_of(b, "c2"), 2);
}

static void catalog_has_no_more_open_than_its_share(void **state) {
    struct bench *b = *state;
    b->options.window = 100000; /* 80,000 for new work, 40,000 each; 10,000 in the queue */
    for (int i = 0; i < 2; i++) {
        struct fake_catalog *c = fake_ledger_add_catalog(&b->ledger, i ? "fast" : "slow");
        for (int j = 0; j < 20; j++)
            bench_add_lines(c, i ? "https://fast.test" : "https://slow.test", j, 1);
    }
    fake_ledger_catalog(&b->ledger, "slow")->extra_open = 39000;
    start_feeder_alone(b);
    bench_run(b, 3000);
    assert_int_equal(announced_of(b, "slow"), 1); /* 39,000 and 2,000 announced */
    assert_int_equal(announced_of(b, "fast"), 5);
}

static void catalog_has_no_more_queued_than_a_tenth_of_the_window(void **state) {
    struct bench *b = *state;
    b->options.window = 100000;
    struct fake_catalog *c = fake_ledger_add_catalog(&b->ledger, "c1");
    for (int j = 0; j < 20; j++)
        bench_add_lines(c, "https://a.test", j, 1);
    c->extra_queued = 5000;
    start_feeder_alone(b);
    bench_run(b, 3000);
    assert_int_equal(announced_of(b, "c1"), 3); /* 5,000 queued and 6,000 announced */
}

static void chunk_is_announced_again_only_when_its_entry_is_gone(void **state) {
    struct bench *b = *state;
    struct fake_catalog *c = fake_ledger_add_catalog(&b->ledger, "c1");
    bench_add_lines(c, "https://a.test", 0, 2);
    start_feeder_alone(b);
    bench_run(b, 10000);
    assert_int_equal(fake_trace_count(&b->trace, "announce c1"), 1);
    fake_stream_remove(&b->stream, c->chunks[0].announced_id);
    bench_run(b, 1000);
    assert_int_equal(fake_trace_count(&b->trace, "announce c1"), 2);
    assert_int_equal(announced_of(b, "c1"), 1);
}

static void paused_catalog_gets_no_further_chunk(void **state) {
    struct bench *b = *state;
    struct fake_catalog *c = fake_ledger_add_catalog(&b->ledger, "c1");
    bench_add_lines(c, "https://a.test", 0, 2);
    c->state = GRI_CATALOG_PAUSED;
    bench_start(b);
    bench_run(b, 5000);
    assert_int_equal(fake_trace_count(&b->trace, "announce"), 0);
    c->state = GRI_CATALOG_RUNNING;
    bench_run(b, 1000);
    assert_int_equal(b->ledger.url_count, 2);
}

static void catalog_is_settled_once_nothing_of_it_is_open(void **state) {
    struct bench *b = *state;
    struct fake_catalog *c = fake_ledger_add_catalog(&b->ledger, "c1");
    bench_add_lines(c, "https://a.test", 0, 2);
    bench_start(b);
    bench_run(b, 5000);
    assert_int_equal(fake_trace_count(&b->trace, "settle"), 0);
    b->ledger.urls[0].state = b->ledger.urls[1].state = GRI_URL_DONE;
    bench_run(b, 1000);
    assert_int_equal(c->state, GRI_CATALOG_FINISHED);
    bench_run(b, 5000);
    assert_int_equal(fake_trace_count(&b->trace, "settle"), 1);
}

static void cancelled_catalog_is_settled_while_its_urls_are_pending(void **state) {
    struct bench *b = *state;
    struct fake_catalog *c = fake_ledger_add_catalog(&b->ledger, "c1");
    bench_add_lines(c, "https://a.test", 0, 2);
    bench_start(b);
    bench_run(b, 5000);
    assert_int_equal(fake_trace_count(&b->trace, "settle"), 0); /* both URLs are open */
    c->state = GRI_CATALOG_CANCELLED;
    bench_run(b, 2000);
    assert_true(fake_trace_count(&b->trace, "settle") >= 1);
    assert_int_equal(b->ledger.urls[0].state, GRI_URL_DEAD);
    assert_int_equal(b->ledger.urls[1].state, GRI_URL_DEAD);
    assert_int_equal(c->state, GRI_CATALOG_FINISHED);
}

static void upkeep_is_done_by_the_sweepers_holder_alone(void **state) {
    struct bench *b = *state;
    b->options.upkeep_ms = 1000;
    b->ledger.lease_taken = true;
    bench_start(b);
    bench_run(b, 8000);
    assert_int_equal(fake_trace_count(&b->trace, "upkeep"), 0);
    b->ledger.lease_taken = false;
    bench_run(b, 8000);
    assert_true(fake_trace_count(&b->trace, "upkeep") >= 1);
}

static void without_the_lease_nothing_is_announced(void **state) {
    struct bench *b = *state;
    bench_add_lines(fake_ledger_add_catalog(&b->ledger, "c1"), "https://a.test", 0, 2);
    b->ledger.lease_taken = true;
    bench_start(b);
    bench_run(b, 8000);
    assert_int_equal(fake_trace_count(&b->trace, "announce"), 0);
    b->ledger.lease_taken = false;
    bench_run(b, 6000);
    assert_int_equal(fake_trace_count(&b->trace, "announce c1"), 1);
}

static void lease_that_can_not_be_renewed_ends_by_our_own_clock(void **state) {
    struct bench *b = *state;
    bench_start(b);
    bench_run(b, 1000);
    b->ledger.fault = (struct fake_fault){.op = "lease", .times = 1000, .status = GRI_RETRY};
    bench_run(b, 20000);
    bench_add_lines(fake_ledger_add_catalog(&b->ledger, "c1"), "https://a.test", 0, 2);
    bench_run(b, 5000);
    assert_int_equal(fake_trace_count(&b->trace, "announce"), 0);
}

static void announcement_is_noted_even_when_the_ledger_stumbles(void **state) {
    struct bench *b = *state;
    struct fake_catalog *c = fake_ledger_add_catalog(&b->ledger, "c1");
    bench_add_lines(c, "https://a.test", 0, 2);
    b->ledger.fault = (struct fake_fault){.op = "announced", .times = 3, .status = GRI_RETRY};
    start_feeder_alone(b);
    bench_run(b, 5000);
    assert_int_equal(fake_trace_count(&b->trace, "announce c1"), 1);
    assert_string_equal(c->chunks[0].announced_id, "1-0");
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        T(small_catalog_does_not_wait_behind_a_large_one),
        T(catalogs_are_served_in_turn),
        T(catalog_has_no_more_open_than_its_share),
        T(catalog_has_no_more_queued_than_a_tenth_of_the_window),
        T(chunk_is_announced_again_only_when_its_entry_is_gone),
        T(paused_catalog_gets_no_further_chunk),
        T(catalog_is_settled_once_nothing_of_it_is_open),
        T(cancelled_catalog_is_settled_while_its_urls_are_pending),
        T(upkeep_is_done_by_the_sweepers_holder_alone),
        T(without_the_lease_nothing_is_announced),
        T(lease_that_can_not_be_renewed_ends_by_our_own_clock),
        T(announcement_is_noted_even_when_the_ledger_stumbles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
