/* SPDX-License-Identifier: Apache-2.0 */
/* Catalogs and the archive on a real MongoDB: pushing, feeding, settling, counting, and every list that people ask for. */
#include "mongo_world.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PIPELINE "gray@0123456789ab"
#define RULES "rules@0123456789ab"
#define SUM_A "000000000000000000000000000000000000000000000000000000000000aaaa"

static struct mongo_world world;

static int fresh(void **state) {
    (void)state;
    mongo_world_fresh(&world);
    return 0;
}

#define ASK(call)                                               \
    do {                                                        \
        struct gri_error ask_error = {0};                       \
        struct gri_error *why = &ask_error;                     \
        if ((call) != GRI_OK) fail_msg("%s", ask_error.detail); \
    } while (0)

/* --- making things ---------------------------------------------------------------------------------------------------- */

/* Chunks of two lines each: "line 1\nline 2\n"… */
static void push_chunks(struct gri_archive_push *push, int chunks) {
    for (int i = 0; i < chunks; i++) {
        char text[64];
        assert_true(gri_format(text, sizeof text, "line %d\nline %d\n", 2 * i + 1, 2 * i + 2));
        struct gri_push_chunk chunk = {.number = i, .first_line = 2 * i + 1, .lines = 2, .text = gri_slice_of(text)};
        ASK(world.archive->ops->push_chunk(push, &chunk, why));
    }
}

static bool push_catalog(const char *name, int chunks, bool retry_dead, char id[GRI_CATALOG_ID_MAX]) {
    struct gri_archive_push *push = NULL;
    bool existed = false;
    struct gri_push_meta meta = {.name = name, .pipeline = PIPELINE, .rules = RULES, .by = "cli:me", .retry_dead = retry_dead};
    struct gri_push_totals totals = {.sha256 = SUM_A, .bytes = 14 * chunks, .lines = 2 * chunks, .blank = 1, .chunks = chunks};
    ASK(world.archive->ops->push_begin(world.archive, &meta, &push, why));
    push_chunks(push, chunks);
    ASK(world.archive->ops->push_commit(push, &totals, id, &existed, why));
    return existed;
}

static void admit_line(const char *catalog, unsigned number, int64_t line, enum gri_admitted expected) {
    struct gri_admit url = {.host = "a.test", .line = line};
    enum gri_admitted result;
    int64_t run;
    char text[64];
    struct gri_ledger_admit request = {.catalog = catalog, .urls = &url, .count = 1, .results = &result, .runs = &run};
    assert_true(gri_format(text, sizeof text, "https://a.test/%u", number));
    mongo_world_key(url.job.key, number);
    assert_true(gri_copy(url.job.pipeline, sizeof url.job.pipeline, PIPELINE));
    url.job.url = text;
    assert_int_equal(MONGO_RUN(&world, ledger, admit, &request), GRI_OK);
    assert_int_equal(result, expected);
}

static void reject_line(const char *catalog, int64_t line) {
    struct gri_line_error bad = {.line = line, .text = gri_slice_of("nonsense"), .reason = GRI_R_no_scheme, .detail = "d"};
    struct gri_ledger_reject request = {.catalog = catalog, .errors = &bad, .count = 1};
    assert_int_equal(MONGO_RUN(&world, ledger, reject, &request), GRI_OK);
}

static void chunk_done(const char *catalog, int64_t number) {
    struct gri_ledger_chunk_done request = {.catalog = catalog, .number = number};
    assert_int_equal(MONGO_RUN(&world, ledger, chunk_done, &request), GRI_OK);
}

static void image_id(char id[GRI_IMAGE_ID_MAX], unsigned content) {
    assert_true(gri_format(id, GRI_IMAGE_ID_MAX, "%064x:" PIPELINE, content));
}

/* The job of that number ends: with the image of `content`, or dead where content is 0. */
static void finish_url(unsigned number, unsigned content, bool made) {
    struct gri_finish item = {.kind = content ? GRI_FINISH_DONE : GRI_FINISH_DEAD, .run = 1, .made = made};
    struct gri_ledger_finish request = {.items = &item, .count = 1};
    mongo_world_key(item.key, number);
    assert_true(gri_copy(item.pipeline, sizeof item.pipeline, PIPELINE));
    image_id(item.image, content);
    if (!content) (void)!gri_fail(&item.error, GRI_R_http_4xx, "404");
    assert_int_equal(MONGO_RUN(&world, ledger, finish, &request), GRI_OK);
    assert_true(item.applied);
}

