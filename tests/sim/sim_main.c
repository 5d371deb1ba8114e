/* SPDX-License-Identifier: Apache-2.0 */
/* grisaille-sim [--seeds N] [--first K] [--seed K] [--file FILE] [--stop-at N] [--plain] [--hashes] [--verbose]: whole histories
 * of schedulers and workers on simulated servers and time, each checked against the oracle at every step and at its end.
 *   --seeds N    N histories (500), from seed K of --first on (1)
 *   --seed K     this one alone, verbose: replays it
 *   --file FILE  first the seeds listed there, one a line (regressions); "SEED plain": that one without, see below
 *   --stop-at N  after N failing histories (5)
 *   --plain      without deletions, takedowns, retention and jobs that linger: what a seed was before there was any of it
 *   --hashes     prints the hash of each history's whole trace, and runs each twice: the two must be equal
 * A failing seed is printed. Exit status 1 when one failed. */
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "job_key.h"
#include "rules.h"
#include "sim.h"
#include "sim_mongo.h"

enum { HEAL_LIMIT_MS = 20 * 60 * 1000, POLL_MS = 1000 };

struct tally {
    uint64_t histories, failed;
    int64_t faults, lost, isolated, poisoned, healed_images, struck[SIM_FAULTS], slowest_ms;
    int64_t deletions, takedowns, expired, fetched_again, lingered;
};

static const char *const bad_lines[SIM_BAD_LINES] = {
    "", "# a comment", "picsum.photos/200/300", "htps://good.example/ok/1", "https:///ok/1", "https://a:b@good.example/ok/1"};

/* --- what all histories share --- */

static void make_base(struct sim_base *base) {
    struct gri_error error;
    struct gri_ruleset *rules;
    struct gri_verdict *verdict = gri_calloc(1, sizeof *verdict);
    char id[GRI_PIPELINE_MAX];
    sim_crypto_init(&base->crypto);
    gri_bytes_init(&base->rules_body, 0);
    GRI_ASSERT(gri_ruleset_body(NULL, NULL, &base->crypto, &base->rules_body, id, &error) == GRI_OK);
    GRI_ASSERT(gri_ruleset_compile(gri_bytes_slice(&base->rules_body), &rules, &error) == GRI_OK);
    for (int n = 0; n < SIM_FLAVOURS * SIM_URLS; n++) {
        char url[96];
        sim_origin_url(n % SIM_URLS, n / SIM_URLS, url);
        gri_ruleset_judge(rules, gri_slice_of(url), verdict);
        GRI_ASSERT(verdict->kind == GRI_LINE_URL);
        (void)gri_copy(base->urls[n], sizeof base->urls[n], verdict->url);
        gri_job_key(&base->crypto, verdict->url, NULL, "gray", base->keys[n]);
    }
    for (int i = 0; i < SIM_BAD_LINES; i++) {
        gri_ruleset_judge(rules, gri_slice_of(bad_lines[i]), verdict);
        GRI_ASSERT(verdict->kind != GRI_LINE_URL);
        base->bad_is_blank[i] = verdict->kind == GRI_LINE_BLANK;
    }
    for (int c = 0; c < SIM_CATALOGS_MAX; c++)
        (void)gri_format(base->catalog_ids[c], sizeof base->catalog_ids[c], "%024d", c + 1);
    base->mongo = sim_mongo_create();
    gri_ruleset_free(rules);
    free(verdict);
}

static void free_base(struct sim_base *base) {
    gri_bytes_clear(&base->rules_body);
    sim_mongo_destroy(base->mongo);
    sim_free_requests(base);
    sim_free_timers(base);
    free(base->events);
    free(base->heap);
    free(base->free_places);
    free(base);
}

const char *sim_url(const struct sim_world *world, int n) {
    return world->base->urls[world->flavour * SIM_URLS + n];
}

const char *sim_key(const struct sim_world *world, int n) {
    return world->base->keys[world->flavour * SIM_URLS + n];
}

/* --- one history --- */

static void write_catalog(struct sim_world *world, struct sim_catalog *catalog, int number) {
    catalog->world = world;
    (void)gri_copy(catalog->id, sizeof catalog->id, world->base->catalog_ids[number]);
    gri_bytes_init(&catalog->text, 1024 * 1024);
    catalog->lines = sim_between(world, 1, SIM_LINES_MAX);
    catalog->chunk_lines = sim_between(world, 3, 40);
    catalog->retry_dead = sim_one_in(world, 5);
    for (int64_t i = 0; i < catalog->lines; i++) {
        bool bad = sim_one_in(world, 8);
        int n = bad ? (int)(sim_random(world) % SIM_BAD_LINES) : (int)sim_between(world, 0, world->urls - 1);
        catalog->urls[i] = !bad ? n : world->base->bad_is_blank[n] ? SIM_LINE_BLANK : SIM_LINE_BAD;
        gri_bytes_put(&catalog->text, bad ? bad_lines[n] : sim_url(world, n));
        gri_bytes_put(&catalog->text, "\n");
    }
    GRI_ASSERT(!gri_bytes_failed(&catalog->text));
}

