/* SPDX-License-Identifier: Apache-2.0 */
/* Blocked reads. A read holds up its whole connection, so each stream's reads have one of their own. */
#include "redis_session.h"

#include <grisaille/crash_point.h>
#include <stdlib.h>

enum { READ_MAX = 1000, UNBLOCK_TRIES = 100 };

static void end_read(struct gri_redis_reading *reading, const struct gri_error *error) {
    struct gri_stream_read *request = reading->request;
    reading->request = NULL;
    gri_redis_finish(reading->redis, &request->op, error);
}

static void take_entries(struct gri_redis_reading *reading, const redisReply *list) {
    struct gri_stream_read *request = reading->request;
    struct gri_redis_entries entries;
    gri_redis_entries_init(&entries, reading->stream, list->elements);
    for (size_t i = 0; i < list->elements; i++) {
        const redisReply *entry = list->element[i];
        if (gri_redis_reply_is_array(entry, 2)) {
            (void)gri_redis_entries_add(&entries, reading->stream, entry->element[0], entry->element[1], 1);
        }
    }
    GRI_CRASH_POINT_IF(entries.count > 0 && reading->stream == GRI_STREAM_URLS, read_urls_after);
    GRI_CRASH_POINT_IF(entries.count > 0 && reading->stream == GRI_STREAM_JOBS, read_jobs_after);
    gri_redis_discard(reading->redis, reading->stream, &entries);
    gri_redis_entries_take(&entries, &request->urls, &request->jobs, &request->count);
    gri_redis_entries_clear(&entries);
    end_read(reading, NULL);
}

static void read_refused(struct gri_redis_reading *reading, const redisReply *reply) {
    struct gri_redis *redis = reading->redis;
    enum gri_redis_trouble trouble = gri_redis_trouble_of(reply);
    struct gri_error error;
    (void)gri_fail(&error, GRI_R_stream, "Redis at %s, read: %.250s", redis->address.shown, reply->str);
    if (trouble == GRI_REDIS_NO_GROUP) {
        struct gri_op *op = &reading->request->op;
        reading->request = NULL;
        gri_redis_finish_regrouped(redis, op);
        return;
    }
    end_read(reading, &error);
    if (trouble == GRI_REDIS_UNFIT) gri_redis_session_lost(redis, &error);
}

static void read_replied(struct gri_redis_call *call, const redisReply *reply) {
    struct gri_redis_reading *reading = gri_container_of(call, struct gri_redis_reading, call);
    struct gri_error error;
    if (!reply) {
        end_read(reading, &reading->redis->why);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        read_refused(reading, reply);
    } else if (reply->type == REDIS_REPLY_NIL) {
        end_read(reading, NULL);
    } else if (gri_redis_reply_is_array(reply, 1) && gri_redis_reply_is_array(reply->element[0], 2) &&
               gri_redis_reply_is_array(reply->element[0]->element[1], 0)) {
        take_entries(reading, reply->element[0]->element[1]);
    } else {
        (void)gri_fail(&error, GRI_R_stream, "Redis at %s, read: an answer of an unknown form", reading->redis->address.shown);
        end_read(reading, &error);
    }
}

static void send_read(struct gri_redis_reading *reading) {
    struct gri_redis *redis = reading->redis;
    struct gri_stream_read *request = reading->request;
    int64_t block_ms = request->block_ms > 0 ? request->block_ms : 0;
    struct gri_redis_command command;
    struct gri_error error;
    gri_redis_command_init(&command);
    gri_redis_command_add(&command, "XREADGROUP");
    gri_redis_command_add(&command, "GROUP");
    gri_redis_command_add(&command, gri_redis_group(reading->stream));
    gri_redis_command_add(&command, redis->consumer);
    gri_redis_command_add(&command, "COUNT");
    gri_redis_command_add_int(&command, (int64_t)(request->max < READ_MAX ? request->max : READ_MAX));
    if (block_ms > 0) { /* BLOCK 0 would be for ever */
        gri_redis_command_add(&command, "BLOCK");
        gri_redis_command_add_int(&command, block_ms);
    }
    gri_redis_command_add(&command, "STREAMS");
    gri_redis_command_add(&command, redis->keys[reading->stream == GRI_STREAM_URLS ? GRI_REDIS_URLS : GRI_REDIS_JOBS]);
    gri_redis_command_add(&command, ">");
    reading->call.reply = read_replied;
    reading->sent = true;
    if (gri_redis_link_send(reading->link, &command, block_ms + redis->timeout_ms, &reading->call, &error) != GRI_OK) {
        end_read(reading, &error);
    }
    gri_redis_command_clear(&command);
}

