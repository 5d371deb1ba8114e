/* SPDX-License-Identifier: Apache-2.0 */
/* What each operation of the stream port sends to its script, and what it takes from the answer. */
#include "redis_session.h"

#include <grisaille/crash_point.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST(type) gri_container_of(request->op, struct type, op)

static const char *stream_key(const struct gri_redis *redis, enum gri_stream_name stream) {
    return redis->keys[stream == GRI_STREAM_URLS ? GRI_REDIS_URLS : GRI_REDIS_JOBS];
}

static void begin(const struct gri_redis_request *request, struct gri_redis_command *command, const char *const *keys,
                  size_t count) {
    gri_redis_script_begin(command, request->operation->script, request->with_body, keys, count);
}

/* Starts a script on one stream, whose first two arguments are the group and this consumer. */
static void begin_owned(struct gri_redis_request *request, struct gri_redis_command *command, enum gri_stream_name stream,
                        size_t key_count) {
    struct gri_redis *redis = request->redis;
    const char *keys[] = {stream_key(redis, stream), redis->keys[GRI_REDIS_INFLIGHT]};
    begin(request, command, keys, key_count);
    gri_redis_command_add(command, gri_redis_group(stream));
    gri_redis_command_add(command, redis->consumer);
}

/* A number 0…max of the answer that stands at `index`. */
static bool take_choice(const redisReply *reply, size_t index, int64_t max, int64_t *out) {
    return gri_redis_reply_int(reply, index, out) && *out >= 0 && *out <= max;
}

static bool take_fences(struct gri_redis_request *request, const redisReply *reply, enum gri_fence *fences) {
    int64_t gone = 0, fenced = 0;
    if (!gri_redis_reply_is_array(reply, request->part + 1) || !take_choice(reply, 0, 1, &gone)) return false;
    for (size_t i = 0; i < request->part; i++) {
        if (!take_choice(reply, i + 1, 1, &fenced)) return false;
        fences[request->from + i] = fenced ? GRI_FENCED : GRI_OWNED;
    }
    if (gone) gri_redis_session_regroup(request->redis);
    return true;
}

/* heartbeat */

static void heartbeat_build(struct gri_redis_request *request, struct gri_redis_command *command) {
    struct gri_stream_heartbeat *heartbeat = REQUEST(gri_stream_heartbeat);
    begin_owned(request, command, heartbeat->stream, 1);
    for (size_t i = 0; i < request->part; i++)
        gri_redis_command_add(command, heartbeat->ids[request->from + i]);
}

static bool heartbeat_take(struct gri_redis_request *request, const redisReply *reply) {
    GRI_CRASH_POINT(heartbeat_after);
    return take_fences(request, reply, REQUEST(gri_stream_heartbeat)->fences);
}

void gri_redis_heartbeat(struct gri_stream *stream, struct gri_stream_heartbeat *request) {
    static const struct gri_redis_operation operation = {GRI_REDIS_SCRIPT_heartbeat, heartbeat_build, heartbeat_take};
    gri_redis_submit(gri_redis_of(stream), &request->op, &operation, request->count);
}

/* ack */

static void ack_build(struct gri_redis_request *request, struct gri_redis_command *command) {
    struct gri_stream_ack *ack = REQUEST(gri_stream_ack);
    GRI_CRASH_POINT_IF(ack->stream == GRI_STREAM_URLS, ack_urls_before);
    GRI_CRASH_POINT_IF(ack->stream == GRI_STREAM_JOBS, ack_jobs_before);
    begin_owned(request, command, ack->stream, 2);
    for (size_t i = request->from; i < request->from + request->part; i++) {
        gri_redis_command_add(command, ack->ids[i]);
        gri_redis_command_add(command, ack->keys ? ack->keys[i] : "");
    }
}

static bool ack_take(struct gri_redis_request *request, const redisReply *reply) {
    GRI_CRASH_POINT_IF(REQUEST(gri_stream_ack)->stream == GRI_STREAM_URLS, ack_urls_after);
    GRI_CRASH_POINT_IF(REQUEST(gri_stream_ack)->stream == GRI_STREAM_JOBS, ack_jobs_after);
    return take_fences(request, reply, REQUEST(gri_stream_ack)->fences);
}

