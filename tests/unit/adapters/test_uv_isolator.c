/* SPDX-License-Identifier: Apache-2.0 */
/* Children that answer, die, are killed, hang, babble: the verdict on each. The children are this very program. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "uv_isolator.h"
#include "uv_loop.h"

enum { FRAME_FD = 3, WORK_MS = 2000, START_MS = 5000 };

/* --- the child ------------------------------------------------------------------------------------------------------- */

static void say(const void *bytes, size_t len) {
    if (write(FRAME_FD, bytes, len) != (ssize_t)len) _exit(99);
}

static void say_started(void) {
    struct gri_bytes frame;
    gri_bytes_init(&frame, 0);
    gri_frame_write_started(&frame);
    say(frame.data, frame.len);
    gri_bytes_clear(&frame);
}

static void say_result(struct gri_isolated *result, size_t cut) {
    struct gri_bytes frame;
    struct gri_error error;
    gri_bytes_init(&frame, 0);
    if (gri_frame_write_result(result, &frame, &error) != GRI_OK) _exit(98);
    say(frame.data, frame.len - cut);
    gri_bytes_clear(&frame);
}

/* Repeats the request's URL as source and its settings as picture. */
static void answer(size_t cut) {
    struct gri_isolated result = {.end = GRI_ISOLATED_ANSWERED};
    struct gri_bytes definition, settings;
    struct gri_error error;
    char buffer[4096], *url = NULL;
    ssize_t len = read(STDIN_FILENO, buffer, sizeof buffer);
    gri_bytes_init(&definition, 0);
    gri_bytes_init(&settings, 0);
    if (len < GRI_FRAME_HEADER) _exit(97);
    struct gri_slice payload = {(uint8_t *)buffer + GRI_FRAME_HEADER, (size_t)len - GRI_FRAME_HEADER};
    if (gri_frame_read_request(payload, &url, &definition, &settings, &error) != GRI_OK) _exit(96);
    gri_isolated_init(&result, url, (struct gri_slice){0});
    gri_bytes_put(&result.fetch.body, url);
    gri_bytes_init(&result.picture.output, 0);
    gri_bytes_put_slice(&result.picture.output, gri_bytes_slice(&settings));
    result.fetch.http_status = getenv("GRISAILLE_SECRET") ? 500 : 200;
    say_result(&result, cut);
}

static void hold_pipe_and_die(void) {
    if (fork() == 0) {
        setsid(); /* out of reach of a kill of the group */
        sleep(6);
        _exit(0);
    }
    abort();
}

static void eat_memory(void) {
    for (;;) {
        char *more = malloc(8 << 20);
        if (more) memset(more, 1, 8 << 20);
        usleep(20000);
    }
}

static int child(const char *mode) {
    struct gri_isolated refused = {.end = GRI_ISOLATED_KILLED};
    if (strcmp(mode, "abort-early") == 0) abort();
    if (strcmp(mode, "exit-early") == 0) _exit(1);
    if (strcmp(mode, "sleep-early") == 0) sleep(30);
    if (strcmp(mode, "refuse") == 0) {
        gri_isolated_init(&refused, "u", (struct gri_slice){0});
        refused.end = GRI_ISOLATED_KILLED;
        refused.op.status = gri_fail_as(&refused.op.error, GRI_RETRY, GRI_R_config, "no such plugin");
        say_result(&refused, 0);
        _exit(0);
    }
    say_started();
    if (strcmp(mode, "answer") == 0) answer(0);
    if (strcmp(mode, "answer-and-abort") == 0) {
        answer(0);
        abort();
    }
    if (strcmp(mode, "answer-and-sleep") == 0) {
        answer(0);
        sleep(30);
    }
    if (strcmp(mode, "half") == 0) answer(7);
    if (strcmp(mode, "abort") == 0) abort();
    if (strcmp(mode, "segv") == 0) {
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
    }
    if (strcmp(mode, "kill") == 0) raise(SIGKILL);
    if (strcmp(mode, "term") == 0) raise(SIGTERM);
    if (strcmp(mode, "exit-1") == 0) _exit(1);
    if (strcmp(mode, "sleep") == 0) sleep(30);
    if (strcmp(mode, "babble") == 0) say("this is not a frame at all", 26);
    if (strcmp(mode, "started-twice") == 0) say_started();
    if (strcmp(mode, "huge") == 0) say("GRI1\3\0\0\0\xff\xff\xff\xff\xff\xff\xff\x7f", 16);
    if (strcmp(mode, "hold") == 0) hold_pipe_and_die();
    if (strcmp(mode, "eat") == 0) eat_memory();
    _exit(0);
}

