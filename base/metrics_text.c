/* SPDX-License-Identifier: Apache-2.0 */
/* The Prometheus text exposition 0.0.4 of a registry
 * (https://prometheus.io/docs/instrumenting/exposition_formats/). */
#include <grisaille/metrics.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "metrics_internal.h"

/* The shortest of 15 or 17 digits that reads back as the same value. */
static void put_real(struct gri_bytes *out, double value) {
    if (isnan(value)) {
        gri_bytes_put(out, "NaN");
    } else if (isinf(value)) {
        gri_bytes_put(out, value > 0 ? "+Inf" : "-Inf");
    } else {
        char text[40];
        snprintf(text, sizeof text, "%.15g", value);
        if (strtod(text, NULL) < value || strtod(text, NULL) > value) snprintf(text, sizeof text, "%.17g", value);
        gri_bytes_put(out, text);
    }
}

static void put_help(struct gri_bytes *out, const char *help) {
    for (const char *c = help; *c; c++) {
        if (*c == '\\') {
            gri_bytes_put(out, "\\\\");
        } else if (*c == '\n') {
            gri_bytes_put(out, "\\n");
        } else {
            gri_bytes_put_slice(out, (struct gri_slice){(const uint8_t *)c, 1});
        }
    }
}

/* name[suffix][{labels[,extra]}] and a space. */
static void put_name(struct gri_bytes *out, const char *name, const char *suffix, const char *labels) {
    gri_bytes_printf(out, "%s%s", name, suffix);
    if (labels[0]) gri_bytes_printf(out, "{%s}", labels);
    gri_bytes_put(out, " ");
}

static void put_bucket(struct gri_bytes *out, const char *name, const char *labels, double bound, uint64_t count) {
    gri_bytes_printf(out, "%s_bucket{%s%sle=\"", name, labels, labels[0] ? "," : "");
    put_real(out, bound);
    gri_bytes_printf(out, "\"} %" PRIu64 "\n", count);
}

static void put_histogram(struct gri_bytes *out, const char *name, struct gri_series *series) {
    /* The count is that of the buckets just read, so that +Inf and _count agree while others observe. */
    uint64_t total = 0;
    for (size_t i = 0; i <= series->bound_count; i++) {
        total += atomic_load_explicit(&series->buckets[i], memory_order_relaxed);
        put_bucket(out, name, series->labels, i < series->bound_count ? series->bounds[i] : INFINITY, total);
    }
    put_name(out, name, "_sum", series->labels);
    put_real(out, atomic_load_explicit(&series->value, memory_order_relaxed));
    gri_bytes_put(out, "\n");
    put_name(out, name, "_count", series->labels);
    gri_bytes_printf(out, "%" PRIu64 "\n", total);
}

static void put_series(struct gri_bytes *out, const struct gri_family *family, struct gri_series *series) {
    switch (family->type) {
    case GRI_METRIC_HISTOGRAM:
        put_histogram(out, family->name, series);
        return;
    case GRI_METRIC_COUNTER:
        put_name(out, family->name, "", series->labels);
        gri_bytes_printf(out, "%" PRIu64 "\n", atomic_load_explicit(&series->count, memory_order_relaxed));
        return;
    case GRI_METRIC_REAL_COUNTER:
    case GRI_METRIC_GAUGE:
        put_name(out, family->name, "", series->labels);
        put_real(out, atomic_load_explicit(&series->value, memory_order_relaxed));
        gri_bytes_put(out, "\n");
        return;
    }
}

void gri_metrics_render(struct gri_metrics *metrics, struct gri_bytes *out) {
    static const char *const TYPES[] = {"counter", "counter", "gauge", "histogram"};
    gri_metrics_read_process(metrics);
    pthread_mutex_lock(&metrics->lock);
    for (size_t i = 0; i < metrics->family_count; i++) {
        const struct gri_family *family = metrics->families[i];
        gri_bytes_printf(out, "# HELP %s ", family->name);
        put_help(out, family->help);
        gri_bytes_printf(out, "\n# TYPE %s %s\n", family->name, TYPES[family->type]);
        for (struct gri_series *series = family->first; series; series = series->next)
            put_series(out, family, series);
    }
    pthread_mutex_unlock(&metrics->lock);
}
