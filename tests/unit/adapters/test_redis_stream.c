/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of the Redis stream, from dispatch to ack, against a real server. */
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

static void a_dispatched_job_is_read_with_all_its_fields_and_acked_away(void **state) {
    (void)state;
    struct gri_stream *stream = world_ready_stream(&world, "w1");
    int64_t inflight = 0;
    assert_int_equal(dispatch(stream, 7, 1, 10, &inflight), 1);
    assert_int_equal(inflight, 1);
    struct gri_stream_read read = read_some(stream, GRI_STREAM_JOBS, 10, 1000);
    assert_int_equal(read.count, 1);
    struct gri_job job;
    set_job(&job, 7);
    assert_string_equal(read.jobs[0].job.key, job.key);
    assert_string_equal(read.jobs[0].job.url, job.url);
    assert_string_equal(read.jobs[0].job.pipeline, job.pipeline);
    assert_int_equal(read.jobs[0].job.run, 8);
    assert_int_equal(read.jobs[0].deliveries, 1);
    assert_int_equal(ack_one(stream, GRI_STREAM_JOBS, read.jobs[0].id, job.key), GRI_OWNED);
    assert_int_equal(world_command(&world, "XLEN {gri}:jobs"), 0);
    assert_int_equal(world_command(&world, "HLEN {gri}:inflight"), 0);
    assert_int_equal(ack_one(stream, GRI_STREAM_JOBS, read.jobs[0].id, job.key), GRI_FENCED);
    gri_job_clear(&job);
    gri_job_entries_free(read.jobs, read.count);
    world_drop_stream(&world, stream);
}

static void the_window_is_never_overfilled_and_a_key_never_doubled(void **state) {
    (void)state;
    struct gri_stream *stream = world_ready_stream(&world, "s1");
    int64_t inflight = 0;
    assert_int_equal(dispatch(stream, 0, 1300, 1201, &inflight), 1201); /* three script calls */
    assert_int_equal(inflight, 1201);
    assert_int_equal(dispatch(stream, 0, 10, 5000, &inflight), 0);
    assert_int_equal(inflight, 1201);
    assert_int_equal(dispatch(stream, 1200, 3, 1202, &inflight), 1);
    assert_int_equal(world_command(&world, "XLEN {gri}:jobs"), 1202);
    assert_int_equal(world_command(&world, "HLEN {gri}:inflight"), 1202);

    struct gri_job jobs[3];
    enum gri_dispatched results[3];
    set_job(&jobs[0], 5);
    set_job(&jobs[1], 9000);
    set_job(&jobs[2], 9001);
    struct gri_stream_dispatch request = {.jobs = jobs, .count = 3, .limit = 1203, .results = results};
    RUN_OK(stream, dispatch, &request);
    assert_int_equal(results[0], GRI_ALREADY_INFLIGHT);
    assert_int_equal(results[1], GRI_DISPATCHED);
    assert_int_equal(results[2], GRI_WINDOW_FULL);
    for (int i = 0; i < 3; i++)
        gri_job_clear(&jobs[i]);
    world_drop_stream(&world, stream);
}