void gri_redis_ack(struct gri_stream *stream, struct gri_stream_ack *request) {
    static const struct gri_redis_operation operation = {GRI_REDIS_SCRIPT_ack, ack_build, ack_take};
    gri_redis_submit(gri_redis_of(stream), &request->op, &operation, request->count);
}

/* announce */

static void announce_build(struct gri_redis_request *request, struct gri_redis_command *command) {
    struct gri_stream_announce *announce = REQUEST(gri_stream_announce);
    const char *keys[] = {request->redis->keys[GRI_REDIS_URLS]};
    GRI_CRASH_POINT(announce_before);
    begin(request, command, keys, 1);
    gri_redis_command_add(command, announce->catalog);
    for (size_t i = 0; i < request->part; i++)
        gri_redis_command_add_int(command, announce->chunks[request->from + i]);
}

static bool announce_take(struct gri_redis_request *request, const redisReply *reply) {
    struct gri_stream_announce *announce = REQUEST(gri_stream_announce);
    GRI_CRASH_POINT(announce_after);
    for (size_t i = 0; i < request->part; i++) {
        if (!gri_redis_reply_text(reply, i, announce->ids[request->from + i], GRI_ENTRY_ID_MAX)) return false;
    }
    return true;
}

void gri_redis_announce(struct gri_stream *stream, struct gri_stream_announce *request) {
    static const struct gri_redis_operation operation = {GRI_REDIS_SCRIPT_announce, announce_build, announce_take};
    gri_redis_submit(gri_redis_of(stream), &request->op, &operation, request->count);
}

/* present */

static void present_build(struct gri_redis_request *request, struct gri_redis_command *command) {
    struct gri_stream_present *present = REQUEST(gri_stream_present);
    const char *keys[] = {request->redis->keys[GRI_REDIS_URLS]};
    begin(request, command, keys, 1);
    for (size_t i = 0; i < request->part; i++)
        gri_redis_command_add(command, present->ids[request->from + i]);
}

static bool present_take(struct gri_redis_request *request, const redisReply *reply) {
    struct gri_stream_present *present = REQUEST(gri_stream_present);
    int64_t found = 0;
    for (size_t i = 0; i < request->part; i++) {
        if (!take_choice(reply, i, 1, &found)) return false;
        present->present[request->from + i] = found != 0;
    }
    return true;
}

void gri_redis_present(struct gri_stream *stream, struct gri_stream_present *request) {
    static const struct gri_redis_operation operation = {GRI_REDIS_SCRIPT_present, present_build, present_take};
    gri_redis_submit(gri_redis_of(stream), &request->op, &operation, request->count);
}

/* dispatch */

static void dispatch_build(struct gri_redis_request *request, struct gri_redis_command *command) {
    struct gri_stream_dispatch *dispatch = REQUEST(gri_stream_dispatch);
    const char *keys[] = {request->redis->keys[GRI_REDIS_JOBS], request->redis->keys[GRI_REDIS_INFLIGHT]};
    begin(request, command, keys, 2);
    gri_redis_command_add_int(command, dispatch->limit);
    for (size_t i = 0; i < request->part; i++) {
        const struct gri_job *job = &dispatch->jobs[request->from + i];
        gri_redis_command_add(command, job->key);
        gri_redis_command_add(command, job->url);
        gri_redis_command_add(command, job->pipeline);
        gri_redis_command_add_int(command, job->run);
    }
}

static bool dispatch_take(struct gri_redis_request *request, const redisReply *reply) {
    struct gri_stream_dispatch *dispatch = REQUEST(gri_stream_dispatch);
    int64_t result = 0;
    if (!gri_redis_reply_int(reply, 0, &dispatch->inflight)) return false;
    for (size_t i = 0; i < request->part; i++) {
        if (!take_choice(reply, i + 1, GRI_WINDOW_FULL, &result)) return false;
        dispatch->results[request->from + i] = (enum gri_dispatched)result;
    }
    return true;
}

