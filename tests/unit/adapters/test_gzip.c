/* SPDX-License-Identifier: Apache-2.0 */
/* Gunzip: any cutting of the input gives the same bytes; damage, cuts and bombs are errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#define ZLIB_CONST /* next_in points to const */
#include <zlib.h>

#include "gzip.h"

static void gzip_onto(struct gri_bytes *out, const void *data, size_t len) {
    z_stream stream = {0};
    struct gri_error error;
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(gri_bytes_reserve(out, deflateBound(&stream, len), &error), GRI_OK);
    stream.next_in = data;
    stream.avail_in = (uInt)len;
    stream.next_out = out->data + out->len;
    stream.avail_out = (uInt)deflateBound(&stream, len);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    out->len += stream.total_out;
    deflateEnd(&stream);
}

static enum gri_status collect(void *arg, struct gri_slice plain, struct gri_error *error) {
    return gri_bytes_append(arg, plain.data, plain.len, error);
}

/* Feeds in parts of `part` bytes; the first failure, or end's. */
static enum gri_status gunzip(struct gri_slice gzip, size_t part, int64_t max, struct gri_bytes *plain, struct gri_error *error) {
    const struct gri_inflate_ops *ops = gri_gzip_inflate();
    struct gri_inflate *inflate = ops->begin(max);
    for (size_t at = 0; at < gzip.len; at += part) {
        size_t n = gzip.len - at < part ? gzip.len - at : part;
        enum gri_status status = ops->feed(inflate, (struct gri_slice){gzip.data + at, n}, collect, plain, error);
        if (status != GRI_OK) {
            ops->abort(inflate);
            return status;
        }
    }
    return ops->end(inflate, error);
}

static int set_up(void **state) {
    struct gri_bytes *bytes = gri_calloc(2, sizeof *bytes);
    gri_bytes_init(&bytes[0], 0);
    gri_bytes_init(&bytes[1], 0);
    *state = bytes;
    return 0;
}

static int tear_down(void **state) {
    struct gri_bytes *bytes = *state;
    gri_bytes_clear(&bytes[0]);
    gri_bytes_clear(&bytes[1]);
    free(bytes);
    return 0;
}

static void members_in_any_cutting_give_all_their_bytes(void **state) {
    struct gri_bytes *gzip = *state, *plain = gzip + 1;
    struct gri_error error;
    gzip_onto(gzip, "first\n", 6);
    gzip_onto(gzip, "", 0);
    gzip_onto(gzip, "second\n", 7);
    for (size_t part = 1; part <= gzip->len; part++) {
        gri_bytes_reset(plain);
        assert_int_equal(gunzip(gri_bytes_slice(gzip), part, 13, plain, &error), GRI_OK);
        assert_string_equal(gri_bytes_text(plain), "first\nsecond\n");
    }
}

static void large_text_comes_out_in_full(void **state) {
    struct gri_bytes *gzip = *state, *plain = gzip + 1;
    struct gri_error error;
    enum { LEN = 32 * 1024 * 20 }; /* whole output blocks, so that the last one is exactly full */
    char *text = gri_alloc(LEN);
    memset(text, 'x', LEN);
    gzip_onto(gzip, text, LEN);
    assert_int_equal(gunzip(gri_bytes_slice(gzip), 1 << 20, LEN, plain, &error), GRI_OK);
    assert_int_equal(plain->len, LEN);
    assert_memory_equal(plain->data, text, LEN);
    free(text);
}

static void every_cut_is_an_error(void **state) {
    struct gri_bytes *gzip = *state, *plain = gzip + 1;
    struct gri_error error;
    gzip_onto(gzip, "some text some text", 19);
    for (size_t len = 0; len < gzip->len; len++) {
        gri_bytes_reset(plain);
        assert_int_equal(gunzip((struct gri_slice){gzip->data, len}, 7, 100, plain, &error), GRI_PERMANENT);
        assert_int_equal(error.reason, GRI_R_bad_request);
    }
}

static void damage_is_an_error(void **state) {
    struct gri_bytes *gzip = *state, *plain = gzip + 1;
    struct gri_error error;
    gzip_onto(gzip, "some text some text", 19);
    gzip->data[gzip->len - 6] ^= 1; /* in the CRC */
    assert_int_equal(gunzip(gri_bytes_slice(gzip), 100, 100, plain, &error), GRI_PERMANENT);
    assert_int_equal(error.reason, GRI_R_bad_request);
    assert_int_equal(gunzip(gri_slice_of("plain text, no gzip"), 100, 100, plain, &error), GRI_PERMANENT);
    gzip->data[gzip->len - 6] ^= 1;
    gri_bytes_put(gzip, "garbage");
    assert_int_equal(gunzip(gri_bytes_slice(gzip), 100, 100, plain, &error), GRI_PERMANENT);
}

static void zeros_behind_the_last_member_are_padding(void **state) {
    struct gri_bytes *gzip = *state, *plain = gzip + 1;
    struct gri_error error;
    gzip_onto(gzip, "t", 1);
    gri_bytes_put_slice(gzip, (struct gri_slice){(const uint8_t[8]){0}, 8});
    assert_int_equal(gunzip(gri_bytes_slice(gzip), 3, 100, plain, &error), GRI_OK);
    gzip_onto(gzip, "t", 1);
    assert_int_equal(gunzip(gri_bytes_slice(gzip), 3, 100, plain, &error), GRI_PERMANENT);
}

static void a_bomb_stops_at_the_cap(void **state) {
    struct gri_bytes *gzip = *state, *plain = gzip + 1;
    struct gri_error error;
    char *text = gri_calloc(1, 1 << 20);
    gzip_onto(gzip, text, 1 << 20);
    gzip_onto(gzip, text, 1 << 20);
    assert_int_equal(gunzip(gri_bytes_slice(gzip), 1 << 20, (2 << 20) - 1, plain, &error), GRI_PERMANENT);
    assert_int_equal(error.reason, GRI_R_body_too_large);
    assert_true(plain->len < 2 << 20);
    gri_bytes_reset(plain);
    assert_int_equal(gunzip(gri_bytes_slice(gzip), 1 << 20, 2 << 20, plain, &error), GRI_OK);
    free(text);
}

static enum gri_status refuse(void *arg, struct gri_slice plain, struct gri_error *error) {
    (void)plain;
    ++*(int *)arg;
    return gri_fail(error, GRI_R_store, "away");
}

static void the_sinks_error_ends_the_feed(void **state) {
    struct gri_bytes *gzip = *state;
    struct gri_error error;
    int calls = 0;
    char *text = gri_calloc(1, 1 << 20);
    gzip_onto(gzip, text, 1 << 20);
    const struct gri_inflate_ops *ops = gri_gzip_inflate();
    struct gri_inflate *inflate = ops->begin(1 << 20);
    assert_int_equal(ops->feed(inflate, gri_bytes_slice(gzip), refuse, &calls, &error), GRI_RETRY);
    assert_int_equal(error.reason, GRI_R_store);
    assert_int_equal(calls, 1);
    ops->abort(inflate);
    ops->abort(NULL);
    free(text);
}

#define FRESH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH(members_in_any_cutting_give_all_their_bytes),
        FRESH(large_text_comes_out_in_full),
        FRESH(every_cut_is_an_error),
        FRESH(damage_is_an_error),
        FRESH(zeros_behind_the_last_member_are_padding),
        FRESH(a_bomb_stops_at_the_cap),
        FRESH(the_sinks_error_ends_the_feed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
