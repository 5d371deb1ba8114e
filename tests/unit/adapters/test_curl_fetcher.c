/* SPDX-License-Identifier: Apache-2.0 */
/* The fetcher against a server that behaves and misbehaves on demand: outcome, outputs, limits, connections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "curl_state.h"
#include "curl_world.h"

enum { PARALLEL = 8 };

static void a_body_comes_with_what_its_headers_tell(void **state) {
    struct curl_ask ask;
    curl_get(*state, &ask, "/ok");
    assert_int_equal(ask.fetch.op.status, GRI_OK);
    assert_int_equal(ask.fetch.http_status, 200);
    assert_string_equal(gri_bytes_text(&ask.fetch.body), "0123456789");
    assert_string_equal(ask.fetch.content_type, "image/jpeg");
    assert_string_equal(ask.fetch.provider_id, "237");
    assert_string_equal(ask.fetch.etag, "\"e?\"");
    assert_string_equal(ask.fetch.last_modified, "Sat, 21 Nov 2026 09:00:00 GMT");
    assert_string_equal(ask.fetch.final_url, ask.url);
    assert_int_equal(ask.fetch.redirects, 0);
    assert_int_equal(ask.fetch.retry_after_ms, -1);
    assert_false(ask.fetch.throttled);
    assert_true(ask.fetch.total_seconds > 0);
    gri_fetch_clear(&ask.fetch);
}

static void no_more_of_a_body_comes_than_is_wanted(void **state) {
    struct curl_ask ask;
    curl_ask_begin(*state, &ask, "/ok");
    ask.fetch.keep = 4; /* in time: the answer is not here yet */
    curl_ask_wait(&ask);
    assert_int_equal(ask.fetch.op.status, GRI_OK);
    assert_string_equal(gri_bytes_text(&ask.fetch.body), "0123");
    gri_fetch_clear(&ask.fetch);
    curl_get(*state, &ask, "/ok"); /* and the next one is whole */
    assert_string_equal(gri_bytes_text(&ask.fetch.body), "0123456789");
    gri_fetch_clear(&ask.fetch);
}

static void a_host_is_asked_whether_it_has_changed(void **state) {
    struct curl_ask ask;
    for (int i = 0; i < 2; i++) { /* and the connection serves unconditional requests afterwards */
        curl_ask_whether(*state, &ask, "/tagged", "\"t\"", "Sat, 21 Nov 2026 09:00:00 GMT");
        curl_ask_wait(&ask);
        assert_int_equal(ask.fetch.op.status, GRI_OK);
        assert_true(ask.fetch.not_modified);
        assert_int_equal(ask.fetch.http_status, 304);
        assert_int_equal(ask.fetch.body.len, 0);
        assert_string_equal(ask.fetch.final_url, ask.url);
        gri_fetch_clear(&ask.fetch);
        curl_get(*state, &ask, "/tagged");
        assert_false(ask.fetch.not_modified);
        assert_string_equal(gri_bytes_text(&ask.fetch.body), "whole");
        gri_fetch_clear(&ask.fetch);
    }
    curl_ask_whether(*state, &ask, "/tagged", "\"other\"", NULL);
    curl_ask_wait(&ask);
    assert_false(ask.fetch.not_modified);
    assert_string_equal(gri_bytes_text(&ask.fetch.body), "whole");
    gri_fetch_clear(&ask.fetch);
    curl_refuses(*state, "/status/304", GRI_R_redirect_refused, GRI_PERMANENT); /* nobody had asked */
}

/* Some hosts say anything: what is no tag and no date is not sent back, `*` least of all. */
static void only_tags_and_dates_are_sent_back(void **state) {
    static const char *const tags[] = {"*", "t", "\"", "W/\"", "\"a\", \"b\"", "", "\"t\r\nCookie: a\""};
    struct curl_ask ask;
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
        curl_ask_whether(*state, &ask, "/agent", tags[i], i % 2 ? "yesterday's noon" : "");
        curl_ask_wait(&ask);
        assert_null(strcasestr(gri_bytes_text(&ask.fetch.body), "If-"));
        gri_fetch_clear(&ask.fetch);
    }
    curl_ask_whether(*state, &ask, "/agent", "W/\"weak\"", "Sat, 21 Nov 2026 09:00:00 GMT");
    curl_ask_wait(&ask);
    assert_non_null(strstr(gri_bytes_text(&ask.fetch.body), "\r\nIf-None-Match: W/\"weak\"\r\n"));
    assert_non_null(strstr(gri_bytes_text(&ask.fetch.body), "\r\nIf-Modified-Since: Sat, 21 Nov 2026 09:00:00 GMT\r\n"));
    gri_fetch_clear(&ask.fetch);
}

