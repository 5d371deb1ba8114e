/* SPDX-License-Identifier: Apache-2.0 */
/* Totals of all scrubs as metrics. */
#include "scrub_metrics.h"

#include <stdlib.h>

enum { READ_MS = 5000 };

struct gri_scrub_metrics {
    struct gri_task task;
    struct gri_loop *loop;
    struct gri_executor *executor;
    struct gri_archive *archive;
    struct gri_timer *timer;
    bool reading;
    enum gri_status status;
    struct gri_scrub_progress progress; /* the thread's while it reads */
    int64_t told[GRI_SCRUB_RESULTS];    /* what the counters say already */
    struct gri_counter *documents[GRI_SCRUB_RESULTS];
    struct gri_gauge *last_success;
    struct gri_metrics *metrics;
    void (*done)(void *arg);
    void *arg;
};

static void read_totals(struct gri_task *task) {
    struct gri_scrub_metrics *scrub = gri_container_of(task, struct gri_scrub_metrics, task);
    struct gri_error error;
    scrub->status = scrub->archive->ops->scrub->load(scrub->archive, "all", &scrub->progress, &error);
}

/* Counters only rise: after a database that was put back from a backup they wait until they are overtaken. */
static void tell(struct gri_scrub_metrics *scrub) {
    for (int i = 0; i < GRI_SCRUB_RESULTS; i++) {
        if (scrub->progress.totals[i] <= scrub->told[i]) continue;
        gri_counter_add(scrub->documents[i], scrub->progress.totals[i] - scrub->told[i]);
        scrub->told[i] = scrub->progress.totals[i];
    }
    if (scrub->progress.last_success_ms == 0) return; /* no series rather than 1970 */
    if (!scrub->last_success)
        scrub->last_success = gri_metrics_gauge(scrub->metrics, "grisaille_scrub_last_success_timestamp_seconds",
                                                "When the last complete scrub ended.", "");
    gri_gauge_set(scrub->last_success, (double)scrub->progress.last_success_ms / 1000);
}

static void begin(void *arg);

static void totals_read(struct gri_task *task) {
    struct gri_scrub_metrics *scrub = gri_container_of(task, struct gri_scrub_metrics, task);
    scrub->reading = false;
    if (scrub->status == GRI_OK) tell(scrub);
    if (scrub->done)
        scrub->done(scrub->arg);
    else
        scrub->timer = gri_timer_start(scrub->loop, READ_MS, begin, scrub);
}

static void begin(void *arg) {
    struct gri_scrub_metrics *scrub = arg;
    scrub->timer = NULL;
    scrub->task = (struct gri_task){.work = read_totals, .done = totals_read};
    scrub->reading = gri_submit(scrub->executor, &scrub->task);
    if (!scrub->reading) scrub->timer = gri_timer_start(scrub->loop, READ_MS, begin, scrub);
}

struct gri_scrub_metrics *gri_scrub_metrics_start(struct gri_loop *loop, struct gri_executor *executor,
                                                  struct gri_archive *archive, struct gri_metrics *metrics) {
    struct gri_scrub_metrics *scrub = gri_calloc(1, sizeof *scrub);
    *scrub = (struct gri_scrub_metrics){.loop = loop, .executor = executor, .archive = archive, .metrics = metrics};
    for (int i = 0; i < GRI_SCRUB_RESULTS; i++) {
        char label[64];
        gri_metrics_label(label, sizeof label, "result", gri_scrub_result_name((enum gri_scrub_result)i));
        scrub->documents[i] = gri_metrics_counter(metrics, "grisaille_scrub_documents_total",
                                                  "Images that scrubs looked at, by what they found.", label);
    }
    begin(scrub);
    return scrub;
}

void gri_scrub_metrics_stop(struct gri_scrub_metrics *scrub, void (*done)(void *arg), void *arg) {
    gri_timer_stop(scrub->loop, scrub->timer);
    scrub->timer = NULL;
    scrub->done = done;
    scrub->arg = arg;
    if (!scrub->reading) done(arg);
}

void gri_scrub_metrics_destroy(struct gri_scrub_metrics *scrub) {
    free(scrub);
}
