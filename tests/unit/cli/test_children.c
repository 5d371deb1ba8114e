/* SPDX-License-Identifier: Apache-2.0 */
/* Child processes: started again when they die, stopped in order, killed when they don't listen. */
#include <grisaille/clock.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "children.h"

static char folder[] = "/tmp/grisaille-children-XXXXXX";

static struct gri_child *start(struct gri_children *children, const char *name, const char *script) {
    struct gri_error error;
    struct gri_child *child = gri_children_add(children, name, folder, (const char *[]){"/bin/sh", "-c", script, NULL});
    assert_int_equal(gri_child_start(child, &error), GRI_OK);
    assert_true(gri_child_runs(child));
    return child;
}

static void wait_for_line(const struct gri_child *child) {
    for (int i = 0; i < 1000; i++) {
        FILE *log = fopen(child->log, "r");
        int c = log ? getc(log) : EOF;
        if (log) fclose(log);
        if (c != EOF) return;
        usleep(10 * 1000);
    }
    fail_msg("%s wrote nothing", child->name);
}

static void test_sigterm_ends_a_child_that_listens(void **state) {
    struct gri_children *children = gri_calloc(1, sizeof *children);
    (void)state;
    struct gri_child *child = start(children, "polite", "trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done");
    wait_for_line(child);
    assert_true(gri_children_stop(children, 0, children->count, 20000));
    assert_int_equal(child->pid, 0);
    gri_children_watch(children);
    assert_int_equal(child->pid, 0); /* retired: not started again */
    gri_children_clear(children);
    free(children);
}

static void test_a_child_that_ends_badly_is_not_clean(void **state) {
    struct gri_children *children = gri_calloc(1, sizeof *children);
    (void)state;
    wait_for_line(start(children, "bad", "trap 'exit 3' TERM; echo up; while :; do sleep 0.05; done"));
    assert_false(gri_children_stop(children, 0, children->count, 20000));
    gri_children_clear(children);
    free(children);
}

static void test_a_deaf_child_is_killed_at_the_deadline(void **state) {
    struct gri_children *children = gri_calloc(1, sizeof *children);
    (void)state;
    struct gri_child *child = start(children, "deaf", "trap '' TERM; echo up; while :; do sleep 0.05; done");
    wait_for_line(child);
    pid_t pid = child->pid;
    int64_t from = gri_clock_ms();
    assert_false(gri_children_stop(children, 0, children->count, 300));
    assert_true(gri_clock_ms() - from >= 300);
    assert_int_equal(kill(pid, 0), -1);
    gri_children_clear(children);
    free(children);
}

static void test_a_killed_child_is_started_again_after_a_pause(void **state) {
    struct gri_children *children = gri_calloc(1, sizeof *children);
    (void)state;
    struct gri_child *child = start(children, "restarted", "echo up; exec sleep 100");
    wait_for_line(child);
    pid_t first = child->pid;
    int64_t killed = gri_clock_ms();
    kill(first, SIGKILL);
    while (child->pid == first || child->pid == 0) {
        gri_children_watch(children);
        assert_true(gri_clock_ms() - killed < 30000);
        usleep(20 * 1000);
    }
    assert_true(gri_clock_ms() - killed >= 500);
    assert_int_equal(child->restarts, 1);
    gri_children_stop(children, 0, children->count, 20000);
    gri_children_clear(children);
    free(children);
}

static void test_a_program_that_is_not_there_ends_with_a_word_in_its_log(void **state) {
    struct gri_children *children = gri_calloc(1, sizeof *children);
    struct gri_error error;
    char line[200] = "";
    (void)state;
    struct gri_child *child = gri_children_add(children, "missing", folder, (const char *[]){"/nonexistent/program", NULL});
    assert_int_equal(gri_child_start(child, &error), GRI_OK);
    for (int i = 0; i < 1000 && gri_child_runs(child); i++)
        usleep(10 * 1000);
    assert_false(gri_child_runs(child));
    FILE *log = fopen(child->log, "r");
    assert_non_null(log);
    assert_non_null(fgets(line, sizeof line, log));
    fclose(log);
    assert_non_null(strstr(line, "/nonexistent/program"));
    gri_children_clear(children);
    free(children);
}

static int remove_folder(void **state) {
    char command[100];
    (void)state;
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sigterm_ends_a_child_that_listens),
        cmocka_unit_test(test_a_child_that_ends_badly_is_not_clean),
        cmocka_unit_test(test_a_deaf_child_is_killed_at_the_deadline),
        cmocka_unit_test(test_a_killed_child_is_started_again_after_a_pause),
        cmocka_unit_test(test_a_program_that_is_not_there_ends_with_a_word_in_its_log),
    };
    if (!mkdtemp(folder)) return 1;
    return cmocka_run_group_tests(tests, NULL, remove_folder);
}
