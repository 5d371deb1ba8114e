/* SPDX-License-Identifier: Apache-2.0 */
/* Children for suspicious jobs. A child's life: spawn → request written → STARTED → RESULT → exit; any of these may fail to
 * come. It is over when the process has ended and its pipe is at its end (or was closed); then all handles are closed, and
 * only then the verdict is given. */
#include "uv_isolator.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

enum {
    START_MS = 20000,
    WORK_MS = 60000,
    LINGER_MS = 2000, /* from the result, or the exit, to the end of the rest */
    WATCH_MS = 100,
    FRAME_FD = 3,
    ARGS_MAX = 16
};
#define MEMORY_BYTES (INT64_C(1) << 30)
#define RESULT_MAX ((size_t)256 * 1024 * 1024) /* a source and as many outputs as a pipeline may have */

#if defined(__SANITIZE_ADDRESS__)
enum { LIMIT_ADDRESS_SPACE = 0 };
#else
enum { LIMIT_ADDRESS_SPACE = 1 };
#endif

struct child;

struct isolator {
    struct gri_isolator port; /* first */
    uv_loop_t *loop;
    struct gri_log *log;
    char *program, *args[ARGS_MAX];
    struct gri_bytes settings;
    int64_t start_ms, work_ms, memory_bytes;
    size_t result_max;
    struct child *first;
};

struct child {
    struct isolator *isolator;    /* NULL: it was destroyed */
    struct gri_isolated *request; /* NULL: nobody waits any more */
    struct child *previous, *next;
    uv_process_t process;
    uv_pipe_t input, frames;
    uv_timer_t deadline, watch;
    uv_write_t write;
    struct gri_bytes sent, got;
    int handles; /* not closed yet */
    bool process_open, spawned, exited, frames_done, closing;
    bool started, answered, broken, late, over_memory, cancelled;
    int64_t work_ms, memory_bytes; /* what it began with */
    int64_t exit_status;
    int exit_signal;
    int spawn_error;
};

static struct isolator *isolator_of(struct gri_isolator *port) {
    return gri_container_of(port, struct isolator, port);
}

/* --- the verdict ----------------------------------------------------------------------------------------------------- */

/* Signals that a process brings upon itself. KILL, TERM, INT, HUP, QUIT … come from others. */
static bool is_own_signal(int number) {
    switch (number) {
    case SIGABRT:
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGSYS:
    case SIGTRAP:
    case SIGXCPU:
    case SIGXFSZ:
    case SIGALRM:
    case SIGPIPE:
        return true;
    default:
        return false;
    }
}

static void judge_died(struct gri_isolated *request, const char *how) {
    request->end = GRI_ISOLATED_DIED;
    request->op.status = gri_fail(&request->op.error, GRI_R_poison, "its isolated process %s", how);
}

static void judge_killed(struct gri_isolated *request, enum gri_reason reason, const char *how) {
    request->end = GRI_ISOLATED_KILLED;
    request->op.status = gri_fail_as(&request->op.error, GRI_RETRY, reason, "its isolated process %s", how);
}

static void judge_exit(const struct child *child, struct gri_isolated *request) {
    char how[160];
    if (child->exit_signal != 0) {
        (void)gri_format(how, sizeof how, "died by signal %d (%s)", child->exit_signal, strsignal(child->exit_signal));
        if (child->started && is_own_signal(child->exit_signal)) {
            judge_died(request, how);
        } else {
            judge_killed(request, GRI_R_no_memory, how);
        }
        return;
    }
    (void)gri_format(how, sizeof how, "ended with status %lld and without a result", (long long)child->exit_status);
    if (child->started) {
        judge_died(request, how);
    } else {
        judge_killed(request, GRI_R_internal, how);
    }
}

static void judge(struct child *child, struct gri_isolated *request) {
    char how[160];
    struct gri_error error;
    if (child->spawn_error != 0) {
        (void)gri_format(how, sizeof how, "can't be started: %s", uv_strerror(child->spawn_error));
        judge_killed(request, GRI_R_io, how);
    } else if (child->answered) {
        struct gri_slice payload = {child->got.data + GRI_FRAME_HEADER, child->got.len - GRI_FRAME_HEADER};
        if (gri_frame_read_result(payload, request, &error) != GRI_OK) judge_died(request, "answered nonsense");
    } else if (child->cancelled) {
        judge_killed(request, GRI_R_timeout, "was cancelled");
    } else if (child->over_memory) {
        judge_died(request, "went over its memory limit");
    } else if (child->late && child->started) {
        judge_died(request, "did not end in time");
    } else if (child->late) {
        judge_killed(request, GRI_R_internal, "was not ready in time");
    } else if (child->broken) {
        judge_died(request, "answered nonsense");
    } else {
        judge_exit(child, request);
    }
}

