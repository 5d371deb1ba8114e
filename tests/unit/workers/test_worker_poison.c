/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs that were delivered over three times: a child each, one at a time; what its end means; damaged pictures made anew. */
#include "worker_fake_ports.h"
#include "worker_test.h"

enum { CHILDREN = 32 };

/* An isolator whose children end as the test says, in order; the last plan repeats. */
struct fake_isolator {
    struct gri_isolator port;
    struct world *world;
    enum { ANSWER, ANSWER_404, ANSWER_429, ANSWER_BAD, DIE, BE_KILLED, NEVER } plan[CHILDREN];
    size_t planned, started, running, running_most, cancelled;
    struct gri_isolated *now;
    char definition[256];
};

static void child_ends(void *arg) {
    struct fake_isolator *isolator = arg;
    struct gri_isolated *request = isolator->now;
    int plan = isolator->plan[isolator->started <= isolator->planned ? isolator->started - 1 : isolator->planned - 1];
    isolator->running--;
    request->end = plan == DIE ? GRI_ISOLATED_DIED : plan == BE_KILLED ? GRI_ISOLATED_KILLED : GRI_ISOLATED_ANSWERED;
    request->op.status = GRI_OK;
    if (plan == ANSWER || plan == ANSWER_BAD) {
        request->fetch.http_status = 200;
        gri_bytes_put(&request->fetch.body, request->url);
    }
    if (plan == ANSWER) {
        gri_bytes_init(&request->picture.output, 0);
        gri_bytes_put(&request->picture.output, "made by a child");
        gri_copy(request->picture.content_type, sizeof request->picture.content_type, "image/png");
    } else if (plan == ANSWER_404 || plan == ANSWER_429) {
        request->fetch.http_status = plan == ANSWER_404 ? 404 : 429;
        request->fetch.throttled = plan == ANSWER_429;
        request->fetch.retry_after_ms = plan == ANSWER_429 ? 60000 : -1;
        request->fetch.op.status =
            gri_fail(&request->fetch.op.error, plan == ANSWER_404 ? GRI_R_http_4xx : GRI_R_rate_limited, "no");
        request->op.status = request->fetch.op.status;
        request->op.error = request->fetch.op.error;
    } else if (plan == ANSWER_BAD) {
        request->op.status = gri_fail(&request->op.error, GRI_R_corrupt_image, "broken");
    } else if (plan == DIE) {
        request->op.status = gri_fail(&request->op.error, GRI_R_poison, "died");
    } else if (plan == BE_KILLED) {
        request->op.status = gri_fail_as(&request->op.error, GRI_RETRY, GRI_R_no_memory, "was killed");
    }
    request->op.done(&request->op);
}

static void run(struct gri_isolator *port, struct gri_isolated *request) {
    struct fake_isolator *isolator = gri_container_of(port, struct fake_isolator, port);
    assert_true(isolator->planned > 0);
    isolator->started++;
    isolator->running++;
    if (isolator->running > isolator->running_most) isolator->running_most = isolator->running;
    isolator->now = request;
    gri_format(isolator->definition, sizeof isolator->definition, "%.*s", (int)request->definition.len,
               (const char *)request->definition.data);
    if (isolator->plan[isolator->planned - 1] != NEVER) gri_timer_start(&isolator->world->loop, 50, child_ends, isolator);
}

static void cancelled(void *arg) {
    struct fake_isolator *isolator = arg;
    isolator->running--;
    isolator->now->end = GRI_ISOLATED_KILLED;
    isolator->now->op.status = gri_fail(&isolator->now->op.error, GRI_R_timeout, "was cancelled");
    isolator->now->op.done(&isolator->now->op);
}

static void cancel(struct gri_isolator *port, struct gri_isolated *request) {
    struct fake_isolator *isolator = gri_container_of(port, struct fake_isolator, port);
    assert_ptr_equal(request, isolator->now);
    isolator->cancelled++;
    gri_timer_start(&isolator->world->loop, 1, cancelled, isolator);
}

static const struct gri_isolator_ops isolator_ops = {.run = run, .cancel = cancel};

static struct world *poison_world(struct fake_isolator *isolator, int plan) {
    *isolator = (struct fake_isolator){.port.ops = &isolator_ops, .planned = 1};
    isolator->plan[0] = (unsigned)plan;
    isolator->world = world_create_with(&(struct gri_worker_options){.slots = 8, .isolator = &isolator->port});
    return isolator->world;
}

/* Delivered so often by now. */
static size_t put_suspect(struct world *world, const char *url, int64_t deliveries) {
    world->deliveries = deliveries;
    size_t job = world_put(world, url);
    world->deliveries = 0;
    return job;
}

