/* SPDX-License-Identifier: Apache-2.0 */
/* The hosts this worker deals with: a queue each, so that no host's jobs wait behind another's; how many fetches at once;
 * the fleet's gate (blocks and budgets) with a short memory of its answers.
 *
 * A job whose turn is further than GRI_HOLD_MS away gives its slot back and is due at its turn: so a slow, blocked or
 * budgeted host cannot fill the worker. Threads: the loop's. */
#ifndef GRISAILLE_HOSTS_H
#define GRISAILLE_HOSTS_H

#include "slot.h"

struct gri_hosts;

struct gri_hosts *gri_hosts_create(struct gri_worker *worker);
void gri_hosts_destroy(struct gri_hosts *hosts);
/* Queues the slot at its host. Ends with gri_gate_go or gri_gate_defer, now or later. */
void gri_hosts_enter(struct gri_hosts *hosts, struct gri_slot *slot);
/* Takes a queued slot out. */
void gri_hosts_remove(struct gri_slot *slot);
/* The slot's fetch is over: its place is free for the next. */
void gri_hosts_leave(struct gri_slot *slot, bool ok);
/* The slot's host said that it wants to be left alone. Returns for how many ms it will be. */
int64_t gri_hosts_throttled(struct gri_slot *slot, int64_t retry_after_ms);
/* What metrics call the slot's host: a rule's name or "". Borrowed while the slot is at the host. */
const char *gri_hosts_label(const struct gri_slot *slot);
/* Four times a second: gives back slots whose turn moved away, forgets idle hosts. */
void gri_hosts_tick(struct gri_hosts *hosts);
/* No request to the stream is out. */
bool gri_hosts_idle(const struct gri_hosts *hosts);

/* stage_gate.c: the slot's turn has come / is defer_ms away (throttled: the host wants it so). */
void gri_gate_go(struct gri_slot *slot);
void gri_gate_defer(struct gri_slot *slot, int64_t defer_ms, bool throttled, const char *why);

#endif
