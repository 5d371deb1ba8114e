/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers keep their cap, their NUL and their content; UTF-8 and redaction. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <grisaille/bytes.h>
#include <stdlib.h>
#include <string.h>

#include "redact.h"
#include "utf8.h"

static void content_is_always_terminated(void **state) {
    (void)state;
    struct gri_bytes bytes;
    struct gri_error error;
    gri_bytes_init(&bytes, 100);
    assert_string_equal(gri_bytes_text(&bytes), "");
    assert_int_equal(gri_bytes_append(&bytes, "abc", 3, &error), GRI_OK);
    assert_string_equal(gri_bytes_text(&bytes), "abc");
    gri_bytes_printf(&bytes, "-%d", 42);
    assert_string_equal(gri_bytes_text(&bytes), "abc-42");
    gri_bytes_reset(&bytes);
    assert_string_equal(gri_bytes_text(&bytes), "");
    gri_bytes_clear(&bytes);
}

static void growth_past_the_cap_fails_and_changes_nothing(void **state) {
    (void)state;
    struct gri_bytes bytes;
    struct gri_error error;
    gri_bytes_init(&bytes, 8);
    assert_int_equal(gri_bytes_append(&bytes, "12345678", 8, &error), GRI_OK);
    assert_int_equal(gri_bytes_append(&bytes, "9", 1, &error), GRI_FATAL);
    assert_int_equal(error.reason, GRI_R_no_memory);
    assert_string_equal(gri_bytes_text(&bytes), "12345678");
    assert_int_equal(gri_bytes_reserve(&bytes, SIZE_MAX, &error), GRI_FATAL);
    gri_bytes_clear(&bytes);
}

static void a_failed_put_sticks_until_reset(void **state) {
    (void)state;
    struct gri_bytes bytes;
    gri_bytes_init(&bytes, 4);
    gri_bytes_put(&bytes, "abc");
    assert_false(gri_bytes_failed(&bytes));
    gri_bytes_printf(&bytes, "%s", "de");
    assert_true(gri_bytes_failed(&bytes));
    gri_bytes_put(&bytes, "d");
    assert_string_equal(gri_bytes_text(&bytes), "abc");
    gri_bytes_reset(&bytes);
    assert_false(gri_bytes_failed(&bytes));
    gri_bytes_put(&bytes, "wxyz");
    assert_string_equal(gri_bytes_text(&bytes), "wxyz");
    gri_bytes_clear(&bytes);
}

static void move_empties_the_source_and_frees_the_target(void **state) {
    (void)state;
    struct gri_bytes a, b;
    gri_bytes_init(&a, 10);
    gri_bytes_init(&b, 20);
    gri_bytes_put(&a, "old");
    gri_bytes_put(&b, "new");
    gri_bytes_move(&a, &b);
    assert_string_equal(gri_bytes_text(&a), "new");
    assert_int_equal(a.max, 20);
    assert_int_equal(b.len, 0);
    assert_null(b.data);
    gri_bytes_clear(&a);
    gri_bytes_clear(&b);
}

static void copies_tell_when_they_are_cut(void **state) {
    (void)state;
    char small[4];
    assert_true(gri_copy(small, sizeof small, "abc"));
    assert_false(gri_copy(small, sizeof small, "abcd"));
    assert_string_equal(small, "abc");
    assert_true(gri_format(small, sizeof small, "%d", 123));
    assert_false(gri_format(small, sizeof small, "%d", 1234));
    char *part = gri_strndup("hello", 2);
    assert_string_equal(part, "he");
    free(part);
}

static void utf8_is_what_unicode_says(void **state) {
    (void)state;
    const char *good[] = {
        "", "a", "\xc2\x80", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"};
    const char *bad[] = {"\x80",
                         "\xc0\xaf",
                         "\xc1\xbf",
                         "\xe0\x9f\xbf",
                         "\xed\xa0\x80",
                         "\xf0\x8f\xbf\xbf",
                         "\xf4\x90\x80\x80",
                         "\xf5\x80\x80\x80",
                         "\xe2\x82",
                         "a\xff"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(gri_utf8_valid(gri_slice_of(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(gri_utf8_valid(gri_slice_of(bad[i])));
    struct gri_bytes out;
    gri_bytes_init(&out, 0);
    gri_utf8_put_clean(&out, gri_slice_of("a\xff\xe2\x82z"));
    assert_string_equal(gri_bytes_text(&out), "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz");
    gri_bytes_clear(&out);
}

static void check_redacted(const char *text, const char *expected) {
    struct gri_bytes out;
    gri_bytes_init(&out, 0);
    gri_redact_put(&out, gri_slice_of(text));
    assert_string_equal(gri_bytes_text(&out), expected);
    gri_bytes_clear(&out);
}

static void check_redacted_uri(const char *text, const char *expected) {
    struct gri_bytes out;
    gri_bytes_init(&out, 0);
    gri_redact_put_uri(&out, text);
    assert_string_equal(gri_bytes_text(&out), expected);
    gri_bytes_clear(&out);
}

static void credentials_leave_text(void **state) {
    (void)state;
    check_redacted("https://picsum.photos/200", "https://picsum.photos/200");
    check_redacted("http://u:p@h/x", "http://***@h/x");
    check_redacted("http://u:p@w@h/x", "http://***@h/x");
    check_redacted("no http://a@b, then ftp://c:d@e.", "no http://***@b, then ftp://***@e.");
    check_redacted("https://h/@user/pic?mail=a@b", "https://h/@user/pic?mail=a@b");
    check_redacted("", "");
    check_redacted("://", "://");
    check_redacted_uri("redis://:pa/ss@w@h:6379/0", "redis://***@h:6379/0");
    check_redacted_uri("redis://h:6379/0", "redis://h:6379/0");
    check_redacted_uri("mongodb://u:p@a,b/?replicaSet=r&tlsCertificateKeyFilePassword=x&w=1",
                       "mongodb://***@a,b/?replicaSet=r&tlsCertificateKeyFilePassword=***&w=1");
}

static void a_csv_field_doubles_its_quotes(void **state) {
    struct gri_bytes bytes;
    (void)state;
    gri_bytes_init(&bytes, 0);
    gri_bytes_put_csv(&bytes, "");
    gri_bytes_put_csv(&bytes, "a,\"b\"\n");
    assert_string_equal(gri_bytes_text(&bytes), "\"\"\"a,\"\"b\"\"\n\"");
    gri_bytes_clear(&bytes);
}

/* Values of the FNV authors' own test vectors (test_fnv.c, fnv1a_64). */
static void hashes_are_those_of_fnv_1a(void **state) {
    (void)state;
    assert_true(gri_hash_text("") == GRI_HASH_START);
    assert_true(gri_hash_text("a") == UINT64_C(0xaf63dc4c8601ec8c));
    assert_true(gri_hash_text("foobar") == UINT64_C(0x85944171f73967e8));
    assert_true(gri_hash(gri_hash_text("foo"), "bar", 3) == gri_hash_text("foobar"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_is_always_terminated),    cmocka_unit_test(growth_past_the_cap_fails_and_changes_nothing),
        cmocka_unit_test(a_failed_put_sticks_until_reset), cmocka_unit_test(move_empties_the_source_and_frees_the_target),
        cmocka_unit_test(copies_tell_when_they_are_cut),   cmocka_unit_test(utf8_is_what_unicode_says),
        cmocka_unit_test(credentials_leave_text),          cmocka_unit_test(a_csv_field_doubles_its_quotes),
        cmocka_unit_test(hashes_are_those_of_fnv_1a),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
