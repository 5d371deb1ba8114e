/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics: series are found again, counts add up across threads, and promtool accepts the text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <grisaille/metrics.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const double SECONDS[] = {0.1, 1, 10};

static int set_up(void **state) {
    *state = gri_metrics_create();
    return 0;
}

static int tear_down(void **state) {
    gri_metrics_destroy(*state);
    return 0;
}

static char *rendered(struct gri_metrics *metrics) {
    struct gri_bytes out;
    gri_bytes_init(&out, 0);
    gri_metrics_render(metrics, &out);
    assert_false(gri_bytes_failed(&out));
    char *text = gri_strdup(gri_bytes_text(&out));
    gri_bytes_clear(&out);
    return text;
}

static void expect(struct gri_metrics *metrics, const char *line) {
    char *text = rendered(metrics);
    if (!strstr(text, line)) fail_msg("missing %s in:\n%s", line, text);
    free(text);
}

static void a_series_is_found_again(void **state) {
    struct gri_counter *first = gri_metrics_counter(*state, "grisaille_x_total", "Help.", "reason=\"dns\"");
    assert_ptr_equal(first, gri_metrics_counter(*state, "grisaille_x_total", "Help.", "reason=\"dns\""));
    assert_ptr_not_equal(first, gri_metrics_counter(*state, "grisaille_x_total", "Help.", "reason=\"tls\""));
    gri_counter_add(first, 2);
    gri_counter_add(first, 3);
    expect(*state, "\ngrisaille_x_total{reason=\"dns\"} 5\n");
    expect(*state, "\ngrisaille_x_total{reason=\"tls\"} 0\n");
}

static void gauges_are_set_and_added_to(void **state) {
    struct gri_gauge *gauge = gri_metrics_gauge(*state, "grisaille_ratio", "Help.", "");
    gri_gauge_set(gauge, 0.1);
    expect(*state, "\ngrisaille_ratio 0.1\n");
    gri_gauge_add(gauge, -1);
    expect(*state, "\ngrisaille_ratio -0.9\n");
    gri_gauge_set(gauge, 12345678901.0);
    expect(*state, "\ngrisaille_ratio 12345678901\n");
}

static void a_histogram_counts_into_cumulative_buckets(void **state) {
    struct gri_histogram *histogram = gri_metrics_histogram(*state, "grisaille_t_seconds", "Help.", "stage=\"dns\"", SECONDS, 3);
    const double values[] = {0.05, 0.1, 0.5, 5, 100};
    for (size_t i = 0; i < 5; i++)
        gri_histogram_observe(histogram, values[i]);
    expect(*state, "# TYPE grisaille_t_seconds histogram\n"
                   "grisaille_t_seconds_bucket{stage=\"dns\",le=\"0.1\"} 2\n"
                   "grisaille_t_seconds_bucket{stage=\"dns\",le=\"1\"} 3\n"
                   "grisaille_t_seconds_bucket{stage=\"dns\",le=\"10\"} 4\n"
                   "grisaille_t_seconds_bucket{stage=\"dns\",le=\"+Inf\"} 5\n"
                   "grisaille_t_seconds_sum{stage=\"dns\"} 105.65\n"
                   "grisaille_t_seconds_count{stage=\"dns\"} 5\n");
}

static void labels_and_help_are_escaped(void **state) {
    char label[40];
    assert_string_equal(gri_metrics_label(label, sizeof label, "host", "a\"b\\c\nd"), "host=\"a\\\"b\\\\c\\nd\"");
    assert_string_equal(gri_metrics_label(label, 12, "host", "abc\"def"), "host=\"abc\"");
    gri_counter_add(gri_metrics_counter(*state, "grisaille_y_total", "Two\nlines \\.", ""), 1);
    expect(*state, "# HELP grisaille_y_total Two\\nlines \\\\.\n");
}

static void nothing_happens_without_a_registry(void **state) {
    (void)state;
    assert_null(gri_metrics_counter(NULL, "x_total", "h", ""));
    gri_counter_add(NULL, 1);
    gri_gauge_set(NULL, 1);
    gri_gauge_add(NULL, 1);
    gri_histogram_observe(NULL, 1);
}

static void series_past_the_limit_share_one(void **state) {
    char label[40], value[20];
    for (int i = 0; i < 2100; i++) {
        snprintf(value, sizeof value, "%d", i);
        gri_counter_add(
            gri_metrics_counter(*state, "grisaille_many_total", "Help.", gri_metrics_label(label, sizeof label, "n", value)), 1);
    }
    char *text = rendered(*state);
    size_t lines = 0;
    for (const char *c = text; (c = strstr(c, "\ngrisaille_many_total{")) != NULL; c++)
        lines++;
    assert_true(lines <= 2001 && lines > 1900);
    const char *overflow = strstr(text, "grisaille_many_total{overflow=\"true\"} ");
    assert_non_null(overflow);
    assert_int_equal((int)strtol(strchr(overflow, ' '), NULL, 10) + (int)lines - 1, 2100);
    free(text);
}

