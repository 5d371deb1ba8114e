/* SPDX-License-Identifier: Apache-2.0 */
/* The Redis adapter made and unmade; its table of operations. */
#include "redis_stream.h"

#include "redis_session.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_DEFAULT_MS = 5000 };

static void stream_open(struct gri_stream *stream) {
    gri_redis_session_open(gri_redis_of(stream));
}
static void stream_close(struct gri_stream *stream) {
    gri_redis_session_close(gri_redis_of(stream));
}

static const struct gri_stream_ops redis_ops = {
    .open = stream_open,
    .read = gri_redis_read,
    .cancel_read = gri_redis_cancel_read,
    .reclaim = gri_redis_reclaim,
    .heartbeat = gri_redis_heartbeat,
    .ack = gri_redis_ack,
    .announce = gri_redis_announce,
    .present = gri_redis_present,
    .dispatch = gri_redis_dispatch,
    .inspect = gri_redis_inspect,
    .gate = gri_redis_gate,
    .block = gri_redis_block,
    .stats = gri_redis_stats,
    .leave = gri_redis_leave,
    .retire = gri_redis_retire,
    .close = stream_close,
};

static bool is_name(const char *text, size_t size) {
    size_t len = strlen(text);
    if (len == 0 || len >= size) return false;
    for (size_t i = 0; i < len; i++) {
        if (!isgraph((unsigned char)text[i])) return false;
    }
    return true;
}

static enum gri_status set_options(struct gri_redis *redis, const struct gri_redis_options *options, struct gri_error *error) {
    static const char *const names[GRI_REDIS_KEY_COUNT] = {"urls", "jobs", "inflight", "epoch"};
    const char *prefix = options->prefix ? options->prefix : "{gri}";
    if (!is_name(prefix, sizeof redis->prefix)) {
        return gri_fail(error, GRI_R_config, "redis.prefix: 1 to %d printable ASCII characters without spaces, not \"%s\"",
                        GRI_REDIS_PREFIX_MAX - 1, prefix);
    }
    if (!is_name(options->consumer, sizeof redis->consumer)) {
        return gri_fail(error, GRI_R_config, "a consumer's name: 1 to %d printable ASCII characters without spaces, not \"%s\"",
                        GRI_WORKER_MAX - 1, options->consumer);
    }
    gri_copy(redis->prefix, sizeof redis->prefix, prefix);
    gri_copy(redis->consumer, sizeof redis->consumer, options->consumer);
    for (size_t i = 0; i < GRI_REDIS_KEY_COUNT; i++)
        gri_format(redis->keys[i], GRI_REDIS_KEY_MAX, "%s:%s", prefix, names[i]);
    redis->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : TIMEOUT_DEFAULT_MS;
    if (gri_redis_address_is_sentinel(options->url)) {
        return gri_redis_sentinels_parse(options->url, &redis->sentinels, &redis->address, error);
    }
    return gri_redis_address_parse(options->url, &redis->address, error);
}

enum gri_status gri_redis_stream_create(struct uv_loop_s *uv, const struct gri_redis_options *options, struct gri_log *log,
                                        struct gri_metrics *metrics, struct gri_stream **out, struct gri_error *error) {
    static const char ignored_help[] = "Stream entries without the fields of their stream, removed";
    struct gri_redis *redis = gri_calloc(1, sizeof *redis);
    *out = NULL;
    enum gri_status status = set_options(redis, options, error);
    if (status != GRI_OK) {
        free(redis);
        return status;
    }
    redis->stream.ops = &redis_ops;
    redis->uv = uv;
    redis->log = log;
    redis->reconnects = gri_metrics_counter(metrics, "grisaille_redis_reconnects_total", "Times Redis was connected again", "");
    redis->ignored[GRI_STREAM_URLS] =
        gri_metrics_counter(metrics, "grisaille_stream_entries_ignored_total", ignored_help, "stream=\"urls\"");
    redis->ignored[GRI_STREAM_JOBS] =
        gri_metrics_counter(metrics, "grisaille_stream_entries_ignored_total", ignored_help, "stream=\"jobs\"");
    redis->finished_end = &redis->finished;
    for (enum gri_stream_name i = GRI_STREAM_URLS; i <= GRI_STREAM_JOBS; i++) {
        redis->readings[i].redis = redis;
        redis->readings[i].stream = i;
        gri_copy(redis->cursors[i], GRI_ENTRY_ID_MAX, "0-0");
    }
    GRI_ASSERT(uv_timer_init(uv, &redis->retry) == 0 && uv_timer_init(uv, &redis->turn) == 0);
    redis->retry.data = redis;
    redis->turn.data = redis;
    redis->handles = 2;
    *out = &redis->stream;
    return GRI_OK;
}

static void handle_closed(uv_handle_t *handle) {
    struct gri_redis *redis = handle->data;
    if (--redis->handles == 0) free(redis);
}

static void last_turn(uv_timer_t *timer) {
    gri_redis_requests_deliver(timer->data);
    uv_close((uv_handle_t *)timer, handle_closed);
}

void gri_redis_stream_destroy(struct gri_stream *stream) {
    if (!stream) return;
    struct gri_redis *redis = gri_redis_of(stream);
    GRI_ASSERT(!redis->destroyed);
    redis->stream.changed = NULL;
    gri_redis_session_close(redis);
    redis->destroyed = true;
    uv_close((uv_handle_t *)&redis->retry, handle_closed);
    uv_timer_start(&redis->turn, last_turn, 0, 0); /* also when destroyed from inside a delivery: that one goes on first */
}
