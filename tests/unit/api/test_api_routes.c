/* SPDX-License-Identifier: Apache-2.0 */
/* Who may do what, which routes there are, the tables, the probes, and what happens to a URL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api_fake_archive.h"

#include "api_internal.h"

static void expect(struct fixture *f, const char *method, const char *target, const char *token, int status, const char *reason) {
    struct gri_api_reply reply;
    fixture_ask(f, &(struct ask){.method = method, .target = target, .token = token}, &reply);
    if (reason)
        assert_problem(&reply, status, reason);
    else
        assert_int_equal(reply.status, status);
    if (status == 401) assert_memory_equal(reply_header(&reply, "WWW-Authenticate"), "Bearer", 6);
    gri_api_reply_clear(&reply);
}

static void expect_push(struct fixture *f, const char *token, int status, const char *reason) {
    struct gri_api_reply reply;
    fixture_push(f, &(struct ask){.target = "/v1/catalogs", .token = token}, gri_slice_of(token ? token : "x"), 0, &reply);
    if (reason)
        assert_problem(&reply, status, reason);
    else
        assert_int_equal(reply.status, status);
    gri_api_reply_clear(&reply);
}

static void test_tokens_and_scopes(void **state) {
    struct fixture f;
    (void)state;
    fixture_open(&f, 4, 1 << 20);
    expect(&f, "GET", "/v1/catalogs", NULL, 401, "unauthorized");
    expect(&f, "GET", "/v1/catalogs", "", 401, "unauthorized");
    expect(&f, "GET", "/v1/catalogs", "wrong-token", 401, "unauthorized");
    expect(&f, "GET", "/v1/catalogs", "reader-tokenx", 401, "unauthorized");
    expect(&f, "GET", "/v1/catalogs", "pusher-token", 403, "forbidden");
    expect(&f, "GET", "/v1/catalogs", "reader-token", 200, NULL);
    expect(&f, "GET", "/v1/catalogs", "admin-token", 200, NULL);
    expect(&f, "GET", "/v1/catalogs", "both-token", 200, NULL);
    expect(&f, "HEAD", "/v1/catalogs", NULL, 401, "unauthorized");
    expect(&f, "GET", "/metrics", NULL, 401, "unauthorized");
    expect_push(&f, NULL, 401, "unauthorized");
    expect_push(&f, "reader-token", 403, "forbidden");
    assert_int_equal(f.archive.catalog_count, 0);
    expect_push(&f, "pusher-token", 202, NULL);
    expect_push(&f, "admin-token", 202, NULL);
    assert_string_equal(f.archive.catalogs[0].by, "pusher");
    expect(&f, "GET", "/healthz", NULL, 200, NULL);
    expect(&f, "GET", "/readyz", NULL, 200, NULL);
    expect(&f, "GET", "/openapi.json", NULL, 200, NULL);
    expect(&f, "GET", "/nothing", NULL, 404, "not_found");
    fixture_close(&f);
}

static void test_the_scheme_of_authorization_must_be_bearer(void **state) {
    struct fixture f;
    struct gri_api_reply reply = {0};
    struct gri_api_request request = {.method = "GET", .path = "/v1/stats", .authorization = "Basic cmVhZGVyLXRva2Vu"};
    (void)state;
    fixture_open(&f, 1, 1 << 20);
    gri_api_handle(f.api, &request, &reply);
    assert_problem(&reply, 401, "unauthorized");
    gri_api_reply_clear(&reply);
    request.authorization = "bearer  reader-token";
    gri_api_handle(f.api, &request, &reply);
    assert_int_equal(reply.status, 200);
    gri_api_reply_clear(&reply);
    fixture_close(&f);
}

static size_t comparisons;

static bool count_comparison(const char *a, const char *b) {
    comparisons++;
    return strcmp(a, b) == 0;
}

/* Time must not tell which token matched, nor whether one did: each time all digests are compared, whole, by digest_equal. */
static void test_every_token_is_compared_whatever_matches(void **state) {
    static const char *const given[] = {"reader-token", "pusher-token", "both-token", "wrong", ""};
    struct fixture f;
    (void)state;
    fixture_open(&f, 4, 1 << 20);
    struct gri_crypto counting = *f.crypto;
    counting.digest_equal = count_comparison;
    f.api->options.crypto = &counting;
    for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
        struct gri_api_reply reply;
        comparisons = 0;
        fixture_ask(&f, &(struct ask){.target = "/v1/stats", .token = given[i]}, &reply);
        assert_int_equal(comparisons, 4);
        gri_api_reply_clear(&reply);
    }
    fixture_close(&f);
}

