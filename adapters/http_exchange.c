/* SPDX-License-Identifier: Apache-2.0 */
/* One request and its answer (http_server.h).
 *
 * libmicrohttpd takes an answer before or behind the body of a request, never in its middle. An answer that ends a long body
 * early is therefore written to the socket here, the rest of the body is read and dropped for a while (so that the kernel's
 * reset does not overtake the answer), and the connection is closed. */
#include "http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grisaille/clock.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

enum {
    DISCARD_MAX = 1024 * 1024,       /* of a refused body whose length is known: read, and the connection is kept */
    LINGER_BYTES = 16 * 1024 * 1024, /* of a refused body otherwise: read behind the answer */
    LINGER_MS = 2000,
    SEND_MS = 5000,
    STREAM_BLOCK = 64 * 1024,
    PART_MAX = 64 * 1024 * 1024, /* of one part that `more` makes */
    HEADERS_MAX = 32 * 1024      /* request line and headers; libmicrohttpd itself, in HTML, refuses only what is far over it */
};

/* On every answer, unless the handler says otherwise: nothing of it runs, is framed, is taken for something else or is read by a
 * page from elsewhere. */
static const struct gri_http_pair standard_headers[] = {
    {"Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Referrer-Policy", "no-referrer"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
};

enum phase { PHASE_NEW, PHASE_RECEIVING, PHASE_DISCARDING, PHASE_ANSWERED };

struct exchange {
    struct gri_http_request request; /* first: the handler's view */
    struct gri_http_server *server;
    struct MHD_Connection *connection;
    struct gri_http_connection *watched;
    struct gri_http_response response;
    enum phase phase;
    bool begun;         /* the handler's begin was called: done is due */
    bool answered_here; /* written to the socket by us, to the end */
    int status;
    int64_t received;
    int64_t since_ns;
    char peer[INET6_ADDRSTRLEN];
    struct gri_http_pair query[GRI_HTTP_QUERY_MAX];
    char *target; /* what path and query point into */
};

/* What a streamed answer needs after the exchange has handed it over. */
struct stream {
    struct gri_bytes part;
    size_t sent; /* of part */
    bool last;
    bool (*more)(void *stream, struct gri_bytes *out, bool *failed);
    void (*stream_free)(void *stream);
    void *stream;
    struct gri_http_watch *watch;
    struct gri_http_connection *watched; /* only while it is read from */
};

static const char *find_header(const struct gri_http_request *request, const char *name) {
    const struct exchange *self = (const struct exchange *)(const void *)request;
    return MHD_lookup_connection_value(self->connection, MHD_HEADER_KIND, name);
}

static void clear_response(struct gri_http_response *response) {
    gri_bytes_clear(&response->body);
    if (response->stream_free) response->stream_free(response->stream);
    *response = (struct gri_http_response){.status = 200};
}

/* A problem document of the server's own (RFC 9457), as the API's are. */
static void problem(struct gri_http_response *response, enum gri_reason reason, const char *detail) {
    const struct gri_reason_info *info = gri_reason_info(reason);
    clear_response(response);
    response->status = info->http;
    gri_http_add_header(response, "Content-Type", "application/problem+json");
    gri_bytes_init(&response->body, 4096);
    gri_bytes_printf(&response->body,
                     "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"detail\":\"%s\",\"reason\":\"%s\"}",
                     MHD_get_reason_phrase_for((unsigned)info->http), info->http, detail, info->name);
}

void *gri_http_exchange_begin(void *cls, const char *uri, struct MHD_Connection *connection) {
    struct gri_http_server *server = cls;
    struct exchange *self = gri_calloc(1, sizeof *self);
    self->server = server;
    self->connection = connection;
    self->target = gri_strdup(uri);
    self->response.status = 200;
    self->since_ns = gri_clock_ns();
    self->watched = gri_http_watch_of(connection);
    pthread_mutex_lock(&server->lock);
    server->running++;
    pthread_mutex_unlock(&server->lock);
    return self;
}

void gri_http_exchange_end(void *cls, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode how) {
    struct gri_http_server *server = cls;
    struct exchange *self = *state;
    (void)connection;
    if (!self) return;
    *state = NULL;
    gri_http_watch_request(server->watch, self->watched, false);
    double seconds = (double)(gri_clock_ns() - self->since_ns) / 1e9;
    bool sent = self->answered_here || how == MHD_REQUEST_TERMINATED_COMPLETED_OK;
    if (self->begun && server->handler.done)
        server->handler.done(server->handler.arg, &self->request, self->status, sent, seconds);
    clear_response(&self->response);
    free(self->target);
    free(self);
    pthread_mutex_lock(&server->lock);
    if (--server->running == 0) pthread_cond_broadcast(&server->idle);
    pthread_mutex_unlock(&server->lock);
}

static void note_peer(struct exchange *self) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(self->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info ? info->client_addr : NULL;
    const void *in = NULL;
    if (address && address->sa_family == AF_INET) in = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
    if (address && address->sa_family == AF_INET6) in = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    if (!in || !inet_ntop(address->sa_family, in, self->peer, sizeof self->peer)) self->peer[0] = '\0';
}

/* libmicrohttpd has refused a length that is no number already. */
static int64_t announced_length(struct MHD_Connection *connection) {
    const char *text = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (!text || MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING)) return -1;
    errno = 0;
    long long length = strtoll(text, NULL, 10);
    return errno == 0 && length >= 0 ? length : INT64_MAX;
}

