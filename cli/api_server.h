/* SPDX-License-Identifier: Apache-2.0 */
/* The API (api.h) behind the HTTP server (http.h): one thread a connection; requests are counted and timed. */
#ifndef GRI_API_SERVER_H
#define GRI_API_SERVER_H

#include <grisaille/http.h>
#include <grisaille/metrics.h>

#include "api.h"

struct gri_api_server;

struct gri_api_server_options {
    const char *listen;
    bool loopback_only; /* no tokens are configured */
    unsigned connections;
    int64_t max_body;
    struct gri_log *log;
    struct gri_metrics *metrics;
};

enum gri_status gri_api_server_start(struct gri_api *api, const struct gri_api_server_options *options,
                                     struct gri_api_server **server, struct gri_error *error) GRI_MUST_CHECK;
const char *gri_api_server_address(const struct gri_api_server *server);
void gri_api_server_stop(struct gri_api_server *server, int64_t deadline_ms);

#endif
