/* SPDX-License-Identifier: Apache-2.0 */
/* The stream port (grisaille/stream.h) on Redis 7, over libuv. docs/redis.md lists its keys and scripts.
 *
 * Up to three connections: one for commands, one for the blocked reads of each stream that is read. Every command has a
 * deadline; when one passes, or a connection fails, all are dropped, what was under way ends with class retry and
 * error.unknown, and it connects again after 100 ms, doubling to 5 s, with jitter. It is up only where Redis can be written
 * to, has maxmemory-policy noeviction, and has both groups.
 * Where the url names Sentinels, they are asked at each connect which server is the master, and it must say so itself.
 * Threads: the loop's thread only. Metrics: grisaille_redis_reconnects_total, grisaille_stream_entries_ignored_total. */
#ifndef GRISAILLE_REDIS_STREAM_H
#define GRISAILLE_REDIS_STREAM_H

#include <grisaille/log.h>
#include <grisaille/metrics.h>
#include <grisaille/stream.h>

struct uv_loop_s;

struct gri_redis_options {
    const char *url;      /* redis.url, in one of the forms of redis_address.h */
    const char *prefix;   /* redis.prefix; NULL: "{gri}". A Redis Cluster needs the braces, so that all keys share a slot */
    const char *consumer; /* this process' name in both groups: unique in the fleet, at most GRI_WORKER_MAX - 1 bytes */
    int64_t timeout_ms;   /* of every command, and of connecting; a read gets block_ms more. 0: 5000 */
};

/* Checks the options (reason config) and makes a stream; `open` starts it. Options are copied; `uv`, `log` and `metrics` (both
 * may be NULL) are borrowed until destroy. Returned owned, freed by gri_redis_stream_destroy. */
enum gri_status gri_redis_stream_create(struct uv_loop_s *uv, const struct gri_redis_options *options, struct gri_log *log,
                                        struct gri_metrics *metrics, struct gri_stream **out,
                                        struct gri_error *error) GRI_MUST_CHECK;

/* Closes it where it is open. Requests still under way get their `done` (retry) in the next turn and may not submit others.
 * The memory goes when libuv has closed the handles: before the loop itself is destroyed. NULL is fine. */
void gri_redis_stream_destroy(struct gri_stream *stream);

#endif
