/* SPDX-License-Identifier: Apache-2.0 */
/* robots.obey: one robots.txt a host and while, what it disallows is dead, what can't be read is put off. */
#include "worker_test.h"

static const char *text;     /* of every robots.txt */
static enum gri_reason why;  /* GRI_R_none: the text is answered */
static int robots, pictures; /* fetches */
static const char *leads_to; /* "https://a.test/led…" leads there; NULL: wherever nobody has been */

/* As the fetcher does: asks before it follows. */
static bool led_astray(struct gri_fetch *fetch) {
    char elsewhere[64];
    if (strncmp(fetch->url, "https://a.test/led", strlen("https://a.test/led")) != 0) return false;
    (void)gri_format(elsewhere, sizeof elsewhere, "https://%d.test/", pictures);
    assert_non_null(fetch->may_follow);
    if (fetch->may_follow(fetch, leads_to ? leads_to : elsewhere)) return false;
    fetch->op.status = gri_fail(&fetch->op.error, GRI_R_redirect_refused, "it may not be followed");
    return true;
}

static void answer(struct world *world, struct gri_fetch *fetch) {
    (void)world;
    size_t len = strlen(fetch->url);
    bool is_robots = len > 11 && strcmp(fetch->url + len - 11, "/robots.txt") == 0;
    robots += is_robots;
    pictures += !is_robots;
    fetch->retry_after_ms = -1;
    if (is_robots && why != GRI_R_none) {
        fetch->http_status = 503;
        fetch->op.status = gri_fail(&fetch->op.error, why, "scripted");
        return;
    }
    if (led_astray(fetch)) return;
    fetch->op.status = GRI_OK;
    fetch->http_status = 200;
    gri_bytes_put(&fetch->body, is_robots ? text : fetch->url);
}

static struct world *begin(const char *robots_txt) {
    struct gri_worker_options options = {.slots = 16,
                                         .robots = {.obey = true, .keep_ms = 10000, .agent = "grisaille"},
                                         .retry = {.base_ms = 1000, .max_age_ms = 60000}};
    struct world *world = world_create_with(&options);
    world->answer = answer;
    text = robots_txt;
    why = GRI_R_none;
    robots = pictures = 0;
    return world;
}

static void one_robots_txt_for_all_of_a_hosts_jobs(void **state) {
    (void)state;
    struct world *world = begin("User-agent: *\nDisallow: /no\n");
    size_t no = world_put(world, "https://a.test/no/1"), yes = world_put(world, "https://a.test/yes/1");
    for (int i = 0; i < 6; i++)
        (void)world_put(world, i % 2 ? "https://a.test/yes/2" : "https://a.test/no?x");
    assert_true(world_settle(world, 5000));
    assert_int_equal(robots, 1);
    assert_int_equal(pictures, 4);
    assert_int_equal(world_record(world, no)->record.state, GRI_URL_DEAD);
    assert_int_equal(world_record(world, no)->finish.error.reason, GRI_R_robots_disallowed);
    assert_non_null(strstr(world_record(world, no)->finish.error.detail, "https://a.test/robots.txt says: Disallow: /no"));
    assert_int_equal(world_record(world, yes)->record.state, GRI_URL_DONE);
    /* another scheme or port is another origin */
    (void)world_put(world, "http://a.test/yes/1");
    (void)world_put(world, "https://a.test:8443/yes/1");
    assert_true(world_settle(world, 5000));
    assert_int_equal(robots, 3);
    world_destroy(world);
}

static void it_is_asked_for_again_after_a_while(void **state) {
    (void)state;
    struct world *world = begin("User-agent: *\nDisallow: /no\n");
    (void)world_put(world, "https://a.test/1");
    assert_true(world_settle(world, 1000));
    world_run(world, 11000);
    text = "User-agent: *\nDisallow: /\n";
    size_t job = world_put(world, "https://a.test/2");
    assert_true(world_settle(world, 1000));
    assert_int_equal(robots, 2);
    assert_int_equal(world_record(world, job)->finish.error.reason, GRI_R_robots_disallowed);
    world_destroy(world);
}

static void what_can_not_be_read_puts_off_and_costs_no_attempt(void **state) {
    (void)state;
    struct world *world = begin("");
    why = GRI_R_http_5xx;
    world->dispatches = true;
    size_t job = world_put(world, "https://a.test/1");
    world_run(world, 3000);
    assert_int_equal(world_record(world, job)->record.state, GRI_URL_WAITING);
    assert_int_equal(world_record(world, job)->finish.error.reason, GRI_R_robots_unreachable);
    assert_false(world_record(world, job)->finish.charge);
    assert_int_equal(pictures, 0);
    why = GRI_R_none;
    world_run(world, 20000);
    assert_int_equal(world_record(world, job)->record.state, GRI_URL_DONE);
    /* once it was read, that stays in force while it can't be */
    why = GRI_R_timeout;
    text = "User-agent: *\nDisallow: /\n";
    size_t later = world_put(world, "https://a.test/2");
    assert_true(world_settle(world, 5000));
    assert_int_equal(world_record(world, later)->record.state, GRI_URL_DONE);
    world_destroy(world);
}

