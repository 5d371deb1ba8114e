/* SPDX-License-Identifier: Apache-2.0 */
/* The feeder: under a lease, announces chunks of unfinished catalogs in turn, a few at a time, and settles finished ones.
 *
 * One round: feed → present (which announcements still stand in the stream) → plan → per catalog announce, announced or
 * settle → pause. A round that fails is dropped and begun again from the ledger: announcing twice is harmless. */
#include "scheduler_core.h"

#include <stdlib.h>
#include <string.h>

enum { BUSY_PAUSE_MS = 250, IDLE_PAUSE_MS = 500 };

static void begin_round(void *feeder);
static void take_turn(struct gri_feeder *feeder);
static void write_announced(void *feeder);

void gri_feeder_init(struct gri_feeder *feeder, struct gri_scheduler *scheduler) {
    size_t outstanding = scheduler->options.feeder_outstanding, most = GRI_FEED_CATALOGS * outstanding;
    *feeder = (struct gri_feeder){.scheduler = scheduler};
    feeder->share = gri_window_fresh_limit(&scheduler->window);
    feeder->present_ids = gri_calloc(most, sizeof *feeder->present_ids);
    feeder->present_flags = gri_calloc(most, sizeof *feeder->present_flags);
    feeder->outstanding = gri_calloc(GRI_FEED_CATALOGS, sizeof *feeder->outstanding);
    feeder->picks = gri_calloc(most, sizeof *feeder->picks);
    feeder->announced_ids = gri_calloc(outstanding, sizeof *feeder->announced_ids);
    gri_lease_init(&feeder->lease, scheduler, "feeder");
    gri_pacer_init(&feeder->timer, scheduler, feeder);
}

void gri_feeder_clear(struct gri_feeder *feeder) {
    gri_lease_stop(&feeder->lease);
    gri_pacer_stop(&feeder->timer);
    gri_feed_catalogs_free(feeder->feed.catalogs, feeder->feed.count);
    free(feeder->present_ids);
    free(feeder->present_flags);
    free(feeder->outstanding);
    free(feeder->picks);
    free(feeder->announced_ids);
}

/* --- a round's frame -------------------------------------------------------------------------------------------------------- */

static void end_round(struct gri_feeder *feeder) {
    gri_feed_catalogs_free(feeder->feed.catalogs, feeder->feed.count);
    feeder->feed.catalogs = NULL;
    feeder->feed.count = 0;
    feeder->busy = false;
    if (feeder->scheduler->draining) return;
    gri_pacer_after(&feeder->timer, begin_round, feeder->worked ? BUSY_PAUSE_MS : IDLE_PAUSE_MS);
}

/* The round is dropped; the next one starts from the ledger. */
static void fail_round(struct gri_feeder *feeder, const char *what, const struct gri_error *error) {
    end_round(feeder);
    if (!feeder->scheduler->draining) gri_pacer_retry(&feeder->timer, begin_round, what, error);
}

static bool may_go_on(const struct gri_feeder *feeder) {
    return !feeder->scheduler->draining && feeder->scheduler->up && gri_lease_is_held(&feeder->lease);
}

/* --- plan ---------------------------------------------------------------------------------------------------------------------
 */

/* URLs that one catalog may have in the queue: a tenth of the window keeps every worker busy, and a newcomer's first job never
 * waits behind more than that of each older catalog. */
static int64_t queue_share(const struct gri_feeder *feeder) {
    int64_t tenth = feeder->scheduler->options.window / 10;
    return tenth > GRI_SHARE_MIN ? tenth : GRI_SHARE_MIN;
}

static bool is_stopped(const struct gri_feed_catalog *catalog) {
    return catalog->state == GRI_CATALOG_CANCELLED || catalog->state == GRI_CATALOG_DELETING;
}

/* Lines of it that are open or soon will be, were one more chunk announced; and those of them that stand in the queue, where
 * everyone else's work has to wait behind them. */
static bool has_share(const struct gri_feeder *feeder, size_t index) {
    const struct gri_feed_catalog *catalog = &feeder->feed.catalogs[index];
    if (is_stopped(catalog)) return true; /* its lines become errors, they take no room */
    if (catalog->open >= feeder->feed.open_limit && feeder->share > feeder->feed.open_limit) return false; /* counted too short */
    int64_t announced = (feeder->outstanding[index] + (int64_t)feeder->pick_counts[index]) * GRI_CHUNK_LINES;
    return catalog->open + announced < feeder->share && catalog->queued + announced < queue_share(feeder);
}

/* The first chunk neither announced nor picked; NULL when there is none. */
static const struct gri_feed_chunk *next_chunk(const struct gri_feeder *feeder, size_t index) {
    const struct gri_feed_catalog *catalog = &feeder->feed.catalogs[index];
    size_t skip = feeder->pick_counts[index];
    for (size_t i = 0; i < catalog->next_count; i++)
        if (!catalog->next[i].announced_id[0] && skip-- == 0) return &catalog->next[i];
    return NULL;
}

