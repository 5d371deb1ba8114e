/* SPDX-License-Identifier: Apache-2.0 */
/* System call filters by libseccomp. */
#include <grisaille/bytes.h>
#include <grisaille/sandbox.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 }; /* the sanitizers trace their own process and start a program, when they report */
#else
enum { SANITIZED = 0 };
#endif

#if defined(__x86_64__)
#define SET_RESULT(context, value) ((context)->uc_mcontext.gregs[REG_RAX] = (value))
enum { CAN_TRAP = 1 };
#elif defined(__aarch64__)
#define SET_RESULT(context, value) ((context)->uc_mcontext.regs[0] = (unsigned long long)(value))
enum { CAN_TRAP = 1 };
#else
#define SET_RESULT(context, value) ((void)(context), (void)(value))
enum { CAN_TRAP = 0 }; /* refused all the same, only not counted */
#endif

/* --- what the kinds allow and refuse, by name: a name that the library or the processor does not know is left out --------- */

/* Of computing: memory, locks, threads, time, one's own identity, a fault's own signal. */
static const char *const computing[] = {"brk",
                                        "mmap",
                                        "munmap",
                                        "mremap",
                                        "mprotect",
                                        "madvise",
                                        "mincore",
                                        "membarrier",
                                        "rseq",
                                        "set_robust_list",
                                        "get_robust_list",
                                        "set_tid_address",
                                        "futex",
                                        "futex_waitv",
                                        "futex_wake",
                                        "futex_wait",
                                        "sched_yield",
                                        "sched_getaffinity",
                                        "sched_getattr",
                                        "sched_setattr",
                                        "sched_getparam",
                                        "sched_getscheduler",
                                        "getcpu",
                                        "clock_gettime",
                                        "clock_getres",
                                        "clock_nanosleep",
                                        "nanosleep",
                                        "gettimeofday",
                                        "time",
                                        "times",
                                        "getrusage",
                                        "getpid",
                                        "getppid",
                                        "gettid",
                                        "getuid",
                                        "geteuid",
                                        "getgid",
                                        "getegid",
                                        "rt_sigaction",
                                        "rt_sigprocmask",
                                        "rt_sigreturn",
                                        "sigaltstack",
                                        "exit",
                                        "exit_group",
                                        "restart_syscall",
                                        "getrandom",
                                        "uname",
                                        "sysinfo",
                                        "getrlimit"};

/* Of managing a machine and other processes: no daemon of ours has any business there. */
static const char *const managing[] = {"acct",
                                       "add_key",
                                       "adjtimex",
                                       "bpf",
                                       "chroot",
                                       "clock_adjtime",
                                       "clock_settime",
                                       "create_module",
                                       "delete_module",
                                       "fanotify_init",
                                       "finit_module",
                                       "fsconfig",
                                       "fsmount",
                                       "fsopen",
                                       "fspick",
                                       "get_kernel_syms",
                                       "init_module",
                                       "io_uring_enter",
                                       "io_uring_register",
                                       "io_uring_setup",
                                       "ioperm",
                                       "iopl",
                                       "kcmp",
                                       "kexec_file_load",
                                       "kexec_load",
                                       "keyctl",
                                       "lookup_dcookie",
                                       "mbind",
                                       "migrate_pages",
                                       "mount",
                                       "mount_setattr",
                                       "move_mount",
                                       "move_pages",
                                       "name_to_handle_at",
                                       "nfsservctl",
                                       "open_by_handle_at",
                                       "open_tree",
                                       "perf_event_open",
                                       "personality",
                                       "pidfd_getfd",
                                       "pivot_root",
                                       "process_madvise",
                                       "process_vm_readv",
                                       "process_vm_writev",
                                       "quotactl",
                                       "reboot",
                                       "request_key",
                                       "set_mempolicy",
                                       "setdomainname",
                                       "sethostname",
                                       "setns",
                                       "settimeofday",
                                       "stime",
                                       "swapoff",
                                       "swapon",
                                       "syslog",
                                       "umount",
                                       "umount2",
                                       "unshare",
                                       "uselib",
                                       "userfaultfd",
                                       "vhangup"};

