/* SPDX-License-Identifier: Apache-2.0 */
/* The store port against a real mongod: outputs of one run are stored together or not at all, whatever stands in the way. */
#include "mongo_steps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { OUTPUTS = 3, SETS_MAX = 8 };

static const char *const names[OUTPUTS] = {"gray", "large", "thumb"};

static struct gri_image *output_of(unsigned content, unsigned job, int output, size_t size) {
    struct gri_image *image = gri_calloc(1, sizeof *image);
    struct gri_error error;
    assert_true(gri_format(image->sums.source, sizeof image->sums.source, "%064x", content));
    assert_true(gri_format(image->sums.output, sizeof image->sums.output, "%063x%d", content, output));
    mongo_world_key(image->job, job);
    assert_true(gri_copy(image->pipeline, sizeof image->pipeline, PIPELINE));
    assert_true(gri_copy(image->output, sizeof image->output, names[output]));
    image->inserted_at_ms = 1500000000000;
    gri_image_set_id(image);
    gri_bytes_init(&image->data, 64 * 1024 * 1024);
    assert_int_equal(gri_bytes_reserve(&image->data, size, &error), GRI_OK);
    memset(image->data.data, 'Q', size);
    image->data.len = size;
    image->data.data[size] = '\0';
    return image;
}

static void id_of(char id[GRI_IMAGE_ID_MAX], unsigned content, int output) {
    assert_true(gri_format(id, GRI_IMAGE_ID_MAX, "%064x:" PIPELINE "/%s", content, names[output]));
}

struct sets {
    struct gri_store_insert request;
    struct gri_image_insert items[SETS_MAX * OUTPUTS];
    struct gri_image *images[SETS_MAX * OUTPUTS];
};

/* Of (content, job) pairs. */
static struct sets *sets_of(const unsigned (*pairs)[2], size_t count, size_t size) {
    struct sets *sets = gri_calloc(1, sizeof *sets);
    for (size_t i = 0; i < count; i++)
        for (int k = 0; k < OUTPUTS; k++) {
            size_t at = i * OUTPUTS + (size_t)k;
            sets->images[at] = output_of(pairs[i][0], pairs[i][1], k, size);
            sets->items[at] = (struct gri_image_insert){.image = sets->images[at], .joined = k > 0};
        }
    sets->request = (struct gri_store_insert){.items = sets->items, .count = count * OUTPUTS};
    return sets;
}

static void sets_free(struct sets *sets) {
    for (size_t i = 0; i < SETS_MAX * OUTPUTS && sets->images[i]; i++) {
        gri_image_clear(sets->images[i]);
        free(sets->images[i]);
    }
    free(sets);
}

static struct sets *insert(const unsigned (*pairs)[2], size_t count) {
    struct sets *sets = sets_of(pairs, count, 1000);
    assert_int_equal(MONGO_RUN(&world, store, insert, &sets->request), GRI_OK);
    return sets;
}

static void expect_set(const struct sets *sets, size_t set, enum gri_inserted result, bool own, unsigned content) {
    for (int k = 0; k < OUTPUTS; k++) {
        const struct gri_image_insert *item = &sets->items[set * OUTPUTS + (size_t)k];
        char id[GRI_IMAGE_ID_MAX];
        id_of(id, content, k);
        assert_int_equal(item->result, result);
        assert_int_equal(item->own, own);
        assert_string_equal(item->found_id, id);
    }
}

static void remove_output(unsigned content, int output) {
    char id[GRI_IMAGE_ID_MAX], command[400];
    id_of(id, content, output);
    assert_true(
        gri_format(command, sizeof command, "{\"delete\":\"images\",\"deletes\":[{\"q\":{\"_id\":\"%s\"},\"limit\":1}]}", id));
    bson_destroy(mongo_world_command(&world, world.database, command));
}

