/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs of a pipeline with several outputs: one fetch, one run, several images, one link. */
#include "worker_test.h"

static struct world *open_world(size_t outputs) {
    struct world *world = world_create(0);
    world->outputs = outputs;
    return world;
}

static void output_id(const char *source, int output, char id[GRI_IMAGE_ID_MAX]) {
    char suffix[16];
    world_image_id(source, id);
    gri_format(suffix, sizeof suffix, "/output%d", output);
    gri_copy(id + strlen(id), GRI_IMAGE_ID_MAX - strlen(id), suffix);
}

static void add_outputs(struct world *world, const char *source, const char *job, int from, int to) {
    for (int i = from; i < to; i++) {
        char id[GRI_IMAGE_ID_MAX];
        output_id(source, i, id);
        world_add_image(world, id, job, false);
    }
}

static void expect_links(struct world *world, size_t job, const char *source, int count, bool made) {
    const struct fake_record *record = world_record(world, job);
    assert_int_equal(record->record.state, GRI_URL_DONE);
    assert_int_equal(record->finish.other_count, count - 1);
    assert_int_equal(record->finish.made, made);
    for (int i = 0; i < count; i++) {
        char id[GRI_IMAGE_ID_MAX];
        output_id(source, i, id);
        assert_string_equal(i == 0 ? record->finish.image : record->finish.others[i - 1], id);
    }
}

static void all_are_stored_before_one_link_names_them(void **state) {
    (void)state;
    struct gri_metrics *metrics = gri_metrics_create();
    struct world *world = world_create_with(&(struct gri_worker_options){.metrics = metrics});
    struct gri_bytes text;
    world->outputs = 3;
    size_t job = world_put(world, "https://a.test/1");
    assert_true(world_settle(world, 1000));
    expect_links(world, job, "https://a.test/1", 3, true);
    assert_int_equal(world->fetches, 1);
    assert_int_equal(world->runs, 1);
    assert_int_equal(world->last_insert_size, 3);
    assert_true(world_when(world, "insert 3") >= 0 && world_when(world, "insert 3") < world_when(world, "finish 1"));
    assert_string_equal(world->last_image.output, "output2");
    assert_string_equal(world->last_url, "https://a.test/1");
    gri_bytes_init(&text, 0);
    gri_metrics_render(metrics, &text);
    assert_non_null(strstr(gri_bytes_text(&text), "grisaille_source_decodes_total 1\n"));
    assert_non_null(strstr(gri_bytes_text(&text), "grisaille_image_size_bytes_count 3\n"));
    assert_non_null(strstr(gri_bytes_text(&text), "grisaille_urls_finished_total{outcome=\"stored\"} 1\n"));
    gri_bytes_clear(&text);
    world_destroy(world);
    gri_metrics_destroy(metrics);
}

static void known_content_is_linked_whole(void **state) {
    (void)state;
    struct world *world = open_world(2);
    add_outputs(world, "https://a.test/1", "another job", 0, 2);
    size_t job = world_put(world, "https://a.test/1");
    assert_true(world_settle(world, 1000));
    expect_links(world, job, "https://a.test/1", 2, false);
    assert_int_equal(world->runs, 0);
    assert_int_equal(world_count(world, "insert"), 0);
    world_destroy(world);
}

static void what_is_missing_of_known_content_is_made(void **state) {
    (void)state;
    struct world *world = open_world(3);
    add_outputs(world, "https://a.test/1", "another job", 1, 3);
    size_t job = world_put(world, "https://a.test/1");
    assert_true(world_settle(world, 1000));
    expect_links(world, job, "https://a.test/1", 3, true);
    assert_int_equal(world->runs, 1);
    assert_int_equal(world->image_count, 3);
    world_destroy(world);
}

static void a_damaged_one_is_healed_and_its_mates_are_linked(void **state) {
    (void)state;
    struct world *world = open_world(2);
    add_outputs(world, "https://a.test/1", "another job", 0, 2);
    world->images[1].heal = true;
    size_t job = world_put(world, "https://a.test/1");
    assert_true(world_settle(world, 1000));
    expect_links(world, job, "https://a.test/1", 2, false);
    assert_int_equal(world_count(world, "heal 1"), 1);
    assert_int_equal(world->image_count, 2);
    world_destroy(world);
}

static void a_takedown_of_all_is_linked_as_removed(void **state) {
    (void)state;
    struct world *world = open_world(2);
    add_outputs(world, "https://a.test/1", "another job", 0, 2);
    world->images[0].removed = world->images[1].removed = true;
    size_t job = world_put(world, "https://a.test/1");
    assert_true(world_settle(world, 1000));
    assert_true(world_record(world, job)->finish.removed);
    assert_int_equal(world_record(world, job)->finish.other_count, 1);
    assert_int_equal(world->runs, 0);
    world_destroy(world);
}

static void a_redelivered_job_with_its_own_set_fetches_nothing(void **state) {
    (void)state;
    struct world *world = open_world(2);
    world_say(world, GRI_STREAM_DOWN);
    size_t job = world_put(world, "https://a.test/random");
    add_outputs(world, "bytes of an earlier delivery", world->entries[job].key, 0, 2);
    world->entries[job].deliveries = 2;
    world_say(world, GRI_STREAM_UP);
    assert_true(world_settle(world, 1000));
    assert_int_equal(world->fetches, 0);
    expect_links(world, job, "bytes of an earlier delivery", 2, true);
    world_destroy(world);
}

