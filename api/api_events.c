/* SPDX-License-Identifier: Apache-2.0 */
/* Events: a page of them, a live stream, and the bodies that were kept with them. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api_internal.h"

enum { FOLLOW_PAUSE_MS = 500, FOLLOW_BEAT_MS = 10000 };

/* --- live ------------------------------------------------------------------------------------------------------------------- */

struct following {
    struct gri_api *api;
    struct gri_filter filter;
    char *texts[6]; /* the filter's, for the request ends before the stream does */
    char *cursor;
};

static const char *keep(struct following *following, size_t i, const char *text) {
    following->texts[i] = text ? gri_strdup(text) : NULL;
    return following->texts[i];
}

static struct following *follow_begin(struct gri_api *api, const struct gri_filter *filter) {
    struct following *following = gri_calloc(1, sizeof *following);
    following->api = api;
    following->filter = *filter;
    following->filter.catalog = keep(following, 0, filter->catalog);
    following->filter.host = keep(following, 1, filter->host);
    following->filter.reason = keep(following, 2, filter->reason);
    following->filter.match = keep(following, 3, filter->match);
    following->filter.level = keep(following, 4, filter->level);
    following->filter.event = keep(following, 5, filter->event);
    return following;
}

static void follow_free(void *arg) {
    struct following *following = arg;
    for (size_t i = 0; i < sizeof following->texts / sizeof following->texts[0]; i++)
        free(following->texts[i]);
    free(following->cursor);
    free(following);
}

/* The next page's events as lines. */
static bool follow_page(struct following *following, struct gri_bytes *out, struct gri_error *error) {
    struct gri_archive *archive = following->api->options.archive;
    struct gri_json *page;
    following->filter.cursor = following->cursor;
    if (archive->ops->steering->follow(archive, &following->filter, &page, error) != GRI_OK) return false;
    const struct gri_json *events = gri_json_get(page, "events");
    bool fits = true;
    for (size_t i = 0; fits && i < gri_json_count(events); i++) {
        fits = gri_json_write(gri_json_at(events, i), false, out, error) == GRI_OK;
        gri_bytes_put(out, "\n");
    }
    free(following->cursor);
    following->cursor = gri_strdup(gri_json_str(page, "next", ""));
    gri_json_free(page);
    return fits && !gri_bytes_failed(out);
}

/* An empty line now and then tells both ends that the other is there. */
static bool follow_more(void *arg, struct gri_bytes *out, bool *failed) {
    struct following *following = arg;
    struct gri_error error;
    for (int waited_ms = 0; waited_ms < FOLLOW_BEAT_MS; waited_ms += FOLLOW_PAUSE_MS) {
        if (atomic_load(&following->api->stopping)) return false;
        *failed = !follow_page(following, out, &error);
        if (*failed || out->len > 0) return !*failed;
        struct timespec pause = {.tv_nsec = FOLLOW_PAUSE_MS * 1000000L};
        nanosleep(&pause, NULL);
    }
    gri_bytes_put(out, "\n");
    return true;
}

/* The first reading is made at once, so that a bad pattern is answered as a problem. */
static void reply_stream(struct gri_api_call *call, const struct gri_filter *filter) {
    struct following *following = follow_begin(call->api, filter);
    struct gri_error error;
    gri_bytes_reset(&call->reply->body);
    if (!follow_page(following, &call->reply->body, &error)) {
        follow_free(following);
        gri_api_problem(call->reply, &error, NULL);
        return;
    }
    call->reply->status = 200;
    call->reply->content_type = "application/x-ndjson";
    gri_api_header(call->reply, "Cache-Control", "no-store");
    call->reply->stream = following;
    call->reply->more = follow_more;
    call->reply->stream_free = follow_free;
}

/* --- pages ------------------------------------------------------------------------------------------------------------------ */

void gri_api_get_events(struct gri_api_call *call) {
    struct gri_archive *archive = call->api->options.archive;
    struct gri_filter filter;
    struct gri_json *json;
    struct gri_error error;
    bool rising, follow;
    if (!gri_api_filter(call, &filter) || !gri_api_query_flag(call, "rising", &rising) ||
        !gri_api_query_flag(call, "follow", &follow))
        return;
    if (follow) {
        reply_stream(call, &filter);
        return;
    }
    enum gri_status status = rising ? archive->ops->steering->follow(archive, &filter, &json, &error)
                                    : archive->ops->events(archive, NULL, &filter, &json, &error);
    if (status != GRI_OK)
        gri_api_problem(call->reply, &error, NULL);
    else
        gri_api_reply_json(call->reply, 200, json);
}

/* A stranger's bytes: never shown as what they say they are. */
void gri_api_get_event_body(struct gri_api_call *call) {
    struct gri_archive *archive = call->api->options.archive;
    struct gri_error error;
    int64_t bytes = 0;
    char text[64];
    gri_bytes_reset(&call->reply->body);
    if (archive->ops->steering->event_body(archive, call->segment, &call->reply->body, &bytes, &error) != GRI_OK) {
        gri_api_problem(call->reply, &error, NULL);
        return;
    }
    call->reply->status = 200;
    call->reply->content_type = "application/octet-stream";
    (void)gri_format(text, sizeof text, "attachment; filename=\"%.24s.bin\"", call->segment);
    gri_api_header(call->reply, "Content-Disposition", text);
    (void)gri_format(text, sizeof text, "%lld", (long long)bytes);
    gri_api_header(call->reply, "X-Body-Bytes", text);
}
