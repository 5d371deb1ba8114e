/* SPDX-License-Identifier: Apache-2.0 */
/* grisaille-sim [--seeds N] [--seed K] [--verbose]: N whole histories of schedulers and workers on simulated servers and time,
 * each checked against the oracle. A failing seed is printed; --seed K replays it. Exit status 1 when one failed. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto.h"
#include "rules.h"
#include "scheduler.h"
#include "sim.h"
#include "worker.h"

enum { CHAOS_MS = 90 * 1000, HEAL_LIMIT_MS = 4 * 3600 * 1000, POLL_MS = 2000, LEASE_MS = 30000 };

static const char *pin_pipeline(void *arg, const char *name) {
    (void)arg;
    return !name || !*name || strcmp(name, "gray") == 0 ? "gray@000000000001" : NULL;
}

static void start_scheduler(struct sim_process *process) {
    struct sim_world *world = process->world;
    struct gri_scheduler_options options;
    struct gri_error error;
    gri_scheduler_options_init(&options);
    options.name = process->name;
    options.loop = &process->loop;
    options.stream = &process->stream;
    options.ledger = &process->ledger;
    options.crypto = world->crypto;
    options.pin_pipeline = pin_pipeline;
    options.rules = gri_bytes_slice(&world->rules_body);
    options.window = world->window;
    options.batch = 16;
    options.chunk_slots = 2;
    options.feeder_outstanding = 4;
    GRI_ASSERT(gri_scheduler_create(&options, &process->scheduler, &error) == GRI_OK);
    gri_scheduler_start(process->scheduler);
}

static void never_fatal(void *hooks, const struct gri_error *error) {
    (void)hooks;
    fprintf(stderr, "a worker says it can't work: %s\n", error->detail);
    abort();
}

static void start_worker(struct sim_process *process) {
    struct sim_world *world = process->world;
    struct gri_worker_options options = {.name = process->name,
                                         .version = "simulated",
                                         .loop = &process->loop,
                                         .stream = &process->stream,
                                         .ledger = &process->ledger,
                                         .store = &process->store,
                                         .fetcher = &process->fetcher,
                                         .codec = &process->codec,
                                         .crypto = world->crypto,
                                         .cpu = &process->cpu,
                                         .slots = 12,
                                         .batch = 6,
                                         .batch_ms = 5,
                                         .retry = {.base_ms = 1000, .max_ms = 20000, .max_attempts = 12},
                                         .fatal = never_fatal};
    process->worker = gri_worker_create(&options);
    gri_worker_start(process->worker);
}

void sim_process_start(struct sim_process *process) {
    process->life++;
    process->alive = true;
    process->stream = (struct gri_stream){0};
    (void)gri_format(process->name, sizeof process->name, "%s-%d-%llu", process->is_worker ? "worker" : "scheduler",
                     process->index, (unsigned long long)process->life);
    sim_process_loop_init(process);
    sim_redis_ops(process);
    sim_ledger_ops(process);
    sim_store_ops(process);
    sim_origin_ops(process);
    if (process->is_worker)
        start_worker(process);
    else
        start_scheduler(process);
}

static void destroy_role(struct sim_process *process) {
    if (process->scheduler) gri_scheduler_destroy(process->scheduler);
    gri_worker_destroy(process->worker);
    process->scheduler = NULL;
    process->worker = NULL;
}

static void start_again(void *arg) {
    struct sim_process *process = arg;
    if (!process->alive) sim_process_start(process);
}

static void crash(struct sim_process *process) {
    if (!process->alive) return;
    sim_process_crash(process);
    destroy_role(process);
    (void)sim_at(process->world, NULL, sim_between(process->world, 200, 8000), start_again, NULL, process);
}

/* --- chaos: each kind comes again and again until the world is healed --- */

static struct sim_process *any_process(struct sim_world *world) {
    return &world->processes[sim_random(world) % (uint64_t)world->process_count];
}

static int64_t around(struct sim_world *world, int64_t every_ms) {
    return sim_between(world, every_ms / 4 + 1, every_ms * 2);
}

#define CHAOS(name, every, action)                                                                \
    static void chaos_##name(void *arg) {                                                         \
        struct sim_world *world = arg;                                                            \
        if (world->healed) return;                                                                \
        action;                                                                                   \
        (void)sim_at(world, NULL, around(world, world->faults.every), chaos_##name, NULL, world); \
    }

static void redis_back(void *arg) {
    sim_redis_set_down(arg, false);
}

static void mongo_back(void *arg) {
    struct sim_world *world = arg;
    world->mongo_down = false;
}

static void outage(struct sim_world *world) {
    int64_t ms = sim_one_in(world, 4) ? sim_between(world, LEASE_MS, 2 * LEASE_MS) : sim_between(world, 50, 5000);
    world->outages++;
    if (sim_one_in(world, 2)) {
        sim_redis_set_down(world, true);
        (void)sim_at(world, NULL, ms, redis_back, NULL, world);
    } else {
        world->mongo_down = true;
        (void)sim_at(world, NULL, ms, mongo_back, NULL, world);
    }
}

