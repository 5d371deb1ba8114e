/* SPDX-License-Identifier: Apache-2.0 */
/* A daemon tells the others now and then that it is there and what it is doing (GET /v1/services).
 *
 * On the loop's thread; the writing happens on a store thread. Best effort: a reading that fails is left out. */
#ifndef GRI_PRESENCE_H
#define GRI_PRESENCE_H

#include "daemon.h"

struct gri_presence_teller;

/* Begins to tell, in a second and then every ten; `daemon` is borrowed until after destroy. */
struct gri_presence_teller *gri_presence_start(struct gri_daemon *daemon);
/* Tells that the daemon ends, then calls done(arg); at most two seconds later whether told or not. */
void gri_presence_end(struct gri_presence_teller *teller, void (*done)(void *arg), void *arg);
/* After the store threads' end. NULL is fine. */
void gri_presence_destroy(struct gri_presence_teller *teller);

#endif
