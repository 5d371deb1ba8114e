/* SPDX-License-Identifier: Apache-2.0 */
/* grisaille worker: the worker's state machine on libuv, curl, libvips, Redis and MongoDB. */
#include <grisaille/sandbox.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "curl_fetcher.h"
#include "daemon.h"
#include "robots_rules.h"
#include "rules.h"
#include "threads.h"
#include "uv_isolator.h"
#include "vips_runtime.h"
#include "work_settings.h"
#include "worker.h"

enum { PLANS_QUEUE = 64 };

enum { OTHER_DESCRIPTORS = 512 }; /* kept connections, servers, files */

struct state {
    struct gri_daemon *daemon;
    struct gri_ruleset *rules;
    struct gri_codec *codec;
    struct gri_executor *cpu, *plans;
    struct gri_fetcher *fetcher;
    struct gri_isolator *isolator;
    struct gri_json *settings; /* work_settings.h */
    struct gri_worker *worker;
    struct gri_counter *refused; /* calls that the sandbox refused */
    int64_t refused_before;
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

/* On each CPU thread, and so on every thread that libvips starts from there. gri_sandbox_try has worked. */
static void enter_sandbox(void) {
    struct gri_error error;
    enum gri_status status = gri_sandbox_enter(GRI_SANDBOX_DECODE, &error);
    GRI_ASSERT(status == GRI_OK);
    gri_vips_thread_begin();
}

/* Once a second: a picture, or a plugin, that tried more than computing is told of. */
static void tell_refused(struct state *state) {
    char call[40];
    int64_t refused = gri_sandbox_refused(call, sizeof call), more = refused - state->refused_before;
    if (more == 0) return;
    state->refused_before = refused;
    gri_counter_add(state->refused, more);
    gri_log(state->daemon->log, GRI_WARN, "sandbox_refused", GRI_NUM("calls", more), GRI_TEXT("last", call));
}

static enum gri_status make_codec(struct state *state, struct gri_error *error) {
    struct gri_daemon *daemon = state->daemon;
    const struct gri_config *config = daemon->cli->config;
    enum gri_status status = gri_vips_start("grisaille", error);
    if (status != GRI_OK) return status;
    state->codec = gri_work_codec(state->settings, daemon->cli->definitions->transforms);
    int64_t threads = gri_config_int(config, "worker.cpu_threads");
    if (threads == 0) threads = sysconf(_SC_NPROCESSORS_ONLN) > 0 ? sysconf(_SC_NPROCESSORS_ONLN) : 1;
    bool sandboxed;
    status = gri_daemon_sandbox(daemon, "decoders", gri_sandbox_try, &sandboxed, error);
    if (status != GRI_OK) return status;
    state->refused = gri_metrics_counter(daemon->metrics, "grisaille_sandbox_refused_total",
                                         "System calls that the decoders' sandbox refused", NULL);
    state->cpu = gri_threads_create(daemon->loop, "cpu", (size_t)threads, (size_t)gri_config_int(config, "worker.slots"),
                                    sandboxed ? enter_sandbox : NULL, gri_vips_thread_end);
    state->plans = gri_threads_create(daemon->loop, "plans", 1, PLANS_QUEUE, NULL, gri_vips_thread_end);
    return GRI_OK;
}

/* A connection for each job that lingers: more descriptors than the usual soft limit of 1024 has. */
static void raise_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* No more than there are descriptors for. */
static size_t lingering(const struct gri_config *config) {
    struct rlimit limit;
    rlim_t wanted = (rlim_t)gri_config_int(config, "worker.lingering");
    rlim_t others = (rlim_t)gri_config_int(config, "worker.slots") + OTHER_DESCRIPTORS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= others + wanted)
        return wanted;
    return limit.rlim_cur > others ? limit.rlim_cur - others : 0;
}

static struct gri_retry_policy retry_policy(const struct gri_config *config) {
    return (struct gri_retry_policy){.max_attempts = (int)gri_config_int(config, "retry.max_attempts"),
                                     .base_ms = gri_config_int(config, "retry.base_ms"),
                                     .max_ms = gri_config_int(config, "retry.max_ms"),
                                     .max_after_ms = gri_config_int(config, "retry.max_after") * 1000,
                                     .max_age_ms = gri_config_int(config, "retry.max_age") * 1000};
}

static struct gri_robots_policy robots_policy(const struct gri_config *config) {
    char user_agent[GRI_USER_AGENT_MAX];
    const char *agent = gri_config_text(config, "robots.agent");
    struct gri_robots_policy policy = {.obey = gri_config_bool(config, "robots.obey"),
                                       .delay = gri_config_bool(config, "robots.crawl_delay"),
                                       .keep_ms = gri_config_int(config, "robots.keep") * 1000};
    gri_work_user_agent(config, user_agent);
    gri_robots_agent(*agent ? agent : user_agent, policy.agent);
    return policy;
}