static void a_consumer_whose_entry_was_claimed_by_another_is_fenced(void **state) {
    (void)state;
    struct gri_stream *first = world_ready_stream(&world, "w1"), *second = world_ready_stream(&world, "w2");
    dispatch(first, 1, 1, 10, NULL);
    struct gri_stream_read read = read_some(first, GRI_STREAM_JOBS, 1, 1000);
    const char *id = read.jobs[0].id, *key = read.jobs[0].job.key;
    assert_int_equal(beat_one(first, id), GRI_OWNED);
    assert_int_equal(beat_one(second, id), GRI_FENCED);

    struct gri_stream_reclaim reclaim = reclaim_some(second, GRI_STREAM_JOBS, 10);
    assert_int_equal(reclaim.count, 1);
    assert_int_equal(reclaim.missing, 0);
    assert_string_equal(reclaim.jobs[0].id, id);
    assert_string_equal(reclaim.jobs[0].job.url, read.jobs[0].job.url);
    assert_int_equal(reclaim.jobs[0].deliveries, 2);

    assert_int_equal(beat_one(first, id), GRI_FENCED);
    assert_int_equal(ack_one(first, GRI_STREAM_JOBS, id, key), GRI_FENCED);
    assert_int_equal(world_command(&world, "XLEN {gri}:jobs"), 1);
    assert_int_equal(world_command(&world, "HLEN {gri}:inflight"), 1);
    assert_int_equal(beat_one(second, id), GRI_OWNED);
    gri_job_entries_free(reclaim.jobs, reclaim.count);
    reclaim = reclaim_some(first, GRI_STREAM_JOBS, 10);
    assert_int_equal(reclaim.jobs[0].deliveries, 3); /* neither heartbeat counted as a delivery */
    assert_int_equal(ack_one(first, GRI_STREAM_JOBS, id, key), GRI_OWNED);
    assert_int_equal(world_command(&world, "HLEN {gri}:inflight"), 0);
    gri_job_entries_free(reclaim.jobs, reclaim.count);
    gri_job_entries_free(read.jobs, read.count);
    world_drop_stream(&world, first);
    world_drop_stream(&world, second);
}

static void an_ack_leaves_the_inflight_mark_of_a_later_entry(void **state) {
    (void)state;
    struct gri_stream *stream = world_ready_stream(&world, "w1");
    dispatch(stream, 1, 1, 10, NULL);
    struct gri_stream_read read = read_some(stream, GRI_STREAM_JOBS, 1, 1000);
    world_command(&world, "HSET {gri}:inflight %s 99-1", read.jobs[0].job.key);
    assert_int_equal(ack_one(stream, GRI_STREAM_JOBS, read.jobs[0].id, read.jobs[0].job.key), GRI_OWNED);
    assert_int_equal(world_command(&world, "HLEN {gri}:inflight"), 1);
    gri_job_entries_free(read.jobs, read.count);
    world_drop_stream(&world, stream);
}

static void nonsense_ids_are_fenced_and_absent_not_errors(void **state) {
    (void)state;
    struct gri_stream *stream = world_ready_stream(&world, "w1");
    assert_int_equal(beat_one(stream, ""), GRI_FENCED);
    assert_int_equal(ack_one(stream, GRI_STREAM_URLS, "1-x", NULL), GRI_FENCED);
    char ids[2][GRI_ENTRY_ID_MAX] = {"", "+"};
    bool present[2] = {true, true};
    struct gri_stream_present request = {.ids = (const char(*)[GRI_ENTRY_ID_MAX])ids, .count = 2, .present = present};
    RUN_OK(stream, present, &request);
    assert_false(present[0] || present[1]);
    world_drop_stream(&world, stream);
}

static void announced_chunks_are_read_and_present_until_acked(void **state) {
    (void)state;
    enum { COUNT = 700 };
    struct gri_stream *stream = world_ready_stream(&world, "s1");
    int64_t chunks[COUNT];
    static char ids[COUNT][GRI_ENTRY_ID_MAX];
    static bool present[COUNT];
    for (int i = 0; i < COUNT; i++)
        chunks[i] = i + 1;
    struct gri_stream_announce announce = {.catalog = "65f0aa00112233445566778f", .chunks = chunks, .count = COUNT, .ids = ids};
    RUN_OK(stream, announce, &announce);
    struct gri_stream_read read = read_some(stream, GRI_STREAM_URLS, 1000, 1000);
    assert_int_equal(read.count, COUNT);
    for (int i = 0; i < COUNT; i++) {
        assert_null(read.urls[i].url);
        assert_string_equal(read.urls[i].catalog, "65f0aa00112233445566778f");
        assert_int_equal(read.urls[i].chunk, i + 1);
        assert_string_equal(read.urls[i].id, ids[i]);
    }
    gri_url_entries_free(read.urls, read.count);
    assert_int_equal(ack_one(stream, GRI_STREAM_URLS, ids[699], NULL), GRI_OWNED);
    struct gri_stream_present request = {.ids = (const char(*)[GRI_ENTRY_ID_MAX])ids, .count = COUNT, .present = present};
    RUN_OK(stream, present, &request);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(present[i], i != 699);
    world_drop_stream(&world, stream);
}

