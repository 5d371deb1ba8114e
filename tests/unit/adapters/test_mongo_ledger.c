/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger on a real MongoDB: schema, admission, leases, and what concurrent and failing callers get. */
#include "mongo_steps.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* --- schema --------------------------------------------------------------------------------------------------------- */

static void *prepare_on_thread(void *arg) {
    struct gri_error error = {0};
    struct gri_archive *archive = arg;
    return archive->ops->prepare(archive, &error) == GRI_OK ? arg : NULL;
}

static void preparing_again_and_at_once_is_harmless(void **state) {
    (void)state;
    enum { AT_ONCE = 4 };
    pthread_t threads[AT_ONCE];
    struct gri_error error = {0};
    struct gri_mongo *mongo = NULL;
    struct gri_mongo_options options = {.uri = world.uri, .database = "fresh", .keep_days = 3};
    assert_int_equal(gri_mongo_create(&options, NULL, NULL, &mongo, &error), GRI_OK);
    for (int i = 0; i < AT_ONCE; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, prepare_on_thread, gri_mongo_archive(mongo)), 0);
    for (int i = 0; i < AT_ONCE; i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        assert_non_null(result);
    }
    assert_non_null(prepare_on_thread(gri_mongo_archive(mongo)));
    gri_mongo_destroy(mongo);
    bson_t *indexes = mongo_world_command(&world, "fresh", "{\"listIndexes\":\"urls\"}");
    assert_true(mongo_world_has(indexes, "cursor.firstBatch.15")); /* _id and fifteen more */
    assert_false(mongo_world_has(indexes, "cursor.firstBatch.16"));
    bson_destroy(indexes);
    bson_t *schema = mongo_world_find(&world, "meta", "{\"_id\":\"schema\"}");
    assert_int_equal(mongo_world_number(schema, "version"), 1);
    bson_destroy(schema);
}

static void events_keep_the_age_of_the_last_start(void **state) {
    (void)state;
    struct gri_error error = {0};
    struct gri_mongo *mongo = NULL;
    struct gri_mongo_options options = {.uri = world.uri, .database = world.database, .keep_days = 3};
    assert_int_equal(gri_mongo_create(&options, NULL, NULL, &mongo, &error), GRI_OK);
    struct gri_archive *archive = gri_mongo_archive(mongo);
    assert_int_equal(archive->ops->prepare(archive, &error), GRI_OK);
    gri_mongo_destroy(mongo);
    bson_t *indexes = mongo_world_command(&world, world.database, "{\"listIndexes\":\"events\"}");
    bool seen = false;
    for (int i = 0; i < 10; i++) {
        char path[64];
        assert_true(gri_format(path, sizeof path, "cursor.firstBatch.%d.expireAfterSeconds", i));
        if (mongo_world_has(indexes, path)) seen = mongo_world_number(indexes, path) == 3 * 86400;
    }
    assert_true(seen);
    bson_destroy(indexes);
}

static void a_newer_database_is_refused(void **state) {
    (void)state;
    struct gri_error error = {0};
    mongo_world_update(&world, "meta", "{\"_id\":\"schema\"}", "{\"$set\":{\"version\":2}}");
    assert_int_equal(world.archive->ops->prepare(world.archive, &error), GRI_FATAL);
    assert_int_equal(error.reason, GRI_R_config);
    assert_non_null(strstr(error.detail, "version 2"));
}

static void a_bad_uri_is_a_configuration_error(void **state) {
    (void)state;
    struct gri_error error = {0};
    struct gri_mongo *mongo = NULL;
    struct gri_mongo_options options = {.uri = "redis://127.0.0.1", .database = "x"};
    assert_int_equal(gri_mongo_create(&options, NULL, NULL, &mongo, &error), GRI_FATAL);
    assert_int_equal(error.reason, GRI_R_config);
    assert_null(mongo);
    options.uri = "mongodb://user:se/cret@127.0.0.1/";
    assert_int_equal(gri_mongo_create(&options, NULL, NULL, &mongo, &error), GRI_FATAL);
    assert_null(strstr(error.detail, "cret"));
}

