/* SPDX-License-Identifier: Apache-2.0 */
/* Each history has its own size and its own mix of faults (swarm testing: Groce et al. 2012): a kind of fault is there or not,
 * rare or frequent, so that no kind drowns another. */
#include <string.h>

#include "sim.h"

static struct sim_process *any_process(struct sim_world *world) {
    return &world->processes[sim_random(world) % (uint64_t)world->process_count];
}

static void strike_crash(struct sim_world *world) {
    sim_process_kill(any_process(world));
}

static void strike_drain(struct sim_world *world) {
    sim_process_drain(any_process(world));
}

static void strike_pause(struct sim_world *world) {
    struct sim_process *process = any_process(world);
    if (process->alive)
        sim_process_pause(process, sim_one_in(world, 2) ? sim_between(world, world->lease_ms, 2 * world->lease_ms)
                                                        : sim_between(world, 50, 4000));
}

static void redis_back(void *arg) {
    sim_redis_set_down(arg, false);
}

static void mongo_back(void *arg) {
    struct sim_world *world = arg;
    world->mongo_down = false;
}

static void strike_outage(struct sim_world *world) {
    int64_t ms = sim_one_in(world, 4) ? sim_between(world, world->lease_ms, 2 * world->lease_ms) : sim_between(world, 50, 5000);
    if (sim_one_in(world, 2)) {
        sim_redis_set_down(world, true);
        (void)sim_at(world, NULL, ms, redis_back, world);
    } else {
        world->mongo_down = true;
        (void)sim_at(world, NULL, ms, mongo_back, world);
    }
}

static void strike_slow(struct sim_world *world) {
    world->slow_until_ms[sim_random(world) % SIM_SERVERS] = world->now_ms + sim_between(world, 500, 8000);
}

static void strike_flush(struct sim_world *world) {
    sim_redis_flush(world);
}

static void go_back(void *arg) {
    struct sim_world *world = arg;
    if (!world->healed) sim_redis_rollback(world);
}

static void strike_rollback(struct sim_world *world) {
    sim_redis_snapshot(world);
    (void)sim_at(world, NULL, sim_between(world, 50, 1500), go_back, world);
}

static void strike_tamper(struct sim_world *world) {
    sim_redis_tamper(world);
}

static void strike_lease_loss(struct sim_world *world) {
    sim_mongo_lose_leases(world);
}

static void strike_clock_jump(struct sim_world *world) {
    world->wall_offset_ms += sim_between(world, -100000000, 100000000);
}

static void strike_cancel(struct sim_world *world) {
    sim_mongo_cancel(world, (int)(sim_random(world) % SIM_CATALOGS_MAX));
}

static void strike_damage(struct sim_world *world) {
    sim_mongo_damage(world);
}

static const struct {
    const char *name;
    void (*strike)(struct sim_world *world);
    int64_t one_in, most; /* in one of so many histories; so often at most, about */
} table[SIM_FAULTS] = {
    [SIM_CRASH] = {"crashes", strike_crash, 2, 12},
    [SIM_DRAIN] = {"drains", strike_drain, 3, 6},
    [SIM_PAUSE] = {"pauses", strike_pause, 2, 8},
    [SIM_OUTAGE] = {"outages", strike_outage, 2, 6},
    [SIM_SLOW] = {"slow spells", strike_slow, 3, 8},
    [SIM_FLUSH] = {"flushes", strike_flush, 3, 4},
    [SIM_ROLLBACK] = {"rollbacks", strike_rollback, 3, 4},
    [SIM_TAMPER] = {"deletions by hand", strike_tamper, 8, 3},
    [SIM_LEASE_LOSS] = {"lost leases", strike_lease_loss, 4, 6},
    [SIM_CLOCK_JUMP] = {"clock jumps", strike_clock_jump, 4, 6},
    [SIM_CANCEL] = {"cancellations", strike_cancel, 8, 2},
    [SIM_DAMAGE] = {"damaged images", strike_damage, 6, 8},
};

const char *sim_fault_name(enum sim_fault kind) {
    return table[kind].name;
}

bool sim_has_fault(const struct sim_world *world, enum sim_fault kind) {
    return world->chaos[kind].every_ms > 0;
}

static int64_t around(struct sim_world *world, int64_t every_ms) {
    return sim_between(world, every_ms / 4 + 1, every_ms * 2);
}

static void strike(void *arg) {
    struct sim_chaos *chaos = arg;
    struct sim_world *world = chaos->world;
    if (world->healed) return;
    world->struck[chaos->kind]++;
    table[chaos->kind].strike(world);
    (void)sim_at(world, NULL, around(world, chaos->every_ms), strike, chaos);
}

static int64_t one_of(struct sim_world *world, const int64_t *values, size_t count) {
    return values[sim_random(world) % count];
}

void sim_swarm_size(struct sim_world *world) {
    static const int64_t leases[] = {6000, 6000, 12000, 30000}, batches[] = {1, 4, 16, 64};
    world->chaos_ms = sim_between(world, 4000, 30000);
    world->urls = (int)sim_between(world, 5, SIM_URLS);
    world->window = sim_one_in(world, 2) ? 1000 : sim_between(world, 5, 60);
    world->lease_ms = one_of(world, leases, 4);
    world->slots = (size_t)sim_between(world, 1, 16);
    world->worker_batch = (size_t)sim_between(world, 1, 8);
    world->scheduler_batch = (size_t)one_of(world, batches, 4);
    world->chunk_slots = (size_t)sim_between(world, 1, 3);
    world->outstanding = (size_t)sim_between(world, 1, 6);
    world->per_second = sim_one_in(world, 4) ? sim_between(world, 5, 50) : 0;
    world->flavour = (sim_one_in(world, 12) ? SIM_SHUT : 0) | (sim_one_in(world, 8) ? SIM_POISONED : 0);
    world->scheduler_count = (int)sim_between(world, 1, 2);
    world->process_count = world->scheduler_count + (int)sim_between(world, 1, 3);
    world->catalog_count = (int)sim_between(world, 1, 3);
    world->lose_redis = sim_one_in(world, 2) ? 0 : sim_between(world, 10, 300);
    world->lose_mongo = sim_one_in(world, 2) ? 0 : sim_between(world, 10, 300);
    for (int kind = 0; kind < SIM_FAULTS; kind++) {
        struct sim_chaos *chaos = &world->chaos[kind];
        *chaos = (struct sim_chaos){.world = world, .kind = (enum sim_fault)kind};
        if (sim_one_in(world, table[kind].one_in)) chaos->every_ms = world->chaos_ms / sim_between(world, 1, table[kind].most);
    }
}

void sim_swarm_start(struct sim_world *world) {
    for (int kind = 0; kind < SIM_FAULTS; kind++)
        if (world->chaos[kind].every_ms)
            (void)sim_at(world, NULL, around(world, world->chaos[kind].every_ms), strike, &world->chaos[kind]);
}