/* --- the end --------------------------------------------------------------------------------------------------------- */

static void child_free(struct child *child) {
    struct isolator *isolator = child->isolator;
    if (isolator) {
        if (child->previous) {
            child->previous->next = child->next;
        } else {
            isolator->first = child->next;
        }
        if (child->next) child->next->previous = child->previous;
    }
    gri_bytes_clear(&child->sent);
    gri_bytes_clear(&child->got);
    free(child);
}

static void handle_closed(uv_handle_t *handle) {
    struct child *child = handle->data;
    if (--child->handles > 0) return;
    struct gri_isolated *request = child->request;
    if (request) {
        judge(child, request);
        if (request->op.status != GRI_OK)
            gri_log_error(child->isolator->log, request->end == GRI_ISOLATED_ANSWERED ? GRI_DEBUG : GRI_WARN, "isolated_failed",
                          &request->op.error);
    }
    child_free(child);
    if (request) request->op.done(&request->op);
}

static void close_handle(uv_handle_t *handle) {
    if (!uv_is_closing(handle)) uv_close(handle, handle_closed);
}

static void close_all(struct child *child) {
    if (child->closing) return;
    child->closing = true;
    if (child->process_open) close_handle((uv_handle_t *)&child->process);
    close_handle((uv_handle_t *)&child->input);
    close_handle((uv_handle_t *)&child->frames);
    close_handle((uv_handle_t *)&child->deadline);
    close_handle((uv_handle_t *)&child->watch);
}

static void end_if_over(struct child *child) {
    if (child->exited && child->frames_done) close_all(child);
}

/* Its whole session: what it may have started goes with it. */
static void kill_child(struct child *child) {
    if (!child->spawned || child->exited) return;
    (void)kill(-child->process.pid, SIGKILL);
    (void)uv_process_kill(&child->process, SIGKILL);
}

static void deadline_passed(uv_timer_t *timer) {
    struct child *child = timer->data;
    if (child->exited) { /* somebody else holds its pipe */
        close_all(child);
        return;
    }
    child->late = true;
    kill_child(child);
}

static void set_deadline(struct child *child, int64_t ms) {
    uv_update_time(child->deadline.loop);
    (void)uv_timer_start(&child->deadline, deadline_passed, (uint64_t)ms, 0);
}

static void process_exited(uv_process_t *process, int64_t status, int signal) {
    struct child *child = process->data;
    child->exited = true;
    child->exit_status = status;
    child->exit_signal = signal;
    (void)uv_timer_stop(&child->watch);
    set_deadline(child, LINGER_MS);
    end_if_over(child);
}

/* --- frames ---------------------------------------------------------------------------------------------------------- */

static void stop_reading(struct child *child) {
    child->frames_done = true;
    (void)uv_read_stop((uv_stream_t *)&child->frames);
    end_if_over(child);
}

/* A RESULT without STARTED: the child could not set itself up, and says why. */
static bool is_expected(const struct child *child, enum gri_frame_kind kind, uint64_t len) {
    if (kind == GRI_FRAME_STARTED) return !child->started && len == 0;
    return kind == GRI_FRAME_RESULT && len <= child->got.max - GRI_FRAME_HEADER;
}

/* Takes what is complete of child->got; false when nothing more is to be read. */
static bool take_frames(struct child *child) {
    enum gri_frame_kind kind;
    uint64_t len;
    while (gri_frame_header(gri_bytes_slice(&child->got), &kind, &len, &child->broken)) {
        child->broken = !is_expected(child, kind, len);
        if (child->broken) return false;
        if (child->got.len - GRI_FRAME_HEADER < len) return true;
        if (kind == GRI_FRAME_RESULT) {
            child->got.len = GRI_FRAME_HEADER + (size_t)len;
            child->answered = true;
            return false;
        }
        child->started = true;
        set_deadline(child, child->isolator ? child->work_ms : LINGER_MS);
        memmove(child->got.data, child->got.data + GRI_FRAME_HEADER, child->got.len - GRI_FRAME_HEADER);
        child->got.len -= GRI_FRAME_HEADER;
    }
    return !child->broken;
}

static void give_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    (void)handle;
    *buffer = uv_buf_init(malloc(suggested), (unsigned)suggested); /* no memory: libuv says UV_ENOBUFS */
}

