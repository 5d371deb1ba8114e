/* SPDX-License-Identifier: Apache-2.0 */
/* When memory is out. For every n the n-th allocation fails, once, in a process of its own. What follows must be a result, an
 * error, or the end by the one documented way: gri_alloc says "out_of_memory" and aborts. Never a NULL that
 * is used, never a broken invariant, never a hang.
 *
 * Allocations of the product and of the libraries it links statically or calls are caught by --wrap; those inside a shared
 * library are its own business. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <grisaille/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config.h"
#include "crypto.h"
#include "gzip.h"
#include "intake.h"
#include "jpeg_gray.h"
#include "picture_maker.h"
#include "rules.h"

enum { ALLOCATIONS_MAX = 4000, SECONDS_MAX = 60 };

static long countdown; /* 0: none fails */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static bool fails(void) {
    return countdown > 0 && --countdown == 0;
}

void *__wrap_malloc(size_t size) {
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size) {
    return fails() ? NULL : __real_realloc(old, size);
}

/* --- what is done while memory is out ------------------------------------------------------------------------------------ */

static enum gri_status forget(void *arg, const struct gri_push_chunk *chunk, struct gri_error *error) {
    (void)arg, (void)chunk, (void)error;
    return GRI_OK;
}

static enum gri_status to_bytes(void *arg, struct gri_slice plain, struct gri_error *error) {
    return gri_bytes_append(arg, plain.data, plain.len, error);
}

static enum gri_status push_catalog(struct gri_error *error) {
    struct gri_push_totals totals;
    struct gri_intake *intake = gri_intake_create(gri_crypto_create(error), 0, forget, NULL);
    enum gri_status status = gri_intake_feed(intake, gri_slice_of("http://a.example/1\n\nnonsense\n"), error);
    if (status == GRI_OK) status = gri_intake_finish(intake, &totals, error);
    gri_intake_destroy(intake);
    return status;
}

static enum gri_status make_rules(struct gri_error *error) {
    struct gri_bytes body;
    struct gri_ruleset *rules = NULL;
    struct gri_verdict *verdict;
    char id[GRI_PIPELINE_MAX];
    gri_bytes_init(&body, 0);
    enum gri_status status = gri_ruleset_body(NULL, NULL, gri_crypto_create(error), &body, id, error);
    if (status == GRI_OK) status = gri_ruleset_compile(gri_bytes_slice(&body), &rules, error);
    if (status == GRI_OK) {
        verdict = gri_alloc(sizeof *verdict);
        gri_ruleset_judge(rules, gri_slice_of("https://picsum.photos/id/7/20/30?q=1"), verdict);
        gri_ruleset_judge(rules,
                          gri_slice_of("http://b\xc3\xbc"
                                       "cher.example/../x y"),
                          verdict);
        free(verdict);
    }
    gri_ruleset_free(rules);
    gri_bytes_clear(&body);
    return status;
}

static enum gri_status read_config(struct gri_error *error) {
    const char *sets[] = {"worker.slots=9", "fetch.allow_ranges=10.0.0.0/8,::1", "rules=[{name: a, when: {host: b}}]"};
    struct gri_config_sources sources = {.sets = sets, .set_count = 3};
    struct gri_config *config = NULL;
    enum gri_status status = gri_config_load(&sources, &config, error);
    if (status == GRI_OK) gri_json_free(gri_config_describe(config));
    gri_config_destroy(config);
    return status;
}

static enum gri_status gray_jpeg(struct gri_error *error) {
    struct jpeg_recipe recipe = {
        .width = 41, .height = 23, .components = 3, .quality = 60, .across = 2, .down = 2, .optimised = true};
    struct gri_jpeg_limits limits = {.max_pixels = 1000000, .max_output_bytes = 1000000, .timeout_ms = 10000, .max_scans = 100};
    struct gri_bytes source, out;
    struct gri_jpeg_info info;
    bool handled;
    long armed = countdown;
    countdown = 0; /* making the picture is not what is tried */
    gri_bytes_init(&source, 0);
    gri_bytes_init(&out, 0);
    make_jpeg(&recipe, &source);
    countdown = armed;
    enum gri_status status = gri_jpeg_gray_port()->gray(gri_bytes_slice(&source), false, &limits, &out, &info, &handled, error);
    gri_bytes_clear(&source);
    gri_bytes_clear(&out);
    return status;
}

