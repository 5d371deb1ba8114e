/* SPDX-License-Identifier: Apache-2.0 */
/* Each log line is one JSON object, within its size, without credentials. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <grisaille/json.h>
#include <grisaille/log.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct sink {
    int fd;
    struct gri_log *log;
};

static int set_up(void **state) {
    struct sink *sink = gri_calloc(1, sizeof *sink);
    sink->fd = memfd_create("log", MFD_CLOEXEC);
    sink->log = gri_log_create(sink->fd, GRI_INFO, "worker", "host-1-ab");
    *state = sink;
    return sink->fd < 0;
}

static int tear_down(void **state) {
    struct sink *sink = *state;
    gri_log_destroy(sink->log);
    close(sink->fd);
    free(sink);
    return 0;
}

/* The only line written so far, parsed; NULL if there is none. */
static struct gri_json *line(struct sink *sink) {
    static char text[20000];
    ssize_t n = pread(sink->fd, text, sizeof text - 1, 0);
    assert_true(n >= 0 && n <= 8192);
    if (n == 0) return NULL;
    text[n] = '\0';
    assert_ptr_equal(strchr(text, '\n'), text + n - 1);
    struct gri_json *value = NULL;
    struct gri_error error;
    assert_int_equal(gri_json_parse(gri_slice_of(text), &value, &error), GRI_OK);
    return value;
}

static void a_line_has_time_level_role_instance_event_and_fields(void **state) {
    struct sink *sink = *state;
    gri_log(sink->log, GRI_WARN, "drain_started", GRI_NUM("jobs", 3), GRI_TEXT("why", "a \"b\" \n \\ \x7f"),
            GRI_TEXT("none", NULL));
    struct gri_json *value = line(sink);
    const char *time = gri_json_str(value, "time", "");
    assert_int_equal(strlen(time), 24);
    assert_int_equal(time[10], 'T');
    assert_int_equal(time[23], 'Z');
    assert_string_equal(gri_json_str(value, "level", ""), "warn");
    assert_string_equal(gri_json_str(value, "role", ""), "worker");
    assert_string_equal(gri_json_str(value, "instance", ""), "host-1-ab");
    assert_string_equal(gri_json_str(value, "event", ""), "drain_started");
    assert_int_equal(gri_json_get_int(value, "jobs", 0), 3);
    assert_string_equal(gri_json_str(value, "why", ""), "a \"b\" \n \\ \x7f");
    assert_non_null(gri_json_get(value, "none"));
    gri_json_free(value);
}

static void lines_below_the_level_are_dropped(void **state) {
    struct sink *sink = *state;
    gri_log(sink->log, GRI_DEBUG, "x", GRI_NUM("n", 1));
    gri_log(NULL, GRI_ERROR, "x", GRI_NUM("n", 1));
    assert_null(line(sink));
    gri_log_set_level(sink->log, GRI_DEBUG);
    gri_log(sink->log, GRI_DEBUG, "x", GRI_NUM("n", 1));
    struct gri_json *value = line(sink);
    assert_non_null(value);
    gri_json_free(value);
}

static void credentials_do_not_reach_the_log(void **state) {
    struct sink *sink = *state;
    char url[4000];
    size_t len = strlen("http://user:");
    memcpy(url, "http://user:", len);
    memset(url + len, 's', 2000);
    gri_copy(url + len + 2000, sizeof url - len - 2000, "@h/x");
    gri_log(sink->log, GRI_INFO, "x", GRI_TEXT("url", url));
    struct gri_json *value = line(sink);
    assert_string_equal(gri_json_str(value, "url", ""), "http://***@h/x");
    gri_json_free(value);
}

static void long_and_broken_text_is_cut_between_characters(void **state) {
    struct sink *sink = *state;
    char text[3001];
    memset(text, '\xff', 3000);
    text[3000] = '\0';
    gri_log(sink->log, GRI_INFO, "x", GRI_TEXT("t", text));
    struct gri_json *value = line(sink);
    size_t len = strlen(gri_json_str(value, "t", ""));
    assert_true(len > 1020 && len <= 1024);
    gri_json_free(value);
}

static void a_line_too_long_loses_fields_and_says_so(void **state) {
    struct sink *sink = *state;
    char text[1025];
    memset(text, '\x01', 1024);
    text[1024] = '\0';
    gri_log(sink->log, GRI_INFO, "x", GRI_NUM("n", 1), GRI_TEXT("a", text), GRI_TEXT("b", text), GRI_TEXT("c", text));
    struct gri_json *value = line(sink);
    assert_true(gri_json_get_bool(value, "cut", false));
    assert_int_equal(gri_json_get_int(value, "n", 0), 1);
    assert_non_null(gri_json_get(value, "a"));
    assert_null(gri_json_get(value, "c"));
    gri_json_free(value);
}

