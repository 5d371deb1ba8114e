/* SPDX-License-Identifier: Apache-2.0 */
/* Takes a changed configuration over while the daemon works (reload.h). */
#include "reload.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon_journal.h"

enum { RETRY_MS = 1000, RETRY_MAX_MS = 10000, BUSY_MS = 100, READS_MAX = 3, KEYS_SIZE = 400 };

/* What a store thread read. */
struct found {
    struct gri_config *config;
    struct gri_definitions *definitions;
    uint64_t stamp;        /* of its files */
    struct gri_json *live; /* keys that changed and can be taken over */
    struct gri_json *fixed;
    enum gri_status status;
    struct gri_error error;
};

struct gri_reload {
    struct gri_daemon *daemon;
    struct gri_task look, read;
    struct gri_timer *look_timer, *read_timer;
    uint64_t seen;   /* stamp of what is in force, or was refused */
    uint64_t last;   /* stamp of the latest look */
    uint64_t looked; /* by the task */
    struct found found;
    bool looking, reading, asked, by_signal, stopping;
    int64_t pause_ms;
    void (*done)(void *arg);
    void *arg;
    struct gri_gauge *generation, *fine, *when;
    int64_t count; /* of generations */
};

static void found_clear(struct found *found) {
    gri_definitions_free(found->definitions);
    gri_config_destroy(found->config);
    gri_json_free(found->live);
    gri_json_free(found->fixed);
    *found = (struct found){0};
}

static void count(const struct gri_reload *reload, const char *outcome) {
    char label[64];
    struct gri_metrics *metrics = reload->daemon->metrics;
    gri_counter_add(gri_metrics_counter(metrics, "grisaille_config_reloads_total", "Times the configuration was read again",
                                        gri_metrics_label(label, sizeof label, "outcome", outcome)),
                    1);
}

/* --- on a store thread ----------------------------------------------------------------------------------------------------- */

static void note_change(const struct gri_option *option, void *arg) {
    struct found *found = arg;
    gri_json_append(option->live ? found->live : found->fixed, gri_json_string(option->key));
}

/* Is there anything among the definitions that the archive may not have yet? */
static bool has_new(const struct gri_definitions *now, const struct gri_definitions *then) {
    if (strcmp(now->rules_id, then->rules_id) != 0) return true;
    return !gri_json_equal(now->pipeline_rows, then->pipeline_rows);
}

static enum gri_status read_config(struct gri_reload *reload, struct found *found) {
    const struct gri_daemon *daemon = reload->daemon;
    enum gri_status status = GRI_RETRY;
    uint64_t before = 0, after = 1;
    for (int i = 0; i < READS_MAX && before != after; i++) { /* written while it was read: again */
        gri_config_destroy(found->config);
        found->config = NULL;
        before = gri_config_stamp(daemon->config);
        status = gri_cli_config_again(daemon->cli, &found->config, &found->error);
        after = gri_config_stamp(daemon->config);
    }
    found->stamp = status == GRI_OK ? gri_config_stamp(found->config) : after;
    return status;
}

static void read_work(struct gri_task *task) {
    struct gri_reload *reload = gri_container_of(task, struct gri_reload, read);
    struct gri_daemon *daemon = reload->daemon;
    struct found *found = &reload->found;
    found_clear(found);
    found->live = gri_json_array();
    found->fixed = gri_json_array();
    found->status = read_config(reload, found);
    if (found->status != GRI_OK) return;
    gri_config_compare(daemon->config, found->config, note_change, found);
    gri_config_keep_fixed(found->config, daemon->config);
    found->status =
        gri_definitions_load(found->config, daemon->cli->transforms, daemon->cli->crypto, &found->definitions, &found->error);
    if (found->status == GRI_OK && has_new(daemon->definitions, found->definitions))
        found->status = gri_definitions_store(found->definitions, gri_mongo_archive(daemon->mongo), &found->error);
}

static void look_work(struct gri_task *task) {
    struct gri_reload *reload = gri_container_of(task, struct gri_reload, look);
    reload->looked = gri_config_stamp(reload->daemon->config);
}

/* --- on the loop's thread -------------------------------------------------------------------------------------------------- */

static void read_now(struct gri_reload *reload);
static void look_now(void *arg);

static void watch(struct gri_reload *reload) {
    int64_t ms = gri_config_int(reload->daemon->config, "process.watch_ms");
    if (!reload->stopping && ms > 0) reload->look_timer = gri_timer_start(reload->daemon->loop, ms, look_now, reload);
}

