/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration: later sources win, and whatever is wrong is refused by name and place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"

struct world {
    char folder[64], file[80], secret[80];
};

static int set_up(void **state) {
    struct world *world = gri_calloc(1, sizeof *world);
    gri_copy(world->folder, sizeof world->folder, "/tmp/gri-config-XXXXXX");
    *state = world;
    if (!mkdtemp(world->folder)) return -1;
    gri_format(world->file, sizeof world->file, "%s/c.yaml", world->folder);
    gri_format(world->secret, sizeof world->secret, "%s/secret", world->folder);
    return 0;
}

static int tear_down(void **state) {
    struct world *world = *state;
    unlink(world->file);
    unlink(world->secret);
    rmdir(world->folder);
    free(world);
    return 0;
}

static void write_file(const char *path, const char *text, size_t len) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    fclose(file);
}

/* Loads from a file's text (NULL: /dev/null), one environment variable and one --set, each may be NULL. */
static enum gri_status load(struct world *world, const char *yaml, const char *variable, const char *set,
                            struct gri_config **config, struct gri_error *error) {
    char *environment[] = {variable ? gri_strdup(variable) : NULL, NULL};
    const char *sets[] = {set};
    if (yaml) write_file(world->file, yaml, strlen(yaml));
    struct gri_config_sources sources = {
        .file = yaml ? world->file : "/dev/null", .environment = environment, .sets = sets, .set_count = set ? 1 : 0};
    enum gri_status status = gri_config_load(&sources, config, error);
    free(environment[0]);
    return status;
}

static struct gri_config *loaded(struct world *world, const char *yaml, const char *variable, const char *set) {
    struct gri_config *config = NULL;
    struct gri_error error = {0};
    if (load(world, yaml, variable, set, &config, &error) != GRI_OK) fail_msg("%s", error.detail);
    return config;
}

/* All of `parts` must be in the error. */
static void refused(struct world *world, const char *yaml, const char *variable, const char *set, const char *const *parts) {
    struct gri_config *config = NULL;
    struct gri_error error = {0};
    assert_int_equal(load(world, yaml, variable, set, &config, &error), GRI_FATAL);
    assert_int_equal(error.reason, GRI_R_config);
    assert_null(config);
    for (; *parts; parts++) {
        if (!strstr(error.detail, *parts)) fail_msg("\"%s\" is not in \"%s\"", *parts, error.detail);
    }
}
#define REFUSED(world, yaml, variable, set, ...) refused(world, yaml, variable, set, (const char *const[]){__VA_ARGS__, NULL})

static void defaults_are_complete_and_within_their_own_range(void **state) {
    struct gri_config *config = loaded(*state, NULL, NULL, NULL);
    assert_string_equal(gri_config_text(config, "redis.url"), "redis://127.0.0.1:6379/0");
    assert_string_equal(gri_config_text(config, "mongo.database"), "grisaille");
    assert_int_equal(gri_config_int(config, "dispatch.window"), 100000);
    assert_int_equal(gri_config_int(config, "fetch.max_bytes"), 32 * 1024 * 1024);
    assert_int_equal(gri_json_count(gri_config_list(config, "fetch.allow_ports")), 0);
    assert_null(gri_config_tree(config, "rules"));
    assert_string_equal(gri_config_source(config, "redis.url"), "default");
    gri_config_destroy(config);
}

static void every_option_is_described_and_has_its_own_variable(void **state) {
    (void)state;
    size_t count = 0;
    const struct gri_option *options = gri_options(&count);
    for (size_t i = 0; i < count; i++) {
        char own[GRI_OPTION_ENVIRONMENT_MAX], other[GRI_OPTION_ENVIRONMENT_MAX];
        gri_option_environment(&options[i], own);
        assert_true(strlen(options[i].help) > 5);
        for (size_t j = 0; j < i; j++) {
            gri_option_environment(&options[j], other);
            assert_string_not_equal(own, other);
        }
    }
    struct gri_json *table = gri_config_options();
    assert_int_equal(gri_json_count(table), count);
    assert_string_equal(gri_json_str(gri_json_at(table, 0), "environment", ""), "GRISAILLE_REDIS_URL");
    gri_json_free(table);
}