static void bare_urls_of_outsiders_arrive_byte_for_byte(void **state) {
    (void)state;
    struct gri_stream *stream = world_ready_stream(&world, "s1");
    static char huge[100 * 1000];
    memset(huge, 'u', sizeof huge);
    world_command(&world, "XADD {gri}:urls * url https://picsum.photos/200");
    world_command(&world, "XADD {gri}:urls * note hello pipeline thumb url %b", "a\0b\xff", (size_t)4);
    world_command(&world, "XADD {gri}:urls * url %b pipeline %b", huge, sizeof huge, huge, (size_t)64);
    world_command(&world, "XADD {gri}:urls * url %b", "", (size_t)0);
    struct gri_stream_read read = read_some(stream, GRI_STREAM_URLS, 10, 1000);
    assert_int_equal(read.count, 4);
    assert_string_equal(read.urls[0].url, "https://picsum.photos/200");
    assert_string_equal(read.urls[0].pipeline, "");
    assert_string_equal(read.urls[0].catalog, "");
    assert_int_equal(read.urls[1].url_len, 4);
    assert_memory_equal(read.urls[1].url, "a\0b\xff", 5);
    assert_string_equal(read.urls[1].pipeline, "thumb");
    assert_int_equal(read.urls[2].url_len, 16 * 1024);
    assert_string_equal(read.urls[2].pipeline, "?");
    assert_int_equal(read.urls[3].url_len, 0);
    gri_url_entries_free(read.urls, read.count);
    struct gri_stream_reclaim reclaim = reclaim_some(stream, GRI_STREAM_URLS, 10);
    assert_int_equal(reclaim.count, 4);
    assert_int_equal(reclaim.urls[2].url_len, 16 * 1024);
    assert_memory_equal(reclaim.urls[1].url, "a\0b\xff", 5);
    gri_url_entries_free(reclaim.urls, reclaim.count);
    world_drop_stream(&world, stream);
}

static void entries_nobody_can_use_are_removed_and_logged(void **state) {
    (void)state;
    struct gri_stream *stream = world_ready_stream(&world, "w1");
    world_command(&world, "XADD {gri}:urls * hello world");
    world_command(&world, "XADD {gri}:urls * catalog 65f0aa00112233445566778f chunk -3");
    world_command(&world, "XADD {gri}:urls * catalog 65f0aa00112233445566778f");
    world_command(&world, "XADD {gri}:jobs 5-5 key k:gray url https://x/ pipeline gray@1 run x");
    world_command(&world, "HSET {gri}:inflight k:gray 5-5");
    world_command(&world, "XADD {gri}:jobs * key k2:gray pipeline gray@1 run 1");
    dispatch(stream, 1, 1, 10, NULL);
    struct gri_stream_read urls = read_some(stream, GRI_STREAM_URLS, 10, 1000);
    struct gri_stream_read jobs = read_some(stream, GRI_STREAM_JOBS, 10, 1000);
    assert_int_equal(urls.count, 0);
    assert_int_equal(jobs.count, 1);
    world_turn(&world, 100);
    assert_int_equal(world_command(&world, "XLEN {gri}:urls"), 0);
    assert_int_equal(world_command(&world, "XLEN {gri}:jobs"), 1);
    assert_int_equal(world_command(&world, "HEXISTS {gri}:inflight k:gray"), 0);
    assert_true(world_logged(&world, "stream_entry_ignored"));
    gri_url_entries_free(urls.urls, urls.count);
    gri_job_entries_free(jobs.jobs, jobs.count);
    world_drop_stream(&world, stream);
}

