/* SPDX-License-Identifier: Apache-2.0 */
/* grisaille worker: the worker's state machine on libuv, curl, libvips, Redis and MongoDB. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "curl_fetcher.h"
#include "daemon.h"
#include "jpeg_lossless.h"
#include "picture_codec.h"
#include "rules.h"
#include "threads.h"
#include "uv_loop.h"
#include "vips_runtime.h"
#include "worker.h"

struct state {
    struct gri_daemon *daemon;
    struct gri_ruleset *rules;
    struct gri_codec *codec;
    struct gri_executor *cpu;
    struct gri_fetcher *fetcher;
    struct gri_worker *worker;
};

static void host_limit(void *hooks, const char *host, int *concurrency, double *per_second, char name[GRI_NAME_MAX]) {
    const struct state *state = hooks;
    struct gri_host_limit limit;
    gri_ruleset_limit(state->rules, host, &limit);
    if (limit.concurrency > 0) *concurrency = limit.concurrency;
    *per_second = limit.per_second;
    (void)gri_copy(name, GRI_NAME_MAX, limit.name);
}

static void fatal(void *hooks, const struct gri_error *error) {
    struct state *state = hooks;
    gri_daemon_abort(state->daemon, "worker_cannot_work", error);
}

static void hung(void *hooks, const char *key) {
    struct state *state = hooks;
    struct gri_error error;
    (void)gri_fail(&error, GRI_R_internal, "the work on %s did not come back; the process ends, its jobs are taken by others",
                   key);
    gri_daemon_abort(state->daemon, "cpu_thread_hung", &error);
}

/* The texts of a list option, borrowed from the configuration; the array is owned. */
static const char **texts_of(const struct gri_json *list) {
    const char **texts = gri_calloc(gri_json_count(list) + 1, sizeof *texts);
    for (size_t i = 0; i < gri_json_count(list); i++)
        texts[i] = gri_json_text(gri_json_at(list, i), "");
    return texts;
}

static enum gri_status make_fetcher(struct state *state, struct gri_error *error) {
    struct gri_daemon *daemon = state->daemon;
    const struct gri_config *config = daemon->cli->config;
    const struct gri_json *ranges = gri_config_list(config, "fetch.allow_ranges"),
                          *ports = gri_config_list(config, "fetch.allow_ports"),
                          *connect_to = gri_config_list(config, "fetch.connect_to");
    const char **range_texts = texts_of(ranges), **connect_texts = texts_of(connect_to);
    int *port_numbers = gri_calloc(gri_json_count(ports) + 1, sizeof *port_numbers);
    for (size_t i = 0; i < gri_json_count(ports); i++)
        port_numbers[i] = (int)gri_json_number(gri_json_at(ports, i), 0);
    struct gri_curl_options options;
    gri_curl_options_init(&options);
    options.connect_ms = gri_config_int(config, "fetch.connect_timeout_ms");
    options.timeout_ms = gri_config_int(config, "fetch.timeout_ms");
    options.max_bytes = (size_t)gri_config_int(config, "fetch.max_bytes");
    options.max_redirects = (int)gri_config_int(config, "fetch.max_redirects");
    options.user_agent = gri_config_text(config, "fetch.user_agent");
    options.ca_file = *gri_config_text(config, "fetch.ca_file") ? gri_config_text(config, "fetch.ca_file") : NULL;
    options.allow_ranges = range_texts;
    options.allow_range_count = gri_json_count(ranges);
    options.allow_ports = port_numbers;
    options.allow_port_count = gri_json_count(ports);
    options.connect_to = connect_texts;
    options.connect_to_count = gri_json_count(connect_to);
    enum gri_status status =
        gri_curl_fetcher_create(gri_uv_loop_handle(daemon->loop), &options, daemon->log, daemon->metrics, &state->fetcher, error);
    free(range_texts);
    free(connect_texts);
    free(port_numbers);
    return status;
}

static enum gri_status make_codec(struct state *state, struct gri_error *error) {
    struct gri_daemon *daemon = state->daemon;
    const struct gri_config *config = daemon->cli->config;
    enum gri_status status = gri_vips_start("grisaille", error);
    if (status != GRI_OK) return status;
    struct gri_picture_codec_options options = {.transforms = daemon->cli->definitions->transforms,
                                                .jpeg = gri_jpeg_lossless_port(),
                                                .max_pixels = gri_config_int(config, "image.max_pixels"),
                                                .timeout_ms = gri_config_int(config, "image.timeout_ms")};
    state->codec = gri_picture_codec_create(&options);
    int64_t threads = gri_config_int(config, "worker.cpu_threads");
    if (threads == 0) threads = sysconf(_SC_NPROCESSORS_ONLN) > 0 ? sysconf(_SC_NPROCESSORS_ONLN) : 1;
    state->cpu = gri_threads_create(daemon->loop, "cpu", (size_t)threads, (size_t)gri_config_int(config, "worker.slots"),
                                    gri_vips_thread_end);
    return GRI_OK;
}