static void sets_and_single_images_go_in_together(void **state) {
    (void)state;
    const unsigned pairs[][2] = {{1, 11}, {2, 12}};
    struct sets *sets = sets_of(pairs, 2, 1000);
    struct gri_image *single = output_of(3, 13, 0, 10);
    single->output[0] = '\0';
    gri_image_set_id(single);
    memmove(&sets->items[4], &sets->items[3], 3 * sizeof sets->items[0]);
    sets->items[3] = (struct gri_image_insert){.image = single};
    sets->request.count++;
    assert_int_equal(MONGO_RUN(&world, store, insert, &sets->request), GRI_OK);
    for (size_t i = 0; i < sets->request.count; i++)
        assert_int_equal(sets->items[i].result, GRI_INSERTED);
    assert_int_equal(mongo_world_count(&world, "images", "{}"), 7);
    assert_int_equal(mongo_world_count(&world, "images", "{\"output\":\"thumb\"}"), 2);
    gri_image_clear(single);
    free(single);
    sets_free(sets);
}

static void the_same_bytes_are_stored_once(void **state) {
    (void)state;
    const unsigned first[][2] = {{1, 11}}, more[][2] = {{1, 12}, {2, 13}, {1, 11}};
    sets_free(insert(first, 1));
    struct sets *sets = insert(more, 3);
    expect_set(sets, 0, GRI_SAME_CONTENT, false, 1);
    expect_set(sets, 1, GRI_INSERTED, false, 2);
    expect_set(sets, 2, GRI_SAME_CONTENT, true, 1);
    assert_int_equal(mongo_world_count(&world, "images", "{}"), 6);
    sets_free(sets);
}

static void a_job_that_stored_other_bytes_before_is_led_to_all_of_them(void **state) {
    (void)state;
    const unsigned first[][2] = {{1, 11}}, again[][2] = {{3, 11}};
    sets_free(insert(first, 1));
    struct sets *sets = insert(again, 1);
    expect_set(sets, 0, GRI_SAME_JOB, true, 1);
    assert_int_equal(mongo_world_count(&world, "images", "{}"), 3);
    sets_free(sets);
}

static void of_a_set_that_was_deleted_in_part_the_missing_are_stored(void **state) {
    (void)state;
    const unsigned first[][2] = {{1, 11}}, other[][2] = {{1, 12}};
    sets_free(insert(first, 1));
    remove_output(1, 1);
    struct sets *sets = insert(other, 1);
    assert_int_equal(sets->items[0].result, GRI_SAME_CONTENT);
    assert_int_equal(sets->items[1].result, GRI_INSERTED);
    assert_int_equal(sets->items[2].result, GRI_SAME_CONTENT);
    assert_int_equal(mongo_world_count(&world, "images", "{}"), 3);
    sets_free(sets);
}

/* The rest of what the job stored before is on its way out: neither set can be linked whole now. */
static void where_the_jobs_other_set_is_not_whole_nothing_is_stored(void **state) {
    (void)state;
    const unsigned first[][2] = {{1, 11}}, again[][2] = {{3, 11}};
    sets_free(insert(first, 1));
    remove_output(1, 0);
    struct sets *sets = insert(again, 1);
    for (int k = 0; k < OUTPUTS; k++) {
        assert_int_equal(sets->items[k].result, GRI_NOT_INSERTED);
        assert_int_equal(sets->items[k].error.status, GRI_RETRY);
    }
    assert_int_equal(mongo_world_count(&world, "images", "{}"), 2);
    sets_free(sets);
}

static void one_that_is_too_large_keeps_its_mates_out(void **state) {
    (void)state;
    const unsigned pairs[][2] = {{1, 11}, {2, 12}};
    struct sets *sets = sets_of(pairs, 2, 1000);
    struct gri_image *big = output_of(1, 11, 2, (size_t)GRI_BASE64_MAX + 1);
    sets->items[2].image = big;
    assert_int_equal(MONGO_RUN(&world, store, insert, &sets->request), GRI_OK);
    for (int k = 0; k < OUTPUTS; k++) {
        assert_int_equal(sets->items[k].result, GRI_NOT_INSERTED);
        assert_int_equal(sets->items[k].error.reason, GRI_R_output_too_large);
        assert_int_equal(sets->items[OUTPUTS + k].result, GRI_INSERTED);
    }
    assert_int_equal(mongo_world_count(&world, "images", "{}"), OUTPUTS);
    gri_image_clear(big);
    free(big);
    sets_free(sets);
}

