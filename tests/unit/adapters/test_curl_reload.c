/* SPDX-License-Identifier: Apache-2.0 */
/* Other options for a fetcher that works: they hold from the next request on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "curl_world.h"

/* A whole request; expects `reason`, or with GRI_R_none that the server read this User-Agent. */
static void get(struct curl_world *world, const char *path, enum gri_reason reason, const char *agent) {
    struct curl_ask ask;
    curl_get(world, &ask, path);
    assert_int_equal(ask.fetch.op.error.reason, reason);
    if (agent) assert_non_null(strstr(gri_bytes_text(&ask.fetch.body), agent));
    gri_fetch_clear(&ask.fetch);
}

static void reload(struct curl_world *world, enum gri_reason reason) {
    struct gri_error error = {0};
    enum gri_status status = gri_curl_fetcher_reload(world->fetcher, &world->options, &error);
    assert_int_equal(status == GRI_OK, reason == GRI_R_none);
    if (status != GRI_OK) assert_int_equal(error.reason, reason);
}

static void other_options_hold_from_the_next_request_on(void **state) {
    struct curl_world *world = *state;
    struct curl_ask first;
    world->options.timeout_ms = 30000;
    curl_ask_begin(world, &first, "/stall");
    world->options.timeout_ms = 200;
    reload(world, GRI_R_none);
    get(world, "/stall", GRI_R_timeout, NULL); /* begun later, ended sooner */
    assert_false(first.finished);
    world->options.timeout_ms = 30000;
    world->options.user_agent = "another/2";
    reload(world, GRI_R_none);
    get(world, "/agent", GRI_R_none, "another/2");
    world->ranges[0] = "nonsense"; /* refused as a whole */
    world->options.user_agent = "third/3";
    reload(world, GRI_R_config);
    get(world, "/agent", GRI_R_none, "another/2");
    world->options.allow_range_count = 0;
    reload(world, GRI_R_none);
    get(world, "/agent", GRI_R_refused_address, NULL);
    assert_false(first.finished);
    world->fetcher->ops->cancel(world->fetcher, &first.fetch);
    curl_ask_wait(&first);
    gri_fetch_clear(&first.fetch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(other_options_hold_from_the_next_request_on, curl_world_begin, curl_world_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
