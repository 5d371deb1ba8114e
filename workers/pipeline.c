/* SPDX-License-Identifier: Apache-2.0 */
/* THE STAGE TABLE: read this first. A job's way through the worker, and every branch of it, stands here; the stages are
 * leaves in stage_*.c that begin some work and end with gri_pipeline_advance.
 *
 *   check ▶ own ▶ plan ▶ gate ▶ fetch ▶ verify ▶ lookup ▶ transform ▶ insert ▶ finish ▶ ack
 *     │      │             ▲      │        │        │          │          │       ▲     ▲
 *     │      │  held (<5 s)└──────┤        │        │          │          │       │     │
 *     │      └── own image ───────┼────────┼─ known content ───┼──────────┼─ link ┤     │
 *     │                           └────────┴── failed: retry.c decides ───┴───────┘     │
 *     └── another run, or finished already ─────────────────────────────────────────────┘
 *
 * Three detours. A URL that is fetched anew (a renewal): own ▶ recall ▶ plan, and where its host says that nothing has changed,
 * fetch ▶ lookup, which must find the picture that is there, else gate ▶ fetch once more. A job that was delivered over three
 * times may be what ended its workers: plan ▶ turn ▶ gate ▶ isolate ▶ verify …, one such job at a time, fetched and transformed
 * by a child. And where lookup finds these bytes with a damaged picture: transform ▶ heal ▶ finish.
 *
 * A pipeline with several outputs goes the same way: one fetch, one transform, several images, which insert stores together or
 * not at all, and one finish that links them all. Redelivered: own ▶ plan ▶ set, which looks whether all are there.
 *
 * The order is the promise: nothing is linked that is not majority-stored, nothing is acked that the ledger does not know. */
#include "pipeline.h"
#include "hosts.h"
#include "plans.h"
#include "worker_state.h"
#include <stdlib.h>
#include <string.h>

/* A redelivered job may have an image of its own; and one whose entry was lost with Redis: that looks before it ends dead. */
static bool may_have_an_image(const struct gri_slot *slot) {
    return slot->entry.deliveries > 1 || slot->looked_back;
}

static bool is_not_isolated(const struct gri_slot *slot) {
    return !gri_is_isolated(slot);
}

/* Told by the host that it has not changed, there is nothing to sum. */
static bool has_bytes(const struct gri_slot *slot) {
    return !slot->fetch.not_modified;
}

static bool is_to_heal(const struct gri_slot *slot) {
    return slot->heal;
}

/* Of several outputs others may be missing. */
static bool is_new(const struct gri_slot *slot) {
    return !slot->heal || slot->outputs > 1;
}

static bool has_set(const struct gri_slot *slot) {
    return slot->own_set;
}

