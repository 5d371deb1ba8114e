/* SPDX-License-Identifier: Apache-2.0 */
/* Crash points: places where a test makes the process die, at each boundary of the delivery protocol.
 *
 * Only in builds with -Dcrash_points=true (never a release): there GRISAILLE's tests set GRI_CRASH_AT=<point>[:n] in the
 * environment, and the process kills itself (SIGKILL: nothing is flushed, closed or said) at the n-th pass of that point,
 * counted over all threads, the first without n. A name that is not in crash_points.def, or a bad n, ends the process with
 * a message, so that a misspelt test can't pass. In any other build a crash point is nothing at all, and the variable is
 * not looked at.
 *
 * A point is named without quotes, so that the compiler checks it against the table: GRI_CRASH_POINT(admit_before).
 * `…_before`: the write is not sent; `…_after`: the server has done it, nobody here knows yet. Threads: any. */
#ifndef GRISAILLE_CRASH_POINT_H
#define GRISAILLE_CRASH_POINT_H

#include <stdbool.h>

enum gri_crash_point {
#define GRI_CRASH(name, role, help) GRI_CRASH_##name,
#include <grisaille/crash_points.def>
#undef GRI_CRASH
    GRI_CRASH_COUNT
};

#ifdef GRI_CRASH_POINTS
/* Returns, unless this is the pass at which the process is to die. */
void gri_crash_pass(enum gri_crash_point point);
#define GRI_CRASH_POINT(name) gri_crash_pass(GRI_CRASH_##name)
/* A pass only where `condition` holds; it must have no side effect, for other builds do not evaluate it. */
#define GRI_CRASH_POINT_IF(condition, name)              \
    do {                                                 \
        if (condition) gri_crash_pass(GRI_CRASH_##name); \
    } while (0)
#else
#define GRI_CRASH_POINT(name) ((void)GRI_CRASH_##name)
#define GRI_CRASH_POINT_IF(condition, name) ((void)(0 && (condition)))
#endif

#endif
