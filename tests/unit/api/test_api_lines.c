/* SPDX-License-Identifier: Apache-2.0 */
/* The fate of each line, and the raw bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api_fake_archive.h"

static const char TEXT[] = "https://picsum.photos/id/1/10\n" /* stored */
                           "\n"                              /* blank */
                           "ftp://picsum.photos/2\n"         /* invalid */
                           "https://picsum.photos/id/1/10\n" /* duplicate of line 1 */
                           "https://picsum.photos/id/2/10\n" /* duplicate_content */
                           "https://picsum.photos/id/3/10\n" /* dead */
                           "https://picsum.photos/id/4/10\n" /* pending: queued */
                           "https://picsum.photos/id/5/10\n" /* pending: not admitted */
                           "https://picsum.photos/id/6/10\n" /* refused by the scheduler */
                           "he said \"=1+1\", \xff\n";       /* invalid, with quotes */
static const char *const OUTCOMES[] = {"stored", "blank",   "invalid", "duplicate", "duplicate_content",
                                       "dead",   "pending", "pending", "cancelled", "invalid"};

static void open_world(struct fixture *f, char id[GRI_CATALOG_ID_MAX]) {
    fixture_open(f, 0, 1 << 22);
    fixture_catalog(f, TEXT, id);
    struct gri_json *record = fixture_record(f, "https://picsum.photos/id/1/10", id, 1, "done"), *images = gri_json_array();
    gri_json_append(images, gri_json_string("abc:gray@0123456789a"));
    gri_json_set(record, "images", images);
    gri_json_set_bool(record, "made", true);
    record = fixture_record(f, "https://picsum.photos/id/2/10", id, 5, "done");
    gri_json_set_bool(record, "made", false);
    record = fixture_record(f, "https://picsum.photos/id/3/10", id, 6, "dead");
    struct gri_json *error = gri_json_object();
    gri_json_set_str(error, "reason", "http_4xx");
    gri_json_set_str(error, "detail", "404");
    gri_json_set(record, "error", error);
    fixture_record(f, "https://picsum.photos/id/4/10", id, 7, "queued");
    struct gri_json *bad = gri_json_object();
    gri_json_set_int(bad, "line", 9);
    gri_json_set_str(bad, "reason", "cancelled");
    gri_json_append(f->archive.errors, bad);
}

static void lines_target(char out[200], const char *id, const char *query) {
    gri_format(out, 200, "/v1/catalogs/%s/lines%s", id, query);
}

static void test_each_outcome(void **state) {
    struct fixture f;
    char id[GRI_CATALOG_ID_MAX], target[200];
    (void)state;
    open_world(&f, id);
    lines_target(target, id, "");
    struct gri_json *page = fixture_get(&f, target, 200);
    const struct gri_json *lines = gri_json_get(page, "lines");
    assert_int_equal(gri_json_count(lines), 10);
    for (size_t i = 0; i < 10; i++) {
        const struct gri_json *row = gri_json_at(lines, i);
        assert_int_equal(gri_json_get_int(row, "line", 0), i + 1);
        assert_string_equal(gri_json_str(row, "outcome", ""), OUTCOMES[i]);
    }
    assert_string_equal(gri_json_str(gri_json_at(lines, 0), "image", ""), "abc:gray@0123456789a");
    assert_string_equal(gri_json_str(gri_json_at(lines, 2), "reason", ""), "bad_scheme");
    assert_int_equal(gri_json_get_int(gri_json_get(gri_json_at(lines, 3), "first"), "line", 0), 1);
    assert_string_equal(gri_json_str(gri_json_at(lines, 5), "reason", ""), "http_4xx");
    assert_string_equal(gri_json_str(gri_json_at(lines, 8), "reason", ""), "cancelled");
    assert_int_equal(gri_json_kind(gri_json_get(page, "next")), GRI_JSON_NULL);
    gri_json_free(page);
    fixture_close(&f);
}