static void go_back(void *arg) {
    sim_redis_rollback(arg);
}

static void rollback_soon(struct sim_world *world) {
    sim_redis_snapshot(world);
    (void)sim_at(world, NULL, sim_between(world, 100, 1500), go_back, NULL, world);
}

static void pause_one(struct sim_world *world) {
    struct sim_process *process = any_process(world);
    if (process->alive)
        sim_process_pause(process,
                          sim_one_in(world, 2) ? sim_between(world, LEASE_MS, 2 * LEASE_MS) : sim_between(world, 50, 4000));
}

CHAOS(crash, crash_every_ms, crash(any_process(world)))
CHAOS(pause, pause_every_ms, pause_one(world))
CHAOS(outage, outage_every_ms, outage(world))
CHAOS(flush, flush_every_ms, sim_redis_flush(world))
CHAOS(rollback, rollback_every_ms, rollback_soon(world))

/* Each history has its own mix (swarm testing: Groce et al. 2012): a kind of fault is there or not, rare or frequent. */
static int64_t pick(struct sim_world *world, int64_t low, int64_t high) {
    return sim_one_in(world, 2) ? 0 : sim_between(world, low, high);
}

static void start_chaos(struct sim_world *world) {
    struct sim_faults *faults = &world->faults;
    faults->lose_redis = pick(world, 10, 300);
    faults->lose_mongo = pick(world, 10, 300);
    faults->crash_every_ms = pick(world, 3000, 40000);
    faults->pause_every_ms = pick(world, 5000, 60000);
    faults->outage_every_ms = pick(world, 10000, 60000);
    faults->flush_every_ms = pick(world, 15000, 80000);
    faults->rollback_every_ms = pick(world, 15000, 80000);
    if (faults->crash_every_ms) (void)sim_at(world, NULL, around(world, faults->crash_every_ms), chaos_crash, NULL, world);
    if (faults->pause_every_ms) (void)sim_at(world, NULL, around(world, faults->pause_every_ms), chaos_pause, NULL, world);
    if (faults->outage_every_ms) (void)sim_at(world, NULL, around(world, faults->outage_every_ms), chaos_outage, NULL, world);
    if (faults->flush_every_ms) (void)sim_at(world, NULL, around(world, faults->flush_every_ms), chaos_flush, NULL, world);
    if (faults->rollback_every_ms)
        (void)sim_at(world, NULL, around(world, faults->rollback_every_ms), chaos_rollback, NULL, world);
}

/* --- one history --- */

static const char *const bad_lines[] = {
    "", "# a comment", "picsum.photos/200/300", "htps://good.example/ok/1", "https:///ok/1", "https://a:b@good.example/ok/1"};

static void write_catalog(struct sim_world *world, struct sim_catalog *catalog, int number) {
    (void)gri_format(catalog->id, sizeof catalog->id, "%024d", number + 1);
    gri_bytes_init(&catalog->text, 1024 * 1024);
    catalog->lines = sim_between(world, 1, 120);
    for (int64_t i = 0; i < catalog->lines; i++) {
        char url[128];
        sim_origin_url((int)sim_between(world, 0, world->urls - 1), url);
        gri_bytes_put(&catalog->text, sim_one_in(world, 8) ? bad_lines[sim_random(world) % 6] : url);
        gri_bytes_put(&catalog->text, "\n");
    }
    GRI_ASSERT(!gri_bytes_failed(&catalog->text));
}

static void push(void *arg) {
    struct sim_catalog *catalog = arg;
    /* the catalog knows no world: its place in the array tells it */
    struct sim_world *world = gri_container_of(catalog - (strtoll(catalog->id, NULL, 10) - 1), struct sim_world, catalogs[0]);
    sim_mongo_push(world, catalog);
}

/* Bare URLs come only while Redis can't lose them: a URL that no scheduler has read yet is the one thing Redis alone holds. */
static void add_bare_urls(struct sim_world *world) {
    int64_t count = sim_between(world, 0, 20);
    for (int64_t i = 0; i < count; i++) {
        char url[128];
        sim_origin_url((int)sim_between(world, 0, world->urls - 1), url);
        sim_redis_add_url(world, url);
    }
}

static void create_world(struct sim_world *world, uint64_t seed, const struct gri_crypto *crypto, const struct gri_bytes *rules) {
    *world = (struct sim_world){.seed = seed,
                                .random = seed * UINT64_C(0x2545F4914F6CDD1D) + 1,
                                .crypto = crypto,
                                .now_ms = 1000,
                                .rules_id = "rules@000000000001"};
    gri_bytes_init(&world->rules_body, 0);
    gri_bytes_put_slice(&world->rules_body, gri_bytes_slice(rules));
    world->redis = sim_redis_create();
    world->mongo = sim_mongo_create();
    world->urls = (int)sim_between(world, 5, 160);
    world->window = sim_one_in(world, 2) ? 1000 : sim_between(world, 5, 60);
    world->scheduler_count = (int)sim_between(world, 1, 2);
    world->process_count = world->scheduler_count + (int)sim_between(world, 1, 3);
    world->catalog_count = (int)sim_between(world, 1, 3);
    for (int c = 0; c < world->catalog_count; c++) {
        write_catalog(world, &world->catalogs[c], c);
        (void)sim_at(world, NULL, sim_between(world, 0, 20000), push, NULL, &world->catalogs[c]);
    }
    for (int i = 0; i < world->process_count; i++) {
        struct sim_process *process = &world->processes[i];
        *process = (struct sim_process){.world = world, .index = i, .is_worker = i >= world->scheduler_count};
        sim_process_start(process);
    }
    start_chaos(world);
    if (!world->faults.flush_every_ms && !world->faults.rollback_every_ms) add_bare_urls(world);
}