static void insert_image(unsigned content, unsigned job, const char *host, int64_t inserted_at_ms) {
    struct gri_image image = {
        .inserted_at_ms = inserted_at_ms, .fetched_at_ms = inserted_at_ms, .width = 3, .height = 2, .bytes = 5};
    struct gri_image_insert item = {.image = &image};
    struct gri_store_insert request = {.items = &item, .count = 1};
    struct gri_error error = {0};
    mongo_world_key(image.job, job);
    assert_true(gri_copy(image.pipeline, sizeof image.pipeline, PIPELINE));
    assert_true(gri_copy(image.source.host, sizeof image.source.host, host));
    assert_true(gri_format(image.sums.source, sizeof image.sums.source, "%064x", content));
    assert_true(gri_format(image.sums.output, sizeof image.sums.output, "%064x", content + 0x10000));
    assert_true(gri_format(image.sums.base64, sizeof image.sums.base64, "%064x", content + 0x20000));
    gri_image_set_id(&image);
    gri_bytes_init(&image.data, 0);
    assert_int_equal(gri_bytes_append(&image.data, "QUJD", 4, &error), GRI_OK);
    assert_int_equal(MONGO_RUN(&world, store, insert, &request), GRI_OK);
    assert_int_equal(item.result, GRI_INSERTED);
    gri_image_clear(&image);
}

static bool settle(const char *catalog) {
    struct gri_ledger_settle request = {.catalog = catalog};
    assert_int_equal(MONGO_RUN(&world, ledger, settle, &request), GRI_OK);
    return request.finished;
}

static struct gri_json *get_catalog(const char *id) {
    struct gri_json *out = NULL;
    ASK(world.archive->ops->catalog(world.archive, id, &out, why));
    return out;
}

static void expect_counts(const char *id, int64_t accepted, int64_t duplicate, int64_t invalid, int64_t stored, int64_t same,
                          int64_t dead, int64_t pending) {
    struct gri_json *catalog = get_catalog(id);
    const struct gri_json *counts = gri_json_get(catalog, "counts");
    assert_int_equal(gri_json_get_int(counts, "accepted", -1), accepted);
    assert_int_equal(gri_json_get_int(counts, "duplicate", -1), duplicate);
    assert_int_equal(gri_json_get_int(counts, "invalid", -1), invalid);
    assert_int_equal(gri_json_get_int(counts, "stored", -1), stored);
    assert_int_equal(gri_json_get_int(counts, "duplicate_content", -1), same);
    assert_int_equal(gri_json_get_int(counts, "dead", -1), dead);
    assert_int_equal(gri_json_get_int(counts, "pending", -1), pending);
    gri_json_free(catalog);
}

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
    struct gri_ledger_feed feed = {.catalog_limit = 10, .chunk_limit = 3, .open_limit = 1};
    assert_int_equal(MONGO_RUN(&world, ledger, feed, &feed), GRI_OK);
    assert_int_equal(feed.count, 2);
    assert_string_equal(feed.catalogs[0].id, first);
    assert_string_equal(feed.catalogs[1].id, second);
    assert_int_equal(feed.catalogs[0].chunks, 5);
    assert_int_equal(feed.catalogs[0].open, 1); /* counted up to the limit */
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

/* --- lists ------------------------------------------------------------------------------------------------------------ */

static char next_cursor[512];

/* Keeps "next" for the page after; false where there is none. */
static bool keep_cursor(const struct gri_json *page) {
    assert_true(gri_copy(next_cursor, sizeof next_cursor, gri_json_str(page, "next", "")));
    return next_cursor[0] != '\0';
}

