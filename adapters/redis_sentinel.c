/* SPDX-License-Identifier: Apache-2.0 */
/* Asks the Sentinels, one after the other, where the master is.
 *
 * Each try to connect begins with the next Sentinel, so that one with old news can't keep us from the others. */
#include "redis_session.h"

#include <string.h>

enum { SENTINEL_TIMEOUT_MAX_MS = 2000 }; /* another one may know: a dead Sentinel is not waited for as long as the server */

static void ask_next(struct gri_redis *redis);

void gri_redis_sentinel_drop(struct gri_redis *redis) {
    struct gri_redis_link *link = redis->sentinel_link;
    redis->sentinel_link = NULL;
    gri_redis_link_drop(link);
}

static int64_t patience_ms(const struct gri_redis *redis) {
    return redis->timeout_ms < SENTINEL_TIMEOUT_MAX_MS ? redis->timeout_ms : SENTINEL_TIMEOUT_MAX_MS;
}

/* This one could not tell: the next, or none is left. */
static void failed(struct gri_redis *redis, const struct gri_error *why) {
    gri_redis_sentinel_drop(redis);
    gri_log(redis->log, GRI_DEBUG, "redis_sentinel_failed", GRI_TEXT("detail", why->detail));
    if (redis->asked < redis->sentinels.count) {
        ask_next(redis);
        return;
    }
    struct gri_error error;
    (void)gri_fail(&error, GRI_R_stream, "no Sentinel tells where %s is; the last one asked: %.200s", redis->sentinels.master,
                   why->detail);
    gri_redis_session_lost(redis, &error);
}

static void told(struct gri_redis_call *call, const redisReply *reply) {
    struct gri_redis *redis = gri_container_of(call, struct gri_redis, prepare);
    struct gri_redis_address found = redis->address;
    int64_t port = 0;
    if (!reply) return;
    bool right = gri_redis_reply_text(reply, 0, found.host, sizeof found.host) &&
                 gri_redis_reply_text(reply, 1, found.port, sizeof found.port) &&
                 gri_redis_parse_int(found.port, strlen(found.port), &port) && found.host[0] && port > 0 && port <= 65535;
    if (!right) {
        struct gri_error error;
        (void)gri_fail(&error, GRI_R_stream, "the Sentinel at %s: %.150s", redis->sentinels.nodes[redis->sentinel].shown,
                       reply->type == REDIS_REPLY_ERROR ? reply->str : "it knows no master of that name");
        failed(redis, &error);
        return;
    }
    bool other = strcmp(found.host, redis->address.host) != 0 || strcmp(found.port, redis->address.port) != 0;
    gri_format(found.shown, sizeof found.shown, strchr(found.host, ':') ? "[%s]:%s" : "%s:%s", found.host, found.port);
    gri_redis_sentinel_drop(redis);
    redis->address = found;
    if (other) {
        gri_log(redis->log, GRI_INFO, "redis_master", GRI_TEXT("master", redis->sentinels.master),
                GRI_TEXT("server", found.shown));
    }
    gri_redis_session_connect(redis);
}

static void sentinel_ready(void *arg) {
    struct gri_redis *redis = arg;
    struct gri_redis_command command;
    struct gri_error error;
    gri_redis_command_init(&command);
    gri_redis_command_add(&command, "SENTINEL");
    gri_redis_command_add(&command, "GET-MASTER-ADDR-BY-NAME");
    gri_redis_command_add(&command, redis->sentinels.master);
    redis->prepare.reply = told; /* free until the server is connected */
    enum gri_status status = gri_redis_link_send(redis->sentinel_link, &command, patience_ms(redis), &redis->prepare, &error);
    gri_redis_command_clear(&command);
    if (status != GRI_OK) failed(redis, &error);
}

static void sentinel_lost(void *arg, const struct gri_error *why) {
    failed(arg, why);
}

static void ask_next(struct gri_redis *redis) {
    struct gri_redis_link_hooks hooks = {.ready = sentinel_ready, .lost = sentinel_lost, .arg = redis};
    redis->asked++;
    redis->sentinel = (redis->sentinel + 1) % redis->sentinels.count;
    redis->sentinel_link =
        gri_redis_link_open(redis->uv, &redis->sentinels.nodes[redis->sentinel], redis->consumer, patience_ms(redis), hooks);
}

void gri_redis_sentinel_ask(struct gri_redis *redis) {
    redis->asked = 0;
    ask_next(redis);
}
