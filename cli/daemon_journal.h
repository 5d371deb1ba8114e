/* SPDX-License-Identifier: Apache-2.0 */
/* A daemon's own warnings and errors as events: what its log says is found by the same search as everything else. Best effort, at
 * most so many a second; what the state machines write as events themselves is left out. */
#ifndef GRI_DAEMON_JOURNAL_H
#define GRI_DAEMON_JOURNAL_H

#include <grisaille/ledger.h>
#include <grisaille/log.h>

struct gri_daemon_journal;

/* Taps the log from now on; writes once `start` was called (MongoDB's side is made). All borrowed. */
struct gri_daemon_journal *gri_daemon_journal_create(struct gri_loop *loop, struct gri_log *log, const char *instance);
void gri_daemon_journal_start(struct gri_daemon_journal *journal, struct gri_ledger *ledger);
/* One that is no warning, but worth an event. Any thread. */
void gri_daemon_journal_note(struct gri_daemon_journal *journal, enum gri_level level, const char *event,
                             const struct gri_field *fields, size_t count);
/* Writes what is left and calls done(arg), once, on the loop's thread; at once where nothing is left or the last writing failed.
 */
void gri_daemon_journal_stop(struct gri_daemon_journal *journal, void (*done)(void *arg), void *arg);
/* No request may be out. NULL is fine. */
void gri_daemon_journal_destroy(struct gri_daemon_journal *journal);

#endif
