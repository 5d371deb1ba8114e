/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a daemon. */
#include "daemon.h"

#include <grisaille/clock.h>
#include <grisaille/sandbox.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon_journal.h"
#include "presence.h"
#include "probes.h"
#include "redis_stream.h"
#include "reload.h"
#include "threads.h"
#include "uv_loop.h"

enum { BOOT_PAUSE_MS = 1000, BOOT_PAUSE_MAX_MS = 10000, TICK_MS = 1000, TICK_LATE_MS = 15000, STORE_QUEUE = 4096 };

bool gri_daemon_alive(struct gri_daemon *daemon) {
    return atomic_load(&daemon->is_alive) && gri_clock_ms() - atomic_load(&daemon->ticked_ms) < TICK_LATE_MS;
}

bool gri_daemon_ready(struct gri_daemon *daemon) {
    return atomic_load(&daemon->is_ready) && gri_daemon_alive(daemon);
}

static void tick(void *arg) {
    struct gri_daemon *daemon = arg;
    atomic_store(&daemon->ticked_ms, gri_clock_ms());
    atomic_store(&daemon->is_alive, !daemon->booted || daemon->role->alive(daemon));
    atomic_store(&daemon->is_ready, daemon->booted && daemon->role->ready(daemon));
    daemon->ticker = gri_timer_start(daemon->loop, TICK_MS, tick, daemon);
}

/* Booting: collections, indexes and definitions, on a store thread, again until MongoDB answers. */
struct boot {
    struct gri_task task;
    struct gri_daemon *daemon;
    struct gri_timer *timer;
    int64_t pause_ms;
    enum gri_status status;
    struct gri_error error;
    bool busy;
};

static void boot_work(struct gri_task *task) {
    struct boot *boot = gri_container_of(task, struct boot, task);
    struct gri_archive *archive = gri_mongo_archive(boot->daemon->mongo);
    boot->status = archive->ops->prepare(archive, &boot->error);
    if (boot->status == GRI_OK) boot->status = gri_definitions_store(boot->daemon->cli->definitions, archive, &boot->error);
}

static void boot_submit(void *arg) {
    struct boot *boot = arg;
    boot->timer = NULL;
    boot->busy = gri_submit(boot->daemon->store_threads, &boot->task);
    GRI_ASSERT(boot->busy);
}

static void finish(struct gri_daemon *daemon, enum gri_exit status) {
    daemon->status = status;
    gri_uv_loop_stop(daemon->loop);
}

static void tell_refused_plugins(struct gri_daemon *daemon) {
    const struct gri_json *refused = gri_transforms_refused(daemon->cli->transforms);
    for (size_t i = 0; i < gri_json_count(refused); i++)
        gri_log(daemon->log, GRI_WARN, "plugin_refused", GRI_TEXT("detail", gri_json_text(gri_json_at(refused, i), "")));
}

static void boot_done(struct gri_task *task) {
    struct boot *boot = gri_container_of(task, struct boot, task);
    struct gri_daemon *daemon = boot->daemon;
    boot->busy = false;
    if (daemon->signals > 0) {
        finish(daemon, GRI_EXIT_DONE);
    } else if (boot->status == GRI_RETRY) {
        gri_log_error(daemon->log, GRI_WARN, "waiting_for_mongo", &boot->error);
        boot->timer = gri_timer_start(daemon->loop, boot->pause_ms, boot_submit, boot);
        boot->pause_ms = boot->pause_ms * 2 < BOOT_PAUSE_MAX_MS ? boot->pause_ms * 2 : BOOT_PAUSE_MAX_MS;
    } else if (boot->status != GRI_OK || daemon->role->start(daemon, &boot->error) != GRI_OK) {
        gri_daemon_abort(daemon, "cannot_start", &boot->error);
    } else {
        daemon->booted = true;
        gri_daemon_journal_start(daemon->journal, gri_mongo_ledger(daemon->mongo));
        tell_refused_plugins(daemon);
        daemon->presence = gri_presence_start(daemon);
        daemon->reload = gri_reload_start(daemon);
        if (daemon->reload_asked) gri_reload_ask(daemon->reload);
        gri_log(daemon->log, GRI_INFO, "started", GRI_TEXT("version", GRI_VERSION));
    }
}

void gri_daemon_abort(struct gri_daemon *daemon, const char *event, const struct gri_error *error) {
    gri_log_error(daemon->log, GRI_ERROR, event, error);
    finish(daemon, error->reason == GRI_R_config ? GRI_EXIT_USAGE : GRI_EXIT_FAILED);
}

static void journal_ended(void *arg) {
    finish(arg, GRI_EXIT_DONE);
}

