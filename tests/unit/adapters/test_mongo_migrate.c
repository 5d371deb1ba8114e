/* SPDX-License-Identifier: Apache-2.0 */
/* Schema versions on a real MongoDB: an older database is brought forward once, a newer one is left alone. The table of
 * migrations is the test's own; what a step did is counted in the database, as two processes would see it. */
#include "mongo_migrate.h"
#include "mongo_world.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static struct mongo_world world;

static void pause_ms(long ms) {
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

/* Counts its runs, slowly, so that two that ran at once would be seen. */
static enum gri_status count_run(struct gri_mongo_migrator *migrator, const char *name, struct gri_error *error) {
    pause_ms(150);
    return gri_mongo_update_one(migrator->session, GRI_MONGO_QUARANTINE, BCON_NEW("_id", BCON_UTF8(name)),
                                BCON_NEW("$inc", "{", "runs", BCON_INT32(1), "}"), true, NULL, NULL, error);
}

static enum gri_status split(struct gri_mongo_migrator *migrator, struct gri_error *error) {
    return count_run(migrator, "split", error);
}

static enum gri_status join(struct gri_mongo_migrator *migrator, struct gri_error *error) {
    return count_run(migrator, "join", error);
}

static enum gri_status cut_off(struct gri_mongo_migrator *migrator, struct gri_error *error) {
    enum gri_status status = count_run(migrator, "cut", error);
    return status == GRI_OK ? gri_fail(error, GRI_R_store, "no answer") : status;
}

static const struct gri_mongo_migration STEPS[] = {{1, "split the names", split}, {2, "join the hosts", join}};
static const struct gri_mongo_schema THREE = {.version = 3, .migrations = STEPS, .count = 2};

static enum gri_status migrate(const struct gri_mongo_schema *schema, struct gri_error *error) {
    struct gri_mongo_session session;
    assert_int_equal(gri_mongo_session_open(world.mongo, &session, error), GRI_OK);
    enum gri_status status = gri_mongo_migrate(&session, schema, error);
    gri_mongo_session_close(&session);
    return status;
}

static int64_t number(const char *collection, const char *id, const char *field) {
    char filter[80];
    assert_true(gri_format(filter, sizeof filter, "{\"_id\":\"%s\"}", id));
    bson_t *found = mongo_world_find(&world, collection, filter);
    int64_t value = found ? mongo_world_number(found, field) : 0;
    bson_destroy(found);
    return value;
}

static void at_version(int version) {
    char change[60];
    assert_true(gri_format(change, sizeof change, "{\"$set\":{\"version\":%d}}", version));
    mongo_world_update(&world, "meta", "{\"_id\":\"schema\"}", change);
}

static void assert_runs(int64_t splits, int64_t joins) {
    assert_int_equal(number("quarantine", "split", "runs"), splits);
    assert_int_equal(number("quarantine", "join", "runs"), joins);
}

static void forget_version(void) {
    bson_t *gone = mongo_world_command(&world, world.database, "{\"delete\":\"meta\",\"deletes\":[{\"q\":{},\"limit\":0}]}");
    bson_destroy(gone);
}

/* --- tests ----------------------------------------------------------------------------------------------------------- */

static void each_step_runs_once_and_in_turn(void **state) {
    (void)state;
    struct gri_error error = {0};
    at_version(1);
    assert_int_equal(migrate(&THREE, &error), GRI_OK);
    assert_int_equal(number("meta", "schema", "version"), 3);
    assert_runs(1, 1);
    assert_int_equal(migrate(&THREE, &error), GRI_OK);
    assert_runs(1, 1);
}

static void a_step_behind_the_database_is_left_out(void **state) {
    (void)state;
    struct gri_error error = {0};
    at_version(2);
    assert_int_equal(migrate(&THREE, &error), GRI_OK);
    assert_int_equal(number("meta", "schema", "version"), 3);
    assert_runs(0, 1);
}

static void *migrate_on_thread(void *arg) {
    struct gri_mongo_session session;
    struct gri_error error = {0};
    enum gri_status status = GRI_RETRY;
    for (int tries = 0; tries < 100 && status == GRI_RETRY; tries++) {
        if (tries > 0) pause_ms(20);
        if (gri_mongo_session_open(arg, &session, &error) != GRI_OK) return NULL;
        status = gri_mongo_migrate(&session, &THREE, &error);
        gri_mongo_session_close(&session);
    }
    return status == GRI_OK ? arg : NULL;
}

static void of_several_processes_one_migrates_and_the_others_wait(void **state) {
    (void)state;
    enum { RACERS = 4 };
    pthread_t threads[RACERS];
    struct gri_mongo *racers[RACERS];
    at_version(1);
    for (int i = 0; i < RACERS; i++)
        racers[i] = mongo_world_open(&world, world.executor, 5000);
    for (int i = 0; i < RACERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, migrate_on_thread, racers[i]), 0);
    for (int i = 0; i < RACERS; i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        assert_non_null(result);
    }
    for (int i = 0; i < RACERS; i++)
        gri_mongo_destroy(racers[i]);
    assert_int_equal(number("meta", "schema", "version"), 3);
    assert_runs(1, 1);
}

