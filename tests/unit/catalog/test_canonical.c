/* SPDX-License-Identifier: Apache-2.0 */
/* Properties of the canonical form, over seeded URLs: it is stable, spellings fall together, different URLs stay apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "canonical.h"
#include "catalog_kit.h"
#include "job_key.h"

enum { ROUNDS = 40000, SEED = 20261121 };

static const char *const pieces[] = {"http",
                                     "https",
                                     "HTTP",
                                     "ftp",
                                     ":",
                                     "/",
                                     "//",
                                     "://",
                                     "?",
                                     "#",
                                     "@",
                                     "&",
                                     "=",
                                     "%",
                                     "%4",
                                     "%41",
                                     "%2e",
                                     "%2F",
                                     "%c3%bc",
                                     "%00",
                                     "%25",
                                     ".",
                                     "..",
                                     "/./",
                                     "/../",
                                     "a",
                                     "B",
                                     "-",
                                     "_",
                                     "~",
                                     "+",
                                     ";",
                                     ",",
                                     "'",
                                     "\"",
                                     "<",
                                     "|",
                                     "\\",
                                     "^",
                                     "[",
                                     "]",
                                     "[::1]",
                                     "{",
                                     "`",
                                     " ",
                                     "  ",
                                     "picsum.photos",
                                     "EXAMPLE.",
                                     "xn--",
                                     "\xc3\xbc",
                                     "\xe3\x80\x82",
                                     "\xef\xbc\x8f",
                                     "\xf0\x9f\x8c\x84",
                                     "\xff",
                                     "\xc2\x85",
                                     "127.1",
                                     "0x7f",
                                     ":80",
                                     ":443",
                                     ":8080",
                                     ":",
                                     "200",
                                     "300",
                                     ".jpg",
                                     "\t",
                                     "\x01",
                                     "*",
                                     "!",
                                     "$",
                                     "(",
                                     ")"};

static void random_text(uint64_t *random, char *out, size_t size) {
    static const char *const starts[] = {"http://a.example/", "https://picsum.photos/", "https://", "http://b\xc3\xbc.example",
                                         ""};
    (void)gri_copy(out, size, starts[kit_below(random, 5)]);
    for (size_t i = kit_below(random, 12); i > 0; i--) {
        size_t len = strlen(out);
        (void)gri_copy(out + len, size - len, pieces[kit_below(random, sizeof(pieces) / sizeof(pieces[0]))]);
    }
}

static void canonical_of_canonical_is_the_same(void **state) {
    (void)state;
    uint64_t random = SEED;
    static struct gri_canonical once, twice;
    size_t accepted = 0;
    for (int i = 0; i < ROUNDS; i++) {
        char text[512];
        random_text(&random, text, sizeof(text));
        if (gri_canonical_url(gri_slice_of(text), NULL, &once) != GRI_R_none) continue;
        accepted++;
        enum gri_reason reason = gri_canonical_url(gri_slice_of(once.url), NULL, &twice);
        if (reason != GRI_R_none || strcmp(once.url, twice.url) != 0)
            fail_msg("seed %d, round %d: \"%s\" became \"%s\", then \"%s\" (%s)", SEED, i, text, once.url, twice.url,
                     gri_reason_name(reason));
        assert_string_equal(once.host, twice.host);
        assert_int_equal(once.len, strlen(once.url));
        for (const char *c = once.url; *c; c++)
            assert_true(*c > ' ' && *c < 0x7f);
    }
    assert_true(accepted > ROUNDS / 10);
}

/* Writes one canonical path in another spelling: escapes, dot segments, capitals. */
static void respell(uint64_t *random, const char *path, char *out, size_t size) {
    static const char *const schemes[] = {"https://", "HTTPS://", "hTTps://"},
                             *const hosts[] = {"h.example", "H.Example", "h.example.", "%68.example"},
                             *const ports[] = {"", ":443", ":", ":00443"}, *const ends[] = {"", "#", "#a?b/../c"};
    assert_true(
        gri_format(out, size, "%s%s%s", schemes[kit_below(random, 3)], hosts[kit_below(random, 4)], ports[kit_below(random, 4)]));
    size_t len = strlen(out);
    for (const char *c = path; *c; c++) {
        const char *before = *c != '/' ? "" : kit_below(random, 4) == 0 ? "/." : kit_below(random, 4) == 0 ? "/x%20/%2e." : "";
        bool escape = *c != '/' && kit_below(random, 3) == 0;
        assert_true(gri_format(out + len, size - len, escape ? "%s%%%02x" : "%s%c", before, *c));
        len += strlen(out + len);
    }
    assert_true(gri_copy(out + len, size - len, ends[kit_below(random, 3)]));
}

