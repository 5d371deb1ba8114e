/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger on a real MongoDB: what becomes of a job, what is handed out again, events. */
#include "mongo_steps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* --- outcomes ------------------------------------------------------------------------------------------------------- */

static void outcomes_are_written_with_the_servers_time(void **state) {
    (void)state;
    admit(CATALOG_A, 0, 4);
    struct gri_finish items[] = {finish_of(GRI_FINISH_DONE, 0, 1), finish_of(GRI_FINISH_WAIT, 1, 1),
                                 finish_of(GRI_FINISH_WAIT, 2, 1), finish_of(GRI_FINISH_DEAD, 3, 1)};
    items[0].made = true;
    items[1].delay_ms = 90000;
    items[1].charge = true;
    items[2].limited = true;
    finish(items, 4);
    for (int i = 0; i < 4; i++)
        assert_true(items[i].applied);
    bson_t *done = record(0), *wait = record(1), *limited = record(2), *dead = record(3);
    assert_string_equal(mongo_world_text(done, "state"), "done");
    assert_string_equal(mongo_world_text(done, "images.0"), items[0].image);
    assert_int_equal(mongo_world_number(done, "made"), 1);
    assert_true(mongo_world_number(done, "done_at") > 0);
    assert_string_equal(mongo_world_text(wait, "state"), "waiting");
    assert_int_equal(mongo_world_number(wait, "attempts"), 1);
    assert_int_equal(mongo_world_number(wait, "next_at") - mongo_world_number(wait, "changed_at"), 90000);
    assert_string_equal(mongo_world_text(wait, "error.reason"), "http_5xx");
    assert_string_equal(mongo_world_text(wait, "error.class"), "retry");
    assert_string_equal(mongo_world_text(wait, "error.detail"), "$detail of 1");
    assert_false(mongo_world_has(wait, "limited_at"));
    assert_int_equal(mongo_world_number(limited, "attempts"), 0);
    assert_int_equal(mongo_world_number(limited, "limited_at"), mongo_world_number(limited, "changed_at"));
    assert_string_equal(mongo_world_text(dead, "state"), "dead");
    assert_true(mongo_world_number(dead, "done_at") > 0);
    bson_destroy(done);
    bson_destroy(wait);
    bson_destroy(limited);
    bson_destroy(dead);
}

static void a_worker_that_woke_late_changes_nothing(void **state) {
    (void)state;
    admit(CATALOG_A, 0, 3);
    update_record(0, "{\"$set\":{\"run\":2}}");
    struct gri_finish items[] = {finish_of(GRI_FINISH_DEAD, 0, 1), finish_of(GRI_FINISH_WAIT, 1, 1),
                                 finish_of(GRI_FINISH_DONE, 2, 1)};
    finish(items, 3);
    assert_false(items[0].applied);
    assert_true(items[1].applied && items[2].applied);
    finish(items, 3);
    for (int i = 0; i < 3; i++)
        assert_false(items[i].applied);
    bson_t *found = record(0);
    assert_string_equal(mongo_world_text(found, "state"), "queued");
    bson_destroy(found);
    found = record(2);
    assert_true(mongo_world_has(found, "images.0"));
    assert_false(mongo_world_has(found, "images.1"));
    bson_destroy(found);
}

static void done_wins_over_waiting_and_dead(void **state) {
    (void)state;
    admit(CATALOG_A, 0, 1);
    struct gri_finish dead = finish_of(GRI_FINISH_DEAD, 0, 1), done = finish_of(GRI_FINISH_DONE, 0, 1);
    finish(&dead, 1);
    finish(&done, 1);
    assert_true(done.applied);
    bson_t *found = record(0);
    assert_string_equal(mongo_world_text(found, "state"), "done");
    assert_false(mongo_world_has(found, "error"));
    bson_destroy(found);
}

static void an_image_made_for_a_job_that_another_finished_is_linked_too(void **state) {
    (void)state;
    admit(CATALOG_A, 0, 2);
    struct gri_finish other = finish_of(GRI_FINISH_DONE, 0, 1), own = finish_of(GRI_FINISH_DONE, 0, 1),
                      mate = finish_of(GRI_FINISH_DONE, 1, 1);
    finish(&other, 1);
    own.made = true;
    assert_true(gri_format(own.image, sizeof own.image, "%064x:" PIPELINE, 77u));
    struct gri_finish items[] = {own, mate};
    finish(items, 2);
    assert_false(items[0].applied);
    assert_true(items[1].applied);
    bson_t *found = record(0);
    assert_string_equal(mongo_world_text(found, "images.0"), other.image);
    assert_string_equal(mongo_world_text(found, "images.1"), own.image);
    assert_int_equal(mongo_world_number(found, "made"), 1);
    bson_destroy(found);
    finish(items, 2);
    found = record(0);
    assert_false(mongo_world_has(found, "images.2"));
    bson_destroy(found);
}

