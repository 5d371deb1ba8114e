/* SPDX-License-Identifier: Apache-2.0 */
/* Images by hash: found by any sum, verified before a byte goes out, and what HTTP asks of immutable bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api_fake_archive.h"

static const char PICTURE[] = "0123456789abcdef";

static void sum_of(const struct fixture *f, const char *text, char out[GRI_SHA256_HEX]) {
    f->crypto->sha256_hex(gri_slice_of(text), out);
}

static void ask_image(struct fixture *f, const char *hash, const char *tail, struct ask ask, struct gri_api_reply *reply) {
    char target[300];
    gri_format(target, sizeof target, "/v1/images/%s%s", hash, tail);
    ask.target = target;
    fixture_ask(f, &ask, reply);
}

static void open_with_picture(struct fixture *f, char output[GRI_SHA256_HEX]) {
    fixture_open(f, 0, 1 << 20);
    fixture_image(f, "source bytes", PICTURE, "gray@0123456789a", NULL);
    sum_of(f, PICTURE, output);
}

static void test_every_hash_in_either_case_finds_the_image(void **state) {
    static const char *const names[] = {"source", "output", "base64"};
    struct fixture f;
    struct gri_api_reply reply;
    char hash[GRI_SHA256_HEX];
    (void)state;
    open_with_picture(&f, hash);
    for (size_t i = 0; i < 3; i++) {
        gri_copy(hash, sizeof hash, gri_json_str(gri_json_get(f.archive.images[0].meta, "sums"), names[i], ""));
        for (size_t k = 0; i == 1 && hash[k]; k++)
            if (hash[k] >= 'a' && hash[k] <= 'f') hash[k] = (char)(hash[k] - 'a' + 'A');
        ask_image(&f, hash, "", (struct ask){0}, &reply);
        assert_int_equal(reply.status, 200);
        assert_non_null(strstr(gri_bytes_text(&reply.body), "\"images\":[{"));
        gri_api_reply_clear(&reply);
        ask_image(&f, hash, "/content", (struct ask){0}, &reply);
        assert_int_equal(reply.status, 200);
        assert_string_equal(gri_bytes_text(&reply.body), PICTURE);
        gri_api_reply_clear(&reply);
    }
    fixture_close(&f);
}

static void test_an_unknown_hash_is_404_and_a_malformed_one_400(void **state) {
    static const char *const bad[] = {"abc", "g123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
                                      "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0", "..",
                                      "{\"$gt\":\"\"}"};
    static const char *const tails[] = {"", "/content", "/base64"};
    struct fixture f;
    struct gri_api_reply reply;
    char hash[GRI_SHA256_HEX];
    (void)state;
    open_with_picture(&f, hash);
    hash[0] = hash[0] == '0' ? '1' : '0';
    for (size_t t = 0; t < 3; t++) {
        ask_image(&f, hash, tails[t], (struct ask){0}, &reply);
        assert_problem(&reply, 404, "not_found");
        gri_api_reply_clear(&reply);
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
            ask_image(&f, bad[i], tails[t], (struct ask){0}, &reply);
            assert_problem(&reply, 400, "bad_request");
            gri_api_reply_clear(&reply);
        }
    }
    fixture_close(&f);
}

static void test_content_says_what_it_is_and_may_be_kept_forever(void **state) {
    struct fixture f;
    struct gri_api_reply reply;
    char hash[GRI_SHA256_HEX], etag[80];
    (void)state;
    open_with_picture(&f, hash);
    ask_image(&f, hash, "/content", (struct ask){0}, &reply);
    assert_string_equal(reply.content_type, "image/jpeg");
    gri_format(etag, sizeof etag, "\"%s\"", hash);
    assert_string_equal(reply_header(&reply, "ETag"), etag);
    assert_string_equal(reply_header(&reply, "Accept-Ranges"), "bytes");
    assert_string_equal(reply_header(&reply, "X-Content-Type-Options"), "nosniff");
    assert_non_null(strstr(reply_header(&reply, "Cache-Control"), "immutable"));
    assert_non_null(strstr(reply_header(&reply, "Content-Disposition"), ".jpg\""));
    gri_api_reply_clear(&reply);
    ask_image(&f, hash, "/content", (struct ask){.method = "HEAD"}, &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply_header(&reply, "ETag"), etag);
    gri_api_reply_clear(&reply);
    ask_image(&f, hash, "/base64", (struct ask){0}, &reply);
    assert_string_equal(reply.content_type, "text/plain");
    assert_string_equal(gri_bytes_text(&reply.body), f.archive.images[0].base64);
    gri_api_reply_clear(&reply);
    fixture_close(&f);
}

static void test_a_type_that_no_browser_shows_as_a_picture_goes_out_as_bytes(void **state) {
    struct fixture f;
    struct gri_api_reply reply;
    char hash[GRI_SHA256_HEX];
    (void)state;
    open_with_picture(&f, hash);
    gri_json_set_str(f.archive.images[0].meta, "content_type", "text/html");
    ask_image(&f, hash, "/content", (struct ask){0}, &reply);
    assert_string_equal(reply.content_type, "application/octet-stream");
    gri_api_reply_clear(&reply);
    fixture_close(&f);
}

static void test_a_known_etag_answers_304_without_a_body(void **state) {
    struct fixture f;
    struct gri_api_reply reply;
    char hash[GRI_SHA256_HEX], header[200];
    static const char *const forms[] = {"\"%s\"", "W/\"%s\"", "\"x\", \"%s\", \"y\"", "*%.0s"};
    (void)state;
    open_with_picture(&f, hash);
    for (size_t i = 0; i < 4; i++) {
        const char *hole = strstr(forms[i], "%s");
        if (hole)
            gri_format(header, sizeof header, "%.*s%s%s", (int)(hole - forms[i]), forms[i], hash, hole + 2);
        else
            gri_copy(header, sizeof header, "*");
        ask_image(&f, hash, "/content", (struct ask){.if_none_match = header, .range = "bytes=0-1"}, &reply);
        assert_int_equal(reply.status, 304);
        assert_int_equal(reply.body.len, 0);
        assert_non_null(strstr(reply_header(&reply, "ETag"), hash));
        gri_api_reply_clear(&reply);
    }
    ask_image(&f, hash, "/content", (struct ask){.if_none_match = "\"other\""}, &reply);
    assert_int_equal(reply.status, 200);
    gri_api_reply_clear(&reply);
    fixture_close(&f);
}

static void test_ranges(void **state) {
    static const struct {
        const char *range;
        int status;
        const char *body, *content_range;
    } rows[] = {
        {"bytes=0-3", 206, "0123", "bytes 0-3/16"},
        {"bytes=15-15", 206, "f", "bytes 15-15/16"},
        {"bytes=10-", 206, "abcdef", "bytes 10-15/16"},
        {"bytes=10-99999999999999999999999", 206, "abcdef", "bytes 10-15/16"},
        {"bytes=-2", 206, "ef", "bytes 14-15/16"},
        {"bytes=-99", 206, PICTURE, "bytes 0-15/16"},
        {"bytes=16-", 416, NULL, "bytes */16"},
        {"bytes=99999999999999999999999999-", 416, NULL, "bytes */16"},
        {"bytes=-0", 416, NULL, "bytes */16"},
        {"bytes=3-2", 200, PICTURE, ""},
        {"bytes=0-1,3-4", 200, PICTURE, ""},
        {"bytes=--5", 200, PICTURE, ""},
        {"bytes=5--3", 200, PICTURE, ""},
        {"bytes=-", 200, PICTURE, ""},
        {"bytes=", 200, PICTURE, ""},
        {"bytes= 0-1", 200, PICTURE, ""},
        {"bytes=a-b", 200, PICTURE, ""},
        {"lines=0-1", 200, PICTURE, ""},
    };
    struct fixture f;
    struct gri_api_reply reply;
    char hash[GRI_SHA256_HEX];
    (void)state;
    open_with_picture(&f, hash);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ask_image(&f, hash, "/content", (struct ask){.range = rows[i].range}, &reply);
        if (reply.status != rows[i].status) print_message("%s\n", rows[i].range);
        assert_int_equal(reply.status, rows[i].status);
        assert_string_equal(reply_header(&reply, "Content-Range"), rows[i].content_range);
        if (rows[i].body) {
            assert_int_equal(reply.body.len, strlen(rows[i].body));
            assert_memory_equal(reply.body.data, rows[i].body, reply.body.len);
        } else {
            assert_problem(&reply, 416, "bad_request");
        }
        gri_api_reply_clear(&reply);
    }
    fixture_close(&f);
}

