/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's series and what feeds them. */
#include "worker_metrics.h"
#include "pipeline.h"
#include <string.h>

static const double stage_bounds[] = {.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30};
static const double end_bounds[] = {.1, .5, 1, 5, 15, 30, 60, 120, 300, 900, 3600};
static const double size_bounds[] = {1024,   4096,    16384,   65536,   131072,  262144,
                                     524288, 1048576, 2097152, 4194304, 8388608, 16777216};
#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static const char finished_help[] = "URLs finished, by outcome";

static struct gri_histogram *stage(struct gri_metrics *registry, const char *labels) {
    return gri_metrics_histogram(registry, "grisaille_stage_duration_seconds", "Time of one stage of one job", labels,
                                 stage_bounds, COUNT_OF(stage_bounds));
}

static void count(struct gri_metrics *registry, const char *name, const char *help, const char *label, const char *value) {
    char labels[128];
    gri_counter_add(gri_metrics_counter(registry, name, help, gri_metrics_label(labels, sizeof labels, label, value)), 1);
}

static struct gri_counter *finished(struct gri_metrics *registry, const char *labels) {
    return gri_metrics_counter(registry, "grisaille_urls_finished_total", finished_help, labels);
}

void gri_worker_metrics_init(struct gri_worker_metrics *m, struct gri_metrics *registry) {
    static const char *const states[GRI_SLOT_STATES] = {"free", "lingering", "fetching", "transforming", "storing"};
    char labels[64];
    *m = (struct gri_worker_metrics){.registry = registry};
    m->stored = finished(registry, "outcome=\"stored\"");
    m->duplicate_content = finished(registry, "outcome=\"duplicate_content\"");
    m->dead = finished(registry, "outcome=\"dead\"");
    m->unchanged = finished(registry, "outcome=\"unchanged\"");
    m->refresh_failed = finished(registry, "outcome=\"refresh_failed\"");
    m->fetch_bytes = gri_metrics_counter(registry, "grisaille_fetch_bytes_total", "Bytes of bodies fetched", "");
    m->reclaims = gri_metrics_counter(registry, "grisaille_reclaims_total", "Entries taken over from a silent worker", "");
    m->fenced = gri_metrics_counter(registry, "grisaille_fenced_total", "Entries that turned out to be another's", "");
    m->missing =
        gri_metrics_counter(registry, "grisaille_stream_entries_missing_total", "Pending entries whose body was gone", "");
    m->dns = stage(registry, "stage=\"dns\"");
    m->fetch = stage(registry, "stage=\"fetch\"");
    m->transform = stage(registry, "stage=\"transform\"");
    m->encode = stage(registry, "stage=\"encode\"");
    m->store = stage(registry, "stage=\"store\"");
    m->ack = stage(registry, "stage=\"ack\"");
    m->end_to_end = gri_metrics_histogram(registry, "grisaille_end_to_end_seconds", "From admission to done or dead", "",
                                          end_bounds, COUNT_OF(end_bounds));
    m->image_size = gri_metrics_histogram(registry, "grisaille_image_size_bytes", "Bytes of transformed images", "", size_bounds,
                                          COUNT_OF(size_bounds));
    m->decodes = gri_metrics_counter(registry, "grisaille_source_decodes_total",
                                     "Sources whose pixels were decoded, once for all outputs", "");
    for (size_t i = 0; i < GRI_SLOT_STATES; i++)
        m->slots[i] = gri_metrics_gauge(registry, "grisaille_slots", "Slots of this worker by what is done in them",
                                        gri_metrics_label(labels, sizeof labels, "state", states[i]));
}

void gri_worker_metrics_left_stage(struct gri_worker_metrics *m, enum gri_stage stage, int64_t ms) {
    if (stage == GRI_STAGE_INSERT) gri_histogram_observe(m->store, (double)ms / 1000);
    if (stage == GRI_STAGE_ACK) gri_histogram_observe(m->ack, (double)ms / 1000);
}