/* --- admission ------------------------------------------------------------------------------------------------------ */

static void a_url_is_admitted_once(void **state) {
    (void)state;
    struct admission *first = admission_of(CATALOG_A, 0, 500), *second = admission_of(CATALOG_A, 0, 500);
    assert_int_equal(MONGO_RUN(&world, ledger, admit, &first->request), GRI_OK);
    assert_int_equal(MONGO_RUN(&world, ledger, admit, &second->request), GRI_OK);
    for (int i = 0; i < 500; i++) {
        assert_int_equal(first->results[i], GRI_ADMITTED);
        assert_int_equal(first->runs[i], 1);
        assert_int_equal(second->results[i], GRI_KNOWN);
    }
    bson_t *found = record(7);
    assert_string_equal(mongo_world_text(found, "state"), "queued");
    assert_string_equal(mongo_world_text(found, "url"), "https://host1.test/7");
    assert_string_equal(mongo_world_text(found, "host"), "host1.test");
    assert_string_equal(mongo_world_text(found, "pipeline"), PIPELINE);
    assert_string_equal(mongo_world_text(found, "first.catalog"), CATALOG_A);
    assert_int_equal(mongo_world_number(found, "first.line"), 8);
    assert_int_equal(mongo_world_number(found, "run"), 1);
    assert_int_equal(mongo_world_number(found, "attempts"), 0);
    assert_true(mongo_world_number(found, "queued_at") > 1700000000000);
    assert_false(mongo_world_has(found, "shared"));
    bson_destroy(found);
    free(first);
    free(second);
}

static void of_equal_urls_in_one_batch_one_is_admitted(void **state) {
    (void)state;
    struct admission *admission = admission_of(CATALOG_A, 0, 2);
    mongo_world_key(admission->urls[1].job.key, 0);
    assert_int_equal(MONGO_RUN(&world, ledger, admit, &admission->request), GRI_OK);
    assert_int_equal((admission->results[0] == GRI_ADMITTED) + (admission->results[1] == GRI_ADMITTED), 1);
    assert_int_equal(mongo_world_count(&world, "urls", "{}"), 1);
    free(admission);
}

static void a_line_has_one_record_whatever_its_key(void **state) {
    (void)state;
    admit(CATALOG_A, 0, 3);
    struct admission *again = admission_of(CATALOG_A, 100, 1);
    again->urls[0].line = 2; /* line 2 has its record under another key */
    assert_int_equal(MONGO_RUN(&world, ledger, admit, &again->request), GRI_OK);
    assert_int_equal(again->results[0], GRI_KNOWN);
    assert_int_equal(mongo_world_count(&world, "urls", "{}"), 3);
    free(again);
}

static void schedulers_that_race_admit_each_url_once(void **state) {
    (void)state;
    enum { RACERS = 4, URLS = 200 };
    struct admission *racers[RACERS];
    int admitted[URLS] = {0};
    for (int r = 0; r < RACERS; r++) {
        racers[r] = admission_of(r % 2 ? CATALOG_A : CATALOG_B, 0, URLS);
        mongo_world_arm(&racers[r]->request.op);
        world.ledger->ops->admit(world.ledger, &racers[r]->request);
    }
    for (int r = 0; r < RACERS; r++) {
        assert_int_equal(mongo_world_wait(&world, &racers[r]->request.op), GRI_OK);
        for (int i = 0; i < URLS; i++)
            admitted[i] += racers[r]->results[i] == GRI_ADMITTED;
        free(racers[r]);
    }
    for (int i = 0; i < URLS; i++)
        assert_int_equal(admitted[i], 1);
    assert_int_equal(mongo_world_count(&world, "urls", "{}"), URLS);
    /* Both catalogs asked for every one of them. */
    assert_int_equal(mongo_world_count(&world, "urls", "{\"shared\":true}"), URLS);
}

