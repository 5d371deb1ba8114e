/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated world: one virtual clock, one random sequence, a Redis, a MongoDB and an origin that delay, lose and repeat, and
 * processes (schedulers, workers) that pause and crash; all by a seed.
 *
 * A request to a port is executed at a random time after it was submitted and answered at a later one. It may be lost (never
 * executed), or its answer may be (executed, wholly or, for bulks, in part); both end as class retry, outcome unknown. When a
 * process crashes, each of its requests under way is executed or not by chance, its answers are dropped, and its state machine is
 * destroyed. A paused process hears everything late. Threads: one. */
#ifndef GRI_SIM_H
#define GRI_SIM_H

#include <grisaille/codec.h>
#include <grisaille/crypto.h>
#include <grisaille/executor.h>
#include <grisaille/fetcher.h>
#include <grisaille/ledger.h>
#include <grisaille/store.h>
#include <grisaille/stream.h>

enum { SIM_PROCESSES_MAX = 8, SIM_LINES_MAX = 400, SIM_CATALOGS_MAX = 4 };

struct sim_world;
struct sim_process;

/* --- events ------------------------------------------------------------------------------------------------------- */

struct sim_event {
    int64_t at;
    uint64_t seq;
    struct sim_process *process; /* NULL: the world's own */
    uint64_t life;               /* of the process it was made for: a crash makes it void */
    void (*run)(void *arg);
    void (*drop)(void *arg); /* instead of run when void; may be NULL */
    void *arg;
};

/* Runs run(arg) at now + after_ms. `process` NULL for the world itself. Returns the event's number, for sim_cancel. */
uint64_t sim_at(struct sim_world *world, struct sim_process *process, int64_t after_ms, void (*run)(void *), void (*drop)(void *),
                void *arg);
void sim_cancel(struct sim_world *world, uint64_t seq);
/* Takes the next event; false when there is none or it lies past `until_ms`. */
bool sim_step(struct sim_world *world, int64_t until_ms);

uint64_t sim_random(struct sim_world *world);
/* Uniform in [low, high]. */
int64_t sim_between(struct sim_world *world, int64_t low, int64_t high);
/* True once in `n` on average; n 0: never. */
bool sim_one_in(struct sim_world *world, int64_t n);

/* --- processes ---------------------------------------------------------------------------------------------------- */

struct gri_scheduler;
struct gri_worker;

struct sim_process {
    struct sim_world *world;
    int index;
    bool is_worker, alive, draining;
    uint64_t life; /* rises with each start */
    int64_t paused_until_ms;
    char name[GRI_WORKER_MAX];
    /* its ports */
    struct gri_loop loop;
    struct gri_executor cpu;
    struct gri_stream stream;
    struct gri_ledger ledger;
    struct gri_store store;
    struct gri_fetcher fetcher;
    struct gri_codec codec;
    struct sim_request *requests; /* under way */
    struct gri_timer *timers;
    char known_epoch[24]; /* what its stream adapter last saw; "" never connected */
    bool stream_up, stream_open;
    struct gri_scheduler *scheduler;
    struct gri_worker *worker;
};

void sim_process_start(struct sim_process *process);
void sim_process_crash(struct sim_process *process);
void sim_process_pause(struct sim_process *process, int64_t ms);
void sim_process_loop_init(struct sim_process *process);

/* --- requests ----------------------------------------------------------------------------------------------------- */

enum sim_server { SIM_REDIS, SIM_MONGO, SIM_ORIGIN };

/* Does the work of a request at the moment it reaches its server. `part`: only some of a bulk are to be done (by chance). May set
 * status and error of the op itself (a permanent refusal). Returns ms after which to look again (a blocked read), or 0: done. */
typedef int64_t sim_execute(struct sim_process *process, struct gri_op *op, bool part);

struct sim_request {
    struct sim_request *next, *previous;
    struct sim_process *process;
    enum sim_server server;
    struct gri_op *op;
    sim_execute *execute;
    bool lose, cut, part, executed, hurried;
    uint64_t seq; /* of its next event */
};

/* Sends it on its way. */
void sim_submit(struct sim_process *process, enum sim_server server, struct gri_op *op, sim_execute *execute);
/* The answer of `op` comes soon (cancel). */
void sim_hurry(struct sim_process *process, struct gri_op *op);
bool sim_is_hurried(struct sim_process *process, struct gri_op *op);

/* --- the world ------------------------------------------------------------------------------------------------------ */

/* How hard this history is: one in n, 0 never. */
struct sim_faults {
    int64_t lose_redis, lose_mongo, crash_every_ms, pause_every_ms, outage_every_ms, flush_every_ms, rollback_every_ms;
};

struct sim_catalog {
    char id[GRI_CATALOG_ID_MAX];
    struct gri_bytes text;
    int64_t lines;
    int64_t pushed_at_ms;
};

struct sim_redis;
struct sim_mongo;

struct sim_world {
    uint64_t seed, random, next_seq;
    int64_t now_ms;
    struct sim_event *heap;
    size_t heap_count, heap_cap;
    const struct gri_crypto *crypto;
    struct sim_process processes[SIM_PROCESSES_MAX];
    int process_count, scheduler_count;
    struct sim_redis *redis;
    struct sim_mongo *mongo;
    struct sim_faults faults;
    bool healed; /* no more faults: everything must come to its end */
    bool redis_down, mongo_down;
    struct sim_catalog catalogs[SIM_CATALOGS_MAX];
    int catalog_count;
    int urls; /* distinct URLs of the origin's numbering */
    int64_t window;
    /* counted for the summary */
    int64_t crashes, pauses, outages, flushes, rollbacks, lost;
    const char *rules_id;
    struct gri_bytes rules_body;
};

struct sim_redis *sim_redis_create(void);
void sim_redis_destroy(struct sim_redis *redis);
void sim_redis_ops(struct sim_process *process);
void sim_redis_flush(struct sim_world *world);
/* Keeps a copy of all / goes back to it (what a restart with a cut append-only file does). */
void sim_redis_snapshot(struct sim_world *world);
void sim_redis_rollback(struct sim_world *world);
void sim_redis_add_url(struct sim_world *world, const char *url);
/* Tells every connected process that the connection is gone / is back. */
void sim_redis_set_down(struct sim_world *world, bool down);
/* "" when streams, pending lists and inflight are empty, else what is not. */
const char *sim_redis_leftovers(const struct sim_redis *redis, char out[200]);
/* What is left, entry by entry, for whoever replays a failing seed. */
void sim_redis_print(const struct sim_redis *redis, int64_t now_ms);
int64_t sim_redis_inflight(const struct sim_redis *redis);

struct sim_mongo *sim_mongo_create(void);
void sim_mongo_destroy(struct sim_mongo *mongo);
void sim_ledger_ops(struct sim_process *process);
void sim_store_ops(struct sim_process *process);
void sim_mongo_push(struct sim_world *world, const struct sim_catalog *catalog);
/* Everything that was pushed is finished. */
bool sim_mongo_is_drained(const struct sim_mongo *mongo);

void sim_origin_ops(struct sim_process *process);
/* URL number n of the origin, and what must become of it. */
void sim_origin_url(int n, char out[128]);
enum sim_fate { SIM_DONE, SIM_DEAD, SIM_EITHER };
enum sim_fate sim_origin_fate(const char *url);

/* --- the oracle ----------------------------------------------------------------------------------------------------- */

/* Checks the promises of docs/protocol.md on a drained world; prints each violation and returns how many there are. */
int sim_oracle(struct sim_world *world);

#endif