static void rejected_lines_are_paged_by_line(void **state) {
    (void)state;
    char id[GRI_CATALOG_ID_MAX];
    int64_t expected = 0;
    assert_false(push_catalog("a", 1, false, id));
    for (int line = 12; line >= 1; line--)
        reject_line(id, line);
    struct gri_filter filter = {.limit = 5};
    bool more = true;
    for (int page = 0; more; page++) {
        struct gri_json *out = NULL;
        ASK(world.archive->ops->errors(world.archive, id, &filter, &out, why));
        const struct gri_json *errors = gri_json_get(out, "errors");
        for (size_t i = 0; i < gri_json_count(errors); i++)
            assert_int_equal(gri_json_get_int(gri_json_at(errors, i), "line", 0), ++expected);
        assert_string_equal(gri_json_str(gri_json_at(errors, 0), "reason", ""), "no_scheme");
        assert_string_equal(gri_json_str(gri_json_at(errors, 0), "text", ""), "nonsense");
        more = keep_cursor(out);
        filter.cursor = next_cursor;
        gri_json_free(out);
        assert_true(page < 4);
    }
    assert_int_equal(expected, 12);
    struct gri_error error = {0};
    struct gri_json *out = NULL;
    filter.cursor = "12x";
    assert_int_equal(world.archive->ops->errors(world.archive, id, &filter, &out, &error), GRI_PERMANENT);
    assert_int_equal(error.reason, GRI_R_bad_request);
    filter.cursor = NULL;
    assert_int_equal(world.archive->ops->errors(world.archive, "none", &filter, &out, &error), GRI_PERMANENT);
    assert_int_equal(error.reason, GRI_R_not_found);
}

static void catalogs_are_paged_newest_first(void **state) {
    (void)state;
    char ids[5][GRI_CATALOG_ID_MAX];
    int seen = 0;
    for (int i = 0; i < 5; i++) {
        char name[8];
        assert_true(gri_format(name, sizeof name, "c%d", i));
        assert_false(push_catalog(name, 1, false, ids[i]));
        usleep(2000);
    }
    struct gri_filter filter = {.limit = 2};
    bool more = true;
    while (more) {
        struct gri_json *out = NULL;
        ASK(world.archive->ops->catalogs(world.archive, &filter, &out, why));
        const struct gri_json *list = gri_json_get(out, "catalogs");
        for (size_t i = 0; i < gri_json_count(list); i++) {
            assert_string_equal(gri_json_str(gri_json_at(list, i), "id", ""), ids[4 - seen]);
            assert_int_equal(gri_json_get_int(gri_json_get(gri_json_at(list, i), "counts"), "lines", 0), 2);
            seen++;
        }
        more = keep_cursor(out);
        filter.cursor = next_cursor;
        gri_json_free(out);
        assert_true(seen <= 5);
    }
    assert_int_equal(seen, 5);
    struct gri_error error = {0};
    struct gri_json *out = NULL;
    filter.cursor = "nonsense";
    assert_int_equal(world.archive->ops->catalogs(world.archive, &filter, &out, &error), GRI_PERMANENT);
    assert_int_equal(error.reason, GRI_R_bad_request);
}

static void records_come_in_the_order_asked_for(void **state) {
    (void)state;
    char id[GRI_CATALOG_ID_MAX], keys[4][GRI_KEY_MAX];
    struct gri_json *out = NULL;
    assert_false(push_catalog("a", 1, false, id));
    admit_line(id, 1, 1, GRI_ADMITTED);
    admit_line(id, 2, 2, GRI_ADMITTED);
    finish_url(2, 0, false);
    mongo_world_key(keys[0], 2);
    mongo_world_key(keys[1], 9);
    mongo_world_key(keys[2], 1);
    mongo_world_key(keys[3], 2);
    ASK(world.archive->ops->urls(world.archive, (const char(*)[GRI_KEY_MAX])keys, 4, &out, why));
    assert_int_equal(gri_json_count(out), 4);
    const struct gri_json *dead = gri_json_at(out, 0), *queued = gri_json_at(out, 2);
    assert_string_equal(gri_json_str(dead, "key", ""), keys[0]);
    assert_string_equal(gri_json_str(dead, "state", ""), "dead");
    assert_string_equal(gri_json_str(gri_json_get(dead, "error"), "reason", ""), "http_4xx");
    assert_int_equal(gri_json_kind(gri_json_at(out, 1)), GRI_JSON_NULL);
    assert_string_equal(gri_json_str(queued, "state", ""), "queued");
    assert_string_equal(gri_json_str(gri_json_get(queued, "first"), "catalog", ""), id);
    assert_int_equal(gri_json_get_int(gri_json_get(queued, "first"), "line", 0), 1);
    assert_int_equal(gri_json_kind(gri_json_get(queued, "images")), GRI_JSON_ARRAY);
    assert_false(gri_json_get_bool(queued, "made", true));
    assert_string_equal(gri_json_str(gri_json_at(out, 3), "state", ""), "dead");
    gri_json_free(out);
    ASK(world.archive->ops->url_records(world.archive, "https://a.test/2", &out, why));
    assert_int_equal(gri_json_count(out), 1);
    gri_json_free(out);
    ASK(world.archive->ops->urls(world.archive, NULL, 0, &out, why));
    assert_int_equal(gri_json_count(out), 0);
    gri_json_free(out);
}