static bool pick(struct gri_feeder *feeder, size_t index) {
    if (feeder->feed.catalogs[index].state == GRI_CATALOG_PAUSED || !has_share(feeder, index)) return false;
    const struct gri_feed_chunk *chunk = next_chunk(feeder, index);
    if (!chunk) return false;
    feeder->picks[index * feeder->scheduler->options.feeder_outstanding + feeder->pick_counts[index]++] = chunk->number;
    gri_copy(feeder->last, sizeof feeder->last, feeder->feed.catalogs[index].id);
    return true;
}

static size_t first_turn(const struct gri_feeder *feeder) {
    for (size_t i = 0; i < feeder->feed.count; i++)
        if (strcmp(feeder->feed.catalogs[i].id, feeder->last) == 0) return i + 1;
    return 0;
}

/* One chunk of each catalog in turn, from the one behind the last served, while any takes one and there is room. */
static void plan(struct gri_feeder *feeder) {
    size_t count = feeder->feed.count, active = 0;
    int64_t room = (int64_t)feeder->scheduler->options.feeder_outstanding;
    for (size_t i = 0; i < count; i++) {
        active += feeder->feed.catalogs[i].state != GRI_CATALOG_PAUSED;
        room -= feeder->outstanding[i];
        feeder->pick_counts[i] = 0;
    }
    feeder->share = gri_window_fresh_limit(&feeder->scheduler->window) / (int64_t)(active ? active : 1);
    if (feeder->share < GRI_SHARE_MIN) feeder->share = GRI_SHARE_MIN;
    size_t start = first_turn(feeder), passed = 0;
    for (size_t i = start; count > 0 && passed < count && room > 0; i++) {
        if (pick(feeder, i % count)) {
            passed = 0;
            room--;
        } else {
            passed++;
        }
    }
    feeder->turn = 0;
    take_turn(feeder);
}

/* --- feed and present
 * ------------------------------------------------------------------------------------------------------------ */

static void apply_present(struct gri_feeder *feeder) {
    size_t at = 0;
    for (size_t i = 0; i < feeder->feed.count; i++) {
        struct gri_feed_catalog *catalog = &feeder->feed.catalogs[i];
        for (size_t j = 0; j < catalog->next_count; j++) {
            if (!catalog->next[j].announced_id[0]) continue;
            if (feeder->present_flags[at++]) {
                feeder->outstanding[i]++;
                continue;
            }
            gri_log(feeder->scheduler->log, GRI_INFO, "chunk_announced_again", GRI_TEXT("catalog", catalog->id),
                    GRI_NUM("chunk", catalog->next[j].number));
            catalog->next[j].announced_id[0] = 0;
        }
    }
}

static void present_landed(struct gri_op *op) {
    struct gri_feeder *feeder = gri_container_of(op, struct gri_feeder, present.op);
    if (!gri_scheduler_landed(feeder->scheduler, op)) {
        fail_round(feeder, "present_failed", &op->error);
        return;
    }
    apply_present(feeder);
    if (may_go_on(feeder))
        plan(feeder);
    else
        end_round(feeder);
}

static void ask_present(struct gri_feeder *feeder) {
    struct gri_scheduler *s = feeder->scheduler;
    size_t count = 0;
    for (size_t i = 0; i < feeder->feed.count; i++) {
        const struct gri_feed_catalog *catalog = &feeder->feed.catalogs[i];
        GRI_ASSERT(catalog->next_count <= feeder->feed.chunk_limit);
        feeder->outstanding[i] = 0;
        for (size_t j = 0; j < catalog->next_count; j++)
            if (catalog->next[j].announced_id[0])
                memcpy(feeder->present_ids[count++], catalog->next[j].announced_id, GRI_ENTRY_ID_MAX);
    }
    if (count == 0) {
        plan(feeder);
        return;
    }
    feeder->present = (struct gri_stream_present){
        .ids = (const char(*)[GRI_ENTRY_ID_MAX])feeder->present_ids, .count = count, .present = feeder->present_flags};
    gri_scheduler_submit(s, &feeder->present.op, present_landed);
    s->options.stream->ops->present(s->options.stream, &feeder->present);
}

static void feed_landed(struct gri_op *op) {
    struct gri_feeder *feeder = gri_container_of(op, struct gri_feeder, feed.op);
    if (!gri_scheduler_landed(feeder->scheduler, op)) {
        feeder->feed.catalogs = NULL;
        feeder->feed.count = 0;
        fail_round(feeder, "feed_failed", &op->error);
        return;
    }
    gri_pacer_reset(&feeder->timer);
    GRI_ASSERT(feeder->feed.count <= GRI_FEED_CATALOGS);
    if (may_go_on(feeder))
        ask_present(feeder);
    else
        end_round(feeder);
}