static enum gri_status both_codings(struct gri_error *error) {
    static const uint8_t gzip[] = {31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 75, 228, 2, 0, 7, 161, 234, 221, 2, 0, 0, 0};
    const struct gri_crypto *crypto = gri_crypto_create(error);
    struct gri_bytes plain, text;
    gri_bytes_init(&plain, 0);
    gri_bytes_init(&text, 0);
    struct gri_inflate *inflate = gri_gzip_inflate()->begin(1000);
    enum gri_status status = gri_gzip_inflate()->feed(inflate, (struct gri_slice){gzip, sizeof gzip}, to_bytes, &plain, error);
    if (status == GRI_OK) {
        status = gri_gzip_inflate()->end(inflate, error);
    } else {
        gri_gzip_inflate()->abort(inflate);
    }
    if (status == GRI_OK) status = crypto->base64_encode(gri_bytes_slice(&plain), &text, error);
    gri_bytes_reset(&plain);
    if (status == GRI_OK) status = crypto->base64_decode(gri_bytes_slice(&text), &plain, error);
    gri_bytes_clear(&plain);
    gri_bytes_clear(&text);
    return status;
}

static enum gri_status parse_json(struct gri_error *error) {
    struct gri_json *json = NULL;
    struct gri_bytes text;
    gri_bytes_init(&text, 0);
    enum gri_status status = gri_json_parse(gri_slice_of("{\"a\":[1,2.5,\"x\",null,{\"b\":true}]}"), &json, error);
    if (status == GRI_OK) status = gri_json_write(json, true, &text, error);
    gri_json_free(json);
    gri_bytes_clear(&text);
    return status;
}

/* --- every allocation once ------------------------------------------------------------------------------------------------- */

enum outcome { DONE, REFUSED, GAVE_UP, UNUSED, BROKEN };

/* In the child: exit 0 done, 1 refused with an error that says something, 2 the allocation that was to fail never came. */
static _Noreturn void be_child(enum gri_status (*work)(struct gri_error *error), long n, int out) {
    struct gri_error error = {0};
    (void)alarm(SECONDS_MAX);
    (void)dup2(out, STDERR_FILENO);
    countdown = n;
    enum gri_status status = work(&error);
    bool unused = countdown > 0;
    countdown = 0;
    if (status != GRI_OK && (error.status != status || error.reason == GRI_R_none || !error.detail[0])) _exit(3);
    _exit(unused ? 2 : status == GRI_OK ? 0 : 1);
}

static enum outcome run_child(enum gri_status (*work)(struct gri_error *error), long n, char said[4000]) {
    int ends[2], status = 0;
    size_t len = 0;
    ssize_t got;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) be_child(work, n, ends[1]);
    close(ends[1]);
    while ((got = read(ends[0], said + len, 3999 - len)) > 0)
        len += (size_t)got;
    said[len] = '\0';
    close(ends[0]);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && strstr(said, "\"out_of_memory\"")) return GAVE_UP;
    if (!WIFEXITED(status) || WEXITSTATUS(status) > 2) return BROKEN;
    return WEXITSTATUS(status) == 2 ? UNUSED : WEXITSTATUS(status) == 1 ? REFUSED : DONE;
}

static void fail_each(const char *name, enum gri_status (*work)(struct gri_error *error)) {
    char said[4000];
    long counts[5] = {0}, n = 1;
    for (; n < ALLOCATIONS_MAX; n++) {
        enum outcome outcome = run_child(work, n, said);
        if (outcome == BROKEN) fail_msg("%s: allocation %ld: %s", name, n, said);
        counts[outcome]++;
        if (outcome == UNUSED) break;
    }
    print_message("%s: %ld allocations: %ld refused, %ld gave up as documented, %ld done all the same\n", name, n - 1,
                  counts[REFUSED], counts[GAVE_UP], counts[DONE]);
    assert_true(n > 1 && n < ALLOCATIONS_MAX);
}

static void every_failing_allocation_is_refused_or_ends_the_process_as_documented(void **state) {
    (void)state;
    fail_each("a catalog", push_catalog);
    fail_each("rules", make_rules);
    fail_each("the configuration", read_config);
    fail_each("a JPEG", gray_jpeg);
    fail_each("gzip and base64", both_codings);
    fail_each("JSON", parse_json);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_failing_allocation_is_refused_or_ends_the_process_as_documented)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