static void a_step_that_failed_is_begun_again(void **state) {
    (void)state;
    static const struct gri_mongo_migration BROKEN[] = {{1, "split the names", split}, {2, "cut", cut_off}};
    static const struct gri_mongo_schema WITH_BROKEN = {.version = 3, .migrations = BROKEN, .count = 2};
    struct gri_error error = {0};
    at_version(1);
    assert_int_equal(migrate(&WITH_BROKEN, &error), GRI_RETRY);
    assert_non_null(strstr(error.detail, "version 2 to 3 (cut)"));
    assert_int_equal(number("meta", "schema", "version"), 2);
    assert_int_equal(migrate(&THREE, &error), GRI_OK);
    assert_int_equal(number("meta", "schema", "version"), 3);
    assert_runs(1, 1);
}

static void who_lost_the_lease_writes_no_version(void **state) {
    (void)state;
    struct gri_error error = {0};
    struct gri_mongo_session session;
    at_version(1);
    mongo_world_insert(&world, "leases", "{\"_id\":\"migration\",\"holder\":\"another\",\"until\":{\"$date\":4102444800000}}");
    assert_int_equal(migrate(&THREE, &error), GRI_RETRY);
    assert_non_null(strstr(error.detail, "another process"));
    assert_int_equal(gri_mongo_session_open(world.mongo, &session, &error), GRI_OK);
    struct gri_mongo_migrator late = {.session = &session, .holder = "late"};
    assert_int_equal(gri_mongo_migration_hold(&late, &error), GRI_RETRY);
    gri_mongo_session_close(&session);
    assert_int_equal(number("meta", "schema", "version"), 1);
    assert_runs(0, 0);
}

static void a_newer_database_is_left_alone(void **state) {
    (void)state;
    struct gri_error error = {0};
    at_version(4);
    assert_int_equal(migrate(&THREE, &error), GRI_FATAL);
    assert_int_equal(error.reason, GRI_R_config);
    assert_non_null(strstr(error.detail, "schema version 4, this program knows 3"));
    assert_int_equal(number("meta", "schema", "version"), 4);
    assert_runs(0, 0);
}

static void one_too_old_is_refused(void **state) {
    (void)state;
    static const struct gri_mongo_schema GAP = {.version = 3, .migrations = STEPS + 1, .count = 1};
    struct gri_error error = {0};
    at_version(1);
    assert_int_equal(migrate(&GAP, &error), GRI_FATAL);
    assert_int_equal(error.reason, GRI_R_config);
    assert_non_null(strstr(error.detail, "can't bring"));
}

static void an_empty_database_is_new_at_once(void **state) {
    (void)state;
    struct gri_error error = {0};
    forget_version();
    assert_int_equal(migrate(&THREE, &error), GRI_OK);
    assert_int_equal(number("meta", "schema", "version"), 3);
    assert_runs(0, 0);
}

static void data_without_a_version_are_of_the_first(void **state) {
    (void)state;
    struct gri_error error = {0};
    forget_version();
    mongo_world_insert(&world, "urls", "{\"_id\":\"x\",\"state\":\"done\"}");
    assert_int_equal(migrate(&THREE, &error), GRI_OK);
    assert_int_equal(number("meta", "schema", "version"), 3);
    assert_runs(1, 1);
}

static int stop(void **state) {
    (void)state;
    mongo_world_stop(&world);
    return 0;
}

static int fresh(void **state) {
    (void)state;
    mongo_world_fresh(&world);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_step_runs_once_and_in_turn, fresh),
        cmocka_unit_test_setup(a_step_behind_the_database_is_left_out, fresh),
        cmocka_unit_test_setup(of_several_processes_one_migrates_and_the_others_wait, fresh),
        cmocka_unit_test_setup(a_step_that_failed_is_begun_again, fresh),
        cmocka_unit_test_setup(who_lost_the_lease_writes_no_version, fresh),
        cmocka_unit_test_setup(a_newer_database_is_left_alone, fresh),
        cmocka_unit_test_setup(one_too_old_is_refused, fresh),
        cmocka_unit_test_setup(an_empty_database_is_new_at_once, fresh),
        cmocka_unit_test_setup(data_without_a_version_are_of_the_first, fresh),
    };
    if (!mongo_world_start(&world)) return 77;
    int failed = cmocka_run_group_tests(tests, NULL, stop);
    return failed;
}
