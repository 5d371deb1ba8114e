/* SPDX-License-Identifier: Apache-2.0 */
/* grisaille api: the HTTP API as a daemon. Its loop only reads Redis' depth now and then; requests run on the HTTP server's
 * threads. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api_server.h"
#include "api_tokens.h"
#include "daemon.h"
#include "gzip.h"
#include "live_stats.h"
#include "scrub_metrics.h"

enum { READ_MS = 2000, STOP_MS = 30000 };

struct state {
    struct gri_daemon *daemon;
    struct gri_api *api;
    struct gri_api_server *server;
    bool has_tokens;
    struct gri_scrub_metrics *scrub;
    /* the latest reading of Redis */
    struct gri_stream_stats stats;
    struct gri_timer *timer;
    bool reading, up, draining;
    pthread_mutex_t lock; /* of what stands below: the HTTP threads read it */
    bool known;
    struct gri_stream_stats latest;
};

static struct gri_json *live(void *arg) {
    struct state *state = arg;
    struct gri_json *json = NULL;
    pthread_mutex_lock(&state->lock);
    if (state->known) json = gri_live_stats_json(&state->latest);
    pthread_mutex_unlock(&state->lock);
    return json;
}

static bool is_alive(void *arg) {
    struct state *state = arg;
    return gri_daemon_alive(state->daemon);
}

static bool is_ready(void *arg) {
    struct state *state = arg;
    return gri_daemon_ready(state->daemon);
}

static void read_stats(void *arg);

static void drained(void *arg) {
    gri_daemon_drained(arg);
}

/* The last step of a drain. */
static void stop_scrub_metrics(struct state *state) {
    gri_scrub_metrics_stop(state->scrub, drained, state->daemon);
}

static void stats_done(struct gri_op *op) {
    struct gri_stream_stats *stats = gri_container_of(op, struct gri_stream_stats, op);
    struct state *state = gri_container_of(stats, struct state, stats);
    state->reading = false;
    pthread_mutex_lock(&state->lock);
    state->known = op->status == GRI_OK;
    if (state->known) state->latest = *stats;
    pthread_mutex_unlock(&state->lock);
    if (state->draining)
        stop_scrub_metrics(state);
    else
        state->timer = gri_timer_start(state->daemon->loop, READ_MS, read_stats, state);
}

static void read_stats(void *arg) {
    struct state *state = arg;
    state->timer = NULL;
    state->reading = true;
    state->stats = (struct gri_stream_stats){.op = {.done = stats_done}};
    state->daemon->stream->ops->stats(state->daemon->stream, &state->stats);
}

static void changed(void *arg, enum gri_stream_state stream) {
    struct state *state = arg;
    state->up = stream != GRI_STREAM_DOWN;
}

static struct gri_api_options options_of(struct state *state, const struct gri_config *config,
                                         const struct gri_definitions *definitions, const struct gri_api_token *tokens,
                                         size_t token_count) {
    struct gri_daemon *daemon = state->daemon;
    struct gri_api_options options = {.archive = gri_mongo_archive(daemon->mongo),
                                      .crypto = daemon->cli->crypto,
                                      .inflate = gri_gzip_inflate(),
                                      .log = daemon->log,
                                      .metrics = daemon->metrics,
                                      .version = GRI_VERSION,
                                      .rules_body = gri_bytes_slice(&definitions->rules_body),
                                      .rules_id = definitions->rules_id,
                                      .pipelines = definitions->pipeline_rows,
                                      .transforms = daemon->cli->definitions->transform_rows,
                                      .default_pipeline = GRI_PIPELINE_STANDARD,
                                      .tokens = tokens,
                                      .token_count = token_count,
                                      .max_catalog_bytes = gri_config_int(config, "api.max_catalog_bytes"),
                                      .live = live,
                                      .alive = is_alive,
                                      .ready = is_ready,
                                      .arg = state};
    return options;
}

