/* SPDX-License-Identifier: Apache-2.0 */
/* Rules: order, overriding, rejection, limits, hostile expressions, versions, and messages that name the place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "catalog_kit.h"

static void judge(const char *rules, const char *line, struct gri_verdict *out) {
    struct gri_ruleset *set = kit_ruleset(rules, NULL);
    gri_ruleset_judge(set, gri_slice_of(line), out);
    gri_ruleset_free(set);
}

static void expect(const char *rules, const char *line, enum gri_reason reason, const char *rule) {
    struct gri_verdict out;
    judge(rules, line, &out);
    if (out.reason != reason) fail_msg("%s under %s: %s", line, rules, gri_reason_name(out.reason));
    assert_string_equal(out.rule, rule);
}

static void a_rejecting_rule_gives_its_name(void **state) {
    (void)state;
    const char *rules = "[{\"name\":\"no ads\",\"when\":{\"host\":[\"ads.example\",\"*.Ads.example\"]},\"reject\":true}]";
    expect(rules, "https://ads.example/x", GRI_R_rejected_by_rule, "no ads");
    expect(rules, "https://a.b.ads.example/x", GRI_R_rejected_by_rule, "no ads");
    expect(rules, "https://bads.example/x", GRI_R_none, "");
    expect("[{\"name\":\"below\",\"when\":{\"host\":\"*.x.example\"},\"reject\":true}]", "https://x.example/", GRI_R_none, "");
    expect("[{\"name\":\"all\",\"reject\":true}]", "https://anything.example/", GRI_R_rejected_by_rule, "all");
    expect("[{\"name\":\"tmp\",\"when\":{\"path\":\"^/tmp/\"},\"reject\":true}]", "https://a.example/x/../tmp/y?z",
           GRI_R_rejected_by_rule, "tmp");
    expect("[{\"name\":\"tmp\",\"when\":{\"path\":\"^/tmp/\"},\"reject\":true}]", "https://a.example/?/tmp/", GRI_R_none, "");
    expect("[{\"name\":\"de\",\"when\":{\"host\":\"b\\u00fccher.example\"},\"reject\":true}]", "https://xn--bcher-kva.example/",
           GRI_R_rejected_by_rule, "de");
}

static void later_rules_override_single_settings(void **state) {
    (void)state;
    const char *rules = "[{\"name\":\"one\",\"require\":{\"path\":\"^/[0-9]+$\",\"max_size\":10}},"
                        "{\"name\":\"two\",\"when\":{\"host\":\"big.example\"},\"require\":{\"max_size\":1000}}]";
    expect(rules, "https://small.example/11", GRI_R_bad_size, "one");
    expect(rules, "https://big.example/11", GRI_R_none, "two");
    expect(rules, "https://big.example/1001", GRI_R_bad_size, "two");
    expect(rules, "https://big.example/x", GRI_R_bad_path, "one");
}

static void reasons_keep_their_order_under_rejection(void **state) {
    (void)state;
    const char *rules =
        "[{\"name\":\"one\",\"require\":{\"path\":\"^/[0-9]+$\",\"max_size\":10}},{\"name\":\"two\",\"reject\":true},"
        "{\"name\":\"three\",\"require\":{\"path\":\"^/never$\"}}]";
    expect(rules, "https://h.example/x", GRI_R_bad_path, "one");
    expect(rules, "https://h.example/11", GRI_R_bad_size, "one");
    expect(rules, "https://h.example/9", GRI_R_rejected_by_rule, "two");
}

static void sizes_are_the_last_numbers_of_the_path(void **state) {
    (void)state;
    const char *rules = "[{\"name\":\"s\",\"require\":{\"max_size\":100}}]";
    expect(rules, "https://h.example/9999/a/1/2", GRI_R_none, "s");
    expect(rules, "https://h.example/9999/100/100", GRI_R_none, "s");
    expect(rules, "https://h.example/a/101/1", GRI_R_bad_size, "s");
    expect(rules, "https://h.example/a/101/x", GRI_R_none, "s");
    expect(rules, "https://h.example/id/101", GRI_R_none, "s");
    expect(rules, "https://h.example/seed/-5/7", GRI_R_none, "s");
    expect(rules, "https://h.example/0101.webp", GRI_R_bad_size, "s");
    expect(rules, "https://h.example/00100.webp", GRI_R_none, "s");
    expect(rules, "https://h.example/-", GRI_R_none, "s");
    expect(rules, "https://h.example/", GRI_R_none, "s");
    expect(rules, "https://h.example/18446744073709551617", GRI_R_bad_size, "s");
}

static void kept_parameters_survive_in_their_order(void **state) {
    (void)state;
    struct gri_verdict out;
    const char *rules = "[{\"name\":\"q\",\"when\":{\"host\":\"h.example\"},\"query\":{\"keep\":[\"b\",\"a\",\"\\u00fc\"]}}]";
    judge(rules, "https://h.example/?a=1&x=2&b=3&a&&ab=1&%C3%bc=5", &out);
    assert_string_equal(out.url, "https://h.example/?a=1&b=3&a&%C3%BC=5");
    judge(rules, "https://h.example/p?x=2&", &out);
    assert_string_equal(out.url, "https://h.example/p");
    judge(rules, "https://g.example/p?x=2&", &out);
    assert_string_equal(out.url, "https://g.example/p?x=2&");
    judge("[{\"name\":\"none\",\"query\":{\"keep\":[]}}]", "https://h.example/p?x=2", &out);
    assert_string_equal(out.url, "https://h.example/p");
}

static void volatile_is_a_setting_like_the_others(void **state) {
    (void)state;
    struct gri_verdict out;
    const char *rules = "[{\"name\":\"v\",\"when\":{\"host\":\"h.example\"},\"volatile\":true},"
                        "{\"name\":\"w\",\"when\":{\"path\":\"^/seed/\"},\"volatile\":false}]";
    judge(rules, "https://h.example/200", &out);
    assert_true(out.is_volatile);
    judge(rules, "https://h.example/seed/1", &out);
    assert_false(out.is_volatile);
    judge(rules, "https://g.example/200", &out);
    assert_false(out.is_volatile);
}

static void limits_are_found_by_host(void **state) {
    (void)state;
    struct gri_host_limit limit;
    struct gri_ruleset *set = kit_ruleset(NULL, NULL);
    gri_ruleset_limit(set, "picsum.photos", &limit);
    assert_string_equal(limit.name, "picsum sizes");
    assert_int_equal(limit.concurrency, 32);
    assert_true(limit.per_second > 499.9 && limit.per_second < 500.1);
    gri_ruleset_limit(set, "fastly.picsum.photos", &limit);
    assert_string_equal(limit.name, "");
    assert_int_equal(limit.concurrency, 0);
    gri_ruleset_free(set);
    set = kit_ruleset("[{\"name\":\"a\",\"limit\":{\"concurrency\":4}},"
                      "{\"name\":\"b\",\"when\":{\"host\":\"*.example\"},\"limit\":{\"per_second\":0.5}}]",
                      NULL);
    gri_ruleset_limit(set, "h.example", &limit);
    assert_string_equal(limit.name, "b");
    assert_int_equal(limit.concurrency, 4);
    assert_true(limit.per_second > 0.49 && limit.per_second < 0.51);
    gri_ruleset_free(set);
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void a_catastrophic_expression_rejects_in_bounded_time(void **state) {
    (void)state;
    char line[2000];
    assert_true(gri_copy(line, sizeof(line), "https://h.example/"));
    size_t len = strlen(line);
    memset(line + len, 'a', 1000);
    memcpy(line + len + 1000, "!", 2);
    double start = seconds();
    expect("[{\"name\":\"slow\",\"require\":{\"path\":\"^/(a+)+$\"}}]", line, GRI_R_rejected_by_rule, "slow");
    expect("[{\"name\":\"slow when\",\"when\":{\"path\":\"^/((a*)*)*$\"},\"volatile\":true}]", line, GRI_R_rejected_by_rule,
           "slow when");
    assert_true(seconds() - start < 2.0);
    expect("[{\"name\":\"deep\",\"require\":{\"path\":\"^(?:/|(a(?1)?))+!$\"}}]", "https://h.example/aaa!", GRI_R_none, "deep");
}

static void the_body_is_canonical_and_names_its_version(void **state) {
    (void)state;
    struct gri_error error = {0};
    struct gri_bytes shipped, given, again;
    char id[3][GRI_PIPELINE_MAX];
    struct gri_json *rules = NULL, *ports = NULL, *body = NULL;
    gri_bytes_init(&shipped, 0);
    gri_bytes_init(&given, 0);
    gri_bytes_init(&again, 0);
    assert_int_equal(gri_json_parse(gri_slice_of(gri_rules_default()), &rules, &error), GRI_OK);
    assert_int_equal(gri_ruleset_body(NULL, NULL, &kit_crypto, &shipped, id[0], &error), GRI_OK);
    assert_int_equal(gri_ruleset_body(rules, NULL, &kit_crypto, &given, id[1], &error), GRI_OK);
    assert_string_equal(gri_bytes_text(&shipped), gri_bytes_text(&given));
    assert_string_equal(id[0], id[1]);
    assert_int_equal(strlen(id[0]), strlen("rules@") + 12);
    assert_memory_equal(id[0], "rules@", 6);

    /* A body's own parts give the same body. */
    assert_int_equal(gri_json_parse(gri_bytes_slice(&shipped), &body, &error), GRI_OK);
    assert_int_equal(
        gri_ruleset_body(gri_json_get(body, "rules"), gri_json_get(body, "allow_ports"), &kit_crypto, &again, id[1], &error),
        GRI_OK);
    assert_string_equal(gri_bytes_text(&shipped), gri_bytes_text(&again));

    assert_int_equal(gri_json_parse(gri_slice_of("[9000,8080,9000]"), &ports, &error), GRI_OK);
    gri_bytes_reset(&given);
    assert_int_equal(gri_ruleset_body(NULL, ports, &kit_crypto, &given, id[2], &error), GRI_OK);
    assert_string_not_equal(id[0], id[2]);
    assert_non_null(strstr(gri_bytes_text(&given), "\"allow_ports\":[8080,9000]"));
    gri_json_free(body);
    gri_json_free(rules);
    gri_json_free(ports);
    gri_bytes_clear(&shipped);
    gri_bytes_clear(&given);
    gri_bytes_clear(&again);
}

