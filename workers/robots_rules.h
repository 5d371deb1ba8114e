/* SPDX-License-Identifier: Apache-2.0 */
/* robots.txt (RFC 9309): what it says to one crawler, and whether that covers a URL's path.
 *
 * Of a text only the groups of the agent are kept, or those of `*` where it has none. Any bytes are a robots.txt: what can't be
 * understood is passed over. Threads: immutable after parsing. */
#ifndef GRISAILLE_ROBOTS_RULES_H
#define GRISAILLE_ROBOTS_RULES_H

#include <grisaille/bytes.h>

enum { GRI_ROBOTS_MAX = 500 * 1024 /* bytes that are read of a text */, GRI_ROBOTS_AGENT_MAX = 64 };

struct gri_robots_rules;

/* The product token of a User-Agent: its leading letters, '-' and '_'. */
void gri_robots_agent(const char *user_agent, char out[GRI_ROBOTS_AGENT_MAX]);

/* Owned: gri_robots_rules_free. `agent`: a product token; upper and lower case are the same. */
struct gri_robots_rules *gri_robots_rules_parse(struct gri_slice text, const char *agent);
void gri_robots_rules_free(struct gri_robots_rules *rules);
/* May it be fetched? `path`: what stands behind the authority, query included. *rule: the rule that decided, as in "Disallow: /x"
 * (borrowed), NULL: none did. Time: the rules' length plus, for each, the path's. */
bool gri_robots_rules_allow(const struct gri_robots_rules *rules, const char *path, const char **rule);
/* Crawl-delay in ms, 0: none. No part of the RFC, an old custom. */
int64_t gri_robots_rules_delay_ms(const struct gri_robots_rules *rules);
/* Memory it takes, about. */
size_t gri_robots_rules_size(const struct gri_robots_rules *rules);

#endif