/* What no picture has ever needed, and what one does who has taken over a decoder. */
static const char *const attacking[] = {"socket",
                                        "socketpair",
                                        "connect",
                                        "bind",
                                        "listen",
                                        "accept",
                                        "accept4",
                                        "sendto",
                                        "sendmsg",
                                        "sendmmsg",
                                        "recvfrom",
                                        "recvmsg",
                                        "recvmmsg",
                                        "execve",
                                        "execveat",
                                        "fork",
                                        "vfork",
                                        "ptrace",
                                        "pidfd_open",
                                        "pidfd_getfd",
                                        "pidfd_send_signal",
                                        "kill",
                                        "tkill",
                                        "process_vm_readv",
                                        "process_vm_writev",
                                        "bpf",
                                        "io_uring_setup",
                                        "userfaultfd",
                                        "perf_event_open",
                                        "keyctl",
                                        "add_key",
                                        "request_key",
                                        "mount",
                                        "unshare",
                                        "setns",
                                        "chroot",
                                        "setuid",
                                        "setgid",
                                        "setreuid",
                                        "setregid",
                                        "setresuid",
                                        "setresgid",
                                        "capset",
                                        "memfd_create",
                                        "open_by_handle_at"};

/* On what is open already: waking the loop, the log, a helper that a plugin has started when it was prepared. */
static const char *const streaming[] = {"read", "readv", "write", "writev", "poll", "ppoll", "close"};

static const char *const starting[] = {"execve", "execveat"};

#define COUNT(names) (sizeof(names) / sizeof((names)[0]))

struct filter {
    scmp_filter_ctx context;
    int failure; /* the first error, negative; 0 none */
};

static void rule(struct filter *filter, uint32_t action, const char *name, unsigned count, const struct scmp_arg_cmp *compare) {
    int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR || number < 0 || filter->failure != 0) return;
    filter->failure = seccomp_rule_add_array(filter->context, action, number, count, compare);
}

static void rules(struct filter *filter, uint32_t action, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        rule(filter, action, names[i], 0, NULL);
}

static void allow_if(struct filter *filter, const char *name, unsigned argument, uint64_t value) {
    struct scmp_arg_cmp is = {argument, SCMP_CMP_EQ, value, 0};
    rule(filter, SCMP_ACT_ALLOW, name, 1, &is);
}

/* Threads, but no processes. clone3 hides its flags behind a pointer: ENOSYS, and the C library takes clone. */
static void allow_threads(struct filter *filter, uint32_t refusal) {
    struct scmp_arg_cmp thread = {0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD};
    struct scmp_arg_cmp process = {0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0};
    rule(filter, SCMP_ACT_ALLOW, "clone", 1, &thread);
    rule(filter, refusal, "clone", 1, &process);
    rule(filter, SCMP_ACT_ERRNO(ENOSYS), "clone3", 0, NULL);
}

static void allow_computing(struct filter *filter, uint32_t process_refusal) {
    enum { SET_VMA = 0x53564d41 }; /* PR_SET_VMA: a name for a piece of memory */
    static const int names_only[] = {PR_SET_NAME, PR_GET_NAME, SET_VMA};
    rules(filter, SCMP_ACT_ALLOW, computing, COUNT(computing));
    for (size_t i = 0; i < COUNT(names_only); i++)
        allow_if(filter, "prctl", 0, (uint64_t)names_only[i]);
    allow_if(filter, "prlimit64", 2, 0);               /* to ask, not to set */
    allow_if(filter, "tgkill", 0, (uint64_t)getpid()); /* abort() */
    allow_threads(filter, process_refusal);
}

static void fill(struct filter *filter, enum gri_sandbox_kind kind) {
    switch (kind) {
    case GRI_SANDBOX_DAEMON_ALONE:
        if (!SANITIZED) rules(filter, SCMP_ACT_ERRNO(EPERM), starting, COUNT(starting));
        /* fall through */
    case GRI_SANDBOX_DAEMON:
        rules(filter, SCMP_ACT_ERRNO(EPERM), managing, COUNT(managing));
        if (!SANITIZED) rule(filter, SCMP_ACT_ERRNO(EPERM), "ptrace", 0, NULL);
        break;
    case GRI_SANDBOX_DECODE:
        /* fork() blocks all signals: a trap there would end the process */
        allow_computing(filter, SCMP_ACT_ERRNO(EPERM));
        rules(filter, SCMP_ACT_ALLOW, streaming, COUNT(streaming));
        break;
    case GRI_SANDBOX_CHILD:
        allow_computing(filter, SCMP_ACT_KILL_PROCESS);
        allow_if(filter, "read", 0, 0);
        for (uint64_t descriptor = 2; descriptor <= 3; descriptor++) {
            allow_if(filter, "write", 0, descriptor);
            allow_if(filter, "writev", 0, descriptor);
        }
        rules(filter, SCMP_ACT_KILL_PROCESS, attacking, COUNT(attacking));
        break;
    }
}