static void begin_round(void *arg) {
    struct gri_feeder *feeder = arg;
    struct gri_scheduler *s = feeder->scheduler;
    if (s->draining) return;
    if (!may_go_on(feeder)) {
        gri_pacer_after(&feeder->timer, begin_round, BUSY_PAUSE_MS);
        return;
    }
    feeder->busy = true;
    feeder->worked = false;
    feeder->feed = (struct gri_ledger_feed){.catalog_limit = GRI_FEED_CATALOGS,
                                            .chunk_limit = s->options.feeder_outstanding,
                                            .open_limit = feeder->share,
                                            .queued_limit = queue_share(feeder)};
    gri_scheduler_submit(s, &feeder->feed.op, feed_landed);
    s->options.ledger->ops->feed(s->options.ledger, &feeder->feed);
}

/* --- announce and settle
 * ------------------------------------------------------------------------------------------------------------ */

static void announced_landed(struct gri_op *op) {
    struct gri_feeder *feeder = gri_container_of(op, struct gri_feeder, announced.op);
    if (!gri_scheduler_landed(feeder->scheduler, op)) {
        /* tried in place: another round would not know these ids and announce the chunks once more */
        if (may_go_on(feeder))
            gri_pacer_retry(&feeder->timer, write_announced, "announced_failed", &op->error);
        else
            end_round(feeder);
        return;
    }
    gri_pacer_reset(&feeder->timer);
    feeder->worked = true;
    feeder->turn++;
    take_turn(feeder);
}

static void write_announced(void *arg) {
    struct gri_feeder *feeder = arg;
    struct gri_scheduler *s = feeder->scheduler;
    if (s->draining) {
        end_round(feeder);
        return;
    }
    feeder->announced = (struct gri_ledger_announced){.catalog = feeder->announce.catalog,
                                                      .chunks = feeder->announce.chunks,
                                                      .ids = (const char(*)[GRI_ENTRY_ID_MAX])feeder->announced_ids,
                                                      .count = feeder->announce.count};
    gri_scheduler_submit(s, &feeder->announced.op, announced_landed);
    s->options.ledger->ops->announced(s->options.ledger, &feeder->announced);
}

static void announce_landed(struct gri_op *op) {
    struct gri_feeder *feeder = gri_container_of(op, struct gri_feeder, announce.op);
    if (gri_scheduler_landed(feeder->scheduler, op))
        write_announced(feeder);
    else
        fail_round(feeder, "announce_failed", &op->error);
}

static void announce(struct gri_feeder *feeder) {
    struct gri_scheduler *s = feeder->scheduler;
    feeder->announce = (struct gri_stream_announce){.catalog = feeder->feed.catalogs[feeder->turn].id,
                                                    .chunks = &feeder->picks[feeder->turn * s->options.feeder_outstanding],
                                                    .count = feeder->pick_counts[feeder->turn],
                                                    .ids = feeder->announced_ids};
    gri_scheduler_submit(s, &feeder->announce.op, announce_landed);
    s->options.stream->ops->announce(s->options.stream, &feeder->announce);
}

static void settle_landed(struct gri_op *op) {
    struct gri_feeder *feeder = gri_container_of(op, struct gri_feeder, settle.op);
    if (!gri_scheduler_landed(feeder->scheduler, op)) {
        fail_round(feeder, "settle_failed", &op->error);
        return;
    }
    if (feeder->settle.finished) {
        feeder->worked = true;
        gri_log(feeder->scheduler->log, GRI_INFO, "catalog_finished", GRI_TEXT("catalog", feeder->settle.catalog));
    }
    feeder->turn++;
    take_turn(feeder);
}

static void settle(struct gri_feeder *feeder) {
    struct gri_scheduler *s = feeder->scheduler;
    feeder->settle = (struct gri_ledger_settle){.catalog = feeder->feed.catalogs[feeder->turn].id};
    gri_scheduler_submit(s, &feeder->settle.op, settle_landed);
    s->options.ledger->ops->settle(s->options.ledger, &feeder->settle);
}

/* The next catalog with something to do. */
static void take_turn(struct gri_feeder *feeder) {
    if (!may_go_on(feeder)) {
        end_round(feeder);
        return;
    }
    for (; feeder->turn < feeder->feed.count; feeder->turn++) {
        const struct gri_feed_catalog *catalog = &feeder->feed.catalogs[feeder->turn];
        if (feeder->pick_counts[feeder->turn] > 0) {
            announce(feeder);
            return;
        }
        bool drop = is_stopped(catalog) && catalog->open > 0; /* nobody wants its pending work any more */
        if (drop || (catalog->next_count == 0 && catalog->open == 0)) {
            settle(feeder);
            return;
        }
    }
    end_round(feeder);
}

/* --- life
 * -------------------------------------------------------------------------------------------------------------------------- */

void gri_feeder_start(struct gri_feeder *feeder) {
    gri_lease_start(&feeder->lease);
    gri_pacer_after(&feeder->timer, begin_round, 0);
}

/* A round under way ends by itself at its next step; one that waits to write the announcements ends here. */
void gri_feeder_drain(struct gri_feeder *feeder) {
    bool waits = feeder->timer.timer != NULL;
    gri_pacer_stop(&feeder->timer);
    if (feeder->busy && waits) end_round(feeder);
    gri_lease_release(&feeder->lease);
}
