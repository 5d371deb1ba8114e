/* SPDX-License-Identifier: Apache-2.0 */
/* Failed tries, throttled hosts, fatal errors, missing pipelines. */
#include "worker_test.h"

static void fails_with(struct gri_fetch *fetch, enum gri_reason reason, int http_status) {
    fetch->op.status = gri_fail(&fetch->op.error, reason, "scripted");
    fetch->http_status = http_status;
    fetch->retry_after_ms = -1;
}

static void answer_timeout(struct world *world, struct gri_fetch *fetch) {
    (void)world;
    fails_with(fetch, GRI_R_timeout, 0);
}

static void answer_503_after_minute(struct world *world, struct gri_fetch *fetch) {
    (void)world;
    fails_with(fetch, GRI_R_http_5xx, 503);
    fetch->retry_after_ms = 60000;
}

static void answer_404(struct world *world, struct gri_fetch *fetch) {
    (void)world;
    fails_with(fetch, GRI_R_http_4xx, 404);
}

static void answer_429_for_a_minute(struct world *world, struct gri_fetch *fetch) {
    (void)world;
    fails_with(fetch, GRI_R_rate_limited, 429);
    fetch->throttled = true;
    fetch->retry_after_ms = 60000;
}

static void answer_429_once(struct world *world, struct gri_fetch *fetch) {
    if (world->fetches == 1) {
        answer_429_for_a_minute(world, fetch);
        fetch->retry_after_ms = 2000;
        return;
    }
    fetch->op.status = GRI_OK;
    fetch->http_status = 200;
    gri_bytes_put(&fetch->body, "picture");
}

static void answer_429_for_a_second(struct world *world, struct gri_fetch *fetch) {
    answer_429_for_a_minute(world, fetch);
    fetch->retry_after_ms = 1000;
}

static void a_timeout_waits_and_is_charged(void **state) {
    (void)state;
    struct world *world = world_create(0);
    world->answer = answer_timeout;
    size_t job = world_put(world, "https://a.test/1");
    assert_true(world_settle(world, 1000));
    const struct fake_record *record = world_record(world, job);
    assert_int_equal(record->record.state, GRI_URL_WAITING);
    assert_int_equal(record->record.attempts, 1);
    assert_true(record->finish.charge && record->finish.delay_ms <= 5000);
    assert_int_equal(record->finish.error.reason, GRI_R_timeout);
    assert_string_equal(world->last_event, "attempt_failed");
    assert_true(world_when(world, "finish") < world_when(world, "ack"));
    world_destroy(world);
}

static void the_eighth_attempt_is_dead(void **state) {
    (void)state;
    struct world *world = world_create(0);
    world->answer = answer_timeout;
    world_say(world, GRI_STREAM_DOWN);
    size_t job = world_put(world, "https://a.test/1");
    world_record(world, job)->record.attempts = 7;
    world_say(world, GRI_STREAM_UP);
    assert_true(world_settle(world, 1000));
    assert_int_equal(world_record(world, job)->record.state, GRI_URL_DEAD);
    assert_string_equal(world->last_event, "dead_letter");
    world_destroy(world);
}

static void a_retry_after_is_obeyed(void **state) {
    (void)state;
    struct world *world = world_create(0);
    world->answer = answer_503_after_minute;
    size_t job = world_put(world, "https://a.test/1");
    assert_true(world_settle(world, 1000));
    assert_int_equal(world_record(world, job)->finish.delay_ms, 60000);
    assert_true(world_record(world, job)->finish.charge);
    world_destroy(world);
}

static void a_permanent_failure_is_dead_at_once(void **state) {
    (void)state;
    struct world *world = world_create(0);
    world->answer = answer_404;
    size_t job = world_put(world, "https://a.test/1");
    assert_true(world_settle(world, 1000));
    assert_int_equal(world_record(world, job)->record.state, GRI_URL_DEAD);
    assert_int_equal(world_record(world, job)->finish.error.reason, GRI_R_http_4xx);
    world_destroy(world);
}