static void frames_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
    struct child *child = stream->data;
    struct gri_error error;
    if (count > 0 && gri_bytes_append(&child->got, buffer->base, (size_t)count, &error) != GRI_OK) {
        child->broken = true;
        count = UV_EOF;
    }
    free(buffer->base);
    if (count > 0) {
        if (take_frames(child)) return;
        if (child->answered) {
            set_deadline(child, LINGER_MS); /* it has nothing more to do */
        } else {
            kill_child(child);
        }
        stop_reading(child);
    } else if (count < 0) {
        stop_reading(child);
    }
}

static void request_written(uv_write_t *write, int status) {
    struct child *child = write->data;
    (void)status; /* a child that did not read it will tell by its end */
    if (!child->closing) close_handle((uv_handle_t *)&child->input);
    gri_bytes_clear(&child->sent);
}

/* --- the beginning --------------------------------------------------------------------------------------------------- */

static void limit(pid_t pid, int resource, uint64_t soft, uint64_t hard) {
    struct rlimit value = {.rlim_cur = (rlim_t)soft, .rlim_max = (rlim_t)hard};
    struct rlimit now;
    if (prlimit(pid, (enum __rlimit_resource)resource, NULL, &now) != 0) return;
    if (now.rlim_max != RLIM_INFINITY && value.rlim_max > now.rlim_max) value.rlim_max = now.rlim_max;
    if (value.rlim_cur > value.rlim_max) value.rlim_cur = value.rlim_max;
    (void)prlimit(pid, (enum __rlimit_resource)resource, &value, NULL); /* it may be gone already: its exit tells */
}

static void set_limits(const struct isolator *isolator, pid_t pid) {
    uint64_t seconds = (uint64_t)(isolator->start_ms + isolator->work_ms) / 1000 + 1;
    uint64_t address = (uint64_t)isolator->memory_bytes * 2 + ((uint64_t)1 << 30); /* what is mapped, and never touched, counts */
    limit(pid, RLIMIT_CORE, 0, 0);
    limit(pid, RLIMIT_CPU, seconds, seconds + 5);
    if (LIMIT_ADDRESS_SPACE) limit(pid, RLIMIT_AS, address, address);
}

/* Resident bytes of the process, 0 when it is gone. */
static int64_t resident_bytes(int pid) {
    char path[64], text[128];
    long long pages = 0, resident = 0;
    (void)gri_format(path, sizeof path, "/proc/%d/statm", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t len = read(fd, text, sizeof text - 1);
    close(fd);
    if (len <= 0) return 0;
    text[len] = '\0';
    if (sscanf(text, "%lld %lld", &pages, &resident) != 2) return 0;
    return (int64_t)resident * sysconf(_SC_PAGESIZE);
}

static void look_at_memory(uv_timer_t *timer) {
    struct child *child = timer->data;
    if (!child->isolator || child->exited || resident_bytes(child->process.pid) <= child->memory_bytes) return;
    child->over_memory = true;
    kill_child(child);
}

/* environ without what begins with GRI; the array is owned, the texts are not. */
static char **clean_environment(void) {
    size_t count = 0, kept = 0;
    while (environ[count])
        count++;
    char **clean = gri_calloc(count + 1, sizeof *clean);
    for (size_t i = 0; i < count; i++)
        if (strncmp(environ[i], "GRI", 3) != 0) clean[kept++] = environ[i];
    return clean;
}

static int spawn(struct isolator *isolator, struct child *child) {
    char **environment = clean_environment();
    uv_stdio_container_t stdio[FRAME_FD + 1] = {
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&child->input},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&child->frames}};
    uv_process_options_t options = {.exit_cb = process_exited,
                                    .file = isolator->program,
                                    .args = isolator->args,
                                    .env = environment,
                                    .flags = UV_PROCESS_DETACHED, /* a session of its own: Ctrl-C is for the parent */
                                    .stdio = stdio,
                                    .stdio_count = FRAME_FD + 1};
    int code = uv_spawn(isolator->loop, &child->process, &options);
    free(environment);
    return code;
}