static void end_told(void *arg) {
    struct gri_daemon *daemon = arg;
    gri_daemon_journal_stop(daemon->journal, journal_ended, daemon);
}

static void reload_ended(void *arg) {
    struct gri_daemon *daemon = arg;
    gri_presence_end(daemon->presence, end_told, daemon);
}

void gri_daemon_drained(struct gri_daemon *daemon) {
    daemon->drained = true;
    gri_timer_stop(daemon->loop, daemon->deadline);
    daemon->deadline = NULL;
    gri_log(daemon->log, GRI_INFO, "drained", GRI_NUM("status", 0));
    gri_reload_stop(daemon->reload, reload_ended, daemon);
}

static void drain_late(void *arg) {
    struct gri_daemon *daemon = arg;
    daemon->deadline = NULL;
    gri_log(daemon->log, GRI_ERROR, "drain_incomplete",
            GRI_TEXT("detail", "worker.drain_ms is over; what is in hand will be reclaimed"));
    finish(daemon, GRI_EXIT_FAILED);
}

void gri_daemon_set_log_level(struct gri_daemon *daemon, const char *name) {
    enum gri_level level = GRI_INFO;
    (void)gri_level_from_name(name, &level);
    gri_log_set_level(daemon->log, level);
    gri_log(daemon->log, GRI_ERROR, "log_level", GRI_TEXT("log_level", name));
}

static void on_signal(void *arg, int signal) {
    struct gri_daemon *daemon = arg;
    if (signal == SIGHUP) {
        daemon->reload_asked = true;
        gri_reload_ask(daemon->reload);
        return;
    }
    if (signal == SIGUSR1 || signal == SIGUSR2) {
        gri_daemon_set_log_level(daemon, signal == SIGUSR1 ? "debug" : gri_config_text(daemon->config, "log.level"));
        return;
    }
    daemon->signals++;
    gri_log(daemon->log, GRI_INFO, "drain_started", GRI_NUM("signal", signal));
    if (daemon->signals > 1) {
        finish(daemon, GRI_EXIT_FAILED);
    } else if (daemon->booted) {
        daemon->deadline = gri_timer_start(daemon->loop, gri_config_int(daemon->config, "worker.drain_ms"), drain_late, daemon);
        daemon->role->drain(daemon);
    } else {
        finish(daemon, GRI_EXIT_DONE);
    }
}

static void name_instance(struct gri_daemon *daemon) {
    char host[60] = "host";
    uint8_t random[3];
    gethostname(host, sizeof host - 1);
    daemon->cli->crypto->random_bytes(random, sizeof random);
    (void)gri_format(daemon->instance, sizeof daemon->instance, "%s-%ld-%02x%02x%02x", host, (long)getpid(), random[0], random[1],
                     random[2]);
}

static void register_build_info(struct gri_metrics *metrics) {
    gri_gauge_set(gri_metrics_gauge(metrics, "grisaille_build_info", "Version of the running program.",
                                    "version=\"" GRI_VERSION "\",commit=\"" GRI_COMMIT "\""),
                  1);
}

static enum gri_status connect_services(struct gri_daemon *daemon, size_t store_threads, struct gri_error *error) {
    const struct gri_config *config = daemon->cli->config;
    enum gri_status status = gri_uv_loop_create(&daemon->loop, error);
    if (status != GRI_OK) return status;
    daemon->journal = gri_daemon_journal_create(daemon->loop, daemon->log, daemon->instance);
    daemon->store_threads = gri_threads_create(daemon->loop, "store", store_threads, STORE_QUEUE, NULL, NULL);
    struct gri_mongo_options mongo = {.uri = gri_config_text(config, "mongo.uri"),
                                      .database = gri_config_text(config, "mongo.database"),
                                      .timeout_ms = gri_config_int(config, "mongo.timeout_ms"),
                                      .keep_days = gri_config_int(config, "events.keep_days"),
                                      .notify = *gri_config_text(config, "webhook.url") != '\0',
                                      .crypto = daemon->cli->crypto,
                                      .store = daemon->store_threads,
                                      .loop = daemon->loop};
    status = gri_mongo_create(&mongo, daemon->log, daemon->metrics, &daemon->mongo, error);
    if (status != GRI_OK) return status;
    struct gri_redis_options redis = {.url = gri_config_text(config, "redis.url"),
                                      .prefix = gri_config_text(config, "redis.prefix"),
                                      .consumer = daemon->instance,
                                      .timeout_ms = gri_config_int(config, "redis.timeout_ms")};
    status =
        gri_redis_stream_create(gri_uv_loop_handle(daemon->loop), &redis, daemon->log, daemon->metrics, &daemon->stream, error);
    if (status == GRI_OK) status = gri_uv_loop_signals(daemon->loop, on_signal, daemon, error);
    if (status == GRI_OK) status = gri_probes_start(daemon, error);
    return status;
}

