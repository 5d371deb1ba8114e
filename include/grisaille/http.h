/* SPDX-License-Identifier: Apache-2.0 */
/* Port: an HTTP/1.1 server. adapters/http_server implements it on libmicrohttpd; api/ and cli/ give it a handler.
 *
 * One thread a connection: handler functions may block and are called from many threads at once, but those of one request
 * one after the other: begin, data (any number), finish, done. The server decodes path and query (a NUL or a bad escape in
 * them is answered 400 without the handler), answers HEAD with GET's headers, and bounds connections, headers, bodies and
 * the time that a client may take: over each idle_seconds that it is waited for it must move 1 KiB a second, sending or
 * receiving. Errors that it answers itself are problem details as the API's are, but for requests that libmicrohttpd can't parse.
 * Every answer has the headers against sniffing, framing and scripts that the handler did not set itself. */
#ifndef GRISAILLE_HTTP_H
#define GRISAILLE_HTTP_H

#include <grisaille/log.h>

#include <string.h>

enum { GRI_HTTP_QUERY_MAX = 64, GRI_HTTP_HEADERS_MAX = 24 };

struct gri_http_pair {
    const char *name, *value;
};

/* Borrowed until `done` has returned. */
struct gri_http_request {
    const char *method;                /* as sent; "GET" for a HEAD */
    const char *path;                  /* percent-decoded, begins with / */
    const struct gri_http_pair *query; /* percent-decoded, + as space, in order; a name without = has the value "" */
    size_t query_count;
    const char *peer;       /* numeric address, without port */
    int64_t content_length; /* announced; -1: none or unknown */
    bool head;
    int64_t max_body; /* begin may change it: a longer body is answered 413 */
    void *state;      /* the handler's own, NULL at first */
    const char *(*find_header)(const struct gri_http_request *request, const char *name);
};

/* A header's value, or NULL; name in any case. The first, if there are several. */
static inline const char *gri_http_header(const struct gri_http_request *request, const char *name) {
    return request->find_header(request, name);
}

/* The first query parameter of that name, or NULL. */
static inline const char *gri_http_query(const struct gri_http_request *request, const char *name) {
    for (size_t i = 0; i < request->query_count; i++) {
        if (strcmp(request->query[i].name, name) == 0) return request->query[i].value;
    }
    return NULL;
}

struct gri_http_response_header {
    char name[40], value[320];
};

/* Comes zeroed with status 200; the server frees what it holds. */
struct gri_http_response {
    int status;
    struct gri_http_response_header headers[GRI_HTTP_HEADERS_MAX];
    size_t header_count;
    struct gri_bytes body; /* all of it, or its first part where `more` is set */
    /* A long body: called with an empty `out`, appends the next part; false: that was the last one. *failed = true cuts the
     * connection, so that nobody takes a part for the whole. stream_free is called once, also when `more` never was. */
    bool (*more)(void *stream, struct gri_bytes *out, bool *failed);
    void (*stream_free)(void *stream);
    void *stream;
    int64_t length; /* with `more`: bytes of the whole body (first part too) if above 0; else unknown, and it goes in chunks */
};

/* Adds a header; cut to fit. A name or value with a line break is not sent (and logged). */
static inline void gri_http_add_header(struct gri_http_response *response, const char *name, const char *value) {
    GRI_ASSERT(response->header_count < GRI_HTTP_HEADERS_MAX);
    struct gri_http_response_header *header = &response->headers[response->header_count++];
    gri_copy(header->name, sizeof header->name, name);
    gri_copy(header->value, sizeof header->value, value);
}

struct gri_http_handler {
    void *arg;
    /* The headers are in. True: go on with the body, if any. False: *response is the answer; a body is not read. */
    bool (*begin)(void *arg, struct gri_http_request *request, struct gri_http_response *response);
    /* A part of the body. False: *response is the answer; the rest is discarded (within a bound, else the connection is
     * closed behind the answer). May be NULL: bodies are discarded. */
    bool (*data)(void *arg, struct gri_http_request *request, struct gri_slice data, struct gri_http_response *response);
    /* All is in: fills *response. Not called after a false. */
    void (*finish)(void *arg, struct gri_http_request *request, struct gri_http_response *response);
    /* Once for each begin, whatever happened: frees request->state. status: what was answered, 0 if nothing was; sent: to the
     * end. May be NULL. */
    void (*done)(void *arg, struct gri_http_request *request, int status, bool sent, double seconds);
};

struct gri_http_options {
    const char *listen;    /* "host:port", "[::1]:port", ":port" (every address); port 0: a free one */
    bool loopback_only;    /* refuse to listen elsewhere: reason config */
    unsigned connections;  /* at once; past it the one that is longest without a request makes room, or new ones wait */
    unsigned idle_seconds; /* without a byte in either direction, or with less than 1 KiB a second on average: closed */
    int64_t max_body;      /* of a request, where begin says nothing else */
    struct gri_log *log;   /* may be NULL */
    struct gri_http_handler handler;
};

struct gri_http_server;

/* Listens and serves from its return on. Failure: reason config (the address can't be understood), or io (it can't be had). */
enum gri_status gri_http_server_start(const struct gri_http_options *options, struct gri_http_server **server,
                                      struct gri_error *error) GRI_MUST_CHECK;
/* The address really bound, "127.0.0.1:8480"; borrowed from the server. */
const char *gri_http_server_address(const struct gri_http_server *server);
/* Accepts no more, lets running requests finish for up to deadline_ms, closes the rest (a handler that is in a call is waited
 * for), frees all. NULL is fine. */
void gri_http_server_stop(struct gri_http_server *server, int64_t deadline_ms);

#endif
