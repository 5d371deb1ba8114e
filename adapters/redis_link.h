/* SPDX-License-Identifier: Apache-2.0 */
/* One connection to Redis: connects, logs in, sends commands, hands each reply to its call, watches deadlines.
 *
 * Built on libuv's streams and hiredis' reply parser rather than on hiredis' asynchronous contexts: in 0.14 those resolve
 * names in the calling thread, know no deadline, and free themselves at moments of their own choosing.
 *
 * A link lives once: it opens, becomes ready, and ends. Its owner drops it; it frees itself when libuv has let go of it. No
 * function here calls a hook before it returns, except gri_redis_link_drop, which answers the calls that were pending. */
#ifndef GRISAILLE_REDIS_LINK_H
#define GRISAILLE_REDIS_LINK_H

#include "redis_address.h"
#include "redis_command.h"

struct uv_loop_s;
struct gri_redis_link;

/* A command under way. The caller owns it and may not touch it before `reply`. */
struct gri_redis_call {
    /* `reply` is borrowed for the call; NULL: the connection ended first, what the command did is unknown. */
    void (*reply)(struct gri_redis_call *call, const redisReply *reply);
    struct gri_redis_call *next; /* the link's */
    int64_t deadline_ms;         /* the link's */
};

struct gri_redis_link_hooks {
    void (*ready)(void *arg); /* logged in: gri_redis_link_send may be used */
    /* It ended by itself (refused, closed, a deadline passed, nonsense received). The owner drops it now or later. */
    void (*lost)(void *arg, const struct gri_error *why);
    void *arg;
};

/* Starts connecting; a hook tells. `address` is borrowed while the link lives, `name` (CLIENT SETNAME) for the call.
 * Resolving, connecting and each step of logging in must be done within timeout_ms. */
struct gri_redis_link *gri_redis_link_open(struct uv_loop_s *uv, const struct gri_redis_address *address, const char *name,
                                           int64_t timeout_ms, struct gri_redis_link_hooks hooks);

/* Sends the command (still the caller's to clear). Replies come in the order of sending; one that is not there timeout_ms
 * after its command, while all before it are, ends the link. On failure nothing was sent and `call` is not taken. */
enum gri_status gri_redis_link_send(struct gri_redis_link *link, const struct gri_redis_command *command, int64_t timeout_ms,
                                    struct gri_redis_call *call, struct gri_error *error) GRI_MUST_CHECK;

/* Redis' number of this connection (CLIENT UNBLOCK takes it); 0 where CLIENT ID is forbidden. */
int64_t gri_redis_link_id(const struct gri_redis_link *link);

/* Closes at once: every pending call gets a NULL reply, no hook is called any more. The pointer is dead. NULL is fine. */
void gri_redis_link_drop(struct gri_redis_link *link);

#endif