static void it_is_not_put_off_for_ever(void **state) {
    (void)state;
    struct world *world = begin("");
    why = GRI_R_http_5xx;
    world_say(world, GRI_STREAM_DOWN);
    size_t job = world_put(world, "https://a.test/1");
    world_record(world, job)->record.age_ms = 61000;
    world_say(world, GRI_STREAM_UP);
    assert_true(world_settle(world, 1000));
    assert_true(world_record(world, job)->finish.charge);
    world_destroy(world);
}

static void what_is_no_robots_txt_allows_all(void **state) {
    static const enum gri_reason reasons[] = {GRI_R_http_4xx, GRI_R_redirect_limit, GRI_R_empty, GRI_R_refused_address,
                                              GRI_R_tls};
    (void)state;
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        struct world *world = begin("");
        why = reasons[i];
        size_t job = world_put(world, "https://a.test/1");
        assert_true(world_settle(world, 1000));
        assert_int_equal(world_record(world, job)->record.state, GRI_URL_DONE);
        world_destroy(world);
    }
}

static void a_host_that_is_not_there_fails_as_its_own_fetch_would(void **state) {
    (void)state;
    struct world *world = begin("");
    why = GRI_R_dns;
    size_t job = world_put(world, "https://a.test/1");
    assert_true(world_settle(world, 1000));
    assert_int_equal(world_record(world, job)->finish.error.reason, GRI_R_dns);
    assert_true(world_record(world, job)->finish.charge);
    world_destroy(world);
}

static void where_a_host_leads_is_asked_before_it_is_followed(void **state) {
    (void)state;
    struct world *world = begin("User-agent: *\nDisallow: /no\n");
    leads_to = "https://b.test/yes";
    size_t first = world_put(world, "https://a.test/led/1");
    assert_true(world_settle(world, 5000));
    assert_int_equal(world_record(world, first)->record.state, GRI_URL_DONE);
    assert_int_equal(robots, 2);
    assert_int_equal(pictures, 2); /* the second try knew */
    size_t second = world_put(world, "https://a.test/led/2");
    assert_true(world_settle(world, 5000));
    assert_int_equal(world_record(world, second)->record.state, GRI_URL_DONE);
    assert_int_equal(pictures, 3);
    leads_to = "https://b.test/no/picture";
    size_t third = world_put(world, "https://a.test/led/3");
    assert_true(world_settle(world, 5000));
    assert_int_equal(world_record(world, third)->finish.error.reason, GRI_R_robots_disallowed);
    assert_non_null(strstr(world_record(world, third)->finish.error.detail, "https://b.test/robots.txt says: Disallow: /no"));
    assert_int_equal(robots, 2);
    world_destroy(world);
}

static void a_host_that_leads_elsewhere_each_time_comes_to_an_end(void **state) {
    (void)state;
    struct world *world = begin("");
    leads_to = NULL;
    size_t job = world_put(world, "https://a.test/led/1");
    assert_true(world_settle(world, 20000));
    assert_int_equal(world_record(world, job)->finish.error.reason, GRI_R_redirect_limit);
    assert_true(pictures < 12);
    world_destroy(world);
}

static void note_drained(void *arg) {
    ((struct world *)arg)->drained = true;
}

static void a_lost_job_waits_no_more_and_a_drain_waits_for_the_fetch(void **state) {
    (void)state;
    struct world *world = begin("");
    world->hold_fetches = true;
    size_t job = world_put(world, "https://a.test/1");
    world_run(world, 100);
    world->entries[job].fenced = true;
    world_run(world, 6000);
    assert_int_equal(gri_worker_busy(world->worker), 0);
    assert_int_equal(world_count(world, "finish") + world_count(world, "ack"), 0);
    gri_worker_drain(world->worker, note_drained, world);
    world_run(world, 1000);
    assert_false(world->drained);
    world->fetcher.ops->cancel(&world->fetcher, world->held[0]); /* as the fetcher's own deadline would */
    world_run(world, 1000);
    assert_true(world->drained);
    world_destroy(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_robots_txt_for_all_of_a_hosts_jobs),
        cmocka_unit_test(it_is_asked_for_again_after_a_while),
        cmocka_unit_test(what_can_not_be_read_puts_off_and_costs_no_attempt),
        cmocka_unit_test(it_is_not_put_off_for_ever),
        cmocka_unit_test(what_is_no_robots_txt_allows_all),
        cmocka_unit_test(a_host_that_is_not_there_fails_as_its_own_fetch_would),
        cmocka_unit_test(a_lost_job_waits_no_more_and_a_drain_waits_for_the_fetch),
        cmocka_unit_test(where_a_host_leads_is_asked_before_it_is_followed),
        cmocka_unit_test(a_host_that_leads_elsewhere_each_time_comes_to_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