static enum gri_status start(struct gri_daemon *daemon, struct gri_error *error) {
    struct state *state = daemon->state;
    const struct gri_config *config = daemon->cli->config;
    state->daemon = daemon;
    enum gri_status status = gri_ruleset_compile(gri_bytes_slice(&daemon->cli->definitions->rules_body), &state->rules, error);
    if (status == GRI_OK) status = make_codec(state, error);
    if (status == GRI_OK) status = make_fetcher(state, error);
    if (status != GRI_OK) return status;
    struct gri_worker_options options = {.name = daemon->instance,
                                         .version = "grisaille " GRI_VERSION,
                                         .loop = daemon->loop,
                                         .stream = daemon->stream,
                                         .ledger = gri_mongo_ledger(daemon->mongo),
                                         .store = gri_mongo_store(daemon->mongo),
                                         .fetcher = state->fetcher,
                                         .codec = state->codec,
                                         .crypto = daemon->cli->crypto,
                                         .cpu = state->cpu,
                                         .log = daemon->log,
                                         .metrics = daemon->metrics,
                                         .slots = (size_t)gri_config_int(config, "worker.slots"),
                                         .batch = (size_t)gri_config_int(config, "worker.batch"),
                                         .batch_ms = gri_config_int(config, "worker.batch_ms"),
                                         .lease_ms = gri_config_int(config, "worker.lease_ms"),
                                         .heartbeat_ms = gri_config_int(config, "worker.heartbeat_ms"),
                                         .job_timeout_ms = gri_config_int(config, "worker.job_timeout_ms"),
                                         .host_concurrency = (int)gri_config_int(config, "fetch.host_concurrency"),
                                         .retry = {.max_attempts = (int)gri_config_int(config, "retry.max_attempts"),
                                                   .base_ms = gri_config_int(config, "retry.base_ms"),
                                                   .max_ms = gri_config_int(config, "retry.max_ms"),
                                                   .max_after_ms = gri_config_int(config, "retry.max_after") * 1000,
                                                   .max_age_ms = gri_config_int(config, "retry.max_age") * 1000},
                                         .hooks = state,
                                         .limit = host_limit,
                                         .fatal = fatal,
                                         .hung = hung};
    state->worker = gri_worker_create(&options);
    gri_worker_start(state->worker);
    return GRI_OK;
}

static void drained(void *arg) {
    gri_daemon_drained(arg);
}

static void drain(struct gri_daemon *daemon) {
    struct state *state = daemon->state;
    gri_worker_drain(state->worker, drained, daemon);
}

static void destroy(struct gri_daemon *daemon) {
    struct state *state = daemon->state;
    gri_worker_destroy(state->worker);
    gri_curl_fetcher_destroy(state->fetcher);
    gri_threads_destroy(state->cpu);
    if (state->codec) {
        gri_picture_codec_destroy(state->codec);
        gri_vips_stop();
    }
    gri_ruleset_free(state->rules);
}

static bool alive(struct gri_daemon *daemon) {
    struct state *state = daemon->state;
    return gri_now_ms(daemon->loop) - gri_worker_last_tick_ms(state->worker) < 10000;
}

static bool ready(struct gri_daemon *daemon) {
    struct state *state = daemon->state;
    return gri_worker_ready(state->worker);
}

static enum gri_exit run(struct gri_cli *cli) {
    static const struct gri_role role = {
        .name = "worker", .start = start, .drain = drain, .destroy = destroy, .alive = alive, .ready = ready};
    struct state state = {.daemon = NULL};
    struct gri_error error;
    if (gri_cli_config(cli, &error) != GRI_OK) return gri_cli_fail(cli, &error);
    return gri_daemon_run(cli, &role, (size_t)gri_config_int(cli->config, "worker.store_threads"), &state);
}

const struct gri_command gri_command_worker = {
    .name = "worker", .summary = "a daemon: fetches, transforms and stores; any number of them", .operands = "", .run = run};