static int status_for(struct fixture *f, const char *method, const char *host, const char *origin, bool trusted) {
    struct gri_api_reply reply = {0};
    struct gri_api_request request = {.method = method,
                                      .path = "/v1/catalogs",
                                      .authorization = "Bearer admin-token",
                                      .host = host,
                                      .origin = origin,
                                      .trusted = trusted};
    struct gri_api_push *push = NULL;
    if (gri_api_is_push(&request)) {
        push = gri_api_push_begin(f->api, &request, &reply);
        if (push) gri_api_push_end(push, &reply);
    } else {
        gri_api_handle(f->api, &request, &reply);
    }
    int status = reply.status;
    if (status == 403) assert_problem(&reply, 403, "forbidden");
    gri_api_reply_clear(&reply);
    return status;
}

static void test_without_tokens_a_browser_is_not_believed(void **state) {
    static const char *const mine[] = {NULL,        "localhost",      "LocalHost:8480", "localhost.", "page.localhost:1",
                                       "127.0.0.1", "127.9.9.9:8480", "[::1]:8480"};
    static const char *const rebound[] = {"evil.example",           "evil.example:8480",      "notlocalhost",
                                          "127.0.0.1.evil.example", "localhost.evil.example", ""};
    static const char *const foreign[] = {"http://evil.example",   "null",    "",
                                          "http://localhost:9999", "file://", "http://localhost:8480.evil.example"};
    struct fixture f;
    (void)state;
    fixture_open(&f, 0, 1 << 20);
    for (size_t i = 0; i < sizeof mine / sizeof *mine; i++)
        assert_int_equal(status_for(&f, "GET", mine[i], NULL, false), 200);
    for (size_t i = 0; i < sizeof rebound / sizeof *rebound; i++) {
        assert_int_equal(status_for(&f, "GET", rebound[i], NULL, false), 403);
        assert_int_equal(status_for(&f, "POST", rebound[i], NULL, false), 403);
    }
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        assert_int_equal(status_for(&f, "POST", "localhost:8480", foreign[i], false), 403);
    assert_int_equal(f.archive.catalog_count, 0);
    assert_int_equal(status_for(&f, "POST", "localhost:8480", "http://localhost:8480", false), 202);
    assert_int_equal(status_for(&f, "POST", "evil.example", "http://evil.example", true), 200); /* the command line's own */
    fixture_close(&f);
    fixture_open(&f, 4, 1 << 20);
    assert_int_equal(status_for(&f, "GET", "api.example", NULL, false), 200);
    assert_int_equal(status_for(&f, "POST", "inside:80", "https://api.example", false), 202);
    fixture_close(&f);
}

static void test_without_tokens_everything_is_allowed(void **state) {
    struct fixture f;
    (void)state;
    fixture_open(&f, 0, 1 << 20);
    expect(&f, "GET", "/v1/catalogs", NULL, 200, NULL);
    expect_push(&f, NULL, 202, NULL);
    fixture_close(&f);
}

