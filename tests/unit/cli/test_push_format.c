/* SPDX-License-Identifier: Apache-2.0 */
/* CSV and JSON Lines to one URL a line: the same whatever the pieces, and no row is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "push_format.h"

static enum gri_status collect(void *arg, struct gri_slice text, struct gri_error *error) {
    return gri_bytes_append(arg, text.data, text.len, error);
}

/* Converts `input` in pieces of `piece` bytes; the status, the text in *out. */
static enum gri_status convert(enum gri_push_format format, const char *column, struct gri_slice input, size_t piece,
                               struct gri_bytes *out, struct gri_error *error) {
    enum gri_status status = GRI_OK;
    gri_bytes_init(out, 0);
    struct gri_converter *converter = gri_converter_create(format, column, collect, out);
    for (size_t at = 0; status == GRI_OK && at < input.len; at += piece) {
        size_t n = input.len - at < piece ? input.len - at : piece;
        status = gri_converter_feed(converter, (struct gri_slice){input.data + at, n}, error);
    }
    if (status == GRI_OK) status = gri_converter_finish(converter, error);
    gri_converter_destroy(converter);
    return status;
}

static void expect(enum gri_push_format format, const char *column, const char *input, const char *output) {
    static const size_t pieces[] = {1, 2, 3, 7, 1000000};
    for (size_t i = 0; i < 5; i++) {
        struct gri_bytes out;
        struct gri_error error = {0};
        enum gri_status status = convert(format, column, gri_slice_of(input), pieces[i], &out, &error);
        if (status != GRI_OK) print_message("%s\n", error.detail);
        assert_int_equal(status, GRI_OK);
        assert_string_equal(gri_bytes_text(&out), output);
        gri_bytes_clear(&out);
    }
}

static void expect_refusal(enum gri_push_format format, const char *column, const char *input, const char *word) {
    struct gri_bytes out;
    struct gri_error error = {0};
    assert_int_equal(convert(format, column, gri_slice_of(input), 3, &out, &error), GRI_PERMANENT);
    assert_int_equal(error.reason, GRI_R_bad_request);
    if (!strstr(error.detail, word)) print_message("%s\n", error.detail);
    assert_non_null(strstr(error.detail, word));
    gri_bytes_clear(&out);
}

static void test_text_goes_through_untouched(void **state) {
    (void)state;
    expect(GRI_FORMAT_TEXT, "url",
           "\xef\xbb\xbf"
           "a\r\n\"b\n\nc",
           "\xef\xbb\xbf"
           "a\r\n\"b\n\nc");
}

static void test_csv_takes_the_named_column(void **state) {
    (void)state;
    expect(GRI_FORMAT_CSV, "url", "id,url,name\n1,http://a/,x\n2,http://b/,y", "http://a/\nhttp://b/\n");
    expect(GRI_FORMAT_CSV, "id", "id,url\n1,http://a/\n", "1\n");
    expect(GRI_FORMAT_CSV, "url", "url\nhttp://a/\n\nhttp://b/\n", "http://a/\n\nhttp://b/\n"); /* a blank row stays a line */
    expect(GRI_FORMAT_CSV, "url", "url\n", "");
}

static void test_csv_with_crlf_and_a_byte_order_mark(void **state) {
    (void)state;
    expect(GRI_FORMAT_CSV, "url", "\xef\xbb\xbfurl,n\r\nhttp://a/,1\r\n", "http://a/\n");
    expect(GRI_FORMAT_CSV, "url", "\xef\xbb\xbf\"url\",\"n\nm\"\r\nhttp://a/,1\r\n", "http://a/\n");
    expect(GRI_FORMAT_CSV, "\xef\xbbx", "\xef\xbbx,url\r\n1,2\r\n", "1\n"); /* two bytes of a mark are none */
}

static void test_csv_quotes_doubled_quotes_commas_and_newlines(void **state) {
    (void)state;
    expect(GRI_FORMAT_CSV, "url", "n,url\n\"a,b\",\"http://a/?x=\"\"1\"\"\"\n", "http://a/?x=\"1\"\n");
    expect(GRI_FORMAT_CSV, "url", "n,url\n\"two\nlines\",http://a/\n3,http://b/\n", "http://a/\nhttp://b/\n");
    expect(GRI_FORMAT_CSV, "url", "url,n\n\"http://a/\nx\",1\n", "http://a/ x\n"); /* never two lines of one row */
    expect(GRI_FORMAT_CSV, "two words", "\"two words\",n\nhttp://a/,1\n", "http://a/\n");
}

static void test_a_stray_quote_swallows_no_rows(void **state) {
    (void)state;
    expect(GRI_FORMAT_CSV, "url", "n,url\n5\" disk,http://a/\nplain,http://b/\nlast,http://c/\n",
           "http://a/\nhttp://b/\nhttp://c/\n");
    expect(GRI_FORMAT_CSV, "url", "url,n\n\"http://a/\"x\"y,1\nhttp://b/,2\n", "http://a/x\"y\nhttp://b/\n");
}

static void test_a_row_without_the_column_goes_on_as_it_is(void **state) {
    (void)state;
    expect(GRI_FORMAT_CSV, "url", "n,url\nonly one\n2,http://b/\n", "only one\nhttp://b/\n");
}

static void test_csv_that_cannot_be_read_is_refused(void **state) {
    (void)state;
    expect_refusal(GRI_FORMAT_CSV, "url", "id,link\n1,http://a/\n", "'url'");
    expect_refusal(GRI_FORMAT_CSV, "url", "id,link\n1,http://a/\n", "id,link");
    expect_refusal(GRI_FORMAT_CSV, "url", "", "empty");
    expect_refusal(GRI_FORMAT_CSV, "url", "url\n\"http://a/\nhttp://b/\n", "row 2");
}

