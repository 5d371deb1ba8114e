/* SPDX-License-Identifier: Apache-2.0 */
/* Depths of streams and ledger for /metrics, every few seconds; and a quick look at the window while something waits for room. */
#include "scheduler_core.h"

static void ask_stats(void *gauges);
static void ask_ledger(void *gauges);

static struct gri_gauge *stream_gauge(struct gri_metrics *metrics, const char *name, const char *help, const char *stream) {
    char label[64];
    return gri_metrics_gauge(metrics, name, help, gri_metrics_label(label, sizeof label, "stream", stream));
}

static void find_counters(struct gri_gauges *gauges, struct gri_metrics *m) {
    const char *ingested = "grisaille_urls_ingested_total", *finished = "grisaille_urls_finished_total";
    const char *ingested_help = "URLs that were read, by where they came from.";
    const char *finished_help = "URLs that came to their end, by outcome.";
    gauges->ingested_catalog = gri_metrics_counter(m, ingested, ingested_help, "source=\"catalog\"");
    gauges->ingested_stream = gri_metrics_counter(m, ingested, ingested_help, "source=\"stream\"");
    gauges->duplicate = gri_metrics_counter(m, finished, finished_help, "outcome=\"duplicate\"");
    gauges->invalid = gri_metrics_counter(m, finished, finished_help, "outcome=\"invalid\"");
    gauges->swept =
        gri_metrics_counter(m, "grisaille_swept_total", "Queued jobs that the sweeper put into the window again.", "");
    gauges->reclaims = gri_metrics_counter(m, "grisaille_reclaims_total", "Entries taken over from another consumer.", "");
    gauges->fenced = gri_metrics_counter(m, "grisaille_fenced_total", "Entries that were another consumer's by now.", "");
    gauges->retired = gri_metrics_counter(m, "grisaille_consumers_retired_total",
                                          "Consumers of processes that died, taken out of their group.", "");
    gauges->missing =
        gri_metrics_counter(m, "grisaille_stream_entries_missing_total", "Pending entries whose body was gone.", "");
}

void gri_gauges_init(struct gri_gauges *gauges, struct gri_scheduler *scheduler) {
    struct gri_metrics *m = scheduler->options.metrics;
    *gauges = (struct gri_gauges){.scheduler = scheduler};
    gri_pacer_init(&gauges->stats_timer, scheduler, gauges);
    gri_pacer_init(&gauges->ledger_timer, scheduler, gauges);
    find_counters(gauges, m);
    const char *lag = "grisaille_stream_lag", *lag_help = "Entries not yet read by the stream's group.";
    const char *pending = "grisaille_stream_pending", *pending_help = "Entries read and not acked.";
    gauges->urls_lag = stream_gauge(m, lag, lag_help, "urls");
    gauges->jobs_lag = stream_gauge(m, lag, lag_help, "jobs");
    gauges->urls_pending = stream_gauge(m, pending, pending_help, "urls");
    gauges->jobs_pending = stream_gauge(m, pending, pending_help, "jobs");
    gauges->oldest = gri_metrics_gauge(m, "grisaille_oldest_pending_age_seconds",
                                       "Time since the longest idle pending entry was heard of.", "");
    gauges->waiting = gri_metrics_gauge(m, "grisaille_waiting", "URLs that wait for their next try.", "");
    gauges->window = gri_metrics_gauge(m, "grisaille_window_used_ratio", "Jobs inflight over dispatch.window.", "");
}

/* Redis answers no lag after an out-of-order XDEL: what is there and not pending is not read yet. */
static double lag_of(const struct gri_stream_depth *depth) {
    if (depth->lag >= 0) return (double)depth->lag;
    return depth->length > depth->pending ? (double)(depth->length - depth->pending) : 0;
}

