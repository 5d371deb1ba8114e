/* SPDX-License-Identifier: Apache-2.0 */
/* A server on loopback that speaks HTTP by hand. */
#include "raw_server.h"

#include <arpa/inet.h>
#include <grisaille/bytes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 256, REQUEST_MAX = 16384, TLS_HANDSHAKE = 0x16 };

struct connection {
    struct raw_server *server;
    int fd;
    bool dies; /* at its next request */
    pthread_t thread;
};

struct raw_server {
    int fd, port;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stopping;
    int accepted, gathered;
    struct connection connections[CONNECTIONS_MAX];
};

static bool stopping(struct raw_server *server) {
    pthread_mutex_lock(&server->lock);
    bool stop = server->stopping;
    pthread_mutex_unlock(&server->lock);
    return stop;
}

static bool put(struct connection *connection, const char *text, size_t len) {
    while (len) {
        ssize_t sent = send(connection->fd, text, len, MSG_NOSIGNAL);
        if (sent <= 0) return false;
        text += sent;
        len -= (size_t)sent;
    }
    return true;
}

static bool puts_to(struct connection *connection, const char *text) {
    return put(connection, text, strlen(text));
}

static bool put_fill(struct connection *connection, size_t len) {
    static const char fill[1000] = "fill";
    for (size_t part; len; len -= part) {
        part = len < sizeof(fill) ? len : sizeof(fill);
        if (!put(connection, fill, part)) return false;
    }
    return true;
}

/* Until the peer goes or the server stops. */
static void wait_for_end(struct connection *connection) {
    char byte;
    while (!stopping(connection->server)) {
        struct pollfd poll_fd = {.fd = connection->fd, .events = POLLIN};
        if (poll(&poll_fd, 1, 20) > 0 && recv(connection->fd, &byte, 1, 0) <= 0) return;
    }
}

