/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger on a real MongoDB: admission, hand-out, outcomes, and what concurrent and failing callers get. */
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
#define CATALOG_A "aaaaaaaaaaaaaaaaaaaaaaaa"
#define CATALOG_B "bbbbbbbbbbbbbbbbbbbbbbbb"

enum { ADMIT_MAX = 600 };

static struct mongo_world world;

/* An admission of `count` URLs numbered from `from`; line numbers the same, from 1. */
struct admission {
    struct gri_ledger_admit request;
    struct gri_admit urls[ADMIT_MAX];
    enum gri_admitted results[ADMIT_MAX];
    int64_t runs[ADMIT_MAX];
    char texts[ADMIT_MAX][64];
};

static struct admission *admission_of(const char *catalog, unsigned from, size_t count) {
    struct admission *admission = gri_calloc(1, sizeof *admission);
    admission->request = (struct gri_ledger_admit){
        .catalog = catalog, .urls = admission->urls, .count = count, .results = admission->results, .runs = admission->runs};
    for (size_t i = 0; i < count; i++) {
        struct gri_admit *url = &admission->urls[i];
        mongo_world_key(url->job.key, from + (unsigned)i);
        assert_true(gri_format(admission->texts[i], sizeof admission->texts[i], "https://host%u.test/%u",
                               (from + (unsigned)i) % 3, from + (unsigned)i));
        assert_true(gri_copy(url->job.pipeline, sizeof url->job.pipeline, PIPELINE));
        assert_true(gri_format(url->host, sizeof url->host, "host%u.test", (from + (unsigned)i) % 3));
        url->job.url = admission->texts[i];
        url->job.run = 1;
        url->line = from + (unsigned)i + 1;
    }
    return admission;
}

static void admit(const char *catalog, unsigned from, size_t count) {
    struct admission *admission = admission_of(catalog, from, count);
    assert_int_equal(MONGO_RUN(&world, ledger, admit, &admission->request), GRI_OK);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(admission->results[i], GRI_ADMITTED);
    free(admission);
}

static bson_t *record(unsigned number) {
    char key[GRI_KEY_MAX], filter[128];
    mongo_world_key(key, number);
    assert_true(gri_format(filter, sizeof filter, "{\"_id\":\"%s\"}", key));
    return mongo_world_find(&world, "urls", filter);
}

static void update_record(unsigned number, const char *change) {
    char key[GRI_KEY_MAX], filter[128];
    mongo_world_key(key, number);
    assert_true(gri_format(filter, sizeof filter, "{\"_id\":\"%s\"}", key));
    mongo_world_update(&world, "urls", filter, change);
}

static int fresh(void **state) {
    (void)state;
    mongo_world_fresh(&world);
    return 0;
}

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
    assert_true(mongo_world_has(indexes, "cursor.firstBatch.8")); /* _id and eight more */
    assert_false(mongo_world_has(indexes, "cursor.firstBatch.9"));
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

/* --- outcomes ------------------------------------------------------------------------------------------------------- */

static struct gri_finish finish_of(enum gri_finish_kind kind, unsigned number, int64_t run) {
    struct gri_finish item = {.kind = kind, .run = run};
    mongo_world_key(item.key, number);
    assert_true(gri_copy(item.pipeline, sizeof item.pipeline, PIPELINE));
    assert_true(gri_format(item.image, sizeof item.image, "%064x:" PIPELINE, number + 1000));
    if (kind != GRI_FINISH_DONE) (void)!gri_fail(&item.error, GRI_R_http_5xx, "$detail of %u", number);
    return item;
}

static void finish(struct gri_finish *items, size_t count) {
    struct gri_ledger_finish request = {.items = items, .count = count};
    assert_int_equal(MONGO_RUN(&world, ledger, finish, &request), GRI_OK);
}

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

int main(void) {
#define LEDGER_TEST(name) cmocka_unit_test_setup(name, fresh)
    const struct CMUnitTest tests[] = {
        LEDGER_TEST(preparing_again_and_at_once_is_harmless),
        LEDGER_TEST(events_keep_the_age_of_the_last_start),
        LEDGER_TEST(a_newer_database_is_refused),
        LEDGER_TEST(a_bad_uri_is_a_configuration_error),
        LEDGER_TEST(a_url_is_admitted_once),
        LEDGER_TEST(of_equal_urls_in_one_batch_one_is_admitted),
        LEDGER_TEST(a_line_has_one_record_whatever_its_key),
        LEDGER_TEST(schedulers_that_race_admit_each_url_once),
        LEDGER_TEST(a_known_url_of_another_catalog_is_shared),
        LEDGER_TEST(bare_urls_have_no_first_line_and_do_not_collide),
        LEDGER_TEST(text_that_looks_like_an_operator_stays_text),
        LEDGER_TEST(the_cancelled_are_revived_and_other_dead_only_when_asked),
        LEDGER_TEST(rejected_lines_are_kept_once_cut_and_accounted_for),
        LEDGER_TEST(a_bare_entry_is_quarantined_as_it_was),
        LEDGER_TEST(a_definition_is_found_or_permanently_not),
        LEDGER_TEST(a_lease_has_one_holder_until_it_expires_or_is_given_back),
        LEDGER_TEST(of_many_that_ask_for_a_new_lease_one_gets_it),
        LEDGER_TEST(outcomes_are_written_with_the_servers_time),
        LEDGER_TEST(a_worker_that_woke_late_changes_nothing),
        LEDGER_TEST(done_wins_over_waiting_and_dead),
        LEDGER_TEST(an_image_made_for_a_job_that_another_finished_is_linked_too),
        LEDGER_TEST(another_pipelines_version_is_not_finished),
        LEDGER_TEST(a_link_to_a_takedown_is_done_and_says_so),
        LEDGER_TEST(check_answers_in_the_order_of_the_keys),
        LEDGER_TEST(what_is_due_is_queued_with_the_next_run),
        LEDGER_TEST(the_stale_are_paged_by_age),
        LEDGER_TEST(events_and_gauges_are_written_and_counted),
        LEDGER_TEST(a_write_that_no_majority_confirmed_is_unknown),
        LEDGER_TEST(a_lost_connection_is_retried_once_and_then_unknown),
        LEDGER_TEST(a_refused_write_is_retried_without_doubt),
        LEDGER_TEST(a_full_queue_answers_retry_later),
        LEDGER_TEST(a_server_that_is_away_is_told_in_bounded_time),
    };
    if (!mongo_world_start(&world)) {
        fputs("no mongod: set GRISAILLE_MONGOD\n", stderr);
        return 77;
    }
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    mongo_world_stop(&world);
    return failures;
}
