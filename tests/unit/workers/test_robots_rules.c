/* SPDX-License-Identifier: Apache-2.0 */
/* robots.txt: the examples of RFC 9309, and what hosts write in the wild. */
#include "robots_rules.h"
#include "worker_test.h"

#include <stdlib.h>
#include <string.h>

/* Does `text` let `agent` have `path`? */
static bool allows(const char *text, const char *agent, const char *path) {
    struct gri_robots_rules *rules = gri_robots_rules_parse(gri_slice_of(text), agent);
    const char *rule;
    bool allowed = gri_robots_rules_allow(rules, path, &rule);
    gri_robots_rules_free(rules);
    return allowed;
}

/* One rule for everyone. */
static bool matches(const char *pattern, const char *path) {
    char text[256];
    (void)gri_format(text, sizeof text, "User-agent: *\nDisallow: %s\n", pattern);
    return !allows(text, "grisaille", path);
}

/* RFC 9309, 5.1 */
static const char SIMPLE[] = "User-Agent: *\nDisallow: *.gif$\nDisallow: /example/\nAllow: /publications/\n\n"
                             "User-Agent: foobot\nDisallow:/\nAllow:/example/page.html\nAllow:/example/allowed.gif\n\n"
                             "User-Agent: barbot\nUser-Agent: bazbot\nDisallow: /example/page.html\n\n"
                             "User-Agent: quxbot\n\nEOF\n";

static void the_simple_example_of_the_rfc(void **state) {
    (void)state;
    assert_false(allows(SIMPLE, "anybot", "/a/b.gif"));
    assert_true(allows(SIMPLE, "anybot", "/a/b.gif?x"));
    assert_false(allows(SIMPLE, "anybot", "/example/x"));
    assert_true(allows(SIMPLE, "anybot", "/publications/x"));
    assert_true(allows(SIMPLE, "foobot", "/example/page.html") && allows(SIMPLE, "FooBot", "/example/allowed.gif"));
    assert_false(allows(SIMPLE, "foobot", "/example/other.gif") || allows(SIMPLE, "foobot", "/"));
    assert_false(allows(SIMPLE, "barbot", "/example/page.html") || allows(SIMPLE, "bazbot", "/example/page.html"));
    assert_true(allows(SIMPLE, "barbot", "/example/other.html") && allows(SIMPLE, "barbot", "/a.gif"));
    assert_true(allows(SIMPLE, "quxbot", "/example/x")); /* a group without rules: all of it */
}

/* RFC 9309, 5.2 */
static void the_longest_match_wins(void **state) {
    (void)state;
    const char *text = "User-Agent: foobot\nAllow: /example/page/\nDisallow: /example/page/disallowed.gif\n";
    assert_false(allows(text, "foobot", "/example/page/disallowed.gif"));
    assert_true(allows(text, "foobot", "/example/page/other.gif") && allows(text, "foobot", "/"));
    assert_true(allows("user-agent: *\ndisallow: /page\nallow: /page\n", "a", "/page")); /* of equals, the one that allows */
    assert_true(allows("user-agent: *\nallow: /page\ndisallow: /page\n", "a", "/page"));
}

/* RFC 9309, 2.2.1: groups of one agent are one group. */
static void groups_of_one_agent_are_joined(void **state) {
    (void)state;
    const char *text = "user-agent: examplebot\ndisallow: /foo\ndisallow: /bar\n\nuser-agent: other\ndisallow: /all\n"
                       "\nuser-agent: ExampleBot/2.1\ndisallow: /baz\n";
    assert_false(allows(text, "examplebot", "/foo") || allows(text, "examplebot", "/bar") || allows(text, "examplebot", "/baz"));
    assert_true(allows(text, "examplebot", "/all") && allows(text, "nobot", "/foo"));
}

/* RFC 9309, 2.2.2: the table of encodings. */
static void one_form_of_every_octet(void **state) {
    (void)state;
    assert_true(matches("/foo/bar?baz=quz", "/foo/bar?baz=quz"));
    assert_true(matches("/foo/bar?baz=https://foo.bar", "/foo/bar?baz=https%3A%2F%2Ffoo.bar"));
    assert_true(matches("/foo/bar?baz=https%3a%2F%2Ffoo.bar", "/foo/bar?baz=https://foo.bar"));
    assert_true(matches("/foo/bar/\xe3\x83\x84", "/foo/bar/%E3%83%84") && matches("/foo/bar/%E3%83%84", "/foo/bar/%e3%83%84"));
    assert_true(matches("/foo/bar/%62%61%7A", "/foo/bar/baz"));
    assert_false(matches("/a%2Fb", "/a/b")); /* reserved: not the same */
    assert_false(matches("/Foo", "/foo"));
}

