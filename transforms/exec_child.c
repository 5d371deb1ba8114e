/* SPDX-License-Identifier: Apache-2.0 */
/* Starts programs with limits, and exchanges bytes with them by poll. */
#include "exec_child.h"

#include <errno.h>
#include <fcntl.h>
#include <grisaille/clock.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FRAME_DIGITS = 10, FILES_MAX = 64, PROCESSES_OPEN = 3 };

#if defined(__x86_64__)
enum { OWN_ARCHITECTURE = AUDIT_ARCH_X86_64 & 0x7FFFFFFF };
#elif defined(__aarch64__)
enum { OWN_ARCHITECTURE = AUDIT_ARCH_AARCH64 & 0x7FFFFFFF };
#else
#error "name this processor's AUDIT_ARCH_… here"
#endif

/* --- start ------------------------------------------------------------------------------------------------------------- */

/* No sockets, no other architecture's calls, no io_uring that would make sockets without the call. */
static bool deny_network(void) {
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x7FFFFFFF),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCHITECTURE, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
#ifdef __X32_SYSCALL_BIT
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, __X32_SYSCALL_BIT, 2, 0),
#else
        BPF_JUMP(BPF_JMP | BPF_JA, 0, 0, 0),
#endif
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof rules / sizeof rules[0], rules};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

/* In the child, between fork and exec: nothing but system calls. */
static _Noreturn void become(const struct gri_exec_options *options, const int ends[3]) {
    struct rlimit memory = {(rlim_t)options->memory_bytes, (rlim_t)options->memory_bytes}, allowed;
    struct rlimit files = {FILES_MAX, FILES_MAX}, none = {0, 0};
    sigset_t signals;
    if (getrlimit(RLIMIT_AS, &allowed) == 0 && memory.rlim_max > allowed.rlim_max) /* what runs alone has a limit already */
        memory.rlim_cur = memory.rlim_max = allowed.rlim_max;
    sigemptyset(&signals);
    sigprocmask(SIG_SETMASK, &signals, NULL);
    signal(SIGPIPE, SIG_DFL);
    for (int i = 0; i < PROCESSES_OPEN; i++)
        if (dup2(ends[i], i) < 0) _exit(126);
    close_range(PROCESSES_OPEN, ~0U, 0);
    char *environment[] = {(char *)(uintptr_t) "PATH=/usr/local/bin:/usr/bin:/bin", (char *)(uintptr_t) "LC_ALL=C.UTF-8", NULL};
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || setpgid(0, 0) != 0 || setrlimit(RLIMIT_AS, &memory) != 0 ||
        setrlimit(RLIMIT_NOFILE, &files) != 0 || setrlimit(RLIMIT_CORE, &none) != 0 || (!options->network && !deny_network()))
        _exit(126);
    execve(options->words[0], options->words, environment);
    _exit(127);
}

static void close_all(int *handles, int count) {
    for (int i = 0; i < count; i++)
        if (handles[i] >= 0) close(handles[i]);
}

enum gri_status gri_exec_start(struct gri_exec_child *child, const struct gri_exec_options *options, struct gri_error *error) {
    int pipes[6] = {-1, -1, -1, -1, -1, -1}; /* read and write end of: its input, its output, its complaints */
    *child = (struct gri_exec_child){.in = -1, .out = -1, .complaints = -1};
    for (size_t i = 0; i < 3; i++)
        if (pipe2(&pipes[2 * i], O_CLOEXEC) != 0) {
            close_all(pipes, 6);
            return gri_fail(error, GRI_R_transform, "no pipe for %s: %s", options->words[0], strerror(errno));
        }
    int theirs[] = {pipes[0], pipes[3], pipes[5]}, ours[] = {pipes[1], pipes[2], pipes[4]};
    pid_t pid = fork();
    if (pid == 0) become(options, theirs);
    close_all(theirs, 3);
    if (pid < 0) {
        close_all(ours, 3);
        return gri_fail(error, GRI_R_transform, "no process for %s: %s", options->words[0], strerror(errno));
    }
    for (int i = 0; i < 3; i++)
        (void)fcntl(ours[i], F_SETFL, O_NONBLOCK);
    *child = (struct gri_exec_child){.pid = pid, .in = ours[0], .out = ours[1], .complaints = ours[2]};
    return GRI_OK;
}