static void later_sources_win(void **state) {
    struct world *world = *state;
    const char *yaml = "# a comment\nworker:\n  slots: 5\n";
    struct gri_config *config = loaded(world, yaml, NULL, NULL);
    char expected[128];
    gri_format(expected, sizeof expected, "file:%s:3", world->file);
    assert_int_equal(gri_config_int(config, "worker.slots"), 5);
    assert_string_equal(gri_config_source(config, "worker.slots"), expected);
    assert_string_equal(gri_config_file(config), world->file);
    gri_config_destroy(config);
    config = loaded(world, yaml, "GRISAILLE_WORKER_SLOTS=6", NULL);
    assert_int_equal(gri_config_int(config, "worker.slots"), 6);
    assert_string_equal(gri_config_source(config, "worker.slots"), "environment:GRISAILLE_WORKER_SLOTS");
    gri_config_destroy(config);
    config = loaded(world, yaml, "GRISAILLE_WORKER_SLOTS=6", "worker.slots=7");
    assert_int_equal(gri_config_int(config, "worker.slots"), 7);
    assert_string_equal(gri_config_source(config, "worker.slots"), "--set");
    gri_config_destroy(config);
}

static void the_environment_names_the_file(void **state) {
    struct world *world = *state;
    char variable[128];
    write_file(world->file, "redis.prefix: xyz", 17);
    gri_format(variable, sizeof variable, "GRISAILLE_CONFIG=%s", world->file);
    char *environment[] = {gri_strdup(variable), gri_strdup("GRISAILLE_MONGOD=/x"), gri_strdup("PATH=/bin"), NULL};
    struct gri_config_sources sources = {.environment = environment};
    struct gri_config *config = NULL;
    struct gri_error error;
    assert_int_equal(gri_config_load(&sources, &config, &error), GRI_OK);
    assert_string_equal(gri_config_text(config, "redis.prefix"), "xyz");
    gri_config_destroy(config);
    for (int i = 0; i < 3; i++)
        free(environment[i]);
}

static void a_value_may_come_from_a_file(void **state) {
    struct world *world = *state;
    char text[200];
    write_file(world->secret, "redis://h/1\n", 12);
    gri_format(text, sizeof text, "redis:\n  url_FILE: %s\n", world->secret);
    struct gri_config *config = loaded(world, text, NULL, NULL);
    assert_string_equal(gri_config_text(config, "redis.url"), "redis://h/1");
    gri_config_destroy(config);
    gri_format(text, sizeof text, "GRISAILLE_REDIS_URL_FILE=%s", world->secret);
    config = loaded(world, NULL, text, NULL);
    assert_string_equal(gri_config_text(config, "redis.url"), "redis://h/1");
    gri_config_destroy(config);
    gri_format(text, sizeof text, "redis.url_FILE=%s", world->secret);
    config = loaded(world, NULL, NULL, text);
    assert_string_equal(gri_config_text(config, "redis.url"), "redis://h/1");
    gri_config_destroy(config);
    config = loaded(world, "fetch:\n  ca_file: /x.pem", NULL, NULL);
    assert_string_equal(gri_config_text(config, "fetch.ca_file"), "/x.pem");
    gri_config_destroy(config);
    REFUSED(world, NULL, "GRISAILLE_REDIS_URL_FILE=/nonexistent", NULL, "environment variable GRISAILLE_REDIS_URL_FILE",
            "/nonexistent", "No such file");
    write_file(world->secret, "a\0b", 3);
    REFUSED(world, NULL, NULL, text, "NUL");
    REFUSED(world, NULL, NULL, "redis.url_FILE=/tmp", "folder");
}