static void an_image_is_found_by_each_of_its_hashes_with_its_urls(void **state) {
    (void)state;
    char id[GRI_CATALOG_ID_MAX], image[GRI_IMAGE_ID_MAX], sum[80];
    assert_false(push_catalog("a", 1, false, id));
    admit_line(id, 1, 1, GRI_ADMITTED);
    admit_line(id, 2, 2, GRI_ADMITTED);
    insert_image(50, 1, "a.test", 1790000000123);
    finish_url(1, 50, true);
    finish_url(2, 50, false);
    image_id(image, 50);
    for (unsigned part = 0; part < 3; part++) {
        struct gri_json *out = NULL;
        assert_true(gri_format(sum, sizeof sum, "%064x", 50 + part * 0x10000));
        ASK(world.archive->ops->images_by_hash(world.archive, sum, &out, why));
        assert_int_equal(gri_json_count(out), 1);
        const struct gri_json *found = gri_json_at(out, 0), *urls = gri_json_get(found, "urls");
        assert_string_equal(gri_json_str(found, "id", ""), image);
        assert_string_equal(gri_json_str(found, "inserted_at", ""), "2026-09-21T14:13:20.123Z");
        assert_null(gri_json_get(found, "data"));
        assert_int_equal(gri_json_count(urls), 2);
        assert_string_equal(gri_json_str(gri_json_get(gri_json_at(urls, 0), "first"), "catalog", ""), id);
        gri_json_free(out);
    }
    struct gri_json *meta = NULL, *none = NULL;
    struct gri_bytes base64;
    struct gri_error error = {0};
    gri_bytes_init(&base64, 0);
    assert_int_equal(world.archive->ops->image(world.archive, image, &meta, &base64, &error), GRI_OK);
    assert_string_equal(gri_bytes_text(&base64), "QUJD");
    assert_int_equal(gri_json_get_int(meta, "width", 0), 3);
    gri_json_free(meta);
    assert_int_equal(world.archive->ops->image(world.archive, "none", &meta, &base64, &error), GRI_PERMANENT);
    assert_int_equal(error.reason, GRI_R_not_found);
    gri_bytes_clear(&base64);
    ASK(world.archive->ops->images_by_hash(world.archive, "none", &none, why));
    assert_int_equal(gri_json_count(none), 0);
    gri_json_free(none);
}

/* Images on all pages of this filter; each page's "next" is followed. */
static int count_images(struct gri_filter filter, const char *first_id) {
    int seen = 0;
    for (int page = 0; page < 20; page++) {
        struct gri_json *out = NULL;
        ASK(world.archive->ops->images(world.archive, &filter, &out, why));
        const struct gri_json *list = gri_json_get(out, "images");
        if (page == 0 && first_id) assert_string_equal(gri_json_str(gri_json_at(list, 0), "id", ""), first_id);
        seen += (int)gri_json_count(list);
        bool more = keep_cursor(out);
        filter.cursor = next_cursor;
        gri_json_free(out);
        if (!more) return seen;
    }
    fail_msg("the pages do not end");
    return -1;
}

