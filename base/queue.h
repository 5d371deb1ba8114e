/* SPDX-License-Identifier: Apache-2.0 */
/* Bounded FIFO of pointers between threads (mutex and condition variable).
 *
 * Push never waits: a full queue says so, and that is the back-pressure. Pop waits for an item, the close, or its timeout.
 * The queue does not own what the pointers point to. Threads: any number on both ends; create and destroy alone. */
#ifndef GRISAILLE_BASE_QUEUE_H
#define GRISAILLE_BASE_QUEUE_H

#include <grisaille/bytes.h>

struct gri_queue;

enum gri_popped { GRI_POP_ITEM, GRI_POP_TIMEOUT, GRI_POP_CLOSED };

/* Holds at most `limit` (≥ 1) items. */
struct gri_queue *gri_queue_create(size_t limit);
/* No thread may be in a call any more. NULL is fine. */
void gri_queue_destroy(struct gri_queue *queue);
/* False when the queue is full or closed; the item was not taken. */
bool gri_queue_push(struct gri_queue *queue, void *item);
/* The oldest item; GRI_POP_CLOSED only once the queue is closed and empty. */
enum gri_popped gri_queue_pop(struct gri_queue *queue, int64_t timeout_ms, void **item);
/* No further push; what is in can still be popped; waiting pops wake. */
void gri_queue_close(struct gri_queue *queue);
/* Items waiting now. */
size_t gri_queue_length(struct gri_queue *queue);

#endif
