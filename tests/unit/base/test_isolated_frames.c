/* SPDX-License-Identifier: Apache-2.0 */
/* Frames between a worker and its isolated child: what goes in comes out, and nothing a hostile child writes is believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <grisaille/isolator.h>

static struct gri_slice payload_of(const struct gri_bytes *frame, enum gri_frame_kind expected) {
    enum gri_frame_kind kind;
    uint64_t len;
    bool broken;
    assert_true(gri_frame_header(gri_bytes_slice(frame), &kind, &len, &broken));
    assert_int_equal(kind, expected);
    assert_int_equal(len, frame->len - GRI_FRAME_HEADER);
    return (struct gri_slice){frame->data + GRI_FRAME_HEADER, (size_t)len};
}

static void make_result(struct gri_bytes *frame) {
    struct gri_isolated result = {.end = GRI_ISOLATED_ANSWERED};
    struct gri_error error;
    gri_isolated_init(&result, "https://a.test/1", (struct gri_slice){0});
    result.end = GRI_ISOLATED_ANSWERED;
    result.fetch.http_status = 200;
    result.fetch.final_url = gri_strdup("https://a.test/2");
    result.fetch.total_seconds = 0.5;
    result.fetch.redirects = 1;
    gri_copy(result.fetch.etag, sizeof result.fetch.etag, "\"\xff\x01\"");
    gri_bytes_put(&result.fetch.body, "the source");
    gri_bytes_init(&result.picture.output, 0);
    gri_bytes_put(&result.picture.output, "the picture");
    gri_copy(result.picture.content_type, sizeof result.picture.content_type, "image/jpeg");
    gri_copy(result.picture.note, sizeof result.picture.note, "odd");
    result.picture.width = 7;
    result.picture.source_height = 9;
    result.picture.lossless = true;
    gri_bytes_init(frame, 0);
    assert_int_equal(gri_frame_write_result(&result, frame, &error), GRI_OK);
    gri_isolated_clear(&result);
}

static void a_request_comes_back_as_it_was(void **state) {
    (void)state;
    struct gri_bytes frame, definition, settings;
    struct gri_error error;
    char *url = NULL;
    gri_bytes_init(&frame, 0);
    gri_bytes_init(&definition, 0);
    gri_bytes_init(&settings, 0);
    assert_int_equal(
        gri_frame_write_request("https://a.test/", gri_slice_of("{\"steps\":[]}"), gri_slice_of("{}"), &frame, &error), GRI_OK);
    assert_int_equal(gri_frame_read_request(payload_of(&frame, GRI_FRAME_REQUEST), &url, &definition, &settings, &error), GRI_OK);
    assert_string_equal(url, "https://a.test/");
    assert_string_equal(gri_bytes_text(&definition), "{\"steps\":[]}");
    assert_string_equal(gri_bytes_text(&settings), "{}");
    free(url);
    gri_bytes_clear(&frame);
    gri_bytes_clear(&definition);
    gri_bytes_clear(&settings);
}

static void a_result_comes_back_as_it_was(void **state) {
    (void)state;
    struct gri_bytes frame;
    struct gri_isolated got = {.url = "https://a.test/1"};
    struct gri_error error;
    make_result(&frame);
    gri_isolated_init(&got, "https://a.test/1", (struct gri_slice){0});
    assert_int_equal(gri_frame_read_result(payload_of(&frame, GRI_FRAME_RESULT), &got, &error), GRI_OK);
    assert_int_equal(got.end, GRI_ISOLATED_ANSWERED);
    assert_int_equal(got.op.status, GRI_OK);
    assert_int_equal(got.fetch.http_status, 200);
    assert_string_equal(got.fetch.final_url, "https://a.test/2");
    assert_string_equal(got.fetch.etag, "\"\xff\x01\"");
    assert_int_equal(got.fetch.retry_after_ms, -1);
    assert_true(got.fetch.total_seconds > 0.49 && got.fetch.total_seconds < 0.51);
    assert_string_equal(gri_bytes_text(&got.fetch.body), "the source");
    assert_string_equal(gri_bytes_text(&got.picture.output), "the picture");
    assert_string_equal(got.picture.content_type, "image/jpeg");
    assert_string_equal(got.picture.note, "odd");
    assert_int_equal(got.picture.width, 7);
    assert_int_equal(got.picture.source_height, 9);
    assert_true(got.picture.lossless);
    gri_isolated_clear(&got);
    gri_bytes_clear(&frame);
}

static void every_cut_of_a_result_is_refused(void **state) {
    (void)state;
    struct gri_bytes frame;
    struct gri_error error;
    make_result(&frame);
    struct gri_slice whole = payload_of(&frame, GRI_FRAME_RESULT);
    for (size_t len = 0; len < whole.len; len++) {
        struct gri_isolated got = {.url = NULL};
        gri_isolated_init(&got, "u", (struct gri_slice){0});
        assert_int_equal(gri_frame_read_result((struct gri_slice){whole.data, len}, &got, &error), GRI_PERMANENT);
        assert_int_equal(got.fetch.body.len + got.picture.output.len, 0);
        gri_isolated_clear(&got);
    }
    gri_bytes_clear(&frame);
}

/* Whatever a byte becomes: it is refused, or it gives a result that makes sense; the sanitizers watch. */
static void no_byte_of_a_result_is_trusted(void **state) {
    (void)state;
    static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    struct gri_bytes frame;
    struct gri_error error;
    size_t refused = 0;
    make_result(&frame);
    struct gri_slice whole = payload_of(&frame, GRI_FRAME_RESULT);
    uint8_t *bytes = malloc(whole.len);
    assert_non_null(bytes);
    for (size_t i = 0; i < whole.len * sizeof values; i++) {
        struct gri_isolated got = {.url = NULL};
        memcpy(bytes, whole.data, whole.len);
        bytes[i / sizeof values] = values[i % sizeof values];
        gri_isolated_init(&got, "u", (struct gri_slice){0});
        if (gri_frame_read_result((struct gri_slice){bytes, whole.len}, &got, &error) != GRI_OK)
            refused++;
        else
            assert_true(got.end != GRI_ISOLATED_DIED && (got.op.status != GRI_OK || got.picture.output.len > 0));
        gri_isolated_clear(&got);
    }
    assert_true(refused > whole.len); /* lengths, above all */
    free(bytes);
    gri_bytes_clear(&frame);
}

