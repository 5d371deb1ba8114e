/* SPDX-License-Identifier: Apache-2.0 */
/* The image store on a real MongoDB: inserts, both kinds of duplicate, look-ups that read no picture. */
#include "mongo_steps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BATCH_MAX = 40 };

/* An image of source `content` that job `job` made, with `size` bytes of base64. */
static struct gri_image *image_of(unsigned content, unsigned job, size_t size) {
    struct gri_error error = {0};
    struct gri_image *image = gri_calloc(1, sizeof *image);
    mongo_world_key(image->job, job);
    assert_true(gri_copy(image->pipeline, sizeof image->pipeline, PIPELINE));
    assert_true(gri_copy(image->content_type, sizeof image->content_type, "image/jpeg"));
    assert_true(gri_format(image->sums.source, sizeof image->sums.source, "%064x", content));
    assert_true(gri_format(image->sums.output, sizeof image->sums.output, "%064x", content + 0x10000));
    assert_true(gri_format(image->sums.base64, sizeof image->sums.base64, "%064x", content + 0x20000));
    assert_true(gri_format(image->sums.document, sizeof image->sums.document, "%064x", content + 0x30000));
    image->width = 200;
    image->height = 300;
    image->bytes = 4242;
    image->fetched_at_ms = 1790000000001;
    image->inserted_at_ms = 1790000000002;
    image->source =
        (struct gri_source){.url = gri_strdup("https://a.test/$x"), .final_url = gri_strdup("https://b.test/y"), .bytes = 99};
    assert_true(gri_copy(image->source.host, sizeof image->source.host, "a.test"));
    assert_true(gri_copy(image->source.etag, sizeof image->source.etag, "\"\xff\""));
    gri_image_set_id(image);
    gri_bytes_init(&image->data, 64 * 1024 * 1024);
    assert_int_equal(gri_bytes_reserve(&image->data, size, &error), GRI_OK);
    memset(image->data.data, 'Q', size);
    image->data.len = size;
    image->data.data[size] = '\0';
    return image;
}

static void image_free(struct gri_image *image) {
    gri_image_clear(image);
    free(image);
}

/* Inserts `count` images given as (content, job) pairs. */
static enum gri_status insert(struct gri_image_insert *items, const unsigned (*pairs)[2], size_t count) {
    struct gri_store_insert request = {.items = items, .count = count};
    struct gri_image *images[BATCH_MAX];
    for (size_t i = 0; i < count; i++) {
        images[i] = image_of(pairs[i][0], pairs[i][1], 1000);
        items[i] = (struct gri_image_insert){.image = images[i]};
    }
    enum gri_status status = MONGO_RUN(&world, store, insert, &request);
    for (size_t i = 0; i < count; i++)
        image_free(images[i]);
    return status;
}

static void id_of(char id[GRI_IMAGE_ID_MAX], unsigned content) {
    assert_true(gri_format(id, GRI_IMAGE_ID_MAX, "%064x:" PIPELINE, content));
}

static void an_image_is_stored_with_every_field(void **state) {
    (void)state;
    struct gri_image_insert item;
    const unsigned pairs[][2] = {{1, 11}};
    assert_int_equal(insert(&item, pairs, 1), GRI_OK);
    assert_int_equal(item.result, GRI_INSERTED);
    bson_t *found = mongo_world_find(&world, "images", "{}");
    assert_string_equal(mongo_world_text(found, "_id"), item.found_id);
    assert_int_equal(strlen(mongo_world_text(found, "data")), 1000);
    assert_string_equal(mongo_world_text(found, "source.url"), "https://a.test/$x");
    bson_iter_t top, etag;
    uint32_t len = 0;
    const uint8_t *bytes = NULL;
    assert_true(bson_iter_init(&top, found) && bson_iter_find_descendant(&top, "source.etag", &etag));
    assert_true(BSON_ITER_HOLDS_BINARY(&etag)); /* no UTF-8: kept as it came, for sums.document */
    bson_iter_binary(&etag, NULL, &len, &bytes);
    assert_int_equal(len, 3);
    assert_memory_equal(bytes, "\"\xff\"", 3);
    assert_int_equal(mongo_world_number(found, "width"), 200);
    assert_int_equal(mongo_world_number(found, "bytes"), 4242);
    assert_int_equal(mongo_world_number(found, "inserted_at"), 1790000000002);
    static const char *const FIELDS[] = {"content_type", "height",        "source.final_url", "source.host",
                                         "source.width", "source.bytes",  "sums.source",      "sums.output",
                                         "sums.base64",  "sums.document", "fetched_at",       "pipeline",
                                         "job",          "made_by",       "output",           "note"};
    for (size_t i = 0; i < sizeof FIELDS / sizeof *FIELDS; i++)
        assert_true(mongo_world_has(found, FIELDS[i]));
    bson_destroy(found);
}