static void test_if_range_of_other_bytes_sends_the_whole(void **state) {
    struct fixture f;
    struct gri_api_reply reply;
    char hash[GRI_SHA256_HEX], etag[80];
    (void)state;
    open_with_picture(&f, hash);
    ask_image(&f, hash, "/content", (struct ask){.range = "bytes=0-3", .if_range = "\"other\""}, &reply);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.body.len, strlen(PICTURE));
    gri_api_reply_clear(&reply);
    gri_format(etag, sizeof etag, "\"%s\"", hash);
    ask_image(&f, hash, "/content", (struct ask){.range = "bytes=0-3", .if_range = etag}, &reply);
    assert_int_equal(reply.status, 206);
    gri_api_reply_clear(&reply);
    fixture_close(&f);
}

static void test_several_images_and_none_chosen_is_409_with_the_choices(void **state) {
    struct fixture f;
    struct gri_api_reply reply;
    char hash[GRI_SHA256_HEX];
    (void)state;
    fixture_open(&f, 0, 1 << 20);
    fixture_image(&f, "source", "one", "gray@0123456789a", NULL);
    fixture_image(&f, "source", "two", "gray@aaaaaaaaaaa", NULL);
    fixture_image(&f, "source", "three", "small@ba9876543210", NULL);
    sum_of(&f, "source", hash);
    ask_image(&f, hash, "/content", (struct ask){0}, &reply);
    assert_problem(&reply, 409, "ambiguous");
    assert_non_null(strstr(gri_bytes_text(&reply.body), "\"choices\":[{"));
    assert_non_null(strstr(gri_bytes_text(&reply.body), "small@ba9876543210"));
    gri_api_reply_clear(&reply);
    ask_image(&f, hash, "/content?pipeline=small", (struct ask){0}, &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(gri_bytes_text(&reply.body), "three");
    gri_api_reply_clear(&reply);
    ask_image(&f, hash, "/content?pipeline=gray", (struct ask){0}, &reply);
    assert_problem(&reply, 409, "ambiguous"); /* two versions */
    gri_api_reply_clear(&reply);
    ask_image(&f, hash, "/content?pipeline=gray@aaaaaaaaaaa", (struct ask){0}, &reply);
    assert_string_equal(gri_bytes_text(&reply.body), "two");
    gri_api_reply_clear(&reply);
    ask_image(&f, hash, "/content?pipeline=nope", (struct ask){0}, &reply);
    assert_problem(&reply, 404, "not_found");
    gri_api_reply_clear(&reply);
    ask_image(&f, hash, "/content?pipeline=small&output=thumb", (struct ask){0}, &reply);
    assert_problem(&reply, 404, "not_found");
    gri_api_reply_clear(&reply);
    fixture_close(&f);
}

static void test_a_corrupt_image_is_a_500_and_never_bytes(void **state) {
    static const char *const spoils[] = {"base64", "output", "text", "marked"};
    static const char *const tails[] = {"/content", "/base64"};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct fixture f;
        struct gri_api_reply reply;
        char hash[GRI_SHA256_HEX];
        fixture_open(&f, 0, 1 << 20);
        fixture_image(&f, "source", PICTURE, "gray@0123456789a", spoils[i]);
        if (i == 3) gri_json_set_bool(f.archive.images[0].meta, "corrupt", true);
        sum_of(&f, "source", hash);
        for (size_t t = 0; t < 2; t++) {
            ask_image(&f, hash, tails[t], (struct ask){.if_none_match = "*", .range = "bytes=0-1"}, &reply);
            assert_problem(&reply, 500, "corrupt");
            assert_null(strstr(gri_bytes_text(&reply.body), PICTURE));
            assert_null(strstr(gri_bytes_text(&reply.body), f.archive.images[0].base64));
            assert_string_equal(reply_header(&reply, "Cache-Control"), "");
            gri_api_reply_clear(&reply);
        }
        fixture_close(&f);
    }
}