static void another_pipelines_version_is_not_finished(void **state) {
    (void)state;
    admit(CATALOG_A, 0, 1);
    struct gri_finish item = finish_of(GRI_FINISH_DONE, 0, 1);
    assert_true(gri_copy(item.pipeline, sizeof item.pipeline, "gray@ffffffffffff"));
    finish(&item, 1);
    assert_false(item.applied);
    bson_t *found = record(0);
    assert_string_equal(mongo_world_text(found, "state"), "queued");
    bson_destroy(found);
}

static void a_link_to_a_takedown_is_done_and_says_so(void **state) {
    (void)state;
    admit(CATALOG_A, 0, 1);
    struct gri_finish item = finish_of(GRI_FINISH_DONE, 0, 1);
    item.removed = true;
    finish(&item, 1);
    bson_t *found = record(0);
    assert_string_equal(mongo_world_text(found, "state"), "done");
    assert_string_equal(mongo_world_text(found, "error.reason"), "removed");
    bson_destroy(found);
}

static void check_answers_in_the_order_of_the_keys(void **state) {
    (void)state;
    char keys[4][GRI_KEY_MAX];
    struct gri_url_record records[4];
    admit(CATALOG_A, 0, 3);
    struct gri_finish limited = finish_of(GRI_FINISH_WAIT, 1, 1);
    limited.limited = limited.charge = true;
    finish(&limited, 1);
    usleep(20000);
    mongo_world_key(keys[0], 2);
    mongo_world_key(keys[1], 99);
    mongo_world_key(keys[2], 1);
    mongo_world_key(keys[3], 2);
    struct gri_ledger_check request = {.keys = (const char(*)[GRI_KEY_MAX])keys, .count = 4, .records = records};
    assert_int_equal(MONGO_RUN(&world, ledger, check, &request), GRI_OK);
    assert_int_equal(records[0].state, GRI_URL_QUEUED);
    assert_string_equal(records[0].catalog, CATALOG_A);
    assert_string_equal(records[0].pipeline, PIPELINE);
    assert_int_equal(records[0].limited_ms, 0);
    assert_true(records[0].age_ms >= 20 && records[0].age_ms < 60000);
    assert_int_equal(records[1].state, GRI_URL_ABSENT);
    assert_int_equal(records[2].state, GRI_URL_WAITING);
    assert_int_equal(records[2].attempts, 1);
    assert_true(records[2].limited_ms >= 20 && records[2].limited_ms < 60000);
    assert_int_equal(records[3].run, 1);
}

/* --- hand-out ------------------------------------------------------------------------------------------------------- */

static void make_wait(unsigned number, int64_t delay_ms) {
    struct gri_finish item = finish_of(GRI_FINISH_WAIT, number, 1);
    item.delay_ms = delay_ms;
    finish(&item, 1);
    assert_true(item.applied);
}

static void what_is_due_is_queued_with_the_next_run(void **state) {
    (void)state;
    admit(CATALOG_A, 0, 6); /* hosts 0, 1, 2, 0, 1, 2 */
    struct gri_ledger_due request = {.limit = 10};
    assert_int_equal(MONGO_RUN(&world, ledger, due, &request), GRI_OK);
    assert_int_equal(request.count, 0);
    assert_int_equal(request.next_ms, -1);
    make_wait(0, 0);
    make_wait(1, 0);
    make_wait(2, 60000);
    usleep(5000);
    static const char *const SKIP[] = {"host1.test"};
    request.skip_hosts = SKIP;
    request.skip_count = 1;
    assert_int_equal(MONGO_RUN(&world, ledger, due, &request), GRI_OK);
    assert_int_equal(request.count, 1);
    assert_int_equal(request.due[0].job.run, 2);
    assert_string_equal(request.due[0].host, "host0.test");
    assert_string_equal(request.due[0].job.url, "https://host0.test/0");
    assert_true(request.next_ms > 50000 && request.next_ms <= 60000);
    gri_due_free(request.due, request.count);
    bson_t *found = record(0);
    assert_string_equal(mongo_world_text(found, "state"), "queued");
    assert_int_equal(mongo_world_number(found, "run"), 2);
    assert_false(mongo_world_has(found, "next_at"));
    bson_destroy(found);
    request.skip_count = 0;
    request.limit = 1;
    make_wait(3, 0);
    assert_int_equal(MONGO_RUN(&world, ledger, due, &request), GRI_OK);
    assert_int_equal(request.count, 1);
    assert_string_equal(request.due[0].host, "host1.test"); /* the oldest first */
    assert_int_equal(request.next_ms, 0);
    gri_due_free(request.due, request.count);
}