static void the_same_bytes_are_stored_once(void **state) {
    (void)state;
    struct gri_image_insert items[3];
    char id[GRI_IMAGE_ID_MAX];
    const unsigned first[][2] = {{1, 11}}, more[][2] = {{1, 12}, {2, 13}, {1, 11}};
    assert_int_equal(insert(items, first, 1), GRI_OK);
    assert_int_equal(insert(items, more, 3), GRI_OK);
    id_of(id, 1);
    assert_int_equal(items[0].result, GRI_SAME_CONTENT);
    assert_false(items[0].own);
    assert_string_equal(items[0].found_id, id);
    assert_int_equal(items[1].result, GRI_INSERTED); /* a mate is not held up */
    assert_int_equal(items[2].result, GRI_SAME_CONTENT);
    assert_true(items[2].own);
    assert_int_equal(mongo_world_count(&world, "images", "{}"), 2);
}

static void a_job_that_stored_other_bytes_before_is_led_to_them(void **state) {
    (void)state;
    struct gri_image_insert items[2];
    char id[GRI_IMAGE_ID_MAX];
    const unsigned first[][2] = {{1, 11}, {2, 12}}, again[][2] = {{3, 11}, {1, 12}};
    assert_int_equal(insert(items, first, 2), GRI_OK);
    assert_int_equal(insert(items, again, 2), GRI_OK);
    assert_int_equal(items[0].result, GRI_SAME_JOB);
    id_of(id, 1);
    assert_string_equal(items[0].found_id, id);
    /* Job 12 now got the bytes of image 1: its own image 2 is the one to link, else nobody would. */
    assert_int_equal(items[1].result, GRI_SAME_JOB);
    id_of(id, 2);
    assert_string_equal(items[1].found_id, id);
    assert_int_equal(mongo_world_count(&world, "images", "{}"), 2);
}

static void of_equal_images_in_one_batch_one_is_inserted(void **state) {
    (void)state;
    struct gri_image_insert items[2];
    const unsigned pairs[][2] = {{5, 11}, {5, 12}};
    assert_int_equal(insert(items, pairs, 2), GRI_OK);
    assert_int_equal((items[0].result == GRI_INSERTED) + (items[1].result == GRI_INSERTED), 1);
    assert_int_equal((items[0].result == GRI_SAME_CONTENT) + (items[1].result == GRI_SAME_CONTENT), 1);
    assert_string_equal(items[0].found_id, items[1].found_id);
}

