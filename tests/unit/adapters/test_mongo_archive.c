/* SPDX-License-Identifier: Apache-2.0 */
/* The archive on a real MongoDB: every list that people ask for, and what it costs the server. */
#include "mongo_steps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

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

static int all_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(rejected_lines_are_paged_by_line, fresh),
        cmocka_unit_test_setup(catalogs_are_paged_newest_first, fresh),
        cmocka_unit_test_setup(records_come_in_the_order_asked_for, fresh),
        cmocka_unit_test_setup(an_image_is_found_by_each_of_its_hashes_with_its_urls, fresh),
        cmocka_unit_test_setup(images_are_listed_by_time_host_and_catalog, fresh),
        cmocka_unit_test_setup(events_are_searched_and_paged, fresh),
        cmocka_unit_test_setup(totals_tell_every_state, fresh),
        cmocka_unit_test_setup(filters_of_nonsense_find_nothing, fresh),
        cmocka_unit_test_setup(what_is_asked_often_is_answered_by_indexes, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void) {
    return run_on_mongod(all_tests);
}
