/* SPDX-License-Identifier: Apache-2.0 */
/* The monotonic clock of this machine, for code that runs where there is no loop to ask (command line, executor threads, client
 * threads of a library). Code behind a loop asks gri_now_ms instead, so that a simulation can drive it.
 *
 * Counts from an unspecified start, never jumps, and means nothing to another machine. Callable from any thread and inside a
 * signal handler. */
#ifndef GRISAILLE_CLOCK_H
#define GRISAILLE_CLOCK_H

#include <stdint.h>

int64_t gri_clock_ms(void);
int64_t gri_clock_ns(void);

#endif
