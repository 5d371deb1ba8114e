/* SPDX-License-Identifier: Apache-2.0 */
/* Other options for a fetcher that works: they hold from the next request on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "curl_fetcher.h"
#include "raw_server.h"

struct world {
    uv_loop_t loop;
    struct raw_server *server;
    int port;
    const char *ranges[1];
    struct gri_curl_options options;
    struct gri_fetcher *fetcher;
};

struct ask {
    struct gri_fetch fetch;
    char url[64];
    bool finished;
};

static void asked(struct gri_op *op) {
    gri_container_of(gri_container_of(op, struct gri_fetch, op), struct ask, fetch)->finished = true;
}

static void ask_begin(struct world *world, struct ask *ask, const char *path) {
    assert_true(gri_format(ask->url, sizeof ask->url, "http://127.0.0.1:%d%s", world->port, path));
    ask->finished = false;
    gri_fetch_init(&ask->fetch, ask->url);
    ask->fetch.op.done = asked;
    world->fetcher->ops->fetch(world->fetcher, &ask->fetch);
}

static void wait_for(struct world *world, struct ask *ask) {
    while (!ask->finished)
        uv_run(&world->loop, UV_RUN_ONCE);
}

/* A whole request; expects `reason`, or with GRI_R_none that the server read this User-Agent. */
static void get(struct world *world, const char *path, enum gri_reason reason, const char *agent) {
    struct ask ask;
    ask_begin(world, &ask, path);
    wait_for(world, &ask);
    assert_int_equal(ask.fetch.op.error.reason, reason);
    if (agent) assert_non_null(strstr(gri_bytes_text(&ask.fetch.body), agent));
    gri_fetch_clear(&ask.fetch);
}

static void reload(struct world *world, enum gri_reason reason) {
    struct gri_error error = {0};
    enum gri_status status = gri_curl_fetcher_reload(world->fetcher, &world->options, &error);
    assert_int_equal(status == GRI_OK, reason == GRI_R_none);
    if (status != GRI_OK) assert_int_equal(error.reason, reason);
}

static void open_world(struct world *world) {
    struct gri_error error = {0};
    world->server = raw_server_start();
    world->port = raw_server_port(world->server);
    world->ranges[0] = "127.0.0.0/8";
    gri_curl_options_init(&world->options);
    world->options.allow_ranges = world->ranges;
    world->options.allow_range_count = 1;
    world->options.allow_ports = &world->port;
    world->options.allow_port_count = 1;
    world->options.timeout_ms = 30000;
    world->options.user_agent = "first/1";
    assert_int_equal(uv_loop_init(&world->loop), 0);
    assert_int_equal(gri_curl_fetcher_create(&world->loop, &world->options, NULL, NULL, &world->fetcher, &error), GRI_OK);
}

static void close_world(struct world *world) {
    gri_curl_fetcher_destroy(world->fetcher);
    while (uv_run(&world->loop, UV_RUN_DEFAULT)) {}
    assert_int_equal(uv_loop_close(&world->loop), 0);
    raw_server_stop(world->server);
}

static void other_options_hold_from_the_next_request_on(void **state) {
    (void)state;
    struct world world = {0};
    struct ask first;
    open_world(&world);
    ask_begin(&world, &first, "/stall");
    world.options.timeout_ms = 200;
    reload(&world, GRI_R_none);
    get(&world, "/stall", GRI_R_timeout, NULL); /* begun later, ended sooner */
    assert_false(first.finished);
    world.options.timeout_ms = 30000;
    world.options.user_agent = "another/2";
    reload(&world, GRI_R_none);
    get(&world, "/agent", GRI_R_none, "another/2");
    world.ranges[0] = "nonsense"; /* refused as a whole */
    world.options.user_agent = "third/3";
    reload(&world, GRI_R_config);
    get(&world, "/agent", GRI_R_none, "another/2");
    world.options.allow_range_count = 0;
    reload(&world, GRI_R_none);
    get(&world, "/agent", GRI_R_refused_address, NULL);
    assert_false(first.finished);
    world.fetcher->ops->cancel(world.fetcher, &first.fetch);
    wait_for(&world, &first);
    gri_fetch_clear(&first.fetch);
    close_world(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(other_options_hold_from_the_next_request_on)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