static void answer_404(struct world *world, struct gri_fetch *fetch) {
    (void)world;
    fetch->op.status = gri_fail(&fetch->op.error, GRI_R_http_4xx, "scripted");
    fetch->http_status = 404;
    fetch->retry_after_ms = -1;
}

/* All of them, or it ends dead. */
static void before_it_ends_dead_a_job_looks_for_a_set_of_its_own(void **state) {
    (void)state;
    for (int stored = 1; stored <= 2; stored++) {
        struct world *world = open_world(2);
        world->answer = answer_404;
        world_say(world, GRI_STREAM_DOWN);
        size_t job = world_put(world, "https://a.test/random");
        add_outputs(world, "bytes of an earlier delivery", world->entries[job].key, 0, stored);
        world_say(world, GRI_STREAM_UP);
        assert_true(world_settle(world, 2000));
        assert_int_equal(world->fetches, 1);
        assert_int_equal(world_record(world, job)->record.state, stored == 2 ? GRI_URL_DONE : GRI_URL_DEAD);
        if (stored == 2) expect_links(world, job, "bytes of an earlier delivery", 2, true);
        world_destroy(world);
    }
}

static void half_a_set_of_its_own_is_completed(void **state) {
    (void)state;
    struct world *world = open_world(2);
    world_say(world, GRI_STREAM_DOWN);
    size_t job = world_put(world, "https://a.test/1");
    add_outputs(world, "https://a.test/1", world->entries[job].key, 1, 2);
    world->entries[job].deliveries = 2;
    world_say(world, GRI_STREAM_UP);
    assert_true(world_settle(world, 1000));
    assert_int_equal(world->fetches, 1);
    expect_links(world, job, "https://a.test/1", 2, true);
    world_destroy(world);
}

/* The source gave others when an earlier delivery stored it: that set is the job's, none of the present one. */
static void an_earlier_set_of_the_same_job_wins(void **state) {
    (void)state;
    struct world *world = open_world(2);
    size_t job = world_put(world, "https://a.test/random");
    add_outputs(world, "bytes of an earlier delivery", world->entries[job].key, 0, 2);
    assert_true(world_settle(world, 1000));
    expect_links(world, job, "bytes of an earlier delivery", 2, true);
    world_destroy(world);
}

static void a_refused_one_fails_the_url(void **state) {
    (void)state;
    struct world *world = open_world(2);
    world->insert_forced = true;
    world->force_insert = GRI_NOT_INSERTED;
    gri_fail(&world->insert_error, GRI_R_output_too_large, "too large");
    size_t job = world_put(world, "https://a.test/1");
    assert_true(world_settle(world, 1000));
    assert_int_equal(world_record(world, job)->record.state, GRI_URL_DEAD);
    assert_int_equal(world_record(world, job)->finish.error.reason, GRI_R_output_too_large);
    world_destroy(world);
}

static void a_set_in_anothers_hands_is_waited_for_uncharged(void **state) {
    (void)state;
    struct world *world = open_world(2);
    world->insert_forced = true;
    world->force_insert = GRI_NOT_INSERTED;
    gri_fail_as(&world->insert_error, GRI_RETRY, GRI_R_store, "another is storing outputs of the same source");
    size_t job = world_put(world, "https://a.test/1");
    assert_true(world_settle(world, 1000));
    assert_int_equal(world_record(world, job)->record.state, GRI_URL_WAITING);
    assert_false(world_record(world, job)->finish.charge);
    assert_true(world_record(world, job)->finish.delay_ms >= 15000);
    assert_int_equal(world->events, 0);
    world_destroy(world);
}

static void too_few_pictures_are_an_error(void **state) {
    (void)state;
    struct world *world = open_world(3);
    world->outputs_made = 2;
    size_t job = world_put(world, "https://a.test/1");
    assert_true(world_settle(world, 1000));
    assert_int_equal(world_record(world, job)->record.state, GRI_URL_DEAD);
    assert_int_equal(world_count(world, "insert"), 0);
    world_destroy(world);
}

static void an_unknown_insert_is_repeated_and_counted_once(void **state) {
    (void)state;
    struct world *world = open_world(2);
    world->inserts_unknown = 2;
    size_t job = world_put(world, "https://a.test/1");
    assert_true(world_settle(world, 20000));
    expect_links(world, job, "https://a.test/1", 2, true);
    assert_int_equal(world->image_count, 2);
    assert_int_equal(world->fetches, 1);
    world_destroy(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_are_stored_before_one_link_names_them),
                                       cmocka_unit_test(known_content_is_linked_whole),
                                       cmocka_unit_test(what_is_missing_of_known_content_is_made),
                                       cmocka_unit_test(a_damaged_one_is_healed_and_its_mates_are_linked),
                                       cmocka_unit_test(a_takedown_of_all_is_linked_as_removed),
                                       cmocka_unit_test(a_redelivered_job_with_its_own_set_fetches_nothing),
                                       cmocka_unit_test(half_a_set_of_its_own_is_completed),
                                       cmocka_unit_test(before_it_ends_dead_a_job_looks_for_a_set_of_its_own),
                                       cmocka_unit_test(an_earlier_set_of_the_same_job_wins),
                                       cmocka_unit_test(a_refused_one_fails_the_url),
                                       cmocka_unit_test(a_set_in_anothers_hands_is_waited_for_uncharged),
                                       cmocka_unit_test(too_few_pictures_are_an_error),
                                       cmocka_unit_test(an_unknown_insert_is_repeated_and_counted_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