static void a_reclaim_counts_deleted_bodies_and_bad_jobs_as_missing(void **state) {
    (void)state;
    struct gri_stream *stream = world_ready_stream(&world, "w1");
    dispatch(stream, 1, 3, 10, NULL);
    struct gri_stream_read read = read_some(stream, GRI_STREAM_JOBS, 10, 1000);
    assert_int_equal(read.count, 3);
    world_command(&world, "XDEL {gri}:jobs %s", read.jobs[1].id);
    world_command(&world, "XADD {gri}:jobs * key k:gray");
    world_command(&world, "XREADGROUP GROUP workers other STREAMS {gri}:jobs >");
    struct gri_stream_reclaim reclaim = reclaim_some(stream, GRI_STREAM_JOBS, 10);
    assert_int_equal(reclaim.count, 2);
    assert_int_equal(reclaim.missing, 2);
    gri_job_entries_free(reclaim.jobs, reclaim.count);
    gri_job_entries_free(read.jobs, read.count);
    world_drop_stream(&world, stream);
}

static void reclaims_go_round_all_entries_in_small_steps(void **state) {
    (void)state;
    struct gri_stream *stream = world_ready_stream(&world, "w1"), *other = world_ready_stream(&world, "w2");
    dispatch(stream, 0, 25, 100, NULL);
    struct gri_stream_read read = read_some(stream, GRI_STREAM_JOBS, 100, 1000);
    gri_job_entries_free(read.jobs, read.count);
    size_t seen = 0;
    for (int i = 0; i < 3; i++) {
        struct gri_stream_reclaim reclaim = reclaim_some(other, GRI_STREAM_JOBS, 10);
        for (size_t j = 0; j < reclaim.count; j++)
            assert_int_equal(reclaim.jobs[j].deliveries, 2);
        seen += reclaim.count;
        gri_job_entries_free(reclaim.jobs, reclaim.count);
    }
    assert_int_equal(seen, 25);
    struct gri_stream_reclaim idle = {.stream = GRI_STREAM_JOBS, .min_idle_ms = 60000, .max = 10};
    RUN_OK(other, reclaim, &idle);
    assert_int_equal(idle.count, 0);
    gri_job_entries_free(idle.jobs, idle.count);
    world_drop_stream(&world, stream);
    world_drop_stream(&world, other);
}

static void a_deep_look_finds_what_can_no_longer_reach_a_worker(void **state) {
    (void)state;
    struct gri_stream *stream = world_ready_stream(&world, "w1");
    struct gri_job jobs[3];
    for (int i = 0; i < 3; i++)
        set_job(&jobs[i], i);
    dispatch(stream, 0, 2, 10, NULL);
    struct gri_stream_read read = read_some(stream, GRI_STREAM_JOBS, 10, 1000);
    dispatch(stream, 2, 1, 10, NULL); /* 0 and 1 are pending, 2 is still to be delivered */
    for (int i = 0; i < 3; i++)
        assert_int_equal(inspect_one(stream, jobs[i].key, true), GRI_INFLIGHT);
    assert_int_equal(inspect_one(stream, "nobody:gray", true), GRI_NOT_INFLIGHT);

    world_command(&world, "XDEL {gri}:jobs %s", read.jobs[0].id);            /* its body is gone */
    world_command(&world, "XACK {gri}:jobs workers %s", read.jobs[1].id);    /* delivered, but pending for nobody */
    assert_int_equal(inspect_one(stream, jobs[0].key, false), GRI_INFLIGHT); /* a shallow look believes the hash */
    assert_int_equal(inspect_one(stream, jobs[0].key, true), GRI_INFLIGHT_LOST);
    assert_int_equal(inspect_one(stream, jobs[1].key, true), GRI_INFLIGHT_LOST);
    assert_int_equal(inspect_one(stream, jobs[0].key, true), GRI_NOT_INFLIGHT);
    assert_int_equal(inspect_one(stream, jobs[1].key, false), GRI_NOT_INFLIGHT);
    assert_int_equal(inspect_one(stream, jobs[2].key, true), GRI_INFLIGHT);
    assert_int_equal(world_command(&world, "XLEN {gri}:jobs"), 1);
    assert_int_equal(world_command(&world, "HLEN {gri}:inflight"), 1);
    for (int i = 0; i < 3; i++)
        gri_job_clear(&jobs[i]);
    gri_job_entries_free(read.jobs, read.count);
    world_drop_stream(&world, stream);
}

