/* SPDX-License-Identifier: Apache-2.0 */
/* /metrics, /healthz and /readyz of a daemon. */
#include "probes.h"

#include <string.h>

#include <grisaille/http.h>

enum { PROBE_CONNECTIONS = 16, PROBE_IDLE_SECONDS = 10, PROBE_STOP_MS = 1000 };

static bool begin(void *arg, struct gri_http_request *request, struct gri_http_response *response) {
    (void)arg;
    request->max_body = 0;
    if (strcmp(request->method, "GET") == 0) return true;
    response->status = 405;
    gri_http_add_header(response, "Allow", "GET");
    return false;
}

static void finish(void *arg, struct gri_http_request *request, struct gri_http_response *response) {
    struct gri_daemon *daemon = arg;
    gri_http_add_header(response, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    if (strcmp(request->path, "/metrics") == 0) {
        gri_metrics_render(daemon->metrics, &response->body);
    } else if (strcmp(request->path, "/healthz") == 0 || strcmp(request->path, "/readyz") == 0) {
        bool fine = strcmp(request->path, "/healthz") == 0 ? gri_daemon_alive(daemon) : gri_daemon_ready(daemon);
        response->status = fine ? 200 : 503;
        gri_bytes_put(&response->body, fine ? "ok\n" : "failing\n");
    } else {
        response->status = 404;
        gri_bytes_put(&response->body, "/metrics, /healthz and /readyz are here\n");
    }
}

enum gri_status gri_probes_start(struct gri_daemon *daemon, struct gri_error *error) {
    const char *listen = gri_config_text(daemon->cli->config, "metrics.listen");
    if (!*listen) return GRI_OK;
    struct gri_http_options options = {.listen = listen,
                                       .connections = PROBE_CONNECTIONS,
                                       .idle_seconds = PROBE_IDLE_SECONDS,
                                       .log = daemon->log,
                                       .handler = {.arg = daemon, .begin = begin, .finish = finish}};
    enum gri_status status = gri_http_server_start(&options, &daemon->probes, error);
    /* Several daemons on one machine: nobody chose this port, so another will do; the log tells which. */
    if (status != GRI_OK && error->reason == GRI_R_io &&
        strcmp(gri_config_source(daemon->cli->config, "metrics.listen"), "default") == 0) {
        options.listen = "127.0.0.1:0";
        status = gri_http_server_start(&options, &daemon->probes, error);
    }
    if (status != GRI_OK) return gri_error_wrap(error, "metrics.listen");
    gri_log(daemon->log, GRI_INFO, "listening", GRI_TEXT("what", "metrics"),
            GRI_TEXT("address", gri_http_server_address(daemon->probes)));
    return GRI_OK;
}

void gri_probes_stop(struct gri_daemon *daemon) {
    gri_http_server_stop(daemon->probes, PROBE_STOP_MS);
    daemon->probes = NULL;
}