static void test_a_removed_image_is_410(void **state) {
    struct fixture f;
    struct gri_api_reply reply;
    char hash[GRI_SHA256_HEX];
    (void)state;
    open_with_picture(&f, hash);
    gri_json_set_bool(f.archive.images[0].meta, "removed", true);
    ask_image(&f, hash, "/content", (struct ask){0}, &reply);
    assert_problem(&reply, 410, "removed");
    gri_api_reply_clear(&reply);
    fixture_close(&f);
}

static void test_filters_reach_the_archive_and_bad_ones_are_400(void **state) {
    static const char *const bad[] = {"limit=0",
                                      "limit=1001",
                                      "limit=x",
                                      "limit=",
                                      "limit=99999999999999999999",
                                      "since=yesterday",
                                      "until=2026-13-01",
                                      "since=2026-11-21T09:00:00",
                                      "since=-5",
                                      "host=a\xff"};
    struct fixture f;
    struct gri_api_reply reply;
    char target[200];
    (void)state;
    fixture_open(&f, 0, 1 << 20);
    gri_json_free(fixture_get(
        &f, "/v1/images?host=h.test&catalog={\"$gt\":\"\"}&since=2026-11-21T09:00:00.5Z&until=2026-11-22&limit=7&cursor=c", 200));
    assert_string_equal(f.archive.last_filter.host, "h.test");
    assert_int_equal(f.archive.last_filter.since_ms, INT64_C(1795251600000));
    assert_int_equal(f.archive.last_filter.until_ms, INT64_C(1795305600000));
    assert_int_equal(f.archive.last_filter.limit, 7);
    gri_json_free(fixture_get(&f, "/v1/images?since=1795251600", 200));
    assert_int_equal(f.archive.last_filter.since_ms, INT64_C(1795251600000));
    assert_int_equal(f.archive.last_filter.limit, 100);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        gri_format(target, sizeof target, "/v1/images?%s", bad[i]);
        fixture_ask(&f, &(struct ask){.target = target}, &reply);
        assert_problem(&reply, 400, "bad_request");
        gri_api_reply_clear(&reply);
    }
    fixture_ask(&f, &(struct ask){.target = "/v1/events?reason=nonsense"}, &reply);
    assert_problem(&reply, 400, "bad_request");
    gri_api_reply_clear(&reply);
    gri_json_free(fixture_get(&f, "/v1/events?reason=dns", 200));
    fixture_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_hash_in_either_case_finds_the_image),
        cmocka_unit_test(test_an_unknown_hash_is_404_and_a_malformed_one_400),
        cmocka_unit_test(test_content_says_what_it_is_and_may_be_kept_forever),
        cmocka_unit_test(test_a_type_that_no_browser_shows_as_a_picture_goes_out_as_bytes),
        cmocka_unit_test(test_a_known_etag_answers_304_without_a_body),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_if_range_of_other_bytes_sends_the_whole),
        cmocka_unit_test(test_several_images_and_none_chosen_is_409_with_the_choices),
        cmocka_unit_test(test_a_corrupt_image_is_a_500_and_never_bytes),
        cmocka_unit_test(test_a_removed_image_is_410),
        cmocka_unit_test(test_filters_reach_the_archive_and_bad_ones_are_400),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
