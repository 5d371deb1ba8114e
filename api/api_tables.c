/* SPDX-License-Identifier: Apache-2.0 */
/* Tables made from the code, probes, metrics. */
#include <string.h>

#include "api_internal.h"

static void reply_list(struct gri_api_call *call, const char *name, const struct gri_json *list) {
    struct gri_json *json = gri_json_object();
    gri_json_set(json, name, list ? gri_json_copy(list) : gri_json_array());
    gri_api_reply_json(call->reply, 200, json);
}

void gri_api_get_services(struct gri_api_call *call) {
    struct gri_archive *archive = call->api->options.archive;
    struct gri_json *list;
    struct gri_error error;
    if (archive->ops->services(archive, &list, &error) != GRI_OK) {
        gri_api_problem(call->reply, &error, NULL);
        return;
    }
    struct gri_json *json = gri_json_object();
    gri_json_set(json, "services", list);
    gri_api_reply_json(call->reply, 200, json);
}

void gri_api_get_transforms(struct gri_api_call *call) {
    reply_list(call, "transforms", call->api->options.transforms);
}

void gri_api_get_pipelines(struct gri_api_call *call) {
    reply_list(call, "pipelines", call->settings->pipelines);
}

void gri_api_get_reasons(struct gri_api_call *call) {
    struct gri_json *list = gri_json_array();
    for (int reason = GRI_R_none + 1; reason < GRI_REASON_COUNT; reason++) {
        const struct gri_reason_info *info = gri_reason_info((enum gri_reason)reason);
        struct gri_json *row = gri_json_object();
        gri_json_set_str(row, "reason", info->name);
        gri_json_set_str(row, "class", gri_status_name(info->status));
        gri_json_set_str(row, "group", info->group);
        gri_json_set_int(row, "status", info->http);
        gri_json_set_str(row, "help", info->help);
        gri_json_append(list, row);
    }
    struct gri_json *json = gri_json_object();
    gri_json_set(json, "reasons", list);
    gri_api_reply_json(call->reply, 200, json);
}

static void reply_probe(struct gri_api_call *call, bool fine, const char *detail) {
    struct gri_json *json = gri_json_object();
    gri_json_set_str(json, "status", fine ? "ok" : "failing");
    if (!fine) gri_json_set_str(json, "detail", detail);
    gri_api_reply_json(call->reply, fine ? 200 : 503, json);
}

void gri_api_get_healthz(struct gri_api_call *call) {
    const struct gri_api_options *options = &call->api->options;
    reply_probe(call, !options->alive || options->alive(options->arg), "the process no longer makes progress");
}

void gri_api_get_readyz(struct gri_api_call *call) {
    const struct gri_api_options *options = &call->api->options;
    struct gri_error error;
    if (options->archive->ops->ping(options->archive, &error) != GRI_OK)
        reply_probe(call, false, error.detail);
    else
        reply_probe(call, !options->ready || options->ready(options->arg), "Redis does not answer");
}

void gri_api_get_metrics(struct gri_api_call *call) {
    call->reply->status = 200;
    call->reply->content_type = "text/plain; version=0.0.4; charset=utf-8";
    if (call->api->options.metrics) gri_metrics_render(call->api->options.metrics, &call->reply->body);
}
