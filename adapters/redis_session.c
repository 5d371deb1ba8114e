/* SPDX-License-Identifier: Apache-2.0 */
/* Connections, readiness and reconnecting.
 *
 * There is one session: the command connection decides readiness, and when any connection fails, all are dropped and made
 * again. A read whose connection alone broke would be repeated anyway, and one state is easier to be right about than three. */
#include "redis_session.h"

#include <grisaille/crash_point.h>
#include <stdlib.h>
#include <string.h>

static void commands_ready(void *arg);
static void connection_lost(void *arg, const struct gri_error *why) {
    gri_redis_session_lost(arg, why);
}

static void tell(struct gri_redis *redis, enum gri_stream_state state) {
    redis->told = true;
    redis->state = state;
    if (redis->stream.changed) redis->stream.changed(redis->stream.changed_arg, state);
}

static uint64_t random_bits(void) {
    uint64_t value = 0;
    GRI_ASSERT(uv_random(NULL, NULL, &value, sizeof value, 0, NULL) == 0);
    return value;
}

void gri_redis_session_connect(struct gri_redis *redis) {
    struct gri_redis_link_hooks hooks = {.ready = commands_ready, .lost = connection_lost, .arg = redis};
    redis->link = gri_redis_link_open(redis->uv, &redis->address, redis->consumer, redis->timeout_ms, hooks);
}

static void connect_now(struct gri_redis *redis) {
    redis->phase = GRI_REDIS_CONNECTING;
    if (redis->sentinels.count > 0)
        gri_redis_sentinel_ask(redis);
    else
        gri_redis_session_connect(redis);
}

static void retry_due(uv_timer_t *timer) {
    connect_now(timer->data);
}

static void drop_connections(struct gri_redis *redis) {
    struct gri_redis_link *link = redis->link;
    redis->link = NULL;
    redis->preparing = false;
    gri_redis_link_drop(link);
    gri_redis_sentinel_drop(redis);
    gri_redis_reading_drop(&redis->readings[GRI_STREAM_URLS]);
    gri_redis_reading_drop(&redis->readings[GRI_STREAM_JOBS]);
    gri_redis_requests_regrouped(redis, &redis->why);
}

void gri_redis_session_open(struct gri_redis *redis) {
    GRI_ASSERT(redis->phase == GRI_REDIS_CLOSED && !redis->destroyed);
    redis->tries = 0;
    redis->told = false;
    connect_now(redis);
}

void gri_redis_session_close(struct gri_redis *redis) {
    if (redis->phase == GRI_REDIS_CLOSED) return;
    redis->phase = GRI_REDIS_CLOSED;
    (void)gri_fail(&redis->why, GRI_R_stream, "the connection to Redis was closed");
    redis->why.unknown = true;
    uv_timer_stop(&redis->retry);
    drop_connections(redis);
}

void gri_redis_session_lost(struct gri_redis *redis, const struct gri_error *why) {
    if (redis->phase == GRI_REDIS_CLOSED || redis->phase == GRI_REDIS_WAITING) return;
    bool news = !redis->told || redis->state != GRI_STREAM_DOWN;
    bool other = news || strcmp(redis->why.detail, why->detail) != 0;
    redis->phase = GRI_REDIS_WAITING;
    redis->why = *why;
    redis->why.unknown = true;
    drop_connections(redis);

    int64_t delay = GRI_REDIS_BACKOFF_MIN_MS;
    for (int i = 0; i < redis->tries && delay < GRI_REDIS_BACKOFF_MAX_MS; i++)
        delay *= 2;
    if (delay > GRI_REDIS_BACKOFF_MAX_MS) delay = GRI_REDIS_BACKOFF_MAX_MS;
    redis->tries++;
    delay = delay / 2 + (int64_t)(random_bits() % (uint64_t)(delay / 2 + 1)); /* a fleet must not come back in step */
    uv_update_time(redis->uv);
    uv_timer_start(&redis->retry, retry_due, (uint64_t)delay, 0);
    gri_log(redis->log, other ? GRI_WARN : GRI_DEBUG, "redis_down", GRI_TEXT("detail", redis->why.detail),
            GRI_NUM("attempt", redis->tries), GRI_NUM("retry_ms", delay));
    if (news) tell(redis, GRI_STREAM_DOWN);
}

static void lost_by_answer(struct gri_redis *redis, const char *what, const redisReply *reply) {
    struct gri_error error;
    (void)gri_fail(&error, GRI_R_stream, "Redis at %s: %s: %.200s", redis->address.shown, what,
                   reply->type == REDIS_REPLY_ERROR ? reply->str : "an answer of an unknown form");
    gri_redis_session_lost(redis, &error);
}

static void become_ready(struct gri_redis *redis) {
    redis->phase = GRI_REDIS_READY;
    redis->tries = 0;
    if (redis->was_ready) gri_counter_add(redis->reconnects, 1);
    redis->was_ready = true;
    gri_log(redis->log, GRI_INFO, "redis_up", GRI_TEXT("server", redis->address.shown), GRI_TEXT("epoch", redis->epoch));
}

static void send_prepare(struct gri_redis *redis);