static void a_bad_picture_is_dead_by_its_reason(void **state) {
    (void)state;
    struct world *world = world_create(0);
    gri_fail(&world->codec_error, GRI_R_not_image, "HTML");
    size_t job = world_put(world, "https://a.test/1");
    assert_true(world_settle(world, 1000));
    assert_int_equal(world_record(world, job)->finish.error.reason, GRI_R_not_image);
    assert_int_equal(world_count(world, "insert"), 0);
    world_destroy(world);
}

static void a_429_puts_the_job_back_uncharged_and_tells_the_fleet(void **state) {
    (void)state;
    struct world *world = world_create(0);
    world->answer = answer_429_for_a_minute;
    size_t job = world_put(world, "https://a.test/1");
    assert_true(world_settle(world, 1000));
    const struct fake_record *record = world_record(world, job);
    assert_int_equal(record->record.state, GRI_URL_WAITING);
    assert_int_equal(record->record.attempts, 0);
    assert_true(record->finish.limited);
    assert_true(record->finish.delay_ms >= 60000);
    assert_int_equal(world->told_block_ms, 60000);

    size_t next = world_put(world, "https://a.test/2"); /* the same host: not asked again */
    assert_true(world_settle(world, 1000));
    assert_int_equal(world->fetches, 1);
    assert_int_equal(world_record(world, next)->record.state, GRI_URL_WAITING);
    assert_true(world_record(world, next)->finish.limited);
    world_destroy(world);
}

static void a_short_429_is_waited_out_in_the_slot(void **state) {
    (void)state;
    struct world *world = world_create(0);
    world->answer = answer_429_once;
    size_t job = world_put(world, "https://a.test/1");
    world_run(world, 1900);
    assert_int_equal(world->fetches, 1);
    assert_int_equal(gri_worker_busy(world->worker), 1);
    assert_true(world_settle(world, 3000));
    assert_int_equal(world->fetches, 2);
    assert_int_equal(world_record(world, job)->record.state, GRI_URL_DONE);
    assert_int_equal(world_count(world, "finish"), 1);
    world_destroy(world);
}

static void short_429s_without_end_give_the_slot_back(void **state) {
    (void)state;
    struct world *world = world_create(0);
    world->answer = answer_429_for_a_second;
    size_t job = world_put(world, "https://a.test/1");
    assert_true(world_settle(world, 30000));
    assert_int_equal(world->fetches, 4);
    assert_int_equal(world_record(world, job)->record.state, GRI_URL_WAITING);
    assert_int_equal(world_record(world, job)->record.attempts, 0);
    world_destroy(world);
}

static void a_day_of_429_is_dead(void **state) {
    (void)state;
    struct world *world = world_create(0);
    world->answer = answer_429_for_a_minute;
    world_say(world, GRI_STREAM_DOWN);
    size_t job = world_put(world, "https://a.test/1");
    world_record(world, job)->record.limited_ms = 86400001;
    world_say(world, GRI_STREAM_UP);
    assert_true(world_settle(world, 1000));
    assert_int_equal(world_record(world, job)->record.state, GRI_URL_DEAD);
    assert_int_equal(world_record(world, job)->finish.error.reason, GRI_R_rate_limited);
    world_destroy(world);
}

static void a_missing_pipeline_is_dead(void **state) {
    (void)state;
    struct world *world = world_create(0);
    world->definition_missing = true;
    size_t job = world_put(world, "https://a.test/1"), second = world_put(world, "https://a.test/2");
    assert_true(world_settle(world, 1000));
    assert_int_equal(world_record(world, job)->finish.error.reason, GRI_R_no_pipeline);
    assert_int_equal(world_record(world, second)->record.state, GRI_URL_DEAD);
    assert_int_equal(world->fetches, 0);
    world_destroy(world);
}

