/* SPDX-License-Identifier: Apache-2.0 */
/* A private redis-server and streams on it, for the tests of the Redis adapter. Nothing listens on a fixed port; the server
 * lives in a folder of its own under TMPDIR and dies with the test (also when the test aborts). */
#ifndef GRISAILLE_REDIS_WORLD_H
#define GRISAILLE_REDIS_WORLD_H

#include "redis_stream.h"
#include "uv_loop.h"

#include <hiredis/hiredis.h>
#include <sys/types.h>

struct redis_world {
    char folder[64], socket[96], url[128];
    int port; /* 0: the socket only */
    pid_t pid;
    redisContext *admin; /* commands of the test itself, synchronous */
    struct gri_loop *loop;
    FILE *log_file;
    struct gri_log *log;
    struct gri_metrics *metrics;
    struct gri_stream *streams[8]; /* not dropped yet: a failed test leaves some to world_stop */
};

/* What `changed` told one stream's user. */
struct changes {
    int down, up, epoch;
};

/* Server started with these further arguments (NULL-terminated; NULL: none); admin connected; a loop; a log. */
void world_start(struct redis_world *world, const char *const *arguments);
void world_stop(struct redis_world *world);
/* The server alone: killed without a word, started again on the same folder (no persistence: empty). */
void world_kill_server(struct redis_world *world);
void world_start_server(struct redis_world *world, const char *const *arguments);

/* A stream of this consumer, opened, not waited for. `changes` may be NULL. */
struct gri_stream *world_stream(struct redis_world *world, const char *consumer, int64_t timeout_ms, struct changes *changes);
/* The same, waited for until it is up. */
struct gri_stream *world_ready_stream(struct redis_world *world, const char *consumer);
void world_drop_stream(struct redis_world *world, struct gri_stream *stream);

/* Turns the loop until *count >= want; fails the test after 20 s. */
void world_wait(struct redis_world *world, const int *count, int want);
/* Turns the loop for about this long. */
void world_turn(struct redis_world *world, int64_t ms);
/* Arms `op`; world_finish turns the loop until its `done` came and returns its status. One `done` only. */
void world_arm(struct gri_op *op);
enum gri_status world_finish(struct redis_world *world, struct gri_op *op);
bool world_done(const struct gri_op *op);

/* An admin command; the integer of its answer (-1: nil), or the test fails. */
long long world_command(struct redis_world *world, const char *format, ...);
/* True where the log has this text. */
bool world_logged(struct redis_world *world, const char *text);

#endif
