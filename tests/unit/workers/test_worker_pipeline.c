/* SPDX-License-Identifier: Apache-2.0 */
/* The way of a job that goes well, and what known content, redelivery and unknown outcomes do to it. */
#include "worker_test.h"

static void stored_before_linked_before_acked(void **state) {
    (void)state;
    struct world *world = world_create(0);
    size_t job = world_put(world, "https://a.test/1");
    assert_true(world_settle(world, 1000));
    const char *order[] = {"read", "check", "definition", "gate", "fetch", "lookup", "insert", "finish", "ack"};
    for (size_t i = 1; i < sizeof order / sizeof *order; i++)
        assert_true(world_when(world, order[i - 1]) >= 0 && world_when(world, order[i - 1]) < world_when(world, order[i]));
    const struct fake_record *record = world_record(world, job);
    assert_int_equal(record->record.state, GRI_URL_DONE);
    assert_true(record->finish.made && !record->finish.removed);
    char id[GRI_IMAGE_ID_MAX];
    world_image_id("https://a.test/1", id);
    assert_string_equal(record->finish.image, id);
    assert_int_equal(gri_worker_busy(world->worker), 0);
    world_destroy(world);
}

static void the_document_is_complete(void **state) {
    (void)state;
    struct world *world = world_create(0);
    size_t job = world_put(world, "https://a.test/1");
    assert_true(world_settle(world, 1000));
    const struct gri_image *image = &world->last_image;
    char sum[GRI_SHA256_HEX];
    assert_string_equal(world->last_data, "Z3JheTpodHRwczovL2EudGVzdC8x"); /* gray:https://a.test/1 */
    fake_sha256_hex(gri_slice_of("https://a.test/1"), sum);
    assert_string_equal(image->sums.source, sum);
    fake_sha256_hex(gri_slice_of("gray:https://a.test/1"), sum);
    assert_string_equal(image->sums.output, sum);
    fake_sha256_hex(gri_slice_of(world->last_data), sum);
    assert_string_equal(image->sums.base64, sum);
    assert_int_equal(strlen(image->sums.document), 64);
    assert_string_equal(image->job, world->entries[job].key);
    assert_string_equal(image->pipeline, "gray@0123456789ab");
    assert_string_equal(image->made_by, "grisaille test; toy 1");
    assert_string_equal(image->note, "odd");
    assert_string_equal(image->source.host, "a.test");
    assert_string_equal(world->last_url, "https://a.test/1");
    assert_string_equal(image->source.content_type, "image/png");
    assert_int_equal(image->source.width, 4);
    assert_int_equal(image->source.bytes, 16);
    assert_int_equal(image->bytes, 21);
    assert_true(image->fetched_at_ms >= 1700000000000 && image->inserted_at_ms >= image->fetched_at_ms);
    world_destroy(world);
}

static void known_content_is_linked_and_not_transformed(void **state) {
    (void)state;
    struct world *world = world_create(0);
    char id[GRI_IMAGE_ID_MAX];
    world_image_id("https://a.test/1", id);
    world_add_image(world, id, "another job", false);
    size_t job = world_put(world, "https://a.test/1");
    assert_true(world_settle(world, 1000));
    assert_int_equal(world->runs, 0);
    assert_int_equal(world_count(world, "insert"), 0);
    assert_string_equal(world_record(world, job)->finish.image, id);
    assert_false(world_record(world, job)->finish.made);
    world_destroy(world);
}

static void a_takedown_is_linked_as_removed(void **state) {
    (void)state;
    struct world *world = world_create(0);
    char id[GRI_IMAGE_ID_MAX];
    world_image_id("https://a.test/1", id);
    world_add_image(world, id, "another job", true);
    size_t job = world_put(world, "https://a.test/1");
    assert_true(world_settle(world, 1000));
    assert_true(world_record(world, job)->finish.removed);
    assert_int_equal(world->runs, 0);
    world_destroy(world);
}

