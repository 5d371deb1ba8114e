/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server: listening, starting, stopping (http_server.h). */
#include "http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTION_MEMORY = 128 * 1024, /* headers and one read of the body */
    BACKLOG = 128,
    SPARE = 64 /* connections over options->connections, so that one can come in while another makes room for it */
};

/* "host:port", "[::1]:port", ":port" → host ("" for any) and port. */
static bool split_address(const char *listen_at, char *host, size_t host_size, char *port, size_t port_size) {
    const char *colon = strrchr(listen_at, ':');
    if (!colon || colon[1] == '\0' || strspn(colon + 1, "0123456789") != strlen(colon + 1)) return false;
    const char *start = listen_at, *end = colon;
    if (*start == '[') {
        if (end == start || end[-1] != ']') return false;
        start++;
        end--;
    } else if (memchr(start, ':', (size_t)(end - start))) {
        return false;
    }
    long number = strtol(colon + 1, NULL, 10);
    return strlen(colon + 1) <= 5 && number <= 65535 && gri_format(host, host_size, "%.*s", (int)(end - start), start) &&
           gri_copy(port, port_size, colon + 1);
}

static bool is_loopback(const struct sockaddr *address) {
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 == 127;
    return address->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

/* A listening socket at the address, -1 on failure. */
static int open_socket(const struct addrinfo *at) {
    int yes = 1, fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

static enum gri_status listen_on(const struct gri_http_options *options, int *fd, struct gri_error *error) {
    char host[256], port[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found = NULL;
    *fd = -1;
    if (!split_address(options->listen, host, sizeof host, port, sizeof port)) {
        return gri_fail(error, GRI_R_config, "\"%.100s\" is no address to listen on; write host:port, [::1]:port or :port",
                        options->listen);
    }
    /* Without a host: all IPv4 addresses, as a machine without IPv6 has no other. */
    if (host[0] == '\0') hints.ai_family = AF_INET;
    int problem = getaddrinfo(host[0] ? host : NULL, port, &hints, &found);
    if (problem != 0) return gri_fail(error, GRI_R_config, "%.100s: %s", options->listen, gai_strerror(problem));
    enum gri_status status = GRI_OK;
    if (options->loopback_only && !is_loopback(found->ai_addr)) {
        status = gri_fail(error, GRI_R_config, "%.100s is not a loopback address: that needs api.tokens", options->listen);
    } else if ((*fd = open_socket(found)) < 0) {
        status = gri_fail(error, GRI_R_io, "can't listen on %.100s: %s", options->listen, strerror(errno));
    }
    freeaddrinfo(found);
    return status;
}

static void note_address(struct gri_http_server *server, int fd) {
    struct sockaddr_storage bound = {0};
    socklen_t len = sizeof bound;
    char host[INET6_ADDRSTRLEN], port[8];
    GRI_ASSERT(getsockname(fd, (struct sockaddr *)&bound, &len) == 0);
    GRI_ASSERT(
        getnameinfo((struct sockaddr *)&bound, len, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) == 0);
    gri_format(server->address, sizeof server->address, bound.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

/* libmicrohttpd's own messages: mostly of clients that went away. */
static void log_message(void *cls, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
static void log_message(void *cls, const char *format, va_list args) {
    struct gri_http_server *server = cls;
    char text[400];
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    gri_log(server->log, GRI_DEBUG, "http_server_message", GRI_TEXT("detail", text));
}

/* Targets stay as they were sent: http_target.c decodes them, once. */
static size_t keep_escapes(void *cls, struct MHD_Connection *connection, char *text) {
    (void)cls;
    (void)connection;
    return strlen(text);
}

static struct MHD_Daemon *start_daemon(struct gri_http_server *server, const struct gri_http_options *options, int fd) {
    unsigned flags =
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC | MHD_USE_ERROR_LOG;
    sigset_t all, before;
    /* The threads made here inherit the mask: signals are the main thread's. */
    sigfillset(&all);
    const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    server->watch = gri_http_watch_start(options->connections, options->idle_seconds);
    struct MHD_Daemon *daemon =
        MHD_start_daemon(flags, 0, NULL, NULL, gri_http_exchange_step, server, MHD_OPTION_EXTERNAL_LOGGER, log_message, server,
                         MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, options->connections + SPARE,
                         MHD_OPTION_NOTIFY_CONNECTION, gri_http_watch_notify, server->watch, MHD_OPTION_CONNECTION_TIMEOUT,
                         options->idle_seconds, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
                         MHD_OPTION_URI_LOG_CALLBACK, gri_http_exchange_begin, server, MHD_OPTION_NOTIFY_COMPLETED,
                         gri_http_exchange_end, server, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return daemon;
}

static void free_server(struct gri_http_server *server) {
    gri_http_watch_stop(server->watch);
    pthread_cond_destroy(&server->idle);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

enum gri_status gri_http_server_start(const struct gri_http_options *options, struct gri_http_server **server,
                                      struct gri_error *error) {
    int fd = -1;
    *server = NULL;
    GRI_ASSERT(options->handler.begin && options->handler.finish && options->connections > 0 && options->idle_seconds > 0);
    enum gri_status status = listen_on(options, &fd, error);
    if (status != GRI_OK) return status;
    struct gri_http_server *self = gri_calloc(1, sizeof *self);
    self->handler = options->handler;
    self->log = options->log;
    self->max_body = options->max_body;
    pthread_condattr_t monotonic;
    GRI_ASSERT(pthread_condattr_init(&monotonic) == 0);
    GRI_ASSERT(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
    GRI_ASSERT(pthread_mutex_init(&self->lock, NULL) == 0 && pthread_cond_init(&self->idle, &monotonic) == 0);
    pthread_condattr_destroy(&monotonic);
    note_address(self, fd);
    self->daemon = start_daemon(self, options, fd);
    if (!self->daemon) {
        close(fd);
        status = gri_fail(error, GRI_R_io, "the HTTP server on %.100s does not start", self->address);
        free_server(self);
        return status;
    }
    *server = self;
    return GRI_OK;
}

const char *gri_http_server_address(const struct gri_http_server *server) {
    return server->address;
}

static void wait_idle(struct gri_http_server *server, int64_t deadline_ms) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(deadline_ms / 1000);
    until.tv_nsec += (long)(deadline_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&server->lock);
    while (server->running > 0 && pthread_cond_timedwait(&server->idle, &server->lock, &until) != ETIMEDOUT) {}
    pthread_mutex_unlock(&server->lock);
}

void gri_http_server_stop(struct gri_http_server *server, int64_t deadline_ms) {
    if (!server) return;
    atomic_store(&server->stopping, true);
    /* The socket is ours again, but a thread of the library may still look at it: new clients are refused from now on, the
     * number is given back at the end. */
    int fd = MHD_quiesce_daemon(server->daemon);
    if (fd >= 0) (void)shutdown(fd, SHUT_RDWR);
    wait_idle(server, deadline_ms);
    MHD_stop_daemon(server->daemon);
    if (fd >= 0) close(fd);
    free_server(server);
}