static uint32_t otherwise(enum gri_sandbox_kind kind) {
    if (kind == GRI_SANDBOX_DAEMON || kind == GRI_SANDBOX_DAEMON_ALONE) return SCMP_ACT_ALLOW;
    return kind == GRI_SANDBOX_DECODE && CAN_TRAP ? SCMP_ACT_TRAP : SCMP_ACT_ERRNO(EPERM);
}

enum gri_status gri_sandbox_enter(enum gri_sandbox_kind kind, struct gri_error *error) {
    struct filter filter = {.context = seccomp_init(otherwise(kind))};
    if (!filter.context) return gri_fail(error, GRI_R_config, "libseccomp makes no filter");
    bool whole_process = kind != GRI_SANDBOX_DECODE;
    filter.failure = seccomp_attr_set(filter.context, SCMP_FLTATR_CTL_TSYNC, whole_process);
    fill(&filter, kind);
    if (filter.failure == 0) filter.failure = seccomp_load(filter.context);
    seccomp_release(filter.context);
    if (filter.failure == 0) return GRI_OK;
    return gri_fail(error, GRI_R_config, "the kernel takes no system call filter: %s", strerror(-filter.failure));
}

#define TEXT_OF(number) #number
#define VERSION_OF(major, minor, micro) "libseccomp " TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(micro)

const char *gri_sandbox_version(void) {
    return VERSION_OF(SCMP_VER_MAJOR, SCMP_VER_MINOR, SCMP_VER_MICRO);
}

/* --- what DECODE refuses is counted --------------------------------------------------------------------------------------- */

/* A signal handler has no other place to write to. */
static atomic_llong refused_count;
static atomic_int refused_last = -1;

/* The kernel did not run the call; this is its answer. */
static void refuse_call(int signal, siginfo_t *info, void *context) {
    (void)signal;
    atomic_fetch_add_explicit(&refused_count, 1, memory_order_relaxed);
    atomic_store_explicit(&refused_last, info->si_syscall, memory_order_relaxed);
    SET_RESULT((ucontext_t *)context, -EPERM);
}

int64_t gri_sandbox_refused(char *last, size_t size) {
    int number = atomic_load(&refused_last);
    char *known = number < 0 ? NULL : seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
    (void)gri_copy(last, size, known ? known : "");
    free(known);
    return atomic_load(&refused_count);
}

/* --- the trial ------------------------------------------------------------------------------------------------------------ */

enum { BLOCKS = 64, BLOCK = 64 * 1024 };

/* glibc reads /proc/sys/vm/overcommit_memory when a thread's heap first shrinks: now, rather than under a filter. */
static void shrink_heap(void) {
    void *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++)
        blocks[i] = malloc(BLOCK);
    for (size_t i = BLOCKS; i > 0; i--)
        free(blocks[i - 1]);
}

static void *try_on_thread(void *arg) {
    struct gri_error *error = arg;
    shrink_heap();
    error->status = gri_sandbox_enter(GRI_SANDBOX_DECODE, error);
    return NULL;
}

enum gri_status gri_sandbox_try(struct gri_error *error) {
    struct sigaction action = {.sa_sigaction = refuse_call, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    pthread_t thread;
    sigemptyset(&action.sa_mask);
    if (CAN_TRAP && sigaction(SIGSYS, &action, NULL) != 0) return gri_fail(error, GRI_R_internal, "SIGSYS can't be handled");
    if (pthread_create(&thread, NULL, try_on_thread, error) != 0)
        return gri_fail(error, GRI_R_no_memory, "no thread to try a filter on");
    (void)pthread_join(thread, NULL);
    return error->status;
}