static void a_redelivered_job_with_its_own_image_fetches_nothing(void **state) {
    (void)state;
    struct world *world = world_create(0);
    world_say(world, GRI_STREAM_DOWN); /* so that both are put in before they are read */
    size_t own = world_put(world, "https://a.test/random"), none = world_put(world, "https://a.test/other");
    world_add_image(world, "some id of random bytes", world->entries[own].key, false);
    world->entries[own].deliveries = world->entries[none].deliveries = 2;
    world_say(world, GRI_STREAM_UP);
    assert_true(world_settle(world, 1000));
    assert_int_equal(world->fetches, 1);
    assert_string_equal(world_record(world, own)->finish.image, "some id of random bytes");
    assert_true(world_record(world, own)->finish.made);
    world_destroy(world);
}

/* Another finished the job, or it was cancelled or its record deleted, while the first delivery of this entry stored its image
 * and died: the ledger is to hear of it all the same. */
static void a_redelivered_job_that_has_ended_offers_its_own_image_and_fetches_nothing(void **state) {
    static const enum gri_url_state ended[] = {GRI_URL_DONE, GRI_URL_DEAD, GRI_URL_ABSENT};
    (void)state;
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++) {
        struct world *world = world_create(0);
        world_say(world, GRI_STREAM_DOWN);
        size_t own = world_put(world, "https://a.test/random"), none = world_put(world, "https://a.test/other");
        world_add_image(world, "some id of random bytes", world->entries[own].key, false);
        world->entries[own].deliveries = world->entries[none].deliveries = 2;
        world_record(world, own)->record.state = world_record(world, none)->record.state = ended[i];
        world_say(world, GRI_STREAM_UP);
        assert_true(world_settle(world, 1000));
        assert_int_equal(world->fetches, 0);
        assert_int_equal(world_count(world, "finish 1"), 1);
        world_destroy(world);
    }
}

static void another_run_is_acked_and_nothing_else(void **state) {
    (void)state;
    struct world *world = world_create(0);
    world_say(world, GRI_STREAM_DOWN);
    size_t stale = world_put(world, "https://a.test/1"), done = world_put(world, "https://a.test/2");
    size_t waiting = world_put(world, "https://a.test/3"), other = world_put(world, "https://a.test/4");
    world_record(world, stale)->record.run = 2;
    world_record(world, done)->record.state = GRI_URL_DONE;
    world_record(world, waiting)->record.state = GRI_URL_WAITING;
    gri_copy(world_record(world, other)->record.pipeline, GRI_PIPELINE_MAX, "gray@ffffffffffff");
    world_say(world, GRI_STREAM_UP);
    assert_true(world_settle(world, 1000));
    assert_int_equal(world->fetches, 0);
    assert_int_equal(world_count(world, "finish"), 0);
    world_destroy(world);
}

static void an_unknown_insert_is_repeated_until_known_and_acked_once(void **state) {
    (void)state;
    struct world *world = world_create(0);
    world->inserts_unknown = 3;
    size_t job = world_put(world, "https://a.test/1");
    assert_true(world_settle(world, 20000));
    assert_int_equal(world_count(world, "insert"), 4);
    assert_int_equal(world->fetches, 1);
    assert_int_equal(world_count(world, "ack"), 1);
    assert_true(world_record(world, job)->finish.made); /* SAME_CONTENT, but its own */
    assert_int_equal(world->image_count, 1);
    world_destroy(world);
}

static void an_unknown_finish_is_repeated_before_the_ack(void **state) {
    (void)state;
    struct world *world = world_create(0);
    world->finishes_unknown = 2;
    world_put(world, "https://a.test/1");
    assert_true(world_settle(world, 20000));
    assert_int_equal(world_count(world, "finish"), 3);
    assert_int_equal(world_count(world, "ack"), 1);
    world_destroy(world);
}

static void an_earlier_image_of_the_same_job_wins(void **state) {
    (void)state;
    struct world *world = world_create(0);
    size_t job = world_put(world, "https://a.test/random");
    world_add_image(world, "bytes of an earlier delivery", world->entries[job].key, false);
    assert_true(world_settle(world, 1000));
    assert_string_equal(world_record(world, job)->finish.image, "bytes of an earlier delivery");
    assert_true(world_record(world, job)->finish.made);
    world_destroy(world);
}

