/* SPDX-License-Identifier: Apache-2.0 */
/* redis.url: what is taken apart how, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "redis_address.h"

#include <string.h>

static struct gri_redis_address parse(const char *url) {
    struct gri_redis_address address;
    struct gri_error error = {0};
    enum gri_status status = gri_redis_address_parse(url, &address, &error);
    if (status != GRI_OK) fail_msg("%s: %s", url, error.detail);
    return address;
}

static void host_port_and_database_are_found(void **state) {
    (void)state;
    struct gri_redis_address a = parse("redis://127.0.0.1:6380/3");
    assert_string_equal(a.host, "127.0.0.1");
    assert_string_equal(a.port, "6380");
    assert_int_equal(a.database, 3);
    assert_string_equal(a.shown, "127.0.0.1:6380");
    a = parse("redis://cache.example");
    assert_string_equal(a.host, "cache.example");
    assert_string_equal(a.port, "6379");
    assert_int_equal(a.database, 0);
    a = parse("redis://cache.example/");
    assert_int_equal(a.database, 0);
    a = parse("redis://[::1]:7000/1");
    assert_string_equal(a.host, "::1");
    assert_string_equal(a.port, "7000");
    assert_string_equal(a.shown, "[::1]:7000");
}

static void user_and_password_are_decoded_and_never_shown(void **state) {
    (void)state;
    struct gri_redis_address a = parse("redis://:p%40ss%3Aw@host/0");
    assert_string_equal(a.user, "");
    assert_string_equal(a.password, "p@ss:w");
    a = parse("redis://alice:s3cr@t@host:1/0");
    assert_string_equal(a.user, "alice");
    assert_string_equal(a.password, "s3cr@t");
    assert_null(strstr(a.shown, "s3cr"));
    a = parse("unix://bob:pw@/run/redis.sock?db=2");
    assert_string_equal(a.user, "bob");
    assert_string_equal(a.password, "pw");
    assert_string_equal(a.path, "/run/redis.sock");
    assert_int_equal(a.database, 2);
}

static void a_socket_path_is_taken_whole(void **state) {
    (void)state;
    struct gri_redis_address a = parse("unix:///run/redis%20x/a:b@c.sock");
    assert_string_equal(a.path, "/run/redis x/a:b@c.sock");
    assert_string_equal(a.host, "");
}

static void what_is_wrong_is_refused_without_naming_a_password(void **state) {
    (void)state;
    static const char *const urls[] = {
        "",
        "host:6379",
        "http://host",
        "redis://",
        "redis://:6379",
        "redis://host:0",
        "redis://host:65536",
        "redis://host:x",
        "redis://host/x",
        "redis://host/1/2",
        "redis://host?db=1",
        "redis://host,other",
        "redis://hunter2@host",
        "redis://:hunter2%zz@host",
        "redis://:hunter2%00@host",
        "redis://[::1",
        "redis://[::1]x",
        "unix://relative.sock",
        "unix://",
        "unix:///s?x=1",
        "unix:///a/path/that/is/much/longer/than/any/socket/address/of/this/system/can/hold/because/it/goes/on/and/on/and/on/x",
    };
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct gri_redis_address address;
        struct gri_error error = {0};
        if (gri_redis_address_parse(urls[i], &address, &error) != GRI_FATAL) fail_msg("taken: %s", urls[i]);
        assert_int_equal(error.reason, GRI_R_config);
        assert_null(strstr(error.detail, "hunter2"));
    }
}

static void tls_is_refused_with_a_way_out(void **state) {
    (void)state;
    struct gri_redis_address address;
    struct gri_error error = {0};
    assert_int_equal(gri_redis_address_parse("rediss://host", &address, &error), GRI_FATAL);
    assert_non_null(strstr(error.detail, "tunnel"));
}

static void sentinels_share_user_and_password_and_name_a_master(void **state) {
    (void)state;
    struct gri_redis_sentinels sentinels;
    struct gri_redis_address server;
    struct gri_error error = {0};
    static const char url[] = "redis+sentinel://bob:p%2Cw@a.example:1,b.example,[::1]:3/main.one/4";
    assert_true(gri_redis_address_is_sentinel(url));
    assert_false(gri_redis_address_is_sentinel("redis://host"));
    assert_int_equal(gri_redis_sentinels_parse(url, &sentinels, &server, &error), GRI_OK);
    static const char *const shown[] = {"a.example:1", "b.example:26379", "[::1]:3"};
    assert_int_equal(sentinels.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(sentinels.nodes[i].shown, shown[i]);
        assert_string_equal(sentinels.nodes[i].password, "p,w");
        assert_int_equal(sentinels.nodes[i].database, 0);
        assert_true(sentinels.nodes[i].sentinel);
    }
    assert_string_equal(sentinels.master, "main.one");
    assert_string_equal(server.user, "bob");
    assert_int_equal(server.database, 4);
    assert_false(server.sentinel);
    assert_int_equal(gri_redis_sentinels_parse("redis+sentinel://a/m", &sentinels, &server, &error), GRI_OK);
    assert_int_equal(server.database, 0);
}

static void sentinels_that_are_wrong_are_refused(void **state) {
    (void)state;
    static const char *const urls[] = {
        "redis+sentinel://",      "redis+sentinel://a",       "redis+sentinel://a/",
        "redis+sentinel://a,/m",  "redis+sentinel://,a/m",    "redis+sentinel://a:0/m",
        "redis+sentinel://a/m/x", "redis+sentinel://a/m/1/2", "redis+sentinel://a/m?db=1",
        "redis+sentinel://u@a/m", "redis+sentinel://a/%00",   "redis+sentinel://a b:x/m",
        "redis+sentinel://a?x/m", "redis+sentinel://[::1/m",  "redis+sentinel://1,2,3,4,5,6,7,8,9,a,b,c,d,e,f,g,h/m",
    };
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct gri_redis_sentinels sentinels;
        struct gri_redis_address server;
        struct gri_error error = {0};
        if (gri_redis_sentinels_parse(urls[i], &sentinels, &server, &error) != GRI_FATAL) fail_msg("taken: %s", urls[i]);
        assert_int_equal(error.reason, GRI_R_config);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_port_and_database_are_found),
        cmocka_unit_test(user_and_password_are_decoded_and_never_shown),
        cmocka_unit_test(a_socket_path_is_taken_whole),
        cmocka_unit_test(what_is_wrong_is_refused_without_naming_a_password),
        cmocka_unit_test(tls_is_refused_with_a_way_out),
        cmocka_unit_test(sentinels_share_user_and_password_and_name_a_master),
        cmocka_unit_test(sentinels_that_are_wrong_are_refused),
    };
    return cmocka_run_group_tests_name("redis_address", tests, NULL, NULL);
}
