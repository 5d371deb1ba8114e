/* SPDX-License-Identifier: Apache-2.0 */
/* Names of log fields in the Elastic Common Schema (ECS 8.11), and the trace id that ties log lines, events and images together.
 * Pure functions, any thread. */
#ifndef GRISAILLE_BASE_LOG_ECS_H
#define GRISAILLE_BASE_LOG_ECS_H

#include <grisaille/log.h>

enum { GRI_ECS_NAME_MAX = 80, GRI_TRACE_HEX = 32 };

/* The field as ECS calls it, or grisaille.<name> where ECS has no such field; `ms` becomes event.duration, in ns. `name` is the
 * memory of the result's name. */
struct gri_field gri_log_ecs_field(const struct gri_field *field, char name[GRI_ECS_NAME_MAX]);

/* The trace id of a `job` field: the first 32 digits of the job's key (the URL's hash). False for any other field. */
bool gri_log_trace(const struct gri_field *field, char trace[GRI_TRACE_HEX + 1]);

#endif
