/* SPDX-License-Identifier: Apache-2.0 */
/* PLAN: the compiled pipeline of the job's pinned version, from a bounded cache. */
#include "plans.h"
#include "pipeline.h"
#include "worker_state.h"
#include <stdlib.h>
#include <string.h>

enum { BACKOFF_BASE_MS = 100, BACKOFF_MAX_MS = 5000, DEFINITION_MAX = 1024 * 1024, HAND_ON_MS = 15000 };

struct gri_plan_entry {
    struct gri_plans *plans;
    struct gri_plan_entry *next;
    char id[GRI_PIPELINE_MAX];
    struct gri_plan *plan; /* NULL while it is loaded */
    size_t references;     /* slots that hold it */
    int64_t used_ms;
    struct gri_slot_list waiters;
    struct gri_ledger_definition request;
    int tries;
    struct gri_timer *backoff;
    struct gri_task compile;
    struct gri_plan *made; /* by the task; `plan` once that is done */
    enum gri_status compiled;
    struct gri_error error;
};

struct gri_plans {
    struct gri_worker *worker;
    struct gri_plan_entry *first;
    size_t count, loading;
};

struct gri_plans *gri_plans_create(struct gri_worker *worker) {
    struct gri_plans *plans = gri_calloc(1, sizeof *plans);
    plans->worker = worker;
    return plans;
}

static void entry_free(struct gri_plan_entry *entry) {
    struct gri_plans *plans = entry->plans;
    struct gri_worker *worker = plans->worker;
    for (struct gri_plan_entry **at = &plans->first; *at != NULL; at = &(*at)->next) {
        if (*at != entry) continue;
        *at = entry->next;
        plans->count--;
        break;
    }
    if (entry->plan != NULL) worker->o.codec->ops->plan_free(worker->o.codec, entry->plan);
    if (entry->backoff != NULL) gri_timer_stop(worker->o.loop, entry->backoff);
    gri_bytes_clear(&entry->request.body);
    free(entry);
}

void gri_plans_destroy(struct gri_plans *plans) {
    if (plans == NULL) return;
    while (plans->first != NULL)
        entry_free(plans->first);
    free(plans);
}

bool gri_plans_idle(const struct gri_plans *plans) {
    return plans->loading == 0;
}

const struct gri_plan *gri_plan_of(const struct gri_slot *slot) {
    return slot->plan->plan;
}

size_t gri_plan_outputs(const struct gri_slot *slot, const char *names[GRI_OUTPUTS_MAX]) {
    struct gri_codec *codec = slot->worker->o.codec;
    if (codec->ops->outputs != NULL) return codec->ops->outputs(codec, slot->plan->plan, names);
    names[0] = "";
    return 1;
}

struct gri_slice gri_plan_definition(const struct gri_slot *slot) {
    return gri_bytes_slice(&slot->plan->request.body);
}

void gri_plans_let_go(struct gri_slot *slot) {
    if (slot->plan == NULL) return;
    GRI_ASSERT(slot->plan->references > 0);
    slot->plan->references--;
    slot->plan = NULL;
}

static void hold(struct gri_plan_entry *entry, struct gri_slot *slot) {
    entry->references++;
    entry->used_ms = gri_now_ms(entry->plans->worker->o.loop);
    slot->plan = entry;
    gri_pipeline_advance(slot, GRI_OUTCOME_NEXT);
}

/* What this program's transforms can't do, another's may, during an upgrade say: the job is handed on, uncharged, until it is
 * as old as a job may get by waiting for others. */
static void fail_waiter(struct gri_slot *slot, const struct gri_error *error) {
    struct gri_worker *worker = slot->worker;
    int64_t age_ms = slot->record.age_ms + (gri_now_ms(worker->o.loop) - slot->checked_ms);
    slot->error = *error;
    slot->attempt = (struct gri_attempt){.retry_after_ms = -1};
    if (error->reason == GRI_R_config && age_ms <= worker->o.retry.max_age_ms) {
        slot->error.status = GRI_RETRY;
        slot->attempt.deferred = true;
        slot->attempt.defer_ms = HAND_ON_MS;
    }
    gri_pipeline_advance(slot, GRI_OUTCOME_FAILED);
}

/* Waiters fail by the error's class; the entry goes, so that a later job asks again. */
static void give_up(struct gri_plan_entry *entry, const struct gri_error *error) {
    struct gri_slot_list waiters = entry->waiters;
    struct gri_slot *slot;
    struct gri_error copy = *error;
    entry->waiters = (struct gri_slot_list){0};
    gri_log(entry->plans->worker->o.log, GRI_ERROR, "pipeline_unusable", GRI_TEXT("pipeline", entry->id),
            GRI_TEXT("reason", gri_reason_name(copy.reason)), GRI_TEXT("detail", copy.detail));
    entry_free(entry);
    while ((slot = gri_slot_list_pop(&waiters)) != NULL)
        fail_waiter(slot, &copy);
}