static enum gri_status enter_serving(struct gri_error *error) {
    return gri_sandbox_enter(GRI_SANDBOX_DAEMON_ALONE, error);
}

static enum gri_status enter_starting(struct gri_error *error) {
    return gri_sandbox_enter(GRI_SANDBOX_DAEMON, error);
}

enum gri_status gri_daemon_sandbox(struct gri_daemon *daemon, const char *what, enum gri_status (*enter)(struct gri_error *error),
                                   bool *done, struct gri_error *error) {
    const char *wanted = gri_config_text(daemon->cli->config, "process.sandbox");
    *done = strcmp(wanted, "off") != 0 && enter(error) == GRI_OK;
    if (*done) {
        gri_log(daemon->log, GRI_INFO, "sandboxed", GRI_TEXT("what", what), GRI_TEXT("by", gri_sandbox_version()));
    } else if (strcmp(wanted, "on") == 0) {
        return gri_error_wrap(error, "process.sandbox is on, for the %s", what);
    } else if (strcmp(wanted, "auto") == 0) {
        gri_log_error(daemon->log, GRI_WARN, "not_sandboxed", error);
    }
    return GRI_OK;
}

static enum gri_status set_up(struct gri_daemon *daemon, size_t store_threads, struct gri_error *error) {
    enum gri_level level = GRI_INFO;
    enum gri_status status = gri_cli_definitions(daemon->cli, error);
    if (status != GRI_OK) return status;
    daemon->config = daemon->cli->config;
    daemon->definitions = daemon->cli->definitions;
    gri_sandbox_harden(gri_config_bool(daemon->cli->config, "process.core_dumps"));
    name_instance(daemon);
    (void)gri_level_from_name(gri_config_text(daemon->cli->config, "log.level"), &level);
    daemon->log = gri_log_create(STDERR_FILENO, level, daemon->role->name, daemon->instance);
    bool ecs = strcmp(gri_config_text(daemon->cli->config, "log.format"), "ecs") == 0;
    gri_log_set_format(daemon->log, ecs ? GRI_LOG_ECS : GRI_LOG_JSON);
    daemon->metrics = gri_metrics_create();
    register_build_info(daemon->metrics);
    bool sandboxed;
    status =
        gri_daemon_sandbox(daemon, "daemon", daemon->role->starts_programs ? enter_starting : enter_serving, &sandboxed, error);
    if (status != GRI_OK) return status;
    return connect_services(daemon, store_threads, error);
}

static void tear_down(struct gri_daemon *daemon) {
    gri_probes_stop(daemon);
    if (daemon->loop) {
        gri_timer_stop(daemon->loop, daemon->ticker);
        gri_timer_stop(daemon->loop, daemon->deadline);
    }
    daemon->role->destroy(daemon);
    gri_redis_stream_destroy(daemon->stream);
    gri_threads_destroy(daemon->store_threads);
    gri_presence_destroy(daemon->presence);
    gri_reload_destroy(daemon->reload);
    gri_daemon_journal_destroy(daemon->journal);
    gri_mongo_destroy(daemon->mongo);
    if (daemon->mongo) gri_mongo_cleanup();
    gri_uv_loop_destroy(daemon->loop);
    gri_metrics_destroy(daemon->metrics);
    gri_log_destroy(daemon->log);
}

enum gri_exit gri_daemon_run(struct gri_cli *cli, const struct gri_role *role, size_t store_threads, void *state) {
    struct gri_daemon daemon = {.cli = cli, .role = role, .state = state, .status = GRI_EXIT_FAILED};
    struct gri_error error;
    if (set_up(&daemon, store_threads, &error) != GRI_OK) {
        daemon.status = gri_cli_fail(cli, &error);
        tear_down(&daemon);
        return daemon.status;
    }
    struct boot boot = {.task = {.work = boot_work, .done = boot_done}, .daemon = &daemon, .pause_ms = BOOT_PAUSE_MS};
    tick(&daemon);
    boot_submit(&boot);
    gri_uv_loop_run(daemon.loop);
    /* The loop no longer hears signals: a second one must not turn a clean end into a death by signal. */
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    gri_timer_stop(daemon.loop, boot.timer);
    if (daemon.booted && !daemon.drained) {
        /* Requests may still be under way on other threads: nothing of theirs may be freed. The process ends here. */
        fflush(NULL);
        _exit((int)daemon.status);
    }
    tear_down(&daemon);
    return daemon.status;
}