static void prepared(struct gri_redis_call *call, const redisReply *reply) {
    struct gri_redis *redis = gri_container_of(call, struct gri_redis, prepare);
    if (!reply) return;
    GRI_CRASH_POINT_IF(reply->type != REDIS_REPLY_ERROR, epoch_after);
    if (gri_redis_trouble_of(reply) == GRI_REDIS_NO_SCRIPT && !redis->prepare_with_body) {
        redis->prepare_with_body = true;
        send_prepare(redis);
        return;
    }
    char epoch[sizeof redis->epoch];
    int64_t created = 0, made = 0;
    if (!gri_redis_reply_text(reply, 0, epoch, sizeof epoch) || !gri_redis_reply_int(reply, 1, &created) ||
        !gri_redis_reply_int(reply, 2, &made)) {
        lost_by_answer(redis, "the groups can't be made", reply);
        return;
    }
    bool lost_data = created || (redis->epoch[0] && strcmp(redis->epoch, epoch) != 0);
    gri_copy(redis->epoch, sizeof redis->epoch, epoch);
    redis->preparing = false;
    enum gri_level level = redis->was_ready ? GRI_WARN : GRI_INFO; /* the first time ever it is no loss */
    if (redis->phase == GRI_REDIS_CONNECTING) become_ready(redis);
    if (lost_data || made) {
        gri_log(redis->log, level, lost_data ? "redis_epoch" : "redis_groups_made", GRI_TEXT("epoch", redis->epoch),
                GRI_NUM("groups", made));
    }
    struct gri_error error;
    (void)gri_fail(&error, GRI_R_stream, "the streams' groups were gone; they are there again");
    gri_redis_requests_regrouped(redis, &error);
    tell(redis, lost_data ? GRI_STREAM_EPOCH : GRI_STREAM_UP);
}

static void send_prepare(struct gri_redis *redis) {
    const char *keys[] = {redis->keys[GRI_REDIS_URLS], redis->keys[GRI_REDIS_JOBS], redis->keys[GRI_REDIS_EPOCH],
                          redis->keys[GRI_REDIS_INFLIGHT]};
    struct gri_redis_command command;
    struct gri_error error;
    char epoch[40];
    gri_format(epoch, sizeof epoch, "%016llx%016llx", (unsigned long long)random_bits(), (unsigned long long)random_bits());
    gri_redis_command_init(&command);
    gri_redis_script_begin(&command, GRI_REDIS_SCRIPT_prepare, redis->prepare_with_body, keys, 4);
    gri_redis_command_add(&command, gri_redis_group(GRI_STREAM_URLS));
    gri_redis_command_add(&command, gri_redis_group(GRI_STREAM_JOBS));
    gri_redis_command_add(&command, epoch);
    GRI_CRASH_POINT(epoch_before);
    redis->prepare.reply = prepared;
    redis->preparing = true;
    if (gri_redis_link_send(redis->link, &command, redis->timeout_ms, &redis->prepare, &error) != GRI_OK) {
        gri_redis_session_lost(redis, &error);
    }
    gri_redis_command_clear(&command);
}

void gri_redis_session_regroup(struct gri_redis *redis) {
    if (redis->phase != GRI_REDIS_READY || redis->preparing) return;
    redis->prepare_with_body = false;
    send_prepare(redis);
}

/* A Redis that evicts keys would silently lose work: it is not used until somebody sets maxmemory-policy. */
static void policy_told(struct gri_redis_call *call, const redisReply *reply) {
    struct gri_redis *redis = gri_container_of(call, struct gri_redis, prepare);
    char policy[64] = "";
    if (!reply) return;
    if (gri_redis_trouble_of(reply) == GRI_REDIS_UNFIT) {
        lost_by_answer(redis, "not fit to work with", reply);
        return;
    }
    if (!gri_redis_reply_text(reply, 1, policy, sizeof policy)) {
        gri_log(redis->log, GRI_WARN, "redis_policy_unknown",
                GRI_TEXT("detail", "CONFIG GET maxmemory-policy is not answered; make sure that it is noeviction"));
    } else if (strcmp(policy, "noeviction") != 0) {
        struct gri_error error;
        (void)gri_fail(&error, GRI_R_stream, "Redis at %s: maxmemory-policy is %s, which loses work; set it to noeviction",
                       redis->address.shown, policy);
        gri_log_error(redis->log, GRI_ERROR, "redis_eviction_policy", &error);
        gri_redis_session_lost(redis, &error);
        return;
    }
    redis->prepare_with_body = false;
    send_prepare(redis);
}

static void send_question(struct gri_redis *redis, const char *const *words, size_t count,
                          void (*told)(struct gri_redis_call *call, const redisReply *reply)) {
    struct gri_redis_command command;
    struct gri_error error;
    gri_redis_command_init(&command);
    for (size_t i = 0; i < count; i++)
        gri_redis_command_add(&command, words[i]);
    redis->prepare.reply = told;
    if (gri_redis_link_send(redis->link, &command, redis->timeout_ms, &redis->prepare, &error) != GRI_OK) {
        gri_redis_session_lost(redis, &error);
    }
    gri_redis_command_clear(&command);
}

static void ask_policy(struct gri_redis *redis) {
    static const char *const words[] = {"CONFIG", "GET", "maxmemory-policy"};
    send_question(redis, words, 3, policy_told);
}

/* Sentinels may not have noticed yet: what they call the master may be a replica, or the master of yesterday. */
static void role_told(struct gri_redis_call *call, const redisReply *reply) {
    struct gri_redis *redis = gri_container_of(call, struct gri_redis, prepare);
    char role[32] = "";
    if (!reply) return;
    if (!gri_redis_reply_text(reply, 0, role, sizeof role)) {
        lost_by_answer(redis, "its role can't be known", reply);
    } else if (strcmp(role, "master") != 0) {
        struct gri_error error;
        (void)gri_fail(&error, GRI_R_stream, "Redis at %s: a Sentinel called it the master, it says that it is %s",
                       redis->address.shown, role);
        gri_redis_session_lost(redis, &error);
    } else {
        ask_policy(redis);
    }
}

static void commands_ready(void *arg) {
    static const char *const role[] = {"ROLE"};
    struct gri_redis *redis = arg;
    if (redis->sentinels.count > 0)
        send_question(redis, role, 1, role_told);
    else
        ask_policy(redis);
}
