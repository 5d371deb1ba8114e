/* SPDX-License-Identifier: Apache-2.0 */
/* The queue between threads that want an answer and threads that own a child. */
#include "exec_pool.h"

#include <grisaille/clock.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

enum { CHILDREN_MAX = 16 };

struct request {
    struct request *next;
    struct gri_slice given;
    int64_t deadline_ms;
    struct gri_bytes *got;
    struct gri_error *error;
    enum gri_status status;
    bool done;
};

struct gri_exec_pool {
    const struct gri_exec_options *options;
    pthread_mutex_t lock;
    pthread_cond_t asked, answered;
    struct request *first, **last; /* waiting, in order; at most one for each thread that asks */
    bool stopping;
    pthread_t threads[CHILDREN_MAX];
    int count;
};

static void answer(struct gri_exec_pool *pool, struct gri_exec_child *child, struct request *request) {
    request->status = GRI_OK;
    if (gri_clock_ms() >= request->deadline_ms)
        request->status =
            gri_fail(request->error, GRI_R_decode_timeout, "%.80s had no time left to answer", pool->options->words[0]);
    if (request->status == GRI_OK && child->pid == 0) request->status = gri_exec_start(child, pool->options, request->error);
    if (request->status == GRI_OK)
        request->status =
            gri_exec_exchange(child, pool->options, request->given, request->deadline_ms, request->got, request->error);
    if (request->status == GRI_OK && pool->options->serves) return;
    gri_exec_end(child);
}

static void *serve(void *arg) {
    struct gri_exec_pool *pool = arg;
    struct gri_exec_child child = {.in = -1, .out = -1, .complaints = -1};
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        struct request *request = pool->first;
        if (!request && pool->stopping) break;
        if (!request) {
            pthread_cond_wait(&pool->asked, &pool->lock);
            continue;
        }
        pool->first = request->next;
        if (!pool->first) pool->last = &pool->first;
        pthread_mutex_unlock(&pool->lock);
        answer(pool, &child, request);
        pthread_mutex_lock(&pool->lock);
        request->done = true;
        pthread_cond_broadcast(&pool->answered);
    }
    pthread_mutex_unlock(&pool->lock);
    gri_exec_end(&child);
    return NULL;
}

enum gri_status gri_exec_pool_create(const struct gri_exec_options *options, int children, struct gri_exec_pool **pool,
                                     struct gri_error *error) {
    struct gri_exec_pool *made = gri_calloc(1, sizeof *made);
    sigset_t all, before;
    made->options = options;
    made->last = &made->first;
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->asked, NULL);
    pthread_cond_init(&made->answered, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the main thread's */
    while (made->count < children && made->count < CHILDREN_MAX &&
           pthread_create(&made->threads[made->count], NULL, serve, made) == 0)
        made->count++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    *pool = made;
    if (made->count > 0) return GRI_OK;
    gri_exec_pool_destroy(made);
    *pool = NULL;
    return gri_fail(error, GRI_R_transform, "no thread for %.80s", options->words[0]);
}

void gri_exec_pool_destroy(struct gri_exec_pool *pool) {
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    GRI_ASSERT(!pool->first);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->asked);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->count; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->answered);
    pthread_cond_destroy(&pool->asked);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

/* The wait needs no deadline of its own: whoever serves looks at the request's, and so does whoever is served before. */
enum gri_status gri_exec_pool_ask(struct gri_exec_pool *pool, struct gri_slice given, int64_t deadline_ms, struct gri_bytes *got,
                                  struct gri_error *error) {
    struct request request = {.given = given, .deadline_ms = deadline_ms, .got = got, .error = error};
    pthread_mutex_lock(&pool->lock);
    *pool->last = &request;
    pool->last = &request.next;
    pthread_cond_signal(&pool->asked);
    while (!request.done)
        pthread_cond_wait(&pool->answered, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    return request.status;
}
