/* SPDX-License-Identifier: Apache-2.0 */
/* One child process that is given bytes and gives bytes: started with limits, spoken to with deadlines. One thread a child. */
#ifndef GRI_EXEC_CHILD_H
#define GRI_EXEC_CHILD_H

#include <grisaille/bytes.h>

#include <sys/types.h>

struct gri_exec_options {
    char *const *words;   /* program (an absolute path) and arguments; ends with NULL; borrowed */
    int64_t memory_bytes; /* address space */
    bool network;         /* false: it can't make sockets */
    bool serves;          /* it answers many times, in frames; else once, to the end of its output */
};

struct gri_exec_child {
    pid_t pid; /* 0: none */
    int in, out, complaints;
    char said[160]; /* the end of what it wrote to standard error */
};

/* Reason transform: it can't be started. */
enum gri_status gri_exec_start(struct gri_exec_child *child, const struct gri_exec_options *options,
                               struct gri_error *error) GRI_MUST_CHECK;
/* Writes `given`, reads the answer into `got` (at most its limit). A frame is its length in decimal digits, a newline, the bytes.
 * Reasons: transform (it ended, or wrote no frame), decode_timeout (`deadline_ms` of gri_clock_ms() is past). After a failure the
 * child is of no more use. */
enum gri_status gri_exec_exchange(struct gri_exec_child *child, const struct gri_exec_options *options, struct gri_slice given,
                                  int64_t deadline_ms, struct gri_bytes *got, struct gri_error *error) GRI_MUST_CHECK;
/* Kills it and waits for its end, which is immediate. Takes one that was never started. */
void gri_exec_end(struct gri_exec_child *child);

#endif