static void unknown_keys_are_errors_with_a_suggestion(void **state) {
    struct world *world = *state;
    REFUSED(world, "redis:\n  prefix: abc\n  ulr: x\n", NULL, NULL, "c.yaml:3", "redis.ulr", "did you mean redis.url?");
    REFUSED(world, "workers:\n  slots: 3\n", NULL, NULL, "c.yaml:1", "\"workers\"");
    REFUSED(world, NULL, "GRISAILLE_WORKER_SLOT=3", NULL, "GRISAILLE_WORKER_SLOT", "did you mean GRISAILLE_WORKER_SLOTS?");
    REFUSED(world, NULL, NULL, "log.levle=info", "--set", "did you mean log.level?");
    REFUSED(world, NULL, NULL, "qqqqqqqqqqqqq=info", "unknown key");
    REFUSED(world, NULL, NULL, "nonsense", "--set", "key=value");
}

static void wrong_types_and_ranges_are_errors(void **state) {
    struct world *world = *state;
    REFUSED(world, "retry:\n  max_attempts: 0\n", NULL, NULL, "c.yaml:2", "retry.max_attempts", "\"0\"", "1 to 100");
    REFUSED(world, "retry:\n  max_attempts: 3x\n", NULL, NULL, "c.yaml:2", "\"3x\"");
    REFUSED(world, "retry:\n  max_attempts: [3]\n", NULL, NULL, "c.yaml:2", "one value of type integer");
    REFUSED(world, "retry: 3\n", NULL, NULL, "c.yaml:1", "retry is a section");
    REFUSED(world, NULL, "GRISAILLE_FETCH_MAX_BYTES=1XiB", NULL, "GRISAILLE_FETCH_MAX_BYTES", "KiB");
    REFUSED(world, NULL, "GRISAILLE_FETCH_MAX_BYTES=9999999999TiB", NULL, "1024 to");
    REFUSED(world, NULL, NULL, "worker.slots= 3", "\" 3\"");
    REFUSED(world, NULL, NULL, "worker.slots=99999999999999999999", "1 to 10000");
    REFUSED(world, NULL, NULL, "log.level=loud", "debug|info|warn|error");
    REFUSED(world, NULL, NULL, "redis.prefix=", "text of 3 to 64 bytes");
    REFUSED(world, NULL, NULL, "fetch.allow_ports=80,70000", "\"70000\"", "1 to 65535");
    REFUSED(world, NULL, NULL, "fetch.allow_ports=80,,81", "fetch.allow_ports");
    REFUSED(world, NULL, NULL, "worker.heartbeat_ms=20000", "half of worker.lease_ms");
    REFUSED(world, "pipelines: [a]\n", NULL, NULL, "c.yaml:1", "pipelines must be a map");
    REFUSED(world, NULL, NULL, "rules={}", "--set", "rules must be a list");
}

static void secrets_stay_out_of_errors_and_descriptions(void **state) {
    struct world *world = *state;
    char uri[5000];
    memset(uri, 'p', sizeof uri);
    gri_copy(uri, sizeof uri, "mongo.uri=mongodb://u:hunter2@h/");
    uri[strlen(uri)] = 'x';
    uri[sizeof uri - 1] = '\0';
    struct gri_config *config = NULL;
    struct gri_error error;
    assert_int_equal(load(world, NULL, NULL, uri, &config, &error), GRI_FATAL);
    assert_null(strstr(error.detail, "hunter2"));
    config = loaded(world, NULL, NULL, "mongo.uri=mongodb://u:hunter2@h/");
    struct gri_json *all = gri_config_describe(config);
    struct gri_bytes text;
    gri_bytes_init(&text, 0);
    assert_int_equal(gri_json_write(all, false, &text, &error), GRI_OK);
    assert_null(strstr(gri_bytes_text(&text), "hunter2"));
    assert_non_null(strstr(gri_bytes_text(&text), "{\"key\":\"mongo.uri\",\"value\":\"mongodb://***@h/\",\"source\":\"--set\"}"));
    gri_bytes_clear(&text);
    gri_json_free(all);
    gri_config_destroy(config);
}

