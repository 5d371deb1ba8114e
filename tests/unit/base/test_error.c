/* SPDX-License-Identifier: Apache-2.0 */
/* Errors keep class, reason and detail, whatever is put around them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <grisaille/status.h>
#include <stdio.h>
#include <string.h>

#include "utf8.h"

static void every_reason_is_found_by_its_name(void **state) {
    (void)state;
    for (int i = 0; i < GRI_REASON_COUNT; i++) {
        assert_int_equal(gri_reason_from_name(gri_reason_name((enum gri_reason)i)), i);
        assert_true(gri_reason_info((enum gri_reason)i)->status != GRI_OK);
        assert_true(gri_reason_info((enum gri_reason)i)->http >= 200);
    }
    assert_int_equal(gri_reason_from_name("nonsense"), GRI_REASON_COUNT);
    assert_int_equal(gri_reason_from_name(NULL), GRI_REASON_COUNT);
}

static void fail_takes_the_class_of_the_table(void **state) {
    (void)state;
    struct gri_error error = {.unknown = true};
    assert_int_equal(gri_fail(&error, GRI_R_dns, "host %s", "a.example"), GRI_RETRY);
    assert_int_equal(error.status, GRI_RETRY);
    assert_int_equal(error.reason, GRI_R_dns);
    assert_string_equal(error.detail, "host a.example");
    assert_false(error.unknown);
    assert_int_equal(gri_fail_as(&error, GRI_PERMANENT, GRI_R_http_5xx, "501"), GRI_PERMANENT);
    assert_int_equal(error.status, GRI_PERMANENT);
}

static void wrap_puts_context_before_the_detail(void **state) {
    (void)state;
    struct gri_error error;
    (void)gri_fail(&error, GRI_R_timeout, "after 5 s");
    error.unknown = true;
    assert_int_equal(gri_error_wrap(&error, "insert of %d", 3), GRI_RETRY);
    assert_string_equal(error.detail, "insert of 3: after 5 s");
    assert_int_equal(error.reason, GRI_R_timeout);
    assert_true(error.unknown);
}

static void a_detail_may_be_made_of_itself(void **state) {
    (void)state;
    struct gri_error error;
    (void)gri_fail(&error, GRI_R_io, "disk full");
    (void)gri_fail(&error, GRI_R_config, "file: %s", error.detail);
    assert_string_equal(error.detail, "file: disk full");
}

static void long_details_are_cut_between_characters(void **state) {
    (void)state;
    char text[1000] = "";
    for (int shift = 0; shift < 4; shift++) {
        size_t len = (size_t)shift;
        memset(text, 'x', len);
        while (len + 3 < sizeof text) {
            memcpy(text + len, "\xe2\x82\xac", 4);
            len += 3;
        }
        struct gri_error error;
        (void)gri_fail(&error, GRI_R_io, "%s", text);
        assert_true(strlen(error.detail) > sizeof error.detail - 4);
        assert_true(gri_utf8_valid(gri_slice_of(error.detail)));
        (void)gri_error_wrap(&error, "context %d", shift);
        assert_true(strlen(error.detail) < sizeof error.detail);
        assert_true(gri_utf8_valid(gri_slice_of(error.detail)));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reason_is_found_by_its_name),       cmocka_unit_test(fail_takes_the_class_of_the_table),
        cmocka_unit_test(wrap_puts_context_before_the_detail),     cmocka_unit_test(a_detail_may_be_made_of_itself),
        cmocka_unit_test(long_details_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
