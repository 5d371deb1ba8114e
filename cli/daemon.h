/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemons share: loop, log, metrics, Redis, MongoDB, probes, signals, and an orderly end.
 *
 * Life: create → run (boots MongoDB's side, retrying until it answers; then role->start) → SIGTERM or SIGINT: role->drain, at
 * most worker.drain_ms → the loop ends → destroy. A second signal ends at once. Exit status 0 only after a complete drain.
 * Threads: the loop's, but for the probes (`alive`, `ready`), which HTTP threads call. */
#ifndef GRI_DAEMON_H
#define GRI_DAEMON_H

#include <stdatomic.h>

#include <grisaille/executor.h>
#include <grisaille/stream.h>

#include "cli.h"
#include "mongo_client.h"

struct gri_daemon;
struct gri_presence_teller;
struct gri_reload;

struct gri_role {
    const char *name; /* "worker" */
    /* Everything is up: make the state machine and start it. */
    enum gri_status (*start)(struct gri_daemon *daemon, struct gri_error *error);
    /* Takes over what of a configuration may change while it runs, all of it or, on failure, nothing. Both stay until the next.
     */
    enum gri_status (*reload)(struct gri_daemon *daemon, const struct gri_config *config,
                              const struct gri_definitions *definitions, struct gri_error *error);
    /* Stop reading, finish what is in hand, then call gri_daemon_drained. */
    void (*drain)(struct gri_daemon *daemon);
    void (*destroy)(struct gri_daemon *daemon);
    /* Now, on the loop's thread, once a second: does it make progress, do its services answer? */
    bool (*alive)(struct gri_daemon *daemon);
    bool (*ready)(struct gri_daemon *daemon);
    bool starts_programs; /* the sandbox leaves it exec */
};

struct gri_daemon {
    struct gri_cli *cli;
    const struct gri_role *role;
    char instance[GRI_WORKER_MAX]; /* host-pid-random: the consumer's name, the holder of leases */
    struct gri_loop *loop;
    struct gri_log *log;
    struct gri_metrics *metrics;
    struct gri_stream *stream;
    struct gri_executor *store_threads;
    struct gri_mongo *mongo;
    struct gri_daemon_journal *journal;
    /* In force. cli->config and cli->definitions are those of the start: options that are not live may be borrowed from them. */
    struct gri_config *config;
    struct gri_definitions *definitions;
    struct gri_reload *reload; /* from the end of booting on */
    bool reload_asked;         /* before */
    void *state;               /* the role's */
    struct gri_http_server *probes;
    struct gri_presence_teller *presence; /* from the end of booting on */
    /* the end */
    int signals;
    bool booted, drained;
    enum gri_exit status;
    struct gri_timer *deadline, *ticker;
    /* what probes read from other threads */
    atomic_bool is_alive, is_ready;
    _Atomic int64_t ticked_ms; /* of CLOCK_MONOTONIC */
};

/* Runs a daemon to its end. `store_threads`: how many; `state` is handed to the role. */
enum gri_exit gri_daemon_run(struct gri_cli *cli, const struct gri_role *role, size_t store_threads, void *state);
/* The line that tells of it is written whatever the level. */
void gri_daemon_set_log_level(struct gri_daemon *daemon, const char *name);
/* The role's drain is complete. */
void gri_daemon_drained(struct gri_daemon *daemon);
/* The process can't work: ends the loop at once with exit status 1. */
void gri_daemon_abort(struct gri_daemon *daemon, const char *event, const struct gri_error *error);
/* process.sandbox: off answers false. Else does `enter`, and answers whether it worked in *done; where it did not, that is an
 * error with `on` and a warning with `auto`. `what` names it in the log. */
enum gri_status gri_daemon_sandbox(struct gri_daemon *daemon, const char *what, enum gri_status (*enter)(struct gri_error *error),
                                   bool *done, struct gri_error *error) GRI_MUST_CHECK;
/* Any thread: for /healthz (the loop ticked within 15 s and the role is alive) and /readyz. */
bool gri_daemon_alive(struct gri_daemon *daemon);
bool gri_daemon_ready(struct gri_daemon *daemon);

#endif