static void lists_come_from_yaml_or_commas(void **state) {
    struct world *world = *state;
    struct gri_config *config =
        loaded(world, "fetch:\n  allow_ranges: [127.0.0.0/8, '::1/128']\n  allow_ports:\n  - 8080\n  - 8443\n", NULL, NULL);
    assert_string_equal(gri_json_text(gri_json_at(gri_config_list(config, "fetch.allow_ranges"), 1), ""), "::1/128");
    assert_int_equal(gri_json_number(gri_json_at(gri_config_list(config, "fetch.allow_ports"), 1), 0), 8443);
    gri_config_destroy(config);
    config = loaded(world, NULL, "GRISAILLE_FETCH_ALLOW_RANGES=127.0.0.0/8, ::1/128", "fetch.max_bytes=2MiB");
    assert_int_equal(gri_json_count(gri_config_list(config, "fetch.allow_ranges")), 2);
    assert_string_equal(gri_json_text(gri_json_at(gri_config_list(config, "fetch.allow_ranges"), 1), ""), "::1/128");
    assert_int_equal(gri_config_int(config, "fetch.max_bytes"), 2097152);
    gri_config_destroy(config);
}

static const char TREE[] =
    "rules:\n"
    "  - name: 'picsum sizes'\n"
    "    when: { host: picsum.photos }\n"
    "    limit: { concurrency: 32, per_second: 0.5, on: true, none: ~, text: \"7\", hex: 0x1F, date: 2026-01-01 }\n"
    "pipelines:\n"
    "  gray:\n"
    "    steps:\n"
    "      - grayscale: { method: luma }\n"
    "    output: { format: jpeg }\n";

static void trees_are_typed_by_the_core_schema(void **state) {
    struct gri_config *config = loaded(*state, TREE, NULL, NULL);
    const struct gri_json *limit = gri_json_get(gri_json_at(gri_config_tree(config, "rules"), 0), "limit");
    assert_int_equal(gri_json_get_int(limit, "concurrency", 0), 32);
    assert_true(gri_json_double(gri_json_get(limit, "per_second"), 0) > 0.49);
    assert_int_equal(gri_json_kind(gri_json_get(limit, "on")), GRI_JSON_BOOL);
    assert_non_null(gri_json_get(limit, "none"));
    assert_int_equal(gri_json_kind(gri_json_get(limit, "none")), GRI_JSON_NULL);
    assert_string_equal(gri_json_str(limit, "text", ""), "7");
    assert_int_equal(gri_json_get_int(limit, "hex", 0), 31);
    assert_string_equal(gri_json_str(limit, "date", ""), "2026-01-01");
    gri_config_destroy(config);
}

static void places_in_a_tree_have_lines(void **state) {
    struct world *world = *state;
    struct gri_config *config = loaded(world, TREE, NULL, NULL);
    char place[128], expected[128];
    assert_int_equal(gri_config_tree_line(config, "pipelines.gray.steps[0]"), 8);
    assert_int_equal(gri_config_tree_line(config, "pipelines.gray.output.quality"), 9);
    assert_int_equal(gri_config_tree_line(config, "rules[0].when.host"), 3);
    assert_int_equal(gri_config_tree_line(config, "rules[9]"), 2);
    assert_int_equal(gri_config_tree_line(config, "api.tokens[0]"), 0);
    gri_config_tree_place(config, "pipelines.gray.steps[0]", place, sizeof place);
    gri_format(expected, sizeof expected, "%s:8", world->file);
    assert_string_equal(place, expected);
    gri_config_destroy(config);
    config = loaded(world, NULL, NULL, "pipelines={gray: {steps: []}}");
    assert_int_equal(gri_config_tree_line(config, "pipelines.gray"), 0);
    gri_config_tree_place(config, "pipelines.gray", place, sizeof place);
    assert_string_equal(place, "--set");
    assert_non_null(gri_json_get(gri_config_tree(config, "pipelines"), "gray"));
    gri_config_destroy(config);
}

