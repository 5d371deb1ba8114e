/* SPDX-License-Identifier: Apache-2.0 */
/* The Redis stream against a real server: consumers that come and go, waits, the hosts' gate, requests gone wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "redis_calls.h"

#include <grisaille/bytes.h>
#include <stdlib.h>
#include <string.h>

static void a_consumer_leaves_only_with_empty_hands(void **state) {
    (void)state;
    struct gri_stream *stream = world_ready_stream(&world, "w1");
    dispatch(stream, 1, 1, 10, NULL);
    struct gri_stream_read read = read_some(stream, GRI_STREAM_JOBS, 1, 1000);
    struct gri_stream_leave leave = {.stream = GRI_STREAM_JOBS};
    RUN_OK(stream, leave, &leave);
    assert_false(leave.removed);
    ack_one(stream, GRI_STREAM_JOBS, read.jobs[0].id, read.jobs[0].job.key);
    RUN_OK(stream, leave, &leave);
    assert_true(leave.removed);
    struct gri_stream_stats stats = {0};
    RUN_OK(stream, stats, &stats);
    assert_int_equal(stats.jobs.consumers, 0);
    gri_job_entries_free(read.jobs, read.count);
    world_drop_stream(&world, stream);
}

/* How many consumers of that group there are. */
static int64_t consumers_of(struct gri_stream *stream, enum gri_stream_name name) {
    struct gri_stream_stats stats = {0};
    RUN_OK(stream, stats, &stats);
    return name == GRI_STREAM_URLS ? stats.urls.consumers : stats.jobs.consumers;
}

static void only_silent_consumers_with_empty_hands_are_retired(void **state) {
    (void)state;
    struct gri_stream *stream = world_ready_stream(&world, "w1");
    dispatch(stream, 1, 2, 10, NULL);
    for (int i = 0; i < 600; i++) /* more than one call removes */
        world_command(&world, "XGROUP CREATECONSUMER {gri}:jobs workers dead%d", i);
    world_command(&world, "XREADGROUP GROUP workers holder COUNT 1 STREAMS {gri}:jobs >");
    struct gri_stream_retire retire = {.stream = GRI_STREAM_JOBS, .min_idle_ms = 3600000};
    RUN_OK(stream, retire, &retire);
    assert_int_equal(retire.removed, 0);
    assert_int_equal(consumers_of(stream, GRI_STREAM_JOBS), 601);
    world_command(&world, "XGROUP CREATECONSUMER {gri}:urls scheduler other");
    retire.min_idle_ms = 0;
    RUN_OK(stream, retire, &retire);
    assert_int_equal(retire.removed, 500);
    RUN_OK(stream, retire, &retire);
    assert_int_equal(retire.removed, 100);
    assert_int_equal(consumers_of(stream, GRI_STREAM_JOBS), 1); /* who has an entry stays, and the entry */
    assert_int_equal(consumers_of(stream, GRI_STREAM_URLS), 1); /* the other group is another matter */
    struct gri_stream_stats stats = {0};
    RUN_OK(stream, stats, &stats);
    assert_int_equal(stats.jobs.pending, 1);
    world_drop_stream(&world, stream);
}

/* A consumer that lives and is retired by mistake gets what comes, in the very read that was blocked then. */
static void a_blocked_reader_that_is_retired_reads_on(void **state) {
    (void)state;
    struct gri_stream *stream = world_ready_stream(&world, "w1");
    dispatch(stream, 0, 1, 10, NULL);
    struct gri_stream_read read = read_some(stream, GRI_STREAM_JOBS, 1, 1000); /* it makes the consumer */
    ack_one(stream, GRI_STREAM_JOBS, read.jobs[0].id, read.jobs[0].job.key);
    gri_job_entries_free(read.jobs, read.count);
    read = (struct gri_stream_read){.stream = GRI_STREAM_JOBS, .max = 5, .block_ms = 10000};
    world_arm(&read.op);
    stream->ops->read(stream, &read);
    world_turn(&world, 100);
    struct gri_stream_retire retire = {.stream = GRI_STREAM_JOBS};
    RUN_OK(stream, retire, &retire);
    assert_int_equal(retire.removed, 1);
    dispatch(stream, 1, 1, 10, NULL);
    assert_int_equal(world_finish(&world, &read.op), GRI_OK);
    assert_int_equal(read.count, 1);
    ack_one(stream, GRI_STREAM_JOBS, read.jobs[0].id, read.jobs[0].job.key);
    gri_job_entries_free(read.jobs, read.count);
    world_drop_stream(&world, stream);
}