static void push(void *arg) {
    struct sim_catalog *catalog = arg;
    sim_mongo_push(catalog->world, catalog);
}

/* Bare URLs come only where Redis can't lose them: a URL that no scheduler has read yet is the one thing Redis alone holds. */
static void add_bare_url(void *arg) {
    struct sim_world *world = arg;
    int n = sim_one_in(world, 10) ? SIM_LINE_BAD : (int)sim_between(world, 0, world->urls - 1);
    world->bare[world->bare_count++] = n;
    sim_redis_add_url(world, n == SIM_LINE_BAD ? "no-url" : sim_url(world, n));
}

static void create_world(struct sim_world *world, struct sim_base *base, uint64_t seed, bool quiet, bool plain) {
    *world = (struct sim_world){
        .base = base, .seed = seed, .random = seed * UINT64_C(0x2545F4914F6CDD1D) + 1, .now_ms = 1000, .quiet = quiet};
    world->redis = sim_redis_create();
    world->mongo = base->mongo;
    sim_mongo_reset(world->mongo);
    sim_swarm_size(world);
    sim_steer_size(world, plain);
    for (int c = 0; c < world->catalog_count; c++) {
        write_catalog(world, &world->catalogs[c], c);
        (void)sim_at(world, NULL, sim_between(world, 0, world->chaos_ms * 2 / 3), push, &world->catalogs[c]);
    }
    for (int i = 0; i < world->process_count; i++) {
        struct sim_process *process = &world->processes[i];
        *process = (struct sim_process){.world = world, .index = i, .is_worker = i >= world->scheduler_count};
        sim_process_start(process);
    }
    sim_swarm_start(world);
    sim_steer_start(world);
    if (sim_has_fault(world, SIM_FLUSH) || sim_has_fault(world, SIM_ROLLBACK)) return;
    for (int64_t i = sim_between(world, 0, SIM_BARE_MAX); i > 0; i--)
        (void)sim_at(world, NULL, sim_between(world, 0, world->chaos_ms * 2 / 3), add_bare_url, world);
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
    for (int i = 0; i < world->process_count; i++)
        sim_process_destroy(&world->processes[i]);
    for (int c = 0; c < world->catalog_count; c++)
        gri_bytes_clear(&world->catalogs[c].text);
    sim_redis_destroy(world->redis);
}

/* Drained: nothing pending in the ledger, and Redis empty. */
static bool is_drained(const struct sim_world *world) {
    char left[200];
    return sim_mongo_is_drained(world->mongo) && sim_steer_is_settled(world) && *sim_redis_leftovers(world->redis, left) == '\0';
}

static void describe(const struct sim_world *world, int64_t took_ms) {
    printf("seed %llu: trace %016llx; %d processes, %d catalogs, window %lld, lease %lld s, %lld s of faults: %lld lost requests",
           (unsigned long long)world->seed, (unsigned long long)world->trace, world->process_count, world->catalog_count,
           (long long)world->window, (long long)(world->lease_ms / 1000), (long long)(world->chaos_ms / 1000),
           (long long)world->lost);
    for (int kind = 0; kind < SIM_FAULTS; kind++)
        if (world->struck[kind]) printf(", %lld %s", (long long)world->struck[kind], sim_fault_name((enum sim_fault)kind));
    printf("; drained %lld s after healing; %d violations\n", (long long)(took_ms / 1000), world->violations);
}

struct options {
    uint64_t seeds, first, stop_at;
    const char *file;
    bool hashes, verbose, plain;
};

/* Chaos, healing, draining, the oracle. Returns the hash of the trace. */
static uint64_t history(struct sim_base *base, uint64_t seed, const struct options *options, bool quiet, struct tally *tally) {
    static struct sim_world storage; /* too large for a stack */
    struct sim_world *world = &storage;
    create_world(world, base, seed, quiet, options->plain);
    while (sim_step(world, world->chaos_ms)) {}
    world->now_ms = world->chaos_ms;
    heal(world);
    int64_t until = world->chaos_ms, limit = until + HEAL_LIMIT_MS;
    while (!is_drained(world) && until < limit) {
        until += POLL_MS;
        while (sim_step(world, until)) {}
        world->now_ms = until;
    }
    if (until >= limit) sim_violation(world, "not drained after %d virtual minutes", HEAL_LIMIT_MS / 60000);
    sim_oracle(world);
    int64_t took = until - world->chaos_ms;
    if (!quiet && (options->verbose || world->violations)) describe(world, took);
    if (!quiet && world->violations) {
        sim_redis_print(world->redis, world->now_ms);
        (void)fflush(stdout);
    }
    tally->histories++;
    tally->failed += world->violations > 0;
    tally->lost += world->lost;
    tally->isolated += world->isolated;
    tally->poisoned += world->poisoned;
    tally->healed_images += world->healed_images;
    tally->faults += world->lost + world->poisoned;
    tally->deletions += world->steering.struck_deletions;
    tally->takedowns += world->steering.struck_takedowns;
    tally->expired += world->steering.expired;
    tally->fetched_again += world->steering.fetched_again;
    tally->lingered += world->steering.lingered;
    for (int kind = 0; kind < SIM_FAULTS; kind++) {
        tally->struck[kind] += world->struck[kind];
        tally->faults += world->struck[kind];
    }
    if (took > tally->slowest_ms) tally->slowest_ms = took;
    destroy_world(world);
    return world->trace;
}

