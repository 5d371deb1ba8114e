/* SPDX-License-Identifier: Apache-2.0 */
/* The small HTTP server of scheduler and worker: /metrics, /healthz, /readyz on metrics.listen. */
#ifndef GRI_PROBES_H
#define GRI_PROBES_H

#include "daemon.h"

/* Does nothing where metrics.listen is empty. Logs the event "listening" with what "metrics" and the address. */
enum gri_status gri_probes_start(struct gri_daemon *daemon, struct gri_error *error) GRI_MUST_CHECK;
void gri_probes_stop(struct gri_daemon *daemon);

#endif