static void odd_yaml_is_refused_with_its_line(void **state) {
    struct world *world = *state;
    REFUSED(world, "redis:\n  url: a\n  url: b\n", NULL, NULL, "c.yaml:3", "\"url\" is given twice", "line 2");
    REFUSED(world, "redis.url: a\nredis:\n  url: b\n", NULL, NULL, "c.yaml:3", "redis.url is given twice");
    REFUSED(world, "rules: &a\n- {}\n- *a\n", NULL, NULL, "alias");
    REFUSED(world, "rules:\n- &a {x: 1}\n- *a\n", NULL, NULL, "alias");
    REFUSED(world, "rules:\n- !evil x\n", NULL, NULL, "c.yaml:2", "tags");
    REFUSED(world, "redis:\n\turl: a\n", NULL, NULL, "c.yaml:2", "not valid YAML");
    REFUSED(world, "redis: {url: a\n", NULL, NULL, "not valid YAML");
    REFUSED(world, "---\nredis: {prefix: abc}\n---\nredis: {}\n", NULL, NULL, "second document");
    REFUSED(world, "- a\n", NULL, NULL, "c.yaml:1", "keys and values");
    REFUSED(world, "rules:\n- [a]: b\n", NULL, NULL, "c.yaml:2", "key must be text");
    REFUSED(world, "redis:\n  url: \"a\\0b\"\n", NULL, NULL, "c.yaml:2", "redis.url");
    REFUSED(world, "redis:\n  url: \"\\xff", NULL, NULL, "not valid YAML");
    char deep[200] = "rules: ";
    for (int i = 0; i < 40; i++)
        deep[7 + i] = '[';
    for (int i = 0; i < 40; i++)
        deep[47 + i] = ']';
    REFUSED(world, deep, NULL, NULL, "c.yaml:1", "too deep");
    struct gri_bytes many;
    gri_bytes_init(&many, 0);
    gri_bytes_put(&many, "rules: [{a: [");
    for (int i = 0; i < 30000; i++)
        gri_bytes_put(&many, "1,");
    gri_bytes_put(&many, "1]}]");
    REFUSED(world, gri_bytes_text(&many), NULL, NULL, "20000");
    gri_bytes_reset(&many);
    for (int i = 0; i < 12000; i++)
        gri_bytes_put(&many, "# eighty-eight bytes of comment, many times over, so that the file becomes far too large.\n");
    REFUSED(world, gri_bytes_text(&many), NULL, NULL, "over 1048576 bytes");
    gri_bytes_clear(&many);
}

static void empty_files_and_sections_change_nothing(void **state) {
    struct world *world = *state;
    const char *texts[] = {"", "\n", "# only a comment\n", "---\n", "redis:\nworker:\n  # slots: 3\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct gri_config *config = loaded(world, texts[i], NULL, NULL);
        assert_string_equal(gri_config_source(config, "redis.url"), "default");
        gri_config_destroy(config);
    }
    struct gri_config *config = NULL;
    struct gri_error error;
    struct gri_config_sources sources = {.file = "/nonexistent.yaml"};
    assert_int_equal(gri_config_load(&sources, &config, &error), GRI_FATAL);
    assert_non_null(strstr(error.detail, "/nonexistent.yaml"));
}

static void note_key(const struct gri_option *option, void *arg) {
    struct gri_bytes *keys = arg;
    gri_bytes_printf(keys, "%s%s ", option->key, option->live ? "" : "!");
}

