/* SPDX-License-Identifier: Apache-2.0 */
/* The sweeper: under a lease, finds what the ledger calls queued and the window does not know, and dispatches it again.
 *
 * A pass is pages of: stale → inspect (deep for what is queued very long) → check, the second look → dispatch. It stops at a
 * full window. A pass takes at most about a tenth of the time, so that a large window that is merely slow costs little. */
#include "scheduler_core.h"

#include <stdlib.h>
#include <string.h>

enum { NOT_MINE_PAUSE_MS = 500, FULL_PAUSE_MS = 1000, DUTY = 10 };

static void begin_pass(void *sweeper);
static void next_page(struct gri_sweeper *sweeper);
static void inspect_part(struct gri_sweeper *sweeper, bool deep);

void gri_sweeper_init(struct gri_sweeper *sweeper, struct gri_scheduler *scheduler) {
    size_t batch = scheduler->options.batch;
    *sweeper = (struct gri_sweeper){.scheduler = scheduler, .wanted_age_ms = -1};
    sweeper->rows = gri_calloc(batch, sizeof *sweeper->rows);
    sweeper->suspect_rows = gri_calloc(batch, sizeof *sweeper->suspect_rows);
    sweeper->keys = gri_calloc(batch, sizeof *sweeper->keys);
    sweeper->inflight = gri_calloc(batch, sizeof *sweeper->inflight);
    sweeper->records = gri_calloc(batch, sizeof *sweeper->records);
    gri_outbox_init(&sweeper->outbox, scheduler, batch, true);
    gri_lease_init(&sweeper->lease, scheduler, "sweeper");
    gri_pacer_init(&sweeper->timer, scheduler, sweeper);
}

void gri_sweeper_clear(struct gri_sweeper *sweeper) {
    gri_lease_stop(&sweeper->lease);
    gri_pacer_stop(&sweeper->timer);
    gri_outbox_clear(&sweeper->outbox);
    gri_due_free(sweeper->stale.due, sweeper->stale.count);
    free(sweeper->rows);
    free(sweeper->suspect_rows);
    free(sweeper->keys);
    free(sweeper->inflight);
    free(sweeper->records);
}

/* --- when ------------------------------------------------------------------------------------------------------------------- */

static bool may_go_on(const struct gri_sweeper *sweeper) {
    return !sweeper->scheduler->draining && sweeper->scheduler->up && gri_lease_is_held(&sweeper->lease);
}

/* The next pass after `pause`, or sooner when one is wanted. */
static void schedule(struct gri_sweeper *sweeper, int64_t pause) {
    if (sweeper->scheduler->draining) return;
    if (sweeper->wanted_age_ms >= 0) {
        int64_t wanted = sweeper->wanted_by_ms - gri_now_ms(sweeper->scheduler->loop);
        if (wanted < pause) pause = wanted;
    }
    gri_pacer_after(&sweeper->timer, begin_pass, pause);
}

static void want_at(struct gri_sweeper *sweeper, int64_t age_ms, int64_t by_ms) {
    bool wanted = sweeper->wanted_age_ms >= 0;
    if (!wanted || by_ms < sweeper->wanted_by_ms) sweeper->wanted_by_ms = by_ms;
    if (!wanted || age_ms < sweeper->wanted_age_ms) sweeper->wanted_age_ms = age_ms;
}

void gri_sweeper_want(struct gri_sweeper *sweeper, int64_t age_ms) {
    struct gri_scheduler *s = sweeper->scheduler;
    if (age_ms > s->options.stale_ms) age_ms = s->options.stale_ms;
    want_at(sweeper, age_ms, gri_now_ms(s->loop) + age_ms);
    /* a timer that stands for a failure's pause is left alone */
    if (s->started && !sweeper->busy && sweeper->timer.timer && sweeper->timer.failures == 0)
        schedule(sweeper, s->options.sweep_ms);
}