static void a_known_url_of_another_catalog_is_shared(void **state) {
    (void)state;
    admit(CATALOG_A, 0, 4);
    struct admission *other = admission_of(CATALOG_B, 2, 4), *bare = admission_of(NULL, 0, 1);
    assert_int_equal(MONGO_RUN(&world, ledger, admit, &other->request), GRI_OK);
    assert_int_equal(other->results[0], GRI_KNOWN);
    assert_int_equal(other->results[2], GRI_ADMITTED);
    assert_int_equal(mongo_world_count(&world, "urls", "{\"shared\":true}"), 2);
    bson_t *found = record(2);
    assert_string_equal(mongo_world_text(found, "first.catalog"), CATALOG_A);
    bson_destroy(found);
    assert_int_equal(MONGO_RUN(&world, ledger, admit, &bare->request), GRI_OK);
    assert_int_equal(bare->results[0], GRI_KNOWN);
    assert_int_equal(mongo_world_count(&world, "urls", "{\"shared\":true}"), 3);
    free(other);
    free(bare);
}

static void bare_urls_have_no_first_line_and_do_not_collide(void **state) {
    (void)state;
    struct admission *bare = admission_of(NULL, 0, 5);
    for (int i = 0; i < 5; i++)
        bare->urls[i].line = 0;
    assert_int_equal(MONGO_RUN(&world, ledger, admit, &bare->request), GRI_OK);
    for (int i = 0; i < 5; i++)
        assert_int_equal(bare->results[i], GRI_ADMITTED);
    assert_int_equal(mongo_world_count(&world, "urls", "{\"first\":{\"$exists\":false}}"), 5);
    free(bare);
}

static void text_that_looks_like_an_operator_stays_text(void **state) {
    (void)state;
    struct admission *admission = admission_of(CATALOG_A, 0, 1);
    char url[] = "$$ROOT";
    admission->urls[0].job.url = url;
    assert_int_equal(MONGO_RUN(&world, ledger, admit, &admission->request), GRI_OK);
    bson_t *found = record(0);
    assert_string_equal(mongo_world_text(found, "url"), "$$ROOT");
    bson_destroy(found);
    free(admission);
}

static void the_cancelled_are_revived_and_other_dead_only_when_asked(void **state) {
    (void)state;
    admit(CATALOG_A, 0, 4);
    update_record(0, "{\"$set\":{\"state\":\"dead\",\"run\":5,\"attempts\":8,\"error\":{\"reason\":\"cancelled\"}}}");
    update_record(1, "{\"$set\":{\"state\":\"dead\",\"error\":{\"reason\":\"http_4xx\"}}}");
    update_record(2, "{\"$set\":{\"state\":\"dead\",\"error\":{\"reason\":\"removed\"}}}");
    struct admission *other = admission_of(CATALOG_B, 0, 4);
    assert_true(gri_copy(other->urls[0].job.pipeline, sizeof other->urls[0].job.pipeline, "gray@ffffffffffff"));
    assert_int_equal(MONGO_RUN(&world, ledger, admit, &other->request), GRI_OK);
    assert_int_equal(other->results[0], GRI_REVIVED);
    assert_int_equal(other->runs[0], 6);
    for (int i = 1; i < 4; i++)
        assert_int_equal(other->results[i], GRI_KNOWN);
    bson_t *found = record(0);
    assert_string_equal(mongo_world_text(found, "state"), "queued");
    assert_string_equal(mongo_world_text(found, "pipeline"), "gray@ffffffffffff");
    assert_string_equal(mongo_world_text(found, "first.catalog"), CATALOG_A);
    assert_int_equal(mongo_world_number(found, "run"), 6);
    assert_int_equal(mongo_world_number(found, "attempts"), 0);
    assert_false(mongo_world_has(found, "error"));
    bson_destroy(found);
    other->request.revive_dead = true;
    assert_int_equal(MONGO_RUN(&world, ledger, admit, &other->request), GRI_OK);
    assert_int_equal(other->results[0], GRI_KNOWN);
    assert_int_equal(other->results[1], GRI_REVIVED);
    assert_int_equal(other->runs[1], 2);
    assert_int_equal(other->results[2], GRI_KNOWN); /* a takedown stays */
    free(other);
}

