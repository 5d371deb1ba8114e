/* SPDX-License-Identifier: Apache-2.0 */
/* Stream entries out of replies. */
#include "redis_entry.h"

#include <stdlib.h>
#include <string.h>

void gri_redis_entries_init(struct gri_redis_entries *entries, enum gri_stream_name stream, size_t max) {
    *entries = (struct gri_redis_entries){0};
    if (max == 0) return;
    if (stream == GRI_STREAM_URLS)
        entries->urls = gri_calloc(max, sizeof *entries->urls);
    else
        entries->jobs = gri_calloc(max, sizeof *entries->jobs);
    entries->bad_ids = gri_calloc(max, sizeof *entries->bad_ids);
    entries->bad_keys = gri_calloc(max, sizeof *entries->bad_keys);
}

void gri_redis_entries_clear(struct gri_redis_entries *entries) {
    if (entries->urls) gri_url_entries_free(entries->urls, entries->count);
    if (entries->jobs) gri_job_entries_free(entries->jobs, entries->count);
    free(entries->bad_ids);
    free(entries->bad_keys);
    *entries = (struct gri_redis_entries){0};
}

void gri_redis_entries_take(struct gri_redis_entries *entries, struct gri_url_entry **urls, struct gri_job_entry **jobs,
                            size_t *count) {
    *count = entries->count;
    *urls = NULL;
    *jobs = NULL;
    if (entries->count == 0) return;
    *urls = entries->urls;
    *jobs = entries->jobs;
    entries->urls = NULL;
    entries->jobs = NULL;
    entries->count = 0;
}

/* The value of field `name`, or NULL. Of a field given twice, the first counts. */
static const redisReply *field_of(const redisReply *fields, const char *name) {
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        const redisReply *field = fields->element[i], *value = fields->element[i + 1];
        if (field->type == REDIS_REPLY_STRING && value->type == REDIS_REPLY_STRING && field->len == strlen(name) &&
            memcmp(field->str, name, field->len) == 0) {
            return value;
        }
    }
    return NULL;
}

/* Copies the value as text; false where there is none, it is empty, too long or holds NUL. */
static bool copy_value(const redisReply *value, char *out, size_t size) {
    if (!value || value->len == 0 || value->len >= size || memchr(value->str, '\0', value->len)) return false;
    memcpy(out, value->str, value->len);
    out[value->len] = '\0';
    return true;
}

static bool number_value(const redisReply *value, int64_t *out) {
    return value && gri_redis_parse_int(value->str, value->len, out) && *out >= 0;
}

static bool parse_url(const redisReply *fields, struct gri_url_entry *entry) {
    const redisReply *url = field_of(fields, "url"), *pipeline = field_of(fields, "pipeline");
    if (!url) {
        return copy_value(field_of(fields, "catalog"), entry->catalog, sizeof entry->catalog) &&
               number_value(field_of(fields, "chunk"), &entry->chunk);
    }
    if (pipeline && pipeline->len > 0 && !copy_value(pipeline, entry->pipeline, sizeof entry->pipeline)) {
        gri_copy(entry->pipeline, sizeof entry->pipeline,
                 "?"); /* no pipeline is called so: judged no_pipeline, not cut to another */
    }
    entry->url_len = url->len < GRI_REDIS_URL_KEEP ? url->len : GRI_REDIS_URL_KEEP;
    entry->url = gri_calloc(1, entry->url_len + 1);
    memcpy(entry->url, url->str, entry->url_len);
    return true;
}

static bool parse_job(const redisReply *fields, struct gri_job *job) {
    const redisReply *url = field_of(fields, "url");
    if (!url || url->len == 0 || url->len > GRI_REDIS_JOB_URL_MAX || memchr(url->str, '\0', url->len)) return false;
    if (!copy_value(field_of(fields, "key"), job->key, sizeof job->key)) return false;
    if (!copy_value(field_of(fields, "pipeline"), job->pipeline, sizeof job->pipeline)) return false;
    if (!number_value(field_of(fields, "run"), &job->run)) return false;
    job->url = gri_strndup(url->str, url->len);
    return true;
}

bool gri_redis_entries_add(struct gri_redis_entries *entries, enum gri_stream_name stream, const redisReply *id,
                           const redisReply *fields, int64_t deliveries) {
    char text[GRI_ENTRY_ID_MAX];
    if (id->type != REDIS_REPLY_STRING || !copy_value(id, text, sizeof text)) return false;
    bool readable = fields->type == REDIS_REPLY_ARRAY;
    if (stream == GRI_STREAM_URLS) {
        struct gri_url_entry *entry = &entries->urls[entries->count];
        *entry = (struct gri_url_entry){.deliveries = deliveries};
        readable = readable && parse_url(fields, entry);
        gri_copy(entry->id, sizeof entry->id, text);
    } else {
        struct gri_job_entry *entry = &entries->jobs[entries->count];
        *entry = (struct gri_job_entry){.deliveries = deliveries};
        readable = readable && parse_job(fields, &entry->job);
        gri_copy(entry->id, sizeof entry->id, text);
    }
    if (readable) {
        entries->count++;
        return true;
    }
    gri_copy(entries->bad_ids[entries->bad], GRI_ENTRY_ID_MAX, text);
    if (fields->type == REDIS_REPLY_ARRAY)
        (void)copy_value(field_of(fields, "key"), entries->bad_keys[entries->bad], GRI_KEY_MAX);
    entries->bad++;
    return true;
}