/* RFC 9309, 2.2.3 */
static void special_characters(void **state) {
    (void)state;
    assert_true(matches("/path/file-with-a-%2A.html", "/path/file-with-a-*.html"));
    assert_false(matches("/path/file-with-a-%2A.html", "/path/file-with-a-x.html"));
    assert_true(matches("/path/foo-%24", "/path/foo-$") && matches("/path/foo-%24", "/path/foo-$x"));
    assert_true(matches("/this/path/exactly$", "/this/path/exactly") &&
                !matches("/this/path/exactly$", "/this/path/exactly/more"));
    assert_true(matches("/this/*/exactly", "/this/x/y/exactly") && !matches("/this/*/exactly", "/this/exactly"));
    assert_true(matches("/*.php", "/a.php5") && matches("/*.php$", "/a.php/b.php") && !matches("/*.php$", "/a.php5"));
    assert_true(matches("*", "/x") && matches("/fish*", "/fish") && matches("/", "/x") && matches("/x**y", "/xy"));
    assert_true(matches("/a*b*c$", "/abbbcbc") && !matches("/a*b*c$", "/ac") && matches("/$", "/") && !matches("/$", "/x"));
    assert_true(matches("/ab$", "/ab") && !matches("*ab*ba$", "/aba")); /* pieces don't overlap */
}

static void what_hosts_write(void **state) {
    (void)state;
    assert_true(allows("", "a", "/x") && allows("<!doctype html><p>Disallow: /", "a", "/x"));
    assert_true(allows("Disallow: /\n", "a", "/x"));                         /* before any group */
    assert_true(allows("User-agent: *\nDisallow:\n", "a", "/x"));            /* nothing */
    assert_true(allows("User-agent: *\nDisallow: /\n", "a", "/robots.txt")); /* always */
    assert_false(allows("\xef\xbb\xbfUSER-AGENT : *\r\n  disallow\t: /x # no\r\n", "a", "/x"));
    assert_false(allows("User-agent: a\rDisallow: /x\r", "a", "/x"));
    /* other lines part neither a group's agents nor its rules */
    const char *mixed =
        "User-agent: a\nSitemap: https://x/\nCrawl-delay: 2.5\nUser-agent: b\n\nDisallow: /x\nnonsense\nDisallow: /y\n";
    assert_false(allows(mixed, "a", "/x") || allows(mixed, "b", "/x") || allows(mixed, "a", "/y"));
    struct gri_robots_rules *rules = gri_robots_rules_parse(gri_slice_of(mixed), "a");
    const char *rule = NULL;
    assert_int_equal(gri_robots_rules_delay_ms(rules), 2500);
    assert_true(gri_robots_rules_size(rules) > 0 && !gri_robots_rules_allow(rules, "/x/1", &rule));
    assert_string_equal(rule, "Disallow: /x");
    gri_robots_rules_free(rules);
}

static void the_product_token_is_the_first_word(void **state) {
    (void)state;
    char agent[GRI_ROBOTS_AGENT_MAX];
    gri_robots_agent("grisaille/0.1.0 (+https://example.org/bot)", agent);
    assert_string_equal(agent, "grisaille");
    gri_robots_agent("My_Own-Bot2/1", agent);
    assert_string_equal(agent, "My_Own-Bot");
    gri_robots_agent("", agent);
    assert_string_equal(agent, "");
    assert_false(allows("User-agent: grisaille/9\nDisallow: /\n", "Grisaille", "/x"));
}

/* What stands behind 500 KiB is not read; and a hostile text costs no more than its length. */
static void long_texts_are_cut_and_quick(void **state) {
    (void)state;
    size_t room = 4 * 1024 * 1024, len = 0;
    char *text = gri_alloc(room), path[8000];
    (void)gri_format(text, room, "User-agent: *\n");
    len = strlen(text);
    while (len + 64 < room) {
        if (len >= GRI_ROBOTS_MAX) {
            (void)gri_format(text + len, room - len, "Disallow: /late\n");
        } else {
            (void)gri_format(text + len, room - len, "Disallow: /*a*a*a*a*a*%zub\n", len % 10);
        }
        len += strlen(text + len);
    }
    memset(path, 'a', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    assert_true(allows(text, "x", "/late"));
    assert_true(allows(text, "x", path)); /* seconds, were matching quadratic */
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_simple_example_of_the_rfc),
        cmocka_unit_test(the_longest_match_wins),
        cmocka_unit_test(groups_of_one_agent_are_joined),
        cmocka_unit_test(one_form_of_every_octet),
        cmocka_unit_test(special_characters),
        cmocka_unit_test(what_hosts_write),
        cmocka_unit_test(the_product_token_is_the_first_word),
        cmocka_unit_test(long_texts_are_cut_and_quick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
