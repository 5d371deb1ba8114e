/* SPDX-License-Identifier: Apache-2.0 */
/* What the Redis stream does when its server is emptied, killed, silent, read-only, misconfigured or refuses it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "redis_world.h"

#include <arpa/inet.h>
#include <grisaille/bytes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct redis_world world;

static int set_up(void **state) {
    (void)state;
    world_start(&world, NULL);
    return 0;
}

static int set_up_password(void **state) {
    (void)state;
    world_start(&world, (const char *const[]){"--requirepass", "hunter2", NULL});
    world_command(&world, "AUTH hunter2");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    world_stop(&world);
    return 0;
}

static enum gri_status stats_of(struct gri_stream *stream, struct gri_stream_stats *stats) {
    *stats = (struct gri_stream_stats){0};
    world_arm(&stats->op);
    stream->ops->stats(stream, stats);
    assert_false(world_done(&stats->op));
    return world_finish(&world, &stats->op);
}

static void start_read(struct gri_stream *stream, struct gri_stream_read *read) {
    *read = (struct gri_stream_read){.stream = GRI_STREAM_JOBS, .max = 5, .block_ms = 60000};
    world_arm(&read->op);
    stream->ops->read(stream, read);
}

static bool metrics_have(const char *line) {
    struct gri_bytes text;
    gri_bytes_init(&text, 0);
    gri_metrics_render(world.metrics, &text);
    bool found = strstr(gri_bytes_text(&text), line) != NULL;
    gri_bytes_clear(&text);
    return found;
}

static void an_empty_redis_is_an_epoch_and_a_known_one_is_up(void **state) {
    (void)state;
    struct changes first = {0}, second = {0};
    struct gri_stream *a = world_stream(&world, "w1", 0, &first);
    world_wait(&world, &first.epoch, 1);
    struct gri_stream *b = world_stream(&world, "w2", 0, &second);
    world_wait(&world, &second.up, 1);
    assert_int_equal(first.up + first.down + second.down + second.epoch, 0);
    world_drop_stream(&world, a);
    world_drop_stream(&world, b);
}

static void flushall_ends_a_blocked_read_and_tells_every_stream_of_a_new_epoch(void **state) {
    (void)state;
    struct changes first = {0}, second = {0};
    struct gri_stream *a = world_stream(&world, "w1", 0, &first);
    world_wait(&world, &first.epoch, 1);
    struct gri_stream *b = world_stream(&world, "w2", 0, &second);
    world_wait(&world, &second.up, 1);
    struct gri_stream_read one, two;
    start_read(a, &one);
    start_read(b, &two);
    world_turn(&world, 100);
    world_command(&world, "FLUSHALL");
    assert_int_equal(world_finish(&world, &one.op), GRI_RETRY);
    assert_int_equal(world_finish(&world, &two.op), GRI_RETRY);
    world_wait(&world, &first.epoch, 2);
    world_wait(&world, &second.epoch, 1);
    assert_int_equal(first.down + second.down, 0);
    struct gri_stream_stats stats; /* the groups are there again before the read was answered */
    assert_int_equal(stats_of(a, &stats), GRI_OK);
    world_command(&world, "XADD {gri}:jobs * key k:gray url https://x/ pipeline gray@1 run 1");
    start_read(a, &one);
    assert_int_equal(world_finish(&world, &one.op), GRI_OK);
    assert_int_equal(one.count, 1);
    gri_job_entries_free(one.jobs, one.count);
    world_drop_stream(&world, a);
    world_drop_stream(&world, b);
}

static void flushall_is_found_by_a_script_too_and_what_was_owned_is_fenced(void **state) {
    (void)state;
    struct changes changes = {0};
    struct gri_stream *stream = world_stream(&world, "w1", 0, &changes);
    world_wait(&world, &changes.epoch, 1);
    world_command(&world, "FLUSHALL");
    struct gri_stream_stats stats;
    assert_int_equal(stats_of(stream, &stats), GRI_RETRY);
    world_wait(&world, &changes.epoch, 2);
    assert_int_equal(stats_of(stream, &stats), GRI_OK);

    world_command(&world, "FLUSHALL");
    char ids[1][GRI_ENTRY_ID_MAX] = {"5-1"};
    enum gri_fence fence = GRI_OWNED;
    struct gri_stream_heartbeat beat = {
        .stream = GRI_STREAM_JOBS, .ids = (const char(*)[GRI_ENTRY_ID_MAX])ids, .count = 1, .fences = &fence};
    world_arm(&beat.op);
    stream->ops->heartbeat(stream, &beat);
    assert_int_equal(world_finish(&world, &beat.op), GRI_OK);
    assert_int_equal(fence, GRI_FENCED);
    world_wait(&world, &changes.epoch, 3);
    world_drop_stream(&world, stream);
}