static void reset(struct connection *connection) {
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

static bool ok(struct connection *connection) {
    return puts_to(connection, "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg; q=1\r\nPicsum-ID: 237\r\nETag: \"e\xff\"\r\n"
                               "Last-Modified: Sat, 21 Nov 2026 09:00:00 GMT\r\nContent-Length: 10\r\n\r\n0123456789");
}

static bool redirect(struct connection *connection, const char *to) {
    char head[REQUEST_MAX];
    (void)gri_format(head, sizeof(head),
                     "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 4\r\nETag: \"of the redirect\"\r\n\r\nbody", to);
    return puts_to(connection, head);
}

static bool body(struct connection *connection, int status, size_t announced, size_t sent, const char *header) {
    char head[512];
    (void)gri_format(head, sizeof(head), "HTTP/1.1 %d Status\r\nContent-Length: %zu\r\n%s\r\n", status, announced, header);
    return puts_to(connection, head) && put_fill(connection, sent);
}

static bool status(struct connection *connection, const char *path) {
    char *end = NULL, header[256] = "";
    long code = strtol(path, &end, 10);
    if (*end == '/') (void)gri_format(header, sizeof(header), "Retry-After: %s\r\n", end + 1);
    for (char *c = header; *c; c++)
        if (*c == '_') *c = ' ';
    bool bodiless = code == 204 || code == 304;
    return body(connection, (int)code, 7, bodiless ? 0 : 7, header);
}

static bool endless(struct connection *connection, const char *head, const char *part) {
    bool going = puts_to(connection, head);
    while (going && !stopping(connection->server))
        going = puts_to(connection, part);
    return false;
}

static bool drip(struct connection *connection) {
    bool going = puts_to(connection, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    while (going && !stopping(connection->server)) {
        going = puts_to(connection, "x");
        usleep(50000);
    }
    return false;
}

static bool last(struct connection *connection, int count) {
    struct raw_server *server = connection->server;
    pthread_mutex_lock(&server->lock);
    server->gathered++;
    pthread_cond_broadcast(&server->changed);
    while (server->gathered < count && !server->stopping)
        pthread_cond_wait(&server->changed, &server->lock);
    pthread_mutex_unlock(&server->lock);
    connection->dies = true;
    return ok(connection);
}

static bool starts(const char *path, const char *with, const char **rest) {
    size_t len = strlen(with);
    *rest = path + len;
    return strncmp(path, with, len) == 0;
}

static bool misbehave(struct connection *connection, const char *path) {
    const char *rest;
    if (starts(path, "/bye", &rest)) return ok(connection) && false;
    if (starts(path, "/truncated", &rest)) return body(connection, 200, 1000, 100, "") && false;
    if (starts(path, "/chunk-cut", &rest))
        return puts_to(connection, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nabc") && false;
    if (starts(path, "/endless", &rest))
        return endless(connection, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "a\r\n0123456789\r\n");
    if (starts(path, "/headers", &rest))
        return endless(connection, "HTTP/1.1 200 OK\r\n", "X-More: 0123456789012345678901234567890123456789\r\n");
    if (starts(path, "/long-header", &rest)) return endless(connection, "HTTP/1.1 200 OK\r\nX-Long: ", "0123456789");
    if (starts(path, "/long-status", &rest)) return endless(connection, "HTTP/1.1 200 ", "OK OK OK ");
    if (starts(path, "/drip", &rest)) return drip(connection);
    if (starts(path, "/not-http", &rest)) return puts_to(connection, "SSH-2.0-OpenSSH_9.2\r\n") && false;
    if (starts(path, "/reset-body", &rest)) {
        (void)body(connection, 200, 1000, 100, "");
        usleep(50000);
        reset(connection);
    } else if (starts(path, "/reset", &rest)) {
        reset(connection);
    } else if (starts(path, "/announced/", &rest)) {
        if (body(connection, 200, strtoul(rest, NULL, 10), 1, "")) wait_for_end(connection);
    } else if (starts(path, "/stall", &rest)) {
        wait_for_end(connection);
    }
    return false;
}

/* True when the connection stays open. */
static bool answer(struct connection *connection, const char *path, const char *request) {
    const char *rest;
    if (connection->dies) return false;
    if (starts(path, "/ok", &rest)) return ok(connection);
    if (starts(path, "/redirect/", &rest)) {
        char to[64];
        long left = strtol(rest, NULL, 10);
        (void)gri_format(to, sizeof(to), "/redirect/%ld", left - 1);
        return left > 0 ? redirect(connection, to) : ok(connection);
    }
    if (starts(path, "/to/", &rest)) return redirect(connection, rest);
    if (starts(path, "/status/", &rest)) return status(connection, rest);
    if (starts(path, "/status-large", &rest)) return body(connection, 404, 200000, 200000, "");
    if (starts(path, "/body/", &rest)) return body(connection, 200, strtoul(rest, NULL, 10), strtoul(rest, NULL, 10), "");
    if (starts(path, "/lying", &rest)) return body(connection, 200, 5, 5, "") && usleep(20000) == 0 && put_fill(connection, 5);
    if (starts(path, "/last/", &rest)) return last(connection, (int)strtol(rest, NULL, 10));
    if (starts(path, "/tagged", &rest)) {
        bool same = strstr(request, "\r\nIf-None-Match: \"t\"\r\n");
        return puts_to(connection, same ? "HTTP/1.1 304 Not Modified\r\nETag: \"t\"\r\n\r\n"
                                        : "HTTP/1.1 200 OK\r\nETag: \"t\"\r\nContent-Length: 5\r\n\r\nwhole");
    }
    if (starts(path, "/agent", &rest)) {
        char head[256];
        (void)gri_format(head, sizeof(head), "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: %zu\r\n\r\n",
                         strlen(request));
        return puts_to(connection, head) && puts_to(connection, request);
    }
    return misbehave(connection, path);
}

/* Reads one request's head; false at the end. */
static bool read_request(struct connection *connection, char request[REQUEST_MAX]) {
    size_t len = 0;
    while (len + 1 < REQUEST_MAX) {
        struct pollfd poll_fd = {.fd = connection->fd, .events = POLLIN};
        if (stopping(connection->server)) return false;
        if (poll(&poll_fd, 1, 20) == 0) continue;
        ssize_t got = recv(connection->fd, request + len, REQUEST_MAX - len - 1, 0);
        if (got <= 0) return false;
        len += (size_t)got;
        request[len] = '\0';
        if (request[0] == TLS_HANDSHAKE || strstr(request, "\r\n\r\n")) return true;
    }
    return false;
}

static void *serve(void *arg) {
    struct connection *connection = arg;
    char request[REQUEST_MAX], path[REQUEST_MAX];
    while (read_request(connection, request)) {
        if (request[0] == TLS_HANDSHAKE) {
            (void)puts_to(connection, "this is no TLS\r\n");
            break;
        }
        char *start = strchr(request, ' '), *end = start ? strchr(start + 1, ' ') : NULL;
        if (!end) break;
        memcpy(path, start + 1, (size_t)(end - start) - 1);
        path[end - start - 1] = '\0';
        if (!answer(connection, path, request)) break;
    }
    close(connection->fd);
    return NULL;
}

static void *accept_all(void *arg) {
    struct raw_server *server = arg;
    for (int fd; (fd = accept(server->fd, NULL, NULL)) >= 0;) {
        pthread_mutex_lock(&server->lock);
        GRI_ASSERT(server->accepted < CONNECTIONS_MAX);
        struct connection *connection = &server->connections[server->accepted++];
        *connection = (struct connection){.server = server, .fd = fd};
        GRI_ASSERT(pthread_create(&connection->thread, NULL, serve, connection) == 0);
        pthread_mutex_unlock(&server->lock);
    }
    return NULL;
}

struct raw_server *raw_server_start(void) {
    struct raw_server *server = gri_calloc(1, sizeof(*server));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->changed, NULL);
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    GRI_ASSERT(server->fd >= 0 && bind(server->fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
               listen(server->fd, 128) == 0);
    GRI_ASSERT(getsockname(server->fd, (struct sockaddr *)&address, &len) == 0);
    server->port = ntohs(address.sin_port);
    GRI_ASSERT(pthread_create(&server->thread, NULL, accept_all, server) == 0);
    return server;
}

void raw_server_stop(struct raw_server *server) {
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
    shutdown(server->fd, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    for (int i = 0; i < server->accepted; i++)
        pthread_join(server->connections[i].thread, NULL);
    close(server->fd);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

int raw_server_port(const struct raw_server *server) {
    return server->port;
}

int raw_server_accepted(struct raw_server *server) {
    pthread_mutex_lock(&server->lock);
    int accepted = server->accepted;
    pthread_mutex_unlock(&server->lock);
    return accepted;
}