static void stats_landed(struct gri_op *op) {
    struct gri_gauges *gauges = gri_container_of(op, struct gri_gauges, stats.op);
    struct gri_scheduler *s = gauges->scheduler;
    gauges->stats_out = false;
    if (!gri_scheduler_landed(s, op)) {
        if (!s->draining) gri_pacer_retry(&gauges->stats_timer, ask_stats, "stats_failed", &op->error);
        return;
    }
    gri_pacer_reset(&gauges->stats_timer);
    const struct gri_stream_depth *urls = &gauges->stats.urls, *jobs = &gauges->stats.jobs;
    s->window.inflight = gauges->stats.inflight;
    gri_gauge_set(gauges->urls_lag, lag_of(urls));
    gri_gauge_set(gauges->jobs_lag, lag_of(jobs));
    gri_gauge_set(gauges->urls_pending, (double)urls->pending);
    gri_gauge_set(gauges->jobs_pending, (double)jobs->pending);
    int64_t oldest = urls->oldest_pending_ms > jobs->oldest_pending_ms ? urls->oldest_pending_ms : jobs->oldest_pending_ms;
    gri_gauge_set(gauges->oldest, (double)oldest / 1000);
    gri_gauge_set(gauges->window, (double)s->window.inflight / (double)s->window.limit);
    s->window.wanted = false;
    if (!s->draining) gri_pacer_after(&gauges->stats_timer, ask_stats, GRI_GAUGES_MS);
    gri_scheduler_poke(s);
}

static void ask_stats(void *arg) {
    struct gri_gauges *gauges = arg;
    struct gri_scheduler *s = gauges->scheduler;
    gauges->hurried = false;
    if (!s->up) {
        gri_pacer_after(&gauges->stats_timer, ask_stats, GRI_GAUGES_MS);
        return;
    }
    gauges->stats = (struct gri_stream_stats){0};
    gauges->stats_out = true;
    gri_scheduler_submit(s, &gauges->stats.op, stats_landed);
    s->options.stream->ops->stats(s->options.stream, &gauges->stats);
}

static void ledger_landed(struct gri_op *op) {
    struct gri_gauges *gauges = gri_container_of(op, struct gri_gauges, ledger.op);
    struct gri_scheduler *s = gauges->scheduler;
    gauges->ledger_out = false;
    bool ok = gri_scheduler_landed(s, op);
    if (ok) {
        gri_gauge_set(gauges->waiting, (double)gauges->ledger.waiting);
        s->ledger_ok_ms = gri_now_ms(s->loop);
    }
    if (s->draining) return;
    if (ok) {
        gri_pacer_reset(&gauges->ledger_timer);
        gri_pacer_after(&gauges->ledger_timer, ask_ledger, GRI_GAUGES_MS);
    } else {
        gri_pacer_retry(&gauges->ledger_timer, ask_ledger, "gauges_failed", &op->error);
    }
}

static void ask_ledger(void *arg) {
    struct gri_gauges *gauges = arg;
    struct gri_scheduler *s = gauges->scheduler;
    gauges->ledger = (struct gri_ledger_gauges){0};
    gauges->ledger_out = true;
    gri_scheduler_submit(s, &gauges->ledger.op, ledger_landed);
    s->options.ledger->ops->gauges(s->options.ledger, &gauges->ledger);
}

void gri_gauges_start(struct gri_gauges *gauges) {
    gri_pacer_after(&gauges->ledger_timer, ask_ledger, 0);
}

void gri_gauges_connected(struct gri_gauges *gauges) {
    gri_pacer_reset(&gauges->stats_timer);
    if (!gauges->stats_out && !gauges->scheduler->draining) gri_pacer_after(&gauges->stats_timer, ask_stats, 0);
}

void gri_gauges_stop(struct gri_gauges *gauges) {
    gri_pacer_stop(&gauges->stats_timer);
    gri_pacer_stop(&gauges->ledger_timer);
}

/* A pause after a failure is left alone. */
void gri_gauges_hurry(struct gri_gauges *gauges) {
    if (gauges->stats_out || gauges->stats_timer.failures > 0 || gauges->hurried) return;
    gauges->hurried = true;
    gri_pacer_after(&gauges->stats_timer, ask_stats, GRI_ROOM_POLL_MS);
}