/* Pipelines are no matter of ours: each job names its version, and MongoDB has every definition. */
static enum gri_status reload(struct gri_daemon *daemon, const struct gri_config *config,
                              const struct gri_definitions *definitions, struct gri_error *error) {
    struct state *state = daemon->state;
    struct gri_ruleset *rules = NULL;
    struct gri_json *settings = gri_work_settings(config);
    enum gri_status status = gri_ruleset_compile(gri_bytes_slice(&definitions->rules_body), &rules, error);
    if (status == GRI_OK) status = gri_work_fetcher(settings, NULL, NULL, NULL, &state->fetcher, error);
    if (status == GRI_OK) status = gri_work_isolator(config, NULL, NULL, &state->isolator, error);
    if (status != GRI_OK) {
        gri_ruleset_free(rules);
        gri_json_free(settings);
        return status;
    }
    gri_work_codec_reload(settings, state->codec);
    gri_json_free(settings);
    gri_ruleset_free(state->rules);
    state->rules = rules;
    struct gri_worker_options options = {.retry = retry_policy(config),
                                         .job_timeout_ms = gri_config_int(config, "worker.job_timeout_ms"),
                                         .host_concurrency = (int)gri_config_int(config, "fetch.host_concurrency"),
                                         .robots = robots_policy(config)};
    gri_worker_reload(state->worker, &options);
    return GRI_OK;
}

static enum gri_status start(struct gri_daemon *daemon, struct gri_error *error) {
    struct state *state = daemon->state;
    const struct gri_config *config = daemon->config;
    state->daemon = daemon;
    raise_descriptors();
    enum gri_status status = gri_ruleset_compile(gri_bytes_slice(&daemon->definitions->rules_body), &state->rules, error);
    state->settings = gri_work_settings(config);
    if (status == GRI_OK) status = make_codec(state, error);
    if (status == GRI_OK)
        status = gri_work_fetcher(state->settings, daemon->loop, daemon->log, daemon->metrics, &state->fetcher, error);
    if (status == GRI_OK) status = gri_work_isolator(config, daemon->loop, daemon->log, &state->isolator, error);
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
                                         .plans = state->plans,
                                         .isolator = state->isolator,
                                         .log = daemon->log,
                                         .metrics = daemon->metrics,
                                         .slots = (size_t)gri_config_int(config, "worker.slots"),
                                         .lingering = lingering(config),
                                         .batch = (size_t)gri_config_int(config, "worker.batch"),
                                         .batch_ms = gri_config_int(config, "worker.batch_ms"),
                                         .lease_ms = gri_config_int(config, "worker.lease_ms"),
                                         .heartbeat_ms = gri_config_int(config, "worker.heartbeat_ms"),
                                         .job_timeout_ms = gri_config_int(config, "worker.job_timeout_ms"),
                                         .host_concurrency = (int)gri_config_int(config, "fetch.host_concurrency"),
                                         .robots = robots_policy(config),
                                         .retry = retry_policy(config),
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
    gri_uv_isolator_destroy(state->isolator);
    gri_curl_fetcher_destroy(state->fetcher);
    gri_threads_destroy(state->plans);
    gri_threads_destroy(state->cpu);
    if (state->codec) {
        gri_picture_codec_destroy(state->codec);
        gri_vips_stop();
    }
    gri_ruleset_free(state->rules);
    gri_json_free(state->settings);
}

static bool alive(struct gri_daemon *daemon) {
    struct state *state = daemon->state;
    tell_refused(state);
    return gri_now_ms(daemon->loop) - gri_worker_last_tick_ms(state->worker) < 10000;
}

static bool ready(struct gri_daemon *daemon) {
    struct state *state = daemon->state;
    return gri_worker_ready(state->worker);
}

/* A job's memory passes through three kinds of threads. With an arena for each of them, freed buffers lie where no other thread
 * finds them: a third more memory and page faults. */
static void bound_arenas(void) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    (void)mallopt(M_ARENA_MAX, processors > 2 ? (int)processors : 2);
}

static enum gri_exit run(struct gri_cli *cli) {
    static const struct gri_role role = {.name = "worker",
                                         .start = start,
                                         .reload = reload,
                                         .drain = drain,
                                         .destroy = destroy,
                                         .alive = alive,
                                         .ready = ready,
                                         .starts_programs = true};
    struct state state = {.daemon = NULL};
    struct gri_error error;
    if (gri_cli_config(cli, &error) != GRI_OK) return gri_cli_fail(cli, &error);
    bound_arenas();
    return gri_daemon_run(cli, &role, (size_t)gri_config_int(cli->config, "worker.store_threads"), &state);
}

const struct gri_command gri_command_worker = {.name = "worker",
                                               .summary = "a daemon: fetches, transforms and stores; any number of them",
                                               .operands = "",
                                               .daemon = true,
                                               .run = run};
