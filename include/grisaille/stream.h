/* SPDX-License-Identifier: Apache-2.0 */
/* Port: the dispatch window (Redis streams {gri}:urls and {gri}:jobs, hash {gri}:inflight, host gates).
 *
 * adapters/redis_* implements it with one Lua script an operation; tests/sim has a model of it. Everything here can be lost
 * at any time and is rebuilt from the ledger. Threads: the loop's thread only. Requests: see struct gri_op in loop.h; a
 * failed request is always class retry, and the adapter reconnects by itself (backoff 100 ms … 5 s).
 * Missing groups (NOGROUP, UNBLOCKED) are made again by the adapter before it answers retry.
 * Inputs are borrowed until `done`; outputs belong to the caller, freed as each says. */
#ifndef GRISAILLE_STREAM_H
#define GRISAILLE_STREAM_H

#include <grisaille/job.h>
#include <grisaille/loop.h>

enum gri_stream_name { GRI_STREAM_URLS, GRI_STREAM_JOBS }; /* groups `scheduler` and `workers` */

/* XREADGROUP > for this consumer. Zero entries after block_ms is GRI_OK with count 0. At most one read per stream is out. */
struct gri_stream_read {
    struct gri_op op;
    enum gri_stream_name stream;
    size_t max;
    int64_t block_ms;
    struct gri_url_entry *urls; /* out, for GRI_STREAM_URLS: gri_url_entries_free */
    struct gri_job_entry *jobs; /* out, for GRI_STREAM_JOBS: gri_job_entries_free */
    size_t count;               /* out */
};

/* XAUTOCLAIM with the delivery counts of XPENDING, in one script. Entries whose body is gone are dropped and counted. */
struct gri_stream_reclaim {
    struct gri_op op;
    enum gri_stream_name stream;
    int64_t min_idle_ms;
    size_t max;
    struct gri_url_entry *urls; /* out, as in read */
    struct gri_job_entry *jobs; /* out */
    size_t count, missing;      /* out */
};

enum gri_fence { GRI_OWNED, GRI_FENCED };

/* Fenced heartbeat: XCLAIM … JUSTID of the entries this consumer still owns. */
struct gri_stream_heartbeat {
    struct gri_op op;
    enum gri_stream_name stream;
    const char (*ids)[GRI_ENTRY_ID_MAX];
    size_t count;
    enum gri_fence *fences; /* out: array of `count` that the caller provides */
};

/* Fenced ack: XACK, XDEL; for jobs also HDEL of inflight where it still holds this id. */
struct gri_stream_ack {
    struct gri_op op;
    enum gri_stream_name stream;
    const char (*ids)[GRI_ENTRY_ID_MAX];
    const char (*keys)[GRI_KEY_MAX]; /* jobs only, one an id; NULL for urls */
    size_t count;
    enum gri_fence *fences; /* out: array of `count` that the caller provides */
};

/* XADD {gri}:urls of one chunk reference each. */
struct gri_stream_announce {
    struct gri_op op;
    const char *catalog;
    const int64_t *chunks;
    size_t count;
    char (*ids)[GRI_ENTRY_ID_MAX]; /* out: array of `count` that the caller provides */
};

/* Are these entries still in {gri}:urls? */
struct gri_stream_present {
    struct gri_op op;
    const char (*ids)[GRI_ENTRY_ID_MAX];
    size_t count;
    bool *present; /* out: array of `count` that the caller provides */
};

enum gri_dispatched { GRI_DISPATCHED, GRI_ALREADY_INFLIGHT, GRI_WINDOW_FULL };

/* One script: while HLEN inflight < limit: where the key is not inflight, XADD then HSET. */
struct gri_stream_dispatch {
    struct gri_op op;
    const struct gri_job *jobs;
    size_t count;
    int64_t limit;                /* jobs that may be inflight afterwards */
    enum gri_dispatched *results; /* out: array of `count` that the caller provides; order of `jobs` */
    int64_t inflight;             /* out: HLEN afterwards */
};

enum gri_inflight { GRI_NOT_INFLIGHT, GRI_INFLIGHT, GRI_INFLIGHT_LOST };