static void a_request_tells_little_about_us(void **state) {
    struct curl_ask ask;
    setenv("http_proxy", "http://127.0.0.1:1/", 1);
    curl_arrives(*state, "/agent"); /* sets a cookie */
    curl_get(*state, &ask, "/agent");
    unsetenv("http_proxy");
    const char *head = gri_bytes_text(&ask.fetch.body);
    assert_non_null(strstr(head, "GET /agent HTTP/1.1\r\n"));
    assert_non_null(strstr(head, "User-Agent: grisaille-test/1\r\n"));
    assert_null(strcasestr(head, "accept-encoding"));
    assert_null(strcasestr(head, "cookie"));
    assert_null(strcasestr(head, "referer"));
    assert_null(strcasestr(head, "authorization"));
    gri_fetch_clear(&ask.fetch);
}

static void redirects_are_followed_to_their_limit(void **state) {
    struct curl_world *world = *state;
    struct curl_ask ask;
    char end[128];
    curl_get(world, &ask, "/redirect/5");
    assert_int_equal(ask.fetch.op.status, GRI_OK);
    assert_int_equal(ask.fetch.redirects, 5);
    assert_true(gri_format(end, sizeof(end), "http://127.0.0.1:%d/redirect/0", world->port));
    assert_string_equal(ask.fetch.final_url, end);
    assert_string_equal(ask.fetch.etag, "\"e?\"");
    assert_int_equal(ask.fetch.body.len, 10);
    gri_fetch_clear(&ask.fetch);
    curl_refuses(world, "/redirect/6", GRI_R_redirect_limit, GRI_PERMANENT);
    curl_refuses(world, "/to//to//to//to//to//to//to//to/", GRI_R_redirect_limit, GRI_PERMANENT);
}

static bool to_the_third(struct gri_fetch *fetch, const char *url) {
    const struct curl_ask *ask = gri_container_of(fetch, struct curl_ask, fetch);
    char whole[128];
    for (int left = 4; left >= 2; left--) {
        assert_true(gri_format(whole, sizeof whole, "http://127.0.0.1:%d/redirect/%d", ask->world->port, left));
        if (strcmp(url, whole) == 0) return left > 2;
    }
    fail_msg("asked for %s", url);
    return false;
}

static void redirects_are_followed_where_the_caller_allows(void **state) {
    struct curl_ask ask;
    curl_ask_begin(*state, &ask, "/redirect/5");
    ask.fetch.may_follow = to_the_third;
    curl_ask_wait(&ask);
    assert_int_equal(ask.fetch.op.error.reason, GRI_R_redirect_refused);
    assert_int_equal(ask.fetch.redirects, 2);
    gri_fetch_clear(&ask.fetch);
}

static void redirects_to_what_is_not_fetched_are_refused(void **state) {
    curl_refuses(*state, "/to/file:///etc/passwd", GRI_R_redirect_refused, GRI_PERMANENT);
    curl_refuses(*state, "/to/gopher://127.0.0.1/", GRI_R_redirect_refused, GRI_PERMANENT);
    curl_refuses(*state, "/to/ftp://127.0.0.1/", GRI_R_redirect_refused, GRI_PERMANENT);
    curl_refuses(*state, "/to/data:text/plain,x", GRI_R_redirect_refused, GRI_PERMANENT);
    curl_refuses(*state, "/to/http://127.0.0.1:6379/", GRI_R_redirect_refused, GRI_PERMANENT);
    curl_refuses(*state, "/to/http://a@127.0.0.1/", GRI_R_redirect_refused, GRI_PERMANENT);
    curl_refuses(*state, "/to/http://a:b@127.0.0.1/", GRI_R_redirect_refused, GRI_PERMANENT);
    curl_refuses(*state, "/status/304", GRI_R_redirect_refused, GRI_PERMANENT);
    curl_refuses(*state, "/status/302", GRI_R_redirect_refused, GRI_PERMANENT);
}

