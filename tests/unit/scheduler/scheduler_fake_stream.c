/* SPDX-License-Identifier: Apache-2.0 */
/* Fake stream: {gri}:urls with one group and "this" against "another" consumer, and the inflight hash. */
#include "scheduler_fakes.h"

#include <stdlib.h>
#include <string.h>

static struct fake_stream *self(struct gri_stream *stream) {
    return gri_container_of(stream, struct fake_stream, base);
}

static void finish(void *arg) {
    struct gri_op *op = arg;
    op->done(op);
}

/* Answers in 1 ms, or slow_ms later; false when it fails and nothing may be changed. */
static bool answer(struct fake_stream *stream, struct gri_op *op, const char *name) {
    struct fake_fault *fault = &stream->fault;
    bool hit = fault->op && fault->times > 0 && strcmp(fault->op, name) == 0;
    if (hit) fault->times--;
    op->status = GRI_OK;
    if (stream->down || hit)
        op->status = gri_fail_as(&op->error, hit ? fault->status : GRI_RETRY, GRI_R_stream, "fake: %s fails", name);
    gri_timer_start(&stream->loop->base, 1 + stream->slow_ms, finish, op);
    return op->status == GRI_OK || (hit && fault->applied);
}

struct fake_entry *fake_stream_entry(struct fake_stream *stream, const char *id) {
    for (size_t i = 0; i < stream->entry_count; i++)
        if (strcmp(stream->entries[i].entry.id, id) == 0) return &stream->entries[i];
    return NULL;
}

void fake_stream_remove(struct fake_stream *stream, const char *id) {
    struct fake_entry *entry = fake_stream_entry(stream, id);
    if (!entry) return;
    free(entry->entry.url);
    size_t index = (size_t)(entry - stream->entries);
    memmove(entry, entry + 1, (stream->entry_count - index - 1) * sizeof *entry);
    stream->entry_count--;
}

/* --- read and reclaim --------------------------------------------------------------------------------------------------------
 */

static struct gri_url_entry copy_of(const struct fake_entry *from) {
    struct gri_url_entry entry = from->entry;
    if (from->entry.url) entry.url = gri_strdup(from->entry.url);
    return entry;
}

static void finish_read(struct fake_stream *stream) {
    struct gri_stream_read *request = stream->read;
    request->urls = gri_calloc(request->max, sizeof *request->urls);
    request->count = 0;
    for (size_t i = 0; i < stream->entry_count && request->count < request->max; i++) {
        struct fake_entry *entry = &stream->entries[i];
        if (entry->delivered) continue;
        entry->delivered = entry->mine = true;
        entry->entry.deliveries = 1;
        entry->beat_ms = stream->loop->now;
        request->urls[request->count++] = copy_of(entry);
    }
    stream->read = NULL;
    gri_timer_stop(&stream->loop->base, stream->read_timer);
    stream->read_timer = NULL;
    fake_trace_add(stream->trace, "read %zu", request->count);
    if (!answer(stream, &request->op, "read") || request->op.status != GRI_OK) {
        gri_url_entries_free(request->urls, request->count);
        request->urls = NULL;
    }
}

static void read_timed_out(void *arg) {
    struct fake_stream *stream = arg;
    stream->read_timer = NULL;
    finish_read(stream);
}

static bool has_new(const struct fake_stream *stream) {
    for (size_t i = 0; i < stream->entry_count; i++)
        if (!stream->entries[i].delivered) return true;
    return false;
}

static void read_urls(struct gri_stream *port, struct gri_stream_read *request) {
    struct fake_stream *stream = self(port);
    GRI_ASSERT(!stream->read && request->max > 0);
    if (stream->down || (stream->fault.op && stream->fault.times > 0 && strcmp(stream->fault.op, "read") == 0)) {
        (void)answer(stream, &request->op, "read");
        return;
    }
    stream->read = request;
    if (has_new(stream))
        finish_read(stream);
    else
        stream->read_timer = gri_timer_start(&stream->loop->base, request->block_ms, read_timed_out, stream);
}

static void cancel_read(struct gri_stream *port, struct gri_stream_read *request) {
    if (self(port)->read == request) finish_read(self(port));
}

static void reclaim(struct gri_stream *port, struct gri_stream_reclaim *request) {
    struct fake_stream *stream = self(port);
    fake_trace_add(stream->trace, "reclaim");
    if (!answer(stream, &request->op, "reclaim")) return;
    request->urls = gri_calloc(request->max, sizeof *request->urls);
    for (size_t i = 0; i < stream->entry_count && request->count < request->max; i++) {
        struct fake_entry *entry = &stream->entries[i];
        if (!entry->delivered || stream->loop->now - entry->beat_ms < request->min_idle_ms) continue;
        entry->mine = true;
        entry->entry.deliveries++;
        entry->beat_ms = stream->loop->now;
        request->urls[request->count++] = copy_of(entry);
    }
}