static void end_if_idle(struct gri_reload *reload) {
    if (!reload->stopping || reload->looking || reload->reading) return;
    void (*done)(void *arg) = reload->done;
    reload->done = NULL;
    if (done) done(reload->arg);
}

static void read_done(struct gri_task *task);
static void look_done(struct gri_task *task);

static void look_now(void *arg) {
    struct gri_reload *reload = arg;
    reload->look_timer = NULL;
    reload->look = (struct gri_task){.work = look_work, .done = look_done};
    /* The reader exchanges the configuration whose files would be looked at. A full queue: at the next time. */
    reload->looking = !reload->reading && gri_submit(reload->daemon->store_threads, &reload->look);
    if (!reload->looking) watch(reload);
}

static void look_done(struct gri_task *task) {
    struct gri_reload *reload = gri_container_of(task, struct gri_reload, look);
    reload->looking = false;
    bool still = reload->looked == reload->last;
    reload->last = reload->looked;
    if (reload->stopping) {
        end_if_idle(reload);
        return;
    }
    watch(reload);
    if (reload->asked || (still && reload->looked != reload->seen)) read_now(reload);
}

static void read_due(void *arg) {
    struct gri_reload *reload = arg;
    reload->read_timer = NULL;
    read_now(reload);
}

static void read_now(struct gri_reload *reload) {
    reload->asked = true;
    if (reload->reading || reload->looking || reload->stopping) return; /* their end reads */
    gri_timer_stop(reload->daemon->loop, reload->read_timer);
    reload->read_timer = NULL;
    reload->read = (struct gri_task){.work = read_work, .done = read_done};
    reload->reading = gri_submit(reload->daemon->store_threads, &reload->read);
    reload->asked = !reload->reading;
    if (!reload->reading) reload->read_timer = gri_timer_start(reload->daemon->loop, BUSY_MS, read_due, reload);
}

static void refuse(struct gri_reload *reload, const struct gri_error *error) {
    gri_log_error(reload->daemon->log, GRI_ERROR, "config_refused", error);
    gri_gauge_set(reload->fine, 0);
    count(reload, "refused");
}

/* "rules, retry.base_ms" */
static void join(const struct gri_json *keys, char *out, size_t size) {
    struct gri_bytes text;
    gri_bytes_init(&text, 0);
    for (size_t i = 0; i < gri_json_count(keys); i++)
        gri_bytes_printf(&text, "%s%s", i ? ", " : "", gri_json_text(gri_json_at(keys, i), ""));
    (void)gri_copy(out, size, gri_bytes_text(&text));
    gri_bytes_clear(&text);
}

static void succeed(struct gri_reload *reload, const char *outcome) {
    gri_gauge_set(reload->fine, 1);
    gri_gauge_set(reload->when, (double)time(NULL));
    count(reload, outcome);
}

static void tell_applied(struct gri_reload *reload) {
    struct gri_daemon *daemon = reload->daemon;
    char keys[KEYS_SIZE], detail[KEYS_SIZE + 120];
    join(reload->found.live, keys, sizeof keys);
    (void)gri_format(detail, sizeof detail, "generation %lld, %s: %s", (long long)reload->count,
                     reload->found.definitions->rules_id, keys);
    struct gri_field fields[] = {
        GRI_NUM("generation", reload->count), GRI_TEXT("changed", keys), GRI_TEXT("detail", detail), {0}};
    gri_log(daemon->log, GRI_INFO, "config_reloaded", fields[0], fields[1], fields[2]);
    gri_daemon_journal_note(daemon->journal, GRI_INFO, "config_reloaded", fields, 3);
}

/* The configuration of the start stays as long as the process: parts of the daemon have borrowed from it. */
static void let_go_of_current(struct gri_daemon *daemon) {
    if (daemon->definitions != daemon->cli->definitions) gri_definitions_free(daemon->definitions);
    if (daemon->config != daemon->cli->config) gri_config_destroy(daemon->config);
    daemon->definitions = daemon->cli->definitions;
    daemon->config = daemon->cli->config;
}

