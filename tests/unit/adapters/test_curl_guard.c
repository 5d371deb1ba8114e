/* SPDX-License-Identifier: Apache-2.0 */
/* Which addresses are refused, by which rule; what an allowed range lets through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "curl_guard.h"

static const struct {
    const char *address, *rule;
} refused[] = {
    {"127.0.0.1", "loopback"},
    {"127.255.255.255", "loopback"},
    {"0.0.0.0", "this_network"},
    {"0.1.2.3", "this_network"},
    {"10.0.0.1", "private"},
    {"10.255.255.255", "private"},
    {"172.16.0.1", "private"},
    {"172.31.255.255", "private"},
    {"192.168.0.1", "private"},
    {"100.64.0.1", "shared"},
    {"100.127.255.255", "shared"},
    {"100.100.100.200", "shared"},
    {"169.254.169.254", "link_local"},
    {"192.0.0.192", "protocol"},
    {"192.0.2.1", "documentation"},
    {"198.51.100.7", "documentation"},
    {"203.0.113.9", "documentation"},
    {"192.88.99.1", "6to4"},
    {"198.18.0.1", "benchmark"},
    {"198.19.255.255", "benchmark"},
    {"168.63.129.16", "metadata"},
    {"224.0.0.1", "multicast"},
    {"239.255.255.255", "multicast"},
    {"240.0.0.1", "reserved"},
    {"255.255.255.255", "broadcast"},
    {"::", "unspecified"},
    {"::1", "loopback"},
    {"::127.0.0.1", "v4_compatible"},
    {"::ffff:7f00:1", "v4_mapped"},
    {"::ffff:a9fe:a9fe", "v4_mapped"},
    {"::ffff:8.8.8.8", "v4_mapped"},
    {"fe80::1", "link_local"},
    {"febf::1", "link_local"},
    {"fec0::1", "site_local"},
    {"fc00::1", "unique_local"},
    {"fd00:ec2::254", "unique_local"},
    {"ff02::2", "multicast"},
    {"100::1", "discard"},
    {"2001:db8::1", "documentation"},
    {"64:ff9b::a00:1", "nat64"},
    {"64:ff9b::808:808", "nat64"},
    {"64:ff9b:1::a00:1", "nat64"},
    {"2002:a00:1::1", "6to4"},
    {"2001:0:4136:e378:8000:63bf:3fff:fdd2", "teredo"},
    {"2001:4860::5efe:a00:1", "isatap"},
    {"2001:4860::200:5efe:a00:1", "isatap"},
    {"2001:10::1", "protocol"},
    {"2001:2::1", "protocol"},
    {"3fff::1", "documentation"},
    {"5f00::1", "not_global"},
    {"4000::1", "not_global"},
    {"::ffff:0:127.0.0.1", "not_global"},
    {"1::", "not_global"},
    {"fe00::1", "not_global"},
};

static const char *const fine[] = {"100.63.255.254",
                                   "100.128.0.1",
                                   "2606:4700:4700::1111",
                                   "8.8.8.8",
                                   "1.1.1.1",
                                   "9.255.255.255",
                                   "11.0.0.0",
                                   "126.255.255.255",
                                   "128.0.0.0",
                                   "172.15.255.255",
                                   "172.32.0.0",
                                   "169.253.255.255",
                                   "192.167.255.255",
                                   "198.17.255.255",
                                   "198.20.0.0",
                                   "223.255.255.255",
                                   "2001:4860:4860::8888",
                                   "2a00:1450::1",
                                   "2001:200::1",
                                   "2003::1",
                                   "168.63.129.17"};

static void guard_of(struct gri_guard *guard, const char *const *ranges, size_t count) {
    struct gri_error error = {0};
    if (gri_guard_init(guard, ranges, count, &error) != GRI_OK) fail_msg("%s", error.detail);
}

/* As a socket address, the other way in. */
static const char *by_socket(const struct gri_guard *guard, const char *text) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(80)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1) return gri_guard_refuses(guard, (struct sockaddr *)&in, sizeof(in));
    assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
    return gri_guard_refuses(guard, (struct sockaddr *)&in6, sizeof(in6));
}

