/* SPDX-License-Identifier: Apache-2.0 */
/* Admission: which entry is begun when, and what chunks and bare URLs have in common: admit, dispatch, ack. */
#include "job_key.h"
#include "scheduler_core.h"

#include <stdlib.h>
#include <string.h>

/* --- life of a run ------------------------------------------------------------------------------------------------------- */

static void run_init(struct gri_run *run, struct gri_scheduler *scheduler, bool bare) {
    size_t batch = scheduler->options.batch, entries = bare ? batch : 1, slots = 16;
    while (slots < 2 * batch)
        slots *= 2;
    *run = (struct gri_run){.scheduler = scheduler, .bare = bare};
    run->entries = gri_calloc(entries, sizeof *run->entries);
    run->admits = gri_calloc(batch, sizeof *run->admits);
    run->owners = gri_calloc(batch, sizeof *run->owners);
    run->texts = gri_calloc(batch, sizeof *run->texts);
    run->keys = (struct gri_key_set){.slots = gri_calloc(slots, sizeof(uint32_t)), .mask = slots - 1};
    run->results = gri_calloc(batch, sizeof *run->results);
    run->runs = gri_calloc(batch, sizeof *run->runs);
    run->errors = gri_calloc(2 * batch, sizeof *run->errors);
    run->event_rows = gri_calloc(bare ? batch : 1, sizeof *run->event_rows);
    run->ack_ids = gri_calloc(entries, sizeof *run->ack_ids);
    run->ack_fences = gri_calloc(entries, sizeof *run->ack_fences);
    gri_pacer_init(&run->retry, scheduler, run);
    gri_outbox_init(&run->outbox, scheduler, batch, false);
    gri_bytes_init(&run->chunk.text, 0);
    gri_bytes_init(&run->definition.body, 0);
}

static void run_clear(struct gri_run *run) {
    gri_pacer_stop(&run->retry);
    gri_run_clear_batch(run);
    gri_outbox_clear(&run->outbox);
    gri_bytes_clear(&run->chunk.text);
    gri_bytes_clear(&run->definition.body);
    free(run->accounted.lines);
    free(run->entries);
    free(run->admits);
    free(run->owners);
    free(run->texts);
    free(run->keys.slots);
    free(run->results);
    free(run->runs);
    free(run->errors);
    free(run->event_rows);
    free(run->ack_ids);
    free(run->ack_fences);
}

void gri_admission_init(struct gri_admission *admission, struct gri_scheduler *scheduler) {
    admission->run_count = scheduler->options.chunk_slots + GRI_BARE_SLOTS;
    admission->runs = gri_calloc(admission->run_count, sizeof *admission->runs);
    admission->verdict = gri_calloc(1, sizeof *admission->verdict);
    for (size_t i = 0; i < admission->run_count; i++)
        run_init(&admission->runs[i], scheduler, i >= scheduler->options.chunk_slots);
}

void gri_admission_clear(struct gri_admission *admission) {
    for (size_t i = 0; i < admission->run_count; i++)
        run_clear(&admission->runs[i]);
    free(admission->runs);
    free(admission->verdict);
    gri_ruleset_cache_clear(&admission->rulesets);
    gri_ruleset_free(admission->bare_rules);
}

bool gri_admission_is_idle(const struct gri_admission *admission) {
    for (size_t i = 0; i < admission->run_count; i++)
        if (admission->runs[i].busy) return false;
    return true;
}

static bool is_alone(const struct gri_held *held) {
    return held->entry.deliveries >= GRI_DELIVERIES_ALONE;
}

/* Takes what this run will handle off the queue; false when nothing waits. */
static bool take_entries(struct gri_run *run) {
    struct gri_hand *hand = &run->scheduler->hand;
    struct gri_waiting *queue = run->bare ? &hand->bare : &hand->chunks;
    size_t most = run->bare ? run->scheduler->options.batch : 1;
    run->entry_count = 0;
    run->alone = false;
    while (run->entry_count < most && !run->alone) {
        struct gri_held *held = gri_hand_peek(hand, queue);
        if (!held || (is_alone(held) && run->entry_count > 0)) break;
        run->alone = is_alone(held);
        run->entries[run->entry_count++] = gri_hand_pop(hand, queue);
    }
    return run->entry_count > 0;
}

static void run_begin(struct gri_run *run) {
    run->busy = true;
    run->unsure = run->judged_all = run->give_up_one = false;
    run->override = GRI_R_none;
    run->override_detail[0] = 0;
    run->seen = run->duplicates = run->invalid = 0;
    run->accounted_next = 0;
    run->error_next = 0;
    gri_pacer_reset(&run->retry);
    run->reserved = run->bare ? (int64_t)run->entry_count : GRI_CHUNK_LINES;
    run->scheduler->window.reserved += run->reserved;
    if (run->bare)
        gri_bare_start(run);
    else
        gri_chunk_start(run);
}

