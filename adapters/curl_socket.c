/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl's sockets and its timer on the loop.
 *
 * libcurl forgets a connection's socket when an answer is whole and asks for it again with the next request: five system calls an
 * image. So a connection that was read from stays watched, idle, until libcurl closes it. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "curl_state.h"

struct gri_curl_watch {
    uv_poll_t poll; /* first */
    struct gri_curl *owner;
    curl_socket_t socket;
    int polled;      /* events of libuv */
    bool connection; /* libcurl says when it closes it; not so with its resolver's pairs of sockets */
    bool idle;       /* in the fetcher's table */
};

static void closed_watch(uv_handle_t *handle) {
    struct gri_curl_watch *watch = handle->data;
    struct gri_curl *fetcher = watch->owner;
    free(watch);
    gri_curl_handle_closed(fetcher);
}

static void end_watch(struct gri_curl_watch *watch) {
    (void)uv_poll_stop(&watch->poll);
    uv_close((uv_handle_t *)&watch->poll, closed_watch);
}

/* The watch of an idle connection, taken out of the table; NULL: there is none. */
static struct gri_curl_watch *take_idle(struct gri_curl *fetcher, curl_socket_t socket) {
    struct gri_curl_watch *watch = (size_t)socket < fetcher->idle_room ? fetcher->idle[socket] : NULL;
    if (!watch) return NULL;
    fetcher->idle[socket] = NULL;
    watch->idle = false;
    uv_ref((uv_handle_t *)&watch->poll);
    return watch;
}

static void keep_idle(struct gri_curl *fetcher, struct gri_curl_watch *watch) {
    size_t room = (size_t)watch->socket + 1;
    if (room > fetcher->idle_room) {
        room = room < 2 * fetcher->idle_room ? 2 * fetcher->idle_room : room;
        fetcher->idle = realloc(fetcher->idle, room * sizeof(*fetcher->idle));
        GRI_ASSERT(fetcher->idle);
        memset(fetcher->idle + fetcher->idle_room, 0, (room - fetcher->idle_room) * sizeof(*fetcher->idle));
        fetcher->idle_room = room;
    }
    fetcher->idle[watch->socket] = watch;
    watch->idle = true;
    uv_unref((uv_handle_t *)&watch->poll); /* no loop goes on for its sake */
}

int gri_curl_socket_ended(void *fetcher, curl_socket_t socket) {
    struct gri_curl_watch *watch = take_idle(fetcher, socket);
    if (watch) end_watch(watch);
    return close(socket);
}

static void ready(uv_poll_t *poll, int status, int events) {
    struct gri_curl_watch *watch = poll->data;
    struct gri_curl *fetcher = watch->owner;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0, running = 0;
    if (status < 0) watch->polled = 0; /* libuv has stopped */
    if (watch->idle) {                 /* its host has closed it: libcurl sees that when it wants it again */
        (void)uv_poll_stop(poll);
        watch->polled = 0;
        return;
    }
    if (events & UV_READABLE) flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE) flags |= CURL_CSELECT_OUT;
    (void)curl_multi_socket_action(fetcher->multi, watch->socket, flags, &running);
    gri_curl_collect(fetcher);
}

static bool is_connection(curl_socket_t socket) {
    int domain = 0;
    socklen_t len = sizeof(domain);
    return getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && (domain == AF_INET || domain == AF_INET6);
}

static struct gri_curl_watch *start_watch(struct gri_curl *fetcher, curl_socket_t socket) {
    struct gri_curl_watch *watch = gri_calloc(1, sizeof(*watch));
    int code = uv_poll_init_socket(fetcher->loop, &watch->poll, socket);
    if (code != 0) {
        gri_log(fetcher->log, GRI_ERROR, "fetch_socket_failed", GRI_TEXT("detail", uv_strerror(code)));
        free(watch);
        return NULL;
    }
    fetcher->handles++;
    watch->poll.data = watch;
    watch->owner = fetcher;
    watch->socket = socket;
    watch->connection = is_connection(socket);
    return watch;
}

static int want_socket(CURL *easy, curl_socket_t socket, int what, void *arg, void *assigned) {
    struct gri_curl *fetcher = arg;
    struct gri_curl_watch *watch = assigned;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (!watch) return 0;
        (void)curl_multi_assign(fetcher->multi, socket, NULL);
        /* One that was never read from may be the slower of two to the same host, which libcurl closes without a word. */
        if (watch->connection && watch->polled & UV_READABLE) {
            keep_idle(fetcher, watch);
        } else {
            end_watch(watch);
        }
        return 0;
    }
    if (!watch) {
        watch = take_idle(fetcher, socket);
        if (!watch) watch = start_watch(fetcher, socket);
        if (!watch) return -1;
        (void)curl_multi_assign(fetcher->multi, socket, watch);
    }
    int wanted = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    if (wanted == watch->polled) return 0;
    watch->polled = wanted;
    return uv_poll_start(&watch->poll, watch->polled, ready) == 0 ? 0 : -1;
}

static void time_came(uv_timer_t *timer) {
    struct gri_curl *fetcher = timer->data;
    int running = 0;
    (void)curl_multi_socket_action(fetcher->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    gri_curl_collect(fetcher);
}

static int want_timer(CURLM *multi, long timeout_ms, void *arg) {
    struct gri_curl *fetcher = arg;
    (void)multi;
    if (fetcher->closing) return 0;
    if (timeout_ms < 0) return uv_timer_stop(&fetcher->curl_timer);
    uv_update_time(fetcher->loop); /* the loop's time is that of the turn's beginning */
    return uv_timer_start(&fetcher->curl_timer, time_came, (uint64_t)timeout_ms, 0);
}

#define SET(option, value) ok = ok && curl_multi_setopt(fetcher->multi, option, value) == CURLM_OK

enum gri_status gri_curl_socket_open(struct gri_curl *fetcher, struct gri_error *error) {
    fetcher->multi = curl_multi_init();
    bool ok = fetcher->multi != NULL;
    SET(CURLMOPT_SOCKETFUNCTION, want_socket);
    SET(CURLMOPT_SOCKETDATA, fetcher);
    SET(CURLMOPT_TIMERFUNCTION, want_timer);
    SET(CURLMOPT_TIMERDATA, fetcher);
    SET(CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    SET(CURLMOPT_MAX_HOST_CONNECTIONS, (long)fetcher->settings->options.max_host_connections);
    if (ok) return GRI_OK;
    (void)curl_multi_cleanup(fetcher->multi);
    return gri_fail(error, GRI_R_internal, "libcurl's multi handle can't be made");
}

void gri_curl_socket_close(struct gri_curl *fetcher) {
    (void)curl_multi_cleanup(fetcher->multi); /* ends every connection */
    fetcher->multi = NULL;
    free(fetcher->idle);
    fetcher->idle = NULL;
    fetcher->idle_room = 0;
}
