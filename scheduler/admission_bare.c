/* SPDX-License-Identifier: Apache-2.0 */
/* Admission of a batch of bare URLs, as anyone may XADD them: judge, admit, keep or report the bad ones, ack. */
#include "scheduler_core.h"

static void report(void *run);
static void write_events(void *run);

static struct gri_slice text_of(const struct gri_url_entry *entry) {
    return entry->url ? (struct gri_slice){.data = (const uint8_t *)entry->url, .len = entry->url_len} : gri_slice_of("");
}

static void judge_entry(struct gri_run *run, size_t index) {
    struct gri_scheduler *s = run->scheduler;
    const struct gri_url_entry *entry = &run->entries[index]->entry;
    struct gri_verdict *verdict = s->admission.verdict;
    struct gri_slice text = text_of(entry);
    int64_t line = (int64_t)index;
    run->seen++;
    if (entry->deliveries >= GRI_DELIVERIES_POISON) {
        gri_run_fail_line(run, line, text, GRI_R_poison, "delivered again and again");
        return;
    }
    const char *pipeline = s->options.pin_pipeline(s->options.pin_arg, entry->pipeline);
    if (!pipeline) {
        gri_run_fail_line(run, line, text, GRI_R_no_pipeline, entry->pipeline);
        return;
    }
    char pinned[GRI_PIPELINE_MAX];
    gri_copy(pinned, sizeof pinned, pipeline);
    gri_ruleset_judge(s->admission.bare_rules, text, verdict);
    if (verdict->kind == GRI_LINE_URL)
        gri_run_add(run, pinned, verdict->is_volatile ? entry->id : NULL, line, text);
    else if (verdict->kind == GRI_LINE_BAD)
        gri_run_fail_line(run, line, text, verdict->reason, verdict->rule);
    else
        gri_run_fail_line(run, line, text, GRI_R_no_scheme, "an entry without a URL");
}

void gri_bare_start(struct gri_run *run) {
    for (size_t i = 0; i < run->entry_count; i++)
        judge_entry(run, i);
    gri_run_admit(run);
}

void gri_bare_admitted(struct gri_run *run) {
    report(run);
}

/* --- the bad ones: poison into the quarantine one by one, then an event for each other ----------------------------------------
 */

static void quarantine_landed(struct gri_op *op) {
    struct gri_run *run = gri_container_of(op, struct gri_run, quarantine.op);
    if (!gri_scheduler_landed(run->scheduler, op)) {
        gri_pacer_retry(&run->retry, report, "quarantine_failed", &op->error);
        return;
    }
    gri_pacer_reset(&run->retry);
    run->error_next++;
    report(run);
}

static void report(void *arg) {
    struct gri_run *run = arg;
    struct gri_ledger *ledger = run->scheduler->options.ledger;
    while (run->error_next < run->error_count && run->errors[run->error_next].reason != GRI_R_poison)
        run->error_next++;
    if (run->error_next == run->error_count) {
        write_events(run);
        return;
    }
    const struct gri_line_error *error = &run->errors[run->error_next];
    run->quarantine = (struct gri_ledger_quarantine){
        .entry_id = run->entries[error->line]->entry.id, .text = error->text, .reason = error->reason, .detail = error->detail};
    gri_scheduler_submit(run->scheduler, &run->quarantine.op, quarantine_landed);
    ledger->ops->quarantine(ledger, &run->quarantine);
}

static void events_landed(struct gri_op *op) {
    struct gri_run *run = gri_container_of(op, struct gri_run, events.op);
    if (!gri_scheduler_landed(run->scheduler, op) && op->status != GRI_PERMANENT) {
        gri_pacer_retry(&run->retry, write_events, "events_failed", &op->error);
        return;
    }
    gri_pacer_reset(&run->retry);
    gri_run_ack(run);
}

static void write_events(void *arg) {
    struct gri_run *run = arg;
    struct gri_scheduler *s = run->scheduler;
    size_t count = 0;
    for (size_t i = 0; i < run->error_count; i++) {
        const struct gri_line_error *error = &run->errors[i];
        if (error->reason == GRI_R_poison) continue;
        run->event_rows[count++] = (struct gri_event){.level = GRI_WARN,
                                                      .event = "line_rejected",
                                                      .url = run->entries[error->line]->entry.url,
                                                      .worker = s->options.name,
                                                      .detail = error->detail,
                                                      .reason = error->reason};
    }
    if (count == 0) {
        gri_run_ack(run);
        return;
    }
    run->events = (struct gri_ledger_events){.events = run->event_rows, .count = count};
    gri_scheduler_submit(s, &run->events.op, events_landed);
    s->options.ledger->ops->events(s->options.ledger, &run->events);
}