/* A drain finishes what was read even where the window is full: the ledger keeps it, a sweeper dispatches it. */
void gri_admission_pump(struct gri_scheduler *s) {
    size_t count = s->admission.run_count, start = s->admission.turn;
    for (size_t i = 0; i < count; i++) {
        struct gri_run *run = &s->admission.runs[(start + i) % count];
        struct gri_waiting *queue = run->bare ? &s->hand.bare : &s->hand.chunks;
        if (run->busy || !gri_hand_peek(&s->hand, queue)) continue;
        if (!s->draining && !gri_window_has_room(&s->window)) return;
        if (!take_entries(run)) continue;
        s->admission.turn = (start + i + 1) % count;
        run_begin(run);
    }
}

static void run_end(struct gri_run *run) {
    struct gri_scheduler *s = run->scheduler;
    for (size_t i = 0; i < run->entry_count; i++)
        gri_hand_drop(&s->hand, run->entries[i]);
    run->entry_count = 0;
    gri_run_clear_batch(run);
    run->error_count = 0;
    free(run->accounted.lines);
    run->accounted.lines = NULL;
    gri_bytes_clear(&run->chunk.text);
    gri_bytes_clear(&run->definition.body);
    s->window.reserved -= run->reserved;
    run->busy = false;
    gri_scheduler_poke(s);
}

void gri_run_abandon(struct gri_run *run) {
    /* what was admitted and not yet dispatched is in the ledger */
    gri_sweeper_want(&run->scheduler->sweeper, GRI_OVERFLOW_AGE_MS);
    run_end(run);
}

/* --- a batch ---------------------------------------------------------------------------------------------------------------- */

void gri_run_clear_batch(struct gri_run *run) {
    for (size_t i = 0; i < run->admit_count; i++)
        gri_job_clear(&run->admits[i].job);
    run->admit_count = run->admit_next = 0;
    gri_outbox_reset(&run->outbox);
    memset(run->keys.slots, 0, (run->keys.mask + 1) * sizeof *run->keys.slots);
}

/* The key begins with a SHA-256 in hex: 15 of its digits are hash enough. */
static size_t hash_of(const char *key) {
    size_t hash = 0;
    for (int i = 0; i < 15 && key[i]; i++)
        hash = hash * 16 + (size_t)(key[i] <= '9' ? key[i] - '0' : key[i] - 'a' + 10);
    return hash;
}

/* Notes the key of admits[index]; false when an equal one is there. */
static bool add_key(struct gri_run *run, size_t index) {
    const char *key = run->admits[index].job.key;
    for (size_t slot = hash_of(key) & run->keys.mask;; slot = (slot + 1) & run->keys.mask) {
        uint32_t there = run->keys.slots[slot];
        if (there == 0) {
            run->keys.slots[slot] = (uint32_t)index + 1;
            return true;
        }
        if (strcmp(run->admits[there - 1].job.key, key) == 0) return false;
    }
}

void gri_run_add(struct gri_run *run, const char *pipeline, const char *salt, int64_t line, struct gri_slice text) {
    const struct gri_verdict *verdict = run->scheduler->admission.verdict;
    GRI_ASSERT(run->admit_count < run->scheduler->options.batch);
    struct gri_admit *admit = &run->admits[run->admit_count];
    char name[GRI_NAME_MAX];
    gri_pipeline_name(pipeline, name);
    gri_job_key(run->scheduler->options.crypto, verdict->url, salt, name, admit->job.key);
    if (!add_key(run, run->admit_count)) {
        run->duplicates++;
        return;
    }
    gri_copy(admit->job.pipeline, sizeof admit->job.pipeline, pipeline);
    gri_copy(admit->host, sizeof admit->host, verdict->host);
    admit->job.run = 1;
    admit->job.url = gri_strdup(verdict->url);
    admit->line = run->bare ? 0 : line;
    run->owners[run->admit_count] = line;
    run->texts[run->admit_count++] = text;
}

void gri_run_fail_line(struct gri_run *run, int64_t line, struct gri_slice text, enum gri_reason reason, const char *detail) {
    GRI_ASSERT(run->error_count < 2 * run->scheduler->options.batch); /* a batch judged bad, a batch refused */
    struct gri_line_error *error = &run->errors[run->error_count++];
    *error = (struct gri_line_error){.line = line, .text = text, .reason = reason};
    gri_copy(error->detail, sizeof error->detail, detail);
    run->invalid++;
}

/* --- admit and dispatch --------------------------------------------------------------------------------------------------------
 */