void gri_redis_dispatch(struct gri_stream *stream, struct gri_stream_dispatch *request) {
    static const struct gri_redis_operation operation = {GRI_REDIS_SCRIPT_dispatch, dispatch_build, dispatch_take};
    request->inflight = 0;
    gri_redis_submit(gri_redis_of(stream), &request->op, &operation, request->count);
}

/* inspect */

static void inspect_build(struct gri_redis_request *request, struct gri_redis_command *command) {
    struct gri_stream_inspect *inspect = REQUEST(gri_stream_inspect);
    const char *keys[] = {request->redis->keys[GRI_REDIS_JOBS], request->redis->keys[GRI_REDIS_INFLIGHT]};
    GRI_CRASH_POINT_IF(inspect->deep, inspect_before);
    begin(request, command, keys, 2);
    gri_redis_command_add(command, gri_redis_group(GRI_STREAM_JOBS));
    gri_redis_command_add(command, inspect->deep ? "1" : "0");
    for (size_t i = 0; i < request->part; i++)
        gri_redis_command_add(command, inspect->keys[request->from + i]);
}

static bool inspect_take(struct gri_redis_request *request, const redisReply *reply) {
    struct gri_stream_inspect *inspect = REQUEST(gri_stream_inspect);
    int64_t result = 0;
    GRI_CRASH_POINT_IF(inspect->deep, inspect_after);
    for (size_t i = 0; i < request->part; i++) {
        if (!take_choice(reply, i, GRI_INFLIGHT_LOST, &result)) return false;
        inspect->results[request->from + i] = (enum gri_inflight)result;
    }
    return true;
}

void gri_redis_inspect(struct gri_stream *stream, struct gri_stream_inspect *request) {
    static const struct gri_redis_operation operation = {GRI_REDIS_SCRIPT_inspect, inspect_build, inspect_take};
    gri_redis_submit(gri_redis_of(stream), &request->op, &operation, request->count);
}

/* gate and block */

static void begin_host(struct gri_redis_request *request, struct gri_redis_command *command, const char *host) {
    char key[GRI_REDIS_PREFIX_MAX + GRI_HOST_MAX + 8];
    const char *keys[] = {key};
    gri_format(key, sizeof key, "%s:host:%s", request->redis->prefix, host);
    begin(request, command, keys, 1);
}

/* Requests asked for in this part; none where only the block is asked for, which is a question too. */
static size_t gate_part(const struct gri_redis_request *request, const struct gri_stream_gate *gate) {
    return gate->take > 0 ? request->part : 0;
}

static void gate_build(struct gri_redis_request *request, struct gri_redis_command *command) {
    struct gri_stream_gate *gate = REQUEST(gri_stream_gate);
    char rate[40];
    begin_host(request, command, gate->host);
    gri_format(rate, sizeof rate, "%.9g", gate->per_second);
    gri_redis_command_add(command, rate);
    gri_redis_command_add_int(command, (int64_t)gate_part(request, gate));
    gri_redis_command_add_int(command, gate->horizon_ms);
}

static bool gate_take(struct gri_redis_request *request, const redisReply *reply) {
    struct gri_stream_gate *gate = REQUEST(gri_stream_gate);
    if (!gri_redis_reply_int(reply, 0, &gate->blocked_ms)) return false;
    for (size_t i = 0; i < gate_part(request, gate); i++) {
        if (!gri_redis_reply_int(reply, i + 1, &gate->wait_ms[request->from + i])) return false;
    }
    return true;
}

void gri_redis_gate(struct gri_stream *stream, struct gri_stream_gate *request) {
    static const struct gri_redis_operation operation = {GRI_REDIS_SCRIPT_gate, gate_build, gate_take};
    request->blocked_ms = 0;
    gri_redis_submit(gri_redis_of(stream), &request->op, &operation, request->take > 0 ? request->take : 1);
}

