/* SPDX-License-Identifier: Apache-2.0 */
/* grisaille-origin: command line, listeners, and which route answers what.
 *
 * It prints one JSON line with the addresses it listens on, and ends with 0 on SIGTERM or SIGINT. */
#include "origin.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vips/vips.h>

enum { CONNECTIONS_MAX = 2000, RESULTS_BYTES = 96 << 20, BASES_BYTES = 256 << 20 };

static const char usage[] =
    "usage: grisaille-origin [--listen-http HOST:PORT] [--listen-https HOST:PORT --cert FILE --key FILE]\n"
    "                        [--image-base URL] [--seed N]\n"
    "An origin that behaves as picsum.photos does, for tests and demos. Port 0 picks a free one; the addresses are printed\n"
    "as one JSON line. --image-base: where the front redirects to (https://fastly.picsum.photos). --seed: the same random\n"
    "pictures and signatures at every start.\n";

struct settings {
    const char *http, *https, *cert, *key;
    struct MHD_Daemon *daemons[2];
};

static void *begin_request(void *cls, const char *uri, struct MHD_Connection *connection) {
    struct origin_request *request = g_new0(struct origin_request, 1);
    request->origin = cls;
    request->connection = connection;
    request->target = g_strndup(uri, ORIGIN_TARGET_MAX);
    return request;
}

static void end_request(void *cls, struct MHD_Connection *connection, void **con_cls, enum MHD_RequestTerminationCode how) {
    struct origin_request *request = *con_cls;
    (void)cls;
    (void)how;
    if (!request) return;
    if (request->patient) MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, (unsigned)ORIGIN_IDLE_SECONDS);
    g_free(request->target);
    g_free(request);
    *con_cls = NULL;
    vips_thread_shutdown();
}

static void read_host(struct origin_request *request) {
    const char *host = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, "Host");
    size_t length = 0;
    if (!host) return;
    for (; host[length] && host[length] != ':' && length + 1 < sizeof request->host; length++)
        request->host[length] = g_ascii_tolower(host[length]);
    request->host[length] = 0;
}

static enum MHD_Result answer(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_size, void **con_cls) {
    struct origin_request *request = *con_cls;
    struct origin *origin = cls;
    (void)connection;
    (void)version;
    (void)upload;
    (void)upload_size;
    request->path = url;
    if (!request->begun && !strcmp(method, "GET")) { /* MHD closes the connection after an answer to the first call */
        request->begun = true;
        read_host(request);
        return MHD_YES;
    }
    if (strcmp(method, "GET") != 0) {
        read_host(request);
        origin_stats_count(origin->stats, ORIGIN_OTHER, request->host, request->target);
        return origin_send_error(request, 405, "Method Not Allowed");
    }
    bool fault = g_str_has_prefix(url, "/fault/"), kind = g_str_has_prefix(url, "/kind/");
    bool stats = !strcmp(url, "/stats") || !strcmp(url, "/stats/reset");
    if (!fault && !kind && !stats) return origin_front_serve(request);
    origin_stats_count(origin->stats, fault ? ORIGIN_FAULT : kind ? ORIGIN_KIND : ORIGIN_STATS, request->host, request->target);
    return fault ? origin_fault_serve(request) : kind ? origin_kind_serve(request) : origin_stats_serve(request);
}

static bool parse_address(const char *text, struct sockaddr_in *address) {
    char host[64];
    const char *colon = strrchr(text, ':');
    char *end = NULL;
    if (!colon || (size_t)(colon - text) >= sizeof host || !colon[1]) return false;
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = 0;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (*end || port > 65535) return false;
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return inet_pton(AF_INET, !strcmp(host, "localhost") ? "127.0.0.1" : host, &address->sin_addr) == 1;
}

static struct MHD_Daemon *listen_on(struct origin *origin, const char *where, char *cert, char *key) {
    struct sockaddr_in address;
    if (!parse_address(where, &address)) {
        fprintf(stderr, "grisaille-origin: \"%s\" is no IPv4 address and port\n", where);
        return NULL;
    }
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, cert}, {MHD_OPTION_HTTPS_MEM_KEY, 0, key}, {MHD_OPTION_END, 0, NULL}};
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL | (cert ? MHD_USE_TLS : 0u);
    struct MHD_Daemon *daemon =
        MHD_start_daemon(flags, 0, NULL, NULL, answer, origin, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_CONNECTION_TIMEOUT,
                         (unsigned)ORIGIN_IDLE_SECONDS, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
                         MHD_OPTION_LISTEN_BACKLOG_SIZE, 511u, MHD_OPTION_URI_LOG_CALLBACK, begin_request, origin,
                         MHD_OPTION_NOTIFY_COMPLETED, end_request, NULL, MHD_OPTION_ARRAY, cert ? tls : &tls[2], MHD_OPTION_END);
    if (!daemon)
        fprintf(stderr, "grisaille-origin: can't listen on %s%s\n", where,
                cert ? " with TLS (certificate and key in order?)" : "");
    return daemon;
}

