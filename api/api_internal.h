/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of api/ share: the API object, a call (request, reply, matched path), and the helpers every handler uses. */
#ifndef GRI_API_INTERNAL_H
#define GRI_API_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "api.h"
#include "rules.h"

enum { GRI_API_PAGE_DEFAULT = 100, GRI_API_PAGE_MAX = 1000, GRI_API_SEGMENT_MAX = 256, GRI_API_PREFIX_MIN = 8 };

/* Immutable; freed with the last that holds it. */
struct gri_api_settings {
    atomic_int references;
    struct gri_ruleset *rules;
    char rules_id[GRI_PIPELINE_MAX];
    struct gri_json *pipelines;
    struct gri_api_token *tokens;
    size_t token_count;
    int64_t max_catalog_bytes;
};

struct gri_api {
    struct gri_api_options options; /* without what `settings` has a copy of */
    pthread_mutex_t lock;           /* of `settings` */
    struct gri_api_settings *settings;
    atomic_bool stopping;
};

/* The current settings, held: a request has its own from its beginning to its end, however often they change meanwhile. */
struct gri_api_settings *gri_api_settings_hold(struct gri_api *api);
/* NULL is fine. */
void gri_api_settings_let_go(struct gri_api_settings *settings);
/* The pinned name@version of the pipeline that is asked for; NULL if it isn't configured. */
const char *gri_api_pin_pipeline(const struct gri_api_settings *settings, const char *name);

/* One request under way. `segment` is what the route's {parameter} matched. */
struct gri_api_call {
    struct gri_api *api;
    const struct gri_api_settings *settings; /* held by who made the call */
    const struct gri_api_request *request;
    struct gri_api_reply *reply;
    char segment[GRI_API_SEGMENT_MAX];
    char by[GRI_NAME_MAX]; /* who asks: a token's name, "cli:<user>" or "" */
};

/* Unix ms: for ages that people give, nothing else. */
int64_t gri_api_now_ms(void);
/* Query parameter or NULL. */
const char *gri_api_query(const struct gri_api_call *call, const char *name);
/* Fills a filter from catalog, host, since, until, limit, cursor; a bad value answers a problem and returns false. */
bool gri_api_filter(struct gri_api_call *call, struct gri_filter *filter);
/* A whole number of the query within [min, max], or `otherwise` when it isn't there; bad: problem and false. */
bool gri_api_query_int(struct gri_api_call *call, const char *name, int64_t min, int64_t max, int64_t otherwise, int64_t *out);

/* True when every query parameter but `url` (a URL to explain may be anything) is UTF-8; else a problem was answered. */
bool gri_api_query_is_text(struct gri_api_call *call);

/* The query's tags, key=value,…, as an object of texts (owned; NULL: there are none); bad: problem and false. */
bool gri_api_query_tags(struct gri_api_call *call, struct gri_json **out);
/* The id of the ruleset that a catalog with these tags is judged by; it is in the archive then. */
enum gri_status gri_api_rules_for(const struct gri_api_call *call, const struct gri_json *tags, char id[GRI_PIPELINE_MAX],
                                  struct gri_error *error) GRI_MUST_CHECK;

void gri_api_header(struct gri_api_reply *reply, const char *name, const char *value);
/* 200 (or another) with a JSON body; takes `json`. */
void gri_api_reply_json(struct gri_api_reply *reply, int status, struct gri_json *json);
/* Problem details of an error; `extra` members (taken, may be NULL) are added. */
void gri_api_problem(struct gri_api_reply *reply, const struct gri_error *error, struct gri_json *extra);
void gri_api_problem_of(struct gri_api_reply *reply, enum gri_reason reason, const char *format, ...) GRI_PRINTF(3, 4);

/* Token and scope of the request; answers 401 or 403 and returns false. call->by gets the token's name. */
bool gri_api_authorize(struct gri_api_call *call, unsigned scope);

/* Query parameter that is true or false (false where it isn't there); bad: problem and false. */
bool gri_api_query_flag(struct gri_api_call *call, const char *name, bool *out);
/* An RFC 3339 time, a date, Unix seconds, or an age like 30m, 12h, 14d, 2w; Unix ms, 0 where it isn't there; bad: problem, false.
 */
bool gri_api_query_time(struct gri_api_call *call, const char *name, int64_t *out);

/* True for 24 hex digits; else a problem was answered. */
bool gri_api_catalog_id(struct gri_api_call *call);
/* Lower-cases the segment's 8 to 64 hex digits; else a problem was answered. */
bool gri_api_hash(struct gri_api_call *call, char hash[GRI_SHA256_HEX]);

/* Every image with the hash (or its only prefix) of the path, owned; NULL when a problem was answered. */
struct gri_json *gri_api_find_images(struct gri_api_call *call);

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
void gri_api_get_event_body(struct gri_api_call *call);
void gri_api_get_stats(struct gri_api_call *call);
void gri_api_get_dead(struct gri_api_call *call);
void gri_api_post_dead_retry(struct gri_api_call *call);
void gri_api_post_dead_drop(struct gri_api_call *call);
void gri_api_get_reprocess(struct gri_api_call *call);
void gri_api_post_reprocess(struct gri_api_call *call);
void gri_api_post_reprocess_cancel(struct gri_api_call *call);
void gri_api_post_pause(struct gri_api_call *call);
void gri_api_post_resume(struct gri_api_call *call);
void gri_api_post_cancel(struct gri_api_call *call);
void gri_api_delete_catalog(struct gri_api_call *call);
void gri_api_get_hosts(struct gri_api_call *call);
void gri_api_post_host_pause(struct gri_api_call *call);
void gri_api_post_host_resume(struct gri_api_call *call);
void gri_api_get_similar(struct gri_api_call *call);
void gri_api_get_similar_to(struct gri_api_call *call);
void gri_api_delete_image(struct gri_api_call *call);
void gri_api_get_services(struct gri_api_call *call);
void gri_api_get_page(struct gri_api_call *call);
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
