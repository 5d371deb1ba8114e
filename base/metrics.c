/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics registry: families, series, and their updates (grisaille/metrics.h). Rendering is metrics_text.c. */
#include <grisaille/metrics.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "metrics_internal.h"
#include "process_stats.h"

enum { MAX_SERIES = 2000 };

static void register_process(struct gri_metrics *metrics);

struct gri_metrics *gri_metrics_create(void) {
    struct gri_metrics *metrics = gri_calloc(1, sizeof *metrics);
    GRI_ASSERT(pthread_mutex_init(&metrics->lock, NULL) == 0);
    register_process(metrics);
    return metrics;
}

static void free_series(struct gri_series *series) {
    while (series) {
        struct gri_series *next = series->next;
        free(series->buckets);
        free(series->labels);
        free(series);
        series = next;
    }
}

void gri_metrics_destroy(struct gri_metrics *metrics) {
    if (!metrics) return;
    for (size_t i = 0; i < metrics->family_count; i++) {
        free_series(metrics->families[i]->first);
        free(metrics->families[i]->help);
        free(metrics->families[i]->name);
        free(metrics->families[i]);
    }
    pthread_mutex_destroy(&metrics->lock);
    free(metrics->families);
    free(metrics);
}

static bool valid_name(const char *name) {
    if (!isalpha((unsigned char)name[0]) && name[0] != '_') return false;
    for (const char *c = name; *c; c++) {
        if (!isalnum((unsigned char)*c) && *c != '_') return false;
    }
    return true;
}