static void test_json_lines(void **state) {
    (void)state;
    expect(GRI_FORMAT_JSONL, "url", "{\"url\":\"http://a/\",\"n\":1}\n\"http://b/\"\n", "http://a/\nhttp://b/\n");
    expect(GRI_FORMAT_JSONL, "link", "{\"link\":\"http://a/\"}\r\n\r\n{\"link\":\"http://b/\"}", "http://a/\n\nhttp://b/\n");
    expect(GRI_FORMAT_JSONL, "url", "\xef\xbb\xbf{\"url\":\"http://a/\"}\n", "http://a/\n");
    expect(GRI_FORMAT_JSONL, "url", "{\"url\":\"http://a/\\nhttp://b/\"}\n", "http://a/ http://b/\n");
}

static void test_what_is_no_json_or_lacks_the_key_stays_a_line(void **state) {
    (void)state;
    expect(GRI_FORMAT_JSONL, "url", "{oops\n{\"other\":1}\n{\"url\":5}\n[]\n", "{oops\n{\"other\":1}\n{\"url\":5}\n[]\n");
    expect(GRI_FORMAT_JSONL, "url", "{\"url\":\"http://a/\\u0000b\"}\n",
           "{\"url\":\"http://a/\\u0000b\"}\n"); /* never http://a/ */
}

static void test_a_row_over_one_mebibyte_is_refused(void **state) {
    size_t len = 1024 * 1024 + 1;
    char *text = malloc(len + 5);
    (void)state;
    memcpy(text, "url\n", 4);
    memset(text + 4, 'a', len);
    text[4 + len] = '\0';
    expect_refusal(GRI_FORMAT_CSV, "url", text, "row 2 is over 1 MiB");
    expect_refusal(GRI_FORMAT_JSONL, "url", text + 4, "row 1 is over 1 MiB");
    text[3 + len] = '\0'; /* exactly 1 MiB */
    struct gri_bytes out;
    struct gri_error error;
    assert_int_equal(convert(GRI_FORMAT_CSV, "url", gri_slice_of(text), 4096, &out, &error), GRI_OK);
    assert_int_equal(out.len, len);
    gri_bytes_clear(&out);
    free(text);
}

static enum gri_status refuse(void *arg, struct gri_slice text, struct gri_error *error) {
    (void)arg, (void)text;
    return gri_fail(error, GRI_R_unavailable, "away");
}

static void test_the_sink_s_error_comes_back(void **state) {
    struct gri_error error;
    (void)state;
    struct gri_converter *converter = gri_converter_create(GRI_FORMAT_CSV, "url", refuse, NULL);
    assert_int_equal(gri_converter_feed(converter, gri_slice_of("url\na\n"), &error), GRI_RETRY);
    assert_int_equal(error.reason, GRI_R_unavailable);
    gri_converter_destroy(converter);
    gri_converter_destroy(NULL);
}

static void test_any_bytes_keep_the_number_of_rows(void **state) {
    static const char alphabet[] = "ab,\"\n\r\xef\xbb\xbf{}";
    uint64_t seed = 1;
    (void)state;
    for (int round = 0; round < 3000; round++) {
        char text[40];
        size_t len = 0, newlines = 0, lines = 0;
        for (; len < sizeof text - 1; len++) {
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            text[len] = alphabet[(seed >> 40) % (sizeof alphabet - 1)];
            newlines += text[len] == '\n';
        }
        text[len] = '\0';
        struct gri_bytes whole, parts;
        struct gri_error error;
        assert_int_equal(convert(GRI_FORMAT_JSONL, "url", gri_slice_of(text), 1000, &whole, &error), GRI_OK);
        assert_int_equal(convert(GRI_FORMAT_JSONL, "url", gri_slice_of(text), 1, &parts, &error), GRI_OK);
        assert_string_equal(gri_bytes_text(&whole), gri_bytes_text(&parts));
        for (size_t i = 0; i < whole.len; i++)
            lines += whole.data[i] == '\n';
        assert_int_equal(lines, newlines + (text[len - 1] != '\n'));
        gri_bytes_clear(&whole);
        gri_bytes_clear(&parts);
        enum gri_status one = convert(GRI_FORMAT_CSV, "a", gri_slice_of(text), 1000, &whole, &error);
        assert_int_equal(one, convert(GRI_FORMAT_CSV, "a", gri_slice_of(text), 1, &parts, &error));
        assert_string_equal(gri_bytes_text(&whole), gri_bytes_text(&parts));
        gri_bytes_clear(&whole);
        gri_bytes_clear(&parts);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_goes_through_untouched),
        cmocka_unit_test(test_csv_takes_the_named_column),
        cmocka_unit_test(test_csv_with_crlf_and_a_byte_order_mark),
        cmocka_unit_test(test_csv_quotes_doubled_quotes_commas_and_newlines),
        cmocka_unit_test(test_a_stray_quote_swallows_no_rows),
        cmocka_unit_test(test_a_row_without_the_column_goes_on_as_it_is),
        cmocka_unit_test(test_csv_that_cannot_be_read_is_refused),
        cmocka_unit_test(test_json_lines),
        cmocka_unit_test(test_what_is_no_json_or_lacks_the_key_stays_a_line),
        cmocka_unit_test(test_a_row_over_one_mebibyte_is_refused),
        cmocka_unit_test(test_the_sink_s_error_comes_back),
        cmocka_unit_test(test_any_bytes_keep_the_number_of_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
