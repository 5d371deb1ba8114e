/* SPDX-License-Identifier: Apache-2.0 */
/* The route table and the way from a request to its handler. */
#include <string.h>

#include "api_internal.h"

static const struct gri_api_route routes[] = {
    {"POST", "/v1/catalogs", GRI_SCOPE_PUSH, gri_api_post_catalog_without_body,
     "push a catalog: text, one URL a line; Content-Encoding: gzip is fine; 202 once it is durable, 200 if it was there",
     "name pipeline tags retry_dead refresh"},
    {"GET", "/v1/catalogs", GRI_SCOPE_READ, gri_api_get_catalogs, "catalogs, newest first", "limit cursor"},
    {"GET", "/v1/catalogs/{id}", GRI_SCOPE_READ, gri_api_get_catalog, "one catalog with its counts", ""},
    {"GET", "/v1/catalogs/{id}/lines", GRI_SCOPE_READ, gri_api_get_lines,
     "the fate of each line (JSON page, NDJSON or CSV of all by Accept)", "outcome limit cursor"},
    {"GET", "/v1/catalogs/{id}/errors", GRI_SCOPE_READ, gri_api_get_errors, "each rejected line", "limit cursor"},
    {"GET", "/v1/catalogs/{id}/raw", GRI_SCOPE_READ, gri_api_get_raw, "the bytes as they were pushed", ""},
    {"GET", "/v1/images", GRI_SCOPE_READ, gri_api_get_images, "metadata of images, newest first",
     "catalog host output since until limit cursor"},
    {"GET", "/v1/images/{sha256}", GRI_SCOPE_READ, gri_api_get_image,
     "every image with that hash as source, output or base64 sum", ""},
    {"GET", "/v1/images/{sha256}/content", GRI_SCOPE_READ, gri_api_get_content, "the picture's bytes, verified",
     "pipeline output"},
    {"GET", "/v1/images/{sha256}/base64", GRI_SCOPE_READ, gri_api_get_base64, "the stored base64 text, verified",
     "pipeline output"},
    {"GET", "/v1/urls", GRI_SCOPE_READ, gri_api_get_urls, "what happens to a URL and why", "url pipeline"},
    {"GET", "/v1/events", GRI_SCOPE_READ, gri_api_get_events,
     "troubleshooting events, newest first; rising=true: a page of those since, to go on from its `next`; follow=true: NDJSON as "
     "they come; a page by match may end early, with a `next` to go on searching from",
     "catalog host reason level event match since until limit cursor rising follow"},
    {"GET", "/v1/events/{event}/body", GRI_SCOPE_READ, gri_api_get_event_body,
     "what the host sent: the first 64 KiB of the body that was rejected", ""},
    {"GET", "/v1/stats", GRI_SCOPE_READ, gri_api_get_stats,
     "totals and queue depth; with `by`: sums of the roll-ups by minute, hour, day, week, host, pipeline, outcome, reason",
     "by since until host pipeline"},
    {"GET", "/v1/dead", GRI_SCOPE_READ, gri_api_get_dead, "dead letters, newest first",
     "url reason host catalog since until limit cursor"},
    {"POST", "/v1/dead/retry", GRI_SCOPE_ADMIN, gri_api_post_dead_retry,
     "gives those dead letters another life; a filter, or all=true", "url reason host catalog since until limit all"},
    {"POST", "/v1/dead/drop", GRI_SCOPE_ADMIN, gri_api_post_dead_drop,
     "marks those dead letters as seen: they are listed no more; a filter, or all=true",
     "url reason host catalog since until limit all"},
    {"GET", "/v1/reprocess", GRI_SCOPE_READ, gri_api_get_reprocess,
     "what older versions of a pipeline made, and how the last reprocess of it goes", "pipeline host catalog since until"},
    {"POST", "/v1/reprocess", GRI_SCOPE_ADMIN, gri_api_post_reprocess,
     "has it fetched anew and made by the present version; 202: begun, 200: there is nothing to do",
     "pipeline host catalog since until"},
    {"POST", "/v1/reprocess/{pipeline}/cancel", GRI_SCOPE_ADMIN, gri_api_post_reprocess_cancel,
     "no more of it is begun, and what is not fetched yet stays as it was", ""},
    {"POST", "/v1/catalogs/{id}/pause", GRI_SCOPE_ADMIN, gri_api_post_pause, "no more of it is begun", ""},
    {"POST", "/v1/catalogs/{id}/resume", GRI_SCOPE_ADMIN, gri_api_post_resume, "a paused one goes on", ""},
    {"POST", "/v1/catalogs/{id}/cancel", GRI_SCOPE_ADMIN, gri_api_post_cancel,
     "what of it is not done will not be, unless another catalog asked for it too", ""},
    {"DELETE", "/v1/catalogs/{id}", GRI_SCOPE_ADMIN, gri_api_delete_catalog, "cancels it and removes what only it brought in",
     ""},
    {"GET", "/v1/hosts", GRI_SCOPE_READ, gri_api_get_hosts, "the hosts that are paused", ""},
    {"POST", "/v1/hosts/{host}/pause", GRI_SCOPE_ADMIN, gri_api_post_host_pause, "its URLs wait until it is resumed", ""},
    {"POST", "/v1/hosts/{host}/resume", GRI_SCOPE_ADMIN, gri_api_post_host_resume, "its URLs are fetched again", ""},
    {"GET", "/v1/images/{sha256}/similar", GRI_SCOPE_READ, gri_api_get_similar,
     "images that look like this one: perceptual hashes that differ in at most `within` bits", "within limit"},
    {"GET", "/v1/similar", GRI_SCOPE_READ, gri_api_get_similar_to, "images that look like a perceptual hash",
     "phash within limit"},
    {"DELETE", "/v1/images/{sha256}", GRI_SCOPE_ADMIN, gri_api_delete_image,
     "takes a picture down for good: its source is never stored again", "reason"},
    {"GET", "/v1/services", GRI_SCOPE_READ, gri_api_get_services, "the processes of the last hour and what each is doing", ""},
    {"GET", "/v1/transforms", GRI_SCOPE_READ, gri_api_get_transforms, "the transform table", ""},
    {"GET", "/v1/pipelines", GRI_SCOPE_READ, gri_api_get_pipelines, "the configured pipelines and their versions", ""},
    {"GET", "/v1/reasons", GRI_SCOPE_READ, gri_api_get_reasons, "the table of reasons", ""},
    {"GET", "/healthz", GRI_SCOPE_NONE, gri_api_get_healthz, "liveness: the process answers", ""},
    {"GET", "/readyz", GRI_SCOPE_NONE, gri_api_get_readyz, "readiness: its services answer", ""},
    {"GET", "/metrics", GRI_SCOPE_READ, gri_api_get_metrics, "Prometheus text", ""},
    {"GET", "/openapi.json", GRI_SCOPE_NONE, gri_api_get_openapi, "this description", ""},
    {"GET", "/", GRI_SCOPE_NONE, gri_api_get_page, "the web page", ""},
    {"GET", "/page/{file}", GRI_SCOPE_NONE, gri_api_get_page, "a file of the web page", ""},
};