static void stats_tell_depths_ages_and_memory(void **state) {
    (void)state;
    struct gri_stream *stream = world_ready_stream(&world, "w1");
    dispatch(stream, 0, 5, 100, NULL);
    world_command(&world, "XADD {gri}:urls * url https://x/");
    struct gri_stream_read read = read_some(stream, GRI_STREAM_JOBS, 2, 1000);
    world_turn(&world, 60);
    struct gri_stream_stats stats = {0};
    RUN_OK(stream, stats, &stats);
    assert_int_equal(stats.jobs.length, 5);
    assert_int_equal(stats.jobs.pending, 2);
    assert_int_equal(stats.jobs.lag, 3);
    assert_true(stats.jobs.oldest_pending_ms >= 50 && stats.jobs.oldest_pending_ms < 5000);
    assert_int_equal(stats.jobs.consumers, 1);
    assert_int_equal(stats.urls.length, 1);
    assert_int_equal(stats.urls.pending, 0);
    assert_int_equal(stats.urls.oldest_pending_ms, 0);
    assert_int_equal(stats.inflight, 5);
    assert_true(stats.memory_bytes > 100000);
    world_command(&world, "XADD {gri}:jobs 9999999999999-1 a b");
    world_command(&world, "XADD {gri}:jobs 9999999999999-2 a b");
    world_command(&world, "XDEL {gri}:jobs 9999999999999-1"); /* an undelivered entry goes: Redis no longer knows the lag */
    RUN_OK(stream, stats, &stats);
    assert_int_equal(stats.jobs.lag, -1);
    gri_job_entries_free(read.jobs, read.count);
    world_drop_stream(&world, stream);
}

/* Of a finished job nobody asks again: its mark would fill the window for ever. */
static void stats_clear_marks_whose_entry_was_deleted(void **state) {
    (void)state;
    struct gri_stream *stream = world_ready_stream(&world, "w1");
    dispatch(stream, 0, 3, 100, NULL);
    struct gri_stream_read read = read_some(stream, GRI_STREAM_JOBS, 1, 1000);
    world_command(&world, "XDEL {gri}:jobs %s", read.jobs[0].id);
    struct gri_stream_stats stats = {0};
    RUN_OK(stream, stats, &stats);
    assert_int_equal(stats.inflight, 2);
    assert_int_equal(world_command(&world, "HLEN {gri}:inflight"), 2);
    gri_job_entries_free(read.jobs, read.count);
    world_drop_stream(&world, stream);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_dispatched_job_is_read_with_all_its_fields_and_acked_away),
        TEST(the_window_is_never_overfilled_and_a_key_never_doubled),
        TEST(a_consumer_whose_entry_was_claimed_by_another_is_fenced),
        TEST(an_ack_leaves_the_inflight_mark_of_a_later_entry),
        TEST(nonsense_ids_are_fenced_and_absent_not_errors),
        TEST(announced_chunks_are_read_and_present_until_acked),
        TEST(bare_urls_of_outsiders_arrive_byte_for_byte),
        TEST(entries_nobody_can_use_are_removed_and_logged),
        TEST(a_reclaim_counts_deleted_bodies_and_bad_jobs_as_missing),
        TEST(reclaims_go_round_all_entries_in_small_steps),
        TEST(a_deep_look_finds_what_can_no_longer_reach_a_worker),
        TEST(stats_tell_depths_ages_and_memory),
        TEST(stats_clear_marks_whose_entry_was_deleted),
    };
    return cmocka_run_group_tests_name("redis_stream", tests, NULL, NULL);
}