static void workers_that_race_store_each_content_once(void **state) {
    (void)state;
    enum { RACERS = 4, IMAGES = 20 };
    struct gri_store_insert requests[RACERS];
    struct gri_image_insert items[RACERS][IMAGES];
    struct gri_image *images[RACERS][IMAGES];
    int inserted[IMAGES] = {0};
    for (unsigned r = 0; r < RACERS; r++) {
        requests[r] = (struct gri_store_insert){.items = items[r], .count = IMAGES};
        for (unsigned i = 0; i < IMAGES; i++) {
            images[r][i] = image_of(i, 1000 + r * IMAGES + i, 5000);
            items[r][i] = (struct gri_image_insert){.image = images[r][i]};
        }
        mongo_world_arm(&requests[r].op);
        world.store->ops->insert(world.store, &requests[r]);
    }
    for (int r = 0; r < RACERS; r++) {
        assert_int_equal(mongo_world_wait(&world, &requests[r].op), GRI_OK);
        for (int i = 0; i < IMAGES; i++) {
            const struct gri_image_insert *item = &items[r][i];
            inserted[i] += item->result == GRI_INSERTED;
            assert_true(item->result == GRI_INSERTED || item->result == GRI_SAME_CONTENT);
            assert_string_equal(item->found_id, item->image->id);
            image_free(images[r][i]);
        }
    }
    for (int i = 0; i < IMAGES; i++)
        assert_int_equal(inserted[i], 1);
    assert_int_equal(mongo_world_count(&world, "images", "{}"), IMAGES);
}

static void a_text_over_the_limit_is_refused_alone(void **state) {
    (void)state;
    struct gri_image *big = image_of(1, 11, (size_t)GRI_BASE64_MAX + 1), *most = image_of(2, 12, GRI_BASE64_MAX),
                     *small = image_of(3, 13, 10);
    struct gri_image_insert items[] = {{.image = big}, {.image = most}, {.image = small}};
    struct gri_store_insert request = {.items = items, .count = 3};
    assert_int_equal(MONGO_RUN(&world, store, insert, &request), GRI_OK);
    assert_int_equal(items[0].result, GRI_NOT_INSERTED);
    assert_int_equal(items[0].error.status, GRI_PERMANENT);
    assert_int_equal(items[0].error.reason, GRI_R_output_too_large);
    assert_int_equal(items[1].result, GRI_INSERTED);
    assert_int_equal(items[2].result, GRI_INSERTED);
    image_free(big);
    image_free(most);
    image_free(small);
}

static void a_document_that_the_server_refuses_is_told_alone(void **state) {
    (void)state;
    struct gri_image_insert items[2];
    const unsigned pairs[][2] = {{1, 11}, {2, 12}};
    bson_destroy(mongo_world_command(
        &world, world.database, "{\"collMod\":\"images\",\"validator\":{\"job\":{\"$regex\":\"b:gray$\"}}}")); /* of 0x0b only */
    assert_int_equal(insert(items, pairs, 2), GRI_OK);
    bson_destroy(mongo_world_command(&world, world.database, "{\"collMod\":\"images\",\"validator\":{}}"));
    assert_int_equal(items[0].result, GRI_INSERTED);
    assert_int_equal(items[1].result, GRI_NOT_INSERTED);
    assert_int_equal(items[1].error.status, GRI_PERMANENT);
}

static void an_insert_of_unknown_outcome_is_no_success(void **state) {
    (void)state;
    struct gri_image_insert item;
    const unsigned pairs[][2] = {{1, 11}};
    mongo_world_fail(
        &world, 1, "[\"insert\"]",
        "\"appName\":\"grisaille\",\"writeConcernError\":{\"code\":64,\"errmsg\":\"waiting for replication timed out\"}");
    assert_int_equal(insert(&item, pairs, 1), GRI_RETRY);
    mongo_world_fail(&world, 2, "[\"insert\"]", "\"appName\":\"grisaille\",\"closeConnection\":true");
    assert_int_equal(insert(&item, pairs, 1), GRI_RETRY);
    /* The first one was done; a later delivery finds it as its own. */
    assert_int_equal(insert(&item, pairs, 1), GRI_OK);
    assert_int_equal(item.result, GRI_SAME_CONTENT);
    assert_true(item.own);
}

