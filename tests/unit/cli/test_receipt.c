/* SPDX-License-Identifier: Apache-2.0 */
/* The receipt says whether its numbers add up; rate and time left come from the last ten seconds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "receipt.h"

static struct gri_json *catalog_of(const char *counts) {
    char text[600];
    struct gri_json *json = NULL;
    struct gri_error error;
    gri_format(text, sizeof text, "{\"id\":\"0123456789abcdef01234567\",\"state\":\"finished\",\"name\":\"n\",\"counts\":{%s}}",
               counts);
    assert_int_equal(gri_json_parse(gri_slice_of(text), &json, &error), GRI_OK);
    return json;
}

static bool adds_up(const char *counts) {
    struct gri_json *json = catalog_of(counts);
    bool answer = gri_receipt_adds_up(json);
    gri_json_free(json);
    return answer;
}

static void test_counts_that_add_up_and_that_do_not(void **state) {
    (void)state;
    assert_true(adds_up(
        "\"lines\":10,\"blank\":1,\"invalid\":2,\"duplicate\":3,\"accepted\":4,\"stored\":1,\"duplicate_content\":1,\"dead\":2"));
    assert_false(adds_up(
        "\"lines\":11,\"blank\":1,\"invalid\":2,\"duplicate\":3,\"accepted\":4,\"stored\":1,\"duplicate_content\":1,\"dead\":2"));
    assert_false(adds_up(
        "\"lines\":10,\"blank\":1,\"invalid\":2,\"duplicate\":3,\"accepted\":4,\"stored\":1,\"duplicate_content\":1,\"dead\":1"));
    assert_true(adds_up("\"lines\":1,\"blank\":0,\"invalid\":0,\"duplicate\":0,\"accepted\":1,\"pending\":1"));
    assert_false(adds_up("\"lines\":0,\"duplicate\":null")); /* not all is admitted: nobody knows yet */
}

static void test_the_printed_receipt_tells_which(void **state) {
    static const struct {
        const char *counts, *says;
    } rows[] = {{"\"lines\":1234567,\"blank\":1234567,\"duplicate\":0", "the numbers add up"},
                {"\"lines\":1234567,\"blank\":1,\"duplicate\":0", "DO NOT ADD UP"}};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char text[4096] = "";
        struct gri_json *json = catalog_of(rows[i].counts);
        FILE *file = tmpfile();
        gri_receipt_print(file, json);
        rewind(file);
        size_t got = fread(text, 1, sizeof text - 1, file);
        text[got] = '\0';
        fclose(file);
        assert_non_null(strstr(text, rows[i].says));
        assert_non_null(strstr(text, "1 234 567"));
        gri_json_free(json);
    }
}

static void test_rate_and_time_left(void **state) {
    struct gri_progress progress = {.count = 0};
    double rate;
    int64_t left;
    (void)state;
    struct gri_json *json = catalog_of("\"lines\":1000,\"stored\":0,\"duplicate\":null");
    gri_progress_rate(&progress, json, &rate, &left);
    assert_int_equal(left, -1);
    /* a slow start long ago does not count: 2 a second before, 4 a second in the last ten seconds */
    int64_t done = 0;
    for (int second = 0; second < 200; second++) {
        done = second < 100 ? second * 2 : 200 + (second - 100) * 4;
        struct gri_json *now = gri_json_copy(json), *counts = gri_json_object();
        gri_json_set_int(counts, "lines", 1000);
        gri_json_set_int(counts, "stored", done);
        gri_json_set_null(counts, "duplicate");
        gri_json_set(now, "counts", counts);
        gri_progress_draw(&progress, now, second * 1000);
        gri_progress_rate(&progress, now, &rate, &left);
        gri_json_free(now);
    }
    assert_true(rate > 3.9 && rate < 4.1);
    assert_int_equal(left, (1000 - done) * 1000 / 4);
    gri_json_free(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_that_add_up_and_that_do_not),
        cmocka_unit_test(test_the_printed_receipt_tells_which),
        cmocka_unit_test(test_rate_and_time_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
