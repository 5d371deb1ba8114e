/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated world: one virtual clock, one random sequence, a Redis, a MongoDB and an origin that delay, lose and repeat, and
 * processes (schedulers, workers) that pause, drain and crash; all by a seed.
 *
 * A request to a port is executed at a random time after it was submitted and answered at a later one. It may be lost (never
 * executed), or its answer may be (executed, wholly or, for bulks, in part); both end as class retry, outcome unknown. When a
 * process crashes, each of its requests under way is executed or not by chance, its answers are dropped, and its state machine is
 * destroyed. A paused process hears everything late. Threads: one. docs/simulation.md is its manual. */
#ifndef GRI_SIM_H
#define GRI_SIM_H

#include <grisaille/codec.h>
#include <grisaille/crypto.h>
#include <grisaille/executor.h>
#include <grisaille/fetcher.h>
#include <grisaille/isolator.h>
#include <grisaille/ledger.h>
#include <grisaille/store.h>
#include <grisaille/stream.h>

enum {
    SIM_PROCESSES_MAX = 8,
    SIM_CATALOGS_MAX = 4,
    SIM_LINES_MAX = 60, /* of a catalog */
    SIM_URLS = 160,     /* distinct URLs of the origin's numbering */
    SIM_SHUT = 1,
    SIM_POISONED = 2,
    SIM_FLAVOURS = 4,
    SIM_BARE_MAX = 24,
    SIM_HOST_CONCURRENCY = 8,
    SIM_BAD_LINES = 6
};

/* Requests and timers are kept and used again, except where a sanitizer is to see who uses one that is over. */
#ifdef __SANITIZE_ADDRESS__
enum { SIM_POOLED = 0 };
#else
enum { SIM_POOLED = 1 };
#endif

struct sim_world;
struct sim_base;
struct sim_process;

typedef uint64_t sim_short_key;

/* --- events ------------------------------------------------------------------------------------------------------- */

struct sim_event {
    uint64_t seq;                /* 0: the place is free */
    struct sim_process *process; /* NULL: the world's own */
    uint64_t life;               /* of the process it was made for: a crash makes it void */
    void (*run)(void *arg);      /* NULL: cancelled */
    void *arg;
};

struct sim_event_ref {
    int64_t at;
    uint64_t seq;
    uint32_t place;
};

/* Runs run(arg) at now + after_ms. `process` NULL for the world itself. Returns a handle for sim_cancel. */
uint64_t sim_at(struct sim_world *world, struct sim_process *process, int64_t after_ms, void (*run)(void *), void *arg);
void sim_cancel(struct sim_world *world, uint64_t handle);
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
    bool doomed;   /* what it decodes ends it */
    uint64_t life; /* rises with each start and end */
    int64_t owner; /* the consumer's name, as a number: of this life alone */
    bool stranded; /* Redis may hold entries for it that it does not know of, or no longer */
    int64_t drain_at_ms, paused_ms, paused_until_ms;
    char name[GRI_WORKER_MAX];
    /* its ports */
    struct gri_loop loop;
    struct gri_executor cpu;
    struct gri_stream stream;
    struct gri_ledger ledger;
    struct gri_store store;
    struct gri_fetcher fetcher;
    struct gri_codec codec;
    struct gri_isolator isolator;
    struct sim_request *requests; /* under way */
    struct gri_timer *timers;
    char known_epoch[24];                 /* what its stream adapter last saw; "" never connected */
    bool stream_up, stream_open, told_up; /* told_up: the state machine thinks that it is connected */
    struct gri_scheduler *scheduler;
    struct gri_worker *worker;
};

void sim_process_start(struct sim_process *process);
/* SIGKILL; started again some seconds later. */
void sim_process_kill(struct sim_process *process);
/* SIGTERM: drains, ends, is started again; killed where the drain takes longer than its grace. */
void sim_process_drain(struct sim_process *process);
/* The end of a history. */
void sim_process_destroy(struct sim_process *process);
/* sim_world.c: what a crash does to its requests and events; the state machine is the caller's to destroy. */
void sim_process_cut_off(struct sim_process *process);
void sim_process_pause(struct sim_process *process, int64_t ms);
void sim_process_loop_init(struct sim_process *process);

/* --- requests ----------------------------------------------------------------------------------------------------- */

enum sim_server { SIM_REDIS, SIM_MONGO, SIM_ORIGIN, SIM_SERVERS };

/* Does the work of a request at the moment it reaches its server. `part`: only some of a bulk are to be done (by chance). May set
 * status and error of the op itself (a refusal). Returns ms after which to look again (a blocked read), or 0: done. */
typedef int64_t sim_execute(struct sim_process *process, struct gri_op *op, bool part);

struct sim_request {
    struct sim_request *next, *previous;
    struct sim_process *process;
    enum sim_server server;
    struct gri_op *op;
    sim_execute *execute;
    bool lose, cut, part, executed, hurried, parked;
    uint64_t event;
};

