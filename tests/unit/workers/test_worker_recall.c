/* SPDX-License-Identifier: Apache-2.0 */
/* URLs that are fetched anew: what their host is asked, what its word is worth, and how the renewal ends. */
#include "worker_test.h"

static const char URL[] = "https://a.test/1";

/* A renewal of a URL whose image is there, and was made of `source`. */
static size_t put_renewal(struct world *world, const char *source) {
    char id[GRI_IMAGE_ID_MAX];
    world_image_id(source, id);
    world_say(world, GRI_STREAM_DOWN);
    size_t job = world_put(world, URL);
    struct fake_record *record = world_record(world, job);
    world_add_image(world, id, record->key, false);
    record->record.renewal = 3;
    record->record.renewing = true;
    gri_copy(record->record.renew_from, sizeof record->record.renew_from, id);
    world_say(world, GRI_STREAM_UP);
    return job;
}

static void answer_bytes(struct gri_fetch *fetch) {
    fetch->op.status = GRI_OK;
    fetch->http_status = 200;
    fetch->final_url = gri_strdup(fetch->url);
    gri_bytes_put(&fetch->body, fetch->url);
}

static void answer_unchanged(struct gri_fetch *fetch, const char *final_url) {
    fetch->op.status = GRI_OK;
    fetch->http_status = 304;
    fetch->not_modified = true;
    fetch->final_url = gri_strdup(final_url);
}

static bool is_conditional(const struct gri_fetch *fetch) {
    return fetch->known_etag != NULL && strcmp(fetch->known_etag, "\"tag\"") == 0;
}

static void unchanged(struct world *world, struct gri_fetch *fetch) {
    (void)world;
    if (is_conditional(fetch))
        answer_unchanged(fetch, URL);
    else
        answer_bytes(fetch);
}

static void unchanged_elsewhere(struct world *world, struct gri_fetch *fetch) {
    (void)world;
    if (is_conditional(fetch))
        answer_unchanged(fetch, "https://a.test/2");
    else
        answer_bytes(fetch);
}

static void unchanged_but_deleted(struct world *world, struct gri_fetch *fetch) {
    if (is_conditional(fetch)) world->image_count = 0;
    unchanged(world, fetch);
}

static void unchanged_but_found_damaged(struct world *world, struct gri_fetch *fetch) {
    if (is_conditional(fetch)) world->images[0].heal = true;
    unchanged(world, fetch);
}

static void unchanged_but_taken_down(struct world *world, struct gri_fetch *fetch) {
    world->images[0].removed = true;
    unchanged(world, fetch);
}

static void gone(struct world *world, struct gri_fetch *fetch) {
    (void)world;
    fetch->http_status = 404;
    fetch->op.status = gri_fail(&fetch->op.error, GRI_R_http_4xx, "404");
}

static struct fake_record *run(struct world *world, size_t job) {
    assert_true(world_settle(world, 10000));
    return world_record(world, job);
}

static void what_its_host_still_has_is_not_fetched(void **state) {
    (void)state;
    struct world *world = world_create(0);
    world->answer = unchanged;
    struct fake_record *record = run(world, put_renewal(world, URL));
    assert_int_equal(record->record.state, GRI_URL_DONE);
    assert_int_equal(record->finish.renewed, GRI_RENEWED_UNCHANGED);
    assert_int_equal(record->finish.renewal, 3);
    assert_false(record->finish.made);
    assert_int_equal(world->fetches, 1);
    assert_int_equal(world->runs, 0);
    assert_true(world_when(world, "recall") < world_when(world, "fetch") &&
                world_when(world, "fetch") < world_when(world, "lookup"));
    assert_int_equal(world->events, 0);
    world_destroy(world);
}

static void a_tag_from_another_address_says_nothing(void **state) {
    (void)state;
    struct world *world = world_create(0);
    world->answer = unchanged_elsewhere;
    struct fake_record *record = run(world, put_renewal(world, "https://a.test/another picture"));
    assert_int_equal(world->fetches, 2);
    assert_int_equal(record->finish.renewed, GRI_RENEWED_CHANGED);
    assert_true(record->finish.made);
    assert_int_equal(world_count(world, "insert 1"), 1);
    assert_string_equal(world->last_event, "source_changed");
    world_destroy(world);
}

static void a_new_picture_bears_the_life_that_stored_it(void **state) {
    (void)state;
    struct world *world = world_create(0);
    char wanted[GRI_IMAGE_JOB_MAX];
    size_t job = put_renewal(world, "https://a.test/another picture");
    struct fake_record *record = run(world, job);
    gri_format(wanted, sizeof wanted, "%s#3", record->key);
    assert_string_equal(world->last_image.job, wanted);
    assert_int_equal(record->finish.renewed, GRI_RENEWED_CHANGED);
    world_destroy(world);
}