static bool has_body(const struct exchange *self) {
    return self->request.content_length > 0 ||
           MHD_lookup_connection_value(self->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL;
}

static void stream_free(void *cls) {
    struct stream *stream = cls;
    if (stream->stream_free) stream->stream_free(stream->stream);
    gri_bytes_clear(&stream->part);
    free(stream);
}

static ssize_t stream_read(void *cls, uint64_t position, char *buffer, size_t max) {
    struct stream *stream = cls;
    bool failed = false;
    (void)position;
    while (stream->sent == stream->part.len) {
        if (stream->last) return MHD_CONTENT_READER_END_OF_STREAM;
        gri_bytes_reset(&stream->part);
        stream->sent = 0;
        gri_http_watch_handler(stream->watch, stream->watched, true);
        stream->last = !stream->more(stream->stream, &stream->part, &failed);
        gri_http_watch_handler(stream->watch, stream->watched, false);
        if (failed || gri_bytes_failed(&stream->part)) return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    size_t n = stream->part.len - stream->sent < max ? stream->part.len - stream->sent : max;
    memcpy(buffer, stream->part.data + stream->sent, n);
    stream->sent += n;
    return (ssize_t)n;
}

/* The answer's body as libmicrohttpd has it; takes body and stream. */
static struct MHD_Response *make_response(struct exchange *self) {
    struct gri_http_response *response = &self->response;
    struct MHD_Response *made = NULL;
    if (!response->more) {
        made = MHD_create_response_from_buffer(response->body.len, response->body.data, MHD_RESPMEM_MUST_FREE);
        if (!made) gri_bytes_clear(&response->body);
        if (response->stream_free) response->stream_free(response->stream);
    } else {
        struct stream *stream = gri_calloc(1, sizeof *stream);
        gri_bytes_init(&stream->part, PART_MAX);
        gri_bytes_move(&stream->part, &response->body);
        stream->part.max = PART_MAX;
        stream->more = response->more;
        stream->stream_free = response->stream_free;
        stream->stream = response->stream;
        stream->watch = self->server->watch;
        stream->watched = self->watched;
        uint64_t size = response->length > 0 ? (uint64_t)response->length : MHD_SIZE_UNKNOWN;
        made = MHD_create_response_from_callback(size, STREAM_BLOCK, stream_read, stream, stream_free);
        if (!made) stream_free(stream);
    }
    response->body.data = NULL;
    response->body.len = response->body.cap = 0;
    response->more = NULL;
    response->stream_free = NULL;
    response->stream = NULL;
    return made;
}

static void add_standard_headers(struct gri_http_response *response) {
    for (size_t i = 0; i < sizeof standard_headers / sizeof *standard_headers; i++) {
        bool there = false;
        for (size_t k = 0; k < response->header_count; k++)
            there = there || strcasecmp(response->headers[k].name, standard_headers[i].name) == 0;
        if (!there) gri_http_add_header(response, standard_headers[i].name, standard_headers[i].value);
    }
}

static bool valid_header(const struct gri_http_response_header *header) {
    return header->name[0] && !strpbrk(header->name, "\r\n: ") && !strpbrk(header->value, "\r\n");
}

static void add_headers(struct exchange *self, struct MHD_Response *made) {
    for (size_t i = 0; i < self->response.header_count; i++) {
        const struct gri_http_response_header *header = &self->response.headers[i];
        if (!valid_header(header) || MHD_add_response_header(made, header->name, header->value) != MHD_YES) {
            gri_log(self->server->log, GRI_ERROR, "http_header_dropped", GRI_TEXT("name", header->name),
                    GRI_TEXT("value", header->value));
        }
    }
    if (atomic_load(&self->server->stopping)) MHD_add_response_header(made, MHD_HTTP_HEADER_CONNECTION, "close");
}

static enum MHD_Result answer(struct exchange *self) {
    unsigned status = (unsigned)self->response.status;
    add_standard_headers(&self->response);
    struct MHD_Response *made = make_response(self);
    self->phase = PHASE_ANSWERED;
    if (!made) return MHD_NO;
    add_headers(self, made);
    self->status = (int)status;
    enum MHD_Result result = MHD_queue_response(self->connection, status, made);
    MHD_destroy_response(made);
    return result;
}

static bool wait_for(int fd, short events, int64_t deadline) {
    struct pollfd poller = {.fd = fd, .events = events};
    int64_t left = deadline - gri_clock_ms();
    return left > 0 && poll(&poller, 1, (int)left) > 0;
}

static bool send_all(int fd, struct gri_slice data) {
    int64_t deadline = gri_clock_ms() + SEND_MS;
    while (data.len > 0) {
        ssize_t n = send(fd, data.data, data.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            data.data += n;
            data.len -= (size_t)n;
        } else if (errno == EINTR) {
            continue;
        } else if ((errno != EAGAIN && errno != EWOULDBLOCK) || !wait_for(fd, POLLOUT, deadline)) {
            return false;
        }
    }
    return true;
}

static void linger(int fd) {
    char dropped[16 * 1024];
    int64_t deadline = gri_clock_ms() + LINGER_MS;
    size_t total = 0;
    while (total < LINGER_BYTES && wait_for(fd, POLLIN, deadline)) {
        ssize_t n = recv(fd, dropped, sizeof dropped, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) return;
        if (n > 0) total += (size_t)n;
    }
}

/* Writes the answer in the middle of the request's body; MHD_NO closes the connection. A streamed answer is cut to its first
 * part: what refuses a body is short. */
static enum MHD_Result answer_here(struct exchange *self) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(self->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct gri_http_response *response = &self->response;
    struct gri_bytes text;
    if (!info) return MHD_NO;
    add_standard_headers(response);
    gri_bytes_init(&text, 0);
    gri_bytes_printf(&text, "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Length: %zu\r\n", response->status,
                     MHD_get_reason_phrase_for((unsigned)response->status), response->body.len);
    for (size_t i = 0; i < response->header_count; i++) {
        if (valid_header(&response->headers[i]))
            gri_bytes_printf(&text, "%s: %s\r\n", response->headers[i].name, response->headers[i].value);
    }
    gri_bytes_put(&text, "\r\n");
    gri_bytes_put_slice(&text, gri_bytes_slice(&response->body));
    self->status = response->status;
    self->answered_here = !gri_bytes_failed(&text) && send_all(info->connect_fd, gri_bytes_slice(&text));
    gri_bytes_clear(&text);
    self->phase = PHASE_ANSWERED;
    if (self->answered_here && shutdown(info->connect_fd, SHUT_WR) == 0) linger(info->connect_fd);
    return MHD_NO;
}

/* The response is the answer though the body is not (all) read. */
static enum MHD_Result refuse(struct exchange *self) {
    int64_t length = self->request.content_length;
    const char *expect = find_header(&self->request, MHD_HTTP_HEADER_EXPECT);
    bool nothing_sent = self->phase == PHASE_NEW && (!has_body(self) || (expect && strcasecmp(expect, "100-continue") == 0));
    if (nothing_sent) return answer(self);
    if (length >= 0 && length - self->received > DISCARD_MAX) return answer_here(self);
    if (length < 0) return answer_here(self);
    self->phase = PHASE_DISCARDING;
    return MHD_YES;
}

static enum MHD_Result on_headers(struct exchange *self, const char *method) {
    struct gri_http_server *server = self->server;
    struct gri_http_request *request = &self->request;
    gri_http_watch_request(server->watch, self->watched, true);
    note_peer(self);
    request->head = strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
    request->method = request->head ? MHD_HTTP_METHOD_GET : method;
    request->query = self->query;
    request->peer = self->peer;
    request->content_length = announced_length(self->connection);
    request->max_body = server->max_body;
    request->find_header = find_header;
    const union MHD_ConnectionInfo *headers = MHD_get_connection_info(self->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (headers && headers->header_size > HEADERS_MAX) {
        problem(&self->response, GRI_R_headers_too_large, "the request line and headers are over 32 KiB");
        return refuse(self);
    }
    if (!gri_http_parse_target(self->target, &request->path, self->query, &request->query_count)) {
        problem(&self->response, GRI_R_bad_request,
                "the request's path or query is not validly percent-encoded, or has too many parameters");
        return refuse(self);
    }
    self->begun = true;
    if (!server->handler.begin(server->handler.arg, request, &self->response)) return refuse(self);
    if (request->content_length > request->max_body) {
        problem(&self->response, GRI_R_body_too_large, "the request's body is over the maximum");
        return refuse(self);
    }
    self->phase = PHASE_RECEIVING;
    return MHD_YES;
}

static enum MHD_Result on_data(struct exchange *self, struct gri_slice data) {
    const struct gri_http_handler *handler = &self->server->handler;
    self->received += (int64_t)data.len;
    if (self->phase == PHASE_DISCARDING) return MHD_YES;
    if (self->received > self->request.max_body) {
        problem(&self->response, GRI_R_body_too_large, "the request's body is over the maximum");
        return refuse(self);
    }
    if (handler->data && !handler->data(handler->arg, &self->request, data, &self->response)) return refuse(self);
    return MHD_YES;
}

static enum MHD_Result step(struct exchange *self, const char *method, const char *data, size_t *size) {
    if (self->phase == PHASE_NEW) return on_headers(self, method);
    if (*size > 0) {
        struct gri_slice part = {(const uint8_t *)data, *size};
        *size = 0;
        return on_data(self, part);
    }
    if (self->phase == PHASE_RECEIVING) self->server->handler.finish(self->server->handler.arg, &self->request, &self->response);
    return answer(self);
}

enum MHD_Result gri_http_exchange_step(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
                                       const char *version, const char *data, size_t *size, void **state) {
    struct gri_http_server *server = cls;
    struct exchange *self = *state;
    (void)connection;
    (void)url;
    (void)version;
    if (!self || self->phase == PHASE_ANSWERED) return MHD_NO;
    gri_http_watch_handler(server->watch, self->watched, true);
    enum MHD_Result result = step(self, method, data, size);
    gri_http_watch_handler(server->watch, self->watched, false);
    return result;
}