static const struct {
    const char *rules, *message;
} mistakes[] = {
    {"{}", "rules: must be a list"},
    {"[5]", "rules[0] \"\": rule: must be a mapping"},
    {"[{}]", "rules[0] \"\": name: every rule needs a name"},
    {"[{\"name\":\"a\"},{\"name\":\"a\"}]", "rules[1] \"a\": name: another rule has this name"},
    {"[{\"name\":\"a\\nb\"}]", "control character"},
    {"[{\"name\":\"0123456789012345678901234567890123456789012345678901234567890123\"}]", "over 63 bytes"},
    {"[{\"name\":\"a\",\"wen\":{}}]", "rules[0] \"a\": rule: unknown key \"wen\""},
    {"[{\"name\":\"a\",\"when\":{\"hosts\":\"x\"}}]", "when: unknown key \"hosts\""},
    {"[{\"name\":\"a\",\"when\":\"x\"}]", "when: must be a mapping"},
    {"[{\"name\":\"a\",\"when\":{\"host\":\"https://x\"}}]", "when.host: must be an exact name"},
    {"[{\"name\":\"a\",\"when\":{\"host\":\"*\"}}]", "when.host: must be an exact name"},
    {"[{\"name\":\"a\",\"when\":{\"host\":[]}}]", "when.host: an empty list"},
    {"[{\"name\":\"a\",\"when\":{\"host\":7}}]", "when.host: must be a host name or a list"},
    {"[{\"name\":\"a\",\"when\":{\"path\":\"(\"}}]", "when.path: at character 2: missing closing parenthesis"},
    {"[{\"name\":\"a\",\"require\":{\"path\":[]}}]", "require.path: must be a text"},
    {"[{\"name\":\"a\",\"require\":{\"max_size\":-1}}]", "require.max_size: must be a whole number"},
    {"[{\"name\":\"a\",\"require\":{\"max_size\":\"5\"}}]", "require.max_size: must be a whole number"},
    {"[{\"name\":\"a\",\"query\":{\"keep\":[\"a&b\"]}}]", "query.keep: a name is too long or contains"},
    {"[{\"name\":\"a\",\"query\":{\"drop\":[]}}]", "query: unknown key \"drop\""},
    {"[{\"name\":\"a\",\"limit\":{\"concurrency\":0}}]", "limit.concurrency: must be a whole number from 1"},
    {"[{\"name\":\"a\",\"limit\":{\"per_second\":0}}]", "limit.per_second: must be a number over 0"},
    {"[{\"name\":\"a\",\"limit\":{\"per_second\":5},\"when\":{\"path\":\"x\"}}]", "limit: a limit holds for hosts"},
    {"[{\"name\":\"a\",\"volatile\":1}]", "volatile: must be true or false"},
    {"[{\"name\":\"a\",\"reject\":true,\"volatile\":true}]", "reject: a rule that rejects can set nothing else"},
    {"[{\"name\":\"ok\"},{\"name\":\"a\",\"reject\":\"yes\"}]", "rules[1] \"a\": reject: must be true or false"},
};