/* Per key: is it inflight? With `deep`, an inflight key whose entry is not in the stream, or is neither pending nor still to
 * be delivered, is removed (entry too) and answered GRI_INFLIGHT_LOST. */
struct gri_stream_inspect {
    struct gri_op op;
    const char (*keys)[GRI_KEY_MAX];
    size_t count;
    bool deep;
    enum gri_inflight *results; /* out: array of `count` that the caller provides */
};

/* The fleet's gate of one host. `take` requests are asked for at `per_second` (0: no budget); a host that is blocked grants
 * nothing. With `take` 0 only the block is asked for. The bucket reserves: wait_ms[i] tells when request i may go (0: now),
 * within `horizon_ms`; later ones get -1. */
struct gri_stream_gate {
    struct gri_op op;
    const char *host;
    double per_second;
    size_t take;
    int64_t horizon_ms;
    int64_t *wait_ms;   /* out: array of `take` that the caller provides */
    int64_t blocked_ms; /* out: 0, or for how long the host is still to be left alone */
};

/* A host said 429 or 503 with Retry-After: the fleet leaves it alone for ms (never shortened). */
struct gri_stream_block {
    struct gri_op op;
    const char *host;
    int64_t ms;
};

struct gri_stream_depth {
    int64_t length, pending, lag; /* lag -1: unknown (Redis answers nil) */
    int64_t oldest_pending_ms;    /* idle time of the oldest pending entry; 0 none */
    int64_t consumers;
};

struct gri_stream_stats {
    struct gri_op op;
    struct gri_stream_depth urls, jobs; /* out */
    int64_t inflight;                   /* out */
    int64_t memory_bytes;               /* out: used_memory */
};

/* Removes this consumer from the stream's group where nothing is pending for it (at the end of a drain). */
struct gri_stream_leave {
    struct gri_op op;
    enum gri_stream_name stream;
    bool removed; /* out */
};

/* Removes consumers of the stream's group that have nothing pending and were not heard of for min_idle_ms: of processes that
 * died. Nothing pending is ever dropped; one that lives is made again by its next read. Some hundreds a call at most. */
struct gri_stream_retire {
    struct gri_op op;
    enum gri_stream_name stream;
    int64_t min_idle_ms;
    size_t removed; /* out */
};

enum gri_stream_state {
    GRI_STREAM_DOWN, /* the connection is gone; requests fail until it is back */
    GRI_STREAM_UP,   /* (again) connected, groups made: heartbeat first, no reclaim for a lease */
    GRI_STREAM_EPOCH /* as UP, and {gri}:epoch was missing or another: data was lost, sweep at once */
};

struct gri_stream {
    const struct gri_stream_ops *ops;
    /* Set by the core before `open`; called on the loop's thread at each change. */
    void (*changed)(void *arg, enum gri_stream_state state);
    void *changed_arg;
};

struct gri_stream_ops {
    void (*open)(struct gri_stream *stream); /* starts connecting; `changed` tells */
    void (*read)(struct gri_stream *stream, struct gri_stream_read *request);
    void (*cancel_read)(struct gri_stream *stream,
                        struct gri_stream_read *request); /* a blocked read ends soon, with what it got */
    void (*reclaim)(struct gri_stream *stream, struct gri_stream_reclaim *request);
    void (*heartbeat)(struct gri_stream *stream, struct gri_stream_heartbeat *request);
    void (*ack)(struct gri_stream *stream, struct gri_stream_ack *request);
    void (*announce)(struct gri_stream *stream, struct gri_stream_announce *request);
    void (*present)(struct gri_stream *stream, struct gri_stream_present *request);
    void (*dispatch)(struct gri_stream *stream, struct gri_stream_dispatch *request);
    void (*inspect)(struct gri_stream *stream, struct gri_stream_inspect *request);
    void (*gate)(struct gri_stream *stream, struct gri_stream_gate *request);
    void (*block)(struct gri_stream *stream, struct gri_stream_block *request);
    void (*stats)(struct gri_stream *stream, struct gri_stream_stats *request);
    void (*leave)(struct gri_stream *stream, struct gri_stream_leave *request);
    void (*retire)(struct gri_stream *stream, struct gri_stream_retire *request);
    void (*close)(struct gri_stream *stream); /* pending requests end with status retry before the next turn is over */
};

#endif