static void spellings_of_one_url_fall_together(void **state) {
    (void)state;
    static struct gri_canonical url;
    uint64_t random = SEED + 1;
    for (int i = 0; i < 5000; i++) {
        char text[2048];
        respell(&random, "/ab/cd~e/f.g", text, sizeof(text));
        if (gri_canonical_url(gri_slice_of(text), NULL, &url) != GRI_R_none ||
            strcmp(url.url, "https://h.example/ab/cd~e/f.g") != 0)
            fail_msg("round %d: \"%s\" became \"%s\"", i, text, url.url);
    }
}

static void different_urls_stay_apart(void **state) {
    (void)state;
    static const char *const texts[] = {
        "http://h.example/",      "https://h.example/",       "https://h.example/a",    "https://h.example/A",
        "https://h.example/a/",   "https://h.example/a%2F",   "https://h.example/a?",   "https://h.example/a?b",
        "https://h.example/a?b=", "https://h.example/a%3Fb",  "https://h.example:80/a", "https://g.example/a",
        "https://h.example/a//",  "https://h.example/a%2526", "https://h.example/a%26", "https://h.example/a&"};
    enum { COUNT = sizeof(texts) / sizeof(texts[0]), SAME = 6 }; /* [6], an empty query, is [2] */
    static struct gri_canonical urls[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(gri_canonical_url(gri_slice_of(texts[i]), NULL, &urls[i]), GRI_R_none);
    assert_string_equal(urls[SAME].url, urls[2].url);
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < i; j++)
            if (i != SAME && j != SAME) assert_string_not_equal(urls[i].url, urls[j].url);
}

static void the_parts_are_where_they_are_said_to_be(void **state) {
    (void)state;
    static struct gri_canonical url;
    assert_int_equal(gri_canonical_url(gri_slice_of("http://h.example:443/a/b?c=d"), NULL, &url), GRI_R_none);
    assert_int_equal(url.port, 443);
    assert_memory_equal(url.url + url.path, "/a/b", url.path_len);
    assert_memory_equal(url.url + url.query, "c=d", url.query_len);
    assert_int_equal(url.path_len, 4);
    assert_int_equal(url.query_len, 3);
}

static void a_job_key_depends_on_url_salt_and_pipeline(void **state) {
    (void)state;
    char plain[GRI_KEY_MAX], other[GRI_KEY_MAX], salted[GRI_KEY_MAX], again[GRI_KEY_MAX];
    gri_job_key(&kit_crypto, "https://h.example/", NULL, "gray", plain);
    gri_job_key(&kit_crypto, "https://h.example/", NULL, "sepia", other);
    gri_job_key(&kit_crypto, "https://h.example/", "17", "gray", salted);
    gri_job_key(&kit_crypto, "https://h.example/", NULL, "gray", again);
    assert_int_equal(strlen(plain), 64 + 1 + 4);
    assert_string_equal(plain + 64, ":gray");
    assert_string_equal(plain, again);
    assert_memory_equal(plain, other, 64);
    assert_string_equal(other + 64, ":sepia");
    assert_memory_not_equal(plain, salted, 64);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical_of_canonical_is_the_same),
        cmocka_unit_test(spellings_of_one_url_fall_together),
        cmocka_unit_test(different_urls_stay_apart),
        cmocka_unit_test(the_parts_are_where_they_are_said_to_be),
        cmocka_unit_test(a_job_key_depends_on_url_salt_and_pipeline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