/* --- fenced calls ------------------------------------------------------------------------------------------------------------
 */

/* NULL when it is another's or gone. */
static struct fake_entry *owned(struct fake_stream *stream, const char *id) {
    struct fake_entry *entry = fake_stream_entry(stream, id);
    return entry && entry->delivered && entry->mine ? entry : NULL;
}

static void heartbeat(struct gri_stream *port, struct gri_stream_heartbeat *request) {
    struct fake_stream *stream = self(port);
    fake_trace_add(stream->trace, "heartbeat %zu", request->count);
    if (!answer(stream, &request->op, "heartbeat")) return;
    for (size_t i = 0; i < request->count; i++) {
        struct fake_entry *entry = owned(stream, request->ids[i]);
        request->fences[i] = entry ? GRI_OWNED : GRI_FENCED;
        if (entry) entry->beat_ms = stream->loop->now;
    }
}

static void ack(struct gri_stream *port, struct gri_stream_ack *request) {
    struct fake_stream *stream = self(port);
    fake_trace_add(stream->trace, "ack %zu %s", request->count, request->ids[0]);
    if (!answer(stream, &request->op, "ack")) return;
    for (size_t i = 0; i < request->count; i++) {
        request->fences[i] = owned(stream, request->ids[i]) ? GRI_OWNED : GRI_FENCED;
        if (request->fences[i] == GRI_OWNED) fake_stream_remove(stream, request->ids[i]);
    }
}

/* --- announcements -----------------------------------------------------------------------------------------------------------
 */

static const char *push(struct fake_stream *stream, struct gri_url_entry entry, int delivered) {
    GRI_ASSERT(stream->entry_count < FAKE_ENTRIES);
    (void)gri_format(entry.id, sizeof entry.id, "%d-0", ++stream->next_id);
    entry.deliveries = delivered;
    stream->entries[stream->entry_count] = (struct fake_entry){.entry = entry, .delivered = delivered > 0, .beat_ms = -1000000};
    const char *id = stream->entries[stream->entry_count++].entry.id;
    if (stream->read && !delivered) finish_read(stream);
    return id;
}

const char *fake_stream_push_url(struct fake_stream *stream, const char *url, const char *pipeline, int delivered) {
    struct gri_url_entry entry = {.url = gri_strdup(url), .url_len = strlen(url)};
    gri_copy(entry.pipeline, sizeof entry.pipeline, pipeline);
    return push(stream, entry, delivered);
}

const char *fake_stream_push_chunk(struct fake_stream *stream, const char *catalog, int64_t chunk, int delivered) {
    struct gri_url_entry entry = {.chunk = chunk};
    gri_copy(entry.catalog, sizeof entry.catalog, catalog);
    return push(stream, entry, delivered);
}

static void announce(struct gri_stream *port, struct gri_stream_announce *request) {
    struct fake_stream *stream = self(port);
    fake_trace_add(stream->trace, "announce %s %zu", request->catalog, request->count);
    if (!answer(stream, &request->op, "announce")) return;
    for (size_t i = 0; i < request->count; i++)
        gri_copy(request->ids[i], GRI_ENTRY_ID_MAX, fake_stream_push_chunk(stream, request->catalog, request->chunks[i], 0));
}

static void present(struct gri_stream *port, struct gri_stream_present *request) {
    struct fake_stream *stream = self(port);
    if (!answer(stream, &request->op, "present")) return;
    for (size_t i = 0; i < request->count; i++)
        request->present[i] = fake_stream_entry(stream, request->ids[i]) != NULL;
}

/* --- the window --------------------------------------------------------------------------------------------------------------
 */

static long find_inflight(const struct fake_stream *stream, const char *key) {
    for (size_t i = 0; i < stream->inflight_count; i++)
        if (strcmp(stream->inflight[i].key, key) == 0) return (long)i;
    return -1;
}