static void an_empty_read_ends_after_its_time_and_a_cancelled_one_at_once(void **state) {
    (void)state;
    struct gri_stream *stream = world_ready_stream(&world, "w1");
    int64_t begin = gri_now_ms(world.loop);
    struct gri_stream_read read = read_some(stream, GRI_STREAM_JOBS, 1, 80);
    assert_int_equal(read.count, 0);
    assert_true(gri_now_ms(world.loop) - begin >= 75);

    for (int turns_ms = 0; turns_ms <= 50; turns_ms += 50) { /* right after the submit, and when it is surely blocked */
        begin = gri_now_ms(world.loop);
        read = (struct gri_stream_read){.stream = GRI_STREAM_JOBS, .max = 1, .block_ms = 60000};
        world_arm(&read.op);
        stream->ops->read(stream, &read);
        if (turns_ms) world_turn(&world, turns_ms);
        stream->ops->cancel_read(stream, &read);
        assert_int_equal(world_finish(&world, &read.op), GRI_OK);
        assert_int_equal(read.count, 0);
        assert_true(gri_now_ms(world.loop) - begin < 5000);
    }
    struct gri_stream_read again = read_some(stream, GRI_STREAM_URLS, 1, 0); /* no blocking at all */
    assert_int_equal(again.count, 0);
    world_drop_stream(&world, stream);
}

static void a_blocked_read_gets_what_arrives(void **state) {
    (void)state;
    struct gri_stream *stream = world_ready_stream(&world, "w1");
    struct gri_stream_read read = {.stream = GRI_STREAM_JOBS, .max = 10, .block_ms = 10000};
    world_arm(&read.op);
    stream->ops->read(stream, &read);
    world_turn(&world, 50);
    dispatch(stream, 3, 1, 10, NULL); /* commands are not held up by the blocked read */
    assert_int_equal(world_finish(&world, &read.op), GRI_OK);
    assert_int_equal(read.count, 1);
    gri_job_entries_free(read.jobs, read.count);
    world_drop_stream(&world, stream);
}

static void gate(struct gri_stream *stream, double per_second, size_t take, int64_t horizon_ms, int64_t *wait_ms,
                 int64_t *blocked_ms) {
    struct gri_stream_gate request = {
        .host = "picsum.photos", .per_second = per_second, .take = take, .horizon_ms = horizon_ms, .wait_ms = wait_ms};
    RUN_OK(stream, gate, &request);
    *blocked_ms = request.blocked_ms;
}

