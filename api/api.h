/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP API without HTTP: requests in, replies out.
 *
 * Routes, scopes, parameters and problem details stand here; sockets do not. The daemon `grisaille api` feeds it from the HTTP
 * server, the commands of the CLI call it in process, so both give the same answers.
 * Threads: everything may be called from many threads at once; the only state is the archive (thread-safe) and what
 * gri_api_reload exchanges as a whole.
 * Calls block as long as MongoDB takes, at most its time-out.
 *
 * Errors are RFC 9457 problem details: {"type","title","status","detail","reason",…}, content type application/problem+json. */
#ifndef GRI_API_H
#define GRI_API_H

#include <grisaille/archive.h>
#include <grisaille/crypto.h>
#include <grisaille/inflate.h>
#include <grisaille/log.h>
#include <grisaille/metrics.h>

struct gri_api;
struct gri_ruleset;

enum gri_scope { GRI_SCOPE_NONE = 0, GRI_SCOPE_READ = 1, GRI_SCOPE_PUSH = 2, GRI_SCOPE_ADMIN = 4 };

struct gri_api_token {
    char name[GRI_NAME_MAX];
    char digest[GRI_TOKEN_DIGEST_HEX]; /* BLAKE2b-256 of the token's text */
    unsigned scopes;                   /* enum gri_scope; admin implies the others */
};

/* Pointers are borrowed for the API's life, but for what gri_api_reload replaces: that is copied. */
struct gri_api_options {
    struct gri_archive *archive;
    const struct gri_crypto *crypto;
    const struct gri_inflate_ops *inflate;
    struct gri_log *log;
    struct gri_metrics *metrics;
    const char *version;               /* of the program */
    struct gri_slice rules_body;       /* the configured ruleset, canonical: judged under it from now on */
    const char *rules_id;              /* its rules@version; already put into the archive */
    const struct gri_json *pipelines;  /* array of {name, id, definition}: the configured ones */
    const struct gri_json *transforms; /* rows of `grisaille transforms`; borrowed */
    const char *default_pipeline;      /* "gray" */
    const struct gri_api_token *tokens;
    size_t token_count;        /* 0: everything is allowed (the listener is loopback only) */
    int64_t max_catalog_bytes; /* of the plain text */
    /* Live readings beside the archive's; each may be NULL. */
    struct gri_json *(*live)(void *arg); /* queue depth and so on for /v1/stats; owned by the caller */
    bool (*alive)(void *arg);            /* /healthz */
    bool (*ready)(void *arg);            /* /readyz, besides the archive's ping */
    void *arg;
};

enum gri_status gri_api_create(const struct gri_api_options *options, struct gri_api **api,
                               struct gri_error *error) GRI_MUST_CHECK;
void gri_api_destroy(struct gri_api *api);
/* Other rules, pipelines, tokens and max_catalog_bytes for requests that begin from now on; those under way end with what they
 * began with. The other options stay. On failure nothing changes. Any thread. */
enum gri_status gri_api_reload(struct gri_api *api, const struct gri_api_options *options,
                               struct gri_error *error) GRI_MUST_CHECK;

struct gri_api_param {
    const char *name, *value;
};

struct gri_api_request {
    const char *method;                /* "GET", … */
    const char *path;                  /* percent-decoded */
    const struct gri_api_param *query; /* percent-decoded */
    size_t query_count;
    /* Header values or NULL. */
    const char *accept, *authorization, *if_none_match, *range, *if_range, *content_encoding, *host, *origin;
    bool trusted;   /* the local CLI: no token asked */
    const char *by; /* who, when trusted ("cli:root") */
};

struct gri_api_header {
    const char *name; /* static */
    char value[320];
};

enum { GRI_API_HEADERS_MAX = 10 };

struct gri_api_reply {
    int status;
    const char *content_type; /* static */
    struct gri_bytes body;    /* the first (often only) part */
    struct gri_api_header headers[GRI_API_HEADERS_MAX];
    size_t header_count;
    /* A long answer: called until it returns false; appends the next part to `out` (which it finds empty). A failure in the
     * middle sets *failed, and the connection is cut, so that nobody takes a part for the whole. */
    bool (*more)(void *stream, struct gri_bytes *out, bool *failed);
    void (*stream_free)(void *stream);
    void *stream;
    const char *route; /* the pattern that matched, for metrics; static */
};

void gri_api_reply_clear(struct gri_api_reply *reply);

/* One of several images that may be meant: appends "<pipeline>[/<output>]" to the list of names, where it fits. */
void gri_api_name_choice(const struct gri_json *image, char *names, size_t size);

/* Answers that go on for ever (events that are followed) come to an end; for the end of the daemon. Any thread. */
void gri_api_stop(struct gri_api *api);

/* Before a body is read: is there such a route, and may this be asked? False: *reply is the refusal. */
bool gri_api_admit(struct gri_api *api, const struct gri_api_request *request, struct gri_api_reply *reply);

/* Answers any request but a push's body. */
void gri_api_handle(struct gri_api *api, const struct gri_api_request *request, struct gri_api_reply *reply);

/* A push: POST /v1/catalogs. begin answers NULL and fills *reply when it is refused at once (scope, pipeline, …). data returns
 * false when it is refused midway (too large, damaged gzip, MongoDB away): the rest need not be sent; end gives the reply.
 * end and abort free the push. */
struct gri_api_push;
bool gri_api_is_push(const struct gri_api_request *request);
struct gri_api_push *gri_api_push_begin(struct gri_api *api, const struct gri_api_request *request, struct gri_api_reply *reply);
int64_t gri_api_push_max_bytes(const struct gri_api_push *push); /* of its body, compressed or not */
bool gri_api_push_data(struct gri_api_push *push, struct gri_slice data);
void gri_api_push_end(struct gri_api_push *push, struct gri_api_reply *reply);
void gri_api_push_abort(struct gri_api_push *push);

#endif
