/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual time, the event heap, randomness, the loop and executor ports. */
#include <stdlib.h>
#include <string.h>

#include "sim.h"

enum { PLACE_BITS = 20 };

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

/* --- event heap, ordered by time and then by number; the events themselves stay in their places --- */

static bool before(const struct sim_event_ref *a, const struct sim_event_ref *b) {
    return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static void sift_down(struct sim_world *world, struct sim_event_ref last) {
    struct sim_event_ref *heap = world->base->heap;
    size_t i = 0, count = world->heap_count;
    for (size_t child; (child = 2 * i + 1) < count; i = child) {
        if (child + 1 < count && before(&heap[child + 1], &heap[child])) child++;
        if (!before(&heap[child], &last)) break;
        heap[i] = heap[child];
    }
    heap[i] = last;
}

static void push_ref(struct sim_world *world, struct sim_event_ref ref) {
    struct sim_event_ref *heap = world->base->heap;
    size_t i = world->heap_count++;
    for (; i > 0 && before(&ref, &heap[(i - 1) / 2]); i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = ref;
}

static void *grow(void *array, size_t cap, size_t size) {
    array = realloc(array, cap * size);
    GRI_ASSERT(array);
    return array;
}

static uint32_t take_place(struct sim_world *world) {
    struct sim_base *base = world->base;
    if (world->free_count > 0) return base->free_places[--world->free_count];
    if (world->place_count == base->event_cap) {
        base->event_cap = base->event_cap ? base->event_cap * 2 : 1024;
        GRI_ASSERT(base->event_cap < (size_t)1 << PLACE_BITS);
        base->events = grow(base->events, base->event_cap, sizeof *base->events);
        base->heap = grow(base->heap, base->event_cap, sizeof *base->heap);
        base->free_places = grow(base->free_places, base->event_cap, sizeof *base->free_places);
    }
    return (uint32_t)world->place_count++;
}

uint64_t sim_at(struct sim_world *world, struct sim_process *process, int64_t after_ms, void (*run)(void *), void *arg) {
    uint64_t seq = ++world->next_seq;
    uint32_t place = take_place(world);
    world->base->events[place] =
        (struct sim_event){.seq = seq, .process = process, .life = process ? process->life : 0, .run = run, .arg = arg};
    push_ref(world, (struct sim_event_ref){.at = world->now_ms + (after_ms > 0 ? after_ms : 0), .seq = seq, .place = place});
    return seq << PLACE_BITS | place;
}

void sim_cancel(struct sim_world *world, uint64_t handle) {
    struct sim_event *event = &world->base->events[handle & (((uint64_t)1 << PLACE_BITS) - 1)];
    if (event->seq == handle >> PLACE_BITS) event->run = NULL;
}

static void mix(struct sim_world *world, uint64_t value) {
    world->trace = (world->trace ^ value) * UINT64_C(0x9E3779B97F4A7C15);
    world->trace ^= world->trace >> 29;
}

bool sim_step(struct sim_world *world, int64_t until_ms) {
    struct sim_event_ref *heap = world->base->heap;
    if (world->heap_count == 0 || heap[0].at > until_ms) return false;
    struct sim_event_ref ref = heap[0];
    world->heap_count--;
    if (world->heap_count > 0) sift_down(world, heap[world->heap_count]);
    struct sim_event event = world->base->events[ref.place];
    struct sim_process *process = event.process;
    if (ref.at > world->now_ms) world->now_ms = ref.at;
    bool due = event.run && (!process || process->life == event.life);
    if (due && process && process->paused_until_ms > world->now_ms) {
        ref.at = process->paused_until_ms; /* keeps its number: late things stay in order */
        push_ref(world, ref);
        return true;
    }
    world->base->events[ref.place].seq = 0;
    world->base->free_places[world->free_count++] = ref.place;
    if (!due) return true;
    mix(world, (uint64_t)ref.at << 4 | (uint64_t)(process ? process->index + 1 : 0));
    mix(world, ref.seq);
    event.run(event.arg);
    mix(world, world->random);
    return true;
}

/* --- the loop and executor ports --- */

struct gri_timer {
    struct sim_process *process;
    struct gri_timer *next, *previous;
    uint64_t event;
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
    const struct sim_world *world = of_loop(loop)->world;
    return INT64_C(1790000000000) + world->now_ms + world->wall_offset_ms;
}

static uint64_t loop_random(struct gri_loop *loop) {
    return sim_random(of_loop(loop)->world);
}

static void give_back(struct gri_timer *timer) {
    struct sim_process *process = timer->process;
    struct sim_base *base = process->world->base;
    if (timer->previous)
        timer->previous->next = timer->next;
    else
        process->timers = timer->next;
    if (timer->next) timer->next->previous = timer->previous;
    if (!SIM_POOLED) {
        free(timer);
        return;
    }
    timer->next = base->free_timers;
    base->free_timers = timer;
}

void sim_free_timers(struct sim_base *base) {
    while (base->free_timers) {
        struct gri_timer *timer = base->free_timers;
        base->free_timers = timer->next;
        free(timer);
    }
}

static void timer_fire(void *arg) {
    struct gri_timer *timer = arg;
    void (*fire)(void *) = timer->fire;
    void *with = timer->arg;
    give_back(timer);
    fire(with);
}

static struct gri_timer *timer_start(struct gri_loop *loop, int64_t after_ms, void (*fire)(void *), void *arg) {
    struct sim_process *process = of_loop(loop);
    struct sim_base *base = process->world->base;
    struct gri_timer *timer = base->free_timers;
    if (timer)
        base->free_timers = timer->next;
    else
        timer = gri_calloc(1, sizeof *timer);
    *timer = (struct gri_timer){.process = process, .fire = fire, .arg = arg, .next = process->timers};
    if (timer->next) timer->next->previous = timer;
    process->timers = timer;
    timer->event = sim_at(process->world, process, after_ms, timer_fire, timer);
    return timer;
}

static void timer_stop(struct gri_loop *loop, struct gri_timer *timer) {
    if (!timer) return;
    sim_cancel(of_loop(loop)->world, timer->event);
    give_back(timer);
}

static void post(struct gri_loop *loop, void (*run)(void *), void *arg) {
    struct sim_process *process = of_loop(loop);
    (void)sim_at(process->world, process, 0, run, arg);
}

static void task_done(void *arg) {
    struct gri_task *task = arg;
    struct sim_process *process = gri_container_of(task->executor, struct sim_process, cpu);
    task->work(task);
    if (process->doomed) {
        process->world->poisoned++;
        sim_process_kill(process);
    } else {
        task->done(task);
    }
}

static bool submit_task(struct gri_executor *executor, struct gri_task *task) {
    struct sim_process *process = gri_container_of(executor, struct sim_process, cpu);
    task->executor = executor;
    (void)sim_at(process->world, process, sim_between(process->world, 1, 20), task_done, task);
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