/* Where the family of that name is, or would be, in the sorted array. */
static size_t family_place(const struct gri_metrics *metrics, const char *name) {
    size_t low = 0, high = metrics->family_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(metrics->families[middle]->name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct gri_family *find_family(struct gri_metrics *metrics, enum gri_metric_type type, const char *name,
                                      const char *help) {
    size_t at = family_place(metrics, name);
    if (at < metrics->family_count && strcmp(metrics->families[at]->name, name) == 0) {
        GRI_ASSERT(metrics->families[at]->type == type);
        return metrics->families[at];
    }
    GRI_ASSERT(valid_name(name));
    struct gri_family *family = gri_calloc(1, sizeof *family);
    family->type = type;
    family->name = gri_strdup(name);
    family->help = gri_strdup(help);
    struct gri_family **families = gri_calloc(metrics->family_count + 1, sizeof(struct gri_family *));
    for (size_t i = 0; i < metrics->family_count; i++)
        families[i < at ? i : i + 1] = metrics->families[i];
    families[at] = family;
    free(metrics->families);
    metrics->families = families;
    metrics->family_count++;
    return family;
}

static struct gri_series *find_series(struct gri_family *family, const char *labels) {
    struct gri_series *series = family->first;
    while (series && strcmp(series->labels, labels) != 0)
        series = series->next;
    return series;
}

static struct gri_series *add_series(struct gri_family *family, const char *labels, const double *bounds, size_t count) {
    struct gri_series *series = gri_calloc(1, sizeof *series);
    series->labels = gri_strdup(labels);
    series->bounds = bounds;
    series->bound_count = count;
    if (family->type == GRI_METRIC_HISTOGRAM) series->buckets = gri_calloc(count + 1, sizeof *series->buckets);
    if (family->last) {
        family->last->next = series;
    } else {
        family->first = series;
    }
    family->last = series;
    return series;
}

struct wanted {
    enum gri_metric_type type;
    const char *name, *help, *labels;
    const double *bounds;
    size_t count;
};

static struct gri_series *series_of(struct gri_metrics *metrics, const struct wanted *wanted) {
    pthread_mutex_lock(&metrics->lock);
    struct gri_family *family = find_family(metrics, wanted->type, wanted->name, wanted->help);
    struct gri_series *series = find_series(family, wanted->labels ? wanted->labels : "");
    if (!series && metrics->series_count >= MAX_SERIES) {
        series = find_series(family, "overflow=\"true\"");
        if (!series) series = add_series(family, "overflow=\"true\"", wanted->bounds, wanted->count);
    } else if (!series) {
        series = add_series(family, wanted->labels ? wanted->labels : "", wanted->bounds, wanted->count);
        metrics->series_count++;
    }
    pthread_mutex_unlock(&metrics->lock);
    return series;
}

struct gri_counter *gri_metrics_counter(struct gri_metrics *metrics, const char *name, const char *help, const char *labels) {
    if (!metrics) return NULL;
    struct wanted wanted = {.type = GRI_METRIC_COUNTER, .name = name, .help = help, .labels = labels};
    return (struct gri_counter *)series_of(metrics, &wanted);
}

struct gri_gauge *gri_metrics_gauge(struct gri_metrics *metrics, const char *name, const char *help, const char *labels) {
    if (!metrics) return NULL;
    struct wanted wanted = {.type = GRI_METRIC_GAUGE, .name = name, .help = help, .labels = labels};
    return (struct gri_gauge *)series_of(metrics, &wanted);
}

struct gri_histogram *gri_metrics_histogram(struct gri_metrics *metrics, const char *name, const char *help, const char *labels,
                                            const double *bounds, size_t count) {
    if (!metrics) return NULL;
    for (size_t i = 1; i < count; i++)
        GRI_ASSERT(bounds[i - 1] < bounds[i]);
    struct wanted wanted = {
        .type = GRI_METRIC_HISTOGRAM, .name = name, .help = help, .labels = labels, .bounds = bounds, .count = count};
    return (struct gri_histogram *)series_of(metrics, &wanted);
}

const char *gri_metrics_label(char *out, size_t size, const char *name, const char *value) {
    struct gri_bytes text;
    gri_bytes_init(&text, 0);
    gri_bytes_printf(&text, "%s=\"", name);
    size_t room = size > text.len + 2 ? size - text.len - 2 : 0; /* for the closing quote and NUL */
    for (const char *c = value; *c; c++) {
        const char *escaped = *c == '\\' ? "\\\\" : *c == '"' ? "\\\"" : *c == '\n' ? "\\n" : (char[]){*c, '\0'};
        size_t len = strlen(escaped);
        if (len > room) break;
        gri_bytes_put(&text, escaped);
        room -= len;
    }
    gri_bytes_put(&text, "\"");
    gri_copy(out, size, gri_bytes_text(&text));
    gri_bytes_clear(&text);
    return out;
}

/* Adds to a double that several threads change. */
static void add_real(_Atomic double *to, double value) {
    double seen = atomic_load_explicit(to, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(to, &seen, seen + value, memory_order_relaxed, memory_order_relaxed)) {}
}

void gri_counter_add(struct gri_counter *counter, int64_t value) {
    if (!counter) return;
    GRI_ASSERT(value >= 0);
    atomic_fetch_add_explicit(&counter->series.count, (uint64_t)value, memory_order_relaxed);
}

void gri_gauge_set(struct gri_gauge *gauge, double value) {
    if (gauge) atomic_store_explicit(&gauge->series.value, value, memory_order_relaxed);
}

void gri_gauge_add(struct gri_gauge *gauge, double value) {
    if (gauge) add_real(&gauge->series.value, value);
}

void gri_histogram_observe(struct gri_histogram *histogram, double value) {
    if (!histogram) return;
    struct gri_series *series = &histogram->series;
    size_t i = 0;
    while (i < series->bound_count && value > series->bounds[i])
        i++;
    atomic_fetch_add_explicit(&series->buckets[i], 1, memory_order_relaxed);
    add_real(&series->value, value);
}

static void register_process(struct gri_metrics *metrics) {
    for (size_t i = 0; i < GRI_PROCESS_STATS; i++) {
        const struct gri_process_stat *stat = gri_process_stat(i);
        enum gri_metric_type type = stat->counter ? GRI_METRIC_REAL_COUNTER : GRI_METRIC_GAUGE;
        struct wanted wanted = {.type = type, .name = stat->name, .help = stat->help};
        metrics->process[i] = series_of(metrics, &wanted);
    }
}

void gri_metrics_read_process(struct gri_metrics *metrics) {
    double values[GRI_PROCESS_STATS];
    gri_process_stats_read(values);
    for (size_t i = 0; i < GRI_PROCESS_STATS; i++)
        atomic_store(&metrics->process[i]->value, values[i]);
}

bool gri_metrics_total(struct gri_metrics *metrics, const char *name, const char *labels, double *total) {
    bool found = false;
    *total = 0;
    if (!metrics) return false;
    if (strncmp(name, "process_", strlen("process_")) == 0) gri_metrics_read_process(metrics);
    pthread_mutex_lock(&metrics->lock);
    size_t place = family_place(metrics, name);
    const struct gri_family *family = place < metrics->family_count ? metrics->families[place] : NULL;
    if (family && strcmp(family->name, name) == 0 && family->type != GRI_METRIC_HISTOGRAM) {
        for (const struct gri_series *series = family->first; series; series = series->next) {
            if (labels && !strstr(series->labels, labels)) continue;
            *total += family->type == GRI_METRIC_COUNTER ? (double)atomic_load(&series->count) : atomic_load(&series->value);
            found = true;
        }
    }
    pthread_mutex_unlock(&metrics->lock);
    return found;
}