static void stubs_of_deleted_images_make_room(void **state) {
    (void)state;
    const unsigned pairs[][2] = {{1, 11}};
    for (int k = 1; k < OUTPUTS; k++) {
        char id[GRI_IMAGE_ID_MAX], document[600];
        id_of(id, 1, k);
        assert_true(
            gri_format(document, sizeof document,
                       "{\"_id\":\"%s\",\"job\":\"deleted:%s\",\"pipeline\":\"\",\"output\":\"\",\"deleted_at\":{\"$date\":"
                       "\"2026-01-01T00:00:00Z\"}}",
                       id, id));
        mongo_world_insert(&world, "images", document);
    }
    struct sets *sets = insert(pairs, 1);
    expect_set(sets, 0, GRI_INSERTED, false, 1);
    sets_free(sets);
}

static void workers_that_race_store_each_set_once(void **state) {
    (void)state;
    enum { RACERS = 4 };
    struct sets *racers[RACERS];
    int inserted[SETS_MAX] = {0};
    for (unsigned r = 0; r < RACERS; r++) {
        unsigned pairs[SETS_MAX][2];
        for (unsigned i = 0; i < SETS_MAX; i++) {
            pairs[i][0] = i;
            pairs[i][1] = 100 + r * SETS_MAX + i;
        }
        racers[r] = sets_of((const unsigned(*)[2])pairs, SETS_MAX, 5000);
        mongo_world_arm(&racers[r]->request.op);
        world.store->ops->insert(world.store, &racers[r]->request);
    }
    for (int r = 0; r < RACERS; r++) {
        assert_int_equal(mongo_world_wait(&world, &racers[r]->request.op), GRI_OK);
        for (size_t i = 0; i < SETS_MAX; i++) {
            enum gri_inserted result = racers[r]->items[i * OUTPUTS].result;
            inserted[i] += result == GRI_INSERTED;
            expect_set(racers[r], i, result, false, (unsigned)i);
        }
        sets_free(racers[r]);
    }
    for (int i = 0; i < SETS_MAX; i++)
        assert_int_equal(inserted[i], 1);
    assert_int_equal(mongo_world_count(&world, "images", "{}"), SETS_MAX * OUTPUTS);
}

static void a_commit_of_unknown_outcome_is_asked_for_again(void **state) {
    (void)state;
    const unsigned pairs[][2] = {{1, 11}};
    mongo_world_fail(&world, 3, "[\"commitTransaction\"]", "\"appName\":\"grisaille\",\"closeConnection\":true");
    struct sets *sets = insert(pairs, 1);
    expect_set(sets, 0, GRI_INSERTED, false, 1);
    assert_int_equal(mongo_world_count(&world, "images", "{}"), OUTPUTS);
    sets_free(sets);
}

static void an_insert_that_is_cut_off_is_no_success(void **state) {
    (void)state;
    const unsigned pairs[][2] = {{1, 11}};
    mongo_world_fail(&world, 1, "[\"insert\"]", "\"appName\":\"grisaille\",\"closeConnection\":true");
    struct sets *sets = sets_of(pairs, 1, 1000);
    assert_int_equal(MONGO_RUN(&world, store, insert, &sets->request), GRI_RETRY);
    assert_int_equal(mongo_world_count(&world, "images", "{}"), 0);
    assert_int_equal(MONGO_RUN(&world, store, insert, &sets->request), GRI_OK);
    expect_set(sets, 0, GRI_INSERTED, false, 1);
    sets_free(sets);
}

