/* SPDX-License-Identifier: Apache-2.0 */
/* Dead letters: the list, another life, out of sight. */
#include <string.h>

#include "api_internal.h"

void gri_api_get_dead(struct gri_api_call *call) {
    struct gri_archive *archive = call->api->options.archive;
    struct gri_filter filter;
    struct gri_json *json;
    int64_t count;
    struct gri_error error;
    if (!gri_api_filter(call, &filter)) return;
    if (archive->ops->steering->dead(archive, &filter, &json, &error) != GRI_OK) {
        gri_api_problem(call->reply, &error, NULL);
        return;
    }
    if (archive->ops->steering->dead_count(archive, &filter, &count, &error) == GRI_OK) gri_json_set_int(json, "count", count);
    gri_api_reply_json(call->reply, 200, json);
}

/* All of them is what must be asked for by name. */
static bool is_narrowed(struct gri_api_call *call, const struct gri_filter *filter) {
    bool all;
    if (!gri_api_query_flag(call, "all", &all)) return false;
    if (all || filter->url || filter->catalog || filter->host || filter->reason || filter->since_ms || filter->until_ms)
        return true;
    gri_api_problem_of(call->reply, GRI_R_bad_request, "say which: by url, reason, host, catalog, since or until; or all=true");
    return false;
}

static void act(struct gri_api_call *call, bool drop) {
    struct gri_archive *archive = call->api->options.archive;
    struct gri_filter filter;
    struct gri_error error;
    int64_t count;
    if (!gri_api_filter(call, &filter) || !is_narrowed(call, &filter)) return;
    if (!gri_api_query(call, "limit")) filter.limit = 0;
    if (archive->ops->steering->dead_act(archive, &filter, drop, call->by, &count, &error) != GRI_OK) {
        gri_api_problem(call->reply, &error, NULL);
        return;
    }
    char detail[96];
    (void)gri_format(detail, sizeof detail, "%lld dead letters", (long long)count);
    struct gri_event event = {.level = GRI_INFO,
                              .event = drop ? "dead_dropped" : "dead_retried",
                              .catalog = filter.catalog,
                              .host = filter.host,
                              .worker = call->by,
                              .detail = detail};
    if (count > 0) archive->ops->steering->tell(archive, &event);
    struct gri_json *json = gri_json_object();
    gri_json_set_int(json, drop ? "dropped" : "retried", count);
    gri_api_reply_json(call->reply, 200, json);
}

void gri_api_post_dead_retry(struct gri_api_call *call) {
    act(call, false);
}

void gri_api_post_dead_drop(struct gri_api_call *call) {
    act(call, true);
}
