/* SPDX-License-Identifier: Apache-2.0 */
/* The Redis adapter's inside: its state, and what its files ask of each other. Not for other folders.
 *
 * redis_sentinel  asks the Sentinels, where redis.url names some, which server to connect to
 * redis_session  connections, readiness (eviction policy, groups, epoch), reconnecting, `changed`
 * redis_request  one script operation: splitting, EVALSHA or EVAL, errors, and the one place where requests end
 * redis_operations  what each operation sends and takes
 * redis_read  blocked reads on connections of their own
 *
 * A request is in exactly one place: a link's calls, the list that waits for the groups, or `finished`. `done` is called only
 * from the turn timer, so that it never comes from inside a submit, and a `done` that closes the stream surprises nobody. */
#ifndef GRISAILLE_REDIS_SESSION_H
#define GRISAILLE_REDIS_SESSION_H

#include "redis_address.h"
#include "redis_entry.h"
#include "redis_link.h"
#include "redis_script.h"
#include <grisaille/log.h>
#include <grisaille/metrics.h>
#include <grisaille/stream.h>
#include <uv.h>

enum {
    GRI_REDIS_PREFIX_MAX = 64, /* with NUL */
    GRI_REDIS_KEY_MAX = GRI_REDIS_PREFIX_MAX + 16,
    GRI_REDIS_PART = 500, /* items one script call handles */
    GRI_REDIS_BACKOFF_MIN_MS = 100,
    GRI_REDIS_BACKOFF_MAX_MS = 5000
};

enum gri_redis_phase {
    GRI_REDIS_CLOSED,     /* not opened yet, or closed */
    GRI_REDIS_WAITING,    /* for the next try to connect */
    GRI_REDIS_CONNECTING, /* and making ready */
    GRI_REDIS_READY
};

enum gri_redis_key { GRI_REDIS_URLS, GRI_REDIS_JOBS, GRI_REDIS_INFLIGHT, GRI_REDIS_EPOCH, GRI_REDIS_KEY_COUNT };

/* A blocked read and its connection. */
struct gri_redis_reading {
    struct gri_redis *redis;
    enum gri_stream_name stream;
    struct gri_redis_link *link; /* made at the first read */
    bool ready;                  /* the link is logged in */
    struct gri_stream_read *request;
    bool sent, cancelled;
    int unblocks; /* times CLIENT UNBLOCK found nothing to unblock: the read had not arrived yet */
    bool unblocking;
    struct gri_redis_call call, unblock;
};

struct gri_redis {
    struct gri_stream stream; /* first */
    uv_loop_t *uv;
    struct gri_log *log;
    struct gri_counter *reconnects, *ignored[2];
    struct gri_redis_address address; /* of the server; with Sentinels: as they told it last */
    struct gri_redis_sentinels sentinels;
    size_t sentinel, asked; /* whose turn it is; how many were asked since the last try to connect began */
    struct gri_redis_link *sentinel_link;
    char prefix[GRI_REDIS_PREFIX_MAX];
    char keys[GRI_REDIS_KEY_COUNT][GRI_REDIS_KEY_MAX];
    char consumer[GRI_WORKER_MAX];
    int64_t timeout_ms;

    enum gri_redis_phase phase;
    struct gri_redis_link *link; /* commands */
    struct gri_redis_reading readings[2];
    struct gri_redis_call prepare;
    bool preparing; /* `prepare` is under way, while ready: groups are being made again */
    bool prepare_with_body;
    int tries;      /* since it was last ready */
    bool was_ready; /* once in this process */
    bool told;      /* `changed` was called, with: */
    enum gri_stream_state state;
    struct gri_error why;              /* it is not ready */
    char epoch[40];                    /* last known; "" at first */
    char cursors[2][GRI_ENTRY_ID_MAX]; /* of reclaim, by stream */

    struct gri_redis_ending *regrouping;               /* wait for the groups, then end with retry */
    struct gri_redis_ending *finished, **finished_end; /* wait for the turn */
    uv_timer_t retry, turn;
    int handles; /* libuv still holds */
    bool destroyed;
};

/* An op that has ended, or waits for the groups and then ends. */
struct gri_redis_ending {
    struct gri_op *op;
    struct gri_redis_ending *next;
};

/* One operation: which script, what goes out, what comes back. */
struct gri_redis_request;
struct gri_redis_operation {
    enum gri_redis_script script;
    /* Begins the script with its keys and adds the arguments for items [request->from, request->from + request->part). */
    void (*build)(struct gri_redis_request *request, struct gri_redis_command *command);
    /* Takes the answer for the same items; false where it is not of the script's form. */
    bool (*take)(struct gri_redis_request *request, const redisReply *reply);
};