/* As of a process that died between its insert and its commit: the server keeps the keys for it, for a while. */
static void an_open_transaction_is_not_waited_for_long(void **state) {
    (void)state;
    const unsigned pairs[][2] = {{1, 11}};
    char id[GRI_IMAGE_ID_MAX];
    bson_error_t cause;
    bson_t opts = BSON_INITIALIZER;
    mongoc_client_session_t *other = mongoc_client_start_session(world.admin, NULL, &cause);
    mongoc_collection_t *images = mongoc_client_get_collection(world.admin, world.database, "images");
    id_of(id, 1, 1);
    bson_t *document = BCON_NEW("_id", BCON_UTF8(id), "job", "x");
    assert_true(mongoc_client_session_start_transaction(other, NULL, &cause));
    assert_true(mongoc_client_session_append(other, &opts, &cause));
    assert_true(mongoc_collection_insert_one(images, document, &opts, NULL, &cause));
    struct sets *sets = insert(pairs, 1);
    for (int k = 0; k < OUTPUTS; k++) {
        assert_int_equal(sets->items[k].result, GRI_NOT_INSERTED);
        assert_int_equal(sets->items[k].error.status, GRI_RETRY);
    }
    sets_free(sets);
    assert_true(mongoc_client_session_abort_transaction(other, &cause));
    sets = insert(pairs, 1);
    expect_set(sets, 0, GRI_INSERTED, false, 1);
    sets_free(sets);
    bson_destroy(document);
    bson_destroy(&opts);
    mongoc_collection_destroy(images);
    mongoc_client_session_destroy(other);
}

/* A call of upkeep takes 500 images, which is no multiple of three. */
static void what_expires_goes_with_its_mates(void **state) {
    (void)state;
    enum { ROUNDS = 22 };
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned pairs[SETS_MAX][2];
        for (unsigned i = 0; i < SETS_MAX; i++)
            pairs[i][0] = pairs[i][1] = 1 + round * SETS_MAX + i;
        sets_free(insert((const unsigned(*)[2])pairs, SETS_MAX));
    }
    struct gri_ledger_upkeep request = {.images_keep_days = 1};
    assert_int_equal(MONGO_RUN(&world, ledger, upkeep, &request), GRI_OK);
    assert_true(request.more);
    int64_t gone = mongo_world_count(&world, "images", "{\"deleted_at\":{\"$exists\":true}}");
    assert_in_range(gone, 490, 500);
    assert_int_equal(gone % OUTPUTS, 0);
    assert_int_equal(mongo_world_count(&world, "images", "{\"output\":\"gray\"}"),
                     mongo_world_count(&world, "images", "{\"output\":\"thumb\"}"));
}

static int all_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(sets_and_single_images_go_in_together, fresh),
        cmocka_unit_test_setup(the_same_bytes_are_stored_once, fresh),
        cmocka_unit_test_setup(a_job_that_stored_other_bytes_before_is_led_to_all_of_them, fresh),
        cmocka_unit_test_setup(of_a_set_that_was_deleted_in_part_the_missing_are_stored, fresh),
        cmocka_unit_test_setup(where_the_jobs_other_set_is_not_whole_nothing_is_stored, fresh),
        cmocka_unit_test_setup(one_that_is_too_large_keeps_its_mates_out, fresh),
        cmocka_unit_test_setup(stubs_of_deleted_images_make_room, fresh),
        cmocka_unit_test_setup(workers_that_race_store_each_set_once, fresh),
        cmocka_unit_test_setup(a_commit_of_unknown_outcome_is_asked_for_again, fresh),
        cmocka_unit_test_setup(an_insert_that_is_cut_off_is_no_success, fresh),
        cmocka_unit_test_setup(an_open_transaction_is_not_waited_for_long, fresh),
        cmocka_unit_test_setup(what_expires_goes_with_its_mates, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void) {
    return run_on_mongod(all_tests);
}
