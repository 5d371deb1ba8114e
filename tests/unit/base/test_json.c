/* SPDX-License-Identifier: Apache-2.0 */
/* JSON: what is built comes out, what is read is checked, what is missing has a default. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <grisaille/json.h>
#include <math.h>
#include <string.h>

static struct gri_json *parsed(const char *text) {
    struct gri_json *value = NULL;
    struct gri_error error;
    assert_int_equal(gri_json_parse(gri_slice_of(text), &value, &error), GRI_OK);
    return value;
}

static void check_text(const struct gri_json *value, bool sorted, const char *expected) {
    struct gri_bytes out;
    struct gri_error error;
    gri_bytes_init(&out, 0);
    assert_int_equal(gri_json_write(value, sorted, &out, &error), GRI_OK);
    assert_string_equal(gri_bytes_text(&out), expected);
    gri_bytes_clear(&out);
}

static void built_values_keep_their_order_and_sort_on_request(void **state) {
    (void)state;
    struct gri_json *root = gri_json_object();
    gri_json_set_str(root, "z", "text");
    gri_json_set_int(root, "a", INT64_MIN);
    gri_json_set_bool(root, "b", true);
    gri_json_set_str(root, "n", NULL);
    struct gri_json *list = gri_json_array();
    gri_json_append(list, gri_json_real(0.1));
    gri_json_append(list, gri_json_real(NAN));
    gri_json_set(root, "l", list);
    check_text(root, false, "{\"z\":\"text\",\"a\":-9223372036854775808,\"b\":true,\"n\":null,\"l\":[0.1,null]}");
    check_text(root, true, "{\"a\":-9223372036854775808,\"b\":true,\"l\":[0.10000000000000001,null],\"n\":null,\"z\":\"text\"}");
    gri_json_remove(root, "l");
    gri_json_remove(root, "not there");
    assert_int_equal(gri_json_count(root), 4);
    gri_json_free(root);
}

static void bytes_that_are_not_utf8_are_replaced(void **state) {
    (void)state;
    struct gri_json *value = gri_json_string("a\xff");
    assert_string_equal(gri_json_text(value, NULL), "a\xef\xbf\xbd");
    gri_json_free(value);
}

static void getters_take_anything(void **state) {
    (void)state;
    assert_null(gri_json_get(NULL, "x"));
    assert_null(gri_json_at(NULL, 0));
    assert_int_equal(gri_json_count(NULL), 0);
    assert_int_equal(gri_json_kind(NULL), GRI_JSON_NULL);
    struct gri_json *root = parsed("{\"i\":7,\"r\":1.5,\"s\":\"t\",\"b\":false,\"o\":{\"k\":[1,2,3]}}");
    assert_int_equal(gri_json_get_int(root, "i", 0), 7);
    assert_int_equal(gri_json_get_int(root, "s", 9), 9);
    assert_true(gri_json_double(gri_json_get(root, "r"), 0) > 1.4);
    assert_string_equal(gri_json_str(root, "s", ""), "t");
    assert_string_equal(gri_json_str(root, "i", "other"), "other");
    assert_false(gri_json_get_bool(root, "b", true));
    assert_true(gri_json_get_bool(root, "nothing", true));
    assert_int_equal(gri_json_number(gri_json_at(gri_json_get(gri_json_get(root, "o"), "k"), 2), 0), 3);
    assert_null(gri_json_at(gri_json_get(gri_json_get(root, "o"), "k"), 3));
    struct gri_json *copy = gri_json_copy(root);
    gri_json_free(root);
    assert_int_equal(gri_json_count(copy), 5);
    gri_json_free(copy);
}

static void refuse(const char *text, size_t len) {
    struct gri_json *value = NULL;
    struct gri_error error;
    assert_int_equal(gri_json_parse((struct gri_slice){(const uint8_t *)text, len}, &value, &error), GRI_PERMANENT);
    assert_int_equal(error.reason, GRI_R_bad_request);
    assert_null(value);
}

static void bad_text_is_refused(void **state) {
    (void)state;
    const char *bad[] = {"",    "{",       "{\"a\":1,\"a\":2}",    "[1] 2",    "nul",
                         "'a'", "[1e999]", "99999999999999999999", "\"\xff\"", "\"\\ud800\""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuse(bad[i], strlen(bad[i]));
    refuse("[1]\0", 4);
}

static void depth_is_bounded(void **state) {
    (void)state;
    char text[131];
    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    refuse(text, 130);
    struct gri_json *value = NULL;
    struct gri_error error;
    assert_int_equal(gri_json_parse((struct gri_slice){(const uint8_t *)text + 1, 128}, &value, &error), GRI_OK);
    gri_json_free(value);
    struct gri_json *brackets = parsed("\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[\"");
    gri_json_free(brackets);
}

static void a_text_over_its_cap_leaves_the_buffer_as_it_was(void **state) {
    (void)state;
    struct gri_bytes out;
    struct gri_error error;
    struct gri_json *value = parsed("[\"0123456789\"]");
    gri_bytes_init(&out, 10);
    gri_bytes_put(&out, "ab");
    assert_int_equal(gri_json_write(value, false, &out, &error), GRI_FATAL);
    assert_string_equal(gri_bytes_text(&out), "ab");
    gri_bytes_clear(&out);
    gri_json_free(value);
}

static void collect(const char *key, const struct gri_json *value, void *arg) {
    gri_bytes_printf(arg, "%s=%d ", key, (int)gri_json_number(value, -1));
}

static void each_goes_in_the_order_of_insertion(void **state) {
    (void)state;
    struct gri_bytes seen;
    gri_bytes_init(&seen, 0);
    struct gri_json *value = parsed("{\"c\":1,\"a\":2,\"b\":null}");
    gri_json_each(value, collect, &seen);
    gri_json_each(NULL, collect, &seen);
    assert_string_equal(gri_bytes_text(&seen), "c=1 a=2 b=-1 ");
    gri_json_free(value);
    gri_bytes_clear(&seen);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(built_values_keep_their_order_and_sort_on_request),
        cmocka_unit_test(bytes_that_are_not_utf8_are_replaced),
        cmocka_unit_test(getters_take_anything),
        cmocka_unit_test(bad_text_is_refused),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(a_text_over_its_cap_leaves_the_buffer_as_it_was),
        cmocka_unit_test(each_goes_in_the_order_of_insertion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