static void a_mistake_is_told_by_rule_and_field(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        struct gri_error error = {0};
        kit_rules_error(mistakes[i].rules, NULL, &error);
        assert_int_equal(error.reason, GRI_R_config);
        if (!strstr(error.detail, mistakes[i].message)) fail_msg("%s: \"%s\"", mistakes[i].rules, error.detail);
    }
    struct gri_error error = {0};
    kit_rules_error(NULL, "[0]", &error);
    assert_non_null(strstr(error.detail, "allow_ports[0]: must be a port"));
    kit_rules_error(NULL, "8080", &error);
    assert_non_null(strstr(error.detail, "allow_ports: must be a list"));
}

static void a_body_of_another_form_does_not_compile(void **state) {
    (void)state;
    static const char *const bodies[] = {"", "[]", "{\"rule\":[]}", "{\"allow_ports\":[],\"rules\":5}",
                                         "{\"rules\":[],\"rules\":[]}"};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct gri_ruleset *set = NULL;
        struct gri_error error = {0};
        assert_int_not_equal(gri_ruleset_compile(gri_slice_of(bodies[i]), &set, &error), GRI_OK);
        assert_null(set);
        assert_true(error.detail[0]);
    }
}

static void expect_verdict(const char *tags_text, const char *line, const char *rule) {
    static const char rules[] =
        "[{\"name\":\"guests\",\"when\":{\"tag\":{\"from\":[\"guest\",\"stranger\"]}},\"reject\":true},"
        "{\"name\":\"both\",\"when\":{\"tag\":{\"a\":\"1\",\"b\":\"2\"},\"path\":\"/x\"},\"reject\":true}]";
    struct gri_ruleset *whole = kit_ruleset(rules, NULL), *left = NULL;
    struct gri_json *tags = NULL;
    struct gri_error error = {0};
    struct gri_verdict verdict;
    struct gri_bytes body;
    char id[GRI_PIPELINE_MAX];
    gri_bytes_init(&body, 0);
    if (tags_text) assert_int_equal(gri_json_parse(gri_slice_of(tags_text), &tags, &error), GRI_OK);
    assert_int_equal(gri_ruleset_for(whole, tags, &kit_crypto, &body, id, &error), GRI_OK);
    assert_int_equal(strncmp(id, "rules@", 6), 0);
    if (gri_ruleset_compile(gri_bytes_slice(&body), &left, &error) != GRI_OK) fail_msg("%s", error.detail);
    assert_null(strstr(gri_bytes_text(&body), "\"tag\""));
    gri_ruleset_judge(left, gri_slice_of(line), &verdict);
    assert_int_equal(verdict.kind, rule ? GRI_LINE_BAD : GRI_LINE_URL);
    if (rule) assert_string_equal(verdict.rule, rule);
    gri_ruleset_judge(whole, gri_slice_of(line), &verdict);
    assert_int_equal(verdict.kind, GRI_LINE_URL);
    gri_ruleset_free(left);
    gri_ruleset_free(whole);
    gri_json_free(tags);
    gri_bytes_clear(&body);
}