static void a_lost_group_alone_is_made_again_without_an_epoch(void **state) {
    (void)state;
    struct changes changes = {0};
    struct gri_stream *stream = world_stream(&world, "w1", 0, &changes);
    world_wait(&world, &changes.epoch, 1);
    world_command(&world, "XADD {gri}:jobs * key k:gray url https://x/ pipeline gray@1 run 1");
    world_command(&world, "XGROUP DESTROY {gri}:jobs workers");
    struct gri_stream_read read;
    start_read(stream, &read);
    assert_int_equal(world_finish(&world, &read.op), GRI_RETRY);
    world_wait(&world, &changes.up, 1);
    assert_int_equal(changes.epoch, 1);
    start_read(stream, &read);
    assert_int_equal(world_finish(&world, &read.op), GRI_OK);
    assert_int_equal(read.count, 1); /* the group begins at 0: nothing that was there is skipped */
    gri_job_entries_free(read.jobs, read.count);
    world_drop_stream(&world, stream);
}

static void a_killed_server_is_down_and_after_its_return_up_again(void **state) {
    (void)state;
    struct changes changes = {0};
    struct gri_stream *stream = world_stream(&world, "w1", 0, &changes);
    world_wait(&world, &changes.epoch, 1);
    struct gri_stream_read read;
    start_read(stream, &read);
    world_turn(&world, 50);
    world_kill_server(&world);
    assert_int_equal(world_finish(&world, &read.op), GRI_RETRY);
    assert_true(read.op.error.unknown);
    world_wait(&world, &changes.down, 1);
    struct gri_stream_stats stats;
    assert_int_equal(stats_of(stream, &stats), GRI_RETRY);
    assert_false(stats.op.error.unknown); /* it was never sent */
    start_read(stream, &read);
    assert_int_equal(world_finish(&world, &read.op), GRI_RETRY);
    world_turn(&world, 500);
    assert_int_equal(changes.down, 1); /* told once, however often it tries */
    world_start_server(&world, NULL);
    world_wait(&world, &changes.epoch, 2); /* it came back empty */
    assert_int_equal(changes.up, 0);
    assert_int_equal(stats_of(stream, &stats), GRI_OK);
    assert_true(metrics_have("grisaille_redis_reconnects_total 1"));
    world_drop_stream(&world, stream);
}

static void a_server_that_kept_its_data_is_up_without_an_epoch(void **state) {
    (void)state;
    struct changes changes = {0};
    struct gri_stream *stream = world_stream(&world, "w1", 0, &changes);
    world_wait(&world, &changes.epoch, 1);
    world_command(&world, "CLIENT KILL TYPE normal SKIPME yes");
    world_wait(&world, &changes.down, 1);
    world_wait(&world, &changes.up, 1);
    assert_int_equal(changes.epoch, 1);
    world_drop_stream(&world, stream);
}

static void a_server_that_stops_answering_is_left_at_the_deadline(void **state) {
    (void)state;
    struct changes changes = {0};
    struct gri_stream *stream = world_stream(&world, "w1", 300, &changes);
    world_wait(&world, &changes.epoch, 1);
    kill(world.pid, SIGSTOP);
    struct gri_stream_block block = {.host = "picsum.photos", .ms = 1};
    int64_t begin = gri_now_ms(world.loop);
    world_arm(&block.op);
    stream->ops->block(stream, &block);
    assert_int_equal(world_finish(&world, &block.op), GRI_RETRY);
    assert_true(block.op.error.unknown); /* it may have been done */
    int64_t took = gri_now_ms(world.loop) - begin;
    assert_true(took >= 290 && took < 3000);
    assert_int_equal(changes.down, 1);
    kill(world.pid, SIGCONT);
    world_wait(&world, &changes.up, 1);
    world_drop_stream(&world, stream);
}

static void a_blocked_read_of_a_stopped_server_ends_after_its_block_and_the_deadline(void **state) {
    (void)state;
    struct changes changes = {0};
    struct gri_stream *stream = world_stream(&world, "w1", 200, &changes);
    world_wait(&world, &changes.epoch, 1);
    struct gri_stream_read read = {.stream = GRI_STREAM_JOBS, .max = 1, .block_ms = 300};
    int64_t begin = gri_now_ms(world.loop);
    world_arm(&read.op);
    stream->ops->read(stream, &read);
    world_turn(&world, 100);
    kill(world.pid, SIGSTOP);
    assert_int_equal(world_finish(&world, &read.op), GRI_RETRY);
    assert_true(gri_now_ms(world.loop) - begin >= 490);
    kill(world.pid, SIGCONT);
    world_drop_stream(&world, stream);
}

