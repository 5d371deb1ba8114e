/* SPDX-License-Identifier: Apache-2.0 */
/* The connections of an HTTP server, and the thread that ends those whose clients stall (http_server.h).
 *
 * libmicrohttpd's own limit is silence, which a byte now and then gets around. Here a client for whom we wait must move
 * WATCH_RATE bytes a second, in either direction, over each idle time; what the kernel counts is what was really received and
 * acknowledged. The time that a handler takes is not the client's. Where places run out, the connection that has been without
 * a request for longest makes room. Ending one is shutting its socket down: its thread does the rest. */
#include "http_server.h"

#include <errno.h>
#include <grisaille/clock.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { WATCH_RATE = 1024, WATCH_TICK_MS = 500 };

/* Under the watch's lock but for `next` and `previous` of strangers. */
struct gri_http_connection {
    struct gri_http_connection *previous, *next;
    int fd;
    bool in_request, in_handler, ended;
    int64_t since_ns;   /* without a request */
    int64_t waiting_ns; /* for the client, in this window, up to resumed_ns */
    int64_t resumed_ns; /* since then we wait */
    uint64_t moved;     /* bytes, when the window began */
};

struct gri_http_watch {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool stopping;
    struct gri_http_connection *first;
    size_t count, places;
    int64_t window_ns;
    uint64_t window_bytes;
};

static uint64_t bytes_moved(int fd) {
    struct tcp_info info = {0};
    socklen_t len = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0) return 0;
    return info.tcpi_bytes_acked + info.tcpi_bytes_received;
}

static void end_connection(struct gri_http_connection *connection) {
    connection->ended = true;
    (void)shutdown(connection->fd, SHUT_RDWR);
}

static void judge(const struct gri_http_watch *watch, struct gri_http_connection *connection, int64_t now) {
    if (connection->ended || connection->in_handler) return;
    if (connection->waiting_ns + now - connection->resumed_ns < watch->window_ns) return;
    uint64_t moved = bytes_moved(connection->fd);
    if (moved - connection->moved < watch->window_bytes) {
        end_connection(connection);
        return;
    }
    connection->moved = moved;
    connection->waiting_ns = 0;
    connection->resumed_ns = now;
}

static void *run(void *arg) {
    struct gri_http_watch *watch = arg;
    pthread_mutex_lock(&watch->lock);
    while (!watch->stopping) {
        int64_t until = gri_clock_ns() + WATCH_TICK_MS * INT64_C(1000000);
        struct timespec at = {.tv_sec = (time_t)(until / 1000000000), .tv_nsec = (long)(until % 1000000000)};
        (void)pthread_cond_timedwait(&watch->changed, &watch->lock, &at);
        int64_t now = gri_clock_ns();
        for (struct gri_http_connection *connection = watch->first; connection; connection = connection->next)
            judge(watch, connection, now);
    }
    pthread_mutex_unlock(&watch->lock);
    return NULL;
}

struct gri_http_watch *gri_http_watch_start(size_t places, unsigned idle_seconds) {
    struct gri_http_watch *watch = gri_calloc(1, sizeof *watch);
    pthread_condattr_t monotonic;
    watch->places = places;
    watch->window_ns = idle_seconds * INT64_C(1000000000);
    watch->window_bytes = (uint64_t)idle_seconds * WATCH_RATE;
    GRI_ASSERT(pthread_condattr_init(&monotonic) == 0 && pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
    GRI_ASSERT(pthread_mutex_init(&watch->lock, NULL) == 0 && pthread_cond_init(&watch->changed, &monotonic) == 0);
    pthread_condattr_destroy(&monotonic);
    GRI_ASSERT(pthread_create(&watch->thread, NULL, run, watch) == 0);
    return watch;
}

void gri_http_watch_stop(struct gri_http_watch *watch) {
    if (!watch) return;
    pthread_mutex_lock(&watch->lock);
    watch->stopping = true;
    pthread_cond_signal(&watch->changed);
    pthread_mutex_unlock(&watch->lock);
    pthread_join(watch->thread, NULL);
    GRI_ASSERT(!watch->first);
    pthread_cond_destroy(&watch->changed);
    pthread_mutex_destroy(&watch->lock);
    free(watch);
}

/* Makes room for one more: of those without a request, the one that has been so for longest goes. So each has its moment, until
 * as many others have come as there are places. */
static void make_room(struct gri_http_watch *watch) {
    struct gri_http_connection *oldest = NULL;
    for (struct gri_http_connection *connection = watch->first; connection; connection = connection->next) {
        bool idle = !connection->ended && !connection->in_request;
        if (idle && (!oldest || connection->since_ns < oldest->since_ns)) oldest = connection;
    }
    if (oldest) end_connection(oldest);
}

static void opened(struct gri_http_watch *watch, struct MHD_Connection *from, void **context) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(from, MHD_CONNECTION_INFO_CONNECTION_FD);
    GRI_ASSERT(info);
    struct gri_http_connection *connection = gri_calloc(1, sizeof *connection);
    connection->fd = info->connect_fd;
    connection->since_ns = connection->resumed_ns = gri_clock_ns();
    *context = connection;
    pthread_mutex_lock(&watch->lock);
    if (watch->count >= watch->places) make_room(watch);
    connection->next = watch->first;
    if (watch->first) watch->first->previous = connection;
    watch->first = connection;
    watch->count++;
    pthread_mutex_unlock(&watch->lock);
}

/* libmicrohttpd closes the socket behind this, so its number is nobody else's while it stands in the list. */
static void closed(struct gri_http_watch *watch, void **context) {
    struct gri_http_connection *connection = *context;
    if (!connection) return;
    *context = NULL;
    pthread_mutex_lock(&watch->lock);
    if (connection->previous) connection->previous->next = connection->next;
    if (connection->next) connection->next->previous = connection->previous;
    if (watch->first == connection) watch->first = connection->next;
    watch->count--;
    pthread_mutex_unlock(&watch->lock);
    free(connection);
}

void gri_http_watch_notify(void *cls, struct MHD_Connection *from, void **context, enum MHD_ConnectionNotificationCode what) {
    struct gri_http_watch *watch = cls;
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        opened(watch, from, context);
    else
        closed(watch, context);
}

struct gri_http_connection *gri_http_watch_of(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

void gri_http_watch_request(struct gri_http_watch *watch, struct gri_http_connection *connection, bool running) {
    pthread_mutex_lock(&watch->lock);
    connection->in_request = running;
    connection->since_ns = gri_clock_ns();
    pthread_mutex_unlock(&watch->lock);
}

void gri_http_watch_handler(struct gri_http_watch *watch, struct gri_http_connection *connection, bool inside) {
    int64_t now = gri_clock_ns();
    pthread_mutex_lock(&watch->lock);
    if (inside)
        connection->waiting_ns += now - connection->resumed_ns;
    else
        connection->resumed_ns = now;
    connection->in_handler = inside;
    pthread_mutex_unlock(&watch->lock);
}
