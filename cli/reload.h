/* SPDX-License-Identifier: Apache-2.0 */
/* Takes a changed configuration over while the daemon works.
 *
 * Asked for by SIGHUP, or by a look at the files each process.watch_ms: once their stamp (gri_config_stamp) differs and has stood
 * still between two looks, so that a file is not read while it is being written. A store thread reads and checks all of it and
 * puts new rules and pipelines into MongoDB, before anything is pinned to them; then the loop's thread hands it to the role,
 * which takes all of it or nothing. Whatever is wrong, the old configuration stays in force.
 *
 * A configuration and its definitions are immutable. Work that has begun keeps what it began with: jobs and catalogs are pinned
 * to versions, transfers, pictures and API requests hold theirs. Options that are not live keep their value until the next start,
 * and the log names those that differ. Plugins are loaded at the start alone. Threads: the loop's. */
#ifndef GRI_RELOAD_H
#define GRI_RELOAD_H

#include "daemon.h"

/* Begins to watch. The daemon has booted. */
struct gri_reload *gri_reload_start(struct gri_daemon *daemon);
/* Reads the configuration now, or again when it is just being read. NULL: nothing. */
void gri_reload_ask(struct gri_reload *reload);
/* Takes nothing over any more; calls done(arg), once, when nothing is under way: at once, or within MongoDB's deadline. */
void gri_reload_stop(struct gri_reload *reload, void (*done)(void *arg), void *arg);
/* Stopped, or the loop and the store threads have ended. NULL is fine. */
void gri_reload_destroy(struct gri_reload *reload);

#endif