static unsigned port_of(struct MHD_Daemon *daemon) {
    const union MHD_DaemonInfo *info = daemon ? MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT) : NULL;
    return info ? info->port : 0;
}

/* A whole file as text, or NULL with a message. Owned (g_free). */
static char *read_file(const char *path) {
    char *text = NULL;
    GError *error = NULL;
    if (!g_file_get_contents(path, &text, NULL, &error)) {
        fprintf(stderr, "grisaille-origin: %s\n", error->message);
        g_error_free(error);
    }
    return text;
}

static bool seed_origin(struct origin *origin, const char *seed) {
    if (!seed)
        return RAND_bytes((unsigned char *)&origin->seed, sizeof origin->seed) == 1 &&
               RAND_bytes(origin->secret, sizeof origin->secret) == 1;
    origin->seed = origin_hash_text(seed);
    return EVP_Digest(seed, strlen(seed), origin->secret, NULL, EVP_sha256(), NULL) == 1;
}

static int serve(struct origin *origin, struct settings *settings) {
    sigset_t ends;
    int signal = 0;
    char *cert = NULL, *key = NULL;
    int result = 2;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, NULL); /* before any thread: all inherit it, and only sigwait sees them */
    if (settings->https) {
        if (!(cert = read_file(settings->cert)) || !(key = read_file(settings->key))) goto out;
        if (!(settings->daemons[1] = listen_on(origin, settings->https, cert, key))) goto out;
    }
    if (settings->http && !(settings->daemons[0] = listen_on(origin, settings->http, NULL, NULL))) goto out;
    printf("{\"event\":\"listening\",\"http_port\":%u,\"https_port\":%u}\n", port_of(settings->daemons[0]),
           port_of(settings->daemons[1]));
    fflush(stdout);
    sigwait(&ends, &signal);
    result = 0;
out:
    atomic_store(&origin->stopping, true);
    for (int i = 0; i < 2; i++)
        if (settings->daemons[i]) MHD_stop_daemon(settings->daemons[i]);
    g_free(cert);
    g_free(key);
    return result;
}

static bool read_arguments(int argc, char **argv, struct settings *settings, struct origin *origin, const char **seed) {
    static const struct option options[] = {{"listen-http", required_argument, NULL, 'h'},
                                            {"listen-https", required_argument, NULL, 's'},
                                            {"cert", required_argument, NULL, 'c'},
                                            {"key", required_argument, NULL, 'k'},
                                            {"image-base", required_argument, NULL, 'i'},
                                            {"seed", required_argument, NULL, 'r'},
                                            {NULL, 0, NULL, 0}};
    int option = 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'h':
            settings->http = optarg;
            break;
        case 's':
            settings->https = optarg;
            break;
        case 'c':
            settings->cert = optarg;
            break;
        case 'k':
            settings->key = optarg;
            break;
        case 'i':
            origin->image_base = optarg;
            break;
        case 'r':
            *seed = optarg;
            break;
        default:
            return false;
        }
    }
    return optind == argc && (settings->http || settings->https) && (!settings->https || (settings->cert && settings->key));
}

int main(int argc, char **argv) {
    struct settings settings = {0};
    struct origin origin = {.image_base = "https://fastly.picsum.photos"};
    const char *seed = NULL;
    if (!read_arguments(argc, argv, &settings, &origin, &seed)) {
        fputs(usage, stderr);
        return 2;
    }
    if (VIPS_INIT(argv[0]) || !seed_origin(&origin, seed)) return 2;
    vips_concurrency_set(1);
    vips_cache_set_max(0);
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < ORIGIN_RENDERING; i++)
        pthread_mutex_init(&origin.rendering[i], NULL);
    origin.results = origin_cache_create(RESULTS_BYTES);
    origin.bases = origin_cache_create(BASES_BYTES);
    origin.stats = origin_stats_create();
    int result = serve(&origin, &settings);
    origin_stats_destroy(origin.stats);
    origin_cache_destroy(origin.bases);
    origin_cache_destroy(origin.results);
    vips_shutdown();
    return result;
}
