/* SPDX-License-Identifier: Apache-2.0 */
/* A few compiled rulesets by id; the least recently used goes. Ids are hashes of the body, so a row is never stale. */
#include "scheduler_core.h"

#include <string.h>

const struct gri_ruleset *gri_ruleset_cache_get(struct gri_ruleset_cache *cache, const char *id) {
    for (size_t i = 0; i < GRI_RULESETS_CACHED; i++) {
        if (!cache->rows[i].rules || strcmp(cache->rows[i].id, id) != 0) continue;
        cache->rows[i].used = ++cache->clock;
        return cache->rows[i].rules;
    }
    return NULL;
}

void gri_ruleset_cache_put(struct gri_ruleset_cache *cache, const char *id, struct gri_ruleset *rules) {
    size_t oldest = 0;
    for (size_t i = 0; i < GRI_RULESETS_CACHED; i++) {
        if (cache->rows[i].rules && strcmp(cache->rows[i].id, id) == 0) { /* two runs asked for it at once */
            oldest = i;
            break;
        }
        if (cache->rows[i].used < cache->rows[oldest].used) oldest = i;
    }
    gri_ruleset_free(cache->rows[oldest].rules);
    cache->rows[oldest].rules = rules;
    cache->rows[oldest].used = ++cache->clock;
    gri_copy(cache->rows[oldest].id, sizeof cache->rows[oldest].id, id);
}

void gri_ruleset_cache_clear(struct gri_ruleset_cache *cache) {
    for (size_t i = 0; i < GRI_RULESETS_CACHED; i++)
        gri_ruleset_free(cache->rows[i].rules);
    memset(cache, 0, sizeof *cache);
}
