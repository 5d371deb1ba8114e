/* SPDX-License-Identifier: Apache-2.0 */
/* A daemon's readings of itself, told every ten seconds. */
#include "presence.h"

#include <grisaille/clock.h>
#include <stdlib.h>

enum { FIRST_MS = 1000 /* the role has gauges to show by then */, TELL_MS = 10000, END_MS = 2000 };

/* What a reading is made of: sums of the process's own metrics. Those a role does not have are left out. */
static const struct {
    const char *name, *family, *labels;
} READINGS[] = {
    {"slots_free", "grisaille_slots", "state=\"free\""},
    {"slots_fetching", "grisaille_slots", "state=\"fetching\""},
    {"slots_transforming", "grisaille_slots", "state=\"transforming\""},
    {"slots_storing", "grisaille_slots", "state=\"storing\""},
    {"stored", "grisaille_urls_finished_total", "outcome=\"stored\""},
    {"duplicates", "grisaille_urls_finished_total", "duplicate"},
    {"dead", "grisaille_dead_letters_total", NULL},
    {"retries", "grisaille_retries_total", NULL},
    {"urls_read", "grisaille_urls_ingested_total", NULL},
    {"requests", "grisaille_http_requests_total", NULL},
    {"memory_bytes", "process_resident_memory_bytes", NULL},
};
enum { READING_COUNT = sizeof READINGS / sizeof READINGS[0] };

struct gri_presence_teller {
    struct gri_task task;
    struct gri_daemon *daemon;
    struct gri_timer *timer, *late;
    struct gri_reading readings[READING_COUNT];
    size_t reading_count;
    int64_t started_ms, up_ms;
    bool busy, ending, ended;
    void (*done)(void *arg);
    void *arg;
};

static void tell(void *arg);

static void finish(struct gri_presence_teller *teller) {
    struct gri_loop *loop = teller->daemon->loop;
    gri_timer_stop(loop, teller->timer);
    gri_timer_stop(loop, teller->late);
    teller->timer = teller->late = NULL;
    void (*done)(void *arg) = teller->done;
    teller->done = NULL;
    if (done) done(teller->arg);
}

static void on_late(void *arg) {
    struct gri_presence_teller *teller = arg;
    teller->late = NULL;
    finish(teller);
}

static void take(struct gri_presence_teller *teller) {
    teller->reading_count = 0;
    for (size_t i = 0; i < READING_COUNT; i++) {
        double value;
        if (!gri_metrics_total(teller->daemon->metrics, READINGS[i].family, READINGS[i].labels, &value)) continue;
        teller->readings[teller->reading_count++] = (struct gri_reading){READINGS[i].name, value};
    }
    teller->up_ms = gri_clock_ms() - teller->started_ms;
}

static void work(struct gri_task *task) {
    struct gri_presence_teller *teller = gri_container_of(task, struct gri_presence_teller, task);
    struct gri_archive *archive = gri_mongo_archive(teller->daemon->mongo);
    struct gri_presence presence = {.id = teller->daemon->instance,
                                    .role = teller->daemon->role->name,
                                    .version = GRI_VERSION,
                                    .up_ms = teller->up_ms,
                                    .ended = teller->ended,
                                    .readings = teller->readings,
                                    .reading_count = teller->reading_count};
    struct gri_error error;
    if (archive->ops->presence(archive, &presence, &error) != GRI_OK)
        gri_log_error(teller->daemon->log, GRI_DEBUG, "presence_untold", &error);
}

static void told(struct gri_task *task) {
    struct gri_presence_teller *teller = gri_container_of(task, struct gri_presence_teller, task);
    teller->busy = false;
    if (teller->ended)
        finish(teller);
    else if (teller->ending)
        tell(teller);
    else
        teller->timer = gri_timer_start(teller->daemon->loop, TELL_MS, tell, teller);
}

static void tell(void *arg) {
    struct gri_presence_teller *teller = arg;
    teller->timer = NULL;
    take(teller);
    teller->ended = teller->ending;
    teller->busy = gri_submit(teller->daemon->store_threads, &teller->task);
    if (teller->busy) return;
    if (teller->ending)
        finish(teller);
    else
        teller->timer = gri_timer_start(teller->daemon->loop, TELL_MS, tell, teller);
}

struct gri_presence_teller *gri_presence_start(struct gri_daemon *daemon) {
    struct gri_presence_teller *teller = gri_calloc(1, sizeof *teller);
    teller->task = (struct gri_task){.work = work, .done = told};
    teller->daemon = daemon;
    teller->started_ms = gri_clock_ms();
    teller->timer = gri_timer_start(daemon->loop, FIRST_MS, tell, teller);
    return teller;
}

void gri_presence_end(struct gri_presence_teller *teller, void (*done)(void *arg), void *arg) {
    teller->ending = true;
    teller->done = done;
    teller->arg = arg;
    teller->late = gri_timer_start(teller->daemon->loop, END_MS, on_late, teller);
    if (teller->busy) return;
    gri_timer_stop(teller->daemon->loop, teller->timer);
    tell(teller);
}

void gri_presence_destroy(struct gri_presence_teller *teller) {
    free(teller);
}
