/* SPDX-License-Identifier: Apache-2.0 */
/* One scheduler over the fakes: the set-up that its tests share. */
#ifndef GRISAILLE_TEST_SCHEDULER_BENCH_H
#define GRISAILLE_TEST_SCHEDULER_BENCH_H

#include "scheduler.h"
#include "scheduler_fakes.h"

#include <setjmp.h>
#include <stdarg.h>
/* cmocka wants the three above first */
#include <cmocka.h>

struct bench {
    struct fake_trace trace;
    struct fake_loop loop;
    struct fake_stream stream;
    struct fake_ledger ledger;
    struct gri_scheduler_options options;
    struct gri_scheduler *scheduler;
    int drained;
};

/* Fakes and options; tests change them before bench_start. */
int bench_setup(void **state);
int bench_teardown(void **state);
/* Creates, starts, and lets it connect. */
void bench_start(struct bench *bench);
void bench_run(struct bench *bench, int64_t ms);
void bench_drain(struct bench *bench);
/* `count` lines "<base>/<from>…", as a chunk of the catalog. */
void bench_add_lines(struct fake_catalog *catalog, const char *base, int from, int count);
/* Did the first line with prefix `a` come before the first with `b` (and both came)? */
bool bench_before(const struct bench *bench, const char *a, const char *b);

#endif