static void the_stale_are_paged_by_age(void **state) {
    (void)state;
    size_t seen = 0;
    admit(CATALOG_A, 0, 25);
    struct gri_ledger_stale request = {.min_age_ms = 60000, .limit = 10, .after = ""};
    assert_int_equal(MONGO_RUN(&world, ledger, stale, &request), GRI_OK);
    assert_int_equal(request.count, 0);
    assert_string_equal(request.cursor, "");
    mongo_world_update(&world, "urls", "{}", "[{\"$set\":{\"queued_at\":{\"$subtract\":[\"$queued_at\",120000]}}}]");
    admit(CATALOG_A, 25, 5); /* young */
    char after[sizeof request.cursor] = "";
    for (int page = 0; page < 4; page++) {
        request.after = after;
        assert_int_equal(MONGO_RUN(&world, ledger, stale, &request), GRI_OK);
        for (size_t i = 0; i < request.count; i++)
            assert_true(request.due[i].queued_ms >= 120000);
        seen += request.count;
        gri_due_free(request.due, request.count);
        if (!request.cursor[0]) break;
        assert_true(gri_copy(after, sizeof after, request.cursor));
    }
    assert_int_equal(seen, 25);
    assert_string_equal(request.cursor, "");
    request.after = "";
    request.min_age_ms = 0;
    request.limit = 100;
    assert_int_equal(MONGO_RUN(&world, ledger, stale, &request), GRI_OK);
    assert_int_equal(request.count, 30);
    gri_due_free(request.due, request.count);
}

static void events_and_gauges_are_written_and_counted(void **state) {
    (void)state;
    struct gri_event events[] = {{.level = GRI_WARN,
                                  .event = "attempt_failed",
                                  .host = "a.test",
                                  .detail = "bad \xff byte",
                                  .reason = GRI_R_dns,
                                  .attempt = 2,
                                  .ms = 7},
                                 {.level = GRI_ERROR, .event = "dead_letter", .catalog = CATALOG_A, .key = ""}};
    struct gri_ledger_events request = {.events = events, .count = 2};
    assert_int_equal(MONGO_RUN(&world, ledger, events, &request), GRI_OK);
    bson_t *found = mongo_world_find(&world, "events", "{\"reason\":\"dns\"}");
    assert_string_equal(mongo_world_text(found, "level"), "warn");
    assert_string_equal(mongo_world_text(found, "detail"), "bad ? byte");
    assert_int_equal(mongo_world_number(found, "attempt"), 2);
    assert_false(mongo_world_has(found, "catalog"));
    bson_destroy(found);
    admit(CATALOG_A, 0, 5);
    make_wait(1, 1000);
    struct gri_ledger_gauges gauges = {0};
    assert_int_equal(MONGO_RUN(&world, ledger, gauges, &gauges), GRI_OK);
    assert_int_equal(gauges.queued, 4);
    assert_int_equal(gauges.waiting, 1);
    assert_int_equal(gauges.catalogs, 0);
}

static int all_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(outcomes_are_written_with_the_servers_time, fresh),
        cmocka_unit_test_setup(a_worker_that_woke_late_changes_nothing, fresh),
        cmocka_unit_test_setup(done_wins_over_waiting_and_dead, fresh),
        cmocka_unit_test_setup(an_image_made_for_a_job_that_another_finished_is_linked_too, fresh),
        cmocka_unit_test_setup(another_pipelines_version_is_not_finished, fresh),
        cmocka_unit_test_setup(a_link_to_a_takedown_is_done_and_says_so, fresh),
        cmocka_unit_test_setup(check_answers_in_the_order_of_the_keys, fresh),
        cmocka_unit_test_setup(what_is_due_is_queued_with_the_next_run, fresh),
        cmocka_unit_test_setup(the_stale_are_paged_by_age, fresh),
        cmocka_unit_test_setup(events_and_gauges_are_written_and_counted, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void) {
    return run_on_mongod(all_tests);
}
