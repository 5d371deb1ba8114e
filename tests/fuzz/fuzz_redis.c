/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: any bytes as what Redis answers to a read: anyone may put entries into the stream of URLs.
 *
 * Parser: adapters/redis_entry.c */
#include "fuzz_kit.h"

#include "redis_entry.h"

static void add_all(const redisReply *list, enum gri_stream_name stream) {
    struct gri_redis_entries entries;
    struct gri_url_entry *urls;
    struct gri_job_entry *jobs;
    size_t count, added = 0;
    gri_redis_entries_init(&entries, stream, list->elements);
    for (size_t i = 0; i < list->elements; i++) {
        const redisReply *entry = list->element[i];
        if (gri_redis_reply_is_array(entry, 2) &&
            gri_redis_entries_add(&entries, stream, entry->element[0], entry->element[1], 1))
            added++;
    }
    FUZZ_CHECK(entries.count + entries.bad == added);
    gri_redis_entries_take(&entries, &urls, &jobs, &count);
    for (size_t i = 0; i < count; i++) {
        if (jobs) FUZZ_CHECK(jobs[i].job.url && jobs[i].job.key[0] && jobs[i].job.pipeline[0] && jobs[i].job.run >= 0);
        if (urls) FUZZ_CHECK(urls[i].url || urls[i].catalog[0]);
    }
    if (urls) gri_url_entries_free(urls, count);
    if (jobs) gri_job_entries_free(jobs, count);
    gri_redis_entries_clear(&entries);
}

static void take(const redisReply *reply) {
    char text[40];
    int64_t number;
    (void)gri_redis_reply_text(reply, 0, text, sizeof text);
    (void)gri_redis_reply_int(reply, 1, &number);
    if (!gri_redis_reply_is_array(reply, 0)) return;
    add_all(reply, GRI_STREAM_URLS);
    add_all(reply, GRI_STREAM_JOBS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;
    int64_t number;
    FUZZ_CHECK(reader != NULL);
    (void)gri_redis_parse_int((const char *)data, size, &number);
    /* A count of elements that are not there is memory at once, by hiredis' own design: Redis itself is trusted that far. */
    for (size_t i = 0; i + 1 < size; i++) {
        size_t digits = 0;
        while (data[i] == '*' && i + 1 + digits < size && data[i + 1 + digits] >= '0' && data[i + 1 + digits] <= '9')
            digits++;
        if (digits > 4) size = i;
    }
    if (redisReaderFeed(reader, (const char *)data, size) == REDIS_OK) {
        while (redisReaderGetReply(reader, &reply) == REDIS_OK && reply) {
            take(reply);
            freeReplyObject(reply);
            reply = NULL;
        }
    }
    redisReaderFree(reader);
    return 0;
}
