/* SPDX-License-Identifier: Apache-2.0 */
/* Admission of one chunk of a catalog: read it, skip what is accounted for, judge, admit, reject, mark it, ack. */
#include "scheduler_core.h"

#include <stdlib.h>
#include <string.h>

static void read_chunk(void *run);
static void read_accounted(void *run);
static void read_rules(void *run);
static void judge(void *run);
static void reject(void *run);
static void mark_done(void *run);

static struct gri_ledger *ledger_of(const struct gri_run *run) {
    return run->scheduler->options.ledger;
}

void gri_chunk_start(struct gri_run *run) {
    read_chunk(run);
}

/* --- what is needed to judge ------------------------------------------------------------------------------------------------ */

static void refuse_rest(struct gri_run *run, enum gri_reason reason, const char *detail) {
    run->override = reason;
    gri_copy(run->override_detail, sizeof run->override_detail, detail);
}

static void chunk_landed(struct gri_op *op) {
    struct gri_run *run = gri_container_of(op, struct gri_run, chunk.op);
    if (!gri_scheduler_landed(run->scheduler, op)) {
        gri_pacer_retry(&run->retry, read_chunk, "chunk_failed", &op->error);
        return;
    }
    gri_pacer_reset(&run->retry);
    if (!run->chunk.found || run->chunk.admitted) {
        gri_run_ack(run);
        return;
    }
    const struct gri_ledger_chunk *chunk = &run->chunk;
    bool stopped = chunk->state == GRI_CATALOG_CANCELLED || chunk->state == GRI_CATALOG_DELETING;
    if (stopped) refuse_rest(run, GRI_R_cancelled, "");
    run->give_up_one = run->entries[0]->entry.deliveries >= GRI_DELIVERIES_POISON;
    gri_lines_init(&run->lines, gri_bytes_slice(&run->chunk.text), chunk->first_line, chunk->continued);
    /* another life goes over the catalog's own lines too, once it was pushed before */
    bool all = (chunk->retry_dead || chunk->refresh > 1) && !stopped && !run->give_up_one;
    if (all || chunk->lines <= 0)
        judge(run);
    else
        read_accounted(run);
}

static void read_chunk(void *arg) {
    struct gri_run *run = arg;
    const struct gri_url_entry *entry = &run->entries[0]->entry;
    gri_bytes_clear(&run->chunk.text);
    run->chunk = (struct gri_ledger_chunk){.catalog = entry->catalog, .number = entry->chunk};
    gri_bytes_init(&run->chunk.text, 0);
    gri_scheduler_submit(run->scheduler, &run->chunk.op, chunk_landed);
    ledger_of(run)->ops->chunk(ledger_of(run), &run->chunk);
}

static void accounted_landed(struct gri_op *op) {
    struct gri_run *run = gri_container_of(op, struct gri_run, accounted.op);
    if (!gri_scheduler_landed(run->scheduler, op)) {
        run->accounted.lines = NULL;
        gri_pacer_retry(&run->retry, read_accounted, "accounted_failed", &op->error);
        return;
    }
    gri_pacer_reset(&run->retry);
    judge(run);
}

static void read_accounted(void *arg) {
    struct gri_run *run = arg;
    run->accounted = (struct gri_ledger_accounted){
        .catalog = run->chunk.catalog, .first = run->chunk.first_line, .last = run->chunk.first_line + run->chunk.lines - 1};
    gri_scheduler_submit(run->scheduler, &run->accounted.op, accounted_landed);
    ledger_of(run)->ops->accounted(ledger_of(run), &run->accounted);
}

/* Rules that don't exist or don't compile never will (a definition is immutable): the lines say so. */
static void rules_landed(struct gri_op *op) {
    struct gri_run *run = gri_container_of(op, struct gri_run, definition.op);
    struct gri_ruleset *rules = NULL;
    struct gri_error error = op->error;
    bool ok = gri_scheduler_landed(run->scheduler, op);
    if (!ok && op->status != GRI_PERMANENT) {
        gri_pacer_retry(&run->retry, read_rules, "rules_failed", &op->error);
        return;
    }
    gri_pacer_reset(&run->retry);
    if (ok && gri_ruleset_compile(gri_bytes_slice(&run->definition.body), &rules, &error) == GRI_OK)
        gri_ruleset_cache_put(&run->scheduler->admission.rulesets, run->chunk.rules, rules);
    else
        refuse_rest(run, error.reason, error.detail);
    gri_bytes_clear(&run->definition.body);
    judge(run);
}

static void read_rules(void *arg) {
    struct gri_run *run = arg;
    gri_bytes_clear(&run->definition.body);
    run->definition = (struct gri_ledger_definition){.kind = GRI_DEF_RULES, .id = run->chunk.rules};
    gri_bytes_init(&run->definition.body, 0);
    gri_scheduler_submit(run->scheduler, &run->definition.op, rules_landed);
    ledger_of(run)->ops->definition(ledger_of(run), &run->definition);
}

