/* SPDX-License-Identifier: Apache-2.0 */
/* One call of each operation of the Redis stream, made and checked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "redis_calls.h"

#include <stdlib.h>

struct redis_world world;

int set_up(void **state) {
    (void)state;
    world_start(&world, NULL);
    return 0;
}

int tear_down(void **state) {
    (void)state;
    world_stop(&world);
    return 0;
}

void set_job(struct gri_job *job, int number) {
    *job = (struct gri_job){.run = number + 1};
    gri_format(job->key, sizeof job->key, "%064d:gray", number);
    gri_copy(job->pipeline, sizeof job->pipeline, "gray@0123456789ab");
    char url[64];
    gri_format(url, sizeof url, "https://picsum.photos/id/%d/200", number);
    job->url = gri_strdup(url);
}

size_t dispatch(struct gri_stream *stream, int first, size_t count, int64_t limit, int64_t *inflight) {
    struct gri_job *jobs = gri_calloc(count, sizeof *jobs);
    enum gri_dispatched *results = gri_calloc(count, sizeof *results);
    for (size_t i = 0; i < count; i++)
        set_job(&jobs[i], first + (int)i);
    struct gri_stream_dispatch request = {.jobs = jobs, .count = count, .limit = limit, .results = results};
    RUN_OK(stream, dispatch, &request);
    size_t in = 0;
    for (size_t i = 0; i < count; i++) {
        if (results[i] == GRI_DISPATCHED) in++;
        gri_job_clear(&jobs[i]);
    }
    free(jobs);
    free(results);
    if (inflight) *inflight = request.inflight;
    return in;
}

struct gri_stream_read read_some(struct gri_stream *stream, enum gri_stream_name name, size_t max, int64_t block_ms) {
    struct gri_stream_read read = {.stream = name, .max = max, .block_ms = block_ms};
    RUN_OK(stream, read, &read);
    return read;
}

enum gri_fence ack_one(struct gri_stream *stream, enum gri_stream_name name, const char *id, const char *key) {
    char ids[1][GRI_ENTRY_ID_MAX], keys[1][GRI_KEY_MAX];
    enum gri_fence fence = GRI_FENCED;
    gri_copy(ids[0], sizeof ids[0], id);
    gri_copy(keys[0], sizeof keys[0], key ? key : "");
    struct gri_stream_ack ack = {.stream = name,
                                 .ids = (const char(*)[GRI_ENTRY_ID_MAX])ids,
                                 .keys = key ? (const char(*)[GRI_KEY_MAX])keys : NULL,
                                 .count = 1,
                                 .fences = &fence};
    RUN_OK(stream, ack, &ack);
    return fence;
}

enum gri_fence beat_one(struct gri_stream *stream, const char *id) {
    char ids[1][GRI_ENTRY_ID_MAX];
    enum gri_fence fence = GRI_FENCED;
    gri_copy(ids[0], sizeof ids[0], id);
    struct gri_stream_heartbeat beat = {
        .stream = GRI_STREAM_JOBS, .ids = (const char(*)[GRI_ENTRY_ID_MAX])ids, .count = 1, .fences = &fence};
    RUN_OK(stream, heartbeat, &beat);
    return fence;
}

struct gri_stream_reclaim reclaim_some(struct gri_stream *stream, enum gri_stream_name name, size_t max) {
    struct gri_stream_reclaim reclaim = {.stream = name, .min_idle_ms = 0, .max = max};
    RUN_OK(stream, reclaim, &reclaim);
    return reclaim;
}

enum gri_inflight inspect_one(struct gri_stream *stream, const char *key, bool deep) {
    char keys[1][GRI_KEY_MAX];
    enum gri_inflight result = GRI_NOT_INFLIGHT;
    gri_copy(keys[0], sizeof keys[0], key);
    struct gri_stream_inspect inspect = {.keys = (const char(*)[GRI_KEY_MAX])keys, .count = 1, .deep = deep, .results = &result};
    RUN_OK(stream, inspect, &inspect);
    return result;
}