static void load(struct gri_plan_entry *entry);

static void backoff_over(void *arg) {
    struct gri_plan_entry *entry = arg;
    entry->backoff = NULL;
    load(entry);
}

static void load_again(struct gri_plan_entry *entry, const struct gri_error *error) {
    struct gri_worker *worker = entry->plans->worker;
    if (error->status == GRI_FATAL) gri_worker_fatal(worker, error);
    if (entry->tries == 0) gri_worker_mongo_away(worker);
    int64_t wait = gri_retry_backoff(BACKOFF_BASE_MS, BACKOFF_MAX_MS, entry->tries, gri_random(worker->o.loop));
    if (entry->tries < 30) entry->tries++;
    entry->backoff = gri_timer_start(worker->o.loop, wait, backoff_over, entry);
}

static struct gri_plan_entry *compile_of(struct gri_task *task) {
    return gri_container_of(task, struct gri_plan_entry, compile);
}

/* May take long: steps load pictures and fonts and start programs here. */
static void compile_work(struct gri_task *task) {
    struct gri_plan_entry *entry = compile_of(task);
    struct gri_codec *codec = entry->plans->worker->o.codec;
    entry->compiled = codec->ops->compile(codec, gri_bytes_slice(&entry->request.body), &entry->made, &entry->error);
}

static void compile_done(struct gri_task *task) {
    struct gri_plan_entry *entry = compile_of(task);
    entry->plans->loading--;
    if (entry->compiled != GRI_OK) {
        give_up(entry, &entry->error);
        return;
    }
    entry->plan = entry->made;
    struct gri_slot *slot;
    while ((slot = gri_slot_list_pop(&entry->waiters)) != NULL)
        hold(entry, slot);
}

/* Without an executor, or when its queue is full, it is compiled here and now. */
static void compile(struct gri_plan_entry *entry) {
    struct gri_executor *executor = entry->plans->worker->o.plans;
    entry->compile = (struct gri_task){.work = compile_work, .done = compile_done};
    if (executor != NULL && gri_submit(executor, &entry->compile)) return;
    compile_work(&entry->compile);
    compile_done(&entry->compile);
}

static void loaded(struct gri_op *op) {
    struct gri_ledger_definition *request = gri_container_of(op, struct gri_ledger_definition, op);
    struct gri_plan_entry *entry = gri_container_of(request, struct gri_plan_entry, request);
    struct gri_plans *plans = entry->plans;
    struct gri_error error = op->error;
    if (op->status == GRI_RETRY || op->status == GRI_FATAL) {
        load_again(entry, &error);
        return;
    }
    if (entry->tries > 0) gri_worker_mongo_back(plans->worker);
    if (op->status == GRI_OK) {
        compile(entry);
        return;
    }
    plans->loading--;
    give_up(entry, &error);
}

static void load(struct gri_plan_entry *entry) {
    struct gri_ledger *ledger = entry->plans->worker->o.ledger;
    gri_bytes_clear(&entry->request.body);
    entry->request = (struct gri_ledger_definition){.op.done = loaded, .kind = GRI_DEF_PIPELINE, .id = entry->id};
    gri_bytes_init(&entry->request.body, DEFINITION_MAX);
    ledger->ops->definition(ledger, &entry->request);
}

/* The one longest unused goes when there are too many. */
static void make_room(struct gri_plans *plans) {
    struct gri_plan_entry *oldest = NULL;
    if (plans->count < GRI_PLANS_KEPT) return;
    for (struct gri_plan_entry *entry = plans->first; entry != NULL; entry = entry->next)
        if (entry->plan != NULL && entry->references == 0 && (oldest == NULL || entry->used_ms < oldest->used_ms)) oldest = entry;
    if (oldest != NULL) entry_free(oldest);
}

void gri_plan_enter(struct gri_slot *slot) {
    struct gri_plans *plans = slot->worker->plans;
    struct gri_plan_entry *entry = plans->first;
    while (entry != NULL && strcmp(entry->id, slot->entry.job.pipeline) != 0)
        entry = entry->next;
    if (entry != NULL && entry->plan != NULL) {
        hold(entry, slot);
        return;
    }
    if (entry == NULL) {
        make_room(plans);
        entry = gri_calloc(1, sizeof *entry);
        entry->plans = plans;
        gri_copy(entry->id, sizeof entry->id, slot->entry.job.pipeline);
        entry->next = plans->first;
        plans->first = entry;
        plans->count++;
        plans->loading++;
        load(entry);
    }
    gri_slot_list_push(&entry->waiters, slot);
}

bool gri_plan_eject(struct gri_slot *slot) {
    for (struct gri_plan_entry *entry = slot->worker->plans->first; entry != NULL; entry = entry->next)
        if (gri_slot_list_remove(&entry->waiters, slot)) return true;
    return false;
}
