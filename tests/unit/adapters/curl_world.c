/* SPDX-License-Identifier: Apache-2.0 */
/* curl_world.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "curl_world.h"

int curl_world_begin(void **state) {
    struct curl_world *world = gri_calloc(1, sizeof(*world));
    world->server = raw_server_start();
    world->port = raw_server_port(world->server);
    world->metrics = gri_metrics_create();
    assert_int_equal(uv_loop_init(&world->loop), 0);
    gri_curl_options_init(&world->options);
    world->ranges[0] = "127.0.0.0/8";
    world->options.allow_ranges = world->ranges;
    world->options.allow_range_count = 1;
    world->options.allow_ports = &world->port;
    world->options.allow_port_count = 1;
    world->options.timeout_ms = 5000;
    world->options.max_bytes = 100000;
    world->options.user_agent = "grisaille-test/1";
    *state = world;
    return 0;
}

void curl_world_open(struct curl_world *world) {
    struct gri_error error = {0};
    if (gri_curl_fetcher_create(&world->loop, &world->options, NULL, world->metrics, &world->fetcher, &error) != GRI_OK)
        fail_msg("%s", error.detail);
}

int curl_world_end(void **state) {
    struct curl_world *world = *state;
    gri_curl_fetcher_destroy(world->fetcher);
    while (uv_run(&world->loop, UV_RUN_DEFAULT)) {}
    assert_int_equal(uv_loop_close(&world->loop), 0);
    raw_server_stop(world->server);
    gri_metrics_destroy(world->metrics);
    free(world);
    return 0;
}

static void asked(struct gri_op *op) {
    struct curl_ask *ask = gri_container_of(gri_container_of(op, struct gri_fetch, op), struct curl_ask, fetch);
    assert_false(ask->finished);
    ask->finished = true;
    ask->world->done++;
}

/* `target`: a whole URL, or a path at the server. */
void curl_ask_whether(struct curl_world *world, struct curl_ask *ask, const char *target, const char *etag,
                      const char *modified) {
    if (!world->fetcher) curl_world_open(world);
    if (target[0] == '/') {
        assert_true(gri_format(ask->url, sizeof(ask->url), "http://127.0.0.1:%d%s", world->port, target));
    } else {
        assert_true(gri_copy(ask->url, sizeof(ask->url), target));
    }
    ask->world = world;
    ask->finished = false;
    gri_fetch_init(&ask->fetch, ask->url);
    ask->fetch.op.done = asked;
    ask->fetch.known_etag = etag;
    ask->fetch.known_modified = modified;
    world->fetcher->ops->fetch(world->fetcher, &ask->fetch);
    assert_false(ask->finished); /* never from inside the submit */
}

void curl_ask_begin(struct curl_world *world, struct curl_ask *ask, const char *target) {
    curl_ask_whether(world, ask, target, NULL, NULL);
}

void curl_ask_wait(struct curl_ask *ask) {
    while (!ask->finished)
        uv_run(&ask->world->loop, UV_RUN_ONCE);
}

void curl_get(struct curl_world *world, struct curl_ask *ask, const char *target) {
    curl_ask_begin(world, ask, target);
    curl_ask_wait(ask);
}

/* Fetches, expects the failure, and forgets it. */
void curl_refuses(struct curl_world *world, const char *target, enum gri_reason reason, enum gri_status status) {
    struct curl_ask ask;
    curl_get(world, &ask, target);
    if (ask.fetch.op.status != status || ask.fetch.op.error.reason != reason)
        fail_msg("%s: %s %s: %s", target, gri_status_name(ask.fetch.op.status), gri_reason_name(ask.fetch.op.error.reason),
                 ask.fetch.op.error.detail);
    assert_int_equal(ask.fetch.op.error.status, status);
    assert_true(ask.fetch.op.error.detail[0]);
    gri_fetch_clear(&ask.fetch);
}

void curl_arrives(struct curl_world *world, const char *target) {
    struct curl_ask ask;
    curl_get(world, &ask, target);
    if (ask.fetch.op.status != GRI_OK) fail_msg("%s: %s", target, ask.fetch.op.error.detail);
    gri_fetch_clear(&ask.fetch);
}