static void dispatch(struct gri_stream *port, struct gri_stream_dispatch *request) {
    struct fake_stream *stream = self(port);
    fake_trace_add(stream->trace, "dispatch %zu", request->count);
    if (!answer(stream, &request->op, "dispatch")) return;
    for (size_t i = 0; i < request->count; i++) {
        request->results[i] = GRI_ALREADY_INFLIGHT;
        if (find_inflight(stream, request->jobs[i].key) >= 0) continue;
        request->results[i] = GRI_WINDOW_FULL;
        if ((int64_t)stream->inflight_count >= request->limit) continue;
        request->results[i] = GRI_DISPATCHED;
        GRI_ASSERT(stream->inflight_count < FAKE_URLS);
        stream->inflight[stream->inflight_count].lost = false;
        gri_copy(stream->inflight[stream->inflight_count++].key, GRI_KEY_MAX, request->jobs[i].key);
        stream->dispatched++;
    }
    request->inflight = (int64_t)stream->inflight_count;
}

static void inspect(struct gri_stream *port, struct gri_stream_inspect *request) {
    struct fake_stream *stream = self(port);
    fake_trace_add(stream->trace, "inspect %zu%s", request->count, request->deep ? " deep" : "");
    if (!answer(stream, &request->op, "inspect")) return;
    for (size_t i = 0; i < request->count; i++) {
        long at = find_inflight(stream, request->keys[i]);
        request->results[i] = at < 0 ? GRI_NOT_INFLIGHT : GRI_INFLIGHT;
        if (at < 0 || !request->deep || !stream->inflight[at].lost) continue;
        request->results[i] = GRI_INFLIGHT_LOST;
        stream->inflight[at] = stream->inflight[--stream->inflight_count];
    }
}

static void stats(struct gri_stream *port, struct gri_stream_stats *request) {
    struct fake_stream *stream = self(port);
    if (!answer(stream, &request->op, "stats")) return;
    request->inflight = (int64_t)stream->inflight_count;
    request->urls.length = (int64_t)stream->entry_count;
}

static void leave(struct gri_stream *port, struct gri_stream_leave *request) {
    fake_trace_add(self(port)->trace, "leave");
    request->removed = answer(self(port), &request->op, "leave");
}

static void retire(struct gri_stream *port, struct gri_stream_retire *request) {
    struct fake_stream *stream = self(port);
    fake_trace_add(stream->trace, "retire %d %lld", (int)request->stream, (long long)request->min_idle_ms);
    if (!answer(stream, &request->op, "retire")) return;
    request->removed = stream->dead_consumers[request->stream];
    stream->dead_consumers[request->stream] = 0;
}

void fake_stream_finish_jobs(struct fake_stream *stream) {
    stream->inflight_count = 0;
}

/* --- the connection ----------------------------------------------------------------------------------------------------------
 */

static void tell(struct fake_stream *stream, enum gri_stream_state state) {
    if (stream->base.changed) stream->base.changed(stream->base.changed_arg, state);
}

static void connected(void *arg) {
    tell(arg, GRI_STREAM_UP);
}
static void open_stream(struct gri_stream *port) {
    gri_timer_start(&self(port)->loop->base, 1, connected, self(port));
}
static void close_stream(struct gri_stream *port) {
    self(port)->down = true;
}

void fake_stream_set_down(struct fake_stream *stream, bool down) {
    stream->down = down;
    if (down && stream->read) finish_read(stream);
    tell(stream, down ? GRI_STREAM_DOWN : GRI_STREAM_UP);
}

void fake_stream_flush(struct fake_stream *stream) {
    while (stream->entry_count > 0)
        fake_stream_remove(stream, stream->entries[0].entry.id);
    stream->inflight_count = 0;
    tell(stream, GRI_STREAM_EPOCH);
}

void fake_stream_init(struct fake_stream *stream, struct fake_loop *loop, struct fake_trace *trace) {
    static const struct gri_stream_ops ops = {.open = open_stream,
                                              .read = read_urls,
                                              .cancel_read = cancel_read,
                                              .reclaim = reclaim,
                                              .heartbeat = heartbeat,
                                              .ack = ack,
                                              .announce = announce,
                                              .present = present,
                                              .dispatch = dispatch,
                                              .inspect = inspect,
                                              .stats = stats,
                                              .leave = leave,
                                              .retire = retire,
                                              .close = close_stream};
    *stream = (struct fake_stream){.base.ops = &ops, .loop = loop, .trace = trace};
    stream->entries = gri_calloc(FAKE_ENTRIES, sizeof *stream->entries);
    stream->inflight = gri_calloc(FAKE_URLS, sizeof *stream->inflight);
}

void fake_stream_clear(struct fake_stream *stream) {
    while (stream->entry_count > 0)
        fake_stream_remove(stream, stream->entries[0].entry.id);
    free(stream->entries);
    free(stream->inflight);
}
