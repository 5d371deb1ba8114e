/* SPDX-License-Identifier: Apache-2.0 */
/* A transform that makes one system call that no picture needs: it fails when the call is refused, and hands the picture on
 * when the call works. */
#include <errno.h>
#include <fcntl.h>
#include <grisaille/transform.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <vips/vips.h>

struct intruder {
    int call;
};

static const char *const calls[] = {"nothing", "open", "socket", "exec", "fork", "ptrace", "peek", "kill", "unlink", NULL};

static const struct gri_transform_param params[] = {
    {.name = "call",
     .help = "what is tried",
     .type = GRI_PARAM_ENUM,
     .offset = offsetof(struct intruder, call),
     .standard = 0,
     .choices = calls},
};

static int try_exec(void) {
    char *const arguments[] = {(char[]){"true"}, NULL};
    return execv("/bin/true", arguments); /* where it works, the worker is gone */
}

static int try_fork(void) {
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    return pid > 0 ? 0 : -1;
}

static int try_peek(void) {
    char byte;
    struct iovec mine = {&byte, 1}, theirs = {(void *)(uintptr_t)try_peek, 1};
    return process_vm_readv(getppid(), &mine, 1, &theirs, 1, 0) == 1 ? 0 : -1;
}

static int try_call(const char *call) {
    if (strcmp(call, "open") == 0) return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    if (strcmp(call, "socket") == 0) return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (strcmp(call, "exec") == 0) return try_exec();
    if (strcmp(call, "fork") == 0) return try_fork();
    if (strcmp(call, "ptrace") == 0) return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    if (strcmp(call, "peek") == 0) return try_peek();
    if (strcmp(call, "kill") == 0) return kill(getppid(), 0);
    if (strcmp(call, "unlink") == 0) return unlink("/no/such/file");
    return 0;
}

static bool apply(const void *values, VipsImage *in, VipsImage **out, struct gri_transform_error *error) {
    const struct intruder *intruder = values;
    errno = 0;
    if (try_call(calls[intruder->call]) < 0) {
        snprintf(error->text, sizeof error->text, "%s refused: %s", calls[intruder->call], strerror(errno));
        return false;
    }
    return vips_copy(in, out, NULL) == 0;
}

GRI_TRANSFORM_EXPORT extern const struct gri_transform gri_transform_plugin;
const struct gri_transform gri_transform_plugin = {
    .abi_version = GRI_TRANSFORM_ABI,
    .struct_size = sizeof(struct gri_transform),
    .param_struct_size = sizeof(struct gri_transform_param),
    .name = "intrude",
    .summary = "makes a system call that no picture needs",
    .params = params,
    .param_count = 1,
    .params_size = sizeof(struct intruder),
    .apply = apply,
};
