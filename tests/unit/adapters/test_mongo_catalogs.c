/* SPDX-License-Identifier: Apache-2.0 */
/* Catalogs on a real MongoDB: pushing, feeding, settling, counting. */
#include "mongo_steps.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* --- pushing ---------------------------------------------------------------------------------------------------------- */

static void a_pushed_catalog_is_there_with_all_its_chunks(void **state) {
    (void)state;
    char id[GRI_CATALOG_ID_MAX];
    assert_false(push_catalog("first", 20, false, id));
    assert_int_equal(strlen(id), 24);
    assert_int_equal(mongo_world_count(&world, "catalog_chunks", "{\"admitted\":false}"), 20);
    struct gri_json *catalog = get_catalog(id);
    assert_string_equal(gri_json_str(catalog, "id", ""), id);
    assert_string_equal(gri_json_str(catalog, "state", ""), "running");
    assert_string_equal(gri_json_str(catalog, "name", ""), "first");
    assert_string_equal(gri_json_str(catalog, "sha256", ""), SUM_A);
    assert_string_equal(gri_json_str(catalog, "by", ""), "cli:me");
    assert_string_equal(gri_json_str(catalog, "rules", ""), RULES);
    assert_int_equal(gri_json_get_int(catalog, "bytes", 0), 280);
    assert_int_equal(gri_json_kind(gri_json_get(catalog, "finished_at")), GRI_JSON_NULL);
    const char *created = gri_json_str(catalog, "created_at", "");
    assert_int_equal(strlen(created), strlen("2026-11-21T09:00:00.000Z"));
    assert_int_equal(created[23], 'Z');
    gri_json_free(catalog);
    struct gri_error error = {0};
    struct gri_json *none = NULL;
    assert_int_equal(world.archive->ops->catalog(world.archive, "no such", &none, &error), GRI_PERMANENT);
    assert_int_equal(error.reason, GRI_R_not_found);
}

static void the_same_content_pushed_again_is_the_first_catalog(void **state) {
    (void)state;
    char first[GRI_CATALOG_ID_MAX], again[GRI_CATALOG_ID_MAX], other[GRI_CATALOG_ID_MAX];
    assert_false(push_catalog("a", 9, false, first));
    assert_true(push_catalog("a", 9, false, again));
    assert_string_equal(first, again);
    assert_int_equal(mongo_world_count(&world, "catalog_chunks", "{}"), 9);
    assert_false(push_catalog("b\xff", 9, false, other));
    assert_string_not_equal(first, other);
    assert_true(push_catalog("b\xff", 9, false, again));
    assert_string_equal(other, again);
    assert_int_equal(mongo_world_count(&world, "catalogs", "{}"), 2);
}

struct pusher {
    pthread_t thread;
    char id[GRI_CATALOG_ID_MAX];
    bool existed;
};

static void *push_on_thread(void *arg) {
    struct pusher *pusher = arg;
    pusher->existed = push_catalog("race", 10, false, pusher->id);
    return NULL;
}

static void of_equal_pushes_at_once_one_makes_the_catalog(void **state) {
    (void)state;
    struct pusher pushers[4] = {0};
    int made = 0;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&pushers[i].thread, NULL, push_on_thread, &pushers[i]), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(pushers[i].thread, NULL);
        made += !pushers[i].existed;
        assert_string_equal(pushers[i].id, pushers[0].id);
    }
    assert_int_equal(made, 1);
    assert_int_equal(mongo_world_count(&world, "catalog_chunks", "{}"), 10);
}

static void an_aborted_push_leaves_nothing(void **state) {
    (void)state;
    struct gri_archive_push *push = NULL;
    struct gri_push_meta meta = {.name = "x", .pipeline = PIPELINE, .rules = RULES, .by = ""};
    ASK(world.archive->ops->push_begin(world.archive, &meta, &push, why));
    push_chunks(push, 17);
    assert_int_equal(mongo_world_count(&world, "catalog_chunks", "{}"), 16);
    world.archive->ops->push_abort(push);
    assert_int_equal(mongo_world_count(&world, "catalog_chunks", "{}"), 0);
}

