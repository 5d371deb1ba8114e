/* SPDX-License-Identifier: Apache-2.0 */
/* How much may be put into the dispatch window, so that new work and repairs never starve each other. */
#include "scheduler_core.h"

/* New work: four fifths, at least one job, so that even a tiny window moves. */
int64_t gri_window_fresh_limit(const struct gri_window *window) {
    int64_t limit = window->limit * 4 / 5;
    return limit > 0 ? limit : 1;
}

int64_t gri_window_repair_limit(const struct gri_window *window) {
    bool greedy = window->fresh > 0 && window->repairs > 4 * window->fresh;
    return greedy ? gri_window_fresh_limit(window) : window->limit;
}

bool gri_window_has_room(struct gri_window *window) {
    bool room = window->inflight + window->reserved < gri_window_fresh_limit(window);
    if (!room) window->wanted = true;
    return room;
}

int64_t gri_window_repair_room(const struct gri_window *window) {
    int64_t room = gri_window_repair_limit(window) - window->inflight;
    return room > 0 ? room : 0;
}

/* Halved when they reach the window's size: a memory of about one windowful. */
void gri_window_count(struct gri_window *window, bool repair, size_t dispatched) {
    *(repair ? &window->repairs : &window->fresh) += (int64_t)dispatched;
    if (window->fresh + window->repairs < window->limit) return;
    window->fresh /= 2;
    window->repairs /= 2;
}
