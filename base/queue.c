/* SPDX-License-Identifier: Apache-2.0 */
/* Bounded FIFO of pointers between threads (queue.h): a ring of fixed size. */
#include "queue.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct gri_queue {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    void **ring;
    size_t limit, first, count;
    bool closed;
};

struct gri_queue *gri_queue_create(size_t limit) {
    GRI_ASSERT(limit > 0);
    struct gri_queue *queue = gri_calloc(1, sizeof *queue);
    queue->ring = gri_calloc(limit, sizeof *queue->ring);
    queue->limit = limit;
    pthread_condattr_t monotonic;
    GRI_ASSERT(pthread_condattr_init(&monotonic) == 0);
    GRI_ASSERT(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
    GRI_ASSERT(pthread_cond_init(&queue->changed, &monotonic) == 0);
    GRI_ASSERT(pthread_mutex_init(&queue->lock, NULL) == 0);
    pthread_condattr_destroy(&monotonic);
    return queue;
}

void gri_queue_destroy(struct gri_queue *queue) {
    if (!queue) return;
    pthread_mutex_destroy(&queue->lock);
    pthread_cond_destroy(&queue->changed);
    free(queue->ring);
    free(queue);
}

bool gri_queue_push(struct gri_queue *queue, void *item) {
    pthread_mutex_lock(&queue->lock);
    bool room = !queue->closed && queue->count < queue->limit;
    if (room) {
        queue->ring[(queue->first + queue->count) % queue->limit] = item;
        queue->count++;
        pthread_cond_signal(&queue->changed);
    }
    pthread_mutex_unlock(&queue->lock);
    return room;
}

static struct timespec deadline_after(int64_t timeout_ms) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)(timeout_ms / 1000);
    at.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

enum gri_popped gri_queue_pop(struct gri_queue *queue, int64_t timeout_ms, void **item) {
    enum gri_popped result = GRI_POP_CLOSED;
    struct timespec deadline = deadline_after(timeout_ms > 0 ? timeout_ms : 0);
    int waited = 0;
    pthread_mutex_lock(&queue->lock);
    while (queue->count == 0 && !queue->closed && waited != ETIMEDOUT) {
        waited = pthread_cond_timedwait(&queue->changed, &queue->lock, &deadline);
    }
    if (queue->count > 0) {
        *item = queue->ring[queue->first];
        queue->first = (queue->first + 1) % queue->limit;
        queue->count--;
        result = GRI_POP_ITEM;
    } else if (!queue->closed) {
        result = GRI_POP_TIMEOUT;
    }
    pthread_mutex_unlock(&queue->lock);
    return result;
}

void gri_queue_close(struct gri_queue *queue) {
    pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    pthread_cond_broadcast(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
}

size_t gri_queue_length(struct gri_queue *queue) {
    pthread_mutex_lock(&queue->lock);
    size_t count = queue->count;
    pthread_mutex_unlock(&queue->lock);
    return count;
}
