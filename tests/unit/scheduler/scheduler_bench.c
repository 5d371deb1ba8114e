/* SPDX-License-Identifier: Apache-2.0 */
/* One scheduler over the fakes: the set-up that its tests share. */
#include "scheduler_bench.h"

#include <stdlib.h>
#include <string.h>

static const char *pin_pipeline(void *arg, const char *name) {
    (void)arg;
    if (!name[0] || strcmp(name, "gray") == 0) return "gray@0123456789ab";
    return strcmp(name, "sepia") == 0 ? "sepia@ba9876543210" : NULL;
}

int bench_setup(void **state) {
    struct bench *bench = gri_calloc(1, sizeof *bench);
    fake_loop_init(&bench->loop);
    fake_stream_init(&bench->stream, &bench->loop, &bench->trace);
    fake_ledger_init(&bench->ledger, &bench->loop, &bench->trace);
    gri_scheduler_options_init(&bench->options);
    bench->options.name = "this";
    bench->options.loop = &bench->loop.base;
    bench->options.stream = &bench->stream.base;
    bench->options.ledger = &bench->ledger.base;
    bench->options.crypto = &fake_crypto;
    bench->options.pin_pipeline = pin_pipeline;
    bench->options.rules = gri_slice_of(bench->ledger.rules);
    *state = bench;
    return 0;
}

int bench_teardown(void **state) {
    struct bench *bench = *state;
    gri_scheduler_destroy(bench->scheduler);
    fake_stream_clear(&bench->stream);
    fake_ledger_clear(&bench->ledger);
    fake_loop_clear(&bench->loop);
    free(bench->trace.lines);
    free(bench);
    return 0;
}

void bench_start(struct bench *bench) {
    struct gri_error error;
    assert_int_equal(gri_scheduler_create(&bench->options, &bench->scheduler, &error), GRI_OK);
    gri_scheduler_start(bench->scheduler);
    bench_run(bench, 10);
}

void bench_run(struct bench *bench, int64_t ms) {
    fake_loop_run(&bench->loop, ms);
}

static void drained(void *arg) {
    ((struct bench *)arg)->drained++;
}
void bench_drain(struct bench *bench) {
    gri_scheduler_drain(bench->scheduler, drained, bench);
}

void bench_add_lines(struct fake_catalog *catalog, const char *base, int from, int count) {
    struct gri_bytes text;
    gri_bytes_init(&text, 0);
    for (int i = from; i < from + count; i++)
        gri_bytes_printf(&text, "%s/%d\n", base, i);
    fake_ledger_add_chunk(catalog, gri_bytes_text(&text));
    gri_bytes_clear(&text);
}

bool bench_before(const struct bench *bench, const char *a, const char *b) {
    long first = fake_trace_find(&bench->trace, a, 0), second = fake_trace_find(&bench->trace, b, 0);
    return first >= 0 && second >= 0 && first < second;
}