void gri_exec_end(struct gri_exec_child *child) {
    if (child->pid > 0) {
        kill(-child->pid, SIGKILL); /* with what it has started itself */
        kill(child->pid, SIGKILL);
        while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    close_all((int[]){child->in, child->out, child->complaints}, 3);
    *child = (struct gri_exec_child){.in = -1, .out = -1, .complaints = -1};
}

/* --- exchange ---------------------------------------------------------------------------------------------------------- */

struct exchange {
    struct gri_exec_child *child;
    const struct gri_exec_options *options;
    struct gri_slice head, body; /* what is still to be written */
    struct gri_bytes *got;
    char digits[FRAME_DIGITS + 1];
    size_t digit_count, expected;
    bool headed, done;
    struct gri_error *error;
};

/* The last line that it wrote, for people. */
static void hear_complaints(struct gri_exec_child *child) {
    char buffer[4096];
    ssize_t len;
    while ((len = read(child->complaints, buffer, sizeof buffer - 1)) > 0) {
        while (len > 0 && (buffer[len - 1] == '\n' || buffer[len - 1] == '\r'))
            len--;
        buffer[len] = 0;
        const char *line = strrchr(buffer, '\n');
        if (len > 0) (void)gri_copy(child->said, sizeof child->said, line ? line + 1 : buffer);
    }
    if (len == 0) {
        close(child->complaints);
        child->complaints = -1;
    }
}

static enum gri_status ended(struct exchange *exchange, const char *what) {
    struct gri_exec_child *child = exchange->child;
    if (child->complaints >= 0) hear_complaints(child);
    return gri_fail(exchange->error, GRI_R_transform, "%.80s %s%s%s", exchange->options->words[0], what,
                    child->said[0] ? ": " : "", child->said);
}

static enum gri_status write_some(struct exchange *exchange) {
    struct gri_slice *part = exchange->head.len > 0 ? &exchange->head : &exchange->body;
    ssize_t sent = part->len > 0 ? write(exchange->child->in, part->data, part->len) : 0;
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return GRI_OK;
    if (sent < 0) { /* it may answer without reading all */
        exchange->head = exchange->body = (struct gri_slice){0};
    } else {
        *part = (struct gri_slice){part->data + sent, part->len - (size_t)sent};
    }
    if (!exchange->options->serves && exchange->head.len + exchange->body.len == 0) {
        close(exchange->child->in);
        exchange->child->in = -1;
    }
    return GRI_OK;
}

/* The digits before the newline. Returns how many bytes of `data` they took. */
static size_t take_head(struct exchange *exchange, const char *data, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (data[i] == '\n' && exchange->digit_count > 0) {
            exchange->expected = (size_t)strtoull(exchange->digits, NULL, 10);
            exchange->headed = true;
            return i + 1;
        }
        if (data[i] < '0' || data[i] > '9' || exchange->digit_count == FRAME_DIGITS) break;
        exchange->digits[exchange->digit_count++] = data[i];
    }
    return exchange->digit_count > 0 && len <= FRAME_DIGITS ? len : SIZE_MAX;
}

static enum gri_status take(struct exchange *exchange, const char *data, size_t len) {
    size_t used = 0;
    if (exchange->options->serves && !exchange->headed) {
        used = take_head(exchange, data, len);
        if (used == SIZE_MAX) return ended(exchange, "answered without a frame (a length, a newline, the bytes)");
    }
    if (used < len && gri_bytes_append(exchange->got, data + used, len - used, exchange->error) != GRI_OK)
        return ended(exchange, "gives more bytes than it may (output_mb)");
    if (exchange->headed && exchange->got->len > exchange->expected) return ended(exchange, "wrote behind its frame");
    exchange->done = exchange->headed && exchange->got->len == exchange->expected;
    return GRI_OK;
}

static enum gri_status read_some(struct exchange *exchange) {
    char buffer[65536];
    ssize_t got = read(exchange->child->out, buffer, sizeof buffer);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return GRI_OK;
    if (got > 0) return take(exchange, buffer, (size_t)got);
    if (exchange->options->serves) return ended(exchange, "ended");
    exchange->done = true;
    return GRI_OK;
}

/* One that answers once tells by its exit status whether the answer counts. */
static enum gri_status wait_exit(struct exchange *exchange) {
    struct gri_exec_child *child = exchange->child;
    int status = 0;
    char what[40];
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    kill(-child->pid, SIGKILL);
    child->pid = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return GRI_OK;
    (void)gri_format(what, sizeof what, WIFEXITED(status) ? "ended with status %d" : "was ended by signal %d",
                     WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    return ended(exchange,
                 WIFEXITED(status) && WEXITSTATUS(status) == 127 ? "can't be run (is it there, and executable?)" : what);
}

enum gri_status gri_exec_exchange(struct gri_exec_child *child, const struct gri_exec_options *options, struct gri_slice given,
                                  int64_t deadline_ms, struct gri_bytes *got, struct gri_error *error) {
    char head[FRAME_DIGITS + 12];
    (void)gri_format(head, sizeof head, "%zu\n", given.len);
    struct exchange exchange = {.child = child, .options = options, .body = given, .got = got, .error = error};
    if (options->serves) exchange.head = gri_slice_of(head);
    enum gri_status status = GRI_OK;
    child->said[0] = 0;
    while (status == GRI_OK && !exchange.done) {
        int64_t left = deadline_ms - gri_clock_ms();
        bool writes = child->in >= 0 && (exchange.head.len + exchange.body.len > 0 || !options->serves);
        struct pollfd waits[] = {{.fd = child->out, .events = POLLIN},
                                 {.fd = child->complaints, .events = POLLIN},
                                 {.fd = writes ? child->in : -1, .events = POLLOUT}};
        if (left <= 0) return gri_fail(error, GRI_R_decode_timeout, "%.80s did not answer in time", options->words[0]);
        if (poll(waits, 3, left < 1000 ? (int)left : 1000) < 0 && errno != EINTR) return ended(&exchange, strerror(errno));
        if (waits[1].revents) hear_complaints(child);
        if (waits[2].revents) status = write_some(&exchange);
        if (status == GRI_OK && waits[0].revents) status = read_some(&exchange);
    }
    return status == GRI_OK && !options->serves ? wait_exit(&exchange) : status;
}
