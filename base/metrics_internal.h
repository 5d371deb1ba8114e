/* SPDX-License-Identifier: Apache-2.0 */
/* What metrics.c (registry, updates) and metrics_text.c (rendering) share. Not for others. */
#ifndef GRISAILLE_BASE_METRICS_INTERNAL_H
#define GRISAILLE_BASE_METRICS_INTERNAL_H

#include <grisaille/metrics.h>

#include <pthread.h>
#include <stdatomic.h>

#include "process_stats.h"

/* A REAL_COUNTER is a counter whose value is a double (CPU seconds, read from elsewhere). */
enum gri_metric_type { GRI_METRIC_COUNTER, GRI_METRIC_REAL_COUNTER, GRI_METRIC_GAUGE, GRI_METRIC_HISTOGRAM };

struct gri_series {
    char *labels; /* "" or name="value",… */
    struct gri_series *next;
    _Atomic uint64_t count;    /* COUNTER */
    _Atomic double value;      /* GAUGE, REAL_COUNTER; the sum of a HISTOGRAM */
    _Atomic uint64_t *buckets; /* HISTOGRAM: one a bound, and +Inf; not cumulative */
    const double *bounds;
    size_t bound_count;
};

/* The public handles are the series itself. */
struct gri_counter {
    struct gri_series series;
};
struct gri_gauge {
    struct gri_series series;
};
struct gri_histogram {
    struct gri_series series;
};

struct gri_family {
    enum gri_metric_type type;
    char *name, *help;
    struct gri_series *first, *last; /* in order of creation */
};

struct gri_metrics {
    pthread_mutex_t lock;         /* families and lists; the values are atomic */
    struct gri_family **families; /* by name */
    size_t family_count, series_count;
    struct gri_series *process[GRI_PROCESS_STATS];
};

/* Brings the process_* series up to date. */
void gri_metrics_read_process(struct gri_metrics *metrics);

#endif