/* --- judging
 * -------------------------------------------------------------------------------------------------------------------- */

/* Has the line a record already? Both rise. */
static bool is_accounted(struct gri_run *run, int64_t number) {
    const struct gri_ledger_accounted *accounted = &run->accounted;
    if (!accounted->lines) return false;
    while (run->accounted_next < accounted->count && accounted->lines[run->accounted_next] < number)
        run->accounted_next++;
    return run->accounted_next < accounted->count && accounted->lines[run->accounted_next] == number;
}

static void judge_line(struct gri_run *run, const struct gri_ruleset *rules, int64_t number, struct gri_slice line) {
    if (gri_line_is_blank(line) || is_accounted(run, number)) return;
    if (run->give_up_one) {
        run->give_up_one = false;
        run->seen++;
        gri_run_fail_line(run, number, line, GRI_R_poison, "its chunk was delivered again and again");
        return;
    }
    if (run->override != GRI_R_none) {
        run->seen++;
        gri_run_fail_line(run, number, line, run->override, run->override_detail);
        return;
    }
    struct gri_verdict *verdict = run->scheduler->admission.verdict;
    gri_ruleset_judge(rules, line, verdict);
    if (verdict->kind == GRI_LINE_BLANK) return;
    run->seen++;
    if (verdict->kind == GRI_LINE_BAD) {
        gri_run_fail_line(run, number, line, verdict->reason, verdict->rule);
        return;
    }
    char salt[GRI_CATALOG_ID_MAX + 24];
    gri_format(salt, sizeof salt, "%s:%lld", run->chunk.catalog, (long long)number);
    gri_run_add(run, run->chunk.pipeline, verdict->is_volatile ? salt : NULL, number, line);
}

/* One batch; alone, one line, so that each leaves its mark before the next is touched. */
static void judge(void *arg) {
    struct gri_run *run = arg;
    const struct gri_ruleset *rules = NULL;
    if (run->override == GRI_R_none) {
        rules = gri_ruleset_cache_get(&run->scheduler->admission.rulesets, run->chunk.rules);
        if (!rules) {
            read_rules(run);
            return;
        }
    }
    size_t most = run->alone ? 1 : run->scheduler->options.batch;
    int64_t number;
    struct gri_slice line;
    while (run->admit_count < most && run->error_count < most) {
        if (!gri_lines_next(&run->lines, &number, &line)) {
            run->judged_all = true;
            break;
        }
        judge_line(run, rules, number, line);
    }
    gri_run_admit(run);
}

void gri_chunk_admitted(struct gri_run *run) {
    size_t full = run->alone ? 1 : run->scheduler->options.batch;
    if (run->error_count >= full || (run->judged_all && run->error_count > 0))
        reject(run);
    else if (run->judged_all)
        mark_done(run);
    else
        judge(run);
}

/* --- the end
 * ---------------------------------------------------------------------------------------------------------------------- */

static void reject_landed(struct gri_op *op) {
    struct gri_run *run = gri_container_of(op, struct gri_run, reject.op);
    if (!gri_scheduler_landed(run->scheduler, op)) {
        gri_pacer_retry(&run->retry, reject, "reject_failed", &op->error);
        return;
    }
    gri_pacer_reset(&run->retry);
    run->error_count = 0;
    gri_run_admit(run); /* nothing is left of the batch: the fence is looked at, then it goes on */
}

static void reject(void *arg) {
    struct gri_run *run = arg;
    run->reject = (struct gri_ledger_reject){.catalog = run->chunk.catalog, .errors = run->errors, .count = run->error_count};
    gri_scheduler_submit(run->scheduler, &run->reject.op, reject_landed);
    ledger_of(run)->ops->reject(ledger_of(run), &run->reject);
}

static void done_landed(struct gri_op *op) {
    struct gri_run *run = gri_container_of(op, struct gri_run, chunk_done.op);
    if (!gri_scheduler_landed(run->scheduler, op)) {
        gri_pacer_retry(&run->retry, mark_done, "chunk_done_failed", &op->error);
        return;
    }
    gri_pacer_reset(&run->retry);
    gri_run_ack(run);
}

static void mark_done(void *arg) {
    struct gri_run *run = arg;
    run->chunk_done = (struct gri_ledger_chunk_done){.catalog = run->chunk.catalog, .number = run->chunk.number};
    gri_scheduler_submit(run->scheduler, &run->chunk_done.op, done_landed);
    ledger_of(run)->ops->chunk_done(ledger_of(run), &run->chunk_done);
}