static void the_fourth_delivery_runs_in_a_child_and_its_picture_is_stored(void **state) {
    (void)state;
    struct fake_isolator isolator;
    struct world *world = poison_world(&isolator, ANSWER);
    size_t job = put_suspect(world, "https://a.test/1", 4);
    assert_true(world_settle(world, 60000));
    assert_int_equal(isolator.started, 1);
    assert_int_equal(world->fetches, 0);
    assert_int_equal(world->runs, 0);
    assert_true(strlen(isolator.definition) > 0);
    struct fake_record *record = world_record(world, job);
    assert_int_equal(record->record.state, GRI_URL_DONE);
    assert_true(record->finish.made);
    assert_string_equal(world->last_image.content_type, "image/png");
    char id[GRI_IMAGE_ID_MAX];
    world_image_id("https://a.test/1", id); /* of the source, not of the picture */
    assert_string_equal(record->finish.image, id);
    world_destroy(world);
}

static void the_third_delivery_runs_like_any_other(void **state) {
    (void)state;
    struct fake_isolator isolator;
    struct world *world = poison_world(&isolator, DIE);
    size_t job = put_suspect(world, "https://a.test/1", 3);
    assert_true(world_settle(world, 60000));
    assert_int_equal(isolator.started, 0);
    assert_int_equal(world_record(world, job)->record.state, GRI_URL_DONE);
    world_destroy(world);
}

static void two_children_that_die_make_it_poison(void **state) {
    (void)state;
    struct fake_isolator isolator;
    struct world *world = poison_world(&isolator, DIE);
    size_t job = put_suspect(world, "https://a.test/1", 4);
    assert_true(world_settle(world, 60000));
    assert_int_equal(isolator.started, 2);
    struct fake_record *record = world_record(world, job);
    assert_int_equal(record->record.state, GRI_URL_DEAD);
    assert_int_equal(record->finish.error.reason, GRI_R_poison);
    assert_int_equal(world_count(world, "insert"), 0);
    world_destroy(world);
}

static void one_death_and_one_answer_is_no_poison(void **state) {
    (void)state;
    struct fake_isolator isolator;
    struct world *world = poison_world(&isolator, DIE);
    isolator.plan[1] = ANSWER;
    isolator.planned = 2;
    size_t job = put_suspect(world, "https://a.test/1", 9);
    assert_true(world_settle(world, 60000));
    assert_int_equal(isolator.started, 2);
    assert_int_equal(world_record(world, job)->record.state, GRI_URL_DONE);
    world_destroy(world);
}

static void a_child_killed_from_outside_is_no_verdict(void **state) {
    (void)state;
    struct fake_isolator isolator;
    struct world *world = poison_world(&isolator, DIE);
    isolator.plan[1] = BE_KILLED;
    isolator.planned = 2;
    size_t job = put_suspect(world, "https://a.test/1", 4);
    assert_true(world_settle(world, 60000));
    struct fake_record *record = world_record(world, job);
    assert_int_equal(record->record.state, GRI_URL_WAITING);
    assert_int_equal(record->finish.error.reason, GRI_R_no_memory);
    assert_true(record->finish.charge);
    world_destroy(world);
}

static void a_job_whose_child_was_killed_is_isolated_at_its_next_try_too(void **state) {
    (void)state;
    struct fake_isolator isolator;
    struct world *world = poison_world(&isolator, ANSWER);
    size_t job = world_put(world, "https://a.test/1");
    world_record(world, job)->record.reason = GRI_R_no_memory;
    assert_true(world_settle(world, 60000));
    assert_int_equal(isolator.started, 1);
    assert_int_equal(world->fetches, 0);
    world_destroy(world);
}

static void failures_that_a_child_reports_are_like_any_others(void **state) {
    (void)state;
    struct fake_isolator isolator;
    struct world *world = poison_world(&isolator, ANSWER_404);
    isolator.plan[1] = ANSWER_BAD;
    isolator.plan[2] = ANSWER_429;
    isolator.planned = 3;
    size_t missing = put_suspect(world, "https://a.test/1", 4);
    assert_true(world_settle(world, 60000));
    assert_int_equal(world_record(world, missing)->finish.error.reason, GRI_R_http_4xx);
    assert_int_equal(world_record(world, missing)->record.state, GRI_URL_DEAD);
    size_t bad = put_suspect(world, "https://a.test/2", 4);
    assert_true(world_settle(world, 60000));
    assert_int_equal(world_record(world, bad)->finish.error.reason, GRI_R_corrupt_image);
    size_t throttled = put_suspect(world, "https://a.test/3", 4);
    assert_true(world_settle(world, 60000));
    assert_int_equal(world_record(world, throttled)->record.state, GRI_URL_WAITING);
    assert_false(world_record(world, throttled)->finish.charge);
    assert_int_equal(isolator.started, 3);
    world_destroy(world);
}

