/* SPDX-License-Identifier: Apache-2.0 */
/* Starting, watching and stopping child processes. */
#include "children.h"

#include <errno.h>
#include <fcntl.h>
#include <grisaille/clock.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAUSE_MIN_MS = 500, PAUSE_MAX_MS = 30000, STEADY_MS = 60000, TAIL_BYTES = 3000 };

struct gri_child *gri_children_add(struct gri_children *children, const char *name, const char *log_dir,
                                   const char *const *args) {
    GRI_ASSERT(children->count < GRI_CHILDREN_MAX);
    struct gri_child *child = &children->list[children->count++];
    *child = (struct gri_child){.pause_ms = PAUSE_MIN_MS};
    (void)gri_copy(child->name, sizeof child->name, name);
    (void)gri_format(child->log, sizeof child->log, "%s/%s.log", log_dir, name);
    for (size_t i = 0; args[i]; i++) {
        GRI_ASSERT(i < GRI_CHILD_ARGS_MAX);
        child->args[i] = gri_strdup(args[i]);
    }
    return child;
}

/* In the child: its log as output, no terminal input, the parent's death as its own. */
static _Noreturn void become(const struct gri_child *child, pid_t parent) {
    int log = open(child->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644), none = open("/dev/null", O_RDONLY | O_CLOEXEC);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (log < 0 || none < 0 || getppid() != parent) _exit(127);
    dup2(none, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    setpgid(0, 0); /* Ctrl-C goes to the supervisor alone, which stops the others in order */
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    sigset_t all;
    sigemptyset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    execvp(child->args[0], child->args);
    dprintf(STDERR_FILENO, "can't run %s: %s\n", child->args[0], strerror(errno));
    _exit(127);
}

enum gri_status gri_child_start(struct gri_child *child, struct gri_error *error) {
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0) return gri_fail(error, GRI_R_io, "can't start %s: %s", child->name, strerror(errno));
    if (pid == 0) become(child, parent);
    child->pid = pid;
    child->started_ms = gri_clock_ms();
    return GRI_OK;
}

bool gri_child_runs(struct gri_child *child) {
    int status;
    if (child->pid && waitpid(child->pid, &status, WNOHANG) == child->pid) child->pid = 0;
    return child->pid != 0;
}

static void watch(struct gri_child *child) {
    int status = 0;
    int64_t now = gri_clock_ms();
    struct gri_error error;
    if (child->pid && waitpid(child->pid, &status, WNOHANG) == child->pid) {
        child->pid = 0;
        child->pause_ms = now - child->started_ms > STEADY_MS  ? PAUSE_MIN_MS
                          : child->pause_ms * 2 < PAUSE_MAX_MS ? child->pause_ms * 2
                                                               : PAUSE_MAX_MS;
        child->again_ms = now + child->pause_ms;
        fprintf(stderr, "grisaille up: %s ended (%s %d); starting it again in %.1f s; its log: %s\n", child->name,
                WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
                (double)child->pause_ms / 1000.0, child->log);
    }
    if (!child->pid && !child->retired && child->again_ms && now >= child->again_ms) {
        child->again_ms = 0;
        child->restarts++;
        if (gri_child_start(child, &error) != GRI_OK) child->again_ms = now + child->pause_ms;
    }
}

void gri_children_watch(struct gri_children *children) {
    for (size_t i = 0; i < children->count; i++)
        watch(&children->list[i]);
}

/* Waits for the child's end, SIGKILL past the deadline; true when it ended by itself with status 0. */
static bool wait_end(const struct gri_child *child, int64_t deadline) {
    int status = 0;
    for (;;) {
        pid_t ended = waitpid(child->pid, &status, WNOHANG);
        if (ended == child->pid) return status == 0;
        if (ended < 0 && errno != EINTR) return false;
        if (gri_clock_ms() >= deadline) break;
        usleep(20 * 1000);
    }
    fprintf(stderr, "grisaille up: %s did not end in time; killed\n", child->name);
    kill(child->pid, SIGKILL);
    waitpid(child->pid, &status, 0);
    return false;
}

void gri_children_signal(const struct gri_children *children, size_t from, size_t to, int signal) {
    for (size_t i = from; i < to; i++)
        if (children->list[i].pid) kill(children->list[i].pid, signal);
}

bool gri_children_stop(struct gri_children *children, size_t from, size_t to, int64_t timeout_ms) {
    int64_t deadline = gri_clock_ms() + timeout_ms;
    bool clean = true;
    for (size_t i = from; i < to; i++) {
        children->list[i].retired = true;
        if (children->list[i].pid) kill(children->list[i].pid, SIGTERM);
    }
    for (size_t i = from; i < to; i++) {
        if (children->list[i].pid && !wait_end(&children->list[i], deadline)) clean = false;
        children->list[i].pid = 0;
    }
    return clean;
}

void gri_children_clear(struct gri_children *children) {
    for (size_t i = 0; i < children->count; i++)
        for (size_t k = 0; children->list[i].args[k]; k++)
            free(children->list[i].args[k]);
    children->count = 0;
}

void gri_child_tail(const struct gri_child *child) {
    char text[TAIL_BYTES + 1];
    FILE *log = fopen(child->log, "rb");
    if (!log) return;
    if (fseek(log, -TAIL_BYTES, SEEK_END) != 0) rewind(log);
    size_t got = fread(text, 1, TAIL_BYTES, log);
    text[got] = '\0';
    fclose(log);
    fprintf(stderr, "the end of %s:\n%s\n", child->log, text);
}