static void addresses_are_refused_before_anything_is_sent(void **state) {
    struct curl_world *world = *state;
    struct curl_ask ask;
    struct gri_bytes text;
    curl_refuses(world, "/to/http://169.254.169.254/latest/meta-data", GRI_R_refused_address, GRI_PERMANENT);
    curl_refuses(world, "/to/http://10.0.0.1/", GRI_R_refused_address, GRI_PERMANENT);
    curl_refuses(world, "/to/http://[::1]/", GRI_R_refused_address, GRI_PERMANENT);
    curl_refuses(world, "/to/http://[::ffff:127.0.0.1]/", GRI_R_refused_address, GRI_PERMANENT);
    curl_refuses(world, "http://[64:ff9b::a00:1]/", GRI_R_refused_address, GRI_PERMANENT);
    curl_refuses(world, "http://0.0.0.0/", GRI_R_refused_address, GRI_PERMANENT);
    curl_get(world, &ask, "http://192.168.0.1/");
    assert_non_null(strstr(ask.fetch.op.error.detail, "private"));
    assert_non_null(strstr(ask.fetch.op.error.detail, "192.168.0.1"));
    gri_fetch_clear(&ask.fetch);
    gri_bytes_init(&text, 0);
    gri_metrics_render(world->metrics, &text);
    assert_non_null(strstr(gri_bytes_text(&text), "grisaille_addresses_refused_total{rule=\"private\"} 2"));
    assert_non_null(strstr(gri_bytes_text(&text), "grisaille_addresses_refused_total{rule=\"link_local\"} 1"));
    gri_bytes_clear(&text);
}

static void loopback_is_refused_unless_it_is_allowed(void **state) {
    struct curl_world *world = *state;
    static const char *const spellings[] = {"http://127.0.0.1:%d/ok", "http://127.1:%d/ok",  "http://2130706433:%d/ok",
                                            "http://0x7f.1:%d/ok",    "http://0177.1:%d/ok", "http://localhost:%d/ok"};
    world->options.allow_range_count = 0;
    for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
        char url[128];
        size_t at = strcspn(spellings[i], "%");
        assert_true(gri_format(url, sizeof(url), "%.*s%d/ok", (int)at, spellings[i], world->port));
        curl_refuses(world, url, GRI_R_refused_address, GRI_PERMANENT);
    }
    assert_int_equal(raw_server_accepted(world->server), 0);
}

static void urls_that_no_rule_let_through_are_refused_here_too(void **state) {
    struct curl_world *world = *state;
    curl_refuses(world, "http://user:pw@127.0.0.1/", GRI_R_credentials, GRI_PERMANENT);
    curl_refuses(world, "http://127.0.0.1:22/", GRI_R_bad_port, GRI_PERMANENT);
    curl_refuses(world, "file:///etc/passwd", GRI_R_bad_scheme, GRI_PERMANENT);
    curl_refuses(world, "http://a\r\nHost: b/", GRI_R_bad_host, GRI_PERMANENT);
    assert_int_equal(raw_server_accepted(world->server), 0);
}

static void a_status_decides_reason_and_class(void **state) {
    static const struct {
        int http_status;
        enum gri_reason reason;
        enum gri_status status;
    } cases[] = {{400, GRI_R_http_4xx, GRI_PERMANENT}, {401, GRI_R_http_4xx, GRI_PERMANENT}, {404, GRI_R_http_4xx, GRI_PERMANENT},
                 {410, GRI_R_http_4xx, GRI_PERMANENT}, {408, GRI_R_http_5xx, GRI_RETRY},     {425, GRI_R_http_5xx, GRI_RETRY},
                 {429, GRI_R_rate_limited, GRI_RETRY}, {500, GRI_R_http_5xx, GRI_RETRY},     {503, GRI_R_http_5xx, GRI_RETRY},
                 {206, GRI_R_truncated, GRI_RETRY},    {204, GRI_R_empty, GRI_PERMANENT}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char path[64];
        assert_true(gri_format(path, sizeof(path), "/status/%d", cases[i].http_status));
        curl_refuses(*state, path, cases[i].reason, cases[i].status);
    }
}