static void images_are_listed_by_time_host_and_catalog(void **state) {
    (void)state;
    char id[GRI_CATALOG_ID_MAX], newest[GRI_IMAGE_ID_MAX];
    assert_false(push_catalog("a", 5, false, id));
    for (unsigned i = 1; i <= 7; i++)
        insert_image(i, i, i <= 4 ? "a.test" : "b.test", 1790000000000 + (i / 2) * 1000);
    for (unsigned i = 1; i <= 3; i++) {
        admit_line(id, i, i, GRI_ADMITTED);
        finish_url(i, i, true);
    }
    admit_line(id, 4, 4, GRI_ADMITTED);
    finish_url(4, 2, false);
    image_id(newest, 7);
    assert_int_equal(count_images((struct gri_filter){.limit = 2}, newest), 7);
    assert_int_equal(count_images((struct gri_filter){.limit = 100, .host = "b.test"}, newest), 3);
    assert_int_equal(count_images((struct gri_filter){.limit = 1, .since_ms = 1790000002000}, newest), 4);
    assert_int_equal(count_images((struct gri_filter){.limit = 1, .until_ms = 1790000002000}, NULL), 3);
    image_id(newest, 2); /* linked last */
    assert_int_equal(count_images((struct gri_filter){.limit = 100, .catalog = id}, newest), 3);
    assert_int_equal(count_images((struct gri_filter){.limit = 100, .catalog = id, .host = "b.test"}, NULL), 0);
    assert_int_equal(count_images((struct gri_filter){.limit = 100, .catalog = "none"}, NULL), 0);
}

static int count_events(struct gri_filter filter, const char *key) {
    int seen = 0;
    for (int page = 0; page < 20; page++) {
        struct gri_json *out = NULL;
        ASK(world.archive->ops->events(world.archive, key, &filter, &out, why));
        seen += (int)gri_json_count(gri_json_get(out, "events"));
        bool more = keep_cursor(out);
        filter.cursor = next_cursor;
        gri_json_free(out);
        if (!more) return seen;
    }
    fail_msg("the pages do not end");
    return -1;
}

static void events_are_searched_and_paged(void **state) {
    (void)state;
    struct gri_event events[9];
    char key[GRI_KEY_MAX];
    mongo_world_key(key, 1);
    for (int i = 0; i < 9; i++) {
        events[i] = (struct gri_event){.level = GRI_WARN,
                                       .event = "attempt_failed",
                                       .host = i < 4 ? "a.test" : "b.test",
                                       .reason = i % 2 ? GRI_R_dns : GRI_R_timeout,
                                       .key = i == 5 ? key : NULL,
                                       .detail = i == 8 ? "no such host (NXDOMAIN)" : "slow"};
    }
    struct gri_ledger_events request = {.events = events, .count = 9};
    assert_int_equal(MONGO_RUN(&world, ledger, events, &request), GRI_OK);
    /* They are acknowledged by the primary alone, and read with majority: a moment later. */
    for (int i = 0; i < 100 && count_events((struct gri_filter){.limit = 100}, NULL) < 9; i++)
        usleep(20000);
    assert_int_equal(count_events((struct gri_filter){.limit = 2}, NULL), 9);
    assert_int_equal(count_events((struct gri_filter){.limit = 2, .host = "a.test"}, NULL), 4);
    assert_int_equal(count_events((struct gri_filter){.limit = 100, .reason = "dns", .host = "a.test"}, NULL), 2);
    assert_int_equal(count_events((struct gri_filter){.limit = 100, .match = "NX[A-Z]+\\)$"}, NULL), 1);
    assert_int_equal(count_events((struct gri_filter){.limit = 100}, key), 1);
    assert_int_equal(count_events((struct gri_filter){.limit = 100, .until_ms = 1000}, NULL), 0);
    struct gri_error error = {0};
    struct gri_json *out = NULL;
    struct gri_filter bad = {.limit = 1, .match = "(("};
    assert_int_equal(world.archive->ops->events(world.archive, NULL, &bad, &out, &error), GRI_PERMANENT);
    assert_int_equal(error.reason, GRI_R_bad_request);
}