static void several_outputs_come_in_their_order(void **state) {
    (void)state;
    struct gri_isolated sent = {.op.status = GRI_OK}, got = {.op.status = GRI_OK};
    struct gri_bytes frame;
    struct gri_error error;
    gri_isolated_init(&sent, "https://a.test/", gri_slice_of("{}"));
    gri_isolated_init(&got, "https://a.test/", gri_slice_of("{}"));
    sent.end = GRI_ISOLATED_ANSWERED;
    gri_bytes_put(&sent.fetch.body, "source");
    struct gri_picture *picture = &sent.picture;
    for (int i = 0; i < GRI_OUTPUTS_MAX; i++, picture = picture->next) {
        gri_format(picture->name, sizeof picture->name, "output%d", i);
        gri_bytes_init(&picture->output, 0);
        gri_bytes_put(&picture->output, picture->name);
        if (i + 1 < GRI_OUTPUTS_MAX) picture->next = gri_calloc(1, sizeof *picture->next);
    }
    gri_bytes_init(&frame, 0);
    assert_int_equal(gri_frame_write_result(&sent, &frame, &error), GRI_OK);
    struct gri_slice payload = {frame.data + GRI_FRAME_HEADER, frame.len - GRI_FRAME_HEADER};
    assert_int_equal(gri_frame_read_result(payload, &got, &error), GRI_OK);
    for (picture = &got.picture; picture->next; picture = picture->next)
        assert_string_equal(gri_bytes_text(&picture->output), picture->name);
    assert_string_equal(picture->name, "output7");
    assert_ptr_equal(gri_picture_find(&got.picture, "output7"), picture);
    assert_null(gri_picture_find(&got.picture, "output8"));
    gri_bytes_clear(&sent.picture.next->output); /* one of them is missing */
    gri_isolated_clear(&got);
    gri_bytes_clear(&frame);
    gri_bytes_init(&frame, 0);
    assert_int_equal(gri_frame_write_result(&sent, &frame, &error), GRI_OK);
    gri_isolated_init(&got, "https://a.test/", gri_slice_of("{}"));
    payload = (struct gri_slice){frame.data + GRI_FRAME_HEADER, frame.len - GRI_FRAME_HEADER};
    assert_int_not_equal(gri_frame_read_result(payload, &got, &error), GRI_OK);
    gri_isolated_clear(&got);
    gri_isolated_clear(&sent);
    gri_bytes_clear(&frame);
}

static void a_success_without_a_picture_or_a_failure_without_a_reason_is_nonsense(void **state) {
    (void)state;
    struct gri_error error;
    for (int i = 0; i < 3; i++) {
        struct gri_isolated result = {.url = NULL}, got = {.url = NULL};
        struct gri_bytes frame;
        gri_bytes_init(&frame, 0);
        gri_isolated_init(&result, "u", (struct gri_slice){0});
        gri_isolated_init(&got, "u", (struct gri_slice){0});
        if (i == 1) result.op.status = GRI_RETRY;
        if (i == 2) { /* only the parent says that a child died */
            result.op.status = gri_fail(&result.op.error, GRI_R_poison, "me");
            result.end = GRI_ISOLATED_DIED;
        }
        assert_int_equal(gri_frame_write_result(&result, &frame, &error), GRI_OK);
        assert_int_not_equal(gri_frame_read_result(payload_of(&frame, GRI_FRAME_RESULT), &got, &error), GRI_OK);
        gri_bytes_clear(&frame);
        gri_isolated_clear(&result);
        gri_isolated_clear(&got);
    }
}

static void what_is_no_header_is_told_from_what_is_not_there_yet(void **state) {
    (void)state;
    struct gri_bytes frame;
    enum gri_frame_kind kind;
    uint64_t len;
    bool broken;
    gri_bytes_init(&frame, 0);
    gri_frame_write_started(&frame);
    for (size_t i = 0; i < GRI_FRAME_HEADER; i++) {
        assert_false(gri_frame_header((struct gri_slice){frame.data, i}, &kind, &len, &broken));
        assert_false(broken);
    }
    assert_int_equal(payload_of(&frame, GRI_FRAME_STARTED).len, 0);
    frame.data[4] = 9;
    assert_false(gri_frame_header(gri_bytes_slice(&frame), &kind, &len, &broken));
    assert_true(broken);
    assert_false(gri_frame_header(gri_slice_of("a plugin printed this line"), &kind, &len, &broken));
    assert_true(broken);
    gri_bytes_clear(&frame);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_comes_back_as_it_was),
        cmocka_unit_test(a_result_comes_back_as_it_was),
        cmocka_unit_test(every_cut_of_a_result_is_refused),
        cmocka_unit_test(no_byte_of_a_result_is_trusted),
        cmocka_unit_test(several_outputs_come_in_their_order),
        cmocka_unit_test(a_success_without_a_picture_or_a_failure_without_a_reason_is_nonsense),
        cmocka_unit_test(what_is_no_header_is_told_from_what_is_not_there_yet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
