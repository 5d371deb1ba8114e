/* SPDX-License-Identifier: Apache-2.0 */
/* The way of a request to a server and back, and what crashes, pauses and broken connections do to it. */
#include <stdlib.h>

#include "sim.h"

enum { REQUEST_TIMEOUT_MS = 5000, SLOW_MOST_MS = 1500 };

static struct sim_request *take_request(struct sim_world *world) {
    struct sim_request *request = world->base->free_requests;
    if (!request) return gri_calloc(1, sizeof *request);
    world->base->free_requests = request->next;
    return request;
}

static void give_back(struct sim_request *request) {
    struct sim_base *base = request->process->world->base;
    if (request->previous)
        request->previous->next = request->next;
    else
        request->process->requests = request->next;
    if (request->next) request->next->previous = request->previous;
    if (!SIM_POOLED) {
        free(request);
        return;
    }
    request->next = base->free_requests;
    base->free_requests = request;
}

void sim_free_requests(struct sim_base *base) {
    while (base->free_requests) {
        struct sim_request *request = base->free_requests;
        base->free_requests = request->next;
        free(request);
    }
}

static void answer(void *arg) {
    struct sim_request *request = arg;
    struct gri_op *op = request->op;
    give_back(request);
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

static int64_t latency(struct sim_world *world, enum sim_server server) {
    if (world->slow_until_ms[server] > world->now_ms) return sim_between(world, 1, SLOW_MOST_MS);
    return sim_one_in(world, 20) ? sim_between(world, 1, 400) : sim_between(world, 1, 6);
}

/* Frees what an answer that never arrives would have handed over. */
static void discard(struct sim_request *request) {
    if (request->op->status != GRI_OK) return;
    if (request->server == SIM_REDIS) sim_redis_discard(request->op, request->execute);
    if (request->server == SIM_MONGO) sim_ledger_discard(request->op, request->execute);
    /* what a fetch holds, the slot that asked owns */
}

static void reach_server(void *arg) {
    struct sim_request *request = arg;
    struct sim_process *process = request->process;
    struct sim_world *world = process->world;
    bool failed = request->lose || server_down(world, request->server) || (request->server == SIM_REDIS && !process->stream_up);
    request->parked = false;
    if (!failed) {
        request->op->status = GRI_OK;
        int64_t again = request->execute(process, request->op, request->part);
        if (again > 0 && !request->hurried) {
            request->parked = true;
            request->event = sim_at(world, NULL, again, reach_server, request);
            return;
        }
        failed = request->cut;
        /* what an answer handed over that never arrives stays with this process until it is reclaimed */
        if (failed && request->server == SIM_REDIS) process->stranded = true;
    }
    if (failed && request->cut) discard(request);
    if (failed) fail(request);
    int64_t wait = !failed                         ? latency(world, request->server)
                   : request->lose || request->cut ? sim_between(world, 1, REQUEST_TIMEOUT_MS)
                                                   : sim_between(world, 1, 50);
    request->executed = true; /* nothing more is to be done at the server */
    request->event = sim_at(world, process, wait, answer, request);
}

static struct sim_request *find_request(struct sim_process *process, const struct gri_op *op) {
    for (struct sim_request *request = process->requests; request; request = request->next)
        if (request->op == op) return request;
    return NULL;
}

void sim_submit(struct sim_process *process, enum sim_server server, struct gri_op *op, sim_execute *execute) {
    struct sim_world *world = process->world;
    struct sim_request *request = take_request(world);
    int64_t odds = world->healed ? 0 : server == SIM_REDIS ? world->lose_redis : server == SIM_MONGO ? world->lose_mongo : 0;
    if (find_request(process, op)) sim_violation(world, "%s sends a request that is still under way", process->name);
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
    request->event = sim_at(world, NULL, latency(world, server), reach_server, request);
}

static void look_again(struct sim_request *request, int64_t after_ms) {
    struct sim_world *world = request->process->world;
    if (!request->parked) return;
    sim_cancel(world, request->event);
    request->event = sim_at(world, NULL, after_ms, reach_server, request);
    request->parked = false;
}

void sim_hurry(struct sim_process *process, struct gri_op *op) {
    struct sim_request *request = find_request(process, op);
    if (!request) return;
    request->hurried = true;
    look_again(request, 1);
}

bool sim_is_hurried(struct sim_process *process, struct gri_op *op) {
    struct sim_request *request = find_request(process, op);
    return request && request->hurried;
}

void sim_wake_readers(struct sim_world *world, bool workers) {
    for (int i = 0; i < world->process_count; i++) {
        if (world->processes[i].is_worker != workers) continue;
        for (struct sim_request *request = world->processes[i].requests; request; request = request->next)
            if (request->parked) look_again(request, sim_between(world, 0, 2));
    }
}

void sim_break_redis(struct sim_process *process) {
    for (struct sim_request *request = process->requests; request; request = request->next) {
        if (request->server != SIM_REDIS || request->executed) continue;
        request->lose = request->parked || sim_one_in(process->world, 2);
        request->cut = !request->lose;
        look_again(request, 0);
    }
}

/* --- crash and pause --- */

/* Requests on their way land or do not; nobody hears of it. */
static void forget_requests(struct sim_process *process) {
    struct sim_world *world = process->world;
    while (process->requests) {
        struct sim_request *request = process->requests;
        bool lands = !request->executed && !request->lose && !server_down(world, request->server) && sim_one_in(world, 2);
        if (lands) (void)request->execute(process, request->op, request->part);
        if (lands || request->executed) discard(request);
        sim_cancel(world, request->event);
        give_back(request);
    }
}

void sim_process_cut_off(struct sim_process *process) {
    forget_requests(process);
    process->life++; /* every event of it is void from here on */
    process->alive = process->draining = process->stream_open = process->stream_up = process->told_up = false;
    process->paused_until_ms = 0;
    process->known_epoch[0] = '\0';
}

void sim_process_pause(struct sim_process *process, int64_t ms) {
    int64_t until = process->world->now_ms + ms;
    if (until > process->paused_until_ms) process->paused_until_ms = until; /* never shorter: late events keep their order */
    process->paused_ms += ms;
}