const struct gri_api_route *gri_api_routes(size_t *count) {
    *count = sizeof routes / sizeof routes[0];
    return routes;
}

/* Matches pattern against path; the one {parameter} goes to segment. */
static bool match(const char *pattern, const char *path, char segment[GRI_API_SEGMENT_MAX]) {
    segment[0] = '\0';
    while (*pattern) {
        if (*pattern == '{') {
            size_t len = strcspn(path, "/");
            if (len == 0 || len >= GRI_API_SEGMENT_MAX) return false;
            memcpy(segment, path, len);
            segment[len] = '\0';
            path += len;
            pattern = strchr(pattern, '}') + 1;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return *path == '\0';
}

/* The route of method and path; *path_known and the methods allowed there otherwise. */
static const struct gri_api_route *find(const char *method, const char *path, char segment[GRI_API_SEGMENT_MAX], bool *path_known,
                                        char allow[64]) {
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    *path_known = false;
    allow[0] = '\0';
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (!match(routes[i].pattern, path, segment)) continue;
        if (strcmp(routes[i].method, wanted) == 0) return &routes[i];
        *path_known = true;
        size_t used = strlen(allow);
        bool get = strcmp(routes[i].method, "GET") == 0;
        (void)gri_format(allow + used, 64 - used, "%s%s%s", used ? ", " : "", routes[i].method, get ? ", HEAD" : "");
    }
    return NULL;
}

/* The route that may be taken; NULL: *reply tells why not. */
static const struct gri_api_route *admit(struct gri_api_call *call) {
    const struct gri_api_request *request = call->request;
    struct gri_api_reply *reply = call->reply;
    bool path_known;
    char allow[64];
    const struct gri_api_route *route = find(request->method, request->path, call->segment, &path_known, allow);
    reply->route = route ? route->pattern : "other";
    if (!route && path_known) {
        gri_api_problem_of(reply, GRI_R_method_not_allowed, "this route takes %s", allow);
        gri_api_header(reply, "Allow", allow);
    } else if (!route) {
        gri_api_problem_of(reply, GRI_R_not_found, "no such route; /openapi.json lists them");
    } else if (gri_api_authorize(call, route->scope) && gri_api_query_is_text(call)) {
        return route;
    }
    return NULL;
}

bool gri_api_admit(struct gri_api *api, const struct gri_api_request *request, struct gri_api_reply *reply) {
    struct gri_api_settings *settings = gri_api_settings_hold(api);
    struct gri_api_call call = {.api = api, .settings = settings, .request = request, .reply = reply};
    bool admitted = admit(&call) != NULL;
    gri_api_settings_let_go(settings);
    return admitted;
}

void gri_api_handle(struct gri_api *api, const struct gri_api_request *request, struct gri_api_reply *reply) {
    struct gri_api_settings *settings = gri_api_settings_hold(api);
    struct gri_api_call call = {.api = api, .settings = settings, .request = request, .reply = reply};
    const struct gri_api_route *route = admit(&call);
    if (route) route->handle(&call);
    gri_api_settings_let_go(settings);
}

bool gri_api_is_push(const struct gri_api_request *request) {
    return strcmp(request->method, "POST") == 0 && strcmp(request->path, "/v1/catalogs") == 0;
}

/* Reached only by a POST that came without any body handling: an empty catalog. */
void gri_api_post_catalog_without_body(struct gri_api_call *call) {
    struct gri_api_push *push = gri_api_push_begin(call->api, call->request, call->reply);
    if (push) gri_api_push_end(push, call->reply);
}