static void test_unknown_routes_and_methods(void **state) {
    static const char *const unknown[] = {"",
                                          "/page",
                                          "/page/../app.js",
                                          "/v1",
                                          "/v1/",
                                          "/v1/catalogs/",
                                          "/v1/catalogs//lines",
                                          "/v1/catalogs/x/y",
                                          "/v1/images/",
                                          "/v1/statsx",
                                          "/v1/catalogs/../stats",
                                          "/V1/stats"};
    struct fixture f;
    struct gri_api_reply reply;
    (void)state;
    fixture_open(&f, 0, 1 << 20);
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        expect(&f, "GET", unknown[i], NULL, 404, "not_found");
    fixture_ask(&f, &(struct ask){.method = "DELETE", .target = "/v1/catalogs"}, &reply);
    assert_problem(&reply, 405, "method_not_allowed");
    assert_string_equal(reply_header(&reply, "Allow"), "POST, GET, HEAD");
    gri_api_reply_clear(&reply);
    fixture_ask(&f, &(struct ask){.method = "POST", .target = "/v1/stats"}, &reply);
    assert_problem(&reply, 405, "method_not_allowed");
    assert_string_equal(reply_header(&reply, "Allow"), "GET, HEAD");
    gri_api_reply_clear(&reply);
    fixture_close(&f);
}

/* The route's pattern with something in place of its {parameter}. */
static void fill_in(const char *pattern, char out[200]) {
    const char *brace = strchr(pattern, '{'), *end = strchr(pattern, '}');
    bool hash = brace && strncmp(brace, "{sha256}", 8) == 0;
    if (!brace)
        gri_copy(out, 200, pattern);
    else
        gri_format(out, 200, "%.*s%s%s", (int)(brace - pattern), pattern,
                   hash ? "0000000000000000000000000000000000000000000000000000000000000000" : "000000000000000000000000",
                   end + 1);
}

static void test_openapi_describes_every_route_and_no_other(void **state) {
    struct fixture f;
    size_t count, described = 0;
    const struct gri_api_route *routes = gri_api_routes(&count);
    (void)state;
    fixture_open(&f, 0, 1 << 20);
    struct gri_json *json = fixture_get(&f, "/openapi.json", 200);
    const struct gri_json *paths = gri_json_get(json, "paths");
    for (size_t i = 0; i < count; i++) {
        const struct gri_json *path = gri_json_get(paths, routes[i].pattern);
        const char *method = strcmp(routes[i].method, "GET") == 0      ? "get"
                             : strcmp(routes[i].method, "DELETE") == 0 ? "delete"
                                                                       : "post";
        const struct gri_json *operation = gri_json_get(path, method);
        assert_non_null(operation);
        assert_string_equal(gri_json_str(operation, "summary", ""), routes[i].summary);
        assert_int_equal(gri_json_count(gri_json_get(operation, "security")), routes[i].scope ? 1 : 0);
    }
    for (size_t i = 0; i < count; i++) {
        bool first = true;
        for (size_t k = 0; k < i; k++)
            first = first && strcmp(routes[k].pattern, routes[i].pattern) != 0;
        described += first;
    }
    assert_int_equal(gri_json_count(paths), described);
    assert_string_equal(gri_json_str(gri_json_get(json, "info"), "version", ""), "9.9.9");
    gri_json_free(json);
    fixture_close(&f);
}

static void test_every_route_answers_and_tells_its_pattern(void **state) {
    struct fixture f;
    struct gri_api_reply reply;
    size_t count;
    char target[200];
    const struct gri_api_route *routes = gri_api_routes(&count);
    (void)state;
    fixture_open(&f, 0, 1 << 20);
    for (size_t i = 0; i < count; i++) {
        fill_in(routes[i].pattern, target);
        fixture_ask(&f, &(struct ask){.method = routes[i].method, .target = target}, &reply);
        assert_string_equal(reply.route, routes[i].pattern);
        assert_true(reply.status == 200 || reply.status == 202 || reply.status == 404 || reply.status == 400);
        assert_non_null(reply.content_type);
        gri_api_reply_clear(&reply);
    }
    fixture_close(&f);
}