/* Free what a lost answer holds, and set it to nothing. */
void sim_redis_discard(struct gri_op *op, sim_execute *execute);
void sim_ledger_discard(struct gri_op *op, sim_execute *execute);

/* Sends it on its way. */
void sim_submit(struct sim_process *process, enum sim_server server, struct gri_op *op, sim_execute *execute);
/* The answer of `op` comes soon (cancel). */
void sim_hurry(struct sim_process *process, struct gri_op *op);
bool sim_is_hurried(struct sim_process *process, struct gri_op *op);
/* The blocked reads of the workers, or of the schedulers, look again. */
void sim_wake_readers(struct sim_world *world, bool workers);
void sim_free_requests(struct sim_base *base);
void sim_free_timers(struct sim_base *base);
/* The process's connection to Redis breaks: what is under way ends as lost or cut. */
void sim_break_redis(struct sim_process *process);

/* --- the world ------------------------------------------------------------------------------------------------------ */

/* Kinds of fault that strike again and again; loss of requests and answers comes on top. sim_swarm.c has the table. */
enum sim_fault {
    SIM_CRASH,
    SIM_DRAIN,
    SIM_PAUSE,
    SIM_OUTAGE,
    SIM_SLOW,
    SIM_FLUSH,
    SIM_ROLLBACK,
    SIM_TAMPER,
    SIM_LEASE_LOSS,
    SIM_CLOCK_JUMP,
    SIM_CANCEL,
    SIM_DAMAGE,
    SIM_FAULTS
};

struct sim_chaos {
    struct sim_world *world;
    enum sim_fault kind;
    int64_t every_ms; /* on average; 0: never in this history */
};

struct sim_catalog {
    struct sim_world *world;
    char id[GRI_CATALOG_ID_MAX];
    struct gri_bytes text;
    int64_t lines, chunk_lines;
    int urls[SIM_LINES_MAX]; /* of each line: its number at the origin, or SIM_LINE_BAD, SIM_LINE_BLANK */
    bool retry_dead;
};
enum { SIM_LINE_BAD = -1, SIM_LINE_BLANK = -2 };

/* What one history does not change, and the memory that is used again. */
struct sim_base {
    struct gri_crypto crypto;
    struct gri_bytes rules_body;
    char urls[SIM_FLAVOURS * SIM_URLS][96], keys[SIM_FLAVOURS * SIM_URLS][GRI_KEY_MAX]; /* URL n of each flavour */
    bool bad_is_blank[SIM_BAD_LINES];
    char catalog_ids[SIM_CATALOGS_MAX][GRI_CATALOG_ID_MAX];
    struct sim_mongo *mongo;
    struct sim_request *free_requests;
    struct gri_timer *free_timers;
    struct sim_event *events;
    struct sim_event_ref *heap;
    uint32_t *free_places;
    size_t event_cap;
};

/* sim_crypto.c: quick sums. */
void sim_crypto_init(struct gri_crypto *crypto);

struct sim_redis;
struct sim_mongo;

/* sim_steer.c: what is there beside the faults, by random numbers of its own. */
struct sim_steering {
    uint64_t random;
    size_t lingering; /* jobs of a worker that may wait for slow hosts beside its slots */
    int deletions, takedowns;
    int64_t keep_images_ms, keep_catalogs_ms; /* retention; 0: for ever */
    int64_t settle_ms;                        /* until who had an image in hand has linked it */
    int64_t struck_deletions, struck_takedowns, expired, fetched_again, lingered;
};

struct sim_world {
    struct sim_base *base;
    uint64_t seed, random, next_seq, trace;
    int64_t now_ms;
    size_t heap_count, place_count, free_count;
    struct sim_process processes[SIM_PROCESSES_MAX];
    int process_count, scheduler_count;
    int64_t owners;
    struct sim_redis *redis;
    struct sim_mongo *mongo;
    struct sim_chaos chaos[SIM_FAULTS];
    struct sim_steering steering;
    int64_t lose_redis, lose_mongo; /* one in n, 0 never */
    int64_t chaos_ms;               /* how long faults go on */
    bool healed;                    /* no more faults: everything must come to its end */
    bool redis_down, mongo_down;
    int64_t slow_until_ms[SIM_SERVERS], wall_offset_ms;
    struct sim_catalog catalogs[SIM_CATALOGS_MAX];
    int catalog_count;
    int bare[SIM_BARE_MAX]; /* URL numbers, SIM_LINE_BAD for rubbish */
    int bare_count;
    /* swarm: the size of everything */
    int urls;
    int flavour; /* SIM_SHUT: some host says 429 for ever; SIM_POISONED: some pictures end who decodes them */
    int64_t window, lease_ms;
    size_t slots, worker_batch, scheduler_batch, chunk_slots, outstanding;
    int64_t per_second; /* budget of a host, 0 none */
    int violations;
    bool quiet; /* count violations, don't print them */
    int64_t lost, isolated, poisoned, healed_images, struck[SIM_FAULTS];
};