/* --- the parent ------------------------------------------------------------------------------------------------------ */

struct bench {
    struct gri_loop *loop;
    struct gri_isolator *isolator;
    struct gri_isolated request;
    bool done;
};

static void done(struct gri_op *op) {
    struct gri_isolated *request = gri_container_of(op, struct gri_isolated, op);
    struct bench *bench = gri_container_of(request, struct bench, request);
    assert_false(bench->done);
    bench->done = true;
    gri_uv_loop_stop(bench->loop);
}

static void begin(struct bench *bench, const char *program, const char *mode) {
    const char *args[] = {"child", mode, NULL};
    struct gri_error error;
    struct gri_uv_isolator_options options = {.program = program,
                                              .args = args,
                                              .settings = gri_slice_of("the settings"),
                                              .start_ms = START_MS,
                                              .work_ms = WORK_MS,
                                              .memory_bytes = 128 << 20,
                                              .result_max = 1 << 20};
    *bench = (struct bench){.done = false};
    assert_int_equal(gri_uv_loop_create(&bench->loop, &error), GRI_OK);
    bench->isolator = gri_uv_isolator_create(gri_uv_loop_handle(bench->loop), &options, NULL);
    gri_isolated_init(&bench->request, "https://a.test/1", gri_slice_of("{}"));
    bench->request.op.done = done;
    bench->isolator->ops->run(bench->isolator, &bench->request);
    assert_false(bench->done);
}

static void end(struct bench *bench) {
    gri_isolated_clear(&bench->request);
    gri_uv_isolator_destroy(bench->isolator);
    gri_uv_loop_destroy(bench->loop);
}

static void expect(const char *mode, enum gri_isolated_end how, enum gri_status status, enum gri_reason reason,
                   const char *detail) {
    struct bench bench;
    begin(&bench, NULL, mode);
    gri_uv_loop_run(bench.loop);
    assert_true(bench.done);
    if (bench.request.end != how) fail_msg("%s: end %d, %s", mode, bench.request.end, bench.request.op.error.detail);
    assert_int_equal(bench.request.op.status, status);
    if (status != GRI_OK) {
        assert_int_equal(bench.request.op.error.reason, reason);
        if (!strstr(bench.request.op.error.detail, detail)) fail_msg("%s: %s", mode, bench.request.op.error.detail);
    } else {
        assert_string_equal(gri_bytes_text(&bench.request.fetch.body), "https://a.test/1");
        assert_string_equal(gri_bytes_text(&bench.request.picture.output), "the settings");
        assert_int_equal(bench.request.fetch.http_status, 200);
    }
    end(&bench);
}

static void an_answer_comes_through_and_no_secret_goes_in(void **state) {
    (void)state;
    setenv("GRISAILLE_SECRET", "hush", 1);
    expect("answer", GRI_ISOLATED_ANSWERED, GRI_OK, GRI_R_none, "");
    expect("answer-and-abort", GRI_ISOLATED_ANSWERED, GRI_OK, GRI_R_none, "");
    expect("answer-and-sleep", GRI_ISOLATED_ANSWERED, GRI_OK, GRI_R_none, "");
}

static void its_own_signal_its_own_exit_and_nonsense_are_its_own_death(void **state) {
    (void)state;
    expect("abort", GRI_ISOLATED_DIED, GRI_PERMANENT, GRI_R_poison, "signal 6");
#if !defined(__SANITIZE_ADDRESS__)
    expect("segv", GRI_ISOLATED_DIED, GRI_PERMANENT, GRI_R_poison, "signal 11");
#endif
    expect("exit-1", GRI_ISOLATED_DIED, GRI_PERMANENT, GRI_R_poison, "status 1");
    expect("exit-0", GRI_ISOLATED_DIED, GRI_PERMANENT, GRI_R_poison, "without a result");
    expect("half", GRI_ISOLATED_DIED, GRI_PERMANENT, GRI_R_poison, "without a result");
    expect("babble", GRI_ISOLATED_DIED, GRI_PERMANENT, GRI_R_poison, "nonsense");
    expect("started-twice", GRI_ISOLATED_DIED, GRI_PERMANENT, GRI_R_poison, "nonsense");
    expect("huge", GRI_ISOLATED_DIED, GRI_PERMANENT, GRI_R_poison, "nonsense");
}