static void suspects_run_one_at_a_time_beside_the_others(void **state) {
    (void)state;
    struct fake_isolator isolator;
    struct world *world = poison_world(&isolator, ANSWER);
    char url[64];
    for (int i = 0; i < 12; i++) {
        gri_format(url, sizeof url, "https://a.test/%d", i);
        put_suspect(world, url, i % 2 ? 5 : 1);
    }
    assert_true(world_settle(world, 120000));
    assert_int_equal(isolator.started, 6);
    assert_int_equal(isolator.running_most, 1);
    assert_int_equal(world->fetches, 6);
    world_destroy(world);
}

static void a_fenced_suspect_kills_its_child_and_lets_the_next_one_run(void **state) {
    (void)state;
    struct fake_isolator isolator;
    struct world *world = poison_world(&isolator, NEVER);
    size_t first = put_suspect(world, "https://a.test/1", 4);
    world_run(world, 40000);
    assert_int_equal(isolator.started, 1);
    world->entries[first].fenced = true;
    world->entries[first].deliveries = 1; /* never handed out again */
    isolator.plan[0] = ANSWER;
    size_t second = put_suspect(world, "https://a.test/2", 4);
    world_run(world, 60000);
    assert_int_equal(isolator.cancelled, 1);
    assert_int_equal(world_record(world, second)->record.state, GRI_URL_DONE);
    assert_int_equal(world_record(world, first)->record.state, GRI_URL_QUEUED);
    world_destroy(world);
}

static void note_drained(void *arg) {
    ((struct world *)arg)->drained = true;
}

static void a_drain_finishes_the_child_under_way_and_begins_no_other(void **state) {
    (void)state;
    struct fake_isolator isolator;
    struct world *world = poison_world(&isolator, ANSWER);
    size_t first = put_suspect(world, "https://a.test/1", 4);
    put_suspect(world, "https://a.test/2", 4);
    for (int ms = 0; ms < 1000 && isolator.started == 0; ms++)
        world_run(world, 1);
    gri_worker_drain(world->worker, note_drained, world);
    world_run(world, 2000);
    assert_true(world->drained);
    assert_int_equal(isolator.started, 1);
    assert_int_equal(world_record(world, first)->record.state, GRI_URL_DONE);
    assert_int_equal(world->acked, 1);
    world_destroy(world);
}

static void a_worker_that_holds_the_bytes_heals_a_damaged_picture(void **state) {
    (void)state;
    struct world *world = world_create(4);
    char id[GRI_IMAGE_ID_MAX];
    world_image_id("https://a.test/1", id);
    world_add_image(world, id, "the job that made it", false);
    world->images[world->image_count - 1].heal = true;
    size_t job = world_put(world, "https://a.test/1");
    assert_true(world_settle(world, 10000));
    assert_int_equal(world_count(world, "heal 1"), 1);
    assert_int_equal(world_count(world, "insert"), 0);
    assert_int_equal(world->runs, 1);
    assert_string_equal(world->last_image.job, "the job that made it");
    assert_int_equal(world->last_image.inserted_at_ms, 777);
    assert_int_equal(strlen(world->last_image.sums.document), 64);
    struct fake_record *record = world_record(world, job);
    assert_int_equal(record->record.state, GRI_URL_DONE);
    assert_string_equal(record->finish.image, id);
    assert_false(record->finish.made);
    world_destroy(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_fourth_delivery_runs_in_a_child_and_its_picture_is_stored),
                                       cmocka_unit_test(the_third_delivery_runs_like_any_other),
                                       cmocka_unit_test(two_children_that_die_make_it_poison),
                                       cmocka_unit_test(one_death_and_one_answer_is_no_poison),
                                       cmocka_unit_test(a_child_killed_from_outside_is_no_verdict),
                                       cmocka_unit_test(a_job_whose_child_was_killed_is_isolated_at_its_next_try_too),
                                       cmocka_unit_test(failures_that_a_child_reports_are_like_any_others),
                                       cmocka_unit_test(suspects_run_one_at_a_time_beside_the_others),
                                       cmocka_unit_test(a_fenced_suspect_kills_its_child_and_lets_the_next_one_run),
                                       cmocka_unit_test(a_drain_finishes_the_child_under_way_and_begins_no_other),
                                       cmocka_unit_test(a_worker_that_holds_the_bytes_heals_a_damaged_picture)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