static void free_page(struct gri_sweeper *sweeper) {
    gri_due_free(sweeper->stale.due, sweeper->stale.count);
    sweeper->stale.due = NULL;
    sweeper->stale.count = 0;
    gri_outbox_reset(&sweeper->outbox);
}

static void end_pass(struct gri_sweeper *sweeper) {
    int64_t took = gri_now_ms(sweeper->scheduler->loop) - sweeper->began_ms;
    int64_t pause = sweeper->scheduler->options.sweep_ms;
    free_page(sweeper);
    sweeper->busy = false;
    schedule(sweeper, took * DUTY > pause ? took * DUTY : pause);
}

/* A pass that did not come to its end is still owed, at the same age. */
static void break_pass(struct gri_sweeper *sweeper, int64_t pause) {
    want_at(sweeper, sweeper->age_ms, gri_now_ms(sweeper->scheduler->loop) + pause);
    end_pass(sweeper);
}

static void fail_pass(struct gri_sweeper *sweeper, const char *what, const struct gri_error *error) {
    break_pass(sweeper, 0);
    if (!sweeper->scheduler->draining) gri_pacer_retry(&sweeper->timer, begin_pass, what, error);
}

static void begin_pass(void *arg) {
    struct gri_sweeper *sweeper = arg;
    struct gri_scheduler *s = sweeper->scheduler;
    if (s->draining) return;
    if (!may_go_on(sweeper)) {
        gri_pacer_after(&sweeper->timer, begin_pass, NOT_MINE_PAUSE_MS);
        return;
    }
    bool wanted = sweeper->wanted_age_ms >= 0 && sweeper->wanted_by_ms <= gri_now_ms(s->loop);
    sweeper->age_ms = wanted ? sweeper->wanted_age_ms : s->options.stale_ms;
    if (wanted) sweeper->wanted_age_ms = -1;
    sweeper->began_ms = gri_now_ms(s->loop);
    sweeper->cursor[0] = 0;
    sweeper->busy = true;
    next_page(sweeper);
}

/* --- a page --------------------------------------------------------------------------------------------------------------------
 */

static void end_page(struct gri_sweeper *sweeper) {
    memcpy(sweeper->cursor, sweeper->stale.cursor, sizeof sweeper->cursor);
    free_page(sweeper);
    if (!sweeper->cursor[0])
        end_pass(sweeper);
    else if (may_go_on(sweeper))
        next_page(sweeper);
    else
        break_pass(sweeper, 0);
}

static void dispatched(void *arg) {
    struct gri_sweeper *sweeper = arg;
    struct gri_scheduler *s = sweeper->scheduler;
    if (sweeper->outbox.dispatched > 0) {
        gri_counter_add(s->gauges.swept, (int64_t)sweeper->outbox.dispatched);
        gri_log(s->log, GRI_WARN, "jobs_swept", GRI_NUM("count", sweeper->outbox.dispatched));
    }
    if (sweeper->outbox.count > 0) {
        s->window.wanted = true;
        break_pass(sweeper, FULL_PAUSE_MS);
    } else {
        end_page(sweeper);
    }
}

static void checked(struct gri_op *op) {
    struct gri_sweeper *sweeper = gri_container_of(op, struct gri_sweeper, check.op);
    if (!gri_scheduler_landed(sweeper->scheduler, op)) {
        fail_pass(sweeper, "sweep_check_failed", &op->error);
        return;
    }
    for (size_t i = 0; i < sweeper->suspects; i++) {
        const struct gri_job *job = &sweeper->stale.due[sweeper->suspect_rows[i]].job;
        const struct gri_url_record *record = &sweeper->records[i];
        if (record->state != GRI_URL_QUEUED || record->run != job->run) continue;
        gri_outbox_add(&sweeper->outbox, job, job->run);
        gri_journal_repaired(&sweeper->scheduler->journal, job);
    }
    gri_outbox_send(&sweeper->outbox, 0, dispatched, sweeper);
}