static void block_build(struct gri_redis_request *request, struct gri_redis_command *command) {
    struct gri_stream_block *block = REQUEST(gri_stream_block);
    GRI_CRASH_POINT(block_before);
    begin_host(request, command, block->host);
    gri_redis_command_add_int(command, block->ms < 0 ? 0 : block->ms);
}

static bool block_take(struct gri_redis_request *request, const redisReply *reply) {
    (void)request;
    GRI_CRASH_POINT(block_after);
    return reply->type == REDIS_REPLY_INTEGER;
}

void gri_redis_block(struct gri_stream *stream, struct gri_stream_block *request) {
    static const struct gri_redis_operation operation = {GRI_REDIS_SCRIPT_block, block_build, block_take};
    gri_redis_submit(gri_redis_of(stream), &request->op, &operation, 1);
}

/* stats */

static void stats_build(struct gri_redis_request *request, struct gri_redis_command *command) {
    struct gri_redis *redis = request->redis;
    const char *keys[] = {redis->keys[GRI_REDIS_URLS], redis->keys[GRI_REDIS_JOBS], redis->keys[GRI_REDIS_INFLIGHT]};
    begin(request, command, keys, 3);
    gri_redis_command_add(command, gri_redis_group(GRI_STREAM_URLS));
    gri_redis_command_add(command, gri_redis_group(GRI_STREAM_JOBS));
}

static bool take_depth(const redisReply *reply, size_t index, struct gri_stream_depth *depth) {
    return gri_redis_reply_int(reply, index, &depth->length) && gri_redis_reply_int(reply, index + 1, &depth->pending) &&
           gri_redis_reply_int(reply, index + 2, &depth->lag) &&
           gri_redis_reply_int(reply, index + 3, &depth->oldest_pending_ms) &&
           gri_redis_reply_int(reply, index + 4, &depth->consumers);
}

static bool stats_take(struct gri_redis_request *request, const redisReply *reply) {
    struct gri_stream_stats *stats = REQUEST(gri_stream_stats);
    return take_depth(reply, 0, &stats->urls) && take_depth(reply, 5, &stats->jobs) &&
           gri_redis_reply_int(reply, 10, &stats->inflight) && gri_redis_reply_int(reply, 11, &stats->memory_bytes);
}

void gri_redis_stats(struct gri_stream *stream, struct gri_stream_stats *request) {
    static const struct gri_redis_operation operation = {GRI_REDIS_SCRIPT_stats, stats_build, stats_take};
    gri_redis_submit(gri_redis_of(stream), &request->op, &operation, 1);
}

/* leave */

static void leave_build(struct gri_redis_request *request, struct gri_redis_command *command) {
    GRI_CRASH_POINT(leave_before);
    begin_owned(request, command, REQUEST(gri_stream_leave)->stream, 1);
}

static bool leave_take(struct gri_redis_request *request, const redisReply *reply) {
    GRI_CRASH_POINT(leave_after);
    if (reply->type != REDIS_REPLY_INTEGER) return false;
    REQUEST(gri_stream_leave)->removed = reply->integer == 1;
    return true;
}

void gri_redis_leave(struct gri_stream *stream, struct gri_stream_leave *request) {
    static const struct gri_redis_operation operation = {GRI_REDIS_SCRIPT_leave, leave_build, leave_take};
    request->removed = false;
    gri_redis_submit(gri_redis_of(stream), &request->op, &operation, 1);
}

/* retire */

static void retire_build(struct gri_redis_request *request, struct gri_redis_command *command) {
    struct gri_stream_retire *retire = REQUEST(gri_stream_retire);
    const char *key = stream_key(request->redis, retire->stream);
    GRI_CRASH_POINT(retire_before);
    begin(request, command, &key, 1);
    gri_redis_command_add(command, gri_redis_group(retire->stream));
    gri_redis_command_add_int(command, retire->min_idle_ms);
    gri_redis_command_add_int(command, GRI_REDIS_PART);
}

