/* SPDX-License-Identifier: Apache-2.0 */
/* What the scrubs found, for /metrics of the API daemon: a scrub is a command that ends, so its totals stand in MongoDB and are
 * read from there now and then, on a thread of the executor. Threads: the loop's. */
#ifndef GRI_SCRUB_METRICS_H
#define GRI_SCRUB_METRICS_H

#include <grisaille/archive.h>
#include <grisaille/executor.h>
#include <grisaille/metrics.h>

struct gri_scrub_metrics;

/* All borrowed until destroyed. Begins to read. */
struct gri_scrub_metrics *gri_scrub_metrics_start(struct gri_loop *loop, struct gri_executor *executor,
                                                  struct gri_archive *archive, struct gri_metrics *metrics);
/* Reads no more; calls done(arg) when no reading is under way: at once, or later. */
void gri_scrub_metrics_stop(struct gri_scrub_metrics *scrub, void (*done)(void *arg), void *arg);
/* After stop's `done`, or when loop and executor have ended. NULL is fine. */
void gri_scrub_metrics_destroy(struct gri_scrub_metrics *scrub);

#endif