static void an_answer_that_came_while_this_process_stood_still_counts(void **state) {
    (void)state;
    struct changes changes = {0};
    struct gri_stream *stream = world_stream(&world, "w1", 200, &changes);
    world_wait(&world, &changes.epoch, 1);
    struct gri_stream_stats stats = {0};
    world_arm(&stats.op);
    stream->ops->stats(stream, &stats);
    usleep(400 * 1000);
    assert_int_equal(world_finish(&world, &stats.op), GRI_OK);
    assert_int_equal(changes.down, 0);
    world_drop_stream(&world, stream);
}

static void an_entry_too_big_to_read_comes_cut_by_a_reclaim(void **state) {
    (void)state;
    enum { HUGE_BYTES = 65 * 1024 * 1024 };
    struct changes changes = {0};
    struct gri_stream *stream = world_stream(&world, "w1", 0, &changes);
    world_wait(&world, &changes.epoch, 1);
    char *huge = malloc(HUGE_BYTES);
    assert_non_null(huge);
    memset(huge, 'u', HUGE_BYTES);
    world_command(&world, "XADD {gri}:urls * url %b", huge, (size_t)HUGE_BYTES);
    free(huge);
    struct gri_stream_read read = {.stream = GRI_STREAM_URLS, .max = 5, .block_ms = 1000};
    world_arm(&read.op);
    stream->ops->read(stream, &read);
    assert_int_equal(world_finish(&world, &read.op), GRI_RETRY);
    world_wait(&world, &changes.up, 1);
    struct gri_stream_reclaim reclaim = {.stream = GRI_STREAM_URLS, .max = 5};
    world_arm(&reclaim.op);
    stream->ops->reclaim(stream, &reclaim);
    assert_int_equal(world_finish(&world, &reclaim.op), GRI_OK);
    assert_int_equal(reclaim.count, 1);
    assert_int_equal(reclaim.urls[0].url_len, 16 * 1024);
    gri_url_entries_free(reclaim.urls, reclaim.count);
    world_drop_stream(&world, stream);
}

static void a_listener_that_never_speaks_is_no_redis(void **state) {
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    gri_format(world.url, sizeof world.url, "redis://127.0.0.1:%d", ntohs(address.sin_port));
    struct changes changes = {0};
    int64_t begin = gri_now_ms(world.loop);
    struct gri_stream *stream = world_stream(&world, "w1", 200, &changes);
    world_wait(&world, &changes.down, 1);
    assert_true(gri_now_ms(world.loop) - begin >= 190);
    world_drop_stream(&world, stream);
    close(fd);
}

static void tcp_by_name_and_another_database_work(void **state) {
    (void)state;
    gri_format(world.url, sizeof world.url, "redis://localhost:%d/3", world.port); /* ::1 first on many machines: refused there */
    struct changes changes = {0};
    struct gri_stream *stream = world_stream(&world, "w1", 0, &changes);
    world_wait(&world, &changes.epoch, 1);
    assert_int_equal(changes.down, 0);
    world_command(&world, "SELECT 3");
    assert_int_equal(world_command(&world, "EXISTS {gri}:epoch {gri}:urls {gri}:jobs"), 3);
    world_drop_stream(&world, stream);
}

static void a_name_that_does_not_resolve_is_down_not_fatal(void **state) {
    (void)state;
    gri_copy(world.url, sizeof world.url, "redis://no-such-host.invalid:1/0");
    struct changes changes = {0};
    struct gri_stream *stream = world_stream(&world, "w1", 2000, &changes);
    world_wait(&world, &changes.down, 1);
    world_drop_stream(&world, stream);
}

static void a_wrong_password_is_down_and_logged_and_a_right_one_is_up(void **state) {
    (void)state;
    struct changes changes = {0}, none = {0}, right = {0};
    char path[sizeof world.url];
    gri_copy(path, sizeof path, world.socket);
    struct gri_stream *missing = world_stream(&world, "w0", 0, &none);
    world_wait(&world, &none.down, 1);
    gri_format(world.url, sizeof world.url, "unix://:sesame1@%s", path);
    struct gri_stream *stream = world_stream(&world, "w1", 0, &changes);
    world_wait(&world, &changes.down, 1);
    assert_int_equal(none.up + none.epoch + changes.up + changes.epoch, 0);
    assert_true(world_logged(&world, "user or password refused"));
    assert_true(world_logged(&world, "NOAUTH"));
    assert_false(world_logged(&world, "sesame1"));
    gri_format(world.url, sizeof world.url, "unix://default:hunter2@%s", path);
    struct gri_stream *good = world_stream(&world, "w2", 0, &right);
    world_wait(&world, &right.epoch, 1);
    assert_false(world_logged(&world, "hunter2"));
    world_drop_stream(&world, missing);
    world_drop_stream(&world, stream);
    world_drop_stream(&world, good);
}