static void a_push_whose_beginning_was_given_up_fails(void **state) {
    (void)state;
    struct gri_error error = {0};
    struct gri_archive_push *push = NULL;
    char id[GRI_CATALOG_ID_MAX], mark[128];
    bool existed;
    struct gri_push_meta meta = {.name = "x", .pipeline = PIPELINE, .rules = RULES, .by = ""};
    struct gri_push_totals totals = {.sha256 = SUM_A, .bytes = 1, .lines = 18, .chunks = 9};
    ASK(world.archive->ops->push_begin(world.archive, &meta, &push, why));
    push_chunks(push, 9);
    bson_t *chunk = mongo_world_find(&world, "catalog_chunks", "{\"number\":0}");
    assert_true(gri_format(mark, sizeof mark, "{\"_id\":\"%s\",\"state\":\"abandoned\"}", mongo_world_text(chunk, "catalog")));
    bson_destroy(chunk);
    mongo_world_insert(&world, "catalogs", mark);
    assert_int_equal(world.archive->ops->push_commit(push, &totals, id, &existed, &error), GRI_PERMANENT);
    assert_int_equal(error.reason, GRI_R_conflict);
    assert_int_equal(mongo_world_count(&world, "catalog_chunks", "{}"), 0);
}

static void a_commit_of_unknown_outcome_keeps_the_chunks(void **state) {
    (void)state;
    struct gri_error error = {0};
    struct gri_archive_push *push = NULL;
    char id[GRI_CATALOG_ID_MAX];
    bool existed;
    struct gri_push_meta meta = {.name = "x", .pipeline = PIPELINE, .rules = RULES, .by = ""};
    struct gri_push_totals totals = {.sha256 = SUM_A, .bytes = 1, .lines = 4, .chunks = 2};
    ASK(world.archive->ops->push_begin(world.archive, &meta, &push, why));
    push_chunks(push, 2);
    mongo_world_fail(&world, 1, "[\"update\"]",
                     "\"appName\":\"grisaille\",\"writeConcernError\":{\"code\":64,\"errmsg\":\"timed out\"}");
    assert_int_equal(world.archive->ops->push_commit(push, &totals, id, &existed, &error), GRI_RETRY);
    assert_int_equal(error.reason, GRI_R_unavailable);
    assert_int_equal(mongo_world_count(&world, "catalog_chunks", "{}"), 2);
    /* It was done: the client's next try finds it. */
    assert_true(push_catalog("x", 2, false, id));
}

/* --- the life of a catalog -------------------------------------------------------------------------------------------- */

static void the_feeder_sees_unfinished_catalogs_oldest_first_with_their_next_chunks(void **state) {
    (void)state;
    char first[GRI_CATALOG_ID_MAX], second[GRI_CATALOG_ID_MAX];
    assert_false(push_catalog("a", 5, false, first));
    usleep(5000);
    assert_false(push_catalog("b", 3, false, second));
    chunk_done(first, 1);
    admit_line(first, 1, 3, GRI_ADMITTED);
    admit_line(first, 2, 4, GRI_ADMITTED);
    const int64_t numbers[] = {0, 1};
    const char ids[2][GRI_ENTRY_ID_MAX] = {"7-1", "7-2"};
    struct gri_ledger_announced announced = {.catalog = first, .chunks = numbers, .ids = ids, .count = 2};
    assert_int_equal(MONGO_RUN(&world, ledger, announced, &announced), GRI_OK);
    struct gri_ledger_feed feed = {.catalog_limit = 10, .chunk_limit = 3, .open_limit = 1, .queued_limit = 10};
    assert_int_equal(MONGO_RUN(&world, ledger, feed, &feed), GRI_OK);
    assert_int_equal(feed.count, 2);
    assert_string_equal(feed.catalogs[0].id, first);
    assert_string_equal(feed.catalogs[1].id, second);
    assert_int_equal(feed.catalogs[0].chunks, 5);
    assert_int_equal(feed.catalogs[0].open, 1); /* counted up to the limit */
    assert_int_equal(feed.catalogs[0].queued, 2);
    assert_int_equal(feed.catalogs[0].next_count, 3);
    assert_int_equal(feed.catalogs[0].next[0].number, 0);
    assert_string_equal(feed.catalogs[0].next[0].announced_id, "7-1");
    assert_int_equal(feed.catalogs[0].next[1].number, 2); /* 1 is admitted */
    assert_string_equal(feed.catalogs[0].next[1].announced_id, "");
    assert_int_equal(feed.catalogs[1].next_count, 3);
    gri_feed_catalogs_free(feed.catalogs, feed.count);
}

static void a_chunk_comes_with_what_judges_it(void **state) {
    (void)state;
    char id[GRI_CATALOG_ID_MAX];
    assert_false(push_catalog("a", 2, true, id));
    struct gri_ledger_chunk request = {.catalog = id, .number = 1};
    gri_bytes_init(&request.text, 0);
    assert_int_equal(MONGO_RUN(&world, ledger, chunk, &request), GRI_OK);
    assert_true(request.found && !request.admitted && request.retry_dead && !request.continued);
    assert_int_equal(request.state, GRI_CATALOG_RUNNING);
    assert_string_equal(request.pipeline, PIPELINE);
    assert_string_equal(request.rules, RULES);
    assert_int_equal(request.first_line, 3);
    assert_int_equal(request.lines, 2);
    assert_string_equal(gri_bytes_text(&request.text), "line 3\nline 4\n");
    request.number = 2;
    assert_int_equal(MONGO_RUN(&world, ledger, chunk, &request), GRI_OK);
    assert_false(request.found);
    request.catalog = "{\"$gt\":\"\"}";
    assert_int_equal(MONGO_RUN(&world, ledger, chunk, &request), GRI_OK);
    assert_false(request.found);
    gri_bytes_clear(&request.text);
}

