/* SPDX-License-Identifier: Apache-2.0 */
/* A timer for one step of a state machine: its next turn, or the jittered, doubling pause before it is tried again. */
#include "scheduler_core.h"

enum { PAUSE_FIRST_MS = 100, PAUSE_MAX_MS = 5000, LOUD_FAILURES = 3 };

void gri_pacer_init(struct gri_pacer *pacer, struct gri_scheduler *scheduler, void *arg) {
    *pacer = (struct gri_pacer){.scheduler = scheduler, .arg = arg};
}

static void fired(void *arg) {
    struct gri_pacer *pacer = arg;
    pacer->timer = NULL;
    pacer->again(pacer->arg);
}

void gri_pacer_after(struct gri_pacer *pacer, void (*again)(void *arg), int64_t ms) {
    gri_pacer_stop(pacer);
    pacer->again = again;
    pacer->timer = gri_timer_start(pacer->scheduler->loop, ms < 0 ? 0 : ms, fired, pacer);
}

/* Half of the pause is random, so that a fleet does not come back in step. */
static int64_t next_pause(struct gri_pacer *pacer) {
    int64_t pause = PAUSE_FIRST_MS;
    for (int i = 0; i < pacer->failures && pause < PAUSE_MAX_MS; i++)
        pause *= 2;
    if (pause > PAUSE_MAX_MS) pause = PAUSE_MAX_MS;
    int64_t half = pause / 2;
    return half + (int64_t)(gri_random(pacer->scheduler->loop) % (uint64_t)(half + 1));
}

void gri_pacer_retry(struct gri_pacer *pacer, void (*again)(void *arg), const char *what, const struct gri_error *error) {
    int64_t pause = next_pause(pacer);
    pacer->failures++;
    enum gri_level level = pacer->failures < LOUD_FAILURES ? GRI_INFO : GRI_WARN;
    gri_log(pacer->scheduler->log, level, what, GRI_TEXT("reason", gri_reason_name(error->reason)),
            GRI_TEXT("detail", error->detail), GRI_NUM("failures", pacer->failures), GRI_NUM("retry_ms", pause));
    gri_pacer_after(pacer, again, pause);
}

void gri_pacer_reset(struct gri_pacer *pacer) {
    pacer->failures = 0;
}

void gri_pacer_stop(struct gri_pacer *pacer) {
    if (pacer->timer) gri_timer_stop(pacer->scheduler->loop, pacer->timer);
    pacer->timer = NULL;
}
