/* SPDX-License-Identifier: Apache-2.0 */
/* Heartbeats, fences, reclaims, deadlines, outages and drain. */
#include "worker_test.h"

static void heartbeats_go_on_and_reading_stops_while_mongodb_is_away(void **state) {
    (void)state;
    struct world *world = world_create(4);
    world->fetch_ms = 100;
    size_t job = world_put(world, "https://a.test/1");
    world_run(world, 60); /* fetching */
    world->ledger_away = true;
    world_run(world, 3000);                             /* a blocked read ends, maybe */
    size_t late = world_put(world, "https://a.test/2"); /* the read that was out gets this one */
    world_run(world, 1000);
    size_t reads = world->read_asked;
    int beats = world->heartbeats;
    world_run(world, 60000);
    assert_int_equal(world->read_asked, reads);
    assert_true(world->heartbeats >= beats + 11);
    assert_int_equal(world->heartbeat_ids, gri_worker_busy(world->worker));
    assert_false(gri_worker_ready(world->worker));
    assert_int_equal(world->acked, 0);
    world->ledger_away = false;
    assert_true(world_settle(world, 20000));
    assert_int_equal(world_record(world, job)->record.state, GRI_URL_DONE);
    assert_int_equal(world_record(world, late)->record.state, GRI_URL_DONE);
    assert_int_equal(world->fetches, 2);
    assert_true(gri_worker_ready(world->worker));
    world_destroy(world);
}

static void a_fenced_job_is_dropped_without_effects(void **state) {
    (void)state;
    struct world *world = world_create(4);
    world->hold_fetches = true;
    size_t job = world_put(world, "https://a.test/1");
    world_run(world, 100);
    assert_int_equal(world->fetches, 1);
    world->entries[job].fenced = true;
    world_run(world, 6000);
    assert_int_equal(world->cancelled, 1);
    assert_int_equal(gri_worker_busy(world->worker), 0);
    assert_int_equal(world_count(world, "finish") + world_count(world, "ack") + world_count(world, "insert"), 0);
    world_destroy(world);
}

/* Whoever took the entry may have looked for its image before it was there, and have given the URL up. */
static void a_job_fenced_while_its_image_is_stored_is_still_linked(void **state) {
    (void)state;
    struct world *world = world_create(4);
    world->inserts_unknown = 10;
    size_t job = world_put(world, "https://a.test/1");
    world_run(world, 100);
    world->entries[job].fenced = true;
    world_record(world, job)->record.state = GRI_URL_DEAD;
    world_run(world, 120000);
    assert_true(world_count(world, "insert") > 1);
    assert_int_equal(world->heartbeats > 1, 1);
    assert_int_equal(world_count(world, "finish"), 1);
    assert_int_equal(world_record(world, job)->record.state, GRI_URL_DONE);
    assert_int_equal(gri_worker_busy(world->worker), 0);
    world_destroy(world);
}

static void a_fenced_ack_frees_the_slot(void **state) {
    (void)state;
    struct gri_metrics *metrics = gri_metrics_create();
    struct world *world = world_create_with(&(struct gri_worker_options){.slots = 4, .metrics = metrics});
    size_t job = world_put(world, "https://a.test/1");
    world->entries[job].fenced = true;
    world_run(world, 1000);
    assert_int_equal(world_count(world, "ack"), 1);
    assert_int_equal(gri_worker_busy(world->worker), 0);
    struct gri_bytes text;
    gri_bytes_init(&text, 0);
    gri_metrics_render(metrics, &text);
    assert_non_null(strstr(gri_bytes_text(&text), "grisaille_fenced_total 1"));
    gri_bytes_clear(&text);
    world_destroy(world);
    gri_metrics_destroy(metrics);
}

static void a_failed_ack_is_repeated(void **state) {
    (void)state;
    struct world *world = world_create(4);
    world->acks_failing = 3;
    world_put(world, "https://a.test/1");
    assert_true(world_settle(world, 10000));
    assert_int_equal(world_count(world, "ack"), 4);
    assert_int_equal(world_count(world, "insert"), 1);
    world_destroy(world);
}