static void counts_add_up_and_a_catalog_finishes_once_nothing_is_pending(void **state) {
    (void)state;
    char id[GRI_CATALOG_ID_MAX], other[GRI_CATALOG_ID_MAX];
    assert_false(push_catalog("a", 4, false, id)); /* 8 lines, 1 blank */
    assert_false(push_catalog("b", 1, false, other));
    admit_line(id, 1, 1, GRI_ADMITTED);
    admit_line(id, 2, 2, GRI_ADMITTED);
    admit_line(id, 3, 3, GRI_ADMITTED);
    admit_line(id, 4, 4, GRI_ADMITTED);
    admit_line(id, 1, 5, GRI_KNOWN);
    reject_line(id, 6);
    reject_line(id, 7);
    assert_false(settle(id));
    expect_counts(id, 4, -1, 2, 0, 0, 0, 4);
    usleep(1100000); /* counts of a running catalog may be a second old */
    for (int i = 0; i < 4; i++)
        chunk_done(id, i);
    finish_url(1, 50, true);
    finish_url(2, 50, false);
    finish_url(3, 0, false);
    assert_false(settle(id)); /* one is still queued */
    expect_counts(id, 4, 1, 2, 1, 1, 1, 1);
    finish_url(4, 51, true);
    assert_true(settle(id));
    assert_true(settle(id));
    assert_false(settle(other));
    expect_counts(id, 4, 1, 2, 2, 1, 1, 0);
    struct gri_json *catalog = get_catalog(id);
    assert_string_equal(gri_json_str(catalog, "state", ""), "finished");
    assert_int_equal(gri_json_kind(gri_json_get(catalog, "finished_at")), GRI_JSON_STRING);
    gri_json_free(catalog);
}

static void a_finished_catalog_is_counted_again_after_a_change(void **state) {
    (void)state;
    char id[GRI_CATALOG_ID_MAX];
    assert_false(push_catalog("a", 1, false, id));
    admit_line(id, 1, 1, GRI_ADMITTED);
    chunk_done(id, 0);
    finish_url(1, 0, false);
    assert_true(settle(id));
    expect_counts(id, 1, 0, 0, 0, 0, 1, 0);
    finish_url(1, 60, true); /* a late delivery succeeded */
    usleep(1100000);
    expect_counts(id, 1, 0, 0, 1, 0, 0, 0);
    /* Without a change they are read, not counted: a lie in the cache stays. */
    mongo_world_update(&world, "urls", "{}", "[{\"$set\":{\"changed_at\":{\"$subtract\":[\"$changed_at\",3600000]}}}]");
    mongo_world_update(&world, "catalogs", "{}", "{\"$set\":{\"counts.stored\":77}}");
    usleep(1100000);
    expect_counts(id, 1, 0, 0, 77, 0, 0, 0);
}

static void an_empty_catalog_finishes_at_once(void **state) {
    (void)state;
    char id[GRI_CATALOG_ID_MAX];
    struct gri_archive_push *push = NULL;
    bool existed;
    struct gri_push_meta meta = {.name = "", .pipeline = PIPELINE, .rules = RULES, .by = ""};
    struct gri_push_totals totals = {.sha256 = SUM_A};
    ASK(world.archive->ops->push_begin(world.archive, &meta, &push, why));
    ASK(world.archive->ops->push_commit(push, &totals, id, &existed, why));
    assert_true(settle(id));
    expect_counts(id, 0, 0, 0, 0, 0, 0, 0);
}

static void pushing_a_known_catalog_with_retry_dead_gives_its_dead_another_life(void **state) {
    (void)state;
    char id[GRI_CATALOG_ID_MAX], again[GRI_CATALOG_ID_MAX];
    assert_false(push_catalog("a", 2, false, id));
    admit_line(id, 1, 1, GRI_ADMITTED);
    admit_line(id, 2, 2, GRI_ADMITTED);
    chunk_done(id, 0);
    chunk_done(id, 1);
    finish_url(1, 0, false);
    finish_url(2, 70, true);
    assert_true(settle(id));
    assert_true(push_catalog("a", 2, true, again));
    assert_string_equal(id, again);
    assert_false(settle(id));
    assert_int_equal(mongo_world_count(&world, "urls", "{\"state\":\"waiting\"}"), 1);
    struct gri_ledger_due due = {.limit = 10};
    usleep(5000);
    assert_int_equal(MONGO_RUN(&world, ledger, due, &due), GRI_OK);
    assert_int_equal(due.count, 1);
    assert_int_equal(due.due[0].job.run, 2);
    gri_due_free(due.due, due.count);
    struct gri_ledger_chunk chunk = {.catalog = id};
    gri_bytes_init(&chunk.text, 0);
    assert_int_equal(MONGO_RUN(&world, ledger, chunk, &chunk), GRI_OK);
    assert_true(chunk.retry_dead && !chunk.admitted);
    assert_int_equal(chunk.state, GRI_CATALOG_RUNNING);
    gri_bytes_clear(&chunk.text);
}