static const struct gri_stage_row table[GRI_STAGE_COUNT] = {
    [GRI_STAGE_FREE] = {GRI_STAGE_FREE, "free", NULL, NULL, NULL, GRI_SLOT_FREE, false, GRI_STAGE_FREE},
    /* Does the ledger still want this run? */
    [GRI_STAGE_CHECK] = {GRI_STAGE_CHECK, "check", gri_check_enter, NULL, NULL, GRI_SLOT_FETCHING, false, GRI_STAGE_OWN},
    /* Redelivered: did an earlier delivery store its image already? */
    [GRI_STAGE_OWN] = {GRI_STAGE_OWN, "own", gri_own_enter, NULL, may_have_an_image, GRI_SLOT_FETCHING, false, GRI_STAGE_RECALL},
    /* A renewal: the picture that is there, and what its host said of it. */
    [GRI_STAGE_RECALL] = {GRI_STAGE_RECALL, "recall", gri_recall_enter, NULL, gri_recall_is_needed, GRI_SLOT_FETCHING, false,
                          GRI_STAGE_PLAN},
    /* The compiled pipeline of the pinned version. */
    [GRI_STAGE_PLAN] = {GRI_STAGE_PLAN, "plan", gri_plan_enter, gri_plan_eject, NULL, GRI_SLOT_FETCHING, false, GRI_STAGE_SET},
    /* Redelivered, and an earlier delivery stored one of several outputs: now that their names are known, are all there? */
    [GRI_STAGE_SET] = {GRI_STAGE_SET, "set", gri_set_enter, NULL, has_set, GRI_SLOT_FETCHING, false, GRI_STAGE_ROBOTS},
    /* Where robots.obey is on: does the host want this URL to be left alone? */
    [GRI_STAGE_ROBOTS] = {GRI_STAGE_ROBOTS, "robots", gri_robots_enter, gri_robots_eject, gri_robots_is_needed, GRI_SLOT_FETCHING,
                          false, GRI_STAGE_TURN},
    /* Suspicious: alone, when no other such job is under way. */
    [GRI_STAGE_TURN] = {GRI_STAGE_TURN, "turn", gri_turn_enter, gri_turn_eject, gri_is_isolated, GRI_SLOT_FETCHING, false,
                        GRI_STAGE_GATE},
    /* Its turn at the host. */
    [GRI_STAGE_GATE] = {GRI_STAGE_GATE, "gate", gri_gate_enter, gri_gate_eject, NULL, GRI_SLOT_FETCHING, false, GRI_STAGE_FETCH},
    [GRI_STAGE_FETCH] = {GRI_STAGE_FETCH, "fetch", gri_fetch_enter, gri_fetch_eject, is_not_isolated, GRI_SLOT_FETCHING, true,
                         GRI_STAGE_ISOLATE},
    /* Suspicious: fetch, decode and transform in a child, twice if it dies; the child's own deadline bounds it. */
    [GRI_STAGE_ISOLATE] = {GRI_STAGE_ISOLATE, "isolate", gri_isolate_enter, gri_isolate_eject, gri_is_isolated,
                           GRI_SLOT_TRANSFORMING, false, GRI_STAGE_VERIFY},
    /* SHA-256 of the source, on a CPU thread. */
    [GRI_STAGE_VERIFY] = {GRI_STAGE_VERIFY, "verify", gri_verify_enter, gri_picture_eject, has_bytes, GRI_SLOT_TRANSFORMING, true,
                          GRI_STAGE_LOOKUP},
    /* Are these bytes stored already? */
    [GRI_STAGE_LOOKUP] = {GRI_STAGE_LOOKUP, "lookup", gri_lookup_enter, NULL, NULL, GRI_SLOT_TRANSFORMING, false,
                          GRI_STAGE_TRANSFORM},
    /* Decode, transform, encode, base64, sums, read back, on a CPU thread. */
    [GRI_STAGE_TRANSFORM] = {GRI_STAGE_TRANSFORM, "transform", gri_transform_enter, gri_picture_eject, NULL,
                             GRI_SLOT_TRANSFORMING, true, GRI_STAGE_HEAL},
    /* These bytes are stored, but their picture was found damaged: this one takes its place. */
    [GRI_STAGE_HEAL] = {GRI_STAGE_HEAL, "heal", gri_heal_enter, NULL, is_to_heal, GRI_SLOT_STORING, false, GRI_STAGE_INSERT},
    [GRI_STAGE_INSERT] = {GRI_STAGE_INSERT, "insert", gri_insert_enter, NULL, is_new, GRI_SLOT_STORING, false, GRI_STAGE_FINISH},
    /* The ledger's record: done, waiting or dead. */
    [GRI_STAGE_FINISH] = {GRI_STAGE_FINISH, "finish", gri_finish_enter, NULL, NULL, GRI_SLOT_STORING, false, GRI_STAGE_ACK},
    [GRI_STAGE_ACK] = {GRI_STAGE_ACK, "ack", gri_ack_enter, NULL, NULL, GRI_SLOT_STORING, false, GRI_STAGE_FREE},
};

const struct gri_stage_row *gri_pipeline_stage(enum gri_stage stage) {
    return &table[stage];
}

int64_t gri_pipeline_worked_ms(const struct gri_slot *slot) {
    int64_t now = gri_now_ms(slot->worker->o.loop);
    return slot->worked_ms + (table[slot->stage].timed ? now - slot->stage_since_ms : 0);
}

/* A failure has let go of its body: it lingers, if it did, until it is written down. */
static bool holds_bytes(const struct gri_slot *slot) {
    return slot->fetch_open || slot->isolation != NULL;
}

/* Leaves the present stage and begins `stage`, or the first after it that the job needs. */
static void move_to(struct gri_slot *slot, enum gri_stage stage) {
    struct gri_worker *worker = slot->worker;
    gri_worker_metrics_left_stage(&worker->metrics, slot->stage, gri_now_ms(worker->o.loop) - slot->stage_since_ms);
    slot->worked_ms = gri_pipeline_worked_ms(slot);
    while (table[stage].needed != NULL && !table[stage].needed(slot))
        stage = table[stage].next;
    if (stage == GRI_STAGE_FREE) {
        gri_slot_release(slot);
        return;
    }
    bool works = !gri_lingering_is_wait(stage) && (holds_bytes(slot) || stage == GRI_STAGE_ISOLATE);
    if (works) gri_lingering_end(slot);
    slot->stage = stage;
    slot->stage_since_ms = gri_now_ms(worker->o.loop);
    table[stage].enter(slot);
}

void gri_pipeline_begin(struct gri_worker *worker, struct gri_job_entry *entry) {
    struct gri_slot *slot = gri_slot_list_pop(&worker->free);
    GRI_ASSERT(slot != NULL && slot->stage == GRI_STAGE_FREE);
    slot->generation++;
    slot->entry = *entry;
    *entry = (struct gri_job_entry){0};
    gri_url_host(slot->entry.job.url, slot->host);
    slot->stage_since_ms = gri_now_ms(worker->o.loop);
    move_to(slot, GRI_STAGE_CHECK);
}