static void a_refused_document_fails_by_its_class(void **state) {
    (void)state;
    struct world *world = world_create(0);
    world->insert_forced = true;
    world->force_insert = GRI_NOT_INSERTED;
    gri_fail(&world->insert_error, GRI_R_output_too_large, "too large");
    size_t job = world_put(world, "https://a.test/1");
    assert_true(world_settle(world, 1000));
    assert_int_equal(world_record(world, job)->record.state, GRI_URL_DEAD);
    assert_int_equal(world_record(world, job)->finish.error.reason, GRI_R_output_too_large);
    world_destroy(world);
}

static void many_jobs_share_requests_and_slots_bound_them(void **state) {
    (void)state;
    struct world *world = world_create(8);
    for (int i = 0; i < 100; i++) {
        char url[64];
        gri_format(url, sizeof url, "https://h%d.test/", i);
        world_put(world, url);
    }
    for (int i = 0; i < 1000 && world->acked < 100; i++) {
        world_run(world, 10);
        assert_true(gri_worker_busy(world->worker) <= 8);
    }
    assert_int_equal(world->acked, 100);
    assert_true(world_count(world, "insert") < 60);
    assert_true(world_count(world, "definition") == 1);
    world_destroy(world);
}

static void a_full_executor_is_tried_again(void **state) {
    (void)state;
    struct world *world = world_create(0);
    world->cpu_full = true;
    world_put(world, "https://a.test/1");
    world_run(world, 1000);
    assert_int_equal(world->runs, 0);
    world->cpu_full = false;
    assert_true(world_settle(world, 1000));
    world_destroy(world);
}

static void durations_and_outcomes_are_fed(void **state) {
    (void)state;
    struct gri_metrics *metrics = gri_metrics_create();
    struct world *world = world_create_with(&(struct gri_worker_options){.metrics = metrics});
    world_put(world, "https://named.test/1");
    assert_true(world_settle(world, 1000));
    world_run(world, 300);
    struct gri_bytes text;
    gri_bytes_init(&text, 0);
    gri_metrics_render(metrics, &text);
    const char *expected[] = {"grisaille_stage_duration_seconds_count{stage=\"fetch\"} 1",
                              "grisaille_stage_duration_seconds_count{stage=\"transform\"} 1",
                              "grisaille_stage_duration_seconds_count{stage=\"encode\"} 1",
                              "grisaille_stage_duration_seconds_count{stage=\"store\"} 1",
                              "grisaille_stage_duration_seconds_count{stage=\"ack\"} 1",
                              "grisaille_urls_finished_total{outcome=\"stored\"} 1",
                              "grisaille_host_requests_total{host=\"named\",outcome=\"ok\"} 1",
                              "grisaille_fetch_responses_total{code_class=\"2xx\"} 1",
                              "grisaille_fetch_bytes_total 20",
                              "grisaille_image_size_bytes_count 1",
                              "grisaille_end_to_end_seconds_count 1",
                              "grisaille_slots{state=\"free\"} 64"};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        if (strstr(gri_bytes_text(&text), expected[i]) == NULL) fail_msg("%s not in %s", expected[i], gri_bytes_text(&text));
    gri_bytes_clear(&text);
    world_destroy(world);
    gri_metrics_destroy(metrics);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stored_before_linked_before_acked),
        cmocka_unit_test(the_document_is_complete),
        cmocka_unit_test(known_content_is_linked_and_not_transformed),
        cmocka_unit_test(a_takedown_is_linked_as_removed),
        cmocka_unit_test(a_redelivered_job_with_its_own_image_fetches_nothing),
        cmocka_unit_test(a_redelivered_job_that_has_ended_offers_its_own_image_and_fetches_nothing),
        cmocka_unit_test(another_run_is_acked_and_nothing_else),
        cmocka_unit_test(an_unknown_insert_is_repeated_until_known_and_acked_once),
        cmocka_unit_test(an_unknown_finish_is_repeated_before_the_ack),
        cmocka_unit_test(an_earlier_image_of_the_same_job_wins),
        cmocka_unit_test(a_refused_document_fails_by_its_class),
        cmocka_unit_test(many_jobs_share_requests_and_slots_bound_them),
        cmocka_unit_test(a_full_executor_is_tried_again),
        cmocka_unit_test(durations_and_outcomes_are_fed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