static void an_error_keeps_the_beginning_of_its_body(void **state) {
    struct curl_ask ask;
    curl_get(*state, &ask, "/status/404");
    assert_int_equal(ask.fetch.http_status, 404);
    assert_int_equal(ask.fetch.body.len, 7);
    gri_fetch_clear(&ask.fetch);
    curl_get(*state, &ask, "/status-large");
    assert_int_equal(ask.fetch.op.error.reason, GRI_R_http_4xx);
    assert_true(ask.fetch.body.len > 0 && ask.fetch.body.len <= 64 * 1024);
    gri_fetch_clear(&ask.fetch);
}

static void throttled(struct curl_world *world, const char *path, bool expected, int64_t at_least, int64_t at_most) {
    struct curl_ask ask;
    curl_get(world, &ask, path);
    assert_int_equal(ask.fetch.op.status, GRI_RETRY);
    assert_int_equal(ask.fetch.throttled, expected);
    assert_in_range(ask.fetch.retry_after_ms + 1, at_least + 1, at_most + 1);
    gri_fetch_clear(&ask.fetch);
}

static void a_host_can_ask_to_be_left_alone(void **state) {
    throttled(*state, "/status/429", true, -1, -1);
    throttled(*state, "/status/429/7", true, 7000, 7000);
    throttled(*state, "/status/503", false, -1, -1);
    throttled(*state, "/status/503/0", true, 0, 0);
    throttled(*state, "/status/500/9", false, 9000, 9000);
    throttled(*state, "/status/503/Wed,_21_Oct_2015_07:28:00_GMT", true, 0, 0);
    throttled(*state, "/status/503/soon", false, -1, -1);
}

static int64_t after(const char *value, int64_t now) {
    return gri_curl_retry_after_ms(gri_slice_of(value), now);
}

static void retry_after_is_seconds_or_a_date(void **state) {
    (void)state;
    int64_t month = 31LL * 24 * 3600 * 1000;
    assert_int_equal(after("120", 0), 120000);
    assert_int_equal(after(" 5 ", 0), 5000);
    assert_int_equal(after("99999999999999999999999999", 0), month);
    assert_int_equal(after("Fri, 31 Dec 1999 23:59:59 GMT", 946684799 - 30), 30000);
    assert_int_equal(after("Friday, 31-Dec-99 23:59:59 GMT", 946684799 - 30), 30000);
    assert_int_equal(after("Fri, 31 Dec 1999 23:59:59 GMT", 946684799 + 30), 0);
    assert_int_equal(after("Fri, 31 Dec 2100 23:59:59 GMT", 946684799), month);
    assert_int_equal(after("", 0), -1);
    assert_int_equal(after("-5", 0), -1);
    assert_int_equal(after("soon", 0), -1);
}

static void a_body_that_ends_early_is_truncated(void **state) {
    curl_refuses(*state, "/truncated", GRI_R_truncated, GRI_RETRY);
    curl_refuses(*state, "/reset-body", GRI_R_truncated, GRI_RETRY);
    curl_refuses(*state, "/chunk-cut", GRI_R_truncated, GRI_RETRY);
}

static void a_body_longer_than_announced_is_cut_there(void **state) {
    struct curl_ask ask;
    curl_get(*state, &ask, "/lying");
    assert_int_equal(ask.fetch.op.status, GRI_OK);
    assert_int_equal(ask.fetch.body.len, 5);
    gri_fetch_clear(&ask.fetch);
    curl_arrives(*state, "/ok"); /* at once, before the surplus came, */
    curl_get(*state, &ask, "/lying");
    gri_fetch_clear(&ask.fetch);
    uv_sleep(50);
    curl_arrives(*state, "/ok"); /* and after it: its surplus did not become the next answer */
}

