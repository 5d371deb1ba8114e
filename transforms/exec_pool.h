/* SPDX-License-Identifier: Apache-2.0 */
/* A few threads, each with one child process. Threads that run pictures may neither start programs nor speak to them (their
 * system calls are filtered): they hand the bytes to one of these, and wait. */
#ifndef GRI_EXEC_POOL_H
#define GRI_EXEC_POOL_H

#include "exec_child.h"

struct gri_exec_pool;

/* `options` and its words are borrowed for the pool's life. Reason transform: no threads. */
enum gri_status gri_exec_pool_create(const struct gri_exec_options *options, int children, struct gri_exec_pool **pool,
                                     struct gri_error *error) GRI_MUST_CHECK;
/* When nobody waits any more. Ends the children. */
void gri_exec_pool_destroy(struct gri_exec_pool *pool);

/* Has one child answer; any thread. Returns by `deadline_ms` of gri_clock_ms(), or a moment later. As gri_exec_exchange; a child
 * that failed is ended, the next request starts another. */
enum gri_status gri_exec_pool_ask(struct gri_exec_pool *pool, struct gri_slice given, int64_t deadline_ms, struct gri_bytes *got,
                                  struct gri_error *error) GRI_MUST_CHECK;

#endif