static void the_gate_spaces_requests_exactly_and_remembers(void **state) {
    (void)state;
    struct gri_stream *stream = world_ready_stream(&world, "w1"), *other = world_ready_stream(&world, "w2");
    int64_t wait[8], blocked = -1;
    gate(stream, 2, 5, 10000, wait, &blocked);
    assert_int_equal(blocked, 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(wait[i], i * 500);
    int64_t begin = gri_now_ms(world.loop);
    gate(other, 2, 1, 10000, wait, &blocked); /* the fleet's, not the process' */
    int64_t passed = gri_now_ms(world.loop) - begin;
    assert_true(wait[0] <= 2500 && wait[0] >= 2500 - passed - 50);
    gate(stream, 2, 2, 1000, wait, &blocked); /* beyond the horizon nothing is reserved */
    assert_int_equal(wait[0], -1);
    assert_int_equal(wait[1], -1);
    gate(other, 2, 1, 10000, wait, &blocked);
    assert_true(wait[0] <= 3000 && wait[0] > 2500);
    gate(stream, 0, 3, 0, wait, &blocked); /* no budget */
    for (int i = 0; i < 3; i++)
        assert_int_equal(wait[i], 0);
    assert_true(world_command(&world, "PTTL {gri}:host:picsum.photos") > 0);
    world_drop_stream(&world, stream);
    world_drop_stream(&world, other);
}

static void a_blocked_host_grants_nothing_and_a_block_is_never_shortened(void **state) {
    (void)state;
    struct gri_stream *stream = world_ready_stream(&world, "w1");
    int64_t wait[2], blocked = -1;
    struct gri_stream_block block = {.host = "picsum.photos", .ms = 60000};
    RUN_OK(stream, block, &block);
    block.ms = 1000;
    RUN_OK(stream, block, &block);
    gate(stream, 100, 2, 100000, wait, &blocked);
    assert_true(blocked > 55000 && blocked <= 60000);
    assert_int_equal(wait[0], -1);
    assert_int_equal(wait[1], -1);
    gate(stream, 0, 1, 100000, wait, &blocked);
    assert_int_equal(wait[0], -1);
    gate(stream, 0, 0, 100000, wait, &blocked); /* only asked whether it is blocked */
    assert_true(blocked > 55000 && blocked <= 60000);
    assert_true(world_command(&world, "PTTL {gri}:host:picsum.photos") > 55000);
    world_drop_stream(&world, stream);
}

static void scripts_survive_a_flush_of_the_script_cache(void **state) {
    (void)state;
    struct gri_stream *stream = world_ready_stream(&world, "w1");
    assert_int_equal(dispatch(stream, 0, 1, 100, NULL), 1);
    world_command(&world, "SCRIPT FLUSH");
    assert_int_equal(dispatch(stream, 1, 600, 1000, NULL), 600);
    world_drop_stream(&world, stream);
}

static void a_key_of_a_wrong_type_fails_before_anything_is_written(void **state) {
    (void)state;
    struct gri_stream *stream = world_ready_stream(&world, "w1");
    world_command(&world, "SET {gri}:inflight x");
    struct gri_job job;
    enum gri_dispatched result;
    set_job(&job, 1);
    struct gri_stream_dispatch request = {.jobs = &job, .count = 1, .limit = 10, .results = &result};
    assert_int_equal(RUN(&request, stream->ops->dispatch(stream, &request)), GRI_RETRY);
    assert_int_equal(request.op.error.reason, GRI_R_stream);
    assert_false(request.op.error.unknown);
    assert_int_equal(world_command(&world, "XLEN {gri}:jobs"), 0);
    gri_job_clear(&job);
    world_drop_stream(&world, stream);
}

static void requests_for_nothing_end_well(void **state) {
    (void)state;
    struct gri_stream *stream = world_ready_stream(&world, "w1");
    struct gri_stream_ack ack = {.stream = GRI_STREAM_JOBS};
    struct gri_stream_read read = {.stream = GRI_STREAM_JOBS, .block_ms = 100};
    struct gri_stream_reclaim reclaim = {.stream = GRI_STREAM_JOBS};
    RUN_OK(stream, ack, &ack);
    RUN_OK(stream, read, &read);
    RUN_OK(stream, reclaim, &reclaim);
    world_drop_stream(&world, stream);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_consumer_leaves_only_with_empty_hands),
        TEST(only_silent_consumers_with_empty_hands_are_retired),
        TEST(a_blocked_reader_that_is_retired_reads_on),
        TEST(an_empty_read_ends_after_its_time_and_a_cancelled_one_at_once),
        TEST(a_blocked_read_gets_what_arrives),
        TEST(the_gate_spaces_requests_exactly_and_remembers),
        TEST(a_blocked_host_grants_nothing_and_a_block_is_never_shortened),
        TEST(scripts_survive_a_flush_of_the_script_cache),
        TEST(a_key_of_a_wrong_type_fails_before_anything_is_written),
        TEST(requests_for_nothing_end_well),
    };
    return cmocka_run_group_tests_name("redis_waits", tests, NULL, NULL);
}
