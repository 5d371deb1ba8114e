/* SPDX-License-Identifier: Apache-2.0 */
/* Stream entries out of replies. Anyone may XADD to the stream of URLs, so nothing in an entry is trusted. */
#ifndef GRISAILLE_REDIS_ENTRY_H
#define GRISAILLE_REDIS_ENTRY_H

#include "redis_command.h"
#include <grisaille/stream.h>

enum {
    GRI_REDIS_URL_KEEP = 16 * 1024,         /* bytes kept of a URL: over GRI_URL_MAX, so that it is still judged too_long */
    GRI_REDIS_JOB_URL_MAX = 8 * GRI_URL_MAX /* a job with a longer one was not put in by a scheduler */
};

/* What a reply held: entries to deliver (owned by whoever takes them), and entries to throw away. */
struct gri_redis_entries {
    struct gri_url_entry *urls; /* for GRI_STREAM_URLS */
    struct gri_job_entry *jobs; /* for GRI_STREAM_JOBS */
    size_t count;
    char (*bad_ids)[GRI_ENTRY_ID_MAX]; /* owned, as is bad_keys; gri_redis_entries_clear frees both */
    char (*bad_keys)[GRI_KEY_MAX];     /* the job key where it could be read, else "" */
    size_t bad;
};

/* Room for up to `max` entries. */
void gri_redis_entries_init(struct gri_redis_entries *entries, enum gri_stream_name stream, size_t max);
/* Adds the entry `id` with its flat array of fields and values. False where `id` is no stream id (nothing is added then). */
bool gri_redis_entries_add(struct gri_redis_entries *entries, enum gri_stream_name stream, const redisReply *id,
                           const redisReply *fields, int64_t deliveries);
/* Moves what is to be delivered to a request's outputs: where it is nothing, both arrays are NULL. */
void gri_redis_entries_take(struct gri_redis_entries *entries, struct gri_url_entry **urls, struct gri_job_entry **jobs,
                            size_t *count);
/* Frees what is still held. */
void gri_redis_entries_clear(struct gri_redis_entries *entries);

#endif
