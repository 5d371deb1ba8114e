/* SPDX-License-Identifier: Apache-2.0 */
/* Fake loop on virtual time, the trace, and a stand-in for SHA-256. */
#include "scheduler_fakes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gri_timer {
    struct gri_timer *next;
    int64_t at;
    void (*fire)(void *arg);
    void *arg;
};

static struct fake_loop *self(struct gri_loop *loop) {
    return gri_container_of(loop, struct fake_loop, base);
}
static int64_t now_ms(struct gri_loop *loop) {
    return self(loop)->now;
}
static int64_t wall_ms(struct gri_loop *loop) {
    return 1700000000000 + self(loop)->now;
}

static uint64_t next_random(struct gri_loop *loop) {
    uint64_t *seed = &self(loop)->seed;
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 11;
}

static struct gri_timer *timer_start(struct gri_loop *loop, int64_t after_ms, void (*fire)(void *arg), void *arg) {
    struct gri_timer *timer = gri_calloc(1, sizeof *timer), **at = &self(loop)->timers;
    *timer = (struct gri_timer){.at = self(loop)->now + after_ms, .fire = fire, .arg = arg};
    while (*at && (*at)->at <= timer->at)
        at = &(*at)->next;
    timer->next = *at;
    *at = timer;
    return timer;
}

static void timer_stop(struct gri_loop *loop, struct gri_timer *timer) {
    if (!timer) return;
    struct gri_timer **at = &self(loop)->timers;
    while (*at && *at != timer)
        at = &(*at)->next;
    GRI_ASSERT(*at == timer); /* never after it fired */
    *at = timer->next;
    free(timer);
}

static void post(struct gri_loop *loop, void (*run)(void *arg), void *arg) {
    timer_start(loop, 0, run, arg);
}

void fake_loop_init(struct fake_loop *loop) {
    static const struct gri_loop_ops ops = {.now_ms = now_ms,
                                            .wall_ms = wall_ms,
                                            .random = next_random,
                                            .timer_start = timer_start,
                                            .timer_stop = timer_stop,
                                            .post = post};
    *loop = (struct fake_loop){.base.ops = &ops, .now = 1000, .seed = 42};
}

void fake_loop_clear(struct fake_loop *loop) {
    while (loop->timers)
        timer_stop(&loop->base, loop->timers);
}

void fake_loop_run(struct fake_loop *loop, int64_t ms) {
    int64_t until = loop->now + ms;
    while (loop->timers && loop->timers->at <= until) {
        struct gri_timer *timer = loop->timers;
        loop->timers = timer->next;
        loop->now = timer->at;
        void (*fire)(void *arg) = timer->fire;
        void *arg = timer->arg;
        free(timer);
        fire(arg);
    }
    loop->now = until;
}

void fake_trace_add(struct fake_trace *trace, const char *format, ...) {
    if (!trace->lines) trace->lines = gri_calloc(FAKE_TRACE, sizeof *trace->lines);
    GRI_ASSERT(trace->count < FAKE_TRACE);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(trace->lines[trace->count++], sizeof *trace->lines, format, args);
    va_end(args);
}

size_t fake_trace_count(const struct fake_trace *trace, const char *prefix) {
    size_t count = 0;
    for (size_t i = 0; i < trace->count; i++)
        count += strncmp(trace->lines[i], prefix, strlen(prefix)) == 0;
    return count;
}

long fake_trace_find(const struct fake_trace *trace, const char *prefix, size_t nth) {
    for (size_t i = 0; i < trace->count; i++)
        if (strncmp(trace->lines[i], prefix, strlen(prefix)) == 0 && nth-- == 0) return (long)i;
    return -1;
}

static void fake_sum(struct gri_slice bytes, char out[GRI_SHA256_HEX]) {
    uint64_t hash = gri_hash(GRI_HASH_START, bytes.data, bytes.len);
    for (int i = 0; i < 4; i++, hash = hash * 6364136223846793005u + 1442695040888963407u)
        (void)gri_format(out + 16 * i, (size_t)(GRI_SHA256_HEX - 16 * i), "%016llx", (unsigned long long)hash);
}

struct gri_sha256 {
    struct gri_bytes text;
};

static struct gri_sha256 *sum_begin(void) {
    struct gri_sha256 *sum = gri_calloc(1, sizeof *sum);
    gri_bytes_init(&sum->text, 0);
    return sum;
}

static void sum_add(struct gri_sha256 *sum, struct gri_slice bytes) {
    gri_bytes_put_slice(&sum->text, bytes);
}

static void sum_end(struct gri_sha256 *sum, char out[GRI_SHA256_HEX]) {
    if (out) fake_sum(gri_bytes_slice(&sum->text), out);
    gri_bytes_clear(&sum->text);
    free(sum);
}

const struct gri_crypto fake_crypto = {
    .sha256_hex = fake_sum, .sha256_begin = sum_begin, .sha256_add = sum_add, .sha256_end = sum_end};