/* What a listener is open to was decided at the start: without tokens only loopback is served, and all is allowed there. */
static enum gri_status reload(struct gri_daemon *daemon, const struct gri_config *config,
                              const struct gri_definitions *definitions, struct gri_error *error) {
    struct state *state = daemon->state;
    struct gri_api_token *tokens = NULL;
    size_t count = 0;
    enum gri_status status = gri_api_tokens_read(config, &tokens, &count, error);
    if (status == GRI_OK && count == 0 && state->has_tokens)
        status = gri_fail(error, GRI_R_config, "api.tokens: a running API that asks for tokens can't give them up; restart it");
    if (status == GRI_OK) {
        struct gri_api_options options = options_of(state, config, definitions, tokens, count);
        status = gri_api_reload(state->api, &options, error);
    }
    if (status == GRI_OK) state->has_tokens = count > 0;
    free(tokens);
    return status;
}

static enum gri_status make_api(struct state *state, struct gri_error *error) {
    struct gri_daemon *daemon = state->daemon;
    struct gri_api_token *tokens = NULL;
    size_t count = 0;
    enum gri_status status = gri_api_tokens_read(daemon->config, &tokens, &count, error);
    if (status == GRI_OK) {
        struct gri_api_options options = options_of(state, daemon->config, daemon->definitions, tokens, count);
        status = gri_api_create(&options, &state->api, error);
    }
    state->has_tokens = count > 0;
    free(tokens);
    return status;
}

static enum gri_status start(struct gri_daemon *daemon, struct gri_error *error) {
    struct state *state = daemon->state;
    const struct gri_config *config = daemon->cli->config;
    state->daemon = daemon;
    enum gri_status status = make_api(state, error);
    struct gri_api_server_options options = {.listen = gri_config_text(config, "api.listen"),
                                             .loopback_only = !state->has_tokens,
                                             .connections = (unsigned)gri_config_int(config, "api.max_connections"),
                                             .max_body = gri_config_int(config, "api.max_catalog_bytes"),
                                             .log = daemon->log,
                                             .metrics = daemon->metrics};
    if (status == GRI_OK) status = gri_api_server_start(state->api, &options, &state->server, error);
    if (status != GRI_OK) return gri_error_wrap(error, "api");
    gri_log(daemon->log, GRI_INFO, "listening", GRI_TEXT("what", "api"),
            GRI_TEXT("address", gri_api_server_address(state->server)));
    daemon->stream->changed = changed;
    daemon->stream->changed_arg = state;
    daemon->stream->ops->open(daemon->stream);
    read_stats(state);
    state->scrub =
        gri_scrub_metrics_start(daemon->loop, daemon->store_threads, gri_mongo_archive(daemon->mongo), daemon->metrics);
    return GRI_OK;
}

static void drain(struct gri_daemon *daemon) {
    struct state *state = daemon->state;
    gri_api_stop(state->api);
    gri_api_server_stop(state->server, STOP_MS);
    state->server = NULL;
    state->draining = true;
    if (state->reading) return; /* stats_done ends it */
    gri_timer_stop(daemon->loop, state->timer);
    state->timer = NULL;
    stop_scrub_metrics(state);
}

static void destroy(struct gri_daemon *daemon) {
    struct state *state = daemon->state;
    gri_api_server_stop(state->server, 0);
    gri_api_destroy(state->api);
    gri_scrub_metrics_destroy(state->scrub);
    pthread_mutex_destroy(&state->lock);
}

static bool alive(struct gri_daemon *daemon) {
    (void)daemon;
    return true; /* the loop ticks: that is all it does */
}

static bool ready(struct gri_daemon *daemon) {
    struct state *state = daemon->state;
    return state->up;
}

static enum gri_exit run(struct gri_cli *cli) {
    static const struct gri_role role = {
        .name = "api", .start = start, .reload = reload, .drain = drain, .destroy = destroy, .alive = alive, .ready = ready};
    struct state state = {.lock = PTHREAD_MUTEX_INITIALIZER};
    return gri_daemon_run(cli, &role, 1, &state);
}

const struct gri_command gri_command_api = {
    .name = "api", .summary = "a daemon: the HTTP API (api.listen)", .operands = "", .daemon = true, .run = run};