static void special_addresses_are_refused_by_rule(void **state) {
    (void)state;
    struct gri_guard guard;
    guard_of(&guard, NULL, 0);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        const char *rule = gri_guard_refuses_text(&guard, refused[i].address);
        if (!rule || strcmp(rule, refused[i].rule) != 0) fail_msg("%s: %s", refused[i].address, rule ? rule : "allowed");
        assert_string_equal(by_socket(&guard, refused[i].address), rule);
    }
}

static void public_addresses_are_allowed(void **state) {
    (void)state;
    struct gri_guard guard;
    guard_of(&guard, NULL, 0);
    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
        const char *rule = gri_guard_refuses_text(&guard, fine[i]);
        if (rule) fail_msg("%s: %s", fine[i], rule);
        assert_null(by_socket(&guard, fine[i]));
    }
}

static void what_is_no_ip_address_is_refused(void **state) {
    (void)state;
    struct gri_guard guard;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(0x08080808)}};
    guard_of(&guard, NULL, 0);
    assert_string_equal(gri_guard_refuses(&guard, (struct sockaddr *)&un, sizeof(un)), "family");
    assert_string_equal(gri_guard_refuses(&guard, (struct sockaddr *)&in, sizeof(in) - 1), "family");
    assert_string_equal(gri_guard_refuses_text(&guard, ""), "form");
    assert_string_equal(gri_guard_refuses_text(&guard, "8.8.8.8 "), "form");
    assert_string_equal(gri_guard_refuses_text(&guard, "fe80::1%eth0"), "form");
    assert_string_equal(gri_guard_refuses_text(&guard, "127.1"), "form");
}

static void allowed_ranges_let_through_just_themselves(void **state) {
    (void)state;
    static const char *const ranges[] = {"127.0.0.0/8", "::1", "10.1.0.0/23", "fd00::/9"};
    struct gri_guard guard;
    guard_of(&guard, ranges, 4);
    assert_null(gri_guard_refuses_text(&guard, "127.9.9.9"));
    assert_null(gri_guard_refuses_text(&guard, "::1"));
    assert_null(gri_guard_refuses_text(&guard, "10.1.1.255"));
    assert_null(gri_guard_refuses_text(&guard, "fd7f::1"));
    assert_string_equal(gri_guard_refuses_text(&guard, "10.1.2.0"), "private");
    assert_string_equal(gri_guard_refuses_text(&guard, "fd80::1"), "unique_local");
    assert_string_equal(gri_guard_refuses_text(&guard, "::ffff:127.0.0.1"), "v4_mapped");
    assert_string_equal(gri_guard_refuses_text(&guard, "169.254.169.254"), "link_local");
    static const char *const all[] = {"0.0.0.0/0"};
    guard_of(&guard, all, 1);
    assert_null(gri_guard_refuses_text(&guard, "255.255.255.255"));
    assert_string_equal(gri_guard_refuses_text(&guard, "::1"), "loopback");
}

static void a_wrong_range_is_an_error_of_the_configuration(void **state) {
    (void)state;
    static const char *const wrong[] = {"",        "localhost", "127.0.0.0/33", "127.0.0.0/", "127.0.0.0/8x",       "::/129",
                                        "127.1/8", "/8",        "1.2.3.4/-1",   "::1%lo",     "10.0.0.0/9999999999"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct gri_guard guard;
        struct gri_error error = {0};
        if (gri_guard_init(&guard, &wrong[i], 1, &error) == GRI_OK) fail_msg("\"%s\" was taken", wrong[i]);
        assert_int_equal(error.reason, GRI_R_config);
        assert_non_null(strstr(error.detail, "fetch.allow_ranges[0]"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(special_addresses_are_refused_by_rule),
        cmocka_unit_test(public_addresses_are_allowed),
        cmocka_unit_test(what_is_no_ip_address_is_refused),
        cmocka_unit_test(allowed_ranges_let_through_just_themselves),
        cmocka_unit_test(a_wrong_range_is_an_error_of_the_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
