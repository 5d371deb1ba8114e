/* SPDX-License-Identifier: Apache-2.0 */
/* The usual process_* figures of this process, from /proc and getrlimit (Prometheus' client guidelines name them).
 * Threads: any. */
#ifndef GRISAILLE_BASE_PROCESS_STATS_H
#define GRISAILLE_BASE_PROCESS_STATS_H

#include <stdbool.h>
#include <stddef.h>

enum { GRI_PROCESS_STATS = 7 };

struct gri_process_stat {
    const char *name, *help;
    bool counter;
};

/* Row `index` < GRI_PROCESS_STATS; static storage. */
const struct gri_process_stat *gri_process_stat(size_t index);
/* The values in the order of the rows; NAN where one can't be read. */
void gri_process_stats_read(double values[GRI_PROCESS_STATS]);

#endif