/* What this try knew when it failed, completed with what the slot knows. */
static void complete_attempt(struct gri_slot *slot) {
    int64_t now = gri_now_ms(slot->worker->o.loop);
    struct gri_attempt *attempt = &slot->attempt;
    attempt->attempts = slot->record.attempts;
    attempt->holds = slot->holds;
    if (attempt->throttled && slot->limited_since_ms == 0) slot->limited_since_ms = now;
    if (slot->record.limited_ms > 0)
        attempt->limited_ms = slot->record.limited_ms + (now - slot->checked_ms);
    else
        attempt->limited_ms = slot->limited_since_ms > 0 ? now - slot->limited_since_ms : 0;
}

static void fail(struct gri_slot *slot) {
    struct gri_worker *worker = slot->worker;
    struct gri_verdict verdict;
    complete_attempt(slot);
    gri_retry_decide(&worker->o.retry, &slot->error, &slot->attempt, gri_random(worker->o.loop), &verdict);
    switch (verdict.kind) {
    case GRI_VERDICT_HOLD:
        slot->holds++;
        gri_slot_fetch_clear(slot);
        move_to(slot, GRI_STAGE_GATE);
        return;
    case GRI_VERDICT_DEAD:
        if (!slot->looked_back && !slot->record.renewing) {
            slot->looked_back = true;
            move_to(slot, GRI_STAGE_OWN);
            return;
        }
        /* fall through */
    case GRI_VERDICT_WAIT:
        gri_finish_verdict(slot, &verdict);
        move_to(slot, GRI_STAGE_FINISH);
        return;
    case GRI_VERDICT_FATAL: {
        struct gri_error error = slot->error;
        gri_slot_release(slot); /* neither written down nor acked: another worker will have it */
        gri_worker_fatal(worker, &error);
        return;
    }
    }
}

void gri_pipeline_advance(struct gri_slot *slot, enum gri_outcome outcome) {
    if (slot->lost) {
        gri_slot_release(slot);
        return;
    }
    switch (outcome) {
    case GRI_OUTCOME_NEXT:
        move_to(slot, table[slot->stage].next);
        return;
    case GRI_OUTCOME_STALE:
        move_to(slot, GRI_STAGE_ACK);
        return;
    case GRI_OUTCOME_LINK:
        move_to(slot, GRI_STAGE_FINISH);
        return;
    case GRI_OUTCOME_AGAIN:
        gri_recall_clear(slot);
        gri_slot_fetch_clear(slot);
        move_to(slot, GRI_STAGE_GATE);
        return;
    case GRI_OUTCOME_SET:
        move_to(slot, GRI_STAGE_SET);
        return;
    case GRI_OUTCOME_LED:
        gri_slot_fetch_clear(slot);
        move_to(slot, GRI_STAGE_ROBOTS);
        return;
    case GRI_OUTCOME_FAILED:
        fail(slot);
        return;
    }
}

void gri_pipeline_lose(struct gri_slot *slot, const char *why) {
    if (slot->lost || slot->stage == GRI_STAGE_FREE) return;
    slot->lost = true;
    gri_log(slot->worker->o.log, GRI_INFO, "job_lost", GRI_TEXT("why", why), GRI_TEXT("job", slot->entry.job.key),
            GRI_TEXT("stage", table[slot->stage].name));
    if (table[slot->stage].eject != NULL && table[slot->stage].eject(slot)) gri_slot_release(slot);
}

void gri_slot_keep_rejected(struct gri_slot *slot) {
    const struct gri_bytes *body = &slot->fetch.body;
    struct gri_error error;
    if (!slot->fetch_open || body->len == 0 || slot->fetch.throttled) return; /* a 429's page tells nothing, a thousand times */
    size_t keep = body->len < GRI_BODY_KEEP ? body->len : GRI_BODY_KEEP;
    gri_bytes_clear(&slot->rejected);
    gri_bytes_init(&slot->rejected, GRI_BODY_KEEP);
    slot->rejected_bytes = (int64_t)body->len;
    if (gri_bytes_append(&slot->rejected, body->data, keep, &error) != GRI_OK)
        gri_bytes_clear(&slot->rejected); /* no memory: no copy */
}

void gri_slot_fetch_clear(struct gri_slot *slot) {
    if (slot->fetch_open) gri_fetch_clear(&slot->fetch);
    slot->fetch_open = slot->fetch.not_modified = false;
}

void gri_slot_clear(struct gri_slot *slot) {
    gri_slot_fetch_clear(slot);
    free(slot->lead);
    gri_recall_clear(slot);
    gri_isolation_clear(slot);
    gri_slot_images_clear(slot);
    gri_bytes_clear(&slot->rejected);
    gri_job_clear(&slot->entry.job);
}

void gri_slot_release(struct gri_slot *slot) {
    struct gri_worker *worker = slot->worker;
    GRI_ASSERT(slot->stage != GRI_STAGE_FREE && slot->gate == NULL);
    gri_plans_let_go(slot);
    gri_isolate_let_go(slot);
    gri_lingering_end(slot);
    gri_slot_clear(slot);
    uint64_t generation = slot->generation;
    memset(slot, 0, sizeof *slot);
    slot->worker = worker;
    slot->generation = generation;
    gri_slot_list_push_front(&worker->free, slot);
    gri_worker_kick(worker);
}