static void an_answer_has_its_limits(void **state) {
    struct curl_ask ask;
    curl_refuses(*state, "/body/0", GRI_R_empty, GRI_PERMANENT);
    curl_refuses(*state, "/body/100001", GRI_R_too_large, GRI_PERMANENT);
    curl_refuses(*state, "/announced/9000000000", GRI_R_too_large, GRI_PERMANENT);
    curl_refuses(*state, "/endless", GRI_R_too_large, GRI_PERMANENT);
    curl_refuses(*state, "/headers", GRI_R_too_large, GRI_PERMANENT);
    curl_refuses(*state, "/long-header", GRI_R_too_large, GRI_PERMANENT); /* libcurl calls this "out of memory" */
    curl_refuses(*state, "/long-status", GRI_R_too_large, GRI_PERMANENT);
    curl_get(*state, &ask, "/body/100000");
    assert_int_equal(ask.fetch.op.status, GRI_OK);
    assert_int_equal(ask.fetch.body.len, 100000);
    gri_fetch_clear(&ask.fetch);
}

static void a_connection_that_fails_may_be_tried_again(void **state) {
    struct curl_world *world = *state;
    static const int closed_port = 1; /* nobody listens there */
    world->options.allow_ports = &closed_port;
    curl_refuses(world, "http://127.0.0.1:1/", GRI_R_connect, GRI_RETRY);
}

static void an_answer_that_is_none_may_be_tried_again(void **state) {
    struct curl_world *world = *state;
    char url[64];
    curl_refuses(world, "/reset", GRI_R_connect, GRI_RETRY);
    curl_refuses(world, "/hang-up", GRI_R_connect, GRI_RETRY);
    curl_refuses(world, "/not-http", GRI_R_connect, GRI_RETRY);
    assert_true(gri_format(url, sizeof(url), "https://127.0.0.1:%d/ok", world->port));
    curl_refuses(world, url, GRI_R_tls, GRI_RETRY);
}

static void silence_ends_at_the_time_out(void **state) {
    struct curl_world *world = *state;
    world->options.timeout_ms = 200;
    curl_refuses(world, "/stall", GRI_R_timeout, GRI_RETRY);
    curl_refuses(world, "/announced/1000", GRI_R_timeout, GRI_RETRY);
}

static void a_trickle_is_too_slow(void **state) {
    struct curl_world *world = *state;
    world->options.slow_seconds = 1;
    curl_refuses(world, "/drip", GRI_R_too_slow, GRI_RETRY);
}

static void waiting_for_a_connection_ends_at_the_deadline_too(void **state) {
    struct curl_world *world = *state;
    struct curl_ask first, second;
    world->options.timeout_ms = 300;
    world->options.max_host_connections = 1;
    uint64_t start = uv_hrtime();
    curl_ask_begin(world, &first, "/announced/1000");
    curl_ask_begin(world, &second, "/stall");
    curl_ask_wait(&first);
    curl_ask_wait(&second);
    assert_int_equal(second.fetch.op.error.reason, GRI_R_timeout);
    assert_true(uv_hrtime() - start < 2000000000U);
    gri_fetch_clear(&first.fetch);
    gri_fetch_clear(&second.fetch);
}

static void a_cancelled_request_ends_at_the_next_turn(void **state) {
    struct curl_world *world = *state;
    struct curl_ask ask;
    curl_ask_begin(world, &ask, "/stall");
    for (int i = 0; i < 5; i++)
        uv_run(&world->loop, UV_RUN_NOWAIT);
    world->fetcher->ops->cancel(world->fetcher, &ask.fetch);
    world->fetcher->ops->cancel(world->fetcher, &ask.fetch);
    assert_false(ask.finished);
    uv_run(&world->loop, UV_RUN_ONCE);
    curl_ask_wait(&ask);
    assert_int_equal(ask.fetch.op.status, GRI_RETRY);
    assert_int_equal(ask.fetch.op.error.reason, GRI_R_timeout);
    gri_fetch_clear(&ask.fetch);
    world->fetcher->ops->cancel(world->fetcher, &ask.fetch); /* done already: nothing happens */
    curl_arrives(world, "/ok");
}

static void closing_ends_what_is_running(void **state) {
    struct curl_world *world = *state;
    struct curl_ask ask;
    curl_ask_begin(world, &ask, "/stall");
    uv_run(&world->loop, UV_RUN_NOWAIT);
    gri_curl_fetcher_destroy(world->fetcher);
    world->fetcher = NULL;
    assert_true(ask.finished);
    assert_int_equal(ask.fetch.op.status, GRI_RETRY);
    gri_fetch_clear(&ask.fetch);
}

