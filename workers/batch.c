/* SPDX-License-Identifier: Apache-2.0 */
/* The micro-batcher: by number, by time, and never more flushes out than allowed. */
#include "batch.h"
#include <stdlib.h>

enum { PATIENCE = 10 }; /* times wait_ms that a small batch waits for the one before it, once its own time is up */

void gri_batch_init(struct gri_batch *batch, const struct gri_batch_options *options) {
    GRI_ASSERT(options->limit > 0 && options->capacity > 0 && options->flying_max > 0);
    *batch = (struct gri_batch){.options = *options};
    batch->items = gri_calloc(options->capacity, sizeof *batch->items);
    batch->lent = gri_calloc(options->limit, sizeof *batch->lent);
}

void gri_batch_clear(struct gri_batch *batch) {
    if (batch->timer != NULL) gri_timer_stop(batch->options.loop, batch->timer);
    free(batch->items);
    free(batch->lent);
    *batch = (struct gri_batch){0};
}

static void flush_one(struct gri_batch *batch) {
    size_t count = batch->count < batch->options.limit ? batch->count : batch->options.limit;
    for (size_t i = 0; i < count; i++) {
        batch->lent[i] = batch->items[batch->first];
        batch->first = (batch->first + 1) % batch->options.capacity;
    }
    batch->count -= count;
    batch->flying++;
    batch->options.flush(batch->options.arg, batch->lent, count);
}

static void flush_ready(struct gri_batch *batch);

static void waited(void *arg) {
    struct gri_batch *batch = arg;
    batch->timer = NULL;
    batch->waited++;
    flush_ready(batch);
}

static bool may_go(const struct gri_batch *batch) {
    if (batch->count == 0 || batch->flying >= batch->options.flying_max) return false;
    if (batch->count >= batch->options.limit) return true;
    return batch->waited == GRI_BATCH_LATE || (batch->waited == GRI_BATCH_DUE && batch->flying == 0);
}

static void flush_ready(struct gri_batch *batch) {
    while (may_go(batch))
        flush_one(batch);
    if (batch->count == 0) {
        batch->waited = GRI_BATCH_FRESH;
        gri_timer_stop(batch->options.loop, batch->timer);
        batch->timer = NULL;
    } else if (batch->timer == NULL && batch->waited != GRI_BATCH_LATE) {
        int64_t wait_ms = batch->options.wait_ms * (batch->waited == GRI_BATCH_FRESH ? 1 : PATIENCE);
        batch->timer = gri_timer_start(batch->options.loop, wait_ms, waited, batch);
    }
}

void gri_batch_add(struct gri_batch *batch, void *item) {
    GRI_ASSERT(batch->count < batch->options.capacity);
    batch->items[(batch->first + batch->count) % batch->options.capacity] = item;
    batch->count++;
    flush_ready(batch);
}

void gri_batch_landed(struct gri_batch *batch) {
    GRI_ASSERT(batch->flying > 0);
    batch->flying--;
    flush_ready(batch);
}
