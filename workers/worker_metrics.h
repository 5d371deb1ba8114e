/* SPDX-License-Identifier: Apache-2.0 */
/* Every series that the worker feeds (docs/metrics.md), found once. All calls are no-ops without a registry. */
#ifndef GRISAILLE_WORKER_METRICS_H
#define GRISAILLE_WORKER_METRICS_H

#include "slot.h"

struct gri_worker_metrics {
    struct gri_metrics *registry;
    struct gri_counter *stored, *duplicate_content, *dead, *unchanged, *refresh_failed, *fetch_bytes, *decodes, *reclaims,
        *fenced, *missing;
    struct gri_histogram *dns, *fetch, *transform, *encode, *store, *ack, *end_to_end, *image_size;
    struct gri_gauge *slots[GRI_SLOT_STATES];
};

void gri_worker_metrics_init(struct gri_worker_metrics *metrics, struct gri_metrics *registry);
void gri_worker_metrics_left_stage(struct gri_worker_metrics *metrics, enum gri_stage stage, int64_t ms);
void gri_worker_metrics_fetched(struct gri_worker_metrics *metrics, const struct gri_fetch *fetch, const char *host_label);
void gri_worker_metrics_robots(struct gri_worker_metrics *m, const char *outcome);
void gri_worker_metrics_pictured(struct gri_worker_metrics *metrics, const struct gri_slot *slot);
void gri_worker_metrics_finished(struct gri_worker_metrics *metrics, const struct gri_slot *slot, int64_t now_ms);
void gri_worker_metrics_isolated(struct gri_worker_metrics *metrics, enum gri_isolated_end end);
void gri_worker_metrics_healed(struct gri_worker_metrics *metrics);
void gri_worker_metrics_slots(struct gri_worker_metrics *metrics, const struct gri_slot *slots, size_t count,
                              size_t lingering_max);

#endif