struct gri_redis_request {
    struct gri_redis_call call;
    struct gri_redis *redis;
    const struct gri_redis_operation *operation;
    struct gri_op *op;
    size_t total, from, part;
    bool with_body; /* EVAL after NOSCRIPT */
};

/* redis_sentinel */
/* Asks the Sentinels, one after the other; ends with gri_redis_session_connect or gri_redis_session_lost. */
void gri_redis_sentinel_ask(struct gri_redis *redis);
/* Stops asking. */
void gri_redis_sentinel_drop(struct gri_redis *redis);

/* redis_session */
/* Connects to redis->address. */
void gri_redis_session_connect(struct gri_redis *redis);
void gri_redis_session_open(struct gri_redis *redis);
void gri_redis_session_close(struct gri_redis *redis);
/* Drops all connections, ends what is under way, and tries again later. Safe from any callback. */
void gri_redis_session_lost(struct gri_redis *redis, const struct gri_error *why);
/* Makes missing groups again, checks the epoch, tells `changed`, then ends what waits in `regrouping`. */
void gri_redis_session_regroup(struct gri_redis *redis);

/* redis_request */
enum gri_redis_trouble { GRI_REDIS_FINE, GRI_REDIS_REFUSED, GRI_REDIS_NO_SCRIPT, GRI_REDIS_NO_GROUP, GRI_REDIS_UNFIT };
/* What an answer means: a refusal of this command, a missing script or group, or a server unfit to work with now. */
enum gri_redis_trouble gri_redis_trouble_of(const redisReply *reply);
/* Sends the operation for `total` items (0: it is done at once), or ends it with retry where Redis is away. */
void gri_redis_submit(struct gri_redis *redis, struct gri_op *op, const struct gri_redis_operation *operation, size_t total);
/* Ends `op` in the next turn. error NULL: GRI_OK. */
void gri_redis_finish(struct gri_redis *redis, struct gri_op *op, const struct gri_error *error);
/* Ends `op` with retry once the groups are there again. */
void gri_redis_finish_regrouped(struct gri_redis *redis, struct gri_op *op);
/* Ends all that waited for the groups. */
void gri_redis_requests_regrouped(struct gri_redis *redis, const struct gri_error *error);
/* Calls `done` of what has finished. */
void gri_redis_requests_deliver(struct gri_redis *redis);
/* Acks and deletes entries nobody can use, and logs them. */
void gri_redis_discard(struct gri_redis *redis, enum gri_stream_name stream, const struct gri_redis_entries *entries);

/* redis_operations: the functions of gri_stream_ops that are one script */
void gri_redis_reclaim(struct gri_stream *stream, struct gri_stream_reclaim *request);
void gri_redis_heartbeat(struct gri_stream *stream, struct gri_stream_heartbeat *request);
void gri_redis_ack(struct gri_stream *stream, struct gri_stream_ack *request);
void gri_redis_announce(struct gri_stream *stream, struct gri_stream_announce *request);
void gri_redis_present(struct gri_stream *stream, struct gri_stream_present *request);
void gri_redis_dispatch(struct gri_stream *stream, struct gri_stream_dispatch *request);
void gri_redis_inspect(struct gri_stream *stream, struct gri_stream_inspect *request);
void gri_redis_gate(struct gri_stream *stream, struct gri_stream_gate *request);
void gri_redis_block(struct gri_stream *stream, struct gri_stream_block *request);
void gri_redis_stats(struct gri_stream *stream, struct gri_stream_stats *request);
void gri_redis_leave(struct gri_stream *stream, struct gri_stream_leave *request);
void gri_redis_retire(struct gri_stream *stream, struct gri_stream_retire *request);

/* redis_read */
void gri_redis_read(struct gri_stream *stream, struct gri_stream_read *request);
void gri_redis_cancel_read(struct gri_stream *stream, struct gri_stream_read *request);
/* Drops the reading's connection; a read under way ends with redis->why. */
void gri_redis_reading_drop(struct gri_redis_reading *reading);

static inline struct gri_redis *gri_redis_of(struct gri_stream *stream) {
    return gri_container_of(stream, struct gri_redis, stream);
}
/* "scheduler" or "workers". */
static inline const char *gri_redis_group(enum gri_stream_name stream) {
    return stream == GRI_STREAM_URLS ? "scheduler" : "workers";
}

#endif
