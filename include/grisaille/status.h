/* SPDX-License-Identifier: Apache-2.0 */
/* Status and error: how every fallible function answers.
 *
 * A function that can fail returns enum gri_status and fills a trailing `struct gri_error *` (never NULL). The status
 * is GRI_OK or the failure's class; the class alone decides what happens to a job (workers/retry.c is that one place).
 * Threads: plain data, no shared state. */
#ifndef GRISAILLE_STATUS_H
#define GRISAILLE_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GRI_MUST_CHECK __attribute__((warn_unused_result))
#define GRI_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

enum gri_status {
    GRI_OK = 0,
    GRI_RETRY,     /* may succeed later: DNS, timeouts, 5xx, a store that is away */
    GRI_PERMANENT, /* will never succeed: 404, not an image, refused address */
    GRI_FATAL      /* this process can't work: configuration, disk, memory */
};

enum gri_reason {
#define GRI_REASON(name, class, group, http, help) GRI_R_##name,
#include <grisaille/reasons.def>
#undef GRI_REASON
    GRI_REASON_COUNT
};

struct gri_error {
    enum gri_status status; /* the class */
    enum gri_reason reason;
    bool unknown;     /* a write whose outcome nobody knows (timeout, connection lost, write concern) */
    char detail[400]; /* one sentence: what, where, what to do; UTF-8, no secrets, cut to fit */
};

/* One row of reasons.def. */
struct gri_reason_info {
    const char *name;
    const char *group;
    const char *help;
    enum gri_status status;
    int http;
};

/* Row of `reason`; static storage. */
const struct gri_reason_info *gri_reason_info(enum gri_reason reason);
/* "dns", "http_5xx", …; static storage. */
const char *gri_reason_name(enum gri_reason reason);
/* The reason of that name, or GRI_REASON_COUNT. */
enum gri_reason gri_reason_from_name(const char *name);
/* "ok", "retry", "permanent", "fatal"; static storage. */
const char *gri_status_name(enum gri_status status);

/* Sets *error to `reason` with its class and a formatted detail; returns the class, so `return gri_fail(…)` reads well. */
enum gri_status gri_fail(struct gri_error *error, enum gri_reason reason, const char *format, ...) GRI_PRINTF(3, 4);
/* The same with a class other than the table's (a 503 of a host that is to be permanent, say). */
enum gri_status gri_fail_as(struct gri_error *error, enum gri_status status, enum gri_reason reason, const char *format, ...)
    GRI_PRINTF(4, 5);
/* Puts "context: " before the detail, keeping class and reason; returns the class. */
enum gri_status gri_error_wrap(struct gri_error *error, const char *format, ...) GRI_PRINTF(2, 3);

/* A broken invariant ends the process, in release builds too, with file, line and the expression on standard error. */
#define GRI_ASSERT(expression) ((expression) ? (void)0 : gri_assert_failed(#expression, __FILE__, __LINE__))
_Noreturn void gri_assert_failed(const char *expression, const char *file, int line);

/* The struct of `type` whose `member` is at `pointer`. */
#define gri_container_of(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