static void rejected_lines_are_kept_once_cut_and_accounted_for(void **state) {
    (void)state;
    char big[GRI_LINE_KEEP + 9];
    memset(big, 'x', sizeof big);
    memcpy(big + GRI_LINE_KEEP - 1, "\xc3\xa9", 2); /* a character across the cut */
    struct gri_line_error errors[] = {
        {.line = 4, .text = gri_slice_of("ftp://x"), .reason = GRI_R_bad_scheme, .detail = "rule"},
        {.line = 9, .text = {(const uint8_t *)"a\xff\0b", 4}, .reason = GRI_R_not_text},
        {.line = 10, .text = {(const uint8_t *)big, sizeof big}, .reason = GRI_R_too_long},
    };
    struct gri_ledger_reject request = {.catalog = CATALOG_A, .errors = errors, .count = 3};
    assert_int_equal(MONGO_RUN(&world, ledger, reject, &request), GRI_OK);
    assert_int_equal(MONGO_RUN(&world, ledger, reject, &request), GRI_OK);
    assert_int_equal(mongo_world_count(&world, "catalog_errors", "{}"), 3);
    bson_t *binary = mongo_world_find(&world, "catalog_errors", "{\"line\":9}");
    assert_true(mongo_world_has(binary, "text"));
    assert_string_equal(mongo_world_text(binary, "text"), ""); /* no text: binary */
    bson_destroy(binary);
    bson_t *found = mongo_world_find(&world, "catalog_errors", "{\"line\":10}");
    assert_int_equal(strlen(mongo_world_text(found, "text")), GRI_LINE_KEEP - 1);
    bson_destroy(found);
    admit(CATALOG_A, 4, 3); /* lines 5, 6, 7 */
    struct gri_ledger_accounted accounted = {.catalog = CATALOG_A, .first = 4, .last = 9};
    assert_int_equal(MONGO_RUN(&world, ledger, accounted, &accounted), GRI_OK);
    const int64_t expected[] = {4, 5, 6, 7, 9};
    assert_int_equal(accounted.count, 5);
    assert_memory_equal(accounted.lines, expected, sizeof expected);
    free(accounted.lines);
    accounted.catalog = CATALOG_B;
    assert_int_equal(MONGO_RUN(&world, ledger, accounted, &accounted), GRI_OK);
    assert_int_equal(accounted.count, 0);
    free(accounted.lines);
}

static void a_bare_entry_is_quarantined_as_it_was(void **state) {
    (void)state;
    struct gri_ledger_quarantine request = {
        .entry_id = "1-2", .text = {(const uint8_t *)"\x80", 1}, .reason = GRI_R_poison, .detail = "six times"};
    assert_int_equal(MONGO_RUN(&world, ledger, quarantine, &request), GRI_OK);
    assert_int_equal(MONGO_RUN(&world, ledger, quarantine, &request), GRI_OK);
    bson_t *found = mongo_world_find(&world, "quarantine", "{\"_id\":\"entry:1-2\"}");
    assert_string_equal(mongo_world_text(found, "reason"), "poison");
    assert_true(mongo_world_number(found, "at") > 0);
    bson_destroy(found);
}

static void a_definition_is_found_or_permanently_not(void **state) {
    (void)state;
    struct gri_error error = {0};
    struct gri_ledger_definition request = {.kind = GRI_DEF_PIPELINE, .id = PIPELINE};
    gri_bytes_init(&request.body, 0);
    assert_int_equal(MONGO_RUN(&world, ledger, definition, &request), GRI_PERMANENT);
    assert_int_equal(request.op.error.reason, GRI_R_no_pipeline);
    assert_int_equal(
        world.archive->ops->put_definition(world.archive, GRI_DEF_PIPELINE, PIPELINE, gri_slice_of("{\"a\":1}"), &error), GRI_OK);
    assert_int_equal(
        world.archive->ops->put_definition(world.archive, GRI_DEF_PIPELINE, PIPELINE, gri_slice_of("{\"b\":1}"), &error), GRI_OK);
    assert_int_equal(MONGO_RUN(&world, ledger, definition, &request), GRI_OK);
    assert_string_equal(gri_bytes_text(&request.body), "{\"a\":1}");
    gri_bytes_clear(&request.body);
}