static void differences_are_told_and_what_is_fixed_keeps_its_value(void **state) {
    struct world *world = *state;
    struct gri_config *before =
        loaded(world, "redis: {timeout_ms: 200}\nretry: {base_ms: 7}\nrules: [{a: 1, b: 2}]\n", NULL, NULL);
    struct gri_config *after =
        loaded(world, "mongo: {database: other}\nretry: {base_ms: 9}\nrules: [{b: 2, a: 1}]\npipelines: {x: 1}\n", NULL, NULL);
    struct gri_bytes keys;
    gri_bytes_init(&keys, 0);
    gri_config_compare(before, before, note_key, &keys);
    assert_int_equal(keys.len, 0);
    gri_config_compare(before, after, note_key, &keys);
    assert_string_equal(gri_bytes_text(&keys), "redis.timeout_ms! mongo.database! retry.base_ms pipelines ");
    gri_config_keep_fixed(after, before);
    assert_int_equal(gri_config_int(after, "redis.timeout_ms"), 200);
    assert_string_equal(gri_config_text(after, "mongo.database"), "grisaille");
    assert_int_equal(gri_config_int(after, "retry.base_ms"), 9);
    gri_bytes_reset(&keys);
    gri_config_compare(before, after, note_key, &keys);
    assert_string_equal(gri_bytes_text(&keys), "retry.base_ms pipelines ");
    gri_bytes_clear(&keys);
    gri_config_destroy(before);
    gri_config_destroy(after);
}

static void a_stamp_changes_with_any_file_that_was_read(void **state) {
    struct world *world = *state;
    char set[128], real[64], link[64];
    gri_format(set, sizeof set, "redis.url_FILE=%s", world->secret);
    write_file(world->secret, "redis://a", 9);
    struct gri_config *config = loaded(world, "log: {level: warn}\n", NULL, set);
    uint64_t first = gri_config_stamp(config);
    assert_true(gri_config_stamp(config) == first);
    write_file(world->secret, "redis://bb", 10);
    uint64_t second = gri_config_stamp(config);
    assert_true(second != first);
    /* The file is replaced by a link, and the folder that it goes through by another. */
    gri_format(real, sizeof real, "%s/real", world->folder);
    gri_format(link, sizeof link, "%s/link", world->folder);
    assert_int_equal(mkdir(real, 0755), 0);
    gri_format(set, sizeof set, "%s/c.yaml", real);
    write_file(set, "log: {level: warn}\n", 19);
    assert_int_equal(symlink("real", link), 0);
    assert_int_equal(unlink(world->file), 0);
    uint64_t gone = gri_config_stamp(config);
    assert_true(gone != second);
    assert_int_equal(symlink("link/c.yaml", world->file), 0);
    uint64_t linked = gri_config_stamp(config);
    assert_true(linked != gone);
    assert_int_equal(unlink(link), 0);
    assert_true(gri_config_stamp(config) == gone);
    assert_int_equal(symlink("real", link), 0);
    assert_true(gri_config_stamp(config) == linked);
    unlink(set);
    rmdir(real);
    unlink(link);
    gri_config_destroy(config);
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_WORLD(defaults_are_complete_and_within_their_own_range),
        cmocka_unit_test(every_option_is_described_and_has_its_own_variable),
        WITH_WORLD(later_sources_win),
        WITH_WORLD(the_environment_names_the_file),
        WITH_WORLD(a_value_may_come_from_a_file),
        WITH_WORLD(unknown_keys_are_errors_with_a_suggestion),
        WITH_WORLD(wrong_types_and_ranges_are_errors),
        WITH_WORLD(secrets_stay_out_of_errors_and_descriptions),
        WITH_WORLD(lists_come_from_yaml_or_commas),
        WITH_WORLD(trees_are_typed_by_the_core_schema),
        WITH_WORLD(places_in_a_tree_have_lines),
        WITH_WORLD(odd_yaml_is_refused_with_its_line),
        WITH_WORLD(empty_files_and_sections_change_nothing),
        WITH_WORLD(differences_are_told_and_what_is_fixed_keeps_its_value),
        WITH_WORLD(a_stamp_changes_with_any_file_that_was_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