static void totals_tell_every_state(void **state) {
    (void)state;
    char id[GRI_CATALOG_ID_MAX];
    struct gri_json *out = NULL;
    assert_false(push_catalog("a", 2, false, id));
    for (unsigned i = 1; i <= 4; i++)
        admit_line(id, i, i, GRI_ADMITTED);
    insert_image(50, 1, "a.test", 1790000000000);
    finish_url(1, 50, true);
    finish_url(2, 0, false);
    struct gri_finish wait = {.kind = GRI_FINISH_WAIT, .run = 1};
    struct gri_ledger_finish finish = {.items = &wait, .count = 1};
    mongo_world_key(wait.key, 3);
    assert_int_equal(MONGO_RUN(&world, ledger, finish, &finish), GRI_OK);
    usleep(30000);
    ASK(world.archive->ops->totals(world.archive, &out, why));
    const struct gri_json *urls = gri_json_get(out, "urls");
    assert_int_equal(gri_json_get_int(urls, "queued", -1), 1);
    assert_int_equal(gri_json_get_int(urls, "waiting", -1), 1);
    assert_int_equal(gri_json_get_int(urls, "done", -1), 1);
    assert_int_equal(gri_json_get_int(urls, "dead", -1), 1);
    assert_int_equal(gri_json_get_int(out, "images", -1), 1);
    assert_int_equal(gri_json_get_int(gri_json_get(out, "catalogs"), "running", -1), 1);
    assert_int_equal(gri_json_get_int(gri_json_get(out, "catalogs"), "finished", -1), 0);
    assert_true(gri_json_get_int(out, "oldest_waiting_ms", -1) >= 30);
    gri_json_free(out);
}

static void filters_of_nonsense_find_nothing(void **state) {
    (void)state;
    struct gri_error error = {0};
    struct gri_json *out = NULL;
    static const char *const NONSENSE[] = {"", "\xff\xfe", "{\"$ne\":1}", "$where", "\x01"};
    for (size_t i = 0; i < sizeof NONSENSE / sizeof *NONSENSE; i++) {
        struct gri_filter filter = {
            .catalog = NONSENSE[i], .host = NONSENSE[i], .reason = NONSENSE[i], .state = NONSENSE[i], .limit = 1};
        assert_int_not_equal(world.archive->ops->catalog(world.archive, NONSENSE[i], &out, &error), GRI_OK);
        if (world.archive->ops->images(world.archive, &filter, &out, &error) == GRI_OK) gri_json_free(out);
        if (world.archive->ops->events(world.archive, NONSENSE[i], &filter, &out, &error) == GRI_OK) gri_json_free(out);
        if (world.archive->ops->catalogs(world.archive, &filter, &out, &error) == GRI_OK) gri_json_free(out);
        if (world.archive->ops->url_records(world.archive, NONSENSE[i], &out, &error) == GRI_OK) {
            assert_int_equal(gri_json_count(out), 0);
            gri_json_free(out);
        }
    }
    ASK(world.archive->ops->ping(world.archive, why));
}

/* --- cost ------------------------------------------------------------------------------------------------------------- */

/* Documents read by what the adapter asked of `collection` by the index `hint` since the profiler was switched on. */
static int64_t examined(const char *collection, const char *hint) {
    char filter[256];
    assert_true(gri_format(filter, sizeof filter, "{\"appName\":\"grisaille\",\"ns\":\"%s.%s\",\"command.hint\":\"%s\"}",
                           world.database, collection, hint));
    bson_t *entry = mongo_world_find(&world, "system.profile", filter);
    if (!entry) fail_msg("no query of %s by %s", collection, hint);
    int64_t count = mongo_world_number(entry, "docsExamined");
    assert_false(mongo_world_has(entry, "hasSortStage"));
    bson_destroy(entry);
    return count;
}