static void raw_chunks_and_lines_are_found(void **state) {
    (void)state;
    char id[GRI_CATALOG_ID_MAX];
    struct gri_archive_push *push = NULL;
    struct gri_error error = {0};
    struct gri_bytes text;
    struct gri_push_chunk read;
    int64_t number = -1;
    bool existed;
    struct gri_push_meta meta = {.name = "n", .pipeline = PIPELINE, .rules = RULES, .by = ""};
    struct gri_push_totals totals = {.sha256 = SUM_A, .lines = 3, .chunks = 3};
    const struct gri_push_chunk chunks[] = {
        {.number = 0, .first_line = 1, .lines = 2, .text = {(const uint8_t *)"a\nb\0\xff", 5}},
        {.number = 1, .first_line = 3, .lines = 0, .continued = true, .text = gri_slice_of("bbb")},
        {.number = 2, .first_line = 3, .lines = 1, .continued = true, .text = gri_slice_of("b\nc")}};
    ASK(world.archive->ops->push_begin(world.archive, &meta, &push, why));
    for (int i = 0; i < 3; i++)
        assert_int_equal(world.archive->ops->push_chunk(push, &chunks[i], &error), GRI_OK);
    assert_int_equal(world.archive->ops->push_commit(push, &totals, id, &existed, &error), GRI_OK);
    gri_bytes_init(&text, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(world.archive->ops->chunk(world.archive, id, i, &read, &text, &error), GRI_OK);
        assert_int_equal(read.first_line, chunks[i].first_line);
        assert_int_equal(read.continued, chunks[i].continued);
    }
    assert_int_equal(text.len, 11);
    assert_memory_equal(text.data,
                        "a\nb\0\xff"
                        "bbbb\nc",
                        11);
    assert_int_equal(world.archive->ops->chunk(world.archive, id, 3, &read, &text, &error), GRI_PERMANENT);
    assert_int_equal(error.reason, GRI_R_not_found);
    gri_bytes_clear(&text);
    assert_int_equal(world.archive->ops->chunk_of_line(world.archive, id, 2, &number, &error), GRI_OK);
    assert_int_equal(number, 0);
    assert_int_equal(world.archive->ops->chunk_of_line(world.archive, id, 3, &number, &error), GRI_OK);
    assert_int_equal(number, 2);
    assert_int_equal(world.archive->ops->chunk_of_line(world.archive, id, 4, &number, &error), GRI_PERMANENT);
    assert_int_equal(world.archive->ops->chunk_of_line(world.archive, id, 0, &number, &error), GRI_PERMANENT);
}

static int all_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_pushed_catalog_is_there_with_all_its_chunks, fresh),
        cmocka_unit_test_setup(the_same_content_pushed_again_is_the_first_catalog, fresh),
        cmocka_unit_test_setup(of_equal_pushes_at_once_one_makes_the_catalog, fresh),
        cmocka_unit_test_setup(an_aborted_push_leaves_nothing, fresh),
        cmocka_unit_test_setup(a_push_whose_beginning_was_given_up_fails, fresh),
        cmocka_unit_test_setup(a_commit_of_unknown_outcome_keeps_the_chunks, fresh),
        cmocka_unit_test_setup(the_feeder_sees_unfinished_catalogs_oldest_first_with_their_next_chunks, fresh),
        cmocka_unit_test_setup(a_chunk_comes_with_what_judges_it, fresh),
        cmocka_unit_test_setup(counts_add_up_and_a_catalog_finishes_once_nothing_is_pending, fresh),
        cmocka_unit_test_setup(a_finished_catalog_is_counted_again_after_a_change, fresh),
        cmocka_unit_test_setup(an_empty_catalog_finishes_at_once, fresh),
        cmocka_unit_test_setup(pushing_a_known_catalog_with_retry_dead_gives_its_dead_another_life, fresh),
        cmocka_unit_test_setup(raw_chunks_and_lines_are_found, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void) {
    return run_on_mongod(all_tests);
}
