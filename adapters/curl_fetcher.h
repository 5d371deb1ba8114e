/* SPDX-License-Identifier: Apache-2.0 */
/* The fetcher port (grisaille/fetcher.h) on libcurl's multi socket interface over libuv.
 *
 * Keep-alive and, over TLS, HTTP/2; redirects are followed only to http and https, ports 80, 443 or allowed, no credentials;
 * addresses are judged by curl_guard when a socket is opened and again before each request, on reused connections and after
 * redirects too. Once one of a name's addresses was refused, the request is, whatever the others are (so an allowed localhost
 * needs both 127.0.0.0/8 and ::1/128). No proxy, netrc, cookies, Accept-Encoding.
 *
 * A connection that a server closed while it idled costs no failure: libcurl tries other ones, and at last the request is sent
 * once more on a fresh one. 2xx with a body is GRI_OK; everything else has the reason that curl_outcome.c gives it.
 * Threads: create, use and destroy on the loop's thread. */
#ifndef GRISAILLE_CURL_FETCHER_H
#define GRISAILLE_CURL_FETCHER_H

#include <grisaille/fetcher.h>
#include <grisaille/log.h>
#include <grisaille/metrics.h>

struct uv_loop_s;

struct gri_curl_options {
    int64_t connect_ms;               /* for name and connection */
    int64_t timeout_ms;               /* for the whole transfer, redirects and waiting for a connection included */
    int64_t slow_bytes, slow_seconds; /* at least slow_bytes a second, over slow_seconds */
    size_t max_bytes;
    int max_redirects;
    int max_host_connections; /* 0: no bound; to libcurl all hosts that connect_to leads to one address are one */
    int kept_connections;     /* idle ones, of all hosts, beside as many as are in use */
    int idle_seconds;         /* a connection idle for longer is not used again; picsum.photos closes after 5 */
    const char *user_agent;
    const char *ca_file;             /* PEM; NULL: the system's */
    const char *const *allow_ranges; /* see curl_guard.h */
    size_t allow_range_count;
    const int *allow_ports;
    size_t allow_port_count;
    const char *const *connect_to; /* curl's --connect-to: "HOST:PORT:HOST:PORT" */
    size_t connect_to_count;
};
/* docs/security.md's values: 5 s, 30 s, 1 KiB/s over 10 s, 32 MiB, 5 redirects, 256 connections kept, 4 s. */
void gri_curl_options_init(struct gri_curl_options *options);

/* Copies what it needs of the options; borrows loop, log and metrics (both may be NULL) until destroyed. Failures: config. */
enum gri_status gri_curl_fetcher_create(struct uv_loop_s *loop, const struct gri_curl_options *options, struct gri_log *log,
                                        struct gri_metrics *metrics, struct gri_fetcher **out,
                                        struct gri_error *error) GRI_MUST_CHECK;
/* Requests from now on go by these options; those under way keep theirs. The numbers of connections stay as they were at the
 * start. On failure (config) nothing changes. */
enum gri_status gri_curl_fetcher_reload(struct gri_fetcher *port, const struct gri_curl_options *options,
                                        struct gri_error *error) GRI_MUST_CHECK;
/* Ends running requests (their `done` is called from here, class retry) and frees the fetcher once the loop, which has to run
 * on until nothing is left, has closed its handles. Not from inside a `done`. NULL is fine. */
void gri_curl_fetcher_destroy(struct gri_fetcher *fetcher);

#endif