static struct child *child_create(struct isolator *isolator, struct gri_isolated *request) {
    struct child *child = gri_calloc(1, sizeof *child);
    child->isolator = isolator;
    child->request = request;
    child->next = isolator->first;
    if (child->next) child->next->previous = child;
    isolator->first = child;
    gri_bytes_init(&child->sent, GRI_FRAME_REQUEST_MAX + GRI_FRAME_HEADER);
    child->work_ms = isolator->work_ms;
    child->memory_bytes = isolator->memory_bytes;
    gri_bytes_init(&child->got, isolator->result_max);
    (void)uv_pipe_init(isolator->loop, &child->input, 0); /* none of these can fail */
    (void)uv_pipe_init(isolator->loop, &child->frames, 0);
    (void)uv_timer_init(isolator->loop, &child->deadline);
    (void)uv_timer_init(isolator->loop, &child->watch);
    child->input.data = child->frames.data = child->deadline.data = child->watch.data = child;
    child->process.data = child->write.data = child;
    child->handles = 4;
    return child;
}

static void run(struct gri_isolator *port, struct gri_isolated *request) {
    struct isolator *isolator = isolator_of(port);
    struct child *child = child_create(isolator, request);
    struct gri_error error;
    int code = 0;
    if (gri_frame_write_request(request->url, request->definition, gri_bytes_slice(&isolator->settings), &child->sent, &error) !=
        GRI_OK)
        code = UV_E2BIG;
    if (code == 0) {
        code = spawn(isolator, child);
        child->process_open = true; /* whether it worked or not: the handle is to be closed */
        child->handles++;
    }
    if (code != 0) {
        child->spawn_error = code;
        child->exited = child->frames_done = true;
        close_all(child);
        return;
    }
    child->spawned = true;
    set_limits(isolator, child->process.pid);
    set_deadline(child, isolator->start_ms);
    (void)uv_timer_start(&child->watch, look_at_memory, WATCH_MS, WATCH_MS);
    uv_buf_t buffer = uv_buf_init((char *)child->sent.data, (unsigned)child->sent.len);
    if (uv_write(&child->write, (uv_stream_t *)&child->input, &buffer, 1, request_written) != 0 ||
        uv_read_start((uv_stream_t *)&child->frames, give_room, frames_read) != 0) {
        child->cancelled = true;
        child->frames_done = true;
        kill_child(child);
    }
}

static void cancel(struct gri_isolator *port, struct gri_isolated *request) {
    struct isolator *isolator = isolator_of(port);
    for (struct child *child = isolator->first; child; child = child->next) {
        if (child->request != request || child->cancelled) continue;
        child->cancelled = true;
        kill_child(child);
    }
}

static const struct gri_isolator_ops operations = {.run = run, .cancel = cancel};

struct gri_isolator *gri_uv_isolator_create(struct uv_loop_s *loop, const struct gri_uv_isolator_options *options,
                                            struct gri_log *log) {
    struct isolator *isolator = gri_calloc(1, sizeof *isolator);
    size_t count = 1;
    isolator->port.ops = &operations;
    isolator->loop = loop;
    isolator->log = log;
    isolator->program = gri_strdup(options->program ? options->program : "/proc/self/exe");
    isolator->args[0] = gri_strdup("grisaille");
    for (const char *const *arg = options->args; arg && *arg; arg++) {
        GRI_ASSERT(count < ARGS_MAX - 1);
        isolator->args[count++] = gri_strdup(*arg);
    }
    gri_uv_isolator_reload(&isolator->port, options);
    return &isolator->port;
}

void gri_uv_isolator_reload(struct gri_isolator *port, const struct gri_uv_isolator_options *options) {
    struct isolator *isolator = isolator_of(port);
    gri_bytes_clear(&isolator->settings);
    gri_bytes_init(&isolator->settings, GRI_FRAME_REQUEST_MAX);
    gri_bytes_put_slice(&isolator->settings, options->settings);
    GRI_ASSERT(!gri_bytes_failed(&isolator->settings));
    isolator->start_ms = options->start_ms > 0 ? options->start_ms : START_MS;
    isolator->work_ms = options->work_ms > 0 ? options->work_ms : WORK_MS;
    isolator->memory_bytes = options->memory_bytes > 0 ? options->memory_bytes : MEMORY_BYTES;
    isolator->result_max = options->result_max > 0 ? options->result_max : RESULT_MAX;
}

void gri_uv_isolator_destroy(struct gri_isolator *port) {
    if (!port) return;
    struct isolator *isolator = isolator_of(port);
    while (isolator->first) {
        struct child *child = isolator->first;
        isolator->first = child->next;
        child->isolator = NULL;
        child->request = NULL;
        kill_child(child);
        close_all(child);
    }
    for (size_t i = 0; i < ARGS_MAX; i++)
        free(isolator->args[i]);
    free(isolator->program);
    gri_bytes_clear(&isolator->settings);
    free(isolator);
}
