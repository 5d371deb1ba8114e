/* SPDX-License-Identifier: Apache-2.0 */
/* Port: takes rights away from this process and its threads, for good. adapters/seccomp_sandbox implements it on libseccomp;
 * where the build had no libseccomp, adapters/seccomp_none says so.
 *
 * What cannot be given up is reason config: the kernel has no seccomp filters, or the build had no libseccomp.
 * docs/security.md tells what each kind refuses, docs/decisions/0025 why. */
#ifndef GRISAILLE_SANDBOX_H
#define GRISAILLE_SANDBOX_H

#include <grisaille/status.h>
#include <stdint.h>

enum gri_sandbox_kind {
    /* A daemon, all its threads, and what it starts: whatever manages a machine (mounts, modules, other processes' memory,
     * BPF, name spaces, keys, …) answers EPERM. All else works. */
    GRI_SANDBOX_DAEMON,
    /* As DAEMON, and no program can be started. */
    GRI_SANDBOX_DAEMON_ALONE,
    /* The calling thread and those that it starts: memory, locks, time, threads, reading and writing what is open; all else
     * answers EPERM and is counted. */
    GRI_SANDBOX_DECODE,
    /* The whole process, all its threads, for one suspicious picture: as DECODE, but reading from standard input and writing to
     * descriptors 2 and 3 only; sockets, programs, processes, tracing and the like end the process by SIGSYS. */
    GRI_SANDBOX_CHILD
};

/* "libseccomp 2.5.4", or "none". */
const char *gri_sandbox_version(void);

/* For a process, at its start, before it has threads: no new privileges by exec; without `core_dumps` no core file, and no
 * memory shown to others of the same user. Works everywhere. */
void gri_sandbox_harden(bool core_dumps);

/* Cannot be undone. Before the first DECODE, gri_sandbox_try must have said that it works. */
enum gri_status gri_sandbox_enter(enum gri_sandbox_kind kind, struct gri_error *error) GRI_MUST_CHECK;

/* Would DECODE work? Tries it on a thread of its own, which ends at once. Also gets ready what libraries keep per process and
 * would look for at their first need (the handler that counts, the C library's view of the machine's memory). */
enum gri_status gri_sandbox_try(struct gri_error *error) GRI_MUST_CHECK;

/* Calls that DECODE has refused in this process so far, and into `last` the name of the last one, "" before. Any thread. */
int64_t gri_sandbox_refused(char *last, size_t size);

#endif
