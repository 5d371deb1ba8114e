/* SPDX-License-Identifier: Apache-2.0 */
/* Help, man page and completions are complete and well formed; numbers for people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli_help.h"

static char *text_of(FILE *file) {
    long length = ftell(file);
    char *text = calloc(1, (size_t)length + 1);
    rewind(file);
    assert_int_equal(fread(text, 1, (size_t)length, file), length);
    fclose(file);
    return text;
}

static void test_every_command_and_option_has_a_help_text(void **state) {
    (void)state;
    FILE *all_file = tmpfile();
    gri_help_all(all_file);
    char *all = text_of(all_file);
    static const char *const names[] = {"up",        "scheduler", "worker", "api",    "push",    "catalogs",
                                        "status",    "errors",    "get",    "images", "explain", "transforms",
                                        "pipelines", "reasons",   "config", "token",  "version", "help"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct gri_command *command = gri_command_find(names[i]);
        assert_non_null(command);
        assert_non_null(strstr(all, command->summary));
        assert_true(strlen(command->summary) > 5 && command->operands && command->run);
        FILE *file = tmpfile();
        gri_help_command(file, command);
        char *text = text_of(file);
        size_t count = 0;
        for (const struct gri_cli_option *option = command->options; option && option->name; option++, count++) {
            assert_non_null(strstr(text, option->name));
            assert_true(strlen(option->help) > 5);
            assert_non_null(strstr(text, option->help));
        }
        assert_true(count <= GRI_CLI_OPTIONS_MAX);
        free(text);
    }
    assert_null(gri_command_find("nonsense"));
    free(all);
}

static void test_the_man_page_has_no_accidental_requests(void **state) {
    static const char *const known[] = {".TH ", ".SH ", ".SS ", ".TP", ".B ", ".I "};
    (void)state;
    FILE *file = tmpfile();
    gri_help_man(file);
    char *text = text_of(file), *save = NULL;
    assert_non_null(strstr(text, ".SS \"grisaille push FILE"));
    assert_non_null(strstr(text, "redis.url"));
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        bool request = line[0] == '.', fine = !request;
        for (size_t i = 0; request && i < sizeof known / sizeof known[0]; i++)
            fine = fine || strncmp(line, known[i], strlen(known[i])) == 0;
        if (!fine) print_message("%s\n", line);
        assert_true(fine);
        assert_true(line[0] != '\'');
    }
    free(text);
}

static void test_completions_name_every_command(void **state) {
    static const char *const shells[] = {"bash", "zsh"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        FILE *file = tmpfile();
        assert_true(gri_help_completion(file, shells[i]));
        char *text = text_of(file);
        static const char *const names[] = {"push", "catalogs", "catalog", "status", "dead", "events", "export"};
        for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
            char word[32];
            gri_format(word, sizeof word, " %s ", names[k]);
            assert_non_null(strstr(text, word));
        }
        assert_non_null(strstr(text, "--retry-dead"));
        assert_non_null(strstr(text, "--config"));
        free(text);
    }
    FILE *file = tmpfile();
    assert_false(gri_help_completion(file, "fish"));
    fclose(file);
}

static void test_numbers_for_people(void **state) {
    char out[32];
    (void)state;
    assert_string_equal(gri_cli_count(0, out), "0");
    assert_string_equal(gri_cli_count(999, out), "999");
    assert_string_equal(gri_cli_count(1000, out), "1 000");
    assert_string_equal(gri_cli_count(12345678, out), "12 345 678");
    assert_string_equal(gri_cli_count(-123456, out), "-123 456");
    assert_string_equal(gri_cli_count(INT64_MAX, out), "9 223 372 036 854 775 807");
    assert_string_equal(gri_cli_duration(850, out), "850 ms");
    assert_string_equal(gri_cli_duration(12000, out), "12 s");
    assert_string_equal(gri_cli_duration(200000, out), "3 min 20 s");
    assert_string_equal(gri_cli_duration(18120000, out), "5 h 2 min");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_command_and_option_has_a_help_text),
        cmocka_unit_test(test_the_man_page_has_no_accidental_requests),
        cmocka_unit_test(test_completions_name_every_command),
        cmocka_unit_test(test_numbers_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