/* What the host says does not bring back what is not here. */
static void unchanged_is_not_enough(void (*answer)(struct world *, struct gri_fetch *), const char *then) {
    struct world *world = world_create(0);
    world->answer = answer;
    struct fake_record *record = run(world, put_renewal(world, URL));
    assert_int_equal(world->fetches, 2);
    assert_int_equal(world_count(world, then), 1);
    assert_int_equal(record->record.state, GRI_URL_DONE);
    assert_int_equal(record->finish.renewed, GRI_RENEWED_UNCHANGED);
    world_destroy(world);
}

static void what_was_deleted_meanwhile_is_fetched(void **state) {
    (void)state;
    unchanged_is_not_enough(unchanged_but_deleted, "insert 1");
}

static void what_was_found_damaged_meanwhile_is_fetched_and_healed(void **state) {
    (void)state;
    unchanged_is_not_enough(unchanged_but_found_damaged, "heal 1");
}

static void what_was_taken_down_meanwhile_stays_so(void **state) {
    (void)state;
    struct world *world = world_create(0);
    world->answer = unchanged_but_taken_down;
    struct fake_record *record = run(world, put_renewal(world, URL));
    assert_int_equal(world->fetches, 1);
    assert_int_equal(record->finish.renewed, GRI_RENEWED_REMOVED);
    assert_true(record->finish.removed);
    world_destroy(world);
}

static void what_was_taken_down_is_not_fetched(void **state) {
    (void)state;
    struct world *world = world_create(0);
    world_say(world, GRI_STREAM_DOWN);
    size_t job = put_renewal(world, URL);
    world->images[0].removed = true;
    struct fake_record *record = run(world, job);
    assert_int_equal(world->fetches, 0);
    assert_int_equal(record->finish.renewed, GRI_RENEWED_REMOVED);
    assert_true(record->finish.removed);
    world_destroy(world);
}

static void what_is_damaged_is_not_asked_about(void **state) {
    (void)state;
    struct world *world = world_create(0);
    world->answer = unchanged; /* to a question that is not asked */
    size_t job = put_renewal(world, URL);
    world->images[0].heal = true;
    struct fake_record *record = run(world, job);
    assert_int_equal(world->fetches, 1);
    assert_int_equal(world_count(world, "heal 1"), 1);
    assert_int_equal(record->finish.renewed, GRI_RENEWED_UNCHANGED);
    world_destroy(world);
}

static void another_version_needs_the_bytes(void **state) {
    (void)state;
    struct world *world = world_create(0);
    world->answer = unchanged;
    size_t job = put_renewal(world, URL);
    char *version = strrchr(world_record(world, job)->record.renew_from, '@') + 1;
    *version = *version == '0' ? '1' : '0';
    struct fake_record *record = run(world, job);
    assert_int_equal(world_count(world, "recall"), 0);
    assert_int_equal(record->finish.renewed, GRI_RENEWED_UNCHANGED); /* the source is the same */
    world_destroy(world);
}

static void in_vain_is_no_dead_letter(void **state) {
    (void)state;
    struct world *world = world_create(0);
    world->answer = gone;
    struct fake_record *record = run(world, put_renewal(world, URL));
    assert_int_equal(record->finish.kind, GRI_FINISH_DEAD);
    assert_int_equal(record->finish.renewed, GRI_RENEWED_FAILED);
    assert_string_equal(world->last_event, "refresh_failed");
    world_destroy(world);
}

static void a_first_life_recalls_nothing(void **state) {
    (void)state;
    struct world *world = world_create(0);
    struct fake_record *record = run(world, world_put(world, URL));
    assert_int_equal(world_count(world, "recall"), 0);
    assert_string_equal(world->last_image.job, record->key);
    assert_int_equal(record->finish.renewed, GRI_RENEWED_NONE);
    world_destroy(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_its_host_still_has_is_not_fetched),
                                       cmocka_unit_test(a_tag_from_another_address_says_nothing),
                                       cmocka_unit_test(a_new_picture_bears_the_life_that_stored_it),
                                       cmocka_unit_test(what_was_deleted_meanwhile_is_fetched),
                                       cmocka_unit_test(what_was_found_damaged_meanwhile_is_fetched_and_healed),
                                       cmocka_unit_test(what_was_taken_down_meanwhile_stays_so),
                                       cmocka_unit_test(what_was_taken_down_is_not_fetched),
                                       cmocka_unit_test(what_is_damaged_is_not_asked_about),
                                       cmocka_unit_test(another_version_needs_the_bytes),
                                       cmocka_unit_test(in_vain_is_no_dead_letter),
                                       cmocka_unit_test(a_first_life_recalls_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