static void connections_are_used_again(void **state) {
    struct curl_world *world = *state;
    for (int i = 0; i < 20; i++)
        curl_arrives(world, i % 2 ? "/ok" : "/status/200");
    assert_int_equal(raw_server_accepted(world->server), 1);
}

static void a_kept_connection_is_judged_again(void **state) {
    struct curl_world *world = *state;
    curl_arrives(world, "/ok");
    gri_container_of(world->fetcher, struct gri_curl, port)->settings->guard.count =
        0; /* as if its address had become a refused one */
    curl_refuses(world, "/ok", GRI_R_refused_address, GRI_PERMANENT);
    assert_int_equal(raw_server_accepted(world->server), 1); /* it was that connection, and nothing was sent on it */
}

static void a_connection_that_idled_too_long_is_not_used_again(void **state) {
    struct curl_world *world = *state;
    world->options.idle_seconds = 1;
    curl_arrives(world, "/ok");
    uv_sleep(2100);
    curl_arrives(world, "/ok");
    assert_int_equal(raw_server_accepted(world->server), 2);
}

static void count_turn(uv_prepare_t *prepare) {
    ++*(int *)prepare->data;
}

static void end_wait(uv_timer_t *timer) {
    *(bool *)timer->data = true;
}

/* How often the loop turned in 200 ms. */
static int turns_of(uv_loop_t *loop) {
    int turns = 0;
    bool over = false;
    uv_prepare_t prepare;
    uv_timer_t timer;
    uv_prepare_init(loop, &prepare);
    uv_timer_init(loop, &timer);
    prepare.data = &turns;
    timer.data = &over;
    uv_prepare_start(&prepare, count_turn);
    uv_timer_start(&timer, end_wait, 200, 0);
    while (!over)
        uv_run(loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&prepare, NULL);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(loop, UV_RUN_NOWAIT);
    return turns;
}

static void an_idle_connection_that_its_host_closes_is_left_alone(void **state) {
    static const char *const farewells[] = {"/bye", "/lying"};
    struct curl_world *world = *state;
    for (int i = 0; i < 2; i++) {
        curl_arrives(world, farewells[i]);
        assert_in_range(turns_of(&world->loop), 1, 20);
        curl_arrives(world, "/ok");
        assert_int_equal(raw_server_accepted(world->server), i + 2);
    }
}

static void a_connection_closed_as_it_is_used_again_costs_nothing(void **state) {
    struct curl_world *world = *state;
    curl_arrives(world, "/last/1");
    curl_arrives(world, "/ok");
    assert_int_equal(raw_server_accepted(world->server), 2);
}

static void a_pool_of_dead_connections_costs_nothing(void **state) {
    struct curl_world *world = *state;
    struct curl_ask asks[PARALLEL];
    for (size_t i = 0; i < PARALLEL; i++)
        curl_ask_begin(world, &asks[i], "/last/8");
    for (size_t i = 0; i < PARALLEL; i++) {
        curl_ask_wait(&asks[i]);
        assert_int_equal(asks[i].fetch.op.status, GRI_OK);
        gri_fetch_clear(&asks[i].fetch);
    }
    assert_int_equal(raw_server_accepted(world->server), PARALLEL);
    curl_arrives(world, "/ok");
    assert_int_equal(raw_server_accepted(world->server), PARALLEL + 1);
}

static void many_at_once_are_each_answered_once(void **state) {
    struct curl_world *world = *state;
    enum { MANY = 150 };
    world->options.max_host_connections = 10;
    struct curl_ask *asks = gri_calloc(MANY, sizeof(*asks));
    for (size_t i = 0; i < MANY; i++) {
        char path[32];
        assert_true(gri_format(path, sizeof(path), "/body/%zu", 1 + i * 100));
        curl_ask_begin(world, &asks[i], i % 10 == 9 ? "/redirect/2" : path);
    }
    for (size_t i = 0; i < MANY; i++) {
        curl_ask_wait(&asks[i]);
        assert_int_equal(asks[i].fetch.op.status, GRI_OK);
        assert_int_equal(asks[i].fetch.body.len, i % 10 == 9 ? 10 : 1 + i * 100);
        gri_fetch_clear(&asks[i].fetch);
    }
    assert_int_equal(world->done, MANY);
    assert_in_range(raw_server_accepted(world->server), 1, 10);
    free(asks);
}

