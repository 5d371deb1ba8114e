/* SPDX-License-Identifier: Apache-2.0 */
/* Reprocess: what older versions of a pipeline made, and having it made by the present one. */
#include <string.h>

#include "api_internal.h"

/* The pipeline that is asked for, pinned; NULL when a problem was answered. What is changed must be called by its name. */
static const char *asked_pipeline(struct gri_api_call *call, bool by_name) {
    const char *name = gri_api_query(call, "pipeline");
    if (by_name && (!name || !*name)) {
        gri_api_problem_of(call->reply, GRI_R_bad_request, "say of which pipeline");
        return NULL;
    }
    if (!name || !*name) name = call->api->options.default_pipeline;
    const char *pinned = gri_api_pin_pipeline(call->settings, name);
    if (!pinned)
        gri_api_problem_of(call->reply, GRI_R_no_pipeline,
                           "no pipeline '%.100s' is configured; /v1/pipelines or `grisaille pipelines` lists them", name);
    return pinned;
}

/* What there is to do, and how the last run goes; NULL when a problem was answered. */
static struct gri_json *look(struct gri_api_call *call, const char *pipeline, const struct gri_filter *filter) {
    struct gri_archive *archive = call->api->options.archive;
    struct gri_json *json = NULL;
    struct gri_error error;
    if (archive->ops->steering->reprocess(archive, pipeline, filter, &json, &error) == GRI_OK) return json;
    gri_api_problem(call->reply, &error, NULL);
    return NULL;
}

void gri_api_get_reprocess(struct gri_api_call *call) {
    struct gri_filter filter;
    const char *pipeline;
    if (!gri_api_filter(call, &filter) || !(pipeline = asked_pipeline(call, false))) return;
    struct gri_json *json = look(call, pipeline, &filter);
    if (json) gri_api_reply_json(call->reply, 200, json);
}

void gri_api_post_reprocess(struct gri_api_call *call) {
    struct gri_archive *archive = call->api->options.archive;
    struct gri_filter filter;
    struct gri_error error;
    const char *pipeline;
    if (!gri_api_filter(call, &filter) || !(pipeline = asked_pipeline(call, true))) return;
    struct gri_json *json = look(call, pipeline, &filter);
    if (!json) return;
    int64_t count = gri_json_get_int(json, "count", 0);
    if (count == 0) { /* nothing is left to do */
        gri_api_reply_json(call->reply, 200, json);
        return;
    }
    gri_json_free(json);
    if (archive->ops->steering->reprocess_start(archive, pipeline, &filter, call->by, &error) != GRI_OK) {
        gri_api_problem(call->reply, &error, NULL);
        return;
    }
    char detail[GRI_PIPELINE_MAX + 64];
    (void)gri_format(detail, sizeof detail, "%s: %lld URLs of older versions", pipeline, (long long)count);
    struct gri_event event = {.level = GRI_INFO,
                              .event = "reprocess_started",
                              .catalog = filter.catalog,
                              .host = filter.host,
                              .worker = call->by,
                              .detail = detail};
    archive->ops->steering->tell(archive, &event);
    json = look(call, pipeline, &filter);
    if (json) gri_api_reply_json(call->reply, 202, json);
}

void gri_api_post_reprocess_cancel(struct gri_api_call *call) {
    struct gri_archive *archive = call->api->options.archive;
    struct gri_error error;
    if (archive->ops->steering->reprocess_cancel(archive, call->segment, &error) != GRI_OK) {
        gri_api_problem(call->reply, &error, NULL);
        return;
    }
    struct gri_event event = {.level = GRI_INFO, .event = "reprocess_cancelled", .worker = call->by, .detail = call->segment};
    archive->ops->steering->tell(archive, &event);
    struct gri_json *json = gri_json_object();
    gri_json_set_str(json, "cancelled", call->segment);
    gri_api_reply_json(call->reply, 200, json);
}