static void its_limits_are_its_own_death(void **state) {
    (void)state;
    expect("sleep", GRI_ISOLATED_DIED, GRI_PERMANENT, GRI_R_poison, "in time");
    expect("eat", GRI_ISOLATED_DIED, GRI_PERMANENT, GRI_R_poison, "memory");
}

static void what_others_do_to_it_proves_nothing(void **state) {
    (void)state;
    expect("kill", GRI_ISOLATED_KILLED, GRI_RETRY, GRI_R_no_memory, "signal 9");
    expect("term", GRI_ISOLATED_KILLED, GRI_RETRY, GRI_R_no_memory, "signal 15");
}

static void a_child_that_was_never_ready_proves_nothing(void **state) {
    (void)state;
    expect("abort-early", GRI_ISOLATED_KILLED, GRI_RETRY, GRI_R_no_memory, "signal 6");
    expect("exit-early", GRI_ISOLATED_KILLED, GRI_RETRY, GRI_R_internal, "status 1");
    expect("sleep-early", GRI_ISOLATED_KILLED, GRI_RETRY, GRI_R_internal, "ready in time");
    expect("refuse", GRI_ISOLATED_KILLED, GRI_RETRY, GRI_R_config, "no such plugin");
}

static void a_grandchild_that_holds_the_pipe_holds_nobody_up(void **state) {
    (void)state;
    expect("hold", GRI_ISOLATED_DIED, GRI_PERMANENT, GRI_R_poison, "signal 6");
}

static void a_program_that_is_not_there_is_told(void **state) {
    (void)state;
    struct bench bench;
    begin(&bench, "/no/such/program", "answer");
    gri_uv_loop_run(bench.loop);
    assert_int_equal(bench.request.end, GRI_ISOLATED_KILLED);
    assert_int_equal(bench.request.op.status, GRI_RETRY);
    assert_non_null(strstr(bench.request.op.error.detail, "can't be started"));
    end(&bench);
}

static void cancel_now(void *arg) {
    struct bench *bench = arg;
    bench->isolator->ops->cancel(bench->isolator, &bench->request);
}

static void a_cancelled_one_ends_soon_without_a_verdict(void **state) {
    (void)state;
    struct bench bench;
    begin(&bench, NULL, "sleep-early");
    (void)gri_timer_start(bench.loop, 100, cancel_now, &bench);
    int64_t began = gri_now_ms(bench.loop);
    gri_uv_loop_run(bench.loop);
    assert_true(gri_now_ms(bench.loop) - began < 1000);
    assert_int_equal(bench.request.end, GRI_ISOLATED_KILLED);
    assert_int_equal(bench.request.op.error.reason, GRI_R_timeout);
    end(&bench);
}

static void destroy_with_a_child_under_way_leaks_nothing_and_calls_nobody(void **state) {
    (void)state;
    struct bench bench;
    begin(&bench, NULL, "sleep");
    end(&bench);
    assert_false(bench.done);
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "child") == 0) return child(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_comes_through_and_no_secret_goes_in),
        cmocka_unit_test(its_own_signal_its_own_exit_and_nonsense_are_its_own_death),
        cmocka_unit_test(its_limits_are_its_own_death),
        cmocka_unit_test(what_others_do_to_it_proves_nothing),
        cmocka_unit_test(a_child_that_was_never_ready_proves_nothing),
        cmocka_unit_test(a_grandchild_that_holds_the_pipe_holds_nobody_up),
        cmocka_unit_test(a_program_that_is_not_there_is_told),
        cmocka_unit_test(a_cancelled_one_ends_soon_without_a_verdict),
        cmocka_unit_test(destroy_with_a_child_under_way_leaks_nothing_and_calls_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
