/* SPDX-License-Identifier: Apache-2.0 */
/* One script operation under way, and the one place where requests end. */
#include "redis_session.h"

#include <stdlib.h>
#include <string.h>

static void turn_came(uv_timer_t *timer) {
    gri_redis_requests_deliver(timer->data);
}

void gri_redis_finish(struct gri_redis *redis, struct gri_op *op, const struct gri_error *error) {
    struct gri_redis_ending *ending = gri_calloc(1, sizeof *ending);
    op->status = error ? GRI_RETRY : GRI_OK;
    op->error = error ? *error : (struct gri_error){0};
    if (error) op->error.status = GRI_RETRY;
    ending->op = op;
    *redis->finished_end = ending;
    redis->finished_end = &ending->next;
    if (!uv_is_active((uv_handle_t *)&redis->turn)) uv_timer_start(&redis->turn, turn_came, 0, 0);
}

void gri_redis_finish_regrouped(struct gri_redis *redis, struct gri_op *op) {
    struct gri_redis_ending *ending = gri_calloc(1, sizeof *ending);
    ending->op = op;
    ending->next = redis->regrouping;
    redis->regrouping = ending;
    gri_redis_session_regroup(redis);
}

void gri_redis_requests_regrouped(struct gri_redis *redis, const struct gri_error *error) {
    while (redis->regrouping) {
        struct gri_redis_ending *ending = redis->regrouping;
        redis->regrouping = ending->next;
        gri_redis_finish(redis, ending->op, error);
        free(ending);
    }
}

void gri_redis_requests_deliver(struct gri_redis *redis) {
    struct gri_redis_ending *ending = redis->finished;
    redis->finished = NULL;
    redis->finished_end = &redis->finished;
    while (ending) {
        struct gri_redis_ending *next = ending->next;
        struct gri_op *op = ending->op;
        free(ending);
        op->done(op);
        ending = next;
    }
}

static bool error_is(const redisReply *reply, const char *code) {
    size_t len = strlen(code);
    return strncmp(reply->str, code, len) == 0 && (reply->str[len] == ' ' || reply->str[len] == '\0');
}

enum gri_redis_trouble gri_redis_trouble_of(const redisReply *reply) {
    static const char *const unfit[] = {"LOADING", "READONLY", "MASTERDOWN", "NOAUTH", "BUSY"};
    if (reply->type != REDIS_REPLY_ERROR) return GRI_REDIS_FINE;
    if (error_is(reply, "NOSCRIPT")) return GRI_REDIS_NO_SCRIPT;
    if (error_is(reply, "UNBLOCKED") || strstr(reply->str, "NOGROUP")) return GRI_REDIS_NO_GROUP;
    for (size_t i = 0; i < sizeof unfit / sizeof unfit[0]; i++) {
        if (error_is(reply, unfit[i])) return GRI_REDIS_UNFIT;
    }
    return GRI_REDIS_REFUSED;
}

static void part_replied(struct gri_redis_call *call, const redisReply *reply);

static void end_request(struct gri_redis_request *request, const struct gri_error *error) {
    gri_redis_finish(request->redis, request->op, error);
    free(request);
}

static void send_part(struct gri_redis_request *request) {
    struct gri_redis *redis = request->redis;
    struct gri_redis_command command;
    struct gri_error error;
    size_t rest = request->total - request->from;
    request->part = rest < GRI_REDIS_PART ? rest : GRI_REDIS_PART;
    request->call.reply = part_replied;
    if (!redis->link) { /* lost while the part before was taken */
        end_request(request, &redis->why);
        return;
    }
    gri_redis_command_init(&command);
    request->operation->build(request, &command);
    if (gri_redis_link_send(redis->link, &command, redis->timeout_ms, &request->call, &error) != GRI_OK)
        end_request(request, &error);
    gri_redis_command_clear(&command);
}