static void a_pipeline_of_a_newer_program_is_handed_on_uncharged(void **state) {
    (void)state;
    struct world *world = world_create(0);
    world->codec_is_older = true;
    size_t job = world_put(world, "https://a.test/1"), old = world_put(world, "https://a.test/2");
    world_record(world, old)->record.age_ms = 2 * 86400000LL;
    assert_true(world_settle(world, 1000));
    struct gri_finish *finish = &world_record(world, job)->finish;
    assert_int_equal(finish->kind, GRI_FINISH_WAIT);
    assert_false(finish->charge || finish->limited);
    assert_true(finish->delay_ms >= 10000);
    assert_int_equal(finish->error.reason, GRI_R_config);
    assert_int_equal(world_record(world, old)->record.state, GRI_URL_DEAD);
    assert_int_equal(world->fetches, 0);
    world_destroy(world);
}

static void a_pipeline_that_cannot_be_read_now_is_read_later(void **state) {
    (void)state;
    struct world *world = world_create(0);
    world->definitions_failing = 3;
    size_t job = world_put(world, "https://a.test/1");
    assert_true(world_settle(world, 20000));
    assert_int_equal(world_record(world, job)->record.state, GRI_URL_DONE);
    assert_int_equal(world_count(world, "definition"), 4);
    assert_true(gri_worker_ready(world->worker));
    world_destroy(world);
}

static void a_fatal_error_stops_the_worker_and_acks_nothing(void **state) {
    (void)state;
    struct world *world = world_create(0);
    gri_fail(&world->codec_error, GRI_R_internal, "a broken library");
    world_put(world, "https://a.test/1");
    world_run(world, 1000);
    assert_true(world->fatal);
    assert_int_equal(world->acked, 0);
    assert_int_equal(world_count(world, "finish"), 0);
    size_t reads = world->read_asked;
    world_put(world, "https://a.test/2");
    world_run(world, 10000);
    assert_int_equal(world->read_asked, reads);
    assert_int_equal(world->fetches, 1);
    world_destroy(world);
}

/* Redis was emptied after an earlier delivery had stored its image: this one is the first that Redis knows of. */
static void before_it_ends_dead_a_job_looks_for_an_image_of_its_own(void **state) {
    (void)state;
    struct world *world = world_create(0);
    world->answer = answer_404;
    world_say(world, GRI_STREAM_DOWN);
    size_t own = world_put(world, "https://a.test/random"), none = world_put(world, "https://a.test/other");
    world_add_image(world, "some id of random bytes", world->entries[own].key, false);
    world_say(world, GRI_STREAM_UP);
    assert_true(world_settle(world, 2000));
    assert_int_equal(world->fetches, 2);
    assert_int_equal(world_record(world, own)->record.state, GRI_URL_DONE);
    assert_string_equal(world_record(world, own)->finish.image, "some id of random bytes");
    assert_true(world_record(world, own)->finish.made);
    assert_int_equal(world_record(world, none)->record.state, GRI_URL_DEAD);
    assert_int_equal(world_record(world, none)->finish.error.reason, GRI_R_http_4xx);
    world_destroy(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(before_it_ends_dead_a_job_looks_for_an_image_of_its_own),
                                       cmocka_unit_test(a_timeout_waits_and_is_charged),
                                       cmocka_unit_test(the_eighth_attempt_is_dead),
                                       cmocka_unit_test(a_retry_after_is_obeyed),
                                       cmocka_unit_test(a_permanent_failure_is_dead_at_once),
                                       cmocka_unit_test(a_bad_picture_is_dead_by_its_reason),
                                       cmocka_unit_test(a_429_puts_the_job_back_uncharged_and_tells_the_fleet),
                                       cmocka_unit_test(a_short_429_is_waited_out_in_the_slot),
                                       cmocka_unit_test(short_429s_without_end_give_the_slot_back),
                                       cmocka_unit_test(a_day_of_429_is_dead),
                                       cmocka_unit_test(a_missing_pipeline_is_dead),
                                       cmocka_unit_test(a_pipeline_of_a_newer_program_is_handed_on_uncharged),
                                       cmocka_unit_test(a_pipeline_that_cannot_be_read_now_is_read_later),
                                       cmocka_unit_test(a_fatal_error_stops_the_worker_and_acks_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
