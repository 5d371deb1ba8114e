/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual time, the event heap, randomness, the loop and executor ports, and the way of a request. */
#include <stdlib.h>
#include <string.h>

#include "sim.h"

enum { REQUEST_TIMEOUT_MS = 5000 };

/* splitmix64 (Steele, Lea, Flood 2014): one 64-bit state, every seed a good one. */
uint64_t sim_random(struct sim_world *world) {
    uint64_t z = (world->random += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

int64_t sim_between(struct sim_world *world, int64_t low, int64_t high) {
    return low + (int64_t)(sim_random(world) % (uint64_t)(high - low + 1));
}

bool sim_one_in(struct sim_world *world, int64_t n) {
    return n > 0 && sim_random(world) % (uint64_t)n == 0;
}

/* --- event heap, ordered by time and then by number --- */

static bool before(const struct sim_event *a, const struct sim_event *b) {
    return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static void swap(struct sim_event *a, struct sim_event *b) {
    struct sim_event t = *a;
    *a = *b;
    *b = t;
}

static void sift_down(struct sim_world *world, size_t i) {
    for (;;) {
        size_t least = i, left = 2 * i + 1, right = left + 1;
        if (left < world->heap_count && before(&world->heap[left], &world->heap[least])) least = left;
        if (right < world->heap_count && before(&world->heap[right], &world->heap[least])) least = right;
        if (least == i) return;
        swap(&world->heap[i], &world->heap[least]);
        i = least;
    }
}

static void push_event(struct sim_world *world, struct sim_event event) {
    if (world->heap_count == world->heap_cap) {
        world->heap_cap = world->heap_cap ? world->heap_cap * 2 : 256;
        world->heap = realloc(world->heap, world->heap_cap * sizeof *world->heap);
        GRI_ASSERT(world->heap);
    }
    size_t i = world->heap_count++;
    world->heap[i] = event;
    while (i > 0 && before(&world->heap[i], &world->heap[(i - 1) / 2])) {
        swap(&world->heap[i], &world->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
}

uint64_t sim_at(struct sim_world *world, struct sim_process *process, int64_t after_ms, void (*run)(void *), void (*drop)(void *),
                void *arg) {
    uint64_t seq = ++world->next_seq;
    push_event(world, (struct sim_event){.at = world->now_ms + (after_ms > 0 ? after_ms : 0),
                                         .seq = seq,
                                         .process = process,
                                         .life = process ? process->life : 0,
                                         .run = run,
                                         .drop = drop,
                                         .arg = arg});
    return seq;
}

void sim_cancel(struct sim_world *world, uint64_t seq) {
    for (size_t i = 0; i < world->heap_count; i++) {
        if (world->heap[i].seq != seq) continue;
        world->heap[i].run = NULL;
        return;
    }
}

bool sim_step(struct sim_world *world, int64_t until_ms) {
    if (world->heap_count == 0 || world->heap[0].at > until_ms) return false;
    struct sim_event event = world->heap[0];
    world->heap[0] = world->heap[--world->heap_count];
    sift_down(world, 0);
    if (event.at > world->now_ms) world->now_ms = event.at;
    struct sim_process *process = event.process;
    if (!event.run) return true;
    if (process && process->life != event.life) {
        if (event.drop) event.drop(event.arg);
    } else if (process && process->paused_until_ms > world->now_ms) {
        event.at = process->paused_until_ms; /* keeps its number: late things stay in order */
        push_event(world, event);
    } else {
        event.run(event.arg);
    }
    return true;
}

/* --- the loop and executor ports --- */

struct gri_timer {
    struct sim_process *process;
    struct gri_timer *next, *previous;
    uint64_t seq;
    void (*fire)(void *arg);
    void *arg;
};

static struct sim_process *of_loop(struct gri_loop *loop) {
    return gri_container_of(loop, struct sim_process, loop);
}

static int64_t now_ms(struct gri_loop *loop) {
    return of_loop(loop)->world->now_ms;
}

static int64_t wall_ms(struct gri_loop *loop) {
    return INT64_C(1790000000000) + of_loop(loop)->world->now_ms;
}

static uint64_t loop_random(struct gri_loop *loop) {
    return sim_random(of_loop(loop)->world);
}

static void unlink_timer(struct gri_timer *timer) {
    struct sim_process *process = timer->process;
    if (timer->previous)
        timer->previous->next = timer->next;
    else
        process->timers = timer->next;
    if (timer->next) timer->next->previous = timer->previous;
}

static void timer_fire(void *arg) {
    struct gri_timer *timer = arg;
    void (*fire)(void *) = timer->fire;
    void *with = timer->arg;
    unlink_timer(timer);
    free(timer);
    fire(with);
}

static struct gri_timer *timer_start(struct gri_loop *loop, int64_t after_ms, void (*fire)(void *), void *arg) {
    struct sim_process *process = of_loop(loop);
    struct gri_timer *timer = gri_calloc(1, sizeof *timer);
    *timer = (struct gri_timer){.process = process, .fire = fire, .arg = arg, .next = process->timers};
    if (timer->next) timer->next->previous = timer;
    process->timers = timer;
    timer->seq = sim_at(process->world, process, after_ms, timer_fire, NULL, timer);
    return timer;
}

static void timer_stop(struct gri_loop *loop, struct gri_timer *timer) {
    if (!timer) return;
    sim_cancel(of_loop(loop)->world, timer->seq);
    unlink_timer(timer);
    free(timer);
}

static void post(struct gri_loop *loop, void (*run)(void *), void *arg) {
    struct sim_process *process = of_loop(loop);
    (void)sim_at(process->world, process, 0, run, NULL, arg);
}

static void task_done(void *arg) {
    struct gri_task *task = arg;
    task->work(task);
    task->done(task);
}

static bool submit_task(struct gri_executor *executor, struct gri_task *task) {
    struct sim_process *process = gri_container_of(executor, struct sim_process, cpu);
    (void)sim_at(process->world, process, sim_between(process->world, 1, 20), task_done, NULL, task);
    return true;
}

static const struct gri_loop_ops loop_ops = {.now_ms = now_ms,
                                             .wall_ms = wall_ms,
                                             .random = loop_random,
                                             .timer_start = timer_start,
                                             .timer_stop = timer_stop,
                                             .post = post};

void sim_process_loop_init(struct sim_process *process) {
    process->loop.ops = &loop_ops;
    process->cpu.submit = submit_task;
}

/* --- requests --- */

static void unlink_request(struct sim_request *request) {
    if (request->previous)
        request->previous->next = request->next;
    else
        request->process->requests = request->next;
    if (request->next) request->next->previous = request->previous;
}

static void answer(void *arg) {
    struct sim_request *request = arg;
    struct gri_op *op = request->op;
    unlink_request(request);
    free(request);
    op->done(op);
}

static bool server_down(const struct sim_world *world, enum sim_server server) {
    return (server == SIM_REDIS && world->redis_down) || (server == SIM_MONGO && world->mongo_down);
}

static void fail(struct sim_request *request) {
    (void)gri_fail(&request->op->error, request->server == SIM_REDIS ? GRI_R_stream : GRI_R_store, "simulated fault");
    request->op->error.unknown = true;
    request->op->status = GRI_RETRY;
}

static void reach_server(void *arg) {
    struct sim_request *request = arg;
    struct sim_process *process = request->process;
    struct sim_world *world = process->world;
    int64_t again = 0;
    bool failed = request->lose || server_down(world, request->server) || (request->server == SIM_REDIS && !process->stream_up);
    if (!failed) {
        request->op->status = GRI_OK;
        again = request->execute(process, request->op, request->part);
        if (again > 0 && !request->hurried) {
            request->seq = sim_at(world, NULL, again, reach_server, NULL, request);
            return;
        }
        request->executed = true;
        failed = request->cut;
    }
    if (failed) fail(request);
    int64_t wait =
        !failed ? sim_between(world, 1, 10) : sim_between(world, 1, request->lose || request->cut ? REQUEST_TIMEOUT_MS : 50);
    request->seq = sim_at(world, process, wait, answer, NULL, request);
    request->executed = true; /* nothing more is to be done at the server */
}

void sim_submit(struct sim_process *process, enum sim_server server, struct gri_op *op, sim_execute *execute) {
    struct sim_world *world = process->world;
    struct sim_request *request = gri_calloc(1, sizeof *request);
    int64_t odds = world->healed         ? 0
                   : server == SIM_REDIS ? world->faults.lose_redis
                   : server == SIM_MONGO ? world->faults.lose_mongo
                                         : 0;
    *request =
        (struct sim_request){.process = process, .server = server, .op = op, .execute = execute, .next = process->requests};
    if (request->next) request->next->previous = request;
    process->requests = request;
    if (sim_one_in(world, odds)) {
        world->lost++;
        request->lose = sim_one_in(world, 2);
        request->cut = !request->lose;
        request->part = request->cut && sim_one_in(world, 2);
    }
    /* The world's event, not the process's: a paused process's request still gets to its server. */
    request->seq = sim_at(world, NULL, sim_one_in(world, 20) ? sim_between(world, 1, 400) : sim_between(world, 1, 6),
                          reach_server, NULL, request);
}

static struct sim_request *find_request(struct sim_process *process, const struct gri_op *op) {
    for (struct sim_request *request = process->requests; request; request = request->next)
        if (request->op == op) return request;
    return NULL;
}

void sim_hurry(struct sim_process *process, struct gri_op *op) {
    struct sim_request *request = find_request(process, op);
    if (request) request->hurried = true;
}

bool sim_is_hurried(struct sim_process *process, struct gri_op *op) {
    struct sim_request *request = find_request(process, op);
    return request && request->hurried;
}

/* --- crash and pause --- */

/* Requests on their way land or do not; nobody hears of it. */
static void forget_requests(struct sim_process *process) {
    struct sim_world *world = process->world;
    while (process->requests) {
        struct sim_request *request = process->requests;
        bool lands = !request->executed && !request->lose && !server_down(world, request->server) && sim_one_in(world, 2);
        if (lands) (void)request->execute(process, request->op, request->part);
        sim_cancel(world, request->seq);
        unlink_request(request);
        free(request);
    }
}

void sim_process_crash(struct sim_process *process) {
    struct sim_world *world = process->world;
    forget_requests(process);
    process->life++; /* every event of it is void from here on */
    process->alive = process->draining = process->stream_open = process->stream_up = false;
    process->paused_until_ms = 0;
    process->known_epoch[0] = '\0';
    world->crashes++;
}

void sim_process_pause(struct sim_process *process, int64_t ms) {
    int64_t until = process->world->now_ms + ms;
    if (until > process->paused_until_ms) process->paused_until_ms = until; /* never shorter: late events keep their order */
    process->world->pauses++;
}
