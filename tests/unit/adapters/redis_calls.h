/* SPDX-License-Identifier: Apache-2.0 */
/* One call of each operation of the Redis stream, for the tests against a real server: the world they run in, requests that must
 * end well, and what they answered. Include after cmocka.h. */
#ifndef GRISAILLE_REDIS_CALLS_H
#define GRISAILLE_REDIS_CALLS_H

#include "redis_world.h"

/* One a test: made by set_up, gone with tear_down. */
extern struct redis_world world;
int set_up(void **state);
int tear_down(void **state);

/* Submits through `call`, checks that `done` does not come inside it, and waits. */
#define RUN(request, call) \
    (world_arm(&(request)->op), (void)(call), assert_false(world_done(&(request)->op)), world_finish(&world, &(request)->op))
#define RUN_OK(stream, operation, request) assert_int_equal(RUN(request, (stream)->ops->operation((stream), (request))), GRI_OK)

/* A job on a URL of its own; gri_job_clear. */
void set_job(struct gri_job *job, int number);
/* Dispatches jobs first … first+count-1; returns how many went in. `inflight` may be NULL. */
size_t dispatch(struct gri_stream *stream, int first, size_t count, int64_t limit, int64_t *inflight);
struct gri_stream_read read_some(struct gri_stream *stream, enum gri_stream_name name, size_t max, int64_t block_ms);
enum gri_fence ack_one(struct gri_stream *stream, enum gri_stream_name name, const char *id, const char *key);
enum gri_fence beat_one(struct gri_stream *stream, const char *id);
struct gri_stream_reclaim reclaim_some(struct gri_stream *stream, enum gri_stream_name name, size_t max);
enum gri_inflight inspect_one(struct gri_stream *stream, const char *key, bool deep);

#endif