static void take_over(struct gri_reload *reload) {
    struct gri_daemon *daemon = reload->daemon;
    struct found *found = &reload->found;
    bool level = strcmp(gri_config_text(daemon->config, "log.level"), gri_config_text(found->config, "log.level")) != 0;
    let_go_of_current(daemon);
    gri_gauge_set(reload->generation, (double)++reload->count);
    tell_applied(reload);
    daemon->config = found->config;
    daemon->definitions = found->definitions;
    found->config = NULL;
    found->definitions = NULL;
    if (level) gri_daemon_set_log_level(daemon, gri_config_text(daemon->config, "log.level"));
    succeed(reload, "applied");
}

/* What the files say was understood. */
static void apply(struct gri_reload *reload) {
    struct gri_daemon *daemon = reload->daemon;
    struct found *found = &reload->found;
    struct gri_error error;
    bool changed = gri_json_count(found->live) > 0;
    if (changed && daemon->role->reload(daemon, found->config, found->definitions, &error) != GRI_OK) {
        refuse(reload, &error);
        return;
    }
    if (gri_json_count(found->fixed) > 0) {
        char keys[KEYS_SIZE];
        join(found->fixed, keys, sizeof keys);
        gri_log(daemon->log, GRI_WARN, "config_needs_restart", GRI_TEXT("keys", keys),
                GRI_TEXT("detail", "these keys keep the value they had at the start of this process until it is restarted"));
    }
    if (changed) {
        take_over(reload);
    } else {
        if (reload->by_signal) gri_log(daemon->log, GRI_INFO, "config_unchanged", GRI_NUM("generation", reload->count));
        succeed(reload, "unchanged");
    }
}

static void read_done(struct gri_task *task) {
    struct gri_reload *reload = gri_container_of(task, struct gri_reload, read);
    struct found *found = &reload->found;
    reload->reading = false;
    if (reload->stopping) {
        found_clear(found);
        end_if_idle(reload);
        return;
    }
    if (found->status == GRI_RETRY) { /* MongoDB is away: nothing may be pinned to what it does not have */
        gri_log_error(reload->daemon->log, GRI_WARN, "config_waits_for_mongo", &found->error);
        reload->read_timer = gri_timer_start(reload->daemon->loop, reload->pause_ms, read_due, reload);
        reload->pause_ms = reload->pause_ms * 2 < RETRY_MAX_MS ? reload->pause_ms * 2 : RETRY_MAX_MS;
    } else {
        reload->pause_ms = RETRY_MS;
        reload->seen = reload->last = found->stamp;
        if (found->status == GRI_OK)
            apply(reload);
        else
            refuse(reload, &found->error);
        reload->by_signal = false;
    }
    found_clear(found);
    if (reload->asked) read_now(reload);
}

void gri_reload_ask(struct gri_reload *reload) {
    if (!reload) return;
    reload->by_signal = true;
    read_now(reload);
}

struct gri_reload *gri_reload_start(struct gri_daemon *daemon) {
    struct gri_reload *reload = gri_calloc(1, sizeof *reload);
    struct gri_metrics *metrics = daemon->metrics;
    reload->daemon = daemon;
    reload->pause_ms = RETRY_MS;
    reload->count = 1;
    reload->generation = gri_metrics_gauge(metrics, "grisaille_config_generation",
                                           "Configurations taken over since the start, that one too", NULL);
    reload->fine = gri_metrics_gauge(metrics, "grisaille_config_last_reload_successful",
                                     "1: the configuration's files are as they should be; 0: they were refused", NULL);
    reload->when = gri_metrics_gauge(metrics, "grisaille_config_last_reload_success_timestamp_seconds",
                                     "When the configuration was last read without a fault", NULL);
    gri_gauge_set(reload->generation, 1);
    gri_gauge_set(reload->fine, 1);
    gri_gauge_set(reload->when, (double)time(NULL));
    /* What was written while the process started shows at the first looks, since nothing is `seen` yet. */
    watch(reload);
    return reload;
}

void gri_reload_stop(struct gri_reload *reload, void (*done)(void *arg), void *arg) {
    if (!reload) {
        done(arg);
        return;
    }
    reload->stopping = true;
    reload->done = done;
    reload->arg = arg;
    gri_timer_stop(reload->daemon->loop, reload->look_timer);
    gri_timer_stop(reload->daemon->loop, reload->read_timer);
    reload->look_timer = reload->read_timer = NULL;
    end_if_idle(reload);
}

void gri_reload_destroy(struct gri_reload *reload) {
    if (!reload) return;
    struct gri_daemon *daemon = reload->daemon;
    found_clear(&reload->found);
    let_go_of_current(daemon);
    free(reload);
}