static void nothing_is_reclaimed_in_the_first_lease_and_heartbeats_go_first(void **state) {
    (void)state;
    struct world *world = world_create_with(&(struct gri_worker_options){.slots = 4, .job_timeout_ms = 1000000});
    world->hold_fetches = true;
    world_put(world, "https://a.test/1");
    world_run(world, 60000);
    assert_true(world_count(world, "reclaim") > 0);
    world_say(world, GRI_STREAM_DOWN);
    world->trace[0] = '\0';
    world_run(world, 40000);
    world_say(world, GRI_STREAM_EPOCH);
    world_run(world, 29000);
    assert_int_equal(world_count(world, "reclaim"), 0);
    assert_int_equal(world_when(world, "heartbeat 1"), 0);
    world_run(world, 8000);
    assert_true(world_count(world, "reclaim") > 0);
    world->hold_fetches = false;
    world_destroy(world);
}

static void a_silent_workers_job_is_taken_over(void **state) {
    (void)state;
    struct gri_metrics *metrics = gri_metrics_create();
    struct world *world = world_create_with(&(struct gri_worker_options){.slots = 4, .metrics = metrics});
    world_say(world, GRI_STREAM_DOWN);
    size_t job = world_put(world, "https://a.test/1");
    world->entries[job].read = true; /* by another */
    world->entries[job].deliveries = 2;
    world_say(world, GRI_STREAM_UP);
    assert_true(world_settle(world, 60000));
    assert_int_equal(world_record(world, job)->record.state, GRI_URL_DONE);
    assert_string_equal(world->last_event, "reclaimed");
    struct gri_bytes text;
    gri_bytes_init(&text, 0);
    gri_metrics_render(metrics, &text);
    assert_non_null(strstr(gri_bytes_text(&text), "grisaille_reclaims_total 1"));
    gri_bytes_clear(&text);
    world_destroy(world);
    gri_metrics_destroy(metrics);
}

static void our_own_job_reclaimed_by_ourselves_runs_once(void **state) {
    (void)state;
    struct world *world = world_create(4);
    world->fetch_ms = 50000;
    size_t job = world_put(world, "https://a.test/1");
    world_run(world, 100);
    world->entries[job].deliveries = 2; /* the model will hand it out at every reclaim */
    assert_true(world_settle(world, 60000));
    assert_true(world_count(world, "reclaim 1") > 0);
    assert_int_equal(world->fetches, 1);
    world_destroy(world);
}

static void a_job_past_its_deadline_has_no_heartbeat_and_is_dropped(void **state) {
    (void)state;
    struct world *world = world_create_with(&(struct gri_worker_options){.slots = 4, .job_timeout_ms = 10000});
    world->hold_fetches = true;
    world_put(world, "https://a.test/1");
    world_run(world, 9000);
    assert_int_equal(world->cancelled, 0);
    world_run(world, 1500);
    assert_int_equal(world->cancelled, 1);
    assert_int_equal(gri_worker_busy(world->worker), 0);
    int beats = world->heartbeats;
    world_run(world, 12000);
    assert_int_equal(world->heartbeats, beats);
    assert_int_equal(world->acked, 0);
    assert_false(world->hung);
    world_destroy(world);
}

static void waiting_for_mongodb_does_not_count_against_the_deadline(void **state) {
    (void)state;
    struct world *world = world_create_with(&(struct gri_worker_options){.slots = 4, .job_timeout_ms = 10000});
    world->fetch_ms = 100;
    size_t job = world_put(world, "https://a.test/1");
    world_run(world, 60);
    world->ledger_away = true;
    world_run(world, 100000);
    world->ledger_away = false;
    assert_true(world_settle(world, 20000));
    assert_int_equal(world_record(world, job)->record.state, GRI_URL_DONE);
    assert_int_equal(world->fetches, 1);
    world_destroy(world);
}

static struct gri_task *stuck;

static bool submit_and_stick(struct gri_executor *executor, struct gri_task *task) {
    (void)executor;
    stuck = task; /* queued, never begun */
    return true;
}