void gri_worker_metrics_fetched(struct gri_worker_metrics *m, const struct gri_fetch *fetch, const char *host_label) {
    if (m->registry == NULL) return;
    if (fetch->dns_seconds > 0) gri_histogram_observe(m->dns, fetch->dns_seconds); /* a kept connection asks nothing */
    gri_histogram_observe(m->fetch, fetch->total_seconds);
    gri_counter_add(m->fetch_bytes, (int64_t)fetch->body.len);
    char code_class[8] = "none";
    if (fetch->http_status >= 100 && fetch->http_status < 600)
        gri_format(code_class, sizeof code_class, "%dxx", fetch->http_status / 100);
    count(m->registry, "grisaille_fetch_responses_total", "Answers of hosts by class of status", "code_class", code_class);

    char host[128], outcome[64], labels[200];
    gri_metrics_label(host, sizeof host, "host", host_label[0] != '\0' ? host_label : "other");
    gri_metrics_label(outcome, sizeof outcome, "outcome",
                      fetch->op.status == GRI_OK ? "ok" : gri_reason_name(fetch->op.error.reason));
    gri_format(labels, sizeof labels, "%s,%s", host, outcome);
    gri_counter_add(gri_metrics_counter(m->registry, "grisaille_host_requests_total",
                                        "Fetches by host (named by a rule) and outcome", labels),
                    1);
}

void gri_worker_metrics_robots(struct gri_worker_metrics *m, const char *outcome) {
    count(m->registry, "grisaille_robots_fetches_total", "Fetches of a robots.txt, by what came of them", "outcome", outcome);
}

void gri_worker_metrics_pictured(struct gri_worker_metrics *m, const struct gri_slot *slot) {
    if (slot->cpu_status == GRI_OK) {
        gri_histogram_observe(m->transform, slot->transform_seconds);
        gri_histogram_observe(m->encode, slot->encode_seconds);
        gri_counter_add(m->decodes, slot->decodes);
        gri_histogram_observe(m->image_size, (double)slot->image.bytes);
        for (size_t i = 1; i < slot->outputs; i++)
            gri_histogram_observe(m->image_size, (double)slot->others[i - 1].bytes);
    } else if (strcmp(gri_reason_info(slot->error.reason)->group, "image") == 0) {
        count(m->registry, "grisaille_images_rejected_total", "Sources that are no acceptable image", "reason",
              gri_reason_name(slot->error.reason));
    }
}

void gri_worker_metrics_finished(struct gri_worker_metrics *m, const struct gri_slot *slot, int64_t now_ms) {
    const struct gri_finish *finish = &slot->finish;
    if (finish->kind == GRI_FINISH_WAIT) {
        count(m->registry, "grisaille_retries_total", "Jobs put back for another try", "reason",
              gri_reason_name(finish->error.reason));
        return;
    }
    if (finish->renewed == GRI_RENEWED_FAILED) {
        gri_counter_add(m->refresh_failed, 1);
    } else if (finish->renewed == GRI_RENEWED_UNCHANGED) {
        gri_counter_add(m->unchanged, 1);
    } else if (finish->kind == GRI_FINISH_DEAD) {
        gri_counter_add(m->dead, 1);
        count(m->registry, "grisaille_dead_letters_total", "Jobs that will not be tried again", "reason",
              gri_reason_name(finish->error.reason));
    } else {
        gri_counter_add(finish->made ? m->stored : m->duplicate_content, 1);
    }
    gri_histogram_observe(m->end_to_end, (double)(slot->record.age_ms + now_ms - slot->checked_ms) / 1000);
}

void gri_worker_metrics_isolated(struct gri_worker_metrics *m, enum gri_isolated_end end) {
    static const char *const results[] = {"answered", "died", "killed"};
    count(m->registry, "grisaille_isolated_total", "Children that ran a suspicious job, by how they ended", "result",
          results[end]);
}

void gri_worker_metrics_healed(struct gri_worker_metrics *m) {
    gri_counter_add(gri_metrics_counter(m->registry, "grisaille_images_healed_total",
                                        "Damaged images that a worker made anew while it held their source", ""),
                    1);
}

void gri_worker_metrics_slots(struct gri_worker_metrics *m, const struct gri_slot *slots, size_t slot_count,
                              size_t lingering_max) {
    size_t count[GRI_SLOT_STATES] = {0};
    for (size_t i = 0; i < slot_count; i++)
        count[slots[i].lingers ? GRI_SLOT_LINGERING : gri_pipeline_stage(slots[i].stage)->state]++;
    size_t reserved = lingering_max - count[GRI_SLOT_LINGERING]; /* for those that linger, though nobody does */
    count[GRI_SLOT_FREE] -= count[GRI_SLOT_FREE] < reserved ? count[GRI_SLOT_FREE] : reserved;
    for (size_t i = 0; i < GRI_SLOT_STATES; i++)
        gri_gauge_set(m->slots[i], (double)count[i]);
}