/* The query parameters without which it answers 400. */
static void add_required(const struct gri_api_route *route, char target[200]) {
    static const char *const required[][3] = {{"GET", "/v1/urls", "?url=https://picsum.photos/1"},
                                              {"GET", "/v1/similar", "?phash=0123456789abcdef"},
                                              {"POST", "/v1/dead/retry", "?all=true"},
                                              {"POST", "/v1/dead/drop", "?all=true"},
                                              {"POST", "/v1/reprocess", "?pipeline=gray"},
                                              {"DELETE", "/v1/images/{sha256}", "?reason=asked"}};
    for (size_t i = 0; i < sizeof required / sizeof required[0]; i++) {
        size_t len = strlen(target);
        if (strcmp(route->method, required[i][0]) == 0 && strcmp(route->pattern, required[i][1]) == 0)
            gri_copy(target + len, 200 - len, required[i][2]);
    }
}

static void test_what_is_steered_bears_its_name(void **state) {
    struct fixture f;
    struct gri_api_reply reply;
    (void)state;
    fixture_open(&f, 0, 1 << 20);
    expect(&f, "POST", "/v1/dead/retry", NULL, 400, "bad_request"); /* all of them only by name */
    expect(&f, "POST", "/v1/dead/retry?reason=nonsense", NULL, 400, "bad_request");
    expect(&f, "DELETE", "/v1/images/0123456789abcdef", NULL, 400, "bad_request"); /* why? */
    expect(&f, "DELETE", "/v1/images/0123456789abcdef?reason=asked", NULL, 404, "not_found");
    expect(&f, "POST", "/v1/hosts/a b/pause", NULL, 400, "bad_request");
    expect(&f, "POST", "/v1/reprocess?host=picsum.photos", NULL, 400, "bad_request"); /* of which pipeline? */
    expect(&f, "POST", "/v1/reprocess?pipeline=nonsense", NULL, 404, "no_pipeline");
    fixture_ask(&f, &(struct ask){.method = "POST", .target = "/v1/reprocess?pipeline=gray"}, &reply);
    assert_int_equal(reply.status, 202);
    assert_string_equal(f.archive.told, "reprocess_started");
    gri_api_reply_clear(&reply);
    fixture_ask(&f, &(struct ask){.method = "POST", .target = "/v1/reprocess?pipeline=gray&host=picsum.photos"}, &reply);
    assert_int_equal(reply.status, 200); /* nothing is left to do */
    gri_api_reply_clear(&reply);
    fixture_ask(&f, &(struct ask){.method = "POST", .target = "/v1/dead/retry?reason=timeout&since=2w"}, &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(f.archive.told, "dead_retried");
    assert_string_equal(f.archive.last_filter.reason, "timeout");
    assert_true(f.archive.last_filter.since_ms > 0);
    assert_int_equal(f.archive.last_filter.limit, 0);
    gri_api_reply_clear(&reply);
    fixture_ask(&f, &(struct ask){.method = "POST", .target = "/v1/hosts/Picsum.Photos/pause"}, &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(f.archive.told, "host_paused");
    gri_api_reply_clear(&reply);
    fixture_close(&f);
}

static void test_a_store_that_is_away_is_503_on_every_route_that_reads_it(void **state) {
    static const char *const free_routes[] = {"/v1/transforms", "/v1/pipelines", "/v1/reasons", "/healthz",    "/readyz",
                                              "/metrics",       "/openapi.json", "/",           "/page/{file}"};
    struct fixture f;
    struct gri_api_reply reply;
    size_t count;
    char target[200];
    const struct gri_api_route *routes = gri_api_routes(&count);
    (void)state;
    fixture_open(&f, 0, 1 << 20);
    f.archive.fail = GRI_R_unavailable;
    for (size_t i = 0; i < count; i++) {
        bool reads = true;
        for (size_t k = 0; k < sizeof free_routes / sizeof free_routes[0]; k++)
            reads = reads && strcmp(routes[i].pattern, free_routes[k]) != 0;
        if (!reads) continue;
        fill_in(routes[i].pattern, target);
        add_required(&routes[i], target);
        fixture_ask(&f, &(struct ask){.method = routes[i].method, .target = target}, &reply);
        assert_problem(&reply, 503, "unavailable");
        gri_api_reply_clear(&reply);
    }
    fixture_close(&f);
}

static void test_the_page_is_served_with_its_policy_and_without_a_token(void **state) {
    static const char *const files[] = {"/", "/page/app.js", "/page/style.css", "/page/icon.svg"};
    struct fixture f;
    struct gri_api_reply reply;
    (void)state;
    fixture_open(&f, 1, 1 << 20);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        fixture_ask(&f, &(struct ask){.method = "GET", .target = files[i]}, &reply);
        assert_int_equal(reply.status, 200);
        assert_true(reply.body.len > 100);
        const char *etag = NULL, *policy = NULL;
        for (size_t k = 0; k < reply.header_count; k++) {
            if (strcmp(reply.headers[k].name, "ETag") == 0) etag = reply.headers[k].value;
            if (strcmp(reply.headers[k].name, "Content-Security-Policy") == 0) policy = reply.headers[k].value;
        }
        assert_non_null(etag);
        assert_non_null(policy);
        assert_non_null(strstr(policy, "default-src 'none'"));
        assert_null(strstr(policy, "unsafe"));
        gri_api_reply_clear(&reply);
    }
    fixture_ask(&f, &(struct ask){.method = "GET", .target = "/page/passwd"}, &reply);
    assert_problem(&reply, 404, "not_found");
    gri_api_reply_clear(&reply);
    fixture_close(&f);
}

static void test_reasons_are_the_table(void **state) {
    struct fixture f;
    (void)state;
    fixture_open(&f, 0, 1 << 20);
    struct gri_json *json = fixture_get(&f, "/v1/reasons", 200);
    const struct gri_json *list = gri_json_get(json, "reasons");
    assert_int_equal(gri_json_count(list), GRI_REASON_COUNT - 1);
    for (size_t i = 0; i < gri_json_count(list); i++) {
        const struct gri_json *row = gri_json_at(list, i);
        const struct gri_reason_info *info = gri_reason_info((enum gri_reason)(i + 1));
        assert_string_equal(gri_json_str(row, "reason", ""), info->name);
        assert_string_equal(gri_json_str(row, "class", ""), gri_status_name(info->status));
        assert_string_equal(gri_json_str(row, "help", ""), info->help);
        assert_int_equal(gri_json_get_int(row, "status", 0), info->http);
    }
    gri_json_free(json);
    json = fixture_get(&f, "/v1/pipelines", 200);
    assert_int_equal(gri_json_count(gri_json_get(json, "pipelines")), 2);
    gri_json_free(json);
    fixture_close(&f);
}

static void test_probes_and_stats(void **state) {
    struct fixture f;
    (void)state;
    fixture_open(&f, 0, 1 << 20);
    gri_json_free(fixture_get(&f, "/healthz", 200));
    gri_json_free(fixture_get(&f, "/readyz", 200));
    f.reachable = false;
    gri_json_free(fixture_get(&f, "/readyz", 503));
    f.reachable = true;
    f.archive.fail = GRI_R_unavailable;
    struct gri_json *json = fixture_get(&f, "/readyz", 503);
    assert_string_equal(gri_json_str(json, "detail", ""), "the fake was told to fail");
    gri_json_free(json);
    gri_json_free(fixture_get(&f, "/healthz", 200)); /* a store that is away is no reason to be killed */
    f.archive.fail = GRI_R_none;
    f.healthy = false;
    gri_json_free(fixture_get(&f, "/healthz", 503));
    json = fixture_get(&f, "/v1/stats", 200);
    assert_int_equal(gri_json_get_int(gri_json_get(json, "streams"), "inflight", 0), 7);
    gri_json_free(json);
    fixture_close(&f);
}

static void test_a_url_is_explained(void **state) {
    struct fixture f;
    (void)state;
    fixture_open(&f, 0, 1 << 20);
    struct gri_json *record = fixture_record(&f, "https://picsum.photos/id/1/10", "000000000000000000000abc", 1, "done");
    fixture_image(&f, "source", "output", "gray@0123456789a", NULL);
    struct gri_json *ids = gri_json_array();
    gri_json_append(ids, gri_json_string(gri_json_str(f.archive.images[0].meta, "id", "")));
    gri_json_set(record, "images", ids);
    struct gri_json *json = fixture_get(&f, "/v1/urls?url=HTTPS://Picsum.Photos:443/id/1/10", 200);
    assert_string_equal(gri_json_str(gri_json_get(json, "verdict"), "url", ""), "https://picsum.photos/id/1/10");
    assert_string_equal(gri_json_str(gri_json_get(json, "verdict"), "kind", ""), "url");
    assert_string_equal(gri_json_str(json, "key", ""), gri_json_str(record, "key", "?"));
    assert_int_equal(gri_json_count(gri_json_get(json, "records")), 1);
    assert_int_equal(gri_json_count(gri_json_get(json, "images")), 1);
    assert_int_equal(gri_json_count(gri_json_get(json, "events")), 1);
    gri_json_free(json);
    json = fixture_get(&f, "/v1/urls?url=https://picsum.photos/id/1/10&pipeline=gray@0123456789a", 200);
    assert_string_equal(gri_json_str(json, "pipeline", ""), "gray");
    assert_string_equal(gri_json_str(json, "key", ""), gri_json_str(record, "key", "?"));
    gri_json_free(json);
    fixture_close(&f);
}

static void test_a_bad_and_a_blank_line_are_explained_and_none_is_400(void **state) {
    struct fixture f;
    (void)state;
    fixture_open(&f, 0, 1 << 20);
    struct gri_json *json = fixture_get(&f, "/v1/urls?url=ftp://x/", 200);
    assert_string_equal(gri_json_str(gri_json_get(json, "verdict"), "reason", ""), "bad_scheme");
    assert_null(gri_json_get(json, "records"));
    gri_json_free(json);
    json = fixture_get(&f, "/v1/urls?url=https://picsum.photos/\x01", 200);
    assert_string_equal(gri_json_str(gri_json_get(json, "verdict"), "reason", ""), "not_text");
    gri_json_free(json);
    json = fixture_get(&f, "/v1/urls?url=%23 note", 200);
    gri_json_free(json);
    expect(&f, "GET", "/v1/urls", NULL, 400, "bad_request");
    expect(&f, "GET", "/v1/urls?url=", NULL, 400, "bad_request");
    fixture_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens_and_scopes),
        cmocka_unit_test(test_the_scheme_of_authorization_must_be_bearer),
        cmocka_unit_test(test_every_token_is_compared_whatever_matches),
        cmocka_unit_test(test_without_tokens_a_browser_is_not_believed),
        cmocka_unit_test(test_without_tokens_everything_is_allowed),
        cmocka_unit_test(test_unknown_routes_and_methods),
        cmocka_unit_test(test_openapi_describes_every_route_and_no_other),
        cmocka_unit_test(test_every_route_answers_and_tells_its_pattern),
        cmocka_unit_test(test_what_is_steered_bears_its_name),
        cmocka_unit_test(test_a_store_that_is_away_is_503_on_every_route_that_reads_it),
        cmocka_unit_test(test_the_page_is_served_with_its_policy_and_without_a_token),
        cmocka_unit_test(test_reasons_are_the_table),
        cmocka_unit_test(test_probes_and_stats),
        cmocka_unit_test(test_a_url_is_explained),
        cmocka_unit_test(test_a_bad_and_a_blank_line_are_explained_and_none_is_400),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