static void connect_to_leads_a_name_to_another_place(void **state) {
    struct curl_world *world = *state;
    struct curl_ask ask;
    assert_true(gri_format(world->connect_to, sizeof(world->connect_to), "picsum.photos:80:127.0.0.1:%d", world->port));
    world->connect_to_list[0] = world->connect_to;
    world->options.connect_to = world->connect_to_list;
    world->options.connect_to_count = 1;
    world->options.allow_port_count = 0;
    curl_get(world, &ask, "http://picsum.photos/ok");
    assert_int_equal(ask.fetch.op.status, GRI_OK);
    assert_string_equal(ask.fetch.final_url, "http://picsum.photos/ok");
    gri_fetch_clear(&ask.fetch);
}

static void a_wrong_configuration_is_told(void **state) {
    struct curl_world *world = *state;
    struct gri_error error = {0};
    world->options.ca_file = "/nonexistent/ca.pem";
    assert_int_equal(gri_curl_fetcher_create(&world->loop, &world->options, NULL, NULL, &world->fetcher, &error), GRI_FATAL);
    assert_non_null(strstr(error.detail, "fetch.ca_file"));
    world->options.ca_file = NULL;
    world->ranges[0] = "loopback";
    assert_int_equal(gri_curl_fetcher_create(&world->loop, &world->options, NULL, NULL, &world->fetcher, &error), GRI_FATAL);
    assert_non_null(strstr(error.detail, "fetch.allow_ranges[0]"));
    assert_null(world->fetcher);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, curl_world_begin, curl_world_end)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_WORLD(a_body_comes_with_what_its_headers_tell),
        IN_WORLD(no_more_of_a_body_comes_than_is_wanted),
        IN_WORLD(a_request_tells_little_about_us),
        IN_WORLD(a_host_is_asked_whether_it_has_changed),
        IN_WORLD(only_tags_and_dates_are_sent_back),
        IN_WORLD(redirects_are_followed_to_their_limit),
        IN_WORLD(redirects_are_followed_where_the_caller_allows),
        IN_WORLD(redirects_to_what_is_not_fetched_are_refused),
        IN_WORLD(addresses_are_refused_before_anything_is_sent),
        IN_WORLD(loopback_is_refused_unless_it_is_allowed),
        IN_WORLD(urls_that_no_rule_let_through_are_refused_here_too),
        IN_WORLD(a_status_decides_reason_and_class),
        IN_WORLD(an_error_keeps_the_beginning_of_its_body),
        IN_WORLD(a_host_can_ask_to_be_left_alone),
        cmocka_unit_test(retry_after_is_seconds_or_a_date),
        IN_WORLD(a_body_that_ends_early_is_truncated),
        IN_WORLD(a_body_longer_than_announced_is_cut_there),
        IN_WORLD(an_answer_has_its_limits),
        IN_WORLD(a_connection_that_fails_may_be_tried_again),
        IN_WORLD(an_answer_that_is_none_may_be_tried_again),
        IN_WORLD(silence_ends_at_the_time_out),
        IN_WORLD(a_trickle_is_too_slow),
        IN_WORLD(waiting_for_a_connection_ends_at_the_deadline_too),
        IN_WORLD(a_cancelled_request_ends_at_the_next_turn),
        IN_WORLD(closing_ends_what_is_running),
        IN_WORLD(connections_are_used_again),
        IN_WORLD(a_kept_connection_is_judged_again),
        IN_WORLD(a_connection_that_idled_too_long_is_not_used_again),
        IN_WORLD(an_idle_connection_that_its_host_closes_is_left_alone),
        IN_WORLD(a_connection_closed_as_it_is_used_again_costs_nothing),
        IN_WORLD(a_pool_of_dead_connections_costs_nothing),
        IN_WORLD(many_at_once_are_each_answered_once),
        IN_WORLD(connect_to_leads_a_name_to_another_place),
        IN_WORLD(a_wrong_configuration_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
