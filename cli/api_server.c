/* SPDX-License-Identifier: Apache-2.0 */
/* From HTTP requests to API calls and back. */
#include "api_server.h"

#include <stdlib.h>
#include <string.h>

enum { IDLE_SECONDS = 30 };

struct gri_api_server {
    struct gri_api *api;
    struct gri_http_server *http;
    struct gri_metrics *metrics;
};

/* What one request keeps between begin and done. */
struct exchange {
    struct gri_api_request request;
    struct gri_api_param query[GRI_HTTP_QUERY_MAX];
    struct gri_api_push *push;
    const char *route;
    char method[8]; /* one of a few, for the label */
};

/* Moves the reply into the response; *reply is empty afterwards. */
static void respond(struct exchange *exchange, struct gri_api_reply *reply, struct gri_http_response *response) {
    exchange->route = reply->route;
    response->status = reply->status;
    if (reply->content_type) gri_http_add_header(response, "Content-Type", reply->content_type);
    for (size_t i = 0; i < reply->header_count; i++)
        gri_http_add_header(response, reply->headers[i].name, reply->headers[i].value);
    gri_bytes_move(&response->body, &reply->body);
    response->more = reply->more;
    response->stream = reply->stream;
    response->stream_free = reply->stream_free;
    reply->stream_free = NULL;
    gri_api_reply_clear(reply);
}

static bool begin(void *arg, struct gri_http_request *http, struct gri_http_response *response) {
    struct gri_api_server *server = arg;
    struct exchange *exchange = gri_calloc(1, sizeof *exchange);
    http->state = exchange;
    exchange->route = "other";
    for (size_t i = 0; i < http->query_count; i++)
        exchange->query[i] = (struct gri_api_param){http->query[i].name, http->query[i].value};
    static const char *const methods[] = {"GET", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"};
    (void)gri_copy(exchange->method, sizeof exchange->method, "other");
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (strcmp(http->method, methods[i]) == 0) (void)gri_copy(exchange->method, sizeof exchange->method, methods[i]);
    exchange->request = (struct gri_api_request){.method = http->method,
                                                 .path = http->path,
                                                 .query = exchange->query,
                                                 .query_count = http->query_count,
                                                 .accept = gri_http_header(http, "Accept"),
                                                 .authorization = gri_http_header(http, "Authorization"),
                                                 .if_none_match = gri_http_header(http, "If-None-Match"),
                                                 .range = gri_http_header(http, "Range"),
                                                 .if_range = gri_http_header(http, "If-Range"),
                                                 .content_encoding = gri_http_header(http, "Content-Encoding"),
                                                 .host = gri_http_header(http, "Host"),
                                                 .origin = gri_http_header(http, "Origin")};
    struct gri_api_reply reply = {0};
    bool admitted;
    if (gri_api_is_push(&exchange->request)) {
        exchange->push = gri_api_push_begin(server->api, &exchange->request, &reply);
        admitted = exchange->push != NULL;
        if (admitted) http->max_body = gri_api_push_max_bytes(exchange->push);
    } else {
        /* No other route takes a long one; a stranger's is not read at all. */
        http->max_body = 64 * 1024;
        admitted = http->content_length == 0 || gri_api_admit(server->api, &exchange->request, &reply);
    }
    if (!admitted) respond(exchange, &reply, response);
    return admitted;
}

static bool data(void *arg, struct gri_http_request *http, struct gri_slice bytes, struct gri_http_response *response) {
    struct exchange *exchange = http->state;
    (void)arg;
    if (!exchange->push || gri_api_push_data(exchange->push, bytes)) return true;
    struct gri_api_reply reply = {0};
    gri_api_push_end(exchange->push, &reply);
    exchange->push = NULL;
    respond(exchange, &reply, response);
    return false;
}

static void finish(void *arg, struct gri_http_request *http, struct gri_http_response *response) {
    struct gri_api_server *server = arg;
    struct exchange *exchange = http->state;
    struct gri_api_reply reply = {0};
    if (exchange->push) {
        gri_api_push_end(exchange->push, &reply);
        exchange->push = NULL;
    } else {
        gri_api_handle(server->api, &exchange->request, &reply);
    }
    respond(exchange, &reply, response);
}

static const double duration_bounds[] = {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30};

static void done(void *arg, struct gri_http_request *http, int status, bool sent, double seconds) {
    struct gri_api_server *server = arg;
    struct exchange *exchange = http->state;
    char route[96], method[32], labels[200];
    (void)sent;
    if (!exchange) return;
    gri_api_push_abort(exchange->push);
    gri_metrics_label(route, sizeof route, "route", exchange->route ? exchange->route : "other");
    gri_metrics_label(method, sizeof method, "method", exchange->method);
    (void)gri_format(labels, sizeof labels, "%s,%s,code=\"%d\"", route, method, status);
    gri_counter_add(gri_metrics_counter(server->metrics, "grisaille_http_requests_total",
                                        "Requests answered, by route, method and status.", labels),
                    1);
    gri_histogram_observe(gri_metrics_histogram(server->metrics, "grisaille_http_request_duration_seconds",
                                                "Time to answer a request.", route, duration_bounds,
                                                sizeof duration_bounds / sizeof duration_bounds[0]),
                          seconds);
    free(exchange);
    http->state = NULL;
}

enum gri_status gri_api_server_start(struct gri_api *api, const struct gri_api_server_options *options,
                                     struct gri_api_server **server, struct gri_error *error) {
    struct gri_api_server *made = gri_calloc(1, sizeof *made);
    *made = (struct gri_api_server){.api = api, .metrics = options->metrics};
    struct gri_http_options http = {.listen = options->listen,
                                    .loopback_only = options->loopback_only,
                                    .connections = options->connections,
                                    .idle_seconds = IDLE_SECONDS,
                                    .max_body = options->max_body,
                                    .log = options->log,
                                    .handler = {.arg = made, .begin = begin, .data = data, .finish = finish, .done = done}};
    enum gri_status status = gri_http_server_start(&http, &made->http, error);
    *server = status == GRI_OK ? made : NULL;
    if (status != GRI_OK) free(made);
    return status;
}

const char *gri_api_server_address(const struct gri_api_server *server) {
    return gri_http_server_address(server->http);
}

void gri_api_server_stop(struct gri_api_server *server, int64_t deadline_ms) {
    if (!server) return;
    gri_http_server_stop(server->http, deadline_ms);
    free(server);
}