static void look_ups_tell_what_is_there_and_whose_it_is(void **state) {
    (void)state;
    struct gri_image_insert inserted[2];
    struct gri_image_lookup items[5] = {0};
    const unsigned pairs[][2] = {{1, 11}, {2, 12}};
    assert_int_equal(insert(inserted, pairs, 2), GRI_OK);
    mongo_world_update(&world, "images",
                       "{\"width\":200,\"sums.source\":\"0000000000000000000000000000000000000000000000000000000000000002\"}",
                       "{\"$set\":{\"removed\":true},\"$unset\":{\"data\":\"\"}}");
    for (int i = 0; i < 5; i++)
        assert_true(gri_copy(items[i].pipeline, sizeof items[i].pipeline, PIPELINE));
    id_of(items[0].id, 1);
    mongo_world_key(items[0].job, 11);
    id_of(items[1].id, 2);
    mongo_world_key(items[1].job, 11);
    id_of(items[2].id, 3);
    mongo_world_key(items[3].job, 12);
    mongo_world_key(items[4].job, 99);
    struct gri_store_lookup request = {.items = items, .count = 5};
    assert_int_equal(MONGO_RUN(&world, store, lookup, &request), GRI_OK);
    assert_true(items[0].found && items[0].own && !items[0].removed);
    assert_true(items[1].found && !items[1].own && items[1].removed);
    assert_false(items[2].found);
    assert_true(items[3].found && items[3].own && items[3].removed);
    assert_string_equal(items[3].found_id, items[1].found_id);
    assert_false(items[4].found);
    /* Another version of the pipeline is another image. */
    assert_true(gri_copy(items[3].pipeline, sizeof items[3].pipeline, "gray@ffffffffffff"));
    assert_int_equal(MONGO_RUN(&world, store, lookup, &request), GRI_OK);
    assert_false(items[3].found);
}

/* The profiler's word on the adapter's own query: how many documents were read. */
static int64_t documents_examined(const char *hint) {
    char filter[256];
    assert_true(gri_format(filter, sizeof filter,
                           "{\"appName\":\"grisaille\",\"command.find\":\"images\",\"command.hint\":\"%s\"}", hint));
    bson_t *entry = mongo_world_find(&world, "system.profile", filter);
    assert_non_null(entry);
    int64_t examined = mongo_world_number(entry, "docsExamined");
    bson_destroy(entry);
    return examined;
}

static void look_ups_read_no_picture(void **state) {
    (void)state;
    struct gri_image_insert inserted[2];
    struct gri_image_lookup items[3] = {0};
    const unsigned pairs[][2] = {{1, 11}, {2, 12}};
    assert_int_equal(insert(inserted, pairs, 2), GRI_OK);
    id_of(items[0].id, 1);
    id_of(items[1].id, 2);
    mongo_world_key(items[2].job, 99);
    struct gri_store_lookup request = {.items = items, .count = 3};
    bson_destroy(mongo_world_command(&world, world.database, "{\"profile\":2}"));
    assert_int_equal(MONGO_RUN(&world, store, lookup, &request), GRI_OK);
    bson_destroy(mongo_world_command(&world, world.database, "{\"profile\":0}"));
    assert_true(items[0].found && items[1].found && !items[2].found);
    assert_int_equal(documents_examined("source"), 0);
    assert_int_equal(documents_examined("job"), 0);
    bson_destroy(mongo_world_command(&world, world.database, "{\"drop\":\"system.profile\"}"));
}

static int all_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_image_is_stored_with_every_field, fresh),
        cmocka_unit_test_setup(the_same_bytes_are_stored_once, fresh),
        cmocka_unit_test_setup(a_job_that_stored_other_bytes_before_is_led_to_them, fresh),
        cmocka_unit_test_setup(of_equal_images_in_one_batch_one_is_inserted, fresh),
        cmocka_unit_test_setup(workers_that_race_store_each_content_once, fresh),
        cmocka_unit_test_setup(a_text_over_the_limit_is_refused_alone, fresh),
        cmocka_unit_test_setup(a_document_that_the_server_refuses_is_told_alone, fresh),
        cmocka_unit_test_setup(an_insert_of_unknown_outcome_is_no_success, fresh),
        cmocka_unit_test_setup(look_ups_tell_what_is_there_and_whose_it_is, fresh),
        cmocka_unit_test_setup(look_ups_read_no_picture, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void) {
    return run_on_mongod(all_tests);
}
