/* SPDX-License-Identifier: Apache-2.0 */
/* Steering: catalogs paused, resumed, cancelled, deleted; hosts paused and resumed; pictures taken down. */
#include <string.h>

#include "api_internal.h"

static void tell(struct gri_api_call *call, struct gri_event event) {
    struct gri_archive *archive = call->api->options.archive;
    event.level = GRI_INFO;
    event.worker = call->by;
    archive->ops->steering->tell(archive, &event);
}

/* --- catalogs --------------------------------------------------------------------------------------------------------------- */

static void steer(struct gri_api_call *call, enum gri_steer which, const char *event) {
    struct gri_archive *archive = call->api->options.archive;
    struct gri_json *json;
    struct gri_error error;
    if (!gri_api_catalog_id(call)) return;
    enum gri_status status = archive->ops->steering->catalog(archive, call->segment, which, call->by, &error);
    if (status == GRI_OK) {
        tell(call, (struct gri_event){.event = event, .catalog = call->segment});
        status = archive->ops->catalog(archive, call->segment, &json, &error);
    }
    if (status != GRI_OK)
        gri_api_problem(call->reply, &error, NULL);
    else
        gri_api_reply_json(call->reply, which == GRI_STEER_DELETE ? 202 : 200, json);
}

void gri_api_post_pause(struct gri_api_call *call) {
    steer(call, GRI_STEER_PAUSE, "catalog_paused");
}

void gri_api_post_resume(struct gri_api_call *call) {
    steer(call, GRI_STEER_RESUME, "catalog_resumed");
}

void gri_api_post_cancel(struct gri_api_call *call) {
    steer(call, GRI_STEER_CANCEL, "catalog_cancelled");
}

void gri_api_delete_catalog(struct gri_api_call *call) {
    steer(call, GRI_STEER_DELETE, "catalog_deleted");
}

/* --- hosts ------------------------------------------------------------------------------------------------------------------ */

void gri_api_get_hosts(struct gri_api_call *call) {
    struct gri_archive *archive = call->api->options.archive;
    struct gri_json *list;
    struct gri_error error;
    if (archive->ops->steering->hosts(archive, &list, &error) != GRI_OK) {
        gri_api_problem(call->reply, &error, NULL);
        return;
    }
    struct gri_json *json = gri_json_object();
    gri_json_set(json, "paused", list);
    gri_api_reply_json(call->reply, 200, json);
}

/* As canonical URLs have it: lower case, letters, digits, dots, hyphens; colons and brackets of an IPv6 address. */
static bool host_of(struct gri_api_call *call, char host[GRI_HOST_MAX]) {
    size_t len = strlen(call->segment);
    bool fine = len < GRI_HOST_MAX;
    for (size_t i = 0; fine && i <= len; i++) {
        char c = call->segment[i];
        host[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
        fine = i == len || strchr("abcdefghijklmnopqrstuvwxyz0123456789.-_:[]", host[i]) != NULL;
    }
    if (fine) return true;
    gri_api_problem_of(call->reply, GRI_R_bad_request, "a host is a name like picsum.photos, or an address");
    return false;
}

static void steer_host(struct gri_api_call *call, bool pause) {
    struct gri_archive *archive = call->api->options.archive;
    char host[GRI_HOST_MAX];
    struct gri_error error;
    if (!host_of(call, host)) return;
    if (archive->ops->steering->host(archive, host, pause, call->by, &error) != GRI_OK) {
        gri_api_problem(call->reply, &error, NULL);
        return;
    }
    tell(call, (struct gri_event){.event = pause ? "host_paused" : "host_resumed", .host = host});
    struct gri_json *json = gri_json_object();
    gri_json_set_str(json, "host", host);
    gri_json_set_bool(json, "paused", pause);
    gri_api_reply_json(call->reply, 200, json);
}

void gri_api_post_host_pause(struct gri_api_call *call) {
    steer_host(call, true);
}

void gri_api_post_host_resume(struct gri_api_call *call) {
    steer_host(call, false);
}

/* --- takedown --------------------------------------------------------------------------------------------------------------- */

/* Any sum of the picture names its source; nothing but one source may be meant. */
static bool source_of(struct gri_api_call *call, char source[GRI_SHA256_HEX]) {
    struct gri_json *images = gri_api_find_images(call);
    if (!images) return false;
    for (size_t i = 0; i < gri_json_count(images); i++)
        (void)gri_copy(source, GRI_SHA256_HEX, gri_json_str(gri_json_get(gri_json_at(images, i), "sums"), "source", ""));
    bool one = true;
    for (size_t i = 0; i < gri_json_count(images); i++)
        one = one && strcmp(gri_json_str(gri_json_get(gri_json_at(images, i), "sums"), "source", ""), source) == 0;
    gri_json_free(images);
    if (!one)
        gri_api_problem_of(call->reply, GRI_R_ambiguous,
                           "pictures of several sources have this sum; name one by its source's sum");
    return one;
}

void gri_api_delete_image(struct gri_api_call *call) {
    struct gri_archive *archive = call->api->options.archive;
    const char *why = gri_api_query(call, "reason");
    char source[GRI_SHA256_HEX] = "";
    struct gri_error error;
    int64_t count;
    if (!why || !*why || strlen(why) > 500) {
        gri_api_problem_of(call->reply, GRI_R_bad_request, "say why, in at most 500 bytes: ?reason=…; it is kept for good");
        return;
    }
    if (!source_of(call, source)) return;
    if (archive->ops->steering->take_down(archive, source, why, call->by, &count, &error) != GRI_OK) {
        gri_api_problem(call->reply, &error, NULL);
        return;
    }
    char detail[600];
    (void)gri_format(detail, sizeof detail, "source %s: %s", source, why);
    tell(call, (struct gri_event){.event = "image_removed", .reason = GRI_R_removed, .detail = detail});
    struct gri_json *json = gri_json_object();
    gri_json_set_str(json, "source", source);
    gri_json_set_int(json, "removed", count);
    gri_api_reply_json(call->reply, 200, json);
}