static void tags_choose_the_rules_that_hold(void **state) {
    (void)state;
    expect_verdict(NULL, "https://a.test/x", NULL);
    expect_verdict("{\"other\":\"guest\"}", "https://a.test/x", NULL);
    expect_verdict("{\"from\":\"guest\"}", "https://a.test/x", "guests");
    expect_verdict("{\"from\":\"stranger\",\"more\":\"x\"}", "https://a.test/y", "guests");
    expect_verdict("{\"from\":\"Guest\"}", "https://a.test/x", NULL);
    expect_verdict("{\"a\":\"1\"}", "https://a.test/x", NULL);
    expect_verdict("{\"a\":\"1\",\"b\":\"2\"}", "https://a.test/x", "both");
    expect_verdict("{\"a\":\"1\",\"b\":\"2\"}", "https://a.test/y", NULL);
}

static void rules_without_tags_are_the_same_for_every_catalog(void **state) {
    (void)state;
    struct gri_ruleset *set = kit_ruleset(gri_rules_default(), "[8080]");
    struct gri_json *tags = gri_json_object(), *ports = NULL;
    struct gri_error error = {0};
    struct gri_bytes whole, left;
    char whole_id[GRI_PIPELINE_MAX], left_id[GRI_PIPELINE_MAX];
    gri_bytes_init(&whole, 0);
    gri_bytes_init(&left, 0);
    gri_json_set_str(tags, "a", "b");
    assert_int_equal(gri_json_parse(gri_slice_of("[8080]"), &ports, &error), GRI_OK);
    assert_int_equal(gri_ruleset_body(NULL, ports, &kit_crypto, &whole, whole_id, &error), GRI_OK);
    assert_int_equal(gri_ruleset_for(set, tags, &kit_crypto, &left, left_id, &error), GRI_OK);
    assert_string_equal(gri_bytes_text(&whole), gri_bytes_text(&left));
    assert_string_equal(whole_id, left_id);
    gri_bytes_clear(&whole);
    gri_bytes_clear(&left);
    gri_json_free(ports);
    gri_json_free(tags);
    gri_ruleset_free(set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rejecting_rule_gives_its_name),
        cmocka_unit_test(later_rules_override_single_settings),
        cmocka_unit_test(reasons_keep_their_order_under_rejection),
        cmocka_unit_test(sizes_are_the_last_numbers_of_the_path),
        cmocka_unit_test(kept_parameters_survive_in_their_order),
        cmocka_unit_test(volatile_is_a_setting_like_the_others),
        cmocka_unit_test(limits_are_found_by_host),
        cmocka_unit_test(a_catastrophic_expression_rejects_in_bounded_time),
        cmocka_unit_test(the_body_is_canonical_and_names_its_version),
        cmocka_unit_test(a_mistake_is_told_by_rule_and_field),
        cmocka_unit_test(a_body_of_another_form_does_not_compile),
        cmocka_unit_test(tags_choose_the_rules_that_hold),
        cmocka_unit_test(rules_without_tags_are_the_same_for_every_catalog),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