static void *hammer(void *arg) {
    for (int i = 0; i < 10000; i++) {
        gri_counter_add(gri_metrics_counter(arg, "grisaille_h_total", "Help.", ""), 1);
        gri_histogram_observe(gri_metrics_histogram(arg, "grisaille_h_seconds", "Help.", "", SECONDS, 3), 0.5);
    }
    return NULL;
}

static void threads_lose_no_update(void **state) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, *state), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    expect(*state, "\ngrisaille_h_total 40000\n");
    expect(*state, "\ngrisaille_h_seconds_sum 20000\n");
    expect(*state, "\ngrisaille_h_seconds_count 40000\n");
}

static void the_process_is_measured(void **state) {
    char *text = rendered(*state);
    const char *memory = strstr(text, "\nprocess_resident_memory_bytes ");
    assert_non_null(memory);
    assert_true(strtod(strchr(memory + 1, ' '), NULL) > 100000);
    const char *files = strstr(text, "\nprocess_open_fds ");
    assert_true(strtod(strchr(files + 1, ' '), NULL) >= 3);
    const char *start = strstr(text, "\nprocess_start_time_seconds ");
    assert_true(strtod(strchr(start + 1, ' '), NULL) > 1.6e9);
    assert_non_null(strstr(text, "# TYPE process_cpu_seconds_total counter\n"));
    free(text);
}

static void families_stand_in_order(void **state) {
    gri_metrics_gauge(*state, "zz", "Z.", "");
    gri_metrics_gauge(*state, "aa", "A.", "");
    char *text = rendered(*state);
    char name[100], before[100] = "";
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
        if (sscanf(line, "# HELP %99s", name) != 1) continue;
        assert_true(strcmp(before, name) < 0);
        memcpy(before, name, sizeof before);
    }
    assert_string_equal(before, "zz");
    free(text);
}

/* promtool (Debian package prometheus) is the format's own checker. */
static void promtool_accepts_the_text(void **state) {
    assert_int_equal(system("command -v promtool >/dev/null 2>&1"), 0); /* tools/setup test installs it */
    gri_counter_add(gri_metrics_counter(*state, "grisaille_urls_finished_total", "URLs by outcome.", "outcome=\"stored\""), 7);
    gri_gauge_set(gri_metrics_gauge(*state, "grisaille_waiting", "URLs that wait.", ""), 3);
    gri_histogram_observe(gri_metrics_histogram(*state, "grisaille_end_to_end_seconds", "Time.", "", SECONDS, 3), 2);
    char *text = rendered(*state);
    FILE *promtool = popen("promtool check metrics", "w");
    assert_non_null(promtool);
    fputs(text, promtool);
    int status = pclose(promtool);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    free(text);
}

static void a_total_sums_a_family_or_those_with_a_label(void **state) {
    double total;
    gri_counter_add(gri_metrics_counter(*state, "grisaille_finished_total", "URLs.", "outcome=\"stored\""), 7);
    gri_counter_add(gri_metrics_counter(*state, "grisaille_finished_total", "URLs.", "outcome=\"dead\""), 2);
    assert_true(gri_metrics_total(*state, "grisaille_finished_total", NULL, &total));
    assert_true(total > 8.5 && total < 9.5);
    assert_true(gri_metrics_total(*state, "grisaille_finished_total", "outcome=\"dead\"", &total));
    assert_true(total > 1.5 && total < 2.5);
    assert_false(gri_metrics_total(*state, "grisaille_finished_total", "outcome=\"lost\"", &total));
    assert_false(gri_metrics_total(*state, "grisaille_finished", NULL, &total));
    assert_true(gri_metrics_total(*state, "process_resident_memory_bytes", NULL, &total));
    assert_true(total > 100000);
}

#define FRESH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH(a_series_is_found_again),
        FRESH(gauges_are_set_and_added_to),
        FRESH(a_histogram_counts_into_cumulative_buckets),
        FRESH(a_total_sums_a_family_or_those_with_a_label),
        FRESH(labels_and_help_are_escaped),
        FRESH(nothing_happens_without_a_registry),
        FRESH(series_past_the_limit_share_one),
        FRESH(threads_lose_no_update),
        FRESH(the_process_is_measured),
        FRESH(families_stand_in_order),
        FRESH(promtool_accepts_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
