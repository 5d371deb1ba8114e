/* SPDX-License-Identifier: Apache-2.0 */
/* The port http.h on libmicrohttpd 0.9.75: http_server.c listens, starts and stops; http_exchange.c runs one request;
 * http_target.c decodes request targets; http_watch.c ends clients that stall. This header is what they share; users include
 * <grisaille/http.h>. */
#ifndef GRISAILLE_ADAPTERS_HTTP_SERVER_H
#define GRISAILLE_ADAPTERS_HTTP_SERVER_H

#include <grisaille/http.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

struct gri_http_watch;
struct gri_http_connection;

struct gri_http_server {
    struct MHD_Daemon *daemon;
    struct gri_http_watch *watch;
    struct gri_http_handler handler;
    struct gri_log *log;
    int64_t max_body;
    char address[128];
    atomic_bool stopping;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    size_t running; /* requests between their first line and their end; under lock */
};

/* --- http_target.c --- */

/* Decodes a request target ("/v1/urls?url=…"; also the absolute form) inside `text`, which path and query then point into.
 * False: a bad escape, a NUL, too many parameters, or no path. */
bool gri_http_parse_target(char *text, const char **path, struct gri_http_pair query[GRI_HTTP_QUERY_MAX], size_t *query_count);

/* --- http_exchange.c: callbacks of the daemon; cls is the server --- */

void *gri_http_exchange_begin(void *cls, const char *uri, struct MHD_Connection *connection);
enum MHD_Result gri_http_exchange_step(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
                                       const char *version, const char *data, size_t *size, void **state);
void gri_http_exchange_end(void *cls, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode how);

/* --- http_watch.c --- */

/* `places`: connections, past which an idle one makes room; `idle_seconds`: the time over which a client is judged. */
struct gri_http_watch *gri_http_watch_start(size_t places, unsigned idle_seconds);
/* When every connection is closed; NULL is fine. */
void gri_http_watch_stop(struct gri_http_watch *watch);
/* Callback of the daemon; cls is the watch. */
void gri_http_watch_notify(void *cls, struct MHD_Connection *from, void **context, enum MHD_ConnectionNotificationCode what);
struct gri_http_connection *gri_http_watch_of(struct MHD_Connection *connection);
/* A request begins (its headers are in) or has ended. */
void gri_http_watch_request(struct gri_http_watch *watch, struct gri_http_connection *connection, bool running);
/* Into the handler, or out of it: what passes between is not the client's time. */
void gri_http_watch_handler(struct gri_http_watch *watch, struct gri_http_connection *connection, bool inside);

#endif