/* --- leases --------------------------------------------------------------------------------------------------------- */

static bool take_lease(const char *holder, int64_t ttl_ms) {
    struct gri_ledger_lease request = {.name = "feeder", .holder = holder, .ttl_ms = ttl_ms};
    assert_int_equal(MONGO_RUN(&world, ledger, lease, &request), GRI_OK);
    return request.held;
}

static void a_lease_has_one_holder_until_it_expires_or_is_given_back(void **state) {
    (void)state;
    assert_true(take_lease("a", 60000));
    assert_false(take_lease("b", 60000));
    assert_true(take_lease("a", 100));
    usleep(150000);
    assert_true(take_lease("b", 60000));
    assert_false(take_lease("a", 60000));
    assert_false(take_lease("b", 0));
    assert_true(take_lease("a", 60000));
}

static void of_many_that_ask_for_a_new_lease_one_gets_it(void **state) {
    (void)state;
    static const char *const HOLDERS[] = {"a", "b", "c", "$holder"};
    struct gri_ledger_lease requests[4];
    int held = 0;
    for (int i = 0; i < 4; i++) {
        requests[i] = (struct gri_ledger_lease){.name = "sweeper", .holder = HOLDERS[i], .ttl_ms = 60000};
        mongo_world_arm(&requests[i].op);
        world.ledger->ops->lease(world.ledger, &requests[i]);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(mongo_world_wait(&world, &requests[i].op), GRI_OK);
        held += requests[i].held;
    }
    assert_int_equal(held, 1);
}

/* --- failures ------------------------------------------------------------------------------------------------------- */

static void a_write_that_no_majority_confirmed_is_unknown(void **state) {
    (void)state;
    struct admission *admission = admission_of(CATALOG_A, 0, 3);
    mongo_world_fail(
        &world, 1, "[\"update\"]",
        "\"appName\":\"grisaille\",\"writeConcernError\":{\"code\":64,\"errmsg\":\"waiting for replication timed out\"}");
    assert_int_equal(MONGO_RUN(&world, ledger, admit, &admission->request), GRI_RETRY);
    assert_true(admission->request.op.error.unknown);
    assert_int_equal(admission->request.op.error.reason, GRI_R_store);
    assert_int_equal(MONGO_RUN(&world, ledger, admit, &admission->request), GRI_OK);
    assert_int_equal(admission->results[0], GRI_KNOWN); /* it was done */
    free(admission);
}

static void a_lost_connection_is_retried_once_and_then_unknown(void **state) {
    (void)state;
    struct admission *admission = admission_of(CATALOG_A, 0, 3);
    mongo_world_fail(&world, 1, "[\"update\"]", "\"appName\":\"grisaille\",\"closeConnection\":true");
    assert_int_equal(MONGO_RUN(&world, ledger, admit, &admission->request), GRI_OK);
    assert_int_equal(admission->results[0], GRI_ADMITTED);
    mongo_world_fail(&world, 2, "[\"update\"]", "\"appName\":\"grisaille\",\"closeConnection\":true");
    assert_int_equal(MONGO_RUN(&world, ledger, admit, &admission->request), GRI_RETRY);
    assert_true(admission->request.op.error.unknown);
    free(admission);
}

