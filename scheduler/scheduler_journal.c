/* SPDX-License-Identifier: Apache-2.0 */
/* Events of the scheduler's own (entries taken over, jobs repaired), written together once a second. Losing some loses no
 * promise: what does not fit, or fails, is let go. */
#include "scheduler_core.h"

enum { FLUSH_MS = 1000 };

static void flush(void *journal);

void gri_journal_init(struct gri_journal *journal, struct gri_scheduler *scheduler) {
    journal->scheduler = scheduler; /* the rest is large, and zero already */
    gri_pacer_init(&journal->timer, scheduler, journal);
}

void gri_journal_stop(struct gri_journal *journal) {
    gri_pacer_stop(&journal->timer);
}

static void flushed(struct gri_op *op) {
    struct gri_journal *journal = gri_container_of(op, struct gri_journal, request.op);
    (void)gri_scheduler_landed(journal->scheduler, op);
    journal->count = 0;
    journal->out = false;
}

static void flush(void *arg) {
    struct gri_journal *journal = arg;
    struct gri_scheduler *s = journal->scheduler;
    if (s->draining) return;
    for (size_t i = 0; i < journal->count; i++) {
        const struct gri_note *note = &journal->notes[i];
        journal->rows[i] = (struct gri_event){.level = GRI_WARN,
                                              .event = note->event,
                                              .catalog = note->catalog,
                                              .key = note->key,
                                              .detail = note->detail,
                                              .worker = s->options.name,
                                              .attempt = note->attempt};
    }
    journal->request = (struct gri_ledger_events){.events = journal->rows, .count = journal->count};
    journal->out = true;
    gri_scheduler_submit(s, &journal->request.op, flushed);
    s->options.ledger->ops->events(s->options.ledger, &journal->request);
}

/* The next free note, NULL when there is none. */
static struct gri_note *add(struct gri_journal *journal, const char *event) {
    if (journal->out || journal->scheduler->draining || journal->count == GRI_NOTES_MAX) return NULL;
    if (!journal->timer.timer) gri_pacer_after(&journal->timer, flush, FLUSH_MS);
    struct gri_note *note = &journal->notes[journal->count++];
    *note = (struct gri_note){.event = event};
    return note;
}

void gri_journal_reclaimed(struct gri_journal *journal, const struct gri_url_entry *entry) {
    struct gri_note *note = add(journal, "reclaimed");
    if (!note) return;
    gri_copy(note->catalog, sizeof note->catalog, entry->catalog);
    (void)gri_format(note->detail, sizeof note->detail, "entry %s", entry->id);
    note->attempt = entry->deliveries > 1000000 ? 1000000 : (int)entry->deliveries;
}

void gri_journal_repaired(struct gri_journal *journal, const struct gri_job *job) {
    struct gri_note *note = add(journal, "repaired");
    if (!note) return;
    gri_copy(note->key, sizeof note->key, job->key);
    (void)gri_format(note->detail, sizeof note->detail, "queued and not inflight: dispatched again, run %lld",
                     (long long)job->run);
}
