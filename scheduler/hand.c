/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of {gri}:urls in hand: their heartbeats, and the taking over of what other schedulers left behind. */
#include "scheduler_core.h"

#include <stdlib.h>
#include <string.h>

enum { HEARTBEAT_AGAIN_MS = 500 };

void gri_hand_init(struct gri_hand *hand, struct gri_scheduler *scheduler) {
    *hand = (struct gri_hand){.scheduler = scheduler, .reclaim_from_ms = INT64_MAX};
    hand->cap = 4 * scheduler->options.batch + 2 * scheduler->options.chunk_slots;
    hand->ids = gri_calloc(hand->cap, sizeof *hand->ids);
    hand->serials = gri_calloc(hand->cap, sizeof *hand->serials);
    hand->fences = gri_calloc(hand->cap, sizeof *hand->fences);
    gri_pacer_init(&hand->heartbeat_timer, scheduler, hand);
    gri_pacer_init(&hand->reclaim_timer, scheduler, hand);
}

void gri_hand_clear(struct gri_hand *hand) {
    gri_pacer_stop(&hand->heartbeat_timer);
    gri_pacer_stop(&hand->reclaim_timer);
    if (hand->reclaim.urls) gri_url_entries_free(hand->reclaim.urls, hand->reclaim.count);
    while (hand->first)
        gri_hand_drop(hand, hand->first);
    free(hand->ids);
    free(hand->serials);
    free(hand->fences);
}

/* --- the list and the queues ------------------------------------------------------------------------------------------- */

/* What a read or a reclaim under way may bring has its place already: an entry that is read and not taken would be nobody's for
 * a lease. */
size_t gri_hand_room(const struct gri_hand *hand) {
    const struct gri_scheduler *s = hand->scheduler;
    size_t taken = hand->count + (hand->reclaim_out ? hand->reclaim.max : 0) + (s->reading ? s->read.max : 0);
    return taken < hand->cap ? hand->cap - taken : 0;
}

/* Our own entries come again when our heartbeats did not arrive for a lease, or when Redis came back from an old snapshot. */
static bool is_in_hand(const struct gri_hand *hand, const char *id) {
    uint64_t hash = gri_hash_text(id); /* spares the look-up most of its string comparisons */
    for (const struct gri_held *held = hand->first; held; held = held->next)
        if (held->hash == hash && strcmp(held->entry.id, id) == 0) return true;
    return false;
}

static void enqueue(struct gri_waiting *queue, struct gri_held *held) {
    if (queue->last)
        queue->last->next_waiting = held;
    else
        queue->first = held;
    queue->last = held;
    queue->count++;
}

static void append(struct gri_hand *hand, struct gri_url_entry *entry) {
    struct gri_held *held = gri_calloc(1, sizeof *held);
    held->entry = *entry;
    entry->url = NULL;
    held->serial = ++hand->serial;
    held->hash = gri_hash_text(held->entry.id);
    held->prev = hand->last;
    if (hand->last)
        hand->last->next = held;
    else
        hand->first = held;
    hand->last = held;
    hand->count++;
    enqueue(held->entry.catalog[0] ? &hand->chunks : &hand->bare, held);
}

void gri_hand_take(struct gri_hand *hand, struct gri_url_entry *entries, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (is_in_hand(hand, entries[i].id)) continue;
        GRI_ASSERT(hand->count < hand->cap);
        append(hand, &entries[i]);
    }
    gri_url_entries_free(entries, count);
}

void gri_hand_drop(struct gri_hand *hand, struct gri_held *held) {
    if (held->prev)
        held->prev->next = held->next;
    else
        hand->first = held->next;
    if (held->next)
        held->next->prev = held->prev;
    else
        hand->last = held->prev;
    hand->count--;
    free(held->entry.url);
    free(held);
}

static struct gri_held *unlink_first(struct gri_waiting *queue) {
    struct gri_held *held = queue->first;
    queue->first = held->next_waiting;
    if (!queue->first) queue->last = NULL;
    queue->count--;
    held->next_waiting = NULL;
    return held;
}

struct gri_held *gri_hand_peek(struct gri_hand *hand, struct gri_waiting *queue) {
    while (queue->first && queue->first->fenced)
        gri_hand_drop(hand, unlink_first(queue));
    return queue->first;
}

struct gri_held *gri_hand_pop(struct gri_hand *hand, struct gri_waiting *queue) {
    return gri_hand_peek(hand, queue) ? unlink_first(queue) : NULL;
}

/* --- heartbeats ---------------------------------------------------------------------------------------------------------- */

static void beat(void *arg);

/* Both the snapshot and the list rise by serial, so one walk joins them. */
static void apply_fences(struct gri_hand *hand) {
    size_t i = 0, fenced = 0;
    for (struct gri_held *held = hand->first; held && i < hand->heartbeat.count; held = held->next) {
        while (i < hand->heartbeat.count && hand->serials[i] < held->serial)
            i++;
        if (i == hand->heartbeat.count || hand->serials[i] != held->serial) continue;
        if (hand->fences[i] != GRI_FENCED || held->fenced) continue;
        held->fenced = true;
        fenced++;
    }
    if (fenced == 0) return;
    gri_counter_add(hand->scheduler->gauges.fenced, (int64_t)fenced);
    gri_log(hand->scheduler->log, GRI_WARN, "entries_fenced", GRI_NUM("count", fenced));
}