/* --- runs --- */

static void run_seed(struct sim_base *base, uint64_t seed, const struct options *options, struct tally *tally) {
    uint64_t hash = history(base, seed, options, false, tally);
    if (!options->hashes) return;
    struct tally unused = {0};
    printf("seed %llu hash %016llx\n", (unsigned long long)seed, (unsigned long long)hash);
    if (history(base, seed, options, true, &unused) == hash) return;
    printf("seed %llu: another trace the second time\n", (unsigned long long)seed);
    tally->failed++;
}

static bool run_file(struct sim_base *base, const struct options *options, struct tally *tally) {
    char line[256];
    FILE *file = fopen(options->file, "r");
    if (!file) {
        fprintf(stderr, "grisaille-sim: no file %s\n", options->file);
        return false;
    }
    while (fgets(line, sizeof line, file)) {
        char *end;
        uint64_t seed = strtoull(line, &end, 10);
        struct options own = *options;
        own.plain = options->plain || strncmp(end, " plain", 6) == 0;
        if (end != line && tally->failed < options->stop_at) run_seed(base, seed, &own, tally);
    }
    (void)fclose(file);
    return true;
}

static void print_tally(const struct tally *tally, double seconds) {
    printf("simulation: %llu histories, %lld faults (%lld lost requests", (unsigned long long)tally->histories,
           (long long)tally->faults, (long long)tally->lost);
    for (int kind = 0; kind < SIM_FAULTS; kind++)
        printf(", %lld %s", (long long)tally->struck[kind], sim_fault_name((enum sim_fault)kind));
    printf(", %lld ends by poison; %lld jobs isolated, %lld images healed)\n%lld catalogs deleted, %lld takedowns, %lld images "
           "expired, %lld URLs fetched again for a stub, %lld reads beyond the slots\nslowest to drain: %lld virtual s; %.0f s "
           "of CPU, "
           "%.0f histories a CPU second\n",
           (long long)tally->poisoned, (long long)tally->isolated, (long long)tally->healed_images, (long long)tally->deletions,
           (long long)tally->takedowns, (long long)tally->expired, (long long)tally->fetched_again, (long long)tally->lingered,
           (long long)(tally->slowest_ms / 1000), seconds, (double)tally->histories / (seconds > 0 ? seconds : 1));
    printf("%llu passed, %llu failed\n", (unsigned long long)(tally->histories - tally->failed),
           (unsigned long long)tally->failed);
}

int main(int argc, char **argv) {
    static const struct option names[] = {{"seeds", required_argument, NULL, 'n'},
                                          {"first", required_argument, NULL, 'f'},
                                          {"seed", required_argument, NULL, 's'},
                                          {"file", required_argument, NULL, 'r'},
                                          {"stop-at", required_argument, NULL, 'x'},
                                          {"hashes", no_argument, NULL, 'h'},
                                          {"verbose", no_argument, NULL, 'v'},
                                          {"plain", no_argument, NULL, 'p'},
                                          {0}};
    struct options options = {.seeds = 500, .first = 1, .stop_at = 5};
    bool one = false;
    for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        if (option == 'n')
            options.seeds = strtoull(optarg, NULL, 10);
        else if (option == 'f')
            options.first = strtoull(optarg, NULL, 10);
        else if (option == 's')
            options.first = strtoull(optarg, NULL, 10), one = options.verbose = true;
        else if (option == 'r')
            options.file = optarg;
        else if (option == 'x')
            options.stop_at = strtoull(optarg, NULL, 10);
        else if (option == 'h')
            options.hashes = true;
        else if (option == 'v')
            options.verbose = true;
        else if (option == 'p')
            options.plain = true;
        else
            return 2;
    }
    if (one) options.seeds = 1, options.file = NULL;
    (void)mallopt(M_MMAP_THRESHOLD, 64 << 20); /* each history frees all it has: don't give it back to the system between */
    (void)mallopt(M_TRIM_THRESHOLD, 256 << 20);
    struct sim_base *base = gri_calloc(1, sizeof *base);
    struct tally tally = {0};
    make_base(base);
    clock_t began = clock();
    bool ok = !options.file || run_file(base, &options, &tally);
    for (uint64_t i = 0; ok && i < options.seeds && tally.failed < options.stop_at; i++)
        run_seed(base, options.first + i, &options, &tally);
    print_tally(&tally, (double)(clock() - began) / CLOCKS_PER_SEC);
    free_base(base);
    return !ok || tally.failed > 0;
}
