/* SPDX-License-Identifier: Apache-2.0 */
/* The executor on threads (threads.h). */
#include "threads.h"

#include <grisaille/bytes.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "queue.h"

/* A thread without work wakes this often, for nothing but to keep every wait bounded. */
enum { IDLE_MS = 60 * 1000 };

struct threads {
    struct gri_executor executor;
    struct gri_loop *loop;
    struct gri_queue *queue;
    pthread_t *ids;
    size_t count;
    void (*thread_begin)(void), (*thread_end)(void);
};

static void deliver(void *arg) {
    struct gri_task *task = arg;
    task->done(task);
}

static void *run(void *arg) {
    struct threads *self = arg;
    if (self->thread_begin) self->thread_begin();
    for (;;) {
        void *item = NULL;
        enum gri_popped popped = gri_queue_pop(self->queue, IDLE_MS, &item);
        if (popped == GRI_POP_CLOSED) break;
        if (popped == GRI_POP_TIMEOUT) continue;
        struct gri_task *task = item;
        task->work(task);
        gri_post(self->loop, deliver, task);
    }
    if (self->thread_end) self->thread_end();
    return NULL;
}

static bool submit(struct gri_executor *executor, struct gri_task *task) {
    struct threads *self = gri_container_of(executor, struct threads, executor);
    task->executor = executor;
    task->next = NULL;
    return gri_queue_push(self->queue, task);
}

static void start(struct threads *self, const char *name, size_t number) {
    char label[16], base[13];
    GRI_ASSERT(pthread_create(&self->ids[number], NULL, run, self) == 0);
    gri_copy(base, sizeof base, name);
    gri_format(label, sizeof label, "%s-%zu", base, number % 100);
    pthread_setname_np(self->ids[number], label);
}

struct gri_executor *gri_threads_create(struct gri_loop *loop, const char *name, size_t threads, size_t queue_limit,
                                        void (*thread_begin)(void), void (*thread_end)(void)) {
    GRI_ASSERT(threads > 0 && queue_limit > 0);
    struct threads *self = gri_calloc(1, sizeof *self);
    self->executor.submit = submit;
    self->loop = loop;
    self->queue = gri_queue_create(queue_limit);
    self->ids = gri_calloc(threads, sizeof *self->ids);
    self->count = threads;
    self->thread_begin = thread_begin;
    self->thread_end = thread_end;
    sigset_t all, before;
    sigfillset(&all);
    /* A fault's own signal must reach the sanitizer's or the system's handler in the thread that made it. */
    const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    for (size_t i = 0; i < threads; i++)
        start(self, name, i);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return &self->executor;
}

void gri_threads_destroy(struct gri_executor *executor) {
    if (!executor) return;
    struct threads *self = gri_container_of(executor, struct threads, executor);
    gri_queue_close(self->queue);
    for (size_t i = 0; i < self->count; i++)
        pthread_join(self->ids[i], NULL);
    gri_queue_destroy(self->queue);
    free(self->ids);
    free(self);
}

size_t gri_threads_waiting(struct gri_executor *executor) {
    struct threads *self = gri_container_of(executor, struct threads, executor);
    return gri_queue_length(self->queue);
}
