/* SPDX-License-Identifier: Apache-2.0 */
/* Micro-batcher: collects items until there are `limit` of them or `wait_ms` has passed since the first, then hands them to
 * `flush`. At most `flying_max` flushes are out at once (the user reports each end with gri_batch_landed); meanwhile items
 * collect, up to `capacity`, which the user guarantees. Fewer than `limit` wait besides, as Nagle's algorithm has it, until
 * nothing is out or ten times `wait_ms` more have passed: the busier the server, the fuller the batches, and none is kept back
 * by one that gets no answer. Items are borrowed. Threads: the loop's. */
#ifndef GRISAILLE_BATCH_H
#define GRISAILLE_BATCH_H

#include <grisaille/bytes.h>
#include <grisaille/loop.h>

struct gri_batch_options {
    struct gri_loop *loop;
    size_t limit;                                               /* items of a flush, at least 1 */
    int64_t wait_ms;                                            /* 0: the next turn of the loop */
    size_t capacity;                                            /* items that may wait */
    size_t flying_max;                                          /* flushes out at once, at least 1 */
    void (*flush)(void *arg, void *const *items, size_t count); /* 1 … limit items; the array is lent for the call */
    void *arg;
};

struct gri_batch {
    struct gri_batch_options options;
    void **items; /* a ring of `capacity` */
    void **lent;  /* scratch of `limit` */
    size_t first, count, flying;
    struct gri_timer *timer;
    enum { GRI_BATCH_FRESH, GRI_BATCH_DUE, GRI_BATCH_LATE } waited;
};

void gri_batch_init(struct gri_batch *batch, const struct gri_batch_options *options);
/* Drops what waits. */
void gri_batch_clear(struct gri_batch *batch);
/* May call flush at once. */
void gri_batch_add(struct gri_batch *batch, void *item);
/* One flush is over; may call flush at once. */
void gri_batch_landed(struct gri_batch *batch);

#endif
