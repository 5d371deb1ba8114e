/* SPDX-License-Identifier: Apache-2.0 */
/* robots.obey: what the hosts' robots.txt say, fetched through the worker's fetcher, with all of its guards, and kept for a
 * while.
 *
 * By origin (scheme, host, port), as RFC 9309 has it: an answer of 2xx is parsed; 4xx, too many redirects and the like: there
 * is none, all is allowed; 5xx, 429 and silence: nothing is fetched meanwhile. Where a host leads elsewhere, that place is
 * asked as well before it is fetched from. Bounds: GRI_ROBOTS_KEPT origins and 64 MiB of
 * rules; the longest unused go. Threads: the loop's. */
#ifndef GRISAILLE_ROBOTS_H
#define GRISAILLE_ROBOTS_H

#include "slot.h"

enum { GRI_ROBOTS_KEPT = 4096 };

struct gri_robots;

struct gri_robots *gri_robots_create(struct gri_worker *worker);
/* NULL is fine. */
void gri_robots_destroy(struct gri_robots *robots);
/* worker->o.robots is another now. */
void gri_robots_reload(struct gri_robots *robots);
/* The host leads to `url`: may it be fetched? False where its robots.txt is not known, or disallows it; then slot->lead is that
 * URL, and stage ROBOTS has the answer. */
bool gri_robots_may_follow(struct gri_slot *slot, const char *url);
/* No robots.txt is being fetched. */
bool gri_robots_idle(const struct gri_robots *robots);
/* Crawl-delay of that host in ms, where robots.crawl_delay is on and it has one; else 0. */
int64_t gri_robots_delay_ms(const struct gri_robots *robots, const char *host);

#endif