static void an_error_gives_reason_class_and_detail(void **state) {
    struct sink *sink = *state;
    struct gri_error error;
    (void)gri_fail(&error, GRI_R_dns, "no such host");
    gri_log_error(sink->log, GRI_ERROR, "fetch_failed", &error);
    struct gri_json *value = line(sink);
    assert_string_equal(gri_json_str(value, "reason", ""), "dns");
    assert_string_equal(gri_json_str(value, "class", ""), "retry");
    assert_string_equal(gri_json_str(value, "detail", ""), "no such host");
    gri_json_free(value);
}

static void levels_are_found_by_name(void **state) {
    (void)state;
    enum gri_level level = GRI_DEBUG;
    assert_true(gri_level_from_name("error", &level));
    assert_int_equal(level, GRI_ERROR);
    assert_false(gri_level_from_name("loud", &level));
    assert_string_equal(gri_level_name(GRI_WARN), "warn");
}

#define WITH_SINK(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#define KEY "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void a_job_brings_its_trace_id(void **state) {
    struct sink *sink = *state;
    gri_log(sink->log, GRI_INFO, "job_lost", GRI_TEXT("job", KEY ":gray"), GRI_NUM("ms", 3));
    struct gri_json *value = line(sink);
    assert_string_equal(gri_json_str(value, "trace", ""), "0123456789abcdef0123456789abcdef");
    gri_json_free(value);
}

static void what_is_no_job_key_brings_none(void **state) {
    struct sink *sink = *state;
    gri_log(sink->log, GRI_INFO, "job_lost", GRI_TEXT("job", "short"), GRI_TEXT("image", KEY));
    struct gri_json *value = line(sink);
    assert_null(gri_json_get(value, "trace"));
    gri_json_free(value);
}

static void ecs_has_its_own_names_and_always_a_message(void **state) {
    struct sink *sink = *state;
    gri_log_set_format(sink->log, GRI_LOG_ECS);
    gri_log(sink->log, GRI_WARN, "dead_letter", GRI_TEXT("job", KEY ":gray"), GRI_TEXT("url", "http://a/"),
            GRI_TEXT("reason", "http_4xx"), GRI_TEXT("detail", "404 Not Found"), GRI_NUM("ms", 3), GRI_NUM("attempt", 2));
    struct gri_json *value = line(sink);
    static const char *const texts[][2] = {
        {"log.level", "warn"},          {"message", "404 Not Found"},    {"event.action", "dead_letter"},
        {"service.name", "grisaille"},  {"service.node.role", "worker"}, {"service.node.name", "host-1-ab"},
        {"url.full", "http://a/"},      {"error.code", "http_4xx"},      {"trace.id", "0123456789abcdef0123456789abcdef"},
        {"grisaille.job", KEY ":gray"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_string_equal(gri_json_str(value, texts[i][0], ""), texts[i][1]);
    assert_int_equal(gri_json_get_int(value, "event.duration", 0), 3000000);
    assert_int_equal(gri_json_get_int(value, "grisaille.attempt", 0), 2);
    assert_int_equal(strlen(gri_json_str(value, "@timestamp", "")), 24);
    assert_null(gri_json_get(value, "detail"));
    gri_json_free(value);
}

static void ecs_without_a_sentence_has_the_event_as_message(void **state) {
    struct sink *sink = *state;
    gri_log_set_format(sink->log, GRI_LOG_ECS);
    gri_log(sink->log, GRI_INFO, "started", GRI_TEXT("version", "1"));
    struct gri_json *value = line(sink);
    assert_string_equal(gri_json_str(value, "message", ""), "started");
    assert_string_equal(gri_json_str(value, "service.version", ""), "1");
    gri_json_free(value);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_SINK(a_line_has_time_level_role_instance_event_and_fields),
        WITH_SINK(lines_below_the_level_are_dropped),
        WITH_SINK(credentials_do_not_reach_the_log),
        WITH_SINK(long_and_broken_text_is_cut_between_characters),
        WITH_SINK(a_line_too_long_loses_fields_and_says_so),
        WITH_SINK(an_error_gives_reason_class_and_detail),
        WITH_SINK(a_job_brings_its_trace_id),
        WITH_SINK(what_is_no_job_key_brings_none),
        WITH_SINK(ecs_has_its_own_names_and_always_a_message),
        WITH_SINK(ecs_without_a_sentence_has_the_event_as_message),
        cmocka_unit_test(levels_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
