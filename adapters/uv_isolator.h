/* SPDX-License-Identifier: Apache-2.0 */
/* The isolator port (grisaille/isolator.h) on libuv: one child process a request, in a session of its own.
 *
 * Limits: address space (not under AddressSanitizer, whose shadow needs terabytes), CPU time, no core file, wall time, and the
 * resident memory, which is looked at ten times a second. The environment is handed on without the variables that begin with
 * GRI, which may hold passwords. The child ends when its parent does (PR_SET_PDEATHSIG is the child's own first step). What
 * the child writes to standard output or error comes to this process' standard error; frames go through descriptor 3.
 * Threads: create, use and destroy on the loop's thread. */
#ifndef GRISAILLE_UV_ISOLATOR_H
#define GRISAILLE_UV_ISOLATOR_H

#include <grisaille/isolator.h>
#include <grisaille/log.h>

struct uv_loop_s;

struct gri_uv_isolator_options {
    const char *program;       /* NULL: this executable */
    const char *const *args;   /* the words behind the program's name, ended by NULL */
    struct gri_slice settings; /* for each request frame; copied */
    int64_t start_ms;          /* until STARTED; 0: 20,000. A child that is not ready by then says nothing of the URL */
    int64_t work_ms;           /* from STARTED to the result; 0: 60,000 */
    int64_t memory_bytes;      /* 0: 1 GiB */
    size_t result_max;         /* bytes of a result frame; 0: 128 MiB */
};

/* Copies the options; borrows loop and log (may be NULL). */
struct gri_isolator *gri_uv_isolator_create(struct uv_loop_s *loop, const struct gri_uv_isolator_options *options,
                                            struct gri_log *log);
/* Other settings and limits for requests from now on; program and args stay. What runs keeps those it began with. */
void gri_uv_isolator_reload(struct gri_isolator *isolator, const struct gri_uv_isolator_options *options);
/* Kills what runs (no `done` comes any more) and frees the isolator; the loop has to run on until nothing is left. NULL is
 * fine. */
void gri_uv_isolator_destroy(struct gri_isolator *isolator);

#endif
