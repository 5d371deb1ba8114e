/* SPDX-License-Identifier: Apache-2.0 */
/* A reading of Redis. */
#include "live_stats.h"

#include "redis_stream.h"
#include "uv_loop.h"

enum { READ_TIMEOUT_MS = 3000 };

static struct gri_json *depth_json(const struct gri_stream_depth *depth) {
    struct gri_json *json = gri_json_object();
    gri_json_set_int(json, "length", depth->length);
    gri_json_set_int(json, "pending", depth->pending);
    if (depth->lag < 0)
        gri_json_set_null(json, "lag");
    else
        gri_json_set_int(json, "lag", depth->lag);
    gri_json_set_int(json, "oldest_pending_ms", depth->oldest_pending_ms);
    gri_json_set_int(json, "consumers", depth->consumers);
    return json;
}

struct gri_json *gri_live_stats_json(const struct gri_stream_stats *stats) {
    struct gri_json *json = gri_json_object();
    gri_json_set(json, "urls", depth_json(&stats->urls));
    gri_json_set(json, "jobs", depth_json(&stats->jobs));
    gri_json_set_int(json, "inflight", stats->inflight);
    gri_json_set_int(json, "memory_bytes", stats->memory_bytes);
    return json;
}

struct reading {
    struct gri_loop *loop;
    struct gri_stream *stream;
    struct gri_stream_stats stats;
    bool asked;
    struct gri_json *json;
};

static void stop(void *arg) {
    struct reading *reading = arg;
    gri_uv_loop_stop(reading->loop);
}

static void stats_done(struct gri_op *op) {
    struct reading *reading = gri_container_of(op, struct reading, stats.op);
    if (op->status == GRI_OK) reading->json = gri_live_stats_json(&reading->stats);
    gri_uv_loop_stop(reading->loop);
}

static void changed(void *arg, enum gri_stream_state state) {
    struct reading *reading = arg;
    if (state == GRI_STREAM_DOWN || reading->asked) return;
    reading->asked = true;
    reading->stats = (struct gri_stream_stats){.op = {.done = stats_done}};
    reading->stream->ops->stats(reading->stream, &reading->stats);
}

struct gri_json *gri_live_stats_read(struct gri_cli *cli) {
    struct reading reading = {0};
    struct gri_error error;
    struct gri_redis_options options = {.url = gri_config_text(cli->config, "redis.url"),
                                        .prefix = gri_config_text(cli->config, "redis.prefix"),
                                        .consumer = "status",
                                        .timeout_ms = READ_TIMEOUT_MS};
    if (gri_uv_loop_create(&reading.loop, &error) != GRI_OK) return NULL;
    if (gri_redis_stream_create(gri_uv_loop_handle(reading.loop), &options, cli->log, NULL, &reading.stream, &error) == GRI_OK) {
        reading.stream->changed = changed;
        reading.stream->changed_arg = &reading;
        reading.stream->ops->open(reading.stream);
        struct gri_timer *late = gri_timer_start(reading.loop, READ_TIMEOUT_MS, stop, &reading);
        gri_uv_loop_run(reading.loop);
        (void)late; /* fired, or stopped with the loop */
        gri_redis_stream_destroy(reading.stream);
    }
    gri_uv_loop_destroy(reading.loop);
    return reading.json;
}
