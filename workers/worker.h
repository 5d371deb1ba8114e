/* SPDX-License-Identifier: Apache-2.0 */
/* The worker: reads jobs, fetches, transforms, stores, links, acks. docs/protocol.md is its law; pipeline.c is the file to
 * read first.
 *
 * A state machine on the loop's thread. It does no I/O of its own: it submits to the ports and hears later. CPU work runs
 * on `cpu`; nothing else of the worker is ever touched by another thread.
 *
 * Memory is bounded: a job in hand holds at most its source (the fetcher's cap) and its output twice (as bytes and as
 * base64, at most GRI_BASE64_MAX); there are `slots` of them. The source is freed once the output exists, the output once
 * the base64 text was checked. `lingering` others hold a connection and the beginning of a source (64 KiB): one that gets more
 * of it is looked for four times a second, and takes a slot; where there is none, nothing is read until there is. Hosts and
 * plans are bounded tables. */
#ifndef GRISAILLE_WORKER_H
#define GRISAILLE_WORKER_H

#include <grisaille/codec.h>
#include <grisaille/executor.h>
#include <grisaille/fetcher.h>
#include <grisaille/isolator.h>
#include <grisaille/ledger.h>
#include <grisaille/log.h>
#include <grisaille/metrics.h>
#include <grisaille/store.h>
#include <grisaille/stream.h>

/* How often and when a failed try is repeated; workers/retry.c decides. Zeros become the defaults. */
struct gri_retry_policy {
    int max_attempts;     /* 8: tries charged until it is dead */
    int64_t base_ms;      /* 5000: the wait is random(0, min(max_ms, base_ms * 2^n)) */
    int64_t max_ms;       /* 3600000 */
    int64_t max_after_ms; /* 3600000: a longer Retry-After is cut to this */
    int64_t max_age_ms;   /* 86400000: dead as rate_limited after that long since its first 429 */
};

/* What the hosts' robots.txt count for (workers/robots.h). */
struct gri_robots_policy {
    bool obey;       /* ask first */
    bool delay;      /* and keep a Crawl-delay, as the whole fleet */
    int64_t keep_ms; /* 3600000: how long a robots.txt is believed */
    char agent[64];  /* whom it must mean: a product token */
};

struct gri_worker_options {
    const char *name;    /* the consumer's name, unique in the fleet; copied */
    const char *version; /* "grisaille 0.1.0", for made_by; copied */
    /* Borrowed until destroy. */
    struct gri_loop *loop;
    struct gri_stream *stream;
    struct gri_ledger *ledger;
    struct gri_store *store;
    struct gri_fetcher *fetcher;
    struct gri_codec *codec;
    const struct gri_crypto *crypto;
    struct gri_executor *cpu;
    struct gri_executor *plans;    /* compiles pipelines: opens files, starts programs; NULL: the loop's thread does */
    struct gri_isolator *isolator; /* for jobs delivered over three times; NULL: they run like others */
    struct gri_log *log;           /* NULL: no log */
    struct gri_metrics *metrics;   /* NULL: none */
    /* 0 stands for the default. */
    size_t slots;           /* 64: jobs in hand */
    size_t lingering;       /* 0: jobs in hand beside these that wait for slow or silent hosts (lingering.h) */
    size_t batch;           /* 32: items of a micro-batch */
    int64_t batch_ms;       /* 5: how long one waits for more */
    int64_t lease_ms;       /* 30000: idle that long, an entry may be reclaimed */
    int64_t heartbeat_ms;   /* 5000 */
    int64_t reclaim_ms;     /* 5000: how often to look for entries to reclaim */
    int64_t read_block_ms;  /* 2000: how long a read waits on the server */
    int64_t job_timeout_ms; /* 90000: from fetch to encode (waiting for MongoDB does not count) */
    int host_concurrency;   /* 8: fetches at once from one host by this worker, where `limit` says nothing else */
    struct gri_retry_policy retry;
    struct gri_robots_policy robots;

    void *hooks; /* handed to the callbacks below; all on the loop's thread */
    /* What the rules say of a host (NULL: nothing). Preset: host_concurrency, 0 (no budget), "". `name` is the label of its
     * metrics; "" counts as "other". Asked again about once a second, so that new rules take effect. */
    void (*limit)(void *hooks, const char *host, int *concurrency, double *per_second, char name[GRI_NAME_MAX]);
    /* This process can't work: stop it with a non-zero exit. Called at most once; the worker takes no further work. */
    void (*fatal)(void *hooks, const struct gri_error *error);
    /* A CPU thread did not come back: end the process, its entries will be reclaimed. Called at most once. */
    void (*hung)(void *hooks, const char *key);
};

struct gri_worker;

/* Returns owned. Does nothing before start. */
struct gri_worker *gri_worker_create(const struct gri_worker_options *options);
/* Sets stream->changed, opens the stream (its owner closes it) and begins to read when it is up. */
void gri_worker_start(struct gri_worker *worker);
/* Retry policy, job_timeout_ms and host_concurrency are these from now on; all else stays as it was. */
void gri_worker_reload(struct gri_worker *worker, const struct gri_worker_options *options);
/* Reads no more, finishes and acks what is in hand, leaves the group, then calls done(arg) once, on the loop's thread, not
 * from inside this call. While a server is away it waits: the caller has the last word (a grace period). */
void gri_worker_drain(struct gri_worker *worker, void (*done)(void *arg), void *arg);
/* Frees all. Only after drain's `done`, or when no port will ever call back again (the loop and the executor have ended; a
 * simulated crash). NULL is fine. */
void gri_worker_destroy(struct gri_worker *worker);

/* now_ms of the last turn of its clockwork (4 a second): the liveness probe compares. */
int64_t gri_worker_last_tick_ms(const struct gri_worker *worker);
/* Jobs in hand. */
size_t gri_worker_busy(const struct gri_worker *worker);
/* True while the stream is connected and no write to MongoDB is being repeated: the readiness probe. */
bool gri_worker_ready(const struct gri_worker *worker);

#endif