static void a_redis_that_evicts_is_refused_until_that_is_mended(void **state) {
    (void)state;
    world_command(&world, "CONFIG SET maxmemory-policy allkeys-lru");
    struct changes changes = {0};
    struct gri_stream *stream = world_stream(&world, "w1", 0, &changes);
    world_wait(&world, &changes.down, 1);
    assert_true(world_logged(&world, "redis_eviction_policy"));
    assert_int_equal(world_command(&world, "EXISTS {gri}:epoch {gri}:urls"), 0);
    world_command(&world, "CONFIG SET maxmemory-policy noeviction");
    world_wait(&world, &changes.epoch, 1);
    world_drop_stream(&world, stream);
}

static void a_user_who_may_not_ask_for_the_policy_is_served(void **state) {
    (void)state;
    world_command(&world, "ACL SETUSER gri on >pw ~{gri}:* +@stream +@hash +@string +@scripting +exists +select +time");
    gri_format(world.url, sizeof world.url, "unix://gri:pw@%s", world.socket);
    struct changes changes = {0};
    struct gri_stream *stream = world_stream(&world, "w1", 0, &changes);
    world_wait(&world, &changes.epoch, 1);
    assert_true(world_logged(&world, "redis_policy_unknown"));
    struct gri_stream_stats stats; /* INFO is forbidden to this user: memory is not known, the rest is */
    assert_int_equal(stats_of(stream, &stats), GRI_OK);
    assert_int_equal(stats.memory_bytes, 0);
    world_drop_stream(&world, stream);
}

static void a_server_that_turns_into_a_replica_is_down_until_it_is_master_again(void **state) {
    (void)state;
    struct changes changes = {0};
    struct gri_stream *stream = world_stream(&world, "w1", 0, &changes);
    world_wait(&world, &changes.epoch, 1);
    world_command(&world, "REPLICAOF 127.0.0.1 1");
    struct gri_stream_block block = {.host = "picsum.photos", .ms = 1000};
    world_arm(&block.op);
    stream->ops->block(stream, &block);
    assert_int_equal(world_finish(&world, &block.op), GRI_RETRY);
    world_wait(&world, &changes.down, 1);
    world_turn(&world, 300);
    assert_int_equal(changes.up, 0);
    world_command(&world, "REPLICAOF NO ONE");
    world_wait(&world, &changes.up, 1);
    world_drop_stream(&world, stream);
}

static void close_ends_what_is_under_way_with_retry(void **state) {
    (void)state;
    struct changes changes = {0};
    struct gri_stream *stream = world_stream(&world, "w1", 0, &changes);
    world_wait(&world, &changes.epoch, 1);
    struct gri_stream_read blocked, unsent = {.stream = GRI_STREAM_URLS, .max = 1, .block_ms = 60000};
    start_read(stream, &blocked);
    world_turn(&world, 50);
    struct gri_stream_stats stats = {0};
    world_arm(&stats.op);
    world_arm(&unsent.op);
    stream->ops->stats(stream, &stats);
    stream->ops->read(stream, &unsent);
    stream->ops->close(stream);
    assert_false(world_done(&stats.op));
    world_turn(&world, 0);
    assert_true(world_done(&stats.op) && world_done(&blocked.op) && world_done(&unsent.op));
    assert_int_equal(world_finish(&world, &stats.op), GRI_RETRY);
    assert_int_equal(world_finish(&world, &blocked.op), GRI_RETRY);
    assert_int_equal(world_finish(&world, &unsent.op), GRI_RETRY);
    assert_int_equal(changes.down, 0); /* who closes it knows */
    assert_int_equal(stats_of(stream, &stats), GRI_RETRY);
    stream->ops->open(stream); /* and it can be opened again */
    world_wait(&world, &changes.up, 1);
    world_drop_stream(&world, stream);
}

