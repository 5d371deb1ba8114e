/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a line under the shipped rules: every kind of malformation that real catalogs have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "catalog_kit.h"

struct example {
    const char *line;
    const char *url; /* NULL: refused or blank */
    enum gri_reason reason;
};

#define U(line, url) \
    { line, url, GRI_R_none }
#define E(line, reason) \
    { line, NULL, GRI_R_##reason }
#define P "https://picsum.photos"

static const struct example urls[] = {
    U("https://picsum.photos/200/300", P "/200/300"),
    U("http://picsum.photos/200/300", "http://picsum.photos/200/300"),
    U("\xef\xbb\xbfhttps://picsum.photos/200/300", P "/200/300"),
    U("https://picsum.photos/200/300\r", P "/200/300"),
    U(" \t https://picsum.photos/200/300\t ", P "/200/300"),
    U("\"https://picsum.photos/200/300\"", P "/200/300"),
    U("'https://picsum.photos/200/300'\r", P "/200/300"),
    U("\" https://picsum.photos/200/300 \"", P "/200/300"),
    U("HTTPS://PICSUM.PHOTOS/200/300", P "/200/300"),
    U("https://picsum.photos:443/200/300", P "/200/300"),
    U("http://picsum.photos:80/200/300", "http://picsum.photos/200/300"),
    U("https://picsum.photos:/200/300", P "/200/300"),
    U("https://picsum.photos:0443/200/300", P "/200/300"),
    U("https://picsum.photos:80/200/300", P ":80/200/300"),
    U("https://picsum.photos./200/300", P "/200/300"),
    U("https://picsum.photos/a/../200/./300", P "/200/300"),
    U("https://picsum.photos/a/%2e%2E/200/300", P "/200/300"),
    U("https://picsum.photos/../../200/300", P "/200/300"),
    U("https://picsum.photos/200/300#top", P "/200/300"),
    U("https://picsum.photos/%32%300/300", P "/200/300"),
    U("https://picsum%2Ephotos/200/300", P "/200/300"),
    U("https://picsum\xe3\x80\x82photos/200/300", P "/200/300"),
    U("https://picsum.photos/200/300?random=7", P "/200/300"),
    U("https://picsum.photos/200/300?", P "/200/300"),
    U("https://picsum.photos/200/300?random=7&grayscale&x&blur=2", P "/200/300?grayscale&blur=2"),
    U("https://picsum.photos/200/300?%67rayscale", P "/200/300?grayscale"),
    U("https://picsum.photos/200/300?Grayscale", P "/200/300"),
    U("https://picsum.photos/200", P "/200"),
    U("https://picsum.photos/0/0", P "/0/0"),
    U("https://picsum.photos/200/0", P "/200/0"),
    U("https://picsum.photos/5000/5000", P "/5000/5000"),
    U("https://picsum.photos/200/300.jpg", P "/200/300.jpg"),
    U("https://picsum.photos/200.webp", P "/200.webp"),
    U("https://picsum.photos/id/99999/200/300", P "/id/99999/200/300"),
    U("https://picsum.photos/id/99999/200", P "/id/99999/200"),
    U("https://picsum.photos/seed/picsum/200/300", P "/seed/picsum/200/300"),
    U("https://picsum.photos/seed/123456789/200/300", P "/seed/123456789/200/300"),
    U("https://picsum.photos/seed/123456789/200", P "/seed/123456789/200"),
    U("https://picsum.photos/seed/%D0%B0%2f b/200", P "/seed/%D0%B0%2F%20b/200"),
    U("https://picsum.photos/seed/\xd0\xb0/200", P "/seed/%D0%B0/200"),
    U("https://other.example", "https://other.example/"),
    U("https://other.example?a=1", "https://other.example/?a=1"),
    U("https://other.example/a?x=1&y=%7e&&z=a b", "https://other.example/a?x=1&y=~&&z=a%20b"),
    U("https://other.example/a/b/..", "https://other.example/a/"),
    U("https://other.example/a/b/.", "https://other.example/a/b/"),
    U("https://other.example//a//b", "https://other.example//a//b"),
    U("https://other.example/a\\b|c<d>\"e\"", "https://other.example/a%5Cb%7Cc%3Cd%3E%22e%22"),
    U("https://other.example/100%", "https://other.example/100%25"),
    U("https://other.example/%zz%4", "https://other.example/%25zz%254"),
    U("https://other.example/%2f%3F", "https://other.example/%2F%3F"),
    U("https://other.example/x?q=http://a@b/", "https://other.example/x?q=http://a@b/"),
    U("https://b\xc3\xbc"
      "cher.example/",
      "https://xn--bcher-kva.example/"),
    U("https://B\xc3\x9c"
      "CHER.example/",
      "https://xn--bcher-kva.example/"),
    U("https://bu\xcc\x88"
      "cher.example/",
      "https://xn--bcher-kva.example/"),
    U("https://b%C3%BCcher.example/", "https://xn--bcher-kva.example/"),
    U("https://XN--BCHER-KVA.example/", "https://xn--bcher-kva.example/"),
    U("https://a_b.example/", "https://a_b.example/"),
    U("http://127.0.0.1/", "http://127.0.0.1/"),
    U("http://127.1/x", "http://127.1/x"),
    U("http://2130706433/", "http://2130706433/"),
    U("http://0X7F.1/", "http://0x7f.1/"),
    U("http://0177.0.0.1/", "http://0177.0.0.1/"),
    U("http://[::1]/", "http://[::1]/"),
    U("http://[0:0:0::0:1]:80/", "http://[::1]/"),
    U("http://[::FFFF:7f00:1]/", "http://[::ffff:127.0.0.1]/"),
    U("http://localhost./", "http://localhost/"),
    U("http://169.254.169.254/latest/meta-data", "http://169.254.169.254/latest/meta-data"),
};

static const struct example refused[] = {
    E("picsum.photos/200/300", no_scheme),
    E("picsum.photos:443/200/300", no_scheme),
    E("localhost:8080/x", no_scheme),
    E("//picsum.photos/200/300", no_scheme),
    E("/200/300", no_scheme),
    E("://picsum.photos/200", no_scheme),
    E("not a url", no_scheme),
    E("200", no_scheme),
    E("\"\"", no_scheme),
    E("picsum.photos//200", no_scheme),
    E("www.picsum.photos", no_scheme),
    E("\x01\x02", no_scheme),
    E("\xff\xfe", no_scheme),
    E("picsum.photos/?u=http://x/", no_scheme),
    E("htps://picsum.photos/200/300", bad_scheme),
    E("ftp://picsum.photos/200", bad_scheme),
    E("http//picsum.photos/200", bad_scheme),
    E("https//picsum.photos/200", bad_scheme),
    E("file:///etc/passwd", bad_scheme),
    E("gopher://a/", bad_scheme),
    E("data:image/png;base64,AAAA", bad_scheme),
    E("javascript:alert(1)", bad_scheme),
    E("mailto:a@b.example", bad_scheme),
    E("1http://picsum.photos/", bad_scheme),
    E("see https://picsum.photos/200", bad_scheme),
    E("htt\x01ps://a/", bad_scheme),
    E("https:///200/300", bad_host),
    E("https:///picsum.photos/200/300", bad_host),
    E("https://", bad_host),
    E("http:/picsum.photos/200", bad_host),
    E("https:picsum.photos/200", bad_host),
    E("https:\\\\picsum.photos\\200", bad_host),
    E("https://?x", bad_host),
    E("https://#x", bad_host),
    E("https://.photos/", bad_host),
    E("https://picsum..photos/", bad_host),
    E("https://./", bad_host),
    E("https://picsum .photos/200", bad_host),
    E("https://-picsum.photos/", bad_host),
    E("https://picsum-.photos/", bad_host),
    E("https://picsum.photos\\200/300", bad_host),
    E("https://pics%00um.photos/", bad_host),
    E("https://pics%2fum.photos/", bad_host),
    E("https://a%zz.example/", bad_host),
    E("https://a%2.example/", bad_host),
    E("https://\xff.example/", bad_host),
    E("https://a\xef\xbc\x8f"
      "b.example/",
      bad_host),
    E("https://a$b.example/", bad_host),
    E("https://pics\x01um.photos/", bad_host),
    E("https://u:p@/", bad_host),
    E("https://:443/", bad_host),
    E("http://[::1/", bad_host),
    E("http://[::1]x/", bad_host),
    E("http://[fe80::1%25eth0]/", bad_host),
    E("http://[]/", bad_host),
    E("http://[1::2::3]/", bad_host),
    E("http://a]b/", bad_host),
    E("https://aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff1234.example/", bad_host),
    E("https://picsum.photos:8080/200/300", bad_port),
    E("https://picsum.photos:0/200", bad_port),
    E("https://picsum.photos:99999/", bad_port),
    E("https://picsum.photos:abc/", bad_port),
    E("https://picsum.photos:-1/", bad_port),
    E("https://a:1:2/", bad_port),
    E("https://u@picsum.photos:22/", bad_port),
    E("https://picsum.photos:4 43/", bad_port),
    E("https://a:99999999999999999999/", bad_port),
    E("https://user:pw@picsum.photos/200/300", credentials),
    E("http://a@127.0.0.1/", credentials),
    E("https://@picsum.photos/200", credentials),
    E("https://a@b@picsum.photos/200", credentials),
    E("https://u@picsum.photos/\x01", credentials),
    E("https://picsum.photos/200\x01/300", not_text),
    E("https://picsum.photos/200\t300", not_text),
    E("https://picsum.photos/\x7f", not_text),
    E("https://picsum.photos/\xff", not_text),
    E("https://picsum.photos/\xc0\xaf", not_text),
    E("https://picsum.photos/\xc2\x85", not_text),
    E("https://picsum.photos/\xed\xa0\x80", not_text),
    E("https://picsum.photos/200\r/300", not_text),
    E("https://picsum.photos/1#\x02", not_text),
    E("https://picsum.photos/abc/300", bad_path),
    E("https://picsum.photos/", bad_path),
    E("https://picsum.photos", bad_path),
    E("https://picsum.photos/200/300/", bad_path),
    E("https://picsum.photos/200/", bad_path),
    E("https://picsum.photos/200/300/400", bad_path),
    E("https://picsum.photos/200/300.png", bad_path),
    E("https://picsum.photos/200.5/300", bad_path),
    E("https://picsum.photos/200//300", bad_path),
    E("https://picsum.photos//200/300", bad_path),
    E("https://picsum.photos/id/237", bad_path),
    E("https://picsum.photos/id/x/200/300", bad_path),
    E("https://picsum.photos/seed//200/300", bad_path),
    E("https://picsum.photos/200x300", bad_path),
    E("https://picsum.photos/200/300.JPG", bad_path),
    E("https://picsum.photos/200/300 x", bad_path),
    E("https://picsum.photos/9999/abc", bad_path),
    E("https://picsum.photos/%2F200", bad_path),
    E("https://picsum.photos/5001/300", bad_size),
    E("https://picsum.photos/300/5001", bad_size),
    E("https://picsum.photos/-1/300", bad_size),
    E("https://picsum.photos/300/-1", bad_size),
    E("https://picsum.photos/-200", bad_size),
    E("https://picsum.photos/99999999999999999999999/1", bad_size),
    E("https://picsum.photos/id/1/5001/5", bad_size),
    E("https://picsum.photos/seed/a/5/5001.jpg", bad_size),
    E("https://picsum.photos/5001", bad_size),
    E("https://picsum.photos/-0", bad_size),
    E("https://picsum.photos/id/1/5001", bad_size),
    E("https://picsum.photos/5001.webp", bad_size),
};

static const char *const blank[] = {
    "", " ", "\t \r", "\r", "#", "# https://picsum.photos/200", "  # x", "\xef\xbb\xbf", "\xef\xbb\xbf# x"};

static void judged(const struct gri_ruleset *set, const struct example *example) {
    struct gri_verdict out;
    gri_ruleset_judge(set, gri_slice_of(example->line), &out);
    if (out.reason != example->reason)
        fail_msg("%s: %s instead of %s (%s)", example->line, gri_reason_name(out.reason), gri_reason_name(example->reason),
                 out.url);
    assert_int_equal(out.kind, example->url ? GRI_LINE_URL : GRI_LINE_BAD);
    assert_string_equal(out.url, example->url ? example->url : "");
    bool by_rule = out.reason == GRI_R_bad_path || out.reason == GRI_R_bad_size;
    if (by_rule) assert_string_equal(out.rule, "picsum sizes");
    if (!by_rule && !example->url) assert_string_equal(out.rule, "");
}

static void every_spelling_of_a_url_has_one_form(void **state) {
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
        judged(*state, &urls[i]);
}

static void each_malformation_has_its_reason(void **state) {
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        judged(*state, &refused[i]);
}

static void what_was_judged_is_judged_the_same_again(void **state) {
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
        judged(*state, &(struct example)U(urls[i].url, urls[i].url));
}

static void blank_lines_are_neither_urls_nor_errors(void **state) {
    struct gri_verdict out;
    for (size_t i = 0; i < sizeof(blank) / sizeof(blank[0]); i++) {
        gri_ruleset_judge(*state, gri_slice_of(blank[i]), &out);
        assert_int_equal(out.kind, GRI_LINE_BLANK);
        assert_int_equal(out.reason, GRI_R_none);
    }
}

static enum gri_reason reason_of(const struct gri_ruleset *set, const void *data, size_t len) {
    struct gri_verdict out;
    gri_ruleset_judge(set, (struct gri_slice){data, len}, &out);
    return out.kind == GRI_LINE_BLANK ? GRI_REASON_COUNT : out.reason;
}

static void a_nul_byte_ends_nothing(void **state) {
    static const char in_path[] = "https://picsum.photos/200\0/300", in_host[] = "https://picsum.photos\0.evil.example/";
    static const char in_scheme[] = "https\0://picsum.photos/";
    assert_int_equal(reason_of(*state, in_path, sizeof(in_path) - 1), GRI_R_not_text);
    assert_int_equal(reason_of(*state, in_host, sizeof(in_host) - 1), GRI_R_bad_host);
    assert_int_equal(reason_of(*state, in_scheme, sizeof(in_scheme) - 1), GRI_R_bad_scheme);
}

/* A line of `len` bytes: `start`, then `fill`. */
static enum gri_reason filled(const struct gri_ruleset *set, const char *start, char fill, size_t len) {
    char *line = gri_alloc(len);
    memset(line, fill, len);
    memcpy(line, start, strlen(start));
    enum gri_reason reason = reason_of(set, line, len);
    free(line);
    return reason;
}

static void long_lines_are_refused_by_what_they_begin_with(void **state) {
    assert_int_equal(filled(*state, "https://other.example/", 'a', GRI_URL_MAX), GRI_R_none);
    assert_int_equal(filled(*state, "https://other.example/", 'a', GRI_URL_MAX + 1), GRI_R_too_long);
    assert_int_equal(filled(*state, "https://other.example/", 'a', 20000), GRI_R_too_long);
    assert_int_equal(filled(*state, "https://other.example/", 'a', 2000000), GRI_R_too_long);
    assert_int_equal(filled(*state, "https://other.example/", '\x01', 2000000), GRI_R_too_long);
    assert_int_equal(filled(*state, "\"https://other.example/", 'a', 2000000), GRI_R_too_long);
    assert_int_equal(filled(*state, "https://other.example/", ' ', 2000000), GRI_R_too_long);
    assert_int_equal(filled(*state, "https://", 'a', 2000000), GRI_R_bad_host);
    assert_int_equal(filled(*state, "ftp://", 'a', 2000000), GRI_R_bad_scheme);
    assert_int_equal(filled(*state, "", 'a', 2000000), GRI_R_no_scheme);
    assert_int_equal(filled(*state, "", ' ', 2000000), GRI_R_too_long);
    assert_int_equal(filled(*state, "#", 'a', 2000000), GRI_REASON_COUNT);
    assert_int_equal(filled(*state, "", ' ', 10000), GRI_REASON_COUNT);
    /* Spaces around do not count, what escaping adds does. */
    assert_int_equal(filled(*state, "https://picsum.photos/200", ' ', 10000), GRI_R_none);
    assert_int_equal(filled(*state, "https://other.example/", '"', 5000), GRI_R_too_long);
}

static void allowed_ports_are_accepted(void **state) {
    (void)state;
    struct gri_ruleset *set = kit_ruleset(NULL, "[8443, 8080]");
    judged(set, &(struct example)U("http://picsum.photos:8080/200", "http://picsum.photos:8080/200"));
    judged(set, &(struct example)U("https://[::1]:8443/200", "https://[::1]:8443/200"));
    judged(set, &(struct example)E("https://picsum.photos:8081/200", bad_port));
    gri_ruleset_free(set);
}

static int setup(void **state) {
    *state = kit_ruleset(NULL, NULL);
    return 0;
}

static int teardown(void **state) {
    gri_ruleset_free(*state);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_spelling_of_a_url_has_one_form),
        cmocka_unit_test(each_malformation_has_its_reason),
        cmocka_unit_test(what_was_judged_is_judged_the_same_again),
        cmocka_unit_test(blank_lines_are_neither_urls_nor_errors),
        cmocka_unit_test(a_nul_byte_ends_nothing),
        cmocka_unit_test(long_lines_are_refused_by_what_they_begin_with),
        cmocka_unit_test(allowed_ports_are_accepted),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