static void test_pages_by_cursor_tell_every_line_once(void **state) {
    struct fixture f;
    char id[GRI_CATALOG_ID_MAX], target[200], cursor[32] = "0", query[80];
    int64_t seen = 0;
    (void)state;
    open_world(&f, id);
    while (*cursor) {
        gri_format(query, sizeof query, "?limit=3&cursor=%s", cursor);
        lines_target(target, id, query);
        struct gri_json *page = fixture_get(&f, target, 200);
        const struct gri_json *lines = gri_json_get(page, "lines");
        assert_true(gri_json_count(lines) <= 3);
        for (size_t i = 0; i < gri_json_count(lines); i++)
            assert_int_equal(gri_json_get_int(gri_json_at(lines, i), "line", 0), ++seen);
        gri_copy(cursor, sizeof cursor, gri_json_str(page, "next", ""));
        gri_json_free(page);
    }
    assert_int_equal(seen, 10);
    lines_target(target, id, "?cursor=9999");
    struct gri_json *page = fixture_get(&f, target, 200);
    assert_int_equal(gri_json_count(gri_json_get(page, "lines")), 0);
    gri_json_free(page);
    fixture_close(&f);
}

static void test_one_outcome_is_filtered_and_an_unknown_one_400(void **state) {
    struct fixture f;
    struct gri_api_reply reply;
    char id[GRI_CATALOG_ID_MAX], target[200];
    (void)state;
    open_world(&f, id);
    lines_target(target, id, "?outcome=invalid");
    struct gri_json *page = fixture_get(&f, target, 200);
    assert_int_equal(gri_json_count(gri_json_get(page, "lines")), 2);
    gri_json_free(page);
    static const char *const bad[] = {"?outcome=broken", "?limit=0", "?cursor=-1", "?cursor=x"};
    for (size_t i = 0; i < 4; i++) {
        lines_target(target, id, bad[i]);
        fixture_ask(&f, &(struct ask){.target = target}, &reply);
        assert_problem(&reply, 400, "bad_request");
        gri_api_reply_clear(&reply);
    }
    fixture_close(&f);
}

static void test_ndjson_and_csv_tell_all_lines(void **state) {
    struct fixture f;
    struct gri_api_reply reply;
    struct gri_bytes text;
    bool cut;
    char id[GRI_CATALOG_ID_MAX], target[200];
    (void)state;
    open_world(&f, id);
    lines_target(target, id, "?limit=2");
    fixture_ask(&f, &(struct ask){.target = target, .accept = "application/x-ndjson"}, &reply);
    assert_string_equal(reply.content_type, "application/x-ndjson");
    reply_text(&reply, &text, &cut);
    assert_false(cut);
    size_t rows = 0;
    for (const char *at = gri_bytes_text(&text); *at; rows++) {
        struct gri_json *row = NULL;
        struct gri_error error;
        size_t len = strcspn(at, "\n");
        assert_int_equal(gri_json_parse((struct gri_slice){(const uint8_t *)at, len}, &row, &error), GRI_OK);
        assert_string_equal(gri_json_str(row, "outcome", ""), OUTCOMES[rows]);
        gri_json_free(row);
        at += len + 1;
    }
    assert_int_equal(rows, 10);
    gri_bytes_clear(&text);
    gri_api_reply_clear(&reply);
    lines_target(target, id, "?outcome=invalid");
    fixture_ask(&f, &(struct ask){.target = target, .accept = "text/csv"}, &reply);
    reply_text(&reply, &text, &cut);
    assert_string_equal(gri_bytes_text(&text), "line,url,outcome,reason,image\r\n"
                                               "3,\"ftp://picsum.photos/2\",invalid,bad_scheme,\"\"\r\n"
                                               "10,\"he said \"\"=1+1\"\", \xef\xbf\xbd\",invalid,no_scheme,\"\"\r\n");
    gri_bytes_clear(&text);
    gri_api_reply_clear(&reply);
    fixture_close(&f);
}