static void a_task_that_waits_for_a_thread_is_not_called_hung(void **state) {
    (void)state;
    struct world *world = world_create_with(&(struct gri_worker_options){.slots = 4, .job_timeout_ms = 10000});
    world->cpu.submit = submit_and_stick;
    world_put(world, "https://a.test/1");
    world_run(world, 60000);
    assert_non_null(stuck);
    assert_false(world->hung);
    assert_int_equal(world->acked, 0);
    stuck->work(stuck); /* comes back at last: quietly dropped */
    stuck->done(stuck);
    world_run(world, 1000);
    assert_int_equal(gri_worker_busy(world->worker), 0);
    assert_int_equal(world_count(world, "lookup"), 0);
    world_destroy(world);
}

static void a_thread_that_does_not_come_back_is_reported(void **state) {
    (void)state;
    struct world *world = world_create_with(&(struct gri_worker_options){.slots = 4, .job_timeout_ms = 10000});
    world->codec_ms = 14000; /* late, but it comes back within the grace */
    world_put(world, "https://a.test/1");
    world_run(world, 20000);
    assert_false(world->hung);
    assert_int_equal(gri_worker_busy(world->worker), 0);
    world->codec_ms = 16000;
    world_put(world, "https://a.test/2");
    world_run(world, 20000);
    assert_true(world->hung);
    assert_int_equal(world->acked, 0);
    world_destroy(world);
}

static void note_drained(void *arg) {
    ((struct world *)arg)->drained = true;
}

static void a_drain_finishes_all_and_leaves_nothing(void **state) {
    (void)state;
    struct world *world = world_create(4);
    world->fetch_ms = 1000;
    for (int i = 0; i < 10; i++) {
        char url[64];
        gri_format(url, sizeof url, "https://a.test/%d", i);
        world_put(world, url);
    }
    world_run(world, 200);
    assert_int_equal(gri_worker_busy(world->worker), 4);
    gri_worker_drain(world->worker, note_drained, world);
    assert_false(world->drained);
    world_run(world, 5000);
    assert_true(world->drained && world->left);
    assert_int_equal(world->acked, 4); /* what was in hand, and nothing more was read */
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(world->entries[i].read, world->entries[i].acked);
    world_destroy(world);
}

static void an_idle_worker_drains_at_once(void **state) {
    (void)state;
    struct world *world = world_create(4);
    world_run(world, 100);
    gri_worker_drain(world->worker, note_drained, world);
    world_run(world, 300);
    assert_true(world->drained);
    world_destroy(world);
}

static void a_failed_read_is_tried_again(void **state) {
    (void)state;
    struct world *world = world_create(4);
    world->reads_failing = 3;
    world_put(world, "https://a.test/1");
    world_run(world, 1000);
    assert_in_range(world->read_asked, 1, 3); /* not in a tight loop */
    assert_true(world_settle(world, 3000));
    world_destroy(world);
}

static void the_clockwork_ticks(void **state) {
    (void)state;
    struct world *world = world_create(4);
    world_run(world, 10000);
    assert_true(world->now - gri_worker_last_tick_ms(world->worker) <= 250);
    world_destroy(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(heartbeats_go_on_and_reading_stops_while_mongodb_is_away),
                                       cmocka_unit_test(a_fenced_job_is_dropped_without_effects),
                                       cmocka_unit_test(a_job_fenced_while_its_image_is_stored_is_still_linked),
                                       cmocka_unit_test(a_fenced_ack_frees_the_slot),
                                       cmocka_unit_test(a_failed_ack_is_repeated),
                                       cmocka_unit_test(nothing_is_reclaimed_in_the_first_lease_and_heartbeats_go_first),
                                       cmocka_unit_test(a_silent_workers_job_is_taken_over),
                                       cmocka_unit_test(our_own_job_reclaimed_by_ourselves_runs_once),
                                       cmocka_unit_test(a_job_past_its_deadline_has_no_heartbeat_and_is_dropped),
                                       cmocka_unit_test(waiting_for_mongodb_does_not_count_against_the_deadline),
                                       cmocka_unit_test(a_task_that_waits_for_a_thread_is_not_called_hung),
                                       cmocka_unit_test(a_thread_that_does_not_come_back_is_reported),
                                       cmocka_unit_test(a_drain_finishes_all_and_leaves_nothing),
                                       cmocka_unit_test(an_idle_worker_drains_at_once),
                                       cmocka_unit_test(a_failed_read_is_tried_again),
                                       cmocka_unit_test(the_clockwork_ticks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
