/* SPDX-License-Identifier: Apache-2.0 */
/* Totals and queue depth, and sums of the roll-ups. */
#include <string.h>

#include "api_internal.h"

#define STATS_SINCE_MS INT64_C(86400000) /* where nothing is said: a day */

/* One word of ?by=; false when it is none. */
static bool take_key(struct gri_stats_query *query, const char *word, size_t len) {
    static const char *const steps[] = {"minute", "hour", "day", "week"};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        if (strlen(steps[i]) == len && strncmp(steps[i], word, len) == 0) {
            query->step = steps[i];
            return true;
        }
    struct {
        const char *name;
        bool *flag;
    } keys[] = {{"host", &query->by_host},
                {"pipeline", &query->by_pipeline},
                {"outcome", &query->by_outcome},
                {"reason", &query->by_reason}};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strlen(keys[i].name) == len && strncmp(keys[i].name, word, len) == 0) return *keys[i].flag = true;
    return false;
}

static bool read_query(struct gri_api_call *call, const char *by, struct gri_stats_query *query) {
    *query = (struct gri_stats_query){.host = gri_api_query(call, "host"), .pipeline = gri_api_query(call, "pipeline")};
    for (const char *word = by; *word; word += strspn(word, ",")) {
        size_t len = strcspn(word, ",");
        if (!take_key(query, word, len)) {
            gri_api_problem_of(call->reply, GRI_R_bad_request,
                               "by is a list of minute, hour, day, week, host, pipeline, outcome, reason, separated by commas");
            return false;
        }
        word += len;
    }
    return gri_api_query_time(call, "since", &query->since_ms) && gri_api_query_time(call, "until", &query->until_ms);
}

static void reply_rows(struct gri_api_call *call, const char *by) {
    struct gri_archive *archive = call->api->options.archive;
    struct gri_stats_query query;
    struct gri_json *rows;
    struct gri_error error;
    if (!read_query(call, by, &query)) return;
    if (!query.since_ms) query.since_ms = gri_api_now_ms() - STATS_SINCE_MS;
    if (archive->ops->steering->stats(archive, &query, &rows, &error) != GRI_OK) {
        gri_api_problem(call->reply, &error, NULL);
        return;
    }
    struct gri_json *json = gri_json_object();
    gri_json_set(json, "rows", rows);
    gri_api_reply_json(call->reply, 200, json);
}

void gri_api_get_stats(struct gri_api_call *call) {
    struct gri_archive *archive = call->api->options.archive;
    struct gri_json *json;
    struct gri_error error;
    const char *by = gri_api_query(call, "by");
    if (by) {
        reply_rows(call, by);
        return;
    }
    if (archive->ops->totals(archive, &json, &error) != GRI_OK) {
        gri_api_problem(call->reply, &error, NULL);
        return;
    }
    struct gri_json *live = call->api->options.live ? call->api->options.live(call->api->options.arg) : NULL;
    if (live)
        gri_json_set(json, "streams", live);
    else
        gri_json_set_null(json, "streams");
    gri_api_reply_json(call->reply, 200, json);
}