static void test_a_failure_in_the_middle_cuts_the_stream(void **state) {
    struct fixture f;
    struct gri_api_reply reply;
    struct gri_bytes text;
    bool cut;
    char id[GRI_CATALOG_ID_MAX], target[200];
    (void)state;
    open_world(&f, id);
    for (int raw = 0; raw < 2; raw++) {
        gri_format(target, sizeof target, "/v1/catalogs/%s/%s", id, raw ? "raw" : "lines");
        fixture_ask(&f, &(struct ask){.target = target, .accept = "text/csv"}, &reply);
        assert_int_equal(reply.status, 200);
        f.archive.fail = GRI_R_unavailable;
        reply_text(&reply, &text, &cut);
        assert_true(cut);
        f.archive.fail = GRI_R_none;
        gri_bytes_clear(&text);
        gri_api_reply_clear(&reply);
    }
    fixture_close(&f);
}

static void test_many_lines_over_several_chunks(void **state) {
    struct fixture f;
    struct gri_api_reply reply;
    struct gri_bytes body, text;
    bool cut;
    char id[GRI_CATALOG_ID_MAX], target[200];
    (void)state;
    fixture_open(&f, 0, 1 << 22);
    gri_bytes_init(&body, 0);
    for (int i = 1; i <= 5000; i++)
        gri_bytes_printf(&body, "https://picsum.photos/id/%d/10\n", i % 1000);
    fixture_catalog(&f, gri_bytes_text(&body), id);
    assert_true(f.archive.catalogs[0].chunk_count > 1);
    gri_format(target, sizeof target, "/v1/catalogs/%s/raw", id);
    fixture_ask(&f, &(struct ask){.target = target}, &reply);
    assert_string_equal(reply_header(&reply, "X-Content-Type-Options"), "nosniff");
    reply_text(&reply, &text, &cut);
    assert_string_equal(gri_bytes_text(&text), gri_bytes_text(&body));
    gri_bytes_clear(&text);
    gri_api_reply_clear(&reply);
    lines_target(target, id, "?limit=1000&cursor=3999");
    struct gri_json *page = fixture_get(&f, target, 200);
    assert_int_equal(gri_json_count(gri_json_get(page, "lines")), 1000);
    assert_int_equal(gri_json_get_int(gri_json_at(gri_json_get(page, "lines"), 0), "line", 0), 4000);
    gri_json_free(page);
    gri_bytes_clear(&body);
    fixture_close(&f);
}

static void test_a_catalog_that_is_not_there_is_404(void **state) {
    static const char *const ids[] = {"000000000000000000000000", "abc", "..", "{\"$gt\":\"\"}", "00000000000000000000000g"};
    static const char *const tails[] = {"", "/lines", "/raw"};
    struct fixture f;
    struct gri_api_reply reply;
    char target[200];
    (void)state;
    fixture_open(&f, 0, 1 << 20);
    for (size_t i = 0; i < 5; i++) {
        for (size_t t = 0; t < 3; t++) {
            gri_format(target, sizeof target, "/v1/catalogs/%s%s", ids[i], tails[t]);
            fixture_ask(&f, &(struct ask){.target = target}, &reply);
            assert_problem(&reply, 404, "not_found");
            gri_api_reply_clear(&reply);
        }
    }
    fixture_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_outcome),
        cmocka_unit_test(test_pages_by_cursor_tell_every_line_once),
        cmocka_unit_test(test_one_outcome_is_filtered_and_an_unknown_one_400),
        cmocka_unit_test(test_ndjson_and_csv_tell_all_lines),
        cmocka_unit_test(test_a_failure_in_the_middle_cuts_the_stream),
        cmocka_unit_test(test_many_lines_over_several_chunks),
        cmocka_unit_test(test_a_catalog_that_is_not_there_is_404),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