static void what_is_asked_often_is_answered_by_indexes(void **state) {
    (void)state;
    char id[GRI_CATALOG_ID_MAX];
    assert_false(push_catalog("a", 6, false, id));
    for (unsigned i = 1; i <= 10; i++)
        admit_line(id, i, i, GRI_ADMITTED);
    struct gri_finish wait = {.kind = GRI_FINISH_WAIT, .run = 1, .delay_ms = 60000};
    struct gri_ledger_finish finish = {.items = &wait, .count = 1};
    for (unsigned i = 1; i <= 6; i++) {
        mongo_world_key(wait.key, i);
        assert_int_equal(MONGO_RUN(&world, ledger, finish, &finish), GRI_OK);
    }
    bson_destroy(mongo_world_command(&world, world.database, "{\"profile\":2}"));
    struct gri_ledger_feed feed = {.catalog_limit = 10, .chunk_limit = 3, .open_limit = 1000};
    struct gri_ledger_gauges gauges = {0};
    struct gri_ledger_accounted accounted = {.catalog = id, .first = 1, .last = 12};
    static const char *const SKIP[] = {"a.test"};
    struct gri_ledger_due due = {.limit = 3, .skip_hosts = SKIP, .skip_count = 1};
    assert_int_equal(MONGO_RUN(&world, ledger, due, &due), GRI_OK);
    assert_int_equal(examined("urls", "waiting"), 0); /* the hosts left out are not read */
    bson_destroy(mongo_world_command(&world, world.database, "{\"profile\":0}"));
    bson_destroy(mongo_world_command(&world, world.database, "{\"drop\":\"system.profile\"}"));
    bson_destroy(mongo_world_command(&world, world.database, "{\"profile\":2}"));
    assert_int_equal(MONGO_RUN(&world, ledger, feed, &feed), GRI_OK);
    assert_int_equal(MONGO_RUN(&world, ledger, gauges, &gauges), GRI_OK);
    assert_int_equal(MONGO_RUN(&world, ledger, accounted, &accounted), GRI_OK);
    assert_int_equal(feed.catalogs[0].open, 10);
    assert_int_equal(gauges.waiting, 6);
    assert_int_equal(accounted.count, 10);
    gri_json_free(get_catalog(id));
    bson_destroy(mongo_world_command(&world, world.database, "{\"profile\":0}"));
    assert_int_equal(examined("urls", "catalog_state"), 0);
    assert_int_equal(examined("urls", "catalog_line"), 0);
    assert_int_equal(examined("urls", "waiting"), 0);
    assert_int_equal(examined("urls", "queued"), 0);
    assert_int_equal(examined("catalog_chunks", "pending"), 0);
    assert_int_equal(examined("catalog_errors", "_id_"), 0);
    bson_destroy(mongo_world_command(&world, world.database, "{\"drop\":\"system.profile\"}"));
    gri_feed_catalogs_free(feed.catalogs, feed.count);
    free(accounted.lines);
}

int main(void) {
#define ARCHIVE_TEST(name) cmocka_unit_test_setup(name, fresh)
    const struct CMUnitTest tests[] = {
        ARCHIVE_TEST(a_pushed_catalog_is_there_with_all_its_chunks),
        ARCHIVE_TEST(the_same_content_pushed_again_is_the_first_catalog),
        ARCHIVE_TEST(of_equal_pushes_at_once_one_makes_the_catalog),
        ARCHIVE_TEST(an_aborted_push_leaves_nothing),
        ARCHIVE_TEST(a_push_whose_beginning_was_given_up_fails),
        ARCHIVE_TEST(a_commit_of_unknown_outcome_keeps_the_chunks),
        ARCHIVE_TEST(the_feeder_sees_unfinished_catalogs_oldest_first_with_their_next_chunks),
        ARCHIVE_TEST(a_chunk_comes_with_what_judges_it),
        ARCHIVE_TEST(counts_add_up_and_a_catalog_finishes_once_nothing_is_pending),
        ARCHIVE_TEST(a_finished_catalog_is_counted_again_after_a_change),
        ARCHIVE_TEST(an_empty_catalog_finishes_at_once),
        ARCHIVE_TEST(pushing_a_known_catalog_with_retry_dead_gives_its_dead_another_life),
        ARCHIVE_TEST(raw_chunks_and_lines_are_found),
        ARCHIVE_TEST(rejected_lines_are_paged_by_line),
        ARCHIVE_TEST(catalogs_are_paged_newest_first),
        ARCHIVE_TEST(records_come_in_the_order_asked_for),
        ARCHIVE_TEST(an_image_is_found_by_each_of_its_hashes_with_its_urls),
        ARCHIVE_TEST(images_are_listed_by_time_host_and_catalog),
        ARCHIVE_TEST(events_are_searched_and_paged),
        ARCHIVE_TEST(totals_tell_every_state),
        ARCHIVE_TEST(filters_of_nonsense_find_nothing),
        ARCHIVE_TEST(what_is_asked_often_is_answered_by_indexes),
    };
    if (!mongo_world_start(&world)) {
        fputs("no mongod: set GRISAILLE_MONGOD\n", stderr);
        return 77;
    }
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    mongo_world_stop(&world);
    return failures;
}
