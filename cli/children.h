/* SPDX-License-Identifier: Apache-2.0 */
/* Child processes of `grisaille up`: started, watched, started again with a growing pause, stopped in order.
 *
 * Each child writes to a log file of its own, gets SIGTERM when this process dies in any way, and is known by its pid alone.
 * Threads: one. */
#ifndef GRI_CHILDREN_H
#define GRI_CHILDREN_H

#include <sys/types.h>

#include <grisaille/bytes.h>

enum { GRI_CHILDREN_MAX = 64, GRI_CHILD_ARGS_MAX = 40 };

struct gri_child {
    char name[32];
    char log[512];                      /* path of its log */
    char *args[GRI_CHILD_ARGS_MAX + 1]; /* owned; args[0] is the program */
    pid_t pid;                          /* 0: not running */
    int64_t started_ms, again_ms;       /* when it was started; when to start it again */
    int64_t pause_ms;
    int restarts;
    bool retired; /* not to be started again */
};

struct gri_children {
    struct gri_child list[GRI_CHILDREN_MAX];
    size_t count;
};

/* Adds one (not started yet); `args` is copied, NULL at its end. */
struct gri_child *gri_children_add(struct gri_children *children, const char *name, const char *log_dir, const char *const *args);
enum gri_status gri_child_start(struct gri_child *child, struct gri_error *error) GRI_MUST_CHECK;
/* Reaps what has ended and starts again what is due; tells each restart on standard error. Call it a few times a second. */
void gri_children_watch(struct gri_children *children);
/* SIGTERM to those from `from` to `to` (exclusive), waits up to timeout_ms for all of them, then SIGKILL. True when all of them
 * ended with status 0 in time. */
bool gri_children_stop(struct gri_children *children, size_t from, size_t to, int64_t timeout_ms);
/* Sends the signal to those of them that run. */
void gri_children_signal(const struct gri_children *children, size_t from, size_t to, int signal);
/* True while it runs. */
bool gri_child_runs(struct gri_child *child);
void gri_children_clear(struct gri_children *children);
/* The last lines of the child's log, to standard error. */
void gri_child_tail(const struct gri_child *child);

#endif
