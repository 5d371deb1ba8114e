/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/catalogs: what is taken, what is refused, and that a refusal leaves nothing behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api_fake_archive.h"

#include <zlib.h>

static const char LINES[] = "https://picsum.photos/1\n\n# note\nnot a url\nhttps://picsum.photos/2";

static void gzip(const char *text, struct gri_bytes *out) {
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)text, .avail_in = (uInt)strlen(text)};
    gri_bytes_init(out, 0);
    struct gri_error error;
    assert_int_equal(gri_bytes_reserve(out, 65536, &error), GRI_OK);
    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_out = out->data;
    stream.avail_out = 65536;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    out->len = stream.total_out;
    deflateEnd(&stream);
}

static struct gri_json *body_of(const struct gri_api_reply *reply) {
    struct gri_json *json = NULL;
    struct gri_error error;
    assert_int_equal(gri_json_parse(gri_bytes_slice(&reply->body), &json, &error), GRI_OK);
    return json;
}

static void refused(struct fixture *f, const char *target, const char *coding, const char *body, int status, const char *reason) {
    struct gri_api_reply reply;
    fixture_push(f, &(struct ask){.target = target, .content_encoding = coding}, gri_slice_of(body), 0, &reply);
    assert_problem(&reply, status, reason);
    assert_int_equal(f->archive.open_pushes, 0);
    assert_int_equal(f->archive.catalog_count, 0);
    gri_api_reply_clear(&reply);
}

static void test_plain_push_answers_202_with_location_and_sums(void **state) {
    struct fixture f;
    struct gri_api_reply reply;
    char sum[GRI_SHA256_HEX], location[64];
    (void)state;
    fixture_open(&f, 0, 1 << 20);
    for (size_t piece = 1; piece < 9; piece += 7) {
        gri_format(location, sizeof location, "/v1/catalogs?name=n%zu&pipeline=small&retry_dead=true", piece);
        fixture_push(&f, &(struct ask){.target = location, .trusted = true}, gri_slice_of(LINES), piece, &reply);
        assert_int_equal(reply.status, 202);
        struct gri_json *json = body_of(&reply);
        f.crypto->sha256_hex(gri_slice_of(LINES), sum);
        assert_string_equal(gri_json_str(json, "sha256", ""), sum);
        assert_int_equal(gri_json_get_int(json, "bytes", 0), strlen(LINES));
        assert_int_equal(gri_json_get_int(json, "lines", 0), 5);
        assert_false(gri_json_get_bool(json, "existed", true));
        gri_format(location, sizeof location, "/v1/catalogs/%s", gri_json_str(json, "id", ""));
        assert_string_equal(reply_header(&reply, "Location"), location);
        gri_json_free(json);
        gri_api_reply_clear(&reply);
    }
    assert_int_equal(f.archive.catalogs[0].totals.blank, 2);
    assert_string_equal(f.archive.catalogs[0].pipeline, "small@ba9876543210");
    assert_string_equal(f.archive.catalogs[0].rules, f.archive.rules_id);
    assert_string_equal(f.archive.catalogs[0].by, "cli:test");
    assert_true(f.archive.catalogs[0].retry_dead);
    fixture_close(&f);
}

static void test_same_bytes_again_answer_200_and_the_first_catalog(void **state) {
    struct fixture f;
    struct gri_api_reply reply;
    char first[GRI_CATALOG_ID_MAX];
    (void)state;
    fixture_open(&f, 0, 1 << 20);
    fixture_catalog(&f, LINES, first);
    fixture_push(&f, &(struct ask){.target = "/v1/catalogs?name=test"}, gri_slice_of(LINES), 3, &reply);
    assert_int_equal(reply.status, 200);
    struct gri_json *json = body_of(&reply);
    assert_string_equal(gri_json_str(json, "id", ""), first);
    assert_true(gri_json_get_bool(json, "existed", false));
    gri_json_free(json);
    gri_api_reply_clear(&reply);
    fixture_push(&f, &(struct ask){.target = "/v1/catalogs?name=another"}, gri_slice_of(LINES), 0, &reply);
    assert_int_equal(reply.status, 202);
    gri_api_reply_clear(&reply);
    assert_int_equal(f.archive.catalog_count, 2);
    fixture_close(&f);
}