static void reading_ready(void *arg) {
    struct gri_redis_reading *reading = arg;
    reading->ready = true;
    if (reading->request) send_read(reading);
}

static void reading_lost(void *arg, const struct gri_error *why) {
    struct gri_redis_reading *reading = arg;
    gri_redis_session_lost(reading->redis, why);
}

void gri_redis_read(struct gri_stream *stream, struct gri_stream_read *request) {
    struct gri_redis *redis = gri_redis_of(stream);
    struct gri_redis_reading *reading = &redis->readings[request->stream];
    GRI_ASSERT(!redis->destroyed && !reading->request);
    request->urls = NULL;
    request->jobs = NULL;
    request->count = 0;
    if (redis->phase != GRI_REDIS_READY) {
        struct gri_error error = redis->why;
        if (!error.detail[0]) (void)gri_fail(&error, GRI_R_stream, "Redis at %s is not connected yet", redis->address.shown);
        error.unknown = false; /* nothing was sent */
        gri_redis_finish(redis, &request->op, &error);
        return;
    }
    if (request->max == 0) {
        gri_redis_finish(redis, &request->op, NULL);
        return;
    }
    reading->request = request;
    reading->sent = false;
    reading->cancelled = false;
    reading->unblocks = 0;
    if (!reading->link) {
        struct gri_redis_link_hooks hooks = {.ready = reading_ready, .lost = reading_lost, .arg = reading};
        reading->link = gri_redis_link_open(redis->uv, &redis->address, redis->consumer, redis->timeout_ms, hooks);
    } else if (reading->ready) {
        send_read(reading);
    }
}

static void send_unblock(struct gri_redis_reading *reading);

static void unblock_replied(struct gri_redis_call *call, const redisReply *reply) {
    struct gri_redis_reading *reading = gri_container_of(call, struct gri_redis_reading, unblock);
    reading->unblocking = false;
    if (!reply || reply->type != REDIS_REPLY_INTEGER || !reading->request || !reading->cancelled) return;
    /* Nothing was blocked: the two connections are not in step and the read is still on its way. Else its time-out ends it. */
    if (reply->integer == 0 && ++reading->unblocks < UNBLOCK_TRIES) send_unblock(reading);
}

static void send_unblock(struct gri_redis_reading *reading) {
    struct gri_redis *redis = reading->redis;
    struct gri_redis_command command;
    struct gri_error error;
    if (gri_redis_link_id(reading->link) == 0) return; /* CLIENT ID is forbidden: the read's own time-out ends it */
    gri_redis_command_init(&command);
    gri_redis_command_add(&command, "CLIENT");
    gri_redis_command_add(&command, "UNBLOCK");
    gri_redis_command_add_int(&command, gri_redis_link_id(reading->link));
    gri_redis_command_add(&command, "TIMEOUT"); /* the read then answers what it would after block_ms */
    reading->unblock.reply = unblock_replied;
    reading->unblocking = gri_redis_link_send(redis->link, &command, redis->timeout_ms, &reading->unblock, &error) == GRI_OK;
    gri_redis_command_clear(&command);
}

void gri_redis_cancel_read(struct gri_stream *stream, struct gri_stream_read *request) {
    struct gri_redis *redis = gri_redis_of(stream);
    struct gri_redis_reading *reading = &redis->readings[request->stream];
    if (reading->request != request) return; /* it has ended; `done` is on its way */
    reading->cancelled = true;
    if (!reading->sent)
        end_read(reading, NULL);
    else if (!reading->unblocking)
        send_unblock(reading);
}

void gri_redis_reading_drop(struct gri_redis_reading *reading) {
    struct gri_redis_link *link = reading->link;
    reading->link = NULL;
    reading->ready = false;
    gri_redis_link_drop(link);
    if (reading->request) end_read(reading, &reading->redis->why); /* it had not been sent yet */
}
