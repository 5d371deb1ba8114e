/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of api/ share: the API object, a call (request, reply, matched path), and the helpers every handler uses. */
#ifndef GRI_API_INTERNAL_H
#define GRI_API_INTERNAL_H

#include "api.h"
#include "rules.h"

enum { GRI_API_PAGE_DEFAULT = 100, GRI_API_PAGE_MAX = 1000, GRI_API_SEGMENT_MAX = 256 };

struct gri_api {
    struct gri_api_options options;
    struct gri_ruleset *rules;
};

/* One request under way. `segment` is what the route's {parameter} matched. */
struct gri_api_call {
    struct gri_api *api;
    const struct gri_api_request *request;
    struct gri_api_reply *reply;
    char segment[GRI_API_SEGMENT_MAX];
};

/* Query parameter or NULL. */
const char *gri_api_query(const struct gri_api_call *call, const char *name);
/* Fills a filter from catalog, host, since, until, limit, cursor; a bad value answers a problem and returns false. */
bool gri_api_filter(struct gri_api_call *call, struct gri_filter *filter);
/* A whole number of the query within [min, max], or `otherwise` when it isn't there; bad: problem and false. */
bool gri_api_query_int(struct gri_api_call *call, const char *name, int64_t min, int64_t max, int64_t otherwise, int64_t *out);

/* True when every query parameter but `url` (a URL to explain may be anything) is UTF-8; else a problem was answered. */
bool gri_api_query_is_text(struct gri_api_call *call);

void gri_api_header(struct gri_api_reply *reply, const char *name, const char *value);
/* 200 (or another) with a JSON body; takes `json`. */
void gri_api_reply_json(struct gri_api_reply *reply, int status, struct gri_json *json);
/* Problem details of an error; `extra` members (taken, may be NULL) are added. */
void gri_api_problem(struct gri_api_reply *reply, const struct gri_error *error, struct gri_json *extra);
void gri_api_problem_of(struct gri_api_reply *reply, enum gri_reason reason, const char *format, ...) GRI_PRINTF(3, 4);

/* Token and scope of the request; answers 401 or 403 and returns false. `by` gets the token's name. */
bool gri_api_authorize(struct gri_api *api, const struct gri_api_request *request, unsigned scope, char by[GRI_NAME_MAX],
                       struct gri_api_reply *reply);

/* True for 24 hex digits; else a problem was answered. */
bool gri_api_catalog_id(struct gri_api_call *call);
/* Lower-cases 64 hex digits of the segment; else a problem was answered. */
bool gri_api_hash(struct gri_api_call *call, char hash[GRI_SHA256_HEX]);

/* Handlers, by file. */
void gri_api_get_catalogs(struct gri_api_call *call);
void gri_api_get_catalog(struct gri_api_call *call);
void gri_api_get_raw(struct gri_api_call *call);
void gri_api_get_errors(struct gri_api_call *call);
void gri_api_get_lines(struct gri_api_call *call);
void gri_api_get_images(struct gri_api_call *call);
void gri_api_get_image(struct gri_api_call *call);
void gri_api_get_content(struct gri_api_call *call);
void gri_api_get_base64(struct gri_api_call *call);
void gri_api_get_urls(struct gri_api_call *call);
void gri_api_get_events(struct gri_api_call *call);
void gri_api_get_stats(struct gri_api_call *call);
void gri_api_get_transforms(struct gri_api_call *call);
void gri_api_get_pipelines(struct gri_api_call *call);
void gri_api_get_reasons(struct gri_api_call *call);
void gri_api_get_healthz(struct gri_api_call *call);
void gri_api_get_readyz(struct gri_api_call *call);
void gri_api_get_metrics(struct gri_api_call *call);
void gri_api_get_openapi(struct gri_api_call *call);
void gri_api_post_catalog_without_body(struct gri_api_call *call);

/* The route table, for openapi.json. */
struct gri_api_route {
    const char *method, *pattern;
    unsigned scope;
    void (*handle)(struct gri_api_call *call);
    const char *summary;
    const char *query; /* names of the query parameters, separated by blanks */
};
const struct gri_api_route *gri_api_routes(size_t *count);

#endif