static void test_gzip_is_unpacked_and_its_plain_bytes_are_summed(void **state) {
    struct fixture f;
    struct gri_api_reply reply;
    struct gri_bytes packed;
    char sum[GRI_SHA256_HEX];
    (void)state;
    fixture_open(&f, 0, 1 << 20);
    gzip(LINES, &packed);
    fixture_push(&f, &(struct ask){.target = "/v1/catalogs", .content_encoding = "GZIP"}, gri_bytes_slice(&packed), 5, &reply);
    assert_int_equal(reply.status, 202);
    f.crypto->sha256_hex(gri_slice_of(LINES), sum);
    assert_string_equal(f.archive.catalogs[0].totals.sha256, sum);
    gri_api_reply_clear(&reply);
    gri_bytes_clear(&packed);
    fixture_close(&f);
}

static void test_damaged_and_cut_gzip_are_refused(void **state) {
    struct fixture f;
    struct gri_api_reply reply;
    struct gri_bytes packed;
    (void)state;
    fixture_open(&f, 0, 1 << 20);
    gzip(LINES, &packed);
    for (int cut = 0; cut < 2; cut++) {
        struct gri_slice body = gri_bytes_slice(&packed);
        if (cut)
            body.len -= 9;
        else
            packed.data[packed.len - 6] ^= 0x55; /* its CRC */
        fixture_push(&f, &(struct ask){.target = "/v1/catalogs", .content_encoding = "gzip"}, body, 0, &reply);
        assert_problem(&reply, 400, "bad_request");
        gri_api_reply_clear(&reply);
    }
    refused(&f, "/v1/catalogs", "gzip", "this is no gzip", 400, "bad_request");
    assert_int_equal(f.archive.catalog_count, 0);
    gri_bytes_clear(&packed);
    fixture_close(&f);
}

static void test_more_plain_bytes_than_allowed_are_refused(void **state) {
    struct fixture f;
    struct gri_api_reply reply;
    struct gri_bytes packed;
    char *zeros = calloc(1, 20001);
    (void)state;
    fixture_open(&f, 0, 1000);
    memset(zeros, 'a', 20000);
    refused(&f, "/v1/catalogs", NULL, zeros, 413, "body_too_large");
    gzip(zeros, &packed);
    assert_true(packed.len < 200); /* small on the wire, large when unpacked */
    fixture_push(&f, &(struct ask){.target = "/v1/catalogs", .content_encoding = "gzip"}, gri_bytes_slice(&packed), 0, &reply);
    assert_problem(&reply, 413, "body_too_large");
    gri_api_reply_clear(&reply);
    gri_bytes_clear(&packed);
    zeros[1000] = '\0';
    fixture_push(&f, &(struct ask){.target = "/v1/catalogs"}, gri_slice_of(zeros), 0, &reply);
    assert_int_equal(reply.status, 202); /* exactly the maximum */
    gri_api_reply_clear(&reply);
    free(zeros);
    fixture_close(&f);
}

static void test_wrong_parameters_are_refused_before_anything_is_begun(void **state) {
    struct fixture f;
    (void)state;
    fixture_open(&f, 0, 1 << 20);
    refused(&f, "/v1/catalogs?pipeline=nope", NULL, "x", 404, "no_pipeline");
    refused(&f, "/v1/catalogs?pipeline=gray@0123456789a", NULL, "x", 404, "no_pipeline");
    refused(&f, "/v1/catalogs", "br", "x", 400, "bad_request");
    refused(&f, "/v1/catalogs", "gzip, gzip", "x", 400, "bad_request");
    refused(&f, "/v1/catalogs?retry_dead=yes", NULL, "x", 400, "bad_request");
    refused(&f, "/v1/catalogs?name=a\nb", NULL, "x", 400, "bad_request");
    refused(&f, "/v1/catalogs?name=a\x7f", NULL, "x", 400, "bad_request");
    refused(&f,
            "/v1/catalogs?name=a\xc2\x9b"
            "31m",
            NULL, "x", 400, "bad_request"); /* CSI as one C1 character */
    refused(&f, "/v1/catalogs?name=a\xff", NULL, "x", 400, "bad_request");
    char target[300] = "/v1/catalogs?name=";
    memset(target + strlen(target), 'n', 201);
    refused(&f, target, NULL, "x", 400, "bad_request");
    fixture_close(&f);
}