static void refused(struct gri_redis_request *request, const redisReply *reply) {
    struct gri_redis *redis = request->redis;
    enum gri_redis_trouble trouble = gri_redis_trouble_of(reply);
    struct gri_error error;
    (void)gri_fail(&error, GRI_R_stream, "Redis at %s, %s: %.250s", redis->address.shown,
                   gri_redis_script_name(request->operation->script), reply->str);
    if (trouble == GRI_REDIS_NO_SCRIPT && !request->with_body) {
        request->with_body = true;
        send_part(request);
    } else if (trouble == GRI_REDIS_NO_GROUP) {
        struct gri_op *op = request->op;
        free(request);
        gri_redis_finish_regrouped(redis, op);
    } else {
        end_request(request, &error);
        if (trouble == GRI_REDIS_UNFIT) gri_redis_session_lost(redis, &error);
    }
}

static void part_replied(struct gri_redis_call *call, const redisReply *reply) {
    struct gri_redis_request *request = gri_container_of(call, struct gri_redis_request, call);
    struct gri_error error;
    if (!reply) {
        error = request->redis->why;
        end_request(request, &error);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        refused(request, reply);
    } else if (!request->operation->take(request, reply)) {
        (void)gri_fail(&error, GRI_R_stream, "Redis at %s, %s: an answer of an unknown form", request->redis->address.shown,
                       gri_redis_script_name(request->operation->script));
        error.unknown = true;
        end_request(request, &error);
    } else {
        request->from += request->part;
        request->with_body = false;
        if (request->from < request->total)
            send_part(request);
        else
            end_request(request, NULL);
    }
}

void gri_redis_submit(struct gri_redis *redis, struct gri_op *op, const struct gri_redis_operation *operation, size_t total) {
    GRI_ASSERT(!redis->destroyed);
    if (redis->phase != GRI_REDIS_READY) {
        struct gri_error error = redis->why;
        if (!error.detail[0]) (void)gri_fail(&error, GRI_R_stream, "Redis at %s is not connected yet", redis->address.shown);
        error.unknown = false; /* nothing was sent */
        gri_redis_finish(redis, op, &error);
        return;
    }
    if (total == 0) {
        gri_redis_finish(redis, op, NULL);
        return;
    }
    struct gri_redis_request *request = gri_calloc(1, sizeof *request);
    request->redis = redis;
    request->op = op;
    request->operation = operation;
    request->total = total;
    send_part(request);
}

/* An ack of our own, for entries nobody can use. */
struct discard {
    struct gri_stream_ack ack;
    char (*ids)[GRI_ENTRY_ID_MAX];
    char (*keys)[GRI_KEY_MAX];
};

static void discarded(struct gri_op *op) {
    struct discard *discard = gri_container_of(op, struct discard, ack.op);
    free(discard->ids); /* where it failed, a reclaim brings the entries here again */
    free(discard->keys);
    free(discard->ack.fences);
    free(discard);
}

void gri_redis_discard(struct gri_redis *redis, enum gri_stream_name stream, const struct gri_redis_entries *entries) {
    if (entries->bad == 0) return;
    struct discard *discard = gri_calloc(1, sizeof *discard);
    discard->ids = gri_calloc(entries->bad, sizeof *discard->ids);
    discard->keys = gri_calloc(entries->bad, sizeof *discard->keys);
    for (size_t i = 0; i < entries->bad; i++) {
        gri_copy(discard->ids[i], GRI_ENTRY_ID_MAX, entries->bad_ids[i]);
        gri_copy(discard->keys[i], GRI_KEY_MAX, entries->bad_keys[i]);
        gri_log(redis->log, GRI_WARN, "stream_entry_ignored", GRI_TEXT("stream", stream == GRI_STREAM_URLS ? "urls" : "jobs"),
                GRI_TEXT("entry", entries->bad_ids[i]), GRI_TEXT("detail", "it lacks the fields of this stream; removed"));
    }
    gri_counter_add(redis->ignored[stream], (int64_t)entries->bad);
    discard->ack = (struct gri_stream_ack){.op.done = discarded,
                                           .stream = stream,
                                           .ids = (const char(*)[GRI_ENTRY_ID_MAX])discard->ids,
                                           .keys = (const char(*)[GRI_KEY_MAX])discard->keys,
                                           .count = entries->bad,
                                           .fences = gri_calloc(entries->bad, sizeof *discard->ack.fences)};
    gri_redis_ack(&redis->stream, &discard->ack);
}
