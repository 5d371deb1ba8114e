/* SPDX-License-Identifier: Apache-2.0 */
/* grisaille scheduler: the scheduler's state machine on libuv, Redis and MongoDB. */
#include <stdlib.h>
#include <string.h>

#include "daemon.h"
#include "scheduler.h"
#include "webhook.h"

struct state {
    struct gri_scheduler *scheduler;
    struct gri_webhook *webhook; /* NULL: nobody is told */
};

static const char *pin_pipeline(void *arg, const char *name) {
    const struct gri_daemon *daemon = arg;
    const struct gri_pipeline *pipeline = gri_pipelines_find(&daemon->definitions->pipelines, name);
    return pipeline ? pipeline->version : NULL;
}

/* `name` and the ports come from the daemon, the rest from the configuration. */
static struct gri_scheduler_options options_of(struct gri_daemon *daemon, const struct gri_config *config,
                                               const struct gri_definitions *definitions) {
    struct gri_scheduler_options options;
    gri_scheduler_options_init(&options);
    options.name = daemon->instance;
    options.loop = daemon->loop;
    options.stream = daemon->stream;
    options.ledger = gri_mongo_ledger(daemon->mongo);
    options.crypto = daemon->cli->crypto;
    options.log = daemon->log;
    options.metrics = daemon->metrics;
    options.pin_pipeline = pin_pipeline;
    options.pin_arg = daemon;
    options.rules = gri_bytes_slice(&definitions->rules_body);
    options.window = gri_config_int(config, "dispatch.window");
    options.batch = (size_t)gri_config_int(config, "scheduler.batch");
    options.lease_ms = gri_config_int(config, "worker.lease_ms");
    options.heartbeat_ms = gri_config_int(config, "worker.heartbeat_ms");
    options.sweep_ms = gri_config_int(config, "scheduler.sweep_ms");
    options.stale_ms = gri_config_int(config, "scheduler.stale_ms");
    options.lost_ms = gri_config_int(config, "scheduler.lost_ms");
    options.reap_ms = gri_config_int(config, "scheduler.reap_ms");
    options.abandon_ms = gri_config_int(config, "scheduler.abandon_ms");
    options.upkeep_ms = gri_config_int(config, "scheduler.upkeep_ms");
    options.images_keep_days = gri_config_int(config, "images.keep_days");
    options.rollups_keep_days = gri_config_int(config, "rollups.keep_days");
    options.catalogs_keep_days = gri_config_int(config, "catalogs.keep_days");
    return options;
}

static enum gri_status reload(struct gri_daemon *daemon, const struct gri_config *config,
                              const struct gri_definitions *definitions, struct gri_error *error) {
    struct state *state = daemon->state;
    struct gri_scheduler_options options = options_of(daemon, config, definitions);
    return gri_scheduler_reload(state->scheduler, &options, error);
}

static enum gri_status start(struct gri_daemon *daemon, struct gri_error *error) {
    struct state *state = daemon->state;
    struct gri_scheduler_options options = options_of(daemon, daemon->config, daemon->definitions);
    enum gri_status status = gri_webhook_start(daemon, &state->webhook, error);
    if (status == GRI_OK) status = gri_scheduler_create(&options, &state->scheduler, error);
    if (status == GRI_OK) gri_scheduler_start(state->scheduler);
    return status;
}

static void drained(void *arg) {
    gri_daemon_drained(arg);
}

static void drain(struct gri_daemon *daemon) {
    struct state *state = daemon->state;
    gri_webhook_stop(state->webhook);
    gri_scheduler_drain(state->scheduler, drained, daemon);
}

static void destroy(struct gri_daemon *daemon) {
    struct state *state = daemon->state;
    if (state->scheduler) gri_scheduler_destroy(state->scheduler);
    gri_webhook_destroy(state->webhook);
}

static bool alive(struct gri_daemon *daemon) {
    struct state *state = daemon->state;
    return gri_now_ms(daemon->loop) - gri_scheduler_tick_ms(state->scheduler) < 10000;
}

static bool ready(struct gri_daemon *daemon) {
    struct state *state = daemon->state;
    return gri_scheduler_is_ready(state->scheduler);
}

static enum gri_exit run(struct gri_cli *cli) {
    static const struct gri_role role = {.name = "scheduler",
                                         .start = start,
                                         .reload = reload,
                                         .drain = drain,
                                         .destroy = destroy,
                                         .alive = alive,
                                         .ready = ready};
    struct state state = {.scheduler = NULL};
    return gri_daemon_run(cli, &role, 4, &state);
}

const struct gri_command gri_command_scheduler = {
    .name = "scheduler",
    .summary = "a daemon: admits URLs, dispatches jobs, repairs what was lost; any number of them",
    .operands = "",
    .daemon = true,
    .run = run};