static bool retire_take(struct gri_redis_request *request, const redisReply *reply) {
    GRI_CRASH_POINT(retire_after);
    if (reply->type != REDIS_REPLY_INTEGER || reply->integer < 0) return false;
    REQUEST(gri_stream_retire)->removed = (size_t)reply->integer;
    return true;
}

void gri_redis_retire(struct gri_stream *stream, struct gri_stream_retire *request) {
    static const struct gri_redis_operation operation = {GRI_REDIS_SCRIPT_retire, retire_build, retire_take};
    request->removed = 0;
    gri_redis_submit(gri_redis_of(stream), &request->op, &operation, 1);
}

/* reclaim */

static void reclaim_build(struct gri_redis_request *request, struct gri_redis_command *command) {
    struct gri_stream_reclaim *reclaim = REQUEST(gri_stream_reclaim);
    size_t max = reclaim->max < GRI_REDIS_PART ? reclaim->max : GRI_REDIS_PART;
    begin_owned(request, command, reclaim->stream, 1);
    gri_redis_command_add_int(command, reclaim->min_idle_ms);
    gri_redis_command_add(command, request->redis->cursors[reclaim->stream]);
    gri_redis_command_add_int(command, (int64_t)max);
    /* One byte more than is kept: a job's URL that was cut is then seen to be too long. */
    gri_redis_command_add_int(command, reclaim->stream == GRI_STREAM_URLS ? GRI_REDIS_URL_KEEP + 1 : GRI_REDIS_JOB_URL_MAX + 1);
}

static bool reclaim_entries(const struct gri_stream_reclaim *reclaim, const redisReply *reply,
                            struct gri_redis_entries *entries) {
    for (size_t i = 2; i < reply->elements; i++) {
        const redisReply *entry = reply->element[i];
        int64_t deliveries = 0;
        if (!gri_redis_reply_is_array(entry, 3) || !gri_redis_reply_int(entry, 1, &deliveries)) return false;
        if (!gri_redis_entries_add(entries, reclaim->stream, entry->element[0], entry->element[2], deliveries)) return false;
    }
    return true;
}

static bool reclaim_take(struct gri_redis_request *request, const redisReply *reply) {
    struct gri_stream_reclaim *reclaim = REQUEST(gri_stream_reclaim);
    struct gri_redis *redis = request->redis;
    char cursor[GRI_ENTRY_ID_MAX];
    int64_t missing = 0;
    if (!gri_redis_reply_text(reply, 0, cursor, sizeof cursor) || !gri_redis_reply_int(reply, 1, &missing) || missing < 0) {
        return false;
    }
    struct gri_redis_entries entries;
    gri_redis_entries_init(&entries, reclaim->stream, reply->elements - 2);
    bool readable = reclaim_entries(reclaim, reply, &entries);
    if (readable) {
        gri_copy(redis->cursors[reclaim->stream], GRI_ENTRY_ID_MAX, cursor);
        gri_redis_discard(redis, reclaim->stream, &entries);
        GRI_CRASH_POINT_IF(entries.count > 0 && reclaim->stream == GRI_STREAM_URLS, reclaim_urls_after);
        GRI_CRASH_POINT_IF(entries.count > 0 && reclaim->stream == GRI_STREAM_JOBS, reclaim_jobs_after);
        reclaim->missing = (size_t)missing + (reclaim->stream == GRI_STREAM_JOBS ? entries.bad : 0);
        gri_redis_entries_take(&entries, &reclaim->urls, &reclaim->jobs, &reclaim->count);
    }
    gri_redis_entries_clear(&entries);
    return readable;
}

void gri_redis_reclaim(struct gri_stream *stream, struct gri_stream_reclaim *request) {
    static const struct gri_redis_operation operation = {GRI_REDIS_SCRIPT_reclaim, reclaim_build, reclaim_take};
    request->urls = NULL;
    request->jobs = NULL;
    request->count = 0;
    request->missing = 0;
    gri_redis_submit(gri_redis_of(stream), &request->op, &operation, request->max > 0 ? 1 : 0);
}