/* sim_swarm.c: this history's sizes and its mix of faults. */
void sim_swarm_size(struct sim_world *world);
void sim_swarm_start(struct sim_world *world);
const char *sim_fault_name(enum sim_fault kind);
bool sim_has_fault(const struct sim_world *world, enum sim_fault kind);

/* sim_steer.c: deletions, takedowns and retention. `plain`: none of it, nor jobs that linger. */
void sim_steer_size(struct sim_world *world, bool plain);
void sim_steer_start(struct sim_world *world);
/* Pictures may go in this history. */
bool sim_steer_removes(const struct sim_world *world);
/* All that was asked for has been done. */
bool sim_steer_is_settled(const struct sim_world *world);
void sim_steer_check(struct sim_world *world);

/* sim_redis.c, sim_redis_faults.c */
struct sim_redis *sim_redis_create(void);
void sim_redis_destroy(struct sim_redis *redis);
void sim_redis_ops(struct sim_process *process);
void sim_redis_flush(struct sim_world *world);
/* Keeps a copy of all / goes back to it (what a restart with a cut append-only file does). */
void sim_redis_snapshot(struct sim_world *world);
void sim_redis_rollback(struct sim_world *world);
/* Somebody's XDEL, XTRIM, DEL, HDEL; never of a bare URL, which only Redis holds. */
void sim_redis_tamper(struct sim_world *world);
void sim_redis_add_url(struct sim_world *world, const char *url);
/* Tells every connected process that the connection is gone / is back. */
void sim_redis_set_down(struct sim_world *world, bool down);
/* "" when streams, pending lists and inflight are empty, else what is not. */
const char *sim_redis_leftovers(const struct sim_redis *redis, char out[200]);
/* What is left, entry by entry, for whoever replays a failing seed. */
void sim_redis_print(const struct sim_redis *redis, int64_t now_ms);
/* Entries of its stream that stand as pending for this process. */
int64_t sim_redis_pending_of(const struct sim_process *process);

/* sim_mongo.c, sim_images.c */
struct sim_mongo *sim_mongo_create(void);
void sim_mongo_reset(struct sim_mongo *mongo);
void sim_mongo_destroy(struct sim_mongo *mongo);
void sim_ledger_ops(struct sim_process *process);
void sim_store_ops(struct sim_process *process);
void sim_mongo_push(struct sim_world *world, const struct sim_catalog *catalog);
/* Someone cancels a catalog. */
void sim_mongo_cancel(struct sim_world *world, int catalog);
/* The scrub finds a stored picture damaged, and marks it. */
void sim_mongo_damage(struct sim_world *world);
/* All leases are over at once, whoever thinks to hold one. */
void sim_mongo_lose_leases(struct sim_world *world);
/* Everything that was pushed is finished. */
bool sim_mongo_is_drained(const struct sim_mongo *mongo);

void sim_origin_ops(struct sim_process *process);
/* URL number n of the origin, and what must become of it. */
void sim_origin_url(int n, int flavour, char out[96]);
/* What the origin says to fetch->url, and what the toy codec makes of it. */
void sim_origin_answer(struct sim_world *world, struct gri_fetch *fetch);
enum gri_status sim_make_picture(struct gri_slice source, struct gri_picture *out, struct gri_error *error);
/* sim_isolator.c */
void sim_isolator_ops(struct sim_process *process);
enum sim_fate { SIM_DONE, SIM_DEAD, SIM_EITHER };
enum sim_fate sim_origin_fate(const struct sim_world *world, const char *url);
const char *sim_url(const struct sim_world *world, int n);
const char *sim_key(const struct sim_world *world, int n);

/* The first eight digits of a key: compared before the text is. */
sim_short_key sim_shorten(const char *key);

/* --- the oracle ----------------------------------------------------------------------------------------------------- */

/* A promise is broken: counted, and printed with seed and time. */
void sim_violation(struct sim_world *world, const char *format, ...) GRI_PRINTF(2, 3);

/* sim_watch.c: what must hold at each step. */
struct sim_url;
struct sim_chunk;
void sim_watch_finish(struct sim_world *world, const struct sim_url *before, const struct gri_finish *item);
void sim_watch_chunk_done(struct sim_world *world, const struct sim_chunk *chunk);
void sim_watch_chunk_ack(struct sim_world *world, const char *catalog, int64_t number);
void sim_watch_bare_ack(struct sim_world *world, const char *url);
void sim_watch_job_ack(struct sim_world *world, const struct gri_job *job);
void sim_watch_ask(struct sim_process *process, enum gri_stream_name stream, size_t max);
void sim_watch_read(struct sim_process *process, enum gri_stream_name stream, size_t max);
void sim_watch_dispatch(struct sim_world *world, int64_t limit, int64_t inflight);
void sim_watch_drained(struct sim_process *process);

/* Checks the promises of docs/protocol.md on a drained world. */
void sim_oracle(struct sim_world *world);

#endif