static void heal(struct sim_world *world) {
    world->healed = true;
    world->mongo_down = false;
    if (world->redis_down) sim_redis_set_down(world, false);
    for (int i = 0; i < world->process_count; i++) {
        if (!world->processes[i].alive) sim_process_start(&world->processes[i]);
    }
}

static void destroy_world(struct sim_world *world) {
    for (int i = 0; i < world->process_count; i++) {
        if (world->processes[i].alive) sim_process_crash(&world->processes[i]);
        destroy_role(&world->processes[i]);
    }
    for (int c = 0; c < world->catalog_count; c++)
        gri_bytes_clear(&world->catalogs[c].text);
    gri_bytes_clear(&world->rules_body);
    sim_redis_destroy(world->redis);
    sim_mongo_destroy(world->mongo);
    free(world->heap);
}

/* Drained: nothing pending in the ledger, and Redis empty. */
static bool is_drained(const struct sim_world *world) {
    char left[200];
    return sim_mongo_is_drained(world->mongo) && *sim_redis_leftovers(world->redis, left) == '\0';
}

/* Chaos, healing, draining, the oracle. Returns violations. */
static int history(uint64_t seed, const struct gri_crypto *crypto, const struct gri_bytes *rules, struct sim_world *world,
                   bool verbose) {
    create_world(world, seed, crypto, rules);
    while (sim_step(world, CHAOS_MS)) {}
    world->now_ms = CHAOS_MS;
    heal(world);
    int64_t until = CHAOS_MS;
    while (!is_drained(world) && until < HEAL_LIMIT_MS) {
        until += POLL_MS;
        while (sim_step(world, until)) {}
        world->now_ms = until;
    }
    int bad = sim_oracle(world);
    if (until >= HEAL_LIMIT_MS) {
        printf("seed %llu: not drained after %d virtual minutes\n", (unsigned long long)seed, HEAL_LIMIT_MS / 60000);
        bad++;
    }
    if (verbose || bad)
        printf("seed %llu: %d processes, %d catalogs, window %lld; %lld lost requests, %lld crashes, %lld pauses, %lld outages, "
               "%lld flushes, "
               "%lld rollbacks; drained %lld s after healing; %d violations\n",
               (unsigned long long)seed, world->process_count, world->catalog_count, (long long)world->window,
               (long long)world->lost, (long long)world->crashes, (long long)world->pauses, (long long)world->outages,
               (long long)world->flushes, (long long)world->rollbacks, (long long)((until - CHAOS_MS) / 1000), bad);
    if (bad) sim_redis_print(world->redis, world->now_ms);
    destroy_world(world);
    return bad;
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"seeds", required_argument, NULL, 'n'},
                                            {"seed", required_argument, NULL, 's'},
                                            {"verbose", no_argument, NULL, 'v'},
                                            {0}};
    uint64_t seeds = 500, first = 1;
    bool verbose = false;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'n')
            seeds = strtoull(optarg, NULL, 10);
        else if (option == 's')
            first = strtoull(optarg, NULL, 10), seeds = 1, verbose = true;
        else if (option == 'v')
            verbose = true;
        else
            return 2;
    }
    struct gri_error error;
    struct gri_bytes rules;
    char id[GRI_PIPELINE_MAX];
    const struct gri_crypto *crypto = gri_crypto_create(&error);
    gri_bytes_init(&rules, 0);
    GRI_ASSERT(crypto && gri_ruleset_body(NULL, NULL, crypto, &rules, id, &error) == GRI_OK);
    struct sim_world *world = gri_calloc(1, sizeof *world);
    uint64_t failed = 0;
    int64_t faults = 0;
    clock_t began = clock();
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        failed += history(seed, crypto, &rules, world, verbose) > 0;
        faults += world->lost + world->crashes + world->pauses + world->outages + world->flushes + world->rollbacks;
        if (failed >= 5) break;
    }
    double seconds = (double)(clock() - began) / CLOCKS_PER_SEC;
    printf("simulation: %llu histories, %lld faults, %.0f histories a second\n%llu passed, %llu failed\n",
           (unsigned long long)seeds, (long long)faults, (double)seeds / (seconds > 0 ? seconds : 1),
           (unsigned long long)(seeds - failed), (unsigned long long)failed);
    free(world);
    gri_bytes_clear(&rules);
    return failed > 0;
}
