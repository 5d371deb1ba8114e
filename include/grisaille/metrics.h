/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics registry with the Prometheus text exposition (0.0.4).
 *
 * A series is found once and kept: gri_metrics_counter(m, "grisaille_retries_total", "Tries that …", "reason=\"dns\"")
 * creates family and series at the first call and returns the same pointer afterwards. At most 2,000 series; past that a
 * shared series with the label overflow="true" takes the rest. Threads: any; updates are atomic, look-ups take a lock.
 * The registry owns everything; series live as long as it. */
#ifndef GRISAILLE_METRICS_H
#define GRISAILLE_METRICS_H

#include <grisaille/bytes.h>

struct gri_metrics;
struct gri_counter;
struct gri_gauge;
struct gri_histogram;

struct gri_metrics *gri_metrics_create(void);
void gri_metrics_destroy(struct gri_metrics *metrics);

/* `labels`: "" or name="value" pairs joined by commas, values already escaped (gri_metrics_label does). A NULL registry
 * returns NULL, and every update of a NULL series is a no-op, so that tests need no registry. */
struct gri_counter *gri_metrics_counter(struct gri_metrics *metrics, const char *name, const char *help, const char *labels);
struct gri_gauge *gri_metrics_gauge(struct gri_metrics *metrics, const char *name, const char *help, const char *labels);
/* `bounds`: rising upper bounds, seconds or bytes, without +Inf; borrowed for ever (static). */
struct gri_histogram *gri_metrics_histogram(struct gri_metrics *metrics, const char *name, const char *help, const char *labels,
                                            const double *bounds, size_t count);
/* name="value" with \, " and newline escaped, into `out` (cut to fit). Returns out. */
const char *gri_metrics_label(char *out, size_t size, const char *name, const char *value);

void gri_counter_add(struct gri_counter *counter, int64_t value);
void gri_gauge_set(struct gri_gauge *gauge, double value);
void gri_gauge_add(struct gri_gauge *gauge, double value);
void gri_histogram_observe(struct gri_histogram *histogram, double value);

/* The sum of a family's counters or gauges: of all its series, or of those whose labels contain `labels` (unless NULL). False
 * when there is none. */
bool gri_metrics_total(struct gri_metrics *metrics, const char *name, const char *labels, double *total);

/* Families sorted by name, each with HELP and TYPE; plus process_* of this process. Accepted by `promtool check metrics`. */
void gri_metrics_render(struct gri_metrics *metrics, struct gri_bytes *out);

#endif
