/* SPDX-License-Identifier: Apache-2.0 */
/* Dies where GRI_CRASH_AT says. Compiled only into test builds. */
#include <grisaille/crash_point.h>

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PASSES_MAX = 1000000 };

/* One of a process, set before main: the environment is the process's too, and a context would have to pass through every
 * port. */
static struct {
    enum gri_crash_point point; /* GRI_CRASH_COUNT: none */
    atomic_int left;            /* passes, the last of which kills */
} crash = {.point = GRI_CRASH_COUNT};

static const char *const NAMES[GRI_CRASH_COUNT] = {
#define GRI_CRASH(name, role, help) #name,
#include <grisaille/crash_points.def>
#undef GRI_CRASH
};

static void refuse(const char *text, const char *why) {
    fprintf(stderr, "GRI_CRASH_AT=%s: %s\n", text, why);
    _Exit(2);
}

__attribute__((constructor)) static void read_environment(void) {
    const char *text = getenv("GRI_CRASH_AT");
    if (!text || !*text) return;
    size_t len = strcspn(text, ":");
    char *end = NULL;
    long passes = text[len] ? strtol(text + len + 1, &end, 10) : 1;
    if (end && (end == text + len + 1 || *end)) refuse(text, "what follows the colon is no number");
    if (passes < 1 || passes > PASSES_MAX) refuse(text, "the pass is to be 1 to 1000000");
    for (int i = 0; i < GRI_CRASH_COUNT; i++)
        if (strlen(NAMES[i]) == len && strncmp(NAMES[i], text, len) == 0) crash.point = (enum gri_crash_point)i;
    if (crash.point == GRI_CRASH_COUNT) refuse(text, "no such crash point (include/grisaille/crash_points.def)");
    atomic_store(&crash.left, (int)passes);
}

void gri_crash_pass(enum gri_crash_point point) {
    if (crash.point != point) return;
    if (atomic_fetch_sub(&crash.left, 1) == 1) raise(SIGKILL);
}