/* What was not inflight may have been finished since the page was read: look again before it is dispatched. */
static void check_suspects(struct gri_sweeper *sweeper) {
    struct gri_scheduler *s = sweeper->scheduler;
    if (sweeper->suspects == 0) {
        end_page(sweeper);
        return;
    }
    for (size_t i = 0; i < sweeper->suspects; i++)
        memcpy(sweeper->keys[i], sweeper->stale.due[sweeper->suspect_rows[i]].job.key, GRI_KEY_MAX);
    sweeper->check = (struct gri_ledger_check){
        .keys = (const char(*)[GRI_KEY_MAX])sweeper->keys, .count = sweeper->suspects, .records = sweeper->records};
    gri_scheduler_submit(s, &sweeper->check.op, checked);
    s->options.ledger->ops->check(s->options.ledger, &sweeper->check);
}

static void inspected(struct gri_op *op) {
    struct gri_sweeper *sweeper = gri_container_of(op, struct gri_sweeper, inspect.op);
    if (!gri_scheduler_landed(sweeper->scheduler, op)) {
        fail_pass(sweeper, "sweep_inspect_failed", &op->error);
        return;
    }
    for (size_t i = 0; i < sweeper->inspect.count; i++)
        if (sweeper->inflight[i] != GRI_INFLIGHT) sweeper->suspect_rows[sweeper->suspects++] = sweeper->rows[i];
    if (sweeper->deep)
        inspect_part(sweeper, false);
    else
        check_suspects(sweeper);
}

static void inspect_part(struct gri_sweeper *sweeper, bool deep) {
    struct gri_scheduler *s = sweeper->scheduler;
    size_t count = 0;
    sweeper->deep = deep;
    for (size_t i = 0; i < sweeper->stale.count; i++) {
        if ((sweeper->stale.due[i].queued_ms >= s->options.lost_ms) != deep) continue;
        sweeper->rows[count] = i;
        memcpy(sweeper->keys[count++], sweeper->stale.due[i].job.key, GRI_KEY_MAX);
    }
    if (count == 0) {
        if (deep)
            inspect_part(sweeper, false);
        else
            check_suspects(sweeper);
        return;
    }
    sweeper->inspect = (struct gri_stream_inspect){
        .keys = (const char(*)[GRI_KEY_MAX])sweeper->keys, .count = count, .deep = deep, .results = sweeper->inflight};
    gri_scheduler_submit(s, &sweeper->inspect.op, inspected);
    s->options.stream->ops->inspect(s->options.stream, &sweeper->inspect);
}

static void page_landed(struct gri_op *op) {
    struct gri_sweeper *sweeper = gri_container_of(op, struct gri_sweeper, stale.op);
    if (!gri_scheduler_landed(sweeper->scheduler, op)) {
        sweeper->stale.due = NULL;
        sweeper->stale.count = 0;
        fail_pass(sweeper, "sweep_failed", &op->error);
        return;
    }
    gri_pacer_reset(&sweeper->timer);
    GRI_ASSERT(sweeper->stale.count <= sweeper->outbox.cap);
    sweeper->suspects = 0;
    if (sweeper->stale.count == 0)
        end_page(sweeper);
    else
        inspect_part(sweeper, true);
}

static void next_page(struct gri_sweeper *sweeper) {
    struct gri_scheduler *s = sweeper->scheduler;
    sweeper->stale =
        (struct gri_ledger_stale){.min_age_ms = sweeper->age_ms, .limit = s->options.batch, .after = sweeper->cursor};
    gri_scheduler_submit(s, &sweeper->stale.op, page_landed);
    s->options.ledger->ops->stale(s->options.ledger, &sweeper->stale);
}

/* --- life
 * ------------------------------------------------------------------------------------------------------------------------ */

void gri_sweeper_start(struct gri_sweeper *sweeper) {
    gri_lease_start(&sweeper->lease);
    gri_pacer_after(&sweeper->timer, begin_pass, 0);
}

void gri_sweeper_drain(struct gri_sweeper *sweeper) {
    gri_pacer_stop(&sweeper->timer);
    gri_lease_release(&sweeper->lease);
}