static void a_refused_write_is_retried_without_doubt(void **state) {
    (void)state;
    struct admission *admission = admission_of(CATALOG_A, 0, 3);
    mongo_world_fail(&world, 1, "[\"find\"]", "\"appName\":\"grisaille\",\"errorCode\":13");
    struct gri_ledger_accounted request = {.catalog = CATALOG_A, .first = 1, .last = 9};
    assert_int_equal(MONGO_RUN(&world, ledger, accounted, &request), GRI_RETRY);
    assert_false(request.op.error.unknown);
    free(admission);
}

static bool refuse(struct gri_executor *executor, struct gri_task *task) {
    (void)executor;
    (void)task;
    return false;
}

static void a_full_queue_answers_retry_later(void **state) {
    (void)state;
    struct gri_executor full = {.submit = refuse};
    struct gri_mongo *mongo = mongo_world_open(&world, &full, 5000);
    struct gri_ledger *ledger = gri_mongo_ledger(mongo);
    struct gri_ledger_gauges request = {0};
    mongo_world_arm(&request.op);
    ledger->ops->gauges(ledger, &request);
    assert_int_equal(mongo_world_wait(&world, &request.op), GRI_RETRY);
    assert_int_equal(request.op.error.reason, GRI_R_store);
    assert_false(request.op.error.unknown);
    gri_mongo_destroy(mongo);
}

static void a_server_that_is_away_is_told_in_bounded_time(void **state) {
    (void)state;
    struct gri_error error = {0};
    struct gri_mongo *mongo = NULL;
    struct gri_mongo_options options = {.uri = "mongodb://127.0.0.1:1/", .database = "x", .timeout_ms = 300};
    assert_int_equal(gri_mongo_create(&options, NULL, NULL, &mongo, &error), GRI_OK);
    struct gri_archive *archive = gri_mongo_archive(mongo);
    assert_int_equal(archive->ops->ping(archive, &error), GRI_RETRY);
    assert_int_equal(error.reason, GRI_R_unavailable);
    gri_mongo_destroy(mongo);
}

static int all_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(preparing_again_and_at_once_is_harmless, fresh),
        cmocka_unit_test_setup(events_keep_the_age_of_the_last_start, fresh),
        cmocka_unit_test_setup(a_newer_database_is_refused, fresh),
        cmocka_unit_test_setup(a_bad_uri_is_a_configuration_error, fresh),
        cmocka_unit_test_setup(a_url_is_admitted_once, fresh),
        cmocka_unit_test_setup(of_equal_urls_in_one_batch_one_is_admitted, fresh),
        cmocka_unit_test_setup(a_line_has_one_record_whatever_its_key, fresh),
        cmocka_unit_test_setup(schedulers_that_race_admit_each_url_once, fresh),
        cmocka_unit_test_setup(a_known_url_of_another_catalog_is_shared, fresh),
        cmocka_unit_test_setup(bare_urls_have_no_first_line_and_do_not_collide, fresh),
        cmocka_unit_test_setup(text_that_looks_like_an_operator_stays_text, fresh),
        cmocka_unit_test_setup(the_cancelled_are_revived_and_other_dead_only_when_asked, fresh),
        cmocka_unit_test_setup(rejected_lines_are_kept_once_cut_and_accounted_for, fresh),
        cmocka_unit_test_setup(a_bare_entry_is_quarantined_as_it_was, fresh),
        cmocka_unit_test_setup(a_definition_is_found_or_permanently_not, fresh),
        cmocka_unit_test_setup(a_lease_has_one_holder_until_it_expires_or_is_given_back, fresh),
        cmocka_unit_test_setup(of_many_that_ask_for_a_new_lease_one_gets_it, fresh),
        cmocka_unit_test_setup(a_write_that_no_majority_confirmed_is_unknown, fresh),
        cmocka_unit_test_setup(a_lost_connection_is_retried_once_and_then_unknown, fresh),
        cmocka_unit_test_setup(a_refused_write_is_retried_without_doubt, fresh),
        cmocka_unit_test_setup(a_full_queue_answers_retry_later, fresh),
        cmocka_unit_test_setup(a_server_that_is_away_is_told_in_bounded_time, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void) {
    return run_on_mongod(all_tests);
}