static void test_an_archive_that_fails_midway_is_a_503_and_the_push_is_undone(void **state) {
    struct fixture f;
    struct gri_api_reply reply;
    char *text = calloc(1, 3 * GRI_CHUNK_LINES * 2 + 1);
    (void)state;
    for (int i = 0; i < 3 * GRI_CHUNK_LINES; i++)
        memcpy(text + 2 * i, "x\n", 2);
    fixture_open(&f, 0, 1 << 20);
    for (f.archive.refuse_chunk = 0; f.archive.refuse_chunk < 3; f.archive.refuse_chunk++) {
        fixture_push(&f, &(struct ask){.target = "/v1/catalogs"}, gri_slice_of(text), 1000, &reply);
        assert_problem(&reply, 503, "unavailable");
        assert_string_equal(reply_header(&reply, "Retry-After"), "5");
        gri_api_reply_clear(&reply);
        assert_int_equal(f.archive.open_pushes, 0);
    }
    f.archive.refuse_chunk = -1;
    f.archive.fail = GRI_R_store;
    fixture_push(&f, &(struct ask){.target = "/v1/catalogs"}, gri_slice_of(text), 1000, &reply);
    assert_problem(&reply, 503, "store");
    gri_api_reply_clear(&reply);
    f.archive.fail = GRI_R_none;
    fixture_push(&f, &(struct ask){.target = "/v1/catalogs"}, gri_slice_of(text), 1000, &reply);
    assert_int_equal(reply.status, 202);
    assert_int_equal(f.archive.catalogs[0].chunk_count, 3);
    gri_api_reply_clear(&reply);
    free(text);
    fixture_close(&f);
}

static void test_a_push_ends_with_the_settings_it_began_with(void **state) {
    struct fixture f;
    struct gri_api_reply reply = {0};
    struct gri_error error;
    struct gri_api_param query[] = {{"name", "n"}, {"pipeline", "small"}};
    struct gri_api_request request = {
        .method = "POST", .path = "/v1/catalogs", .query = query, .query_count = 2, .trusted = true, .by = "cli:test"};
    (void)state;
    fixture_open(&f, 0, 1 << 20);
    struct gri_api_push *push = gri_api_push_begin(f.api, &request, &reply);
    assert_non_null(push);
    struct gri_api_options options = {
        .rules_body = gri_slice_of("{\"rules\":[]}"), .rules_id = "rules@222222222222", .max_catalog_bytes = 5};
    assert_int_equal(gri_api_reload(f.api, &options, &error), GRI_OK);
    options.rules_body = gri_slice_of("{\"rules\":7}");
    assert_int_not_equal(gri_api_reload(f.api, &options, &error), GRI_OK);
    assert_int_equal(gri_api_push_max_bytes(push), 1 << 20);
    assert_true(gri_api_push_data(push, gri_slice_of(LINES)));
    gri_api_push_end(push, &reply);
    assert_int_equal(reply.status, 202);
    assert_string_equal(f.archive.catalogs[0].rules, f.archive.rules_id);
    gri_api_reply_clear(&reply);
    reply = (struct gri_api_reply){0};
    assert_null(gri_api_push_begin(f.api, &request, &reply)); /* there is no such pipeline any more */
    assert_int_equal(reply.status, 404);
    gri_api_reply_clear(&reply);
    fixture_close(&f);
}

static void test_an_aborted_push_leaves_nothing(void **state) {
    struct fixture f;
    struct gri_api_reply reply = {0};
    struct gri_api_request request = {.method = "POST", .path = "/v1/catalogs"};
    (void)state;
    fixture_open(&f, 0, 1 << 20);
    struct gri_api_push *push = gri_api_push_begin(f.api, &request, &reply);
    assert_non_null(push);
    assert_true(gri_api_push_data(push, gri_slice_of(LINES)));
    gri_api_push_abort(push);
    gri_api_push_abort(NULL);
    assert_int_equal(f.archive.catalog_count, 0);
    fixture_close(&f);
}

static void test_an_empty_push_is_an_empty_catalog(void **state) {
    struct fixture f;
    struct gri_api_reply reply;
    (void)state;
    fixture_open(&f, 0, 1 << 20);
    fixture_push(&f, &(struct ask){.target = "/v1/catalogs"}, gri_slice_of(""), 0, &reply);
    assert_int_equal(reply.status, 202);
    assert_int_equal(f.archive.catalogs[0].totals.lines, 0);
    gri_api_reply_clear(&reply);
    fixture_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_push_answers_202_with_location_and_sums),
        cmocka_unit_test(test_same_bytes_again_answer_200_and_the_first_catalog),
        cmocka_unit_test(test_gzip_is_unpacked_and_its_plain_bytes_are_summed),
        cmocka_unit_test(test_damaged_and_cut_gzip_are_refused),
        cmocka_unit_test(test_more_plain_bytes_than_allowed_are_refused),
        cmocka_unit_test(test_wrong_parameters_are_refused_before_anything_is_begun),
        cmocka_unit_test(test_an_archive_that_fails_midway_is_a_503_and_the_push_is_undone),
        cmocka_unit_test(test_a_push_ends_with_the_settings_it_began_with),
        cmocka_unit_test(test_an_aborted_push_leaves_nothing),
        cmocka_unit_test(test_an_empty_push_is_an_empty_catalog),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