/* The ledger refuses this line for good, and nothing else stands in the call. */
static void poison(struct gri_run *run, const struct gri_error *error) {
    gri_log_error(run->scheduler->log, GRI_ERROR, "line_poisoned", error);
    gri_run_fail_line(run, run->owners[run->admit_next], run->texts[run->admit_next], GRI_R_poison, error->detail);
    run->admit_next++;
}

static void admit_landed(struct gri_op *op) {
    struct gri_run *run = gri_container_of(op, struct gri_run, admit.op);
    if (!gri_scheduler_landed(run->scheduler, op)) {
        if (op->status != GRI_PERMANENT) {
            run->unsure = true;
            gri_pacer_retry(&run->retry, gri_run_admit, "admit_failed", &op->error);
            return;
        }
        if (run->admit.count == 1) poison(run, &op->error);
        run->alone = true;
        gri_run_admit(run);
        return;
    }
    gri_pacer_reset(&run->retry);
    bool known = false;
    gri_outbox_reset(&run->outbox);
    for (size_t i = 0; i < run->admit.count; i++) {
        if (run->results[i] == GRI_KNOWN) {
            run->duplicates++;
            known = true;
        } else {
            gri_outbox_add(&run->outbox, &run->admits[run->admit_next + i].job, run->runs[i]);
        }
    }
    /* a try whose outcome nobody knows may have admitted what is known now: nobody dispatched it */
    if (known && run->unsure) gri_sweeper_want(&run->scheduler->sweeper, GRI_OVERFLOW_AGE_MS);
    run->unsure = false;
    run->admit_next += run->admit.count;
    gri_outbox_send(&run->outbox, run->scheduler->options.lease_ms, gri_run_admit, run);
}

void gri_run_admit(void *arg) {
    struct gri_run *run = arg;
    struct gri_scheduler *s = run->scheduler;
    if (!run->bare && run->entries[0]->fenced) {
        gri_run_abandon(run);
        return;
    }
    if (run->admit_next == run->admit_count) {
        gri_run_clear_batch(run);
        if (run->bare)
            gri_bare_admitted(run);
        else
            gri_chunk_admitted(run);
        return;
    }
    run->admit = (struct gri_ledger_admit){
        .catalog = run->bare ? NULL : run->entries[0]->entry.catalog,
        .revive_dead = !run->bare && run->chunk.retry_dead,
        .refresh = run->bare ? 0 : run->chunk.refresh,
        .urls = &run->admits[run->admit_next],
        .count = run->alone ? 1 : run->admit_count - run->admit_next,
        .results = run->results,
        .runs = run->runs,
    };
    gri_scheduler_submit(s, &run->admit.op, admit_landed);
    s->options.ledger->ops->admit(s->options.ledger, &run->admit);
}

/* --- ack
 * ------------------------------------------------------------------------------------------------------------------------- */

static void count_run(const struct gri_run *run) {
    struct gri_gauges *gauges = &run->scheduler->gauges;
    gri_counter_add(run->bare ? gauges->ingested_stream : gauges->ingested_catalog, run->seen);
    gri_counter_add(gauges->duplicate, run->duplicates);
    gri_counter_add(gauges->invalid, run->invalid);
}

static void ack_landed(struct gri_op *op) {
    struct gri_run *run = gri_container_of(op, struct gri_run, ack.op);
    struct gri_scheduler *s = run->scheduler;
    if (!gri_scheduler_landed(s, op)) {
        gri_pacer_retry(&run->retry, gri_run_ack, "ack_failed", &op->error);
        return;
    }
    int64_t fenced = 0;
    for (size_t i = 0; i < run->ack.count; i++)
        fenced += run->ack_fences[i] == GRI_FENCED;
    gri_counter_add(s->gauges.fenced, fenced);
    count_run(run);
    run_end(run);
}

void gri_run_ack(void *arg) {
    struct gri_run *run = arg;
    struct gri_scheduler *s = run->scheduler;
    size_t count = 0;
    for (size_t i = 0; i < run->entry_count; i++)
        if (!run->entries[i]->fenced) memcpy(run->ack_ids[count++], run->entries[i]->entry.id, GRI_ENTRY_ID_MAX);
    if (count == 0) {
        count_run(run);
        run_end(run);
        return;
    }
    run->ack = (struct gri_stream_ack){.stream = GRI_STREAM_URLS,
                                       .ids = (const char(*)[GRI_ENTRY_ID_MAX])run->ack_ids,
                                       .count = count,
                                       .fences = run->ack_fences};
    gri_scheduler_submit(s, &run->ack.op, ack_landed);
    s->options.stream->ops->ack(s->options.stream, &run->ack);
}