static void beaten(struct gri_op *op) {
    struct gri_hand *hand = gri_container_of(op, struct gri_hand, heartbeat.op);
    struct gri_scheduler *s = hand->scheduler;
    hand->heartbeat_out = false;
    bool ok = gri_scheduler_landed(s, op);
    if (ok) {
        apply_fences(hand);
        /* the queues let go of what is fenced */
        gri_hand_peek(hand, &hand->chunks);
        gri_hand_peek(hand, &hand->bare);
    }
    bool again = !ok || hand->heartbeat_again;
    hand->heartbeat_again = false;
    gri_pacer_after(&hand->heartbeat_timer, beat, again ? HEARTBEAT_AGAIN_MS : s->options.heartbeat_ms);
    gri_scheduler_poke(s);
}

static void beat(void *arg) {
    struct gri_hand *hand = arg;
    struct gri_scheduler *s = hand->scheduler;
    size_t count = 0;
    GRI_ASSERT(!hand->heartbeat_out);
    gri_pacer_stop(&hand->heartbeat_timer); /* it still stands when a reconnect sends this one */
    for (struct gri_held *held = hand->first; held; held = held->next) {
        if (held->fenced) continue;
        memcpy(hand->ids[count], held->entry.id, GRI_ENTRY_ID_MAX);
        hand->serials[count++] = held->serial;
    }
    if (count == 0 || !s->up) {
        gri_pacer_after(&hand->heartbeat_timer, beat, s->options.heartbeat_ms);
        return;
    }
    hand->heartbeat = (struct gri_stream_heartbeat){
        .stream = GRI_STREAM_URLS, .ids = (const char(*)[GRI_ENTRY_ID_MAX])hand->ids, .count = count, .fences = hand->fences};
    hand->heartbeat_out = true;
    gri_scheduler_submit(s, &hand->heartbeat.op, beaten);
    s->options.stream->ops->heartbeat(s->options.stream, &hand->heartbeat);
}

/* --- reclaim --------------------------------------------------------------------------------------------------------------- */

static void reclaim(void *arg);

static void reclaimed(struct gri_op *op) {
    struct gri_hand *hand = gri_container_of(op, struct gri_hand, reclaim.op);
    struct gri_scheduler *s = hand->scheduler;
    hand->reclaim_out = false;
    if (!gri_scheduler_landed(s, op)) {
        hand->reclaim.urls = NULL;
        gri_pacer_retry(&hand->reclaim_timer, reclaim, "reclaim_failed", &op->error);
        return;
    }
    gri_pacer_reset(&hand->reclaim_timer);
    size_t count = hand->reclaim.count;
    gri_counter_add(s->gauges.reclaims, (int64_t)count);
    gri_counter_add(s->gauges.missing, (int64_t)hand->reclaim.missing);
    if (count > 0)
        gri_log(s->log, GRI_INFO, "entries_reclaimed", GRI_NUM("count", count), GRI_TEXT("first", hand->reclaim.urls[0].id));
    if (hand->reclaim.missing > 0) gri_log(s->log, GRI_ERROR, "entries_missing", GRI_NUM("count", hand->reclaim.missing));
    for (size_t i = 0; i < count; i++)
        gri_journal_reclaimed(&s->journal, &hand->reclaim.urls[i]);
    gri_hand_take(hand, hand->reclaim.urls, count);
    hand->reclaim.urls = NULL;
    gri_pacer_after(&hand->reclaim_timer, reclaim, s->options.heartbeat_ms);
    gri_scheduler_poke(s);
}

/* Like reading: only what there are slots and room for. */
static void reclaim(void *arg) {
    struct gri_hand *hand = arg;
    struct gri_scheduler *s = hand->scheduler;
    bool quiet = gri_now_ms(s->loop) < hand->reclaim_from_ms;
    bool busy = hand->chunks.count > 0 || hand->bare.count > 0 || gri_hand_room(hand) == 0;
    if (s->draining) return;
    if (!s->up || quiet || busy || !gri_window_has_room(&s->window)) {
        gri_pacer_after(&hand->reclaim_timer, reclaim, s->options.heartbeat_ms);
        return;
    }
    size_t max = s->options.batch < gri_hand_room(hand) ? s->options.batch : gri_hand_room(hand);
    hand->reclaim = (struct gri_stream_reclaim){.stream = GRI_STREAM_URLS, .min_idle_ms = s->options.lease_ms, .max = max};
    hand->reclaim_out = true;
    gri_scheduler_submit(s, &hand->reclaim.op, reclaimed);
    s->options.stream->ops->reclaim(s->options.stream, &hand->reclaim);
}

void gri_hand_start(struct gri_hand *hand) {
    gri_pacer_after(&hand->heartbeat_timer, beat, hand->scheduler->options.heartbeat_ms);
    gri_pacer_after(&hand->reclaim_timer, reclaim, hand->scheduler->options.heartbeat_ms);
}

/* After an outage everybody's entries look idle: first all say that they live, and for one lease nobody takes any. */
void gri_hand_connected(struct gri_hand *hand) {
    hand->reclaim_from_ms = gri_now_ms(hand->scheduler->loop) + hand->scheduler->options.lease_ms;
    if (hand->heartbeat_out)
        hand->heartbeat_again = true;
    else
        beat(hand);
}