static void destroy_at_any_moment_leaves_nothing_behind(void **state) {
    (void)state;
    struct gri_stream *never_opened = NULL;
    struct gri_redis_options options = {.url = world.url, .consumer = "w9"};
    struct gri_error error;
    assert_int_equal(gri_redis_stream_create(gri_uv_loop_handle(world.loop), &options, NULL, NULL, &never_opened, &error),
                     GRI_OK);
    gri_redis_stream_destroy(never_opened);
    for (int ms = 0; ms < 8; ms++) { /* while it resolves, connects, logs in, makes ready */
        gri_format(world.url, sizeof world.url, "redis://localhost:%d", world.port);
        struct gri_stream *stream = world_stream(&world, "w1", 0, NULL);
        if (ms) world_turn(&world, ms - 1);
        world_drop_stream(&world, stream);
    }
    struct gri_stream *stream = world_ready_stream(&world, "w1");
    struct gri_stream_read read;
    start_read(stream, &read);
    world_turn(&world, 20);
    world_drop_stream(&world, stream); /* a request under way still gets its `done` */
    assert_int_equal(world_finish(&world, &read.op), GRI_RETRY);
    gri_redis_stream_destroy(NULL);
}

static void bad_options_are_refused(void **state) {
    (void)state;
    static const struct gri_redis_options bad[] = {
        {.url = "rediss://host", .consumer = "w1"},
        {.url = "redis://host", .consumer = ""},
        {.url = "redis://host", .consumer = "a b"},
        {.url = "redis://host", .consumer = "w1", .prefix = ""},
        {.url = "redis://host", .consumer = "w1", .prefix = "a\nb"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct gri_stream *stream = NULL;
        struct gri_error error;
        assert_int_equal(gri_redis_stream_create(gri_uv_loop_handle(world.loop), &bad[i], NULL, NULL, &stream, &error),
                         GRI_FATAL);
        assert_null(stream);
        assert_int_equal(error.reason, GRI_R_config);
    }
}

static void fleets_with_other_prefixes_do_not_meet(void **state) {
    (void)state;
    struct gri_redis_options options = {.url = world.url, .consumer = "w1", .prefix = "{other}"};
    struct gri_stream *stream = world_ready_stream(&world, "w1"), *other = NULL;
    struct gri_error error;
    assert_int_equal(gri_redis_stream_create(gri_uv_loop_handle(world.loop), &options, NULL, NULL, &other, &error), GRI_OK);
    other->ops->open(other);
    world_turn(&world, 300);
    assert_int_equal(world_command(&world, "EXISTS {other}:urls {other}:jobs {other}:epoch"), 3);
    world_command(&world, "XADD {other}:urls * url https://x/");
    struct gri_stream_stats stats;
    assert_int_equal(stats_of(stream, &stats), GRI_OK);
    assert_int_equal(stats.urls.length, 0);
    assert_int_equal(stats_of(other, &stats), GRI_OK);
    assert_int_equal(stats.urls.length, 1);
    world_drop_stream(&world, stream);
    gri_redis_stream_destroy(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(an_empty_redis_is_an_epoch_and_a_known_one_is_up),
        TEST(flushall_ends_a_blocked_read_and_tells_every_stream_of_a_new_epoch),
        TEST(flushall_is_found_by_a_script_too_and_what_was_owned_is_fenced),
        TEST(a_lost_group_alone_is_made_again_without_an_epoch),
        TEST(a_killed_server_is_down_and_after_its_return_up_again),
        TEST(a_server_that_kept_its_data_is_up_without_an_epoch),
        TEST(a_server_that_stops_answering_is_left_at_the_deadline),
        TEST(a_blocked_read_of_a_stopped_server_ends_after_its_block_and_the_deadline),
        TEST(an_answer_that_came_while_this_process_stood_still_counts),
        TEST(an_entry_too_big_to_read_comes_cut_by_a_reclaim),
        TEST(a_listener_that_never_speaks_is_no_redis),
        TEST(tcp_by_name_and_another_database_work),
        TEST(a_name_that_does_not_resolve_is_down_not_fatal),
        cmocka_unit_test_setup_teardown(a_wrong_password_is_down_and_logged_and_a_right_one_is_up, set_up_password, tear_down),
        TEST(a_redis_that_evicts_is_refused_until_that_is_mended),
        TEST(a_user_who_may_not_ask_for_the_policy_is_served),
        TEST(a_server_that_turns_into_a_replica_is_down_until_it_is_master_again),
        TEST(close_ends_what_is_under_way_with_retry),
        TEST(destroy_at_any_moment_leaves_nothing_behind),
        TEST(bad_options_are_refused),
        TEST(fleets_with_other_prefixes_do_not_meet),
    };
    return cmocka_run_group_tests_name("redis_faults", tests, NULL, NULL);
}
